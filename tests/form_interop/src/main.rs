//! Writes forms into a folder, for Python's parsers to read, and reads each one with multer.
//!
//! `NAME.http` is the Content-Type, an empty line, and the body; `NAME.json` lists its parts, each name and each piece of
//! data in hex. `read_back.py` reads both.
use std::convert::Infallible;
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use portline::Instant;
use portline::body::form::{self, Encoder, Field, Value};
use portline::body::multipart::writer::{Config, Head};
use portline::body::multipart::{Boundary, Writer};

const NOW: Instant = Instant::ZERO;

/// A name, a file's name and type, and the data.
type Part = (&'static str, Option<(&'static str, &'static str)>, Vec<u8>);

fn forms() -> Vec<(&'static str, Boundary, Vec<Part>)> {
    let every: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let text = |name, value: &str| (name, None, value.as_bytes().to_vec());
    let file = |name, filename, kind, data: &[u8]| (name, Some((filename, kind)), data.to_vec());
    let dashes = Boundary::new(b"-----").unwrap();
    vec![
        ("fields", Boundary::from_seed(1), vec![text("a", "1"), text("b", ""), text("a", "two\r\nlines")]),
        (
            "names",
            Boundary::from_seed(2),
            vec![
                text("quo\"te", "x"),
                text("größe", "ä €"),
                text("back\\slash", "y"),
                text("semi; name=colon", "z"),
                text("50% off", ""),
                file("file", "größe \"1\".txt", "text/plain", b"f"),
            ],
        ),
        (
            "binary",
            Boundary::from_seed(3),
            vec![
                file("file", "every.bin", "application/octet-stream", &every),
                file("file", "empty.bin", "application/octet-stream", b""),
                file("file", "ends.bin", "application/octet-stream", b"\r\n\r\n--\r\n"),
            ],
        ),
        ("near", dashes, vec![text("a", "\r\n----\r\n---"), text("b", "----\n-----\r-----")]),
        ("nothing", Boundary::from_seed(4), Vec::new()),
    ]
}

fn written(boundary: &Boundary, parts: &[Part]) -> Vec<u8> {
    let mut writer = Writer::new(Config::new(boundary.clone()), NOW);
    let mut body = Vec::new();
    for (name, file, data) in parts {
        let head = match file {
            Some((filename, kind)) => Head::file(*name, *filename, *kind),
            None => Head::field(*name),
        };
        writer.part(NOW, &head).unwrap();
        for piece in data.chunks(777) {
            writer.write(NOW, Bytes::copy_from_slice(piece)).unwrap();
            while let Some(transmit) = writer.poll_transmit() {
                body.extend_from_slice(&transmit.into_bytes());
            }
        }
    }
    writer.finish(NOW).unwrap();
    while let Some(transmit) = writer.poll_transmit() {
        body.extend_from_slice(&transmit.into_bytes());
    }
    body
}

/// A form of strings, which is not multipart.
fn strings(parts: &[Part]) -> (Bytes, Vec<u8>) {
    let fields = parts
        .iter()
        .map(|(name, _, data)| Field { name: Bytes::from(*name), value: Value::Text(data.clone().into()) });
    let mut form = Encoder::new(fields.collect(), Boundary::from_seed(5), NOW).unwrap();
    let mut body = Vec::new();
    while let Some(transmit) = form.poll_transmit() {
        body.extend_from_slice(&transmit.into_bytes());
    }
    assert_eq!(form.poll_action(), Some(form::Action::Finished));
    (form.content_type(), body)
}

/// As browsers' escapes leave a name for those who do not undo them.
fn escaped(name: &str) -> String {
    name.replace('"', "%22")
}

fn read_by_multer(content_type: &str, body: &[u8], parts: &[Part]) {
    let boundary = multer::parse_boundary(content_type).unwrap();
    let pieces: Vec<_> =
        body.chunks(1000).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece))).collect();
    let mut form = multer::Multipart::new(stream::iter(pieces), boundary);
    let mut read = async || {
        for (name, file, data) in parts {
            let field = form.next_field().await.unwrap().expect("a part is missing");
            assert_eq!(field.name(), Some(&escaped(name)[..]));
            assert_eq!(field.file_name().map(str::to_owned), file.map(|(filename, _)| escaped(filename)));
            assert_eq!(field.content_type().map(ToString::to_string), file.map(|(_, kind)| kind.to_owned()));
            assert!(field.bytes().await.unwrap() == data[..], "the data of {name} differs");
        }
        assert!(form.next_field().await.unwrap().is_none());
    };
    read().now_or_never().expect("everything was there");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    })
}

fn json(parts: &[Part]) -> String {
    let rows: Vec<String> = parts
        .iter()
        .map(|(name, file, data)| {
            let (filename, kind) = file.map_or(("null".into(), "null".into()), |(filename, kind)| {
                (format!("\"{}\"", hex(filename.as_bytes())), format!("\"{kind}\""))
            });
            let (name, data) = (hex(name.as_bytes()), hex(data));
            format!(
                "{{\"name\": \"{name}\", \"filename\": {filename}, \"type\": {kind}, \"data\": \"{data}\"}}"
            )
        })
        .collect();
    format!("[{}]\n", rows.join(",\n"))
}

fn main() {
    let folder = env::args().nth(1).expect("usage: portline-interop FOLDER");
    let folder = Path::new(&folder);
    fs::create_dir_all(folder).unwrap();
    let save = |name: &str, content_type: &[u8], body: &[u8], parts: &[Part]| {
        fs::write(folder.join(name).with_extension("http"), [content_type, b"\r\n\r\n", body].concat())
            .unwrap();
        fs::write(folder.join(name).with_extension("json"), json(parts)).unwrap();
    };
    let forms = forms();
    for (name, boundary, parts) in &forms {
        let content_type = boundary.content_type();
        let body = written(boundary, parts);
        read_by_multer(std::str::from_utf8(&content_type).unwrap(), &body, parts);
        save(name, &content_type, &body, parts);
    }
    let (_, _, parts) = &forms[1];
    let parts: Vec<Part> = parts.iter().filter(|part| part.1.is_none()).cloned().collect();
    let (content_type, body) = strings(&parts);
    save("strings", &content_type, &body, &parts);
    println!("multer: {} forms read back", forms.len());
}
