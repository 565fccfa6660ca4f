//! Two ends of a port, each with something to send.

use std::any::Any;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use portline::Instant;
use portline::port::duplex::Action;
use portline::port::{Config, Duplex};

use crate::common::Rng;
use crate::net::{Net, Peer, of};
use crate::toy::Repo;

struct End {
    machine: Duplex,
    /// All that it sends, and how much of it was written.
    content: Bytes,
    written: usize,
    finished: bool,
    got: BytesMut,
    /// How long it has a block in hand, and until when.
    slow: Duration,
    until: Option<Instant>,
    in_hand: bool,
    cancels_at: usize,
    sent: Vec<bool>,
    received: Vec<bool>,
}

impl Peer for End {
    fn input(&mut self, now: Instant, _: u32, bytes: Bytes) {
        let _ = self.machine.handle_message(now, bytes);
    }

    fn closed(&mut self, now: Instant) {
        let _ = self.machine.handle_closed(now);
    }

    fn timeout(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
        }
        self.machine.handle_timeout(now);
    }

    fn deadline(&self) -> Option<Instant> {
        [self.machine.poll_timeout(), self.until].into_iter().flatten().min()
    }

    fn transmit(&mut self) -> Option<(u32, Bytes)> {
        Some((0, self.machine.poll_transmit()?.into_bytes()))
    }

    fn wants_input(&self) -> bool {
        self.machine.wants_input()
    }

    fn work(&mut self, now: Instant, _: &mut Repo) -> bool {
        let mut worked = false;
        while self.machine.can_write() && self.written < self.content.len() {
            let end = (self.written + 700).min(self.content.len());
            self.machine.write(now, self.content.slice(self.written..end)).unwrap();
            (self.written, worked) = (end, true);
        }
        if self.written == self.content.len() && !self.finished {
            self.machine.finish(now);
            (self.finished, worked) = (true, true);
        }
        if self.in_hand && self.until.is_none() {
            self.in_hand = false;
            if self.got.len() >= self.cancels_at {
                self.machine.cancel(now);
            } else {
                self.machine.accept(now);
            }
            worked = true;
        }
        while let Some(action) = self.machine.poll_action() {
            worked = true;
            match action {
                Action::Block(block) => {
                    self.got.extend_from_slice(&block);
                    self.in_hand = true;
                    self.until = now.checked_add(self.slow).filter(|_| !self.slow.is_zero());
                }
                Action::End => self.received.push(true),
                Action::ReceiveFailed(_) => self.received.push(false),
                Action::Sent => self.sent.push(true),
                Action::SendFailed(_) => self.sent.push(false),
            }
        }
        worked
    }

    /// Each direction has its own; both are told of as one.
    fn ends(&self) -> usize {
        assert!(self.sent.len() <= 1 && self.received.len() <= 1, "one end for each direction");
        usize::from(self.sent.len() + self.received.len() == 2)
    }

    fn well(&self) -> bool {
        self.sent == [true] && self.received == [true]
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn end(rng: &mut Rng) -> End {
    let config = Config {
        window: 1 + rng.below(4) as u32,
        chunk_size: Some(1 + rng.below(300)),
        send_bytes: 1 + rng.below(5000),
        receive_blocks: 4 + rng.below(10),
        ..Config::default()
    };
    let scale = rng.below(13);
    let length = rng.below(1 << scale);
    let content = Bytes::from(rng.bytes(length));
    End {
        machine: Duplex::new(config, Instant::ZERO).unwrap(),
        content,
        written: 0,
        finished: false,
        got: BytesMut::new(),
        slow: Duration::from_micros([0, 0, 500, 2_000_000][rng.below(4)]),
        until: None,
        in_hand: false,
        cancels_at: if rng.below(10) == 0 { rng.below(2000) } else { usize::MAX },
        sent: Vec::new(),
        received: Vec::new(),
    }
}

pub fn join(net: &mut Net) {
    let ends = [end(&mut net.rng), end(&mut net.rng)].map(|end| Box::new(end) as Box<dyn Peer>);
    net.join("port", false, ends, |left, right, faulty| {
        let (left, right): (&End, &End) = (of(left), of(right));
        for (from, to) in [(left, right), (right, left)] {
            assert!(
                from.content.starts_with(&to.got),
                "what arrives is what was sent, from its beginning on"
            );
            if to.received == [true] {
                assert_eq!(from.content, to.got, "an end comes behind everything");
            }
            if from.sent == [true] {
                assert_eq!(from.content, to.got, "sent is taken");
            }
            let calm = !faulty && [left, right].iter().all(|end| end.cancels_at == usize::MAX);
            assert!(!calm || (from.sent == [true] && to.received == [true]), "nothing was wrong");
        }
    });
}
