//! Several upload-pack servers in memory behind links with a rate, a latency and faults, and the machine that fetches from
//! all of them, under one virtual clock.
//!
//! What a driver must hold, this one asserts: each connection that was asked for is dropped once, there is one end, and
//! nothing of a dropped connection reaches the machine.
#![allow(dead_code, unreachable_pub)]

use std::collections::{BTreeMap, VecDeque};

use bytes::{BufMut, Bytes, BytesMut};
use portline::Instant;
use portline::git::fetch::{client, server};
use portline::git::{Misuse, ObjectId, PackRequest, Version};
use portline::peer::multi_source::{Action, Config, Failure, MultiSourceFetch, Outcome, SourceId};

use crate::toy::{Repo, id};

/// What happens to one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    Refused,
    Unanswered,
    /// After so many bytes from the server it closes.
    Cut(u64),
    /// After so many bytes from the server nothing more arrives, and nobody is told.
    Stall(u64),
}

/// A server: what it has, and how it is reached.
pub struct Site {
    pub repo: Repo,
    pub config: server::Config,
    /// Bytes a millisecond towards us.
    pub rate: u64,
    /// Milliseconds each way.
    pub latency: u64,
    /// One a connection; then there are none.
    pub faults: VecDeque<Fault>,
    /// From this millisecond on it is gone.
    pub dies: u64,
    /// Its packs cannot be read.
    pub lies: bool,
}

impl Site {
    pub fn new(repo: Repo) -> Self {
        let config = server::Config { version: Version::V2, ..server::Config::default() };
        let faults = VecDeque::new();
        Self { repo, config, rate: 1000, latency: 25, faults, dies: u64::MAX, lies: false }
    }

    pub fn rate(self, rate: u64) -> Self {
        Self { rate, ..self }
    }

    pub fn dies(self, dies: u64) -> Self {
        Self { dies, ..self }
    }

    pub fn faults(self, faults: &[Fault]) -> Self {
        Self { faults: faults.iter().copied().collect(), ..self }
    }

    /// Speaks another version.
    pub fn version(mut self, version: Version) -> Self {
        (self.config.version, self.config.newest) = (version, version);
        self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Connected,
    Refused,
    ToClient(Bytes),
    ToServer(Bytes),
    ClientClosed,
    ServerClosed,
    Stored(Result<(), Bytes>),
    Died,
}

struct Line {
    site: usize,
    server: server::Server,
    fault: Fault,
    sent: u64,
    in_flight: usize,
    free: u64,
    closed: bool,
    pack: VecDeque<Bytes>,
    packing: bool,
}

pub struct World {
    pub machine: MultiSourceFetch,
    pub now: u64,
    pub sites: Vec<Site>,
    pub local: Repo,
    pub weights: BTreeMap<ObjectId, usize>,
    /// Told when the first source was heard, unless the test has told others.
    pub wants: Vec<ObjectId>,
    pub end: Option<Result<Outcome, Failure>>,
    pub trace: Vec<String>,
    /// Commits in packs, each as often as it came.
    pub commits: usize,
    /// Bytes that came, of all sessions.
    pub bytes: u64,
    /// Connections asked for, by source.
    pub connects: Vec<usize>,
    pub heard: Vec<usize>,
    /// Milliseconds that storing a pack takes.
    pub store: u64,
    /// Packs are looked at while they come, and those that cannot be read refused at once.
    pub picky: bool,
    pub told: bool,
    lines: Vec<Line>,
    present: Vec<Option<usize>>,
    open: Vec<bool>,
    packs: Vec<BytesMut>,
    events: BTreeMap<(u64, u64), (usize, Option<usize>, Event)>,
    sequence: u64,
}

const ZEROS: &[u8] = &[0; 16 << 10];
/// Bytes of one connection on the way.
const WINDOW: usize = 128 << 10;

impl World {
    /// All sites are added as sources, and there will be no others.
    pub fn new(config: Config, sites: Vec<Site>, wants: Vec<ObjectId>) -> Self {
        let mut machine = MultiSourceFetch::new(config, Instant::ZERO).unwrap();
        let count = sites.len();
        for index in 0..count {
            assert_eq!(machine.add_source(Instant::ZERO, None).unwrap().index(), index);
        }
        machine.no_more_sources();
        let mut this = Self {
            machine,
            now: 0,
            sites,
            local: Repo::default(),
            weights: BTreeMap::new(),
            wants,
            end: None,
            trace: Vec::new(),
            commits: 0,
            bytes: 0,
            connects: vec![0; count],
            heard: vec![0; count],
            store: 0,
            picky: false,
            told: false,
            lines: Vec::new(),
            present: vec![None; count],
            open: vec![false; count],
            packs: vec![BytesMut::new(); count],
            events: BTreeMap::new(),
            sequence: 0,
        };
        for site in 0..count {
            let dies = this.sites[site].dies;
            if dies != u64::MAX {
                this.after(dies * 1000, site, None, Event::Died);
            }
        }
        this
    }

    pub fn at(&self) -> Instant {
        Instant::from_micros(self.now)
    }

    pub fn millis(&self) -> u64 {
        self.now / 1000
    }

    fn after(&mut self, delay: u64, site: usize, line: Option<usize>, event: Event) {
        self.sequence += 1;
        self.events.insert((self.now + delay, self.sequence), (site, line, event));
    }

    fn note(&mut self, what: impl std::fmt::Debug) {
        self.trace.push(format!("{} {what:?}", self.now));
    }

    fn act(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            let now = self.at();
            match action {
                Action::Connect { source } => self.connect(source.index()),
                Action::Disconnect { source } => self.drop_connection(source),
                Action::Advertised { source, .. } => {
                    self.heard[source.index()] += 1;
                    if !self.told {
                        self.told = true;
                        let tips = self.local.refs.values().copied().collect();
                        self.machine.want(now, self.wants.clone(), tips).unwrap();
                    }
                }
                Action::Fetch { source, action } => self.answer(source, action),
                Action::PackEnd { source, wants } => {
                    let pack = std::mem::take(&mut self.packs[source.index()]);
                    let mut stored = self.put(&pack);
                    if !wants.iter().all(|want| self.local.commits.contains_key(want)) {
                        stored = Err(Bytes::from_static(b"what was wanted is not in the pack"));
                    }
                    self.after(self.store * 1000, source.index(), None, Event::Stored(stored));
                }
                Action::Wait { source, until } => self.note(("wait", source, until)),
                Action::Finished(outcome) => self.ends(Ok(outcome)),
                Action::Failed(failure) => self.ends(Err(failure)),
            }
        }
    }

    fn ends(&mut self, end: Result<Outcome, Failure>) {
        self.note(&end);
        assert!(self.end.replace(end).is_none(), "one end");
        assert!(self.open.iter().all(|open| !open), "every connection is dropped before the end");
        assert!(self.machine.has_ended() && self.machine.poll_timeout().is_none());
    }

    fn answer(&mut self, source: SourceId, action: client::Action) {
        let now = self.at();
        let told = |result: Result<(), Misuse>| assert!(result.is_ok(), "{result:?}");
        let local = &self.local;
        // The session may have come to its end by the time its last bytes are handed on.
        if let client::Action::Pack(bytes) = &action {
            self.packs[source.index()].extend_from_slice(bytes);
            if self.picky && self.sites[source.index()].lies && self.machine.session(source).is_some() {
                let reason = Bytes::from_static(b"its head is wrong");
                return self.machine.pack_stored(now, source, Err(reason)).unwrap();
            }
        }
        let Some(session) = self.machine.session(source) else { return };
        match action {
            client::Action::FindHeld(ids) => {
                let held = ids.into_iter().filter(|id| local.commits.contains_key(id)).collect();
                told(session.held(now, held));
            }
            client::Action::LoadCommits(ids) => {
                told(
                    session
                        .commits(now, ids.iter().filter_map(|id| local.commits.get(id).cloned()).collect()),
                );
            }
            _ => {}
        }
    }

    fn connect(&mut self, source: usize) {
        assert!(!std::mem::replace(&mut self.open[source], true), "one connection at a time");
        self.connects[source] += 1;
        self.packs[source].clear();
        let site = &mut self.sites[source];
        let fault = site.faults.pop_front().unwrap_or(Fault::None);
        let fault = if self.now >= site.dies.saturating_mul(1000) { Fault::Refused } else { fault };
        let server = server::Server::new(site.config.clone(), Instant::from_micros(self.now));
        let latency = site.latency * 1000;
        self.lines.push(Line {
            site: source,
            server,
            fault,
            sent: 0,
            in_flight: 0,
            free: 0,
            closed: false,
            pack: VecDeque::new(),
            packing: false,
        });
        let line = self.lines.len() - 1;
        self.present[source] = Some(line);
        self.note(("connect", source, fault));
        match fault {
            Fault::Refused => self.after(2 * latency, source, Some(line), Event::Refused),
            Fault::Unanswered => {}
            _ => self.after(2 * latency, source, Some(line), Event::Connected),
        }
    }

    fn drop_connection(&mut self, source: SourceId) {
        let index = source.index();
        assert!(std::mem::replace(&mut self.open[index], false), "dropped once");
        self.note(("disconnect", index));
        if let Some(line) = self.present[index].take() {
            let latency = self.sites[index].latency * 1000;
            while let Some(last) = self.machine.poll_transmit(source) {
                self.after(latency, index, Some(line), Event::ToServer(last.into_bytes()));
            }
            self.after(latency, index, Some(line), Event::ServerClosed);
        }
    }

    /// A pack: the length of the padding, the commits, the padding.
    fn pack(&self, site: usize, request: &PackRequest) -> VecDeque<Bytes> {
        let repo = &self.sites[site].repo;
        let held = repo.closure(request.haves.iter().copied());
        let wanted = repo.closure(request.wants.iter().copied());
        let weight: usize =
            wanted.difference(&held).filter_map(|id| self.weights.get(id)).copied().sum::<usize>();
        let mut head = BytesMut::new();
        head.put_u64(weight as u64 + u64::from(self.sites[site].lies));
        head.extend_from_slice(&repo.pack(request));
        let mut pieces = VecDeque::from([head.freeze()]);
        let mut left = weight;
        while left > 0 {
            let piece = left.min(ZEROS.len());
            pieces.push_back(Bytes::from_static(&ZEROS[..piece]));
            left -= piece;
        }
        pieces
    }

    fn put(&mut self, pack: &[u8]) -> Result<(), Bytes> {
        let bad = || Bytes::from_static(b"bad pack");
        let (padding, rest) = pack.split_first_chunk::<8>().ok_or_else(bad)?;
        let padding = u64::from_be_bytes(*padding) as usize;
        let size = rest.len().checked_sub(padding).ok_or_else(bad)?;
        let mut body = &rest[4..size];
        self.local.store(&rest[..size])?;
        while !body.is_empty() {
            let parents = u32::from_be_bytes(body[28..32].try_into().unwrap()) as usize;
            body = &body[32 + 20 * parents..];
            self.commits += 1;
        }
        Ok(())
    }

    /// Lets the server of a line work, and sends as much as the line takes.
    fn serve(&mut self, index: usize) {
        let now = self.at();
        while let Some(action) = self.lines[index].server.poll_action() {
            let site = self.lines[index].site;
            let pack = match &action {
                server::Action::BuildPack(request) => Some(self.pack(site, request)),
                _ => None,
            };
            let (line, repo) = (&mut self.lines[index], &self.sites[site].repo);
            let server = &mut line.server;
            match action {
                server::Action::ListRefs | server::Action::ListRefsBelow(_) => {
                    server.refs_listed(now, repo.listed()).unwrap();
                }
                server::Action::FindObjects(ids) => {
                    let found = ids.into_iter().filter(|id| repo.commits.contains_key(id)).collect();
                    server.objects_found(now, found).unwrap();
                }
                server::Action::LoadCommits(_) => server.commits(now, Vec::new()).unwrap(),
                server::Action::CheckReachable { .. } => server.reachable(now, true).unwrap(),
                server::Action::CheckCovered { wants, common } => {
                    // Git takes the parents of what is in common for held, too.
                    let parents =
                        common.iter().filter_map(|id| repo.commits.get(id)).flat_map(|one| &one.parents);
                    let common = parents.chain(&common).copied().collect();
                    let covered = wants.iter().all(|want| !repo.closure([*want]).is_disjoint(&common));
                    server.covered(now, covered).unwrap();
                }
                server::Action::BuildPack(_) => {
                    (line.pack, line.packing) = (pack.unwrap(), true);
                }
                _ => {}
            }
        }
        self.feed(index);
    }

    fn feed(&mut self, index: usize) {
        let now = self.at();
        loop {
            let line = &mut self.lines[index];
            while line.packing && line.server.wants_pack() {
                match line.pack.pop_front() {
                    Some(piece) => line.server.pack_chunk(now, piece).unwrap(),
                    None => {
                        line.packing = false;
                        line.server.pack_finished(now).unwrap();
                    }
                }
            }
            if line.closed || line.in_flight >= WINDOW {
                return;
            }
            let Some(transmit) = line.server.poll_transmit() else { return };
            self.send(index, transmit.into_bytes());
        }
    }

    fn send(&mut self, index: usize, mut bytes: Bytes) {
        let site = self.lines[index].site;
        let (rate, latency) = (self.sites[site].rate, self.sites[site].latency * 1000);
        let line = &mut self.lines[index];
        let mut ends = None;
        if let Fault::Cut(at) | Fault::Stall(at) = line.fault {
            let room = usize::try_from(at.saturating_sub(line.sent)).unwrap();
            if bytes.len() >= room {
                bytes.truncate(room);
                (line.closed, ends) = (true, Some(line.fault));
            }
        }
        line.sent += bytes.len() as u64;
        line.in_flight += bytes.len();
        line.free = line.free.max(self.now) + bytes.len() as u64 * 1000 / rate;
        let delay = line.free - self.now + latency;
        self.after(delay, site, Some(index), Event::ToClient(bytes));
        if let Some(Fault::Cut(_)) = ends {
            self.after(delay, site, Some(index), Event::ClientClosed);
        }
    }

    fn handle(&mut self, site: usize, line: Option<usize>, event: Event) {
        let (now, source) = (self.at(), self.machine_source(site));
        let is_present = line.is_some() && self.present[site] == line;
        match event {
            Event::Connected if is_present => self.machine.connected(now, source).unwrap(),
            Event::Refused if is_present => {
                self.present[site] = None;
                self.open[site] = false;
                self.machine.connect_failed(now, source, Bytes::from_static(b"refused")).unwrap();
            }
            Event::ToClient(bytes) => {
                let index = line.unwrap();
                self.lines[index].in_flight -= bytes.len();
                if is_present && self.now < self.sites[site].dies.saturating_mul(1000) {
                    assert!(self.machine.wants_input(source) || self.machine.session(source).is_none());
                    self.bytes += bytes.len() as u64;
                    self.machine.handle_bytes(now, source, bytes);
                }
            }
            Event::ClientClosed if is_present => self.machine.handle_closed(now, source),
            Event::ToServer(bytes) => drop(self.lines[line.unwrap()].server.handle_bytes(now, bytes)),
            Event::ServerClosed => {
                self.lines[line.unwrap()].closed = true;
                drop(self.lines[line.unwrap()].server.handle_closed(now));
            }
            Event::Stored(result) => {
                // After the end nobody asks any more.
                let ended = self.machine.has_ended();
                assert_eq!(self.machine.pack_stored(now, source, result).is_err(), ended);
            }
            Event::Died => {
                self.note(("died", site));
                if let Some(line) = self.present[site] {
                    self.lines[line].closed = true;
                    self.machine.handle_closed(now, source);
                }
            }
            Event::Connected | Event::Refused | Event::ClientClosed => {}
        }
        if let Some(line) = line {
            self.serve(line);
        }
    }

    fn machine_source(&self, site: usize) -> SourceId {
        self.sources()[site]
    }

    fn sources(&self) -> Vec<SourceId> {
        self.machine.sources().collect()
    }

    /// Runs to the end, and then until nothing is on its way any more.
    pub fn run(mut self) -> Self {
        self.act();
        loop {
            for source in self.sources() {
                while let Some(message) = self.machine.poll_transmit(source) {
                    if let Some(line) = self.present[source.index()] {
                        let latency = self.sites[source.index()].latency * 1000;
                        self.after(
                            latency,
                            source.index(),
                            Some(line),
                            Event::ToServer(message.into_bytes()),
                        );
                    }
                }
            }
            let timer = self.machine.poll_timeout().map(|at| at.as_micros().max(self.now));
            let first = self.events.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = timer.into_iter().chain(first).min() else { break };
            assert!(next < 10_000_000_000, "a deadline that does not move forward stops the clock");
            self.now = next;
            if first == Some(next) {
                if let Some((_, (site, line, event))) = self.events.pop_first() {
                    self.handle(site, line, event);
                }
            } else {
                self.machine.handle_timeout(self.at());
            }
            self.act();
            if self.end.is_some() {
                break;
            }
        }
        assert!(self.end.is_some(), "it ends");
        assert!(self.machine.poll_action().is_none());
        self
    }

    /// What came is whole, and is what was asked for, but for what is told to be missing.
    pub fn judge(&self) {
        let missing = match self.end.as_ref().unwrap() {
            Ok(_) => &[][..],
            Err(failure) => &failure.missing,
        };
        for want in &self.wants {
            let is_here = self.local.commits.contains_key(want);
            // A want may have come as a part of another one's history, and its own share have failed.
            assert!(is_here || missing.contains(want), "{want} is not here, and not told to be missing");
        }
        for commit in self.local.commits.values() {
            assert!(commit.parents.iter().all(|parent| self.local.commits.contains_key(parent)));
        }
    }
}

/// A repository of branches, each with so many commits of its own on top of `base` common ones, and their ids.
pub fn branches(base: u64, count: u64, each: u64) -> (Repo, Vec<ObjectId>) {
    let mut repo = Repo::default();
    let mut tips = Vec::new();
    for number in 1..=base {
        repo.commit(number, &(1..number).last().map_or(vec![], |before| vec![before]));
    }
    for branch in 0..count {
        let first = 1_000_000 + branch * 1000;
        for number in first..first + each {
            let parents = if number > first {
                vec![number - 1]
            } else if base > 0 {
                vec![base]
            } else {
                vec![]
            };
            repo.commit(number, &parents);
        }
        repo.set(&format!("b{branch:04}"), first + each - 1);
        tips.push(id(first + each - 1));
    }
    (repo, tips)
}
