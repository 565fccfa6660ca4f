//! What a client asks for: its `want` lines with the capabilities on them, its borders, its filter.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use bytes::Bytes;

use super::border::{Border, capped, line_excerpt};
use super::negotiation::Acks;
use super::tips::Tips;
use super::{Config, Error, WantPolicy};
use crate::git::resume::CAPABILITY;
use crate::git::{
    Capabilities, Filter, ObjectFormat, ObjectId, PackRequest, Resume, Serving, SessionError, Version,
};
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
    pub(super) thin_pack: bool,
    pub(super) ofs_delta: bool,
    pub(super) include_tag: bool,
    pub(super) no_progress: bool,
    /// Filters may be named.
    filter: bool,
    /// A part of the pack may be named.
    resume: bool,
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
        self.filter |= list.has("filter");
        self.resume |= list.has(CAPABILITY);
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
    /// Lines of any kind.
    arguments: usize,
    pub(super) features: Features,
    pub(super) border: Border,
    filter: Option<Filter>,
    /// The client may come back for the rest of the pack; and what it holds of one already.
    pub(super) resume: Option<Option<Resume>>,
    /// What the client calls itself and its session.
    pub(super) agent: Option<Bytes>,
    pub(super) session_id: Option<Bytes>,
}

impl Wants {
    /// Counts a line of any kind.
    pub(super) fn count(&mut self, config: &Config) -> Result<(), Error> {
        self.arguments = self.arguments.saturating_add(1);
        capped(self.arguments, "lines in one request", config.max_arguments)
    }

    /// Takes one line of versions 0 and 1. Where the policy knows only tips, any other id is refused here, so that
    /// what is kept never outgrows the refs.
    pub(super) fn take(&mut self, line: &Bytes, config: &Config, tips: &Tips) -> Result<(), Error> {
        self.count(config)?;
        let text = pkt::trim_lf(line);
        if let Some(message) = text.strip_prefix(b"ERR ") {
            return Err(SessionError::remote(message).into());
        }
        let taken = self.border.take(text, config.format)?
            || self.take_filter(text, config)?
            || self.take_resume(text, config)?;
        if taken {
            return Ok(());
        }
        let unexpected = || SessionError::unexpected(EXPECTED, &Packet::Data(line.clone()));
        let rest = text.strip_prefix(b"want ").ok_or_else(unexpected)?;
        let (id, list) = split_id(rest, config.format).ok_or_else(unexpected)?;
        for part in list.split(|byte| *byte == 0) {
            let list = Capabilities::parse(part)?;
            self.features.add(&list);
            self.border.relative |= list.has("deepen-relative");
            let told = [
                (&mut self.agent, "agent", config.agent.is_some()),
                (&mut self.session_id, "session-id", config.session_id.is_some()),
            ];
            for (kept, name, _) in told.into_iter().filter(|(.., offered)| *offered) {
                *kept = list.value(name).cloned().or_else(|| kept.take());
            }
        }
        if tips.complete && !may_go_beyond(config) && !tips.contains(&id) {
            return Err(Error::NotOurRef { id });
        }
        self.want(id, config)
    }

    /// Adds one object.
    pub(super) fn want(&mut self, id: ObjectId, config: &Config) -> Result<(), Error> {
        self.lines = self.lines.saturating_add(1);
        capped(self.lines, "want lines", config.max_wants)?;
        if self.seen.insert(id) {
            self.ids.push(id);
        }
        Ok(())
    }

    /// Takes a filter line, if it is one.
    pub(super) fn take_filter(&mut self, text: &[u8], config: &Config) -> Result<bool, Error> {
        let Some(spec) = text.strip_prefix(b"filter ") else { return Ok(false) };
        // Versions 0 and 1 switch it on before it is used.
        let on = self.features.filter || config.spoken() == Version::V2;
        let policy = config.filters.as_ref().filter(|_| on);
        let policy = policy.ok_or(Error::NotOffered { line: "filter" })?;
        let filter = Filter::parse(spec)?;
        if let Some(refusal) = policy.refusal(&filter) {
            return Err(refusal.into());
        }
        if self.filter.replace(filter).is_some() {
            return Err(Error::FilterTwice);
        }
        Ok(true)
    }

    /// Takes a line that names a part of the pack, if it is one (RESUME-2).
    pub(super) fn take_resume(&mut self, text: &[u8], config: &Config) -> Result<bool, Error> {
        let Some(part) = Resume::parse(text) else { return Ok(false) };
        let on = self.features.resume || config.spoken() == Version::V2;
        if !config.resume || !on {
            return Err(Error::NotOffered { line: "resume" });
        }
        let malformed = || SessionError::unexpected("a part of a pack", &Packet::Data(line_excerpt(text)));
        let part = part.map_err(|()| malformed())?;
        if self.resume.replace(part).is_some() {
            return Err(Error::ResumeTwice);
        }
        Ok(true)
    }

    /// The wants that are no tips.
    pub(super) fn beyond(&self, tips: &Tips) -> Vec<ObjectId> {
        self.ids.iter().filter(|id| !tips.contains(id)).copied().collect()
    }

    /// The pack that answers them.
    pub(super) fn pack(&mut self, haves: &[ObjectId]) -> PackRequest {
        let (shallow, unshallow) = self.border.moved();
        PackRequest {
            shallow,
            unshallow,
            filter: self.filter.clone(),
            resumable: self.resume.is_some(),
            resume: self.resume.clone().flatten(),
            thin: self.features.thin_pack,
            ofs_delta: self.features.ofs_delta,
            include_tag: self.features.include_tag,
            progress: self.features.sideband.is_some() && !self.features.no_progress,
            ..PackRequest::new(self.ids.clone(), haves.to_vec())
        }
    }
}

/// Whether anything but tips may be wanted.
pub(super) fn may_go_beyond(config: &Config) -> bool {
    match config.wants {
        WantPolicy::Advertised | WantPolicy::Tips => config.serving == Serving::Request,
        WantPolicy::Reachable | WantPolicy::TipsAndReachable | WantPolicy::Any => true,
    }
}

/// An id, and what follows it behind a space or NUL. `None`: no id of this repository's format.
fn split_id(rest: &[u8], format: ObjectFormat) -> Option<(ObjectId, &[u8])> {
    let end = memchr::memchr2(b' ', 0, rest).unwrap_or(rest.len());
    let (hex, list) = rest.split_at_checked(end)?;
    let id = ObjectId::from_hex(hex).ok().filter(|id| id.format() == format)?;
    Some((id, list))
}
