//! The client: one call after the other, each with its stream.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};

use bytes::{Bytes, BytesMut};
use portline::rpc::Fallback;
use portline::rpc::session::{Action, Session};
use portline::{Instant, Printable};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::server::Digest;
use crate::side::App;

/// Bytes read from a file at once.
const READ: usize = 64 << 10;
/// Bytes between two signs of progress.
const PROGRESS: u64 = 4 << 20;

/// A file, or what stands for one.
pub(crate) struct Source {
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) size: u64,
}

/// What is called.
pub(crate) enum Method {
    /// Its arguments, and after how many numbers to lose interest.
    Numbers {
        arguments: String,
        cancel_after: Option<u64>,
    },
    Upload(Source),
    Echo(VecDeque<String>),
}

/// One call.
pub(crate) struct Job {
    pub(crate) method: Method,
    /// Whether an error is what should come out of it.
    pub(crate) fails: bool,
}

/// What a running call is doing.
enum Doing {
    Numbers { got: u64, cancel_after: Option<u64> },
    Upload(Box<Upload>),
    Echo(VecDeque<String>),
}

struct Upload {
    source: Source,
    stream: Option<u32>,
    /// Read, and not taken yet.
    chunk: BytesMut,
    at_end: bool,
    /// The stream was full when something was last written.
    is_full: bool,
    error: Option<io::Error>,
    digest: Digest,
}

impl Upload {
    const fn wants_more(&self) -> bool {
        self.stream.is_some() && !self.at_end && self.error.is_none()
    }
}

struct Running {
    call: u32,
    fails: bool,
    doing: Doing,
}

/// The client's end of a connection.
pub(crate) struct Client {
    jobs: VecDeque<Job>,
    running: Option<Running>,
    /// What went otherwise than it should have.
    pub(crate) problems: Vec<String>,
    done: bool,
}

impl App for Client {
    fn handle_action(&mut self, session: &mut Session, now: Instant, action: Action) {
        match action {
            Action::Ready { .. } => self.begin(session, now),
            Action::StreamOpened { stream, .. } => self.opened(session, now, stream),
            Action::Data { stream, data } => self.data(session, now, stream, &data),
            Action::Writable { .. } => {
                if let Some(Running { doing: Doing::Upload(upload), .. }) = &mut self.running {
                    upload.is_full = false;
                }
            }
            Action::Returned { result, .. } => {
                self.returned(result.map(|answer| answer.value).map_err(|error| error.to_string()));
                self.begin(session, now);
            }
            // Nobody calls this side.
            Action::Called { call, .. } => session.respond_no_method(now, call).unwrap_or_default(),
            Action::Failed(error) => {
                self.problems.push(format!("the connection failed: {error}"));
                self.done = true;
            }
            Action::Finished => self.done = true,
            // What a stream's end means is told by the result of its call.
            Action::PeerDone { .. } | Action::StreamFinished { .. } | Action::StreamFailed { .. } => {}
            // Its calls have no batch to fall back on, and it is never called.
            Action::Retried { .. } | Action::Aborted { .. } => {}
        }
    }

    fn produce(&mut self, session: &mut Session, now: Instant) -> bool {
        let Some(Running { call, doing: Doing::Upload(upload), .. }) = &mut self.running else {
            return false;
        };
        let Some(stream) = upload.stream else { return false };
        if let Some(error) = upload.error.take() {
            self.problems.push(format!("cannot read on in the file: {error}"));
            // It runs, or its end is on its way here.
            session.abort(now, *call).unwrap_or_default();
            return true;
        }
        if upload.is_full {
            return false;
        }
        if upload.chunk.is_empty() {
            if upload.at_end {
                upload.stream = None;
                session.finish(now, stream);
            }
            return upload.at_end && upload.stream.is_none();
        }
        let chunk: Bytes = upload.chunk.split().freeze();
        let before = upload.digest.length;
        match session.write(now, stream, chunk.clone()) {
            Ok(()) => {
                upload.digest.update(&chunk);
                progress(before, upload.digest.length, upload.source.size);
            }
            Err(_) => {
                upload.chunk.extend_from_slice(&chunk);
                upload.is_full = true;
            }
        }
        true
    }

    async fn more(&mut self) {
        match &mut self.running {
            Some(Running { doing: Doing::Upload(upload), .. })
                if upload.wants_more() && upload.chunk.is_empty() =>
            {
                upload.chunk.reserve(READ);
                match upload.source.reader.read_buf(&mut upload.chunk).await {
                    Ok(0) => upload.at_end = true,
                    Ok(_) => {}
                    Err(error) => upload.error = Some(error),
                }
            }
            Some(_) | None => std::future::pending().await,
        }
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

impl Client {
    pub(crate) fn new(jobs: impl IntoIterator<Item = Job>) -> Self {
        let jobs = jobs.into_iter().collect();
        Self { jobs, running: None, problems: Vec::new(), done: false }
    }

    /// The next call.
    fn begin(&mut self, session: &mut Session, now: Instant) {
        let Some(Job { method, fails }) = self.jobs.pop_front() else {
            self.done = true;
            return;
        };
        let (name, arguments, doing) = match method {
            Method::Numbers { arguments, cancel_after } => {
                ("numbers", arguments, Doing::Numbers { got: 0, cancel_after })
            }
            Method::Upload(source) => {
                let upload = Upload {
                    source,
                    stream: None,
                    chunk: BytesMut::new(),
                    at_end: false,
                    is_full: false,
                    error: None,
                    digest: Digest::default(),
                };
                ("upload", String::new(), Doing::Upload(Box::new(upload)))
            }
            Method::Echo(words) => ("echo", String::new(), Doing::Echo(words)),
        };
        match session.call(now, name.into(), arguments.into(), Fallback::None) {
            Ok(call) => self.running = Some(Running { call, fails, doing }),
            Err(misuse) => {
                self.problems.push(format!("{name} was not called: {misuse}"));
                self.done = true;
            }
        }
    }

    fn opened(&mut self, session: &mut Session, now: Instant, stream: u32) {
        match self.running.as_mut().map(|running| &mut running.doing) {
            Some(Doing::Upload(upload)) => upload.stream = Some(stream),
            Some(Doing::Echo(words)) => say_next(session, now, stream, words),
            Some(Doing::Numbers { .. }) | None => {}
        }
    }

    fn data(&mut self, session: &mut Session, now: Instant, stream: u32, data: &[u8]) {
        let Some(Running { call, doing, .. }) = &mut self.running else { return };
        let written = print(&Printable(data).to_string());
        match doing {
            Doing::Numbers { got, cancel_after } => {
                *got = got.saturating_add(1);
                if written.is_err() || *cancel_after == Some(*got) {
                    // It runs, or its end is on its way here.
                    return session.abort(now, *call).unwrap_or_default();
                }
            }
            Doing::Echo(words) => {
                session.consume(now, stream);
                return say_next(session, now, stream, words);
            }
            Doing::Upload(_) => {}
        }
        session.consume(now, stream);
    }

    /// The call is over.
    fn returned(&mut self, result: Result<Bytes, String>) {
        let Some(Running { fails, doing, .. }) = self.running.take() else { return };
        match result {
            Ok(value) => {
                // A closed standard output changes nothing any more.
                print(&Printable(&value).to_string()).unwrap_or_default();
                if fails {
                    self.problems.push("a call that should have failed did not".into());
                }
                if let Doing::Upload(upload) = doing {
                    let ours = format!("FNV-1a {:016x}", upload.digest.state);
                    if !String::from_utf8_lossy(&value).ends_with(&ours) {
                        self.problems.push(format!("the server read something else than {ours}"));
                    }
                }
            }
            Err(error) if fails => print(&format!("as expected: {error}")).unwrap_or_default(),
            Err(error) => self.problems.push(format!("the call failed: {error}")),
        }
    }
}

/// The next word once the last one has come back; after the last there is no more.
fn say_next(session: &mut Session, now: Instant, stream: u32, words: &mut VecDeque<String>) {
    match words.pop_front() {
        // One word at a time is never more than there is room for; a stream that is over says so itself.
        Some(word) => session.write(now, stream, word.into()).unwrap_or_default(),
        None => session.finish(now, stream),
    }
}

fn print(line: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")
}

/// How far an upload is, where someone may be looking.
fn progress(before: u64, after: u64, size: u64) {
    let step = |bytes: u64| bytes.checked_div(PROGRESS);
    if io::stderr().is_terminal() && (step(before) != step(after) || after == size) {
        let percent = after.saturating_mul(100).checked_div(size).unwrap_or(100);
        eprint!("\r{after} of {size} bytes, {percent} %");
        if after == size {
            eprintln!();
        }
    }
}
