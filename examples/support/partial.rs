//! Packs that broke off: what came of them is kept, so that the next attempt goes on from there, and what is whole in
//! them is not fetched again.
//!
//! Each is a file in the repository, named by what was asked for. It is written while the pack comes and removed when
//! the pack is stored.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use portline::git::{Advertisement, ObjectId, Resume};
use sha2::{Digest, Sha256};

use super::error::Error;
use super::history;
use super::pack::{PackStore, StoreOptions};
use super::process::{Process, pieces};
use super::quarantine::Quarantine;
use super::repository::Repository;

/// Where they are, below the repository's common directory.
const FOLDER: &str = "portline/partial";
/// So many are kept, the newest.
const MOST: usize = 4;
/// Bytes hashed at a time.
const PIECE: usize = 64 << 10;
/// Commits of a broken pack that are looked at to find one that is whole.
const TRIES: usize = 64;

/// What the names of fetched packs begin with.
const FETCH: &str = "fetch-";

/// How a pack came here.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Fetch,
    Push,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Fetch => FETCH,
            Self::Push => "push-",
        }
    }
}

/// The pack that a session receives, as it is kept.
#[derive(Debug)]
pub struct Partial {
    path: PathBuf,
    file: Option<File>,
    /// What was there when the session began.
    held: Option<Resume>,
    /// The sender went on from there.
    resumed: bool,
    /// It cannot be kept.
    gave_up: bool,
}

impl Partial {
    /// What is kept of the pack that `asked` named: the same ids and options, the same name.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn of(
        repository: &Repository,
        kind: Kind,
        asked: impl IntoIterator<Item = String>,
    ) -> Result<Self, Error> {
        let mut hash = Sha256::new();
        for part in asked {
            hash.update(part.as_bytes());
            hash.update(b"\n");
        }
        let path = folder(repository).join(format!("{}{}.pack", kind.prefix(), hex(&hash.finalize())));
        let held = match File::open(&path) {
            Ok(file) => digest(file).map_err(Error::io("what was kept of a pack cannot be read"))?,
            // Nothing was kept.
            Err(_) => None,
        };
        Ok(Self { path, file: None, held, resumed: false, gave_up: false })
    }

    /// What is held, to be named to the sender.
    pub const fn held(&self) -> Option<&Resume> {
        self.held.as_ref()
    }

    /// The sender goes on from this byte: what is held before it goes to the store first.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn resumed(
        &mut self,
        offset: u64,
        repository: &Repository,
        store: &mut PackStore,
    ) -> Result<(), Error> {
        if offset == 0 {
            return Ok(());
        }
        self.resumed = true;
        store.push_file(repository, &self.path, offset).map(drop)
    }

    /// Keeps the next bytes. Where they cannot be kept, on a full disk say, the next attempt begins anew; this one goes on.
    pub fn keep(&mut self, bytes: &Bytes) {
        if !self.gave_up && self.write(bytes).is_err() {
            self.forget();
            self.gave_up = true;
        }
    }

    fn write(&mut self, bytes: &Bytes) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let folder = self.path.parent().unwrap_or(&self.path);
                fs::create_dir_all(folder)?;
                prune(folder, &self.path);
                // Without the sender's word all of the pack comes, whatever is held.
                let begins = !self.resumed;
                let mut options = OpenOptions::new();
                let options = options.create(true).write(true).append(!begins).truncate(begins);
                none.insert(options.open(&self.path)?)
            }
        };
        file.write_all(bytes)
    }

    /// The pack has ended before its end: what came of it is kept, unless nothing came behind what was held. Then it never
    /// will be a pack.
    pub fn broke(&mut self) {
        if self.resumed && self.file.is_none() {
            self.forget();
        }
    }

    /// The pack is stored, or is of no use.
    pub fn forget(&mut self) {
        self.file = None;
        // One that stays is found to be of no use the next time.
        let _ = fs::remove_file(&self.path);
    }
}

/// Takes what is whole out of the fetched packs that broke off, but for that of `except`, and forgets them. Answers the
/// commits among it that have all they reach: haves for the next attempt. What others were pushing here is theirs to go
/// on with.
///
/// # Errors
/// [`Error::Io`], [`Error::Git`].
pub fn salvage(repository: &Repository, except: Option<&Partial>) -> Result<Vec<ObjectId>, Error> {
    let mut whole = Vec::new();
    for path in kept(&folder(repository)) {
        let is_fetched = path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with(FETCH));
        if is_fetched && except.is_none_or(|except| path != except.path) {
            whole.extend(salvage_one(repository, &path)?);
            // One that stays is tried again.
            let _ = fs::remove_file(&path);
        }
    }
    Ok(whole)
}

fn salvage_one(repository: &Repository, path: &Path) -> Result<Vec<ObjectId>, Error> {
    // Objects that are to be checked are checked as a whole pack, and this is none.
    if StoreOptions::configured(repository, "fetch").strict.is_some() {
        return Ok(Vec::new());
    }
    // Another session may have been here first.
    let Ok(pack) = File::open(path) else { return Ok(Vec::new()) };
    let quarantine = Quarantine::create(repository.objects_dir())?;
    let git = repository.git().with(quarantine.environment());
    let mut command = git.command(&["unpack-objects", "-q"]);
    command.stdin(pack).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    // It fails at the end, where the pack breaks off: what came before that is there.
    Process::spawn(&mut command)?.wait()?;
    let commits = quarantine.loose()?;
    let mut objects = repository.object_reader_through(&git)?;
    let mut commits = objects.commits(&commits)?;
    commits.sort_by_key(|commit| std::cmp::Reverse(commit.time));
    for commit in commits.iter().take(TRIES) {
        // The newest that is whole: those that it reaches need no mention.
        if history::connected(&git, std::slice::from_ref(&commit.id))?.is_ok() {
            drop(quarantine.migrate()?);
            return Ok(vec![commit.id]);
        }
    }
    Ok(Vec::new())
}

/// The length of what a file holds, and its SHA-256; `None` of nothing.
fn digest(file: File) -> io::Result<Option<Resume>> {
    let (mut hash, mut length) = (Sha256::new(), 0_u64);
    pieces(file, PIECE, |piece| {
        hash.update(&piece);
        length = length.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        true
    })?;
    Ok(Resume::new(length, Bytes::copy_from_slice(&hash.finalize())).ok())
}

/// Whether a stream begins with the part; what it has of it is read.
pub fn begins(stream: &mut impl Read, part: &Resume) -> bool {
    let (mut hash, mut left) = (Sha256::new(), part.offset());
    let mut piece = vec![0; PIECE];
    while left > 0 {
        let size = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        let Some(room) = piece.get_mut(..size) else { return false };
        if stream.read_exact(room).is_err() {
            return false;
        }
        hash.update(&*room);
        left = left.saturating_sub(u64::try_from(size).unwrap_or(left));
    }
    hash.finalize()[..] == part.digest()[..]
}

fn folder(repository: &Repository) -> PathBuf {
    repository.common_dir().join(FOLDER)
}

/// The files, the newest first.
fn kept(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> =
        entries.map(|entry| (entry.metadata().and_then(|file| file.modified()).ok(), entry.path())).collect();
    files.sort();
    files.into_iter().rev().map(|(_, path)| path).collect()
}

fn prune(folder: &Path, except: &Path) {
    let others = kept(folder).into_iter().filter(|path| path != except);
    for path in others.skip(MOST.saturating_sub(1)) {
        let _ = fs::remove_file(path);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the server of a fetch goes on with packs that broke off.
pub fn is_offered(seen: &Advertisement) -> bool {
    const NAME: &str = "portline-resume";
    seen.capabilities.has(NAME) || seen.capabilities.has_feature("fetch", NAME)
}
