//! Programs in which the crate has no `std`: one that links no operating system's library at all, and the embedded
//! driver. Both are built at the same time, so nothing else belongs in here.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub
)]

mod embedded;
mod no_std_link;
mod package;
