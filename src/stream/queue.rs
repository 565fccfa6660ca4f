//! A queue whose first element needs no memory of its own.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::hash::{Hash, Hasher};

/// First in, first out. Most streams hold one block at a time: that one lies in the queue itself, and only those behind
/// it are on the heap.
#[derive(Clone, Debug)]
pub(super) struct Queue<T> {
    /// Before all of `rest`.
    first: Option<T>,
    #[expect(
        clippy::box_collection,
        reason = "most queues never have one, and are made and dropped the faster"
    )]
    rest: Option<Box<VecDeque<T>>>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { first: None, rest: None }
    }
}

/// By what is in it, wherever that lies.
impl<T: Hash> Hash for Queue<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len().hash(state);
        self.first
            .iter()
            .chain(self.rest.iter().flat_map(|rest| rest.iter()))
            .for_each(|value| value.hash(state));
    }
}

impl<T> Queue<T> {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.as_ref().is_none_or(|rest| rest.is_empty())
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.rest.as_ref().map_or(0, |rest| rest.len()).saturating_add(usize::from(self.first.is_some()))
    }

    /// Adds what `make` gives: made where it will lie.
    #[inline]
    pub(super) fn push_back(&mut self, make: impl FnOnce() -> T) {
        if self.is_empty() {
            self.first = Some(make());
        } else {
            self.push_behind(make());
        }
    }

    // Apart, so that the way of a single block stays short.
    #[inline(never)]
    fn push_behind(&mut self, value: T) {
        self.rest.get_or_insert_default().push_back(value);
    }

    #[inline(never)]
    fn pop_behind(&mut self) -> Option<T> {
        self.rest.as_mut()?.pop_front()
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<T> {
        match self.first.take() {
            Some(first) => Some(first),
            None => self.pop_behind(),
        }
    }

    #[inline]
    pub(super) fn front(&self) -> Option<&T> {
        self.first.as_ref().or_else(|| self.rest.as_ref()?.front())
    }

    #[inline]
    pub(super) fn front_mut(&mut self) -> Option<&mut T> {
        self.first.as_mut().or_else(|| self.rest.as_mut()?.front_mut())
    }

    #[inline]
    pub(super) fn back_mut(&mut self) -> Option<&mut T> {
        match self.rest.as_mut().and_then(|rest| rest.back_mut()) {
            Some(last) => Some(last),
            None => self.first.as_mut(),
        }
    }

    /// Bytes on the heap, what the elements hold not counted.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.rest.as_ref().map_or(0, |rest| size_of::<VecDeque<T>>() + rest.capacity() * size_of::<T>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_order_of_a_plain_queue_and_one_element_costs_no_heap() {
        let (mut queue, mut plain) = (Queue::default(), VecDeque::new());
        for round in 0_u32..2000 {
            // Runs of pushes and of pops of changing lengths.
            if (round * 7919) % 13 < 5 + round % 4 {
                queue.push_back(|| round);
                plain.push_back(round);
            } else {
                assert_eq!(queue.pop_front(), plain.pop_front());
            }
            assert_eq!((queue.len(), queue.is_empty()), (plain.len(), plain.is_empty()));
            assert_eq!(queue.front(), plain.front());
            assert_eq!(queue.front_mut(), plain.front_mut());
            assert_eq!(queue.back_mut(), plain.back_mut());
        }
        let mut one = Queue::default();
        for value in 0..10 {
            one.push_back(|| value);
            assert_eq!((one.pop_front(), one.heap()), (Some(value), 0));
        }
    }
}
