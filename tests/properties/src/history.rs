//! Random histories, and what reaches what in them.

use portline::git::Commit;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::sync_history::{History, id};

/// Times of commits, as clocks tell them: honest, lying here and there, equal, inverted or wild.
#[derive(Clone, Copy, Debug)]
enum Clock {
    Honest,
    Skewed,
    Stopped,
    Backwards,
    Wild,
}

fn clock() -> impl Strategy<Value = Clock> {
    prop_oneof![
        Just(Clock::Honest),
        Just(Clock::Skewed),
        Just(Clock::Stopped),
        Just(Clock::Backwards),
        Just(Clock::Wild),
    ]
}

/// Of each commit: whether it is a root, its parents among those before it, and what its clock says when it lies.
type Draft = (bool, Vec<Index>, Option<i64>);

fn draft() -> impl Strategy<Value = Draft> {
    let parents = prop_oneof![
        6 => prop::collection::vec(any::<Index>(), 1),
        2 => prop::collection::vec(any::<Index>(), 2),
        1 => prop::collection::vec(any::<Index>(), 3..5),
    ];
    let lie = prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0), any::<i64>(), 0..200_i64];
    (prop::bool::weighted(0.05), parents, prop::option::weighted(0.2, lie))
}

/// Up to `most` commits with forks, merges and several roots; `near`: how far back a parent is at the most.
pub fn history(most: usize) -> impl Strategy<Value = History> {
    let near = prop_oneof![1..6_usize, 1..=most];
    (prop::collection::vec(draft(), 1..=most), clock(), near).prop_map(|(drafts, clock, near)| {
        let mut history = History::default();
        for (number, (root, picks, lie)) in drafts.into_iter().enumerate() {
            let mut parents: Vec<usize> = Vec::new();
            if number > 0 && !root {
                parents.extend(picks.iter().map(|pick| number - 1 - pick.index(near.min(number))));
            }
            history.add(&parents);
            history.times[number] = match (clock, lie) {
                (Clock::Skewed, Some(lie)) => lie.rem_euclid(200),
                (Clock::Honest | Clock::Skewed, _) => number as i64,
                (Clock::Stopped, _) => 5,
                (Clock::Backwards, _) => -(number as i64),
                (Clock::Wild, lie) => lie.unwrap_or(i64::from(number as u32 % 7)),
            };
        }
        history
    })
}

/// A history in which anything may be anything's parent, circles included.
pub fn circular(most: usize) -> impl Strategy<Value = History> {
    let commit = (prop::collection::vec(any::<Index>(), 0..4), any::<i64>());
    prop::collection::vec(commit, 1..=most).prop_map(|commits| {
        let size = commits.len();
        let parents = commits.iter().map(|(picks, _)| picks.iter().map(|pick| pick.index(size)).collect());
        History { parents: parents.collect(), times: commits.iter().map(|(_, time)| *time).collect() }
    })
}

/// For each commit, whether it reaches each other one over commits that are held.
///
/// No walk: parents stand before their children, so a commit reaches itself and all that its parents reach.
pub struct Reach(Vec<Vec<bool>>);

impl Reach {
    pub fn new(history: &History, held: impl Fn(usize) -> bool) -> Self {
        let size = history.parents.len();
        let mut reach: Vec<Vec<bool>> = Vec::with_capacity(size);
        for (number, parents) in history.parents.iter().enumerate() {
            let mut row = vec![false; size];
            if held(number) {
                row[number] = true;
                for parent in parents {
                    (0..size).for_each(|at| row[at] |= reach[*parent][at]);
                }
            }
            reach.push(row);
        }
        Self(reach)
    }

    pub fn reaches(&self, from: usize, to: usize) -> bool {
        self.0[from][to]
    }

    /// All that any of `tips` reaches, in order.
    pub fn of(&self, tips: &[usize]) -> Vec<usize> {
        (0..self.0.len()).filter(|at| tips.iter().any(|tip| self.reaches(*tip, *at))).collect()
    }
}

/// The commits of these numbers.
pub fn commits(history: &History, numbers: impl IntoIterator<Item = usize>) -> Vec<Commit> {
    numbers.into_iter().map(|number| history.commit(number)).collect()
}

/// The number that an id was made of.
pub fn number(id: &portline::git::ObjectId) -> usize {
    let raw: [u8; 8] = id.as_raw()[12..].try_into().unwrap();
    u64::from_be_bytes(raw) as usize
}

#[test]
fn numbers_are_read_back() {
    assert!((0..300).all(|at| number(&id(at)) == at));
}
