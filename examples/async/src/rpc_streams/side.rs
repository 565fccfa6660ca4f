//! One side of a connection: a session, and the program on it. No socket and no runtime in here.

use bytes::Bytes;
use portline::rpc::session::{Action, Config, ConfigError, Error, Session};
use portline::rpc::{Role, mux};
use portline::{Instant, Transmit};

use crate::trace::{Tap, Trace};

/// Bytes that wait on a stream before it takes no more: what a program produces is wanted soon, or not at all.
const SEND_BYTES: usize = 32 << 10;

/// What a program does with its session.
pub(crate) trait App {
    /// Something happened.
    fn handle_action(&mut self, session: &mut Session, now: Instant, action: Action);

    /// Everything that could move has moved: the place to produce more. Whether something was done.
    fn produce(&mut self, session: &mut Session, now: Instant) -> bool;

    /// Waits for what the program needs from elsewhere, a file for example. Dropped and called again at any time.
    fn more(&mut self) -> impl Future<Output = ()> + Send;

    /// Whether nothing is left to do: the connection may be closed.
    fn is_done(&self) -> bool;
}

/// A session, and the program on it.
pub(crate) struct Side<A> {
    session: Session,
    pub(crate) app: A,
    tap: Tap,
    /// How the pipe failed, if it did: the peer speaks something else.
    failed: Option<mux::Error>,
}

impl<A: App> Side<A> {
    pub(crate) fn new(role: Role, app: A, trace: Trace) -> Result<Self, ConfigError> {
        let mut config = Config::new(role);
        config.link.stream.send_bytes = SEND_BYTES;
        let session = Session::new(config, Instant::ZERO)?;
        Ok(Self { session, app, tap: Tap::new(trace, role), failed: None })
    }

    pub(crate) fn handle_bytes(&mut self, now: Instant, bytes: Bytes) {
        // How it ended is told by an action.
        self.session.handle_bytes(now, bytes).unwrap_or_default();
    }

    pub(crate) fn handle_closed(&mut self, now: Instant) {
        self.session.handle_closed(now).unwrap_or_default();
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.session.poll_transmit()?;
        self.tap.sent(&transmit);
        Some(transmit)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.session.poll_timeout()
    }

    pub(crate) fn wants_input(&self) -> bool {
        self.session.wants_input()
    }

    pub(crate) const fn has_ended(&self) -> bool {
        self.session.has_ended()
    }

    pub(crate) const fn failed(&self) -> Option<&mux::Error> {
        self.failed.as_ref()
    }

    /// Hands the next thing that happened to the program; when nothing did, it may produce something. Whether anything
    /// was done: then there may be something to send.
    pub(crate) fn work(&mut self, now: Instant) -> bool {
        let tap = &self.tap;
        let Some(action) = self.session.poll_action_traced(|channel, message| tap.received(channel, message))
        else {
            return self.app.produce(&mut self.session, now);
        };
        if let Action::Failed(Error::Mux(error)) = &action {
            self.failed = Some(error.clone());
        }
        self.app.handle_action(&mut self.session, now, action);
        true
    }
}
