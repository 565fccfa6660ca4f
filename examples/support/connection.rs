//! Byte transports: standard streams, TCP, a child process.
//!
//! Each becomes a reader thread that reads once for every permit and a writer thread that writes one turn at
//! a time, with vectored writes, so that a payload goes from the machine to the socket without being copied.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::{Buf, Bytes};
use portline::Transmit;

use super::drive::{Event, Mailbox};
use super::error::Error;
use super::process::{Process, take_piece};

/// Bytes asked for in one read.
const READ: usize = 64 << 10;
/// Slices in one vectored write.
const SLICES: usize = 64;

/// An open connection to the peer.
pub struct Connection {
    input: Box<dyn Read + Send>,
    output: Box<dyn Write + Send>,
    end: End,
    first: Bytes,
}

/// What closing means.
#[derive(Debug)]
enum End {
    Standard,
    Tcp(TcpStream),
    Child(Process),
}

impl Connection {
    /// Standard input and output: a server that was started by its transport.
    pub fn standard() -> Self {
        Self { input: standard_input(), output: standard_output(), end: End::Standard, first: Bytes::new() }
    }

    /// A TCP connection. `first` was read from it already.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn tcp(stream: TcpStream, first: Bytes) -> Result<Self, Error> {
        let failed = || Error::io("the connection cannot be set up");
        // A turn is one write; waiting for more would only cost the peer 40 ms.
        stream.set_nodelay(true).map_err(failed())?;
        stream.set_read_timeout(None).map_err(failed())?;
        let input = Box::new(stream.try_clone().map_err(failed())?);
        let output = Box::new(stream.try_clone().map_err(failed())?);
        Ok(Self { input, output, end: End::Tcp(stream), first })
    }

    /// Connects to a host.
    ///
    /// # Errors
    /// [`Error::Io`] of the last address that was tried.
    pub fn connect(address: impl ToSocketAddrs, wait: Duration) -> Result<Self, Error> {
        let addresses = address.to_socket_addrs().map_err(Error::io("the host cannot be resolved"))?;
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in addresses {
            match TcpStream::connect_timeout(&address, wait) {
                Ok(stream) => return Self::tcp(stream, Bytes::new()),
                Err(error) => last = error,
            }
        }
        Err(Error::io("the host cannot be reached")(last))
    }

    /// Starts a server program and speaks to its standard streams; what it says on its standard error is the
    /// user's.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn child(mut command: Command) -> Result<Self, Error> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::spawn(&mut command)?;
        let streams = process.stdin().zip(process.stdout());
        let failed = Error::io("the server's streams are missing");
        let (stdin, stdout) = streams.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let (input, output) = (Box::new(stdout), Box::new(stdin));
        Ok(Self { input, output, end: End::Child(process), first: Bytes::new() })
    }

    /// Starts the threads.
    pub(super) fn start(self, mailbox: &Mailbox) -> Streams {
        let Self { mut input, mut output, end, first } = self;
        let (permits, allowed) = channel();
        let events = mailbox.clone();
        thread::spawn(move || read_on(&mut input, first, &allowed, &events));
        let (turns, given) = channel();
        let events = mailbox.clone();
        let writer = thread::spawn(move || write_on(&mut output, &given, &events));
        Streams { permits, turns: Some(turns), writer: Some(writer), end }
    }
}

/// The loop's side of the two threads.
#[derive(Debug)]
pub struct Streams {
    permits: Sender<()>,
    turns: Option<Sender<Vec<Transmit>>>,
    writer: Option<JoinHandle<()>>,
    end: End,
}

impl Streams {
    /// Lets the reader read once. `false`: it is gone.
    pub(super) fn read(&self) -> bool {
        self.permits.send(()).is_ok()
    }

    /// Writes one turn. `false`: the writer is gone.
    pub(super) fn write(&self, turn: Vec<Transmit>) -> bool {
        self.turns.as_ref().is_some_and(|turns| turns.send(turn).is_ok())
    }

    /// Ends our direction: the peer sees the end of its input. Call it when nothing is being written.
    pub(super) fn end_output(&mut self) {
        self.turns = None;
        if let Some(writer) = self.writer.take() {
            // It has ended its last write and drops the stream; a panic there would have said so.
            let _ = writer.join();
        }
        if let End::Tcp(stream) = &self.end {
            // Fails when the peer has closed already.
            let _ = stream.shutdown(Shutdown::Write);
        }
    }

    /// Whether the peer's close is worth waiting for.
    pub(super) const fn lingers(&self) -> bool {
        matches!(self.end, End::Tcp(_) | End::Child(_))
    }

    /// Waits for a child that has closed its output.
    pub(super) fn wait(&mut self) {
        if let End::Child(process) = &mut self.end {
            // How it ended was told in the protocol.
            let _ = process.wait();
        }
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        match &mut self.end {
            // Wakes a reader and a writer that are still blocked.
            End::Tcp(stream) => drop(stream.shutdown(Shutdown::Both)),
            End::Child(process) => process.kill(),
            End::Standard => {}
        }
    }
}

fn read_on(input: &mut impl Read, first: Bytes, allowed: &Receiver<()>, events: &Mailbox) {
    let mut first = Some(first).filter(|first| !first.is_empty());
    let mut buffer = vec![0; READ];
    while allowed.recv().is_ok() {
        let event = match first.take() {
            Some(bytes) => Event::Input(bytes),
            None => match read_once(input, &mut buffer) {
                // A connection that breaks ends like one that closes: the machine knows whether it was too
                // early.
                Ok(0) | Err(_) => Event::InputEnded,
                Ok(count) => Event::Input(take_piece(&mut buffer, count)),
            },
        };
        let last = matches!(event, Event::InputEnded);
        if !events.event(event) || last {
            return;
        }
    }
}

fn read_once(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn write_on(output: &mut impl Write, given: &Receiver<Vec<Transmit>>, events: &Mailbox) {
    while let Ok(turn) = given.recv() {
        let event = match write_turn(output, turn) {
            Ok(()) => Event::Written,
            Err(error) => Event::WriteFailed(error),
        };
        if !events.event(event) {
            return;
        }
    }
}

/// Writes all of a turn, many slices at once.
fn write_turn(output: &mut impl Write, turn: Vec<Transmit>) -> io::Result<()> {
    let mut turn = turn.into_iter().collect::<std::collections::VecDeque<_>>();
    while !turn.is_empty() {
        let mut written = {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut used = 0;
            for transmit in &turn {
                let Some(free) = slices.get_mut(used..).filter(|free| free.len() > 1) else { break };
                used = used.saturating_add(transmit.chunks_vectored(free));
            }
            match output.write_vectored(slices.get(..used).unwrap_or_default()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                Err(error) => return Err(error),
            }
        };
        while let Some(head) = turn.front_mut() {
            let part = written.min(head.remaining());
            head.advance(part);
            written = written.saturating_sub(part);
            if head.has_remaining() {
                break;
            }
            turn.pop_front();
        }
    }
    output.flush()
}

/// The process's own streams without the buffers that `std` puts around them: a turn is one write.
#[cfg(unix)]
fn standard_input() -> Box<dyn Read + Send> {
    use std::os::fd::AsFd;
    match io::stdin().as_fd().try_clone_to_owned() {
        Ok(fd) => Box::new(std::fs::File::from(fd)),
        Err(_) => Box::new(io::stdin()),
    }
}

#[cfg(unix)]
fn standard_output() -> Box<dyn Write + Send> {
    use std::os::fd::AsFd;
    match io::stdout().as_fd().try_clone_to_owned() {
        Ok(fd) => Box::new(std::fs::File::from(fd)),
        Err(_) => Box::new(io::stdout()),
    }
}

#[cfg(not(unix))]
fn standard_input() -> Box<dyn Read + Send> {
    Box::new(io::stdin())
}

#[cfg(not(unix))]
fn standard_output() -> Box<dyn Write + Send> {
    Box::new(io::stdout())
}
