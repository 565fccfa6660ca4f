//! Ours: a mux with a credit stream on each channel.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use portline::rpc::Role;
use portline::rpc::mux::{self, Action, Mux};
use portline::stream::{self, Core, Direction, Limits, Shape};
use portline::{Instant, Transmit};
use tokio::io::DuplexStream;
use tokio_util::io::{poll_read_buf, poll_write_buf};

use crate::{PIPE, WINDOW};

const NOW: Instant = Instant::ZERO;
/// Small messages are put together up to so many bytes for one write.
const GATHERED: usize = 16 << 10;
/// Payloads up to this are small.
const SMALL: usize = 1024;

/// What waits for the pipe: small messages in one piece, and a large payload behind them, which is not copied.
#[derive(Default)]
struct Outbox {
    gathered: BytesMut,
    large: Bytes,
}

impl Outbox {
    fn fill(&mut self, mux: &mut Mux<Option<Core>>) {
        while self.large.is_empty() && self.gathered.len() < GATHERED {
            let Some(message) = mux.poll_transmit() else { return };
            self.push(&message);
        }
    }

    fn push(&mut self, message: &Transmit) {
        self.gathered.extend_from_slice(message.head());
        if message.payload().len() <= SMALL {
            self.gathered.extend_from_slice(message.payload());
        } else {
            self.large = message.payload().clone();
        }
    }
}

impl Buf for Outbox {
    fn remaining(&self) -> usize {
        self.gathered.len() + self.large.len()
    }

    fn chunk(&self) -> &[u8] {
        if self.gathered.is_empty() { &self.large } else { &self.gathered }
    }

    fn advance(&mut self, count: usize) {
        let first = count.min(self.gathered.len());
        self.gathered.advance(first);
        self.large.advance(count - first);
    }

    fn chunks_vectored<'a>(&'a self, out: &mut [std::io::IoSlice<'a>]) -> usize {
        let parts = [&self.gathered[..], &self.large[..]].into_iter().filter(|part| !part.is_empty());
        out.iter_mut().zip(parts).map(|(slot, part)| *slot = std::io::IoSlice::new(part)).count()
    }
}

/// One end.
pub(crate) struct End {
    /// With the stream of each channel.
    pub(crate) mux: Mux<Option<Core>>,
    limits: Limits,
    pipe: DuplexStream,
    outbox: Outbox,
    input: BytesMut,
    pub(crate) received: usize,
    pub(crate) finished: usize,
}

impl End {
    fn new(role: Role, pipe: DuplexStream) -> Self {
        let config = mux::Config { max_channels: 2 << 20, ..mux::Config::new(role) };
        Self {
            mux: Mux::with_values(config, NOW).unwrap(),
            limits: Limits::default(),
            pipe,
            outbox: Outbox::default(),
            input: BytesMut::new(),
            received: 0,
            finished: 0,
        }
    }

    fn add(&mut self, channel: u32, direction: Direction) {
        let Some(mut channel) = self.mux.channel(channel) else { return };
        *channel.value() = Some(Core::attached(Shape::bytes(direction, WINDOW)).unwrap());
    }

    pub(crate) fn open(&mut self) -> u32 {
        let channel = self.mux.open().unwrap();
        self.add(channel, Direction::Send);
        channel
    }

    /// Writes to a stream; `false` when it has no room now.
    pub(crate) fn write(&mut self, channel: u32, data: &Bytes) -> bool {
        let mut taken = false;
        self.step(channel, |core, limits| taken = core.write(limits, NOW, data.clone()).is_ok());
        taken
    }

    /// Writes all that a stream will carry.
    pub(crate) fn write_last(&mut self, channel: u32, data: &Bytes) {
        self.step(channel, |core, limits| {
            core.write(limits, NOW, data.clone()).unwrap();
            core.finish(limits, NOW);
        });
    }

    /// Something is done with a stream. What happened to it then is counted, and what it has to say goes to the mux.
    fn step(&mut self, channel: u32, verb: impl FnOnce(&mut Core, &Limits)) {
        let Some(mut found) = self.mux.channel(channel) else { return };
        let Some(core) = found.value() else { return };
        let mut over = false;
        verb(core, &self.limits);
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
        if core.has_transmit(&self.limits) {
            found.send_from(|core| core.as_mut()?.poll_transmit(&self.limits, NOW)).unwrap();
            let told = found.value().as_mut().and_then(|core| core.poll_action(NOW));
            over |= matches!(told, Some(stream::Action::Finished));
        }
        if over {
            self.finished += 1;
            self.mux.close(channel);
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.mux.poll_action() {
            match action {
                Action::Opened { channel } => self.add(channel, Direction::Receive),
                Action::Message { channel, message } => {
                    self.step(channel, |core, limits| core.handle_message(limits, NOW, message).unwrap());
                }
                Action::Writable { channel } => self.step(channel, |_, _| {}),
                _ => {}
            }
        }
    }

    /// One write, and one read: what was just written is read while it is in the cache. Whether anything moved.
    fn drive(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let mut moved = false;
        self.outbox.fill(&mut self.mux);
        if self.outbox.has_remaining() {
            if let Poll::Ready(written) =
                poll_write_buf(Pin::new(&mut self.pipe), &mut context, &mut self.outbox)
            {
                moved |= written.unwrap() > 0;
                // Room was made for streams that had filled their channel.
                self.act();
            }
        }
        // As much as the pipe can hold: then hardly a message comes in two reads.
        self.input.reserve(PIPE);
        if let Poll::Ready(read) = poll_read_buf(Pin::new(&mut self.pipe), &mut context, &mut self.input) {
            moved |= read.unwrap() > 0;
            self.mux.handle_bytes(NOW, self.input.split().freeze()).unwrap();
            self.act();
        }
        moved
    }
}

pub(crate) fn pair() -> [End; 2] {
    let (a, b) = tokio::io::duplex(PIPE);
    [End::new(Role::Initiator, a), End::new(Role::Acceptor, b)]
}

/// Until nothing moves any more.
pub(crate) fn run(ends: &mut [End; 2]) {
    loop {
        let moved = ends[0].drive();
        if !(ends[1].drive() | moved) {
            return;
        }
    }
}

/// Each of the channels sends so many pieces of data, as fast as its stream takes them.
pub(crate) fn bulk(ends: &mut [End; 2], channels: &[u32], data: &Bytes, rounds: usize) {
    let expected = ends[1].received + rounds * channels.len() * data.len();
    for channel in channels {
        let mut left = rounds;
        while left > 0 {
            if ends[0].write(*channel, data) {
                left -= 1;
            } else {
                run(ends);
            }
        }
    }
    run(ends);
    assert_eq!(ends[1].received, expected);
}

/// So many streams are opened, carry the data, and close.
pub(crate) fn short(ends: &mut [End; 2], data: &Bytes, count: usize) {
    let expected = ends[1].finished + count;
    for _ in 0..count {
        let channel = ends[0].open();
        ends[0].write_last(channel, data);
    }
    run(ends);
    assert_eq!(ends[1].finished, expected);
}
