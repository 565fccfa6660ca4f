//! Links and the mux by their rules, and whole sessions over one.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs
)]

#[path = "../common/mod.rs"]
mod common;
mod mux;
mod session;
mod session_rules;
