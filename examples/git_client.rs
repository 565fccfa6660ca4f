//! A Git client on Portline: what a fetch and a push are, with every object handled by the `git` you have.
//!
//! ```text
//! git_client ls-remote URL
//! git_client fetch DIR URL [REFSPEC…] [--mirror] [--depth=N] [--filter=SPEC]
//! git_client push DIR URL [[+]SRC:DST…] [--delete REF] [--force] [--atomic] [--push-option=OPTION] [--signed]
//! ```
//!
//! URL is `git://HOST[:PORT]/PATH`. In its place, a server program can follow behind `--`:
//!
//! ```text
//! git_client fetch . -- git upload-pack /srv/project.git
//! git_client push . main:main -- ssh host git-receive-pack project.git
//! ```
//!
//! - **fetch**: a REFSPEC is `[+]SRC:DST`, full names, with one `*` on both sides or on none; `+` allows a
//!   ref to go anywhere, otherwise branches only move forwards and tags stay. Without any:
//!   `+refs/heads/*:refs/remotes/origin/*` and `refs/tags/*:refs/tags/*`. `--mirror` is `+refs/*:refs/*`.
//!   Nothing is pruned, a checked out branch is not touched.
//! - `--depth=N`, `--deepen=N`, `--shallow-since=DATE`, `--shallow-exclude=REF` and `--unshallow` move the shallow
//!   border of DIR. A server that is shallow itself is cloned into an empty DIR; otherwise refs that its border cuts off
//!   are refused, unless with `--update-shallow`.
//! - `--filter=SPEC` makes a partial clone: what is left out is promised by the remote `--remote=NAME` (`origin`), which
//!   is written into DIR's configuration, so that Git fetches it when it is needed. Later fetches leave out the same.
//! - `--also=URL`, as often as there are servers, takes the same from several at once: the refs are those of the first
//!   that answers, the wants are divided, and a server that fails, stalls or is slow gives its share to the others. What
//!   each did is printed in front of the refs.
//! - `--protocol=0|1|2` is the version asked for, 2 as with Git; `--server-option=OPTION` goes with version 2.
//! - **push**: SRC is any revision, DST a full name or a branch; SRC alone is pushed under its own name, an
//!   empty SRC deletes, `*` in both stands for all our refs that fit. `--signed` signs with the key that
//!   `user.signingKey` and `gpg.format` name.
//! - `--stats` prints what the negotiation took, `--quiet` and `--progress` decide about progress, which is
//!   shown on a terminal, `--timeout=N` gives up after N silent seconds.
//!
//! Every ref is a line of the table on standard output. Exit code: 0, all is as asked; 1, some ref was
//! refused; 2, nothing could be done, and standard error says why.

mod client;
#[path = "support/mod.rs"]
mod support;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use client::options::{Options, Task, USAGE};
use client::push::push;
use client::{fetch, list};
use support::Error;

fn main() -> ExitCode {
    let result = Options::parse(env::args_os().skip(1)).and_then(|options| match options {
        None => help(),
        Some(options) => match &options.task {
            Task::List => list(&options),
            Task::Fetch(task) => fetch(&options, task),
            Task::Push(task) => push(&options, task),
        },
    });
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(io::stderr(), "fatal: {error}");
            ExitCode::from(2)
        }
    }
}

fn help() -> Result<bool, Error> {
    writeln!(io::stdout(), "{USAGE}").map_err(Error::io("standard output"))?;
    Ok(true)
}
