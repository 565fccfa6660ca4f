//! Programs that are built for their tests: the drivers of one transfer, crosswise; calls over TCP; the freestanding program.
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
mod drives;
mod no_std_link;
mod rpc_program;
#[path = "../support_drivers/mod.rs"]
mod support_drivers;
#[path = "../support_repo/mod.rs"]
mod support_repo;
