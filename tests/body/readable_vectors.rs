//! The readable stream beside Node's: random operations and what came of each, recorded in `spec/vectors/readable.txt`
//! by the script beside it.

use std::collections::BTreeMap;
use std::fs;

use bytes::Bytes;
use portline::body::readable::{Action, CancelError, Config, Outcome, Read, Readable, Reader};

/// The stream with the driver that the script is.
struct Beside {
    stream: Readable<u8>,
    started: bool,
    asked: bool,
    sent: u8,
    reads: usize,
    /// The numbers of reads that wait, as the machine and as the script count.
    waiting: BTreeMap<u64, usize>,
    reader: Option<Reader>,
    old: Option<Reader>,
    state: String,
    pulls: usize,
    events: Vec<String>,
}

fn shown(chunk: &Bytes) -> String {
    chunk.first().map_or("0:-".into(), |first| format!("{}:{first}", chunk.len()))
}

impl Beside {
    fn new(config: Config) -> Self {
        Self {
            stream: Readable::new(config),
            started: false,
            asked: false,
            sent: 0,
            reads: 0,
            waiting: BTreeMap::new(),
            reader: None,
            old: None,
            state: "open".into(),
            pulls: 0,
            events: Vec::new(),
        }
    }

    fn attempt<T, F>(&mut self, result: &Result<T, F>) {
        if result.is_err() {
            self.events.push("!".into());
        }
    }

    fn read(&mut self) {
        self.reads += 1;
        let outcome = match self.stream.read(self.reader.unwrap()).unwrap() {
            Read::Chunk(chunk) => shown(&chunk),
            Read::Done => "done".into(),
            Read::Failed(error) => format!("err{error}"),
            Read::Waiting(read) => {
                self.waiting.insert(read, self.reads);
                return;
            }
        };
        self.events.push(format!("r{}={outcome}", self.reads));
    }

    fn cancel(&mut self, reason: u8, reader: Option<Reader>) {
        let was_over = self.state != "open";
        let cancelled = match reader {
            Some(reader) => self.stream.reader_cancel(reader, reason),
            None => self.stream.cancel(reason),
        };
        match cancelled {
            Ok(()) if was_over => self.events.push("cancelled".into()),
            Ok(()) => {}
            Err(CancelError::Errored(error)) => self.events.push(format!("cancelled-err{error}")),
            Err(_) => self.events.push("!".into()),
        }
    }

    fn operate(&mut self, name: &str, argument: u8) {
        match name {
            "start" => {
                self.started = true;
                self.stream.started();
            }
            "start-fail" if !self.started => {
                self.started = true;
                self.stream.error(argument);
            }
            "start-fail" => {}
            "enqueue" => {
                self.sent += 1;
                let enqueued = self.stream.enqueue(Bytes::from(vec![self.sent; argument.into()]));
                self.attempt(&enqueued);
            }
            "close" => {
                let closed = self.stream.close();
                self.attempt(&closed);
            }
            "error" => self.stream.error(argument),
            "pulled" => {
                self.asked = false;
                self.stream.pulled();
            }
            "pull-fail" if std::mem::take(&mut self.asked) => self.stream.error(argument),
            "pull-fail" => {}
            "lock" => {
                let locked = self.stream.lock();
                self.attempt(&locked);
                self.reader = locked.ok().or(self.reader);
            }
            "release" => {
                self.old = self.reader.take();
                self.stream.release(self.old.unwrap()).unwrap();
            }
            "read" => self.read(),
            "read-old" => {
                let read = self.stream.read(self.old.unwrap());
                self.attempt(&read);
            }
            "cancel" => self.cancel(argument, None),
            "reader-cancel" => self.cancel(argument, self.reader),
            "stopped" => self.stream.cancelled(Ok(())),
            "stop-fail" => self.stream.cancelled(Err(argument)),
            other => panic!("{other}"),
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.stream.poll_action() {
            match action {
                Action::Pull => {
                    self.asked = true;
                    self.pulls += 1;
                }
                Action::Cancel(reason) => {
                    self.state = "closed".into();
                    self.events.push(format!("c{reason}"));
                }
                Action::Read { read, outcome } => {
                    let read = self.waiting.remove(&read).unwrap();
                    let outcome = match outcome {
                        Outcome::Chunk(chunk) => shown(&chunk),
                        Outcome::Done => "done".into(),
                        Outcome::Failed(error) => format!("err{error}"),
                        Outcome::Released => "released".into(),
                    };
                    self.events.push(format!("r{read}={outcome}"));
                }
                Action::Closed => self.state = "closed".into(),
                Action::Errored(error) => self.state = format!("err{error}"),
                Action::Cancelled(Ok(())) => self.events.push("cancelled".into()),
                Action::Cancelled(Err(error)) => self.events.push(format!("cancelled-err{error}")),
            }
        }
    }

    /// What came of an operation, sorted: in one turn of Node's loop the order is that of its promises.
    fn outcome(&mut self, name: &str, argument: u8) -> Vec<String> {
        self.operate(name, argument);
        self.act();
        let desired = self.stream.desired_size().map_or("null".into(), |size| size.to_string());
        let state = if self.reader.is_some() { &*self.state } else { "-" };
        let mut all = std::mem::take(&mut self.events);
        all.extend([
            format!("p{}", std::mem::take(&mut self.pulls)),
            format!("d{desired}"),
            format!("s{state}"),
        ]);
        all.sort();
        all
    }
}

/// READABLE-1 to READABLE-18, as another implementation has them.
#[test]
fn readable_6_every_operation_has_the_outcome_that_it_has_in_node() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/spec/vectors/readable.txt")).unwrap();
    let (mut beside, mut lines) = (Beside::new(Config::default()), 0);
    for (number, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["stream", _, kind, mark] => {
                let mark = mark.parse().unwrap();
                let config = if kind == "bytes" { Config::bytes(mark) } else { Config::count(mark) };
                beside = Beside::new(config);
            }
            [name, argument, "->", ref expected @ ..] => {
                let mut expected: Vec<String> = expected.iter().map(|&word| word.to_owned()).collect();
                expected.sort();
                let outcome = beside.outcome(name, argument.parse().unwrap());
                assert_eq!(outcome, expected, "line {}: {line}", number + 1);
                lines += 1;
            }
            _ => panic!("{line}"),
        }
    }
    assert!(lines > 1000);
}
