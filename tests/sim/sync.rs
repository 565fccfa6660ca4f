//! Repositories that sync with the shared one, several at a time.

use std::any::Any;
use std::collections::BTreeSet;

use bytes::Bytes;
use portline::git::{ObjectId, RefName};
use portline::peer::sync::{Config, RefResult};
use portline::sync::Strategy;
use portline::{Instant, peer};

use crate::net::{Net, Peer, of};
use crate::toy::{Left, Repo, Right};

struct Local {
    left: Left,
    before: BTreeSet<ObjectId>,
}

impl Peer for Local {
    fn input(&mut self, now: Instant, _: u32, bytes: Bytes) {
        let _ = self.left.machine.handle_message(now, bytes);
    }

    fn closed(&mut self, now: Instant) {
        let _ = self.left.machine.handle_closed(now);
    }

    fn timeout(&mut self, now: Instant) {
        self.left.machine.handle_timeout(now);
    }

    fn deadline(&self) -> Option<Instant> {
        self.left.machine.poll_timeout()
    }

    fn transmit(&mut self) -> Option<(u32, Bytes)> {
        Some((0, self.left.machine.poll_transmit()?.into_bytes()))
    }

    fn wants_input(&self) -> bool {
        self.left.machine.wants_input()
    }

    /// It fails on a second terminal action.
    fn work(&mut self, now: Instant, _: &mut Repo) -> bool {
        self.left.act(now)
    }

    fn ends(&self) -> usize {
        usize::from(self.left.end.is_some())
    }

    fn well(&self) -> bool {
        matches!(self.left.end, Some(Ok(_)))
    }

    fn hangs_up(&self) -> bool {
        self.left.end.is_some()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Serves the shared repository.
struct Shared(Right);

impl Peer for Shared {
    fn input(&mut self, now: Instant, _: u32, bytes: Bytes) {
        let _ = self.0.machine.handle_message(now, bytes);
    }

    fn closed(&mut self, now: Instant) {
        let _ = self.0.machine.handle_closed(now);
    }

    fn timeout(&mut self, now: Instant) {
        self.0.machine.handle_timeout(now);
    }

    fn deadline(&self) -> Option<Instant> {
        self.0.machine.poll_timeout()
    }

    fn transmit(&mut self) -> Option<(u32, Bytes)> {
        Some((0, self.0.machine.poll_transmit()?.into_bytes()))
    }

    fn wants_input(&self) -> bool {
        self.0.machine.wants_input()
    }

    fn work(&mut self, now: Instant, hub: &mut Repo) -> bool {
        std::mem::swap(&mut self.0.repo, hub);
        let worked = self.0.act(now);
        std::mem::swap(&mut self.0.repo, hub);
        worked
    }

    fn ends(&self) -> usize {
        usize::from(self.0.closed)
    }

    fn well(&self) -> bool {
        self.0.closed
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

pub fn join(net: &mut Net) {
    // Its own commits are nobody else's.
    let own = 400_000 + 100 * net.rng.below(1000) as u64;
    let mut repo = Repo::default();
    repo.commit(1, &[]);
    (2..=6).for_each(|number| {
        repo.commit(number, &[number - 1]);
    });
    for (at, branch) in ["main", "next", "old", "mine"].into_iter().enumerate() {
        match net.rng.below(4) {
            0 => {}
            1 => repo.set(branch, 1 + net.rng.below(6) as u64),
            _ => {
                let number = own + at as u64;
                repo.commit(number, &[1 + net.rng.below(6) as u64]);
                repo.set(branch, number);
            }
        }
    }
    let mut config = Config::default();
    config.sync.strategy =
        [Strategy::Report, Strategy::PreferLocal, Strategy::PreferRemote][net.rng.below(3)];
    config.peer.chunk = 1 + net.rng.below(300);
    let before = repo.check();
    let left = Local { left: Left::new(repo, config), before };
    let right = Shared(Right::new(Repo::default(), &peer::Config::default()));
    net.join("sync", false, [Box::new(left), Box::new(right)], |left, _, faulty| {
        let local: &Local = of(left);
        let repo = &local.left.repo;
        assert!(repo.check().is_superset(&local.before), "the local side lost a commit");
        match &local.left.end {
            Some(Ok(outcome)) => {
                // Others move refs meanwhile: what failed was told, ref by ref, and what is done was done.
                // A backup that the other side had already is of nobody's plan.
                let is_backup = |name: &RefName| name.as_bytes().starts_with(b"refs/portline/");
                for one in outcome.refs.iter().filter(|one| !is_backup(&one.plan.name)) {
                    let here = repo.refs.get(&one.plan.name).copied();
                    match one.result {
                        RefResult::Done { .. } | RefResult::Unchanged => {}
                        _ => assert_eq!(here, one.plan.local, "{}: {:?}", one.plan.name, one.result),
                    }
                }
            }
            _ => assert!(faulty, "nothing was wrong"),
        }
    });
}
