//! Where the calls of both directions stand.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::Fallback;
use super::upkeep::Streams;
use crate::frame::carrier::LENGTH_LEN;
use crate::rpc::CallError;
use crate::time::Instant;

/// What a call of ours says.
#[derive(Clone, Debug, Hash)]
pub(super) struct Request {
    pub(super) method: Bytes,
    pub(super) arguments: Bytes,
    pub(super) fallback: Fallback,
    /// Whether it is made again, and so as a batch.
    pub(super) again: bool,
}

impl Request {
    pub(super) fn cost(&self) -> usize {
        let items = match &self.fallback {
            Fallback::None => 0,
            Fallback::Batch(items) => {
                items.iter().fold(4_usize, |sum, item| sum.saturating_add(item.len()).saturating_add(4))
            }
        };
        self.method.len().saturating_add(self.arguments.len()).saturating_add(items).saturating_add(7)
    }
}

/// A result that waits for its streams, and the request if the call can be made again as a batch.
#[derive(Clone, Debug, Hash)]
pub(super) struct Returned {
    pub(super) result: Result<Bytes, CallError>,
    pub(super) request: Option<Box<Request>>,
}

/// Where a call of ours stands.
#[derive(Clone, Debug, Hash)]
pub(super) enum Ours {
    /// It waits in the queue of the control channel, or for READY.
    Queued(Box<Request>),
    /// It was sent; the request is kept if it can be made again as a batch.
    Sent(Option<Box<Request>>),
    /// It was sent as a batch.
    Batched,
    /// Its result is there and waits for its streams.
    Returned(Box<Returned>),
    /// It was aborted, and its end delivered; the peer still has to answer.
    Aborted {
        /// Streams that the peer opened on it before it heard of that.
        crossed: usize,
        /// When the answer is due: its place in `answers`.
        deadline: Option<Instant>,
    },
    /// The same, but the peer has answered or its time is over. Only its streams still have to end.
    Forgotten,
}

/// A call of ours.
#[derive(Clone, Debug, Hash)]
pub(super) struct Outgoing {
    pub(super) state: Ours,
    /// Whether one of its streams has failed, and not by our own hand.
    pub(super) broken: bool,
    pub(super) streams: Streams,
}

/// Where a call of the peer's stands.
#[derive(Clone, Debug, Hash)]
pub(super) enum Theirs {
    Running,
    /// Answered; the result waits for the streams.
    Answered(Box<Result<Bytes, Bytes>>),
    /// Given up by the peer; its streams are ending.
    Aborted,
}

/// What a batch has collected.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Collected {
    /// The caller's items, until a stream takes them.
    pub(super) items: Vec<Bytes>,
    /// Ours, each with its length.
    pub(super) out: BytesMut,
    /// Their cost.
    pub(super) cost: usize,
    /// One item too many was written.
    pub(super) overflowed: bool,
}

/// A RESULT besides its value: the header of its frame, and the byte that tells a value from an error.
pub(super) const RESULT_LEN: usize = 6;

/// The length of a RESULT with this value and what a batch has collected.
pub(super) fn result_len(value: &Bytes, batch: Option<&Collected>) -> usize {
    let items = batch.map_or(0, |batch| batch.out.len().saturating_add(LENGTH_LEN));
    value.len().saturating_add(items).saturating_add(RESULT_LEN)
}

/// A call of the peer's.
#[derive(Clone, Debug, Hash)]
pub(super) struct Incoming {
    pub(super) state: Theirs,
    pub(super) batch: Option<Box<Collected>>,
    pub(super) streams: Streams,
}

impl Incoming {
    pub(super) const fn is_running(&self) -> bool {
        matches!(self.state, Theirs::Running)
    }

    /// Whether the peer waits for its answer.
    pub(super) const fn is_pending(&self) -> bool {
        !matches!(self.state, Theirs::Aborted)
    }

    /// Whether it is a batch that has room.
    pub(super) fn collects(&self) -> bool {
        self.batch.as_ref().is_some_and(|batch| !batch.overflowed)
    }
}

impl Outgoing {
    /// Whether streams may still be opened on it.
    pub(super) const fn is_running(&self) -> bool {
        matches!(self.state, Ours::Sent(_))
    }

    /// How many streams opened on it have crossed with its abort, if it was aborted and the peer has not answered.
    pub(super) const fn crossed(&mut self) -> Option<&mut usize> {
        match &mut self.state {
            Ours::Aborted { crossed, .. } => Some(crossed),
            Ours::Queued(_) | Ours::Sent(_) | Ours::Batched | Ours::Returned(_) | Ours::Forgotten => None,
        }
    }

    /// Whether its end is still to be told.
    pub(super) const fn is_pending(&self) -> bool {
        !matches!(self.state, Ours::Aborted { .. } | Ours::Forgotten)
    }

    /// The peer has not answered in time: nothing more is expected of an aborted call.
    pub(super) fn forget(&mut self) {
        self.state = Ours::Forgotten;
    }
}
