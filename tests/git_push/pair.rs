//! Our client against our server: every combination of options, over links that cut the bytes at every size, in
//! lockstep and with a driver that is slow to take the pack (PUSH-12, PUSH-16, PUSH-17).

use std::collections::VecDeque;

use crate::push_support::{ID, OTHER, id, name};
use bytes::{Buf, Bytes};
use portline::git::push::client::{self, Client};
use portline::git::push::server::{self, Outcome, Server};
use portline::git::push::{Change, Command};
use portline::git::{Ref, Request, Service, Version};
use portline::{Instant, Transmit};

const NOW: Instant = Instant::ZERO;

/// Bytes on the way, handed over in pieces of at most `cut`.
struct Link {
    queue: VecDeque<Transmit>,
    cut: usize,
}

impl Link {
    /// Takes everything there is to send, once what was taken before has arrived.
    fn fill(&mut self, next: impl FnMut() -> Option<Transmit>) -> bool {
        if self.queue.is_empty() {
            self.queue.extend(std::iter::from_fn(next));
            return !self.queue.is_empty();
        }
        false
    }

    fn next(&mut self) -> Option<Bytes> {
        let front = self.queue.front_mut()?;
        let piece = front.copy_to_bytes(front.remaining().min(self.cut));
        if !front.has_remaining() {
            self.queue.pop_front();
        }
        Some(piece)
    }
}

struct Pair {
    client: Client,
    server: Server,
    up: Link,
    down: Link,
    commands: Vec<Command>,
    pack: VecDeque<Bytes>,
    whole: usize,
    stored: Vec<u8>,
    progress: Vec<u8>,
    ends: (Vec<client::Action>, Vec<server::Action>),
}

impl Pair {
    fn new(config: client::Config, offer: server::Config, cut: usize, pack: &[u8]) -> Self {
        let link = || Link { queue: VecDeque::new(), cut };
        let create = Command::create(name("refs/heads/new"), id(OTHER));
        Self {
            client: Client::new(config, NOW),
            server: Server::new(offer, NOW),
            up: link(),
            down: link(),
            commands: vec![create, Command::delete(name("refs/heads/main"), id(ID))],
            pack: pack.chunks(1000).map(Bytes::copy_from_slice).collect(),
            whole: pack.len(),
            stored: vec![],
            progress: vec![],
            ends: (vec![], vec![]),
        }
    }

    /// One step of everything; whether anything happened.
    fn turn(&mut self) -> bool {
        let mut moved = false;
        moved |= self.up.fill(|| self.client.poll_transmit());
        moved |= self.down.fill(|| self.server.poll_transmit());
        if self.server.wants_input() {
            if let Some(bytes) = self.up.next() {
                self.server.handle_bytes(NOW, bytes).unwrap();
                moved = true;
            }
        }
        if self.client.wants_input() {
            if let Some(bytes) = self.down.next() {
                self.client.handle_bytes(NOW, bytes).unwrap();
                moved = true;
            }
        }
        self.client_driver() | self.server_driver() | moved
    }

    fn client_driver(&mut self) -> bool {
        if self.client.wants_pack() {
            match self.pack.pop_front() {
                Some(chunk) => self.client.pack_chunk(NOW, chunk).unwrap(),
                None => self.client.pack_finished(NOW).unwrap(),
            }
            return true;
        }
        match self.client.poll_action() {
            Some(client::Action::Advertised(_)) => self.client.push(NOW, self.commands.clone()).unwrap(),
            Some(client::Action::BuildPack(_)) => {}
            Some(client::Action::Progress(bytes)) => self.progress.extend_from_slice(&bytes),
            Some(end) => self.ends.0.push(end),
            None => return false,
        }
        true
    }

    fn server_driver(&mut self) -> bool {
        match self.server.poll_action() {
            Some(server::Action::ListRefs) => {
                self.server
                    .refs_listed(NOW, vec![Ref::new(name("refs/heads/main"), id(ID))], vec![])
                    .unwrap();
            }
            Some(server::Action::ReceivePack(_)) => {
                self.server.progress(NOW, "storing\r".into()).unwrap();
            }
            Some(server::Action::Pack(bytes)) => {
                self.stored.extend_from_slice(&bytes);
                if self.stored.len() == self.whole {
                    self.server.pack_stored(NOW, Ok(())).unwrap();
                }
            }
            Some(server::Action::UpdateRefs(update)) => {
                let refuse_deletions = |command: &Command| match command.change() {
                    Change::Delete => Err(Bytes::from_static(b"no")),
                    Change::Create | Change::Update => Ok(()),
                };
                self.server
                    .refs_updated(NOW, update.commands.iter().map(refuse_deletions).collect())
                    .unwrap();
            }
            Some(server::Action::PackEnd) => panic!("nobody closes here"),
            Some(end) => self.ends.1.push(end),
            None => return false,
        }
        true
    }
}

#[test]
fn push_17_every_combination_of_options_ends_the_same_on_both_sides() {
    let pack: Vec<u8> = (0..1500_u32).map(|at| (at * 7) as u8).collect();
    for bits in 0..64_u32 {
        let on = |bit: u32| bits >> bit & 1 == 1;
        for cut in [1, 7, 1 << 20] {
            let version = if on(5) { Version::V1 } else { Version::V0 };
            let config = client::Config {
                sideband: on(0),
                atomic: on(1),
                quiet: on(2),
                push_options: if on(3) { vec!["x".into()] } else { vec![] },
                ..client::Config::default()
            };
            let offer =
                server::Config { version, push_options: true, ofs_delta: on(4), ..server::Config::default() };
            let mut pair = Pair::new(config, offer, cut, &pack);
            while pair.turn() {}
            let [client::Action::Finished(report)] = &pair.ends.0[..] else { panic!("{:?}", pair.ends) };
            let results: Vec<bool> = report.refs.iter().map(|entry| entry.result.is_ok()).collect();
            assert_eq!((report.unpack.is_ok(), results), (true, vec![!on(1), false]));
            let updated = usize::from(!on(1));
            let outcome = Outcome { commands: 2, updated, pack: true, reported: true };
            assert_eq!(pair.ends.1, [server::Action::Finished(outcome)]);
            assert!(pair.stored == pack);
            assert_eq!(pair.progress, if on(0) { &b"storing\r"[..] } else { b"" });
        }
    }
}

/// C5: the request line comes first where the client brings it; the server's machine starts behind it.
#[test]
fn push_1_a_request_line_is_the_first_packet() {
    let request = Some(Request::new(Service::ReceivePack));
    let mut client = Client::new(client::Config { request, ..client::Config::default() }, NOW);
    let line = client.poll_transmit().unwrap().into_bytes();
    let parsed = Request::parse(&line[4..]).unwrap();
    assert_eq!((parsed.service, line.len()), (Service::ReceivePack, 0x29));
    assert!(client.poll_transmit().is_none());
}

/// T5: neither side holds more than its limits when the other stops taking.
#[test]
fn push_12_a_large_pack_passes_through_bounded_queues() {
    let pack = vec![9; 3 << 20];
    let mut pair = Pair::new(client::Config::default(), server::Config::default(), 1 << 16, &pack);
    let mut most = 0;
    loop {
        let moved = (0..20).fold(false, |moved, _| {
            // The server's driver is slow: it comes once in twenty times.
            let mut any = pair.client_driver();
            any |= pair.up.fill(|| pair.client.poll_transmit());
            most = most.max(pair.up.queue.iter().map(Transmit::len).sum());
            while pair.server.wants_input() {
                let Some(bytes) = pair.up.next() else { break };
                pair.server.handle_bytes(NOW, bytes).unwrap();
                any = true;
            }
            any | moved
        });
        if !pair.turn() && !moved {
            break;
        }
    }
    assert!(matches!(pair.ends.0[..], [client::Action::Finished(_)]));
    assert!(pair.stored == pack);
    assert!(most <= portline::limits::GIT_OUTPUT + 2000, "{most} bytes were under way");
}
