//! The `Content-Disposition` header of a part, as browsers and others send it (RFC 7578, RFC 2183, RFC 5987).
//!
//! ```
//! use portline::body::content_disposition::ContentDisposition;
//! let sent = b"form-data; name=\"photo\"; filename=\"my %22best%22.jpg\"";
//! let header = ContentDisposition::parse(sent)?;
//! assert_eq!(header.name(), Some(&b"photo"[..]));
//! assert_eq!(header.filename(), Some(&b"my \"best\".jpg"[..]));
//! # Ok::<(), portline::body::content_disposition::Error>(())
//! ```
//!
//! Names are bytes: what the peer's form had, most often UTF-8. They are never a path, and never safe to print.
//!
//! Limits: none of its own; a header is as long as the caller lets it be, and is read in one pass. Rules:
//! MULTIPART-14 to MULTIPART-18.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

pub use super::parameters::Error as ParameterError;
use super::parameters::{Parameters, Value, is_word, split_token, trim_start};
use super::urlencoded::hex_pair;

/// What was wrong with a content disposition. Whose fault it is depends on where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It does not begin with a type.
    #[error("a content disposition begins with its type")]
    Type,
    /// A parameter is malformed.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A parameter is there twice. Readers differ in which one they take.
    #[error("the parameter {name} is there twice")]
    Duplicate {
        /// `name`, `filename` or `filename*`.
        name: &'static str,
    },
    /// `filename*` is not `charset'language'text`, or its text is none in that charset.
    #[error("the parameter filename* is malformed")]
    Extended,
    /// `filename*` is in a charset other than UTF-8 and ISO-8859-1.
    #[error("the parameter filename* is in a charset that nobody has to know")]
    Charset,
}

/// The field's name and the file's.
pub(crate) type Names<'a> = (Option<Cow<'a, [u8]>>, Option<Cow<'a, [u8]>>);

/// A content disposition, borrowed from its header where nothing was escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentDisposition<'a> {
    kind: &'a [u8],
    name: Option<Cow<'a, [u8]>>,
    filename: Option<Cow<'a, [u8]>>,
}

impl<'a> ContentDisposition<'a> {
    /// Reads the value of the header; blanks around it are passed over. Parameters other than `name`, `filename` and
    /// `filename*` are passed over too.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn parse(header: &'a [u8]) -> Result<Self, Error> {
        let (kind, rest) = split_token(trim_start(header));
        if kind.is_empty() {
            return Err(Error::Type);
        }
        let (mut name, mut filename, mut extended) = (None, None, None);
        for read in Parameters::new(header, rest) {
            let (parameter, value) = read?;
            // The length first: comparing in any case is the longer part of reading a field.
            let (slot, known) = match parameter.len() {
                4 if is_word(parameter, b"name") => (&mut name, "name"),
                8 if is_word(parameter, b"filename") => (&mut filename, "filename"),
                9 if is_word(parameter, b"filename*") => (&mut extended, "filename*"),
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(Error::Duplicate { name: known });
            }
        }
        let filename = match extended {
            // It says more than its plain form, which is there for those who do not know it (RFC 6266, 4.3).
            Some(value) => Some(Cow::Owned(decode_extended(value)?)),
            None => filename.map(Value::unescaped_form),
        };
        Ok(Self { kind, name: name.map(Value::unescaped_form), filename })
    }

    /// Whether it is `form-data`, in any case.
    #[must_use]
    pub fn is_form_data(&self) -> bool {
        is_word(self.kind, b"form-data")
    }

    /// The type, as it stands there.
    #[must_use]
    pub const fn kind(&self) -> &'a [u8] {
        self.kind
    }

    /// The field's name.
    #[must_use]
    pub fn name(&self) -> Option<&[u8]> {
        self.name.as_deref()
    }

    /// The file's name at the peer: `filename*` if it is there, else `filename`. Empty where no file was chosen.
    #[must_use]
    pub fn filename(&self) -> Option<&[u8]> {
        self.filename.as_deref()
    }

    pub(crate) fn into_names(self) -> Names<'a> {
        (self.name, self.filename)
    }
}

/// `UTF-8'en'%e2%82%ac`, as UTF-8 (RFC 5987, 3.2). Some put quotes around it.
fn decode_extended(value: Value<'_>) -> Result<Vec<u8>, Error> {
    let (Value::Token(raw) | Value::Quoted(raw)) = value;
    let mut parts = raw.splitn(3, |byte| *byte == b'\'');
    let (Some(charset), Some(_), Some(mut text)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Error::Extended);
    };
    let mut bytes = Vec::with_capacity(text.len());
    while let Some((first, rest)) = text.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            text = rest;
            continue;
        }
        let (digits, behind) = rest.split_first_chunk::<2>().ok_or(Error::Extended)?;
        bytes.push(hex_pair(*digits).ok_or(Error::Extended)?);
        text = behind;
    }
    if charset.eq_ignore_ascii_case(b"utf-8") {
        let text = String::from_utf8(bytes).map_err(|_| Error::Extended)?;
        return Ok(text.into_bytes());
    }
    if charset.eq_ignore_ascii_case(b"iso-8859-1") {
        return Ok(bytes.into_iter().map(char::from).collect::<String>().into_bytes());
    }
    Err(Error::Charset)
}

/// Appends the value of the header as browsers write it: in names a quote is `%22`, CR `%0D`, LF `%0A`. A backslash
/// that readers by the RFC would take for an escape, in front of another one or at the end, is doubled.
pub(crate) fn put_form_data(out: &mut Vec<u8>, name: &[u8], filename: Option<&[u8]>) {
    out.extend_from_slice(b"form-data; name=\"");
    put_escaped(out, name);
    out.push(b'"');
    if let Some(filename) = filename {
        out.extend_from_slice(b"; filename=\"");
        put_escaped(out, filename);
        out.push(b'"');
    }
}

fn put_escaped(out: &mut Vec<u8>, mut name: &[u8]) {
    while let Some((first, rest)) = name.split_first() {
        match first {
            b'"' => out.extend_from_slice(b"%22"),
            b'\r' => out.extend_from_slice(b"%0D"),
            b'\n' => out.extend_from_slice(b"%0A"),
            b'\\' => {
                let run = name.iter().take_while(|byte| **byte == b'\\').count();
                let behind = name.get(run..).unwrap_or(&[]);
                let alone = run == 1 && !behind.is_empty();
                out.extend(core::iter::repeat_n(b'\\', if alone { 1 } else { run.saturating_mul(2) }));
                name = behind;
                continue;
            }
            _ => out.push(*first),
        }
        name = rest;
    }
}
