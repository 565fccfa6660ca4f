//! The pkt-line codec over borrowed bytes.

use bytes::{BufMut, BytesMut};

use super::{Error, MAX_DATA, MAX_PACKET};

/// One packet; `P` is the form of its data (`&[u8]` or `Bytes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<P> {
    /// `0000`: end of a section.
    Flush,
    /// `0001`: a delimiter (version 2).
    Delim,
    /// `0002`: end of a response (version 2, stateless).
    ResponseEnd,
    /// Data, without the four length digits; may be empty (`0004`).
    Data(P),
}

/// What the four length digits say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// `0000`.
    Flush,
    /// `0001`.
    Delim,
    /// `0002`.
    ResponseEnd,
    /// Data of so many bytes, the digits not counted: at most [`MAX_DATA`].
    Data(u16),
}

/// What [`decode`] found at the start of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A whole packet.
    Complete {
        /// The packet, its data borrowed from the input.
        packet: Packet<&'a [u8]>,
        /// Bytes of the input it takes, digits included.
        consumed: usize,
    },
    /// The packet goes on past the end of the input.
    Incomplete {
        /// How many more bytes are needed at least: exact once the four digits are there.
        needed: usize,
    },
}

/// Value of each hex digit, 0xff for every other byte.
const HEX: [u8; 256] = {
    let mut table = [0xff; 256];
    let mut digit: u8 = 0;
    while digit < 16 {
        let lower = b"0123456789abcdef";
        let upper = b"0123456789ABCDEF";
        #[expect(clippy::indexing_slicing, reason = "evaluated at compile time: an error would not compile")]
        {
            table[lower[digit as usize] as usize] = digit;
            table[upper[digit as usize] as usize] = digit;
        }
        digit += 1;
    }
    table
};

const fn nibble(byte: u8) -> u8 {
    #[expect(clippy::indexing_slicing, reason = "a u8 is always inside a table of 256")]
    HEX[byte as usize]
}

/// The value of one byte as two hex digits, `None` when either is not a hex digit.
pub(crate) const fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let (high, low) = (nibble(high), nibble(low));
    if (high | low) & 0xf0 != 0 { None } else { Some((high << 4) | low) }
}

/// Reads the four length digits (PKT-1 to PKT-4).
///
/// # Errors
/// [`Error::InvalidLength`] for anything but four hex digits and for `0003`, [`Error::TooLong`] above the limit.
#[inline]
pub const fn decode_header(digits: [u8; 4]) -> Result<Header, Error> {
    let [a, b, c, d] = digits;
    let (a, b, c, d) = (nibble(a), nibble(b), nibble(c), nibble(d));
    if (a | b | c | d) & 0xf0 != 0 {
        return Err(Error::InvalidLength { header: digits });
    }
    match u16::from_be_bytes([(a << 4) | b, (c << 4) | d]) {
        length @ 4.. if length as usize <= MAX_PACKET => Ok(Header::Data(length.saturating_sub(4))),
        0 => Ok(Header::Flush),
        1 => Ok(Header::Delim),
        2 => Ok(Header::ResponseEnd),
        3 => Err(Error::InvalidLength { header: digits }),
        length => Err(Error::TooLong { length: length as usize, limit: MAX_PACKET }),
    }
}

/// Reads the packet at the start of `input` without copying.
///
/// # Errors
/// As [`decode_header`]; the error depends on the four digits alone, never on what follows.
#[inline]
pub fn decode(input: &[u8]) -> Result<Decoded<'_>, Error> {
    let Some((digits, rest)) = input.split_first_chunk::<4>() else {
        return Ok(Decoded::Incomplete { needed: 4_usize.saturating_sub(input.len()) });
    };
    let packet = match decode_header(*digits)? {
        Header::Flush => Packet::Flush,
        Header::Delim => Packet::Delim,
        Header::ResponseEnd => Packet::ResponseEnd,
        Header::Data(length) => {
            let length = usize::from(length);
            return Ok(match rest.get(..length) {
                Some(data) => {
                    Decoded::Complete { packet: Packet::Data(data), consumed: length.saturating_add(4) }
                }
                None => Decoded::Incomplete { needed: length.saturating_sub(rest.len()) },
            });
        }
    };
    Ok(Decoded::Complete { packet, consumed: 4 })
}

/// The four length digits, lower case, of a packet with `data` bytes of data.
///
/// # Errors
/// [`Error::TooLong`] for more than [`MAX_DATA`] bytes.
#[inline]
pub const fn encode_header(data: usize) -> Result<[u8; 4], Error> {
    let length = data.saturating_add(4);
    if data > MAX_DATA {
        return Err(Error::TooLong { length, limit: MAX_PACKET });
    }
    // One digit a byte, then all four made letters at once: byte by byte costs more than the rest of a line.
    #[expect(clippy::cast_possible_truncation, reason = "at most MAX_PACKET, checked above")]
    let n = length as u32;
    let digits = (n & 0xf000) << 12 | (n & 0x0f00) << 8 | (n & 0x00f0) << 4 | (n & 0x000f);
    // 1 in each byte of 10 or more; the letters begin 0x27 after the digits' end.
    let letters = (digits.wrapping_add(0x0606_0606) >> 4) & 0x0101_0101;
    Ok(digits.wrapping_add(0x3030_3030).wrapping_add(letters.wrapping_mul(0x27)).to_be_bytes())
}

/// `line` without one trailing LF, which senders put there and receivers must not need (PKT-5).
#[inline]
#[must_use]
pub fn trim_lf(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// Appends one data packet made of `parts` as they stand.
///
/// # Errors
/// [`Error::TooLong`], and nothing is appended.
#[inline]
pub fn put_packet(to: &mut BytesMut, parts: &[&[u8]]) -> Result<(), Error> {
    let length = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
    let header = encode_header(length)?;
    to.reserve(length.saturating_add(4));
    to.put_slice(&header);
    for part in parts {
        to.put_slice(part);
    }
    Ok(())
}

/// Appends one text line: `parts` and a LF.
///
/// # Errors
/// As [`put_packet`].
#[inline]
pub fn put_line(to: &mut BytesMut, parts: &[&[u8]]) -> Result<(), Error> {
    let length = parts.iter().fold(1_usize, |sum, part| sum.saturating_add(part.len()));
    let header = encode_header(length)?;
    to.reserve(length.saturating_add(4));
    to.put_slice(&header);
    for part in parts {
        to.put_slice(part);
    }
    to.put_u8(b'\n');
    Ok(())
}

/// Appends `0000`.
pub fn put_flush(to: &mut BytesMut) {
    to.put_slice(b"0000");
}

/// Appends `0001`.
pub fn put_delim(to: &mut BytesMut) {
    to.put_slice(b"0001");
}

/// Appends `0002`.
pub fn put_response_end(to: &mut BytesMut) {
    to.put_slice(b"0002");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pkt_1_special_packets() {
        for (input, packet) in
            [(b"0000", Packet::Flush), (b"0001", Packet::Delim), (b"0002", Packet::ResponseEnd)]
        {
            assert_eq!(decode(input), Ok(Decoded::Complete { packet, consumed: 4 }));
        }
        let empty = Decoded::Complete { packet: Packet::Data(&b""[..]), consumed: 4 };
        assert_eq!(decode(b"0004rest"), Ok(empty));
    }

    /// T14: PKT-2, PKT-3, PKT-4.
    #[test]
    fn pkt_2_lengths_that_are_not_lengths() {
        for header in [b"0003", b"00zz", b"-001", b"+004", b" 004", b"0x04", b"00 4", b"\0\0\0\0"] {
            assert_eq!(decode(header), Err(Error::InvalidLength { header: *header }));
        }
        for header in [b"fff1", b"FFFF", b"fff5"] {
            assert!(matches!(decode(header), Err(Error::TooLong { limit: MAX_PACKET, .. })));
        }
        assert_eq!(decode(b"fff0"), Ok(Decoded::Incomplete { needed: MAX_DATA }));
        assert_eq!(decode(b"FfF0"), Ok(Decoded::Incomplete { needed: MAX_DATA }));
    }

    #[test]
    fn incomplete_says_how_much_is_missing() {
        assert_eq!(decode(b""), Ok(Decoded::Incomplete { needed: 4 }));
        assert_eq!(decode(b"00"), Ok(Decoded::Incomplete { needed: 2 }));
        assert_eq!(decode(b"0009do"), Ok(Decoded::Incomplete { needed: 3 }));
    }

    #[test]
    fn every_length_survives_a_round_trip() {
        for data in 0..=MAX_DATA {
            let header = encode_header(data).unwrap();
            assert_eq!(decode_header(header), Ok(Header::Data(u16::try_from(data).unwrap())));
        }
        assert!(matches!(encode_header(MAX_DATA + 1), Err(Error::TooLong { length: 65521, .. })));
    }

    #[test]
    fn lines_are_appended_with_their_lf() {
        let mut out = BytesMut::new();
        put_line(&mut out, &[b"want ", b"abc"]).unwrap();
        put_packet(&mut out, &[b"\x01", b"x"]).unwrap();
        put_flush(&mut out);
        put_delim(&mut out);
        put_response_end(&mut out);
        assert_eq!(&out[..], b"000dwant abc\n0006\x01x000000010002");
        let before = out.clone();
        assert!(put_line(&mut out, &[&[b'a'; MAX_DATA]]).is_err());
        assert_eq!(out, before);
    }
}
