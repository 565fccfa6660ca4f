//! The negotiation of any history with a server that has any part of it: no id is asked for or sent twice, every have
//! is a commit that is held, limits hold, it ends, and what is common is found where all is sent.
#![no_main]

use std::collections::BTreeSet;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use portline::git::fetch::negotiator::{Algorithm, Negotiator, Next};
use portline::git::{Commit, ObjectId};

#[derive(Arbitrary, Debug)]
struct Input {
    /// For each commit its parents, so far back, and its time.
    commits: Vec<(u8, u8, i8)>,
    tips: Vec<u16>,
    advertised: Vec<u16>,
    /// What the server has: these, and all they reach.
    server: Vec<u16>,
    algorithm: u8,
    limits: Option<(u8, u8)>,
    /// Commits that cannot be loaded; what is told besides what was asked for; which haves are answered; lies.
    absent: Vec<u16>,
    volunteer: bool,
    answers: Vec<u8>,
    early: Option<u8>,
}

fn id(number: usize) -> ObjectId {
    let mut raw = [7; 20];
    raw[..8].copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    raw[8..16].copy_from_slice(&(number as u64).to_be_bytes());
    ObjectId::from_raw(&raw).unwrap()
}

fn number(id: &ObjectId) -> usize {
    u64::from_be_bytes(id.as_raw()[8..16].try_into().unwrap()) as usize
}

struct World {
    parents: Vec<Vec<usize>>,
    times: Vec<i64>,
    absent: BTreeSet<usize>,
}

impl World {
    fn closure(&self, from: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let (mut seen, mut todo) = (BTreeSet::new(), Vec::from_iter(from));
        while let Some(next) = todo.pop() {
            if seen.insert(next) {
                todo.extend(&self.parents[next]);
            }
        }
        seen
    }

    fn commit(&self, number: usize) -> Option<Commit> {
        let parents = self.parents.get(number).filter(|_| !self.absent.contains(&number))?;
        let parents = parents.iter().map(|parent| id(*parent)).collect();
        Some(Commit { id: id(number), parents, time: self.times[number] })
    }
}

fuzz_target!(|input: Input| {
    let count = input.commits.len();
    let back = |at: usize, by: u8| (by > 0).then(|| at.checked_sub(usize::from(by))).flatten();
    let parents = |(at, (one, other, _)): (usize, &(u8, u8, i8))| {
        back(at, *one).into_iter().chain(back(at, *other)).collect::<Vec<usize>>()
    };
    let pick = |list: &[u16]| -> BTreeSet<usize> {
        list.iter().filter_map(|of| usize::from(*of).checked_rem(count)).collect()
    };
    let world = World {
        parents: input.commits.iter().enumerate().map(parents).collect(),
        // Clocks are wrong: a commit may be older than its parents.
        times: input.commits.iter().enumerate().map(|(at, one)| at as i64 * 3 + i64::from(one.2)).collect(),
        absent: pick(&input.absent),
    };
    let local = world.closure(pick(&input.tips));
    let server = world.closure(pick(&input.server));
    // Of what is advertised the caller names what it holds with everything behind it.
    let is_whole = |of: &usize| world.closure([*of]).is_disjoint(&world.absent);
    let common: BTreeSet<usize> = pick(&input.advertised)
        .into_iter()
        .filter(|one| server.contains(one) && local.contains(one) && is_whole(one))
        .collect();
    let algorithm =
        [Algorithm::Skipping, Algorithm::Consecutive, Algorithm::Noop][usize::from(input.algorithm % 3)];
    let mut machine =
        Negotiator::new(algorithm, common.iter().map(|one| id(*one)), pick(&input.tips).into_iter().map(id));
    let (max_haves, max_rounds) =
        input.limits.map_or((usize::MAX, usize::MAX), |(haves, rounds)| (haves.into(), rounds.into()));
    if input.limits.is_some() {
        machine = machine.with_limits(max_haves, max_rounds);
    }
    let (mut loaded, mut sent, mut acked) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut answers = input.answers.iter().cycle();
    let mut is_over = false;
    let mut rounds = 0;
    assert!(machine.commits(vec![]).is_err(), "nothing was asked");
    while let Some(next) = machine.poll() {
        match next {
            Next::Load(ids) => {
                assert!(!ids.is_empty() && machine.poll().is_none());
                assert!(ids.iter().all(|id| loaded.insert(*id)), "no id is asked for twice");
                let mut told: Vec<Commit> = ids.iter().filter_map(|id| world.commit(number(id))).collect();
                if input.volunteer {
                    let more = told.iter().flat_map(|one| one.parents.clone());
                    told.extend(more.filter_map(|one| world.commit(number(&one))).collect::<Vec<_>>());
                }
                machine.commits(told).unwrap();
            }
            Next::Round { haves, last } => {
                rounds += usize::from(!haves.is_empty());
                assert!(rounds <= max_rounds && (!haves.is_empty() || last) && haves.len() <= 64);
                for have in &haves {
                    let at = number(have);
                    assert!(sent.insert(at), "no have is sent twice");
                    assert!(local.contains(&at), "what is sent is held");
                    assert!(!world.absent.contains(&at), "what is sent is a commit");
                }
                assert!(
                    sent.len() <= max_haves && machine.haves() == sent.len() && machine.rounds() == rounds
                );
                is_over = last;
                if last {
                    break;
                }
                for have in haves {
                    // A server answers some of what it has, in any order, or not at all.
                    if server.contains(&number(&have)) && answers.next().is_none_or(|answer| answer % 4 > 0) {
                        assert!(machine.was_sent(&have) && machine.acknowledge(&have));
                        acked.insert(number(&have));
                    }
                }
                let stranger = id(count + 5);
                assert!(!machine.acknowledge(&stranger), "what was never sent cannot be acknowledged");
                if input.early.is_some_and(|after| rounds > usize::from(after)) {
                    break;
                }
            }
        }
    }
    if !is_over {
        for have in machine.take_last() {
            assert!(sent.insert(number(&have)) && local.contains(&number(&have)));
        }
        assert!(sent.len() <= max_haves);
    }
    assert!(machine.poll().is_none() && machine.commits(vec![]).is_err());
    // With nothing absent, no limit and every answer given, `Consecutive` finds all that is common.
    let is_plain = world.absent.is_empty() && input.limits.is_none() && input.early.is_none();
    let answers_all = input.answers.iter().all(|answer| answer % 4 > 0);
    if algorithm == Algorithm::Consecutive && is_plain && answers_all && count < 200 {
        let found = world.closure(acked.into_iter().chain(common));
        let shared: BTreeSet<usize> = local.intersection(&server).copied().collect();
        let named = world.closure(sent.into_iter().filter(|one| server.contains(one)));
        assert!(found.union(&named).copied().collect::<BTreeSet<_>>().is_superset(&shared));
    }
});
