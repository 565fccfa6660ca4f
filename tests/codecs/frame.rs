//! The frame codec, the reason of an ERROR, and the carrier: exact bytes, exact errors, any split.

use crate::common::{Rng, split};
use bytes::{Bytes, BytesMut};
use portline::frame::carrier::{self, Decoded, Decoder};
use portline::frame::{Error, Frame, FrameType, HEADER_LEN, Reason, decode, decode_bytes, encode_header};
use portline::{Transmit, limits};

#[test]
fn frame_1_a_message_is_type_id_and_the_rest() {
    let message = [0, 1, 2, 3, 4, 9, 8];
    assert_eq!(decode(&message), Ok(Frame::new(FrameType::Data, 0x0102_0304, &[9, 8][..])));
    assert_eq!(decode(&message[..5]), Ok(Frame::new(FrameType::Data, 0x0102_0304, &[][..])));
}

#[test]
fn frame_2_every_byte_is_a_type_and_comes_back_as_it_was() {
    let named = [
        (0, FrameType::Data),
        (1, FrameType::Ack),
        (2, FrameType::End),
        (3, FrameType::Error),
        (4, FrameType::Credit),
        (5, FrameType::Cancel),
        (6, FrameType::Last),
        (16, FrameType::Ready),
        (17, FrameType::Call),
        (18, FrameType::Result),
        (19, FrameType::Abort),
        (20, FrameType::Open),
    ];
    for number in 0..=255 {
        let kind = FrameType::from(number);
        assert_eq!(kind.as_u8(), number);
        match named.iter().find(|(n, _)| *n == number) {
            Some((_, name)) => assert_eq!(kind, *name),
            None if number < 128 => assert_eq!(kind, FrameType::Reserved(number)),
            None => assert_eq!(kind, FrameType::Application(number)),
        }
    }
}

#[test]
fn frame_3_a_message_shorter_than_the_header_is_no_frame() {
    for length in 0..HEADER_LEN {
        assert_eq!(decode(&[0; 8][..length]), Err(Error::Short { length }));
        assert_eq!(decode_bytes(Bytes::from(vec![0; length])), Err(Error::Short { length }));
    }
}

#[test]
fn frame_4_no_payload_is_copied_in_either_direction() {
    let message = Bytes::from(vec![1, 0, 0, 0, 7, 1, 2, 3]);
    let at = message[5..].as_ptr();
    let owned = decode_bytes(message.clone()).unwrap();
    assert_eq!(owned.payload.as_ptr(), at);
    assert_eq!(decode(&message).unwrap().payload.as_ptr(), at);
    let transmit = owned.encode();
    assert_eq!(transmit.payload().as_ptr(), at);
    assert_eq!(transmit.head(), [1, 0, 0, 0, 7]);
    let mut buffer = BytesMut::new();
    decode(&message).unwrap().put(&mut buffer);
    assert_eq!(buffer, message);
}

#[test]
fn frame_5_ids_use_all_32_bits() {
    for (id, bytes) in [(0, [2, 0, 0, 0, 0]), (u32::MAX, [2, 255, 255, 255, 255]), (1, [2, 0, 0, 0, 1])] {
        assert_eq!(encode_header(FrameType::End, id), bytes);
        assert_eq!(decode(&bytes).unwrap().id, id);
    }
}

#[test]
fn frame_6_a_reason_that_is_no_json_string_is_kept_raw() {
    let reason = |payload: &'static [u8]| Reason::decode(&Bytes::from_static(payload));
    assert_eq!(reason(br#""boom \u00e4 \n""#), Reason::Text("boom ä \n".into()));
    for raw in [&b"boom"[..], b"", b"null", b"12", b"{\"a\":1}", b"\"open", b"\"\xff\"", b"\"a\" b"] {
        assert_eq!(reason(raw), Reason::Raw(Bytes::from_static(raw)));
    }
    assert_eq!(reason(b"a\xffb").text(), "a\u{fffd}b");
    assert_eq!(reason(b"\"\\u001b[31mred\"").to_string(), "\\u{1b}[31mred");
    let long = Bytes::from(format!("\"{}\"", "x".repeat(limits::ERROR_PAYLOAD)));
    assert_eq!(Reason::decode(&long), Reason::Raw(long.slice(..limits::ERROR_PAYLOAD)));
}

#[test]
fn frame_7_a_reason_is_sent_as_json_and_cut_between_characters() {
    assert_eq!(Reason::encode("ACK timeout for block 1"), &b"\"ACK timeout for block 1\""[..]);
    assert_eq!(Reason::encode("a\"\\\n\u{1}\u{7f}"), &b"\"a\\\"\\\\\\n\\u0001\x7f\""[..]);
    for text in ["x", "\"", "\u{1}", "ä", "\u{10348}", "a\u{1}"] {
        let sent = Reason::encode(&text.repeat(limits::ERROR_PAYLOAD));
        assert!(sent.len() <= limits::ERROR_PAYLOAD && sent.len() > limits::ERROR_PAYLOAD - 8);
        let Reason::Text(back) = Reason::decode(&sent) else { panic!("{text:?} did not come back") };
        assert!(text.repeat(limits::ERROR_PAYLOAD).starts_with(&back));
    }
}

#[test]
fn frame_8_the_length_goes_in_front_of_the_message() {
    let frame = Frame::new(FrameType::Data, 1, Bytes::from_static(b"ab")).encode();
    let wrapped = carrier::wrap(frame).unwrap();
    assert_eq!(wrapped.head(), [0, 0, 0, 7, 0, 0, 0, 0, 1]);
    let bytes = wrapped.into_bytes();
    assert_eq!(
        carrier::decode(&bytes, 7),
        Ok(Decoded::Complete { message: &[0, 0, 0, 0, 1, b'a', b'b'], consumed: 11 })
    );
    for cut in 0..bytes.len() {
        let needed = if cut < 4 { 4 - cut } else { 11 - cut };
        assert_eq!(carrier::decode(&bytes[..cut], 7), Ok(Decoded::Incomplete { needed }));
    }
    let empty = carrier::wrap(Transmit::new(Bytes::new())).unwrap().into_bytes();
    assert_eq!(carrier::decode(&empty, 0), Ok(Decoded::Complete { message: &[], consumed: 4 }));
}

#[test]
fn frame_9_a_length_above_the_limit_is_an_error_before_anything_is_kept() {
    let error = carrier::Error::TooLong { length: 8, limit: 7 };
    assert_eq!(carrier::decode(&[0, 0, 0, 8], 7), Err(error));
    let mut decoder = Decoder::new(7, 100);
    decoder.handle_bytes(Bytes::from_static(&[0, 0, 0, 1, 9, 0, 0, 0]));
    assert_eq!(decoder.next_message(), Ok(Some(Bytes::from_static(&[9]))));
    assert_eq!(decoder.next_message(), Ok(None));
    decoder.handle_bytes(Bytes::from_static(&[8]));
    for _ in 0..2 {
        assert_eq!(decoder.next_message(), Err(error));
        decoder.handle_bytes(Bytes::from_static(&[1, 2, 3]));
        assert_eq!((decoder.buffered(), decoder.wants_input(), decoder.finish()), (0, false, Err(error)));
    }
}

#[test]
fn frame_10_the_end_of_input_inside_a_message_says_what_is_missing() {
    let whole = [0, 0, 0, 3, 7, 8, 9];
    for cut in 0..=whole.len() {
        let missing = match cut {
            0 | 7 => 0,
            1..4 => 4 - cut,
            _ => 7 - cut,
        };
        let expected = if missing == 0 { Ok(()) } else { Err(carrier::Error::Truncated { missing }) };
        let mut decoder = Decoder::default();
        decoder.handle_bytes(Bytes::copy_from_slice(&whole[..cut]));
        if cut < 4 {
            assert_eq!(decoder.missing(), missing);
        }
        assert_eq!(decoder.next_message().unwrap().is_some(), cut == 7);
        assert_eq!(decoder.finish(), expected);
    }
}

fn pipe(rng: &mut Rng, count: usize) -> (Vec<Vec<u8>>, Vec<u8>) {
    let lengths = [0, 1, 3, 5, 40, 511, 512, 513, 3000, 20_000];
    let messages: Vec<_> = (0..count).map(|_| rng.below(lengths.len())).collect::<Vec<_>>();
    let messages: Vec<_> = messages.into_iter().map(|at| rng.bytes(lengths[at])).collect();
    let whole = messages.iter().flat_map(|m| [&(m.len() as u32).to_be_bytes()[..], m].concat()).collect();
    (messages, whole)
}

#[test]
fn frame_11_messages_do_not_depend_on_the_split() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let (messages, whole) = pipe(&mut rng, 12);
        let largest = [1, 2, 7, 100, 600, 5000, 100_000][rng.below(7)];
        let mut decoder = Decoder::new(20_000, 1000);
        let mut got = Vec::new();
        for piece in split(&mut rng, &whole, largest) {
            decoder.handle_bytes(piece);
            // Sometimes inputs pile up, sometimes they are drained at once.
            if rng.below(3) > 0 {
                while let Some(message) = decoder.next_message().unwrap() {
                    got.push(message);
                }
            }
        }
        while let Some(message) = decoder.next_message().unwrap() {
            got.push(message);
        }
        assert_eq!(got, messages, "seed {seed}");
        assert_eq!((decoder.finish(), decoder.buffered()), (Ok(()), 0));
    }
}

#[test]
fn frame_12_a_message_inside_one_chunk_is_a_slice_of_it() {
    let chunk = Bytes::from(vec![0, 0, 0, 2, 1, 2, 0, 0, 0, 1, 3, 0, 0]);
    let mut decoder = Decoder::default();
    decoder.handle_bytes(chunk.clone());
    assert_eq!(decoder.next_message().unwrap().unwrap().as_ptr(), chunk[4..].as_ptr());
    assert_eq!(decoder.next_message().unwrap().unwrap().as_ptr(), chunk[10..].as_ptr());
    assert_eq!(decoder.next_message(), Ok(None));
    // Its length may be split from it.
    let rest = Bytes::from([&[0, 2][..], &vec![5; 600][..]].concat());
    decoder.handle_bytes(rest.clone());
    assert_eq!(decoder.next_message().unwrap().unwrap().as_ptr(), rest[2..].as_ptr());
}

/// T9: a length is announced and nothing follows.
#[test]
fn frame_12_an_announced_length_takes_no_memory() {
    let mut decoder = Decoder::default();
    decoder.handle_bytes(Bytes::from((limits::MESSAGE as u32).to_be_bytes().to_vec()));
    assert_eq!(decoder.next_message(), Ok(None));
    assert_eq!((decoder.buffered(), decoder.missing()), (0, limits::MESSAGE));
    assert!(decoder.wants_input());
}

/// T6: a message in one-byte chunks costs little more than its bytes, and input stops once it is whole.
#[test]
fn frame_13_chunks_are_charged_and_joined_and_input_stops_at_the_capacity() {
    let mut decoder = Decoder::new(100_000, 1000);
    let whole = [&50_000_u32.to_be_bytes()[..], &vec![3; 50_000][..], &[0, 0, 0, 0]].concat();
    for (n, byte) in whole.iter().enumerate() {
        assert_eq!(decoder.wants_input(), n < 50_004, "at byte {n}");
        decoder.handle_bytes(Bytes::copy_from_slice(&[*byte]));
        assert!(decoder.buffered() <= (n + 1) + (n / 8192 + 3) * limits::CHUNK_OVERHEAD);
    }
    assert_eq!(decoder.next_message().unwrap().unwrap().len(), 50_000);
    assert!(decoder.wants_input());
    assert_eq!(decoder.next_message(), Ok(Some(Bytes::new())));
}
