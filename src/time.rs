//! The caller's clock.
//!
//! Portline never reads a clock. Every input carries the time at which it happened as an [`Instant`]: a count
//! of microseconds since an epoch that the driver chooses (process start, boot, zero in a simulation). All
//! instants given to one machine must come from one clock that does not run backwards; if it does, machines
//! treat the earlier time as "no time has passed".
//!
//! Deadlines are computed with checked arithmetic: a duration that would leave the range means "never".

use core::time::Duration;

/// A point in time on the driver's clock, in microseconds since the driver's epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The driver's epoch.
    pub const ZERO: Self = Self(0);

    /// The instant `micros` microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The instant `millis` milliseconds after the epoch, clamped to the latest representable instant.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// `self + duration`, or `None` when that is later than the clock can express.
    #[must_use]
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        let micros = u64::try_from(duration.as_micros()).ok()?;
        self.0.checked_add(micros).map(Self)
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// The earlier of two optional deadlines; `None` means "never".
#[must_use]
pub(crate) fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_leaves_the_range_is_never() {
        let late = Instant::from_micros(u64::MAX - 1);
        assert_eq!(late.checked_add(Duration::from_micros(1)), Some(Instant::from_micros(u64::MAX)));
        assert_eq!(late.checked_add(Duration::from_micros(2)), None);
        assert_eq!(Instant::ZERO.checked_add(Duration::MAX), None);
        assert_eq!(Instant::from_millis(u64::MAX), Instant::from_micros(u64::MAX));
    }

    #[test]
    fn a_clock_that_runs_backwards_reads_as_no_time() {
        assert_eq!(Instant::ZERO.saturating_duration_since(Instant::from_millis(5)), Duration::ZERO);
        assert_eq!(Instant::from_millis(7).saturating_duration_since(Instant::from_millis(5)).as_millis(), 2);
    }

    #[test]
    fn the_earliest_deadline_ignores_never() {
        let (a, b) = (Some(Instant::from_micros(3)), Some(Instant::from_micros(4)));
        assert_eq!(earliest(a, b), a);
        assert_eq!(earliest(None, b), b);
        assert_eq!(earliest(None, None), None);
    }
}
