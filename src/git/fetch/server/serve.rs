//! Version 2: commands, and the answer to a `fetch`.
//!
//! ```text
//! execute ─► looked ─► (told … bordered, as in every version) ─► negotiate ─► cover ─► acknowledge
//!                                                                    └────────► prepare ◄──┘
//!                                                          deepened_to ─► send_sections ─► pack
//! ```

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem;

use super::advertise::{shown, tips};
use super::border::capped;
use super::ls_refs::{LsRefs, Showing};
use super::object_info::ObjectInfo;
use super::pack::{Begun, Packing};
use super::request::{Command, Head};
use super::wants::may_go_beyond;
use super::{Action, Error, Listing, Server, State, WantPolicy};
use crate::git::{ObjectId, Ref, Serving};
use crate::limits;
use crate::pkt::{self, MAX_BAND_DATA};

impl Server {
    /// Runs the command, all of whose arguments have come.
    pub(super) fn execute(&mut self) -> Result<(), Error> {
        let State::Arguments(command) = mem::replace(&mut self.state, State::Ended) else { return Ok(()) };
        match command {
            Command::LsRefs(mut asked) => {
                self.core.push(match asked.finish() {
                    Some(prefixes) => {
                        let view = &self.config.view;
                        let stored = prefixes.iter().map(|prefix| view.stored_prefix(prefix).into());
                        Action::ListRefsBelow(stored.collect())
                    }
                    None => Action::ListRefs,
                });
                self.state = State::Listing(Listing::LsRefs(asked));
                Ok(())
            }
            Command::Fetch => {
                self.wants.features.sideband = Some(MAX_BAND_DATA);
                self.count_haves()?;
                self.look(false)
            }
            Command::ObjectInfo(asked) => self.judge_sizes(asked),
            Command::BundleUri => {
                for line in self.config.bundle_uris.iter().flatten() {
                    pkt::put_packet(self.core.wire.turn(), &[line]).map_err(Error::pkt)?;
                }
                self.core.wire.flush();
                self.answered_request()
            }
        }
    }

    fn count_haves(&mut self) -> Result<(), Error> {
        if self.fetch.haves.lines > 0 {
            let rounds = self.totals.rounds.saturating_add(1);
            capped(rounds, "rounds of negotiation", self.config.max_rounds)?;
            self.totals.rounds = rounds;
        }
        Ok(())
    }

    /// Sends the refs that `ls-refs` asked for.
    pub(super) fn show(&mut self, asked: LsRefs, refs: Vec<Ref>) {
        if asked.asks_all() {
            self.know_tips(tips(&self.config, &refs), true);
        }
        let mut refs = shown(&self.config, refs);
        refs.retain(|one| asked.asks_for(one));
        if !asked.asks_all() {
            self.know_tips(refs.iter().map(|one| one.id).filter(|id| !id.is_null()).collect(), false);
        }
        self.state = State::Showing(Showing::new(asked, refs));
    }

    /// What may not be wanted has no size either (T15).
    fn judge_sizes(&mut self, asked: ObjectInfo) -> Result<(), Error> {
        let beyond: Vec<ObjectId> = asked.ids.iter().filter(|id| !self.tips.contains(id)).copied().collect();
        let asks_driver = asked.asks_sizes() && !beyond.is_empty() && may_go_beyond(&self.config);
        if asks_driver && self.config.wants != WantPolicy::Any {
            self.core.push(Action::CheckReachable { ids: beyond, tips: self.tips.to_vec() });
            self.state = State::Sizing(asked);
            return Ok(());
        }
        self.ask_sizes(asked, asks_driver)
    }

    /// Asks for the sizes: of all, or of tips only.
    pub(super) fn ask_sizes(&mut self, asked: ObjectInfo, all: bool) -> Result<(), Error> {
        let mut ids = if asked.asks_sizes() { asked.ids.clone() } else { Vec::new() };
        ids.retain(|id| all || self.tips.contains(id));
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return self.tell_sizes(&asked, Vec::new());
        }
        self.core.push(Action::ObjectSizes(ids));
        self.state = State::Sizing(asked);
        Ok(())
    }

    pub(super) fn tell_sizes(
        &mut self,
        asked: &ObjectInfo,
        sizes: Vec<(ObjectId, u64)>,
    ) -> Result<(), Error> {
        let sizes: BTreeMap<ObjectId, u64> = sizes.into_iter().collect();
        asked.write(&sizes, &mut self.core.wire)?;
        self.answered_request()
    }

    /// Looks up the haves that have gathered.
    pub(super) fn look(&mut self, more: bool) -> Result<(), Error> {
        let unknown = self.fetch.haves.unknown();
        if unknown.is_empty() {
            self.fetch.haves.found(unknown);
            return self.looked(more);
        }
        self.core.push(Action::FindObjects(unknown));
        self.state = State::Looking { more };
        Ok(())
    }

    pub(super) fn looked(&mut self, more: bool) -> Result<(), Error> {
        if more {
            self.state = State::Arguments(Command::Fetch);
            return Ok(());
        }
        self.told()
    }

    pub(super) fn negotiate(&mut self) -> Result<(), Error> {
        let has_haves = self.fetch.haves.lines > 0;
        if self.wants.ids.is_empty() && !(self.fetch.wait_for_done && has_haves && !self.fetch.done) {
            // Git guesses that nothing was wanted, and says nothing.
            return self.answered_request();
        }
        if self.fetch.done || !has_haves {
            return self.prepare();
        }
        match self.fetch.haves.common.len() {
            0 | 1 => {
                self.fetch.haves.leave_out_parents(&[]);
                self.cover()
            }
            _ => {
                self.core.push(Action::LoadCommits(self.fetch.haves.common.clone()));
                self.state = State::Loading;
                Ok(())
            }
        }
    }

    /// What is to be acknowledged is known: is it enough?
    pub(super) fn cover(&mut self) -> Result<(), Error> {
        let common = &self.fetch.haves.common;
        if self.fetch.wait_for_done || common.is_empty() {
            return self.acknowledge(false);
        }
        self.core.push(Action::CheckCovered { wants: self.wants.ids.clone(), common: common.clone() });
        self.state = State::Covering;
        Ok(())
    }

    pub(super) fn acknowledge(&mut self, ready: bool) -> Result<(), Error> {
        self.fetch.write_acks(ready, &mut self.core.wire)?;
        if ready { self.prepare() } else { self.answered_request() }
    }

    /// A pack is due: where does the client's history end?
    fn prepare(&mut self) -> Result<(), Error> {
        // Unasked, as far as our own history goes.
        if self.wants.border.is_asked() || !self.config.shallow.is_empty() {
            self.deepen();
            Ok(())
        } else {
            self.send_sections(!self.wants.border.shallow.is_empty())
        }
    }

    pub(super) fn send_sections(&mut self, border: bool) -> Result<(), Error> {
        let (fetch, wire) = (&mut self.fetch, &mut self.core.wire);
        fetch.write_wanted_refs(wire)?;
        if border {
            fetch.write_shallow_info(&self.wants, wire)?;
        }
        let mut begun = Begun::Nothing;
        if fetch.uri_protocols.is_empty() || !fetch.sideband_all {
            // A URI has its place only in a sideband.
            fetch.uri_protocols.clear();
            fetch.line(wire, &[b"packfile"])?;
            begun = Begun::Head;
        }
        let mut request = self.wants.pack(&self.fetch.haves.common);
        request.uri_protocols = mem::take(&mut self.fetch.uri_protocols);
        self.core.push(Action::BuildPack(request));
        let banded = Some((MAX_BAND_DATA, begun));
        self.state = State::Packing(Packing::new(banded, self.wants.resume.as_ref()));
        Ok(())
    }

    /// One request of version 2 is answered: the next may come.
    pub(super) fn answered_request(&mut self) -> Result<(), Error> {
        let (wants, fetch) = (mem::take(&mut self.wants), mem::take(&mut self.fetch));
        let totals = &mut self.totals;
        totals.requests = totals.requests.saturating_add(1);
        totals.wants = totals.wants.saturating_add(wants.ids.len());
        totals.haves = totals.haves.saturating_add(fetch.haves.lines);
        totals.common = totals.common.saturating_add(fetch.haves.common.len());
        capped(totals.requests, "requests", limits::REQUESTS)?;
        match self.config.serving {
            Serving::Request => self.end(),
            Serving::Session | Serving::Advertisement => self.state = State::Head(Head::default()),
        }
        Ok(())
    }
}
