//! What a queue tells its producer and its consumer, and why it refuses.

use bytes::Bytes;

/// What happened. `Done`, `Failed` and `Cancelled` are terminal: one of them comes, once, and nothing after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<E> {
    /// For the consumer: the chunk that it pulled.
    Chunk(Bytes),
    /// For the producer: there is room again, after a push was cut or refused.
    Writable,
    /// For both: everything was pulled, and the producer had closed.
    Done,
    /// For both: everything was pulled, and the producer had failed.
    Failed(E),
    /// For both: the consumer wanted no more.
    Cancelled(E),
}

/// How much of a chunk was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the rest of a chunk is still to be pushed"]
pub enum Pushed {
    /// All of it.
    All,
    /// The front of it ([`super::Full::Split`] only); push the rest after [`Action::Writable`].
    Part {
        /// What was not taken. Not empty.
        rest: Bytes,
    },
}

/// Why a chunk was not taken. It ends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// Enough waits; [`Action::Writable`] tells when there is room again.
    #[error("the queue is full: {bytes} bytes or {chunks} chunks may wait")]
    Full {
        /// [`super::Config::bytes`].
        bytes: usize,
        /// [`super::Config::chunks`].
        chunks: usize,
    },
    /// The chunk could never be taken ([`super::Full::Refuse`] only).
    #[error("a chunk of {length} bytes is larger than the queue of {limit}")]
    TooLarge {
        /// Its bytes.
        length: usize,
        /// [`super::Config::bytes`].
        limit: usize,
    },
    /// The producer has closed the queue.
    #[error("the queue was closed")]
    Closed,
    /// The producer has failed the queue.
    #[error("the queue has failed")]
    Failed,
    /// The consumer wants no more.
    #[error("the consumer has cancelled the queue")]
    Cancelled,
}

/// Why a pull was not taken. It ends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The last pull has no answer yet.
    #[error("a pull is waiting already")]
    Waiting,
    /// The terminal action was given.
    #[error("the queue is over")]
    Over,
}
