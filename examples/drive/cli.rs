//! What the three drivers on TCP have in common besides the session: the command line, the clock, what they say.

// Each driver uses most of it.
#![allow(dead_code, unreachable_pub)]

use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use portline::Instant;

use crate::session::{self, Config};

/// A result whose error is a sentence for the user.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// 512 KiB cover a round trip of 4 ms at 1 Gbit/s. Both sides need the same values.
pub const CONFIG: Config = Config { window: 512 << 10, chunk: 64 << 10 };
/// A peer that takes nothing for so long is given up.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a peer may take to hang up once the transfer is over.
pub const LINGER: Duration = Duration::from_secs(5);
/// What the peer is told when this side's file fails.
pub const FILE_FAILED: &str = "the file cannot be read or stored any more";
/// Bytes between two lines of progress.
const PROGRESS: u64 = 1 << 20;

/// What was asked for.
pub enum Task {
    /// Send the file to a listener.
    Send {
        /// The file.
        file: String,
        /// Where the receiver listens.
        address: String,
    },
    /// Receive one file.
    Receive {
        /// The file.
        file: String,
        /// Where to listen.
        address: String,
    },
}

/// Runs a driver: `transfer` does the task.
pub fn main(program: &str, transfer: impl FnOnce(Task) -> Outcome<()>) -> ExitCode {
    let mut arguments = Vec::new();
    for argument in std::env::args_os().skip(1) {
        // Shown in messages, and names that are no text are rare: refused rather than changed.
        arguments.push(argument.into_string().unwrap_or_default());
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let task = match *arguments.as_slice() {
        ["send", file, address] => Task::Send { file: file.to_owned(), address: address.to_owned() },
        ["recv", file, "--listen", address] | ["recv", "--listen", address, file] => {
            Task::Receive { file: file.to_owned(), address: address.to_owned() }
        }
        ["--help" | "-h"] => {
            let _ = writeln!(std::io::stdout(), "{}", usage(program));
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{}", usage(program));
            return ExitCode::from(2);
        }
    };
    match transfer(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage(program: &str) -> String {
    format!(
        "usage: {program} recv FILE --listen ADDR   receives one file; port 0 takes a free one and prints it\n\
         \x20      {program} send FILE ADDR            sends it there\n\
         ADDR is HOST:PORT. Anyone who reaches the port may send: listen on 127.0.0.1.\n\
         Exit codes: 0 both sides have the file, 1 the transfer failed, 2 bad usage."
    )
}

/// The clock: microseconds since the program began.
#[derive(Clone, Copy)]
pub struct Clock(std::time::Instant);

impl Clock {
    /// A clock that begins now.
    pub fn new() -> Self {
        Self(std::time::Instant::now())
    }

    /// The time.
    pub fn now(self) -> Instant {
        Instant::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// How long to wait for the socket: until the session's deadline, and while something is being written no longer
    /// than [`WRITE_TIMEOUT`].
    pub fn patience(self, deadline: Option<Instant>, writing: bool) -> Option<Duration> {
        let left = self.left(deadline);
        if writing { Some(left.unwrap_or(WRITE_TIMEOUT).min(WRITE_TIMEOUT)) } else { left }
    }

    /// How long until `deadline`; `None` is for ever.
    pub fn left(self, deadline: Option<Instant>) -> Option<Duration> {
        deadline.map(|deadline| deadline.saturating_duration_since(self.now()))
    }
}

/// Tells on standard error how far it is.
pub struct Progress {
    verb: &'static str,
    bytes: u64,
    shown: u64,
}

impl Progress {
    /// Nothing yet.
    pub const fn new(task: &Task) -> Self {
        let verb = match task {
            Task::Send { .. } => "sent",
            Task::Receive { .. } => "received",
        };
        Self { verb, bytes: 0, shown: 0 }
    }

    /// So many bytes more.
    pub fn add(&mut self, count: usize) {
        self.bytes = self.bytes.saturating_add(count as u64);
        if self.bytes.saturating_sub(self.shown) >= PROGRESS {
            self.shown = self.bytes;
            eprintln!("{} {} MiB", self.verb, self.bytes >> 20);
        }
    }

    /// That was all.
    pub fn done(&self) -> Outcome<()> {
        eprintln!("{} {} bytes, done", self.verb, self.bytes);
        Ok(())
    }
}

/// Tells on standard output where a sender has to connect to.
pub fn listening(address: SocketAddr) -> Outcome<()> {
    let mut output = std::io::stdout();
    writeln!(output, "listening on {address}")?;
    Ok(output.flush()?)
}

/// No connection.
pub fn unreachable(address: &str, error: &std::io::Error) -> String {
    format!("cannot connect to {address}: {error}. Start `recv FILE --listen {address}` there first.")
}

/// No place to listen.
pub fn unusable(address: &str, error: &std::io::Error) -> String {
    format!("cannot listen on {address}: {error}. Name a HOST:PORT of this machine; port 0 takes a free one.")
}

/// No file.
pub fn file(verb: &str, name: &str, error: &std::io::Error) -> String {
    format!("cannot {verb} {name:?}: {error}. Name a file that you may {verb}.")
}

/// The transfer failed: with `error`, or because of the file, which says more.
pub fn failed(task: &Task, error: &session::Error, trouble: Option<&std::io::Error>) -> String {
    let error = trouble.map_or_else(|| error.to_string(), ToString::to_string);
    match task {
        Task::Send { .. } => format!("{error}. The receiver may lack part of the file: send it again."),
        Task::Receive { file, .. } => format!("{error}. {file:?} is incomplete: receive it again."),
    }
}
