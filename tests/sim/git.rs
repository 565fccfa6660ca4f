//! Fetches from the shared repository, and pushes into it, over byte streams.

use std::any::Any;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use portline::Instant;
use portline::git::fetch::{client as fetching, server as serving};
use portline::git::push::{Command, client as pushing, server as receiving};
use portline::git::{ObjectId, Version};

use crate::net::{Net, Peer, of};
use crate::toy::{Giving, Repo, id, name, told};

/// Silence ends a session.
const IDLE: Option<Duration> = Some(Duration::from_secs(20));

/// What is the same in all four.
macro_rules! over_bytes {
    () => {
        fn input(&mut self, now: Instant, _: u32, bytes: Bytes) {
            let _ = self.machine.handle_bytes(now, bytes);
        }

        fn closed(&mut self, now: Instant) {
            let _ = self.machine.handle_closed(now);
        }

        fn timeout(&mut self, now: Instant) {
            self.machine.handle_timeout(now);
        }

        fn deadline(&self) -> Option<Instant> {
            self.machine.poll_timeout()
        }

        fn transmit(&mut self) -> Option<(u32, Bytes)> {
            Some((0, self.machine.poll_transmit()?.into_bytes()))
        }

        fn wants_input(&self) -> bool {
            self.machine.wants_input()
        }

        fn ends(&self) -> usize {
            self.ends.len()
        }

        fn well(&self) -> bool {
            self.ends == [true]
        }

        /// A side that is done closes its direction.
        fn hangs_up(&self) -> bool {
            !self.ends.is_empty()
        }

        fn as_any(&self) -> &dyn Any {
            self
        }
    };
}

struct FetchClient {
    machine: fetching::Client,
    repo: Repo,
    wants: Vec<ObjectId>,
    pack: BytesMut,
    stored: Option<bool>,
    sideband: bool,
    ends: Vec<bool>,
    /// Why it failed.
    why: Option<String>,
}

impl Peer for FetchClient {
    over_bytes!();

    fn work(&mut self, now: Instant, _: &mut Repo) -> bool {
        use fetching::Action;
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
            Action::Progress(_) => {}
            Action::Finished(outcome) => {
                if outcome.pack {
                    self.stored = Some(self.repo.store(&std::mem::take(&mut self.pack)).is_ok());
                }
                self.ends.push(true);
            }
            Action::Failed(error) => {
                self.why = Some(error.to_string());
                self.ends.push(false);
            }
            other => panic!("{other:?}"),
        }
        true
    }
}

struct FetchServer {
    machine: serving::Server,
    giving: Giving,
    ends: Vec<bool>,
    /// Why it failed.
    why: Option<String>,
}

impl Peer for FetchServer {
    over_bytes!();

    fn work(&mut self, now: Instant, hub: &mut Repo) -> bool {
        use serving::Action;
        let Some(action) = self.machine.poll_action() else {
            return self.ends.is_empty()
                && self.machine.wants_pack()
                && self.giving.give(
                    &mut self.machine,
                    now,
                    serving::Server::pack_chunk,
                    serving::Server::pack_finished,
                );
        };
        match action {
            Action::ListRefs | Action::ListRefsBelow(_) => told(self.machine.refs_listed(now, hub.listed())),
            Action::FindObjects(ids) => told(self.machine.objects_found(now, hub.known(ids))),
            Action::LoadCommits(ids) => told(self.machine.commits(now, hub.load(ids))),
            Action::CheckCovered { wants, common } => {
                let common = common.into_iter().collect();
                let covered = wants.iter().all(|want| !hub.closure([*want]).is_disjoint(&common));
                told(self.machine.covered(now, covered));
            }
            Action::BuildPack(request) => {
                self.giving = Giving::new(&hub.pack(&request), 53);
            }
            Action::Finished(_) => self.ends.push(true),
            Action::Failed(error) => {
                self.why = Some(error.to_string());
                self.ends.push(false);
            }
            other => panic!("{other:?}"),
        }
        true
    }
}

/// A repository with a part of the shared history and some commits of its own.
fn behind(net: &mut Net, own: u64) -> Repo {
    let mut repo = Repo::default();
    let shared = net.rng.below(7) as u64;
    for number in 1..=shared {
        let parent = number - 1;
        repo.commit(number, if parent > 0 { std::slice::from_ref(&parent) } else { &[] });
    }
    let mut last = shared;
    for number in own..own + net.rng.below(4) as u64 {
        repo.commit(number, if last > 0 { std::slice::from_ref(&last) } else { &[] });
        last = number;
    }
    if last > 0 {
        repo.set("main", last);
    }
    repo
}

pub fn join_fetch(net: &mut Net) {
    let own = 1000 + 100 * net.rng.below(1000) as u64;
    let repo = behind(net, own);
    let sideband = net.rng.below(4) > 0;
    let version = [Version::V0, Version::V1, Version::V2][net.rng.below(3)];
    let config = fetching::Config { sideband, idle_timeout: IDLE, ..fetching::Config::default() };
    let left = FetchClient {
        machine: fetching::Client::new(config, Instant::ZERO),
        repo,
        wants: Vec::new(),
        pack: BytesMut::new(),
        stored: None,
        sideband: sideband || version == Version::V2,
        ends: Vec::new(),
        why: None,
    };
    let config = serving::Config { version, idle_timeout: IDLE, ..serving::Config::default() };
    let machine = serving::Server::new(config, Instant::ZERO);
    let right = FetchServer { machine, giving: Giving::default(), ends: Vec::new(), why: None };
    net.join("fetch", true, [Box::new(left), Box::new(right)], |left, right, faulty| {
        let (left, right): (&FetchClient, &FetchServer) = (of(left), of(right));
        left.repo.check();
        if left.ends == [true] {
            let has_all = left.wants.iter().all(|want| left.repo.commits.contains_key(want));
            assert!(
                has_all || (!left.sideband && left.stored == Some(false)),
                "a fetch that went well has it all"
            );
        }
        assert!(
            faulty || (left.ends == [true] && right.ends == [true]),
            "nothing was wrong: {:?} {:?}",
            left.why,
            right.why
        );
    });
}

struct PushClient {
    machine: pushing::Client,
    repo: Repo,
    branch: &'static str,
    giving: Giving,
    success: bool,
    /// The server went through with it.
    ends: Vec<bool>,
    /// Why it failed.
    why: Option<String>,
}

impl Peer for PushClient {
    over_bytes!();

    fn work(&mut self, now: Instant, _: &mut Repo) -> bool {
        use pushing::Action;
        let Some(action) = self.machine.poll_action() else {
            return self.ends.is_empty()
                && self.machine.wants_pack()
                && self.giving.give(
                    &mut self.machine,
                    now,
                    pushing::Client::pack_chunk,
                    pushing::Client::pack_finished,
                );
        };
        match action {
            Action::Advertised(seen) => {
                let new = self.repo.at("main").unwrap();
                let there = seen.refs.iter().find(|one| one.name == name(self.branch));
                let commands = match there {
                    Some(there) if there.id == new => vec![],
                    Some(there) => vec![Command::update(name(self.branch), there.id, new)],
                    None => vec![Command::create(name(self.branch), new)],
                };
                told(self.machine.push(now, commands));
            }
            Action::BuildPack(request) => {
                self.giving = Giving::new(&self.repo.pack(&request), 47);
            }
            Action::Progress(_) => {}
            Action::Finished(report) => {
                self.success = report.is_success() && !report.refs.is_empty();
                self.ends.push(true);
            }
            Action::Failed(error) => {
                self.why = Some(error.to_string());
                self.ends.push(false);
            }
            other => panic!("{other:?}"),
        }
        true
    }
}

struct PushServer {
    machine: receiving::Server,
    pack: BytesMut,
    receiving: bool,
    updated: Vec<bool>,
    ends: Vec<bool>,
    /// Why it failed.
    why: Option<String>,
}

impl PushServer {
    fn store(&mut self, now: Instant, hub: &mut Repo, over: bool) {
        let length = self.pack.first_chunk::<4>().map(|head| u32::from_be_bytes(*head) as usize + 4);
        if self.receiving && (over || length.is_some_and(|length| length <= self.pack.len())) {
            self.receiving = false;
            let pack = std::mem::take(&mut self.pack);
            told(self.machine.pack_stored(now, hub.store(&pack)));
        }
    }
}

impl Peer for PushServer {
    over_bytes!();

    fn work(&mut self, now: Instant, hub: &mut Repo) -> bool {
        use receiving::Action;
        let Some(action) = self.machine.poll_action() else { return false };
        match action {
            Action::ListRefs => told(self.machine.refs_listed(now, hub.listed(), Vec::new())),
            Action::ReceivePack(_) => self.receiving = true,
            Action::Pack(bytes) => {
                self.pack.extend_from_slice(&bytes);
                self.store(now, hub, false);
            }
            Action::PackEnd => self.store(now, hub, true),
            Action::UpdateRefs(update) => {
                let results: Vec<_> = update
                    .commands
                    .iter()
                    .map(|command| {
                        // A branch goes forward only: what a ref has reached stays reached.
                        let forward =
                            command.old.is_null() || hub.closure([command.new]).contains(&command.old);
                        if forward {
                            hub.update(command)
                        } else {
                            Err(Bytes::from_static(b"non-fast-forward"))
                        }
                    })
                    .collect();
                self.updated.extend(results.iter().map(Result::is_ok));
                told(self.machine.refs_updated(now, results));
            }
            Action::Finished(_) => self.ends.push(true),
            Action::Failed(error) => {
                self.why = Some(error.to_string());
                self.ends.push(false);
            }
            other => panic!("{other:?}"),
        }
        true
    }
}

pub fn join_push(net: &mut Net) {
    let own = 200_000 + 100 * net.rng.below(1000) as u64;
    let mut repo = behind(net, own);
    if repo.refs.is_empty() {
        repo.commit(own, &[]);
        repo.set("main", own);
    }
    assert!(repo.at("main").is_some() && repo.at("main") != Some(id(0)));
    let branch = ["main", "next", "mine"][net.rng.below(3)];
    let config = pushing::Config { idle_timeout: IDLE, ..pushing::Config::default() };
    let left = PushClient {
        machine: pushing::Client::new(config, Instant::ZERO),
        repo,
        branch,
        giving: Giving::default(),
        success: false,
        ends: Vec::new(),
        why: None,
    };
    let config = receiving::Config { idle_timeout: IDLE, ..receiving::Config::default() };
    let right = PushServer {
        machine: receiving::Server::new(config, Instant::ZERO),
        pack: BytesMut::new(),
        receiving: false,
        updated: Vec::new(),
        ends: Vec::new(),
        why: None,
    };
    net.join("push", true, [Box::new(left), Box::new(right)], |left, right, faulty| {
        let (left, right): (&PushClient, &PushServer) = (of(left), of(right));
        assert!(!left.success || right.updated == [true], "success is what the server did");
        assert!(right.updated.len() <= 1);
        assert!(
            faulty || (left.ends == [true] && right.ends == [true]),
            "nothing was wrong: {:?} {:?}",
            left.why,
            right.why
        );
        assert!(faulty || left.success == (right.updated == [true]), "and the client knows of it");
    });
}
