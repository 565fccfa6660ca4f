//! A virtual clock and a seeded link, for every test that lets two machines talk.
//!
//! [`Link::run`] moves bytes between two [`Endpoint`]s. What is random (delays, splits) comes from one seed, so a
//! failing run can be repeated by its seed alone.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub
)]

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use portline::{Instant, Transmit};

/// A small generator of our own (SplitMix64): the same numbers on every machine, for ever.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub const fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// `whole` cut at random places, empty pieces left out.
pub fn split(rng: &mut Rng, whole: &[u8], largest: usize) -> Vec<Bytes> {
    let mut rest = Bytes::copy_from_slice(whole);
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        pieces.push(rest.split_to((1 + rng.below(largest)).min(rest.len())));
    }
    pieces
}

/// Everything that a machine has to send, as one buffer.
pub fn gather(mut poll: impl FnMut() -> Option<Transmit>) -> Bytes {
    let mut all = BytesMut::new();
    while let Some(mut transmit) = poll() {
        let count = transmit.remaining();
        all.extend_from_slice(&transmit.copy_to_bytes(count));
    }
    all.freeze()
}

/// What the link needs of a machine with its driver.
pub trait Endpoint {
    /// One message, or some bytes.
    fn input(&mut self, now: Instant, bytes: Bytes);
    fn closed(&mut self, now: Instant);
    fn timeout(&mut self, now: Instant);
    fn transmit(&mut self) -> Option<Transmit>;
    fn deadline(&self) -> Option<Instant>;
    fn wants_input(&self) -> bool;
    /// Answers actions, uses verbs. `true` when something was done.
    fn work(&mut self, now: Instant) -> bool;
    /// Whether this side has ended its direction of the link (half-close), everything sent.
    fn hangs_up(&self) -> bool {
        false
    }
}

/// What the link does to what passes.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Messages stay whole; otherwise bytes run together and are split anywhere.
    pub messages: bool,
    /// The largest piece on a byte link.
    pub piece: usize,
    /// The longest delay.
    pub delay: Duration,
    /// Bytes on the way in one direction before the transport has no room.
    pub room: usize,
    /// The whole link is cut when so many bytes were put on it.
    pub cut_after: Option<usize>,
}

impl Default for Weather {
    fn default() -> Self {
        Self { messages: true, piece: 1 << 16, delay: Duration::ZERO, room: 1 << 20, cut_after: None }
    }
}

/// One direction of the link.
#[derive(Default)]
struct Lane {
    way: VecDeque<(Instant, Bytes)>,
    on_the_way: usize,
    /// When the sending side has hung up: the time the other side learns it.
    end: Option<Instant>,
    told: bool,
}

/// A link between two endpoints, with its clock.
pub struct Link {
    pub now: Instant,
    weather: Weather,
    rng: Rng,
    lanes: [Lane; 2],
    carried: usize,
}

fn fire(end: &mut dyn Endpoint, now: Instant) {
    if end.deadline().is_some_and(|deadline| deadline <= now) {
        end.timeout(now);
    }
}

/// Steps after which a run that should have ended counts as a loop.
const STEPS: usize = 2_000_000;

impl Link {
    pub fn new(weather: Weather, seed: u64) -> Self {
        Self {
            now: Instant::ZERO,
            weather,
            rng: Rng::new(seed),
            lanes: [Lane::default(), Lane::default()],
            carried: 0,
        }
    }

    /// Runs until nothing moves any more and no deadline is left; then both ends see the link closed, once.
    pub fn run(&mut self, a: &mut dyn Endpoint, b: &mut dyn Endpoint) {
        for _ in 0..STEPS {
            let worked = a.work(self.now) | b.work(self.now);
            let moved = self.load(0, a) | self.load(1, b) | self.deliver(0, b) | self.deliver(1, a);
            if worked || moved {
                continue;
            }
            let arrivals = self.lanes.iter().zip([&*b, &*a]).flat_map(|(lane, to)| {
                let next = lane.way.front().filter(|_| to.wants_input()).map(|(at, _)| *at);
                let end = lane.end.filter(|_| lane.way.is_empty() && !lane.told);
                [next, end]
            });
            let next = arrivals.chain([a.deadline(), b.deadline()]).flatten().min();
            match next {
                Some(at) => {
                    self.now = self.now.max(at);
                    fire(a, self.now);
                    fire(b, self.now);
                }
                None if self.lanes.iter().all(|lane| lane.told) => return,
                None => self.hang_up(),
            }
        }
        panic!("the run does not end");
    }

    /// Ends both directions behind what is on the way.
    fn hang_up(&mut self) {
        for lane in &mut self.lanes {
            lane.end.get_or_insert(self.now);
            // What an end does not want to read is lost with it.
            lane.way.clear();
        }
    }

    fn load(&mut self, lane: usize, from: &mut dyn Endpoint) -> bool {
        let mut moved = false;
        let mut run = BytesMut::new();
        while self.lanes[lane].end.is_none() && self.lanes[lane].on_the_way + run.len() < self.weather.room {
            let Some(transmit) = from.transmit() else { break };
            moved = true;
            let bytes = transmit.into_bytes();
            self.carried += bytes.len();
            if self.weather.cut_after.is_some_and(|cut| self.carried > cut) {
                self.hang_up();
                return true;
            }
            if self.weather.messages {
                self.put(lane, bytes);
            } else {
                run.extend_from_slice(&bytes);
            }
        }
        for piece in split(&mut self.rng, &run, self.weather.piece) {
            self.put(lane, piece);
        }
        if from.hangs_up() && self.lanes[lane].end.is_none() {
            let last = self.lanes[lane].way.back().map_or(self.now, |(at, _)| *at);
            self.lanes[lane].end = Some(last);
            moved = true;
        }
        moved
    }

    fn put(&mut self, lane: usize, bytes: Bytes) {
        let micros = self.weather.delay.as_micros() as usize;
        let delay = Duration::from_micros(self.rng.below(micros + 1) as u64);
        let lane = &mut self.lanes[lane];
        let earliest = lane.way.back().map_or(self.now, |(at, _)| *at);
        let at = self.now.checked_add(delay).unwrap().max(earliest);
        lane.on_the_way += bytes.len();
        lane.way.push_back((at, bytes));
    }

    fn deliver(&mut self, lane: usize, to: &mut dyn Endpoint) -> bool {
        let mut moved = false;
        let lane = &mut self.lanes[lane];
        while to.wants_input() && lane.way.front().is_some_and(|(at, _)| *at <= self.now) {
            let Some((_, bytes)) = lane.way.pop_front() else { break };
            lane.on_the_way -= bytes.len();
            to.input(self.now, bytes);
            moved = true;
        }
        if lane.way.is_empty() && !lane.told && lane.end.is_some_and(|at| at <= self.now) {
            lane.told = true;
            to.closed(self.now);
            moved = true;
        }
        moved
    }
}
