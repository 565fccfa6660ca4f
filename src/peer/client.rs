//! The client of a port session: fetches and pushes, one after another, on one port.
//!
//! ```text
//! IDLE ── begin_fetch / begin_push ──► RUNNING ── machine ended, both streams ended ──► IDLE (Action::Ready)
//!   └────────────── the port ended ──────┴──────────────────────────────────────────► CLOSED (Action::Closed)
//! ```
//!
//! Input: port messages. State: the running machine. Output: port messages and that machine's actions.
//! Rules: `spec/08-peer.md`.

use alloc::boxed::Box;

use super::Config;
use super::link::{Carried, Link};
use super::session::{self, Session, session_face};
use crate::git::{Misuse, fetch, push};
use crate::port;
use crate::time::Instant;

/// What happened, or what the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// An action of the running fetch; answer it through [`Client::fetch`].
    Fetch(fetch::client::Action),
    /// An action of the running push; answer it through [`Client::push`].
    Push(push::client::Action),
    /// The operation is over on both sides: the next may begin.
    Ready,
    /// The port has ended. Terminal.
    Closed(port::Error),
}

/// The machine of the running operation.
#[derive(Debug)]
enum Operation {
    Idle,
    Fetch(Box<fetch::client::Client>),
    Push(Box<push::client::Client>),
    Closed,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Client {
    session: Session<Operation>,
}

impl Client {
    /// A client on a port nothing has been sent on yet.
    ///
    /// # Errors
    /// What is wrong with the port's config.
    pub fn new(config: &Config, now: Instant) -> Result<Self, port::ConfigError> {
        Ok(Self { session: Session { link: config.open(now)?, operation: Operation::Idle } })
    }

    /// Starts a fetch. `config.request` says what is asked of the server; it should be there.
    ///
    /// # Errors
    /// [`Misuse::NotAsked`] while another operation runs, [`Misuse::Ended`] when the port has ended.
    pub fn begin_fetch(&mut self, now: Instant, config: fetch::client::Config) -> Result<(), Misuse> {
        self.idle(now, "begin_fetch")?;
        self.session.operation = Operation::Fetch(Box::new(fetch::client::Client::new(config, now)));
        Ok(())
    }

    /// Starts a push; otherwise as [`Self::begin_fetch`].
    ///
    /// # Errors
    /// As [`Self::begin_fetch`].
    pub fn begin_push(&mut self, now: Instant, config: push::client::Config) -> Result<(), Misuse> {
        self.idle(now, "begin_push")?;
        self.session.operation = Operation::Push(Box::new(push::client::Client::new(config, now)));
        Ok(())
    }

    fn idle(&mut self, now: Instant, verb: &'static str) -> Result<(), Misuse> {
        self.session.link.at(now);
        match self.session.operation {
            Operation::Idle if self.session.link.fault().is_none() => {
                self.session.link.begin();
                Ok(())
            }
            Operation::Idle | Operation::Closed => Err(Misuse::Ended { verb }),
            Operation::Fetch(_) | Operation::Push(_) => Err(Misuse::NotAsked { verb }),
        }
    }

    /// The running fetch, for its verbs; `now` is their time.
    pub fn fetch(&mut self, now: Instant) -> Option<&mut fetch::client::Client> {
        self.session.link.at(now);
        match &mut self.session.operation {
            Operation::Fetch(machine) => Some(machine),
            Operation::Idle | Operation::Push(_) | Operation::Closed => None,
        }
    }

    /// The running push, for its verbs; `now` is their time.
    pub fn push(&mut self, now: Instant) -> Option<&mut push::client::Client> {
        self.session.link.at(now);
        match &mut self.session.operation {
            Operation::Push(machine) => Some(machine),
            Operation::Idle | Operation::Fetch(_) | Operation::Closed => None,
        }
    }
}

session_face!(Client, Action);

impl session::Operation for Operation {
    type Action = Action;
    const AWAITS_END: bool = true;

    fn poll_action(&mut self) -> Option<Action> {
        match self {
            Self::Idle | Self::Closed => None,
            Self::Fetch(machine) => machine.poll_action().map(Action::Fetch),
            Self::Push(machine) => machine.poll_action().map(Action::Push),
        }
    }

    fn rests(&self) -> bool {
        matches!(self, Self::Idle)
    }

    fn close(&mut self, fault: port::Error) -> Action {
        *self = Self::Closed;
        Action::Closed(fault)
    }

    fn rest(&mut self, _link: &mut Link) -> Action {
        *self = Self::Idle;
        Action::Ready
    }
}

impl Operation {
    fn carried(&self) -> Option<&dyn Carried> {
        match self {
            Self::Idle | Self::Closed => None,
            Self::Fetch(machine) => Some(&**machine),
            Self::Push(machine) => Some(&**machine),
        }
    }

    fn carried_mut(&mut self) -> Option<&mut dyn Carried> {
        match self {
            Self::Idle | Self::Closed => None,
            Self::Fetch(machine) => Some(&mut **machine),
            Self::Push(machine) => Some(&mut **machine),
        }
    }
}

super::link::carried_by_option!(Operation);
