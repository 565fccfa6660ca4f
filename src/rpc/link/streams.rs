//! The streams of calls: their channels, their actions, their deadlines.

use bytes::Bytes;

use super::call::Incoming;
use super::upkeep::{Body, Stream, Streams};
use super::{Action, Life, Link, Queued};
use crate::Transmit;
use crate::frame::FrameType;
use crate::rpc::control::Message;
use crate::rpc::{CallError, Error, Misuse, STREAMING};
use crate::stream::{self, Core, Direction, Role, Shape};
use crate::time::Instant;

impl Link {
    /// Opens a stream on a call of the peer's; `direction` is seen from here. Its number is that of its channel.
    ///
    /// In a batch no channel is opened: what is written is collected, and what the caller gave is delivered.
    ///
    /// # Errors
    /// [`Misuse`]; nothing was opened.
    pub fn open_stream(&mut self, now: Instant, call: u32, shape: Shape) -> Result<u32, Misuse> {
        self.tell(now);
        let streaming = self.both(STREAMING);
        let open = self.is_open();
        let incoming = self.incoming.find(call).filter(|incoming| incoming.is_running() && open);
        let incoming = incoming.ok_or(Misuse::NoCall { call })?;
        let is_batch = incoming.batch.is_some();
        if !streaming && !is_batch {
            return Err(Misuse::NoStreaming);
        }
        if let Some(limit) = self.too_many(incoming.streams) {
            return Err(Misuse::TooManyStreams { limit });
        }
        let stream = match self.our_streams {
            0 => self.config.role.first(),
            last => last.checked_add(2).ok_or(Misuse::StreamsExhausted)?,
        };
        let direction = match shape.direction {
            Direction::Both(_) => Direction::Both(Role::Responder),
            one_way @ (Direction::Send | Direction::Receive) => one_way,
        };
        let shape = Shape { direction, ..shape };
        let mut core = Core::new(shape)?;
        self.our_streams = stream;
        if is_batch {
            self.add(stream, call, Body::Batch);
            self.begin_batch(stream, call, shape);
            return Ok(stream);
        }
        core.open(self.now);
        self.add(stream, call, Body::Live(core));
        self.enqueue(Queued::Open(stream, shape, Message::Open { call, stream, shape }.encode()));
        self.touch(stream);
        Ok(stream)
    }

    /// The channel of a stream is there.
    pub fn channel_attached(&mut self, now: Instant, channel: u32) {
        self.drive(now, channel, Core::attach);
    }

    /// The channel of a stream could not be attached: the stream fails.
    pub fn channel_failed(&mut self, now: Instant, channel: u32) {
        self.channel_closed(now, channel);
    }

    /// The channel of a stream has closed: the stream fails unless it was over.
    pub fn channel_closed(&mut self, now: Instant, channel: u32) {
        // Failing the stream is all it does, and that shows as an action.
        self.drive(now, channel, |core, _, now| core.handle_closed(now).unwrap_or_default());
    }

    /// One whole message of a stream's channel.
    ///
    /// # Errors
    /// What ended the link, now or before. An error of the stream is an action.
    pub fn handle_channel_message(
        &mut self,
        now: Instant,
        channel: u32,
        message: Bytes,
    ) -> Result<(), Error> {
        self.tell(now);
        match &self.life {
            Life::Waiting { .. } | Life::Ready { .. } => {}
            Life::Closing { end } | Life::Over { end } => return end.clone(),
        }
        self.on_frame(channel, message).map_err(|error| self.fail(error))
    }

    /// The next channel that has something to send, each once until it has something new. `None`: none has.
    pub fn poll_channel(&mut self) -> Option<u32> {
        while let Some(channel) = self.sending.pop_front() {
            if let Some(stream) = self.streams.find_mut(channel) {
                stream.is_sending = false;
                return Some(channel);
            }
        }
        None
    }

    /// The next message of a channel. Call it only while the channel has room.
    pub fn poll_channel_transmit(&mut self, channel: u32) -> Option<Transmit> {
        let now = self.now;
        let core = self.streams.find_mut(channel).and_then(Stream::core)?;
        let message = core.poll_transmit(&self.config.stream, now);
        if message.is_some() {
            self.touch_quietly(channel);
        }
        message
    }

    /// Writes an item, or some bytes, to a stream.
    ///
    /// # Errors
    /// [`Misuse`]; nothing was taken and nothing ends.
    pub fn write(&mut self, now: Instant, stream: u32, data: Bytes) -> Result<(), Misuse> {
        self.tell(now);
        let now = self.now;
        let found = self.streams.find_mut(stream).ok_or(Misuse::NoStream { stream })?;
        let call = found.call;
        match &mut found.body {
            Body::Live(core) => {
                let written = core.write(&self.config.stream, now, data);
                self.touch(stream);
                written.map_err(Misuse::Write)
            }
            Body::Muted(_) => Err(Misuse::NoStream { stream }),
            Body::Batch => self.collect(call, &data),
        }
    }

    /// Whether [`Self::write`] takes something.
    #[must_use]
    pub fn can_write(&self, stream: u32) -> bool {
        let Some(found) = self.streams.find(stream) else { return false };
        match &found.body {
            Body::Live(core) => core.can_write(&self.config.stream),
            Body::Batch => self.incoming.find(found.call).is_some_and(Incoming::collects),
            Body::Muted(_) => false,
        }
    }

    /// Nothing more will be written to a stream.
    pub fn finish(&mut self, now: Instant, stream: u32) {
        if !self.end_batch(stream, None) {
            self.drive(now, stream, Core::finish);
        }
    }

    /// This side fails a stream: the peer gets ERROR with `reason`, and END.
    pub fn fail_stream(&mut self, now: Instant, stream: u32, reason: &str) {
        if !self.end_batch(stream, Some(stream::Error::Aborted)) {
            self.drive(now, stream, |core, _, now| core.fail(now, reason));
        }
    }

    /// This side wants no more of a stream: the peer gets CANCEL and END.
    pub fn cancel_stream(&mut self, now: Instant, stream: u32, reason: Option<&str>) {
        if !self.end_batch(stream, Some(stream::Error::Cancelled)) {
            self.drive(now, stream, |core, _, now| core.cancel(now, reason));
        }
    }

    /// The oldest data of a stream that was not consumed is.
    pub fn consume(&mut self, now: Instant, stream: u32) {
        self.drive(now, stream, |core, _, _| core.consume());
    }

    /// What may still come for streams that were never opened here, but for the message in hand: a mux that closes their
    /// channels counts it instead.
    pub(in crate::rpc) fn take_late(&mut self) -> u32 {
        let late = u32::try_from(self.late.saturating_sub(1)).unwrap_or(u32::MAX);
        self.late = self.late.saturating_sub(u64::from(late));
        late
    }

    /// A mux counts what may still come on a channel that it closes, so the link does not.
    pub(in crate::rpc) const fn hand_over(&mut self, late: u32) {
        self.late = self.late.saturating_sub(late as u64);
    }

    /// Whether to read on in a stream's channel, where each has a transport of its own: not while `receive_bytes` of it
    /// wait to be polled. On one pipe the windows are the bound.
    #[must_use]
    pub fn wants_channel_input(&self, channel: u32) -> bool {
        match self.streams.find(channel).map(|found| &found.body) {
            Some(Body::Live(core) | Body::Muted(core)) => core.wants_input(&self.config.stream),
            Some(Body::Batch) | None => false,
        }
    }

    /// How many streams are open.
    #[must_use]
    pub const fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// OPEN of the peer's, on a call of ours.
    pub(super) fn on_open(&mut self, call: u32, stream: u32, shape: Shape) -> Result<(), Error> {
        if self.config.role.owns(stream) || stream <= self.their_streams {
            return Err(Error::StreamNumber { stream });
        }
        self.their_streams = stream;
        let excessive = shape.window > self.config.max_window(shape);
        let limit = self.config.max_call_streams;
        let Some(outgoing) = self.outgoing.find_mut(call) else { return self.ignore() };
        if let Some(crossed) = outgoing.crossed() {
            if excessive || *crossed >= limit {
                return self.ignore();
            }
            // It crossed with our ABORT: the peer cancels it, and nobody attaches its channel.
            *crossed = crossed.saturating_add(1);
            self.expect_late(shape);
            return Ok(());
        }
        if !outgoing.is_running() {
            return self.ignore();
        }
        let streams = outgoing.streams;
        if let Some(limit) = self.too_many(streams) {
            self.count_failure()?;
            if !excessive {
                self.expect_late(shape);
            }
            self.give_up(call, CallError::TooManyStreams { limit }).unwrap_or_default();
            return Ok(());
        }
        let shape = shape.reversed();
        let Ok(mut core) = Core::new(shape) else { return self.ignore() };
        core.open(self.now);
        if excessive {
            self.count_failure()?;
            core.cancel(self.now, Some("the window is too large"));
        }
        self.add(stream, call, Body::Live(core));
        self.actions.push_back(Action::OpenChannel { channel: stream, call, shape });
        self.touch(stream);
        Ok(())
    }

    /// A stream of the peer's that has no place here: what it may send before it hears of that is nobody's fault (RPC-21).
    fn expect_late(&mut self, shape: Shape) {
        // Its blocks and their mark, ERROR or CANCEL, and END.
        self.late = self.late.saturating_add(u64::from(shape.window)).saturating_add(3);
    }

    /// The OPEN of a stream of ours is on its way: the channel may follow. `false`: the stream is over, and nobody needs
    /// to hear of it.
    pub(super) fn opening_sent(&mut self, stream: u32, shape: Shape) -> bool {
        let Some(found) = self.streams.find_mut(stream) else { return false };
        if found.core().is_none_or(|core| core.has_ended()) {
            return false;
        }
        found.is_announced = true;
        self.actions.push_back(Action::OpenChannel { channel: stream, call: found.call, shape });
        true
    }

    /// The next action of a stream.
    pub(super) fn poll_streams(&mut self) -> Option<Action> {
        while let Some(stream) = self.busy.front().copied() {
            let now = self.now;
            let found = self.streams.find_mut(stream);
            let muted = matches!(found, Some(Stream { body: Body::Muted(_), .. }));
            let Some(action) = found.and_then(Stream::core).and_then(|core| core.poll_action(now)) else {
                self.busy.pop_front();
                if let Some(found) = self.streams.find_mut(stream) {
                    found.is_busy = false;
                    self.touch(stream);
                }
                continue;
            };
            let told = self.stream_action(stream, action);
            if told.is_some() && !muted {
                return told;
            }
            if muted && !self.actions.is_empty() {
                return self.actions.pop_front();
            }
        }
        None
    }

    fn stream_action(&mut self, stream: u32, action: stream::Action) -> Option<Action> {
        Some(match action {
            stream::Action::Opened => {
                let found = self.streams.find_mut(stream)?;
                let call = found.call;
                Action::StreamOpened { stream, call, shape: found.core()?.shape() }
            }
            stream::Action::Data(data) => Action::Data { stream, data },
            stream::Action::PeerDone => Action::PeerDone { stream },
            stream::Action::Writable => Action::Writable { stream },
            stream::Action::Finished => {
                self.release(stream, false);
                Action::StreamFinished { stream }
            }
            stream::Action::Failed(error) => {
                // What the application itself has ended is nothing to recover from.
                let ours = matches!(error, stream::Error::Cancelled | stream::Error::Aborted);
                self.release(stream, !ours);
                Action::StreamFailed { stream, error }
            }
        })
    }

    /// The peer is done with these streams: their ends are on the way, or it would hold them for ever (RPC-16).
    pub(super) fn expect_ends(&mut self, streams: Streams) {
        for stream in self.list(Some(streams)) {
            self.drive(self.now, stream, Core::expect_end);
        }
    }

    /// The streams of a call of ours that was aborted are over for the application.
    pub(super) fn mute_streams(&mut self, call: u32) {
        let list = self.outgoing.find(call).map(|outgoing| outgoing.streams);
        for stream in self.list(list) {
            self.drive(self.now, stream, Core::give_up);
            let Some(found) = self.streams.find_mut(stream) else { continue };
            match core::mem::replace(&mut found.body, Body::Batch) {
                Body::Live(core) => {
                    found.body = Body::Muted(core);
                    let error = stream::Error::Cancelled;
                    self.actions.push_back(Action::StreamFailed { stream, error });
                }
                body @ (Body::Muted(_) | Body::Batch) => found.body = body,
            }
        }
    }

    /// The streams of a call that the peer aborted are cancelled.
    pub(super) fn cancel_streams(&mut self, call: u32) {
        let list = self.incoming.find(call).map(|incoming| incoming.streams);
        let now = self.now;
        for stream in self.list(list) {
            self.cancel_stream(now, stream, None);
        }
    }

    /// The link is over: so is the stream, after what had arrived.
    pub(super) fn end_stream(&mut self, stream: u32) {
        let now = self.now;
        if self.end_batch(stream, Some(stream::Error::Closed)) {
            return;
        }
        self.channel_closed(now, stream);
        let idle = self.streams.find(stream).is_some_and(|found| !found.is_busy);
        if idle {
            self.release(stream, true);
        }
    }

    fn on_frame(&mut self, channel: u32, message: Bytes) -> Result<(), Error> {
        let kind = message.first().copied().map(FrameType::from);
        let now = self.now;
        let found = self.streams.find_mut(channel);
        // What answers our own ABORT is not the peer's giving up.
        let is_muted = matches!(&found, Some(Stream { body: Body::Muted(_), .. }));
        let Some(core) = found.and_then(Stream::core) else {
            return match self.late.checked_sub(1) {
                Some(late) => {
                    self.late = late;
                    Ok(())
                }
                None => self.ignore(),
            };
        };
        let was_over = core.has_ended();
        // A message on the channel says that it is there; the driver's own word may come later.
        core.attach(&self.config.stream, now);
        // Nor is what crosses with our own CANCEL or ERROR.
        let gives_up = !is_muted
            && matches!(core.state(), stream::State::Active)
            && matches!(kind, Some(FrameType::Cancel | FrameType::Error));
        let handled = core.handle_message(&self.config.stream, now, message);
        self.touch(channel);
        match handled {
            Err(_) if was_over => self.ignore(),
            Err(_) => self.count_failure(),
            Ok(()) if gives_up => self.count_reset(),
            Ok(()) => Ok(()),
        }
    }
}
