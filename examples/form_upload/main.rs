//! A small HTTP server that takes uploads, on plain blocking TCP: the driver of the multipart parser to copy from.
//!
//! ```text
//! form_upload [DIR] [--listen ADDR] [--max-bytes N]
//! ```
//!
//! GET shows a form; POST takes it, from a browser or from `curl -F file=@photo.jpg http://ADDR/`, writes each file into
//! DIR, and answers with a table of the parts. The names that the sender gives to its files are shown, never used: files
//! are numbered. Whatever the size of an upload, one connection holds one read of 64 KiB and one part's headers.
//!
//! One thread a connection, one request a connection. Exit codes: 1 failed, 2 bad usage; it runs until it is stopped.

mod http;
mod page;
mod upload;

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, fs, thread};

use http::{Connection, Fault, Request};

const USAGE: &str = "usage: form_upload [DIR] [--listen ADDR] [--max-bytes N]
Takes uploads over HTTP and writes their files into DIR (default: uploads), numbered.
  --listen ADDR    where to listen (default: 127.0.0.1:8080; port 0 takes a free one)
  --max-bytes N    bytes of one upload at most (default: 17179869184)
Then open http://ADDR/ in a browser, or: curl -F file=@NAME http://ADDR/";
/// Connections at once; as many more are told to come back, and beyond that they are closed.
const CONNECTIONS: usize = 64;
/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a peer may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the user chose.
pub(crate) struct Options {
    pub(crate) folder: PathBuf,
    listen: String,
    pub(crate) max_bytes: u64,
}

/// Reads the arguments; the error is for the user. `Ok(None)`: help was asked for.
fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut folder = None;
    let mut listen = "127.0.0.1:8080".to_owned();
    let mut max_bytes = portline::limits::MULTIPART_BYTES;
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--help" | "-h" => return Ok(None),
            "--listen" => listen = value()?,
            "--max-bytes" => {
                let value = value()?;
                max_bytes =
                    value.parse().map_err(|_| format!("--max-bytes needs a number, not {value:?}"))?;
            }
            option if option.starts_with('-') => return Err(format!("there is no option {option}")),
            _ if folder.is_some() => return Err(format!("one DIR is enough; {arg:?} is a second")),
            _ => folder = Some(PathBuf::from(arg)),
        }
    }
    Ok(Some(Options { folder: folder.unwrap_or_else(|| "uploads".into()), listen, max_bytes }))
}

/// Answers one request. An error here is one of the connection: there is nobody left to tell.
fn serve(stream: TcpStream, options: &Options) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut connection = Connection::new(stream);
    let result = match connection.request() {
        Ok(Some(request)) => answer(&mut connection, &request, options),
        // It was opened and closed again.
        Ok(None) => return Ok(()),
        Err(fault) => Err(fault),
    };
    match result {
        Ok(()) => Ok(()),
        Err(fault) => {
            eprintln!("form_upload: {} {}", fault.status.0, fault.reason);
            connection.refuse(&fault)
        }
    }
}

fn answer(connection: &mut Connection, request: &Request, options: &Options) -> Result<(), Fault> {
    match &request.method[..] {
        "GET" | "HEAD" if request.path == "/" => connection.respond((200, "OK"), page::HTML, page::FORM),
        "GET" | "HEAD" => Err(Fault::new((404, "Not Found"), "There is only the form here, at /.".into())),
        "POST" => {
            let parts = upload::receive(connection, request, options)?;
            if request.wants_html {
                connection.respond((200, "OK"), page::HTML, &page::html(&parts))
            } else {
                connection.respond((200, "OK"), page::TEXT, &page::table(&parts))
            }
        }
        other => {
            let reason = format!("There is no {other:?} here: GET the form, or POST it.");
            Err(Fault::new((405, "Method Not Allowed"), reason))
        }
    }
}

fn run(options: Options) -> Result<(), String> {
    let folder = options.folder.display();
    fs::create_dir_all(&options.folder).map_err(|error| {
        format!("cannot make the folder {folder}: {error}. Name one that you may write to.")
    })?;
    let listener = TcpListener::bind(&options.listen).map_err(|error| {
        format!("cannot listen on {}: {error}. Name another address with --listen.", options.listen)
    })?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let told = writeln!(io::stdout(), "listening on http://{address}/, files go to {folder}");
    told.map_err(|error| format!("cannot write to standard output: {error}"))?;
    let options = Arc::new(options);
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let stream = match stream {
            Ok(stream) => stream,
            // Its peer is gone already, or there are too many files open: others may still come, but asking at once would
            // not help.
            Err(error) => {
                eprintln!("form_upload: cannot accept a connection: {error}");
                thread::park_timeout(ACCEPT_PAUSE);
                continue;
            }
        };
        let slot = Slot::take(&open);
        if slot.number > CONNECTIONS.saturating_mul(2) {
            // Not even the time to say so.
            continue;
        }
        let options = Arc::clone(&options);
        thread::spawn(move || {
            // All of the slot moves in here, not only its number: it is free again when the peer has gone.
            let slot = slot;
            let served = if slot.number > CONNECTIONS { turn_away(stream) } else { serve(stream, &options) };
            if let Err(error) = served {
                eprintln!("form_upload: a connection failed: {error}");
            }
        });
    }
    Ok(())
}

/// Tells a peer to come back.
fn turn_away(stream: TcpStream) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let reason = "Too many uploads at once. Try again later.";
    Connection::new(stream).refuse(&Fault::new((503, "Service Unavailable"), reason.into()))
}

/// One of the connections that are open.
struct Slot {
    open: Arc<AtomicUsize>,
    /// How many there were with it.
    number: usize,
}

impl Slot {
    fn take(open: &Arc<AtomicUsize>) -> Self {
        let number = open.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        Self { open: Arc::clone(open), number }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn main() -> ExitCode {
    let options = match parse(env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            let told = writeln!(io::stdout(), "{USAGE}");
            return if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(error) => {
            eprintln!("form_upload: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("form_upload: {error}");
            ExitCode::FAILURE
        }
    }
}
