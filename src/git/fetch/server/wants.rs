//! What a client asks for: its `want` lines, and the capabilities on them.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use bytes::Bytes;

use super::negotiation::Acks;
use super::{Config, Error, WantPolicy};
use crate::git::{Capabilities, ObjectFormat, ObjectId, PackRequest, SessionError};
use crate::pkt::{self, MAX_BAND_DATA, Packet};

/// What may come before the haves.
pub(super) const EXPECTED: &str = "a want line or a flush packet";

/// Bytes of data in a packet of the plain `side-band`: 1000 in all, less four digits and the band.
const SMALL_BAND_DATA: usize = 995;

/// What the client switched on. A later line adds to an earlier one, as in Git.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Features {
    pub(super) acks: Acks,
    pub(super) no_done: bool,
    /// The most data in one sideband packet; `None` without sideband.
    pub(super) sideband: Option<usize>,
    thin_pack: bool,
    ofs_delta: bool,
    include_tag: bool,
    no_progress: bool,
}

impl Features {
    fn add(&mut self, list: &Capabilities) {
        if list.has("multi_ack_detailed") {
            self.acks = Acks::Detailed;
        } else if list.has("multi_ack") {
            self.acks = Acks::Multi;
        }
        if list.has("side-band-64k") {
            self.sideband = Some(MAX_BAND_DATA);
        } else if list.has("side-band") {
            self.sideband = Some(SMALL_BAND_DATA);
        }
        self.no_done |= list.has("no-done");
        self.thin_pack |= list.has("thin-pack");
        self.ofs_delta |= list.has("ofs-delta");
        self.include_tag |= list.has("include-tag");
        self.no_progress |= list.has("no-progress");
    }
}

/// The wants so far.
#[derive(Debug, Default)]
pub(super) struct Wants {
    /// Distinct, in the order in which they came.
    pub(super) ids: Vec<ObjectId>,
    seen: BTreeSet<ObjectId>,
    /// Lines, repeated ones included.
    pub(super) lines: usize,
    pub(super) features: Features,
}

impl Wants {
    /// Takes one line. Where the policy knows only tips, any other id is refused here, so that what is kept
    /// never outgrows the refs.
    pub(super) fn take(&mut self, line: &Bytes, config: &Config, tips: &[ObjectId]) -> Result<(), Error> {
        self.lines = self.lines.saturating_add(1);
        if self.lines > config.max_wants {
            return Err(SessionError::TooMany { what: "want lines", limit: config.max_wants }.into());
        }
        let text = pkt::trim_lf(line);
        if let Some(message) = text.strip_prefix(b"ERR ") {
            return Err(SessionError::remote(message).into());
        }
        not_offered(text)?;
        let unexpected = || SessionError::unexpected(EXPECTED, &Packet::Data(line.clone()));
        let rest = text.strip_prefix(b"want ").ok_or_else(unexpected)?;
        let (id, list) = split_id(rest, config.format).ok_or_else(unexpected)?;
        for part in list.split(|byte| *byte == 0) {
            self.features.add(&Capabilities::parse(part)?);
        }
        let by_tips = matches!(config.wants, WantPolicy::Advertised | WantPolicy::Tips);
        if by_tips && !is_tip(tips, &id) {
            return Err(Error::NotOurRef { id });
        }
        if self.seen.insert(id) {
            self.ids.push(id);
        }
        Ok(())
    }

    /// The wants that are no tips.
    pub(super) fn beyond(&self, tips: &[ObjectId]) -> Vec<ObjectId> {
        self.ids.iter().filter(|id| !is_tip(tips, id)).copied().collect()
    }

    /// The pack that answers them.
    pub(super) fn pack(&self, haves: &[ObjectId]) -> PackRequest {
        PackRequest {
            thin: self.features.thin_pack,
            ofs_delta: self.features.ofs_delta,
            include_tag: self.features.include_tag,
            progress: self.features.sideband.is_some() && !self.features.no_progress,
            ..PackRequest::new(self.ids.clone(), haves.to_vec())
        }
    }
}

/// `tips` is sorted.
fn is_tip(tips: &[ObjectId], id: &ObjectId) -> bool {
    tips.binary_search(id).is_ok()
}

/// An id, and what follows it behind a space or NUL. `None`: no id of this repository's format.
fn split_id(rest: &[u8], format: ObjectFormat) -> Option<(ObjectId, &[u8])> {
    let end = memchr::memchr2(b' ', 0, rest).unwrap_or(rest.len());
    let (hex, list) = rest.split_at_checked(end)?;
    let id = ObjectId::from_hex(hex).ok().filter(|id| id.format() == format)?;
    Some((id, list))
}

/// Refuses the lines that belong to capabilities which were not advertised.
fn not_offered(text: &[u8]) -> Result<(), Error> {
    let lines = ["shallow", "deepen", "deepen-since", "deepen-not", "filter"];
    let word = text.split(|byte| *byte == b' ').next().unwrap_or(text);
    match lines.into_iter().find(|line| line.as_bytes() == word) {
        Some(line) => Err(Error::NotOffered { line }),
        None => Ok(()),
    }
}
