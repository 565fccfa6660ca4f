//! Many peers under one virtual clock, with a plan of faults from a seed.
//!
//! Ports, links with their streams, fetches, pushes and two-way syncs run side by side; some of them share one repository, so
//! that refs move under each other's hands. What the network does to each connection is drawn from the seed: delays,
//! splits, no room, an end at any moment, silence, half of an end. Whatever happens, each side has one terminal action,
//! success is what it says, nothing is lost, and the clock comes to its end.
//!
//! The same seed gives the same run. One that fails prints the line that repeats it, with its trace:
//!
//! ```text
//! PORTLINE_SEED=17 cargo test --test sim any_seed -- --nocapture
//! ```
//!
//! `PORTLINE_SEEDS` says how many seeds are run; `tests/sim/run.sh 1000000` runs so many of them, optimised, on all cores.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub
)]

#[path = "../common/mod.rs"]
mod common;
mod git;
mod link;
mod net;
mod port;
mod sync;
mod sync_steps;
#[path = "../toy/mod.rs"]
mod toy;

use std::panic::{self, AssertUnwindSafe};

use net::{Net, Tally};

/// A number from the environment.
fn told(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// The line that runs one seed again.
fn replay(seed: u64) -> String {
    format!("PORTLINE_SEED={seed} cargo test --test sim any_seed -- --nocapture")
}

/// One world: who is in it comes from the seed, too.
fn world(seed: u64, loud: bool) -> Net {
    let mut net = Net::new(seed, loud);
    for _ in 0..1 + net.rng.below(2) {
        port::join(&mut net);
    }
    for _ in 0..1 + net.rng.below(2) {
        link::join(&mut net);
    }
    for _ in 0..net.rng.below(3) {
        git::join_fetch(&mut net);
    }
    for _ in 0..net.rng.below(2) {
        git::join_push(&mut net);
    }
    for _ in 0..net.rng.below(3) {
        sync::join(&mut net);
    }
    net
}

fn run(seed: u64, loud: bool) -> Tally {
    let caught = panic::catch_unwind(AssertUnwindSafe(|| world(seed, loud).run()));
    caught.unwrap_or_else(|failure| {
        eprintln!("seed {seed} fails; to run it again:\n{}", replay(seed));
        panic::resume_unwind(failure)
    })
}

/// PORT-28, RPC-27, FETCH-23, PUSH-16, SYNC-51, T13, T22.
#[test]
fn any_seed_ends_once_on_every_side_and_loses_nothing() {
    if let Some(seed) = told("PORTLINE_SEED") {
        println!("{:?}", run(seed, true));
        return;
    }
    let (first, seeds) = (told("PORTLINE_FIRST").unwrap_or(0), told("PORTLINE_SEEDS").unwrap_or(2000));
    let mut all = Tally::default();
    for seed in first..first + seeds {
        all += run(seed, false);
    }
    println!("seeds {first} to {}: {all:?}", first + seeds);
    // Neither does everything go wrong, nor is nothing tried.
    if seeds >= 1000 {
        assert!(all.well * 3 > all.lines && all.faults * 3 > all.lines, "{all:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..50 {
        assert_eq!(run(seed, false), run(seed, false), "seed {seed}");
    }
    assert_ne!(run(1, false).trace, run(2, false).trace);
}

#[test]
fn a_failing_seed_prints_one_line_that_repeats_it() {
    assert_eq!(replay(17), "PORTLINE_SEED=17 cargo test --test sim any_seed -- --nocapture");
}
