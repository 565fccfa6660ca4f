//! Why a stream ended badly.

use crate::error::Blame;
use crate::frame::{self, FrameType, Reason};

/// Why a stream or the port failed.
///
/// The text of [`AckTimeout`](Self::AckTimeout) and [`Refused`](Self::Refused) is what goes out in the ERROR frame,
/// byte for byte as the reference writes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer did not answer a block in time.
    #[error("ACK timeout for block {block}")]
    AckTimeout {
        /// The oldest block without an answer.
        block: u32,
    },
    /// The peer answered a block with anything but 01.
    #[error("Receiver closed the stream")]
    Refused {
        /// The block.
        block: u32,
    },
    /// The peer answered a block that was never sent.
    #[error("block {block} was answered but only {sent} blocks were sent")]
    NeverSent {
        /// The id in the ACK.
        block: u32,
        /// Blocks sent.
        sent: u64,
    },
    /// The stream has no number left for what follows block 4294967295.
    #[error("the stream is longer than its 4294967296 block numbers")]
    IdsExhausted,
    /// A block came out of order: one is missing before it, or it came before.
    #[error("block {found} came where block {expected} was expected")]
    OutOfOrder {
        /// The number of the next block.
        expected: u64,
        /// The number that came.
        found: u32,
    },
    /// END announced another number of blocks than came.
    #[error("the end announced {announced} blocks but {received} came")]
    Miscounted {
        /// The id in the END.
        announced: u32,
        /// Blocks that came.
        received: u64,
    },
    /// A block is above the limit.
    #[error("a block of {length} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Its bytes.
        length: usize,
        /// [`super::Config::max_block`].
        limit: usize,
    },
    /// A message is too short to be a frame.
    #[error(transparent)]
    Frame(#[from] frame::Error),
    /// A message of a type that the port does not know.
    #[error("messages of type {} are unknown on a port", .kind.as_u8())]
    UnknownType {
        /// The type.
        kind: FrameType,
    },
    /// A message of a type that this machine never gets: an ACK at a receiver, anything else at a sender.
    #[error("a message of type {} is not for this side", .kind.as_u8())]
    Misdirected {
        /// The type.
        kind: FrameType,
    },
    /// Too many messages without effect: ignored ones, repeated ACKs, DATA after the end.
    #[error("more than {limit} messages without effect")]
    TooManyIgnored {
        /// [`super::Config::max_ignored`].
        limit: u32,
    },
    /// Too many blocks and streams in a row that carry no byte.
    #[error("more than {limit} empty blocks in a row")]
    TooManyEmpty {
        /// [`super::Config::max_empty`].
        limit: u32,
    },
    /// Input was given although `wants_input` was false.
    #[error("input was given beyond the limit of {limit} blocks or answers that wait")]
    Overrun {
        /// [`super::Config::receive_blocks`].
        limit: usize,
    },
    /// The peer's stream failed on its side.
    #[error("the peer says: {reason}")]
    Remote {
        /// The block it happened at.
        block: u32,
        /// The peer's words.
        reason: Reason,
    },
    /// The peer said all there was to say and did not end its stream in time: a session on top waits for the end
    /// before the next operation.
    #[error("the peer did not end its stream")]
    EndTimeout,
    /// The port closed before the stream was complete.
    #[error("the port closed before the stream was complete")]
    Closed,
    /// The consumer stopped: `cancel`.
    #[error("the consumer stopped the stream")]
    Cancelled,
    /// The producer failed: `fail`.
    #[error("the producer failed the stream")]
    Aborted,
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Refused { .. }
            | Self::NeverSent { .. }
            | Self::OutOfOrder { .. }
            | Self::Miscounted { .. }
            | Self::TooLarge { .. }
            | Self::Frame(_)
            | Self::UnknownType { .. }
            | Self::Misdirected { .. }
            | Self::TooManyIgnored { .. }
            | Self::TooManyEmpty { .. }
            | Self::Remote { .. } => Blame::Peer,
            Self::AckTimeout { .. } | Self::EndTimeout | Self::Closed => Blame::Transport,
            Self::IdsExhausted | Self::Overrun { .. } | Self::Cancelled | Self::Aborted => Blame::Caller,
        }
    }
}

/// Why a block was not taken. It ends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Enough is waiting; write again when `can_write` is true.
    #[error("{limit} bytes are waiting already")]
    Full {
        /// [`super::Config::send_bytes`].
        limit: usize,
    },
    /// The block is above the limit and there is no chunk size to split it by.
    #[error("a block of {length} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Its bytes.
        length: usize,
        /// [`super::Config::max_block`].
        limit: usize,
    },
    /// The stream was finished or has ended; `begin` starts the next.
    #[error("the stream is over")]
    Over,
}
