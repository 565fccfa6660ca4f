//! `fetch` of version 2: its arguments, and how the lines of its answer are put.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use bytes::Bytes;
use smallvec::SmallVec;

use super::border::{capped, line_excerpt};
use super::haves::Haves;
use super::wants::Wants;
use super::{Config, Error};
use crate::git::wire::Wire;
use crate::git::{Commit, ObjectId, SessionError};
use crate::limits;
use crate::pkt::{self, Packet};

/// What may come as an argument.
pub(super) const EXPECTED: &str = "an argument of fetch or a flush packet";

/// What a `fetch` asks for besides its [`Wants`].
#[derive(Debug, Default)]
pub(super) struct Fetch {
    /// Names, in the order in which they came.
    pub(super) want_refs: Vec<Bytes>,
    want_refs_seen: BTreeSet<Bytes>,
    want_ref_bytes: usize,
    /// What the names stand for.
    pub(super) wanted: Vec<(ObjectId, Bytes)>,
    pub(super) done: bool,
    pub(super) wait_for_done: bool,
    pub(super) sideband_all: bool,
    pub(super) uri_protocols: Vec<Bytes>,
    pub(super) haves: Haves,
    /// Those that are acknowledged.
    pub(super) acks: Vec<ObjectId>,
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
            return self.haves.take(id(hex).ok_or_else(unexpected)?, config);
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
        self.want_ref_bytes = self.want_ref_bytes.saturating_add(name.len());
        self.want_refs.push(name);
        capped(self.want_refs.len(), "want-ref lines", limits::WANT_REFS)?;
        capped(self.want_ref_bytes, "bytes of want-ref lines", limits::WANT_REF_BYTES)
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

    /// Acknowledges the common ones, but for each that is a parent of one before it: the client knows.
    pub(super) fn leave_out_parents(&mut self, commits: &[Commit]) {
        let mut commits: Vec<&Commit> = commits.iter().collect();
        commits.sort_unstable_by_key(|commit| commit.id);
        let mut told = BTreeSet::new();
        self.acks = self.haves.common().to_vec();
        self.acks.retain(|id| {
            let commit =
                commits.binary_search_by_key(id, |commit| commit.id).ok().and_then(|at| commits.get(at));
            let is_told = told.contains(id);
            told.extend(commit.iter().flat_map(|commit| commit.parents.iter().copied()));
            !is_told
        });
    }
}
