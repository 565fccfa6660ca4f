//! The real Git, in versions 0, 1 and 2 of the protocol, through every transport, with our machines on one side or
//! on both: whatever it does ends as it does between two Gits.
//!
//! A few of the cells run with every `cargo test`. All of them run with `PORTLINE_INTEROP=check`, as `.ci/run` has it,
//! and their table has to be the one in `README.md` beside this file; `PORTLINE_INTEROP=write` writes it there.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::print_stdout,
    dead_code,
    missing_docs,
    unreachable_pub
)]

mod cell;
mod fetching;
mod http;
mod matrix;
mod pushing;
#[path = "../support_repo/mod.rs"]
mod support_repo;
mod transport;

use cell::{FORMATS, Fixture};
use matrix::Operation;
use transport::{TRANSPORTS, Transport, World};

fn operations() -> Vec<&'static Operation> {
    fetching::FETCHES.iter().chain(pushing::PUSHES).collect()
}

/// One operation of each kind through every transport.
#[test]
fn git_cannot_tell_us_from_git_in_a_sample_of_the_matrix() {
    let world = World::new();
    let fixtures = [Fixture::new(&world, "sha1")];
    let chosen = ["clone", "fetch, both sides ahead", "push: new, update, tag"];
    let chosen: Vec<&Operation> = operations().into_iter().filter(|one| chosen.contains(&one.name)).collect();
    let results = matrix::run(&world, &fixtures, &chosen, &[Transport::Path, Transport::Helper], &[0]);
    assert_eq!(results.failures(), [""; 0]);
}

#[test]
fn git_cannot_tell_us_from_git() {
    let Ok(mode) = std::env::var("PORTLINE_INTEROP") else { return };
    let world = World::new();
    let fixtures: Vec<Fixture> = FORMATS.into_iter().map(|format| Fixture::new(&world, format)).collect();
    let only = std::env::var("PORTLINE_INTEROP_ONLY").unwrap_or_default();
    let chosen: Vec<&Operation> = operations().into_iter().filter(|one| one.name.contains(&only)).collect();
    let results = matrix::run(&world, &fixtures, &chosen, &TRANSPORTS, &[0, 1, 2]);
    for format in FORMATS {
        println!("{}", results.table(format, &chosen));
    }
    println!("{mode}");
    assert!(results.failures().is_empty(), "{}", results.failures().join("\n\n"));
}
