//! Makes two Git repositories exchange what each lacks, over the acknowledged port stream.
//!
//! ```text
//!   LEFT  ── thread ── ResilientSync ══ port messages on loopback TCP ══ peer::Server ── thread ──  RIGHT
//! ```
//!
//! Each side knows only its own repository. Every decision is taken by a machine of the crate; this program reads,
//! writes, and lets Git's plumbing move objects and refs. `sync --help` tells the options.

// Modules of a program: `pub` says what the others may use.
#![allow(unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

mod args;
mod attempts;
mod bars;
mod base;
mod demo;
mod left;
mod pipe;
mod right;
mod table;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use args::{Args, USAGE};
use bytes::Bytes;
use portline::peer::resilient::Config;
use portline::peer::sync::{Outcome, RefResult};
use portline::sync::Strategy;
use portline::{peer, port};
use right::Right;
use support::connection::Connection;
use support::drive::Drive;
use support::{Error, Lookup, Repository};
use table::print;

/// Attempts after the first where connections are broken on purpose, and the first wait between two.
const CHAOS_RETRIES: u32 = 20;
const CHAOS_DELAY: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args_os().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => {
            print(&format!("{USAGE}\n"));
            return ExitCode::SUCCESS;
        }
        Err(message) => return complain(&format!("{message}\n\n{USAGE}")),
    };
    let done = match &args.repositories {
        Some((left, right)) => sync(&args, left, right, args.strategy),
        None => show(&args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => complain(&error.to_string()),
    }
}

fn complain(message: &str) -> ExitCode {
    // Nobody is left to tell if this fails.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("sync: {message}\n").as_bytes());
    ExitCode::from(2)
}

/// Two small repositories: synced, and then, unless the user chose, once more to show the way out of conflicts.
fn show(args: &Args) -> Result<bool, Error> {
    let folder = tempfile::tempdir().map_err(Error::io("no temporary folder can be made"))?;
    let (left, right) = demo::build(folder.path())?;
    print(&format!(
        "Two diverged repositories, one ref for each row of the decision table:\n  left   {}\n  right  {}\n",
        left.display(),
        right.display()
    ));
    let agree = sync(args, &left, &right, args.strategy)?;
    if agree || args.dry_run || args.chosen {
        return Ok(agree);
    }
    print("\nOnce more, with --on-conflict prefer-left:\n");
    sync(args, &left, &right, Strategy::PreferLocal)
}

/// Syncs two repositories; whether both sides agree afterwards.
fn sync(args: &Args, left: &Path, right: &Path, strategy: Strategy) -> Result<bool, Error> {
    let (left_path, right_path) = (left.to_owned(), right.to_owned());
    let left = Repository::open(left, Lookup::Git)?;
    let right = Repository::open(right, Lookup::Git)?;
    if left.format() != right.format() {
        let message =
            format!("{} and {} do not use the same object format", left_path.display(), right_path.display());
        return Err(Error::Usage(message));
    }
    let base = base::load(left.common_dir(), &right_path)?;
    let config = config(args, strategy, base);
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::io("no loopback port can be opened"))?;
    let address = listener.local_addr().map_err(Error::io("the loopback port has no address"))?;
    let peer = config.sync.peer.clone();
    let over = AtomicBool::new(false);
    let outcome = thread::scope(|scope| {
        let server = scope.spawn(|| serve_all(&right, &listener, &peer, &over));
        let driver = scope.spawn(|| attempts::run(&left, address, config, args));
        let outcome = join(driver);
        over.store(true, Ordering::Release);
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(address));
        let served = join(server);
        // The driving side's word counts; the other's explains what it cannot.
        outcome.map(|(outcome, ended)| (outcome, ended.and(served)))
    });
    let (outcome, ended) = outcome?;
    // What was done counts, whatever came after it.
    if !args.dry_run && !outcome.refs.is_empty() {
        table::results(&outcome);
        base::save(left.common_dir(), &right_path, &base::text(&outcome.base))?;
    }
    ended?;
    summarise(args, &outcome);
    Ok(outcome.agrees() || (args.dry_run && outcome.conflicts().next().is_none()))
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, Result<T, Error>>) -> Result<T, Error> {
    thread
        .join()
        .unwrap_or_else(|_| Err(Error::Session { message: "a side panicked; this is a bug".to_owned() }))
}

fn config(args: &Args, strategy: Strategy, base: Option<Vec<base::Entry>>) -> Config {
    let mut config = Config::default();
    config.sync.base = base;
    config.sync.dry_run = args.dry_run;
    config.sync.sync.strategy = strategy;
    config.sync.sync.exclude = args.exclude.clone();
    config.sync.peer = peer::Config {
        port: port::Config { window: args.window, ..port::Config::default() },
        chunk: args.chunk,
    };
    // However large the repositories are: silence ends an attempt, and `--timeout`, but no slowness.
    (config.recovery.operation_timeout, config.recovery.transfer_timeout) = (None, None);
    let backoff = &mut config.recovery.backoff;
    backoff.retries = args.retries.unwrap_or(if args.chaos.is_some() { CHAOS_RETRIES } else { 0 });
    backoff.deadline = args.timeout;
    // Clients that lost their server together come back one by one.
    backoff.seed = args.chaos.unwrap_or_else(|| u64::from(std::process::id()));
    if args.chaos.is_some() {
        (backoff.first_delay, backoff.max_delay) = (CHAOS_DELAY, CHAOS_DELAY.saturating_mul(4));
    }
    config
}

/// Serves every connection until it is over; the error of the last one.
fn serve_all(
    repository: &Repository,
    listener: &TcpListener,
    config: &peer::Config,
    over: &AtomicBool,
) -> Result<(), Error> {
    thread::scope(|scope| {
        let mut last = None;
        loop {
            let (stream, _) = listener.accept().map_err(Error::io("the other side did not connect"))?;
            if over.load(Ordering::Acquire) {
                break;
            }
            // An old connection may still be at its end when the next one is there.
            last = Some(scope.spawn(move || serve(repository, stream, config)));
        }
        last.map_or(Ok(()), join)
    })
}

fn serve(repository: &Repository, stream: TcpStream, config: &peer::Config) -> Result<(), Error> {
    let drive = Drive::new(Connection::tcp(stream, Bytes::new())?);
    let mut session = Right::new(repository, drive.mailbox(), config, drive.now())?;
    drive.run(&mut session)
}

fn summarise(args: &Args, outcome: &Outcome) {
    let count =
        |wanted: fn(&RefResult) -> bool| outcome.refs.iter().filter(|entry| wanted(&entry.result)).count();
    let done = count(|result| matches!(result, RefResult::Done { .. }));
    let pending = count(|result| *result == RefResult::Pending);
    let conflicts = count(|result| *result == RefResult::Conflict);
    let failed = count(|result| matches!(result, RefResult::Failed(_)));
    if args.dry_run {
        return print(&format!(
            "\nDry run: {pending} refs would be synced, {conflicts} conflicts. Nothing was changed.\n"
        ));
    }
    let mut text = match done {
        0 => "\nNothing had to be moved.".to_owned(),
        done => format!("\n{done} refs synced."),
    };
    if conflicts > 0 {
        text += &format!(
            " {conflicts} conflicts remain: merge by hand and sync again, or choose with --on-conflict prefer-left or prefer-right."
        );
    }
    if failed > 0 {
        text += &format!(" {failed} refs were refused: the table says why; sync again when that is settled.");
    }
    if outcome.agrees() {
        text += " Both sides agree.";
    }
    print(&format!("{text}\n"));
}
