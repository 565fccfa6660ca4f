//! Git's hooks for a push, run as Git runs them: standing in the repository, `GIT_DIR=.`, their output to the
//! client.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use bytes::Bytes;

use super::drive::{Mailbox, Work};
use super::error::Error;
use super::process::{Git, Process, pieces};
use super::repository::os;

/// Bytes of output in one piece.
const MESSAGE: usize = 4096;

/// Variables and their values.
pub type Environment = Vec<(String, OsString)>;

/// A repository's hooks.
#[derive(Clone, Debug)]
pub struct Hooks {
    directory: PathBuf,
    mailbox: Mailbox,
}

/// One run of a hook.
#[derive(Clone, Debug, Default)]
pub struct Call<'a> {
    /// Its arguments: opaque bytes, handed over as they are.
    pub arguments: Vec<&'a [u8]>,
    /// What it reads; it may leave it unread.
    pub input: Vec<u8>,
    /// What its environment holds besides.
    pub environment: &'a [(String, OsString)],
}

impl Hooks {
    /// The hooks of the repository, wherever `core.hooksPath` puts them; their output is posted to `mailbox`.
    ///
    /// # Errors
    /// [`Error::Git`], [`Error::Io`].
    pub fn find(git: &Git, mailbox: &Mailbox) -> Result<Self, Error> {
        let path = git.ask(&["rev-parse", "--git-path", "hooks"], Vec::new())?;
        let path = path.strip_suffix(b"\n").unwrap_or(&path);
        Ok(Self { directory: git.dir().join(os(path)), mailbox: mailbox.clone() })
    }

    /// The program of a hook, if there is one that can be run.
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        let program = self.directory.join(name);
        let found = fs::metadata(&program).ok()?;
        (found.is_file() && is_executable(&found)).then_some(program)
    }

    /// Runs a hook to its end. `true`: it agreed, or there is none.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be started.
    pub fn run(&self, git: &Git, name: &str, call: Call<'_>) -> Result<bool, Error> {
        let Some(program) = self.program(name) else { return Ok(true) };
        let mut command = git.speaking_hook(&program);
        command.args(call.arguments.iter().map(|argument| os(argument)));
        command.envs(call.environment.iter().map(|(name, value)| (name, value)));
        self.run_to_end(command, call.input)
    }

    /// Runs any program as a hook: both of its outputs go to the client.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be started.
    pub fn run_to_end(&self, mut command: Command, input: Vec<u8>) -> Result<bool, Error> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command)?;
        let (stdin, stdout, stderr) = (process.stdin(), process.stdout(), process.stderr());
        thread::scope(|scope| {
            scope.spawn(|| stdout.map(|stdout| self.relay(stdout)));
            scope.spawn(|| stderr.map(|stderr| self.relay(stderr)));
            // A hook that reads nothing is a hook all the same.
            let _ = stdin.map(|mut stdin| stdin.write_all(&input));
        });
        Ok(process.wait()?.success())
    }

    /// Hands on to the client what a hook says.
    pub fn relay(&self, output: impl std::io::Read) {
        // Half a message is better than none. A client that is gone does not stop a hook.
        let _ = pieces(output, MESSAGE, |piece| {
            self.mailbox.post(Work::Message(piece));
            true
        });
    }
}

/// `GIT_PUSH_OPTION_COUNT` and the options, as values of the environment and never as text of a command
/// (T17). Without any the count is 0, as Git has it.
pub fn option_environment(options: &[Bytes]) -> Environment {
    let each = options.iter().enumerate().map(|(index, text)| (format!("GIT_PUSH_OPTION_{index}"), os(text)));
    each.chain([("GIT_PUSH_OPTION_COUNT".to_owned(), options.len().to_string().into())]).collect()
}

#[cfg(unix)]
fn is_executable(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    found.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_found: &fs::Metadata) -> bool {
    true
}
