//! What ends a server's session.

use alloc::format;
use alloc::string::{String, ToString};

use bytes::Bytes;

use super::filters::FilterRefusal;
use crate::git::{CapabilityError, FilterError, ObjectFormat, ObjectId, SessionError};
use crate::{Blame, pkt};

/// What ended a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What can end any Git session.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The client wants what it may not have, or what is not there (T15).
    #[error("the client wants {id}, which it may not have or which does not exist")]
    NotOurRef {
        /// The object.
        id: ObjectId,
    },
    /// A line that belongs to a capability which was not advertised.
    #[error("the client sent a {line} line, which was not offered")]
    NotOffered {
        /// Its first word.
        line: &'static str,
    },
    /// The capabilities cannot be taken.
    #[error(transparent)]
    Capabilities(#[from] CapabilityError),
    /// The client wants a ref by a name that it is not shown (T15).
    #[error("unknown ref {}", .name.escape_ascii())]
    UnknownRef {
        /// The name.
        name: Bytes,
    },
    /// The client wants a ref twice by its name.
    #[error("duplicate want-ref {}", .name.escape_ascii())]
    DuplicateWantRef {
        /// The name.
        name: Bytes,
    },
    /// A `deepen-not` line that names no ref, or more than one.
    #[error("ambiguous deepen-not: {}", .name.escape_ascii())]
    DeepenNot {
        /// The name.
        name: Bytes,
    },
    /// `deepen` together with `deepen-since` or `deepen-not`.
    #[error("deepen and deepen-since (or deepen-not) cannot be used together")]
    DeepenTwice,
    /// The filter cannot be understood.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// More than one filter line.
    #[error("multiple filter-specs cannot be combined")]
    FilterTwice,
    /// More than one part of the pack was named.
    #[error("a part of the pack is named twice")]
    ResumeTwice,
    /// The filter is not allowed.
    #[error(transparent)]
    FilterRefused(#[from] FilterRefusal),
    /// Version 2: a command that was not advertised, or does not exist.
    #[error("invalid command '{}'", .name.escape_ascii())]
    InvalidCommand {
        /// Its name.
        name: Bytes,
    },
    /// Version 2: two commands in one request.
    #[error("command '{}' requested after already requesting another", .name.escape_ascii())]
    SecondCommand {
        /// The second one's name.
        name: Bytes,
    },
    /// Version 2: a request without a command.
    #[error("no command requested")]
    NoCommand,
    /// Version 2: a capability that was not advertised, or does not exist.
    #[error("unknown capability '{}'", .line.escape_ascii())]
    UnknownCapability {
        /// Its line.
        line: Bytes,
    },
    /// Version 2: the client speaks of ids of another hash function.
    #[error("mismatched object format: server {}; client {}", .server.name(), .client.escape_ascii())]
    ObjectFormat {
        /// The repository's.
        server: ObjectFormat,
        /// The client's words.
        client: Bytes,
    },
    /// The driver found no history to send within the borders that the client set.
    #[error("the history could not be cut: {}", .reason.escape_ascii())]
    DeepenFailed {
        /// The driver's words, as the client was told them.
        reason: Bytes,
    },
    /// The driver could not build the pack.
    #[error("the pack could not be built: {}", .reason.escape_ascii())]
    PackFailed {
        /// The driver's words, as the client was told them.
        reason: Bytes,
    },
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Session(error) => error.blame(),
            Self::PackFailed { .. } => Blame::Caller,
            Self::NotOurRef { .. }
            | Self::NotOffered { .. }
            | Self::Capabilities(_)
            | Self::UnknownRef { .. }
            | Self::DuplicateWantRef { .. }
            | Self::DeepenNot { .. }
            | Self::DeepenTwice
            | Self::Filter(_)
            | Self::FilterTwice
            | Self::ResumeTwice
            | Self::FilterRefused(_)
            | Self::InvalidCommand { .. }
            | Self::SecondCommand { .. }
            | Self::NoCommand
            | Self::UnknownCapability { .. }
            | Self::ObjectFormat { .. }
            | Self::DeepenFailed { .. } => Blame::Peer,
        }
    }

    pub(super) fn pkt(error: pkt::Error) -> Self {
        SessionError::from(error).into()
    }

    /// What the peer is told; `None` when there is nobody left to tell, or it told us. Where Git has words for the
    /// peer these are its words.
    pub(super) fn words(&self) -> Option<String> {
        match self {
            Self::NotOurRef { id } => Some(format!("upload-pack: not our ref {id}")),
            Self::UnknownRef { .. } | Self::DuplicateWantRef { .. } | Self::FilterRefused(_) => {
                Some(self.to_string())
            }
            Self::DeepenFailed { reason } => Some(format!("upload-pack: {}", reason.escape_ascii())),
            Self::Session(SessionError::Ended { .. } | SessionError::Remote { .. }) => None,
            Self::Session(SessionError::Pkt(pkt::Error::Truncated { .. })) => None,
            other => Some(format!("upload-pack: {other}")),
        }
    }
}
