//! What follows from the sessions and from the shares.

use alloc::vec::Vec;

use super::face::{Action, Error, Failure, Holds, Outcome, Report, SourceId, Why};
use super::source::{Source, State, Task, cause};
use super::{Job, MultiSourceFetch};
use crate::git::fetch::client::{self, Client};
use crate::git::{Advertisement, Misuse, ObjectId, SessionError, Version};
use crate::recovery::{Attempt, Cause, Deadline, Phase, Retry, SharesAction, SharesOutcome};

impl MultiSourceFetch {
    /// One step: what the shares say comes first, so that no session acts on a share that it has lost. `false`: nothing
    /// is to be done.
    pub(super) fn go_on(&mut self) -> bool {
        match &mut self.job {
            Job::Ended => return false,
            Job::Listing => {}
            Job::Sharing(shares) => {
                if let Some(action) = shares.poll_action() {
                    self.on_shares(action);
                    return true;
                }
            }
        }
        let count = self.sources.len();
        for step in 0..count {
            let turn = self.turn.saturating_add(step).checked_rem(count).unwrap_or_default();
            let action =
                self.sources.get_mut(turn).and_then(Source::client_mut).and_then(Client::poll_action);
            if let Some(action) = action {
                // The others first, the next time.
                self.turn = turn.saturating_add(1);
                self.on_session(SourceId(turn), action);
                return true;
            }
        }
        self.settle()
    }

    /// Ends the fetch when nobody can do any more.
    fn settle(&mut self) -> bool {
        if self.more_sources {
            return false;
        }
        match &mut self.job {
            Job::Ended => false,
            Job::Listing => {
                let is_over = self.sources.iter().all(|one| matches!(one.state, State::Gone));
                if is_over {
                    self.end(Some(Why::Exhausted), SharesOutcome { missing: Vec::new(), peers: Vec::new() });
                }
                is_over
            }
            Job::Sharing(shares) => {
                if self.sources.iter().all(Source::is_at_rest) {
                    shares.no_more_peers();
                }
                shares.has_ended()
            }
        }
    }

    fn on_shares(&mut self, action: SharesAction<ObjectId>) {
        match action {
            SharesAction::Fetch { peer, units } => {
                let Some(source) = self.peers.get(&peer).copied() else { return };
                let now = self.now;
                let Some(one) = self.sources.get_mut(source.0).filter(|one| one.peer == Some(peer)) else {
                    return;
                };
                match &one.state {
                    State::Listed(_) => {
                        (one.began, one.moved) = (now, 0);
                        self.ask(source, units);
                    }
                    State::Idle => self.connect(source, Task::Share(units)),
                    // At work, or gone: no share is meant for it.
                    State::Connecting(_)
                    | State::Opening(..)
                    | State::Fetching { .. }
                    | State::Storing { .. }
                    | State::Resting(_)
                    | State::Gone => {}
                }
            }
            SharesAction::Cancel { peer } => {
                let Some(source) = self.peers.get(&peer).copied() else { return };
                let Some(one) = self.sources.get_mut(source.0).filter(|one| one.peer == Some(peer)) else {
                    return;
                };
                if one.is_open() {
                    self.actions.push_back(Action::Disconnect { source });
                }
                one.state = State::Idle;
                self.note(source, Cause::Session { error: Error::Slow });
            }
            SharesAction::Finished(outcome) => {
                let why = if outcome.missing.is_empty() { None } else { Some(Why::Exhausted) };
                self.end(why, outcome);
            }
        }
    }

    fn on_session(&mut self, source: SourceId, action: client::Action) {
        use client::Action as Fetch;
        match action {
            Fetch::Advertised(seen) => self.on_advertised(source, seen),
            Fetch::Finished(outcome) => self.on_finished(source, outcome.pack),
            Fetch::Failed(error) => self.on_failed(source, error),
            Fetch::Pack(_) => {
                let (now, after) = (self.now, self.config.recovery.transfer_timeout);
                if let Some(one) = self.sources.get_mut(source.0).filter(|one| one.phase == Phase::Operation)
                {
                    (one.phase, one.deadline) = (Phase::Transfer, Deadline::new(after, now));
                }
                self.actions.push_back(Action::Fetch { source, action });
            }
            Fetch::FindHeld(_)
            | Fetch::LoadCommits(_)
            | Fetch::Shallow(_)
            | Fetch::RemoteShallow(_)
            | Fetch::WantedRefs(_)
            | Fetch::PackUris(_)
            | Fetch::ObjectInfo(_)
            | Fetch::Bundles(_)
            | Fetch::Progress(_)
            | Fetch::Resumed { .. } => self.actions.push_back(Action::Fetch { source, action }),
        }
    }

    fn on_advertised(&mut self, source: SourceId, seen: Advertisement) {
        let Some(one) = self.sources.get_mut(source.0) else { return };
        match core::mem::replace(&mut one.state, State::Idle) {
            State::Opening(task, client) => {
                one.state = State::Listed(client);
                // In version 2 nothing is listed for a share.
                if matches!(task, Task::List) || seen.version != Version::V2 {
                    let mut ids: Vec<ObjectId> = seen.refs.iter().map(|one| one.id).collect();
                    if let Job::Sharing(shares) = &self.job {
                        ids.retain(|id| shares.is_wanted(id));
                    }
                    ids.sort_unstable();
                    ids.dedup();
                    one.advertised = Some(ids);
                }
                match task {
                    Task::List => {
                        let is_deserted = one.is_deserted();
                        self.actions.push_back(Action::Advertised { source, advertisement: seen });
                        if is_deserted {
                            self.leave(source);
                        }
                        self.take_part(source);
                    }
                    Task::Share(units) => self.ask(source, units),
                }
            }
            other => one.state = other,
        }
    }

    /// Asks a source whose session waits for wants for its share.
    fn ask(&mut self, source: SourceId, units: Vec<ObjectId>) {
        let (now, holds) = (self.now, self.config.holds);
        let Some(one) = self.sources.get_mut(source.0) else { return };
        let State::Listed(mut client) = core::mem::replace(&mut one.state, State::Idle) else { return };
        one.deadline = Deadline::new(self.config.recovery.operation_timeout, now);
        let (mut wants, mut without) = match holds {
            Holds::Advertised => one.divide(units),
            Holds::Anything => (units, Vec::new()),
        };
        let mut asked = Ok(());
        if !wants.is_empty() {
            asked = client.want(now, wants.clone(), self.tips.clone());
        }
        if let (Err(Misuse::Argument { .. }), Holds::Anything) = (&asked, holds) {
            // A server of versions 0 and 1 that lets only be wanted what its refs point to.
            (wants, without) = one.divide(wants);
            if !wants.is_empty() {
                asked = client.want(now, wants.clone(), self.tips.clone());
            }
        }
        if wants.is_empty() {
            one.take_leave(now, client);
            self.actions.push_back(Action::Disconnect { source });
            self.brought(source, wants, without);
            return;
        }
        one.state = State::Fetching { units: wants, without, client };
        if let Err(misuse) = asked {
            self.broke(source, Cause::Session { error: misuse.into() }, true);
        }
    }

    fn on_finished(&mut self, source: SourceId, has_pack: bool) {
        let now = self.now;
        let Some(one) = self.sources.get_mut(source.0) else { return };
        match core::mem::replace(&mut one.state, State::Idle) {
            State::Fetching { units, without, client } => {
                one.keep_farewell(client);
                if !has_pack {
                    self.actions.push_back(Action::Disconnect { source });
                    self.brought(source, units, without);
                    return;
                }
                let wants = units.clone();
                one.state = State::Storing { units, without };
                if let (Job::Sharing(shares), Some(peer)) = (&mut self.job, one.peer) {
                    // It has that share: what the shares say was heard before.
                    let _ = shares.arrived(now, peer);
                }
                self.actions.push_back(Action::PackEnd { source, wants });
                self.actions.push_back(Action::Disconnect { source });
            }
            other => one.state = other,
        }
    }

    fn on_failed(&mut self, source: SourceId, error: client::Error) {
        let now = self.now;
        let Some(one) = self.sources.get_mut(source.0) else { return };
        match core::mem::replace(&mut one.state, State::Idle) {
            // Nothing was asked of it. When something is, it is connected to anew.
            State::Listed(_) => self.leave(source),
            State::Fetching { without, .. } if self.config.holds == Holds::Anything => {
                let is_refusal = matches!(error, client::Error::Session(SessionError::Remote { .. }));
                if is_refusal && one.phase == Phase::Operation {
                    self.actions.push_back(Action::Disconnect { source });
                    self.note(source, Cause::Session { error: error.into() });
                    self.refused(source, &without);
                } else {
                    self.broke(source, cause(now, error), true);
                }
            }
            State::Connecting(_)
            | State::Opening(..)
            | State::Fetching { .. }
            | State::Storing { .. }
            | State::Idle
            | State::Resting(_)
            | State::Gone => self.broke(source, cause(now, error), true),
        }
    }

    /// A session that waited for a share is over.
    pub(super) fn leave(&mut self, source: SourceId) {
        if let Some(one) = self.sources.get_mut(source.0) {
            one.state = State::Idle;
            self.actions.push_back(Action::Disconnect { source });
        }
    }

    /// A share is there, but for what the source has not got.
    pub(super) fn brought(&mut self, source: SourceId, units: Vec<ObjectId>, without: Vec<ObjectId>) {
        let now = self.now;
        let Some(one) = self.sources.get_mut(source.0) else { return };
        if !units.is_empty() {
            one.backoff.reset();
        }
        self.tips.extend(units);
        if let (Job::Sharing(shares), Some(peer)) = (&mut self.job, one.peer) {
            // It has that share: what the shares say was heard before.
            let _ = shares.finished(now, peer, &without);
        }
    }

    /// The source refused its share, in which it may lack one want or all: it is asked for them one by one.
    fn refused(&mut self, source: SourceId, without: &[ObjectId]) {
        let now = self.now;
        let peer = self.sources.get(source.0).and_then(|one| one.peer);
        if let (Job::Sharing(shares), Some(peer)) = (&mut self.job, peer) {
            // As above.
            let _ = shares.refused(now, peer, without);
        }
    }

    /// An attempt has failed. `is_open`: the driver has a connection, or makes one.
    pub(super) fn broke(&mut self, source: SourceId, cause: Cause<Error>, is_open: bool) {
        let now = self.now;
        if is_open {
            self.actions.push_back(Action::Disconnect { source });
        }
        let is_transient = (self.config.recovery.retry)(&cause) == Retry::Yes;
        let Some(one) = self.sources.get_mut(source.0) else { return };
        one.state = State::Gone;
        if let (Job::Sharing(shares), Some(peer)) = (&mut self.job, one.peer.take()) {
            // It is one of them: it was added, and has not failed yet.
            let _ = shares.failed(now, peer);
        }
        if let Some(until) = one.backoff.retry(now).ok().filter(|_| is_transient) {
            one.state = State::Resting(until);
            self.actions.push_back(Action::Wait { source, until });
        } else {
            one.report.gave_up = true;
        }
        self.note(source, cause);
    }

    /// Keeps the reason of a failed attempt; whose attempts all failed, so many of them, is given up.
    fn note(&mut self, source: SourceId, cause: Cause<Error>) {
        let now = self.now;
        let Some(one) = self.sources.get_mut(source.0) else { return };
        one.report.attempts.push(Attempt { began: one.began, ended: now, moved: one.moved, cause });
        if !one.has_room() {
            (one.state, one.report.gave_up) = (State::Gone, true);
            if let (Job::Sharing(shares), Some(peer)) = (&mut self.job, one.peer.take()) {
                let _ = shares.failed(now, peer);
            }
        }
    }

    pub(super) fn on_timeout(&mut self, source: SourceId) {
        let now = self.now;
        let Some(one) = self.sources.get_mut(source.0) else { return };
        match &mut one.state {
            State::Resting(until) if now >= *until => {
                if one.advertised.is_some() && matches!(self.job, Job::Sharing(_)) {
                    one.state = State::Idle;
                    self.take_part(source);
                } else {
                    self.connect(source, Task::List);
                }
            }
            // It is all there, and is told when actions are polled.
            State::Fetching { client, .. } if client.has_ended() => {}
            State::Connecting(_) | State::Opening(..) | State::Fetching { .. } => {
                if one.deadline.handle_timeout(now) {
                    let (phase, config) = (one.phase, &self.config.recovery);
                    let after = match phase {
                        Phase::Connect => config.monitor.connect_timeout,
                        Phase::Operation => config.operation_timeout,
                        Phase::Transfer => config.transfer_timeout,
                        Phase::Idle => config.idle_timeout,
                        Phase::Overall => config.backoff.deadline,
                    };
                    let after = after.unwrap_or_default();
                    self.broke(source, Cause::TimedOut { phase, after }, true);
                } else if let Some(client) = one.client_mut() {
                    client.handle_timeout(now);
                }
            }
            State::Listed(client) => client.handle_timeout(now),
            State::Resting(_) | State::Storing { .. } | State::Idle | State::Gone => {}
        }
    }

    /// Ends the fetch before everything was tried.
    pub(super) fn give_up(&mut self, why: Why) {
        let (now, mut outcome) = (self.now, SharesOutcome { missing: Vec::new(), peers: Vec::new() });
        match &mut self.job {
            Job::Ended => return,
            Job::Listing => {}
            Job::Sharing(shares) => {
                shares.cancel(now);
                while let Some(action) = shares.poll_action() {
                    if let SharesAction::Finished(ended) = action {
                        outcome = ended;
                    }
                }
            }
        }
        // What was there at this very moment is there.
        let why = Some(why).filter(|_| matches!(self.job, Job::Listing) || !outcome.missing.is_empty());
        self.end(why, outcome);
    }

    /// Drops every connection and tells the end.
    fn end(&mut self, why: Option<Why>, outcome: SharesOutcome<ObjectId>) {
        self.job = Job::Ended;
        for source in 0..self.sources.len() {
            self.close(SourceId(source), why);
        }
        let mut sources: Vec<Report> =
            self.sources.iter_mut().map(|one| core::mem::take(&mut one.report)).collect();
        // A source that failed and came back had several numbers, the lower ones first.
        for (source, work) in self.peers.values().zip(&outcome.peers) {
            if let Some(report) = sources.get_mut(source.0) {
                report.work.units = report.work.units.saturating_add(work.units);
                report.work.bytes = report.work.bytes.saturating_add(work.bytes);
                report.work.busy = report.work.busy.saturating_add(work.busy);
                report.work.given_back = report.work.given_back.saturating_add(work.given_back);
            }
        }
        self.actions.push_back(match why {
            None => Action::Finished(Outcome { sources }),
            Some(why) => Action::Failed(Failure { why, missing: outcome.missing, sources }),
        });
    }

    /// Drops the connection of a source at the end of all.
    fn close(&mut self, source: SourceId, why: Option<Why>) {
        let now = self.now;
        let Some(one) = self.sources.get_mut(source.0) else { return };
        if one.is_open() {
            self.actions.push_back(Action::Disconnect { source });
        }
        let cut_short = match why {
            None | Some(Why::Exhausted) => None,
            Some(Why::Deadline { after }) => Some(Cause::TimedOut { phase: Phase::Overall, after }),
            Some(Why::Cancelled) => Some(Cause::Cancelled),
        };
        match core::mem::replace(&mut one.state, State::Gone) {
            State::Listed(client) => one.take_leave(now, client),
            State::Connecting(_) | State::Opening(..) | State::Fetching { .. } | State::Storing { .. } => {
                if let Some(cause) = cut_short {
                    self.note(source, cause);
                }
            }
            State::Idle | State::Resting(_) | State::Gone => {}
        }
    }
}
