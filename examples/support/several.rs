//! The event loop for a fetch from several sources: one thread owns the machine, each connection has its reader and its
//! writer thread, each pack its program.
//!
//! ```text
//!   connecting threads ── Connected ►┐
//!   each connection's threads, and   ├─ one channel ─ advance: actions are answered; each connection is written to when
//!   its pack's program ──── Event ──►┘                its last write is done, and read once when the machine wants more
//! ```
//!
//! A share's objects stay in quarantine until all that its wants reach is there.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;

use bytes::Bytes;
use portline::git::fetch::client::Action as Fetch;
use portline::git::{Advertisement, ObjectId, Service, Version};
use portline::peer::multi_source::{Action, Config, Failure, MultiSourceFetch, Outcome, SourceId};

use super::connection::{Connection, Streams};
use super::drive::{Clock, Event, Mailbox, Work};
use super::error::Error;
use super::history::{self, Loader};
use super::objects::ObjectReader;
use super::pack::{PackStore, StoreOptions};
use super::quarantine::{Kept, Quarantine};
use super::remote::Remote;
use super::repository::Repository;

/// Bytes gathered into one write.
const WRITE: usize = 256 << 10;

/// Chooses what to fetch from what a source has.
pub type Choose<'a> = Box<dyn Fn(&Advertisement) -> Vec<ObjectId> + 'a>;

/// What the loop is woken by: of which source, and of which of its connections.
struct News {
    source: usize,
    connection: u64,
    what: What,
}

enum What {
    Connected(Result<Connection, Error>),
    Event(Event),
    /// Whether all that a share's wants reach is there.
    Judged(Result<Result<(), Vec<u8>>, Error>),
}

/// A connection that is there.
struct Line {
    streams: Streams,
    reading: bool,
    writing: bool,
}

/// What is to be done when the pack is stored.
#[derive(Default)]
struct Pack {
    store: Option<PackStore>,
    /// Its program has ended.
    ended: bool,
    /// All of it has come, and this was wanted with it.
    wants: Option<Vec<ObjectId>>,
    /// It is in its quarantine, and is looked at.
    judged: Option<Quarantine>,
}

struct Site {
    id: SourceId,
    remote: Remote,
    /// Connections so far.
    connection: u64,
    mailbox: Option<Mailbox>,
    line: Option<Line>,
    pack: Pack,
    seen: Option<Advertisement>,
    /// It has failed before it was seen.
    failed: bool,
}

/// What came of it.
pub struct Fetched {
    /// What the wants were chosen by: of the first source in their order that did not fail.
    pub advertisement: Option<Advertisement>,
    /// The machine's end.
    pub end: Result<Outcome, Failure>,
    /// Keeps the packs until the refs are moved.
    pub kept: Vec<Kept>,
}

/// A fetch from several sources into a repository.
pub struct Several<'a> {
    repository: &'a Repository,
    version: Version,
    choose: Choose<'a>,
    machine: MultiSourceFetch,
    sites: Vec<Site>,
    clock: Clock,
    sender: Sender<News>,
    news: Receiver<News>,
    objects: ObjectReader,
    loader: Loader,
    kept: Vec<Kept>,
    /// What was wanted of the packs that are taken in: there with all that it reaches.
    brought: Vec<ObjectId>,
    /// By what the wants were chosen.
    chosen: Option<Advertisement>,
    end: Option<Result<Outcome, Failure>>,
}

impl<'a> Several<'a> {
    /// The first of `remotes` that answers says what the refs are, and `choose` what of it is fetched.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Usage`] for delays that cannot be.
    pub fn new(
        repository: &'a Repository,
        remotes: Vec<Remote>,
        version: Version,
        config: Config,
        choose: Choose<'a>,
    ) -> Result<Self, Error> {
        let clock = Clock::start();
        let usage = |error: &dyn std::fmt::Display| Error::Usage(error.to_string());
        let mut machine = MultiSourceFetch::new(config, clock.now()).map_err(|error| usage(&error))?;
        let mut sites = Vec::new();
        for remote in remotes {
            let request = remote.request(Service::UploadPack, version);
            let id = machine.add_source(clock.now(), request).map_err(|error| usage(&error))?;
            let (line, mailbox, seen, pack) = (None, None, None, Pack::default());
            sites.push(Site { id, remote, connection: 0, mailbox, line, pack, seen, failed: false });
        }
        machine.no_more_sources();
        let ((sender, news), objects) = (channel(), repository.object_reader()?);
        let (loader, kept, brought, chosen, end) = (Loader::new(), Vec::new(), Vec::new(), None, None);
        Ok(Self {
            repository,
            version,
            choose,
            machine,
            sites,
            clock,
            sender,
            news,
            objects,
            loader,
            kept,
            brought,
            chosen,
            end,
        })
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// What makes going on impossible; what a source does is in the machine's end.
    pub fn run(mut self) -> Result<Fetched, Error> {
        loop {
            while let Some(action) = self.machine.poll_action() {
                self.act(action)?;
            }
            self.decide()?;
            for site in 0..self.sites.len() {
                self.write(site);
                self.read(site);
            }
            if let Some(end) = self.end.take() {
                return Ok(Fetched { advertisement: self.chosen, end, kept: self.kept });
            }
            let news = match self.machine.poll_timeout() {
                Some(deadline) => {
                    let wait = deadline.saturating_duration_since(self.clock.now());
                    match self.news.recv_timeout(wait) {
                        Ok(news) => Some(news),
                        Err(RecvTimeoutError::Timeout) => None,
                        Err(RecvTimeoutError::Disconnected) => return Err(Error::Stalled),
                    }
                }
                None => Some(self.news.recv().map_err(|_| Error::Stalled)?),
            };
            if let Some(news) = news {
                self.hear(news)?;
            }
            self.machine.handle_timeout(self.clock.now());
        }
    }

    fn act(&mut self, action: Action) -> Result<(), Error> {
        match action {
            Action::Connect { source } => self.connect(source.index()),
            Action::Disconnect { source } => self.disconnect(source.index()),
            Action::Advertised { source, advertisement } => {
                if let Some(site) = self.sites.get_mut(source.index()) {
                    site.seen = Some(advertisement);
                }
            }
            Action::Fetch { source, action } => self.answer(source, action)?,
            Action::PackEnd { source, wants } => {
                let site = source.index();
                if let Some(one) = self.sites.get_mut(site) {
                    one.pack.wants = Some(wants);
                    let runs = one.pack.store.as_mut().is_some_and(PackStore::end);
                    if !runs || one.pack.ended {
                        self.stored(site)?;
                    }
                }
            }
            Action::Wait { .. } => {}
            Action::Finished(outcome) => self.end = Some(Ok(outcome)),
            Action::Failed(failure) => self.end = Some(Err(failure)),
        }
        Ok(())
    }

    fn connect(&mut self, site: usize) {
        let Some(one) = self.sites.get_mut(site) else { return };
        one.connection = one.connection.saturating_add(1);
        one.pack = Pack::default();
        let (remote, version, sender) = (one.remote.clone(), self.version, self.sender.clone());
        let (source, connection) = (site, one.connection);
        thread::spawn(move || {
            let connected = remote.connect(Service::UploadPack, version).map(|(connection, _)| connection);
            sender.send(News { source, connection, what: What::Connected(connected) })
        });
    }

    /// Sends what the session still has to say, and drops the connection. A pack that has come stays.
    fn disconnect(&mut self, site: usize) {
        let is_writing = |line: &Line| line.writing;
        let is_stuck = self.sites.get(site).and_then(|one| one.line.as_ref()).is_some_and(is_writing);
        self.write(site);
        let Some(one) = self.sites.get_mut(site) else { return };
        // A peer that takes nothing is not waited for.
        if let Some(mut line) = one.line.take().filter(|_| !is_stuck) {
            line.streams.end_output();
        }
        one.failed |= one.seen.is_none();
        if one.pack.wants.is_none() {
            one.pack = Pack::default();
        }
    }

    fn connected(&mut self, site: usize, connected: Result<Connection, Error>) -> Result<(), Error> {
        let (now, sender) = (self.clock.now(), self.sender.clone());
        let Some(one) = self.sites.get_mut(site) else { return Ok(()) };
        let used = match connected {
            Ok(connection) => {
                let (mailbox, events) = Mailbox::channel();
                let (source, number) = (site, one.connection);
                thread::spawn(move || {
                    events.into_iter().all(|event| {
                        let what = What::Event(event);
                        sender.send(News { source, connection: number, what }).is_ok()
                    })
                });
                let streams = connection.start(&mailbox);
                one.line = Some(Line { streams, reading: false, writing: false });
                one.mailbox = Some(mailbox);
                self.machine.connected(now, one.id)
            }
            Err(error) => {
                one.failed |= one.seen.is_none();
                let words = portline::Printable(error.to_string().as_bytes()).to_string();
                self.machine.connect_failed(now, one.id, words.into())
            }
        };
        // One that comes too late is of no use.
        if used.is_err() {
            one.line = None;
        }
        Ok(())
    }

    fn answer(&mut self, source: SourceId, action: Fetch) -> Result<(), Error> {
        let (now, repository) = (self.clock.now(), self.repository);
        match action {
            Fetch::Pack(bytes) => return self.take(source.index(), bytes),
            Fetch::FindHeld(ids) => {
                let held = history::held(repository.git(), &mut self.objects, &ids)?;
                if let Some(session) = self.machine.session(source) {
                    session.held(now, held)?;
                }
            }
            Fetch::LoadCommits(ids) => {
                let commits = self.loader.load(repository.git(), &mut self.objects, &ids)?;
                if let Some(session) = self.machine.session(source) {
                    session.commits(now, commits)?;
                }
            }
            // Of several at once the progress says nothing; the rest answers what is not asked here. What a shallow
            // source has only in part is found out when it is stored.
            Fetch::Progress(_)
            | Fetch::Shallow(_)
            | Fetch::RemoteShallow(_)
            | Fetch::WantedRefs(_)
            | Fetch::PackUris(_)
            | Fetch::ObjectInfo(_)
            | Fetch::Bundles(_)
            | Fetch::Resumed { .. }
            | Fetch::Advertised(_)
            | Fetch::Finished(_)
            | Fetch::Failed(_) => {}
        }
        Ok(())
    }

    fn take(&mut self, site: usize, bytes: Bytes) -> Result<(), Error> {
        let repository = self.repository;
        let Some(one) = self.sites.get_mut(site) else { return Ok(()) };
        let Some(mailbox) = &one.mailbox else { return Ok(()) };
        let store = match &mut one.pack.store {
            Some(store) => store,
            none => {
                let mut options = StoreOptions::configured(repository, "fetch");
                options.quiet = true;
                none.insert(PackStore::new(repository, options, mailbox)?)
            }
        };
        // One that is refused is found out at its end.
        store.push(repository, bytes).map(drop)
    }

    /// The pack's program has ended, and all of the pack has come. What its wants reach is looked at beside the loop, so
    /// that no other source waits for it.
    fn stored(&mut self, site: usize) -> Result<(), Error> {
        let Some(one) = self.sites.get_mut(site) else { return Ok(()) };
        // Not even a header came of one that has no store.
        let Some(store) = one.pack.store.take() else {
            return self.answered(site, Err("there is no pack".into()));
        };
        let quarantine = match store.finish()? {
            Ok(quarantine) => quarantine,
            Err(error) => return self.answered(site, Err(error.to_string().into())),
        };
        let git = self.repository.git().with(quarantine.environment());
        one.pack.judged = Some(quarantine);
        let (wants, brought) = (one.pack.wants.clone().unwrap_or_default(), self.brought.clone());
        let (source, connection, sender) = (site, one.connection, self.sender.clone());
        thread::spawn(move || {
            let judged = history::connected_beside(&git, &wants, &brought);
            sender.send(News { source, connection, what: What::Judged(judged) })
        });
        Ok(())
    }

    /// The share's objects are taken in if nothing is missing.
    fn judged(&mut self, site: usize, judged: Result<(), Vec<u8>>) -> Result<(), Error> {
        let Some(one) = self.sites.get_mut(site) else { return Ok(()) };
        let Some(quarantine) = one.pack.judged.take() else { return Ok(()) };
        if let Err(words) = judged {
            return self.answered(site, Err(words.into()));
        }
        self.kept.push(quarantine.migrate()?);
        self.brought.extend(one.pack.wants.take().unwrap_or_default());
        self.answered(site, Ok(()))
    }

    /// The last of a share.
    fn answered(&mut self, site: usize, stored: Result<(), Bytes>) -> Result<(), Error> {
        let Some(one) = self.sites.get_mut(site) else { return Ok(()) };
        one.pack = Pack::default();
        self.machine.pack_stored(self.clock.now(), one.id, stored).map_err(|error| Error::session(&error))
    }

    fn hear(&mut self, news: News) -> Result<(), Error> {
        let (now, site) = (self.clock.now(), news.source);
        let Some(one) = self.sites.get_mut(site).filter(|one| one.connection == news.connection) else {
            return Ok(());
        };
        let event = match news.what {
            What::Connected(connected) => return self.connected(site, connected),
            What::Judged(judged) => return self.judged(site, judged?),
            What::Event(event) => event,
        };
        match event {
            Event::Input(bytes) => {
                one.line.iter_mut().for_each(|line| line.reading = false);
                self.machine.handle_bytes(now, one.id, bytes);
            }
            Event::InputEnded => self.machine.handle_closed(now, one.id),
            Event::Written => one.line.iter_mut().for_each(|line| line.writing = false),
            // Its last words may still be on their way to us; then its input ends.
            Event::WriteFailed(_) => {}
            Event::Work(Work::PieceTaken) => one.pack.store.iter_mut().for_each(PackStore::taken),
            Event::Work(Work::StoreEnded) => {
                one.pack.ended = true;
                if one.pack.wants.is_some() {
                    return self.stored(site);
                }
                if let Some(session) = self.machine.session(one.id) {
                    // Without a sideband the pack's own trailer is the end. With one the machine knows better.
                    let _ = session.pack_complete(now);
                }
            }
            Event::Work(_) => {}
        }
        Ok(())
    }

    fn write(&mut self, site: usize) {
        let Some(one) = self.sites.get_mut(site) else { return };
        let Some(line) = one.line.as_mut().filter(|line| !line.writing) else { return };
        let (mut turn, mut bytes) = (Vec::new(), 0_usize);
        while bytes < WRITE {
            let Some(transmit) = self.machine.poll_transmit(one.id) else { break };
            bytes = bytes.saturating_add(transmit.len());
            turn.push(transmit);
        }
        if !turn.is_empty() {
            line.writing = line.streams.write(turn);
        }
    }

    fn read(&mut self, site: usize) {
        let Some(one) = self.sites.get_mut(site) else { return };
        let has_room = one.pack.store.as_ref().is_none_or(PackStore::has_room);
        let wants = has_room && self.machine.wants_input(one.id);
        if let Some(line) = one.line.as_mut().filter(|line| wants && !line.reading) {
            line.reading = line.streams.read();
        }
    }

    /// Tells what is wanted, when the first source was heard of those that can be.
    fn decide(&mut self) -> Result<(), Error> {
        if self.machine.left().is_some() || self.machine.has_ended() || self.end.is_some() {
            return Ok(());
        }
        let first = self.sites.iter_mut().find(|site| site.seen.is_some() || !site.failed);
        let Some(seen) = first.and_then(|site| site.seen.take()) else { return Ok(()) };
        if seen.format != self.repository.format() {
            let message = "the two repositories do not use the same object format".to_owned();
            return Err(Error::Session { message });
        }
        let wants = (self.choose)(&seen);
        self.chosen = Some(seen);
        let listed = self.repository.refs()?;
        let mut tips: Vec<ObjectId> = listed.iter().map(|entry| entry.peeled.unwrap_or(entry.id)).collect();
        tips.extend(self.repository.alternate_tips());
        tips.sort_unstable();
        tips.dedup();
        let told = self.machine.want(self.clock.now(), wants, tips);
        told.map_err(|error| Error::session(&error))?;
        while let Some(action) = self.machine.poll_action() {
            self.act(action)?;
        }
        Ok(())
    }
}

/// What a source is called: its URL, or its program.
pub fn name(remote: &Remote) -> String {
    match remote {
        Remote::Daemon { .. } => remote.url().unwrap_or_default(),
        Remote::Program(words) => {
            words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
        }
    }
}
