//! By which settings a push may move a ref: `receive.deny*`, and the work trees that have it checked out.

use std::path::{Path, PathBuf};

use portline::git::push::Command;
use portline::git::{ObjectId, RefName};

use super::config::{Config, truth};
use super::error::Error;
use super::history;
use super::hooks::Hooks;
use super::process::Git;
use super::repository::{Repository, os};

/// Why a ref was refused, in Git's words.
pub type Reason = &'static str;

/// What to do about a branch that is checked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deny {
    Ignore,
    Warn,
    Refuse,
    UpdateInstead,
}

impl Deny {
    fn read(config: &Config, key: &str) -> Option<Self> {
        let value = config.value(key)?;
        let is = |word: &str| value.eq_ignore_ascii_case(word.as_bytes());
        Some(match () {
            () if is("ignore") => Self::Ignore,
            () if is("warn") => Self::Warn,
            () if is("refuse") => Self::Refuse,
            () if is("updateinstead") => Self::UpdateInstead,
            () => config.truth(key).or_else(|| truth(value)).map_or(Self::Ignore, |refuses| match refuses {
                true => Self::Refuse,
                false => Self::Ignore,
            }),
        })
    }
}

/// The settings that a ref update is judged by.
pub struct Policy {
    current: Option<Deny>,
    delete_current: Option<Deny>,
    deletes: bool,
    non_fast_forwards: bool,
    /// What `HEAD` stands for.
    head: Option<Vec<u8>>,
    work_trees: Vec<WorkTree>,
}

struct WorkTree {
    path: PathBuf,
    branch: Vec<u8>,
}

impl Policy {
    /// Reads the settings, and which work tree has which branch.
    ///
    /// # Errors
    /// [`Error::Git`], [`Error::Io`].
    pub fn load(repository: &Repository) -> Result<Self, Error> {
        let config = repository.config();
        let listed = repository.git().ask(&["worktree", "list", "--porcelain", "-z"], Vec::new())?;
        Ok(Self {
            current: Deny::read(config, "receive.denycurrentbranch"),
            delete_current: Deny::read(config, "receive.denydeletecurrent"),
            deletes: config.truth("receive.denydeletes").unwrap_or(false),
            non_fast_forwards: config.truth("receive.denynonfastforwards").unwrap_or(false),
            head: repository.head_branch()?.map(|name| name.as_bytes().to_vec()),
            work_trees: work_trees(&listed),
        })
    }

    /// Git's checks in Git's order, for a ref that is `stored` in the repository under its own name; `say` gets a kind (`error`, `warning`) and a message for the user. Inside, the work
    /// tree that is to follow, or why not.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn check(
        &self,
        git: &Git,
        command: &Command,
        stored: &RefName,
        say: &dyn Fn(&str, &str),
    ) -> Result<Result<Option<PathBuf>, Reason>, Error> {
        let full = display(command);
        let checked_out = self.work_trees.iter().find(|tree| tree.branch == command.name.as_bytes());
        let mut follows = None;
        if let Some(tree) = checked_out {
            match self.current {
                Some(Deny::Ignore) => {}
                Some(Deny::Warn) => say("warning", "updating the current branch"),
                Some(Deny::UpdateInstead) => follows = Some(tree.path.clone()),
                Some(Deny::Refuse) | None => {
                    say("error", &format!("refusing to update checked out branch: {full}"));
                    return Ok(Err("branch is currently checked out"));
                }
            }
        }
        let is_branch = command.name.as_bytes().starts_with(b"refs/heads/");
        if command.new.is_null() {
            let is_current = checked_out.is_some() || self.head.as_deref() == Some(stored.as_bytes());
            return Ok(self.check_deletion(&full, is_branch, is_current, say).map(|()| None));
        }
        let moves = is_branch && !command.old.is_null();
        if self.non_fast_forwards && moves {
            match history::is_ancestor(git, &command.old, &command.new) {
                Ok(true) => {}
                Ok(false) => {
                    say("error", &format!("denying non-fast-forward {full} (you should pull first)"));
                    return Ok(Err("non-fast-forward"));
                }
                // One of the two is no commit.
                Err(Error::Git { .. }) => return Ok(Err("bad ref")),
                Err(other) => return Err(other),
            }
        }
        Ok(Ok(follows))
    }

    fn check_deletion(
        &self,
        full: &str,
        is_branch: bool,
        is_current: bool,
        say: &dyn Fn(&str, &str),
    ) -> Result<(), Reason> {
        if self.deletes && is_branch {
            say("error", &format!("denying ref deletion for {full}"));
            return Err("deletion prohibited");
        }
        match self.delete_current {
            Some(Deny::Ignore) => {}
            Some(Deny::Warn) if is_current => say("warning", "deleting the current branch"),
            Some(Deny::Refuse | Deny::UpdateInstead) | None if is_current => {
                say("error", &format!("refusing to delete the current branch: {full}"));
                return Err("deletion of the current branch prohibited");
            }
            Some(_) | None => {}
        }
        Ok(())
    }
}

/// The work trees that have a branch, from `worktree list --porcelain -z`.
fn work_trees(listed: &[u8]) -> Vec<WorkTree> {
    let mut trees = Vec::new();
    let mut path = PathBuf::new();
    for line in listed.split(|byte| *byte == 0) {
        if let Some(named) = line.strip_prefix(b"worktree ") {
            path = PathBuf::from(os(named));
        } else if let Some(branch) = line.strip_prefix(b"branch ") {
            trees.push(WorkTree { path: path.clone(), branch: branch.to_vec() });
        }
    }
    trees
}

/// Lets a clean work tree follow its branch (`receive.denyCurrentBranch = updateInstead`). Inside, why it does not.
///
/// # Errors
/// [`Error::Io`], [`Error::Git`].
pub fn update_work_tree(
    git: &Git,
    hooks: &Hooks,
    work_tree: &Path,
    new: &ObjectId,
) -> Result<Result<(), Reason>, Error> {
    let git_dir = if work_tree.join(".git").is_file() {
        let asked = Git::new(work_tree.join(".git")).ask(&["rev-parse", "--absolute-git-dir"], Vec::new());
        asked.map_or_else(|_| git.dir().to_owned(), |path| os(path.trim_ascii_end()).into())
    } else {
        git.dir().to_owned()
    };
    let here = |arguments: &[&str]| {
        let mut command = Git::new(git_dir.clone()).command(arguments);
        command.current_dir(work_tree).env("GIT_WORK_TREE", work_tree);
        command
    };
    let hex = new.to_hex();
    if let Some(program) = hooks.program("push-to-checkout") {
        let mut command = git.speaking_hook(&program);
        command.current_dir(work_tree).arg(hex.as_str());
        command.env("GIT_DIR", &git_dir).env("GIT_WORK_TREE", work_tree);
        let agreed = hooks.run_to_end(command, Vec::new())?;
        return Ok(if agreed { Ok(()) } else { Err("push-to-checkout hook declined") });
    }
    let empty = git.ask(&["hash-object", "-t", "tree", "--stdin"], Vec::new())?;
    let born = git.run(&["rev-parse", "--verify", "-q", "HEAD"], Vec::new())?.status.success();
    let base = String::from_utf8_lossy(empty.trim_ascii()).into_owned();
    let base = if born { "HEAD" } else { base.as_str() };
    let steps: [(&[&str], Reason); 4] = [
        (&["update-index", "-q", "--ignore-submodules", "--refresh"], "Up-to-date check failed"),
        (&["diff-files", "--quiet", "--ignore-submodules", "--"], "Working directory has unstaged changes"),
        (
            &["diff-index", "--quiet", "--cached", "--ignore-submodules", base, "--"],
            "Working directory has staged changes",
        ),
        (&["read-tree", "-u", "-m", hex.as_str()], "Could not update working tree to new HEAD"),
    ];
    for (arguments, reason) in steps {
        if !hooks.run_to_end(here(arguments), Vec::new())? {
            return Ok(Err(reason));
        }
    }
    Ok(Ok(()))
}

/// A ref's name for a message.
pub fn display(command: &Command) -> String {
    String::from_utf8_lossy(command.name.as_bytes()).into_owned()
}
