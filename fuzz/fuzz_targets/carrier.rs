//! Any bytes in any split: the incremental decoder gives the messages and the error of the borrowed one.
#![no_main]

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portline::frame::carrier::{Decoded, Decoder, Error, decode};

#[derive(Arbitrary, Debug)]
struct Input {
    limit: u16,
    cuts: Vec<(u16, bool)>,
    bytes: Vec<u8>,
}

fn whole(mut input: &[u8], limit: usize) -> (Vec<Bytes>, Result<(), Error>) {
    let mut messages = Vec::new();
    loop {
        match decode(input, limit) {
            Ok(Decoded::Complete { message, consumed }) => {
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
    let limit = usize::from(input.limit);
    let (expected, end) = whole(&input.bytes, limit);
    let mut decoder = Decoder::new(limit, 4096);
    let mut got = Vec::new();
    let drain = |decoder: &mut Decoder, got: &mut Vec<Bytes>| {
        while let Ok(Some(message)) = decoder.next_message() {
            got.push(message);
        }
    };
    let mut rest = Bytes::from(input.bytes);
    for (cut, drained) in input.cuts {
        decoder.handle_bytes(rest.split_to(usize::from(cut).min(rest.len())));
        if drained {
            drain(&mut decoder, &mut got);
        }
    }
    decoder.handle_bytes(rest);
    drain(&mut decoder, &mut got);
    assert_eq!(got, expected);
    assert_eq!(decoder.finish(), end);
});
