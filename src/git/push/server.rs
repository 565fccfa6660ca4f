//! The server of a push: `git receive-pack`.
//!
//! ```text
//!          refs_listed            flush              flush
//! Listing ────────────► Showing ───────► Commands ─────────► Options (if agreed)
//!                                           │ flush only, or the end: Over    │
//!                         something is created or updated?  ◄─────────────────┘
//!                            │ yes                     │ no
//!                            ▼      pack_stored        ▼      refs_updated
//!                         Storing ──────────────► Updating ───────────────► Reporting ──► Over
//!                            └──────────── pack_stored(Err) ───────────────────▲
//! ```
//!
//! | input | state | output |
//! |---|---|---|
//! | `refs_listed` | Listing | the advertisement |
//! | command lines, flush | Commands | `ReceivePack`, or `UpdateRefs` when only deletions are asked |
//! | pack bytes, end of input | Storing | `Pack`, `PackEnd` |
//! | `pack_complete` | Storing | the peer is no longer waited for; keep-alives |
//! | `pack_stored` | Storing | `UpdateRefs` |
//! | `refs_updated` | Updating | the report, `Finished` |
//! | `progress` | Storing, Updating | sideband 2 |
//! | silence of the driver | Complete, Updating | a keep-alive each [`Config::keep_alive`], in a sideband |
//!
//! The machine refuses by itself what needs no repository: names that are none, hidden refs, deletions where they
//! are not allowed, a ref that is named twice, and all of an atomic push if one command is refused. Everything
//! else is the driver's: [`Update`] says what it owes.
//!
//! Where a pack ends stands in the pack (its trailer), and real clients keep their direction open until they have
//! the report: the driver's index-pack sees the end and the driver answers `pack_stored`. Input past that is not
//! read. After the end a transport should go on reading and dropping until the peer closes, so that a client that
//! is still writing a refused pack gets to read its report.
//!
//! ```
//! use bytes::Bytes;
//! use portline::Instant;
//! use portline::git::push::server::{Action, Config, Server};
//! use portline::git::{Ref, RefName};
//!
//! let id = "59718b6e26b96150c7dd3435f053958592fc24f1";
//! // A client that deletes a branch. A real driver has a socket and a clock.
//! let line = format!("0072{id} {} refs/heads/old\0report-status0000", "0".repeat(40));
//! let mut incoming = [Bytes::from(line)].into_iter();
//! let (now, mut sent) = (Instant::ZERO, Vec::new());
//! let mut server = Server::new(Config::default(), now);
//! let outcome = loop {
//!     while let Some(transmit) = server.poll_transmit() {
//!         sent.extend_from_slice(&transmit.into_bytes()); // as long as the transport has room
//!     }
//!     match server.poll_action() {
//!         Some(Action::ListRefs) => {
//!             let old = Ref::new(RefName::new("refs/heads/old")?, id.parse()?);
//!             server.refs_listed(now, vec![old], Vec::new())?;
//!         }
//!         Some(Action::ReceivePack(_) | Action::Pack(_)) => {} // into `git index-pack --stdin --fix-thin`
//!         Some(Action::PackEnd) => server.pack_stored(now, Ok(()))?, // when that has ended well
//!         Some(Action::UpdateRefs(update)) => {
//!             // each compared and swapped, under one lock if `update.atomic`
//!             server.refs_updated(now, vec![Ok(()); update.commands.len()])?;
//!         }
//!         Some(Action::Finished(outcome)) => break outcome,
//!         Some(Action::Failed(error)) => return Err(error.into()),
//!         // Nothing to do: read if `wants_input`, wait until `poll_timeout` at the latest.
//!         None => match incoming.next() {
//!             Some(bytes) => server.handle_bytes(now, bytes)?,
//!             None => server.handle_closed(now)?,
//!         },
//!     }
//! };
//! assert_eq!((outcome.commands, outcome.updated), (1, 1));
//! assert!(sent.ends_with(b"000eunpack ok\n0016ok refs/heads/old\n0000"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Limits: [`Config::max_commands`], [`Config::max_push_options`], [`REPORT`](crate::limits::REPORT) bytes of command
//! lines, [`SHALLOW`](crate::limits::SHALLOW) lines, [`GIT_INPUT`](crate::limits::GIT_INPUT) (one chunk of pack at a
//! time waits for the driver, the rest counts as input). Rules: `spec/06-push.md`.

mod face;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::{self, Vec};
use core::mem;

use bytes::Bytes;

pub use face::{Action, Config, Error, Outcome, Update};

use super::received::{Agreed, Batch};
use super::status::StatusWriter;
use crate::Instant;
use crate::error::Blame;
use crate::git::advertisement::{put_no_refs, put_ref};
use crate::git::wire::{Core, Drive, Step, machine_face};
use crate::git::{Capabilities, CapabilityError, Misuse, ObjectId, Ref, SessionError, Version};
use crate::pkt::{Band, MAX_BAND_DATA, Packet};

/// The advertisement that is being written.
#[derive(Debug)]
struct Showing {
    refs: vec::IntoIter<Ref>,
    haves: vec::IntoIter<ObjectId>,
    /// Until the first line has carried them.
    capabilities: Option<Capabilities>,
}

#[derive(Debug)]
enum State {
    Start,
    Listing,
    Showing(Box<Showing>),
    Commands(Box<Batch>),
    Options(Box<Batch>),
    Storing(Box<Batch>),
    /// As `Storing`, and the whole pack has come: its trailer was seen, or the peer has closed its direction.
    Complete(Box<Batch>),
    /// So many results are due.
    Updating(Box<Batch>, usize),
    Reporting(Box<Batch>, StatusWriter),
    Over,
}

/// The server of one push. See the [module](self).
#[derive(Debug)]
pub struct Server {
    core: Core<Action, Error>,
    config: Config,
    state: State,
    /// What the farewell may use.
    agreed: Agreed,
}

machine_face!(Server, Action, Error);

impl Server {
    /// A server at the start of a session; its request line, if any, has been read.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let core = Core::new(config.idle_timeout, now).with_keep_alive(config.keep_alive);
        let mut this = Self { core, config, state: State::Start, agreed: Agreed::default() };
        this.advance();
        this
    }

    /// Answers [`Action::ListRefs`]: the refs sorted by name, hidden ones included (the machine leaves them out,
    /// and `HEAD`), and further objects that the repository has through its alternates.
    ///
    /// # Errors
    /// [`Misuse`]: not asked, or an id of another object format.
    pub fn refs_listed(
        &mut self,
        now: Instant,
        mut refs: Vec<Ref>,
        mut haves: Vec<ObjectId>,
    ) -> Result<(), Misuse> {
        const VERB: &str = "refs_listed";
        self.core.running(VERB)?;
        let State::Listing = self.state else { return Err(Misuse::NotAsked { verb: VERB }) };
        let format = self.config.format;
        if refs.iter().map(|entry| entry.id).chain(haves.iter().copied()).any(|id| id.format() != format) {
            let reason = "an object id is not of the repository's object format";
            return Err(Misuse::Argument { verb: VERB, reason });
        }
        refs.retain(|entry| !entry.name.is_head() && !self.config.hidden.hides(&entry.name));
        if !haves.is_empty() {
            let mut shown: BTreeSet<ObjectId> = refs.iter().map(|entry| entry.id).collect();
            haves.retain(|id| shown.insert(*id));
        }
        match capabilities(&self.config) {
            Ok(list) => {
                let (refs, haves) = (refs.into_iter(), haves.into_iter());
                self.state = State::Showing(Box::new(Showing { refs, haves, capabilities: Some(list) }));
            }
            Err(error) => self.fail(error.into()),
        }
        self.answered(now);
        Ok(())
    }

    /// Answers [`Action::ReceivePack`]: the pack is stored and checked, its trailer included, or why it is not.
    /// Allowed from the question on, while the pack still comes; the rest is then not read.
    ///
    /// # Errors
    /// [`Misuse`] when no pack is being received.
    pub fn pack_stored(&mut self, now: Instant, result: Result<(), Bytes>) -> Result<(), Misuse> {
        const VERB: &str = "pack_stored";
        self.core.running(VERB)?;
        match mem::replace(&mut self.state, State::Over) {
            State::Storing(mut batch) | State::Complete(mut batch) => match result {
                Ok(()) => self.state = self.ask_update(batch),
                Err(reason) => {
                    batch.unpack_failed(&reason);
                    self.state = State::Reporting(batch, StatusWriter::default());
                }
            },
            other => {
                self.state = other;
                return Err(Misuse::NotAsked { verb: VERB });
            }
        }
        self.answered(now);
        Ok(())
    }

    /// The driver has seen the trailer of the pack and works on it (`index-pack --report-end-of-input` tells): from
    /// here on nothing is awaited of the peer, which is told by keep-alives that work goes on. The end of the input
    /// says the same by itself ([`Action::PackEnd`]).
    ///
    /// # Errors
    /// [`Misuse`] when no pack is being received.
    pub fn pack_complete(&mut self, now: Instant) -> Result<(), Misuse> {
        const VERB: &str = "pack_complete";
        self.core.running(VERB)?;
        match mem::replace(&mut self.state, State::Over) {
            State::Storing(batch) | State::Complete(batch) => self.state = State::Complete(batch),
            other => {
                self.state = other;
                return Err(Misuse::NotAsked { verb: VERB });
            }
        }
        self.answered(now);
        Ok(())
    }

    /// Answers [`Action::UpdateRefs`]: one result for each of its commands, in their order; the reason of a refusal
    /// goes to the client. Of an atomic push that has any error nothing was done: its other refs are reported as
    /// `atomic push failure`.
    ///
    /// # Errors
    /// [`Misuse`]: not asked, or another number of results. The question stays open.
    pub fn refs_updated(&mut self, now: Instant, results: Vec<Result<(), Bytes>>) -> Result<(), Misuse> {
        const VERB: &str = "refs_updated";
        self.core.running(VERB)?;
        match mem::replace(&mut self.state, State::Over) {
            State::Updating(mut batch, due) if due == results.len() => {
                batch.settle(results);
                self.state = State::Reporting(batch, StatusWriter::default());
            }
            other => {
                let asked = matches!(other, State::Updating(..));
                self.state = other;
                return Err(match asked {
                    true => Misuse::Argument { verb: VERB, reason: "not one result for each command" },
                    false => Misuse::NotAsked { verb: VERB },
                });
            }
        }
        self.answered(now);
        Ok(())
    }

    /// Something for the user, such as a hook's output. It goes out on sideband 2 between the commands and the
    /// report; without a sideband there is no place for it, and it is dropped.
    ///
    /// # Errors
    /// [`Misuse::Ended`].
    pub fn progress(&mut self, now: Instant, bytes: Bytes) -> Result<(), Misuse> {
        self.core.running("progress")?;
        let has_place = match &self.state {
            State::Storing(batch) | State::Complete(batch) | State::Updating(batch, _) => {
                batch.agreed.sideband
            }
            State::Start
            | State::Listing
            | State::Showing(_)
            | State::Commands(_)
            | State::Options(_)
            | State::Reporting(..)
            | State::Over => false,
        };
        if has_place {
            self.core.wire.band(Band::Progress, bytes, MAX_BAND_DATA);
        }
        self.answered(now);
        Ok(())
    }

    fn start(&mut self) -> Result<(State, Step), Error> {
        if self.config.version == Version::V1 {
            self.core.wire.line(&[b"version 1"])?;
        }
        self.core.push(Action::ListRefs);
        Ok((State::Listing, Step::Again))
    }

    fn show(&mut self, mut showing: Box<Showing>) -> Result<(State, Step), Error> {
        let wire = &mut self.core.wire;
        if !wire.has_room() {
            return Ok((State::Showing(showing), Step::Wait));
        }
        if let Some(mut entry) = showing.refs.next() {
            // Receive-pack shows no peeled tags: a client that pushes has no use for them.
            entry.peeled = None;
            put_ref(wire.turn(), &entry, showing.capabilities.take().as_ref()).map_err(SessionError::from)?;
        } else if let Some(id) = showing.haves.next() {
            let hex = id.to_hex();
            match showing.capabilities.take() {
                Some(list) => wire.line(&[hex.as_bytes(), b" .have\0", &list.to_line()])?,
                None => wire.line(&[hex.as_bytes(), b" .have"])?,
            }
        } else if let Some(list) = showing.capabilities.take() {
            put_no_refs(wire.turn(), self.config.format, &list).map_err(SessionError::from)?;
        } else {
            wire.flush();
            return Ok((State::Commands(Box::default()), Step::Again));
        }
        Ok((State::Showing(showing), Step::Again))
    }

    fn read_command(&mut self, mut batch: Box<Batch>) -> Result<(State, Step), Error> {
        let wire = &mut self.core.wire;
        if wire.is_closed() && wire.input.is_empty() && batch.is_fresh() {
            return Ok(self.finish(&batch));
        }
        match wire.packet("push commands or a flush")? {
            None => Ok((State::Commands(batch), Step::Wait)),
            Some(Packet::Data(line)) => {
                let result = batch.take(&line, &self.config);
                self.agreed = batch.agreed;
                result.map(|()| (State::Commands(batch), Step::Again))
            }
            Some(Packet::Flush) if batch.received.is_empty() => Ok(self.finish(&batch)),
            Some(Packet::Flush) => {
                batch.seal();
                let next = if batch.agreed.options { State::Options(batch) } else { self.ask_pack(batch) };
                Ok((next, Step::Again))
            }
            Some(other @ (Packet::Delim | Packet::ResponseEnd)) => {
                Err(SessionError::unexpected("push commands or a flush", &other).into())
            }
        }
    }

    fn read_option(&mut self, mut batch: Box<Batch>) -> Result<(State, Step), Error> {
        match self.core.wire.packet("push options or a flush")? {
            None => Ok((State::Options(batch), Step::Wait)),
            Some(Packet::Data(line)) => {
                batch.take_option(&line, &self.config)?;
                Ok((State::Options(batch), Step::Again))
            }
            Some(Packet::Flush) => Ok((self.ask_pack(batch), Step::Again)),
            Some(other @ (Packet::Delim | Packet::ResponseEnd)) => {
                Err(SessionError::unexpected("push options or a flush", &other).into())
            }
        }
    }

    fn ask_pack(&mut self, batch: Box<Batch>) -> State {
        if !batch.has_pack() {
            return self.ask_update(batch);
        }
        self.core.push(Action::ReceivePack(batch.update()));
        State::Storing(batch)
    }

    fn ask_update(&mut self, batch: Box<Batch>) -> State {
        let update = batch.update();
        let due = update.commands.len();
        if due == 0 {
            return State::Reporting(batch, StatusWriter::default());
        }
        self.core.push(Action::UpdateRefs(update));
        State::Updating(batch, due)
    }

    /// Hands on one chunk at a time, so that a driver that does not keep up stops the peer.
    fn store(&mut self, batch: Box<Batch>) -> (State, Step) {
        if self.core.has_actions() {
            return (State::Storing(batch), Step::Wait);
        }
        match self.core.wire.input.take_raw() {
            Some(bytes) => {
                self.core.push(Action::Pack(bytes));
                (State::Storing(batch), Step::Again)
            }
            None if self.core.wire.is_closed() => {
                self.core.push(Action::PackEnd);
                (State::Complete(batch), Step::Again)
            }
            None => (State::Storing(batch), Step::Wait),
        }
    }

    fn report(&mut self, batch: Box<Batch>, mut writer: StatusWriter) -> Result<(State, Step), Error> {
        match writer.step(&mut self.core.wire, &batch)? {
            Some(step) => Ok((State::Reporting(batch, writer), step)),
            None => Ok(self.finish(&batch)),
        }
    }

    fn finish(&mut self, batch: &Batch) -> (State, Step) {
        self.core.finish(Action::Finished(Outcome {
            commands: batch.received.len(),
            updated: batch.received.iter().filter(|one| one.refused.is_none()).count(),
            pack: batch.has_pack() && batch.unpack_error.is_none(),
            reported: batch.agreed.status && !batch.received.is_empty(),
        }));
        (State::Over, Step::Again)
    }
}

impl Drive for Server {
    type Action = Action;
    type Error = Error;

    fn core(&mut self) -> &mut Core<Action, Error> {
        &mut self.core
    }

    fn step(&mut self) -> Result<Step, Error> {
        let (state, step) = match mem::replace(&mut self.state, State::Over) {
            State::Start => self.start()?,
            State::Showing(showing) => self.show(showing)?,
            State::Commands(batch) => self.read_command(batch)?,
            State::Options(batch) => self.read_option(batch)?,
            State::Storing(batch) => self.store(batch),
            State::Reporting(batch, writer) => self.report(batch, writer)?,
            waits @ (State::Listing | State::Complete(_) | State::Updating(..) | State::Over) => {
                (waits, Step::Wait)
            }
        };
        self.state = state;
        Ok(step)
    }

    /// Real Git says these words to its own user only; clients understand them as a packet, so they are sent.
    fn farewell(&mut self, error: &Error) {
        if error.blame() != Blame::Peer || matches!(error, Error::Session(SessionError::Remote { .. })) {
            return;
        }
        let words = format!("{error}");
        let wire = &mut self.core.wire;
        if self.agreed.sideband {
            wire.band(Band::Fatal, Bytes::from(format!("{words}\n")), MAX_BAND_DATA);
        } else {
            // Its length is bounded by the excerpts it is made of: it always fits.
            let _ = wire.line(&[b"ERR ", words.as_bytes()]);
        }
    }

    fn failed(error: Error) -> Action {
        Action::Failed(error)
    }

    fn waits_for_driver(&self) -> bool {
        match self.state {
            State::Listing | State::Complete(_) | State::Updating(..) => true,
            State::Start
            | State::Showing(_)
            | State::Commands(_)
            | State::Options(_)
            | State::Storing(_)
            | State::Reporting(..)
            | State::Over => false,
        }
    }

    fn keeps_alive(&self) -> bool {
        match &self.state {
            State::Complete(batch) | State::Updating(batch, _) => batch.agreed.sideband,
            State::Start
            | State::Listing
            | State::Showing(_)
            | State::Commands(_)
            | State::Options(_)
            | State::Storing(_)
            | State::Reporting(..)
            | State::Over => false,
        }
    }
}

/// In Git's order (PUSH-8).
fn capabilities(config: &Config) -> Result<Capabilities, CapabilityError> {
    let mut list = Capabilities::new();
    let offers = [
        (true, "report-status"),
        (true, "report-status-v2"),
        (config.delete_refs, "delete-refs"),
        (true, "side-band-64k"),
        (true, "quiet"),
        (config.atomic, "atomic"),
        (config.ofs_delta, "ofs-delta"),
        (config.push_options, "push-options"),
    ];
    for (_, capability) in offers.into_iter().filter(|(offered, _)| *offered) {
        list.push(capability);
    }
    list.push_value("object-format", config.format.name().as_bytes())?;
    if let Some(agent) = &config.agent {
        list.push_value("agent", agent)?;
    }
    Ok(list)
}
