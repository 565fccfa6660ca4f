//! Any bytes in any split: packets and sideband fragments do not depend on the split, and decoding agrees with encoding.
#![no_main]

use arbitrary::Arbitrary;
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use portline::pkt::{Decoded, Error, Fragment, Packet, Reader, decode, put_packet};

#[derive(Arbitrary, Debug)]
struct Input {
    band: bool,
    cuts: Vec<u8>,
    /// Packets with a right length, and raw bytes between them.
    parts: Vec<(bool, Vec<u8>)>,
}

type Seen = (Vec<Packet<Bytes>>, Result<usize, Error>);

fn borrowed(mut input: &[u8]) -> Seen {
    let mut packets = Vec::new();
    let mut empty = 0;
    loop {
        match decode(input) {
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

fn split(input: &[u8], cuts: &[u8]) -> Vec<Bytes> {
    let mut rest = Bytes::copy_from_slice(input);
    let mut pieces: Vec<Bytes> =
        cuts.iter().map(|cut| rest.split_to(usize::from(*cut).min(rest.len()))).collect();
    pieces.push(rest);
    pieces
}

/// Bands gathered: fragments of one band that follow each other are one, because a packet may come in pieces.
fn fragments(pieces: &[Bytes]) -> (Vec<Fragment>, Option<Error>) {
    let mut reader = Reader::new();
    let mut seen: Vec<Fragment> = Vec::new();
    for piece in pieces {
        reader.handle_bytes(piece.clone());
        loop {
            match reader.next_fragment() {
                Err(error) => return (seen, Some(error)),
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

fuzz_target!(|input: Input| {
    let mut bytes = BytesMut::new();
    for (is_packet, part) in &input.parts {
        match is_packet {
            true => put_packet(&mut bytes, &[part]).unwrap(),
            false => bytes.extend_from_slice(part),
        }
    }
    let pieces = split(&bytes, &input.cuts);
    if input.band {
        assert_eq!(fragments(&pieces), fragments(&[bytes.freeze()]));
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
