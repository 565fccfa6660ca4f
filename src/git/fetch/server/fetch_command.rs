//! `fetch` of version 2: its arguments, and the lines of its answer.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;
use smallvec::SmallVec;

use super::border::{capped, line_excerpt};
use super::wants::Wants;
use super::{Config, Error};
use crate::git::wire::Wire;
use crate::git::{Commit, ObjectId, SessionError};
use crate::limits;
use crate::pkt::{self, Packet};

/// What may come as an argument.
pub(super) const EXPECTED: &str = "an argument of fetch or a flush packet";

/// Haves that are looked up with one question at the most: bounds what is kept of those that are not here.
const BATCH: usize = 4096;

/// What a `fetch` asks for besides its [`Wants`].
#[derive(Debug, Default)]
pub(super) struct Fetch {
    /// Names, in the order in which they came.
    pub(super) want_refs: Vec<Bytes>,
    want_refs_seen: BTreeSet<Bytes>,
    /// What the names stand for.
    pub(super) wanted: Vec<(ObjectId, Bytes)>,
    pub(super) done: bool,
    pub(super) wait_for_done: bool,
    pub(super) sideband_all: bool,
    pub(super) uri_protocols: Vec<Bytes>,
    pub(super) haves: Haves,
}

/// What the client has.
#[derive(Debug, Default)]
pub(super) struct Haves {
    /// Not looked up yet.
    batch: Vec<ObjectId>,
    /// Those that are here, each once, in the order in which they came.
    pub(super) common: Vec<ObjectId>,
    known: BTreeSet<ObjectId>,
    /// Those that are acknowledged.
    acks: Vec<ObjectId>,
    /// Lines, repeated ones included.
    pub(super) lines: usize,
}

impl Fetch {
    /// Takes one argument; `true` when haves are to be looked up before the next.
    pub(super) fn take(&mut self, line: &[u8], wants: &mut Wants, config: &Config) -> Result<bool, Error> {
        let unexpected = || SessionError::unexpected(EXPECTED, &Packet::Data(line_excerpt(line)));
        let id = |hex: &[u8]| {
            ObjectId::from_hex(hex.trim_ascii_end()).ok().filter(|id| id.format() == config.format)
        };
        if let Some(hex) = line.strip_prefix(b"want ") {
            wants.want(id(hex).ok_or_else(unexpected)?, config)?;
        } else if let Some(name) = line.strip_prefix(b"want-ref ") {
            self.take_want_ref(name, config)?;
        } else if let Some(hex) = line.strip_prefix(b"have ") {
            self.haves.lines = self.haves.lines.saturating_add(1);
            capped(self.haves.lines, "have lines", config.max_haves)?;
            self.haves.batch.push(id(hex).ok_or_else(unexpected)?);
            return Ok(self.haves.batch.len() >= BATCH);
        } else if wants.border.take(line, config.format)?
            || wants.take_filter(line, config)?
            || wants.take_resume(line, config)?
        {
            return Ok(false);
        } else if let Some(list) = line.strip_prefix(b"packfile-uris ") {
            self.take_uri_protocols(list, config)?;
        } else {
            match line {
                b"thin-pack" => wants.features.thin_pack = true,
                b"ofs-delta" => wants.features.ofs_delta = true,
                b"no-progress" => wants.features.no_progress = true,
                b"include-tag" => wants.features.include_tag = true,
                b"done" => self.done = true,
                b"wait-for-done" => self.wait_for_done = true,
                b"deepen-relative" => wants.border.relative = true,
                b"sideband-all" if config.sideband_all => self.sideband_all = true,
                b"sideband-all" => return Err(Error::NotOffered { line: "sideband-all" }),
                _ => return Err(unexpected().into()),
            }
        }
        Ok(false)
    }

    fn take_want_ref(&mut self, name: &[u8], config: &Config) -> Result<(), Error> {
        if !config.ref_in_want {
            return Err(Error::NotOffered { line: "want-ref" });
        }
        if name.len() > limits::REF_NAME {
            return Err(Error::UnknownRef { name: line_excerpt(name) });
        }
        let name = Bytes::copy_from_slice(name);
        if !self.want_refs_seen.insert(name.clone()) {
            return Err(Error::DuplicateWantRef { name });
        }
        self.want_refs.push(name);
        capped(self.want_refs.len(), "want-ref lines", limits::WANT_REFS)
    }

    fn take_uri_protocols(&mut self, list: &[u8], config: &Config) -> Result<(), Error> {
        if !config.packfile_uris || !self.uri_protocols.is_empty() {
            return Err(Error::NotOffered { line: "packfile-uris" });
        }
        let names = list.split(|byte| *byte == b',').filter(|name| !name.is_empty());
        self.uri_protocols = names.take(limits::CAPABILITIES).map(Bytes::copy_from_slice).collect();
        Ok(())
    }

    /// The head of an answer's section, or one of its lines, with its LF.
    pub(super) fn line(&self, wire: &mut Wire, parts: &[&[u8]]) -> Result<(), Error> {
        let mut whole: SmallVec<[&[u8]; 8]> = SmallVec::from_slice(parts);
        whole.push(b"\n");
        self.put(wire, &whole)
    }

    /// A packet of the answer, in the sideband where all of it is.
    pub(super) fn put(&self, wire: &mut Wire, parts: &[&[u8]]) -> Result<(), Error> {
        let mut whole: SmallVec<[&[u8]; 8]> = SmallVec::new();
        if self.sideband_all {
            whole.push(b"\x01");
        }
        whole.extend_from_slice(parts);
        pkt::put_packet(wire.turn(), &whole).map_err(Error::pkt)
    }

    /// The acknowledgements. With `ready` a pack follows, otherwise nothing.
    pub(super) fn write_acks(&self, ready: bool, wire: &mut Wire) -> Result<(), Error> {
        self.line(wire, &[b"acknowledgments"])?;
        if self.haves.acks.is_empty() {
            self.line(wire, &[b"NAK"])?;
        }
        for id in &self.haves.acks {
            self.line(wire, &[b"ACK ", id.to_hex().as_bytes()])?;
        }
        if ready {
            self.line(wire, &[b"ready"])?;
            pkt::put_delim(wire.turn());
        } else {
            wire.flush();
        }
        Ok(())
    }

    /// What the wanted names stand for.
    pub(super) fn write_wanted_refs(&self, wire: &mut Wire) -> Result<(), Error> {
        if self.wanted.is_empty() {
            return Ok(());
        }
        self.line(wire, &[b"wanted-refs"])?;
        for (id, name) in &self.wanted {
            self.line(wire, &[id.to_hex().as_bytes(), b" ", name])?;
        }
        pkt::put_delim(wire.turn());
        Ok(())
    }

    /// Where the client's history ends from now on.
    pub(super) fn write_shallow_info(&self, wants: &Wants, wire: &mut Wire) -> Result<(), Error> {
        self.line(wire, &[b"shallow-info"])?;
        wants.border.write(|parts| self.put(wire, parts))?;
        pkt::put_delim(wire.turn());
        Ok(())
    }
}

impl Haves {
    /// The ids that are to be looked up, each once.
    pub(super) fn unknown(&self) -> Vec<ObjectId> {
        let mut unknown: Vec<ObjectId> =
            self.batch.iter().filter(|id| !self.known.contains(id)).copied().collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }

    /// Takes the answer to [`Self::unknown`].
    pub(super) fn found(&mut self, mut found: Vec<ObjectId>) {
        found.sort_unstable();
        for id in mem::take(&mut self.batch) {
            if found.binary_search(&id).is_ok() && self.known.insert(id) {
                self.common.push(id);
            }
        }
    }

    /// Acknowledges the common ones, but for each that is a parent of one before it: the client knows.
    pub(super) fn leave_out_parents(&mut self, commits: &[Commit]) {
        let mut commits: Vec<&Commit> = commits.iter().collect();
        commits.sort_unstable_by_key(|commit| commit.id);
        let mut told = BTreeSet::new();
        self.acks.clone_from(&self.common);
        self.acks.retain(|id| {
            let commit =
                commits.binary_search_by_key(id, |commit| commit.id).ok().and_then(|at| commits.get(at));
            let is_told = told.contains(id);
            told.extend(commit.iter().flat_map(|commit| commit.parents.iter().copied()));
            !is_told
        });
    }
}
