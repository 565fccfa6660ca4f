//! The header codec, over borrowed and over owned messages.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::HEADER_LEN;
use crate::Transmit;

/// What a frame is for: the first byte of the header (FRAME-2).
///
/// Every byte is one of these, so decoding a type cannot fail; what a machine does with a type that it does not
/// know is its own affair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameType {
    /// 0: a block of a stream; the id is the number of the block.
    Data,
    /// 1: the answer to a block; the id is that block's.
    Ack,
    /// 2: the end of a stream; the id is how many blocks were sent.
    End,
    /// 3: the failure of a stream; the id is the block it happened at, the payload a JSON string.
    Error,
    /// 4: additional credit; the id is how many blocks were consumed so far.
    Credit,
    /// 5: the reader wants no more; the id is how many blocks were consumed so far.
    Cancel,
    /// 6: a block after which nothing follows; the id is the number of the block.
    Last,
    /// 16: the control channel is ready; the id is the protocol version.
    Ready,
    /// 17: a call; the id names it, as in the three that follow.
    Call,
    /// 18: the result of a call.
    Result,
    /// 19: a call is no longer wanted.
    Abort,
    /// 20: a stream of a call is opened.
    Open,
    /// 7 to 15 and 21 to 127: not assigned. The number is the one on the wire.
    Reserved(u8),
    /// 128 to 255: the application's. The number is the one on the wire.
    Application(u8),
}

impl FrameType {
    /// The byte on the wire.
    #[inline]
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        match self {
            Self::Data => 0,
            Self::Ack => 1,
            Self::End => 2,
            Self::Error => 3,
            Self::Credit => 4,
            Self::Cancel => 5,
            Self::Last => 6,
            Self::Ready => 16,
            Self::Call => 17,
            Self::Result => 18,
            Self::Abort => 19,
            Self::Open => 20,
            Self::Reserved(number) | Self::Application(number) => number,
        }
    }
}

/// The type of each byte. A table, because decoding by branches costs more than the rest of a frame.
static TYPES: [FrameType; 256] = {
    let mut types = [FrameType::Data; 256];
    let mut number: u8 = 0;
    loop {
        #[expect(clippy::indexing_slicing, reason = "a u8 is always inside a table of 256")]
        {
            types[number as usize] = named(number);
        }
        match number.checked_add(1) {
            Some(next) => number = next,
            None => break types,
        }
    }
};

const fn named(number: u8) -> FrameType {
    match number {
        0 => FrameType::Data,
        1 => FrameType::Ack,
        2 => FrameType::End,
        3 => FrameType::Error,
        4 => FrameType::Credit,
        5 => FrameType::Cancel,
        6 => FrameType::Last,
        16 => FrameType::Ready,
        17 => FrameType::Call,
        18 => FrameType::Result,
        19 => FrameType::Abort,
        20 => FrameType::Open,
        7..=15 | 21..=127 => FrameType::Reserved(number),
        128..=255 => FrameType::Application(number),
    }
}

impl From<u8> for FrameType {
    #[inline]
    fn from(number: u8) -> Self {
        #[expect(clippy::indexing_slicing, reason = "a u8 is always inside a table of 256")]
        TYPES[usize::from(number)]
    }
}

/// One frame; `P` is the form of its payload (`&[u8]` or `Bytes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Frame<P> {
    /// What it is for.
    pub kind: FrameType,
    /// The number of a block, a count of blocks, or the name of a call: [`FrameType`] tells which.
    pub id: u32,
    /// The rest of the message; may be empty.
    pub payload: P,
}

impl<P> Frame<P> {
    /// A frame from its parts.
    #[inline]
    pub const fn new(kind: FrameType, id: u32, payload: P) -> Self {
        Self { kind, id, payload }
    }
}

impl Frame<Bytes> {
    /// The frame as a message: its header inline, its payload as it is (FRAME-4).
    #[inline]
    #[must_use]
    pub fn encode(self) -> Transmit {
        Transmit::with_header(encode_header(self.kind, self.id), self.payload)
    }
}

impl Frame<&[u8]> {
    /// Appends the frame to `buffer`, for transports that gather messages in one buffer of their own.
    #[inline]
    pub fn put(&self, buffer: &mut BytesMut) {
        buffer.reserve(HEADER_LEN.saturating_add(self.payload.len()));
        buffer.put_slice(&encode_header(self.kind, self.id));
        buffer.put_slice(self.payload);
    }
}

/// A message that is no frame. The peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The message is shorter than a header (FRAME-3).
    #[error("a message of {length} bytes is shorter than a frame header")]
    Short {
        /// Bytes of the message: 0 to 4.
        length: usize,
    },
}

/// Reads one whole message without copying its payload (FRAME-1).
///
/// # Errors
/// [`Error::Short`] for fewer than [`HEADER_LEN`] bytes.
#[inline]
pub fn decode(message: &[u8]) -> Result<Frame<&[u8]>, Error> {
    let Some((&[kind, a, b, c, d], payload)) = message.split_first_chunk::<HEADER_LEN>() else {
        return Err(Error::Short { length: message.len() });
    };
    Ok(Frame { kind: FrameType::from(kind), id: u32::from_be_bytes([a, b, c, d]), payload })
}

/// As [`decode`], the payload being a slice of the message's own buffer (FRAME-4).
///
/// # Errors
/// As [`decode`].
#[inline]
pub fn decode_bytes(mut message: Bytes) -> Result<Frame<Bytes>, Error> {
    let Frame { kind, id, payload: _ } = decode(&message)?;
    message.advance(HEADER_LEN);
    Ok(Frame { kind, id, payload: message })
}

/// The five bytes in front of a payload.
#[inline]
#[must_use]
pub const fn encode_header(kind: FrameType, id: u32) -> [u8; HEADER_LEN] {
    let [a, b, c, d] = id.to_be_bytes();
    [kind.as_u8(), a, b, c, d]
}
