//! Repositories, real Git programs and the examples' binaries for tests that talk to both.
#![allow(dead_code, unreachable_pub, unused_imports)]

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::scratch::scratch;
use tempfile::TempDir;

#[path = "../example_program/mod.rs"]
mod example_program;
pub use example_program::example;

/// How long to wait for what must happen before saying that it hangs: nothing here is judged by its speed.
const PATIENCE: Duration = Duration::from_secs(600);

/// `git_server VERB` for `--upload-pack=` and `--receive-pack=`, which are read by a shell.
pub fn server(verb: &str) -> String {
    format!("'{}' {verb}", example("git_server").display())
}

/// A program with nothing of the user's Git in its environment.
pub fn program(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_") {
            command.env_remove(name);
        }
    }
    for (name, value) in [
        ("GIT_CONFIG_GLOBAL", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gitconfig")),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_AUTHOR_NAME", "Author"),
        ("GIT_AUTHOR_EMAIL", "author@example.org"),
        ("GIT_AUTHOR_DATE", "1700000000 +0000"),
        ("GIT_COMMITTER_NAME", "Committer"),
        ("GIT_COMMITTER_EMAIL", "committer@example.org"),
        ("GIT_COMMITTER_DATE", "1700000000 +0000"),
        ("LC_ALL", "C"),
        ("TZ", "UTC"),
    ] {
        command.env(name, value);
    }
    command
}

/// Runs a program with `input`; one that hangs fails the test.
pub fn run(command: Command, input: &[u8]) -> Output {
    run_within(PATIENCE, command, input)
}

/// The same with a patience of one's own. What hangs is ended with all that it has started.
pub fn run_within(patience: Duration, mut command: Command, input: &[u8]) -> Output {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let shown = format!("{command:?}");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (id, stdin, input) = (child.id(), child.stdin.take(), input.to_vec());
    thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
    let (sender, done) = channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    done.recv_timeout(patience).map_or_else(
        |_| {
            Command::new("kill").args(["-KILL", "--", &format!("-{id}")]).status().unwrap();
            panic!("hangs: {shown}");
        },
        Result::unwrap,
    )
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A directory with repositories.
pub struct Sandbox {
    root: TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        Self { root: scratch() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }

    /// Git in the repository `name`, whatever comes of it.
    pub fn git(&self, name: &str, arguments: &[&str]) -> Output {
        let mut command = program("git");
        command.arg("-C").arg(self.path(name)).args(arguments);
        run(command, b"")
    }

    /// Git that must succeed; its output without the last line break.
    pub fn ok(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.git(name, arguments);
        assert!(output.status.success(), "git {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    }

    /// Git that must fail; what it says.
    pub fn fails(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.git(name, arguments);
        assert!(!output.status.success(), "git {arguments:?}: {}", text(&output.stdout));
        text(&output.stderr)
    }

    /// Git that must succeed, with input.
    pub fn feed(&self, name: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut command = program("git");
        command.arg("-C").arg(self.path(name)).args(arguments);
        let output = run(command, input);
        assert!(output.status.success(), "git {arguments:?}: {}", text(&output.stderr));
        output.stdout
    }

    /// A new repository.
    pub fn init(&self, name: &str, bare: bool) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        let kind: &[&str] = if bare { &["--bare"] } else { &[] };
        self.ok(name, &[&["init", "-q", "-b", "main"], kind].concat());
        path
    }

    /// A bare repository with merges, several roots, annotated and nested tags, a tag of a file, and `refs` more refs.
    pub fn rich(&self, name: &str, refs: usize) -> PathBuf {
        let path = self.init(name, true);
        self.feed(name, &["fast-import", "--quiet"], &history(40, 0));
        self.ok(name, &["tag", "-a", "-m", "annotated", "v1", "main~5"]);
        self.ok(name, &["tag", "-a", "-m", "nested", "v1-nested", "v1"]);
        self.ok(name, &["tag", "-a", "-m", "a file", "file", "main:file"]);
        self.ok(name, &["tag", "light", "main~7"]);
        let id = self.ok(name, &["rev-parse", "main~3"]);
        let more: String = (0..refs).map(|n| format!("create refs/heads/many/{n:05} {id}\n")).collect();
        self.feed(name, &["update-ref", "--stdin"], more.as_bytes());
        path
    }

    /// A commit on top of a branch of a bare or other repository, without a work tree. Its id.
    pub fn commit(&self, name: &str, branch: &str, content: &str) -> String {
        let full = format!("refs/heads/{branch}");
        let born = self.git(name, &["rev-parse", "-q", "--verify", &full]).status.success();
        let from = if born { format!("from {full}^0\n") } else { String::new() };
        let size = content.len();
        let stream = format!(
            "commit {full}\ncommitter C <c@example.org> 1700100000 +0000\ndata 1\nx\n{from}M 644 inline {branch}-file\ndata {size}\n{content}\n"
        );
        self.feed(name, &["fast-import", "--quiet", "--force"], stream.as_bytes());
        self.ok(name, &["rev-parse", &full])
    }

    /// All refs with their ids.
    pub fn refs(&self, name: &str) -> String {
        self.ok(name, &["for-each-ref", "--format=%(objectname) %(refname)"])
    }

    pub fn id(&self, name: &str, revision: &str) -> String {
        self.ok(name, &["rev-parse", "--verify", revision])
    }

    pub fn set(&self, name: &str, key: &str, value: &str) {
        self.ok(name, &["config", "--add", key, value]);
    }

    /// The repository is whole, and nothing is left over from receiving.
    pub fn check(&self, name: &str) {
        let said = self.ok(name, &["fsck", "--full", "--strict", "--no-dangling"]);
        assert_eq!(said, "");
        let objects = self.ok(name, &["rev-parse", "--git-path", "objects"]);
        let objects = self.path(name).join(objects);
        for entry in fs::read_dir(&objects).unwrap().chain(fs::read_dir(objects.join("pack")).unwrap()) {
            let entry = entry.unwrap().file_name().into_string().unwrap();
            assert!(!entry.starts_with("tmp_") && !entry.ends_with(".keep"), "left over: {entry}");
        }
    }

    /// An executable hook.
    pub fn hook(&self, name: &str, hook: &str, script: &str) {
        let path = self.path(name).join(self.ok(name, &["rev-parse", "--git-path", "hooks"]));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join(hook), format!("#!/bin/sh\n{script}\n")).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(path.join(hook), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    /// Bare repositories `origin.git`, with history and so many refs, and `work.git`, a clone of it to push from.
    pub fn pair(refs: usize) -> Self {
        let this = Self::new();
        this.rich("origin.git", refs);
        this.ok("", &["clone", "-q", "--bare", "origin.git", "work.git"]);
        this
    }

    /// Our client with these arguments, standing here.
    pub fn client(&self, arguments: &[&str]) -> Output {
        let mut command = program(example("git_client"));
        command.args(arguments).current_dir(self.path(""));
        run(command, b"")
    }

    /// The real `git daemon`, started for each connection as inetd would. Its address; it serves as long as the test
    /// runs.
    #[cfg(unix)]
    pub fn real_daemon(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let base = format!("--base-path={}", self.path("").display());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = std::os::fd::OwnedFd::from(stream.unwrap());
                let mut command = program("git");
                command.args(["daemon", "--inetd", "--export-all", "--enable=receive-pack", &base]);
                command.stdin(Stdio::from(stream.try_clone().unwrap())).stdout(Stdio::from(stream));
                let mut child = command.stderr(Stdio::null()).spawn().unwrap();
                thread::spawn(move || child.wait());
            }
        });
        format!("git://{address}")
    }

    /// Our daemon for all repositories here.
    pub fn daemon(&self, options: &[&str]) -> Daemon {
        let mut command = program(example("git_server"));
        command.arg("daemon").arg(self.path("")).args(["--listen", "127.0.0.1:0"]).args(options);
        Daemon::start(command)
    }
}

/// A fast-import stream: `main` with a merge of `side` every fifth commit, and `island`, which shares nothing.
/// Branch tips grow by `count` commits; `seed` tells streams apart.
pub fn history(count: usize, seed: usize) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut put = |branch: &str, n: usize, merge: &str| {
        let body = format!("{seed} {branch} {n}\n").repeat(20);
        let time = 1_690_000_000 + n * 60;
        stream.extend_from_slice(
            format!(
                "commit refs/heads/{branch}\ncommitter C <c@example.org> {time} +0000\ndata 2\n{:02}\n{merge}M 644 inline file\ndata {}\n{body}\nM 644 inline dir{}/f{n}\ndata {}\n{body}\n",
                n % 100, body.len(), n % 3, body.len(),
            )
            .as_bytes(),
        );
    };
    put("main", 0, "");
    put("side", 1, "from refs/heads/main\n");
    put("island", 2, "");
    for n in 3..count {
        put("side", n, "");
        put("main", n, if n % 5 == 0 { "merge refs/heads/side\n" } else { "" });
    }
    stream.extend_from_slice(b"done\n");
    stream
}

/// A running daemon; it ends with the test.
pub struct Daemon {
    child: Child,
    address: String,
}

impl Daemon {
    /// Starts `git_server daemon` and waits until it listens.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, address }
    }

    /// A connection for a client of the test's own. A server that says nothing for too long fails the test.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub fn url(&self, name: &str) -> String {
        format!("git://{}/{name}", self.address)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One pkt-line.
pub fn pkt(data: impl AsRef<[u8]>) -> Vec<u8> {
    let data = data.as_ref();
    [format!("{:04x}", data.len() + 4).as_bytes(), data].concat()
}

/// How often `needle` stands in `text`.
pub fn count(text: &[u8], needle: &[u8]) -> usize {
    text.windows(needle.len()).filter(|window| *window == needle).count()
}
