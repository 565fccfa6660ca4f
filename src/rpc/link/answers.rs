//! What the peer owes the link besides the streams: an answer to each ABORT, and that it reads what waits for it.

use super::call::{Incoming, Outgoing};
use super::{Life, Link};
use crate::rpc::Error;
use crate::rpc::slab::Slab;
use crate::time::{Instant, earliest};

/// Answers whose time is looked at in one `handle_timeout`.
const ANSWERS: usize = 64;

impl Link {
    /// When the first of them is due.
    pub(super) fn owed(&self) -> Option<Instant> {
        earliest(self.stuck, self.answers.first().map(|(deadline, _)| *deadline))
    }

    /// After every change of what waits: at the cap something has to leave within `stall_timeout` (RPC-23). Two sides
    /// that both stand there would otherwise wait for each other for ever.
    pub(super) fn watch_queue(&mut self, moved: bool) {
        let is_full = matches!(self.life, Life::Ready { .. }) && self.queued >= self.config.control_bytes;
        self.stuck = match self.stuck {
            _ if !is_full => None,
            Some(deadline) if !moved => Some(deadline),
            Some(_) | None => self.now.checked_add(self.config.stream.stall_timeout),
        };
    }

    /// The time has come, or is only told.
    pub(super) fn check_owed(&mut self) {
        if self.stuck.is_some_and(|deadline| deadline <= self.now) {
            self.fail(Error::Stalled);
        }
        for _ in 0..ANSWERS {
            let Some((deadline, call)) = self.answers.first().copied() else { return };
            if deadline > self.now {
                return;
            }
            self.answers.pop_first();
            if let Some(outgoing) = self.outgoing.find_mut(call) {
                outgoing.forget();
            }
            self.finish_outgoing(call);
        }
    }

    /// Whether closing now would cut something off (RPC-27).
    pub(super) fn is_pending(&self) -> bool {
        any(&self.outgoing, Outgoing::is_pending) || any(&self.incoming, Incoming::is_pending)
    }
}

fn any<T>(calls: &Slab<T>, is: impl Fn(&T) -> bool) -> bool {
    let mut from = 0;
    while let Some((place, (_, call))) = calls.next_used(from).and_then(|at| Some((at, calls.at(at)?))) {
        if is(call) {
            return true;
        }
        from = place.saturating_add(1);
    }
    false
}
