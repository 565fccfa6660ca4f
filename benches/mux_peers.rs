//! Streams with flow control over one in-memory pipe, beside yamux and h2: one in bulk, a thousand at once, and streams
//! that are opened, carry 64 bytes and close; the last also with up to a million idle ones beside them.
//!
//! Each speaks through `tokio::io::duplex`, both ends on one thread. Ours is a mux with a credit stream on each channel.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    missing_docs
)]

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::{cell::Cell, cell::RefCell};

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::{AsyncReadExt, AsyncWriteExt};
use portline::rpc::Role;
use portline::rpc::mux::{self, Action, Mux};
use portline::stream::{self, CHUNK, Core, Direction, Limits, Shape};
use portline::{Instant, Transmit};
use tokio::io::DuplexStream;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};
use tokio_util::compat::TokioAsyncReadCompatExt;
use tokio_util::io::poll_write_buf;

const NOW: Instant = Instant::ZERO;
/// Bytes in the pipe, and the window of each stream.
const PIPE: usize = 256 << 10;
const WINDOW: u32 = 256 << 10;
/// Bytes of a stream that is opened and closed.
const SMALL: usize = 64;
/// Streams opened before the pipe is driven.
const BATCH: usize = 100;

/// One end of ours.
struct End {
    mux: Mux,
    streams: HashMap<u32, Core>,
    limits: Limits,
    pipe: DuplexStream,
    pending: Option<Transmit>,
    input: BytesMut,
    received: usize,
    finished: usize,
}

impl End {
    fn new(role: Role, pipe: DuplexStream) -> Self {
        let config = mux::Config { max_channels: 2 << 20, ..mux::Config::new(role) };
        Self {
            mux: Mux::new(config, NOW).unwrap(),
            streams: HashMap::new(),
            limits: Limits::default(),
            pipe,
            pending: None,
            input: BytesMut::new(),
            received: 0,
            finished: 0,
        }
    }

    fn add(&mut self, channel: u32, direction: Direction) {
        let mut core = Core::new(Shape::bytes(direction, WINDOW)).unwrap();
        core.open(NOW);
        core.attach(&self.limits, NOW);
        assert_eq!(core.poll_action(NOW), Some(stream::Action::Opened));
        self.streams.insert(channel, core);
    }

    fn open(&mut self) -> u32 {
        let channel = self.mux.open().unwrap();
        self.add(channel, Direction::Send);
        channel
    }

    fn write(&mut self, channel: u32, data: Bytes, last: bool) {
        let core = self.streams.get_mut(&channel).unwrap();
        core.write(&self.limits, NOW, data).unwrap();
        if last {
            core.finish(&self.limits, NOW);
        }
        self.flush(channel);
    }

    /// What the stream has to say goes to the mux; what happened to it is counted.
    fn flush(&mut self, channel: u32) {
        let Some(core) = self.streams.get_mut(&channel) else { return };
        let mut over = false;
        while let Some(action) = core.poll_action(NOW) {
            match action {
                stream::Action::Data(data) => {
                    self.received += data.len();
                    core.consume();
                }
                stream::Action::Finished => over = true,
                _ => {}
            }
        }
        while self.mux.can_send(channel) {
            let Some(message) = core.poll_transmit(&self.limits, NOW) else { break };
            self.mux.send(channel, message).unwrap();
        }
        over |= matches!(core.poll_action(NOW), Some(stream::Action::Finished));
        if over {
            self.finished += 1;
            self.streams.remove(&channel);
            self.mux.close(channel);
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.mux.poll_action() {
            match action {
                Action::Opened { channel } => self.add(channel, Direction::Receive),
                Action::Message { channel, message } => {
                    let core = self.streams.get_mut(&channel).unwrap();
                    core.handle_message(&self.limits, NOW, message).unwrap();
                    self.flush(channel);
                }
                Action::Writable { channel } => self.flush(channel),
                _ => {}
            }
        }
    }

    /// Writes and reads as far as the pipe lets.
    fn drive(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let mut moved = false;
        loop {
            let next = self.pending.take().or_else(|| self.mux.poll_transmit());
            let Some(mut message) = next else {
                self.act();
                break;
            };
            while !message.is_empty() {
                match poll_write_buf(Pin::new(&mut self.pipe), &mut context, &mut message) {
                    Poll::Ready(written) => moved |= written.unwrap() > 0,
                    Poll::Pending => break,
                }
            }
            if !message.is_empty() {
                self.pending = Some(message);
                break;
            }
            self.act();
        }
        self.input.reserve(CHUNK);
        let read = tokio_util::io::poll_read_buf(Pin::new(&mut self.pipe), &mut context, &mut self.input);
        if let Poll::Ready(read) = read {
            moved |= read.unwrap() > 0;
            self.mux.handle_bytes(NOW, self.input.split().freeze()).unwrap();
            self.act();
        }
        moved
    }
}

fn pair() -> [End; 2] {
    let (a, b) = tokio::io::duplex(PIPE);
    [End::new(Role::Initiator, a), End::new(Role::Acceptor, b)]
}

fn run(ends: &mut [End; 2]) {
    loop {
        let moved = ends[0].drive();
        if !(ends[1].drive() | moved) {
            return;
        }
    }
}

/// Each of the channels sends 64 KiB.
fn ours_bulk(ends: &mut [End; 2], channels: &[u32], data: &Bytes) {
    let expected = ends[1].received + channels.len() * data.len();
    for channel in channels {
        ends[0].write(*channel, data.clone(), false);
    }
    run(ends);
    assert_eq!(ends[1].received, expected);
}

/// So many streams are opened, and closed again.
fn ours_short(ends: &mut [End; 2], data: &Bytes) {
    let expected = ends[1].finished + BATCH;
    for _ in 0..BATCH {
        let channel = ends[0].open();
        ends[0].write(channel, data.clone(), true);
    }
    run(ends);
    assert_eq!(ends[1].finished, expected);
}

/// Waits until a counter has come so far.
#[derive(Clone, Default)]
struct Count(Rc<(Cell<usize>, Notify)>);

impl Count {
    fn add(&self, more: usize) {
        self.0.0.set(self.0.0.get() + more);
        self.0.1.notify_one();
    }

    async fn reaches(&self, goal: usize) {
        while self.0.0.get() < goal {
            self.0.1.notified().await;
        }
    }
}

type Yamux = Rc<RefCell<yamux::Connection<tokio_util::compat::Compat<DuplexStream>>>>;

/// Both ends of yamux; the other end counts bytes, and streams that have ended.
fn yamux_pair(bytes: &Count, ended: &Count) -> Yamux {
    let (a, b) = tokio::io::duplex(PIPE);
    let new = |pipe: DuplexStream, mode| {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(2048);
        config.set_max_connection_receive_window(Some(1 << 30));
        Rc::new(RefCell::new(yamux::Connection::new(pipe.compat(), config, mode)))
    };
    let (client, server) = (new(a, yamux::Mode::Client), new(b, yamux::Mode::Server));
    let (bytes, ended) = (bytes.clone(), ended.clone());
    spawn_local(async move {
        while let Some(Ok(mut inbound)) =
            poll_fn(|context| server.borrow_mut().poll_next_inbound(context)).await
        {
            let (bytes, ended) = (bytes.clone(), ended.clone());
            spawn_local(async move {
                let mut buffer = vec![0; CHUNK];
                while let Ok(count @ 1..) = inbound.read(&mut buffer).await {
                    bytes.add(count);
                }
                inbound.close().await.unwrap_or_default();
                ended.add(1);
            });
        }
    });
    let driven = client.clone();
    spawn_local(async move {
        while let Some(Ok(_)) = poll_fn(|context| driven.borrow_mut().poll_next_inbound(context)).await {}
    });
    client
}

async fn yamux_open(client: &Yamux) -> yamux::Stream {
    poll_fn(|context| client.borrow_mut().poll_new_outbound(context)).await.unwrap()
}

/// Both ends of h2, as above.
async fn h2_pair(bytes: &Count, ended: &Count) -> h2::client::SendRequest<Bytes> {
    let (a, b) = tokio::io::duplex(PIPE);
    let (bytes, ended) = (bytes.clone(), ended.clone());
    spawn_local(async move {
        let mut server = h2::server::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(64 << 20)
            .max_concurrent_streams(4096)
            .max_frame_size(CHUNK as u32)
            .handshake::<_, Bytes>(b)
            .await
            .unwrap();
        while let Some(Ok((request, mut respond))) = server.accept().await {
            let (bytes, ended) = (bytes.clone(), ended.clone());
            spawn_local(async move {
                let mut body = request.into_body();
                while let Some(Ok(data)) = body.data().await {
                    body.flow_control().release_capacity(data.len()).unwrap();
                    bytes.add(data.len());
                }
                respond.send_response(http::Response::new(()), true).unwrap();
                ended.add(1);
            });
        }
    });
    let (sender, connection) =
        h2::client::Builder::new().initial_max_send_streams(4096).handshake::<_, Bytes>(a).await.unwrap();
    spawn_local(async move { connection.await.unwrap_or_default() });
    sender
}

async fn h2_open(sender: &mut h2::client::SendRequest<Bytes>) -> h2::SendStream<Bytes> {
    let mut ready = sender.clone().ready().await.unwrap();
    let (_, body) = ready.send_request(http::Request::new(()), false).unwrap();
    body
}

fn runtime() -> (Runtime, LocalSet) {
    (tokio::runtime::Builder::new_current_thread().build().unwrap(), LocalSet::new())
}

/// 64 KiB on each of so many open streams.
fn bulk(criterion: &mut Criterion, name: &str, streams: usize) {
    let data = Bytes::from(vec![7; CHUNK]);
    // With one stream, several chunks: otherwise it would wait for itself.
    let rounds = 64_usize.div_ceil(streams);
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements((rounds * streams) as u64));

    let mut ends = pair();
    let channels: Vec<u32> = (0..streams).map(|_| ends[0].open()).collect();
    group.bench_function("portline", |bencher| {
        bencher.iter(|| (0..rounds).for_each(|_| ours_bulk(&mut ends, &channels, &data)));
    });

    let (runtime, local) = runtime();
    let (bytes, ended) = (Count::default(), Count::default());
    let mut goal = 0;
    let mut open: Vec<yamux::Stream> = local.block_on(&runtime, async {
        let client = yamux_pair(&bytes, &ended);
        let mut open = Vec::new();
        for _ in 0..streams {
            let mut stream = yamux_open(&client).await;
            stream.write_all(b"1").await.unwrap();
            open.push(stream);
        }
        bytes.reaches(streams).await;
        open
    });
    goal += streams;
    group.bench_function("yamux", |bencher| {
        bencher.iter(|| {
            goal += rounds * streams * CHUNK;
            local.block_on(&runtime, async {
                for _ in 0..rounds {
                    for stream in &mut open {
                        stream.write_all(&data).await.unwrap();
                    }
                }
                bytes.reaches(goal).await;
            });
        });
    });

    let (bytes, mut goal) = (Count::default(), 0);
    let mut open: Vec<h2::SendStream<Bytes>> = local.block_on(&runtime, async {
        let mut sender = h2_pair(&bytes, &ended).await;
        let mut open = Vec::new();
        for _ in 0..streams {
            open.push(h2_open(&mut sender).await);
        }
        open
    });
    group.bench_function("h2", |bencher| {
        bencher.iter(|| {
            goal += rounds * streams * CHUNK;
            local.block_on(&runtime, async {
                for _ in 0..rounds {
                    for stream in &mut open {
                        stream.send_data(data.clone(), false).unwrap();
                    }
                }
                bytes.reaches(goal).await;
            });
        });
    });
    group.finish();
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
    let mut ends = pair();
    group.bench_function("portline", |bencher| bencher.iter(|| ours_short(&mut ends, &data)));

    let (runtime, local) = runtime();
    let (bytes, ended) = (Count::default(), Count::default());
    let mut goal = 0;
    let client = local.block_on(&runtime, async { yamux_pair(&bytes, &ended) });
    group.bench_function("yamux", |bencher| {
        bencher.iter(|| {
            goal += BATCH;
            local.block_on(&runtime, async {
                for _ in 0..BATCH {
                    let mut stream = yamux_open(&client).await;
                    stream.write_all(&data).await.unwrap();
                    stream.close().await.unwrap();
                }
                ended.reaches(goal).await;
            });
        });
    });

    let (ended, mut goal) = (Count::default(), 0);
    let mut sender = local.block_on(&runtime, h2_pair(&bytes, &ended));
    group.bench_function("h2", |bencher| {
        bencher.iter(|| {
            goal += BATCH;
            local.block_on(&runtime, async {
                for _ in 0..BATCH {
                    h2_open(&mut sender).await.send_data(data.clone(), true).unwrap();
                }
                ended.reaches(goal).await;
            });
        });
    });
    group.finish();
}

/// Ours again, beside idle streams.
fn beside(criterion: &mut Criterion) {
    let data = Bytes::from(vec![7; SMALL]);
    let mut ends = pair();
    for idle in [1000, 10_000, 100_000, 1_000_000] {
        while ends[0].mux.open_channels() < idle {
            let channel = ends[0].open();
            ends[0].write(channel, Bytes::from_static(b"1"), false);
            run(&mut ends);
        }
        let mut group = criterion.benchmark_group(format!("mux, the same beside {idle} idle ones"));
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function("portline", |bencher| bencher.iter(|| ours_short(&mut ends, &data)));
        group.finish();
    }
}

criterion_group!(benches, one, thousand, short, beside);
criterion_main!(benches);
