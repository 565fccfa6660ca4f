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
use crate::stream::{Direction, Role, Shape, Sizing};

/// The bit of a CALL's method length that asks for a batch (RPC-3).
const BATCH: u16 = 0x8000;
/// The longest name of a method, in bytes.
pub const METHOD_LEN: usize = 0x7fff;

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
        /// Direction, window and unit, seen from the sender of this message.
        shape: Shape,
    },
}

/// A message that does not belong on a control channel. The peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
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
    let direction = match direction {
        0 => Direction::Send,
        1 => Direction::Receive,
        2 => Direction::Both(Role::Responder),
        value => return Err(Error::Value { kind, value }),
    };
    let sizing = match unit {
        0 => Sizing::Items,
        1 => Sizing::Bytes,
        2 => Sizing::Custom,
        value => return Err(Error::Value { kind, value }),
    };
    let window = u32::from_be_bytes([m, n, o, p]);
    let shape = Shape { direction, window, sizing };
    shape.check().map_err(|_| Error::Value { kind, value: 0 })?;
    Ok(Message::Open { call, stream: u32::from_be_bytes([a, b, c, d]), shape })
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
        Message::Open { call, stream, shape } => Message::Open { call, stream, shape },
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
            Self::Open { call, stream, shape } => {
                let direction = match shape.direction {
                    Direction::Send => 0,
                    Direction::Receive => 1,
                    Direction::Both(_) => 2,
                };
                let unit = match shape.sizing {
                    Sizing::Items => 0,
                    Sizing::Bytes => 1,
                    Sizing::Custom => 2,
                };
                let [a, b, c, d, e] = encode_header(FrameType::Open, call);
                let [f, g, h, i] = stream.to_be_bytes();
                let [j, k, l, m] = shape.window.to_be_bytes();
                let header = [a, b, c, d, e, f, g, h, i, direction, j, k, l, m, unit];
                Transmit::with_header(header, Bytes::new())
            }
        }
    }
}
