//! Packets from any split of the input.

use alloc::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::codec::{Decoded, Header, Packet, decode, decode_header};
use super::sideband::{Band, Fragment, Sideband};
use super::{Error, MAX_PACKET};
use crate::limits;

/// The incremental pkt-line decoder: bytes in as they arrive, packets, sideband fragments or raw bytes out.
///
/// Which of the three comes next is decided by the protocol's position, so the caller asks for it:
/// [`next_packet`](Self::next_packet), [`next_fragment`](Self::next_fragment), [`take_raw`](Self::take_raw).
/// Each returns `None` when it needs more input. The result does not depend on how the input was split.
///
/// Memory: what was given and not yet asked for, plus at most one packet; [`buffered`](Self::buffered) charges a
/// fixed overhead for each chunk so that a flood of tiny chunks counts as what it costs (T6).
#[derive(Debug, Default)]
pub struct Reader {
    /// The chunk being read.
    head: Bytes,
    /// Chunks behind it.
    rest: VecDeque<Bytes>,
    /// Bytes in `rest`.
    rest_bytes: usize,
    /// A packet (or a sideband packet's first five bytes) that is split across chunks.
    gather: BytesMut,
    /// A sideband packet whose data is being handed on: its band and the bytes still to come.
    open: Option<(Band, usize)>,
    /// Packets in a row that carried nothing.
    empty: u32,
}

impl Reader {
    /// A reader with no input.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the input.
    pub fn handle_bytes(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        if self.head.is_empty() && self.rest.is_empty() {
            self.head = bytes;
        } else {
            self.rest_bytes = self.rest_bytes.saturating_add(bytes.len());
            self.rest.push_back(bytes);
        }
    }

    /// Bytes held, with [`limits::CHUNK_OVERHEAD`] for each chunk that waits.
    #[must_use]
    pub fn buffered(&self) -> usize {
        let overhead = self.rest.len().saturating_mul(limits::CHUNK_OVERHEAD);
        self.head
            .len()
            .saturating_add(self.rest_bytes)
            .saturating_add(self.gather.len())
            .saturating_add(overhead)
    }

    /// Whether every byte given has been handed on.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        // A band whose last byte is handed on stays open until the next fragment is asked for.
        let is_closed = self.open.is_none_or(|(_, left)| left == 0);
        self.head.is_empty() && self.rest.is_empty() && self.gather.is_empty() && is_closed
    }

    /// How many bytes the packet lacks that the input stopped in; 0 between packets. Ask when the input has ended
    /// and nothing more can be read: then more than 0 is [`Error::Truncated`] (PKT-6).
    ///
    /// # Errors
    /// As [`decode_header`].
    pub fn missing(&self) -> Result<usize, Error> {
        if let Some((_, left)) = self.open {
            return Ok(left);
        }
        if self.gather.is_empty() {
            return Ok(0);
        }
        match decode(&self.gather)? {
            Decoded::Incomplete { needed } => Ok(needed),
            Decoded::Complete { .. } => Ok(0),
        }
    }

    /// The next whole packet.
    ///
    /// # Errors
    /// As [`decode`]; also [`Error::TooManyEmpty`] for a flood of `0004`.
    #[inline]
    pub fn next_packet(&mut self) -> Result<Option<Packet<Bytes>>, Error> {
        if let Some(length) = self.whole_line() {
            self.empty = 0;
            self.head.advance(4);
            return Ok(Some(Packet::Data(self.head.split_to(length))));
        }
        self.next_packet_slow()
    }

    /// The length of nearly every packet: a line that lies whole in the chunk being read, with something in it.
    #[inline]
    fn whole_line(&self) -> Option<usize> {
        let (digits, rest) = self.head.split_first_chunk()?;
        let Ok(Header::Data(length @ 1..)) = decode_header(*digits) else { return None };
        let length = usize::from(length);
        (length <= rest.len() && self.gather.is_empty()).then_some(length)
    }

    /// The packets that [`Self::whole_line`] leaves: special, empty, split across chunks, malformed.
    fn next_packet_slow(&mut self) -> Result<Option<Packet<Bytes>>, Error> {
        loop {
            if !self.gather.is_empty() {
                if !self.fill_gather()? {
                    return Ok(None);
                }
                let mut whole = self.gather.split().freeze();
                let packet = match decode(&whole)? {
                    Decoded::Complete { packet, .. } => packet_kind(packet),
                    Decoded::Incomplete { .. } => return Ok(None),
                };
                whole.advance(4.min(whole.len()));
                return self.counted(packet, whole).map(Some);
            }
            if self.head.is_empty() && !self.next_chunk() {
                return Ok(None);
            }
            match decode(&self.head)? {
                Decoded::Complete { packet, consumed } => {
                    let kind = packet_kind(packet);
                    let mut data = self.head.split_to(consumed);
                    data.advance(4);
                    return self.counted(kind, data).map(Some);
                }
                Decoded::Incomplete { .. } => {
                    self.gather.extend_from_slice(&self.head);
                    self.head.clear();
                }
            }
        }
    }

    /// The next piece of a sideband stream: data of a band as soon as some of it is there, or a special packet.
    /// Packets that carry nothing (keep-alives) are passed over (PKT-10).
    ///
    /// # Errors
    /// As [`decode_header`]; also [`Error::MissingBand`], [`Error::UnknownBand`], [`Error::TooManyEmpty`].
    pub fn next_fragment(&mut self) -> Result<Option<Fragment>, Error> {
        loop {
            if let Some((band, left)) = self.open {
                if left == 0 {
                    self.open = None;
                    continue;
                }
                if self.head.is_empty() && !self.next_chunk() {
                    return Ok(None);
                }
                let bytes = self.head.split_to(left.min(self.head.len()));
                self.open = Some((band, left.saturating_sub(bytes.len())));
                return Ok(Some(Fragment::Data { band, bytes }));
            }
            match self.next_band()? {
                None => return Ok(None),
                Some(Sideband::Flush) => return Ok(Some(Fragment::Flush)),
                Some(Sideband::Delim) => return Ok(Some(Fragment::Delim)),
                Some(Sideband::ResponseEnd) => return Ok(Some(Fragment::ResponseEnd)),
                Some(Sideband::Data { band, length }) => self.open = Some((band, length)),
            }
        }
    }

    /// Everything that is there, one chunk a call, without looking for packets: a pack sent outside the sideband.
    pub fn take_raw(&mut self) -> Option<Bytes> {
        if !self.gather.is_empty() {
            return Some(self.gather.split().freeze());
        }
        if self.head.is_empty() && !self.next_chunk() {
            return None;
        }
        Some(core::mem::take(&mut self.head))
    }

    /// Reads the header of a sideband packet: five bytes, gathered if they are split.
    fn next_band(&mut self) -> Result<Option<Sideband>, Error> {
        loop {
            let first = if self.gather.is_empty() { &self.head[..] } else { &self.gather[..] };
            let wanted = match first.first_chunk::<4>() {
                None => 4,
                Some(digits) => match decode_header(*digits)? {
                    Header::Data(0) => return Err(Error::MissingBand),
                    Header::Data(_) => 5,
                    Header::Flush | Header::Delim | Header::ResponseEnd => 4,
                },
            };
            if let Some(head) = first.get(..wanted) {
                let sideband = Sideband::decode(head)?;
                if self.gather.is_empty() {
                    self.head.advance(wanted);
                } else {
                    self.gather.clear();
                }
                self.count(matches!(sideband, Sideband::Data { length: 0, .. }))?;
                return Ok(Some(sideband));
            }
            if self.head.is_empty() && !self.next_chunk() {
                return Ok(None);
            }
            self.pull(wanted);
        }
    }

    /// Moves bytes into `gather` until it holds one whole packet. `false`: more input is needed.
    fn fill_gather(&mut self) -> Result<bool, Error> {
        loop {
            let Decoded::Incomplete { needed } = decode(&self.gather)? else { return Ok(true) };
            if self.head.is_empty() && !self.next_chunk() {
                return Ok(false);
            }
            self.pull(self.gather.len().saturating_add(needed).min(MAX_PACKET));
        }
    }

    /// Moves bytes from the head chunk until `gather` holds `wanted` of them or the chunk is used up.
    fn pull(&mut self, wanted: usize) {
        let missing = wanted.saturating_sub(self.gather.len());
        let piece = self.head.split_to(missing.min(self.head.len()));
        self.gather.extend_from_slice(&piece);
    }

    fn next_chunk(&mut self) -> bool {
        let Some(chunk) = self.rest.pop_front() else { return false };
        self.rest_bytes = self.rest_bytes.saturating_sub(chunk.len());
        self.head = chunk;
        true
    }

    fn counted(&mut self, kind: Packet<()>, data: Bytes) -> Result<Packet<Bytes>, Error> {
        let packet = match kind {
            Packet::Flush => Packet::Flush,
            Packet::Delim => Packet::Delim,
            Packet::ResponseEnd => Packet::ResponseEnd,
            Packet::Data(()) => Packet::Data(data),
        };
        self.count(matches!(&packet, Packet::Data(data) if data.is_empty()))?;
        Ok(packet)
    }

    fn count(&mut self, is_empty: bool) -> Result<(), Error> {
        self.empty = if is_empty { self.empty.saturating_add(1) } else { 0 };
        if self.empty > limits::EMPTY_PACKETS {
            return Err(Error::TooManyEmpty { limit: limits::EMPTY_PACKETS });
        }
        Ok(())
    }
}

const fn packet_kind(packet: Packet<&[u8]>) -> Packet<()> {
    match packet {
        Packet::Flush => Packet::Flush,
        Packet::Delim => Packet::Delim,
        Packet::ResponseEnd => Packet::ResponseEnd,
        Packet::Data(_) => Packet::Data(()),
    }
}
