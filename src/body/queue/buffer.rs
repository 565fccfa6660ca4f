//! The chunks that wait, and what they cost.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use super::config::Config;

#[derive(Clone, Debug)]
enum Slot {
    /// As it was pushed. It keeps the buffer alive that it was cut from.
    Shared(Bytes),
    /// A copy of one small chunk or several.
    Own(Vec<u8>),
}

impl Slot {
    fn into_bytes(self) -> Bytes {
        match self {
            Self::Shared(chunk) => chunk,
            Self::Own(joined) => joined.into(),
        }
    }

    fn memory(&self) -> usize {
        match self {
            Self::Shared(chunk) => chunk.len(),
            Self::Own(joined) => joined.capacity(),
        }
    }
}

/// Chunks in their order. The sum of their capacities never passes `Config::bytes`: only the last of them has room to
/// grow, and that room is part of what is free.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffer {
    slots: VecDeque<Slot>,
    /// Bytes in `slots`.
    queued: usize,
    /// Bytes that were taken out and are still somewhere near (see [`Self::take`]).
    lent: usize,
}

impl Buffer {
    pub(super) const fn bytes(&self) -> usize {
        self.queued.saturating_add(self.lent)
    }

    pub(super) fn chunks(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// What is held, capacities and bookkeeping included.
    pub(super) fn memory(&self) -> usize {
        let slots = self.slots.capacity().saturating_mul(size_of::<Slot>());
        self.slots.iter().fold(slots.saturating_add(self.lent), |sum, slot| sum.saturating_add(slot.memory()))
    }

    /// Whether a chunk of `length` bytes finds a place, bytes not considered.
    pub(super) fn has_place(&self, config: &Config, length: usize) -> bool {
        self.slots.len() < config.chunks || self.joins(config, length)
    }

    fn joins(&self, config: &Config, length: usize) -> bool {
        if !config.join || length == 0 || length >= config.small {
            return false;
        }
        match self.slots.back() {
            Some(Slot::Own(joined)) => joined.len().saturating_add(length) <= config.small.saturating_mul(2),
            Some(Slot::Shared(_)) | None => false,
        }
    }

    /// Queues `chunk`, for which there is a place and room. `direct`: somebody waits for it, so it is not copied.
    pub(super) fn push(&mut self, config: &Config, chunk: Bytes, direct: bool) {
        let length = chunk.len();
        let free = config.bytes.saturating_sub(self.bytes());
        if length == 0 {
            // The slice would keep its buffer alive for nothing.
            self.append(config, Slot::Shared(Bytes::new()));
        } else if direct || length >= config.small {
            self.append(config, Slot::Shared(chunk));
        } else if self.joins(config, length) {
            self.join(config, &chunk, free);
        } else {
            self.append(config, Slot::Own(chunk.to_vec()));
        }
        self.queued = self.queued.saturating_add(length);
    }

    fn join(&mut self, config: &Config, chunk: &[u8], free: usize) {
        let Some(Slot::Own(joined)) = self.slots.back_mut() else { return };
        let length = joined.len();
        let needed = length.saturating_add(chunk.len());
        if needed > joined.capacity() {
            let most = config.small.saturating_mul(2).min(length.saturating_add(free));
            let capacity = length.saturating_mul(2).min(most).max(needed);
            joined.reserve_exact(capacity.saturating_sub(length));
        }
        joined.extend_from_slice(chunk);
    }

    fn append(&mut self, config: &Config, slot: Slot) {
        if let Some(Slot::Own(joined)) = self.slots.back_mut() {
            joined.shrink_to_fit();
        }
        let count = self.slots.len();
        if count == self.slots.capacity() {
            // Doubled, but no further than to the cap: the bookkeeping is part of it.
            let more = count.min(config.chunks.saturating_sub(count)).max(1);
            self.slots.reserve_exact(more);
        }
        self.slots.push_back(slot);
    }

    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let chunk = self.slots.pop_front()?.into_bytes();
        self.queued = self.queued.saturating_sub(chunk.len());
        Some(chunk)
    }

    /// At most `most` bytes of the first chunk, which stay charged until [`Self::repay`].
    pub(super) fn take(&mut self, most: usize) -> Option<Bytes> {
        let mut chunk = self.slots.pop_front()?.into_bytes();
        let piece = if chunk.len() > most {
            let piece = chunk.split_to(most);
            self.slots.push_front(Slot::Shared(chunk));
            piece
        } else {
            chunk
        };
        self.queued = self.queued.saturating_sub(piece.len());
        self.lent = self.lent.saturating_add(piece.len());
        Some(piece)
    }

    /// What was taken is gone.
    pub(super) const fn repay(&mut self) {
        self.lent = 0;
    }

    /// Drops everything, and gives the memory back.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
