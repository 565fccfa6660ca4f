//! Plans, the ancestry that they stand on, sessions over a port, and the bytes that a sync costs.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    missing_docs
)]

mod ancestry;
#[path = "../common/mod.rs"]
mod common;
mod peer_session;
mod plan;
#[path = "../sync_history/mod.rs"]
mod sync_history;
#[path = "../toy/mod.rs"]
mod toy;
mod traffic;
