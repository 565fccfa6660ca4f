//! The driver's verbs.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

use super::face::{Action, Error, Misuse, Report, SourceId, Why};
use super::source::{Source, State, Task};
use super::{Job, MultiSourceFetch};
use crate::git::fetch::client::{Client, Listing};
use crate::git::{ObjectId, Request};
use crate::recovery::{Backoff, Cause, Deadline, Phase, Shares, SharesMisuse};
use crate::time::Instant;

impl MultiSourceFetch {
    /// One more source, with the request that is sent to it first where its transport names no service. It is asked for
    /// a connection at once.
    ///
    /// # Errors
    /// [`Misuse`]: after the end, after [`Self::no_more_sources`], or too many.
    pub fn add_source(&mut self, now: Instant, request: Option<Request>) -> Result<SourceId, Misuse> {
        const VERB: &str = "add_source";
        self.at(now);
        self.running(VERB)?;
        if !self.more_sources {
            return Err(Misuse::NotNow { verb: VERB });
        }
        let limit = self.config.shares.max_peers;
        if self.sources.len() >= limit {
            return Err(Misuse::TooMany { what: "sources", limit });
        }
        let id = SourceId(self.sources.len());
        let mut backoff = self.config.recovery.backoff;
        // Otherwise sources that fail together would come back together.
        backoff.seed = backoff.seed.wrapping_add(u64::try_from(id.0).unwrap_or_default());
        // `new` refused what this refuses.
        let backoff = Backoff::new(backoff, now).map_err(|_| Misuse::NotNow { verb: VERB })?;
        self.sources.push(Source {
            state: State::Idle,
            request,
            advertised: None,
            peer: None,
            backoff,
            deadline: Deadline::new(None, now),
            phase: Phase::Connect,
            began: now,
            moved: 0,
            farewell: VecDeque::new(),
            report: Report::default(),
        });
        self.connect(id, Task::List);
        Ok(id)
    }

    /// No further source will come: when those that are there can do no more, the fetch ends.
    pub fn no_more_sources(&mut self) {
        self.more_sources = false;
    }

    /// What to fetch, once: ids that can be fetched by themselves, tips of refs mostly; repeated ones count once. `tips`
    /// are what the repository's own refs point to. May be told before any source was heard, or in answer to an
    /// [`Action::Advertised`]. With no wants the fetch ends well.
    ///
    /// # Errors
    /// [`Misuse`]: after the end, a second time, too many, or the null id.
    pub fn want(&mut self, now: Instant, wants: Vec<ObjectId>, tips: Vec<ObjectId>) -> Result<(), Misuse> {
        const VERB: &str = "want";
        self.at(now);
        self.running(VERB)?;
        if !matches!(self.job, Job::Listing) {
            return Err(Misuse::NotNow { verb: VERB });
        }
        if wants.iter().any(ObjectId::is_null) {
            return Err(Misuse::NullWant);
        }
        let mut shares = self.config.shares;
        // One that comes back after a failure is a new one there, and its retries begin anew with each share it brought.
        let each = usize::try_from(self.config.recovery.backoff.retries).unwrap_or(usize::MAX);
        shares.max_peers = shares
            .max_peers
            .saturating_mul(each.saturating_add(1).saturating_mul(wants.len().saturating_add(1)));
        let shares = Shares::new(shares, wants).map_err(|misuse| match misuse {
            SharesMisuse::TooMany { what, limit } => Misuse::TooMany { what, limit },
            SharesMisuse::Ended { verb } | SharesMisuse::NotBusy { verb } => Misuse::NotNow { verb },
        })?;
        self.job = Job::Sharing(Box::new(shares));
        self.tips = tips;
        for source in 0..self.sources.len() {
            self.take_part(SourceId(source));
        }
        Ok(())
    }

    /// Answers [`Action::Connect`].
    ///
    /// # Errors
    /// [`Misuse`]: nothing is being connected to it.
    pub fn connected(&mut self, now: Instant, source: SourceId) -> Result<(), Misuse> {
        const VERB: &str = "connected";
        self.at(now);
        self.running(VERB)?;
        let config = &self.config;
        let one = self.sources.get_mut(source.0).ok_or(Misuse::NotNow { verb: VERB })?;
        let State::Connecting(task) = &one.state else { return Err(Misuse::NotNow { verb: VERB }) };
        let task = task.clone();
        let mut fetch = config.fetch.clone();
        fetch.request.clone_from(&one.request);
        if let Task::Share(_) = task {
            fetch.listing = Listing::None;
        }
        one.phase = Phase::Operation;
        one.deadline = Deadline::new(config.recovery.operation_timeout, now);
        one.state = State::Opening(task, Box::new(Client::new(fetch, now)));
        Ok(())
    }

    /// Answers [`Action::Connect`]: why there is no connection, in the driver's words.
    ///
    /// # Errors
    /// [`Misuse`]: nothing is being connected to it.
    pub fn connect_failed(&mut self, now: Instant, source: SourceId, reason: Bytes) -> Result<(), Misuse> {
        const VERB: &str = "connect_failed";
        self.at(now);
        self.running(VERB)?;
        match self.sources.get(source.0).map(|one| &one.state) {
            Some(State::Connecting(_)) => {}
            _ => return Err(Misuse::NotNow { verb: VERB }),
        }
        self.broke(source, Cause::Connect { error: Error::Connect { reason } }, false);
        Ok(())
    }

    /// The session with a source, to answer its questions: `held`, `commits`, `resume`, `pack_complete`. `None` while
    /// there is none, and when it has ended: bytes of its pack may still come as actions then.
    pub fn session(&mut self, source: SourceId) -> Option<&mut Client> {
        self.sources.get_mut(source.0)?.client_mut().filter(|client| !client.has_ended())
    }

    /// Answers [`Action::PackEnd`]: the pack is stored, and everything that was wanted with it is there with all that it
    /// reaches; or why not, which by default ends it with that source ([`is_transient`](super::is_transient)). That may be
    /// told before the pack's end, too: the rest of it is not waited for.
    ///
    /// # Errors
    /// [`Misuse`]: no pack of it is to be stored.
    pub fn pack_stored(
        &mut self,
        now: Instant,
        source: SourceId,
        stored: Result<(), Bytes>,
    ) -> Result<(), Misuse> {
        const VERB: &str = "pack_stored";
        self.at(now);
        self.running(VERB)?;
        let one = self.sources.get_mut(source.0).ok_or(Misuse::NotNow { verb: VERB })?;
        let is_open = match (&mut one.state, &stored) {
            (State::Storing { units, without }, Ok(())) => {
                let (units, without) = (mem::take(units), mem::take(without));
                one.state = State::Idle;
                self.brought(source, units, without);
                return Ok(());
            }
            (State::Storing { .. }, Err(_)) => false,
            (State::Fetching { .. }, Err(_)) if one.phase == Phase::Transfer => true,
            _ => return Err(Misuse::NotNow { verb: VERB }),
        };
        if let Err(reason) = stored {
            let (moved, error) = (one.moved, Error::Store { reason });
            self.broke(source, Cause::Aborted { moved, expected: None, error }, is_open);
        }
        Ok(())
    }

    /// The user gives up. After the end it is a no-op.
    pub fn cancel(&mut self, now: Instant) {
        self.at(now);
        self.give_up(Why::Cancelled);
    }

    fn running(&self, verb: &'static str) -> Result<(), Misuse> {
        match &self.job {
            Job::Ended => Err(Misuse::Ended { verb }),
            // The end of a job is found out while actions are polled.
            Job::Listing | Job::Sharing(_) => Ok(()),
        }
    }

    /// Asks for a connection.
    pub(super) fn connect(&mut self, source: SourceId, task: Task) {
        let (now, after) = (self.now, self.config.recovery.monitor.connect_timeout);
        let Some(one) = self.sources.get_mut(source.0) else { return };
        one.farewell.clear();
        (one.began, one.moved, one.phase) = (now, 0, Phase::Connect);
        one.deadline = Deadline::new(after, now);
        one.state = State::Connecting(task);
        self.actions.push_back(Action::Connect { source });
    }

    /// A source whose refs are known takes part in the job, once that is known.
    pub(super) fn take_part(&mut self, source: SourceId) {
        let (now, holds) = (self.now, self.config.holds);
        let Job::Sharing(shares) = &mut self.job else { return };
        let Some(one) = self.sources.get_mut(source.0).filter(|one| one.peer.is_none()) else { return };
        let Some(advertised) = &mut one.advertised else { return };
        let added = match holds {
            super::Holds::Advertised => {
                advertised.retain(|id| shares.is_wanted(id));
                shares.add_peer(now, advertised.iter().copied())
            }
            super::Holds::Anything => shares.add_peer_with_all(now),
        };
        match added {
            Ok(peer) => {
                one.peer = Some(peer);
                self.peers.insert(peer, source);
            }
            // At its end it needs no one; and one that came back too often is of no use.
            Err(SharesMisuse::Ended { .. } | SharesMisuse::NotBusy { .. }) => {}
            Err(SharesMisuse::TooMany { .. }) => {
                if let State::Idle = one.state {
                    (one.state, one.report.gave_up) = (State::Gone, true);
                }
            }
        }
    }
}
