//! Refs: listed in one go, updated one by one or all together, always from the value that was seen.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Stdio};
use std::slice;

use bytes::Bytes;
use portline::git::push::Command;
use portline::git::{ObjectId, Ref, RefName};

use super::error::Error;
use super::process::{Git, Process, complaint};

/// Name, id, id of the peeled object, target of a symbolic ref. None of them can hold a NUL or a line feed.
const FORMAT: &str = "--format=%(refname)%00%(objectname)%00%(*objectname)%00%(symref)";

/// All refs sorted by name, `HEAD` first if it names something. Refs that are broken are left out, as Git
/// does.
///
/// # Errors
/// [`Error::Git`], [`Error::Answer`], [`Error::Io`].
pub fn list(git: &Git) -> Result<Vec<Ref>, Error> {
    let output = git.run(&["for-each-ref", FORMAT], Vec::new())?;
    if !output.status.success() {
        return Err(super::process::failed(&["for-each-ref"], output.stderr));
    }
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut listed = lines.filter_map(|line| parse(line).transpose()).collect::<Result<Vec<Ref>, Error>>()?;
    peel_chains(git, &mut listed)?;
    if let Some(head) = head(git, &listed)? {
        listed.insert(0, head);
    }
    Ok(listed)
}

/// All refs sorted by name, without `HEAD`, without what tags stand for: all that a push is shown, and no object is
/// read for it.
///
/// # Errors
/// [`Error::Git`], [`Error::Answer`], [`Error::Io`].
pub fn plain(git: &Git) -> Result<Vec<Ref>, Error> {
    let listed = git.ask(&["for-each-ref", "--format=%(objectname) %(refname)"], Vec::new())?;
    let lines = listed.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let parse = |line: &[u8]| {
        let answer = || Error::Answer { command: "for-each-ref", answer: line.to_vec() };
        let space = line.iter().position(|byte| *byte == b' ').ok_or_else(answer)?;
        let (id, name) = line.split_at_checked(space).ok_or_else(answer)?;
        let id = ObjectId::from_hex(id).map_err(|_| answer())?;
        // A name that is not valid on the wire is not shown.
        Ok(RefName::new(name.get(1..).unwrap_or_default()).ok().map(|name| Ref::new(name, id)))
    };
    lines.filter_map(|line| parse(line).transpose()).collect()
}

/// One line of [`FORMAT`]; `None` for a name that is not valid on the wire.
fn parse(line: &[u8]) -> Result<Option<Ref>, Error> {
    let answer = || Error::Answer { command: "for-each-ref", answer: line.to_vec() };
    let mut fields = line.split(|byte| *byte == 0);
    let mut next = || fields.next().ok_or_else(answer);
    let (name, id, peeled, target) = (next()?, next()?, next()?, next()?);
    let Ok(name) = RefName::new(name) else { return Ok(None) };
    let id = ObjectId::from_hex(id).map_err(|_| answer())?;
    Ok(Some(Ref {
        peeled: ObjectId::from_hex(peeled).ok(),
        target: RefName::new(target).ok(),
        ..Ref::new(name, id)
    }))
}

/// A tag of a tag: `%(*objectname)` goes one step in older Gits, the wire wants the end of the chain.
fn peel_chains(git: &Git, listed: &mut [Ref]) -> Result<(), Error> {
    let peeled: Vec<ObjectId> = listed.iter().filter_map(|entry| entry.peeled).collect();
    if peeled.is_empty() {
        return Ok(());
    }
    let mut input = Vec::new();
    for id in &peeled {
        input.extend_from_slice(format!("{id}^{{}}\n").as_bytes());
    }
    let answer = git.ask(&["cat-file", "--batch-check=%(objectname)", "--buffer"], input)?;
    let ends = answer.split(|byte| *byte == b'\n').map(|line| ObjectId::from_hex(line).ok());
    for (entry, end) in listed.iter_mut().filter(|entry| entry.peeled.is_some()).zip(ends) {
        entry.peeled = end.or(entry.peeled);
    }
    Ok(())
}

fn head(git: &Git, listed: &[Ref]) -> Result<Option<Ref>, Error> {
    let target = git.run(&["symbolic-ref", "--quiet", "HEAD"], Vec::new())?;
    let target = RefName::new(target.stdout.trim_ascii()).ok();
    if let Some(target) = target {
        let born = listed.iter().find(|entry| entry.name == target);
        return Ok(born.map(|entry| Ref { target: Some(target), ..Ref::new(RefName::head(), entry.id) }));
    }
    let detached = git.run(&["rev-parse", "--verify", "--quiet", "HEAD"], Vec::new())?;
    let id = ObjectId::from_hex(detached.stdout.trim_ascii());
    Ok(id.ok().map(|id| Ref::new(RefName::head(), id)))
}

/// The symbolic refs but `HEAD`, and what they stand for.
///
/// # Errors
/// As [`list`].
pub fn links(git: &Git) -> Result<Vec<(RefName, RefName)>, Error> {
    let format = "--format=%(if)%(symref)%(then)%(refname)%00%(symref)%(end)";
    let listed = git.ask(&["for-each-ref", format], Vec::new())?;
    let lines = listed.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut names = line.splitn(2, |byte| *byte == 0);
        Some((RefName::new(names.next()?).ok()?, RefName::new(names.next()?).ok()?))
    });
    Ok(lines.collect())
}

/// Why a ref was not updated: Git's own words.
pub type RefError = Bytes;

/// Updates refs one after the other, each from its old value: one that fails does not hold up the others.
pub struct Updates<'a> {
    git: &'a Git,
    message: &'a str,
    running: Option<Updater>,
}

impl<'a> Updates<'a> {
    /// Updates with `message` in the reflogs.
    pub const fn new(git: &'a Git, message: &'a str) -> Self {
        Self { git, message, running: None }
    }

    /// Updates one ref. Inside, why it was not.
    ///
    /// # Errors
    /// [`Error::Io`] when Git cannot be started at all.
    pub fn apply(&mut self, command: &Command) -> Result<Result<(), RefError>, Error> {
        let mut updater = match self.running.take() {
            Some(running) => running,
            None => Updater::start(self.git, self.message)?,
        };
        if updater.transact(slice::from_ref(command)).is_err() {
            // Git ends with the first failure; the next ref gets a new one.
            return Ok(Err(updater.complaint()));
        }
        self.running = Some(updater);
        Ok(Ok(()))
    }
}

/// Updates all refs or none.
///
/// # Errors
/// [`Error::Io`] when Git cannot be started at all; inside, why nothing was updated.
pub fn update_all(git: &Git, commands: &[Command], message: &str) -> Result<Result<(), RefError>, Error> {
    let mut updater = Updater::start(git, message)?;
    Ok(updater.transact(commands).map_err(|_| updater.complaint()))
}

/// A running `update-ref --stdin`: one transaction after the other until one fails.
struct Updater {
    process: Process,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    stderr: ChildStderr,
}

impl Updater {
    fn start(git: &Git, message: &str) -> Result<Self, Error> {
        let mut command = git.command(&["update-ref", "-m", message, "--stdin", "-z"]);
        // As receive-pack stands in the repository: the `reference-transaction` hook sees it so.
        command.env("GIT_DIR", ".");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command)?;
        let (stdin, stdout, stderr) = (process.stdin(), process.stdout(), process.stderr());
        let missing = || Error::Answer { command: "update-ref", answer: Vec::new() };
        let (stdin, stdout) = (stdin.ok_or_else(missing)?, BufReader::new(stdout.ok_or_else(missing)?));
        Ok(Self { process, stdin, stdout, stderr: stderr.ok_or_else(missing)? })
    }

    /// One transaction. Git answers only the verbs, so its output cannot fill up while the commands are
    /// written.
    fn transact(&mut self, commands: &[Command]) -> std::io::Result<()> {
        let mut text = b"start\0".to_vec();
        for command in commands {
            put(&mut text, command);
        }
        text.extend_from_slice(b"prepare\0commit\0");
        self.stdin.write_all(&text)?;
        self.stdin.flush()?;
        for expected in ["start: ok\n", "prepare: ok\n", "commit: ok\n"] {
            let mut answer = String::new();
            self.stdout.read_line(&mut answer)?;
            if answer != expected {
                return Err(std::io::ErrorKind::InvalidData.into());
            }
        }
        Ok(())
    }

    /// What it said when it gave up.
    fn complaint(self) -> RefError {
        let Self { mut process, stdin, mut stderr, .. } = self;
        drop(stdin);
        let mut said = Vec::new();
        // Half a message is better than none.
        let _ = stderr.read_to_end(&mut said);
        let _ = process.wait();
        let words = complaint(&said);
        let words =
            words.strip_prefix(b"prepare: ").or_else(|| words.strip_prefix(b"commit: ")).unwrap_or(words);
        Bytes::copy_from_slice(if words.is_empty() { b"the ref could not be updated" } else { words })
    }
}

/// `update` covers creation (a null old id) as well; `delete` is a word of its own.
fn put(to: &mut Vec<u8>, command: &Command) {
    let (old, new) = (command.old.to_hex(), command.new.to_hex());
    let name = command.name.as_bytes();
    let parts: &[&[u8]] = if command.new.is_null() && command.old.is_null() {
        // Whatever it holds.
        &[b"delete ", name, b"\0\0"]
    } else if command.new.is_null() {
        &[b"delete ", name, b"\0", old.as_bytes(), b"\0"]
    } else {
        &[b"update ", name, b"\0", new.as_bytes(), b"\0", old.as_bytes(), b"\0"]
    };
    for part in parts {
        to.extend_from_slice(part);
    }
}

/// The refs by name.
pub fn by_name(listed: &[Ref]) -> HashMap<RefName, ObjectId> {
    listed.iter().map(|entry| (entry.name.clone(), entry.id)).collect()
}
