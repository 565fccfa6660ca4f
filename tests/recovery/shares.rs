//! One job among several peers: who fails, lies or is slow gives its share back, and the result is complete or says what
//! is missing.

use std::time::Duration;

use portline::Instant;
use portline::recovery::{
    PeerId, Shares, SharesAction as Action, SharesConfig as Config, SharesMisuse as Misuse,
};
use portline::recovery::{SharesOutcome as Outcome, Work};

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn actions(shares: &mut Shares<u32>) -> Vec<Action<u32>> {
    core::iter::from_fn(|| shares.poll_action()).collect()
}

fn fetch(peer: PeerId, units: &[u32]) -> Action<u32> {
    Action::Fetch { peer, units: units.to_vec() }
}

/// A job of so many units, its peers all with everything.
fn job(units: u32, peers: usize) -> (Shares<u32>, Vec<PeerId>) {
    let mut shares = Shares::new(Config::default(), 0..units).unwrap();
    let peers = (0..peers).map(|_| shares.add_peer(at(0), 0..units).unwrap()).collect();
    shares.no_more_peers();
    (shares, peers)
}

#[test]
fn recovery_21_each_unit_goes_to_one_peer_that_has_it() {
    let mut shares = Shares::new(Config::default(), [7, 8, 7, 9]).unwrap();
    assert_eq!((shares.left(), actions(&mut shares)), (3, vec![]));
    assert!(shares.is_wanted(&9) && !shares.is_wanted(&100));
    let a = shares.add_peer(at(0), [9, 100]).unwrap();
    let b = shares.add_peer(at(0), [9]).unwrap();
    let c = shares.add_peer(at(0), [7, 8]).unwrap();
    assert_eq!(actions(&mut shares), [fetch(a, &[9]), fetch(c, &[7])]);
    shares.finished(at(1), c, &[]).unwrap();
    assert_eq!(actions(&mut shares), [fetch(c, &[8])]);
    shares.finished(at(1), a, &[]).unwrap();
    shares.failed(at(1), b).unwrap();
    shares.finished(at(2), c, &[]).unwrap();
    let [Action::Finished(outcome)] = &actions(&mut shares)[..] else { panic!() };
    let brought: Vec<usize> = outcome.peers.iter().map(|peer| peer.units).collect();
    assert_eq!((outcome.missing.len(), brought), (0, vec![1, 0, 2]));
}

/// RECOVERY-22: one that is much slower is given the last units only where nobody else has them.
#[test]
fn recovery_22_the_last_of_it_waits_for_the_quick_but_for_what_only_the_slow_have() {
    for only_slow in [false, true] {
        let mut shares = Shares::new(Config::default(), 0..4).unwrap();
        let quick = shares.add_peer(at(0), if only_slow { 0..3 } else { 0..4 }).unwrap();
        let slow = shares.add_peer(at(0), 1..4).unwrap();
        shares.no_more_peers();
        assert_eq!(actions(&mut shares), [fetch(quick, &[0]), fetch(slow, &[1])]);
        shares.finished(at(1), quick, &[]).unwrap();
        assert_eq!(actions(&mut shares), [fetch(quick, &[2])]);
        // A millisecond for a unit there, and a thousand here.
        shares.finished(at(1000), slow, &[]).unwrap();
        let told = actions(&mut shares);
        assert_eq!(told, if only_slow { vec![fetch(slow, &[3])] } else { vec![] });
    }
}

/// RECOVERY-22: of two that are equally quick, each has half of what is open, and that is enough for the last unit.
#[test]
fn recovery_22_the_last_of_it_goes_to_whoever_is_idle_among_the_quick() {
    let (mut shares, peers) = job(5, 2);
    assert_eq!(actions(&mut shares), [fetch(peers[0], &[0]), fetch(peers[1], &[1])]);
    for (time, peer, next) in [(1000, 0, 2), (1000, 1, 3), (2000, 0, 4)] {
        shares.finished(at(time), peers[peer], &[]).unwrap();
        assert_eq!(actions(&mut shares), [fetch(peers[peer], &[next])]);
    }
}

#[test]
fn recovery_22_shares_double_and_shrink_again_towards_the_end() {
    let (mut shares, peers) = job(1000, 1);
    let mut sizes = Vec::new();
    while let Some(Action::Fetch { units, .. }) = shares.poll_action() {
        sizes.push(units.len());
        shares.finished(at(1), peers[0], &[]).unwrap();
    }
    assert_eq!(sizes[..8], [1, 2, 4, 8, 16, 32, 64, 64]);
    // Half of what is open, but not less than a quarter of 64.
    assert_eq!(sizes[sizes.len() - 5..], [64, 52, 26, 16, 11]);
    assert_eq!(sizes.iter().sum::<usize>(), 1000);

    let (mut shares, peers) = job(1000, 1);
    let (mut now, mut sizes) = (0, Vec::new());
    for took in [0, 250, 500, 250, 1000, 400, 5000, 5000, 5000, 5000] {
        let Some(Action::Fetch { units, .. }) = shares.poll_action() else { panic!() };
        sizes.push(units.len());
        now += took;
        shares.finished(at(now), peers[0], &[]).unwrap();
    }
    assert_eq!(sizes, [1, 2, 4, 4, 8, 4, 5, 2, 1, 1]);
}

#[test]
fn recovery_23_what_a_peer_does_not_bring_goes_to_the_others() {
    let (mut shares, peers) = job(2, 2);
    let (a, b) = (peers[0], peers[1]);
    assert_eq!(actions(&mut shares), [fetch(a, &[0]), fetch(b, &[1])]);
    shares.finished(at(1), a, &[0, 1]).unwrap();
    assert_eq!(actions(&mut shares), [], "it has neither of them, and the other is at one of them");
    shares.finished(at(2), b, &[]).unwrap();
    assert_eq!(actions(&mut shares), [fetch(b, &[0])]);
    shares.failed(at(3), b).unwrap();
    let work = |units, given_back| Work { units, given_back, busy: Duration::from_millis(0), bytes: 0 };
    let [Action::Finished(Outcome { missing, peers })] = &actions(&mut shares)[..] else { panic!() };
    assert_eq!(missing, &[0]);
    let peers: Vec<Work> = peers.iter().map(|peer| Work { busy: Duration::ZERO, ..*peer }).collect();
    assert_eq!(peers, [work(0, 0), work(1, 1)]);
}

#[test]
fn recovery_24_a_slow_peer_gives_its_share_to_an_idle_one() {
    let (mut shares, peers) = job(2, 2);
    let (slow, quick) = (peers[0], peers[1]);
    actions(&mut shares);
    assert_eq!(shares.poll_timeout(), None, "nobody is idle");
    shares.moved(slow, 1000);
    shares.moved(quick, 4000);
    shares.finished(at(1000), quick, &[]).unwrap();
    assert_eq!(
        (actions(&mut shares), shares.poll_timeout()),
        (vec![], Some(at(3000))),
        "not before its time"
    );
    shares.handle_timeout(at(2999));
    assert_eq!(actions(&mut shares), []);
    shares.handle_timeout(at(3000));
    assert_eq!(actions(&mut shares), [Action::Cancel { peer: slow }, fetch(quick, &[0])]);
    assert_eq!(shares.finished(at(3001), slow, &[]), Err(Misuse::NotBusy { verb: "finished" }));
    shares.finished(at(3500), quick, &[]).unwrap();
    let [Action::Finished(outcome)] = &actions(&mut shares)[..] else { panic!() };
    assert_eq!((outcome.peers[0].given_back, outcome.peers[0].bytes), (1, 1000));

    // One that is not so much slower is left alone.
    let (mut shares, peers) = job(2, 2);
    actions(&mut shares);
    shares.moved(peers[1], 4000);
    shares.finished(at(1000), peers[1], &[]).unwrap();
    shares.moved(peers[0], 4000);
    shares.handle_timeout(at(3000));
    assert_eq!(actions(&mut shares), []);
}

/// RECOVERY-26: a share that was taken from a peer came to its end all the same, before the driver heard of it: that is
/// not the end of the share that the peer was given instead.
#[test]
fn recovery_26_a_late_end_is_not_that_of_the_next_share() {
    let (mut shares, peers) = job(3, 2);
    let (slow, quick) = (peers[0], peers[1]);
    assert_eq!(actions(&mut shares), [fetch(slow, &[0]), fetch(quick, &[1])]);
    shares.moved(quick, 4000);
    shares.finished(at(10), quick, &[]).unwrap();
    assert_eq!(actions(&mut shares), [fetch(quick, &[2])]);
    shares.moved(quick, 4000);
    // Both are open, and one goes back to the slow one.
    shares.finished(at(2000), quick, &[2]).unwrap();
    let late = Misuse::NotBusy { verb: "finished" };
    assert_eq!(shares.finished(at(2001), slow, &[]), Err(late));
    shares.moved(slow, 1_000_000);
    assert_eq!(actions(&mut shares), [Action::Cancel { peer: slow }, fetch(quick, &[0]), fetch(slow, &[2])]);
    assert_eq!(shares.left(), 2, "neither of them is there");
    shares.moved(slow, 5);
    shares.finished(at(2100), slow, &[]).unwrap();
    shares.finished(at(2100), quick, &[]).unwrap();
    let Some(Action::Finished(outcome)) = actions(&mut shares).pop() else { panic!() };
    assert_eq!((outcome.missing.len(), outcome.peers[0].units, outcome.peers[0].bytes), (0, 1, 5));
}

/// RECOVERY-26: of two shares in a row of which the driver has not heard, only the last one is the peer's.
#[test]
fn recovery_26_a_share_that_was_taken_away_untold_cannot_end() {
    let (mut shares, peers) = job(2, 2);
    let (quick, slow) = (peers[0], peers[1]);
    assert_eq!(shares.poll_action(), Some(fetch(quick, &[0])));
    shares.moved(quick, 4000);
    shares.finished(at(3000), quick, &[0]).unwrap();
    assert_eq!(shares.poll_action(), Some(fetch(slow, &[1])));
    assert_eq!(shares.finished(at(3000), slow, &[]), Err(Misuse::NotBusy { verb: "finished" }));
    assert_eq!(actions(&mut shares), [Action::Cancel { peer: slow }, fetch(quick, &[1]), fetch(slow, &[0])]);
    shares.finished(at(3001), slow, &[]).unwrap();
    shares.finished(at(3001), quick, &[]).unwrap();
    assert!(matches!(&actions(&mut shares)[..], [Action::Finished(outcome)] if outcome.missing.is_empty()));
}

/// T12: an idle peer whose fair part is less than half a unit takes a share over all the same; otherwise the slow one
/// would get it back, and lose it again, for ever.
#[test]
fn recovery_24_a_share_is_not_taken_and_handed_back() {
    let mut shares = Shares::new(Config::default(), 0..41).unwrap();
    let slow = shares.add_peer(at(0), [0]).unwrap();
    let steady = shares.add_peer(at(0), [0, 40]).unwrap();
    let quickest = shares.add_peer(at(0), 1..40).unwrap();
    let mut given = actions(&mut shares);
    assert_eq!(given, [fetch(slow, &[0]), fetch(steady, &[40]), fetch(quickest, &[1])]);
    // The quickest brings all that it has but for its last share, at which it stays.
    let mut now = 0;
    let is_last = |given: Option<Action<u32>>| match given {
        Some(Action::Fetch { units, .. }) => units.contains(&39),
        _ => false,
    };
    while !is_last(given.pop()) {
        now += 10;
        shares.moved(quickest, 10_000);
        shares.finished(at(now), quickest, &[]).unwrap();
        given = actions(&mut shares);
    }
    shares.moved(steady, 1000);
    shares.finished(at(1000), steady, &[]).unwrap();
    assert_eq!((actions(&mut shares), shares.poll_timeout()), (vec![], Some(at(3000))));
    shares.handle_timeout(at(3000));
    assert_eq!(actions(&mut shares), [Action::Cancel { peer: slow }, fetch(steady, &[0])]);
    shares.finished(at(4000), steady, &[]).unwrap();
    shares.finished(at(4000), quickest, &[]).unwrap();
    assert_eq!(shares.left(), 0);
}

/// T12.
#[test]
fn recovery_24_two_that_bring_nothing_do_not_pass_a_share_on_for_ever() {
    let (mut shares, _) = job(1, 2);
    let (mut now, mut passed) = (at(0), 0);
    for _ in 0..100 {
        passed +=
            actions(&mut shares).iter().filter(|action| matches!(action, Action::Cancel { .. })).count();
        let Some(next) = shares.poll_timeout() else { break };
        assert!(next > now, "the deadline moves forward");
        now = next;
        shares.handle_timeout(now);
    }
    assert_eq!(passed, 1);
}

#[test]
fn recovery_25_it_ends_once_with_what_is_missing_in_its_order() {
    let mut none: Shares<u32> = Shares::new(Config::default(), []).unwrap();
    none.no_more_peers();
    assert!(matches!(&actions(&mut none)[..], [Action::Finished(outcome)] if outcome.missing.is_empty()));
    let mut shares = Shares::new(Config::default(), [5, 3, 4]).unwrap();
    let only = shares.add_peer(at(0), [3]).unwrap();
    assert_eq!(actions(&mut shares), [fetch(only, &[3])]);
    shares.finished(at(0), only, &[]).unwrap();
    assert_eq!(actions(&mut shares), [], "somebody with the rest may come yet");
    assert!(!shares.has_ended());
    shares.no_more_peers();
    shares.no_more_peers();
    assert!(matches!(&actions(&mut shares)[..], [Action::Finished(outcome)] if outcome.missing == [5, 4]));
    assert!(shares.has_ended() && shares.poll_timeout().is_none());
}

#[test]
fn recovery_25_a_job_that_is_given_up_ends_with_what_is_there() {
    let (mut shares, peers) = job(5, 2);
    actions(&mut shares);
    shares.finished(at(1), peers[1], &[]).unwrap();
    actions(&mut shares);
    shares.cancel(at(2));
    shares.cancel(at(3));
    let [Action::Finished(outcome)] = &actions(&mut shares)[..] else { panic!() };
    assert_eq!((&outcome.missing[..], outcome.peers[0].given_back), (&[0, 2, 3, 4][..], 1));
    assert_eq!(shares.arrived(at(4), peers[0]), Err(Misuse::Ended { verb: "arrived" }));
}

#[test]
fn recovery_27_the_first_share_has_its_lead() {
    let config =
        Config { lead: Duration::from_secs(3), patience: Duration::from_secs(9), ..Config::default() };
    let led = || {
        let mut shares = Shares::new(config, 0..9).unwrap();
        let peers = [shares.add_peer(at(0), 0..9).unwrap(), shares.add_peer(at(0), 0..9).unwrap()];
        assert_eq!(actions(&mut shares), [fetch(peers[0], &[0])]);
        (shares, peers)
    };
    // To its end, or for its time, or until it fails, and then another one has it.
    let (mut shares, [a, b]) = led();
    shares.finished(at(1000), a, &[]).unwrap();
    assert_eq!(actions(&mut shares), [fetch(a, &[1]), fetch(b, &[2])]);
    let (mut shares, [_, b]) = led();
    assert_eq!(shares.poll_timeout(), Some(at(3000)));
    shares.handle_timeout(at(2999));
    assert_eq!(actions(&mut shares), []);
    shares.handle_timeout(at(3000));
    assert_eq!(actions(&mut shares), [fetch(b, &[1])]);
    let (mut shares, [a, b]) = led();
    shares.failed(at(2000), a).unwrap();
    assert_eq!(actions(&mut shares), [fetch(b, &[0])]);
}

#[test]
fn recovery_28_a_share_that_has_arrived_is_put_away_in_peace() {
    let (mut shares, peers) = job(2, 2);
    actions(&mut shares);
    shares.moved(peers[0], 1);
    shares.moved(peers[1], 4000);
    shares.arrived(at(10), peers[0]).unwrap();
    assert_eq!(shares.arrived(at(10), peers[0]), Err(Misuse::NotBusy { verb: "arrived" }));
    shares.finished(at(10), peers[1], &[]).unwrap();
    shares.handle_timeout(at(60_000));
    assert_eq!((actions(&mut shares), shares.left()), (vec![], 1));
    shares.finished(at(90_000), peers[0], &[]).unwrap();
    let [Action::Finished(outcome)] = &actions(&mut shares)[..] else { panic!() };
    assert_eq!((outcome.peers[0].busy, outcome.missing.len()), (Duration::from_millis(10), 0));
    // It may turn out to be of no use all the same.
    let (mut shares, peers) = job(2, 2);
    actions(&mut shares);
    shares.arrived(at(10), peers[0]).unwrap();
    shares.failed(at(20), peers[0]).unwrap();
    shares.finished(at(30), peers[1], &[]).unwrap();
    assert_eq!(actions(&mut shares), [fetch(peers[1], &[0])]);
}

/// T10.
#[test]
fn recovery_26_caps_and_misuse() {
    let config = Config { max_units: 2, max_peers: 3, ..Config::default() };
    assert_eq!((Config::default().max_units, Config::default().max_peers), (4_000_000, 1024));
    let many = Shares::new(config, [1, 2, 1, 3]);
    assert_eq!(many.unwrap_err(), Misuse::TooMany { what: "units", limit: 2 });
    let mut shares = Shares::new(config, [1, 2, 1]).unwrap();
    for _ in 0..3 {
        shares.add_peer(at(0), []).unwrap();
    }
    assert_eq!(shares.add_peer(at(0), [1]), Err(Misuse::TooMany { what: "peers", limit: 3 }));
    let (mut over, peers) = job(1, 1);
    actions(&mut over);
    over.finished(at(0), peers[0], &[]).unwrap();
    assert_eq!(over.finished(at(0), peers[0], &[]), Err(Misuse::Ended { verb: "finished" }));
    assert_eq!(over.failed(at(0), peers[0]), Err(Misuse::Ended { verb: "failed" }));
    assert_eq!(over.add_peer(at(0), []), Err(Misuse::Ended { verb: "add_peer" }));
    let (mut idle, peers) = job(1, 2);
    assert_eq!(idle.finished(at(0), peers[1], &[]), Err(Misuse::NotBusy { verb: "finished" }));
    idle.failed(at(0), peers[1]).unwrap();
    assert_eq!(idle.failed(at(0), peers[1]), Err(Misuse::NotBusy { verb: "failed" }));
}

/// A peer of the simulation: so many bytes a millisecond, dead from some time on.
#[derive(Clone, Copy)]
struct Speed {
    bytes: u64,
    dies: u64,
}

/// Runs a job of `sizes` in steps of a millisecond: when it was over and how many bytes came. A share takes a round
/// trip of 50 ms before its first byte.
fn simulate(sizes: &[u64], speeds: &[Speed]) -> (u64, u64) {
    let mut shares = Shares::new(Config::default(), 0..sizes.len() as u32).unwrap();
    let all = || 0..sizes.len() as u32;
    let peers: Vec<PeerId> = speeds.iter().map(|_| shares.add_peer(at(0), all()).unwrap()).collect();
    shares.no_more_peers();
    let mut busy: Vec<Option<(u64, u64)>> = vec![None; speeds.len()];
    let mut moved = 0;
    for now in 0..10_000_000 {
        while let Some(action) = shares.poll_action() {
            match action {
                Action::Fetch { peer, units } => {
                    let size = units.iter().map(|unit| sizes[*unit as usize]).sum();
                    busy[peers.iter().position(|one| *one == peer).unwrap()] = Some((now + 50, size));
                }
                Action::Cancel { peer } => busy[peers.iter().position(|one| *one == peer).unwrap()] = None,
                Action::Finished(outcome) => {
                    assert!(outcome.missing.is_empty());
                    return (now, moved);
                }
            }
        }
        for (index, speed) in speeds.iter().enumerate() {
            if now == speed.dies {
                shares.failed(at(now), peers[index]).unwrap();
                busy[index] = None;
            }
            let Some((from, left)) = &mut busy[index] else { continue };
            if now < *from {
                continue;
            }
            let bytes = speed.bytes.min(*left);
            (*left, moved) = (*left - bytes, moved + bytes);
            shares.moved(peers[index], bytes);
            if *left == 0 {
                busy[index] = None;
                shares.finished(at(now), peers[index], &[]).unwrap();
            }
        }
        shares.handle_timeout(at(now));
    }
    panic!("it does not end");
}

/// RECOVERY-21, RECOVERY-22, RECOVERY-24: three peers, one ten times slower, one that dies half way.
#[test]
fn recovery_24_three_unequal_peers_are_quicker_than_one() {
    // 100 MB in 200 units of very different sizes.
    let sizes: Vec<u64> = (0..200_u64).map(|unit| 50_000 + unit * 7919 % 200 * 4500).collect();
    let total: u64 = sizes.iter().sum();
    let steady = Speed { bytes: 10_000, dies: u64::MAX };
    let (alone, bytes_alone) = simulate(&sizes, &[steady]);
    let (half, _) = simulate(&sizes, &[steady; 2]);
    let slow = Speed { bytes: 1_000, ..steady };
    let dying = Speed { dies: alone / 4, ..steady };
    let (together, bytes) = simulate(&sizes, &[slow, dying, steady]);
    println!("{total} bytes in {} units, 50 ms a share", sizes.len());
    for (who, time, bytes) in [
        ("one peer, 10 MB/s", alone, bytes_alone),
        ("two of them", half, total),
        ("three: 1 MB/s, 10 MB/s that dies half way, 10 MB/s", together, bytes),
    ] {
        println!("{who:<52} {time:>6} ms {:>6.3} of the bytes", bytes as f64 / total as f64);
    }
    assert_eq!(bytes_alone, total);
    assert!(half * 100 < alone * 56, "{half} of {alone}");
    assert!(together * 100 < alone * 80, "{together} of {alone}");
    assert!(bytes * 100 < total * 108, "{bytes} of {total}");
}

/// RECOVERY-24: without patience a driver is still not woken at the very instant it was woken.
#[test]
fn recovery_24_the_next_look_at_slow_peers_is_never_due_at_once() {
    let config = Config { patience: Duration::ZERO, ..Config::default() };
    let mut shares = Shares::new(config, [1, 2]).unwrap();
    shares.add_peer(at(0), [1]).unwrap();
    shares.add_peer(at(0), [1]).unwrap();
    for _ in 0..5 {
        let due = shares.poll_timeout().unwrap();
        shares.handle_timeout(due);
        assert!(shares.poll_timeout().is_none_or(|next| next > due));
    }
}
