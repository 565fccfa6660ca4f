//! The refs of a push: Git's policy, Git's hooks, one transaction a ref or one for all.
//!
//! ```text
//!   quarantined objects ─► whole? ─► pre-receive ─► moved in ─► each ref: policy, update hook, transaction
//!                                                           └─► post-receive, post-update
//! ```
//!
//! Everything a user sees is Git's own wording, for scripts and people know it. One difference: the report
//! goes out after the last hook, not before it, since with it the session is over.

use bytes::Bytes;
use portline::git::ObjectId;
use portline::git::push::Command;
use portline::git::push::server::Update;

use super::drive::{Mailbox, Work};
use super::error::Error;
use super::history;
use super::hooks::{Call, Hooks};
use super::policy::{Policy, Reason, display, update_work_tree};
use super::process::{Git, capture};
use super::quarantine::Quarantine;
use super::refs::{self, Updates};
use super::repository::{Repository, os};

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
            self.say("error", &format!("hook declined to update {}", display(command)));
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
