//! What was to move, what has moved, what is complete: for a progress line, and to go on after a restart.
//!
//! Percent, rate and remaining time are worked out from the times that come in; nothing is measured here. The state is
//! plain data with one encoding ([`Transfer::encode`]), so a program can store it.
//!
//! Limits: [`limits::TRANSFER_ITEMS`], [`limits::TRANSFER_BYTES`]. Rules: `spec/18-recovery.md`, RECOVERY-9 to 12.

mod encoding;
mod rate;

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

pub use self::encoding::DecodeError;
use self::rate::Rate;
use crate::limits;
use crate::time::Instant;

/// Which way the payload moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the peer to us.
    Fetch,
    /// From us to the peer.
    Push,
}

/// One thing to move: for Git a ref and the object it is to point to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name, opaque.
    pub name: Bytes,
    /// What it is to become, opaque.
    pub target: Bytes,
    /// Whether it is done.
    pub complete: bool,
}

/// A transfer: its plan, its progress.
#[derive(Clone, Debug)]
pub struct Transfer {
    id: u64,
    direction: Direction,
    items: Vec<Item>,
    moved: u64,
    expected: Option<u64>,
    /// Objects that have arrived whole.
    objects: u64,
    /// Time spent in runs before this one.
    before: Duration,
    began: Option<Instant>,
    last: Option<Instant>,
    rate: Rate,
}

/// Too much to keep track of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a transfer keeps track of at most {limit} {what}")]
pub struct TooMany {
    /// Of what.
    pub what: &'static str,
    /// The limit.
    pub limit: usize,
}

impl Transfer {
    /// A transfer of `items` that has not begun.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn new(id: u64, direction: Direction, items: Vec<Item>) -> Result<Self, TooMany> {
        check(&items)?;
        Ok(Self { items, ..Self::unplanned(id, direction) })
    }

    /// A transfer of which only bytes are counted.
    #[must_use]
    pub const fn unplanned(id: u64, direction: Direction) -> Self {
        Self {
            id,
            direction,
            items: Vec::new(),
            moved: 0,
            expected: None,
            objects: 0,
            before: Duration::ZERO,
            began: None,
            last: None,
            rate: Rate::EMPTY,
        }
    }

    /// The caller's number for it.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// Which way it goes.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// What is to move, in the order given.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// It begins, or goes on: time counts from here.
    pub fn begin(&mut self, now: Instant) {
        self.pause(now);
        self.began = Some(now);
        self.last = Some(now);
    }

    /// It was interrupted, which is known now: the time until the next [`begin`](Self::begin) does not count, and the
    /// rate begins anew.
    pub fn pause(&mut self, now: Instant) {
        if let (Some(began), Some(last)) = (self.began.take(), self.last.take()) {
            self.before = self.before.saturating_add(last.max(now).saturating_duration_since(began));
        }
        self.rate = Rate::EMPTY;
    }

    /// So many bytes are expected in all; `None`: not known any more.
    pub const fn expect(&mut self, bytes: Option<u64>) {
        self.expected = bytes;
    }

    /// So many more bytes have moved.
    pub fn moved(&mut self, now: Instant, bytes: u64) {
        self.moved = self.moved.saturating_add(bytes);
        self.rate.count(now, bytes);
        self.last = self.last.max(Some(now));
        self.began = self.began.or(Some(now));
    }

    /// Bytes that had moved are of no use: the transfer starts again at `bytes`.
    pub fn rewind(&mut self, bytes: u64) {
        self.moved = self.moved.min(bytes);
    }

    /// So many more objects are whole.
    pub const fn objects_arrived(&mut self, count: u64) {
        self.objects = self.objects.saturating_add(count);
    }

    /// The item of that name is done; `false` when there is none.
    pub fn complete(&mut self, name: &[u8]) -> bool {
        let found = self.items.iter_mut().find(|item| item.name == name);
        found.map(|item| item.complete = true).is_some()
    }

    /// Bytes moved so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.moved
    }

    /// Bytes expected, where that is known.
    #[must_use]
    pub const fn expected(&self) -> Option<u64> {
        self.expected
    }

    /// Objects that have arrived whole.
    #[must_use]
    pub const fn objects(&self) -> u64 {
        self.objects
    }

    /// 0 to 100; 0 when it is not known how much there is (RECOVERY-9).
    #[must_use]
    pub fn percent(&self) -> u8 {
        let expected = u128::from(self.expected.unwrap_or(0));
        let hundredfold = u128::from(self.moved).saturating_mul(100);
        let percent = hundredfold.checked_div(expected).unwrap_or(0).min(100);
        u8::try_from(percent).unwrap_or(100)
    }

    /// Bytes a second over the last seconds; `None` before there is anything to tell it from.
    #[must_use]
    pub fn rate(&self, now: Instant) -> Option<u64> {
        self.rate.per_second(now)
    }

    /// How long the rest will take at the present rate; `None` when that cannot be told.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        let rest = self.expected?.saturating_sub(self.moved);
        let micros = u128::from(rest).saturating_mul(1_000_000).checked_div(self.rate(now)?.into())?;
        Some(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
    }

    /// Time spent, pauses left out.
    #[must_use]
    pub fn elapsed(&self, now: Instant) -> Duration {
        let running = self.began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        self.before.saturating_add(running)
    }

    /// Whether there is something to go on from: some bytes have moved, it is known for what, and not all is done
    /// (RECOVERY-10).
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        self.moved > 0 && self.items.iter().any(|item| !item.complete)
    }

    /// Whether every item is done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.items.iter().all(|item| item.complete)
    }
}

fn check(items: &[Item]) -> Result<(), TooMany> {
    if items.len() > limits::TRANSFER_ITEMS {
        return Err(TooMany { what: "items", limit: limits::TRANSFER_ITEMS });
    }
    let sizes = items.iter().map(|item| item.name.len().saturating_add(item.target.len()));
    if sizes.fold(0_usize, usize::saturating_add) > limits::TRANSFER_BYTES {
        return Err(TooMany { what: "bytes of names and targets", limit: limits::TRANSFER_BYTES });
    }
    Ok(())
}
