//! `object-info`: sizes of objects, without the objects.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;

use super::border::{capped, line_excerpt};
use super::{Config, Error};
use crate::git::wire::Wire;
use crate::git::{ObjectId, SessionError};
use crate::limits;
use crate::pkt::{self, Packet};

/// What a client asks for.
#[derive(Debug, Default)]
pub(super) struct ObjectInfo {
    size: bool,
    /// In the order in which they came.
    pub(super) ids: Vec<ObjectId>,
}

/// What may come as an argument.
const EXPECTED: &str = "size, an oid line or a flush packet";

impl ObjectInfo {
    /// Takes one argument.
    pub(super) fn take(&mut self, line: &[u8], config: &Config) -> Result<(), Error> {
        if line == b"size" {
            self.size = true;
            return Ok(());
        }
        let unexpected = || SessionError::unexpected(EXPECTED, &Packet::Data(line_excerpt(line)));
        let hex = line.strip_prefix(b"oid ").ok_or_else(unexpected)?;
        let id = ObjectId::from_hex(hex).ok().filter(|id| id.format() == config.format);
        self.ids.push(id.ok_or_else(unexpected)?);
        capped(self.ids.len(), "oid lines", limits::OBJECT_INFO)
    }

    /// Whether the driver has anything to tell.
    pub(super) fn asks_sizes(&self) -> bool {
        self.size && !self.ids.is_empty()
    }

    /// Writes the head of the answer.
    pub(super) fn begin(&self, wire: &mut Wire) -> Result<(), Error> {
        if self.asks_sizes() {
            pkt::put_packet(wire.turn(), &[b"size"]).map_err(Error::pkt)?;
        }
        Ok(())
    }

    /// Writes a line of the answer, if there is one. The lines have no LF, as Git's have none; an object that is not
    /// there has no size.
    pub(super) fn line(
        &self,
        at: usize,
        sizes: &BTreeMap<ObjectId, u64>,
        wire: &mut Wire,
    ) -> Result<bool, Error> {
        let Some(id) = self.ids.get(at) else { return Ok(false) };
        let hex = id.to_hex();
        let size = sizes.get(id).map(|size| Bytes::from(format!("{size}"))).unwrap_or_default();
        let gap: &[u8] = if self.size { b" " } else { b"" };
        pkt::put_packet(wire.turn(), &[hex.as_bytes(), gap, &size]).map_err(Error::pkt)?;
        Ok(true)
    }
}
