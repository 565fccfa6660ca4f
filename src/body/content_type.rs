//! The `Content-Type` header (RFC 9110, 8.3).
//!
//! ```
//! use portline::body::content_type::ContentType;
//! let header = ContentType::parse(b"Multipart/Form-Data; charset=utf-8; Boundary=\"a\\\"b\"")?;
//! assert!(header.is("multipart", "form-data"));
//! assert_eq!(header.parameter("boundary").as_deref(), Some(&b"a\"b"[..]));
//! # Ok::<(), portline::body::content_type::Error>(())
//! ```
//!
//! Limits: [`limits::PARAMETERS`]; a header is as long as the caller lets it be, and each byte is looked at a bounded
//! number of times. Rules: MULTIPART-1 to MULTIPART-3.

use alloc::borrow::Cow;

pub use super::parameters::Error as ParameterError;
use super::parameters::{Parameters, split_token, trim_start};
use crate::limits;

/// What was wrong with a content type. Whose fault it is depends on where it came from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It does not begin with `type/subtype`.
    #[error("a content type begins with type/subtype")]
    Type,
    /// A parameter is malformed.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A parameter is there twice, and says two things.
    #[error("a parameter is there twice, with two values")]
    Duplicate,
    /// There are more parameters than anyone sends.
    #[error("more than {limit} parameters")]
    TooMany {
        /// [`limits::PARAMETERS`].
        limit: usize,
    },
}

/// A content type, borrowed from its header.
#[derive(Clone, Debug)]
pub struct ContentType<'a> {
    kind: &'a [u8],
    subtype: &'a [u8],
    parameters: Parameters<'a>,
}

impl<'a> ContentType<'a> {
    /// Reads the value of the header; blanks around it are passed over.
    ///
    /// # Errors
    /// As [`Error`] says. All parameters are looked at.
    pub fn parse(header: &'a [u8]) -> Result<Self, Error> {
        let (kind, behind) = split_token(trim_start(header));
        let Some((b'/', behind)) = behind.split_first() else { return Err(Error::Type) };
        let (subtype, rest) = split_token(behind);
        if kind.is_empty() || subtype.is_empty() {
            return Err(Error::Type);
        }
        let parameters = Parameters::new(header, rest);
        for (count, read) in parameters.clone().enumerate() {
            if count >= limits::PARAMETERS {
                return Err(Error::TooMany { limit: limits::PARAMETERS });
            }
            let (name, value) = read?;
            // Only the first of a name is ever asked for.
            let first = parameters.clone().flatten().find(|(other, _)| other.eq_ignore_ascii_case(name));
            if first.is_some_and(|(_, first)| first.unescaped() != value.unescaped()) {
                return Err(Error::Duplicate);
            }
        }
        Ok(Self { kind, subtype, parameters })
    }

    /// The type, as it stands there.
    #[must_use]
    pub const fn kind(&self) -> &'a [u8] {
        self.kind
    }

    /// The subtype, as it stands there.
    #[must_use]
    pub const fn subtype(&self) -> &'a [u8] {
        self.subtype
    }

    /// Whether it is this type, in any case.
    #[must_use]
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind.as_bytes())
            && self.subtype.eq_ignore_ascii_case(subtype.as_bytes())
    }

    /// The value of a parameter, unquoted; its name in any case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        let mut parameters = self.parameters.clone().flatten();
        let found = parameters.find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| value.unescaped())
    }

    /// The parameters in their order, unquoted.
    pub fn parameters(&self) -> impl Iterator<Item = (&'a [u8], Cow<'a, [u8]>)> {
        self.parameters.clone().flatten().map(|(name, value)| (name, value.unescaped()))
    }
}
