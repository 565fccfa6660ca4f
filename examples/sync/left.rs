//! The driving side: answers the sync's questions from one repository.

use std::thread::{self, JoinHandle};

use bytes::Bytes;
use portline::git::push::Command;
use portline::git::push::server::Update;
use portline::git::{Misuse, ObjectId, RefView};
use portline::peer::TwoWaySync;
use portline::peer::sync::{self, Action, Config, Failure, Outcome};
use portline::{Instant, Transmit};

use super::bars::Bars;
use super::pipe::{Input, Pipe};
use super::table;
use crate::support::drive::{Mailbox, Session, Work};
use crate::support::history::{self, Loader};
use crate::support::objects::ObjectReader;
use crate::support::pack::{PackBuilder, PackStore, StoreOptions};
use crate::support::process::Git;
use crate::support::quarantine::{Kept, Quarantine};
use crate::support::update::Job;
use crate::support::{Error, Repository};

/// The session of the left side.
pub struct Left<'a> {
    repository: &'a Repository,
    mailbox: Mailbox,
    machine: TwoWaySync,
    pipe: Pipe,
    objects: ObjectReader,
    loader: Loader,
    /// What was asked for: it must be whole before a ref may name it.
    asked: Vec<ObjectId>,
    store: Option<PackStore>,
    /// Fetched objects that a dry run looks at and leaves behind.
    quarantine: Option<Quarantine>,
    /// Marks that keep fetched packs until refs name their objects.
    kept: Option<Kept>,
    builder: Option<PackBuilder>,
    updater: Option<JoinHandle<()>>,
    dry_run: bool,
    bars: Bars,
    end: Option<Result<Outcome, Box<Failure>>>,
}

impl<'a> Left<'a> {
    /// A sync of `repository` with whoever is at the other end.
    ///
    /// # Errors
    /// [`Error::Session`] for a port configuration that cannot work, [`Error::Io`].
    pub fn new(
        repository: &'a Repository,
        mailbox: Mailbox,
        config: Config,
        pipe: Pipe,
        now: Instant,
    ) -> Result<Self, Error> {
        let dry_run = config.dry_run;
        let machine = TwoWaySync::new(config, now).map_err(|error| Error::session(&error))?;
        Ok(Self {
            repository,
            mailbox,
            machine,
            pipe,
            objects: repository.object_reader()?,
            loader: Loader::new(),
            asked: Vec::new(),
            store: None,
            quarantine: None,
            kept: None,
            builder: None,
            updater: None,
            dry_run,
            bars: Bars::new(),
            end: None,
        })
    }

    /// How it ended, with what was done until then; `ran` is what the event loop says.
    pub fn into_result(mut self, ran: Result<(), Error>) -> (Outcome, Result<(), Error>) {
        self.join();
        self.bars.traffic(self.pipe.traffic);
        match self.end.take() {
            Some(Ok(outcome)) => (outcome, Ok(())),
            Some(Err(failure)) => (failure.outcome, Err(self.explain(&failure.error))),
            None => (Outcome::default(), ran.and(Err(Error::Stalled))),
        }
    }

    /// The error, and what to do about it.
    fn explain(&self, error: &sync::Error) -> Error {
        let Error::Session { mut message } = Error::session(error) else { return Error::Stalled };
        if self.pipe.is_broken() {
            message = "the connection was broken, as --break-after asked".to_owned();
        }
        if matches!(error, sync::Error::Port(_)) {
            message += "; nothing is lost, and running sync again goes on from here";
        }
        Error::Session { message }
    }

    /// Git as it sees the objects of a dry run.
    fn git(&self) -> Git {
        match &self.quarantine {
            Some(quarantine) => self.repository.git().with(quarantine.environment()),
            None => self.repository.git().clone(),
        }
    }

    /// One message, if one has come and the machine has room. What ends the sync comes as an action, too.
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

    fn act(&mut self, now: Instant, action: Action) -> Result<(), Error> {
        match action {
            Action::ListRefs => told(self.machine.refs_listed(now, self.repository.refs_without_head()?))?,
            Action::FindHeld(ids) => {
                let held = history::held(&self.git(), &mut self.objects, &ids)?;
                self.asked = ids;
                told(self.machine.held(now, held))?;
            }
            Action::LoadCommits(ids) => {
                let commits = self.loader.load(&self.git(), &mut self.objects, &ids)?;
                told(self.machine.commits(now, commits))?;
            }
            Action::Progress(text) => self.bars.remote(&text),
            Action::Pack(bytes) => self.take(now, bytes)?,
            Action::PackEnd => {
                self.bars.moved();
                if !self.store.as_mut().is_some_and(PackStore::end) {
                    self.stored(now)?;
                }
            }
            Action::Planned(plan) => table::plan(&plan),
            Action::UpdateRefs(commands) => self.update(commands),
            Action::BuildPack(mut request) => {
                request.progress = true;
                self.builder =
                    Some(PackBuilder::start(self.repository, &mut self.objects, &request, &self.mailbox)?);
            }
            Action::Finished(outcome) => {
                self.builder = None;
                self.end = Some(Ok(outcome));
            }
            Action::Failed(failure) => {
                (self.store, self.builder) = (None, None);
                self.end = Some(Err(Box::new(failure)));
            }
        }
        Ok(())
    }

    fn take(&mut self, now: Instant, bytes: Bytes) -> Result<(), Error> {
        self.bars.fetched(bytes.len());
        let store = match &mut self.store {
            Some(store) => store,
            none => {
                let mut options = StoreOptions::configured(self.repository, "fetch");
                (options.verbose, options.quiet) = (true, false);
                none.insert(PackStore::new(self.repository, options, &self.mailbox)?)
            }
        };
        if store.push(self.repository, bytes)? { Ok(()) } else { self.stored(now) }
    }

    /// The pack is stored: nothing that was asked for may miss an object before it becomes part of the repository.
    fn stored(&mut self, now: Instant) -> Result<(), Error> {
        let Some(store) = self.store.take() else { return Ok(()) };
        let result = match store.finish()? {
            Err(error) => Err(Bytes::from(error.to_string())),
            Ok(quarantine) => {
                let judge = self.repository.git().with(quarantine.environment());
                match history::connected(&judge, &self.asked)? {
                    Err(words) => Err(Bytes::from(words)),
                    Ok(()) if self.dry_run => {
                        self.objects = self.repository.object_reader_through(&judge)?;
                        self.quarantine = Some(quarantine);
                        Ok(())
                    }
                    Ok(()) => {
                        self.kept = Some(quarantine.migrate()?);
                        self.objects = self.repository.object_reader()?;
                        Ok(())
                    }
                }
            }
        };
        told(self.machine.pack_stored(now, result))
    }

    /// Moves refs as a push to this repository would: its own settings and hooks have the last word.
    fn update(&mut self, commands: Vec<Command>) {
        let update = Update { quiet: true, ..Update::new(commands) };
        let (repository, mailbox) = (self.repository.clone(), self.mailbox.clone());
        let (view, nonce) = (RefView::default(), None);
        let job = Job { repository, view, quarantine: None, update, nonce, mailbox: mailbox.clone() };
        self.updater = Some(thread::spawn(move || {
            let (results, after) = job.run();
            after.run();
            mailbox.post(Work::RefsUpdated(results, None));
        }));
    }

    fn join(&mut self) {
        if let Some(updater) = self.updater.take() {
            // It ends by itself; refs that are being moved are moved to the end.
            let _ = updater.join();
        }
    }

    fn built(&mut self, now: Instant, work: Work) -> Result<(), Error> {
        let Some(mut builder) = self.builder.take_if(|builder| !builder.disowns(&work)) else {
            return Ok(());
        };
        match work {
            Work::PackChunk { bytes, .. } => {
                builder.came();
                let size = bytes.len();
                // A push that is over although its pack is not was refused: the rest of it is for nobody.
                if !is_over(self.machine.pack_chunk(now, bytes))? {
                    self.bars.pushed(size);
                    self.builder = Some(builder);
                }
            }
            _ if builder.finish()? => {
                self.bars.moved();
                is_over(self.machine.pack_finished(now))?;
            }
            _ => {
                let reason = Bytes::from_static(b"pack-objects failed");
                is_over(self.machine.pack_failed(now, reason))?;
            }
        }
        Ok(())
    }
}

impl Session for Left<'_> {
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
        match work {
            Work::PackChunk { .. } | Work::PackEnded { .. } => self.built(now, work)?,
            Work::Message(bytes) => self.bars.local(&bytes),
            Work::PieceTaken => {
                if let Some(store) = &mut self.store {
                    store.taken();
                }
            }
            Work::PackUri { .. } | Work::PackRead => {}
            Work::StoreEnded => self.stored(now)?,
            Work::RefsUpdated(results, _) => {
                self.join();
                self.kept = None;
                let results = results.into_iter().map(|result| result.map(drop)).collect();
                told(self.machine.refs_updated(now, results))?;
            }
            Work::AfterDone => {}
        }
        Ok(())
    }

    fn advance(&mut self, now: Instant) -> Result<(), Error> {
        loop {
            while self.store.as_ref().is_none_or(PackStore::has_room) {
                let Some(action) = self.machine.poll_action() else { break };
                self.act(now, action)?;
            }
            if !self.take_input(now) {
                break;
            }
        }
        self.pipe.check()?;
        if let Some(builder) = &mut self.builder {
            if self.machine.wants_pack() {
                builder.allow();
            }
        }
        Ok(())
    }

    /// Nothing is on its way, not even an acknowledgement, and still the machine wants no pack: it has been answered
    /// too early. The next piece lets it say so.
    fn drained(&mut self) {
        if let Some(builder) = &mut self.builder {
            if self.machine.poll_timeout().is_none() {
                builder.allow();
            }
        }
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
        self.updater.is_some()
            || self.builder.is_some()
            || self.store.as_ref().is_some_and(PackStore::is_running)
    }

    fn is_done(&self) -> bool {
        self.end.is_some() && !self.is_busy()
    }
}

/// An answer that comes after the sync has ended is for nobody; any other misuse is a bug in this driver.
fn told(result: Result<(), Misuse>) -> Result<(), Error> {
    match result {
        Ok(()) | Err(Misuse::Ended { .. }) => Ok(()),
        Err(misuse) => Err(misuse.into()),
    }
}

/// Whether an answer came after the operation that had asked for it.
fn is_over(result: Result<(), Misuse>) -> Result<bool, Error> {
    match result {
        Ok(()) => Ok(false),
        Err(Misuse::Ended { .. } | Misuse::NotAsked { .. }) => Ok(true),
        Err(misuse) => Err(misuse.into()),
    }
}
