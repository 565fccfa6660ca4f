//! Two repositories of three commits and two refs, in sync over one port, cut at every step of every interleaving.
//!
//! Whatever breaks, no side loses a commit or names one that is not there, and a second run over a whole connection brings
//! both to where a first one would have.

use std::fmt::Write as _;

use bytes::Bytes;
use portline::git::{ObjectId, RefName};
use portline::peer::sync::{Config, RefResult};
use portline::sync::Strategy;
use portline::{Instant, Transmit, peer};

use crate::explore::{Digest, Property, explore};
use crate::pair::{Mood, Pair, Scene, Side, passed_on};
use crate::toy::{self, Left, Repo, Right, id, name, visible};

impl Side for Left {
    passed_on!(handle_message);

    /// It fails on a second terminal action.
    fn act(&mut self, now: Instant) -> bool {
        self.act(now)
    }

    fn has_ended(&self) -> bool {
        self.machine.has_ended()
    }

    fn ends(&self) -> usize {
        usize::from(self.end.is_some())
    }

    fn show(&self, digest: &mut Digest) {
        let rest = (&self.repo.refs, self.repo.commits.len(), &self.end, self.held());
        write!(digest, "{:?}{rest:?}", self.machine).unwrap();
    }

    fn show_end(&self, digest: &mut Digest) {
        write!(digest, "{:?}{:?}{}", self.end, self.repo.refs, self.repo.commits.len()).unwrap();
    }

    fn words(&self) -> String {
        format!("left: {:?} {:?}", self.repo.refs, self.end)
    }
}

impl Side for Right {
    passed_on!(handle_message);

    fn act(&mut self, now: Instant) -> bool {
        self.act(now)
    }

    fn has_ended(&self) -> bool {
        self.closed
    }

    fn ends(&self) -> usize {
        usize::from(self.closed)
    }

    fn show(&self, digest: &mut Digest) {
        let rest = (&self.repo.refs, self.repo.commits.len(), self.closed, self.held());
        write!(digest, "{:?}{rest:?}", self.machine).unwrap();
    }

    fn show_end(&self, digest: &mut Digest) {
        write!(digest, "{:?}{}", self.repo.refs, self.repo.commits.len()).unwrap();
    }

    fn words(&self) -> String {
        format!("right: {:?} closed: {}", self.repo.refs, self.closed)
    }
}

/// Whether no ref has failed; a conflict is no failure.
fn went_well(left: &Left) -> bool {
    let Some(Ok(outcome)) = &left.end else { return false };
    !outcome.refs.iter().any(|one| matches!(one.result, RefResult::Failed(_)))
}

/// Where two refs stand on each side; 0 is nowhere.
type Refs = [u64; 2];

#[derive(Clone, Copy, Debug)]
pub struct Sync {
    /// Whether commit 3 stands on 1, beside 2; or on 2.
    fork: bool,
    left: Refs,
    right: Refs,
    base: Refs,
    strategy: Strategy,
    mood: Mood,
}

const NAMES: [&str; 2] = ["a", "b"];

impl Sync {
    fn repo(self, refs: Refs) -> Repo {
        let parents = |number| if number == 3 && self.fork { 1 } else { number - 1 };
        let mut repo = Repo::default();
        // A side has what its refs reach and nothing else.
        let mut numbers: Vec<u64> = Vec::new();
        for number in refs {
            let mut number = number;
            while number > 0 {
                numbers.push(number);
                number = parents(number);
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            let parent = parents(number);
            repo.commit(number, if parent > 0 { std::slice::from_ref(&parent) } else { &[] });
        }
        for (name, number) in NAMES.into_iter().zip(refs) {
            if number > 0 {
                repo.set(name, number);
            }
        }
        repo
    }

    fn base(self) -> Vec<(RefName, ObjectId)> {
        let refs = NAMES.into_iter().zip(self.base).filter(|(_, number)| *number > 0);
        refs.map(|(branch, number)| (name(branch), id(number))).collect()
    }

    fn sides(self, left: Repo, right: Repo) -> (Left, Right) {
        let mut config = Config { base: Some(self.base()), ..Config::default() };
        config.sync.strategy = self.strategy;
        (Left::new(left, config), Right::new(right, &peer::Config::default()))
    }

    /// Where both sides stand after a whole run from here.
    fn whole(self, left: Repo, right: Repo) -> (bool, [Vec<(RefName, ObjectId)>; 2]) {
        let (mut left, mut right) = self.sides(left, right);
        toy::run(&mut left, &mut right, None);
        (went_well(&left), [visible(&left.repo), visible(&right.repo)])
    }
}

impl Scene for Sync {
    type Left = Left;
    type Right = Right;

    fn start(self) -> (Left, Right) {
        self.sides(self.repo(self.left), self.repo(self.right))
    }

    fn mood(self) -> Mood {
        self.mood
    }

    fn always() -> Vec<Property<Pair<Self>>> {
        vec![
            ("no side loses a commit that a ref has reached", |pair| {
                let (left, right) = (pair.scene.repo(pair.scene.left), pair.scene.repo(pair.scene.right));
                let keeps = |now: &Repo, before: &Repo| now.check().is_superset(&before.check());
                keeps(&pair.left.repo, &left) && keeps(&pair.right.repo, &right)
            }),
            ("what is called done is done", |pair| {
                let refs = match &pair.left.end {
                    None => return true,
                    Some(Ok(outcome)) => &outcome.refs,
                    Some(Err(failure)) => &failure.outcome.refs,
                };
                let (here, there) = (&pair.left.repo.refs, &pair.right.repo.refs);
                let done = refs.iter().filter(|one| matches!(one.result, RefResult::Done { .. }));
                done.into_iter().all(|one| here.get(&one.plan.name) == there.get(&one.plan.name))
            }),
        ]
    }

    fn at_rest() -> Vec<Property<Pair<Self>>> {
        vec![
            ("what nothing has disturbed goes well", |pair| !pair.calm() || went_well(&pair.left)),
            ("another run finishes what was begun", |pair| {
                let scene = pair.scene;
                let first = scene.whole(scene.repo(scene.left), scene.repo(scene.right));
                first.0 && scene.whole(pair.left.repo.clone(), pair.right.repo.clone()) == first
            }),
        ]
    }
}

const PLAIN: Sync = Sync {
    fork: false,
    left: [3, 1],
    right: [2, 2],
    base: [0, 0],
    strategy: Strategy::Report,
    mood: Mood::Eager,
};

/// SYNC-51, SYNC-40, T13: one ref ahead on each side, and histories that have parted.
#[test]
fn sync_51_every_interleaving_of_a_sync_that_is_cut_anywhere_loses_nothing() {
    let parted = Sync { fork: true, left: [2, 2], right: [3, 1], ..PLAIN };
    let gone = Sync { base: [2, 2], ..PLAIN };
    for (scene, states, ends) in [
        (PLAIN, 120, 6),
        (Sync { left: [0, 0], ..PLAIN }, 102, 4),
        (Sync { right: [0, 0], ..PLAIN }, 136, 6),
        (parted, 153, 6),
        (Sync { strategy: Strategy::PreferLocal, ..parted }, 204, 7),
        (Sync { strategy: Strategy::PreferRemote, ..parted }, 153, 6),
        (Sync { left: [2, 0], right: [2, 2], ..gone }, 162, 7),
        (Sync { left: [0, 2], right: [2, 0], ..gone }, 162, 7),
        (Sync { left: [2, 2], right: [2, 2], mood: Mood::Late, ..PLAIN }, 323, 4),
        (Sync { left: [2, 2], right: [3, 2], mood: Mood::Late, ..PLAIN }, 1058, 4),
    ] {
        assert_eq!(explore(Pair::new(scene)), (states, ends), "{scene:?}");
    }
}

/// SYNC-51, T13: every place of two refs on two sides over three commits, with one strategy or another; the connection is cut
/// before every step, and either side may be gone for good.
#[test]
fn sync_51_two_refs_anywhere_on_three_commits_survive_a_cut_at_every_step() {
    let (mut pairs, mut cuts) = (0, 0);
    let places = || (0..=3).flat_map(|a| (a..=3).map(move |b| [a, b]));
    for left in places() {
        for right in places() {
            let strategy = [Strategy::Report, Strategy::PreferLocal, Strategy::PreferRemote][pairs % 3];
            cuts += cut_everywhere(Sync { fork: pairs % 2 == 1, left, right, strategy, ..PLAIN });
            pairs += 1;
        }
    }
    assert_eq!((pairs, cuts), (100, 4107));
}

fn cut_everywhere(scene: Sync) -> usize {
    let whole = scene.whole(scene.repo(scene.left), scene.repo(scene.right));
    assert!(whole.0, "{scene:?}");
    let before = [scene.left, scene.right].map(|refs| scene.repo(refs).check());
    for at in 0.. {
        let (mut left, mut right) = scene.start();
        let killed = [toy::Killed::Left, toy::Killed::Right, toy::Killed::Neither][at % 3];
        let run = toy::run(&mut left, &mut right, Some((at, killed)));
        assert!(left.repo.check().is_superset(&before[0]), "{scene:?}, cut at {at}");
        assert!(right.repo.check().is_superset(&before[1]), "{scene:?}, cut at {at}");
        assert_eq!(scene.whole(left.repo, right.repo), whole, "{scene:?}, cut at {at}");
        if !run.cut {
            return at;
        }
    }
    0
}
