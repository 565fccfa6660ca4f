//! The input of the parsers of forms: what is wanted, what waits, and what is let go of. And where they say they are.

use crate::multipart_support::{NOW, config, one};
use bytes::Bytes;
use portline::body::multipart::Parser;
use portline::body::multipart::parser::{Action, Config, Error};
use portline::body::urlencoded;
use portline::limits;

const A: &str = "Content-Disposition: form-data; name=\"a\"";

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// MULTIPART-23, URLENC-4: up to the limit, the overhead of what waits behind the first piece included.
#[test]
fn multipart_23_input_waits_up_to_its_limit_to_the_byte() {
    let pieces = || [Bytes::from(one(A, "x")), bytes("0123456789")];
    let limit = pieces()[0].len() + 10 + limits::CHUNK_OVERHEAD;
    for (input_bytes, fits) in [(limit, true), (limit - 1, false)] {
        let mut parser = Parser::new(Config { input_bytes, ..config("XX") }, NOW);
        let config = urlencoded::Config { input_bytes, ..urlencoded::Config::default() };
        let mut form = urlencoded::Parser::new(config, NOW);
        let [first, second] = pieces();
        parser.handle_bytes(NOW, first.clone()).unwrap();
        form.handle_bytes(NOW, first).unwrap();
        assert_eq!(parser.handle_bytes(NOW, second.clone()).is_ok(), fits);
        assert_eq!(form.handle_bytes(NOW, second).is_ok(), fits);
    }
}

/// MULTIPART-23: a failure is told without waiting for the end of the input.
#[test]
fn multipart_23_after_a_failure_no_input_is_wanted_and_none_is_kept() {
    // By what came: the second piece waits behind the fault.
    let mut parser = Parser::new(config("XX"), NOW);
    let pieces = [bytes("--XX?"), bytes("more")];
    for piece in &pieces {
        parser.handle_bytes(NOW, piece.clone()).unwrap();
    }
    assert_eq!(parser.poll_action(), Some(Action::Failed(Error::AfterBoundary { found: b'?' })));
    assert!(parser.has_ended() && !parser.wants_input() && !parser.is_complete());
    assert!(pieces.iter().all(Bytes::is_unique), "what was given is let go of");

    // By too much of it.
    let error = Error::Overrun { limit: 10 };
    let mut parser = Parser::new(Config { input_bytes: 10, ..config("XX") }, NOW);
    parser.handle_bytes(NOW, pieces[0].clone()).unwrap();
    assert_eq!(parser.handle_bytes(NOW, pieces[1].clone()), Err(error.clone()));
    assert!(pieces.iter().all(Bytes::is_unique) && !parser.wants_input());
    assert_eq!(parser.poll_action(), Some(Action::Failed(error)));
    assert_eq!(parser.poll_action(), None);

    // By a part that is too long, whose data is told first.
    let mut parser = Parser::new(Config { max_part: 1, ..config("XX") }, NOW);
    parser.handle_bytes(NOW, Bytes::from(one(A, "xy"))).unwrap();
    assert!(matches!(parser.poll_action(), Some(Action::Part(_))));
    assert_eq!(parser.poll_action(), Some(Action::Data(bytes("x"))));
    assert!(!parser.wants_input());
    assert_eq!(parser.poll_action(), Some(Action::Failed(Error::PartTooLong { limit: 1 })));
}

/// URLENC-4: the same of a form of strings.
#[test]
fn urlenc_4_input_is_wanted_until_the_form_has_failed_and_then_none_is_kept() {
    let config = urlencoded::Config { max_pair: 3, ..urlencoded::Config::default() };
    let mut parser = urlencoded::Parser::new(config, NOW);
    assert!(parser.wants_input());
    let pieces = [bytes("a=1&long=1"), bytes("more")];
    for piece in &pieces {
        parser.handle_bytes(NOW, piece.clone()).unwrap();
        assert!(!parser.wants_input(), "something waits");
    }
    assert!(matches!(parser.poll_action(), Some(urlencoded::Action::Pair { .. })));
    let error = urlencoded::Error::PairTooLong { limit: 3 };
    assert_eq!(parser.poll_action(), Some(urlencoded::Action::Failed(error)));
    assert!(pieces.iter().all(Bytes::is_unique) && !parser.wants_input());
}

/// MULTIPART-7: what follows the last boundary is of no interest, and that it has come is known at once.
#[test]
fn multipart_7_a_body_is_complete_when_its_last_boundary_has_come() {
    let mut parser = Parser::new(config("XX"), NOW);
    assert!(!parser.is_complete());
    let body = one(A, "x");
    let last = body.len() - "-\r\n".len();
    for (piece, complete) in [(&body[..last], false), (&body[last..=last], true), (b"?", true)] {
        parser.handle_bytes(NOW, Bytes::copy_from_slice(piece)).unwrap();
        while parser.poll_action().is_some() {}
        assert_eq!(parser.is_complete(), complete);
    }
    parser.handle_closed(NOW).unwrap();
    assert_eq!((parser.poll_action(), parser.is_complete()), (Some(Action::Finished), true));
}

/// MULTIPART-22: that is told as it is.
#[test]
fn multipart_22_what_is_held_is_the_boundary_and_the_headers_that_are_not_complete() {
    let boundary = "\r\n--XX".len();
    let mut parser = Parser::new(config("XX"), NOW);
    assert_eq!(parser.retained(), boundary);
    parser.handle_bytes(NOW, bytes(&format!("--XX\r\n{A}"))).unwrap();
    assert_eq!(parser.poll_action(), None);
    assert_eq!(parser.retained(), boundary + A.len());
    // Room is made twofold, and used up before more is.
    for more in ["; a=\"".to_owned(), "y".repeat(A.len() - 5)] {
        parser.handle_bytes(NOW, bytes(&more)).unwrap();
        assert_eq!(parser.poll_action(), None);
        assert_eq!(parser.retained(), boundary + 2 * A.len());
    }
    parser.handle_bytes(NOW, bytes("\"\r\n\r\n")).unwrap();
    let Some(Action::Part(part)) = parser.poll_action() else { panic!() };
    assert_eq!((parser.retained(), part.has_content_type()), (boundary, false));
}
