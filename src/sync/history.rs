//! The commits that a driver has told so far: ids become small numbers, and each is asked for once.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use smallvec::SmallVec;

use super::planner::Error;
use crate::git::{Commit, ObjectId};
use crate::limits;

/// A commit's number, in the order in which ids were first named.
pub(super) type Node = u32;

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Named by a ref or a child, not asked for yet.
    Named,
    /// Asked for, not answered yet.
    Asked,
    /// Told, with this time.
    Told(i64),
    /// Asked for and not told: not a commit, or not held.
    Absent,
}

#[derive(Debug)]
struct Entry {
    id: ObjectId,
    known: Known,
    parents: SmallVec<[Node; 2]>,
}

#[derive(Debug)]
pub(super) struct History {
    entries: Vec<Entry>,
    numbers: BTreeMap<ObjectId, Node>,
    /// The numbers that the open question asks for.
    asked: Vec<Node>,
    /// Ids asked for and commits told without being asked.
    loaded: usize,
    limit: usize,
}

impl History {
    pub(super) const fn new(limit: usize) -> Self {
        Self { entries: Vec::new(), numbers: BTreeMap::new(), asked: Vec::new(), loaded: 0, limit }
    }

    /// The number of `id`, a new one if need be.
    pub(super) fn number(&mut self, id: ObjectId) -> Result<Node, Error> {
        if let Some(node) = self.numbers.get(&id) {
            return Ok(*node);
        }
        let node =
            Node::try_from(self.entries.len()).map_err(|_| Error::TooManyCommits { limit: self.limit })?;
        self.entries.push(Entry { id, known: Known::Named, parents: SmallVec::new() });
        self.numbers.insert(id, node);
        Ok(node)
    }

    pub(super) fn known(&self, node: Node) -> Known {
        self.entry(node).map_or(Known::Absent, |entry| entry.known)
    }

    pub(super) fn parents(&self, node: Node) -> &[Node] {
        self.entry(node).map_or(&[], |entry| &entry.parents)
    }

    fn entry(&self, node: Node) -> Option<&Entry> {
        self.entries.get(usize::try_from(node).ok()?)
    }

    fn entry_mut(&mut self, node: Node) -> Option<&mut Entry> {
        self.entries.get_mut(usize::try_from(node).ok()?)
    }

    /// Makes the next question of those of `nodes` that were never asked for (SYNC-21).
    pub(super) fn ask(&mut self, mut nodes: Vec<Node>) -> Result<Vec<ObjectId>, Error> {
        nodes.sort_unstable();
        nodes.dedup();
        let mut ids = Vec::new();
        for node in nodes {
            if let Some(entry) = self.entry_mut(node) {
                if entry.known == Known::Named {
                    entry.known = Known::Asked;
                    ids.push(entry.id);
                    self.asked.push(node);
                    self.count()?;
                }
            }
        }
        Ok(ids)
    }

    /// Takes the answer: what was asked for and is not in it is absent; what was not asked for is kept for later.
    pub(super) fn tell(&mut self, commits: Vec<Commit>) -> Result<(), Error> {
        for commit in commits {
            if commit.parents.len() > limits::PARENTS {
                return Err(Error::TooManyParents { limit: limits::PARENTS });
            }
            let node = self.number(commit.id)?;
            match self.known(node) {
                Known::Named => self.count()?,
                Known::Asked => {}
                // The first word counts.
                Known::Told(_) | Known::Absent => continue,
            }
            let mut parents = SmallVec::new();
            for parent in commit.parents {
                parents.push(self.number(parent)?);
            }
            parents.retain(|parent| *parent != node);
            if let Some(entry) = self.entry_mut(node) {
                entry.parents = parents;
                entry.known = Known::Told(commit.time);
            }
        }
        for node in core::mem::take(&mut self.asked) {
            if let Some(entry) = self.entry_mut(node) {
                if entry.known == Known::Asked {
                    entry.known = Known::Absent;
                }
            }
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), Error> {
        self.loaded = self.loaded.saturating_add(1);
        if self.loaded > self.limit { Err(Error::TooManyCommits { limit: self.limit }) } else { Ok(()) }
    }
}
