//! The messages of the control channel: READY, CALL, RESULT, ABORT, OPEN.
//!
//! ```text
//! message ─► decode(&[u8])        ─► Message<&[u8]>         Message<Bytes> ─► encode() ─► Transmit
//!         ─► decode_bytes(Bytes)  ─► Message<Bytes>
//! ```
//!
//! No state, no limits but those of the fields; nothing is copied on the way in. On the way out only a CALL is put
//! together, because the method's name stands in front of the arguments. Rules: `spec/10-control.md`, RPC-1 to RPC-6.

use bytes::{BufMut, Bytes, BytesMut};

use crate::Transmit;
use crate::frame::{self, Frame, FrameType, encode_header};

/// The bit of a CALL's method length that asks for a batch (RPC-3).
const BATCH: u16 = 0x8000;
/// The longest name of a method, in bytes.
pub const METHOD_LEN: usize = 0x7fff;

/// Which way the data of a stream flows, seen from the side that opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// 0: from the opener to the caller.
    Send,
    /// 1: from the caller to the opener.
    Receive,
    /// 2: both ways.
    Both,
}

impl Direction {
    const fn as_u8(self) -> u8 {
        match self {
            Self::Send => 0,
            Self::Receive => 1,
            Self::Both => 2,
        }
    }

    /// The same stream seen from the other side.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Send => Self::Receive,
            Self::Receive => Self::Send,
            Self::Both => Self::Both,
        }
    }

    /// Whether this side sends data.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::Send | Self::Both)
    }

    /// Whether this side receives data.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::Receive | Self::Both)
    }
}

/// In what unit the credit of a stream is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// 0: each item counts 1.
    Items,
    /// 1: each item counts its bytes, and at least 1.
    Bytes,
    /// 2: each item counts what a function says that both applications know.
    Custom,
}

impl Unit {
    const fn as_u8(self) -> u8 {
        match self {
            Self::Items => 0,
            Self::Bytes => 1,
            Self::Custom => 2,
        }
    }
}

/// One message of the control channel; `P` is the form of what has a length (`&[u8]` or `Bytes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message<P> {
    /// The sender is ready.
    Ready {
        /// The protocol's version.
        version: u32,
        /// One token a line; [`super::Capabilities`] reads them.
        capabilities: P,
    },
    /// A method is called.
    Call {
        /// Names the call among those of its sender.
        call: u32,
        /// Whether the caller wants no stream opened but everything in one result.
        batch: bool,
        /// The method's name.
        method: P,
        /// Its arguments, as the applications agreed.
        arguments: P,
    },
    /// The result of a call.
    Result {
        /// The call.
        call: u32,
        /// The value, or the payload of an error: a JSON string ([`frame::Reason`]).
        result: Result<P, P>,
    },
    /// The caller no longer wants a call.
    Abort {
        /// The call.
        call: u32,
    },
    /// A stream of a call is opened by the side that was called.
    Open {
        /// The call.
        call: u32,
        /// Names the stream.
        stream: u32,
        /// Which way, seen from the sender of this message.
        direction: Direction,
        /// The high-water mark: the window of each direction, and so its first credit.
        mark: u32,
        /// What the credit counts.
        unit: Unit,
    },
}

/// A message that does not belong on a control channel. The peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No frame at all.
    #[error(transparent)]
    Frame(#[from] frame::Error),
    /// A frame of another channel, or of no assigned type.
    #[error("messages of type {} are unknown on a control channel", .kind.as_u8())]
    Unknown {
        /// The type.
        kind: FrameType,
    },
    /// The payload ends inside a field.
    #[error("the payload of a message of type {} ends after {length} bytes, inside a field", .kind.as_u8())]
    Short {
        /// The type.
        kind: FrameType,
        /// Bytes of the payload.
        length: usize,
    },
    /// A field has a value that means nothing.
    #[error("a field of a message of type {} has the unknown value {value}", .kind.as_u8())]
    Value {
        /// The type.
        kind: FrameType,
        /// The value.
        value: u8,
    },
}

/// Reads one whole message without copying.
///
/// # Errors
/// [`Error`]: what was wrong with it.
pub fn decode(message: &[u8]) -> Result<Message<&[u8]>, Error> {
    let Frame { kind, id, payload } = frame::decode(message)?;
    let short = Error::Short { kind, length: payload.len() };
    match kind {
        FrameType::Ready => Ok(Message::Ready { version: id, capabilities: payload }),
        FrameType::Call => {
            let (length, rest) = payload.split_first_chunk().ok_or(short)?;
            let length = u16::from_be_bytes(*length);
            let (method, arguments) = rest.split_at_checked(usize::from(length & !BATCH)).ok_or(short)?;
            Ok(Message::Call { call: id, batch: length & BATCH != 0, method, arguments })
        }
        FrameType::Result => match payload.split_first().ok_or(short)? {
            (0, value) => Ok(Message::Result { call: id, result: Ok(value) }),
            (1, reason) => Ok(Message::Result { call: id, result: Err(reason) }),
            (value, _) => Err(Error::Value { kind, value: *value }),
        },
        FrameType::Abort => Ok(Message::Abort { call: id }),
        FrameType::Open => decode_open(id, payload),
        kind => Err(Error::Unknown { kind }),
    }
}

fn decode_open<P>(call: u32, payload: &[u8]) -> Result<Message<P>, Error> {
    let kind = FrameType::Open;
    // What follows the ten bytes is ignored, so that a later version can say more (RPC-5).
    let Some(&[a, b, c, d, direction, m, n, o, p, unit]) = payload.first_chunk() else {
        return Err(Error::Short { kind, length: payload.len() });
    };
    Ok(Message::Open {
        call,
        stream: u32::from_be_bytes([a, b, c, d]),
        direction: match direction {
            0 => Direction::Send,
            1 => Direction::Receive,
            2 => Direction::Both,
            value => return Err(Error::Value { kind, value }),
        },
        mark: u32::from_be_bytes([m, n, o, p]),
        unit: match unit {
            0 => Unit::Items,
            1 => Unit::Bytes,
            2 => Unit::Custom,
            value => return Err(Error::Value { kind, value }),
        },
    })
}

/// As [`decode`]; what has a length is a slice of the message's own buffer.
///
/// # Errors
/// As [`decode`].
pub fn decode_bytes(message: &Bytes) -> Result<Message<Bytes>, Error> {
    let slice = |part: &[u8]| message.slice_ref(part);
    Ok(match decode(message)? {
        Message::Ready { version, capabilities } => {
            Message::Ready { version, capabilities: slice(capabilities) }
        }
        Message::Call { call, batch, method, arguments } => {
            Message::Call { call, batch, method: slice(method), arguments: slice(arguments) }
        }
        Message::Result { call, result } => {
            Message::Result { call, result: result.map(slice).map_err(slice) }
        }
        Message::Abort { call } => Message::Abort { call },
        Message::Open { call, stream, direction, mark, unit } => {
            Message::Open { call, stream, direction, mark, unit }
        }
    })
}

impl Message<Bytes> {
    /// The message as it goes out. The name of a method is cut at [`METHOD_LEN`]; the link refuses longer ones.
    #[must_use]
    pub fn encode(self) -> Transmit {
        match self {
            Self::Ready { version, capabilities } => {
                Transmit::with_header(encode_header(FrameType::Ready, version), capabilities)
            }
            Self::Call { call, batch, method, arguments } => {
                let method = method.get(..METHOD_LEN).unwrap_or(&method);
                let length = u16::try_from(method.len()).unwrap_or_default();
                let mut payload = BytesMut::with_capacity(method.len().saturating_add(arguments.len()));
                payload.put_slice(method);
                payload.put_slice(&arguments);
                let [a, b, c, d, e] = encode_header(FrameType::Call, call);
                let [f, g] = (if batch { length | BATCH } else { length }).to_be_bytes();
                Transmit::with_header([a, b, c, d, e, f, g], payload.freeze())
            }
            Self::Result { call, result } => {
                let [a, b, c, d, e] = encode_header(FrameType::Result, call);
                match result {
                    Ok(value) => Transmit::with_header([a, b, c, d, e, 0], value),
                    Err(reason) => Transmit::with_header([a, b, c, d, e, 1], reason),
                }
            }
            Self::Abort { call } => {
                Transmit::with_header(encode_header(FrameType::Abort, call), Bytes::new())
            }
            Self::Open { call, stream, direction, mark, unit } => {
                let [a, b, c, d, e] = encode_header(FrameType::Open, call);
                let [f, g, h, i] = stream.to_be_bytes();
                let [j, k, l, m] = mark.to_be_bytes();
                let header =
                    [a, b, c, d, e, f, g, h, i, direction.as_u8(), j, k, l, m, unit.as_u8()];
                Transmit::with_header(header, Bytes::new())
            }
        }
    }
}
