//! The command line of `git_client`.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use portline::git::{Request, Service, Version};

use crate::support::connection::Connection;
use crate::support::refspec::Refspec;
use crate::support::remote::Remote;
use crate::support::{Error, Lookup, Repository};

/// What to type.
pub const USAGE: &str = "usage: git_client ls-remote URL
       git_client fetch DIR URL [REFSPEC...] [--mirror]
       git_client push DIR URL [[+]SRC:DST...] [--delete REF] [--force] [--atomic] [-o OPTION]
common: [--stats] [--quiet | --progress] [--timeout=N] [--help], and -- COMMAND... in place of URL (git://HOST[:PORT]/PATH)";

/// What was asked for.
#[derive(Debug)]
pub struct Options {
    /// What to do.
    pub task: Task,
    /// Whom to ask.
    pub remote: Remote,
    /// Print what the negotiation took.
    pub stats: bool,
    /// Show progress.
    pub progress: bool,
    /// Give up after so long a silence.
    pub timeout: Option<Duration>,
}

/// What to do.
#[derive(Debug)]
pub enum Task {
    /// Show the refs.
    List,
    /// Fetch.
    Fetch(FetchTask),
    /// Push.
    Push(PushTask),
}

/// A fetch.
#[derive(Debug)]
pub struct FetchTask {
    /// Into which repository.
    pub directory: PathBuf,
    /// What becomes what.
    pub refspecs: Vec<Refspec>,
}

/// A push.
#[derive(Debug)]
pub struct PushTask {
    /// From which repository.
    pub directory: PathBuf,
    /// `[+]SRC[:DST]`; an empty SRC deletes.
    pub specs: Vec<String>,
    /// As if every spec had a `+`.
    pub force: bool,
    /// All or nothing.
    pub atomic: bool,
    /// For the server's hooks.
    pub options: Vec<Bytes>,
}

/// The command line as it is being read.
#[derive(Debug, Default)]
struct Words {
    plain: Vec<String>,
    program: Vec<OsString>,
    deletes: Vec<String>,
    push_options: Vec<Bytes>,
    mirror: bool,
    force: bool,
    atomic: bool,
    stats: bool,
    quiet: bool,
    progress: bool,
    timeout: Option<Duration>,
}

impl Words {
    /// `Ok(None)`: help was asked for.
    fn read(mut arguments: impl Iterator<Item = OsString>) -> Result<Option<Self>, Error> {
        let mut words = Self::default();
        let utf8 = |argument: OsString| {
            argument
                .into_string()
                .map_err(|text| complaint(&format!("{} is not UTF-8", text.to_string_lossy())))
        };
        while let Some(argument) = arguments.next() {
            if argument == "--" {
                words.program = arguments.collect();
                break;
            }
            let text = utf8(argument)?;
            let mut value = || {
                let missing = || complaint(&format!("{text} needs a value"));
                arguments.next().ok_or_else(missing).and_then(utf8)
            };
            match text.as_str() {
                "--help" | "-h" => return Ok(None),
                "--mirror" => words.mirror = true,
                "--force" | "-f" => words.force = true,
                "--atomic" => words.atomic = true,
                "--stats" => words.stats = true,
                "--quiet" | "-q" => words.quiet = true,
                "--progress" => words.progress = true,
                "--delete" | "-d" => words.deletes.push(value()?),
                "-o" => words.push_options.push(value()?.into()),
                other => match other.strip_prefix("--timeout=") {
                    Some(seconds) => {
                        let wrong = |_| complaint(&format!("--timeout takes whole seconds, not '{seconds}'"));
                        words.timeout = Some(Duration::from_secs(seconds.parse().map_err(wrong)?));
                    }
                    None if other.starts_with('-') => {
                        return Err(complaint(&format!("there is no option {other}")));
                    }
                    None => words.plain.push(text),
                },
            }
        }
        words.timeout = words.timeout.filter(|timeout| !timeout.is_zero());
        Ok(Some(words))
    }
}

/// What is wrong with the command line, and how it should be.
fn complaint(what: &str) -> Error {
    Error::Usage(format!("{what}\n{USAGE}"))
}

impl Options {
    /// Reads the command line. `Ok(None)`: help was asked for.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Option<Self>, Error> {
        let missing = |what: &'static str| move || complaint(&format!("{what} is missing"));
        let Some(mut words) = Words::read(arguments)? else { return Ok(None) };
        let mut plain = std::mem::take(&mut words.plain).into_iter();
        let command = plain.next().ok_or_else(missing("a command"))?;
        let directory = match command.as_str() {
            "ls-remote" => None,
            "fetch" | "push" => Some(PathBuf::from(plain.next().ok_or_else(missing("DIR"))?)),
            _ => return Err(complaint(&format!("there is no command {command}"))),
        };
        let remote = if words.program.is_empty() {
            Remote::parse(&plain.next().ok_or_else(missing("URL"))?)?
        } else {
            Remote::Program(std::mem::take(&mut words.program))
        };
        // As Git does: on a terminal, unless told otherwise.
        let progress = words.progress || (!words.quiet && std::io::stderr().is_terminal());
        let (stats, timeout) = (words.stats, words.timeout);
        let rest: Vec<String> = plain.collect();
        let task = match (directory, command.as_str()) {
            (Some(directory), "fetch") => {
                Task::Fetch(FetchTask { directory, refspecs: refspecs(&rest, words.mirror)? })
            }
            (Some(directory), _) => {
                let deletes = words.deletes.into_iter().map(|name| format!(":{name}"));
                let specs: Vec<String> = rest.into_iter().chain(deletes).collect();
                if specs.is_empty() {
                    return Err(complaint("nothing was named to push"));
                }
                let (force, atomic, options) = (words.force, words.atomic, words.push_options);
                Task::Push(PushTask { directory, specs, force, atomic, options })
            }
            (None, _) => Task::List,
        };
        Ok(Some(Self { task, remote, stats, progress, timeout }))
    }

    /// Reaches the server. The request that is to be sent first comes with it, where one is.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn connect(&self, service: Service) -> Result<(Connection, Option<Request>), Error> {
        self.remote.connect(service, Version::V0)
    }
}

/// The refspecs of a fetch.
fn refspecs(given: &[String], mirror: bool) -> Result<Vec<Refspec>, Error> {
    let default: &[&str] = if mirror {
        &["+refs/*:refs/*"]
    } else {
        &["+refs/heads/*:refs/remotes/origin/*", "refs/tags/*:refs/tags/*"]
    };
    if given.is_empty() || mirror {
        default.iter().map(|spec| Refspec::parse(spec)).collect()
    } else {
        given.iter().map(|spec| Refspec::parse(spec)).collect()
    }
}

/// Opens the user's repository.
///
/// # Errors
/// As [`Repository::open`].
pub fn open(directory: &std::path::Path) -> Result<Repository, Error> {
    Repository::open(directory, Lookup::Git)
}
