//! A file over a credit stream on a mux, on TCP, with smol.
//!
//! ```text
//! drive_smol recv copy --listen 127.0.0.1:4000
//! drive_smol send original 127.0.0.1:4000
//! ```
//!
//! One future owns the session, the socket and the file. Reading, writing and the deadline race each other, so
//! nothing needs a lock and no direction waits for the other one.

#[path = "../../drive/cli.rs"]
mod cli;
#[path = "../../drive/session.rs"]
mod session;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use cli::{CONFIG, Clock, Outcome, Progress, Task};
use portline::Transmit;
use session::{Action, Session};
use smol::Timer;
use smol::fs::File;
use smol::future::{pending, race};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{Shutdown, TcpListener, TcpStream};

/// What of the socket happened first.
enum Event {
    Read(io::Result<Bytes>),
    Wrote(io::Result<usize>),
    Timeout,
}

async fn read(socket: &mut TcpStream) -> io::Result<Bytes> {
    let mut buffer = BytesMut::zeroed(64 << 10);
    let count = socket.read(&mut buffer).await?;
    Ok(buffer.split_to(count).freeze())
}

async fn write(socket: &mut TcpStream, out: &mut Transmit) -> io::Result<usize> {
    // Header and payload in one call, the payload from where the file was read to.
    let mut parts = [io::IoSlice::new(&[]); 2];
    let used = out.chunks_vectored(&mut parts);
    let count = socket.write_vectored(parts.get(..used).unwrap_or(&[])).await?;
    out.advance(count);
    Ok(count)
}

/// Waits for the socket or the deadline. A future that loses the race has not read or written anything. `race` and
/// not `or`: a peer that never stops sending must not keep us from writing.
async fn wait(
    input: &mut TcpStream,
    output: &mut TcpStream,
    out: &mut Transmit,
    left: Option<Duration>,
) -> Event {
    let reading = async { Event::Read(read(input).await) };
    let writing =
        async { if out.has_remaining() { Event::Wrote(write(output, out).await) } else { pending().await } };
    let deadline = async {
        match left {
            Some(left) => drop(Timer::after(left).await),
            None => pending().await,
        }
        Event::Timeout
    };
    race(race(reading, writing), deadline).await
}

async fn read_chunk(file: &mut File, at_most: usize) -> io::Result<Bytes> {
    let mut buffer = BytesMut::zeroed(at_most);
    let count = file.read(&mut buffer).await?;
    Ok(buffer.split_to(count).freeze())
}

/// Writes to the file and waits until it is written, as smol's file alone does not.
async fn store(file: &mut File, data: &[u8]) -> io::Result<()> {
    match file.write_all(data).await {
        // The thread that writes has stopped, and the flush says why.
        Err(error) if error.kind() == io::ErrorKind::WriteZero => file.flush().await.and(Err(error)),
        written => written.and(file.flush().await),
    }
}

/// Moves the file until the session says that it is over.
async fn transfer(
    task: &Task,
    clock: Clock,
    socket: &TcpStream,
    file: File,
    session: Session,
) -> Outcome<()> {
    let (mut file, mut session, mut progress) = (file, session, Progress::new(task));
    let (mut input, mut output) = (socket.clone(), socket.clone());
    // What is being written. The next message is asked for when this one is gone: that is the backpressure.
    let mut out = Transmit::new(Bytes::new());
    // Why the session was told to fail: the user should read that, not that it was told.
    let mut trouble = None;
    let result = loop {
        if !out.has_remaining() {
            out = session.poll_transmit().unwrap_or(out);
        }
        let done = match session.poll_action() {
            Some(Action::Read(at_most)) => read_chunk(&mut file, at_most).await.map(|chunk| {
                progress.add(chunk.len());
                session.chunk(clock.now(), chunk);
            }),
            Some(Action::Store(data)) => store(&mut file, &data).await.map(|()| {
                progress.add(data.len());
                session.stored(clock.now());
            }),
            Some(Action::Complete) => file.sync_all().await.map(|()| session.accept(clock.now())),
            Some(Action::Finished) => break progress.done(),
            Some(Action::Failed(error)) => break Err(cli::failed(task, &error, trouble.as_ref()).into()),
            None => {
                let left = clock.patience(session.poll_timeout(), out.has_remaining());
                match wait(&mut input, &mut output, &mut out, left).await {
                    Event::Read(Ok(bytes)) if !bytes.is_empty() => session.handle_bytes(clock.now(), bytes),
                    // Nothing can be written any more; what the peer said before it went is still to be read.
                    Event::Wrote(Err(_)) => out.advance(usize::MAX),
                    Event::Read(_) => session.handle_closed(clock.now()),
                    // Room again, and what leaves now begins to wait now: the session learns the time by being told.
                    Event::Wrote(Ok(_)) => session.handle_timeout(clock.now()),
                    Event::Timeout => {
                        session.handle_timeout(clock.now());
                        if out.has_remaining() {
                            session.handle_closed(clock.now());
                        }
                    }
                }
                Ok(())
            }
        };
        if let Err(error) = done {
            session.fail(clock.now(), cli::FILE_FAILED);
            trouble = Some(error);
        }
    };
    // However that goes: the transfer is over.
    let late = async {
        Timer::after(cli::LINGER).await;
        Ok(())
    };
    let _ = race(hang_up(&mut session, &mut input, &mut output, out), late).await;
    result
}

/// The last words go out, and the peer hangs up: a socket closed with input unread would be a reset, which can
/// overtake them.
async fn hang_up(
    session: &mut Session,
    input: &mut TcpStream,
    output: &mut TcpStream,
    mut out: Transmit,
) -> io::Result<()> {
    loop {
        while out.has_remaining() {
            write(output, &mut out).await?;
        }
        let Some(message) = session.poll_transmit() else { break };
        out = message;
    }
    output.shutdown(Shutdown::Write)?;
    while !read(input).await?.is_empty() {}
    Ok(())
}

async fn run(task: Task) -> Outcome<()> {
    let clock = Clock::new();
    let (socket, file, session) = match &task {
        Task::Send { file, address } => {
            let opened = File::open(file).await.map_err(|error| cli::file("read", file, &error))?;
            let socket =
                TcpStream::connect(address).await.map_err(|error| cli::unreachable(address, &error))?;
            (socket, opened, Session::sender(CONFIG, clock.now())?)
        }
        Task::Receive { file, address } => {
            let listener =
                TcpListener::bind(address).await.map_err(|error| cli::unusable(address, &error))?;
            let created = File::create(file).await.map_err(|error| cli::file("write", file, &error))?;
            cli::listening(listener.local_addr()?)?;
            (listener.accept().await?.0, created, Session::receiver(CONFIG, clock.now())?)
        }
    };
    // Every message is whole, so there is nothing to gain from waiting for more, and credit would wait.
    socket.set_nodelay(true)?;
    transfer(&task, clock, &socket, file, session).await
}

fn main() -> ExitCode {
    cli::main("drive_smol", |task| smol::block_on(run(task)))
}
