//! Input that waits for a parser: pieces as they came, up to the end of what a body may have.

use alloc::collections::VecDeque;

use bytes::Bytes;

use crate::limits;

/// Why input was not taken, or cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// More was given than may wait.
    Overrun,
    /// The body is longer than it may be; all that it may have was read.
    TooLong,
}

/// The input of a parser that looks at it when actions are polled.
#[derive(Debug)]
pub(super) struct Input {
    /// The piece being read: take from its front.
    pub(super) piece: Bytes,
    /// Pieces behind it.
    waiting: VecDeque<Bytes>,
    /// Their bytes, overhead included.
    waiting_bytes: usize,
    /// Bytes that may wait, when more than one piece does.
    max_waiting: usize,
    /// Bytes of the body that may still come; `None`: more came.
    left: Option<u64>,
    /// Whether the body has ended.
    closed: bool,
}

impl Input {
    pub(super) const fn new(max_body: u64, max_waiting: usize) -> Self {
        Self {
            piece: Bytes::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            max_waiting,
            left: Some(max_body),
            closed: false,
        }
    }

    /// Takes a piece. What is beyond the body's limit is cut off, so that all in front of it is read, whatever the
    /// split.
    #[inline]
    pub(super) fn push(&mut self, mut piece: Bytes) -> Result<(), Refused> {
        let Some(left) = self.left else { return Ok(()) };
        if self.closed || piece.is_empty() {
            return Ok(());
        }
        self.left = left.checked_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if self.left.is_none() {
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        if self.is_empty() {
            self.piece = piece;
            return Ok(());
        }
        self.waiting_bytes = self.waiting_bytes.saturating_add(cost(&piece));
        self.waiting.push_back(piece);
        if self.waiting_bytes.saturating_add(self.piece.len()) > self.max_waiting {
            return Err(Refused::Overrun);
        }
        Ok(())
    }

    pub(super) const fn close(&mut self) {
        self.closed = true;
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether nothing waits.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.piece.is_empty() && self.waiting.is_empty()
    }

    /// Whether more is of use now.
    pub(super) fn wants_more(&self) -> bool {
        !self.closed && self.left.is_some() && self.is_empty()
    }

    /// Makes `piece` the next one that has something in it. `false`: there is none now.
    #[inline]
    pub(super) fn advance(&mut self) -> Result<bool, Refused> {
        while self.piece.is_empty() {
            let Some(next) = self.waiting.pop_front() else {
                return if self.left.is_none() { Err(Refused::TooLong) } else { Ok(false) };
            };
            self.waiting_bytes = self.waiting_bytes.saturating_sub(cost(&next));
            self.piece = next;
        }
        Ok(true)
    }

    /// Forgets what waits: nothing of it will be read.
    pub(super) fn discard(&mut self) {
        self.piece = Bytes::new();
        self.waiting = VecDeque::new();
        self.waiting_bytes = 0;
    }
}

/// What a piece counts for that waits, on its way in or out.
pub(super) fn cost(piece: &Bytes) -> usize {
    piece.len().saturating_add(limits::CHUNK_OVERHEAD)
}
