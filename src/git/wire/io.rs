//! Input and output of one session: packets and sideband in, turns and bands out.

use alloc::collections::VecDeque;
use core::time::Duration;

use bytes::{Bytes, BytesMut};

use super::SessionError;
use super::clock::Clock;
use crate::pkt::{self, Band, Fragment, MAX_BAND_DATA, Packet, Reader};
use crate::time::Instant;
use crate::{Transmit, limits};

/// Input, output and deadline of one session.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) input: Reader,
    /// Lines of the turn being written.
    turn: BytesMut,
    out: VecDeque<Transmit>,
    out_bytes: usize,
    pub(super) closed: bool,
    /// The words of band 3 so far.
    fatal: Option<BytesMut>,
    pub(super) clock: Clock,
}

impl Wire {
    pub(super) fn new(idle: Option<Duration>, now: Instant) -> Self {
        let deadline = idle.and_then(|idle| now.checked_add(idle));
        Self {
            input: Reader::new(),
            turn: BytesMut::new(),
            out: VecDeque::new(),
            out_bytes: 0,
            closed: false,
            fatal: None,
            clock: Clock { now, idle, deadline, taken: false, keep_alive: None, beat: None, spoke: false },
        }
    }

    /// The next whole packet, `None` when more input is needed.
    ///
    /// # Errors
    /// [`SessionError::Pkt`]; at the end of the input [`SessionError::Ended`], or how much was missing of a
    /// packet that had begun.
    pub(crate) fn packet(&mut self, expected: &'static str) -> Result<Option<Packet<Bytes>>, SessionError> {
        match self.input.next_packet()? {
            Some(packet) => Ok(Some(packet)),
            None => self.starved(expected).map(|()| None),
        }
    }

    /// The next piece of bands 1 and 2, or a special packet; otherwise as [`Wire::packet`].
    ///
    /// # Errors
    /// Also what the peer says on band 3, or in a plain `ERR` packet where a band should be, as
    /// [`SessionError::Remote`]: the same words however the input was split.
    pub(crate) fn fragment(&mut self, expected: &'static str) -> Result<Option<Fragment>, SessionError> {
        loop {
            match self.input.next_fragment() {
                Ok(Some(Fragment::Data { band: Band::Fatal, bytes })) => self.take_fatal(&bytes)?,
                Ok(Some(fragment)) => return Ok(Some(fragment)),
                Ok(None) => {
                    let starved = self.starved(expected).map(|()| None);
                    return starved.map_err(|error| self.last_words().unwrap_or(error));
                }
                // What looks like band 69 is the first letter of an ERR packet.
                Err(error @ pkt::Error::UnknownBand { band: b'E' }) => {
                    return match self.packet(expected)? {
                        None => Ok(None),
                        Some(Packet::Data(line)) if line.starts_with(b"ERR ") => {
                            Err(SessionError::remote(line.get(4..).unwrap_or(&[])))
                        }
                        Some(_) => Err(error.into()),
                    };
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Gathers a message on band 3 to the end of its packet; what is over the limit is not kept.
    fn take_fatal(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        let words = self.fatal.get_or_insert_default();
        // One byte more than is shown: whether an LF stands at the very end is not known before.
        let room = limits::ERROR_MESSAGE.saturating_add(1).saturating_sub(words.len());
        words.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        match self.input.missing()? {
            0 => Err(self.last_words().unwrap_or(SessionError::Remote { message: Bytes::new() })),
            _ => Ok(()),
        }
    }

    /// What band 3 has said, whole or not.
    fn last_words(&mut self) -> Option<SessionError> {
        self.fatal.take().map(|words| SessionError::remote(&words))
    }

    /// Waiting for input is fine until there will be none.
    pub(crate) fn starved(&self, expected: &'static str) -> Result<(), SessionError> {
        if !self.closed {
            return Ok(());
        }
        match self.input.missing()? {
            0 => Err(SessionError::Ended { expected }),
            missing => Err(pkt::Error::Truncated { missing }.into()),
        }
    }

    /// Whether the peer has ended its direction. Input may still be buffered.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// The next response of a stateless transport begins: input comes again.
    pub(crate) const fn reopen(&mut self) {
        self.closed = false;
    }

    /// Whether more output may be made.
    pub(crate) fn has_room(&self) -> bool {
        self.out_bytes.saturating_add(self.turn.len()) < limits::GIT_OUTPUT
    }

    /// The turn being written, for the `put_*` functions of [`crate::pkt`].
    pub(crate) const fn turn(&mut self) -> &mut BytesMut {
        &mut self.turn
    }

    /// Appends a text line with its LF to the turn.
    pub(crate) fn line(&mut self, parts: &[&[u8]]) -> Result<(), SessionError> {
        Ok(pkt::put_line(&mut self.turn, parts)?)
    }

    /// Appends a flush packet to the turn.
    pub(crate) fn flush(&mut self) {
        pkt::put_flush(&mut self.turn);
    }

    /// Queues bytes as they are: a pack outside the sideband.
    pub(crate) fn raw(&mut self, bytes: Bytes) {
        self.queue(Transmit::new(bytes));
    }

    /// Queues `bytes` on a band, in packets of at most `most` bytes of data; the payload is not copied.
    pub(crate) fn band(&mut self, band: Band, mut bytes: Bytes, most: usize) {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(most).min(MAX_BAND_DATA));
            let Ok([a, b, c, d]) = pkt::encode_header(piece.len().saturating_add(1)) else { return };
            self.queue(Transmit::with_header([a, b, c, d, band.as_u8()], piece));
        }
    }

    fn queue(&mut self, transmit: Transmit) {
        self.clock.spoke = true;
        self.end_turn();
        self.out_bytes = self.out_bytes.saturating_add(transmit.len());
        self.out.push_back(transmit);
    }

    /// Queues a keep-alive, an empty packet on band 1; not behind what the peer has not taken yet.
    pub(super) fn keep_alive(&mut self) {
        self.clock.spoke = true;
        if self.out.is_empty() && self.turn.is_empty() {
            self.queue(Transmit::new(Bytes::from_static(b"0005\x01")));
        }
    }

    fn end_turn(&mut self) {
        if !self.turn.is_empty() {
            let turn = Transmit::new(self.turn.split().freeze());
            self.out_bytes = self.out_bytes.saturating_add(turn.len());
            self.out.push_back(turn);
        }
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Transmit> {
        if self.out.is_empty() {
            self.end_turn();
        }
        let next = self.out.pop_front()?;
        self.out_bytes = self.out_bytes.saturating_sub(next.len());
        self.clock.taken = true;
        Some(next)
    }
}
