//! Recovery by its rules: timeouts, idle, retries, operations taken up again, shares of several sources.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs
)]

#[path = "../common/mod.rs"]
mod common;
mod multi_source;
mod multi_source_edges;
mod multi_source_figures;
mod operation;
mod shares;
#[path = "../sources/mod.rs"]
mod sources;
mod timeouts;
#[path = "../toy/mod.rs"]
mod toy;
