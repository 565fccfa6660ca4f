//! The frame codec and the carrier beside `tokio-util`'s `LengthDelimitedCodec`, in the same run.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;

use bytes::{BufMut, Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use portline::frame::carrier::{self, Decoder};
use portline::frame::{Frame, FrameType, decode, decode_bytes};
use tokio_util::codec::{Decoder as _, Encoder as _, LengthDelimitedCodec};

/// Messages of one pipe, and their bytes.
const COUNT: u64 = 1000;

/// The floor of everything owned: counting one more user of a buffer, and one less.
const FLOOR: &str = "cloning and dropping the Bytes alone";

fn header(c: &mut Criterion) {
    let message = Bytes::from([&[0, 0, 0, 0, 7][..], &[5; 1024]].concat());
    // As a machine uses it: the parts go on in registers, nothing is stored.
    let mut group = c.benchmark_group("frame decode, borrowed");
    group.bench_function("portline", |b| {
        b.iter(|| {
            decode(black_box(&message[..])).map(|frame| frame.id ^ u32::from(frame.kind == FrameType::Ack))
        });
    });
    group.finish();
    let mut group = c.benchmark_group("frame decode, owned");
    group.bench_function("portline", |b| {
        b.iter(|| {
            drop(black_box(decode_bytes(black_box(&message).clone())));
        });
    });
    group.bench_function(FLOOR, |b| {
        b.iter(|| {
            drop(black_box(black_box(&message).clone()));
        });
    });
    group.finish();
    let payload = message.slice(..16);
    let mut group = c.benchmark_group("frame encode, 16 bytes owned");
    group.bench_function("portline", |b| {
        b.iter(|| {
            let payload = black_box(&payload).clone();
            drop(black_box(Frame::new(black_box(FrameType::Data), black_box(7), payload).encode()));
        });
    });
    group.bench_function(FLOOR, |b| {
        b.iter(|| {
            drop(black_box(black_box(&payload).clone()));
        });
    });
    group.finish();
    let mut group = c.benchmark_group("frame encode, static payload");
    group.bench_function("portline", |b| {
        b.iter(|| {
            let payload = Bytes::from_static(b"payload");
            black_box(Frame::new(black_box(FrameType::Data), black_box(7), payload).encode());
        });
    });
    group.finish();
}

fn pipe(length: usize) -> Bytes {
    let mut pipe = BytesMut::new();
    for _ in 0..COUNT {
        pipe.put_u32(u32::try_from(length).unwrap());
        pipe.put_bytes(7, length);
    }
    pipe.freeze()
}

/// What arrives is given in reads of 16 KiB to both, and every message is taken.
fn carriers(c: &mut Criterion) {
    for length in [64, 1024, 40_000] {
        let pipe = pipe(length);
        let mut group = c.benchmark_group(format!("carrier decode, a message of {length} bytes"));
        group.throughput(Throughput::Elements(COUNT)).sample_size(20);
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
                        black_box(message);
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
                        black_box(message);
                    }
                }
            });
        });
        group.finish();
    }
    let payload = Bytes::from(vec![7; 1024]);
    let mut group = c.benchmark_group("carrier encode, a message of 1024 bytes");
    group.bench_function("portline", |b| {
        b.iter_batched(
            || payload.clone(),
            |payload| carrier::wrap(Frame::new(FrameType::Data, black_box(7), payload).encode()),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("tokio-util", |b| {
        let mut codec = LengthDelimitedCodec::new();
        let mut buffer = BytesMut::with_capacity(2048);
        b.iter_batched(
            || payload.clone(),
            |payload| {
                buffer.clear();
                codec.encode(payload, &mut buffer).unwrap();
                black_box(buffer.len())
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, header, carriers);
criterion_main!(benches);
