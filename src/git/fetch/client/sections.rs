//! The answers of version 2: sections, one after the other.
//!
//! ```text
//! to haves:  acknowledgments … ready │ delim ┐   … without ready │ flush: the next request
//! to done:   ────────────────────────────────┴► shallow-info, wanted-refs, packfile-uris ─► packfile
//! ```
//!
//! Each of the three in the middle comes at most once and is followed by a delimiter. Git's own server sends
//! `wanted-refs` before `shallow-info`, against its documentation: both orders are taken (V2C-12).

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::talk::Talk;
use super::{Action, Client, Error, PackUri, State, border};
use crate::git::wire::Step;
use crate::git::{ObjectId, RefName, SessionError, ShallowUpdate};
use crate::limits;
use crate::pkt::{self, Band, Packet};

const ACKNOWLEDGMENTS: &str = "the section acknowledgments";
const ACK: &str = "an ACK, NAK or ready line, or the end of the section";
const SECTION: &str = "a section of the answer to fetch";
const BORDER: &str = "a line of shallow-info, or its delimiter";
const WANTED: &str = "a line of wanted-refs, or its delimiter";
const URIS: &str = "a line of packfile-uris, or its delimiter";

/// The section that is being read.
#[derive(Debug)]
enum Section {
    /// Its header is next.
    Header,
    ShallowInfo(ShallowUpdate),
    WantedRefs(Vec<(RefName, ObjectId)>),
    PackfileUris(Vec<PackUri>),
}

/// The sections before the pack.
#[derive(Debug)]
pub(super) struct Sections {
    talk: Talk,
    section: Section,
    /// Headers that were read.
    seen: Vec<&'static [u8]>,
}

impl Sections {
    pub(super) const fn new(talk: Talk) -> Self {
        Self { talk, section: Section::Header, seen: Vec::new() }
    }

    const fn expected(&self) -> &'static str {
        match self.section {
            Section::Header => SECTION,
            Section::ShallowInfo(_) => BORDER,
            Section::WantedRefs(_) => WANTED,
            Section::PackfileUris(_) => URIS,
        }
    }

    /// The section of that header; `None` where it has no place.
    fn open(&mut self, header: &[u8]) -> Option<Section> {
        let (name, section): (&'static [u8], _) = match header {
            b"shallow-info" => (b"shallow-info", Section::ShallowInfo(ShallowUpdate::default())),
            b"wanted-refs" if !self.talk.names.is_empty() => {
                (b"wanted-refs", Section::WantedRefs(Vec::new()))
            }
            b"packfile-uris" if self.talk.takes_uris => (b"packfile-uris", Section::PackfileUris(Vec::new())),
            _ => return None,
        };
        // The URIs come last.
        let has_place = !self.seen.iter().any(|seen| *seen == name || *seen == b"packfile-uris");
        self.seen.push(name);
        has_place.then_some(section)
    }

    fn take(&mut self, packet: &Packet<Bytes>) -> Result<(), Error> {
        let expected = self.expected();
        let unexpected = || SessionError::unexpected(expected, packet);
        let format = self.talk.terms.format;
        let Packet::Data(line) = packet else { return Err(unexpected().into()) };
        let text = pkt::trim_lf(line);
        match &mut self.section {
            Section::Header => self.section = self.open(text).ok_or_else(unexpected)?,
            Section::ShallowInfo(update) => {
                border::take(update, packet, &self.talk.shallow, format, expected)?;
            }
            Section::WantedRefs(told) => {
                let (hex, name) = text.split_at_checked(format.hex_len()).ok_or_else(unexpected)?;
                let id = ObjectId::from_hex(hex).map_err(|_| unexpected())?;
                let name = name.strip_prefix(b" ").and_then(|name| RefName::new(name).ok());
                let name = name.ok_or_else(unexpected)?;
                if !self.talk.names.remove(&name) {
                    return Err(Error::UnwantedRef { name });
                }
                told.push((name, id));
            }
            Section::PackfileUris(told) => {
                if told.len() >= limits::URIS {
                    let what = "packfile URIs";
                    return Err(SessionError::TooMany { what, limit: limits::URIS }.into());
                }
                let (hex, uri) = text.split_at_checked(format.hex_len()).ok_or_else(unexpected)?;
                let hash = ObjectId::from_hex(hex).map_err(|_| unexpected())?;
                let uri = uri.strip_prefix(b" ").filter(|uri| !uri.is_empty()).ok_or_else(unexpected)?;
                told.push(PackUri { hash, uri: line.slice_ref(uri) });
            }
        }
        Ok(())
    }

    /// A section is over: what it told, for the driver.
    fn close(&mut self) -> Option<Action> {
        match core::mem::replace(&mut self.section, Section::Header) {
            Section::Header => None,
            Section::ShallowInfo(update) if update.is_empty() => None,
            // A server that was not asked to move the border tells of its own (SHALLOWC-6).
            Section::ShallowInfo(update) if !self.talk.terms.deepens && update.unshallow.is_empty() => {
                Some(Action::RemoteShallow(update.shallow))
            }
            Section::ShallowInfo(update) => Some(Action::Shallow(update)),
            Section::WantedRefs(told) => Some(Action::WantedRefs(told)),
            Section::PackfileUris(told) if told.is_empty() => None,
            Section::PackfileUris(told) => Some(Action::PackUris(told)),
        }
    }
}

impl Client {
    /// The next packet of an answer, out of the sideband where all of it comes in one; or how to go on without.
    fn section_packet(
        &mut self,
        sideband_all: bool,
        expected: &'static str,
    ) -> Result<Result<Packet<Bytes>, Step>, Error> {
        let Some(packet) = self.core.wire.packet(expected)? else { return Ok(Err(Step::Wait)) };
        let Packet::Data(line) = &packet else {
            self.empty = 0;
            return Ok(Ok(packet));
        };
        if let Some(message) = line.strip_prefix(b"ERR ") {
            return Err(SessionError::remote(message).into());
        }
        if !sideband_all {
            return Ok(Ok(packet));
        }
        let Some((band, rest)) = line.split_first() else { return Err(pkt::Error::MissingBand.into()) };
        let rest = line.slice_ref(rest);
        match Band::try_from(*band)? {
            Band::Fatal => Err(SessionError::remote(&rest).into()),
            // An empty one tells that the server lives; a flood of them tells nothing (T5).
            Band::Data | Band::Progress if rest.is_empty() => {
                self.empty = self.empty.saturating_add(1);
                let limit = limits::EMPTY_PACKETS;
                if self.empty > limit {
                    return Err(pkt::Error::TooManyEmpty { limit }.into());
                }
                Ok(Err(Step::Again))
            }
            Band::Progress => {
                self.empty = 0;
                self.core.push(Action::Progress(rest));
                Ok(Err(Step::Again))
            }
            Band::Data => match rest.strip_prefix(b"ERR ") {
                Some(message) => Err(SessionError::remote(message).into()),
                None => {
                    self.empty = 0;
                    Ok(Ok(Packet::Data(rest)))
                }
            },
        }
    }

    /// Heading: the header of the acknowledgements.
    pub(super) fn hear_heading(&mut self, talk: Box<Talk>) -> Result<(State, Step), Error> {
        match self.section_packet(talk.terms.sideband_all, ACKNOWLEDGMENTS)? {
            Err(step) => Ok((State::Heading(talk), step)),
            Ok(Packet::Data(line)) if pkt::trim_lf(&line) == b"acknowledgments" => {
                Ok((State::Acking(talk), Step::Again))
            }
            Ok(packet) => Err(SessionError::unexpected(ACKNOWLEDGMENTS, &packet).into()),
        }
    }

    /// Acking: acknowledgements, up to a delimiter if the server is ready and to a flush if it is not (V2C-11).
    pub(super) fn hear_acks(&mut self, mut talk: Box<Talk>) -> Result<(State, Step), Error> {
        let packet = match self.section_packet(talk.terms.sideband_all, ACK)? {
            Ok(packet) => packet,
            Err(step) => return Ok((State::Acking(talk), step)),
        };
        let unexpected = || SessionError::unexpected(ACK, &packet);
        let line = match &packet {
            Packet::Data(line) => pkt::trim_lf(line),
            Packet::Delim if talk.is_ready => {
                return Ok((State::Sections(Box::new(Sections::new(*talk))), Step::Again));
            }
            Packet::Flush if !talk.is_ready => return Ok((self.boundary(State::Talking(talk)), Step::Again)),
            Packet::Delim | Packet::Flush | Packet::ResponseEnd => return Err(unexpected().into()),
        };
        match line {
            // Nothing follows it.
            _ if talk.is_ready => return Err(unexpected().into()),
            b"NAK" => talk.count()?,
            b"ready" => talk.set_ready_at_all()?,
            _ => {
                let hex = line.strip_prefix(b"ACK ").ok_or_else(unexpected)?;
                let id = ObjectId::from_hex(hex).map_err(|_| unexpected())?;
                talk.add_common(id)?;
            }
        }
        Ok((State::Acking(talk), Step::Again))
    }

    /// Sections: what precedes the pack.
    pub(super) fn hear_sections(&mut self, mut sections: Box<Sections>) -> Result<(State, Step), Error> {
        let expected = sections.expected();
        let packet = match self.section_packet(sections.talk.terms.sideband_all, expected)? {
            Ok(packet) => packet,
            Err(step) => return Ok((State::Sections(sections), step)),
        };
        match (&sections.section, &packet) {
            (Section::Header, Packet::Data(line)) if pkt::trim_lf(line) == b"packfile" => {
                if !sections.talk.names.is_empty() {
                    return Err(Error::MissingRef);
                }
                return Ok((State::Pack(sections.talk.pack()), Step::Again));
            }
            (Section::ShallowInfo(_) | Section::WantedRefs(_) | Section::PackfileUris(_), Packet::Delim) => {
                if let Some(action) = sections.close() {
                    self.core.push(action);
                }
            }
            (_, packet) => sections.take(packet)?,
        }
        Ok((State::Sections(sections), Step::Again))
    }
}
