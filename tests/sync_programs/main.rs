//! Two real repositories and the example `sync` between them: decisions and refusals, broken off anywhere.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs
)]

mod broken_off;
mod chaos;
#[path = "../common/mod.rs"]
mod common;
mod program;
#[path = "../support_repo/mod.rs"]
mod support_repo;
#[path = "../sync_pair/mod.rs"]
mod sync_pair;
