//! `ls-refs`: the refs of a version 2 server.

use alloc::boxed::Box;

use bytes::Bytes;

use super::request::Offer;
use super::{Client, Error, State};
use crate::git::advertisement::{Tally, malformed};
use crate::git::wire::Step;
use crate::git::{Advertisement, AdvertisementError, ObjectFormat, ObjectId, Ref, RefName, SessionError};
use crate::pkt::{self, Packet};

const REFS: &str = "a ref of ls-refs, or its flush";

/// An answer to `ls-refs` that is being read.
#[derive(Debug)]
pub(super) struct Refs {
    pub(super) offer: Offer,
    pub(super) seen: Advertisement,
    tally: Tally,
}

impl Client {
    /// Asking: the refs are asked for.
    pub(super) fn ask_refs(&mut self, both: (Offer, Advertisement)) -> Result<(State, Step), Error> {
        let (offer, seen) = both;
        let request = offer.ls_refs(&self.config)?;
        self.core.wire.turn().extend_from_slice(&request);
        Ok((State::Listing(Box::new(Refs { offer, seen, tally: Tally::default() })), Step::Again))
    }

    /// Listing: one line.
    pub(super) fn list(&mut self, mut refs: Box<Refs>) -> Result<(State, Step), Error> {
        let line = match self.core.wire.packet(REFS)? {
            None => return Ok((State::Listing(refs), Step::Wait)),
            Some(Packet::Flush) => {
                let Refs { offer, seen, .. } = *refs;
                return Ok((self.boundary(State::Told(Box::new((offer, seen)))), Step::Again));
            }
            Some(packet @ (Packet::Delim | Packet::ResponseEnd)) => {
                return Err(SessionError::unexpected(REFS, &packet).into());
            }
            Some(Packet::Data(line)) => line,
        };
        refs.take(&line)?;
        Ok((State::Listing(refs), Step::Again))
    }
}

impl Refs {
    /// `ID NAME`, then `symref-target:NAME` and `peeled:ID` in any order; or `unborn NAME symref-target:NAME`
    /// (V2C-5). Other attributes are for others.
    fn take(&mut self, line: &Bytes) -> Result<(), Error> {
        self.tally.count(line)?;
        let text = pkt::trim_lf(line);
        if let Some(message) = text.strip_prefix(b"ERR ") {
            return Err(SessionError::remote(message).into());
        }
        let mut words = text.split(|byte| *byte == b' ');
        let (first, name) = words.next().zip(words.next()).ok_or_else(|| malformed(text))?;
        let name = RefName::new(name);
        let (mut target, mut peeled) = (None, None);
        for word in words {
            if let Some(named) = word.strip_prefix(b"symref-target:") {
                target = RefName::new(named).ok();
            } else if let Some(hex) = word.strip_prefix(b"peeled:") {
                peeled = Some(id(hex, self.seen.format, text)?);
            }
        }
        if first == b"unborn" {
            if name.is_ok_and(|name| name.is_head()) {
                self.seen.unborn = target;
            }
            return Ok(());
        }
        let id = id(first, self.seen.format, text)?;
        match name {
            Ok(name) if !id.is_null() => self.seen.refs.push(Ref { peeled, target, ..Ref::new(name, id) }),
            Ok(_) | Err(_) => self.seen.skipped = self.seen.skipped.saturating_add(1),
        }
        Ok(())
    }
}

fn id(hex: &[u8], format: ObjectFormat, line: &[u8]) -> Result<ObjectId, AdvertisementError> {
    let id = ObjectId::from_hex(hex).map_err(|_| malformed(line))?;
    if id.format() == format { Ok(id) } else { Err(AdvertisementError::Format) }
}
