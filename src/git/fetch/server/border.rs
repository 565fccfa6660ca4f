//! Where the client's history ends, and where it is to end: `shallow` and `deepen` lines, and their answer.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

use super::{DeepenRequest, Error, wants};
use crate::git::{Depth, ObjectFormat, ObjectId, SessionError, ShallowUpdate};
use crate::limits;
use crate::pkt::Packet;

/// What the client says of its history.
#[derive(Debug, Default)]
pub(super) struct Border {
    /// Its shallow commits; once they were looked up, those that are here.
    pub(super) shallow: Vec<ObjectId>,
    depth: Option<u32>,
    pub(super) relative: bool,
    since: Option<u64>,
    /// Names of refs.
    pub(super) not: Vec<Bytes>,
    /// What these refs point to.
    pub(super) excluded: Vec<ObjectId>,
    /// How the border moves, once the driver has told.
    pub(super) update: ShallowUpdate,
}

impl Border {
    /// Takes a line, if it is about this.
    pub(super) fn take(&mut self, text: &[u8], format: ObjectFormat) -> Result<bool, Error> {
        let malformed = || SessionError::unexpected(wants::EXPECTED, &line(text));
        if let Some(hex) = text.strip_prefix(b"shallow ") {
            let id = ObjectId::from_hex(hex.trim_ascii_end()).ok().filter(|id| id.format() == format);
            self.shallow.push(id.ok_or_else(malformed)?);
            capped(self.shallow.len(), "shallow lines", limits::SHALLOW)?;
        } else if let Some(depth) = text.strip_prefix(b"deepen ") {
            let depth = number(depth).filter(|depth| *depth > 0).ok_or_else(malformed)?;
            self.depth = Some(u32::try_from(depth).unwrap_or(Depth::INFINITE).min(Depth::INFINITE));
        } else if let Some(since) = text.strip_prefix(b"deepen-since ") {
            self.since = Some(number(since).ok_or_else(malformed)?);
        } else if let Some(name) = text.strip_prefix(b"deepen-not ") {
            if name.len() > limits::REF_NAME {
                return Err(Error::DeepenNot { name: line_excerpt(name) });
            }
            self.not.push(Bytes::copy_from_slice(name));
            capped(self.not.len(), "deepen-not lines", limits::DEEPEN_NOT)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Keeps the first of each shallow commit.
    pub(super) fn drop_repeated(&mut self) {
        let mut seen = BTreeSet::new();
        self.shallow.retain(|id| seen.insert(*id));
    }

    /// Checks what the lines come to together.
    pub(super) fn check(&self) -> Result<(), Error> {
        let by_history = self.since.is_some() || !self.not.is_empty();
        if self.depth.is_some() && by_history { Err(Error::DeepenTwice) } else { Ok(()) }
    }

    /// Whether the client asked for the border to move.
    pub(super) fn is_asked(&self) -> bool {
        self.depth.is_some() || self.since.is_some() || !self.not.is_empty() || !self.excluded.is_empty()
    }

    /// Whether it depends on what the client may see which of its shallow commits get their parents.
    pub(super) fn concerns_tips(&self) -> bool {
        !self.shallow.is_empty()
            && (self.depth == Some(Depth::INFINITE) || (self.relative && self.depth.is_some()))
    }

    /// What the driver is asked.
    pub(super) fn request(&self, wants: &[ObjectId]) -> DeepenRequest {
        let to = match (self.depth, self.since) {
            (Some(Depth::INFINITE), _) => Depth::Commits(Depth::INFINITE),
            (Some(depth), _) if self.relative => Depth::Further(depth),
            (Some(depth), _) => Depth::Commits(depth),
            (None, Some(since)) => Depth::Since(since),
            (None, None) => Depth::Full,
        };
        DeepenRequest {
            wants: wants.to_vec(),
            shallow: self.shallow.clone(),
            tips: Vec::new(),
            to,
            not: self.excluded.clone(),
        }
    }

    /// How the border moves, line by line: a word and a commit.
    pub(super) fn line(&self, at: usize) -> Option<(&'static [u8], &ObjectId)> {
        let ShallowUpdate { shallow, unshallow } = &self.update;
        match at.checked_sub(shallow.len()) {
            None => shallow.get(at).map(|id| (&b"shallow "[..], id)),
            Some(at) => unshallow.get(at).map(|id| (&b"unshallow "[..], id)),
        }
    }

    /// Commits that stand without their parents at the client, and those that no longer will.
    pub(super) fn moved(&mut self) -> (Vec<ObjectId>, Vec<ObjectId>) {
        let update = mem::take(&mut self.update);
        let mut gone = update.unshallow.clone();
        gone.sort_unstable();
        let mut shallow = mem::take(&mut self.shallow);
        shallow.extend(update.shallow);
        shallow.sort_unstable();
        shallow.dedup();
        shallow.retain(|id| gone.binary_search(id).is_err());
        (shallow, update.unshallow)
    }
}

/// Refuses a count above its cap (T10).
pub(super) fn capped(count: usize, what: &'static str, limit: usize) -> Result<(), Error> {
    if count > limit { Err(SessionError::TooMany { what, limit }.into()) } else { Ok(()) }
}

/// A decimal number; one that is too large stands for the largest.
fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_end();
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0_u64, |value, digit| {
        value.saturating_mul(10).saturating_add(u64::from(digit.saturating_sub(b'0')))
    }))
}

fn line(text: &[u8]) -> Packet<Bytes> {
    Packet::Data(line_excerpt(text))
}

/// The first bytes of a line, for an error.
pub(super) fn line_excerpt(text: &[u8]) -> Bytes {
    crate::git::advertisement::excerpt(text, 80)
}
