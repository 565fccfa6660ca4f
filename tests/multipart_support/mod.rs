//! Parsers and writers driven by their tests: parts gathered, bodies written.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    dead_code,
    missing_docs,
    unreachable_pub
)]

use bytes::Bytes;
use portline::Instant;
use portline::body::multipart::parser::{Action, Config, Error, Part};
use portline::body::multipart::writer::{self, Head};
use portline::body::multipart::{Boundary, Parser, Writer};

pub const NOW: Instant = Instant::ZERO;

/// A part with all of its data, and whether its end came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    pub name: String,
    pub filename: Option<String>,
    pub content_type: String,
    pub data: Vec<u8>,
    pub complete: bool,
}

impl Whole {
    pub fn field(name: &str, data: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.into(),
            filename: None,
            content_type: "text/plain".into(),
            data: data.as_ref().to_vec(),
            complete: true,
        }
    }

    pub fn file(name: &str, filename: &str, content_type: &str, data: impl AsRef<[u8]>) -> Self {
        Self { filename: Some(filename.into()), content_type: content_type.into(), ..Self::field(name, data) }
    }

    fn of(part: &Part) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            name: text(part.name()),
            filename: part.filename().map(text),
            content_type: text(part.content_type()),
            data: Vec::new(),
            complete: false,
        }
    }
}

/// Parts with their data, and how the run ended.
pub type Read = (Vec<Whole>, Option<Result<(), Error>>);

/// Everything that a parser has to say now. Asserts what holds for every run.
pub fn drain(parser: &mut Parser, read: &mut Read) {
    while let Some(action) = parser.poll_action() {
        assert!(read.1.is_none(), "{action:?} after the end");
        match action {
            Action::Part(part) => {
                assert!(read.0.last().is_none_or(|last| last.complete), "a part in a part");
                read.0.push(Whole::of(&part));
            }
            Action::Data(data) => {
                let part = read.0.last_mut().filter(|part| !part.complete).unwrap();
                assert!(!data.is_empty());
                part.data.extend_from_slice(&data);
            }
            Action::PartEnd => {
                let part = read.0.last_mut().filter(|part| !part.complete).unwrap();
                part.complete = true;
            }
            Action::Finished => read.1 = Some(Ok(())),
            Action::Failed(error) => read.1 = Some(Err(error)),
        }
    }
    assert_eq!(parser.has_ended(), read.1.is_some());
}

/// The parts of a body that comes in these pieces.
pub fn parse_pieces(config: &Config, pieces: impl IntoIterator<Item = Bytes>) -> Read {
    let mut parser = Parser::new(config.clone(), NOW);
    let mut read = (Vec::new(), None);
    for piece in pieces {
        drop(parser.handle_bytes(NOW, piece));
        drain(&mut parser, &mut read);
        let most = config.max_header_bytes + config.boundary.as_bytes().len() + 4;
        assert!(parser.retained() <= most, "{} bytes are held", parser.retained());
    }
    drop(parser.handle_closed(NOW));
    drain(&mut parser, &mut read);
    assert!(parser.has_ended() && !parser.wants_input());
    read
}

/// The parts of a body, the same whole, in single bytes, and cut in two anywhere.
pub fn parse_with(config: &Config, body: &[u8]) -> Read {
    let body = Bytes::copy_from_slice(body);
    let whole = parse_pieces(config, [body.clone()]);
    let bytes = (0..body.len()).map(|at| body.slice(at..=at));
    assert_eq!(parse_pieces(config, bytes), whole, "in single bytes");
    // Every cut of what is short, and a sample of what is long.
    for at in (0..body.len()).step_by(1 + body.len() / 500) {
        let pieces = [body.slice(..at), body.slice(at..)];
        assert_eq!(parse_pieces(config, pieces), whole, "cut at {at}");
    }
    whole
}

pub fn config(boundary: &str) -> Config {
    Config::new(Boundary::new(boundary.as_bytes()).unwrap())
}

/// The parts of a body with the boundary `XX`.
pub fn parse(body: impl AsRef<[u8]>) -> Read {
    parse_with(&config("XX"), body.as_ref())
}

/// The error that a body with the boundary `XX` ends with.
pub fn error(body: impl AsRef<[u8]>) -> Error {
    parse(body).1.unwrap().unwrap_err()
}

/// One part with these header lines and this data.
pub fn one(headers: &str, data: impl AsRef<[u8]>) -> Vec<u8> {
    [b"--XX\r\n", headers.as_bytes(), b"\r\n\r\n", data.as_ref(), b"\r\n--XX--\r\n"].concat()
}

/// A part with this content disposition.
pub fn disposed(value: &str) -> Read {
    parse(one(&format!("Content-Disposition: {value}"), "x"))
}

/// The body that these parts make.
pub fn written(boundary: &Boundary, parts: &[(Head, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(writer::Config::new(boundary.clone()), NOW);
    let mut body = Vec::new();
    let flush = |writer: &mut Writer, body: &mut Vec<u8>| {
        while let Some(transmit) = writer.poll_transmit() {
            body.extend_from_slice(&transmit.into_bytes());
        }
    };
    for (head, data) in parts {
        writer.part(NOW, head).unwrap();
        for piece in data.chunks(1000) {
            writer.write(NOW, Bytes::copy_from_slice(piece)).unwrap();
            flush(&mut writer, &mut body);
        }
    }
    writer.finish(NOW).unwrap();
    assert_eq!(writer.poll_action(), None, "something waits");
    flush(&mut writer, &mut body);
    assert_eq!(writer.poll_action(), Some(writer::Action::Finished));
    assert!(writer.has_ended() && writer.poll_action().is_none());
    body
}
