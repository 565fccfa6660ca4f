//! When a session has been silent for too long: the peer's silence, and ours.

use core::mem;
use core::time::Duration;

use crate::time::Instant;

/// What is known of time: inputs and verbs tell it, polls do not.
#[derive(Debug)]
pub(super) struct Clock {
    /// The latest time that was told.
    pub(super) now: Instant,
    pub(super) idle: Option<Duration>,
    pub(super) deadline: Option<Instant>,
    /// Whether output or an action was taken since the deadline began: nobody knows when.
    pub(super) taken: bool,
    pub(super) keep_alive: Option<Duration>,
    /// When the next keep-alive is due, while the peer waits for our driver.
    pub(super) beat: Option<Instant>,
    /// Whether something was queued since the beat was set.
    pub(super) spoke: bool,
}

impl Clock {
    /// Something happened: the idle deadline starts anew.
    pub(super) fn touch(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.taken = false;
        self.deadline = self.idle.and_then(|idle| now.checked_add(idle));
    }

    /// Sets the next beat: so long after the last word, or none where no keep-alive has a place.
    pub(super) fn set_beat(&mut self, has_place: bool) {
        let spoke = mem::take(&mut self.spoke);
        if !has_place {
            self.beat = None;
        } else if spoke || self.beat.is_none() {
            self.beat = self.keep_alive.and_then(|every| self.now.checked_add(every));
        }
    }

    pub(super) const fn stop(&mut self) {
        self.deadline = None;
        self.beat = None;
    }
}
