//! The negotiator beside what each side reaches, on random histories with merges, several roots and wrong clocks.

use std::collections::BTreeSet;

use portline::git::ObjectId;
use portline::git::fetch::negotiator::{Algorithm, Negotiator, Next};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::history::{Reach, circular, commits, history, number};
use crate::sync_history::{History, id};

/// The client's refs and the server's, which it all wants.
#[derive(Clone, Debug)]
struct Case {
    history: History,
    local: Vec<usize>,
    remote: Vec<usize>,
    /// Commits told besides those that were asked for.
    volunteered: Vec<usize>,
}

fn case() -> impl Strategy<Value = Case> {
    let refs = || prop::collection::vec(any::<Index>(), 1..7);
    let some = prop::collection::vec(any::<Index>(), 0..6);
    (history(120), refs(), refs(), some).prop_map(|(history, local, remote, some)| {
        let size = history.parents.len();
        let at = |picks: Vec<Index>| picks.iter().map(|pick| pick.index(size)).collect::<Vec<_>>();
        Case { history, local: at(local), remote: at(remote), volunteered: at(some) }
    })
}

/// What came of a negotiation.
struct Told {
    haves: BTreeSet<usize>,
    /// Those of them that the server has.
    common: Vec<usize>,
    loaded: usize,
}

impl Case {
    fn ids(numbers: &[usize]) -> Vec<ObjectId> {
        numbers.iter().map(|at| id(*at)).collect()
    }

    /// FETCH-15, in every run: no commit is asked for twice, no id sent twice, and only what the client has.
    fn run(&self, reach: &Reach, algorithm: Algorithm) -> Told {
        let (ours, theirs) = (reach.of(&self.local), reach.of(&self.remote));
        let shared: Vec<usize> = self.remote.iter().copied().filter(|at| ours.contains(at)).collect();
        let mut negotiator = Negotiator::new(algorithm, Self::ids(&shared), Self::ids(&self.local));
        let (mut told, mut asked) =
            (Told { haves: BTreeSet::new(), common: vec![], loaded: 0 }, BTreeSet::new());
        while let Some(next) = negotiator.poll() {
            match next {
                Next::Load(ids) => {
                    assert!(!ids.is_empty() && ids.iter().all(|id| asked.insert(*id)), "asked for once");
                    assert_eq!(negotiator.poll(), None, "it waits for its answer");
                    told.loaded += ids.len();
                    let extra = self.volunteered.iter().copied().filter(|at| ours.contains(at));
                    negotiator.commits(commits(&self.history, ids.iter().map(number).chain(extra))).unwrap();
                }
                Next::Round { haves, last } => {
                    assert!(haves.len() <= 64 && (last || !haves.is_empty()));
                    for have in haves {
                        told.take(number(&have), &ours, &theirs);
                        assert!(!theirs.contains(&number(&have)) || negotiator.acknowledge(&have));
                    }
                    if last {
                        break;
                    }
                }
            }
        }
        for have in negotiator.take_last() {
            told.take(number(&have), &ours, &theirs);
        }
        assert_eq!(negotiator.haves(), told.haves.len());
        assert!(told.loaded <= ours.len());
        told
    }
}

impl Told {
    fn take(&mut self, have: usize, ours: &[usize], theirs: &[usize]) {
        assert!(ours.contains(&have), "only what is held is sent");
        assert!(self.haves.insert(have), "nothing is sent twice");
        self.common.extend(Some(have).filter(|have| theirs.contains(have)));
    }
}

proptest! {
    #![proptest_config(crate::config())]

    /// FETCH-15, FETCH-16: who tries every commit that may be common teaches the server all that is.
    #[test]
    fn fetch_16_consecutive_haves_tell_everything_that_is_common(case in case()) {
        let reach = Reach::new(&case.history, |_| true);
        let told = case.run(&reach, Algorithm::Consecutive);
        let theirs = reach.of(&case.remote);
        let shared: Vec<usize> = reach.of(&case.local).into_iter().filter(|at| theirs.contains(at)).collect();
        prop_assert_eq!(reach.of(&told.common), shared);
    }

    /// FETCH-15, FETCH-16, FETCH-17: samples tell nothing that is not so, and each ref of either side that both have.
    #[test]
    fn fetch_17_samples_tell_every_ref_that_both_sides_have(case in case()) {
        let reach = Reach::new(&case.history, |_| true);
        let told = case.run(&reach, Algorithm::Skipping);
        let (ours, theirs, learnt) = (reach.of(&case.local), reach.of(&case.remote), reach.of(&told.common));
        prop_assert!(learnt.iter().all(|at| ours.contains(at) && theirs.contains(at)));
        let both = |at: &&usize| ours.contains(at) && theirs.contains(at);
        let mut refs = case.local.iter().chain(&case.remote).filter(both);
        prop_assert!(refs.all(|at| learnt.contains(at)));
    }

    /// FETCH-15: whatever is told, circles included, and whatever of it is acknowledged, it ends.
    #[test]
    fn fetch_15_it_ends_on_any_history(
        history in circular(40),
        tips in prop::collection::vec(any::<Index>(), 1..5),
        shared in prop::collection::vec(any::<Index>(), 0..3),
        acknowledged in prop::collection::vec(any::<bool>(), 40),
        withheld in prop::collection::vec(any::<bool>(), 40),
        skips in any::<bool>(),
    ) {
        let size = history.parents.len();
        let at = |picks: &[Index]| picks.iter().map(|pick| id(pick.index(size))).collect::<Vec<_>>();
        let algorithm = if skips { Algorithm::Skipping } else { Algorithm::Consecutive };
        let mut negotiator = Negotiator::new(algorithm, at(&shared), at(&tips));
        let mut turns = 0;
        while let Some(next) = negotiator.poll() {
            turns += 1;
            prop_assert!(turns <= 2 * size + 2, "each turn tells or asks for something new");
            match next {
                Next::Load(ids) => {
                    let told = ids.iter().map(number).filter(|at| !withheld[*at]);
                    negotiator.commits(commits(&history, told)).unwrap();
                }
                Next::Round { haves, .. } => {
                    for have in haves.iter().filter(|have| acknowledged[number(have)]) {
                        negotiator.acknowledge(have);
                    }
                }
            }
        }
    }
}
