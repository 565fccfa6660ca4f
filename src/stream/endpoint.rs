//! One end of a stream on a channel of its own: [`Core`] with its limits and its clock.

use bytes::Bytes;

use super::action::Action;
use super::config::{Config, ConfigError, Limits};
use super::core::Core;
use super::error::{Error, WriteError};
use super::lifecycle::State;
use crate::Transmit;
use crate::time::Instant;

/// One end of a stream with credit.
///
/// ```
/// use bytes::Bytes;
/// use portline::Instant;
/// use portline::stream::{Action, Config, Direction, Endpoint, Shape};
///
/// let now = Instant::ZERO;
/// let shape = Shape::items(Direction::Send);
/// let mut sender = Endpoint::new(Config::new(shape), now)?;
/// let mut receiver = Endpoint::new(Config::new(shape.reversed()), now)?;
/// for end in [&mut sender, &mut receiver] {
///     end.open(now); // the opening was sent, or received
///     end.attach(now); // the channel is there
///     assert_eq!(end.poll_action(), Some(Action::Opened));
/// }
/// sender.write(now, Bytes::from_static(b"only"))?;
/// sender.finish(now);
/// while let Some(message) = sender.poll_transmit() {
///     receiver.handle_message(now, message.into_bytes())?; // LAST 0, END 1
/// }
/// assert_eq!(receiver.poll_action(), Some(Action::Data(Bytes::from_static(b"only"))));
/// receiver.consume(now);
/// assert_eq!(receiver.poll_action(), Some(Action::PeerDone));
/// assert_eq!(receiver.poll_action(), Some(Action::Finished));
/// assert_eq!(sender.poll_action(), Some(Action::Finished));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Endpoint {
    core: Core,
    limits: Limits,
    /// The latest time told.
    now: Instant,
}

impl Endpoint {
    /// A stream of which nothing was said yet.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which nothing could ever be sent.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.limits.check()?;
        Ok(Self { core: Core::new(config.shape)?, limits: config.limits, now })
    }

    /// A stream whose channel is there from the start, as those of a mux are: as after `new`, `open`, `attach` and
    /// [`Action::Opened`].
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn attached(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.limits.check()?;
        Ok(Self { core: Core::attached(config.shape)?, limits: config.limits, now })
    }

    /// The stream's opening was sent or received: its channel is expected within `open_timeout`.
    pub fn open(&mut self, now: Instant) {
        self.tell(now);
        self.core.open(self.now);
    }

    /// The stream's channel is there: data and credit may move.
    pub fn attach(&mut self, now: Instant) {
        self.tell(now);
        self.core.attach(&self.limits, self.now);
    }

    /// Takes one whole message of the channel.
    ///
    /// # Errors
    /// What the peer did against the protocol. It ended this stream and no other; the peer is told by ERROR, and the
    /// error is the same for every later message. [`Error::AfterEnd`] when the peer had ended the stream itself.
    /// Frames that were under way when this side ended the stream are counted and dropped.
    pub fn handle_message(&mut self, now: Instant, message: Bytes) -> Result<(), Error> {
        self.tell(now);
        self.core.handle_message(&self.limits, self.now, message)
    }

    /// The channel has closed.
    ///
    /// # Errors
    /// [`Error::Closed`] when that failed the stream: what had arrived is delivered first.
    pub fn handle_closed(&mut self, now: Instant) -> Result<(), Error> {
        self.tell(now);
        self.core.handle_closed(self.now)
    }

    /// The time of [`Self::poll_timeout`] has come. Too early tells the machine the time and nothing else.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tell(now);
        self.core.handle_timeout(&self.limits, self.now);
    }

    /// Takes an item for the peer, or some bytes of a byte stream. It waits for the channel and for credit.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was taken and nothing ends.
    pub fn write(&mut self, now: Instant, block: Bytes) -> Result<(), WriteError> {
        self.tell(now);
        self.core.write(&self.limits, self.now, block)
    }

    /// Whether [`Self::write`] takes something: the direction is open and less than `send_bytes` wait.
    #[must_use]
    pub fn can_write(&self) -> bool {
        self.core.can_write(&self.limits)
    }

    /// No more will be written: the block sent last is marked as done, and the END follows when both directions are.
    /// No effect on a stream that only receives, or after the end.
    pub fn finish(&mut self, now: Instant) {
        self.tell(now);
        self.core.finish(&self.limits, self.now);
    }

    /// The peer has said on another channel that it is done with this stream: its END is due within `stall_timeout`, or
    /// the stream fails.
    pub fn expect_end(&mut self, now: Instant) {
        self.tell(now);
        self.core.expect_end(&self.limits, self.now);
    }

    /// The application failed: what waits in either direction is dropped, and the peer gets ERROR with `reason`, and
    /// END. No effect once the stream is over.
    pub fn fail(&mut self, now: Instant, reason: &str) {
        self.tell(now);
        self.core.fail(self.now, reason);
    }

    /// The application wants no more of the stream: what waits in either direction is dropped, and the peer gets
    /// CANCEL, with `reason` if there is one, and END. No effect once the stream is over.
    pub fn cancel(&mut self, now: Instant, reason: Option<&str>) {
        self.tell(now);
        self.core.cancel(self.now, reason);
    }

    /// The oldest [`Action::Data`] that is not consumed yet is now. No effect when there is none.
    pub fn consume(&mut self, now: Instant) {
        self.tell(now);
        self.core.consume();
    }

    /// The next message to send. Call it only while the transport has room: that is the backpressure.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.core.poll_transmit(&self.limits, self.now)
    }

    /// What happened.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.core.poll_action(self.now)
    }

    /// When to call [`Self::handle_timeout`]; `None` is never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.core.poll_timeout(&self.limits)
    }

    /// Whether to read on: until the stream is over, and while less than `receive_bytes` wait to be polled.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.core.wants_input(&self.limits)
    }

    /// Whether the stream is over. What is left in `poll_action` is still to be taken.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.core.has_ended()
    }

    /// Where the stream is.
    #[must_use]
    pub const fn state(&self) -> State {
        self.core.state()
    }

    /// What the endpoint is made of, to look at.
    #[must_use]
    pub const fn core(&self) -> &Core {
        &self.core
    }

    /// The limits it was given.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Gives back the memory of queues that are empty. A stream that goes on moving would only take it again.
    pub fn shrink(&mut self) {
        self.core.shrink();
    }

    fn tell(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }
}
