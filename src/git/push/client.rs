//! The client of a push: `git send-pack`'s end.
//!
//! ```text
//!           ┌─────────┐ flush  ┌────────┐ push(commands) ┌──────────┐ report's flush ┌──────┐
//! request ─►│ Reading ├───────►│ Choice ├───────────────►│ Exchange ├───────────────►│ Over │
//!           └─────────┘        └───┬────┘                └──────────┘                └──────┘
//!                                  └─ push(nothing): flush ─────────────────────────────▲
//! ```
//!
//! | input | state | output |
//! |---|---|---|
//! | refs, `.have`, flush | Reading | `Advertised` |
//! | `push` | Choice | commands, flush, push options, flush; `BuildPack` if something is created or updated |
//! | `pack_chunk`, `pack_finished` | Exchange | the pack, raw |
//! | sideband 2 | Exchange | `Progress` |
//! | the report | Exchange | `Finished(Report)` |
//!
//! The answer is read while the pack is still being written: a server that fails early is heard, and no more pack
//! is asked for then. Success needs a complete report (T21): [`Report::is_success`].
//!
//! Limits: [`limits::ADVERTISEMENT`], [`limits::REPORT`], [`limits::PUSH_OPTIONS`], [`limits::GIT_INPUT`],
//! [`limits::GIT_OUTPUT`]. Rules: `spec/06-push.md`.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use bytes::Bytes;

use super::exchange::{Exchange, Offer};
use super::report::{Report, ReportError};
use super::{Change, Command};
use crate::error::Blame;
use crate::git::wire::{AGENT, Core, Drive, Step, machine_face};
use crate::git::{
    Advertisement, AdvertisementError, AdvertisementParser, Capabilities, CapabilityError, Misuse,
    ObjectFormat, ObjectId, PackRequest, RefName, Request, RequestError, Service, SessionError, Version,
};
use crate::{Instant, limits, pkt};

/// How to push. Only what the server advertises is ever requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Sent first, on `git://` and on a port; `None` when the transport has named service and repository. The
    /// service is always receive-pack here, and version 2 is asked for as version 0: it has no push.
    pub request: Option<Request>,
    /// The `agent` capability. Default `portline/<version>`.
    pub agent: Option<Bytes>,
    /// All refs or none. A server that cannot is an error. Default off.
    pub atomic: bool,
    /// Asks the server for less progress. Default off.
    pub quiet: bool,
    /// Use `side-band-64k`. Default on.
    pub sideband: bool,
    /// Let the pack leave out bases that the server has. Default on.
    pub thin_pack: bool,
    /// Let the pack name bases by offset. Default on.
    pub ofs_delta: bool,
    /// Options for the server's hooks: opaque bytes without NUL, CR, LF (T17). A server that takes none is an
    /// error. Default none.
    pub push_options: Vec<Bytes>,
    /// Give up when nothing happens for so long. Default never.
    pub idle_timeout: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            request: None,
            agent: Some(Bytes::from_static(AGENT)),
            atomic: false,
            quiet: false,
            sideband: true,
            thin_pack: true,
            ofs_delta: true,
            push_options: Vec::new(),
            idle_timeout: None,
        }
    }
}

/// What happened, or what the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The server's refs. Answer: [`Client::push`].
    Advertised(Advertisement),
    /// Build this pack. Answer: [`Client::pack_chunk`] as often as needed, then [`Client::pack_finished`] or
    /// [`Client::pack_failed`].
    BuildPack(PackRequest),
    /// Progress of the server, raw bytes that may hold terminal escapes (T18).
    Progress(Bytes),
    /// The push was done and reported: see [`Report::is_success`] for whether it went well. Terminal.
    Finished(Report),
    /// The push has failed. Terminal.
    Failed(Error),
}

/// What ends a push without a trustworthy report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The session itself: a malformed packet, an early end, the server's `ERR`.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The advertisement cannot be taken.
    #[error(transparent)]
    Advertisement(#[from] AdvertisementError),
    /// The configured request cannot be sent.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The configured agent cannot be sent.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// What was asked for needs a capability that the server does not have. No command was sent.
    #[error("the server does not advertise {capability}, which this push needs")]
    NotSupported {
        /// Its name.
        capability: &'static str,
    },
    /// A push option cannot be sent, or there are more than [`limits::PUSH_OPTIONS`]. No command was sent.
    #[error("push option {index} holds NUL, CR or LF, or there are too many or too long ones")]
    PushOption {
        /// Which one, counted from 0.
        index: usize,
    },
    /// The driver could not build the pack.
    #[error("the pack could not be built: {}", .reason.escape_ascii())]
    Pack {
        /// The driver's reason.
        reason: Bytes,
    },
    /// The report is not a complete one. Some refs may have moved all the same.
    #[error("{error}")]
    Report {
        /// What is wrong with it.
        error: ReportError,
        /// What had been understood of it.
        report: Box<Report>,
    },
    /// The server confirmed a push of which it had not got everything yet.
    #[error("the server confirmed the push before all of it was sent")]
    EarlyReport,
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Session(error) => error.blame(),
            Self::Advertisement(_) | Self::NotSupported { .. } | Self::Report { .. } | Self::EarlyReport => {
                Blame::Peer
            }
            Self::Request(_) | Self::Capability(_) | Self::PushOption { .. } | Self::Pack { .. } => {
                Blame::Caller
            }
        }
    }
}

#[derive(Debug)]
enum State {
    Start,
    Reading(AdvertisementParser),
    Choice(Box<Offer>),
    Exchange(Box<Exchange>),
    Over,
}

/// The client of one push. See the [module](self).
#[derive(Debug)]
pub struct Client {
    core: Core<Action, Error>,
    config: Config,
    state: State,
}

machine_face!(Client, Action, Error);

impl Client {
    /// A client at the start of a session.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let mut this = Self { core: Core::new(config.idle_timeout, now), config, state: State::Start };
        this.advance();
        this
    }

    /// What is asked for, while it may still change: until [`Client::push`] answers the advertisement. A driver may
    /// learn only then what its user wants, as a remote helper does. The request has gone by then, and later
    /// changes do nothing.
    pub const fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Answers [`Action::Advertised`]: what is to be pushed. Nothing is fine: the session ends well.
    ///
    /// What needs a capability that the server does not have ends the machine with [`Error::NotSupported`]
    /// before any command is sent.
    ///
    /// # Errors
    /// [`Misuse`]: not asked; a ref twice; a command that changes nothing; `HEAD`; an id of another object
    /// format than the server's. The question stays open.
    pub fn push(&mut self, now: Instant, commands: Vec<Command>) -> Result<(), Misuse> {
        const VERB: &str = "push";
        self.core.running(VERB)?;
        let State::Choice(offer) = &self.state else { return Err(Misuse::NotAsked { verb: VERB }) };
        check(&commands, offer.format).map_err(|reason| Misuse::Argument { verb: VERB, reason })?;
        if let State::Choice(offer) = mem::replace(&mut self.state, State::Over) {
            self.start(*offer, commands);
        }
        self.answered(now);
        Ok(())
    }

    /// The next bytes of the pack, passed on without a copy. Give them while [`Self::wants_pack`].
    ///
    /// # Errors
    /// [`Misuse`] when no pack is asked for.
    pub fn pack_chunk(&mut self, now: Instant, bytes: Bytes) -> Result<(), Misuse> {
        let exchange = Self::building(&self.core, &mut self.state, "pack_chunk")?;
        if bytes.is_empty() {
            return Ok(());
        }
        if let Err(error) = exchange.pack_chunk(&mut self.core, bytes) {
            self.fail(error);
        }
        self.answered(now);
        Ok(())
    }

    /// The pack is complete, its trailer included.
    ///
    /// # Errors
    /// [`Misuse`] when no pack is asked for.
    pub fn pack_finished(&mut self, now: Instant) -> Result<(), Misuse> {
        Self::building(&self.core, &mut self.state, "pack_finished")?.pack_finished();
        self.answered(now);
        Ok(())
    }

    /// The pack could not be built: the push ends. The protocol has no word for that; the transport is to be
    /// closed, and the server then finds the pack cut off.
    ///
    /// # Errors
    /// [`Misuse`] when no pack is asked for.
    pub fn pack_failed(&mut self, now: Instant, reason: Bytes) -> Result<(), Misuse> {
        Self::building(&self.core, &mut self.state, "pack_failed")?;
        self.fail(Error::Pack { reason });
        self.answered(now);
        Ok(())
    }

    /// Whether there is room for the next [`Self::pack_chunk`]: the backpressure towards the pack's producer.
    /// `false` for good once the server has answered.
    #[must_use]
    pub fn wants_pack(&self) -> bool {
        let building = match &self.state {
            State::Exchange(exchange) => exchange.wants_pack(),
            State::Start | State::Reading(_) | State::Choice(_) | State::Over => false,
        };
        building && self.core.is_running() && self.core.wire.has_room()
    }

    /// Whether nothing more will be made for `poll_transmit`: behind it, a transport may end its direction, which
    /// tells a server that does not read packs where the pack ends.
    #[must_use]
    pub const fn has_sent_all(&self) -> bool {
        match &self.state {
            State::Start | State::Reading(_) | State::Choice(_) => !self.core.is_running(),
            State::Exchange(exchange) => exchange.is_written(),
            State::Over => true,
        }
    }

    fn building<'a>(
        core: &Core<Action, Error>,
        state: &'a mut State,
        verb: &'static str,
    ) -> Result<&'a mut Exchange, Misuse> {
        core.running(verb)?;
        match state {
            State::Exchange(exchange) if exchange.is_building() => Ok(exchange),
            State::Start | State::Reading(_) | State::Choice(_) | State::Exchange(_) | State::Over => {
                Err(Misuse::NotAsked { verb })
            }
        }
    }

    fn start(&mut self, offer: Offer, commands: Vec<Command>) {
        if commands.is_empty() {
            self.core.wire.flush();
            self.core.finish(Action::Finished(Report::default()));
            return;
        }
        match self.agree(&offer, &commands) {
            Ok(capabilities) => {
                let exchange = Exchange::new(&self.config, offer, commands, capabilities);
                self.state = State::Exchange(Box::new(exchange));
            }
            Err(error) => {
                // The server waits for commands: it is told that there are none.
                self.core.wire.flush();
                self.fail(error);
            }
        }
    }

    /// The capabilities to request, in Git's order (PUSH-2, PUSH-4).
    fn agree(&self, offer: &Offer, commands: &[Command]) -> Result<Capabilities, Error> {
        let (config, offered) = (&self.config, &offer.capabilities);
        let need = |capability: &'static str, needed: bool| match needed && !offered.has(capability) {
            true => Err(Error::NotSupported { capability }),
            false => Ok(needed),
        };
        let mut list = Capabilities::new();
        if offered.has("report-status-v2") {
            list.push("report-status-v2");
        } else if need("report-status", true)? {
            list.push("report-status");
        }
        need("delete-refs", commands.iter().any(|command| command.change() == Change::Delete))?;
        for (wanted, capability) in [(config.sideband, "side-band-64k"), (config.quiet, "quiet")] {
            if wanted && offered.has(capability) {
                list.push(capability);
            }
        }
        if need("atomic", config.atomic)? {
            list.push("atomic");
        }
        if need("push-options", !config.push_options.is_empty())? {
            list.push("push-options");
        }
        if offered.has("object-format") {
            list.push_value("object-format", offer.format.name().as_bytes())?;
        }
        if let Some(agent) = config.agent.as_ref().filter(|_| offered.has("agent")) {
            list.push_value("agent", agent)?;
        }
        match config.push_options.iter().enumerate().find(|(at, text)| !is_push_option(*at, text)) {
            Some((index, _)) => Err(Error::PushOption { index }),
            None => Ok(list),
        }
    }

    fn open(&mut self) -> Result<(), Error> {
        if let Some(mut request) = self.config.request.take() {
            request.service = Service::ReceivePack;
            if request.version == Version::V2 {
                request.version = Version::V0;
            }
            request.encode(self.core.wire.turn())?;
        }
        self.state = State::Reading(AdvertisementParser::new());
        Ok(())
    }

    fn read_advertisement(&mut self) -> Result<Step, Error> {
        let State::Reading(parser) = &mut self.state else { return Ok(Step::Wait) };
        let Some(packet) = self.core.wire.packet("the ref advertisement")? else { return Ok(Step::Wait) };
        let Some(seen) = parser.handle_packet(packet)? else { return Ok(Step::Again) };
        let mut haves: Vec<ObjectId> =
            seen.refs.iter().map(|known| known.id).chain(seen.haves.iter().copied()).collect();
        haves.retain(|id| !id.is_null());
        haves.sort_unstable();
        haves.dedup();
        let offer = Offer { format: seen.format, capabilities: seen.capabilities.clone(), haves };
        self.state = State::Choice(Box::new(offer));
        self.core.push(Action::Advertised(seen));
        Ok(Step::Again)
    }

    fn exchange(&mut self) -> Result<Step, Error> {
        let State::Exchange(exchange) = &mut self.state else { return Ok(Step::Wait) };
        if exchange.write(&mut self.core, &self.config)? == Step::Again {
            return Ok(Step::Again);
        }
        let step = exchange.read(&mut self.core)?;
        if let Some(report) = exchange.settled()? {
            self.state = State::Over;
            self.core.finish(Action::Finished(report));
            return Ok(Step::Again);
        }
        Ok(step)
    }
}

impl Drive for Client {
    type Action = Action;
    type Error = Error;

    fn core(&mut self) -> &mut Core<Action, Error> {
        &mut self.core
    }

    fn step(&mut self) -> Result<Step, Error> {
        match self.state {
            State::Start => self.open().map(|()| Step::Again),
            State::Reading(_) => self.read_advertisement(),
            State::Choice(_) | State::Over => Ok(Step::Wait),
            State::Exchange(_) => self.exchange(),
        }
    }

    /// A push has no words for a client's failure.
    fn farewell(&mut self, _error: &Error) {}

    fn failed(error: Error) -> Action {
        Action::Failed(error)
    }

    fn waits_for_driver(&self) -> bool {
        match &self.state {
            State::Choice(_) => true,
            State::Exchange(exchange) => exchange.is_building(),
            State::Start | State::Reading(_) | State::Over => false,
        }
    }
}

/// What no server could make sense of (PUSH-3).
fn check(commands: &[Command], format: ObjectFormat) -> Result<(), &'static str> {
    let mut names: Vec<&RefName> = commands.iter().map(|command| &command.name).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err("two commands for the same ref");
    }
    for command in commands {
        if command.name.is_head() {
            return Err("HEAD cannot be pushed to, only the ref it stands for");
        }
        if !command.fits(format) {
            return Err("an object id is not of the server's object format");
        }
        if command.old == command.new {
            return Err("a command changes nothing: its ids are equal");
        }
    }
    Ok(())
}

fn is_push_option(index: usize, text: &[u8]) -> bool {
    index < limits::PUSH_OPTIONS
        && text.len() < pkt::MAX_DATA
        && !text.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
}
