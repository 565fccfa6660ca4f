//! Streams with flow control over one in-memory pipe, beside yamux and h2: one in bulk, a thousand at once, and streams
//! that are opened, carry 64 bytes and close; the last also with up to a million idle ones beside them.
//!
//! Each speaks through `tokio::io::duplex` with the same room, both ends on one thread, windows of the same size at
//! first, and blocks of the same size. "the pipe alone" is the floor: bytes put in and taken out, no protocol.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod ours;
mod peers;
#[path = "../support/mod.rs"]
mod support;

use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Waker};

use bytes::{Buf, Bytes, BytesMut};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use futures_util::AsyncWriteExt;
use portline::stream::CHUNK;
use tokio::io::DuplexStream;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;
use tokio_util::io::{poll_read_buf, poll_write_buf};

use peers::Received;

/// Bytes in the pipe, and the window of each stream.
const PIPE: usize = 256 << 10;
const WINDOW: u32 = 256 << 10;
/// Bytes of a stream that is opened and closed.
const SMALL: usize = 64;
/// Streams opened before the pipe is driven.
const BATCH: usize = 100;
/// Blocks of one iteration, at least.
const BLOCKS: usize = 64;

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn runtime() -> (Runtime, LocalSet) {
    (tokio::runtime::Builder::new_current_thread().build().unwrap(), LocalSet::new())
}

fn block() -> Bytes {
    Bytes::from(vec![7; CHUNK])
}

/// 64 KiB on each of so many open streams.
fn bulk(criterion: &mut Criterion, name: &str, streams: usize) {
    let rounds = BLOCKS.div_ceil(streams);
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements((rounds * streams) as u64));
    group.bench_function("portline", |bencher| {
        let (mut ends, data) = (ours::pair(), block());
        let channels: Vec<u32> = (0..streams).map(|_| ends[0].open()).collect();
        bencher.iter(|| ours::bulk(&mut ends, &channels, &data, rounds));
    });
    bulk_yamux(&mut group, streams, rounds);
    bulk_h2(&mut group, streams, rounds);
    group.bench_function("the pipe alone", |bencher| {
        let (mut pipe, data) = (tokio::io::duplex(PIPE), block());
        let mut input = BytesMut::new();
        bencher.iter(|| (0..rounds * streams).for_each(|_| through(&mut pipe, &mut input, &data)));
    });
    group.finish();
}

/// A block goes through the pipe.
fn through(pipe: &mut (DuplexStream, DuplexStream), input: &mut BytesMut, data: &Bytes) {
    let mut context = Context::from_waker(Waker::noop());
    let mut left = data.clone();
    while left.has_remaining() {
        assert!(poll_write_buf(Pin::new(&mut pipe.0), &mut context, &mut left).is_ready());
        input.reserve(PIPE);
        assert!(poll_read_buf(Pin::new(&mut pipe.1), &mut context, input).is_ready());
        black_box(input.split().freeze());
    }
}

fn bulk_yamux(group: &mut Group<'_>, streams: usize, rounds: usize) {
    group.bench_function("yamux", |bencher| {
        let (runtime, local) = runtime();
        let (received, data) = (Received::default(), block());
        let mut open: Vec<yamux::Stream> = local.block_on(&runtime, async {
            let client = peers::yamux(&received, true);
            let mut open = Vec::new();
            for _ in 0..streams {
                open.push(peers::yamux_open(&client, &received).await);
            }
            open
        });
        bencher.iter(|| {
            local.block_on(&runtime, async {
                for stream in &mut open {
                    for _ in 0..rounds {
                        stream.write_all(&data).await.unwrap();
                    }
                }
                received.bytes.counts(rounds * streams * CHUNK).await;
            });
        });
    });
}

fn bulk_h2(group: &mut Group<'_>, streams: usize, rounds: usize) {
    group.bench_function("h2", |bencher| {
        let (runtime, local) = runtime();
        let (received, data) = (Received::default(), block());
        let mut open: Vec<_> = local.block_on(&runtime, async {
            let client = peers::h2(&received).await;
            let mut open = Vec::new();
            for _ in 0..streams {
                open.push(client.open().await);
            }
            open
        });
        bencher.iter(|| {
            local.block_on(&runtime, async {
                for stream in &mut open {
                    for _ in 0..rounds {
                        stream.1.send_data(data.clone(), false).unwrap();
                    }
                }
                received.bytes.counts(rounds * streams * CHUNK).await;
            });
        });
    });
}

fn one(criterion: &mut Criterion) {
    bulk(criterion, "mux, one stream, each 64 KiB", 1);
}

fn thousand(criterion: &mut Criterion) {
    bulk(criterion, "mux, 1000 streams, each 64 KiB", 1000);
}

fn short(criterion: &mut Criterion) {
    let data = Bytes::from(vec![7; SMALL]);
    let mut group = criterion.benchmark_group("mux, opened, 64 bytes, closed");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("portline", |bencher| {
        let mut ends = ours::pair();
        bencher.iter(|| ours::short(&mut ends, &data, BATCH));
    });
    group.bench_function("yamux", |bencher| {
        let (runtime, local) = runtime();
        let received = Received::default();
        let client = local.block_on(&runtime, async { peers::yamux(&received, false) });
        bencher.iter(|| {
            local.block_on(&runtime, async {
                client.want(BATCH);
                for _ in 0..BATCH {
                    let mut stream = client.next().await;
                    stream.write_all(&data).await.unwrap();
                    stream.close().await.unwrap();
                }
                received.ended.counts(BATCH).await;
            });
        });
    });
    group.bench_function("h2", |bencher| {
        let (runtime, local) = runtime();
        let received = Received::default();
        let client = local.block_on(&runtime, peers::h2(&received));
        bencher.iter(|| {
            local.block_on(&runtime, async {
                let mut responses = Vec::with_capacity(BATCH);
                for _ in 0..BATCH {
                    let (response, mut body) = client.open().await;
                    body.send_data(data.clone(), true).unwrap();
                    responses.push(response);
                }
                for response in responses {
                    response.await.unwrap();
                }
                received.ended.counts(BATCH).await;
            });
        });
    });
    group.finish();
}

/// Ours again, beside idle streams.
fn beside(criterion: &mut Criterion) {
    let data = Bytes::from(vec![7; SMALL]);
    let mut ends = ours::pair();
    for idle in [1000, 10_000, 100_000, 1_000_000] {
        let mut group = criterion.benchmark_group(format!("mux, the same beside {idle} idle ones"));
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function("portline", |bencher| {
            while ends[0].mux.open_channels() < idle {
                let channel = ends[0].open();
                assert!(ends[0].write(channel, &Bytes::from_static(b"1")));
                ours::run(&mut ends);
            }
            bencher.iter(|| ours::short(&mut ends, &data, BATCH));
        });
        group.finish();
    }
}

fn main() {
    support::run(&[one, thousand, short, beside]);
}
