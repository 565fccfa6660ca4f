//! The pack, in a sideband or by itself.

use alloc::boxed::Box;

use bytes::Bytes;

use super::{Action, Client, Error, Outcome, State};
use crate::git::SessionError;
use crate::git::resume::Head;
use crate::git::wire::{Core, Step};
use crate::pkt::{Band, Fragment, Packet};

const PACK: &str = "the pack";
const REST: &str = "the rest of the pack";

/// A pack that is coming.
#[derive(Debug)]
pub(super) struct Pack {
    pub(super) outcome: Outcome,
    /// From where it comes, until the server has told.
    start: Option<Start>,
    /// Whether some of it is there.
    is_begun: bool,
}

/// What precedes a pack that may go on from a part.
#[derive(Debug)]
pub(super) struct Start {
    head: Head,
    /// Bytes held of it.
    part: u64,
}

impl Start {
    pub(super) fn new(part: u64) -> Self {
        Self { head: Head::default(), part }
    }
}

impl Pack {
    pub(super) const fn new(outcome: Outcome, start: Option<Start>) -> Self {
        Self { outcome, start, is_begun: false }
    }

    /// Whether some of it is there.
    pub(super) const fn is_begun(&self) -> bool {
        self.is_begun
    }

    const fn expected(&self) -> &'static str {
        if self.is_begun { REST } else { PACK }
    }

    /// The next bytes of the stream: what they say of the pack's start, and the pack (RESUME-4).
    fn take(&mut self, mut bytes: Bytes, core: &mut Core<Action, Error>) -> Result<(), Error> {
        if let Some(start) = &mut self.start {
            let Some(offset) = start.head.take(&mut bytes)? else { return Ok(()) };
            if offset != 0 && offset != start.part {
                return Err(Error::UnknownPart { offset });
            }
            if start.part > 0 {
                core.push(Action::Resumed { offset });
            }
            self.outcome.resumed = offset;
            self.is_begun = offset > 0;
            self.start = None;
        }
        if !bytes.is_empty() {
            self.is_begun = true;
            core.push(Action::Pack(bytes));
        }
        Ok(())
    }
}

impl Client {
    /// Pack: bands up to the flush.
    pub(super) fn read_pack(&mut self, mut pack: Box<Pack>) -> Result<(State, Step), Error> {
        let special = match self.core.wire.fragment(pack.expected())? {
            None => return Ok((State::Pack(pack), Step::Wait)),
            Some(Fragment::Data { band: Band::Data, bytes }) => {
                pack.take(bytes, &mut self.core)?;
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
            pack.take(bytes, &mut self.core)?;
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
