//! The driver: body in, parts out, files on disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use portline::body::content_type::ContentType;
use portline::body::multipart::parser::{Action, Config, Error};
use portline::body::multipart::{Boundary, Parser};
use portline::body::urlencoded;
use portline::{Blame, Instant};

use crate::Options;
use crate::http::{Connection, Fault, Request};

/// Neither parser has a deadline, so the clock stands still; the socket has timeouts.
const NOW: Instant = Instant::ZERO;
/// Bytes of a field that are kept to be shown.
const SHOWN: usize = 60;
/// Bytes of all that is kept to be shown, of all parts together.
const TABLE: usize = 256 << 10;

/// A part, as it is told to the sender.
pub(crate) struct Row {
    pub(crate) name: Vec<u8>,
    pub(crate) filename: Option<Vec<u8>>,
    pub(crate) content_type: Vec<u8>,
    pub(crate) size: u64,
    /// A field's first bytes.
    pub(crate) text: Vec<u8>,
    /// A file's name here.
    pub(crate) stored: Option<String>,
}

impl Row {
    /// Bytes that it may hold.
    fn cost(&self) -> usize {
        let lengths =
            [self.name.len(), self.filename.as_ref().map_or(0, Vec::len), self.content_type.len(), SHOWN];
        lengths.into_iter().fold(0, usize::saturating_add)
    }
}

/// Receives the form in a request.
pub(crate) fn receive(
    connection: &mut Connection,
    request: &Request,
    options: &Options,
) -> Result<Vec<Row>, Fault> {
    let limit = options.max_bytes;
    // Known before anything is sent, so that a peer that waits for our word does not send it in vain.
    if request.length.is_some_and(|length| length > limit) {
        return Err(too_large(format!("The body is longer than the limit of {limit} bytes.")));
    }
    let header = request.content_type.as_deref().ok_or_else(|| unsupported("There is no Content-Type"))?;
    let content_type = ContentType::parse(header).map_err(|error| unsupported(&error.to_string()))?;
    if content_type.is("application", "x-www-form-urlencoded") {
        connection.begin_body(request)?;
        return strings(connection, options);
    }
    let boundary = Boundary::of_content_type(header).map_err(|error| unsupported(&error.to_string()))?;
    connection.begin_body(request)?;
    let mut upload = Upload {
        parser: Parser::new(Config { max_part: limit, max_body: limit, ..Config::new(boundary) }, NOW),
        folder: &options.folder,
        rows: Vec::new(),
        kept: 0,
        open: None,
        done: Vec::new(),
    };
    let mut progress = Progress::new(request.length);
    let result = upload.run(connection, &mut progress);
    progress.end();
    match result {
        Ok(()) => Ok(upload.rows),
        Err(fault) => {
            upload.remove();
            Err(fault)
        }
    }
}

/// One upload on its way.
struct Upload<'a> {
    parser: Parser,
    folder: &'a Path,
    rows: Vec<Row>,
    /// Bytes kept in `rows`.
    kept: usize,
    /// The file that is being written.
    open: Option<File>,
    /// All files of this upload.
    done: Vec<PathBuf>,
}

impl Upload<'_> {
    fn run(&mut self, connection: &mut Connection, progress: &mut Progress) -> Result<(), Fault> {
        loop {
            match connection.read_body()? {
                Some(bytes) => {
                    progress.add(bytes.len());
                    // What it says is said again by its action.
                    drop(self.parser.handle_bytes(NOW, bytes));
                }
                None => drop(self.parser.handle_closed(NOW)),
            }
            while let Some(action) = self.parser.poll_action() {
                match action {
                    Action::Part(part) => {
                        let stored = part.filename().map(|_| self.create()).transpose()?;
                        let row = Row {
                            name: part.name().to_vec(),
                            filename: part.filename().map(<[u8]>::to_vec),
                            content_type: part.content_type().to_vec(),
                            size: 0,
                            text: Vec::new(),
                            stored,
                        };
                        self.kept = self.kept.saturating_add(row.cost());
                        if self.kept > TABLE {
                            return Err(too_large(
                                "The names of all parts are longer than can be shown.".into(),
                            ));
                        }
                        self.rows.push(row);
                    }
                    Action::Data(data) => self.data(&data)?,
                    Action::PartEnd => self.open = None,
                    Action::Finished => return Ok(()),
                    Action::Failed(error) => return Err(refused(&error)),
                }
            }
        }
    }

    fn data(&mut self, data: &Bytes) -> Result<(), Fault> {
        if let Some(file) = &mut self.open {
            file.write_all(data).map_err(|error| not_stored(&error))?;
        }
        if let Some(row) = self.rows.last_mut() {
            row.size = row.size.saturating_add(data.len() as u64);
            if row.filename.is_none() {
                let room = SHOWN.saturating_sub(row.text.len()).min(data.len());
                row.text.extend_from_slice(data.get(..room).unwrap_or(&[]));
            }
        }
        Ok(())
    }

    /// Opens the next file that is not there yet. Its name is a number, whatever the sender calls it. Each number is tried
    /// once, so that many files cost no more each than few.
    fn create(&mut self) -> Result<String, Fault> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        while let Ok(number) =
            NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |number| number.checked_add(1))
        {
            let name = format!("upload-{number:06}");
            let path = self.folder.join(&name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    self.open = Some(file);
                    self.done.push(path);
                    return Ok(name);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(not_stored(&error)),
            }
        }
        Err(not_stored(&io::Error::other("every number is taken")))
    }

    /// An upload is stored whole or not at all.
    fn remove(&mut self) {
        self.open = None;
        for path in &self.done {
            if let Err(error) = fs::remove_file(path) {
                eprintln!("form_upload: cannot remove {}: {error}", path.display());
            }
        }
    }
}

/// A form without files.
fn strings(connection: &mut Connection, options: &Options) -> Result<Vec<Row>, Fault> {
    let config = urlencoded::Config::default();
    let max_body = config.max_body.min(options.max_bytes);
    let mut parser = urlencoded::Parser::new(urlencoded::Config { max_body, max_pair: TABLE, ..config }, NOW);
    let mut rows = Vec::new();
    let mut kept = 0_usize;
    loop {
        // What it says is said again by its action.
        let _told = match connection.read_body()? {
            Some(bytes) => parser.handle_bytes(NOW, bytes),
            None => parser.handle_closed(NOW),
        };
        while let Some(action) = parser.poll_action() {
            match action {
                urlencoded::Action::Pair { name, value } => {
                    let row = Row {
                        name: name.to_vec(),
                        filename: None,
                        content_type: b"text/plain".to_vec(),
                        size: value.len() as u64,
                        text: value.get(..SHOWN).unwrap_or(&value).to_vec(),
                        stored: None,
                    };
                    kept = kept.saturating_add(row.cost());
                    if kept > TABLE {
                        return Err(too_large(
                            "The names of all fields are longer than can be shown.".into(),
                        ));
                    }
                    rows.push(row);
                }
                urlencoded::Action::Finished => return Ok(rows),
                urlencoded::Action::Failed(error) => return Err(too_large(format!("The form: {error}."))),
            }
        }
    }
}

fn refused(error: &Error) -> Fault {
    match error {
        Error::BodyTooLong { .. } | Error::PartTooLong { .. } | Error::TooManyParts { .. } => {
            too_large(format!("The form: {error}."))
        }
        _ if error.blame() == Blame::Caller => {
            Fault::new((500, "Internal Server Error"), format!("The server is at fault: {error}."))
        }
        _ => Fault::bad(format!("The form cannot be read: {error}. Nothing of it was stored.")),
    }
}

fn too_large(what: String) -> Fault {
    let reason = format!("{what} Send less at once, or start form_upload with a larger --max-bytes.");
    Fault::new((413, "Content Too Large"), reason)
}

fn unsupported(what: &str) -> Fault {
    let reason = format!("{what}. Send a form: curl -F file=@NAME, or the page at /.");
    Fault::new((415, "Unsupported Media Type"), reason)
}

fn not_stored(error: &io::Error) -> Fault {
    eprintln!("form_upload: cannot write into the folder: {error}");
    let reason = "The file cannot be stored; nothing of this upload was. The server's owner sees why.";
    Fault::new((507, "Insufficient Storage"), reason.into())
}

/// A bar on a terminal; a line for each 64 MiB elsewhere.
struct Progress {
    total: Option<u64>,
    bytes: u64,
    shown: u64,
    terminal: bool,
}

impl Progress {
    fn new(total: Option<u64>) -> Self {
        Self { total, bytes: 0, shown: 0, terminal: io::stderr().is_terminal() }
    }

    fn add(&mut self, count: usize) {
        self.bytes = self.bytes.saturating_add(count as u64);
        let step = if self.terminal { (self.total.unwrap_or(0) / 200).max(1 << 20) } else { 64 << 20 };
        if self.bytes.saturating_sub(self.shown) >= step {
            self.shown = self.bytes;
            self.show();
        }
    }

    fn show(&self) {
        const WIDTH: u64 = 40;
        let (start, end) = if self.terminal { ("\r", "") } else { ("", "\n") };
        let mib = self.bytes >> 20;
        match self.total {
            Some(total) if total > 0 => {
                let share = |of: u64| self.bytes.saturating_mul(of).checked_div(total).unwrap_or(of);
                let full = share(WIDTH).min(WIDTH);
                let bar: String = (0..WIDTH).map(|at| if at < full { '█' } else { '·' }).collect();
                eprint!("{start}{bar} {:3} %  {mib} of {} MiB{end}", share(100), total >> 20);
            }
            Some(_) | None => eprint!("{start}{mib} MiB{end}"),
        }
    }

    fn end(&self) {
        if self.terminal && self.shown > 0 {
            self.show();
            eprintln!();
        }
    }
}
