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
mod foreign;
mod http;
mod matrix;
mod peers;
mod pushing;
#[path = "../scratch/mod.rs"]
mod scratch;
#[path = "../support_repo/mod.rs"]
mod support_repo;
mod table;
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
    let results = matrix::run(&world, &fixtures, &chosen, &[Transport::Path, Transport::Helper], &[0, 2]);
    assert_eq!(results.failures(), [""; 0]);
}

/// Everything, and the table of it.
#[test]
fn git_and_other_peoples_gits_cannot_tell_us_from_git() {
    // Minutes, and other people's programs: for `.ci/run`, and for whoever asks for it.
    let Ok(mode) = std::env::var("PORTLINE_INTEROP") else { return };
    let only = std::env::var("PORTLINE_INTEROP_ONLY").unwrap_or_default();
    let world = World::new();
    let fixtures: Vec<Fixture> = FORMATS.into_iter().map(|format| Fixture::new(&world, format)).collect();
    let chosen: Vec<&Operation> = operations().into_iter().filter(|one| one.name.contains(&only)).collect();
    let results = matrix::run(&world, &fixtures, &chosen, &TRANSPORTS, &[0, 1, 2]);
    let met = peers::run(&world, &fixtures[0], &only);
    let table = table::write(&results, &chosen, &met);
    println!("{table}");
    let failures = [results.failures(), met.failures()].concat();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    if only.is_empty() {
        table::settle(&table, mode == "write");
    }
}

/// The table that is committed is about all operations and peers that there are.
#[test]
fn the_table_names_every_operation_and_peer() {
    let table = std::fs::read_to_string(table::PATH).unwrap();
    for operation in operations() {
        assert_eq!(table.matches(&format!("\n| {} |", operation.name)).count(), 2, "{}", operation.name);
    }
    for peer in foreign::PEERS {
        assert!(table.contains(&format!("| {}, {} |", peer.name, peer.by)), "{}, {}", peer.name, peer.by);
    }
}
