//! A session with `upload-pack`: `list`, and the `fetch` that may follow it.

#![allow(unreachable_pub)]

use std::cell::OnceCell;

use portline::Instant;
use portline::git::fetch::client::{Action, Client, Config};
use portline::git::{ObjectId, Service};

use super::support::drive::{self, Drive, Driver, GitSession, Mailbox, Work};
use super::support::fetch::FetchDriver;
use super::support::quarantine::Kept;
use super::support::{Error, Repository};
use super::talk::{Command, Talk};

/// Shows Git the refs, unless it knows already what it wants, and fetches what it then asks for. What Git says
/// next, if that is something else, comes back.
///
/// # Errors
/// Whatever kept the refs or the objects from coming.
pub fn session(talk: &mut Talk, wants: Option<Vec<ObjectId>>) -> Result<Option<Command>, Error> {
    let (remote, version) = talk.remote(Service::UploadPack)?;
    let (connection, request) = remote.connect(Service::UploadPack, version)?;
    let config = Config { request, no_progress: !talk.settings.progress, ..Config::default() };
    let drive = Drive::new(connection);
    let machine = Client::new(config, drive.now());
    let repository = OnceCell::new();
    let mailbox = drive.mailbox();
    let mut driver =
        Listing { talk, repository: &repository, mailbox, wants, next: None, fetch: Fetch::None };
    let ran = drive.run(&mut GitSession { machine, driver: &mut driver });
    let Listing { talk, wants, next, fetch, .. } = driver;
    match (fetch, repository.get()) {
        (Fetch::Driver(driver), Some(repository)) => {
            let mut fetched = driver.into_result(ran)?;
            let kept = fetched.accept(repository, &wants.unwrap_or_default())?;
            for mark in kept.map(Kept::hand_over).into_iter().flatten() {
                talk.say(&format!("lock {}\n", mark.display()))?;
            }
            if talk.settings.check_connectivity {
                talk.say("connectivity-ok\n")?;
            }
            talk.say("\n")?;
        }
        (Fetch::Over(result), _) => drive::ended(Some(result), ran)?,
        (Fetch::None | Fetch::Driver(_), _) => drive::ended::<()>(None, ran)?,
    }
    Ok(next)
}

/// Talks to Git while the server waits for wants; from then on a [`FetchDriver`] does it all.
struct Listing<'a> {
    talk: &'a mut Talk,
    repository: &'a OnceCell<Repository>,
    mailbox: Mailbox,
    /// `None`: Git has not been shown the refs yet.
    wants: Option<Vec<ObjectId>>,
    next: Option<Command>,
    fetch: Fetch<'a>,
}

enum Fetch<'a> {
    /// Nothing was asked for yet.
    None,
    /// It has begun.
    Driver(Box<FetchDriver<'a>>),
    /// The session ended without one.
    Over(Result<(), Error>),
}

impl Listing<'_> {
    /// The first action: what the server has. Whether a fetch begins.
    fn begin(&mut self, machine: &mut Client, action: &Action) -> Result<bool, Error> {
        if let (Action::Advertised(seen), None) = (action, &self.wants) {
            self.talk.list(seen)?;
            match self.talk.next_command()? {
                Command::Fetch(ids) => self.wants = Some(ids),
                other => self.next = Some(other),
            }
        }
        let Some(wants) = self.wants.clone() else { return Ok(false) };
        let settings = &self.talk.settings;
        machine.config_mut().include_tag = settings.follow_tags;
        let opened = super::open()?;
        let repository = self.repository.get_or_init(|| opened);
        let choose = Box::new(move |_: &_| Ok(wants.clone()));
        let driver = FetchDriver::new(repository, self.mailbox.clone(), choose, settings.progress)?;
        self.fetch = Fetch::Driver(Box::new(driver));
        Ok(true)
    }
}

impl Driver<Client> for Listing<'_> {
    fn act(&mut self, now: Instant, machine: &mut Client, action: Action) -> Result<(), Error> {
        if let Fetch::Driver(driver) = &mut self.fetch {
            return driver.act(now, machine, action);
        }
        match action {
            Action::Finished(_) => self.fetch = Fetch::Over(Ok(())),
            Action::Failed(error) => self.fetch = Fetch::Over(Err(Error::session(&error))),
            action => {
                if !self.begin(machine, &action)? {
                    machine.want(now, Vec::new(), Vec::new())?;
                } else if let Fetch::Driver(driver) = &mut self.fetch {
                    driver.act(now, machine, action)?;
                }
            }
        }
        Ok(())
    }

    fn handle_work(&mut self, now: Instant, machine: &mut Client, work: Work) -> Result<(), Error> {
        match &mut self.fetch {
            Fetch::Driver(driver) => driver.handle_work(now, machine, work),
            Fetch::None | Fetch::Over(_) => Ok(()),
        }
    }

    fn takes_actions(&self) -> bool {
        match &self.fetch {
            Fetch::Driver(driver) => driver.takes_actions(),
            Fetch::None | Fetch::Over(_) => true,
        }
    }

    fn is_busy(&self) -> bool {
        match &self.fetch {
            Fetch::Driver(driver) => driver.is_busy(),
            Fetch::None | Fetch::Over(_) => false,
        }
    }
}
