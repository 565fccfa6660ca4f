//! Input that waits for a parser: pieces as they came, up to the end of what a body may have.

use alloc::collections::VecDeque;

use bytes::Bytes;

use crate::limits;

/// Input was not taken: more was given than may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overrun;

/// How much of the body is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// So many bytes may come.
    Open { left: u64 },
    /// More came than may.
    TooLong,
    /// It has ended.
    Closed,
}

/// Pieces without an end of a line are looked at as one if they are shorter than this: a search is the longer part then.
const SHORT: usize = 16;

/// The input of a parser that looks at it when actions are polled.
#[derive(Debug)]
pub(super) struct Input {
    /// The piece to be read next. Never empty.
    piece: Option<Bytes>,
    /// Pieces behind it.
    waiting: VecDeque<Bytes>,
    /// Their bytes, overhead included.
    waiting_bytes: usize,
    /// Bytes that may wait, when more than one piece does.
    max_waiting: usize,
    body: Body,
}

impl Input {
    pub(super) const fn new(max_body: u64, max_waiting: usize) -> Self {
        let body = Body::Open { left: max_body };
        Self { piece: None, waiting: VecDeque::new(), waiting_bytes: 0, max_waiting, body }
    }

    /// Takes a piece. What is beyond the body's limit is cut off, so that all in front of it is read, whatever the
    /// split.
    #[inline]
    pub(super) fn push(&mut self, piece: Bytes) -> Result<(), Overrun> {
        let Body::Open { left } = &mut self.body else { return Ok(()) };
        match left.checked_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX)) {
            Some(less) if self.piece.is_none() && self.waiting.is_empty() => {
                *left = less;
                self.put_back(Some(piece));
                Ok(())
            }
            less => self.wait(piece, less),
        }
    }

    /// Lets a piece wait behind others, and cuts it off where the body is too long.
    #[inline(never)]
    fn wait(&mut self, mut piece: Bytes, less: Option<u64>) -> Result<(), Overrun> {
        let Body::Open { left } = self.body else { return Ok(()) };
        self.body = match less {
            Some(left) => Body::Open { left },
            None => {
                piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                Body::TooLong
            }
        };
        if self.is_empty() || piece.is_empty() {
            self.put_back(Some(piece));
            return Ok(());
        }
        self.waiting_bytes = self.waiting_bytes.saturating_add(cost(&piece));
        self.waiting.push_back(piece);
        let first = self.piece.as_ref().map_or(0, Bytes::len);
        if self.waiting_bytes.saturating_add(first) > self.max_waiting { Err(Overrun) } else { Ok(()) }
    }

    pub(super) const fn close(&mut self) {
        if let Body::Open { .. } = self.body {
            self.body = Body::Closed;
        }
    }

    /// Whether the body goes on.
    #[inline]
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.body, Body::Open { .. })
    }

    /// Whether the body is longer than it may be. All that it may have is still read before.
    pub(super) const fn is_too_long(&self) -> bool {
        matches!(self.body, Body::TooLong)
    }

    /// Whether nothing waits.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.piece.is_none() && self.waiting.is_empty()
    }

    /// Whether more is of use now.
    pub(super) fn wants_more(&self) -> bool {
        self.is_open() && self.is_empty()
    }

    /// Takes the next piece out, which has something in it. `None`: there is none now.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Bytes> {
        self.piece.take().or_else(|| {
            let next = self.waiting.pop_front()?;
            self.waiting_bytes = self.waiting_bytes.saturating_sub(cost(&next));
            Some(next)
        })
    }

    /// Takes the next piece out if it is short, at most `most` long, and without `end`.
    #[inline]
    pub(super) fn take_plain(&mut self, end: u8, most: usize) -> Option<Bytes> {
        self.piece.take_if(|piece| piece.len() < SHORT && piece.len() <= most && !piece.contains(&end))
    }

    /// What was not read of the piece that was taken: it is the next, if it is anything.
    #[inline]
    pub(super) fn put_back(&mut self, rest: Option<Bytes>) {
        if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
            self.piece = Some(rest);
        }
    }

    /// Forgets what waits: nothing of it will be read.
    pub(super) fn discard(&mut self) {
        self.piece = None;
        self.waiting = VecDeque::new();
        self.waiting_bytes = 0;
    }
}

/// What a piece counts for that waits, on its way in or out.
pub(super) fn cost(piece: &Bytes) -> usize {
    piece.len().saturating_add(limits::CHUNK_OVERHEAD)
}
