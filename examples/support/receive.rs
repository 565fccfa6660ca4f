//! The driver of [`push::server`]: a repository that is pushed to.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use portline::Instant;
use portline::git::push::server::{Action, Config, Outcome, Server, Update};
use portline::git::{RefView, Serving, Version};
use tempfile::NamedTempFile;

use super::after::After;
use super::border::Border;
use super::certificate;
use super::drive::{self, Driver, Mailbox, Work};
use super::error::Error;
use super::incoming::Incoming;
use super::pack::StoreOptions;
use super::partial::Kind;
use super::quarantine::Quarantine;
use super::refs;
use super::repository::Repository;
use super::update::Job;

/// The machine's configuration as the repository's settings have it.
///
/// # Errors
/// [`Error::Unusable`] for a namespace that is none, [`Error::Git`], [`Error::Io`].
pub fn config(
    repository: &Repository,
    serving: Serving,
    version: Version,
    idle_timeout: Option<Duration>,
) -> Result<Config, Error> {
    let settings = repository.config();
    Ok(Config {
        serving,
        version,
        format: repository.format(),
        session_id: repository.session_id(),
        view: repository.view("receive")?,
        shallow: repository.shallow()?,
        nonce: certificate::fresh_nonce(repository)?,
        atomic: settings.truth("receive.advertiseatomic").unwrap_or(true),
        push_options: settings.truth("receive.advertisepushoptions").unwrap_or(false),
        ofs_delta: settings.truth("repack.usedeltabaseoffset").unwrap_or(true),
        after_report: true,
        resume: settings.truth("portline.resume").unwrap_or(true),
        keep_alive: settings.keep_alive("receive"),
        idle_timeout,
        ..Config::default()
    })
}

/// Answers the machine from a repository.
#[derive(Debug)]
pub struct ReceiveDriver<'a> {
    repository: &'a Repository,
    mailbox: Mailbox,
    view: RefView,
    nonce: Option<Bytes>,
    /// The pack being stored.
    incoming: Incoming<'a>,
    /// The client's shallow border, for the program that stores it.
    border: Option<NamedTempFile>,
    /// The client's direction has ended: a pack that is not whole is a broken one.
    broke: bool,
    /// The pack that was stored.
    quarantine: Option<Quarantine>,
    /// Who updates the refs, or does what follows the report.
    worker: Option<JoinHandle<()>>,
    /// What follows the report.
    after: Option<Box<After>>,
    result: Option<Result<Outcome, Error>>,
}

impl<'a> ReceiveDriver<'a> {
    /// A driver that has not been asked yet, for a machine of that configuration.
    pub fn new(repository: &'a Repository, config: &Config, mailbox: Mailbox) -> Self {
        Self {
            repository,
            mailbox,
            view: config.view.clone(),
            nonce: config.nonce.clone(),
            incoming: Incoming::new(repository),
            border: None,
            broke: false,
            quarantine: None,
            worker: None,
            after: None,
            result: None,
        }
    }

    /// How the session ended.
    ///
    /// # Errors
    /// [`Error::Session`] when it failed.
    pub fn into_result(mut self, ran: Result<(), Error>) -> Result<Outcome, Error> {
        drive::ended(self.result.take(), ran)
    }

    /// Looks for what is kept of a push with these commands.
    fn find_part(&mut self, update: &Update) {
        let commands =
            update.commands.iter().map(|command| format!("{} {} {}", command.old, command.new, command.name));
        self.incoming.look(&self.mailbox, Kind::Push, Some(commands.collect()));
    }

    fn begin(&mut self, now: Instant, machine: &mut Server, update: &Update) -> Result<(), Error> {
        let mut options = StoreOptions::configured(self.repository, "receive");
        options.quiet = update.quiet;
        self.border = Border::told(self.repository, &update.shallow)?;
        options.shallow_file = self.border.as_ref().map(|file| file.path().to_owned());
        if let Err(error) = self.incoming.open(options, &self.mailbox) {
            machine.progress(now, Bytes::from(format!("error: {error}\n")))?;
            let reason = Bytes::from_static(b"unable to create temporary object directory");
            machine.pack_stored(now, Err(reason))?;
        }
        Ok(())
    }

    /// The store is done: its answer goes to the machine, the objects wait for the refs.
    fn stored(&mut self, now: Instant, machine: &mut Server) -> Result<(), Error> {
        let Some(result) = self.incoming.finish(self.broke)? else { return Ok(()) };
        self.border = None;
        if machine.has_ended() {
            return Ok(());
        }
        let answer = match result {
            Ok(quarantine) => {
                self.quarantine = Some(quarantine);
                Ok(())
            }
            Err(error) => Err(Bytes::from(error.to_string())),
        };
        Ok(machine.pack_stored(now, answer)?)
    }

    fn update(&mut self, update: Update) {
        let job = Job {
            repository: self.repository.clone(),
            view: self.view.clone(),
            quarantine: self.quarantine.take(),
            update,
            nonce: self.nonce.clone(),
            mailbox: self.mailbox.clone(),
        };
        let mailbox = self.mailbox.clone();
        // Hooks may take their time; what they print is to reach the client meanwhile.
        self.worker = Some(thread::spawn(move || {
            let (results, after) = job.run();
            mailbox.post(Work::RefsUpdated(results, Some(Box::new(after))));
        }));
    }

    /// Does what follows the report.
    fn follow_up(&mut self, now: Instant, machine: &mut Server) -> Result<(), Error> {
        let Some(after) = self.after.take() else { return Ok(machine.done(now)?) };
        let mailbox = self.mailbox.clone();
        self.worker = Some(thread::spawn(move || {
            after.run();
            mailbox.post(Work::AfterDone);
        }));
        Ok(())
    }

    fn end(&mut self, result: Result<Outcome, Error>) {
        self.incoming.give_up();
        self.quarantine = None;
        self.result = Some(result);
    }

    fn join(&mut self) {
        if let Some(worker) = self.worker.take() {
            // It has posted its results or lost its mailbox; either way it ends by itself.
            let _ = worker.join();
        }
    }
}

impl Driver<Server> for ReceiveDriver<'_> {
    fn act(&mut self, now: Instant, machine: &mut Server, action: Action) -> Result<(), Error> {
        match action {
            Action::ListRefs => {
                let refs = refs::plain(self.repository.git())?;
                machine.refs_listed(now, refs, self.repository.alternate_tips())?;
            }
            Action::FindPart(update) => self.find_part(&update),
            Action::ReceivePack(update) => self.begin(now, machine, &update)?,
            Action::Resumed { offset } => self.incoming.resumed(offset)?,
            Action::Pack(bytes) => {
                if !self.incoming.push(bytes)? {
                    self.stored(now, machine)?;
                }
            }
            Action::PackEnd => {
                self.broke = true;
                if !self.incoming.end() {
                    self.stored(now, machine)?;
                }
            }
            Action::UpdateRefs(update) => self.update(update),
            Action::Reported => self.follow_up(now, machine)?,
            Action::Finished(outcome) => self.end(Ok(outcome)),
            Action::Failed(error) => self.end(Err(Error::session(&error))),
        }
        Ok(())
    }

    fn handle_work(&mut self, now: Instant, machine: &mut Server, work: Work) -> Result<(), Error> {
        match work {
            Work::PartFound(found) => {
                self.incoming.found(*found)?;
                if !machine.has_ended() {
                    machine.part_found(now, self.incoming.held().cloned())?;
                }
            }
            Work::PieceTaken => self.incoming.taken(),
            // From here on the client waits for us. A machine that has its answer already needs no such word.
            Work::PackRead => drop(machine.pack_complete(now)),
            Work::StoreEnded => self.stored(now, machine)?,
            Work::Message(bytes) if !machine.has_ended() => machine.progress(now, bytes)?,
            Work::RefsUpdated(results, after) => {
                self.join();
                self.after = after;
                if !machine.has_ended() {
                    machine.refs_rewritten(now, results)?;
                }
            }
            Work::AfterDone => {
                self.join();
                if !machine.has_ended() {
                    machine.done(now)?;
                }
            }
            Work::Message(_)
            | Work::PackChunk { .. }
            | Work::PackUri { .. }
            | Work::PackResumes { .. }
            | Work::PackDiffers { .. }
            | Work::PackEnded { .. } => {}
        }
        Ok(())
    }

    fn takes_actions(&self) -> bool {
        self.incoming.has_room()
    }

    /// A pack that is coming, and refs that are moving, are seen to their end whoever hears of it.
    fn lives_by_output(&self) -> bool {
        !self.incoming.is_open() && self.worker.is_none()
    }

    fn is_busy(&self) -> bool {
        self.worker.is_some() || self.incoming.is_busy()
    }
}

/// Refs that are being moved are moved to the end, even when the client has gone: half a push is nobody's
/// wish.
impl Drop for ReceiveDriver<'_> {
    fn drop(&mut self) {
        self.join();
    }
}
