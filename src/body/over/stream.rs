//! A body on a stream with credit, counted in bytes.
//!
//! The high-water mark of the stream is the bound of the queue, so the receiving end never has more under way than it
//! may hold. `open` and `attach` are the [`Endpoint`]'s.

use bytes::Bytes;

use super::{ConfigError, Error};
use crate::Transmit;
use crate::body::queue::{self, PullError, PushError, Pushed};
use crate::body::{download, upload};
use crate::frame::Reason;
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
#[derive(Clone, Debug)]
pub struct Upload {
    end: Endpoint,
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
        let upload = upload::Config { queue: config.queue, piece: config.piece };
        let upload = upload::Upload::new(upload)?;
        Ok(Self { end: config.endpoint(Direction::Send, now)?, upload, now })
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

    /// Takes one whole message of the stream's channel.
    ///
    /// # Errors
    /// As [`Endpoint::handle_message`].
    pub fn handle_message(&mut self, now: Instant, message: Bytes) -> Result<(), Error> {
        self.tell(now);
        Ok(self.end.handle_message(now, message)?)
    }

    /// The channel has closed.
    ///
    /// # Errors
    /// As [`Endpoint::handle_closed`].
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
    pub fn wants_input(&self) -> bool {
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

    /// Carries between the queue and the stream, until both wait.
    fn settle(&mut self) {
        loop {
            while let Some(action) = self.end.poll_action() {
                match action {
                    stream::Action::Opened
                    | stream::Action::Data(_)
                    | stream::Action::PeerDone
                    | stream::Action::Writable => {}
                    stream::Action::Finished => self.upload.stream_finished(),
                    stream::Action::Failed(error) => self.upload.stream_failed(error.into()),
                }
            }
            if self.upload.is_writing() && self.end.can_write() {
                self.upload.written();
            }
            match self.upload.poll_step() {
                // A stream that takes nothing any more has failed, and says so by its action.
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

/// The consumer's end. See [`Upload`] for both at work.
#[derive(Clone, Debug)]
pub struct Download {
    end: Endpoint,
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
        Ok(Self { end: config.endpoint(Direction::Receive, now)?, download, now })
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

    /// Takes one whole message of the stream's channel.
    ///
    /// # Errors
    /// As [`Endpoint::handle_message`].
    pub fn handle_message(&mut self, now: Instant, message: Bytes) -> Result<(), Error> {
        self.tell(now);
        Ok(self.end.handle_message(now, message)?)
    }

    /// The channel has closed. What had arrived is still delivered.
    ///
    /// # Errors
    /// As [`Endpoint::handle_closed`].
    pub fn handle_closed(&mut self, now: Instant) -> Result<(), Error> {
        self.tell(now);
        Ok(self.end.handle_closed(now)?)
    }

    /// The time of [`Self::poll_timeout`] has come. Too early tells the machine the time and nothing else.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tell(now);
        self.end.handle_timeout(now);
    }

    /// The consumer wants the next chunk.
    ///
    /// # Errors
    /// As [`download::Download::pull`].
    pub fn pull(&mut self, now: Instant) -> Result<(), PullError> {
        self.tell(now);
        self.download.pull()
    }

    /// The consumer wants no more: what waits is dropped, and the producer is told `reason`, if there is one.
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

    /// When to call [`Self::handle_timeout`]; `None` is never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.end.poll_timeout()
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

    /// Bytes that came and were not pulled, those that the stream still has included.
    #[must_use]
    pub fn held(&self) -> usize {
        if self.has_ended() {
            return self.download.held();
        }
        usize::try_from(self.end.core().window().held()).unwrap_or(usize::MAX)
    }

    /// Carries between the stream and the queue, until both wait.
    fn settle(&mut self) {
        loop {
            while let Some(step) = self.download.poll_step() {
                match step {
                    download::Step::Consume => self.end.consume(self.now),
                    download::Step::Cancel(Error::Cancelled { reason: None }) => {
                        self.end.cancel(self.now, None);
                    }
                    download::Step::Cancel(error) => self.end.cancel(self.now, Some(&error.words())),
                }
            }
            if !self.download.wants_data(1) {
                return;
            }
            match self.end.poll_action() {
                None => return,
                Some(stream::Action::Data(block)) => {
                    if let Err(error) = self.download.receive(block) {
                        // The window is the queue's bound, so this does not happen; it would be our own fault.
                        self.end.fail(self.now, &alloc::format!("{error}"));
                    }
                }
                Some(stream::Action::Finished) => self.download.stream_finished(),
                Some(stream::Action::Failed(error)) => self.download.stream_failed(error.into()),
                Some(stream::Action::Opened | stream::Action::PeerDone | stream::Action::Writable) => {}
            }
        }
    }

    fn tell(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }
}
