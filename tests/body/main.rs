//! Bodies by their rules: the queue, the readable stream and its tee, transfers, the registry, forms in both directions.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs
)]

#[path = "../common/mod.rs"]
mod common;
mod form;
mod link;
mod multipart_input;
mod multipart_parser;
mod multipart_recorded;
#[path = "../multipart_support/mod.rs"]
mod multipart_support;
mod multipart_writer;
mod over;
mod queue;
mod readable;
mod readable_vectors;
mod registry;
mod tee;
mod transfer;
