//! What it costs to send bytes through a body's queue, beside a plain `VecDeque` that bounds nothing; and through an
//! upload and a download on a credit stream.
//!
//! `cargo bench -p portline-benches --bench queue`
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "support/mod.rs"]
mod support;

use std::collections::VecDeque;
use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use portline::Instant;
use portline::body::download;
use portline::body::over::stream::{Config as Over, Download, Upload};
use portline::body::queue::{Action, Config, Queue};

/// Chunks of one turn: so many are pushed before they are pulled.
const TURN: usize = 64;

const NOW: Instant = Instant::ZERO;

/// Pushes `TURN` chunks, as many at a time as fit, and pulls all there is.
fn turn(queue: &mut Queue<()>, chunk: &Bytes) -> usize {
    let mut bytes = 0;
    for _ in 0..TURN {
        while queue.push(chunk.clone()).is_err() {
            bytes += pull(queue);
        }
    }
    bytes + pull(queue)
}

fn pull(queue: &mut Queue<()>) -> usize {
    let mut bytes = 0;
    while queue.bytes() > 0 {
        queue.pull().unwrap_or_default();
        while let Some(action) = queue.poll_action() {
            if let Action::Chunk(chunk) = action {
                bytes += black_box(chunk).len();
            }
        }
    }
    bytes
}

fn through(c: &mut Criterion) {
    for (name, length) in [("64 B", 64), ("4 KiB", 4096), ("64 KiB", 65536)] {
        let chunk = Bytes::from(vec![7; length]);
        let mut group = c.benchmark_group(format!("through a queue, {name} chunks"));
        group.throughput(Throughput::Elements(TURN as u64));
        group.bench_function("portline", |b| {
            let mut queue = Queue::new(Config::default()).unwrap();
            b.iter(|| turn(&mut queue, black_box(&chunk)));
        });
        group.bench_function("portline, pulled at once", |b| {
            let mut queue: Queue<()> = Queue::new(Config::default()).unwrap();
            b.iter(|| {
                for _ in 0..TURN {
                    queue.pull().unwrap();
                    assert!(queue.push(black_box(&chunk).clone()).is_ok());
                    drop(black_box(queue.poll_action()));
                }
            });
        });
        group.bench_function("VecDeque, no bound", |b| {
            let mut queue = VecDeque::new();
            b.iter(|| {
                queue.extend((0..TURN).map(|_| black_box(&chunk).clone()));
                queue.drain(..).map(|chunk| black_box(chunk).len()).sum::<usize>()
            });
        });
        group.finish();
    }
}

/// A megabyte from producer to consumer, every message handed over in memory.
fn megabyte(chunk: &Bytes) -> usize {
    let mut upload = Upload::new(Over::default(), NOW).unwrap();
    let mut download = Download::new(Over::default(), NOW).unwrap();
    upload.open(NOW);
    upload.attach(NOW);
    download.open(NOW);
    download.attach(NOW);
    download.pull(NOW).unwrap();
    let (mut left, mut got) = (1 << 20, 0);
    while got < 1 << 20 {
        while left > 0 && upload.can_push() {
            assert!(upload.push(NOW, chunk.clone()).is_ok());
            left -= chunk.len();
        }
        while let Some(message) = upload.poll_transmit() {
            download.handle_message(NOW, message.into_bytes()).unwrap();
        }
        while let Some(action) = download.poll_action() {
            if let download::Action::Chunk(chunk) = action {
                got += chunk.len();
                download.pull(NOW).unwrap();
            }
        }
        while let Some(credit) = download.poll_transmit() {
            upload.handle_message(NOW, credit.into_bytes()).unwrap();
        }
    }
    got
}

fn across(c: &mut Criterion) {
    let mut group = c.benchmark_group("upload to download over a credit stream, 1 MiB");
    group.throughput(Throughput::Bytes(1 << 20));
    for (name, length) in [("4 KiB chunks", 4096), ("16 KiB chunks", 16384)] {
        let chunk = Bytes::from(vec![7; length]);
        group.bench_function(name, |b| b.iter(|| megabyte(black_box(&chunk))));
    }
    group.finish();
}

fn main() {
    support::run(&[through, across]);
}
