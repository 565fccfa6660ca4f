//! The boundary, and finding it.

use bytes::Bytes;
use memchr::{memchr_iter, memrchr};

use crate::random::SplitMix64;

/// What stands in front of the boundary on each of its lines, the end of the line before included.
const LEAD: &[u8] = b"\r\n--";
/// Bytes of the line's end in that.
pub(super) const LINE_END: usize = 2;
/// What our own boundaries begin with; random letters follow.
const OURS: &[u8] = b"----PortlineFormBoundary";
/// Bytes that are looked at together: a few vector registers of any machine.
const BLOCK: usize = 128;
const CR: u8 = b'\r';

/// A boundary: 1 to 70 printable ASCII bytes, the last one no space (RFC 2046, 5.1.1).
///
/// The grammar allows fewer kinds of bytes; others do no harm and are sent, so they are taken.
///
/// ```
/// use portline::body::multipart::Boundary;
/// let boundary = Boundary::of_content_type(b"multipart/form-data; boundary=\"a b\"")?;
/// assert_eq!(boundary.as_bytes(), b"a b");
/// # Ok::<(), portline::body::multipart::BoundaryError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Boundary {
    /// `\r\n--` and the boundary.
    delimiter: Bytes,
}

/// Why there is no boundary. Whose fault it is depends on where it came from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BoundaryError {
    /// It is empty.
    #[error("the boundary is empty")]
    Empty,
    /// It is longer than the grammar allows.
    #[error("a boundary of {length} bytes is longer than the limit of {limit}")]
    TooLong {
        /// Its bytes.
        length: usize,
        /// [`Boundary::MAX`].
        limit: usize,
    },
    /// It has a byte that is not printable ASCII, or ends with a space.
    #[error("byte {byte:#04x} cannot stand there in a boundary")]
    Byte {
        /// The byte.
        byte: u8,
    },
    /// The content type has no parameter `boundary`.
    #[error("the content type names no boundary")]
    Missing,
    /// The content type is another one.
    #[error("the content type is not multipart/form-data")]
    OtherType,
    /// The content type is malformed.
    #[error(transparent)]
    ContentType(#[from] crate::body::content_type::Error),
}

impl Boundary {
    /// The most bytes of a boundary.
    pub const MAX: usize = 70;

    /// A boundary as it stands in the parameter, unquoted.
    ///
    /// # Errors
    /// As [`BoundaryError`] says.
    pub fn new(boundary: &[u8]) -> Result<Self, BoundaryError> {
        if boundary.len() > Self::MAX {
            return Err(BoundaryError::TooLong { length: boundary.len(), limit: Self::MAX });
        }
        let last = *boundary.last().ok_or(BoundaryError::Empty)?;
        if let Some(byte) = boundary.iter().find(|byte| !matches!(byte, b' '..=b'~')) {
            return Err(BoundaryError::Byte { byte: *byte });
        }
        if last == b' ' {
            return Err(BoundaryError::Byte { byte: last });
        }
        Ok(Self::made(boundary))
    }

    /// The boundary that a `Content-Type` header names (MULTIPART-1).
    ///
    /// # Errors
    /// As [`BoundaryError`] says.
    pub fn of_content_type(header: &[u8]) -> Result<Self, BoundaryError> {
        let content_type = crate::body::content_type::ContentType::parse(header)?;
        if !content_type.is("multipart", "form-data") {
            return Err(BoundaryError::OtherType);
        }
        let boundary = content_type.parameter("boundary").ok_or(BoundaryError::Missing)?;
        Self::new(&boundary)
    }

    /// A boundary of 22 random letters and digits from `seed`: 128 bits that nobody who writes the data may know.
    /// The same seed gives the same boundary; a seed is used once.
    #[must_use]
    pub fn from_seed(seed: u128) -> Self {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut boundary = [OURS, &[0; 22]].concat();
        let mut left = mixed(seed);
        for letter in boundary.iter_mut().skip(OURS.len()) {
            let digit = usize::try_from(left % 62).unwrap_or(0);
            *letter = DIGITS.get(digit).copied().unwrap_or(b'0');
            left /= 62;
        }
        Self::made(&boundary)
    }

    fn made(boundary: &[u8]) -> Self {
        Self { delimiter: Bytes::from([LEAD, boundary].concat()) }
    }

    /// The boundary, without the hyphens in front.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.delimiter.get(LEAD.len()..).unwrap_or(&[])
    }

    /// The value of the `Content-Type` header that names this boundary.
    #[must_use]
    pub fn content_type(&self) -> Bytes {
        let mut value = b"multipart/form-data; boundary=".to_vec();
        crate::body::parameters::put_value(&mut value, self.as_bytes());
        Bytes::from(value)
    }

    /// `\r\n--` and the boundary. A carriage return stands at its start and nowhere else in it: so two of them never
    /// overlap, and after a mismatch nothing of what matched can be the start of another.
    pub(super) const fn delimiter(&self) -> &Bytes {
        &self.delimiter
    }

    /// Where the first whole delimiter begins.
    #[inline]
    pub(super) fn find(&self, data: &[u8]) -> Option<usize> {
        let delimiter = &self.delimiter[..];
        let (last, _) = delimiter.split_last()?;
        let behind = delimiter.len().saturating_sub(1);
        // The same positions twice: where the first byte may stand, and where the last one then does.
        let mut firsts = data.get(..data.len().checked_sub(behind)?)?;
        let mut lasts = data.get(behind..)?;
        let mut at: usize = 0;
        while let (Some((first, firsts_left)), Some((end, lasts_left))) =
            (firsts.split_first_chunk::<BLOCK>(), lasts.split_first_chunk::<BLOCK>())
        {
            if may_begin(first, end, *last) {
                if let Some(found) = first_whole(data, at, first, delimiter) {
                    return Some(found);
                }
            }
            (firsts, lasts) = (firsts_left, lasts_left);
            at = at.saturating_add(BLOCK);
        }
        first_whole(data, at, firsts, delimiter)
    }

    /// How many bytes at the end of `data` may be the start of a delimiter. There is none in `data`.
    #[inline]
    pub(super) fn begun(&self, data: &[u8]) -> usize {
        let reach = self.delimiter.len().saturating_sub(1);
        let tail = data.get(data.len().saturating_sub(reach)..).unwrap_or(data);
        let Some(at) = memrchr(CR, tail) else { return 0 };
        let begun = tail.get(at..).unwrap_or(&[]);
        if self.delimiter.starts_with(begun) { begun.len() } else { 0 }
    }
}

/// Whether a delimiter may begin in this block: somewhere its first byte stands, and its last byte as far behind as it
/// does in a delimiter. Both at once, because each alone is frequent in some data: returns in text, and the last byte
/// in what a peer makes up of near-boundaries.
#[inline]
fn may_begin(first: &[u8; BLOCK], last: &[u8; BLOCK], end: u8) -> bool {
    // Without a branch inside, so that a compiler can do many bytes at once.
    let both = |(a, b): (&u8, &u8)| u8::from(*a == CR) & u8::from(*b == end);
    first.iter().zip(last).map(both).fold(0, |any, one| any | one) != 0
}

/// Where the first whole delimiter begins of those that begin in `block`, which stands at `at` in `data`.
#[inline(never)]
fn first_whole(data: &[u8], at: usize, block: &[u8], delimiter: &[u8]) -> Option<usize> {
    memchr_iter(CR, block)
        .map(|offset| at.saturating_add(offset))
        .find(|start| data.get(*start..).is_some_and(|rest| rest.starts_with(delimiter)))
}

/// Spreads a seed over all bits, without losing any: two rounds, each half into the other.
fn mixed(seed: u128) -> u128 {
    let (mut high, mut low) = (half(seed >> 64), half(seed));
    for _ in 0..2 {
        high ^= SplitMix64::new(low).next();
        low ^= SplitMix64::new(high).next();
    }
    (u128::from(high) << 64) | u128::from(low)
}

/// The lower half.
fn half(of: u128) -> u64 {
    u64::try_from(of & u128::from(u64::MAX)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// MULTIPART-5: across the borders of the blocks that the search goes by, in what hides a boundary best.
    #[test]
    fn a_delimiter_is_found_wherever_it_stands_and_whatever_is_around_it() {
        for boundary in [&b"X"[..], b"----WebKitFormBoundary7MA4YWxkTrZu0gW9", &[b'-'; 70]] {
            let boundary = Boundary::new(boundary).unwrap();
            let delimiter = boundary.delimiter().clone();
            let last = *delimiter.last().unwrap();
            for filler in [b'a', CR, last, b'-'] {
                for at in 0..2 * BLOCK + 3 {
                    let mut data = vec![filler; at + delimiter.len() + at % 5];
                    data[at..at + delimiter.len()].copy_from_slice(&delimiter);
                    assert_eq!(boundary.find(&data), Some(at), "{filler:#x}");
                    // Without its last byte it is none, but its start if nothing follows.
                    let cut = &data[..at + delimiter.len() - 1];
                    assert_eq!((boundary.find(cut), boundary.begun(cut)), (None, delimiter.len() - 1));
                    data[at + delimiter.len() - 1] ^= 1;
                    assert_eq!(boundary.find(&data), None, "{filler:#x}");
                }
            }
        }
    }
}
