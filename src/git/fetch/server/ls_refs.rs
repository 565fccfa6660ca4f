//! `ls-refs`: the refs of version 2, asked for by their beginnings.

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{Config, Error, Unborn};
use crate::git::wire::Wire;
use crate::git::{Ref, SessionError};
use crate::limits;
use crate::pkt::Packet;

/// What a client asks for.
#[derive(Debug, Default)]
pub(super) struct LsRefs {
    peel: bool,
    symrefs: bool,
    unborn: bool,
    prefixes: Prefixes,
}

/// Beginnings of names, of which any will do.
#[derive(Debug, Default)]
enum Prefixes {
    /// None was named: all names will do.
    #[default]
    All,
    Some {
        list: Vec<Bytes>,
        count: usize,
        bytes: usize,
    },
    /// More than anyone would look through: all names, as in Git.
    TooMany,
}

impl LsRefs {
    /// Takes one argument.
    pub(super) fn take(&mut self, line: &[u8], config: &Config) -> Result<(), Error> {
        match line {
            b"peel" => self.peel = true,
            b"symrefs" => self.symrefs = true,
            b"unborn" => self.unborn = config.unborn != Unborn::Ignore,
            _ => {
                let unexpected =
                    || SessionError::unexpected(EXPECTED, &Packet::Data(Bytes::copy_from_slice(line)));
                self.prefixes.push(line.strip_prefix(b"ref-prefix ").ok_or_else(unexpected)?);
            }
        }
        Ok(())
    }

    /// Ends the arguments. The prefixes that the driver is asked for, none of which begins with another; `None`: all
    /// refs.
    pub(super) fn finish(&mut self) -> Option<Vec<Bytes>> {
        let Prefixes::Some { list, .. } = &mut self.prefixes else { return None };
        list.sort_unstable();
        // Sorted, a prefix stands right before those that begin with it.
        list.dedup_by(|longer, shorter| longer.starts_with(shorter));
        if list.first().is_some_and(Bytes::is_empty) {
            self.prefixes = Prefixes::All;
            return None;
        }
        Some(list.clone())
    }

    /// Whether all refs are.
    pub(super) const fn asks_all(&self) -> bool {
        matches!(self.prefixes, Prefixes::All | Prefixes::TooMany)
    }

    /// Whether a ref is asked for, by the name it is shown under.
    pub(super) fn asks_for(&self, one: &Ref) -> bool {
        let is_unborn = one.id.is_null();
        let name = one.name.as_bytes();
        (!is_unborn || (self.unborn && self.symrefs && one.name.is_head() && one.target.is_some()))
            && match &self.prefixes {
                Prefixes::All | Prefixes::TooMany => true,
                Prefixes::Some { list, .. } => {
                    let at = list.partition_point(|prefix| &prefix[..] <= name);
                    at.checked_sub(1)
                        .and_then(|at| list.get(at))
                        .is_some_and(|prefix| name.starts_with(prefix))
                }
            }
    }

    fn put(&self, one: &Ref, wire: &mut Wire) -> Result<(), Error> {
        let (hex, peeled) = (one.id.to_hex(), one.peeled.map(|id| id.to_hex()));
        let mut parts: [&[u8]; 7] = [b"unborn", b" ", one.name.as_bytes(), b"", b"", b"", b""];
        let [id, _, _, symref, target, peel, end] = &mut parts;
        if !one.id.is_null() {
            *id = hex.as_bytes();
        }
        if let Some(name) = one.target.as_ref().filter(|_| self.symrefs) {
            (*symref, *target) = (b" symref-target:", name.as_bytes());
        }
        if let Some(object) = peeled.as_ref().filter(|_| self.peel) {
            (*peel, *end) = (b" peeled:", object.as_bytes());
        }
        Ok(wire.line(&parts)?)
    }
}

/// What may come as an argument.
const EXPECTED: &str = "peel, symrefs, unborn, a ref-prefix line or a flush packet";

impl Prefixes {
    fn push(&mut self, prefix: &[u8]) {
        if matches!(self, Self::All) {
            *self = Self::Some { list: Vec::new(), count: 0, bytes: 0 };
        }
        let Self::Some { list, count, bytes } = self else { return };
        *count = count.saturating_add(1);
        // No name is longer, so nothing begins with it.
        if prefix.len() <= limits::REF_NAME {
            *bytes = bytes.saturating_add(prefix.len());
            list.push(Bytes::copy_from_slice(prefix));
        }
        if *count >= limits::REF_PREFIXES || *bytes > limits::REF_PREFIX_BYTES {
            *self = Self::TooMany;
        }
    }
}

/// The answer on its way out, each ref let go of once it is written.
#[derive(Debug)]
pub(super) struct Showing {
    asked: LsRefs,
    refs: vec::IntoIter<Ref>,
}

impl Showing {
    /// `refs` are those that were asked for.
    pub(super) fn new(asked: LsRefs, refs: Vec<Ref>) -> Self {
        Self { asked, refs: refs.into_iter() }
    }

    /// Writes on while there is room; `true` when the closing flush is written.
    pub(super) fn write(&mut self, wire: &mut Wire) -> Result<bool, Error> {
        while wire.has_room() {
            match self.refs.next() {
                Some(one) => self.asked.put(&one, wire)?,
                None => {
                    wire.flush();
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
