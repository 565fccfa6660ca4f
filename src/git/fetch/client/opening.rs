//! The server's opening: a preamble of HTTP, then refs (versions 0 and 1) or capabilities (version 2).

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::request::Offer;
use super::{Action, Client, Error, Listing, State, terms};
use crate::git::wire::Step;
use crate::git::{
    Advertisement, AdvertisementError, AdvertisementParser, Capabilities, ObjectFormat, ObjectId,
    SessionError, Version,
};
use crate::limits;
use crate::pkt::{self, Packet};

const OPENING: &str = "the ref advertisement";
const PREAMBLE_END: &str = "the flush behind the service line";
const CAPABILITIES: &str = "the capability advertisement";

/// How far the opening has come.
#[derive(Debug)]
pub(super) enum Opening {
    /// Nothing was read.
    Start,
    /// The service line of an HTTP response was read; its flush is next.
    Service,
    /// The advertisement itself is next.
    Greeting,
    /// Versions 0 and 1: refs.
    Refs(AdvertisementParser),
    /// Version 2: capabilities, and the bytes they took.
    Capabilities(Capabilities, usize),
}

impl Client {
    /// Opening: one packet.
    pub(super) fn open(&mut self, opening: Box<Opening>) -> Result<(State, Step), Error> {
        let expected = match &*opening {
            Opening::Start | Opening::Greeting | Opening::Refs(_) => OPENING,
            Opening::Service => PREAMBLE_END,
            Opening::Capabilities(..) => CAPABILITIES,
        };
        let Some(packet) = self.core.wire.packet(expected)? else {
            return Ok((State::Opening(opening), Step::Wait));
        };
        let next = match (*opening, packet) {
            (Opening::Start, Packet::Data(line)) if self.config.stateless && line.starts_with(b"# ") => {
                if pkt::trim_lf(&line) != b"# service=git-upload-pack" {
                    return Err(SessionError::unexpected(OPENING, &Packet::Data(line)).into());
                }
                Opening::Service
            }
            (Opening::Service, Packet::Flush) => Opening::Greeting,
            (Opening::Service, packet) => return Err(SessionError::unexpected(expected, &packet).into()),
            (Opening::Start | Opening::Greeting, Packet::Data(line))
                if pkt::trim_lf(&line) == b"version 2" =>
            {
                self.takes(Version::V2)?;
                Opening::Capabilities(Capabilities::new(), 0)
            }
            (Opening::Start | Opening::Greeting, packet) => {
                return self.open_refs(AdvertisementParser::new(), packet);
            }
            (Opening::Refs(parser), packet) => return self.open_refs(parser, packet),
            (Opening::Capabilities(list, bytes), packet) => {
                return self.open_capabilities(list, bytes, packet);
            }
        };
        Ok((State::Opening(Box::new(next)), Step::Again))
    }

    /// A version above the one that the config allows is none that was asked for (FETCH-2).
    fn takes(&self, version: Version) -> Result<(), Error> {
        if version > self.config.version {
            Err(AdvertisementError::UnsupportedVersion.into())
        } else {
            Ok(())
        }
    }

    fn open_refs(
        &mut self,
        mut parser: AdvertisementParser,
        packet: Packet<Bytes>,
    ) -> Result<(State, Step), Error> {
        let Some(seen) = parser.handle_packet(packet)? else {
            return Ok((State::Opening(Box::new(Opening::Refs(parser))), Step::Again));
        };
        self.takes(seen.version)?;
        let offer = Offer::new(&seen);
        terms::introduce(&self.config, &offer)?;
        Ok((self.boundary(State::Told(Box::new((offer, seen)))), Step::Again))
    }

    fn open_capabilities(
        &mut self,
        mut list: Capabilities,
        bytes: usize,
        packet: Packet<Bytes>,
    ) -> Result<(State, Step), Error> {
        let line = match packet {
            Packet::Data(line) => line,
            Packet::Flush => return self.greet(list),
            Packet::Delim | Packet::ResponseEnd => {
                return Err(SessionError::unexpected(CAPABILITIES, &packet).into());
            }
        };
        let bytes = bytes.saturating_add(line.len());
        if bytes > limits::CAPABILITY_BYTES {
            let limit = limits::CAPABILITY_BYTES;
            return Err(AdvertisementError::TooLarge { what: "bytes of capabilities", limit }.into());
        }
        let text = pkt::trim_lf(&line);
        if let Some(message) = text.strip_prefix(b"ERR ") {
            return Err(SessionError::remote(message).into());
        }
        list.push_line(text).map_err(AdvertisementError::Capabilities)?;
        Ok((State::Opening(Box::new(Opening::Capabilities(list, bytes))), Step::Again))
    }

    /// The capabilities are complete: the refs are next, unless nobody wants to see them.
    fn greet(&mut self, capabilities: Capabilities) -> Result<(State, Step), Error> {
        let format = match capabilities.value("object-format") {
            Some(named) => ObjectFormat::from_name(named).ok_or(AdvertisementError::Format)?,
            None => ObjectFormat::Sha1,
        };
        let seen = Advertisement {
            version: Version::V2,
            format,
            refs: Vec::new(),
            capabilities,
            haves: Vec::new(),
            shallow: Vec::new(),
            skipped: 0,
            unborn: None,
        };
        let is_listed = self.config.listing != Listing::None;
        for (needed, what) in [(true, "fetch"), (is_listed, "ls-refs")] {
            if needed && !seen.capabilities.has(what) {
                return Err(Error::Unsupported { what });
            }
        }
        let offer = Offer::new(&seen);
        terms::introduce(&self.config, &offer)?;
        let both = Box::new((offer, seen));
        let next = if is_listed { State::Asking(both) } else { State::Told(both) };
        Ok((self.boundary(next), Step::Again))
    }

    /// Told: the driver is shown what the server has.
    pub(super) fn tell(&mut self, both: (Offer, Advertisement)) -> (State, Step) {
        let (mut offer, seen) = both;
        let refs = seen.refs.iter().flat_map(|entry| core::iter::once(entry.id).chain(entry.peeled));
        let mut ids: Vec<ObjectId> = refs.chain(seen.haves.iter().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        offer.ids = ids;
        offer.tips = seen.refs.iter().map(|entry| entry.id).collect();
        offer.tips.sort_unstable();
        self.core.push(Action::Advertised(seen));
        (State::Wanting(Box::new(offer)), Step::Again)
    }

    /// What comes after a response: where the transport carries one at a time, its end is awaited first.
    pub(super) fn boundary(&self, next: State) -> State {
        if self.config.stateless { State::Ending(Box::new(next)) } else { next }
    }
}
