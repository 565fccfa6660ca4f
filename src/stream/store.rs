//! What a stream holds: blocks that wait to be sent, blocks that came, and those handed out and not yet consumed.
//!
//! Most streams hold one block at a time. That one lies in the stream itself, and only those behind it are on the heap.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::hash::{Hash, Hasher};

use bytes::{Bytes, BytesMut};

use crate::limits;

/// Blocks of a byte stream below this are joined while they wait (T6).
const SMALL: usize = 512;
/// A joined block is closed once it is this long.
const JOINED: usize = 8192;

/// What was handed out as one: its size, and how many blocks it was on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub(super) size: u32,
    pub(super) blocks: u32,
}

#[derive(Clone, Debug)]
enum Data {
    Single(Bytes),
    Joined(BytesMut),
}

impl Data {
    fn len(&self) -> usize {
        self.bytes().len()
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Single(data) => data,
            Self::Joined(data) => data,
        }
    }

    fn join(&mut self, more: &Bytes) {
        match self {
            Self::Single(data) => {
                let mut joined =
                    BytesMut::with_capacity(data.len().saturating_add(more.len()).saturating_mul(2));
                joined.extend_from_slice(data);
                joined.extend_from_slice(more);
                *self = Self::Joined(joined);
            }
            Self::Joined(data) => data.extend_from_slice(more),
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Single(data) => data,
            Self::Joined(data) => data.freeze(),
        }
    }
}

/// The oldest block of its direction, before all in [`Queues`]. Where data goes both ways, of the direction that came
/// first.
#[derive(Clone, Debug)]
enum Slot {
    Empty,
    Waiting(Bytes),
    /// Its size is what the window holds and [`Queues::size`] does not count.
    Arrived(Bytes),
    Handed,
}

/// What only a stream with several blocks needs.
#[derive(Clone, Debug, Default)]
struct Queues {
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    arrived: VecDeque<(Data, Held)>,
    arrived_bytes: usize,
    handed: VecDeque<Held>,
    /// Of all in `arrived` and `handed`.
    size: u32,
}

impl Queues {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.arrived.is_empty() && self.handed.is_empty()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Store {
    slot: Slot,
    queues: Option<Box<Queues>>,
}

/// By what is in it, wherever that lies. The size of the oldest that came is what the window holds besides the others.
impl Hash for Store {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let queues = self.queues.as_deref();
        let waiting = queues.into_iter().flat_map(|queues| &queues.waiting);
        let mut handed = queues.into_iter().flat_map(|queues| &queues.handed).copied();
        let arrived = queues.into_iter().flat_map(|queues| &queues.arrived);
        let mut arrived = arrived.map(|(data, held)| (matches!(data, Data::Joined(_)), data.bytes(), *held));
        // One that lies in the slot comes before all others of its direction.
        let mut first_waiting = None;
        if let Slot::Waiting(block) = &self.slot {
            first_waiting = Some(block);
        }
        match &self.slot {
            Slot::Empty | Slot::Waiting(_) => {
                if let Some(first) = handed.next() {
                    (0_u8, first.blocks).hash(state);
                } else if let Some((joined, data, held)) = arrived.next() {
                    (1_u8, joined, data, held.blocks).hash(state);
                }
            }
            Slot::Arrived(block) => (1_u8, false, block, 1_u32).hash(state),
            Slot::Handed => (0_u8, 1_u32).hash(state),
        }
        handed.for_each(|held| (2_u8, held).hash(state));
        arrived.for_each(|entry| (3_u8, entry).hash(state));
        first_waiting.into_iter().chain(waiting).for_each(|block| (4_u8, block).hash(state));
    }
}

/// What waits to be sent.
impl Store {
    #[inline]
    pub(super) const fn new() -> Self {
        Self { slot: Slot::Empty, queues: None }
    }

    #[inline]
    pub(super) fn first_waiting(&self) -> Option<&Bytes> {
        match &self.slot {
            Slot::Waiting(block) => Some(block),
            Slot::Empty | Slot::Arrived(_) | Slot::Handed => self.queues.as_ref()?.waiting.front(),
        }
    }

    /// Bytes that wait to be sent, with the overhead of each block.
    #[inline]
    pub(super) fn waiting_charge(&self) -> usize {
        let queued =
            self.queues.as_ref().map_or(0, |queues| charge(queues.waiting_bytes, queues.waiting.len()));
        match &self.slot {
            Slot::Waiting(block) => charge(block.len(), 1).saturating_add(queued),
            Slot::Empty | Slot::Arrived(_) | Slot::Handed => queued,
        }
    }

    #[inline]
    pub(super) fn push_waiting(&mut self, block: Bytes) {
        match &self.slot {
            Slot::Empty if self.queues.as_ref().is_none_or(|queues| queues.waiting.is_empty()) => {
                self.slot = Slot::Waiting(block);
            }
            Slot::Empty | Slot::Waiting(_) | Slot::Arrived(_) | Slot::Handed => self.queue_waiting(block),
        }
    }

    // Apart, so that the way of a single block stays short.
    #[inline(never)]
    fn queue_waiting(&mut self, block: Bytes) {
        let queues = self.queues.get_or_insert_default();
        queues.waiting_bytes = queues.waiting_bytes.saturating_add(block.len());
        queues.waiting.push_back(block);
    }

    /// At most `length` bytes of the oldest block that waits, which goes when nothing of it is left.
    #[inline]
    pub(super) fn take_waiting(&mut self, length: usize) -> Bytes {
        match &mut self.slot {
            Slot::Waiting(block) if length < block.len() => block.split_to(length),
            Slot::Waiting(block) => {
                let whole = core::mem::take(block);
                self.slot = Slot::Empty;
                whole
            }
            Slot::Empty | Slot::Arrived(_) | Slot::Handed => self.dequeue_waiting(length).unwrap_or_default(),
        }
    }

    #[inline(never)]
    fn dequeue_waiting(&mut self, length: usize) -> Option<Bytes> {
        let queues = self.queues.as_mut()?;
        let front = queues.waiting.front_mut()?;
        let block = if length < front.len() { front.split_to(length) } else { queues.waiting.pop_front()? };
        queues.waiting_bytes = queues.waiting_bytes.saturating_sub(block.len());
        Some(block)
    }

    /// Drops what waits to be sent.
    #[inline]
    pub(super) fn drop_waiting(&mut self) {
        if matches!(self.slot, Slot::Waiting(_)) {
            self.slot = Slot::Empty;
        }
        if self.queues.is_some() {
            self.drop_queued(|queues| (queues.waiting, queues.waiting_bytes) = (VecDeque::new(), 0));
        }
    }

    // Apart as well.
    #[cold]
    fn drop_queued(&mut self, drop: impl FnOnce(&mut Queues)) {
        if let Some(queues) = &mut self.queues {
            drop(queues);
        }
        self.shrink();
    }
}

/// What came.
impl Store {
    #[inline]
    pub(super) fn has_arrived(&self) -> bool {
        match &self.slot {
            Slot::Arrived(_) => true,
            Slot::Empty | Slot::Waiting(_) | Slot::Handed => {
                self.queues.as_ref().is_some_and(|queues| !queues.arrived.is_empty())
            }
        }
    }

    /// Bytes that wait to be polled, with the overhead of each piece (T6).
    pub(super) fn arrived_charge(&self) -> usize {
        let queued =
            self.queues.as_ref().map_or(0, |queues| charge(queues.arrived_bytes, queues.arrived.len()));
        match &self.slot {
            Slot::Arrived(block) => charge(block.len(), 1).saturating_add(queued),
            Slot::Empty | Slot::Waiting(_) | Slot::Handed => queued,
        }
    }

    /// A block of this size has come; `held` is what the window holds with it.
    #[inline]
    pub(super) fn push_arrived(&mut self, block: Bytes, size: u32, held: u32, may_join: bool) {
        match &self.slot {
            // Then the window holds nothing else.
            Slot::Empty if size == held => self.slot = Slot::Arrived(block),
            Slot::Empty | Slot::Waiting(_) | Slot::Arrived(_) | Slot::Handed => {
                self.queue_arrived(block, size, held, may_join);
            }
        }
    }

    #[inline(never)]
    fn queue_arrived(&mut self, block: Bytes, size: u32, held: u32, may_join: bool) {
        let queues = self.queues.get_or_insert_default();
        let is_small = may_join && block.len() < SMALL;
        if let Slot::Arrived(first) = &mut self.slot {
            if is_small && queues.arrived.is_empty() {
                // They are joined where blocks of any size may lie, if the first is small as well.
                let first = core::mem::take(first);
                self.slot = Slot::Empty;
                let size = held.saturating_sub(size);
                (queues.size, queues.arrived_bytes) = (size, first.len());
                queues.arrived.push_back((Data::Single(first), Held { size, blocks: 1 }));
            }
        }
        queues.arrived_bytes = queues.arrived_bytes.saturating_add(block.len());
        queues.size = queues.size.saturating_add(size);
        if is_small {
            if let Some((data, held)) = queues.arrived.back_mut() {
                if data.len() < JOINED && (matches!(data, Data::Joined(_)) || data.len() < SMALL) {
                    data.join(&block);
                    held.size = held.size.saturating_add(size);
                    held.blocks = held.blocks.saturating_add(1);
                    return;
                }
            }
        }
        queues.arrived.push_back((Data::Single(block), Held { size, blocks: 1 }));
    }

    /// The oldest block that came: it is handed out.
    #[inline]
    pub(super) fn pop_arrived(&mut self) -> Option<Bytes> {
        match &mut self.slot {
            Slot::Arrived(block) => {
                let block = core::mem::take(block);
                self.slot = Slot::Handed;
                Some(block)
            }
            Slot::Empty | Slot::Waiting(_) | Slot::Handed => self.dequeue_arrived(),
        }
    }

    #[inline(never)]
    fn dequeue_arrived(&mut self) -> Option<Bytes> {
        let queues = self.queues.as_mut()?;
        let (data, held) = queues.arrived.pop_front()?;
        queues.arrived_bytes = queues.arrived_bytes.saturating_sub(data.len());
        queues.handed.push_back(held);
        Some(data.into_bytes())
    }

    /// The oldest that was handed out is consumed; `held` is what the window holds with it.
    #[inline]
    pub(super) fn pop_handed(&mut self, held: u32) -> Option<Held> {
        if matches!(self.slot, Slot::Handed) {
            self.slot = Slot::Empty;
            let behind = self.queues.as_ref().map_or(0, |queues| queues.size);
            return Some(Held { size: held.saturating_sub(behind), blocks: 1 });
        }
        let queues = self.queues.as_mut()?;
        let held = queues.handed.pop_front()?;
        queues.size = queues.size.saturating_sub(held.size);
        Some(held)
    }

    /// Drops what came, and forgets what was handed out.
    #[inline]
    pub(super) fn drop_arrived(&mut self) {
        if matches!(self.slot, Slot::Arrived(_) | Slot::Handed) {
            self.slot = Slot::Empty;
        }
        if self.queues.is_some() {
            self.drop_queued(|queues| {
                (queues.arrived, queues.arrived_bytes) = (VecDeque::new(), 0);
                (queues.handed, queues.size) = (VecDeque::new(), 0);
            });
        }
    }

    /// Whether nothing came that is still to be polled or consumed.
    pub(super) fn is_consumed(&self) -> bool {
        !matches!(self.slot, Slot::Arrived(_) | Slot::Handed)
            && self.queues.as_ref().is_none_or(|queues| queues.arrived.is_empty() && queues.handed.is_empty())
    }
}

impl Store {
    /// Gives memory back that an idle stream does not need.
    pub(super) fn shrink(&mut self) {
        if self.queues.as_ref().is_some_and(|queues| queues.is_empty()) {
            self.queues = None;
        }
    }

    /// Bytes on the heap, those of the blocks not counted.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.queues.as_ref().map_or(0, |queues| {
            size_of::<Queues>()
                + queues.waiting.capacity() * size_of::<Bytes>()
                + queues.arrived.capacity() * size_of::<(Data, Held)>()
                + queues.handed.capacity() * size_of::<Held>()
        })
    }
}

/// What so many blocks with so many bytes cost.
#[inline]
fn charge(bytes: usize, blocks: usize) -> usize {
    bytes.saturating_add(blocks.saturating_mul(limits::CHUNK_OVERHEAD))
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;
    use std::hash::DefaultHasher;

    use super::*;
    use crate::random::SplitMix64;

    /// Both directions in turns of changing lengths, beside plain queues.
    #[test]
    fn it_keeps_the_order_and_the_sizes_of_plain_queues() {
        for seed in 0..200 {
            let mut random = SplitMix64::new(seed);
            let mut store = Store::new();
            let (mut waiting, mut arrived, mut handed) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
            let mut held = 0;
            for round in 0_u32..300 {
                let block = Bytes::copy_from_slice(&round.to_be_bytes());
                let size = 1 + random.next() as u32 % 3;
                match random.next() % 5 {
                    0 => {
                        store.push_waiting(block.clone());
                        waiting.push_back(block);
                    }
                    1 => {
                        let expected = waiting.pop_front();
                        assert_eq!(store.first_waiting(), expected.as_ref());
                        assert_eq!(store.take_waiting(4), expected.unwrap_or_default());
                    }
                    2 => {
                        held += size;
                        store.push_arrived(block.clone(), size, held, false);
                        arrived.push_back((block, Held { size, blocks: 1 }));
                    }
                    3 => {
                        let expected = arrived.pop_front();
                        assert_eq!(store.pop_arrived(), expected.as_ref().map(|(block, _)| block.clone()));
                        handed.extend(expected.map(|(_, held)| held));
                    }
                    _ => {
                        let expected = handed.pop_front();
                        assert_eq!(store.pop_handed(held), expected);
                        held -= expected.map_or(0, |held| held.size);
                    }
                }
                assert_eq!(store.waiting_charge(), waiting.len() * (4 + limits::CHUNK_OVERHEAD));
                assert_eq!(store.arrived_charge(), arrived.len() * (4 + limits::CHUNK_OVERHEAD));
                assert_eq!(store.has_arrived(), !arrived.is_empty());
                assert_eq!(store.is_consumed(), arrived.is_empty() && handed.is_empty());
            }
            store.drop_waiting();
            store.drop_arrived();
            assert_eq!(store.heap(), 0);
        }
    }

    /// One block at a time, sent or received, needs no heap.
    #[test]
    fn one_block_costs_no_heap() {
        let (mut store, block) = (Store::new(), Bytes::from_static(b"some"));
        for _ in 0..10 {
            store.push_waiting(block.clone());
            assert_eq!(
                (store.take_waiting(1), store.take_waiting(9), store.heap()),
                (block.slice(..1), block.slice(1..), 0)
            );
            store.push_arrived(block.clone(), 4, 4, true);
            assert_eq!((store.pop_arrived(), store.heap()), (Some(block.clone()), 0));
            assert_eq!(store.pop_handed(4), Some(Held { size: 4, blocks: 1 }));
        }
    }

    /// STREAM-24, T6: only small blocks are joined, to pieces of a bounded length, and all stay in their order.
    #[test]
    fn stream_24_large_blocks_are_not_joined_and_joined_ones_have_an_end() {
        let small = [256; 33];
        let cases: [(&[usize], &[usize]); 8] = [
            (&[511, 511], &[1022]),
            (&[1, 512, 1], &[1, 512, 1]),
            (&[512, 512, 511], &[512, 512, 511]),
            (&[600, 600, 1], &[600, 600, 1]),
            (&[1, 600, 1, 1], &[1, 600, 2]),
            (&[600, 1, 1, 600], &[600, 2, 600]),
            (&small, &[8192, 256]),
            (&[500, 511, 511], &[1522]),
        ];
        for (written, pieces) in cases {
            let (mut store, mut random, mut held) = (Store::new(), SplitMix64::new(1), 0);
            let mut whole = Vec::new();
            for length in written {
                let block: Vec<u8> = (0..*length).map(|_| random.next() as u8).collect();
                whole.extend_from_slice(&block);
                held += *length as u32;
                store.push_arrived(block.into(), *length as u32, held, true);
            }
            let came: Vec<Bytes> = core::iter::from_fn(|| store.pop_arrived()).collect();
            assert_eq!(came.iter().map(Bytes::len).collect::<Vec<_>>(), pieces);
            assert_eq!(came.concat(), whole);
            for length in pieces {
                let size = store.pop_handed(held).unwrap().size;
                assert_eq!(size as usize, *length);
                held -= size;
            }
        }
    }

    /// What a store holds tells it from others, and where it holds it does not.
    #[test]
    fn its_hash_is_that_of_what_it_holds() {
        let hash = |steps: &[fn(&mut Store)]| {
            let mut store = Store::new();
            steps.iter().for_each(|step| step(&mut store));
            let mut hasher = DefaultHasher::new();
            store.hash(&mut hasher);
            hasher.finish()
        };
        let a = |store: &mut Store| store.push_waiting(Bytes::from_static(b"a"));
        let b = |store: &mut Store| store.push_waiting(Bytes::from_static(b"b"));
        let came = |store: &mut Store| store.push_arrived(Bytes::from_static(b"c"), 1, 1, false);
        let polled = |store: &mut Store| drop(store.pop_arrived());
        let states: [&[fn(&mut Store)]; 6] = [&[], &[a], &[b], &[a, b], &[came], &[came, polled]];
        let hashes: BTreeSet<u64> = states.iter().map(|steps| hash(steps)).collect();
        assert_eq!(hashes.len(), states.len());
        // Whichever came first has the place for a single block.
        assert_eq!(hash(&[a, came]), hash(&[came, a]));
        assert_eq!(hash(&[a, came, polled]), hash(&[came, polled, a]));
    }

    /// T6: small blocks of a byte stream that wait are joined, the first one too.
    #[test]
    fn small_blocks_are_joined_while_they_wait() {
        let (mut store, block) = (Store::new(), Bytes::from_static(b"ab"));
        for blocks in 1..=4 {
            store.push_arrived(block.clone(), 2, 2 * blocks, true);
        }
        assert_eq!(store.arrived_charge(), 8 + limits::CHUNK_OVERHEAD);
        assert_eq!(store.pop_arrived(), Some(Bytes::from_static(b"abababab")));
        store.push_arrived(block.clone(), 2, 10, true);
        assert_eq!(store.pop_handed(10), Some(Held { size: 8, blocks: 4 }));
        assert_eq!(
            (store.pop_arrived(), store.pop_handed(2)),
            (Some(block), Some(Held { size: 2, blocks: 1 }))
        );
    }
}
