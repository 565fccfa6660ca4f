//! Any control message: the borrowed and the owned decoder agree, what was decoded encodes to a message that says
//! the same, a carrier that splits the pipe anywhere changes nothing of it, and decoding takes no memory.
#![no_main]

#[path = "common/heap.rs"]
mod heap;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portline::frame::carrier::Decoder;
use portline::rpc::control::{Message, decode, decode_bytes};

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (split, message) = input;
    let message = Bytes::from(message);
    let both = heap::bounded(256, || (decode(&message), decode_bytes(&message)));
    let (borrowed, owned) = match both {
        (Ok(borrowed), Ok(owned)) => (borrowed, owned),
        (Err(borrowed), Err(owned)) => return assert_eq!(borrowed, owned),
        (borrowed, owned) => panic!("{borrowed:?} and {owned:?}"),
    };
    let extensible = matches!(borrowed, Message::Abort { .. } | Message::Open { .. });
    let encoded = owned.clone().encode().into_bytes();
    // Of ABORT and OPEN what follows the fields is ignored.
    assert!(message.starts_with(&encoded) && (extensible || message.len() == encoded.len()));
    assert_eq!(decode_bytes(&encoded), Ok(owned.clone()));

    let length = u32::try_from(encoded.len()).unwrap().to_be_bytes();
    let pipe = Bytes::from([&length[..], &encoded].concat());
    let mut decoder = Decoder::new(1 << 20, 1 << 20);
    let mut whole = None;
    for piece in pipe.chunks(usize::from(split).max(1)) {
        assert_eq!(whole, None, "nothing before the last piece");
        decoder.handle_bytes(Bytes::copy_from_slice(piece));
        whole = decoder.next_message().unwrap();
    }
    assert_eq!(decode_bytes(&whole.unwrap()), Ok(owned));
    assert_eq!(decoder.finish(), Ok(()));
});
