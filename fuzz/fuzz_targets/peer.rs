//! A client and a server of a port session over a link that the fuzzer controls: it delivers, forges, delays and cuts.
//! Each operation has one end, each session one, and nothing follows it.
#![no_main]

mod common;

use std::collections::VecDeque;

use arbitrary::Arbitrary;
use bytes::Bytes;
use common::{id, ids, name, refs};
use libfuzzer_sys::fuzz_target;
use portline::git::push::Command;
use portline::git::{Request, Service, fetch, push};
use portline::peer::{self, Client, Server, client, server};
use portline::{Instant, Transmit};

#[derive(Arbitrary, Debug)]
struct Input {
    chunk: u8,
    window: u8,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Fetch(bool),
    Push(bool),
    /// Everything moves for some turns.
    Run(u8),
    Send(bool),
    Deliver(bool),
    Lose(bool),
    Forge {
        to_server: bool,
        kind: u8,
        block: u8,
        payload: Vec<u8>,
    },
    Act(bool),
    Refuse,
    Wait(u32),
    Timeout(bool),
    Close(bool),
    Abort(bool),
}

struct World {
    now: Instant,
    client: Client,
    server: Server,
    to_server: VecDeque<Bytes>,
    to_client: VecDeque<Bytes>,
    /// Operations that the client began, that had an end, and that left the port ready.
    begun: usize,
    ended: usize,
    ready: usize,
    served: usize,
    closed: (usize, usize),
    refuse: bool,
}

fn queue(sent: Option<Transmit>, way: &mut VecDeque<Bytes>) -> bool {
    sent.map(|sent| way.push_back(sent.into_bytes())).is_some()
}

impl World {
    fn send(&mut self, by_client: bool) -> bool {
        match by_client {
            true => queue(self.client.poll_transmit(), &mut self.to_server),
            false => queue(self.server.poll_transmit(), &mut self.to_client),
        }
    }

    fn deliver(&mut self, to_server: bool) -> bool {
        let way = if to_server { &mut self.to_server } else { &mut self.to_client };
        let Some(message) = way.pop_front() else { return false };
        self.hand(to_server, message);
        true
    }

    fn hand(&mut self, to_server: bool, message: Bytes) {
        let result = match to_server {
            true => self.server.handle_message(self.now, message.clone()),
            false => self.client.handle_message(self.now, message.clone()),
        };
        if let Err(error) = result {
            let again = match to_server {
                true => self.server.handle_message(self.now, message),
                false => self.client.handle_message(self.now, message),
            };
            assert_eq!(again, Err(error), "an error is sticky");
        }
    }

    fn close(&mut self, server: bool) {
        let _ =
            if server { self.server.handle_closed(self.now) } else { self.client.handle_closed(self.now) };
    }

    fn act_client(&mut self) -> bool {
        let now = self.now;
        let Some(action) = self.client.poll_action() else { return false };
        assert_eq!(self.closed.0, 0, "{action:?} after the end");
        match action {
            client::Action::Fetch(action) => self.act_fetch(action),
            client::Action::Push(action) => {
                use push::client::Action;
                if matches!(action, Action::Finished(_) | Action::Failed(_)) {
                    self.ended += 1;
                }
                let Some(push) = self.client.push(now) else { return true };
                let _ = match action {
                    Action::Advertised(_) => push.push(now, vec![Command::create(name(0), id(3))]),
                    Action::BuildPack(_) => {
                        let _ = push.pack_chunk(now, Bytes::from_static(b"PACK"));
                        push.pack_finished(now)
                    }
                    _ => Ok(()),
                };
            }
            client::Action::Ready => self.ready += 1,
            client::Action::Closed(_) => self.closed.0 += 1,
        }
        true
    }

    fn act_fetch(&mut self, action: fetch::client::Action) {
        use fetch::client::Action;
        let now = self.now;
        if matches!(action, Action::Finished(_) | Action::Failed(_)) {
            self.ended += 1;
        }
        let Some(fetch) = self.client.fetch(now) else { return };
        let _ = match action {
            Action::Advertised(seen) => {
                fetch.want(now, seen.refs.iter().map(|one| one.id).collect(), ids(&[3]))
            }
            Action::FindHeld(_) => fetch.held(now, vec![]),
            Action::LoadCommits(_) => fetch.commits(now, vec![]),
            _ => Ok(()),
        };
    }

    fn act_server(&mut self) -> bool {
        let now = self.now;
        let Some(action) = self.server.poll_action() else { return false };
        assert_eq!(self.closed.1, 0, "{action:?} after the end");
        match action {
            server::Action::Requested(_) if self.refuse => self.server.refuse(now, b"no\n").unwrap(),
            server::Action::Requested(request) if request.service == Service::UploadPack => {
                self.server.accept_fetch(now, fetch::server::Config::default()).unwrap();
            }
            server::Action::Requested(_) => {
                self.server.accept_push(now, push::server::Config::default()).unwrap();
            }
            server::Action::BadRequest(_) => {}
            server::Action::Fetch(action) => {
                use fetch::server::Action;
                let Some(fetch) = self.server.fetch(now) else { return true };
                let _ = match action {
                    Action::ListRefs => fetch.refs_listed(now, refs(&[(0, 1), (1, 2)])),
                    Action::FindObjects(_) => fetch.objects_found(now, ids(&[1, 2])),
                    Action::CheckCovered { .. } => fetch.covered(now, true),
                    Action::BuildPack(_) => {
                        let _ =
                            fetch.pack_chunk(now, Bytes::from_static(b"PACK and more than one block of it"));
                        fetch.pack_finished(now)
                    }
                    _ => Ok(()),
                };
            }
            server::Action::Push(action) => {
                use push::server::Action;
                let Some(push) = self.server.push(now) else { return true };
                let _ = match action {
                    Action::ListRefs => push.refs_listed(now, refs(&[(1, 2)]), vec![]),
                    Action::Pack(_) | Action::PackEnd => push.pack_stored(now, Ok(())),
                    Action::UpdateRefs(update) => push.refs_updated(now, vec![Ok(()); update.commands.len()]),
                    _ => Ok(()),
                };
            }
            server::Action::Ready => self.served += 1,
            server::Action::Closed(_) => self.closed.1 += 1,
        }
        true
    }

    fn turn(&mut self) -> bool {
        let mut moved = self.send(true) | self.send(false);
        moved |= self.deliver(true) | self.deliver(false);
        moved | self.act_client() | self.act_server()
    }

    fn settle(&mut self) {
        for turn in 0.. {
            assert!(turn < 100_000, "busy without end");
            if !self.turn() {
                return;
            }
        }
    }

    fn step(&mut self, operation: Operation) {
        let now = self.now;
        match operation {
            Operation::Fetch(named) => {
                let request = named.then(|| Request::new(Service::UploadPack));
                let config = fetch::client::Config { request, ..fetch::client::Config::default() };
                self.begun += usize::from(self.client.begin_fetch(now, config).is_ok());
            }
            Operation::Push(named) => {
                let request = named.then(|| Request::new(Service::ReceivePack));
                let config = push::client::Config { request, ..push::client::Config::default() };
                self.begun += usize::from(self.client.begin_push(now, config).is_ok());
            }
            Operation::Run(turns) => (0..turns).for_each(|_| _ = self.turn()),
            Operation::Send(by_client) => drop(self.send(by_client)),
            Operation::Deliver(to_server) => drop(self.deliver(to_server)),
            Operation::Lose(to_server) => {
                drop(if to_server { self.to_server.pop_front() } else { self.to_client.pop_front() });
            }
            Operation::Forge { to_server, kind, block, payload } => {
                let kind = if kind < 128 { kind % 5 } else { kind };
                self.hand(to_server, [&[kind, 0, 0, 0, block][..], &payload].concat().into());
            }
            Operation::Act(by_client) => drop(if by_client { self.act_client() } else { self.act_server() }),
            Operation::Refuse => self.refuse = !self.refuse,
            Operation::Wait(micros) => self.now = Instant::from_micros(now.as_micros() + u64::from(micros)),
            Operation::Timeout(of_client) => self.timeout(of_client),
            Operation::Close(server) => self.close(server),
            Operation::Abort(client) => {
                if client {
                    self.client.fetch(now).into_iter().for_each(|fetch| fetch.abort(now));
                    self.client.push(now).into_iter().for_each(|push| push.abort(now));
                } else {
                    self.server.fetch(now).into_iter().for_each(|fetch| fetch.abort(now));
                    self.server.push(now).into_iter().for_each(|push| push.abort(now));
                }
            }
        }
    }

    fn timeout(&mut self, of_client: bool) {
        let deadline = if of_client { self.client.poll_timeout() } else { self.server.poll_timeout() };
        let Some(deadline) = deadline else { return };
        self.now = self.now.max(deadline);
        let next = if of_client {
            self.client.handle_timeout(self.now);
            self.client.poll_timeout()
        } else {
            self.server.handle_timeout(self.now);
            self.server.poll_timeout()
        };
        common::oracle::moved_on(next, self.now);
    }
}

fuzz_target!(|input: Input| {
    let mut config = peer::Config { chunk: usize::from(input.chunk) + 1, ..peer::Config::default() };
    config.port.window = u32::from(input.window % 4) + 1;
    config.port.max_empty = 10;
    config.port.max_ignored = 10;
    let now = Instant::ZERO;
    let mut world = World {
        now,
        client: Client::new(&config, now).unwrap(),
        server: Server::new(&config, now).unwrap(),
        to_server: VecDeque::new(),
        to_client: VecDeque::new(),
        begun: 0,
        ended: 0,
        ready: 0,
        served: 0,
        closed: (0, 0),
        refuse: false,
    };
    let honest = input.operations.iter().all(|operation| {
        matches!(
            operation,
            Operation::Fetch(true)
                | Operation::Push(true)
                | Operation::Run(_)
                | Operation::Refuse
                | Operation::Send(_)
                | Operation::Deliver(_)
                | Operation::Act(_)
        )
    });
    for operation in input.operations {
        world.step(operation);
    }
    world.settle();
    if honest {
        // Nobody did anything wrong: every operation came to its end on both sides.
        assert_eq!((world.ended, world.ready, world.served), (world.begun, world.begun, world.begun));
    }
    world.close(true);
    world.close(false);
    world.settle();
    assert_eq!(world.closed, (1, 1), "one end each");
    assert_eq!(world.ended, world.begun, "one end for each operation");
    assert!(world.client.poll_timeout().is_none() && world.server.poll_timeout().is_none());
    assert!(!world.client.wants_input() && !world.server.wants_input());
});
