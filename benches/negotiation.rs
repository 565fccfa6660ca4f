//! How much a fetch talks, beside the real Git: runs `benches/negotiation.sh` and keeps its figures for the table.
//!
//! `git_client`, which speaks for us, and the fixture of 20,000 commits are built first when they are not there yet.
//! What is counted does not depend on how the program was compiled: it is the one that `cargo test` builds, too.
#![allow(clippy::print_stdout, missing_docs)]

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the script calls a client, and what the table does.
const CLIENTS: [(&str, &str); 4] = [
    ("git, v0 consecutive", "git, version 0, consecutive"),
    ("git, v2 skipping", "git, version 2, skipping"),
    ("portline, v0 skipping", "portline"),
    ("portline, v2 skipping", "portline"),
];
/// The script's columns of figures that the table has rows for.
const COLUMNS: [(usize, &str); 3] = [(0, "rounds"), (1, "haves"), (5, "objects")];

/// The example, built; `None` when that failed.
fn client(root: &Path, target: &Path) -> Option<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "portline", "--example", "git_client", "--target-dir"]);
    let built = cargo.arg(target).current_dir(root).status().is_ok_and(|status| status.success());
    built.then(|| target.join("debug/examples/git_client"))
}

/// The script's table.
fn counted(root: &Path, target: &Path) -> Option<String> {
    let mut script = Command::new("bash");
    script.arg(root.join("benches/negotiation.sh")).arg(target.join("fixture"));
    script.env("GIT_CLIENT", client(root, target)?).stderr(Stdio::inherit());
    let output = script.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn main() {
    if !support::begin() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let target = support::target();
    let Some(table) = counted(root, target) else {
        println!("not counted: it takes bash and a Git with git-daemon");
        return;
    };
    print!("{table}");
    let mut figures = support::Figures::default();
    for line in table.lines() {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let client = cells.next().unwrap_or_default();
        let Some((_, who)) = CLIENTS.iter().find(|(name, _)| *name == client) else { continue };
        let cells: Vec<&str> = cells.collect();
        for (column, unit) in COLUMNS {
            if let Some(figure) = cells.get(column).and_then(|cell| cell.parse().ok()) {
                figures.add(&format!("fetch, 500 behind and 300 ahead: {unit}"), who, figure);
            }
        }
    }
    figures.save("negotiation");
}
