//! Every state that two links can reach together: getting ready, and one streaming call.
//!
//! The applications and the transports take every step they could, in every order. Control messages and the stream's
//! messages travel apart; streams fail and are cancelled at either end, channels break, calls are aborted and the link
//! closed at any moment. Each state is checked, and the number of states is exact, so that a change of behaviour does not
//! pass unseen. Two things happen at once, since nothing depends on when: what comes for a stream that is gone arrives,
//! and RESULT and ABORT leave.

use std::collections::VecDeque;
use std::hash::Hash;

use bytes::Bytes;
use portline::rpc::{Action, CallError, Error, Fallback, Link, Role};
use portline::stream::{Direction, Role as StreamRole, Shape};

use crate::explore::{self, Digest, Property, explore};
use crate::rpc_support::{CLIENT, NOW, SERVER, bytes, link};

/// Two sides that start when they like; what arrives at one that has not started is lost.
#[derive(Clone, Debug, Hash)]
struct Starting {
    ends: [Option<Link>; 2],
    way: [VecDeque<Bytes>; 2],
    sent: [usize; 2],
    ready: [usize; 2],
}

impl explore::World for Starting {
    fn digest(&self) -> u128 {
        Digest::of(self)
    }

    fn steps(&self, worlds: &mut Vec<Self>) -> bool {
        let before = worlds.len();
        for (end, role) in [Role::Initiator, Role::Acceptor].into_iter().enumerate() {
            let mut next = self.clone();
            if next.ends[end].is_none() {
                next.ends[end] = Some(link(role));
                worlds.push(next);
            } else if let Some(message) = next.ends[end].as_mut().unwrap().poll_transmit() {
                next.way[end].push_back(message.into_bytes());
                next.sent[end] += 1;
                worlds.push(next);
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
                worlds.push(next);
            }
        }
        worlds.len() > before
    }

    fn always() -> Vec<Property<Self>> {
        vec![("nobody is ready twice", |world| world.ready.iter().all(|times| *times <= 1))]
    }

    fn at_rest() -> Vec<Property<Self>> {
        vec![
            ("both are ready", |world| world.ready == [1, 1]),
            ("at most two READYs each", |world| world.sent.iter().all(|sent| (1..=2).contains(sent))),
        ]
    }

    fn shown(&self) -> String {
        format!("{self:#?}")
    }
}

/// RPC-8, RPC-9.
#[test]
fn rpc_9_in_whatever_order_the_sides_start_both_get_ready() {
    let start =
        Starting { ends: [None, None], way: [VecDeque::new(), VecDeque::new()], sent: [0, 0], ready: [0, 0] };
    assert_eq!(explore(start), (48, 5));
}

/// What can happen in a call with one stream; most of it at either end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    SendControl,
    SendStream,
    /// What this end has sent arrives at the other.
    ArriveControl,
    ArriveStream,
    Write,
    Finish,
    Consume,
    /// The server opens the stream, and answers: in any order.
    Open,
    Respond,
    FailStream,
    CancelStream,
    Abort,
    /// The channel of the stream breaks.
    Lose,
    /// The control channel closes.
    Close,
}

const EVENTS: [Event; 14] = [
    Event::SendControl,
    Event::SendStream,
    Event::ArriveControl,
    Event::ArriveStream,
    Event::Write,
    Event::Finish,
    Event::Consume,
    Event::Open,
    Event::Respond,
    Event::FailStream,
    Event::CancelStream,
    Event::Abort,
    Event::Lose,
    Event::Close,
];

impl Event {
    const fn gives_up(self) -> bool {
        matches!(self, Self::FailStream | Self::CancelStream | Self::Abort | Self::Lose)
    }
}

/// What is explored.
#[derive(Clone, Copy, Debug)]
struct Setup {
    /// As the server sees it.
    direction: Direction,
    window: u32,
    /// Items that each end writes.
    items: [usize; 2],
    /// Whether the call may be made again as a batch.
    again: bool,
    /// Whether the server may answer while its stream runs, or before it opens one.
    early: bool,
    /// Whether an application takes its time to consume what came.
    slow: bool,
    /// How often something is given up: a stream failed or cancelled, the call aborted, the channel lost.
    give_ups: usize,
}

#[derive(Clone, Debug)]
struct End {
    link: Link,
    /// What it has sent and the other has not got.
    control: VecDeque<Bytes>,
    stream: VecDeque<Bytes>,
    /// Whether its control messages leave at once: the first of the client and the OPEN of the server may wait.
    speaks: bool,
    written: usize,
    finished: bool,
    in_hand: usize,
    got: usize,
    /// Whether the stream is attached, over, and its channel given back.
    attached: bool,
    over: bool,
    gone: bool,
    /// Terminal actions of the call and of the link.
    calls: usize,
    links: usize,
}

impl End {
    /// Whether the application has a stream.
    const fn streams(&self) -> bool {
        self.attached && !self.over
    }
}

#[derive(Clone, Debug)]
struct Calling {
    setup: Setup,
    ends: [End; 2],
    called: bool,
    opened: bool,
    responded: bool,
    give_ups: usize,
    lost: bool,
    closed: bool,
    result: Option<bool>,
}

/// The number of the server's first stream, and of the call.
const STREAM: u32 = 2;
const CALL: u32 = 1;

impl Calling {
    /// Both are ready, and the call is made but not sent.
    fn new(setup: Setup) -> Self {
        let mut links = [Role::Initiator, Role::Acceptor].map(link);
        for end in [SERVER, CLIENT, SERVER] {
            while let Some(message) = links[end].poll_transmit() {
                links[1 - end].handle_message(NOW, message.into_bytes()).unwrap();
            }
        }
        links.iter_mut().for_each(|end| while end.poll_action().is_some() {});
        let fallback = if setup.again { Fallback::Batch(vec![bytes("i")]) } else { Fallback::None };
        links[CLIENT].call(NOW, bytes("m"), bytes(""), fallback).unwrap();
        let ends = links.map(|link| End {
            link,
            control: VecDeque::new(),
            stream: VecDeque::new(),
            speaks: false,
            written: 0,
            finished: false,
            in_hand: 0,
            got: 0,
            attached: false,
            over: false,
            gone: false,
            calls: 0,
            links: 0,
        });
        let (called, opened, responded, lost, closed) = (false, false, false, false, false);
        Self { setup, ends, called, opened, responded, give_ups: 0, lost, closed, result: None }
    }

    fn sends(&self, at: usize) -> bool {
        match self.setup.direction {
            Direction::Send => at == SERVER,
            Direction::Receive => at == CLIENT,
            Direction::Both(_) => true,
        }
    }

    /// Whether an event may be; of what is sent on the stream only its machine knows.
    fn can(&self, at: usize, event: Event) -> bool {
        let setup = self.setup;
        let (end, other) = (&self.ends[at], &self.ends[1 - at]);
        let writes = end.streams() && !end.finished && self.sends(at);
        let serves = at == SERVER && self.called && end.calls == 0 && !self.responded && !self.closed;
        let gives_up = self.give_ups < setup.give_ups && !self.closed;
        match event {
            Event::SendControl => !end.speaks && (at == CLIENT || (self.opened && !self.closed)),
            Event::SendStream => end.attached && !end.gone && !self.lost,
            Event::ArriveControl => !end.control.is_empty(),
            // The stream's channel is there once OPEN has come.
            Event::ArriveStream => !end.stream.is_empty() && other.attached,
            Event::Write => writes && end.written < setup.items[at] && end.link.can_write(STREAM),
            Event::Finish => writes && end.written == setup.items[at],
            Event::Consume => end.in_hand > 0,
            Event::Open => serves && !self.opened,
            Event::Respond => serves && (setup.early || end.over),
            Event::FailStream | Event::CancelStream => gives_up && end.streams(),
            Event::Abort => gives_up && at == CLIENT && end.calls == 0,
            Event::Lose => gives_up && at == SERVER && self.opened && !self.lost,
            Event::Close => at == SERVER && !self.closed,
        }
    }

    /// Takes an event that may be; `false` if there was nothing to send.
    fn apply(&mut self, at: usize, event: Event) -> bool {
        let setup = self.setup;
        let [left, right] = &mut self.ends;
        let (end, other) = if at == CLIENT { (left, right) } else { (right, left) };
        match event {
            Event::SendControl => {
                // From here on what it has to say is on its way at once: only before may it be withdrawn.
                end.speaks = true;
                let Some(message) = end.link.poll_transmit() else { return false };
                end.control.push_back(message.into_bytes());
            }
            Event::SendStream => {
                let Some(message) = end.link.poll_channel_transmit(STREAM) else { return false };
                end.stream.push_back(message.into_bytes());
            }
            Event::ArriveControl => {
                other.link.handle_message(NOW, end.control.pop_front().unwrap()).unwrap();
            }
            Event::ArriveStream => {
                let message = end.stream.pop_front().unwrap();
                other.link.handle_channel_message(NOW, STREAM, message).unwrap();
            }
            Event::Write => {
                end.written += 1;
                end.link.write(NOW, STREAM, bytes("i")).unwrap();
            }
            Event::Finish => {
                end.finished = true;
                end.link.finish(NOW, STREAM);
            }
            Event::Consume => {
                end.in_hand -= 1;
                end.link.consume(NOW, STREAM);
            }
            Event::Open => {
                self.opened = true;
                let shape = Shape { window: setup.window, ..Shape::items(setup.direction) };
                assert_eq!(end.link.open_stream(NOW, CALL, shape), Ok(STREAM));
            }
            Event::Respond => {
                (self.responded, end.speaks) = (true, end.speaks || !self.opened);
                let result = if self.give_ups > 0 { Err("no") } else { Ok(bytes("ok")) };
                end.link.respond(NOW, CALL, result).unwrap();
            }
            Event::FailStream => end.link.fail_stream(NOW, STREAM, "no"),
            Event::CancelStream => end.link.cancel_stream(NOW, STREAM, None),
            Event::Abort => end.link.abort(NOW, CALL).unwrap(),
            Event::Lose => self.lose(),
            Event::Close => self.close(),
        }
        self.give_ups += usize::from(event.gives_up());
        true
    }

    fn lose(&mut self) {
        // An OPEN that waits is not sent any more.
        (self.lost, self.ends[SERVER].speaks) = (true, true);
        for end in &mut self.ends {
            end.stream.clear();
            end.link.channel_closed(NOW, STREAM);
        }
    }

    fn close(&mut self) {
        self.closed = true;
        for end in &mut self.ends {
            let _: Result<(), Error> = end.link.handle_closed(NOW);
            end.control.clear();
            end.stream.clear();
        }
    }

    /// Takes the steps that nothing else depends on.
    fn settle(&mut self) {
        self.drain();
        for at in [CLIENT, SERVER] {
            let end = &mut self.ends[at];
            while end.speaks && !self.closed {
                let Some(message) = end.link.poll_transmit() else { break };
                end.control.push_back(message.into_bytes());
            }
            if self.ends[1 - at].gone {
                while let Some(message) = self.ends[at].stream.pop_front() {
                    self.ends[1 - at].link.handle_channel_message(NOW, STREAM, message).unwrap();
                }
            }
            if self.ends[at].over {
                self.ends[at].in_hand = 0;
            }
        }
        self.drain();
    }

    fn drain(&mut self) {
        for at in [CLIENT, SERVER] {
            while let Some(action) = self.ends[at].link.poll_action() {
                assert_eq!(self.ends[at].links, 0, "nothing after the link's end: {action:?}");
                self.act(at, action);
            }
        }
    }

    fn act(&mut self, at: usize, action: Action) {
        let lost = self.lost;
        let end = &mut self.ends[at];
        match action {
            Action::OpenChannel { channel, .. } => {
                assert_eq!(channel, STREAM);
                end.attached = true;
                if lost {
                    end.link.channel_failed(NOW, channel);
                } else {
                    end.link.channel_attached(NOW, channel);
                }
            }
            Action::Data { stream, .. } => {
                end.got += 1;
                if self.setup.slow {
                    end.in_hand += 1;
                } else {
                    end.link.consume(NOW, stream);
                }
            }
            Action::StreamFinished { stream } | Action::StreamFailed { stream, .. } => {
                assert!(at == SERVER || end.calls == 0, "a call's streams end before it");
                if stream == STREAM {
                    assert!(!end.over, "one end of the stream");
                    end.over = true;
                }
            }
            Action::CloseChannel { channel, .. } => {
                assert_eq!(channel, STREAM);
                end.gone = true;
            }
            Action::Returned { result, .. } => {
                assert!(!matches!(result, Err(CallError::MalformedBatch)));
                self.result = Some(result.is_ok());
                end.calls += 1;
            }
            Action::Called { call: CALL, .. } => self.called = true,
            // The batch: the server does it all at once.
            Action::Called { call, .. } => {
                let stream = end.link.open_stream(NOW, call, Shape::items(self.setup.direction)).unwrap();
                end.link.finish(NOW, stream);
                end.link.respond(NOW, call, Ok(bytes("batch"))).unwrap();
            }
            Action::Aborted { call } => {
                assert_eq!(call, CALL);
                end.calls += 1;
            }
            Action::Retried { call, again } => assert_eq!((call, again), (CALL, CALL + 1)),
            Action::Finished | Action::Failed(_) => end.links += 1,
            Action::StreamOpened { .. }
            | Action::PeerDone { .. }
            | Action::Writable { .. }
            | Action::Ready { .. } => {}
        }
    }
}

impl explore::World for Calling {
    fn digest(&self) -> u128 {
        let mut digest = Digest::default();
        for end in &self.ends {
            (end.calls, end.links, end.over).hash(&mut digest);
            if self.closed {
                continue;
            }
            let End {
                link, control, stream, speaks, written, finished, in_hand, got, attached, gone, ..
            } = end;
            (link, control, stream, speaks).hash(&mut digest);
            (written, finished, in_hand, got, attached, gone).hash(&mut digest);
        }
        (self.called, self.opened, self.responded, self.give_ups, self.lost).hash(&mut digest);
        (self.closed, self.result).hash(&mut digest);
        digest.value()
    }

    fn steps(&self, next: &mut Vec<Self>) -> bool {
        let mut moves = false;
        for (at, event) in [CLIENT, SERVER].into_iter().flat_map(|at| EVENTS.map(|event| (at, event))) {
            if !self.can(at, event) {
                continue;
            }
            let mut world = self.clone();
            if world.apply(at, event) {
                world.settle();
                next.push(world);
                moves |= !event.gives_up() && event != Event::Close;
            }
        }
        moves
    }

    fn always() -> Vec<Property<Self>> {
        vec![
            ("one terminal action each", |world| {
                world.ends.iter().all(|end| end.calls <= 1 && end.links <= 1)
            }),
            ("all went well means that all came", |world| {
                let all = |at: usize| world.ends[at].got == world.setup.items[1 - at];
                let well = world.result == Some(true) && world.opened && world.give_ups == 0 && !world.closed;
                !well || (all(CLIENT) && all(SERVER))
            }),
        ]
    }

    fn at_rest() -> Vec<Property<Self>> {
        vec![
            ("the caller has an end", |world| world.ends[CLIENT].calls == 1),
            ("the called side too", |world| {
                world.ends[SERVER].calls == 1 || world.responded || !world.called
            }),
            ("the link ends when it is closed, and not before", |world| {
                world.ends.iter().all(|end| end.links == usize::from(world.closed))
            }),
            ("every stream has an end", |world| world.ends.iter().all(|end| end.over || !end.attached)),
            ("nothing is left behind", |world| {
                world.closed || world.ends.iter().all(|end| end.link.open_streams() == 0)
            }),
            ("only giving up fails a call", |world| {
                let went_well = world.result == Some(true) || (world.setup.again && world.lost);
                world.closed || world.give_ups > 0 || went_well
            }),
        ]
    }

    fn shown(&self) -> String {
        format!("{self:#?}")
    }
}

const DOWNLOAD: Setup = Setup {
    direction: Direction::Send,
    window: 1,
    items: [0, 2],
    again: false,
    early: true,
    slow: true,
    give_ups: 1,
};

fn assert_states(cases: &[(Setup, usize, usize)]) {
    let found: Vec<_> = cases.iter().map(|(setup, _, _)| explore(Calling::new(*setup))).collect();
    let expected: Vec<_> = cases.iter().map(|(_, states, ends)| (*states, *ends)).collect();
    assert_eq!(found, expected);
}

/// RPC-13, RPC-16, RPC-17, RPC-27, T3, T13: no interleaving of a streaming call loses an end or waits for ever.
#[test]
fn rpc_27_every_interleaving_of_a_streaming_call_ends_once_on_each_side() {
    let upload = Setup { direction: Direction::Receive, items: [2, 0], ..DOWNLOAD };
    assert_states(&[(DOWNLOAD, 5763, 242), (upload, 5991, 243)]);
}

/// RPC-27: the same both ways.
#[test]
fn rpc_27_every_interleaving_of_a_call_with_a_stream_both_ways_ends_once() {
    let direction = Direction::Both(StreamRole::Responder);
    let both = Setup { direction, items: [1, 1], early: false, slow: false, ..DOWNLOAD };
    assert_states(&[(both, 20242, 413)]);
}

/// RPC-25: recovery by a batch, whatever it crosses with; and two things given up that cross.
#[test]
fn rpc_25_every_interleaving_of_a_call_that_may_be_made_again_ends_once() {
    let short = Setup { items: [0, 1], ..DOWNLOAD };
    assert_states(&[
        (Setup { again: true, ..short }, 3854, 178),
        (Setup { give_ups: 2, early: false, slow: false, ..short }, 9909, 524),
    ]);
}
