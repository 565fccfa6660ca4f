//! A session with `receive-pack`: `list for-push`, and the `push` that may follow it.

#![allow(unreachable_pub)]

use std::collections::BTreeMap;

use portline::git::push::Command as Update;
use portline::git::push::client::{Action, Client, Config, Signing};
use portline::git::push::report::{RefReport, Report, Updated};
use portline::git::{Advertisement, ObjectId, RefName, Service};
use portline::{Instant, Printable};

use super::quote::quote;
use super::support::drive::{self, Drive, Driver, GitSession, Mailbox, Work};
use super::support::push::PushDriver;
use super::support::sign;
use super::support::{Error, Repository};
use super::talk::{Command, Spec, Talk};

/// Shows Git the refs, unless it has seen them, and pushes what it then asks for. What Git says next, if that is
/// something else, comes back.
///
/// # Errors
/// Whatever kept the refs from being shown or the server from reporting.
pub fn session(talk: &mut Talk, specs: Option<Vec<Spec>>) -> Result<Option<Command>, Error> {
    let repository = super::open()?;
    let (remote, version) = talk.remote(Service::ReceivePack)?;
    let (connection, request) = remote.connect(Service::ReceivePack, version)?;
    let config = Config { request, ..Config::default() };
    let drive = Drive::new(connection);
    let machine = Client::new(config, drive.now());
    let mailbox = drive.mailbox();
    let mut driver = Listing {
        talk,
        repository: &repository,
        mailbox,
        specs,
        next: None,
        told: BTreeMap::new(),
        push: Push::None,
    };
    let ran = drive.run(&mut GitSession { machine, driver: &mut driver });
    let Listing { talk, specs, next, told, push, .. } = driver;
    let report = match push {
        Push::Driver(driver) => driver.into_result(ran)?,
        Push::Over(result) => drive::ended(Some(result), ran).map(|()| Report::default())?,
        Push::None => drive::ended(None, ran)?,
    };
    if let Some(specs) = specs {
        tell(talk, &specs, told, report)?;
        // They were for this push.
        talk.settings.push_options.clear();
        talk.settings.expected.clear();
    }
    Ok(next)
}

/// What Git is told of one ref.
type Told = Result<(), String>;

/// Tells Git what became of each ref, in the order it asked.
fn tell(talk: &Talk, specs: &[Spec], mut told: BTreeMap<RefName, Told>, report: Report) -> Result<(), Error> {
    let mut text = String::new();
    let mut updates: BTreeMap<RefName, Vec<Updated>> = BTreeMap::new();
    if let Err(reason) = &report.unpack {
        talk.warn(&format!("error: remote unpack failed: {}", Printable(reason)))?;
    }
    for RefReport { name, result, updates: redirected } in report.refs {
        told.insert(name.clone(), result.map_err(|reason| quote(&reason)));
        updates.insert(name, redirected);
    }
    for Spec { target, .. } in specs {
        let name = String::from_utf8_lossy(target.as_bytes());
        match told.get(target) {
            Some(Ok(())) => {
                text.push_str(&format!("ok {name}\n"));
                for update in updates.get(target).into_iter().flatten() {
                    text.push_str(&options(update));
                }
            }
            Some(Err(reason)) => text.push_str(&format!("error {name} {reason}\n")),
            None => text.push_str(&format!("error {name} expecting report\n")),
        }
    }
    text.push('\n');
    talk.say(&text)
}

/// The `option` lines of an update that the server did in its own way.
fn options(update: &Updated) -> String {
    let mut text = String::new();
    if let Some(name) = &update.name {
        text.push_str(&format!("option refname {}\n", String::from_utf8_lossy(name.as_bytes())));
    }
    for (key, id) in [("old-oid", update.old), ("new-oid", update.new)] {
        if let Some(id) = id {
            text.push_str(&format!("option {key} {id}\n"));
        }
    }
    if update.forced {
        text.push_str("option forced-update\n");
    }
    text
}

/// Talks to Git while the server waits for commands; from then on a [`PushDriver`] does it all.
struct Listing<'a> {
    talk: &'a mut Talk,
    repository: &'a Repository,
    mailbox: Mailbox,
    /// `None`: Git has not been shown the refs yet.
    specs: Option<Vec<Spec>>,
    next: Option<Command>,
    /// What is known without the server.
    told: BTreeMap<RefName, Told>,
    push: Push<'a>,
}

enum Push<'a> {
    /// Nothing was asked for yet.
    None,
    /// It has begun.
    Driver(Box<PushDriver<'a>>),
    /// The session ended without one.
    Over(Result<(), Error>),
}

impl Listing<'_> {
    /// The server's refs are here: what to send it.
    fn begin(&mut self, seen: &Advertisement) -> Result<Vec<Update>, Error> {
        if self.specs.is_none() {
            self.talk.list(seen)?;
            match self.talk.next_command()? {
                Command::Push(specs) => self.specs = Some(specs),
                other => self.next = Some(other),
            }
        }
        let Some(specs) = &self.specs else { return Ok(Vec::new()) };
        let mut updates = Vec::new();
        for (spec, new) in specs.iter().zip(resolve(self.repository, specs)?) {
            let old = seen.find(&spec.target).map_or(ObjectId::null(seen.format), |entry| entry.id);
            let mut expected = self.talk.settings.expected.iter();
            let told = match new {
                None => Err("no match".to_owned()),
                Some(_) if expected.any(|(name, id)| *name == spec.target && *id != old) => {
                    Err("stale info".to_owned())
                }
                Some(new) if new == old => Ok(()),
                Some(new) => {
                    updates.push(Update { name: spec.target.clone(), old, new });
                    Err("expecting report".to_owned())
                }
            };
            self.told.insert(spec.target.clone(), told);
        }
        let refused = self.told.values().filter(|told| told.is_err()).count() > updates.len();
        if self.talk.settings.atomic && refused {
            for update in updates.drain(..) {
                self.told.insert(update.name, Err("atomic push failed".to_owned()));
            }
        }
        if self.talk.settings.dry_run {
            for update in updates.drain(..) {
                self.told.insert(update.name, Ok(()));
            }
        }
        Ok(updates)
    }
}

/// The objects that the specs push: one child process for all of them. `None`: there is no such thing.
fn resolve(repository: &Repository, specs: &[Spec]) -> Result<Vec<Option<ObjectId>>, Error> {
    let sources: Vec<&str> =
        specs.iter().map(|spec| spec.source.as_str()).filter(|name| !name.is_empty()).collect();
    let input: String = sources.iter().map(|name| format!("{name}\n")).collect();
    let asked = ["cat-file", "--batch-check=%(objectname)", "--buffer"];
    let answer =
        if sources.is_empty() { Vec::new() } else { repository.git().ask(&asked, input.into_bytes())? };
    let mut found = answer.split(|byte| *byte == b'\n').map(|line| ObjectId::from_hex(line).ok());
    let null = ObjectId::null(repository.format());
    let new = |spec: &Spec| if spec.source.is_empty() { Some(null) } else { found.next().flatten() };
    Ok(specs.iter().map(new).collect())
}

impl Driver<Client> for Listing<'_> {
    fn act(&mut self, now: Instant, machine: &mut Client, action: Action) -> Result<(), Error> {
        if let Push::Driver(driver) = &mut self.push {
            return driver.act(now, machine, action);
        }
        match action {
            Action::Advertised(seen) => {
                let updates = self.begin(&seen)?;
                if updates.is_empty() {
                    return Ok(machine.push(now, updates)?);
                }
                let settings = &self.talk.settings;
                let signing = match settings.sign {
                    None => None,
                    Some(required) => Some(Signing {
                        pusher: sign::identity(self.repository)?.into(),
                        pushee: Some(self.talk.url().to_owned().into()),
                        required,
                    }),
                };
                let config = machine.config_mut();
                config.signing = signing;
                config.atomic = settings.atomic;
                config.quiet = settings.verbosity < 1;
                config.shallow = self.repository.shallow()?;
                config.push_options.clone_from(&settings.push_options);
                let choose = Box::new(move |_: &_| Ok(updates.clone()));
                let mailbox = self.mailbox.clone();
                let mut driver = PushDriver::new(self.repository, mailbox, choose, settings.progress)?;
                driver.act(now, machine, Action::Advertised(seen))?;
                self.push = Push::Driver(Box::new(driver));
            }
            Action::Finished(_) => self.push = Push::Over(Ok(())),
            Action::Failed(error) => self.push = Push::Over(Err(Error::session(&error))),
            Action::Sign(_) | Action::BuildPack(_) | Action::Progress(_) => {}
        }
        Ok(())
    }

    fn handle_work(&mut self, now: Instant, machine: &mut Client, work: Work) -> Result<(), Error> {
        match &mut self.push {
            Push::Driver(driver) => driver.handle_work(now, machine, work),
            Push::None | Push::Over(_) => Ok(()),
        }
    }

    fn pump(&mut self, machine: &Client) {
        if let Push::Driver(driver) = &mut self.push {
            driver.pump(machine);
        }
    }

    fn drained(&mut self) {
        if let Push::Driver(driver) = &mut self.push {
            driver.drained();
        }
    }

    fn is_busy(&self) -> bool {
        match &self.push {
            Push::Driver(driver) => driver.is_busy(),
            Push::None | Push::Over(_) => false,
        }
    }
}
