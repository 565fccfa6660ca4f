//! The server's three methods.
//!
//! | method | stream | arguments | result |
//! |---|---|---|---|
//! | `numbers` | server → client, items | `COUNT [window=N] [fail-after=N]` | how many |
//! | `upload` | client → server, bytes | – | the length and a digest |
//! | `echo` | both ways, items | – | how many |

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use portline::Instant;
use portline::rpc::session::{Action, Session};
use portline::stream::{Direction, Role, Shape};

use crate::side::App;

/// The window of an upload, in bytes.
const UPLOAD_WINDOW: u32 = 256 << 10;
/// The window of an echo, in items.
const ECHO_WINDOW: u32 = 2;
/// Numbers written before anyone else gets a turn.
const AT_ONCE: u64 = 64;

/// What a stream is for.
enum Work {
    Numbers { call: u32, next: u64, count: u64, fail_after: Option<u64> },
    Upload { call: u32, digest: Digest },
    Echo(Echo),
}

struct Echo {
    call: u32,
    waiting: VecDeque<Bytes>,
    echoed: u64,
    /// Echoed, and not consumed yet.
    owed: u32,
    done: bool,
}

/// The server's end of one connection.
#[derive(Default)]
pub(crate) struct Server {
    streams: BTreeMap<u32, Work>,
    /// Streams that have something to produce, and room for it.
    ready: BTreeSet<u32>,
}

impl App for Server {
    fn handle_action(&mut self, session: &mut Session, now: Instant, action: Action) {
        match action {
            Action::Called { call, method, arguments } => {
                self.called(session, now, call, &method, &arguments);
            }
            Action::Data { stream, data } => self.data(session, now, stream, data),
            Action::PeerDone { stream } => self.peer_done(session, now, stream),
            Action::StreamOpened { stream, .. } | Action::Writable { stream } => {
                self.ready.insert(stream);
            }
            Action::StreamFinished { stream } => {
                self.streams.remove(&stream);
            }
            Action::StreamFailed { stream, error } => {
                if let Some(
                    Work::Numbers { call, .. } | Work::Upload { call, .. } | Work::Echo(Echo { call, .. }),
                ) = self.streams.remove(&stream)
                {
                    // Answered or aborted calls take no result any more.
                    session
                        .respond(now, call, Err(&format!("the stream failed: {error}")))
                        .unwrap_or_default();
                }
            }
            // The streams of an aborted call have ends of their own; calls of ours there are none.
            Action::Aborted { .. }
            | Action::Ready { .. }
            | Action::Returned { .. }
            | Action::Retried { .. }
            | Action::Finished
            | Action::Failed(_) => {}
        }
    }

    fn produce(&mut self, session: &mut Session, now: Instant) -> bool {
        let Some(stream) = self.ready.pop_first() else { return false };
        match self.streams.get_mut(&stream) {
            Some(Work::Numbers { .. }) => self.count(session, now, stream),
            Some(Work::Echo(echo)) => {
                if echo.turn(session, now, stream) {
                    self.ready.insert(stream);
                }
            }
            Some(Work::Upload { .. }) | None => {}
        }
        true
    }

    async fn more(&mut self) {
        std::future::pending::<()>().await;
    }

    fn is_done(&self) -> bool {
        false
    }
}

impl Server {
    fn called(&mut self, session: &mut Session, now: Instant, call: u32, method: &[u8], arguments: &[u8]) {
        let (shape, work) = match method {
            b"numbers" => match numbers(call, arguments) {
                Ok(found) => found,
                Err(reason) => return session.respond(now, call, Err(&reason)).unwrap_or_default(),
            },
            b"upload" => {
                let shape = Shape::bytes(Direction::Receive, UPLOAD_WINDOW);
                (shape, Work::Upload { call, digest: Digest::default() })
            }
            b"echo" => {
                let shape = Shape { window: ECHO_WINDOW, ..Shape::items(Direction::Both(Role::Responder)) };
                let waiting = VecDeque::new();
                (shape, Work::Echo(Echo { call, waiting, echoed: 0, owed: 0, done: false }))
            }
            _ => {
                let reason = "no such method: there are numbers, upload and echo";
                return session.respond(now, call, Err(reason)).unwrap_or_default();
            }
        };
        match session.open_stream(now, call, shape) {
            Ok(stream) => {
                self.streams.insert(stream, work);
            }
            Err(misuse) => session.respond(now, call, Err(&misuse.to_string())).unwrap_or_default(),
        }
    }

    fn data(&mut self, session: &mut Session, now: Instant, stream: u32, data: Bytes) {
        match self.streams.get_mut(&stream) {
            Some(Work::Upload { digest, .. }) => {
                digest.update(&data);
                session.consume(now, stream);
            }
            Some(Work::Echo(echo)) => {
                echo.waiting.push_back(data);
                self.ready.insert(stream);
            }
            Some(Work::Numbers { .. }) | None => session.consume(now, stream),
        }
    }

    fn peer_done(&mut self, session: &mut Session, now: Instant, stream: u32) {
        match self.streams.get_mut(&stream) {
            Some(Work::Upload { call, digest }) => {
                let value = format!("{} bytes, FNV-1a {:016x}", digest.length, digest.state);
                session.respond(now, *call, Ok(value.into())).unwrap_or_default();
            }
            Some(Work::Echo(echo)) => {
                echo.done = true;
                self.ready.insert(stream);
            }
            Some(Work::Numbers { .. }) | None => {}
        }
    }

    /// The next numbers, as many as there is room for.
    fn count(&mut self, session: &mut Session, now: Instant, stream: u32) {
        let Some(Work::Numbers { call, next, count, fail_after }) = self.streams.get_mut(&stream) else {
            return;
        };
        let call = *call;
        if *fail_after == Some(*next) {
            // Answered before the stream's end is told: this reason is the better one.
            session.respond(now, call, Err("Stream processing failed")).unwrap_or_default();
            return session.fail_stream(now, stream, "Processing failed");
        }
        let end = (*count).min(fail_after.unwrap_or(u64::MAX)).min(next.saturating_add(AT_ONCE));
        while *next < end {
            let number = next.saturating_add(1);
            if session.write(now, stream, number.to_string().into()).is_err() {
                return;
            }
            *next = number;
        }
        if *next == *count && *fail_after != Some(*next) {
            session.finish(now, stream);
            return session.respond(now, call, Ok(format!("{count} numbers").into())).unwrap_or_default();
        }
        self.ready.insert(stream);
    }
}

impl Echo {
    /// Echoes what waits. Whether there is more to do once that is on its way.
    fn turn(&mut self, session: &mut Session, now: Instant, stream: u32) -> bool {
        let before = self.owed;
        while let Some(item) = self.waiting.front() {
            let words = [b"Echo: ".as_slice(), item].concat();
            if session.write(now, stream, words.into()).is_err() {
                // It waits for room: `Writable` brings us back.
                return false;
            }
            self.waiting.pop_front();
            self.owed = self.owed.saturating_add(1);
        }
        if self.owed > before {
            return true;
        }
        // Only now, and in one go: a client that does not read its echo gets no credit to send more.
        if self.owed >= ECHO_WINDOW {
            for _ in 0..std::mem::take(&mut self.owed) {
                self.echoed = self.echoed.saturating_add(1);
                session.consume(now, stream);
            }
        }
        if self.done {
            let echoed = self.echoed.saturating_add(self.owed.into());
            session.finish(now, stream);
            session.respond(now, self.call, Ok(format!("{echoed} echoed").into())).unwrap_or_default();
        }
        false
    }
}

/// Reads the arguments of `numbers`.
fn numbers(call: u32, arguments: &[u8]) -> Result<(Shape, Work), String> {
    let text = std::str::from_utf8(arguments).map_err(|_| "the arguments are no text")?;
    let mut words = text.split_whitespace();
    let number = |word: &str| word.parse::<u64>().map_err(|_| format!("{word:?} is no number"));
    let count = number(words.next().ok_or("say how many numbers")?)?;
    let (mut shape, mut fail_after) = (Shape::items(Direction::Send), None);
    for word in words {
        match word.split_once('=') {
            Some(("window", value)) => {
                shape.window = u32::try_from(number(value)?).map_err(|_| "the window is too large")?;
            }
            Some(("fail-after", value)) => fail_after = Some(number(value)?),
            Some(_) | None => return Err(format!("{word:?} is neither window=N nor fail-after=N")),
        }
    }
    Ok((shape, Work::Numbers { call, next: 0, count, fail_after }))
}

/// FNV-1a, 64 bits: enough to see that what arrived is what was sent.
pub(crate) struct Digest {
    pub(crate) length: u64,
    pub(crate) state: u64,
}

impl Default for Digest {
    fn default() -> Self {
        Self { length: 0, state: 0xcbf2_9ce4_8422_2325 }
    }
}

impl Digest {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len() as u64);
        for byte in bytes {
            self.state = (self.state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
