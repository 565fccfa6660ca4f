//! Questions about objects, asked of one long-lived `cat-file`.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::str;

use portline::git::{Commit, ObjectId};

use super::error::Error;
use super::process::{Git, Process};

/// Questions in one go. That many fit into a pipe, and so do their answers: neither side ever blocks the
/// other.
const BATCH: usize = 500;
/// A commit larger than this is not read: history is made of small ones, a peer may name any object.
const COMMIT: u64 = 16 << 20;

/// A running `cat-file --batch-command --buffer`.
#[derive(Debug)]
pub struct ObjectReader {
    _process: Process,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    shallow: HashSet<ObjectId>,
}

/// What is known of an object without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its id.
    pub id: ObjectId,
    /// Its type.
    pub kind: Kind,
    /// Its size in bytes.
    pub size: u64,
}

/// The type of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A commit.
    Commit,
    /// A directory.
    Tree,
    /// A file.
    Blob,
    /// An annotated tag.
    Tag,
}

impl ObjectReader {
    pub(super) fn start(git: &Git, shallow: Vec<ObjectId>) -> Result<Self, Error> {
        let mut command = git.command(&["cat-file", "--batch-command", "--buffer"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Process::spawn(&mut command)?;
        let (stdin, stdout) = (process.stdin(), process.stdout());
        let missing = || answer(&[]);
        let (stdin, stdout) = (stdin.ok_or_else(missing)?, BufReader::new(stdout.ok_or_else(missing)?));
        Ok(Self { _process: process, stdin, stdout, shallow: shallow.into_iter().collect() })
    }

    /// What is known of each, in order; `None` for those that are not here.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Answer`].
    pub fn infos(&mut self, ids: &[ObjectId]) -> Result<Vec<Option<Info>>, Error> {
        let mut infos = Vec::with_capacity(ids.len());
        for batch in ids.chunks(BATCH) {
            self.ask("info", "", batch)?;
            for _ in batch {
                infos.push(self.info()?);
            }
        }
        Ok(infos)
    }

    /// Those of `ids` that are here.
    ///
    /// # Errors
    /// As [`ObjectReader::infos`].
    pub fn existing(&mut self, ids: &[ObjectId]) -> Result<Vec<ObjectId>, Error> {
        Ok(self.infos(ids)?.into_iter().flatten().map(|info| info.id).collect())
    }

    /// The commits that `ids` lead to: themselves, or what a chain of tags ends at. `None` where that is
    /// something else or nothing.
    ///
    /// # Errors
    /// As [`ObjectReader::infos`].
    pub fn peeled(&mut self, ids: &[ObjectId]) -> Result<Vec<Option<ObjectId>>, Error> {
        let mut peeled = Vec::with_capacity(ids.len());
        for batch in ids.chunks(BATCH) {
            self.ask("info", "^{}", batch)?;
            for _ in batch {
                let info = self.info()?.filter(|info| info.kind == Kind::Commit);
                peeled.push(info.map(|info| info.id));
            }
        }
        Ok(peeled)
    }

    /// The commits among `ids`; what is absent or no commit is left out, and never read.
    ///
    /// # Errors
    /// As [`ObjectReader::infos`].
    pub fn commits(&mut self, ids: &[ObjectId]) -> Result<Vec<Commit>, Error> {
        let infos = self.infos(ids)?.into_iter().flatten();
        let ids: Vec<ObjectId> = infos
            .filter(|info| info.kind == Kind::Commit && info.size <= COMMIT)
            .map(|info| info.id)
            .collect();
        let mut commits = Vec::with_capacity(ids.len());
        let mut body = Vec::new();
        for batch in ids.chunks(BATCH) {
            self.ask("contents", "", batch)?;
            for _ in batch {
                let Some(info) = self.info()? else { continue };
                body.clear();
                let whole = info.size.saturating_add(1);
                let read = self.stdout.by_ref().take(whole).read_to_end(&mut body);
                read.map_err(Error::io("cat-file cannot be read"))?;
                commits.push(self.parse(info.id, &body)?);
            }
        }
        Ok(commits)
    }

    fn ask(&mut self, verb: &str, suffix: &str, ids: &[ObjectId]) -> Result<(), Error> {
        let mut text = Vec::with_capacity(ids.len().saturating_mul(80));
        for id in ids {
            text.extend_from_slice(verb.as_bytes());
            text.push(b' ');
            text.extend_from_slice(id.to_hex().as_bytes());
            text.extend_from_slice(suffix.as_bytes());
            text.push(b'\n');
        }
        text.extend_from_slice(b"flush\n");
        self.stdin.write_all(&text).map_err(Error::io("cat-file cannot be asked"))
    }

    /// `ID TYPE SIZE`, or `NAME missing` and other words for what is not to be had.
    fn info(&mut self) -> Result<Option<Info>, Error> {
        let mut line = Vec::new();
        self.stdout.read_until(b'\n', &mut line).map_err(Error::io("cat-file cannot be read"))?;
        if !line.ends_with(b"\n") {
            return Err(answer(&line));
        }
        let mut words = line.trim_ascii().split(|byte| *byte == b' ');
        let id = words.next().and_then(|word| ObjectId::from_hex(word).ok());
        let kind = match words.next() {
            Some(b"commit") => Kind::Commit,
            Some(b"tree") => Kind::Tree,
            Some(b"blob") => Kind::Blob,
            Some(b"tag") => Kind::Tag,
            Some(_) => return Ok(None),
            None => return Err(answer(&line)),
        };
        let size = words.next().and_then(|word| str::from_utf8(word).ok()?.parse().ok());
        id.zip(size).map(|(id, size)| Some(Info { id, kind, size })).ok_or_else(|| answer(&line))
    }

    fn parse(&self, id: ObjectId, body: &[u8]) -> Result<Commit, Error> {
        let mut commit = Commit { id, parents: smallvec::SmallVec::new(), time: 0 };
        for line in body.split(|byte| *byte == b'\n').take_while(|line| !line.is_empty()) {
            if let Some(parent) = line.strip_prefix(b"parent ") {
                commit.parents.push(ObjectId::from_hex(parent).map_err(|_| answer(line))?);
            } else if let Some(committer) = line.strip_prefix(b"committer ") {
                let time = committer.rsplit(|byte| *byte == b' ').nth(1);
                commit.time = time.and_then(|time| str::from_utf8(time).ok()?.parse().ok()).unwrap_or(0);
                break;
            }
        }
        if self.shallow.contains(&id) {
            commit.parents.clear();
        }
        Ok(commit)
    }
}

fn answer(line: &[u8]) -> Error {
    Error::Answer { command: "cat-file", answer: line.to_vec() }
}
