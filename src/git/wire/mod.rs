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
//!
//! Two clocks run here. The idle deadline counts the peer's silence only: not while the driver owes an answer or has
//! actions to poll, and it starts anew where the peer took output (GIT-13). Keep-alives tell a peer that waits for
//! our driver on a sideband that we live (GIT-18).

mod clock;
mod error;
mod io;

use alloc::collections::VecDeque;
use core::time::Duration;

use bytes::Bytes;

pub use self::error::{Misuse, SessionError};
pub(crate) use self::io::Wire;
use crate::time::{Instant, earliest};
use crate::{Transmit, limits};

/// The `agent` that is told where the config names no other.
pub(crate) const AGENT: &[u8] = concat!("portline/", env!("CARGO_PKG_VERSION")).as_bytes();

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

    /// Sends a keep-alive whenever nothing was said for so long where [`Drive::keeps_alive`] has a place for it.
    pub(crate) fn with_keep_alive(mut self, every: Option<Duration>) -> Self {
        self.wire.clock.keep_alive = every.filter(|every| !every.is_zero());
        self
    }

    pub(crate) fn push(&mut self, action: A) {
        self.actions.push_back(action);
    }

    /// Ends the machine well; `action` is its terminal action.
    pub(crate) fn finish(&mut self, action: A) {
        self.push(action);
        self.fate = Fate::Finished;
        self.wire.clock.stop();
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
    /// Whether the next move is the driver's: an answer, or the next piece of a pack.
    fn waits_for_driver(&self) -> bool;
    /// Whether the peer waits for our driver where a keep-alive has its place: in a sideband, as often as it likes.
    fn keeps_alive(&self) -> bool {
        false
    }

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
        core.wire.clock.stop();
        core.fate = Fate::Failed(error.clone());
        core.push(Self::failed(error));
    }

    fn sticky(&mut self) -> Result<(), Self::Error> {
        match &self.core().fate {
            Fate::Running | Fate::Finished => Ok(()),
            Fate::Failed(error) => Err(error.clone()),
        }
    }

    /// Goes on, and sets the beat by what came of it.
    fn proceed(&mut self) {
        self.advance();
        let has_place = self.core().is_running() && self.keeps_alive();
        self.core().wire.clock.set_beat(has_place);
    }

    fn on_bytes(&mut self, now: Instant, bytes: Bytes) -> Result<(), Self::Error> {
        if self.core().is_running() {
            if self.core().wire.input.buffered() >= limits::GIT_INPUT {
                self.fail(SessionError::Overrun { limit: limits::GIT_INPUT }.into());
            } else {
                self.core().wire.clock.touch(now);
                self.core().wire.input.handle_bytes(bytes);
                self.proceed();
            }
        }
        self.sticky()
    }

    fn on_closed(&mut self, now: Instant) -> Result<(), Self::Error> {
        self.core().wire.closed = true;
        self.answered(now);
        self.sticky()
    }

    fn on_abort(&mut self, _now: Instant) {
        self.fail(SessionError::Aborted.into());
    }

    fn on_timeout(&mut self, now: Instant) {
        let waits = self.waits_for_driver();
        let core = self.core();
        let is_due = |at: Option<Instant>| at.is_some_and(|at| now >= at);
        if is_due(core.idle_deadline(waits)) {
            if core.wire.clock.taken {
                core.wire.clock.touch(now);
            } else if let Some(after) = core.wire.clock.idle {
                self.fail(SessionError::TimedOut { after }.into());
                return;
            }
        }
        let wire = &mut self.core().wire;
        wire.clock.now = wire.clock.now.max(now);
        if is_due(wire.clock.beat) {
            wire.keep_alive();
        }
        self.proceed();
    }

    fn next_transmit(&mut self) -> Option<Transmit> {
        self.proceed();
        self.core().wire.poll_transmit()
    }

    fn next_action(&mut self) -> Option<Self::Action> {
        self.proceed();
        let next = self.core().actions.pop_front()?;
        self.core().wire.clock.taken = true;
        Some(next)
    }

    /// The end of a verb: it counts as activity, and the machine goes on.
    fn answered(&mut self, now: Instant) {
        if self.core().is_running() {
            self.core().wire.clock.touch(now);
        }
        self.proceed();
    }
}

impl<A, E> Core<A, E> {
    /// `waits_for_driver` is [`Drive::waits_for_driver`].
    pub(crate) fn poll_timeout(&self, waits_for_driver: bool) -> Option<Instant> {
        earliest(self.idle_deadline(waits_for_driver), self.wire.clock.beat)
    }

    /// When the peer has been silent for too long; `None` while its silence is no fault of its own. A driver that
    /// can go on only when the peer takes output is the peer's matter.
    fn idle_deadline(&self, waits_for_driver: bool) -> Option<Instant> {
        let excused = self.has_actions() || (waits_for_driver && self.wire.has_room());
        self.wire.clock.deadline.filter(|_| !excused)
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
                self.core.poll_timeout($crate::git::wire::Drive::waits_for_driver(self))
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
