//! What a block costs.

use super::config::Limits;

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

    /// Whether one block may need more than half of the window and cannot be split: then what was freed is granted
    /// as soon as nothing is held.
    pub(super) const fn needs_whole(self) -> bool {
        match self {
            Self::Custom => true,
            Self::Items | Self::Bytes => false,
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
