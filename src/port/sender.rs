//! The sending side of a port stream.
//!
//! ```text
//!            write ─► blocks wait ─► DATA n … at most `window` unanswered
//!  Writing ──finish──► Finishing ── nothing waits, all answered 01 ─► END count, Finished ─► Ended
//!     └──────┬────────────┘
//!            ├ ACK 00, ACK timeout, fail ─► ERROR count, Failed ─► Ended
//!            └ peer's fault, closed ─► Failed ─► Broken (for good)
//!  Ended ──begin──► Writing, or Draining while the failed stream's blocks are still to be answered
//! ```
//!
//! DATA is framed when it is polled, so a transport that is full holds no blocks and starts no timeouts. The time of
//! a block is the latest time that the machine was told: a driver whose transport was stuck calls `handle_timeout`
//! (a no-op when early) before it polls on.
//!
//! Limits: `window`, `send_bytes`, `max_block`, `ack_timeout`, `max_ignored`. Rules: PORT-1 to PORT-14.

use alloc::collections::VecDeque;

use bytes::Bytes;

use super::chunker::Chunker;
use super::config::{Budget, Config, ConfigError};
use super::error::{Error, WriteError};
use crate::Transmit;
use crate::frame::{Frame, FrameType, Reason, decode_bytes, encode_header};
use crate::time::Instant;

/// What happened. Exactly one for each stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The peer has taken every block, and END is on its way.
    Finished,
    /// The stream failed; the peer is told by ERROR unless the port is gone.
    Failed(Error),
}

/// Where the application is with its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// More may be written.
    Writing,
    /// Nothing more will be.
    Finishing,
}

#[derive(Clone, Debug)]
enum State {
    /// A stream is being sent.
    Open(Stage),
    /// The next stream waits until the blocks of the failed one are answered, or until that time.
    Draining { stage: Stage, until: Option<Instant> },
    /// The stream is over; `begin` starts the next.
    Ended,
    /// The port is over.
    Broken(Error),
}

/// A block that was sent and not yet passed by the window.
#[derive(Clone, Debug)]
struct Sent {
    at: Instant,
    answered: bool,
}

/// Sends streams of blocks over a message port.
///
/// ```
/// use bytes::Bytes;
/// use portline::port::{Config, Sender, sender::Action};
/// use portline::Instant;
///
/// let now = Instant::ZERO;
/// let mut sender = Sender::new(Config::default(), now)?;
/// sender.write(now, Bytes::from_static(b"\x07"))?;
/// sender.finish(now);
/// assert_eq!(sender.poll_transmit().map(|data| data.into_bytes()).as_deref(), Some(&b"\0\0\0\0\0\x07"[..]));
/// assert_eq!(sender.poll_transmit(), None);
/// sender.handle_message(now, Bytes::from_static(b"\x01\0\0\0\0\x01"))?;
/// assert_eq!(sender.poll_transmit().map(|end| end.into_bytes()).as_deref(), Some(&b"\x02\0\0\0\x01"[..]));
/// assert_eq!(sender.poll_action(), Some(Action::Finished));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sender {
    config: Config,
    state: State,
    waiting: Chunker,
    /// Blocks of the stream that were framed; while draining, those of the failed stream.
    started: u64,
    /// The last of them, from the oldest unanswered one on.
    sent: VecDeque<Sent>,
    budget: Budget,
    /// END and ERROR frames not yet polled.
    out: VecDeque<Transmit>,
    actions: VecDeque<Action>,
    /// The latest time told.
    now: Instant,
    /// When an answer last moved things on: no block's wait begins before it.
    progress: Instant,
}

impl Sender {
    /// A sender with its first stream open.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which nothing could ever be sent.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            state: State::Open(Stage::Writing),
            waiting: Chunker::new(config.chunk_size),
            started: 0,
            sent: VecDeque::new(),
            budget: Budget::new(&config),
            out: VecDeque::new(),
            actions: VecDeque::new(),
            now,
            progress: now,
            config,
        })
    }

    /// Takes one whole message from the port.
    ///
    /// # Errors
    /// What the peer did against the protocol; it ends the port, and the error is the same ever after. A refusal
    /// is no error of this call: it ends the stream and shows as an action.
    pub fn handle_message(&mut self, now: Instant, message: Bytes) -> Result<(), Error> {
        self.tell(now);
        self.sound()?;
        let frame = match decode_bytes(message) {
            Ok(frame) => frame,
            Err(error) => return self.unknown(error.into()),
        };
        match frame.kind {
            FrameType::Ack => self.handle_ack(now, frame.id, &frame.payload),
            FrameType::Data | FrameType::End | FrameType::Error => {
                self.unknown(Error::Misdirected { kind: frame.kind })
            }
            kind => self.unknown(Error::UnknownType { kind }),
        }
    }

    /// The port has closed: no answer will come.
    ///
    /// # Errors
    /// [`Error::Closed`] when a stream was open, or what had ended the port before.
    pub fn handle_closed(&mut self, now: Instant) -> Result<(), Error> {
        self.tell(now);
        self.sound()?;
        let open = !self.has_ended();
        self.break_off(Error::Closed, false);
        if open { Err(Error::Closed) } else { Ok(()) }
    }

    /// The time of [`Self::poll_timeout`] has come. Too early tells the machine the time and nothing else.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tell(now);
        if self.poll_timeout().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.state {
            State::Open(_) => self.fail_stream(Error::AckTimeout { block: self.oldest() }),
            State::Draining { .. } => {
                self.sent.clear();
                self.advance();
            }
            State::Ended | State::Broken(_) => {}
        }
    }

    /// Adds bytes to the stream: one block, or some bytes of it when there is a chunk size. A block may be a
    /// [`Transmit`] with a header of its own, which then stands in front of the payload without a copy.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was taken and nothing ends.
    pub fn write(&mut self, now: Instant, block: impl Into<Transmit>) -> Result<(), WriteError> {
        let block = block.into();
        self.tell(now);
        match self.state {
            State::Open(Stage::Writing) | State::Draining { stage: Stage::Writing, .. } => {}
            State::Open(Stage::Finishing)
            | State::Draining { stage: Stage::Finishing, .. }
            | State::Ended
            | State::Broken(_) => return Err(WriteError::Over),
        }
        let (length, limit) = (block.len(), self.config.max_block);
        if self.config.chunk_size.is_none() && length > limit {
            return Err(WriteError::TooLarge { length, limit });
        }
        if !self.can_write() {
            return Err(WriteError::Full { limit: self.config.send_bytes });
        }
        self.waiting.push(block);
        Ok(())
    }

    /// Whether [`Self::write`] takes a block: the stream is open and less than `send_bytes` wait, or nothing waits but a
    /// chunk that is not full, which only more of it can send.
    #[must_use]
    pub fn can_write(&self) -> bool {
        let writing =
            matches!(self.state, State::Open(Stage::Writing) | State::Draining { stage: Stage::Writing, .. });
        writing && (self.waiting.charged() < self.config.send_bytes || !self.waiting.is_ready())
    }

    /// Sends what waits without filling a whole chunk: a turn of a conversation is over. Nothing to do without a
    /// chunk size.
    pub fn flush(&mut self, now: Instant) {
        self.tell(now);
        self.waiting.flush();
    }

    /// No more will be written. END follows the answer to the last block. No effect after the end.
    pub fn finish(&mut self, now: Instant) {
        self.tell(now);
        self.waiting.flush();
        match &mut self.state {
            State::Open(stage) | State::Draining { stage, .. } => *stage = Stage::Finishing,
            State::Ended | State::Broken(_) => {}
        }
        self.advance();
    }

    /// The producer failed: the peer gets ERROR with `reason`, blocks that wait are dropped. No effect after the
    /// end.
    pub fn fail(&mut self, now: Instant, reason: &str) {
        self.tell(now);
        if !self.has_ended() {
            self.end_with(Error::Aborted, reason);
        }
    }

    /// Starts the next stream, after the end of the one before. No effect while one is open or after the port
    /// broke.
    ///
    /// Blocks of a failed stream may still be answered, and an ACK does not say which stream it is for. So the new
    /// stream takes blocks at once but sends them only when all of those are answered, or `ack_timeout` has passed.
    pub fn begin(&mut self, now: Instant) {
        self.tell(now);
        match self.state {
            State::Ended => {
                let until = self.now.checked_add(self.config.ack_timeout);
                self.state = State::Draining { stage: Stage::Writing, until };
                self.advance();
            }
            State::Open(_) | State::Draining { .. } | State::Broken(_) => {}
        }
    }

    /// The next message to send. Call it only while the transport has room: that is the backpressure.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        if self.out.is_empty() && self.may_send() {
            match u32::try_from(self.started) {
                Ok(id) => {
                    let block = self.waiting.pop()?;
                    self.started = self.started.saturating_add(1);
                    self.sent.push_back(Sent { at: self.now, answered: false });
                    return Some(block.prefixed(encode_header(FrameType::Data, id)));
                }
                Err(_) => self.fail_stream(Error::IdsExhausted),
            }
        }
        self.out.pop_front()
    }

    /// What happened.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`Self::handle_timeout`]; `None` is never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Open(_) => self.sent.front()?.at.max(self.progress).checked_add(self.config.ack_timeout),
            State::Draining { until, .. } => until,
            State::Ended | State::Broken(_) => None,
        }
    }

    /// Whether to read on: until the port is broken.
    #[must_use]
    pub const fn wants_input(&self) -> bool {
        !matches!(self.state, State::Broken(_))
    }

    /// Whether the stream is over. What is left in `poll_transmit` is still to be sent.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended | State::Broken(_))
    }

    /// An answer to block `id`. The port is sound.
    pub(super) fn handle_ack(&mut self, now: Instant, id: u32, payload: &[u8]) -> Result<(), Error> {
        self.tell(now);
        self.sound()?;
        let block = u64::from(id);
        if block >= self.started && matches!(self.state, State::Open(_)) {
            return self.broken(Error::NeverSent { block: id, sent: self.started });
        }
        let fresh = usize::try_from(block.wrapping_sub(self.first()))
            .ok()
            .and_then(|at| self.sent.get_mut(at))
            .filter(|sent| !sent.answered);
        let Some(sent) = fresh else {
            return self.budget.spend().or_else(|error| self.broken(error));
        };
        sent.answered = true;
        while self.sent.front().is_some_and(|sent| sent.answered) {
            self.sent.pop_front();
        }
        self.progress = self.now;
        if payload.first() == Some(&1) || !matches!(self.state, State::Open(_)) {
            self.advance();
        } else {
            self.fail_stream(Error::Refused { block: id });
        }
        Ok(())
    }

    /// Ends the port for this side; `tell` says whether the peer can still hear why.
    pub(super) fn break_off(&mut self, error: Error, tell: bool) {
        if matches!(self.state, State::Broken(_)) {
            return;
        }
        if !self.has_ended() {
            if tell {
                self.fail_stream(error.clone());
            } else {
                self.actions.push_back(Action::Failed(error.clone()));
            }
        }
        self.waiting.clear();
        self.sent.clear();
        self.state = State::Broken(error);
    }

    /// Answers could not be read until now, by our own backpressure: the wait for them begins anew.
    pub(super) fn resume(&mut self) {
        self.progress = self.now;
    }

    pub(super) fn tell(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn sound(&self) -> Result<(), Error> {
        match &self.state {
            State::Broken(error) => Err(error.clone()),
            State::Open(_) | State::Draining { .. } | State::Ended => Ok(()),
        }
    }

    fn unknown(&mut self, error: Error) -> Result<(), Error> {
        self.budget.unknown(error).or_else(|error| self.broken(error))
    }

    fn broken(&mut self, error: Error) -> Result<(), Error> {
        self.break_off(error.clone(), true);
        Err(error)
    }

    fn may_send(&self) -> bool {
        let room = u64::try_from(self.sent.len()).is_ok_and(|sent| sent < u64::from(self.config.window));
        matches!(self.state, State::Open(_)) && room && self.waiting.is_ready()
    }

    /// The number of the oldest block in `sent`.
    fn first(&self) -> u64 {
        self.started.saturating_sub(u64::try_from(self.sent.len()).unwrap_or(u64::MAX))
    }

    fn oldest(&self) -> u32 {
        u32::try_from(self.first()).unwrap_or(u32::MAX)
    }

    /// Does what the answers have made possible: the next stream after the drain, END after the last block.
    fn advance(&mut self) {
        if let State::Draining { stage, .. } = self.state {
            if !self.sent.is_empty() {
                return;
            }
            self.started = 0;
            self.state = State::Open(stage);
        }
        let done = !self.waiting.is_ready() && self.sent.is_empty();
        if done && matches!(self.state, State::Open(Stage::Finishing)) {
            match u32::try_from(self.started) {
                Ok(count) => {
                    self.out.push_back(Frame::new(FrameType::End, count, Bytes::new()).encode());
                    self.actions.push_back(Action::Finished);
                    self.state = State::Ended;
                }
                Err(_) => self.fail_stream(Error::IdsExhausted),
            }
        }
    }

    fn fail_stream(&mut self, error: Error) {
        let reason = alloc::format!("{error}");
        self.end_with(error, &reason);
    }

    /// ERROR to the peer, the terminal action to the driver.
    fn end_with(&mut self, error: Error, reason: &str) {
        let count = match self.state {
            State::Draining { .. } => 0,
            State::Open(_) | State::Ended | State::Broken(_) => self.started,
        };
        // No block has the number after the last one, so the last one's stands for it.
        let id = u32::try_from(count).unwrap_or(u32::MAX);
        self.out.push_back(Frame::new(FrameType::Error, id, Reason::encode(reason)).encode());
        self.actions.push_back(Action::Failed(error));
        self.waiting.clear();
        self.state = State::Ended;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_the_last_number() -> Sender {
        let mut sender = Sender::new(Config::default(), Instant::ZERO).unwrap();
        sender.started = u64::from(u32::MAX);
        sender.write(Instant::ZERO, Bytes::from_static(b"x")).unwrap();
        let last = sender.poll_transmit().unwrap().into_bytes();
        assert_eq!(last.as_ref(), b"\0\xff\xff\xff\xffx");
        sender.handle_message(Instant::ZERO, Bytes::from_static(b"\x01\xff\xff\xff\xff\x01")).unwrap();
        sender
    }

    fn assert_exhausted(sender: &mut Sender) {
        let error = sender.poll_transmit().unwrap().into_bytes();
        assert_eq!(error.get(..5), Some(&b"\x03\xff\xff\xff\xff"[..]));
        assert_eq!(sender.poll_action(), Some(Action::Failed(Error::IdsExhausted)));
        assert_eq!((sender.poll_transmit(), sender.poll_action(), sender.has_ended()), (None, None, true));
    }

    #[test]
    fn port_13_the_stream_fails_rather_than_wrapping_its_numbers() {
        let mut more = at_the_last_number();
        more.write(Instant::ZERO, Bytes::from_static(b"y")).unwrap();
        assert_exhausted(&mut more);
        // The count of an END would not fit either.
        let mut done = at_the_last_number();
        done.finish(Instant::ZERO);
        assert_exhausted(&mut done);
    }
}
