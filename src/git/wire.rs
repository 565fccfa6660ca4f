//! What the four Git machines share: buffered input, one write a turn, the action queue, the deadline, and the
//! face itself.
//!
//! ```text
//! handle_bytes ─► input ─► step(): decode, decide ─► actions ─► poll_action
//!                              │                 └─► turn, out ─► poll_transmit
//!                 verbs ───────┘
//! ```
//!
//! `step` is called until it waits: for input, for the driver's answer, or for room in a queue. That is all the
//! scheduling there is, so each call does bounded work and a driver that stops draining stops the peer.

use alloc::collections::VecDeque;
use core::time::Duration;

use bytes::{Bytes, BytesMut};

use super::advertisement::excerpt;
use crate::error::Blame;
use crate::pkt::{self, Band, MAX_BAND_DATA, Packet, Reader};
use crate::time::Instant;
use crate::{Transmit, limits};

/// What can end any Git session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A packet was malformed.
    #[error(transparent)]
    Pkt(#[from] pkt::Error),
    /// The input ended before the protocol did.
    #[error("the connection ended while waiting for {expected}")]
    Ended {
        /// What should have come.
        expected: &'static str,
    },
    /// Nothing arrived for the configured time.
    #[error("nothing arrived for {} ms while a session was open", .after.as_millis())]
    TimedOut {
        /// The configured time.
        after: Duration,
    },
    /// Another packet than the protocol allows here.
    #[error("expected {expected}, got \"{}\"", .found.escape_ascii())]
    Unexpected {
        /// What could have come.
        expected: &'static str,
        /// The first bytes of what came.
        found: Bytes,
    },
    /// A cap was reached (T10).
    #[error("more than {limit} {what}")]
    TooMany {
        /// What was counted.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The peer said that it failed: an `ERR` packet or sideband 3. Raw bytes (T18).
    #[error("the peer says: {}", .message.escape_ascii())]
    Remote {
        /// Its words.
        message: Bytes,
    },
    /// The driver ended the session: [`abort`](crate::git::fetch::client::Client::abort).
    #[error("the session was aborted")]
    Aborted,
    /// Input was given although `wants_input` was false.
    #[error("input was given beyond the limit of {limit} bytes that wait for the driver")]
    Overrun {
        /// [`limits::GIT_INPUT`].
        limit: usize,
    },
}

impl SessionError {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Pkt(_) | Self::Unexpected { .. } | Self::TooMany { .. } | Self::Remote { .. } => {
                Blame::Peer
            }
            Self::Ended { .. } | Self::TimedOut { .. } => Blame::Transport,
            Self::Overrun { .. } | Self::Aborted => Blame::Caller,
        }
    }

    /// The peer's own words, cut to the limit.
    pub(crate) fn remote(message: &[u8]) -> Self {
        Self::Remote { message: excerpt(pkt::trim_lf(message), limits::ERROR_MESSAGE) }
    }

    pub(crate) fn unexpected(expected: &'static str, packet: &Packet<Bytes>) -> Self {
        let found = match packet {
            Packet::Flush => Bytes::from_static(b"0000"),
            Packet::Delim => Bytes::from_static(b"0001"),
            Packet::ResponseEnd => Bytes::from_static(b"0002"),
            Packet::Data(line) => excerpt(line, 80),
        };
        Self::Unexpected { expected, found }
    }
}

/// A verb that was used where the machine has no use for it. It ends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The verb answers a question that is not open.
    #[error("{verb} answers nothing that was asked")]
    NotAsked {
        /// The verb.
        verb: &'static str,
    },
    /// The machine has ended.
    #[error("{verb} came after the session had ended")]
    Ended {
        /// The verb.
        verb: &'static str,
    },
    /// The argument cannot be sent or does not fit what was asked.
    #[error("{verb}: {reason}")]
    Argument {
        /// The verb.
        verb: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Input, output and deadline of one session.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) input: Reader,
    /// Lines of the turn being written.
    turn: BytesMut,
    out: VecDeque<Transmit>,
    out_bytes: usize,
    closed: bool,
    idle: Option<Duration>,
    deadline: Option<Instant>,
}

impl Wire {
    fn new(idle: Option<Duration>, now: Instant) -> Self {
        Self {
            input: Reader::new(),
            turn: BytesMut::new(),
            out: VecDeque::new(),
            out_bytes: 0,
            closed: false,
            idle,
            deadline: idle.and_then(|idle| now.checked_add(idle)),
        }
    }

    /// The next whole packet, `None` when more input is needed.
    ///
    /// # Errors
    /// [`SessionError::Pkt`]; at the end of the input [`SessionError::Ended`], or how much was missing of a
    /// packet that had begun.
    pub(crate) fn packet(&mut self, expected: &'static str) -> Result<Option<Packet<Bytes>>, SessionError> {
        match self.input.next_packet()? {
            Some(packet) => Ok(Some(packet)),
            None => self.starved(expected).map(|()| None),
        }
    }

    /// The next piece of a sideband stream; otherwise as [`Wire::packet`].
    pub(crate) fn fragment(&mut self, expected: &'static str) -> Result<Option<pkt::Fragment>, SessionError> {
        match self.input.next_fragment()? {
            Some(fragment) => Ok(Some(fragment)),
            None => self.starved(expected).map(|()| None),
        }
    }

    /// Waiting for input is fine until there will be none.
    fn starved(&self, expected: &'static str) -> Result<(), SessionError> {
        if !self.closed {
            return Ok(());
        }
        match self.input.missing()? {
            0 => Err(SessionError::Ended { expected }),
            missing => Err(pkt::Error::Truncated { missing }.into()),
        }
    }

    /// Whether the peer has ended its direction. Input may still be buffered.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether more output may be made.
    pub(crate) fn has_room(&self) -> bool {
        self.out_bytes.saturating_add(self.turn.len()) < limits::GIT_OUTPUT
    }

    /// The turn being written, for the `put_*` functions of [`crate::pkt`].
    pub(crate) const fn turn(&mut self) -> &mut BytesMut {
        &mut self.turn
    }

    /// Appends a text line with its LF to the turn.
    pub(crate) fn line(&mut self, parts: &[&[u8]]) -> Result<(), SessionError> {
        Ok(pkt::put_line(&mut self.turn, parts)?)
    }

    /// Appends a flush packet to the turn.
    pub(crate) fn flush(&mut self) {
        pkt::put_flush(&mut self.turn);
    }

    /// Queues bytes as they are: a pack outside the sideband.
    pub(crate) fn raw(&mut self, bytes: Bytes) {
        self.queue(Transmit::new(bytes));
    }

    /// Queues `bytes` on a band, in packets of at most `most` bytes of data; the payload is not copied.
    pub(crate) fn band(&mut self, band: Band, mut bytes: Bytes, most: usize) {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(most).min(MAX_BAND_DATA));
            let Ok([a, b, c, d]) = pkt::encode_header(piece.len().saturating_add(1)) else { return };
            self.queue(Transmit::with_header([a, b, c, d, band.as_u8()], piece));
        }
    }

    fn queue(&mut self, transmit: Transmit) {
        self.end_turn();
        self.out_bytes = self.out_bytes.saturating_add(transmit.len());
        self.out.push_back(transmit);
    }

    fn end_turn(&mut self) {
        if !self.turn.is_empty() {
            let turn = Transmit::new(self.turn.split().freeze());
            self.out_bytes = self.out_bytes.saturating_add(turn.len());
            self.out.push_back(turn);
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        if self.out.is_empty() {
            self.end_turn();
        }
        let next = self.out.pop_front()?;
        self.out_bytes = self.out_bytes.saturating_sub(next.len());
        Some(next)
    }

    /// Something happened: the idle deadline starts anew.
    fn touch(&mut self, now: Instant) {
        self.deadline = self.idle.and_then(|idle| now.checked_add(idle));
    }
}

/// How a machine ended.
#[derive(Debug)]
enum Fate<E> {
    Running,
    Finished,
    Failed(E),
}

/// The part of a machine that is the same in all four.
#[derive(Debug)]
pub(crate) struct Core<A, E> {
    pub(crate) wire: Wire,
    actions: VecDeque<A>,
    fate: Fate<E>,
}

/// Actions that may wait before a machine stops reading on.
const ACTIONS: usize = 64;

impl<A, E> Core<A, E> {
    pub(crate) fn new(idle: Option<Duration>, now: Instant) -> Self {
        Self { wire: Wire::new(idle, now), actions: VecDeque::new(), fate: Fate::Running }
    }

    pub(crate) fn push(&mut self, action: A) {
        self.actions.push_back(action);
    }

    /// Ends the machine well; `action` is its terminal action.
    pub(crate) fn finish(&mut self, action: A) {
        self.push(action);
        self.fate = Fate::Finished;
        self.wire.deadline = None;
    }

    pub(crate) const fn is_running(&self) -> bool {
        matches!(self.fate, Fate::Running)
    }

    /// Whether the driver has actions to poll: a machine that hands on payload waits until it has.
    pub(crate) fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    fn has_room(&self) -> bool {
        self.actions.len() < ACTIONS
    }

    /// Refuses a verb after the end.
    pub(crate) const fn running(&self, verb: &'static str) -> Result<(), Misuse> {
        if self.is_running() { Ok(()) } else { Err(Misuse::Ended { verb }) }
    }
}

/// Whether [`Drive::step`] did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It consumed or emitted: call it again.
    Again,
    /// It waits for input, for an answer, or for room.
    Wait,
}

/// What a Git machine supplies; the rest of the face is [`machine_face!`].
pub(crate) trait Drive {
    type Action;
    type Error: Clone + From<SessionError>;

    fn core(&mut self) -> &mut Core<Self::Action, Self::Error>;
    /// Consumes, emits, or says that it waits.
    fn step(&mut self) -> Result<Step, Self::Error>;
    /// Tells the peer why, where the protocol has words for it.
    fn farewell(&mut self, error: &Self::Error);
    /// The terminal action of a failure.
    fn failed(error: Self::Error) -> Self::Action;

    /// Steps until the machine waits or has ended.
    fn advance(&mut self) {
        while self.core().is_running() && self.core().has_room() {
            match self.step() {
                Ok(Step::Again) => {}
                Ok(Step::Wait) => return,
                Err(error) => self.fail(error),
            }
        }
    }

    /// Ends the machine: the peer is told, the driver gets one terminal action, the error sticks.
    fn fail(&mut self, error: Self::Error) {
        if !self.core().is_running() {
            return;
        }
        self.farewell(&error);
        let core = self.core();
        core.wire.deadline = None;
        core.fate = Fate::Failed(error.clone());
        core.push(Self::failed(error));
    }

    fn sticky(&mut self) -> Result<(), Self::Error> {
        match &self.core().fate {
            Fate::Running | Fate::Finished => Ok(()),
            Fate::Failed(error) => Err(error.clone()),
        }
    }

    fn on_bytes(&mut self, now: Instant, bytes: Bytes) -> Result<(), Self::Error> {
        if self.core().is_running() {
            if self.core().wire.input.buffered() >= limits::GIT_INPUT {
                self.fail(SessionError::Overrun { limit: limits::GIT_INPUT }.into());
            } else {
                self.core().wire.touch(now);
                self.core().wire.input.handle_bytes(bytes);
                self.advance();
            }
        }
        self.sticky()
    }

    fn on_closed(&mut self, now: Instant) -> Result<(), Self::Error> {
        self.core().wire.closed = true;
        self.core().wire.touch(now);
        self.advance();
        self.sticky()
    }

    fn on_abort(&mut self, now: Instant) {
        self.core().wire.touch(now);
        self.fail(SessionError::Aborted.into());
    }

    fn on_timeout(&mut self, now: Instant) {
        let wire = &self.core().wire;
        if let (Some(deadline), Some(after)) = (wire.deadline, wire.idle) {
            if now >= deadline {
                self.fail(SessionError::TimedOut { after }.into());
            }
        }
    }

    fn next_transmit(&mut self) -> Option<Transmit> {
        self.advance();
        self.core().wire.poll_transmit()
    }

    fn next_action(&mut self) -> Option<Self::Action> {
        self.advance();
        self.core().actions.pop_front()
    }

    /// The end of a verb: it counts as activity, and the machine goes on.
    fn answered(&mut self, now: Instant) {
        self.core().wire.touch(now);
        self.advance();
    }
}

impl<A, E> Core<A, E> {
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.wire.deadline.filter(|_| self.is_running())
    }

    pub(crate) fn wants_input(&self) -> bool {
        self.is_running() && !self.wire.closed && self.wire.input.buffered() < limits::GIT_INPUT
    }
}

/// The transport's half of the face, the same words for every Git machine.
macro_rules! machine_face {
    ($machine:ty, $action:ty, $error:ty) => {
        impl $machine {
            /// Takes the next bytes of the input, in any split. Does bounded work.
            ///
            /// # Errors
            /// What ended the session; the same error ever after.
            pub fn handle_bytes(&mut self, now: $crate::Instant, bytes: bytes::Bytes) -> Result<(), $error> {
                $crate::git::wire::Drive::on_bytes(self, now, bytes)
            }

            /// The peer has ended its direction, or the connection is gone.
            ///
            /// # Errors
            /// As [`Self::handle_bytes`].
            pub fn handle_closed(&mut self, now: $crate::Instant) -> Result<(), $error> {
                $crate::git::wire::Drive::on_closed(self, now)
            }

            /// The time of [`Self::poll_timeout`] has come. Too early is a no-op.
            pub fn handle_timeout(&mut self, now: $crate::Instant) {
                $crate::git::wire::Drive::on_timeout(self, now);
            }

            /// Ends the session now: the user gave up, or the connection is gone in both directions. What the
            /// driver was asked for is asked no more. After the end it is a no-op.
            pub fn abort(&mut self, now: $crate::Instant) {
                $crate::git::wire::Drive::on_abort(self, now);
            }

            /// The next bytes to send. Call it only while the transport has room: that is the backpressure.
            pub fn poll_transmit(&mut self) -> Option<$crate::Transmit> {
                $crate::git::wire::Drive::next_transmit(self)
            }

            /// What happened, or what the driver must do now.
            pub fn poll_action(&mut self) -> Option<$action> {
                $crate::git::wire::Drive::next_action(self)
            }

            /// When to call [`Self::handle_timeout`]; `None` is never.
            #[must_use]
            pub fn poll_timeout(&self) -> Option<$crate::Instant> {
                self.core.poll_timeout()
            }

            /// Whether to read on. `false`: the session has ended, or input waits for the driver's answer.
            #[must_use]
            pub fn wants_input(&self) -> bool {
                self.core.wants_input()
            }

            /// Whether the terminal action has been made. What is left in `poll_transmit` is still to be sent.
            #[must_use]
            pub const fn has_ended(&self) -> bool {
                !self.core.is_running()
            }
        }
    };
}
pub(crate) use machine_face;
