//! A receive-pack server with a driver that answers from a script.

use bytes::Bytes;
use portline::Instant;
use portline::git::push::Command;
use portline::git::push::server::{Action, Config, Error, Server, Update};
use portline::git::{ObjectId, Ref};

use super::{EMPTY_PACK, ID, id, name};

pub const NOW: Instant = Instant::ZERO;

/// What the driver of a test answers.
#[derive(Clone)]
pub struct Script {
    pub config: Config,
    pub refs: Vec<Ref>,
    pub haves: Vec<ObjectId>,
    pub pack: usize,
    pub stored: Result<(), Bytes>,
    pub progress: Vec<Bytes>,
    pub update: fn(&Command) -> Result<(), Bytes>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            config: Config { agent: Some("git/2.47.3".into()), ..Config::default() },
            refs: vec![Ref::new(name("refs/heads/main"), id(ID))],
            haves: vec![],
            pack: EMPTY_PACK.len(),
            stored: Ok(()),
            progress: vec![],
            update: |_| Ok(()),
        }
    }
}

/// Everything that came out of a run.
#[derive(Debug, PartialEq)]
pub struct Seen {
    pub wire: Vec<u8>,
    pub actions: Vec<Action>,
    pub result: Result<(), Error>,
}

impl Seen {
    /// What follows the advertisement.
    pub fn answer(&self) -> &[u8] {
        let at = self.wire.windows(5).position(|window| window == b"\n0000").unwrap();
        &self.wire[at + 5..]
    }

    pub fn end(&self) -> &Action {
        self.actions.last().unwrap()
    }

    pub fn updates(&self) -> Vec<&Update> {
        let mut updates = vec![];
        for action in &self.actions {
            if let Action::UpdateRefs(update) = action {
                updates.push(update);
            }
        }
        updates
    }
}

impl Script {
    pub fn run(&self, chunks: &[Bytes], close: bool) -> Seen {
        let mut server = Server::new(self.config.clone(), NOW);
        let mut seen = Seen { wire: vec![], actions: vec![], result: Ok(()) };
        self.pump(&mut server, &mut seen);
        for chunk in chunks {
            seen.result = server.handle_bytes(NOW, chunk.clone());
            self.pump(&mut server, &mut seen);
        }
        if close {
            seen.result = server.handle_closed(NOW);
            self.pump(&mut server, &mut seen);
        }
        seen
    }

    pub fn whole(&self, input: &[u8]) -> Seen {
        self.run(&[Bytes::copy_from_slice(input)], false)
    }

    fn pump(&self, server: &mut Server, seen: &mut Seen) {
        loop {
            while let Some(transmit) = server.poll_transmit() {
                seen.wire.extend_from_slice(&transmit.into_bytes());
            }
            let Some(action) = server.poll_action() else { return };
            match &action {
                Action::ListRefs => server.refs_listed(NOW, self.refs.clone(), self.haves.clone()).unwrap(),
                Action::FindPart(_) => server.part_found(NOW, None).unwrap(),
                Action::ReceivePack(_) => self.say(server),
                Action::Resumed { .. } | Action::Pack(_) | Action::Finished(_) | Action::Failed(_) => {}
                Action::PackEnd => server.pack_stored(NOW, self.stored.clone()).unwrap(),
                Action::Reported => server.done(NOW).unwrap(),
                Action::UpdateRefs(update) => {
                    if !seen.actions.iter().any(|action| matches!(action, Action::Pack(_))) {
                        self.say(server);
                    }
                    server.refs_updated(NOW, update.commands.iter().map(self.update).collect()).unwrap();
                }
            }
            match (action, seen.actions.last_mut()) {
                (Action::Pack(more), Some(Action::Pack(pack))) => *pack = [&pack[..], &more].concat().into(),
                (action, _) => seen.actions.push(action),
            }
            if matches!(seen.actions.last(), Some(Action::Pack(pack)) if pack.len() == self.pack) {
                server.pack_stored(NOW, self.stored.clone()).unwrap();
            }
        }
    }

    fn say(&self, server: &mut Server) {
        for line in &self.progress {
            server.progress(NOW, line.clone()).unwrap();
        }
    }
}
