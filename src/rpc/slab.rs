//! What is kept for each id: values in one block of memory, found by id without a scan.
//!
//! ```text
//! id ─► page number ─► Directory (open addressing) ─► Page: the places of 64 neighbouring ids ─► Slab: the value
//! ```
//!
//! Ids are handed out in order, so neighbours are used together and share a page; the directory stays 64 times
//! smaller than the slab and in a cache. A page without ids goes when another one has lost its last: one that is filled
//! and emptied by turns stays. Whatever ids a peer picks, an id costs at most one page (260 bytes) and a directory entry,
//! and a lookup at most one pass over the directory.

use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};

/// No place: the end of a list.
pub(super) const NIL: u32 = u32::MAX;
/// Ids of one page; a power of two.
const PAGE: usize = 64;
const PAGE_BITS: u32 = PAGE.trailing_zeros();
/// Blocks that an emptied slab keeps.
const KEPT_BLOCKS: usize = 4;
/// Slots of one block; a power of two.
const BLOCK: usize = 256;
const BLOCK_BITS: u32 = BLOCK.trailing_zeros();

#[derive(Clone, Debug)]
struct Page {
    places: [u32; PAGE],
    used: u8,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    number: u32,
    /// Index into the pages; [`NIL`] in an empty entry.
    page: u32,
}

/// No page has this number: it is above every id divided by [`PAGE`].
const EMPTY: Entry = Entry { number: u32::MAX, page: NIL };

/// The even and the odd ids each get pages of their own: one side's ids are all of one kind.
const fn key(id: u32) -> u32 {
    id.rotate_right(1)
}

const fn in_page(id: u32) -> usize {
    (key(id) as usize) & PAGE.saturating_sub(1)
}

/// Id to place.
#[derive(Clone, Debug)]
struct Table {
    /// A power of two of entries, at most half of them in use; or none at all.
    directory: Vec<Entry>,
    pages: Vec<Page>,
    free: Vec<u32>,
    /// Entries in use.
    used: usize,
    /// The entry that was used last: neighbours come together.
    recent: Entry,
    /// The page that was emptied last: it stays until another one is, for its next id or for a page of other ids.
    emptied: Entry,
}

impl Table {
    const fn new() -> Self {
        Self {
            directory: Vec::new(),
            pages: Vec::new(),
            free: Vec::new(),
            used: 0,
            recent: EMPTY,
            emptied: EMPTY,
        }
    }

    fn mask(&self) -> usize {
        self.directory.len().saturating_sub(1)
    }

    /// Where the search for a page begins.
    fn home(&self, number: u32) -> usize {
        let mixed = number.wrapping_mul(0x9e37_79b9);
        ((mixed ^ (mixed >> 15)) as usize) & self.mask()
    }

    fn following(&self, at: usize) -> usize {
        at.wrapping_add(1) & self.mask()
    }

    /// The directory's entry of a page: its index, and the page.
    #[inline(never)]
    fn find(&self, number: u32) -> Option<(usize, u32)> {
        let mut at = self.home(number);
        // At most half of the entries are in use, so an empty one ends the search.
        loop {
            let entry = self.directory.get(at)?;
            if entry.page == NIL {
                return None;
            }
            if entry.number == number {
                return Some((at, entry.page));
            }
            at = self.following(at);
        }
    }

    /// The page of an id.
    #[inline]
    fn page(&self, id: u32) -> Option<u32> {
        let number = key(id) >> PAGE_BITS;
        if self.recent.number == number {
            return Some(self.recent.page);
        }
        self.find(number).map(|(_, page)| page)
    }

    #[inline]
    fn place(&self, id: u32) -> Option<u32> {
        let place = *self.pages.get(self.page(id)? as usize)?.places.get(in_page(id))?;
        (place != NIL).then_some(place)
    }

    /// Sets the place of an id that has none.
    #[inline]
    fn insert(&mut self, id: u32, place: u32) {
        let number = key(id) >> PAGE_BITS;
        let index = match self.page(id) {
            Some(index) => index,
            None => self.new_page(number),
        };
        self.recent = Entry { number, page: index };
        let Some(page) = self.pages.get_mut(index as usize) else { return };
        if let Some(slot) = page.places.get_mut(in_page(id)) {
            *slot = place;
            if page.used == 0 {
                self.emptied = EMPTY;
            }
            page.used = page.used.saturating_add(1);
        }
    }

    #[cold]
    fn new_page(&mut self, number: u32) -> u32 {
        self.retire();
        let page = match self.free.pop() {
            Some(page) => page,
            None => {
                self.pages.push(Page { places: [NIL; PAGE], used: 0 });
                u32::try_from(self.pages.len().saturating_sub(1)).unwrap_or(NIL)
            }
        };
        if self.used.saturating_mul(2) >= self.directory.len() {
            let larger = self.directory.len().saturating_mul(2).max(8);
            let old = core::mem::replace(&mut self.directory, alloc::vec![EMPTY; larger]);
            for entry in old.into_iter().filter(|entry| entry.page != NIL) {
                self.enter(entry);
            }
        }
        self.enter(Entry { number, page });
        self.used = self.used.saturating_add(1);
        page
    }

    /// Frees the page that was emptied, if there is one. Another page is about to be, or is, the one used last.
    #[cold]
    fn retire(&mut self) {
        let Entry { number, page } = core::mem::replace(&mut self.emptied, EMPTY);
        if page == NIL {
            return;
        }
        self.free.push(page);
        if let Some((at, _)) = self.find(number) {
            self.vacate(at);
        }
    }

    fn enter(&mut self, entry: Entry) {
        let mut at = self.home(entry.number);
        while let Some(found) = self.directory.get_mut(at) {
            if found.page == NIL {
                *found = entry;
                return;
            }
            at = self.following(at);
        }
    }

    /// Takes an id out; its place.
    #[inline]
    fn remove(&mut self, id: u32) -> Option<u32> {
        let index = self.page(id)?;
        let page = self.pages.get_mut(index as usize)?;
        let slot = page.places.get_mut(in_page(id))?;
        let place = core::mem::replace(slot, NIL);
        if place == NIL {
            return None;
        }
        page.used = page.used.saturating_sub(1);
        self.recent = Entry { number: key(id) >> PAGE_BITS, page: index };
        if page.used == 0 {
            let emptied = self.recent;
            if self.emptied.page != NIL {
                self.retire();
            }
            self.emptied = emptied;
        }
        Some(place)
    }

    /// Empties an entry and moves up those behind it that it separates from their home.
    fn vacate(&mut self, mut hole: usize) {
        self.used = self.used.saturating_sub(1);
        let mut at = hole;
        loop {
            at = self.following(at);
            let Some(entry) = self.directory.get(at).copied() else { return };
            if entry.page == NIL {
                break;
            }
            let distance = |from: usize, to: usize| to.wrapping_sub(from) & self.mask();
            if distance(self.home(entry.number), at) >= distance(hole, at) {
                if let Some(free) = self.directory.get_mut(hole) {
                    *free = entry;
                }
                hole = at;
            }
        }
        if let Some(free) = self.directory.get_mut(hole) {
            *free = EMPTY;
        }
    }
}

#[derive(Clone)]
enum Slot<T> {
    Free { next: u32 },
    Used { id: u32, value: T },
}

/// Values by id. A value also has a *place*, which stays its own until it is removed: lists are made of places.
#[derive(Clone)]
pub(super) struct Slab<T> {
    table: Table,
    /// Blocks of [`BLOCK`] slots: growing never moves a value and never holds more than one block too many.
    blocks: Vec<Vec<Slot<T>>>,
    free: u32,
    len: usize,
    /// No value stands before this place.
    low: u32,
    /// The id that was asked for last, and its place; [`NIL`] when it has none.
    recent: (u32, u32),
}

/// The values by id; how they are found is of no interest to a reader.
impl<T: fmt::Debug> fmt::Debug for Slab<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = self.blocks.iter().flatten();
        let used = slots.filter_map(|slot| match slot {
            Slot::Used { id, value } => Some((id, value)),
            Slot::Free { .. } => None,
        });
        f.debug_map().entries(used).finish()
    }
}

impl<T: Hash> Hash for Slab<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for slot in self.blocks.iter().flatten() {
            match slot {
                Slot::Used { id, value } => (id, value).hash(state),
                Slot::Free { next } => next.hash(state),
            }
        }
        (self.free, self.len).hash(state);
    }
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self { table: Table::new(), blocks: Vec::new(), free: NIL, len: 0, low: 0, recent: (0, NIL) }
    }

    /// How many values there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds a value under an id that has none; its place.
    #[inline]
    pub(super) fn insert(&mut self, id: u32, value: T) -> u32 {
        self.insert_with(id, || value)
    }

    /// As [`Self::insert`], for a value that is made where it will lie.
    #[inline]
    pub(super) fn insert_with(&mut self, id: u32, make: impl FnOnce() -> T) -> u32 {
        let free = self.free;
        let place = match self.slot_mut(free) {
            Some(slot) => {
                if let Slot::Free { next } = *slot {
                    *slot = Slot::Used { id, value: make() };
                    self.free = next;
                }
                free
            }
            None => self.push(Slot::Used { id, value: make() }),
        };
        self.table.insert(id, place);
        self.recent = (id, place);
        self.low = self.low.min(place);
        self.len = self.len.saturating_add(1);
        place
    }

    #[cold]
    fn push(&mut self, slot: Slot<T>) -> u32 {
        let start = self.blocks.len().saturating_sub(1);
        match self.blocks.last_mut().filter(|block| block.len() < BLOCK) {
            Some(block) => {
                block.push(slot);
                let inside = block.len().saturating_sub(1);
                u32::try_from(start.saturating_mul(BLOCK).saturating_add(inside)).unwrap_or(NIL)
            }
            None => {
                // The first block grows as it must; the others are made whole.
                let whole = if self.blocks.is_empty() { 0 } else { BLOCK };
                let mut block = Vec::with_capacity(whole);
                block.push(slot);
                self.blocks.push(block);
                u32::try_from(self.blocks.len().saturating_sub(1).saturating_mul(BLOCK)).unwrap_or(NIL)
            }
        }
    }

    #[inline]
    fn slot(&self, place: u32) -> Option<&Slot<T>> {
        self.blocks.get((place >> BLOCK_BITS) as usize)?.get(place as usize & BLOCK.saturating_sub(1))
    }

    #[inline]
    fn slot_mut(&mut self, place: u32) -> Option<&mut Slot<T>> {
        self.blocks.get_mut((place >> BLOCK_BITS) as usize)?.get_mut(place as usize & BLOCK.saturating_sub(1))
    }

    #[inline]
    fn place(&self, id: u32) -> Option<u32> {
        if self.recent.0 == id { Some(self.recent.1) } else { self.table.place(id) }
    }

    /// The place of an id, which is remembered: what was looked up once for a step is looked up again in it.
    #[inline]
    pub(super) fn seek(&mut self, id: u32) -> Option<u32> {
        if self.recent.0 != id {
            self.recent = (id, self.table.place(id)?);
        }
        Some(self.recent.1)
    }

    /// The id and the value at a place.
    #[inline]
    pub(super) fn at(&self, place: u32) -> Option<(u32, &T)> {
        match self.slot(place)? {
            Slot::Used { id, value } => Some((*id, value)),
            Slot::Free { .. } => None,
        }
    }

    #[inline]
    pub(super) fn at_mut(&mut self, place: u32) -> Option<(u32, &mut T)> {
        match self.slot_mut(place)? {
            Slot::Used { id, value } => Some((*id, value)),
            Slot::Free { .. } => None,
        }
    }

    #[inline]
    pub(super) fn contains(&self, id: u32) -> bool {
        self.find(id).is_some()
    }

    #[inline]
    pub(super) fn find(&self, id: u32) -> Option<&T> {
        self.at(self.place(id)?).map(|(_, value)| value)
    }

    #[inline]
    pub(super) fn find_mut(&mut self, id: u32) -> Option<&mut T> {
        let place = self.seek(id)?;
        self.at_mut(place).map(|(_, value)| value)
    }

    #[inline]
    pub(super) fn remove(&mut self, id: u32) -> Option<T> {
        let place = self.table.remove(id)?;
        self.recent = (id, NIL);
        let next = self.free;
        let removed = core::mem::replace(self.slot_mut(place)?, Slot::Free { next });
        self.freed(place);
        match removed {
            Slot::Used { value, .. } => Some(value),
            Slot::Free { .. } => None,
        }
    }

    /// As [`Self::remove`], for a value that nobody wants.
    #[inline]
    pub(super) fn discard(&mut self, id: u32) {
        let Some(place) = self.table.remove(id) else { return };
        self.recent = (id, NIL);
        let next = self.free;
        let Some(slot) = self.slot_mut(place) else { return };
        *slot = Slot::Free { next };
        self.freed(place);
    }

    /// A place has become free.
    #[inline]
    fn freed(&mut self, place: u32) {
        self.free = place;
        self.len = self.len.saturating_sub(1);
        if self.len == 0 && self.blocks.len() > KEPT_BLOCKS {
            self.reset();
        }
    }

    /// Gives the memory of an emptied slab back.
    #[cold]
    fn reset(&mut self) {
        *self = Self::new();
    }

    /// The first place at or after `from` that has a value: to take a slab apart step by step.
    pub(super) fn next_used(&self, from: u32) -> Option<u32> {
        let mut place = from;
        loop {
            if let Slot::Used { .. } = self.slot(place)? {
                return Some(place);
            }
            place = place.checked_add(1)?;
        }
    }

    /// Any id with its value: the one in the lowest place.
    pub(super) fn first(&mut self) -> Option<(u32, &T)> {
        self.low = self.next_used(self.low)?;
        self.at(self.low)
    }

    /// Bytes on the heap, for the tests that hold the cost of an idle channel.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        let directory = self.table.directory.capacity() * size_of::<Entry>();
        let pages = self.table.pages.capacity() * size_of::<Page>() + self.table.free.capacity() * 4;
        directory
            + pages
            + self.blocks.iter().map(|block| block.capacity() * size_of::<Slot<T>>() + 24).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_slab_agrees_with_a_map_whatever_ids_come_and_go() {
        let mut seed: u64 = 7;
        let mut below = |bound: u32| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as u32 % bound
        };
        for spread in [3, 700, 1 << 20, u32::MAX] {
            let (mut slab, mut map) = (Slab::new(), BTreeMap::new());
            for round in 0..30_000 {
                let id = if below(4) == 0 { below(spread) } else { below(spread.min(2000)) };
                let grow = (round / 5000) % 2 == 0;
                if below(3) > u32::from(grow) {
                    assert_eq!(slab.remove(id), map.remove(&id));
                } else if !slab.contains(id) {
                    slab.insert(id, round);
                    assert_eq!(map.insert(id, round), None);
                }
                let probe = below(spread);
                assert_eq!((slab.find(probe), slab.len()), (map.get(&probe), map.len()));
            }
            while let Some(place) = slab.next_used(0) {
                let (id, value) = slab.at(place).map(|(id, value)| (id, *value)).unwrap();
                assert_eq!((slab.remove(id), map.remove(&id)), (Some(value), Some(value)));
            }
            assert!(map.is_empty() && slab.len() == 0 && slab.table.used <= 1);
        }
    }

    /// T6: the memory of a busy moment goes when nothing is left of it; a few blocks are kept for the next.
    #[test]
    fn an_emptied_slab_keeps_a_few_blocks_and_no_more() {
        for (blocks, keeps) in [(1, true), (KEPT_BLOCKS, true), (2 * KEPT_BLOCKS, false)] {
            let mut slab = Slab::new();
            let ids = 0..(blocks * BLOCK) as u32;
            for id in ids.clone() {
                slab.insert(id, id);
            }
            ids.for_each(|id| slab.discard(id));
            assert_eq!((slab.len(), slab.heap() > 0), (0, keeps), "{blocks} blocks");
        }
    }

    #[test]
    fn ids_far_apart_cost_a_page_each_and_no_more() {
        let mut slab = Slab::new();
        for id in 0..1000_u32 {
            slab.insert(id.wrapping_mul(0x0040_0001), ());
        }
        assert!(slab.heap() <= 1024 * (size_of::<Page>() + 8 + 4 * size_of::<Entry>()), "{}", slab.heap());
    }
}
