//! A file over the port stream, both processes speaking on their standard input and output.
//!
//! ```text
//! port_pipe send FILE [--chunk N] [--window N] [--ack-timeout MS]
//! port_pipe recv FILE [--ack-timeout MS]
//! ```
//!
//! Each port message is preceded by its length, so any byte pipe carries it, in both directions:
//!
//! ```text
//! mkfifo there back; port_pipe recv copy <there >back & port_pipe send original >there <back
//! ```
//!
//! One thread reads standard input; the main thread owns the machine. Exit codes: 0 done, 1 failed, 2 bad usage.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError, sync_channel};
use std::time::Duration;
use std::{env, thread};

use bytes::{Buf, Bytes, BytesMut};
use portline::frame::carrier;
use portline::port::{Config, Receiver, Sender, receiver, sender};
use portline::{Instant, Transmit};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "usage: port_pipe send FILE [--chunk N] [--window N] [--ack-timeout MS]
       port_pipe recv FILE [--ack-timeout MS]
Standard input and output carry the port's messages, so FILE must be named; /dev/fd/N names an open one.";
/// Bytes between two lines of progress.
const PROGRESS: u64 = 16 << 20;

struct Options {
    sends: bool,
    file: String,
    config: Config,
}

/// Reads the arguments; the error is for the user. `Ok(None)`: help was asked for.
fn parse(args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut args = args.peekable();
    let sends = match args.next().as_deref() {
        Some("send") => true,
        Some("recv") => false,
        Some("--help" | "-h") => return Ok(None),
        Some(other) => return Err(format!("{other:?} is neither send nor recv")),
        None => return Err("say send or recv".into()),
    };
    let mut config = Config { chunk_size: sends.then_some(64 << 10), ..Config::default() };
    let mut file = None;
    while let Some(arg) = args.next() {
        let mut number = || -> Result<u32, String> {
            let value = args.next().ok_or_else(|| format!("{arg} needs a number"))?;
            value.parse().map_err(|_| format!("{arg} needs a number, not {value:?}"))
        };
        match arg.as_str() {
            "--help" | "-h" => return Ok(None),
            "--chunk" if sends => config.chunk_size = Some(number()? as usize),
            "--window" if sends => config.window = number()?,
            "--chunk" | "--window" => return Err(format!("{arg} is the sender's to choose")),
            "--ack-timeout" => config.ack_timeout = Duration::from_millis(number()?.into()),
            option if option.starts_with('-') && option != "-" => {
                return Err(format!("there is no option {option}"));
            }
            _ if file.is_some() => return Err(format!("one FILE is enough; {arg:?} is a second")),
            _ => file = Some(arg),
        }
    }
    match file.filter(|file| file != "-") {
        Some(file) => Ok(Some(Options { sends, file, config })),
        None if sends => Err("name the FILE to send: standard input carries the acknowledgements".into()),
        None => Err("name the FILE to write: standard output carries the acknowledgements".into()),
    }
}

/// The clock: microseconds since the program began.
struct Clock(std::time::Instant);

impl Clock {
    fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}

/// What happened outside.
enum Event {
    Message(Bytes),
    Closed,
    Timeout,
}

/// The byte pipe with its carrier.
struct Pipe {
    clock: Clock,
    inbox: Inbox<io::Result<Bytes>>,
    decoder: carrier::Decoder,
    out: BufWriter<io::StdoutLock<'static>>,
}

impl Pipe {
    fn open() -> Self {
        let (outbox, inbox) = sync_channel(256);
        thread::spawn(move || {
            let mut stdin = io::stdin().lock();
            loop {
                let mut buffer = BytesMut::zeroed(64 << 10);
                let read = stdin.read(&mut buffer).map(|count| {
                    buffer.truncate(count);
                    buffer.freeze()
                });
                let last = !matches!(&read, Ok(bytes) if !bytes.is_empty());
                if outbox.send(read).is_err() || last {
                    return;
                }
            }
        });
        let out = BufWriter::with_capacity(128 << 10, io::stdout().lock());
        Self { clock: Clock(std::time::Instant::now()), inbox, decoder: carrier::Decoder::default(), out }
    }

    fn send(&mut self, mut poll: impl FnMut() -> Option<Transmit>) -> Outcome<()> {
        while let Some(message) = poll() {
            let mut message = carrier::wrap(message)?;
            while message.has_remaining() {
                let count = self.out.write(message.chunk()).map_err(|error| {
                    format!("standard output is gone ({error}): has the other side failed?")
                })?;
                message.advance(count);
            }
        }
        Ok(self.out.flush().map_err(|error| format!("standard output is gone ({error})"))?)
    }

    /// The next message, the end of the input, or the deadline.
    fn wait(&mut self, deadline: Option<Instant>) -> Outcome<Event> {
        loop {
            if let Some(message) = self.decoder.next_message()? {
                return Ok(Event::Message(message));
            }
            let left = deadline.map_or(Duration::from_secs(3600), |deadline| {
                deadline.saturating_duration_since(self.clock.now())
            });
            match self.inbox.recv_timeout(left) {
                Ok(Ok(bytes)) if bytes.is_empty() => {
                    self.decoder.finish()?;
                    return Ok(Event::Closed);
                }
                Ok(Ok(bytes)) => self.decoder.handle_bytes(bytes),
                Ok(Err(error)) => return Err(format!("cannot read standard input: {error}").into()),
                Err(RecvTimeoutError::Timeout) => return Ok(Event::Timeout),
                Err(RecvTimeoutError::Disconnected) => return Ok(Event::Closed),
            }
        }
    }
}

/// Tells how far it is, now and then.
struct Progress {
    verb: &'static str,
    bytes: u64,
    shown: u64,
}

impl Progress {
    const fn new(verb: &'static str) -> Self {
        Self { verb, bytes: 0, shown: 0 }
    }

    fn add(&mut self, count: usize) {
        self.bytes = self.bytes.saturating_add(count as u64);
        if self.bytes.saturating_sub(self.shown) >= PROGRESS {
            self.shown = self.bytes;
            eprintln!("{} {} MiB", self.verb, self.bytes >> 20);
        }
    }

    fn done(&self) {
        eprintln!("{} {} bytes, done", self.verb, self.bytes);
    }
}

fn send(options: Options) -> Outcome<()> {
    let name = options.file;
    let mut file = File::open(&name)
        .map_err(|error| format!("cannot read {name:?}: {error}. Name a file that you may read."))?;
    let mut pipe = Pipe::open();
    let mut sender = Sender::new(options.config, pipe.clock.now())?;
    let mut progress = Progress::new("sent");
    loop {
        while sender.can_write() {
            let mut buffer = BytesMut::zeroed(64 << 10);
            match file.read(&mut buffer) {
                Ok(0) => sender.finish(pipe.clock.now()),
                Ok(count) => {
                    progress.add(count);
                    sender.write(pipe.clock.now(), buffer.split_to(count).freeze())?;
                }
                Err(error) => {
                    sender.fail(pipe.clock.now(), "the file cannot be read any more");
                    pipe.send(|| sender.poll_transmit())?;
                    return Err(format!("cannot read {name:?} any more: {error}").into());
                }
            }
        }
        pipe.send(|| sender.poll_transmit())?;
        match sender.poll_action() {
            Some(sender::Action::Finished) => break progress.done(),
            Some(sender::Action::Failed(error)) => {
                return Err(format!("{error}. The other side does not have the whole file.").into());
            }
            None => {}
        }
        // A failure shows as an action, in the next turn.
        match pipe.wait(sender.poll_timeout())? {
            Event::Message(message) => drop(sender.handle_message(pipe.clock.now(), message)),
            Event::Closed => drop(sender.handle_closed(pipe.clock.now())),
            Event::Timeout => sender.handle_timeout(pipe.clock.now()),
        }
    }
    Ok(())
}

fn recv(options: Options) -> Outcome<()> {
    let name = options.file;
    let mut file = File::create(&name)
        .map_err(|error| format!("cannot write {name:?}: {error}. Name a file that you may write."))?;
    let mut pipe = Pipe::open();
    let mut receiver = Receiver::new(options.config, pipe.clock.now())?;
    let mut progress = Progress::new("received");
    loop {
        match receiver.poll_action() {
            Some(receiver::Action::Block(block)) => {
                if let Err(error) = file.write_all(&block) {
                    receiver.cancel(pipe.clock.now());
                    pipe.send(|| receiver.poll_transmit())?;
                    return Err(format!("cannot write {name:?} any more: {error}. It is incomplete.").into());
                }
                progress.add(block.len());
                receiver.accept(pipe.clock.now());
                continue;
            }
            Some(receiver::Action::End) => break progress.done(),
            Some(receiver::Action::Failed(error)) => {
                pipe.send(|| receiver.poll_transmit())?;
                return Err(format!("{error}. {name:?} is incomplete.").into());
            }
            None => pipe.send(|| receiver.poll_transmit())?,
        }
        match pipe.wait(None)? {
            Event::Message(message) => drop(receiver.handle_message(pipe.clock.now(), message)),
            Event::Closed => drop(receiver.handle_closed(pipe.clock.now())),
            Event::Timeout => {}
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let options = match parse(env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            let told = writeln!(io::stdout(), "{USAGE}");
            return if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(error) => {
            eprintln!("port_pipe: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let result = if options.sends { send(options) } else { recv(options) };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("port_pipe: {error}");
            ExitCode::FAILURE
        }
    }
}
