//! From the plan to batches of ref commands, and from their results to the outcome.
//!
//! Backups come before what they back up, and a ref whose backup failed is left alone (SYNC-46).

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use bytes::Bytes;

use super::{Config, Outcome, RefFailure, RefOutcome, RefResult};
use crate::git::push::Command;
use crate::git::push::report::Report;
use crate::git::{Advertisement, ObjectId, RefName, fetch};
use crate::sync::{Plan, RefPlan, Step};

/// Whose refs a batch moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Local,
    Remote,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Backup,
    Update,
}

/// Commands that are carried out together.
#[derive(Debug)]
pub(super) struct Batch {
    side: Side,
    kind: Kind,
    items: Vec<Item>,
}

#[derive(Debug)]
struct Item {
    /// The ref's place in the outcome.
    index: usize,
    command: Command,
}

impl Batch {
    const fn new(side: Side, kind: Kind) -> Self {
        Self { side, kind, items: Vec::new() }
    }

    pub(super) const fn side(&self) -> Side {
        self.side
    }

    pub(super) fn commands(&self) -> impl ExactSizeIterator<Item = &Command> {
        self.items.iter().map(|item| &item.command)
    }
}

/// The refs with their results so far, and the batches to come.
#[derive(Debug, Default)]
pub(super) struct Work {
    refs: Vec<RefOutcome>,
    /// The backup of each ref, by its place.
    backups: Vec<Option<RefName>>,
    batches: VecDeque<Batch>,
    /// Whether there is a plan: then `refs` are all that either side has.
    planned: bool,
}

impl Work {
    pub(super) fn new(
        plan: Plan,
        config: &Config,
        local: &[(RefName, ObjectId)],
        remote: &[(RefName, ObjectId)],
    ) -> Self {
        let stopped = config.dry_run || (config.stop_on_conflict && plan.conflicts().next().is_some());
        let refs = plan.refs.into_iter().map(|plan| RefOutcome { result: at_first(plan.step), plan });
        let mut this = Self { refs: refs.collect(), planned: true, ..Self::default() };
        this.backups.resize(this.refs.len(), None);
        if !stopped {
            this.add(Side::Local, &config.backup_prefix, local);
            this.add(Side::Remote, &config.backup_prefix, remote);
        }
        this
    }

    /// The batches of one side.
    fn add(&mut self, side: Side, prefix: &Bytes, existing: &[(RefName, ObjectId)]) {
        let existing: BTreeMap<&RefName, &ObjectId> = existing.iter().map(|(name, id)| (name, id)).collect();
        let (mut backups, mut updates) = (Batch::new(side, Kind::Backup), Batch::new(side, Kind::Update));
        for (index, entry) in self.refs.iter_mut().enumerate() {
            let Some((command, overwrites)) = command(&entry.plan, side) else { continue };
            if overwrites {
                let old = command.old;
                match backup_name(prefix, &command) {
                    Err(error) => {
                        let reason = Bytes::from(alloc::format!("{error}"));
                        entry.result = RefResult::Failed(RefFailure::Backup { reason });
                        continue;
                    }
                    Ok(name) => {
                        if existing.get(&name) != Some(&&old) {
                            let null = ObjectId::null(old.format());
                            let command = Command { name: name.clone(), old: null, new: old };
                            backups.items.push(Item { index, command });
                        }
                        if let Some(slot) = self.backups.get_mut(index) {
                            *slot = Some(name);
                        }
                    }
                }
            }
            updates.items.push(Item { index, command });
        }
        self.batches.push_back(backups);
        self.batches.push_back(updates);
    }

    /// The next batch that has something to do.
    pub(super) fn next_batch(&mut self) -> Option<Batch> {
        loop {
            let mut batch = self.batches.pop_front()?;
            batch.items.retain(|item| self.result(item.index) == Some(&RefResult::Pending));
            if !batch.items.is_empty() {
                return Some(batch);
            }
        }
    }

    fn result(&self, index: usize) -> Option<&RefResult> {
        self.refs.get(index).map(|entry| &entry.result)
    }

    fn set(&mut self, index: usize, result: RefResult) {
        if let Some(entry) = self.refs.get_mut(index) {
            entry.result = result;
        }
    }

    fn done(&mut self, index: usize) {
        let backup = self.backups.get_mut(index).and_then(Option::take);
        self.set(index, RefResult::Done { backup });
    }

    /// Takes the results of a batch, one for each command.
    pub(super) fn record(&mut self, batch: &Batch, results: Vec<Result<(), Bytes>>) {
        for (item, result) in batch.items.iter().zip(results) {
            match (batch.kind, result) {
                (Kind::Backup, Ok(())) => {}
                (Kind::Backup, Err(reason)) => {
                    self.set(item.index, RefResult::Failed(RefFailure::Backup { reason }));
                }
                (Kind::Update, Ok(())) => self.done(item.index),
                (Kind::Update, Err(reason)) => {
                    self.set(item.index, RefResult::Failed(RefFailure::Refused { reason }));
                }
            }
        }
    }

    /// Takes the peer's report; a ref it does not name was not moved for all we know (T21).
    pub(super) fn record_report(&mut self, batch: &Batch, report: &Report) {
        let by_name: BTreeMap<&RefName, &Result<(), Bytes>> =
            report.refs.iter().map(|entry| (&entry.name, &entry.result)).collect();
        let result = |command: &Command| match (&report.unpack, by_name.get(&command.name)) {
            (_, Some(Err(reason))) | (Err(reason), _) => Err(reason.clone()),
            (Ok(()), Some(Ok(()))) => Ok(()),
            (Ok(()), None) => Err(Bytes::from_static(b"the peer did not report this ref")),
        };
        self.record(batch, batch.commands().map(result).collect());
    }

    /// Leaves out of a batch what the peer's refs, as they are now, make needless or wrong.
    pub(super) fn check(&mut self, batch: &mut Batch, advertisement: &Advertisement) {
        let refs: BTreeMap<&RefName, ObjectId> =
            advertisement.refs.iter().map(|entry| (&entry.name, entry.id)).collect();
        let deletes = advertisement.capabilities.has("delete-refs");
        let kind = batch.kind;
        batch.items.retain(|item| {
            let now = refs.get(&item.command.name).copied();
            let is = |id: ObjectId| now.map_or(id.is_null(), |now| now == id);
            match kind {
                Kind::Backup => return !is(item.command.new),
                Kind::Update if is(item.command.new) => self.done(item.index),
                Kind::Update if !is(item.command.old) => {
                    self.set(item.index, RefResult::Failed(RefFailure::Moved { now }));
                }
                Kind::Update if item.command.new.is_null() && !deletes => {
                    self.set(item.index, RefResult::Failed(RefFailure::NoDeletes));
                }
                Kind::Update => return true,
            }
            false
        });
    }

    /// The outcome; `base` is that of the sync before.
    pub(super) fn into_outcome(
        self,
        base: Vec<(RefName, ObjectId)>,
        fetched: Option<fetch::client::Outcome>,
    ) -> Outcome {
        let mut agreed: BTreeMap<RefName, ObjectId> = base.into_iter().collect();
        if self.planned {
            // What neither side has any more is agreed on as well: one that comes back was created (SYNC-2).
            let there: BTreeSet<&RefName> = self.refs.iter().map(|entry| &entry.plan.name).collect();
            agreed.retain(|name, _| there.contains(name));
        }
        for entry in &self.refs {
            if let RefResult::Unchanged | RefResult::Done { .. } = entry.result {
                match common(&entry.plan) {
                    Some(id) => agreed.insert(entry.plan.name.clone(), id),
                    None => agreed.remove(&entry.plan.name),
                };
            }
        }
        Outcome { refs: self.refs, base: agreed.into_iter().collect(), fetched }
    }
}

/// The result of a ref before anything is done.
const fn at_first(step: Step) -> RefResult {
    match step {
        Step::Keep => RefResult::Unchanged,
        Step::Excluded => RefResult::Excluded,
        Step::Conflict => RefResult::Conflict,
        Step::UpdateLocal { .. }
        | Step::UpdateRemote { .. }
        | Step::DeleteLocal { .. }
        | Step::DeleteRemote { .. } => RefResult::Pending,
    }
}

/// Where both sides stand after the step.
const fn common(plan: &RefPlan) -> Option<ObjectId> {
    match plan.step {
        Step::UpdateLocal { .. } => plan.remote,
        Step::Keep | Step::UpdateRemote { .. } => plan.local,
        Step::DeleteLocal { .. } | Step::DeleteRemote { .. } | Step::Conflict | Step::Excluded => None,
    }
}

/// The command that a step means on one side, and whether it takes away what may be reachable from nowhere else.
fn command(plan: &RefPlan, side: Side) -> Option<(Command, bool)> {
    let (old, new, overwrites) = match (plan.step, side) {
        (Step::UpdateLocal { force }, Side::Local) => (plan.local, plan.remote, force),
        (Step::UpdateRemote { force }, Side::Remote) => (plan.remote, plan.local, force),
        (Step::DeleteLocal { .. }, Side::Local) => (plan.local, None, true),
        (Step::DeleteRemote { .. }, Side::Remote) => (plan.remote, None, true),
        (
            Step::UpdateLocal { .. }
            | Step::UpdateRemote { .. }
            | Step::DeleteLocal { .. }
            | Step::DeleteRemote { .. }
            | Step::Keep
            | Step::Conflict
            | Step::Excluded,
            _,
        ) => return None,
    };
    let null = ObjectId::null(old.or(new)?.format());
    let command = Command { name: plan.name.clone(), old: old.unwrap_or(null), new: new.unwrap_or(null) };
    Some((command, overwrites && old.is_some()))
}

/// `PREFIX` + the name without `refs/` + `/` + the id that is overwritten (SYNC-47).
fn backup_name(prefix: &Bytes, command: &Command) -> Result<RefName, crate::git::RefNameError> {
    let name = command.name.as_bytes();
    let name = name.strip_prefix(b"refs/").unwrap_or(name);
    RefName::new([prefix, name, b"/", command.old.to_hex().as_bytes()].concat())
}
