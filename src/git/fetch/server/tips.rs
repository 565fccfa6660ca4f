//! What may be wanted without a question, and names that are looked up.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::git::{ObjectId, Ref};

/// Ids of refs that count as shown. Once they are all known they are not asked for again.
#[derive(Debug, Default)]
pub(super) struct Tips {
    /// Sorted.
    ids: Vec<ObjectId>,
    /// Whether these are those of all refs.
    pub(super) complete: bool,
}

impl Tips {
    /// Takes more of them.
    pub(super) fn extend(&mut self, ids: impl Iterator<Item = ObjectId>) {
        self.ids.extend(ids);
        self.ids.sort_unstable();
        self.ids.dedup();
    }

    pub(super) fn contains(&self, id: &ObjectId) -> bool {
        self.ids.binary_search(id).is_ok()
    }

    pub(super) fn to_vec(&self) -> Vec<ObjectId> {
        self.ids.clone()
    }
}

/// Names that a client said, each with what it may stand for.
#[derive(Debug, Default)]
pub(super) struct Names {
    found: BTreeMap<Bytes, Option<ObjectId>>,
}

/// The places in which Git looks for a ref by a short name.
const PLACES: [(&[u8], &[u8]); 6] = [
    (b"", b""),
    (b"refs/", b""),
    (b"refs/tags/", b""),
    (b"refs/heads/", b""),
    (b"refs/remotes/", b""),
    (b"refs/remotes/", b"/HEAD"),
];

impl Names {
    /// A full name.
    pub(super) fn ask(&mut self, name: &Bytes) {
        self.found.insert(name.clone(), None);
    }

    /// A name that may be short.
    pub(super) fn ask_short(&mut self, name: &[u8]) {
        for (before, after) in PLACES {
            self.found.insert([before, name, after].concat().into(), None);
        }
    }

    /// The full names.
    pub(super) fn list(&self) -> impl Iterator<Item = &Bytes> {
        self.found.keys()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Notes a ref that is shown under the name it has here.
    pub(super) fn take(&mut self, one: &Ref) {
        if let Some(found) = self.found.get_mut(one.name.as_bytes()) {
            *found = Some(one.id);
        }
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<ObjectId> {
        self.found.get(name).copied().flatten()
    }

    /// What a short name stands for; `None` when it is nothing or several things.
    pub(super) fn get_short(&self, name: &[u8]) -> Option<ObjectId> {
        let mut found = PLACES.iter().filter_map(|(before, after)| self.get(&[before, name, after].concat()));
        found.next().filter(|_| found.next().is_none())
    }
}
