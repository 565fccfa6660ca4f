//! The 5-byte frame header, and the carrier that puts messages on a byte pipe.
//!
//! A *message* is one frame: type (1 byte), id (4 bytes, big-endian), payload to the end of the message. A message
//! transport (data channel, WebSocket, `MessagePort`) delivers whole messages as they are. On a byte pipe each
//! message is preceded by its length (4 bytes, big-endian); that is the *carrier*.
//!
//! ```text
//! message ─► decode(&[u8]) ─► Frame<&[u8]>            Frame<Bytes> ─► encode() ─► Transmit { header, payload }
//!         ─► decode_bytes(Bytes) ─► Frame<Bytes>                                      │ carrier::wrap
//! bytes ──► carrier::Decoder ─► message, message, …                                   ▼
//!           (any split)                                                     length, header, payload
//! ```
//!
//! - [`decode`], [`decode_bytes`] and [`Frame::encode`] have no state and copy no payload.
//! - [`Reason`] is the payload of an ERROR frame: a JSON string, or whatever came instead of one.
//! - [`carrier::decode`] is the carrier over borrowed bytes, [`carrier::Decoder`] the same over any split.
//!
//! Limits: a carrier message is at most as long as the caller's limit, checked before anything is kept
//! ([`crate::limits::MESSAGE`] by default); of an ERROR payload [`crate::limits::ERROR_PAYLOAD`] bytes are kept.
//! Rules: `spec/01-frame.md`.

pub mod carrier;
mod codec;
mod reason;

pub use codec::{Error, Frame, FrameType, decode, decode_bytes, encode_header};
pub use reason::Reason;

/// Bytes of a frame header: type and id.
pub const HEADER_LEN: usize = 5;
