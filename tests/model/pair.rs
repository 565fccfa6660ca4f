//! Two machines with their drivers, the transport between them, and everything that can happen to it.
//!
//! The transport takes what is sent at once and delivers it piece by piece: messages whole, bytes also cut in half. It
//! breaks at any moment, and each end is told at a moment of its own. Drivers answer one action at a time, so that an answer
//! may come long after what crosses with it. A deadline passes at any moment. All of that at once would be millions of
//! states that show nothing new: a [`Mood`] says which of it there is, and every mood has the cut.

use std::collections::VecDeque;
use std::fmt::{Debug, Write as _};

use bytes::Bytes;
use portline::{Instant, Transmit};

use crate::explore::{Digest, Property, World};

/// A machine with its driver.
pub trait Side {
    /// What a driver's terminal action says; the same for both sides of a pair.
    fn input(&mut self, now: Instant, bytes: Bytes);
    fn closed(&mut self, now: Instant);
    fn timeout(&mut self, now: Instant);
    fn deadline(&self) -> Option<Instant>;
    fn transmit(&mut self) -> Option<Transmit>;
    fn wants_input(&self) -> bool;
    /// Answers one action, or gives one more piece of an answer. `false`: there is none.
    fn act(&mut self, now: Instant) -> bool;
    /// Whether the machine has made its terminal action.
    fn has_ended(&self) -> bool;
    /// How many of them the driver has seen.
    fn ends(&self) -> usize;
    /// All that its future depends on.
    fn show(&self, digest: &mut Digest);
    /// What is left of that when it has ended.
    fn show_end(&self, digest: &mut Digest);
    /// For people.
    fn words(&self) -> String;
}

/// What is the same for every machine: what [`Side`] only passes on. What arrives goes to the verb that is named.
macro_rules! passed_on {
    ($handle:ident) => {
        fn input(&mut self, now: Instant, bytes: Bytes) {
            let _: Result<(), _> = self.machine.$handle(now, bytes);
        }

        fn closed(&mut self, now: Instant) {
            let _: Result<(), _> = self.machine.handle_closed(now);
        }

        fn timeout(&mut self, now: Instant) {
            self.machine.handle_timeout(now);
        }

        fn deadline(&self) -> Option<Instant> {
            self.machine.poll_timeout()
        }

        fn transmit(&mut self) -> Option<Transmit> {
            self.machine.poll_transmit()
        }

        fn wants_input(&self) -> bool {
            self.machine.wants_input()
        }
    };
}
pub(crate) use passed_on;

/// What there is besides delivering and cutting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Nothing, and drivers answer at once.
    Eager,
    /// Nothing.
    Late,
    /// What is sent is cut in half.
    Halves,
    /// So many deadlines pass.
    Times(usize),
}

/// What is explored: a start, and what holds.
pub trait Scene: Copy + Debug {
    type Left: Side;
    type Right: Side;
    fn start(self) -> (Self::Left, Self::Right);
    fn mood(self) -> Mood;
    fn always() -> Vec<Property<Pair<Self>>>;
    fn at_rest() -> Vec<Property<Pair<Self>>>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The driver of a side answers.
    Act(usize),
    /// The first piece on the way to a side arrives.
    Deliver(usize),
    /// Half of it does.
    Half(usize),
    /// The deadline of a side passes.
    Timeout(usize),
    /// The connection breaks: what is on the way is lost.
    Cut,
    /// A side is told that nothing more will come.
    Tell(usize),
}

const EVENTS: [Event; 11] = [
    Event::Act(0),
    Event::Act(1),
    Event::Deliver(0),
    Event::Deliver(1),
    Event::Half(0),
    Event::Half(1),
    Event::Timeout(0),
    Event::Timeout(1),
    Event::Cut,
    Event::Tell(0),
    Event::Tell(1),
];

/// A state, with the way to it.
pub struct Pair<S: Scene> {
    pub scene: S,
    path: Vec<Event>,
    pub left: S::Left,
    pub right: S::Right,
    /// What is on the way to each side; whether its first piece is what a half has left.
    ways: [VecDeque<Bytes>; 2],
    halved: [bool; 2],
    told: [bool; 2],
    pub cut: bool,
    pub timeouts: usize,
    now: Instant,
}

impl<S: Scene> Pair<S> {
    pub fn new(scene: S) -> Self {
        let (left, right) = scene.start();
        let mut pair = Self {
            scene,
            path: Vec::new(),
            left,
            right,
            ways: [VecDeque::new(), VecDeque::new()],
            halved: [false; 2],
            told: [false; 2],
            cut: false,
            timeouts: 0,
            now: Instant::ZERO,
        };
        pair.settle();
        pair
    }

    /// The same state once more.
    fn again(&self) -> Self {
        let mut pair = Self::new(self.scene);
        for event in &self.path {
            assert!(pair.step(*event), "the same events are possible again");
        }
        pair
    }

    fn side(&mut self, at: usize) -> &mut dyn Side {
        if at == 0 { &mut self.left } else { &mut self.right }
    }

    fn reader(&self, at: usize) -> &dyn Side {
        if at == 0 { &self.left } else { &self.right }
    }

    /// What is sent is on its way at once, until there is nobody to send it to.
    fn settle(&mut self) {
        let now = self.now;
        for at in [0, 1] {
            while self.scene.mood() == Mood::Eager && self.side(at).act(now) {}
            while let Some(message) = self.side(at).transmit() {
                if !self.cut {
                    self.ways[1 - at].push_back(message.into_bytes());
                }
            }
        }
    }

    fn step(&mut self, event: Event) -> bool {
        if !self.apply(event) {
            return false;
        }
        self.settle();
        self.path.push(event);
        true
    }

    /// `false`, and nothing has changed, where the event cannot be.
    fn apply(&mut self, event: Event) -> bool {
        let now = self.now;
        match event {
            Event::Act(at) => self.side(at).act(now),
            Event::Deliver(at) => {
                if !self.reader(at).wants_input() && !self.reader(at).has_ended() {
                    return false;
                }
                let Some(piece) = self.ways[at].pop_front() else { return false };
                self.halved[at] = false;
                self.side(at).input(now, piece);
                true
            }
            Event::Half(at) => {
                if self.scene.mood() != Mood::Halves || self.halved[at] || !self.reader(at).wants_input() {
                    return false;
                }
                let Some(piece) = self.ways[at].front_mut().filter(|piece| piece.len() > 1) else {
                    return false;
                };
                let half = piece.split_to(piece.len() / 2);
                self.halved[at] = true;
                self.side(at).input(now, half);
                true
            }
            Event::Timeout(at) => {
                let Some(deadline) = self.reader(at).deadline() else { return false };
                if !matches!(self.scene.mood(), Mood::Times(most) if self.timeouts < most) {
                    return false;
                }
                self.timeouts += 1;
                self.now = now.max(deadline);
                let now = self.now;
                self.side(at).timeout(now);
                true
            }
            Event::Cut => {
                if self.cut || self.told == [true; 2] {
                    return false;
                }
                self.cut = true;
                self.ways.iter_mut().for_each(VecDeque::clear);
                true
            }
            Event::Tell(at) => {
                // An end that is over has closed its direction behind what it sent.
                let over = self.reader(1 - at).has_ended() && self.ways[at].is_empty();
                if self.told[at] || !(self.cut || over) {
                    return false;
                }
                self.told[at] = true;
                self.side(at).closed(now);
                true
            }
        }
    }

    /// Without cut or timeout.
    pub fn calm(&self) -> bool {
        !self.cut && self.timeouts == 0
    }
}

impl<S: Scene> World for Pair<S> {
    fn digest(&self) -> u128 {
        let mut digest = Digest::default();
        for at in [0, 1] {
            // Nothing follows, and what there was has been checked.
            if self.reader(at).ends() == 0 || !self.ways[at].is_empty() {
                self.reader(at).show(&mut digest);
            } else {
                self.reader(at).show_end(&mut digest);
            }
        }
        let rest = (&self.ways, self.halved, self.told, self.cut, self.timeouts, self.now);
        write!(digest, "{rest:?}").unwrap();
        digest.value()
    }

    fn steps(&self, next: &mut Vec<Self>) -> bool {
        let mut moves = false;
        // What could not happen has changed nothing.
        let mut unused = None;
        for event in EVENTS {
            let mut world = unused.take().unwrap_or_else(|| self.again());
            if world.step(event) {
                moves |= !matches!(event, Event::Cut | Event::Timeout(_));
                next.push(world);
            } else {
                unused = Some(world);
            }
        }
        moves
    }

    fn always() -> Vec<Property<Self>> {
        let mut all: Vec<Property<Self>> = vec![
            ("each side has at most one terminal action", |world| {
                world.left.ends() <= 1 && world.right.ends() <= 1
            }),
            ("a terminal action that was seen was made", |world| {
                let seen = |side: &dyn Side| side.ends() == 0 || side.has_ended();
                seen(&world.left) && seen(&world.right)
            }),
            ("who has ended waits for no time and wants no input", |world| {
                let rests =
                    |side: &dyn Side| side.ends() == 0 || (side.deadline().is_none() && !side.wants_input());
                rests(&world.left) && rests(&world.right)
            }),
        ];
        all.extend(S::always());
        all
    }

    fn at_rest() -> Vec<Property<Self>> {
        let mut all: Vec<Property<Self>> =
            vec![("nobody waits for ever", |world| world.left.ends() == 1 && world.right.ends() == 1)];
        all.extend(S::at_rest());
        all
    }

    fn shown(&self) -> String {
        let Self { scene, path, ways, .. } = self;
        format!("{scene:?}\n{path:?}\n{}\n{}\non the way: {ways:?}", self.left.words(), self.right.words())
    }
}
