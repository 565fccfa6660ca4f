//! A sync over connections that break, stall, half-close and come back in the wrong order, under one virtual clock:
//! whatever a seed does to it, both sides agree in the end or a reason is told within the deadline, and nothing is lost.

mod world;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::time::Duration;

use crate::common::Rng;
use crate::toy::{Moves, Repo, Right, config, diverged, visible};
use bytes::{Bytes, BytesMut};
use portline::git::{ObjectId, RefName};
use portline::peer::resilient::{Action, Config, Error, Failure, Outcome};
use portline::peer::sync::{self, RefResult};
use portline::peer::{self, ResilientSync};
use portline::recovery::{Cause, Exhausted, GaveUp, Jitter, Misuse, Phase};
use portline::sync::Strategy;
use portline::{Instant, port};
use world::{Fault, World, micros};

const DEADLINE: Duration = Duration::from_secs(600);

/// How many runs: `PORTLINE_SEEDS` asks for more.
fn seeds(usual: u64) -> u64 {
    std::env::var("PORTLINE_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(usual)
}

fn commits(repo: &Repo) -> BTreeSet<ObjectId> {
    repo.check()
}

/// What must hold after any run; whether both sides agreed.
fn judge(seed: u64, world: &World) -> bool {
    let (before_left, before_right, _) = diverged();
    assert!(commits(&world.left_repo).is_superset(&before_left.check()), "seed {seed}: left lost a commit");
    assert!(
        commits(&world.right_repo).is_superset(&before_right.check()),
        "seed {seed}: right lost a commit"
    );
    assert!(world.left.has_ended() && world.left.poll_timeout().is_none(), "seed {seed}");
    assert!(world.ended <= DEADLINE.as_micros() as u64, "seed {seed}: it ended later than its deadline");
    match world.end.as_ref().unwrap() {
        // What came late moved refs under the last attempt: it says which.
        Ok(outcome) if !outcome.sync.agrees() => {
            assert_eq!(outcome.failed.len(), world.retries as usize, "seed {seed}: {:?}", outcome.sync);
            false
        }
        Ok(_) => {
            assert_eq!(visible(&world.left_repo), visible(&world.right_repo), "seed {seed}");
            true
        }
        Err(failure) => {
            // A port that loses a message is no port any more: that breaks the protocol, and is not tried again.
            let lossy = world.lines.last().is_some_and(|line| matches!(line.fault, Fault::Lost(_)));
            let is_final = failure.why == GaveUp::NotTransient && lossy;
            assert!(
                is_final || matches!(failure.why, GaveUp::Exhausted(_)),
                "seed {seed}: {:?}",
                failure.why
            );
            let (last, others) = failure.attempts.split_last().unwrap();
            for attempt in others {
                assert!(peer::resilient::is_transient(&attempt.cause), "seed {seed}: {:?}", attempt.cause);
            }
            assert!(is_final || peer::resilient::is_transient(&last.cause), "seed {seed}: {:?}", last.cause);
            assert!(micros(last.ended) <= DEADLINE.as_micros() as u64, "seed {seed}");
            false
        }
    }
}

/// SYNC-51, PEER-14, PEER-15, PEER-17, T13.
#[test]
fn peer_14_any_faults_end_in_agreement_or_in_a_reason_within_the_deadline() {
    let seeds = seeds(300);
    let (mut agreed, mut attempts, mut faults) = (0, 0, BTreeMap::new());
    for seed in 0..seeds {
        let world = World::new(seed, 70, 6).run();
        agreed += usize::from(judge(seed, &world));
        attempts += world.lines.len();
        for line in &world.lines {
            let name = format!("{:?}", line.fault);
            *faults.entry(name.split('(').next().unwrap().to_owned()).or_insert(0_u32) += 1;
        }
    }
    println!("{seeds} seeds: {agreed} agreed, the others told why; {attempts} connections, {faults:?}");
    assert!(agreed * 10 > seeds as usize * 8, "{agreed} of {seeds} agreed");
    assert!(attempts > seeds as usize * 2, "{attempts} attempts");
}

#[test]
fn peer_14_the_same_seed_gives_the_same_trace() {
    for seed in 0..seeds(50) {
        assert_eq!(World::new(seed, 90, 5).run().trace, World::new(seed, 90, 5).run().trace, "seed {seed}");
    }
}

/// After a failure a later run over a whole connection finishes what was begun.
#[test]
fn peer_15_what_was_given_up_is_finished_later() {
    let mut gave_up = 0;
    for seed in 0..200 {
        let world = World::new(seed, 100, 1).run();
        if judge(seed, &world) {
            continue;
        }
        gave_up += 1;
        let mut again = World::new(seed, 0, 0);
        (again.left_repo, again.right_repo) = (world.left_repo, world.right_repo);
        assert!(again.run().end.unwrap().unwrap().failed.is_empty(), "seed {seed}");
    }
    assert!(gave_up > 50, "{gave_up}");
}

/// A machine on its own: its first connection is there.
fn connected() -> ResilientSync {
    let mut config = Config::default();
    config.recovery.backoff.jitter = Jitter::None;
    let mut sync = ResilientSync::new(config, Instant::ZERO).unwrap();
    assert_eq!(sync.poll_action(), Some(Action::Connect { attempt: 1 }));
    sync.connected(Instant::ZERO).unwrap();
    assert!(matches!(sync.poll_action(), Some(Action::Sync(_))));
    sync.session().unwrap().refs_listed(Instant::ZERO, Vec::new()).unwrap();
    assert_eq!(sync.poll_action(), None);
    sync
}

fn actions(sync: &mut ResilientSync) -> VecDeque<Action> {
    core::iter::from_fn(|| sync.poll_action()).collect()
}

#[test]
fn peer_16_a_closed_connection_and_silence_are_tried_again_and_each_is_called_by_its_name() {
    let mut sync = connected();
    sync.handle_closed(Instant::from_millis(5));
    let until = Instant::from_millis(1005);
    assert_eq!(actions(&mut sync), [Action::Disconnect, Action::Wait { until }]);
    sync.handle_timeout(until);
    assert_eq!(actions(&mut sync), [Action::Connect { attempt: 2 }]);
    sync.connected(until).unwrap();
    actions(&mut sync);
    sync.session().unwrap().refs_listed(until, Vec::new()).unwrap();
    while sync.poll_transmit().is_some() {}
    // The request is never acknowledged.
    let silent = sync.poll_timeout().unwrap();
    assert_eq!(silent, Instant::from_millis(31_005));
    sync.handle_timeout(silent);
    let after = actions(&mut sync);
    assert_eq!(after, [Action::Disconnect, Action::Wait { until: Instant::from_millis(33_005) }]);
    sync.cancel(silent);
    let Some(Action::Failed(failure)) = sync.poll_action() else { panic!() };
    let causes: Vec<_> = failure.attempts.iter().map(|attempt| attempt.cause.to_string()).collect();
    assert_eq!(causes, ["the peer has disconnected", "the peer's silence took longer than 30s"]);
    assert_eq!(failure.why, GaveUp::Cancelled);
}

/// Silence of a session is silence, too, though the port is answered.
#[test]
fn peer_16_a_session_without_an_answer_is_the_peers_silence() {
    let mut config = Config::default();
    config.recovery.idle_timeout = Some(Duration::from_secs(10));
    let mut sync = ResilientSync::new(config, Instant::ZERO).unwrap();
    actions(&mut sync);
    sync.connected(Instant::ZERO).unwrap();
    actions(&mut sync);
    sync.session().unwrap().refs_listed(Instant::ZERO, Vec::new()).unwrap();
    while let Some(message) = sync.poll_transmit() {
        let message = message.into_bytes();
        assert_eq!(message[0], 0, "DATA");
        let ack = [&[1], &message[1..5], &[1]].concat();
        sync.handle_message(Instant::ZERO, ack.into());
    }
    // Nobody knows when the last of it was taken: the first time only begins anew.
    sync.handle_timeout(Instant::from_millis(10_000));
    let silent = Instant::from_millis(20_000);
    assert_eq!((sync.poll_timeout(), actions(&mut sync).len()), (Some(silent), 0));
    sync.handle_timeout(silent);
    assert_eq!(actions(&mut sync)[0], Action::Disconnect);
    sync.cancel(silent);
    let Some(Action::Failed(failure)) = sync.poll_action() else { panic!() };
    assert_eq!(failure.attempts[0].cause.to_string(), "the peer's silence took longer than 10s");
}

#[test]
fn peer_19_packs_are_what_moves() {
    let world = World::new(3, 0, 0).run();
    let outcome = world.end.unwrap().unwrap();
    assert!(world.packs > 100);
    assert_eq!((outcome.moved, world.left.transfer().bytes()), (world.packs as u64, world.packs as u64));
}

/// A peer that goes on saying something, but sends no pack: the operation's time is not that of a transfer.
#[test]
fn peer_19_messages_without_a_pack_do_not_make_a_transfer() {
    let mut sync = connected();
    for block in 0..6_u32 {
        let now = Instant::from_millis(u64::from(block) * 10_000);
        while sync.poll_transmit().is_some() {
            sync.handle_message(now, Bytes::from_static(b"\x01\0\0\0\0\x01"));
        }
        let line = format!("003d{} refs/heads/{block:04}\n", crate::toy::id(u64::from(block)));
        let message = [&[0][..], &block.to_be_bytes(), line.as_bytes()].concat();
        sync.handle_message(now, message.into());
        assert_eq!(actions(&mut sync), []);
    }
    assert_eq!(sync.transfer().bytes(), 0);
    let late = Instant::from_millis(60_000);
    assert_eq!((sync.poll_timeout(), sync.transfer().rate(late)), (Some(late), None));
    sync.handle_timeout(late);
    assert_eq!(actions(&mut sync).pop_front(), Some(Action::Disconnect));
    let cause = &sync.attempts()[0].cause;
    assert!(matches!(cause, Cause::TimedOut { phase: Phase::Operation, .. }), "{cause:?}");
}

/// Runs the first attempt over a whole connection up to the first push: local refs are moved by then, the peer's not.
fn half_way() -> (ResilientSync, Repo) {
    let (mut repo, right, base) = diverged();
    let config = Config { sync: config(Strategy::Report, base), ..Config::default() };
    let mut sync = ResilientSync::new(config, Instant::ZERO).unwrap();
    let mut right = Right::new(right, &peer::Config::default());
    let (mut pack, moves, now) = (BytesMut::new(), Moves::default(), Instant::ZERO);
    loop {
        while let Some(action) = sync.poll_action() {
            match action {
                Action::Connect { .. } => sync.connected(now).unwrap(),
                Action::Sync(action) => {
                    crate::toy::answer(sync.session().unwrap(), &mut repo, &mut pack, &moves, now, action);
                }
                other => panic!("{other:?}"),
            }
        }
        while right.act(now) {}
        while let Some(message) = sync.poll_transmit() {
            let message = message.into_bytes();
            if message.windows(16).any(|window| window == b"git-receive-pack") {
                return (sync, repo);
            }
            let _ = right.machine.handle_message(now, message);
        }
        while let Some(message) = right.machine.poll_transmit() {
            sync.handle_message(now, message.into_bytes());
        }
    }
}

/// PEER-15, SYNC-52: an attempt that is cut by its time or by the user tells what it had done, as one whose connection
/// broke does; also where that was found out, but not told, before.
#[test]
fn peer_15_what_an_attempt_had_done_is_known_whatever_ended_it() {
    let late = Instant::from_millis(400_000);
    type Cut = fn(&mut ResilientSync, Instant);
    let cuts: [(&str, Cut); 4] = [
        ("cancelled", |sync, late| sync.cancel(late)),
        ("too long", ResilientSync::handle_timeout),
        ("closed", ResilientSync::handle_closed),
        ("closed, and then too long", |sync, late| {
            sync.handle_closed(late);
            sync.handle_timeout(late);
        }),
    ];
    for (name, cut) in cuts {
        let (mut sync, repo) = half_way();
        cut(&mut sync, late);
        let mut told = actions(&mut sync);
        assert_eq!(told.pop_front(), Some(Action::Disconnect), "{name}");
        assert!(!told.contains(&Action::Disconnect), "{name}: once");
        sync.cancel(late);
        told.extend(actions(&mut sync));
        let Some(Action::Failed(failure)) = told.pop_back() else { panic!("{name}: {told:?}") };
        let at = |branch: &str| {
            let one = |(known, id): &(_, ObjectId)| (*known == crate::toy::name(branch)).then_some(*id);
            failure.done.base.iter().find_map(one)
        };
        assert_eq!(
            (at("right-ahead"), repo.at("right-ahead")),
            (Some(crate::toy::id(22)), Some(crate::toy::id(22))),
            "{name}"
        );
        assert_eq!(at("left-ahead"), None, "{name}: not pushed yet");
        let done = |result: &RefResult| matches!(result, RefResult::Done { .. });
        assert_eq!(failure.done.refs.iter().filter(|entry| done(&entry.result)).count(), 3, "{name}");
        assert_eq!(failure.attempts.len(), 1, "{name}");
    }
}

#[test]
fn peer_16_what_the_peer_says_is_final() {
    let mut sync = connected();
    // The port's ERROR frame, before block 0.
    sync.handle_message(Instant::ZERO, Bytes::from_static(b"\x03\0\0\0\0\"no\""));
    let mut told = actions(&mut sync);
    assert_eq!(told.pop_front(), Some(Action::Disconnect));
    let Some(Action::Failed(failure)) = told.pop_front() else { panic!("{told:?}") };
    assert_eq!(failure.why, GaveUp::NotTransient);
    assert!(matches!(&failure.attempts[0].cause, Cause::Session { error: Error::Sync(_) }));
    sync.handle_message(Instant::ZERO, Bytes::from_static(b"\x02\0\0\0\0"));
    assert_eq!((actions(&mut sync).len(), sync.session().is_none(), sync.has_ended()), (0, true, true));
}

#[test]
fn peer_16_a_refused_connection_is_tried_as_often_as_configured() {
    let mut config = Config::default();
    config.recovery.backoff.retries = 1;
    let mut sync = ResilientSync::new(config, Instant::ZERO).unwrap();
    for attempt in 1..=2 {
        assert_eq!((sync.poll_action(), sync.has_ended()), (Some(Action::Connect { attempt }), false));
        sync.connect_failed(Instant::ZERO, Bytes::from_static(b"refused")).unwrap();
        if let Some(Action::Wait { until }) = sync.poll_action() {
            sync.handle_timeout(until);
        }
    }
    // The terminal action was polled in place of a wait.
    assert!(sync.has_ended() && sync.poll_action().is_none());
}

/// PEER-17: a connection that never answers is dropped at its time.
#[test]
fn peer_17_an_unanswered_connect_is_dropped_first() {
    let mut sync = ResilientSync::new(Config::default(), Instant::ZERO).unwrap();
    sync.poll_action();
    let late = Instant::from_millis(30_000);
    assert_eq!(sync.poll_timeout(), Some(late));
    sync.handle_timeout(late);
    let told = actions(&mut sync);
    assert_eq!((told.len(), &told[0]), (2, &Action::Disconnect));
    sync.cancel(late);
    let Some(Action::Failed(failure)) = sync.poll_action() else { panic!() };
    assert!(matches!(failure.attempts[0].cause, Cause::TimedOut { phase: Phase::Connect, .. }));
    let mut config = Config::default();
    config.sync.peer.port = port::Config { window: 0, ..port::Config::default() };
    assert!(ResilientSync::new(config, Instant::ZERO).is_err());
    let exhausted = GaveUp::Exhausted(Exhausted::Attempts { made: 2 });
    assert_eq!(exhausted.to_string(), "all 2 attempts have failed");
}

/// In this run a push of a connection that was given up lands between the plan and the push of the one after it.
#[test]
fn peer_18_what_was_sent_on_a_broken_connection_may_land_late() {
    let world = World::new(3419, 70, 6).run();
    assert!(judge(3419, &world));
    let outcome = world.end.as_ref().unwrap().as_ref().unwrap();
    let is_overtaken = |cause: &Cause<Error>| matches!(cause, Cause::Session { error: Error::Overtaken });
    assert_eq!(outcome.failed.iter().filter(|attempt| is_overtaken(&attempt.cause)).count(), 1);
}

/// PEER-18: only a push on a connection that broke may have moved a ref meanwhile; each allows for one repetition.
#[test]
fn peer_18_a_refusal_is_repeated_as_often_as_connections_broke_and_no_more() {
    let outcome = |script: &[Fault]| {
        let mut world = World::new(1, 0, 9);
        world.script = script.iter().copied().collect();
        world.refuses = Some(|name| name.as_bytes() == b"refs/heads/left-ahead");
        let end = world.run().end.unwrap().unwrap();
        let refused = |result: &RefResult| matches!(result, RefResult::Failed(_));
        assert_eq!(end.sync.refs.iter().filter(|entry| refused(&entry.result)).count(), 1);
        end.failed.iter().map(|attempt| attempt.cause.to_string()).collect::<Vec<_>>()
    };
    let overtaken = Error::Overtaken.to_string();
    let (closed, refused) = ("the peer has disconnected", "could not connect: refused");
    assert_eq!(outcome(&[]), [""; 0]);
    assert_eq!(outcome(&[Fault::Refused]), [refused]);
    assert_eq!(outcome(&[Fault::Cut(30)]), [closed, &overtaken]);
    assert_eq!(
        outcome(&[Fault::Cut(30), Fault::Refused, Fault::Cut(30)]),
        [closed, refused, closed, &overtaken, &overtaken]
    );
}

/// Where several operations share a budget, each retry is asked for; without a word there is none.
#[test]
fn peer_15_a_retry_waits_for_its_permission_where_that_is_asked_for() {
    for may in [true, false] {
        let mut config = Config::default();
        config.recovery.ask_retry = true;
        let mut sync = ResilientSync::new(config, Instant::ZERO).unwrap();
        assert!(matches!(sync.may_retry(Instant::ZERO, may), Err(Misuse::NotNow { .. })));
        assert_eq!(actions(&mut sync), [Action::Connect { attempt: 1 }]);
        sync.connect_failed(Instant::ZERO, Bytes::from_static(b"refused")).unwrap();
        assert_eq!(actions(&mut sync), [Action::AskRetry]);
        sync.may_retry(Instant::ZERO, may).unwrap();
        let mut told = actions(&mut sync);
        assert_eq!(matches!(told.make_contiguous(), [Action::Wait { .. }]), may, "{told:?}");
        assert_eq!(sync.has_ended(), !may);
    }
}

/// There is something to read while there is a connection.
#[test]
fn peer_14_nothing_is_read_without_a_connection() {
    let sync = ResilientSync::new(Config::default(), Instant::ZERO).unwrap();
    assert!(!sync.wants_input());
    let mut sync = connected();
    assert!(sync.wants_input());
    sync.handle_closed(Instant::ZERO);
    actions(&mut sync);
    assert!(!sync.wants_input());
}
