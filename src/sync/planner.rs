//! The machine that makes a plan.
//!
//! ```text
//!            start            commits
//!  Ready ──────────► Walking ─────────┐        poll_action: LoadCommits, then exactly one of
//!    │                 │  ▲           │          Planned(Plan)
//!    │ no history      │  └───────────┘          Failed(Error)
//!    │ needed          │ answered, or failed
//!    └──────────► Ended ◄┘
//! ```
//!
//! | state | input | what follows |
//! |---|---|---|
//! | Ready | `start` | `LoadCommits`, or `Planned` when no ref needs history; `Failed` when the lists were bad |
//! | Walking | `commits` | the next `LoadCommits`, or `Planned`; `Failed` at a limit |
//! | any | another verb | [`Misuse`], and nothing changes |
//!
//! There is no transport and no deadline, so it has the parts of the usual face that it needs. An answer's work is
//! bounded by what was told: each commit is passed at most once for each colour of each group of 64 differing pairs.
//!
//! Limits: [`Config::max_commits`]; parents of one commit, [`limits::PARENTS`]. Rules: `spec/07-sync.md`.

use alloc::vec::Vec;

use super::walk::Walk;
use super::{Ancestry, Base, Pattern, Plan, RefPlan, Step, Strategy, always_excluded, decide};
use crate::error::Blame;
use crate::git::{Commit, Misuse, ObjectId, RefName};
use crate::limits;

/// What a planner goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What to do about conflicts. Default: report them.
    pub strategy: Strategy,
    /// Refs to leave alone, besides [`BUILT_IN_EXCLUSIONS`](super::BUILT_IN_EXCLUSIONS). Default: none.
    pub exclude: Vec<Pattern>,
    /// Commits that may be asked for, or told without being asked, in all. Default: [`limits::PLAN_COMMITS`].
    pub max_commits: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { strategy: Strategy::default(), exclude: Vec::new(), max_commits: limits::PLAN_COMMITS }
    }
}

/// One of the lists that a planner is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The local refs.
    Local,
    /// The remote refs.
    Remote,
    /// The refs at the last sync.
    Base,
}

impl Side {
    const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
            Self::Base => "base",
        }
    }
}

/// What ended a planner without a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A list has two refs of one name.
    #[error("the {} refs have {name} twice", .side.name())]
    DuplicateRef {
        /// The list.
        side: Side,
        /// The name.
        name: RefName,
    },
    /// A list has a ref with the null id, which would read as a deletion further on.
    #[error("the {} ref {name} has the null id", .side.name())]
    NullId {
        /// The list.
        side: Side,
        /// The name.
        name: RefName,
    },
    /// Ancestry cannot be told within [`Config::max_commits`].
    #[error("ancestry needs more than {limit} commits")]
    TooManyCommits {
        /// The limit.
        limit: usize,
    },
    /// A commit has more parents than [`limits::PARENTS`].
    #[error("a commit has more than {limit} parents")]
    TooManyParents {
        /// The limit.
        limit: usize,
    },
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::DuplicateRef { side: Side::Remote, .. } | Self::NullId { side: Side::Remote, .. } => {
                Blame::Peer
            }
            Self::DuplicateRef { .. }
            | Self::NullId { .. }
            | Self::TooManyCommits { .. }
            | Self::TooManyParents { .. } => Blame::Caller,
        }
    }
}

/// What the driver has to do, or what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Tell the parents and times of these commits with [`Planner::commits`]. No id is ever asked for twice.
    LoadCommits(Vec<ObjectId>),
    /// The plan. The planner has ended.
    Planned(Plan),
    /// There is no plan. The planner has ended.
    Failed(Error),
}

/// One ref of the merged lists.
#[derive(Debug)]
struct Row {
    name: RefName,
    local: Option<ObjectId>,
    remote: Option<ObjectId>,
    base: Base,
    excluded: bool,
}

impl Row {
    /// The two ids, if only history tells what to do with them.
    fn pair(&self) -> Option<(ObjectId, ObjectId)> {
        match (self.local, self.remote) {
            (Some(local), Some(remote)) if local != remote && !self.excluded => Some((local, remote)),
            _ => None,
        }
    }

    /// The remote id of a ref that is not here, unless the base shows that it was deleted here.
    fn created(&self) -> Option<ObjectId> {
        let id = self.remote.filter(|_| self.local.is_none() && !self.excluded)?;
        let decision = decide(None, Some(&id), self.base, Ancestry::Unrelated);
        (decision != super::Decision::DeleteRemote).then_some(id)
    }
}

#[derive(Debug)]
enum State {
    /// Waits for `start`; the lists were merged, or cannot be.
    Ready(Result<(), Error>),
    /// Waits for `commits`. The pairs are sorted, each once.
    Walking { walk: Walk, pairs: Vec<(ObjectId, ObjectId)> },
    /// The terminal action is queued or gone.
    Ended,
}

/// Makes a [`Plan`] from the refs of both sides.
///
/// ```
/// use portline::git::{Commit, ObjectId, RefName};
/// use portline::sync::{Config, Planner, planner::Action};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (old, new) = (ObjectId::from_raw(&[1; 20])?, ObjectId::from_raw(&[2; 20])?);
/// let main = RefName::new("refs/heads/main")?;
/// let history = [
///     Commit { id: old, parents: [].into_iter().collect(), time: 1 },
///     Commit { id: new, parents: [old].into_iter().collect(), time: 2 },
/// ];
///
/// let mut planner =
///     Planner::new(Config::default(), vec![(main.clone(), old)], vec![(main, new)], None);
/// // Fetch `planner.wants()` here; objects are needed before ancestry can be told.
/// planner.start()?;
/// let plan = loop {
///     match planner.poll_action() {
///         Some(Action::LoadCommits(ids)) => {
///             let told = history.iter().filter(|commit| ids.contains(&commit.id)).cloned().collect();
///             planner.commits(told)?;
///         }
///         Some(Action::Planned(plan)) => break plan,
///         Some(Action::Failed(error)) => return Err(error.into()),
///         None => return Err("the planner waits for commits".into()),
///     }
/// };
/// assert_eq!(plan.refs[0].step.to_string(), "update local");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Planner {
    strategy: Strategy,
    max_commits: usize,
    rows: Vec<Row>,
    state: State,
    action: Option<Action>,
}

impl Planner {
    /// A planner for these refs, in any order. `base` is what both sides had after the last sync, `None` if there is no
    /// such record. Lists with duplicates or null ids make `start` end in [`Action::Failed`].
    #[must_use]
    pub fn new(
        config: Config,
        local: Vec<(RefName, ObjectId)>,
        remote: Vec<(RefName, ObjectId)>,
        base: Option<Vec<(RefName, ObjectId)>>,
    ) -> Self {
        let (rows, merged) = match merge(&config.exclude, local, remote, base) {
            Ok(rows) => (rows, Ok(())),
            Err(error) => (Vec::new(), Err(error)),
        };
        Self {
            strategy: config.strategy,
            max_commits: config.max_commits,
            rows,
            state: State::Ready(merged),
            action: None,
        }
    }

    /// The remote ids whose ancestry decides something: sorted, each once. They and what they reach have to be held
    /// before `start`; one that is not held is answered by leaving it out, and its refs are conflicts.
    #[must_use]
    pub fn wants(&self) -> Vec<ObjectId> {
        let mut ids: Vec<ObjectId> = self.rows.iter().filter_map(|row| Some(row.pair()?.1)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The remote ids that a sync may have to hold: those of [`Self::wants`], and those of refs that are not here,
    /// unless they were deleted here. Sorted, each once.
    #[must_use]
    pub fn to_fetch(&self) -> Vec<ObjectId> {
        let mut ids = self.wants();
        ids.extend(self.rows.iter().filter_map(Row::created));
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Begins.
    ///
    /// # Errors
    /// [`Misuse`] if it has begun already.
    pub fn start(&mut self) -> Result<(), Misuse> {
        match core::mem::replace(&mut self.state, State::Ended) {
            State::Ready(Ok(())) => {
                let mut pairs: Vec<_> = self.rows.iter().filter_map(Row::pair).collect();
                pairs.sort_unstable();
                pairs.dedup();
                match Walk::new(&pairs, self.max_commits) {
                    Ok(walk) => self.advance(walk, pairs),
                    Err(error) => self.action = Some(Action::Failed(error)),
                }
                Ok(())
            }
            State::Ready(Err(error)) => {
                self.action = Some(Action::Failed(error));
                Ok(())
            }
            walking @ State::Walking { .. } => {
                self.state = walking;
                Err(Misuse::Argument { verb: "start", reason: "the planner was started before" })
            }
            State::Ended => Err(Misuse::Ended { verb: "start" }),
        }
    }

    /// The answer to [`Action::LoadCommits`]: what is not a commit or not held is left out. Commits that were not asked
    /// for may be volunteered (a driver that reads many at once saves turns); they count towards the limit.
    ///
    /// # Errors
    /// [`Misuse`] if nothing was asked.
    pub fn commits(&mut self, commits: Vec<Commit>) -> Result<(), Misuse> {
        const VERB: &str = "commits";
        match core::mem::replace(&mut self.state, State::Ended) {
            State::Walking { mut walk, pairs } if self.action.is_none() => {
                match walk.tell(commits) {
                    Ok(()) => self.advance(walk, pairs),
                    Err(error) => self.action = Some(Action::Failed(error)),
                }
                Ok(())
            }
            State::Ended => Err(Misuse::Ended { verb: VERB }),
            // Not started, or the question has not been polled yet.
            state @ (State::Ready(_) | State::Walking { .. }) => {
                self.state = state;
                Err(Misuse::NotAsked { verb: VERB })
            }
        }
    }

    /// What to do next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.action.take()
    }

    /// Whether the terminal action was taken: nothing more will come.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended) && self.action.is_none()
    }

    fn advance(&mut self, mut walk: Walk, pairs: Vec<(ObjectId, ObjectId)>) {
        match walk.advance() {
            Ok(ids) if ids.is_empty() => {
                let answers: Vec<Ancestry> = walk.answers().collect();
                self.action = Some(Action::Planned(self.plan(&pairs, &answers)));
            }
            Ok(ids) => {
                self.action = Some(Action::LoadCommits(ids));
                self.state = State::Walking { walk, pairs };
            }
            Err(error) => self.action = Some(Action::Failed(error)),
        }
    }

    fn plan(&mut self, pairs: &[(ObjectId, ObjectId)], answers: &[Ancestry]) -> Plan {
        let strategy = self.strategy;
        let told = |pair| answers.get(pairs.binary_search(&pair).ok()?).copied();
        let refs = core::mem::take(&mut self.rows).into_iter().map(|row| {
            let ancestry = row.pair().and_then(told).unwrap_or_default();
            let (local, remote) = (row.local, row.remote);
            let decision = decide(local.as_ref(), remote.as_ref(), row.base, ancestry);
            let step = if row.excluded {
                Step::Excluded
            } else {
                decision.step(strategy, local.as_ref(), remote.as_ref())
            };
            RefPlan { name: row.name, local, remote, decision, step }
        });
        Plan { refs: refs.collect() }
    }
}

type Refs = Vec<(RefName, ObjectId)>;

/// Merges the lists by name. Refs that only the base has are gone on both sides and are nobody's concern.
fn merge(exclude: &[Pattern], local: Refs, remote: Refs, base: Option<Refs>) -> Result<Vec<Row>, Error> {
    let base = base.map(|base| sorted(Side::Base, base)).transpose()?;
    let mut local = sorted(Side::Local, local)?.into_iter().peekable();
    let mut remote = sorted(Side::Remote, remote)?.into_iter().peekable();
    let mut rows = Vec::new();
    loop {
        let name = match (local.peek(), remote.peek()) {
            (None, None) => return Ok(rows),
            (Some((name, _)), None) | (None, Some((name, _))) => name.clone(),
            (Some((here, _)), Some((there, _))) => here.min(there).clone(),
        };
        let here = local.next_if(|(other, _)| *other == name).map(|(_, id)| id);
        let there = remote.next_if(|(other, _)| *other == name).map(|(_, id)| id);
        let then = base_of(base.as_deref(), &name);
        let excluded = always_excluded(&name) || exclude.iter().any(|pattern| pattern.covers(&name));
        rows.push(Row { name, local: here, remote: there, base: then, excluded });
    }
}

fn base_of(base: Option<&[(RefName, ObjectId)]>, name: &RefName) -> Base {
    let Some(base) = base else { return Base::Unknown };
    let place = base.binary_search_by(|(other, _)| other.cmp(name));
    place.ok().and_then(|place| base.get(place)).map_or(Base::Absent, |(_, id)| Base::At(*id))
}

fn sorted(side: Side, mut refs: Refs) -> Result<Refs, Error> {
    refs.sort_unstable();
    if let Some((name, _)) = refs.iter().find(|(_, id)| id.is_null()) {
        return Err(Error::NullId { side, name: name.clone() });
    }
    let twice = refs.windows(2).find_map(|pair| match pair {
        [(first, _), (second, _)] if first == second => Some(first.clone()),
        _ => None,
    });
    match twice {
        Some(name) => Err(Error::DuplicateRef { side, name }),
        None => Ok(refs),
    }
}
