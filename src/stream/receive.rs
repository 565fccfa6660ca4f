//! The receiving half of a stream: how many blocks came, how many were consumed, and what is granted back.

use bytes::Bytes;

use super::config::Limits;
use super::error::Error;
use super::size::Sizing;
use super::store::Store;
use super::window::{Window, WindowError, portion};
use crate::Transmit;
use crate::frame::{FrameType, encode_header};

/// How far the peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Peer {
    /// Its data may come, or it never sends any.
    Sending,
    /// Its direction is done.
    Done,
    /// Its END has come: nothing may follow.
    Ended,
}

/// How credit is granted (STREAM-9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Pace {
    /// Nothing was yet: a stream that stays within half of its window needs none.
    First,
    /// By portions.
    Steady,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct ReceiveHalf {
    window: Window,
    /// Blocks that came.
    received: u32,
    /// Of these, blocks that were consumed.
    consumed: u32,
    peer: Peer,
    pace: Pace,
}

impl ReceiveHalf {
    pub(super) const fn new(window: u32) -> Self {
        let window = Window::new(window);
        Self { window, received: 0, consumed: 0, peer: Peer::Sending, pace: Pace::First }
    }

    pub(super) const fn received(&self) -> u32 {
        self.received
    }

    pub(super) const fn consumed(&self) -> u32 {
        self.consumed
    }

    pub(super) const fn window(&self) -> Window {
        self.window
    }

    #[inline]
    pub(super) const fn is_done(&self) -> bool {
        match self.peer {
            Peer::Sending => false,
            Peer::Done | Peer::Ended => true,
        }
    }

    #[inline]
    pub(super) const fn has_ended(&self) -> bool {
        match self.peer {
            Peer::Ended => true,
            Peer::Sending | Peer::Done => false,
        }
    }

    /// A DATA or LAST. Checked before anything is kept (T2).
    #[inline]
    pub(super) fn handle_block(
        &mut self,
        store: &mut Store,
        sizing: Sizing,
        limits: &Limits,
        id: u32,
        payload: Bytes,
        is_last: bool,
    ) -> Result<(), Error> {
        if self.is_done() {
            return Err(Error::AfterLast { block: id });
        }
        if id != self.received {
            return Err(Error::OutOfOrder { expected: self.received, found: id });
        }
        if !(is_last && payload.is_empty()) {
            let (length, limit) = (payload.len(), limits.max_block);
            if length > limit {
                return Err(Error::TooLarge { length, limit });
            }
            let size = sizing.size(limits, &payload);
            let count = self.received.checked_add(1).ok_or(Error::IdsExhausted)?;
            self.window.take(size).map_err(|error| match error {
                WindowError::Zero => Error::ZeroSize { block: id },
                WindowError::Exceeded { size, left } => Error::Exceeded { block: id, size, granted: left },
                error @ WindowError::Overflow { .. } => Error::Grant(error),
            })?;
            self.received = count;
            store.push_arrived(payload, size, self.window.held(), sizing.is_bytes());
        }
        if is_last {
            self.peer = Peer::Done;
        }
        Ok(())
    }

    /// END, from the side that may send it: the peer's direction is done even if no LAST came.
    #[inline]
    pub(super) const fn handle_end(&mut self, count: u32) -> Result<(), Error> {
        if count != self.received {
            return Err(Error::Miscounted { announced: count, received: self.received });
        }
        self.peer = Peer::Ended;
        Ok(())
    }

    /// END after the stream was over for this side already.
    pub(super) const fn mark_ended(&mut self) {
        self.peer = Peer::Ended;
    }

    /// The application has consumed the oldest block that was handed out.
    #[inline]
    pub(super) fn consume(&mut self, store: &mut Store) {
        let Some(held) = store.pop_handed(self.window.held()) else { return };
        // What is held was taken before, so this cannot fail.
        if self.window.free(held.size).is_ok() {
            self.consumed = self.consumed.saturating_add(held.blocks);
        }
    }

    #[inline]
    pub(super) fn has_transmit(&self, sizing: Sizing, limits: &Limits) -> bool {
        if self.is_done() || self.window.freed() == 0 {
            return false;
        }
        let window = self.window.window();
        let reserve = sizing.reserve(window);
        match self.pace {
            Pace::First => self.window.is_grant_due(u32::MAX, reserve.max(window.div_ceil(2))),
            Pace::Steady => self.window.is_grant_due(portion(window, limits.credit_parts), reserve),
        }
    }

    /// The CREDIT that is due.
    pub(super) fn poll_credit(&mut self, sizing: Sizing, limits: &Limits) -> Option<Transmit> {
        if !self.has_transmit(sizing, limits) {
            return None;
        }
        self.pace = Pace::Steady;
        let [kind, a, b, c, d] = encode_header(FrameType::Credit, self.consumed);
        let [e, f, g, h] = self.window.grant().to_be_bytes();
        Some(Transmit::with_header([kind, a, b, c, d, e, f, g, h], Bytes::new()))
    }
}
