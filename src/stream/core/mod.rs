//! One end of a stream without its limits and its clock: what a program with a million of them keeps for each.
//!
//! The same machine as [`super::Endpoint`], with the [`Limits`] that many streams share, and the time, given to each
//! call. An idle one takes at most 128 bytes and nothing on the heap, and so does one that holds a single block.

mod steps;

use alloc::boxed::Box;

use bytes::{Buf, Bytes};

use super::action::{Action, Notice, Room};
use super::config::{ConfigError, Direction, Limits, Shape};
use super::error::{Error, WriteError};
use super::lifecycle::{Closing, Effect, Input, State, next};
use super::receive::ReceiveHalf;
use super::send::SendHalf;
use super::size::Sizing;
use super::stopwatch::Stopwatch;
use super::store::Store;
use super::window::{Credit, Window};
use crate::Transmit;
use crate::frame::{Frame, FrameType, HEADER_LEN, Reason, decode};
use crate::time::Instant;

/// The frame that goes out next when the stream is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Farewell {
    Error,
    Cancel,
    End,
}

/// What is known of the peer's END besides what the stream itself tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outlook {
    Open,
    /// The peer is done with the stream: END is due.
    EndDue,
    /// Nobody here wants the stream any more: END is due, whatever else comes.
    GivenUp,
}

/// Why the stream failed, and the payload that tells the peer.
#[derive(Clone, Debug, Hash)]
struct Failure {
    error: Error,
    words: Bytes,
}

/// One end of a stream. See [`super::Endpoint`] for what each call does; the calls here take the limits and the
/// time in addition.
///
/// Its `Hash` covers all that its future depends on: a program that explores states tells them apart by it.
#[derive(Clone, Debug, Hash)]
pub struct Core {
    state: State,
    direction: Direction,
    sizing: Sizing,
    farewell: Farewell,
    opened: Notice,
    done: Notice,
    terminal: Notice,
    room: Room,
    outlook: Outlook,
    /// Frames without effect in a row.
    idle: u32,
    /// Runs while the peer has to do something.
    watch: Stopwatch,
    send: SendHalf,
    receive: ReceiveHalf,
    store: Store,
    failure: Option<Box<Failure>>,
}

impl Core {
    /// A stream of which nothing was said yet.
    ///
    /// # Errors
    /// [`ConfigError`] for a shape with which nothing could ever be sent.
    #[inline]
    pub fn new(shape: Shape) -> Result<Self, ConfigError> {
        shape.check()?;
        Ok(Self::at(State::Idle, Notice::None, shape))
    }

    /// A stream whose channel is there from the start, as those of a mux are: as after `new`, `open`, `attach` and
    /// [`Action::Opened`].
    ///
    /// # Errors
    /// As [`Self::new`].
    #[inline]
    pub fn attached(shape: Shape) -> Result<Self, ConfigError> {
        shape.check()?;
        Ok(Self::at(State::Active, Notice::Given, shape))
    }

    #[inline]
    const fn at(state: State, opened: Notice, shape: Shape) -> Self {
        Self {
            state,
            direction: shape.direction,
            sizing: shape.sizing,
            farewell: Farewell::End,
            opened,
            done: Notice::None,
            terminal: Notice::None,
            room: Room::Open,
            outlook: Outlook::Open,
            idle: 0,
            watch: Stopwatch::ZERO,
            send: SendHalf::new(shape.window, shape.direction.sends()),
            receive: ReceiveHalf::new(shape.window),
            store: Store::new(),
            failure: None,
        }
    }

    /// The stream's opening was sent or received.
    #[inline]
    pub fn open(&mut self, now: Instant) {
        self.apply(now, Input::Open);
    }

    /// The stream's channel is there.
    #[inline]
    pub fn attach(&mut self, limits: &Limits, now: Instant) {
        self.apply(now, Input::Attach);
        self.settle(limits, now);
    }

    /// One whole message of the channel.
    ///
    /// # Errors
    /// As [`super::Endpoint::handle_message`].
    pub fn handle_message(&mut self, limits: &Limits, now: Instant, mut message: Bytes) -> Result<(), Error> {
        let (kind, id) = match decode(&message) {
            Ok(Frame { kind, id, payload: _ }) => (kind, id),
            Err(error) => return self.fault(limits, now, error.into()),
        };
        message.advance(HEADER_LEN);
        self.handle_parts(limits, now, kind, id, message)
    }

    /// One frame of the channel.
    ///
    /// # Errors
    /// As [`super::Endpoint::handle_message`].
    pub fn handle_frame(&mut self, limits: &Limits, now: Instant, frame: Frame<Bytes>) -> Result<(), Error> {
        self.handle_parts(limits, now, frame.kind, frame.id, frame.payload)
    }

    #[inline(always)]
    fn handle_parts(
        &mut self,
        limits: &Limits,
        now: Instant,
        kind: FrameType,
        id: u32,
        payload: Bytes,
    ) -> Result<(), Error> {
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
        let (state, effect) = next(self.state, input);
        let checked = match effect {
            Effect::Move => self.handle_flow(limits, kind, id, payload),
            Effect::Hear => self.handle_failure(kind, id, &payload),
            Effect::Drain if self.failure.is_none() => self.handle_end(id),
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
                self.enter(now, state, effect);
                return self.late(limits);
            }
        };
        if let Err(error) = checked {
            return self.fault(limits, now, error);
        }
        self.enter(now, state, effect);
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
        let written = self.send.write(&mut self.store, self.sizing, limits, block);
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
            State::Idle | State::Opening | State::Active => self.send.can_write(&self.store, limits),
            State::Closing(_) | State::Closed => false,
        }
    }

    /// No more will be written.
    #[inline]
    pub fn finish(&mut self, limits: &Limits, now: Instant) {
        self.send.finish();
        self.settle(limits, now);
    }

    /// The peer has said elsewhere that it is done with the stream: its END is due within `stall_timeout`.
    pub fn expect_end(&mut self, limits: &Limits, now: Instant) {
        match self.outlook {
            Outlook::Open => self.look_to_end(limits, now, Outlook::EndDue),
            Outlook::EndDue | Outlook::GivenUp => self.settle(limits, now),
        }
    }

    /// This side has given the stream up on another channel: END is due within `stall_timeout`, and what still comes does
    /// not put it off.
    pub(crate) fn give_up(&mut self, limits: &Limits, now: Instant) {
        self.look_to_end(limits, now, Outlook::GivenUp);
    }

    fn look_to_end(&mut self, limits: &Limits, now: Instant, outlook: Outlook) {
        match (self.state, self.outlook) {
            // Only END is missing, and its time runs.
            (State::Active, Outlook::Open) if self.is_complete() => {}
            (State::Active, Outlook::Open) => self.watch = Stopwatch::ZERO,
            (State::Idle | State::Opening | State::Closing(_) | State::Closed, _)
            | (State::Active, Outlook::EndDue | Outlook::GivenUp) => {}
        }
        self.outlook = outlook;
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
    #[inline]
    pub fn consume(&mut self) {
        self.receive.consume(&mut self.store);
    }

    /// The next message to send.
    #[inline]
    pub fn poll_transmit(&mut self, limits: &Limits, now: Instant) -> Option<Transmit> {
        match self.state {
            State::Active => self.poll_flow(limits, now),
            State::Closing(Closing::Ending | Closing::Telling) => Some(self.poll_farewell(now)),
            State::Idle
            | State::Opening
            | State::Closing(Closing::Waiting | Closing::Hearing | Closing::Draining)
            | State::Closed => None,
        }
    }

    /// Whether [`Self::poll_transmit`] has something.
    #[inline(always)]
    #[must_use]
    pub fn has_transmit(&self, limits: &Limits) -> bool {
        match self.state {
            State::Active => {
                (self.direction.receives() && self.receive.has_transmit(self.sizing, limits))
                    || self.send.has_transmit(&self.store, self.sizing, limits)
            }
            State::Closing(Closing::Ending | Closing::Telling) => true,
            State::Idle
            | State::Opening
            | State::Closing(Closing::Waiting | Closing::Hearing | Closing::Draining)
            | State::Closed => false,
        }
    }

    /// What happened.
    #[inline]
    pub fn poll_action(&mut self, now: Instant) -> Option<Action> {
        if self.opened.take() {
            return Some(Action::Opened);
        }
        if self.store.has_arrived() {
            return self.next_data(now);
        }
        if self.done.take() {
            return Some(Action::PeerDone);
        }
        if matches!(self.room, Room::Due) {
            self.room = Room::Open;
            return Some(Action::Writable);
        }
        if self.terminal.take() {
            return Some(match &self.failure {
                None => Action::Finished,
                Some(failure) => Action::Failed(failure.error.clone()),
            });
        }
        None
    }

    fn next_data(&mut self, now: Instant) -> Option<Action> {
        let data = self.store.pop_arrived()?;
        self.deliver(now);
        Some(Action::Data(data))
    }

    /// Whether [`Self::poll_action`] has something.
    #[inline]
    #[must_use]
    pub fn has_action(&self) -> bool {
        self.opened.is_due()
            || self.store.has_arrived()
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
        !self.has_ended() && self.store.arrived_charge() < limits.receive_bytes
    }

    /// Whether the stream is over. What is left in `poll_action` is still to be taken.
    #[inline]
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

    /// How many messages of the peer's may still be under way when the stream is over here (STREAM-18): a block for each
    /// unit that the peer was granted and its mark, a CREDIT for each unit that it was sent, ERROR or CANCEL, and END.
    pub(crate) const fn under_way(&self) -> u32 {
        if self.receive.has_ended() {
            return 0;
        }
        let blocks = if self.direction.receives() { self.window().granted().saturating_add(1) } else { 0 };
        let credit = self.credit();
        let grants =
            if self.direction.sends() { credit.window().saturating_sub(credit.available()) } else { 0 };
        blocks.saturating_add(grants).saturating_add(2)
    }

    /// Whether nothing waits in either direction, and nothing that was handed out is still to be consumed.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.store.first_waiting().is_none() && self.store.is_consumed()
    }

    /// Bytes on the heap, for the tests that hold the cost of an idle stream.
    #[cfg(test)]
    pub(crate) fn heap(&self) -> usize {
        let failure = self.failure.as_ref().map_or(0, |_| size_of::<Failure>());
        self.store.heap().saturating_add(failure)
    }

    /// Gives back the memory of queues that are empty. A stream that goes on moving would only take it again.
    pub fn shrink(&mut self) {
        self.store.shrink();
    }
}
