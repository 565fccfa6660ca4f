//! A repository in memory, and the drivers that answer the machines from it.
//!
//! Objects are commits only; a "pack" is a list of commits behind a length, so a cut or changed one is noticed.
//! What a real driver must hold, this one asserts: an object is stored only with everything it reaches, and a ref
//! moves only from its old value and only to an object that is there.
#![allow(dead_code, unreachable_pub)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::{BufMut, Bytes, BytesMut};
use portline::git::push::Command;
use portline::git::{
    Commit, Misuse, ObjectId, PackRequest, Ref, RefName, ShallowUpdate, Version, fetch, push,
};
use portline::peer::{self, Server, TwoWaySync};
use portline::{Instant, peer::sync};

/// An id from a number, spread so that neighbours differ in every byte.
pub fn id(number: u64) -> ObjectId {
    let mut raw = [0; 20];
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5555;
    for byte in &mut raw {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte = (state >> 56) as u8;
    }
    ObjectId::from_raw(&raw).unwrap()
}

/// `name` below `refs/heads/`, unless it begins with `refs/`.
pub fn name(name: &str) -> RefName {
    if name.starts_with("refs/") {
        RefName::new(name).unwrap()
    } else {
        RefName::new(format!("refs/heads/{name}")).unwrap()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repo {
    pub commits: BTreeMap<ObjectId, Commit>,
    pub refs: BTreeMap<RefName, ObjectId>,
    /// Those of the refs that stand for another one.
    pub symbolic: BTreeMap<RefName, RefName>,
}

impl Repo {
    /// Adds commit `number` on top of `parents`.
    pub fn commit(&mut self, number: u64, parents: &[u64]) -> ObjectId {
        let parents = parents.iter().map(|parent| id(*parent)).collect();
        let commit = Commit { id: id(number), parents, time: 1_000 + number as i64 };
        assert!(commit.parents.iter().all(|parent| self.commits.contains_key(parent)));
        self.commits.insert(commit.id, commit);
        id(number)
    }

    pub fn set(&mut self, branch: &str, number: u64) {
        assert!(self.commits.contains_key(&id(number)));
        self.refs.insert(name(branch), id(number));
    }

    pub fn at(&self, branch: &str) -> Option<ObjectId> {
        self.refs.get(&name(branch)).copied()
    }

    /// Everything reachable from `tips`, as far as it is here.
    pub fn closure(&self, tips: impl IntoIterator<Item = ObjectId>) -> BTreeSet<ObjectId> {
        let mut seen = BTreeSet::new();
        let mut todo: Vec<ObjectId> = tips.into_iter().collect();
        while let Some(next) = todo.pop() {
            if let Some(commit) = self.commits.get(&next) {
                if seen.insert(next) {
                    todo.extend(commit.parents.iter().copied());
                }
            }
        }
        seen
    }

    /// Everything reachable from the refs; fails if a ref or a parent names what is not here.
    pub fn check(&self) -> BTreeSet<ObjectId> {
        let reachable = self.closure(self.refs.values().copied());
        for (name, id) in &self.refs {
            assert!(self.commits.contains_key(id), "{name} names {id}, which is not there");
        }
        for id in &reachable {
            for parent in &self.commits[id].parents {
                assert!(self.commits.contains_key(parent), "{id} has a gap behind it");
            }
        }
        reachable
    }

    pub fn listed(&self) -> Vec<Ref> {
        let target = |name: &RefName| self.symbolic.get(name).cloned();
        let one =
            |(name, id): (&RefName, &ObjectId)| Ref { target: target(name), ..Ref::new(name.clone(), *id) };
        self.refs.iter().map(one).collect()
    }

    pub fn known(&self, ids: Vec<ObjectId>) -> Vec<ObjectId> {
        ids.into_iter().filter(|id| self.commits.contains_key(id)).collect()
    }

    pub fn load(&self, ids: Vec<ObjectId>) -> Vec<Commit> {
        ids.iter().filter_map(|id| self.commits.get(id).cloned()).collect()
    }

    pub fn pack(&self, request: &PackRequest) -> Bytes {
        let have = self.closure(request.haves.iter().copied());
        let want = self.closure(request.wants.iter().copied());
        let mut body = BytesMut::new();
        for id in want.difference(&have) {
            let commit = &self.commits[id];
            body.put_slice(id.as_raw());
            body.put_u64(commit.time as u64);
            body.put_u32(commit.parents.len() as u32);
            commit.parents.iter().for_each(|parent| body.put_slice(parent.as_raw()));
        }
        let mut pack = BytesMut::new();
        pack.put_u32(body.len() as u32);
        pack.put_slice(&body);
        pack.freeze()
    }

    /// Stores a pack whole or not at all.
    pub fn store(&mut self, pack: &[u8]) -> Result<(), Bytes> {
        let refuse = |why: &'static str| Bytes::from_static(why.as_bytes());
        let (length, mut body) = pack.split_first_chunk::<4>().ok_or_else(|| refuse("early EOF"))?;
        if u32::from_be_bytes(*length) as usize != body.len() {
            return Err(refuse("pack has a bad length"));
        }
        let mut taken = BTreeMap::new();
        while !body.is_empty() {
            if body.len() < 32 {
                return Err(refuse("a commit goes past the end"));
            }
            let id = ObjectId::from_raw(&body[..20]).unwrap();
            let time = i64::from_be_bytes(body[20..28].try_into().unwrap());
            let count = u32::from_be_bytes(body[28..32].try_into().unwrap()) as usize;
            let parents = body[32..].chunks_exact(20).take(count).map(|raw| ObjectId::from_raw(raw).unwrap());
            taken.insert(id, Commit { id, parents: parents.collect(), time });
            body = body.get(32 + 20 * count..).ok_or_else(|| refuse("a commit goes past the end"))?;
        }
        let there = |id: &ObjectId| taken.contains_key(id) || self.commits.contains_key(id);
        if !taken.values().all(|commit| commit.parents.iter().all(there)) {
            return Err(refuse("missing necessary objects"));
        }
        self.commits.extend(taken);
        Ok(())
    }

    pub fn update(&mut self, command: &Command) -> Result<(), Bytes> {
        let now = self.refs.get(&command.name).copied();
        if now.is_none_or(|now| now != command.old) && !(now.is_none() && command.old.is_null()) {
            return Err(Bytes::from_static(b"failed to update ref"));
        }
        if command.new.is_null() {
            self.refs.remove(&command.name);
        } else if self.commits.contains_key(&command.new) {
            self.refs.insert(command.name.clone(), command.new);
        } else {
            return Err(Bytes::from_static(b"missing necessary objects"));
        }
        Ok(())
    }
}

/// An answer that comes after the connection broke is for nobody; any other misuse is a bug.
pub fn told(result: Result<(), Misuse>) {
    assert!(matches!(result, Ok(()) | Err(Misuse::Ended { .. })), "{result:?}");
}

/// Drives a `TwoWaySync` from a repository in memory.
pub struct Left {
    pub repo: Repo,
    pub machine: TwoWaySync,
    pub end: Option<Result<sync::Outcome, sync::Failure>>,
    pub plan: Option<portline::sync::Plan>,
    /// The commands of each `UpdateRefs`, with a number that both sides count.
    pub moves: Moves,
    pack: BytesMut,
}

/// What was moved, in the order in which it was, on whichever side.
pub type Moves = Arc<Mutex<Vec<(&'static str, Vec<RefName>)>>>;

fn note(moves: &Moves, side: &'static str, commands: &[Command]) {
    moves.lock().unwrap().push((side, commands.iter().map(|command| command.name.clone()).collect()));
}

impl Left {
    pub fn new(repo: Repo, config: sync::Config) -> Self {
        let machine = TwoWaySync::new(config, Instant::ZERO).unwrap();
        Self { repo, machine, end: None, plan: None, moves: Moves::default(), pack: BytesMut::new() }
    }

    /// Handles one action; `false` when there is none.
    pub fn act(&mut self, now: Instant) -> bool {
        let Some(action) = self.machine.poll_action() else { return false };
        self.answer(now, action);
        true
    }

    /// What has come of the pack that is being fetched.
    pub fn held(&self) -> &[u8] {
        &self.pack
    }

    /// Does what the machine asks.
    pub fn answer(&mut self, now: Instant, action: sync::Action) {
        match action {
            sync::Action::Planned(plan) => assert!(self.plan.replace(plan).is_none()),
            sync::Action::Finished(outcome) => assert!(self.end.replace(Ok(outcome)).is_none()),
            sync::Action::Failed(failure) => assert!(self.end.replace(Err(failure)).is_none()),
            other => answer(&mut self.machine, &mut self.repo, &mut self.pack, &self.moves, now, other),
        }
    }
}

/// Answers a sync's question from `repo`; `pack` is what has come of the one that is being fetched.
pub fn answer(
    machine: &mut TwoWaySync,
    repo: &mut Repo,
    pack: &mut BytesMut,
    moves: &Moves,
    now: Instant,
    action: sync::Action,
) {
    match action {
        sync::Action::ListRefs => told(machine.refs_listed(now, repo.listed())),
        sync::Action::FindHeld(ids) => told(machine.held(now, repo.known(ids))),
        sync::Action::LoadCommits(ids) => told(machine.commits(now, repo.load(ids))),
        sync::Action::Pack(bytes) => pack.extend_from_slice(&bytes),
        sync::Action::PackEnd => {
            let pack = std::mem::take(pack);
            told(machine.pack_stored(now, repo.store(&pack)));
        }
        sync::Action::UpdateRefs(commands) => {
            note(moves, "left", &commands);
            let results = commands.iter().map(|command| repo.update(command)).collect();
            told(machine.refs_updated(now, results));
        }
        sync::Action::BuildPack(request) => {
            for chunk in repo.pack(&request).chunks(37) {
                told(machine.pack_chunk(now, Bytes::copy_from_slice(chunk)));
            }
            told(machine.pack_finished(now));
        }
        _ => {}
    }
}

/// A pack that a driver gives piece by piece, and then its end.
#[derive(Clone, Debug, Default)]
pub struct Giving(VecDeque<Option<Bytes>>);

impl Giving {
    /// In pieces of so many bytes.
    pub fn new(pack: &Bytes, size: usize) -> Self {
        let pieces = pack.chunks(size).map(|piece| Some(pack.slice_ref(piece)));
        Self(pieces.chain([None]).collect())
    }

    /// Gives the next of it with the machine's verbs; `false` when there is none.
    pub fn give<M>(
        &mut self,
        machine: &mut M,
        now: Instant,
        chunk: fn(&mut M, Instant, Bytes) -> Result<(), Misuse>,
        finished: fn(&mut M, Instant) -> Result<(), Misuse>,
    ) -> bool {
        match self.0.pop_front() {
            None => return false,
            Some(Some(piece)) => told(chunk(machine, now, piece)),
            Some(None) => told(finished(machine, now)),
        }
        true
    }
}

/// Drives a port session's server from a repository in memory.
pub struct Right {
    pub repo: Repo,
    pub machine: Server,
    pub closed: bool,
    /// Operations served to their end.
    pub served: usize,
    /// What a busy repository does at the worst moment: run before refs are updated.
    pub before_update: Option<fn(&mut Repo)>,
    /// A hook that refuses refs.
    pub refuses: Option<fn(&RefName) -> bool>,
    pub moves: Moves,
    /// The newest version that is spoken.
    pub newest: Version,
    /// Fetches that asked for less than all, or for packs from elsewhere.
    pub partial: usize,
    /// Whether packs from elsewhere are offered.
    pub offers_uris: bool,
    /// Where the history that is served ends.
    pub shallow: Vec<ObjectId>,
    /// Whether its packs lack their last byte.
    pub breaks_pack: bool,
    /// The versions that fetches asked for.
    pub asked: Vec<Version>,
    pack: BytesMut,
}

impl Right {
    pub fn new(repo: Repo, config: &peer::Config) -> Self {
        let machine = Server::new(config, Instant::ZERO).unwrap();
        Self {
            repo,
            machine,
            closed: false,
            served: 0,
            before_update: None,
            refuses: None,
            moves: Moves::default(),
            newest: Version::V2,
            partial: 0,
            offers_uris: false,
            shallow: Vec::new(),
            breaks_pack: false,
            asked: Vec::new(),
            pack: BytesMut::new(),
        }
    }

    /// Handles one action; `false` when there is none.
    pub fn act(&mut self, now: Instant) -> bool {
        let Some(action) = self.machine.poll_action() else { return false };
        match action {
            peer::server::Action::Requested(request) => match request.service {
                portline::git::Service::UploadPack => {
                    let config = fetch::server::Config {
                        version: request.version,
                        newest: self.newest,
                        shallow: self.shallow.clone(),
                        packfile_uris: self.offers_uris,
                        sideband_all: self.offers_uris,
                        ..fetch::server::Config::default()
                    };
                    self.asked.push(request.version);
                    self.machine.accept_fetch(now, config).unwrap();
                }
                portline::git::Service::ReceivePack => {
                    self.machine.accept_push(now, push::server::Config::default()).unwrap();
                }
            },
            peer::server::Action::Fetch(action) => self.fetch(now, action),
            peer::server::Action::Push(action) => self.push(now, action),
            peer::server::Action::Ready => self.served += 1,
            peer::server::Action::Closed(_) => self.closed = true,
            _ => {}
        }
        true
    }

    /// What has come of the pack that is being pushed.
    pub fn held(&self) -> &[u8] {
        &self.pack
    }

    fn fetch(&mut self, now: Instant, action: fetch::server::Action) {
        use fetch::server::Action;
        let repo = &self.repo;
        let Some(machine) = self.machine.fetch(now) else { return };
        match action {
            Action::ListRefs => told(machine.refs_listed(now, repo.listed())),
            Action::FindObjects(ids) => told(machine.objects_found(now, repo.known(ids))),
            Action::CheckReachable { ids, tips } => {
                let reachable = repo.closure(tips);
                told(machine.reachable(now, ids.iter().all(|id| reachable.contains(id))));
            }
            Action::CheckCovered { wants, common } => {
                let covered = wants
                    .iter()
                    .all(|want| !repo.closure([*want]).is_disjoint(&common.iter().copied().collect()));
                told(machine.covered(now, covered));
            }
            Action::BuildPack(request) => {
                self.partial += usize::from(!request.uri_protocols.is_empty());
                let pack = repo.pack(&request);
                let pack = pack.slice(..pack.len() - usize::from(self.breaks_pack));
                for chunk in pack.chunks(41) {
                    told(machine.pack_chunk(now, Bytes::copy_from_slice(chunk)));
                }
                told(machine.pack_finished(now));
            }
            Action::Deepen(_) => {
                self.partial += 1;
                let update = ShallowUpdate { shallow: self.shallow.clone(), unshallow: Vec::new() };
                told(machine.deepened(now, update));
            }
            _ => {}
        }
    }

    fn push(&mut self, now: Instant, action: push::server::Action) {
        use push::server::Action;
        let Some(machine) = self.machine.push(now) else { return };
        match action {
            Action::ListRefs => told(machine.refs_listed(now, self.repo.listed(), Vec::new())),
            Action::ReceivePack(_) => self.pack.clear(),
            Action::Pack(bytes) => self.pack.extend_from_slice(&bytes),
            Action::PackEnd => {
                let pack = std::mem::take(&mut self.pack);
                told(machine.pack_stored(now, self.repo.store(&pack)));
            }
            Action::UpdateRefs(update) => {
                note(&self.moves, "right", &update.commands);
                if let Some(busy) = self.before_update.take() {
                    busy(&mut self.repo);
                }
                let refuses = self.refuses.unwrap_or(|_| false);
                let results = update.commands.iter().map(|command| {
                    if refuses(&command.name) {
                        Err(Bytes::from_static(b"hook declined"))
                    } else {
                        self.repo.update(command)
                    }
                });
                let results = results.collect();
                told(machine.refs_updated(now, results));
            }
            _ => {}
        }
    }
}

/// How a run ended: how many steps it took, whether it was cut.
pub struct Run {
    pub steps: usize,
    pub cut: bool,
}

/// Runs both sides until nothing moves. At step `cut` the connection ends: messages under way are lost, the side
/// that is killed is not driven any more, the other one is told that the port closed.
pub fn run(left: &mut Left, right: &mut Right, cut: Option<(usize, Killed)>) -> Run {
    let now = Instant::ZERO;
    let mut steps = 0;
    let mut idle = false;
    while !idle {
        idle = true;
        for turn in 0..4 {
            if let Some((_, killed)) = cut.filter(|(at, _)| *at == steps) {
                survive(left, right, killed);
                return Run { steps, cut: true };
            }
            let moved = match turn {
                0 => left.act(now),
                1 => right.act(now),
                2 => left
                    .machine
                    .poll_transmit()
                    .map(|one| right.machine.handle_message(now, one.into_bytes()))
                    .is_some(),
                _ => right
                    .machine
                    .poll_transmit()
                    .map(|one| left.machine.handle_message(now, one.into_bytes()))
                    .is_some(),
            };
            if moved {
                steps += 1;
                idle = false;
            }
        }
    }
    survive(left, right, Killed::Neither);
    Run { steps, cut: false }
}

/// Who dies when the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killed {
    Left,
    Right,
    Neither,
}

pub fn survive(left: &mut Left, right: &mut Right, killed: Killed) {
    let now = Instant::ZERO;
    if killed != Killed::Left {
        let _ = left.machine.handle_closed(now);
        while left.act(now) {}
        assert!(left.end.is_some(), "the driving side has an end");
    }
    if killed != Killed::Right {
        let _ = right.machine.handle_closed(now);
        while right.act(now) {}
        assert!(right.closed, "the serving side has an end");
    }
}

/// One ref for each row of the decision table, and two for deletions.
pub fn diverged() -> (Repo, Repo, Vec<(RefName, ObjectId)>) {
    let mut base = Repo::default();
    base.commit(1, &[]);
    for number in 2..=6 {
        base.commit(number, &[number - 1]);
    }
    let (mut left, mut right) = (base.clone(), base);
    left.commit(10, &[6]);
    left.commit(11, &[10]);
    right.commit(20, &[6]);
    right.commit(21, &[20]);
    right.commit(22, &[21]);
    left.commit(30, &[3]);
    right.commit(40, &[4]);
    for repo in [&mut left, &mut right] {
        repo.set("equal", 6);
        repo.set("left-ahead", 6);
        repo.set("right-ahead", 6);
    }
    left.set("left-ahead", 11);
    right.set("right-ahead", 22);
    left.set("left-only", 10);
    right.set("right-only", 21);
    left.set("both-changed", 30);
    right.set("both-changed", 40);
    left.set("gone-on-right", 5);
    right.set("gone-on-left", 4);
    let base = vec![(name("gone-on-right"), id(5)), (name("gone-on-left"), id(4)), (name("equal"), id(6))];
    (left, right, base)
}

pub fn config(strategy: portline::sync::Strategy, base: Vec<(RefName, ObjectId)>) -> sync::Config {
    let mut config = sync::Config { base: Some(base), ..sync::Config::default() };
    config.sync.strategy = strategy;
    config.peer.chunk = 64;
    config
}

/// Refs without the backups.
pub fn visible(repo: &Repo) -> Vec<(RefName, ObjectId)> {
    let refs = repo.refs.iter().filter(|(name, _)| !name.as_bytes().starts_with(b"refs/portline/"));
    refs.map(|(name, id)| (name.clone(), *id)).collect()
}
