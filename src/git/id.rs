//! Object ids of both hash functions.

use core::{fmt, str};

use crate::pkt::hex_byte;

/// The hash function a repository names its objects with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectFormat {
    /// SHA-1: 20 bytes, 40 hex digits.
    #[default]
    Sha1,
    /// SHA-256: 32 bytes, 64 hex digits.
    Sha256,
}

impl ObjectFormat {
    /// Bytes of an id.
    #[must_use]
    pub const fn raw_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// Hex digits of an id.
    #[must_use]
    pub const fn hex_len(self) -> usize {
        match self {
            Self::Sha1 => 40,
            Self::Sha256 => 64,
        }
    }

    /// The value of the `object-format` capability.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// The format that the `object-format` capability names.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        [Self::Sha1, Self::Sha256].into_iter().find(|format| format.name().as_bytes() == name)
    }
}

/// Why bytes are not an object id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The number of hex digits (or raw bytes) is not the format's.
    #[error("an object id cannot have {length} digits")]
    Length {
        /// What was given.
        length: usize,
    },
    /// A byte is not a hex digit.
    #[error("byte {position} of an object id is not a hex digit")]
    Digit {
        /// Its place, counted from 0.
        position: usize,
    },
}

/// The id of an object: SHA-1 or SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// The hash; the bytes past the format's length are zero.
    bytes: [u8; 32],
    format: ObjectFormat,
}

impl ObjectId {
    /// The null id (all zero): "no object" in a push command and in an empty advertisement.
    #[must_use]
    pub const fn null(format: ObjectFormat) -> Self {
        Self { bytes: [0; 32], format }
    }

    /// Whether this is the null id.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.bytes == [0; 32]
    }

    /// The id's hash function.
    #[must_use]
    pub const fn format(&self) -> ObjectFormat {
        self.format
    }

    /// The 20 or 32 bytes.
    #[must_use]
    pub fn as_raw(&self) -> &[u8] {
        self.bytes.get(..self.format.raw_len()).unwrap_or(&self.bytes)
    }

    /// An id from its 20 or 32 bytes.
    ///
    /// # Errors
    /// [`IdError::Length`] for any other number of bytes.
    pub fn from_raw(raw: &[u8]) -> Result<Self, IdError> {
        let format = match raw.len() {
            20 => ObjectFormat::Sha1,
            32 => ObjectFormat::Sha256,
            length => return Err(IdError::Length { length }),
        };
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(raw) {
            *to = *from;
        }
        Ok(Self { bytes, format })
    }

    /// An id from 40 or 64 hex digits of either case; the number of digits tells the format.
    ///
    /// # Errors
    /// [`IdError`].
    pub fn from_hex(hex: &[u8]) -> Result<Self, IdError> {
        let format = match hex.len() {
            40 => ObjectFormat::Sha1,
            64 => ObjectFormat::Sha256,
            length => return Err(IdError::Length { length }),
        };
        let mut bytes = [0; 32];
        for (to, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            let digits = pair.first().zip(pair.get(1));
            let byte = digits.and_then(|(high, low)| hex_byte(*high, *low));
            *to = byte.ok_or_else(|| {
                let position = hex.iter().position(|digit| !digit.is_ascii_hexdigit());
                IdError::Digit { position: position.unwrap_or_default() }
            })?;
        }
        Ok(Self { bytes, format })
    }

    /// The hex digits, lower case.
    #[must_use]
    pub fn to_hex(&self) -> Hex {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let mut digits = [b'0'; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.as_raw()) {
            if let [high, low] = pair {
                #[expect(clippy::indexing_slicing, reason = "four bits index a table of sixteen")]
                {
                    *high = DIGITS[usize::from(byte >> 4)];
                    *low = DIGITS[usize::from(byte & 15)];
                }
            }
        }
        Hex { digits, length: self.format.hex_len() }
    }
}

/// The hex digits of an id, without an allocation.
#[derive(Clone, Copy)]
pub struct Hex {
    digits: [u8; 64],
    length: usize,
}

impl Hex {
    /// The digits as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(..self.length).unwrap_or(&self.digits)
    }

    /// The digits as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Display for ObjectId {
    /// The full hex form; a precision (`{:.12}`) shortens it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.to_hex().as_str())
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({self})")
    }
}

impl str::FromStr for ObjectId {
    type Err = IdError;

    fn from_str(hex: &str) -> Result<Self, IdError> {
        Self::from_hex(hex.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn git_1_both_sizes_and_both_cases_survive_a_round_trip() {
        for hex in ["59718b6e26b96150c7dd3435f053958592fc24f1", &"0123456789abcdef".repeat(4)] {
            let id: ObjectId = hex.parse().unwrap();
            assert_eq!(id.to_string(), hex);
            assert_eq!(ObjectId::from_hex(hex.to_uppercase().as_bytes()), Ok(id));
            assert_eq!(ObjectId::from_raw(id.as_raw()), Ok(id));
            assert_eq!(id.as_raw().len() * 2, hex.len());
        }
        assert_eq!(format!("{:.7}", ObjectId::null(ObjectFormat::Sha1)), "0000000");
    }

    #[test]
    fn git_1_anything_else_is_refused() {
        assert_eq!(ObjectId::from_hex(b"abc"), Err(IdError::Length { length: 3 }));
        for position in [0, 12, 13, 39] {
            let mut hex = [b'a'; 40];
            hex[position] = b'g';
            assert_eq!(ObjectId::from_hex(&hex), Err(IdError::Digit { position }));
        }
        assert_eq!(ObjectId::from_raw(&[0; 21]), Err(IdError::Length { length: 21 }));
    }

    #[test]
    fn null_ids_of_the_two_formats_differ_and_formats_have_names() {
        assert!(ObjectId::null(ObjectFormat::Sha256).is_null());
        assert_ne!(ObjectId::null(ObjectFormat::Sha256), ObjectId::null(ObjectFormat::Sha1));
        assert_eq!(ObjectFormat::from_name(b"sha256"), Some(ObjectFormat::Sha256));
        assert_eq!(ObjectFormat::from_name(b"md5"), None);
    }
}
