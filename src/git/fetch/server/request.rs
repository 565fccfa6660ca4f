//! The head of a request of version 2: the command, and the capabilities that the client switches on.

use alloc::vec::Vec;

use bytes::Bytes;

use super::border::{capped, line_excerpt};
use super::ls_refs::LsRefs;
use super::object_info::ObjectInfo;
use super::{Config, Error};
use crate::git::{ObjectFormat, SessionError};
use crate::limits;

/// What may come in a request's head.
pub(super) const EXPECTED: &str = "a command, a capability, a delimiter or a flush packet";

/// A command, with the arguments that were read so far.
#[derive(Debug)]
pub(super) enum Command {
    LsRefs(LsRefs),
    Fetch,
    ObjectInfo(ObjectInfo),
    BundleUri,
}

/// The lines before the arguments.
#[derive(Debug, Default)]
pub(super) struct Head {
    command: Option<Command>,
    lines: usize,
    bytes: usize,
    /// The client's hash function, as it names it.
    format: Option<Bytes>,
    pub(super) options: Vec<Bytes>,
    pub(super) agent: Option<Bytes>,
    pub(super) session_id: Option<Bytes>,
}

impl Head {
    /// Takes one line.
    pub(super) fn take(&mut self, line: &[u8], config: &Config) -> Result<(), Error> {
        self.lines = self.lines.saturating_add(1);
        self.bytes = self.bytes.saturating_add(line.len());
        capped(self.lines, "lines in the head of a request", limits::REQUEST_LINES)?;
        capped(self.bytes, "bytes in the head of a request", limits::REQUEST_BYTES)?;
        if let Some(message) = line.strip_prefix(b"ERR ") {
            return Err(SessionError::remote(message).into());
        }
        if let Some(name) = line.strip_prefix(b"command=") {
            if self.command.is_some() {
                return Err(Error::SecondCommand { name: line_excerpt(name) });
            }
            let command = command(name, config);
            self.command = Some(command.ok_or_else(|| Error::InvalidCommand { name: line_excerpt(name) })?);
            return Ok(());
        }
        let (name, value) = match memchr::memchr(b'=', line).and_then(|at| line.split_at_checked(at)) {
            Some((name, value)) => (name, value.get(1..)),
            None => (line, None),
        };
        let value = value.map(Bytes::copy_from_slice);
        match name {
            b"agent" if config.agent.is_some() => self.agent = value,
            b"session-id" if config.session_id.is_some() => self.session_id = value,
            b"object-format" => self.format = Some(value.unwrap_or_default()),
            b"server-option" => self.options.extend(value),
            _ => return Err(Error::UnknownCapability { line: line_excerpt(line) }),
        }
        Ok(())
    }

    /// Whether nothing was said yet: then a flush, or the end of the input, ends the session.
    pub(super) const fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// The command, once the head has ended.
    pub(super) fn finish(&mut self, config: &Config) -> Result<Command, Error> {
        let command = self.command.take().ok_or(Error::NoCommand)?;
        // Who names none means SHA-1.
        let sha1 = || Bytes::from_static(ObjectFormat::Sha1.name().as_bytes());
        let client = self.format.take().unwrap_or_else(sha1);
        if ObjectFormat::from_name(&client) != Some(config.format) {
            return Err(Error::ObjectFormat { server: config.format, client: line_excerpt(&client) });
        }
        Ok(command)
    }
}

/// The command of that name, if it was advertised.
fn command(name: &[u8], config: &Config) -> Option<Command> {
    match name {
        b"ls-refs" => Some(Command::LsRefs(LsRefs::default())),
        b"fetch" => Some(Command::Fetch),
        b"object-info" if config.object_info => Some(Command::ObjectInfo(ObjectInfo::default())),
        b"bundle-uri" if config.bundle_uris.is_some() => Some(Command::BundleUri),
        _ => None,
    }
}
