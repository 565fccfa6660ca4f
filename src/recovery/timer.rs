//! Two timers: one that activity resets, one that nothing does.
//!
//! Both fire once and then never again, exactly at their instant when `handle_timeout` is called there, however often
//! it is called too early. A duration that leaves the range of the clock, and `None`, mean "never".

use core::time::Duration;

use crate::time::Instant;

/// Fires when there was no activity for so long (RECOVERY-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    after: Option<Duration>,
    deadline: Option<Instant>,
}

impl Idle {
    /// Starts now.
    #[must_use]
    pub fn new(after: Option<Duration>, now: Instant) -> Self {
        Self { after, deadline: after.and_then(|after| now.checked_add(after)) }
    }

    /// Something happened. After the timer fired or was stopped this does nothing; an earlier time than one told
    /// before does not bring the deadline forward.
    pub fn touch(&mut self, now: Instant) {
        if let (Some(deadline), Some(after)) = (self.deadline, self.after) {
            self.deadline = now.checked_add(after).map(|next| next.max(deadline));
        }
    }

    /// Whether it fires now: `true` once.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        fire(&mut self.deadline, now)
    }

    /// Never fires from here on.
    pub const fn stop(&mut self) {
        self.deadline = None;
    }

    /// When it fires, if nothing happens until then.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }
}

/// Fires a fixed time after it was started (RECOVERY-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    at: Option<Instant>,
}

impl Deadline {
    /// Starts now.
    #[must_use]
    pub fn new(after: Option<Duration>, now: Instant) -> Self {
        Self { at: after.and_then(|after| now.checked_add(after)) }
    }

    /// Whether it fires now: `true` once.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        fire(&mut self.at, now)
    }

    /// Never fires from here on.
    pub const fn stop(&mut self) {
        self.at = None;
    }

    /// When it fires.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.at
    }
}

fn fire(at: &mut Option<Instant>, now: Instant) -> bool {
    at.take_if(|at| now >= *at).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Option<Duration> = Some(Duration::from_secs(1));

    #[test]
    fn recovery_1_activity_moves_the_idle_deadline_and_it_fires_once() {
        let at = Instant::from_millis;
        let mut idle = Idle::new(SECOND, at(0));
        assert!(!idle.handle_timeout(at(999)));
        idle.touch(at(999));
        idle.touch(at(500));
        assert_eq!(idle.poll_timeout(), Some(at(1999)));
        assert!(!idle.handle_timeout(at(1998)) && idle.handle_timeout(at(1999)));
        idle.touch(at(2000));
        assert!(!idle.handle_timeout(at(9999)) && idle.poll_timeout().is_none());
        let mut stopped = Idle::new(SECOND, at(0));
        stopped.stop();
        stopped.touch(at(1));
        assert!(!stopped.handle_timeout(at(9999)) && stopped.poll_timeout().is_none());
    }

    #[test]
    fn recovery_2_a_deadline_fires_once_at_its_instant() {
        let at = Instant::from_millis;
        let mut deadline = Deadline::new(SECOND, at(5));
        assert_eq!(deadline.poll_timeout(), Some(at(1005)));
        assert!(!deadline.handle_timeout(at(1004)) && deadline.handle_timeout(at(1005)));
        assert!(!deadline.handle_timeout(at(1006)));
        let mut stopped = Deadline::new(SECOND, at(0));
        stopped.stop();
        assert!(!stopped.handle_timeout(at(1000)));
    }

    /// T11.
    #[test]
    fn recovery_1_recovery_2_never_is_never() {
        let late = Instant::from_micros(u64::MAX);
        for never in [None, Some(Duration::MAX)] {
            assert!(!Idle::new(never, Instant::ZERO).handle_timeout(late));
            assert!(!Deadline::new(never, Instant::ZERO).handle_timeout(late));
        }
        let mut idle = Idle::new(SECOND, Instant::ZERO);
        idle.touch(late);
        assert_eq!(idle.poll_timeout(), None, "a deadline past the end of the clock is never");
    }
}
