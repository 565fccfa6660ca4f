//! A file over a credit stream on a mux, on TCP, with tokio.
//!
//! ```text
//! drive_tokio recv copy --listen 127.0.0.1:4000
//! drive_tokio send original 127.0.0.1:4000
//! ```
//!
//! One task owns the session, the socket and the file. Reading, writing and the deadline wait together in one
//! `select!`, so nothing needs a lock and no direction waits for the other one.

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
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// What of the socket happened first.
enum Event {
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Timeout,
}

/// Waits for the socket or the deadline. All three can be dropped at any await without losing a byte.
async fn wait(
    input: &mut ReadHalf<'_>,
    output: &mut WriteHalf<'_>,
    (buffer, out): (&mut BytesMut, &mut Transmit),
    left: Option<Duration>,
) -> Event {
    buffer.reserve(64 << 10);
    tokio::select! {
        read = input.read_buf(buffer) => Event::Read(read),
        wrote = output.write_buf(out), if out.has_remaining() => Event::Wrote(wrote),
        () = sleep(left.unwrap_or_default()), if left.is_some() => Event::Timeout,
    }
}

async fn read_chunk(file: &mut File, at_most: usize) -> io::Result<Bytes> {
    let mut chunk = BytesMut::with_capacity(at_most);
    file.read_buf(&mut chunk).await?;
    Ok(chunk.freeze())
}

/// Writes to the file and waits until it is written, as tokio's file alone does not.
async fn store(file: &mut File, data: &[u8]) -> io::Result<()> {
    file.write_all(data).await?;
    file.flush().await
}

/// Moves the file until the session says that it is over.
async fn transfer(
    task: &Task,
    clock: Clock,
    socket: &mut TcpStream,
    (mut file, mut session): (File, Session),
) -> Outcome<()> {
    let (mut input, mut output) = socket.split();
    let (mut progress, mut buffer) = (Progress::new(task), BytesMut::new());
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
                match wait(&mut input, &mut output, (&mut buffer, &mut out), left).await {
                    Event::Read(Ok(count)) if count > 0 => {
                        session.handle_bytes(clock.now(), buffer.split().freeze());
                    }
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
    let _ = timeout(cli::LINGER, hang_up(&mut session, &mut input, &mut output, out)).await;
    result
}

/// The last words go out, and the peer hangs up: a socket closed with input unread would be a reset, which can
/// overtake them.
async fn hang_up(
    session: &mut Session,
    input: &mut ReadHalf<'_>,
    output: &mut WriteHalf<'_>,
    mut out: Transmit,
) -> io::Result<()> {
    loop {
        while out.has_remaining() {
            output.write_buf(&mut out).await?;
        }
        let Some(message) = session.poll_transmit() else { break };
        out = message;
    }
    output.shutdown().await?;
    let mut rest = BytesMut::with_capacity(64 << 10);
    while input.read_buf(&mut rest).await? > 0 {
        rest.clear();
    }
    Ok(())
}

async fn run(task: Task) -> Outcome<()> {
    let clock = Clock::new();
    let (mut socket, file, session) = match &task {
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
    transfer(&task, clock, &mut socket, (file, session)).await
}

fn main() -> ExitCode {
    cli::main("drive_tokio", |task| {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(task))
    })
}
