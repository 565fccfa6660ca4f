//! The mux through an in-memory pipe: one stream in bulk, a thousand, open–64 B–close beside many idle ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "support/mod.rs"]
mod support;

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput};
use portline::Instant;
use portline::frame::{Frame, FrameType};
use portline::rpc::Role;
use portline::rpc::mux::{Action, Config, Mux};
use portline::stream::{self, Core, Direction, Limits, Shape};

const NOW: Instant = Instant::ZERO;

fn pair(max_channels: usize) -> [Mux; 2] {
    [Role::Initiator, Role::Acceptor].map(|role| {
        let mut config = Config::new(role);
        config.max_channels = max_channels;
        Mux::new(config, NOW).unwrap()
    })
}

/// Everything that waits goes through a pipe of one buffer, as a socket would take and give it.
fn carry(from: &mut Mux, to: &mut Mux) {
    let mut pipe = BytesMut::new();
    while let Some(transmit) = from.poll_transmit() {
        pipe.extend_from_slice(transmit.head());
        pipe.extend_from_slice(transmit.payload());
    }
    to.handle_bytes(NOW, pipe.freeze()).unwrap();
}

/// A stream on a channel, driven by hand.
struct End {
    core: Core,
    channel: u32,
}

impl End {
    fn new(direction: Direction, channel: u32) -> Self {
        let mut core = Core::new(Shape::bytes(direction, 256 << 10)).unwrap();
        core.open(NOW);
        core.attach(&limits(), NOW);
        core.poll_action(NOW);
        Self { core, channel }
    }

    fn pump(&mut self, mux: &mut Mux, limits: &Limits) {
        while mux.can_send(self.channel) {
            let Some(message) = self.core.poll_transmit(limits, NOW) else { break };
            mux.send(self.channel, message).unwrap();
        }
    }
}

fn limits() -> Limits {
    Limits::default()
}

fn bulk(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mux, 64 KiB");
    let (limits, block) = (limits(), Bytes::from(vec![7; 64 << 10]));
    for count in [1, 1000] {
        let [mut here, mut there] = pair(count);
        let mut senders: Vec<End> =
            (0..count).map(|_| End::new(Direction::Send, here.open().unwrap())).collect();
        let mut receivers: Vec<End> =
            senders.iter().map(|sender| End::new(Direction::Receive, sender.channel)).collect();
        let mut next = 0;
        group.throughput(Throughput::Bytes(64 << 10));
        group.bench_function(format!("{count} streams, each turn"), |bencher| {
            bencher.iter(|| {
                let sender = &mut senders[next % count];
                let receiver = &mut receivers[next % count];
                next += 1;
                sender.core.write(&limits, NOW, block.clone()).unwrap();
                sender.pump(&mut here, &limits);
                carry(&mut here, &mut there);
                while let Some(action) = there.poll_action() {
                    if let Action::Message { message, .. } = action {
                        receiver.core.handle_message(&limits, NOW, message).unwrap();
                        while let Some(stream::Action::Data(data)) = receiver.core.poll_action(NOW) {
                            black_box(data);
                            receiver.core.consume();
                        }
                        receiver.pump(&mut there, &limits);
                    }
                }
                carry(&mut there, &mut here);
                while let Some(action) = here.poll_action() {
                    if let Action::Message { message, .. } = action {
                        sender.core.handle_message(&limits, NOW, message).unwrap();
                    }
                }
            });
        });
    }
    group.finish();
}

fn open_close(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mux, open, 64 B, close");
    let limits = limits();
    let block = Bytes::from(vec![7; 64]);
    for idle in [1000, 10_000, 100_000, 1_000_000] {
        let [mut here, mut there] = pair(idle + 1);
        for _ in 0..idle {
            let channel = here.open().unwrap();
            there.open_as(channel).unwrap();
        }
        group.bench_function(format!("beside {idle} idle streams"), |bencher| {
            bencher.iter(|| {
                let mut sender = End::new(Direction::Send, here.open().unwrap());
                sender.core.write(&limits, NOW, block.clone()).unwrap();
                sender.core.finish(&limits, NOW);
                sender.pump(&mut here, &limits);
                here.close(sender.channel);
                carry(&mut here, &mut there);
                let mut receiver = None;
                while let Some(action) = there.poll_action() {
                    match action {
                        Action::Opened { channel } => receiver = Some(End::new(Direction::Receive, channel)),
                        Action::Message { message, .. } => {
                            let receiver = receiver.as_mut().unwrap();
                            receiver.core.handle_message(&limits, NOW, message).unwrap();
                        }
                        _ => {}
                    }
                }
                let mut receiver = receiver.unwrap();
                while let Some(action) = receiver.core.poll_action(NOW) {
                    black_box(action);
                }
                there.close(receiver.channel);
                assert!(receiver.core.has_ended());
            });
        });
        group.bench_function(format!("mux alone beside {idle} idle channels"), |bencher| {
            bencher.iter(|| {
                let channel = here.open().unwrap();
                here.send(channel, Frame::new(FrameType::Last, 0, block.clone()).encode()).unwrap();
                here.close(channel);
                carry(&mut here, &mut there);
                while let Some(action) = there.poll_action() {
                    black_box(action);
                }
                there.close(channel);
            });
        });
    }
    group.finish();
}

fn main() {
    support::run(&[bulk, open_close]);
}
