//! Whole plans beside the rows of the decision table, with what reaches what for the ancestry.

use std::collections::BTreeMap;

use portline::git::{ObjectId, RefName};
use portline::sync::{Config, Decision, Pattern, RefPlan, Step, Strategy as Preference};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::history::{Reach, history};
use crate::sync_history::{History, Refs, id, name, plan_over};

/// Every name that there may be. Of those that are excluded some always are.
const NAMES: [&str; 10] = [
    "HEAD",
    "refs/heads/a",
    "refs/heads/ab",
    "refs/heads/b",
    "refs/heads/b/c",
    "refs/notes/n",
    "refs/portline/backup/x",
    "refs/tags/a",
    "refs/tags/v1",
    "refs/tmp/a",
];

const PATTERNS: [&str; 6] = ["refs/tmp/*", "refs/heads/b", "refs/heads/b*", "refs/tags/v1", "refs/t*", "*"];

/// Where a name is on the two sides and in the record.
type Places = [Option<usize>; 3];

#[derive(Clone, Debug)]
struct Case {
    history: History,
    places: Vec<Places>,
    known: bool,
    preference: Preference,
    patterns: Vec<&'static str>,
    /// The lists come in any order.
    reversed: bool,
}

fn case() -> impl Strategy<Value = Case> {
    // Few commits, so that values meet.
    let place = || prop::option::weighted(0.8, any::<Index>());
    let places = prop::collection::vec([place(), place(), place()], NAMES.len());
    let preference =
        prop_oneof![Just(Preference::Report), Just(Preference::PreferLocal), Just(Preference::PreferRemote)];
    let patterns = prop::sample::subsequence(PATTERNS.to_vec(), 0..3);
    (history(9), places, prop::bool::weighted(0.8), preference, patterns, any::<bool>()).prop_map(
        |(history, places, known, preference, patterns, reversed)| {
            let size = history.parents.len();
            let at = |places: [Option<Index>; 3]| places.map(|place| place.map(|pick| pick.index(size)));
            let places = places.into_iter().map(at).collect();
            Case { history, places, known, preference, patterns, reversed }
        },
    )
}

/// Whether a value is there, and whether it is the one that the row is about.
fn one_sided(value: usize, base: Option<usize>, created: Decision, deleted: Decision) -> Decision {
    match base {
        None => created,
        Some(base) if base == value => deleted,
        Some(_) => Decision::Conflict,
    }
}

impl Case {
    fn excludes(&self, name: &str) -> bool {
        let covers = |pattern: &&str| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == *pattern,
        };
        name == "HEAD" || name.starts_with("refs/portline/") || self.patterns.iter().any(covers)
    }

    /// The rows of the table in `spec/07-sync.md`, from top to bottom.
    fn decision(&self, reach: Option<&Reach>, [local, remote, base]: Places) -> Decision {
        let base = base.filter(|_| self.known);
        let is_ancestor = |old, new| reach.is_some_and(|reach| reach.reaches(new, old));
        match (local, remote) {
            (None, None) => Decision::UpToDate,
            (Some(here), Some(there)) if here == there => Decision::UpToDate,
            (Some(here), Some(there)) if is_ancestor(here, there) => Decision::Fetch,
            (Some(here), Some(there)) if is_ancestor(there, here) => Decision::Push,
            (Some(_), Some(_)) => Decision::Conflict,
            (None, Some(there)) => one_sided(there, base, Decision::Fetch, Decision::DeleteRemote),
            (Some(here), None) => one_sided(here, base, Decision::Push, Decision::DeleteLocal),
        }
    }

    /// The last two columns: the side that is preferred gives its value, or that it has none.
    fn step(&self, decision: Decision, [local, remote, _]: Places) -> Step {
        match (decision, self.preference) {
            (Decision::UpToDate, _) => Step::Keep,
            (Decision::Fetch, _) => Step::UpdateLocal { force: false },
            (Decision::Push, _) => Step::UpdateRemote { force: false },
            (Decision::DeleteLocal, _) => Step::DeleteLocal { force: false },
            (Decision::DeleteRemote, _) => Step::DeleteRemote { force: false },
            (Decision::Conflict, Preference::Report) => Step::Conflict,
            // Force: there is a value that goes.
            (Decision::Conflict, Preference::PreferLocal) if local.is_some() => {
                Step::UpdateRemote { force: remote.is_some() }
            }
            (Decision::Conflict, Preference::PreferLocal) => Step::DeleteRemote { force: true },
            (Decision::Conflict, Preference::PreferRemote) if remote.is_some() => {
                Step::UpdateLocal { force: local.is_some() }
            }
            (Decision::Conflict, Preference::PreferRemote) => Step::DeleteLocal { force: true },
        }
    }

    fn expected(&self) -> Vec<RefPlan> {
        let reach = Reach::new(&self.history, |_| true);
        let mut refs = Vec::new();
        for (text, places) in NAMES.iter().zip(&self.places) {
            let [local, remote, _] = places.map(|place| place.map(id));
            if local.is_none() && remote.is_none() {
                continue;
            }
            let excluded = self.excludes(text);
            let decision = self.decision((!excluded).then_some(&reach), *places);
            let step = if excluded { Step::Excluded } else { self.step(decision, *places) };
            refs.push(RefPlan { name: name(text), local, remote, decision, step });
        }
        refs
    }

    fn side(&self, which: usize) -> Refs {
        let there = NAMES.iter().zip(&self.places);
        let mut refs: Refs =
            there.filter_map(|(text, places)| Some((name(text), id(places[which]?)))).collect();
        if self.reversed {
            refs.reverse();
        }
        refs
    }
}

/// What the two sides are after a plan: every step done to the letter.
fn after(plan: &[RefPlan]) -> [BTreeMap<&RefName, ObjectId>; 2] {
    let mut sides = [BTreeMap::new(), BTreeMap::new()];
    for one in plan {
        let (local, remote) = match one.step {
            Step::Keep | Step::Conflict | Step::Excluded => (one.local, one.remote),
            Step::UpdateLocal { .. } => (one.remote, one.remote),
            Step::UpdateRemote { .. } => (one.local, one.local),
            Step::DeleteLocal { .. } | Step::DeleteRemote { .. } => (None, None),
        };
        sides[0].extend(local.map(|id| (&one.name, id)));
        sides[1].extend(remote.map(|id| (&one.name, id)));
    }
    sides
}

proptest! {
    #![proptest_config(crate::config())]

    /// SYNC-1 to SYNC-8, SYNC-10, SYNC-11, SYNC-30, SYNC-31.
    #[test]
    fn sync_30_a_plan_is_the_table_for_every_ref(case in case()) {
        let exclude = case.patterns.iter().map(|pattern| Pattern::new(pattern).unwrap()).collect();
        let config = Config { strategy: case.preference, exclude, ..Config::default() };
        let base = case.known.then(|| case.side(2));
        let run = plan_over(&case.history, config, case.side(0), case.side(1), base);
        let (plan, expected) = (run.plan(), case.expected());
        prop_assert_eq!(&plan.refs, &expected);

        // What the plan says of itself.
        let [before, then] = [[0, 1].map(|side| case.side(side)), after(&expected).map(|side| {
            side.into_iter().map(|(name, id)| (name.clone(), id)).collect::<Refs>()
        })];
        let changed = |side: usize| -> Vec<&RefName> {
            let at = |refs: &Refs, name: &RefName| refs.iter().find(|one| one.0 == *name).map(|one| one.1);
            let moved = |one: &&RefPlan| at(&before[side], &one.name) != at(&then[side], &one.name);
            expected.iter().filter(moved).map(|one| &one.name).collect()
        };
        let names = |refs: Vec<&'_ RefPlan>| refs.into_iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        prop_assert_eq!(names(plan.to_push().collect()), changed(1).into_iter().cloned().collect::<Vec<_>>());
        prop_assert_eq!(names(plan.to_update_locally().collect()), changed(0).into_iter().cloned().collect::<Vec<_>>());
        prop_assert_eq!(plan.needs_sync(), !changed(0).is_empty() || !changed(1).is_empty());
        let undecided = expected.iter().filter(|one| one.step == Step::Conflict);
        prop_assert_eq!(names(plan.conflicts().collect()), names(undecided.collect()));
        let mut fetched: Vec<ObjectId> =
            expected.iter().filter(|one| changed(0).contains(&&one.name)).filter_map(|one| {
                then[0].iter().find(|there| there.0 == one.name).map(|there| there.1)
            }).collect();
        fetched.sort();
        fetched.dedup();
        prop_assert_eq!(plan.to_fetch(), fetched);

        // Where nothing is left out, both sides agree then.
        if expected.iter().all(|one| !matches!(one.step, Step::Conflict | Step::Excluded)) {
            prop_assert_eq!(&then[0], &then[1]);
        }
    }
}
