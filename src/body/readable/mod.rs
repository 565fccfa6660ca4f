//! The readable stream of the WHATWG standard, as a machine.
//!
//! ```text
//!  Starting ──started──► Readable ──close──► Closing ──read to the end──► Closed
//!     │ │                 │     └───close, nothing queued──────────────────► Closed
//!     │ └──────close──────┼────────────────► Closing, Closed
//!     ├─ error ───────────┴─ error ──► Errored            (from Closing as well)
//!     └─ cancel ──► Cancelling ──the source's answer──► Closed     (from Readable and Closing as well)
//! ```
//!
//! | the standard | here |
//! |---|---|
//! | `pull(controller)` is called, its promise fulfils or rejects | [`Action::Pull`], `pulled` or `error` |
//! | `start` fulfils or rejects | `started` or `error` |
//! | `cancel(reason)` is called, its promise settles | [`Action::Cancel`], `cancelled` |
//! | `controller.enqueue`, `close`, `error`, `desiredSize` | `enqueue`, `close`, `error`, `desired_size` |
//! | `getReader`, `releaseLock`, `locked` | `lock`, `release`, `is_locked` |
//! | `reader.read()`, its promise settles | `read`: an answer at once, or [`Action::Read`] |
//! | `reader.closed` settles | [`Action::Closed`], [`Action::Errored`], [`Action::Cancelled`]: the terminal action |
//! | `stream.cancel`, `reader.cancel`, their promise settles | `cancel`, `reader_cancel`, [`Action::Cancelled`] |
//! | `stream.tee()` | [`Tee`] |
//!
//! Unlike a [`crate::body::queue`], a stream that fails drops what is queued: that is the standard's rule. It also lets
//! its source enqueue past the high-water mark; here there is a cap beyond it.
//!
//! Limits: [`Config`] bounds what is queued, and the reads. A chunk that a waiting read is answered with is not queued, and
//! not measured, as in the standard: until they are polled, up to [`Config::max_reads`] such chunks are held, each as long
//! as its source made it. A source that enqueues when it is asked and polls before it goes on has one of them there. Each
//! call costs constant work, but for those that end waiting reads. Rules: `spec/13-readable.md`.

mod action;
mod config;
mod error;
mod tee;

use alloc::collections::VecDeque;

use bytes::Bytes;

pub use action::{Action, Outcome, Read};
pub use config::{Config, Strategy};
pub use error::{CancelError, CloseError, EnqueueError, LockError, ReadError};
pub use tee::{Side, Tee, TeeAction};

/// The right to read a stream. There is one at a time; one that was released is refused for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reader(u64);

#[derive(Clone, Debug)]
enum State<E> {
    /// The source has not started.
    Starting,
    Readable,
    /// The source has closed; chunks are queued.
    Closing,
    /// Cancelled, and the source has not answered.
    Cancelling,
    Closed,
    Errored(E),
}

/// Where the source is with a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pulling {
    /// It is not asked.
    No,
    /// It is to be asked.
    Due,
    /// It is to be asked, and then once more.
    DueTwice,
    /// It was asked.
    Asked,
    /// It was asked, and will be once more if that is still needed then.
    Again,
}

/// A readable stream. `E` is what the caller's failures are made of.
///
/// ```
/// use bytes::Bytes;
/// use portline::body::readable::{Action, Config, Outcome, Read, Readable};
///
/// let mut stream: Readable<&str> = Readable::new(Config::count(1));
/// stream.started();
/// assert_eq!(stream.poll_action(), Some(Action::Pull)); // the mark is 1 and nothing is queued
/// let reader = stream.lock()?;
/// let Read::Waiting(read) = stream.read(reader)? else { panic!() };
/// stream.enqueue(Bytes::from_static(b"chunk"))?;
/// stream.pulled();
/// let outcome = Outcome::Chunk(Bytes::from_static(b"chunk"));
/// assert_eq!(stream.poll_action(), Some(Action::Read { read, outcome }));
/// assert_eq!(stream.poll_action(), Some(Action::Pull));
/// stream.close()?;
/// assert_eq!(stream.read(reader)?, Read::Done);
/// assert_eq!(stream.poll_action(), Some(Action::Closed));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Readable<E> {
    config: Config,
    state: State<E>,
    queue: VecDeque<Bytes>,
    /// Bytes in `queue`.
    bytes: usize,
    pulling: Pulling,
    /// The reader that holds the stream.
    reader: Option<Reader>,
    /// Reads that wait; only while a reader holds the stream.
    reads: VecDeque<u64>,
    /// Readers and reads so far.
    readers: u64,
    numbers: u64,
    actions: VecDeque<Action<E>>,
    /// Answers to reads in `actions`.
    answers: usize,
}

impl<E: Clone> Readable<E> {
    /// A stream whose source has not started.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            state: State::Starting,
            queue: VecDeque::new(),
            bytes: 0,
            pulling: Pulling::No,
            reader: None,
            reads: VecDeque::new(),
            readers: 0,
            numbers: 0,
            actions: VecDeque::new(),
            answers: 0,
        }
    }

    /// The source has started: from now on it may be asked. No effect a second time.
    pub fn started(&mut self) {
        match self.state {
            State::Starting => {
                self.state = State::Readable;
                self.pull_if_needed();
            }
            State::Readable | State::Closing | State::Cancelling | State::Closed | State::Errored(_) => {}
        }
    }

    /// The source has done what [`Action::Pull`] asked for. No effect when it was not asked.
    pub fn pulled(&mut self) {
        match self.pulling {
            Pulling::Asked => self.pulling = Pulling::No,
            Pulling::Again => {
                self.pulling = Pulling::No;
                self.pull_if_needed();
            }
            Pulling::No | Pulling::Due | Pulling::DueTwice => {}
        }
    }

    /// The source has a chunk.
    ///
    /// # Errors
    /// [`EnqueueError`]; nothing was taken and nothing ends.
    pub fn enqueue(&mut self, chunk: Bytes) -> Result<(), EnqueueError> {
        match self.state {
            State::Starting | State::Readable => {}
            State::Closing => return Err(EnqueueError::Closing),
            State::Closed | State::Cancelling => return Err(EnqueueError::Closed),
            State::Errored(_) => return Err(EnqueueError::Errored),
        }
        if let Some(read) = self.reads.pop_front() {
            self.answer(read, Outcome::Chunk(chunk));
        } else {
            let (bytes, chunks) = (self.config.max_bytes, self.config.max_chunks);
            let sum = self.bytes.saturating_add(chunk.len());
            if sum > bytes || self.queue.len() >= chunks {
                return Err(EnqueueError::Full { bytes, chunks });
            }
            self.bytes = sum;
            self.queue.push_back(chunk);
        }
        self.pull_if_needed();
        Ok(())
    }

    /// The source has no more: the stream closes once everything queued was read.
    ///
    /// # Errors
    /// [`CloseError`]; nothing changes.
    pub fn close(&mut self) -> Result<(), CloseError> {
        match self.state {
            State::Starting | State::Readable => {
                self.state = State::Closing;
                self.close_if_drained();
                Ok(())
            }
            State::Closing | State::Cancelling | State::Closed => Err(CloseError::Closed),
            State::Errored(_) => Err(CloseError::Errored),
        }
    }

    /// The source has failed: what is queued is dropped. No effect once the stream is closed or has failed.
    pub fn error(&mut self, error: E) {
        match self.state {
            State::Starting | State::Readable | State::Closing => {
                self.reset();
                self.end_reads(&Outcome::Failed(error.clone()));
                self.actions.push_back(Action::Errored(error.clone()));
                self.state = State::Errored(error);
            }
            State::Cancelling | State::Closed | State::Errored(_) => {}
        }
    }

    /// The source's answer to [`Action::Cancel`]. No effect when there was none.
    pub fn cancelled(&mut self, result: Result<(), E>) {
        match self.state {
            State::Cancelling => {
                self.state = State::Closed;
                self.actions.push_back(Action::Cancelled(result));
            }
            State::Starting | State::Readable | State::Closing | State::Closed | State::Errored(_) => {}
        }
    }

    /// What the stream would still like to have queued: less than 0 when there is more than the mark, `None` once it
    /// has failed, 0 once it is closed.
    #[must_use]
    pub fn desired_size(&self) -> Option<i64> {
        match self.state {
            State::Starting | State::Readable | State::Closing => {
                let signed = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
                Some(signed(self.config.high_water_mark).saturating_sub(signed(self.size())))
            }
            State::Cancelling | State::Closed => Some(0),
            State::Errored(_) => None,
        }
    }

    /// A reader, which holds the stream until it is released.
    ///
    /// # Errors
    /// [`LockError`] while another holds it.
    pub fn lock(&mut self) -> Result<Reader, LockError> {
        if self.reader.is_some() {
            return Err(LockError::Locked);
        }
        self.readers = self.readers.checked_add(1).ok_or(LockError::Exhausted)?;
        let reader = Reader(self.readers);
        self.reader = Some(reader);
        Ok(reader)
    }

    /// The reader lets go. Its reads that wait are answered [`Outcome::Released`]; chunks that come stay for the next.
    ///
    /// # Errors
    /// [`ReadError::Released`] when it does not hold the stream.
    pub fn release(&mut self, reader: Reader) -> Result<(), ReadError> {
        self.holds(reader)?;
        self.reader = None;
        self.end_reads(&Outcome::Released);
        Ok(())
    }

    /// Reads a chunk. The answer comes at once where there is one, unless answers to earlier reads are still to be
    /// polled: it comes behind them then.
    ///
    /// # Errors
    /// [`ReadError`]; nothing was read.
    pub fn read(&mut self, reader: Reader) -> Result<Read<E>, ReadError> {
        self.holds(reader)?;
        if self.answers == 0 {
            match self.take() {
                Some(Outcome::Chunk(chunk)) => return Ok(Read::Chunk(chunk)),
                Some(Outcome::Failed(error)) => return Ok(Read::Failed(error)),
                Some(Outcome::Done | Outcome::Released) => return Ok(Read::Done),
                None => {}
            }
        }
        let limit = self.config.max_reads;
        if self.reads.len().saturating_add(self.answers) >= limit {
            return Err(ReadError::TooMany { limit });
        }
        let read = self.numbers.checked_add(1).ok_or(ReadError::Exhausted)?;
        self.numbers = read;
        match self.take() {
            Some(outcome) => self.answer(read, outcome),
            None => {
                self.reads.push_back(read);
                self.pull_if_needed();
            }
        }
        Ok(Read::Waiting(read))
    }

    /// Cancels a stream that no reader holds: what is queued is dropped, and the source is told. Once it is closed
    /// nothing happens.
    ///
    /// # Errors
    /// [`CancelError`]; nothing changes.
    pub fn cancel(&mut self, reason: E) -> Result<(), CancelError<E>> {
        if self.is_locked() {
            return Err(CancelError::Locked);
        }
        self.cancel_now(reason)
    }

    /// As [`Self::cancel`], by the reader that holds the stream. Its reads that wait are answered
    /// [`Outcome::Done`].
    ///
    /// # Errors
    /// [`CancelError`]; nothing changes.
    pub fn reader_cancel(&mut self, reader: Reader, reason: E) -> Result<(), CancelError<E>> {
        if self.reader != Some(reader) {
            return Err(CancelError::Released);
        }
        self.cancel_now(reason)
    }

    /// What happened, or what the source must do.
    pub fn poll_action(&mut self) -> Option<Action<E>> {
        self.next_action().or_else(|| self.take_pull().then_some(Action::Pull))
    }

    /// Whether a reader holds the stream.
    #[must_use]
    pub const fn is_locked(&self) -> bool {
        self.reader.is_some()
    }

    /// Whether the stream is over. What is left in [`Self::poll_action`] is still to be taken.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.state, State::Closed | State::Errored(_))
    }

    /// Bytes that are queued.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Chunks that are queued.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.queue.len()
    }

    /// The next action but for `Pull`.
    fn next_action(&mut self) -> Option<Action<E>> {
        let action = self.actions.pop_front()?;
        if let Action::Read { .. } = action {
            self.answers = self.answers.saturating_sub(1);
        }
        Some(action)
    }

    /// What a read gives, if there is anything.
    fn take(&mut self) -> Option<Outcome<E>> {
        match &self.state {
            State::Starting | State::Readable | State::Closing => {}
            State::Cancelling | State::Closed => return Some(Outcome::Done),
            State::Errored(error) => return Some(Outcome::Failed(error.clone())),
        }
        let chunk = self.queue.pop_front()?;
        self.bytes = self.bytes.saturating_sub(chunk.len());
        self.close_if_drained();
        self.pull_if_needed();
        Some(Outcome::Chunk(chunk))
    }

    /// The answer to a read, behind those to the reads before it and in front of the terminal action.
    fn answer(&mut self, read: u64, outcome: Outcome<E>) {
        let ended =
            matches!(self.actions.back(), Some(Action::Closed | Action::Errored(_) | Action::Cancelled(_)));
        let at = self.actions.len().saturating_sub(usize::from(ended));
        self.actions.insert(at, Action::Read { read, outcome });
        self.answers = self.answers.saturating_add(1);
    }

    /// Whether the source is to be asked; it is, by this.
    const fn take_pull(&mut self) -> bool {
        self.pulling = match self.pulling {
            Pulling::Due => Pulling::Asked,
            Pulling::DueTwice => Pulling::Again,
            Pulling::No | Pulling::Asked | Pulling::Again => return false,
        };
        true
    }

    /// Whether the source was asked and has not answered.
    const fn is_pulling(&self) -> bool {
        matches!(self.pulling, Pulling::Asked | Pulling::Again)
    }

    /// What is queued, as the strategy measures it.
    fn size(&self) -> usize {
        match self.config.strategy {
            Strategy::Count => self.queue.len(),
            Strategy::Bytes => self.bytes,
        }
    }

    const fn holds(&self, reader: Reader) -> Result<(), ReadError> {
        match self.reader {
            Some(Reader(holder)) if holder == reader.0 => Ok(()),
            Some(_) | None => Err(ReadError::Released),
        }
    }

    fn needs_pull(&self) -> bool {
        match self.state {
            State::Readable => !self.reads.is_empty() || self.size() < self.config.high_water_mark,
            State::Starting | State::Closing | State::Cancelling | State::Closed | State::Errored(_) => false,
        }
    }

    fn pull_if_needed(&mut self) {
        if self.needs_pull() {
            self.pulling = match self.pulling {
                Pulling::No => Pulling::Due,
                Pulling::Due | Pulling::DueTwice => Pulling::DueTwice,
                Pulling::Asked | Pulling::Again => Pulling::Again,
            };
        }
    }

    fn close_if_drained(&mut self) {
        if matches!(self.state, State::Closing) && self.queue.is_empty() {
            self.state = State::Closed;
            self.reset();
            self.end_reads(&Outcome::Done);
            self.actions.push_back(Action::Closed);
        }
    }

    fn cancel_now(&mut self, reason: E) -> Result<(), CancelError<E>> {
        match &self.state {
            State::Starting | State::Readable | State::Closing => {
                self.state = State::Cancelling;
                self.reset();
                self.end_reads(&Outcome::Done);
                self.actions.push_back(Action::Cancel(reason));
                Ok(())
            }
            State::Cancelling | State::Closed => Ok(()),
            State::Errored(error) => Err(CancelError::Errored(error.clone())),
        }
    }

    /// Drops what is queued; a pull that was not told yet is not told any more.
    fn reset(&mut self) {
        self.queue = VecDeque::new();
        self.bytes = 0;
        self.pulling = Pulling::No;
    }

    fn end_reads(&mut self, outcome: &Outcome<E>) {
        for read in core::mem::take(&mut self.reads) {
            self.answer(read, outcome.clone());
        }
    }
}
