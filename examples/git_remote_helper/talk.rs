//! The conversation with Git: its commands on standard input, a line each, our answers on standard output.

#![allow(unreachable_pub)]

use std::io::{self, BufRead, Write};
use std::process::Command as Program;
use std::str;

use portline::git::fetch::negotiator::Algorithm;
use portline::git::{Advertisement, ObjectId, RefName, Service, Version};

use super::settings::{Answer, Settings};
use super::support::promise::Promise;
use super::support::remote::Remote;
use super::support::{Error, Repository};

/// What Git wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// What can you do?
    Capabilities,
    /// Which refs are there?
    List {
        /// Those that a push sees.
        for_push: bool,
    },
    /// Bring these objects and what they reach: all `fetch` lines up to the empty one.
    Fetch(Vec<ObjectId>),
    /// Move these refs: all `push` lines up to the empty one.
    Push(Vec<Spec>),
    /// Nothing more.
    End,
}

/// One `push [+]SRC:DST`. The `+` says what Git has already found out: that history is overwritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// What to push; empty deletes.
    pub source: String,
    /// Where to.
    pub target: RefName,
}

/// The conversation so far.
#[derive(Debug)]
pub struct Talk {
    /// What Git has set.
    pub settings: Settings,
    remote: String,
    url: String,
    version: Version,
}

impl Talk {
    /// A conversation about the remote `name`, which may be just its URL, at `url`.
    ///
    /// # Errors
    /// [`Error::Io`] when Git's settings cannot be read.
    pub fn new(name: &str, url: &str) -> Result<Self, Error> {
        let version = match setting("protocol.version")?.as_deref() {
            Some("0") => Version::V0,
            Some("1") => Version::V1,
            _ => Version::V2,
        };
        let (remote, url) = (name.to_owned(), url.to_owned());
        Ok(Self { settings: Settings::default(), remote, url, version })
    }

    /// What Git was told to speak to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where `service` is, and the version to ask for.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn remote(&self, service: Service) -> Result<(Remote, Version), Error> {
        // A push has no version 2: Git asks for version 0 then.
        let version = match service {
            Service::ReceivePack if self.version == Version::V2 => Version::V0,
            Service::ReceivePack | Service::UploadPack => self.version,
        };
        if self.url.contains("://") {
            return Ok((Remote::parse(&self.url)?, version));
        }
        let (key, default) = match service {
            Service::UploadPack => ("uploadpack", "git-upload-pack"),
            Service::ReceivePack => ("receivepack", "git-receive-pack"),
        };
        let own = setting(&format!("remote.{}.{key}", self.remote))?;
        let program = own.unwrap_or_else(|| default.to_owned());
        // The user's own words may have options in them; the path is one argument whatever is in it.
        let words = ["sh", "-c", &format!("{program} \"$@\""), &program, &self.url];
        Ok((Remote::Program(words.map(Into::into).to_vec()), version))
    }

    /// How a fetch chooses what it says it has: `fetch.negotiationAlgorithm`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn algorithm(&self) -> Result<Algorithm, Error> {
        Ok(match setting("fetch.negotiationalgorithm")?.as_deref() {
            Some("noop") => Algorithm::Noop,
            Some("consecutive") => Algorithm::Consecutive,
            _ => Algorithm::default(),
        })
    }

    /// What the server is to leave out, and so has to be marked: what Git asks for, or what it was promised before.
    pub fn promise(&self, repository: &Repository) -> Option<Promise> {
        let before = || Promise::configured(repository, &self.remote).filter(|_| self.settings.from_promisor);
        match self.settings.filter.clone() {
            Some(filter) => Some(Promise { remote: self.remote.clone(), url: None, filter, record: false }),
            None => before().map(|promise| Promise { record: false, ..promise }),
        }
    }

    /// Says something to Git.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn say(&self, text: &str) -> Result<(), Error> {
        let mut output = io::stdout().lock();
        let said = output.write_all(text.as_bytes()).and_then(|()| output.flush());
        said.map_err(Error::io("Git does not listen"))
    }

    /// Says something to the user.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn warn(&self, text: &str) -> Result<(), Error> {
        writeln!(io::stderr(), "{text}").map_err(Error::io("standard error"))
    }

    /// Shows Git the refs of an advertisement.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn list(&self, seen: &Advertisement) -> Result<(), Error> {
        let mut text = Vec::new();
        if self.settings.object_format {
            text.extend_from_slice(format!(":object-format {}\n", seen.format.name()).as_bytes());
        }
        for entry in &seen.refs {
            match entry.target.as_ref().filter(|target| seen.find(target).is_some()) {
                Some(target) => text.extend_from_slice(&[b"@", target.as_bytes(), b" "].concat()),
                None => text.extend_from_slice(format!("{} ", entry.id).as_bytes()),
            }
            text.extend_from_slice(&[entry.name.as_bytes(), b"\n"].concat());
            if let Some(peeled) = entry.peeled {
                text.extend_from_slice(format!("{peeled} ").as_bytes());
                text.extend_from_slice(&[entry.name.as_bytes(), b"^{}\n"].concat());
            }
        }
        text.push(b'\n');
        let mut output = io::stdout().lock();
        let said = output.write_all(&text).and_then(|()| output.flush());
        said.map_err(Error::io("Git does not listen"))
    }

    /// The next command; options are set and answered on the way.
    ///
    /// # Errors
    /// [`Error::Usage`] for a command that Git does not have, [`Error::Io`].
    pub fn next_command(&mut self) -> Result<Command, Error> {
        loop {
            let line = read_line()?;
            if let Some(option) = line.strip_prefix(b"option ") {
                let answer = self.settings.set(option);
                self.say(match answer {
                    Answer::Ok => "ok\n",
                    Answer::Unsupported => "unsupported\n",
                    Answer::Error => "error the value is not understood\n",
                })?;
                continue;
            }
            return match line.as_slice() {
                b"" => Ok(Command::End),
                b"capabilities" => Ok(Command::Capabilities),
                b"list" => Ok(Command::List { for_push: false }),
                b"list for-push" => Ok(Command::List { for_push: true }),
                first if first.starts_with(b"fetch ") => batch(first, b"fetch ", want).map(Command::Fetch),
                first if first.starts_with(b"push ") => batch(first, b"push ", spec).map(Command::Push),
                other => Err(unknown(other)),
            };
        }
    }
}

/// `first` and the lines behind it up to an empty one, all of a kind.
fn batch<T>(first: &[u8], kind: &[u8], read: fn(&[u8]) -> Option<T>) -> Result<Vec<T>, Error> {
    let (mut all, mut line) = (Vec::new(), first.to_vec());
    while !line.is_empty() {
        let item = line.strip_prefix(kind).and_then(read);
        all.push(item.ok_or_else(|| unknown(&line))?);
        line = read_line()?;
    }
    Ok(all)
}

/// `ID NAME`.
fn want(text: &[u8]) -> Option<ObjectId> {
    ObjectId::from_hex(text.split(|byte| *byte == b' ').next()?).ok()
}

/// `[+]SRC:DST`.
fn spec(text: &[u8]) -> Option<Spec> {
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let colon = text.iter().rposition(|byte| *byte == b':')?;
    let (source, target) = text.split_at_checked(colon)?;
    let target = RefName::new(target.strip_prefix(b":")?).ok()?;
    Some(Spec { source: str::from_utf8(source).ok()?.to_owned(), target })
}

fn unknown(line: &[u8]) -> Error {
    Error::Usage(format!("Git said something unknown: '{}'", line.escape_ascii()))
}

/// One line without its end; empty at the end of input.
fn read_line() -> Result<Vec<u8>, Error> {
    let mut line = Vec::new();
    io::stdin().lock().read_until(b'\n', &mut line).map_err(Error::io("Git cannot be heard"))?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(line)
}

/// One of Git's settings, of the repository or of the user.
fn setting(name: &str) -> Result<Option<String>, Error> {
    let output = Program::new("git").args(["config", "--get", name]).output();
    let output = output.map_err(Error::io("git config cannot be started"))?;
    let value = String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned();
    Ok(Some(value).filter(|value| output.status.success() && !value.is_empty()))
}
