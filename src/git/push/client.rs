//! The client of a push: `git send-pack`'s end.
//!
//! ```text
//!           ┌─────────┐ flush  ┌────────┐ push(commands) ┌──────────┐ report's flush ┌──────┐
//! request ─►│ Reading ├───────►│ Choice ├───────────────►│ Exchange ├───────────────►│ Over │
//!           └─────────┘        └───┬────┘                └──────────┘                └──────┘
//!                                  └─ push(nothing): flush ─────────────────────────────▲
//! ```
//!
//! A push that is to be signed passes through `Signing` on its way to `Exchange`. A stateless transport
//! ([`Config::stateless`]) begins with a greeting, and `Choice` waits for the end of the first response.
//!
//! | input | state | output |
//! |---|---|---|
//! | refs, `.have`, flush | Reading | `Advertised` |
//! | `push` | Choice | commands, flush, push options, flush; `BuildPack` if something is created or updated |
//! | `signed` | Signing | the certificate in place of the commands |
//! | `pack_chunk`, `pack_finished` | Exchange | the pack, raw |
//! | sideband 2 | Exchange | `Progress` |
//! | the report | Exchange | `Finished(Report)` |
//!
//! The answer is read while the pack is still being written: a server that fails early is heard, and no more pack
//! is asked for then. Success needs a complete report (T21): [`Report::is_success`].
//!
//! Limits: [`ADVERTISEMENT`](crate::limits::ADVERTISEMENT), [`REPORT`](crate::limits::REPORT),
//! [`PUSH_OPTIONS`](crate::limits::PUSH_OPTIONS), [`GIT_INPUT`](crate::limits::GIT_INPUT),
//! [`GIT_OUTPUT`](crate::limits::GIT_OUTPUT). Rules: `spec/06-push.md`.

mod agree;
mod face;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use bytes::{Bytes, BytesMut};

use self::agree::{agree, check, is_signature, nonce};
pub use self::face::{Action, Config, Error, Signing};
use super::exchange::{Exchange, Offer};
use super::report::Report;
use super::{Command, certificate};
use crate::Instant;
use crate::git::wire::{Core, Drive, Step, machine_face};
use crate::git::{Advertisement, AdvertisementParser, Misuse, ObjectId, Service, SessionError, Version};
use crate::pkt::{self, Packet};

#[derive(Debug)]
enum State {
    Start,
    /// The first response of a stateless transport begins.
    Greeting,
    /// Its `# service=` line was there.
    Greeted,
    Reading(AdvertisementParser),
    /// All of the first response is there, but for its end.
    Read(Box<(Offer, Advertisement)>),
    Choice(Box<Offer>),
    /// The driver signs this text.
    Signing(Box<Exchange>, Bytes),
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
        check(&commands, &self.config.shallow, offer.format)
            .map_err(|reason| Misuse::Argument { verb: VERB, reason })?;
        if let State::Choice(offer) = mem::replace(&mut self.state, State::Over) {
            self.start(*offer, commands);
        }
        self.answered(now);
        Ok(())
    }

    /// Answers [`Action::Sign`]: the signature over exactly those bytes, in any of Git's formats (PGP, X.509, SSH), with
    /// the line that begins it.
    ///
    /// # Errors
    /// [`Misuse`]: not asked, or no signature that a server would find. The question stays open.
    pub fn signed(&mut self, now: Instant, signature: &[u8]) -> Result<(), Misuse> {
        const VERB: &str = "signed";
        self.core.running(VERB)?;
        if !is_signature(signature) {
            return Err(Misuse::Argument { verb: VERB, reason: "this is no signature" });
        }
        match mem::replace(&mut self.state, State::Over) {
            State::Signing(mut exchange, text) => {
                let mut whole = BytesMut::from(&text[..]);
                whole.extend_from_slice(signature);
                if !signature.ends_with(b"\n") {
                    whole.extend_from_slice(b"\n");
                }
                exchange.certify(certificate::lines(&whole.freeze()));
                self.state = State::Exchange(exchange);
            }
            other => {
                self.state = other;
                return Err(Misuse::NotAsked { verb: VERB });
            }
        }
        self.answered(now);
        Ok(())
    }

    /// Answers [`Action::Sign`]: it cannot be signed. The server is told that there is nothing to do, and the push ends.
    ///
    /// # Errors
    /// [`Misuse`] when that was not asked.
    pub fn sign_failed(&mut self, now: Instant, reason: Bytes) -> Result<(), Misuse> {
        const VERB: &str = "sign_failed";
        self.core.running(VERB)?;
        let State::Signing(..) = self.state else { return Err(Misuse::NotAsked { verb: VERB }) };
        self.refuse(Error::Sign { reason });
        self.answered(now);
        Ok(())
    }

    /// Before the first [`Self::pack_chunk`]: the pack begins with what the server holds of it
    /// ([`PackRequest::resume`](crate::git::PackRequest)), and the chunks go on behind that. Without this verb all of the pack is sent.
    ///
    /// # Errors
    /// [`Misuse`] when no pack is asked for; [`Misuse::Argument`] when the server holds nothing, or some of the pack was
    /// given already.
    pub fn pack_resumes(&mut self, now: Instant) -> Result<(), Misuse> {
        const VERB: &str = "pack_resumes";
        if !Self::building(&self.core, &mut self.state, VERB)?.pack_resumes(&mut self.core) {
            return Err(Misuse::Argument { verb: VERB, reason: "there is no part to go on from" });
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
    /// [`Misuse`] when no pack is asked for; [`Misuse::Argument`] when no byte of it was given, and the server does not
    /// hold all of it ([`Self::pack_resumes`]).
    pub fn pack_finished(&mut self, now: Instant) -> Result<(), Misuse> {
        const VERB: &str = "pack_finished";
        if !Self::building(&self.core, &mut self.state, VERB)?.pack_finished() {
            return Err(Misuse::Argument { verb: VERB, reason: "no byte of a pack was given" });
        }
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
            State::Start
            | State::Greeting
            | State::Greeted
            | State::Reading(_)
            | State::Read(_)
            | State::Choice(_)
            | State::Signing(..)
            | State::Over => false,
        };
        building && self.core.is_running() && self.core.wire.has_room()
    }

    /// Whether nothing more will be made for `poll_transmit`: behind it, a transport may end its direction, which
    /// tells a server that does not read packs where the pack ends. So it is after the end, too, however that came.
    #[must_use]
    pub const fn has_sent_all(&self) -> bool {
        if !self.core.is_running() {
            return true;
        }
        match &self.state {
            State::Exchange(exchange) => exchange.is_written(),
            State::Over => true,
            State::Start
            | State::Greeting
            | State::Greeted
            | State::Reading(_)
            | State::Read(_)
            | State::Choice(_)
            | State::Signing(..) => false,
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
            State::Start
            | State::Greeting
            | State::Greeted
            | State::Reading(_)
            | State::Read(_)
            | State::Choice(_)
            | State::Signing(..)
            | State::Exchange(_)
            | State::Over => Err(Misuse::NotAsked { verb }),
        }
    }

    fn start(&mut self, offer: Offer, commands: Vec<Command>) {
        if commands.is_empty() {
            self.nothing();
            self.core.finish(Action::Finished(Report::default()));
            return;
        }
        let agreed = agree(&self.config, &offer, &commands);
        let (capabilities, nonce) = match agreed.and_then(|list| Ok((list, nonce(&self.config, &offer)?))) {
            Ok(agreed) => agreed,
            Err(error) => return self.refuse(error),
        };
        let text = self.config.signing.as_ref().zip(nonce).map(|(signing, nonce)| {
            let options = &self.config.push_options;
            certificate::text(&signing.pusher, signing.pushee.as_deref(), &nonce, options, &commands)
        });
        if self.config.stateless {
            self.core.wire.reopen();
        }
        let exchange = Box::new(Exchange::new(&self.config, offer, commands, capabilities));
        self.state = match text {
            Some(text) => {
                self.core.push(Action::Sign(text.clone()));
                State::Signing(exchange, text)
            }
            None => State::Exchange(exchange),
        };
    }

    /// The server waits for commands: it is told that there are none. A stateless one is not asked at all.
    fn nothing(&mut self) {
        if !self.config.stateless {
            self.core.wire.flush();
        }
    }

    fn refuse(&mut self, error: Error) {
        self.nothing();
        self.fail(error);
    }

    fn open(&mut self) -> Result<(), Error> {
        if let Some(mut request) = self.config.request.take() {
            request.service = Service::ReceivePack;
            if request.version == Version::V2 {
                request.version = Version::V0;
            }
            request.encode(self.core.wire.turn())?;
        }
        self.state =
            if self.config.stateless { State::Greeting } else { State::Reading(AdvertisementParser::new()) };
        Ok(())
    }

    /// Smart HTTP puts `# service=git-receive-pack` and a flush in front; other transports do not.
    fn greet(&mut self) -> Result<Step, Error> {
        let Some(packet) = self.core.wire.packet(GREETING)? else { return Ok(Step::Wait) };
        let service = match &packet {
            Packet::Data(line) => pkt::trim_lf(line).strip_prefix(b"# service="),
            Packet::Flush | Packet::Delim | Packet::ResponseEnd => None,
        };
        match service {
            Some(name) if name == Service::ReceivePack.name().as_bytes() => self.state = State::Greeted,
            Some(_) => return Err(SessionError::unexpected(GREETING, &packet).into()),
            None => {
                self.state = State::Reading(AdvertisementParser::new());
                self.take_advertised(packet)?;
            }
        }
        Ok(Step::Again)
    }

    fn greeted(&mut self) -> Result<Step, Error> {
        match self.core.wire.packet(GREETING)? {
            None => return Ok(Step::Wait),
            Some(Packet::Flush) => self.state = State::Reading(AdvertisementParser::new()),
            Some(other) => return Err(SessionError::unexpected("the greeting's flush", &other).into()),
        }
        Ok(Step::Again)
    }

    fn read_advertisement(&mut self) -> Result<Step, Error> {
        let Some(packet) = self.core.wire.packet("the ref advertisement")? else { return Ok(Step::Wait) };
        self.take_advertised(packet).map(|()| Step::Again)
    }

    fn take_advertised(&mut self, packet: Packet<Bytes>) -> Result<(), Error> {
        let State::Reading(parser) = &mut self.state else { return Ok(()) };
        let Some(seen) = parser.handle_packet(packet)? else { return Ok(()) };
        let mut haves: Vec<ObjectId> =
            seen.refs.iter().map(|known| known.id).chain(seen.haves.iter().copied()).collect();
        haves.retain(|id| !id.is_null());
        haves.sort_unstable();
        haves.dedup();
        let offer = Offer { format: seen.format, capabilities: seen.capabilities.clone(), haves };
        if self.config.stateless {
            self.state = State::Read(Box::new((offer, seen)));
        } else {
            self.state = State::Choice(Box::new(offer));
            self.core.push(Action::Advertised(seen));
        }
        Ok(())
    }

    /// The driver is asked when the response has ended: what comes then belongs to the next one.
    fn end_response(&mut self) -> Result<Step, Error> {
        let wire = &mut self.core.wire;
        if !(wire.is_closed() && wire.input.is_empty()) {
            return match wire.packet(RESPONSE_END)? {
                None => Ok(Step::Wait),
                Some(packet) => Err(SessionError::unexpected(RESPONSE_END, &packet).into()),
            };
        }
        if let State::Read(read) = mem::replace(&mut self.state, State::Over) {
            let (offer, seen) = *read;
            self.state = State::Choice(Box::new(offer));
            self.core.push(Action::Advertised(seen));
        }
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
            State::Greeting => self.greet(),
            State::Greeted => self.greeted(),
            State::Reading(_) => self.read_advertisement(),
            State::Read(_) => self.end_response(),
            State::Choice(_) | State::Signing(..) | State::Over => Ok(Step::Wait),
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
            State::Choice(_) | State::Signing(..) => true,
            State::Exchange(exchange) => exchange.is_building(),
            State::Start
            | State::Greeting
            | State::Greeted
            | State::Reading(_)
            | State::Read(_)
            | State::Over => false,
        }
    }
}

const GREETING: &str = "the greeting of git-receive-pack";
const RESPONSE_END: &str = "the end of the response";
