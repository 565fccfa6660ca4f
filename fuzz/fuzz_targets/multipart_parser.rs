//! Any body in any split: the same parts as the whole, bounded memory, an error stays, and the parts are those that
//! multer reads where both do.
#![no_main]

#[path = "common/heap.rs"]
mod heap;
#[path = "common/oracle.rs"]
mod oracle;

use arbitrary::Arbitrary;
use bytes::Bytes;
use futures_util::{FutureExt, stream};
use libfuzzer_sys::fuzz_target;
use oracle::Sticky;
use portline::Instant;
use portline::body::multipart::Boundary;
use portline::body::multipart::parser::{Action, Config, Error, Parser};

const NOW: Instant = Instant::ZERO;

#[derive(Arbitrary, Debug)]
enum Piece {
    Delimiter,
    First,
    Close,
    Headers(u8),
    Blank,
    Near(u8),
    LineEnd,
    Raw(Vec<u8>),
    /// A whole part, up to the end of its line.
    Part(u8, Vec<u8>),
}

#[derive(Arbitrary, Debug)]
struct Input {
    closed: bool,
    cuts: Vec<u8>,
    small: bool,
    pieces: Vec<Piece>,
}

const BOUNDARY: &[u8] = b"-Xy";
/// Of these so many are whole.
const COMPLETE: usize = 7;
const HEADERS: [&[u8]; 11] = [
    b"Content-Disposition: form-data; name=\"a\"\r\n\r\n",
    b"content-disposition: Form-Data; filename=f; name=\"%22\\\"\\\\\"\r\n\r\n",
    b"Content-Disposition: form-data; name=a; filename=\"b\\\"\r\n\r\n",
    b"Content-Disposition: form-data; name=a; filename*=utf-8''%e2%82%ac\r\n\r\n",
    b"Content-Type: text/plain\r\nContent-Disposition: form-data; name=b\r\n\r\n",
    b"Content-Disposition: form-data;\r\n name=c\r\n\r\n",
    b"Content-Disposition: form-data; name=\"a b\"; filename=\"c;d=e\"\r\nContent-Type: image/png\r\n\r\n",
    b"Content-Disposition: form-data; name=\"",
    b"Content-Type: ",
    b"Content-Transfer-Encoding: binary\r\n",
    b"X-Other: ",
];

impl Piece {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Delimiter => [b"\r\n--", BOUNDARY, b"\r\n"].concat(),
            Self::First => [b"--", BOUNDARY, b"\r\n"].concat(),
            Self::Close => [b"\r\n--", BOUNDARY, b"--\r\n"].concat(),
            Self::Headers(which) => HEADERS[usize::from(*which) % HEADERS.len()].to_vec(),
            Self::Blank => b"\r\n\r\n".to_vec(),
            Self::Near(length) => {
                let near = [b"\r\n--", BOUNDARY].concat();
                near[..usize::from(*length) % near.len()].to_vec()
            }
            Self::LineEnd => b"\r\n".to_vec(),
            Self::Raw(raw) => raw.clone(),
            Self::Part(which, data) => {
                let headers = HEADERS[usize::from(*which) % COMPLETE];
                [b"--", BOUNDARY, b"\r\n", headers, data, b"\r\n"].concat()
            }
        }
    }
}

#[derive(Debug, Default, PartialEq)]
struct Field {
    name: Vec<u8>,
    filename: Option<Vec<u8>>,
    content_type: Option<Vec<u8>>,
    data: Vec<u8>,
    headers: Bytes,
}

type Seen = (Vec<Field>, usize, Option<Result<(), Error>>);

fn drain(parser: &mut Parser, seen: &mut Seen) {
    while let Some(action) = parser.poll_action() {
        assert!(seen.2.is_none(), "{action:?} after the end");
        match action {
            Action::Part(part) => {
                assert_eq!(seen.0.len(), seen.1, "a part in a part");
                let raw = part.raw_headers().clone();
                assert!(
                    part.headers().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= raw.len()
                );
                seen.0.push(Field {
                    name: part.name().to_vec(),
                    filename: part.filename().map(<[u8]>::to_vec),
                    content_type: part.has_content_type().then(|| part.content_type().to_vec()),
                    data: Vec::new(),
                    headers: raw,
                });
            }
            Action::Data(data) => {
                assert!(!data.is_empty() && seen.0.len() == seen.1 + 1);
                seen.0.last_mut().unwrap().data.extend_from_slice(&data);
            }
            Action::PartEnd => {
                seen.1 += 1;
                assert_eq!(seen.0.len(), seen.1);
            }
            Action::Finished => seen.2 = Some(Ok(())),
            Action::Failed(error) => seen.2 = Some(Err(error)),
        }
    }
}

fn parse(config: &Config, pieces: impl IntoIterator<Item = Bytes>) -> Seen {
    let most = config.max_header_bytes + BOUNDARY.len() + 4;
    let mut parser = Parser::new(config.clone(), NOW);
    let (mut seen, mut failed) = (Seen::default(), Sticky::default());
    for piece in pieces {
        failed.heard(parser.handle_bytes(NOW, piece));
        drain(&mut parser, &mut seen);
        assert!(parser.retained() <= most);
        assert!(parser.has_ended() || matches!(config.max_body, 0..2000) || parser.wants_input());
    }
    failed.heard(parser.handle_closed(NOW));
    drain(&mut parser, &mut seen);
    if let Some(Err(error)) = &seen.2 {
        failed.told(error);
    }
    assert!(parser.has_ended() && !parser.wants_input() && parser.poll_action().is_none());
    seen
}

/// What multer reads of it, all there at once.
fn multer(body: &Bytes) -> Result<Vec<Field>, multer::Error> {
    let source = stream::once(std::future::ready(Ok::<_, std::convert::Infallible>(body.clone())));
    let mut form = multer::Multipart::new(source, std::str::from_utf8(BOUNDARY).unwrap());
    let mut fields = Vec::new();
    let mut read = async || -> Result<(), multer::Error> {
        while let Some(field) = form.next_field().await? {
            fields.push(Field {
                name: field.name().unwrap_or("").as_bytes().to_vec(),
                filename: field.file_name().map(|name| name.as_bytes().to_vec()),
                data: field.bytes().await?.to_vec(),
                ..Field::default()
            });
        }
        Ok(())
    };
    read().now_or_never().expect("everything was there")?;
    Ok(fields)
}

fn has(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window.eq_ignore_ascii_case(what))
}

/// Whether both look for parts in the same places: multer takes what stands in front of the first boundary for an error,
/// and a boundary right at the start of a part's data for data (RFC 2046, 5.1.1 has the line end belong to it).
fn is_common_ground(body: &[u8]) -> bool {
    let dashed = [b"--", BOUNDARY].concat();
    body.starts_with(&dashed) && !has(body, &[b"\r\n\r\n", &dashed[..]].concat())
}

/// Whether both read the same names. multer takes the first text that looks like the parameter, also inside a quoted
/// string, and the first of several headers; it undoes no escapes but `\"`, knows neither the browsers' `%22`, `%0D` and
/// `%0A` nor `filename*`, does not join folded lines, and passes over what is not UTF-8.
fn is_plain(headers: &[u8]) -> bool {
    let disposition = b"content-disposition";
    let odd: [&[u8]; 7] = [b"\\", b"*", b"%22", b"%0d", b"%0a", b"\r\n ", b"\r\n\t"];
    let count =
        headers.windows(disposition.len()).filter(|one| one.eq_ignore_ascii_case(disposition)).count();
    count == 1 && !odd.iter().any(|odd| has(headers, odd)) && std::str::from_utf8(headers).is_ok()
}

/// The same parts: their number and bytes always, and their names where both read them by the same rules.
fn agrees(body: &Bytes, ours: &[Field]) {
    match multer(body) {
        Ok(theirs) => {
            assert_eq!(ours.len(), theirs.len());
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!(ours.data, theirs.data);
                if is_plain(&ours.headers) {
                    assert_eq!((&ours.name, &ours.filename), (&theirs.name, &theirs.filename));
                }
            }
        }
        // They are stricter in headers that say nothing of the part.
        Err(
            multer::Error::ReadHeaderFailed(_)
            | multer::Error::DecodeContentType(_)
            | multer::Error::DecodeHeaderName { .. }
            | multer::Error::DecodeHeaderValue { .. },
        ) => {}
        Err(error) => panic!("{error:?}: {ours:?}"),
    }
}

fuzz_target!(|input: Input| {
    let mut body: Vec<u8> = input.pieces.iter().flat_map(Piece::bytes).collect();
    if input.closed {
        body.extend_from_slice(&[b"--", BOUNDARY, b"--\r\n"].concat());
    }
    let body = Bytes::from(body);
    let mut config = Config::new(Boundary::new(BOUNDARY).unwrap());
    if input.small {
        config.max_parts = 3;
        config.max_header_bytes = 80;
        config.max_headers = 2;
        config.max_name = 5;
        (config.max_preamble, config.max_epilogue) = (10, 12);
        config.max_part = 40;
        config.max_body = 300;
    }
    // What is seen is copied, into lists that double; a part has at least some forty bytes in its body.
    let most = 64 * body.len() + 4096;
    let whole = heap::bounded(most, || parse(&config, [body.clone()]));
    assert_eq!(parse(&config, oracle::split(&body, &input.cuts)), whole);
    assert_eq!(parse(&config, (0..body.len()).map(|at| body.slice(at..=at))), whole);

    if let (Some(Ok(())), false, true) = (&whole.2, input.small, is_common_ground(&body)) {
        agrees(&body, &whole.0);
    }
});
