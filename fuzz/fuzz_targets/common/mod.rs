//! What the targets of the Git machines share: lines from templates, and one session with its oracles.
#![allow(dead_code)]

pub mod heap;
pub mod oracle;

use std::fmt::Debug;

use arbitrary::Arbitrary;
use bytes::Bytes;
use portline::git::{ObjectId, Ref, RefName, Resume};
use portline::{Instant, Transmit, limits};

use self::oracle::Sticky;

/// No machine makes more than this in one drain: its queues are bounded and its input here is small.
const MOST: usize = 100_000;

/// What one session may hold at once here: its input is some ten kilobytes at most, and no number in it is a size.
pub const HELD: usize = 1 << 20;

/// One of eight ids; 0 is null.
pub fn id(number: u8) -> ObjectId {
    ObjectId::from_raw(&[number % 8; 20]).unwrap()
}

pub fn ids(numbers: &[u8]) -> Vec<ObjectId> {
    numbers.iter().map(|number| id(*number)).collect()
}

/// A part of a pack, of so many bytes; none of none.
pub fn part(offset: u8) -> Option<Resume> {
    Resume::new(offset.into(), Bytes::from_static(&[7])).ok()
}

/// One of four names, one of them hidden where `hide` is hidden.
pub fn name(number: u8) -> RefName {
    RefName::new(NAMES[usize::from(number) % NAMES.len()]).unwrap()
}

const NAMES: [&str; 4] = ["refs/heads/a", "refs/heads/b", "refs/tags/v", "refs/hide/x"];

pub fn refs(numbers: &[(u8, u8)]) -> Vec<Ref> {
    let mut refs: Vec<Ref> = numbers.iter().map(|(of, to)| Ref::new(name(*of), id(*to))).collect();
    refs.sort_by(|one, other| one.name.cmp(&other.name));
    refs
}

pub fn packet(data: &[u8]) -> Vec<u8> {
    [format!("{:04x}", data.len() + 4).as_bytes(), data].concat()
}

/// What a peer may send, mostly well-formed.
#[derive(Arbitrary, Debug)]
pub enum Said {
    Flush,
    Special(bool),
    /// A template with its ids and name.
    Line(u8, u8, u8, u8),
    /// A template inside band 1, the packet included.
    Inner(u8, u8, u8, u8),
    InnerFlush,
    Band(u8, Vec<u8>),
    Text(Vec<u8>),
    Raw(Vec<u8>),
}

impl Said {
    /// The bytes; in a template `@` is an id, `#` another one and `$` a name.
    pub fn bytes(&self, templates: &[&str]) -> Vec<u8> {
        let fill = |at: u8, one: u8, other: u8, of: u8| {
            let template = templates[usize::from(at) % templates.len()];
            let name = NAMES[usize::from(of) % NAMES.len()];
            packet(
                template
                    .replace('@', &id(one).to_string())
                    .replace('#', &id(other).to_string())
                    .replace('$', name)
                    .as_bytes(),
            )
        };
        match self {
            Self::Flush => b"0000".to_vec(),
            Self::Special(delim) => if *delim { b"0001" } else { b"0002" }.to_vec(),
            Self::Line(at, one, other, of) => fill(*at, *one, *other, *of),
            Self::Inner(at, one, other, of) => packet(&[&[1], &fill(*at, *one, *other, *of)[..]].concat()),
            Self::InnerFlush => packet(b"\x010000"),
            Self::Band(band, data) => packet(&[&[band % 4], &data[..]].concat()),
            Self::Text(data) => packet(data),
            Self::Raw(data) => data.clone(),
        }
    }
}

/// What happens to any machine.
#[derive(Arbitrary, Debug)]
pub enum Event {
    Say(Vec<Said>),
    /// The same, cut into pieces of so many bytes.
    Cut(u8, Vec<Said>),
    Wait(u32),
    /// A time near the end of the clock's range (T11).
    Late(u16),
    Timeout,
    Transmit,
    Action,
    Drain,
    Closed,
    Abort,
}

/// The face that the four Git machines share.
pub trait Face {
    type Action: Debug;
    type Error: Clone + Debug + PartialEq;
    fn bytes(&mut self, now: Instant, bytes: Bytes) -> Result<(), Self::Error>;
    fn closed(&mut self, now: Instant) -> Result<(), Self::Error>;
    fn timeout(&mut self, now: Instant);
    fn abort(&mut self, now: Instant);
    fn transmit(&mut self) -> Option<Transmit>;
    fn action(&mut self) -> Option<Self::Action>;
    fn deadline(&self) -> Option<Instant>;
    fn wants_input(&self) -> bool;
    fn has_ended(&self) -> bool;
    /// `Some` for a terminal action, with its error.
    fn end(action: &Self::Action) -> Option<Option<Self::Error>>;
}

#[allow(unused_macros)]
macro_rules! face {
    ($machine:ident, $action:ident, $error:ident) => {
        impl $crate::common::Face for $machine {
            type Action = $action;
            type Error = $error;
            fn bytes(&mut self, now: portline::Instant, bytes: bytes::Bytes) -> Result<(), Self::Error> {
                self.handle_bytes(now, bytes)
            }
            fn closed(&mut self, now: portline::Instant) -> Result<(), Self::Error> {
                self.handle_closed(now)
            }
            fn timeout(&mut self, now: portline::Instant) {
                self.handle_timeout(now);
            }
            fn abort(&mut self, now: portline::Instant) {
                Self::abort(self, now);
            }
            fn transmit(&mut self) -> Option<portline::Transmit> {
                self.poll_transmit()
            }
            fn action(&mut self) -> Option<Self::Action> {
                self.poll_action()
            }
            fn deadline(&self) -> Option<portline::Instant> {
                self.poll_timeout()
            }
            fn wants_input(&self) -> bool {
                Self::wants_input(self)
            }
            fn has_ended(&self) -> bool {
                Self::has_ended(self)
            }
            fn end(action: &Self::Action) -> Option<Option<Self::Error>> {
                match action {
                    $action::Finished(_) => Some(None),
                    $action::Failed(error) => Some(Some(error.clone())),
                    _ => None,
                }
            }
        }
    };
}
#[allow(unused_imports, unused_macros)]
pub(crate) use face;

/// One run of a machine, watched.
pub struct Session<M: Face> {
    pub machine: M,
    pub now: Instant,
    end: Option<Option<M::Error>>,
    failed: Sticky<M::Error>,
}

impl<M: Face> Session<M> {
    pub fn new(machine: M, now: Instant) -> Self {
        Self { machine, now, end: None, failed: Sticky::default() }
    }

    fn returned(&mut self, result: Result<(), M::Error>) {
        let taken = self.failed.heard(result);
        assert!(taken || self.machine.has_ended());
    }

    pub fn give(&mut self, bytes: Bytes) {
        // A driver reads only what is wanted, at most one read of 64 KiB at a time.
        assert!(bytes.len() <= limits::GIT_INPUT);
        if self.machine.wants_input() {
            let result = self.machine.bytes(self.now, bytes);
            self.returned(result);
        }
    }

    pub fn action(&mut self) -> Option<M::Action> {
        let action = self.machine.action()?;
        assert!(self.end.is_none(), "{action:?} after the end {:?}", self.end);
        self.end = M::end(&action);
        if let Some(Some(error)) = &self.end {
            self.failed.told(error);
        }
        Some(action)
    }

    /// Does what happens; `answer` answers an action.
    pub fn event(
        &mut self,
        event: Event,
        templates: &[&str],
        mut answer: impl FnMut(&mut M, Instant, M::Action),
    ) {
        match event {
            Event::Say(said) => {
                let bytes: Vec<u8> = said.iter().flat_map(|one| one.bytes(templates)).collect();
                self.give(bytes.into());
            }
            Event::Cut(size, said) => {
                let bytes: Vec<u8> = said.iter().flat_map(|one| one.bytes(templates)).collect();
                bytes
                    .chunks(usize::from(size) + 1)
                    .for_each(|piece| self.give(Bytes::copy_from_slice(piece)));
            }
            Event::Wait(micros) => {
                self.now = Instant::from_micros(self.now.as_micros().saturating_add(u64::from(micros)));
            }
            Event::Late(before) => {
                self.now = self.now.max(Instant::from_micros(u64::MAX - u64::from(before)))
            }
            Event::Timeout => {
                self.now = self.machine.deadline().map_or(self.now, |deadline| deadline.max(self.now));
                self.machine.timeout(self.now);
                oracle::moved_on(self.machine.deadline(), self.now);
            }
            Event::Transmit => {
                if let Some(sent) = self.machine.transmit() {
                    assert!(!sent.is_empty(), "nothing was sent");
                }
            }
            Event::Action => drop(self.action()),
            Event::Drain => self.drain(&mut answer),
            Event::Closed => {
                let result = self.machine.closed(self.now);
                self.returned(result);
            }
            Event::Abort => self.machine.abort(self.now),
        }
        if self.machine.has_ended() {
            assert!(!self.machine.wants_input() && self.machine.deadline().is_none());
        }
    }

    /// Takes everything, and answers everything.
    pub fn drain(&mut self, answer: &mut impl FnMut(&mut M, Instant, M::Action)) {
        for turn in 0.. {
            assert!(turn < MOST, "busy without end");
            let sent = self.machine.transmit().is_some();
            let Some(action) = self.action() else { if sent { continue } else { return } };
            answer(&mut self.machine, self.now, action);
        }
    }

    /// The transport ends and the driver answers: one terminal action, at the latest when the driver gives up.
    pub fn finish(mut self, mut answer: impl FnMut(&mut M, Instant, M::Action)) {
        let result = self.machine.closed(self.now);
        self.returned(result);
        self.drain(&mut answer);
        self.machine.abort(self.now);
        self.drain(&mut answer);
        assert!(self.end.is_some() && self.machine.has_ended());
        assert!(!self.machine.wants_input() && self.machine.deadline().is_none());
        let result = self.machine.bytes(self.now, Bytes::from_static(b"0000"));
        self.returned(result);
        assert_eq!((self.machine.transmit().is_some(), self.machine.action().is_some()), (false, false));
    }
}
