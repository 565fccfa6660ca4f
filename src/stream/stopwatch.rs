//! Time spent waiting, in eight bytes.

use core::time::Duration;

use crate::time::Instant;

/// Runs while a stream waits for its peer, stands while it does not.
///
/// One number keeps a stream small: the lowest bit tells whether it runs; the rest is the start, in microseconds,
/// while it runs, and what it has counted while it stands. A start is put back by what was counted before, so times
/// of waiting add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stopwatch(u64);

impl Stopwatch {
    /// Stands at nothing.
    pub(super) const ZERO: Self = Self(0);

    const RUNS: u64 = 1;

    /// Whether it runs.
    #[inline]
    pub(super) const fn runs(self) -> bool {
        self.0 & Self::RUNS != 0
    }

    #[inline]
    const fn micros(self) -> u64 {
        self.0 >> 1
    }

    const fn running(since: u64) -> Self {
        Self((since << 1) | Self::RUNS)
    }

    const fn standing(counted: u64) -> Self {
        Self(counted << 1)
    }

    #[inline]
    pub(super) fn start(&mut self, now: Instant) {
        if !self.runs() {
            *self = Self::running(now.as_micros().saturating_sub(self.micros()));
        }
    }

    #[inline]
    pub(super) fn stop(&mut self, now: Instant) {
        if self.runs() {
            *self = Self::standing(now.as_micros().saturating_sub(self.micros()));
        }
    }

    /// Counts from nothing again, from now on if it runs.
    #[inline]
    pub(super) fn restart(&mut self, now: Instant) {
        *self = if self.runs() { Self::running(now.as_micros()) } else { Self::ZERO };
    }

    /// When it will have counted `limit`; `None` while it stands, or when that is never.
    pub(super) fn deadline(self, limit: Duration) -> Option<Instant> {
        if self.runs() { Instant::from_micros(self.micros()).checked_add(limit) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_waiting_add_up_and_never_overflow() {
        let (ms, limit) = (Instant::from_millis, Duration::from_millis(10));
        let mut watch = Stopwatch::ZERO;
        assert_eq!(watch.deadline(limit), None);
        watch.start(ms(100));
        watch.start(ms(104));
        assert_eq!(watch.deadline(limit), Some(ms(110)));
        watch.stop(ms(104));
        assert_eq!(watch.deadline(limit), None);
        watch.start(ms(200));
        assert_eq!(watch.deadline(limit), Some(ms(206)));
        watch.restart(ms(205));
        assert_eq!(watch.deadline(limit), Some(ms(215)));
        assert_eq!(watch.deadline(Duration::MAX), None);
        watch.stop(ms(100));
        assert_eq!(watch, Stopwatch::ZERO);
    }
}
