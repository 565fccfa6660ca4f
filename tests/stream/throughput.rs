//! A stream over a simulated link of 1 Gbit/s and 100 ms round trip: the throughput by window, beside stop-and-wait.
//!
//! `cargo test --test stream throughput -- --nocapture` prints the table.

use std::collections::VecDeque;

use bytes::Bytes;
use portline::stream::{self, Direction, Endpoint, Limits, Shape};
use portline::{Instant, Transmit, port};

/// Nanoseconds a byte takes on the link, and a message from end to end: 50 ms.
const BYTE: u64 = 8;
const DELAY: u64 = 50_000_000;
/// Length and header of a message on a byte pipe.
const OVERHEAD: u64 = 9;
/// Bytes of a block, and how long is measured, after five round trips to get going.
const BLOCK: usize = 64 << 10;
const START: u64 = 500_000_000;
const TIME: u64 = 1_000_000_000;
/// What is under way on a full link, in bytes: 1 Gbit/s × 100 ms.
const PRODUCT: u32 = 12_500_000;

/// The two ends of one transfer; times are the simulation's.
trait Transfer {
    fn produce(&mut self, now: Instant);
    fn sender(&mut self) -> Option<Transmit>;
    fn receiver(&mut self) -> Option<Transmit>;
    fn to_sender(&mut self, now: Instant, message: Bytes);
    /// Bytes consumed.
    fn to_receiver(&mut self, now: Instant, message: Bytes) -> usize;
}

/// Both protocols have verbs of the same names; they differ in what an item and consuming it are called.
macro_rules! transfer {
    ($name:ident, $sender:ty, $receiver:ty, $item:path, $consume:ident) => {
        struct $name {
            sender: $sender,
            receiver: $receiver,
            block: Bytes,
        }

        impl Transfer for $name {
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
                    let $item(item) = action else { continue };
                    bytes += item.len();
                    self.receiver.$consume(now);
                }
                bytes
            }
        }
    };
}

transfer!(Credit, Endpoint, Endpoint, stream::Action::Data, consume);
transfer!(Acknowledged, port::Sender, port::Receiver, port::receiver::Action::Block, accept);

fn credit(shape: Shape, credit_parts: u32) -> Credit {
    let end = |direction| {
        let limits = Limits { credit_parts, ..Limits::default() };
        let config = stream::Config { shape: Shape { direction, ..shape }, limits };
        let mut end = Endpoint::new(config, Instant::ZERO).unwrap();
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

/// What came of a transfer.
struct Outcome {
    /// The share of the link's capacity that reaches the consumer, in percent.
    share: f64,
    /// Messages from the receiver for each 100 that it got.
    answers: u64,
}

/// The link takes one message at a time and is never ahead of itself: a message is polled when the one before has
/// left. That is a transport with room for one message.
fn run(transfer: &mut impl Transfer) -> Outcome {
    let (mut there, mut back) = (VecDeque::new(), VecDeque::new());
    let (mut now, mut there_free, mut back_free, mut consumed) = (0_u64, 0, 0, 0);
    let (mut blocks, mut answers) = (0_u64, 0);
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
                answers += u64::from(now >= START);
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
                blocks += 1;
            }
        }
        while back.front().is_some_and(|(at, _)| *at <= now) {
            transfer.to_sender(at(now), back.pop_front().unwrap().1);
        }
    }
    let share = consumed as f64 * BYTE as f64 * 100.0 / TIME as f64;
    Outcome { share, answers: (answers * 100).checked_div(blocks).unwrap_or_default() }
}

/// STREAM-9, STREAM-10: once the window covers what is under way, the link is full.
///
/// A window of the bandwidth-delay product alone gives 32/33 of the link, less what does not fill a block; two blocks
/// more make up for that; a 32nd more makes it full. With grants below the half mark only it takes twice the product.
#[test]
fn stream_10_a_window_that_covers_the_round_trip_fills_the_link() {
    let block = BLOCK as u32;
    println!("{:>10} {:>8} {:>10} {:>10} {:>10}", "window", "of BDP", "stream", "at half", "port");
    let stop_and_wait = run(&mut acknowledged(1)).share;
    println!("{:>10} {:>8} {:>10} {:>10} {stop_and_wait:>8.2} %", "1 block", "", "", "");
    let mut last = 0.0;
    let small = [1, 4, 16, 64].map(|blocks| blocks * block);
    let large = [PRODUCT / 2, PRODUCT, PRODUCT + 2 * block, PRODUCT / 32 * 33 + block, PRODUCT / 2 * 3];
    for window in small.into_iter().chain(large).chain([PRODUCT * 2 + block]) {
        let shape = Shape::bytes(Direction::Send, window);
        let stream = run(&mut credit(shape, stream::CREDIT_PARTS));
        let half = run(&mut credit(shape, 2)).share;
        let port = run(&mut acknowledged(window / block)).share;
        let (share, of) = (stream.share, f64::from(window) / f64::from(PRODUCT));
        println!("{window:>10} {of:>8.3} {share:>8.2} % {half:>8.2} % {port:>8.2} %");
        assert!(share >= last - 0.5, "a larger window is no slower: {window}");
        assert!(window < PRODUCT || share >= 95.0, "{window}: {share}");
        assert!(window <= PRODUCT / 32 * 33 || share >= 99.5, "{window}: {share}");
        assert!(window < PRODUCT || stream.answers <= 50, "{} messages for 100 blocks", stream.answers);
        last = share;
    }
    assert!(stop_and_wait < 1.0, "{stop_and_wait}");
}

/// STREAM-9: the same in items, in windows of few and of many of them.
#[test]
fn stream_9_a_window_of_items_fills_a_link_that_it_covers() {
    // Blocks of this size take the round trip for so many of them.
    for product in [6, 14, 30, 62, 190] {
        let block = (u64::from(PRODUCT) / product - OVERHEAD - 5) as usize;
        let mut share = [0.0; 3];
        for (extra, share) in share.iter_mut().enumerate() {
            let window = product as u32 + extra as u32;
            let shape = Shape { window, ..Shape::items(Direction::Send) };
            let mut transfer = credit(shape, stream::CREDIT_PARTS);
            transfer.block = Bytes::from(vec![7; block]);
            *share = run(&mut transfer).share;
        }
        println!("{product:>4} items under way: {share:>6.2?} % in windows of so many, one and two more");
        assert!(share[2] >= 95.0, "{share:?}");
    }
}
