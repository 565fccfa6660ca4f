//! The parts of an answer that are as long as what was asked for. They are written while the wire has room, so that a
//! long one needs no memory of its own.

use alloc::collections::BTreeMap;

use super::Error;
use super::fetch_command::Fetch;
use super::object_info::ObjectInfo;
use super::wants::Wants;
use crate::git::ObjectId;
use crate::git::wire::Wire;
use crate::pkt;

/// A part on its way out.
#[derive(Debug)]
pub(super) struct Telling {
    part: Part,
    /// The line that is due.
    next: usize,
}

/// Which part.
#[derive(Debug)]
pub(super) enum Part {
    /// Version 2: which haves are here. With `ready` a pack follows, otherwise nothing.
    Acks { ready: bool },
    /// Version 2: what the wanted names stand for; whether the border follows.
    WantedRefs { border: bool },
    /// Version 2: where the client's history ends from now on. The pack follows.
    Border,
    /// The same as the answer to a flush in versions 0 and 1.
    BorderList,
    /// Version 2: sizes of objects.
    Sizes(ObjectInfo, BTreeMap<ObjectId, u64>),
}

impl Telling {
    /// Writes the head of a part.
    pub(super) fn begin(part: Part, fetch: &Fetch, wire: &mut Wire) -> Result<Self, Error> {
        match &part {
            Part::Acks { .. } => {
                fetch.line(wire, &[b"acknowledgments"])?;
                if fetch.acks.is_empty() {
                    fetch.line(wire, &[b"NAK"])?;
                }
            }
            Part::WantedRefs { .. } => fetch.line(wire, &[b"wanted-refs"])?,
            Part::Border => fetch.line(wire, &[b"shallow-info"])?,
            Part::BorderList => {}
            Part::Sizes(asked, _) => asked.begin(wire)?,
        }
        Ok(Self { part, next: 0 })
    }

    /// Writes on while there is room; `true` when all of it is written.
    pub(super) fn write(&mut self, fetch: &Fetch, wants: &Wants, wire: &mut Wire) -> Result<bool, Error> {
        while wire.has_room() {
            if !self.line(fetch, wants, wire)? {
                self.end(fetch, wire)?;
                return Ok(true);
            }
            self.next = self.next.saturating_add(1);
        }
        Ok(false)
    }

    /// What was written.
    pub(super) fn into_part(self) -> Part {
        self.part
    }

    /// Writes the line that is due; `false` when there is none.
    fn line(&self, fetch: &Fetch, wants: &Wants, wire: &mut Wire) -> Result<bool, Error> {
        match &self.part {
            Part::Acks { .. } => {
                let Some(id) = fetch.acks.get(self.next) else { return Ok(false) };
                fetch.line(wire, &[b"ACK ", id.to_hex().as_bytes()])?;
            }
            Part::WantedRefs { .. } => {
                let Some((id, name)) = fetch.wanted.get(self.next) else { return Ok(false) };
                fetch.line(wire, &[id.to_hex().as_bytes(), b" ", name])?;
            }
            // These lines have no LF, as Git's have none.
            Part::Border => {
                let Some((word, id)) = wants.border.line(self.next) else { return Ok(false) };
                fetch.put(wire, &[word, id.to_hex().as_bytes()])?;
            }
            Part::BorderList => {
                let Some((word, id)) = wants.border.line(self.next) else { return Ok(false) };
                pkt::put_packet(wire.turn(), &[word, id.to_hex().as_bytes()]).map_err(Error::pkt)?;
            }
            Part::Sizes(asked, sizes) => return asked.line(self.next, sizes, wire),
        }
        Ok(true)
    }

    fn end(&self, fetch: &Fetch, wire: &mut Wire) -> Result<(), Error> {
        match &self.part {
            Part::Acks { ready: true } => {
                fetch.line(wire, &[b"ready"])?;
                pkt::put_delim(wire.turn());
            }
            Part::WantedRefs { .. } | Part::Border => pkt::put_delim(wire.turn()),
            Part::Acks { ready: false } | Part::BorderList | Part::Sizes(..) => wire.flush(),
        }
        Ok(())
    }
}
