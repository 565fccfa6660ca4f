//! What can go wrong outside the machines, and who can do something about it.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;

use portline::Printable;
use portline::git::Misuse;

/// An error of the driver: the repository, a child process, the connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The directory is no repository, in Git's own words.
    #[error("'{}' does not appear to be a git repository", .path.display())]
    NotARepository {
        /// What was asked for.
        path: PathBuf,
    },
    /// Git will not use the repository: another owner, a broken configuration. Git's words say what to do.
    #[error("{}", Printable(.message))]
    Unusable {
        /// Git's words without `fatal: `.
        message: Vec<u8>,
    },
    /// A Git program failed.
    #[error("git {command} failed: {}", Printable(.message))]
    Git {
        /// The program.
        command: &'static str,
        /// The end of its standard error.
        message: Vec<u8>,
    },
    /// A Git program answered what it is not documented to.
    #[error("git {command} gave an answer that is not understood: \"{}\"", .answer.escape_ascii())]
    Answer {
        /// The program.
        command: &'static str,
        /// The answer.
        answer: Vec<u8>,
    },
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The machine refused an answer: a bug in the driver.
    #[error("the driver misused the machine: {0}")]
    Misuse(#[from] Misuse),
    /// The machine ended the session. Its own words, already safe to print.
    #[error("{message}")]
    Session {
        /// What it said.
        message: String,
    },
    /// Nobody has anything left to do and the session is not over: a bug in the driver.
    #[error("the session stands still: neither the peer nor a child process is waited for")]
    Stalled,
    /// Something that the user asked for cannot be done as asked.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// Wraps an operating system error, saying what was tried.
    pub fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// The end of a session as its machine tells it, made safe for a terminal.
    pub fn session(error: &impl Display) -> Self {
        Self::Session { message: Printable(error.to_string().as_bytes()).to_string() }
    }
}
