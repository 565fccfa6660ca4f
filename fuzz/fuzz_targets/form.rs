//! Any form, with any operations while it is sent: what leaves is read back as the same fields in any split, its length is
//! the one that was told before, verbs at the wrong time change nothing, and there is one terminal action.
#![no_main]

#[path = "common/names.rs"]
mod names;
#[path = "common/oracle.rs"]
mod oracle;

use arbitrary::Arbitrary;
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use names::read_back;
use portline::Instant;
use portline::body::form::{Action, Encoder, Field, Value};
use portline::body::multipart::Boundary;
use portline::body::multipart::parser::{self, Parser};
use portline::body::urlencoded;

const NOW: Instant = Instant::ZERO;
const TYPE: &str = "a/b";

#[derive(Arbitrary, Debug)]
struct Input {
    fields: Vec<One>,
    operations: Vec<Operation>,
    cuts: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
enum One {
    Text(Vec<u8>, Vec<u8>),
    File { name: Vec<u8>, filename: Vec<u8>, typed: bool, length: Option<u8> },
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Write(Vec<u8>),
    FileEnd,
    Abort,
    Transmit,
    Action,
}

fn field(one: &One) -> Field {
    match one {
        One::Text(name, text) => Field { name: name.clone().into(), value: Value::Text(text.clone().into()) },
        One::File { name, filename, typed, length } => Field {
            name: name.clone().into(),
            value: Value::File {
                filename: filename.clone().into(),
                content_type: typed.then(|| TYPE.into()),
                length: length.map(u64::from),
            },
        },
    }
}

struct Run {
    form: Encoder,
    fields: Vec<Field>,
    body: BytesMut,
    /// The data of each field.
    data: Vec<BytesMut>,
    /// The file that is being given.
    giving: Option<usize>,
    aborted: bool,
    end: Option<bool>,
}

impl Run {
    fn write(&mut self, data: &[u8]) -> bool {
        let taken = self.form.write(NOW, Bytes::copy_from_slice(data)).is_ok();
        assert!(!taken || (self.giving.is_some() && self.end.is_none()), "nobody asked for it");
        if let (true, Some(at)) = (taken, self.giving) {
            self.data[at].extend_from_slice(data);
        }
        taken
    }

    fn file_end(&mut self) -> bool {
        let ended = self.form.file_end(NOW).is_ok();
        assert!(!ended || self.giving.is_some());
        if ended {
            self.giving = None;
        }
        ended
    }

    fn transmit(&mut self) -> bool {
        let Some(sent) = self.form.poll_transmit() else { return false };
        assert!(!sent.is_empty() && self.end.is_none());
        self.body.extend_from_slice(&sent.into_bytes());
        true
    }

    fn action(&mut self) -> bool {
        let Some(action) = self.form.poll_action() else { return false };
        assert!(self.end.is_none(), "{action:?} after the end");
        match action {
            Action::SendFile(at) => {
                assert!(self.giving.replace(at).is_none() || self.aborted, "one file at a time");
                assert!(matches!(self.fields[at].value, Value::File { .. }));
            }
            Action::Finished => self.end = Some(true),
            Action::Failed(_) => self.end = Some(false),
        }
        true
    }

    fn step(&mut self, operation: &Operation) {
        match operation {
            Operation::Write(data) => drop(self.write(data)),
            Operation::FileEnd => drop(self.file_end()),
            Operation::Abort => {
                self.form.abort(NOW);
                self.aborted = true;
            }
            Operation::Transmit => drop(self.transmit()),
            Operation::Action => drop(self.action()),
        }
    }

    /// Gives what is still asked for, until it is over.
    fn finish(&mut self) {
        for turn in 0.. {
            assert!(turn < 10_000, "busy without end");
            if self.transmit() || self.action() {
                continue;
            }
            if self.end.is_some() {
                return;
            }
            if self.giving.is_some() && self.file_end() {
                continue;
            }
            // A length was told, and not all of it has come. What would stand at the boundary's start is no part of it.
            if !(self.write(b"x") || self.aborted) {
                self.form.abort(NOW);
                self.aborted = true;
            }
        }
    }
}

fn pairs(run: &Run, pieces: Vec<Bytes>) {
    let mut parser = urlencoded::Parser::new(urlencoded::Config::default(), NOW);
    let mut expected = run.fields.iter();
    for piece in pieces.into_iter().map(Some).chain([None]) {
        match piece {
            Some(piece) => parser.handle_bytes(NOW, piece).unwrap(),
            None => parser.handle_closed(NOW).unwrap(),
        }
        while let Some(action) = parser.poll_action() {
            if let urlencoded::Action::Pair { name, value } = action {
                let field = expected.next().expect("no more than were sent");
                assert_eq!((&field.name, &field.value), (&name, &Value::Text(value)));
            }
        }
    }
    assert_eq!(expected.next(), None);
}

fn parts(run: &Run, pieces: Vec<Bytes>) {
    let boundary = Boundary::of_content_type(&run.form.content_type()).unwrap();
    let mut parser = Parser::new(parser::Config::new(boundary), NOW);
    let (mut at, mut data) = (0, BytesMut::new());
    for piece in pieces.into_iter().map(Some).chain([None]) {
        match piece {
            Some(piece) => parser.handle_bytes(NOW, piece).unwrap(),
            None => parser.handle_closed(NOW).unwrap(),
        }
        while let Some(action) = parser.poll_action() {
            match action {
                parser::Action::Part(part) => {
                    let field = &run.fields[at];
                    assert_eq!(part.name(), field.name);
                    let filename = match &field.value {
                        Value::File { filename, .. } => Some(&filename[..]),
                        Value::Text(_) => None,
                    };
                    assert_eq!(part.filename(), filename);
                    assert_eq!(part.has_content_type(), filename.is_some());
                }
                parser::Action::Data(bytes) => data.extend_from_slice(&bytes),
                parser::Action::PartEnd => {
                    match &run.fields[at].value {
                        Value::Text(text) => assert_eq!(data, text),
                        Value::File { .. } => assert_eq!(data, run.data[at]),
                    }
                    data.clear();
                    at += 1;
                }
                parser::Action::Finished => assert_eq!(at, run.fields.len()),
                parser::Action::Failed(error) => panic!("{error}"),
            }
        }
    }
    assert!(parser.has_ended());
}

fuzz_target!(|input: Input| {
    let fields: Vec<Field> = input.fields.iter().map(field).collect();
    let Ok(form) = Encoder::new(fields.clone(), Boundary::from_seed(7), NOW) else { return };
    let data = vec![BytesMut::new(); fields.len()];
    let (content_type, length) = (form.content_type(), form.content_length());
    let mut run = Run { form, fields, body: BytesMut::new(), data, giving: None, aborted: false, end: None };
    input.operations.iter().for_each(|operation| run.step(operation));
    run.finish();
    assert!(run.form.has_ended() && !run.transmit() && !run.action() && !run.write(b"x") && !run.file_end());
    assert!(run.end == Some(true) || run.aborted, "only what was given up fails");
    if run.end != Some(true) {
        return;
    }
    let body = run.body.split().freeze();
    assert!(length.is_none_or(|length| length == body.len() as u64));
    let is_plain = |field: &Field| match &field.value {
        Value::Text(_) => read_back(&field.name).is_some(),
        Value::File { filename, .. } => read_back(&field.name).and(read_back(filename)).is_some(),
    };
    let pieces = oracle::split(&body, &input.cuts);
    if content_type == urlencoded::CONTENT_TYPE {
        pairs(&run, pieces);
    } else if run.fields.iter().all(is_plain) {
        parts(&run, pieces);
    }
});
