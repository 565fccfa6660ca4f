//! Properties on random input that shrinks, each against a reference that is as plain as can be.
//!
//! | module | what | beside |
//! |---|---|---|
//! | `window` | the arithmetic of credit, at both ends of a stream | where each unit of the window is |
//! | `port` | the window of a port's sender, its deadlines and its ends | the set of the unanswered blocks |
//! | `queue` | a body's byte queue, in any configuration | a list of chunks |
//! | `lifecycle` | the table of a stream's life, and an endpoint that lives by it | what is known of the stream |
//! | `negotiator` | what a fetch tells its server, on random histories | all that each side reaches |
//! | `ancestry` | asked for, volunteered or indexed, with gaps in what is held | the same |
//! | `plan` | whole plans with bases, strategies and exclusions | the rows of the decision table |
//!
//! Every run has the same cases. `PROPTEST_CASES=10000` makes it more of them, `PROPTEST_RNG_SEED=7` others. The seed of
//! a case that fails is kept beside its module (`window.regressions`) and tried first from then on: commit it with the
//! repair.
#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod ancestry;
mod history;
mod lifecycle;
mod negotiator;
mod plan;
mod port;
mod queue;
#[path = "../../sync_history/mod.rs"]
mod sync_history;
mod window;

use proptest::test_runner::{Config, FileFailurePersistence, RngSeed};

/// What the environment says, with a seed where it names none.
fn config() -> Config {
    let config = Config::default();
    let rng_seed = match config.rng_seed {
        RngSeed::Random => RngSeed::Fixed(2026),
        RngSeed::Fixed(seed) => RngSeed::Fixed(seed),
    };
    let kept = FileFailurePersistence::WithSource("regressions");
    Config { rng_seed, failure_persistence: Some(Box::new(kept)), ..config }
}
