//! What a pack is to hold.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{Filter, ObjectId, Resume};

/// A pack for the driver to build: everything reachable from `wants` and not from `haves`.
///
/// With Git's plumbing that is `pack-objects --revs --stdout` with the wants, then `--not` and the haves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackRequest {
    /// Objects to include with all they reach.
    pub wants: Vec<ObjectId>,
    /// Objects that the receiver has with all they reach. Every id was either found in the repository by the
    /// driver or comes from the peer's advertisement; those that are not there are to be passed over.
    pub haves: Vec<ObjectId>,
    /// Commits that stand without their parents at the receiver: what lies behind them is neither sent nor taken for
    /// granted (`pack-objects --shallow`, a `--shallow ID` line each).
    pub shallow: Vec<ObjectId>,
    /// Commits that the receiver has without their parents and gets them for: the parents are wanted, too, and the
    /// commits themselves are held.
    pub unshallow: Vec<ObjectId>,
    /// What is left out (`--filter`). Objects named in `wants` are sent all the same.
    pub filter: Option<Filter>,
    /// Protocols (`https`) by which the receiver fetches packs that the driver names by URI instead of sending their
    /// objects (`--uri-protocol`). Empty: none.
    pub uri_protocols: Vec<Bytes>,
    /// The receiver may come back for the rest of this pack: build it so that the same request gives the same bytes
    /// (`--threads=1`).
    pub resumable: bool,
    /// What the receiver holds of a pack that broke off. If the pack that this request asks for begins with it, say
    /// `pack_resumes` and give what follows; otherwise give all of it.
    pub resume: Option<Resume>,
    /// Whether deltas may have a base that is not in the pack (`--thin`).
    pub thin: bool,
    /// Whether bases may be given by offset (`--delta-base-offset`).
    pub ofs_delta: bool,
    /// Whether to add annotated tags of included objects (`--include-tag`).
    pub include_tag: bool,
    /// Whether the receiver shows progress; otherwise `-q`.
    pub progress: bool,
}

impl PackRequest {
    /// All that `wants` reach and `haves` do not, without options.
    #[must_use]
    pub const fn new(wants: Vec<ObjectId>, haves: Vec<ObjectId>) -> Self {
        Self {
            wants,
            haves,
            shallow: Vec::new(),
            unshallow: Vec::new(),
            filter: None,
            uri_protocols: Vec::new(),
            resumable: false,
            resume: None,
            thin: false,
            ofs_delta: false,
            include_tag: false,
            progress: false,
        }
    }
}
