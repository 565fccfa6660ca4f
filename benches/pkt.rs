//! pkt-line decode and encode, beside gix-packetline on the same bytes.
//!
//! Each measurement is a run of many packets; the table divides by their number. What is compared:
//! - `slice`: one packet borrowed from a slice that holds it whole, no state kept;
//! - `reader`: packets from a stream that arrives in chunks of 64 KiB (ours takes owned chunks, theirs reads);
//! - `sideband`: the data of full sideband packets, handed on;
//! - `encode`: lines appended to a buffer that has room. (A sideband packet on its way out is no row: ours makes the
//!   header and passes the body on, theirs copies the body, so that the ratio would be the size of the body.)
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::panic)]
#![allow(clippy::cast_possible_truncation, missing_docs)]

#[path = "support/mod.rs"]
mod support;

use std::hint::black_box;
use std::io::BufRead;

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput};
use gix_packetline::PacketLineRef;
use gix_packetline::blocking_io::StreamingPeekableIter;
use gix_packetline::blocking_io::encode as gix_encode;
use gix_packetline::decode::Stream;
use portline::pkt::{self, Band, Decoded, Fragment, Packet, Reader};

const LINES: u64 = 4096;
const PACKETS: u64 = 64;
const READ: usize = 65536;
/// `have`, a space, forty hex digits and a LF: fifty bytes with the length.
const HAVE: &[u8] = b"have 0123456789abcdef0123456789abcdef01234567\n";

/// The input as a transport gives it.
fn chunks(input: &Bytes) -> Vec<Bytes> {
    (0..input.len()).step_by(READ).map(|at| input.slice(at..input.len().min(at + READ))).collect()
}

fn haves() -> Bytes {
    let mut out = BytesMut::new();
    for _ in 0..LINES {
        pkt::put_packet(&mut out, &[HAVE]).unwrap();
    }
    assert_eq!(out.len(), 50 * LINES as usize);
    out.freeze()
}

fn decode(c: &mut Criterion) {
    let input = haves();
    let mut group = c.benchmark_group("pkt decode, slice: a 50-byte have");
    group.throughput(Throughput::Elements(LINES));
    group.bench_function("portline", |b| {
        b.iter(|| {
            let mut rest = &input[..];
            while !rest.is_empty() {
                let Ok(Decoded::Complete { packet, consumed }) = pkt::decode(rest) else { panic!() };
                black_box(packet);
                rest = &rest[consumed..];
            }
        });
    });
    group.bench_function("gix-packetline", |b| {
        b.iter(|| {
            let mut rest = &input[..];
            while !rest.is_empty() {
                let Ok(Stream::Complete { line, bytes_consumed }) = gix_packetline::decode::streaming(rest)
                else {
                    panic!()
                };
                black_box(line);
                rest = &rest[bytes_consumed..];
            }
        });
    });
    group.finish();

    let chunked = chunks(&input);
    let mut group = c.benchmark_group("pkt decode, reader: a 50-byte have");
    group.throughput(Throughput::Elements(LINES));
    group.bench_function("portline", |b| {
        b.iter(|| {
            let mut reader = Reader::new();
            let mut seen = 0;
            for chunk in &chunked {
                reader.handle_bytes(chunk.clone());
                while let Some(packet) = reader.next_packet().unwrap() {
                    let Packet::Data(data) = packet else { panic!() };
                    black_box(&data[..]);
                    seen += 1;
                }
            }
            assert_eq!(seen, LINES);
        });
    });
    group.bench_function("gix-packetline", |b| {
        b.iter_batched_ref(
            || StreamingPeekableIter::new(&input[..], &[], false),
            |reader| {
                let mut seen = 0;
                while let Some(Ok(Ok(PacketLineRef::Data(data)))) = reader.read_line() {
                    black_box(data);
                    seen += 1;
                }
                assert_eq!(seen, LINES);
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn sideband(c: &mut Criterion) {
    let body = vec![7_u8; pkt::MAX_BAND_DATA];
    let mut out = BytesMut::new();
    for _ in 0..PACKETS {
        pkt::put_packet(&mut out, &[&[Band::Data.as_u8()], &body]).unwrap();
    }
    pkt::put_flush(&mut out);
    let input = out.freeze();
    let chunked = chunks(&input);
    let total = body.len() * PACKETS as usize;
    let mut group = c.benchmark_group("sideband, a packet of 65,515 bytes");
    group.throughput(Throughput::Elements(PACKETS));
    group.bench_function("portline", |b| {
        b.iter(|| {
            let mut reader = Reader::new();
            let mut seen = 0;
            for chunk in &chunked {
                reader.handle_bytes(chunk.clone());
                while let Some(Fragment::Data { band, bytes }) = reader.next_fragment().unwrap() {
                    seen += bytes.len();
                    black_box((band, &bytes[..]));
                }
            }
            assert_eq!(seen, total);
        });
    });
    group.bench_function("gix-packetline", |b| {
        b.iter_batched_ref(
            || StreamingPeekableIter::new(&input[..], &[PacketLineRef::Flush], false),
            |reader| {
                let mut data =
                    reader.as_read_with_sidebands(|_: bool, _: &[u8]| std::ops::ControlFlow::Continue(()));
                let mut seen = 0;
                loop {
                    let bytes = data.fill_buf().unwrap();
                    if bytes.is_empty() {
                        break;
                    }
                    black_box(bytes);
                    let length = bytes.len();
                    seen += length;
                    data.consume(length);
                }
                assert_eq!(seen, total);
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("pkt encode, a 50-byte have");
    group.throughput(Throughput::Elements(LINES));
    group.bench_function("portline", |b| {
        let mut out = BytesMut::with_capacity(64 * LINES as usize);
        b.iter(|| {
            out.clear();
            for _ in 0..LINES {
                pkt::put_packet(&mut out, &[black_box(HAVE)]).unwrap();
            }
            black_box(&out[..]);
        });
    });
    group.bench_function("gix-packetline", |b| {
        let mut out = Vec::with_capacity(64 * LINES as usize);
        b.iter(|| {
            out.clear();
            for _ in 0..LINES {
                gix_encode::data_to_write(black_box(HAVE), &mut out).unwrap();
            }
            black_box(&out[..]);
        });
    });
    group.finish();
}

fn main() {
    support::run(&[decode, sideband, encode]);
}
