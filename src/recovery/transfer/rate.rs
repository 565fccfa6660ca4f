//! Bytes a second, over a window that slides by whole seconds.

use crate::time::Instant;

/// Seconds that are looked back on.
const SECONDS: usize = 8;
const SECOND: u64 = 1_000_000;

/// What moved in each of the last seconds. Constant size, constant work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rate {
    /// The newest last. Only whole seconds since `since` count.
    slots: [u64; SECONDS],
    /// The second that the newest slot stands for.
    newest: u64,
    /// When counting began.
    since: Option<Instant>,
}

impl Rate {
    pub(super) const EMPTY: Self = Self { slots: [0; SECONDS], newest: 0, since: None };

    pub(super) fn count(&mut self, now: Instant, bytes: u64) {
        let second = now.as_micros() / SECOND;
        self.since = self.since.or(Some(now));
        self.slide(second);
        if let Some(last) = self.slots.last_mut() {
            *last = last.saturating_add(bytes);
        }
    }

    fn slide(&mut self, second: u64) {
        let gone = second.saturating_sub(self.newest);
        let gone = usize::try_from(gone).unwrap_or(SECONDS).min(SECONDS);
        self.slots.rotate_left(gone % SECONDS);
        for slot in self.slots.iter_mut().rev().take(gone) {
            *slot = 0;
        }
        self.newest = self.newest.max(second);
    }

    /// `None` while less than a tenth of a second has passed.
    pub(super) fn per_second(&self, now: Instant) -> Option<u64> {
        let since = self.since?;
        let mut slid = *self;
        slid.slide(now.as_micros() / SECOND);
        // The window begins with its first slot, or with the counting.
        let reach = u64::try_from(SECONDS).unwrap_or(0).saturating_sub(1);
        let first = slid.newest.saturating_sub(reach).saturating_mul(SECOND);
        let micros = now.as_micros().saturating_sub(first.max(since.as_micros()));
        if micros < SECOND / 10 {
            return None;
        }
        let bytes: u128 = slid.slots.iter().map(|slot| u128::from(*slot)).sum();
        let rate = bytes.saturating_mul(SECOND.into()).checked_div(micros.into())?;
        Some(u64::try_from(rate).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn recovery_9_the_rate_is_that_of_the_last_seconds() {
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(at(0)), None);
        rate.count(at(500), 0);
        assert_eq!(rate.per_second(at(599)), None);
        for tenth in 1..=20 {
            rate.count(at(500 + tenth * 100), 100);
        }
        assert_eq!(rate.per_second(at(2500)), Some(1000));
        assert_eq!(rate.per_second(at(4500)), Some(500));
        // Long silence: what moved has slid out of the window.
        assert_eq!(rate.per_second(at(60_000)), Some(0));
        rate.count(at(60_000), 7_000);
        assert_eq!(rate.per_second(at(60_000)), Some(1000), "seven seconds of silence are in the window");
        assert_eq!(rate.per_second(at(0)), None, "a clock that runs backwards tells nothing");
    }
}
