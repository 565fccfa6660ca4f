//! Servers in memory behind connections, and the driver of a fetch from all of them.

use arbitrary::Arbitrary;
use bytes::{Bytes, BytesMut};
use portline::Instant;
use portline::git::fetch::{client, server};
use portline::git::{ObjectId, Version};
use portline::peer::multi_source::{Action, MultiSourceFetch, SourceId};

use crate::toy::{Repo, id};

#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Setup {
    pub version: u8,
    /// One bit a branch.
    pub branches: u8,
    /// Its packs cannot be stored.
    pub lies: bool,
}

pub const SITES: usize = 4;
pub const BRANCHES: u64 = 6;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Link {
    None,
    Asked,
    Open,
}

pub struct Site {
    pub setup: Setup,
    pub repo: Repo,
    pub server: Option<server::Server>,
    pub link: Link,
    pub up: BytesMut,
    pub down: BytesMut,
    pub pack: BytesMut,
    /// A pack waits to be stored, with what was wanted of it.
    pub stored: Option<Vec<ObjectId>>,
}

/// Two commits that all have, and so many branches on top of them.
pub fn repo(branches: u8) -> Repo {
    let mut repo = Repo::default();
    repo.commit(1, &[]);
    repo.commit(2, &[1]);
    for branch in 0..BRANCHES {
        if branches & (1 << branch) > 0 {
            repo.commit(10 + branch, &[2]);
            repo.set(&format!("b{branch}"), 10 + branch);
        }
    }
    repo
}

pub struct World {
    pub machine: MultiSourceFetch,
    pub now: Instant,
    pub setups: Vec<Setup>,
    pub sites: Vec<Site>,
    pub local: Repo,
    pub wants: Option<Vec<ObjectId>>,
    /// Whether the driver and the servers kept their word.
    pub honest: bool,
    pub end: Option<Result<(), Vec<ObjectId>>>,
}

impl World {
    pub fn source(&self, at: u8) -> Option<(usize, SourceId)> {
        let at = usize::from(at) % self.sites.len().max(1);
        self.machine.sources().nth(at).map(|source| (at, source))
    }

    pub fn add(&mut self) {
        let Some(setup) = self.setups.get(self.sites.len()).copied() else { return };
        if self.machine.add_source(self.now, None).is_ok() {
            let (up, down, pack) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
            let (server, link, stored) = (None, Link::None, None);
            let repo = repo(setup.branches);
            self.sites.push(Site { setup, repo, server, link, up, down, pack, stored });
        }
    }

    pub fn want(&mut self, mask: u8) {
        let branch = |branch: &u64| mask & (1 << branch) > 0;
        let wants: Vec<ObjectId> = (0..BRANCHES).filter(branch).map(|branch| id(10 + branch)).collect();
        if self.machine.want(self.now, wants.clone(), vec![]).is_ok() {
            self.wants = Some(wants);
        }
    }

    pub fn act(&mut self) -> bool {
        let Some(action) = self.machine.poll_action() else { return false };
        assert!(self.end.is_none(), "{action:?} after the end");
        match action {
            Action::Connect { source } => {
                let site = &mut self.sites[source.index()];
                assert_eq!(site.link, Link::None, "one connection at a time");
                site.link = Link::Asked;
                site.pack.clear();
            }
            Action::Disconnect { source } => {
                let site = &mut self.sites[source.index()];
                assert_ne!(site.link, Link::None, "dropped once");
                (site.link, site.server) = (Link::None, None);
                site.up.clear();
                site.down.clear();
                while self.machine.poll_transmit(source).is_some() {}
            }
            Action::Advertised { .. } | Action::Wait { .. } => {}
            Action::Fetch { source, action } => self.answer(source, action),
            Action::PackEnd { source, wants } => {
                let site = &mut self.sites[source.index()];
                assert!(!wants.is_empty() && site.stored.replace(wants).is_none(), "one pack at a time");
            }
            Action::Finished(_) => self.ends(Ok(())),
            Action::Failed(failure) => self.ends(Err(failure.missing)),
        }
        true
    }

    pub fn ends(&mut self, end: Result<(), Vec<ObjectId>>) {
        assert!(self.sites.iter().all(|site| site.link == Link::None), "all are dropped before the end");
        self.end = Some(end);
    }

    pub fn answer(&mut self, source: SourceId, action: client::Action) {
        let now = self.now;
        if let client::Action::Pack(bytes) = &action {
            self.sites[source.index()].pack.extend_from_slice(bytes);
        }
        let Some(session) = self.machine.session(source) else { return };
        let told = match action {
            client::Action::FindHeld(ids) => session.held(now, self.local.known(ids)),
            client::Action::LoadCommits(ids) => session.commits(now, self.local.load(ids)),
            _ => Ok(()),
        };
        assert!(told.is_ok() || !self.honest, "{told:?}");
    }

    pub fn connect(&mut self, at: usize, source: SourceId, good: bool) -> bool {
        let site = &mut self.sites[at];
        if site.link != Link::Asked {
            return false;
        }
        if !good {
            // It may have been given up meanwhile: then a `Disconnect` waits.
            if self.machine.connect_failed(self.now, source, Bytes::from_static(b"refused")).is_ok() {
                self.sites[at].link = Link::None;
            }
            return true;
        }
        if self.machine.connected(self.now, source).is_err() {
            return self.act();
        }
        let version = [Version::V0, Version::V1, Version::V2][usize::from(site.setup.version) % 3];
        let config = server::Config { version, newest: version, ..server::Config::default() };
        (site.server, site.link) = (Some(server::Server::new(config, self.now)), Link::Open);
        true
    }

    pub fn serve(&mut self, at: usize) -> bool {
        let (now, site) = (self.now, &mut self.sites[at]);
        let (Some(server), repo) = (&mut site.server, &site.repo) else { return false };
        let before = site.down.len();
        while let Some(sent) = server.poll_transmit() {
            site.down.extend_from_slice(&sent.into_bytes());
        }
        let Some(action) = server.poll_action() else { return site.down.len() > before };
        let told = match action {
            server::Action::ListRefs | server::Action::ListRefsBelow(_) => {
                server.refs_listed(now, repo.listed())
            }
            server::Action::FindObjects(ids) => server.objects_found(now, repo.known(ids)),
            server::Action::LoadCommits(ids) => server.commits(now, repo.load(ids)),
            server::Action::CheckReachable { .. } => server.reachable(now, true),
            server::Action::CheckCovered { wants, common } => {
                let common = repo.closure(common);
                server.covered(now, wants.iter().all(|want| !repo.closure([*want]).is_disjoint(&common)))
            }
            server::Action::BuildPack(request) => {
                let mut pack = repo.pack(&request).to_vec();
                if site.setup.lies {
                    pack.push(0);
                }
                let _ = server.pack_chunk(now, pack.into());
                server.pack_finished(now)
            }
            _ => Ok(()),
        };
        assert!(told.is_ok() || server.has_ended(), "{told:?}");
        true
    }

    pub fn send(&mut self, at: usize, source: SourceId) -> bool {
        if self.sites[at].link != Link::Open {
            return false;
        }
        let Some(sent) = self.machine.poll_transmit(source) else { return false };
        self.sites[at].up.extend_from_slice(&sent.into_bytes());
        true
    }

    pub fn deliver(&mut self, at: usize, source: SourceId, up: bool, most: usize) -> bool {
        let site = &mut self.sites[at];
        let way = if up { &mut site.up } else { &mut site.down };
        let wanted = if up {
            site.server.as_ref().is_some_and(server::Server::wants_input)
        } else {
            site.link == Link::Open && self.machine.wants_input(source)
        };
        if way.is_empty() || !wanted {
            return false;
        }
        let piece = way.split_to(way.len().min(most)).freeze();
        match (&mut site.server, up) {
            (Some(server), true) => drop(server.handle_bytes(self.now, piece)),
            _ => self.machine.handle_bytes(self.now, source, piece),
        }
        true
    }

    /// Both sides hear that it is over once everything has arrived.
    pub fn cut(&mut self, at: usize, source: SourceId) {
        let site = &mut self.sites[at];
        if site.link == Link::Open {
            (site.server, site.up, site.down) = (None, BytesMut::new(), BytesMut::new());
            self.machine.handle_closed(self.now, source);
        }
    }

    pub fn store(&mut self, at: usize, source: SourceId) -> bool {
        let site = &mut self.sites[at];
        let Some(wants) = site.stored.take() else { return false };
        let pack = site.pack.split();
        let mut stored = self.local.store(&pack);
        if stored.is_ok() && !wants.iter().all(|want| self.local.commits.contains_key(want)) {
            stored = Err(Bytes::from_static(b"what was wanted is not in the pack"));
        }
        let told = self.machine.pack_stored(self.now, source, stored);
        // The end may have come meanwhile, and the deadline of the whole.
        assert!(told.is_ok() || self.machine.has_ended(), "{told:?}");
        true
    }

    pub fn timeout(&mut self) -> bool {
        let Some(at) = self.machine.poll_timeout() else { return false };
        self.now = self.now.max(at);
        for turn in 0.. {
            assert!(turn < 32, "a deadline that has come was left standing");
            self.machine.handle_timeout(self.now);
            while self.act() {}
            if self.machine.poll_timeout().is_none_or(|next| next > self.now) {
                return true;
            }
        }
        true
    }

    pub fn turn(&mut self) -> bool {
        let mut moved = self.act();
        let sources: Vec<SourceId> = self.machine.sources().collect();
        for (at, source) in sources.into_iter().enumerate() {
            moved |= self.send(at, source) | self.deliver(at, source, true, 4096) | self.serve(at);
            moved |= self.deliver(at, source, false, 4096);
        }
        moved
    }

    pub fn verb(&mut self, at: u8, which: u8) {
        let before = self.machine.has_ended();
        let Some((at, source)) = self.source(at) else { return };
        let now = self.now;
        match (which % 4, self.machine.session(source)) {
            (0, Some(session)) => drop(session.held(now, vec![])),
            (1, Some(session)) => drop(session.commits(now, vec![])),
            (2, Some(session)) => drop(session.want(now, vec![id(10)], vec![])),
            (3, _) if self.sites[at].stored.is_none() => {
                assert!(self.machine.pack_stored(now, source, Ok(())).is_err() || self.act());
            }
            (_, _) => {}
        }
        // The session was told lies of the repository.
        self.honest &= which % 4 == 3;
        assert_eq!(self.machine.has_ended(), before);
    }

    /// From here on connections are made and hold, and packs are stored: it comes to its end by itself.
    pub fn finish(&mut self) {
        while self.sites.is_empty() && !self.setups.is_empty() && !self.machine.has_ended() {
            self.machine.handle_timeout(self.now);
            let before = self.sites.len();
            self.add();
            if self.sites.len() == before {
                break;
            }
        }
        self.machine.no_more_sources();
        if self.wants.is_none() {
            self.want(0b11_1111);
        }
        for turn in 0.. {
            assert!(turn < 100_000, "busy without end");
            let mut moved = self.turn();
            let sources: Vec<SourceId> = self.machine.sources().collect();
            for (at, source) in sources.into_iter().enumerate() {
                if self.sites[at].link == Link::Asked {
                    moved |= self.connect(at, source, true);
                }
                moved |= self.store(at, source);
            }
            if !moved && (self.end.is_some() || !self.timeout()) {
                return;
            }
        }
    }
}
