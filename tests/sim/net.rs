//! The clock, the connections, and what goes wrong with them.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::ops::AddAssign;

use bytes::Bytes;
use portline::Instant;

use crate::common::Rng;
use crate::toy::Repo;

/// A machine with its driver. Where a connection has channels, `channel` is one of them, otherwise 0.
pub trait Peer: 'static {
    fn input(&mut self, now: Instant, channel: u32, bytes: Bytes);
    fn closed(&mut self, now: Instant);
    fn timeout(&mut self, now: Instant);
    fn deadline(&self) -> Option<Instant>;
    fn transmit(&mut self) -> Option<(u32, Bytes)>;
    fn wants_input(&self) -> bool;
    /// Answers actions and uses verbs; `true` when something was done.
    fn work(&mut self, now: Instant, hub: &mut Repo) -> bool;
    /// Terminal actions that the driver has seen.
    fn ends(&self) -> usize;
    /// Whether they say that all went well.
    fn well(&self) -> bool;
    /// Whether this side has closed its direction behind everything that it sent.
    fn hangs_up(&self) -> bool {
        false
    }
    fn as_any(&self) -> &dyn Any;
}

/// What the network does to one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// After so many messages it closes, for both sides at times of their own.
    Cut(u64),
    /// After so many messages nothing arrives any more, and nobody is told.
    Stall(u64),
    /// After so many messages one side sees an end; what it sends still arrives.
    HalfClosed(u64, usize),
    /// One side is gone after so many messages; the other one hears of it.
    Killed(u64, usize),
}

impl Fault {
    fn of(rng: &mut Rng) -> Self {
        let scale = 1 + rng.below(7);
        let after = 1 + rng.below(1 << scale) as u64;
        match rng.below(10) {
            0 | 1 => Self::Cut(after),
            2 | 3 => Self::Stall(after),
            4 => Self::HalfClosed(after, rng.below(2)),
            5 => Self::Killed(after, rng.below(2)),
            _ => Self::None,
        }
    }
}

enum Event {
    Arrive(u32, Bytes),
    Close,
}

/// Judges the two sides when all is over; whether the connection had a fault is told.
pub type Judge = fn(&dyn Peer, &dyn Peer, bool);

struct Line {
    name: &'static str,
    ends: [Box<dyn Peer>; 2],
    judge: Judge,
    /// Bytes run together and are split anywhere.
    stream: bool,
    fault: Fault,
    /// The longest delay, in microseconds.
    delay: usize,
    /// Bytes on the way in one direction before the transport has no room.
    room: usize,
    carried: u64,
    arrival: [u64; 2],
    flying: [usize; 2],
    /// What has arrived and is not read yet.
    inbox: [VecDeque<(u32, Bytes)>; 2],
    closing: [bool; 2],
    closed: [bool; 2],
    dead: [bool; 2],
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub lines: u64,
    pub faults: u64,
    pub well: u64,
    pub messages: u64,
    pub steps: u64,
    /// A digest of everything that passed, and when.
    pub trace: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.lines += other.lines;
        self.faults += other.faults;
        self.well += other.well;
        self.messages += other.messages;
        self.steps += other.steps;
        self.trace ^= other.trace;
    }
}

pub struct Net {
    pub rng: Rng,
    /// The repository that several of them share.
    pub hub: Repo,
    loud: bool,
    now: u64,
    sequence: u64,
    events: BTreeMap<(u64, u64), (usize, usize, Event)>,
    lines: Vec<Line>,
    tally: Tally,
    before: Repo,
}

/// No run takes longer: whoever waits, waits for half a minute a few times, and the slowest block goes forth and back in ten
/// seconds (of 700 blocks one by one, seed 502356 has them).
const LATEST: u64 = 24 * 3_600_000_000;
const STEPS: u64 = 200_000;

impl Net {
    pub fn new(seed: u64, loud: bool) -> Self {
        let mut hub = Repo::default();
        hub.commit(1, &[]);
        (2..=6).for_each(|number| {
            hub.commit(number, &[number - 1]);
        });
        hub.set("main", 6);
        hub.set("next", 4);
        hub.set("old", 2);
        Self {
            rng: Rng::new(seed),
            before: hub.clone(),
            hub,
            loud,
            now: 0,
            sequence: 0,
            events: BTreeMap::new(),
            lines: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// A connection between two peers; the network's mood is drawn here.
    pub fn join(&mut self, name: &'static str, stream: bool, ends: [Box<dyn Peer>; 2], judge: Judge) {
        let fault = Fault::of(&mut self.rng);
        let delay = [0, 1_000, 40_000, 3_000_000][self.rng.below(4)];
        let room = [200, 4_000, 1 << 20][self.rng.below(3)];
        self.tally.lines += 1;
        self.tally.faults += u64::from(fault != Fault::None);
        self.lines.push(Line {
            name,
            ends,
            judge,
            stream,
            fault,
            delay,
            room,
            carried: 0,
            arrival: [0; 2],
            flying: [0; 2],
            inbox: [VecDeque::new(), VecDeque::new()],
            closing: [false; 2],
            closed: [false; 2],
            dead: [false; 2],
        });
    }

    fn note(&mut self, line: usize, to: usize, what: &str, bytes: &[u8]) {
        let mut mix = |word: u64| {
            self.tally.trace = (self.tally.trace ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        };
        mix(self.now);
        mix((line * 2 + to) as u64);
        bytes.iter().chain(what.as_bytes()).for_each(|byte| mix(u64::from(*byte)));
        if self.loud {
            let name = self.lines[line].name;
            println!("{:>12} {line} {name} to {to}: {what} {}", self.now, bytes.escape_ascii());
        }
    }

    fn after(&mut self, delay: u64, line: usize, to: usize, event: Event) {
        self.sequence += 1;
        self.events.insert((self.now + delay, self.sequence), (line, to, event));
    }

    fn at(&self) -> Instant {
        Instant::from_micros(self.now)
    }

    /// Sends what `from` has to say, if what is wrong with the connection lets it pass.
    fn send(&mut self, line: usize, from: usize, channel: u32, bytes: Bytes) {
        let to = 1 - from;
        let one = &mut self.lines[line];
        one.carried += 1;
        let carried = one.carried;
        self.tally.messages += 1;
        let passes = match one.fault {
            Fault::Cut(at) | Fault::Stall(at) => carried <= at,
            Fault::HalfClosed(at, side) => carried <= at || side != to,
            Fault::Killed(at, side) => carried <= at || (side != to && side != from),
            Fault::None => true,
        };
        if passes && !one.closing[to] {
            let delay = self.rng.below(one.delay + 1) as u64;
            // In order, whatever the delays.
            one.arrival[to] = one.arrival[to].max(self.now + delay);
            one.flying[to] += bytes.len();
            let delay = one.arrival[to] - self.now;
            self.after(delay, line, to, Event::Arrive(channel, bytes));
        }
        self.strike(line, carried);
    }

    /// The fault of a connection, when its moment has come.
    fn strike(&mut self, line: usize, carried: u64) {
        let one = &self.lines[line];
        let sides: &[usize] = match one.fault {
            Fault::Cut(at) if at == carried => &[0, 1],
            Fault::HalfClosed(at, side) if at == carried => &[[0], [1]][side],
            Fault::Killed(at, side) if at == carried => {
                self.lines[line].dead[side] = true;
                &[[1], [0]][side]
            }
            _ => return,
        };
        for side in sides {
            let one = &mut self.lines[line];
            let delay = one.arrival[*side].saturating_sub(self.now) + self.rng.below(one.delay + 1) as u64;
            if !std::mem::replace(&mut one.closing[*side], true) {
                self.after(delay, line, *side, Event::Close);
            }
        }
    }

    /// Lets both sides of a connection do all that they can do now.
    fn settle(&mut self, line: usize) {
        let now = self.at();
        let mut moved = true;
        while moved {
            moved = false;
            self.tally.steps += 1;
            assert!(self.tally.steps < STEPS, "the run does not end: {}", self.lines[line].name);
            for side in [0, 1] {
                let one = &mut self.lines[line];
                if one.dead[side] {
                    continue;
                }
                while one.ends[side].work(now, &mut self.hub) {
                    moved = true;
                }
                if one.ends[side].wants_input() || one.ends[side].ends() > 0 {
                    if let Some((channel, bytes)) = one.inbox[side].pop_front() {
                        one.flying[side] -= bytes.len();
                        one.ends[side].input(now, channel, bytes);
                        moved = true;
                    }
                }
                if self.lines[line].closing[side] && self.lines[line].closed[side] && moved {
                    // What came before the end was read first.
                    let one = &mut self.lines[line];
                    if one.inbox[side].is_empty() {
                        one.ends[side].closed(now);
                    }
                }
                moved |= self.load(line, side);
            }
        }
    }

    fn load(&mut self, line: usize, from: usize) -> bool {
        let (mut moved, mut all) = (false, false);
        let mut run = Vec::new();
        while self.lines[line].flying[1 - from] + run.len() < self.lines[line].room {
            let Some((channel, bytes)) = self.lines[line].ends[from].transmit() else {
                all = true;
                break;
            };
            moved = true;
            if self.lines[line].stream {
                run.extend_from_slice(&bytes);
            } else {
                self.send(line, from, channel, bytes);
            }
        }
        let scale = self.rng.below(10);
        let largest = 1 + self.rng.below(1 << scale);
        for piece in crate::common::split(&mut self.rng, &run, largest.max(run.len() / 8 + 1)) {
            self.send(line, from, 0, piece);
        }
        let one = &mut self.lines[line];
        if all && one.ends[from].hangs_up() && !one.closing[1 - from] {
            one.closing[1 - from] = true;
            let delay = one.arrival[1 - from].saturating_sub(self.now);
            self.after(delay, line, 1 - from, Event::Close);
        }
        moved
    }

    fn happen(&mut self, line: usize, to: usize, event: Event) {
        match event {
            Event::Arrive(channel, bytes) => {
                self.note(line, to, "gets", &bytes);
                self.lines[line].inbox[to].push_back((channel, bytes));
            }
            Event::Close => {
                self.note(line, to, "is closed", b"");
                let now = self.at();
                let one = &mut self.lines[line];
                one.closed[to] = true;
                if one.inbox[to].is_empty() && !one.dead[to] {
                    one.ends[to].closed(now);
                }
            }
        }
        self.settle(line);
    }

    fn earliest_deadline(&self) -> Option<(u64, usize, usize)> {
        let mut first: Option<(u64, usize, usize)> = None;
        for (at, line) in self.lines.iter().enumerate() {
            for side in [0, 1] {
                if let Some(due) = line.ends[side].deadline().filter(|_| !line.dead[side]) {
                    let due = (due.as_micros().max(self.now), at, side);
                    first = Some(first.map_or(due, |first| first.min(due)));
                }
            }
        }
        first
    }

    /// Runs to the end and judges.
    pub fn run(mut self) -> Tally {
        for line in 0..self.lines.len() {
            if self.loud {
                let one = &self.lines[line];
                println!("{line} is {}: {:?}, delay {}, room {}", one.name, one.fault, one.delay, one.room);
            }
            self.settle(line);
        }
        loop {
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let due = self.earliest_deadline();
            let Some(next) = event.into_iter().chain(due.map(|(at, ..)| at)).min() else {
                if self.hang_up() {
                    continue;
                }
                break;
            };
            assert!(next < LATEST, "a day, and still not over");
            self.tally.steps += 1;
            assert!(self.tally.steps < STEPS, "the run does not end");
            self.now = next;
            if event == Some(next) {
                let Some((_, (line, to, event))) = self.events.pop_first() else { continue };
                self.happen(line, to, event);
            } else if let Some((_, line, side)) = due {
                self.note(line, side, "is timed out", b"");
                let now = self.at();
                self.lines[line].ends[side].timeout(now);
                self.settle(line);
            }
        }
        self.judge();
        self.tally
    }

    /// Nothing moves any more: whoever is still there hears that the connection closes.
    fn hang_up(&mut self) -> bool {
        let mut any = false;
        for line in 0..self.lines.len() {
            for side in [0, 1] {
                let one = &mut self.lines[line];
                if !one.dead[side] && !std::mem::replace(&mut one.closing[side], true) {
                    one.inbox[side].clear();
                    self.after(0, line, side, Event::Close);
                    any = true;
                }
            }
        }
        any
    }

    fn judge(&mut self) {
        for line in &self.lines {
            let [left, right] = &line.ends;
            for (side, end) in line.ends.iter().enumerate() {
                let expected = usize::from(!line.dead[side]);
                assert!(
                    end.ends() == 1 || (line.dead[side] && end.ends() <= 1),
                    "{} has {} ends of {expected} on side {side}: {:?}",
                    line.name,
                    end.ends(),
                    line.fault
                );
            }
            (line.judge)(&**left, &**right, line.fault != Fault::None);
            self.tally.well += u64::from(left.well() && right.well());
        }
        assert!(self.hub.check().is_superset(&self.before.check()), "the shared repository lost a commit");
    }
}

/// The peer as what it is.
pub fn of<P: 'static>(peer: &dyn Peer) -> &P {
    peer.as_any().downcast_ref().unwrap()
}
