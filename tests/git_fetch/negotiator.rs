//! The negotiator against a plain graph walk: what it sends is held, what it leaves out is known, and it ends.

use std::collections::{BTreeMap, BTreeSet};

use portline::git::fetch::negotiator::{Algorithm, Negotiator, Next};
use portline::git::{Commit, Misuse, ObjectId};

type Ids = BTreeSet<usize>;

/// A history: each commit's parents stand before it. Times follow the order unless they are skewed.
#[derive(Default)]
struct History {
    commits: Vec<(Vec<usize>, i64)>,
}

fn id(at: usize) -> ObjectId {
    let mut raw = [0x11; 20];
    raw[..8].copy_from_slice(&(at as u64).to_be_bytes());
    ObjectId::from_raw(&raw).unwrap()
}

fn at(id: &ObjectId) -> usize {
    u64::from_be_bytes(id.as_raw()[..8].try_into().unwrap()) as usize
}

impl History {
    fn add(&mut self, parents: &[usize]) -> usize {
        self.commits.push((parents.to_vec(), self.commits.len() as i64));
        self.commits.len() - 1
    }

    fn chain(&mut self, from: Option<usize>, length: usize) -> usize {
        let mut tip = from;
        for _ in 0..length {
            tip = Some(self.add(&tip.into_iter().collect::<Vec<_>>()));
        }
        tip.unwrap()
    }

    fn closure(&self, roots: impl IntoIterator<Item = usize>) -> Ids {
        let mut seen = Ids::new();
        let mut stack: Vec<usize> = roots.into_iter().collect();
        while let Some(at) = stack.pop() {
            if seen.insert(at) {
                stack.extend(&self.commits[at].0);
            }
        }
        seen
    }

    fn commit(&self, at: usize) -> Commit {
        let (parents, time) = &self.commits[at];
        Commit { id: id(at), parents: parents.iter().map(|at| id(*at)).collect(), time: *time }
    }
}

/// What came out of a negotiation.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    haves: Vec<usize>,
    rounds: usize,
    loaded: usize,
    common: Ids,
    is_ready: bool,
}

struct Case<'a> {
    history: &'a History,
    local: &'a [usize],
    remote: &'a [usize],
    wants: &'a [usize],
}

impl Case<'_> {
    /// `stops`: whether the server says that it is ready, as it does with `multi_ack_detailed`.
    fn run(&self, algorithm: Algorithm, stops: bool) -> Told {
        let ours = self.history.closure(self.local.iter().copied());
        let theirs = self.history.closure(self.remote.iter().copied());
        let shared = self.remote.iter().filter(|at| ours.contains(at)).map(|at| id(*at));
        let mut negotiator = Negotiator::new(algorithm, shared, self.local.iter().map(|at| id(*at)));
        let (mut told, mut asked) = (Told::default(), Ids::new());
        while let Some(next) = negotiator.poll() {
            match next {
                Next::Load(ids) => {
                    told.loaded += ids.len();
                    assert!(!ids.is_empty());
                    assert!(ids.iter().all(|id| asked.insert(at(id))), "a commit is asked for once");
                    assert_eq!(negotiator.poll(), None, "it waits for its answer");
                    let commits = ids.iter().map(|id| self.history.commit(at(id))).collect();
                    negotiator.commits(commits).unwrap();
                }
                Next::Round { haves, last } => {
                    told.rounds += 1;
                    assert!(haves.len() <= 64 && (last || !haves.is_empty()));
                    for have in &haves {
                        assert!(ours.contains(&at(have)), "only what is held is sent");
                        assert!(!told.haves.contains(&at(have)), "nothing is sent twice");
                        told.haves.push(at(have));
                        if theirs.contains(&at(have)) {
                            assert!(negotiator.acknowledge(have));
                            told.common.insert(at(have));
                        }
                    }
                    let reached = self.history.closure(told.common.iter().copied());
                    let meets =
                        |want: &usize| self.history.closure([*want]).iter().any(|at| reached.contains(at));
                    told.is_ready = !told.common.is_empty() && self.wants.iter().all(meets);
                    if last || (stops && told.is_ready) {
                        break;
                    }
                }
            }
        }
        // What goes out with `done`.
        for have in negotiator.take_last() {
            assert!(ours.contains(&at(&have)) && !told.haves.contains(&at(&have)));
            told.haves.push(at(&have));
            told.common.extend(Some(at(&have)).filter(|at| theirs.contains(at)));
        }
        assert_eq!(negotiator.haves(), told.haves.len());
        told
    }

    /// Commits a pack would hold, given what the server learnt.
    fn pack(&self, told: &Told) -> usize {
        let known = self.history.closure(told.common.iter().copied());
        self.history.closure(self.wants.iter().copied()).difference(&known).count()
    }

    /// The smallest pack: everything shared is known.
    fn best(&self) -> usize {
        let ours = self.history.closure(self.local.iter().copied());
        self.history.closure(self.wants.iter().copied()).difference(&ours).count()
    }
}

/// A seeded generator: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

fn random_history(random: &mut Random, size: usize) -> History {
    let mut history = History::default();
    for at in 0..size {
        let mut parents = Vec::new();
        if at > 0 && random.below(40) > 0 {
            parents.push(at - 1 - random.below(at.min(4)));
            if at > 1 && random.below(4) == 0 {
                let other = random.below(at);
                if !parents.contains(&other) {
                    parents.push(other);
                }
            }
        }
        history.add(&parents);
        if random.below(10) == 0 {
            history.commits[at].1 = random.below(size) as i64;
        }
    }
    history
}

fn tips(random: &mut Random, size: usize) -> Vec<usize> {
    (0..=random.below(6)).map(|_| random.below(size)).collect()
}

/// FETCH-15, FETCH-16, FETCH-17: on random histories with merges, several roots and wrong clocks. The property is
/// `tests/properties`; these are enough of it to be told at once.
#[test]
fn fetch_16_what_is_declared_common_is_common_and_nothing_common_is_missed() {
    for seed in 1..=100_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let size = 5 + random.below(120);
        let history = random_history(&mut random, size);
        let (local, remote) = (tips(&mut random, size), tips(&mut random, size));
        let case = Case { history: &history, local: &local, remote: &remote, wants: &remote };
        let (ours, theirs) =
            (history.closure(local.iter().copied()), history.closure(remote.iter().copied()));
        let shared: Ids = ours.intersection(&theirs).copied().collect();

        // Every commit that may be common is tried: the server learns the whole intersection.
        let told = case.run(Algorithm::Consecutive, false);
        assert_eq!(history.closure(told.common.iter().copied()), shared, "seed {seed}");
        assert_eq!(case.pack(&told), case.best());
        assert!(told.loaded <= ours.len());

        // Samples: sound, and what a ref of either side names is always learnt.
        let sampled = case.run(Algorithm::Skipping, false);
        assert!(sampled.common.is_subset(&shared), "seed {seed}");
        let learnt = history.closure(sampled.common.iter().copied());
        assert!(remote.iter().filter(|at| ours.contains(at)).all(|at| learnt.contains(at)), "seed {seed}");
        assert!(local.iter().filter(|at| theirs.contains(at)).all(|at| learnt.contains(at)), "seed {seed}");
    }
}

/// With honest clocks no have is sent that an advertised common tip reaches.
#[test]
fn fetch_16_what_a_common_tip_reaches_is_never_sent() {
    let mut history = History::default();
    let main = history.chain(None, 500);
    let tags: Vec<usize> = (0..50).map(|n| n * 10).collect();
    let local = history.chain(Some(main), 40);
    let remote = history.chain(Some(main), 30);
    let ours: Vec<usize> = tags.iter().copied().chain([main, local]).collect();
    let theirs: Vec<usize> = tags.iter().copied().chain([main, remote]).collect();
    let case = Case { history: &history, local: &ours, remote: &theirs, wants: &[remote] };
    let told = case.run(Algorithm::Consecutive, false);
    assert_eq!(told.haves.iter().filter(|at| **at <= main).count(), 1, "main alone speaks for its history");
    assert_eq!(told.haves.len(), 41);
    assert_eq!(case.pack(&case.run(Algorithm::Skipping, true)), 30);
}

/// The measured case: 20,000 commits, 2,001 refs, 500 behind, 300 ahead.
#[test]
fn fetch_17_one_round_of_sixteen_haves_finds_where_large_histories_part() {
    let mut history = History::default();
    let fork = history.chain(None, 19_200);
    let refs: Vec<usize> = (1..=2000).map(|n| n * 9).collect();
    let local = history.chain(Some(fork), 300);
    let remote = history.chain(Some(fork), 500);
    let theirs: Vec<usize> = refs.iter().copied().chain([remote]).collect();
    // The ref that the client tracks the server's branch with, or none and refs 1200 commits below the fork.
    for (tracks, haves, pack) in [(Some(fork), 16, 500), (None, 79, 515)] {
        let ours: Vec<usize> = refs.iter().copied().chain([local]).chain(tracks).collect();
        let case = Case { history: &history, local: &ours, remote: &theirs, wants: &[remote] };
        let told = case.run(Algorithm::Skipping, true);
        assert_eq!((told.is_ready, told.rounds, told.haves.len()), (true, 1, haves));
        assert_eq!(case.pack(&told), pack);
    }
}

#[test]
fn fetch_15_noop_and_limits_of_zero_send_nothing_and_ask_nothing() {
    let nothing = Some(Next::Round { haves: vec![], last: true });
    let mut noop = Negotiator::new(Algorithm::Noop, [id(1)], [id(2)]);
    assert_eq!(noop.poll(), nothing);
    assert_eq!(noop.poll(), None);
    for (haves, rounds) in [(0, 9), (9, 0)] {
        let mut none = Negotiator::new(Algorithm::Skipping, [], [id(2)]).with_limits(haves, rounds);
        assert_eq!(none.poll(), nothing);
    }
}

/// A negotiation of 3000 tips without parents, all of them told.
fn start(max_haves: usize, max_rounds: usize) -> Negotiator {
    let mut history = History::default();
    let tips: Vec<usize> = (0..3000).map(|_| history.add(&[])).collect();
    let mut negotiator = Negotiator::new(Algorithm::Skipping, [], tips.iter().map(|at| id(*at)))
        .with_limits(max_haves, max_rounds);
    let Some(Next::Load(ids)) = negotiator.poll() else { panic!() };
    assert_eq!(ids.len(), 3000);
    negotiator.commits(ids.iter().map(|id| history.commit(at(id))).collect()).unwrap();
    negotiator
}

/// FETCH-18.
#[test]
fn fetch_18_limits_of_haves_rounds_and_vain_haves_end_it() {
    let sizes = |mut negotiator: Negotiator, acknowledges: bool| {
        let (mut sizes, mut acknowledges) = (Vec::new(), acknowledges);
        while let Some(Next::Round { haves, .. }) = negotiator.poll() {
            sizes.push(haves.len());
            if acknowledges {
                assert!(negotiator.acknowledge(&haves[0]));
                acknowledges = false;
            }
        }
        sizes
    };
    assert_eq!(sizes(start(100, 9), false), [16, 32, 52, 0]);
    assert_eq!(sizes(start(9999, 2), false), [16, 32, 0]);
    // After an acknowledgement 256 haves in vain are enough: 32 + 3 × 64 + 32.
    assert_eq!(sizes(start(9999, 99), true), [16, 32, 64, 64, 64, 32, 0]);
    assert_eq!(sizes(start(9999, 99), false).iter().sum::<usize>(), 3000);
    // The same one acknowledged in every answer, as version 2 does it, is no news.
    let (mut again, mut sizes, mut known) = (start(9999, 99), Vec::new(), None);
    while let Some(Next::Round { haves, .. }) = again.poll() {
        sizes.push(haves.len());
        known = known.or(haves.first().copied());
        assert!(again.acknowledge(&known.unwrap()));
    }
    assert_eq!(sizes, [16, 32, 64, 64, 64, 32, 0]);
    // Another one each time is: nothing is in vain.
    let (mut news, mut sent) = (start(9999, 99), 0);
    while let Some(Next::Round { haves, .. }) = news.poll() {
        sent += haves.len();
        assert!(haves.first().is_none_or(|have| news.acknowledge(have)));
    }
    assert_eq!(sent, 3000);
}

/// FETCH-18: what rides on an early `done` is no more than a round, and no more than may be sent.
#[test]
fn fetch_18_the_last_haves_keep_to_the_limits() {
    for (max_haves, last) in [(9999, 64), (20, 4), (16, 0)] {
        let mut negotiator = start(max_haves, 9);
        let Some(Next::Round { haves, last: false }) = negotiator.poll() else { panic!() };
        assert!(haves.len() == 16 && negotiator.acknowledge(&haves[0]));
        assert_eq!(negotiator.take_last().len(), last);
        assert_eq!(negotiator.poll(), None);
    }
}

/// The next round of haves, whatever is to be loaded before it.
fn next_round(negotiator: &mut Negotiator, history: &History) -> (Vec<usize>, bool) {
    loop {
        match negotiator.poll().unwrap() {
            Next::Load(ids) => {
                let commits = ids.iter().map(|id| history.commit(at(id)));
                negotiator.commits(commits.collect()).unwrap();
            }
            Next::Round { haves, last } => return (haves.iter().map(at).collect(), last),
        }
    }
}

/// FETCH-17, to the have: four kinds take turns, gaps grow from both ends, and the last round narrows what is left.
#[test]
fn fetch_17_samples_from_both_ends_and_the_gap_between_them() {
    let mut history = History::default();
    let common = history.chain(None, 1);
    let tip = history.chain(Some(common), 100);
    // Whichever of both the walk comes by first.
    for time in [-1, 1000] {
        history.commits[common].1 = time;
        let start = || Negotiator::new(Algorithm::Skipping, [id(common)], [id(tip)]);
        let first = vec![0, 100, 98, 1, 95, 2, 90, 3, 82, 5, 70, 8, 52, 12, 25, 18];
        let mut negotiator = start();
        assert_eq!(next_round(&mut negotiator, &history), (first.clone(), false));
        // The server has the first 18 of them.
        assert!(first.iter().filter(|at| **at <= 18).all(|at| negotiator.acknowledge(&id(*at))));
        let rest = vec![27, 41, 62, 93, 19, 20, 21, 22, 23, 24];
        assert_eq!(next_round(&mut negotiator, &history), (rest, true));
        // Above what it does not have there is nothing to look for.
        let mut negotiator = start();
        next_round(&mut negotiator, &history);
        assert_eq!(next_round(&mut negotiator, &history), (vec![27, 41, 62, 93], true));
    }
}

/// FETCH-15: newest first, and an advertised commit is none that is sent before its time.
#[test]
fn fetch_15_consecutive_haves_are_in_the_order_of_the_walk() {
    let mut history = History::default();
    let common = history.chain(None, 1);
    let tip = history.chain(Some(common), 40);
    let mut negotiator = Negotiator::new(Algorithm::Consecutive, [id(common)], [id(tip)]);
    let newest_first: Vec<usize> = (0..=40).rev().collect();
    assert_eq!(next_round(&mut negotiator, &history), (newest_first[..16].to_vec(), false));
    // Nothing but these: there are no gaps to narrow.
    assert_eq!(next_round(&mut negotiator, &history), (newest_first[16..].to_vec(), true));
}

/// FETCH-16: what a common tip reaches is not even looked at.
#[test]
fn fetch_16_the_walk_ends_where_all_is_common() {
    let mut history = History::default();
    let main = history.chain(None, 500);
    let local = history.chain(Some(main), 5);
    let case = Case { history: &history, local: &[local], remote: &[main], wants: &[main] };
    for algorithm in [Algorithm::Skipping, Algorithm::Consecutive] {
        let told = case.run(algorithm, false);
        assert!(told.loaded <= 7, "five, the tip and its parent: {}", told.loaded);
    }
}

#[test]
fn fetch_15_misuse_and_lies_are_told_apart() {
    let mut negotiator = Negotiator::new(Algorithm::Skipping, [], [id(7), id(8)]);
    assert_eq!(negotiator.commits(vec![]), Err(Misuse::NotAsked { verb: "commits" }));
    assert_eq!(negotiator.poll(), Some(Next::Load(vec![id(7), id(8)])));
    assert!(!negotiator.acknowledge(&id(7)), "not sent yet");
    // One of them is a tag, so it is left out; a commit nobody asked for is kept.
    let history = [(id(7), vec![id(6)], 7), (id(6), vec![], 6)];
    let commits = history
        .into_iter()
        .map(|(id, parents, time)| Commit { id, parents: parents.into_iter().collect(), time })
        .collect();
    negotiator.commits(commits).unwrap();
    assert_eq!(negotiator.poll(), Some(Next::Round { haves: vec![id(7)], last: true }));
    assert!(negotiator.acknowledge(&id(7)));
    assert!(!negotiator.acknowledge(&id(8)) && !negotiator.acknowledge(&id(99)));
}

/// A commit that claims a child as its parent cannot make the walk run on.
#[test]
fn fetch_15_a_circle_in_the_history_ends() {
    for algorithm in [Algorithm::Skipping, Algorithm::Consecutive] {
        let circle: BTreeMap<usize, usize> = [(1, 2), (2, 3), (3, 1)].into_iter().collect();
        let mut negotiator = Negotiator::new(algorithm, [], [id(1)]);
        let mut rounds = 0;
        while let Some(next) = negotiator.poll() {
            match next {
                Next::Load(ids) => {
                    let commit = |one: &ObjectId| Commit {
                        id: *one,
                        parents: [id(circle[&at(one)])].into_iter().collect(),
                        time: 0,
                    };
                    negotiator.commits(ids.iter().map(commit).collect()).unwrap();
                }
                Next::Round { haves, .. } => {
                    rounds += 1;
                    assert!(haves.iter().all(|id| negotiator.acknowledge(id)));
                }
            }
        }
        assert!(rounds < 3);
    }
}
