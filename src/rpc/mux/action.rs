//! What the mux tells its driver.

use bytes::Bytes;

use super::config::Error;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The peer opened a channel; its first message comes next. Its end is closed with [`Mux::close`](super::Mux::close).
    Opened {
        /// The channel.
        channel: u32,
    },
    /// A message came.
    Message {
        /// The channel: [`CONTROL`](super::CONTROL), or one that is open; the message that opened one comes though it was
        /// closed between.
        channel: u32,
        /// The message.
        message: Bytes,
    },
    /// A channel on which as much waited as may has room again.
    Writable {
        /// The channel.
        channel: u32,
    },
    /// The mux is over and took this open channel with it.
    Closed {
        /// The channel.
        channel: u32,
    },
    /// The pipe has ended between two messages.
    Finished,
    /// The mux has failed.
    Failed(Error),
}
