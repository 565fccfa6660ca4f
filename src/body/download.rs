//! The download: what stands between a stream that comes from elsewhere and a local consumer.
//!
//! ```text
//!  the stream ─► receive ─► Queue ─► pull ─► Chunk, and Step::Consume ─► credit, or an acknowledgement
//!  Moving ──stream_finished──► drained ──► Done
//!     │ ───stream_failed──► drained ──► Failed
//!     └─── cancel ──► what waits is dropped ──► Step::Cancel, Cancelled
//! ```
//!
//! | input | what happens |
//! |---|---|
//! | `receive` | a waiting pull gets the block; otherwise it waits |
//! | `pull` | `Chunk`, now or when one comes, and then `Consume`: the sender may go on |
//! | `stream_finished`, `stream_failed` | the terminal action, after everything that came before |
//! | `cancel` | the terminal action, at once; the stream is told unless it had ended |
//!
//! Each block is a chunk of its own here, because each is consumed by itself; a stream joins its small blocks before.
//! A block is consumed when the consumer has it, so the sender goes no further than the consumer lets it.
//!
//! This machine knows no stream: the driver does each [`Step`] and says what came. On a credit stream and on a port
//! [`super::over`] does that.
//!
//! Limits: those of the queue; `receive` is refused while [`Download::wants_data`] is false. Each call costs constant
//! work. Rules: `spec/12-body.md`, TRANSFER.

use bytes::Bytes;

use super::queue::{self, ConfigError, Full, PullError, PushError, Queue};

/// What is to be done with the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<E> {
    /// The oldest block that was not consumed is.
    Consume,
    /// No more is wanted: cancel the stream.
    Cancel(E),
}

/// What happened, for the consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<E> {
    /// The chunk that was pulled.
    Chunk(Bytes),
    /// Everything was pulled, and the stream ended well. Terminal.
    Done,
    /// Everything was pulled that came before the stream failed. Terminal.
    Failed(E),
    /// The consumer wanted no more. Terminal.
    Cancelled(E),
}

/// What is left to be said to the stream.
#[derive(Clone, Debug)]
enum State<E> {
    /// Blocks may come.
    Open,
    /// The stream is to be cancelled.
    Cancelling(E),
    /// It has ended, or knows that it shall.
    Ended,
}

/// One end of a body on its way: the consumer's. `E` is what failures are made of, the stream's and the consumer's.
///
/// ```
/// use bytes::Bytes;
/// use portline::body::download::{Action, Download, Step};
/// use portline::body::queue::Config;
///
/// let mut download: Download<&str> = Download::new(Config::default())?;
/// download.pull()?;
/// download.receive(Bytes::from_static(b"block"))?; // from any stream
/// assert_eq!(download.poll_step(), None); // nobody has it yet
/// assert_eq!(download.poll_action(), Some(Action::Chunk(Bytes::from_static(b"block"))));
/// assert_eq!(download.poll_step(), Some(Step::Consume));
/// download.stream_finished();
/// assert_eq!(download.poll_action(), Some(Action::Done));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Download<E> {
    queue: Queue<E>,
    state: State<E>,
    /// Blocks that the consumer has and the stream does not know of.
    consumed: usize,
}

impl<E: Clone> Download<E> {
    /// A download of which nothing has come yet. Blocks are neither joined nor split, whatever the configuration says.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which nothing could ever come.
    pub fn new(config: queue::Config) -> Result<Self, ConfigError> {
        let config = queue::Config { join: false, full: Full::Refuse, ..config };
        Ok(Self { queue: Queue::new(config)?, state: State::Open, consumed: 0 })
    }

    /// Whether [`Self::receive`] takes a block of `length` bytes.
    #[must_use]
    pub fn wants_data(&self, length: usize) -> bool {
        self.queue.can_push() && length <= self.queue.free_bytes()
    }

    /// A block has come. After `cancel` it is dropped.
    ///
    /// # Errors
    /// [`PushError::Full`] and [`PushError::TooLarge`]: more has come than the stream should have let through. Nothing
    /// was taken and nothing ends. [`PushError::Closed`] and [`PushError::Failed`]: the stream had ended.
    pub fn receive(&mut self, block: Bytes) -> Result<(), PushError> {
        match self.queue.push(block) {
            Ok(_) | Err(PushError::Cancelled) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The stream has ended well. No effect after its end.
    pub fn stream_finished(&mut self) {
        self.state = State::Ended;
        self.queue.close();
    }

    /// The stream has failed. What came before is delivered. No effect after its end.
    pub fn stream_failed(&mut self, error: E) {
        self.state = State::Ended;
        self.queue.error(error);
    }

    /// The consumer wants the next chunk: [`Action::Chunk`] or the terminal action is the answer.
    ///
    /// # Errors
    /// [`PullError::Waiting`] while the last pull has no answer, [`PullError::Over`] after the terminal action.
    pub const fn pull(&mut self) -> Result<(), PullError> {
        self.queue.pull()
    }

    /// The consumer wants no more; what waits is dropped. No effect once everything was pulled and the stream has
    /// ended.
    pub fn cancel(&mut self, reason: E) {
        if self.queue.has_ended() {
            return;
        }
        match self.state {
            State::Open => self.state = State::Cancelling(reason.clone()),
            State::Cancelling(_) | State::Ended => {}
        }
        self.queue.cancel(reason);
    }

    /// What to do with the stream.
    pub fn poll_step(&mut self) -> Option<Step<E>> {
        match core::mem::replace(&mut self.state, State::Ended) {
            State::Cancelling(reason) => Some(Step::Cancel(reason)),
            State::Ended => None,
            State::Open => {
                self.state = State::Open;
                self.consumed = self.consumed.checked_sub(1)?;
                Some(Step::Consume)
            }
        }
    }

    /// What happened, for the consumer.
    pub fn poll_action(&mut self) -> Option<Action<E>> {
        loop {
            return Some(match self.queue.poll_action()? {
                queue::Action::Chunk(chunk) => {
                    self.consumed = self.consumed.saturating_add(1);
                    Action::Chunk(chunk)
                }
                // The stream is not refused: it is told by `Consume`.
                queue::Action::Writable => continue,
                queue::Action::Done => Action::Done,
                queue::Action::Failed(error) => Action::Failed(error),
                queue::Action::Cancelled(reason) => Action::Cancelled(reason),
            });
        }
    }

    /// Whether the download is over. What is left in [`Self::poll_action`] is still to be taken.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.queue.has_ended()
    }

    /// Whether nothing more of the stream is wanted: it has ended, or was told to, or is to be told by the next
    /// [`Step::Cancel`]. What came before may still wait.
    #[must_use]
    pub const fn is_stream_over(&self) -> bool {
        matches!(self.state, State::Cancelling(_) | State::Ended)
    }

    /// Bytes that wait.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.queue.bytes()
    }

    /// What the queue holds with its bookkeeping, as [`Queue::memory`].
    #[must_use]
    pub fn memory(&self) -> usize {
        self.queue.memory()
    }
}
