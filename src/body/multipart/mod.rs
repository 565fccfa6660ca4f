//! multipart/form-data (RFC 7578, RFC 2046), as browsers and others send it.
//!
//! ```text
//! bytes, any split ──► Parser ──► Part, Data …, PartEnd, Part, …, Finished
//! part, write …, part, … finish ──► Writer ──► bytes, and their number before the first of them
//! ```
//!
//! Neither ever holds a body: data passes through as slices of what came in. A [`Boundary`] comes from the content
//! type when reading, and from a seed when writing.
//!
//! Limits: those of [`parser::Config`] and [`writer::Config`]. Rules: `spec/14-multipart.md`.

mod boundary;
pub mod parser;
mod seek;
pub mod writer;

pub use boundary::{Boundary, BoundaryError};
pub use parser::Parser;
pub use writer::Writer;
