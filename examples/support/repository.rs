//! A repository, found as Git finds it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use portline::git::{ObjectFormat, ObjectId, Ref, RefName};

use super::config::Config;
use super::error::Error;
use super::objects::ObjectReader;
use super::process::{Git, capture, clean, complaint};
use super::refs;

/// How a directory that was named becomes a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lookup {
    /// `DIR/.git`, `DIR`, `DIR.git/.git`, `DIR.git`: the first that is one. As Git without `--strict`.
    #[default]
    Git,
    /// `DIR` and nothing else.
    Strict,
}

/// An open repository.
#[derive(Clone, Debug)]
pub struct Repository {
    git: Git,
    format: ObjectFormat,
    config: Config,
    objects: PathBuf,
    common: PathBuf,
}

impl Repository {
    /// Opens the repository that `path` names. Whether it may be used at all (its owner, `safe.directory`) is
    /// asked of Git itself, by the same check that its own servers make.
    ///
    /// # Errors
    /// [`Error::NotARepository`], [`Error::Unusable`], [`Error::Io`].
    pub fn open(path: &Path, lookup: Lookup) -> Result<Self, Error> {
        let not_one = || Error::NotARepository { path: path.to_owned() };
        let git_dir = resolve(path, lookup).ok_or_else(not_one)?;
        let git_dir = git_dir.canonicalize().map_err(Error::io("the repository cannot be resolved"))?;
        let format = check(&git_dir).map_err(|error| match error {
            Error::NotARepository { .. } => not_one(),
            other => other,
        })?;
        let git = Git::new(git_dir);
        let asked = git.ask(&["rev-parse", "--git-path", "objects", "--git-common-dir"], Vec::new())?;
        let mut lines = asked.split(|byte| *byte == b'\n').map(|line| git.dir().join(os(line)));
        let objects = lines.next().unwrap_or_else(|| git.dir().join("objects"));
        let common = lines.next().unwrap_or_else(|| git.dir().to_owned());
        let config = Config::load(&git)?;
        Ok(Self { git, format, config, objects, common })
    }

    /// How Git's programs are started in it.
    pub const fn git(&self) -> &Git {
        &self.git
    }

    /// The hash function of its objects.
    pub const fn format(&self) -> ObjectFormat {
        self.format
    }

    /// Its settings as they were when it was opened.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// A setting that names a file, with `~` and `%(prefix)` resolved as Git does; `None` where it is not set, or empty.
    ///
    /// # Errors
    /// [`Error::Git`] where Git cannot tell what it stands for, [`Error::Io`].
    pub fn path_setting(&self, name: &str) -> Result<Option<OsString>, Error> {
        if self.config.value(name).is_none_or(<[u8]>::is_empty) {
            return Ok(None);
        }
        let path = self.git.ask(&["config", "--type=path", "--null", "--get", name], Vec::new())?;
        Ok(Some(os(path.strip_suffix(b"\0").unwrap_or(&path))))
    }

    /// Its object directory, absolute.
    pub fn objects_dir(&self) -> &Path {
        &self.objects
    }

    /// The directory that all work trees share, absolute; for most repositories its Git directory.
    pub fn common_dir(&self) -> &Path {
        &self.common
    }

    /// Whether it is set up without a work tree.
    pub fn is_bare(&self) -> bool {
        self.config.truth("core.bare").unwrap_or(false)
    }

    /// Its refs, sorted by name, with `HEAD` in front if that names something.
    ///
    /// # Errors
    /// [`Error::Git`], [`Error::Answer`], [`Error::Io`].
    pub fn refs(&self) -> Result<Vec<Ref>, Error> {
        refs::list(&self.git)
    }

    /// Its refs whose names begin with one of `prefixes`, or all of them; with a `HEAD` that is not born yet.
    ///
    /// # Errors
    /// As [`Repository::refs`].
    pub fn refs_below(&self, prefixes: Option<&[Bytes]>) -> Result<Vec<Ref>, Error> {
        refs::list_below(&self.git, self.format, prefixes)
    }

    /// Its refs without `HEAD`: what a push or a sync looks at.
    ///
    /// # Errors
    /// As [`Repository::refs`].
    pub fn refs_without_head(&self) -> Result<Vec<Ref>, Error> {
        let mut listed = self.refs()?;
        listed.retain(|entry| !entry.name.is_head());
        Ok(listed)
    }

    /// The branch that `HEAD` stands for, born or not; `None` when it is detached.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn head_branch(&self) -> Result<Option<RefName>, Error> {
        let output = self.git.run(&["symbolic-ref", "--quiet", "HEAD"], Vec::new())?;
        Ok(RefName::new(output.stdout.trim_ascii()).ok())
    }

    /// The object that a user's revision names.
    ///
    /// # Errors
    /// [`Error::Usage`] when it names none.
    pub fn resolve_revision(&self, revision: &str) -> Result<ObjectId, Error> {
        let asked = ["rev-parse", "--verify", "--quiet", "--end-of-options", revision];
        let output = self.git.run(&asked, Vec::new())?;
        ObjectId::from_hex(output.stdout.trim_ascii())
            .map_err(|_| Error::Usage(format!("'{revision}' names nothing in {}", self.git.dir().display())))
    }

    /// A long-lived reader of its objects.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn object_reader(&self) -> Result<ObjectReader, Error> {
        ObjectReader::start(&self.git, self.shallow()?)
    }

    /// A reader that sees what `git` sees: the repository and a quarantine in front of it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn object_reader_through(&self, git: &Git) -> Result<ObjectReader, Error> {
        ObjectReader::start(git, self.shallow()?)
    }

    /// The commits at which history was cut off.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn shallow(&self) -> Result<Vec<ObjectId>, Error> {
        match fs::read(self.common.join("shallow")) {
            Ok(text) => Ok(text
                .split(|byte| *byte == b'\n')
                .filter_map(|line| ObjectId::from_hex(line).ok())
                .collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::io("the list of shallow commits cannot be read")(error)),
        }
    }

    /// What the refs of alternate repositories point to: objects that are here although no ref of ours names
    /// them. An alternate that cannot be read has none.
    pub fn alternate_tips(&self) -> Vec<ObjectId> {
        let Ok(listed) = fs::read(self.objects.join("info/alternates")) else { return Vec::new() };
        let mut tips = Vec::new();
        for line in
            listed.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#"))
        {
            let objects = self.objects.join(os(line));
            let Some(owner) = objects.parent().filter(|owner| owner.join("HEAD").exists()) else { continue };
            let asked =
                Git::new(owner.to_owned()).ask(&["for-each-ref", "--format=%(objectname)"], Vec::new());
            let listed = asked.unwrap_or_default();
            tips.extend(listed.split(|byte| *byte == b'\n').filter_map(|id| ObjectId::from_hex(id).ok()));
        }
        tips.sort_unstable();
        tips.dedup();
        tips
    }
}

/// Set where Git is asked whether a repository may be served: a server that is put in Git's place and finds this set
/// would be asking itself.
pub const ASKED: &str = "PORTLINE_ASKED_GIT";

/// The directory that Git would use for `path`.
fn resolve(path: &Path, lookup: Lookup) -> Option<PathBuf> {
    let suffixes: &[&str] = match lookup {
        Lookup::Git => &["/.git", "", ".git/.git", ".git"],
        Lookup::Strict => &[""],
    };
    suffixes.iter().find_map(|suffix| {
        let mut candidate = path.as_os_str().to_owned();
        candidate.push(suffix);
        git_dir(Path::new(&candidate))
    })
}

/// `candidate` itself if it looks like a repository, or where it points to if it is a gitfile.
fn git_dir(candidate: &Path) -> Option<PathBuf> {
    if candidate.is_file() {
        let text = fs::read(candidate).ok()?;
        let target = text.strip_prefix(b"gitdir: ")?.trim_ascii_end();
        return git_dir(&candidate.parent()?.join(os(target)));
    }
    // A linked work tree has HEAD and a pointer to the directory that holds the rest.
    let whole = candidate.join("objects").is_dir() && candidate.join("refs").is_dir();
    let looks_right = fs::symlink_metadata(candidate.join("HEAD")).is_ok()
        && (whole || candidate.join("commondir").is_file());
    looks_right.then(|| candidate.to_owned())
}

/// Lets Git decide whether it would serve this repository, and tells its hash function: a server's greeting
/// in version 2 is a few lines however many refs there are.
fn check(git_dir: &Path) -> Result<ObjectFormat, Error> {
    let mut command = Command::new("git");
    clean(&mut command).args(["upload-pack", "--strict", "--http-backend-info-refs"]).arg(git_dir);
    command.env("GIT_PROTOCOL", "version=2").env(ASKED, "1");
    let output = capture(command, Vec::new())?;
    if !output.status.success() {
        let message = complaint(&output.stderr).to_vec();
        let unknown = message.ends_with(b"does not appear to be a git repository");
        let path = git_dir.to_owned();
        return Err(if unknown { Error::NotARepository { path } } else { Error::Unusable { message } });
    }
    let mut words = output.stdout.split(|byte| *byte == b'\n');
    let format = words.find_map(|line| line.get(4..)?.strip_prefix(b"object-format="));
    Ok(format.and_then(ObjectFormat::from_name).unwrap_or_default())
}

/// Bytes as the operating system's text.
pub fn os(bytes: &[u8]) -> OsString {
    #[cfg(unix)]
    {
        std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec())
    }
    #[cfg(not(unix))]
    {
        String::from_utf8_lossy(bytes).into_owned().into()
    }
}
