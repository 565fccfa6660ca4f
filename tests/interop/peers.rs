//! Meeting other people's Gits.

use std::collections::BTreeMap;

use crate::cell::Fixture;
use crate::foreign::{ACTIONS, PEERS, Peer, Ready};
use crate::matrix::{caught, in_parallel};
use crate::transport::World;

/// What became of one action with one peer.
pub enum Met {
    /// All was well, or why not.
    Done(Result<(), String>),
    /// The peer itself cannot.
    Cannot,
    /// The peer is not installed.
    Skipped,
}

/// What became of all of them: by the peer's place in the list, the action's and the version.
pub struct Meetings(BTreeMap<(usize, usize, u8), Met>);

/// Does everything with every peer whose name has `only` in it.
pub fn run(world: &World, fixture: &Fixture, only: &str) -> Meetings {
    let ready: Vec<Option<Ready>> = PEERS.iter().map(|peer| peer.ready(world)).collect();
    let mut plans: Vec<(usize, &Peer, usize, u8)> = Vec::new();
    for (at, peer) in PEERS.iter().enumerate().filter(|(_, peer)| peer.name.contains(only)) {
        for action in 0..ACTIONS.len() {
            plans.extend(peer.versions.iter().map(|version| (at, peer, action, *version)));
        }
    }
    let met = in_parallel(&plans, |&(at, peer, action, version)| {
        let name = ACTIONS[action];
        let met = match &ready[at] {
            _ if !peer.can(name, version) => Met::Cannot,
            None => Met::Skipped,
            Some(ready) => Met::Done(caught(|| peer.act(world, fixture, ready, name, version))),
        };
        ((at, action, version), met)
    });
    Meetings(met.into_iter().collect())
}

impl Meetings {
    /// The failures, each with where and why.
    pub fn failures(&self) -> Vec<String> {
        let failed = self.0.iter().filter_map(|(&(at, action, version), met)| {
            let Met::Done(Err(why)) = met else { return None };
            let Peer { name, by, .. } = &PEERS[at];
            Some(format!("{name}, {by}: {}, version {version}: {why}", ACTIONS[action]))
        });
        failed.collect()
    }

    /// What became of one action with one peer, by version.
    pub fn of(&self, peer: usize, action: usize) -> Vec<(u8, &Met)> {
        let of = self.0.range((peer, action, 0)..=(peer, action, u8::MAX));
        of.map(|(&(.., version), met)| (version, met)).collect()
    }
}
