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

use super::seek::{Begun, seek};
use crate::body::input::{Input, Refused};
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
        self.input.push(bytes).map_err(|refused| {
            let error = self.refused(refused);
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
        loop {
            match self.input.advance() {
                Ok(true) => {}
                Ok(false) => return self.without_input(),
                Err(refused) => return self.beyond(refused),
            }
            match self.step() {
                Ok(None) => {}
                Ok(action) => return action,
                Err(error) => return Some(self.end(Err(error))),
            }
        }
    }

    /// Whether more input is of use now: everything given has been handed on, and the body goes on.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        !matches!(self.state, State::Failing(_) | State::Ended(_)) && self.input.wants_more()
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

    /// What is to be said when more input came than may be read.
    fn beyond(&mut self, refused: Refused) -> Option<Action> {
        let error = match &self.state {
            State::Ended(_) => return None,
            State::Failing(error) => error.clone(),
            State::Preamble { .. }
            | State::Boundary { .. }
            | State::Headers { .. }
            | State::Data { .. }
            | State::Epilogue { .. } => self.refused(refused),
        };
        Some(self.end(Err(error)))
    }

    /// What is to be said when all input is read.
    fn without_input(&mut self) -> Option<Action> {
        let result = match &self.state {
            State::Failing(error) => Err(error.clone()),
            State::Ended(_) => return None,
            State::Preamble { .. }
            | State::Boundary { .. }
            | State::Headers { .. }
            | State::Data { .. }
            | State::Epilogue { .. }
                if !self.input.is_closed() =>
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

    /// Reads on: consumes input, and may make an action of it. There is input.
    #[inline]
    fn step(&mut self) -> Result<Option<Action>, Error> {
        match &mut self.state {
            State::Data { .. } => self.data(),
            State::Boundary { after, line } => {
                let (after, line) = (*after, *line);
                self.boundary_line(after, line)
            }
            State::Headers { .. } => self.headers(),
            State::Preamble { .. } => self.preamble(),
            State::Epilogue { dropped } => {
                *dropped = dropped.saturating_add(self.input.piece.len());
                self.input.piece.clear();
                let limit = self.config.max_epilogue;
                if *dropped > limit { Err(Error::EpilogueTooLong { limit }) } else { Ok(None) }
            }
            State::Failing(error) | State::Ended(Err(error)) => Err(error.clone()),
            State::Ended(Ok(())) => {
                self.input.piece.clear();
                Ok(None)
            }
        }
    }

    fn preamble(&mut self) -> Result<Option<Action>, Error> {
        let State::Preamble { begun, dropped } = &mut self.state else { return Ok(None) };
        let (bytes, is_last) = seek(&self.config.boundary, &mut self.input.piece, begun);
        *dropped = dropped.saturating_add(bytes.len());
        let limit = self.config.max_preamble;
        if *dropped > limit {
            return Err(Error::PreambleTooLong { limit });
        }
        if is_last {
            self.state = State::Boundary { after: Before::Preamble, line: Line::Named };
        }
        Ok(None)
    }

    #[inline]
    fn data(&mut self) -> Result<Option<Action>, Error> {
        let State::Data { begun, left } = &mut self.state else { return Ok(None) };
        let (mut bytes, is_last) = seek(&self.config.boundary, &mut self.input.piece, begun);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match left.checked_sub(length) {
            Some(rest) => *left = rest,
            None => {
                bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                self.state = State::Failing(Error::PartTooLong { limit: self.config.max_part });
                self.input.piece.clear();
            }
        }
        if is_last && matches!(self.state, State::Data { .. }) {
            self.state = State::Boundary { after: Before::Part, line: Line::Named };
        }
        Ok((!bytes.is_empty()).then_some(Action::Data(bytes)))
    }

    fn boundary_line(&mut self, after: Before, mut line: Line) -> Result<Option<Action>, Error> {
        while let Some(byte) = self.input.piece.first().copied() {
            self.input.piece.advance(1);
            line = match (line, byte) {
                (Line::Named, b'-') => Line::Hyphen,
                (Line::Named, b' ' | b'\t') => self.blanks(1)?,
                (Line::Blanks(count), b' ' | b'\t') => self.blanks(count.saturating_add(1))?,
                (Line::Named | Line::Blanks(_), b'\r') => Line::Return,
                (Line::Hyphen, b'-') => {
                    self.state = State::Epilogue { dropped: 0 };
                    return Ok(after.end());
                }
                (Line::Return, b'\n') => {
                    self.next_part();
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

    fn headers(&mut self) -> Result<Option<Action>, Error> {
        let State::Headers { gathered } = &mut self.state else { return Ok(None) };
        let limit = self.config.max_header_bytes;
        let block = if gathered.is_empty() {
            let window = self.input.piece.get(..limit).unwrap_or(&self.input.piece);
            match block_end(window, 0) {
                Some(end) => self.input.piece.split_to(end),
                None if window.len() == limit => return Err(Error::HeadersTooLong { limit }),
                None => {
                    gather(gathered, &self.input.piece, limit);
                    self.input.piece.clear();
                    return Ok(None);
                }
            }
        } else {
            let before = gathered.len();
            let room = limit.saturating_sub(before);
            let piece = self.input.piece.get(..room).unwrap_or(&self.input.piece);
            gather(gathered, piece, limit);
            let Some(end) = block_end(gathered, before) else {
                if gathered.len() >= limit {
                    return Err(Error::HeadersTooLong { limit });
                }
                self.input.piece.clear();
                return Ok(None);
            };
            self.input.piece.advance(end.saturating_sub(before).min(self.input.piece.len()));
            gathered.truncate(end);
            Bytes::from(mem::take(gathered))
        };
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

    const fn refused(&self, refused: Refused) -> Error {
        match refused {
            Refused::Overrun => Error::Overrun { limit: self.config.input_bytes },
            Refused::TooLong => Error::BodyTooLong { limit: self.config.max_body },
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

/// Pieces of headers that are not worth a vector search.
const SHORT: usize = 16;

/// Where the block of headers ends, its blank line included. All that is new begins at `from`.
fn block_end(block: &[u8], from: usize) -> Option<usize> {
    let new = block.get(from..)?;
    // In single bytes, the search's start would be the longer part.
    if new.len() < SHORT && !new.contains(&b'\n') {
        return None;
    }
    memchr::memchr_iter(b'\n', new)
        .map(|at| from.saturating_add(at).saturating_add(1))
        .find(|end| block.get(..*end).is_some_and(|block| block == b"\r\n" || block.ends_with(b"\r\n\r\n")))
}

/// Appends `piece`, and lets the buffer grow twofold but never above `limit`.
fn gather(gathered: &mut Vec<u8>, piece: &[u8], limit: usize) {
    let wanted = gathered.len().saturating_add(piece.len());
    if wanted > gathered.capacity() {
        let capacity = wanted.max(gathered.capacity().saturating_mul(2)).min(limit.max(wanted));
        gathered.reserve_exact(capacity.saturating_sub(gathered.len()));
    }
    gathered.extend_from_slice(piece);
}
