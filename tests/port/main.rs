//! Ports, each machine by its rules: sender, receiver and duplex, both ends under the seeded link, and the vectors.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs
)]

#[path = "../common/mod.rs"]
mod common;
mod link;
mod receiver;
mod sender;
mod vectors;
