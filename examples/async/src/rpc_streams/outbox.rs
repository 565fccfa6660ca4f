//! What waits for the socket: one vectored write takes many messages.

use std::collections::VecDeque;

use bytes::Buf;
use portline::Transmit;

/// Messages, written as one run of bytes.
#[derive(Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<Transmit>,
    bytes: usize,
}

impl Outbox {
    /// Enough for one write.
    const ENOUGH: usize = 256 << 10;

    pub(crate) const fn has_room(&self) -> bool {
        self.bytes < Self::ENOUGH
    }

    pub(crate) fn push(&mut self, message: Transmit) {
        self.bytes = self.bytes.saturating_add(message.len());
        self.waiting.push_back(message);
    }
}

impl Buf for Outbox {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.waiting.front().map(Buf::chunk).unwrap_or_default()
    }

    fn advance(&mut self, count: usize) {
        let mut left = count;
        while let Some(first) = self.waiting.front_mut() {
            let step = left.min(first.len());
            first.advance(step);
            left = left.saturating_sub(step);
            self.bytes = self.bytes.saturating_sub(step);
            if !first.is_empty() {
                return;
            }
            self.waiting.pop_front();
        }
    }

    fn chunks_vectored<'a>(&'a self, out: &mut [std::io::IoSlice<'a>]) -> usize {
        let mut used = 0;
        for message in &self.waiting {
            match out.get_mut(used..) {
                Some(rest) if !rest.is_empty() => used = used.saturating_add(message.chunks_vectored(rest)),
                Some(_) | None => break,
            }
        }
        used
    }
}
