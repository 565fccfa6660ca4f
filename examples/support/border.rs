//! Pushes from a shallow clone: which refs would end where the client's history ends, and the repository's own border.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::Write;

use portline::git::ObjectId;
use tempfile::NamedTempFile;

use super::error::Error;
use super::history;
use super::process::{Git, Process, pieces};
use super::repository::Repository;
use super::shallow::{self, Lock, write_list};

/// The client's border, as far as it is not ours already.
#[derive(Debug)]
pub struct Border {
    /// Ours and the client's, as Git's programs read it.
    file: NamedTempFile,
    /// Those of the client that are here now.
    new: Vec<ObjectId>,
}

impl Border {
    /// The border that `told` adds to the repository's, seen through `judge`; `None` if it adds nothing that is here.
    ///
    /// # Errors
    /// [`Error::Git`], [`Error::Io`].
    pub fn find(repository: &Repository, judge: &Git, told: &[ObjectId]) -> Result<Option<Self>, Error> {
        if told.is_empty() {
            return Ok(None);
        }
        let ours: HashSet<ObjectId> = repository.shallow()?.into_iter().collect();
        let mut new: Vec<ObjectId> = told.iter().copied().filter(|id| !ours.contains(id)).collect();
        new.sort_unstable();
        new.dedup();
        let new = repository.object_reader_through(judge)?.existing(&new)?;
        if new.is_empty() {
            return Ok(None);
        }
        let mut all: Vec<ObjectId> = ours.into_iter().chain(told.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        Ok(Some(Self { file: write_list(repository, &all)?, new }))
    }

    /// A list of all that a client told, for the programs that store its pack.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn told(repository: &Repository, told: &[ObjectId]) -> Result<Option<NamedTempFile>, Error> {
        if told.is_empty() {
            return Ok(None);
        }
        let mut all = repository.shallow()?;
        all.extend_from_slice(told);
        all.sort_unstable();
        all.dedup();
        write_list(repository, &all).map(Some)
    }

    /// What makes Git's programs and hooks read the client's border as if it were ours.
    pub fn environment(&self) -> [(&'static str, OsString); 1] {
        shallow::environment(self.file.path())
    }

    /// The commits of the border at which the new history of each of `ids` ends.
    ///
    /// # Errors
    /// [`Error::Git`], [`Error::Io`].
    pub fn ends(&self, judge: &Git, ids: &[ObjectId]) -> Result<Vec<Vec<ObjectId>>, Error> {
        let git = judge.with(self.environment());
        if self.among(&git, ids)?.is_empty() {
            // One walk for all, and it is done.
            return Ok(vec![Vec::new(); ids.len()]);
        }
        ids.iter().map(|id| self.among(&git, &[*id])).collect()
    }

    /// The commits of the border among what `ids` reach and our refs do not.
    fn among(&self, git: &Git, ids: &[ObjectId]) -> Result<Vec<ObjectId>, Error> {
        let border: HashSet<ObjectId> = self.new.iter().copied().collect();
        let mut command = git.command(&["rev-list", "--stdin", "--not", "--all"]);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::null());
        let mut process = Process::spawn(&mut command)?;
        let (stdin, stdout) = (process.stdin(), process.stdout());
        let input = history::lines("", ids);
        let (mut found, mut rest) = (Vec::new(), Vec::new());
        if let (Some(mut stdin), Some(stdout)) = (stdin, stdout) {
            // It reads all of its input before it says anything.
            let _ = stdin.write_all(&input);
            drop(stdin);
            let read = pieces(stdout, 1 << 16, |piece| {
                rest.extend_from_slice(&piece);
                let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at.saturating_add(1));
                let lines = rest.drain(..whole).collect::<Vec<u8>>();
                let ids = lines.split(|byte| *byte == b'\n').filter_map(|line| ObjectId::from_hex(line).ok());
                found.extend(ids.filter(|id| border.contains(id)));
                true
            });
            read.map_err(Error::io("rev-list cannot be read"))?;
        }
        process.wait()?;
        Ok(found)
    }

    /// Makes `commits` part of the repository's own border, if `id` is whole with them then.
    ///
    /// # Errors
    /// [`Error::Io`]. Inside: whether it is.
    pub fn extend(repository: &Repository, id: &ObjectId, commits: &[ObjectId]) -> Result<bool, Error> {
        let lock = Lock::take(repository)?;
        let mut all = repository.shallow()?;
        all.extend_from_slice(commits);
        all.sort_unstable();
        all.dedup();
        lock.write(&all)?;
        let git = repository.git().with(shallow::environment(lock.path()));
        if history::whole(repository, &git, &[*id])?.is_err() {
            return Ok(false);
        }
        lock.commit()?;
        Ok(true)
    }
}
