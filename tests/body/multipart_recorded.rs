//! Bodies as a browser, curl and Python's encoders really sent them (`tests/vectors/multipart`, recorded by
//! `tests/form_interop/record.py`), read in any split.

use crate::multipart_support::{NOW, Whole, parse_with};
use bytes::Bytes;
use portline::body::content_type::ContentType;
use portline::body::multipart::Boundary;
use portline::body::multipart::parser::Config;
use portline::body::urlencoded;

/// What the recorder's form had.
const FIELDS: [(&str, &str); 6] = [
    ("plain", "value"),
    ("größe", "ä €"),
    ("twice", "1"),
    ("twice", "2"),
    ("quo\"te", "a\"b\\c"),
    ("empty", ""),
];

fn fields() -> Vec<Whole> {
    FIELDS.iter().map(|(name, value)| Whole::field(name, value)).collect()
}

fn files() -> Vec<Whole> {
    let every: Vec<u8> = (0..=255).chain(0..=255).collect();
    let binary = [&every[..], b"\r\n--\r\n------WebKitFormBoundary\r\n--"].concat();
    vec![
        Whole::file("file", "photo.bin", "application/octet-stream", binary),
        Whole::file("file", "größe 50%.txt", "text/plain", "größe\nzwei\n"),
        Whole::file("file", "quo\"te.txt", "text/plain", "q"),
        Whole::file("none", "empty.txt", "text/plain", ""),
    ]
}

/// A recorded content type and body.
fn recorded(name: &str) -> (Vec<u8>, Vec<u8>) {
    let path = format!("{}/tests/vectors/multipart/{name}.http", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    (bytes[..end].to_vec(), bytes[end + 4..].to_vec())
}

fn parts(name: &str) -> Vec<Whole> {
    let (content_type, body) = recorded(name);
    let config = Config::new(Boundary::of_content_type(&content_type).unwrap());
    let (parts, end) = parse_with(&config, &body);
    assert_eq!(end, Some(Ok(())), "{name}");
    parts
}

/// MULTIPART-15, MULTIPART-18.
#[test]
fn a_form_from_a_browser() {
    assert_eq!(parts("chromium-files"), [fields(), files()].concat());
    // A file input in which nothing was chosen.
    let nothing = vec![Whole::file("file", "", "application/octet-stream", "")];
    assert_eq!(parts("chromium-nothing-chosen"), [fields(), nothing].concat());
}

/// MULTIPART-16.
#[test]
fn a_form_from_curl_in_both_styles_of_escapes() {
    for name in ["curl", "curl-form-escape"] {
        assert_eq!(parts(name), [fields(), files()].concat());
    }
}

/// MULTIPART-11, MULTIPART-17.
#[test]
fn forms_from_python() {
    for name in ["requests", "requests-toolbelt", "urllib3-rfc2231"] {
        let parts = parts(name);
        assert_eq!(parts.len(), 10, "{name}");
        // A type of their own for fields, or none; and each library orders its parts as it likes.
        for expected in [fields(), files()].concat() {
            assert!(parts.contains(&expected), "{name}: {expected:?} is not in {parts:?}");
        }
    }
    let plain = [("plain", "value"), ("twice", "1"), ("twice", "2"), ("empty", "")];
    let plain: Vec<Whole> = plain.iter().map(|(name, value)| Whole::field(name, value)).collect();
    assert_eq!(parts("email"), plain);
}

/// URLENC-1, URLENC-2.
#[test]
fn forms_of_strings() {
    for name in ["chromium-strings", "requests-strings"] {
        let (content_type, body) = recorded(name);
        assert!(ContentType::parse(&content_type).unwrap().is("application", "x-www-form-urlencoded"));
        let mut parser = urlencoded::Parser::new(urlencoded::Config::default(), NOW);
        let mut pairs = Vec::new();
        for byte in body {
            parser.handle_bytes(NOW, Bytes::from(vec![byte])).unwrap();
            pairs.extend(parser.poll_action());
        }
        parser.handle_closed(NOW).unwrap();
        pairs.extend(std::iter::from_fn(|| parser.poll_action()));
        assert_eq!(pairs.pop(), Some(urlencoded::Action::Finished));
        let expected = FIELDS.map(|(name, value)| urlencoded::Action::Pair {
            name: Bytes::from_static(name.as_bytes()),
            value: Bytes::from_static(value.as_bytes()),
        });
        assert_eq!(pairs, expected, "{name}");
    }
}
