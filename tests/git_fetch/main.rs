//! Fetching by its rules, client and server, in every protocol version: alone, together, as recorded, beside the real Git.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs
)]

mod client;
mod harness;
mod negotiator;
mod real;
#[path = "../real_fetch/mod.rs"]
mod real_fetch;
#[path = "../real_git/mod.rs"]
mod real_git;
mod recorded;
#[path = "../scratch/mod.rs"]
mod scratch;
mod stateless;
mod upload_pack;
mod v2_client;
mod versions;
