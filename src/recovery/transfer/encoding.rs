//! A transfer as bytes, to be stored by a program and read back after a restart (RECOVERY-11).
//!
//! ```text
//! "PLTX" version(1 byte: 1) id(8) direction(1: 0 fetch, 1 push) moved(8) expected(1: 0 none, 1 some, then 8)
//! objects(8) elapsed microseconds(8) items(4), each: complete(1) name length(4) name target length(4) target
//! ```
//!
//! Numbers are big-endian. Nothing follows the last item.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Direction, Item, TooMany, Transfer};
use crate::limits;
use crate::time::Instant;

const MAGIC: &[u8; 4] = b"PLTX";
const VERSION: u8 = 1;

/// Why stored bytes are no transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// They do not begin as one, or are of another version.
    #[error("the bytes are no stored transfer of version {VERSION}")]
    Version,
    /// They end too early.
    #[error("the stored transfer ends too early")]
    Truncated,
    /// Something follows the end.
    #[error("something follows the end of the stored transfer")]
    Trailing,
    /// A byte that is neither 0 nor 1 where it must be.
    #[error("the stored transfer holds the byte {byte:#04x} where 0 or 1 is due")]
    Flag {
        /// The byte.
        byte: u8,
    },
    /// More than a transfer keeps track of.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

impl Transfer {
    /// The state as bytes; time counts up to `now`.
    #[must_use]
    pub fn encode(&self, now: Instant) -> Bytes {
        let mut to = BytesMut::new();
        to.put_slice(MAGIC);
        to.put_u8(VERSION);
        to.put_u64(self.id);
        to.put_u8(match self.direction {
            Direction::Fetch => 0,
            Direction::Push => 1,
        });
        to.put_u64(self.moved);
        to.put_u8(self.expected.is_some().into());
        if let Some(expected) = self.expected {
            to.put_u64(expected);
        }
        to.put_u64(self.objects);
        to.put_u64(u64::try_from(self.elapsed(now).as_micros()).unwrap_or(u64::MAX));
        // Both fit: `TRANSFER_ITEMS` and `TRANSFER_BYTES` are below 2^32.
        to.put_u32(u32::try_from(self.items.len()).unwrap_or(u32::MAX));
        for item in &self.items {
            to.put_u8(item.complete.into());
            for text in [&item.name, &item.target] {
                to.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
                to.put_slice(text);
            }
        }
        to.freeze()
    }

    /// What [`encode`](Self::encode) wrote. The transfer is paused: time counts again from [`begin`](Self::begin).
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(stored: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = stored.strip_prefix(MAGIC).ok_or(DecodeError::Version)?;
        if byte(&mut rest)? != VERSION {
            return Err(DecodeError::Version);
        }
        let id = number(&mut rest)?;
        let direction = if flag(&mut rest)? { Direction::Push } else { Direction::Fetch };
        let moved = number(&mut rest)?;
        let expected = if flag(&mut rest)? { Some(number(&mut rest)?) } else { None };
        let (objects, elapsed) = (number(&mut rest)?, number(&mut rest)?);
        let count = length(&mut rest)?;
        if count > limits::TRANSFER_ITEMS {
            return Err(TooMany { what: "items", limit: limits::TRANSFER_ITEMS }.into());
        }
        let mut items = Vec::new();
        for _ in 0..count {
            let complete = flag(&mut rest)?;
            let (name, target) = (text(&mut rest)?, text(&mut rest)?);
            items.push(Item { name, target, complete });
        }
        if !rest.is_empty() {
            return Err(DecodeError::Trailing);
        }
        let mut transfer = Self::new(id, direction, items)?;
        transfer.moved = moved;
        transfer.expected = expected;
        transfer.objects = objects;
        transfer.before = Duration::from_micros(elapsed);
        Ok(transfer)
    }
}

fn take<'a>(rest: &mut &'a [u8], size: usize) -> Result<&'a [u8], DecodeError> {
    let (taken, after) = rest.split_at_checked(size).ok_or(DecodeError::Truncated)?;
    *rest = after;
    Ok(taken)
}

fn byte(rest: &mut &[u8]) -> Result<u8, DecodeError> {
    let (first, after) = rest.split_first().ok_or(DecodeError::Truncated)?;
    *rest = after;
    Ok(*first)
}

fn flag(rest: &mut &[u8]) -> Result<bool, DecodeError> {
    match byte(rest)? {
        0 => Ok(false),
        1 => Ok(true),
        byte => Err(DecodeError::Flag { byte }),
    }
}

fn number(rest: &mut &[u8]) -> Result<u64, DecodeError> {
    let digits = take(rest, 8)?;
    digits.try_into().map(u64::from_be_bytes).map_err(|_| DecodeError::Truncated)
}

fn length(rest: &mut &[u8]) -> Result<usize, DecodeError> {
    let digits = take(rest, 4)?.try_into().map_err(|_| DecodeError::Truncated)?;
    usize::try_from(u32::from_be_bytes(digits)).map_err(|_| DecodeError::Truncated)
}

fn text(rest: &mut &[u8]) -> Result<Bytes, DecodeError> {
    let size = length(rest)?;
    take(rest, size).map(Bytes::copy_from_slice)
}
