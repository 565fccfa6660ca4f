//! The frame codec and the carrier beside `tokio-util`'s `LengthDelimitedCodec`, on the same pipes.
//!
//! - `frame decode`: the frames of a pipe that is there as a whole. Ours borrows each from the pipe, length, type and id
//!   read; `owned` are the same through the incremental decoder, each payload a `Bytes`. The peer splits each message off
//!   its buffer, and reads its length alone.
//! - `frame encode`: type, id and payload appended to a buffer that has room; length and payload by the peer. `payload
//!   handed on` is a message whose payload is passed on as it is.
//! - `carrier decode`: reads of 16 KiB, the messages lying across their borders.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "support/mod.rs"]
mod support;

use std::hint::black_box;

use bytes::{BufMut, Bytes, BytesMut};
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput};
use portline::frame::carrier::{self, Decoded, Decoder};
use portline::frame::{Frame, FrameType, HEADER_LEN, decode, decode_bytes};
use tokio_util::codec::{Decoder as _, Encoder as _, LengthDelimitedCodec};

/// Payloads, their names, and how many of them are in a pipe.
const PAYLOADS: [(usize, &str, usize); 2] = [(16, "16 bytes", 1000), (64 << 10, "64 KiB", 16)];
/// Messages of a pipe that is read in pieces.
const COUNT: usize = 1000;
/// The floor of everything owned: counting one more user of a buffer, and one less.
const FLOOR: &str = "one more and one less user of the buffer";

fn group<'a>(c: &'a mut Criterion, name: &str, elements: usize) -> BenchmarkGroup<'a, WallTime> {
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(u64::try_from(elements).unwrap()));
    group
}

/// Frames with their lengths in front of them.
fn pipe(payload: usize, count: usize) -> Bytes {
    let mut pipe = BytesMut::new();
    for number in 0..count {
        pipe.put_u32(u32::try_from(payload + HEADER_LEN).unwrap());
        pipe.put_u8(FrameType::Data.as_u8());
        pipe.put_u32(u32::try_from(number).unwrap());
        pipe.put_bytes(7, payload);
    }
    pipe.freeze()
}

fn decoding(c: &mut Criterion) {
    for (length, name, count) in PAYLOADS {
        let pipe = pipe(length, count);
        let mut group = group(c, &format!("frame decode, {name}"), count);
        group.bench_function("portline", |b| {
            b.iter(|| {
                let mut rest = black_box(&pipe[..]);
                while !rest.is_empty() {
                    let Ok(Decoded::Complete { message, consumed }) = carrier::decode(rest, usize::MAX)
                    else {
                        panic!()
                    };
                    black_box(decode(message).unwrap());
                    rest = &rest[consumed..];
                }
            });
        });
        decoding_peer(&mut group, &pipe, count);
        group.finish();
        let mut group = self::group(c, &format!("frame decode, {name}, owned"), count);
        group.bench_function("portline", |b| {
            let mut decoder = Decoder::new(usize::MAX, usize::MAX);
            b.iter(|| {
                decoder.handle_bytes(pipe.clone());
                while let Some(message) = decoder.next_message().unwrap() {
                    let frame = decode_bytes(message).unwrap();
                    black_box((frame.kind, frame.id, &frame.payload[..]));
                }
            });
        });
        decoding_peer(&mut group, &pipe, count);
        group.bench_function(FLOOR, |b| {
            b.iter(|| {
                for _ in 0..count {
                    black_box(&black_box(&pipe).clone()[..]);
                }
            });
        });
        group.finish();
    }
}

fn decoding_peer(group: &mut BenchmarkGroup<'_, WallTime>, pipe: &Bytes, count: usize) {
    group.bench_function("tokio-util", |b| {
        let mut codec = LengthDelimitedCodec::new();
        b.iter_batched_ref(
            || BytesMut::from(&pipe[..]),
            |buffer| {
                for _ in 0..count {
                    black_box(&codec.decode(buffer).unwrap().unwrap()[..]);
                }
            },
            BatchSize::LargeInput,
        );
    });
}

/// A whole message on a message transport: nothing has to be looked for.
fn message(c: &mut Criterion) {
    let message = Bytes::from([&[0, 0, 0, 0, 7][..], &[5; 1024]].concat());
    let mut group = c.benchmark_group("frame decode, a message, owned");
    // As a machine uses it: the parts go on in registers, nothing is stored.
    group.bench_function("portline", |b| {
        b.iter(|| {
            let frame = decode_bytes(black_box(&message).clone()).unwrap();
            black_box((frame.kind, frame.id, &frame.payload[..]));
        });
    });
    group.bench_function(FLOOR, |b| b.iter(|| black_box(&black_box(&message).clone()[..]).len()));
    group.finish();
}

fn encoding(c: &mut Criterion) {
    for (length, name, count) in PAYLOADS {
        let payload = vec![7; length];
        let room = count * (length + 16);
        let mut group = group(c, &format!("frame encode, {name}"), count);
        group.bench_function("portline", |b| {
            let mut buffer = BytesMut::with_capacity(room);
            b.iter(|| {
                buffer.clear();
                for _ in 0..count {
                    let payload = black_box(&payload[..]);
                    Frame::new(black_box(FrameType::Data), black_box(7), payload).put(&mut buffer);
                }
                black_box(&buffer[..]);
            });
        });
        group.bench_function("tokio-util", |b| {
            let (mut codec, mut buffer) = (LengthDelimitedCodec::new(), BytesMut::with_capacity(room));
            let payload = Bytes::from(payload.clone());
            b.iter_batched(
                || vec![payload.clone(); count],
                |payloads| {
                    buffer.clear();
                    for payload in payloads {
                        codec.encode(payload, &mut buffer).unwrap();
                    }
                    black_box(&buffer[..]);
                },
                BatchSize::LargeInput,
            );
        });
        group.bench_function("memcpy", |b| {
            let mut buffer = BytesMut::with_capacity(room);
            b.iter(|| {
                buffer.clear();
                (0..count).for_each(|_| buffer.put_slice(black_box(&payload)));
                black_box(&buffer[..]);
            });
        });
        group.finish();
    }
    let mut group = c.benchmark_group("frame encode, payload handed on");
    // The payload comes back with each message, so that nobody counts its users.
    let mut turning = Some(Bytes::from(vec![7; 64 << 10]));
    group.bench_function("portline", |b| {
        b.iter(|| {
            let payload = turning.take().unwrap();
            let message = black_box(Frame::new(black_box(FrameType::Data), black_box(7), payload).encode());
            turning = Some(message.into_payload());
        });
    });
    group.finish();
}

/// What arrives is given in reads of 16 KiB to both, and every message is taken.
fn reads(c: &mut Criterion) {
    for length in [64, 1024, 40_000] {
        let pipe = pipe(length, COUNT);
        let mut group = group(c, &format!("carrier decode, a message of {length} bytes"), COUNT);
        let reads: Vec<Bytes> = (0..pipe.len())
            .step_by(16384)
            .map(|at| pipe.slice(at..pipe.len().min(at.saturating_add(16384))))
            .collect();
        group.bench_function("portline", |b| {
            b.iter(|| {
                let mut decoder = Decoder::default();
                for read in &reads {
                    decoder.handle_bytes(read.clone());
                    while let Some(message) = decoder.next_message().unwrap() {
                        black_box(&message[..]);
                    }
                }
            });
        });
        group.bench_function("tokio-util", |b| {
            b.iter(|| {
                let mut codec = LengthDelimitedCodec::new();
                let mut buffer = BytesMut::new();
                for read in &reads {
                    buffer.extend_from_slice(read);
                    while let Some(message) = codec.decode(&mut buffer).unwrap() {
                        black_box(&message[..]);
                    }
                }
            });
        });
        group.finish();
    }
}

fn main() {
    support::run(&[decoding, message, encoding, reads]);
}
