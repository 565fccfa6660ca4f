//! A source and its readers, on a readable stream and on a tee.

use std::collections::VecDeque;

use bytes::Bytes;
use portline::body::readable::{Action, Config, Outcome, Read, Readable, Reader, Side, Tee, TeeAction};

use crate::explore::{Property, Table, explore};

/// What the source of a readable stream does.
#[derive(Clone, Debug)]
struct Source {
    count: u8,
    sent: u8,
    asked: bool,
    /// It has closed, failed, or was told to stop.
    over: bool,
    /// It was told to stop and has not answered.
    told: bool,
}

impl Source {
    const fn new(count: u8) -> Self {
        Self { count, sent: 0, asked: false, over: false, told: false }
    }

    fn ask(&mut self) {
        assert!(!self.asked && !self.over, "asked once at a time, and never after the end");
        self.asked = true;
    }

    fn tell(&mut self) {
        assert!(!self.told);
        (self.told, self.over) = (true, true);
    }
}

/// What a reader has seen.
#[derive(Clone, Debug, Default)]
struct Seen {
    chunks: u8,
    waiting: VecDeque<u64>,
    terminal: Option<Action<u8>>,
    cancelled: bool,
    done: bool,
}

impl Seen {
    fn chunk(&mut self, chunk: &Bytes) {
        assert_eq!(chunk[..], [self.chunks], "in order, nothing lost");
        self.chunks += 1;
    }

    fn read(&mut self, read: Read<u8>) {
        match read {
            Read::Chunk(chunk) => {
                assert!(self.waiting.is_empty());
                self.chunk(&chunk);
            }
            Read::Waiting(read) => self.waiting.push_back(read),
            Read::Done | Read::Failed(_) => self.done = true,
        }
    }

    fn act(&mut self, action: Action<u8>) {
        assert_eq!(self.terminal, None, "nothing follows the terminal action");
        match action {
            Action::Read { read, outcome } => {
                assert_eq!(self.waiting.pop_front(), Some(read), "in order");
                match outcome {
                    Outcome::Chunk(chunk) => self.chunk(&chunk),
                    Outcome::Done | Outcome::Failed(_) => self.done = true,
                    Outcome::Released => {}
                }
            }
            end => self.terminal = Some(end),
        }
    }

    /// Whether it would read once more.
    fn reads(&self, ahead: usize) -> bool {
        self.waiting.len() < ahead && !self.done && !self.cancelled && self.terminal.is_none()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Start,
    /// The source gives a chunk, asked or not.
    Give,
    /// It says that it has done what it was asked.
    Answer,
    Close,
    Error,
    /// It answers the cancelling.
    Stop,
    Read(Side),
    Cancel(Side),
    Release,
}

const EVENTS: &[Event] = &[
    Event::Start,
    Event::Give,
    Event::Answer,
    Event::Close,
    Event::Error,
    Event::Stop,
    Event::Read(Side::Left),
    Event::Read(Side::Right),
    Event::Cancel(Side::Left),
    Event::Cancel(Side::Right),
    Event::Release,
];

fn is_whim(event: Event) -> bool {
    matches!(event, Event::Error | Event::Cancel(_) | Event::Release)
}

#[derive(Clone, Debug)]
struct One {
    stream: Readable<u8>,
    reader: Reader,
    source: Source,
    seen: Seen,
    started: bool,
    released: bool,
    ahead: usize,
}

impl One {
    fn new(config: Config, count: u8, ahead: usize) -> Self {
        let mut stream = Readable::new(config);
        let reader = stream.lock().unwrap();
        let (source, seen) = (Source::new(count), Seen::default());
        Self { stream, reader, source, seen, started: false, released: false, ahead }
    }
}

impl Table for One {
    type Event = Event;
    const EVENTS: &'static [Event] = EVENTS;

    fn after(&self, event: Event) -> Option<Self> {
        let mut next = self.clone();
        let source = &mut next.source;
        match event {
            Event::Start if !next.started => {
                next.started = true;
                next.stream.started();
            }
            Event::Give if source.sent < source.count && !source.over => {
                next.stream.enqueue(Bytes::copy_from_slice(&[source.sent])).unwrap();
                source.sent += 1;
            }
            // A source that was asked gives before it answers, if it can.
            Event::Answer if source.asked && source.sent == source.count => {
                source.asked = false;
                next.stream.pulled();
            }
            Event::Answer if source.asked && source.sent > next.seen.chunks => {
                source.asked = false;
                next.stream.pulled();
            }
            Event::Close if source.sent == source.count && !source.over => {
                source.over = true;
                next.stream.close().unwrap();
            }
            Event::Error if !source.over => {
                source.over = true;
                next.stream.error(1);
            }
            Event::Stop if source.told && next.seen.terminal.is_none() => next.stream.cancelled(Err(3)),
            Event::Read(Side::Left) if next.seen.reads(next.ahead) => {
                let read = next.stream.read(next.reader).unwrap();
                next.seen.read(read);
            }
            Event::Cancel(Side::Left) if !next.seen.cancelled && next.seen.terminal.is_none() => {
                next.seen.cancelled = true;
                next.stream.reader_cancel(next.reader, 2).unwrap_or_default();
            }
            Event::Release if !next.released => {
                next.released = true;
                next.stream.release(next.reader).unwrap();
                next.reader = next.stream.lock().unwrap();
            }
            _ => return None,
        }
        while let Some(action) = next.stream.poll_action() {
            match action {
                Action::Pull => next.source.ask(),
                Action::Cancel(2) => next.source.tell(),
                other => next.seen.act(other),
            }
        }
        Some(next)
    }

    fn is_whim(event: Event) -> bool {
        is_whim(event)
    }

    fn always() -> Vec<Property<Self>> {
        vec![
            ("the stream has ended when it has said so", |world| {
                world.stream.has_ended() == world.seen.terminal.is_some()
            }),
            ("closed means read", |world| {
                !matches!(world.seen.terminal, Some(Action::Closed))
                    || world.seen.chunks == world.source.count
            }),
        ]
    }

    fn at_rest() -> Vec<Property<Self>> {
        vec![("nobody waits for ever", |world| world.seen.terminal.is_some())]
    }
}

/// READABLE-4, READABLE-5, READABLE-8, READABLE-11, READABLE-13, READABLE-14, READABLE-17.
#[test]
fn readable_20_every_interleaving_of_source_and_reader_ends_once() {
    let cases = [
        (Config::count(0), 2, 1, 511, 120),
        (Config::count(1), 2, 2, 832, 178),
        (Config::count(2), 3, 1, 1044, 226),
        (Config::bytes(2), 3, 2, 1410, 298),
    ];
    let found = cases.map(|(config, count, ahead, _, _)| explore(One::new(config, count, ahead)));
    assert_eq!(found, cases.map(|(_, _, _, states, ends)| (states, ends)));
}

#[derive(Clone, Debug)]
struct Two {
    tee: Tee<u8>,
    readers: [Reader; 2],
    source: Source,
    seen: [Seen; 2],
    ahead: usize,
}

impl Two {
    fn new(count: u8, ahead: usize) -> Self {
        let mut stream = Readable::new(Config::count(0));
        stream.started();
        let mut tee = Tee::new(stream).unwrap();
        let readers = Side::ALL.map(|side| tee.lock(side).unwrap());
        let mut world = Self { tee, readers, source: Source::new(count), seen: Default::default(), ahead };
        world.drain();
        world
    }

    fn drain(&mut self) {
        while let Some(action) = self.tee.poll_action() {
            match action {
                TeeAction::Pull => self.source.ask(),
                TeeAction::Cancel { left: 2, right: 2 } => self.source.tell(),
                TeeAction::Branch { side, action } => self.seen[at(side)].act(action),
                other @ TeeAction::Cancel { .. } => panic!("{other:?}"),
            }
        }
    }
}

const fn at(side: Side) -> usize {
    match side {
        Side::Left => 0,
        Side::Right => 1,
    }
}

impl Table for Two {
    type Event = Event;
    const EVENTS: &'static [Event] = EVENTS;

    fn after(&self, event: Event) -> Option<Self> {
        let mut next = self.clone();
        let source = &mut next.source;
        match event {
            // Asked or not: what nobody asked for waits in the source, not in the branches.
            Event::Give if source.sent < source.count && !source.over => {
                let asked = std::mem::take(&mut source.asked);
                next.tee.enqueue(Bytes::copy_from_slice(&[source.sent])).unwrap();
                source.sent += 1;
                next.drain();
                if asked {
                    next.tee.pulled();
                }
            }
            Event::Close if source.sent == source.count && !source.over => {
                source.over = true;
                next.tee.close().unwrap();
            }
            Event::Error if !source.over => {
                source.over = true;
                next.tee.error(1);
            }
            Event::Stop if source.told && next.seen.iter().any(|seen| seen.terminal.is_none()) => {
                next.tee.cancelled(Err(3));
            }
            Event::Read(side) if next.seen[at(side)].reads(next.ahead) => {
                let read = next.tee.read(side, next.readers[at(side)]).unwrap();
                next.seen[at(side)].read(read);
            }
            Event::Cancel(side)
                if !next.seen[at(side)].cancelled && next.seen[at(side)].terminal.is_none() =>
            {
                next.seen[at(side)].cancelled = true;
                next.tee.reader_cancel(side, next.readers[at(side)], 2).unwrap_or_default();
            }
            _ => return None,
        }
        next.drain();
        Some(next)
    }

    fn is_whim(event: Event) -> bool {
        is_whim(event)
    }

    fn always() -> Vec<Property<Self>> {
        vec![
            ("nothing piles up on either side", |world| {
                Side::ALL.iter().all(|side| world.tee.branch(*side).chunks() <= 1)
            }),
            ("a side has ended when it has said so", |world| {
                let agrees = |side: &Side| {
                    world.tee.branch(*side).has_ended() == world.seen[at(*side)].terminal.is_some()
                };
                Side::ALL.iter().all(agrees)
            }),
            ("closed means read", |world| {
                let whole = |seen: &Seen| {
                    !matches!(seen.terminal, Some(Action::Closed)) || seen.chunks == world.source.count
                };
                world.seen.iter().all(whole)
            }),
        ]
    }

    fn at_rest() -> Vec<Property<Self>> {
        vec![("nobody waits for ever", |world| world.seen.iter().all(|seen| seen.terminal.is_some()))]
    }
}

/// READABLE-21 to READABLE-27.
#[test]
fn readable_22_every_interleaving_of_source_and_two_readers_ends_once() {
    let cases = [(0, 1, 44, 28), (1, 2, 716, 391), (2, 1, 2282, 1314), (3, 2, 12731, 6408)];
    let found = cases.map(|(count, ahead, _, _)| explore(Two::new(count, ahead)));
    assert_eq!(found, cases.map(|(_, _, states, ends)| (states, ends)));
}
