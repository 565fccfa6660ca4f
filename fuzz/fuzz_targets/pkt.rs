//! Any bytes in any split: packets and sideband fragments do not depend on the split, decoding agrees with encoding and
//! with gix-packetline, and no more is held than what came.
#![no_main]

#[path = "common/heap.rs"]
mod heap;
#[path = "common/oracle.rs"]
mod oracle;

use arbitrary::Arbitrary;
use bytes::{Bytes, BytesMut};
use gix_packetline::blocking_io::encode::data_to_write;
use gix_packetline::decode::{Stream, streaming};
use gix_packetline::{BandRef, PacketLineRef};
use libfuzzer_sys::fuzz_target;
use portline::pkt::{Band, Decoded, Error, Fragment, Packet, Reader, Sideband, decode, put_packet};

#[derive(Arbitrary, Debug)]
struct Input {
    band: bool,
    cuts: Vec<u8>,
    /// Packets with a right length, and raw bytes between them.
    parts: Vec<(bool, Vec<u8>)>,
}

type Seen = (Vec<Packet<Bytes>>, Result<usize, Error>);

/// Both are asked the same question but for `0004`: they refuse the empty packet, in both directions; Git's receivers
/// take it.
fn agrees(input: &[u8], ours: &Result<Decoded<'_>, Error>) {
    if input.starts_with(b"0004") {
        return;
    }
    match (streaming(input), ours) {
        (Ok(Stream::Incomplete { bytes_needed }), Ok(Decoded::Incomplete { needed })) => {
            assert_eq!(bytes_needed, *needed);
        }
        (Ok(Stream::Complete { line, bytes_consumed }), Ok(Decoded::Complete { packet, consumed })) => {
            assert_eq!(bytes_consumed, *consumed);
            match (line, packet) {
                (PacketLineRef::Data(theirs), Packet::Data(ours)) => {
                    assert_eq!(theirs, *ours);
                    agrees_on_band(&input[..*consumed], line);
                    let (mut by_them, mut by_us) = (Vec::new(), BytesMut::new());
                    data_to_write(theirs, &mut by_them).unwrap();
                    put_packet(&mut by_us, &[ours]).unwrap();
                    assert_eq!(by_them, by_us);
                }
                (PacketLineRef::Flush, Packet::Flush)
                | (PacketLineRef::Delimiter, Packet::Delim)
                | (PacketLineRef::ResponseEnd, Packet::ResponseEnd) => {}
                (theirs, ours) => panic!("{theirs:?} and {ours:?}"),
            }
        }
        (Err(_), Err(_)) => {}
        (theirs, ours) => panic!("{theirs:?} and {ours:?}"),
    }
}

/// A packet of a sideband: the same channel with the same data.
fn agrees_on_band(packet: &[u8], line: PacketLineRef<'_>) {
    let ours = Sideband::decode(packet);
    let (theirs, data) = match line.decode_band() {
        Ok(BandRef::Data(data)) => (Band::Data, data),
        Ok(BandRef::Progress(data)) => (Band::Progress, data),
        Ok(BandRef::Error(data)) => (Band::Fatal, data),
        Err(_) => {
            return assert!(matches!(ours, Err(Error::UnknownBand { .. } | Error::MissingBand)), "{ours:?}");
        }
    };
    assert_eq!(ours, Ok(Sideband::Data { band: theirs, length: data.len() }));
    assert_eq!(data, &packet[5..]);
    assert_eq!(packet[4], theirs.as_u8());
}

fn borrowed(mut input: &[u8]) -> Seen {
    let mut packets = Vec::new();
    let mut empty = 0;
    loop {
        let decoded = decode(input);
        agrees(input, &decoded);
        match decoded {
            Err(error) => return (packets, Err(error)),
            Ok(Decoded::Incomplete { needed }) => {
                return (packets, Ok(if input.is_empty() { 0 } else { needed }));
            }
            Ok(Decoded::Complete { packet, consumed }) => {
                let owned = match packet {
                    Packet::Data(data) => {
                        let mut again = BytesMut::new();
                        put_packet(&mut again, &[data]).unwrap();
                        assert!(
                            again.eq_ignore_ascii_case(&input[..consumed])
                                || again[4..] == input[4..consumed]
                        );
                        Packet::Data(Bytes::copy_from_slice(data))
                    }
                    Packet::Flush => Packet::Flush,
                    Packet::Delim => Packet::Delim,
                    Packet::ResponseEnd => Packet::ResponseEnd,
                };
                empty = if owned == Packet::Data(Bytes::new()) { empty + 1 } else { 0 };
                if empty > portline::limits::EMPTY_PACKETS {
                    return (packets, Err(Error::TooManyEmpty { limit: portline::limits::EMPTY_PACKETS }));
                }
                packets.push(owned);
                input = &input[consumed..];
            }
        }
    }
}

/// Bands gathered: fragments of one band that follow each other are one, because a packet may come in pieces.
fn fragments(pieces: &[Bytes]) -> (Vec<Fragment>, Option<Error>) {
    let mut reader = Reader::new();
    let mut seen: Vec<Fragment> = Vec::new();
    for piece in pieces {
        reader.handle_bytes(piece.clone());
        loop {
            match reader.next_fragment() {
                Err(error) => {
                    assert_eq!(reader.next_fragment().as_ref(), Err(&error), "an error is sticky");
                    return (seen, Some(error));
                }
                Ok(None) => break,
                Ok(Some(Fragment::Data { band, bytes })) => {
                    assert!(!bytes.is_empty());
                    match seen.last_mut() {
                        Some(Fragment::Data { band: before, bytes: gathered }) if *before == band => {
                            *gathered = [&gathered[..], &bytes].concat().into();
                        }
                        _ => seen.push(Fragment::Data { band, bytes }),
                    }
                }
                Ok(Some(special)) => seen.push(special),
            }
        }
        assert!(reader.buffered() < 10, "what is left is less than a header: {}", reader.buffered());
    }
    (seen, None)
}

/// Reads everything and keeps nothing: the reader's own memory, whichever way it is asked.
fn held(pieces: &[Bytes], band: bool) {
    let sum: usize = pieces.iter().map(Bytes::len).sum();
    // A packet across chunks is put together once, in a buffer that doubles; so does the list of chunks.
    heap::bounded(4 * sum + 128 * pieces.len() + 512, || {
        let mut reader = Reader::new();
        for piece in pieces {
            reader.handle_bytes(piece.clone());
        }
        loop {
            let goes_on = match band {
                true => matches!(reader.next_fragment(), Ok(Some(_))),
                false => matches!(reader.next_packet(), Ok(Some(_))),
            };
            if !goes_on {
                break;
            }
        }
        // What was not a packet is there as it came.
        let left = reader.buffered();
        assert!(left <= sum + 64 * pieces.len());
    });
}

fuzz_target!(|input: Input| {
    let mut bytes = BytesMut::new();
    for (is_packet, part) in &input.parts {
        match is_packet {
            true => put_packet(&mut bytes, &[part]).unwrap(),
            false => bytes.extend_from_slice(part),
        }
    }
    let bytes = bytes.freeze();
    let pieces = oracle::split(&bytes, &input.cuts);
    held(&pieces, input.band);
    if input.band {
        assert_eq!(fragments(&pieces), fragments(&[bytes]));
        return;
    }
    let (expected, end) = borrowed(&bytes);
    let mut reader = Reader::new();
    let mut seen = Vec::new();
    let mut error = None;
    for piece in pieces {
        reader.handle_bytes(piece);
        loop {
            match reader.next_packet() {
                Ok(Some(packet)) => seen.push(packet),
                Ok(None) => break,
                Err(other) => {
                    assert_eq!(reader.next_packet().as_ref(), Err(&other), "an error is sticky");
                    error = Some(other);
                    break;
                }
            }
        }
        if error.is_some() {
            break;
        }
    }
    assert_eq!(seen, expected);
    assert_eq!(error.map_or_else(|| reader.missing(), Err), end);
});
