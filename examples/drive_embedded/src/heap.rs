//! A static heap: 64 KiB, first fit, neighbours joined when they are freed, and a mark of how high it stood.
//!
//! Blocks are multiples of 16 bytes. A free block begins with its size and the place of the next free one, so the
//! list of them costs nothing; a block in use has no header, as it comes back with its layout.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Bytes of the heap.
pub const SIZE: usize = 64 << 10;
const UNIT: usize = 16;
/// The end of the list of free blocks.
const NONE: usize = SIZE;

#[repr(align(16))]
struct Memory(UnsafeCell<[u8; SIZE]>);

/// The allocator.
pub struct Heap {
    memory: Memory,
    /// One who uses the heap at a time. On one core without preemption it is never found taken.
    busy: AtomicBool,
    /// The first free block, once the heap is laid out.
    first: UnsafeCell<Option<usize>>,
    used: AtomicUsize,
    peak: AtomicUsize,
}

// SAFETY: `memory` and `first` are touched only between `lock` and `unlock`; blocks handed out do not overlap.
unsafe impl Sync for Heap {}

impl Heap {
    pub const fn new() -> Self {
        Self {
            memory: Memory(UnsafeCell::new([0; SIZE])),
            busy: AtomicBool::new(false),
            first: UnsafeCell::new(None),
            used: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        }
    }

    /// Bytes in use now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The most bytes that were in use at once since the program began.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// Runs `work` with the place of the first free block, alone.
    fn alone<T>(&self, work: impl FnOnce(&mut usize) -> T) -> T {
        while self.busy.swap(true, Ordering::Acquire) {
            core::hint::spin_loop();
        }
        // SAFETY: `busy` keeps everyone else out.
        let first = unsafe { &mut *self.first.get() };
        let first = match first {
            Some(first) => first,
            None => {
                self.write(0, SIZE, NONE);
                first.insert(0)
            }
        };
        let result = work(first);
        self.busy.store(false, Ordering::Release);
        result
    }

    fn at(&self, place: usize) -> *mut [usize; 2] {
        // SAFETY: places of free blocks are multiples of 16 below SIZE.
        unsafe { self.memory.0.get().cast::<u8>().add(place).cast() }
    }

    /// The size of a free block, and the place of the next one.
    fn read(&self, place: usize) -> (usize, usize) {
        // SAFETY: a free block holds these two, aligned, and only the one who has `busy` looks.
        let [size, next] = unsafe { self.at(place).read() };
        (size, next)
    }

    fn write(&self, place: usize, size: usize, next: usize) {
        // SAFETY: the block at `place` is free, so nobody else uses its bytes.
        unsafe { self.at(place).write([size, next]) }
    }

    /// Puts `place` behind `before` in the list; nothing before it makes it the first.
    fn link(&self, first: &mut usize, before: Option<usize>, place: usize) {
        match before {
            None => *first = place,
            Some(before) => self.write(before, self.read(before).0, place),
        }
    }

    fn take(&self, first: &mut usize, wanted: usize) -> Option<usize> {
        let (mut before, mut place) = (None, *first);
        while place != NONE {
            let (size, next) = self.read(place);
            if size >= wanted {
                let follower = if size == wanted { next } else { place + wanted };
                if size > wanted {
                    self.write(follower, size - wanted, next);
                }
                self.link(first, before, follower);
                return Some(place);
            }
            (before, place) = (Some(place), next);
        }
        None
    }

    fn give(&self, first: &mut usize, place: usize, size: usize) {
        let (mut before, mut next) = (None, *first);
        while next < place {
            (before, next) = (Some(next), self.read(next).1);
        }
        let (mut place, mut size) = (place, size);
        if next != NONE && place + size == next {
            let (more, after) = self.read(next);
            (size, next) = (size + more, after);
        }
        if let Some(neighbour) = before {
            let (length, _) = self.read(neighbour);
            if neighbour + length == place {
                (place, size) = (neighbour, length + size);
            } else {
                self.link(first, before, place);
            }
        } else {
            *first = place;
        }
        self.write(place, size, next);
    }
}

fn rounded(layout: Layout) -> usize {
    layout.size().max(1).next_multiple_of(UNIT)
}

// SAFETY: each block lies inside `memory`, begins at a multiple of 16 and is handed out once until it comes back.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > UNIT || layout.size() > SIZE {
            return null_mut();
        }
        let size = rounded(layout);
        let Some(place) = self.alone(|first| self.take(first, size)) else { return null_mut() };
        let used = self.used.fetch_add(size, Ordering::Relaxed) + size;
        self.peak.fetch_max(used, Ordering::Relaxed);
        self.at(place).cast()
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let size = rounded(layout);
        let place = block as usize - self.memory.0.get() as usize;
        self.alone(|first| self.give(first, place, size));
        self.used.fetch_sub(size, Ordering::Relaxed);
    }
}
