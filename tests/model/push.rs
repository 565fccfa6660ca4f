//! A push client and its server on three commits.
//!
//! Both have 1 ← 2. The client pushes 3 on top of 2 to one ref and deletes the other; or it only deletes; or its view of
//! a ref is out of date when the server comes to update it (T22).

use std::fmt::Write as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use portline::git::push::report::Report;
use portline::git::push::{Command, client, server};
use portline::{Instant, Transmit};

use crate::explore::{Digest, Property, explore};
use crate::pair::{Mood, Pair, Scene, Side, passed_on};
use crate::toy::{Giving, Repo, id, name, told};

const IDLE: Option<Duration> = Some(Duration::from_secs(10));

pub struct Pushing {
    machine: client::Client,
    repo: Repo,
    commands: Vec<Command>,
    giving: Giving,
    ends: Vec<Result<Report, client::Error>>,
}

impl Side for Pushing {
    passed_on!(handle_bytes);

    fn act(&mut self, now: Instant) -> bool {
        use client::Action;
        let Some(action) = self.machine.poll_action() else {
            return !self.machine.has_ended()
                && self.giving.give(
                    &mut self.machine,
                    now,
                    client::Client::pack_chunk,
                    client::Client::pack_finished,
                );
        };
        match action {
            Action::Advertised(_) => told(self.machine.push(now, self.commands.clone())),
            Action::BuildPack(request) => {
                let pack = self.repo.pack(&request);
                self.giving = Giving::new(&pack, pack.len().div_ceil(2));
            }
            Action::Progress(_) => {}
            Action::Finished(report) => self.ends.push(Ok(report)),
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
        format!("client: {:?} {:?}", self.ends, self.machine)
    }
}

pub struct Receiving {
    machine: server::Server,
    repo: Repo,
    before: Repo,
    /// Somebody else moves the ref just before it is updated.
    moves: bool,
    pack: BytesMut,
    /// A pack is being received and nobody was told yet what became of it.
    receiving: bool,
    ends: Vec<Result<server::Outcome, server::Error>>,
}

impl Receiving {
    /// Stores the pack once it is whole, or once no more will come.
    fn store(&mut self, now: Instant, over: bool) {
        let whole = self
            .pack
            .first_chunk::<4>()
            .is_some_and(|head| self.pack.len() - 4 >= u32::from_be_bytes(*head) as usize);
        if self.receiving && (whole || over) {
            self.receiving = false;
            let pack = std::mem::take(&mut self.pack);
            told(self.machine.pack_stored(now, self.repo.store(&pack)));
        }
    }
}

impl Side for Receiving {
    passed_on!(handle_bytes);

    fn act(&mut self, now: Instant) -> bool {
        use server::Action;
        let Some(action) = self.machine.poll_action() else { return false };
        match action {
            Action::ListRefs => told(self.machine.refs_listed(now, self.repo.listed(), Vec::new())),
            Action::ReceivePack(_) => self.receiving = true,
            Action::Pack(bytes) => {
                self.pack.extend_from_slice(&bytes);
                self.store(now, false);
            }
            Action::PackEnd => self.store(now, true),
            Action::UpdateRefs(update) => {
                if self.moves {
                    self.repo.set("main", 1);
                }
                let results = update.commands.iter().map(|command| self.repo.update(command)).collect();
                told(self.machine.refs_updated(now, results));
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
        let rest = (&self.repo.refs, self.repo.commits.len(), &self.pack, self.receiving, &self.ends);
        write!(digest, "{:?}{rest:?}", self.machine).unwrap();
    }

    fn show_end(&self, digest: &mut Digest) {
        write!(digest, "{:?}{:?}", self.ends, self.repo.refs).unwrap();
    }

    fn words(&self) -> String {
        format!("server: {:?} {:?} {:?}", self.ends, self.repo.refs, self.machine)
    }
}

/// What is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Nothing,
    /// A deletion only: no pack.
    Deletion,
    /// One ref is updated, the other deleted.
    Both,
    /// The same, and the first moves just before.
    Stale,
}

#[derive(Clone, Copy, Debug)]
pub struct Push {
    what: What,
    sideband: bool,
    mood: Mood,
}

impl Push {
    /// The refs where everything was done.
    fn done(self, repo: &Repo) -> bool {
        let (main, old) = match self.what {
            What::Nothing => (Some(2), Some(1)),
            What::Deletion => (Some(2), None),
            What::Both => (Some(3), None),
            What::Stale => (Some(1), None),
        };
        (repo.at("main"), repo.at("old")) == (main.map(id), old.map(id))
    }
}

impl Scene for Push {
    type Left = Pushing;
    type Right = Receiving;

    fn start(self) -> (Pushing, Receiving) {
        let mut theirs = Repo::default();
        theirs.commit(1, &[]);
        theirs.commit(2, &[1]);
        theirs.set("main", 2);
        theirs.set("old", 1);
        let mut ours = theirs.clone();
        ours.commit(3, &[2]);
        let update = Command::update(name("main"), id(2), id(3));
        let delete = Command::delete(name("old"), id(1));
        let commands = match self.what {
            What::Nothing => vec![],
            What::Deletion => vec![delete],
            What::Both | What::Stale => vec![update, delete],
        };
        let config =
            client::Config { sideband: self.sideband, idle_timeout: IDLE, ..client::Config::default() };
        let machine = client::Client::new(config, Instant::ZERO);
        let left = Pushing { machine, repo: ours, commands, giving: Giving::default(), ends: Vec::new() };
        let config = server::Config { idle_timeout: IDLE, ..server::Config::default() };
        let right = Receiving {
            machine: server::Server::new(config, Instant::ZERO),
            before: theirs.clone(),
            repo: theirs,
            moves: self.what == What::Stale,
            pack: BytesMut::new(),
            receiving: false,
            ends: Vec::new(),
        };
        (left, right)
    }

    fn mood(self) -> Mood {
        self.mood
    }

    fn always() -> Vec<Property<Pair<Self>>> {
        vec![
            ("every ref of the server names what is there, with all behind it", |pair| {
                !pair.right.repo.check().is_empty()
            }),
            ("refs move together with their report, or not at all", |pair| {
                pair.right.repo.refs == pair.right.before.refs || pair.scene.done(&pair.right.repo)
            }),
            ("the client calls it success only where every ref moved as asked", |pair| {
                let success = matches!(pair.left.ends.first(), Some(Ok(report)) if report.is_success());
                !success || (pair.scene.what != What::Stale && pair.scene.done(&pair.right.repo))
            }),
            ("a report names the refs that were asked, and no others", |pair| {
                let Some(Ok(report)) = pair.left.ends.first() else { return true };
                let names =
                    |report: &Report| report.refs.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
                let mut told = names(report);
                let mut asked: Vec<_> =
                    pair.left.commands.iter().map(|command| command.name.clone()).collect();
                told.sort();
                asked.sort();
                told == asked
            }),
            ("the server counts what it has done", |pair| {
                let Some(Ok(outcome)) = pair.right.ends.first() else { return true };
                let moved = match (pair.scene.what, outcome.commands > 0) {
                    (_, false) | (What::Nothing, _) => 0,
                    (What::Deletion | What::Stale, true) => 1,
                    (What::Both, true) => 2,
                };
                outcome.updated == moved || outcome.updated == 0
            }),
        ]
    }

    fn at_rest() -> Vec<Property<Pair<Self>>> {
        vec![
            ("what nothing has disturbed is done and told", |pair| {
                let fine = matches!(&pair.left.ends[0], Ok(report) if report.is_success() == (pair.scene.what != What::Stale));
                !pair.calm() || (fine && pair.right.ends[0].is_ok() && pair.scene.done(&pair.right.repo))
            }),
            ("a ref that moved meanwhile keeps what moved it", |pair| {
                let at = pair.right.repo.at("main");
                pair.scene.what != What::Stale || at == Some(id(1)) || at == Some(id(2))
            }),
        ]
    }
}

fn assert_states(cases: &[(Push, usize, usize)]) {
    let found: Vec<_> = cases.iter().map(|(scene, _, _)| explore(Pair::new(*scene))).collect();
    let expected: Vec<_> = cases.iter().map(|(_, states, ends)| (*states, *ends)).collect();
    assert_eq!(found, expected);
}

const BOTH: Push = Push { what: What::Both, sideband: true, mood: Mood::Late };

/// PUSH-6, PUSH-16, GIT-11, T13, T21, T22.
#[test]
fn push_6_every_interleaving_of_a_push_ends_once_on_each_side() {
    assert_states(&[
        (Push { what: What::Nothing, ..BOTH }, 65, 3),
        (Push { what: What::Deletion, ..BOTH }, 93, 5),
        (BOTH, 385, 6),
        (Push { what: What::Stale, ..BOTH }, 385, 6),
        (Push { mood: Mood::Halves, ..BOTH }, 1062, 10),
    ]);
}

/// GIT-13, GIT-18: the same with deadlines that pass.
#[test]
fn git_13_every_interleaving_of_a_push_with_a_deadline_ends_once_on_each_side() {
    assert_states(&[(Push { mood: Mood::Times(1), ..BOTH }, 1662, 21)]);
}

/// PUSH-6, T21: the same without a sideband.
#[test]
fn push_6_every_interleaving_without_a_sideband_ends_once_on_each_side() {
    let plain = Push { sideband: false, ..BOTH };
    assert_states(&[
        (Push { what: What::Deletion, ..plain }, 93, 5),
        (plain, 385, 6),
        (Push { what: What::Stale, ..plain }, 385, 6),
        (Push { mood: Mood::Halves, ..plain }, 1062, 10),
    ]);
}
