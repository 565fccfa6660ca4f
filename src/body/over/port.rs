//! A body on an acknowledged port.
//!
//! A port has no window of bytes: at most [`crate::port::Config::window`] blocks of [`Config::block`] bytes are under way,
//! and a block is acknowledged when the consumer has pulled it. The receiving end stops reading the port before more
//! than its bound has come.

use bytes::Bytes;

use super::end::{Incoming, Outgoing, Received};
use super::{ConfigError, Error};
use crate::body::queue::{self, PushError};
use crate::body::{download, upload};
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
pub type Upload = super::Upload<Sender>;

impl super::Upload<Sender> {
    /// A body of which nothing was sent yet.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which nothing could ever move.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        let upload = upload::Upload::new(upload::Config { queue: config.queue, piece: config.block })?;
        Ok(Self::on(Sender::new(config.port()?, now)?, upload, now))
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
pub type Download = super::Download<Receiver>;

impl super::Download<Receiver> {
    /// A body of which nothing has come yet.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which nothing could ever move.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        let download = download::Download::new(config.queue)?;
        Ok(Self::on(Receiver::new(config.port()?, now)?, download, now))
    }
}

impl Outgoing for Sender {
    fn handle_timeout(&mut self, now: Instant) {
        Self::handle_timeout(self, now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Self::poll_timeout(self)
    }

    fn poll_end(&mut self) -> Option<Result<(), Error>> {
        Some(match self.poll_action()? {
            sender::Action::Finished => Ok(()),
            sender::Action::Failed(error) => Err(error.into()),
        })
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

impl Incoming for Receiver {
    /// So that a window of blocks finds room behind the first of them.
    const AT_ONCE: bool = true;

    fn poll_received(&mut self) -> Option<Received> {
        Some(match self.poll_action()? {
            receiver::Action::Block(block) => Received::Block(block),
            receiver::Action::End => Received::Finished,
            receiver::Action::Failed(error) => Received::Failed(error.into()),
        })
    }

    fn consume(&mut self, now: Instant) {
        self.accept(now);
    }

    fn cancel(&mut self, now: Instant, _words: Option<&str>) {
        Self::cancel(self, now);
    }

    /// Blocks are smaller than the queue, so this does not happen.
    fn refuse(&mut self, now: Instant, _error: PushError) {
        Self::cancel(self, now);
    }
}
