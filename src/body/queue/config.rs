//! What a queue can be told.

use crate::limits;

/// What happens to a chunk that is larger than the room that is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Full {
    /// What fits is taken; the rest is handed back (QUEUE-5).
    #[default]
    Split,
    /// Nothing of it is taken (QUEUE-4).
    Refuse,
}

/// The configuration of a [`super::Queue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes that may wait: the high-water mark. 65536 by default. No chunk is handed out that is larger.
    pub bytes: usize,
    /// Chunks that may wait, empty ones included. 16 by default.
    pub chunks: usize,
    /// Chunks shorter than this are copied, so that they keep no larger buffer alive (QUEUE-8). 4096 by default: with
    /// 16 chunks of that length the bytes run out before the chunks do. 0 copies nothing, `usize::MAX` everything.
    pub small: usize,
    /// Whether small chunks are joined, up to twice `small` (QUEUE-7). True by default; `false` keeps their borders.
    pub join: bool,
    /// What happens to a chunk for which there is not enough room.
    pub full: Full,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bytes: limits::BODY_BYTES,
            chunks: limits::BODY_CHUNKS,
            small: limits::BODY_SMALL,
            join: true,
            full: Full::Split,
        }
    }
}

impl Config {
    /// Refuses values with which nothing could ever be queued (QUEUE-1).
    ///
    /// # Errors
    /// [`ConfigError::Zero`], naming the field.
    pub const fn check(&self) -> Result<(), ConfigError> {
        let field = match self {
            Self { bytes: 0, .. } => "bytes",
            Self { chunks: 0, .. } => "chunks",
            Self { .. } => return Ok(()),
        };
        Err(ConfigError::Zero { field })
    }

    /// Bytes that a queue takes at the most, its bookkeeping included: `bytes`, and
    /// [`limits::CHUNK_OVERHEAD`] for each of `chunks` (QUEUE-6).
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.bytes.saturating_add(self.chunks.saturating_mul(limits::CHUNK_OVERHEAD))
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
