//! The programs of the examples, as a person runs them: Git's with the real Git at their other end, two repositories
//! synced and broken off anywhere, a file through pipes, uploads from curl. And the two programs in which the crate has
//! no `std`: they are built while others wait for each other.
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
mod embedded;
mod form_upload;
mod freestanding;
mod git_client;
mod git_client_history;
mod git_client_several;
mod git_multi_source;
mod git_push;
mod git_receiver;
mod git_remote_helper;
mod git_resume;
mod git_server;
mod no_std_link;
mod port_pipe;
#[path = "../real_fetch/mod.rs"]
mod real_fetch;
#[path = "../real_git/mod.rs"]
mod real_git;
#[path = "../scratch/mod.rs"]
mod scratch;
#[path = "../support_repo/mod.rs"]
mod support_repo;
mod sync;
mod sync_broken_off;
mod sync_chaos;
#[path = "../sync_pair/mod.rs"]
mod sync_pair;
