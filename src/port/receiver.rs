//! The receiving side of a port stream.
//!
//! ```text
//!  DATA ─► queue ─► Block in hand ──accept──► ACK 01, the next Block
//!                        └─────────cancel──► ACK 00 for it and all that follow, Failed(Cancelled)
//!  wire:  Open ──END, ERROR──► Complete (sequence: Open, next stream)       the end waits in the queue
//!          ├─ cancel, gap, repeat, too large ─► Refusing ──END, ERROR──► as above
//!          └─ closed, unknown message, budget ─► Dead (for good)
//! ```
//!
//! The queue decouples the two: the wire may be in the next stream while the consumer still takes the last. Ends
//! stand in it like blocks, so every stream gets exactly one terminal action, in its place.
//!
//! Limits: `receive_blocks`, `receive_bytes`, `max_block`, `max_ignored`, `max_empty`; answers wait up to
//! `receive_blocks` before input stops. Rules: PORT-15 and after.

use alloc::collections::VecDeque;

use bytes::Bytes;

use super::config::{Budget, Config, ConfigError};
use super::error::Error;
use crate::Transmit;
use crate::frame::{Frame, FrameType, Reason, decode_bytes};
use crate::time::Instant;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The next block. Answer with `accept` when it is consumed; the next one comes only then.
    Block(Bytes),
    /// The stream is complete.
    End,
    /// The stream failed; what had arrived before was delivered.
    Failed(Error),
}

/// Where the wire is.
#[derive(Clone, Debug)]
enum Phase {
    /// A stream, or before it: so many blocks have come.
    Open { received: u64 },
    /// The consumer or the protocol gave the stream up; its blocks are refused until it ends.
    Refusing { fault: Option<Error> },
    /// The only stream has ended.
    Complete,
    /// The port is over.
    Dead(Error),
}

/// What waits for the consumer.
#[derive(Clone, Debug)]
enum Item {
    Block { id: u32, bytes: Bytes },
    End,
    Failed(Error),
}

/// The answer to a block.
#[derive(Clone, Copy, Debug)]
struct Answer {
    id: u32,
    taken: bool,
}

/// Answers that may wait at least, however few blocks may.
const ANSWERS: usize = 16;

/// Receives streams of blocks from a message port.
///
/// ```
/// use bytes::Bytes;
/// use portline::port::{Config, Receiver, receiver::Action};
/// use portline::Instant;
///
/// let now = Instant::ZERO;
/// let mut receiver = Receiver::new(Config::default(), now)?;
/// receiver.handle_message(now, Bytes::from_static(b"\0\0\0\0\0\x07"))?;
/// assert_eq!(receiver.poll_action(), Some(Action::Block(Bytes::from_static(b"\x07"))));
/// receiver.accept(now);
/// assert_eq!(receiver.poll_transmit().map(|ack| ack.into_bytes()).as_deref(), Some(&b"\x01\0\0\0\0\x01"[..]));
/// receiver.handle_message(now, Bytes::from_static(b"\x02\0\0\0\x01"))?;
/// assert_eq!(receiver.poll_action(), Some(Action::End));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Receiver {
    config: Config,
    phase: Phase,
    queue: VecDeque<Item>,
    /// Bytes in `queue`.
    queued: usize,
    /// The block that the consumer has and has not accepted.
    in_hand: Option<u32>,
    answers: VecDeque<Answer>,
    budget: Budget,
    /// Blocks and streams in a row without a byte.
    empty: u32,
    /// Whether a stream has ended since the last block: then closing harms none (sequence).
    between: bool,
}

impl Receiver {
    /// A receiver that waits for its first stream.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which nothing could ever be received.
    pub fn new(config: Config, _now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            phase: Phase::Open { received: 0 },
            queue: VecDeque::new(),
            queued: 0,
            in_hand: None,
            answers: VecDeque::new(),
            budget: Budget::new(&config),
            empty: 0,
            between: false,
            config,
        })
    }

    /// Takes one whole message from the port.
    ///
    /// # Errors
    /// What the peer did against the protocol, and the same error until the stream is over, or for good where the
    /// port is. The peer's ERROR is no error of this call: it ends the stream and shows as an action.
    pub fn handle_message(&mut self, now: Instant, message: Bytes) -> Result<(), Error> {
        self.sound()?;
        let frame = match decode_bytes(message) {
            Ok(frame) => frame,
            Err(error) => return self.unknown(error.into()),
        };
        match frame.kind {
            FrameType::Data | FrameType::End | FrameType::Error => self.handle_frame(now, frame),
            FrameType::Ack => self.unknown(Error::Misdirected { kind: frame.kind }),
            kind => self.unknown(Error::UnknownType { kind }),
        }
    }

    /// The port has closed. What had arrived is still delivered.
    ///
    /// # Errors
    /// [`Error::Closed`] when a stream was open or still expected, or what had ended the port before.
    pub fn handle_closed(&mut self, _now: Instant) -> Result<(), Error> {
        let over = match self.phase {
            Phase::Open { received } => received == 0 && self.between,
            Phase::Refusing { .. } | Phase::Complete => true,
            Phase::Dead(_) => false,
        };
        if !over {
            return self.die(Error::Closed);
        }
        self.phase = Phase::Dead(Error::Closed);
        Ok(())
    }

    /// The block in hand is consumed: the peer is told, and the next block is offered. No effect without one.
    pub fn accept(&mut self, _now: Instant) {
        if let Some(id) = self.in_hand.take() {
            self.answers.push_back(Answer { id, taken: true });
        }
    }

    /// The consumer stops: the block in hand and every later one of this stream is refused, at once. No effect
    /// when the stream is over.
    pub fn cancel(&mut self, _now: Instant) {
        let over = match self.queue.front() {
            Some(Item::Block { .. }) => false,
            Some(Item::End | Item::Failed(_)) => true,
            None => !matches!(self.phase, Phase::Open { .. }),
        };
        if over && self.in_hand.is_none() {
            return;
        }
        if let Some(id) = self.in_hand.take() {
            self.answers.push_back(Answer { id, taken: false });
        }
        let failure = loop {
            match self.queue.pop_front() {
                Some(Item::Block { id, bytes }) => {
                    self.queued = self.queued.saturating_sub(bytes.len());
                    self.answers.push_back(Answer { id, taken: false });
                }
                Some(Item::Failed(error)) => break error,
                Some(Item::End) => break Error::Cancelled,
                // The end is not in the queue, so the stream is still open on the wire.
                None => {
                    self.phase = Phase::Refusing { fault: None };
                    break Error::Cancelled;
                }
            }
        };
        self.queue.push_front(Item::Failed(failure));
    }

    /// The next message to send. Call it only while the transport has room: that is the backpressure.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let Answer { id, taken } = self.answers.pop_front()?;
        let payload = Bytes::from_static(if taken { &[1] } else { &[0] });
        Some(Frame::new(FrameType::Ack, id, payload).encode())
    }

    /// What happened. Nothing while a block is in hand.
    pub fn poll_action(&mut self) -> Option<Action> {
        if self.in_hand.is_some() {
            return None;
        }
        Some(match self.queue.pop_front()? {
            Item::Block { id, bytes } => {
                self.in_hand = Some(id);
                self.queued = self.queued.saturating_sub(bytes.len());
                Action::Block(bytes)
            }
            Item::End => Action::End,
            Item::Failed(error) => Action::Failed(error),
        })
    }

    /// Whether to read on. `false`: the port is over, or blocks or answers wait up to their caps.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        !matches!(self.phase, Phase::Dead(_)) && self.has_room()
    }

    /// Whether every stream of this port is over and its terminal action handed out; in a sequence, whether the
    /// port is.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let over = match self.phase {
            Phase::Complete | Phase::Dead(_) => true,
            Phase::Refusing { .. } => !self.config.sequence,
            Phase::Open { .. } => false,
        };
        // A block in hand has its stream's end behind it in the queue.
        over && self.queue.is_empty()
    }

    /// DATA, END or ERROR; others have no effect.
    pub(super) fn handle_frame(&mut self, _now: Instant, frame: Frame<Bytes>) -> Result<(), Error> {
        if let Phase::Dead(error) = &self.phase {
            return Err(error.clone());
        }
        // The one end of an only stream always finds room: a peer may send it right after a full window.
        if !self.has_room() && (frame.kind == FrameType::Data || self.config.sequence) {
            return self.die(Error::Overrun { limit: self.config.receive_blocks });
        }
        match frame.kind {
            FrameType::Data => self.handle_data(frame.id, frame.payload),
            FrameType::End => self.handle_end(frame.id),
            FrameType::Error => self.handle_error(frame.id, &frame.payload),
            _ => Ok(()),
        }
    }

    /// Ends the port for this side, after what is queued.
    pub(super) fn die(&mut self, error: Error) -> Result<(), Error> {
        let open = match &self.phase {
            Phase::Open { .. } => true,
            // In a sequence the streams to come are lost with the port.
            Phase::Refusing { .. } => self.config.sequence,
            Phase::Complete => false,
            Phase::Dead(first) => return Err(first.clone()),
        };
        if open {
            self.queue.push_back(Item::Failed(error.clone()));
        }
        self.phase = Phase::Dead(error.clone());
        Err(error)
    }

    fn handle_data(&mut self, id: u32, bytes: Bytes) -> Result<(), Error> {
        let expected = match &self.phase {
            Phase::Open { received } => *received,
            Phase::Refusing { fault } => {
                let fault = fault.clone();
                self.refuse(id);
                self.spend()?;
                return fault.map_or(Ok(()), Err);
            }
            Phase::Complete => {
                self.refuse(id);
                return self.spend();
            }
            Phase::Dead(error) => return Err(error.clone()),
        };
        if u64::from(id) != expected {
            return self.give_up(id, Error::OutOfOrder { expected, found: id });
        }
        let (length, limit) = (bytes.len(), self.config.max_block);
        if length > limit {
            return self.give_up(id, Error::TooLarge { length, limit });
        }
        if bytes.is_empty() {
            self.carried_nothing()?;
        } else {
            self.empty = 0;
        }
        self.between = false;
        self.phase = Phase::Open { received: expected.saturating_add(1) };
        self.queued = self.queued.saturating_add(bytes.len());
        self.queue.push_back(Item::Block { id, bytes });
        Ok(())
    }

    fn handle_end(&mut self, announced: u32) -> Result<(), Error> {
        match &self.phase {
            Phase::Open { received } if u64::from(announced) != *received => {
                let error = Error::Miscounted { announced, received: *received };
                let result = self.give_up(announced, error);
                self.next_stream();
                result
            }
            Phase::Open { .. } => {
                if announced == 0 {
                    self.carried_nothing()?;
                }
                self.queue.push_back(Item::End);
                self.next_stream();
                Ok(())
            }
            Phase::Refusing { .. } => {
                self.next_stream();
                Ok(())
            }
            Phase::Complete => self.spend(),
            Phase::Dead(error) => Err(error.clone()),
        }
    }

    fn handle_error(&mut self, block: u32, payload: &Bytes) -> Result<(), Error> {
        match &self.phase {
            Phase::Open { received } => {
                if *received == 0 {
                    self.carried_nothing()?;
                }
                let reason = Reason::decode(payload);
                self.queue.push_back(Item::Failed(Error::Remote { block, reason }));
                self.next_stream();
                Ok(())
            }
            Phase::Refusing { .. } => {
                self.next_stream();
                Ok(())
            }
            Phase::Complete => self.spend(),
            Phase::Dead(error) => Err(error.clone()),
        }
    }

    /// The stream has ended on the wire.
    fn next_stream(&mut self) {
        self.between = true;
        self.phase = if self.config.sequence { Phase::Open { received: 0 } } else { Phase::Complete };
    }

    /// The stream broke the protocol: the peer is told by refusing what it just sent.
    fn give_up(&mut self, id: u32, error: Error) -> Result<(), Error> {
        self.refuse(id);
        self.queue.push_back(Item::Failed(error.clone()));
        self.phase = Phase::Refusing { fault: Some(error.clone()) };
        Err(error)
    }

    fn refuse(&mut self, id: u32) {
        self.answers.push_back(Answer { id, taken: false });
    }

    fn unknown(&mut self, error: Error) -> Result<(), Error> {
        self.budget.unknown(error).or_else(|error| self.die(error))
    }

    fn spend(&mut self) -> Result<(), Error> {
        self.budget.spend().or_else(|error| self.die(error))
    }

    /// A block or a stream without a byte.
    fn carried_nothing(&mut self) -> Result<(), Error> {
        self.empty = self.empty.saturating_add(1);
        let limit = self.config.max_empty;
        if self.empty > limit { self.die(Error::TooManyEmpty { limit }) } else { Ok(()) }
    }

    fn sound(&self) -> Result<(), Error> {
        match &self.phase {
            Phase::Dead(error) => Err(error.clone()),
            Phase::Open { .. } | Phase::Refusing { .. } | Phase::Complete => Ok(()),
        }
    }

    /// Whether nothing waits up to its cap.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < self.config.receive_blocks
            && self.queued < self.config.receive_bytes
            && self.answers.len() < self.config.receive_blocks.max(ANSWERS)
    }
}
