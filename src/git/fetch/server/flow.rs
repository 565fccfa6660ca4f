//! From what a client asked for to the pack: the questions between, in the order of each version.
//!
//! ```text
//! versions 0 and 1   told ─► judged ─► bordered ─► deepened ─► haves … ─► pack
//! version 2          execute ─► looked ─► told ─► judged ─► bordered ─► acknowledged ─► deepened ─► pack
//! ```

use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

use super::advertise::{Advertising, shown};
use super::answer::{Part, Telling};
use super::negotiation::{AtFlush, Next, Search, Stop};
use super::pack::{Begun, Packing};
use super::tips::{Names, Tips};
use super::wants::{Wants, may_go_beyond};
use super::{Action, Error, Fetch, Listing, Outcome, Server, State, WantPolicy};
use crate::git::wire::{Drive, Step};
use crate::git::{ObjectId, Ref, Serving, Version};

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
                let mut stored: Vec<Bytes> = stored.collect();
                // As they are sorted, a name stands right before those that begin with it.
                stored.dedup_by(|longer, shorter| longer.starts_with(shorter));
                Action::ListRefsBelow(stored)
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

    pub(super) fn deepen(&mut self) {
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
        self.tell(Part::BorderList)
    }

    /// Begins a part of the answer.
    pub(super) fn tell(&mut self, part: Part) -> Result<(), Error> {
        self.state = State::Telling(Telling::begin(part, &self.fetch, &mut self.core.wire)?);
        Ok(())
    }

    /// Writes on, and then what follows.
    pub(super) fn step_telling(&mut self, mut telling: Telling) -> Result<Step, Error> {
        if !telling.write(&self.fetch, &self.wants, &mut self.core.wire)? {
            self.state = State::Telling(telling);
            return Ok(Step::Wait);
        }
        match telling.into_part() {
            Part::Acks { ready: true } => self.prepare()?,
            Part::Acks { ready: false } | Part::Sizes(..) => self.answered_request()?,
            Part::WantedRefs { border: true } => self.tell(Part::Border)?,
            Part::WantedRefs { border: false } | Part::Border => self.send_pack()?,
            Part::BorderList => self.state = State::Haves,
        }
        Ok(Step::Again)
    }

    // ---- versions 0 and 1: haves ----

    /// A batch of haves is complete: which of them exist?
    pub(super) fn find(&mut self, stop: Stop) {
        let unknown = self.negotiation.haves.unknown();
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
                self.core.push(Action::BuildPack(self.wants.pack(self.negotiation.haves.common())));
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

    /// Ends the session well.
    pub(super) fn end(&mut self) {
        let Wants { ids, .. } = &self.wants;
        let outcome = Outcome {
            pack: self.totals.pack,
            wants: self.totals.wants.saturating_add(ids.len()),
            haves: self.totals.haves.saturating_add(self.negotiation.haves.lines()),
            rounds: self.totals.rounds.saturating_add(self.negotiation.rounds),
            common: self.totals.common.saturating_add(self.negotiation.haves.common().len()),
            requests: self.totals.requests,
        };
        self.fetch = Fetch::default();
        self.state = State::Ended;
        self.core.finish(Action::Finished(outcome));
    }
}
