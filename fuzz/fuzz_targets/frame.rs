//! Any message: the borrowed and the owned decoder agree, and what was decoded encodes to the same bytes.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portline::frame::{FrameType, Reason, decode, decode_bytes};
use portline::limits;

fuzz_target!(|message: &[u8]| {
    let owned = decode_bytes(Bytes::copy_from_slice(message));
    match (decode(message), owned) {
        (Ok(borrowed), Ok(owned)) => {
            assert_eq!(
                (borrowed.kind, borrowed.id, borrowed.payload),
                (owned.kind, owned.id, &owned.payload[..])
            );
            if borrowed.kind == FrameType::Error {
                let reason = Reason::decode(&owned.payload);
                assert!(!reason.to_string().contains(char::is_control));
                assert!(Reason::encode(&reason.text()).len() <= limits::ERROR_PAYLOAD);
            }
            assert_eq!(owned.encode().into_bytes(), message);
        }
        (Err(borrowed), Err(owned)) => assert_eq!(borrowed, owned),
        (borrowed, owned) => panic!("{borrowed:?} and {owned:?}"),
    }
});
