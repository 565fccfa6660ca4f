//! The driver of [`fetch::client`]: a repository that fetches.

use std::io;

use portline::Instant;
use portline::git::fetch::client::{Action, Client, Config, Outcome};
use portline::git::{Advertisement, ObjectId, ShallowUpdate};

use super::drive::{self, Driver, Mailbox, Work};
use super::error::Error;
use super::history::{self, Loader};
use super::incoming::{Found, Incoming};
use super::objects::ObjectReader;
use super::pack::StoreOptions;
use super::partial::{self, Kind};
use super::process::Git;
use super::promise::Promise;
use super::quarantine::{Kept, Quarantine};
use super::repository::Repository;
use super::shallow::Border;
use super::terminal::Progress;

/// Chooses what to fetch from what the server has.
pub type Choose<'a> = Box<dyn FnMut(&Advertisement) -> Result<Vec<ObjectId>, Error> + 'a>;

/// What the machine has to know of the repository: its shallow border.
///
/// # Errors
/// [`Error::Io`].
pub fn configured(repository: &Repository) -> Result<Config, Error> {
    Ok(Config { shallow: repository.shallow()?, ..Config::default() })
}

/// How the shallow border is to be, once the objects are here.
#[derive(Debug, Default)]
enum Cut {
    /// As it is.
    #[default]
    Stays,
    /// As was asked for.
    Moves(Border),
    /// The server's own history ends somewhere: its border on top of ours, for what reaches it.
    Remote(Border),
}

/// Answers the machine from a repository.
pub struct FetchDriver<'a> {
    repository: &'a Repository,
    mailbox: Mailbox,
    objects: ObjectReader,
    loader: Loader,
    choose: Choose<'a>,
    /// Whether our own progress is shown; what the server says is shown in any case.
    shows: bool,
    remote: Progress,
    local: Progress,
    seen: Option<Advertisement>,
    promise: Option<Promise>,
    cut: Cut,
    incoming: Incoming<'a>,
    /// What is wanted, and what is here, until it is known what is kept of a pack that broke.
    waiting: Option<(Vec<ObjectId>, Vec<ObjectId>)>,
    quarantine: Option<Quarantine>,
    result: Option<Result<Outcome, Error>>,
}

/// What a fetch brought. The objects are not part of the repository before [`Fetched::accept`].
#[derive(Debug)]
pub struct Fetched {
    /// What the server advertised.
    pub advertisement: Advertisement,
    /// What the session came to.
    pub outcome: Outcome,
    quarantine: Option<Quarantine>,
    promise: Option<Promise>,
    cut: Cut,
}

impl<'a> FetchDriver<'a> {
    /// A driver that lets `choose` tell what to fetch, and shows our own progress on standard
    /// error if `shows`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn new(
        repository: &'a Repository,
        mailbox: Mailbox,
        choose: Choose<'a>,
        shows: bool,
    ) -> Result<Self, Error> {
        Ok(Self {
            repository,
            mailbox,
            objects: repository.object_reader()?,
            loader: Loader::new(),
            choose,
            shows,
            remote: Progress::remote(),
            local: Progress::local(),
            seen: None,
            promise: None,
            cut: Cut::Stays,
            incoming: Incoming::new(repository),
            waiting: None,
            quarantine: None,
            result: None,
        })
    }

    /// The same for a partial clone: what comes is marked as what the server promised to complete. The machine's
    /// filter is to be that of the promise, and its pack not thin: what a delta builds on might be left out here.
    pub fn with_promise(mut self, promise: Option<Promise>) -> Self {
        self.promise = promise;
        self
    }

    /// What was fetched.
    ///
    /// # Errors
    /// [`Error::Session`] when the session failed.
    pub fn into_result(mut self, ran: Result<(), Error>) -> Result<Fetched, Error> {
        let shown = self.remote.finish(&mut io::stderr()).and(self.local.finish(&mut io::stderr()));
        shown.map_err(Error::io("progress cannot be shown"))?;
        let outcome = drive::ended(self.result, ran)?;
        let advertisement = self.seen.ok_or(Error::Stalled)?;
        if outcome.pack && self.quarantine.is_none() {
            return Err(Error::Session { message: "the pack is not complete".to_owned() });
        }
        let Self { quarantine, promise, cut, .. } = self;
        Ok(Fetched { advertisement, outcome, quarantine, promise, cut })
    }

    fn advertised(&mut self, machine: &mut Client, seen: Advertisement) -> Result<(), Error> {
        if seen.format != self.repository.format() {
            let message = "the two repositories do not use the same object format".to_owned();
            return Err(Error::Session { message });
        }
        let wants = (self.choose)(&seen)?;
        let listed = self.repository.refs()?;
        let mut tips: Vec<ObjectId> = listed.iter().map(|entry| entry.peeled.unwrap_or(entry.id)).collect();
        tips.extend(self.repository.alternate_tips());
        tips.sort_unstable();
        tips.dedup();
        if self.promise.is_some() && !Promise::is_kept_by(&seen) {
            // In Git's words; all objects come.
            self.promise = None;
            self.show(b"warning: filtering not recognized by server, ignoring\n", false)?;
        }
        let asked = partial::is_offered(&seen).then(|| {
            let config = machine.config_mut();
            let mut parts: Vec<String> = wants.iter().map(ToString::to_string).collect();
            parts.push(format!("{:?} {:?} {:?}", config.filter, config.deepen, config.shallow));
            parts
        });
        self.incoming.look(&self.mailbox, Kind::Fetch, asked);
        (self.waiting, self.seen) = (Some((wants, tips)), Some(seen));
        Ok(())
    }

    /// What is kept of packs that broke is known: that was all that the wants waited for.
    fn found(&mut self, now: Instant, machine: &mut Client, found: Found) -> Result<(), Error> {
        let whole = self.incoming.found(found)?;
        let Some((wants, mut tips)) = self.waiting.take().filter(|_| !machine.has_ended()) else {
            return Ok(());
        };
        tips.extend(whole);
        Ok(machine.want(now, wants, tips)?)
    }

    fn take(&mut self, bytes: bytes::Bytes) -> Result<(), Error> {
        self.open()?;
        if self.incoming.push(bytes)? { Ok(()) } else { self.stored() }
    }

    fn open(&mut self) -> Result<(), Error> {
        if self.incoming.is_open() {
            return Ok(());
        }
        let mut options = StoreOptions::configured(self.repository, "fetch");
        (options.verbose, options.quiet) = (self.shows, !self.shows);
        options.promised = self.promise.is_some();
        options.environment.extend(self.promise.iter().flat_map(Promise::environment));
        options.environment.extend(self.cut.border().into_iter().flat_map(Border::environment));
        self.incoming.open(options, &self.mailbox)
    }

    /// The server goes on with a pack that broke off, or does not.
    fn resumed(&mut self, offset: u64) -> Result<(), Error> {
        self.open()?;
        self.incoming.resumed(offset)
    }

    fn stored(&mut self) -> Result<(), Error> {
        match self.incoming.finish(false)? {
            None => Ok(()),
            Some(Ok(quarantine)) => {
                self.quarantine = Some(quarantine);
                Ok(())
            }
            Some(Err(error)) => Err(Error::session(&error)),
        }
    }

    fn show(&mut self, bytes: &[u8], remote: bool) -> Result<(), Error> {
        let progress = if remote { &mut self.remote } else { &mut self.local };
        progress.show(&mut io::stderr(), bytes).map_err(Error::io("progress cannot be shown"))
    }
}

impl Driver<Client> for FetchDriver<'_> {
    fn act(&mut self, now: Instant, machine: &mut Client, action: Action) -> Result<(), Error> {
        match action {
            Action::Advertised(seen) => self.advertised(machine, seen)?,
            Action::FindHeld(ids) => {
                if let Some(part) = self.incoming.held() {
                    machine.resume(now, part.clone())?;
                }
                machine.held(now, history::held(self.repository.git(), &mut self.objects, &ids)?)?;
            }
            Action::LoadCommits(ids) => {
                let commits = self.loader.load(self.repository.git(), &mut self.objects, &ids)?;
                machine.commits(now, commits)?;
            }
            Action::Shallow(update) => self.cut = Cut::Moves(Border::moved(self.repository, &update)?),
            Action::RemoteShallow(shallow) => {
                let update = ShallowUpdate { shallow, unshallow: Vec::new() };
                self.cut = Cut::Remote(Border::moved(self.repository, &update)?);
            }
            // Answers to what this driver does not ask.
            Action::WantedRefs(_) | Action::PackUris(_) | Action::ObjectInfo(_) | Action::Bundles(_) => {}
            Action::Progress(bytes) => self.show(&bytes, true)?,
            Action::Resumed { offset } => self.resumed(offset)?,
            Action::Pack(bytes) => self.take(bytes)?,
            Action::Finished(outcome) => {
                self.result = Some(Ok(outcome));
                if !self.incoming.end() {
                    self.stored()?;
                }
            }
            Action::Failed(error) => {
                self.incoming.give_up();
                self.result = Some(Err(Error::session(&error)));
            }
        }
        Ok(())
    }

    fn handle_work(&mut self, now: Instant, machine: &mut Client, work: Work) -> Result<(), Error> {
        match work {
            Work::PartFound(found) => self.found(now, machine, *found)?,
            Work::PieceTaken => self.incoming.taken(),
            Work::StoreEnded => {
                self.stored()?;
                if !machine.has_ended() {
                    // Without a sideband the pack's own trailer is the end. With one the machine knows
                    // better.
                    let _ = machine.pack_complete(now);
                }
            }
            Work::Message(bytes) => self.show(&bytes, false)?,
            Work::PackChunk { .. }
            | Work::PackUri { .. }
            | Work::PackResumes { .. }
            | Work::PackDiffers { .. }
            | Work::PackEnded { .. }
            | Work::PackRead
            | Work::RefsUpdated(..)
            | Work::AfterDone => {}
        }
        Ok(())
    }

    fn takes_actions(&self) -> bool {
        self.incoming.has_room()
    }

    fn is_busy(&self) -> bool {
        self.incoming.is_busy()
    }
}

impl Cut {
    const fn border(&self) -> Option<&Border> {
        match self {
            Self::Stays => None,
            Self::Moves(border) | Self::Remote(border) => Some(border),
        }
    }
}

impl Fetched {
    /// Git as it sees the repository with what was fetched.
    fn git(&self, repository: &Repository) -> Git {
        let mut git = repository.git().clone();
        if let Some(quarantine) = &self.quarantine {
            git = git.with(quarantine.environment());
        }
        if let Some(promise) = &self.promise {
            git = git.with(promise.environment());
        }
        match &self.cut {
            Cut::Moves(border) => git.with(border.environment()),
            Cut::Stays | Cut::Remote(_) => git,
        }
    }

    /// Whether the history of `tip` is cut off where only the server's is: Git takes no such ref over unless told
    /// so, or in a clone.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn is_cut_off(&self, repository: &Repository, tip: &ObjectId) -> Result<bool, Error> {
        match &self.cut {
            Cut::Stays | Cut::Moves(_) => Ok(false),
            Cut::Remote(_) => {
                Ok(history::connected(&self.git(repository), std::slice::from_ref(tip))?.is_err())
            }
        }
    }

    /// Takes the server's border over where `tips` reach it ([`Fetched::is_cut_off`]).
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Git`].
    pub fn take_border(&mut self, repository: &Repository, tips: &[ObjectId]) -> Result<(), Error> {
        let git = self.git(repository);
        self.cut = match std::mem::take(&mut self.cut) {
            Cut::Remote(mut border) => {
                border.keep_reached(&git, tips)?;
                Cut::Moves(border)
            }
            cut @ (Cut::Stays | Cut::Moves(_)) => cut,
        };
        Ok(())
    }

    /// Takes the objects in, if everything that `tips` reach is there, and moves the shallow border. A repository
    /// without refs is a clone and takes a shallow server's border over. Keep the answer until the refs are updated.
    ///
    /// # Errors
    /// [`Error::Session`] when something is missing, [`Error::Io`], [`Error::Git`].
    pub fn accept(&mut self, repository: &Repository, tips: &[ObjectId]) -> Result<Option<Kept>, Error> {
        if matches!(self.cut, Cut::Remote(_)) && repository.refs_without_head()?.is_empty() {
            self.take_border(repository, tips)?;
        }
        let git = self.git(repository);
        if let Err(words) = history::connected(&git, tips)? {
            let words = String::from_utf8_lossy(&words).into_owned();
            return Err(Error::Session { message: format!("the remote did not send all objects: {words}") });
        }
        if let Some(promise) = self.promise.take() {
            promise.commit(repository)?;
        }
        let kept = self.quarantine.take().map(Quarantine::migrate).transpose()?;
        if let Cut::Moves(border) = std::mem::take(&mut self.cut) {
            border.commit(repository)?;
        }
        Ok(kept)
    }
}
