//! The table in `README.md`: written from what was found, the same every time, and compared with the one that is there.

use std::fs;

use crate::cell::FORMATS;
use crate::foreign::{ACTIONS, PEERS};
use crate::matrix::{Operation, Results};
use crate::peers::{Meetings, Met};
use crate::transport::TRANSPORTS;

/// The committed table.
pub const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/README.md");

const HEAD: &str = "# Who has been met

Written by `tests/interop/main.rs` (`PORTLINE_INTEROP=write cargo test --test interop`, after `tests/interop/install.sh`)
and compared with what it finds by `.ci/run`. A number is a version of the protocol in which everything was as it is
between two Gits; ~~struck out~~ it was not.

## The real Git

Each operation is done by the real `git` through each transport, and by Git alone. Afterwards the repositories are
looked at with `git fsck --full --strict`, and their refs, `HEAD`, shallow borders, reachable objects (with those that a
partial clone lacks) and what Git said of each pushed ref have to be the same as with Git alone. A trace tells that the
version was really spoken, and by us. A push has no version 2: Git asks for version 0 then.

- **path**: `git_server upload-pack` and `receive-pack` in the place of Git's (`--upload-pack=`, `--receive-pack=`).
- **git://**: `git_server daemon`.
- **http-backend**: Git's `http-backend`, which calls `git_server`.
- **helper, path**: `git_remote_helper`, and behind it Git's own server.
- **helper, git://**: `git_remote_helper`, and behind it `git_server daemon`.
";

const PEERS_HEAD: &str = "
## Other people's Gits

In the versions that `python.txt`, `package.json` and `rust/Cargo.toml` name: as clients of `git_server`, which ends with
the same refs and objects on both sides, and as servers of `git_client`. A dash is what the other one cannot do itself,
*skipped* what could not be installed.

";

/// All of it.
pub fn write(results: &Results, operations: &[&Operation], met: &Meetings) -> String {
    let mut text = HEAD.to_owned();
    let names: Vec<&str> = TRANSPORTS.iter().map(|transport| transport.name()).collect();
    for format in FORMATS {
        text.push_str(&format!(
            "\n| {} | {} |\n|---|{}\n",
            format,
            names.join(" | "),
            "---|".repeat(names.len())
        ));
        for operation in operations {
            let cells = TRANSPORTS.map(|transport| {
                let versions = results.of(operation.name, transport, format);
                join(versions.into_iter().map(|(version, fine)| mark(version, fine)))
            });
            text.push_str(&format!("| {} | {} |\n", operation.name, cells.join(" | ")));
        }
    }
    text.push_str(PEERS_HEAD);
    text.push_str(&format!("| | {} |\n|---|{}\n", ACTIONS.join(" | "), "---|".repeat(ACTIONS.len())));
    for (at, peer) in PEERS.iter().enumerate() {
        let cells: Vec<String> = (0..ACTIONS.len())
            .map(|action| {
                let mut marks: Vec<String> = met
                    .of(at, action)
                    .into_iter()
                    .map(|(version, met)| match met {
                        Met::Done(result) => mark(version, result.is_ok()),
                        Met::Cannot => "–".to_owned(),
                        Met::Skipped => SKIPPED.to_owned(),
                    })
                    .collect();
                marks.dedup();
                join(marks.into_iter())
            })
            .collect();
        text.push_str(&format!("| {}, {} | {} |\n", peer.name, peer.by, cells.join(" | ")));
    }
    text
}

const SKIPPED: &str = "*skipped*";

fn mark(version: u8, fine: bool) -> String {
    if fine { version.to_string() } else { format!("~~{version}~~") }
}

fn join(marks: impl Iterator<Item = String>) -> String {
    marks.collect::<Vec<_>>().join(" ")
}

/// Writes the table, or compares it with the one that is there. What could not be installed is not compared, but said.
pub fn settle(table: &str, write: bool) {
    if write {
        fs::write(PATH, table).unwrap();
        return;
    }
    let committed = fs::read_to_string(PATH).unwrap();
    for (number, (found, kept)) in table.lines().zip(committed.lines()).enumerate() {
        if found.contains(SKIPPED) {
            println!("SKIPPED, and so not compared: {found}");
        } else {
            assert_eq!(found, kept, "line {} of {PATH} is not what was found", number + 1);
        }
    }
    assert_eq!(table.lines().count(), committed.lines().count(), "{PATH} is not what was found");
}
