//! The driver's answers.

use alloc::vec::Vec;

use bytes::Bytes;

use super::flow::{Fetching, State, Store};
use super::{Error, TwoWaySync};
use crate::error::Blame;
use crate::git::{Commit, Deepen, Misuse, ObjectId, Ref, Request, Resume, Service, fetch, push};
use crate::port;
use crate::time::Instant;

impl TwoWaySync {
    /// The local refs, in any order. `HEAD` is left out of the sync, and so is, on both sides, what is symbolic on one.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn refs_listed(&mut self, now: Instant, refs: Vec<Ref>) -> Result<(), Misuse> {
        self.running(now, "refs_listed")?;
        if !matches!(self.state, State::Listing) {
            return Err(Misuse::NotAsked { verb: "refs_listed" });
        }
        self.local = self.plain(refs);
        let request = Request { service: Service::UploadPack, ..self.config.request.clone() };
        // The plan looks at the whole history, and at the refs that were advertised.
        let fetch = fetch::client::Config {
            request: Some(request),
            stateless: false,
            listing: fetch::client::Listing::All,
            deepen: Deepen::default(),
            packfile_uris: Vec::new(),
            ..self.config.fetch.clone()
        };
        match self.client.begin_fetch(now, fetch) {
            Ok(()) => self.state = State::Fetching(Fetching::new()),
            // The port ended while the refs were being listed.
            Err(misuse) => self.fail_with(Error::Misuse(misuse)),
        }
        self.advance();
        Ok(())
    }

    /// The subset of the ids asked for that is there with everything it reaches.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn held(&mut self, now: Instant, ids: Vec<ObjectId>) -> Result<(), Misuse> {
        self.running(now, "held")?;
        let fetch = self.client.fetch(now).ok_or(Misuse::NotAsked { verb: "held" })?;
        fetch.held(now, ids)?;
        self.advance();
        Ok(())
    }

    /// Before [`TwoWaySync::held`]: what was kept of a pack that broke off when the same was asked for
    /// ([`fetch::client::Client::resume`]).
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn resume(&mut self, now: Instant, part: Resume) -> Result<(), Misuse> {
        self.running(now, "resume")?;
        let fetch = self.client.fetch(now).ok_or(Misuse::NotAsked { verb: "resume" })?;
        fetch.resume(now, part)
    }

    /// The pack that is asked for begins with what the peer holds of it ([`push::client::Client::pack_resumes`]).
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn pack_resumes(&mut self, now: Instant) -> Result<(), Misuse> {
        self.pushing(now, "pack_resumes")?.pack_resumes(now)
    }

    /// The commits asked for; more may be volunteered.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn commits(&mut self, now: Instant, commits: Vec<Commit>) -> Result<(), Misuse> {
        self.running(now, "commits")?;
        if let State::Planning(planner) = &mut self.state {
            planner.commits(commits)?;
        } else {
            let fetch = self.client.fetch(now).ok_or(Misuse::NotAsked { verb: "commits" })?;
            fetch.commits(now, commits)?;
        }
        self.advance();
        Ok(())
    }

    /// The pack was stored and checked, or why not (the driver's words, for the outcome).
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn pack_stored(&mut self, now: Instant, result: Result<(), Bytes>) -> Result<(), Misuse> {
        self.running(now, "pack_stored")?;
        let is_raw = match &mut self.state {
            State::Fetching(fetching) if fetching.store == Store::Open => {
                fetching.store = Store::Done;
                fetching.is_raw
            }
            _ => return Err(Misuse::NotAsked { verb: "pack_stored" }),
        };
        match result {
            Ok(()) => {
                if let Some(fetch) = self.client.fetch(now).filter(|fetch| !fetch.has_ended()) {
                    // Outside the sideband only the driver, which reads the trailer, knows the pack's end. Inside it
                    // the protocol tells, a little later than the driver may have seen it: then nobody asked.
                    match fetch.pack_complete(now) {
                        Ok(()) | Err(Misuse::NotAsked { .. }) => {}
                        Err(misuse) => return Err(misuse),
                    }
                }
            }
            // What the driver could not store is half a pack, and the connection is to blame for that.
            Err(reason) => match self.client.cause().filter(|cause| is_raw && cuts(cause)) {
                Some(cause) => self.fail(Error::Port(cause.clone())),
                None => self.fail(Error::Store { reason }),
            },
        }
        self.advance();
        Ok(())
    }

    /// One result for each command of [`Action::UpdateRefs`](super::Action::UpdateRefs), in its order.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn refs_updated(&mut self, now: Instant, results: Vec<Result<(), Bytes>>) -> Result<(), Misuse> {
        self.running(now, "refs_updated")?;
        let State::UpdatingLocal(batch) = &self.state else {
            return Err(Misuse::NotAsked { verb: "refs_updated" });
        };
        if results.len() != batch.commands().len() {
            return Err(Misuse::Argument { verb: "refs_updated", reason: "not one result for each command" });
        }
        self.work.record(batch, results);
        self.next_batch();
        self.advance();
        Ok(())
    }

    /// The next bytes of the pack asked for.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn pack_chunk(&mut self, now: Instant, bytes: Bytes) -> Result<(), Misuse> {
        self.pushing(now, "pack_chunk")?.pack_chunk(now, bytes.clone())?;
        self.count(&bytes);
        Ok(())
    }

    /// The pack asked for is complete.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn pack_finished(&mut self, now: Instant) -> Result<(), Misuse> {
        self.pushing(now, "pack_finished")?.pack_finished(now)?;
        self.advance();
        Ok(())
    }

    /// The pack asked for cannot be built.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn pack_failed(&mut self, now: Instant, reason: Bytes) -> Result<(), Misuse> {
        self.pushing(now, "pack_failed")?.pack_failed(now, reason)?;
        self.advance();
        Ok(())
    }

    fn running(&mut self, now: Instant, verb: &'static str) -> Result<(), Misuse> {
        self.at(now);
        if self.has_ended() { Err(Misuse::Ended { verb }) } else { Ok(()) }
    }

    fn pushing(&mut self, now: Instant, verb: &'static str) -> Result<&mut push::client::Client, Misuse> {
        self.running(now, verb)?;
        self.client.push(now).ok_or(Misuse::NotAsked { verb })
    }
}

/// Whether this ended the peer's stream before its time.
fn cuts(cause: &port::Error) -> bool {
    matches!(cause, port::Error::Remote { .. }) || cause.blame() == Blame::Transport
}
