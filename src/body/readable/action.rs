//! What a readable stream tells its source and its reader.

use bytes::Bytes;

/// What happened, or what the source must now do. `Closed`, `Errored` and `Cancelled` are terminal: one of them comes,
/// once, and nothing after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<E> {
    /// For the source: more is wanted. Answer with chunks and `pulled`, or `error`; it is not asked again before.
    Pull,
    /// For the source: no more is wanted, for this reason. Answer `cancelled`.
    Cancel(E),
    /// A read that waited has its answer.
    Read {
        /// The read.
        read: u64,
        /// Its answer.
        outcome: Outcome<E>,
    },
    /// The source has closed the stream and everything was read.
    Closed,
    /// The stream has failed.
    Errored(E),
    /// The stream was cancelled, and this is what the source said to it.
    Cancelled(Result<(), E>),
}

/// The answer to a read that waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<E> {
    /// A chunk.
    Chunk(Bytes),
    /// The stream is closed.
    Done,
    /// The stream has failed.
    Failed(E),
    /// The reader was released.
    Released,
}

/// What a read gave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a chunk that is not looked at is lost"]
pub enum Read<E> {
    /// A chunk that was queued.
    Chunk(Bytes),
    /// The stream is closed.
    Done,
    /// The stream has failed.
    Failed(E),
    /// It waits; [`Action::Read`] with this number is the answer.
    Waiting(u64),
}
