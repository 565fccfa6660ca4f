//! One job divided among several peers: each gets a share of what it has; who fails or is slow gives its share back.
//!
//! ```text
//!              share given        arrived              finished
//!   idle ────────────────────► busy ──────► arrived ─────────────► idle   (nothing left that it has: stays idle)
//!                               │ │ └──────────┼── finished ──────► idle
//!        idle ◄── slow: Cancel ─┘ └────────────┴── failed ────────► gone   (its share is open again)
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
//! grow to what a peer does in a short time, so one that is slow or lies about what it has is found out at little cost,
//! and with Git each share's negotiation knows what the shares before it brought.
//!
//! Limits: [`Config::max_units`], [`Config::max_peers`]. Rules: `spec/18-recovery.md`, RECOVERY-21 to RECOVERY-28.

mod face;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

pub use self::face::{Action, Config, Misuse, Outcome, PeerId, Work};
use crate::time::{Instant, earliest};

#[derive(Debug)]
enum State {
    Idle,
    Busy {
        units: Vec<usize>,
        since: Instant,
        bytes: u64,
        /// Whether the driver knows of it: what it tells before is still of the share before.
        told: bool,
    },
    /// Everything of its share has come, in so long a time; it is not put away yet.
    Arrived {
        units: Vec<usize>,
        took: Duration,
    },
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
            State::Idle | State::Arrived { .. } | State::Gone => (0, Duration::ZERO),
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
    /// Until then the first share is the only one.
    led_until: Option<Instant>,
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
            led_until: None,
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

    /// A peer is there, and has whatever is wanted.
    ///
    /// # Errors
    /// As [`Self::add_peer`].
    pub fn add_peer_with_all(&mut self, now: Instant) -> Result<PeerId, Misuse> {
        self.add_peer(now, self.units.clone())
    }

    /// Whether this is one of the units.
    #[must_use]
    pub fn is_wanted(&self, unit: &K) -> bool {
        self.index.contains_key(unit)
    }

    /// No further peer will come: when those that are there can do no more, the job ends.
    pub fn no_more_peers(&mut self) {
        self.more_peers = false;
        self.settle();
    }

    /// So many more bytes have come from this peer; tells the slow from the fast. Before its [`Action::Fetch`] was
    /// polled they are of a share that it has no more, and count for nothing.
    pub fn moved(&mut self, peer: PeerId, bytes: u64) {
        if let Some(Peer { state: State::Busy { bytes: so_far, told: true, .. }, .. }) =
            self.peers.get_mut(peer.0)
        {
            *so_far = so_far.saturating_add(bytes);
        }
    }

    /// All of the peer's share has come and is being put away, which takes what it takes: nobody takes the share over
    /// any more, and the peer's time ends here. Answer it with [`Self::finished`] or [`Self::failed`] as ever.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn arrived(&mut self, now: Instant, peer: PeerId) -> Result<(), Misuse> {
        const VERB: &str = "arrived";
        if matches!(self.peers.get(peer.0).map(|peer| &peer.state), Some(State::Arrived { .. })) {
            return Err(Misuse::NotBusy { verb: VERB });
        }
        let (units, took) = self.take_share(now, peer, VERB, false)?;
        if let Some(peer) = self.peers.get_mut(peer.0) {
            peer.state = State::Arrived { units, took };
        }
        Ok(())
    }

    /// The peer's share is there, but for what it turned out not to have: that goes to the others.
    ///
    /// # Errors
    /// [`Misuse`]; [`Misuse::NotBusy`] also before the share's [`Action::Fetch`] was polled: what has come to its end is
    /// then one that was taken away.
    pub fn finished(&mut self, now: Instant, peer: PeerId, without: &[K]) -> Result<(), Misuse> {
        let (units, took) = self.take_share(now, peer, "finished", false)?;
        let without: BTreeSet<usize> =
            without.iter().filter_map(|unit| self.index.get(unit).copied()).collect();
        let (given, mut brought) = (units.len(), 0_usize);
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
            peer.share = next_share(peer.share, given, took, &self.config);
        }
        self.assign(now);
        Ok(())
    }

    /// The peer refused its share as a whole, because of some unit that it has not got. Those of `without` are known to
    /// be such; a share of one unit is. The others it is asked for again, one by one (RECOVERY-23).
    ///
    /// # Errors
    /// As [`Self::finished`].
    pub fn refused(&mut self, now: Instant, peer: PeerId, without: &[K]) -> Result<(), Misuse> {
        let (units, _) = self.take_share(now, peer, "refused", false)?;
        let mut lacking: BTreeSet<usize> =
            without.iter().filter_map(|unit| self.index.get(unit).copied()).collect();
        let mut suspects = units.iter().filter(|unit| !lacking.contains(unit));
        if let (Some(only), None) = (suspects.next().copied(), suspects.next()) {
            lacking.insert(only);
        }
        self.open.extend(units);
        if let Some(peer) = self.peers.get_mut(peer.0) {
            peer.has.retain(|unit| !lacking.contains(unit));
            peer.share = 1;
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
            Some(State::Busy { .. } | State::Arrived { .. }) => self.give_back(now, peer)?,
            Some(State::Idle) => {}
        }
        if let Some(peer) = self.peers.get_mut(peer.0) {
            peer.state = State::Gone;
            peer.has.clear();
        }
        self.assign(now);
        Ok(())
    }

    /// The job is given up: it ends with what is there. Whoever has a share is to be stopped. After the end it is a no-op.
    pub fn cancel(&mut self, now: Instant) {
        for peer in 0..self.peers.len() {
            // Those without a share have nothing to give back.
            let _ = self.give_back(now, PeerId(peer));
        }
        if !self.ended {
            self.end();
        }
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
        let action = self.actions.pop_front()?;
        if let Action::Fetch { peer, .. } = &action {
            let again = self
                .actions
                .iter()
                .any(|next| matches!(next, Action::Fetch { peer: other, .. } if other == peer));
            if let Some(Peer { state: State::Busy { told, .. }, .. }) = self.peers.get_mut(peer.0) {
                *told = !again;
            }
        }
        Some(action)
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
    ) -> Result<(Vec<usize>, Duration), Misuse> {
        if self.ended {
            return Err(Misuse::Ended { verb });
        }
        let one = self.peers.get_mut(peer.0).ok_or(Misuse::NotBusy { verb })?;
        match core::mem::replace(&mut one.state, State::Idle) {
            State::Busy { units, since, bytes, told } if told || back => {
                let took = now.saturating_duration_since(since);
                one.work.bytes = one.work.bytes.saturating_add(bytes);
                one.work.busy = one.work.busy.saturating_add(took);
                one.work.given_back = one.work.given_back.saturating_add(back.into());
                Ok((units, took))
            }
            State::Arrived { units, took } => {
                one.work.given_back = one.work.given_back.saturating_add(back.into());
                Ok((units, took))
            }
            other @ (State::Idle | State::Gone | State::Busy { .. }) => {
                one.state = other;
                Err(Misuse::NotBusy { verb })
            }
        }
    }

    fn give_back(&mut self, now: Instant, peer: PeerId) -> Result<(), Misuse> {
        let (units, _) = self.take_share(now, peer, "failed", true)?;
        self.open.extend(units);
        Ok(())
    }

    /// Gives everyone who is idle something to do, taking it from who is slow where nothing is open.
    fn assign(&mut self, now: Instant) {
        for peer in 0..self.peers.len() {
            self.give(now, peer, 0);
        }
        for peer in 0..self.peers.len() {
            if let Some(slow) = self.slow_for(now, peer) {
                if self.give_back(now, PeerId(slow)).is_ok() {
                    self.actions.push_back(Action::Cancel { peer: PeerId(slow) });
                    // Less than a fair part or not: what was taken for it is not handed back for another to take.
                    self.give(now, peer, 1);
                    self.give(now, slow, 0);
                }
            }
        }
        let is_idle = |peer: &Peer| matches!(peer.state, State::Idle) && !peer.has.is_empty();
        // What it has and was not given is with somebody else.
        let waits = self.peers.iter().any(is_idle);
        let led = self.led_until.filter(|_| self.is_led(now));
        // A look that were due again at once would keep a driver busy.
        let next = self.config.patience.max(Duration::from_millis(1));
        self.review = if waits { earliest(now.checked_add(next), led) } else { None };
        self.settle();
    }

    /// Whether somebody goes ahead with the first share of all.
    fn is_led(&self, now: Instant) -> bool {
        let is_first = self.left == self.units.len();
        is_first && self.is_busy() && self.led_until.is_some_and(|until| now < until)
    }

    /// Gives it a fair part of what is open, and no less than `at_least`.
    fn give(&mut self, now: Instant, peer: usize, at_least: usize) {
        if self.is_led(now) {
            return;
        }
        let is_first = !self.is_busy();
        let fair = self.fair(peer).or((at_least > 0).then_some(at_least));
        let Some(one) = self.peers.get(peer).filter(|one| matches!(one.state, State::Idle)) else { return };
        let candidates = one.has.intersection(&self.open).copied();
        let units: Vec<usize> = match fair {
            // Not so little that the start of it costs more than itself.
            Some(fair) => candidates.take(one.share.min(fair.max(one.share / 4))).collect(),
            // The others are done before this one: it gets only what nobody else has.
            None => candidates.filter(|unit| !self.is_elsewhere(peer, *unit)).take(1).collect(),
        };
        let Some(one) = self.peers.get_mut(peer).filter(|_| !units.is_empty()) else { return };
        for unit in &units {
            self.open.remove(unit);
        }
        let named = units.iter().filter_map(|unit| self.units.get(*unit).cloned()).collect();
        one.state = State::Busy { units, since: now, bytes: 0, told: false };
        if is_first {
            self.led_until = now.checked_add(self.config.lead);
        }
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
        if self.is_led(now) {
            return None;
        }
        let quick = self.peers.get(idle).filter(|peer| matches!(peer.state, State::Idle))?;
        let (quick_bytes, quick_time) = quick.pace(now);
        // Two that bring nothing do not hand each other the same share for ever.
        let may_try = quick.work.given_back == 0;
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
        self.peers.iter().any(|peer| matches!(peer.state, State::Busy { .. } | State::Arrived { .. }))
    }

    /// Ends the job when everything is there, or when nobody is at it and nobody will come.
    fn settle(&mut self) {
        if self.ended || (self.left > 0 && (self.more_peers || self.is_busy())) {
            return;
        }
        self.end();
    }

    fn end(&mut self) {
        self.ended = true;
        self.review = None;
        let missing = self.open.iter().filter_map(|unit| self.units.get(*unit).cloned()).collect();
        let peers = self.peers.iter().map(|peer| peer.work).collect();
        self.actions.push_back(Action::Finished(Outcome { missing, peers }));
    }
}

/// The size after one that was to be of `share` units at the most, was of `given`, and took so long: what would take the
/// span, from half to twice that most.
fn next_share(share: usize, given: usize, took: Duration, config: &Config) -> usize {
    let twice = share.saturating_mul(2);
    let wide = u128::try_from(given).unwrap_or(u128::MAX).saturating_mul(config.span.as_micros());
    let fitting =
        wide.checked_div(took.as_micros()).map_or(twice, |fits| usize::try_from(fits).unwrap_or(twice));
    fitting.clamp(share / 2, twice).clamp(1, config.max_share.max(1))
}
