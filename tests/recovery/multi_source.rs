//! A fetch from several sources against our own servers in memory, over links with a rate and faults: whatever becomes of
//! the sources, everything comes or what is missing is told, with the reason of every attempt.

use std::time::Duration;

use crate::common::Rng;
use bytes::Bytes;
use portline::{Blame, Instant};

use crate::sources::{Fault, Site, World, branches};
use crate::toy::{Repo, id};
use portline::git::{ObjectId, Version};
use portline::peer::MultiSourceFetch;
use portline::peer::multi_source::{
    Action, Config, Error, Failure, Holds, Misuse, Outcome, Report, Why, is_transient,
};
use portline::recovery::{Cause, Disconnect, Jitter, Phase, SharesConfig};

/// Without the lead and without chance, so that a test can say what happens.
fn config() -> Config {
    let mut config = Config::default();
    config.shares.lead = Duration::ZERO;
    config.recovery.backoff.jitter = Jitter::None;
    config
}

fn finished(world: &World) -> &Outcome {
    world.judge();
    world.end.as_ref().unwrap().as_ref().unwrap_or_else(|failure| panic!("{failure:?}"))
}

fn failed(world: &World) -> &Failure {
    world.judge();
    world.end.as_ref().unwrap().as_ref().unwrap_err()
}

fn units(sources: &[Report]) -> Vec<usize> {
    sources.iter().map(|source| source.work.units).collect()
}

fn causes(source: &Report) -> Vec<String> {
    source.attempts.iter().map(|attempt| attempt.cause.to_string()).collect()
}

/// Weighs every commit.
fn heavy(mut world: World, bytes: usize) -> World {
    let commits: Vec<ObjectId> =
        world.sites.iter().flat_map(|site| site.repo.commits.keys().copied()).collect();
    world.weights = commits.into_iter().map(|commit| (commit, bytes)).collect();
    world
}

#[test]
fn shares_1_each_want_comes_from_a_source_that_has_it() {
    for version in [Version::V0, Version::V1, Version::V2] {
        let (all, tips) = branches(3, 9, 2);
        let part = |range: std::ops::Range<usize>| {
            let mut repo = all.clone();
            repo.refs = repo.refs.into_iter().skip(range.start).take(range.len()).collect();
            Site::new(repo).version(version)
        };
        let world = World::new(config(), vec![part(0..3), part(3..6), part(6..9)], tips).run();
        assert_eq!(units(&finished(&world).sources), [3, 3, 3]);
        assert_eq!(world.heard, [1, 1, 1], "each is told once");
    }
}

#[test]
fn shares_1_a_source_that_counts_as_having_all_is_asked_for_what_it_does_not_show() {
    let (repo, tips) = branches(2, 4, 1);
    let mut shows_nothing = Site::new(repo.clone());
    shows_nothing.repo.refs.retain(|name, _| name.as_bytes().ends_with(b"b0000"));
    let world = World::new(config(), vec![shows_nothing], tips.clone()).run();
    assert_eq!(failed(&world).missing, tips[1..]);
    let mut shows_nothing = Site::new(repo);
    shows_nothing.repo.refs.retain(|name, _| name.as_bytes().ends_with(b"b0000"));
    shows_nothing.config.wants = portline::git::fetch::server::WantPolicy::Any;
    let world = World::new(Config { holds: Holds::Anything, ..config() }, vec![shows_nothing], tips).run();
    assert_eq!(units(&finished(&world).sources), [4]);
}

/// The session that showed the refs is used; then each share has its own.
#[test]
fn shares_2_the_first_share_needs_no_connection_of_its_own() {
    let (repo, tips) = branches(2, 1, 1);
    let world = World::new(config(), vec![Site::new(repo)], tips).run();
    finished(&world);
    assert_eq!(world.connects, [1]);
    let (repo, tips) = branches(2, 7, 1);
    let world = World::new(config(), vec![Site::new(repo)], tips).run();
    finished(&world);
    // RECOVERY-22: 1, 2, half of 4, and the rest, which is a quarter of what the pace allows.
    assert_eq!((world.connects, world.heard), (vec![4], vec![1]));
}

#[test]
fn shares_2_the_wants_may_be_told_before_any_source_was_heard() {
    let (repo, tips) = branches(2, 3, 1);
    let mut world = World::new(config(), vec![Site::new(repo.clone()), Site::new(repo)], tips.clone());
    world.machine.want(Instant::ZERO, tips, Vec::new()).unwrap();
    world.told = true;
    finished(&world.run());
    let (repo, _) = branches(2, 3, 1);
    let world = World::new(config(), vec![Site::new(repo)], Vec::new()).run();
    assert_eq!(units(&finished(&world).sources), [0]);
}

/// The history that all branches have in common comes once with a lead, and from each source without it.
#[test]
fn shares_3_what_the_wants_have_in_common_comes_once() {
    for (lead, times) in [(10, 1), (0, 3)] {
        let (repo, tips) = branches(100, 12, 2);
        let sites = (0..3).map(|_| Site::new(repo.clone())).collect();
        let mut config = config();
        config.shares.lead = Duration::from_secs(lead);
        let world = World::new(config, sites, tips).run();
        let outcome = finished(&world);
        assert_eq!(world.commits, 100 * times + 12 * 2, "{lead}");
        assert!(outcome.sources.iter().all(|source| source.work.units > 1), "{outcome:?}");
    }
}

/// A lead that takes too long is no lead.
#[test]
fn shares_3_a_slow_lead_holds_nobody_up_for_long() {
    let (repo, tips) = branches(10, 12, 2);
    let sites = vec![Site::new(repo.clone()).rate(1), Site::new(repo)];
    let mut config = config();
    config.shares.lead = Duration::from_secs(3);
    let world = heavy(World::new(config, sites, tips), 2000).run();
    let outcome = finished(&world);
    assert!(world.millis() < 10_000, "{} ms", world.millis());
    assert!(outcome.sources[1].work.units >= 11, "{outcome:?}");
}

#[test]
fn shares_4_a_share_that_is_being_stored_is_not_taken_over() {
    let (repo, tips) = branches(1, 2, 1);
    let mut world = World::new(config(), vec![Site::new(repo.clone()), Site::new(repo)], tips);
    world.store = 60_000;
    let world = world.run();
    let outcome = finished(&world);
    assert_eq!((units(&outcome.sources), world.commits), (vec![1, 1], 4));
    assert!(outcome.sources.iter().all(|source| source.work.busy < Duration::from_secs(1)), "{outcome:?}");
}

#[test]
fn shares_4_a_source_whose_pack_cannot_be_stored_is_given_up() {
    let (repo, tips) = branches(1, 5, 1);
    let mut liar = Site::new(repo.clone());
    liar.lies = true;
    let world = World::new(config(), vec![liar, Site::new(repo)], tips).run();
    let outcome = finished(&world);
    assert_eq!(units(&outcome.sources), [0, 5]);
    assert!(outcome.sources[0].gave_up && !outcome.sources[1].gave_up);
    assert!(causes(&outcome.sources[0])[0].contains("the pack cannot be stored: "), "{outcome:?}");
}

/// Nobody waits for the rest of a pack that is known to be wrong.
#[test]
fn shares_4_a_pack_may_be_refused_before_its_end() {
    let bytes = |picky| {
        let (repo, tips) = branches(1, 2, 1);
        let mut liar = Site::new(repo.clone());
        liar.lies = true;
        let mut world = heavy(World::new(config(), vec![liar, Site::new(repo)], tips), 1_000_000);
        world.picky = picky;
        let world = world.run();
        let outcome = finished(&world);
        assert_eq!((units(&outcome.sources), outcome.sources[0].gave_up), (vec![0, 2], true));
        assert!(causes(&outcome.sources[0])[0].contains("the pack cannot be stored: "), "{outcome:?}");
        outcome.sources[0].work.bytes
    };
    let (all, some) = (bytes(false), bytes(true));
    assert!(some < 100_000 && all > 1_000_000, "{some} {all}");
}

#[test]
fn shares_5_a_source_that_failed_comes_back_and_its_share_goes_to_the_others_meanwhile() {
    let (repo, tips) = branches(1, 100, 1);
    let breaks = Site::new(repo.clone()).faults(&[Fault::Cut(20_000), Fault::Refused]);
    let world = heavy(World::new(config(), vec![breaks, Site::new(repo)], tips), 60_000).run();
    let outcome = finished(&world);
    assert_eq!(causes(&outcome.sources[0]), ["the peer has disconnected", "could not connect: refused"]);
    assert!(!outcome.sources[0].gave_up && outcome.sources[0].work.units > 0, "{outcome:?}");
    let waits: Vec<&String> = world.trace.iter().filter(|line| line.contains("wait")).collect();
    assert_eq!(waits.len(), 2);
    // The second delay is twice the first.
    let attempts = &outcome.sources[0].attempts;
    assert_eq!(attempts[1].began.saturating_duration_since(attempts[0].ended), Duration::from_secs(1));
}

#[test]
fn shares_5_attempts_begin_anew_with_each_share_and_end_without_one() {
    let (repo, tips) = branches(1, 3, 1);
    let cut = Fault::Cut(2000);
    // Three failures, the third attempt's share, and three more: never four in a row.
    let faults = [cut, cut, cut, Fault::None, cut, cut, cut];
    let world =
        heavy(World::new(config(), vec![Site::new(repo.clone()).faults(&faults)], tips.clone()), 3000);
    let world = world.run();
    assert_eq!((units(&finished(&world).sources), world.connects), (vec![3], vec![9]));
    let world =
        heavy(World::new(config(), vec![Site::new(repo).faults(&[cut; 4])], tips.clone()), 3000).run();
    let failure = failed(&world);
    assert_eq!((&failure.missing, failure.why), (&tips, Why::Exhausted));
    assert_eq!(causes(&failure.sources[0]), ["the peer has disconnected"; 4]);
    assert!(failure.sources[0].gave_up);
}

/// A server that closes the session that waits for wants is connected to anew.
#[test]
fn shares_5_a_session_that_ends_unasked_is_no_failure() {
    let (_, tips) = branches(1, 1, 1);
    let mut fetch = MultiSourceFetch::new(config(), Instant::ZERO).unwrap();
    let source = fetch.add_source(Instant::ZERO, None).unwrap();
    fetch.no_more_sources();
    let connect = |fetch: &mut MultiSourceFetch| {
        assert_eq!(fetch.poll_action(), Some(Action::Connect { source }));
        fetch.connected(Instant::ZERO, source).unwrap();
    };
    connect(&mut fetch);
    let line = format!("{} refs/heads/b0000\0\n", tips[0]);
    let listing = format!("{:04x}{line}0000", line.len() + 4);
    fetch.handle_bytes(Instant::ZERO, source, Bytes::from(listing));
    assert!(matches!(fetch.poll_action(), Some(Action::Advertised { .. })));
    fetch.handle_closed(Instant::ZERO, source);
    assert_eq!(fetch.poll_action(), Some(Action::Disconnect { source }));
    assert_eq!(fetch.poll_action(), None);
    fetch.want(Instant::ZERO, tips, Vec::new()).unwrap();
    connect(&mut fetch);
}

#[test]
fn shares_6_a_slow_source_loses_its_share_to_an_idle_one() {
    let (repo, tips) = branches(1, 2, 1);
    let sites = vec![Site::new(repo.clone()).rate(10), Site::new(repo)];
    let world = heavy(World::new(config(), sites, tips), 100_000).run();
    let outcome = finished(&world);
    assert_eq!(units(&outcome.sources), [0, 2]);
    assert_eq!(causes(&outcome.sources[0]), ["another source was quicker, and took the share over"]);
    assert_eq!((outcome.sources[0].work.given_back, outcome.sources[0].gave_up), (1, false));
    assert!(world.millis() < 3000, "{} ms", world.millis());
}

#[test]
fn shares_7_silence_and_unanswered_connections_have_their_times() {
    let (repo, tips) = branches(1, 2, 1);
    let faults = [Fault::Unanswered, Fault::Stall(10), Fault::None, Fault::Stall(2000)];
    let world = heavy(World::new(config(), vec![Site::new(repo).faults(&faults)], tips), 3000).run();
    let outcome = finished(&world);
    let words = [
        "connecting took longer than 30s",
        "the peer's silence took longer than 30s",
        "the peer's silence took longer than 30s",
    ];
    assert_eq!(causes(&outcome.sources[0]), words);
    assert!(
        matches!(outcome.sources[0].attempts[0].cause, Cause::TimedOut { phase: Phase::Connect, .. }),
        "{outcome:?}"
    );
}

/// A source that drips is not silent; its pack has a time of its own, and so has everything together.
#[test]
fn shares_7_the_pack_and_the_whole_fetch_have_their_times() {
    let (repo, tips) = branches(1, 1, 1);
    let mut short = config();
    short.recovery.transfer_timeout = Some(Duration::from_secs(5));
    short.recovery.backoff.retries = 1;
    let site = || Site::new(repo.clone()).rate(1);
    let world = heavy(World::new(short, vec![site()], tips.clone()), 1_000_000).run();
    assert_eq!(causes(&failed(&world).sources[0]), ["the transfer took longer than 5s"; 2]);
    let mut short = config();
    short.recovery.backoff.deadline = Some(Duration::from_secs(7));
    let world = heavy(World::new(short, vec![site()], tips.clone()), 1_000_000).run();
    let (after, failure) = (Duration::from_secs(7), failed(&world));
    assert_eq!((failure.why, &failure.missing, world.millis()), (Why::Deadline { after }, &tips, 7000));
    assert_eq!(causes(&failure.sources[0]), ["the whole operation with its retries took longer than 7s"]);
}

/// SHARES-8: the flush of a session that is not needed any more is sent before its connection is dropped.
#[test]
fn shares_8_a_session_that_is_not_needed_says_so() {
    let (_, tips) = branches(1, 1, 1);
    let mut fetch = MultiSourceFetch::new(config(), Instant::ZERO).unwrap();
    let source = fetch.add_source(Instant::ZERO, None).unwrap();
    fetch.poll_action();
    fetch.connected(Instant::ZERO, source).unwrap();
    let line = format!("{} refs/heads/b0000\0\n", tips[0]);
    fetch.handle_bytes(Instant::ZERO, source, Bytes::from(format!("{:04x}{line}0000", line.len() + 4)));
    assert!(matches!(fetch.poll_action(), Some(Action::Advertised { .. })));
    fetch.want(Instant::ZERO, Vec::new(), Vec::new()).unwrap();
    assert_eq!(fetch.poll_action(), Some(Action::Disconnect { source }));
    assert!(matches!(fetch.poll_action(), Some(Action::Finished(_))));
    assert_eq!(fetch.poll_transmit(source).unwrap().into_bytes(), "0000");
    assert!(fetch.poll_transmit(source).is_none() && !fetch.wants_input(source));
}

#[test]
fn shares_9_what_a_source_refuses_goes_to_the_others() {
    let (all, tips) = branches(1, 6, 1);
    let (none, _) = branches(1, 1, 1);
    for version in [Version::V0, Version::V2] {
        let sites = vec![Site::new(none.clone()).version(version), Site::new(all.clone()).version(version)];
        let world = World::new(Config { holds: Holds::Anything, ..config() }, sites, tips.clone()).run();
        let outcome = finished(&world);
        assert!(units(&outcome.sources)[1] >= 5, "{outcome:?}");
        assert!(!outcome.sources[0].gave_up, "{outcome:?}");
    }
}

/// A server does not say which want it has not got, nor that there is but one.
#[test]
fn shares_9_one_want_that_is_refused_does_not_condemn_those_that_were_asked_for_with_it() {
    let (repo, mut tips) = branches(1, 9, 1);
    for at in [2, 6] {
        tips.insert(at, id(70 + at as u64));
    }
    for version in [Version::V0, Version::V2] {
        let site = Site::new(repo.clone()).version(version);
        let world = World::new(Config { holds: Holds::Anything, ..config() }, vec![site], tips.clone()).run();
        let failure = failed(&world);
        assert_eq!((failure.why, &failure.missing[..]), (Why::Exhausted, &[id(72), id(76)][..]));
        assert_eq!(units(&failure.sources), [9]);
    }
}

#[test]
fn shares_10_what_is_missing_is_told_in_its_order_with_every_reason() {
    let (repo, mut tips) = branches(1, 4, 1);
    let nowhere = [id(77), id(78)];
    tips.splice(1..1, nowhere);
    let sites = vec![
        Site::new(repo.clone()).faults(&[Fault::Refused; 4]),
        Site::new(repo.clone()).faults(&[Fault::Cut(5); 4]),
        Site::new(repo),
    ];
    let world = World::new(config(), sites, tips).run();
    let failure = failed(&world);
    assert_eq!((failure.why, &failure.missing[..]), (Why::Exhausted, &nowhere[..]));
    assert_eq!(causes(&failure.sources[0]), ["could not connect: refused"; 4]);
    assert_eq!(causes(&failure.sources[1]), ["the peer has disconnected"; 4]);
    assert_eq!((causes(&failure.sources[2]).len(), units(&failure.sources)), (0, vec![0, 0, 4]));
    assert!(failure.sources[0].gave_up && failure.sources[1].gave_up && !failure.sources[2].gave_up);
    assert_eq!(failure.why.to_string(), "no source is left that has what is missing");
}

#[test]
fn shares_10_no_source_that_answers_is_an_end_too() {
    let world = World::new(config(), vec![Site::new(Repo::default()).faults(&[Fault::Refused; 4])], vec![]);
    assert_eq!(failed(&world.run()).why, Why::Exhausted);
    let mut none = MultiSourceFetch::new(config(), Instant::ZERO).unwrap();
    assert_eq!(none.poll_action(), None);
    none.want(Instant::ZERO, vec![id(1)], Vec::new()).unwrap();
    assert_eq!((none.poll_action(), none.left()), (None, Some(1)));
    none.no_more_sources();
    let Some(Action::Failed(failure)) = none.poll_action() else { panic!() };
    assert_eq!((failure.missing, failure.sources.len()), (vec![id(1)], 0));
}

#[test]
fn shares_10_cancelling_drops_everything_and_tells_what_is_missing() {
    let (mut fetch, now) = (MultiSourceFetch::new(config(), Instant::ZERO).unwrap(), Instant::from_millis(5));
    let source = fetch.add_source(Instant::ZERO, None).unwrap();
    fetch.want(Instant::ZERO, vec![id(2), id(1)], Vec::new()).unwrap();
    fetch.poll_action();
    fetch.cancel(now);
    fetch.cancel(now);
    assert_eq!(fetch.poll_action(), Some(Action::Disconnect { source }));
    let Some(Action::Failed(failure)) = fetch.poll_action() else { panic!() };
    assert_eq!((failure.why, failure.missing), (Why::Cancelled, vec![id(2), id(1)]));
    assert_eq!(
        (failure.sources[0].attempts[0].cause.clone(), failure.sources[0].gave_up),
        (Cause::Cancelled, false)
    );
    assert_eq!((fetch.poll_action(), fetch.poll_timeout()), (None, None));
}

/// T10.
#[test]
fn shares_11_caps_and_misuse() {
    let now = Instant::ZERO;
    let shares = SharesConfig { max_peers: 2, max_units: 2, ..SharesConfig::default() };
    let mut fetch = MultiSourceFetch::new(Config { shares, ..config() }, now).unwrap();
    assert_eq!(Config::default().shares.max_peers, 1024);
    let source = fetch.add_source(now, None).unwrap();
    fetch.add_source(now, None).unwrap();
    assert_eq!(fetch.add_source(now, None), Err(Misuse::TooMany { what: "sources", limit: 2 }));
    assert_eq!(fetch.pack_stored(now, source, Ok(())), Err(Misuse::NotNow { verb: "pack_stored" }));
    let null = ObjectId::null(portline::git::ObjectFormat::Sha1);
    assert_eq!(fetch.want(now, vec![null], vec![]), Err(Misuse::NullWant));
    let many = vec![id(1), id(2), id(3)];
    assert_eq!(fetch.want(now, many, vec![]), Err(Misuse::TooMany { what: "units", limit: 2 }));
    fetch.want(now, vec![id(1)], vec![]).unwrap();
    assert_eq!(fetch.want(now, vec![id(1)], vec![]), Err(Misuse::NotNow { verb: "want" }));
    fetch.connected(now, source).unwrap();
    assert_eq!(fetch.connected(now, source), Err(Misuse::NotNow { verb: "connected" }));
    let refused = fetch.connect_failed(now, source, Bytes::new());
    assert_eq!(refused, Err(Misuse::NotNow { verb: "connect_failed" }));
    fetch.no_more_sources();
    assert_eq!(fetch.add_source(now, None), Err(Misuse::NotNow { verb: "add_source" }));
    fetch.cancel(now);
    assert_eq!(fetch.connected(now, source), Err(Misuse::Ended { verb: "connected" }));
    assert!(fetch.session(source).is_none());
    let mut shrinks = config();
    shrinks.recovery.backoff.factor_percent = 50;
    assert!(MultiSourceFetch::new(shrinks, now).is_err());
}

#[test]
fn shares_5_what_a_source_says_is_final_and_what_its_connection_does_is_not() {
    let closed = Cause::Disconnected { at: Instant::ZERO, why: Disconnect::Closed };
    let store = Error::Store { reason: Bytes::from_static(b"no space") };
    let said = portline::git::SessionError::Remote { message: Bytes::from_static(b"no") };
    let said = Error::Fetch(portline::git::fetch::client::Error::Session(said));
    assert!(is_transient(&closed) && is_transient(&Cause::Session { error: Error::Slow }));
    assert!(!is_transient(&Cause::Session { error: said.clone() }) && said.blame() == Blame::Peer);
    assert!(!is_transient(&Cause::Aborted { moved: 1, expected: None, error: store }));
}

/// One run with faults from a seed.
fn chaos(seed: u64) -> World {
    let mut rng = Rng::new(seed);
    let (all, tips) = branches(1 + rng.below(20) as u64, 2 + rng.below(30) as u64, 1 + rng.below(3) as u64);
    let mut sites = Vec::new();
    for _ in 0..2 + rng.below(3) {
        let mut repo = all.clone();
        if rng.below(3) == 0 {
            repo.refs.retain(|_, _| rng.below(3) > 0);
        }
        let version = [Version::V0, Version::V1, Version::V2][rng.below(3)];
        let mut site = Site::new(repo).version(version).rate(1 + rng.below(2000) as u64);
        site.latency = rng.below(200) as u64;
        site.lies = rng.below(12) == 0;
        for _ in 0..rng.below(12) {
            let bytes = rng.below(100_000) as u64;
            site.faults.push_back(match rng.below(9) {
                0 => Fault::Refused,
                1 => Fault::Unanswered,
                2..=3 => Fault::Cut(bytes),
                4 => Fault::Stall(bytes),
                _ => Fault::None,
            });
        }
        if rng.below(4) == 0 {
            site.dies = rng.below(60_000) as u64;
        }
        sites.push(site);
    }
    let mut config = Config::default();
    config.recovery.backoff.seed = seed;
    config.recovery.backoff.deadline = Some(Duration::from_secs(600));
    if rng.below(2) == 0 {
        config.shares.lead = Duration::ZERO;
    }
    let mut world = heavy(World::new(config, sites, tips), rng.below(20_000));
    world.store = rng.below(2000) as u64;
    world.run()
}

/// SHARES-5, SHARES-8, SHARES-10, T13. `PORTLINE_SEEDS` runs more of them.
#[test]
fn shares_10_any_faults_end_with_all_of_it_or_with_what_is_missing() {
    let seeds: u64 = std::env::var("PORTLINE_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(150);
    let (mut complete, mut failures) = (0, 0);
    for seed in 0..seeds {
        let world = chaos(seed);
        world.judge();
        assert!(world.millis() <= 600_000, "seed {seed}");
        let sources = match world.end.as_ref().unwrap() {
            Ok(outcome) => {
                complete += 1;
                &outcome.sources
            }
            Err(failure) => {
                assert!(!failure.missing.is_empty() || world.wants.is_empty() || !world.told, "seed {seed}");
                &failure.sources
            }
        };
        for source in sources {
            failures += source.attempts.len();
            assert!(!source.gave_up || !source.attempts.is_empty(), "seed {seed}: {source:?}");
        }
    }
    assert!(complete * 10 > seeds * 6 && complete < seeds, "{complete} of {seeds}");
    assert!(failures as u64 > seeds, "{failures} failed attempts");
}

#[test]
fn shares_10_the_same_seed_gives_the_same_trace() {
    for seed in 0..20 {
        assert_eq!(chaos(seed).trace, chaos(seed).trace, "seed {seed}");
    }
}
