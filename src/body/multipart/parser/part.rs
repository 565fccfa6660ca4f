//! The headers of a part.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use memchr::{memchr, memchr2};

use super::config::Config;
use super::error::Error;
use crate::body::content_disposition::ContentDisposition;
use crate::body::parameters::{is_word, split_token, trim};

/// What a part says of itself, before its data.
///
/// It is a slice of the input and keeps that alive: copy what you keep for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The headers, each line with its end; without the blank line.
    block: Bytes,
    name: Piece,
    filename: Option<Piece>,
    content_type: Option<Piece>,
}

/// A part of the headers: where it stands, or what it means where it cannot be used as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    At(Range<usize>),
    Made(Vec<u8>),
}

impl Piece {
    /// `piece` of `block`, as its place if it is borrowed from there.
    fn of(block: &[u8], piece: Cow<'_, [u8]>) -> Self {
        match piece {
            Cow::Owned(made) => Self::Made(made),
            Cow::Borrowed(piece) => {
                let start = piece.as_ptr().addr().wrapping_sub(block.as_ptr().addr());
                let range = start..start.wrapping_add(piece.len());
                if block.get(range.clone()) == Some(piece) {
                    Self::At(range)
                } else {
                    Self::Made(piece.to_vec())
                }
            }
        }
    }

    fn in_block<'a>(&'a self, block: &'a [u8]) -> &'a [u8] {
        match self {
            Self::At(range) => block.get(range.clone()).unwrap_or(&[]),
            Self::Made(made) => made,
        }
    }
}

impl Part {
    /// The field's name, unescaped: bytes, most often UTF-8. Several parts may have the same one.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.name.in_block(&self.block)
    }

    /// The file's name at the peer, unescaped; `None` for a part that is no file. Empty where no file was chosen.
    ///
    /// It is the peer's word: never a path to write to.
    #[must_use]
    pub fn filename(&self) -> Option<&[u8]> {
        self.filename.as_ref().map(|filename| filename.in_block(&self.block))
    }

    /// The content type: the one sent, else `application/octet-stream` for a file and `text/plain` for a field.
    #[must_use]
    pub fn content_type(&self) -> &[u8] {
        match &self.content_type {
            Some(sent) => sent.in_block(&self.block),
            None if self.filename.is_some() => b"application/octet-stream",
            None => b"text/plain",
        }
    }

    /// Whether the content type was sent.
    #[must_use]
    pub const fn has_content_type(&self) -> bool {
        self.content_type.is_some()
    }

    /// The value of the first header with this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.headers().find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// All headers in their order: name and value. A value that was folded over several lines is one line here.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], Cow<'_, [u8]>)> {
        Lines { block: &self.block, rest: &self.block }.map_while(Result::ok)
    }

    /// The headers as they came: a slice of the input if they came in one piece.
    #[must_use]
    pub const fn raw_headers(&self) -> &Bytes {
        &self.block
    }

    /// Reads a block of headers.
    pub(super) fn parse(block: Bytes, config: &Config) -> Result<Self, Error> {
        let (name, filename, content_type) = pieces(&block, config)?;
        Ok(Self { block, name, filename, content_type })
    }
}

/// The field's name, the file's and the content type in a block of headers.
fn pieces(block: &[u8], config: &Config) -> Result<(Piece, Option<Piece>, Option<Piece>), Error> {
    let (mut disposition, mut content_type) = (None, None);
    for (count, line) in (Lines { block, rest: block }).enumerate() {
        if count >= config.max_headers {
            return Err(Error::TooManyHeaders { limit: config.max_headers });
        }
        let (name, value) = line?;
        // The length first: comparing in any case is the longer part.
        let (slot, known) = match name.len() {
            19 if is_word(name, b"Content-Disposition") => (&mut disposition, "Content-Disposition"),
            12 if is_word(name, b"Content-Type") => (&mut content_type, "Content-Type"),
            25 if is_word(name, b"Content-Transfer-Encoding") && !is_identity(&value) => {
                return Err(Error::TransferEncoding);
            }
            _ => continue,
        };
        if slot.replace(value).is_some() {
            return Err(Error::DuplicateHeader { name: known });
        }
    }
    let disposition = disposition.ok_or(Error::NoDisposition)?;
    let (name, filename) = names(&disposition, config)?;
    let filename = filename.map(|filename| Piece::of(block, filename));
    let content_type = content_type.map(|value| Piece::of(block, value));
    Ok((Piece::of(block, name), filename, content_type))
}

type Names<'a> = (Cow<'a, [u8]>, Option<Cow<'a, [u8]>>);

/// The names in a content disposition.
fn names<'a>(disposition: &'a [u8], config: &Config) -> Result<Names<'a>, Error> {
    let disposition = ContentDisposition::parse(disposition)?;
    if !disposition.is_form_data() {
        return Err(Error::NotFormData);
    }
    let (name, filename) = disposition.into_names();
    let name = name.ok_or(Error::NoName)?;
    let length = name.len().max(filename.as_deref().map_or(0, <[u8]>::len));
    if length > config.max_name {
        return Err(Error::NameTooLong { length, limit: config.max_name });
    }
    Ok((name, filename))
}

/// Whether a transfer encoding leaves the bytes as they are.
fn is_identity(encoding: &[u8]) -> bool {
    [&b"7bit"[..], b"8bit", b"binary"].iter().any(|one| encoding.eq_ignore_ascii_case(one))
}

/// The headers of a block. After an error comes nothing.
struct Lines<'a> {
    block: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<(&'a [u8], Cow<'a, [u8]>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let at = self.block.len().saturating_sub(self.rest.len());
        let line = self.line();
        let read = line.and_then(read_line);
        if read.is_none() {
            self.rest = &[];
        }
        Some(read.ok_or(Error::Header { at }))
    }
}

impl<'a> Lines<'a> {
    /// The next line, without its end. Lines that begin with a blank go on with the one before.
    fn line(&mut self) -> Option<&'a [u8]> {
        let mut end: usize = 0;
        loop {
            end = end.saturating_add(memchr(b'\n', self.rest.get(end..)?)?).saturating_add(1);
            let (line, rest) = self.rest.split_at_checked(end)?;
            let line = line.strip_suffix(b"\r\n")?;
            if !matches!(rest.first(), Some(b' ' | b'\t')) {
                self.rest = rest;
                return Some(line);
            }
        }
    }
}

/// Name and value of a line, or `None` for a line that is no header.
fn read_line(line: &[u8]) -> Option<(&[u8], Cow<'_, [u8]>)> {
    let (name, behind) = split_token(line);
    let (colon, value) = behind.split_first()?;
    if name.is_empty() || *colon != b':' {
        return None;
    }
    let value = trim(value);
    match memchr2(b'\r', 0, value) {
        None => Some((name, Cow::Borrowed(value))),
        Some(_) => Some((name, Cow::Owned(trim(&unfolded(value)?).to_vec()))),
    }
}

/// A value without the line ends that a blank follows. `None`: there is another CR in it, or a NUL.
fn unfolded(value: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = memchr2(b'\r', 0, rest) {
        let (before, behind) = rest.split_at_checked(at)?;
        out.extend_from_slice(before);
        // Every LF in a line has a blank behind it: otherwise the line would have ended.
        rest = behind.strip_prefix(b"\r\n")?;
    }
    out.extend_from_slice(rest);
    Some(out)
}
