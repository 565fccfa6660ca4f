//! Calls with streams in three shapes, over TCP: numbers come down, a file goes up, words go both ways.
//!
//! ```text
//! rpc_streams                                      a demo: server and client on loopback
//! rpc_streams serve [--listen ADDR]
//! rpc_streams call ADDR numbers N [--window N] [--fail-after N] [--cancel-after N]
//! rpc_streams call ADDR upload FILE
//! rpc_streams call ADDR echo WORDS…
//! ```
//!
//! `--trace` prints every frame as it passes. The session is in `side.rs`, the drive loop in `drive.rs`; a program's own
//! part is an `App`. Exit codes: 0 done, 1 failed, 2 bad usage.

mod client;
mod demo;
mod drive;
mod options;
mod outbox;
mod server;
mod side;
mod trace;

use std::process::ExitCode;
use std::sync::Arc;

use portline::rpc::Role;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use client::{Client, Job};
use options::{Command, Options};
use server::Server;
use side::Side;
use trace::Trace;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Connections at once.
const CONNECTIONS: usize = 64;

fn main() -> ExitCode {
    let options = match options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("rpc_streams: {problem}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("rpc_streams: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rpc_streams: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(Options { command, trace }: Options) -> Outcome<()> {
    match command {
        Command::Demo => demo::run(if trace { Trace::Output } else { Trace::Off }).await,
        Command::Serve { listen } => serve(&listen, if trace { Trace::Error } else { Trace::Off }).await,
        Command::Call { address, method } => {
            let trace = if trace { Trace::Error } else { Trace::Off };
            let job = Job { method: method.open().await?, fails: false };
            let socket = TcpStream::connect(&address).await.map_err(|error| {
                format!("cannot reach {address}: {error}; start a server with `rpc_streams serve --listen {address}`")
            })?;
            call(socket, [job], trace).await
        }
    }
}

/// Makes the calls, one after the other.
async fn call(socket: TcpStream, jobs: impl IntoIterator<Item = Job>, trace: Trace) -> Outcome<()> {
    let mut side = Side::new(Role::Initiator, Client::new(jobs), trace)?;
    drive::drive(socket, &mut side)
        .await
        .map_err(|error| format!("the connection broke: {error}; try again"))?;
    if let Some(error) = side.failed() {
        side.app.problems.push(format!("the server does not speak this protocol: {error}"));
    }
    match side.app.problems.as_slice() {
        [] => Ok(()),
        problems => Err(problems.join("; ").into()),
    }
}

async fn serve(listen: &str, trace: Trace) -> Outcome<()> {
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| format!("cannot listen on {listen}: {error}; name another address with --listen"))?;
    eprintln!("listening on {}", listener.local_addr()?);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let permit = Arc::clone(&room).acquire_owned().await?;
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, for example: those that are open go on.
                eprintln!("a connection was not accepted: {error}");
                tokio::task::yield_now().await;
                continue;
            }
        };
        tokio::spawn(async move {
            match answer(socket, trace).await {
                Ok(()) => eprintln!("{peer}: done"),
                Err(error) => eprintln!("{peer}: {error}"),
            }
            drop(permit);
        });
    }
}

/// Serves one connection to its end.
async fn answer(socket: TcpStream, trace: Trace) -> Result<(), String> {
    let mut side = Side::new(Role::Acceptor, Server::default(), trace).map_err(|error| error.to_string())?;
    drive::drive(socket, &mut side).await.map_err(|error| error.to_string())?;
    side.failed().map_or(Ok(()), |error| Err(error.to_string()))
}
