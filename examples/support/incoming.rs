//! A pack on its way in: the store that it goes to, and what is kept of it should it break off.
//!
//! ```text
//! look ─► Work::PartFound ─► found ─► [resumed] ─► push … ─► end ─► Work::StoreEnded ─► finish
//! ```
//!
//! What is kept may be large, so it is looked at beside the event loop: a peer goes on getting its answers meanwhile.

use std::thread::{self, JoinHandle};

use bytes::Bytes;
use portline::git::{ObjectId, Resume};

use super::drive::{Mailbox, Work};
use super::error::Error;
use super::pack::{PackStore, StoreError, StoreOptions};
use super::partial::{Kind, Partial, salvage};
use super::quarantine::Quarantine;
use super::repository::Repository;

/// What was kept of a pack, and the commits that came whole out of others.
pub type Found = Result<(Option<Partial>, Vec<ObjectId>), Error>;

/// The pack that a session receives.
#[derive(Debug)]
pub struct Incoming<'a> {
    repository: &'a Repository,
    store: Option<PackStore>,
    partial: Option<Partial>,
    /// Who looks for what is kept.
    looking: Option<JoinHandle<()>>,
}

impl<'a> Incoming<'a> {
    /// Nothing is known of it yet.
    pub const fn new(repository: &'a Repository) -> Self {
        Self { repository, store: None, partial: None, looking: None }
    }

    /// Looks for what is kept of the pack that `asked` names, and posts [`Work::PartFound`]. Before a fetch, what is
    /// whole in other packs that broke off is taken out of them. `None`: the sender does not go on with packs.
    pub fn look(&mut self, mailbox: &Mailbox, kind: Kind, asked: Option<Vec<String>>) {
        let (repository, mailbox) = (self.repository.clone(), mailbox.clone());
        self.looking = Some(thread::spawn(move || {
            mailbox.post(Work::PartFound(Box::new(find(&repository, kind, asked))));
        }));
    }

    /// Takes what was found. Answers the commits that came whole out of other packs: haves for this session.
    ///
    /// # Errors
    /// Whatever kept it from being found.
    pub fn found(&mut self, found: Found) -> Result<Vec<ObjectId>, Error> {
        self.join();
        let (partial, whole) = found?;
        self.partial = partial;
        Ok(whole)
    }

    /// What is held of the pack, to be named to the sender.
    pub fn held(&self) -> Option<&Resume> {
        self.partial.as_ref().and_then(Partial::held)
    }

    /// Whether a store takes it.
    pub const fn is_open(&self) -> bool {
        self.store.is_some()
    }

    /// Opens the store.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(&mut self, options: StoreOptions, mailbox: &Mailbox) -> Result<(), Error> {
        self.store = Some(PackStore::new(self.repository, options, mailbox)?);
        Ok(())
    }

    /// The sender goes on from this byte; the store is open.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn resumed(&mut self, offset: u64) -> Result<(), Error> {
        match (&mut self.partial, &mut self.store) {
            (Some(partial), Some(store)) => partial.resumed(offset, self.repository, store),
            _ => Ok(()),
        }
    }

    /// Takes the next bytes. `false`: the pack is refused, and [`Incoming::finish`] tells why. Without a store they are
    /// of no use to anyone.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn push(&mut self, bytes: Bytes) -> Result<bool, Error> {
        let Some(store) = &mut self.store else { return Ok(true) };
        if let Some(partial) = &mut self.partial {
            partial.keep(&bytes);
        }
        store.push(self.repository, bytes)
    }

    /// No more bytes will come. `false`: [`Incoming::finish`] is due at once, for no [`Work::StoreEnded`] will come.
    pub fn end(&mut self) -> bool {
        self.store.as_mut().is_none_or(PackStore::end)
    }

    /// A piece has been written.
    pub const fn taken(&mut self) {
        if let Some(store) = &mut self.store {
            store.taken();
        }
    }

    /// How it went; `None` where there was no store. Nothing is kept of a pack that is stored, or that its store refuses;
    /// of one that `broke` what came of it is.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(&mut self, broke: bool) -> Result<Option<Result<Quarantine, StoreError>>, Error> {
        let Some(store) = self.store.take() else { return Ok(None) };
        let result = store.finish()?;
        if let Some(mut partial) = self.partial.take() {
            if result.is_err() && broke { partial.broke() } else { partial.forget() }
        }
        Ok(Some(result))
    }

    /// The session has ended before the pack: its store is given up, and what came is kept.
    pub fn give_up(&mut self) {
        self.store = None;
    }

    /// The connection is gone, and another may come.
    pub fn reset(&mut self) {
        self.join();
        (self.store, self.partial) = (None, None);
    }

    /// Whether there is room for more.
    pub fn has_room(&self) -> bool {
        self.store.as_ref().is_none_or(PackStore::has_room)
    }

    /// Whether [`Work::PartFound`] or [`Work::StoreEnded`] is going to be posted.
    pub fn is_busy(&self) -> bool {
        self.looking.is_some() || self.store.as_ref().is_some_and(PackStore::is_running)
    }

    fn join(&mut self) {
        if let Some(looking) = self.looking.take() {
            // It has posted, or lost its mailbox.
            let _ = looking.join();
        }
    }
}

/// What is taken out of a pack is put away, whoever still waits for it.
impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        self.join();
    }
}

fn find(repository: &Repository, kind: Kind, asked: Option<Vec<String>>) -> Found {
    let partial = asked.map(|asked| Partial::of(repository, kind, asked)).transpose()?;
    let whole = match kind {
        Kind::Fetch => salvage(repository, partial.as_ref())?,
        Kind::Push => Vec::new(),
    };
    Ok((partial, whole))
}
