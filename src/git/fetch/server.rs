//! The server's end of a fetch: `git-upload-pack`, protocol versions 0 and 1.
//!
//! ```text
//!          refs_listed                      flush       (policy)         flush, done
//! Listing ────────────► Advertising ─► Wanting ─► Reaching | Checking ─► Haves ◄─► Finding ─► Weighing
//!                                        │ flush or end of input            │ done (no-done: ready)
//!                                        ▼ without a want                   ▼
//!                                      Ended ◄───────────────────────── Packing
//!                                             pack_finished, pack_failed
//! ```
//!
//! | input | state | output |
//! |---|---|---|
//! | – | start | [`Action::ListRefs`] |
//! | `refs_listed` | Listing | the advertisement, written while the transport has room |
//! | want lines, flush | Wanting | [`Action::CheckReachable`] or [`Action::FindObjects`] where the policy asks |
//! | flush without a want, end of input | Wanting | [`Action::Finished`], no pack |
//! | have lines, flush | Haves | [`Action::FindObjects`], [`Action::CheckCovered`]; then ACK and NAK |
//! | `done` | Haves | the final ACK or NAK, [`Action::BuildPack`] |
//! | `pack_chunk`, `progress` | Packing | sideband packets, or the pack as it is |
//! | silence of the driver | Packing | a keep-alive each [`Config::keep_alive`], in a sideband |
//! | `pack_finished` | Packing | flush; [`Action::Finished`] |
//! | anything wrong | any | `ERR` or band 3, [`Action::Failed`] |
//!
//! Limits: [`Config::max_wants`], [`Config::max_haves`], [`Config::max_rounds`], and those of every Git machine.
//! Version 2 has its place in [`Config::version`] and is answered in version 0 so far, which Git allows.
//! Rules: `spec/05-fetch.md`, from FETCH-30.

mod advertise;
mod face;
mod negotiation;
mod wants;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

use crate::git::advertisement::excerpt;
use crate::git::wire::{Core, Drive, Step, machine_face};
use crate::git::{Misuse, ObjectId, Ref, SessionError};
use crate::pkt::{self, Band, Packet};
use crate::{Instant, limits};
use advertise::Advertising;
pub use face::{Action, Config, Error, Outcome, WantPolicy};
use negotiation::{Negotiation, Next, Search, Stop};
use wants::Wants;

/// What band 3 says when the driver gives no reason: an empty packet there would say nothing.
const NO_REASON: &[u8] = b"upload-pack: the pack could not be built";

/// The state, with what only it knows.
#[derive(Debug)]
enum State {
    Listing,
    Advertising(Advertising),
    Wanting,
    /// [`Action::CheckReachable`] is open; the id to refuse if the answer is no.
    Reaching(ObjectId),
    /// [`Action::FindObjects`] is open for these wants.
    Checking(Vec<ObjectId>),
    Haves,
    /// [`Action::FindObjects`] is open for haves.
    Finding(Stop),
    /// [`Action::CheckCovered`] is open.
    Weighing(Stop, Search),
    Packing(Packing),
    Ended,
}

/// How the pack leaves.
#[derive(Debug)]
enum Packing {
    /// In packets of at most so many bytes of data; and whether some have gone.
    Banded { most: usize, begun: bool },
    /// As it is. The last chunk waits until the pack is complete, so that one that fails is never whole.
    Raw { held: Option<Bytes> },
}

/// The upload-pack server. See the [module](self) for its states.
#[derive(Debug)]
pub struct Server {
    core: Core<Action, Error>,
    config: Config,
    state: State,
    /// What may be wanted without a question, sorted.
    tips: Vec<ObjectId>,
    wants: Wants,
    negotiation: Negotiation,
}

machine_face!(Server, Action, Error);

impl Server {
    /// A server at the start of a session.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let mut core = Core::new(config.idle_timeout, now).with_keep_alive(config.keep_alive);
        core.push(Action::ListRefs);
        Self {
            core,
            config,
            state: State::Listing,
            tips: Vec::new(),
            wants: Wants::default(),
            negotiation: Negotiation::default(),
        }
    }

    /// Answers [`Action::ListRefs`]: `HEAD` if it resolves, with its target, then every ref sorted by name,
    /// hidden ones included; tags with what they peel to.
    ///
    /// # Errors
    /// [`Misuse`]; an id of another format than the repository's is [`Misuse::Argument`].
    pub fn refs_listed(&mut self, now: Instant, refs: Vec<Ref>) -> Result<(), Misuse> {
        let verb = "refs_listed";
        self.core.running(verb)?;
        if !matches!(self.state, State::Listing) {
            return Err(Misuse::NotAsked { verb });
        }
        let fits = |id: &ObjectId| id.format() == self.config.format;
        if !refs.iter().all(|one| fits(&one.id) && one.peeled.as_ref().is_none_or(fits)) {
            return Err(Misuse::Argument { verb, reason: "an id is not of the repository's format" });
        }
        let (lines, tips) = Advertising::new(&self.config, refs);
        self.tips = tips;
        self.state = State::Advertising(lines);
        self.answered(now);
        Ok(())
    }

    /// Answers [`Action::FindObjects`] with those that exist. Ids that were not asked for are passed over.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn objects_found(&mut self, now: Instant, found: Vec<ObjectId>) -> Result<(), Misuse> {
        let verb = "objects_found";
        self.core.running(verb)?;
        match mem::replace(&mut self.state, State::Ended) {
            State::Checking(asked) => {
                let found: BTreeSet<ObjectId> = found.into_iter().collect();
                match asked.into_iter().find(|id| !found.contains(id)) {
                    Some(id) => self.fail(Error::NotOurRef { id }),
                    None => self.state = State::Haves,
                }
            }
            State::Finding(stop) => {
                self.negotiation.found(found);
                self.weigh(stop);
            }
            other => {
                self.state = other;
                return Err(Misuse::NotAsked { verb });
            }
        }
        self.answered(now);
        Ok(())
    }

    /// Answers [`Action::CheckReachable`].
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn reachable(&mut self, now: Instant, all: bool) -> Result<(), Misuse> {
        let verb = "reachable";
        self.core.running(verb)?;
        let State::Reaching(id) = self.state else { return Err(Misuse::NotAsked { verb }) };
        if all {
            self.state = State::Haves;
        } else {
            self.fail(Error::NotOurRef { id });
        }
        self.answered(now);
        Ok(())
    }

    /// Answers [`Action::CheckCovered`].
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn covered(&mut self, now: Instant, all: bool) -> Result<(), Misuse> {
        let verb = "covered";
        self.core.running(verb)?;
        match mem::replace(&mut self.state, State::Ended) {
            State::Weighing(stop, search) => match self.negotiation.covered(search, all) {
                Some(search) => self.ask_covered(stop, search),
                None => self.reply(stop),
            },
            other => {
                self.state = other;
                return Err(Misuse::NotAsked { verb });
            }
        }
        self.answered(now);
        Ok(())
    }

    /// Whether there is room for the next [`Server::pack_chunk`]: the backpressure towards the pack's producer.
    #[must_use]
    pub fn wants_pack(&self) -> bool {
        self.core.is_running() && matches!(self.state, State::Packing(_)) && self.core.wire.has_room()
    }

    /// The next bytes of the pack, in any split; they are not copied. Ask [`Server::wants_pack`] first: what
    /// is given without room is kept all the same.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn pack_chunk(&mut self, now: Instant, bytes: Bytes) -> Result<(), Misuse> {
        let verb = "pack_chunk";
        self.core.running(verb)?;
        let State::Packing(packing) = &mut self.state else { return Err(Misuse::NotAsked { verb }) };
        if !bytes.is_empty() {
            match packing {
                Packing::Banded { most, begun } => {
                    *begun = true;
                    self.core.wire.band(Band::Data, bytes, *most);
                }
                Packing::Raw { held } => {
                    if let Some(before) = held.replace(bytes) {
                        self.core.wire.raw(before);
                    }
                }
            }
        }
        self.answered(now);
        Ok(())
    }

    /// Progress for the user, raw; it goes nowhere when the client asked for no sideband.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn progress(&mut self, now: Instant, bytes: Bytes) -> Result<(), Misuse> {
        let verb = "progress";
        self.core.running(verb)?;
        let State::Packing(packing) = &self.state else { return Err(Misuse::NotAsked { verb }) };
        if let Packing::Banded { most, .. } = packing {
            self.core.wire.band(Band::Progress, bytes, *most);
        }
        self.answered(now);
        Ok(())
    }

    /// The pack is complete, its trailer included.
    ///
    /// # Errors
    /// [`Misuse`]; [`Misuse::Argument`] when no byte of a pack was given.
    pub fn pack_finished(&mut self, now: Instant) -> Result<(), Misuse> {
        let verb = "pack_finished";
        self.core.running(verb)?;
        match &mut self.state {
            State::Packing(Packing::Banded { begun: true, .. }) => self.core.wire.flush(),
            State::Packing(Packing::Raw { held }) if held.is_some() => {
                self.core.wire.raw(held.take().unwrap_or_default());
            }
            State::Packing(_) => {
                return Err(Misuse::Argument { verb, reason: "no byte of a pack was given" });
            }
            _ => return Err(Misuse::NotAsked { verb }),
        }
        self.finish(true);
        self.answered(now);
        Ok(())
    }

    /// The pack cannot be completed. The client is told why on band 3; without sideband its pack just ends.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn pack_failed(&mut self, now: Instant, reason: Bytes) -> Result<(), Misuse> {
        let verb = "pack_failed";
        self.core.running(verb)?;
        if !matches!(self.state, State::Packing(_)) {
            return Err(Misuse::NotAsked { verb });
        }
        self.fail(Error::PackFailed { reason: excerpt(&reason, limits::ERROR_MESSAGE) });
        self.answered(now);
        Ok(())
    }

    /// The wants are told: by policy they are fine, or the driver is asked about those that are no tips.
    fn judge(&mut self) {
        let beyond = self.wants.beyond(&self.tips);
        let tips = mem::take(&mut self.tips);
        self.state = match (self.config.wants, beyond.first()) {
            (WantPolicy::Advertised | WantPolicy::Tips, _) | (_, None) => State::Haves,
            (WantPolicy::Reachable, Some(first)) => {
                let first = *first;
                self.core.push(Action::CheckReachable { ids: beyond, tips });
                State::Reaching(first)
            }
            (WantPolicy::Any, Some(_)) => {
                self.core.push(Action::FindObjects(beyond.clone()));
                State::Checking(beyond)
            }
        };
    }

    /// A batch of haves is complete: which of them exist?
    fn find(&mut self, stop: Stop) {
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
    fn weigh(&mut self, stop: Stop) {
        match self.negotiation.search(self.wants.features.acks, stop) {
            Some(search) => self.ask_covered(stop, search),
            None => self.reply(stop),
        }
    }

    fn ask_covered(&mut self, stop: Stop, search: Search) {
        let (wants, common) = (self.wants.ids.clone(), self.negotiation.asked(&search));
        self.core.push(Action::CheckCovered { wants, common });
        self.state = State::Weighing(stop, search);
    }

    fn reply(&mut self, stop: Stop) {
        let features = self.wants.features;
        match self.negotiation.reply(&mut self.core.wire, features.acks, features.no_done, stop) {
            Ok(Next::Haves) => self.state = State::Haves,
            Ok(Next::Pack) => {
                let packing = match features.sideband {
                    Some(most) => Packing::Banded { most, begun: false },
                    None => Packing::Raw { held: None },
                };
                self.core.push(Action::BuildPack(self.wants.pack(self.negotiation.common())));
                self.state = State::Packing(packing);
            }
            Err(error) => self.fail(error),
        }
    }

    fn finish(&mut self, pack: bool) {
        let outcome = Outcome {
            pack,
            wants: self.wants.ids.len(),
            haves: self.negotiation.haves,
            rounds: self.negotiation.rounds,
            common: self.negotiation.common().len(),
        };
        self.state = State::Ended;
        self.core.finish(Action::Finished(outcome));
    }

    fn step_wanting(&mut self) -> Result<Step, Error> {
        let packet = match self.core.wire.packet(wants::EXPECTED) {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(Step::Wait),
            // Enough was seen: `ls-remote` may leave without a word.
            Err(SessionError::Ended { .. }) if self.wants.lines == 0 => Packet::Flush,
            Err(error) => return Err(error.into()),
        };
        match packet {
            Packet::Flush if self.wants.ids.is_empty() => self.finish(false),
            Packet::Flush => self.judge(),
            Packet::Data(line) => self.wants.take(&line, &self.config, &self.tips)?,
            Packet::Delim | Packet::ResponseEnd => {
                return Err(SessionError::unexpected(wants::EXPECTED, &packet).into());
            }
        }
        Ok(Step::Again)
    }

    fn step_haves(&mut self) -> Result<Step, Error> {
        if !self.core.wire.has_room() {
            return Ok(Step::Wait);
        }
        let Some(packet) = self.core.wire.packet(negotiation::EXPECTED)? else { return Ok(Step::Wait) };
        if let Some(stop) = self.negotiation.take(&packet, &self.config)? {
            self.find(stop);
        }
        Ok(Step::Again)
    }
}

impl Drive for Server {
    type Action = Action;
    type Error = Error;

    fn core(&mut self) -> &mut Core<Action, Error> {
        &mut self.core
    }

    fn step(&mut self) -> Result<Step, Error> {
        match &mut self.state {
            State::Advertising(lines) => {
                if !lines.write(&self.config, &mut self.core.wire)? {
                    return Ok(Step::Wait);
                }
                self.state = State::Wanting;
                Ok(Step::Again)
            }
            State::Wanting => self.step_wanting(),
            State::Haves => self.step_haves(),
            State::Listing
            | State::Reaching(_)
            | State::Checking(_)
            | State::Finding(_)
            | State::Weighing(..)
            | State::Packing(_)
            | State::Ended => Ok(Step::Wait),
        }
    }

    fn farewell(&mut self, error: &Error) {
        match (mem::replace(&mut self.state, State::Ended), error) {
            (State::Packing(Packing::Banded { most, .. }), Error::PackFailed { reason }) => {
                let said = if reason.is_empty() { Bytes::from_static(NO_REASON) } else { reason.clone() };
                self.core.wire.band(Band::Fatal, said, most);
            }
            (State::Packing(Packing::Banded { most, .. }), other) => {
                let words = other.words().unwrap_or_default();
                self.core.wire.band(Band::Fatal, words.into(), most);
            }
            // The pack has no room for words: it stays cut.
            (State::Packing(Packing::Raw { .. }), _) => {}
            (_, other) => {
                if let Some(words) = other.words() {
                    // The words are far shorter than a packet.
                    let _ = pkt::put_packet(self.core.wire.turn(), &[b"ERR ", words.as_bytes()]);
                }
            }
        }
    }

    fn failed(error: Error) -> Action {
        Action::Failed(error)
    }

    fn waits_for_driver(&self) -> bool {
        match self.state {
            State::Listing
            | State::Reaching(_)
            | State::Checking(_)
            | State::Finding(_)
            | State::Weighing(..)
            | State::Packing(_) => true,
            State::Advertising(_) | State::Wanting | State::Haves | State::Ended => false,
        }
    }

    fn keeps_alive(&self) -> bool {
        matches!(self.state, State::Packing(Packing::Banded { .. }))
    }
}
