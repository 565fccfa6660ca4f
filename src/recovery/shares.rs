//! One job divided among several peers: each gets a share of what it has; who fails or is slow gives its share back.
//!
//! ```text
//!              share given            finished
//!   idle ────────────────────► busy ───────────► idle      (nothing left that it has: stays idle)
//!                               │ │ failed
//!        idle ◄── slow: Cancel ─┘ └────────────► gone      (its share is open again)
//! ```
//!
//! | input | output |
//! |---|---|
//! | `add_peer`, the end of a share | [`Action::Fetch`] for whoever is idle and has something that is open |
//! | `failed` | its share goes to the others |
//! | an idle peer, and one that is much slower with what that one has, too | [`Action::Cancel`] for the slow one |
//! | everything is done, or nobody can do the rest | [`Action::Finished`], with what is missing |
//!
//! What the units are (for Git the ids that are wanted) and how they move is the driver's. Shares begin small and
//! grow to what a peer does in a short time, so one that is slow or lies about what it has is found out at little cost, and with Git each share's
//! negotiation knows what the shares before it brought.
//!
//! Limits: [`Config::max_units`], [`Config::max_peers`]. Rules: `spec/18-recovery.md`, RECOVERY-21 to RECOVERY-26.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use crate::limits;
use crate::time::Instant;

/// How a job is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Units in a peer's first share; 0 counts as 1. Default 1.
    pub first_share: usize,
    /// No share is larger. Default 64.
    pub max_share: usize,
    /// A peer is slow when another one, that has nothing to do and has what it is at, was more than so many times as
    /// fast. Default 3; below 1 counts as 1.
    pub slower: u32,
    /// No share is taken away sooner than this after it was given. Default 2 seconds.
    pub patience: Duration,
    /// What a share is to take: each is as large as the last one's pace says, from half to twice its size. So much of a peer's work is lost when it dies. Default half a second.
    pub span: Duration,
    /// Units in all. Default [`limits::SHARE_UNITS`].
    pub max_units: usize,
    /// Peers in all, those that are gone included. Default [`limits::SHARE_PEERS`].
    pub max_peers: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            first_share: 1,
            max_share: 64,
            slower: 3,
            patience: Duration::from_secs(2),
            span: Duration::from_millis(500),
            max_units: limits::SHARE_UNITS,
            max_peers: limits::SHARE_PEERS,
        }
    }
}

/// A peer's number, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(usize);

/// What the driver must do, or what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<K> {
    /// Have this peer bring these units. Answer: [`Shares::finished`] or [`Shares::failed`].
    Fetch {
        /// The peer.
        peer: PeerId,
        /// Its share.
        units: Vec<K>,
    },
    /// This peer's share went to another one: stop it. It may be given another share at once.
    Cancel {
        /// The peer.
        peer: PeerId,
    },
    /// It is over. Terminal.
    Finished(Outcome<K>),
}

/// What a job came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<K> {
    /// What nobody brought, in the order in which it was wanted; nothing when the job is complete.
    pub missing: Vec<K>,
    /// What each peer did, in the order in which they came.
    pub peers: Vec<Work>,
}

/// What one peer did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Units that it brought.
    pub units: usize,
    /// Bytes that it moved, those of shares that were taken from it included.
    pub bytes: u64,
    /// Time it was busy.
    pub busy: Duration,
    /// Shares that it gave back.
    pub given_back: usize,
}

/// A verb that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The job is over.
    #[error("`{verb}` after the end of the job")]
    Ended {
        /// The verb.
        verb: &'static str,
    },
    /// That peer has no share, or never was.
    #[error("`{verb}` for a peer that has no share")]
    NotBusy {
        /// The verb.
        verb: &'static str,
    },
    /// More units or peers than are kept track of.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

#[derive(Debug)]
enum State {
    Idle,
    Busy { units: Vec<usize>, since: Instant, bytes: u64 },
    Gone,
}

#[derive(Debug)]
struct Peer {
    state: State,
    /// Units that it has and that are not done, as far as is known.
    has: BTreeSet<usize>,
    share: usize,
    work: Work,
}

impl Peer {
    /// Units in a million seconds; `None` before it brought any.
    fn speed(&self) -> Option<u128> {
        let units = u128::try_from(self.work.units).ok().filter(|units| *units > 0)?;
        units.saturating_mul(1_000_000_000_000).checked_div(self.work.busy.as_micros().max(1))
    }

    /// Bytes and the microseconds they took, the share under way included.
    fn pace(&self, now: Instant) -> (u128, u128) {
        let (bytes, busy) = match &self.state {
            State::Busy { since, bytes, .. } => (*bytes, now.saturating_duration_since(*since)),
            State::Idle | State::Gone => (0, Duration::ZERO),
        };
        let bytes = u128::from(self.work.bytes).saturating_add(bytes.into());
        (bytes, self.work.busy.saturating_add(busy).as_micros())
    }
}

/// A job that several peers do together. See the [module](super).
#[derive(Debug)]
pub struct Shares<K> {
    config: Config,
    units: Vec<K>,
    index: BTreeMap<K, usize>,
    /// Neither done nor in anybody's share.
    open: BTreeSet<usize>,
    left: usize,
    peers: Vec<Peer>,
    more_peers: bool,
    review: Option<Instant>,
    actions: VecDeque<Action<K>>,
    ended: bool,
}

impl<K: Clone + Ord> Shares<K> {
    /// A job of these units; repeated ones count once. Nothing happens before there is a peer.
    ///
    /// # Errors
    /// [`Misuse::TooMany`].
    pub fn new(config: Config, wanted: impl IntoIterator<Item = K>) -> Result<Self, Misuse> {
        let (mut units, mut index) = (Vec::new(), BTreeMap::new());
        for unit in wanted {
            if !index.contains_key(&unit) {
                if units.len() >= config.max_units {
                    return Err(Misuse::TooMany { what: "units", limit: config.max_units });
                }
                index.insert(unit.clone(), units.len());
                units.push(unit);
            }
        }
        let left = units.len();
        let mut this = Self {
            config,
            units,
            index,
            open: (0..left).collect(),
            left,
            peers: Vec::new(),
            more_peers: true,
            review: None,
            actions: VecDeque::new(),
            ended: false,
        };
        this.settle();
        Ok(this)
    }

    /// A peer is there, and has these units; others it names are passed over.
    ///
    /// # Errors
    /// [`Misuse`]: after the end, or too many peers.
    pub fn add_peer(&mut self, now: Instant, has: impl IntoIterator<Item = K>) -> Result<PeerId, Misuse> {
        if self.ended {
            return Err(Misuse::Ended { verb: "add_peer" });
        }
        if self.peers.len() >= self.config.max_peers {
            return Err(Misuse::TooMany { what: "peers", limit: self.config.max_peers });
        }
        let id = PeerId(self.peers.len());
        let has = has.into_iter().filter_map(|unit| self.index.get(&unit).copied()).collect();
        let share = self.config.first_share.clamp(1, self.config.max_share.max(1));
        self.peers.push(Peer { state: State::Idle, has, share, work: Work::default() });
        self.assign(now);
        Ok(id)
    }

    /// No further peer will come: when those that are there can do no more, the job ends.
    pub fn no_more_peers(&mut self) {
        self.more_peers = false;
        self.settle();
    }

    /// So many more bytes have come from this peer; tells the slow from the fast.
    pub fn moved(&mut self, peer: PeerId, bytes: u64) {
        if let Some(Peer { state: State::Busy { bytes: so_far, .. }, .. }) = self.peers.get_mut(peer.0) {
            *so_far = so_far.saturating_add(bytes);
        }
    }

    /// The peer's share is there, but for what it turned out not to have: that goes to the others.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn finished(&mut self, now: Instant, peer: PeerId, without: &[K]) -> Result<(), Misuse> {
        let before = self.peers.get(peer.0).map_or(Duration::ZERO, |peer| peer.work.busy);
        let units = self.take_share(now, peer, "finished", false)?;
        let without: BTreeSet<usize> =
            without.iter().filter_map(|unit| self.index.get(unit).copied()).collect();
        let mut brought: usize = 0;
        for unit in units {
            if without.contains(&unit) {
                self.open.insert(unit);
                self.peers.get_mut(peer.0).map(|peer| peer.has.remove(&unit));
            } else {
                brought = brought.saturating_add(1);
                self.left = self.left.saturating_sub(1);
                for peer in &mut self.peers {
                    peer.has.remove(&unit);
                }
            }
        }
        if let Some(peer) = self.peers.get_mut(peer.0) {
            peer.work.units = peer.work.units.saturating_add(brought);
            let took = peer.work.busy.saturating_sub(before);
            peer.share = next_share(peer.share, took, &self.config);
        }
        self.assign(now);
        Ok(())
    }

    /// The peer is gone, or not to be trusted any more. Its share goes to the others.
    ///
    /// # Errors
    /// [`Misuse::Ended`]; [`Misuse::NotBusy`] for one that never was, or is gone already.
    pub fn failed(&mut self, now: Instant, peer: PeerId) -> Result<(), Misuse> {
        if self.ended {
            return Err(Misuse::Ended { verb: "failed" });
        }
        match self.peers.get(peer.0).map(|peer| &peer.state) {
            None | Some(State::Gone) => return Err(Misuse::NotBusy { verb: "failed" }),
            Some(State::Busy { .. }) => self.give_back(now, peer)?,
            Some(State::Idle) => {}
        }
        if let Some(peer) = self.peers.get_mut(peer.0) {
            peer.state = State::Gone;
            peer.has.clear();
        }
        self.assign(now);
        Ok(())
    }

    /// The time of [`Self::poll_timeout`] has come. Too early is a no-op.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.review.is_some_and(|at| now >= at) {
            self.review = None;
            self.assign(now);
        }
    }

    /// What happened, or what the driver must do.
    pub fn poll_action(&mut self) -> Option<Action<K>> {
        self.actions.pop_front()
    }

    /// When to call [`Self::handle_timeout`]: while somebody is idle and somebody else is not.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.review
    }

    /// Whether the terminal action has been made.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Units that are not there yet.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.left
    }

    /// Ends a share; what it took is counted.
    fn take_share(
        &mut self,
        now: Instant,
        peer: PeerId,
        verb: &'static str,
        back: bool,
    ) -> Result<Vec<usize>, Misuse> {
        if self.ended {
            return Err(Misuse::Ended { verb });
        }
        let one = self.peers.get_mut(peer.0).ok_or(Misuse::NotBusy { verb })?;
        match core::mem::replace(&mut one.state, State::Idle) {
            State::Busy { units, since, bytes } => {
                one.work.bytes = one.work.bytes.saturating_add(bytes);
                one.work.busy = one.work.busy.saturating_add(now.saturating_duration_since(since));
                one.work.given_back = one.work.given_back.saturating_add(back.into());
                Ok(units)
            }
            other => {
                one.state = other;
                Err(Misuse::NotBusy { verb })
            }
        }
    }

    fn give_back(&mut self, now: Instant, peer: PeerId) -> Result<(), Misuse> {
        let units = self.take_share(now, peer, "failed", true)?;
        self.open.extend(units);
        Ok(())
    }

    /// Gives everyone who is idle something to do, taking it from who is slow where nothing is open.
    fn assign(&mut self, now: Instant) {
        for peer in 0..self.peers.len() {
            self.give(now, peer);
        }
        for peer in 0..self.peers.len() {
            if let Some(slow) = self.slow_for(now, peer) {
                if self.give_back(now, PeerId(slow)).is_ok() {
                    self.actions.push_back(Action::Cancel { peer: PeerId(slow) });
                    self.give(now, peer);
                    self.give(now, slow);
                }
            }
        }
        let is_idle = |peer: &Peer| matches!(peer.state, State::Idle) && !peer.has.is_empty();
        let waits = self.peers.iter().any(is_idle) && self.is_busy();
        // A look that were due again at once would keep a driver busy.
        let next = self.config.patience.max(Duration::from_millis(1));
        self.review = if waits { now.checked_add(next) } else { None };
        self.settle();
    }

    fn give(&mut self, now: Instant, peer: usize) {
        let fair = self.fair(peer);
        let Some(one) = self.peers.get(peer).filter(|one| matches!(one.state, State::Idle)) else { return };
        let candidates = one.has.intersection(&self.open).copied();
        let units: Vec<usize> = match fair {
            Some(fair) => candidates.take(one.share.min(fair)).collect(),
            // The others are done before this one: it gets only what nobody else has.
            None => candidates.filter(|unit| !self.is_elsewhere(peer, *unit)).take(1).collect(),
        };
        let Some(one) = self.peers.get_mut(peer).filter(|_| !units.is_empty()) else { return };
        for unit in &units {
            self.open.remove(unit);
        }
        let named = units.iter().filter_map(|unit| self.units.get(*unit).cloned()).collect();
        one.state = State::Busy { units, since: now, bytes: 0 };
        self.actions.push_back(Action::Fetch { peer: PeerId(peer), units: named });
    }

    /// How much of what is open this peer should be given, by what each did so far; `None`: less than half a unit, while
    /// a quicker one is at work. The less is left, the smaller the shares, so all come to an end at about the same time.
    fn fair(&self, peer: usize) -> Option<usize> {
        let here = || self.peers.iter().filter(|peer| !matches!(peer.state, State::Gone));
        let open = self.open.len();
        let Some(own) = self.peers.get(peer).and_then(Peer::speed) else {
            return Some(open.div_ceil(here().count().saturating_mul(2).max(1)));
        };
        let all = here().filter_map(Peer::speed).fold(0_u128, u128::saturating_add);
        let part = u128::try_from(open).unwrap_or(u128::MAX).saturating_mul(own);
        if part.saturating_mul(2) < all && self.is_busy() {
            return None;
        }
        let half = part.checked_div(all.saturating_mul(2)).unwrap_or(0);
        Some(usize::try_from(half).unwrap_or(usize::MAX).max(1))
    }

    /// Whether somebody else has this unit.
    fn is_elsewhere(&self, peer: usize, unit: usize) -> bool {
        self.peers.iter().enumerate().any(|(index, other)| index != peer && other.has.contains(&unit))
    }

    /// Who is so slow that `idle`, who has nothing to do, would better do its share (RECOVERY-24).
    fn slow_for(&self, now: Instant, idle: usize) -> Option<usize> {
        let quick = self.peers.get(idle).filter(|peer| matches!(peer.state, State::Idle))?;
        let (quick_bytes, quick_time) = quick.pace(now);
        // Two that bring nothing do not hand each other the same share for ever.
        let may_try = quick_bytes > 0 || quick.work.given_back == 0;
        let is_slow = |peer: &Peer| {
            let State::Busy { units, since, .. } = &peer.state else { return false };
            let (bytes, time) = peer.pace(now);
            let slower = u128::from(self.config.slower.max(1));
            now.saturating_duration_since(*since) >= self.config.patience
                && units.iter().any(|unit| quick.has.contains(unit))
                // bytes / time × slower < quick_bytes / quick_time; one that brought nothing at all is slow in any case.
                && ((bytes == 0 && may_try)
                    || bytes.saturating_mul(slower).saturating_mul(quick_time) < quick_bytes.saturating_mul(time))
        };
        self.peers.iter().position(is_slow)
    }

    fn is_busy(&self) -> bool {
        self.peers.iter().any(|peer| matches!(peer.state, State::Busy { .. }))
    }

    /// Ends the job when everything is there, or when nobody is at it and nobody will come.
    fn settle(&mut self) {
        if self.ended || (self.left > 0 && (self.more_peers || self.is_busy())) {
            return;
        }
        self.ended = true;
        self.review = None;
        let missing = self.open.iter().filter_map(|unit| self.units.get(*unit).cloned()).collect();
        let peers = self.peers.iter().map(|peer| peer.work).collect();
        self.actions.push_back(Action::Finished(Outcome { missing, peers }));
    }
}

/// The size after one of `share` units that took so long: what would take the span, from half to twice the size.
fn next_share(share: usize, took: Duration, config: &Config) -> usize {
    let twice = share.saturating_mul(2);
    let wide = u128::try_from(share).unwrap_or(u128::MAX).saturating_mul(config.span.as_micros());
    let fitting =
        wide.checked_div(took.as_micros()).map_or(twice, |fits| usize::try_from(fits).unwrap_or(twice));
    fitting.clamp(share / 2, twice).clamp(1, config.max_share.max(1))
}
