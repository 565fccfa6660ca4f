//! A two-way sync of two toy repositories: any histories, any base, refs that move meanwhile, refusals, and a link that
//! is cut at any point. No commit is lost, no ref names what is not there, and the next run finishes.
#![no_main]

#[path = "common/oracle.rs"]
mod oracle;
#[path = "../../tests/toy/mod.rs"]
#[allow(dead_code, missing_docs)]
mod toy;

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portline::git::{ObjectId, RefName};
use portline::peer::sync::Config;
use portline::sync::Strategy;
use portline::{Instant, peer};
use toy::{Left, Repo, Right, id, name};

#[derive(Arbitrary, Debug)]
struct Input {
    /// For each commit: which sides have it, and its parents among the earlier ones.
    history: Vec<(u8, u8, u8)>,
    left: Vec<(u8, u8)>,
    right: Vec<(u8, u8)>,
    base: Option<Vec<(u8, u8)>>,
    strategy: u8,
    dry_run: bool,
    stop_on_conflict: bool,
    chunk: u8,
    refuse: bool,
    events: Vec<Event>,
}

#[derive(Arbitrary, Debug)]
enum Event {
    Run(u8),
    Left,
    Right,
    ToRight,
    ToLeft,
    /// The right side's ref moves.
    Move(u8, u8),
    MoveHere(u8, u8),
    Timeout(u32),
    Garbage(bool, u8),
    Close(bool),
    Verb(u8),
}

const BRANCHES: [&str; 5] = ["a", "b", "a-b", "refs/tags/t", "refs/portline/backup/heads/a"];

fn branch(of: u8) -> &'static str {
    BRANCHES[usize::from(of) % BRANCHES.len()]
}

/// Two repositories with the commits that each has, parents always with their children.
fn repositories(history: &[(u8, u8, u8)]) -> (Repo, Repo) {
    let (mut left, mut right) = (Repo::default(), Repo::default());
    for (at, (sides, one, other)) in history.iter().take(20).enumerate() {
        let number = at as u64 + 1;
        let mut parents: Vec<u64> = [one, other]
            .iter()
            .map(|parent| u64::from(**parent) % number)
            .filter(|parent| *parent > 0)
            .collect();
        parents.dedup();
        for (bit, repo) in [(1, &mut left), (2, &mut right)] {
            if (sides % 3 + 1) & bit != 0
                && parents.iter().all(|parent| repo.commits.contains_key(&id(*parent)))
            {
                repo.commit(number, &parents);
            }
        }
    }
    (left, right)
}

fn set(repo: &mut Repo, of: u8, to: u8) {
    let to = u64::from(to) % 20 + 1;
    if repo.commits.contains_key(&id(to)) {
        repo.set(branch(of), to);
    }
}

fn forced(repo: &mut Repo, of: u8, to: u8) {
    match to % 8 {
        0 => drop(repo.refs.remove(&name(branch(of)))),
        _ => set(repo, of, to),
    }
}

fn step(left: &mut Left, right: &mut Right, turn: usize, now: Instant) -> bool {
    match turn {
        0 => left.act(now),
        1 => right.act(now),
        2 => {
            let sent = left.machine.poll_transmit();
            sent.map(|one| right.machine.handle_message(now, one.into_bytes())).is_some()
        }
        _ => {
            let sent = right.machine.poll_transmit();
            sent.map(|one| left.machine.handle_message(now, one.into_bytes())).is_some()
        }
    }
}

fn settle(left: &mut Left, right: &mut Right, now: Instant) {
    for turn in 0.. {
        assert!(turn < 100_000, "busy without end");
        if !(0..4).fold(false, |moved, turn| moved | step(left, right, turn, now)) {
            return;
        }
    }
}

/// Verbs that nobody asked for end nothing.
fn verb(left: &mut Left, which: u8, now: Instant) {
    let machine = &mut left.machine;
    let before = machine.has_ended();
    let asked = match which % 5 {
        0 => machine.held(now, vec![id(1)]).is_ok(),
        1 => machine.commits(now, vec![]).is_ok(),
        2 => machine.refs_updated(now, vec![Ok(()); 9]).is_ok(),
        3 => machine.pack_chunk(now, Bytes::new()).is_ok(),
        _ => machine.pack_finished(now).is_ok(),
    };
    assert!(asked || machine.has_ended() == before);
}

fn known(base: &[(u8, u8)]) -> Vec<(RefName, ObjectId)> {
    // A base that names a ref twice is the caller's mistake, and refused.
    let base: BTreeMap<_, _> =
        base.iter().map(|(of, to)| (name(branch(*of)), id(u64::from(*to) % 20 + 1))).collect();
    base.into_iter().collect()
}

fuzz_target!(|input: Input| {
    let (mut here, mut there) = repositories(&input.history);
    input.left.iter().for_each(|(of, to)| set(&mut here, *of, *to));
    input.right.iter().for_each(|(of, to)| set(&mut there, *of, *to));
    let strategies = [Strategy::Report, Strategy::PreferLocal, Strategy::PreferRemote];
    let config = || {
        let mut config = Config {
            base: input.base.as_deref().map(known),
            dry_run: input.dry_run,
            stop_on_conflict: input.stop_on_conflict,
            ..Config::default()
        };
        config.sync.strategy = strategies[usize::from(input.strategy) % 3];
        config.peer.chunk = usize::from(input.chunk) + 1;
        config
    };
    let before = here.refs.clone();
    let (mut kept_here, mut kept_there) = (here.check(), there.check());
    let mut left = Left::new(here, config());
    let mut right = Right::new(there, &peer::Config::default());
    right.refuses = input.refuse.then_some(|refused| refused == &name("a"));
    let mut now = Instant::ZERO;
    let (mut moved, mut disturbed) = (false, input.refuse);
    for event in &input.events {
        match event {
            Event::Run(turns) => {
                (0..usize::from(*turns)).for_each(|turn| _ = step(&mut left, &mut right, turn % 4, now))
            }
            Event::Left => drop(step(&mut left, &mut right, 0, now)),
            Event::Right => drop(step(&mut left, &mut right, 1, now)),
            Event::ToRight => drop(step(&mut left, &mut right, 2, now)),
            Event::ToLeft => drop(step(&mut left, &mut right, 3, now)),
            Event::Move(of, to) => {
                forced(&mut right.repo, *of, *to);
                kept_there = right.repo.check();
                disturbed = true;
            }
            Event::MoveHere(of, to) => {
                forced(&mut left.repo, *of, *to);
                kept_here = left.repo.check();
                moved = true;
            }
            Event::Timeout(micros) => {
                now = Instant::from_micros(now.as_micros() + u64::from(*micros));
                left.machine.handle_timeout(now);
                right.machine.handle_timeout(now);
                oracle::moved_on(left.machine.poll_timeout(), now);
                oracle::moved_on(right.machine.poll_timeout(), now);
                disturbed = true;
            }
            Event::Garbage(to_left, byte) => {
                let message = Bytes::copy_from_slice(&[byte % 5, 0, 0, 9, 9]);
                let _ = if *to_left {
                    left.machine.handle_message(now, message).is_ok()
                } else {
                    right.machine.handle_message(now, message).is_ok()
                };
                disturbed = true;
            }
            Event::Close(of_left) => {
                let _ = if *of_left {
                    left.machine.handle_closed(now).is_ok()
                } else {
                    right.machine.handle_closed(now).is_ok()
                };
                disturbed = true;
            }
            Event::Verb(which) => {
                verb(&mut left, *which, now);
                disturbed = true;
            }
        }
    }
    settle(&mut left, &mut right, now);
    let honest = !(moved || disturbed);
    assert!(!honest || matches!(left.end, Some(Ok(_))), "{:?}", left.end);
    let _ = left.machine.handle_closed(now);
    let _ = right.machine.handle_closed(now);
    settle(&mut left, &mut right, now);
    assert!(left.end.is_some() && right.closed, "an end on both sides");
    assert!(left.machine.poll_timeout().is_none() && !left.machine.wants_input());
    assert!(left.repo.check().is_superset(&kept_here), "left lost a commit");
    assert!(right.repo.check().is_superset(&kept_there), "right lost a commit");
    if input.dry_run && !moved {
        assert_eq!(left.repo.refs, before, "a dry run moves nothing");
    }
    // The next run is undisturbed and comes to its end.
    let mut left = Left::new(left.repo, config());
    let mut right = Right::new(right.repo, &peer::Config::default());
    settle(&mut left, &mut right, now);
    let outcome = left.end.expect("an end").expect("a good one");
    if input.stop_on_conflict || input.dry_run || input.strategy % 3 == 0 {
        return;
    }
    assert!(outcome.agrees(), "{outcome:?}");
});
