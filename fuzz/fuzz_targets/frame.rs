//! Any message: the borrowed and the owned decoder agree, and what was decoded encodes to the same bytes. Any text as
//! an error's reason: it is read as serde_json reads it, and back, or as much of it as there is room for. Decoding a
//! message takes no memory, and a reason in proportion to its text.
#![no_main]

#[path = "common/heap.rs"]
mod heap;

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use portline::frame::{FrameType, Reason, decode, decode_bytes};
use portline::limits;

fn reason(payload: &Bytes) {
    // A character of up to four bytes comes as at least one, and strings double.
    let reason = heap::bounded(8 * payload.len() + 256, || Reason::decode(payload));
    assert!(!reason.to_string().contains(char::is_control));
    assert!(Reason::encode(&reason.text()).len() <= limits::ERROR_PAYLOAD);
    match &reason {
        // What is JSON's string is that string to others, too, and nothing else is one.
        Reason::Text(text) => assert_eq!(serde_json::from_slice::<String>(payload).ok().as_ref(), Some(text)),
        Reason::Raw(raw) => {
            let kept = payload.len().min(limits::ERROR_PAYLOAD);
            assert_eq!(raw, &payload[..kept]);
            assert!(kept < payload.len() || serde_json::from_slice::<String>(payload).is_err());
        }
    }
    // Any text survives; text that is too long is cut, and no character more than it must be.
    let text = String::from_utf8_lossy(payload);
    let encoded = Reason::encode(&text);
    let Reason::Text(read) = Reason::decode(&encoded) else { panic!("{encoded:?} is no string") };
    assert!(text.starts_with(&read));
    let whole = serde_json::to_vec(&*text).unwrap();
    assert_eq!(read.len() == text.len(), whole.len() <= limits::ERROR_PAYLOAD);
    assert!(read.len() == text.len() || encoded.len() + 6 > limits::ERROR_PAYLOAD);
}

fuzz_target!(|message: &[u8]| {
    let whole = Bytes::copy_from_slice(message);
    let owned = heap::bounded(0, || decode_bytes(whole));
    match (decode(message), owned) {
        (Ok(borrowed), Ok(owned)) => {
            assert_eq!(
                (borrowed.kind, borrowed.id, borrowed.payload),
                (owned.kind, owned.id, &owned.payload[..])
            );
            if borrowed.kind == FrameType::Error {
                reason(&owned.payload);
            }
            let mut put = BytesMut::new();
            borrowed.put(&mut put);
            assert_eq!(put, message);
            assert_eq!(owned.encode().into_bytes(), message);
        }
        (Err(borrowed), Err(owned)) => assert_eq!(borrowed, owned),
        (borrowed, owned) => panic!("{borrowed:?} and {owned:?}"),
    }
});
