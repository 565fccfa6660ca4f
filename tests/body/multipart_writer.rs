//! The multipart writer: its bytes, its lengths, its refusals, and that the parser reads back what it wrote.

use crate::common::Rng;
use crate::multipart_support::{NOW, Whole, config, parse_pieces, parse_with, written};
use bytes::Bytes;
use portline::body::multipart::writer::{Action, Config, Error, Head, HeadError, WriteError, content_length};
use portline::body::multipart::{Boundary, Writer};
use portline::{Blame, limits};

fn boundary() -> Boundary {
    Boundary::new(b"XX").unwrap()
}

fn new() -> Writer {
    Writer::new(Config::new(boundary()), NOW)
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn multipart_24_parts_are_written_as_browsers_write_them() {
    let headers = vec![(bytes("X-One"), bytes("1"))];
    let parts = [
        (Head::field("a"), b"value".to_vec()),
        (Head { headers, ..Head::file("f", "me.jpg", "image/jpeg") }, b"\0\xff\r\n".to_vec()),
        (Head::field(""), Vec::new()),
    ];
    assert_eq!(
        written(&boundary(), &parts).escape_ascii().to_string().replace("\\r\\n", "\n").replace("\\\"", "\""),
        "--XX\nContent-Disposition: form-data; name=\"a\"\n\nvalue\n\
         --XX\nContent-Disposition: form-data; name=\"f\"; filename=\"me.jpg\"\nContent-Type: image/jpeg\n\
         X-One: 1\n\n\\x00\\xff\n\n\
         --XX\nContent-Disposition: form-data; name=\"\"\n\n\n--XX--\n"
    );
    assert_eq!(written(&boundary(), &[]), b"--XX--\r\n");
    let mut writer = new();
    assert_eq!(writer.content_type(), "multipart/form-data; boundary=XX");
    let data = Bytes::from(vec![7; 1000]);
    writer.part(NOW, &Head::field("a")).unwrap();
    writer.write(NOW, data.clone()).unwrap();
    let sent: Vec<_> = std::iter::from_fn(|| writer.poll_transmit()).collect();
    assert!(sent.iter().any(|sent| sent.payload().as_ptr() == data.as_ptr()), "the data was copied");
}

#[test]
fn multipart_25_names_are_escaped_so_that_they_come_back() {
    for (name, sent) in [
        ("a\"b", "a%22b"),
        ("a\r\nb", "a%0D%0Ab"),
        ("a\\b", "a\\b"),
        ("a\\\\b", "a\\\\\\\\b"),
        ("a\\", "a\\\\"),
        ("\\\"", "\\%22"),
        ("größe; name=x", "größe; name=x"),
        ("50%", "50%"),
    ] {
        let body = written(&boundary(), &[(Head::file(name, name, "a/b"), b"x".to_vec())]);
        let line = format!("name=\"{sent}\"; filename=\"{sent}\"");
        assert!(String::from_utf8(body.clone()).unwrap().contains(&line), "{name:?}");
        assert_eq!(parse_with(&config("XX"), &body).0, [Whole::file(name, name, "a/b", "x")]);
    }
}

/// T17.
#[test]
fn multipart_26_what_would_break_the_headers_is_refused() {
    let head = Head::field("a");
    let with = |name, value| Head { headers: vec![(bytes(name), bytes(value))], ..head.clone() };
    for (head, error) in [
        (Head::field("a\0"), HeadError::Name),
        (Head::file("a", "\0", "a/b"), HeadError::Name),
        (Head::file("a", "b", "a/b\r\nX: y"), HeadError::HeaderValue),
        (with("X", "a\nb"), HeadError::HeaderValue),
        (with("X", "\0"), HeadError::HeaderValue),
        (with("X:", "a"), HeadError::HeaderName),
        (with("", "a"), HeadError::HeaderName),
        (with("content-DISPOSITION", "a"), HeadError::Reserved),
        (with("Content-Type", "a"), HeadError::Reserved),
        (with("Content-Transfer-Encoding", "base64"), HeadError::Reserved),
    ] {
        let mut writer = new();
        assert_eq!(writer.part(NOW, &head), Err(WriteError::Head(error)), "{head:?}");
        assert!(writer.poll_transmit().is_none() && writer.can_write(), "it ended nothing");
        assert_eq!(content_length(&boundary(), [&head]), Err(error));
    }
}

#[test]
fn multipart_27_a_seed_makes_a_boundary_of_its_own() {
    let one = Boundary::from_seed(1);
    assert_eq!(one.as_bytes().len(), "----PortlineFormBoundary".len() + 22);
    assert_eq!(one, Boundary::from_seed(1));
    assert_eq!(Boundary::new(one.as_bytes()).unwrap(), one);
    let seeds = (0..64).flat_map(|bit| [1_u128 << bit, 1_u128 << (bit + 64), bit]);
    let all: std::collections::BTreeSet<Vec<u8>> =
        seeds.map(|seed| Boundary::from_seed(seed).as_bytes().to_vec()).collect();
    // 1 and 2, 4, … are there twice: as a bit and as a number.
    assert_eq!(all.len(), 128 + 64 - 6);
    // Either half counts, whatever the other is.
    let seeds = (0..64).flat_map(|bit| [u128::MAX ^ (1 << bit), u128::MAX ^ (1 << (bit + 64))]);
    let all: std::collections::BTreeSet<Vec<u8>> =
        seeds.map(|seed| Boundary::from_seed(seed).as_bytes().to_vec()).collect();
    assert_eq!(all.len(), 128);
    // And both are in every part of it: 11 of 22 letters hold 65 bits.
    let ends = all.iter().map(|boundary| &boundary[boundary.len() - 11..]);
    assert_eq!(ends.collect::<std::collections::BTreeSet<_>>().len(), 128);
}

#[test]
fn multipart_28_data_with_the_boundary_in_it_is_refused_in_any_split() {
    for (data, is_outside) in [
        ("a\r\n--XX", false),
        ("a\r\n--XXb", false),
        ("--XX", false),
        ("-\r\n--XX", false),
        ("\r\n--X\r\n--XX", false),
        ("a--XX", true),
        ("\n--XX", true),
        ("\r\n--X", true),
        ("-", true),
    ] {
        assert_eq!(boundary().is_outside(data.as_bytes()), is_outside, "{data:?}");
        for at in 0..=data.len() {
            let mut writer = new();
            writer.part(NOW, &Head::field("a")).unwrap();
            let pieces = [bytes(&data[..at]), bytes(&data[at..])];
            let result = pieces.into_iter().try_for_each(|piece| writer.write(NOW, piece));
            let expected = if is_outside { Ok(()) } else { Err(WriteError::BoundaryInData) };
            assert_eq!(result, expected, "{data:?} cut at {at}");
            // It ended nothing: other data may follow what was taken.
            assert_eq!(writer.write(NOW, bytes(" ")), Ok(()));
        }
    }
}

#[test]
fn multipart_29_the_length_is_known_when_all_parts_are_and_is_kept() {
    let mut rng = Rng::new(3);
    let parts: Vec<(Head, Vec<u8>)> = (0..5_u64)
        .map(|n| {
            let data = rng.bytes(rng.clone().below(3000));
            let length = Some(data.len() as u64);
            (Head { length, ..Head::file(format!("\"{n}"), "f", "a/b") }, data)
        })
        .collect();
    for count in 0..=parts.len() {
        let heads = parts[..count].iter().map(|(head, _)| head);
        let body = written(&boundary(), &parts[..count]);
        assert_eq!(content_length(&boundary(), heads), Ok(Some(body.len() as u64)), "{count} parts");
    }
    assert_eq!(content_length(&boundary(), [&parts[0].0, &Head::field("a")]), Ok(None));
    let most = Head { length: Some(u64::MAX), ..Head::field("a") };
    assert_eq!(content_length(&boundary(), [&most]), Ok(None), "no number is that large");

    let head = Head { length: Some(3), ..Head::field("a") };
    let announced = content_length(&boundary(), [&head]).unwrap().unwrap();
    let config = Config { content_length: Some(announced), ..Config::new(boundary()) };
    let mut writer = Writer::new(config.clone(), NOW);
    writer.part(NOW, &head).unwrap();
    writer.write(NOW, bytes("ab")).unwrap();
    assert_eq!(writer.write(NOW, bytes("cd")), Err(WriteError::PartTooLong { length: 2, left: 1 }));
    assert_eq!(writer.finish(NOW), Err(WriteError::PartTooShort { missing: 1 }));
    assert_eq!(writer.part(NOW, &head), Err(WriteError::PartTooShort { missing: 1 }));
    writer.write(NOW, bytes("c")).unwrap();
    assert!(matches!(writer.part(NOW, &head), Err(WriteError::Length { .. })));
    writer.finish(NOW).unwrap();

    let mut writer = Writer::new(config, NOW);
    assert_eq!(writer.finish(NOW), Err(WriteError::Length { length: 8, announced }));
    writer.part(NOW, &Head::field("a")).unwrap();
    assert!(matches!(writer.write(NOW, bytes("abcd")), Err(WriteError::Length { .. })));
    writer.write(NOW, bytes("abc")).unwrap();
    writer.finish(NOW).unwrap();
}

/// T4.
#[test]
fn multipart_30_a_writer_takes_no_more_while_enough_waits() {
    let mut writer = Writer::new(Config { output_bytes: 1000, ..Config::new(boundary()) }, NOW);
    assert_eq!(writer.write(NOW, bytes("x")), Err(WriteError::NoPart));
    writer.part(NOW, &Head::field("a")).unwrap();
    let mut count = 0;
    while writer.can_write() {
        writer.write(NOW, bytes("x")).unwrap();
        count += 1;
    }
    assert!((5..20).contains(&count), "{count}: small pieces are charged for what they cost");
    let full = WriteError::Full { limit: 1000 };
    assert_eq!(writer.write(NOW, bytes("x")), Err(full));
    assert_eq!(writer.part(NOW, &Head::field("b")), Err(full));
    assert_eq!(writer.write(NOW, Bytes::new()), Ok(()), "nothing needs no room");
    writer.poll_transmit().unwrap();
    assert!(writer.can_write());
    // From the limit on, to the byte.
    let mut probe = new();
    probe.part(NOW, &Head::field("a")).unwrap();
    let waits = probe.poll_transmit().unwrap().into_bytes().len() + limits::CHUNK_OVERHEAD;
    for (output_bytes, has_room) in [(waits, false), (waits + 1, true)] {
        let mut exact = Writer::new(Config { output_bytes, ..Config::new(boundary()) }, NOW);
        exact.part(NOW, &Head::field("a")).unwrap();
        assert_eq!((exact.can_write(), exact.write(NOW, bytes("x")).is_ok()), (has_room, has_room));
    }
    // The end always finds room, and is told when all is handed out.
    writer.finish(NOW).unwrap();
    assert_eq!(writer.finish(NOW), Err(WriteError::Over));
    assert_eq!(writer.write(NOW, bytes("x")), Err(WriteError::Over));
    writer.abort(NOW);
    while writer.poll_action().is_none() {
        assert!(!writer.has_ended());
        writer.poll_transmit().unwrap();
    }
    assert!(writer.has_ended() && writer.poll_transmit().is_none());

    let mut writer = new();
    writer.part(NOW, &Head::field("a")).unwrap();
    writer.abort(NOW);
    assert!(writer.poll_transmit().is_none() && !writer.can_write());
    assert_eq!(writer.poll_action(), Some(Action::Failed(Error::Aborted)));
    assert_eq!((writer.poll_action(), Error::Aborted.blame()), (None, Blame::Caller));
}

#[test]
fn multipart_8_what_the_writer_wrote_is_read_back_in_any_split() {
    for seed in 0..100_u64 {
        let mut rng = Rng::new(seed);
        let boundary = Boundary::from_seed(seed.into());
        let near = [b"\r\n--", boundary.as_bytes()].concat();
        let parts: Vec<(Head, Vec<u8>)> = (0..rng.below(6))
            .map(|n| {
                let mut data = rng.bytes(rng.clone().below(200));
                // Almost a boundary, somewhere.
                data.extend_from_slice(&near[..rng.below(near.len())]);
                data.extend(rng.bytes(rng.clone().below(3)));
                let name = ["a", "b\"\r\n", "\\", "", "größe"][n % 5].to_owned();
                let file = rng.below(2) == 0;
                (if file { Head::file(name, "f\\", "a/b") } else { Head::field(name) }, data)
            })
            .filter(|(_, data)| boundary.is_outside(data))
            .collect();
        let body = written(&boundary, &parts);
        let expected: Vec<Whole> = parts
            .iter()
            .map(|(head, data)| {
                let name = std::str::from_utf8(&head.name).unwrap();
                match head.filename {
                    Some(_) => Whole::file(name, "f\\", "a/b", data),
                    None => Whole::field(name, data),
                }
            })
            .collect();
        let config = portline::body::multipart::parser::Config::new(boundary);
        let pieces = crate::common::split(&mut rng, &body, 40);
        assert_eq!(parse_pieces(&config, pieces), (expected, Some(Ok(()))), "seed {seed}");
    }
}
