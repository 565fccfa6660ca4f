//! The end of a link: every stream and call gets its own, a bounded number at each call.

use super::{Action, Error, Life, Link};

impl Link {
    /// Everything gets its end from here on, in `poll_action`.
    pub(super) fn begin_closing(&mut self, end: Result<(), Error>) {
        self.queue.clear();
        self.queued = 0;
        self.sending.clear();
        self.timers.clear();
        self.answers.clear();
        self.stuck = None;
        self.life = Life::Closing { end };
    }

    /// The next end: of a stream, then of a call, last of the link. `false` when there is none.
    pub(super) fn close_next(&mut self) -> bool {
        let end = match &self.life {
            Life::Closing { end } => end.clone(),
            Life::Waiting { .. } | Life::Ready { .. } | Life::Over { .. } => return false,
        };
        if let Some((stream, _)) = self.streams.first() {
            self.end_stream(stream);
        } else if let Some((call, _)) = self.outgoing.first() {
            self.end_outgoing(call);
        } else if let Some((call, _)) = self.incoming.first() {
            self.end_incoming(call);
        } else {
            let last = end.clone().map_or_else(Action::Failed, |()| Action::Finished);
            self.actions.push_back(last);
            self.life = Life::Over { end };
        }
        true
    }
}
