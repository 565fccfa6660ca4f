//! Histories, and a driver that tells them to a planner.
#![allow(dead_code, unreachable_pub)]

use std::collections::{BTreeMap, BTreeSet};

use portline::git::{Commit, Misuse, ObjectId, RefName};
use portline::sync::planner::{Action, Error};
use portline::sync::{Ancestry, Config, Decision, Plan, Planner, Step};

pub type Refs = Vec<(RefName, ObjectId)>;

/// Scrambled, so that the order of ids says nothing about history.
pub fn id(number: usize) -> ObjectId {
    let mut raw = [0; 20];
    let mut random = Random(number as u64);
    raw[..8].copy_from_slice(&random.next().to_be_bytes());
    raw[12..].copy_from_slice(&(number as u64).to_be_bytes());
    ObjectId::from_raw(&raw).unwrap()
}

pub fn name(name: &str) -> RefName {
    RefName::new(name).unwrap()
}

pub fn refs(list: &[(&str, usize)]) -> Refs {
    list.iter().map(|(text, number)| (name(text), id(*number))).collect()
}

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Commits 0, 1, 2 … by their parents' numbers.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub parents: Vec<Vec<usize>>,
    pub times: Vec<i64>,
}

impl History {
    pub fn add(&mut self, parents: &[usize]) -> usize {
        let number = self.parents.len();
        self.parents.push(parents.to_vec());
        self.times.push(1000 + number as i64);
        number
    }

    /// `length` commits on top of `from`; the last one.
    pub fn line(&mut self, from: Option<usize>, length: usize) -> usize {
        let mut last = from;
        for _ in 0..length {
            last = Some(self.add(&Vec::from_iter(last)));
        }
        last.unwrap()
    }

    pub fn commit(&self, number: usize) -> Commit {
        Commit {
            id: id(number),
            parents: self.parents[number].iter().map(|parent| id(*parent)).collect(),
            time: self.times[number],
        }
    }

    pub fn all(&self) -> Vec<Commit> {
        (0..self.parents.len()).map(|number| self.commit(number)).collect()
    }

    /// A plain walk: whether `from` reaches `to`.
    pub fn reaches(&self, from: usize, to: usize) -> bool {
        let mut seen = vec![false; self.parents.len()];
        let mut stack = vec![from];
        while let Some(commit) = stack.pop() {
            if commit == to {
                return true;
            }
            if !std::mem::replace(&mut seen[commit], true) {
                stack.extend(&self.parents[commit]);
            }
        }
        false
    }

    pub fn ancestry(&self, local: usize, remote: usize) -> Ancestry {
        match (self.reaches(remote, local), self.reaches(local, remote)) {
            (true, false) => Ancestry::LocalBehind,
            (false, true) => Ancestry::RemoteBehind,
            _ => Ancestry::Unrelated,
        }
    }
}

pub struct Run {
    pub end: Result<Plan, Error>,
    pub asked: BTreeSet<ObjectId>,
    pub rounds: usize,
}

impl Run {
    pub fn plan(&self) -> &Plan {
        self.end.as_ref().unwrap()
    }

    pub fn steps(&self) -> Vec<(String, Decision, Step)> {
        self.plan().iter().map(|entry| (entry.name.to_string(), entry.decision, entry.step)).collect()
    }
}

/// SYNC-21 and SYNC-32, in every test: no id is asked for twice; one terminal action, and nothing after it.
pub fn drive(planner: &mut Planner, mut answer: impl FnMut(&[ObjectId]) -> Vec<Commit>) -> Run {
    let mut asked = BTreeSet::new();
    let mut rounds = 0;
    planner.start().unwrap();
    let end = loop {
        assert!(!planner.has_ended());
        match planner.poll_action().expect("an action is waiting") {
            Action::LoadCommits(ids) => {
                assert!(!ids.is_empty());
                for id in &ids {
                    assert!(asked.insert(*id), "{id} was asked for twice");
                }
                rounds += 1;
                assert_eq!(planner.poll_action(), None);
                planner.commits(answer(&ids)).unwrap();
            }
            Action::Planned(plan) => break Ok(plan),
            Action::Failed(error) => break Err(error),
        }
    };
    assert!(planner.has_ended());
    assert_eq!(planner.poll_action(), None);
    assert_eq!(planner.commits(vec![]), Err(Misuse::Ended { verb: "commits" }));
    assert_eq!(planner.start(), Err(Misuse::Ended { verb: "start" }));
    Run { end, asked, rounds }
}

pub fn plan_over(history: &History, config: Config, local: Refs, remote: Refs, base: Option<Refs>) -> Run {
    let known: BTreeMap<ObjectId, Commit> =
        history.all().into_iter().map(|commit| (commit.id, commit)).collect();
    let mut planner = Planner::new(config, local, remote, base);
    drive(&mut planner, |ids| ids.iter().filter_map(|id| known.get(id).cloned()).collect())
}

/// 0 ← 1 ← 2, and 3 on 0.
pub fn fork() -> History {
    let mut history = History::default();
    history.line(None, 3);
    history.add(&[0]);
    history
}

pub fn told(plan: &Plan) -> Vec<Ancestry> {
    let told = plan.iter().map(|entry| match entry.decision {
        Decision::Fetch => Ancestry::LocalBehind,
        Decision::Push => Ancestry::RemoteBehind,
        _ => Ancestry::Unrelated,
    });
    told.collect()
}
