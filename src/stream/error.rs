//! Why a stream ended badly.

use super::window::WindowError;
use crate::error::Blame;
use crate::frame::{self, FrameType, Reason};

/// Why a stream failed. It ends this stream and no other.
///
/// The text of a peer's fault is what the peer is told in the ERROR frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The channel was not attached in time.
    #[error("the stream was not opened in time")]
    OpenTimeout,
    /// Data waited too long for credit, or the end for the peer's END.
    #[error("the peer stalled at block {block}")]
    Stalled {
        /// Blocks sent.
        block: u32,
    },
    /// A frame came before the stream was open.
    #[error("a frame of type {} came before the stream was open", .kind.as_u8())]
    NotOpen {
        /// Its type.
        kind: FrameType,
    },
    /// A frame came after the peer's END. It changes nothing: the stream is over already.
    #[error("a frame of type {} came after the end", .kind.as_u8())]
    AfterEnd {
        /// Its type.
        kind: FrameType,
    },
    /// A frame that the peer may not send on this stream: DATA from its receiver, CREDIT from its sender, END from
    /// the side that does not send it.
    #[error("a frame of type {} came in the wrong direction", .kind.as_u8())]
    WrongDirection {
        /// Its type.
        kind: FrameType,
    },
    /// END of a two-way stream came before each side had ended its direction with LAST.
    #[error("the end came before both directions were done")]
    EarlyEnd,
    /// A block is larger than what is left of the credit (T2).
    #[error("block {block} has a size of {size}, more than the {granted} granted")]
    Exceeded {
        /// The block.
        block: u32,
        /// Its size.
        size: u32,
        /// The credit that was left.
        granted: u32,
    },
    /// The caller's size function gave 0 for the peer's block.
    #[error("block {block} has a size of 0")]
    ZeroSize {
        /// The block.
        block: u32,
    },
    /// A block is above the limit.
    #[error("a block of {length} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Its bytes.
        length: usize,
        /// [`super::Limits::max_block`].
        limit: usize,
    },
    /// The grant is nothing, or overflows the window (T1).
    #[error(transparent)]
    Grant(#[from] WindowError),
    /// CREDIT or CANCEL counts more blocks than were sent, or fewer than before.
    #[error("{consumed} blocks were counted as consumed, after {before} and of {sent} sent")]
    Miscredited {
        /// The id of the frame.
        consumed: u32,
        /// The count before.
        before: u32,
        /// Blocks sent.
        sent: u32,
    },
    /// The payload of a CREDIT is not four bytes long.
    #[error("a grant of {length} bytes instead of 4")]
    MalformedCredit {
        /// Bytes of the payload.
        length: usize,
    },
    /// A block came out of order: one is missing before it, or it came before.
    #[error("block {found} came where block {expected} was expected")]
    OutOfOrder {
        /// The number of the next block.
        expected: u32,
        /// The number that came.
        found: u32,
    },
    /// A block came after the one that was marked as the last.
    #[error("block {block} came after the last")]
    AfterLast {
        /// Its number.
        block: u32,
    },
    /// END announced another number of blocks than came.
    #[error("the end announced {announced} blocks but {received} came")]
    Miscounted {
        /// The id in the END.
        announced: u32,
        /// Blocks that came.
        received: u32,
    },
    /// A message is too short to be a frame.
    #[error(transparent)]
    Frame(#[from] frame::Error),
    /// A frame of a type that streams do not have.
    #[error("frames of type {} are unknown on a stream", .kind.as_u8())]
    UnknownType {
        /// The type.
        kind: FrameType,
    },
    /// Too many frames without effect: empty blocks in a row, or frames after the end (T5).
    #[error("more than {limit} frames without effect")]
    TooManyIdle {
        /// [`super::Limits::max_idle_frames`].
        limit: u32,
    },
    /// The stream has no number left for a further block.
    #[error("the stream is longer than its 4294967295 block numbers")]
    IdsExhausted,
    /// The peer's ERROR.
    #[error("the peer says: {reason}")]
    Remote {
        /// The block it happened at, as the peer counts.
        block: u32,
        /// The peer's words.
        reason: Reason,
    },
    /// The peer's CANCEL.
    #[error("the peer cancelled the stream after {consumed} blocks")]
    PeerCancelled {
        /// Blocks that the peer had consumed.
        consumed: u32,
        /// The peer's words, if it gave any.
        reason: Option<Reason>,
    },
    /// The channel closed before the stream was over.
    #[error("the channel closed before the stream was over")]
    Closed,
    /// The application cancelled: `cancel`.
    #[error("the stream was cancelled")]
    Cancelled,
    /// The application failed the stream: `fail`.
    #[error("the application failed the stream")]
    Aborted,
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::OpenTimeout | Self::Closed => Blame::Transport,
            Self::IdsExhausted | Self::Cancelled | Self::Aborted => Blame::Caller,
            _ => Blame::Peer,
        }
    }

    /// Whether the peer broke the protocol, which `handle_message` reports and the peer is told.
    #[must_use]
    pub const fn is_violation(&self) -> bool {
        match self {
            Self::NotOpen { .. }
            | Self::AfterEnd { .. }
            | Self::WrongDirection { .. }
            | Self::EarlyEnd
            | Self::Exceeded { .. }
            | Self::ZeroSize { .. }
            | Self::TooLarge { .. }
            | Self::Grant(_)
            | Self::Miscredited { .. }
            | Self::MalformedCredit { .. }
            | Self::OutOfOrder { .. }
            | Self::AfterLast { .. }
            | Self::Miscounted { .. }
            | Self::Frame(_)
            | Self::UnknownType { .. }
            | Self::TooManyIdle { .. } => true,
            Self::OpenTimeout
            | Self::Stalled { .. }
            | Self::IdsExhausted
            | Self::Remote { .. }
            | Self::PeerCancelled { .. }
            | Self::Closed
            | Self::Cancelled
            | Self::Aborted => false,
        }
    }
}

/// Why a block was not taken. It ends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Enough is waiting; `Action::Writable` tells when there is room again.
    #[error("{limit} bytes are waiting already")]
    Full {
        /// [`super::Limits::send_bytes`].
        limit: usize,
    },
    /// The block is above the limit and cannot be split.
    #[error("a block of {length} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Its bytes.
        length: usize,
        /// [`super::Limits::max_block`].
        limit: usize,
    },
    /// The item could never be sent: it is larger than the whole window.
    #[error("an item of size {size} is larger than the window of {window}")]
    LargerThanWindow {
        /// Its size.
        size: u32,
        /// The window.
        window: u32,
    },
    /// The caller's size function gave 0.
    #[error("an item of size 0")]
    ZeroSize,
    /// Data moves only from the peer to here.
    #[error("the stream only receives")]
    ReceiveOnly,
    /// The direction was finished, or the stream is over.
    #[error("the stream is over")]
    Over,
}
