//! Every decoder and encoder by its rules: frames, carriers, pkt-lines, the values of Git and of the control channel.
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
mod frame;
mod pkt;
mod values;
