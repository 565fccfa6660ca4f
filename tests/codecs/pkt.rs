//! pkt-line from any split of the input: the same packets, fragments and errors, without copying payloads.

use bytes::{Bytes, BytesMut};
use portline::pkt::{self, Band, Error, Fragment, Packet, Reader, Sideband};

use crate::common::Rng;

/// Reads everything there is, one way or the other, feeding chunks of the given sizes.
fn read<T>(
    input: &[u8],
    sizes: &[usize],
    mut next: impl FnMut(&mut Reader) -> Result<Option<T>, Error>,
) -> (Vec<T>, Result<usize, Error>) {
    let (mut reader, mut out, mut rest) = (Reader::new(), Vec::new(), input);
    let mut sizes = sizes.iter().copied().cycle();
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at(sizes.next().unwrap_or(usize::MAX).clamp(1, rest.len()));
        rest = later;
        reader.handle_bytes(Bytes::copy_from_slice(chunk));
        loop {
            match next(&mut reader) {
                Ok(Some(one)) => out.push(one),
                Ok(None) => break,
                Err(error) => return (out, Err(error)),
            }
        }
    }
    let missing = reader.missing();
    (out, missing)
}

fn packets(input: &[u8], sizes: &[usize]) -> (Vec<Packet<Bytes>>, Result<usize, Error>) {
    read(input, sizes, Reader::next_packet)
}

/// What a sideband stream said, and how it ended.
type Bands = (Vec<(Option<Band>, Vec<u8>)>, Result<usize, Error>);

/// Neighbouring pieces of a band are joined, because where a packet is cut says nothing.
fn fragments(input: &[u8], sizes: &[usize]) -> Bands {
    let (pieces, end) = read(input, sizes, Reader::next_fragment);
    let mut joined: Vec<(Option<Band>, Vec<u8>)> = Vec::new();
    for piece in pieces {
        match piece {
            Fragment::Flush => joined.push((None, b"0000".to_vec())),
            Fragment::Delim => joined.push((None, b"0001".to_vec())),
            Fragment::ResponseEnd => joined.push((None, b"0002".to_vec())),
            Fragment::Data { band, bytes } => {
                assert!(!bytes.is_empty());
                match joined.last_mut() {
                    Some((last, text)) if *last == Some(band) => text.extend_from_slice(&bytes),
                    _ => joined.push((Some(band), bytes.to_vec())),
                }
            }
        }
    }
    (joined, end)
}

const LINES: &[u8] = b"0009done\n0004000000010002000aabcdefFFF10000";
const BANDS: &[u8] = b"0009\x01PACK0005\x010006\x02x0000000100020007\x03ab0006\x04y";

/// PKT-7: every way to cut the input in two or three, and every chunk size.
#[test]
fn pkt_7_every_split_reads_the_same() {
    let (lines, bands) = (packets(LINES, &[]), fragments(BANDS, &[]));
    assert_eq!(lines.0.len(), 6);
    assert_eq!(lines.1, Err(Error::TooLong { length: 0xfff1, limit: pkt::MAX_PACKET }));
    assert_eq!((bands.0.len(), &bands.1), (6, &Err(Error::UnknownBand { band: 4 })));
    for size in 1..=LINES.len().max(BANDS.len()) {
        assert_eq!(packets(LINES, &[size]), lines);
        assert_eq!(fragments(BANDS, &[size]), bands);
    }
    for first in 1..40 {
        for second in 1..40 {
            assert_eq!(packets(LINES, &[first, second, 99]), lines);
            assert_eq!(fragments(BANDS, &[first, second, 99]), bands);
        }
    }
}

/// PKT-6, PKT-7: bytes wait in the chunk being read, in one behind it, in a packet that is split, or in an open band.
#[test]
fn pkt_6_a_reader_is_empty_when_every_byte_is_handed_on() {
    let mut reader = Reader::new();
    let give = |reader: &mut Reader, bytes: &'static [u8]| reader.handle_bytes(Bytes::from_static(bytes));
    assert!(reader.is_empty());
    give(&mut reader, b"0006ab");
    assert_eq!((reader.is_empty(), reader.buffered()), (false, 6));
    give(&mut reader, b"0000");
    assert_eq!(reader.next_packet(), Ok(Some(Packet::Data(Bytes::from_static(b"ab")))));
    assert!(!reader.is_empty(), "a chunk waits behind one that is used up");
    assert_eq!(reader.next_packet(), Ok(Some(Packet::Flush)));
    assert!(reader.is_empty());
    give(&mut reader, b"00");
    assert_eq!((reader.next_packet(), reader.is_empty()), (Ok(None), false));
    assert_eq!((reader.missing(), reader.buffered()), (Ok(2), 2));
    give(&mut reader, b"00");
    assert_eq!((reader.next_packet(), reader.is_empty()), (Ok(Some(Packet::Flush)), true));
    give(&mut reader, b"0007\x02");
    assert_eq!((reader.next_fragment(), reader.is_empty(), reader.missing()), (Ok(None), false, Ok(2)));
    give(&mut reader, b"ab");
    let bytes = Bytes::from_static(b"ab");
    assert_eq!(reader.next_fragment(), Ok(Some(Fragment::Data { band: Band::Progress, bytes })));
    assert_eq!((reader.is_empty(), reader.missing()), (true, Ok(0)));
}

/// One to five chunk sizes below `bound`.
fn sizes(rng: &mut Rng, bound: usize) -> Vec<usize> {
    (0..=rng.below(5)).map(|_| 1 + rng.below(bound - 1)).collect()
}

/// PKT-7, PKT-2: whatever the bytes are, nothing panics and the split does not matter.
#[test]
fn pkt_7_any_bytes_read_the_same_in_any_split() {
    for seed in 0..2000 {
        let mut rng = Rng::new(seed);
        // Mostly what lengths and bands are made of, so that many inputs get past their first packet.
        let input: Vec<u8> = (0..rng.below(80))
            .map(|_| match rng.below(5) {
                0 => b'0',
                1 => b"0123456789"[rng.below(10)],
                2 => 1,
                3 => 2,
                _ => rng.bytes(1)[0],
            })
            .collect();
        let sizes = sizes(&mut rng, 12);
        assert_eq!(packets(&input, &sizes), packets(&input, &[]), "seed {seed}");
        assert_eq!(fragments(&input, &sizes), fragments(&input, &[]), "seed {seed}");
    }
}

/// PKT-4, PKT-7: what is written is read back.
#[test]
fn pkt_7_written_lines_are_read_back() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let lines: Vec<Vec<u8>> = (0..rng.below(20))
            .map(|_| {
                let length = rng.below(300);
                rng.bytes(length)
            })
            .collect();
        let mut out = BytesMut::new();
        for line in &lines {
            pkt::put_line(&mut out, &[line]).unwrap();
        }
        pkt::put_flush(&mut out);
        let (read, end) = packets(&out, &sizes(&mut rng, 700));
        assert_eq!((end, read.len()), (Ok(0), lines.len() + 1), "seed {seed}");
        for (packet, line) in read.iter().zip(&lines) {
            let Packet::Data(data) = packet else { panic!() };
            assert_eq!(pkt::trim_lf(data), &line[..], "seed {seed}");
        }
    }
}

/// PKT-7: a raw tail begins exactly where the last packet ended.
#[test]
fn pkt_7_raw_bytes_follow_the_last_packet_in_any_split() {
    let input = b"0008NAK\n0000PACK0000raw";
    for size in 1..=input.len() {
        let (mut reader, mut special, mut raw) = (Reader::new(), 0, Vec::new());
        for chunk in input.chunks(size) {
            reader.handle_bytes(Bytes::copy_from_slice(chunk));
            while special < 2 && reader.next_packet().unwrap().is_some() {
                special += 1;
            }
            if special == 2 {
                raw.extend(std::iter::from_fn(|| reader.take_raw()).flatten());
            }
        }
        assert_eq!(raw, b"PACK0000raw");
        assert!(reader.is_empty());
    }
}

#[test]
fn pkt_8_payloads_are_slices_of_the_input() {
    let input = Bytes::from_static(b"0009done\n0009\x01PACKraw");
    let mut reader = Reader::new();
    reader.handle_bytes(input.clone());
    let Some(Packet::Data(line)) = reader.next_packet().unwrap() else { panic!() };
    assert_eq!(line.as_ptr(), input[4..].as_ptr());
    let Some(Fragment::Data { bytes, .. }) = reader.next_fragment().unwrap() else { panic!() };
    assert_eq!((bytes.as_ptr(), &bytes[..]), (input[14..].as_ptr(), &b"PACK"[..]));
    assert_eq!(reader.next_fragment(), Ok(None), "three bytes are no length yet");
    let mut reader = Reader::new();
    reader.handle_bytes(input.clone());
    assert_eq!(reader.take_raw().unwrap().as_ptr(), input.as_ptr());

    // Sideband data that spans chunks comes in slices of each, without being gathered.
    let (first, second) = (Bytes::from_static(b"000d\x01abcd"), Bytes::from_static(b"efgh0000"));
    let mut reader = Reader::new();
    reader.handle_bytes(first.clone());
    reader.handle_bytes(second.clone());
    for part in [&first[5..], &second[..4]] {
        let Some(Fragment::Data { band: Band::Data, bytes }) = reader.next_fragment().unwrap() else {
            panic!()
        };
        assert_eq!((bytes.as_ptr(), bytes.len()), (part.as_ptr(), part.len()));
    }
    assert_eq!(reader.next_fragment(), Ok(Some(Fragment::Flush)));
}

/// T14: PKT-2, PKT-3, PKT-4 in the reader as in the codec, and the error stays.
#[test]
fn pkt_2_malformed_lengths_are_typed_and_never_loop() {
    for header in ["0003", "00zz", "-001", "+004", " 004", "0x04", "\0\0\0\0"] {
        let error = Error::InvalidLength { header: header.as_bytes().try_into().unwrap() };
        for size in 1..=4 {
            assert_eq!(packets(header.as_bytes(), &[size]), (vec![], Err(error.clone())));
            assert_eq!(fragments(header.as_bytes(), &[size]), (vec![], Err(error.clone())));
        }
        let mut reader = Reader::new();
        reader.handle_bytes(Bytes::copy_from_slice(header.as_bytes()));
        assert_eq!(reader.next_packet(), Err(error.clone()));
        assert_eq!(reader.next_packet(), Err(error));
    }
    for header in ["fff1", "fFfF"] {
        assert!(matches!(packets(header.as_bytes(), &[3]).1, Err(Error::TooLong { limit: 65520, .. })));
    }
}

/// T9: an announced length allocates nothing; what is held is what arrived.
#[test]
fn pkt_4_an_announced_length_costs_nothing_until_it_arrives() {
    let mut reader = Reader::new();
    reader.handle_bytes(Bytes::from_static(b"fff0abc"));
    assert_eq!(reader.next_packet(), Ok(None));
    assert_eq!(reader.buffered(), 7);
    assert_eq!(reader.missing(), Ok(pkt::MAX_DATA - 3));
}

/// T6: a chunk that waits is charged for more than its one byte.
#[test]
fn pkt_12_tiny_chunks_are_charged_for_what_they_cost() {
    let mut reader = Reader::new();
    for _ in 0..1001 {
        reader.handle_bytes(Bytes::from_static(b"0"));
    }
    assert!(reader.buffered() >= 64 * 1000);
    while reader.next_packet().unwrap().is_some() {}
    assert_eq!((reader.buffered(), reader.missing()), (1, Ok(3)));
}

#[test]
fn pkt_6_the_missing_bytes_are_counted() {
    for (input, missing) in [("", 0), ("0", 3), ("0009", 5), ("0009do", 3), ("0009done\n", 0), ("00000", 3)] {
        assert_eq!(packets(input.as_bytes(), &[1]).1, Ok(missing), "{input}");
        assert_eq!(packets(input.as_bytes(), &[]).1, Ok(missing), "{input}");
    }
    for (input, missing) in [("000", 1), ("0009", 5), ("0009\u{1}PA", 2), ("0009\u{1}PACK", 0)] {
        assert_eq!(fragments(input.as_bytes(), &[1]).1, Ok(missing), "{input}");
        assert_eq!(fragments(input.as_bytes(), &[]).1, Ok(missing), "{input}");
    }
}

/// T5: PKT-10, PKT-11: keep-alives are passed over, a flood of them is not.
#[test]
fn pkt_11_packets_that_carry_nothing_are_counted() {
    let limit = portline::limits::EMPTY_PACKETS;
    let few = usize::try_from(limit).unwrap();
    let keepalive = b"0005\x01".repeat(few);
    let (seen, end) = fragments(&[&keepalive[..], b"0006\x02x", &keepalive].concat(), &[]);
    assert_eq!((seen, end), (vec![(Some(Band::Progress), b"x".to_vec())], Ok(0)));
    assert_eq!(fragments(&b"0005\x01".repeat(few + 1), &[7]).1, Err(Error::TooManyEmpty { limit }));
    assert_eq!(packets(&b"0004".repeat(few + 1), &[]).1, Err(Error::TooManyEmpty { limit }));
    assert_eq!(packets(&b"0004".repeat(few), &[]).1, Ok(0));
}

#[test]
fn pkt_9_bands() {
    for (byte, band) in [(1, Band::Data), (2, Band::Progress), (3, Band::Fatal)] {
        assert_eq!(band.as_u8(), byte);
        assert_eq!(Sideband::decode(&[b'0', b'0', b'0', b'7', byte]), Ok(Sideband::Data { band, length: 2 }));
    }
    assert_eq!(Sideband::decode(b"0004"), Err(Error::MissingBand));
    assert_eq!(Sideband::decode(b"0006\0"), Err(Error::UnknownBand { band: 0 }));
    assert_eq!(Sideband::decode(b"00"), Err(Error::Truncated { missing: 2 }));
    assert_eq!(Sideband::decode(b"0000"), Ok(Sideband::Flush));
}

/// PKT-5.
#[test]
fn pkt_5_one_trailing_lf_is_not_part_of_the_text() {
    assert_eq!(pkt::trim_lf(b"done\n"), b"done");
    assert_eq!(pkt::trim_lf(b"done\n\n"), b"done\n");
    assert_eq!(pkt::trim_lf(b"done"), b"done");
    assert_eq!(pkt::trim_lf(b""), b"");
}
