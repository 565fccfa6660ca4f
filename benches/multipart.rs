//! Multipart bodies, beside multer on the same bytes in the same pieces.
//!
//! The table divides each run by its pieces, fields or bytes:
//! - a file of 64 MiB in pieces of 64 KiB, beside copying those pieces into one buffer (`memcpy`): no CR in it, random
//!   bytes, nothing but line ends, nothing but boundaries with a wrong last byte, and with a wrong byte in the middle;
//! - 10,000 small fields in pieces of 64 KiB;
//! - data, and one header of 16 and of 64 KiB, in pieces of one byte: the same for each byte if the work is linear.
//!
//! multer reads from a stream: one that has a piece each time it is asked (`ready`: it then buffers all of them), or one
//! that has none every other time (`yielding`), as a socket does. In pieces of one byte only the second is measured.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::panic)]
#![allow(clippy::cast_possible_truncation, missing_docs)]

#[path = "support/mod.rs"]
mod support;

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput};
use futures_util::stream;
use portline::Instant;
use portline::body::multipart::parser::{Action, Config, Parser};
use portline::body::multipart::{Boundary, Writer, writer};

const NOW: Instant = Instant::ZERO;
/// As Chromium makes them.
const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW9";
const PIECE: usize = 64 << 10;
const FILE: usize = 64 << 20;
const FIELDS: usize = 10_000;

/// Parts and bytes of data: what each side has to come to.
type Sum = (usize, usize);

fn pieces(body: &Bytes, size: usize) -> Vec<Bytes> {
    (0..body.len()).step_by(size).map(|at| body.slice(at..body.len().min(at + size))).collect()
}

fn portline(config: &Config, pieces: &[Bytes]) -> Sum {
    let mut parser = Parser::new(config.clone(), NOW);
    let mut sum = (0, 0);
    for piece in pieces {
        parser.handle_bytes(NOW, piece.clone()).unwrap();
        while let Some(action) = parser.poll_action() {
            match action {
                Action::Part(part) => {
                    black_box(part.name());
                    sum.0 += 1;
                }
                Action::Data(data) => sum.1 += black_box(&data[..]).len(),
                Action::PartEnd => {}
                Action::Finished | Action::Failed(_) => panic!("{action:?}"),
            }
        }
    }
    parser.handle_closed(NOW).unwrap();
    assert_eq!(parser.poll_action(), Some(Action::Finished));
    sum
}

/// `yields`: every other time there is nothing.
fn multer(pieces: &[Bytes], yields: bool) -> Sum {
    let mut rest = pieces.iter();
    let mut nothing = yields;
    let source = stream::poll_fn(move |_| {
        nothing = yields && !nothing;
        if nothing { Poll::Pending } else { Poll::Ready(rest.next().cloned().map(Ok::<_, Infallible>)) }
    });
    let run = async {
        // The source borrows; multer wants to own it.
        let mut form = multer::Multipart::new(source, BOUNDARY);
        let mut sum = (0, 0);
        while let Some(mut field) = form.next_field().await.unwrap() {
            black_box(field.name());
            sum.0 += 1;
            while let Some(data) = field.chunk().await.unwrap() {
                sum.1 += black_box(&data[..]).len();
            }
        }
        sum
    };
    let mut run = pin!(run);
    loop {
        if let Poll::Ready(sum) = run.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return sum;
        }
    }
}

fn body(parts: impl IntoIterator<Item = (String, Vec<u8>)>) -> Bytes {
    let mut body = Vec::new();
    for (headers, data) in parts {
        body.extend_from_slice(format!("--{BOUNDARY}\r\n{headers}\r\n\r\n").as_bytes());
        body.extend_from_slice(&data);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body.into()
}

fn config() -> Config {
    Config {
        max_parts: usize::MAX,
        max_header_bytes: 1 << 20,
        ..Config::new(Boundary::new(BOUNDARY.as_bytes()).unwrap())
    }
}

fn of_pattern(pattern: &[u8]) -> Vec<u8> {
    pattern.iter().copied().cycle().take(FILE).collect()
}

fn group<'a>(c: &'a mut Criterion, name: &str, elements: usize) -> BenchmarkGroup<'a, WallTime> {
    let mut group = c.benchmark_group(name);
    // A run takes milliseconds.
    group.throughput(Throughput::Elements(elements as u64)).sampling_mode(SamplingMode::Flat).sample_size(10);
    group
}

fn file(c: &mut Criterion) {
    let mut state = 1_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    let delimiter = [b"\r\n--", BOUNDARY.as_bytes()].concat();
    let wrong = |at: usize| {
        let mut near = delimiter.clone();
        near[at] ^= 1;
        near
    };
    let last = delimiter.len() - 1;
    for (name, data) in [
        ("plain", of_pattern(b"the quick brown fox jumps over the lazy dog, and so on\n")),
        ("random", (0..FILE).map(|_| random()).collect()),
        ("line ends", of_pattern(b"\r\n")),
        ("near-boundaries", of_pattern(&wrong(last))),
        ("wrong in the middle", of_pattern(&wrong(last / 2))),
    ] {
        let headers = "Content-Disposition: form-data; name=\"f\"; filename=\"f\"".to_owned();
        let pieces = pieces(&body([(headers, data)]), PIECE);
        let mut group = group(c, &format!("multipart, 64 KiB of a file: {name}"), FILE / PIECE);
        let config = config();
        group.bench_function("portline", |b| {
            b.iter(|| assert_eq!(portline(&config, &pieces), (1, FILE)));
        });
        for (peer, yields) in [("multer, yielding", true), ("multer, ready", false)] {
            group.bench_function(peer, |b| b.iter(|| assert_eq!(multer(&pieces, yields), (1, FILE))));
        }
        group.bench_function("memcpy", |b| {
            let mut buffer = vec![0_u8; PIECE];
            b.iter(|| {
                for piece in &pieces {
                    buffer[..piece.len()].copy_from_slice(piece);
                    black_box(&mut buffer);
                }
            });
        });
        group.finish();
    }
}

fn fields(c: &mut Criterion) {
    let part = |n| (format!("Content-Disposition: form-data; name=\"field{n}\""), b"value".to_vec());
    let pieces = pieces(&body((0..FIELDS).map(part)), PIECE);
    let mut group = group(c, "multipart, a small field", FIELDS);
    let (config, sum) = (config(), (FIELDS, FIELDS * 5));
    group.bench_function("portline", |b| b.iter(|| assert_eq!(portline(&config, &pieces), sum)));
    for (peer, yields) in [("multer, yielding", true), ("multer, ready", false)] {
        group.bench_function(peer, |b| b.iter(|| assert_eq!(multer(&pieces, yields), sum)));
    }
    group.finish();
}

fn single_bytes(c: &mut Criterion) {
    let disposition = "Content-Disposition: form-data; name=\"f\"";
    let header = |size: usize| (format!("{disposition}\r\nX: {}", "y".repeat(size)), Vec::new());
    let data = (disposition.to_owned(), vec![b'x'; PIECE]);
    for (name, part, sum) in [
        ("a byte of data in 1-byte chunks", data, (1, PIECE)),
        ("a byte of a 64 KiB header in 1-byte chunks", header(PIECE), (1, 0)),
        ("a byte of a 16 KiB header in 1-byte chunks", header(PIECE / 4), (1, 0)),
    ] {
        let body = body([part]);
        let pieces = pieces(&body, 1);
        let mut group = group(c, &format!("multipart, {name}"), body.len());
        let config = config();
        group.bench_function("portline", |b| b.iter(|| assert_eq!(portline(&config, &pieces), sum)));
        group.bench_function("multer, yielding", |b| b.iter(|| assert_eq!(multer(&pieces, true), sum)));
        group.bench_function("the pieces alone", |b| {
            b.iter(|| pieces.iter().for_each(|piece| drop(black_box(piece.clone()))));
        });
        group.finish();
    }
}

/// The writer looks for its boundary in the data; the data itself is passed on.
fn write(c: &mut Criterion) {
    let piece = Bytes::from(of_pattern(b"the quick brown fox jumps over the lazy dog, and so on\n"));
    let pieces = pieces(&piece, PIECE);
    let mut group = group(c, "multipart, 64 KiB written", pieces.len());
    let config = writer::Config::new(Boundary::new(BOUNDARY.as_bytes()).unwrap());
    group.bench_function("portline", |b| {
        b.iter(|| {
            let mut writer = Writer::new(config.clone(), NOW);
            writer.part(NOW, &writer::Head::file("f", "f", "application/octet-stream")).unwrap();
            for piece in &pieces {
                writer.write(NOW, piece.clone()).unwrap();
                while let Some(transmit) = writer.poll_transmit() {
                    black_box(transmit.len());
                }
            }
            writer.finish(NOW).unwrap();
        });
    });
    group.finish();
}

fn main() {
    support::run(&[file, fields, single_bytes, write]);
}
