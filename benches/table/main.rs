//! The table of the README: what the last `cargo bench` found, ours beside each peer.
//!
//! Runs last of the benches. `cargo bench -p portline-benches --bench table` prints it again, alone on standard output;
//! with `-- --readme` it replaces the one in the README instead.
#![allow(clippy::expect_used, clippy::print_stdout, missing_docs)]

mod results;
mod rows;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;

use results::{OURS, Results};
use rows::{Peer, QUOTIENTS, ROWS, Row, Target, Unit};

/// Targets that were met, of all that could be judged.
#[derive(Default)]
struct Met {
    met: u32,
    judged: u32,
}

impl Met {
    fn judge(&mut self, met: bool) -> &'static str {
        self.judged += 1;
        self.met += u32::from(met);
        if met { "met" } else { "**missed**" }
    }
}

fn time(nanos: f64) -> String {
    match nanos {
        ..1e3 => format!("{nanos:.1} ns"),
        ..1e6 => format!("{:.2} µs", nanos / 1e3),
        ..1e9 => format!("{:.2} ms", nanos / 1e6),
        _ => format!("{:.1} s", nanos / 1e9),
    }
}

fn shown(unit: Unit, figure: f64) -> String {
    match unit {
        Unit::Time => time(figure),
        Unit::Rate(bytes) => format!("{:.1} GB/s", f64::from(bytes) / figure),
        Unit::Bytes => format!("{figure:.0} B"),
        Unit::Count => format!("{figure:.0}"),
        Unit::Times => times(figure),
    }
}

fn times(ratio: f64) -> String {
    match ratio {
        ..2.0 => format!("{ratio:.2}×"),
        ..100.0 => format!("{ratio:.1}×"),
        _ => format!("{ratio:.0}×"),
    }
}

/// A bound as one writes it.
fn bound(unit: Unit, most: f64) -> String {
    match unit {
        Unit::Rate(bytes) => format!("≥ {} GB/s", f64::from(bytes) / most),
        Unit::Time if most < 1e3 => format!("≤ {most} ns"),
        Unit::Time if most < 1e6 => format!("≤ {} µs", most / 1e3),
        Unit::Time => format!("≤ {} ms", most / 1e6),
        Unit::Bytes => format!("≤ {most} B"),
        Unit::Count => format!("≤ {most}"),
        Unit::Times => format!("≤ {most}×"),
    }
}

/// The target in the row's own unit, and whether ours meets it.
fn target(results: &Results, row: &Row, ours: f64, met: &mut Met) -> String {
    match row.target {
        Target::None => "–".to_owned(),
        Target::AtMost(most) => format!("{}: {}", bound(row.unit, most), met.judge(ours <= most)),
        Target::Above(floor, more) => match results.figure(row.work, floor) {
            Some(least) => format!("{} more: {}", bound(row.unit, more), met.judge(ours <= least + more)),
            None => "–".to_owned(),
        },
    }
}

/// Peer, its figure, the ratio, and whether it is what was asked for.
fn beside(results: &Results, row: &Row, peer: &Peer, ours: f64, met: &mut Met) -> String {
    let Some(theirs) = results.figure(row.work, peer.name) else {
        return format!("{} | not measured | – | –", peer.name);
    };
    let ratio = theirs / ours;
    let asked = peer
        .asked
        .map_or_else(|| "–".to_owned(), |asked| format!("≥ {}: {}", times(asked), met.judge(ratio >= asked)));
    format!("{} | {} | {} | {asked}", peer.name, shown(row.unit, theirs), times(ratio))
}

/// All rows, and how many targets were met.
fn table(results: &Results) -> String {
    let (mut own, mut ratios) = (Met::default(), Met::default());
    let mut lines = vec![
        "| work | portline | target | peer | its figure | ratio | ratio asked |".to_owned(),
        "|---|---:|---|---|---:|---:|---|".to_owned(),
    ];
    for row in ROWS {
        let Some(ours) = results.figure(row.work, OURS) else {
            lines.push(format!("| {} | not measured | – | – | – | – | – |", row.work));
            continue;
        };
        let target = target(results, row, ours, &mut own);
        let start = format!("| {} | {} | {target}", row.work, shown(row.unit, ours));
        if row.peers.is_empty() {
            lines.push(format!("{start} | – | – | – | – |"));
        }
        for (number, peer) in row.peers.iter().enumerate() {
            let start = if number == 0 { &start } else { "| | |" };
            lines.push(format!("{start} | {} |", beside(results, row, peer, ours, &mut ratios)));
        }
    }
    lines.push(format!(
        "\nMet: {} of {} targets as they are, {} of {} as ratios.\n",
        own.met, own.judged, ratios.met, ratios.judged
    ));
    lines.join("\n")
}

/// Puts the table between its marks in the README.
fn replace(table: &str) -> Option<()> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = fs::read_to_string(&readme).ok()?;
    let (before, rest) = text.split_once("<!-- table")?;
    let (mark, rest) = rest.split_once('\n')?;
    let (_, after) = rest.split_once("<!-- end of table")?;
    let text = format!("{before}<!-- table{mark}\n{table}<!-- end of table{after}");
    fs::write(&readme, text).ok()
}

fn main() {
    let asked = |what: &str| std::env::args().any(|argument| argument == what);
    if !asked("--bench") {
        return;
    }
    let folder = support::results();
    let mut results = Results::read(&folder);
    for (work, figures) in QUOTIENTS {
        results.divide(work, figures);
    }
    if !results.are_of_one_run() {
        eprintln!("{}: figures of several runs; remove it and run `cargo bench`", folder.display());
    }
    let table = table(&results);
    if asked("--readme") {
        replace(&table).expect("a README with the marks of the table");
    } else {
        print!("{table}");
    }
}
