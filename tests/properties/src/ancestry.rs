//! Ancestry beside what reaches what: asked for, volunteered or indexed, over histories with gaps.

use portline::sync::{Ancestry, Config, Graph, Planner};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::history::{Reach, circular, commits, history, number};
use crate::sync_history::{History, Refs, drive, id, name, plan_over, told};

/// A history, pairs of different commits, commits that nobody holds, and those that a driver volunteers.
#[derive(Clone, Debug)]
struct Case {
    history: History,
    pairs: Vec<(usize, usize)>,
    missing: Vec<bool>,
    volunteered: Vec<Index>,
}

fn case() -> impl Strategy<Value = Case> {
    let pair = (any::<Index>(), any::<Index>());
    let pairs =
        prop_oneof![9 => prop::collection::vec(pair.clone(), 1..8), 1 => prop::collection::vec(pair, 1..80)];
    let missing = prop::collection::vec(prop::bool::weighted(0.1), 70);
    // As often whole.
    let missing = prop_oneof![Just(vec![false; 70]), missing];
    (history(70), pairs, missing, prop::collection::vec(any::<Index>(), 0..6)).prop_map(
        |(history, pairs, missing, volunteered)| {
            let size = history.parents.len();
            let pairs = pairs.into_iter().map(|(here, there)| (here.index(size), there.index(size)));
            let pairs = pairs.filter(|(here, there)| here != there).collect();
            Case { history, pairs, missing, volunteered }
        },
    )
}

impl Case {
    fn expected(&self) -> Vec<Ancestry> {
        let reach = Reach::new(&self.history, |at| !self.missing[at]);
        let of = |(here, there): &(usize, usize)| match (
            reach.reaches(*here, *there),
            reach.reaches(*there, *here),
        ) {
            (false, true) => Ancestry::LocalBehind,
            (true, false) => Ancestry::RemoteBehind,
            (false, false) => Ancestry::Unrelated,
            (true, true) => panic!("a circle"),
        };
        self.pairs.iter().map(of).collect()
    }

    fn side(&self, pick: fn(&(usize, usize)) -> usize) -> Refs {
        let one = |(place, pair)| (name(&format!("refs/heads/{place:04}")), id(pick(pair)));
        self.pairs.iter().enumerate().map(one).collect()
    }

    fn held(&self) -> impl Iterator<Item = usize> {
        (0..self.history.parents.len()).filter(|at| !self.missing[*at])
    }

    /// What is told when the driver answers with what it holds, and with commits that nobody asked for.
    fn asked(&self, volunteers: bool) -> Vec<Ancestry> {
        let mut planner =
            Planner::new(Config::default(), self.side(|pair| pair.0), self.side(|pair| pair.1), None);
        let size = self.history.parents.len();
        let run = drive(&mut planner, |ids| {
            let asked = ids.iter().map(number).filter(|at| !self.missing[*at]);
            let extra = self.volunteered.iter().map(|pick| pick.index(size));
            let extra = extra.filter(|at| volunteers && !self.missing[*at]);
            commits(&self.history, asked.chain(extra))
        });
        told(run.plan())
    }
}

proptest! {
    #![proptest_config(crate::config())]

    /// SYNC-22, SYNC-23, SYNC-24, SYNC-28.
    #[test]
    fn sync_22_ancestry_is_what_reaches_what_whatever_the_clocks_say(case in case()) {
        let expected = case.expected();
        prop_assert_eq!(case.asked(false), expected.clone(), "asked for");
        prop_assert_eq!(case.asked(true), expected.clone(), "volunteered");
        let ids: Vec<_> = case.pairs.iter().map(|(here, there)| (id(*here), id(*there))).collect();
        let graph = Graph::new(commits(&case.history, case.held()));
        prop_assert_eq!(graph.ancestry(&ids), expected, "indexed");
    }

    /// SYNC-26: a circle is followed to no end; what it says is not defined.
    #[test]
    fn sync_26_circles_end(
        history in circular(30),
        pairs in prop::collection::vec((any::<Index>(), any::<Index>()), 1..40),
    ) {
        let size = history.parents.len();
        let side = |pick: fn(&(Index, Index)) -> Index| -> Refs {
            let one = |(place, pair)| (name(&format!("refs/heads/{place:04}")), id(pick(pair).index(size)));
            pairs.iter().enumerate().map(one).collect()
        };
        let (local, remote) = (side(|pair| pair.0), side(|pair| pair.1));
        let ids: Vec<_> = local.iter().zip(&remote).map(|(here, there)| (here.1, there.1)).collect();
        prop_assert_eq!(plan_over(&history, Config::default(), local, remote, None).plan().refs.len(), ids.len());
        prop_assert_eq!(Graph::new(history.all()).ancestry(&ids).len(), ids.len());
    }
}
