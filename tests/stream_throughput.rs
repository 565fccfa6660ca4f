//! A stream over a simulated link of 1 Gbit/s and 100 ms round trip: the throughput by window, beside stop-and-wait.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss
)]
#![allow(clippy::cast_possible_truncation, missing_docs)]

use std::collections::VecDeque;

use bytes::Bytes;
use portline::stream::{self, Direction, Endpoint, Limits, Shape};
use portline::{Instant, Transmit, port};

/// Nanoseconds a byte takes on the link, and a message from end to end: 50 ms.
const BYTE: u64 = 8;
const DELAY: u64 = 50_000_000;
/// Length and header of a message on a byte pipe.
const OVERHEAD: u64 = 9;
/// Bytes of a block, and how long is measured, after two round trips to get going.
const BLOCK: usize = 64 << 10;
const START: u64 = 200_000_000;
const TIME: u64 = 1_000_000_000;

/// The two ends of one transfer; times are the simulation's.
trait Transfer {
    fn produce(&mut self, now: Instant);
    fn sender(&mut self) -> Option<Transmit>;
    fn receiver(&mut self) -> Option<Transmit>;
    fn to_sender(&mut self, now: Instant, message: Bytes);
    /// Bytes consumed.
    fn to_receiver(&mut self, now: Instant, message: Bytes) -> usize;
}

struct Credit {
    sender: Endpoint,
    receiver: Endpoint,
    block: Bytes,
}

impl Transfer for Credit {
    fn produce(&mut self, now: Instant) {
        while self.sender.can_write() {
            self.sender.write(now, self.block.clone()).unwrap();
        }
    }

    fn sender(&mut self) -> Option<Transmit> {
        self.sender.poll_transmit()
    }

    fn receiver(&mut self) -> Option<Transmit> {
        self.receiver.poll_transmit()
    }

    fn to_sender(&mut self, now: Instant, message: Bytes) {
        self.sender.handle_message(now, message).unwrap();
    }

    fn to_receiver(&mut self, now: Instant, message: Bytes) -> usize {
        self.receiver.handle_message(now, message).unwrap();
        let mut bytes = 0;
        while let Some(action) = self.receiver.poll_action() {
            let stream::Action::Data(data) = action else { continue };
            bytes += data.len();
            self.receiver.consume(now);
        }
        bytes
    }
}

struct Acknowledged {
    sender: port::Sender,
    receiver: port::Receiver,
    block: Bytes,
}

impl Transfer for Acknowledged {
    fn produce(&mut self, now: Instant) {
        while self.sender.can_write() {
            self.sender.write(now, self.block.clone()).unwrap();
        }
    }

    fn sender(&mut self) -> Option<Transmit> {
        self.sender.poll_transmit()
    }

    fn receiver(&mut self) -> Option<Transmit> {
        self.receiver.poll_transmit()
    }

    fn to_sender(&mut self, now: Instant, message: Bytes) {
        self.sender.handle_message(now, message).unwrap();
    }

    fn to_receiver(&mut self, now: Instant, message: Bytes) -> usize {
        self.receiver.handle_message(now, message).unwrap();
        let mut bytes = 0;
        while let Some(action) = self.receiver.poll_action() {
            let port::receiver::Action::Block(block) = action else { panic!("{action:?}") };
            bytes += block.len();
            self.receiver.accept(now);
        }
        bytes
    }
}

fn credit(window: u32) -> Credit {
    let end = |direction| {
        let shape = Shape::bytes(direction, window);
        let mut end =
            Endpoint::new(stream::Config { shape, limits: Limits::default() }, Instant::ZERO).unwrap();
        end.open(Instant::ZERO);
        end.attach(Instant::ZERO);
        end
    };
    Credit {
        sender: end(Direction::Send),
        receiver: end(Direction::Receive),
        block: Bytes::from(vec![7; BLOCK]),
    }
}

fn acknowledged(window: u32) -> Acknowledged {
    let config = port::Config { window, chunk_size: Some(BLOCK), ..port::Config::default() };
    Acknowledged {
        sender: port::Sender::new(config.clone(), Instant::ZERO).unwrap(),
        receiver: port::Receiver::new(config, Instant::ZERO).unwrap(),
        block: Bytes::from(vec![7; BLOCK]),
    }
}

const fn at(nanos: u64) -> Instant {
    Instant::from_micros(nanos / 1000)
}

/// The share of the link's capacity that reaches the consumer, in percent.
///
/// The link takes one message at a time and is never ahead of itself: a message is polled when the one before has
/// left. That is a transport with room for one message.
fn run(transfer: &mut impl Transfer) -> f64 {
    let (mut there, mut back) = (VecDeque::new(), VecDeque::new());
    let (mut now, mut there_free, mut back_free, mut consumed) = (0_u64, 0, 0, 0);
    while now < START + TIME {
        transfer.produce(at(now));
        if there_free <= now {
            if let Some(message) = transfer.sender() {
                let message = message.into_bytes();
                there_free = now + (message.len() as u64 + OVERHEAD) * BYTE;
                there.push_back((there_free + DELAY, message));
            }
        }
        if back_free <= now {
            if let Some(message) = transfer.receiver() {
                let message = message.into_bytes();
                back_free = now + (message.len() as u64 + OVERHEAD) * BYTE;
                back.push_back((back_free + DELAY, message));
            }
        }
        // To the next moment at which something can happen.
        let arrivals = [there.front(), back.front()].into_iter().flatten().map(|(at, _)| *at);
        let frees = [there_free, back_free].into_iter().filter(|free| *free > now);
        now = arrivals.chain(frees).min().unwrap();
        while there.front().is_some_and(|(at, _)| *at <= now) {
            let bytes = transfer.to_receiver(at(now), there.pop_front().unwrap().1);
            if (START..START + TIME).contains(&now) {
                consumed += bytes;
            }
        }
        while back.front().is_some_and(|(at, _)| *at <= now) {
            transfer.to_sender(at(now), back.pop_front().unwrap().1);
        }
    }
    consumed as f64 * BYTE as f64 * 100.0 / TIME as f64
}

/// STREAM-9, STREAM-10: once the window covers what is under way, the link is full.
///
/// 1 Gbit/s × 100 ms is 12.5 MB. Credit comes back when less than half of the window is left, so a window of twice
/// that never lets the sender wait.
#[test]
fn stream_10_a_window_that_covers_the_round_trip_fills_the_link() {
    let product = 12_500_000_u32;
    println!("{:>12} {:>16} {:>16}", "window", "credit stream", "port, in blocks");
    let stop_and_wait = run(&mut acknowledged(1));
    println!("{:>12} {:>16} {stop_and_wait:>14.2} %", "1 block", "");
    let mut last = 0.0;
    for window in [1 << 16, 1 << 18, 1 << 20, 1 << 22, product / 2, product, product * 3 / 2, product * 2] {
        let share = run(&mut credit(window));
        let blocks = window.div_ceil(BLOCK as u32);
        let port = run(&mut acknowledged(blocks));
        println!("{window:>12} {share:>14.2} % {port:>14.2} %");
        assert!(share >= last - 0.5, "a larger window is no slower");
        last = share;
    }
    assert!(last >= 95.0, "{last}");
    assert!(stop_and_wait < 1.0, "{stop_and_wait}");
}
