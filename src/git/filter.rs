//! Object filters: what a partial clone leaves out.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::limits;
use crate::pkt::hex_byte;

/// A validated filter spec (GIT-20).
///
/// [`encode`](Self::encode) writes the form that goes over the wire: numbers without unit, the parts of a combination
/// escaped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    /// `blob:none`: no blobs.
    BlobNone,
    /// `blob:limit=N`: no blobs of `N` bytes or more.
    BlobLimit(u64),
    /// `tree:N`: no trees or blobs that lie `N` or more levels below the root tree.
    Tree(u64),
    /// `object:type=T`: objects of one type only.
    ObjectType(ObjectType),
    /// `sparse:oid=X`: no blobs outside the sparse checkout that the blob `X` describes. Opaque: an id, or any
    /// expression that the server's repository resolves.
    SparseOid(Bytes),
    /// `combine:A+B…`: what every one of them lets through.
    Combine(Box<[Self]>),
}

/// The type of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectType {
    /// A commit.
    Commit,
    /// A tree.
    Tree,
    /// A blob.
    Blob,
    /// An annotated tag.
    Tag,
}

impl ObjectType {
    /// Git's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }

    /// The type of that name.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        [Self::Commit, Self::Tree, Self::Blob, Self::Tag]
            .into_iter()
            .find(|known| known.name().as_bytes() == name)
    }
}

/// Why a filter spec is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// No filter of this name.
    #[error("no filter of this name is known")]
    Unknown,
    /// A number is missing, malformed, or too large.
    #[error("a filter's number is missing, malformed or too large")]
    Number,
    /// An object type that does not exist.
    #[error("a filter names an object type that does not exist")]
    ObjectType,
    /// A byte that has to be escaped inside of `combine:`, or a broken escape.
    #[error("a combined filter holds a byte that is to be escaped, or a broken escape")]
    Escape,
    /// NUL, CR, LF, or a name that is empty.
    #[error("a filter holds NUL, CR or LF, or is empty")]
    Byte,
    /// Longer than [`limits::FILTER`].
    #[error("a filter is longer than the limit of {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// More parts or deeper nesting than [`limits::FILTER_PARTS`] and [`limits::FILTER_DEPTH`].
    #[error("a combined filter has more than {limit} parts, or is nested too deeply")]
    TooMany {
        /// [`limits::FILTER_PARTS`].
        limit: usize,
    },
}

impl Filter {
    /// Reads a filter spec, as a user or a peer writes it. `k`, `m` and `g` behind a number are taken.
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn parse(spec: &[u8]) -> Result<Self, FilterError> {
        if spec.len() > limits::FILTER {
            return Err(FilterError::TooLong { limit: limits::FILTER });
        }
        let mut parts = 0;
        parse(spec, limits::FILTER_DEPTH, &mut parts)
    }

    /// Every one of `filters` at once, as several `--filter` options ask for; `None` of none.
    ///
    /// # Errors
    /// [`FilterError`], where no peer could read them together: mostly that they are too many or too long.
    pub fn all(filters: impl IntoIterator<Item = Self>) -> Result<Option<Self>, FilterError> {
        let mut parts: Vec<Self> = filters.into_iter().collect();
        match parts.len() {
            0 | 1 => Ok(parts.pop()),
            _ => Self::parse(&Self::Combine(parts.into()).encode()).map(Some),
        }
    }

    /// The spec as it is sent.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::BlobNone => b"blob:none".to_vec(),
            Self::BlobLimit(limit) => format!("blob:limit={limit}").into_bytes(),
            Self::Tree(levels) => format!("tree:{levels}").into_bytes(),
            Self::ObjectType(kind) => format!("object:type={}", kind.name()).into_bytes(),
            Self::SparseOid(blob) => [b"sparse:oid=", &blob[..]].concat(),
            Self::Combine(parts) => {
                let mut spec = b"combine:".to_vec();
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        spec.push(b'+');
                    }
                    escape_to(&mut spec, &part.encode());
                }
                spec
            }
        }
    }
}

fn parse(spec: &[u8], depth: usize, parts: &mut usize) -> Result<Filter, FilterError> {
    *parts = parts.saturating_add(1);
    if *parts > limits::FILTER_PARTS || depth == 0 {
        return Err(FilterError::TooMany { limit: limits::FILTER_PARTS });
    }
    if spec == b"blob:none" {
        Ok(Filter::BlobNone)
    } else if let Some(limit) = spec.strip_prefix(b"blob:limit=") {
        number(limit).map(Filter::BlobLimit)
    } else if let Some(levels) = spec.strip_prefix(b"tree:") {
        number(levels).map(Filter::Tree)
    } else if let Some(name) = spec.strip_prefix(b"object:type=") {
        ObjectType::from_name(name).map(Filter::ObjectType).ok_or(FilterError::ObjectType)
    } else if let Some(blob) = spec.strip_prefix(b"sparse:oid=") {
        if blob.is_empty() || blob.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
            return Err(FilterError::Byte);
        }
        Ok(Filter::SparseOid(Bytes::copy_from_slice(blob)))
    } else if let Some(list) = spec.strip_prefix(b"combine:") {
        let mut all = Vec::new();
        for part in list.split(|byte| *byte == b'+') {
            all.push(parse(&unescape(part)?, depth.saturating_sub(1), parts)?);
        }
        Ok(Filter::Combine(all.into()))
    } else {
        Err(FilterError::Unknown)
    }
}

/// Digits, and a unit of 1024, 1024² or 1024³.
fn number(text: &[u8]) -> Result<u64, FilterError> {
    let (digits, shift) = match text.split_last() {
        Some((b'k' | b'K', digits)) => (digits, 10),
        Some((b'm' | b'M', digits)) => (digits, 20),
        Some((b'g' | b'G', digits)) => (digits, 30),
        _ => (text, 0),
    };
    if digits.is_empty() {
        return Err(FilterError::Number);
    }
    let mut value: u64 = 0;
    for digit in digits {
        let digit = char::from(*digit).to_digit(10).ok_or(FilterError::Number)?;
        value =
            value.checked_mul(10).and_then(|ten| ten.checked_add(digit.into())).ok_or(FilterError::Number)?;
    }
    value.checked_mul(1 << shift).ok_or(FilterError::Number)
}

/// What has to be escaped inside a combination, besides what is not printable and `+` and `%` themselves.
const RESERVED: &[u8] = b"~`!@#$^&*()[]{}\\;'\",<>?";

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !RESERVED.contains(&byte) && !matches!(byte, b'+' | b'%')
}

fn unescape(text: &[u8]) -> Result<Vec<u8>, FilterError> {
    let mut bytes = text.iter();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match *byte {
            b'%' => {
                let digits = bytes.next().zip(bytes.next());
                digits.and_then(|(high, low)| hex_byte(*high, *low)).ok_or(FilterError::Escape)?
            }
            byte if is_plain(byte) || !byte.is_ascii() => byte,
            _ => return Err(FilterError::Escape),
        });
    }
    Ok(plain)
}

fn escape_to(to: &mut Vec<u8>, text: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in text {
        if is_plain(*byte) {
            to.push(*byte);
        } else {
            let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
            to.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(spec: &str) -> Result<Filter, FilterError> {
        Filter::parse(spec.as_bytes())
    }

    #[test]
    fn git_20_every_filter_is_read_and_written() {
        for (spec, filter, wire) in [
            ("blob:none", Filter::BlobNone, "blob:none"),
            ("blob:limit=0", Filter::BlobLimit(0), "blob:limit=0"),
            ("blob:limit=2k", Filter::BlobLimit(2048), "blob:limit=2048"),
            ("blob:limit=1M", Filter::BlobLimit(1 << 20), "blob:limit=1048576"),
            ("blob:limit=3g", Filter::BlobLimit(3 << 30), "blob:limit=3221225472"),
            ("tree:3", Filter::Tree(3), "tree:3"),
            ("object:type=tag", Filter::ObjectType(ObjectType::Tag), "object:type=tag"),
            (
                "sparse:oid=main:a b",
                Filter::SparseOid(Bytes::from_static(b"main:a b")),
                "sparse:oid=main:a b",
            ),
            (
                "combine:tree:2+sparse:oid=a%2bb%20c",
                Filter::Combine([Filter::Tree(2), Filter::SparseOid(Bytes::from_static(b"a+b c"))].into()),
                "combine:tree:2+sparse:oid=a%2bb%20c",
            ),
        ] {
            assert_eq!(read(spec), Ok(filter.clone()), "{spec}");
            assert_eq!(filter.encode(), wire.as_bytes());
            assert_eq!(Filter::parse(&filter.encode()), Ok(filter));
        }
        let parts = [Filter::BlobNone, Filter::Combine([Filter::Tree(1), Filter::BlobNone].into())];
        let all = Filter::all(parts).unwrap().unwrap();
        assert_eq!(all.encode(), b"combine:blob:none+combine:tree:1%2bblob:none");
        assert_eq!(Filter::parse(&all.encode()), Ok(all));
        assert_eq!(Filter::all([Filter::BlobNone]), Ok(Some(Filter::BlobNone)));
        assert_eq!(Filter::all([]), Ok(None));
    }

    /// T10, T17.
    #[test]
    fn git_20_bad_filters_are_named() {
        for (spec, error) in [
            ("", FilterError::Unknown),
            ("blob", FilterError::Unknown),
            ("sparse:path=x", FilterError::Unknown),
            ("blob:limit=", FilterError::Number),
            ("blob:limit=k", FilterError::Number),
            ("blob:limit=-1", FilterError::Number),
            ("tree:18446744073709551616", FilterError::Number),
            ("tree:18014398509481984k", FilterError::Number),
            ("object:type=branch", FilterError::ObjectType),
            ("sparse:oid=", FilterError::Byte),
            ("sparse:oid=a\nb", FilterError::Byte),
            ("combine:", FilterError::Unknown),
            ("combine:tree:1+", FilterError::Unknown),
            ("combine:sparse:oid=a b", FilterError::Escape),
            ("combine:tree:%3", FilterError::Escape),
            ("combine:tree:%+1", FilterError::Escape),
        ] {
            assert_eq!(read(spec), Err(error), "{spec}");
        }
        let many = alloc::format!("combine:{}tree:1", "tree:1+".repeat(limits::FILTER_PARTS));
        assert_eq!(read(&many), Err(FilterError::TooMany { limit: limits::FILTER_PARTS }));
        let long = alloc::format!("sparse:oid={}", "a".repeat(limits::FILTER));
        assert_eq!(read(&long), Err(FilterError::TooLong { limit: limits::FILTER }));
        let mut deep = Filter::BlobNone;
        for _ in 1..limits::FILTER_DEPTH {
            deep = Filter::Combine([deep].into());
        }
        assert_eq!(Filter::parse(&deep.encode()), Ok(deep.clone()));
        let deeper = Filter::Combine([deep].into());
        assert_eq!(
            Filter::parse(&deeper.encode()),
            Err(FilterError::TooMany { limit: limits::FILTER_PARTS })
        );
    }
}
