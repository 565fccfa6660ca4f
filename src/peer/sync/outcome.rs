//! How a sync ended.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::error::Blame;
use crate::git::{Misuse, ObjectId, RefName, SessionError, fetch, push};
use crate::port;
use crate::sync::{RefPlan, planner};

/// What ended a sync.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The port ended.
    #[error(transparent)]
    Port(#[from] port::Error),
    /// The fetch failed.
    #[error("fetching from the peer failed: {0}")]
    Fetch(#[source] fetch::client::Error),
    /// The push failed as a whole.
    #[error("pushing to the peer failed: {0}")]
    Push(#[source] push::client::Error),
    /// The plan could not be made.
    #[error("the sync could not be planned: {0}")]
    Plan(#[source] planner::Error),
    /// The peer's history is cut off somewhere, and something was to be fetched from it: which of two commits is newer
    /// cannot be told there.
    #[error("the peer's history is shallow")]
    Shallow,
    /// More came where the pack had been complete.
    #[error("the peer sent more than the pack")]
    AfterPack,
    /// An answer to what a sync never asks; the fetch takes none from a peer.
    #[error("the peer answers what was not asked")]
    Unasked,
    /// The driver could not store the pack.
    #[error("the fetched pack could not be stored: {}", .reason.escape_ascii())]
    Store {
        /// The driver's words.
        reason: Bytes,
    },
    /// The config does not allow what the sync has to do.
    #[error(transparent)]
    Misuse(#[from] Misuse),
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Port(error) => error.blame(),
            Self::Fetch(error) => error.blame(),
            Self::Push(error) => error.blame(),
            Self::Plan(error) => error.blame(),
            Self::AfterPack | Self::Shallow | Self::Unasked => Blame::Peer,
            Self::Store { .. } | Self::Misuse(_) => Blame::Caller,
        }
    }

    /// Whether this is what becomes of a session whose port has ended: its input ends, its peer falls silent, it is
    /// given up, or nothing can be begun on it.
    pub(super) fn is_consequence(&self) -> bool {
        match self {
            Self::Misuse(_)
            | Self::Fetch(fetch::client::Error::Session(SessionError::Aborted))
            | Self::Push(push::client::Error::Session(SessionError::Aborted)) => true,
            other => other.blame() == Blame::Transport,
        }
    }
}

/// A sync that failed, and what had been done until then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub error: Error,
    /// The refs with their results; empty when the plan had not been made.
    pub outcome: Outcome,
}

/// Why one ref was not moved. The other refs are not concerned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefFailure {
    /// The side that holds the ref refused, in its own words (raw bytes, T18).
    #[error("refused: {}", .reason.escape_ascii())]
    Refused {
        /// The words.
        reason: Bytes,
    },
    /// The ref is no longer where the plan saw it (T22).
    #[error("moved while the sync ran")]
    Moved {
        /// Where it is now, if it is.
        now: Option<ObjectId>,
    },
    /// The backup ref could not be made, so the ref was left alone.
    #[error("not overwritten, because its backup could not be made: {}", .reason.escape_ascii())]
    Backup {
        /// Why.
        reason: Bytes,
    },
    /// The peer does not delete refs.
    #[error("the peer does not delete refs")]
    NoDeletes,
}

/// What became of one ref.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefResult {
    /// Both sides were equal already.
    Unchanged,
    /// Left out by the config.
    Excluded,
    /// Both sides changed; nothing was done.
    Conflict,
    /// Would be moved: a dry run, a stop on conflicts, or a failure before its turn.
    Pending,
    /// Moved, created or deleted.
    Done {
        /// The ref that keeps what was overwritten, on the side where it was.
        backup: Option<RefName>,
    },
    /// Left as it was.
    Failed(RefFailure),
}

/// One ref of the plan and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefOutcome {
    /// What was planned.
    pub plan: RefPlan,
    /// What was done.
    pub result: RefResult,
}

/// The end of a sync.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Every ref of the plan, sorted by name.
    pub refs: Vec<RefOutcome>,
    /// The refs on which both sides agree now, and the old base of those on which they do not: the `base` of the
    /// next sync (SYNC-50).
    pub base: Vec<(RefName, ObjectId)>,
    /// The fetch's numbers, when it came to its end.
    pub fetched: Option<fetch::client::Outcome>,
}

impl Outcome {
    /// Whether both sides agree on every ref that takes part.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.refs.iter().all(|entry| match entry.result {
            RefResult::Unchanged | RefResult::Excluded | RefResult::Done { .. } => true,
            RefResult::Conflict | RefResult::Pending | RefResult::Failed(_) => false,
        })
    }

    /// The refs that are in conflict.
    pub fn conflicts(&self) -> impl Iterator<Item = &RefOutcome> {
        self.refs.iter().filter(|entry| entry.result == RefResult::Conflict)
    }
}
