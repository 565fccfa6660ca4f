//! The multipart parser: boundaries, headers and names as they are sent, in any split, and what is refused.

use std::borrow::Cow;

use crate::common::Rng;
use crate::multipart_support::{
    NOW, Whole, config, disposed, drain, error, one, parse, parse_pieces, parse_with,
};
use bytes::Bytes;
use portline::body::content_disposition::{self, ContentDisposition, ParameterError};
use portline::body::content_type::ContentType;
use portline::body::multipart::parser::{Action, Config, Error, Place};
use portline::body::multipart::{Boundary, BoundaryError, Parser};

const A: &str = "Content-Disposition: form-data; name=\"a\"";

#[test]
fn multipart_1_the_boundary_is_found_in_any_case_quoted_or_not_and_in_any_order() {
    for (header, boundary) in [
        ("multipart/form-data; boundary=abc", "abc"),
        ("Multipart/FORM-Data;BOUNDARY=\"abc\"", "abc"),
        (" multipart/form-data ; charset=utf-8 ; bounDary=abc ; ; x=\"a;b\" ;", "abc"),
        ("multipart/form-data; boundary=\"a b\\\"c\\\\d\"", "a b\"c\\d"),
        ("multipart/form-data; boundary=ab=c/d:e?f", "ab=c/d:e?f"),
        ("multipart/form-data; x=\"; boundary=no\"; boundary=yes", "yes"),
        ("multipart/form-data; boundary=abc; boundary=\"abc\"", "abc"),
    ] {
        let found = Boundary::of_content_type(header.as_bytes()).unwrap();
        assert_eq!(found.as_bytes(), boundary.as_bytes(), "{header}");
        assert_eq!(Boundary::of_content_type(&found.content_type()).unwrap(), found);
    }
}

#[test]
fn multipart_2_a_malformed_content_type_is_a_typed_error() {
    use portline::body::content_type::Error;
    for (header, error) in [
        ("", Error::Type),
        ("multipart", Error::Type),
        ("/form-data", Error::Type),
        ("multipart/", Error::Type),
        ("multipart/form-data boundary=abc", ParameterError::Separator { at: 20 }.into()),
        (" multipart/form-data boundary=abc\t ", ParameterError::Separator { at: 21 }.into()),
        ("multipart/form-data; =abc ", ParameterError::Name { at: 21 }.into()),
        ("multipart/form-data; boundary ", ParameterError::Value { at: 29 }.into()),
        ("multipart/form-data; boundary= ", ParameterError::Value { at: 30 }.into()),
        ("multipart/form-data; boundary=\"abc ", ParameterError::Unterminated { at: 30 }.into()),
        ("multipart/form-data; =abc", ParameterError::Name { at: 21 }.into()),
        ("multipart/form-data; boundary", ParameterError::Value { at: 29 }.into()),
        ("multipart/form-data; boundary=", ParameterError::Value { at: 30 }.into()),
        ("multipart/form-data; boundary =abc", ParameterError::Value { at: 29 }.into()),
        ("multipart/form-data; boundary=\"abc", ParameterError::Unterminated { at: 30 }.into()),
        ("multipart/form-data; boundary=\"abc\"d", ParameterError::Separator { at: 35 }.into()),
        ("multipart/form-data; boundary=a; Boundary=b", Error::Duplicate),
        (&format!("multipart/form-data{}", "; a=b".repeat(33)), Error::TooMany { limit: 32 }),
    ] {
        let found = Boundary::of_content_type(header.as_bytes());
        assert_eq!(found, Err(BoundaryError::ContentType(error)), "{header}");
    }
    let other = Boundary::of_content_type(b"multipart/mixed; boundary=a");
    assert_eq!(other, Err(BoundaryError::OtherType));
    assert_eq!(Boundary::of_content_type(b"multipart/form-data"), Err(BoundaryError::Missing));
}

#[test]
fn multipart_1_the_words_of_a_header_are_told_as_they_stand_there() {
    let header = ContentType::parse(b"Text/X-Plain; Charset=\"a\\\"b\"").unwrap();
    assert_eq!((header.kind(), header.subtype()), (&b"Text"[..], &b"X-Plain"[..]));
    assert!(header.is("tExt", "x-plain") && !header.is("text", "plain") && !header.is("x", "x-plain"));
    assert_eq!((header.parameter("charset").as_deref(), header.parameter("x")), (Some(&b"a\"b"[..]), None));
    // What stands there as it is meant is not copied.
    let plain = ContentType::parse(b"a/b; x=\"y z\"").unwrap().parameter("x");
    assert!(matches!(plain, Some(Cow::Borrowed(b"y z"))));
    let parameters: Vec<_> = header.parameters().map(|(name, value)| (name, value.into_owned())).collect();
    assert_eq!(parameters, [(&b"Charset"[..], b"a\"b".to_vec())]);
    let header = ContentDisposition::parse(b"Form-Data; name=\"n\"; filename=f").unwrap();
    assert_eq!((header.kind(), header.is_form_data()), (&b"Form-Data"[..], true));
    assert_eq!((header.name(), header.filename()), (Some(&b"n"[..]), Some(&b"f"[..])));
    // Parameters as long as the known ones, and others.
    let other = b"form-data; size=9; name=n; filesize=1; filename=f; filenames=z";
    let header = ContentDisposition::parse(other).unwrap();
    assert_eq!((header.name(), header.filename()), (Some(&b"n"[..]), Some(&b"f"[..])));
    let header = ContentDisposition::parse(b"attachment").unwrap();
    assert_eq!((header.is_form_data(), header.name(), header.filename()), (false, None, None));
}

/// Their names are as long as those that are read.
#[test]
fn multipart_12_other_headers_are_passed_over() {
    let others = "X-Nineteen-Letters1: form-data; name=b\r\nX-Twelve-Abc: text/x";
    assert_eq!(parse(one(&format!("{others}\r\n{A}"), "x")).0, [Whole::field("a", "x")]);
}

#[test]
fn multipart_3_a_boundary_has_1_to_70_printable_bytes_and_no_space_at_its_end() {
    assert_eq!(Boundary::new(b""), Err(BoundaryError::Empty));
    assert_eq!(Boundary::new(&[b'-'; 71]), Err(BoundaryError::TooLong { length: 71, limit: 70 }));
    for byte in [b'\r', b'\n', 0, 0x7f, 0xc3, b'\t'] {
        assert_eq!(Boundary::new(&[b'a', byte, b'b']), Err(BoundaryError::Byte { byte }));
    }
    assert_eq!(Boundary::new(b"a "), Err(BoundaryError::Byte { byte: b' ' }));
    let longest = "-".repeat(70);
    let body = format!("--{longest}\r\n{A}\r\n\r\nx\r\n--{longest}--");
    assert_eq!(parse_with(&config(&longest), body.as_bytes()).0, [Whole::field("a", "x")]);
}

#[test]
fn multipart_4_5_a_boundary_counts_only_at_the_start_of_a_line_and_its_line_end_is_its_own() {
    for data in [
        "a--XX",
        "--X",
        "\r\n",
        "\r\n\r\n--X\r\n-",
        "\n--XX\n",
        "\r--XX--\r",
        "\r\r\n--Xa",
        " --XX",
        "\r\n-\r\n--\r\n--X\r",
        "\r\n--\r\n--X",
        "\0\u{1}\u{7f}",
    ] {
        assert_eq!(parse(one(A, data)), (vec![Whole::field("a", data)], Some(Ok(()))), "{data:?}");
    }
    // At the start of the data, where the blank line is the line before.
    let body = format!("--XX\r\n{A}\r\n\r\n--XX\r\n{A}\r\n\r\nx\r\n--XX--");
    assert_eq!(parse(body).0, [Whole::field("a", ""), Whole::field("a", "x")]);
}

#[test]
fn multipart_6_blanks_may_follow_a_boundary_and_nothing_else() {
    let body = format!("--XX \t \r\n{A}\r\n\r\nx\r\n--XX\t\r\n{A}\r\n\r\ny\r\n--XX-- \t\r\n");
    assert_eq!(parse(body), (vec![Whole::field("a", "x"), Whole::field("a", "y")], Some(Ok(()))));
    for (line, found) in [
        ("XXY", b'Y'),
        ("XX\n", b'\n'),
        ("XX\rx", b'x'),
        ("XX-x", b'x'),
        ("XX -", b'-'),
        ("XX-\r\n", b'\r'),
        ("XX\r\r\n", b'\r'),
    ] {
        assert_eq!(error(format!("--{line}")), Error::AfterBoundary { found }, "{line:?}");
        let (parts, end) = parse(format!("--XX\r\n{A}\r\n\r\nx\r\n--{line}"));
        assert_eq!(end, Some(Err(Error::AfterBoundary { found })));
        assert_eq!(parts, [Whole { complete: false, ..Whole::field("a", "x") }]);
    }
}

#[test]
fn multipart_7_preamble_and_epilogue_are_dropped() {
    let inner = format!("--XX\r\n{A}\r\n\r\nx\r\n--XX--");
    for before in ["", "\r\n", "text\r\n", "--X\r\n", "a--XX\r\n\r\n", "\r\n--\r\n"] {
        for after in ["", "\r\n", "\r\nmore", " --XX\r\n--XX\r\n--XX--", "\r\n--XX\r\n\r\n"] {
            let body = format!("{before}{inner}{after}");
            assert_eq!(parse(&body), (vec![Whole::field("a", "x")], Some(Ok(()))), "{body:?}");
        }
    }
}

#[test]
fn multipart_8_parts_keep_their_order_and_their_repeated_names_in_any_split() {
    let mut rng = Rng::new(14);
    let part = |name: &str, data: &[u8]| Whole::field(name, data);
    let parts = [
        part("b", b"1"),
        part("a", b""),
        part("b", &rng.bytes(3000)),
        part("b", b"\r\n--"),
        part("", b"\r\n"),
    ];
    let mut body = b"preamble".to_vec();
    for one in &parts {
        body.extend_from_slice(b"\r\n--XX\r\nContent-Disposition: form-data; name=\"");
        body.extend_from_slice(&[one.name.as_bytes(), b"\"\r\n\r\n", &one.data].concat());
    }
    body.extend_from_slice(b"\r\n--XX--\r\nepilogue");
    assert_eq!(parse(&body), (parts.to_vec(), Some(Ok(()))));
    for seed in 0..200 {
        let pieces = crate::common::split(&mut Rng::new(seed as u64), &body, 1 + seed);
        assert_eq!(parse_pieces(&config("XX"), pieces), (parts.to_vec(), Some(Ok(()))), "seed {seed}");
    }
}

#[test]
fn multipart_9_data_is_handed_on_as_slices_of_the_input_at_once() {
    let mut parser = Parser::new(config("XX"), NOW);
    let input = Bytes::from(format!("--XX\r\n{A}\r\n\r\ndata and more\r\n-"));
    let inside = |slice: &[u8]| input.as_ptr_range().contains(&slice.as_ptr());
    parser.handle_bytes(NOW, input.clone()).unwrap();
    let Some(Action::Part(part)) = parser.poll_action() else { panic!() };
    assert!(inside(part.raw_headers()) && inside(part.name()));
    assert_eq!(part.raw_headers(), &format!("{A}\r\n"));
    let Some(Action::Data(data)) = parser.poll_action() else { panic!() };
    assert!(data == "data and more" && inside(&data));
    assert_eq!(parser.poll_action(), None);
    // What looked like a boundary is none; its bytes are known, so nothing of that input was kept.
    let next = Bytes::from_static(b"x\r\n--XX--");
    parser.handle_bytes(NOW, next.clone()).unwrap();
    assert_eq!(parser.poll_action(), Some(Action::Data(Bytes::from_static(b"\r\n-"))));
    assert_eq!(parser.poll_action(), Some(Action::Data(next.slice(..1))));
    assert_eq!(parser.poll_action(), Some(Action::PartEnd));
    assert!(parser.is_complete() && !parser.has_ended());
    // No part at all, as browsers send an empty form.
    assert_eq!(parse("--XX--\r\n"), (Vec::new(), Some(Ok(()))));
}

#[test]
fn multipart_10_a_body_that_ends_too_early_says_where_and_its_last_part_never_ends() {
    let body = format!("--XX\r\n{A}\r\n\r\nxyz\r\n--XX--");
    let data = body.len() - "xyz\r\n--XX--".len();
    for at in 0..body.len() {
        let (parts, end) = parse(&body[..at]);
        let place = match at {
            0..4 => None,
            4..6 => Some(Place::Boundary),
            _ if at < data => Some(Place::Headers),
            _ if at < body.len() - 2 => Some(Place::Data),
            _ => Some(Place::Boundary),
        };
        let error = place.map_or(Error::NoBoundary, |place| Error::Truncated { place });
        assert_eq!(end, Some(Err(error)), "{:?}", &body[..at]);
        assert!(parts.iter().all(|part| !part.complete));
    }
    assert_eq!(error("no boundary\r\n--X\r\n at all --XX"), Error::NoBoundary);
}

#[test]
fn multipart_11_a_header_is_a_token_a_colon_and_a_value_maybe_folded() {
    let body = one(&format!("X-Empty:\r\n{A};\r\n filename=\"f\"\r\nX-Two:  a\r\n\tb \t"), "x");
    assert_eq!(parse(&body).0, [Whole::file("a", "f", "application/octet-stream", "x")]);
    let mut parser = Parser::new(config("XX"), NOW);
    parser.handle_bytes(NOW, Bytes::from(body)).unwrap();
    let Some(Action::Part(part)) = parser.poll_action() else { panic!() };
    let headers: Vec<(String, String)> = part
        .headers()
        .map(|(name, value)| (String::from_utf8_lossy(name).into(), String::from_utf8_lossy(&value).into()))
        .collect();
    let found: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    let disposition = "form-data; name=\"a\"; filename=\"f\"";
    assert_eq!(found, [("X-Empty", ""), ("Content-Disposition", disposition), ("X-Two", "a\tb")]);
    assert_eq!(part.header("x-TWO").as_deref(), Some(&b"a\tb"[..]));
    assert_eq!(part.header("x"), None);
    // Folded in front of the value and behind it, the blanks are around it.
    let folded = one(&format!("{A}; filename=f\r\nContent-Type:\r\n text/plain\r\n\t"), "x");
    assert_eq!(parse(folded).0, [Whole::file("a", "f", "text/plain", "x")]);
    for bad in ["X", "X : y", ": y", " X: y", "X: a\rb", "X: a\nb", "X: a\0b", "X\u{e4}: y", "X: \r\r\n y"] {
        assert_eq!(error(one(&format!("{bad}\r\n{A}"), "x")), Error::Header { at: 0 }, "{bad:?}");
    }
    assert_eq!(error(one(&format!("{A}\r\nbad"), "x")), Error::Header { at: A.len() + 2 });
}

#[test]
fn multipart_12_names_of_headers_are_read_in_any_case_and_the_two_that_count_stand_there_once() {
    let body = one("conTENT-disposition:form-data; name=a\r\nCONTENT-TYPE: text/html\r\nx: 1\r\nx: 2", "y");
    assert_eq!(parse(body).0, [Whole { content_type: "text/html".into(), ..Whole::field("a", "y") }]);
    let twice = |name: &'static str, line: &str| {
        assert_eq!(error(one(&format!("{A}\r\n{line}\r\n{line}"), "x")), Error::DuplicateHeader { name });
    };
    twice("Content-Disposition", "content-disposition: form-data; name=b");
    twice("Content-Type", "content-type: text/plain");
}

#[test]
fn multipart_13_every_part_is_form_data_with_a_name() {
    assert_eq!(error("--XX\r\n\r\nx\r\n--XX--"), Error::NoDisposition);
    assert_eq!(error(one("Content-Type: text/plain", "x")), Error::NoDisposition);
    assert_eq!(disposed("attachment; name=a").1, Some(Err(Error::NotFormData)));
    assert_eq!(disposed("form-data; filename=a").1, Some(Err(Error::NoName)));
    assert_eq!(disposed("FORM-data; name=\"\"").0, [Whole::field("", "x")]);
    let bad = content_disposition::Error::Type;
    assert_eq!(disposed("; name=a").1, Some(Err(Error::Disposition(bad))));
}

#[test]
fn multipart_14_parameters_come_in_any_order_and_each_known_one_once() {
    let file = |name: &str, filename: &str| {
        (vec![Whole::file(name, filename, "application/octet-stream", "x")], Some(Ok(())))
    };
    for value in [
        "form-data; name=a; filename=f",
        "form-data; filename=\"f\"; NAME=\"a\"",
        "form-data;filename=f;x=y;name=a;",
        "form-data; x*=y; creation-date=\"Wed, 12 Feb 1997\" ;FileName=f ; name=a",
    ] {
        assert_eq!(disposed(value), file("a", "f"), "{value}");
    }
    for (name, value) in [
        ("name", "form-data; name=a; Name=a"),
        ("filename", "form-data; name=a; filename=f; filename=g"),
        ("filename*", "form-data; name=a; filename*=utf-8''f; filename*=utf-8''g"),
    ] {
        let bad = content_disposition::Error::Duplicate { name };
        assert_eq!(disposed(value).1, Some(Err(Error::Disposition(bad))), "{value}");
    }
}

#[test]
fn multipart_15_16_quotes_in_names_are_read_as_browsers_and_as_others_escape_them() {
    for (sent, name) in [
        ("a%22b", "a\"b"),
        ("a%0D%0ab%0d", "a\r\nb\r"),
        ("50%25 %2 %", "50%25 %2 %"),
        ("a\\\"b", "a\"b"),
        ("C:\\dir\\file", "C:\\dir\\file"),
        ("a\\\\b", "a\\b"),
        ("a\\%22", "a\\\""),
        ("\\\\", "\\"),
        ("a; name=b", "a; name=b"),
        ("größe 💾", "größe 💾"),
        ("", ""),
    ] {
        assert_eq!(
            disposed(&format!("form-data; name=\"{sent}\"; x=y")).0,
            [Whole::field(name, "x")],
            "{sent}"
        );
        let file = Whole::file("a", name, "application/octet-stream", "x");
        assert_eq!(disposed(&format!("form-data; name=a; filename=\"{sent}\"")).0, [file], "{sent}");
    }
    // A browser's file name that ends with a backslash, at the end of the header.
    let file = Whole::file("a", "dir\\", "application/octet-stream", "x");
    assert_eq!(disposed("form-data; name=a; filename=\"dir\\\" ").0, [file]);
    let bad = content_disposition::Error::Parameter(ParameterError::Unterminated { at: 16 });
    assert_eq!(disposed("form-data; name=\"a\\\"; x=y").1, Some(Err(Error::Disposition(bad))));
    // Where, in the header as it was given.
    let bad = content_disposition::Error::Parameter(ParameterError::Name { at: 12 });
    assert_eq!(ContentDisposition::parse(b" form-data; =a\t ").unwrap_err(), bad);
    // Escapes are those of quoted strings.
    assert_eq!(disposed("form-data; name=a%22\\").0, [Whole::field("a%22\\", "x")]);
}

#[test]
fn multipart_17_the_extended_file_name_is_preferred_and_has_to_be_right() {
    for (value, name) in [
        ("filename=x; filename*=UTF-8''%e2%82%ac%20rates", "€ rates"),
        ("filename*=utf-8'en'%E2%82%AC; filename=x", "€"),
        ("filename*=iso-8859-1''%A3%20x", "£ x"),
        ("filename*=\"utf-8''a%22b\"", "a\"b"),
        ("filename*=utf-8''", ""),
    ] {
        let file = Whole::file("a", name, "application/octet-stream", "x");
        assert_eq!(disposed(&format!("form-data; name=a; {value}")).0, [file], "{value}");
    }
    for (value, bad) in [
        ("plain", content_disposition::Error::Extended),
        ("utf-8'x", content_disposition::Error::Extended),
        ("utf-8''%", content_disposition::Error::Extended),
        ("utf-8''%4", content_disposition::Error::Extended),
        ("utf-8''%zz", content_disposition::Error::Extended),
        ("utf-8''%ff", content_disposition::Error::Extended),
        ("koi8-r''%ff", content_disposition::Error::Charset),
    ] {
        let found = disposed(&format!("form-data; name=a; filename=x; filename*={value}"));
        assert_eq!(found.1, Some(Err(Error::Disposition(bad))), "{value}");
    }
}

#[test]
fn multipart_18_a_part_with_a_file_name_is_a_file_with_a_type() {
    let empty = "Content-Disposition: form-data; name=\"a\"; filename=\"\"";
    assert_eq!(parse(one(empty, "")).0, [Whole::file("a", "", "application/octet-stream", "")]);
    let typed = format!("Content-Type:  image/png ; x=y\r\n{empty}");
    assert_eq!(parse(one(&typed, "")).0, [Whole::file("a", "", "image/png ; x=y", "")]);
    let mut parser = Parser::new(config("XX"), NOW);
    parser.handle_bytes(NOW, Bytes::from(one(&typed, ""))).unwrap();
    assert!(matches!(parser.poll_action(), Some(Action::Part(part)) if part.has_content_type()));
    assert_eq!(parse(one(A, "")).0, [Whole::field("a", "")]);
}

#[test]
fn multipart_19_data_in_a_transfer_encoding_is_refused() {
    for identity in ["7bit", "8BIT", "binary", "\r\n 8bit", "binary\r\n "] {
        let body = one(&format!("{A}\r\nContent-Transfer-Encoding: {identity}"), "x");
        assert_eq!(parse(body).0, [Whole::field("a", "x")]);
    }
    for encoding in ["base64", "quoted-printable", ""] {
        let body = one(&format!("{A}\r\ncontent-transfer-encoding: {encoding}"), "x");
        assert_eq!(error(body), Error::TransferEncoding);
    }
}

fn limited(change: impl Fn(&mut Config)) -> Config {
    let mut config = config("XX");
    change(&mut config);
    config
}

/// T9, T10.
#[test]
fn multipart_20_each_limit_is_named_when_it_is_hit_and_not_before() {
    let two = [one(A, "12345"), one(A, "67890")].concat();
    let two = String::from_utf8(two).unwrap().replacen("--XX--\r\n--XX", "--XX", 1);
    let ends = |config: Config, body: &str| parse_with(&config, body.as_bytes());
    let both = vec![Whole::field("a", "12345"), Whole::field("a", "67890")];
    assert_eq!(ends(limited(|c| c.max_parts = 2), &two), (both.clone(), Some(Ok(()))));
    let (parts, end) = ends(limited(|c| c.max_parts = 1), &two);
    assert_eq!((&parts[..], end), (&both[..1], Some(Err(Error::TooManyParts { limit: 1 }))));

    let headers = A.len() + 4;
    assert_eq!(ends(limited(|c| c.max_header_bytes = headers), &two).1, Some(Ok(())));
    let limit = headers - 1;
    let end = ends(limited(|c| c.max_header_bytes = limit), &two).1;
    assert_eq!(end, Some(Err(Error::HeadersTooLong { limit })));
    let blanks = |count| two.replacen("--XX\r\n", &format!("--XX{}\r\n", " ".repeat(count)), 1);
    let padded = |count| ends(limited(|c| c.max_header_bytes = headers), &blanks(count)).1;
    assert_eq!(padded(headers), Some(Ok(())));
    assert_eq!(padded(headers + 1), Some(Err(Error::HeadersTooLong { limit: headers })));
    let blanks = format!("--XX{}\r\n", " ".repeat(limit + 1));
    let end = ends(limited(|c| c.max_header_bytes = limit), &blanks).1;
    assert_eq!(end, Some(Err(Error::HeadersTooLong { limit })));

    let body = String::from_utf8(one(&format!("{A}\r\nx: 1\r\nx: 2"), "x")).unwrap();
    assert_eq!(ends(limited(|c| c.max_headers = 3), &body).1, Some(Ok(())));
    let end = ends(limited(|c| c.max_headers = 2), &body).1;
    assert_eq!(end, Some(Err(Error::TooManyHeaders { limit: 2 })));

    for name in ["form-data; name=abc", "form-data; name=a; filename=abc"] {
        let body = String::from_utf8(one(&format!("Content-Disposition: {name}"), "x")).unwrap();
        assert_eq!(ends(limited(|c| c.max_name = 3), &body).1, Some(Ok(())));
        let end = ends(limited(|c| c.max_name = 2), &body).1;
        assert_eq!(end, Some(Err(Error::NameTooLong { length: 3, limit: 2 })));
    }

    assert_eq!(ends(limited(|c| c.max_part = 5), &two).1, Some(Ok(())));
    let (parts, end) = ends(limited(|c| c.max_part = 4), &two);
    assert_eq!(end, Some(Err(Error::PartTooLong { limit: 4 })));
    assert_eq!(parts, [Whole { complete: false, ..Whole::field("a", "1234") }]);

    let length = two.len() as u64;
    assert_eq!(ends(limited(|c| c.max_body = length), &two), (both, Some(Ok(()))));
    for limit in (0..length).step_by(7) {
        let (_, end) = ends(limited(|c| c.max_body = limit), &two);
        assert_eq!(end, Some(Err(Error::BodyTooLong { limit })), "{limit}");
    }
}

/// T19: an endless preamble.
#[test]
fn multipart_21_preamble_and_epilogue_are_limited() {
    let inner = String::from_utf8(one(A, "x")).unwrap();
    let config = limited(|c| (c.max_preamble, c.max_epilogue) = (5, 6));
    let ok = format!("12345\r\n{inner}7890");
    assert_eq!(parse_with(&config, ok.as_bytes()).1, Some(Ok(())));
    let end = parse_with(&config, format!("123456\r\n{inner}").as_bytes()).1;
    assert_eq!(end, Some(Err(Error::PreambleTooLong { limit: 5 })));
    let end = parse_with(&config, format!("{inner}56789").as_bytes()).1;
    assert_eq!(end, Some(Err(Error::EpilogueTooLong { limit: 6 })));
}

/// T19, T12: whatever is sent, what is held is bounded, and every byte given is taken.
#[test]
fn multipart_22_no_more_is_held_than_a_parts_headers_and_the_boundary() {
    let boundary = "-".repeat(69) + "X";
    let config = Config { max_preamble: usize::MAX, ..config(&boundary) };
    let limit = config.max_header_bytes;
    let near = format!("\r\n--{}", "-".repeat(69));
    let floods = [
        ("preamble", String::new(), near.clone()),
        ("headers", format!("--{boundary}\r\n"), "x: yyyyyyyyyy\r\n".into()),
        ("one header", format!("--{boundary}\r\nx: "), "yyyyyyyyyyy".into()),
        ("folds", format!("--{boundary}\r\nx: "), "y\r\n ".into()),
        ("near boundaries", format!("--{boundary}\r\n{A}\r\n\r\n"), near),
        ("returns", format!("--{boundary}\r\n{A}\r\n\r\n"), "\r".into()),
        ("line ends", format!("--{boundary}\r\n{A}\r\n\r\n"), "\r\n".into()),
    ];
    for (what, start, again) in floods {
        for size in [1, 73, 5000] {
            let body: Vec<u8> = start.bytes().chain(again.bytes().cycle().take(2 * limit)).collect();
            let mut parser = Parser::new(config.clone(), NOW);
            let mut read = (Vec::new(), None);
            for piece in body.chunks(size) {
                drop(parser.handle_bytes(NOW, Bytes::copy_from_slice(piece)));
                drain(&mut parser, &mut read);
                assert!(parser.retained() <= limit + boundary.len() + 4, "{what} in {size}");
                assert!(parser.has_ended() || parser.wants_input(), "{what} in {size}: nothing waits");
            }
        }
    }
}

#[test]
fn multipart_23_input_waits_until_it_is_asked_for_and_too_much_of_it_is_the_callers_error() {
    let config = limited(|c| c.input_bytes = 1000);
    let mut parser = Parser::new(config, NOW);
    assert!(parser.wants_input());
    let body = Bytes::from(one(A, "x".repeat(5000)));
    parser.handle_bytes(NOW, body.clone()).unwrap();
    assert!(!parser.wants_input(), "one piece of any size is taken, and then no more is wanted");
    let error = Error::Overrun { limit: 1000 };
    assert_eq!(parser.handle_bytes(NOW, body.clone()), Err(error.clone()));
    assert_eq!(parser.handle_bytes(NOW, body.clone()), Err(error.clone()));
    assert_eq!(parser.handle_closed(NOW), Err(error.clone()));
    assert_eq!(error.blame(), portline::Blame::Caller);
    assert_eq!(parser.poll_action(), Some(Action::Failed(error)));
    assert!(parser.has_ended() && parser.poll_action().is_none());

    let mut parser = Parser::new(limited(|c| c.input_bytes = 6000), NOW);
    for piece in body.chunks(3000) {
        parser.handle_bytes(NOW, Bytes::copy_from_slice(piece)).unwrap();
    }
    parser.handle_closed(NOW).unwrap();
    parser.handle_bytes(NOW, Bytes::from_static(b"after the end")).unwrap();
    let mut read = (Vec::new(), None);
    drain(&mut parser, &mut read);
    assert_eq!(read, (vec![Whole::field("a", "x".repeat(5000))], Some(Ok(()))));
    parser.handle_bytes(NOW, body.clone()).unwrap();
    assert_eq!((parser.poll_action(), parser.wants_input()), (None, false));

    // Of one piece that is too long for the body, what fits is read, however little may wait.
    let mut parser = Parser::new(limited(|c| (c.input_bytes, c.max_body) = (10, 4000)), NOW);
    parser.handle_bytes(NOW, body).unwrap();
    assert!(!parser.wants_input());
    let mut read = (Vec::new(), None);
    drain(&mut parser, &mut read);
    let data = 4000 - (one(A, "").len() - "\r\n--XX--\r\n".len());
    let cut = Whole { complete: false, ..Whole::field("a", "x".repeat(data)) };
    assert_eq!(read, (vec![cut], Some(Err(Error::BodyTooLong { limit: 4000 }))));
}

/// T19: the delimiter's search agrees with the plainest search there is.
#[test]
fn multipart_5_near_boundaries_are_data() {
    let mut rng = Rng::new(5);
    let alphabet = b"\r\n-XY";
    for round in 0..300 {
        let data: Vec<u8> = (0..rng.below(400)).map(|_| alphabet[rng.below(alphabet.len())]).collect();
        // At a line's start it would be a boundary.
        let text = String::from_utf8(data).unwrap().replace("\r\n--XYX", "\r\n--XYY");
        let data = format!("_{text}");
        let body = Bytes::from(format!("--XYX\r\n{A}\r\n\r\n{data}\r\n--XYX--"));
        let expected = (vec![Whole::field("a", &data)], Some(Ok(())));
        for largest in [1, 3, 20, body.len()] {
            let pieces = crate::common::split(&mut rng, &body, largest);
            assert_eq!(parse_pieces(&config("XYX"), pieces), expected, "{round}, {largest}");
        }
    }
}
