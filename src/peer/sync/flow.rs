//! The states of a two-way sync, and what leads from one to the next.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::work::{Batch, Side, Work};
use super::{Action, Error, Failure, Outcome, TwoWaySync};
use crate::git::{Advertisement, ObjectId, Ref, RefName, Version, fetch, push};
use crate::peer::client;
use crate::sync::{Plan, Planner, planner};

/// Where the pack that is being fetched stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    /// No byte of a pack has come.
    Empty,
    /// The driver has been given bytes.
    Open,
    /// The driver has stored it.
    Done,
}

/// The fetch, until its objects are stored.
#[derive(Debug)]
pub(super) struct Fetching {
    /// There once the peer's refs are known.
    planner: Option<Box<Planner>>,
    pub(super) store: Store,
    /// The pack comes outside a sideband: the end of the stream is its end, however that came.
    pub(super) is_raw: bool,
    /// Both sides have ended the operation.
    over: bool,
}

impl Fetching {
    pub(super) const fn new() -> Self {
        Self { planner: None, store: Store::Empty, is_raw: false, over: false }
    }
}

#[derive(Debug)]
pub(super) enum State {
    /// The driver lists its refs.
    Listing,
    Fetching(Fetching),
    Planning(Box<Planner>),
    /// The driver moves refs of its own.
    UpdatingLocal(Batch),
    /// A push moves refs of the peer.
    UpdatingRemote(Batch),
    /// That push has its report; its operation ends, then comes this batch.
    Reported(Batch),
    Ended,
}

impl TwoWaySync {
    /// Goes on until the driver or the peer has to say something.
    pub(super) fn advance(&mut self) {
        while self.actions.is_empty() && !self.has_ended() && self.step() {}
    }

    fn step(&mut self) -> bool {
        if self.step_plan() {
            return true;
        }
        // Local refs are moving: what the port does meanwhile is seen when the driver has told what became of them,
        // so that the outcome is true (SYNC-52).
        if matches!(self.state, State::UpdatingLocal(_)) {
            return false;
        }
        let Some(action) = self.client.poll_action() else { return false };
        match action {
            client::Action::Fetch(action) => self.on_fetch(action),
            client::Action::Push(action) => self.on_push(action),
            client::Action::Ready => self.on_ready(),
            client::Action::Closed(error) => self.fail(Error::Port(error)),
        }
        true
    }

    fn step_plan(&mut self) -> bool {
        if let State::Fetching(fetching) = &mut self.state {
            if fetching.over && fetching.store != Store::Open {
                if let Some(mut planner) = fetching.planner.take() {
                    let started = planner.start();
                    self.state = State::Planning(planner);
                    if let Err(misuse) = started {
                        self.fail(Error::Misuse(misuse));
                    }
                    return true;
                }
            }
            return false;
        }
        let State::Planning(planner) = &mut self.state else { return false };
        let Some(action) = planner.poll_action() else { return false };
        match action {
            planner::Action::LoadCommits(ids) => self.actions.push_back(Action::LoadCommits(ids)),
            planner::Action::Planned(plan) => self.planned(plan),
            planner::Action::Failed(error) => self.fail(Error::Plan(error)),
        }
        true
    }

    fn on_fetch(&mut self, action: fetch::client::Action) {
        use fetch::client::Action as Fetch;
        match action {
            Fetch::Advertised(advertisement) => self.advertised(advertisement),
            Fetch::FindHeld(ids) => self.actions.push_back(Action::FindHeld(ids)),
            Fetch::LoadCommits(ids) => self.actions.push_back(Action::LoadCommits(ids)),
            Fetch::Shallow(_) | Fetch::RemoteShallow(_) => self.fail(Error::Shallow),
            Fetch::WantedRefs(_) | Fetch::PackUris(_) | Fetch::ObjectInfo(_) | Fetch::Bundles(_) => {
                self.fail(Error::Unasked);
            }
            Fetch::Progress(text) => self.actions.push_back(Action::Progress(text)),
            Fetch::Resumed { offset } => {
                self.open_store();
                self.actions.push_back(Action::Resumed { offset });
            }
            Fetch::Pack(bytes) => {
                if matches!(&self.state, State::Fetching(fetching) if fetching.store == Store::Done) {
                    return self.fail(Error::AfterPack);
                }
                self.open_store();
                self.count(&bytes);
                self.actions.push_back(Action::Pack(bytes));
            }
            Fetch::Finished(outcome) => {
                if outcome.pack {
                    self.open_store();
                }
                if matches!(&self.state, State::Fetching(fetching) if fetching.store == Store::Open) {
                    self.actions.push_back(Action::PackEnd);
                }
                self.fetched = Some(outcome);
            }
            Fetch::Failed(error) => self.fail_with(Error::Fetch(error)),
        }
    }

    fn open_store(&mut self) {
        if let State::Fetching(Fetching { store: store @ Store::Empty, .. }) = &mut self.state {
            *store = Store::Open;
        }
    }

    /// The peer's refs are known: ask for every object that the plan needs to see (SYNC-40).
    fn advertised(&mut self, advertisement: Advertisement) {
        let capabilities = &advertisement.capabilities;
        let sideband = capabilities.has("side-band-64k") || capabilities.has("side-band");
        let is_raw = advertisement.version != Version::V2 && !(sideband && self.config.fetch.sideband);
        self.remote = self.plain(advertisement.refs);
        self.local.retain(|(name, _)| !self.symbolic.contains(name));
        let (local, remote) = (self.local.clone(), self.remote.clone());
        let planner = Planner::new(self.config.sync.clone(), local, remote, self.config.base.clone());
        let wants = planner.to_fetch();
        let tips = self.local.iter().map(|(_, id)| *id).collect();
        if let State::Fetching(fetching) = &mut self.state {
            fetching.planner = Some(Box::new(planner));
            fetching.is_raw = is_raw;
        }
        let now = self.now;
        if let Some(fetch) = self.client.fetch(now) {
            if let Err(misuse) = fetch.want(now, wants, tips) {
                self.fail(Error::Misuse(misuse));
            }
        }
    }

    /// The plan is there: from here on, refs move.
    fn planned(&mut self, plan: Plan) {
        self.actions.push_back(Action::Planned(plan.clone()));
        self.work = Work::new(plan, &self.config, &self.local, &self.remote);
        self.next_batch();
    }

    /// Starts the next batch that has something to do, or finishes.
    pub(super) fn next_batch(&mut self) {
        match self.work.next_batch() {
            Some(batch) => self.begin_batch(batch),
            None => self.finish(),
        }
    }

    fn begin_batch(&mut self, batch: Batch) {
        match batch.side() {
            Side::Local => {
                let commands: Vec<_> = batch.commands().cloned().collect();
                self.state = State::UpdatingLocal(batch);
                self.actions.push_back(Action::UpdateRefs(commands));
            }
            Side::Remote => {
                // The service is the push's own affair.
                let push = push::client::Config {
                    request: Some(self.config.request.clone()),
                    signing: None,
                    ..self.config.push.clone()
                };
                match self.client.begin_push(self.now, push) {
                    Ok(()) => self.state = State::UpdatingRemote(batch),
                    Err(misuse) => self.fail_with(Error::Misuse(misuse)),
                }
            }
        }
    }

    fn on_push(&mut self, action: push::client::Action) {
        use push::client::Action as Push;
        match action {
            Push::Advertised(advertisement) => self.push_batch(&advertisement),
            // A sync does not sign: it is not asked.
            Push::Sign(_) => {}
            Push::BuildPack(request) => self.actions.push_back(Action::BuildPack(request)),
            Push::Progress(text) => self.actions.push_back(Action::Progress(text)),
            Push::Finished(report) => {
                if let State::UpdatingRemote(batch) = &self.state {
                    self.work.record_report(batch, &report);
                    // After the last report there is nothing to wait for: a port that ends now takes nothing away.
                    match self.work.next_batch() {
                        None => self.finish(),
                        Some(next) => self.state = State::Reported(next),
                    }
                }
            }
            Push::Failed(error) => self.fail_with(Error::Push(error)),
        }
    }

    /// The refs as they are now: what has moved since the plan is left alone (SYNC-42, T22).
    fn push_batch(&mut self, advertisement: &Advertisement) {
        let State::UpdatingRemote(batch) = &mut self.state else { return };
        self.work.check(batch, advertisement);
        let commands = batch.commands().cloned().collect();
        let now = self.now;
        if let Some(push) = self.client.push(now) {
            if let Err(misuse) = push.push(now, commands) {
                self.fail(Error::Misuse(misuse));
            }
        }
    }

    /// An operation is over on both sides.
    fn on_ready(&mut self) {
        match core::mem::replace(&mut self.state, State::Ended) {
            State::Reported(next) => self.begin_batch(next),
            State::Fetching(fetching) => self.state = State::Fetching(Fetching { over: true, ..fetching }),
            other @ (State::Listing
            | State::Planning(_)
            | State::UpdatingLocal(_)
            | State::UpdatingRemote(_)
            | State::Ended) => self.state = other,
        }
    }

    /// The refs that take part: not `HEAD`, and none that is symbolic here or was on the other side. To leave such a
    /// one out of one list alone would read as its deletion (SYNC-55).
    pub(super) fn plain(&mut self, refs: Vec<Ref>) -> Vec<(RefName, ObjectId)> {
        let symbolic = refs.iter().filter(|entry| entry.target.is_some()).map(|entry| entry.name.clone());
        self.symbolic.extend(symbolic);
        refs.into_iter()
            .filter(|entry| !entry.name.is_head() && !self.symbolic.contains(&entry.name))
            .map(|entry| (entry.name, entry.id))
            .collect()
    }

    fn finish(&mut self) {
        self.state = State::Ended;
        let outcome = self.outcome();
        self.actions.push_back(Action::Finished(outcome));
    }

    fn outcome(&mut self) -> Outcome {
        let base = self.config.base.take().unwrap_or_default();
        core::mem::take(&mut self.work).into_outcome(base, self.fetched.take())
    }

    /// Ends it here, without a word: it is of no more use. What had been done until then.
    pub(in crate::peer) fn cut(&mut self) -> Outcome {
        self.state = State::Ended;
        self.actions.clear();
        self.outcome()
    }

    /// Fails with the port's error where that is the cause of this one: not of what the peer has said, nor of what it
    /// has said wrong.
    pub(super) fn fail_with(&mut self, error: Error) {
        let cause = self.client.cause().filter(|_| error.is_consequence());
        let error = cause.cloned().map_or(error, Error::Port);
        self.fail(error);
    }

    pub(super) fn fail(&mut self, error: Error) {
        if self.has_ended() {
            return;
        }
        self.state = State::Ended;
        self.error = Some(error.clone());
        let outcome = self.outcome();
        self.actions.push_back(Action::Failed(Failure { error, outcome }));
    }
}
