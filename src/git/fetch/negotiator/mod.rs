//! Finding what two repositories have in common with few `have` lines.
//!
//! ```text
//!   new(advertised and held, local tips)
//!        │
//!        ▼          Load(ids) ──► commits()
//!      poll() ──────┤
//!        ▲          Round { haves, last } ──► sent; each acknowledged one ──► acknowledge()
//!        └──────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The walk goes from the newest commit to the oldest over everything the local tips reach. Commits that both
//! sides advertise are common before anything is sent, and so is all they reach. What is left is sampled from
//! four sides, which take turns in each round:
//!
//! 1. *advertised*: common tips that no other common commit reaches. The server does not know that we hold them.
//! 2. *tips*: local refs that the server did not advertise. A ref that the server has moved on from is the exact
//!    point where histories part.
//! 3. *strides*: samples from the tips down, the gap growing by half and one each time.
//! 4. *border*: samples from known common history up, at growing heights: where the server holds a little more
//!    than what both advertise, the point is near.
//!
//! What goes out with `done` fills the gap between common and not common.
//!
//! [`Algorithm::Consecutive`] sends every commit of the walk in its order instead.
//!
//! Limits: haves and rounds ([`Negotiator::with_limits`]); after an acknowledgement, 256 haves in vain end it.
//! A round in flight is at most 64 haves, as many as Git keeps in flight, so the answer fits into any pipe. The
//! walk looks ahead at most 4096 commits (twice as many each round) before it asks the server. Memory is linear
//! in the commits seen. Rules: `spec/05-fetch.md`.

mod border;
mod graph;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use self::graph::{At, Graph, Standing, Visit};
use crate::git::{Commit, Misuse, ObjectId};
use crate::limits;

/// How to choose the commits to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Samples with growing gaps: few haves, at times a somewhat larger pack.
    #[default]
    Skipping,
    /// Every commit that may be common, newest first: the smallest pack, many haves.
    Consecutive,
    /// None at all: the server sends everything that is wanted.
    Noop,
}

/// What the negotiation needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// These commits, told by [`Negotiator::commits`]. No id is asked for twice.
    Load(Vec<ObjectId>),
    /// Send these as `have` lines.
    Round {
        /// The ids, none of which was sent before. Empty only in the last round.
        haves: Vec<ObjectId>,
        /// Whether nothing is left to ask: `done` follows instead of a flush.
        last: bool,
    },
}

/// Haves of the first round; each round doubles it up to `MOST`.
const FIRST: usize = 16;
/// Haves of one round at the most: what Git has in flight with its two windows of 32.
const MOST: usize = 64;
/// Haves sent in vain after an acknowledgement, as Git counts them.
const IN_VAIN: usize = 256;
/// Commits looked at before the first round is sent with what was found.
const HORIZON: usize = 4096;

/// Where the negotiation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Looking for haves; so many commits more may be looked at before the round goes out.
    Looking { horizon: usize },
    /// The last round was given.
    Ended,
}

/// Whether the local commits next to common history have been sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Border {
    Unknown,
    Known,
}

/// Candidates of one kind, in the order in which they are to be sent.
type Queue = VecDeque<At>;

/// The negotiation as a pure machine.
#[derive(Debug)]
pub struct Negotiator {
    algorithm: Algorithm,
    graph: Graph,
    phase: Phase,
    /// Advertised, tips, strides, border: see the module. `Consecutive` uses the third alone.
    queues: [Queue; 4],
    /// The queue whose turn it is.
    turn: usize,
    /// Local commits in the order of the walk; none where every commit of it is sent.
    region: Vec<At>,
    border: Border,
    window: usize,
    haves: usize,
    rounds: usize,
    /// Haves since the last acknowledgement that told something new, once there was one.
    vain: Option<usize>,
    max_haves: usize,
    max_rounds: usize,
}

const ADVERTISED: usize = 0;
const TIPS: usize = 1;
const STRIDES: usize = 2;
const BORDER: usize = 3;

impl Negotiator {
    /// A negotiation of a repository that holds `common`, ids which the server advertises, each with everything
    /// it reaches, and whose own refs are `tips`. Ids of other objects than commits are passed over.
    #[must_use]
    pub fn new(
        algorithm: Algorithm,
        common: impl IntoIterator<Item = ObjectId>,
        tips: impl IntoIterator<Item = ObjectId>,
    ) -> Self {
        let mut graph = Graph::default();
        if algorithm != Algorithm::Noop {
            for id in common {
                graph.start(id, Standing::Advertised, false);
            }
            for id in tips {
                graph.start(id, Standing::Local, true);
            }
        }
        Self {
            algorithm,
            graph,
            phase: Phase::Looking { horizon: HORIZON },
            queues: Default::default(),
            turn: 0,
            region: Vec::new(),
            border: Border::Unknown,
            window: FIRST,
            haves: 0,
            rounds: 0,
            vain: None,
            max_haves: limits::HAVES,
            max_rounds: limits::ROUNDS,
        }
    }

    /// The same negotiation with other limits. A limit of 0 haves or rounds is the same as [`Algorithm::Noop`].
    #[must_use]
    pub const fn with_limits(mut self, max_haves: usize, max_rounds: usize) -> Self {
        self.max_haves = max_haves;
        self.max_rounds = max_rounds;
        self
    }

    /// What is needed next; `None` while commits are awaited, and after the last round.
    pub fn poll(&mut self) -> Option<Next> {
        let Phase::Looking { horizon } = self.phase else { return None };
        if self.graph.is_asking() {
            return None;
        }
        if self.haves >= self.max_haves || self.rounds >= self.max_rounds {
            return Some(self.end(Vec::new()));
        }
        let mut left = horizon;
        let is_walked = loop {
            if let Some(ids) = self.graph.take_wanted() {
                self.phase = Phase::Looking { horizon: left };
                return Some(Next::Load(ids));
            }
            if self.graph.is_local_passed() {
                self.find_border();
            }
            if self.graph.is_resolved() {
                break true;
            }
            if left == 0 && self.has_candidate() {
                break false;
            }
            match self.graph.visit() {
                Some(visit) => self.classify(&visit),
                None => break true,
            }
            left = left.saturating_sub(1);
        };
        Some(self.round(is_walked))
    }

    /// Answers [`Next::Load`]. Commits left out are taken as absent; commits that were not asked for are kept
    /// and spare a later question.
    ///
    /// # Errors
    /// [`Misuse::NotAsked`] when no question is open.
    pub fn commits(&mut self, commits: Vec<Commit>) -> Result<(), Misuse> {
        if !self.graph.is_asking() {
            return Err(Misuse::NotAsked { verb: "commits" });
        }
        self.graph.tell(commits);
        Ok(())
    }

    /// The server has `id`, or has heard enough of its history: it and what it reaches need not be sent.
    /// `false` when `id` was never sent: the server is lying.
    pub fn acknowledge(&mut self, id: &ObjectId) -> bool {
        let Some(at) = self.graph.find(id).filter(|at| self.graph.is_sent(*at)) else { return false };
        // Where answers repeat themselves (version 2, stateless), only the first is an end to asking in vain.
        let is_news = self.graph.standing(at) != Standing::Common;
        self.graph.cover(smallvec::smallvec![at]);
        if is_news || self.vain.is_none() {
            self.vain = Some(0);
        }
        true
    }

    /// Whether `id` was sent as a `have`.
    #[must_use]
    pub fn was_sent(&self, id: &ObjectId) -> bool {
        self.graph.find(id).is_some_and(|at| self.graph.is_sent(at))
    }

    /// The haves that go out with `done` when the server is ready early; they cost no round. First the local tips
    /// not sent yet, each a likely place where histories part, then what narrows the gap between the newest
    /// commit known to be common and the oldest known not to be. At most as many as one round holds.
    pub fn take_last(&mut self) -> Vec<ObjectId> {
        self.phase = Phase::Ended;
        let room = MOST.min(self.max_haves.saturating_sub(self.haves));
        let mut haves = Vec::new();
        while haves.len() < room {
            let Some(at) = self.pop(TIPS) else { break };
            haves.extend(self.graph.id(at));
        }
        haves.extend(self.gap(room.saturating_sub(haves.len())));
        self.haves = self.haves.saturating_add(haves.len());
        haves
    }

    /// Haves given so far.
    #[must_use]
    pub const fn haves(&self) -> usize {
        self.haves
    }

    /// Rounds given so far that held haves.
    #[must_use]
    pub const fn rounds(&self) -> usize {
        self.rounds
    }

    /// Sorts a passed commit into its queue.
    fn classify(&mut self, visit: &Visit) {
        let is_consecutive = self.algorithm == Algorithm::Consecutive;
        let queue = match visit.standing {
            Standing::Common => return,
            Standing::Advertised if is_consecutive => STRIDES,
            Standing::Advertised => ADVERTISED,
            Standing::Local if is_consecutive => STRIDES,
            Standing::Local => {
                self.region.push(visit.at);
                match (visit.is_tip, visit.stride.is_due()) {
                    (true, _) => TIPS,
                    (false, true) => STRIDES,
                    (false, false) => return,
                }
            }
        };
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.push_back(visit.at);
        }
    }

    fn round(&mut self, is_walked: bool) -> Next {
        let vain = self.vain.map_or(usize::MAX, |vain| IN_VAIN.saturating_sub(vain));
        let room = self.window.min(self.max_haves.saturating_sub(self.haves)).min(vain);
        let mut haves = Vec::new();
        while haves.len() < room {
            let Some(at) = self.next_candidate() else { break };
            haves.extend(self.graph.id(at));
        }
        if haves.is_empty() || (is_walked && !self.has_candidate()) {
            haves.extend(self.gap(room.saturating_sub(haves.len())));
            return self.end(haves);
        }
        self.count(&haves);
        self.window = self.window.saturating_mul(2).min(MOST);
        let doublings = u32::try_from(self.rounds.min(10)).unwrap_or(10);
        self.phase = Phase::Looking { horizon: HORIZON.saturating_mul(2_usize.saturating_pow(doublings)) };
        Next::Round { haves, last: false }
    }

    fn end(&mut self, haves: Vec<ObjectId>) -> Next {
        self.count(&haves);
        self.phase = Phase::Ended;
        Next::Round { haves, last: true }
    }

    fn count(&mut self, haves: &[ObjectId]) {
        if !haves.is_empty() {
            self.rounds = self.rounds.saturating_add(1);
            self.haves = self.haves.saturating_add(haves.len());
            self.vain = self.vain.map(|vain| vain.saturating_add(haves.len()));
        }
    }

    /// Takes from the queues in turn.
    fn next_candidate(&mut self) -> Option<At> {
        for _ in 0..self.queues.len() {
            let turn = self.turn;
            self.turn = turn.saturating_add(1).checked_rem(self.queues.len()).unwrap_or(0);
            if let Some(at) = self.pop(turn) {
                return Some(at);
            }
        }
        None
    }

    fn pop(&mut self, queue: usize) -> Option<At> {
        self.drop_stale(queue);
        let at = self.queues.get_mut(queue)?.pop_front()?;
        self.graph.set_sent(at);
        Some(at)
    }

    /// Drops what has become common or was sent from another queue since it was queued.
    fn drop_stale(&mut self, queue: usize) {
        let Some(queue) = self.queues.get_mut(queue) else { return };
        while let Some(at) = queue.front() {
            if self.graph.standing(*at) != Standing::Common && !self.graph.is_sent(*at) {
                return;
            }
            queue.pop_front();
        }
    }

    fn has_candidate(&mut self) -> bool {
        for queue in 0..self.queues.len() {
            self.drop_stale(queue);
        }
        self.queues.iter().any(|queue| !queue.is_empty())
    }
}
