//! Two machines and the byte link between them, which the fuzzer splits, delays and cuts.

use arbitrary::Arbitrary;
use bytes::{Bytes, BytesMut};
use portline::Instant;

use crate::common::{Event, Face, Session};

/// What happens to a pair; `true` is the client, or the way to the server.
#[derive(Arbitrary, Debug)]
pub enum Op {
    /// Everything moves for some turns.
    Run(u8),
    /// One piece of output leaves for the link.
    Send(bool),
    /// So many bytes arrive.
    Deliver(bool, u8),
    /// One action is taken and answered.
    Act(bool),
    Wait(u32),
    Timeout(bool),
    /// The link breaks this way, behind so many bytes.
    Cut(bool, u8),
    Garbage(bool, Vec<u8>),
    Abort(bool),
}

impl Op {
    /// Whether the link and the drivers keep their word.
    pub fn is_honest(&self) -> bool {
        match self {
            Self::Run(_)
            | Self::Send(_)
            | Self::Deliver(..)
            | Self::Act(_)
            | Self::Wait(_)
            | Self::Timeout(_) => true,
            Self::Cut(..) | Self::Garbage(..) | Self::Abort(_) => false,
        }
    }
}

/// A driver of one side.
pub trait Driver<M: Face> {
    fn answer(&mut self, machine: &mut M, now: Instant, action: M::Action);
}

/// One side: its machine, watched, its driver, and what is on its way from it.
pub struct Side<M: Face, D> {
    pub session: Session<M>,
    pub driver: D,
    pipe: BytesMut,
    /// Whether the other side was told that nothing more comes.
    closed: bool,
    /// How it ended: `None` inside is a good end.
    pub end: Option<Option<M::Error>>,
}

impl<M: Face, D: Driver<M>> Side<M, D> {
    pub fn new(machine: M, driver: D) -> Self {
        let session = Session::new(machine, Instant::ZERO);
        Self { session, driver, pipe: BytesMut::new(), closed: false, end: None }
    }

    fn send(&mut self) -> bool {
        let Some(sent) = self.session.machine.transmit() else { return false };
        self.pipe.extend_from_slice(&sent.into_bytes());
        true
    }

    fn deliver<N: Face, E: Driver<N>>(&mut self, to: &mut Side<N, E>, most: usize) -> bool {
        let machine = &to.session.machine;
        if self.pipe.is_empty() || !(machine.wants_input() || machine.has_ended()) {
            return false;
        }
        let piece = self.pipe.split_to(self.pipe.len().min(most)).freeze();
        let any = !piece.is_empty();
        to.session.give(piece);
        any
    }

    fn act(&mut self) -> bool {
        let Some(action) = self.session.action() else { return false };
        if let Some(end) = M::end(&action) {
            assert!(self.end.replace(end).is_none(), "one end");
        }
        self.driver.answer(&mut self.session.machine, self.session.now, action);
        true
    }

    /// Once it has ended and all it said has arrived, the other side hears that it is gone.
    fn close<N: Face, E: Driver<N>>(&mut self, to: &mut Side<N, E>) -> bool {
        if self.closed || self.end.is_none() || !self.pipe.is_empty() {
            return false;
        }
        self.closed = true;
        to.session.event(Event::Closed, &[], |_, _, _| {});
        true
    }
}

pub struct Pair<A: Face, D, B: Face, E> {
    pub client: Side<A, D>,
    pub server: Side<B, E>,
}

impl<A: Face, D: Driver<A>, B: Face, E: Driver<B>> Pair<A, D, B, E> {
    fn turn(&mut self) -> bool {
        let Self { client, server } = self;
        let mut moved = client.send() | server.send();
        moved |= client.deliver(server, 4096) | server.deliver(client, 4096);
        moved |= client.act() | server.act();
        moved
    }

    fn settle(&mut self) {
        for turn in 0.. {
            assert!(turn < 100_000, "busy without end");
            let moved = self.turn();
            let Self { client, server } = self;
            if !moved && !client.close(server) && !server.close(client) {
                return;
            }
        }
    }

    fn step(&mut self, op: &Op) {
        let Self { client, server } = self;
        match op {
            Op::Run(turns) => (0..*turns).for_each(|_| _ = self.turn()),
            Op::Send(true) => drop(client.send()),
            Op::Send(false) => drop(server.send()),
            Op::Deliver(true, size) => drop(client.deliver(server, (*size).into())),
            Op::Deliver(false, size) => drop(server.deliver(client, (*size).into())),
            Op::Act(true) => drop(client.act()),
            Op::Act(false) => drop(server.act()),
            Op::Wait(micros) => {
                client.session.event(Event::Wait(*micros), &[], |_, _, _| {});
                server.session.now = client.session.now;
            }
            Op::Timeout(true) => client.session.event(Event::Timeout, &[], |_, _, _| {}),
            Op::Timeout(false) => server.session.event(Event::Timeout, &[], |_, _, _| {}),
            Op::Cut(true, behind) => {
                client.pipe.truncate((*behind).into());
                while client.deliver(server, 4096) {}
                server.session.event(Event::Closed, &[], |_, _, _| {});
            }
            Op::Cut(false, behind) => {
                server.pipe.truncate((*behind).into());
                while server.deliver(client, 4096) {}
                client.session.event(Event::Closed, &[], |_, _, _| {});
            }
            Op::Garbage(true, bytes) => server.session.give(Bytes::copy_from_slice(bytes)),
            Op::Garbage(false, bytes) => client.session.give(Bytes::copy_from_slice(bytes)),
            Op::Abort(true) => client.session.event(Event::Abort, &[], |_, _, _| {}),
            Op::Abort(false) => server.session.event(Event::Abort, &[], |_, _, _| {}),
        }
        let now = self.client.session.now.max(self.server.session.now);
        (self.client.session.now, self.server.session.now) = (now, now);
    }

    /// Does it all, and lets both come to their end; whether they came to it undisturbed.
    pub fn run(&mut self, ops: &[Op]) -> bool {
        ops.iter().for_each(|op| self.step(op));
        self.settle();
        let honest = ops.iter().all(Op::is_honest);
        if !honest {
            // Whoever still waits hears that the other one is gone.
            self.client.session.event(Event::Closed, &[], |_, _, _| {});
            self.server.session.event(Event::Closed, &[], |_, _, _| {});
            self.settle();
            self.client.session.event(Event::Abort, &[], |_, _, _| {});
            self.server.session.event(Event::Abort, &[], |_, _, _| {});
            self.settle();
        }
        assert!(self.client.end.is_some() && self.server.end.is_some(), "one end on each side");
        honest
    }
}
