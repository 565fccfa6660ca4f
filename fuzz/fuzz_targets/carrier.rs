//! Any bytes in any split: the incremental decoder gives the messages and the error of the borrowed one, and holds what
//! arrived, never what was announced.
#![no_main]

#[path = "common/heap.rs"]
mod heap;

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portline::Transmit;
use portline::frame::carrier::{Decoded, Decoder, Error, decode, wrap};

#[derive(Arbitrary, Debug)]
struct Input {
    limit: u32,
    cuts: Vec<(u16, bool)>,
    /// Messages, and raw bytes between them.
    parts: Vec<(bool, Vec<u8>)>,
}

fn whole(mut input: &[u8], limit: usize) -> (Vec<Bytes>, Result<(), Error>) {
    let mut messages = Vec::new();
    loop {
        match decode(input, limit) {
            Ok(Decoded::Complete { message, consumed }) => {
                let wrapped = wrap(Transmit::from(Bytes::copy_from_slice(message))).unwrap();
                assert_eq!(wrapped.into_bytes(), input[..consumed]);
                messages.push(Bytes::copy_from_slice(message));
                input = &input[consumed..];
            }
            Ok(Decoded::Incomplete { .. }) if input.is_empty() => return (messages, Ok(())),
            Ok(Decoded::Incomplete { needed }) => {
                return (messages, Err(Error::Truncated { missing: needed }));
            }
            Err(error) => return (messages, Err(error)),
        }
    }
}

fuzz_target!(|input: Input| {
    let limit = input.limit as usize;
    let mut bytes = Vec::new();
    for (is_message, part) in &input.parts {
        if *is_message {
            bytes.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
        }
        bytes.extend_from_slice(part);
    }
    let (expected, end) = whole(&bytes, limit);
    let mut rest = Bytes::from(bytes);
    // A message across chunks and the small chunks that are joined are copied once each; the list of chunks and that of
    // what was seen grow by doubling.
    let most = 4 * rest.len() + 128 * (input.cuts.len() + expected.len()) + (24 << 10);
    let mut got = Vec::new();
    let finished = heap::bounded(most, || {
        let mut decoder = Decoder::new(limit, 4096);
        let drain = |decoder: &mut Decoder, got: &mut Vec<Bytes>| {
            while let Ok(Some(message)) = decoder.next_message() {
                got.push(message);
            }
        };
        for (cut, drained) in &input.cuts {
            decoder.handle_bytes(rest.split_to(usize::from(*cut).min(rest.len())));
            if *drained {
                drain(&mut decoder, &mut got);
                assert!(decoder.wants_input() || decoder.next_message().is_err());
            }
        }
        decoder.handle_bytes(rest);
        drain(&mut decoder, &mut got);
        let again = decoder.next_message().err();
        assert_eq!(again, decoder.next_message().err(), "an error is sticky");
        decoder.finish()
    });
    assert_eq!(got, expected);
    assert_eq!(finished, end);
});
