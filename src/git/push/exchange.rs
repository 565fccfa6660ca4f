//! The client's side of a push from the commands on: writing them, and reading the answer at the same time.
//!
//! ```text
//! write: shallow lines ──► commands, or a certificate ──► push options ──► pack (the driver's) ──► written
//!                                                                      └─► part: what the server holds ─┘
//! read:  report open ──► reported ──► confirmed (with a sideband: after its flush)
//! ```
//!
//! The push is settled when both have come to their end, or when the answer says that the pack was not taken.

use alloc::boxed::Box;
use alloc::vec::{self, Vec};
use core::mem;

use bytes::Bytes;

use super::Command;
use super::client::{Action, Config, Error};
use super::report::{Report, ReportError, ReportParser};
use crate::git::resume::{CAPABILITY, put_head};
use crate::git::wire::{Core, Step};
use crate::git::{Capabilities, ObjectFormat, ObjectId, PackRequest, Resume, SessionError};
use crate::pkt::{self, Band, Fragment, Packet, Reader};

/// What the advertisement leaves behind for the push.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) format: ObjectFormat,
    pub(super) capabilities: Capabilities,
    pub(super) haves: Vec<ObjectId>,
}

/// How far our side of the push is written.
#[derive(Debug)]
enum Output {
    /// Shallow lines are to be written.
    Shallow,
    /// Commands from this one on are to be written.
    Commands(usize),
    /// Lines of the certificate from this one on are to be written.
    Certificate(usize),
    /// The server is to tell what it holds of the pack.
    Part,
    /// The driver builds the pack.
    Pack(Start),
    /// Everything is written.
    Written,
}

/// Where the pack begins.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// At its beginning, and nobody is told.
    Plain,
    /// The server is to be told; it holds so many bytes.
    Untold { part: u64 },
    /// The server was told, or bytes of the pack have gone.
    Begun,
}

/// What is known of the server's answer.
#[derive(Debug)]
enum Answer {
    /// The report is being read.
    Open(ReportParser),
    /// The report is complete; the sideband's flush is not there yet.
    Reported(Report),
    /// Everything was read, before the driver said that the pack is complete.
    Confirmed(Report),
}

#[derive(Debug)]
pub(super) struct Exchange {
    shallow: vec::IntoIter<ObjectId>,
    commands: Vec<Command>,
    /// What stands in place of the commands.
    certificate: Option<Vec<Bytes>>,
    capabilities: Capabilities,
    pack: Option<PackRequest>,
    output: Output,
    answer: Answer,
    /// With a sideband: the packets inside band 1.
    inner: Option<Reader>,
}

impl Exchange {
    pub(super) fn new(
        config: &Config,
        offer: Offer,
        commands: Vec<Command>,
        capabilities: Capabilities,
    ) -> Self {
        let mut wants: Vec<ObjectId> =
            commands.iter().map(|command| command.new).filter(|id| !id.is_null()).collect();
        wants.sort_unstable();
        wants.dedup();
        let pack = (!wants.is_empty()).then(|| PackRequest {
            thin: config.thin_pack && !offer.capabilities.has("no-thin"),
            ofs_delta: config.ofs_delta && offer.capabilities.has("ofs-delta"),
            progress: !config.quiet,
            ..PackRequest::new(wants, offer.haves)
        });
        let names = commands.iter().map(|command| command.name.clone());
        let parser = ReportParser::new(names, capabilities.has("report-status-v2"));
        let inner = capabilities.has("side-band-64k").then(Reader::new);
        let mut shallow = config.shallow.clone();
        shallow.sort_unstable();
        shallow.dedup();
        Self {
            shallow: shallow.into_iter(),
            commands,
            certificate: None,
            capabilities,
            pack,
            output: Output::Shallow,
            answer: Answer::Open(parser),
            inner,
        }
    }

    /// The commands are those of a certificate, given in lines.
    pub(super) fn certify(&mut self, lines: Vec<Bytes>) {
        self.certificate = Some(lines);
        self.commands = Vec::new();
    }

    /// Writes a line while there is room, and what follows the last one.
    pub(super) fn write(&mut self, core: &mut Core<Action, Error>, config: &Config) -> Result<Step, Error> {
        if !core.wire.has_room() {
            return Ok(Step::Wait);
        }
        self.output = match self.output {
            Output::Part | Output::Pack(_) | Output::Written => return Ok(Step::Wait),
            Output::Shallow => match (self.shallow.next(), &self.certificate) {
                (Some(id), _) => {
                    core.wire.line(&[b"shallow ", id.to_hex().as_bytes()])?;
                    Output::Shallow
                }
                (None, None) => Output::Commands(0),
                (None, Some(_)) => {
                    let list = self.capabilities.to_line();
                    pkt::put_packet(core.wire.turn(), &[b"push-cert\0", &list]).map_err(session)?;
                    Output::Certificate(0)
                }
            },
            Output::Commands(next) => match self.commands.get(next) {
                Some(command) => {
                    let list = (next == 0).then(|| self.capabilities.to_line());
                    put_command(core, command, list.as_ref())?;
                    Output::Commands(next.saturating_add(1))
                }
                None => self.end_commands(core, config)?,
            },
            Output::Certificate(next) => match self.certificate.as_ref().and_then(|lines| lines.get(next)) {
                Some(line) => {
                    pkt::put_packet(core.wire.turn(), &[line]).map_err(session)?;
                    Output::Certificate(next.saturating_add(1))
                }
                None => {
                    core.wire.line(&[b"push-cert-end"])?;
                    self.end_commands(core, config)?
                }
            },
        };
        Ok(Step::Again)
    }

    /// The flush behind the commands, the push options, and the pack.
    fn end_commands(&mut self, core: &mut Core<Action, Error>, config: &Config) -> Result<Output, Error> {
        (self.commands, self.certificate) = (Vec::new(), None);
        core.wire.flush();
        if !config.push_options.is_empty() {
            for option in &config.push_options {
                core.wire.line(&[option])?;
            }
            core.wire.flush();
        }
        if self.pack.is_some() && self.capabilities.has(CAPABILITY) {
            return Ok(Output::Part);
        }
        Ok(self.ask_pack(core, Start::Plain))
    }

    fn ask_pack(&mut self, core: &mut Core<Action, Error>, start: Start) -> Output {
        match self.pack.take() {
            Some(request) => {
                core.push(Action::BuildPack(request));
                Output::Pack(start)
            }
            None => Output::Written,
        }
    }

    /// The server tells what it holds of the pack (RESUME-6).
    fn read_part(&mut self, core: &mut Core<Action, Error>) -> Result<Step, Error> {
        let Some(packet) = core.wire.packet(PART)? else { return Ok(Step::Wait) };
        if let Some(said) = remote(&packet) {
            return Err(said);
        }
        let unexpected = || SessionError::unexpected(PART, &packet);
        let Packet::Data(line) = &packet else { return Err(unexpected().into()) };
        // Where it has a sideband, it says there why there will be nothing to hold.
        if let (Some(words), true) = (line.strip_prefix(&[Band::Fatal.as_u8()]), self.inner.is_some()) {
            return Err(SessionError::remote(words).into());
        }
        let part = Resume::parse(pkt::trim_lf(line)).and_then(Result::ok).ok_or_else(unexpected)?;
        let start = Start::Untold { part: part.as_ref().map_or(0, Resume::offset) };
        if let Some(request) = &mut self.pack {
            (request.resumable, request.resume) = (true, part);
        }
        self.output = self.ask_pack(core, start);
        Ok(Step::Again)
    }

    /// The pack begins with what the server holds; `false` where that has no meaning.
    pub(super) fn pack_resumes(&mut self, core: &mut Core<Action, Error>) -> bool {
        let Output::Pack(Start::Untold { part: part @ 1.. }) = self.output else { return false };
        core.wire.raw(put_head(part));
        self.output = Output::Pack(Start::Begun);
        true
    }

    pub(super) fn read(&mut self, core: &mut Core<Action, Error>) -> Result<Step, Error> {
        if matches!(self.output, Output::Part) {
            return self.read_part(core);
        }
        let Answer::Confirmed(_) = self.answer else {
            return if self.inner.is_some() { self.read_sideband(core) } else { self.read_plain(core) };
        };
        Ok(Step::Wait)
    }

    fn read_plain(&mut self, core: &mut Core<Action, Error>) -> Result<Step, Error> {
        let Some(packet) = core.wire.packet(EXPECTED)? else { return Ok(Step::Wait) };
        self.report_packet(packet)?;
        self.confirm();
        Ok(Step::Again)
    }

    fn read_sideband(&mut self, core: &mut Core<Action, Error>) -> Result<Step, Error> {
        if let Some(packet) = self.inner.as_mut().map_or(Ok(None), Reader::next_packet).map_err(session)? {
            self.report_packet(packet)?;
            return Ok(Step::Again);
        }
        let fragment = match core.wire.fragment(EXPECTED) {
            Ok(Some(fragment)) => fragment,
            Ok(None) => return Ok(Step::Wait),
            // A closed connection after a complete report is as good as the flush.
            Err(SessionError::Ended { .. }) if matches!(self.answer, Answer::Reported(_)) => Fragment::Flush,
            Err(error) => return Err(error.into()),
        };
        match fragment {
            Fragment::Data { band: Band::Data, bytes } => {
                if let Some(inner) = &mut self.inner {
                    inner.handle_bytes(bytes);
                }
            }
            Fragment::Data { band: Band::Progress, bytes } => core.push(Action::Progress(bytes)),
            // The wire makes the error of it.
            Fragment::Data { band: Band::Fatal, bytes } => return Err(SessionError::remote(&bytes).into()),
            Fragment::Flush => self.sideband_over()?,
            Fragment::Delim => return Err(unexpected(&Packet::Delim)),
            Fragment::ResponseEnd => return Err(unexpected(&Packet::ResponseEnd)),
        }
        Ok(Step::Again)
    }

    fn sideband_over(&mut self) -> Result<(), Error> {
        match &self.answer {
            Answer::Open(parser) if parser.has_begun() => Err(self.bad_report(ReportError::Cut)),
            Answer::Open(_) => Err(self.bad_report(ReportError::NoUnpack)),
            Answer::Reported(_) | Answer::Confirmed(_) => {
                self.confirm();
                Ok(())
            }
        }
    }

    /// Whether the driver is to give the pack.
    pub(super) const fn is_building(&self) -> bool {
        matches!(self.output, Output::Pack(_))
    }

    /// Whether commands and pack are all written.
    pub(super) const fn is_written(&self) -> bool {
        matches!(self.output, Output::Written)
    }

    /// Whether more of the pack is of use: the server has not answered yet.
    pub(super) const fn wants_pack(&self) -> bool {
        matches!((&self.output, &self.answer), (Output::Pack(_), Answer::Open(_)))
    }

    /// Takes a part of the pack.
    pub(super) fn pack_chunk(&mut self, core: &mut Core<Action, Error>, bytes: Bytes) -> Result<(), Error> {
        if let Output::Pack(start) = &mut self.output {
            if let Start::Untold { .. } = start {
                core.wire.raw(put_head(0));
            }
            *start = Start::Begun;
        }
        match self.answer {
            Answer::Open(_) | Answer::Reported(_) => core.wire.raw(bytes),
            Answer::Confirmed(_) => return Err(Error::EarlyReport),
        }
        Ok(())
    }

    /// The pack is complete; `false` when there was none.
    pub(super) const fn pack_finished(&mut self) -> bool {
        let begun = matches!(self.output, Output::Pack(Start::Begun));
        if begun {
            self.output = Output::Written;
        }
        begun
    }

    /// Everything was read that belongs to a complete report.
    fn confirm(&mut self) {
        if let Answer::Reported(report) = &mut self.answer {
            self.answer = Answer::Confirmed(mem::take(report));
        }
    }

    fn report_packet(&mut self, packet: Packet<Bytes>) -> Result<(), Error> {
        if let Some(said) = remote(&packet) {
            return Err(said);
        }
        let Answer::Open(parser) = &mut self.answer else { return Err(unexpected(&packet)) };
        match parser.handle_packet(packet) {
            Ok(Some(report)) => self.answer = Answer::Reported(report),
            Ok(None) => {}
            Err(error) => return Err(self.bad_report(error)),
        }
        Ok(())
    }

    fn bad_report(&mut self, error: ReportError) -> Error {
        let empty = Answer::Open(ReportParser::new([], false));
        let report = match mem::replace(&mut self.answer, empty) {
            Answer::Open(parser) => parser.into_partial(),
            Answer::Reported(report) | Answer::Confirmed(report) => report,
        };
        Error::Report { error, report: Box::new(report) }
    }

    /// The report, once it can be believed. One that tells of a failure needs no complete pack.
    pub(super) fn settled(&mut self) -> Result<Option<Report>, Error> {
        let Answer::Confirmed(report) = &mut self.answer else { return Ok(None) };
        match (&self.output, &report.unpack) {
            (Output::Shallow | Output::Commands(_) | Output::Certificate(_) | Output::Part, Ok(())) => {
                Err(Error::EarlyReport)
            }
            (Output::Pack(_), Ok(())) => Ok(None),
            (Output::Written, _) | (_, Err(_)) => Ok(Some(mem::take(report))),
        }
    }
}

fn put_command(core: &mut Core<Action, Error>, command: &Command, list: Option<&Bytes>) -> Result<(), Error> {
    let (old, new) = (command.old.to_hex(), command.new.to_hex());
    let (old, new, name) = (old.as_bytes(), new.as_bytes(), command.name.as_bytes());
    match list {
        Some(list) => core.wire.line(&[old, b" ", new, b" ", name, b"\0", list])?,
        None => core.wire.line(&[old, b" ", new, b" ", name])?,
    }
    Ok(())
}

const EXPECTED: &str = "the report of the push";
const PART: &str = "what the server holds of the pack";

fn session(error: pkt::Error) -> Error {
    SessionError::Pkt(error).into()
}

fn unexpected(packet: &Packet<Bytes>) -> Error {
    SessionError::unexpected("the end of the report", packet).into()
}

/// What an `ERR` packet says.
fn remote(packet: &Packet<Bytes>) -> Option<Error> {
    match packet {
        Packet::Data(line) => line.strip_prefix(b"ERR ").map(|said| SessionError::remote(said).into()),
        Packet::Flush | Packet::Delim | Packet::ResponseEnd => None,
    }
}
