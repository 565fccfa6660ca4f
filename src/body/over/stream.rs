//! A body on a stream with credit, counted in bytes.
//!
//! The high-water mark of the stream is the bound of the queue, so the receiving end never has more under way than it
//! may hold. `open` and `attach` are the [`Endpoint`]'s.

use alloc::string::ToString;

use bytes::Bytes;

use super::end::{Incoming, Outgoing, Received};
use super::{ConfigError, Error};
use crate::body::queue::{self, PushError};
use crate::body::{download, upload};
use crate::stream::{self, Direction, Endpoint, Limits, Shape};
use crate::time::Instant;

/// The configuration of both ends.
#[derive(Clone, Debug)]
pub struct Config {
    /// What may wait at this end; its `bytes` are the stream's window, so both ends need the same.
    pub queue: queue::Config,
    /// Bytes of the largest block that is sent.
    pub piece: usize,
    /// What the stream may cost. `send_bytes` and `chunk_size` are of no account: the upload hands over one piece at a
    /// time.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        let upload = upload::Config::default();
        Self { queue: upload.queue, piece: upload.piece, limits: Limits::default() }
    }
}

impl Config {
    /// What both ends agree on, for whoever opens the stream.
    #[must_use]
    pub fn shape(&self, direction: Direction) -> Shape {
        Shape::bytes(direction, u32::try_from(self.queue.bytes).unwrap_or(u32::MAX))
    }

    fn endpoint(self, direction: Direction, now: Instant) -> Result<Endpoint, stream::ConfigError> {
        let shape = self.shape(direction);
        // One piece at a time: what the stream has, the queue is charged for.
        let limits = Limits { send_bytes: 1, chunk_size: self.piece, ..self.limits };
        Endpoint::new(stream::Config { shape, limits }, now)
    }
}

/// The producer's end.
///
/// ```
/// use bytes::Bytes;
/// use portline::Instant;
/// use portline::body::{download, over::stream::{Config, Download, Upload}, upload};
///
/// let now = Instant::ZERO;
/// let mut upload = Upload::new(Config::default(), now)?;
/// let mut download = Download::new(Config::default(), now)?;
/// upload.open(now);
/// upload.attach(now);
/// download.open(now);
/// download.attach(now);
///
/// let (mut left, mut got) = (1 << 20, 0); // a megabyte through 64 KiB
/// while !upload.has_ended() || !download.has_ended() {
///     while upload.can_push() && left > 0 {
///         let _ = upload.push(now, Bytes::from(vec![7; 4096]))?; // 4096 bytes fit, as long as any do here
///         left -= 4096;
///     }
///     if left == 0 {
///         upload.close(now);
///     }
///     while let Some(message) = upload.poll_transmit() {
///         download.handle_message(now, message.into_bytes())?;
///     }
///     download.pull(now).ok();
///     while let Some(action) = download.poll_action() {
///         if let download::Action::Chunk(chunk) = action {
///             got += chunk.len();
///             download.pull(now)?;
///         }
///     }
///     while let Some(credit) = download.poll_transmit() {
///         upload.handle_message(now, credit.into_bytes())?;
///     }
///     while let Some(action) = upload.poll_action() {
///         assert_ne!(action, upload::Action::Writable); // nothing was refused
///     }
///     assert!(upload.held() <= 65536 && download.held() <= 65536);
/// }
/// assert_eq!(got, 1 << 20);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub type Upload = super::Upload<Endpoint>;

impl super::Upload<Endpoint> {
    /// A body of which nothing was sent yet.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which nothing could ever move.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        let upload = upload::Config { queue: config.queue, piece: config.piece };
        let upload = upload::Upload::new(upload)?;
        Ok(Self::on(config.endpoint(Direction::Send, now)?, upload, now))
    }

    /// As [`Endpoint::open`].
    pub fn open(&mut self, now: Instant) {
        self.tell(now);
        self.end.open(now);
    }

    /// As [`Endpoint::attach`].
    pub fn attach(&mut self, now: Instant) {
        self.tell(now);
        self.end.attach(now);
    }
}

/// The consumer's end. See [`Upload`] for both at work.
pub type Download = super::Download<Endpoint>;

impl super::Download<Endpoint> {
    /// A body of which nothing has come yet.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which nothing could ever move.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        let download = download::Download::new(config.queue)?;
        Ok(Self::on(config.endpoint(Direction::Receive, now)?, download, now))
    }

    /// As [`Endpoint::open`].
    pub fn open(&mut self, now: Instant) {
        self.tell(now);
        self.end.open(now);
    }

    /// As [`Endpoint::attach`].
    pub fn attach(&mut self, now: Instant) {
        self.tell(now);
        self.end.attach(now);
    }

    /// The time of [`Self::poll_timeout`] has come. Too early tells the machine the time and nothing else.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tell(now);
        self.end.handle_timeout(now);
    }

    /// When to call [`Self::handle_timeout`]; `None` is never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.end.poll_timeout()
    }

    /// Bytes that came and were not pulled, those that the stream still has included.
    #[must_use]
    pub fn held(&self) -> usize {
        // A stream that is over keeps nothing, and does not count any more what is pulled.
        if self.download.is_stream_over() {
            return self.download.held();
        }
        usize::try_from(self.end.core().window().held()).unwrap_or(usize::MAX)
    }
}

impl Outgoing for Endpoint {
    fn handle_timeout(&mut self, now: Instant) {
        Self::handle_timeout(self, now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Self::poll_timeout(self)
    }

    fn poll_end(&mut self) -> Option<Result<(), Error>> {
        loop {
            match self.poll_action()? {
                stream::Action::Opened
                | stream::Action::Data(_)
                | stream::Action::PeerDone
                | stream::Action::Writable => {}
                stream::Action::Finished => return Some(Ok(())),
                stream::Action::Failed(error) => return Some(Err(error.into())),
            }
        }
    }

    fn can_write(&self) -> bool {
        Self::can_write(self)
    }

    fn write(&mut self, now: Instant, piece: Bytes) {
        Self::write(self, now, piece).unwrap_or_default();
    }

    fn finish(&mut self, now: Instant) {
        Self::finish(self, now);
    }

    fn fail(&mut self, now: Instant, words: &str) {
        Self::fail(self, now, words);
    }
}

impl Incoming for Endpoint {
    /// Small blocks are joined while they wait in the stream.
    const AT_ONCE: bool = false;

    fn poll_received(&mut self) -> Option<Received> {
        loop {
            match self.poll_action()? {
                stream::Action::Opened | stream::Action::PeerDone | stream::Action::Writable => {}
                stream::Action::Data(block) => return Some(Received::Block(block)),
                stream::Action::Finished => return Some(Received::Finished),
                stream::Action::Failed(error) => return Some(Received::Failed(error.into())),
            }
        }
    }

    fn consume(&mut self, now: Instant) {
        Self::consume(self, now);
    }

    fn cancel(&mut self, now: Instant, words: Option<&str>) {
        Self::cancel(self, now, words);
    }

    /// The window is the queue's bound, so this does not happen.
    fn refuse(&mut self, now: Instant, error: PushError) {
        Self::fail(self, now, &error.to_string());
    }
}
