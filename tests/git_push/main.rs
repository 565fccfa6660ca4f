//! Pushing by its rules, client and server: alone, together, as recorded, beside the real Git; what fetching and pushing share.
#![allow(
// a table reads better when its rows look alike
clippy::cloned_ref_to_slice_refs, clippy::arithmetic_side_effects, clippy::cast_possible_truncation, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, missing_docs)]

mod client;
#[path = "../common/mod.rs"]
mod common;
mod endings;
mod idle;
mod pair;
#[path = "../push_support/mod.rs"]
mod push_support;
mod real;
mod receive_beside;
mod receive_pack;
mod receive_pack_refusals;
mod report;
mod resume;
#[path = "../scratch/mod.rs"]
mod scratch;
mod signed;
#[path = "../support_repo/mod.rs"]
mod support_repo;
