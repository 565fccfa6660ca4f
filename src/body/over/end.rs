//! What a body needs of the end of a stream. The ends of this crate have it, and nobody else has to: on anything else a
//! driver does the steps itself.

use bytes::Bytes;

use super::Error;
use crate::Transmit;
use crate::body::queue::PushError;
use crate::time::Instant;
use crate::{port, stream};

/// The end of a stream, either one.
pub trait StreamEnd {
    /// Takes one whole message.
    ///
    /// # Errors
    /// What ended the stream.
    fn handle_message(&mut self, now: Instant, message: Bytes) -> Result<(), Error>;

    /// The transport has closed.
    ///
    /// # Errors
    /// What ended the stream.
    fn handle_closed(&mut self, now: Instant) -> Result<(), Error>;

    /// The next message to send.
    fn poll_transmit(&mut self) -> Option<Transmit>;

    /// Whether to read on.
    fn wants_input(&self) -> bool;
}

macro_rules! stream_end {
    ($end:ty) => {
        impl StreamEnd for $end {
            fn handle_message(&mut self, now: Instant, message: Bytes) -> Result<(), Error> {
                Ok(Self::handle_message(self, now, message)?)
            }

            fn handle_closed(&mut self, now: Instant) -> Result<(), Error> {
                Ok(Self::handle_closed(self, now)?)
            }

            fn poll_transmit(&mut self) -> Option<Transmit> {
                Self::poll_transmit(self)
            }

            fn wants_input(&self) -> bool {
                Self::wants_input(self)
            }
        }
    };
}
stream_end!(stream::Endpoint);
stream_end!(port::Sender);
stream_end!(port::Receiver);

/// The end that writes.
pub trait Outgoing: StreamEnd {
    /// The time of `poll_timeout` has come.
    fn handle_timeout(&mut self, now: Instant);

    /// When to call `handle_timeout`.
    fn poll_timeout(&self) -> Option<Instant>;

    /// How the stream has ended, once.
    fn poll_end(&mut self) -> Option<Result<(), Error>>;

    /// Whether everything that was written has left.
    fn can_write(&self) -> bool;

    /// Writes a piece. An end that takes nothing any more has failed, and says so by `poll_end`.
    fn write(&mut self, now: Instant, piece: Bytes);

    /// Nothing more will be written.
    fn finish(&mut self, now: Instant);

    /// Fails the stream, with these words for the other side.
    fn fail(&mut self, now: Instant, words: &str);
}

/// The end that reads.
pub trait Incoming: StreamEnd {
    /// Whether a block goes to the consumer's side as it comes, not only when somebody polls.
    const AT_ONCE: bool;

    /// What has come next.
    fn poll_received(&mut self) -> Option<Received>;

    /// The oldest block that came has been consumed.
    fn consume(&mut self, now: Instant);

    /// No more is wanted, with these words for the other side if the stream can carry any.
    fn cancel(&mut self, now: Instant, words: Option<&str>);

    /// A block does not fit. The configuration keeps that from happening; it would be our own fault.
    fn refuse(&mut self, now: Instant, error: PushError);
}

/// What has come.
#[derive(Debug)]
pub enum Received {
    /// A block.
    Block(Bytes),
    /// The stream's good end.
    Finished,
    /// Its other one.
    Failed(Error),
}
