//! pkt-line: Git's packets, and the sideband inside them.
//!
//! ```text
//! bytes ──► Reader ──► Packet (a line, whole)            "0009done\n"  → Data("done\n")
//!                 └──► Fragment (sideband, never gathered) "0009\x01PACK" → Data { band: 1, "PACK" }
//! ```
//!
//! - [`decode`] and [`encode_header`] are the codec: borrowed, allocation-free, the only decoder of a pkt-line.
//! - [`Reader`] is the incremental form over any split of the input. Bytes are handed on as slices of the
//!   chunks that came in; only a *line* that is split across chunks is copied, once.
//! - [`put_line`], [`put_flush`] and their sisters append to a buffer, so that a whole turn becomes one write.
//!
//! Limits: a packet is at most [`MAX_PACKET`] bytes, checked before anything is kept. Rules: `spec/03-pkt-line.md`.

mod codec;
mod reader;
mod sideband;

pub(crate) use codec::hex_byte;
pub use codec::{Decoded, Header, Packet, decode, decode_header, encode_header, trim_lf};
pub use codec::{put_delim, put_flush, put_line, put_packet, put_response_end};
pub use reader::Reader;
pub use sideband::{Band, Fragment, Sideband};

use crate::error::Blame;

/// The most bytes in one packet, its four length digits included (PKT-4).
pub const MAX_PACKET: usize = 65520;
/// The most bytes of data in one packet.
pub const MAX_DATA: usize = 65516;
/// The most bytes of data in one sideband packet, after its band byte.
pub const MAX_BAND_DATA: usize = 65515;

/// What was wrong with a packet. All of these are the peer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The four length bytes are not four hex digits, or are the impossible length 3 (PKT-2, PKT-3).
    #[error("\"{}\" is not a pkt-line length", .header.escape_ascii())]
    InvalidLength {
        /// The four bytes.
        header: [u8; 4],
    },
    /// The length is above the limit (PKT-4).
    #[error("a packet of {length} bytes is longer than the limit of {limit}")]
    TooLong {
        /// The announced length, header included.
        length: usize,
        /// [`MAX_PACKET`].
        limit: usize,
    },
    /// The input ended inside a packet (PKT-6).
    #[error("the input ended inside a packet: {missing} more bytes were expected")]
    Truncated {
        /// Bytes that are known to be missing.
        missing: usize,
    },
    /// A sideband packet without a band byte (PKT-9).
    #[error("a sideband packet has no band")]
    MissingBand,
    /// A band other than 1, 2 and 3 (PKT-9).
    #[error("sideband {band} does not exist")]
    UnknownBand {
        /// The band byte.
        band: u8,
    },
    /// Too many packets in a row that carry nothing (PKT-11).
    #[error("more than {limit} empty packets in a row")]
    TooManyEmpty {
        /// [`crate::limits::EMPTY_PACKETS`].
        limit: u32,
    },
}

impl Error {
    /// Whose fault this is: always the peer's.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        Blame::Peer
    }
}
