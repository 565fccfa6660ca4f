//! Packs: built by `pack-objects`, stored by `index-pack` or `unpack-objects`, streamed in both directions
//! and never held.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use bytes::{Bytes, BytesMut};
use portline::git::{ObjectId, PackRequest};

use super::drive::{Mailbox, Work};
use super::error::Error;
use super::objects::ObjectReader;
use super::partial;
use super::process::{Process, pieces};
use super::quarantine::Quarantine;
use super::repository::{Repository, os};
use super::shallow;

/// Bytes of a pack in one piece.
const PIECE: usize = 64 << 10;
/// Bytes of a pack's header.
const HEADER: u64 = 12;
/// Bytes of a message in one piece.
const MESSAGE: usize = 4096;
/// Pieces that may wait for the program that stores them.
const WAITING: usize = 16;
/// Objects from which on a pack is kept as it is instead of being taken apart. Git's default.
const UNPACK_LIMIT: i64 = 100;

/// The next builder's number.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A pack being built. Dropping it ends the builder.
#[derive(Debug)]
pub struct PackBuilder {
    /// What its posts carry: one that was dropped may still have some under way.
    id: u64,
    process: Process,
    permits: Sender<()>,
    /// A permit was given and its piece has not come yet.
    asked: bool,
    /// What is to be built, where it may have to be built again.
    request: Option<Box<PackRequest>>,
}

impl PackBuilder {
    /// Starts `pack-objects`. It posts [`Work::PackChunk`] for each permit, [`Work::Message`] as it pleases
    /// and [`Work::PackEnded`] at the end.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Answer`].
    pub fn start(
        repository: &Repository,
        objects: &mut ObjectReader,
        request: &PackRequest,
        mailbox: &Mailbox,
    ) -> Result<Self, Error> {
        let haves = objects.existing(&request.haves)?;
        let input = revisions(repository, objects, request, &haves)?;
        // The client's border counts, with ours in it; not the file that says ours alone.
        let own_border_only = request.shallow.is_empty() && request.unshallow.is_empty();
        let asked: &[&str] = match own_border_only {
            true => &["pack-objects", "--revs", "--stdout"],
            false => &["--shallow-file", "", "pack-objects", "--revs", "--stdout", "--shallow"],
        };
        let mut command = repository.git().command(asked);
        // With several threads the same request gives other deltas each time.
        command.args(request.resumable.then_some("--threads=1"));
        command.args(request.thin.then_some("--thin"));
        command.args(request.ofs_delta.then_some("--delta-base-offset"));
        command.args(request.include_tag.then_some("--include-tag"));
        command.args(request.filter.as_ref().map(|filter| {
            let mut option = b"--filter=".to_vec();
            option.extend(filter.encode());
            os(&option)
        }));
        for protocol in request.uri_protocols.iter().filter(|name| name.iter().all(u8::is_ascii_alphanumeric))
        {
            command.arg(os(&[b"--uri-protocol=", &protocol[..]].concat()));
        }
        command.arg(if request.progress { "--progress" } else { "-q" });
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command)?;
        let (stdin, stdout, stderr) = (process.stdin(), process.stdout(), process.stderr());
        thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
        let (permits, allowed) = channel();
        let mailbox = mailbox.clone();
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let names_uris = !request.uri_protocols.is_empty();
        let part = request.resume.clone();
        thread::spawn(move || {
            let messages = relay(stderr, &mailbox);
            if let Some(mut stdout) = stdout {
                if let Some(part) = part {
                    if !partial::begins(&mut stdout, &part) {
                        mailbox.post(Work::PackDiffers { builder: id });
                        return;
                    }
                    mailbox.post(Work::PackResumes { builder: id });
                }
                post_pack(stdout, names_uris, &allowed, &mailbox, id);
            }
            // The last words before the end.
            let _ = messages.join();
            mailbox.post(Work::PackEnded { builder: id });
        });
        let request = request.resume.is_some().then(|| Box::new(request.clone()));
        Ok(Self { id, process, permits, asked: false, request })
    }

    /// What the peer holds is of another pack ([`Work::PackDiffers`]): builds all of it.
    ///
    /// # Errors
    /// As [`PackBuilder::start`].
    pub fn start_afresh(
        self,
        repository: &Repository,
        objects: &mut ObjectReader,
        mailbox: &Mailbox,
    ) -> Result<Self, Error> {
        match self.request {
            Some(request) => {
                Self::start(repository, objects, &PackRequest { resume: None, ..*request }, mailbox)
            }
            None => Ok(self),
        }
    }

    /// Whether a piece or an end is one that this builder did not post: late words of one that was dropped.
    pub const fn disowns(&self, work: &Work) -> bool {
        match work {
            Work::PackChunk { builder, .. }
            | Work::PackUri { builder, .. }
            | Work::PackResumes { builder }
            | Work::PackDiffers { builder }
            | Work::PackEnded { builder } => *builder != self.id,
            Work::Message(_)
            | Work::PieceTaken
            | Work::PackRead
            | Work::StoreEnded
            | Work::RefsUpdated(..)
            | Work::PartFound(_)
            | Work::AfterDone => false,
        }
    }

    /// Asks for the next piece, unless it is on its way.
    pub fn allow(&mut self) {
        if !self.asked {
            self.asked = self.permits.send(()).is_ok();
        }
    }

    /// The piece that was asked for has come.
    pub const fn came(&mut self) {
        self.asked = false;
    }

    /// Whether the pack is whole. Call it after [`Work::PackEnded`].
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(mut self) -> Result<bool, Error> {
        Ok(self.process.wait()?.success())
    }
}

/// What `pack-objects --revs` reads.
fn revisions(
    repository: &Repository,
    objects: &mut ObjectReader,
    request: &PackRequest,
    haves: &[ObjectId],
) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    let mut put = |prefix: &str, ids: &[ObjectId]| {
        for id in ids {
            text.extend_from_slice(format!("{prefix}{id}\n").as_bytes());
        }
    };
    if !request.shallow.is_empty() || !request.unshallow.is_empty() {
        for border in [&request.shallow, &request.unshallow, &repository.shallow()?] {
            put("--shallow ", border);
        }
    }
    put("", &request.wants);
    for commit in objects.commits(&request.unshallow)? {
        put("", &commit.parents);
    }
    text.extend_from_slice(b"--not\n");
    let mut put = |ids: &[ObjectId]| {
        for id in ids {
            text.extend_from_slice(format!("{id}\n").as_bytes());
        }
    };
    put(haves);
    put(&request.unshallow);
    Ok(text)
}

/// Posts the lines that name packs to be fetched elsewhere, if there may be any, then the pack.
fn post_pack(stdout: impl Read, names_uris: bool, allowed: &Receiver<()>, mailbox: &Mailbox, builder: u64) {
    let mut stdout = BufReader::with_capacity(PIECE, stdout);
    // A pack begins with a letter that no hash begins with.
    while names_uris && stdout.fill_buf().is_ok_and(|bytes| !bytes.is_empty() && !bytes.starts_with(b"P")) {
        let mut line = Vec::new();
        if stdout.read_until(b'\n', &mut line).is_err() {
            return;
        }
        let mut words = line.trim_ascii_end().splitn(2, |byte| *byte == b' ');
        let pack = words.next().and_then(|pack| ObjectId::from_hex(pack).ok());
        let Some((pack, uri)) = pack.zip(words.next()) else { continue };
        if !mailbox.post(Work::PackUri { builder, pack, uri: Bytes::copy_from_slice(uri) }) {
            return;
        }
    }
    post_pieces(stdout, allowed, mailbox, builder);
}

/// Reads on while the last piece waits for its permit; ends when nobody gives permits any more.
fn post_pieces(stdout: impl Read, allowed: &Receiver<()>, mailbox: &Mailbox, builder: u64) {
    // A pipe that breaks is a builder that failed: how it ended tells.
    let post = |bytes| mailbox.post(Work::PackChunk { builder, bytes });
    let _ = pieces(stdout, PIECE, |piece| allowed.recv().is_ok() && post(piece));
}

/// Posts what a program says on its standard error. A NUL there is index-pack's word that it has read its input.
fn relay(stderr: Option<impl Read + Send + 'static>, mailbox: &Mailbox) -> thread::JoinHandle<()> {
    let mailbox = mailbox.clone();
    thread::spawn(move || {
        if let Some(stderr) = stderr {
            // Half a message is better than none.
            let _ = pieces(stderr, MESSAGE, |piece| {
                piece.split(|byte| *byte == 0).enumerate().all(|(nuls, words)| {
                    (nuls == 0 || mailbox.post(Work::PackRead))
                        && (words.is_empty() || mailbox.post(Work::Message(piece.slice_ref(words))))
                })
            });
        }
    })
}

/// How to store a pack.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// Below so many objects they are stored one by one.
    pub unpack_limit: Option<i64>,
    /// `--strict` with the severities that were configured: the objects are checked, not only the pack.
    pub strict: Option<String>,
    /// The largest pack that is taken.
    pub max_input: Option<i64>,
    /// Show the counters of receiving, not only what is asked of a server.
    pub verbose: bool,
    /// Say nothing unless something is wrong.
    pub quiet: bool,
    /// A list of commits that are taken to have no parents, in place of the repository's own.
    pub shallow_file: Option<PathBuf>,
    /// The pack comes from a server that promises what is missing in it.
    pub promised: bool,
    /// What the program is to see besides.
    pub environment: Vec<(&'static str, OsString)>,
}

impl StoreOptions {
    /// As `section` (`receive` or `fetch`) of the configuration has it.
    pub fn configured(repository: &Repository, section: &str) -> Self {
        let config = repository.config();
        let own = |key: &str| format!("{section}.{key}");
        let checks = config.first_truth(&[&own("fsckobjects"), "transfer.fsckobjects"]).unwrap_or(false);
        let severities = || {
            let prefix = own("fsck.");
            let each = config.below(&prefix).map(|(id, severity)| {
                format!("{}={}", String::from_utf8_lossy(id), String::from_utf8_lossy(severity))
            });
            let list = each.collect::<Vec<_>>().join(",");
            if list.is_empty() { "--strict".to_owned() } else { format!("--strict={list}") }
        };
        Self {
            unpack_limit: config.number(&[&own("unpacklimit"), "transfer.unpacklimit"]),
            strict: checks.then(severities),
            max_input: config.number(&[&own("maxinputsize")]).filter(|limit| *limit > 0),
            verbose: false,
            quiet: false,
            shallow_file: None,
            promised: false,
            environment: Vec::new(),
        }
    }

    fn command(&self, repository: &Repository, quarantine: &Quarantine, objects: u32) -> Command {
        let git = repository.git().with(quarantine.environment());
        let git = git.with(self.environment.iter().cloned());
        let git = git.with(self.shallow_file.iter().flat_map(|path| shallow::environment(path)));
        let limit = self.unpack_limit.unwrap_or(UNPACK_LIMIT);
        // Only a pack can carry the mark of a promise.
        let mut command = if i64::from(objects) < limit && !self.promised {
            let mut command = git.command(&["unpack-objects"]);
            command.args(self.quiet.then_some("-q"));
            command
        } else {
            let mut command =
                git.command(&["index-pack", "--stdin", "--fix-thin", "--keep=receiving a pack"]);
            command.arg("--report-end-of-input");
            command.args(self.promised.then_some("--promisor"));
            command.args(self.verbose.then_some("-v"));
            command.args((!self.quiet).then_some("--show-resolving-progress"));
            command
        };
        command.args(self.strict.as_ref());
        command.args(self.max_input.map(|limit| format!("--max-input-size={limit}")));
        command
    }
}

/// A pack that was not stored, in the words that Git's servers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It ended within its first twelve bytes.
    #[error("eof before pack header was fully read")]
    NoHeader,
    /// It does not begin as a pack does.
    #[error("protocol error (pack signature mismatch detected)")]
    Signature,
    /// It is of another version.
    #[error("protocol error (pack version unsupported)")]
    Version,
    /// `unpack-objects` refused it; it said why.
    #[error("unpack-objects abnormal exit")]
    Unpack,
    /// `index-pack` refused it; it said why.
    #[error("index-pack abnormal exit")]
    Index,
}

/// A pack being stored. Dropping it before [`PackStore::finish`] leaves nothing behind.
#[derive(Debug)]
pub struct PackStore {
    /// Before the quarantine, and so dropped before it: a program that still ran would go on writing there.
    state: Storing,
    quarantine: Quarantine,
    options: StoreOptions,
    mailbox: Mailbox,
}

#[derive(Debug)]
enum Storing {
    /// The first bytes, which tell how many objects follow.
    Header(BytesMut),
    /// The program that stores it, and what still waits for it.
    Running { process: Process, pieces: Option<Sender<Piece>>, waiting: usize, unpacks: bool },
    /// It will not be stored.
    Refused(StoreError),
}

/// What the program that stores a pack is given.
#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    /// So many bytes of a file.
    File(File, u64),
}

impl PackStore {
    /// A store for one pack, in a quarantine of its own.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn new(repository: &Repository, options: StoreOptions, mailbox: &Mailbox) -> Result<Self, Error> {
        let quarantine = Quarantine::create(repository.objects_dir())?;
        let state = Storing::Header(BytesMut::new());
        Ok(Self { quarantine, options, mailbox: mailbox.clone(), state })
    }

    /// Takes the next bytes. `false`: the pack is refused, [`PackStore::finish`] tells why.
    ///
    /// # Errors
    /// [`Error::Io`] when the program that stores it cannot be started.
    pub fn push(&mut self, repository: &Repository, bytes: Bytes) -> Result<bool, Error> {
        match &mut self.state {
            Storing::Header(head) => {
                head.extend_from_slice(&bytes);
                match object_count(head) {
                    None => return Ok(true),
                    Some(Err(error)) => self.state = Storing::Refused(error),
                    Some(Ok(objects)) => {
                        let first = head.split().freeze();
                        self.start(repository, objects, first)?;
                    }
                }
            }
            Storing::Running { pieces, waiting, .. } => {
                if pieces.as_ref().is_some_and(|pieces| pieces.send(Piece::Bytes(bytes)).is_ok()) {
                    *waiting = waiting.saturating_add(1);
                }
            }
            Storing::Refused(_) => {}
        }
        Ok(!matches!(self.state, Storing::Refused(_)))
    }

    /// Takes the first `length` bytes of a file: they are not held, however many they are.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn push_file(&mut self, repository: &Repository, path: &Path, length: u64) -> Result<bool, Error> {
        let failed = || Error::io("what was kept of a pack cannot be read");
        let mut file = File::open(path).map_err(failed())?;
        let first = length.min(HEADER);
        let mut head = Vec::new();
        Read::by_ref(&mut file).take(first).read_to_end(&mut head).map_err(failed())?;
        let is_taken = self.push(repository, head.into())?;
        if let Storing::Running { pieces: Some(pieces), waiting, .. } = &mut self.state {
            if pieces.send(Piece::File(file, length.saturating_sub(first))).is_ok() {
                *waiting = waiting.saturating_add(1);
            }
        }
        Ok(is_taken)
    }

    /// No more bytes will come. `false`: there was not even a header, and no program is running.
    pub fn end(&mut self) -> bool {
        match &mut self.state {
            Storing::Running { pieces, .. } => *pieces = None,
            Storing::Header(_) => self.state = Storing::Refused(StoreError::NoHeader),
            Storing::Refused(_) => {}
        }
        self.is_running()
    }

    /// Whether a program is running that is going to post [`Work::StoreEnded`].
    pub const fn is_running(&self) -> bool {
        matches!(self.state, Storing::Running { .. })
    }

    /// Whether there is room for more.
    pub const fn has_room(&self) -> bool {
        match &self.state {
            Storing::Running { waiting, .. } => *waiting < WAITING,
            Storing::Header(_) | Storing::Refused(_) => true,
        }
    }

    /// A piece has been written.
    pub const fn taken(&mut self) {
        if let Storing::Running { waiting, .. } = &mut self.state {
            *waiting = waiting.saturating_sub(1);
        }
    }

    /// How it went, after [`Work::StoreEnded`] or when no program is running: the objects, still in
    /// quarantine.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(self) -> Result<Result<Quarantine, StoreError>, Error> {
        Ok(match self.state {
            Storing::Running { mut process, unpacks, .. } => match (process.wait()?.success(), unpacks) {
                (true, _) => Ok(self.quarantine),
                (false, true) => Err(StoreError::Unpack),
                (false, false) => Err(StoreError::Index),
            },
            Storing::Header(_) => Err(StoreError::NoHeader),
            Storing::Refused(error) => Err(error),
        })
    }

    fn start(&mut self, repository: &Repository, objects: u32, first: Bytes) -> Result<(), Error> {
        let mut command = self.options.command(repository, &self.quarantine, objects);
        let unpacks = command.get_args().next() == Some("unpack-objects".as_ref());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command)?;
        let (stdin, stdout, stderr) = (process.stdin(), process.stdout(), process.stderr());
        let (sender, given) = channel();
        let mailbox = self.mailbox.clone();
        thread::spawn(move || stdin.map(|stdin| feed(stdin, &given, &mailbox)));
        let mailbox = self.mailbox.clone();
        // Both programs read no further than the pack's trailer and end by themselves.
        thread::spawn(move || {
            let messages = relay(stderr, &mailbox);
            let _ = stdout.map(|mut stdout| io::copy(&mut stdout, &mut io::sink()));
            let _ = messages.join();
            mailbox.post(Work::StoreEnded);
        });
        let waiting = usize::from(sender.send(Piece::Bytes(first)).is_ok());
        self.state = Storing::Running { process, pieces: Some(sender), waiting, unpacks };
        Ok(())
    }
}

/// Writes piece after piece. A program that stopped reading has made up its mind; the rest is dropped.
fn feed(mut stdin: impl Write, given: &Receiver<Piece>, mailbox: &Mailbox) {
    let mut reads = true;
    while let Ok(piece) = given.recv() {
        reads = reads
            && match piece {
                Piece::Bytes(bytes) => stdin.write_all(&bytes).is_ok(),
                Piece::File(file, length) => io::copy(&mut file.take(length), &mut stdin).is_ok(),
            };
        if !mailbox.post(Work::PieceTaken) {
            return;
        }
    }
}

/// The number of objects that a pack's header announces; `None` while it is not all there.
fn object_count(head: &[u8]) -> Option<Result<u32, StoreError>> {
    let (signature, rest) = head.split_first_chunk::<4>()?;
    let (version, rest) = rest.split_first_chunk::<4>()?;
    let (objects, _) = rest.split_first_chunk::<4>()?;
    Some(match (signature, u32::from_be_bytes(*version)) {
        (b"PACK", 2 | 3) => Ok(u32::from_be_bytes(*objects)),
        (b"PACK", _) => Err(StoreError::Version),
        (_, _) => Err(StoreError::Signature),
    })
}
