//! The server's end of a fetch: `git-upload-pack`, protocol versions 0, 1 and 2.
//!
//! ```text
//!  versions 0 and 1                                       version 2
//!  Listing ─refs_listed─► Advertising ─► Wanting          Head ─► Arguments ─► Listing ─► Showing     (ls-refs)
//!                            flush or end │ flush           ▲         │    └─► (Listing, Judging) ─► Sizing (object-info)
//!                            without want ▼                 │         ▼ (fetch)
//!                                      Ended                │      Looking (for haves)
//!                                                           │         │
//!      (Listing) ─► Reaching | Checking ─► Bordering: what the wants and borders come to, in every version
//!                                   │                       │         │
//!           Deepening ◄─────────────┤                       │         ├─► Loading ─► Covering
//!               └─► Haves ◄─► Finding ─► Weighing           │         └─► Deepening
//!                    │ done (no-done: ready)                │              │
//!                    └────────────► Packing ◄───────────────┼──────────────┘
//!                                     │ pack_finished       │
//!                                     ▼                     │
//!                                   Ended ◄─ flush, end ────┘ the next request
//! ```
//!
//! `Telling` stands in front of whatever follows a long list: acknowledgements, wanted refs, borders, sizes.
//!
//! | input | state | output |
//! |---|---|---|
//! | – | start | versions 0 and 1: [`Action::ListRefs`]; version 2: the capabilities |
//! | `refs_listed` | Listing | the advertisement or the answer to `ls-refs`, written while the transport has room |
//! | want lines, flush; arguments, flush | Wanting, Arguments | [`Action::ListRefs`], [`Action::CheckReachable`] or [`Action::FindObjects`] where names and the policy ask |
//! | flush without a want, end of input | Wanting, Head | [`Action::Finished`] |
//! | shallow and deepen lines | Bordering, Deepening | [`Action::FindObjects`], [`Action::Deepen`]; then shallow and unshallow lines |
//! | have lines, flush | Haves, Arguments | [`Action::FindObjects`], [`Action::LoadCommits`], [`Action::CheckCovered`]; then ACK and NAK |
//! | `done` | Haves, Arguments | the final ACK or NAK or the sections of the answer, [`Action::BuildPack`] |
//! | `pack_chunk`, `progress` | Packing | sideband packets, or the pack as it is |
//! | silence of the driver | Packing | a keep-alive each [`Config::keep_alive`], in a sideband |
//! | `pack_finished` | Packing | flush; [`Action::Finished`] or the next request |
//! | anything wrong | any | `ERR` or band 3, [`Action::Failed`] |
//!
//! A [`Serving`] is a whole session, or one of the pieces in which stateless transports carry it.
//!
//! Limits: [`Config::max_wants`], [`Config::max_haves`], [`Config::max_rounds`], and those of every Git machine.
//! Rules: `spec/05-fetch.md` from FETCH-30, `spec/15-git-v2-server.md`, `spec/16-git-shallow.md`.

mod advertise;
mod answer;
mod border;
mod error;
mod face;
mod fetch_command;
mod filters;
mod flow;
mod greeting;
mod haves;
mod ls_refs;
mod negotiation;
mod object_info;
mod pack;
mod request;
mod serve;
mod tips;
mod verbs;
mod wants;

use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

use crate::Instant;
use crate::git::wire::{Core, Drive, Step, machine_face};
use crate::git::{ObjectId, Serving, SessionError, Version};
use crate::pkt::{self, Band, Packet};
use advertise::Advertising;
use answer::Telling;
pub use error::Error;
pub use face::{Action, Config, DeepenRequest, Outcome, Unborn, WantPolicy};
use fetch_command::Fetch;
pub use filters::{FilterKind, FilterPolicy, FilterRefusal};
use ls_refs::{LsRefs, Showing};
use negotiation::{Negotiation, Search, Stop};
use object_info::ObjectInfo;
use pack::Packing;
use request::{Command, Head};
use tips::{Names, Tips};
use wants::Wants;

/// The state, with what only it knows.
#[derive(Debug)]
enum State {
    /// [`Action::ListRefs`] or [`Action::ListRefsBelow`] is open.
    Listing(Listing),
    Advertising(Advertising),
    Wanting,
    /// Version 2: before a command.
    Head(Head),
    /// Version 2: behind a command.
    Arguments(Command),
    Showing(Showing),
    /// A part of an answer is being written.
    Telling(Telling),
    /// [`Action::CheckReachable`] is open for the objects of an `object-info` that are no tips.
    Judging(ObjectInfo),
    /// [`Action::ObjectSizes`] is open for these, sorted.
    Sizing(ObjectInfo, Vec<ObjectId>),
    /// [`Action::FindObjects`] is open for haves of version 2; whether more arguments follow.
    Looking {
        more: bool,
    },
    /// [`Action::CheckReachable`] is open; the id to refuse if the answer is no.
    Reaching(ObjectId),
    /// [`Action::FindObjects`] is open for these wants.
    Checking(Vec<ObjectId>),
    /// [`Action::FindObjects`] is open for the client's shallow commits.
    Bordering,
    /// [`Action::Deepen`] is open.
    Deepening,
    Haves,
    /// [`Action::FindObjects`] is open for haves of versions 0 and 1.
    Finding(Stop),
    /// [`Action::CheckCovered`] is open in versions 0 and 1.
    Weighing(Stop, Search),
    /// [`Action::LoadCommits`] is open.
    Loading,
    /// [`Action::CheckCovered`] is open in version 2.
    Covering,
    Packing(Packing),
    Ended,
}

/// What the refs are listed for.
#[derive(Debug)]
enum Listing {
    Advertisement,
    /// To judge the wants and to look names up; whether all of the refs were asked for.
    Wants {
        all: bool,
    },
    LsRefs(LsRefs),
    /// To judge which objects have a size.
    Sizes(ObjectInfo),
}

/// The upload-pack server. See the [module](self) for its states.
#[derive(Debug)]
pub struct Server {
    core: Core<Action, Error>,
    config: Config,
    state: State,
    /// What may be wanted without a question.
    tips: Tips,
    names: Names,
    /// Of versions 0 and 1, or of one request.
    wants: Wants,
    /// The rest of one request of version 2.
    fetch: Fetch,
    negotiation: Negotiation,
    /// What earlier requests came to.
    totals: Outcome,
    agent: Option<Bytes>,
    session_id: Option<Bytes>,
}

machine_face!(Server, Action, Error);

impl Server {
    /// A server at the start of a session, or of the piece of it that [`Config::serving`] names.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let core = Core::new(config.idle_timeout, now).with_keep_alive(config.keep_alive);
        let mut server = Self {
            core,
            config,
            state: State::Ended,
            tips: Tips::default(),
            names: Names::default(),
            wants: Wants::default(),
            fetch: Fetch::default(),
            negotiation: Negotiation::default(),
            totals: Outcome::default(),
            agent: None,
            session_id: None,
        };
        if let Err(error) = server.begin() {
            server.fail(error);
        }
        server
    }

    fn begin(&mut self) -> Result<(), Error> {
        match (self.config.spoken(), self.config.serving) {
            (Version::V2, Serving::Request) => self.state = State::Head(Head::default()),
            (Version::V2, serving) => {
                greeting::put(&self.config, &mut self.core.wire)?;
                if serving == Serving::Advertisement {
                    self.end();
                } else {
                    self.state = State::Head(Head::default());
                }
            }
            (Version::V0 | Version::V1, Serving::Request) => self.state = State::Wanting,
            (Version::V0 | Version::V1, Serving::Session | Serving::Advertisement) => {
                self.core.push(Action::ListRefs);
                self.state = State::Listing(Listing::Advertisement);
            }
        }
        Ok(())
    }

    /// What the client calls itself, raw (T18).
    #[must_use]
    pub const fn client_agent(&self) -> Option<&Bytes> {
        match &self.agent {
            Some(agent) => Some(agent),
            None => self.wants.agent.as_ref(),
        }
    }

    /// By what the client's logs know the session, raw (T18): told only where we told ours.
    #[must_use]
    pub const fn client_session_id(&self) -> Option<&Bytes> {
        match &self.session_id {
            Some(session_id) => Some(session_id),
            None => self.wants.session_id.as_ref(),
        }
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
            Packet::Flush if self.wants.ids.is_empty() => self.end(),
            Packet::Flush => self.told()?,
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
        let packet = match self.core.wire.packet(negotiation::EXPECTED) {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(Step::Wait),
            // A stateless client reads the shallow lines first and asks again.
            Err(SessionError::Ended { .. })
                if self.config.serving == Serving::Request && self.negotiation.haves.lines() == 0 =>
            {
                self.end();
                return Ok(Step::Again);
            }
            Err(error) => return Err(error.into()),
        };
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
                match self.config.serving {
                    Serving::Advertisement => self.end(),
                    Serving::Session | Serving::Request => self.state = State::Wanting,
                }
                Ok(Step::Again)
            }
            State::Showing(lines) => {
                if !lines.write(&mut self.core.wire)? {
                    return Ok(Step::Wait);
                }
                self.answered_request()?;
                Ok(Step::Again)
            }
            State::Telling(_) => match mem::replace(&mut self.state, State::Ended) {
                State::Telling(telling) => self.step_telling(telling),
                other => {
                    self.state = other;
                    Ok(Step::Wait)
                }
            },
            State::Wanting => self.step_wanting(),
            State::Haves => self.step_haves(),
            State::Head(_) => self.step_head(),
            State::Arguments(_) => self.step_arguments(),
            State::Listing(_)
            | State::Judging(_)
            | State::Sizing(..)
            | State::Looking { .. }
            | State::Reaching(_)
            | State::Checking(_)
            | State::Bordering
            | State::Deepening
            | State::Finding(_)
            | State::Weighing(..)
            | State::Loading
            | State::Covering
            | State::Packing(_)
            | State::Ended => Ok(Step::Wait),
        }
    }

    fn farewell(&mut self, error: &Error) {
        let state = mem::replace(&mut self.state, State::Ended);
        let words = error.words().unwrap_or_default().into_bytes();
        match state {
            State::Packing(packing) => packing.farewell(error, words, &mut self.core.wire),
            _ if words.is_empty() => {}
            _ if self.fetch.sideband_all => {
                self.core.wire.band(Band::Fatal, words.into(), pkt::MAX_BAND_DATA);
            }
            _ => {
                // The words are far shorter than a packet.
                let _ = pkt::put_packet(self.core.wire.turn(), &[b"ERR ", &words]);
            }
        }
    }

    fn failed(error: Error) -> Action {
        Action::Failed(error)
    }

    fn waits_for_driver(&self) -> bool {
        match self.state {
            State::Listing(_)
            | State::Judging(_)
            | State::Sizing(..)
            | State::Looking { .. }
            | State::Reaching(_)
            | State::Checking(_)
            | State::Bordering
            | State::Deepening
            | State::Finding(_)
            | State::Weighing(..)
            | State::Loading
            | State::Covering
            | State::Packing(_) => true,
            State::Advertising(_)
            | State::Showing(_)
            | State::Telling(_)
            | State::Wanting
            | State::Haves
            | State::Head(_)
            | State::Arguments(_)
            | State::Ended => false,
        }
    }

    fn keeps_alive(&self) -> bool {
        matches!(&self.state, State::Packing(packing) if packing.keeps_alive())
    }
}
