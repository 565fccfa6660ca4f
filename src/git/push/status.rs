//! Writing a server's report.

use bytes::{Bytes, BytesMut};

use super::received::{Batch, Fate, Received, Status};
use super::report::Updated;
use crate::git::SessionError;
use crate::git::wire::{Step, Wire};
use crate::pkt::{self, Band, MAX_BAND_DATA};

/// Where the report stands. It is written while the wire has room, so a long one needs no memory of its own.
#[derive(Debug, Default)]
pub(super) struct StatusWriter {
    phase: Phase,
    /// With a sideband: packets that do not fill a sideband packet yet.
    pending: BytesMut,
}

#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    #[default]
    Unpack,
    Ref(usize),
    Over,
}

impl StatusWriter {
    /// Writes the next line; [`Step::Wait`] when the wire has no room, `None` when everything is written.
    pub(super) fn step(&mut self, wire: &mut Wire, batch: &Batch) -> Result<Option<Step>, SessionError> {
        if !wire.has_room() {
            return Ok(Some(Step::Wait));
        }
        match (self.phase, batch.agreed.status) {
            (Phase::Over, _) => return Ok(None),
            (Phase::Unpack | Phase::Ref(_), Status::None) => self.phase = Phase::Over,
            (Phase::Unpack, Status::V1 | Status::V2) => {
                let result = batch.unpack_error.as_deref().unwrap_or(b"ok");
                self.line(wire, batch, &[b"unpack ", result])?;
                self.phase = Phase::Ref(0);
            }
            (Phase::Ref(at), Status::V1 | Status::V2) => match batch.received.get(at) {
                Some(one) => {
                    self.entry(wire, batch, one)?;
                    self.phase = Phase::Ref(at.saturating_add(1));
                }
                None => {
                    self.end(wire, batch)?;
                    self.phase = Phase::Over;
                }
            },
        }
        Ok(Some(Step::Again))
    }

    fn entry(&mut self, wire: &mut Wire, batch: &Batch, one: &Received) -> Result<(), SessionError> {
        let updates = match &one.fate {
            Fate::Refused(reason) => return self.line(wire, batch, &[b"ng ", one.name(), b" ", reason]),
            Fate::Open => &[][..],
            Fate::Done(updates) => &updates[..],
        };
        let (first, more) =
            updates.split_first().map_or((None, &[][..]), |(first, more)| (Some(first), more));
        self.line(wire, batch, &[b"ok ", one.name()])?;
        if batch.agreed.status < Status::V2 {
            return Ok(());
        }
        self.options(wire, batch, first)?;
        for update in more {
            self.line(wire, batch, &[b"ok ", one.name()])?;
            self.options(wire, batch, Some(update))?;
        }
        Ok(())
    }

    /// In Git's order (PUSH-21).
    fn options(
        &mut self,
        wire: &mut Wire,
        batch: &Batch,
        update: Option<&Updated>,
    ) -> Result<(), SessionError> {
        let Some(update) = update else { return Ok(()) };
        if let Some(name) = &update.name {
            self.line(wire, batch, &[b"option refname ", name.as_bytes()])?;
        }
        for (key, id) in [(&b"option old-oid "[..], &update.old), (b"option new-oid ", &update.new)] {
            if let Some(id) = id {
                self.line(wire, batch, &[key, id.to_hex().as_bytes()])?;
            }
        }
        if update.forced {
            self.line(wire, batch, &[b"option forced-update"])?;
        }
        Ok(())
    }

    fn line(&mut self, wire: &mut Wire, batch: &Batch, parts: &[&[u8]]) -> Result<(), SessionError> {
        if !batch.agreed.sideband {
            return wire.line(parts);
        }
        pkt::put_line(&mut self.pending, parts)?;
        while self.pending.len() >= MAX_BAND_DATA {
            let piece = self.pending.split_to(MAX_BAND_DATA).freeze();
            band(wire, &piece)?;
        }
        Ok(())
    }

    /// The report's own flush, inside the sideband if there is one (PUSH-15).
    fn end(&mut self, wire: &mut Wire, batch: &Batch) -> Result<(), SessionError> {
        if !batch.agreed.sideband {
            wire.flush();
            return Ok(());
        }
        pkt::put_flush(&mut self.pending);
        while !self.pending.is_empty() {
            let piece = self.pending.split_to(self.pending.len().min(MAX_BAND_DATA)).freeze();
            band(wire, &piece)?;
        }
        Ok(())
    }
}

/// A report is short: it is copied into the turn so that it leaves in one write with what surrounds it.
fn band(wire: &mut Wire, piece: &Bytes) -> Result<(), SessionError> {
    Ok(pkt::put_packet(wire.turn(), &[&[Band::Data.as_u8()], piece])?)
}
