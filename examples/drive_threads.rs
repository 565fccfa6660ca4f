//! A file over a credit stream on a mux, on TCP, with blocking `std` and no runtime.
//!
//! ```text
//! drive_threads recv copy --listen 127.0.0.1:4000
//! drive_threads send original 127.0.0.1:4000
//! ```
//!
//! One thread reads the socket; the main thread owns the session and everything else. `drive_tokio`, `drive_smol`
//! and `drive_embedded` are the same program in other surroundings.

#[path = "drive/cli.rs"]
mod cli;
#[path = "drive/session.rs"]
mod session;

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use cli::{CONFIG, Clock, Outcome, Progress, Task};
use portline::Transmit;
use session::{Action, Session};

/// Pieces of input that wait for the main thread, of at most 64 KiB each: more than a window. So the reader does not
/// stop while the main thread is in a write, and two sides that both write do not wait for each other.
const WAITING: usize = 32;

/// Reads the socket until its end. An empty piece is the end.
fn read_all(mut socket: TcpStream) -> Inbox<io::Result<Bytes>> {
    let (outbox, inbox) = sync_channel(WAITING);
    thread::spawn(move || {
        loop {
            let mut buffer = BytesMut::zeroed(64 << 10);
            let read = socket.read(&mut buffer).map(|count| buffer.split_to(count).freeze());
            let last = !matches!(&read, Ok(bytes) if !bytes.is_empty());
            // A full inbox stops the reading here, and TCP then stops the peer.
            if outbox.send(read).is_err() || last {
                return;
            }
        }
    });
    inbox
}

fn read_chunk(file: &mut File, at_most: usize) -> io::Result<Bytes> {
    let mut buffer = BytesMut::zeroed(at_most);
    let count = file.read(&mut buffer)?;
    Ok(buffer.split_to(count).freeze())
}

fn write_all(socket: &mut TcpStream, mut message: Transmit) -> io::Result<()> {
    while message.has_remaining() {
        // Header and payload in one call, the payload from where the file was read to.
        let mut parts = [io::IoSlice::new(&[]); 2];
        let used = message.chunks_vectored(&mut parts);
        let count = socket.write_vectored(parts.get(..used).unwrap_or(&[]))?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        message.advance(count);
    }
    Ok(())
}

/// What a wait has brought, and with it the time.
fn hand_over(session: &mut Session, clock: Clock, came: Result<io::Result<Bytes>, RecvTimeoutError>) {
    match came {
        Ok(Ok(bytes)) if !bytes.is_empty() => session.handle_bytes(clock.now(), bytes),
        Ok(_) | Err(RecvTimeoutError::Disconnected) => session.handle_closed(clock.now()),
        Err(RecvTimeoutError::Timeout) => session.handle_timeout(clock.now()),
    }
}

/// Moves the file until the session says that it is over.
fn transfer(task: &Task, clock: Clock, socket: &mut TcpStream, file: File, session: Session) -> Outcome<()> {
    let (mut file, mut session, mut progress) = (file, session, Progress::new(task));
    let inbox = read_all(socket.try_clone()?);
    // Why the session was told to fail: the user should read that, not that it was told.
    let mut trouble = None;
    let result = loop {
        // First what the session has to say, then what it asks for, and only when it has neither, wait.
        if let Some(message) = session.poll_transmit() {
            if write_all(socket, message).is_err() {
                // Not the end yet: what the peer said before it went is still to be read.
                let _ = socket.shutdown(Shutdown::Both);
            }
            // That may have taken long, and what leaves next begins to wait now: the session has to hear the time.
            hand_over(&mut session, clock, inbox.recv_timeout(Duration::ZERO));
            continue;
        }
        let done = match session.poll_action() {
            Some(Action::Read(at_most)) => read_chunk(&mut file, at_most).map(|chunk| {
                progress.add(chunk.len());
                session.chunk(clock.now(), chunk);
            }),
            Some(Action::Store(data)) => file.write_all(&data).map(|()| {
                progress.add(data.len());
                session.stored(clock.now());
            }),
            Some(Action::Complete) => file.sync_all().map(|()| session.accept(clock.now())),
            Some(Action::Finished) => break progress.done(),
            Some(Action::Failed(error)) => break Err(cli::failed(task, &error, trouble.as_ref()).into()),
            None => {
                let left = clock.left(session.poll_timeout()).unwrap_or(Duration::MAX);
                hand_over(&mut session, clock, inbox.recv_timeout(left));
                Ok(())
            }
        };
        if let Err(error) = done {
            session.fail(clock.now(), cli::FILE_FAILED);
            trouble = Some(error);
        }
    };
    // A socket closed with input unread is a reset, which can overtake our last words: read until the peer hangs up.
    let _ = socket.shutdown(Shutdown::Write);
    let deadline = clock.now().checked_add(cli::LINGER);
    while let Ok(Ok(bytes)) = inbox.recv_timeout(clock.left(deadline).unwrap_or_default()) {
        if bytes.is_empty() {
            break;
        }
    }
    result
}

fn run(task: Task) -> Outcome<()> {
    let clock = Clock::new();
    let (mut socket, file, session) = match &task {
        Task::Send { file, address } => {
            let opened = File::open(file).map_err(|error| cli::file("read", file, &error))?;
            let socket = TcpStream::connect(address).map_err(|error| cli::unreachable(address, &error))?;
            (socket, opened, Session::sender(CONFIG, clock.now())?)
        }
        Task::Receive { file, address } => {
            let listener = TcpListener::bind(address).map_err(|error| cli::unusable(address, &error))?;
            let created = File::create(file).map_err(|error| cli::file("write", file, &error))?;
            cli::listening(listener.local_addr()?)?;
            (listener.accept()?.0, created, Session::receiver(CONFIG, clock.now())?)
        }
    };
    // Every message is whole, so there is nothing to gain from waiting for more, and credit would wait.
    socket.set_nodelay(true)?;
    socket.set_write_timeout(Some(cli::WRITE_TIMEOUT))?;
    transfer(&task, clock, &mut socket, file, session)
}

fn main() -> ExitCode {
    cli::main("drive_threads", run)
}
