//! What can end any Git session, and what a verb can be refused for.

use core::time::Duration;

use bytes::Bytes;

use crate::error::Blame;
use crate::git::advertisement::excerpt;
use crate::limits;
use crate::pkt::{self, Packet};

/// What can end any Git session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A packet was malformed.
    #[error(transparent)]
    Pkt(#[from] pkt::Error),
    /// The input ended before the protocol did.
    #[error("the connection ended while waiting for {expected}")]
    Ended {
        /// What should have come.
        expected: &'static str,
    },
    /// Nothing arrived for the configured time.
    #[error("nothing arrived for {} ms while a session was open", .after.as_millis())]
    TimedOut {
        /// The configured time.
        after: Duration,
    },
    /// Another packet than the protocol allows here.
    #[error("expected {expected}, got \"{}\"", .found.escape_ascii())]
    Unexpected {
        /// What could have come.
        expected: &'static str,
        /// The first bytes of what came.
        found: Bytes,
    },
    /// A cap was reached (T10).
    #[error("more than {limit} {what}")]
    TooMany {
        /// What was counted.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The peer said that it failed: an `ERR` packet or sideband 3. Raw bytes (T18).
    #[error("the peer says: {}", .message.escape_ascii())]
    Remote {
        /// Its words.
        message: Bytes,
    },
    /// The driver ended the session: [`abort`](crate::git::fetch::client::Client::abort).
    #[error("the session was aborted")]
    Aborted,
    /// Input was given although `wants_input` was false.
    #[error("input was given beyond the limit of {limit} bytes that wait for the driver")]
    Overrun {
        /// [`limits::GIT_INPUT`].
        limit: usize,
    },
}

impl SessionError {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            // A packet that the end of the input cut off is no malformed one.
            Self::Pkt(pkt::Error::Truncated { .. }) => Blame::Transport,
            Self::Pkt(_) | Self::Unexpected { .. } | Self::TooMany { .. } | Self::Remote { .. } => {
                Blame::Peer
            }
            Self::Ended { .. } | Self::TimedOut { .. } => Blame::Transport,
            Self::Overrun { .. } | Self::Aborted => Blame::Caller,
        }
    }

    /// The peer's own words, cut to the limit.
    pub(crate) fn remote(message: &[u8]) -> Self {
        Self::Remote { message: excerpt(pkt::trim_lf(message), limits::ERROR_MESSAGE) }
    }

    pub(crate) fn unexpected(expected: &'static str, packet: &Packet<Bytes>) -> Self {
        let found = match packet {
            Packet::Flush => Bytes::from_static(b"0000"),
            Packet::Delim => Bytes::from_static(b"0001"),
            Packet::ResponseEnd => Bytes::from_static(b"0002"),
            Packet::Data(line) => excerpt(line, 80),
        };
        Self::Unexpected { expected, found }
    }
}

/// A verb that was used where the machine has no use for it. It ends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The verb answers a question that is not open.
    #[error("{verb} answers nothing that was asked")]
    NotAsked {
        /// The verb.
        verb: &'static str,
    },
    /// The machine has ended.
    #[error("{verb} came after the session had ended")]
    Ended {
        /// The verb.
        verb: &'static str,
    },
    /// The argument cannot be sent or does not fit what was asked.
    #[error("{verb}: {reason}")]
    Argument {
        /// The verb.
        verb: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}
