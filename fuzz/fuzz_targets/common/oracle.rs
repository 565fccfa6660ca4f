//! Oracles that many targets ask in the same way.
#![allow(dead_code)]

use std::fmt::Debug;

use bytes::Bytes;
use portline::Instant;

/// The bytes in pieces of these lengths, and the rest: the same input, split in another way.
pub fn split(bytes: &Bytes, cuts: &[u8]) -> Vec<Bytes> {
    let mut rest = bytes.clone();
    let mut pieces: Vec<Bytes> =
        cuts.iter().map(|cut| rest.split_to(usize::from(*cut).min(rest.len()))).collect();
    pieces.push(rest);
    pieces
}

/// Errors are sticky: what a machine failed with once it answers to every later input, and tells in its terminal action.
#[derive(Debug)]
pub struct Sticky<E>(Option<E>);

impl<E> Default for Sticky<E> {
    fn default() -> Self {
        Self(None)
    }
}

impl<E: Clone + Debug + PartialEq> Sticky<E> {
    /// What an input returned; whether it was taken.
    pub fn heard<T>(&mut self, result: Result<T, E>) -> bool {
        match (&self.0, result) {
            (Some(before), Err(now)) => assert_eq!(*before, now, "an error is sticky"),
            (Some(before), Ok(_)) => panic!("{before:?} was forgotten"),
            (None, Err(error)) => self.0 = Some(error),
            (None, Ok(_)) => return true,
        }
        false
    }

    /// What the terminal action tells.
    pub fn told(&mut self, error: &E) {
        let before = self.0.get_or_insert_with(|| error.clone());
        assert_eq!(before, error, "the terminal action tells the sticky error");
    }

    pub fn has_failed(&self) -> bool {
        self.0.is_some()
    }
}

/// After `handle_timeout(now)` the next deadline is later: otherwise a driver that waits for it would wait no more.
pub fn moved_on(next: Option<Instant>, now: Instant) {
    assert!(next.is_none_or(|next| next > now), "a deadline that has come was left standing");
}
