//! Frames.

/// Bytes of a frame header: type and id.
pub const HEADER_LEN: usize = 5;
