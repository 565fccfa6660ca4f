//! The pack, in a sideband or by itself.

use alloc::boxed::Box;

use super::{Action, Client, Error, Outcome, State};
use crate::git::SessionError;
use crate::git::wire::Step;
use crate::pkt::{Band, Fragment, Packet};

const PACK: &str = "the pack";
const REST: &str = "the rest of the pack";

/// A pack that is coming.
#[derive(Debug)]
pub(super) struct Pack {
    pub(super) outcome: Outcome,
    /// Whether some of it has come.
    pub(super) is_begun: bool,
}

impl Pack {
    const fn expected(&self) -> &'static str {
        if self.is_begun { REST } else { PACK }
    }
}

impl Client {
    /// Pack: bands up to the flush.
    pub(super) fn read_pack(&mut self, mut pack: Box<Pack>) -> Result<(State, Step), Error> {
        let special = match self.core.wire.fragment(pack.expected())? {
            None => return Ok((State::Pack(pack), Step::Wait)),
            Some(Fragment::Data { band: Band::Data, bytes }) => {
                pack.is_begun = true;
                self.core.push(Action::Pack(bytes));
                return Ok((State::Pack(pack), Step::Again));
            }
            Some(Fragment::Data { band: Band::Progress, bytes }) => {
                self.core.push(Action::Progress(bytes));
                return Ok((State::Pack(pack), Step::Again));
            }
            // The wire makes the error of it.
            Some(Fragment::Data { band: Band::Fatal, bytes }) => {
                return Err(SessionError::remote(&bytes).into());
            }
            Some(Fragment::Flush) if pack.is_begun => {
                self.core.finish(Action::Finished(pack.outcome));
                return Ok((State::Ended, Step::Wait));
            }
            Some(Fragment::Flush) => Packet::Flush,
            Some(Fragment::Delim) => Packet::Delim,
            Some(Fragment::ResponseEnd) => Packet::ResponseEnd,
        };
        Err(SessionError::unexpected(pack.expected(), &special).into())
    }

    /// Raw: bytes up to the end that the driver sees, or to the end of the input or of the response.
    pub(super) fn read_raw(&mut self, mut pack: Box<Pack>) -> Result<(State, Step), Error> {
        if let Some(bytes) = self.core.wire.input.take_raw() {
            pack.is_begun = true;
            self.core.push(Action::Pack(bytes));
            return Ok((State::Raw(pack), Step::Again));
        }
        if !self.core.wire.is_closed() {
            return Ok((State::Raw(pack), Step::Wait));
        }
        if !pack.is_begun {
            return Err(SessionError::Ended { expected: PACK }.into());
        }
        self.core.finish(Action::Finished(pack.outcome));
        Ok((State::Ended, Step::Wait))
    }
}
