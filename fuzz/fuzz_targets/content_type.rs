//! Any header: no panic, what is read is what is written again, the boundary is the one that multer finds, and what is
//! held is in proportion to what came.
#![no_main]

#[path = "common/heap.rs"]
mod heap;

use libfuzzer_sys::fuzz_target;
use portline::body::content_disposition::ContentDisposition;
use portline::body::content_type::ContentType;
use portline::body::multipart::Boundary;

/// The same boundary, if both find one. multer's parser undoes no escapes, takes the first of several parameters with one
/// name, knows no repetition, and gives `charset` and what has no quotes in lower case.
fn agrees(header: &[u8], boundary: &Boundary) {
    let Ok(text) = std::str::from_utf8(header) else { return };
    let Ok(theirs) = multer::parse_boundary(text) else { return };
    if !text.contains('\\') {
        assert_eq!(boundary.as_bytes(), theirs.as_bytes());
    }
}

fuzz_target!(|header: &[u8]| {
    heap::bounded(256 * header.len() + 4096, || run(header));
});

fn run(header: &[u8]) {
    if let Ok(content_type) = ContentType::parse(header) {
        let again: Vec<(Vec<u8>, Vec<u8>)> =
            content_type.parameters().map(|(name, value)| (name.to_vec(), value.into_owned())).collect();
        for (name, value) in &again {
            // The name was a token, which is ASCII; the first of a name counts, and repetitions are the same.
            let found = content_type.parameter(std::str::from_utf8(name).unwrap());
            assert_eq!(found.as_deref(), Some(&value[..]));
        }
        // Written by the RFC it says the same.
        let mut written = [content_type.kind(), b"/", content_type.subtype()].concat();
        for (name, value) in &again {
            written.extend_from_slice(&[b";", &name[..], b"=\""].concat());
            for byte in value {
                if matches!(byte, b'"' | b'\\') {
                    written.push(b'\\');
                }
                written.push(*byte);
            }
            written.push(b'"');
        }
        let read = ContentType::parse(&written).unwrap();
        let same: Vec<(Vec<u8>, Vec<u8>)> =
            read.parameters().map(|(name, value)| (name.to_vec(), value.into_owned())).collect();
        assert_eq!(same, again);
    }
    if let Ok(boundary) = Boundary::of_content_type(header) {
        agrees(header, &boundary);
        assert_eq!(Boundary::of_content_type(&boundary.content_type()), Ok(boundary));
    }
    if let Ok(disposition) = ContentDisposition::parse(header) {
        let longest = header.len() * 2;
        assert!(disposition.name().is_none_or(|name| name.len() <= longest));
        assert!(disposition.filename().is_none_or(|name| name.len() <= longest));
    }
}
