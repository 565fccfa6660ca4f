//! What a machine wants sent: a small inline header and a payload that is never copied.
//!
//! A [`Transmit`] is a [`bytes::Buf`], so it can be written with vectored IO ([`Buf::chunks_vectored`]) or piece
//! by piece ([`Buf::chunk`], [`Buf::advance`]). Message transports that want one buffer call
//! [`Transmit::into_bytes`], which copies only when header and payload are both there.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The longest inline header: the carrier's length (4), the frame header (5), a sideband packet's (5), and a little room.
const INLINE: usize = 18;

/// One unit to hand to the transport: a whole message on a message transport, some bytes on a byte transport.
#[derive(Clone, Debug)]
pub struct Transmit {
    header: [u8; INLINE],
    /// The part of `header` that is still to be written: `start..end`.
    start: u8,
    end: u8,
    payload: Bytes,
}

impl Transmit {
    /// A transmit of `payload` alone.
    #[inline]
    #[must_use]
    pub const fn new(payload: Bytes) -> Self {
        Self { header: [0; INLINE], start: 0, end: 0, payload }
    }

    /// A transmit of at most 18 header bytes in front of `payload`. Header bytes past that are refused by the
    /// type: the caller passes an array.
    #[inline]
    #[must_use]
    pub fn with_header<const N: usize>(header: [u8; N], payload: Bytes) -> Self {
        const { assert!(N <= INLINE) };
        let mut this = Self::new(payload);
        // One store of N bytes, where a loop would be N.
        if let Some(start) = this.header.first_chunk_mut::<N>() {
            *start = header;
        }
        this.end = Self::small(N);
        this
    }

    /// `prefix` in front of what is there: a frame header before a packet, a carrier's length before a frame. The
    /// payload is not copied; a header that has no room for the prefix joins the payload by one copy.
    #[inline]
    #[must_use]
    pub fn prefixed<const N: usize>(self, prefix: [u8; N]) -> Self {
        if N.saturating_add(self.head().len()) > INLINE {
            return Self::with_header(prefix, self.into_bytes());
        }
        let mut header = [0; INLINE];
        if let Some((first, rest)) = header.split_first_chunk_mut::<N>() {
            *first = prefix;
            // All of the room at once, what lies behind the header included: its length is known to the compiler.
            match self.start {
                0 => rest.iter_mut().zip(self.header).for_each(|(to, from)| *to = from),
                _ => rest.iter_mut().zip(self.head()).for_each(|(to, from)| *to = *from),
            }
        }
        let end = Self::small(N.saturating_add(self.head().len()));
        Self { header, start: 0, end, payload: self.payload }
    }

    /// The header bytes not yet written.
    #[inline]
    #[must_use]
    pub fn head(&self) -> &[u8] {
        self.header.get(usize::from(self.start)..usize::from(self.end)).unwrap_or(&[])
    }

    /// The payload not yet written.
    #[inline]
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Bytes not yet written, header and payload together.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.head().len().saturating_add(self.payload.len())
    }

    /// Whether nothing is left to write.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything in one buffer. Without a header the payload is handed over as it is; otherwise both are
    /// copied once, which is what a transport without vectored writes costs.
    #[inline]
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        if self.head().is_empty() {
            return self.payload;
        }
        let mut whole = BytesMut::with_capacity(self.len());
        whole.put_slice(self.head());
        whole.put_slice(&self.payload);
        whole.freeze()
    }

    /// The first `count` bytes of a transmit that has no header; they leave it.
    pub(crate) fn split_payload(&mut self, count: usize) -> Self {
        Self::new(self.payload.split_to(count.min(self.payload.len())))
    }

    #[inline]
    fn small(n: usize) -> u8 {
        u8::try_from(n).unwrap_or(u8::MAX)
    }
}

impl Buf for Transmit {
    #[inline]
    fn remaining(&self) -> usize {
        self.len()
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        if self.head().is_empty() { &self.payload } else { self.head() }
    }

    /// Marks `count` bytes as written. More than is left empties the transmit.
    #[inline]
    fn advance(&mut self, count: usize) {
        let from_head = count.min(self.head().len());
        self.start = self.start.saturating_add(Self::small(from_head));
        let from_payload = count.saturating_sub(from_head).min(self.payload.len());
        self.payload.advance(from_payload);
    }

    #[cfg(feature = "std")]
    fn chunks_vectored<'a>(&'a self, out: &mut [std::io::IoSlice<'a>]) -> usize {
        let parts = [self.head(), &self.payload];
        let mut used: usize = 0;
        for (slot, part) in out.iter_mut().zip(parts.into_iter().filter(|part| !part.is_empty())) {
            *slot = std::io::IoSlice::new(part);
            used = used.saturating_add(1);
        }
        used
    }
}

/// Equal when the same bytes are left to write, wherever the border between header and payload lies.
impl PartialEq for Transmit {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .head()
                .iter()
                .chain(self.payload.iter())
                .eq(other.head().iter().chain(other.payload.iter()))
    }
}

impl Eq for Transmit {}

impl From<Bytes> for Transmit {
    fn from(payload: Bytes) -> Self {
        Self::new(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Transmit {
        Transmit::with_header([1, 2, 3], Bytes::from_static(b"abc"))
    }

    #[test]
    fn the_payload_is_handed_over_without_a_copy() {
        let payload = Bytes::from_static(b"payload");
        assert_eq!(Transmit::new(payload.clone()).into_bytes().as_ptr(), payload.as_ptr());
        assert_eq!(Transmit::with_header([9], payload.clone()).payload().as_ptr(), payload.as_ptr());
    }

    #[test]
    fn advancing_crosses_the_border_between_header_and_payload() {
        for cut in 0..=8 {
            let mut transmit = sample();
            transmit.advance(cut);
            let whole = [1, 2, 3, b'a', b'b', b'c'];
            assert_eq!(transmit.remaining(), 6_usize.saturating_sub(cut));
            assert_eq!(transmit.into_bytes().as_ref(), whole.get(cut..).unwrap_or(&[]));
        }
    }

    #[test]
    fn a_prefix_goes_in_front_whether_the_header_has_room_for_it_or_not() {
        assert_eq!(sample().prefixed([0, 0, 0, 6]).into_bytes().as_ref(), b"\0\0\0\x06\x01\x02\x03abc");
        assert_eq!(sample().prefixed([0, 0, 0, 6]).payload().as_ptr(), sample().payload().as_ptr());
        let long = sample().prefixed([7; 17]).prefixed([8; 4]).into_bytes();
        assert_eq!(long, [&[8; 4][..], &[7; 17], b"\x01\x02\x03abc"].concat());
    }

    #[cfg(feature = "std")]
    #[test]
    fn vectored_writes_see_both_parts() {
        let transmit = sample();
        let mut slots = [std::io::IoSlice::new(&[]); 4];
        assert_eq!(transmit.chunks_vectored(&mut slots), 2);
        assert_eq!((&*slots[0], &*slots[1]), (&[1u8, 2, 3][..], &b"abc"[..]));
    }
}
