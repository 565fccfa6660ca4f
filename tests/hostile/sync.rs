//! A sync with a peer that is silent, closes at the worst moment, never ends its streams, or says anything at all.

use std::time::Duration;

use bytes::Bytes;
use portline::git::Version;
use portline::peer::sync::{Action, Config, Error, RefResult};
use portline::peer::{self, TwoWaySync};
use portline::sync::{Step, Strategy};
use portline::{Instant, port};

use crate::common::Rng;
use crate::toy::{self, Left, Right, config, diverged, name};

const NOW: Instant = Instant::ZERO;

fn at(millis: u64) -> Instant {
    NOW.checked_add(Duration::from_millis(millis)).unwrap()
}

fn sides(strategy: Strategy) -> (Left, Right) {
    let (left, right, base) = diverged();
    (Left::new(left, config(strategy, base)), Right::new(right, &peer::Config::default()))
}

/// Runs both sides until nothing moves, `between` seeing what the right side says.
fn run(left: &mut Left, right: &mut Right, mut between: impl FnMut(Bytes) -> Vec<Bytes>) {
    let mut moved = true;
    while moved {
        moved = left.act(NOW) | right.act(NOW);
        while let Some(message) = left.machine.poll_transmit() {
            let _ = right.machine.handle_message(NOW, message.into_bytes());
            moved = true;
        }
        while let Some(message) = right.machine.poll_transmit() {
            for message in between(message.into_bytes()) {
                let _ = left.machine.handle_message(NOW, message);
                while left.act(NOW) {}
            }
            moved = true;
        }
    }
}

/// PORT-8, SYNC-52, T11: a peer that never answers is given up after 30 s, not earlier, and told why.
#[test]
fn t4_a_silent_peer_is_given_up_when_the_ack_timeout_has_passed() {
    let mut machine = TwoWaySync::new(Config::default(), NOW).unwrap();
    assert_eq!(machine.poll_timeout(), None);
    assert_eq!(machine.poll_action(), Some(Action::ListRefs));
    machine.refs_listed(at(500), vec![]).unwrap();
    assert_eq!(machine.poll_timeout(), None, "nothing was sent");
    machine.handle_timeout(at(1_000));
    assert_eq!(machine.poll_transmit().unwrap().into_bytes()[..5], [0, 0, 0, 0, 0]);
    assert_eq!(machine.poll_timeout(), Some(at(31_000)));
    for early in [0, 1_000, 30_999] {
        machine.handle_timeout(at(early));
        assert_eq!((machine.poll_action(), machine.poll_timeout()), (None, Some(at(31_000))));
        assert!(machine.wants_input());
    }
    machine.handle_timeout(at(31_000));
    let Some(Action::Failed(failure)) = machine.poll_action() else { panic!("it goes on") };
    assert_eq!(failure.error, Error::Port(port::Error::AckTimeout { block: 0 }));
    assert_eq!(failure.outcome.refs, []);
    assert_eq!(
        machine.poll_transmit().unwrap().into_bytes(),
        b"\x03\0\0\0\x01\"ACK timeout for block 0\""[..]
    );
    assert_eq!((machine.poll_transmit(), machine.poll_action(), machine.poll_timeout()), (None, None, None));
    assert!(machine.has_ended() && !machine.wants_input());
    // Nothing that comes later changes the end.
    machine.handle_timeout(at(u64::MAX / 2_000));
    assert!(machine.handle_message(at(40_000), Bytes::from_static(b"\x01\0\0\0\0\x01")).is_err());
    assert!(machine.handle_closed(at(40_000)).is_err());
    assert_eq!(machine.poll_action(), None);
}

/// The peer's words in its ERROR are not lost.
#[test]
fn sync_52_what_the_peers_error_says_reaches_the_failure() {
    let (mut left, _) = sides(Strategy::Report);
    while left.act(NOW) {}
    left.machine.poll_transmit().unwrap();
    for message in [&b"\x01\0\0\0\0\x01"[..], b"\x03\0\0\0\0\"the disk is full\""] {
        let _ = left.machine.handle_message(NOW, Bytes::from_static(message));
    }
    while left.act(NOW) {}
    let Some(Err(failure)) = left.end else { panic!("it goes on") };
    assert_eq!(failure.error.to_string(), "the peer says: the disk is full");
    assert!(matches!(failure.error, Error::Port(port::Error::Remote { block: 0, .. })));
}

/// SYNC-52, PEER-9: what the peer has said is the reason, also where it then refused our blocks, or was gone.
#[test]
fn sync_52_the_peers_refusal_is_told_however_the_port_goes_on() {
    for before in [&b"\x01\0\0\0\0\0"[..], b"\x01\0\0\0\0\x01"] {
        let (mut left, _) = sides(Strategy::Report);
        while left.act(NOW) {}
        left.machine.poll_transmit().unwrap();
        let _ = left.machine.handle_message(NOW, Bytes::from_static(before));
        let _ = left.machine.handle_message(NOW, Bytes::from_static(b"\0\0\0\0\x000015ERR no repository"));
        let _ = left.machine.handle_closed(NOW);
        while left.act(NOW) {}
        let error = left.end.unwrap().unwrap_err().error;
        assert!(matches!(error, Error::Fetch(_)) && error.to_string().contains("no repository"), "{error:?}");
        assert_eq!(error.blame(), portline::Blame::Peer);
    }
}

/// PEER-12: a peer that has said all and does not end its stream is waited for as long as for an ACK.
#[test]
fn t4_a_stream_that_is_never_ended_ends_the_port_after_a_while() {
    let (mut left, mut right) = sides(Strategy::Report);
    run(&mut left, &mut right, |message| if message[0] == 2 { vec![] } else { vec![message] });
    assert!(left.end.is_none() && left.plan.is_none(), "the fetch is over, its stream is not");
    let until = left.machine.poll_timeout().unwrap();
    assert_eq!(until, at(30_000));
    left.machine.handle_timeout(at(29_999));
    assert!(!left.act(NOW));
    left.machine.handle_timeout(until);
    while left.act(until) {}
    assert_eq!(left.end.unwrap().unwrap_err().error, Error::Port(port::Error::EndTimeout));
    assert_eq!(left.machine.poll_timeout(), None);
}

/// SYNC-53: the last report is the end, whether or not the peer still ends that stream or the port closes.
#[test]
fn sync_53_the_last_report_ends_the_sync() {
    let (mut left, mut right) = sides(Strategy::Report);
    let mut ends = 0;
    run(&mut left, &mut right, |message| {
        ends += usize::from(message[0] == 2);
        // A fetch, the backups, the refs: the third END is lost.
        if message[0] == 2 && ends == 3 { vec![] } else { vec![message] }
    });
    assert_eq!(ends, 3);
    let outcome = left.end.unwrap().unwrap();
    assert_eq!(outcome.conflicts().count(), 1);
    assert!(left.machine.handle_closed(NOW).is_ok());
    assert_eq!(left.machine.poll_action(), None);
}

/// SYNC-54, T13: the port closes while local refs move; the outcome says that they moved.
#[test]
fn t13_a_port_that_closes_while_local_refs_move_waits_for_their_result() {
    for strategy in [Strategy::Report, Strategy::PreferRemote] {
        let (mut left, mut right) = sides(strategy);
        let mut updates = Vec::new();
        while updates.is_empty() {
            while let Some(action) = left.machine.poll_action() {
                match action {
                    Action::UpdateRefs(commands) => updates = commands,
                    other => left.answer(NOW, other),
                }
            }
            while right.act(NOW) {}
            while let Some(message) = left.machine.poll_transmit() {
                let _ = right.machine.handle_message(NOW, message.into_bytes());
            }
            while let Some(message) = right.machine.poll_transmit() {
                let _ = left.machine.handle_message(NOW, message.into_bytes());
            }
        }
        let _ = left.machine.handle_closed(NOW);
        assert_eq!(left.machine.poll_action(), None, "the driver has the word");
        let mut moved = Vec::new();
        loop {
            let results: Vec<_> = updates.iter().map(|command| left.repo.update(command)).collect();
            assert!(results.iter().all(Result::is_ok));
            moved.extend(updates.iter().map(|command| command.name.clone()));
            left.machine.refs_updated(NOW, results).unwrap();
            match left.machine.poll_action() {
                Some(Action::UpdateRefs(commands)) => updates = commands,
                Some(Action::Failed(failure)) => {
                    assert_eq!(failure.error, Error::Port(port::Error::Closed));
                    for entry in failure.outcome.refs {
                        let done = matches!(entry.result, RefResult::Done { .. });
                        assert_eq!(done, moved.contains(&entry.plan.name), "{}", entry.plan.name);
                        assert!(
                            !done
                                || matches!(
                                    entry.plan.step,
                                    Step::UpdateLocal { .. } | Step::DeleteLocal { .. }
                                )
                        );
                    }
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// SYNC-43, T21: a report for another ref is none for ours.
#[test]
fn t21_a_report_for_other_refs_makes_no_ref_done() {
    let (mut left, mut right) = sides(Strategy::Report);
    run(&mut left, &mut right, |message| {
        let text = String::from_utf8_lossy(&message).into_owned();
        let other = text.contains("ok refs/heads/left-only");
        let said = message.iter().copied().collect::<Vec<_>>();
        let at = said.windows(9).position(|window| window == b"left-only").filter(|_| other);
        vec![at.map_or(message, |at| [&said[..at], b"left-onlx", &said[at + 9..]].concat().into())]
    });
    let _ = left.machine.handle_closed(NOW);
    while left.act(NOW) {}
    let refs = match left.end.unwrap() {
        Ok(outcome) => outcome.refs,
        Err(failure) => failure.outcome.refs,
    };
    let entry = refs.iter().find(|entry| entry.plan.name == name("left-only")).unwrap();
    assert!(!matches!(entry.result, RefResult::Done { .. }), "{:?}", entry.result);
}

/// A message as a broken or hostile peer would send it instead.
fn spoil(rng: &mut Rng, message: &Bytes) -> Vec<Bytes> {
    let mut bytes = message.to_vec();
    let place = rng.below(bytes.len());
    match rng.below(8) {
        0 => return vec![],
        1 => return vec![message.clone(), message.clone()],
        2 => bytes.truncate(place),
        3 => bytes[place] ^= 1 << rng.below(8),
        4 => bytes[0] = rng.below(8) as u8,
        5 => bytes.insert(place, rng.next() as u8),
        6 => {
            let count = 1 + rng.below(60);
            bytes = rng.bytes(count);
        }
        _ => {
            // A block of its own in front, and everything after it out of step.
            let extra = [&message[..5], b"0008PACK"].concat();
            return vec![extra.into(), message.clone()];
        }
    }
    vec![bytes.into()]
}

/// SYNC-51, T13, T21: 1500 peers that say one or more things wrong. One end each, nothing lost, no gap, no loop.
#[test]
fn t13_a_peer_that_says_anything_cannot_take_anything_away() {
    let (mut failed, mut finished) = (0, 0);
    for seed in 0..1_500 {
        let mut rng = Rng::new(seed);
        let strategy = [Strategy::Report, Strategy::PreferLocal, Strategy::PreferRemote][rng.below(3)];
        let (mut left, mut right) = sides(strategy);
        let before: (_, _) = (left.repo.check(), right.repo.check());
        let (first, count) = (rng.below(120), 1 + rng.below(3));
        let mut seen = 0;
        run(&mut left, &mut right, |message| {
            seen += 1;
            assert!(seen < 10_000, "seed {seed} does not end");
            if (first..first + count).contains(&seen) { spoil(&mut rng, &message) } else { vec![message] }
        });
        let mut now = NOW;
        for _ in 0..10 {
            let Some(deadline) = left.machine.poll_timeout() else { break };
            now = deadline;
            left.machine.handle_timeout(now);
            while left.act(now) {}
        }
        let _ = left.machine.handle_closed(now);
        while left.act(now) {}
        assert_eq!(left.machine.poll_timeout(), None, "seed {seed}");
        // `Left::act` fails on a second terminal action.
        match left.end.as_ref().unwrap() {
            Ok(_) => finished += 1,
            Err(_) => failed += 1,
        }
        assert!(left.repo.check().is_superset(&before.0), "seed {seed}");
        assert!(right.repo.check().is_superset(&before.1), "seed {seed}");
    }
    assert!(failed > 300 && finished > 100, "{failed} failed, {finished} finished");
}

/// PEER-13: block sizes with which nothing could be sent.
#[test]
fn peer_13_a_block_size_that_cannot_work_is_refused() {
    let mut config = peer::Config { chunk: 0, ..peer::Config::default() };
    assert_eq!(
        TwoWaySync::new(Config { peer: config.clone(), ..Config::default() }, NOW).unwrap_err(),
        port::ConfigError::Zero { field: "chunk" }
    );
    assert!(peer::Server::new(&config, NOW).is_err());
    config.chunk = config.port.max_block + 1;
    assert!(matches!(peer::Client::new(&config, NOW), Err(port::ConfigError::ChunkTooLarge { .. })));
    config.chunk -= 1;
    assert!(peer::Client::new(&config, NOW).is_ok());
}

/// V2C-24: where the peer's history is cut off nobody can tell which of two commits is newer.
#[test]
fn v2c_24_a_peer_with_a_shallow_history_is_refused_and_no_ref_moves() {
    for newest in [Version::V0, Version::V2] {
        let (mut left, mut right) = sides(Strategy::Report);
        (right.newest, right.shallow) = (newest, vec![toy::id(1)]);
        let before = (left.repo.refs.clone(), right.repo.refs.clone());
        run(&mut left, &mut right, |message| vec![message]);
        let Some(Err(failure)) = &left.end else { panic!("{:?}", left.end) };
        assert_eq!(failure.error, Error::Shallow);
        assert_eq!((left.repo.refs, right.repo.refs), before);

        // With nothing to fetch from it, it takes what is new here.
        let (left, mut right, _) = diverged();
        right.refs.retain(|known, _| *known == name("equal"));
        let mut left = Left::new(left, config(Strategy::Report, vec![]));
        let mut right = Right::new(right, &peer::Config::default());
        (right.newest, right.shallow) = (newest, vec![toy::id(1)]);
        run(&mut left, &mut right, |message| vec![message]);
        assert!(left.end.unwrap().unwrap().agrees());
        assert_eq!(left.repo.refs, right.repo.refs);
    }
}

/// The advertisement with a `symref` more, as a peer of version 0 may tell it of any ref.
fn with_symref(message: &Bytes, pair: &str) -> Bytes {
    let said = message.to_vec();
    let Some(nul) = said[9..].iter().position(|byte| *byte == 0) else { return message.clone() };
    let end = 5 + usize::from_str_radix(std::str::from_utf8(&said[5..9]).unwrap(), 16).unwrap();
    let line = [&said[9..=9 + nul], b"symref=", pair.as_bytes(), b" ", &said[10 + nul..end]].concat();
    [&said[..5], format!("{:04x}", line.len() + 4).as_bytes(), &line, &said[end..]].concat().into()
}

/// SYNC-55: a ref that is symbolic on one side alone is no ref that was deleted there, whatever the base knows of it.
#[test]
fn sync_55_a_ref_that_is_symbolic_on_one_side_is_deleted_on_neither() {
    for newest in [Version::V0, Version::V2] {
        for (here, strategy) in [true, false]
            .into_iter()
            .flat_map(|here| [(here, Strategy::Report), (here, Strategy::PreferLocal)])
        {
            let (mut left, mut right, mut base) = diverged();
            for repo in [&mut left, &mut right] {
                repo.set("alias", 5);
            }
            base.push((name("alias"), toy::id(5)));
            // It follows what it stands for; on the other side a ref stays behind.
            let one = if here { &mut left } else { &mut right };
            one.symbolic.insert(name("alias"), name("equal"));
            one.set("alias", 6);
            let mut left = Left::new(left, config(strategy, base));
            let mut right = Right::new(right, &peer::Config::default());
            right.newest = newest;
            let mut first = true;
            run(&mut left, &mut right, |message| {
                if newest == Version::V0 && !here && message[0] == 0 && std::mem::take(&mut first) {
                    return vec![with_symref(&message, "refs/heads/alias:refs/heads/equal")];
                }
                vec![message]
            });
            let case = format!("{newest:?}, symbolic on the left: {here}, {strategy:?}");
            let outcome = left.end.unwrap().unwrap();
            assert!(outcome.refs.iter().all(|entry| entry.plan.name != name("alias")), "{case}");
            let at = (left.repo.at("alias"), right.repo.at("alias"));
            let (behind, moved) = (Some(toy::id(5)), Some(toy::id(6)));
            assert_eq!(at, if here { (moved, behind) } else { (behind, moved) }, "{case}");
            assert_eq!(
                right.repo.at("left-ahead"),
                left.repo.at("left-ahead"),
                "{case}: the others are synced"
            );
        }
    }
}
