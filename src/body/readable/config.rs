//! What a readable stream can be told.

use crate::limits;

/// How chunks are measured against the high-water mark (READABLE-1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Each chunk counts 1.
    #[default]
    Count,
    /// Each chunk counts its bytes; an empty one nothing.
    Bytes,
}

impl Strategy {
    /// The size of a chunk of `length` bytes.
    #[must_use]
    pub const fn size(self, length: usize) -> usize {
        match self {
            Self::Count => 1,
            Self::Bytes => length,
        }
    }
}

/// The configuration of a [`super::Readable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How chunks are measured.
    pub strategy: Strategy,
    /// What the stream would like to have queued. 1 chunk by default. With 0 the source is asked only when somebody
    /// reads.
    pub high_water_mark: usize,
    /// Bytes that may be queued, whatever the mark is (READABLE-19).
    pub max_bytes: usize,
    /// Chunks that may be queued, whatever the mark is (READABLE-19).
    pub max_chunks: usize,
    /// Reads that may wait, those included whose answer was not polled (READABLE-19). Each of those holds one chunk, which
    /// `max_bytes` does not count.
    pub max_reads: usize,
}

impl Config {
    /// A stream that would like to have so many chunks queued.
    #[must_use]
    pub const fn count(high_water_mark: usize) -> Self {
        Self {
            strategy: Strategy::Count,
            high_water_mark,
            max_bytes: limits::READABLE_BYTES,
            max_chunks: limits::READABLE_CHUNKS,
            max_reads: limits::READABLE_READS,
        }
    }

    /// A stream that would like to have so many bytes queued.
    #[must_use]
    pub const fn bytes(high_water_mark: usize) -> Self {
        Self { strategy: Strategy::Bytes, ..Self::count(high_water_mark) }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::count(1)
    }
}
