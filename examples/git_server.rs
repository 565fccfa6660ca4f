//! A Git server on Portline: fetch from it and push to it with the `git` you have.
//!
//! ```text
//! git_server upload-pack [OPTION]... DIR      on standard input and output
//! git_server receive-pack [OPTION]... DIR
//! git_server daemon ROOT [--listen ADDR] [--enable-push] [--strict] [--timeout=N] [--max-connections=N]
//!
//! OPTION is --strict, --timeout=N, and for stateless transports --http-backend-info-refs (or --advertise-refs) or
//! --stateless-rpc, all as Git's own have them.
//! ```
//!
//! The first two are called as Git calls its own, over SSH or from the same machine:
//!
//! ```text
//! git clone --upload-pack='git_server upload-pack' /srv/project.git
//! git push --receive-pack='git_server receive-pack' /srv/project.git main
//! ```
//!
//! The daemon speaks `git://` for every repository below ROOT; without `--enable-push` it is read-only. It
//! prints `listening on ADDR` when it is ready; port 0 takes a free one. There is no authentication in this
//! protocol.
//!
//! Settings are the repository's own: `transfer.hideRefs`, `uploadpack.*`, `uploadpackfilter.*`, `lsrefs.unborn`,
//! `receive.*`, and its hooks; `GIT_NAMESPACE` chooses a namespace. Versions 0, 1 and 2 of the protocol are spoken, as
//! `GIT_PROTOCOL` or the request asks. `git http-backend` can call it in place of Git's own servers: put a program
//! `git` in front that runs `git_server` for `upload-pack` and `receive-pack`, with the real one in front again (`PATH`,
//! `GIT_EXEC_PATH`), and the real one for all else.
//!
//! Exit code: 0 when the session ended as the protocol has it, 128 otherwise, with the reason on standard
//! error.

#[path = "support/mod.rs"]
mod support;

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use portline::Printable;
use portline::git::fetch::server::Server as UploadServer;
use portline::git::push::server::Server as ReceiveServer;
use portline::git::{Request, Service, Serving, Version};
use portline::pkt::{self, Packet, Reader};
use support::connection::Connection;
use support::drive::{Drive, GitSession};
use support::receive::{self, ReceiveDriver};
use support::repository::os;
use support::upload::{self, UploadDriver};
use support::{Error, Lookup, Repository};

const USAGE: &str = "usage: git_server upload-pack [--strict] [--timeout=N] [STATELESS] DIR
       git_server receive-pack [--strict] [--timeout=N] [STATELESS] DIR
       git_server daemon ROOT [--listen ADDR] [--enable-push] [--strict] [--timeout=N] [--max-connections=N]
       STATELESS is --http-backend-info-refs (--advertise-refs) or --stateless-rpc";

/// How long a client of the daemon may take for its first line.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// How long a client that is refused may take to read why, and what it may send meanwhile.
const REFUSAL_TIME: Duration = Duration::from_secs(2);
const REFUSAL_BYTES: u64 = 1 << 20;
/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The longest request line.
const REQUEST: usize = 16 << 10;

fn main() -> ExitCode {
    let result = Options::parse(env::args_os().skip(1)).and_then(|options| match options {
        None => writeln!(io::stdout(), "{USAGE}").map_err(Error::io("standard output")),
        Some(options) => match options.mode {
            Mode::Serve(service) => serve_standard(service, &options),
            Mode::Daemon => run_daemon(options),
        },
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Git's own words come with their own line breaks.
            let _ = writeln!(io::stderr(), "fatal: {error}");
            ExitCode::from(128)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Serve(Service),
    Daemon,
}

#[derive(Clone, Debug)]
struct Options {
    mode: Mode,
    directory: PathBuf,
    lookup: Lookup,
    timeout: Option<Duration>,
    serving: Serving,
    listen: String,
    push: bool,
    connections: usize,
}

/// What is wrong with the command line, and how it should be.
fn complaint(what: &str) -> Error {
    Error::Usage(format!("{what}\n{USAGE}"))
}

/// A number that follows `option`.
fn number<T: FromStr>(option: &str, value: &str) -> Result<T, Error> {
    value.parse().map_err(|_| complaint(&format!("{option} takes a whole number, not '{value}'")))
}

impl Options {
    /// Reads the command line. `Ok(None)`: help was asked for.
    fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Option<Self>, Error> {
        let first = arguments.next().ok_or_else(|| complaint("say what to serve"))?;
        let mode = match first.to_str() {
            Some("upload-pack" | "git-upload-pack") => Mode::Serve(Service::UploadPack),
            Some("receive-pack" | "git-receive-pack") => Mode::Serve(Service::ReceivePack),
            Some("daemon") => Mode::Daemon,
            Some("--help" | "-h") => return Ok(None),
            _ => return Err(complaint(&format!("there is no command {}", first.to_string_lossy()))),
        };
        let mut options = Self {
            mode,
            directory: PathBuf::new(),
            lookup: Lookup::Git,
            timeout: None,
            serving: Serving::Session,
            listen: "127.0.0.1:9418".to_owned(),
            push: false,
            connections: 32,
        };
        let mut directory = None;
        while let Some(argument) = arguments.next() {
            match argument.to_str().filter(|text| text.starts_with('-')) {
                Some("--help" | "-h") => return Ok(None),
                Some(option) => options.set(option, &mut arguments)?,
                None if directory.is_none() => directory = Some(PathBuf::from(argument)),
                None => {
                    return Err(complaint(&format!(
                        "{} is one directory too many",
                        argument.to_string_lossy()
                    )));
                }
            }
        }
        options.directory = directory.ok_or_else(|| complaint("a directory is missing"))?;
        Ok(Some(options))
    }

    fn set(&mut self, option: &str, more: &mut impl Iterator<Item = OsString>) -> Result<(), Error> {
        let is_daemon = self.mode == Mode::Daemon;
        let (name, value) =
            option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        match (name, value) {
            ("--strict", None) => self.lookup = Lookup::Strict,
            ("--no-strict", None) => self.lookup = Lookup::Git,
            ("--timeout", Some(seconds)) => {
                let timeout = Duration::from_secs(number(name, seconds)?);
                self.timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
            }
            ("--http-backend-info-refs" | "--advertise-refs", None) if !is_daemon => {
                self.serving = Serving::Advertisement;
            }
            ("--stateless-rpc", None) if !is_daemon => {
                // Both together are the advertisement, as in Git.
                if self.serving == Serving::Session {
                    self.serving = Serving::Request;
                }
            }
            ("--enable-push", None) if is_daemon => self.push = true,
            ("--listen", Some(address)) if is_daemon => self.listen = address.to_owned(),
            ("--listen", None) if is_daemon => {
                let address = more.next().and_then(|address| address.into_string().ok());
                self.listen = address.ok_or_else(|| complaint("--listen needs an address"))?;
            }
            ("--max-connections", Some(limit)) if is_daemon => self.connections = number(name, limit)?,
            ("--timeout" | "--max-connections", None) => {
                return Err(complaint(&format!("{name} needs a value: {name}=N")));
            }
            _ => return Err(complaint(&format!("there is no option {option} here"))),
        }
        Ok(())
    }
}

/// One session on standard input and output.
fn serve_standard(service: Service, options: &Options) -> Result<(), Error> {
    if env::var_os(support::repository::ASKED).is_some() {
        return Err(complaint("the `git` that git_server finds is git_server itself"));
    }
    let version = requested_version(env::var_os("GIT_PROTOCOL").as_deref());
    let repository = Repository::open(&options.directory, options.lookup)?;
    serve(service, version, &repository, Connection::standard(), options)
}

/// `GIT_PROTOCOL` is a list such as `version=1:other`; the highest version counts.
fn requested_version(value: Option<&OsStr>) -> Version {
    let keys = value.and_then(OsStr::to_str).unwrap_or_default().split(':');
    let versions = keys.filter_map(|key| match key {
        "version=1" => Some(Version::V1),
        "version=2" => Some(Version::V2),
        _ => None,
    });
    versions.max().unwrap_or_default()
}

/// One session on any connection.
fn serve(
    service: Service,
    version: Version,
    repository: &Repository,
    connection: Connection,
    options: &Options,
) -> Result<(), Error> {
    let drive = Drive::new(connection);
    let (serving, timeout) = (options.serving, options.timeout);
    let (now, mailbox) = (drive.now(), drive.mailbox());
    match service {
        Service::UploadPack => {
            let config = upload::config(repository, serving, version, timeout)?;
            let machine = UploadServer::new(config, now);
            let mut driver = UploadDriver::new(repository, mailbox)?;
            let ran = drive.run(&mut GitSession { machine, driver: &mut driver });
            driver.into_result(ran).map(drop)
        }
        Service::ReceivePack => {
            let config = receive::config(repository, serving, version, timeout)?;
            let mut driver = ReceiveDriver::new(repository, &config, mailbox);
            let machine = ReceiveServer::new(config, now);
            let ran = drive.run(&mut GitSession { machine, driver: &mut driver });
            driver.into_result(ran).map(drop)
        }
    }
}

/// Accepts connections until the process is ended.
fn run_daemon(options: Options) -> Result<(), Error> {
    let root = options.directory.canonicalize().map_err(Error::io("the root cannot be resolved"))?;
    let options = Arc::new(Options { directory: root, ..options });
    let listener = TcpListener::bind(&options.listen).map_err(Error::io("cannot listen"))?;
    let address = listener.local_addr().map_err(Error::io("cannot listen"))?;
    let mut output = io::stdout();
    writeln!(output, "listening on {address}").map_err(Error::io("standard output"))?;
    output.flush().map_err(Error::io("standard output"))?;
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // A client that is gone again is nothing; when files or memory run out, asking at once would not help.
            thread::park_timeout(ACCEPT_PAUSE);
            continue;
        };
        let slot = Slot::take(&open);
        if slot.number > options.connections.saturating_mul(2) {
            // Not even the time to say so.
            continue;
        }
        let options = Arc::clone(&options);
        thread::spawn(move || {
            // All of the slot moves in here, not only its number: it is free again when the client has gone.
            let slot = slot;
            if slot.number > options.connections {
                refuse(&stream, b"too many connections");
            } else if let Err(error) = serve_client(stream, &options) {
                let _ = writeln!(io::stderr(), "git_server: {error}");
            }
        });
    }
    Ok(())
}

/// One of the connections that may be open at the same time.
struct Slot {
    open: Arc<AtomicUsize>,
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

fn serve_client(stream: TcpStream, options: &Options) -> Result<(), Error> {
    let (request, rest) = match read_request(&stream) {
        Ok(read) => read,
        Err(error) => {
            refuse(&stream, error.to_string().as_bytes());
            return Err(error);
        }
    };
    // One answer for what is not there, not a repository, outside, or not served: a client learns nothing
    // about the rest.
    let denied = || [b"access denied or repository not exported: ", &request.path[..]].concat();
    let may = options.push || request.service == Service::UploadPack;
    let found = locate(&options.directory, &request.path, options.lookup).filter(|_| may);
    let Some(repository) = found else {
        refuse(&stream, &denied());
        let message = format!("{} refused: {}", request.service, Printable(&request.path));
        return Err(Error::Session { message });
    };
    let connection = Connection::tcp(stream, rest)?;
    serve(request.service, request.version, &repository, connection, options)
}

/// Reads the request line, and what the client sent behind it.
fn read_request(stream: &TcpStream) -> Result<(Request, Bytes), Error> {
    let failed = || Error::io("the request cannot be read");
    stream.set_read_timeout(Some(REQUEST_TIME)).map_err(failed())?;
    let (mut reader, mut taken, mut stream) = (Reader::new(), 0_usize, stream);
    let mut buffer = [0; 4096];
    loop {
        match reader.next_packet().map_err(|error| Error::session(&error))? {
            Some(Packet::Data(line)) => {
                let request = Request::parse(&line).map_err(|error| Error::session(&error))?;
                return Ok((request, reader.take_raw().unwrap_or_default()));
            }
            Some(_) => return Err(Error::session(&portline::git::RequestError::Flush)),
            None => {}
        }
        let count = stream.read(&mut buffer).map_err(failed())?;
        taken = taken.saturating_add(count);
        if count == 0 || taken > REQUEST {
            return Err(failed()(io::ErrorKind::UnexpectedEof.into()));
        }
        reader.handle_bytes(Bytes::copy_from_slice(buffer.get(..count).unwrap_or_default()));
    }
}

/// The repository of a request: below the root by its words, and below it still when all links are followed.
fn locate(root: &Path, path: &[u8], lookup: Lookup) -> Option<Repository> {
    let below = path.strip_prefix(b"/")?;
    let mut place = root.to_owned();
    for component in below.split(|byte| *byte == b'/').filter(|component| !component.is_empty()) {
        // Nothing in a path means anything but itself: no parent, no home directory, no drive.
        let odd = matches!(component, b"." | b"..")
            || component.iter().any(|byte| matches!(byte, b'\\' | b':' | 0));
        if odd {
            return None;
        }
        place.push(os(component));
    }
    let repository = Repository::open(&place, lookup).ok()?;
    repository.git().dir().starts_with(root).then_some(repository)
}

/// Says no in the protocol's words and gives the client the time to read them: a socket that is closed with
/// input unread is reset, and the words could be lost with it.
fn refuse(mut stream: &TcpStream, message: &[u8]) {
    let mut line = BytesMut::new();
    let cut = message.get(..1000).unwrap_or(message);
    if pkt::put_packet(&mut line, &[b"ERR ", cut]).is_err() {
        return;
    }
    // A client that does not listen is not told.
    let told = stream.write_all(&line).and_then(|()| stream.shutdown(Shutdown::Write));
    if told.and_then(|()| stream.set_read_timeout(Some(REFUSAL_TIME))).is_ok() {
        let _ = io::copy(&mut stream.take(REFUSAL_BYTES), &mut io::sink());
    }
}
