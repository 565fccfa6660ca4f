//! What the three machines of the port can be told.

use core::time::Duration;

use super::Error;
use crate::limits;

/// Blocks and streams in a row that carry no byte, before the port ends (T5).
pub const EMPTY_BLOCKS: u32 = 4096;

/// What to do with messages that are too short, of a type that the port does not know, or not for this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// They are an error that names them (PORT-16).
    #[default]
    Refuse,
    /// They are counted and dropped, up to [`Config::max_ignored`] (PORT-17).
    Ignore,
}

/// The configuration of a port; the same for [`super::Sender`], [`super::Receiver`] and [`super::Duplex`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Outgoing: bytes of every block but the last, or `None` to send each written block as it is (default).
    pub chunk_size: Option<usize>,
    /// Outgoing: blocks that may be unanswered; 1 by default, as every peer expects at least.
    pub window: u32,
    /// Outgoing: how long to wait for an answer. 30 s by default; one that leaves the clock's range is "for ever".
    pub ack_timeout: Duration,
    /// Bytes of the largest block, in both directions.
    pub max_block: usize,
    /// Outgoing: bytes that wait, overhead included, from which on `write` answers that it is full. A chunk that is still
    /// to be filled does not count while nothing else waits.
    pub send_bytes: usize,
    /// Incoming: blocks (and ends of streams) that wait behind the block in hand.
    pub receive_blocks: usize,
    /// Incoming: bytes that wait behind the block in hand, from which on no more input is wanted.
    pub receive_bytes: usize,
    /// What to do with messages that the machine does not know.
    pub unknown: Unknown,
    /// Messages without effect (ignored ones, stale ACKs, DATA after the end) before the port ends.
    pub max_ignored: u32,
    /// Empty blocks and empty streams in a row before the port ends.
    pub max_empty: u32,
    /// Incoming: whether stream follows stream without a verb (PORT-22).
    pub sequence: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            chunk_size: None,
            window: 1,
            ack_timeout: Duration::from_secs(30),
            max_block: limits::BLOCK,
            send_bytes: limits::SEND_BYTES,
            receive_blocks: limits::RECEIVE_BLOCKS,
            receive_bytes: limits::RECEIVE_BYTES,
            unknown: Unknown::Refuse,
            max_ignored: limits::IGNORED_MESSAGES,
            max_empty: EMPTY_BLOCKS,
            sequence: false,
        }
    }
}

impl Config {
    /// Refuses values with which a port could never move (PORT-6).
    pub(super) const fn check(&self) -> Result<(), ConfigError> {
        let field = match self {
            Self { chunk_size: Some(0), .. } => "chunk_size",
            Self { window: 0, .. } => "window",
            Self { max_block: 0, .. } => "max_block",
            Self { send_bytes: 0, .. } => "send_bytes",
            Self { receive_blocks: 0, .. } => "receive_blocks",
            Self { receive_bytes: 0, .. } => "receive_bytes",
            Self { ack_timeout: Duration::ZERO, .. } => "ack_timeout",
            Self { chunk_size: Some(size), max_block, .. } if *size > *max_block => {
                return Err(ConfigError::ChunkTooLarge { chunk_size: *size, max_block: *max_block });
            }
            Self { .. } => return Ok(()),
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
    /// Blocks would be larger than the port takes.
    #[error("chunk_size {chunk_size} is above max_block {max_block}")]
    ChunkTooLarge {
        /// [`Config::chunk_size`].
        chunk_size: usize,
        /// [`Config::max_block`].
        max_block: usize,
    },
}

/// Counts what has no effect, so that a flood of it ends the port (T5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    unknown_is_error: bool,
    left: u32,
    limit: u32,
}

impl Budget {
    pub(super) const fn new(config: &Config) -> Self {
        Self {
            unknown_is_error: matches!(config.unknown, Unknown::Refuse),
            left: config.max_ignored,
            limit: config.max_ignored,
        }
    }

    /// A message that is not for this machine: `error` names it.
    pub(super) fn unknown(&mut self, error: Error) -> Result<(), Error> {
        if self.unknown_is_error { Err(error) } else { self.spend() }
    }

    /// A message that is known and changes nothing.
    pub(super) fn spend(&mut self) -> Result<(), Error> {
        self.left = self.left.checked_sub(1).ok_or(Error::TooManyIgnored { limit: self.limit })?;
        Ok(())
    }
}
