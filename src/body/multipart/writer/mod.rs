//! Writing a multipart/form-data body, part by part, without ever holding it.
//!
//! ```text
//! Between ──part──► Part ──part──► Part …            write: data of the part, as it is
//!    └───────finish───┴──► Closing ──drained──► Ended, Finished
//! any of them ──abort──► Ended, Failed
//!
//! verb              output
//! part(head)        the boundary's line and the part's headers
//! write(data)       the data, not copied
//! finish            the last boundary
//! ```
//!
//! The data may not contain the boundary: it is searched on its way, as fast as it is read, and refused before the
//! byte that would complete one leaves. With a boundary from a seed that nobody knows that happens to nobody.
//!
//! [`content_length`] tells the body's length before it is written, when the lengths of all parts are known; then
//! [`Config::content_length`] holds the writer to it.
//!
//! Limits: [`Config::output_bytes`] wait, overhead included; above that `can_write` is false. Rules: MULTIPART-24 and
//! after.

mod head;

use alloc::collections::VecDeque;

use bytes::Bytes;

pub use head::{Head, HeadError};

use super::boundary::{Boundary, LINE_END};
use super::seek::Begun;
use crate::body::input::cost;
use crate::error::Blame;
use crate::limits;
use crate::time::Instant;
use crate::transmit::Transmit;

/// The configuration of a [`Writer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The boundary; [`Boundary::from_seed`] makes one.
    pub boundary: Boundary,
    /// The body's length, where it was announced: the writer then refuses to come to any other.
    pub content_length: Option<u64>,
    /// Bytes that wait, overhead included, from which on no more is taken.
    pub output_bytes: usize,
}

impl Config {
    /// The defaults, with a boundary.
    #[must_use]
    pub const fn new(boundary: Boundary) -> Self {
        Self { boundary, content_length: None, output_bytes: limits::FORM_OUTPUT }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The whole body was handed out.
    Finished,
    /// The body is not complete: let the receiver see that.
    Failed(Error),
}

/// What ended a writer badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `abort` was called.
    #[error("the body was given up")]
    Aborted,
}

impl Error {
    /// Whose fault this is: the caller's.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Aborted => Blame::Caller,
        }
    }
}

/// Why a verb did nothing. The caller's fault; it ends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Enough is waiting; go on when `can_write` is true.
    #[error("{limit} bytes are waiting already")]
    Full {
        /// [`Config::output_bytes`].
        limit: usize,
    },
    /// Data before the first part.
    #[error("there is no part that the data could be of")]
    NoPart,
    /// More data than the part was to have.
    #[error("{length} more bytes, but the part lacks only {left}")]
    PartTooLong {
        /// Bytes of the data.
        length: usize,
        /// Bytes that the part still lacks.
        left: u64,
    },
    /// The part is to have more data.
    #[error("the part lacks {missing} bytes")]
    PartTooShort {
        /// Bytes that the part still lacks.
        missing: u64,
    },
    /// With this data the boundary would stand in the part. Nothing of it was taken; begin again with another boundary.
    #[error("the boundary stands in the data")]
    BoundaryInData,
    /// The body would not come to the length that was announced.
    #[error("the body would have {length} bytes or more, but {announced} were announced")]
    Length {
        /// What it would have at least.
        length: u64,
        /// [`Config::content_length`].
        announced: u64,
    },
    /// The part cannot have such headers.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The body was finished or given up.
    #[error("the body is over")]
    Over,
}

/// Where the body is.
#[derive(Debug)]
enum State {
    /// Before the first part.
    Between,
    /// In a part: so many bytes are missing if that is known, and this of the delimiter ends the data.
    Part { left: Option<u64>, begun: Begun },
    /// Everything is said; some of it waits.
    Closing,
    /// Given up; the terminal action is still to be handed out.
    Failing(Error),
    /// The terminal action has been handed out.
    Ended,
}

/// Writes a body. See the [module](self) for its states.
///
/// ```
/// use bytes::Bytes;
/// use portline::Instant;
/// use portline::body::multipart::{Boundary, Writer};
/// use portline::body::multipart::writer::{Action, Config, Head};
///
/// let now = Instant::ZERO;
/// let mut writer = Writer::new(Config::new(Boundary::new(b"XX")?), now);
/// writer.part(now, &Head::field("a"))?;
/// writer.write(now, Bytes::from_static(b"value"))?;
/// writer.finish(now)?;
/// let mut body = Vec::new();
/// while let Some(transmit) = writer.poll_transmit() {
///     body.extend_from_slice(&transmit.into_bytes());
/// }
/// assert_eq!(body, b"--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nvalue\r\n--XX--\r\n");
/// assert_eq!(writer.poll_action(), Some(Action::Finished));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Writer {
    config: Config,
    state: State,
    output: VecDeque<Bytes>,
    /// Bytes in `output`, overhead included.
    waiting: usize,
    /// Bytes of the body so far.
    length: u64,
}

impl Writer {
    /// A writer at the start of a body.
    #[must_use]
    pub const fn new(config: Config, _now: Instant) -> Self {
        Self { config, state: State::Between, output: VecDeque::new(), waiting: 0, length: 0 }
    }

    /// The value of the `Content-Type` header for this body.
    #[must_use]
    pub fn content_type(&self) -> Bytes {
        self.config.boundary.content_type()
    }

    /// Ends the part before, and begins the next.
    ///
    /// # Errors
    /// As [`WriteError`] says; then nothing has changed.
    pub fn part(&mut self, _now: Instant, head: &Head) -> Result<(), WriteError> {
        let is_first = self.part_ends()?;
        self.has_room()?;
        let block = head.block(&self.config.boundary, is_first)?;
        let least = size(block.len()).saturating_add(head.length.unwrap_or(0));
        self.stays_within(least.saturating_add(closing_length(&self.config.boundary, false)))?;
        self.put(block);
        self.state = State::Part { left: head.length, begun: Begun::LINE };
        Ok(())
    }

    /// Data of the part, in pieces of any size. It is not copied.
    ///
    /// # Errors
    /// As [`WriteError`] says; then nothing of it was taken.
    pub fn write(&mut self, _now: Instant, data: Bytes) -> Result<(), WriteError> {
        let State::Part { left, begun } = &self.state else {
            return Err(match self.state {
                State::Between => WriteError::NoPart,
                State::Part { .. } | State::Closing | State::Failing(_) | State::Ended => WriteError::Over,
            });
        };
        let length = data.len();
        let rest = match left {
            None => None,
            Some(left) => {
                Some(left.checked_sub(size(length)).ok_or(WriteError::PartTooLong { length, left: *left })?)
            }
        };
        if data.is_empty() {
            return Ok(());
        }
        let begun = *begun;
        self.has_room()?;
        // What a part of a known length comes to was looked at when it began.
        let least = size(length).saturating_add(closing_length(&self.config.boundary, false));
        self.stays_within(least)?;
        let begun = begun.after(&self.config.boundary, &data).ok_or(WriteError::BoundaryInData)?;
        self.state = State::Part { left: rest, begun };
        self.put(data);
        Ok(())
    }

    /// Ends the last part and the body.
    ///
    /// # Errors
    /// As [`WriteError`] says; then nothing has changed.
    pub fn finish(&mut self, _now: Instant) -> Result<(), WriteError> {
        let is_first = self.part_ends()?;
        let length = self.length.saturating_add(closing_length(&self.config.boundary, is_first));
        if let Some(announced) = self.config.content_length.filter(|announced| *announced != length) {
            return Err(WriteError::Length { length, announced });
        }
        let delimiter = self.config.boundary.delimiter();
        self.put(delimiter.slice(if is_first { LINE_END } else { 0 }..));
        self.put(Bytes::from_static(b"--\r\n"));
        self.state = State::Closing;
        Ok(())
    }

    /// Gives the body up: what waits is dropped. Does nothing when the body is complete.
    pub fn abort(&mut self, _now: Instant) {
        match self.state {
            State::Between | State::Part { .. } => {
                self.output.clear();
                self.waiting = 0;
                self.state = State::Failing(Error::Aborted);
            }
            State::Closing | State::Failing(_) | State::Ended => {}
        }
    }

    /// Whether there is room for a part or for data. While it is false both are refused: drain `poll_transmit`.
    #[must_use]
    pub fn can_write(&self) -> bool {
        matches!(self.state, State::Between | State::Part { .. }) && self.has_room().is_ok()
    }

    /// The next bytes to send. A part's data comes as it was given.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let bytes = self.output.pop_front()?;
        self.waiting = self.waiting.saturating_sub(cost(&bytes));
        Some(Transmit::new(bytes))
    }

    /// What happened: the end, once.
    pub fn poll_action(&mut self) -> Option<Action> {
        let action = match self.state {
            State::Closing if self.output.is_empty() => Action::Finished,
            State::Failing(error) => Action::Failed(error),
            State::Between | State::Part { .. } | State::Closing | State::Ended => return None,
        };
        self.state = State::Ended;
        Some(action)
    }

    /// Whether the terminal action has been handed out.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Whether the part in hand may end here; `true` if there is none yet.
    pub(crate) const fn part_ends(&self) -> Result<bool, WriteError> {
        match self.state {
            State::Between => Ok(true),
            State::Part { left: None | Some(0), .. } => Ok(false),
            State::Part { left: Some(missing), .. } => Err(WriteError::PartTooShort { missing }),
            State::Closing | State::Failing(_) | State::Ended => Err(WriteError::Over),
        }
    }

    fn has_room(&self) -> Result<(), WriteError> {
        let limit = self.config.output_bytes;
        if self.waiting < limit || self.output.is_empty() { Ok(()) } else { Err(WriteError::Full { limit }) }
    }

    /// Whether so many more bytes are within what was announced.
    fn stays_within(&self, more: u64) -> Result<(), WriteError> {
        let length = self.length.saturating_add(more);
        match self.config.content_length {
            Some(announced) if length > announced => Err(WriteError::Length { length, announced }),
            Some(_) | None => Ok(()),
        }
    }

    fn put(&mut self, bytes: Bytes) {
        self.length = self.length.saturating_add(size(bytes.len()));
        self.waiting = self.waiting.saturating_add(cost(&bytes));
        self.output.push_back(bytes);
    }
}

/// The length of the body that these parts make, in this order: `None` when the length of one is not known.
///
/// # Errors
/// That of the first part that cannot be written.
pub fn content_length<'a>(
    boundary: &Boundary,
    parts: impl IntoIterator<Item = &'a Head>,
) -> Result<Option<u64>, HeadError> {
    let mut is_first = true;
    let mut total = Some(0_u64);
    for head in parts {
        let block = head.block(boundary, is_first)?;
        total = total
            .zip(head.length)
            .and_then(|(total, length)| total.checked_add(length)?.checked_add(size(block.len())));
        is_first = false;
    }
    Ok(total.and_then(|total| total.checked_add(closing_length(boundary, is_first))))
}

/// The last boundary with its hyphens and line end; without parts it needs no line end in front.
fn closing_length(boundary: &Boundary, is_first: bool) -> u64 {
    let whole = size(boundary.delimiter().len()).saturating_add(4);
    if is_first { whole.saturating_sub(size(LINE_END)) } else { whole }
}

impl Boundary {
    /// Whether a part may have this as its data: the boundary does not stand in it.
    #[must_use]
    pub fn is_outside(&self, data: &[u8]) -> bool {
        Begun::LINE.after(self, data).is_some()
    }
}

fn size(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
