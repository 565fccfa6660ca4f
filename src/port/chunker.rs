//! Re-chunking: what was written, cut into blocks of one size.

use alloc::collections::VecDeque;
use core::num::NonZeroUsize;

use bytes::{Bytes, BytesMut};

use crate::{Transmit, limits};

/// Blocks that wait to be sent.
///
/// With a size, the stream is cut anew: large blocks are split by slicing, small ones are joined by copying each
/// byte once, empty ones vanish, and only the last block is shorter (PORT-4). Without one, blocks pass as they are.
#[derive(Clone, Debug)]
pub(super) struct Chunker {
    size: Option<NonZeroUsize>,
    /// Ready to be cut: whole multiples of the size, or one block that a flush made shorter.
    ready: VecDeque<Transmit>,
    /// The block being filled, shorter than the size.
    partial: Partial,
    /// Bytes in `ready` and `partial`.
    held: usize,
}

/// A block being filled.
#[derive(Clone, Debug)]
enum Partial {
    /// Nothing yet.
    Empty,
    /// One piece, as it was written: not copied unless another joins it.
    Single(Bytes),
    /// Several pieces.
    Joined(BytesMut),
}

impl Partial {
    fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Single(piece) => piece.len(),
            Self::Joined(pieces) => pieces.len(),
        }
    }

    fn push(&mut self, piece: Bytes, size: usize) {
        *self = match core::mem::replace(self, Self::Empty) {
            Self::Empty => Self::Single(piece),
            Self::Single(first) => {
                // Room for a few more of this kind, never for a whole block that may not come.
                let room = first.len().saturating_add(piece.len()).saturating_mul(2);
                let mut joined = BytesMut::with_capacity(room.min(size));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&piece);
                Self::Joined(joined)
            }
            Self::Joined(mut pieces) => {
                pieces.extend_from_slice(&piece);
                Self::Joined(pieces)
            }
        };
    }

    fn take(&mut self) -> Option<Bytes> {
        match core::mem::replace(self, Self::Empty) {
            Self::Empty => None,
            Self::Single(piece) => Some(piece),
            Self::Joined(pieces) => Some(pieces.freeze()),
        }
    }
}

impl Chunker {
    pub(super) fn new(size: Option<usize>) -> Self {
        let size = size.and_then(NonZeroUsize::new);
        Self { size, ready: VecDeque::new(), partial: Partial::Empty, held: 0 }
    }

    pub(super) fn push(&mut self, block: Transmit) {
        self.held = self.held.saturating_add(block.len());
        let Some(size) = self.size else {
            self.ready.push_back(block);
            return;
        };
        let mut bytes = block.into_bytes();
        if self.partial.len() > 0 {
            let wanted = size.get().saturating_sub(self.partial.len());
            self.partial.push(bytes.split_to(wanted.min(bytes.len())), size.get());
            if self.partial.len() >= size.get() {
                self.flush();
            }
        }
        let rest = bytes.len().checked_rem(size.get()).unwrap_or(0);
        let rest = bytes.split_off(bytes.len().saturating_sub(rest));
        if !bytes.is_empty() {
            self.ready.push_back(bytes.into());
        }
        if !rest.is_empty() {
            self.partial.push(rest, size.get());
        }
    }

    /// Makes a block of what is being filled.
    pub(super) fn flush(&mut self) {
        self.ready.extend(self.partial.take().map(Transmit::new));
    }

    /// The next block.
    pub(super) fn pop(&mut self) -> Option<Transmit> {
        let front = self.ready.front_mut()?;
        let block = match self.size {
            Some(size) if front.len() > size.get() => front.split_payload(size.get()),
            Some(_) | None => self.ready.pop_front()?,
        };
        self.held = self.held.saturating_sub(block.len());
        Some(block)
    }

    /// Whether a block can be taken.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Bytes held, with the overhead of each piece (T6).
    pub(super) fn charged(&self) -> usize {
        self.held.saturating_add(self.ready.len().saturating_mul(limits::CHUNK_OVERHEAD))
    }

    pub(super) fn clear(&mut self) {
        self.ready.clear();
        self.partial = Partial::Empty;
        self.held = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::random::SplitMix64;

    fn drain(chunker: &mut Chunker) -> Vec<Bytes> {
        core::iter::from_fn(|| chunker.pop()).map(Transmit::into_bytes).collect()
    }

    #[test]
    fn port_4_a_large_block_is_split_by_slicing() {
        let block = Bytes::from(std::vec![7; 1000]);
        let mut chunker = Chunker::new(Some(300));
        chunker.push(block.clone().into());
        chunker.flush();
        let cut = drain(&mut chunker);
        assert_eq!(cut.iter().map(Bytes::len).collect::<Vec<_>>(), [300, 300, 300, 100]);
        for (n, piece) in cut.iter().enumerate() {
            assert_eq!(piece.as_ptr(), block[n * 300..].as_ptr());
        }
    }

    #[test]
    fn port_5_without_a_size_blocks_pass_as_they_are_even_empty_ones() {
        let mut chunker = Chunker::new(None);
        for block in [&b""[..], b"ab", b""] {
            chunker.push(Bytes::from_static(block).into());
        }
        assert_eq!(drain(&mut chunker), [&b""[..], b"ab", b""]);
    }

    fn below(random: &mut SplitMix64, bound: u64) -> usize {
        usize::try_from(random.up_to(bound - 1)).unwrap()
    }

    /// PORT-4: only the stream's bytes and the size decide, not the writes; what is charged covers what is held.
    #[test]
    fn port_4_blocks_do_not_depend_on_the_writes() {
        for seed in 0..500 {
            let mut random = SplitMix64::new(seed);
            let (size, writes) = (1 + below(&mut random, 49), below(&mut random, 12));
            let mut chunker = Chunker::new(Some(size));
            let (mut got, mut whole) = (Vec::new(), Vec::new());
            for _ in 0..writes {
                let length = below(&mut random, 40);
                let write: Vec<u8> = (0..length).map(|_| random.up_to(255) as u8).collect();
                whole.extend_from_slice(&write);
                chunker.push(Bytes::from(write).into());
                if below(&mut random, 2) == 0 {
                    got.extend(drain(&mut chunker));
                }
            }
            chunker.flush();
            got.extend(drain(&mut chunker));
            assert_eq!(got, whole.chunks(size).collect::<Vec<_>>(), "seed {seed}");
            assert_eq!(chunker.charged(), 0, "seed {seed}");
        }
    }
}
