//! Every state that two links can reach together: getting ready, and one streaming call.
//!
//! The applications and the transports take every step they could, in every order. Control messages and the stream's
//! messages travel apart. Each state is checked, and the number of states is exact, so that a change of behaviour does
//! not pass unseen.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod rpc_support;

use std::collections::{HashSet, VecDeque};
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use portline::Transmit;
use portline::rpc::{Action, CallError, Error, Fallback, Link, Role};
use portline::stream::{Direction, Shape};
use rpc_support::{CLIENT, NOW, SERVER, bytes, link};

fn digest(world: &impl Debug) -> (u64, u64) {
    let text = format!("{world:?}");
    let mut first = DefaultHasher::new();
    text.hash(&mut first);
    let mut second = DefaultHasher::new();
    (1_u8, &text).hash(&mut second);
    (first.finish(), second.finish())
}

/// Explores everything: the number of states, and of those from which nothing but giving up leads on.
fn explore<W: Clone + Debug>(
    start: W,
    steps: impl Fn(&W) -> Vec<(bool, W)>,
    rest: impl Fn(&W),
) -> (usize, usize) {
    let mut seen = HashSet::from([digest(&start)]);
    let mut border = VecDeque::from([start]);
    let mut resting = 0;
    while let Some(world) = border.pop_front() {
        let mut moves = 0;
        for (counts, next) in steps(&world) {
            moves += usize::from(counts);
            if seen.insert(digest(&next)) {
                border.push_back(next);
            }
        }
        if moves == 0 {
            resting += 1;
            rest(&world);
        }
    }
    (seen.len(), resting)
}

/// Two sides that start when they like; what arrives at one that has not started is lost.
#[derive(Clone, Debug)]
struct Starting {
    ends: [Option<Link>; 2],
    way: [VecDeque<Bytes>; 2],
    sent: [usize; 2],
    ready: [usize; 2],
}

impl Starting {
    fn steps(&self) -> Vec<(bool, Self)> {
        let mut worlds = Vec::new();
        for (end, role) in [Role::Initiator, Role::Acceptor].into_iter().enumerate() {
            let mut next = self.clone();
            if next.ends[end].is_none() {
                next.ends[end] = Some(link(role));
                worlds.push((true, next));
            } else if let Some(message) = next.ends[end].as_mut().unwrap().poll_transmit() {
                next.way[end].push_back(message.into_bytes());
                next.sent[end] += 1;
                worlds.push((true, next));
            }
            let mut next = self.clone();
            if let Some(message) = next.way[end].pop_front() {
                if let Some(link) = &mut next.ends[1 - end] {
                    link.handle_message(NOW, message).unwrap();
                    while let Some(action) = link.poll_action() {
                        assert!(matches!(action, Action::Ready { .. }));
                        next.ready[1 - end] += 1;
                    }
                }
                worlds.push((true, next));
            }
        }
        worlds
    }
}

/// RPC-8, RPC-9.
#[test]
fn rpc_9_in_whatever_order_the_sides_start_both_get_ready() {
    let start =
        Starting { ends: [None, None], way: [VecDeque::new(), VecDeque::new()], sent: [0, 0], ready: [0, 0] };
    let (states, resting) = explore(start, Starting::steps, |world| {
        assert_eq!(world.ready, [1, 1], "both are ready, once");
        assert!(world.sent.iter().all(|sent| (1..=2).contains(sent)), "at most two READYs each");
    });
    assert_eq!((states, resting), (48, 5));
}

/// What can happen in a call with one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    SendControl(usize),
    SendStream(usize),
    ArriveControl(usize),
    ArriveStream(usize),
    Write,
    Finish,
    FailStream,
    Respond,
    Consume,
    Abort,
    CancelStream,
    Close,
}

#[derive(Clone, Debug)]
struct Calling {
    ends: [Link; 2],
    control: [VecDeque<Bytes>; 2],
    stream: [VecDeque<Bytes>; 2],
    written: usize,
    finished: bool,
    responded: bool,
    gave_up: bool,
    closed: bool,
    attached: [Option<u32>; 2],
    in_hand: usize,
    got: usize,
    /// Terminal actions: of the call, of the stream, of the link, on each side.
    calls: [usize; 2],
    streams: [usize; 2],
    links: [usize; 2],
    result: Option<bool>,
}

const ITEMS: usize = 2;

impl Calling {
    fn new(direction: Direction) -> Self {
        let mut ends = [link(Role::Initiator), link(Role::Acceptor)];
        for end in [SERVER, CLIENT, SERVER] {
            while let Some(message) = ends[end].poll_transmit() {
                ends[1 - end].handle_message(NOW, message.into_bytes()).unwrap();
            }
        }
        ends.iter_mut().for_each(|end| while end.poll_action().is_some() {});
        ends[CLIENT].call(bytes("m"), bytes(""), Fallback::None).unwrap();
        let call = ends[CLIENT].poll_transmit().unwrap().into_bytes();
        ends[SERVER].handle_message(NOW, call).unwrap();
        ends[SERVER].open_stream(NOW, 1, Shape { window: 1, ..Shape::items(direction) }).unwrap();
        let queues = || [VecDeque::new(), VecDeque::new()];
        let mut world = Self {
            ends,
            control: queues(),
            stream: queues(),
            written: 0,
            finished: false,
            responded: false,
            gave_up: false,
            closed: false,
            attached: [None, None],
            in_hand: 0,
            got: 0,
            calls: [0, 0],
            streams: [0, 0],
            links: [0, 0],
            result: None,
        };
        world.drain();
        world
    }

    /// The sides that write and that read.
    const fn sides(direction: Direction) -> (usize, usize) {
        match direction {
            Direction::Send | Direction::Both(_) => (SERVER, CLIENT),
            Direction::Receive => (CLIENT, SERVER),
        }
    }

    fn after(&self, event: Event, direction: Direction) -> Option<Self> {
        let mut next = self.clone();
        let (writer, reader) = Self::sides(direction);
        let open = next.attached[writer].is_some() && next.streams[writer] == 0;
        let possible = match event {
            Event::SendControl(_)
            | Event::SendStream(_)
            | Event::ArriveControl(_)
            | Event::ArriveStream(_) => next.transport(event),
            Event::Write if open && !next.finished && next.written < ITEMS => {
                next.written += 1;
                next.ends[writer].write(NOW, 2, bytes("i")).is_ok()
            }
            Event::Finish if open && !next.finished && next.written == ITEMS => {
                next.finished = true;
                next.ends[writer].finish(NOW, 2);
                true
            }
            Event::FailStream if open && !next.finished => {
                (next.finished, next.gave_up) = (true, true);
                next.ends[writer].fail_stream(NOW, 2, "no");
                true
            }
            // The server answers when its stream is over, whatever way.
            Event::Respond if next.streams[SERVER] == 1 && next.calls[SERVER] == 0 && !next.responded => {
                next.responded = true;
                let result = if next.gave_up { Err("no") } else { Ok(bytes("ok")) };
                next.ends[SERVER].respond(1, result).is_ok()
            }
            Event::Consume if next.in_hand > 0 => {
                next.in_hand -= 1;
                next.ends[reader].consume(NOW, 2);
                true
            }
            Event::Abort if next.calls[CLIENT] == 0 && !next.closed && !next.gave_up => {
                next.gave_up = true;
                next.ends[CLIENT].abort(1).is_ok()
            }
            Event::CancelStream
                if next.streams[reader] == 0 && next.attached[reader].is_some() && !next.gave_up =>
            {
                next.gave_up = true;
                next.ends[reader].cancel_stream(NOW, 2, None);
                true
            }
            Event::Close if !next.closed => {
                next.closed = true;
                for end in &mut next.ends {
                    let _: Result<(), Error> = end.handle_closed(NOW);
                }
                [&mut next.control, &mut next.stream].into_iter().flatten().for_each(VecDeque::clear);
                true
            }
            Event::Write | Event::Finish | Event::FailStream | Event::Respond | Event::Consume => false,
            Event::Abort | Event::CancelStream | Event::Close => false,
        };
        if !possible {
            return None;
        }
        next.drain();
        next.check();
        Some(next)
    }

    /// A message is put on its way, or arrives.
    fn transport(&mut self, event: Event) -> bool {
        match event {
            Event::SendControl(end) => {
                let message = self.ends[end].poll_transmit().map(Transmit::into_bytes);
                message.map(|message| self.control[end].push_back(message)).is_some()
            }
            Event::SendStream(end) => {
                let message = self.ends[end].poll_channel_transmit(2).map(Transmit::into_bytes);
                message.map(|message| self.stream[end].push_back(message)).is_some()
            }
            Event::ArriveControl(end) => self.control[end].pop_front().is_some_and(|message| {
                let _: Result<(), Error> = self.ends[1 - end].handle_message(NOW, message);
                true
            }),
            // The stream's channel is there once OPEN has come.
            Event::ArriveStream(end) if self.attached[1 - end].is_some() => {
                self.stream[end].pop_front().is_some_and(|message| {
                    let _: Result<(), Error> = self.ends[1 - end].handle_channel_message(NOW, 2, message);
                    true
                })
            }
            Event::ArriveStream(_) => false,
            _ => false,
        }
    }

    fn drain(&mut self) {
        for end in [CLIENT, SERVER] {
            while let Some(action) = self.ends[end].poll_action() {
                assert_eq!(self.links[end], 0, "nothing after the link's end: {action:?}");
                match action {
                    Action::OpenChannel { channel, .. } => {
                        self.attached[end] = Some(channel);
                        self.ends[end].channel_attached(NOW, channel);
                    }
                    Action::Data { .. } => (self.in_hand, self.got) = (self.in_hand + 1, self.got + 1),
                    Action::StreamFinished { .. } | Action::StreamFailed { .. } => {
                        assert_eq!(self.calls[CLIENT] * (1 - end), 0, "a call's streams end before it");
                        self.streams[end] += 1;
                    }
                    Action::Returned { result, .. } => {
                        assert!(!matches!(result, Err(CallError::MalformedBatch)));
                        self.result = Some(result.is_ok());
                        self.calls[end] += 1;
                    }
                    Action::Aborted { .. } => self.calls[end] += 1,
                    Action::Finished | Action::Failed(_) => self.links[end] += 1,
                    Action::Called { .. }
                    | Action::StreamOpened { .. }
                    | Action::PeerDone { .. }
                    | Action::Writable { .. }
                    | Action::Ready { .. }
                    | Action::Retried { .. }
                    | Action::CloseChannel { .. } => {}
                }
            }
        }
    }

    fn check(&self) {
        for counts in [self.calls, self.streams, self.links] {
            assert!(counts.iter().all(|count| *count <= 1), "one terminal action each: {self:?}");
        }
        if self.result == Some(true) && !self.gave_up && !self.closed {
            assert_eq!(self.got, ITEMS, "all went well means that all came");
        }
    }

    fn rest(&self) {
        assert_eq!(self.calls[CLIENT], 1, "the caller has an end: {self:?}");
        assert!(self.calls[SERVER] == 1 || self.responded, "the called side too");
        assert_eq!(self.links, [usize::from(self.closed); 2]);
        if self.closed {
            return;
        }
        assert!(self.gave_up || self.result == Some(true), "only giving up fails a call");
        for end in [CLIENT, SERVER] {
            assert_eq!(self.ends[end].open_streams(), 0, "nothing is left behind");
            let attached = usize::from(self.attached[end].is_some());
            assert!(self.streams[end] == 1 || attached == 0, "the stream has an end");
        }
    }
}

fn explore_call(direction: Direction) -> (usize, usize) {
    let events = |world: &Calling| {
        let mut events: Vec<Event> = [CLIENT, SERVER]
            .into_iter()
            .flat_map(|end| {
                [
                    Event::SendControl(end),
                    Event::SendStream(end),
                    Event::ArriveControl(end),
                    Event::ArriveStream(end),
                ]
            })
            .collect();
        events.extend([Event::Write, Event::Finish, Event::FailStream, Event::Respond, Event::Consume]);
        events.extend([Event::Abort, Event::CancelStream, Event::Close]);
        let voluntary =
            |event| matches!(event, Event::FailStream | Event::Abort | Event::CancelStream | Event::Close);
        events
            .into_iter()
            .filter_map(|event| Some((!voluntary(event), world.after(event, direction)?)))
            .collect()
    };
    explore(Calling::new(direction), events, Calling::rest)
}

/// RPC-13, RPC-16, RPC-17, RPC-27, T3, T13: no interleaving of a download loses an end or waits for ever.
#[test]
fn rpc_27_every_interleaving_of_a_streaming_call_ends_once_on_each_side() {
    assert_eq!(explore_call(Direction::Send), (8785, 864));
    assert_eq!(explore_call(Direction::Receive), (6908, 750));
}
