//! A fetch from one or two sources, said word by word: whose fault an end is, what comes too early or too late, and what
//! is left.

use std::time::Duration;

use bytes::Bytes;
use portline::Instant;
use portline::git::ObjectId;
use portline::git::fetch::client;
use portline::peer::MultiSourceFetch;
use portline::peer::multi_source::{Action, Config, Holds, Misuse, SourceId, Why};
use portline::recovery::{Cause, Jitter, Phase};

use crate::toy::id;

const NOW: Instant = Instant::ZERO;

fn config(holds: Holds) -> Config {
    let mut config = Config { holds, ..Config::default() };
    config.shares.lead = Duration::ZERO;
    config.recovery.backoff.jitter = Jitter::None;
    config
}

fn packet(payload: &str) -> String {
    format!("{:04x}{payload}", payload.len() + 4)
}

fn hear(fetch: &mut MultiSourceFetch, source: SourceId, said: &str) {
    fetch.handle_bytes(NOW, source, Bytes::copy_from_slice(said.as_bytes()));
}

/// Everything that it says to a source.
fn said(fetch: &mut MultiSourceFetch, source: SourceId) -> String {
    let said = core::iter::from_fn(|| fetch.poll_transmit(source));
    said.map(|said| String::from_utf8(said.into_bytes().to_vec()).unwrap()).collect()
}

/// Connects a source that shows `main` at `shown`, in version 0.
fn connect(fetch: &mut MultiSourceFetch, source: SourceId, shown: ObjectId) {
    assert_eq!(fetch.poll_action(), Some(Action::Connect { source }));
    fetch.connected(NOW, source).unwrap();
    let refs = packet(&format!("{shown} refs/heads/main\0side-band-64k allow-any-sha1-in-want")) + "0000";
    hear(fetch, source, &refs);
}

/// One source, asked for one want, of which nothing has come yet.
fn asked(config: Config) -> (MultiSourceFetch, SourceId) {
    let mut fetch = MultiSourceFetch::new(config, NOW).unwrap();
    let source = fetch.add_source(NOW, None).unwrap();
    fetch.no_more_sources();
    connect(&mut fetch, source, id(1));
    assert!(matches!(fetch.poll_action(), Some(Action::Advertised { .. })));
    fetch.want(NOW, vec![id(1)], Vec::new()).unwrap();
    let held = Action::Fetch { source, action: client::Action::FindHeld(vec![id(1)]) };
    assert_eq!(fetch.poll_action(), Some(held));
    fetch.session(source).unwrap().held(NOW, Vec::new()).unwrap();
    assert_eq!(fetch.poll_action(), None);
    assert!(said(&mut fetch, source).ends_with("0009done\n"));
    (fetch, source)
}

fn causes(fetch: &mut MultiSourceFetch) -> Vec<String> {
    fetch.cancel(NOW);
    let Some(Action::Failed(failure)) = core::iter::from_fn(|| fetch.poll_action()).last() else {
        panic!("it goes on")
    };
    failure.sources[0].attempts.iter().map(|attempt| attempt.cause.to_string()).collect()
}

/// SHARES-5, SHARES-9: only a refusal in words, before anything of the pack, says that a want is not there.
#[test]
fn shares_9_a_connection_that_breaks_refuses_nothing() {
    let (mut fetch, source) = asked(config(Holds::Anything));
    fetch.handle_closed(NOW, source);
    let until = Instant::from_millis(1_000);
    let told: Vec<_> = core::iter::from_fn(|| fetch.poll_action()).collect();
    assert_eq!(told, [Action::Disconnect { source }, Action::Wait { source, until }]);
    assert_eq!(causes(&mut fetch), ["the peer has disconnected"]);

    // Words behind the beginning of the pack are the session's failure, which is final.
    let (mut fetch, source) = asked(config(Holds::Anything));
    hear(&mut fetch, source, &(packet("NAK\n") + &packet("\u{1}PACK")));
    assert!(matches!(fetch.poll_action(), Some(Action::Fetch { action: client::Action::Pack(_), .. })));
    hear(&mut fetch, source, &packet("\u{3}the disk is full"));
    let told: Vec<_> = core::iter::from_fn(|| fetch.poll_action()).collect();
    let [Action::Disconnect { .. }, Action::Failed(failure)] = &told[..] else { panic!("{told:?}") };
    assert!(failure.sources[0].gave_up);
}

/// SHARES-5, SHARES-9: a source whose refs are known to show a want, and which refuses it, is a source that fails.
#[test]
fn shares_5_a_refusal_of_what_was_shown_is_a_failure() {
    let (mut fetch, source) = asked(config(Holds::Advertised));
    hear(&mut fetch, source, &packet("ERR upload-pack: not our ref"));
    let told: Vec<_> = core::iter::from_fn(|| fetch.poll_action()).collect();
    let [Action::Disconnect { .. }, Action::Failed(failure)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((failure.why, failure.sources[0].gave_up), (Why::Exhausted, true));
    // Where that is not known the want is missing, and the source is as good as before.
    let (mut fetch, source) = asked(config(Holds::Anything));
    hear(&mut fetch, source, &packet("ERR upload-pack: not our ref"));
    let told: Vec<_> = core::iter::from_fn(|| fetch.poll_action()).collect();
    let [Action::Disconnect { .. }, Action::Failed(failure)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((failure.why, failure.sources[0].gave_up), (Why::Exhausted, false));
}

/// SHARES-5: a source rests until its time has come.
#[test]
fn shares_5_a_source_that_rests_is_left_in_peace() {
    let mut fetch = MultiSourceFetch::new(config(Holds::Advertised), NOW).unwrap();
    let source = fetch.add_source(NOW, None).unwrap();
    assert_eq!(fetch.poll_action(), Some(Action::Connect { source }));
    fetch.connect_failed(NOW, source, Bytes::from_static(b"refused")).unwrap();
    let until = Instant::from_millis(1_000);
    assert_eq!(fetch.poll_action(), Some(Action::Wait { source, until }));
    assert_eq!(fetch.poll_timeout(), Some(until));
    fetch.handle_timeout(Instant::from_millis(999));
    assert_eq!(fetch.poll_action(), None);
    fetch.handle_timeout(until);
    assert_eq!(fetch.poll_action(), Some(Action::Connect { source }));
}

/// SHARES-7: time that is up when all of the pack has come takes nothing away.
#[test]
fn shares_7_what_has_all_come_is_not_late() {
    let (mut fetch, source) = asked(config(Holds::Advertised));
    hear(&mut fetch, source, &(packet("NAK\n") + &packet("\u{1}PACK")));
    assert!(matches!(fetch.poll_action(), Some(Action::Fetch { action: client::Action::Pack(_), .. })));
    let due = fetch.poll_timeout().unwrap();
    hear(&mut fetch, source, "0000");
    assert_eq!(fetch.poll_timeout(), None, "there is nothing to wait for");
    let late = Instant::from_millis(500_000);
    assert!(late > due);
    fetch.handle_timeout(late);
    let told: Vec<_> = core::iter::from_fn(|| fetch.poll_action()).collect();
    let wants = vec![id(1)];
    assert_eq!(told, [Action::PackEnd { source, wants }, Action::Disconnect { source }]);
    fetch.pack_stored(late, source, Ok(())).unwrap();
    assert!(matches!(fetch.poll_action(), Some(Action::Finished(_))));
}

/// There is nothing to store before the pack has begun; from then on storing it may fail.
#[test]
fn shares_11_a_pack_that_has_not_begun_cannot_have_failed() {
    let (mut fetch, source) = asked(config(Holds::Advertised));
    let no_space = || Err(Bytes::from_static(b"no space"));
    let misuse = Err(Misuse::NotNow { verb: "pack_stored" });
    assert_eq!(fetch.pack_stored(NOW, source, no_space()), misuse);
    hear(&mut fetch, source, &(packet("NAK\n") + &packet("\u{1}PACK")));
    assert!(matches!(fetch.poll_action(), Some(Action::Fetch { action: client::Action::Pack(_), .. })));
    assert_eq!(fetch.pack_stored(NOW, source, Ok(())), misuse);
    fetch.pack_stored(NOW, source, no_space()).unwrap();
    assert_eq!(fetch.poll_action(), Some(Action::Disconnect { source }));
}

/// What is left counts down from all wants, and there is no such number before and after.
#[test]
fn shares_10_what_is_left_is_told_as_long_as_something_is() {
    let mut fetch = MultiSourceFetch::new(config(Holds::Advertised), NOW).unwrap();
    assert_eq!(fetch.left(), None);
    fetch.want(NOW, vec![id(1), id(2), id(3)], Vec::new()).unwrap();
    assert_eq!(fetch.left(), Some(3));
    fetch.cancel(NOW);
    assert_eq!(fetch.left(), None);
}

/// T10: the reasons that are kept of one source are bounded; at the bound it is given up.
#[test]
fn shares_10_a_source_that_always_fails_is_given_up_at_last() {
    let mut config = config(Holds::Advertised);
    config.recovery.backoff.retries = u32::MAX;
    config.recovery.backoff.deadline = None;
    let mut fetch = MultiSourceFetch::new(config, NOW).unwrap();
    let source = fetch.add_source(NOW, None).unwrap();
    fetch.no_more_sources();
    let mut now = NOW;
    for _ in 0..10_000 {
        assert_eq!(fetch.poll_action(), Some(Action::Connect { source }));
        fetch.connect_failed(now, source, Bytes::new()).unwrap();
        let Some(Action::Wait { until, .. }) = fetch.poll_action() else { panic!("at {now:?}") };
        now = until;
        fetch.handle_timeout(now);
    }
    let Some(Action::Failed(failure)) = fetch.poll_action() else { panic!("it goes on") };
    assert_eq!((failure.why, failure.sources[0].attempts.len()), (Why::Exhausted, 10_000));
    assert!(failure.sources[0].gave_up);
    let last = &failure.sources[0].attempts[9_999].cause;
    assert!(!matches!(last, Cause::TimedOut { phase: Phase::Overall, .. }), "{last:?}");
}
