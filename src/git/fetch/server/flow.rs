//! From what a client asked for to the pack: the questions between, in the order of each version.
//!
//! ```text
//! versions 0 and 1   told ─► judged ─► bordered ─► deepened ─► haves … ─► pack
//! version 2          execute ─► looked ─► told ─► judged ─► bordered ─► acknowledged ─► deepened ─► pack
//! ```

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

use super::advertise::{Advertising, shown, tips};
use super::border::capped;
use super::ls_refs::{LsRefs, Showing};
use super::negotiation::{AtFlush, Next, Search, Stop};
use super::object_info::ObjectInfo;
use super::pack::{Begun, Packing};
use super::request::{Command, Head};
use super::tips::{Names, Tips};
use super::wants::{Wants, may_go_beyond};
use super::{Action, Error, Fetch, Listing, Outcome, Server, State, WantPolicy};
use crate::git::wire::Drive;
use crate::git::{ObjectId, Ref, Serving, Version};
use crate::limits;
use crate::pkt::MAX_BAND_DATA;

impl Server {
    fn is_version_2(&self) -> bool {
        self.config.spoken() == Version::V2
    }

    pub(super) fn know_tips(&mut self, ids: Vec<ObjectId>, all: bool) {
        // Where everything may be wanted nobody asks.
        if self.config.wants != WantPolicy::Any {
            self.tips.extend(ids.into_iter());
        }
        self.tips.complete |= all;
    }

    pub(super) fn advertise(&mut self, refs: Vec<Ref>) {
        let refs = shown(&self.config, refs);
        self.state = State::Advertising(Advertising::new(&self.config, refs));
    }

    // ---- version 2: a request is complete ----

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
                    crate::pkt::put_packet(self.core.wire.turn(), &[line]).map_err(Error::pkt)?;
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

    // ---- every version: what may be had ----

    /// The wants and borders are told. Looks up what has to be known to judge them.
    pub(super) fn told(&mut self) -> Result<(), Error> {
        self.wants.border.check()?;
        for name in &self.fetch.want_refs {
            self.names.ask(name);
        }
        for name in &self.wants.border.not {
            self.names.ask_short(name);
        }
        let any = self.config.wants == WantPolicy::Any;
        let asks_tips = self.wants.border.concerns_tips() || !self.wants.beyond(&self.tips).is_empty();
        let all = !any && !self.tips.complete && asks_tips;
        if !all && self.names.is_empty() {
            return self.judge();
        }
        let view = &self.config.view;
        self.core.push(match all {
            true => Action::ListRefs,
            false => {
                let stored = self.names.list().map(|name| Bytes::from(view.stored_prefix(name)));
                Action::ListRefsBelow(stored.collect())
            }
        });
        self.state = State::Listing(Listing::Wants { all });
        Ok(())
    }

    /// Finds what the client's names stand for.
    pub(super) fn resolve(&mut self, refs: Vec<Ref>) -> Result<(), Error> {
        let mut names: Names = mem::take(&mut self.names);
        for one in shown(&self.config, refs).iter().filter(|one| !one.id.is_null()) {
            names.take(one);
        }
        for name in mem::take(&mut self.fetch.want_refs) {
            let Some(id) = names.get(&name) else { return Err(Error::UnknownRef { name }) };
            self.wants.want(id, &self.config)?;
            self.know_tips([id].into(), false);
            self.fetch.wanted.push((id, name));
        }
        for name in mem::take(&mut self.wants.border.not) {
            let Some(id) = names.get_short(&name) else { return Err(Error::DeepenNot { name }) };
            self.wants.border.excluded.push(id);
        }
        self.judge()
    }

    /// By policy the wants are fine, or refused, or the driver is asked about those that are no tips.
    fn judge(&mut self) -> Result<(), Error> {
        let beyond = self.wants.beyond(&self.tips);
        let Some(first) = beyond.first().copied() else { return self.judged() };
        if self.config.wants == WantPolicy::Any {
            self.core.push(Action::FindObjects(beyond.clone()));
            self.state = State::Checking(beyond);
        } else if may_go_beyond(&self.config) {
            self.core.push(Action::CheckReachable { ids: beyond, tips: self.tips.to_vec() });
            self.state = State::Reaching(first);
        } else {
            return Err(Error::NotOurRef { id: first });
        }
        Ok(())
    }

    /// The driver has nothing against these wants. In version 2 they are going to be repeated.
    pub(super) fn granted(&mut self, ids: &[ObjectId]) -> Result<(), Error> {
        if self.is_version_2() {
            self.tips.extend(ids.iter().copied());
        }
        self.judged()
    }

    fn judged(&mut self) -> Result<(), Error> {
        let border = &mut self.wants.border;
        if border.shallow.is_empty() {
            return self.bordered();
        }
        border.drop_repeated();
        self.core.push(Action::FindObjects(border.shallow.clone()));
        self.state = State::Bordering;
        Ok(())
    }

    /// The client's border is known.
    pub(super) fn bordered(&mut self) -> Result<(), Error> {
        if self.is_version_2() {
            return self.negotiate();
        }
        if self.wants.border.is_asked() {
            self.deepen();
        } else {
            self.state = State::Haves;
        }
        // They have served.
        self.tips = Tips::default();
        Ok(())
    }

    fn deepen(&mut self) {
        let mut request = self.wants.border.request(&self.wants.ids);
        if self.config.wants != WantPolicy::Any && self.wants.border.concerns_tips() {
            request.tips = self.tips.to_vec();
        }
        self.core.push(Action::Deepen(request));
        self.state = State::Deepening;
    }

    /// The client's new border is known.
    pub(super) fn deepened_to(&mut self) -> Result<(), Error> {
        if self.is_version_2() {
            return self.send_sections(true);
        }
        self.wants.border.write_list(&mut self.core.wire)?;
        self.state = State::Haves;
        Ok(())
    }

    // ---- version 2: haves ----

    fn negotiate(&mut self) -> Result<(), Error> {
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

    fn send_sections(&mut self, border: bool) -> Result<(), Error> {
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

    // ---- versions 0 and 1: haves ----

    /// A batch of haves is complete: which of them exist?
    pub(super) fn find(&mut self, stop: Stop) {
        let unknown = self.negotiation.unknown();
        if unknown.is_empty() {
            self.negotiation.found(unknown);
            self.weigh(stop);
        } else {
            self.core.push(Action::FindObjects(unknown));
            self.state = State::Finding(stop);
        }
    }

    /// They are found: is that enough?
    pub(super) fn weigh(&mut self, stop: Stop) {
        match self.negotiation.search(self.wants.features.acks, stop) {
            Some(search) => self.ask_covered(stop, search),
            None => self.reply(stop),
        }
    }

    pub(super) fn ask_covered(&mut self, stop: Stop, search: Search) {
        let (wants, common) = (self.wants.ids.clone(), self.negotiation.asked(&search));
        self.core.push(Action::CheckCovered { wants, common });
        self.state = State::Weighing(stop, search);
    }

    pub(super) fn reply(&mut self, stop: Stop) {
        let features = self.wants.features;
        let leaves = self.config.serving == Serving::Request;
        let flush = AtFlush { no_done: features.no_done, leaves };
        match self.negotiation.reply(&mut self.core.wire, features.acks, flush, stop) {
            Ok(Next::Haves) => self.state = State::Haves,
            Ok(Next::Leave) => self.end(),
            Ok(Next::Pack) => {
                let banded = features.sideband.map(|most| (most, Begun::Head));
                let packing = Packing::new(banded, self.wants.resume.as_ref());
                self.core.push(Action::BuildPack(self.wants.pack(self.negotiation.common())));
                self.state = State::Packing(packing);
            }
            Err(error) => self.fail(error),
        }
    }

    // ---- every version: the end ----

    /// All of the pack is on its way.
    pub(super) fn pack_left(&mut self) -> Result<(), Error> {
        self.totals.pack = true;
        if self.is_version_2() {
            return self.answered_request();
        }
        self.end();
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

    /// Ends the session well.
    pub(super) fn end(&mut self) {
        let Wants { ids, .. } = &self.wants;
        let outcome = Outcome {
            pack: self.totals.pack,
            wants: self.totals.wants.saturating_add(ids.len()),
            haves: self.totals.haves.saturating_add(self.negotiation.haves),
            rounds: self.totals.rounds.saturating_add(self.negotiation.rounds),
            common: self.totals.common.saturating_add(self.negotiation.common().len()),
            requests: self.totals.requests,
        };
        self.fetch = Fetch::default();
        self.state = State::Ended;
        self.core.finish(Action::Finished(outcome));
    }
}
