//! The byte queue: what a producer has pushed and a consumer has not pulled yet, bounded in bytes and in chunks.
//!
//! ```text
//!              push ─► chunks wait ─► pull ─► Chunk
//!  Open ──close──► Closing ──drained──► Done
//!    │ ──error──► Failing ──drained──► Failed
//!    └─ cancel ──► what waits is dropped ──► Cancelled        (also from Closing and Failing, until drained)
//! ```
//!
//! | input | what happens |
//! |---|---|
//! | `push` | a waiting pull gets the chunk; otherwise it waits, is split or refused |
//! | `pull` | `Chunk`, now or when one comes; the terminal action once there is none and will be none |
//! | `close`, `error` | the terminal action, after everything that waits was pulled; the first of them counts |
//! | `cancel` | the terminal action, at once |
//! | room after a push was cut or refused | `Writable` |
//!
//! A chunk is a slice of the buffer that it was read into, and keeps that buffer alive. So chunks shorter than
//! [`Config::small`] are copied and joined; longer ones are passed through without a copy. What the queue counts, each
//! chunk by its length, is at most [`Config::memory`]; what longer slices keep alive beyond their length is the buffers of
//! whoever pushed them, at most [`Config::chunks`] of them. A program that cannot tell how large those are sets `small` to
//! `usize::MAX`: then what waits was copied once and nothing else is kept alive.
//!
//! A chunk that is cut keeps all of its buffer alive until its last byte is gone: one that was split, until the rest that
//! was handed back is gone too; one that an [`super::upload`] takes piece by piece, until the last piece is. That is not
//! counted. So buffers that are no longer than their chunks, and fit in whole, may come to twice [`Config::bytes`].
//!
//! Limits: [`Config::bytes`], [`Config::chunks`]. Each call costs constant work, and copies at most twice `small`.
//! Rules: `spec/12-body.md`, QUEUE.

mod action;
mod buffer;
mod config;

use bytes::Bytes;

pub use action::{Action, PullError, PushError, Pushed};
use buffer::Buffer;
pub use config::{Config, ConfigError, Full};

/// How a queue ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End<E> {
    Done,
    Failed(E),
    Cancelled(E),
}

#[derive(Clone, Debug)]
enum State<E> {
    /// Chunks may come.
    Open,
    /// None will. The terminal action follows what waits.
    Ending(End<E>),
    /// It was given; this is why nothing is taken any more.
    Over(PushError),
}

/// Whether the consumer waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    None,
    Waiting,
}

/// What the producer knows about the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// It was not refused.
    Open,
    /// It was, and waits to be told.
    Refused,
    /// It is to be told.
    Due,
}

/// A byte queue. `E` is what the caller's failures are made of.
///
/// ```
/// use bytes::Bytes;
/// use portline::body::queue::{Action, Config, PushError, Pushed, Queue};
///
/// let mut queue: Queue<&str> = Queue::new(Config { bytes: 6, ..Config::default() })?;
/// let Pushed::Part { rest } = queue.push(Bytes::from_static(b"too long"))? else { panic!() };
/// assert_eq!(rest, "ng");
/// assert!(matches!(queue.push(rest.clone()), Err(PushError::Full { .. })));
/// queue.pull()?;
/// assert_eq!(queue.poll_action(), Some(Action::Chunk(Bytes::from_static(b"too lo"))));
/// assert_eq!(queue.poll_action(), Some(Action::Writable));
/// assert_eq!(queue.push(rest)?, Pushed::All);
/// queue.close();
/// queue.pull()?;
/// assert_eq!(queue.poll_action(), Some(Action::Chunk(Bytes::from_static(b"ng"))));
/// assert_eq!(queue.poll_action(), Some(Action::Done));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Queue<E> {
    config: Config,
    buffer: Buffer,
    state: State<E>,
    demand: Demand,
    room: Room,
}

impl<E> Queue<E> {
    /// An empty queue.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which nothing could ever be queued.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            config,
            buffer: Buffer::default(),
            state: State::Open,
            demand: Demand::None,
            room: Room::Open,
        })
    }

    /// The producer has a chunk. An empty one is a chunk as well.
    ///
    /// # Errors
    /// [`PushError`]; nothing was taken and nothing ends.
    pub fn push(&mut self, chunk: Bytes) -> Result<Pushed, PushError> {
        self.push_within(chunk, usize::MAX)
    }

    /// As [`Self::push`], taking no more than `most` bytes.
    pub(super) fn push_within(&mut self, mut chunk: Bytes, most: usize) -> Result<Pushed, PushError> {
        self.open()?;
        let (length, limit) = (chunk.len(), self.config.bytes);
        if self.config.full == Full::Refuse && length > limit {
            return Err(PushError::TooLarge { length, limit });
        }
        let room = self.free_bytes().min(most);
        let taken = match self.config.full {
            _ if !self.buffer.has_place(&self.config, length.min(room)) => None,
            _ if length <= room => Some(length),
            Full::Split if room > 0 => Some(room),
            Full::Split | Full::Refuse => None,
        };
        let Some(taken) = taken else {
            self.room = Room::Refused;
            return Err(PushError::Full { bytes: limit, chunks: self.config.chunks });
        };
        let front = chunk.split_to(taken);
        let direct = self.demand == Demand::Waiting && self.buffer.is_empty();
        self.buffer.push(&self.config, front, direct);
        if chunk.is_empty() {
            return Ok(Pushed::All);
        }
        self.room = Room::Refused;
        Ok(Pushed::Part { rest: chunk })
    }

    /// Whether a chunk of one byte finds a place of its own. A longer one may be cut, or refused ([`Full::Refuse`]); and
    /// where this is `false` for want of places only, a short one may still be joined to the last that waits.
    #[must_use]
    pub fn can_push(&self) -> bool {
        matches!(self.state, State::Open)
            && self.free_bytes() > 0
            && self.buffer.chunks() < self.config.chunks
    }

    /// The producer has no more. No effect after `close`, `error` or `cancel`.
    pub fn close(&mut self) {
        self.end(End::Done);
    }

    /// The producer has failed; the consumer gets what was pushed before. No effect after `close`, `error` or
    /// `cancel`.
    pub fn error(&mut self, error: E) {
        self.end(End::Failed(error));
    }

    /// The consumer wants no more; what waits is dropped. No effect once everything was pulled and the producer has
    /// ended: there is nothing to cancel then.
    pub fn cancel(&mut self, reason: E) {
        let over = match &self.state {
            State::Open => false,
            State::Ending(End::Done | End::Failed(_)) => self.buffer.is_empty(),
            State::Ending(End::Cancelled(_)) | State::Over(_) => true,
        };
        if !over {
            self.buffer.clear();
            self.state = State::Ending(End::Cancelled(reason));
        }
    }

    /// The consumer wants the next chunk: [`Action::Chunk`] or the terminal action is the answer.
    ///
    /// # Errors
    /// [`PullError::Waiting`] while the last pull has no answer, [`PullError::Over`] after the terminal action.
    pub const fn pull(&mut self) -> Result<(), PullError> {
        if let State::Over(_) = self.state {
            return Err(PullError::Over);
        }
        match self.demand {
            Demand::Waiting => Err(PullError::Waiting),
            Demand::None => {
                self.demand = Demand::Waiting;
                Ok(())
            }
        }
    }

    /// What happened.
    pub fn poll_action(&mut self) -> Option<Action<E>> {
        if self.demand == Demand::Waiting {
            if let Some(chunk) = self.buffer.pop() {
                self.demand = Demand::None;
                self.wake();
                return Some(Action::Chunk(chunk));
            }
        }
        if self.is_drained() {
            return self.take_end().map(|end| match end {
                End::Done => Action::Done,
                End::Failed(error) => Action::Failed(error),
                End::Cancelled(reason) => Action::Cancelled(reason),
            });
        }
        self.take_writable().then_some(Action::Writable)
    }

    /// Whether [`Self::poll_action`] has something.
    #[must_use]
    pub fn has_action(&self) -> bool {
        let chunk = self.demand == Demand::Waiting && !self.buffer.is_empty();
        chunk || self.is_drained() || self.is_writable_due()
    }

    /// Whether the queue is over. What is left in [`Self::poll_action`] is still to be taken.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.is_drained() || matches!(self.state, State::Over(_))
    }

    /// Whether a pull has no answer yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.demand == Demand::Waiting
    }

    /// Bytes that wait.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.buffer.bytes()
    }

    /// Chunks that wait.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.buffer.chunks()
    }

    /// Bytes that may still be pushed.
    #[must_use]
    pub const fn free_bytes(&self) -> usize {
        self.config.bytes.saturating_sub(self.buffer.bytes())
    }

    /// What the queue holds: bytes, the room to grow in its own copies, and the bookkeeping. At most
    /// [`Config::memory`]. Buffers that longer chunks keep alive are counted with the length of the chunk.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.buffer.memory()
    }

    /// Whether the producer is to be told of room; it is, by this.
    pub(super) fn take_writable(&mut self) -> bool {
        let due = self.is_writable_due();
        if due {
            self.room = Room::Open;
        }
        due
    }

    /// Takes at most `most` bytes of what waits, without a pull. They stay charged until [`Self::repay`], which comes
    /// before the next.
    pub(super) fn take(&mut self, most: usize) -> Option<Bytes> {
        self.buffer.take(most)
    }

    /// What was taken is out of the way.
    pub(super) fn repay(&mut self) {
        self.buffer.repay();
        self.wake();
    }

    /// How the queue ends, once nothing waits and nothing is lent; it is over then. Once.
    pub(super) fn take_end(&mut self) -> Option<End<E>> {
        if !self.is_drained() {
            return None;
        }
        let over = match &self.state {
            State::Ending(End::Done) => PushError::Closed,
            State::Ending(End::Failed(_)) => PushError::Failed,
            State::Ending(End::Cancelled(_)) => PushError::Cancelled,
            State::Open | State::Over(_) => return None,
        };
        self.demand = Demand::None;
        match core::mem::replace(&mut self.state, State::Over(over)) {
            State::Ending(end) => Some(end),
            State::Open | State::Over(_) => None,
        }
    }

    /// There is room: the producer is to be told, if it was refused.
    pub(super) fn wake(&mut self) {
        if self.room == Room::Refused && self.can_push() {
            self.room = Room::Due;
        }
    }

    fn open(&self) -> Result<(), PushError> {
        match &self.state {
            State::Open => Ok(()),
            State::Ending(End::Done) => Err(PushError::Closed),
            State::Ending(End::Failed(_)) => Err(PushError::Failed),
            State::Ending(End::Cancelled(_)) => Err(PushError::Cancelled),
            State::Over(why) => Err(*why),
        }
    }

    fn end(&mut self, end: End<E>) {
        match self.state {
            State::Open => self.state = State::Ending(end),
            State::Ending(_) | State::Over(_) => {}
        }
    }

    fn is_drained(&self) -> bool {
        matches!(self.state, State::Ending(_)) && self.buffer.is_empty()
    }

    /// It waits again when the room was taken before the producer was told of it.
    fn is_writable_due(&self) -> bool {
        self.room == Room::Due && self.can_push()
    }
}
