//! Sans-IO protocol state machines (see README).
#![no_std]
#![forbid(unsafe_code)]
// In-file tests may panic: that is how they fail.
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod error;
pub mod frame;
pub mod git;
pub mod limits;
pub mod peer;
pub mod pkt;
pub mod port;
pub mod sync;
mod text;
pub mod time;
mod transmit;

pub use error::Blame;
pub use text::Printable;
pub use time::Instant;
pub use transmit::Transmit;
