//! The headers of a part that is to be written.

use alloc::vec::Vec;

use bytes::Bytes;
use memchr::memchr3;

use super::super::boundary::{Boundary, LINE_END};
use crate::body::content_disposition::put_form_data;
use crate::body::parameters::is_token;

/// A part before its data.
///
/// ```
/// use portline::body::multipart::writer::Head;
/// let photo = Head { length: Some(1 << 30), ..Head::file("photo", "me.jpg", "image/jpeg") };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The field's name; quotes and line ends are escaped as browsers do.
    pub name: Bytes,
    /// The file's name, escaped too; `None` for a part that is no file.
    pub filename: Option<Bytes>,
    /// The `Content-Type`, as it is to stand there.
    pub content_type: Option<Bytes>,
    /// Further headers: name and value.
    pub headers: Vec<(Bytes, Bytes)>,
    /// How many bytes of data follow, if that is known: exactly so many then do.
    pub length: Option<u64>,
}

/// Why a part cannot have such headers. The caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// A NUL in a name: it cannot be escaped.
    #[error("a name with a NUL in it cannot be written")]
    Name,
    /// A header's name that is no token.
    #[error("a header's name is no token")]
    HeaderName,
    /// A line end or a NUL in a header's value.
    #[error("a header's value with a line end or a NUL in it cannot be written")]
    HeaderValue,
    /// A further header that the writer makes itself, or that would say that the data is encoded.
    #[error("a header that the writer makes itself")]
    Reserved,
}

impl Head {
    /// A part that is no file.
    pub fn field(name: impl Into<Bytes>) -> Self {
        Self { name: name.into(), filename: None, content_type: None, headers: Vec::new(), length: None }
    }

    /// A file.
    pub fn file(name: impl Into<Bytes>, filename: impl Into<Bytes>, content_type: impl Into<Bytes>) -> Self {
        Self { filename: Some(filename.into()), content_type: Some(content_type.into()), ..Self::field(name) }
    }

    /// What stands in front of the data: the boundary's line and the headers with their blank line.
    pub(super) fn block(&self, boundary: &Boundary, is_first: bool) -> Result<Bytes, HeadError> {
        if self.name.contains(&0) || self.filename.as_ref().is_some_and(|filename| filename.contains(&0)) {
            return Err(HeadError::Name);
        }
        let mut out = Vec::with_capacity(self.room(boundary));
        out.extend_from_slice(boundary.delimiter().get(if is_first { LINE_END } else { 0 }..).unwrap_or(&[]));
        out.extend_from_slice(b"\r\nContent-Disposition: ");
        put_form_data(&mut out, &self.name, self.filename.as_deref());
        out.extend_from_slice(b"\r\n");
        if let Some(content_type) = &self.content_type {
            put_header(&mut out, b"Content-Type", content_type)?;
        }
        for (name, value) in &self.headers {
            let reserved = [&b"Content-Disposition"[..], b"Content-Type", b"Content-Transfer-Encoding"];
            if reserved.iter().any(|one| name.eq_ignore_ascii_case(one)) {
                return Err(HeadError::Reserved);
            }
            put_header(&mut out, name, value)?;
        }
        out.extend_from_slice(b"\r\n");
        Ok(Bytes::from(out))
    }

    /// About what the block takes.
    fn room(&self, boundary: &Boundary) -> usize {
        let filename = self.filename.as_ref().map_or(0, |filename| filename.len().saturating_add(13));
        let content_type = self.content_type.as_ref().map_or(0, |kind| kind.len().saturating_add(16));
        let named = self.name.len().saturating_add(boundary.delimiter().len()).saturating_add(48);
        named.saturating_add(filename).saturating_add(content_type)
    }
}

fn put_header(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(HeadError::HeaderName);
    }
    if memchr3(b'\r', b'\n', 0, value).is_some() {
        return Err(HeadError::HeaderValue);
    }
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
    Ok(())
}
