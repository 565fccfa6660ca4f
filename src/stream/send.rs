//! The sending half of a stream: the credit that blocks wait for, and how many were sent.

use bytes::Bytes;

use super::config::Limits;
use super::error::{Error, WriteError};
use super::size::{Sizing, piece};
use super::store::Store;
use super::window::Credit;
use crate::Transmit;
use crate::frame::{Frame, FrameType};

/// How far this direction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// More may be written.
    Writing,
    /// Nothing more will be; LAST is due.
    Finishing,
    /// LAST was sent, or this end never sends.
    Done,
}

/// What could be sent now.
enum Next {
    /// Nothing waits.
    Nothing,
    /// Something waits for credit.
    Blocked,
    /// So many bytes of the oldest block.
    Piece { length: usize, size: u32 },
    /// LAST without a block: the end of the direction after everything was sent.
    Mark,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct SendHalf {
    credit: Credit,
    /// Blocks sent.
    sent: u32,
    /// Of these, blocks that the peer has consumed, as it says.
    consumed: u32,
    /// Granted since the wait began: the pace that the peer has to keep (T4).
    paced: u32,
    stage: Stage,
}

impl SendHalf {
    pub(super) const fn new(window: u32, sends: bool) -> Self {
        let stage = if sends { Stage::Writing } else { Stage::Done };
        Self { credit: Credit::new(window), sent: 0, consumed: 0, paced: u32::MAX, stage }
    }

    pub(super) const fn sent(&self) -> u32 {
        self.sent
    }

    pub(super) const fn credit(&self) -> Credit {
        self.credit
    }

    #[inline]
    pub(super) const fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    #[inline]
    pub(super) fn can_write(&self, store: &Store, limits: &Limits) -> bool {
        matches!(self.stage, Stage::Writing) && store.waiting_charge() < limits.send_bytes
    }

    #[inline]
    pub(super) fn write(
        &self,
        store: &mut Store,
        sizing: Sizing,
        limits: &Limits,
        block: Bytes,
    ) -> Result<(), WriteError> {
        if !matches!(self.stage, Stage::Writing) {
            return Err(WriteError::Over);
        }
        if sizing.is_bytes() {
            // Nothing is nothing: a byte stream has no borders that an empty block could mark.
            if block.is_empty() {
                return Ok(());
            }
        } else {
            let (length, limit, window) = (block.len(), limits.max_block, self.credit.window());
            let size = sizing.size(limits, &block);
            if length > limit {
                return Err(WriteError::TooLarge { length, limit });
            }
            if size == 0 {
                return Err(WriteError::ZeroSize);
            }
            if size > window {
                return Err(WriteError::LargerThanWindow { size, window });
            }
        }
        if store.waiting_charge() >= limits.send_bytes {
            return Err(WriteError::Full { limit: limits.send_bytes });
        }
        store.push_waiting(block);
        Ok(())
    }

    #[inline]
    pub(super) fn finish(&mut self) {
        match self.stage {
            Stage::Writing => self.stage = Stage::Finishing,
            Stage::Finishing | Stage::Done => {}
        }
    }

    #[inline]
    fn next(&self, store: &Store, sizing: Sizing, limits: &Limits) -> Next {
        let Some(front) = store.first_waiting() else {
            return match self.stage {
                Stage::Finishing => Next::Mark,
                Stage::Writing | Stage::Done => Next::Nothing,
            };
        };
        let credit = self.credit.available();
        if !sizing.is_bytes() {
            let (length, size) = (front.len(), sizing.size(limits, front));
            return if credit >= size { Next::Piece { length, size } } else { Next::Blocked };
        }
        let most = usize::try_from(piece(self.credit.window())).unwrap_or(usize::MAX);
        let length = front.len().min(limits.chunk_size).min(limits.max_block).min(most);
        let size = u32::try_from(length).unwrap_or(u32::MAX);
        // A piece is never cut to what credit is left: a peer that grants a byte at a time gets no frame for each.
        if credit >= size { Next::Piece { length, size } } else { Next::Blocked }
    }

    #[inline]
    pub(super) fn has_transmit(&self, store: &Store, sizing: Sizing, limits: &Limits) -> bool {
        match self.next(store, sizing, limits) {
            Next::Nothing | Next::Blocked => false,
            Next::Piece { .. } | Next::Mark => true,
        }
    }

    #[inline]
    pub(super) fn is_blocked(&self, store: &Store, sizing: Sizing, limits: &Limits) -> bool {
        match self.next(store, sizing, limits) {
            Next::Blocked => true,
            Next::Nothing | Next::Piece { .. } | Next::Mark => false,
        }
    }

    /// The next DATA or LAST.
    pub(super) fn poll(
        &mut self,
        store: &mut Store,
        sizing: Sizing,
        limits: &Limits,
    ) -> Result<Option<Transmit>, Error> {
        let (length, size) = match self.next(store, sizing, limits) {
            Next::Nothing | Next::Blocked => return Ok(None),
            Next::Mark => {
                self.stage = Stage::Done;
                return Ok(Some(Frame::new(FrameType::Last, self.sent, Bytes::new()).encode()));
            }
            Next::Piece { length, size } => (length, size),
        };
        let count = self.sent.checked_add(1).ok_or(Error::IdsExhausted)?;
        self.credit.spend(size)?;
        let block = store.take_waiting(length);
        let is_last = matches!(self.stage, Stage::Finishing) && store.first_waiting().is_none();
        // An empty LAST would be taken for the bare mark.
        let kind = if is_last && !block.is_empty() {
            self.stage = Stage::Done;
            FrameType::Last
        } else {
            FrameType::Data
        };
        let id = self.sent;
        self.sent = count;
        Ok(Some(Frame::new(kind, id, block).encode()))
    }

    /// A CREDIT: `consumed` blocks so far, and the grant as four bytes.
    pub(super) fn handle_credit(&mut self, consumed: u32, payload: &[u8]) -> Result<(), Error> {
        let Ok(grant) = <[u8; 4]>::try_from(payload) else {
            return Err(Error::MalformedCredit { length: payload.len() });
        };
        self.check_consumed(consumed)?;
        let grant = u32::from_be_bytes(grant);
        self.credit.grant(grant)?;
        self.paced = self.paced.saturating_add(grant);
        self.consumed = consumed;
        Ok(())
    }

    /// The count in a CREDIT or CANCEL: no more than was sent, no less than before.
    pub(super) const fn check_consumed(&self, consumed: u32) -> Result<(), Error> {
        if consumed < self.consumed || consumed > self.sent {
            return Err(Error::Miscredited { consumed, before: self.consumed, sent: self.sent });
        }
        Ok(())
    }

    /// Whether the peer has granted half a window since the last time this was true: then its time begins anew.
    pub(super) const fn keeps_pace(&mut self) -> bool {
        let half = self.credit.window().div_ceil(2);
        if self.paced < half {
            return false;
        }
        self.paced = 0;
        true
    }

    /// Nothing waits: the next wait is a new one.
    #[inline]
    pub(super) const fn reset_pace(&mut self) {
        self.paced = u32::MAX;
    }

    /// Nothing more is sent.
    #[inline]
    pub(super) const fn stop(&mut self) {
        self.stage = Stage::Done;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// STREAM-25.
    #[test]
    fn stream_25_block_numbers_do_not_wrap() {
        let limits = Limits::default();
        let (mut half, mut store) = (SendHalf::new(16, true), Store::new());
        half.sent = u32::MAX - 1;
        for _ in 0..2 {
            half.write(&mut store, Sizing::Items, &limits, Bytes::from_static(b"x")).unwrap();
        }
        let last = half.poll(&mut store, Sizing::Items, &limits).unwrap().unwrap();
        assert_eq!(last.into_bytes().as_ref(), b"\0\xff\xff\xff\xfex");
        assert_eq!(half.poll(&mut store, Sizing::Items, &limits), Err(Error::IdsExhausted));
        assert_eq!(half.sent(), u32::MAX, "which END can still tell");
    }
}
