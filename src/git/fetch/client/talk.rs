//! One negotiation: what is said in each turn, and what the answers have told.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::pack::{Pack, Start as PackStart};
use super::sections::Sections;
use super::terms::Terms;
use super::{Action, Client, Error, Outcome, State};
use crate::git::fetch::negotiator::{Negotiator, Next};
use crate::git::wire::{Step, Wire};
use crate::git::{Commit, ObjectId, RefName, SessionError, ShallowUpdate};

/// What ended the turn that is being answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// A flush: the server answers the haves.
    Round,
    /// `done`: the pack follows.
    Last,
}

/// What the server has said of the shallow border.
#[derive(Debug)]
pub(super) enum Border {
    /// Nothing, and nothing is due.
    Unasked,
    /// The answer is due.
    Due,
    /// It was told, and is told again in every response of a stateless session.
    Told(ShallowUpdate),
}

/// One negotiation.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) terms: Terms,
    /// What stands before the haves: kept for as long as it is repeated.
    head: Bytes,
    /// How many objects are wanted, by id and by name.
    wants: usize,
    /// Refs wanted by name.
    pub(super) names: BTreeSet<RefName>,
    /// Whether packs may be told by their URIs.
    pub(super) takes_uris: bool,
    pub(super) negotiator: Negotiator,
    /// The client's shallow border.
    pub(super) shallow: BTreeSet<ObjectId>,
    pub(super) border: Border,
    /// The server's own border, until the driver is told.
    pub(super) remote_shallow: Vec<ObjectId>,
    pub(super) turn: Turn,
    /// Whether the server has acknowledged anything.
    pub(super) is_acked: bool,
    pub(super) is_ready: bool,
    pub(super) common: Vec<ObjectId>,
    /// Common commits that every further request repeats.
    repeated: BTreeSet<ObjectId>,
    /// Haves sent again.
    again: usize,
    /// Haves in the write that is being answered.
    in_flight: usize,
    /// Lines that the answer may still have.
    lines: usize,
    /// Bytes held of the pack.
    part: u64,
}

/// What a negotiation begins with.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) terms: Terms,
    pub(super) head: BytesMut,
    pub(super) wants: usize,
    pub(super) names: BTreeSet<RefName>,
    pub(super) takes_uris: bool,
    pub(super) shallow: BTreeSet<ObjectId>,
    pub(super) remote_shallow: Vec<ObjectId>,
    /// Bytes held of the pack.
    pub(super) part: u64,
}

impl Talk {
    pub(super) fn new(start: Start, negotiator: Negotiator) -> Self {
        // In version 2 the border has a section of its own.
        let is_due = start.terms.deepens && !start.terms.is_v2();
        Self {
            terms: start.terms,
            head: start.head.freeze(),
            wants: start.wants,
            names: start.names,
            takes_uris: start.takes_uris,
            negotiator,
            shallow: start.shallow,
            border: if is_due { Border::Due } else { Border::Unasked },
            remote_shallow: if start.terms.deepens { Vec::new() } else { start.remote_shallow },
            turn: Turn::Round,
            is_acked: false,
            is_ready: false,
            common: Vec::new(),
            repeated: BTreeSet::new(),
            again: 0,
            in_flight: 0,
            lines: 0,
            part: start.part,
        }
    }

    /// Takes the driver's commits: those at the border stand without their parents (SHALLOWC-3).
    pub(super) fn cut(&self, mut commits: Vec<Commit>) -> Vec<Commit> {
        if !self.shallow.is_empty() {
            for commit in commits.iter_mut().filter(|commit| self.shallow.contains(&commit.id)) {
                commit.parents.clear();
            }
        }
        commits
    }

    /// Writes one turn: the head, the haves that are repeated, the new ones, and what ends it.
    pub(super) fn write(
        &mut self,
        wire: &mut Wire,
        haves: &[ObjectId],
        turn: Turn,
    ) -> Result<(), SessionError> {
        wire.turn().extend_from_slice(&self.head);
        if !self.terms.repeats() {
            self.head = Bytes::new();
        }
        for have in self.repeated.iter().chain(haves) {
            wire.line(&[b"have ", have.to_hex().as_bytes()])?;
        }
        if turn == Turn::Last {
            wire.line(&[b"done"])?;
        }
        // Version 2 ends every request with a flush, the older ones end it with `done` or a flush.
        if turn == Turn::Round || self.terms.is_v2() {
            wire.flush();
        }
        self.turn = turn;
        self.again = self.again.saturating_add(self.repeated.len());
        self.in_flight = haves.len().saturating_add(self.repeated.len());
        // One for each have, and one more when the server is ready at the end of the round.
        self.lines = self.in_flight.saturating_add(1);
        Ok(())
    }

    /// Counts a line of an answer: it has no more of them than there were haves.
    pub(super) fn count(&mut self) -> Result<(), Error> {
        let what = "acknowledgements in one answer";
        let limit = self.in_flight.saturating_add(1);
        self.lines = self.lines.checked_sub(1).ok_or(SessionError::TooMany { what, limit })?;
        Ok(())
    }

    pub(super) fn acknowledge(&mut self, id: ObjectId) -> Result<(), Error> {
        self.count()?;
        if !self.negotiator.acknowledge(&id) {
            return Err(Error::UnknownAck { id });
        }
        self.is_acked = true;
        Ok(())
    }

    /// The server has `id`.
    pub(super) fn add_common(&mut self, id: ObjectId) -> Result<(), Error> {
        self.acknowledge(id)?;
        if !self.terms.repeats() || self.repeated.insert(id) {
            self.common.push(id);
        }
        Ok(())
    }

    /// The server has heard enough; it need not have `id`.
    pub(super) fn set_ready(&mut self, id: ObjectId) -> Result<(), Error> {
        if !self.negotiator.was_sent(&id) {
            self.count()?;
            return Err(Error::UnknownAck { id });
        }
        self.set_ready_at_all()
    }

    /// The server has heard enough, whatever it has.
    pub(super) fn set_ready_at_all(&mut self) -> Result<(), Error> {
        self.count()?;
        if self.common.is_empty() {
            return Err(Error::ReadyWithoutCommon);
        }
        self.is_ready = true;
        Ok(())
    }

    /// The line before the pack: a common commit, named before or not.
    pub(super) fn set_granted(&mut self, id: ObjectId) -> Result<(), Error> {
        if !self.negotiator.was_sent(&id) {
            return Err(Error::UnknownAck { id });
        }
        self.common.push(id);
        Ok(())
    }

    /// The pack that comes next.
    pub(super) fn pack(&mut self) -> Box<Pack> {
        let start = self.terms.resumes.then(|| PackStart::new(self.part));
        Box::new(Pack::new(self.outcome(), start))
    }

    /// What the session comes to, once the pack is next.
    fn outcome(&mut self) -> Outcome {
        self.common.sort_unstable();
        self.common.dedup();
        Outcome {
            pack: true,
            rounds: self.negotiator.rounds(),
            haves: self.negotiator.haves().saturating_add(self.again),
            wants: self.wants,
            common: core::mem::take(&mut self.common),
            filtered: self.terms.filtered,
            resumed: 0,
        }
    }
}

impl Client {
    /// Talking: what the negotiator needs is asked or sent.
    pub(super) fn talk(&mut self, mut talk: Box<Talk>) -> Result<(State, Step), Error> {
        match talk.negotiator.poll() {
            None => Ok((State::Talking(talk), Step::Wait)),
            Some(Next::Load(ids)) => {
                self.core.push(Action::LoadCommits(ids));
                Ok((State::Talking(talk), Step::Again))
            }
            Some(Next::Round { haves, last }) => {
                let turn = if last { Turn::Last } else { Turn::Round };
                Ok((self.send(talk, &haves, turn)?, Step::Again))
            }
        }
    }

    /// Finishing: the server is ready, `done` goes out with what may narrow the gap.
    pub(super) fn finish_talk(&mut self, mut talk: Box<Talk>) -> Result<(State, Step), Error> {
        let haves = talk.negotiator.take_last();
        Ok((self.send(talk, &haves, Turn::Last)?, Step::Again))
    }

    /// Sends one turn; what is awaited then.
    pub(super) fn send(
        &mut self,
        mut talk: Box<Talk>,
        haves: &[ObjectId],
        turn: Turn,
    ) -> Result<State, Error> {
        talk.write(&mut self.core.wire, haves, turn)?;
        Ok(match (&talk.border, turn) {
            _ if talk.terms.is_v2() => match turn {
                Turn::Round => State::Heading(talk),
                Turn::Last => State::Sections(Box::new(Sections::new(*talk))),
            },
            (Border::Due, _) => State::Bordering(Box::new((*talk, ShallowUpdate::default()))),
            (Border::Told(_), _) if talk.terms.stateless => {
                State::Bordering(Box::new((*talk, ShallowUpdate::default())))
            }
            (Border::Unasked | Border::Told(_), Turn::Round) => State::Hearing(talk),
            (Border::Unasked | Border::Told(_), Turn::Last) => State::Closing(talk),
        })
    }
}
