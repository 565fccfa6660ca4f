//! The upload: what stands between a local producer and a stream that goes elsewhere.
//!
//! ```text
//!  producer: push, close, error ─► Queue ─► Step::Write ─► the stream          one piece at a time
//!  Moving ──closed, drained──► Step::Finish ──stream_finished──► Finished
//!     │ ───failed, drained──► Step::Fail ──stream_failed──► Failed
//!     ├─── abort ──► the queue is dropped ──► Step::Fail ──stream_failed──► Failed
//!     └─── stream_failed ──► the queue is dropped ──► Failed
//! ```
//!
//! | input | what happens |
//! |---|---|
//! | `push`, `close`, `error` | as on a [`Queue`] |
//! | `written` | the stream has let go of the piece: room in the queue (`Writable`), and the next piece |
//! | `stream_finished`, `stream_failed` | the terminal action |
//!
//! A piece that the stream has and has not let go of is charged to the queue, so queue and stream together never hold
//! more than [`queue::Config::bytes`]. The consumer's backpressure arrives here as a stream that does not let go.
//!
//! This machine knows no stream: the driver does each [`Step`] and says what came of it. On a credit stream and on a
//! port [`super::over`] does that.
//!
//! Limits: those of the queue, and [`Config::piece`]. Each call costs constant work. Rules: `spec/12-body.md`, TRANSFER.

use bytes::Bytes;

use super::queue::{self, ConfigError, End, PushError, Pushed, Queue};
use crate::limits;

/// The configuration of an [`Upload`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// What waits between the producer and the stream.
    pub queue: queue::Config,
    /// Bytes of the largest piece that the stream is handed. 16384 by default.
    pub piece: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { queue: queue::Config::default(), piece: limits::BODY_PIECE }
    }
}

/// What is to be done with the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<E> {
    /// Write this. Answer `written` once it has left.
    Write(Bytes),
    /// Nothing more will be written. Answer `stream_finished` or `stream_failed`.
    Finish,
    /// Fail the stream, telling the other side why. Answer `stream_failed`.
    Fail(E),
}

/// What happened, for the producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<E> {
    /// There is room again, after a push was cut or refused.
    Writable,
    /// The stream has taken everything, and ended well. Terminal.
    Finished,
    /// The stream or the producer has failed. Terminal.
    Failed(E),
}

#[derive(Clone, Debug)]
enum State<E> {
    /// Pieces move; the stream has none.
    Idle,
    /// The stream has a piece.
    Writing,
    /// The stream was told to finish.
    Finishing,
    /// The stream is to be told to fail, at once.
    Aborting(E),
    /// The stream was told to fail.
    Failing(E),
    /// The terminal action is to be given.
    Ending(Action<E>),
    /// It was.
    Over,
}

/// One end of a body on its way: the producer's. `E` is what failures are made of, the stream's and the producer's.
///
/// ```
/// use bytes::Bytes;
/// use portline::body::queue::Pushed;
/// use portline::body::upload::{Action, Config, Step, Upload};
///
/// let mut upload: Upload<&str> = Upload::new(Config { piece: 4, ..Config::default() })?;
/// assert_eq!(upload.push(Bytes::from_static(b"abcdef"))?, Pushed::All);
/// upload.close();
/// let mut stream = Vec::new(); // any stream will do
/// while let Some(step) = upload.poll_step() {
///     match step {
///         Step::Write(piece) => {
///             stream.push(piece);
///             upload.written();
///         }
///         Step::Finish => upload.stream_finished(),
///         Step::Fail(error) => upload.stream_failed(error),
///     }
/// }
/// assert_eq!(stream, ["abcd", "ef"]);
/// assert_eq!(upload.poll_action(), Some(Action::Finished));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Upload<E> {
    queue: Queue<E>,
    piece: usize,
    state: State<E>,
}

impl<E: Clone> Upload<E> {
    /// An upload of which nothing was pushed yet.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which nothing could ever move.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        if config.piece == 0 {
            return Err(ConfigError::Zero { field: "piece" });
        }
        Ok(Self { queue: Queue::new(config.queue)?, piece: config.piece, state: State::Idle })
    }

    /// The producer has a chunk.
    ///
    /// # Errors
    /// [`PushError`]; nothing was taken and nothing ends. [`PushError::Cancelled`] when the stream has failed.
    pub fn push(&mut self, chunk: Bytes) -> Result<Pushed, PushError> {
        self.queue.push(chunk)
    }

    /// As [`Queue::can_push`].
    #[must_use]
    pub fn can_push(&self) -> bool {
        self.queue.can_push()
    }

    /// The producer has no more: the stream ends after what was pushed. No effect after any end.
    pub fn close(&mut self) {
        self.queue.close();
    }

    /// The producer has failed: the stream fails after what was pushed. No effect after any end.
    pub fn error(&mut self, error: E) {
        self.queue.error(error);
    }

    /// The producer gives up: what was pushed is dropped, and the stream fails at once. No effect once the stream was
    /// told to finish or to fail, or has ended.
    pub fn abort(&mut self, error: E) {
        match self.state {
            State::Idle | State::Writing => {
                self.drop_queue(error.clone());
                self.state = State::Aborting(error);
            }
            State::Finishing | State::Aborting(_) | State::Failing(_) | State::Ending(_) | State::Over => {}
        }
    }

    /// The stream has let go of the piece that it was handed. No effect when it has none.
    pub fn written(&mut self) {
        if let State::Writing = self.state {
            self.queue.repay();
            self.state = State::Idle;
        }
    }

    /// The stream has ended well. No effect unless it was told to finish.
    pub fn stream_finished(&mut self) {
        if let State::Finishing = self.state {
            self.state = State::Ending(Action::Finished);
        }
    }

    /// The stream has failed, for whatever reason: what waits is dropped. When the producer's failure was the reason,
    /// that is what the terminal action tells. No effect after the stream's end.
    pub fn stream_failed(&mut self, error: E) {
        let error = match core::mem::replace(&mut self.state, State::Over) {
            State::Idle | State::Writing | State::Finishing => error,
            State::Aborting(own) | State::Failing(own) => own,
            ended @ (State::Ending(_) | State::Over) => {
                self.state = ended;
                return;
            }
        };
        self.drop_queue(error.clone());
        self.state = State::Ending(Action::Failed(error));
    }

    /// What to do with the stream. Nothing while it has a piece or was told to end.
    pub fn poll_step(&mut self) -> Option<Step<E>> {
        match &self.state {
            State::Idle => {}
            State::Aborting(error) => {
                let error = error.clone();
                self.state = State::Failing(error.clone());
                return Some(Step::Fail(error));
            }
            State::Writing | State::Finishing | State::Failing(_) | State::Ending(_) | State::Over => {
                return None;
            }
        }
        while let Some(piece) = self.queue.take(self.piece) {
            if !piece.is_empty() {
                self.state = State::Writing;
                return Some(Step::Write(piece));
            }
            // A body is bytes: nothing is nothing, and only makes room.
            self.queue.repay();
        }
        match self.queue.take_end()? {
            End::Done => {
                self.state = State::Finishing;
                Some(Step::Finish)
            }
            End::Failed(error) | End::Cancelled(error) => {
                self.state = State::Failing(error.clone());
                Some(Step::Fail(error))
            }
        }
    }

    /// What happened, for the producer.
    pub fn poll_action(&mut self) -> Option<Action<E>> {
        match core::mem::replace(&mut self.state, State::Over) {
            State::Ending(action) => Some(action),
            state => {
                self.state = state;
                self.queue.take_writable().then_some(Action::Writable)
            }
        }
    }

    /// Whether the upload is over. What is left in [`Self::poll_action`] is still to be taken.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.state, State::Ending(_) | State::Over)
    }

    /// Whether the stream has a piece that it has not let go of.
    #[must_use]
    pub const fn is_writing(&self) -> bool {
        matches!(self.state, State::Writing)
    }

    /// Bytes that wait, those of the piece that the stream has included. At most [`queue::Config::bytes`].
    #[must_use]
    pub const fn held(&self) -> usize {
        self.queue.bytes()
    }

    /// What the queue holds with its bookkeeping, as [`Queue::memory`].
    #[must_use]
    pub fn memory(&self) -> usize {
        self.queue.memory()
    }

    fn drop_queue(&mut self, error: E) {
        self.queue.cancel(error);
        self.queue.repay();
    }
}
