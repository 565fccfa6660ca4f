//! A fetch client and its server on three commits, in each protocol version.
//!
//! The server has 1 ← 2 with its ref at 2; the client has nothing, or 1, or 1 ← 3, or all of it. Both give up after ten
//! seconds of silence, and the server shows after five that it lives: such deadlines pass whenever they could.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use portline::git::fetch::client::{self, Client};
use portline::git::fetch::server::{self, Server};
use portline::git::{ObjectId, Version};
use portline::{Instant, Transmit};

use crate::explore::{Digest, Property, explore};
use crate::pair::{Mood, Pair, Scene, Side, passed_on};
use crate::toy::{Giving, Repo, told};

const IDLE: Option<Duration> = Some(Duration::from_secs(10));

pub struct Fetching {
    machine: Client,
    repo: Repo,
    wants: Vec<ObjectId>,
    pack: BytesMut,
    /// What the driver made of a pack, once the fetch had finished.
    stored: Option<bool>,
    ends: Vec<Result<client::Outcome, client::Error>>,
}

impl Fetching {
    fn has_all(&self) -> bool {
        self.wants.iter().all(|want| self.repo.commits.contains_key(want))
    }
}

impl Side for Fetching {
    passed_on!(handle_bytes);

    fn act(&mut self, now: Instant) -> bool {
        use client::Action;
        let Some(action) = self.machine.poll_action() else { return false };
        match action {
            Action::Advertised(seen) => {
                self.wants = seen.refs.iter().map(|one| one.id).collect();
                let tips = self.repo.refs.values().copied().collect();
                told(self.machine.want(now, self.wants.clone(), tips));
            }
            Action::FindHeld(ids) => told(self.machine.held(now, self.repo.known(ids))),
            Action::LoadCommits(ids) => told(self.machine.commits(now, self.repo.load(ids))),
            Action::Pack(bytes) => self.pack.extend_from_slice(&bytes),
            Action::Finished(outcome) => {
                if outcome.pack {
                    let pack = std::mem::take(&mut self.pack);
                    self.stored = Some(self.repo.store(&pack).is_ok());
                }
                self.ends.push(Ok(outcome));
            }
            Action::Failed(error) => self.ends.push(Err(error)),
            other => panic!("{other:?}"),
        }
        true
    }

    fn has_ended(&self) -> bool {
        self.machine.has_ended()
    }

    fn ends(&self) -> usize {
        self.ends.len()
    }

    fn show(&self, digest: &mut Digest) {
        let rest = (&self.wants, &self.pack, self.stored, &self.ends, self.repo.commits.len());
        write!(digest, "{:?}{rest:?}", self.machine).unwrap();
    }

    fn show_end(&self, digest: &mut Digest) {
        write!(digest, "{:?}{:?}", self.ends, self.stored).unwrap();
    }

    fn words(&self) -> String {
        format!("client: {:?} {:?}", self.ends, self.machine)
    }
}

pub struct Serving {
    machine: Server,
    repo: Repo,
    giving: Giving,
    ends: Vec<Result<server::Outcome, server::Error>>,
}

impl Side for Serving {
    passed_on!(handle_bytes);

    fn act(&mut self, now: Instant) -> bool {
        use server::Action;
        let Some(action) = self.machine.poll_action() else {
            // A driver whose session is over builds no more.
            return !self.machine.has_ended()
                && self.giving.give(&mut self.machine, now, Server::pack_chunk, Server::pack_finished);
        };
        let repo = &self.repo;
        match action {
            Action::ListRefs | Action::ListRefsBelow(_) => told(self.machine.refs_listed(now, repo.listed())),
            Action::FindObjects(ids) => told(self.machine.objects_found(now, repo.known(ids))),
            Action::LoadCommits(ids) => told(self.machine.commits(now, repo.load(ids))),
            Action::CheckCovered { wants, common } => {
                let common = common.into_iter().collect();
                let covered = wants.iter().all(|want| !repo.closure([*want]).is_disjoint(&common));
                told(self.machine.covered(now, covered));
            }
            Action::BuildPack(request) => {
                let pack = repo.pack(&request);
                self.giving = Giving::new(&pack, pack.len().div_ceil(2));
            }
            Action::Finished(outcome) => self.ends.push(Ok(outcome)),
            Action::Failed(error) => self.ends.push(Err(error)),
            other => panic!("{other:?}"),
        }
        true
    }

    fn has_ended(&self) -> bool {
        self.machine.has_ended()
    }

    fn ends(&self) -> usize {
        self.ends.len()
    }

    fn show(&self, digest: &mut Digest) {
        write!(digest, "{:?}{:?}{:?}", self.machine, self.giving, self.ends).unwrap();
    }

    fn show_end(&self, digest: &mut Digest) {
        write!(digest, "{:?}", self.ends).unwrap();
    }

    fn words(&self) -> String {
        format!("server: {:?} {:?}", self.ends, self.machine)
    }
}

/// What the client has already.
#[derive(Clone, Copy, Debug)]
enum Has {
    Nothing,
    Parent,
    Fork,
    All,
}

#[derive(Clone, Copy, Debug)]
pub struct Fetch {
    version: Version,
    has: Has,
    sideband: bool,
    mood: Mood,
}

impl Scene for Fetch {
    type Left = Fetching;
    type Right = Serving;

    fn start(self) -> (Fetching, Serving) {
        let (mut ours, mut theirs) = (Repo::default(), Repo::default());
        theirs.commit(1, &[]);
        theirs.commit(2, &[1]);
        theirs.set("main", 2);
        let own = match self.has {
            Has::Nothing => None,
            Has::Parent => Some(1),
            Has::Fork => Some(3),
            Has::All => Some(2),
        };
        if let Some(own) = own {
            ours.commit(1, &[]);
            if own > 1 {
                ours.commit(own, &[1]);
            }
            ours.set("main", own);
        }
        let config =
            client::Config { sideband: self.sideband, idle_timeout: IDLE, ..client::Config::default() };
        let left = Fetching {
            machine: Client::new(config, Instant::ZERO),
            repo: ours,
            wants: Vec::new(),
            pack: BytesMut::new(),
            stored: None,
            ends: Vec::new(),
        };
        let config =
            server::Config { version: self.version, idle_timeout: IDLE, ..server::Config::default() };
        let machine = Server::new(config, Instant::ZERO);
        (left, Serving { machine, repo: theirs, giving: Giving::default(), ends: Vec::new() })
    }

    fn mood(self) -> Mood {
        self.mood
    }

    fn always() -> Vec<Property<Pair<Self>>> {
        vec![
            ("what the client's repository holds is whole", |pair| {
                pair.left.repo.check();
                pair.left.repo.commits.values().all(|commit| {
                    commit.parents.iter().all(|parent| pair.left.repo.commits.contains_key(parent))
                })
            }),
            ("finished means that everything wanted is there, or that the pack's own check told", |pair| {
                !matches!(pair.left.ends.first(), Some(Ok(_)))
                    || pair.left.has_all()
                    || pair.left.stored == Some(false)
            }),
            ("in a sideband a cut pack is never finished", |pair| {
                !pair.scene.sideband || pair.left.stored != Some(false)
            }),
            ("a pack comes only from a server that was asked for one", |pair| {
                pair.left.pack.is_empty() || !matches!(pair.scene.has, Has::All)
            }),
        ]
    }

    fn at_rest() -> Vec<Property<Pair<Self>>> {
        vec![
            ("what nothing has disturbed goes well on both sides", |pair| {
                !pair.calm() || (pair.left.ends[0].is_ok() && pair.right.ends[0].is_ok())
            }),
            ("what went well has brought everything", |pair| !pair.calm() || pair.left.has_all()),
            ("a commit that the client has does not come again", |pair| {
                let Ok(outcome) = &pair.left.ends[0] else { return true };
                outcome.pack != matches!(pair.scene.has, Has::All)
            }),
        ]
    }
}

fn assert_states(cases: &[(Fetch, usize, usize)]) {
    let found: Vec<_> = cases.iter().map(|(scene, _, _)| explore(Pair::new(*scene))).collect();
    let expected: Vec<_> = cases.iter().map(|(_, states, ends)| (*states, *ends)).collect();
    assert_eq!(found, expected);
}

const BEHIND: Fetch = Fetch { version: Version::V0, has: Has::Parent, sideband: true, mood: Mood::Late };

/// FETCH-23, GIT-11, T13: versions 0 and 1, with a sideband.
#[test]
fn fetch_23_every_interleaving_of_a_fetch_ends_once_on_each_side() {
    assert_states(&[
        (Fetch { has: Has::Nothing, ..BEHIND }, 373, 7),
        (BEHIND, 390, 7),
        (Fetch { has: Has::Fork, ..BEHIND }, 397, 7),
        (Fetch { has: Has::All, ..BEHIND }, 72, 3),
        (Fetch { version: Version::V1, ..BEHIND }, 390, 7),
        (Fetch { mood: Mood::Halves, ..BEHIND }, 1205, 12),
    ]);
}

/// GIT-13, GIT-18: the same with deadlines that pass.
#[test]
fn git_13_every_interleaving_with_a_deadline_ends_once_on_each_side() {
    assert_states(&[(Fetch { mood: Mood::Times(1), ..BEHIND }, 2280, 23)]);
}

/// FETCH-23: where the end of the connection is the end of the pack, only the pack's own check tells a cut.
#[test]
fn fetch_23_every_interleaving_without_a_sideband_leaves_a_whole_repository() {
    let plain = Fetch { sideband: false, ..BEHIND };
    assert_states(&[
        (Fetch { has: Has::Nothing, ..plain }, 257, 7),
        (plain, 274, 7),
        (Fetch { has: Has::Fork, ..plain }, 281, 7),
        (Fetch { mood: Mood::Halves, ..plain }, 657, 11),
    ]);
}

/// V2S-2, V2C-15, T13: version 2.
#[test]
fn v2s_2_every_interleaving_of_a_fetch_in_version_2_ends_once_on_each_side() {
    let second = Fetch { version: Version::V2, ..BEHIND };
    assert_states(&[
        (Fetch { has: Has::Nothing, ..second }, 355, 9),
        (second, 372, 9),
        (Fetch { has: Has::Fork, ..second }, 379, 9),
        (Fetch { has: Has::All, ..second }, 92, 5),
        (Fetch { mood: Mood::Halves, ..second }, 1079, 16),
    ]);
}
