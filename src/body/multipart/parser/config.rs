//! What a parser can be told.

use super::super::Boundary;
use crate::limits;

/// The configuration of a [`super::Parser`]: the boundary, and how much a peer may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The boundary that the content type names.
    pub boundary: Boundary,
    /// Parts of the body.
    pub max_parts: usize,
    /// Bytes of one part's headers, the blank line included; also the blanks behind one boundary.
    pub max_header_bytes: usize,
    /// Headers of one part.
    pub max_headers: usize,
    /// Bytes of a field's name and of a file's, unescaped.
    pub max_name: usize,
    /// Bytes in front of the first boundary.
    pub max_preamble: usize,
    /// Bytes behind the last boundary.
    pub max_epilogue: usize,
    /// Bytes of one part's data.
    pub max_part: u64,
    /// Bytes of the whole body.
    pub max_body: u64,
    /// Bytes of input that wait, overhead included, when more than one piece does.
    pub input_bytes: usize,
}

impl Config {
    /// The defaults, for the boundary that the content type names.
    #[must_use]
    pub const fn new(boundary: Boundary) -> Self {
        Self {
            boundary,
            max_parts: limits::PARTS,
            max_header_bytes: limits::PART_HEADER_BYTES,
            max_headers: limits::PART_HEADERS,
            max_name: limits::PART_NAME,
            max_preamble: limits::PREAMBLE,
            max_epilogue: limits::PREAMBLE,
            max_part: limits::PART_BYTES,
            max_body: limits::MULTIPART_BYTES,
            input_bytes: limits::FORM_INPUT,
        }
    }
}
