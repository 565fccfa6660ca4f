//! The shallow border: the commits that a repository has without their parents, in its file `shallow`.
//!
//! While a fetch is under way, Git's programs see the border as it will be in a file of its own
//! (`GIT_SHALLOW_FILE`), as Git does it itself. When the objects are in, the real file is replaced under its lock.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use portline::git::{ObjectId, ShallowUpdate};
use tempfile::NamedTempFile;

use super::error::Error;
use super::history::lines;
use super::process::Git;
use super::repository::Repository;

/// The variable that puts another list in place of `shallow`.
const SHALLOW_FILE: &str = "GIT_SHALLOW_FILE";

/// What makes Git's programs and hooks read that list in place of the repository's own.
pub fn environment(list: &Path) -> [(&'static str, OsString); 1] {
    [(SHALLOW_FILE, list.into())]
}

/// A list beside the repository's own.
///
/// # Errors
/// [`Error::Io`].
pub fn write_list(repository: &Repository, ids: &[ObjectId]) -> Result<NamedTempFile, Error> {
    let file = tempfile::Builder::new().prefix("shallow_").tempfile_in(repository.common_dir());
    let mut file = file.map_err(failed())?;
    file.write_all(&lines("", ids)).and_then(|()| file.flush()).map_err(failed())?;
    Ok(file)
}

/// The repository's list, held: no other program moves it. Dropping this lets go of it.
#[derive(Debug)]
pub struct Lock {
    list: PathBuf,
    /// Made by us only.
    path: PathBuf,
    held: bool,
}

impl Lock {
    /// Takes it.
    ///
    /// # Errors
    /// [`Error::Io`], where another program holds it, too.
    pub fn take(repository: &Repository) -> Result<Self, Error> {
        let list = repository.common_dir().join("shallow");
        let path = list.with_extension("lock");
        OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed())?;
        Ok(Self { list, path, held: true })
    }

    /// Writes what is to be the list. It is none yet, but [`environment`] shows it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, ids: &[ObjectId]) -> Result<(), Error> {
        fs::write(&self.path, lines("", ids)).map_err(failed())
    }

    /// Where that is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it the list. An empty one is no list at all.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn commit(mut self) -> Result<(), Error> {
        if fs::metadata(&self.path).map_err(failed())?.len() == 0 {
            return match fs::remove_file(&self.list) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed()(error)),
                _ => Ok(()),
            };
        }
        fs::rename(&self.path, &self.list).map_err(failed())?;
        self.held = false;
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.held {
            // One that stays is in everybody's way, and they will say so.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn failed() -> impl FnOnce(io::Error) -> Error {
    Error::io("the list of shallow commits cannot be written")
}

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
        let file = write_list(repository, &new)?;
        Ok(Self { old, new, file })
    }

    /// What Git's programs see it by.
    pub fn environment(&self) -> [(&'static str, OsString); 1] {
        environment(self.file.path())
    }

    /// Leaves out those commits of the new border that `tips` do not reach: nobody is cut off there.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Git`].
    pub fn keep_reached(&mut self, git: &Git, tips: &[ObjectId]) -> Result<(), Error> {
        let git = git.with(self.environment());
        let mut reached = git.ask(&["rev-list", "--stdin", "--not", "--all"], lines("", tips))?;
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
        let lock = Lock::take(repository)?;
        if repository.shallow()? != self.old {
            return Err(failed()(io::Error::other("another program has moved the border meanwhile")));
        }
        lock.write(&self.new)?;
        lock.commit()
    }
}
