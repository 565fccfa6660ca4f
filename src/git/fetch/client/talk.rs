//! The negotiation on the wire: wants and haves out, acknowledgements in.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::answer::Answer;
use super::pack::Pack;
use super::terms::{Acks, Terms};
use super::{Action, Client, Error, Outcome, State};
use crate::git::fetch::negotiator::{Negotiator, Next};
use crate::git::wire::{Step, Wire};
use crate::git::{Capabilities, ObjectId, SessionError};

/// What a line of an answer can be.
const ANSWER: &str = "an ACK or NAK line";
/// What ends the last answer.
const LAST_ANSWER: &str = "the last ACK or NAK line";
/// What precedes the pack when the server does not wait for `done`.
const GRANT: &str = "the ACK line before the pack";

/// One negotiation.
#[derive(Debug)]
pub(super) struct Talk {
    terms: Terms,
    wants: Vec<ObjectId>,
    /// What is requested, until the wants are sent.
    opening: Option<Capabilities>,
    pub(super) negotiator: Negotiator,
    /// Whether the server has acknowledged anything.
    is_acked: bool,
    is_ready: bool,
    common: Vec<ObjectId>,
    /// Haves sent in the write that is being answered, and those sent besides the negotiator's rounds.
    in_flight: usize,
    /// `ACK` lines that the answer may still have.
    lines: usize,
}

impl Talk {
    pub(super) const fn new(
        terms: Terms,
        capabilities: Capabilities,
        wants: Vec<ObjectId>,
        negotiator: Negotiator,
    ) -> Self {
        Self {
            terms,
            wants,
            opening: Some(capabilities),
            negotiator,
            is_acked: false,
            is_ready: false,
            common: Vec::new(),
            in_flight: 0,
            lines: 0,
        }
    }

    /// Writes one turn: the wants if they have not been sent, the haves, and what ends it.
    fn write(&mut self, wire: &mut Wire, haves: &[ObjectId], last: bool) -> Result<(), SessionError> {
        if let Some(list) = self.opening.take() {
            let mut list = Some(list.to_line()).filter(|line| !line.is_empty());
            for want in &self.wants {
                match list.take() {
                    Some(line) => wire.line(&[b"want ", want.to_hex().as_bytes(), b" ", &line])?,
                    None => wire.line(&[b"want ", want.to_hex().as_bytes()])?,
                }
            }
            wire.flush();
        }
        for have in haves {
            wire.line(&[b"have ", have.to_hex().as_bytes()])?;
        }
        if last {
            wire.line(&[b"done"])?;
        } else {
            wire.flush();
        }
        self.in_flight = haves.len();
        // One for each have, and one more when the server is ready at the end of the round.
        self.lines = haves.len().saturating_add(1);
        Ok(())
    }

    /// Counts a line of an answer: it has no more of them than there were haves.
    fn count(&mut self) -> Result<(), Error> {
        let what = "acknowledgements in one answer";
        let limit = self.in_flight.saturating_add(1);
        self.lines = self.lines.checked_sub(1).ok_or(SessionError::TooMany { what, limit })?;
        Ok(())
    }

    fn acknowledge(&mut self, id: ObjectId) -> Result<(), Error> {
        self.count()?;
        if !self.negotiator.acknowledge(&id) {
            return Err(Error::UnknownAck { id });
        }
        self.is_acked = true;
        Ok(())
    }

    /// The server has `id`.
    fn add_common(&mut self, id: ObjectId) -> Result<(), Error> {
        self.acknowledge(id)?;
        self.common.push(id);
        Ok(())
    }

    /// The server has heard enough; it need not have `id`.
    fn set_ready(&mut self, id: ObjectId) -> Result<(), Error> {
        self.count()?;
        if !self.negotiator.was_sent(&id) {
            return Err(Error::UnknownAck { id });
        }
        if self.common.is_empty() {
            return Err(Error::ReadyWithoutCommon);
        }
        self.is_ready = true;
        Ok(())
    }

    /// The line before the pack: a common commit, named before or not.
    fn set_granted(&mut self, id: ObjectId) -> Result<(), Error> {
        if !self.negotiator.was_sent(&id) {
            return Err(Error::UnknownAck { id });
        }
        self.common.push(id);
        Ok(())
    }

    /// The pack is next.
    fn into_pack(mut self: Box<Self>) -> State {
        self.common.sort_unstable();
        self.common.dedup();
        let outcome = Outcome {
            pack: true,
            rounds: self.negotiator.rounds(),
            haves: self.negotiator.haves(),
            wants: self.wants.len(),
            common: self.common,
        };
        let pack = Box::new(Pack { outcome, is_begun: false });
        if self.terms.sideband { State::Pack(pack) } else { State::Raw(pack) }
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
                talk.write(&mut self.core.wire, &haves, last)?;
                Ok((if last { State::Closing(talk) } else { State::Hearing(talk) }, Step::Again))
            }
        }
    }

    /// The next line of an answer, and the packet it was.
    fn answer(
        &mut self,
        talk: &Talk,
        expected: &'static str,
    ) -> Result<Option<(Answer, SessionError)>, SessionError> {
        let Some(packet) = self.core.wire.packet(expected)? else { return Ok(None) };
        let answer = Answer::parse(&packet, talk.terms.format, expected)?;
        Ok(Some((answer, SessionError::unexpected(expected, &packet))))
    }

    /// Hearing: the answer to a round, up to its `NAK`.
    pub(super) fn hear(&mut self, mut talk: Box<Talk>) -> Result<(State, Step), Error> {
        let Some((answer, unexpected)) = self.answer(&talk, ANSWER)? else {
            return Ok((State::Hearing(talk), Step::Wait));
        };
        match (talk.terms.acks, answer) {
            (_, Answer::Nak) => return Ok((self.end_round(talk)?, Step::Again)),
            (Acks::Detailed, Answer::Common(id)) => talk.add_common(id)?,
            (Acks::Detailed, Answer::Ready(id)) => talk.set_ready(id)?,
            (Acks::Multi, Answer::Continue(id)) => talk.acknowledge(id)?,
            (Acks::Single, Answer::Final(id)) => {
                // The server answers no flush from here on, and not the `done` either.
                talk.add_common(id)?;
                talk.write(&mut self.core.wire, &[], true)?;
                return Ok((talk.into_pack(), Step::Again));
            }
            (
                Acks::Detailed | Acks::Multi | Acks::Single,
                Answer::Common(_) | Answer::Ready(_) | Answer::Continue(_) | Answer::Final(_),
            ) => return Err(unexpected.into()),
        }
        Ok((State::Hearing(talk), Step::Again))
    }

    fn end_round(&mut self, mut talk: Box<Talk>) -> Result<State, Error> {
        if !talk.is_ready {
            return Ok(State::Talking(talk));
        }
        if talk.terms.no_done {
            return Ok(State::Granted(talk));
        }
        let haves = talk.negotiator.take_last();
        talk.write(&mut self.core.wire, &haves, true)?;
        Ok(State::Closing(talk))
    }

    /// Granted: the server does not wait for `done`.
    pub(super) fn hear_grant(&mut self, mut talk: Box<Talk>) -> Result<(State, Step), Error> {
        let Some((answer, unexpected)) = self.answer(&talk, GRANT)? else {
            return Ok((State::Granted(talk), Step::Wait));
        };
        match answer {
            Answer::Final(id) => talk.set_granted(id)?,
            Answer::Nak | Answer::Common(_) | Answer::Ready(_) | Answer::Continue(_) => {
                return Err(unexpected.into());
            }
        }
        Ok((talk.into_pack(), Step::Again))
    }

    /// Closing: the answer to the last haves and to `done`.
    pub(super) fn hear_last(&mut self, mut talk: Box<Talk>) -> Result<(State, Step), Error> {
        let Some((answer, unexpected)) = self.answer(&talk, LAST_ANSWER)? else {
            return Ok((State::Closing(talk), Step::Wait));
        };
        match (talk.terms.acks, answer) {
            (_, Answer::Nak) if !talk.is_acked => return Ok((talk.into_pack(), Step::Again)),
            (_, Answer::Final(id)) => {
                talk.set_granted(id)?;
                return Ok((talk.into_pack(), Step::Again));
            }
            (Acks::Detailed, Answer::Common(id)) => talk.add_common(id)?,
            (Acks::Detailed, Answer::Ready(id)) => talk.set_ready(id)?,
            (Acks::Multi, Answer::Continue(id)) => talk.acknowledge(id)?,
            (
                Acks::Detailed | Acks::Multi | Acks::Single,
                Answer::Nak | Answer::Common(_) | Answer::Ready(_) | Answer::Continue(_),
            ) => return Err(unexpected.into()),
        }
        Ok((State::Closing(talk), Step::Again))
    }
}
