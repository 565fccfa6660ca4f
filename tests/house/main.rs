//! The rules of the house: what imports what, how large a room is, which rule is cited by which test.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs
)]

mod architecture;
mod spec_citations;
