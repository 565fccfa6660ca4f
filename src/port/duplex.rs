//! Both directions on one port.
//!
//! ```text
//! message ─┬─ ACK ──────────────► Sender   ─┐
//!          ├─ DATA, END, ERROR ─► Receiver ─┴─► poll_action, poll_transmit (answers and blocks in turn)
//!          └─ anything else ────► both fail, or ignored
//! ```
//!
//! An ACK answers our DATA; DATA, END and ERROR are the peer's. A direction fails alone; what concerns the port
//! (closing, messages that it does not know) ends both. Rules: PORT-23 and after.

use bytes::Bytes;

use super::config::{Budget, Config, ConfigError};
use super::error::{Error, WriteError};
use super::receiver::{self, Receiver};
use super::sender::{self, Sender};
use crate::Transmit;
use crate::frame::{FrameType, decode_bytes};
use crate::time::Instant;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The next block of the peer's stream. Answer with `accept` when it is consumed.
    Block(Bytes),
    /// The peer's stream is complete.
    End,
    /// The peer's stream failed; what had arrived before was delivered.
    ReceiveFailed(Error),
    /// The peer has taken our whole stream, and END is on its way.
    Sent,
    /// Our stream failed.
    SendFailed(Error),
}

/// Which direction had the last word.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Answers,
    Blocks,
}

/// Sends and receives streams of blocks on one message port.
#[derive(Clone, Debug)]
pub struct Duplex {
    sender: Sender,
    receiver: Receiver,
    budget: Budget,
    turn: Turn,
}

impl Duplex {
    /// A port with its first outgoing stream open, waiting for the peer's first.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which nothing could ever be sent or received.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        let budget = Budget::new(&config);
        let receiver = Receiver::new(config.clone(), now)?;
        Ok(Self { sender: Sender::new(config, now)?, receiver, budget, turn: Turn::Blocks })
    }

    /// Takes one whole message from the port.
    ///
    /// # Errors
    /// What the peer did against the protocol. It ends the direction that the message belongs to, or the port when
    /// it belongs to none; the other direction goes on. A refusal and the peer's ERROR are no errors of this call:
    /// they show as actions.
    pub fn handle_message(&mut self, now: Instant, message: Bytes) -> Result<(), Error> {
        self.sender.tell(now);
        let frame = match decode_bytes(message) {
            Ok(frame) => frame,
            Err(error) => return self.unknown(error.into()),
        };
        match frame.kind {
            FrameType::Ack => self.sender.handle_ack(now, frame.id, &frame.payload),
            FrameType::Data | FrameType::End | FrameType::Error => self.receiver.handle_frame(now, frame),
            kind => self.unknown(Error::UnknownType { kind }),
        }
    }

    /// The port has closed: both directions end at once, unless they were complete.
    ///
    /// # Errors
    /// [`Error::Closed`] when one of them was not, or what had ended it before.
    pub fn handle_closed(&mut self, now: Instant) -> Result<(), Error> {
        let sent = self.sender.handle_closed(now);
        let received = self.receiver.handle_closed(now);
        sent.and(received)
    }

    /// The time of [`Self::poll_timeout`] has come. Too early tells the machine the time and nothing else.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.receiver.has_room() {
            self.sender.handle_timeout(now);
        } else {
            self.sender.tell(now);
        }
    }

    /// As [`Sender::write`].
    ///
    /// # Errors
    /// [`WriteError`]; nothing was taken and nothing ends.
    pub fn write(&mut self, now: Instant, block: impl Into<Transmit>) -> Result<(), WriteError> {
        self.sender.write(now, block)
    }

    /// As [`Sender::can_write`].
    #[must_use]
    pub fn can_write(&self) -> bool {
        self.sender.can_write()
    }

    /// As [`Sender::flush`].
    pub fn flush(&mut self, now: Instant) {
        self.sender.flush(now);
    }

    /// As [`Sender::finish`].
    pub fn finish(&mut self, now: Instant) {
        self.sender.finish(now);
    }

    /// As [`Sender::fail`].
    pub fn fail(&mut self, now: Instant, reason: &str) {
        self.sender.fail(now, reason);
    }

    /// As [`Sender::begin`]: the next outgoing stream.
    pub fn begin(&mut self, now: Instant) {
        self.sender.begin(now);
    }

    /// As [`Receiver::accept`].
    pub fn accept(&mut self, now: Instant) {
        self.sender.tell(now);
        self.receiver.accept(now);
    }

    /// As [`Receiver::cancel`].
    pub fn cancel(&mut self, now: Instant) {
        self.sender.tell(now);
        self.resuming(|this| this.receiver.cancel(now));
    }

    /// The next message to send. Call it only while the transport has room: that is the backpressure. Answers and
    /// blocks take turns, so neither direction starves the other (T12).
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        match self.turn {
            Turn::Blocks => {
                self.turn = Turn::Answers;
                self.poll_answer().or_else(|| self.sender.poll_transmit())
            }
            Turn::Answers => {
                self.turn = Turn::Blocks;
                self.sender.poll_transmit().or_else(|| self.poll_answer())
            }
        }
    }

    /// What happened.
    pub fn poll_action(&mut self) -> Option<Action> {
        if let Some(action) = self.resuming(|this| this.receiver.poll_action()) {
            return Some(match action {
                receiver::Action::Block(block) => Action::Block(block),
                receiver::Action::End => Action::End,
                receiver::Action::Failed(error) => Action::ReceiveFailed(error),
            });
        }
        self.sender.poll_action().map(|action| match action {
            sender::Action::Finished => Action::Sent,
            sender::Action::Failed(error) => Action::SendFailed(error),
        })
    }

    /// When to call [`Self::handle_timeout`]; `None` is never. While our own backpressure keeps answers from being
    /// read, no answer is late (PORT-24).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.sender.poll_timeout().filter(|_| self.receiver.has_room())
    }

    /// Whether to read on. `false`: the port is over, or blocks or answers wait up to their caps.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.receiver.has_room() && (self.sender.wants_input() || self.receiver.wants_input())
    }

    /// Whether both directions are over. What is left in `poll_transmit` is still to be sent.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.sender.has_ended() && self.receiver.has_ended()
    }

    fn poll_answer(&mut self) -> Option<Transmit> {
        self.resuming(|this| this.receiver.poll_transmit())
    }

    /// Runs what may make room in the receiver: then answers to our blocks can be read again.
    fn resuming<T>(&mut self, run: impl FnOnce(&mut Self) -> T) -> T {
        let had_room = self.receiver.has_room();
        let result = run(self);
        if !had_room && self.receiver.has_room() {
            self.sender.resume();
        }
        result
    }

    fn unknown(&mut self, error: Error) -> Result<(), Error> {
        self.budget.unknown(error).or_else(|error| {
            self.sender.break_off(error.clone(), true);
            self.receiver.die(error)
        })
    }
}
