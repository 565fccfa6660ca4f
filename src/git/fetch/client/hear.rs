//! The answers of versions 0 and 1: the shallow border, acknowledgements, and the line before the pack.

use alloc::boxed::Box;

use super::answer::Answer;
use super::border;
use super::talk::{Border, Talk, Turn};
use super::terms::Acks;
use super::{Action, Client, Error, State};
use crate::git::wire::Step;
use crate::git::{SessionError, ShallowUpdate};
use crate::pkt::Packet;

/// What a line of an answer can be.
const ANSWER: &str = "an ACK or NAK line";
/// What ends the last answer.
const LAST_ANSWER: &str = "the last ACK or NAK line";
/// What precedes the pack when the server does not wait for `done`.
const GRANT: &str = "the ACK line before the pack";
/// What answers a request to move the border.
const BORDER: &str = "a shallow or unshallow line, or their flush";

impl Client {
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

    /// Bordering: how the shallow border moves, up to a flush (SHALLOWC-4).
    pub(super) fn hear_border(
        &mut self,
        mut both: Box<(Talk, ShallowUpdate)>,
    ) -> Result<(State, Step), Error> {
        let (talk, update) = &mut *both;
        match self.core.wire.packet(BORDER)? {
            None => return Ok((State::Bordering(both), Step::Wait)),
            Some(Packet::Flush) => {}
            Some(packet) => {
                border::take(update, &packet, &talk.shallow, talk.terms.format, BORDER)?;
                return Ok((State::Bordering(both), Step::Again));
            }
        }
        let (mut talk, update) = *both;
        match &talk.border {
            // Each response of a stateless session begins with the same list.
            Border::Told(told) if *told != update => return Err(Error::BorderChanged),
            Border::Told(_) => {}
            Border::Unasked | Border::Due => {
                if !update.is_empty() {
                    self.core.push(Action::Shallow(update.clone()));
                }
                talk.border = Border::Told(update);
            }
        }
        let talk = Box::new(talk);
        Ok((if talk.turn == Turn::Last { State::Closing(talk) } else { State::Hearing(talk) }, Step::Again))
    }

    /// Hearing: the answer to a round, up to its `NAK`.
    pub(super) fn hear(&mut self, mut talk: Box<Talk>) -> Result<(State, Step), Error> {
        let Some((answer, unexpected)) = self.answer(&talk, ANSWER)? else {
            return Ok((State::Hearing(talk), Step::Wait));
        };
        match (talk.terms.acks, answer) {
            (_, Answer::Nak) => return Ok((self.end_round(talk), Step::Again)),
            (Acks::Detailed, Answer::Common(id)) => talk.add_common(id)?,
            (Acks::Detailed, Answer::Ready(id)) => talk.set_ready(id)?,
            (Acks::Multi, Answer::Continue(id)) => talk.acknowledge(id)?,
            (Acks::Single, Answer::Final(id)) => {
                talk.add_common(id)?;
                if talk.terms.stateless {
                    // The next request says `done`, and which have was common.
                    return Ok((self.boundary(State::Finishing(talk)), Step::Again));
                }
                // The server answers no flush from here on, and not the `done` either.
                talk.write(&mut self.core.wire, &[], Turn::Last)?;
                return Ok((self.enter_pack(talk), Step::Again));
            }
            (
                Acks::Detailed | Acks::Multi | Acks::Single | Acks::Section,
                Answer::Common(_) | Answer::Ready(_) | Answer::Continue(_) | Answer::Final(_),
            ) => return Err(unexpected.into()),
        }
        Ok((State::Hearing(talk), Step::Again))
    }

    fn end_round(&self, talk: Box<Talk>) -> State {
        if !talk.is_ready {
            return self.boundary(State::Talking(talk));
        }
        if talk.terms.no_done { State::Granted(talk) } else { self.boundary(State::Finishing(talk)) }
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
        Ok((self.enter_pack(talk), Step::Again))
    }

    /// Closing: the answer to the last haves and to `done`.
    pub(super) fn hear_last(&mut self, mut talk: Box<Talk>) -> Result<(State, Step), Error> {
        let Some((answer, unexpected)) = self.answer(&talk, LAST_ANSWER)? else {
            return Ok((State::Closing(talk), Step::Wait));
        };
        match (talk.terms.acks, answer) {
            (_, Answer::Nak) if !talk.is_acked => return Ok((self.enter_pack(talk), Step::Again)),
            (_, Answer::Final(id)) => {
                talk.set_granted(id)?;
                return Ok((self.enter_pack(talk), Step::Again));
            }
            (Acks::Detailed, Answer::Common(id)) => talk.add_common(id)?,
            (Acks::Detailed, Answer::Ready(id)) => talk.set_ready(id)?,
            (Acks::Multi, Answer::Continue(id)) => talk.acknowledge(id)?,
            (
                Acks::Detailed | Acks::Multi | Acks::Single | Acks::Section,
                Answer::Nak | Answer::Common(_) | Answer::Ready(_) | Answer::Continue(_),
            ) => return Err(unexpected.into()),
        }
        Ok((State::Closing(talk), Step::Again))
    }

    /// The pack is next; the driver hears first where the server's own history ends (SHALLOWC-6).
    fn enter_pack(&mut self, mut talk: Box<Talk>) -> State {
        if !talk.remote_shallow.is_empty() {
            self.core.push(Action::RemoteShallow(core::mem::take(&mut talk.remote_shallow)));
        }
        let pack = talk.pack();
        if talk.terms.sideband { State::Pack(pack) } else { State::Raw(pack) }
    }
}
