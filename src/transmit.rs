//! What a machine wants sent: a small inline header and a payload that is never copied.
//!
//! A [`Transmit`] is a [`bytes::Buf`], so it can be written with vectored IO ([`Buf::chunks_vectored`]) or piece
//! by piece ([`Buf::chunk`], [`Buf::advance`]). Message transports that want one buffer call
//! [`Transmit::into_bytes`], which copies only when header and payload are both there.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The longest inline header: the carrier's length (4), the frame header (5), a sideband packet's (5), and a little room.
const INLINE: usize = END as usize;
/// The end of the header.
const END: u8 = 18;

/// One unit to hand to the transport: a whole message on a message transport, some bytes on a byte transport.
#[derive(Clone, Debug)]
pub struct Transmit {
    /// Filled from its end, so that what comes in front of a header moves nothing.
    header: [u8; INLINE],
    /// Where the part of `header` begins that is still to be written.
    start: u8,
    payload: Bytes,
}

impl Transmit {
    /// A transmit of `payload` alone.
    #[inline]
    #[must_use]
    pub const fn new(payload: Bytes) -> Self {
        Self { header: [0; INLINE], start: END, payload }
    }

    /// A transmit of at most 18 header bytes in front of `payload`. Header bytes past that are refused by the
    /// type: the caller passes an array.
    #[inline]
    #[must_use]
    pub fn with_header<const N: usize>(header: [u8; N], payload: Bytes) -> Self {
        const { assert!(N <= INLINE) };
        let mut this = Self::new(payload);
        // One store of N bytes, where a loop would be N.
        if let Some(end) = this.header.last_chunk_mut::<N>() {
            *end = header;
        }
        this.start = END.saturating_sub(Self::small(N));
        this
    }

    /// `prefix` in front of what is there: a frame header before a packet, a carrier's length before a frame. The
    /// payload is not copied; a header that has no room for the prefix joins the payload by one copy.
    #[inline]
    #[must_use]
    pub fn prefixed<const N: usize>(mut self, prefix: [u8; N]) -> Self {
        self.prefix(prefix);
        self
    }

    /// As [`Self::prefixed`], in place.
    #[inline]
    pub(crate) fn prefix<const N: usize>(&mut self, prefix: [u8; N]) {
        match self.header.get_mut(..usize::from(self.start)).and_then(<[u8]>::last_chunk_mut::<N>) {
            Some(room) => {
                *room = prefix;
                self.start = self.start.saturating_sub(Self::small(N));
            }
            None => self.join(prefix),
        }
    }

    #[cold]
    fn join<const N: usize>(&mut self, prefix: [u8; N]) {
        let behind = core::mem::replace(self, Self::new(Bytes::new()));
        *self = Self::with_header(prefix, behind.into_bytes());
    }

    /// The header bytes not yet written.
    #[inline]
    #[must_use]
    pub fn head(&self) -> &[u8] {
        self.header.get(usize::from(self.start)..).unwrap_or(&[])
    }

    /// The payload not yet written.
    #[inline]
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The payload not yet written, for a transport that owns what it writes and has written the header.
    #[inline]
    #[must_use]
    pub fn into_payload(self) -> Bytes {
        self.payload
    }

    /// Bytes not yet written, header and payload together.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(END.saturating_sub(self.start)).saturating_add(self.payload.len())
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
        self.head().iter().chain(&self.payload).eq(other.head().iter().chain(&other.payload))
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
        assert_eq!(Transmit::with_header([9], payload.clone()).into_payload().as_ptr(), payload.as_ptr());
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
    fn transmits_are_equal_when_the_same_bytes_are_left() {
        let whole = Transmit::new(Bytes::from_static(b"\x01\x02\x03abc"));
        assert_eq!(sample(), whole);
        let (mut one, mut other) = (sample(), whole.clone());
        one.advance(4);
        other.advance(4);
        assert_eq!(one, other);
        for different in [&b"\x01\x02\x03abd"[..], b"\x01\x02\x03ab", b"\x01\x02\x03abcd", b""] {
            assert_ne!(sample(), Transmit::new(Bytes::from_static(different)));
        }
    }

    #[test]
    fn nothing_is_left_when_header_and_payload_are_written() {
        let mut transmit = sample();
        for left in (1..=6).rev() {
            assert_eq!((transmit.len(), transmit.is_empty()), (left, false));
            transmit.advance(1);
        }
        assert_eq!((transmit.len(), transmit.is_empty()), (0, true));
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
