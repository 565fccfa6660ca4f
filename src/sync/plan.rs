//! What a planner ends with: every ref with its decision and its step.

use alloc::vec::Vec;

use super::{Decision, Step};
use crate::git::{ObjectId, RefName};

/// One ref of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefPlan {
    /// Its name.
    pub name: RefName,
    /// Its local id when the plan was made; the executor changes the ref only from this value. `None`: no such ref.
    pub local: Option<ObjectId>,
    /// Its remote id when the plan was made, likewise.
    pub remote: Option<ObjectId>,
    /// What the table says. For an excluded ref: what it says without history.
    pub decision: Decision,
    /// What to do: the decision after exclusions and the strategy.
    pub step: Step,
}

/// Every ref that either side has, sorted by name (SYNC-30).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The refs, sorted by the bytes of their names.
    pub refs: Vec<RefPlan>,
}

impl Plan {
    /// The remote ids that local refs are to be set to: each once, sorted. Those needed for ancestry are held already;
    /// a fetch leaves out what the repository has.
    #[must_use]
    pub fn to_fetch(&self) -> Vec<ObjectId> {
        let taken = self.iter().filter(|entry| matches!(entry.step, Step::UpdateLocal { .. }));
        let mut ids: Vec<ObjectId> = taken.filter_map(|entry| entry.remote).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The refs that a push changes: updates, creations and deletions, sorted by name.
    pub fn to_push(&self) -> impl Iterator<Item = &RefPlan> {
        self.iter().filter(|entry| entry.step.changes_remote())
    }

    /// The refs that change on the local side: updates, creations and deletions, sorted by name.
    pub fn to_update_locally(&self) -> impl Iterator<Item = &RefPlan> {
        self.iter().filter(|entry| entry.step.changes_local())
    }

    /// The conflicts that no strategy resolved, sorted by name. Excluded refs are none.
    pub fn conflicts(&self) -> impl Iterator<Item = &RefPlan> {
        self.iter().filter(|entry| entry.step == Step::Conflict)
    }

    /// Whether the plan changes anything on either side. Unresolved conflicts change nothing: see [`Plan::conflicts`].
    #[must_use]
    pub fn needs_sync(&self) -> bool {
        self.iter().any(|entry| entry.step.changes())
    }

    /// Every ref, sorted by name.
    pub fn iter(&self) -> core::slice::Iter<'_, RefPlan> {
        self.refs.iter()
    }

    /// The ref of that name.
    #[must_use]
    pub fn find(&self, name: &RefName) -> Option<&RefPlan> {
        let place = self.refs.binary_search_by(|entry| entry.name.cmp(name)).ok()?;
        self.refs.get(place)
    }
}

impl<'a> IntoIterator for &'a Plan {
    type Item = &'a RefPlan;
    type IntoIter = core::slice::Iter<'a, RefPlan>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Plan {
    type Item = RefPlan;
    type IntoIter = alloc::vec::IntoIter<RefPlan>;

    fn into_iter(self) -> Self::IntoIter {
        self.refs.into_iter()
    }
}
