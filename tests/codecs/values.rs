//! The values and lines of the protocols at their edges: the last that is taken and the first that is not, every word
//! that is told, both answers of every question. Written against the mutants of `tests/mutants.sh`.

use bytes::{Bytes, BytesMut};
use portline::git::{
    AdvertisementError, AdvertisementParser, Capabilities, CapabilityError, Filter, FilterError, IdError,
    ObjectFormat, ObjectId, RefName, RefNameError, Request, RequestError, Service, Version,
};
use portline::pkt::Packet;
use portline::rpc::control::{self, METHOD_LEN, Message};
use portline::rpc::{self, MAX_TOKEN, MAX_TOKENS};
use portline::stream::{Direction, Role, Shape, Sizing};
use portline::{Blame, limits};

const ID: &str = "59718b6e26b96150c7dd3435f053958592fc24f1";

/// GIT-1.
#[test]
fn git_1_formats_have_their_sizes_and_only_zeros_are_null() {
    assert_eq!((ObjectFormat::Sha1.raw_len(), ObjectFormat::Sha1.hex_len()), (20, 40));
    assert_eq!((ObjectFormat::Sha256.raw_len(), ObjectFormat::Sha256.hex_len()), (32, 64));
    assert_eq!((ObjectFormat::Sha1.name(), ObjectFormat::Sha256.name()), ("sha1", "sha256"));
    let id: ObjectId = ID.parse().unwrap();
    assert!(!id.is_null() && ObjectId::null(ObjectFormat::Sha1).is_null());
    assert_eq!(
        (id.format(), id.to_hex().as_str(), id.to_hex().as_bytes()),
        (ObjectFormat::Sha1, ID, ID.as_bytes())
    );
    assert_eq!(format!("{id:?} {id:.4} {id}"), format!("ObjectId({ID}) 5971 {ID}"));
    for byte in 0..=255 {
        let id = ObjectId::from_raw(&[byte; 32]).unwrap();
        assert_eq!(id.to_string(), format!("{byte:02x}").repeat(32));
    }
}

/// GIT-1: one digit that is none, and two of them side by side, which are told apart from the same byte twice.
#[test]
fn git_1_no_pair_of_bytes_but_of_digits_is_read() {
    for (high, low) in (0..=255_u8).flat_map(|high| (0..=255_u8).map(move |low| (high, low))) {
        let mut hex = [b'0'; 40];
        (hex[6], hex[7]) = (high, low);
        let good = high.is_ascii_hexdigit() && low.is_ascii_hexdigit();
        match ObjectId::from_hex(&hex) {
            Ok(id) => assert!(good && id.to_string().as_bytes().eq_ignore_ascii_case(&hex)),
            Err(error) => {
                let position = if high.is_ascii_hexdigit() { 7 } else { 6 };
                assert_eq!((good, error), (false, IdError::Digit { position }));
            }
        }
    }
}

/// GIT-2.
#[test]
fn git_2_the_longest_name_is_taken_and_one_byte_more_is_not() {
    let of = |length: usize| [&b"refs/"[..], &vec![b'a'; length - 5]].concat();
    assert_eq!(RefName::new(of(limits::REF_NAME)).unwrap().as_bytes().len(), limits::REF_NAME);
    let (length, limit) = (limits::REF_NAME + 1, limits::REF_NAME);
    assert_eq!(RefName::new(of(length)), Err(RefNameError::TooLong { length, limit }));
}

/// GIT-2: each byte in the middle of a component.
#[test]
fn git_2_every_byte_is_taken_or_refused_as_git_has_it() {
    for byte in 0..=255_u8 {
        let name = [&b"refs/heads/a"[..], &[byte], b"b"].concat();
        let bad = byte <= 32 || byte == 127 || b"~^:?*[\\".contains(&byte);
        assert_eq!(RefName::new(&name).is_err(), bad, "{byte:#04x}");
    }
    for good in ["refs/heads/a.b.c", "refs/heads/@a{", "refs/heads/{@", "refs/heads/a.lockx", "refs/heads/a@"]
    {
        assert!(RefName::new(good).is_ok(), "{good}");
    }
}

#[test]
fn git_2_names_tell_what_they_are() {
    let (head, main) = (RefName::head(), RefName::new("refs/heads/main").unwrap());
    assert!(head.is_head() && !main.is_head());
    assert_eq!((head.to_string(), main.to_string()), ("HEAD".into(), "refs/heads/main".into()));
    assert_eq!((format!("{main:?}"), main.as_ref()), ("RefName(refs/heads/main)".into(), main.as_bytes()));
    for (name, portable) in [
        ("refs/heads/com", true),
        ("refs/heads/com0", true),
        ("refs/heads/com10", true),
        ("refs/heads/x1", true),
        ("refs/heads/Com9.txt", false),
        ("refs/LPT1/a", false),
        ("refs/aux", false),
        ("refs/prn", false),
        ("refs/con/a", false),
        ("refs/nul", false),
        ("refs/a./b", false),
        ("HEAD", true),
    ] {
        assert_eq!(RefName::new(name).unwrap().is_portable(), portable, "{name}");
    }
}

/// GIT-4.
#[test]
fn git_4_the_longest_list_is_taken_and_one_more_is_not() {
    let limit = limits::CAPABILITIES;
    let list = Capabilities::parse(&b"a ".repeat(limit)).unwrap();
    assert_eq!((list.iter().count(), list.is_empty()), (limit, false));
    let mut lines = list;
    assert_eq!(lines.push_line(b"more"), Err(CapabilityError::TooMany { limit }));
    let mut lines = Capabilities::new();
    for _ in 0..limit {
        lines.push_line(b"fetch=shallow  filter").unwrap();
    }
    assert_eq!(lines.push_line(b"more"), Err(CapabilityError::TooMany { limit }));
    assert!(lines.has_feature("fetch", "filter") && lines.has_feature("fetch", "shallow"));
    assert!(!lines.has_feature("fetch", "filte") && !lines.has_feature("fetc", "filter"));
    let mut list = Capabilities::new();
    list.push("multi_ack");
    list.push_value("agent", b"git/2").unwrap();
    assert_eq!(list.to_line(), "multi_ack agent=git/2");
    let list = Capabilities::parse(b"a\x1b=b c").unwrap();
    assert_eq!(list.to_string(), "a\\x1b=b c");
}

/// T10.
#[test]
fn git_20_the_most_parts_of_a_filter_are_taken_and_one_more_is_not() {
    let limit = limits::FILTER_PARTS;
    // The whole is a part as well.
    let of = |parts: usize| format!("combine:{}", vec!["tree:1"; parts - 1].join("+"));
    assert_eq!(Filter::parse(of(limit).as_bytes()).unwrap().encode(), of(limit).as_bytes());
    assert_eq!(Filter::parse(of(limit + 1).as_bytes()), Err(FilterError::TooMany { limit }));
    // What is put together can be read by whom it is sent to.
    let all = |parts: usize| Filter::all(vec![Filter::Tree(1); parts - 1]);
    assert_eq!(all(limit).unwrap().unwrap().encode(), of(limit).as_bytes());
    assert_eq!(all(limit + 1), Err(FilterError::TooMany { limit }));
    let limit = limits::FILTER;
    let of = |length: usize| format!("sparse:oid={}", "a".repeat(length - 11));
    assert_eq!(Filter::parse(of(limit).as_bytes()).unwrap().encode(), of(limit).as_bytes());
    assert_eq!(Filter::parse(of(limit + 1).as_bytes()), Err(FilterError::TooLong { limit }));
}

/// GIT-8.
#[test]
fn git_8_the_longest_path_and_host_are_taken_and_one_byte_more_is_not() {
    let limit = limits::REQUEST_PATH;
    for (length, fits) in [(limit, true), (limit + 1, false)] {
        let text = vec![b'a'; length];
        let error = RequestError::TooLong { limit };
        let line = [&b"git-receive-pack "[..], &text, b"\0host=", &text, b"\0"].concat();
        let path = Request::parse(&[&b"git-upload-pack "[..], &text].concat());
        assert_eq!(path.err(), (!fits).then_some(error));
        assert_eq!(Request::parse(&line).err(), (!fits).then_some(error));
        let host = Request { host: Some(Bytes::from(text)), ..Request::new(Service::UploadPack) };
        let mut out = BytesMut::new();
        assert_eq!(host.encode(&mut out).err(), (!fits).then_some(error));
        assert_eq!(out.is_empty(), !fits);
    }
    assert_eq!(Request::parse(b"git-upload-pack /x\0host=a\0host=b\0").unwrap().host.unwrap(), "a");
    assert_eq!(Request::parse(b"git-upload-pack /x\0\0version=1\0").unwrap().version, Version::V1);
    assert_eq!(Request::parse(b"git-upload-pack /x\0\0version=2\0").unwrap().version, Version::V2);
    let names = (Service::UploadPack.to_string(), Service::ReceivePack.to_string());
    assert_eq!(names, ("git-upload-pack".into(), "git-receive-pack".into()));
}

fn advertised(lines: &[&[u8]]) -> Result<portline::git::Advertisement, AdvertisementError> {
    let mut parser = AdvertisementParser::default();
    for line in lines {
        assert_eq!(parser.handle_packet(Packet::Data(Bytes::copy_from_slice(line)))?, None);
    }
    Ok(parser.handle_packet(Packet::Flush)?.unwrap())
}

/// GIT-5.
#[test]
fn git_5_only_the_first_list_counts_and_what_is_not_valid_is_left_out_and_counted() {
    let line = |text: &str| text.replace("ID", ID).into_bytes();
    let seen = advertised(&[
        &line("ID refs/heads/a\0one\n"),
        &line("ID refs/heads/b\0two"),
        &line("ID refs/heads/..\n"),
        &line("ID refs/tags/other^{}"),
        &line("0000000000000000000000000000000000000000 refs/heads/null"),
    ])
    .unwrap();
    assert!(seen.capabilities.has("one") && !seen.capabilities.has("two"));
    assert_eq!((seen.version, seen.refs.len(), seen.skipped), (Version::V0, 2, 3));
    assert_eq!(seen.find(&RefName::new("refs/heads/b").unwrap()), seen.refs.get(1));
    assert_eq!(seen.find(&RefName::head()), None);
    assert!(seen.refs.iter().all(|one| one.peeled.is_none() && one.target.is_none()));
    // A list behind a line that was left out, or behind one of an alternate, is not the first.
    for first in ["ID refs/heads/..", "ID .have"] {
        let seen = advertised(&[&line(first), &line("ID refs/heads/b\0two")]).unwrap();
        assert!(seen.capabilities.is_empty());
    }
    // `capabilities^{}` stands for no ref only with the null id.
    assert_eq!(advertised(&[&line("ID capabilities^{}\0x")]).unwrap().skipped, 1);
}

/// GIT-5.
#[test]
fn git_5_versions_formats_and_borders_are_checked() {
    let line = |text: &str| text.replace("ID", ID).into_bytes();
    assert_eq!(advertised(&[b"version 1\n", &line("ID HEAD\0a")]).unwrap().version, Version::V1);
    for bad in [&[&b"version 0"[..]][..], &[b"version 2"], &[&line("ID HEAD\0a")[..], b"version 1"]] {
        assert_eq!(advertised(bad), Err(AdvertisementError::UnsupportedVersion));
    }
    let long = "ab".repeat(32);
    let sha256 = format!("{long} HEAD\0object-format=sha256");
    let shallow = format!("shallow {long}");
    assert_eq!(advertised(&[sha256.as_bytes(), shallow.as_bytes()]).unwrap().shallow.len(), 1);
    assert_eq!(advertised(&[&line("ID HEAD\0a"), shallow.as_bytes()]), Err(AdvertisementError::Format));
    assert_eq!(advertised(&[format!("{long} HEAD\0a").as_bytes()]), Err(AdvertisementError::Format));
    let error = advertised(&[b"ERR \x1b[2Jno\n"]).unwrap_err();
    assert_eq!(error.blame(), Blame::Peer);
    assert_eq!(error.to_string(), "the server says: \\x1b[2Jno");
    // Of a long line its beginning is told.
    let Err(AdvertisementError::Malformed { line }) = advertised(&[&[b'x'; 300]]) else { panic!() };
    assert_eq!(line.len(), 80);
    let mut parser = AdvertisementParser::new();
    assert_eq!(parser.handle_packet(Packet::ResponseEnd), Err(AdvertisementError::UnexpectedPacket));
}

/// RPC-1, RPC-3, RPC-4, RPC-5: the exact bytes of every message, both ways.
#[test]
fn rpc_1_every_control_message_has_its_bytes() {
    let shape = |direction, sizing| Shape { direction, window: 0x0102_0304, sizing };
    let (b, empty) = (Bytes::from_static, Bytes::new());
    let messages: [(Message<Bytes>, &[u8]); 9] = [
        (Message::Ready { version: 1, capabilities: b(b"a\n") }, b"\x10\0\0\0\x01a\n"),
        (
            Message::Call { call: 2, batch: false, method: b(b"m"), arguments: b(b"xy") },
            b"\x11\0\0\0\x02\0\x01mxy",
        ),
        (
            Message::Call { call: 2, batch: true, method: empty.clone(), arguments: empty.clone() },
            b"\x11\0\0\0\x02\x80\0",
        ),
        (Message::Result { call: 3, result: Ok(b(b"v")) }, b"\x12\0\0\0\x03\0v"),
        (Message::Result { call: 3, result: Err(b(b"\"no\"")) }, b"\x12\0\0\0\x03\x01\"no\""),
        (Message::Abort { call: 0x0102_0304 }, b"\x13\x01\x02\x03\x04"),
        (
            Message::Open { call: 4, stream: 5, shape: shape(Direction::Send, Sizing::Items) },
            b"\x14\0\0\0\x04\0\0\0\x05\0\x01\x02\x03\x04\0",
        ),
        (
            Message::Open { call: 4, stream: 5, shape: shape(Direction::Receive, Sizing::Bytes) },
            b"\x14\0\0\0\x04\0\0\0\x05\x01\x01\x02\x03\x04\x01",
        ),
        (
            Message::Open {
                call: 4,
                stream: 5,
                shape: shape(Direction::Both(Role::Responder), Sizing::Custom),
            },
            b"\x14\0\0\0\x04\0\0\0\x05\x02\x01\x02\x03\x04\x02",
        ),
    ];
    for (message, bytes) in messages {
        assert_eq!(message.clone().encode().into_bytes(), bytes);
        assert_eq!(control::decode_bytes(&Bytes::from_static(bytes)), Ok(message));
    }
}

/// RPC-3, RPC-6.
#[test]
fn rpc_3_fields_that_end_early_and_values_that_are_none_are_named() {
    let error = |bytes: &[u8]| control::decode(bytes).unwrap_err().to_string();
    assert_eq!(
        error(b"\x11\0\0\0\x02\0\x02m"),
        "the payload of a message of type 17 ends after 3 bytes, inside a field"
    );
    assert_eq!(
        error(b"\x12\0\0\0\x02"),
        "the payload of a message of type 18 ends after 0 bytes, inside a field"
    );
    assert_eq!(error(b"\x12\0\0\0\x02\x02"), "a field of a message of type 18 has the unknown value 2");
    assert_eq!(
        error(b"\x14\0\0\0\x04\0\0\0\x05\0\0\0\0\0\0"),
        "a field of a message of type 20 has the unknown value 0"
    );
    assert_eq!(
        error(b"\x14\0\0\0\x04\0\0\0\x05\x03\0\0\0\x01\0"),
        "a field of a message of type 20 has the unknown value 3"
    );
    assert_eq!(
        error(b"\x14\0\0\0\x04\0\0\0\x05\0\0\0\0\x01\x03"),
        "a field of a message of type 20 has the unknown value 3"
    );
    assert_eq!(error(b"\0\0\0\0\0"), "messages of type 0 are unknown on a control channel");
    // A method's name is cut where its length no longer fits.
    for (length, kept) in [(METHOD_LEN, METHOD_LEN), (METHOD_LEN + 1, METHOD_LEN)] {
        let method = Bytes::from(vec![b'm'; length]);
        let sent = Message::Call { call: 1, batch: false, method, arguments: Bytes::from_static(b"a") };
        let Ok(Message::Call { batch, method, arguments, .. }) =
            control::decode_bytes(&sent.encode().into_bytes())
        else {
            panic!()
        };
        assert_eq!((batch, method.len(), &arguments[..]), (false, kept, &b"a"[..]));
    }
}

/// RPC-2.
#[test]
fn rpc_2_tokens_are_counted_measured_and_sorted() {
    let token = |at: usize| format!("t{at:02}");
    let most: Vec<String> = (0..MAX_TOKENS).map(token).collect();
    let list = rpc::Capabilities::parse(most.join("\n").as_bytes()).unwrap();
    assert_eq!(list.iter().count(), MAX_TOKENS);
    let more = [&most[..], &[token(MAX_TOKENS)]].concat().join("\n");
    assert_eq!(rpc::Capabilities::parse(more.as_bytes()), Err(rpc::CapabilitiesError::TooMany));
    let mut full = list;
    assert_eq!(full.insert(b"more"), Err(rpc::CapabilitiesError::TooMany));
    assert_eq!(full.insert(b"t00"), Ok(()));
    let (fits, long) = ([b'a'; MAX_TOKEN], [b'a'; MAX_TOKEN + 1]);
    assert!(rpc::Capabilities::parse(&fits).unwrap().contains(&fits));
    let length = MAX_TOKEN + 1;
    assert_eq!(rpc::Capabilities::parse(&long), Err(rpc::CapabilitiesError::TooLong { length }));
    assert_eq!(rpc::Capabilities::parse(b"a b"), Err(rpc::CapabilitiesError::Byte { byte: b' ' }));
    let list = rpc::Capabilities::parse(b"b\n\na\nb").unwrap();
    assert_eq!(list.encode(), "a\nb\n");
    assert!(list.contains(b"a") && !list.contains(b"c") && !list.contains(b""));
    let mut none = rpc::Capabilities::default();
    none.insert(b"").unwrap();
    assert_eq!(none.iter().count(), 0);
}

/// T6, FRAME-13: what a flood of small chunks costs is what is told.
#[test]
fn frame_13_small_chunks_are_joined_and_others_are_kept_as_they_are() {
    use portline::frame::carrier::Decoder;
    let held = |count: usize, size: usize| {
        let mut decoder = Decoder::new(1 << 20, 1 << 20);
        for _ in 0..count {
            decoder.handle_bytes(Bytes::from(vec![0xff; size]));
        }
        decoder.buffered() - count * size
    };
    let overhead = limits::CHUNK_OVERHEAD;
    assert_eq!(
        (held(0, 1), held(1, 1), held(3, 512), held(3, 511)),
        (0, overhead, 3 * overhead, 2 * overhead)
    );
    // A joined chunk is closed at 8 KiB: the first one, 32 of the joined, one in the next.
    assert_eq!((held(1 + 32, 256), held(1 + 33, 256)), (2 * overhead, 3 * overhead));
}

/// PKT-2: one byte that is no digit, or several, which must not make up for each other.
#[test]
fn pkt_2_any_number_of_bad_digits_is_no_length() {
    use portline::pkt::{Error, decode_header};
    for bad in 1..16_u8 {
        let digit = |at: u8| if bad & (1 << at) == 0 { b'0' } else { b'g' };
        let header = [digit(0), digit(1), digit(2), digit(3)];
        assert_eq!(decode_header(header), Err(Error::InvalidLength { header }));
    }
}

/// FRAME-13: at the capacity no more is read, one byte below it is.
#[test]
fn frame_13_the_capacity_is_the_first_that_is_too_much() {
    use portline::frame::carrier::Decoder;
    let wants = |capacity: usize| {
        let mut decoder = Decoder::new(100, capacity);
        decoder.handle_bytes(Bytes::from_static(b"\0\0\0\x04data"));
        decoder.wants_input()
    };
    assert_eq!((wants(8 + limits::CHUNK_OVERHEAD), wants(9 + limits::CHUNK_OVERHEAD)), (false, true));
}
