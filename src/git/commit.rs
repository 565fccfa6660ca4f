//! What a driver tells of a commit.

use smallvec::SmallVec;

use super::ObjectId;

/// The part of a commit that walks need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: ObjectId,
    /// Its parents, in order; empty for a root commit and for a commit at a shallow border.
    pub parents: SmallVec<[ObjectId; 2]>,
    /// The committer's time, seconds since 1970. Orders a walk; a wrong one costs time, never correctness.
    pub time: i64,
}
