//! Reading a multipart/form-data body, in any split, without ever holding it.
//!
//! ```text
//!                 ┌────────────────────────── next part ◄──────────────────────────┐
//! Preamble ──boundary──► Boundary ──CRLF──► Headers ──blank line──► Data ──boundary──► Boundary
//!                            └──── "--" ──► Epilogue ──closed──► Ended
//! any of them ── malformed, beyond a limit, closed too early ──► Failing ──► Ended
//!
//! state        input                          output
//! Preamble     bytes                          none: they are counted and dropped
//! Headers      the blank line                 Part
//! Data         bytes                          Data, as slices of the input
//! Boundary     the end of the line, or "--"   PartEnd, for the part before it
//! Epilogue     bytes                          none: they are counted and dropped
//!              closed                         Finished
//! ```
//!
//! Input is looked at when actions are polled, so a driver that does not poll holds the peer back: `wants_input` is
//! false until what was given has been handed on. Each byte is compared a bounded number of times, however the input
//! is split and whatever is in it: a boundary's line begins with a CR and has no other, so no match overlaps another.
//! Of a boundary that the input stops in, only its length is kept: its bytes are known. What a parser holds besides
//! the input that waits is the boundary and the headers that are not complete ([`Parser::retained`]).
//!
//! Limits: all of [`Config`]. Rules: `spec/14-multipart.md`.

mod config;
mod error;
mod part;

use alloc::vec::Vec;
use core::mem;

use bytes::{Buf, Bytes};

pub use config::Config;
pub use error::{Error, Place};
pub use part::Part;

use super::boundary::LINE_END;
use super::seek::{Begun, Sought, seek};
use crate::body::input::{Input, Overrun};
use crate::time::Instant;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A part begins.
    Part(Part),
    /// Bytes of the part's data, at least one.
    Data(Bytes),
    /// The part is complete.
    PartEnd,
    /// The body is complete.
    Finished,
    /// The body cannot be read. A part that has begun is not complete.
    Failed(Error),
}

/// Where the input is.
#[derive(Debug)]
enum State {
    /// In front of the first boundary: so many bytes were dropped.
    Preamble { begun: Begun, dropped: usize },
    /// Behind a boundary, on its line.
    Boundary { after: Before, line: Line },
    /// In a part's headers. Here they are put together if they come in pieces.
    Headers { gathered: Vec<u8> },
    /// In a part's data: so many more bytes are allowed.
    Data { begun: Begun, left: u64 },
    /// Behind the last boundary: so many bytes were dropped.
    Epilogue { dropped: usize },
    /// The terminal action is still to be handed out.
    Failing(Error),
    /// It has been.
    Ended(Result<(), Error>),
}

/// What a boundary's line ends.
#[derive(Clone, Copy, Debug)]
enum Before {
    Preamble,
    Part,
}

/// How far the line of a boundary has come.
#[derive(Clone, Copy, Debug)]
enum Line {
    /// The boundary.
    Named,
    /// One hyphen behind it.
    Hyphen,
    /// So many blanks behind it.
    Blanks(usize),
    /// A CR.
    Return,
}

/// The incremental parser. See the [module](self) for its states.
///
/// ```
/// use bytes::Bytes;
/// use portline::Instant;
/// use portline::body::multipart::parser::{Action, Config, Parser};
/// use portline::body::multipart::Boundary;
///
/// let boundary = Boundary::of_content_type(b"multipart/form-data; boundary=XX")?;
/// let mut parser = Parser::new(Config::new(boundary), Instant::ZERO);
/// let body = b"--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nvalue\r\n--XX--\r\n";
/// parser.handle_bytes(Instant::ZERO, Bytes::from_static(body))?;
/// let Some(Action::Part(part)) = parser.poll_action() else { panic!() };
/// assert_eq!((part.name(), part.filename()), (&b"a"[..], None));
/// assert_eq!(parser.poll_action(), Some(Action::Data(Bytes::from_static(b"value"))));
/// assert_eq!(parser.poll_action(), Some(Action::PartEnd));
/// assert_eq!(parser.poll_action(), None);
/// parser.handle_closed(Instant::ZERO)?;
/// assert_eq!(parser.poll_action(), Some(Action::Finished));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Parser {
    config: Config,
    state: State,
    input: Input,
    /// Parts that have begun.
    parts: usize,
}

impl Parser {
    /// A parser at the start of a body.
    #[must_use]
    pub const fn new(config: Config, _now: Instant) -> Self {
        let input = Input::new(config.max_body, config.input_bytes);
        Self { config, state: State::Preamble { begun: Begun::LINE, dropped: 0 }, input, parts: 0 }
    }

    /// Takes the next bytes of the body. They are looked at when actions are polled.
    ///
    /// # Errors
    /// [`Error::Overrun`] when more is given than may wait; then and after a failure always the error of the run.
    /// After `handle_closed` and after the end nothing is taken any more.
    #[inline]
    pub fn handle_bytes(&mut self, _now: Instant, bytes: Bytes) -> Result<(), Error> {
        match &self.state {
            State::Failing(error) | State::Ended(Err(error)) => return Err(error.clone()),
            State::Ended(Ok(())) => return Ok(()),
            State::Preamble { .. }
            | State::Boundary { .. }
            | State::Headers { .. }
            | State::Data { .. }
            | State::Epilogue { .. } => {}
        }
        self.input.push(bytes).map_err(|Overrun| {
            let error = Error::Overrun { limit: self.config.input_bytes };
            self.input.discard();
            self.state = State::Failing(error.clone());
            error
        })
    }

    /// The body has ended: where the transport says so, by its length or by its last chunk. What was given before is
    /// still read.
    ///
    /// # Errors
    /// The error of the run, if it has failed. That the body ended too early is told by the terminal action.
    pub fn handle_closed(&mut self, _now: Instant) -> Result<(), Error> {
        self.input.close();
        match &self.state {
            State::Failing(error) | State::Ended(Err(error)) => Err(error.clone()),
            State::Preamble { .. }
            | State::Boundary { .. }
            | State::Headers { .. }
            | State::Data { .. }
            | State::Epilogue { .. }
            | State::Ended(Ok(())) => Ok(()),
        }
    }

    /// The next thing that happened.
    #[inline]
    pub fn poll_action(&mut self) -> Option<Action> {
        if let Some(data) = self.plain() {
            return Some(Action::Data(data));
        }
        // Half of all calls: everything was said, and more may come.
        if self.input.is_empty() && self.input.is_open() && self.is_running() {
            return None;
        }
        self.read()
    }

    /// Whether more input is of use now: everything given has been handed on, and the body goes on.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.is_running() && self.input.wants_more()
    }

    const fn is_running(&self) -> bool {
        !matches!(self.state, State::Failing(_) | State::Ended(_))
    }

    /// Whether the terminal action has been handed out.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// Whether the last boundary has been read: nothing of interest follows. A driver that does not know where the
    /// body ends may stop here, and call `handle_closed`.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        matches!(self.state, State::Epilogue { .. } | State::Ended(Ok(())))
    }

    /// Bytes that the parser holds on the heap besides input that was given and not yet handed on: the boundary, and
    /// headers that are not complete. At most [`Config::max_header_bytes`] and the boundary with its line's start.
    #[must_use]
    pub fn retained(&self) -> usize {
        let gathered = match &self.state {
            State::Headers { gathered } => gathered.capacity(),
            State::Preamble { .. }
            | State::Boundary { .. }
            | State::Data { .. }
            | State::Epilogue { .. }
            | State::Failing(_)
            | State::Ended(_) => 0,
        };
        gathered.saturating_add(self.config.boundary.delimiter().len())
    }

    /// What is to be said when all input is read.
    #[inline(never)]
    fn without_input(&mut self) -> Option<Action> {
        let result = match &self.state {
            State::Failing(error) => Err(error.clone()),
            State::Ended(_) => return None,
            State::Preamble { .. }
            | State::Boundary { .. }
            | State::Headers { .. }
            | State::Data { .. }
            | State::Epilogue { .. }
                if self.input.is_too_long() =>
            {
                Err(Error::BodyTooLong { limit: self.config.max_body })
            }
            State::Preamble { .. }
            | State::Boundary { .. }
            | State::Headers { .. }
            | State::Data { .. }
            | State::Epilogue { .. }
                if self.input.is_open() =>
            {
                return None;
            }
            State::Preamble { .. } => Err(Error::NoBoundary),
            State::Boundary { .. } => Err(Error::Truncated { place: Place::Boundary }),
            State::Headers { .. } => Err(Error::Truncated { place: Place::Headers }),
            State::Data { .. } => Err(Error::Truncated { place: Place::Data }),
            State::Epilogue { .. } => Ok(()),
        };
        Some(self.end(result))
    }

    /// Reads a short piece in which no line ends: it is data as it came, or a part of a header. So single bytes cost
    /// nothing of what it takes to look for more.
    #[inline]
    fn plain(&mut self) -> Option<Bytes> {
        match &mut self.state {
            State::Data { begun: Begun::NOTHING, left } => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let data = self.input.take_plain(b'\r', most)?;
                *left = left.saturating_sub(u64::try_from(data.len()).unwrap_or(u64::MAX));
                Some(data)
            }
            State::Headers { gathered } => {
                let limit = self.config.max_header_bytes;
                let room = limit.saturating_sub(gathered.len()).saturating_sub(1);
                let piece = self.input.take_plain(b'\n', room)?;
                gather(gathered, &piece, limit);
                None
            }
            State::Data { .. }
            | State::Preamble { .. }
            | State::Boundary { .. }
            | State::Epilogue { .. }
            | State::Failing(_)
            | State::Ended(_) => None,
        }
    }

    /// Reads on, up to the next action.
    #[inline(never)]
    fn read(&mut self) -> Option<Action> {
        while let Some(piece) = self.input.take() {
            match self.step(piece) {
                Ok(None) => {}
                Ok(action) => return action,
                Err(error) => return Some(self.end(Err(error))),
            }
        }
        self.without_input()
    }

    /// Consumes of a piece what it can at once, and may make an action of it.
    fn step(&mut self, piece: Bytes) -> Result<Option<Action>, Error> {
        match &mut self.state {
            State::Data { .. } => Ok(self.data(piece).map(Action::Data)),
            State::Headers { .. } => self.headers(piece),
            State::Boundary { after, line } => {
                let (after, line) = (*after, *line);
                self.boundary_line(piece, after, line)
            }
            State::Preamble { .. } => self.preamble(piece),
            State::Epilogue { dropped } => {
                *dropped = dropped.saturating_add(piece.len());
                let limit = self.config.max_epilogue;
                if *dropped > limit { Err(Error::EpilogueTooLong { limit }) } else { Ok(None) }
            }
            // What is left after the end is dropped.
            State::Failing(_) | State::Ended(_) => Ok(None),
        }
    }

    fn preamble(&mut self, piece: Bytes) -> Result<Option<Action>, Error> {
        let State::Preamble { begun, dropped } = &mut self.state else { return Ok(None) };
        let Sought { data, is_last, rest } = seek(&self.config.boundary, piece, begun);
        *dropped = dropped.saturating_add(data.len());
        let limit = self.config.max_preamble;
        if *dropped > limit {
            return Err(Error::PreambleTooLong { limit });
        }
        if is_last {
            self.state = State::Boundary { after: Before::Preamble, line: Line::Named };
        }
        self.input.put_back(rest);
        Ok(None)
    }

    /// Reads on in data; what of the piece is data for certain.
    fn data(&mut self, piece: Bytes) -> Option<Bytes> {
        let State::Data { begun, left } = &mut self.state else { return None };
        let Sought { mut data, is_last, rest } = seek(&self.config.boundary, piece, begun);
        match left.checked_sub(u64::try_from(data.len()).unwrap_or(u64::MAX)) {
            Some(less) => {
                *left = less;
                if is_last {
                    self.state = State::Boundary { after: Before::Part, line: Line::Named };
                }
                self.input.put_back(rest);
            }
            None => {
                data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                self.state = State::Failing(Error::PartTooLong { limit: self.config.max_part });
            }
        }
        (!data.is_empty()).then_some(data)
    }

    fn boundary_line(
        &mut self,
        mut piece: Bytes,
        after: Before,
        mut line: Line,
    ) -> Result<Option<Action>, Error> {
        while let Some(byte) = piece.first().copied() {
            piece.advance(1);
            line = match (line, byte) {
                (Line::Named, b'-') => Line::Hyphen,
                (Line::Named, b' ' | b'\t') => self.blanks(1)?,
                (Line::Blanks(count), b' ' | b'\t') => self.blanks(count.saturating_add(1))?,
                (Line::Named | Line::Blanks(_), b'\r') => Line::Return,
                (Line::Hyphen, b'-') => {
                    self.state = State::Epilogue { dropped: 0 };
                    self.input.put_back(Some(piece));
                    return Ok(after.end());
                }
                (Line::Return, b'\n') => {
                    self.next_part();
                    self.input.put_back(Some(piece));
                    return Ok(after.end());
                }
                (Line::Named | Line::Hyphen | Line::Blanks(_) | Line::Return, found) => {
                    return Err(Error::AfterBoundary { found });
                }
            };
        }
        self.state = State::Boundary { after, line };
        Ok(None)
    }

    const fn blanks(&self, count: usize) -> Result<Line, Error> {
        let limit = self.config.max_header_bytes;
        if count > limit { Err(Error::HeadersTooLong { limit }) } else { Ok(Line::Blanks(count)) }
    }

    fn next_part(&mut self) {
        self.state = match self.parts.checked_add(1).filter(|parts| *parts <= self.config.max_parts) {
            Some(parts) => {
                self.parts = parts;
                State::Headers { gathered: Vec::new() }
            }
            None => State::Failing(Error::TooManyParts { limit: self.config.max_parts }),
        };
    }

    fn headers(&mut self, mut piece: Bytes) -> Result<Option<Action>, Error> {
        let State::Headers { gathered } = &mut self.state else { return Ok(None) };
        let limit = self.config.max_header_bytes;
        let block = if gathered.is_empty() {
            let window = piece.get(..limit).unwrap_or(&piece);
            match block_end(window, 0) {
                Some(end) => piece.split_to(end),
                None if window.len() == limit => return Err(Error::HeadersTooLong { limit }),
                None => {
                    gather(gathered, &piece, limit);
                    return Ok(None);
                }
            }
        } else {
            let before = gathered.len();
            let room = limit.saturating_sub(before);
            gather(gathered, piece.get(..room).unwrap_or(&piece), limit);
            let Some(end) = block_end(gathered, before) else {
                let is_full = gathered.len() >= limit;
                return if is_full { Err(Error::HeadersTooLong { limit }) } else { Ok(None) };
            };
            piece.advance(end.saturating_sub(before).min(piece.len()));
            gathered.truncate(end);
            Bytes::from(mem::take(gathered))
        };
        self.input.put_back(Some(piece));
        let headers = block.slice(..block.len().saturating_sub(2));
        let part = Part::parse(headers, &self.config)?;
        self.state = State::Data { begun: Begun::LINE, left: self.config.max_part };
        Ok(Some(Action::Part(part)))
    }

    /// Ends the run with its terminal action.
    fn end(&mut self, result: Result<(), Error>) -> Action {
        self.input.discard();
        self.state = State::Ended(result.clone());
        match result {
            Ok(()) => Action::Finished,
            Err(error) => Action::Failed(error),
        }
    }
}

impl Before {
    /// The action for what the boundary ends.
    const fn end(self) -> Option<Action> {
        match self {
            Self::Preamble => None,
            Self::Part => Some(Action::PartEnd),
        }
    }
}

/// Where the block of headers ends, its blank line included. All that is new begins at `from`.
fn block_end(block: &[u8], from: usize) -> Option<usize> {
    if block.starts_with(b"\r\n") {
        return Some(LINE_END);
    }
    // The end of a line that a blank one follows: the last byte of that is new, the line's own end may have come before.
    let start = from.saturating_sub(LINE_END);
    let ends = memchr::memchr_iter(b'\n', block.get(start..)?);
    let behind = ends.map(|at| start.saturating_add(at).saturating_add(1)).find(|behind| {
        let around = behind.saturating_sub(LINE_END)..behind.saturating_add(LINE_END);
        block.get(around).is_some_and(|around| around == b"\r\n\r\n")
    })?;
    Some(behind.saturating_add(LINE_END))
}

/// Appends `piece`, and lets the buffer grow twofold but never above `limit`.
#[inline(never)]
fn gather(gathered: &mut Vec<u8>, piece: &[u8], limit: usize) {
    if piece.len() > gathered.capacity().saturating_sub(gathered.len()) {
        grow(gathered, piece.len(), limit);
    }
    gathered.extend_from_slice(piece);
}

#[cold]
fn grow(gathered: &mut Vec<u8>, more: usize, limit: usize) {
    let wanted = gathered.len().saturating_add(more);
    let capacity = wanted.max(gathered.capacity().saturating_mul(2)).min(limit.max(wanted));
    gathered.reserve_exact(capacity.saturating_sub(gathered.len()));
}
