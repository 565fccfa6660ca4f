//! The fetch client: the asking end of `git-upload-pack`, protocol versions 0 and 1.
//!
//! ```text
//! Advertisement ─► Wanting ─► Holding ─► Talking ─► Hearing ─► Closing ─► Pack ─► Finished
//!      Advertised ──┘want       │held     ▲  commits   │ NAK      ▲ ACK/NAK  │
//!                     FindHeld ─┘         │LoadCommits │          │          └─► without a sideband: Raw
//!                               │         └────────────┤ ready    │
//!                               │                      ├─ done ───┘
//!                               └ nothing to fetch:    └─ no-done: Granted ─► Pack
//!                                 flush, Finished
//! ```
//!
//! | state | input | what comes out, next state |
//! |---|---|---|
//! | Advertisement | the lines up to the flush | `Advertised`; Wanting |
//! | Wanting | [`Client::want`] | `FindHeld`; Holding. Nothing: a flush, `Finished` |
//! | Holding | [`Client::held`] | Talking. Everything held: a flush, `Finished` |
//! | Talking | [`Client::commits`] | one write: wants (once), haves, flush or `done`; Hearing or Closing |
//! | Hearing | `ACK` lines, `NAK` | Talking; once the server is ready `done` and Closing, or Granted |
//! | Granted | `ACK` | the pack |
//! | Closing | `ACK` lines, the last `ACK` or `NAK` | the pack |
//! | Pack, Raw | sideband packets; bytes | `Pack`, `Progress`; at its end `Finished` |
//!
//! One round is in flight at a time. Git keeps a second one ahead; here a round is as large as those two together
//! (64 haves at the most), so as much is in flight, the pipes are as safe, every have is chosen knowing all
//! answers, and there are half as many rounds. When nothing is left to ask, `done` goes out with the last haves.
//!
//! Version 2 has other states between Advertisement and Pack; until they are here a server that answers in it
//! is refused.
//!
//! ```
//! use bytes::Bytes;
//! use portline::Instant;
//! use portline::git::fetch::client::{Action, Client, Config};
//!
//! // What the server says, in any split. A real driver has a socket and a clock.
//! let mut incoming = [&b"004b59718b6e26b96150c7dd3435f053958592fc24f1 refs/heads/ma"[..], b"in\0side-band-64k\n0000"].into_iter();
//! let (now, mut sent) = (Instant::ZERO, Vec::new());
//! let mut client = Client::new(Config::default(), now);
//! let outcome = loop {
//!     while let Some(transmit) = client.poll_transmit() {
//!         sent.extend_from_slice(&transmit.into_bytes()); // as long as the transport has room
//!     }
//!     match client.poll_action() {
//!         Some(Action::Advertised(seen)) => {
//!             let wants = seen.refs.iter().map(|one| one.id).collect();
//!             client.want(now, wants, Vec::new())?;
//!         }
//!         Some(Action::FindHeld(ids)) => client.held(now, ids)?, // here, all of them are there already
//!         Some(Action::LoadCommits(_)) => client.commits(now, Vec::new())?, // out of the object database
//!         Some(Action::Progress(text)) => print!("{}", portline::Printable(&text)),
//!         Some(Action::Pack(_)) => {} // into `git index-pack --stdin --fix-thin`
//!         Some(Action::Finished(outcome)) => break outcome,
//!         Some(Action::Failed(error)) => return Err(error.into()),
//!         // Nothing to do: read if `wants_input`, wait until `poll_timeout` at the latest.
//!         None => match incoming.next() {
//!             Some(bytes) => client.handle_bytes(now, Bytes::from_static(bytes))?,
//!             None => client.handle_closed(now)?,
//!         },
//!     }
//! };
//! assert!(!outcome.pack && sent == b"0000");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Limits: [`Config::max_haves`], [`Config::max_rounds`], those of the advertisement, one answer line for each
//! have. Rules: `spec/05-fetch.md`.

mod answer;
mod config;
mod pack;
mod talk;
mod terms;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

pub use self::config::Config;
use self::pack::Pack;
use self::talk::Talk;
use self::terms::Terms;
use super::negotiator::{Algorithm, Negotiator};
use crate::error::Blame;
use crate::git::wire::{Core, Drive, Step, machine_face};
use crate::git::{
    Advertisement, AdvertisementError, AdvertisementParser, Capabilities, CapabilityError, Commit, Misuse,
    ObjectId, RequestError, SessionError,
};
use crate::time::Instant;
use crate::{limits, pkt};

/// What happened, or what the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// What the server has. Answer: [`Client::want`].
    Advertised(Advertisement),
    /// Which of these objects does the repository hold, with everything they reach? Answer: [`Client::held`].
    FindHeld(Vec<ObjectId>),
    /// Read these commits. Answer: [`Client::commits`]. No id is asked for twice.
    LoadCommits(Vec<ObjectId>),
    /// The server's progress: raw bytes, any part of a line, perhaps with terminal escapes (T18).
    Progress(Bytes),
    /// The next bytes of the pack, a slice of the input. The driver checks the pack's trailer.
    Pack(Bytes),
    /// The fetch is done. Terminal.
    Finished(Outcome),
    /// The fetch has failed. Terminal.
    Failed(Error),
}

/// What a fetch has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether a pack came. `false`: everything was held already.
    pub pack: bool,
    /// Rounds of negotiation: writes that held haves.
    pub rounds: usize,
    /// Haves sent.
    pub haves: usize,
    /// Wants sent.
    pub wants: usize,
    /// Commits sent as haves that the server said it has too. Without `multi_ack_detailed` it says so of one
    /// only, because `continue` may also mean that it has heard enough.
    pub common: Vec<ObjectId>,
}

/// What ended a fetch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// As in every Git session.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The advertisement cannot be taken.
    #[error(transparent)]
    Advertisement(#[from] AdvertisementError),
    /// [`Config::request`] cannot be sent.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// [`Config::agent`] cannot be sent (T17).
    #[error("the agent cannot be sent: {0}")]
    Agent(CapabilityError),
    /// The server acknowledged a commit that was never sent.
    #[error("the server acknowledged {id}, which was never sent to it")]
    UnknownAck {
        /// The commit.
        id: ObjectId,
    },
    /// The server said that it is ready although it has found nothing in common.
    #[error("the server is ready before it has anything in common")]
    ReadyWithoutCommon,
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Session(error) => error.blame(),
            Self::Advertisement(_) | Self::UnknownAck { .. } | Self::ReadyWithoutCommon => Blame::Peer,
            Self::Request(_) | Self::Agent(_) => Blame::Caller,
        }
    }
}

impl From<pkt::Error> for Error {
    fn from(error: pkt::Error) -> Self {
        SessionError::from(error).into()
    }
}

/// What the advertisement leaves behind for the rest of the session.
#[derive(Debug)]
struct Offer {
    terms: Terms,
    capabilities: Capabilities,
    /// Every object that the server has shown to have, sorted.
    ids: Vec<ObjectId>,
}

/// A question to the driver: which of `asked` are held?
#[derive(Debug)]
struct Inquiry {
    offer: Offer,
    wants: Vec<ObjectId>,
    tips: Vec<ObjectId>,
    /// Sorted.
    asked: Vec<ObjectId>,
}

#[derive(Debug)]
enum State {
    Advertisement(Box<AdvertisementParser>),
    Wanting(Box<Offer>),
    Holding(Box<Inquiry>),
    Talking(Box<Talk>),
    Hearing(Box<Talk>),
    Granted(Box<Talk>),
    Closing(Box<Talk>),
    Pack(Box<Pack>),
    Raw(Box<Pack>),
    Ended,
}

/// The fetch client. See the module.
#[derive(Debug)]
pub struct Client {
    core: Core<Action, Error>,
    config: Config,
    state: State,
}

machine_face!(Client, Action, Error);

impl Client {
    /// A client at the start of a connection. A request that cannot be sent fails it at once.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let core = Core::new(config.idle_timeout, now);
        let parser = Box::new(AdvertisementParser::new());
        let mut this = Self { core, config, state: State::Advertisement(parser) };
        let turn = this.core.wire.turn();
        if let Some(Err(error)) = this.config.request.as_ref().map(|request| request.encode(turn)) {
            this.fail(error.into());
        }
        this
    }

    /// What is asked for, while it may still change: until [`Client::want`] answers the advertisement. A driver may
    /// learn only then what its user wants, as a remote helper does. The request has gone by then, and later
    /// changes do nothing.
    pub const fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Answers [`Action::Advertised`]: fetch `wants`, mostly ids of advertised refs; `tips` are what the
    /// repository's own refs point to. Repeated ids count once. With no wants the session ends well.
    ///
    /// # Errors
    /// [`Misuse`]: not the time for it; an id that is null or of another format than the server's; more wants
    /// than [`limits::WANTS`].
    pub fn want(&mut self, now: Instant, wants: Vec<ObjectId>, tips: Vec<ObjectId>) -> Result<(), Misuse> {
        const VERB: &str = "want";
        self.core.running(VERB)?;
        let State::Wanting(offer) = &self.state else { return Err(Misuse::NotAsked { verb: VERB }) };
        let format = offer.terms.format;
        let refuse = |reason| Err(Misuse::Argument { verb: VERB, reason });
        if wants.len() > limits::WANTS {
            return refuse("more wants than the limit");
        }
        if wants.iter().chain(&tips).any(|id| id.format() != format) {
            return refuse("an id is of another object format than the server's");
        }
        if wants.iter().any(ObjectId::is_null) {
            return refuse("the null id names no object");
        }
        if let State::Wanting(offer) = mem::replace(&mut self.state, State::Ended) {
            let wants = unique(wants);
            if wants.is_empty() {
                self.finish_without_pack();
            } else {
                self.inquire(*offer, wants, tips);
            }
        }
        self.answered(now);
        Ok(())
    }

    /// Answers [`Action::FindHeld`] with those of its ids that the repository holds, each with everything it
    /// reaches. Other ids are passed over.
    ///
    /// # Errors
    /// [`Misuse`]: not the time for it.
    pub fn held(&mut self, now: Instant, held: Vec<ObjectId>) -> Result<(), Misuse> {
        const VERB: &str = "held";
        self.core.running(VERB)?;
        match mem::replace(&mut self.state, State::Ended) {
            State::Holding(inquiry) => self.take_held(*inquiry, held),
            state => {
                self.state = state;
                return Err(Misuse::NotAsked { verb: VERB });
            }
        }
        self.answered(now);
        Ok(())
    }

    /// Answers [`Action::LoadCommits`]. What is absent or not a commit is left out; further commits may be told
    /// and save later questions.
    ///
    /// # Errors
    /// [`Misuse`]: not the time for it.
    pub fn commits(&mut self, now: Instant, commits: Vec<Commit>) -> Result<(), Misuse> {
        self.core.running("commits")?;
        match &mut self.state {
            State::Talking(talk) => talk.negotiator.commits(commits)?,
            State::Advertisement(_)
            | State::Wanting(_)
            | State::Holding(_)
            | State::Hearing(_)
            | State::Granted(_)
            | State::Closing(_)
            | State::Pack(_)
            | State::Raw(_)
            | State::Ended => return Err(Misuse::NotAsked { verb: "commits" }),
        }
        self.answered(now);
        Ok(())
    }

    /// Without a sideband: the driver has seen the trailer of the pack, so this is its end. The end of the input
    /// says the same.
    ///
    /// # Errors
    /// [`Misuse`]: no pack is coming, or its end is told by the sideband.
    pub fn pack_complete(&mut self, now: Instant) -> Result<(), Misuse> {
        const VERB: &str = "pack_complete";
        self.core.running(VERB)?;
        match mem::replace(&mut self.state, State::Ended) {
            State::Raw(pack) => self.core.finish(Action::Finished(pack.outcome)),
            state => {
                self.state = state;
                return Err(Misuse::NotAsked { verb: VERB });
            }
        }
        self.answered(now);
        Ok(())
    }

    fn inquire(&mut self, offer: Offer, wants: Vec<ObjectId>, tips: Vec<ObjectId>) {
        let mut asked = wants.clone();
        if self.config.algorithm != Algorithm::Noop {
            asked.extend_from_slice(&offer.ids);
        }
        asked.sort_unstable();
        asked.dedup();
        self.core.push(Action::FindHeld(asked.clone()));
        self.state = State::Holding(Box::new(Inquiry { offer, wants, tips, asked }));
    }

    fn take_held(&mut self, inquiry: Inquiry, mut held: Vec<ObjectId>) {
        let Inquiry { offer, mut wants, tips, asked } = inquiry;
        held.retain(|id| asked.binary_search(id).is_ok());
        held.sort_unstable();
        wants.retain(|id| held.binary_search(id).is_err());
        if wants.is_empty() {
            self.finish_without_pack();
            return;
        }
        let advertised = held.into_iter().filter(|id| offer.ids.binary_search(id).is_ok());
        let negotiator = Negotiator::new(self.config.algorithm, advertised, tips)
            .with_limits(self.config.max_haves, self.config.max_rounds);
        let talk = Talk::new(offer.terms, offer.capabilities, wants, negotiator);
        self.state = State::Talking(Box::new(talk));
    }

    /// Tells the server that nothing is wanted (FETCH-6).
    fn finish_without_pack(&mut self) {
        self.core.wire.flush();
        self.core.finish(Action::Finished(Outcome::default()));
    }

    fn read_advertisement(&mut self, mut parser: Box<AdvertisementParser>) -> Result<(State, Step), Error> {
        let Some(packet) = self.core.wire.packet("the ref advertisement")? else {
            return Ok((State::Advertisement(parser), Step::Wait));
        };
        let Some(seen) = parser.handle_packet(packet)? else {
            return Ok((State::Advertisement(parser), Step::Again));
        };
        let (terms, capabilities) = terms::agree(&self.config, &seen)?;
        let refs = seen.refs.iter().flat_map(|entry| core::iter::once(entry.id).chain(entry.peeled));
        let mut ids: Vec<ObjectId> = refs.chain(seen.haves.iter().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        self.core.push(Action::Advertised(seen));
        Ok((State::Wanting(Box::new(Offer { terms, capabilities, ids })), Step::Again))
    }
}

impl Drive for Client {
    type Action = Action;
    type Error = Error;

    fn core(&mut self) -> &mut Core<Action, Error> {
        &mut self.core
    }

    fn step(&mut self) -> Result<Step, Error> {
        let (state, step) = match mem::replace(&mut self.state, State::Ended) {
            State::Advertisement(parser) => self.read_advertisement(parser)?,
            state @ (State::Wanting(_) | State::Holding(_) | State::Ended) => (state, Step::Wait),
            State::Talking(talk) => self.talk(talk)?,
            State::Hearing(talk) => self.hear(talk)?,
            State::Granted(talk) => self.hear_grant(talk)?,
            State::Closing(talk) => self.hear_last(talk)?,
            State::Pack(pack) => self.read_pack(pack)?,
            State::Raw(pack) => self.read_raw(pack)?,
        };
        self.state = state;
        Ok(step)
    }

    /// The client's side of the protocol has no words for an error: closing the connection says it.
    fn farewell(&mut self, _error: &Error) {}

    fn failed(error: Error) -> Action {
        Action::Failed(error)
    }

    fn waits_for_driver(&self) -> bool {
        match self.state {
            State::Wanting(_) | State::Holding(_) | State::Talking(_) => true,
            State::Advertisement(_)
            | State::Hearing(_)
            | State::Granted(_)
            | State::Closing(_)
            | State::Pack(_)
            | State::Raw(_)
            | State::Ended => false,
        }
    }
}

/// The ids without repetitions, in their order.
fn unique(ids: Vec<ObjectId>) -> Vec<ObjectId> {
    let mut seen = BTreeSet::new();
    ids.into_iter().filter(|id| seen.insert(*id)).collect()
}
