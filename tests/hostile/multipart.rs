//! Forms: near-boundaries, what never ends, and what is longer than it may be. Rules: `spec/` MULTIPART.

use std::cell::Cell;

use bytes::Bytes;
use portline::Blame;
use portline::body::multipart::parser::{Action, Config, Error};
use portline::body::multipart::{Boundary, Parser};

use crate::NOW;

const HEAD: &str = "Content-Disposition: form-data; name=a";

fn config(boundary: &str) -> Config {
    Config::new(Boundary::new(boundary.as_bytes()).unwrap())
}

/// Parses the pieces; how it ended, the bytes of data, and the most that was held between two pieces.
fn parse(config: Config, pieces: impl IntoIterator<Item = Bytes>) -> (Result<(), Error>, usize, usize) {
    let mut parser = Parser::new(config, NOW);
    let (data, held) = (Cell::new(0), Cell::new(0));
    let drain = |parser: &mut Parser| {
        let mut end = None;
        while let Some(action) = parser.poll_action() {
            assert_eq!(end, None, "nothing follows the end");
            match action {
                Action::Data(bytes) => data.set(data.get() + bytes.len()),
                Action::Part(_) | Action::PartEnd => {}
                Action::Finished => end = Some(Ok(())),
                Action::Failed(error) => end = Some(Err(error)),
            }
        }
        held.set(held.get().max(parser.retained()));
        end
    };
    for piece in pieces {
        let _: Result<(), Error> = parser.handle_bytes(NOW, piece);
        if let Some(end) = drain(&mut parser) {
            return (end, data.get(), held.get());
        }
        assert!(parser.wants_input(), "it waits for input or has ended");
    }
    let _: Result<(), Error> = parser.handle_closed(NOW);
    (drain(&mut parser).expect("the end of the input ends it"), data.get(), held.get())
}

fn pieces(text: &str, count: usize, size: usize) -> impl Iterator<Item = Bytes> {
    let body: Vec<u8> = text.bytes().cycle().take(count).collect();
    let body = Bytes::from(body);
    (0..count).step_by(size).map(move |at| body.slice(at..(at + size).min(count)))
}

/// T19: a preamble without end, a body without its boundary, and a header without end each meet their cap, whatever the
/// pieces, and hold no more than a header's worth meanwhile.
#[test]
fn t19_what_never_ends_meets_its_cap_at_any_chunking() {
    let caps = |config: &mut Config| {
        (config.max_preamble, config.max_header_bytes, config.max_part, config.max_body) =
            (500, 300, 2000, 4000);
    };
    let head = format!("--XX\r\n{HEAD}\r\n\r\n");
    for (start, again, error) in [
        ("", "x", Error::PreambleTooLong { limit: 500 }),
        ("", "\r\n--X", Error::PreambleTooLong { limit: 500 }),
        ("--XX\r\nx: ", "y", Error::HeadersTooLong { limit: 300 }),
        ("--XX\r\n", "x: y\r\n", Error::HeadersTooLong { limit: 300 }),
        ("--XX", " ", Error::HeadersTooLong { limit: 300 }),
        (&head, "x", Error::PartTooLong { limit: 2000 }),
        (&head, "\r\n--X", Error::PartTooLong { limit: 2000 }),
    ] {
        for size in [1, 7, 100, 10_000] {
            let mut config = config("XX");
            caps(&mut config);
            let start = Bytes::from(start.to_owned());
            let start =
                (0..start.len()).step_by(size).map(|at| start.slice(at..(at + size).min(start.len())));
            let (end, data, held) = parse(config, start.chain(pieces(again, 10_000, size)));
            assert_eq!(end, Err(error.clone()), "{again:?} in pieces of {size}");
            assert_eq!(error.blame(), Blame::Peer);
            assert!(
                data <= 2000 && held <= 300 + 2 + 6,
                "{data} bytes of data, {held} held: {again:?} in {size}"
            );
        }
    }
}

/// T19, T10: parts and names without end.
#[test]
fn t19_parts_and_names_without_end_meet_their_caps() {
    let part = |name: &str| format!("--XX\r\nContent-Disposition: form-data; name={name}\r\n\r\nx\r\n");
    let whole = |config: Config, body: String| parse(config, [Bytes::from(body)]).0;
    let many = part("a").repeat(4) + "--XX--";
    let limited = |max_parts| Config { max_parts, ..config("XX") };
    assert_eq!(whole(limited(4), many.clone()), Ok(()));
    assert_eq!(whole(limited(3), many), Err(Error::TooManyParts { limit: 3 }));
    let long = part(&"n".repeat(11)) + "--XX--";
    let limited = |max_name| Config { max_name, ..config("XX") };
    assert_eq!(whole(limited(11), long.clone()), Ok(()));
    assert_eq!(whole(limited(10), long), Err(Error::NameTooLong { length: 11, limit: 10 }));
    // Names that nest are names: nothing reads structure into them.
    let nested = part("a[b][c][d][e][f][g]") + "--XX--";
    assert_eq!(whole(config("XX"), nested), Ok(()));
    // A content type without a boundary, or with one that is none, never becomes a parser.
    assert!(Boundary::new(b"").is_err() && Boundary::new(&[b'x'; 71]).is_err());
}

/// T19: near-boundaries are data, all of them, and cost no more than any other data: what is held between two pieces
/// never exceeds the delimiter, so no byte is looked at more often than the pieces are many.
#[test]
fn t19_near_boundaries_are_data_and_are_not_held() {
    let boundary = "-".repeat(69) + "X";
    let near = format!("\r\n--{}", "-".repeat(69));
    for size in [1, 71, 4096] {
        let head = Bytes::from(format!("--{boundary}\r\n{HEAD}\r\n\r\n"));
        let body = near.repeat(1000);
        let tail = Bytes::from(format!("\r\n--{boundary}--"));
        let all = [head].into_iter().chain(pieces(&body, body.len(), size)).chain([tail]);
        let mut most = 0;
        let mut parser = Parser::new(config(&boundary), NOW);
        let mut data = 0;
        for piece in all {
            parser.handle_bytes(NOW, piece).unwrap();
            while let Some(action) = parser.poll_action() {
                if let Action::Data(bytes) = action {
                    data += bytes.len();
                    most = most.max(parser.retained());
                }
            }
        }
        assert_eq!(data, body.len(), "in pieces of {size}");
        assert!(most <= boundary.len() + 4 + size, "{most} held in pieces of {size}");
    }
}
