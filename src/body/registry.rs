//! The registry: queues by number.
//!
//! ```text
//!  create ─► 1, 2, 3 … ─► push, pull, close, error, cancel (as on a Queue) ─► its terminal action
//!                      └─ delete, clear ─► Deleted, if it had none ─► (none)
//! ```
//!
//! | input | what happens |
//! |---|---|
//! | `push`, `pull`, `close`, `error`, `cancel` | what the [`Queue`] does, with the number of the stream |
//! | `delete` | what waits is dropped; `Deleted`, unless the stream had its terminal action |
//! | `clear` | the same for every stream |
//! | room in all streams together | `Writable` for each that was refused for that |
//!
//! A number is never given twice, so a number that is kept too long names nothing and cannot reach another stream.
//! A stream keeps its place until it is deleted and its terminal action is taken, so nobody makes and drops streams
//! faster than the driver takes notice.
//!
//! Limits: [`Config::max_streams`], [`Config::max_bytes`], and those of each queue. A call costs the logarithm of the
//! number of streams; making room after streams were refused for the bytes of all costs one step for each of those,
//! and at most two for each of [`Config::max_streams`].
//! Rules: `spec/12-body.md`, REGISTRY.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use bytes::Bytes;

use super::queue::{self, ConfigError, PullError, Pushed, Queue};
use crate::limits;

/// The configuration of a [`Registry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Each stream's queue.
    pub queue: queue::Config,
    /// Streams at once, those included that are deleted and whose terminal action was not taken.
    pub max_streams: usize,
    /// Bytes that may wait in all streams together.
    pub max_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            queue: queue::Config::default(),
            max_streams: limits::BODY_STREAMS,
            max_bytes: limits::BODY_TOTAL,
        }
    }
}

/// What happened, and to which stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action<E> {
    /// The stream.
    pub stream: u64,
    /// What happened to it.
    pub event: Event<E>,
}

/// What happened to a stream. All but the first two are terminal: one of them comes, once, and nothing after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<E> {
    /// The chunk that was pulled.
    Chunk(Bytes),
    /// There is room again, after a push was cut or refused.
    Writable,
    /// Everything was pulled, and the producer had closed.
    Done,
    /// Everything was pulled, and the producer had failed.
    Failed(E),
    /// The consumer wanted no more.
    Cancelled(E),
    /// The stream was deleted before it had ended.
    Deleted,
}

/// Why there is no new stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// There are enough.
    #[error("there are {limit} streams already")]
    TooMany {
        /// [`Config::max_streams`].
        limit: usize,
    },
    /// No number is left.
    #[error("every number was given")]
    Exhausted,
}

/// Why a verb did nothing. It ends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// There is no stream of this number: it was never made, or it was deleted.
    #[error("there is no stream {stream}")]
    Missing {
        /// The number.
        stream: u64,
    },
    /// The stream's queue does not take the chunk.
    #[error(transparent)]
    Push(#[from] queue::PushError),
    /// The stream's queue does not take the pull.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// Enough waits in all streams together; [`Event::Writable`] tells when there is room again.
    #[error("{limit} bytes wait in all streams together")]
    TotalFull {
        /// [`Config::max_bytes`].
        limit: usize,
    },
}

#[derive(Clone, Debug)]
enum Entry<E> {
    Live(Queue<E>),
    /// Its terminal action waits.
    Deleted,
}

/// Queues by number. `E` is what the caller's failures are made of.
///
/// ```
/// use bytes::Bytes;
/// use portline::body::queue::Pushed;
/// use portline::body::registry::{Action, Config, Event, Misuse, Registry};
///
/// let mut registry: Registry<&str> = Registry::new(Config::default())?;
/// let stream = registry.create()?;
/// registry.pull(stream)?; // the consumer waits
/// assert_eq!(registry.push(stream, Bytes::from_static(b"chunk"))?, Pushed::All);
/// let event = Event::Chunk(Bytes::from_static(b"chunk"));
/// assert_eq!(registry.poll_action(), Some(Action { stream, event }));
/// registry.delete(stream)?;
/// assert_eq!(registry.poll_action(), Some(Action { stream, event: Event::Deleted }));
/// assert_eq!(registry.pull(stream), Err(Misuse::Missing { stream }));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Registry<E> {
    config: Config,
    entries: BTreeMap<u64, Entry<E>>,
    /// The number that was given last.
    last: u64,
    /// Bytes in all queues.
    bytes: usize,
    /// Streams that may have something to tell.
    ready: Line,
    /// Streams that were cut or refused for the bytes of all.
    starved: Line,
}

/// Streams in the order in which they get their turn, each once.
#[derive(Clone, Debug, Default)]
struct Line {
    order: VecDeque<u64>,
    members: BTreeSet<u64>,
}

impl Line {
    fn join(&mut self, stream: u64) {
        if self.members.insert(stream) {
            self.order.push_back(stream);
        }
    }

    fn next(&mut self) -> Option<u64> {
        let stream = self.order.pop_front()?;
        self.members.remove(&stream);
        Some(stream)
    }
}

impl<E> Registry<E> {
    /// A registry without streams.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which nothing could ever be queued.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.queue.check()?;
        for (field, value) in [("max_streams", config.max_streams), ("max_bytes", config.max_bytes)] {
            if value == 0 {
                return Err(ConfigError::Zero { field });
            }
        }
        // What could never fit into all together is refused as what could never fit into one.
        let queue = queue::Config { bytes: config.queue.bytes.min(config.max_bytes), ..config.queue };
        Ok(Self {
            config: Config { queue, ..config },
            entries: BTreeMap::new(),
            last: 0,
            bytes: 0,
            ready: Line::default(),
            starved: Line::default(),
        })
    }

    /// A new stream; its number.
    ///
    /// # Errors
    /// [`CreateError`] when there are enough streams.
    pub fn create(&mut self) -> Result<u64, CreateError> {
        let limit = self.config.max_streams;
        if self.entries.len() >= limit {
            return Err(CreateError::TooMany { limit });
        }
        let stream = self.last.checked_add(1).ok_or(CreateError::Exhausted)?;
        // The configuration was checked when the registry was made.
        let queue = Queue::new(self.config.queue).map_err(|_| CreateError::Exhausted)?;
        self.last = stream;
        self.entries.insert(stream, Entry::Live(queue));
        Ok(stream)
    }

    /// The producer of a stream has a chunk.
    ///
    /// # Errors
    /// [`Misuse`]; nothing was taken and nothing ends.
    pub fn push(&mut self, stream: u64, chunk: Bytes) -> Result<Pushed, Misuse> {
        let limit = self.config.max_bytes;
        let left = limit.saturating_sub(self.bytes);
        let whole = self.config.queue.full == queue::Full::Refuse;
        let queue = Self::find(&mut self.entries, stream)?;
        let (before, length, free) = (queue.bytes(), chunk.len(), queue.free_bytes());
        // Whether the queue alone would take more.
        let starved = left < length.min(free) && !(whole && length > free);
        let pushed = queue.push_within(chunk, left);
        self.bytes = self.bytes.saturating_add(queue.bytes().saturating_sub(before));
        self.touch(stream);
        match pushed {
            Err(queue::PushError::Full { .. }) if starved => {
                self.starve(stream);
                Err(Misuse::TotalFull { limit })
            }
            Ok(Pushed::Part { rest }) if starved => {
                self.starve(stream);
                Ok(Pushed::Part { rest })
            }
            other => Ok(other?),
        }
    }

    /// Whether there is such a stream, a byte is free in all together, and its queue says so: [`Queue::can_push`].
    #[must_use]
    pub fn can_push(&self, stream: u64) -> bool {
        let queue = self.queue(stream);
        self.bytes < self.config.max_bytes && queue.is_some_and(Queue::can_push)
    }

    /// The consumer of a stream wants the next chunk: [`Event::Chunk`] or the terminal event is the answer.
    ///
    /// # Errors
    /// [`Misuse`]; nothing ends.
    pub fn pull(&mut self, stream: u64) -> Result<(), Misuse> {
        Self::find(&mut self.entries, stream)?.pull()?;
        self.touch(stream);
        Ok(())
    }

    /// The producer of a stream has no more. No effect after `close`, `error` or `cancel`.
    ///
    /// # Errors
    /// [`Misuse::Missing`].
    pub fn close(&mut self, stream: u64) -> Result<(), Misuse> {
        self.end(stream, Queue::close)
    }

    /// The producer of a stream has failed; the consumer gets what was pushed before. No effect after `close`,
    /// `error` or `cancel`.
    ///
    /// # Errors
    /// [`Misuse::Missing`].
    pub fn error(&mut self, stream: u64, error: E) -> Result<(), Misuse> {
        self.end(stream, |queue| queue.error(error))
    }

    /// The consumer of a stream wants no more; what waits is dropped. No effect once the stream is over.
    ///
    /// # Errors
    /// [`Misuse::Missing`].
    pub fn cancel(&mut self, stream: u64, reason: E) -> Result<(), Misuse> {
        self.end(stream, |queue| queue.cancel(reason))
    }

    /// Drops a stream. Its number names nothing from now on. A pull that waits, and whoever else listens, gets
    /// [`Event::Deleted`], unless the stream had its terminal event.
    ///
    /// # Errors
    /// [`Misuse::Missing`].
    pub fn delete(&mut self, stream: u64) -> Result<(), Misuse> {
        let queue = Self::find(&mut self.entries, stream)?;
        let (bytes, over) = (queue.bytes(), queue.has_ended() && !queue.has_action());
        if over {
            self.entries.remove(&stream);
        } else {
            self.entries.insert(stream, Entry::Deleted);
            self.touch(stream);
        }
        self.freed(bytes);
        Ok(())
    }

    /// Drops every stream, as [`Self::delete`] does.
    pub fn clear(&mut self) {
        let streams: Vec<u64> = self.entries.keys().copied().collect();
        for stream in streams {
            // Those that were deleted before are missing, and have their event waiting.
            self.delete(stream).unwrap_or_default();
        }
    }

    /// What happened. Streams take turns.
    pub fn poll_action(&mut self) -> Option<Action<E>> {
        loop {
            let stream = self.ready.next()?;
            let event = match self.entries.get_mut(&stream) {
                None => continue,
                Some(Entry::Deleted) => {
                    self.entries.remove(&stream);
                    Event::Deleted
                }
                Some(Entry::Live(queue)) => {
                    let before = queue.bytes();
                    let Some(action) = queue.poll_action() else { continue };
                    let freed = before.saturating_sub(queue.bytes());
                    self.freed(freed);
                    self.touch(stream);
                    match action {
                        queue::Action::Chunk(chunk) => Event::Chunk(chunk),
                        queue::Action::Writable => Event::Writable,
                        queue::Action::Done => Event::Done,
                        queue::Action::Failed(error) => Event::Failed(error),
                        queue::Action::Cancelled(reason) => Event::Cancelled(reason),
                    }
                }
            };
            return Some(Action { stream, event });
        }
    }

    /// Streams, those included that are deleted and whose terminal event was not taken.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.entries.len()
    }

    /// Bytes that wait in all streams together.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// A stream's queue, to look at.
    #[must_use]
    pub fn queue(&self, stream: u64) -> Option<&Queue<E>> {
        match self.entries.get(&stream) {
            Some(Entry::Live(queue)) => Some(queue),
            Some(Entry::Deleted) | None => None,
        }
    }

    fn find(entries: &mut BTreeMap<u64, Entry<E>>, stream: u64) -> Result<&mut Queue<E>, Misuse> {
        match entries.get_mut(&stream) {
            Some(Entry::Live(queue)) => Ok(queue),
            Some(Entry::Deleted) | None => Err(Misuse::Missing { stream }),
        }
    }

    fn end(&mut self, stream: u64, end: impl FnOnce(&mut Queue<E>)) -> Result<(), Misuse> {
        let queue = Self::find(&mut self.entries, stream)?;
        let before = queue.bytes();
        end(queue);
        let freed = before.saturating_sub(queue.bytes());
        self.freed(freed);
        self.touch(stream);
        Ok(())
    }

    /// A stream was cut or refused for the bytes of all. Those that were deleted since are forgotten now and then, so that
    /// streams that come and go while nothing makes room leave nothing behind.
    fn starve(&mut self, stream: u64) {
        if self.starved.order.len() >= self.config.max_streams.saturating_mul(2) {
            for stream in core::mem::take(&mut self.starved).order {
                if self.queue(stream).is_some() {
                    self.starved.join(stream);
                }
            }
        }
        self.starved.join(stream);
    }

    /// Bytes left a queue: those who were refused for want of them are told.
    fn freed(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        if bytes == 0 {
            return;
        }
        for stream in core::mem::take(&mut self.starved).order {
            if let Some(Entry::Live(queue)) = self.entries.get_mut(&stream) {
                queue.wake();
                self.touch(stream);
            }
        }
    }

    fn touch(&mut self, stream: u64) {
        let has_event = match self.entries.get(&stream) {
            Some(Entry::Live(queue)) => queue.has_action(),
            Some(Entry::Deleted) => true,
            None => false,
        };
        if has_event {
            self.ready.join(stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// REGISTRY-6, T6: nobody has to make room for this to end.
    #[test]
    fn streams_that_are_refused_and_deleted_leave_nothing_behind() {
        let mut registry: Registry<()> =
            Registry::new(Config { max_streams: 5, max_bytes: 1, ..Config::default() }).unwrap();
        let [holder, waiter] = [(); 2].map(|()| registry.create().unwrap());
        let byte = || Bytes::from_static(b"x");
        assert_eq!(registry.push(holder, byte()), Ok(Pushed::All));
        assert_eq!(registry.push(waiter, byte()), Err(Misuse::TotalFull { limit: 1 }));
        let mut longest = 0;
        for _ in 0..1000 {
            let stream = registry.create().unwrap();
            assert_eq!(registry.push(stream, byte()), Err(Misuse::TotalFull { limit: 1 }));
            registry.delete(stream).unwrap();
            assert_eq!(registry.poll_action(), Some(Action { stream, event: Event::Deleted }));
            assert!(registry.starved.order.len() <= 10 && registry.starved.members.len() <= 10);
            longest = longest.max(registry.starved.order.len());
        }
        assert_eq!(longest, 10, "tidied now and then: each time would cost a step for each stream");
        registry.delete(holder).unwrap();
        assert_eq!(registry.poll_action(), Some(Action { stream: holder, event: Event::Deleted }));
        let told = registry.poll_action();
        assert_eq!(told, Some(Action { stream: waiter, event: Event::Writable }), "it kept its turn");
    }
}
