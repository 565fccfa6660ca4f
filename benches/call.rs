//! A call on an idle session, and beside a thousand streams that are written to as fast as they take it: how long it takes,
//! and how much of the streams is in front of it.
//!
//! `cargo bench -p portline-benches --bench call` prints the table, and fails when more than one quantum is in front in either direction. The
//! pipe holds one message a direction, which is being written when the call is made; both ends are on one thread. What a
//! wire of 1 Gbit/s adds is in `tests/rpc/session.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    missing_docs
)]

#[path = "support/mod.rs"]
mod support;

use std::time::Duration;

use bytes::Bytes;
use portline::rpc::session::{Action, Config, Session};
use portline::rpc::{Fallback, Role, mux};
use portline::stream::{CHUNK, Direction, Role as StreamRole, Shape};
use portline::{Instant, Transmit};

const NOW: Instant = Instant::ZERO;
const STREAMS: usize = 1000;
const CALLS: usize = 2000;
/// Length and channel in front of a message.
const PREFIX: usize = 8;

struct End {
    session: Session,
    block: Bytes,
    streams: usize,
    called: usize,
    returned: usize,
}

impl End {
    fn new(role: Role, streams: usize) -> Self {
        let mut config = Config::new(role);
        config.link.max_call_streams = STREAMS;
        let session = Session::new(config, NOW).unwrap();
        Self { session, block: vec![7; CHUNK].into(), streams, called: 0, returned: 0 }
    }

    fn act(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Called { call, method, .. } if method == "ping" => {
                    self.called += 1;
                    self.session.respond(NOW, call, Ok(method)).unwrap();
                }
                Action::Called { call, .. } => {
                    let shape = Shape::items(Direction::Both(StreamRole::Responder));
                    for _ in 0..self.streams {
                        self.session.open_stream(NOW, call, shape).unwrap();
                    }
                }
                Action::StreamOpened { stream, .. } | Action::Writable { stream } => {
                    while self.session.write(NOW, stream, self.block.clone()).is_ok() {}
                }
                Action::Data { stream, .. } => self.session.consume(NOW, stream),
                Action::Returned { .. } => self.returned += 1,
                _ => {}
            }
        }
    }
}

/// Two ends, what is being written in each direction, and the streams' bytes that it has carried.
struct Pair {
    ends: [End; 2],
    writing: [Option<Bytes>; 2],
    carried: [usize; 2],
}

impl Pair {
    fn new(streams: usize) -> Self {
        let ends = [End::new(Role::Initiator, 0), End::new(Role::Acceptor, streams)];
        let mut pair = Self { ends, writing: [None, None], carried: [0; 2] };
        pair.ends[0].session.call(NOW, "streams".into(), Bytes::new(), Fallback::None).unwrap();
        // Until all streams are open and move; without streams until all is quiet.
        while (pair.step(0) | pair.step(1)) && pair.carried[0] < 3 * STREAMS * CHUNK {}
        pair
    }

    /// What is being written in a direction arrives, and the next message is. Whether there was one.
    fn step(&mut self, from: usize) -> bool {
        let message = self.writing[from].take();
        let moved = message.is_some();
        if let Some(message) = message {
            if message[4..PREFIX] != [0; 4] {
                self.carried[from] += message.len();
            }
            self.ends[1 - from].session.handle_bytes(NOW, message).unwrap();
            self.ends[1 - from].act();
        }
        self.ends[from].act();
        self.writing[from] = self.ends[from].session.poll_transmit().map(Transmit::into_bytes);
        moved | self.writing[from].is_some()
    }

    /// A call and its result: how long it took, and the most that was in front of it in a direction.
    fn ping(&mut self) -> (Duration, usize) {
        let (called, returned) = (self.ends[1].called, self.ends[0].returned);
        let start = std::time::Instant::now();
        self.ends[0].session.call(NOW, "ping".into(), Bytes::new(), Fallback::None).unwrap();
        let there = self.carried[0];
        while self.ends[1].called == called {
            self.step(0);
            if self.ends[1].called == called {
                self.step(1);
            }
        }
        let there = self.carried[0] - there;
        let back = self.carried[1];
        while self.ends[0].returned == returned {
            self.step(1);
            self.step(0);
        }
        (start.elapsed(), there.max(self.carried[1] - back))
    }
}

fn main() {
    if !support::begin() {
        return;
    }
    let quantum = mux::Config::new(Role::Initiator).quantum + PREFIX;
    println!("a call and its result, {CALLS} times\n");
    println!("| beside | median | 99 of 100 | bytes of streams in front, at most |");
    println!("|---|---:|---:|---:|");
    for streams in [0, STREAMS] {
        let mut pair = Pair::new(streams);
        assert_eq!(pair.ends[0].session.open_streams(), streams);
        let mut calls: Vec<(Duration, usize)> = (0..CALLS).map(|_| pair.ping()).collect();
        let most = calls.iter().map(|(_, bytes)| *bytes).max().unwrap();
        calls.sort();
        let micros = |at: usize| calls[at * CALLS / 100].0.as_nanos() as f64 / 1000.0;
        println!("| {streams} streams | {:.1} µs | {:.1} µs | {most} |", micros(50), micros(99));
        assert!(most <= quantum, "{most} bytes, a quantum is {quantum}");
        assert_eq!(most > 0, streams > 0, "the streams were moving");
    }
}
