//! Ancestry over a history that is in memory: an index once, then many pairs at a time.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::Ancestry;
use crate::git::{Commit, ObjectId};

/// Words of a sweep: it starts from 64 commits for each.
const WORDS: usize = 4;
const SWEEP: usize = WORDS * 64;

/// A history, indexed: commits are ranked so that parents stand before their children.
///
/// Building it sorts the commits once. A question is then a sweep over the ranks between the two ids of a pair, from
/// the newer to the older, in which each commit hands its parents a bit for each of 256 newer ids. There is no queue, no
/// recursion and no use of times. Pairs that begin at the same commit share a bit.
///
/// ```
/// use portline::git::{Commit, ObjectId};
/// use portline::sync::{Ancestry, Graph};
///
/// let (old, new) = (ObjectId::from_raw(&[1; 20]).unwrap(), ObjectId::from_raw(&[2; 20]).unwrap());
/// let graph = Graph::new(vec![
///     Commit { id: new, parents: [old].into_iter().collect(), time: 0 },
///     Commit { id: old, parents: [].into_iter().collect(), time: 0 },
/// ]);
/// assert_eq!(graph.ancestry(&[(old, new)]), [Ancestry::LocalBehind]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Sorted by id, with the rank of each.
    ids: Vec<(ObjectId, u32)>,
    /// Where in `ids` the ids begin whose first bits are at least the index: hashes spread evenly, so that a search
    /// has a handful of ids left. One more entry than there are values of those bits.
    fan: Vec<u32>,
    /// The parents of rank r are `parents[starts[r]..starts[r + 1]]`, all of them below r.
    starts: Vec<u32>,
    parents: Vec<u32>,
}

/// A pair whose two commits are held: the higher rank can be the descendant, the lower one cannot.
#[derive(Clone, Copy)]
struct Question {
    high: u32,
    low: u32,
    place: usize,
    /// What it means if the higher one reaches the lower one.
    meaning: Ancestry,
}

impl Graph {
    /// Indexes commits, in any order. Of two with one id the first counts; parents that are not among them are left
    /// out, and so is an edge that would close a cycle.
    #[must_use]
    pub fn new(commits: Vec<Commit>) -> Self {
        let mut commits = commits;
        commits.sort_by_key(|commit| commit.id);
        commits.dedup_by(|later, earlier| later.id == earlier.id);
        let edges: Vec<Vec<u32>> = commits
            .iter()
            .map(|commit| commit.parents.iter().filter_map(|parent| position(&commits, parent)).collect())
            .collect();
        let order = rank(&edges);
        let mut ranks = vec![0_u32; order.len()];
        for (rank, commit) in (0_u32..).zip(&order) {
            if let Some(slot) = ranks.get_mut(index(*commit)) {
                *slot = rank;
            }
        }
        let mut starts = Vec::with_capacity(order.len().saturating_add(1));
        let mut parents = Vec::new();
        for (rank, commit) in (0_u32..).zip(&order) {
            starts.push(count(parents.len()));
            let named = edges.get(index(*commit)).into_iter().flatten();
            let ranked = named.filter_map(|parent| ranks.get(index(*parent)).copied());
            parents.extend(ranked.filter(|parent| *parent < rank));
        }
        starts.push(count(parents.len()));
        let ids: Vec<_> = commits.iter().map(|commit| commit.id).zip(ranks).collect();
        let fan = fan_out(&ids);
        Self { ids, fan, starts, parents }
    }

    /// How many commits it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether it holds `id`.
    #[must_use]
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.rank_of(id).is_some()
    }

    /// How the ids of each pair (local, remote) are related, in the order of the pairs. Equal ids and ids that are not
    /// held are unrelated.
    #[must_use]
    pub fn ancestry(&self, pairs: &[(ObjectId, ObjectId)]) -> Vec<Ancestry> {
        let mut answers = vec![Ancestry::Unrelated; pairs.len()];
        let mut questions: Vec<Question> = pairs
            .iter()
            .enumerate()
            .filter_map(|(place, (local, remote))| self.question(place, local, remote))
            .collect();
        // Neighbours in history share a sweep, which keeps each sweep short.
        questions.sort_unstable_by_key(|question| question.high);
        let mut words = vec![[0_u64; WORDS]; self.len()];
        let mut rest = &questions[..];
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at_checked(one_sweep(rest)).unwrap_or((rest, &[]));
            self.sweep(chunk, &mut words, &mut answers);
            rest = later;
        }
        answers
    }

    fn question(&self, place: usize, local: &ObjectId, remote: &ObjectId) -> Option<Question> {
        let (local, remote) = (self.rank_of(local)?, self.rank_of(remote)?);
        match local.cmp(&remote) {
            Ordering::Less => {
                Some(Question { high: remote, low: local, place, meaning: Ancestry::LocalBehind })
            }
            Ordering::Greater => {
                Some(Question { high: local, low: remote, place, meaning: Ancestry::RemoteBehind })
            }
            Ordering::Equal => None,
        }
    }

    fn sweep(&self, chunk: &[Question], words: &mut [[u64; WORDS]], answers: &mut [Ancestry]) {
        for (bit, question) in numbered(chunk) {
            if let Some(word) = slot(words, question.high, bit) {
                *word |= mask(bit);
            }
        }
        let lowest = chunk.iter().map(|question| question.low).min().unwrap_or(0);
        let highest = chunk.iter().map(|question| question.high).max().unwrap_or(0);
        for rank in (index(lowest)..=index(highest)).rev() {
            let own = words.get(rank).copied().unwrap_or_default();
            if own == [0; WORDS] {
                continue;
            }
            for parent in self.parents_of(rank).iter().filter(|parent| **parent >= lowest) {
                if let Some(word) = words.get_mut(index(*parent)) {
                    for (to, from) in word.iter_mut().zip(own) {
                        *to |= from;
                    }
                }
            }
        }
        for (bit, question) in numbered(chunk) {
            let reached = slot(words, question.low, bit).is_some_and(|word| *word & mask(bit) != 0);
            if let Some(answer) = answers.get_mut(question.place).filter(|_| reached) {
                *answer = question.meaning;
            }
        }
        words.get_mut(index(lowest)..=index(highest)).unwrap_or_default().fill([0; WORDS]);
    }

    fn parents_of(&self, rank: usize) -> &[u32] {
        let bounds = self.starts.get(rank).zip(self.starts.get(rank.saturating_add(1)));
        bounds.and_then(|(from, to)| self.parents.get(index(*from)..index(*to))).unwrap_or_default()
    }

    fn rank_of(&self, id: &ObjectId) -> Option<u32> {
        let bucket = first_bits(id, fan_bits(self.ids.len()));
        let (from, to) = self.fan.get(bucket).zip(self.fan.get(bucket.saturating_add(1)))?;
        let near = self.ids.get(index(*from)..index(*to))?;
        let place = near.binary_search_by(|(other, _)| other.cmp(id)).ok()?;
        near.get(place).map(|(_, rank)| *rank)
    }
}

fn fan_out(ids: &[(ObjectId, u32)]) -> Vec<u32> {
    let bits = fan_bits(ids.len());
    let mut fan = Vec::new();
    for (place, (id, _)) in (0_u32..).zip(ids) {
        let bucket = first_bits(id, bits);
        fan.resize(fan.len().max(bucket.saturating_add(1)), place);
    }
    fan.resize(1_usize.checked_shl(bits).unwrap_or(0).saturating_add(1), count(ids.len()));
    fan
}

/// About as many buckets as ids.
fn fan_bits(ids: usize) -> u32 {
    ids.checked_ilog2().unwrap_or(0).min(20)
}

fn first_bits(id: &ObjectId, bits: u32) -> usize {
    let first = id.as_raw().first_chunk::<4>().map_or(0, |first| u32::from_be_bytes(*first));
    index(first.checked_shr(32_u32.saturating_sub(bits)).unwrap_or(0))
}

/// The questions with a bit each; those from the same commit share one. Sorted by that commit.
fn numbered(questions: &[Question]) -> impl Iterator<Item = (usize, &Question)> {
    questions
        .chunk_by(|a, b| a.high == b.high)
        .enumerate()
        .flat_map(|(bit, same)| same.iter().map(move |q| (bit, q)))
}

/// How many of the questions, from the first on, fit into one sweep.
fn one_sweep(questions: &[Question]) -> usize {
    numbered(questions).take_while(|(bit, _)| *bit < SWEEP).count()
}

/// Commits in an order with parents before children, by generation: neighbours in history get near ranks.
fn rank(edges: &[Vec<u32>]) -> Vec<u32> {
    #[derive(Clone, Copy, PartialEq)]
    enum Visit {
        New,
        Open,
        Done,
    }
    let mut visits = vec![Visit::New; edges.len()];
    let mut generations = vec![0_u32; edges.len()];
    // A commit and how many of its parents were looked at: what a recursion would keep.
    let mut stack: Vec<(u32, usize)> = Vec::new();
    let mut order: Vec<u32> = (0..count(edges.len())).collect();
    for root in &order {
        stack.push((*root, 0));
        while let Some((commit, next)) = stack.pop() {
            let Some(visit) = visits.get_mut(index(commit)) else { continue };
            if *visit == Visit::Done || (*visit == Visit::Open && next == 0) {
                continue;
            }
            *visit = Visit::Open;
            let parents = edges.get(index(commit)).map_or(&[][..], |parents| parents);
            if let Some(parent) = parents.get(next) {
                stack.push((commit, next.saturating_add(1)));
                stack.push((*parent, 0));
                continue;
            }
            *visit = Visit::Done;
            let above = parents.iter().filter_map(|parent| generations.get(index(*parent))).max();
            let generation = above.map_or(0, |above| above.saturating_add(1));
            if let Some(slot) = generations.get_mut(index(commit)) {
                *slot = generation;
            }
        }
    }
    order.sort_by_key(|commit| generations.get(index(*commit)).copied());
    order
}

fn position(commits: &[Commit], id: &ObjectId) -> Option<u32> {
    let place = commits.binary_search_by(|commit| commit.id.cmp(id)).ok()?;
    u32::try_from(place).ok()
}

fn slot(words: &mut [[u64; WORDS]], rank: u32, bit: usize) -> Option<&mut u64> {
    words.get_mut(index(rank))?.get_mut(bit / 64)
}

fn mask(bit: usize) -> u64 {
    u32::try_from(bit % 64).ok().and_then(|bit| 1_u64.checked_shl(bit)).unwrap_or(0)
}

/// A rank as an index. Where `usize` is smaller, there are no such ranks.
fn index(rank: u32) -> usize {
    usize::try_from(rank).unwrap_or(usize::MAX)
}

/// A length as a rank; a history of more than four thousand million commits does not fit this index.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
