//! The refs of a push: Git's policy, Git's hooks, one transaction a ref or one for all.
//!
//! ```text
//!   quarantined objects ─► whole? ─► pre-receive ─► moved in ─► proc-receive ─► each ref: policy, update hook, transaction
//!   when the report is out ─► post-receive, post-update (see `after`)
//! ```
//!
//! Everything a user sees is Git's own wording, for scripts and people know it. A client names refs as it sees them;
//! the repository's own names differ in a namespace.

use std::collections::HashMap;
use std::mem;

use bytes::Bytes;
use portline::git::push::report::Updated;
use portline::git::push::server::Update;
use portline::git::push::{Change, Command};
use portline::git::{ObjectId, RefName, RefView};

use super::after::{After, Done};
use super::border::Border;
use super::certificate;
use super::drive::{Mailbox, Work};
use super::error::Error;
use super::history;
use super::hooks::{Call, Environment, Hooks, option_environment};
use super::namespace::NAMESPACE;
use super::policy::{Policy, Reason, display, update_work_tree};
use super::proc_receive::{self, Patterns, Said, Task};
use super::process::{Git, capture};
use super::quarantine::Quarantine;
use super::refs::{self, Updates};
use super::repository::{Repository, os};

/// What became of the commands, in their order: done as asked or otherwise, or why not.
pub type Results = Vec<Result<Vec<Updated>, Bytes>>;

/// What the refs of one push need.
#[derive(Debug)]
pub struct Job {
    /// The repository.
    pub repository: Repository,
    /// Which of its refs the client sees, and how it calls them.
    pub view: RefView,
    /// The objects, when a pack came.
    pub quarantine: Option<Quarantine>,
    /// What is asked.
    pub update: Update,
    /// The nonce that was advertised.
    pub nonce: Option<Bytes>,
    /// Where messages go.
    pub mailbox: Mailbox,
}

/// One command and what is known of it.
struct Item<'a> {
    command: &'a Command,
    /// The ref by the repository's own name.
    stored: RefName,
    refused: Option<Bytes>,
    way: Way,
    /// What the `proc-receive` hook has done instead.
    updates: Vec<Updated>,
    /// Commits at which the repository's history is to end for this ref.
    border: Vec<ObjectId>,
}

/// Who carries a command out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// We do.
    Ours,
    /// The `proc-receive` hook does.
    Hook,
    /// The `proc-receive` hook has answered.
    Answered,
    /// It is the same as another command, on the ref that this one stands for.
    Alias,
    /// A deletion of a ref that is not there.
    Nothing,
    /// A deletion of a ref that names nothing.
    Corrupt,
}

impl Item<'_> {
    fn is_open(&self) -> bool {
        self.refused.is_none()
    }

    fn is_ours(&self) -> bool {
        self.is_open() && self.way == Way::Ours
    }

    fn refuse(&mut self, reason: Reason) {
        self.refused = Some(Bytes::from_static(reason.as_bytes()));
    }

    /// Whether it is still to be carried out by us.
    fn is_left(&self) -> bool {
        match self.way {
            Way::Ours | Way::Nothing | Way::Corrupt => self.is_open(),
            Way::Hook | Way::Answered | Way::Alias => false,
        }
    }

    /// The command as the repository names its ref. Whatever a corrupt ref holds, it goes.
    fn stored(&self) -> Command {
        let Command { old, new, .. } = *self.command;
        let old =
            if matches!(self.way, Way::Nothing | Way::Corrupt) { ObjectId::null(old.format()) } else { old };
        Command { name: self.stored.clone(), old, new }
    }
}

impl Job {
    /// Does it all but what follows the report. Something that goes wrong outside the rules refuses what is left.
    pub fn run(mut self) -> (Results, After) {
        let update = self.update.clone();
        let stored = |command: &Command| self.view.stored(&command.name);
        let mut items: Vec<Item<'_>> = update
            .commands
            .iter()
            .map(|command| Item {
                command,
                stored: stored(command).unwrap_or_else(|| command.name.clone()),
                // The machine does not let these through.
                refused: stored(command).is_none().then(|| Bytes::from_static(b"funny refname")),
                way: Way::Ours,
                updates: Vec::new(),
                border: Vec::new(),
            })
            .collect();
        let mut after = After {
            repository: self.repository.clone(),
            mailbox: self.mailbox.clone(),
            done: Vec::new(),
            environment: option_environment(&self.update.push_options),
            common: std::env::var_os(NAMESPACE).map(|name| (NAMESPACE, name)).into_iter().collect(),
            border: None,
        };
        if let Err(error) = self.steps(&mut items, &mut after) {
            self.say("error", &error.to_string());
            refuse_rest(&mut items, "failed to update ref");
        }
        let done = items.iter().filter(|item| item.is_open() && item.way != Way::Nothing);
        after.done =
            done.map(|item| Done { command: item.command.clone(), updates: item.updates.clone() }).collect();
        let result = |item: Item<'_>| item.refused.map_or(Ok(item.updates), Err);
        (items.into_iter().map(result).collect(), after)
    }

    fn steps(&mut self, items: &mut [Item<'_>], after: &mut After) -> Result<(), Error> {
        let git = self.repository.git().clone();
        let judge = match &self.quarantine {
            Some(quarantine) => git.with(quarantine.environment()),
            None => git.clone(),
        };
        let hooks = Hooks::find(&git, &self.mailbox)?;
        after.border = self.check_border(&judge, items)?;
        after.common.extend(after.border.iter().flat_map(Border::environment));
        self.check_whole(&judge, items)?;
        let patterns = Patterns::read(self.repository.config());
        for item in items.iter_mut().filter(|item| item.is_ours() && patterns.take(item.command)) {
            item.way = Way::Hook;
        }
        if !self.pre_receive(&hooks, &judge, items, after)? {
            refuse_rest(items, "pre-receive hook declined");
        }
        if !items.iter().any(Item::is_open) {
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
        let hooked = git.with(after.common.iter().cloned());
        self.check_aliases(items)?;
        if items.iter().any(|item| item.way == Way::Hook) {
            self.proc_receive(&hooks, &hooked, items)?;
        }
        let policy = Policy::load(&self.repository)?;
        self.find_nothings(items)?;
        if self.update.atomic {
            self.update_together(&hooks, &hooked, &policy, items)
        } else {
            self.update_each(&hooks, &hooked, &policy, items)
        }
    }

    /// Which refs would end where the client's history ends. They are refused, unless the repository may become
    /// shallow itself; its hooks read the client's border then.
    fn check_border(&self, judge: &Git, items: &mut [Item<'_>]) -> Result<Option<Border>, Error> {
        let Some(border) = Border::find(&self.repository, judge, &self.update.shallow)? else {
            return Ok(None);
        };
        let ids: Vec<ObjectId> =
            items.iter().map(|item| item.command.new).filter(|id| !id.is_null()).collect();
        let ends = border.ends(judge, &ids)?;
        let allowed = self.repository.config().truth("receive.shallowupdate").unwrap_or(false);
        for (item, ends) in items.iter_mut().filter(|item| !item.command.new.is_null()).zip(ends) {
            if allowed {
                item.border = ends;
            } else if !ends.is_empty() {
                item.refuse("shallow update not allowed");
            }
        }
        Ok(Some(border).filter(|_| allowed))
    }

    /// Nothing that a ref is going to name may miss an object.
    fn check_whole(&self, judge: &Git, items: &mut [Item<'_>]) -> Result<(), Error> {
        let asks =
            |item: &&mut Item<'_>| item.is_open() && !item.command.new.is_null() && item.border.is_empty();
        let mut open: Vec<&mut Item<'_>> = items.iter_mut().filter(asks).collect();
        let mut parts = vec![&mut open[..]];
        let mut told = false;
        // One walk when all are whole; otherwise those that are not are found by halves.
        while let Some(part) = parts.pop() {
            let new: Vec<ObjectId> = part.iter().map(|item| item.command.new).collect();
            let Err(said) = history::whole(&self.repository, judge, &new)? else { continue };
            if !mem::replace(&mut told, true) {
                self.mailbox.post(Work::Message(Bytes::from(said)));
            }
            match part {
                [] => {}
                [one] => one.refuse("missing necessary objects"),
                many => {
                    let (first, second) = many.split_at_mut(many.len() / 2);
                    parts.extend([second, first]);
                }
            }
        }
        Ok(())
    }

    /// What a hook is told of a push, and whether it agrees.
    fn pre_receive(
        &self,
        hooks: &Hooks,
        judge: &Git,
        items: &[Item<'_>],
        after: &mut After,
    ) -> Result<bool, Error> {
        let asked = ["pre-receive", "post-receive"].into_iter().any(|name| hooks.program(name).is_some());
        if let Some(signed) = self.update.certificate.as_ref().filter(|_| asked) {
            let told: Environment = certificate::environment(&self.repository, signed, self.nonce.as_ref())?;
            after.environment.extend(told);
        }
        let (input, environment) = (lines(items), &after.environment[..]);
        let judge = judge.with(after.common.iter().cloned());
        let call = Call { input, environment, ..Call::default() };
        Ok(call.input.is_empty() || hooks.run(&judge, "pre-receive", call)?)
    }

    /// A symbolic ref and what it stands for cannot go different ways, and need not go the same way twice.
    fn check_aliases(&self, items: &mut [Item<'_>]) -> Result<(), Error> {
        let links = refs::links(self.repository.git())?;
        if links.is_empty() {
            return Ok(());
        }
        let places: HashMap<RefName, usize> =
            items.iter().enumerate().map(|(at, item)| (item.stored.clone(), at)).collect();
        for (link, target) in links {
            let place = |name: &RefName| places.get(name).copied();
            let Some((link, target)) = place(&link).zip(place(&target)) else { continue };
            let Some((link, target)) = both(items, link, target) else { continue };
            if !link.is_open() {
                continue;
            }
            if (link.command.old, link.command.new) == (target.command.old, target.command.new) {
                link.way = Way::Alias;
                continue;
            }
            let range = |item: &Item<'_>| {
                format!("'{}' ({:.7}..{:.7})", display(item.command), item.command.old, item.command.new)
            };
            let (one, other) = (range(link), range(target));
            self.say(
                "error",
                &format!("refusing inconsistent update between symref {one} and its target {other}"),
            );
            link.refuse("inconsistent aliased update");
            target.refuse("inconsistent aliased update");
        }
        Ok(())
    }

    fn proc_receive(&self, hooks: &Hooks, git: &Git, items: &mut [Item<'_>]) -> Result<(), Error> {
        let is_hooks = |item: &&mut Item<'_>| item.is_open() && item.way == Way::Hook;
        let commands: Vec<Command> =
            items.iter_mut().filter(is_hooks).map(|item| item.command.clone()).collect();
        let options = &self.update.push_options[..];
        let options = (!options.is_empty()).then_some(options);
        let task = Task { commands: &commands, atomic: self.update.atomic, options };
        let outcome = proc_receive::run(hooks, git, task)?;
        if let Some(words) = outcome.complaint {
            self.say("error", &words);
        }
        for (item, said) in items.iter_mut().filter(is_hooks).zip(outcome.said) {
            item.way = Way::Answered;
            match said {
                Said::Nothing => item.way = Way::Hook,
                Said::Done(updates) => item.updates = updates,
                Said::FallThrough(updates) => (item.updates, item.way) = (updates, Way::Ours),
                Said::Refused(reason) => item.refused = Some(reason),
            }
        }
        if !outcome.well {
            let lost = |item: &&mut Item<'_>| {
                item.is_open() && (item.way == Way::Hook || (self.update.atomic && item.way != Way::Answered))
            };
            items.iter_mut().filter(lost).for_each(|item| item.refuse("fail to run proc-receive hook"));
        }
        Ok(())
    }

    /// Deletions where what the client thinks that the ref names is not here.
    fn find_nothings(&self, items: &mut [Item<'_>]) -> Result<(), Error> {
        let deletes = |item: &&mut Item<'_>| item.is_ours() && item.command.change() == Change::Delete;
        let old: Vec<ObjectId> = items.iter_mut().filter(deletes).map(|item| item.command.old).collect();
        if old.is_empty() {
            return Ok(());
        }
        let found = self.repository.object_reader()?.infos(&old)?;
        for (item, _) in items.iter_mut().filter(deletes).zip(found).filter(|(_, found)| found.is_none()) {
            let mut asked = self.repository.git().command(&["rev-parse", "--verify", "-q"]);
            asked.arg(os(item.stored.as_bytes()));
            let exists = capture(asked, Vec::new())?.status.success();
            item.way = if exists { Way::Corrupt } else { Way::Nothing };
        }
        Ok(())
    }

    fn update_each(
        &self,
        hooks: &Hooks,
        git: &Git,
        policy: &Policy,
        items: &mut [Item<'_>],
    ) -> Result<(), Error> {
        let mut updates = Updates::new(git, "push");
        for item in items.iter_mut().filter(|item| item.is_left()) {
            if let Err(reason) = self.judge(hooks, git, policy, item)? {
                item.refused = Some(Bytes::from(reason));
            } else if let Err(words) = updates.apply(&item.stored())? {
                self.say("error", &String::from_utf8_lossy(&words));
                item.refuse("failed to update ref");
            }
        }
        Ok(())
    }

    fn update_together(
        &self,
        hooks: &Hooks,
        git: &Git,
        policy: &Policy,
        items: &mut [Item<'_>],
    ) -> Result<(), Error> {
        if items.iter().any(|item| !item.is_open()) {
            // What the `proc-receive` hook has done is done.
            let left = items.iter_mut().filter(|item| item.is_open() && item.way != Way::Answered);
            left.for_each(|item| item.refuse("atomic push failure"));
            return Ok(());
        }
        let mut moves = Vec::with_capacity(items.len());
        for item in items.iter_mut().filter(|item| item.is_left()) {
            match self.judge(hooks, git, policy, item)? {
                Ok(()) => moves.push(item.stored()),
                Err(reason) => {
                    item.refused = Some(Bytes::from(reason));
                    refuse_rest(items, "atomic push failure");
                    return Ok(());
                }
            }
        }
        if let Err(words) = refs::update_all(git, &moves, "push")? {
            self.say("error", &String::from_utf8_lossy(&words));
            refuse_rest(items, "atomic transaction failed");
        }
        Ok(())
    }

    /// Whether this ref may move, by the repository's settings and by its `update` hook.
    fn judge(
        &self,
        hooks: &Hooks,
        git: &Git,
        policy: &Policy,
        item: &Item<'_>,
    ) -> Result<Result<(), String>, Error> {
        let command = item.command;
        let checked_out =
            match policy.check(git, command, &item.stored, &|kind, text| self.say(kind, text))? {
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
        match item.way {
            Way::Nothing => self.say("warning", "deleting a non-existent ref"),
            Way::Corrupt => self.say("warning", "allowing deletion of corrupt ref"),
            Way::Ours | Way::Hook | Way::Answered | Way::Alias => {}
        }
        if !item.border.is_empty() && !Border::extend(&self.repository, &command.new, &item.border)? {
            return Ok(Err("shallow error".to_owned()));
        }
        Ok(Ok(()))
    }

    fn say(&self, kind: &str, text: &str) {
        self.mailbox.post(Work::Message(Bytes::from(format!("{kind}: {text}\n"))));
    }
}

/// Two different items.
fn both<'a, 'b>(
    items: &'a mut [Item<'b>],
    one: usize,
    other: usize,
) -> Option<(&'a mut Item<'b>, &'a mut Item<'b>)> {
    let (low, high) = items.split_at_mut_checked(one.max(other))?;
    let (low, high) = (low.get_mut(one.min(other))?, high.first_mut()?);
    Some(if one < other { (low, high) } else { (high, low) })
}

fn refuse_rest(items: &mut [Item<'_>], reason: Reason) {
    items.iter_mut().filter(|item| item.is_open()).for_each(|item| item.refuse(reason));
}

/// `old SP new SP name LF` for each command, whatever is known against it already.
fn lines(items: &[Item<'_>]) -> Vec<u8> {
    let mut text = Vec::new();
    for Item { command, .. } in items {
        text.extend_from_slice(format!("{} {} ", command.old, command.new).as_bytes());
        text.extend_from_slice(command.name.as_bytes());
        text.push(b'\n');
    }
    text
}
