//! The pack, in a sideband or by itself.

use alloc::boxed::Box;

use bytes::BytesMut;

use super::{Action, Client, Error, Outcome, State};
use crate::git::SessionError;
use crate::git::wire::Step;
use crate::limits;
use crate::pkt::{self, Band, Fragment, Packet};

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
        let fragment = match self.core.wire.fragment(pack.expected()) {
            // An ERR packet has no band: what looks like band 69 is its first letter.
            Err(SessionError::Pkt(pkt::Error::UnknownBand { band: b'E' })) => {
                return Ok((State::Refused, Step::Again));
            }
            other => other?,
        };
        let special = match fragment {
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
            Some(Fragment::Data { band: Band::Fatal, bytes }) => {
                return Ok((State::Fatal(BytesMut::from(&bytes[..])), Step::Again));
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

    /// Fatal: the rest of the packet that tells why, as far as it comes.
    pub(super) fn read_fatal(&mut self, mut words: BytesMut) -> Result<(State, Step), Error> {
        let wire = &mut self.core.wire;
        let is_whole = wire.input.missing() == Ok(0) || words.len() >= limits::ERROR_MESSAGE;
        if !is_whole {
            match wire.input.next_fragment() {
                Ok(Some(Fragment::Data { bytes, .. })) => {
                    words.extend_from_slice(&bytes);
                    return Ok((State::Fatal(words), Step::Again));
                }
                Ok(None) if !wire.is_closed() => return Ok((State::Fatal(words), Step::Wait)),
                Ok(None | Some(Fragment::Flush | Fragment::Delim | Fragment::ResponseEnd)) | Err(_) => {}
            }
        }
        Err(SessionError::remote(&words).into())
    }

    /// Refused: an `ERR` packet instead of a sideband packet.
    pub(super) fn read_refusal(&mut self) -> Result<(State, Step), Error> {
        let Some(packet) = self.core.wire.packet(PACK)? else { return Ok((State::Refused, Step::Wait)) };
        match &packet {
            Packet::Data(line) if line.starts_with(b"ERR ") => {
                Err(SessionError::remote(line.get(4..).unwrap_or(&[])).into())
            }
            Packet::Data(_) | Packet::Flush | Packet::Delim | Packet::ResponseEnd => {
                Err(pkt::Error::UnknownBand { band: b'E' }.into())
            }
        }
    }

    /// Raw: bytes up to the end that the driver sees, or to the end of the input.
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
