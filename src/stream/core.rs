//! One end of a stream without its limits and its clock: what a program with a million of them keeps for each.
//!
//! The same machine as [`super::Endpoint`], with the [`Limits`] that many streams share, and the time, given to each
//! call. An idle one takes [`size_of`](core::mem::size_of)`::<Core>()` bytes, at most 96, and nothing on the heap.

use alloc::boxed::Box;

use bytes::Bytes;

use super::config::{ConfigError, Direction, Limits, Shape};
use super::error::{Error, WriteError};
use super::lifecycle::{Closing, Effect, Input, State, next};
use super::receive::ReceiveHalf;
use super::send::SendHalf;
use super::size::Sizing;
use super::stopwatch::Stopwatch;
use super::window::{Credit, Window};
use crate::Transmit;
use crate::frame::{Frame, FrameType, Reason, decode_bytes};
use crate::time::Instant;

/// What happened to a stream.
///
/// They come in this order: `Opened`, `Data` and `PeerDone`, one of `Finished` and `Failed`; `Writable` anywhere
/// before the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The channel is attached.
    Opened,
    /// Data of the peer's. Answer `consume`, once for each, when it was dealt with: only that grants new credit.
    Data(Bytes),
    /// The peer's direction is done; nothing more will come from it.
    PeerDone,
    /// There is room again after `write` was refused as [`WriteError::Full`].
    Writable,
    /// The stream is over, and all went well. Terminal.
    Finished,
    /// The stream failed. Terminal.
    Failed(Error),
}

/// Something to be told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Notice {
    /// Not yet.
    None,
    /// It waits to be polled.
    Due,
    /// It was, and will not be again.
    Given,
}

impl Notice {
    /// Due, unless it was before.
    const fn raise(&mut self) {
        match self {
            Self::None => *self = Self::Due,
            Self::Due | Self::Given => {}
        }
    }

    const fn take(&mut self) -> bool {
        match self {
            Self::Due => {
                *self = Self::Given;
                true
            }
            Self::None | Self::Given => false,
        }
    }

    const fn is_due(self) -> bool {
        matches!(self, Self::Due)
    }
}

/// What the application knows about the room for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Room {
    /// It was not refused.
    Open,
    /// It was refused and waits to be told.
    Refused,
    /// It is to be told.
    Due,
}

/// The frame that goes out next when the stream is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Farewell {
    Error,
    Cancel,
    End,
}

/// Why the stream failed, and the payload that tells the peer.
#[derive(Clone, Debug)]
struct Failure {
    error: Error,
    words: Bytes,
}

/// One end of a stream. See [`super::Endpoint`] for what each call does; the calls here take the limits and the
/// time in addition.
#[derive(Clone, Debug)]
pub struct Core {
    state: State,
    direction: Direction,
    sizing: Sizing,
    farewell: Farewell,
    opened: Notice,
    done: Notice,
    terminal: Notice,
    room: Room,
    /// Frames without effect in a row.
    idle: u32,
    /// Runs while the peer has to do something.
    watch: Stopwatch,
    send: SendHalf,
    receive: ReceiveHalf,
    failure: Option<Box<Failure>>,
}

impl Core {
    /// A stream of which nothing was said yet.
    ///
    /// # Errors
    /// [`ConfigError`] for a shape with which nothing could ever be sent.
    pub fn new(shape: Shape) -> Result<Self, ConfigError> {
        shape.check()?;
        Ok(Self {
            state: State::Idle,
            direction: shape.direction,
            sizing: shape.sizing,
            farewell: Farewell::End,
            opened: Notice::None,
            done: Notice::None,
            terminal: Notice::None,
            room: Room::Open,
            idle: 0,
            watch: Stopwatch::ZERO,
            send: SendHalf::new(shape.window, shape.direction.sends()),
            receive: ReceiveHalf::new(shape.window),
            failure: None,
        })
    }

    /// The stream's opening was sent or received.
    pub fn open(&mut self, now: Instant) {
        self.apply(now, Input::Open);
    }

    /// The stream's channel is there.
    pub fn attach(&mut self, limits: &Limits, now: Instant) {
        self.apply(now, Input::Attach);
        self.settle(limits, now);
    }

    /// One whole message of the channel.
    ///
    /// # Errors
    /// As [`super::Endpoint::handle_message`].
    pub fn handle_message(&mut self, limits: &Limits, now: Instant, message: Bytes) -> Result<(), Error> {
        match decode_bytes(message) {
            Ok(frame) => self.handle_frame(limits, now, frame),
            Err(error) => self.fault(limits, now, error.into()),
        }
    }

    /// One frame of the channel.
    ///
    /// # Errors
    /// As [`super::Endpoint::handle_message`].
    pub fn handle_frame(&mut self, limits: &Limits, now: Instant, frame: Frame<Bytes>) -> Result<(), Error> {
        let kind = frame.kind;
        if self.receive.has_ended() {
            self.late(limits)?;
            return Err(Error::AfterEnd { kind });
        }
        let input = match kind {
            FrameType::Data | FrameType::Last | FrameType::Credit => Input::Flow,
            FrameType::End => Input::PeerEnd,
            FrameType::Error => Input::PeerError,
            FrameType::Cancel => Input::PeerCancel,
            FrameType::Ack
            | FrameType::Ready
            | FrameType::Call
            | FrameType::Result
            | FrameType::Abort
            | FrameType::Open
            | FrameType::Reserved(_)
            | FrameType::Application(_) => return self.fault(limits, now, Error::UnknownType { kind }),
        };
        let checked = match next(self.state, input).1 {
            Effect::Move => self.handle_flow(limits, frame),
            Effect::Hear => self.handle_failure(&frame),
            Effect::Drain if self.failure.is_none() => self.handle_end(frame.id),
            Effect::Refuse => Err(Error::NotOpen { kind }),
            Effect::Nothing
            | Effect::Await
            | Effect::Opened
            | Effect::End
            | Effect::Tell
            | Effect::Drain
            | Effect::Close
            | Effect::Late => {
                if kind == FrameType::End {
                    self.receive.mark_ended();
                }
                self.apply(now, input);
                return self.late(limits);
            }
        };
        if let Err(error) = checked {
            return self.fault(limits, now, error);
        }
        self.apply(now, input);
        self.settle(limits, now);
        Ok(())
    }

    /// The channel has closed.
    ///
    /// # Errors
    /// [`Error::Closed`] when that failed the stream.
    pub fn handle_closed(&mut self, now: Instant) -> Result<(), Error> {
        let lost = match next(self.state, Input::Disconnect).1 {
            Effect::Drain | Effect::Close => self.failure.is_none(),
            Effect::Nothing
            | Effect::Await
            | Effect::Opened
            | Effect::Move
            | Effect::Hear
            | Effect::End
            | Effect::Tell
            | Effect::Late
            | Effect::Refuse => false,
        };
        if lost {
            self.failure = Some(Box::new(Failure { error: Error::Closed, words: Bytes::new() }));
        }
        self.apply(now, Input::Disconnect);
        if lost { Err(Error::Closed) } else { Ok(()) }
    }

    /// The time of [`Self::poll_timeout`] has come; too early is a no-op.
    pub fn handle_timeout(&mut self, limits: &Limits, now: Instant) {
        if self.poll_timeout(limits).is_none_or(|deadline| now < deadline) {
            return;
        }
        let error = match self.state {
            State::Opening => Error::OpenTimeout,
            State::Idle | State::Active | State::Closing(_) | State::Closed => {
                Error::Stalled { block: self.send.sent() }
            }
        };
        if self.failure.is_none() {
            self.set_failure(error);
        }
        self.apply(now, Input::Timeout);
    }

    /// Takes data for the peer.
    ///
    /// # Errors
    /// As [`super::Endpoint::write`].
    pub fn write(&mut self, limits: &Limits, now: Instant, block: Bytes) -> Result<(), WriteError> {
        match self.state {
            State::Idle | State::Opening | State::Active if !self.direction.sends() => {
                return Err(WriteError::ReceiveOnly);
            }
            State::Idle | State::Opening | State::Active => {}
            State::Closing(_) | State::Closed => return Err(WriteError::Over),
        }
        let written = self.send.write(self.sizing, limits, block);
        if matches!(written, Err(WriteError::Full { .. })) {
            self.room = Room::Refused;
        }
        self.settle(limits, now);
        written
    }

    /// Whether [`Self::write`] takes something.
    #[must_use]
    pub fn can_write(&self, limits: &Limits) -> bool {
        match self.state {
            State::Idle | State::Opening | State::Active => self.send.can_write(limits),
            State::Closing(_) | State::Closed => false,
        }
    }

    /// No more will be written.
    pub fn finish(&mut self, limits: &Limits, now: Instant) {
        self.send.finish();
        self.settle(limits, now);
    }

    /// The application failed: the peer is told `reason`.
    pub fn fail(&mut self, now: Instant, reason: &str) {
        self.stop(now, Input::Fail, Error::Aborted, || Reason::encode(reason));
    }

    /// The application wants no more of the stream, in neither direction.
    pub fn cancel(&mut self, now: Instant, reason: Option<&str>) {
        self.stop(now, Input::Cancel, Error::Cancelled, || reason.map(Reason::encode).unwrap_or_default());
    }

    /// The oldest [`Action::Data`] that was not consumed is.
    pub fn consume(&mut self) {
        self.receive.consume();
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self, limits: &Limits, now: Instant) -> Option<Transmit> {
        match self.state {
            State::Active => {}
            State::Closing(Closing::Ending | Closing::Telling) => return Some(self.poll_farewell(now)),
            State::Idle
            | State::Opening
            | State::Closing(Closing::Waiting | Closing::Hearing | Closing::Draining)
            | State::Closed => return None,
        }
        if self.direction.receives() {
            if let Some(credit) = self.receive.poll_credit(self.sizing) {
                return Some(credit);
            }
        }
        match self.send.poll(self.sizing, limits) {
            Ok(block) => {
                self.settle(limits, now);
                block
            }
            Err(error) => {
                let words = Reason::encode(&alloc::format!("{error}"));
                self.stop(now, Input::Fail, error, || words);
                Some(self.poll_farewell(now))
            }
        }
    }

    /// Whether [`Self::poll_transmit`] has something.
    #[must_use]
    pub fn has_transmit(&self, limits: &Limits) -> bool {
        match self.state {
            State::Active => {
                (self.direction.receives() && self.receive.has_transmit(self.sizing))
                    || self.send.has_transmit(self.sizing, limits)
            }
            State::Closing(Closing::Ending | Closing::Telling) => true,
            State::Idle
            | State::Opening
            | State::Closing(Closing::Waiting | Closing::Hearing | Closing::Draining)
            | State::Closed => false,
        }
    }

    /// What happened.
    pub fn poll_action(&mut self, now: Instant) -> Option<Action> {
        if self.opened.take() {
            return Some(Action::Opened);
        }
        if let Some(data) = self.receive.poll() {
            self.deliver(now);
            return Some(Action::Data(data));
        }
        if self.done.take() {
            return Some(Action::PeerDone);
        }
        if matches!(self.room, Room::Due) {
            self.room = Room::Open;
            return Some(Action::Writable);
        }
        if self.terminal.take() {
            let failed = self.failure.as_ref().map(|failure| Action::Failed(failure.error.clone()));
            return Some(failed.unwrap_or(Action::Finished));
        }
        None
    }

    /// Whether [`Self::poll_action`] has something.
    #[must_use]
    pub fn has_action(&self) -> bool {
        self.opened.is_due()
            || !self.receive.is_empty()
            || self.done.is_due()
            || matches!(self.room, Room::Due)
            || self.terminal.is_due()
    }

    /// When to call [`Self::handle_timeout`]; `None` is never.
    #[must_use]
    pub fn poll_timeout(&self, limits: &Limits) -> Option<Instant> {
        match self.state {
            State::Opening | State::Closing(Closing::Waiting) => self.watch.deadline(limits.open_timeout),
            State::Active | State::Closing(Closing::Hearing) => self.watch.deadline(limits.stall_timeout),
            State::Idle
            | State::Closing(Closing::Ending | Closing::Telling | Closing::Draining)
            | State::Closed => None,
        }
    }

    /// Whether to read on.
    #[must_use]
    pub fn wants_input(&self, limits: &Limits) -> bool {
        !self.has_ended() && self.receive.charged() < limits.receive_bytes
    }

    /// Whether the stream is over. What is left in `poll_action` is still to be taken.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Where the stream is.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The direction of the data.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// What was agreed when the stream was opened.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        Shape { direction: self.direction, window: self.send.credit().window(), sizing: self.sizing }
    }

    /// The window of what is sent.
    #[must_use]
    pub const fn credit(&self) -> Credit {
        self.send.credit()
    }

    /// The window of what is received.
    #[must_use]
    pub const fn window(&self) -> Window {
        self.receive.window()
    }

    /// Gives back the memory of queues that are empty. A stream that goes on moving would only take it again.
    pub fn shrink(&mut self) {
        self.send.shrink();
        self.receive.shrink();
    }

    fn handle_flow(&mut self, limits: &Limits, frame: Frame<Bytes>) -> Result<(), Error> {
        let Frame { kind, id, payload } = frame;
        if kind == FrameType::Credit {
            if !self.direction.sends() {
                return Err(Error::WrongDirection { kind });
            }
            return self.send.handle_credit(id, &payload);
        }
        if !self.direction.receives() {
            return Err(Error::WrongDirection { kind });
        }
        if payload.is_empty() {
            self.count_idle(limits)?;
        } else {
            self.idle = 0;
        }
        self.receive.handle_block(self.sizing, limits, (id, payload, kind == FrameType::Last))?;
        if self.receive.is_done() {
            self.done.raise();
        }
        Ok(())
    }

    /// The peer's ERROR or CANCEL.
    fn handle_failure(&mut self, frame: &Frame<Bytes>) -> Result<(), Error> {
        let error = if frame.kind == FrameType::Cancel {
            self.send.check_consumed(frame.id)?;
            let reason = (!frame.payload.is_empty()).then(|| Reason::decode(&frame.payload));
            Error::PeerCancelled { consumed: frame.id, reason }
        } else {
            Error::Remote { block: frame.id, reason: Reason::decode(&frame.payload) }
        };
        self.failure = Some(Box::new(Failure { error, words: Bytes::new() }));
        Ok(())
    }

    /// The END of a stream that went well.
    fn handle_end(&mut self, count: u32) -> Result<(), Error> {
        if self.direction.ends() {
            return Err(Error::WrongDirection { kind: FrameType::End });
        }
        if !self.send.is_done() {
            return Err(Error::EarlyEnd);
        }
        self.receive.handle_end(count)?;
        self.done.raise();
        Ok(())
    }

    /// The peer broke the protocol. Where the stream is over already, that is only one more frame without effect.
    fn fault(&mut self, limits: &Limits, now: Instant, error: Error) -> Result<(), Error> {
        if matches!(next(self.state, Input::Fault).1, Effect::Nothing) {
            return self.late(limits);
        }
        self.set_failure(error.clone());
        self.apply(now, Input::Fault);
        Err(error)
    }

    /// A frame after the end: counted, and where the peer's own fault had ended the stream, that error again.
    fn late(&mut self, limits: &Limits) -> Result<(), Error> {
        self.count_idle(limits)?;
        match &self.failure {
            Some(failure) if failure.error.is_violation() => Err(failure.error.clone()),
            Some(_) | None => Ok(()),
        }
    }

    fn count_idle(&mut self, limits: &Limits) -> Result<(), Error> {
        let limit = limits.max_idle_frames;
        if self.idle >= limit {
            return Err(Error::TooManyIdle { limit });
        }
        self.idle = self.idle.saturating_add(1);
        Ok(())
    }

    /// Fails the stream with an error whose text the peer is told.
    fn set_failure(&mut self, error: Error) {
        let words = Reason::encode(&alloc::format!("{error}"));
        self.farewell = Farewell::Error;
        self.failure = Some(Box::new(Failure { error, words }));
    }

    /// A verb that ends the stream, where it still can.
    fn stop(&mut self, now: Instant, input: Input, error: Error, words: impl FnOnce() -> Bytes) {
        if matches!(next(self.state, input).1, Effect::Nothing) {
            return;
        }
        self.farewell = if input == Input::Cancel { Farewell::Cancel } else { Farewell::Error };
        self.failure = Some(Box::new(Failure { error, words: words() }));
        self.apply(now, input);
    }

    /// ERROR or CANCEL, and then END.
    fn poll_farewell(&mut self, now: Instant) -> Transmit {
        let words = self.failure.as_ref().map(|failure| failure.words.clone()).unwrap_or_default();
        let frame = match self.farewell {
            Farewell::Error => {
                let theirs = self.failure.as_ref().is_some_and(|failure| failure.error.is_violation());
                let received = theirs || !self.direction.sends();
                let at = if received { self.receive.received() } else { self.send.sent() };
                Frame::new(FrameType::Error, at, words)
            }
            Farewell::Cancel => Frame::new(FrameType::Cancel, self.receive.consumed(), words),
            Farewell::End => {
                let count = self.send.sent();
                self.apply(now, Input::Told);
                return Frame::new(FrameType::End, count, Bytes::new()).encode();
            }
        };
        self.farewell = Farewell::End;
        frame.encode()
    }

    /// Takes the step of the table.
    fn apply(&mut self, now: Instant, input: Input) {
        let (state, effect) = next(self.state, input);
        self.state = state;
        match effect {
            Effect::Nothing | Effect::Move | Effect::Late | Effect::Refuse => {}
            Effect::Await => self.watch.start(now),
            Effect::Opened => {
                self.watch = Stopwatch::ZERO;
                self.opened.raise();
            }
            Effect::Hear => {
                self.send.stop();
                self.room = Room::Open;
                self.watch = Stopwatch::ZERO;
                self.watch.start(now);
            }
            Effect::End => self.farewell = Farewell::End,
            Effect::Tell => {
                self.send.stop();
                self.receive.stop();
                self.room = Room::Open;
                self.done = Notice::Given;
            }
            Effect::Drain => {
                self.send.stop();
                self.room = Room::Open;
                self.deliver(now);
            }
            Effect::Close => {
                self.send.stop();
                self.receive.stop();
                self.room = Room::Open;
                self.terminal.raise();
            }
        }
    }

    /// A stream that only had to deliver is closed once it has.
    fn deliver(&mut self, now: Instant) {
        if self.receive.is_empty() {
            match self.state {
                State::Closing(Closing::Draining) => self.apply(now, Input::Delivered),
                State::Idle | State::Opening | State::Active | State::Closing(_) | State::Closed => {}
            }
        }
    }

    /// After every step of an open stream: whether it is complete, whether it waits, whether there is room.
    fn settle(&mut self, limits: &Limits, now: Instant) {
        if matches!(self.room, Room::Refused) && self.send.can_write(limits) {
            self.room = Room::Due;
        }
        if !matches!(self.state, State::Active) {
            return;
        }
        let done = self.send.is_done() && (!self.direction.receives() || self.receive.is_done());
        if done && self.direction.ends() {
            return self.apply(now, Input::Complete);
        }
        if done {
            // Only the peer's END is missing.
            if !self.watch.runs() {
                self.watch = Stopwatch::ZERO;
            }
            self.watch.start(now);
        } else if self.send.is_blocked(self.sizing, limits) {
            if self.send.keeps_pace() {
                self.watch.restart(now);
            }
            self.watch.start(now);
        } else if self.send.is_empty() {
            self.send.reset_pace();
            self.watch = Stopwatch::ZERO;
        } else {
            self.watch.stop(now);
        }
    }
}
