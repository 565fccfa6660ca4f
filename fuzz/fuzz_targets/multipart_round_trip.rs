//! Any parts, written in any pieces, split anywhere, read: the same parts, and a length that was known before.
#![no_main]

#[path = "common/names.rs"]
mod names;
#[path = "common/oracle.rs"]
mod oracle;

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use names::read_back;
use portline::Instant;
use portline::body::multipart::Boundary;
use portline::body::multipart::parser::{self, Parser};
use portline::body::multipart::writer::{Action, Config, Head, WriteError, Writer, content_length};

const NOW: Instant = Instant::ZERO;

#[derive(Arbitrary, Debug)]
struct Part {
    name: Vec<u8>,
    filename: Option<Vec<u8>>,
    content_type: bool,
    header: Option<Vec<u8>>,
    known: bool,
    data: Vec<Data>,
}

#[derive(Arbitrary, Debug)]
enum Data {
    Bytes(Vec<u8>),
    /// So much of a boundary's line.
    Near(u8),
    LineEnd,
}

#[derive(Arbitrary, Debug)]
struct Input {
    boundary: Option<u8>,
    seed: u8,
    output_bytes: u16,
    parts: Vec<Part>,
    cuts: Vec<u8>,
}

fn take(writer: &mut Writer, body: &mut Vec<u8>) {
    while let Some(transmit) = writer.poll_transmit() {
        assert!(!transmit.is_empty());
        body.extend_from_slice(&transmit.into_bytes());
    }
}

fuzz_target!(|input: Input| {
    let boundary = match input.boundary {
        Some(length) => Boundary::new(&b"-".repeat(usize::from(length) % 70 + 1)).unwrap(),
        None => Boundary::from_seed(input.seed.into()),
    };
    let near = [b"\r\n--", boundary.as_bytes()].concat();
    let mut heads = Vec::new();
    let mut bodies: Vec<Vec<Bytes>> = Vec::new();
    for part in &input.parts {
        let (Some(name), Some(filename)) =
            (read_back(&part.name), part.filename.as_ref().map_or(Some(Vec::new()), |name| read_back(name)))
        else {
            return;
        };
        let data: Vec<Bytes> = part
            .data
            .iter()
            .map(|data| match data {
                Data::Bytes(bytes) => Bytes::copy_from_slice(bytes),
                Data::Near(length) => {
                    Bytes::copy_from_slice(&near[..usize::from(*length) % (near.len() + 1)])
                }
                Data::LineEnd => Bytes::from_static(b"\r\n"),
            })
            .collect();
        let length = part.known.then(|| data.iter().map(Bytes::len).sum::<usize>() as u64);
        heads.push(Head {
            name: name.into(),
            filename: part.filename.is_some().then(|| filename.into()),
            content_type: part.content_type.then(|| Bytes::from_static(b"a/b")),
            headers: part
                .header
                .iter()
                .map(|value| (Bytes::from_static(b"X"), value.clone().into()))
                .collect(),
            length,
        });
        bodies.push(data);
    }
    let Ok(length) = content_length(&boundary, &heads) else { return };
    let config = Config {
        content_length: length,
        output_bytes: usize::from(input.output_bytes),
        ..Config::new(boundary.clone())
    };
    let mut writer = Writer::new(config, NOW);
    let mut body = Vec::new();
    for (head, data) in heads.iter().zip(&bodies) {
        take(&mut writer, &mut body);
        writer.part(NOW, head).unwrap();
        let whole = data.concat();
        for piece in data {
            if !writer.can_write() {
                assert!(matches!(
                    writer.write(NOW, Bytes::from_static(b"x")),
                    Err(WriteError::Full { .. } | WriteError::PartTooLong { .. })
                ));
                take(&mut writer, &mut body);
            }
            match writer.write(NOW, piece.clone()) {
                Ok(()) => {}
                Err(WriteError::BoundaryInData) => {
                    assert!(!boundary.is_outside(&whole));
                    return;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(boundary.is_outside(&whole));
    }
    writer.finish(NOW).unwrap();
    take(&mut writer, &mut body);
    assert_eq!(writer.poll_action(), Some(Action::Finished));
    assert!(length.is_none_or(|length| length == body.len() as u64));

    let boundary = Boundary::of_content_type(&boundary.content_type()).unwrap();
    let mut parser = Parser::new(parser::Config::new(boundary), NOW);
    let pieces = oracle::split(&body.into(), &input.cuts);
    let mut at = 0;
    let mut data = Vec::new();
    for piece in pieces.into_iter().map(Some).chain([None]) {
        match piece {
            Some(piece) => parser.handle_bytes(NOW, piece).unwrap(),
            None => parser.handle_closed(NOW).unwrap(),
        }
        while let Some(action) = parser.poll_action() {
            match action {
                parser::Action::Part(part) => {
                    assert_eq!(part.name(), heads[at].name);
                    assert_eq!(part.filename(), heads[at].filename.as_deref());
                    assert_eq!(part.has_content_type(), heads[at].content_type.is_some());
                }
                parser::Action::Data(bytes) => data.extend_from_slice(&bytes),
                parser::Action::PartEnd => {
                    assert_eq!(std::mem::take(&mut data), bodies[at].concat());
                    at += 1;
                }
                parser::Action::Finished => assert_eq!(at, heads.len()),
                parser::Action::Failed(error) => panic!("{error}"),
            }
        }
    }
    assert!(parser.has_ended());
});
