//! What a fetch from several sources is set up with, what it asks, and what it comes to.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::error::Blame;
use crate::git::{self, Advertisement, ObjectId, fetch};
use crate::recovery::{self, Attempt, Cause, Retry, SharesConfig, Work};
use crate::time::Instant;

/// Which wants a source counts as having.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holds {
    /// Those that one of its refs points to.
    #[default]
    Advertised,
    /// All of them, whatever its refs say: it serves any object that it has. What it refuses goes to the others, and
    /// it is asked for the rest.
    Anything,
}

/// How to fetch.
#[derive(Clone, Debug)]
pub struct Config {
    /// Every session; its request is that of the source. Where it has no idle timeout, it gets that of `recovery`, which
    /// counts the source's silence alone and not the time that the driver takes.
    pub fetch: fetch::client::Config,
    /// How the wants are divided. By default the first share has 10 seconds for itself ([`SharesConfig::lead`]): what the
    /// wants have in common mostly comes with it. Shares are to take 2 seconds ([`SharesConfig::span`]), because each costs
    /// a connection and a negotiation. Its `max_peers` are sources here.
    pub shares: SharesConfig,
    /// Times and attempts of each source. The attempts and their delays begin anew with each share that a source has
    /// brought; the deadline is that of the whole fetch. There are no heartbeats, and no retry is asked for:
    /// `monitor.heartbeat` and `ask_retry` are passed over.
    pub recovery: recovery::Config<Error>,
    /// Which wants a source has.
    pub holds: Holds,
}

impl Default for Config {
    fn default() -> Self {
        let retry = |cause: &Cause<Error>| if is_transient(cause) { Retry::Yes } else { Retry::No };
        Self {
            fetch: fetch::client::Config::default(),
            shares: SharesConfig {
                lead: Duration::from_secs(10),
                span: Duration::from_secs(2),
                ..SharesConfig::default()
            },
            recovery: recovery::Config { retry, ..recovery::Config::default() },
            holds: Holds::default(),
        }
    }
}

/// Whether another attempt at the same source may help: as [`Cause::is_transient`], and also where the connection is to
/// blame for the session's error.
#[must_use]
pub fn is_transient(cause: &Cause<Error>) -> bool {
    match cause {
        Cause::Session { error } => error.blame() == Blame::Transport,
        other => other.is_transient(),
    }
}

/// A source's number: they are counted from 0 in the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub(super) usize);

impl SourceId {
    /// The number.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0
    }
}

/// What ended an attempt at a source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The session failed.
    #[error(transparent)]
    Fetch(#[from] fetch::client::Error),
    /// The wants cannot be asked for.
    #[error(transparent)]
    Misuse(#[from] git::Misuse),
    /// The driver could not connect.
    #[error("{}", .reason.escape_ascii())]
    Connect {
        /// Its words.
        reason: Bytes,
    },
    /// The driver could not store the pack.
    #[error("the pack cannot be stored: {}", .reason.escape_ascii())]
    Store {
        /// Its words.
        reason: Bytes,
    },
    /// It was so slow that another source took its share over.
    #[error("another source was quicker, and took the share over")]
    Slow,
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Fetch(error) => error.blame(),
            Self::Misuse(_) => Blame::Caller,
            Self::Connect { .. } | Self::Slow => Blame::Transport,
            // A source that sends another pack than was asked for, mostly.
            Self::Store { .. } => Blame::Peer,
        }
    }
}

/// What the driver must do, or what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect to the source; each connection is for one session. Answer: [`connected`](super::MultiSourceFetch::connected)
    /// or [`connect_failed`](super::MultiSourceFetch::connect_failed).
    Connect {
        /// To whom.
        source: SourceId,
    },
    /// Stop connecting, or drop the connection and what came of a pack without its [`Action::PackEnd`]. What
    /// [`poll_transmit`](super::MultiSourceFetch::poll_transmit) still has for it may be sent before. Comes once for each
    /// [`Action::Connect`] that was not answered by `connect_failed`.
    Disconnect {
        /// From whom.
        source: SourceId,
    },
    /// What a source has; told once of each. The first answer to choose the wants by: see
    /// [`want`](super::MultiSourceFetch::want).
    Advertised {
        /// Who has it.
        source: SourceId,
        /// What it has.
        advertisement: Advertisement,
    },
    /// The session with a source asks, or tells. Answer to [`session`](super::MultiSourceFetch::session). Never its
    /// `Advertised`, `Finished` or `Failed`.
    Fetch {
        /// Whose session.
        source: SourceId,
        /// What it asks.
        action: fetch::client::Action,
    },
    /// All of the pack has come: store it. Then everything that these reach is to be there. Answer:
    /// [`pack_stored`](super::MultiSourceFetch::pack_stored).
    PackEnd {
        /// Whose pack.
        source: SourceId,
        /// What was wanted.
        wants: Vec<ObjectId>,
    },
    /// An attempt has failed and the source's next one begins then; to be shown.
    Wait {
        /// Which source.
        source: SourceId,
        /// When.
        until: Instant,
    },
    /// Everything that was wanted is there. Terminal.
    Finished(Outcome),
    /// Something is missing. Terminal.
    Failed(Failure),
}

/// A good end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What each source did, in the order in which they were added.
    pub sources: Vec<Report>,
}

/// A bad end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why it is over.
    pub why: Why,
    /// What nobody has brought, in the order in which it was wanted.
    pub missing: Vec<ObjectId>,
    /// What each source did, in the order in which they were added.
    pub sources: Vec<Report>,
}

/// What a source did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Wants it brought, bytes of its sessions for them, time.
    pub work: Work,
    /// Every attempt at it that failed, with its reason.
    pub attempts: Vec<Attempt<Error>>,
    /// Whether it was given up.
    pub gave_up: bool,
}

/// Why a fetch ended without everything that was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// No source is left that has what is missing.
    #[error("no source is left that has what is missing")]
    Exhausted,
    /// The whole fetch took too long.
    #[error("the whole fetch took longer than {after:?}")]
    Deadline {
        /// [`recovery::BackoffConfig::deadline`].
        after: Duration,
    },
    /// The user gave up.
    #[error("cancelled")]
    Cancelled,
}

/// A verb that came at the wrong time or with what cannot be; it changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The fetch is over.
    #[error("`{verb}` after the end of the fetch")]
    Ended {
        /// The verb.
        verb: &'static str,
    },
    /// Nothing was asked that it answers, or there is no such source.
    #[error("`{verb}` has no meaning now")]
    NotNow {
        /// The verb.
        verb: &'static str,
    },
    /// The null id names no object.
    #[error("the null id is wanted")]
    NullWant,
    /// More than is kept track of.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}
