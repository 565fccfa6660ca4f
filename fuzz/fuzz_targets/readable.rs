//! Any operations on a readable stream and on a tee: no panic, chunks in order, reads answered in order and once, the
//! source asked once at a time, the caps hold, and there is one terminal action, after which nothing follows.
#![no_main]

use std::collections::VecDeque;

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portline::body::readable::{Action, Config, Outcome, Read, Readable, Reader, Side, Tee, TeeAction};

#[derive(Arbitrary, Debug)]
struct Input {
    bytes: bool,
    mark: u8,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Started,
    Enqueue(u8),
    Pulled,
    Close,
    Error,
    Cancelled(bool),
    Lock(bool),
    Release(bool),
    Read(bool),
    Cancel(bool),
    CancelUnlocked(bool),
    Action,
    Tee,
}

const CONFIG: Config = Config { max_bytes: 300, max_chunks: 5, max_reads: 4, ..Config::count(0) };

/// What one consumer saw.
#[derive(Default)]
struct Seen {
    reader: Option<Reader>,
    got: Vec<u8>,
    waiting: VecDeque<u64>,
    terminal: u32,
}

impl Seen {
    fn read(&mut self, read: Read<u8>) {
        match read {
            Read::Chunk(chunk) => {
                assert!(self.waiting.is_empty());
                self.got.extend_from_slice(&chunk);
            }
            Read::Waiting(read) => self.waiting.push_back(read),
            Read::Done | Read::Failed(_) => {}
        }
    }

    fn act(&mut self, action: Action<u8>) {
        assert_eq!(self.terminal, 0, "nothing follows the terminal action");
        match action {
            Action::Read { read, outcome } => {
                assert_eq!(self.waiting.pop_front(), Some(read));
                if let Outcome::Chunk(chunk) = outcome {
                    self.got.extend_from_slice(&chunk);
                }
            }
            Action::Closed | Action::Errored(_) | Action::Cancelled(_) => {
                assert!(self.waiting.is_empty());
                self.terminal += 1;
            }
            Action::Pull | Action::Cancel(_) => unreachable!(),
        }
    }
}

enum Machine {
    One(Readable<u8>),
    Two(Tee<u8>),
}

struct World {
    machine: Machine,
    seen: [Seen; 2],
    sent: Vec<u8>,
    asked: bool,
    told: bool,
}

macro_rules! source {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.machine {
            Machine::One($stream) => $call,
            Machine::Two($stream) => $call,
        }
    };
}

impl World {
    fn enqueue(&mut self, length: u8) {
        let chunk: Vec<u8> = (0..length).map(|at| (self.sent.len() as u8).wrapping_add(at)).collect();
        let taken = source!(self, stream => stream.enqueue(Bytes::from(chunk.clone())));
        if taken.is_ok() {
            self.sent.extend(chunk);
        }
    }

    /// One operation of a consumer; the second consumer is the first while there is no tee.
    fn consume(&mut self, operation: &Operation, right: bool) {
        let (at, side) = match self.machine {
            Machine::Two(_) if right => (1, Side::Right),
            _ => (0, Side::Left),
        };
        let seen = &mut self.seen[at];
        match (operation, &mut self.machine, seen.reader) {
            (Operation::Lock(_), Machine::One(stream), _) => seen.reader = stream.lock().ok().or(seen.reader),
            (Operation::Lock(_), Machine::Two(tee), _) => seen.reader = tee.lock(side).ok().or(seen.reader),
            (Operation::Release(_), Machine::One(stream), Some(reader)) => drop(stream.release(reader)),
            (Operation::Release(_), Machine::Two(tee), Some(reader)) => drop(tee.release(side, reader)),
            (Operation::Read(_), Machine::One(stream), Some(reader)) => {
                stream.read(reader).map(|read| seen.read(read)).unwrap_or_default();
            }
            (Operation::Read(_), Machine::Two(tee), Some(reader)) => {
                tee.read(side, reader).map(|read| seen.read(read)).unwrap_or_default();
            }
            (Operation::Cancel(_), Machine::One(stream), Some(reader)) => {
                drop(stream.reader_cancel(reader, 1));
            }
            (Operation::Cancel(_), Machine::Two(tee), Some(reader)) => {
                drop(tee.reader_cancel(side, reader, 1))
            }
            (Operation::CancelUnlocked(_), Machine::One(stream), _) => drop(stream.cancel(2)),
            (Operation::CancelUnlocked(_), Machine::Two(tee), _) => drop(tee.cancel(side, 2)),
            _ => {}
        }
    }

    fn ask(&mut self) {
        assert!(!self.asked, "asked once at a time");
        self.asked = true;
    }

    fn act(&mut self) -> bool {
        match &mut self.machine {
            Machine::One(stream) => match stream.poll_action() {
                None => return false,
                Some(Action::Pull) => self.ask(),
                Some(Action::Cancel(_)) => self.told = true,
                Some(action) => self.seen[0].act(action),
            },
            Machine::Two(tee) => match tee.poll_action() {
                None => return false,
                Some(TeeAction::Pull) => self.ask(),
                Some(TeeAction::Cancel { .. }) => self.told = true,
                Some(TeeAction::Branch { side, action }) => {
                    self.seen[usize::from(side == Side::Right)].act(action)
                }
            },
        }
        true
    }

    /// From now on with two consumers, if nobody reads.
    fn tee(self) -> Self {
        match self.machine {
            // What the one consumer was still to be told is told before.
            Machine::One(stream) if !stream.is_locked() && self.seen[0].terminal == 0 => {
                let mut seen: [Seen; 2] = Default::default();
                for new in &mut seen {
                    new.got.clone_from(&self.seen[0].got);
                }
                let machine = Machine::Two(Tee::new(stream).expect("nobody holds it"));
                Self { machine, seen, ..self }
            }
            machine => Self { machine, ..self },
        }
    }

    fn check(&self) {
        for seen in &self.seen {
            assert!(self.sent.starts_with(&seen.got), "in order");
        }
        match &self.machine {
            Machine::One(stream) => assert!(stream.bytes() <= 300 && stream.chunks() <= 5),
            Machine::Two(tee) => {
                for side in Side::ALL {
                    assert!(tee.branch(side).chunks() <= 1, "nothing piles up");
                }
            }
        }
    }
}

fuzz_target!(|input: Input| {
    let strategy = if input.bytes { Config::bytes(0).strategy } else { Config::count(0).strategy };
    let config = Config { strategy, high_water_mark: usize::from(input.mark), ..CONFIG };
    let mut world = World {
        machine: Machine::One(Readable::new(config)),
        seen: Default::default(),
        sent: Vec::new(),
        asked: false,
        told: false,
    };
    for operation in input.operations {
        match operation {
            Operation::Started => source!(world, stream => stream.started()),
            Operation::Enqueue(length) => world.enqueue(length),
            Operation::Pulled => {
                world.asked = false;
                source!(world, stream => stream.pulled());
            }
            Operation::Close => drop(source!(world, stream => stream.close())),
            Operation::Error => source!(world, stream => stream.error(3)),
            Operation::Cancelled(well) => {
                source!(world, stream => stream.cancelled(if well { Ok(()) } else { Err(4) }));
            }
            Operation::Lock(right)
            | Operation::Release(right)
            | Operation::Read(right)
            | Operation::Cancel(right)
            | Operation::CancelUnlocked(right) => world.consume(&operation, right),
            Operation::Action => drop(world.act()),
            Operation::Tee => {
                while world.act() {}
                world = world.tee();
            }
        }
        world.check();
    }
    // However it went, this is the end.
    while world.act() {}
    for right in [false, true] {
        world.consume(&Operation::Cancel(right), right);
        world.consume(&Operation::CancelUnlocked(right), right);
    }
    while world.act() {}
    source!(world, stream => stream.error(5));
    source!(world, stream => stream.cancelled(Ok(())));
    while world.act() {}
    world.check();
    let ended = world.seen.iter().map(|seen| seen.terminal).collect::<Vec<_>>();
    match world.machine {
        Machine::One(stream) => assert!(stream.has_ended() && ended[0] == 1),
        Machine::Two(tee) => assert!(tee.has_ended() && ended == [1, 1]),
    }
});
