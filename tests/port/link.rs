//! Two duplex ports over a seeded link: both directions at once, streams in sequence, any split, any cut.

use std::collections::VecDeque;
use std::time::Duration;

use crate::common::{Endpoint, Link, Rng, Weather};
use bytes::Bytes;
use portline::frame::carrier::{Decoder, wrap};
use portline::port::duplex::Action;
use portline::port::{Config, Duplex, Error};
use portline::{Blame, Instant, Transmit};

/// A port with an application that sends some streams and collects what comes.
struct Port {
    duplex: Duplex,
    /// On a byte link, the carrier.
    decoder: Option<Decoder>,
    to_send: VecDeque<VecDeque<Bytes>>,
    /// The stream being received.
    open: Vec<u8>,
    received: Vec<Vec<u8>>,
    begun: usize,
    sent: usize,
    failures: Vec<Error>,
    receive_failures: Vec<Error>,
}

impl Port {
    fn new(config: Config, messages: bool, streams: &[Vec<Bytes>]) -> Self {
        Self {
            duplex: Duplex::new(config, Instant::ZERO).unwrap(),
            decoder: (!messages).then(Decoder::default),
            to_send: streams.iter().map(|stream| stream.iter().cloned().collect()).collect(),
            open: Vec::new(),
            received: Vec::new(),
            begun: 1,
            sent: 0,
            failures: Vec::new(),
            receive_failures: Vec::new(),
        }
    }

    fn write(&mut self, now: Instant) -> bool {
        let Some(stream) = self.to_send.front_mut() else { return false };
        let mut worked = false;
        while self.duplex.can_write() {
            worked = true;
            match stream.pop_front() {
                Some(block) => self.duplex.write(now, block).unwrap(),
                None => self.duplex.finish(now),
            }
        }
        worked
    }

    fn next_stream(&mut self, now: Instant) {
        self.to_send.pop_front();
        if !self.to_send.is_empty() {
            self.begun += 1;
            self.duplex.begin(now);
        }
    }
}

impl Endpoint for Port {
    fn input(&mut self, now: Instant, bytes: Bytes) {
        let Some(decoder) = &mut self.decoder else {
            return self.duplex.handle_message(now, bytes).unwrap();
        };
        decoder.handle_bytes(bytes);
    }

    fn closed(&mut self, now: Instant) {
        self.duplex.handle_closed(now).ok();
    }

    fn timeout(&mut self, now: Instant) {
        self.duplex.handle_timeout(now);
    }

    fn transmit(&mut self) -> Option<Transmit> {
        let transmit = self.duplex.poll_transmit()?;
        Some(if self.decoder.is_some() { wrap(transmit).unwrap() } else { transmit })
    }

    fn deadline(&self) -> Option<Instant> {
        self.duplex.poll_timeout()
    }

    fn wants_input(&self) -> bool {
        self.duplex.wants_input() && self.decoder.as_ref().is_none_or(Decoder::wants_input)
    }

    fn work(&mut self, now: Instant) -> bool {
        let mut worked = self.write(now);
        while self.duplex.wants_input() {
            let message = self.decoder.as_mut().and_then(|decoder| decoder.next_message().unwrap());
            let Some(message) = message else { break };
            self.duplex.handle_message(now, message).unwrap();
            worked = true;
        }
        while let Some(action) = self.duplex.poll_action() {
            worked = true;
            match action {
                Action::Block(block) => {
                    self.open.extend_from_slice(&block);
                    self.duplex.accept(now);
                }
                Action::End => self.received.push(std::mem::take(&mut self.open)),
                Action::ReceiveFailed(error) => self.receive_failures.push(error),
                Action::Sent => {
                    self.sent += 1;
                    self.next_stream(now);
                }
                Action::SendFailed(error) => {
                    self.failures.push(error);
                    self.to_send.clear();
                }
            }
        }
        worked
    }
}

fn config(rng: &mut Rng) -> Config {
    let chunk_size = [None, Some(1), Some(7), Some(100), Some(65536)][rng.below(5)];
    Config { chunk_size, window: 1 + rng.below(20) as u32, sequence: true, ..Config::default() }
}

fn streams(rng: &mut Rng) -> Vec<Vec<Bytes>> {
    let mut stream = || {
        let blocks = rng.below(6);
        (0..blocks)
            .map(|_| {
                let length = [0, 1, 7, 100, 900][rng.below(5)];
                Bytes::from(rng.bytes(length))
            })
            .collect()
    };
    (0..4).map(|_| stream()).collect()
}

fn whole(streams: &[Vec<Bytes>]) -> Vec<Vec<u8>> {
    streams.iter().map(|stream| stream.concat()).collect()
}

fn weather(rng: &mut Rng, messages: bool) -> Weather {
    Weather {
        messages,
        piece: [1, 3, 50, 5000][rng.below(4)],
        delay: Duration::from_millis(rng.below(100) as u64),
        room: [1, 200, 1 << 20][rng.below(3)],
        cut_after: None,
    }
}

/// PORT-23, PORT-22, FRAME-11: what arrives does not depend on the link.
#[test]
fn port_23_streams_in_both_directions_arrive_over_any_link() {
    for seed in 0..50 {
        let mut rng = Rng::new(seed);
        let (there, back) = (streams(&mut rng), streams(&mut rng));
        let configs = [config(&mut rng), config(&mut rng)];
        for messages in [true, false] {
            let mut a = Port::new(configs[0].clone(), messages, &there);
            let mut b = Port::new(configs[1].clone(), messages, &back);
            let mut link = Link::new(weather(&mut rng, messages), seed);
            link.run(&mut a, &mut b);
            assert_eq!((&a.received, &b.received), (&whole(&back), &whole(&there)), "seed {seed}");
            assert_eq!((a.sent, b.sent), (there.len(), back.len()), "seed {seed}");
            assert_eq!((a.failures, b.failures), (vec![], vec![]), "seed {seed}");
            assert_eq!((a.receive_failures, b.receive_failures), (vec![], vec![]), "seed {seed}");
        }
    }
}

/// PORT-25, T13: the link is cut anywhere.
#[test]
fn port_28_every_stream_gets_one_terminal_action_wherever_the_link_is_cut() {
    for seed in 0..150 {
        let mut rng = Rng::new(seed);
        let (there, back) = (streams(&mut rng), streams(&mut rng));
        let messages = rng.below(2) == 0;
        let mut a = Port::new(config(&mut rng), messages, &there);
        let mut b = Port::new(config(&mut rng), messages, &back);
        let weather = Weather { cut_after: Some(rng.below(3000)), ..weather(&mut rng, messages) };
        Link::new(weather, seed).run(&mut a, &mut b);
        for (port, other, streams) in [(&a, &b, &there), (&b, &a, &back)] {
            assert_eq!(port.begun, port.sent + port.failures.len(), "seed {seed}");
            assert!(port.failures.iter().all(|error| *error == Error::Closed), "{:?}", port.failures);
            assert!(other.receive_failures.len() <= 1);
            // What arrived whole is what was sent, in order.
            assert!(whole(streams).starts_with(&other.received), "seed {seed}");
            assert!(port.duplex.has_ended());
        }
    }
}

fn duplex(config: Config) -> Duplex {
    Duplex::new(config, Instant::ZERO).unwrap()
}

#[test]
fn port_23_a_direction_fails_alone_and_an_unknown_message_ends_both() {
    let now = Instant::ZERO;
    let mut port = duplex(Config::default());
    let gap = port.handle_message(now, Bytes::from_static(b"\0\0\0\0\x01x"));
    assert_eq!(gap, Err(Error::OutOfOrder { expected: 0, found: 1 }));
    assert!(matches!(port.poll_action(), Some(Action::ReceiveFailed(_))));
    assert!(!port.has_ended(), "the other direction goes on");
    port.write(now, Bytes::from_static(b"y")).unwrap();
    port.finish(now);
    let said: Vec<_> = std::iter::from_fn(|| port.poll_transmit()).map(Transmit::into_bytes).collect();
    assert_eq!(said, [&b"\x01\0\0\0\x01\0"[..], b"\0\0\0\0\0y"]);
    port.handle_message(now, Bytes::from_static(b"\x01\0\0\0\0\x01")).unwrap();
    assert_eq!((port.poll_action(), port.has_ended()), (Some(Action::Sent), true));

    // The other way round: what comes is still read and delivered.
    let mut port = duplex(Config::default());
    let never = port.handle_message(now, Bytes::from_static(b"\x01\0\0\0\0\x01"));
    assert_eq!(never, Err(Error::NeverSent { block: 0, sent: 0 }));
    assert!(port.wants_input());
    port.handle_message(now, Bytes::from_static(b"\0\0\0\0\0x")).unwrap();
    assert_eq!(port.poll_action(), Some(Action::Block(Bytes::from_static(b"x"))));

    let mut port = duplex(Config::default());
    let error = port.handle_message(now, Bytes::from_static(b"\x04\0\0\0\0")).unwrap_err();
    assert_eq!(error.blame(), Blame::Peer);
    assert_eq!(port.poll_action(), Some(Action::ReceiveFailed(error.clone())));
    assert_eq!(port.poll_action(), Some(Action::SendFailed(error.clone())));
    assert_eq!((port.poll_action(), port.wants_input(), port.has_ended()), (None, false, true));
    assert_eq!(port.handle_closed(now), Err(error));
    assert_eq!(port.poll_action(), None);
}

/// PORT-10: our own stream fails in our words, and the peer's goes on.
#[test]
fn port_10_the_producer_of_one_direction_fails_it_alone() {
    let now = Instant::ZERO;
    let mut port = duplex(Config::default());
    port.fail(now, "no");
    assert_eq!(
        port.poll_transmit().map(Transmit::into_bytes),
        Some(Bytes::from_static(b"\x03\0\0\0\0\"no\""))
    );
    assert_eq!(port.poll_action(), Some(Action::SendFailed(Error::Aborted)));
    assert!(!port.has_ended());
    port.handle_message(now, Bytes::from_static(b"\x02\0\0\0\0")).unwrap();
    assert_eq!((port.poll_action(), port.has_ended()), (Some(Action::End), true));
}

/// A turn of a conversation is over before its block is full.
#[test]
fn port_22_flush_sends_less_than_a_chunk() {
    let now = Instant::ZERO;
    let mut port = duplex(Config { chunk_size: Some(4), ..Config::default() });
    port.write(now, Bytes::from_static(b"ab")).unwrap();
    assert_eq!(port.poll_transmit(), None);
    port.flush(now);
    assert_eq!(port.poll_transmit().map(Transmit::into_bytes), Some(Bytes::from_static(b"\0\0\0\0\0ab")));
}

/// T12: neither direction waits for the other.
#[test]
fn port_23_answers_and_blocks_are_sent_in_turn() {
    let now = Instant::ZERO;
    let mut port = duplex(Config { window: 3, ..Config::default() });
    for id in 0..3 {
        port.handle_message(now, Bytes::from(vec![0, 0, 0, 0, id])).unwrap();
        port.write(now, Bytes::new()).unwrap();
    }
    port.cancel(now);
    let kinds: Vec<_> = std::iter::from_fn(|| port.poll_transmit()).map(|t| t.head()[0]).collect();
    assert_eq!(kinds, [1, 0, 1, 0, 1, 0]);
}

#[test]
fn port_24_no_answer_is_late_while_our_own_queue_is_full() {
    let at = Instant::from_millis;
    let config = Config { receive_blocks: 1, ..Config::default() };
    let mut port = duplex(config);
    port.write(at(0), Bytes::new()).unwrap();
    port.poll_transmit().unwrap();
    assert_eq!(port.poll_timeout(), Some(at(30_000)));
    port.handle_message(at(1), Bytes::from_static(&[0, 0, 0, 0, 0])).unwrap();
    assert_eq!((port.wants_input(), port.poll_timeout()), (false, None));
    port.handle_timeout(at(40_000));
    assert!(matches!(port.poll_action(), Some(Action::Block(_))));
    assert_eq!((port.wants_input(), port.poll_timeout()), (true, Some(at(70_000))));
    port.handle_timeout(at(70_000));
    assert_eq!(port.poll_action(), Some(Action::SendFailed(Error::AckTimeout { block: 0 })));
}

#[test]
fn port_25_closing_ends_both_directions_but_not_one_that_is_complete() {
    let now = Instant::ZERO;
    let mut port = duplex(Config::default());
    port.finish(now);
    assert_eq!(port.handle_closed(now), Err(Error::Closed));
    assert_eq!(port.poll_action(), Some(Action::ReceiveFailed(Error::Closed)));
    assert_eq!((port.poll_action(), port.poll_action()), (Some(Action::Sent), None));
}
