//! What the client and the server of a port session share: a link, the running operation, and the face.

use bytes::Bytes;

use super::link::{Carried, Link};
use crate::time::Instant;
use crate::{Transmit, port};

/// What runs on the link: one machine after another, and what stands between them.
pub(super) trait Operation: Carried {
    type Action;

    /// The next action of the machine that runs.
    fn poll_action(&mut self) -> Option<Self::Action>;
    /// Whether no machine runs: between two operations. Not after the port's end was told.
    fn rests(&self) -> bool;
    /// The port has ended and the machine with it; the session's terminal action.
    fn close(&mut self, fault: port::Error) -> Self::Action;
    /// Both sides have ended the operation: makes room for the next. The action says so.
    fn rest(&mut self, link: &mut Link) -> Self::Action;
    /// Whether a peer that never ends its stream is waited for no longer than for an acknowledgement (PEER-12).
    const AWAITS_END: bool;
}

/// A link and what runs on it.
#[derive(Debug)]
pub(super) struct Session<O> {
    pub(super) link: Link,
    pub(super) operation: O,
}

impl<O: Operation> Session<O> {
    pub(super) fn handle_message(&mut self, now: Instant, message: Bytes) -> Result<(), port::Error> {
        self.link.handle_message(now, message);
        self.pump();
        self.sticky()
    }

    pub(super) fn handle_closed(&mut self, now: Instant) -> Result<(), port::Error> {
        self.link.handle_closed(now);
        self.pump();
        self.sticky()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.link.handle_timeout(now);
        self.operation.handle_timeout(now);
        self.pump();
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.pump();
        self.link.poll_transmit()
    }

    pub(super) fn poll_action(&mut self) -> Option<O::Action> {
        self.pump();
        if let Some(action) = self.operation.poll_action() {
            return Some(action);
        }
        if let Some(fault) = self.link.fault().cloned() {
            return self.end(fault);
        }
        if self.operation.has_ended() && self.link.is_over() {
            return Some(self.operation.rest(&mut self.link));
        }
        None
    }

    /// After the port's end: the machine's last actions, then the session's, each once (PEER-10).
    fn end(&mut self, fault: port::Error) -> Option<O::Action> {
        self.link.abandon(&mut self.operation);
        if !(self.operation.rests() || self.operation.has_ended()) {
            return None;
        }
        match self.operation.poll_action() {
            Some(last) => Some(last),
            None => Some(self.operation.close(fault)),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.link.poll_timeout(self.operation.poll_timeout())
    }

    fn pump(&mut self) {
        self.link.pump(&mut self.operation);
        if O::AWAITS_END {
            self.link.await_end(&self.operation);
        }
    }

    fn sticky(&self) -> Result<(), port::Error> {
        self.link.fault().cloned().map_or(Ok(()), Err)
    }
}

/// The transport's half of the face, the same words for both ends.
macro_rules! session_face {
    ($session:ty, $action:ty) => {
        impl $session {
            /// Takes one whole port message.
            ///
            /// # Errors
            /// What ended the port; the same error ever after.
            pub fn handle_message(
                &mut self,
                now: $crate::Instant,
                message: bytes::Bytes,
            ) -> Result<(), $crate::port::Error> {
                self.session.handle_message(now, message)
            }

            /// The port has closed.
            ///
            /// # Errors
            /// As [`Self::handle_message`].
            pub fn handle_closed(&mut self, now: $crate::Instant) -> Result<(), $crate::port::Error> {
                self.session.handle_closed(now)
            }

            /// The time of [`Self::poll_timeout`] has come. Too early is a no-op.
            pub fn handle_timeout(&mut self, now: $crate::Instant) {
                self.session.handle_timeout(now);
            }

            /// The next port message to send. Call it only while the port has room: that is the backpressure.
            pub fn poll_transmit(&mut self) -> Option<$crate::Transmit> {
                self.session.poll_transmit()
            }

            /// What happened, or what the driver must do now.
            pub fn poll_action(&mut self) -> Option<$action> {
                self.session.poll_action()
            }

            /// When to call [`Self::handle_timeout`]; `None` is never.
            #[must_use]
            pub fn poll_timeout(&self) -> Option<$crate::Instant> {
                self.session.poll_timeout()
            }

            /// Whether to read on.
            #[must_use]
            pub fn wants_input(&self) -> bool {
                self.session.link.wants_input()
            }

            /// Why the port, or else a stream of the running operation, ended early: the cause of what its
            /// machine reports.
            #[must_use]
            pub fn cause(&self) -> Option<&$crate::port::Error> {
                self.session.link.cause()
            }
        }
    };
}
pub(super) use session_face;
