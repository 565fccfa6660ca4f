//! What is kept for each stream, and what is done after each of its steps: its actions, its channel's messages, its
//! deadline, its place among the streams of its call.

use alloc::vec::Vec;

use super::{Action, Link};
use crate::rpc::slab::NIL;
use crate::stream::{self, Core, Shape};
use crate::time::Instant;

/// Streams whose deadline is looked at in one `handle_timeout`.
const TIMERS: usize = 64;

/// The streams of one call: a list through their places.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Streams {
    first: u32,
    count: u32,
}

impl Default for Streams {
    fn default() -> Self {
        Self { first: NIL, count: 0 }
    }
}

impl Streams {
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// What a stream is made of.
#[derive(Clone, Debug, Hash)]
pub(super) enum Body {
    Live(Core),
    /// Over for the application since its call was aborted; the core still has to end.
    Muted(Core),
    /// Part of a batch: nothing of it is ever sent by itself.
    Batch,
}

/// One stream.
#[derive(Clone, Debug, Hash)]
pub(super) struct Stream {
    pub(super) body: Body,
    pub(super) call: u32,
    /// Its neighbours in the list of its call.
    pub(super) next: u32,
    previous: u32,
    /// Whether it is in `busy`, and in `sending`.
    pub(super) is_busy: bool,
    pub(super) is_sending: bool,
    /// Whether the peer may know of it: its OPEN came, or ours has left.
    pub(super) is_announced: bool,
    /// The deadline under which it stands in `timers`.
    pub(super) deadline: Option<Instant>,
}

impl Stream {
    pub(super) const fn core(&mut self) -> Option<&mut Core> {
        match &mut self.body {
            Body::Live(core) | Body::Muted(core) => Some(core),
            Body::Batch => None,
        }
    }
}

impl Link {
    /// The deadlines that have passed, a bounded number at a time.
    pub(super) fn fire_timers(&mut self) {
        for _ in 0..TIMERS {
            let Some((deadline, stream)) = self.timers.first().copied() else { return };
            if deadline > self.now {
                return;
            }
            self.timers.pop_first();
            if let Some(found) = self.streams.find_mut(stream) {
                found.deadline = None;
            }
            self.drive(self.now, stream, Core::handle_timeout);
        }
    }

    /// Lets a verb act on a stream, where it is open.
    pub(super) fn drive(
        &mut self,
        now: Instant,
        stream: u32,
        verb: impl FnOnce(&mut Core, &stream::Limits, Instant),
    ) {
        self.tell(now);
        let now = self.now;
        if let Some(core) = self.streams.find_mut(stream).and_then(Stream::core) {
            verb(core, &self.config.stream, now);
            self.touch(stream);
        }
    }

    /// After every step of a stream: whether it has actions, whether it has something to send, its deadline.
    pub(super) fn touch(&mut self, stream: u32) {
        let Some(found) = self.streams.find_mut(stream) else { return };
        let limits = &self.config.stream;
        if let Some(core) = found.core() {
            let sends = core.has_transmit(limits);
            if sends && !found.is_sending {
                found.is_sending = true;
                self.sending.push_back(stream);
            }
        }
        self.touch_quietly(stream);
    }

    /// As [`Self::touch`], for a channel that the driver is polling anyway.
    pub(super) fn touch_quietly(&mut self, stream: u32) {
        let Some(found) = self.streams.find_mut(stream) else { return };
        let limits = &self.config.stream;
        let Some(core) = found.core() else { return };
        let (acts, deadline) = (core.has_action(), core.poll_timeout(limits));
        if acts {
            if !found.is_busy {
                found.is_busy = true;
                self.busy.push_back(stream);
            }
        } else if core.is_idle() {
            // A million streams that were once used would each keep the queues of their busiest moment.
            core.shrink();
        }
        if found.deadline != deadline {
            if let Some(old) = core::mem::replace(&mut found.deadline, deadline) {
                self.timers.remove(&(old, stream));
            }
            if let Some(new) = deadline {
                self.timers.insert((new, stream));
            }
        }
    }

    pub(super) fn too_many(&self, streams: Streams) -> Option<usize> {
        let (all, each) = (self.config.max_streams, self.config.max_call_streams);
        if self.streams.len() >= all {
            return Some(all);
        }
        (streams.count as usize >= each).then_some(each)
    }

    fn streams_of(&mut self, stream: u32, call: u32) -> Option<&mut Streams> {
        if self.config.role.owns(stream) {
            self.incoming.find_mut(call).map(|incoming| &mut incoming.streams)
        } else {
            self.outgoing.find_mut(call).map(|outgoing| &mut outgoing.streams)
        }
    }

    /// The streams of a list.
    pub(super) fn list(&self, streams: Option<Streams>) -> Vec<u32> {
        let mut place = streams.map_or(NIL, |streams| streams.first);
        let mut numbers = Vec::new();
        while let Some((number, stream)) = self.streams.at(place) {
            numbers.push(number);
            place = stream.next;
        }
        numbers
    }

    pub(super) fn add(&mut self, stream: u32, call: u32, body: Body) {
        let first = self.streams_of(stream, call).map_or(NIL, |streams| streams.first);
        let place = self.streams.insert(
            stream,
            Stream {
                body,
                call,
                next: first,
                previous: NIL,
                is_busy: false,
                is_sending: false,
                is_announced: !self.config.role.owns(stream),
                deadline: None,
            },
        );
        if let Some((_, next)) = self.streams.at_mut(first) {
            next.previous = place;
        }
        if let Some(streams) = self.streams_of(stream, call) {
            streams.first = place;
            streams.count = streams.count.saturating_add(1);
        }
    }

    /// A stream is over: its slot is free, and its call may be over too.
    pub(super) fn release(&mut self, stream: u32, failed: bool) {
        let Some(mut removed) = self.streams.remove(stream) else { return };
        let announced = removed.is_announced;
        if let Some(deadline) = removed.deadline {
            self.timers.remove(&(deadline, stream));
        }
        if let Some((_, next)) = self.streams.at_mut(removed.next) {
            next.previous = removed.previous;
        }
        if let Some((_, previous)) = self.streams.at_mut(removed.previous) {
            previous.next = removed.next;
        }
        let call = removed.call;
        if let Some(streams) = self.streams_of(stream, call) {
            streams.count = streams.count.saturating_sub(1);
            if removed.previous == NIL {
                streams.first = removed.next;
            }
        }
        let mut excessive = false;
        if let Some(core) = removed.core().filter(|_| announced) {
            // What was on its way when the stream ended is nobody's fault, but for a window that was never accepted.
            let shape = core.shape();
            excessive = !self.config.role.owns(stream) && shape.window > self.config.max_window(shape);
            let late = if excessive { 0 } else { core.under_way() };
            self.late = self.late.saturating_add(late.into());
            self.actions.push_back(Action::CloseChannel { channel: stream, late });
        }
        if self.config.role.owns(stream) {
            self.finish_incoming(call);
        } else {
            if let Some(outgoing) = self.outgoing.find_mut(call) {
                // A window that was refused here is a failure, though this side has cancelled the stream for it.
                outgoing.broken |= failed || excessive;
            }
            self.finish_outgoing(call);
        }
    }

    /// A stream of a batch: what the caller gave is there at once.
    pub(super) fn begin_batch(&mut self, stream: u32, call: u32, shape: Shape) {
        self.actions.push_back(Action::StreamOpened { stream, call, shape });
        if !shape.direction.receives() {
            return;
        }
        let batch = self.incoming.find_mut(call).and_then(|incoming| incoming.batch.as_mut());
        let items = batch.map(|batch| core::mem::take(&mut batch.items)).unwrap_or_default();
        self.actions.extend(items.into_iter().map(|data| Action::Data { stream, data }));
        self.actions.push_back(Action::PeerDone { stream });
        if !shape.direction.sends() {
            self.end_batch(stream, None);
        }
    }

    /// Ends a stream of a batch; `false` for any other.
    pub(super) fn end_batch(&mut self, stream: u32, error: Option<stream::Error>) -> bool {
        if !matches!(self.streams.find(stream), Some(Stream { body: Body::Batch, .. })) {
            return false;
        }
        self.actions.push_back(match error {
            Some(error) => Action::StreamFailed { stream, error },
            None => Action::StreamFinished { stream },
        });
        self.release(stream, false);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Reason;
    use crate::rpc::slab::Slab;
    use crate::rpc::{CallError, Config, Fallback, Misuse, Role};
    use crate::stream::Direction;
    use bytes::Bytes;

    /// STREAM-26: what an idle stream costs a link on its heap; nothing else is kept for it.
    #[test]
    fn stream_26_an_idle_stream_of_a_link_costs_at_most_224_bytes() {
        let count: u32 = 100_000;
        let mut streams = Slab::new();
        for number in 1..=count {
            let core = Core::new(Shape::items(Direction::Send)).unwrap();
            let body = Body::Live(core);
            streams.insert(
                number * 2,
                Stream {
                    body,
                    call: 1,
                    next: NIL,
                    previous: NIL,
                    is_busy: false,
                    is_sending: false,
                    is_announced: true,
                    deadline: None,
                },
            );
        }
        let each = streams.heap() / count as usize;
        assert!(each <= 224, "{each} bytes");
    }

    const NOW: Instant = Instant::ZERO;

    /// Lets everything pass; each side consumes what comes, and the server answers each item with the same.
    fn exchange(ends: &mut [Link; 2], opened: &mut Vec<u32>) {
        loop {
            let mut moved = false;
            for from in 0..2 {
                while let Some(message) = ends[from].poll_transmit() {
                    ends[1 - from].handle_message(NOW, message.into_bytes()).unwrap();
                    moved = true;
                }
                while let Some(channel) = ends[from].poll_channel() {
                    while let Some(message) = ends[from].poll_channel_transmit(channel) {
                        ends[1 - from].handle_channel_message(NOW, channel, message.into_bytes()).unwrap();
                    }
                    moved = true;
                }
                while let Some(action) = ends[from].poll_action() {
                    moved = true;
                    match action {
                        Action::OpenChannel { channel, .. } => ends[from].channel_attached(NOW, channel),
                        Action::Called { call, .. } => {
                            let shape = Shape::items(Direction::Both(stream::Role::Responder));
                            for _ in 0..STREAMS {
                                opened.push(ends[from].open_stream(NOW, call, shape).unwrap());
                            }
                        }
                        Action::Data { stream, data } => {
                            ends[from].consume(NOW, stream);
                            if from == 1 {
                                ends[from].write(NOW, stream, data).unwrap();
                            }
                        }
                        _ => {}
                    }
                }
            }
            if !moved {
                return;
            }
        }
    }

    const STREAMS: usize = 50;

    /// What the streams of a link keep on the heap: the slab, and the queues of each.
    fn heap(link: &mut Link, opened: &[u32]) -> usize {
        let mut sum = link.streams.heap();
        for stream in opened {
            sum += link.streams.find_mut(*stream).and_then(Stream::core).unwrap().heap();
        }
        sum
    }

    /// RPC-11, RPC-18: no number of a call or a stream is used twice.
    #[test]
    fn rpc_11_numbers_that_are_used_up_are_refused() {
        let mut ends =
            [Role::Initiator, Role::Acceptor].map(|role| Link::new(Config::new(role), NOW).unwrap());
        let mut opened = Vec::new();
        ends[0].call(NOW, Bytes::from_static(b"echo"), Bytes::new(), Fallback::None).unwrap();
        exchange(&mut ends, &mut opened);
        let shape = Shape::items(Direction::Send);
        ends[1].our_streams = u32::MAX - 3;
        assert_eq!(ends[1].open_stream(NOW, 1, shape), Ok(u32::MAX - 1));
        assert_eq!(ends[1].open_stream(NOW, 1, shape), Err(Misuse::StreamsExhausted));
        ends[0].calls = u32::MAX - 1;
        let call = |link: &mut Link| link.call(NOW, Bytes::new(), Bytes::new(), Fallback::None);
        assert_eq!(call(&mut ends[0]), Ok(u32::MAX));
        assert_eq!(call(&mut ends[0]), Err(Misuse::CallsExhausted));
        // RPC-25: nor is one for a call that would be made again; its error stays.
        let mut client = Link::new(Config::new(Role::Initiator), NOW).unwrap();
        let ready = Bytes::from_static(b"\x10\0\0\0\x01batch\nstreaming\n");
        client.handle_message(NOW, ready).unwrap();
        client.calls = u32::MAX - 1;
        assert_eq!(client.call(NOW, Bytes::new(), Bytes::new(), Fallback::Batch(Vec::new())), Ok(u32::MAX));
        while client.poll_transmit().is_some() {}
        let open = b"\x14\xff\xff\xff\xff\0\0\0\x02\0\0\0\0\x10\0";
        client.handle_message(NOW, Bytes::from_static(open)).unwrap();
        client.channel_closed(NOW, 2);
        client.handle_message(NOW, Bytes::from_static(b"\x12\xff\xff\xff\xff\x01\"no\"")).unwrap();
        let mut last = None;
        while let Some(action) = client.poll_action() {
            last = Some(action);
        }
        let result = Err(CallError::Remote(Reason::Text("no".into())));
        assert_eq!(last, Some(Action::Returned { call: u32::MAX, result }));
    }

    /// STREAM-26: the queues of a busy stream do not outlive what waited in them.
    #[test]
    fn stream_26_a_stream_that_was_used_and_is_idle_costs_what_a_fresh_one_does() {
        let mut ends = [Role::Initiator, Role::Acceptor].map(|role| {
            let mut config = Config::new(role);
            config.max_call_streams = STREAMS;
            Link::new(config, NOW).unwrap()
        });
        let mut opened = Vec::new();
        ends[0].call(NOW, Bytes::from_static(b"echo"), Bytes::new(), Fallback::None).unwrap();
        exchange(&mut ends, &mut opened);
        assert_eq!(opened.len(), STREAMS);
        let fresh = [0, 1].map(|end| heap(&mut ends[end], &opened));
        for stream in &opened {
            for item in 0..20_u8 {
                ends[0].write(NOW, *stream, alloc::vec![item; 100].into()).unwrap();
            }
        }
        let busy = heap(&mut ends[0], &opened);
        assert!(busy > fresh[0] + STREAMS * 100, "{busy} while items wait, {} before", fresh[0]);
        exchange(&mut ends, &mut opened);
        for end in 0..2 {
            let link = &mut ends[end];
            assert_eq!(heap(link, &opened), fresh[end], "end {end}");
            assert!(link.timers.is_empty() && link.busy.is_empty() && link.sending.is_empty());
            let core = link.streams.find_mut(opened[0]).and_then(Stream::core).unwrap();
            assert_eq!(core.window().window(), 16, "it is open still");
        }
    }
}
