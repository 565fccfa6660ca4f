//! The server of a port session: answers fetches and pushes, one after another, on one port.
//!
//! ```text
//! REQUEST ── request line ──► DECIDING ── accept_fetch / accept_push ──► RUNNING ──► REQUEST
//!    ▲                            └─────────── refuse ──► ERR line, END ────┘
//!    └ the port ended, in any state ──► CLOSED (Action::Closed)
//! ```
//!
//! Input: port messages. State: the request being read, or the running machine. Output: port messages, the
//! request, that machine's actions. Rules: `spec/08-peer.md`.

use alloc::boxed::Box;

use bytes::{Bytes, BytesMut};

use super::Config;
use super::link::{Carried, Link};
use super::session::{self, Session, session_face};
use crate::git::{Misuse, Request, RequestError, fetch, push};
use crate::pkt::{self, Packet};
use crate::time::Instant;
use crate::{Transmit, port};

/// What happened, or what the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The peer asks for a service; answer with [`Server::accept_fetch`], [`Server::accept_push`] or
    /// [`Server::refuse`].
    Requested(Request),
    /// The peer's request line was no request; it was told so (PEER-4).
    BadRequest(RequestFault),
    /// An action of the running upload-pack; answer it through [`Server::fetch`].
    Fetch(fetch::server::Action),
    /// An action of the running receive-pack; answer it through [`Server::push`].
    Push(push::server::Action),
    /// The operation is over on both sides: the server waits for the next request.
    Ready,
    /// The port has ended. Terminal.
    Closed(port::Error),
}

/// Why a request line was not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestFault {
    /// The packet was malformed.
    #[error(transparent)]
    Pkt(#[from] pkt::Error),
    /// The line was.
    #[error(transparent)]
    Line(#[from] RequestError),
    /// The stream ended before its first packet did.
    #[error("the stream ended before a request came")]
    Ended,
}

/// Reads the request line and says the refusal.
#[derive(Debug, Default)]
struct Reception {
    input: pkt::Reader,
    state: ReceptionState,
}

#[derive(Debug, Default)]
enum ReceptionState {
    #[default]
    Reading,
    /// The driver has not been told yet.
    Read(Result<Request, RequestFault>),
    /// The driver has been told the request and decides.
    Deciding,
    /// The refusal is to be sent.
    Refusing(Bytes),
    /// It was sent.
    Refused,
}

#[derive(Debug)]
enum Operation {
    Reception(Reception),
    Fetch(Box<fetch::server::Server>),
    Push(Box<push::server::Server>),
    Closed,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Server {
    session: Session<Operation>,
}

impl Server {
    /// A server on a port nothing has come from yet.
    ///
    /// # Errors
    /// What is wrong with the port's config.
    pub fn new(config: &Config, now: Instant) -> Result<Self, port::ConfigError> {
        let operation = Operation::Reception(Reception::default());
        Ok(Self { session: Session { link: config.open(now)?, operation } })
    }

    /// Serves the requested fetch.
    ///
    /// # Errors
    /// [`Misuse::NotAsked`] when no request waits for a decision.
    pub fn accept_fetch(&mut self, now: Instant, config: fetch::server::Config) -> Result<(), Misuse> {
        let input = self.decide(now, "accept_fetch")?;
        self.session.operation = Operation::Fetch(Box::new(fetch::server::Server::new(config, now)));
        self.hand_over(now, input);
        Ok(())
    }

    /// Serves the requested push.
    ///
    /// # Errors
    /// As [`Self::accept_fetch`].
    pub fn accept_push(&mut self, now: Instant, config: push::server::Config) -> Result<(), Misuse> {
        let input = self.decide(now, "accept_push")?;
        self.session.operation = Operation::Push(Box::new(push::server::Server::new(config, now)));
        self.hand_over(now, input);
        Ok(())
    }

    /// Refuses the request: the peer gets `message` in an `ERR` packet, cut to one packet.
    ///
    /// # Errors
    /// As [`Self::accept_fetch`].
    pub fn refuse(&mut self, now: Instant, message: &[u8]) -> Result<(), Misuse> {
        self.decide(now, "refuse")?;
        self.session.operation = Operation::Reception(Reception {
            input: pkt::Reader::new(),
            state: ReceptionState::Refusing(refusal(message)),
        });
        Ok(())
    }

    /// Takes the input behind the request line out of a reception that waits for a decision.
    fn decide(&mut self, now: Instant, verb: &'static str) -> Result<pkt::Reader, Misuse> {
        self.session.link.at(now);
        match &mut self.session.operation {
            Operation::Reception(Reception { input, state: ReceptionState::Deciding }) => {
                Ok(core::mem::take(input))
            }
            Operation::Closed => Err(Misuse::Ended { verb }),
            Operation::Reception(_) | Operation::Fetch(_) | Operation::Push(_) => {
                Err(Misuse::NotAsked { verb })
            }
        }
    }

    /// What came behind the request line belongs to the machine.
    fn hand_over(&mut self, now: Instant, mut input: pkt::Reader) {
        while let Some(bytes) = input.take_raw() {
            self.session.operation.handle_bytes(now, bytes);
        }
        if self.session.link.has_ended_input() {
            self.session.operation.handle_closed(now);
        }
    }

    /// The running upload-pack, for its verbs; `now` is their time.
    pub fn fetch(&mut self, now: Instant) -> Option<&mut fetch::server::Server> {
        self.session.link.at(now);
        match &mut self.session.operation {
            Operation::Fetch(machine) => Some(machine),
            Operation::Reception(_) | Operation::Push(_) | Operation::Closed => None,
        }
    }

    /// The running receive-pack, for its verbs; `now` is their time.
    pub fn push(&mut self, now: Instant) -> Option<&mut push::server::Server> {
        self.session.link.at(now);
        match &mut self.session.operation {
            Operation::Push(machine) => Some(machine),
            Operation::Reception(_) | Operation::Fetch(_) | Operation::Closed => None,
        }
    }
}

session_face!(Server, Action);

impl Reception {
    fn poll_action(&mut self) -> Option<Action> {
        match core::mem::take(&mut self.state) {
            ReceptionState::Read(Ok(request)) => {
                self.state = ReceptionState::Deciding;
                Some(Action::Requested(request))
            }
            ReceptionState::Read(Err(fault)) => {
                let message = alloc::format!("{fault}");
                self.state = ReceptionState::Refusing(refusal(message.as_bytes()));
                Some(Action::BadRequest(fault))
            }
            state => {
                self.state = state;
                None
            }
        }
    }

    fn read(&mut self) -> Option<Result<Request, RequestFault>> {
        match self.input.next_packet() {
            Ok(None) => None,
            Ok(Some(Packet::Data(line))) => Some(Request::parse(&line).map_err(RequestFault::from)),
            Ok(Some(Packet::Flush | Packet::Delim | Packet::ResponseEnd)) => {
                Some(Err(RequestError::Flush.into()))
            }
            Err(error) => Some(Err(error.into())),
        }
    }
}

impl Carried for Reception {
    fn handle_bytes(&mut self, _now: Instant, bytes: Bytes) {
        self.input.handle_bytes(bytes);
        if matches!(self.state, ReceptionState::Reading) {
            if let Some(read) = self.read() {
                self.state = ReceptionState::Read(read);
            }
        }
    }

    fn handle_closed(&mut self, _now: Instant) {
        if matches!(self.state, ReceptionState::Reading) {
            self.state = ReceptionState::Read(Err(RequestFault::Ended));
        }
    }

    /// Nothing was asked: the session says that the port has ended.
    fn handle_lost(&mut self, _now: Instant) {}

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let ReceptionState::Refusing(line) = &mut self.state else { return None };
        let line = core::mem::take(line);
        self.state = ReceptionState::Refused;
        Some(Transmit::new(line))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn wants_input(&self) -> bool {
        matches!(self.state, ReceptionState::Reading)
    }

    fn has_ended(&self) -> bool {
        matches!(self.state, ReceptionState::Refusing(_) | ReceptionState::Refused)
    }

    fn has_sent_all(&self) -> bool {
        matches!(self.state, ReceptionState::Refused)
    }

    /// A reception waits for nobody else: the session ends with it.
    fn abandon(&mut self, _now: Instant) {}
}

/// An `ERR` packet with as much of the message as fits, without the bytes that would break its line.
fn refusal(message: &[u8]) -> Bytes {
    let most = crate::limits::ERROR_MESSAGE;
    let mut text = BytesMut::from(message.get(..most).unwrap_or(message));
    for byte in text.iter_mut().filter(|byte| matches!(byte, 0 | b'\n' | b'\r')) {
        *byte = b' ';
    }
    let mut line = BytesMut::new();
    // At most `most` bytes: below the size of a packet, so this cannot fail.
    let _ = pkt::put_packet(&mut line, &[b"ERR ", &text]);
    line.freeze()
}

impl session::Operation for Operation {
    type Action = Action;
    const AWAITS_END: bool = false;

    fn poll_action(&mut self) -> Option<Action> {
        match self {
            Self::Reception(reception) => reception.poll_action(),
            Self::Fetch(machine) => machine.poll_action().map(Action::Fetch),
            Self::Push(machine) => machine.poll_action().map(Action::Push),
            Self::Closed => None,
        }
    }

    fn rests(&self) -> bool {
        matches!(self, Self::Reception(_))
    }

    fn close(&mut self, fault: port::Error) -> Action {
        *self = Self::Closed;
        Action::Closed(fault)
    }

    fn rest(&mut self, link: &mut Link) -> Action {
        link.begin();
        *self = Self::Reception(Reception::default());
        Action::Ready
    }
}

impl Operation {
    fn carried(&self) -> Option<&dyn Carried> {
        match self {
            Self::Reception(reception) => Some(reception),
            Self::Fetch(machine) => Some(&**machine),
            Self::Push(machine) => Some(&**machine),
            Self::Closed => None,
        }
    }

    fn carried_mut(&mut self) -> Option<&mut dyn Carried> {
        match self {
            Self::Reception(reception) => Some(reception),
            Self::Fetch(machine) => Some(&mut **machine),
            Self::Push(machine) => Some(&mut **machine),
            Self::Closed => None,
        }
    }
}

super::link::carried_by_option!(Operation);
