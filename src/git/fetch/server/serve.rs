//! Version 2: commands, and the answer to a `fetch`.
//!
//! ```text
//! execute ─► looked ─► (told … bordered, as in every version) ─► negotiate ─► cover ─► acknowledge
//!                                                                    └────────► prepare ◄──┘
//!                                                          deepened_to ─► send_sections ─► send_pack
//! ```

use alloc::vec::Vec;
use core::mem;

use super::advertise::{shown, tips};
use super::answer::Part;
use super::border::capped;
use super::fetch_command::EXPECTED as ARGUMENTS;
use super::ls_refs::{LsRefs, Showing};
use super::object_info::ObjectInfo;
use super::pack::{Begun, Packing};
use super::request::{Command, EXPECTED as HEAD, Head};
use super::wants::may_go_beyond;
use super::{Action, Error, Listing, Server, State, WantPolicy};
use crate::git::wire::Step;
use crate::git::{ObjectId, Ref, Serving, SessionError};
use crate::limits;
use crate::pkt::{self, MAX_BAND_DATA, Packet};

impl Server {
    pub(super) fn step_head(&mut self) -> Result<Step, Error> {
        let State::Head(head) = &mut self.state else { return Ok(Step::Wait) };
        // What was answered leaves first.
        if !self.core.wire.has_room() {
            return Ok(Step::Wait);
        }
        let packet = match self.core.wire.packet(HEAD) {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(Step::Wait),
            Err(SessionError::Ended { .. }) if head.is_empty() => Packet::Flush,
            Err(error) => return Err(error.into()),
        };
        match packet {
            Packet::Data(line) => head.take(pkt::trim_lf(&line), &self.config)?,
            Packet::Flush if head.is_empty() => self.end(),
            Packet::Flush | Packet::Delim => {
                let command = head.finish(&self.config)?;
                for (kept, said) in
                    [(&mut self.agent, &mut head.agent), (&mut self.session_id, &mut head.session_id)]
                {
                    *kept = said.take().or_else(|| kept.take());
                }
                let options = mem::take(&mut head.options);
                if !options.is_empty() {
                    self.core.push(Action::ServerOptions(options));
                }
                self.state = State::Arguments(command);
                if packet == Packet::Flush {
                    self.execute()?;
                }
            }
            Packet::ResponseEnd => return Err(SessionError::unexpected(HEAD, &packet).into()),
        }
        Ok(Step::Again)
    }

    pub(super) fn step_arguments(&mut self) -> Result<Step, Error> {
        let State::Arguments(command) = &mut self.state else { return Ok(Step::Wait) };
        let Some(packet) = self.core.wire.packet(ARGUMENTS)? else { return Ok(Step::Wait) };
        let line = match &packet {
            Packet::Flush => return self.execute().map(|()| Step::Again),
            Packet::Data(line) => pkt::trim_lf(line),
            Packet::Delim | Packet::ResponseEnd => {
                return Err(SessionError::unexpected(ARGUMENTS, &packet).into());
            }
        };
        if let Some(message) = line.strip_prefix(b"ERR ") {
            return Err(SessionError::remote(message).into());
        }
        self.wants.count(&self.config)?;
        match command {
            Command::LsRefs(asked) => asked.take(line, &self.config)?,
            Command::Fetch => {
                if self.fetch.take(line, &mut self.wants, &self.config)? {
                    self.look(true)?;
                }
            }
            Command::ObjectInfo(asked) => asked.take(line, &self.config)?,
            Command::BundleUri => return Err(SessionError::unexpected("a flush packet", &packet).into()),
        }
        Ok(Step::Again)
    }

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
        if self.fetch.haves.lines() > 0 {
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

    /// What may not be wanted has no size either (T15). Those that are no tips are judged as one.
    pub(super) fn judge_sizes(&mut self, asked: ObjectInfo) -> Result<(), Error> {
        let any = self.config.wants == WantPolicy::Any;
        let beyond: Vec<ObjectId> = asked.ids.iter().filter(|id| !self.tips.contains(id)).copied().collect();
        if any || beyond.is_empty() || !asked.asks_sizes() {
            return self.ask_sizes(asked, any);
        }
        if !self.tips.complete {
            self.core.push(Action::ListRefs);
            self.state = State::Listing(Listing::Sizes(asked));
        } else if may_go_beyond(&self.config) {
            self.core.push(Action::CheckReachable { ids: beyond, tips: self.tips.to_vec() });
            self.state = State::Judging(asked);
        } else {
            return self.ask_sizes(asked, false);
        }
        Ok(())
    }

    /// Asks for the sizes: of all, or of tips only.
    pub(super) fn ask_sizes(&mut self, asked: ObjectInfo, all: bool) -> Result<(), Error> {
        let mut ids = if asked.asks_sizes() { asked.ids.clone() } else { Vec::new() };
        ids.retain(|id| all || self.tips.contains(id));
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return self.tell_sizes(asked, Vec::new());
        }
        self.core.push(Action::ObjectSizes(ids.clone()));
        self.state = State::Sizing(asked, ids);
        Ok(())
    }

    pub(super) fn tell_sizes(&mut self, asked: ObjectInfo, sizes: Vec<(ObjectId, u64)>) -> Result<(), Error> {
        self.tell(Part::Sizes(asked, sizes.into_iter().collect()))
    }

    /// Looks up the haves that have gathered.
    pub(super) fn look(&mut self, more: bool) -> Result<(), Error> {
        let unknown = self.fetch.haves.unknown();
        if unknown.is_empty() {
            self.fetch.haves.found(unknown, drop);
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
        let has_haves = self.fetch.haves.lines() > 0;
        if self.wants.ids.is_empty() && !(self.fetch.wait_for_done && has_haves && !self.fetch.done) {
            // Git guesses that nothing was wanted, and says nothing.
            return self.answered_request();
        }
        if self.fetch.done || !has_haves {
            return self.prepare();
        }
        match self.fetch.haves.common().len() {
            0 | 1 => {
                self.fetch.leave_out_parents(&[]);
                self.cover()
            }
            _ => {
                self.core.push(Action::LoadCommits(self.fetch.haves.common().to_vec()));
                self.state = State::Loading;
                Ok(())
            }
        }
    }

    /// What is to be acknowledged is known: is it enough?
    pub(super) fn cover(&mut self) -> Result<(), Error> {
        let common = self.fetch.haves.common();
        if self.fetch.wait_for_done || common.is_empty() {
            return self.acknowledge(false);
        }
        self.core.push(Action::CheckCovered { wants: self.wants.ids.clone(), common: common.to_vec() });
        self.state = State::Covering;
        Ok(())
    }

    pub(super) fn acknowledge(&mut self, ready: bool) -> Result<(), Error> {
        self.tell(Part::Acks { ready })
    }

    /// A pack is due: where does the client's history end?
    pub(super) fn prepare(&mut self) -> Result<(), Error> {
        // Unasked, as far as our own history goes.
        if self.wants.border.is_asked() || !self.config.shallow.is_empty() {
            self.deepen();
            Ok(())
        } else {
            self.send_sections(!self.wants.border.shallow.is_empty())
        }
    }

    pub(super) fn send_sections(&mut self, border: bool) -> Result<(), Error> {
        match (self.fetch.wanted.is_empty(), border) {
            (false, border) => self.tell(Part::WantedRefs { border }),
            (true, true) => self.tell(Part::Border),
            (true, false) => self.send_pack(),
        }
    }

    pub(super) fn send_pack(&mut self) -> Result<(), Error> {
        let (fetch, wire) = (&mut self.fetch, &mut self.core.wire);
        let mut begun = Begun::Nothing;
        if fetch.uri_protocols.is_empty() || !fetch.sideband_all {
            // A URI has its place only in a sideband.
            fetch.uri_protocols.clear();
            fetch.line(wire, &[b"packfile"])?;
            begun = Begun::Head;
        }
        let mut request = self.wants.pack(self.fetch.haves.common());
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
        totals.haves = totals.haves.saturating_add(fetch.haves.lines());
        totals.common = totals.common.saturating_add(fetch.haves.common().len());
        capped(totals.requests, "requests", limits::REQUESTS)?;
        match self.config.serving {
            Serving::Request => self.end(),
            Serving::Session | Serving::Advertisement => self.state = State::Head(Head::default()),
        }
        Ok(())
    }
}
