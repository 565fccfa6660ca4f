//! What a link can be told.

use core::time::Duration;

use super::capabilities::{self, Capabilities};
use super::{Budget, Role};
use crate::limits;
use crate::stream::{self, Shape, Sizing};

/// The version of the protocol that this crate speaks.
pub const VERSION: u32 = 1;

/// The configuration of a [`super::Link`]. Both sides choose their own, but for the role.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which side this is: it decides whose streams are odd.
    pub role: Role,
    /// What READY says: [`capabilities::STREAMING`] and [`capabilities::BATCH`] by default.
    pub capabilities: Capabilities,
    /// How long to wait for the peer's READY. 5 s by default.
    pub ready_timeout: Duration,
    /// Calls at once, in each direction.
    pub max_calls: usize,
    /// Streams at once, of both sides together.
    pub max_streams: usize,
    /// Streams at once of one call.
    pub max_call_streams: usize,
    /// The largest window of items that the peer may give a stream.
    pub max_items: u32,
    /// The largest window of bytes, or of units of the caller's function, that the peer may give a stream.
    pub max_bytes: u32,
    /// The longest message of the control channel, in both directions, the 5 bytes of its frame header included.
    pub max_message: usize,
    /// Outgoing control messages that wait, overhead included, from which on no input is wanted and no call taken.
    pub control_bytes: usize,
    /// Bytes of a batch, overhead included: all items of all streams of its call.
    pub batch_bytes: usize,
    /// What each stream may cost. Its `stall_timeout` is also how long an answer to ABORT may take, and how long nothing
    /// may leave of the control messages that wait at their cap.
    pub stream: stream::Limits,
    /// Control messages and frames without effect: a READY too many, results of unknown calls, frames of streams that
    /// are over.
    pub ignored: Budget,
    /// Calls aborted and streams cancelled or failed by the peer.
    pub resets: Budget,
    /// Calls and streams that fail here because of what the peer does.
    pub failures: Budget,
}

impl Config {
    /// The defaults, for one side.
    #[must_use]
    pub fn new(role: Role) -> Self {
        let mut own = Capabilities::default();
        for token in [capabilities::STREAMING, capabilities::BATCH] {
            // Two short tokens always fit.
            own.insert(token).unwrap_or_default();
        }
        Self {
            role,
            capabilities: own,
            ready_timeout: Duration::from_millis(5000),
            max_calls: limits::CALLS,
            max_streams: limits::CHANNELS,
            max_call_streams: limits::CALL_STREAMS,
            max_items: 1024,
            max_bytes: 16 << 20,
            max_message: limits::MUX_MESSAGE,
            control_bytes: limits::MUX_CONTROL,
            batch_bytes: limits::MUX_MESSAGE,
            stream: stream::Limits { max_block: stream::CHUNK, ..stream::Limits::default() },
            ignored: Budget::new(1024, 10),
            resets: Budget::new(1024, 10),
            failures: Budget::new(1024, 10),
        }
    }

    /// The largest window that the peer may give a stream of this shape.
    pub(super) const fn max_window(&self, shape: Shape) -> u32 {
        match shape.sizing {
            Sizing::Items => self.max_items,
            Sizing::Bytes | Sizing::Custom => self.max_bytes,
        }
    }

    /// Refuses values with which nothing could move (RPC-7).
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let field = match self {
            Self { ready_timeout: Duration::ZERO, .. } => "ready_timeout",
            Self { max_calls: 0, .. } => "max_calls",
            Self { max_message: 0, .. } => "max_message",
            Self { control_bytes: 0, .. } => "control_bytes",
            Self { .. } => return self.stream.check().map_err(ConfigError::Stream),
        };
        Err(ConfigError::Zero { field })
    }
}

/// A configuration that was refused. The caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A field is zero that must not be.
    #[error("{field} is zero")]
    Zero {
        /// The field of [`Config`].
        field: &'static str,
    },
    /// No stream could move.
    #[error(transparent)]
    Stream(stream::ConfigError),
}
