//! What a stream is, and what it may cost.

use core::time::Duration;

use super::size::{SizeOf, Sizing};
use crate::limits;

/// Items in the window by default: the high-water mark of the seed.
pub const WINDOW: u32 = 16;
/// Frames without effect (empty blocks in a row, frames after the end) before they are an error (T5).
pub const IDLE_FRAMES: u32 = 4096;
/// Bytes of the largest piece that a byte stream is cut into.
pub const CHUNK: usize = 64 << 10;
/// The parts of a window in which credit is granted. A 32nd: a window as large as the bandwidth-delay product then fills
/// a link to 97 %, and one a 32nd larger to the whole.
pub const CREDIT_PARTS: u32 = 32;

/// Which of the two ends of a two-way stream this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It made the call.
    Caller,
    /// It answers the call, and sends the END of a two-way stream (STREAM-14).
    Responder,
}

/// In which direction data moves, seen from this end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From here to the peer. The sender of a one-way stream sends its END.
    Send,
    /// From the peer to here.
    Receive,
    /// Both ways, each with a window of its own.
    Both(Role),
}

impl Direction {
    /// Whether this end sends data.
    #[must_use]
    pub const fn sends(self) -> bool {
        !matches!(self, Self::Receive)
    }

    /// Whether this end receives data.
    #[must_use]
    pub const fn receives(self) -> bool {
        !matches!(self, Self::Send)
    }

    /// Whether this end sends the END of a stream that went well.
    #[must_use]
    pub const fn ends(self) -> bool {
        matches!(self, Self::Send | Self::Both(Role::Responder))
    }

    /// The same stream, seen from the other end.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Send => Self::Receive,
            Self::Receive => Self::Send,
            Self::Both(Role::Caller) => Self::Both(Role::Responder),
            Self::Both(Role::Responder) => Self::Both(Role::Caller),
        }
    }
}

/// What both ends agree on when a stream is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// The direction of the data.
    pub direction: Direction,
    /// The high-water mark, in units of `sizing`: the window of each direction, and its credit at first.
    pub window: u32,
    /// What a unit of credit is.
    pub sizing: Sizing,
}

impl Shape {
    /// A stream of items in `direction` with the default window of [`WINDOW`] items.
    #[must_use]
    pub const fn items(direction: Direction) -> Self {
        Self { direction, window: WINDOW, sizing: Sizing::Items }
    }

    /// A stream of bytes in `direction` with a window of so many bytes.
    #[must_use]
    pub const fn bytes(direction: Direction, window: u32) -> Self {
        Self { direction, window, sizing: Sizing::Bytes }
    }

    /// The same stream, seen from the other end.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self { direction: self.direction.reversed(), window: self.window, sizing: self.sizing }
    }
}

/// What a stream may cost in time and space. One value serves any number of streams.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The size of a block where the stream's sizing is [`Sizing::Custom`]; both ends need the same function. By
    /// default every block has the size 1. It is asked whenever the block that waits first is looked at: it says the same
    /// of a block each time, and takes no longer for a large one.
    pub size_of: SizeOf,
    /// How long the channel may take to be attached. 30 s by default.
    pub open_timeout: Duration,
    /// How long data may wait for credit, or an end for END. 60 s by default.
    ///
    /// Within this time the peer has to grant half the window, or all that is needed: a peer that grants now and
    /// then a unit does not hold our memory for ever (T4).
    pub stall_timeout: Duration,
    /// Bytes of the largest piece that a byte stream is cut into; a quarter of the window is never exceeded. 64 KiB by
    /// default.
    pub chunk_size: usize,
    /// In how many parts the window is granted back, this end's choice alone (STREAM-9). 32 by default. More parts are
    /// more messages; fewer need a larger window for the same link: with 2, twice the bandwidth-delay product.
    pub credit_parts: u32,
    /// Bytes of the largest block, in both directions.
    pub max_block: usize,
    /// Bytes that wait to be sent, overhead included, from which on `write` answers that it is full.
    pub send_bytes: usize,
    /// Bytes that came and were not polled, overhead included, from which on no more input is wanted.
    pub receive_bytes: usize,
    /// Empty blocks in a row, and frames after the end, before they are an error.
    pub max_idle_frames: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size_of: |_| 1,
            open_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(60),
            chunk_size: CHUNK,
            credit_parts: CREDIT_PARTS,
            max_block: limits::BLOCK,
            send_bytes: limits::SEND_BYTES,
            receive_bytes: limits::RECEIVE_BYTES,
            max_idle_frames: IDLE_FRAMES,
        }
    }
}

/// The configuration of an [`super::Endpoint`].
#[derive(Clone, Debug)]
pub struct Config {
    /// What both ends agree on.
    pub shape: Shape,
    /// What it may cost here.
    pub limits: Limits,
}

impl Config {
    /// A configuration with the default limits.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        Self { shape, limits: Limits::default() }
    }
}

impl Shape {
    /// Refuses a shape with which a stream could never move (STREAM-2).
    ///
    /// # Errors
    /// [`ConfigError::Zero`] for a window of 0.
    pub const fn check(&self) -> Result<(), ConfigError> {
        if self.window == 0 { Err(ConfigError::Zero { field: "window" }) } else { Ok(()) }
    }
}

impl Limits {
    /// Refuses limits with which a stream could never move (STREAM-2).
    ///
    /// # Errors
    /// [`ConfigError::Zero`], naming the field.
    pub const fn check(&self) -> Result<(), ConfigError> {
        let field = match self {
            Self { open_timeout: Duration::ZERO, .. } => "open_timeout",
            Self { stall_timeout: Duration::ZERO, .. } => "stall_timeout",
            Self { chunk_size: 0, .. } => "chunk_size",
            Self { credit_parts: 0, .. } => "credit_parts",
            Self { max_block: 0, .. } => "max_block",
            Self { send_bytes: 0, .. } => "send_bytes",
            Self { receive_bytes: 0, .. } => "receive_bytes",
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
        /// The field.
        field: &'static str,
    },
}
