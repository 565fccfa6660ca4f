//! The command line of `git_client`.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use portline::git::{Request, Service, Version};

use super::extent::Extent;
use crate::support::connection::Connection;
use crate::support::refspec::Refspec;
use crate::support::remote::Remote;
use crate::support::{Error, Lookup, Repository};

/// What to type.
pub const USAGE: &str = "usage: git_client ls-remote URL
       git_client fetch DIR URL [REFSPEC...] [--mirror]
       git_client push DIR URL [[+]SRC:DST...] [--delete REF] [--force] [--atomic] [-o | --push-option=OPTION]
                  [--signed[=true|false|if-asked]]
fetch also: [--also=URL]... [--depth=N | --deepen=N | --unshallow | --shallow-since=DATE] [--shallow-exclude=REF] [--update-shallow]
            [--filter=SPEC] [--remote=NAME] [--server-option=OPTION]
common: [--protocol=0|1|2] [--stats] [--quiet | --progress] [--timeout=N] [--help], and -- COMMAND... in place of URL (git://HOST[:PORT]/PATH)";

/// What was asked for.
#[derive(Debug)]
pub struct Options {
    /// What to do.
    pub task: Task,
    /// Whom to ask.
    pub remote: Remote,
    /// Who has the same, to be asked for a part of it.
    pub also: Vec<Remote>,
    /// Print what the negotiation took.
    pub stats: bool,
    /// Show progress.
    pub progress: bool,
    /// Give up after so long a silence.
    pub timeout: Option<Duration>,
    /// The highest version to ask for.
    pub version: Version,
    /// For the server, in version 2.
    pub server_options: Vec<Bytes>,
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
    /// How much of it.
    pub extent: Extent,
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
    /// Whether to sign.
    pub sign: Sign,
}

/// Whether a push is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sign {
    /// It is not.
    #[default]
    Never,
    /// If the server takes certificates.
    IfAsked,
    /// It is, or it is an error.
    Always,
}

/// The command line as it is being read.
#[derive(Debug, Default)]
struct Words {
    plain: Vec<String>,
    program: Vec<OsString>,
    also: Vec<Remote>,
    deletes: Vec<String>,
    push_options: Vec<Bytes>,
    sign: Sign,
    mirror: bool,
    force: bool,
    atomic: bool,
    stats: bool,
    quiet: bool,
    progress: bool,
    timeout: Option<Duration>,
    version: Option<Version>,
    server_options: Vec<Bytes>,
    extent: Extent,
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
            let (name, inline) = match text.split_once('=').filter(|(name, _)| name.starts_with("--")) {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (text.as_str(), None),
            };
            let mut value = || {
                let missing = || complaint(&format!("{name} needs a value"));
                inline.clone().map_or_else(|| arguments.next().ok_or_else(missing).and_then(utf8), Ok)
            };
            match name {
                "--help" | "-h" => return Ok(None),
                "--mirror" => words.mirror = true,
                "--force" | "-f" => words.force = true,
                "--atomic" => words.atomic = true,
                "--stats" => words.stats = true,
                "--quiet" | "-q" => words.quiet = true,
                "--progress" => words.progress = true,
                "--also" => words.also.push(Remote::parse(&value()?)?),
                "--delete" | "-d" => words.deletes.push(value()?),
                "--signed" => words.sign = sign(inline.as_deref())?,
                "-o" | "--push-option" => words.push_options.push(value()?.into()),
                "--server-option" => words.server_options.push(value()?.into()),
                "--timeout" => words.timeout = Some(timeout(&value()?)?),
                "--protocol" => words.version = Some(version(&value()?)?),
                name if words.extent.option(name, value)? => {}
                name if name.starts_with('-') => {
                    return Err(complaint(&format!("there is no option {name}")));
                }
                _ => words.plain.push(text),
            }
        }
        words.timeout = words.timeout.filter(|timeout| !timeout.is_zero());
        Ok(Some(words))
    }
}

fn timeout(seconds: &str) -> Result<Duration, Error> {
    let wrong = |_| complaint(&format!("--timeout takes whole seconds, not '{seconds}'"));
    Ok(Duration::from_secs(seconds.parse().map_err(wrong)?))
}

fn sign(word: Option<&str>) -> Result<Sign, Error> {
    match word {
        None | Some("true" | "yes" | "on") => Ok(Sign::Always),
        Some("if-asked") => Ok(Sign::IfAsked),
        Some("false" | "no" | "off") => Ok(Sign::Never),
        Some(other) => Err(complaint(&format!("--signed takes true, false or if-asked, not '{other}'"))),
    }
}

fn version(number: &str) -> Result<Version, Error> {
    match number {
        "0" => Ok(Version::V0),
        "1" => Ok(Version::V1),
        "2" => Ok(Version::V2),
        _ => Err(complaint(&format!("--protocol takes 0, 1 or 2, not '{number}'"))),
    }
}

/// What is wrong with the command line, and how it should be.
pub fn complaint(what: &str) -> Error {
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
        let (stats, timeout, server_options) = (words.stats, words.timeout, words.server_options);
        // As Git does.
        let version = words.version.unwrap_or(Version::V2);
        let also = std::mem::take(&mut words.also);
        if !also.is_empty() && command != "fetch" {
            return Err(complaint("only a fetch has several servers"));
        }
        let rest: Vec<String> = plain.collect();
        let task = match (directory, command.as_str()) {
            (Some(directory), "fetch") => {
                let refspecs = refspecs(&rest, words.mirror)?;
                Task::Fetch(FetchTask { directory, refspecs, extent: words.extent })
            }
            _ if !words.extent.is_default() => {
                return Err(complaint("only a fetch has a depth, a filter and a remote"));
            }
            (Some(directory), _) => {
                let deletes = words.deletes.into_iter().map(|name| format!(":{name}"));
                let specs: Vec<String> = rest.into_iter().chain(deletes).collect();
                if specs.is_empty() {
                    return Err(complaint("nothing was named to push"));
                }
                let (force, atomic, sign, options) =
                    (words.force, words.atomic, words.sign, words.push_options);
                Task::Push(PushTask { directory, specs, force, atomic, options, sign })
            }
            (None, _) => Task::List,
        };
        Ok(Some(Self { task, remote, also, stats, progress, timeout, version, server_options }))
    }

    /// Reaches the server. The request that is to be sent first comes with it, where one is.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn connect(&self, service: Service) -> Result<(Connection, Option<Request>), Error> {
        // Version 2 has no push; Git asks for version 0 then.
        let version = match service {
            Service::ReceivePack if self.version == Version::V2 => Version::V0,
            Service::ReceivePack | Service::UploadPack => self.version,
        };
        self.remote.connect(service, version)
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
