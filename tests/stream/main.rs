//! Credit streams and links: the lifecycle, both ends of a stream, calls and their streams.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs
)]

mod endpoint;
mod endpoint_waits;
mod lifecycle;
mod rpc_batch;
mod rpc_link;
mod rpc_streams;
#[path = "../rpc_support/mod.rs"]
mod rpc_support;
mod throughput;
