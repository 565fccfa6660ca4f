//! Values and lines: what parses encodes to the same again, and ref names agree with a second formulation of the rules.
#![no_main]

use arbitrary::Arbitrary;
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use portline::Printable;
use portline::git::{AdvertisementParser, Capabilities, ObjectId, RefName, Request};
use portline::pkt::Packet;

#[derive(Arbitrary, Debug)]
enum Input {
    RefName(Vec<u8>),
    /// A name made of pieces that matter.
    Pieces(Vec<u8>),
    Id(Vec<u8>),
    Capabilities(Vec<u8>),
    Request(bool, Vec<u8>),
    Advertisement(Vec<(u8, u8, Vec<u8>)>),
    Printable(Vec<u8>),
}

const PIECES: &[&str] = &[
    "refs/", "heads/", "a", ".", "..", "/", ".lock", "@", "{", "@{", "~", " ", "\x7f", "\u{e9}", "HEAD", "-",
    "*",
];

/// The rules of check-ref-format one by one over the whole name, and this crate's own: HEAD or refs/, a limit.
fn is_ref_name(name: &[u8]) -> bool {
    let has = |what: &[u8]| name.windows(what.len()).any(|window| window == what);
    let forbidden = |byte: &u8| *byte <= 32 || *byte == 127 || b"~^:?*[\\".contains(byte);
    name == b"HEAD"
        || (name.starts_with(b"refs/")
            && name.len() <= portline::limits::REF_NAME
            && !has(b"//")
            && !has(b"/.")
            && !has(b"..")
            && !has(b"@{")
            && !has(b".lock/")
            && !name.ends_with(b"/")
            && !name.ends_with(b".")
            && !name.ends_with(b".lock")
            && !name.iter().any(forbidden))
}

fn ref_name(name: &[u8]) {
    let parsed = RefName::new(name);
    assert_eq!(parsed.is_ok(), is_ref_name(name), "{parsed:?}");
    if let Ok(parsed) = parsed {
        assert_eq!(parsed.as_bytes(), name);
        let _ = (parsed.is_portable(), parsed.short().len());
    }
}

fn request(bytes: &[u8]) {
    let Ok(one) = Request::parse(bytes) else { return };
    assert!(!one.path.iter().chain(one.host.iter().flatten()).any(|byte| matches!(byte, 0 | b'\r' | b'\n')));
    let mut out = BytesMut::new();
    one.encode(&mut out).unwrap();
    assert_eq!(Request::parse(&out[4..]), Ok(one));
}

fn advertisement(lines: Vec<(u8, u8, Vec<u8>)>) {
    let mut parser = AdvertisementParser::new();
    for (kind, of, text) in lines {
        let digit = b"0123456789abcdef"[usize::from(of) % 16];
        let id = [digit; 64];
        let line = match kind % 6 {
            0 => [&id[..40], b" refs/heads/", &text].concat(),
            1 => [&id[..40], b" refs/heads/a\0", &text].concat(),
            2 => [&id[..], b" refs/heads/a\0object-format=sha256 ", &text].concat(),
            3 => [&b"shallow "[..], &id[..40]].concat(),
            4 => [&id[..40], b" ", &text].concat(),
            _ => text,
        };
        if parser.handle_packet(Packet::Data(line.into())).is_err() {
            return;
        }
    }
    if let Ok(Some(seen)) = parser.handle_packet(Packet::Flush) {
        for entry in &seen.refs {
            ref_name(entry.name.as_bytes());
            assert!(!entry.id.is_null());
            assert!([Some(entry.id), entry.peeled].iter().flatten().all(|id| id.format() == seen.format));
        }
        assert!(seen.haves.iter().chain(&seen.shallow).all(|id| id.format() == seen.format));
    }
}

fuzz_target!(|input: Input| {
    match input {
        Input::RefName(name) => ref_name(&name),
        Input::Pieces(pieces) => {
            let text: String = pieces.iter().map(|at| PIECES[usize::from(*at) % PIECES.len()]).collect();
            ref_name(text.as_bytes());
        }
        Input::Id(bytes) => {
            if let Ok(id) = ObjectId::from_hex(&bytes) {
                assert!(id.to_hex().as_bytes().eq_ignore_ascii_case(&bytes));
                assert_eq!(ObjectId::from_raw(id.as_raw()), Ok(id));
            }
        }
        Input::Capabilities(line) => {
            if let Ok(list) = Capabilities::parse(&line) {
                let written = list.to_line();
                assert_eq!(Capabilities::parse(&written).as_ref(), Ok(&list));
                assert!(!written.contains(&b'\n'));
            }
        }
        Input::Request(known, text) => {
            let service: &[u8] = if known { b"git-upload-pack " } else { b"" };
            request(&[service, &text].concat());
        }
        Input::Advertisement(lines) => advertisement(lines),
        Input::Printable(bytes) => {
            let shown = Printable(&Bytes::from(bytes)).to_string();
            assert!(!shown.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')));
        }
    }
});
