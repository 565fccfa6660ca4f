//! The steps of a stream: what the table's effects do, and what follows from them.

use alloc::boxed::Box;

use bytes::Bytes;

use super::super::action::{Notice, Room};
use super::super::config::Limits;
use super::super::error::Error;
use super::super::lifecycle::{Closing, Effect, Input, State, next};
use super::super::stopwatch::Stopwatch;
use super::{Core, Failure, Farewell, Outlook};
use crate::Transmit;
use crate::frame::{Frame, FrameType, Reason};
use crate::time::Instant;

impl Core {
    #[inline]
    pub(super) fn handle_flow(
        &mut self,
        limits: &Limits,
        kind: FrameType,
        id: u32,
        payload: Bytes,
    ) -> Result<(), Error> {
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
        self.receive.handle_block(
            &mut self.store,
            self.sizing,
            limits,
            id,
            payload,
            kind == FrameType::Last,
        )?;
        if self.receive.is_done() {
            self.done.raise();
        }
        Ok(())
    }

    /// The peer's ERROR or CANCEL.
    pub(super) fn handle_failure(&mut self, kind: FrameType, id: u32, payload: &Bytes) -> Result<(), Error> {
        let error = if kind == FrameType::Cancel {
            self.send.check_consumed(id)?;
            let reason = (!payload.is_empty()).then(|| Reason::decode(payload));
            Error::PeerCancelled { consumed: id, reason }
        } else {
            Error::Remote { block: id, reason: Reason::decode(payload) }
        };
        self.failure = Some(Box::new(Failure { error, words: Bytes::new() }));
        Ok(())
    }

    /// The END of a stream that went well.
    pub(super) fn handle_end(&mut self, count: u32) -> Result<(), Error> {
        if self.direction.ends() {
            return Err(Error::WrongDirection { kind: FrameType::End });
        }
        // On a one-way stream END also stands for LAST (STREAM-5); a responder has to have said it.
        let is_due = self.send.is_done() && (!self.direction.sends() || self.receive.is_done());
        if !is_due {
            return Err(Error::EarlyEnd);
        }
        self.receive.handle_end(count)?;
        self.done.raise();
        Ok(())
    }

    /// The peer broke the protocol. Where the stream is over already, that is only one more frame without effect.
    pub(super) fn fault(&mut self, limits: &Limits, now: Instant, error: Error) -> Result<(), Error> {
        if matches!(next(self.state, Input::Fault).1, Effect::Nothing) {
            return self.late(limits);
        }
        self.set_failure(error.clone());
        self.apply(now, Input::Fault);
        Err(error)
    }

    /// A frame after the end: where the peer's own fault had ended the stream, that error again; otherwise counted.
    pub(super) fn late(&mut self, limits: &Limits) -> Result<(), Error> {
        match &self.failure {
            Some(failure) if failure.error.is_violation() => Err(failure.error.clone()),
            Some(_) | None => self.count_idle(limits),
        }
    }

    pub(super) fn count_idle(&mut self, limits: &Limits) -> Result<(), Error> {
        let limit = limits.max_idle_frames;
        if self.idle >= limit {
            return Err(Error::TooManyIdle { limit });
        }
        self.idle = self.idle.saturating_add(1);
        Ok(())
    }

    /// Fails the stream with an error whose text the peer is told.
    pub(super) fn set_failure(&mut self, error: Error) {
        let words = Reason::encode(&alloc::format!("{error}"));
        self.farewell = Farewell::Error;
        self.failure = Some(Box::new(Failure { error, words }));
    }

    /// A verb that ends the stream, where it still can.
    pub(super) fn stop(&mut self, now: Instant, input: Input, error: Error, words: impl FnOnce() -> Bytes) {
        if matches!(next(self.state, input).1, Effect::Nothing) {
            return;
        }
        self.farewell = if input == Input::Cancel { Farewell::Cancel } else { Farewell::Error };
        self.failure = Some(Box::new(Failure { error, words: words() }));
        self.apply(now, input);
    }

    /// DATA, LAST or CREDIT.
    pub(super) fn poll_flow(&mut self, limits: &Limits, now: Instant) -> Option<Transmit> {
        if self.direction.receives() {
            if let Some(credit) = self.receive.poll_credit(self.sizing, limits) {
                return Some(credit);
            }
        }
        match self.send.poll(&mut self.store, self.sizing, limits) {
            Ok(block) => {
                self.settle(limits, now);
                block
            }
            Err(error) => Some(self.exhausted(now, error)),
        }
    }

    /// Sending has failed here: the peer is told so.
    #[cold]
    fn exhausted(&mut self, now: Instant, error: Error) -> Transmit {
        let words = Reason::encode(&alloc::format!("{error}"));
        self.stop(now, Input::Fail, error, || words);
        self.poll_farewell(now)
    }

    /// ERROR or CANCEL, and then END.
    pub(super) fn poll_farewell(&mut self, now: Instant) -> Transmit {
        let frame = match self.farewell {
            Farewell::Error => {
                let theirs = self.failure.as_ref().is_some_and(|failure| failure.error.is_violation());
                let received = theirs || !self.direction.sends();
                let at = if received { self.receive.received() } else { self.send.sent() };
                Frame::new(FrameType::Error, at, self.words())
            }
            Farewell::Cancel => Frame::new(FrameType::Cancel, self.receive.consumed(), self.words()),
            Farewell::End => {
                let count = self.send.sent();
                self.apply(now, Input::Told);
                return Frame::new(FrameType::End, count, Bytes::new()).encode();
            }
        };
        self.farewell = Farewell::End;
        frame.encode()
    }

    fn words(&self) -> Bytes {
        self.failure.as_ref().map(|failure| failure.words.clone()).unwrap_or_default()
    }

    /// Takes the step of the table.
    #[inline]
    pub(super) fn apply(&mut self, now: Instant, input: Input) {
        let (state, effect) = next(self.state, input);
        self.enter(now, state, effect);
    }

    /// The state, and what it asks for: a step that was looked up.
    #[inline]
    pub(super) fn enter(&mut self, now: Instant, state: State, effect: Effect) {
        self.state = state;
        match effect {
            Effect::Nothing | Effect::Move | Effect::Late | Effect::Refuse => {}
            Effect::Await => self.watch.start(now),
            Effect::Opened => {
                self.watch = Stopwatch::ZERO;
                self.opened.raise();
            }
            Effect::Hear => self.hear(now),
            Effect::End => self.farewell = Farewell::End,
            Effect::Tell => self.tell(),
            Effect::Drain => self.drain(now),
            Effect::Close => self.close(),
        }
    }

    #[cold]
    fn hear(&mut self, now: Instant) {
        self.stop_sending();
        self.watch = Stopwatch::ZERO;
        self.watch.start(now);
    }

    #[cold]
    fn tell(&mut self) {
        self.stop_sending();
        self.store.drop_arrived();
        self.done = Notice::Given;
    }

    #[inline]
    fn drain(&mut self, now: Instant) {
        self.stop_sending();
        self.deliver(now);
    }

    #[inline]
    fn close(&mut self) {
        self.stop_sending();
        self.store.drop_arrived();
        self.terminal.raise();
    }

    #[inline]
    fn stop_sending(&mut self) {
        self.send.stop();
        self.store.drop_waiting();
        self.room = Room::Open;
    }

    /// A stream that only had to deliver is closed once it has.
    #[inline]
    pub(super) fn deliver(&mut self, now: Instant) {
        if !self.store.has_arrived() {
            match self.state {
                State::Closing(Closing::Draining) => self.apply(now, Input::Delivered),
                State::Active if matches!(self.outlook, Outlook::EndDue) => self.watch.start(now),
                State::Idle | State::Opening | State::Active | State::Closing(_) | State::Closed => {}
            }
        }
    }

    /// END is due though the stream is not done. What waits to be polled may keep the driver from reading on to it.
    fn await_end(&mut self, now: Instant) {
        if !self.store.has_arrived() {
            self.watch.start(now);
        } else {
            self.watch = Stopwatch::ZERO;
        }
    }

    /// After every step of an open stream: whether it is complete, whether it waits, whether there is room.
    #[inline(always)]
    pub(super) fn settle(&mut self, limits: &Limits, now: Instant) {
        if matches!(self.room, Room::Refused) && self.send.can_write(&self.store, limits) {
            self.room = Room::Due;
        }
        if !matches!(self.state, State::Active) {
            return;
        }
        if self.is_complete() {
            return self.complete(now);
        }
        match self.outlook {
            Outlook::Open => {}
            Outlook::GivenUp => return self.watch.start(now),
            Outlook::EndDue => return self.await_end(now),
        }
        if self.store.first_waiting().is_none() {
            self.send.reset_pace();
            self.watch = Stopwatch::ZERO;
        } else if self.send.is_blocked(&self.store, self.sizing, limits) {
            if self.send.keeps_pace() {
                self.watch.restart(now);
            }
            self.watch.start(now);
        } else {
            self.watch.stop(now);
        }
    }

    /// Whether both directions are done.
    #[inline(always)]
    pub(super) const fn is_complete(&self) -> bool {
        self.send.is_done() && (!self.direction.receives() || self.receive.is_done())
    }

    /// Both directions are done.
    fn complete(&mut self, now: Instant) {
        if self.direction.ends() {
            return self.apply(now, Input::Complete);
        }
        // Only the peer's END is missing.
        if !self.watch.runs() {
            self.watch = Stopwatch::ZERO;
        }
        self.watch.start(now);
    }
}
