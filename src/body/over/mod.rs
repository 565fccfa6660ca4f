//! Uploads and downloads on the streams of this crate, ready to be driven.
//!
//! ```text
//!  stream::Upload = upload::Upload + a sending stream::Endpoint       DATA, credit
//!  port::Upload   = upload::Upload + a port::Sender                   DATA, acknowledgements
//!  (Download: the same from the other end)
//! ```
//!
//! Each is one machine with one face: the verbs of the body on one side, the messages of the stream on the other. No
//! more than [`crate::body::queue::Config::bytes`] of a body are held at each end, by queue and stream together:
//! what the consumer has not pulled keeps the sender from sending, and what was not sent keeps the producer from
//! pushing.
//!
//! | | [`stream`] | [`port`] |
//! |---|---|---|
//! | the window | bytes: the queue's bound | blocks, and the largest block |
//! | a chunk pulled | is granted again | is acknowledged |
//! | `Finished` at the producer | everything and its end were handed to the transport | the consumer has pulled everything |
//! | the consumer cancels | CANCEL with its words | ACK 00 |
//!
//! A consumer that pulls nothing keeps the producer waiting, and streams bound how long: a credit stream fails after
//! [`crate::stream::Limits::stall_timeout`] without half a window granted, a port after
//! [`crate::port::Config::ack_timeout`]. Give those the time that a consumer may rest.
//!
//! On streams of a [`crate::rpc::Link`], and on anything else, a driver does the same with [`super::upload`] and
//! [`super::download`]: it does their steps. Rules: `spec/12-body.md`, TRANSFER.

mod end;
pub mod port;
mod receiving;
mod sending;
pub mod stream;

use alloc::borrow::Cow;
use alloc::string::ToString;

pub use receiving::Download;
pub use sending::Upload;

use crate::error::Blame;
use crate::frame::Reason;

/// Why a body did not arrive whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The credit stream failed. The other side's words are in there.
    #[error(transparent)]
    Stream(#[from] crate::stream::Error),
    /// The port failed.
    #[error(transparent)]
    Port(#[from] crate::port::Error),
    /// The producer here failed: `error` or `abort`.
    #[error("the producer failed: {reason}")]
    Aborted {
        /// Its words.
        reason: Reason,
    },
    /// The consumer here wanted no more: `cancel`.
    #[error("the consumer cancelled")]
    Cancelled {
        /// Its words, if it gave any.
        reason: Option<Reason>,
    },
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Stream(error) => error.blame(),
            Self::Port(error) => error.blame(),
            Self::Aborted { .. } | Self::Cancelled { .. } => Blame::Caller,
        }
    }

    fn aborted(reason: &str) -> Self {
        Self::Aborted { reason: Reason::Text(reason.into()) }
    }

    /// What the other side is told.
    fn words(&self) -> Cow<'_, str> {
        match self {
            Self::Aborted { reason } | Self::Cancelled { reason: Some(reason) } => reason.text(),
            Self::Stream(_) | Self::Port(_) | Self::Cancelled { reason: None } => self.to_string().into(),
        }
    }
}

/// A configuration that was refused. The caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The queue's, or the piece's.
    #[error(transparent)]
    Queue(#[from] super::queue::ConfigError),
    /// The credit stream's.
    #[error(transparent)]
    Stream(#[from] crate::stream::ConfigError),
    /// The port's.
    #[error(transparent)]
    Port(#[from] crate::port::ConfigError),
    /// Two of the largest blocks have to fit into the queue: one with the consumer, one behind it.
    #[error("two blocks of {block} bytes do not fit into a queue of {bytes}")]
    BlockTooLarge {
        /// [`port::Config::block`].
        block: usize,
        /// [`crate::body::queue::Config::bytes`].
        bytes: usize,
    },
}
