//! Why a body could not be read to its end.

use crate::body::content_disposition;
use crate::error::Blame;

/// Where the body was when it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the line of a boundary.
    Boundary,
    /// In the headers of a part.
    Headers,
    /// In a part's data.
    Data,
}

/// What ended a [`super::Parser`] badly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The body ended, and the boundary stood nowhere in it (MULTIPART-10).
    #[error("the body does not have the boundary that its content type names")]
    NoBoundary,
    /// The body ended before the boundary that closes it (MULTIPART-10).
    #[error("the body stopped {}", match .place {
        Place::Boundary => "on the line of a boundary",
        Place::Headers => "in the headers of a part",
        Place::Data => "in the data of a part",
    })]
    Truncated {
        /// Where it stopped.
        place: Place,
    },
    /// More stands in front of the first boundary than is allowed (MULTIPART-21).
    #[error("more than {limit} bytes in front of the first boundary")]
    PreambleTooLong {
        /// [`super::Config::max_preamble`].
        limit: usize,
    },
    /// More stands behind the last boundary than is allowed (MULTIPART-21).
    #[error("more than {limit} bytes behind the last boundary")]
    EpilogueTooLong {
        /// [`super::Config::max_epilogue`].
        limit: usize,
    },
    /// A boundary is followed by something else than blanks and the end of its line (MULTIPART-6).
    #[error("byte {found:#04x} stands behind a boundary")]
    AfterBoundary {
        /// The byte.
        found: u8,
    },
    /// The headers of a part, or the blanks behind a boundary, are longer than allowed (MULTIPART-20).
    #[error("the headers of a part are longer than the limit of {limit} bytes")]
    HeadersTooLong {
        /// [`super::Config::max_header_bytes`].
        limit: usize,
    },
    /// A part has more headers than allowed (MULTIPART-20).
    #[error("a part has more than {limit} headers")]
    TooManyHeaders {
        /// [`super::Config::max_headers`].
        limit: usize,
    },
    /// A line of a part's headers is none: no colon, no name, or a byte that cannot stand there (MULTIPART-11).
    #[error("the header at byte {at} of a part's headers is malformed")]
    Header {
        /// Where the line begins in the headers.
        at: usize,
    },
    /// A header that may be there once is there twice (MULTIPART-12).
    #[error("a part has two headers {name}")]
    DuplicateHeader {
        /// The header.
        name: &'static str,
    },
    /// A part has no `Content-Disposition` (MULTIPART-13).
    #[error("a part has no Content-Disposition")]
    NoDisposition,
    /// A part's `Content-Disposition` is not `form-data` (MULTIPART-13).
    #[error("a part's Content-Disposition is not form-data")]
    NotFormData,
    /// A part's `Content-Disposition` names no field (MULTIPART-13).
    #[error("a part has no name")]
    NoName,
    /// A part's `Content-Disposition` is malformed (MULTIPART-14).
    #[error("a part's Content-Disposition: {0}")]
    Disposition(#[from] content_disposition::Error),
    /// A field's or a file's name is longer than allowed (MULTIPART-20).
    #[error("a name of {length} bytes is longer than the limit of {limit}")]
    NameTooLong {
        /// Its bytes.
        length: usize,
        /// [`super::Config::max_name`].
        limit: usize,
    },
    /// A part's data is in a transfer encoding, which forms do not have (MULTIPART-19).
    #[error("a part is in a transfer encoding that changes its bytes")]
    TransferEncoding,
    /// There are more parts than allowed (MULTIPART-20).
    #[error("more than {limit} parts")]
    TooManyParts {
        /// [`super::Config::max_parts`].
        limit: usize,
    },
    /// A part's data is longer than allowed; as much of it was handed on (MULTIPART-20).
    #[error("a part is longer than the limit of {limit} bytes")]
    PartTooLong {
        /// [`super::Config::max_part`].
        limit: u64,
    },
    /// The body is longer than allowed (MULTIPART-20).
    #[error("the body is longer than the limit of {limit} bytes")]
    BodyTooLong {
        /// [`super::Config::max_body`].
        limit: u64,
    },
    /// Input was given although `wants_input` was false (MULTIPART-23).
    #[error("input was given beyond the limit of {limit} bytes that wait")]
    Overrun {
        /// [`super::Config::input_bytes`].
        limit: usize,
    },
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::NoBoundary
            | Self::PreambleTooLong { .. }
            | Self::EpilogueTooLong { .. }
            | Self::AfterBoundary { .. }
            | Self::HeadersTooLong { .. }
            | Self::TooManyHeaders { .. }
            | Self::Header { .. }
            | Self::DuplicateHeader { .. }
            | Self::NoDisposition
            | Self::NotFormData
            | Self::NoName
            | Self::Disposition(_)
            | Self::NameTooLong { .. }
            | Self::TransferEncoding
            | Self::TooManyParts { .. }
            | Self::PartTooLong { .. }
            | Self::BodyTooLong { .. } => Blame::Peer,
            Self::Truncated { .. } => Blame::Transport,
            Self::Overrun { .. } => Blame::Caller,
        }
    }
}
