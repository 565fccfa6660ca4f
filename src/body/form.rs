//! Sending a form: strings and files, in the encoding that browsers choose.
//!
//! ```text
//! fields ──► Encoder ── strings only ──► urlencoded ──────────────────────────────► Finished
//!                └───── any file ──────► multipart: SendFile(i) ◄─ write …, file_end ──► Finished
//!                         abort ──► Failed
//! ```
//!
//! Strings are sent as they are given. (Browsers turn each line end in a text field into CR LF before.)
//!
//! Limits: as those of [`multipart::writer::Config`] and of the fields themselves, which the caller made. Rules:
//! FORM-1 and after, in `spec/14-multipart.md`.

use alloc::vec::{self, Vec};
use core::iter::Enumerate;

use bytes::Bytes;

use super::multipart::writer::{Error, Head, HeadError, WriteError};
use super::multipart::{self, Boundary};
use super::urlencoded;
use crate::time::Instant;
use crate::transmit::Transmit;

/// A field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name; several fields may have the same.
    pub name: Bytes,
    /// What is in it.
    pub value: Value,
}

/// What is in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(Bytes),
    /// A file, whose data is given when it is asked for.
    File {
        /// Its name, as it is to be told.
        filename: Bytes,
        /// Its content type; `application/octet-stream` if that is not known.
        content_type: Option<Bytes>,
        /// Its bytes, if their number is known: then exactly so many have to follow.
        length: Option<u64>,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The data of the file in the field with this index is wanted: answer with `write`, as often as needed, and
    /// `file_end`.
    SendFile(usize),
    /// The whole form was handed out.
    Finished,
    /// The form is not complete: let the receiver see that.
    Failed(Error),
}

/// Why a form cannot be sent. The caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldError {
    /// A name or a content type cannot be sent.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The boundary stands in a string: take another one.
    #[error("the boundary stands in the data")]
    BoundaryInData,
}

/// Encodes a form.
///
/// ```
/// use bytes::Bytes;
/// use portline::Instant;
/// use portline::body::form::{Encoder, Field, Value};
/// use portline::body::multipart::Boundary;
///
/// let text = |name, value| Field { name: Bytes::from_static(name), value: Value::Text(Bytes::from_static(value)) };
/// let mut form = Encoder::new(vec![text(b"q", b"a b"), text(b"n", b"1")], Boundary::from_seed(1), Instant::ZERO)?;
/// assert_eq!(form.content_type(), "application/x-www-form-urlencoded");
/// assert_eq!(form.content_length(), Some(9));
/// assert_eq!(form.poll_transmit().map(|t| t.into_bytes()).as_deref(), Some(&b"q=a+b&n=1"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Encoder {
    content_type: Bytes,
    content_length: Option<u64>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Strings only: the whole of it, until it is handed out.
    Strings(Bytes),
    /// Fields still to come.
    Parts {
        writer: multipart::Writer,
        fields: Enumerate<vec::IntoIter<Field>>,
        next: Next,
    },
    Ended,
}

/// What the writer of parts does next.
#[derive(Debug)]
enum Next {
    /// The next field.
    Field,
    /// A file that was begun is asked for.
    AskFor(usize),
    /// The file is being given.
    Given,
    /// The string of a field that was begun.
    Text(Bytes),
}

impl Encoder {
    /// An encoder of these fields, in their order. The boundary is used if one of them is a file.
    ///
    /// # Errors
    /// That of the first field that cannot be sent.
    pub fn new(fields: Vec<Field>, boundary: Boundary, now: Instant) -> Result<Self, FieldError> {
        if fields.iter().all(|field| matches!(field.value, Value::Text(_))) {
            let form = Bytes::from(encoded(&fields));
            return Ok(Self {
                content_type: Bytes::from_static(urlencoded::CONTENT_TYPE.as_bytes()),
                content_length: u64::try_from(form.len()).ok(),
                state: State::Strings(form),
            });
        }
        if fields.iter().any(|field| matches!(&field.value, Value::Text(text) if !boundary.is_outside(text)))
        {
            return Err(FieldError::BoundaryInData);
        }
        let heads: Vec<Head> = fields.iter().map(head).collect();
        let content_length = multipart::writer::content_length(&boundary, &heads)?;
        let content_type = boundary.content_type();
        let config = multipart::writer::Config { content_length, ..multipart::writer::Config::new(boundary) };
        let writer = multipart::Writer::new(config, now);
        let fields = fields.into_iter().enumerate();
        let state = State::Parts { writer, fields, next: Next::Field };
        Ok(Self { content_type, content_length, state })
    }

    /// The value of the `Content-Type` header.
    #[must_use]
    pub fn content_type(&self) -> Bytes {
        self.content_type.clone()
    }

    /// The body's length, if the lengths of all files are known.
    #[must_use]
    pub const fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Data of the file that was asked for. It is not copied.
    ///
    /// # Errors
    /// [`WriteError::NoPart`] if none was asked for, and as [`multipart::Writer::write`].
    pub fn write(&mut self, now: Instant, data: Bytes) -> Result<(), WriteError> {
        match &mut self.state {
            State::Parts { writer, next: Next::Given, .. } => writer.write(now, data),
            State::Parts { next: Next::Field | Next::AskFor(_) | Next::Text(_), .. } => {
                Err(WriteError::NoPart)
            }
            State::Strings(_) | State::Ended => Err(WriteError::Over),
        }
    }

    /// The file that was asked for is complete.
    ///
    /// # Errors
    /// [`WriteError::PartTooShort`] if it was to have more, [`WriteError::NoPart`] if none was asked for.
    pub fn file_end(&mut self, _now: Instant) -> Result<(), WriteError> {
        match &mut self.state {
            State::Parts { writer, next: next @ Next::Given, .. } => {
                writer.part_ends()?;
                *next = Next::Field;
                Ok(())
            }
            State::Parts { next: Next::Field | Next::AskFor(_) | Next::Text(_), .. } => {
                Err(WriteError::NoPart)
            }
            State::Strings(_) | State::Ended => Err(WriteError::Over),
        }
    }

    /// Gives the form up. Does nothing when it is complete.
    pub fn abort(&mut self, now: Instant) {
        match &mut self.state {
            State::Parts { writer, .. } => writer.abort(now),
            // It is complete already.
            State::Strings(_) | State::Ended => {}
        }
    }

    /// Whether there is room for more of the file that was asked for.
    #[must_use]
    pub fn can_write(&self) -> bool {
        matches!(&self.state, State::Parts { writer, next: Next::Given, .. } if writer.can_write())
    }

    /// The next bytes to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.go_on();
        match &mut self.state {
            State::Strings(form) if !form.is_empty() => Some(Transmit::new(core::mem::take(form))),
            State::Parts { writer, .. } => writer.poll_transmit(),
            State::Strings(_) | State::Ended => None,
        }
    }

    /// What happened, or is wanted.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.go_on();
        let action = match &mut self.state {
            State::Strings(form) if form.is_empty() => Action::Finished,
            State::Parts { writer, next, .. } => match (writer.poll_action(), &next) {
                (Some(multipart::writer::Action::Finished), _) => Action::Finished,
                (Some(multipart::writer::Action::Failed(error)), _) => Action::Failed(error),
                (None, Next::AskFor(index)) => {
                    let index = *index;
                    *next = Next::Given;
                    return Some(Action::SendFile(index));
                }
                (None, Next::Field | Next::Given | Next::Text(_)) => return None,
            },
            State::Strings(_) | State::Ended => return None,
        };
        self.state = State::Ended;
        Some(action)
    }

    /// Whether the terminal action has been handed out.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Writes what needs nobody, while there is room: strings, the start of a file, the end.
    fn go_on(&mut self) {
        let State::Parts { writer, fields, next } = &mut self.state else { return };
        // What the writer takes no time for.
        let now = Instant::ZERO;
        while writer.can_write() {
            match next {
                Next::AskFor(_) | Next::Given => return,
                Next::Text(text) => {
                    // It was looked at when the encoder was made.
                    if writer.write(now, core::mem::take(text)).is_err() {
                        writer.abort(now);
                        return;
                    }
                    *next = Next::Field;
                }
                Next::Field => {
                    let Some((index, field)) = fields.next() else {
                        // Every part is complete, and as long as was said.
                        if writer.finish(now).is_err() {
                            writer.abort(now);
                        }
                        return;
                    };
                    if writer.part(now, &head(&field)).is_err() {
                        writer.abort(now);
                        return;
                    }
                    *next = match field.value {
                        Value::Text(text) => Next::Text(text),
                        Value::File { .. } => Next::AskFor(index),
                    };
                }
            }
        }
    }
}

fn encoded(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        let Value::Text(text) = &field.value else { continue };
        if !out.is_empty() {
            out.push(b'&');
        }
        urlencoded::put_encoded(&mut out, &field.name);
        out.push(b'=');
        urlencoded::put_encoded(&mut out, text);
    }
    out
}

fn head(field: &Field) -> Head {
    match &field.value {
        Value::Text(text) => {
            Head { length: u64::try_from(text.len()).ok(), ..Head::field(field.name.clone()) }
        }
        Value::File { filename, content_type, length } => {
            let content_type = content_type.clone().unwrap_or(Bytes::from_static(OCTET_STREAM));
            Head { length: *length, ..Head::file(field.name.clone(), filename.clone(), content_type) }
        }
    }
}

const OCTET_STREAM: &[u8] = b"application/octet-stream";
