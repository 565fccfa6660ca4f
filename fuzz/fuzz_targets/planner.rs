//! A plan for any refs over any history: no id is asked for twice, one end, no verb out of turn changes anything, and
//! each ref's decision is the table's for what a plain walk says of its ancestry.
#![no_main]

#[path = "../../tests/sync_history/mod.rs"]
#[allow(missing_docs)]
mod history;

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::Arbitrary;
use history::{History, id};
use libfuzzer_sys::fuzz_target;
use portline::git::{Commit, ObjectFormat, ObjectId, RefName};
use portline::sync::planner::{Action, Error};
use portline::sync::{
    Ancestry, Base, Config, Decision, Pattern, Plan, Planner, Step, Strategy, always_excluded, decide,
};

#[derive(Arbitrary, Debug)]
struct Input {
    /// For each commit its parents, so far back, and its time.
    commits: Vec<(u8, u8, i8)>,
    local: Vec<(u8, u16)>,
    remote: Vec<(u8, u16)>,
    base: Option<Vec<(u8, u16)>>,
    strategy: u8,
    excludes: bool,
    limit: Option<u8>,
    absent: Vec<u16>,
    volunteer: bool,
    /// A list with a null id, or with a name twice.
    null: bool,
    twice: bool,
    /// Between an action and its answer: verbs that nobody asked for.
    early: bool,
}

const NAMES: [&str; 6] =
    ["refs/heads/a", "refs/heads/b", "refs/heads/wip-1", "refs/tags/v", "HEAD", "refs/portline/backup/x"];

type Refs = BTreeMap<RefName, ObjectId>;

fn refs(list: &[(u8, u16)], count: usize) -> Refs {
    let of = |(of, to): &(u8, u16)| {
        let to = usize::from(*to).checked_rem(count)?;
        Some((RefName::new(NAMES[usize::from(*of) % NAMES.len()]).unwrap(), id(to)))
    };
    list.iter().filter_map(of).collect()
}

fn check(input: &Input, history: &History, [local, remote]: [&Refs; 2], base: Option<&Refs>, plan: &Plan) {
    let numbers: BTreeMap<ObjectId, usize> = (0..history.parents.len()).map(|at| (id(at), at)).collect();
    let names: BTreeSet<&RefName> = local.keys().chain(remote.keys()).collect();
    assert!(plan.iter().map(|entry| &entry.name).eq(names), "every ref once, by name");
    for entry in plan {
        let (here, there) = (local.get(&entry.name), remote.get(&entry.name));
        assert_eq!((entry.local.as_ref(), entry.remote.as_ref()), (here, there));
        let excluded = always_excluded(&entry.name)
            || (input.excludes && entry.name.as_bytes().starts_with(b"refs/heads/wip-"));
        assert_eq!(entry.step == Step::Excluded, excluded);
        let then = match base {
            None => Base::Unknown,
            Some(base) => base.get(&entry.name).map_or(Base::Absent, |id| Base::At(*id)),
        };
        let ancestry = match (here, there) {
            (Some(here), Some(there)) if !excluded && here != there => {
                history.ancestry(numbers[here], numbers[there])
            }
            _ => Ancestry::Unrelated,
        };
        if input.absent.is_empty() {
            assert_eq!(entry.decision, decide(here, there, then, ancestry), "{}", entry.name);
        } else if ancestry == Ancestry::Unrelated || here.is_none() || there.is_none() {
            // What is not held makes nobody an ancestor.
            assert_eq!(entry.decision, decide(here, there, then, Ancestry::Unrelated));
        }
        if entry.step == Step::Conflict {
            assert!(entry.decision == Decision::Conflict && input.strategy % 3 == 0);
        }
    }
    assert_eq!(plan.needs_sync(), plan.to_push().chain(plan.to_update_locally()).next().is_some());
}

fuzz_target!(|input: Input| {
    let count = input.commits.len();
    let mut history = History::default();
    for (at, (one, other, time)) in input.commits.iter().enumerate() {
        let back = |by: &u8| (*by > 0).then(|| at.checked_sub(usize::from(*by))).flatten();
        history.parents.push(back(one).into_iter().chain(back(other)).collect());
        history.times.push(at as i64 * 3 + i64::from(*time));
    }
    let (local, remote) = (refs(&input.local, count), refs(&input.remote, count));
    let base = input.base.as_ref().map(|base| refs(base, count));
    let absent: BTreeSet<ObjectId> =
        input.absent.iter().filter_map(|of| Some(id(usize::from(*of).checked_rem(count)?))).collect();
    let config = Config {
        strategy: [Strategy::Report, Strategy::PreferLocal, Strategy::PreferRemote]
            [usize::from(input.strategy) % 3],
        exclude: if input.excludes { vec![Pattern::new("refs/heads/wip-*").unwrap()] } else { vec![] },
        max_commits: input.limit.map_or(usize::MAX, usize::from),
    };
    let mut given: Vec<(RefName, ObjectId)> = remote.clone().into_iter().collect();
    if input.null {
        given.push((RefName::new("refs/heads/z").unwrap(), ObjectId::null(ObjectFormat::Sha1)));
    }
    let repeated = given.first().cloned().filter(|_| input.twice);
    given.extend(repeated.clone());
    let mut planner = Planner::new(
        config,
        local.clone().into_iter().rev().collect(),
        given,
        base.clone().map(|base| base.into_iter().collect()),
    );
    assert!(planner.commits(vec![]).is_err() && planner.poll_action().is_none());
    let told: BTreeMap<ObjectId, Commit> = history
        .all()
        .into_iter()
        .filter(|commit| !absent.contains(&commit.id))
        .map(|commit| (commit.id, commit))
        .collect();
    let mut asked = BTreeSet::new();
    planner.start().unwrap();
    loop {
        if input.early {
            assert!(planner.commits(vec![]).is_err() && planner.start().is_err(), "out of turn");
        }
        match planner.poll_action().expect("an action is waiting") {
            Action::LoadCommits(ids) => {
                assert!(!ids.is_empty() && planner.poll_action().is_none());
                assert!(ids.iter().all(|id| asked.insert(*id)), "no id is asked for twice");
                let mut list: Vec<Commit> = ids.iter().filter_map(|id| told.get(id).cloned()).collect();
                if input.volunteer {
                    let more: Vec<Commit> = list
                        .iter()
                        .flat_map(|one| one.parents.iter())
                        .filter_map(|parent| told.get(parent).cloned())
                        .collect();
                    list.extend(more);
                }
                planner.commits(list).unwrap();
            }
            Action::Planned(plan) => {
                assert!(!input.null && repeated.is_none());
                check(&input, &history, [&local, &remote], base.as_ref(), &plan);
                break;
            }
            Action::Failed(error) => {
                match error {
                    Error::TooManyCommits { limit } => assert_eq!(Some(limit), input.limit.map(usize::from)),
                    Error::NullId { .. } => assert!(input.null),
                    Error::DuplicateRef { .. } => assert!(repeated.is_some()),
                    other => panic!("{other}"),
                }
                break;
            }
        }
    }
    assert!(input.limit.is_none_or(|limit| asked.len() <= usize::from(limit)));
    assert!(planner.has_ended() && planner.poll_action().is_none());
    assert!(planner.start().is_err() && planner.commits(vec![]).is_err());
});
