//! A body on an acknowledged port.
//!
//! A port has no window of bytes: at most [`crate::port::Config::window`] blocks of [`Config::block`] bytes are under way,
//! and a block is acknowledged when the consumer has pulled it. The receiving end stops reading the port before more
//! than its bound has come.

use bytes::Bytes;

use super::{ConfigError, Error};
use crate::Transmit;
use crate::body::queue::{self, PullError, PushError, Pushed};
use crate::body::{download, upload};
use crate::frame::Reason;
use crate::limits;
use crate::port::{self, Receiver, Sender, receiver, sender};
use crate::time::Instant;

/// The configuration of both ends.
#[derive(Clone, Debug)]
pub struct Config {
    /// What may wait at this end.
    pub queue: queue::Config,
    /// Bytes of the largest block, sent or received. At most half of what may wait.
    pub block: usize,
    /// What the port may cost. Blocks are cut here and one body is sent, so `chunk_size`, `max_block`, `send_bytes`,
    /// `receive_bytes` and `sequence` are of no account. The window is four blocks by default.
    pub port: port::Config,
}

impl Default for Config {
    fn default() -> Self {
        let port = port::Config { window: 4, ..port::Config::default() };
        Self { queue: queue::Config::default(), block: limits::BODY_PIECE, port }
    }
}

impl Config {
    fn port(self) -> Result<port::Config, ConfigError> {
        let (block, bytes) = (self.block, self.queue.bytes);
        // The first block is on the consumer's side, and one more may come when a byte less than the limit waits.
        match bytes.checked_sub(block.saturating_mul(2)) {
            Some(left) => Ok(port::Config {
                chunk_size: None,
                max_block: block,
                send_bytes: 1,
                receive_bytes: left.saturating_add(1),
                sequence: false,
                ..self.port
            }),
            None => Err(ConfigError::BlockTooLarge { block, bytes }),
        }
    }
}

/// The producer's end.
#[derive(Clone, Debug)]
pub struct Upload {
    end: Sender,
    upload: upload::Upload<Error>,
    /// The latest time told.
    now: Instant,
}

impl Upload {
    /// A body of which nothing was sent yet.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which nothing could ever move.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        let upload = upload::Upload::new(upload::Config { queue: config.queue, piece: config.block })?;
        Ok(Self { end: Sender::new(config.port()?, now)?, upload, now })
    }

    /// Takes one whole message from the port.
    ///
    /// # Errors
    /// As [`Sender::handle_message`].
    pub fn handle_message(&mut self, now: Instant, message: Bytes) -> Result<(), Error> {
        self.tell(now);
        Ok(self.end.handle_message(now, message)?)
    }

    /// The port has closed.
    ///
    /// # Errors
    /// As [`Sender::handle_closed`].
    pub fn handle_closed(&mut self, now: Instant) -> Result<(), Error> {
        self.tell(now);
        Ok(self.end.handle_closed(now)?)
    }

    /// The time of [`Self::poll_timeout`] has come. Too early tells the machine the time and nothing else.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tell(now);
        self.end.handle_timeout(now);
    }

    /// The producer has a chunk.
    ///
    /// # Errors
    /// As [`upload::Upload::push`].
    pub fn push(&mut self, now: Instant, chunk: Bytes) -> Result<Pushed, PushError> {
        self.tell(now);
        self.upload.push(chunk)
    }

    /// Whether [`Self::push`] takes at least a byte.
    #[must_use]
    pub fn can_push(&self) -> bool {
        self.upload.can_push()
    }

    /// The producer has no more.
    pub fn close(&mut self, now: Instant) {
        self.tell(now);
        self.upload.close();
    }

    /// The producer has failed: the consumer gets what was pushed before, and `reason`.
    pub fn error(&mut self, now: Instant, reason: &str) {
        self.tell(now);
        self.upload.error(Error::aborted(reason));
    }

    /// The producer gives up: what waits is dropped, and the consumer gets `reason`.
    pub fn abort(&mut self, now: Instant, reason: &str) {
        self.tell(now);
        self.upload.abort(Error::aborted(reason));
    }

    /// The next message to send. Call it only while the transport has room: that is the backpressure.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.settle();
        self.end.poll_transmit()
    }

    /// What happened.
    pub fn poll_action(&mut self) -> Option<upload::Action<Error>> {
        self.settle();
        self.upload.poll_action()
    }

    /// When to call [`Self::handle_timeout`]; `None` is never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.end.poll_timeout()
    }

    /// Whether to read on.
    #[must_use]
    pub const fn wants_input(&self) -> bool {
        self.end.wants_input()
    }

    /// Whether the upload is over. What is left in `poll_action` and `poll_transmit` is still to be taken.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.upload.has_ended()
    }

    /// Bytes that were pushed and have not been sent.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.upload.held()
    }

    /// Carries between the queue and the port, until both wait.
    fn settle(&mut self) {
        loop {
            while let Some(action) = self.end.poll_action() {
                match action {
                    sender::Action::Finished => self.upload.stream_finished(),
                    sender::Action::Failed(error) => self.upload.stream_failed(error.into()),
                }
            }
            if self.upload.is_writing() && self.end.can_write() {
                self.upload.written();
            }
            match self.upload.poll_step() {
                // A port that takes nothing any more has failed, and says so by its action.
                Some(upload::Step::Write(piece)) => self.end.write(self.now, piece).unwrap_or_default(),
                Some(upload::Step::Finish) => self.end.finish(self.now),
                Some(upload::Step::Fail(error)) => self.end.fail(self.now, &error.words()),
                None => return,
            }
        }
    }

    fn tell(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }
}

/// The consumer's end.
///
/// ```
/// use bytes::Bytes;
/// use portline::Instant;
/// use portline::body::download::Action;
/// use portline::body::over::port::{Config, Download};
///
/// let now = Instant::ZERO;
/// let mut download = Download::new(Config::default(), now)?;
/// download.handle_message(now, Bytes::from_static(b"\0\0\0\0\0block"))?;
/// assert_eq!((download.poll_action(), download.poll_transmit()), (None, None)); // nobody asked yet
/// download.pull(now)?;
/// assert_eq!(download.poll_action(), Some(Action::Chunk(Bytes::from_static(b"block"))));
/// assert_eq!(download.poll_transmit().unwrap().into_bytes(), b"\x01\0\0\0\0\x01"[..]); // ACK 0
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Download {
    end: Receiver,
    download: download::Download<Error>,
    /// The latest time told.
    now: Instant,
}

impl Download {
    /// A body of which nothing has come yet.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which nothing could ever move.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        let download = download::Download::new(config.queue)?;
        Ok(Self { end: Receiver::new(config.port()?, now)?, download, now })
    }

    /// Takes one whole message from the port.
    ///
    /// # Errors
    /// As [`Receiver::handle_message`].
    pub fn handle_message(&mut self, now: Instant, message: Bytes) -> Result<(), Error> {
        self.tell(now);
        let handled = self.end.handle_message(now, message);
        // The first block goes to the consumer's side at once, so that a window of blocks finds room behind it.
        self.settle();
        Ok(handled?)
    }

    /// The port has closed. What had arrived is still delivered.
    ///
    /// # Errors
    /// As [`Receiver::handle_closed`].
    pub fn handle_closed(&mut self, now: Instant) -> Result<(), Error> {
        self.tell(now);
        Ok(self.end.handle_closed(now)?)
    }

    /// The consumer wants the next chunk.
    ///
    /// # Errors
    /// As [`download::Download::pull`].
    pub fn pull(&mut self, now: Instant) -> Result<(), PullError> {
        self.tell(now);
        self.download.pull()
    }

    /// The consumer wants no more: what waits is dropped and refused. A port carries no words against the data; the
    /// reason is for the terminal action.
    pub fn cancel(&mut self, now: Instant, reason: Option<&str>) {
        self.tell(now);
        // What has arrived is looked at first: the end may be among it, and then there is nothing to cancel.
        self.settle();
        let reason = reason.map(|reason| Reason::Text(reason.into()));
        self.download.cancel(Error::Cancelled { reason });
    }

    /// The next message to send. Call it only while the transport has room: that is the backpressure.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.settle();
        self.end.poll_transmit()
    }

    /// What happened.
    pub fn poll_action(&mut self) -> Option<download::Action<Error>> {
        self.settle();
        self.download.poll_action()
    }

    /// Whether to read on.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.end.wants_input()
    }

    /// Whether the download is over. What is left in `poll_action` and `poll_transmit` is still to be taken.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.download.has_ended()
    }

    /// Carries between the port and the queue, until both wait.
    fn settle(&mut self) {
        loop {
            while let Some(step) = self.download.poll_step() {
                match step {
                    download::Step::Consume => self.end.accept(self.now),
                    download::Step::Cancel(_) => self.end.cancel(self.now),
                }
            }
            if !self.download.wants_data(1) {
                return;
            }
            match self.end.poll_action() {
                None => return,
                Some(receiver::Action::Block(block)) => {
                    if self.download.receive(block).is_err() {
                        // Blocks are smaller than the queue, so this does not happen.
                        self.end.cancel(self.now);
                    }
                }
                Some(receiver::Action::End) => self.download.stream_finished(),
                Some(receiver::Action::Failed(error)) => self.download.stream_failed(error.into()),
            }
        }
    }

    fn tell(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }
}
