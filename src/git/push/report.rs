//! What a server says about a push: `report-status` and `report-status-v2`.
//!
//! ```text
//! "unpack ok"                      → Report::unpack
//! "ok refs/heads/a"                → RefReport { result: Ok }
//!   "option refname refs/heads/b"  →   updates (report-status-v2 only)
//! "ng refs/heads/c stale info"     → RefReport { result: Err("stale info") }
//! flush                            → Report, if every command has its line
//! ```
//!
//! A report counts only as a whole: one line for each ref asked, none twice, none for another (PUSH-6, T21).
//! Limits: [`limits::REPORT`] bytes. Rules: `spec/06-push.md`.

use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

use crate::error::Blame;
use crate::git::advertisement::excerpt;
use crate::git::{ObjectId, RefName};
use crate::limits;
use crate::pkt::{self, Packet};

/// The outcome of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether the pack was stored; otherwise the server's reason, raw (T18).
    pub unpack: Result<(), Bytes>,
    /// One entry for each command, in the order of the commands.
    pub refs: Vec<RefReport>,
}

/// The report of a push of nothing.
impl Default for Report {
    fn default() -> Self {
        Self { unpack: Ok(()), refs: Vec::new() }
    }
}

impl Report {
    /// Whether everything that was asked has happened: the pack was stored and every ref is `ok`.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.unpack.is_ok() && self.refs.iter().all(|entry| entry.result.is_ok())
    }
}

/// What happened to one ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefReport {
    /// The ref as the command named it.
    pub name: RefName,
    /// `ok`, or the server's reason for `ng`, raw (T18).
    pub result: Result<(), Bytes>,
    /// What the server did instead of the command as it stood (`option` lines); usually nothing.
    pub updates: Vec<Updated>,
}

/// An update that differs from the command: hooks of the server may redirect one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Updated {
    /// The ref that was really moved (`refname`).
    pub name: Option<RefName>,
    /// Its value before (`old-oid`).
    pub old: Option<ObjectId>,
    /// Its value now (`new-oid`).
    pub new: Option<ObjectId>,
    /// Whether it was moved to something that does not contain the old value (`forced-update`).
    pub forced: bool,
}

/// Why a report is not one. All of these are the peer's fault, and none of them is success (T21).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It does not begin with an `unpack` line, or there was nothing at all.
    #[error("the report does not say whether the pack was unpacked")]
    NoUnpack,
    /// The sideband ended inside it.
    #[error("the report was cut off before its end")]
    Cut,
    /// A line that is neither `ok`, nor `ng`, nor an option of the `ok` before it.
    #[error("a line of the report is malformed: \"{}\"", .line.escape_ascii())]
    Malformed {
        /// Its first bytes.
        line: Bytes,
    },
    /// A special packet other than flush.
    #[error("a delimiter or response-end packet stands in the report")]
    UnexpectedPacket,
    /// A ref that was asked for has no line.
    #[error("the report says nothing about {name}")]
    Missing {
        /// The first such ref.
        name: RefName,
    },
    /// A ref has two lines.
    #[error("the report names {name} twice")]
    Repeated {
        /// The ref.
        name: RefName,
    },
    /// A line for a ref that was not asked for.
    #[error("the report names \"{}\", which was not pushed", .name.escape_ascii())]
    Unknown {
        /// The first bytes of the name.
        name: Bytes,
    },
    /// More bytes than the limit (T10).
    #[error("the report exceeds the limit of {limit} bytes")]
    TooLarge {
        /// [`limits::REPORT`].
        limit: usize,
    },
}

impl ReportError {
    /// Whose fault this is: always the peer's.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        Blame::Peer
    }
}

/// Reads a report, one packet at a time.
#[derive(Debug)]
pub struct ReportParser {
    /// The places of the refs in `found`, in the order of their names.
    asked: Vec<usize>,
    found: Vec<(RefName, Option<RefReport>)>,
    unpack: Option<Result<(), Bytes>>,
    /// The entry that `option` lines belong to.
    open: Option<usize>,
    with_options: bool,
    bytes: usize,
}

impl ReportParser {
    /// A parser at the first packet of a report about `asked`; `with_options` if `report-status-v2` was agreed.
    #[must_use]
    pub fn new(asked: impl IntoIterator<Item = RefName>, with_options: bool) -> Self {
        let found: Vec<_> = asked.into_iter().map(|name| (name, None)).collect();
        let name = |at: &usize| found.get(*at).map(|(name, _): &(RefName, _)| name);
        let mut asked: Vec<usize> = (0..found.len()).collect();
        asked.sort_unstable_by(|one, other| name(one).cmp(&name(other)));
        Self { asked, found, unpack: None, open: None, with_options, bytes: 0 }
    }

    /// Takes the next packet; `Some` when it was the flush that ends a complete report.
    ///
    /// When the pack could not be unpacked, refs without a line of their own get that reason.
    ///
    /// # Errors
    /// [`ReportError`]; [`Self::into_partial`] still tells what had been understood.
    pub fn handle_packet(&mut self, packet: Packet<Bytes>) -> Result<Option<Report>, ReportError> {
        let line = match packet {
            Packet::Data(line) => line,
            Packet::Delim | Packet::ResponseEnd => return Err(ReportError::UnexpectedPacket),
            Packet::Flush => return self.finish().map(Some),
        };
        self.bytes = self.bytes.saturating_add(line.len());
        if self.bytes > limits::REPORT {
            return Err(ReportError::TooLarge { limit: limits::REPORT });
        }
        let text = pkt::trim_lf(&line);
        if self.unpack.is_none() {
            let result = text.strip_prefix(b"unpack ").ok_or(ReportError::NoUnpack)?;
            self.unpack = Some(if result == b"ok" { Ok(()) } else { Err(reason(result)) });
            return Ok(None);
        }
        if let Some(option) = text.strip_prefix(b"option ") {
            self.take_option(option).ok_or_else(|| malformed(text))?;
            return Ok(None);
        }
        self.close_entry()?;
        if let Some(rest) = text.strip_prefix(b"ok ") {
            self.take_ok(until_space(rest).0)?;
        } else if let Some(rest) = text.strip_prefix(b"ng ") {
            let (name, why) = until_space(rest);
            self.take_ng(name, reason(why))?;
        } else {
            return Err(malformed(text));
        }
        Ok(None)
    }

    /// Whether anything of the report has been seen.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.unpack.is_some()
    }

    /// What had been understood when the report turned out not to be one: an entry only for refs that had a line.
    #[must_use]
    pub fn into_partial(self) -> Report {
        Report {
            unpack: self.unpack.unwrap_or_else(|| Err(Bytes::new())),
            refs: self.found.into_iter().filter_map(|(_, entry)| entry).collect(),
        }
    }

    fn entry(&mut self, name: &[u8]) -> Result<(usize, &mut (RefName, Option<RefReport>)), ReportError> {
        let unknown = || ReportError::Unknown { name: excerpt(name, 80) };
        let name = RefName::new(name).map_err(|_| unknown())?;
        let asked =
            self.asked.binary_search_by(|at| self.found.get(*at).map(|(known, _)| known).cmp(&Some(&name)));
        let at = asked.ok().and_then(|place| self.asked.get(place).copied()).ok_or_else(unknown)?;
        self.found.get_mut(at).map(|entry| (at, entry)).ok_or_else(unknown)
    }

    fn take_ok(&mut self, name: &[u8]) -> Result<(), ReportError> {
        let (last, with_options) = (self.open, self.with_options);
        let (at, (name, entry)) = self.entry(name)?;
        match entry {
            None => *entry = Some(RefReport { name: name.clone(), result: Ok(()), updates: Vec::new() }),
            // One command that became several updates: each `ok` has options of its own (PUSH-7).
            Some(known) if with_options && last == Some(at) && !known.updates.is_empty() => {
                known.updates.push(Updated::default());
            }
            Some(_) => return Err(ReportError::Repeated { name: name.clone() }),
        }
        self.open = Some(at);
        Ok(())
    }

    fn take_ng(&mut self, name: &[u8], why: Bytes) -> Result<(), ReportError> {
        let (_, (name, entry)) = self.entry(name)?;
        if entry.is_some() {
            return Err(ReportError::Repeated { name: name.clone() });
        }
        *entry = Some(RefReport { name: name.clone(), result: Err(why), updates: Vec::new() });
        self.open = None;
        Ok(())
    }

    /// Takes `key` or `key value`; options that are not known are passed over. `None`: malformed.
    fn take_option(&mut self, option: &[u8]) -> Option<()> {
        if !self.with_options {
            return None;
        }
        let (_, entry) = self.found.get_mut(self.open?)?;
        let updates = &mut entry.as_mut()?.updates;
        if updates.is_empty() {
            updates.push(Updated::default());
        }
        let update = updates.last_mut()?;
        match until_space(option) {
            (b"refname", name) => update.name = Some(RefName::new(name).ok()?),
            (b"old-oid", id) => update.old = Some(ObjectId::from_hex(id).ok()?),
            (b"new-oid", id) => update.new = Some(ObjectId::from_hex(id).ok()?),
            (b"forced-update", _) => update.forced = true,
            (_, _) => {}
        }
        Some(())
    }

    /// A further `ok` for the same ref that brought no option is a repetition.
    fn close_entry(&self) -> Result<(), ReportError> {
        let Some((name, Some(entry))) = self.open.and_then(|at| self.found.get(at)) else { return Ok(()) };
        if entry.updates.len() > 1 && entry.updates.last() == Some(&Updated::default()) {
            return Err(ReportError::Repeated { name: name.clone() });
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Report, ReportError> {
        self.close_entry()?;
        let unpack = self.unpack.clone().ok_or(ReportError::NoUnpack)?;
        let missing = self.found.iter().find(|(_, entry)| entry.is_none());
        if let (Some((name, _)), Ok(())) = (missing, &unpack) {
            return Err(ReportError::Missing { name: name.clone() });
        }
        let mut refs = Vec::with_capacity(self.found.len());
        for (name, entry) in mem::take(&mut self.found) {
            // Where the pack was not unpacked, refs without a line share that reason.
            let result = unpack.clone();
            refs.push(entry.unwrap_or_else(|| RefReport { name, result, updates: Vec::new() }));
        }
        Ok(Report { unpack, refs })
    }
}

fn until_space(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', text).and_then(|at| text.split_at_checked(at)) {
        Some((word, rest)) => (word, rest.get(1..).unwrap_or(&[])),
        None => (text, &[]),
    }
}

fn reason(text: &[u8]) -> Bytes {
    excerpt(text, limits::ERROR_MESSAGE)
}

fn malformed(line: &[u8]) -> ReportError {
    ReportError::Malformed { line: excerpt(line, 80) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T10: to the byte, from just below the limit on.
    #[test]
    fn push_6_a_report_is_as_long_as_the_limit() {
        let line = |text: &'static [u8]| Packet::Data(Bytes::from_static(text));
        for (before, fits) in [(9, true), (8, false)] {
            let mut parser = ReportParser::new([], false);
            parser.bytes = limits::REPORT - before;
            let too_large = Err(ReportError::TooLarge { limit: limits::REPORT });
            assert_eq!(parser.handle_packet(line(b"unpack ok")), if fits { Ok(None) } else { too_large });
        }
    }
}
