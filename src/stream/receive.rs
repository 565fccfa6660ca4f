//! The receiving half of a stream: blocks that came, those handed out and not yet consumed, and what is granted back.

use alloc::boxed::Box;

use bytes::{Bytes, BytesMut};

use super::config::Limits;
use super::error::Error;
use super::queue::Queue;
use super::size::Sizing;
use super::window::{Window, WindowError, portion};
use crate::frame::{FrameType, encode_header};
use crate::{Transmit, limits};

/// Blocks of a byte stream below this are joined while they wait (T6).
const SMALL: usize = 512;
/// A joined block is closed once it is this long.
const JOINED: usize = 8192;

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

/// What was handed out as one: its size, and how many blocks it was on the wire.
#[derive(Clone, Copy, Debug, Hash)]
struct Held {
    size: u32,
    blocks: u32,
}

#[derive(Clone, Debug, Hash)]
enum Data {
    Single(Bytes),
    Joined(BytesMut),
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::Single(data) => data.len(),
            Self::Joined(data) => data.len(),
        }
    }

    fn join(&mut self, more: &Bytes) {
        match self {
            Self::Single(data) => {
                let mut joined =
                    BytesMut::with_capacity(data.len().saturating_add(more.len()).saturating_mul(2));
                joined.extend_from_slice(data);
                joined.extend_from_slice(more);
                *self = Self::Joined(joined);
            }
            Self::Joined(data) => data.extend_from_slice(more),
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Single(data) => data,
            Self::Joined(data) => data.freeze(),
        }
    }
}

/// What only a busy stream needs.
#[derive(Clone, Debug, Default, Hash)]
struct Incoming {
    arrived: Queue<(Data, Held)>,
    /// Bytes in `arrived`.
    bytes: usize,
    /// Handed out, oldest first.
    handed: Queue<Held>,
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
    incoming: Option<Box<Incoming>>,
}

impl ReceiveHalf {
    pub(super) const fn new(window: u32) -> Self {
        let window = Window::new(window);
        Self { window, received: 0, consumed: 0, peer: Peer::Sending, pace: Pace::First, incoming: None }
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

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.incoming.as_ref().is_none_or(|incoming| incoming.arrived.is_empty())
    }

    /// Bytes that wait to be polled, with the overhead of each piece (T6).
    pub(super) fn charged(&self) -> usize {
        self.incoming.as_ref().map_or(0, |incoming| {
            incoming.bytes.saturating_add(incoming.arrived.len().saturating_mul(limits::CHUNK_OVERHEAD))
        })
    }

    /// A DATA or LAST. Checked before anything is kept (T2).
    #[inline]
    pub(super) fn handle_block(
        &mut self,
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
            self.push(payload, size, sizing.is_bytes());
        }
        if is_last {
            self.peer = Peer::Done;
        }
        Ok(())
    }

    #[inline]
    fn push(&mut self, block: Bytes, size: u32, may_join: bool) {
        let incoming = self.incoming.get_or_insert_default();
        incoming.bytes = incoming.bytes.saturating_add(block.len());
        if may_join && block.len() < SMALL {
            if let Some((data, held)) = incoming.arrived.back_mut() {
                if data.len() < JOINED && (matches!(data, Data::Joined(_)) || data.len() < SMALL) {
                    data.join(&block);
                    held.size = held.size.saturating_add(size);
                    held.blocks = held.blocks.saturating_add(1);
                    return;
                }
            }
        }
        incoming.arrived.push_back(|| (Data::Single(block), Held { size, blocks: 1 }));
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

    /// The next block for the application.
    #[inline]
    pub(super) fn poll(&mut self) -> Option<Bytes> {
        let incoming = self.incoming.as_mut()?;
        let (data, held) = incoming.arrived.pop_front()?;
        incoming.bytes = incoming.bytes.saturating_sub(data.len());
        incoming.handed.push_back(|| held);
        Some(data.into_bytes())
    }

    /// The application has consumed the oldest block that was handed out.
    #[inline]
    pub(super) fn consume(&mut self) {
        let Some(held) = self.incoming.as_mut().and_then(|incoming| incoming.handed.pop_front()) else {
            return;
        };
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

    /// Drops what has arrived.
    #[inline]
    pub(super) fn stop(&mut self) {
        self.incoming = None;
    }

    /// Whether nothing waits and nothing is to be consumed.
    pub(super) fn is_idle(&self) -> bool {
        self.incoming.as_ref().is_none_or(|i| i.arrived.is_empty() && i.handed.is_empty())
    }

    /// Bytes on the heap, what waits not counted.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.incoming
            .as_ref()
            .map_or(0, |incoming| size_of::<Incoming>() + incoming.arrived.heap() + incoming.handed.heap())
    }

    /// Gives memory back that an idle stream does not need.
    pub(super) fn shrink(&mut self) {
        if self.is_idle() {
            self.incoming = None;
        }
    }
}
