//! What a block costs.

use super::config::Limits;

/// Pieces of a byte stream that a window holds at least.
const PIECES: u32 = 4;

/// The largest piece that a byte stream is cut into, by its window: some are under way while others are granted.
pub(super) const fn piece(window: u32) -> u32 {
    window.div_ceil(PIECES)
}

/// The size of a block, by a function of the caller's: at least 1.
pub type SizeOf = fn(&[u8]) -> u32;

/// What a unit of credit is (STREAM-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sizing {
    /// A block: each has the size 1.
    Items,
    /// A byte: a block has the size of its length, and at least 1. The stream has no borders between blocks: it is
    /// split to fit the credit, and small pieces may be joined.
    Bytes,
    /// What [`Limits::size_of`] says.
    Custom,
}

impl Sizing {
    /// The size of `block`, 0 where the caller's function says so.
    #[must_use]
    pub fn size(self, limits: &Limits, block: &[u8]) -> u32 {
        match self {
            Self::Items => 1,
            Self::Bytes => u32::try_from(block.len()).unwrap_or(u32::MAX).max(1),
            Self::Custom => (limits.size_of)(block),
        }
    }

    /// The largest block that a sender may be waiting to send, of those that it does not split: below it the sender
    /// may be stuck, and all that was freed is granted. Only the callers' function has no bound but the window.
    pub(super) const fn reserve(self, window: u32) -> u32 {
        match self {
            Self::Items => 1,
            Self::Bytes => piece(window),
            Self::Custom => window,
        }
    }

    /// Whether blocks may be split and joined.
    pub(super) const fn is_bytes(self) -> bool {
        match self {
            Self::Bytes => true,
            Self::Items | Self::Custom => false,
        }
    }
}
