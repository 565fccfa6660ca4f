//! Why a verb did nothing. None of these ends a stream.

/// Why a chunk was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// The source has closed the stream; what is queued is still read.
    #[error("the stream is closing")]
    Closing,
    /// The stream is closed or was cancelled.
    #[error("the stream is closed")]
    Closed,
    /// The stream has failed.
    #[error("the stream has failed")]
    Errored,
    /// The source pushes on without being asked, past what may be queued.
    #[error("the stream is full: {bytes} bytes or {chunks} chunks may be queued")]
    Full {
        /// [`super::Config::max_bytes`].
        bytes: usize,
        /// [`super::Config::max_chunks`].
        chunks: usize,
    },
}

/// Why the source could not close the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// It was closed before.
    #[error("the stream is closed or closing already")]
    Closed,
    /// It has failed.
    #[error("the stream has failed")]
    Errored,
}

/// Why there is no reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// There is one.
    #[error("the stream is locked to a reader")]
    Locked,
    /// No number is left for a further one.
    #[error("every reader's number was given")]
    Exhausted,
}

/// Why a reader could not read or let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// This reader was released, or belongs to another stream.
    #[error("the reader does not hold the stream")]
    Released,
    /// Enough reads wait.
    #[error("{limit} reads are waiting already")]
    TooMany {
        /// [`super::Config::max_reads`].
        limit: usize,
    },
    /// No number is left for a further read.
    #[error("every read's number was given")]
    Exhausted,
}

/// Why a stream could not be cancelled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CancelError<E> {
    /// It is locked: only its reader may cancel it.
    #[error("the stream is locked to a reader")]
    Locked,
    /// This reader was released, or belongs to another stream.
    #[error("the reader does not hold the stream")]
    Released,
    /// The stream has failed before, with this.
    #[error("the stream has failed")]
    Errored(E),
}
