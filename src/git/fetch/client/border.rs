//! `shallow` and `unshallow` lines.

use alloc::collections::BTreeSet;

use bytes::Bytes;

use super::Error;
use crate::git::{ObjectFormat, ObjectId, SessionError, ShallowUpdate};
use crate::limits;
use crate::pkt::{self, Packet};

/// Takes one line of how the border moves (SHALLOWC-4, SHALLOWC-5).
pub(super) fn take(
    update: &mut ShallowUpdate,
    packet: &Packet<Bytes>,
    border: &BTreeSet<ObjectId>,
    format: ObjectFormat,
    expected: &'static str,
) -> Result<(), Error> {
    let unexpected = || SessionError::unexpected(expected, packet);
    let Packet::Data(line) = packet else { return Err(unexpected().into()) };
    let line = pkt::trim_lf(line);
    if let Some(message) = line.strip_prefix(b"ERR ") {
        return Err(SessionError::remote(message).into());
    }
    if update.shallow.len().saturating_add(update.unshallow.len()) >= limits::SHALLOW {
        return Err(SessionError::TooMany { what: "shallow lines", limit: limits::SHALLOW }.into());
    }
    let id = |hex: &[u8]| {
        let id = ObjectId::from_hex(hex).ok().filter(|id| id.format() == format);
        id.ok_or_else(unexpected)
    };
    if let Some(hex) = line.strip_prefix(b"shallow ") {
        update.shallow.push(id(hex)?);
    } else if let Some(hex) = line.strip_prefix(b"unshallow ") {
        let id = id(hex)?;
        if !border.contains(&id) {
            return Err(Error::UnknownUnshallow { id });
        }
        update.unshallow.push(id);
    } else {
        return Err(unexpected().into());
    }
    Ok(())
}
