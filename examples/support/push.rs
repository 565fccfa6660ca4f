//! The driver of [`push::client`]: a repository that pushes.

use std::io;

use bytes::Bytes;
use portline::Instant;
use portline::git::Advertisement;
use portline::git::push::Command;
use portline::git::push::client::{Action, Client};
use portline::git::push::report::Report;

use super::drive::{self, Driver, Mailbox, Work};
use super::error::Error;
use super::objects::ObjectReader;
use super::outgoing::{Outgoing, Told};
use super::repository::Repository;
use super::sign;
use super::terminal::Progress;

/// Chooses what to push from what the server has.
pub type Choose<'a> = Box<dyn FnMut(&Advertisement) -> Result<Vec<Command>, Error> + 'a>;

/// Answers the machine from a repository.
pub struct PushDriver<'a> {
    repository: &'a Repository,
    mailbox: Mailbox,
    objects: ObjectReader,
    choose: Choose<'a>,
    shows: bool,
    remote: Progress,
    local: Progress,
    outgoing: Outgoing<'a>,
    result: Option<Result<Report, Error>>,
}

impl<'a> PushDriver<'a> {
    /// A driver that lets `choose` tell what to push. The server's messages are always shown, our own
    /// progress if `shows`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn new(
        repository: &'a Repository,
        mailbox: Mailbox,
        choose: Choose<'a>,
        shows: bool,
    ) -> Result<Self, Error> {
        let objects = repository.object_reader()?;
        let (remote, local) = (Progress::remote(), Progress::local());
        Ok(Self {
            repository,
            mailbox,
            objects,
            choose,
            shows,
            remote,
            local,
            outgoing: Outgoing::new(repository),
            result: None,
        })
    }

    /// The server's report.
    ///
    /// # Errors
    /// [`Error::Session`] when the session failed.
    pub fn into_result(self, ran: Result<(), Error>) -> Result<Report, Error> {
        drive::ended(self.result, ran)
    }

    fn end(&mut self, result: Result<Report, Error>) -> Result<(), Error> {
        self.outgoing.drop();
        self.result = Some(result);
        let shown = self.remote.finish(&mut io::stderr()).and(self.local.finish(&mut io::stderr()));
        shown.map_err(Error::io("progress cannot be shown"))
    }
}

impl Driver<Client> for PushDriver<'_> {
    fn act(&mut self, now: Instant, machine: &mut Client, action: Action) -> Result<(), Error> {
        match action {
            Action::Advertised(seen) => {
                let commands = (self.choose)(&seen)?;
                machine.push(now, commands)?;
            }
            Action::Sign(text) => match sign::sign(self.repository, &text) {
                Ok(signature) => machine.signed(now, &signature)?,
                Err(error) => machine.sign_failed(now, Bytes::from(error.to_string()))?,
            },
            Action::BuildPack(mut request) => {
                request.progress = self.shows;
                self.outgoing.start(&mut self.objects, &request, &self.mailbox)?;
            }
            Action::Progress(bytes) => {
                let shown = self.remote.show(&mut io::stderr(), &bytes);
                shown.map_err(Error::io("progress cannot be shown"))?;
            }
            Action::Finished(report) => self.end(Ok(report))?,
            Action::Failed(error) => self.end(Err(Error::session(&error)))?,
        }
        Ok(())
    }

    fn handle_work(&mut self, now: Instant, machine: &mut Client, work: Work) -> Result<(), Error> {
        let told =
            self.outgoing.heed(work, &mut self.objects, &self.mailbox)?.filter(|_| !machine.has_ended());
        match told {
            Some(Told::Resumes) => machine.pack_resumes(now)?,
            Some(Told::Chunk(bytes)) => machine.pack_chunk(now, bytes)?,
            Some(Told::Message(bytes)) => {
                let shown = self.local.show(&mut io::stderr(), &bytes);
                shown.map_err(Error::io("progress cannot be shown"))?;
            }
            Some(Told::Finished) => machine.pack_finished(now)?,
            Some(Told::Failed) => machine.pack_failed(now, Bytes::from_static(b"pack-objects failed"))?,
            Some(Told::Uri { .. }) | None => {}
        }
        Ok(())
    }

    fn pump(&mut self, machine: &Client) {
        if machine.wants_pack() {
            self.outgoing.allow();
        }
    }

    /// A machine that has room for the pack and does not want it has been answered too early; the next piece lets it
    /// say so.
    fn drained(&mut self) {
        self.outgoing.allow();
    }

    fn is_busy(&self) -> bool {
        self.outgoing.is_busy()
    }
}
