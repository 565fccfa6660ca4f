//! The shallow border: the commits that a repository has without their parents, in its file `shallow`.
//!
//! While a fetch is under way, Git's programs see the border as it will be in a file of its own
//! (`GIT_SHALLOW_FILE`), as Git does it itself. When the objects are in, the real file is replaced under its lock.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};

use portline::git::{ObjectId, ShallowUpdate};
use tempfile::NamedTempFile;

use super::error::Error;
use super::process::Git;
use super::repository::Repository;

/// A border that is not yet the repository's.
#[derive(Debug)]
pub struct Border {
    /// The one that was seen.
    old: Vec<ObjectId>,
    new: Vec<ObjectId>,
    file: NamedTempFile,
}

impl Border {
    /// The repository's border, moved by `update`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn moved(repository: &Repository, update: &ShallowUpdate) -> Result<Self, Error> {
        let old = repository.shallow()?;
        let mut new = old.clone();
        new.retain(|id| !update.unshallow.contains(id));
        new.extend(&update.shallow);
        new.sort_unstable();
        new.dedup();
        let failed = || Error::io("the shallow border cannot be written");
        let mut file = tempfile::Builder::new()
            .prefix("shallow_")
            .tempfile_in(repository.common_dir())
            .map_err(failed())?;
        file.write_all(&lines(&new)).and_then(|()| file.flush()).map_err(failed())?;
        Ok(Self { old, new, file })
    }

    /// What Git's programs see it by.
    pub fn environment(&self) -> [(&'static str, OsString); 1] {
        [("GIT_SHALLOW_FILE", self.file.path().into())]
    }

    /// Leaves out those commits of the new border that `tips` do not reach: nobody is cut off there.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Git`].
    pub fn keep_reached(&mut self, git: &Git, tips: &[ObjectId]) -> Result<(), Error> {
        let git = git.with(self.environment());
        let mut reached = git.ask(&["rev-list", "--stdin", "--not", "--all"], lines(tips))?;
        reached.push(b'\n');
        let reached: std::collections::HashSet<ObjectId> =
            reached.split(|byte| *byte == b'\n').filter_map(|line| ObjectId::from_hex(line).ok()).collect();
        let old = &self.old;
        self.new.retain(|id| old.contains(id) || reached.contains(id));
        Ok(())
    }

    /// Makes it the repository's border, if that is still the one that was seen.
    ///
    /// # Errors
    /// [`Error::Io`]: the file cannot be written, or another program has moved the border.
    pub fn commit(self, repository: &Repository) -> Result<(), Error> {
        let failed = || Error::io("the shallow border cannot be moved");
        let (path, lock) =
            (repository.common_dir().join("shallow"), repository.common_dir().join("shallow.lock"));
        let mut file = OpenOptions::new().write(true).create_new(true).open(&lock).map_err(failed())?;
        let result = (|| {
            if repository.shallow()? != self.old {
                return Err(failed()(io::Error::other("it was moved by another program meanwhile")));
            }
            if self.new.is_empty() {
                return match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed()(error)),
                    _ => fs::remove_file(&lock).map_err(failed()),
                };
            }
            file.write_all(&lines(&self.new)).map_err(failed())?;
            fs::rename(&lock, &path).map_err(failed())
        })();
        if result.is_err() {
            let _ = fs::remove_file(&lock);
        }
        result
    }
}

fn lines(ids: &[ObjectId]) -> Vec<u8> {
    ids.iter().fold(String::new(), |text, id| text + id.to_hex().as_str() + "\n").into_bytes()
}
