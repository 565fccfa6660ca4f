//! Shallow histories: how deep a fetch goes, and where history ends.

use alloc::vec::Vec;

use bytes::Bytes;

use super::ObjectId;

/// Where a client wants its history to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deepen {
    /// How deep.
    pub to: Depth,
    /// Commits reachable from these refs are left out (`--shallow-exclude`): ref names or expressions that the
    /// server's repository resolves to refs, opaque. Goes with [`Depth::Full`] (meaning: by the refs alone) or
    /// [`Depth::Since`].
    pub not: Vec<Bytes>,
}

/// How deep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Without a border by depth or time.
    #[default]
    Full,
    /// So many commits along every line, 1 or more. [`Depth::INFINITE`] undoes a shallow border, as
    /// `git fetch --unshallow` does.
    Commits(u32),
    /// So many commits further than the client's present border (`--deepen`), 1 or more.
    Further(u32),
    /// Commits newer than this, seconds since 1970 (`--shallow-since`).
    Since(u64),
}

impl Depth {
    /// The depth that stands for all of history, as Git has it.
    pub const INFINITE: u32 = 0x7fff_ffff;
}

impl Deepen {
    /// Whether no border is asked for.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.to == Depth::Full && self.not.is_empty()
    }
}

/// How a client's shallow border moves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShallowUpdate {
    /// Commits that will stand without their parents.
    pub shallow: Vec<ObjectId>,
    /// Commits of the client's border that get their parents.
    pub unshallow: Vec<ObjectId>,
}

impl ShallowUpdate {
    /// Whether the border stays where it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shallow.is_empty() && self.unshallow.is_empty()
    }
}
