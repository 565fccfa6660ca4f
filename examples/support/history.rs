//! Questions about history: is it whole, is it reachable, does it reach what both sides have.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdout, Stdio};
use std::str;

use portline::git::{Commit, ObjectId};

use super::config::truth;
use super::error::Error;
use super::objects::{Info, Kind, ObjectReader};
use super::process::{Git, Process};
use super::repository::Repository;

/// Whether everything that `ids` reach is here: Git's own connectivity check, which stops at what the refs
/// reach, at the shallow border, and at what a partial clone was promised. Inside, Git's complaint.
///
/// # Errors
/// [`Error::Io`].
pub fn connected(git: &Git, ids: &[ObjectId]) -> Result<Result<(), Vec<u8>>, Error> {
    walk(git, ids, &[], true)
}

/// As [`connected`], where all that `known` reach is here, though no ref leads to it yet.
///
/// # Errors
/// [`Error::Io`].
pub fn connected_beside(
    git: &Git,
    ids: &[ObjectId],
    known: &[ObjectId],
) -> Result<Result<(), Vec<u8>>, Error> {
    walk(git, ids, known, true)
}

/// As [`connected`], for what is pushed here: only a partial clone was promised anything.
///
/// # Errors
/// [`Error::Io`].
pub fn whole(repository: &Repository, git: &Git, ids: &[ObjectId]) -> Result<Result<(), Vec<u8>>, Error> {
    let mut remotes = repository.config().below("remote.");
    let is_partial = remotes.any(|(key, value)| key.ends_with(b".promisor") && truth(value) != Some(false));
    walk(git, ids, &[], is_partial)
}

fn walk(
    git: &Git,
    ids: &[ObjectId],
    known: &[ObjectId],
    is_partial: bool,
) -> Result<Result<(), Vec<u8>>, Error> {
    if ids.is_empty() {
        return Ok(Ok(()));
    }
    let mut asked = vec!["rev-list", "--objects", "--stdin"];
    asked.extend(is_partial.then_some("--exclude-promisor-objects"));
    asked.extend(["--not", "--all", "--quiet", "--alternate-refs"]);
    let mut input = lines("", ids);
    input.extend(lines("^", known));
    let output = git.run(&asked, input)?;
    Ok(if output.status.success() { Ok(()) } else { Err(output.stderr) })
}

/// Those of `ids` that are here with everything they reach. One walk when all are; a damaged or partial
/// history is narrowed down by halves.
///
/// # Errors
/// [`Error::Io`], [`Error::Answer`].
pub fn held(git: &Git, objects: &mut ObjectReader, ids: &[ObjectId]) -> Result<Vec<ObjectId>, Error> {
    let existing = objects.existing(ids)?;
    let mut held = Vec::with_capacity(existing.len());
    let mut open = vec![existing.as_slice()];
    while let Some(part) = open.pop() {
        if connected(git, part)?.is_ok() {
            held.extend_from_slice(part);
        } else if let Some((first, second)) = part.split_at_checked(part.len() / 2).filter(|_| part.len() > 1)
        {
            open.extend([first, second]);
        }
    }
    Ok(held)
}

/// Whether every one of `ids` is reached from the tips. Commits are found by a walk over history; for other objects
/// (what a partial clone left out) it goes over all trees until they are found, with a bitmap where there is one. Git
/// takes any of those that exist.
///
/// # Errors
/// [`Error::Io`], [`Error::Answer`].
pub fn reachable(
    git: &Git,
    objects: &mut ObjectReader,
    ids: &[ObjectId],
    tips: &[ObjectId],
) -> Result<bool, Error> {
    let infos: Vec<Info> = objects.infos(ids)?.into_iter().flatten().collect();
    if infos.len() < ids.len() {
        return Ok(false);
    }
    let tips = objects.existing(tips)?;
    let (commits, others): (Vec<Info>, Vec<Info>) =
        infos.into_iter().partition(|info| info.kind == Kind::Commit);
    if !commits.is_empty() {
        let commits: Vec<ObjectId> = commits.iter().map(|info| info.id).collect();
        let input = [lines("", &commits), lines("^", &tips)].concat();
        let output = git.run(&["rev-list", "--max-count=1", "--stdin"], input)?;
        if !output.status.success() || !output.stdout.is_empty() {
            return Ok(false);
        }
    }
    reaches_objects(git, others.iter().map(|info| info.id).collect(), &tips)
}

/// Whether all of `ids` are among the objects that the tips reach, whatever they are.
fn reaches_objects(git: &Git, mut ids: HashSet<ObjectId>, tips: &[ObjectId]) -> Result<bool, Error> {
    if ids.is_empty() {
        return Ok(true);
    }
    let asked = ["rev-list", "--objects", "--no-object-names", "--use-bitmap-index", "--stdin"];
    let mut command = git.command(&asked);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = Process::spawn(&mut command)?;
    let (stdin, stdout) = (process.stdin(), process.stdout());
    let (mut stdin, stdout) = stdin.zip(stdout).ok_or_else(|| answer(&[]))?;
    stdin.write_all(&lines("", tips)).map_err(Error::io("rev-list cannot be asked"))?;
    drop(stdin);
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.map_err(Error::io("rev-list cannot be read"))?;
        if ObjectId::from_hex(&line).is_ok_and(|id| ids.remove(&id)) && ids.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether `old` is `new` or an ancestor of it.
///
/// # Errors
/// [`Error::Io`]; [`Error::Git`] when one of them is no commit.
pub fn is_ancestor(git: &Git, old: &ObjectId, new: &ObjectId) -> Result<bool, Error> {
    let (old, new) = (old.to_hex(), new.to_hex());
    let asked = ["merge-base", "--is-ancestor", old.as_str(), new.as_str()];
    let output = git.run(&asked, Vec::new())?;
    match output.status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => Err(super::process::failed(&asked, output.stderr)),
    }
}

/// One id a line, behind `prefix`.
pub(super) fn lines(prefix: &str, ids: &[ObjectId]) -> Vec<u8> {
    let mut text = Vec::with_capacity(ids.len().saturating_mul(66));
    for id in ids {
        text.extend_from_slice(prefix.as_bytes());
        text.extend_from_slice(id.to_hex().as_bytes());
        text.push(b'\n');
    }
    text
}

/// Does every want reach something that both sides have? Asked after every round of a fetch, so the history
/// behind the wants is read once, newest first, and only as far as the oldest common commit; the next
/// question reads on from there.
#[derive(Debug)]
pub struct Coverage {
    walk: Walk,
    wants: Vec<ObjectId>,
    /// Common commits already marked.
    common: HashSet<ObjectId>,
    /// Parent to children, for the part that was read.
    children: HashMap<ObjectId, Vec<ObjectId>>,
    /// Commits that reach a common one.
    reaches: HashSet<ObjectId>,
    /// The time of the oldest common commit: a commit older than that cannot reach it.
    oldest: i64,
    /// The time of the commit read last.
    read: i64,
}

impl Coverage {
    /// A walk from `wants`. Wants that lead to no commit have no ancestry to ask about and count as covered,
    /// as Git has it.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Answer`].
    pub fn new(
        repository: &Repository,
        objects: &mut ObjectReader,
        wants: &[ObjectId],
    ) -> Result<Self, Error> {
        let wants: Vec<ObjectId> = objects.peeled(wants)?.into_iter().flatten().collect();
        Ok(Self {
            walk: Walk::start(repository.git(), &wants)?,
            wants,
            common: HashSet::new(),
            children: HashMap::new(),
            reaches: HashSet::new(),
            oldest: i64::MAX,
            read: i64::MAX,
        })
    }

    /// Whether every want reaches one of `common`, as far as commit times do not mislead: then the answer is
    /// "not yet" and the negotiation goes on a little longer.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Answer`].
    pub fn covers(&mut self, objects: &mut ObjectReader, common: &[ObjectId]) -> Result<bool, Error> {
        let asked: HashSet<ObjectId> = common.iter().copied().collect();
        if !self.common.is_subset(&asked) {
            // Fewer than before: the history that was read stays, what it told about the others does not.
            (self.common, self.reaches, self.oldest) = (HashSet::new(), HashSet::new(), i64::MAX);
        }
        let new: Vec<ObjectId> = asked.difference(&self.common).copied().collect();
        self.common = asked;
        for commit in objects.commits(&new)? {
            self.oldest = self.oldest.min(commit.time);
            self.mark(commit.id);
            // Who has a commit has its parents.
            for parent in commit.parents {
                self.mark(parent);
            }
        }
        while !self.is_covered() && self.read >= self.oldest {
            let Some(commit) = self.walk.next_commit()? else { break };
            self.read = commit.time;
            for parent in &commit.parents {
                self.children.entry(*parent).or_default().push(commit.id);
            }
            if commit.parents.iter().any(|parent| self.reaches.contains(parent)) {
                self.mark(commit.id);
            }
        }
        Ok(self.is_covered())
    }

    fn is_covered(&self) -> bool {
        self.wants.iter().all(|want| self.reaches.contains(want))
    }

    fn mark(&mut self, id: ObjectId) {
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            if self.reaches.insert(id) {
                open.extend(self.children.get(&id).into_iter().flatten());
            }
        }
    }
}

/// History as `rev-list` tells it, read line by line: newest first, each commit once. Git waits when nobody
/// reads.
#[derive(Debug)]
pub struct Walk {
    _process: Process,
    lines: BufReader<ChildStdout>,
}

impl Walk {
    /// A walk from `starts`, which are commits that are here.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn start(git: &Git, starts: &[ObjectId]) -> Result<Self, Error> {
        Self::within(git, starts, None, &[])
    }

    /// The same without what is older than `since`, and without what `not` reach.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn within(
        git: &Git,
        starts: &[ObjectId],
        since: Option<u64>,
        not: &[ObjectId],
    ) -> Result<Self, Error> {
        let mut command = git.command(&["rev-list", "--parents", "--timestamp", "--stdin"]);
        command.args(since.map(|since| format!("--max-age={since}")));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Process::spawn(&mut command)?;
        let (stdin, stdout) = (process.stdin(), process.stdout());
        let (mut stdin, stdout) = stdin.zip(stdout).ok_or_else(|| answer(&[]))?;
        // rev-list reads all of its input before it writes, so this cannot block for good.
        let asked = [lines("", starts), lines("^", not)].concat();
        stdin.write_all(&asked).map_err(Error::io("rev-list cannot be asked"))?;
        Ok(Self { _process: process, lines: BufReader::new(stdout) })
    }

    /// The next commit; `None` at the end, and where history cannot be read.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Answer`].
    pub fn next_commit(&mut self) -> Result<Option<Commit>, Error> {
        let mut line = Vec::new();
        self.lines.read_until(b'\n', &mut line).map_err(Error::io("rev-list cannot be read"))?;
        let mut words = line.trim_ascii().split(|byte| *byte == b' ');
        let time = words.next().and_then(|time| str::from_utf8(time).ok()?.parse().ok());
        let Some(time) = time else { return Ok(None) };
        let mut ids = words.map(|word| ObjectId::from_hex(word).map_err(|_| answer(&line)));
        let id = ids.next().ok_or_else(|| answer(&line))??;
        Ok(Some(Commit { id, parents: ids.collect::<Result<_, _>>()?, time }))
    }
}

fn answer(line: &[u8]) -> Error {
    Error::Answer { command: "rev-list", answer: line.to_vec() }
}

/// Commits for a machine that walks history itself. It asks for a few at a time, so those that it is going to
/// ask for next are read along, twice as many each time: a long walk costs a handful of child processes.
#[derive(Debug, Default)]
pub struct Loader {
    known: HashMap<ObjectId, Commit>,
    ahead: usize,
}

/// Commits read ahead at first, and at most.
const AHEAD: (usize, usize) = (64, 16384);

impl Loader {
    /// A loader that knows nothing yet.
    pub fn new() -> Self {
        Self { known: HashMap::new(), ahead: AHEAD.0 }
    }

    /// The commits among `ids`; those that are absent or no commits are left out.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Answer`].
    pub fn load(
        &mut self,
        git: &Git,
        objects: &mut ObjectReader,
        ids: &[ObjectId],
    ) -> Result<Vec<Commit>, Error> {
        let missing: Vec<ObjectId> = ids.iter().copied().filter(|id| !self.known.contains_key(id)).collect();
        let commits = objects.commits(&missing)?;
        let starts: Vec<ObjectId> = commits.iter().map(|commit| commit.id).collect();
        self.known.extend(commits.into_iter().map(|commit| (commit.id, commit)));
        if !starts.is_empty() {
            self.read_ahead(git, &starts)?;
        }
        Ok(ids.iter().filter_map(|id| self.known.get(id).cloned()).collect())
    }

    fn read_ahead(&mut self, git: &Git, starts: &[ObjectId]) -> Result<(), Error> {
        let mut walk = Walk::start(git, starts)?;
        for _ in 0..self.ahead {
            let Some(commit) = walk.next_commit()? else { break };
            self.known.insert(commit.id, commit);
        }
        self.ahead = self.ahead.saturating_mul(2).min(AHEAD.1);
        Ok(())
    }
}

/// A date as Git reads it: seconds since 1970.
///
/// # Errors
/// [`Error::Answer`] when Git does not read it, [`Error::Io`].
pub fn seconds(repository: &Repository, date: &str) -> Result<u64, Error> {
    let answer = repository.git().ask(&["rev-parse", &format!("--since={date}")], Vec::new())?;
    let digits = answer.trim_ascii().strip_prefix(b"--max-age=").and_then(|age| str::from_utf8(age).ok());
    let seconds = digits.and_then(|digits| digits.parse().ok());
    seconds.ok_or(Error::Answer { command: "rev-parse", answer })
}
