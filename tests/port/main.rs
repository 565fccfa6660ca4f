//! The port wing's framing and ports, each machine by its rules: messages on pipes, packets, sender, receiver and duplex.
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
mod frame;
mod link;
mod pkt;
mod receiver;
mod sender;
mod vectors;
