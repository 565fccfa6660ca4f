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
//! With [`Config::after_report`], `Reporting ──► Reported ── done ──► Over`. Of [`Serving::Advertisement`] the session is
//! over after `Showing`; with [`Serving::Request`] it begins at `Commands`.
//!
//! | input | state | output |
//! |---|---|---|
//! | `refs_listed` | Listing | the advertisement |
//! | command lines, flush | Commands | `ReceivePack`, or `UpdateRefs` when only deletions are asked |
//! | pack bytes, end of input | Storing | `Pack`, `PackEnd` |
//! | `pack_complete` | Storing | the peer is no longer waited for; keep-alives |
//! | `pack_stored` | Storing | `UpdateRefs` |
//! | `refs_updated`, `refs_rewritten` | Updating | the report, then `Reported` or `Finished` |
//! | `done` | Reported | `Finished` |
//! | `progress` | Storing, Updating, Reported | sideband 2 |
//! | silence of the driver | Complete, Updating, Reported | a keep-alive each [`Config::keep_alive`], in a sideband |
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
//!         Some(Action::FindPart(_)) => server.part_found(now, None)?, // nothing was kept of a broken push
//!         Some(Action::ReceivePack(_) | Action::Resumed { .. } | Action::Pack(_)) => {} // into `git index-pack --stdin --fix-thin`
//!         Some(Action::PackEnd) => server.pack_stored(now, Ok(()))?, // when that has ended well
//!         Some(Action::UpdateRefs(update)) => {
//!             // each compared and swapped, under one lock if `update.atomic`
//!             server.refs_updated(now, vec![Ok(()); update.commands.len()])?;
//!         }
//!         Some(Action::Reported) => server.done(now)?, // not asked unless configured
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

mod advertise;
mod answers;
mod face;

use alloc::boxed::Box;
use alloc::format;
use core::mem;

use bytes::Bytes;

use self::advertise::Showing;
pub use self::face::{Action, Config, Error, Outcome, Update};
use super::received::{Agreed, Batch, Status};
use super::status::StatusWriter;
use crate::Instant;
use crate::error::Blame;
use crate::git::resume::Head;
use crate::git::wire::{Core, Drive, Step, machine_face};
use crate::git::{Serving, SessionError, Version};
use crate::pkt::{Band, MAX_BAND_DATA, Packet};

#[derive(Debug)]
enum State {
    Start,
    Listing,
    Showing(Box<Showing>),
    Commands(Box<Batch>),
    Options(Box<Batch>),
    /// [`Action::FindPart`] is open.
    Finding(Box<Batch>),
    /// The client is to tell from where the pack comes; so many bytes of it are held.
    Starting(Box<Batch>, Head, u64),
    Storing(Box<Batch>),
    /// As `Storing`, and the whole pack has come: its trailer was seen, or the peer has closed its direction.
    Complete(Box<Batch>),
    /// So many results are due.
    Updating(Box<Batch>, usize),
    Reporting(Box<Batch>, StatusWriter),
    /// The driver has something left to do.
    Reported(Box<Batch>),
    /// That is done.
    Closing(Box<Batch>),
    Over,
}

/// What a client says before a pack that may go on from a part.
const START: &str = "from where the pack comes";

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

    fn start(&mut self) -> Result<(State, Step), Error> {
        if self.config.serving == Serving::Request {
            return Ok((State::Commands(Box::default()), Step::Again));
        }
        if self.config.version == Version::V1 {
            self.core.wire.line(&[b"version 1"])?;
        }
        self.core.push(Action::ListRefs);
        Ok((State::Listing, Step::Again))
    }

    fn show(&mut self, mut showing: Box<Showing>) -> Result<(State, Step), Error> {
        match showing.step(&self.config, &mut self.core.wire)? {
            Some(step) => Ok((State::Showing(showing), step)),
            None if self.config.serving == Serving::Advertisement => Ok(self.finish(&Batch::default())),
            None => Ok((State::Commands(Box::default()), Step::Again)),
        }
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
            Some(Packet::Flush) => {
                batch.seal(&self.config)?;
                if batch.received.is_empty() {
                    return Ok(self.finish(&batch));
                }
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

    fn ask_pack(&mut self, mut batch: Box<Batch>) -> State {
        batch.close();
        if !batch.has_pack() {
            return self.ask_update(batch);
        }
        let update = batch.update();
        if !batch.agreed.resumes {
            self.core.push(Action::ReceivePack(update));
            return State::Storing(batch);
        }
        self.core.push(Action::FindPart(update));
        State::Finding(batch)
    }

    /// From where the pack comes (RESUME-7).
    fn start_pack(&mut self, batch: Box<Batch>, mut head: Head, part: u64) -> Result<(State, Step), Error> {
        let Some(mut bytes) = self.core.wire.input.take_raw() else {
            self.core.wire.starved(START)?;
            return Ok((State::Starting(batch, head, part), Step::Wait));
        };
        let Some(offset) = head.take(&mut bytes)? else {
            return Ok((State::Starting(batch, head, part), Step::Again));
        };
        if offset != 0 && offset != part {
            return Err(Error::UnknownPart { offset });
        }
        self.core.push(Action::ReceivePack(batch.update()));
        if part > 0 {
            self.core.push(Action::Resumed { offset });
        }
        if !bytes.is_empty() {
            self.core.push(Action::Pack(bytes));
        }
        Ok((State::Storing(batch), Step::Again))
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
            None if self.config.after_report && batch.updated() > 0 => {
                self.core.push(Action::Reported);
                Ok((State::Reported(batch), Step::Again))
            }
            None => Ok(self.close(&batch)),
        }
    }

    /// The end of a session that had commands: that of the sideband, report or not (PUSH-15).
    fn close(&mut self, batch: &Batch) -> (State, Step) {
        if batch.agreed.sideband {
            self.core.wire.flush();
        }
        self.finish(batch)
    }

    fn finish(&mut self, batch: &Batch) -> (State, Step) {
        self.core.finish(Action::Finished(Outcome {
            commands: batch.received.len(),
            updated: batch.updated(),
            pack: batch.has_pack() && batch.unpack_error.is_none(),
            reported: batch.agreed.status != Status::None && !batch.received.is_empty(),
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
            State::Starting(batch, head, part) => self.start_pack(batch, head, part)?,
            State::Storing(batch) => self.store(batch),
            State::Reporting(batch, writer) => self.report(batch, writer)?,
            State::Closing(batch) => self.close(&batch),
            waits @ (State::Listing
            | State::Finding(_)
            | State::Complete(_)
            | State::Updating(..)
            | State::Reported(_)
            | State::Over) => (waits, Step::Wait),
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
            State::Listing
            | State::Finding(_)
            | State::Complete(_)
            | State::Updating(..)
            | State::Reported(_) => true,
            State::Start
            | State::Showing(_)
            | State::Commands(_)
            | State::Options(_)
            | State::Starting(..)
            | State::Storing(_)
            | State::Reporting(..)
            | State::Closing(_)
            | State::Over => false,
        }
    }

    fn keeps_alive(&self) -> bool {
        match &self.state {
            State::Complete(batch) | State::Updating(batch, _) | State::Reported(batch) => {
                batch.agreed.sideband
            }
            State::Start
            | State::Listing
            | State::Showing(_)
            | State::Commands(_)
            | State::Options(_)
            | State::Finding(_)
            | State::Starting(..)
            | State::Storing(_)
            | State::Reporting(..)
            | State::Closing(_)
            | State::Over => false,
        }
    }
}
