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

use bytes::Bytes;

use super::Config;
use super::link::{Carried, Link};
use crate::git::{Misuse, fetch, push};
use crate::time::Instant;
use crate::{Transmit, port};

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
    link: Link,
    operation: Operation,
}

impl Client {
    /// A client on a port nothing has been sent on yet.
    ///
    /// # Errors
    /// What is wrong with the port's config.
    pub fn new(config: &Config, now: Instant) -> Result<Self, port::ConfigError> {
        Ok(Self { link: config.open(now)?, operation: Operation::Idle })
    }

    /// Starts a fetch. `config.request` says what is asked of the server; it should be there.
    ///
    /// # Errors
    /// [`Misuse::NotAsked`] while another operation runs, [`Misuse::Ended`] when the port has ended.
    pub fn begin_fetch(&mut self, now: Instant, config: fetch::client::Config) -> Result<(), Misuse> {
        self.idle(now, "begin_fetch")?;
        self.operation = Operation::Fetch(Box::new(fetch::client::Client::new(config, now)));
        Ok(())
    }

    /// Starts a push; otherwise as [`Self::begin_fetch`].
    ///
    /// # Errors
    /// As [`Self::begin_fetch`].
    pub fn begin_push(&mut self, now: Instant, config: push::client::Config) -> Result<(), Misuse> {
        self.idle(now, "begin_push")?;
        self.operation = Operation::Push(Box::new(push::client::Client::new(config, now)));
        Ok(())
    }

    fn idle(&mut self, now: Instant, verb: &'static str) -> Result<(), Misuse> {
        self.link.at(now);
        match self.operation {
            Operation::Idle if self.link.fault().is_none() => {
                self.link.begin();
                Ok(())
            }
            Operation::Idle | Operation::Closed => Err(Misuse::Ended { verb }),
            Operation::Fetch(_) | Operation::Push(_) => Err(Misuse::NotAsked { verb }),
        }
    }

    /// The running fetch, for its verbs; `now` is their time.
    pub fn fetch(&mut self, now: Instant) -> Option<&mut fetch::client::Client> {
        self.link.at(now);
        match &mut self.operation {
            Operation::Fetch(machine) => Some(machine),
            Operation::Idle | Operation::Push(_) | Operation::Closed => None,
        }
    }

    /// The running push, for its verbs; `now` is their time.
    pub fn push(&mut self, now: Instant) -> Option<&mut push::client::Client> {
        self.link.at(now);
        match &mut self.operation {
            Operation::Push(machine) => Some(machine),
            Operation::Idle | Operation::Fetch(_) | Operation::Closed => None,
        }
    }

    /// Takes one whole port message.
    ///
    /// # Errors
    /// What ended the port; the same error ever after.
    pub fn handle_message(&mut self, now: Instant, message: Bytes) -> Result<(), port::Error> {
        self.link.handle_message(now, message);
        self.pump();
        self.sticky()
    }

    /// The port has closed.
    ///
    /// # Errors
    /// As [`Self::handle_message`].
    pub fn handle_closed(&mut self, now: Instant) -> Result<(), port::Error> {
        self.link.handle_closed(now);
        self.pump();
        self.sticky()
    }

    /// The time of [`Self::poll_timeout`] has come. Too early is a no-op.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.link.handle_timeout(now);
        self.operation.handle_timeout(now);
        self.pump();
    }

    /// The next port message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.pump();
        self.link.poll_transmit()
    }

    /// What happened, or what the driver must do now.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.pump();
        if let Some(action) = self.operation.poll_action() {
            return Some(action);
        }
        if let Some(fault) = self.link.fault().cloned() {
            self.link.abandon(&mut self.operation);
            return match self.operation {
                Operation::Closed => None,
                Operation::Fetch(_) | Operation::Push(_) if !self.operation.has_ended() => None,
                Operation::Idle | Operation::Fetch(_) | Operation::Push(_) => {
                    let last = self.operation.poll_action();
                    last.or_else(|| {
                        self.operation = Operation::Closed;
                        Some(Action::Closed(fault))
                    })
                }
            };
        }
        if self.operation.has_ended() && self.link.is_over() {
            self.operation = Operation::Idle;
            return Some(Action::Ready);
        }
        None
    }

    /// When to call [`Self::handle_timeout`]; `None` is never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.link.poll_timeout(self.operation.poll_timeout())
    }

    /// Whether to read on.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.link.wants_input()
    }

    /// Why the port, or else a stream of the running operation, ended early: the cause of what its machine reports.
    #[must_use]
    pub fn cause(&self) -> Option<&port::Error> {
        self.link.cause()
    }

    fn pump(&mut self) {
        self.link.pump(&mut self.operation);
        self.link.await_end(&self.operation);
    }

    fn sticky(&self) -> Result<(), port::Error> {
        self.link.fault().cloned().map_or(Ok(()), Err)
    }
}

impl Operation {
    fn poll_action(&mut self) -> Option<Action> {
        match self {
            Self::Idle | Self::Closed => None,
            Self::Fetch(machine) => machine.poll_action().map(Action::Fetch),
            Self::Push(machine) => machine.poll_action().map(Action::Push),
        }
    }

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
