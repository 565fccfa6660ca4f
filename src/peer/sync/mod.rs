//! Two-way sync of two repositories over one port, seen from the side that drives it.
//!
//! ```text
//! LISTING ─ refs_listed ─► FETCHING ─ objects stored ─► PLANNING ─ plan ─► WORKING ─► ENDED
//!    │                        │                            │                 │
//!    └──── any error ─────────┴────────────────────────────┴─────────────────┴─────► ENDED (Failed)
//!
//! WORKING: local backups ─► local refs ─► backups on the peer ─► refs on the peer
//! ```
//!
//! Input: port messages, and the driver's answers for its own repository. Output: port messages and actions. The
//! peer runs a [`Server`](super::Server) and needs to know nothing of the sync.
//!
//! Objects move before refs, a ref moves only from the value the plan saw, and what is overwritten or deleted is
//! first made reachable under a backup ref on the side where it is overwritten. So whatever instant the
//! connection ends at, no commit is lost, no ref names an object that is not there, and running it again goes on
//! from where it stopped (SYNC-40 to SYNC-52).
//!
//! Limits: those of the planner, the port and the Git machines. Rules: `spec/07-sync.md`.

mod answers;
mod flow;
mod outcome;
mod work;

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use bytes::Bytes;

use flow::State;
pub use outcome::{Error, Failure, Outcome, RefFailure, RefOutcome, RefResult};
use work::Work;

use super::Client;
use crate::git::{ObjectId, PackRequest, RefName, Request, Service, Version, fetch, push};
use crate::sync::{self, Plan};
use crate::time::Instant;
use crate::{Transmit, port};

/// What to do and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// The port and the block size.
    pub peer: super::Config,
    /// Strategy and exclusions.
    pub sync: sync::Config,
    /// The refs on which both sides agreed at the last sync ([`Outcome::base`]); tells deletions from creations.
    pub base: Option<Vec<(RefName, ObjectId)>>,
    /// Plan only: objects are fetched (the driver may put them in quarantine), no ref moves anywhere.
    pub dry_run: bool,
    /// One conflict stops everything before the first ref moves. Default: the other refs are synced (SYNC-44).
    pub stop_on_conflict: bool,
    /// Where backup refs go. Default `refs/portline/backup/` (SYNC-47).
    pub backup_prefix: Bytes,
    /// The repository asked for; its service is set by the sync. Its version is that of the fetch, 2 by default; a
    /// peer that does not speak it answers in another. A push asks for version 0 where this says 2.
    pub request: Request,
    /// The fetch; its request is set by the sync, and so is that all refs are listed and history is not deepened.
    pub fetch: fetch::client::Config,
    /// The pushes; their request is set by the sync, and they are not signed.
    pub push: push::client::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            peer: super::Config::default(),
            sync: sync::Config::default(),
            base: None,
            dry_run: false,
            stop_on_conflict: false,
            backup_prefix: Bytes::from_static(b"refs/portline/backup/"),
            request: Request { version: Version::V2, ..Request::new(Service::UploadPack) },
            fetch: fetch::client::Config::default(),
            push: push::client::Config::default(),
        }
    }
}

/// What the driver must do in its own repository, or what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// List the local refs. Answer: [`TwoWaySync::refs_listed`].
    ListRefs,
    /// Which of these does the repository have with everything they reach? Answer: [`TwoWaySync::held`].
    FindHeld(Vec<ObjectId>),
    /// Tell of these commits. Answer: [`TwoWaySync::commits`]; what is no commit is left out.
    LoadCommits(Vec<ObjectId>),
    /// The peer's progress text, raw.
    Progress(Bytes),
    /// The pack goes on from this byte: behind the part that [`TwoWaySync::resume`] named, or from 0, and then that part
    /// is of no more use. Comes before the pack, and only where a part was named.
    Resumed {
        /// Where the next byte of the pack belongs.
        offset: u64,
    },
    /// The next bytes of the pack to store.
    Pack(Bytes),
    /// The pack is complete. Answer, here or earlier: [`TwoWaySync::pack_stored`].
    PackEnd,
    /// The plan, before anything is done.
    Planned(Plan),
    /// Move these local refs, each from its old value only. Answer: [`TwoWaySync::refs_updated`].
    UpdateRefs(Vec<push::Command>),
    /// Build this pack for the peer. Answer: `pack_chunk`s, then `pack_finished` or `pack_failed`.
    BuildPack(PackRequest),
    /// Done, with the result for each ref. Terminal.
    Finished(Outcome),
    /// It failed; what had been done until then is told. Terminal.
    Failed(Failure),
}

/// See the [module](self).
#[derive(Debug)]
pub struct TwoWaySync {
    config: Config,
    client: Client,
    state: State,
    /// The latest time that any input or verb gave.
    now: Instant,
    local: Vec<(RefName, ObjectId)>,
    remote: Vec<(RefName, ObjectId)>,
    /// Refs that are symbolic on either side, as far as that side has told.
    symbolic: BTreeSet<RefName>,
    fetched: Option<fetch::client::Outcome>,
    /// Bytes of packs, both ways.
    payload: u64,
    work: Work,
    actions: VecDeque<Action>,
    error: Option<Error>,
}

impl TwoWaySync {
    /// A sync that begins with its first poll.
    ///
    /// # Errors
    /// What is wrong with the port's config.
    pub fn new(config: Config, now: Instant) -> Result<Self, port::ConfigError> {
        let client = Client::new(&config.peer, now)?;
        Ok(Self {
            config,
            client,
            state: State::Listing,
            now,
            local: Vec::new(),
            remote: Vec::new(),
            symbolic: BTreeSet::new(),
            fetched: None,
            payload: 0,
            work: Work::default(),
            actions: VecDeque::from([Action::ListRefs]),
            error: None,
        })
    }

    /// Takes one whole port message.
    ///
    /// # Errors
    /// What ended the sync; the same error ever after.
    pub fn handle_message(&mut self, now: Instant, message: Bytes) -> Result<(), Error> {
        // The port's error also comes as its terminal action.
        self.at(now);
        let _ = self.client.handle_message(now, message);
        self.advance();
        self.sticky()
    }

    /// The port has closed.
    ///
    /// # Errors
    /// As [`Self::handle_message`].
    pub fn handle_closed(&mut self, now: Instant) -> Result<(), Error> {
        self.at(now);
        let _ = self.client.handle_closed(now);
        self.advance();
        self.sticky()
    }

    /// The time of [`Self::poll_timeout`] has come. Too early is a no-op.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.at(now);
        self.client.handle_timeout(now);
        self.advance();
    }

    /// The next port message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.client.poll_transmit()
    }

    /// What happened, or what the driver must do now.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.advance();
        self.actions.pop_front()
    }

    /// When to call [`Self::handle_timeout`]; `None` is never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.has_ended() { None } else { self.client.poll_timeout() }
    }

    /// Whether to read on.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        !self.has_ended() && self.client.wants_input()
    }

    /// Whether the terminal action has been made.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Whether there is room for the next [`Self::pack_chunk`].
    #[must_use]
    pub fn wants_pack(&mut self) -> bool {
        self.client.push(self.now).is_some_and(|push| push.wants_pack())
    }

    /// Bytes of packs that have come so far, or were given to be sent.
    pub(super) const fn payload(&self) -> u64 {
        self.payload
    }

    fn count(&mut self, pack: &Bytes) {
        self.payload = self.payload.saturating_add(u64::try_from(pack.len()).unwrap_or(u64::MAX));
    }

    fn at(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn sticky(&self) -> Result<(), Error> {
        self.error.clone().map_or(Ok(()), Err)
    }
}
