//! Child processes: Git's programs with a clean environment, ended when they are no longer needed.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::thread;

use super::error::Error;

/// Variables that tie a Git program to one repository or one session. Those of the caller belong to another
/// repository (Git's own transports drop them, too) and would make a server read the wrong objects.
const REPOSITORY_VARIABLES: [&str; 18] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_PROTOCOL",
    "GIT_PUSH_OPTION_COUNT",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// Takes the caller's repository out of a command's environment.
pub fn clean(command: &mut Command) -> &mut Command {
    for name in REPOSITORY_VARIABLES {
        command.env_remove(name);
    }
    command
}

/// How Git is started for one repository: its directory and what else its programs must see.
#[derive(Clone, Debug)]
pub struct Git {
    git_dir: PathBuf,
    environment: Vec<(&'static str, OsString)>,
}

impl Git {
    /// Git in the repository at the absolute path `git_dir`.
    pub const fn new(git_dir: PathBuf) -> Self {
        Self { git_dir, environment: Vec::new() }
    }

    /// The same with `more` in the environment.
    pub fn with(&self, more: impl IntoIterator<Item = (&'static str, OsString)>) -> Self {
        let mut this = self.clone();
        this.environment.extend(more);
        this
    }

    /// The repository's directory.
    pub fn dir(&self) -> &Path {
        &self.git_dir
    }

    /// `git` with these arguments, standing in the repository. Replacement objects are not looked at: they
    /// are a local view of history, and a peer must get the objects as they are. Nor is anything fetched that a
    /// partial clone lacks: what is asked here is what is there, and a client that fetched in order to fetch would
    /// never end.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        clean(&mut command).args(arguments).current_dir(&self.git_dir);
        command.env("GIT_DIR", &self.git_dir).env("GIT_NO_REPLACE_OBJECTS", "1");
        command.env("GIT_NO_LAZY_FETCH", "1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The environment that a hook of this repository starts with, which stands in the repository's
    /// directory.
    pub fn hook(&self, program: &Path) -> Command {
        self.in_place(Command::new(program))
    }

    /// A hook whose standard output goes where its errors go, so that what it says keeps its order. The shell is told
    /// these words and no others; program and arguments are its arguments.
    #[cfg(unix)]
    pub fn speaking_hook(&self, program: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exec \"$0\" \"$@\" >&2"]).arg(program);
        self.in_place(command)
    }

    /// A hook whose outputs both go to the client.
    #[cfg(not(unix))]
    pub fn speaking_hook(&self, program: &Path) -> Command {
        self.hook(program)
    }

    fn in_place(&self, mut command: Command) -> Command {
        clean(&mut command).current_dir(&self.git_dir).env("GIT_DIR", ".");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a program to its end with `input` on its standard input.
    ///
    /// # Errors
    /// [`Error::Io`]. How the program ended is for the caller to see.
    pub fn run(&self, arguments: &[&str], input: Vec<u8>) -> Result<Output, Error> {
        capture(self.command(arguments), input)
    }

    /// Runs a program that must succeed and gives its standard output.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Git`].
    pub fn ask(&self, arguments: &[&str], input: Vec<u8>) -> Result<Vec<u8>, Error> {
        let output = self.run(arguments, input)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(failed(arguments, output.stderr))
    }
}

/// The error of a program that was started with `arguments`.
pub fn failed(arguments: &[&str], stderr: Vec<u8>) -> Error {
    let known = PROGRAMS.into_iter().find(|program| arguments.first() == Some(program));
    Error::Git { command: known.unwrap_or("program"), message: complaint(&stderr).to_vec() }
}

const PROGRAMS: [&str; 12] = [
    "cat-file",
    "config",
    "for-each-ref",
    "index-pack",
    "merge-base",
    "pack-objects",
    "rev-list",
    "rev-parse",
    "symbolic-ref",
    "unpack-objects",
    "update-ref",
    "worktree",
];

/// Git's complaint without its first word and the line's end.
pub fn complaint(stderr: &[u8]) -> &[u8] {
    let text = stderr.trim_ascii();
    text.strip_prefix(b"fatal: ").or_else(|| text.strip_prefix(b"error: ")).unwrap_or(text)
}

/// Runs a command to its end; the input is written beside the reading, so neither side can block the other.
///
/// # Errors
/// [`Error::Io`].
pub fn capture(mut command: Command, input: Vec<u8>) -> Result<Output, Error> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(Error::io("a child process cannot be started"))?;
    let stdin = child.stdin.take();
    thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(mut stdin) = stdin {
                // A program that does not read to the end says why by how it ends.
                let _ = stdin.write_all(&input);
            }
        });
        child.wait_with_output()
    })
    .map_err(Error::io("a child process cannot be waited for"))
}

/// A running child. Dropping it ends the child.
#[derive(Debug)]
pub struct Process {
    child: Child,
    ended: bool,
}

impl Process {
    /// Starts `command` with the streams it was given.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn spawn(command: &mut Command) -> Result<Self, Error> {
        let child = command.spawn().map_err(Error::io("a child process cannot be started"))?;
        Ok(Self { child, ended: false })
    }

    /// Its standard input, once, if piped.
    pub const fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its standard output, once, if piped.
    pub const fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its standard error, once, if piped.
    pub const fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn wait(&mut self) -> Result<ExitStatus, Error> {
        drop(self.child.stdin.take());
        let status = self.child.wait().map_err(Error::io("a child process cannot be waited for"))?;
        self.ended = true;
        Ok(status)
    }

    /// Ends it now.
    pub fn kill(&mut self) {
        if !self.ended {
            // Both fail only when it is already gone.
            let _ = self.child.kill();
            let _ = self.child.wait();
            self.ended = true;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads a stream to its end in pieces as they come and gives each to `take`; stops early when `take` says
/// so.
///
/// # Errors
/// That of the stream.
pub fn pieces(
    mut from: impl Read,
    size: usize,
    mut take: impl FnMut(bytes::Bytes) -> bool,
) -> io::Result<()> {
    let mut buffer = vec![0; size];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if !take(take_piece(&mut buffer, count)) {
            return Ok(());
        }
    }
}

/// The first `count` bytes of a buffer: large pieces leave with the buffer, small ones are copied so that
/// they do not keep a whole buffer alive.
pub fn take_piece(buffer: &mut Vec<u8>, count: usize) -> bytes::Bytes {
    let size = buffer.len();
    if count.saturating_mul(4) < size {
        return bytes::Bytes::copy_from_slice(buffer.get(..count).unwrap_or(buffer));
    }
    let mut piece = std::mem::replace(buffer, vec![0; size]);
    piece.truncate(count);
    piece.into()
}
