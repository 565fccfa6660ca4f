//! The driving side: answers the sync's questions from one repository, over one connection after another.

use std::thread::{self, JoinHandle};

use bytes::Bytes;
use portline::git::push::Command;
use portline::git::push::server::Update;
use portline::git::{Misuse, ObjectId, RefView};
use portline::peer::resilient::{self, Config, Failure, Outcome};
use portline::peer::{ResilientSync, TwoWaySync, sync};
use portline::{Instant, Transmit};

use super::bars::Bars;
use super::pipe::{Input, Pipe};
use super::table;
use crate::support::drive::{Mailbox, Session, Work};
use crate::support::history::{self, Loader};
use crate::support::incoming::{Found, Incoming};
use crate::support::objects::ObjectReader;
use crate::support::outgoing::{Outgoing, Told};
use crate::support::pack::StoreOptions;
use crate::support::partial::Kind;
use crate::support::process::Git;
use crate::support::quarantine::{Kept, Quarantine};
use crate::support::update::Job;
use crate::support::{Error, Repository};

/// The session of the left side.
pub struct Left<'a> {
    repository: &'a Repository,
    pub machine: ResilientSync,
    line: Option<Line>,
    objects: ObjectReader,
    loader: Loader,
    /// What was asked for: it must be whole before a ref may name it.
    asked: Vec<ObjectId>,
    incoming: Incoming<'a>,
    /// Fetched objects that a dry run looks at and leaves behind.
    quarantine: Option<Quarantine>,
    /// Marks that keep fetched packs until refs name their objects.
    kept: Option<Kept>,
    outgoing: Outgoing<'a>,
    updater: Option<JoinHandle<()>>,
    dry_run: bool,
    pub bars: Bars,
    pub end: Option<Result<Outcome, Box<Failure>>>,
    /// What only this side knows of why the last connection ended.
    pub broken: bool,
}

/// The connection of one attempt.
struct Line {
    pipe: Pipe,
    mailbox: Mailbox,
    /// The attempt is over; what is left is to let its workers end.
    over: bool,
}

/// What there is to do outside of a connection.
pub enum Turn {
    Connect { attempt: u32 },
    Wait { until: Instant },
    Over,
}

impl<'a> Left<'a> {
    /// A sync of `repository` with whoever is at the other end.
    ///
    /// # Errors
    /// [`Error::Session`] for a configuration that cannot work, [`Error::Io`].
    pub fn new(repository: &'a Repository, config: Config, now: Instant) -> Result<Self, Error> {
        let dry_run = config.sync.dry_run;
        let machine = ResilientSync::new(config, now).map_err(|error| Error::session(&error))?;
        Ok(Self {
            repository,
            machine,
            line: None,
            objects: repository.object_reader()?,
            loader: Loader::new(),
            asked: Vec::new(),
            incoming: Incoming::new(repository),
            quarantine: None,
            kept: None,
            outgoing: Outgoing::new(repository),
            updater: None,
            dry_run,
            bars: Bars::new(),
            end: None,
            broken: false,
        })
    }

    /// What to do while there is no connection.
    ///
    /// # Errors
    /// As [`Session::advance`].
    pub fn next_turn(&mut self, now: Instant) -> Result<Turn, Error> {
        while let Some(action) = self.machine.poll_action() {
            match action {
                resilient::Action::Connect { attempt } => return Ok(Turn::Connect { attempt }),
                resilient::Action::Wait { until } => return Ok(Turn::Wait { until }),
                other => self.act(now, other)?,
            }
        }
        Ok(Turn::Over)
    }

    /// The attempt has a connection.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn connected(&mut self, now: Instant, mailbox: Mailbox, pipe: Pipe) -> Result<(), Error> {
        self.line = Some(Line { pipe, mailbox, over: false });
        self.objects = self.repository.object_reader()?;
        self.machine.connected(now).map_err(|misuse| Error::session(&misuse))
    }

    /// The connection is gone, and with it all work of its attempt.
    pub fn disconnected(&mut self) {
        self.join();
        self.incoming.reset();
        self.outgoing.drop();
        self.kept = None;
        if let Some(line) = self.line.take() {
            self.bars.traffic(line.pipe.traffic);
            self.broken = line.pipe.is_broken();
        }
    }

    /// Git as it sees the objects of a dry run.
    fn git(&self) -> Git {
        match &self.quarantine {
            Some(quarantine) => self.repository.git().with(quarantine.environment()),
            None => self.repository.git().clone(),
        }
    }

    /// One message, if one has come and the machine has room. What ends the attempt comes as an action.
    fn take_input(&mut self, now: Instant) -> bool {
        if !self.machine.wants_input() {
            return false;
        }
        let Some(line) = &mut self.line else { return false };
        match line.pipe.next_input() {
            None => return false,
            Some(Input::Message(message)) => self.machine.handle_message(now, message),
            Some(Input::Closed) => self.machine.handle_closed(now),
        }
        true
    }

    /// Answers the sync; an answer that comes after its attempt is over is for nobody.
    fn answer(&mut self, verb: impl FnOnce(&mut TwoWaySync) -> Result<(), Misuse>) -> Result<(), Error> {
        self.machine.session().map_or(Ok(()), |sync| told(verb(sync)))
    }

    fn act(&mut self, now: Instant, action: resilient::Action) -> Result<(), Error> {
        match action {
            resilient::Action::Sync(action) => self.act_sync(now, action)?,
            resilient::Action::Disconnect => {
                self.incoming.give_up();
                self.outgoing.drop();
                if let Some(line) = &mut self.line {
                    line.over = true;
                }
            }
            resilient::Action::Finished(outcome) => {
                // One whose push was answered early still has a pack for nobody.
                self.outgoing.drop();
                self.end = Some(Ok(outcome));
            }
            resilient::Action::Failed(failure) => {
                self.incoming.give_up();
                self.outgoing.drop();
                self.end = Some(Err(Box::new(failure)));
            }
            // Not asked for by the config, and answered between two connections.
            resilient::Action::AskRetry
            | resilient::Action::Connect { .. }
            | resilient::Action::Wait { .. } => {}
        }
        Ok(())
    }

    fn act_sync(&mut self, now: Instant, action: sync::Action) -> Result<(), Error> {
        use sync::Action;
        match action {
            Action::ListRefs => {
                let refs = self.repository.refs_without_head()?;
                self.answer(|sync| sync.refs_listed(now, refs))?;
            }
            Action::FindHeld(ids) => {
                // What was asked for otherwise gives what is whole in it.
                let asked = ids.iter().map(ToString::to_string).collect();
                if let Some(line) = &self.line {
                    self.incoming.look(&line.mailbox, Kind::Fetch, Some(asked));
                }
                self.asked = ids;
            }
            Action::LoadCommits(ids) => {
                let commits = self.loader.load(&self.git(), &mut self.objects, &ids)?;
                self.answer(|sync| sync.commits(now, commits))?;
            }
            Action::Progress(text) => self.bars.remote(&text),
            Action::Resumed { offset } => self.resumed(offset)?,
            Action::Pack(bytes) => self.take(now, bytes)?,
            Action::PackEnd => {
                self.bars.moved();
                if !self.incoming.end() {
                    self.stored(now)?;
                }
            }
            Action::Planned(plan) => table::plan(&plan),
            Action::UpdateRefs(commands) => self.update(commands),
            Action::BuildPack(mut request) => {
                request.progress = true;
                if let Some(line) = &self.line {
                    self.outgoing.start(&mut self.objects, &request, &line.mailbox)?;
                }
            }
            // They come as the end of the whole.
            Action::Finished(_) | Action::Failed(_) => {}
        }
        Ok(())
    }

    /// What is kept of the pack is known: it is named before the answer that begins the fetch.
    fn found(&mut self, now: Instant, found: Found) -> Result<(), Error> {
        self.incoming.found(found)?;
        if let Some(part) = self.incoming.held().cloned() {
            self.answer(|sync| sync.resume(now, part))?;
        }
        let held = history::held(&self.git(), &mut self.objects, &self.asked)?;
        self.answer(|sync| sync.held(now, held))
    }

    /// The right side goes on with a pack that broke off, or does not.
    fn resumed(&mut self, offset: u64) -> Result<(), Error> {
        if offset > 0 {
            self.bars.note(&format!("the pack goes on from byte {offset}"));
        }
        self.open()?;
        self.incoming.resumed(offset)
    }

    fn open(&mut self) -> Result<(), Error> {
        match &self.line {
            Some(line) if !self.incoming.is_open() => {
                let mut options = StoreOptions::configured(self.repository, "fetch");
                (options.verbose, options.quiet) = (true, false);
                self.incoming.open(options, &line.mailbox)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn take(&mut self, now: Instant, bytes: Bytes) -> Result<(), Error> {
        self.bars.fetched(bytes.len());
        self.open()?;
        if self.incoming.push(bytes)? { Ok(()) } else { self.stored(now) }
    }

    /// The pack is stored: nothing that was asked for may miss an object before it becomes part of the repository.
    fn stored(&mut self, now: Instant) -> Result<(), Error> {
        let Some(stored) = self.incoming.finish(false)? else { return Ok(()) };
        let result = match stored {
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
        self.answer(|sync| sync.pack_stored(now, result))
    }

    /// Moves refs as a push to this repository would: its own settings and hooks have the last word.
    fn update(&mut self, commands: Vec<Command>) {
        let Some(mailbox) = self.line.as_ref().map(|line| line.mailbox.clone()) else { return };
        let update = Update { quiet: true, ..Update::new(commands) };
        let (repository, view, nonce) = (self.repository.clone(), RefView::default(), None);
        let job = Job { repository, view, quarantine: None, update, nonce, mailbox: mailbox.clone() };
        self.updater = Some(thread::spawn(move || {
            let (results, after) = job.run();
            after.run();
            mailbox.post(Work::RefsUpdated(results, None));
        }));
    }

    /// Whether this connection has served its purpose.
    fn is_over(&self) -> bool {
        self.end.is_some() || self.line.as_ref().is_none_or(|line| line.over)
    }

    fn join(&mut self) {
        if let Some(updater) = self.updater.take() {
            // It ends by itself; refs that are being moved are moved to the end.
            let _ = updater.join();
        }
    }

    fn built(&mut self, now: Instant, work: Work) -> Result<(), Error> {
        let Some(line) = &self.line else { return Ok(()) };
        let Some(told) = self.outgoing.heed(work, &mut self.objects, &line.mailbox)? else { return Ok(()) };
        let sync = self.machine.session();
        let answered = match told {
            Told::Resumes => sync.map(|sync| sync.pack_resumes(now)),
            Told::Chunk(bytes) => {
                self.bars.pushed(bytes.len());
                sync.map(|sync| sync.pack_chunk(now, bytes))
            }
            Told::Finished => {
                self.bars.moved();
                sync.map(|sync| sync.pack_finished(now))
            }
            Told::Failed => {
                sync.map(|sync| sync.pack_failed(now, Bytes::from_static(b"pack-objects failed")))
            }
            Told::Message(_) | Told::Uri { .. } => return Ok(()),
        };
        // A push that is over although its pack is not was refused: the rest of it is for nobody.
        if is_over(answered)? {
            self.outgoing.drop();
        }
        Ok(())
    }
}

impl Session for Left<'_> {
    fn handle_bytes(&mut self, _now: Instant, bytes: Bytes) {
        if let Some(line) = &mut self.line {
            line.pipe.handle_bytes(bytes);
        }
    }

    fn handle_closed(&mut self, _now: Instant) {
        if let Some(line) = &mut self.line {
            line.pipe.handle_closed();
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.machine.handle_timeout(now);
    }

    fn handle_work(&mut self, now: Instant, work: Work) -> Result<(), Error> {
        match work {
            Work::PackChunk { .. }
            | Work::PackResumes { .. }
            | Work::PackDiffers { .. }
            | Work::PackEnded { .. } => self.built(now, work)?,
            Work::Message(bytes) => self.bars.local(&bytes),
            Work::PartFound(found) => self.found(now, *found)?,
            Work::PieceTaken => self.incoming.taken(),
            Work::PackUri { .. } | Work::PackRead => {}
            Work::StoreEnded => self.stored(now)?,
            Work::RefsUpdated(results, _) => {
                self.join();
                self.kept = None;
                let results = results.into_iter().map(|result| result.map(drop)).collect();
                self.answer(|sync| sync.refs_updated(now, results))?;
            }
            Work::AfterDone => {}
        }
        Ok(())
    }

    fn advance(&mut self, now: Instant) -> Result<(), Error> {
        loop {
            while !self.is_over() && self.incoming.has_room() {
                let Some(action) = self.machine.poll_action() else { break };
                self.act(now, action)?;
            }
            if !self.take_input(now) {
                break;
            }
        }
        if let Some(line) = &self.line {
            line.pipe.check()?;
        }
        if self.machine.session().is_some_and(TwoWaySync::wants_pack) {
            self.outgoing.allow();
        }
        Ok(())
    }

    /// Nothing is on its way, not even an acknowledgement, and still the machine wants no pack: it has been answered
    /// too early. The next piece lets it say so.
    fn drained(&mut self) {
        if self.machine.session().is_some_and(|sync| sync.poll_timeout().is_none()) {
            self.outgoing.allow();
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let line = self.line.as_mut()?;
        let message = self.machine.poll_transmit()?;
        line.pipe.wrap(message)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    fn wants_input(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.pipe.wants_input()) && self.machine.wants_input()
    }

    fn is_busy(&self) -> bool {
        self.updater.is_some() || self.outgoing.is_busy() || self.incoming.is_busy()
    }

    fn is_done(&self) -> bool {
        self.is_over() && !self.is_busy()
    }
}

/// An answer that comes after the sync has ended is for nobody; any other misuse is a bug in this driver.
fn told(result: Result<(), Misuse>) -> Result<(), Error> {
    match result {
        Ok(()) | Err(Misuse::Ended { .. }) => Ok(()),
        Err(misuse) => Err(misuse.into()),
    }
}

/// Whether an answer came after the operation that had asked for it, or after its attempt.
fn is_over(result: Option<Result<(), Misuse>>) -> Result<bool, Error> {
    match result {
        Some(Ok(())) => Ok(false),
        None | Some(Err(Misuse::Ended { .. } | Misuse::NotAsked { .. })) => Ok(true),
        Some(Err(misuse)) => Err(misuse.into()),
    }
}
