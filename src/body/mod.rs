//! Bodies that are never held whole.
//!
//! ```text
//!                          form            fields → urlencoded or multipart
//!            ┌───────────────┴───────┐
//!        urlencoded              multipart          parser and writer of each
//!                     ┌──────────────┴──────┐
//!              content_disposition     content_type
//!                     └──────┬──────────────┘
//!                        parameters
//! ```
//!
//! Rules: `spec/14-multipart.md`.

pub mod content_disposition;
pub mod content_type;
pub mod form;
mod input;
pub mod multipart;
mod parameters;
pub mod urlencoded;
