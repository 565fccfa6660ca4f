//! A Git machine and whoever answers its actions, as one [`Session`] of the event loop.

use bytes::Bytes;
use portline::{Instant, Transmit};

use super::drive::{Session, Work};
use super::error::Error;

/// The face that the four Git machines share, for generic drivers. The methods are the machines' own.
pub trait Machine {
    /// What it asks of its driver.
    type Action;

    /// See the machine.
    fn handle_bytes(&mut self, now: Instant, bytes: Bytes);
    /// See the machine.
    fn handle_closed(&mut self, now: Instant);
    /// See the machine.
    fn handle_timeout(&mut self, now: Instant);
    /// See the machine.
    fn poll_transmit(&mut self) -> Option<Transmit>;
    /// See the machine.
    fn poll_action(&mut self) -> Option<Self::Action>;
    /// See the machine.
    fn poll_timeout(&self) -> Option<Instant>;
    /// See the machine.
    fn wants_input(&self) -> bool;
    /// See the machine.
    fn has_ended(&self) -> bool;
}

/// Implements [`Machine`]. An error that an input ends the machine with comes back as its terminal action, so
/// it is not looked at twice.
macro_rules! machine {
    ($machine:ty, $action:ty) => {
        impl Machine for $machine {
            type Action = $action;

            fn handle_bytes(&mut self, now: Instant, bytes: Bytes) {
                let _ = <$machine>::handle_bytes(self, now, bytes);
            }
            fn handle_closed(&mut self, now: Instant) {
                let _ = <$machine>::handle_closed(self, now);
            }
            fn handle_timeout(&mut self, now: Instant) {
                <$machine>::handle_timeout(self, now);
            }
            fn poll_transmit(&mut self) -> Option<Transmit> {
                <$machine>::poll_transmit(self)
            }
            fn poll_action(&mut self) -> Option<$action> {
                <$machine>::poll_action(self)
            }
            fn poll_timeout(&self) -> Option<Instant> {
                <$machine>::poll_timeout(self)
            }
            fn wants_input(&self) -> bool {
                <$machine>::wants_input(self)
            }
            fn has_ended(&self) -> bool {
                <$machine>::has_ended(self)
            }
        }
    };
}

machine!(portline::git::fetch::client::Client, portline::git::fetch::client::Action);
machine!(portline::git::fetch::server::Server, portline::git::fetch::server::Action);
machine!(portline::git::push::client::Client, portline::git::push::client::Action);
machine!(portline::git::push::server::Server, portline::git::push::server::Action);

/// Answers one machine's actions.
pub trait Driver<M: Machine> {
    /// Does what the machine asks.
    ///
    /// # Errors
    /// What makes going on impossible.
    fn act(&mut self, now: Instant, machine: &mut M, action: M::Action) -> Result<(), Error>;
    /// Hands on what a worker has done.
    ///
    /// # Errors
    /// As [`Driver::act`].
    fn handle_work(&mut self, now: Instant, machine: &mut M, work: Work) -> Result<(), Error>;
    /// Lets workers go on as far as the machine has room.
    fn pump(&mut self, _machine: &M) {}
    /// All output that there was has been written.
    fn drained(&mut self) {}
    /// Whether the next action can be taken. `false` holds up the machine, and with it the peer.
    fn takes_actions(&self) -> bool {
        true
    }
    /// Whether a worker is going to post.
    fn is_busy(&self) -> bool;
    /// See [`Session::lives_by_output`].
    fn lives_by_output(&self) -> bool {
        false
    }
}

/// How a session ended: by what its machine said, which knows best, and by what its loop came to.
///
/// # Errors
/// Whichever failed, the machine first.
pub fn ended<T>(said: Option<Result<T, Error>>, ran: Result<(), Error>) -> Result<T, Error> {
    match (said, ran) {
        (Some(Err(error)), _) | (_, Err(error)) => Err(error),
        (Some(Ok(done)), Ok(())) => Ok(done),
        (None, Ok(())) => Err(Error::Stalled),
    }
}

/// A machine and its driver: a [`Session`] over a byte transport.
#[derive(Debug)]
pub struct GitSession<'a, M, D> {
    /// The machine.
    pub machine: M,
    /// Who answers it.
    pub driver: &'a mut D,
}

impl<M: Machine, D: Driver<M>> Session for GitSession<'_, M, D> {
    fn handle_bytes(&mut self, now: Instant, bytes: Bytes) {
        self.machine.handle_bytes(now, bytes);
    }

    fn handle_closed(&mut self, now: Instant) {
        self.machine.handle_closed(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.machine.handle_timeout(now);
    }

    fn handle_work(&mut self, now: Instant, work: Work) -> Result<(), Error> {
        self.driver.handle_work(now, &mut self.machine, work)
    }

    fn advance(&mut self, now: Instant) -> Result<(), Error> {
        while self.driver.takes_actions() {
            let Some(action) = self.machine.poll_action() else { break };
            self.driver.act(now, &mut self.machine, action)?;
        }
        self.driver.pump(&self.machine);
        Ok(())
    }

    fn drained(&mut self) {
        self.driver.drained();
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.machine.poll_transmit()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    fn wants_input(&self) -> bool {
        self.machine.wants_input()
    }

    fn is_busy(&self) -> bool {
        self.driver.is_busy()
    }

    fn is_done(&self) -> bool {
        self.machine.has_ended() && !self.driver.is_busy()
    }

    fn lives_by_output(&self) -> bool {
        self.driver.lives_by_output()
    }
}
