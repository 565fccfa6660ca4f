//! Urlencoded forms in any split, and the encoding that a form chooses.

use crate::common::Rng;
use crate::multipart_support::{NOW, Whole, parse_pieces};
use bytes::Bytes;
use portline::body::form::{self, Encoder, Field, FieldError, Value};
use portline::body::multipart::writer::{Error, HeadError, WriteError};
use portline::body::multipart::{Boundary, parser};
use portline::body::urlencoded::{self, Action, Config, Parser, Writer};
use portline::limits;

type Pairs = (Vec<(Vec<u8>, Vec<u8>)>, Option<Result<(), urlencoded::Error>>);

fn pieces_with(config: &Config, pieces: impl IntoIterator<Item = Bytes>) -> Pairs {
    let mut parser = Parser::new(config.clone(), NOW);
    let mut read = (Vec::new(), None);
    let drain = |parser: &mut Parser, read: &mut Pairs| {
        while let Some(action) = parser.poll_action() {
            assert!(read.1.is_none(), "{action:?} after the end");
            match action {
                Action::Pair { name, value } => read.0.push((name.to_vec(), value.to_vec())),
                Action::Finished => read.1 = Some(Ok(())),
                Action::Failed(error) => read.1 = Some(Err(error)),
            }
        }
    };
    for piece in pieces {
        assert_eq!(parser.has_ended(), read.1.is_some());
        let failed = parser.handle_bytes(NOW, piece).is_err();
        assert!(!failed || parser.has_ended() || read.1.is_none());
        drain(&mut parser, &mut read);
    }
    assert_eq!(parser.handle_closed(NOW).is_err(), matches!(read.1, Some(Err(_))));
    drain(&mut parser, &mut read);
    assert!(parser.has_ended() && !parser.wants_input());
    read
}

fn parse_with(config: &Config, form: &[u8]) -> Pairs {
    let form = Bytes::copy_from_slice(form);
    let whole = pieces_with(config, [form.clone()]);
    assert_eq!(pieces_with(config, (0..form.len()).map(|at| form.slice(at..=at))), whole);
    for at in 0..form.len() {
        assert_eq!(pieces_with(config, [form.slice(..at), form.slice(at..)]), whole, "cut at {at}");
    }
    whole
}

fn pairs(form: &str) -> Vec<(String, String)> {
    let (pairs, end) = parse_with(&Config::default(), form.as_bytes());
    assert_eq!(end, Some(Ok(())), "every form is well-formed");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    pairs.into_iter().map(|(name, value)| (text(name), text(value))).collect()
}

#[test]
fn urlenc_1_2_3_pairs_are_read_as_browsers_send_them() {
    for (form, expected) in [
        ("", &[][..]),
        ("&&", &[]),
        ("a=b", &[("a", "b")]),
        ("a", &[("a", "")]),
        ("=", &[("", "")]),
        ("=b&a=", &[("", "b"), ("a", "")]),
        ("a=b=c&&a=d&", &[("a", "b=c"), ("a", "d")]),
        ("a+b=c+%2b", &[("a b", "c +")]),
        ("%61%26=%3D%3d", &[("a&", "==")]),
        ("g=gr%C3%B6%c3%9fe", &[("g", "größe")]),
        ("p=%&q=%4&r=%zz&s=100%", &[("p", "%"), ("q", "%4"), ("r", "%zz"), ("s", "100%")]),
        ("t=%0D%0A;x", &[("t", "\r\n;x")]),
    ] {
        let expected: Vec<(String, String)> =
            expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(pairs(form), expected, "{form}");
    }
}

#[test]
fn urlenc_4_each_limit_is_named_when_it_is_hit_and_not_before() {
    let form = b"a=1&bb=22&&c=3";
    let ends = |change: &dyn Fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        parse_with(&config, form).1.unwrap()
    };
    use urlencoded::Error;
    assert_eq!(ends(&|c| c.max_pairs = 4), Ok(()));
    assert_eq!(ends(&|c| c.max_pairs = 3), Err(Error::TooManyPairs { limit: 3 }));
    assert_eq!(ends(&|c| c.max_pair = 5), Ok(()));
    assert_eq!(ends(&|c| c.max_pair = 4), Err(Error::PairTooLong { limit: 4 }));
    assert_eq!(ends(&|c| c.max_body = 14), Ok(()));
    assert_eq!(ends(&|c| c.max_body = 13), Err(Error::BodyTooLong { limit: 13 }));
    let mut parser = Parser::new(Config { input_bytes: 100, ..Config::default() }, NOW);
    parser.handle_bytes(NOW, Bytes::from_static(form)).unwrap();
    let error = Error::Overrun { limit: 100 };
    assert_eq!(parser.handle_bytes(NOW, Bytes::from(vec![b'a'; 100])), Err(error));
    assert_eq!((parser.poll_action(), parser.poll_action()), (Some(Action::Failed(error)), None));
}

#[test]
fn urlenc_5_what_is_written_is_read_back() {
    let mut rng = Rng::new(9);
    let written: Vec<(Vec<u8>, Vec<u8>)> =
        (0..16).map(|n| (rng.bytes(n % 4), rng.bytes(rng.clone().below(40)))).collect();
    let mut writer = Writer::new(NOW);
    for (name, value) in &written {
        writer.pair(NOW, name, value).unwrap();
    }
    assert!(!writer.has_ended() && writer.can_write());
    writer.finish(NOW);
    assert!(!writer.has_ended() && !writer.can_write(), "it is still to be sent");
    assert_eq!(writer.pair(NOW, b"a", b"b"), Err(urlencoded::WriteError::Over));
    let form = crate::common::gather(|| writer.poll_transmit());
    assert!(writer.has_ended());
    assert!(form.iter().all(|byte| byte.is_ascii_alphanumeric() || b"*-._+%&=".contains(byte)));
    assert_eq!(parse_with(&Config::default(), &form), (written, Some(Ok(()))));
    let mut writer = Writer::new(NOW);
    writer.pair(NOW, b"A z09*-._", b"~!\xc3\xb6/\r\n").unwrap();
    assert_eq!(crate::common::gather(|| writer.poll_transmit()), "A+z09*-._=%7E%21%C3%B6%2F%0D%0A");
    while writer.can_write() {
        writer.pair(NOW, b"a", &[0; 10000]).unwrap();
    }
    assert!(matches!(writer.pair(NOW, b"a", b""), Err(urlencoded::WriteError::Full { .. })));
    // From the limit on, to the byte.
    for (length, has_room) in [(limits::FORM_OUTPUT - 1, true), (limits::FORM_OUTPUT, false)] {
        let mut writer = Writer::new(NOW);
        writer.pair(NOW, b"", &vec![b'a'; length - 1]).unwrap();
        assert_eq!((writer.can_write(), writer.pair(NOW, b"", b"").is_ok()), (has_room, has_room));
        assert!(writer.poll_transmit().is_some() && !writer.has_ended(), "nobody finished it");
    }
}

fn text(name: &str, value: &str) -> Field {
    Field {
        name: Bytes::copy_from_slice(name.as_bytes()),
        value: Value::Text(Bytes::copy_from_slice(value.as_bytes())),
    }
}

fn file(name: &'static str, filename: &'static str, length: Option<u64>) -> Field {
    let filename = Bytes::from_static(filename.as_bytes());
    Field {
        name: Bytes::from_static(name.as_bytes()),
        value: Value::File { filename, content_type: None, length },
    }
}

fn sent(form: &mut Encoder, files: &[&'static [u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut files = files.iter();
    loop {
        while let Some(transmit) = form.poll_transmit() {
            body.extend_from_slice(&transmit.into_bytes());
        }
        match form.poll_action() {
            Some(form::Action::SendFile(_)) => {
                for piece in files.next().unwrap().chunks(100) {
                    assert!(form.can_write());
                    form.write(NOW, Bytes::from_static(piece)).unwrap();
                    while let Some(transmit) = form.poll_transmit() {
                        body.extend_from_slice(&transmit.into_bytes());
                    }
                }
                form.file_end(NOW).unwrap();
            }
            Some(form::Action::Finished) => return body,
            Some(form::Action::Failed(error)) => panic!("{error}"),
            None => {}
        }
    }
}

#[test]
fn form_1_strings_only_are_sent_urlencoded_and_any_file_makes_it_multipart() {
    let fields = vec![text("a", "ö &"), text("", ""), text("a", "2")];
    let mut form = Encoder::new(fields.clone(), Boundary::from_seed(1), NOW).unwrap();
    assert_eq!(form.content_type(), urlencoded::CONTENT_TYPE);
    assert_eq!((form.poll_action(), form.has_ended()), (None, false), "not before it was sent");
    let body = sent(&mut form, &[]);
    assert_eq!(body, b"a=%C3%B6+%26&=&a=2");
    assert_eq!(form.content_length(), Some(body.len() as u64));
    let mut empty = Encoder::new(Vec::new(), Boundary::from_seed(1), NOW).unwrap();
    assert_eq!((sent(&mut empty, &[]), empty.has_ended()), (Vec::new(), true));

    let fields = [fields, vec![file("f", "", None)]].concat();
    let mut form = Encoder::new(fields, Boundary::from_seed(1), NOW).unwrap();
    let boundary = Boundary::of_content_type(&form.content_type()).unwrap();
    let body = sent(&mut form, &[b""]);
    let expected = [
        Whole::field("a", "ö &"),
        Whole::field("", ""),
        Whole::field("a", "2"),
        Whole::file("f", "", "application/octet-stream", ""),
    ];
    let read = parse_pieces(&parser::Config::new(boundary), [Bytes::from(body)]);
    assert_eq!(read, (expected.to_vec(), Some(Ok(()))));
}

#[test]
fn form_2_3_files_are_asked_for_in_their_turn_and_the_length_is_known_if_theirs_is() {
    static DATA: [u8; 1000] = [b'-'; 1000];
    let boundary = Boundary::from_seed(7);
    let fields = || vec![file("f", "x", Some(1000)), text("a", "b"), file("g", "y", Some(0))];
    let mut form = Encoder::new(fields(), boundary.clone(), NOW).unwrap();
    assert_eq!(form.write(NOW, Bytes::from_static(b"x")), Err(WriteError::NoPart));
    assert!(!form.can_write(), "no file was asked for");
    let length = form.content_length().unwrap();
    assert_eq!(sent(&mut form, &[&DATA, b""]).len() as u64, length);
    assert!(form.has_ended());

    let mut form = Encoder::new(fields(), boundary.clone(), NOW).unwrap();
    assert_eq!(form.poll_action(), Some(form::Action::SendFile(0)));
    assert_eq!(form.poll_action(), None, "it is asked for once");
    assert!(form.can_write());
    form.write(NOW, Bytes::from_static(&DATA[1..])).unwrap();
    assert_eq!(form.file_end(NOW), Err(WriteError::PartTooShort { missing: 1 }));
    form.write(NOW, Bytes::from_static(b"x")).unwrap();
    form.file_end(NOW).unwrap();
    assert_eq!((form.file_end(NOW), form.can_write()), (Err(WriteError::NoPart), false));
    assert_eq!(form.poll_action(), Some(form::Action::SendFile(2)));
    form.abort(NOW);
    assert_eq!(
        form.poll_transmit().is_none(),
        form.poll_action() == Some(form::Action::Failed(Error::Aborted))
    );
    assert!(form.has_ended());

    let mut form = Encoder::new(vec![file("f", "x", None)], boundary.clone(), NOW).unwrap();
    assert_eq!(form.content_length(), None);
    assert!(sent(&mut form, &[&DATA]).len() > DATA.len());
    let inside = text("a", std::str::from_utf8(boundary.as_bytes()).unwrap());
    let at_a_line = text("a", &format!("\r\n--{}", std::str::from_utf8(boundary.as_bytes()).unwrap()));
    let refused = |fields| Encoder::new(fields, boundary.clone(), NOW).err();
    assert_eq!(refused(vec![inside, file("f", "x", None)]), None);
    assert_eq!(refused(vec![at_a_line, file("f", "x", None)]), Some(FieldError::BoundaryInData));
    assert_eq!(refused(vec![file("f", "\0", None)]), Some(FieldError::Head(HeadError::Name)));
}
