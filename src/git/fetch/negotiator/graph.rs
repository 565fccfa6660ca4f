//! The part of the history that a negotiation has seen.
//!
//! Commits live in one vector and name each other by place, so memory is linear in the commits seen and no walk
//! recurses. A commit is asked for once: what was asked and not told counts as absent for good.

use alloc::collections::{BTreeMap, BinaryHeap};
use alloc::vec::Vec;
use core::cmp::Reverse;

use smallvec::SmallVec;

use crate::git::{Commit, ObjectId};

/// The place of a commit in the graph.
pub(super) type At = usize;

/// What is known of a commit's contents.
#[derive(Debug)]
enum Knowledge {
    /// Named by a child or as a root, not asked for.
    Named,
    /// Asked for.
    Asked,
    /// Asked for and not told: not a commit, or not there.
    Absent,
    /// Told.
    Told { time: i64, parents: SmallVec<[At; 2]> },
}

/// What is known of who has a commit. It only ever rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Held here; the server may have it or not.
    Local,
    /// Held here and advertised there; no other common commit is known to reach it.
    Advertised,
    /// On both sides, and the server knows it or will learn it from a commit that reaches this one.
    Common,
}

/// Where the walk is with a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Outside,
    Queued,
    Passed,
}

#[derive(Debug)]
struct Node {
    id: ObjectId,
    knowledge: Knowledge,
    standing: Standing,
    place: Place,
    /// A tip of the local repository.
    is_tip: bool,
    /// Whether it was sent as a `have`.
    is_sent: bool,
    stride: Stride,
}

/// How far apart the samples are where the walk is: `left` more commits are passed over, then one is taken and
/// the gap grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stride {
    gap: u32,
    left: u32,
}

impl Stride {
    pub(super) const fn is_due(self) -> bool {
        self.left == 0
    }

    /// The stride at the parents.
    pub(super) const fn next(self) -> Self {
        match self.left.checked_sub(1) {
            Some(left) => Self { gap: self.gap, left },
            None => {
                let gap = grow(self.gap);
                Self { gap, left: gap }
            }
        }
    }
}

/// Half as much again, and one: 0, 1, 2, 4, 7, 11, 17, …
pub(super) const fn grow(gap: u32) -> u32 {
    gap.saturating_add(gap >> 1).saturating_add(1)
}

/// What the walk finds next.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) at: At,
    pub(super) standing: Standing,
    pub(super) is_tip: bool,
    pub(super) stride: Stride,
}

#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    index: BTreeMap<ObjectId, At>,
    /// Told commits on the walk's front, newest first; of the same age, the one named first.
    front: BinaryHeap<(i64, Reverse<At>)>,
    /// Commits on the front that are `Local`, and those that are `Advertised`.
    local: usize,
    advertised: usize,
    asked: Vec<At>,
    wanted: Vec<At>,
}

impl Graph {
    /// Names a commit that the walk starts at.
    pub(super) fn start(&mut self, id: ObjectId, standing: Standing, is_tip: bool) {
        let at = self.name(id);
        if let Some(node) = self.nodes.get_mut(at) {
            if node.standing == Standing::Local {
                node.standing = standing;
            }
            node.is_tip |= is_tip;
        }
        self.reach(at);
    }

    fn name(&mut self, id: ObjectId) -> At {
        let next = self.nodes.len();
        let at = *self.index.entry(id).or_insert(next);
        if at == next {
            self.nodes.push(Node {
                id,
                knowledge: Knowledge::Named,
                standing: Standing::Local,
                place: Place::Outside,
                is_tip: false,
                is_sent: false,
                stride: Stride::default(),
            });
        }
        at
    }

    pub(super) fn find(&self, id: &ObjectId) -> Option<At> {
        self.index.get(id).copied()
    }

    pub(super) fn id(&self, at: At) -> Option<ObjectId> {
        self.nodes.get(at).map(|node| node.id)
    }

    pub(super) fn standing(&self, at: At) -> Standing {
        self.nodes.get(at).map_or(Standing::Common, |node| node.standing)
    }

    pub(super) fn is_sent(&self, at: At) -> bool {
        self.nodes.get(at).is_some_and(|node| node.is_sent)
    }

    pub(super) fn is_tip(&self, at: At) -> bool {
        self.nodes.get(at).is_some_and(|node| node.is_tip)
    }

    pub(super) fn set_sent(&mut self, at: At) {
        if let Some(node) = self.nodes.get_mut(at) {
            node.is_sent = true;
        }
    }

    /// Puts a told commit on the front; one not yet told is to be asked for.
    fn reach(&mut self, at: At) {
        let Some(node) = self.nodes.get_mut(at) else { return };
        match (&node.knowledge, node.place) {
            (Knowledge::Told { time, .. }, Place::Outside) => {
                node.place = Place::Queued;
                self.front.push((*time, Reverse(at)));
                match node.standing {
                    Standing::Local => self.local = self.local.saturating_add(1),
                    Standing::Advertised => self.advertised = self.advertised.saturating_add(1),
                    Standing::Common => {}
                }
            }
            (Knowledge::Named, _) => {
                node.knowledge = Knowledge::Asked;
                self.wanted.push(at);
            }
            (Knowledge::Told { .. }, Place::Queued | Place::Passed)
            | (Knowledge::Asked | Knowledge::Absent, _) => {}
        }
    }

    /// Whether an answer is awaited.
    pub(super) fn is_asking(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The commits to ask for now, if the walk needs any.
    pub(super) fn take_wanted(&mut self) -> Option<Vec<ObjectId>> {
        if self.wanted.is_empty() {
            return None;
        }
        self.asked = core::mem::take(&mut self.wanted);
        Some(self.asked.iter().filter_map(|at| self.id(*at)).collect())
    }

    /// Takes the answer: what was asked and is not in it is absent; what was not asked is kept for later.
    pub(super) fn tell(&mut self, commits: Vec<Commit>) {
        for commit in commits {
            let at = self.name(commit.id);
            let parents: SmallVec<[At; 2]> = commit.parents.iter().map(|id| self.name(*id)).collect();
            if let Some(node) = self.nodes.get_mut(at) {
                if matches!(node.knowledge, Knowledge::Named | Knowledge::Asked) {
                    node.knowledge = Knowledge::Told { time: commit.time, parents };
                }
            }
        }
        for at in core::mem::take(&mut self.asked) {
            if let Some(node) = self.nodes.get_mut(at) {
                if matches!(node.knowledge, Knowledge::Asked) {
                    node.knowledge = Knowledge::Absent;
                }
            }
            self.reach(at);
        }
    }

    /// Whether the front still holds a commit that might have to be sent.
    pub(super) const fn is_resolved(&self) -> bool {
        self.local == 0 && self.advertised == 0
    }

    /// Whether every local commit that is not known to be common has been passed.
    pub(super) const fn is_local_passed(&self) -> bool {
        self.local == 0
    }

    /// Passes the newest commit of the front and reaches its parents.
    pub(super) fn visit(&mut self) -> Option<Visit> {
        let (_, Reverse(at)) = self.front.pop()?;
        let node = self.nodes.get_mut(at)?;
        node.place = Place::Passed;
        let visit = Visit { at, standing: node.standing, is_tip: node.is_tip, stride: node.stride };
        let parents = self.parents(at);
        match visit.standing {
            Standing::Local => {
                self.local = self.local.saturating_sub(1);
                let stride = visit.stride.next();
                for parent in &parents {
                    if let Some(parent) = self.nodes.get_mut(*parent) {
                        // Shared history is sampled as sparsely as its longest approach allows.
                        parent.stride = parent.stride.max(stride);
                    }
                }
            }
            Standing::Advertised => {
                self.advertised = self.advertised.saturating_sub(1);
                self.cover(parents.clone());
            }
            Standing::Common => self.cover(parents.clone()),
        }
        for parent in parents {
            self.reach(parent);
        }
        Some(visit)
    }

    pub(super) fn parents(&self, at: At) -> SmallVec<[At; 2]> {
        match self.nodes.get(at).map(|node| &node.knowledge) {
            Some(Knowledge::Told { parents, .. }) => parents.clone(),
            Some(Knowledge::Named | Knowledge::Asked | Knowledge::Absent) | None => SmallVec::new(),
        }
    }

    /// Marks commits common, and what they reach as far as the walk has passed; the walk marks the rest. A
    /// commit is marked once, so all marking together is linear.
    pub(super) fn cover(&mut self, roots: SmallVec<[At; 2]>) {
        let mut stack = roots.into_vec();
        while let Some(at) = stack.pop() {
            let Some(node) = self.nodes.get_mut(at) else { continue };
            if node.standing == Standing::Common {
                continue;
            }
            match (node.place, node.standing) {
                (Place::Queued, Standing::Local) => self.local = self.local.saturating_sub(1),
                (Place::Queued, Standing::Advertised) => self.advertised = self.advertised.saturating_sub(1),
                (Place::Queued, Standing::Common) | (Place::Outside | Place::Passed, _) => {}
            }
            node.standing = Standing::Common;
            if node.place == Place::Passed {
                stack.extend(self.parents(at));
            }
        }
    }
}
