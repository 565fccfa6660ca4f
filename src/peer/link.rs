//! A Git machine carried by a port: what the client and the server of a port session share.
//!
//! ```text
//! port message ─► Duplex ─► block in hand ─► machine.handle_bytes, then ACK
//!                 Duplex ◄─ pieces of at most `chunk` bytes ◄─ machine.poll_transmit
//! ```
//!
//! One operation is one stream in each direction. The block in hand is acknowledged when the machine took it, so
//! a machine that waits for its driver stops the peer; and the machine is asked for output only while the port
//! can take it, so a peer that does not acknowledge stops the machine.

use core::time::Duration;

use bytes::Bytes;

use crate::port::{self, Duplex};
use crate::time::{Instant, earliest};
use crate::{Transmit, git};

/// The transport's half of a Git machine.
pub(crate) trait Carried {
    fn handle_bytes(&mut self, now: Instant, bytes: Bytes);
    /// The peer has ended its stream of this operation.
    fn handle_closed(&mut self, now: Instant);
    /// The port has ended.
    fn handle_lost(&mut self, now: Instant) {
        self.handle_closed(now);
    }
    /// The peer takes nothing more of this operation; what it says is still read.
    fn handle_refused(&mut self, _now: Instant) {}
    fn handle_timeout(&mut self, now: Instant);
    fn poll_transmit(&mut self) -> Option<Transmit>;
    fn poll_timeout(&self) -> Option<Instant>;
    fn wants_input(&self) -> bool;
    fn has_ended(&self) -> bool;
    /// Whether nothing more will be sent, so that our direction may end before the peer's does.
    fn has_sent_all(&self) -> bool;
    /// The port is gone and everything it brought was taken: what the driver still does would be for nobody. Nothing
    /// for a machine that has ended.
    fn abandon(&mut self, now: Instant);
}

/// The machines' errors are not lost here: each also comes as the machine's terminal action.
macro_rules! carried {
    ($machine:ty, $sent_all:ident, $abandon:expr, $refused:expr) => {
        impl Carried for $machine {
            fn handle_bytes(&mut self, now: Instant, bytes: Bytes) {
                let _ = Self::handle_bytes(self, now, bytes);
            }
            fn handle_closed(&mut self, now: Instant) {
                let _ = Self::handle_closed(self, now);
            }
            fn handle_refused(&mut self, now: Instant) {
                let refused: fn(&mut Self, Instant) = $refused;
                refused(self, now);
            }
            fn handle_timeout(&mut self, now: Instant) {
                Self::handle_timeout(self, now);
            }
            fn poll_transmit(&mut self) -> Option<Transmit> {
                Self::poll_transmit(self)
            }
            fn poll_timeout(&self) -> Option<Instant> {
                Self::poll_timeout(self)
            }
            fn wants_input(&self) -> bool {
                Self::wants_input(self)
            }
            fn has_ended(&self) -> bool {
                Self::has_ended(self)
            }
            fn has_sent_all(&self) -> bool {
                Self::$sent_all(self)
            }
            fn abandon(&mut self, now: Instant) {
                let abandon: fn(&mut Self, Instant) = $abandon;
                abandon(self, now);
            }
        }
    };
}
carried!(git::fetch::client::Client, has_ended, Self::abort, |_, _| {});
// There is nobody left to build a pack for.
carried!(git::fetch::server::Server, has_ended, Self::abort, Self::abort);
carried!(git::push::client::Client, has_sent_all, Self::abort, |_, _| {});
// Refs may be moving: the driver's answer is waited for, so that the outcome is true.
carried!(git::push::server::Server, has_ended, |_, _| {}, |_, _| {});

/// One direction of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Open,
    /// END is queued behind what is still to be acknowledged.
    Ending,
    Ended,
}

/// A port and the state of the operation on it.
#[derive(Debug)]
pub(crate) struct Link {
    port: Duplex,
    /// The latest time that any input or verb gave.
    now: Instant,
    /// The block in hand: delivered by the port, not yet taken by the machine.
    block: Option<Bytes>,
    /// What is left of output that is longer than a block.
    rest: Bytes,
    chunk: usize,
    incoming: Side,
    outgoing: Side,
    /// How long the peer may leave its stream open when all is said.
    patience: Duration,
    /// When that is over: the machine and our stream have ended, the peer's stream has not.
    until: Option<Instant>,
    /// What ended the port.
    fault: Option<port::Error>,
    /// What ended one of the operation's streams early.
    stream_error: Option<port::Error>,
}

impl Link {
    pub(crate) fn new(port: Duplex, chunk: usize, patience: Duration, now: Instant) -> Self {
        Self {
            port,
            now,
            block: None,
            rest: Bytes::new(),
            chunk,
            patience,
            until: None,
            incoming: Side::Open,
            outgoing: Side::Open,
            fault: None,
            stream_error: None,
        }
    }

    /// Remembers the time: polls have none of their own.
    pub(crate) fn at(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    pub(crate) fn handle_message(&mut self, now: Instant, message: Bytes) {
        self.at(now);
        if let Err(error) = self.port.handle_message(now, message) {
            self.note(error);
        }
    }

    pub(crate) fn handle_closed(&mut self, now: Instant) {
        self.at(now);
        if let Err(error) = self.port.handle_closed(now) {
            self.note(error);
        }
        // Between two operations the port closes well; the session is over all the same.
        self.fault.get_or_insert(port::Error::Closed);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.at(now);
        self.port.handle_timeout(now);
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
            self.fault.get_or_insert(port::Error::EndTimeout);
        }
    }

    /// The next operation waits for the end of the peer's stream. A peer that never ends it does not hold us for
    /// ever: the wait begins when nothing else is waited for (PEER-12).
    pub(crate) fn await_end(&mut self, machine: &impl Carried) {
        let waits = machine.has_ended() && self.outgoing == Side::Ended && !self.is_over();
        self.until = match self.until {
            _ if !waits => None,
            None => self.now.checked_add(self.patience),
            until => until,
        };
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.port.poll_transmit()
    }

    pub(crate) fn poll_timeout(&self, machine: Option<Instant>) -> Option<Instant> {
        earliest(earliest(self.port.poll_timeout(), machine), self.until)
    }

    pub(crate) fn wants_input(&self) -> bool {
        self.port.wants_input()
    }

    /// What ended the port, if anything did. A peer that refuses our blocks ends only our direction of the
    /// operation, and is none.
    pub(crate) const fn fault(&self) -> Option<&port::Error> {
        self.fault.as_ref()
    }

    /// Why the port, or else a stream of this operation, ended early: the cause of what the machine reports.
    pub(crate) fn cause(&self) -> Option<&port::Error> {
        self.fault.as_ref().or(self.stream_error.as_ref())
    }

    /// Both directions of the operation have ended.
    pub(crate) fn is_over(&self) -> bool {
        self.fault.is_some() || (self.incoming == Side::Ended && self.outgoing == Side::Ended)
    }

    /// Makes both directions ready for the next operation.
    pub(crate) fn begin(&mut self) {
        if self.outgoing == Side::Ended {
            self.port.begin(self.now);
        }
        self.rest = Bytes::new();
        self.stream_error = None;
        self.outgoing = Side::Open;
        self.incoming = Side::Open;
    }

    /// Moves everything that can move between the port and the machine.
    pub(crate) fn pump(&mut self, machine: &mut impl Carried) {
        while self.take_in(machine) | self.put_out(machine) {}
    }

    /// One step of the incoming direction; `false` when it waits.
    fn take_in(&mut self, machine: &mut impl Carried) -> bool {
        if self.block.is_some() && self.incoming == Side::Open {
            if machine.has_ended() {
                // What comes after the protocol's end is refused, so that its sender does not wait for us.
                self.block = None;
                self.port.cancel(self.now);
                return true;
            }
            if !machine.wants_input() {
                return false;
            }
            if let Some(block) = self.block.take() {
                machine.handle_bytes(self.now, block);
                self.port.accept(self.now);
            }
            return true;
        }
        self.take_event(machine)
    }

    fn take_event(&mut self, machine: &mut impl Carried) -> bool {
        let Some(action) = self.port.poll_action() else { return self.take_fault(machine) };
        match action {
            port::duplex::Action::Block(block) => self.block = Some(block),
            port::duplex::Action::End => {
                self.incoming = Side::Ended;
                machine.handle_closed(self.now);
            }
            port::duplex::Action::ReceiveFailed(error) => {
                self.incoming = Side::Ended;
                if self.note(error) {
                    machine.handle_lost(self.now);
                } else {
                    machine.handle_closed(self.now);
                }
            }
            port::duplex::Action::Sent => self.outgoing = Side::Ended,
            port::duplex::Action::SendFailed(error) => {
                self.outgoing = Side::Ended;
                if self.note(error) {
                    machine.handle_lost(self.now);
                } else {
                    machine.handle_refused(self.now);
                }
            }
        }
        true
    }

    /// What the port delivered before its end has been taken: now the machine learns of the end.
    fn take_fault(&mut self, machine: &mut impl Carried) -> bool {
        if self.fault.is_none() || self.incoming == Side::Ended {
            return false;
        }
        self.incoming = Side::Ended;
        self.outgoing = Side::Ended;
        machine.handle_lost(self.now);
        true
    }

    /// For after the port's end alone: once all that it brought was taken, nothing can come of a machine that waits for its
    /// driver.
    pub(crate) fn abandon(&mut self, machine: &mut impl Carried) {
        if self.incoming == Side::Ended {
            machine.abandon(self.now);
        }
    }

    /// One step of the outgoing direction; `false` when it waits.
    fn put_out(&mut self, machine: &mut impl Carried) -> bool {
        match self.outgoing {
            Side::Ending => false,
            // The peer takes nothing more: what the machine still says goes nowhere.
            Side::Ended => machine.poll_transmit().is_some(),
            Side::Open => self.port.can_write() && self.put_block(machine),
        }
    }

    /// Writes one block: a transmit as it is when it fits, otherwise piece by piece.
    fn put_block(&mut self, machine: &mut impl Carried) -> bool {
        if !self.rest.is_empty() {
            let piece = self.rest.split_to(self.rest.len().min(self.chunk));
            return self.port.write(self.now, piece).is_ok();
        }
        match machine.poll_transmit() {
            Some(transmit) if transmit.len() <= self.chunk => self.port.write(self.now, transmit).is_ok(),
            Some(transmit) => {
                self.rest = transmit.into_bytes();
                true
            }
            None if machine.has_sent_all() => {
                self.outgoing = Side::Ending;
                self.port.finish(self.now);
                true
            }
            None => false,
        }
    }

    /// The peer has ended its direction of the operation.
    pub(crate) fn has_ended_input(&self) -> bool {
        self.incoming == Side::Ended
    }

    /// Keeps the error. `false`: it ends only one direction of one operation.
    fn note(&mut self, error: port::Error) -> bool {
        use port::Error as E;
        let one_direction = matches!(error, E::Refused { .. } | E::Remote { .. } | E::Cancelled | E::Aborted);
        let slot = if one_direction { &mut self.stream_error } else { &mut self.fault };
        slot.get_or_insert(error);
        !one_direction
    }
}

/// `Carried` for an enum of machines that has `carried()` and `carried_mut()`: without a machine nothing moves.
macro_rules! carried_by_option {
    ($operation:ty) => {
        impl $crate::peer::link::Carried for $operation {
            fn handle_bytes(&mut self, now: $crate::Instant, bytes: bytes::Bytes) {
                if let Some(machine) = self.carried_mut() {
                    machine.handle_bytes(now, bytes);
                }
            }
            fn handle_closed(&mut self, now: $crate::Instant) {
                if let Some(machine) = self.carried_mut() {
                    machine.handle_closed(now);
                }
            }
            fn handle_lost(&mut self, now: $crate::Instant) {
                if let Some(machine) = self.carried_mut() {
                    machine.handle_lost(now);
                }
            }
            fn handle_refused(&mut self, now: $crate::Instant) {
                if let Some(machine) = self.carried_mut() {
                    machine.handle_refused(now);
                }
            }
            fn handle_timeout(&mut self, now: $crate::Instant) {
                if let Some(machine) = self.carried_mut() {
                    machine.handle_timeout(now);
                }
            }
            fn poll_transmit(&mut self) -> Option<$crate::Transmit> {
                self.carried_mut().and_then(|machine| machine.poll_transmit())
            }
            fn poll_timeout(&self) -> Option<$crate::Instant> {
                self.carried().and_then(|machine| machine.poll_timeout())
            }
            fn wants_input(&self) -> bool {
                self.carried().is_some_and(|machine| machine.wants_input())
            }
            fn has_ended(&self) -> bool {
                self.carried().is_some_and(|machine| machine.has_ended())
            }
            fn has_sent_all(&self) -> bool {
                self.carried().is_some_and(|machine| machine.has_sent_all())
            }
            fn abandon(&mut self, now: $crate::Instant) {
                if let Some(machine) = self.carried_mut() {
                    machine.abandon(now);
                }
            }
        }
    };
}
pub(crate) use carried_by_option;
