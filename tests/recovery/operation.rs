//! Operations: every way to break and to go on, with every attempt's reason told at the end.

use std::time::Duration;

use bytes::Bytes;
use portline::Instant;
use portline::recovery::{
    Action, BackoffConfig, Cause, Config, Direction, Disconnect, Exhausted, Failure, GaveUp, Item, Jitter,
    Misuse, MonitorConfig, Operation, Phase, Retry, Transfer,
};

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

type Test = Operation<&'static str>;

fn config() -> Config<&'static str> {
    let backoff = BackoffConfig { jitter: Jitter::None, ..BackoffConfig::default() };
    Config { backoff, ..Config::default() }
}

fn operation(config: Config<&'static str>) -> Test {
    let transfer = Transfer::new(
        1,
        Direction::Fetch,
        vec![Item { name: Bytes::from_static(b"main"), target: Bytes::from_static(b"1"), complete: false }],
    )
    .unwrap();
    Operation::new(config, transfer, at(0)).unwrap()
}

fn actions(operation: &mut Test) -> Vec<Action<&'static str>> {
    core::iter::from_fn(|| operation.poll_action()).collect()
}

fn failure(operation: &mut Test) -> Failure<&'static str> {
    match actions(operation).pop() {
        Some(Action::Failed(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

fn connected(config: Config<&'static str>) -> Test {
    let mut operation = operation(config);
    assert_eq!(actions(&mut operation), [Action::Connect { attempt: 1 }]);
    operation.connected(at(0)).unwrap();
    operation
}

#[test]
fn recovery_13_a_disconnect_is_followed_by_a_new_connection_and_every_attempt_is_told() {
    let mut operation = connected(config());
    operation.moved(at(10), 100);
    operation.disconnected(at(20));
    assert_eq!(actions(&mut operation), [Action::Wait { until: at(1020) }]);
    assert_eq!(operation.poll_timeout(), Some(at(1020)));
    operation.handle_timeout(at(1019));
    assert_eq!(actions(&mut operation), []);
    operation.handle_timeout(at(1020));
    assert_eq!(actions(&mut operation), [Action::Connect { attempt: 2 }]);
    operation.connect_failed(at(1030), "refused").unwrap();
    assert_eq!(actions(&mut operation), [Action::Wait { until: at(3030) }]);
    operation.handle_timeout(at(3030));
    assert_eq!(actions(&mut operation), [Action::Connect { attempt: 3 }]);
    operation.connected(at(3040)).unwrap();
    operation.moved(at(3050), 50);
    operation.succeeded(at(3060)).unwrap();
    let [Action::Finished(outcome)] = &actions(&mut operation)[..] else { panic!() };
    let told: Vec<_> =
        outcome.failed.iter().map(|one| (one.began, one.ended, one.moved, one.cause.clone())).collect();
    let gone = Cause::Disconnected { at: at(20), why: Disconnect::Closed };
    let refused = Cause::Connect { error: "refused" };
    assert_eq!(told, [(at(0), at(20), 100, gone), (at(1020), at(1030), 0, refused)]);
    assert_eq!((outcome.moved, outcome.elapsed), (150, ms(40)), "20 ms in the first, 20 ms in the third");
    assert!(operation.has_ended() && operation.poll_timeout().is_none());
    operation.disconnected(at(4000));
    operation.cancel(at(4000));
    operation.handle_timeout(at(1_000_000));
    assert_eq!(actions(&mut operation), []);
}

#[test]
fn recovery_13_attempts_come_to_an_end() {
    let mut operation = operation(config());
    for attempt in 1..=4 {
        assert_eq!(operation.poll_action(), Some(Action::Connect { attempt }));
        operation.connect_failed(at(0), "refused").unwrap();
        if attempt < 4 {
            let Some(Action::Wait { until }) = operation.poll_action() else { panic!() };
            operation.handle_timeout(until);
        }
    }
    let failure = failure(&mut operation);
    assert_eq!(failure.why, GaveUp::Exhausted(Exhausted::Attempts { made: 4 }));
    assert_eq!(failure.attempts.len(), 4);
}

/// Its name, what happens, when it is over, and what took too long.
type Case = (&'static str, fn(&mut Test), u64, Phase);

#[test]
fn recovery_14_recovery_15_each_timeout_is_named_and_the_connection_dropped() {
    let wait = |until| Action::Wait { until: at(until + 1000) };
    let cases: [Case; 4] = [
        ("never connected", |_| {}, 30_000, Phase::Connect),
        ("silent", |one| one.connected(at(0)).unwrap(), 30_000, Phase::Idle),
        (
            "busy without payload",
            |one| {
                one.connected(at(0)).unwrap();
                for second in 1..60 {
                    one.activity(at(second * 1000));
                    one.moved(at(second * 1000), 0);
                }
            },
            60_000,
            Phase::Operation,
        ),
        (
            "an endless transfer",
            |one| {
                one.connected(at(0)).unwrap();
                for second in 10..310 {
                    one.moved(at(second * 1000), 1);
                }
            },
            310_000,
            Phase::Transfer,
        ),
    ];
    for (name, script, end, phase) in cases {
        let mut operation = operation(config());
        actions(&mut operation);
        script(&mut operation);
        assert_eq!(operation.poll_timeout(), Some(at(end)), "{name}");
        operation.handle_timeout(at(end - 1));
        assert_eq!(actions(&mut operation), [], "{name}");
        operation.handle_timeout(at(end));
        assert_eq!(actions(&mut operation), [Action::Disconnect, wait(end)], "{name}");
        operation.cancel(at(end));
        let failure = failure(&mut operation);
        let Cause::TimedOut { phase: named, after } = failure.attempts[0].cause else { panic!("{name}") };
        let begun = if phase == Phase::Transfer { 10_000 } else { 0 };
        assert_eq!((named, after, failure.why), (phase, ms(end - begun), GaveUp::Cancelled), "{name}");
    }
}

#[test]
fn recovery_14_an_abort_tells_how_far_it_came() {
    let mut operation = connected(config());
    operation.transfer_mut().expect(Some(10));
    operation.moved(at(1), 4);
    operation.aborted(at(2), "bad checksum").unwrap();
    assert_eq!(operation.poll_action(), Some(Action::Disconnect));
    let failure = failure(&mut operation);
    let aborted = Cause::Aborted { moved: 4, expected: Some(10), error: "bad checksum" };
    assert_eq!((failure.why, failure.moved), (GaveUp::NotTransient, 4));
    assert_eq!(failure.attempts[0].cause.to_string(), "the transfer was aborted after 4 bytes: bad checksum");
    assert_eq!(failure.attempts[0].cause, aborted);
}

#[test]
fn recovery_15_the_deadline_ends_attempts_and_delays() {
    let mut limited = config();
    limited.backoff.deadline = Some(ms(5000));
    let mut running = connected(limited.clone());
    assert_eq!(running.poll_timeout(), Some(at(5000)));
    running.handle_timeout(at(5000));
    assert_eq!(running.poll_action(), Some(Action::Disconnect));
    let ended = failure(&mut running);
    assert_eq!(ended.why, GaveUp::Exhausted(Exhausted::Deadline { after: ms(5000) }));
    assert_eq!(ended.attempts[0].cause, Cause::TimedOut { phase: Phase::Overall, after: ms(5000) });

    let mut asking = connected(Config { ask_retry: true, ..limited });
    asking.disconnected(at(100));
    assert_eq!((actions(&mut asking), asking.poll_timeout()), (vec![Action::AskRetry], Some(at(5000))));
    asking.handle_timeout(at(5000));
    let ended = failure(&mut asking);
    assert_eq!(
        (ended.attempts.len(), ended.why),
        (1, GaveUp::Exhausted(Exhausted::Deadline { after: ms(5000) }))
    );
    assert_eq!(asking.may_retry(at(5001), true), Err(Misuse::Ended { verb: "may_retry" }));
}

#[test]
fn recovery_16_recovery_17_an_error_of_the_session_is_final_unless_the_caller_says_otherwise() {
    let mut operation = connected(config());
    operation.failed(at(1), "no such repository").unwrap();
    assert_eq!(operation.poll_action(), Some(Action::Disconnect));
    assert_eq!(failure(&mut operation).why, GaveUp::NotTransient);

    let retry = |cause: &Cause<&'static str>| match cause {
        Cause::Session { error: "busy" } => Retry::Yes,
        _ => Retry::No,
    };
    let mut operation = connected(Config { retry, ..config() });
    operation.failed(at(1), "busy").unwrap();
    assert_eq!(actions(&mut operation), [Action::Disconnect, Action::Wait { until: at(1001) }]);
    operation.handle_timeout(at(1001));
    operation.disconnected(at(1002));
    assert_eq!(
        failure(&mut operation).why,
        GaveUp::NotTransient,
        "this predicate does not care for disconnects"
    );
}

#[test]
fn recovery_17_cancelling_ends_it_in_every_state() {
    let mut connecting = operation(config());
    connecting.cancel(at(1));
    assert_eq!(connecting.poll_action(), Some(Action::Connect { attempt: 1 }));
    assert_eq!(connecting.poll_action(), Some(Action::Disconnect));
    let ended = failure(&mut connecting);
    assert_eq!((ended.why, ended.attempts[0].cause.clone()), (GaveUp::Cancelled, Cause::Cancelled));
    for ask_retry in [false, true] {
        let mut between = connected(Config { ask_retry, ..config() });
        between.disconnected(at(1));
        between.cancel(at(2));
        let ended = failure(&mut between);
        assert_eq!((ended.why, ended.attempts.len()), (GaveUp::Cancelled, 1));
    }
}

#[test]
fn recovery_18_what_may_have_been_done_is_not_repeated() {
    let mut operation = connected(config());
    operation.committed();
    operation.disconnected(at(1));
    let ended = failure(&mut operation);
    assert_eq!((ended.why, ended.attempts.len()), (GaveUp::NotRepeatable, 1));
}

/// RECOVERY-13, RECOVERY-18: asking whether another attempt would follow tells, and changes nothing.
#[test]
fn recovery_18_whether_an_attempt_may_be_followed_by_another_can_be_asked() {
    let mut limited = config();
    (limited.backoff.retries, limited.backoff.deadline) = (1, Some(ms(5000)));
    let mut operation = connected(limited);
    assert!(operation.may_try_again(at(1)) && operation.may_try_again(at(1)));
    assert!(!operation.may_try_again(at(5000)), "it would be too late");
    let mut committed = connected(config());
    committed.committed();
    assert!(!committed.may_try_again(at(1)));
    operation.disconnected(at(1));
    assert!(!operation.may_try_again(at(1)), "there is no attempt that could fail");
    operation.handle_timeout(at(1001));
    assert!(!operation.may_try_again(at(1001)), "this is the last one");
}

#[test]
fn recovery_19_the_driver_is_asked_where_a_budget_is_shared() {
    let mut operation = connected(Config { ask_retry: true, ..config() });
    operation.disconnected(at(1));
    assert_eq!(actions(&mut operation), [Action::AskRetry]);
    operation.may_retry(at(2), true).unwrap();
    assert_eq!(actions(&mut operation), [Action::Wait { until: at(1001) }]);
    operation.handle_timeout(at(1001));
    operation.connect_failed(at(1001), "refused").unwrap();
    operation.may_retry(at(9000), false).unwrap();
    assert_eq!(failure(&mut operation).why, GaveUp::Budget);
}

#[test]
fn recovery_8_recovery_15_heartbeats_keep_a_quiet_operation_alive() {
    let monitor = MonitorConfig { heartbeat: Some(ms(10_000)), missed: 1, ..MonitorConfig::default() };
    let mut operation = connected(Config { monitor, ..config() });
    operation.handle_timeout(at(10_000));
    assert_eq!(actions(&mut operation), [Action::Heartbeat]);
    operation.activity(at(10_100));
    operation.handle_timeout(at(20_100));
    assert_eq!(actions(&mut operation), [Action::Heartbeat]);
    operation.handle_timeout(at(30_100));
    let silent = Cause::Disconnected { at: at(30_100), why: Disconnect::Silent { missed: 1 } };
    assert_eq!(actions(&mut operation), [Action::Disconnect, Action::Wait { until: at(31_100) }]);
    operation.cancel(at(31_000));
    assert_eq!(failure(&mut operation).attempts[0].cause, silent);
}

/// What we send says nothing of the peer: one that only takes, or whose line only buffers, is asked and given up.
#[test]
fn recovery_8_what_goes_to_the_peer_answers_no_heartbeat() {
    let monitor = MonitorConfig { heartbeat: Some(ms(10_000)), missed: 1, ..MonitorConfig::default() };
    let mut operation = connected(Config { monitor, ..config() });
    for second in 1..20 {
        operation.moved(at(second * 1000), 1000);
        operation.handle_timeout(at(second * 1000));
        let asked = if second == 10 { vec![Action::Heartbeat] } else { vec![] };
        assert_eq!(actions(&mut operation), asked, "after {second} seconds");
    }
    operation.handle_timeout(at(20_000));
    assert_eq!(actions(&mut operation), [Action::Disconnect, Action::Wait { until: at(21_000) }]);
}

#[test]
fn recovery_20_verbs_at_the_wrong_time_change_nothing() {
    let mut one = operation(config());
    assert_eq!(one.succeeded(at(0)), Err(Misuse::NotNow { verb: "succeeded" }));
    assert_eq!(one.may_retry(at(0), true), Err(Misuse::NotNow { verb: "may_retry" }));
    one.connected(at(0)).unwrap();
    assert_eq!(one.connected(at(0)), Err(Misuse::NotNow { verb: "connected" }));
    assert_eq!(one.connect_failed(at(0), ""), Err(Misuse::NotNow { verb: "connect_failed" }));
    one.disconnected(at(1));
    assert_eq!(actions(&mut one), [Action::Connect { attempt: 1 }, Action::Wait { until: at(1001) }]);
    assert_eq!(one.failed(at(2), ""), Err(Misuse::NotNow { verb: "failed" }));
    one.moved(at(2), 9);
    one.activity(at(2));
    one.disconnected(at(2));
    assert_eq!((one.transfer().bytes(), actions(&mut one)), (0, vec![]));
    one.cancel(at(3));
    assert_eq!(one.aborted(at(4), ""), Err(Misuse::Ended { verb: "aborted" }));
    assert_eq!(one.succeeded(at(4)), Err(Misuse::Ended { verb: "succeeded" }));
    assert_eq!(actions(&mut one).len(), 1);
}
