//! A remote helper for Git on Portline: Git's own refspecs, merges and checkouts above, our client machines below.
//!
//! Git calls it as `git-remote-NAME` for every URL `NAME::…`; a link of that name on the path is all it takes:
//!
//! ```text
//! ln -s …/examples/git_remote_helper ~/bin/git-remote-portline
//! git clone portline::git://host/project.git
//! git push portline::/srv/project.git main
//! ```
//!
//! What follows `::` is a `git://` URL or a path. For a path the server's program is started as Git starts it:
//! `remote.NAME.uploadpack` and `remote.NAME.receivepack`, or `git-upload-pack` and `git-receive-pack`.
//! `protocol.version` decides about the version of the protocol.
//!
//! Capabilities: `fetch`, `push`, `option`, `object-format`, `check-connectivity`. One session serves a `list` and
//! the `fetch` or `push` that follows it, so a push is held against the very refs that Git was shown.
//!
//! Exit code: 0, or 128 with the reason on standard error, which Git leaves to speak for itself.

mod fetch;
mod push;
mod quote;
mod settings;
#[path = "../support/mod.rs"]
mod support;
mod talk;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use support::{Error, Lookup, Repository};
use talk::{Command, Talk};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "fatal: {error}");
            ExitCode::from(128)
        }
    }
}

/// Answers Git's commands until it has no more.
fn run() -> Result<(), Error> {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    let (name, url) = match words.as_slice() {
        [url] => (text(url), text(url)),
        [name, url] => (text(name), text(url)),
        _ => {
            let message = "usage: git-remote-NAME REMOTE [URL], called by Git for URLs of the form NAME::URL";
            return Err(Error::Usage(message.to_owned()));
        }
    };
    let mut talk = Talk::new(&name, &url)?;
    let mut next = None;
    loop {
        let command = match next.take() {
            Some(command) => command,
            None => talk.next_command()?,
        };
        next = match command {
            Command::Capabilities => {
                talk.say("fetch\npush\noption\nobject-format\ncheck-connectivity\n\n")?;
                None
            }
            Command::List { for_push: false } => fetch::session(&mut talk, None)?,
            Command::Fetch(ids) => fetch::session(&mut talk, Some(ids))?,
            Command::List { for_push: true } => push::session(&mut talk, None)?,
            Command::Push(specs) => push::session(&mut talk, Some(specs))?,
            Command::End => return Ok(()),
        };
    }
}

/// The repository that Git called us for. In a clone it is not finished before the refs were listed.
fn open() -> Result<Repository, Error> {
    let missing = || Error::Usage("there is no repository here to fetch into or push from".to_owned());
    let directory = env::var_os("GIT_DIR").map(PathBuf::from).ok_or_else(missing)?;
    let directory = directory.canonicalize().map_err(Error::io("GIT_DIR cannot be resolved"))?;
    Repository::open(&directory, Lookup::Strict)
}
