//! Sessions, links over the mux: control channel and streams on one byte pipe, whatever the pipe does to the bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::{Endpoint, Link as Pipe, Weather};
use bytes::Bytes;
use portline::rpc::session::{Action, Config, Session};
use portline::rpc::{Fallback, Role, mux};
use portline::stream::{Direction, Role as StreamRole, Shape};
use portline::{Instant, Transmit};

/// What the application does with an action.
type App = dyn FnMut(&mut Session, Instant, Action);

/// One side: a session, and what is done with it.
struct Side {
    session: Session,
    app: Box<App>,
}

impl Side {
    fn new(config: Config, app: impl FnMut(&mut Session, Instant, Action) + 'static) -> Self {
        Self { session: Session::new(config, Instant::ZERO).unwrap(), app: Box::new(app) }
    }
}

impl Endpoint for Side {
    fn input(&mut self, now: Instant, bytes: Bytes) {
        self.session.handle_bytes(now, bytes).unwrap();
    }

    fn closed(&mut self, now: Instant) {
        self.session.handle_closed(now).unwrap();
    }

    fn timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
    }

    fn transmit(&mut self) -> Option<Transmit> {
        self.session.poll_transmit()
    }

    fn deadline(&self) -> Option<Instant> {
        self.session.poll_timeout()
    }

    fn wants_input(&self) -> bool {
        self.session.wants_input()
    }

    fn work(&mut self, now: Instant) -> bool {
        let mut worked = false;
        while let Some(action) = self.session.poll_action() {
            (self.app)(&mut self.session, now, action);
            worked = true;
        }
        worked
    }
}

const CALLS: u32 = 20;

fn block(call: u32, at: u32) -> Bytes {
    let length = (call * 7919 + at * 104_729) as usize % 3000;
    vec![(call + at) as u8; length].into()
}

/// A server that sends so many blocks, each call another number, and echoes what comes.
fn server() -> Side {
    let mut left: BTreeMap<u32, (u32, u32, u32)> = BTreeMap::new();
    Side::new(Config::new(Role::Acceptor), move |link, now, action| match action {
        Action::Called { call, .. } => {
            let both = Shape::items(Direction::Both(StreamRole::Responder));
            let stream = link.open_stream(now, call, both).unwrap();
            left.insert(stream, (call, 0, 0));
        }
        Action::Data { stream, data } => {
            let state = left.get_mut(&stream).unwrap();
            assert_eq!(data, block(state.0, state.1));
            state.1 += 1;
            link.write(now, stream, data).unwrap();
            link.consume(now, stream);
        }
        Action::PeerDone { stream } => {
            link.finish(now, stream);
            let (call, count, _) = left[&stream];
            link.respond(now, call, Ok(count.to_be_bytes().to_vec().into())).unwrap();
        }
        _ => {}
    })
}

/// A client that makes calls and compares what comes back.
fn client(done: std::rc::Rc<std::cell::Cell<(u32, u32)>>) -> Side {
    let mut got: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
    Side::new(Config::new(Role::Initiator), move |link, now, action| match action {
        Action::Ready { .. } => {
            for _ in 0..CALLS {
                link.call(now, Bytes::from_static(b"echo"), Bytes::new(), Fallback::None).unwrap();
            }
        }
        Action::StreamOpened { stream, .. } => {
            let call = stream / 2;
            got.insert(stream, (call, 0));
            for at in 0..call * 3 {
                link.write(now, stream, block(call, at)).unwrap();
            }
            link.finish(now, stream);
        }
        Action::Data { stream, data } => {
            let state = got.get_mut(&stream).unwrap();
            assert_eq!(data, block(state.0, state.1));
            state.1 += 1;
            link.consume(now, stream);
        }
        Action::Returned { call, result } => {
            let (good, bad) = done.get();
            match result {
                Ok(answer) => {
                    assert_eq!(answer.value, (call * 3).to_be_bytes()[..]);
                    done.set((good + 1, bad));
                }
                Err(_) => done.set((good, bad + 1)),
            }
        }
        _ => {}
    })
}

fn run(weather: Weather, seed: u64) -> (u32, u32) {
    let done = std::rc::Rc::new(std::cell::Cell::new((0, 0)));
    let (mut client, mut server) = (client(done.clone()), server());
    Pipe::new(weather, seed).run(&mut client, &mut server);
    assert!(client.session.has_ended() && server.session.has_ended());
    assert_eq!(client.session.open_streams() + server.session.open_streams(), 0);
    done.get()
}

/// MUX-1, MUX-8: any split, any delay, hardly any room on the pipe.
#[test]
fn mux_1_calls_and_their_streams_run_over_one_pipe_however_it_splits() {
    for (seed, (piece, room)) in [(1, 1), (7, 64), (100, 1000), (1 << 16, 1 << 20)].into_iter().enumerate() {
        let delay = Duration::from_millis(3 * seed as u64);
        let weather = Weather { messages: false, piece, room, delay, cut_after: None };
        assert_eq!(run(weather, seed as u64), (CALLS, 0), "pieces of {piece}");
    }
}

/// MUX-11, RPC-27, T13: cut anywhere, every call has one end.
#[test]
fn mux_11_a_pipe_that_is_cut_anywhere_leaves_every_call_with_one_end() {
    for seed in 0..60 {
        let cut_after = Some(30 + 3517 * seed as usize);
        let weather = Weather { messages: false, piece: 500, cut_after, ..Weather::default() };
        let (good, bad) = run(weather, seed);
        assert!(good + bad == CALLS || good + bad == 0, "{good} {bad}");
    }
}

/// Calls with a stream of so many items each in a window of the same kind, all at once; the client consumes what comes,
/// or cancels at the first item. What happened to the calls.
fn downloads(calls: u32, items: u32, window: u32, cancels: bool) -> (u32, u32) {
    let done = std::rc::Rc::new(std::cell::Cell::new((0, 0)));
    let told = done.clone();
    let mut server = Side::new(Config::new(Role::Acceptor), move |link, now, action| {
        let Action::Called { call, .. } = action else { return };
        let shape = Shape { window, ..Shape::items(Direction::Send) };
        let stream = link.open_stream(now, call, shape).unwrap();
        (0..items).for_each(|_| link.write(now, stream, Bytes::from_static(b"item")).unwrap());
        link.finish(now, stream);
        link.respond(now, call, Ok(Bytes::new())).unwrap();
    });
    let mut client = Side::new(Config::new(Role::Initiator), move |link, now, action| match action {
        Action::Ready { .. } => {
            for _ in 0..calls {
                link.call(now, Bytes::from_static(b"m"), Bytes::new(), Fallback::None).unwrap();
            }
        }
        Action::Data { stream, .. } if cancels => link.cancel_stream(now, stream, None),
        Action::Data { stream, .. } => link.consume(now, stream),
        Action::Returned { result, .. } => {
            let (good, bad) = told.get();
            told.set(if result.is_ok() { (good + 1, bad) } else { (good, bad + 1) });
        }
        _ => {}
    });
    let delay = Duration::from_millis(20);
    let weather = Weather { messages: false, piece: 1 << 16, room: 1 << 20, delay, cut_after: None };
    Pipe::new(weather, 1).run(&mut client, &mut server);
    done.get()
}

/// MUX-9, RPC-21: grants that come when their stream is over and its channel closed, and data that comes when it was
/// cancelled, are no fault of anybody's, however much of it there is at once.
#[test]
fn mux_9_what_is_under_way_when_many_streams_end_is_not_counted() {
    assert_eq!(downloads(1000, 20, 16, false), (1000, 0));
    assert_eq!(downloads(10, 1000, 1000, true), (10, 0));
}

const STREAMS: usize = 1000;
/// A block that fills a turn: with its frame header it is one quantum.
const BLOCK: usize = 64 << 10;
/// What goes on the pipe for it: length, channel, frame.
const FULL: usize = mux::Config::new(Role::Initiator).quantum + 8;
/// Bytes a microsecond: 1 Gbit/s.
const RATE: usize = 125;

/// A side with a thousand streams that are written to whenever they take something. It answers "ping" at once.
fn saturated(role: Role, done: std::rc::Rc<std::cell::Cell<u32>>, streams: usize) -> Side {
    let block = Bytes::from(vec![7; BLOCK]);
    let fill = move |link: &mut Session, now, stream| while link.write(now, stream, block.clone()).is_ok() {};
    let mut config = Config::new(role);
    config.link.max_call_streams = STREAMS;
    Side::new(config, move |link, now, action| match action {
        Action::Called { call, method, .. } if method == "ping" => {
            link.respond(now, call, Ok(method)).unwrap();
        }
        Action::Called { call, .. } => {
            for _ in 0..streams {
                let both = Shape::items(Direction::Both(StreamRole::Responder));
                link.open_stream(now, call, both).unwrap();
            }
        }
        Action::StreamOpened { stream, .. } | Action::Writable { stream } => fill(link, now, stream),
        Action::Data { stream, .. } => link.consume(now, stream),
        Action::Returned { result, .. } => {
            assert_eq!(result.unwrap().value, "ping");
            done.set(done.get() + 1);
        }
        _ => {}
    })
}

/// Two directions, each of which writes one message after another, at [`RATE`].
struct Slow {
    now: Instant,
    sides: [Side; 2],
    writing: [Option<(Instant, Bytes)>; 2],
    /// Messages and bytes of streams that each direction has delivered.
    delivered: [(usize, usize); 2],
}

impl Slow {
    fn load(&mut self) {
        for from in 0..2 {
            self.sides[from].work(self.now);
            if self.writing[from].is_none() {
                let message = self.sides[from].transmit().map(Transmit::into_bytes);
                self.writing[from] = message.map(|message| {
                    let takes = Duration::from_micros(message.len().div_ceil(RATE) as u64);
                    (self.now.checked_add(takes).unwrap(), message)
                });
            }
        }
    }

    /// To the arrival of the next message; the direction of that if it is one of the control channel.
    fn step(&mut self) -> Option<usize> {
        self.load();
        let next = |at: usize| Some((self.writing[at].as_ref()?.0, at));
        let (now, from) = next(0).into_iter().chain(next(1)).min().expect("something is on its way");
        let (_, message) = self.writing[from].take().unwrap();
        self.now = now;
        let is_control = message[4..8] == [0; 4];
        if !is_control {
            self.delivered[from].0 += 1;
            self.delivered[from].1 += message.len();
        }
        self.sides[1 - from].input(now, message);
        self.load();
        is_control.then_some(from)
    }

    /// One call: the stream messages and bytes in front of it and of its result, and the microseconds it took.
    fn ping(&mut self, done: &std::cell::Cell<u32>) -> ([(usize, usize); 2], u64) {
        let (start, before) = (self.now, done.get());
        self.sides[0].session.call(Instant::ZERO, "ping".into(), Bytes::new(), Fallback::None).unwrap();
        let mut ahead = [(0, 0); 2];
        for (direction, ahead) in ahead.iter_mut().enumerate() {
            let from = self.delivered[direction];
            while self.step() != Some(direction) {}
            let to = self.delivered[direction];
            *ahead = (to.0 - from.0, to.1 - from.1);
        }
        assert_eq!(done.get(), before + 1);
        (ahead, self.now.as_micros() - start.as_micros())
    }
}

/// A link with so many streams, all of them with more to send than goes out, after some rounds.
fn slow(streams: usize) -> (Slow, std::rc::Rc<std::cell::Cell<u32>>) {
    let done = std::rc::Rc::new(std::cell::Cell::new(0));
    let sides =
        [(Role::Initiator, 0), (Role::Acceptor, streams)].map(|(role, n)| saturated(role, done.clone(), n));
    let mut slow = Slow { now: Instant::ZERO, sides, writing: [None, None], delivered: [(0, 0); 2] };
    slow.sides[0].session.call(Instant::ZERO, "streams".into(), Bytes::new(), Fallback::None).unwrap();
    // READY both ways, again READY in answer, CALL, and the OPENs: the pipe is quiet without streams.
    loop {
        slow.load();
        if slow.writing.iter().all(Option::is_none) || slow.delivered.iter().any(|d| d.0 >= 3 * STREAMS) {
            return (slow, done);
        }
        slow.step();
    }
}

/// MUX-3, MUX-6: on its way there and on its way back a control message waits for the one message that is being
/// written, which is at most one quantum, however many streams are waiting for their turns.
#[test]
fn mux_3_a_call_beside_a_thousand_saturated_streams_waits_for_at_most_one_quantum_each_way() {
    let (mut idle, done) = slow(0);
    let (ahead, alone) = idle.ping(&done);
    assert_eq!(ahead, [(0, 0); 2]);

    let (mut full, done) = slow(STREAMS);
    let (mut most, mut longest) = ([(0, 0); 2], 0);
    for calls in 0..100 {
        // Each time at another moment.
        for _ in 0..calls % 7 {
            full.step();
        }
        for side in &full.sides {
            assert_eq!(side.session.open_streams(), STREAMS);
        }
        assert!(full.writing.iter().all(Option::is_some), "both directions are busy");
        let (ahead, took) = full.ping(&done);
        most = [0, 1].map(|at| most[at].max(ahead[at]));
        longest = longest.max(took);
        assert!(ahead.iter().all(|(messages, bytes)| *messages <= 1 && *bytes <= FULL), "{ahead:?}");
    }
    println!("idle: 0 B ahead, {alone} µs; {STREAMS} saturated streams: {most:?} ahead, {longest} µs");
    assert_eq!(most, [(1, FULL); 2], "and there was such a call");
    assert!(longest <= alone + 2 * FULL.div_ceil(RATE) as u64, "{longest} µs, {alone} on an idle link");
}
