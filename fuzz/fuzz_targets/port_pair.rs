//! Two ports over two byte pipes that the fuzzer splits, delays and cuts: while nobody disturbs them all that is written
//! arrives once and in order and every stream ends well on both sides; whatever happens, each stream has one end.
#![no_main]

#[path = "common/oracle.rs"]
mod oracle;

use std::collections::VecDeque;

use arbitrary::Arbitrary;
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use portline::Instant;
use portline::frame::carrier::{Decoder, wrap};
use portline::port::duplex::Action;
use portline::port::{Config, Duplex};

#[derive(Arbitrary, Debug)]
struct Input {
    setup: [Setup; 2],
    steps: Vec<(bool, Step)>,
}

#[derive(Arbitrary, Debug)]
struct Setup {
    window: u8,
    chunk: Option<u8>,
    /// Consumes a block as soon as it has it.
    eager: bool,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Write(u8),
    Flush,
    Finish,
    Fail,
    Begin,
    Accept,
    Cancel,
    /// So many messages leave.
    Transmit(u8),
    /// So many bytes arrive at the other side.
    Deliver(u16),
    Actions,
    Wait(u32),
    Timeout,
    /// The pipe away from here breaks, behind so many bytes.
    Cut(u16),
    Garbage(Vec<u8>),
}

struct End {
    port: Duplex,
    decoder: Decoder,
    /// Bytes on their way to the other side.
    pipe: BytesMut,
    eager: bool,
    /// Written and not yet arrived, the streams apart.
    written: VecDeque<Vec<u8>>,
    received: Vec<u8>,
    serial: u8,
    begun: usize,
    sent: usize,
    ended: usize,
    /// A block waits to be consumed.
    in_hand: bool,
    /// The port is gone, or its sending side: no further stream begins.
    broken: bool,
}

impl End {
    fn new(setup: &Setup) -> Option<Self> {
        let config = Config {
            window: u32::from(setup.window % 5) + 1,
            chunk_size: setup.chunk.map(usize::from),
            max_block: 300,
            send_bytes: 1000,
            receive_blocks: 8,
            receive_bytes: 4000,
            max_empty: u32::MAX,
            sequence: true,
            ..Config::default()
        };
        Some(Self {
            port: Duplex::new(config, Instant::ZERO).ok()?,
            decoder: Decoder::new(400, 4000),
            pipe: BytesMut::new(),
            eager: setup.eager,
            written: VecDeque::from([Vec::new()]),
            received: Vec::new(),
            serial: 0,
            begun: 1,
            sent: 0,
            ended: 0,
            in_hand: false,
            broken: false,
        })
    }

    fn write(&mut self, now: Instant, size: u8) {
        self.serial = self.serial.wrapping_add(1);
        let block = vec![self.serial; usize::from(size)];
        let can = self.port.can_write();
        assert_eq!(self.port.write(now, Bytes::from(block.clone())).is_ok(), can);
        if let (true, Some(stream)) = (can, self.written.back_mut()) {
            stream.extend_from_slice(&block);
        }
    }

    fn begin(&mut self, now: Instant) {
        // Begins at most as many streams as have ended.
        if self.sent == self.begun && !self.broken {
            self.begun += 1;
            self.port.begin(now);
            self.written.push_back(Vec::new());
        }
    }

    fn transmit(&mut self, count: u8) -> bool {
        let before = self.pipe.len();
        for _ in 0..count {
            let Some(message) = self.port.poll_transmit() else { break };
            self.pipe.extend_from_slice(&wrap(message).unwrap().into_bytes());
        }
        self.pipe.len() > before
    }

    fn deliver(&mut self, now: Instant, to: &mut Self, length: usize) -> bool {
        let piece = self.pipe.split_to(self.pipe.len().min(length)).freeze();
        let any = !piece.is_empty();
        to.decoder.handle_bytes(piece);
        // A driver reads only what is wanted; what is not stays in the carrier.
        while to.port.wants_input() {
            let Ok(Some(message)) = to.decoder.next_message() else { break };
            if let Err(error) = to.port.handle_message(now, message.clone()) {
                to.broken = true;
                // Behind END or ERROR another stream would begin.
                if !matches!(message.first(), Some(2 | 3)) {
                    assert_eq!(to.port.handle_message(now, message), Err(error), "an error is sticky");
                }
            }
        }
        any
    }

    fn actions(&mut self, now: Instant, from: &mut Self, honest: bool) -> bool {
        let mut any = false;
        while let Some(action) = self.port.poll_action() {
            any = true;
            match action {
                Action::Block(block) => {
                    assert!(!self.in_hand, "one block in hand at a time");
                    self.received.extend_from_slice(&block);
                    self.in_hand = true;
                    if self.eager {
                        self.accept(now);
                    }
                }
                Action::End => {
                    let received = std::mem::take(&mut self.received);
                    if honest {
                        assert_eq!(Some(received), from.written.pop_front(), "a stream as it was written");
                    }
                    self.ended += 1;
                }
                Action::Sent => self.sent += 1,
                Action::ReceiveFailed(error) => {
                    assert!(!honest, "{error}");
                    self.ended += 1;
                }
                Action::SendFailed(error) => {
                    assert!(!honest, "{error}");
                    self.sent += 1;
                }
            }
            assert!(self.sent <= self.begun, "one end for each stream");
        }
        any
    }

    fn accept(&mut self, now: Instant) {
        self.in_hand = false;
        self.port.accept(now);
    }
}

/// Everything moves on, once.
fn turn(now: Instant, a: &mut End, b: &mut End, honest: bool) -> bool {
    let mut moved = a.transmit(u8::MAX) | b.transmit(u8::MAX);
    moved |= a.deliver(now, b, usize::MAX) | b.deliver(now, a, usize::MAX);
    moved |= a.actions(now, b, honest) | b.actions(now, a, honest);
    for end in [a, b] {
        if end.in_hand {
            end.accept(now);
            moved = true;
        }
    }
    moved
}

fn settle(now: Instant, a: &mut End, b: &mut End, honest: bool) {
    for round in 0.. {
        assert!(round < 10_000, "busy without end");
        if !turn(now, a, b, honest) {
            return;
        }
    }
}

fn step(step: Step, now: &mut Instant, this: &mut End, peer: &mut End, honest: &mut bool) {
    match step {
        Step::Write(size) => this.write(*now, size),
        Step::Flush => this.port.flush(*now),
        Step::Finish => this.port.finish(*now),
        Step::Begin => this.begin(*now),
        Step::Accept => this.accept(*now),
        Step::Transmit(count) => drop(this.transmit(count)),
        Step::Deliver(length) => drop(this.deliver(*now, peer, length.into())),
        Step::Actions => drop(this.actions(*now, peer, *honest)),
        Step::Wait(micros) => *now = Instant::from_micros(now.as_micros() + u64::from(micros % 1000)),
        Step::Timeout => {
            *honest = false;
            if let Some(at) = this.port.poll_timeout() {
                *now = (*now).max(at);
                this.port.handle_timeout(*now);
                oracle::moved_on(this.port.poll_timeout(), *now);
            }
        }
        Step::Fail => {
            *honest = false;
            this.port.fail(*now, "failed");
        }
        Step::Cancel => {
            *honest = false;
            this.port.cancel(*now);
        }
        Step::Cut(behind) => {
            *honest = false;
            this.pipe.truncate(behind.into());
            this.deliver(*now, peer, usize::MAX);
            drop(peer.port.handle_closed(*now));
            peer.broken = true;
        }
        Step::Garbage(bytes) => {
            *honest = false;
            this.pipe.extend_from_slice(&bytes);
        }
    }
}

fuzz_target!(|input: Input| {
    let [Some(mut a), Some(mut b)] = input.setup.each_ref().map(End::new) else { return };
    let (mut now, mut honest) = (Instant::ZERO, true);
    for (at_b, one) in input.steps {
        let (this, peer) = if at_b { (&mut b, &mut a) } else { (&mut a, &mut b) };
        step(one, &mut now, this, peer, &mut honest);
    }
    settle(now, &mut a, &mut b, honest);
    if honest {
        // Both come to the end of what they have begun.
        a.port.finish(now);
        b.port.finish(now);
        settle(now, &mut a, &mut b, true);
        for (one, other) in [(&a, &b), (&b, &a)] {
            assert_eq!((one.sent, other.ended), (one.begun, one.begun), "every stream ended on both sides");
            assert!(one.written.is_empty() && other.received.is_empty());
        }
    }
    for end in [&mut a, &mut b] {
        drop(end.port.handle_closed(now));
    }
    a.actions(now, &mut b, false);
    b.actions(now, &mut a, false);
    for end in [&mut a, &mut b] {
        while end.in_hand {
            end.accept(now);
            let mut nobody = End::new(&Setup { window: 0, chunk: None, eager: true }).unwrap();
            end.actions(now, &mut nobody, false);
        }
        assert!(end.port.has_ended() && !end.port.wants_input() && end.port.poll_timeout().is_none());
        assert!(end.sent == end.begun, "{} ends of {} streams", end.sent, end.begun);
    }
});
