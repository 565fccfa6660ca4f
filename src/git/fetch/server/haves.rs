//! What a client says it has, looked up a batch at a time, in every version.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::mem;

use super::border::capped;
use super::{Config, Error};
use crate::git::ObjectId;

/// Haves that are looked up with one question at the most: bounds what is kept of those that are not here.
pub(super) const BATCH: usize = 4096;

/// What the client has.
#[derive(Debug, Default)]
pub(super) struct Haves {
    /// Not looked up yet, repeated ones included: Git answers each.
    batch: Vec<ObjectId>,
    /// Those that are here, each once, in the order in which they came; and the same as a set.
    common: Vec<ObjectId>,
    known: BTreeSet<ObjectId>,
    /// Lines, repeated ones included.
    lines: usize,
}

/// One have, looked up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Looked {
    Common(ObjectId),
    /// Not here; and how many common objects were known when it came.
    Missing(ObjectId, usize),
}

impl Haves {
    /// Takes one; `true` when the batch is to be looked up before the next.
    pub(super) fn take(&mut self, id: ObjectId, config: &Config) -> Result<bool, Error> {
        self.lines = self.lines.saturating_add(1);
        capped(self.lines, "have lines", config.max_haves)?;
        self.batch.push(id);
        Ok(self.batch.len() >= BATCH)
    }

    /// The ids of the batch that are not known to be common, each once.
    pub(super) fn unknown(&self) -> Vec<ObjectId> {
        let mut unknown: Vec<ObjectId> =
            self.batch.iter().filter(|id| !self.known.contains(id)).copied().collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }

    /// Takes the answer to [`Self::unknown`], and tells `each` of every line of the batch, in order.
    pub(super) fn found(&mut self, mut found: Vec<ObjectId>, mut each: impl FnMut(Looked)) {
        found.sort_unstable();
        for id in mem::take(&mut self.batch) {
            let is_new = !self.known.contains(&id);
            if is_new && found.binary_search(&id).is_err() {
                each(Looked::Missing(id, self.common.len()));
                continue;
            }
            if is_new {
                self.known.insert(id);
                self.common.push(id);
            }
            each(Looked::Common(id));
        }
    }

    /// The common objects, in the order in which they were found.
    pub(super) fn common(&self) -> &[ObjectId] {
        &self.common
    }

    /// How many lines have come, repeated ones included.
    pub(super) const fn lines(&self) -> usize {
        self.lines
    }
}
