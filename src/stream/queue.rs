//! A queue whose first element needs no memory of its own.

use alloc::collections::VecDeque;
use core::hash::{Hash, Hasher};

/// First in, first out. Most streams hold one block at a time: that one lies in the queue itself, and only those behind
/// it are on the heap.
#[derive(Clone, Debug)]
pub(super) struct Queue<T> {
    /// Before all of `rest`.
    first: Option<T>,
    rest: VecDeque<T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { first: None, rest: VecDeque::new() }
    }
}

/// By what is in it, wherever that lies.
impl<T: Hash> Hash for Queue<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len().hash(state);
        self.first.iter().chain(&self.rest).for_each(|value| value.hash(state));
    }
}

impl<T> Queue<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.rest.len().saturating_add(usize::from(self.first.is_some()))
    }

    pub(super) fn push_back(&mut self, value: T) {
        if self.is_empty() {
            self.first = Some(value);
        } else {
            self.rest.push_back(value);
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        self.first.take().or_else(|| self.rest.pop_front())
    }

    pub(super) fn front(&self) -> Option<&T> {
        self.first.as_ref().or_else(|| self.rest.front())
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut T> {
        self.first.as_mut().or_else(|| self.rest.front_mut())
    }

    pub(super) fn back_mut(&mut self) -> Option<&mut T> {
        self.rest.back_mut().or(self.first.as_mut())
    }

    /// Bytes on the heap, what the elements hold not counted.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.rest.capacity() * size_of::<T>()
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
                queue.push_back(round);
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
            one.push_back(value);
            assert_eq!((one.pop_front(), one.heap()), (Some(value), 0));
        }
    }
}
