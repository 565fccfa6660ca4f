//! The refs of a push: Git's policy, Git's hooks, one transaction a ref or one for all.
//!
//! ```text
//!   quarantined objects ─► whole? ─► pre-receive ─► moved in ─► each ref: policy, update hook, transaction
//!                                                           └─► post-receive, post-update
//! ```
//!
//! Everything a user sees is Git's own wording, for scripts and people know it. One difference: the report
//! goes out after the last hook, not before it, since with it the session is over.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use portline::git::ObjectId;
use portline::git::push::Command;
use portline::git::push::server::Update;

use super::config::{Config, truth};
use super::drive::{Mailbox, Work};
use super::error::Error;
use super::history;
use super::hooks::{Call, Hooks};
use super::process::{Git, capture};
use super::quarantine::Quarantine;
use super::refs::{self, Updates};
use super::repository::{Repository, os};

/// Why a ref was refused.
type Reason = &'static str;
/// What became of the commands, in their order.
type Results = Vec<Result<(), Bytes>>;

/// What the refs of one push need.
#[derive(Debug)]
pub struct Job {
    /// The repository.
    pub repository: Repository,
    /// The objects, when a pack came.
    pub quarantine: Option<Quarantine>,
    /// What is asked.
    pub update: Update,
    /// Whether push options were agreed on: hooks see the difference between none given and none possible.
    pub options: bool,
    /// Where messages go.
    pub mailbox: Mailbox,
}

/// One command and what is known against it.
struct Item<'a> {
    command: &'a Command,
    refused: Option<Bytes>,
}

impl Job {
    /// Does it all. Something that goes wrong outside the rules refuses what is left.
    pub fn run(mut self) -> Results {
        let update = self.update.clone();
        let mut items: Vec<Item<'_>> =
            update.commands.iter().map(|command| Item { command, refused: None }).collect();
        if let Err(error) = self.steps(&mut items) {
            self.say("error", &error.to_string());
            refuse_rest(&mut items, "failed to update ref");
        }
        items.into_iter().map(|item| item.refused.map_or(Ok(()), Err)).collect()
    }

    fn steps(&mut self, items: &mut [Item<'_>]) -> Result<(), Error> {
        let git = self.repository.git().clone();
        let judge = match &self.quarantine {
            Some(quarantine) => git.with(quarantine.environment()),
            None => git.clone(),
        };
        let hooks = Hooks::find(&git, &self.mailbox)?;
        self.check_whole(&judge, items)?;
        let input = lines(items);
        if !input.is_empty() && !hooks.run(&judge, "pre-receive", self.call(input))? {
            refuse_rest(items, "pre-receive hook declined");
        }
        if items.iter().all(|item| item.refused.is_some()) {
            return Ok(());
        }
        let _kept = match self.quarantine.take().map(Quarantine::migrate) {
            None => None,
            Some(Ok(kept)) => Some(kept),
            Some(Err(error)) => {
                self.say("error", &error.to_string());
                refuse_rest(items, "unable to migrate objects to permanent storage");
                return Ok(());
            }
        };
        let policy = Policy::load(&self.repository)?;
        if self.update.atomic {
            self.update_together(&hooks, &policy, items)?;
        } else {
            self.update_each(&hooks, &policy, items)?;
        }
        self.tell(&hooks, &git, items)
    }

    /// Nothing that a ref is going to name may miss an object.
    fn check_whole(&self, judge: &Git, items: &mut [Item<'_>]) -> Result<(), Error> {
        let new: Vec<ObjectId> =
            items.iter().map(|item| item.command.new).filter(|id| !id.is_null()).collect();
        if history::connected(judge, &new)?.is_ok() {
            return Ok(());
        }
        let reason = if self.update.shallow.is_empty() {
            "missing necessary objects"
        } else {
            "shallow update not allowed"
        };
        for item in items.iter_mut().filter(|item| !item.command.new.is_null()) {
            if history::connected(judge, &[item.command.new])?.is_err() {
                item.refused = Some(Bytes::from_static(reason.as_bytes()));
            }
        }
        Ok(())
    }

    fn update_each(&self, hooks: &Hooks, policy: &Policy, items: &mut [Item<'_>]) -> Result<(), Error> {
        let mut updates = Updates::new(self.repository.git(), "push");
        for item in items.iter_mut().filter(|item| item.refused.is_none()) {
            item.refused = match self.judge(hooks, policy, item.command)? {
                Err(reason) => Some(Bytes::from(reason)),
                Ok(Verdict::Nothing) => None,
                Ok(Verdict::Move) => match updates.apply(item.command)? {
                    Ok(()) => None,
                    Err(words) => {
                        self.say("error", &String::from_utf8_lossy(&words));
                        Some(Bytes::from_static(b"failed to update ref"))
                    }
                },
            };
        }
        Ok(())
    }

    fn update_together(&self, hooks: &Hooks, policy: &Policy, items: &mut [Item<'_>]) -> Result<(), Error> {
        let mut moves = Vec::with_capacity(items.len());
        for item in items.iter_mut() {
            if item.refused.is_none() {
                match self.judge(hooks, policy, item.command)? {
                    Err(reason) => item.refused = Some(Bytes::from(reason)),
                    Ok(Verdict::Nothing) => {}
                    Ok(Verdict::Move) => moves.push(item.command.clone()),
                }
            }
            if item.refused.is_some() {
                refuse_rest(items, "atomic push failure");
                return Ok(());
            }
        }
        if let Err(words) = refs::update_all(self.repository.git(), &moves, "push")? {
            self.say("error", &String::from_utf8_lossy(&words));
            refuse_rest(items, "atomic transaction failed");
        }
        Ok(())
    }

    /// Whether this ref may move, by the repository's settings and by its `update` hook.
    fn judge(
        &self,
        hooks: &Hooks,
        policy: &Policy,
        command: &Command,
    ) -> Result<Result<Verdict, String>, Error> {
        let git = self.repository.git();
        let checked_out = match policy.check(git, command, &|kind, text| self.say(kind, text))? {
            Ok(checked_out) => checked_out,
            Err(reason) => return Ok(Err(reason.to_owned())),
        };
        let (old, new) = (command.old.to_hex(), command.new.to_hex());
        let arguments = vec![command.name.as_bytes(), old.as_bytes(), new.as_bytes()];
        if !hooks.run(git, "update", Call { arguments, ..Call::default() })? {
            self.say("error", &format!("hook declined to update {}", name(command)));
            return Ok(Err("hook declined".to_owned()));
        }
        if let Some(work_tree) = checked_out {
            if let Err(reason) = update_work_tree(git, hooks, &work_tree, &command.new)? {
                return Ok(Err(reason.to_owned()));
            }
        }
        if command.new.is_null() && is_gone(git, command)? {
            self.say("warning", "deleting a non-existent ref");
            return Ok(Ok(Verdict::Nothing));
        }
        Ok(Ok(Verdict::Move))
    }

    /// The hooks that are told what has happened. What they answer changes nothing any more.
    fn tell(&self, hooks: &Hooks, git: &Git, items: &[Item<'_>]) -> Result<(), Error> {
        let done: Vec<&Command> =
            items.iter().filter(|item| item.refused.is_none()).map(|item| item.command).collect();
        if done.is_empty() {
            return Ok(());
        }
        let arguments = done.iter().map(|command| command.name.as_bytes()).collect();
        let told = hooks.run(git, "post-receive", self.call(lines(items)));
        let told = told.and(hooks.run(git, "post-update", Call { arguments, ..Call::default() }));
        if let Err(error) = told {
            self.say("error", &error.to_string());
        }
        Ok(())
    }

    fn call(&self, input: Vec<u8>) -> Call<'_> {
        let options = self.options.then_some(self.update.push_options.as_slice());
        Call { arguments: Vec::new(), input, options }
    }

    fn say(&self, kind: &str, text: &str) {
        self.mailbox.post(Work::Message(Bytes::from(format!("{kind}: {text}\n"))));
    }
}

/// What is left to do for a ref that may move.
enum Verdict {
    Move,
    /// It is as asked already.
    Nothing,
}

/// Whether a deletion is about nothing at all: neither the ref is here nor what the client thinks that it
/// names.
fn is_gone(git: &Git, command: &Command) -> Result<bool, Error> {
    let exists = |name: &[u8]| {
        let mut asked = git.command(&["rev-parse", "--verify", "-q"]);
        asked.arg(os(name));
        capture(asked, Vec::new()).map(|output| output.status.success())
    };
    let object = format!("{}^{{object}}", command.old);
    Ok(!exists(command.name.as_bytes())? && !exists(object.as_bytes())?)
}

fn refuse_rest(items: &mut [Item<'_>], reason: Reason) {
    for item in items.iter_mut().filter(|item| item.refused.is_none()) {
        item.refused = Some(Bytes::from_static(reason.as_bytes()));
    }
}

/// `old SP new SP name LF` for each command that is not refused.
fn lines(items: &[Item<'_>]) -> Vec<u8> {
    let mut text = Vec::new();
    for Item { command, .. } in items.iter().filter(|item| item.refused.is_none()) {
        text.extend_from_slice(format!("{} {} ", command.old, command.new).as_bytes());
        text.extend_from_slice(command.name.as_bytes());
        text.push(b'\n');
    }
    text
}

fn name(command: &Command) -> String {
    String::from_utf8_lossy(command.name.as_bytes()).into_owned()
}

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
struct Policy {
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
    fn load(repository: &Repository) -> Result<Self, Error> {
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

    /// Git's checks in Git's order. Inside, the work tree that is to follow, or why not.
    fn check(
        &self,
        git: &Git,
        command: &Command,
        say: &dyn Fn(&str, &str),
    ) -> Result<Result<Option<PathBuf>, Reason>, Error> {
        let full = name(command);
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
            let is_current = checked_out.is_some() || self.head.as_deref() == Some(command.name.as_bytes());
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

/// Lets a clean work tree follow its branch (`receive.denyCurrentBranch = updateInstead`).
fn update_work_tree(
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
        let mut command = git.hook(&program);
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
