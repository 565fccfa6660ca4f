//! The serving side: answers the peer's fetches and pushes from one repository.

use bytes::Bytes;
use portline::git::{Request, Service};
use portline::peer::server::Action;
use portline::peer::{Config, Server};
use portline::{Instant, Transmit, git};

use super::pipe::{Input, Pipe};
use crate::support::drive::{Driver, Mailbox, Session, Work};
use crate::support::receive::{self, ReceiveDriver};
use crate::support::upload::{self, UploadDriver};
use crate::support::{Error, Repository};

/// What answers the running operation.
enum Operation<'a> {
    None,
    Fetch(Box<UploadDriver<'a>>),
    Push(Box<ReceiveDriver<'a>>),
}

/// The session of the right side.
pub struct Right<'a> {
    repository: &'a Repository,
    mailbox: Mailbox,
    machine: Server,
    pipe: Pipe,
    operation: Operation<'a>,
    closed: bool,
}

impl<'a> Right<'a> {
    /// A server for `repository`.
    ///
    /// # Errors
    /// [`Error::Session`] for a port configuration that cannot work.
    pub fn new(
        repository: &'a Repository,
        mailbox: Mailbox,
        config: &Config,
        now: Instant,
    ) -> Result<Self, Error> {
        let machine = Server::new(config, now).map_err(|error| Error::session(&error))?;
        Ok(Self {
            repository,
            mailbox,
            machine,
            pipe: Pipe::new(None),
            operation: Operation::None,
            closed: false,
        })
    }

    fn act(&mut self, now: Instant, action: Action) -> Result<(), Error> {
        match (action, &mut self.operation) {
            (Action::Requested(request), _) => self.accept(now, &request)?,
            (Action::Fetch(action), Operation::Fetch(driver)) => {
                if let Some(machine) = self.machine.fetch(now) {
                    driver.act(now, machine, action)?;
                }
            }
            (Action::Push(action), Operation::Push(driver)) => {
                if let Some(machine) = self.machine.push(now) {
                    driver.act(now, machine, action)?;
                }
            }
            (Action::Ready, _) => self.operation = Operation::None,
            (Action::Closed(_), _) => self.closed = true,
            _ => {}
        }
        Ok(())
    }

    /// One port is one repository: the path that is asked for says nothing here.
    fn accept(&mut self, now: Instant, request: &Request) -> Result<(), Error> {
        let (repository, mailbox) = (self.repository, self.mailbox.clone());
        match request.service {
            Service::UploadPack => {
                let config = upload::config(repository, git::Serving::Session, request.version, None)?;
                self.machine.accept_fetch(now, config)?;
                self.operation = Operation::Fetch(Box::new(UploadDriver::new(repository, mailbox)?));
            }
            Service::ReceivePack => {
                let config = receive::config(repository, git::Serving::Session, request.version, None)?;
                let driver = ReceiveDriver::new(repository, &config, mailbox);
                self.machine.accept_push(now, config)?;
                self.operation = Operation::Push(Box::new(driver));
            }
        }
        Ok(())
    }

    /// One message, if one has come and the machine has room. What ends the port comes as an action, too.
    fn take_input(&mut self, now: Instant) -> bool {
        if !self.machine.wants_input() {
            return false;
        }
        match self.pipe.next_input() {
            None => return false,
            Some(Input::Message(message)) => drop(self.machine.handle_message(now, message)),
            Some(Input::Closed) => drop(self.machine.handle_closed(now)),
        }
        true
    }

    fn takes_actions(&self) -> bool {
        match &self.operation {
            Operation::None => true,
            Operation::Fetch(driver) => driver.takes_actions(),
            Operation::Push(driver) => driver.takes_actions(),
        }
    }
}

impl Session for Right<'_> {
    fn handle_bytes(&mut self, _now: Instant, bytes: Bytes) {
        self.pipe.handle_bytes(bytes);
    }

    fn handle_closed(&mut self, _now: Instant) {
        self.pipe.handle_closed();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.machine.handle_timeout(now);
    }

    fn handle_work(&mut self, now: Instant, work: Work) -> Result<(), Error> {
        match &mut self.operation {
            Operation::None => {}
            Operation::Fetch(driver) => {
                if let Some(machine) = self.machine.fetch(now) {
                    driver.handle_work(now, machine, work)?;
                }
            }
            Operation::Push(driver) => {
                if let Some(machine) = self.machine.push(now) {
                    driver.handle_work(now, machine, work)?;
                }
            }
        }
        Ok(())
    }

    fn advance(&mut self, now: Instant) -> Result<(), Error> {
        loop {
            while self.takes_actions() {
                let Some(action) = self.machine.poll_action() else { break };
                self.act(now, action)?;
            }
            if !self.take_input(now) {
                break;
            }
        }
        self.pipe.check()?;
        if let (Operation::Fetch(driver), Some(machine)) = (&mut self.operation, self.machine.fetch(now)) {
            driver.pump(machine);
        }
        Ok(())
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let message = self.machine.poll_transmit()?;
        self.pipe.wrap(message)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    fn wants_input(&self) -> bool {
        self.pipe.wants_input() && self.machine.wants_input()
    }

    fn is_busy(&self) -> bool {
        match &self.operation {
            Operation::None => false,
            Operation::Fetch(driver) => driver.is_busy(),
            Operation::Push(driver) => driver.is_busy(),
        }
    }

    fn is_done(&self) -> bool {
        self.closed && !self.is_busy()
    }
}
