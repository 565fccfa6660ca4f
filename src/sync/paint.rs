//! Painting: up to 64 pairs walk one history together, a bit each.
//!
//! Every commit gets two words: the pairs whose local tip reaches it, and those whose remote tip does. A pair is
//! answered the moment one tip gets the other's colour. It is unrelated once no commit that has only one of its
//! colours is left to pass that colour on: then the colours have met everywhere they ever will.
//!
//! Exact whatever the times say. If the local tip is an ancestor of the remote one, no commit on a path between them
//! can be reached from the local tip (that would be a cycle), so each of them stays in the remote colour alone until
//! it has passed it on, and the pair stays open until the paint arrives. Times only choose whom to expand first: the
//! newest, as both colours should arrive at a commit before it passes one of them on. Commits in both colours pass
//! both on, so that old history which one side reaches by a detour is recognised as shared instead of being walked to
//! its root; where a clock was wrong, the correction follows later. Each colour of each pair passes each commit
//! once, so cycles end too.

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;

use super::Ancestry;
use super::history::{History, Known, Node};

/// Pairs of one group.
pub(super) const PAIRS: usize = 64;

/// What one group knows of a commit; a bit a pair.
#[derive(Clone, Copy, Debug, Default)]
struct Paint {
    local: u64,
    remote: u64,
    /// What is still to be passed on to the parents; nothing where there is no commit.
    fresh_local: u64,
    fresh_remote: u64,
    /// The pairs whose tip this commit is.
    local_tip: u64,
    remote_tip: u64,
}

impl Paint {
    /// The pairs whose one and only colour here is still to be passed on: they wait for this commit.
    const fn unsettled(&self) -> u64 {
        (self.local ^ self.remote) & (self.fresh_local | self.fresh_remote)
    }
}

/// A count for each pair, counted for all pairs of a word at once: the numbers stand upright, a binary digit of all of
/// them in each word.
#[derive(Debug, Default)]
struct Counts {
    digits: Vec<u64>,
}

impl Counts {
    fn add(&mut self, mut pairs: u64) {
        for digit in &mut self.digits {
            let carried = *digit & pairs;
            *digit ^= pairs;
            pairs = carried;
            if pairs == 0 {
                return;
            }
        }
        if pairs != 0 {
            self.digits.push(pairs);
        }
    }

    /// Of counts that are above 0.
    fn subtract(&mut self, mut pairs: u64) {
        for digit in &mut self.digits {
            let borrowed = !*digit & pairs;
            *digit ^= pairs;
            pairs = borrowed;
            if pairs == 0 {
                return;
            }
        }
    }

    /// One commit counted for the pairs of `before`, and does now for those of `after`.
    fn change(&mut self, before: u64, after: u64) {
        self.add(after & !before);
        self.subtract(before & !after);
    }

    /// The pairs whose count is 0.
    fn zero(&self) -> u64 {
        !self.digits.iter().fold(0, |any, digit| any | digit)
    }
}

/// The paints of the commits that a group has seen, found by number: an open table, at most half full. The numbers are
/// our own and follow each other, so no peer can make them collide.
#[derive(Debug, Default)]
struct Paints {
    /// The place in `entries` and one more; 0 is free. Its length is a power of two, or 0.
    slots: Vec<usize>,
    entries: Vec<(Node, Paint)>,
}

impl Paints {
    fn find(&self, node: Node) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut slot = scatter(node) & mask;
        loop {
            let place = self.slots.get(slot)?.checked_sub(1)?;
            if self.entries.get(place)?.0 == node {
                return Some(place);
            }
            slot = slot.wrapping_add(1) & mask;
        }
    }

    fn get(&self, node: Node) -> Option<&Paint> {
        self.entries.get(self.find(node)?).map(|(_, paint)| paint)
    }

    fn get_mut(&mut self, node: Node) -> Option<&mut Paint> {
        let place = self.find(node)?;
        self.entries.get_mut(place).map(|(_, paint)| paint)
    }

    fn insert(&mut self, node: Node) {
        if self.find(node).is_some() {
            return;
        }
        self.entries.push((node, Paint::default()));
        if self.entries.len().saturating_mul(2) > self.slots.len() {
            self.slots = vec![0; self.slots.len().saturating_mul(2).max(256)];
            for (at, (node, _)) in (1..).zip(&self.entries) {
                occupy(&mut self.slots, *node, at);
            }
        } else {
            occupy(&mut self.slots, node, self.entries.len());
        }
    }
}

/// Takes the first free slot for a number that is not there; there is one.
fn occupy(slots: &mut [usize], node: Node, at: usize) {
    let mask = slots.len().saturating_sub(1);
    let mut slot = scatter(node) & mask;
    while slots.get(slot).is_some_and(|taken| *taken != 0) {
        slot = slot.wrapping_add(1) & mask;
    }
    if let Some(free) = slots.get_mut(slot) {
        *free = at;
    }
}

fn scatter(node: Node) -> usize {
    usize::try_from(node.wrapping_mul(0x9e37_79b1) >> 4).unwrap_or(0)
}

#[derive(Debug)]
pub(super) struct Group {
    paints: Paints,
    /// Loaded commits with something to pass on, newest first.
    ready: BinaryHeap<(i64, Node)>,
    /// Loaded commits that may be too old to be expanded before what their pairs wait for is loaded.
    deferred: Vec<(i64, Node)>,
    /// Painted commits that are not loaded.
    waiting: Vec<Node>,
    /// Pairs without an answer.
    open: u64,
    local_behind: u64,
    remote_behind: u64,
    /// For each pair the commits where it is unsettled.
    frontier: Counts,
    pairs: usize,
}

impl Group {
    /// At most [`PAIRS`] pairs of different commits: local, remote.
    pub(super) fn new(tips: &[(Node, Node)]) -> Self {
        let mut this = Self {
            paints: Paints::default(),
            ready: BinaryHeap::new(),
            deferred: Vec::new(),
            waiting: Vec::new(),
            open: 0,
            local_behind: 0,
            remote_behind: 0,
            frontier: Counts::default(),
            pairs: tips.len().min(PAIRS),
        };
        for (pair, (local, remote)) in tips.iter().enumerate().take(PAIRS) {
            this.open |= bit(pair);
            this.paints.insert(*local);
            if let Some(here) = this.paints.get_mut(*local) {
                here.local_tip |= bit(pair);
            }
            this.paints.insert(*remote);
            if let Some(there) = this.paints.get_mut(*remote) {
                there.remote_tip |= bit(pair);
            }
        }
        for (node, paint) in &mut this.paints.entries {
            (paint.local, paint.fresh_local) = (paint.local_tip, paint.local_tip);
            (paint.remote, paint.fresh_remote) = (paint.remote_tip, paint.remote_tip);
            this.frontier.add(paint.unsettled());
            this.waiting.push(*node);
        }
        this
    }

    /// The answers, in the order of the pairs; an open pair counts as unrelated.
    pub(super) fn answers(&self) -> impl Iterator<Item = Ancestry> {
        let (behind, ahead) = (self.local_behind, self.remote_behind);
        (0..self.pairs).map(move |pair| match bit(pair) {
            bit if behind & bit != 0 => Ancestry::LocalBehind,
            bit if ahead & bit != 0 => Ancestry::RemoteBehind,
            _ => Ancestry::Unrelated,
        })
    }

    /// Paints as far as `history` goes and adds to `wanted` what has to be loaded next: nothing at the end.
    pub(super) fn advance(&mut self, history: &History, wanted: &mut Vec<Node>) {
        self.settle(history);
        loop {
            self.round(history);
            self.waiting.sort_unstable();
            self.waiting.dedup();
            let (open, paints) = (self.open, &self.paints);
            self.waiting.retain(|node| paints.get(*node).is_some_and(|p| (p.local | p.remote) & open != 0));
            if !self.waiting.is_empty() {
                wanted.extend_from_slice(&self.waiting);
                return;
            }
            if self.deferred.is_empty() {
                return;
            }
            // What they were deferred for is answered: the next round takes them.
        }
    }

    /// Sorts what waited by what the driver said.
    fn settle(&mut self, history: &History) {
        for node in core::mem::take(&mut self.waiting) {
            match history.known(node) {
                Known::Told(time) => self.ready.push((time, node)),
                Known::Named | Known::Asked => self.waiting.push(node),
                Known::Absent => {
                    let Some(paint) = self.paints.get_mut(node) else { continue };
                    self.frontier.change(paint.unsettled(), 0);
                    (paint.fresh_local, paint.fresh_remote) = (0, 0);
                    // What is no commit has no ancestors and is nobody's.
                    self.open &= !(paint.local_tip | paint.remote_tip);
                }
            }
        }
        self.open &= !self.frontier.zero();
    }

    /// Expands what is ready, newest first, as long as no pair overtakes a commit that it waits for.
    fn round(&mut self, history: &History) {
        self.ready.extend(self.deferred.drain(..));
        // The pairs that wait for a commit which is not loaded.
        let mut waiting = 0;
        while let Some((time, node)) = self.ready.pop() {
            let Some(paint) = self.paints.get_mut(node) else { continue };
            let local = paint.fresh_local & self.open;
            let remote = paint.fresh_remote & self.open;
            if local | remote == 0 {
                continue;
            }
            if (local | remote) & !waiting == 0 {
                self.deferred.push((time, node));
                continue;
            }
            self.frontier.change(paint.unsettled(), 0);
            (paint.fresh_local, paint.fresh_remote) = (0, 0);
            for parent in history.parents(node) {
                waiting |= self.pass_on(history, *parent, local, remote);
            }
            self.open &= !self.frontier.zero();
        }
    }

    /// Paints a parent; the pairs that wait for it now.
    fn pass_on(&mut self, history: &History, parent: Node, local: u64, remote: u64) -> u64 {
        let known = history.known(parent);
        if known == Known::Absent {
            return 0;
        }
        self.paints.insert(parent);
        let Some(paint) = self.paints.get_mut(parent) else { return 0 };
        let (fresh_local, fresh_remote) = (local & !paint.local, remote & !paint.remote);
        if fresh_local | fresh_remote == 0 {
            return 0;
        }
        let before = paint.unsettled();
        paint.local |= local;
        paint.remote |= remote;
        paint.fresh_local |= fresh_local;
        paint.fresh_remote |= fresh_remote;
        self.frontier.change(before, paint.unsettled());
        let behind = paint.remote & paint.local_tip & self.open;
        let ahead = paint.local & paint.remote_tip & self.open & !behind;
        self.local_behind |= behind;
        self.remote_behind |= ahead;
        self.open &= !behind & !ahead;
        if let Known::Told(time) = known {
            self.ready.push((time, parent));
            return 0;
        }
        self.waiting.push(parent);
        paint.local | paint.remote
    }
}

/// The word with that bit alone; none beyond the last.
fn bit(pair: usize) -> u64 {
    u32::try_from(pair).ok().and_then(|pair| 1_u64.checked_shl(pair)).unwrap_or(0)
}
