//! A session with `upload-pack`: `list`, and the `fetch` that may follow it.

#![allow(unreachable_pub)]

use std::cell::OnceCell;

use portline::Instant;
use portline::git::fetch::client::{Action, Client, Config, Listing as List};
use portline::git::fetch::negotiator::Algorithm;
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
    let config = Config {
        request,
        version,
        no_progress: !talk.settings.progress,
        // What Git has seen it needs not be shown again.
        listing: if wants.is_some() { List::None } else { List::All },
        algorithm: talk.algorithm()?,
        ..Config::default()
    };
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
            let wants = wants.unwrap_or_default();
            let mut tips = Vec::new();
            if talk.settings.update_shallow {
                fetched.take_border(repository, &wants)?;
                tips.clone_from(&wants);
            } else {
                for want in &wants {
                    // What the server has only in part is not taken over unasked; Git says so to its user.
                    if !fetched.is_cut_off(repository, want)? {
                        tips.push(*want);
                    }
                }
            }
            let kept = fetched.accept(repository, &tips)?;
            for mark in kept.map(Kept::hand_over).into_iter().flatten() {
                talk.say(&format!("lock {}\n", mark.display()))?;
            }
            if talk.settings.check_connectivity && tips.len() == wants.len() {
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
        let opened = super::open()?;
        let repository = self.repository.get_or_init(|| opened);
        let settings = &self.talk.settings;
        let promise = self.talk.promise(repository);
        let config = machine.config_mut();
        config.include_tag = settings.follow_tags;
        config.shallow = repository.shallow()?;
        config.deepen = settings.deepen(repository)?;
        if let Some(promise) = &promise {
            (config.filter, config.thin_pack) = (Some(promise.filter.clone()), false);
        }
        if settings.refetch {
            config.algorithm = Algorithm::Noop;
        }
        let choose = Box::new(move |_: &_| Ok(wants.clone()));
        let driver = FetchDriver::new(repository, self.mailbox.clone(), choose, settings.progress)?;
        self.fetch = Fetch::Driver(Box::new(driver.with_promise(promise)));
        Ok(true)
    }
}

impl Driver<Client> for Listing<'_> {
    fn act(&mut self, now: Instant, machine: &mut Client, action: Action) -> Result<(), Error> {
        if let Fetch::Driver(driver) = &mut self.fetch {
            return match action {
                // All of it again, whatever is here.
                Action::FindHeld(_) if self.talk.settings.refetch => Ok(machine.held(now, Vec::new())?),
                action => driver.act(now, machine, action),
            };
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
