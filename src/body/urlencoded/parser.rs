//! Reading a form of strings.

use alloc::vec::Vec;
use core::mem;

use bytes::{Buf, Bytes};
use memchr::{memchr, memchr2};

use super::hex_pair;
use crate::body::input::{Input, Overrun};
use crate::error::Blame;
use crate::limits;
use crate::time::Instant;

/// How much a peer may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Pairs of the form, empty ones included.
    pub max_pairs: usize,
    /// Bytes of one pair, as they are sent.
    pub max_pair: usize,
    /// Bytes of the whole form.
    pub max_body: u64,
    /// Bytes of input that wait, overhead included, when more than one piece does.
    pub input_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_pairs: limits::FIELDS,
            max_pair: limits::FIELD,
            max_body: limits::FORM_BYTES,
            input_bytes: limits::FORM_INPUT,
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A pair, unescaped: slices of the input where nothing was escaped and it came in one piece.
    Pair {
        /// The name.
        name: Bytes,
        /// The value; empty if there was none.
        value: Bytes,
    },
    /// The form is complete.
    Finished,
    /// The form cannot be read.
    Failed(Error),
}

/// What ended a [`Parser`] badly: every form is well-formed, so these are limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There are more pairs than allowed.
    #[error("more than {limit} fields")]
    TooManyPairs {
        /// [`Config::max_pairs`].
        limit: usize,
    },
    /// A pair is longer than allowed.
    #[error("a field is longer than the limit of {limit} bytes")]
    PairTooLong {
        /// [`Config::max_pair`].
        limit: usize,
    },
    /// The form is longer than allowed.
    #[error("the form is longer than the limit of {limit} bytes")]
    BodyTooLong {
        /// [`Config::max_body`].
        limit: u64,
    },
    /// Input was given although `wants_input` was false.
    #[error("input was given beyond the limit of {limit} bytes that wait")]
    Overrun {
        /// [`Config::input_bytes`].
        limit: usize,
    },
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::TooManyPairs { .. } | Self::PairTooLong { .. } | Self::BodyTooLong { .. } => Blame::Peer,
            Self::Overrun { .. } => Blame::Caller,
        }
    }
}

/// Where the form is.
#[derive(Debug)]
enum State {
    /// In a pair. Here it is put together if it comes in pieces.
    Pair { gathered: Vec<u8> },
    /// The terminal action is still to be handed out.
    Failing(Error),
    /// It has been.
    Ended(Result<(), Error>),
}

/// The incremental parser.
///
/// ```
/// use bytes::Bytes;
/// use portline::Instant;
/// use portline::body::urlencoded::{Action, Config, Parser};
/// let mut parser = Parser::new(Config::default(), Instant::ZERO);
/// parser.handle_bytes(Instant::ZERO, Bytes::from_static(b"a=1+2%263&b"))?;
/// parser.handle_closed(Instant::ZERO)?;
/// let pair = |name, value| Action::Pair { name: Bytes::from_static(name), value: Bytes::from_static(value) };
/// assert_eq!(parser.poll_action(), Some(pair(b"a", b"1 2&3")));
/// assert_eq!(parser.poll_action(), Some(pair(b"b", b"")));
/// assert_eq!(parser.poll_action(), Some(Action::Finished));
/// # Ok::<(), portline::body::urlencoded::Error>(())
/// ```
#[derive(Debug)]
pub struct Parser {
    config: Config,
    state: State,
    input: Input,
    pairs: usize,
}

impl Parser {
    /// A parser at the start of a form.
    #[must_use]
    pub const fn new(config: Config, _now: Instant) -> Self {
        let input = Input::new(config.max_body, config.input_bytes);
        Self { config, state: State::Pair { gathered: Vec::new() }, input, pairs: 0 }
    }

    /// Takes the next bytes of the form. They are looked at when actions are polled.
    ///
    /// # Errors
    /// [`Error::Overrun`] when more is given than may wait; then and after a failure always the error of the run.
    pub fn handle_bytes(&mut self, _now: Instant, bytes: Bytes) -> Result<(), Error> {
        match &self.state {
            State::Failing(error) | State::Ended(Err(error)) => Err(*error),
            State::Ended(Ok(())) => Ok(()),
            State::Pair { .. } => self.input.push(bytes).map_err(|Overrun| {
                let error = Error::Overrun { limit: self.config.input_bytes };
                self.input.discard();
                self.state = State::Failing(error);
                error
            }),
        }
    }

    /// The form has ended. What was given before is still read.
    ///
    /// # Errors
    /// The error of the run, if it has failed.
    pub fn handle_closed(&mut self, _now: Instant) -> Result<(), Error> {
        self.input.close();
        match &self.state {
            State::Failing(error) | State::Ended(Err(error)) => Err(*error),
            State::Pair { .. } | State::Ended(Ok(())) => Ok(()),
        }
    }

    /// The next thing that happened.
    pub fn poll_action(&mut self) -> Option<Action> {
        loop {
            match self.step() {
                Ok(Step::Made(action)) => return Some(action),
                Ok(Step::Skipped) => {}
                Ok(Step::Waits) => return None,
                Ok(Step::Ends) => return Some(self.end(Ok(()))),
                Err(error) => return Some(self.end(Err(error))),
            }
        }
    }

    /// Whether more input is of use now.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        matches!(self.state, State::Pair { .. }) && self.input.wants_more()
    }

    /// Whether the terminal action has been handed out.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    fn step(&mut self) -> Result<Step, Error> {
        let State::Pair { gathered } = &mut self.state else {
            return match &self.state {
                State::Failing(error) => Err(*error),
                State::Pair { .. } | State::Ended(_) => Ok(Step::Waits),
            };
        };
        let limit = self.config.max_pair;
        let Some(mut piece) = self.input.take() else {
            if self.input.is_too_long() {
                return Err(Error::BodyTooLong { limit: self.config.max_body });
            }
            if self.input.is_open() {
                return Ok(Step::Waits);
            }
            if gathered.is_empty() {
                return Ok(Step::Ends);
            }
            let last = mem::take(gathered);
            return self.pair(Bytes::from(last));
        };
        let end = memchr(b'&', &piece);
        let length = end.unwrap_or(piece.len());
        if gathered.len().saturating_add(length) > limit {
            return Err(Error::PairTooLong { limit });
        }
        let mut pair = piece.split_to(length);
        if end.is_some() {
            piece.advance(1);
            self.input.put_back(Some(piece));
        }
        if end.is_none() || !gathered.is_empty() {
            gathered.extend_from_slice(&pair);
        }
        if end.is_none() {
            return Ok(Step::Skipped);
        }
        if !gathered.is_empty() {
            pair = Bytes::from(mem::take(gathered));
        }
        self.pair(pair)
    }

    fn pair(&mut self, mut name: Bytes) -> Result<Step, Error> {
        let limit = self.config.max_pairs;
        self.pairs = self.pairs.saturating_add(1);
        if self.pairs > limit {
            return Err(Error::TooManyPairs { limit });
        }
        if name.is_empty() {
            return Ok(Step::Skipped);
        }
        let value = memchr(b'=', &name).map_or(Bytes::new(), |at| {
            let mut value = name.split_off(at);
            value.advance(1);
            value
        });
        Ok(Step::Made(Action::Pair { name: decoded(name), value: decoded(value) }))
    }

    fn end(&mut self, result: Result<(), Error>) -> Action {
        self.input.discard();
        self.state = State::Ended(result);
        match result {
            Ok(()) => Action::Finished,
            Err(error) => Action::Failed(error),
        }
    }
}

/// What a step did.
enum Step {
    Made(Action),
    /// Input was taken that makes no action.
    Skipped,
    Waits,
    Ends,
}

/// Without escapes. Without any, nothing is copied.
fn decoded(raw: Bytes) -> Bytes {
    let Some(first) = memchr2(b'+', b'%', &raw) else { return raw };
    let mut out = Vec::with_capacity(raw.len());
    let (clean, mut rest) = raw.split_at_checked(first).unwrap_or((&raw, &[]));
    out.extend_from_slice(clean);
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'+' => out.push(b' '),
            b'%' => match behind
                .split_first_chunk::<2>()
                .and_then(|(digits, left)| Some((hex_pair(*digits)?, left)))
            {
                Some((byte, left)) => {
                    out.push(byte);
                    rest = left;
                }
                None => out.push(b'%'),
            },
            _ => out.push(*byte),
        }
    }
    Bytes::from(out)
}
