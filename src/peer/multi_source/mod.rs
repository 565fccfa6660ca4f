//! A fetch from several sources at once: the wants are divided among those that have them, and whoever fails, stalls or
//! is slow gives its share back.
//!
//! ```text
//!                     Advertised             share            done           pack_stored
//! Connecting ─► Opening ─► Listed ────────────────► Fetching ──────► Storing ──────────► Idle
//!    ▲  ▲          │ with a share    ▲                 │                │ cannot be        │
//!    │  │          └─────────────────┼───► Fetching    │                │                  │
//!    │  └──── the next share ────────┼─────────────────┼────────────────┼──────────────────┘
//!    │                               │                 │                │
//!    └── Resting ◄── it failed ──────┴── Connecting, Opening, Fetching ─┴──► Gone: no attempt left, or none helps
//! ```
//!
//! Each source has its own connection and its own [`fetch::client`](crate::git::fetch::client) session, one a share;
//! [`Shares`] tells whose turn it is. The first session shows what the source has, and stays open for its first share.
//! What earlier shares have brought are haves of the later ones. Nothing is sent between the sources, and they need know
//! nothing of each other: any Git server is one.
//!
//! | input | output |
//! |---|---|
//! | `add_source` | [`Action::Connect`] |
//! | `connected`, bytes | [`Action::Advertised`], once for each source |
//! | `want` | sessions go on: [`Action::Fetch`] with their questions, packs and progress; answer to [`session`](MultiSourceFetch::session) |
//! | the end of a pack | [`Action::PackEnd`] with what was wanted; answer with `pack_stored` |
//! | the end of a session, a failure, `handle_closed`, `handle_timeout` | [`Action::Disconnect`]; [`Action::Wait`] and [`Action::Connect`] for the next attempt or share |
//! | everything is there | [`Action::Finished`] |
//! | no source is left that has the rest, and none will come; the deadline; `cancel` | [`Action::Failed`]: what is missing, and each source's attempts with their reasons |
//!
//! The wants of one fetch are ids that can be fetched by themselves, tips of refs mostly: how finely they can be divided
//! is how finely the work can be.
//!
//! ```
//! use bytes::Bytes;
//! use portline::Instant;
//! use portline::git::fetch::client;
//! use portline::peer::multi_source::{Action, Config, MultiSourceFetch};
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! // Two mirrors: one cannot be reached, the other has one ref. A real driver has sockets and a clock.
//! const REFS: &[u8] = b"004b59718b6e26b96150c7dd3435f053958592fc24f1 refs/heads/main\0side-band-64k\n0000";
//! let mut now = Instant::ZERO;
//! let mut fetch = MultiSourceFetch::new(Config::default(), now)?;
//! let (gone, mirror) = (fetch.add_source(now, None)?, fetch.add_source(now, None)?);
//! fetch.no_more_sources();
//! let outcome = loop {
//!     match fetch.poll_action() {
//!         Some(Action::Connect { source }) if source == gone => {
//!             fetch.connect_failed(now, source, Bytes::from_static(b"refused"))?;
//!         }
//!         Some(Action::Connect { source }) => {
//!             fetch.connected(now, source)?;
//!             fetch.handle_bytes(now, source, Bytes::from_static(REFS)); // what comes, in any split
//!         }
//!         Some(Action::Advertised { advertisement, .. }) => {
//!             fetch.want(now, advertisement.refs.iter().map(|one| one.id).collect(), Vec::new())?;
//!         }
//!         Some(Action::Fetch { source, action }) => match (action, fetch.session(source)) {
//!             // Here, all of them are there already.
//!             (client::Action::FindHeld(ids), Some(session)) => session.held(now, ids)?,
//!             // Into this source's own `git index-pack --stdin --fix-thin`.
//!             (client::Action::Pack(_), _) => {}
//!             _ => {} // The others as with one server.
//!         },
//!         Some(Action::PackEnd { source, .. }) => fetch.pack_stored(now, source, Ok(()))?,
//!         Some(Action::Disconnect { .. } | Action::Wait { .. }) => {}
//!         Some(Action::Finished(outcome)) => break outcome,
//!         Some(Action::Failed(failure)) => return Err(failure.why.into()),
//!         // Send what `poll_transmit` has for each source; read where `wants_input`; wait until then.
//!         None => {
//!             now = fetch.poll_timeout().ok_or("it stands still")?;
//!             fetch.handle_timeout(now);
//!         }
//!     }
//! };
//! assert_eq!(outcome.sources[mirror.index()].work.units, 1);
//! assert_eq!(outcome.sources[gone.index()].attempts.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! Limits: [`SharesConfig`](crate::recovery::SharesConfig), [`limits::SOURCE_ATTEMPTS`], those of each session. Rules:
//! `spec/18-recovery.md`, SHARES-1 to SHARES-11.

mod face;
mod flow;
mod source;
mod verbs;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

pub use self::face::{
    Action, Config, Error, Failure, Holds, Misuse, Outcome, Report, SourceId, Why, is_transient,
};
use self::source::Source;
use crate::Transmit;
use crate::git::ObjectId;
use crate::git::fetch::client::Client;
#[cfg(doc)]
use crate::limits;
use crate::recovery::{self, Deadline, PeerId, Shares};
use crate::time::{Instant, earliest};

/// The job, before and after it is known what is wanted.
#[derive(Debug)]
enum Job {
    /// Sources are asked what they have.
    Listing,
    /// The wants are divided.
    Sharing(Box<Shares<ObjectId>>),
    /// The terminal action has been made.
    Ended,
}

/// See the [module](self).
#[derive(Debug)]
pub struct MultiSourceFetch {
    config: Config,
    job: Job,
    sources: Vec<Source>,
    /// Who of the sources shares the job under which number. One that comes back gets another.
    peers: BTreeMap<PeerId, SourceId>,
    /// Of the repository, and what was brought.
    tips: Vec<ObjectId>,
    more_sources: bool,
    /// Whose session is heard next.
    turn: usize,
    overall: Deadline,
    actions: VecDeque<Action>,
    now: Instant,
}

impl MultiSourceFetch {
    /// Without a source nothing happens.
    ///
    /// # Errors
    /// [`recovery::ConfigError`].
    pub fn new(config: Config, now: Instant) -> Result<Self, recovery::ConfigError> {
        let mut config = config;
        // Checked once here: every source gets the same.
        recovery::Backoff::new(config.recovery.backoff, now)?;
        config.fetch.idle_timeout = config.fetch.idle_timeout.or(config.recovery.idle_timeout);
        let overall = Deadline::new(config.recovery.backoff.deadline, now);
        Ok(Self {
            config,
            job: Job::Listing,
            sources: Vec::new(),
            peers: BTreeMap::new(),
            tips: Vec::new(),
            more_sources: true,
            turn: 0,
            overall,
            actions: VecDeque::new(),
            now,
        })
    }

    /// The next bytes of a source's present connection, in any split.
    pub fn handle_bytes(&mut self, now: Instant, source: SourceId, bytes: bytes::Bytes) {
        self.at(now);
        let Some(one) = self.sources.get_mut(source.0) else { return };
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let Some(client) = one.client_mut() else { return };
        // Its error comes as its terminal action.
        let _ = client.handle_bytes(now, bytes);
        one.moved = one.moved.saturating_add(length);
        if let (Job::Sharing(shares), Some(peer)) = (&mut self.job, one.peer) {
            // Counted only while the source is at a share: they know.
            shares.moved(peer, length);
        }
    }

    /// A source's present connection has ended.
    pub fn handle_closed(&mut self, now: Instant, source: SourceId) {
        self.at(now);
        let Some(one) = self.sources.get_mut(source.0) else { return };
        if let Some(client) = one.client_mut() {
            let _ = client.handle_closed(now);
        }
        if one.is_deserted() {
            self.leave(source);
        }
    }

    /// The time of [`Self::poll_timeout`] has come. Too early is a no-op.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.at(now);
        if !self.has_ended() && self.overall.handle_timeout(now) {
            let after = self.config.recovery.backoff.deadline.unwrap_or_default();
            self.give_up(Why::Deadline { after });
        }
        for source in 0..self.sources.len() {
            self.on_timeout(SourceId(source));
        }
        if let Job::Sharing(shares) = &mut self.job {
            shares.handle_timeout(now);
        }
    }

    /// The next bytes to send to a source. Call it only while that connection has room: that is the backpressure.
    pub fn poll_transmit(&mut self, source: SourceId) -> Option<Transmit> {
        let one = self.sources.get_mut(source.0)?;
        match one.farewell.pop_front() {
            Some(last) => Some(last),
            None => one.client_mut()?.poll_transmit(),
        }
    }

    /// What happened, or what the driver must do now.
    pub fn poll_action(&mut self) -> Option<Action> {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return Some(action);
            }
            if !self.go_on() {
                return None;
            }
        }
    }

    /// When to call [`Self::handle_timeout`]; `None` is never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let shares = match &self.job {
            Job::Ended => return None,
            Job::Listing => None,
            Job::Sharing(shares) => shares.poll_timeout(),
        };
        let own = earliest(self.overall.poll_timeout(), shares);
        self.sources.iter().fold(own, |first, source| earliest(first, source.poll_timeout()))
    }

    /// Whether to read on from a source.
    #[must_use]
    pub fn wants_input(&self, source: SourceId) -> bool {
        self.sources.get(source.0).and_then(Source::client).is_some_and(Client::wants_input)
    }

    /// The sources so far, in the order in which they were added.
    pub fn sources(&self) -> impl Iterator<Item = SourceId> + use<> {
        (0..self.sources.len()).map(SourceId)
    }

    /// Whether the terminal action has been made.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.job, Job::Ended)
    }

    /// Wants that are not there yet; `None` before they were told, and after the end.
    #[must_use]
    pub fn left(&self) -> Option<usize> {
        match &self.job {
            Job::Sharing(shares) => Some(shares.left()),
            Job::Listing | Job::Ended => None,
        }
    }

    fn at(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }
}
