//! How a link, a call and a verb can fail.

use super::capabilities::CapabilitiesError;
use super::control;
use crate::error::Blame;
use crate::frame::{FrameType, Reason};
use crate::stream;

/// What ended the link.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A message that does not belong on a control channel.
    #[error(transparent)]
    Control(#[from] control::Error),
    /// READY's capabilities do not read.
    #[error(transparent)]
    Capabilities(#[from] CapabilitiesError),
    /// The peer speaks a version that nobody does.
    #[error("the peer speaks version {version}")]
    Version {
        /// The version of its READY.
        version: u32,
    },
    /// A message before the peer's READY.
    #[error("a message of type {} came before READY", .kind.as_u8())]
    BeforeReady {
        /// The type.
        kind: FrameType,
    },
    /// The peer's READY did not come in time.
    #[error("the peer was not ready in time")]
    ReadyTimeout,
    /// A message above the limit.
    #[error("a message of {length} bytes is longer than the limit of {limit}")]
    TooLong {
        /// Its bytes.
        length: usize,
        /// [`super::Config::max_message`].
        limit: usize,
    },
    /// The peer named a call as one that is still running.
    #[error("call {call} is running already")]
    DuplicateCall {
        /// The call.
        call: u32,
    },
    /// The peer named a stream with a number of ours, or not above its last one.
    #[error("stream {stream} cannot be opened under this number")]
    StreamNumber {
        /// The stream.
        stream: u32,
    },
    /// Too much without effect.
    #[error("more than {limit} messages without effect at once")]
    TooManyIgnored {
        /// [`super::Config::ignored`].
        limit: u32,
    },
    /// The peer aborts calls, and cancels and fails streams, faster than is tolerated.
    #[error("more than {limit} calls and streams given up by the peer at once")]
    TooManyResets {
        /// [`super::Config::resets`].
        limit: u32,
    },
    /// The peer makes calls and streams fail faster than is tolerated.
    #[error("more than {limit} calls and streams failed by the peer's fault at once")]
    TooManyFailures {
        /// [`super::Config::failures`].
        limit: u32,
    },
    /// As many of our control messages wait as may, and for too long none has left: the peer does not read.
    #[error("the peer stalled: it reads no control messages")]
    Stalled,
    /// The control channel closed with calls pending, or before the peer was ready.
    #[error("the control channel closed too early")]
    Closed,
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Control(_)
            | Self::Capabilities(_)
            | Self::Version { .. }
            | Self::BeforeReady { .. }
            | Self::TooLong { .. }
            | Self::DuplicateCall { .. }
            | Self::StreamNumber { .. }
            | Self::TooManyIgnored { .. }
            | Self::TooManyResets { .. }
            | Self::TooManyFailures { .. }
            | Self::Stalled => Blame::Peer,
            Self::ReadyTimeout | Self::Closed => Blame::Transport,
        }
    }
}

/// Why a call of ours has no value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The peer's error result.
    #[error("the peer says: {0}")]
    Remote(Reason),
    /// This side aborted it.
    #[error("aborted")]
    Aborted,
    /// The peer opened more streams on it than may be; it was aborted.
    #[error("the call has more streams than the limit of {limit}")]
    TooManyStreams {
        /// [`super::Config::max_streams`] or [`super::Config::max_call_streams`].
        limit: usize,
    },
    /// The result of a batch does not read as one.
    #[error("the result is no batch")]
    MalformedBatch,
    /// The link ended before the result came.
    #[error("the link ended before the result came")]
    Closed,
}

/// A verb that could not be done. It ends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// As many calls are running as may.
    #[error("{limit} calls are running already")]
    TooManyCalls {
        /// [`super::Config::max_calls`].
        limit: usize,
    },
    /// All 2³² numbers of calls have been used.
    #[error("no call number is left")]
    CallsExhausted,
    /// All 2³¹ numbers of this side's streams have been used.
    #[error("no stream number is left")]
    StreamsExhausted,
    /// The name of a method is longer than its length can tell.
    #[error("a method's name of {length} bytes is longer than {}", control::METHOD_LEN)]
    MethodTooLong {
        /// Its bytes.
        length: usize,
    },
    /// The message would be longer than the limit.
    #[error("a message of {length} bytes is longer than the limit of {limit}")]
    TooLong {
        /// Its bytes.
        length: usize,
        /// [`super::Config::max_message`].
        limit: usize,
    },
    /// Too many control messages wait to be sent.
    #[error("{limit} bytes of control messages are waiting already")]
    Full {
        /// [`super::Config::control_bytes`].
        limit: usize,
    },
    /// There is no such call, or it has its result, or it was aborted.
    #[error("call {call} is not running")]
    NoCall {
        /// The call.
        call: u32,
    },
    /// There is no such stream, or it is over.
    #[error("stream {stream} is not open")]
    NoStream {
        /// The stream.
        stream: u32,
    },
    /// As many streams are open as may be, in all or on this call.
    #[error("{limit} streams are open already")]
    TooManyStreams {
        /// [`super::Config::max_streams`] or [`super::Config::max_call_streams`].
        limit: usize,
    },
    /// One of the two sides cannot stream, and the caller did not ask for a batch.
    #[error("the peer has no streams, and asked for no batch")]
    NoStreaming,
    /// The batch is full; the call answers with an error.
    #[error("a batch of more than {limit} bytes")]
    BatchFull {
        /// [`super::Config::batch_bytes`].
        limit: usize,
    },
    /// The stream could never move.
    #[error(transparent)]
    Shape(#[from] stream::ConfigError),
    /// The stream did not take the data.
    #[error(transparent)]
    Write(#[from] stream::WriteError),
    /// The link is over.
    #[error("the link is over")]
    Over,
}
