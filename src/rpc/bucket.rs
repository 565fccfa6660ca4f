//! A token bucket: a budget that time refills.

use core::time::Duration;

use crate::time::Instant;

/// How much of something is tolerated: `burst` at once, one more every `every`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// How many at once.
    pub burst: u32,
    /// The time after which one more is tolerated; zero is "no limit".
    pub every: Duration,
}

impl Budget {
    /// `burst` at once and one more each `millis` milliseconds.
    #[must_use]
    pub const fn new(burst: u32, millis: u64) -> Self {
        Self { burst, every: Duration::from_millis(millis) }
    }
}

/// A [`Budget`] and how much of it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bucket {
    budget: Budget,
    left: u32,
    /// The time up to which refills are counted.
    since: Instant,
}

impl Bucket {
    pub(super) const fn new(budget: Budget, now: Instant) -> Self {
        Self { budget, left: budget.burst, since: now }
    }

    /// Takes one; `false` when there is none.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        if self.budget.every.is_zero() {
            return true;
        }
        self.refill(now);
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        true
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since).as_micros();
        let every = self.budget.every.as_micros();
        let more = u32::try_from(passed.checked_div(every).unwrap_or_default()).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(more);
        if self.left >= self.budget.burst {
            self.left = self.budget.burst;
            self.since = self.since.max(now);
        } else if let Some(since) = self.since.checked_add(self.budget.every.saturating_mul(more)) {
            self.since = since;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_one_at_a_time() {
        let mut bucket = Bucket::new(Budget::new(2, 10), Instant::ZERO);
        let at = Instant::from_millis;
        assert!(bucket.take(at(0)) && bucket.take(at(0)) && !bucket.take(at(9)));
        assert!(bucket.take(at(10)) && !bucket.take(at(19)) && bucket.take(at(25)) && bucket.take(at(30)));
        assert!(!bucket.take(at(0)), "a clock that runs backwards fills nothing");
        assert!(bucket.take(Instant::from_micros(u64::MAX)) && bucket.take(at(0)) && !bucket.take(at(1)));
        let mut endless = Bucket::new(Budget { burst: 0, every: Duration::ZERO }, Instant::ZERO);
        assert!(endless.take(at(0)) && endless.take(at(0)));
    }
}
