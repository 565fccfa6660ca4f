//! The drivers as a person runs them: one transfer crosswise between runtimes, calls with streams over TCP.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs
)]

#[path = "../../../../tests/common/mod.rs"]
mod common;
mod drives;
#[path = "../../../../tests/example_program/mod.rs"]
mod example_program;
mod rpc_streams;
