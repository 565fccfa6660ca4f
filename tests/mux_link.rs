//! A link over the mux: control channel and streams on one byte pipe, whatever the pipe does to the bytes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use common::{Endpoint, Link as Pipe, Weather};
use portline::rpc::mux::{self, CONTROL, Mux};
use portline::rpc::{Action, Config, Error, Fallback, Link, Role};
use portline::stream::{Direction, Role as StreamRole, Shape};
use portline::{Instant, Transmit};

/// What the application does with an action.
type App = dyn FnMut(&mut Link, Instant, Action);

/// One side: a link whose channels are those of a mux. This is all the glue that there is.
struct Side {
    link: Link,
    mux: Mux,
    app: Box<App>,
    closed: usize,
}

impl Side {
    fn new(role: Role, app: impl FnMut(&mut Link, Instant, Action) + 'static) -> Self {
        let link = Link::new(Config::new(role), Instant::ZERO).unwrap();
        let mux = Mux::new(mux::Config::new(role), Instant::ZERO).unwrap();
        Self { link, mux, app: Box::new(app), closed: 0 }
    }

    /// What waits in the link goes to the mux, as far as that has room.
    fn pump(&mut self, channel: u32) -> bool {
        let mut moved = false;
        while self.mux.can_send(channel) {
            let next = if channel == CONTROL {
                self.link.poll_transmit()
            } else {
                self.link.poll_channel_transmit(channel)
            };
            let Some(message) = next else { break };
            self.mux.send(channel, message).unwrap();
            moved = true;
        }
        moved
    }

    fn link_action(&mut self, now: Instant, action: Action) {
        match action {
            Action::OpenChannel { channel, .. } => match self.mux.open_as(channel) {
                Ok(()) => self.link.channel_attached(now, channel),
                Err(_) => self.link.channel_failed(now, channel),
            },
            Action::CloseChannel { channel } => self.mux.close(channel),
            action => (self.app)(&mut self.link, now, action),
        }
    }

    fn mux_action(&mut self, now: Instant, action: mux::Action) {
        match action {
            mux::Action::Message { channel: CONTROL, message } => {
                let _: Result<(), Error> = self.link.handle_message(now, message);
            }
            mux::Action::Message { channel, message } => {
                let _: Result<(), Error> = self.link.handle_channel_message(now, channel, message);
            }
            mux::Action::Writable { channel } => {
                self.pump(channel);
            }
            mux::Action::Closed { channel } => {
                self.closed += 1;
                self.link.channel_closed(now, channel);
            }
            mux::Action::Opened { .. } => {}
            mux::Action::Finished | mux::Action::Failed(_) => {
                let _: Result<(), Error> = self.link.handle_closed(now);
            }
        }
    }
}

impl Endpoint for Side {
    fn input(&mut self, now: Instant, bytes: Bytes) {
        self.mux.handle_bytes(now, bytes).unwrap();
    }

    fn closed(&mut self, now: Instant) {
        self.mux.handle_closed(now).unwrap();
    }

    fn timeout(&mut self, now: Instant) {
        self.link.handle_timeout(now);
    }

    fn transmit(&mut self) -> Option<Transmit> {
        self.mux.poll_transmit()
    }

    fn deadline(&self) -> Option<Instant> {
        self.link.poll_timeout()
    }

    fn wants_input(&self) -> bool {
        self.mux.wants_input() && self.link.wants_input()
    }

    fn work(&mut self, now: Instant) -> bool {
        let mut worked = false;
        loop {
            let mut moved = self.pump(CONTROL);
            while let Some(action) = self.link.poll_action() {
                self.link_action(now, action);
                moved = true;
            }
            moved |= self.pump(CONTROL);
            while let Some(channel) = self.link.poll_channel() {
                moved |= self.pump(channel);
            }
            if let Some(action) = self.mux.poll_action() {
                self.mux_action(now, action);
                moved = true;
            }
            if !moved {
                return worked;
            }
            worked = true;
        }
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
    Side::new(Role::Acceptor, move |link, now, action| match action {
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
            link.respond(call, Ok(count.to_be_bytes().to_vec().into())).unwrap();
        }
        _ => {}
    })
}

/// A client that makes calls and compares what comes back.
fn client(done: std::rc::Rc<std::cell::Cell<(u32, u32)>>) -> Side {
    let mut got: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
    Side::new(Role::Initiator, move |link, now, action| match action {
        Action::Ready { .. } => {
            for _ in 0..CALLS {
                link.call(Bytes::from_static(b"echo"), Bytes::new(), Fallback::None).unwrap();
            }
        }
        Action::StreamOpened { stream } => {
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
    assert!(client.link.has_ended() && server.link.has_ended());
    assert_eq!(client.link.open_streams() + server.link.open_streams(), 0);
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
