//! The carrier: messages on a byte pipe, each preceded by its length.
//!
//! ```text
//!            handle_bytes            next_message
//! any split ─────────────► Decoder ──────────────► whole messages
//!                             │ length above the limit ─► Error::TooLong, sticky
//!                             │ end of input inside a message ─► missing() > 0, finish() = Error::Truncated
//! ```
//!
//! A message inside one chunk is a slice of that chunk. A message split across chunks is put together once, when
//! all of it is there: nothing is ever allocated by an announced length, only by what arrived (T9). Small chunks
//! that pile up are joined first, so that a flood of them costs what it weighs (T6).
//!
//! Limits: the caller's limit on a message; [`Decoder::wants_input`] turns false when whole messages wait and the
//! buffer has reached its capacity. Rules: `spec/01-frame.md`, FRAME-8 and after.

use alloc::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{Transmit, limits};

/// Bytes of the length in front of a message.
pub const LENGTH_LEN: usize = 4;
/// Chunks below this are joined when they have to wait.
const SMALL: usize = 512;
/// A joined chunk is closed once it is this long.
const JOINED: usize = 8192;

/// What was wrong on the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The announced length, or the message to be sent, is above the limit (FRAME-9).
    #[error("a message of {length} bytes is longer than the limit of {limit}")]
    TooLong {
        /// The length.
        length: usize,
        /// The limit: the caller's, and never more than `u32` can tell.
        limit: usize,
    },
    /// The input ended inside a message (FRAME-10).
    #[error("the input ended inside a message: {missing} more bytes were expected")]
    Truncated {
        /// Bytes that are known to be missing.
        missing: usize,
    },
}

/// What [`decode`] found at the start of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A whole message.
    Complete {
        /// The message, without its length.
        message: &'a [u8],
        /// Bytes of the input it takes, its length included.
        consumed: usize,
    },
    /// The message goes on past the end of the input.
    Incomplete {
        /// How many more bytes are needed at least: exact once the length is there.
        needed: usize,
    },
}

/// Reads the length in front of a message.
///
/// # Errors
/// [`Error::TooLong`] above `limit`.
#[inline]
pub const fn decode_length(length: [u8; LENGTH_LEN], limit: usize) -> Result<usize, Error> {
    let length = u32::from_be_bytes(length) as usize;
    if length > limit { Err(Error::TooLong { length, limit }) } else { Ok(length) }
}

/// Reads the message at the start of `input` without copying (FRAME-8).
///
/// # Errors
/// As [`decode_length`]; the error depends on the length alone, never on what follows.
#[inline]
pub fn decode(input: &[u8], limit: usize) -> Result<Decoded<'_>, Error> {
    let Some((length, rest)) = input.split_first_chunk::<LENGTH_LEN>() else {
        return Ok(Decoded::Incomplete { needed: LENGTH_LEN.saturating_sub(input.len()) });
    };
    let length = decode_length(*length, limit)?;
    Ok(match rest.get(..length) {
        Some(message) => Decoded::Complete { message, consumed: length.saturating_add(LENGTH_LEN) },
        None => Decoded::Incomplete { needed: length.saturating_sub(rest.len()) },
    })
}

/// Puts the length in front of a message; the payload is not copied.
///
/// # Errors
/// [`Error::TooLong`] for a message whose length does not fit into 4 bytes.
#[inline]
pub fn wrap(message: Transmit) -> Result<Transmit, Error> {
    let length = message.len();
    match u32::try_from(length) {
        Ok(length) => Ok(message.prefixed(length.to_be_bytes())),
        Err(_) => Err(Error::TooLong { length, limit: u32::MAX as usize }),
    }
}

/// The incremental carrier decoder: bytes in as they arrive, whole messages out.
///
/// The messages do not depend on how the input was split (FRAME-11).
#[derive(Clone, Debug)]
pub struct Decoder {
    /// The chunk being read.
    head: Bytes,
    /// Chunks behind it, in order; `tail` comes after them.
    rest: VecDeque<Bytes>,
    /// Small chunks being joined.
    tail: BytesMut,
    /// Bytes in all of them.
    held: usize,
    /// The longest message.
    limit: usize,
    /// Bytes held, overhead included, from which on no more input is wanted while a whole message waits.
    capacity: usize,
    /// The length of the message at the front, once its four bytes were read off.
    expected: Option<usize>,
    failed: Option<Error>,
}

impl Default for Decoder {
    /// Messages of at most [`limits::MESSAGE`] bytes, a capacity of [`limits::RECEIVE_BYTES`].
    fn default() -> Self {
        Self::new(limits::MESSAGE, limits::RECEIVE_BYTES)
    }
}

impl Decoder {
    /// A decoder of messages of at most `limit` bytes that wants no more input while a whole message waits and
    /// `capacity` bytes are held.
    #[must_use]
    pub fn new(limit: usize, capacity: usize) -> Self {
        Self {
            head: Bytes::new(),
            rest: VecDeque::new(),
            tail: BytesMut::new(),
            held: 0,
            limit,
            capacity,
            expected: None,
            failed: None,
        }
    }

    /// Takes the next bytes of the input.
    pub fn handle_bytes(&mut self, bytes: Bytes) {
        if bytes.is_empty() || self.failed.is_some() {
            return;
        }
        let first = self.held == 0;
        self.held = self.held.saturating_add(bytes.len());
        if !first && bytes.len() < SMALL {
            self.tail.put_slice(&bytes);
            if self.tail.len() >= JOINED {
                self.close_tail();
            }
        } else {
            self.close_tail();
            self.push(bytes);
        }
    }

    fn push(&mut self, chunk: Bytes) {
        if self.head.is_empty() && self.rest.is_empty() {
            self.head = chunk;
        } else {
            self.rest.push_back(chunk);
        }
    }

    /// The next whole message, `None` when more input is needed.
    ///
    /// # Errors
    /// [`Error::TooLong`]; what is held is dropped and the error is the same ever after.
    #[inline]
    pub fn next_message(&mut self) -> Result<Option<Bytes>, Error> {
        // Of a pipe that has failed nothing is held.
        if let Some(length) = self.whole() {
            self.held = self.held.saturating_sub(LENGTH_LEN).saturating_sub(length);
            self.head.advance(LENGTH_LEN);
            return Ok(Some(self.head.split_to(length)));
        }
        self.next_in_parts()
    }

    /// A message that lies in several chunks, or is not all there.
    fn next_in_parts(&mut self) -> Result<Option<Bytes>, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let length = match self.expected {
            Some(length) => length,
            None => match self.read_length() {
                Ok(Some(length)) => length,
                Ok(None) => return Ok(None),
                Err(error) => return Err(self.fail(error)),
            },
        };
        self.expected = Some(length);
        if self.held < length {
            return Ok(None);
        }
        self.expected = None;
        Ok(Some(self.take(length)))
    }

    /// Bytes held, with [`limits::CHUNK_OVERHEAD`] for each chunk.
    #[must_use]
    pub fn buffered(&self) -> usize {
        let chunks = usize::from(!self.head.is_empty()).saturating_add(usize::from(!self.tail.is_empty()));
        let chunks = chunks.saturating_add(self.rest.len());
        self.held.saturating_add(chunks.saturating_mul(limits::CHUNK_OVERHEAD))
    }

    /// Whether to read on. `false`: the capacity is reached and a whole message can be taken, or the pipe failed.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.failed.is_none() && (self.buffered() < self.capacity || self.missing() > 0)
    }

    /// How many bytes the message at the front lacks at least; 0 when it is whole, and between messages.
    #[must_use]
    pub fn missing(&self) -> usize {
        match self.expected.or_else(|| self.peek_length()) {
            Some(length) if self.expected.is_some() => length.saturating_sub(self.held),
            Some(length) => length.saturating_add(LENGTH_LEN).saturating_sub(self.held),
            None if self.held == 0 => 0,
            None => LENGTH_LEN.saturating_sub(self.held),
        }
    }

    /// The input has ended; ask when [`Self::next_message`] has nothing more.
    ///
    /// # Errors
    /// [`Error::Truncated`] inside a message, and the sticky error.
    pub fn finish(&self) -> Result<(), Error> {
        match (self.failed, self.missing()) {
            (Some(error), _) => Err(error),
            (None, 0) => Ok(()),
            (None, missing) => Err(Error::Truncated { missing }),
        }
    }

    fn fail(&mut self, error: Error) -> Error {
        *self = Self { failed: Some(error), ..Self::new(self.limit, self.capacity) };
        error
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = self.tail.split().freeze();
            self.push(tail);
        }
    }

    /// The length at the front, not yet read off; `None` when it is not all there.
    fn peek_length(&self) -> Option<usize> {
        let mut bytes = self.head.iter().chain(self.rest.iter().flatten()).chain(&self.tail).copied();
        let length = [bytes.next()?, bytes.next()?, bytes.next()?, bytes.next()?];
        Some(u32::from_be_bytes(length) as usize)
    }

    fn read_length(&mut self) -> Result<Option<usize>, Error> {
        if self.held < LENGTH_LEN {
            return Ok(None);
        }
        let mut length = [0; LENGTH_LEN];
        for (to, from) in length.iter_mut().zip(self.take(LENGTH_LEN)) {
            *to = from;
        }
        decode_length(length, self.limit).map(Some)
    }

    /// The length of the message at the front if it lies in the chunk being read, as almost all do.
    #[inline]
    fn whole(&self) -> Option<usize> {
        let (length, behind) = self.head.split_first_chunk()?;
        let length = decode_length(*length, self.limit).ok()?;
        (length <= behind.len() && self.expected.is_none()).then_some(length)
    }

    /// Goes on to the next chunk when the one being read is used up. `false`: there is none.
    fn next_chunk(&mut self) -> bool {
        if self.head.is_empty() {
            if self.rest.is_empty() {
                self.close_tail();
            } else if let Some(chunk) = self.rest.pop_front() {
                self.head = chunk;
            }
        }
        !self.head.is_empty()
    }

    /// Takes `length` bytes, which are there: a slice when they lie in one chunk, one copy when they do not.
    fn take(&mut self, length: usize) -> Bytes {
        self.held = self.held.saturating_sub(length);
        if self.next_chunk() && self.head.len() >= length {
            return self.head.split_to(length);
        }
        let mut whole = BytesMut::with_capacity(length);
        while whole.len() < length && self.next_chunk() {
            let wanted = length.saturating_sub(whole.len()).min(self.head.len());
            whole.put_slice(&self.head.split_to(wanted));
        }
        whole.freeze()
    }
}
