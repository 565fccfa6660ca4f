//! A call on an idle session, and beside a thousand streams that are written to as fast as they take it: how long it takes,
//! and how much of the streams is in front of it.
//!
//! `cargo bench --bench call` prints the table, and fails when more than one quantum is in front in either direction. The
//! pipe holds one message a direction, as it comes from the session; both ends are on one thread. What a wire of 1 Gbit/s
//! adds is in `tests/session.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    missing_docs
)]

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
    returned: usize,
}

impl End {
    fn new(role: Role, streams: usize) -> Self {
        let mut config = Config::new(role);
        config.link.max_call_streams = STREAMS;
        let session = Session::new(config, NOW).unwrap();
        Self { session, block: vec![7; CHUNK].into(), streams, returned: 0 }
    }

    fn act(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Called { call, method, .. } if method == "ping" => {
                    self.session.respond(call, Ok(method)).unwrap();
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

/// Two ends, and the streams' bytes that each direction has carried.
struct Pair {
    ends: [End; 2],
    carried: [usize; 2],
}

impl Pair {
    fn new(streams: usize) -> Self {
        let mut pair =
            Self { ends: [End::new(Role::Initiator, 0), End::new(Role::Acceptor, streams)], carried: [0; 2] };
        pair.ends[0].session.call("streams".into(), Bytes::new(), Fallback::None).unwrap();
        // Until all streams are open and move; without streams until all is quiet.
        while pair.turn().contains(&true) && pair.carried[0] < 3 * STREAMS * CHUNK {}
        pair
    }

    /// One message each way. Which directions had one.
    fn turn(&mut self) -> [bool; 2] {
        [0, 1].map(|from| {
            self.ends[from].act();
            let message = self.ends[from].session.poll_transmit().map(Transmit::into_bytes);
            message.is_some_and(|message| self.carry(from, message))
        })
    }

    fn carry(&mut self, from: usize, message: Bytes) -> bool {
        if message[4..PREFIX] != [0; 4] {
            self.carried[from] += message.len();
        }
        self.ends[1 - from].session.handle_bytes(NOW, message).unwrap();
        self.ends[1 - from].act();
        true
    }

    /// A call and its result: how long it took, and the most that was in front of it in a direction.
    fn ping(&mut self) -> (Duration, usize) {
        let (before, carried) = (self.ends[0].returned, self.carried);
        let start = std::time::Instant::now();
        self.ends[0].session.call("ping".into(), Bytes::new(), Fallback::None).unwrap();
        while self.ends[0].returned == before {
            self.turn();
        }
        (start.elapsed(), (0..2).map(|at| self.carried[at] - carried[at]).max().unwrap())
    }
}

fn main() {
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
    }
}
