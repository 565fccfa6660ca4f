//! Values and lines: what parses encodes to the same again; ref names agree with gix-validate and with a second
//! formulation of the rules; what is held is in proportion to what came.
#![no_main]

#[path = "common/heap.rs"]
mod heap;

use arbitrary::Arbitrary;
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use portline::Printable;
use portline::git::{AdvertisementParser, Capabilities, Filter, IdError, ObjectId, RefName, Request};
use portline::pkt::Packet;
use portline::sync::Pattern;
use portline::{limits, rpc};

#[derive(Arbitrary, Debug)]
enum Input {
    RefName(Vec<u8>),
    /// A name made of pieces that matter.
    Pieces(Vec<u8>),
    Id(Vec<u8>),
    /// 40 or 64 digits, and one byte somewhere that is any.
    NearId(bool, u8, u8),
    Capabilities(Vec<u8>),
    /// What a control channel's READY tells.
    Tokens(Vec<u8>),
    Request(bool, Vec<u8>),
    /// A path of a request, and a host.
    Ask(bool, u8, Vec<u8>, Option<Vec<u8>>),
    Filter(Vec<u8>),
    /// A filter made of pieces that matter, inside as many `combine:` as told.
    FilterPieces(u8, Vec<u8>),
    Exclusion(bool, Vec<u8>),
    Advertisement(Vec<(u8, u8, Vec<u8>)>),
    Printable(Vec<u8>),
}

const PIECES: &[&str] = &[
    "refs/", "heads/", "a", ".", "..", "/", ".lock", "@", "{", "@{", "~", " ", "\x7f", "\u{e9}", "HEAD", "-",
    "*",
];

const FILTERS: &[&str] = &[
    "blob:none",
    "blob:limit=",
    "tree:",
    "object:type=",
    "sparse:oid=",
    "combine:",
    "commit",
    "blob",
    "1",
    "18446744073709551615",
    "k",
    "M",
    "g",
    "+",
    "%2b",
    "%25",
    "%",
    " ",
    "~",
    "main:a",
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
    // gix-validate also takes names of capitals beside HEAD (`ORIG_HEAD`), any length, and what has a slash but does not
    // begin with refs/: no such ref is ever spoken of in the protocol.
    let is_full = name == b"HEAD" || (name.starts_with(b"refs/") && name.len() <= limits::REF_NAME);
    assert_eq!(parsed.is_ok(), is_full && gix_validate::reference::name(name.into()).is_ok(), "{parsed:?}");
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

fn ask(push: bool, version: u8, path: &[u8], host: Option<&[u8]>) {
    use portline::git::{Service, Version};
    let request = Request {
        service: if push { Service::ReceivePack } else { Service::UploadPack },
        path: Bytes::copy_from_slice(path),
        host: host.map(Bytes::copy_from_slice),
        version: [Version::V0, Version::V1, Version::V2][usize::from(version) % 3],
    };
    let mut out = BytesMut::new();
    match request.encode(&mut out) {
        Ok(()) => assert_eq!(Request::parse(&out[4..]), Ok(request)),
        Err(_) => assert!(out.is_empty()),
    }
}

/// Digit by digit, and the first that is none.
fn object_id(hex: &[u8]) {
    let bad = hex.iter().position(|digit| !digit.is_ascii_hexdigit());
    match (ObjectId::from_hex(hex), bad) {
        (Err(IdError::Length { length }), _) => assert!(length == hex.len() && ![40, 64].contains(&length)),
        (Err(IdError::Digit { position }), bad) => assert_eq!(Some(position), bad),
        (Ok(id), None) => {
            assert!(id.to_hex().as_bytes().eq_ignore_ascii_case(hex));
            assert_eq!(ObjectId::from_raw(id.as_raw()), Ok(id));
            assert_eq!(id.is_null(), hex.iter().all(|digit| *digit == b'0'));
        }
        (found, bad) => panic!("{found:?}, {bad:?}"),
    }
}

fn filter(spec: &[u8]) {
    let Ok(filter) = Filter::parse(spec) else { return };
    let written = filter.encode();
    // What is written escapes more than need be, and may so become too long to be read.
    match Filter::parse(&written) {
        Ok(again) => assert_eq!(again, filter),
        Err(error) => assert!(written.len() > limits::FILTER, "{error}"),
    }
}

fn exclusion(text: &[u8]) {
    let Ok(pattern) = Pattern::new(text) else { return };
    // A pattern covers some ref: that is what the constructor promises.
    let covered = match text.strip_suffix(b"*") {
        None => text.to_vec(),
        Some(start) if b"refs/".starts_with(start) => b"refs/x".to_vec(),
        Some(start) if b"HEAD".starts_with(start) => b"HEAD".to_vec(),
        Some(start) => [start, b"x"].concat(),
    };
    assert!(pattern.covers(&RefName::new(covered).unwrap()));
    assert_eq!(pattern.to_string(), text.escape_ascii().to_string());
}

fn tokens(payload: &[u8]) {
    let Ok(list) = rpc::Capabilities::parse(payload) else { return };
    assert_eq!(rpc::Capabilities::parse(&list.encode()), Ok(list.clone()));
    let mut named: Vec<&[u8]> = payload.split(|byte| *byte == b'\n').filter(|one| !one.is_empty()).collect();
    assert!(named.iter().all(|token| list.contains(token)));
    named.sort_unstable();
    named.dedup();
    assert!(list.iter().eq(named));
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
    let size = match &input {
        Input::RefName(text)
        | Input::Pieces(text)
        | Input::Id(text)
        | Input::Capabilities(text)
        | Input::Tokens(text)
        | Input::Request(_, text)
        | Input::Filter(text)
        | Input::FilterPieces(_, text)
        | Input::Exclusion(_, text)
        | Input::Printable(text) => text.len(),
        Input::NearId(..) => 64,
        Input::Ask(_, _, path, host) => path.len() + host.as_ref().map_or(0, Vec::len),
        Input::Advertisement(lines) => lines.iter().map(|(_, _, text)| 200 + text.len()).sum(),
    };
    // A list costs the more the shorter its words are: some hundred bytes for each of one letter.
    heap::bounded(1000 * size + (8 << 10), || run(input));
});

fn run(input: Input) {
    match input {
        Input::RefName(name) => ref_name(&name),
        Input::Pieces(pieces) => {
            let text: String = pieces.iter().map(|at| PIECES[usize::from(*at) % PIECES.len()]).collect();
            ref_name(text.as_bytes());
        }
        Input::Id(bytes) => object_id(&bytes),
        Input::NearId(long, at, byte) => {
            let mut hex = vec![b'0' + at % 10; if long { 64 } else { 40 }];
            let at = usize::from(at) % hex.len();
            hex[at] = byte;
            object_id(&hex);
        }
        Input::Tokens(payload) => tokens(&payload),
        Input::Ask(push, version, path, host) => ask(push, version, &path, host.as_deref()),
        Input::Filter(spec) => filter(&spec),
        Input::FilterPieces(depth, pieces) => {
            let text: String = pieces.iter().map(|at| FILTERS[usize::from(*at) % FILTERS.len()]).collect();
            filter(&[&b"combine:".repeat(usize::from(depth % 10)), text.as_bytes()].concat());
        }
        Input::Exclusion(full, text) => {
            exclusion(&[if full { &b"refs/"[..] } else { b"" }, &text].concat());
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
}
