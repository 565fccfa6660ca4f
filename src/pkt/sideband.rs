//! The sideband: three channels inside data packets, told apart by their first byte.

use bytes::Bytes;

use super::Error;
use super::codec::{Header, decode_header};

/// The channel of a sideband packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Band {
    /// 1: pack data, or the report of a push.
    Data,
    /// 2: progress for the user, raw bytes that may hold terminal escapes.
    Progress,
    /// 3: a fatal error; the sender stops after it.
    Fatal,
}

impl Band {
    /// The byte on the wire.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        match self {
            Self::Data => 1,
            Self::Progress => 2,
            Self::Fatal => 3,
        }
    }
}

impl TryFrom<u8> for Band {
    type Error = Error;

    fn try_from(band: u8) -> Result<Self, Error> {
        match band {
            1 => Ok(Self::Data),
            2 => Ok(Self::Progress),
            3 => Ok(Self::Fatal),
            band => Err(Error::UnknownBand { band }),
        }
    }
}

/// The first bytes of a packet in a sideband stream: four digits and, for data, the band.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sideband {
    /// `0000`.
    Flush,
    /// `0001`.
    Delim,
    /// `0002`.
    ResponseEnd,
    /// Data follows.
    Data {
        /// On which channel.
        band: Band,
        /// How many bytes, the band byte not counted.
        length: usize,
    },
}

impl Sideband {
    /// Reads the header of a sideband packet: `header` is its first five bytes (four for a special packet).
    ///
    /// # Errors
    /// As [`decode_header`]; [`Error::MissingBand`] for an empty packet and when the fifth byte is not given;
    /// [`Error::UnknownBand`]; [`Error::Truncated`] when fewer than four bytes are given.
    #[inline]
    pub fn decode(header: &[u8]) -> Result<Self, Error> {
        let Some((digits, rest)) = header.split_first_chunk::<4>() else {
            return Err(Error::Truncated { missing: 4_usize.saturating_sub(header.len()) });
        };
        match decode_header(*digits)? {
            Header::Flush => Ok(Self::Flush),
            Header::Delim => Ok(Self::Delim),
            Header::ResponseEnd => Ok(Self::ResponseEnd),
            Header::Data(length) => match (length.checked_sub(1), rest.first()) {
                (Some(length), Some(band)) => {
                    Ok(Self::Data { band: Band::try_from(*band)?, length: usize::from(length) })
                }
                (_, _) => Err(Error::MissingBand),
            },
        }
    }
}

/// A piece of a sideband stream. A packet's data may come as several fragments; it is never gathered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// `0000`.
    Flush,
    /// `0001`.
    Delim,
    /// `0002`.
    ResponseEnd,
    /// Data of one band, at least one byte.
    Data {
        /// The channel.
        band: Band,
        /// A slice of the input.
        bytes: Bytes,
    },
}
