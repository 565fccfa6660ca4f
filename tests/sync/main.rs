//! Plans, the ancestry that they stand on, sessions over a port, the bytes that a sync costs, and syncs that go on
//! over connections that break.
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
    dead_code,
    missing_docs
)]

mod ancestry;
#[path = "../common/mod.rs"]
mod common;
mod peer_faults;
mod peer_session;
mod peer_waits;
mod plan;
mod resilient;
mod settings;
#[path = "../sync_history/mod.rs"]
mod sync_history;
#[path = "../toy/mod.rs"]
mod toy;
mod traffic;
