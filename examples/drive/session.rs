//! A file over a credit stream on a mux: the part of the four drivers that knows no transport, clock or disk.
//!
//! ```text
//! sender:    Read ─ chunk ─► … Read ─ an empty chunk ─► LAST … the receiver's END: Finished
//! receiver:  Store ─ stored ─► … Complete ─ accept ─► LAST, END: Finished
//! ```
//!
//! The stream goes both ways although all data goes one: so its END is the receiver's to send, after the whole file
//! is stored, and a sender that has `Finished` knows that. Either side's `fail` tells the other one why.
//!
//! A driver's turn: send what [`Session::poll_transmit`] gives, do what [`Session::poll_action`] asks for, and only
//! when both have nothing, wait for input, for room to write, or for the time of [`Session::poll_timeout`].

#![allow(unreachable_pub)]

use core::fmt;

use bytes::Bytes;
use portline::rpc::{Role, mux};
use portline::stream::{self, Direction, Endpoint, Limits, Shape, Sizing};
use portline::{Instant, Transmit};

/// The only channel: the first number of the side that connects.
const CHANNEL: u32 = 1;
/// Bytes of a frame's header.
const FRAME: usize = 5;

/// What both sides have to agree on, as no control channel settles it for them.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The high-water mark: bytes that the receiver takes in advance.
    pub window: u32,
    /// Bytes of the largest block.
    pub chunk: usize,
}

/// What the driver has to do.
#[derive(Debug)]
pub enum Action {
    /// Read at most so many bytes of the file and answer with [`Session::chunk`].
    Read(usize),
    /// Append this to the file and answer with [`Session::stored`].
    Store(Bytes),
    /// The file has come whole. Make it safe and answer with [`Session::accept`].
    Complete,
    /// Both sides have the file. Send what is left of `poll_transmit` and hang up.
    Finished,
    /// The transfer failed. Send what is left of `poll_transmit`, for it tells the other side, and hang up.
    Failed(Error),
}

/// Why a transfer failed.
#[derive(Clone, Debug)]
pub enum Error {
    /// The stream failed.
    Stream(stream::Error),
    /// The mux failed, and the stream with it.
    Mux(mux::Error),
    /// The peer said something that this program does not know.
    Unexpected(u32),
    /// The configuration is of no use.
    Config,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(error) => error.fmt(f),
            Self::Mux(error) => error.fmt(f),
            Self::Unexpected(channel) => {
                write!(f, "the peer sent something unknown on channel {channel}: it is another program")
            }
            Self::Config => f.write_str("the window and the chunk must not be 0"),
        }
    }
}

impl core::error::Error for Error {}

/// Which end this is, and how far its file is.
#[derive(Clone, Copy, Debug)]
enum Side {
    /// The sender; the driver may be asked for the next chunk.
    Sender,
    /// The sender; it was asked.
    Asked,
    /// The sender; it has given all.
    Given,
    Receiver,
}

/// One end of the transfer.
#[derive(Debug)]
pub struct Session {
    mux: mux::Mux,
    stream: Endpoint,
    side: Side,
    chunk: usize,
    /// What failed the stream when it was not the stream's own error.
    cause: Option<Error>,
}

impl Session {
    /// The side that has the file. It is the one that connected.
    pub fn sender(config: Config, now: Instant) -> Result<Self, Error> {
        let mut this = Self::new(config, (Role::Initiator, Side::Sender, stream::Role::Caller), now)?;
        // The peer learns of the channel by the first message on it, so it is there at once.
        this.mux.open().map_err(|_| Error::Config)?;
        this.stream.attach(now);
        Ok(this)
    }

    /// The side that wants the file. It is the one that accepted the connection.
    pub fn receiver(config: Config, now: Instant) -> Result<Self, Error> {
        Self::new(config, (Role::Acceptor, Side::Receiver, stream::Role::Responder), now)
    }

    fn new(config: Config, ends: (Role, Side, stream::Role), now: Instant) -> Result<Self, Error> {
        let Config { window, chunk } = config;
        let (role, side, end) = ends;
        // What waits is bounded by one chunk in the mux, two in the stream, and the window at the receiver.
        let message = chunk.saturating_add(FRAME);
        let mut carrier = mux::Config::new(role);
        carrier.max_message = message;
        carrier.quantum = message;
        carrier.channel_bytes = message;
        carrier.max_channels = 1;
        let limits = Limits {
            chunk_size: chunk,
            max_block: chunk,
            send_bytes: chunk.saturating_mul(2),
            ..Limits::default()
        };
        let shape = Shape { direction: Direction::Both(end), window, sizing: Sizing::Bytes };
        let mux = mux::Mux::new(carrier, now).map_err(|_| Error::Config)?;
        let mut stream = Endpoint::new(stream::Config { shape, limits }, now).map_err(|_| Error::Config)?;
        stream.open(now);
        Ok(Self { mux, stream, side, chunk, cause: None })
    }

    /// Bytes of the peer, in any split. What is wrong with them shows as the last action. Who reads on only when
    /// [`Self::poll_action`] has nothing more, as the drivers do, never holds more than one piece of input.
    pub fn handle_bytes(&mut self, now: Instant, bytes: Bytes) {
        let _ = self.mux.handle_bytes(now, bytes);
        self.unpack(now);
        // That may have been part of a message: the stream hears the time all the same.
        self.stream.handle_timeout(now);
    }

    /// The peer has closed its direction.
    pub fn handle_closed(&mut self, now: Instant) {
        let _ = self.mux.handle_closed(now);
        self.unpack(now);
    }

    /// After every wait without input: the time of [`Self::poll_timeout`] has come, or is only told.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.stream.handle_timeout(now);
    }

    /// Answers [`Action::Read`]: an empty chunk is the file's end.
    pub fn chunk(&mut self, now: Instant, chunk: Bytes) {
        if chunk.is_empty() {
            self.side = Side::Given;
            self.stream.finish(now);
        } else {
            self.side = Side::Sender;
            // There was room when it was asked for, so this is refused only when the stream has failed meanwhile.
            let _ = self.stream.write(now, chunk);
        }
    }

    /// Answers [`Action::Store`]: the sender may send as much again.
    pub fn stored(&mut self, now: Instant) {
        self.stream.consume(now);
    }

    /// Answers [`Action::Complete`]: the sender may forget the file.
    pub fn accept(&mut self, now: Instant) {
        self.stream.finish(now);
    }

    /// The file cannot be read or stored: the peer is told.
    pub fn fail(&mut self, now: Instant, reason: &str) {
        self.stream.fail(now, reason);
    }

    /// The next bytes for the peer. Ask only when the transport has room: that is the backpressure.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        while self.mux.can_send(CHANNEL) {
            let Some(message) = self.stream.poll_transmit() else { break };
            // It fits: it is no longer than a chunk and its header, or a reason, which is short.
            let _ = self.mux.send(CHANNEL, message);
        }
        self.mux.poll_transmit()
    }

    /// What to do next.
    pub fn poll_action(&mut self) -> Option<Action> {
        while let Some(action) = self.stream.poll_action() {
            return Some(match (action, self.side) {
                (stream::Action::Data(data), _) => Action::Store(data),
                (stream::Action::PeerDone, Side::Receiver) => Action::Complete,
                (stream::Action::Finished, _) => Action::Finished,
                (stream::Action::Failed(error), _) => {
                    Action::Failed(self.cause.take().unwrap_or(Error::Stream(error)))
                }
                (stream::Action::Opened | stream::Action::Writable | stream::Action::PeerDone, _) => continue,
            });
        }
        match self.side {
            Side::Sender if self.stream.can_write() => {
                self.side = Side::Asked;
                Some(Action::Read(self.chunk))
            }
            Side::Sender | Side::Asked | Side::Given | Side::Receiver => None,
        }
    }

    /// When to call [`Self::handle_timeout`]; `None` is never. A sender waits for a receiver that stalls for a
    /// minute; a receiver waits for a silent sender as long as the connection stands.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.stream.poll_timeout()
    }

    /// Moves what has come from the mux to the stream.
    fn unpack(&mut self, now: Instant) {
        while let Some(action) = self.mux.poll_action() {
            match action {
                mux::Action::Opened { channel: CHANNEL } => self.stream.attach(now),
                mux::Action::Message { channel: CHANNEL, message } => {
                    // An error is the stream's end, and its last action tells.
                    let _ = self.stream.handle_message(now, message);
                }
                mux::Action::Opened { channel } | mux::Action::Message { channel, .. } => {
                    self.cause.get_or_insert(Error::Unexpected(channel));
                    self.stream.fail(now, "nothing is known here but one file on channel 1");
                }
                mux::Action::Writable { .. } => {}
                mux::Action::Closed { .. } | mux::Action::Finished => drop(self.stream.handle_closed(now)),
                mux::Action::Failed(error) => {
                    self.cause.get_or_insert(Error::Mux(error));
                    let _ = self.stream.handle_closed(now);
                }
            }
        }
    }
}
