//! Refs: listed in one go, updated one by one or all together, always from the value that was seen.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::slice;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use portline::git::push::Command;
use portline::git::{ObjectFormat, ObjectId, Ref, RefName};

use super::error::Error;
use super::process::{Git, Process, complaint};
use super::repository::os;

/// Name, id, target of a symbolic ref. None of them can hold a NUL or a line feed. What tags peel to is not asked here:
/// for that Git would open the object of every ref.
const FORMAT: &str = "--format=%(refname)%00%(objectname)%00%(symref)";

/// All refs sorted by name, `HEAD` first if it names something. Refs that are broken are left out, as Git
/// does.
///
/// # Errors
/// [`Error::Git`], [`Error::Answer`], [`Error::Io`].
pub fn list(git: &Git) -> Result<Vec<Ref>, Error> {
    let mut listed = read(git, &[])?;
    if let (Some(id), target) = head(git)? {
        listed.insert(0, Ref { target, ..Ref::new(RefName::head(), id) });
    }
    Ok(listed)
}

/// The same for those whose names begin with one of `prefixes`; with a `HEAD` that is not born yet under the null id.
///
/// # Errors
/// As [`list`].
pub fn list_below(git: &Git, format: ObjectFormat, prefixes: Option<&[Bytes]>) -> Result<Vec<Ref>, Error> {
    let mut listed = match prefixes {
        None => read(git, &[])?,
        Some(prefixes) => {
            let patterns: Vec<OsString> = prefixes.iter().flat_map(|prefix| patterns(prefix)).collect();
            // Without a pattern Git would list all of them.
            if patterns.is_empty() { Vec::new() } else { read(git, &patterns)? }
        }
    };
    let (id, target) = head(git)?;
    if id.is_some() || target.is_some() {
        let id = id.unwrap_or_else(|| ObjectId::null(format));
        listed.insert(0, Ref { target, ..Ref::new(RefName::head(), id) });
    }
    Ok(listed)
}

/// What makes `for-each-ref` list the names that begin so, and read no others.
fn patterns(prefix: &[u8]) -> Vec<OsString> {
    // No name below `refs/` begins otherwise, and none holds what patterns are made of.
    let may_match = (prefix.starts_with(b"refs/") || b"refs/".starts_with(prefix))
        && !prefix.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\' | 0));
    match prefix {
        _ if !may_match => Vec::new(),
        _ if prefix.len() < b"refs/".len() => vec![os(b"refs/")],
        _ if prefix.ends_with(b"/") => vec![os(prefix)],
        _ => vec![os(&[prefix, b"*"].concat()), os(&[prefix, b"*/**"].concat())],
    }
}

fn read(git: &Git, patterns: &[OsString]) -> Result<Vec<Ref>, Error> {
    let mut listed = Vec::new();
    each_line(git, FORMAT, patterns, |line| {
        let mut fields = line.split(|byte| *byte == 0);
        let (name, id, target) = (fields.next()?, fields.next()?, fields.next()?);
        let id = ObjectId::from_hex(id).ok()?;
        // A name that is not valid on the wire is not shown.
        if let Ok(name) = RefName::new(name) {
            listed.push(Ref { target: RefName::new(target).ok(), ..Ref::new(name, id) });
        }
        Some(())
    })?;
    peel(git, &mut listed)?;
    Ok(listed)
}

/// All refs sorted by name, without `HEAD`, without what tags stand for: all that a push is shown, and no object is
/// read for it.
///
/// # Errors
/// [`Error::Git`], [`Error::Answer`], [`Error::Io`].
pub fn plain(git: &Git) -> Result<Vec<Ref>, Error> {
    let mut listed = Vec::new();
    each_line(git, "--format=%(objectname) %(refname)", &[], |line| {
        let (id, name) = line.split_at_checked(line.iter().position(|byte| *byte == b' ')?)?;
        let id = ObjectId::from_hex(id).ok()?;
        if let Ok(name) = RefName::new(name.get(1..)?) {
            listed.push(Ref::new(name, id));
        }
        Some(())
    })?;
    Ok(listed)
}

/// Reads what `for-each-ref` says of the refs that match, line by line: a repository may have more refs than their text
/// should take memory twice. They come by name anyway; asked to sort them, Git would hold them all.
fn each_line(
    git: &Git,
    format: &str,
    patterns: &[OsString],
    mut take: impl FnMut(&[u8]) -> Option<()>,
) -> Result<(), Error> {
    let asked = ["for-each-ref", "--no-sort", format];
    let mut command = git.command(&asked);
    command.args(patterns).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = Process::spawn(&mut command)?;
    let (stdout, stderr) = (process.stdout(), process.stderr());
    let mut lines = stdout.map(BufReader::new);
    let mut line = Vec::new();
    while let Some(lines) = &mut lines {
        line.clear();
        if lines.read_until(b'\n', &mut line).map_err(Error::io("for-each-ref cannot be read"))? == 0 {
            break;
        }
        let taken = take(line.strip_suffix(b"\n").unwrap_or(&line));
        taken.ok_or_else(|| Error::Answer { command: "for-each-ref", answer: line.clone() })?;
    }
    let mut said = Vec::new();
    let _ = stderr.map(|mut stderr| stderr.read_to_end(&mut said));
    if process.wait()?.success() { Ok(()) } else { Err(super::process::failed(&asked, said)) }
}

/// Finds what tags peel to: the end of the chain. Refs to objects that are not there are left out. Each object is asked
/// for once, and only tags are opened.
fn peel(git: &Git, listed: &mut Vec<Ref>) -> Result<(), Error> {
    let mut ids: Vec<ObjectId> = listed.iter().map(|one| one.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let kinds = check(git, "%(objecttype)", &ids, "")?;
    let kinds: Vec<&[u8]> = kinds.split(|byte| *byte == b'\n').collect();
    let kind =
        |id: &ObjectId| ids.binary_search(id).ok().and_then(|at| kinds.get(at).copied()).unwrap_or_default();
    listed.retain(|one| !kind(&one.id).ends_with(b" missing"));
    let tags: Vec<ObjectId> = ids.iter().filter(|id| kind(id) == b"tag").copied().collect();
    let ends = check(git, "%(objectname)", &tags, "^{}")?;
    let ends: Vec<Option<ObjectId>> =
        ends.split(|byte| *byte == b'\n').map(|hex| ObjectId::from_hex(hex).ok()).collect();
    for one in listed {
        one.peeled = tags.binary_search(&one.id).ok().and_then(|at| ends.get(at).copied().flatten());
    }
    Ok(())
}

/// What `cat-file` says of each id with `suffix` behind it, a line each.
fn check(git: &Git, format: &str, ids: &[ObjectId], suffix: &str) -> Result<Vec<u8>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut input = Vec::new();
    for id in ids {
        input.extend_from_slice(format!("{id}{suffix}\n").as_bytes());
    }
    git.ask(&["cat-file", &format!("--batch-check={format}"), "--buffer"], input)
}

/// What `HEAD` names, and the branch that it stands for, born or not.
fn head(git: &Git) -> Result<(Option<ObjectId>, Option<RefName>), Error> {
    let target = git.run(&["symbolic-ref", "--quiet", "HEAD"], Vec::new())?;
    let found = git.run(&["rev-parse", "--verify", "--quiet", "HEAD"], Vec::new())?;
    Ok((ObjectId::from_hex(found.stdout.trim_ascii()).ok(), RefName::new(target.stdout.trim_ascii()).ok()))
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
    /// Reads what it says, so that a hook of its may say as much as it likes.
    words: JoinHandle<Vec<u8>>,
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
        let stderr = stderr.ok_or_else(missing)?;
        Ok(Self { process, stdin, stdout, words: thread::spawn(move || last_words(stderr)) })
    }

    /// One transaction. Git answers only the verbs, so its output cannot fill up while the commands are
    /// written.
    fn transact(&mut self, commands: &[Command]) -> io::Result<()> {
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
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(())
    }

    /// What it said when it gave up.
    fn complaint(self) -> RefError {
        let Self { mut process, stdin, words, .. } = self;
        drop(stdin);
        // Half a message is better than none.
        let _ = process.wait();
        let said = words.join().unwrap_or_default();
        let words = complaint(&said);
        let words =
            words.strip_prefix(b"prepare: ").or_else(|| words.strip_prefix(b"commit: ")).unwrap_or(words);
        Bytes::copy_from_slice(if words.is_empty() { b"the ref could not be updated" } else { words })
    }
}

/// The last words of a program that gave up. What its hooks say is for our own log, as it is with Git.
fn last_words(stderr: impl Read) -> Vec<u8> {
    let (mut stderr, mut line, mut fatal) = (BufReader::new(stderr), Vec::new(), Vec::new());
    while stderr.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        if !fatal.is_empty() || line.starts_with(b"fatal: ") {
            fatal.extend_from_slice(&line);
        } else {
            let _ = io::stderr().write_all(&line);
        }
        line.clear();
    }
    fatal
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
