//! One cell of the matrix: an operation, done with a Git through a transport, in a directory of its own.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use crate::support_repo::{history, program, run, run_within, server, text};
use crate::transport::{Transport, World, spoken};

/// How long one Git may take in a cell: a moment, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The hash functions.
pub const FORMATS: [&str; 2] = ["sha1", "sha256"];

/// What the operations begin with, for one hash function, made by Git alone. Cells read it and copy from it.
pub struct Fixture {
    pub format: &'static str,
    pub path: PathBuf,
}

impl Fixture {
    /// - `origin.git`: branches with merges, tags of all kinds, one ref outside of both;
    /// - `shallow.git`: two commits deep;
    /// - `empty.git`: nothing;
    /// - `work`: a clone of `origin.git` as it was, with commits of its own.
    pub fn new(world: &World, format: &'static str) -> Self {
        let path = world.sandbox.path(format);
        fs::create_dir_all(&path).unwrap();
        let this = Self { format, path };
        let object_format = format!("--object-format={format}");
        for name in ["origin.git", "empty.git"] {
            this.ok("", &["init", "-q", "--bare", "--template=", "-b", "main", &object_format, name]);
            for (key, value) in [
                ("uploadpack.allowFilter", "true"),
                ("uploadpack.allowAnySHA1InWant", "true"),
                ("receive.advertisePushOptions", "true"),
                ("receive.certNonceSeed", "a seed"),
                ("core.logAllRefUpdates", "false"),
                ("core.fsync", "none"),
            ] {
                this.ok(name, &["config", key, value]);
            }
        }
        this.feed("origin.git", &["fast-import", "--quiet"], &history(30, 0));
        this.ok("origin.git", &["tag", "-a", "-m", "annotated", "v1", "main~5"]);
        this.ok("origin.git", &["tag", "-a", "-m", "nested", "v1-nested", "v1"]);
        this.ok("origin.git", &["tag", "-a", "-m", "a file", "file", "main:file"]);
        this.ok("origin.git", &["tag", "light", "main~7"]);
        this.ok("origin.git", &["update-ref", "refs/notes/x", "island"]);
        this.ok("origin.git", &["gc", "--quiet"]);
        this.ok("", &["clone", "-q", "--template=", "origin.git", "work"]);
        this.ok("work", &["remote", "set-head", "origin", "--delete"]);
        this.ok(
            "",
            &[
                "clone",
                "-q",
                "--bare",
                "--depth=2",
                &format!("file://{}", this.dir("origin.git").display()),
                "shallow.git",
            ],
        );
        let mut key = program("ssh-keygen");
        key.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(this.dir("key"));
        assert!(run(key, b"").status.success(), "ssh-keygen");
        for n in 0..3 {
            this.commit("work", "main", n);
            this.commit("work", "topic", n);
        }
        this
    }

    pub fn dir(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn feed(&self, name: &str, arguments: &[&str], input: &[u8]) -> String {
        let mut command = program("git");
        command.arg("-C").arg(self.dir(name)).args(arguments);
        let output = run(command, input);
        assert!(output.status.success(), "git {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    }

    pub fn ok(&self, name: &str, arguments: &[&str]) -> String {
        self.feed(name, arguments, b"")
    }

    fn commit(&self, name: &str, branch: &str, n: usize) {
        let tree = self.ok(name, &["rev-parse", "main^{tree}"]);
        let parent =
            self.ok(name, &["rev-parse", "-q", "--verify", if n == 0 { "origin/main" } else { branch }]);
        let id = self.ok(name, &["commit-tree", "-p", &parent, "-m", &format!("{branch} {n}"), &tree]);
        self.ok(name, &["update-ref", &format!("refs/heads/{branch}"), &id]);
    }
}

/// A directory with repositories that one test works on, without any transport.
pub struct Task {
    pub dir: PathBuf,
}

impl Task {
    /// Git that must succeed.
    pub fn local(&self, name: &str, arguments: &[&str]) -> String {
        let mut command = program("git");
        command.arg("-C").arg(self.dir.join(name)).args(arguments);
        let output = run(command, b"");
        assert!(output.status.success(), "git {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    }

    /// A commit on a branch of a repository here, without a work tree.
    pub fn commit(&self, name: &str, branch: &str, text: &str) -> String {
        let tree = self.local(name, &["rev-parse", &format!("{branch}^{{tree}}")]);
        let id = self.local(name, &["commit-tree", "-p", branch, "-m", text, &tree]);
        self.local(name, &["update-ref", &format!("refs/heads/{branch}"), &id]);
        id
    }

    /// The repository is whole.
    pub fn check(&self, name: &str) {
        let said = self.local(name, &["fsck", "--full", "--strict", "--no-dangling", "--no-progress"]);
        assert_eq!(said, "", "fsck of {name}");
    }

    /// Takes the directory away: there are many.
    pub fn clear(&self) {
        fs::remove_dir_all(&self.dir).unwrap();
    }
}

/// What an operation finds. Everything it looks at goes into `seen`, which has to be what Git alone sees.
pub struct Cell<'a> {
    pub world: &'a World,
    pub fixture: &'a Fixture,
    pub transport: Transport,
    pub version: u8,
    task: Task,
    pub seen: String,
}

impl Deref for Cell<'_> {
    type Target = Task;

    fn deref(&self) -> &Task {
        &self.task
    }
}

impl<'a> Cell<'a> {
    pub fn new(
        world: &'a World,
        fixture: &'a Fixture,
        transport: Transport,
        version: u8,
        name: &str,
    ) -> Self {
        let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let dir = fixture.dir(&format!("{name}-{transport:?}-{version}"));
        fs::create_dir_all(&dir).unwrap();
        Self { world, fixture, transport, version, task: Task { dir }, seen: String::new() }
    }

    fn trace(&self) -> PathBuf {
        self.dir.join("trace")
    }

    /// The URL of a repository of the fixture.
    pub fn shared(&self, name: &str) -> String {
        self.world.url(self.transport, &self.fixture.dir(name))
    }

    /// The URL of a repository of this cell.
    pub fn own(&self, name: &str) -> String {
        self.world.url(self.transport, &self.dir.join(name))
    }

    /// A copy of a repository of the fixture, with `origin` set to `remote` of this cell.
    pub fn copy(&self, from: &str, to: &str, remote: Option<&str>) {
        let status =
            Command::new("cp").arg("-r").arg(self.fixture.dir(from)).arg(self.dir.join(to)).status().unwrap();
        assert!(status.success());
        if let Some(remote) = remote {
            self.local(to, &["config", "remote.origin.url", &self.own(remote)]);
        }
    }

    /// Git through the transport, in a repository of this cell, whatever comes of it.
    pub fn git(&self, name: &str, arguments: &[&str]) -> Output {
        let mut command = self.world.git(self.transport, self.version, &self.trace());
        command.arg("-C").arg(self.dir.join(name)).args(arguments);
        run_within(PATIENCE, command, b"")
    }

    /// Git that must succeed; its output.
    pub fn ok(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.git(name, arguments);
        assert!(output.status.success(), "git {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    }

    /// Clones a repository of the fixture.
    pub fn clone(&self, options: &[&str], from: &str, to: &str) {
        self.clone_from(options, &self.shared(from), to);
    }

    /// Clones whatever is at `url`.
    pub fn clone_from(&self, options: &[&str], url: &str, to: &str) {
        // A clone has no remote yet that settings could be for.
        let program = format!("--upload-pack={}", server("upload-pack"));
        let with = if self.transport == Transport::Path { vec![program.as_str()] } else { Vec::new() };
        self.ok("", &[&["clone", "-q"], with.as_slice(), options, &[url, to]].concat());
    }

    /// A push whose outcome, ref by ref, is looked at: Git's own table, and whether Git calls it a success.
    pub fn push(&mut self, name: &str, arguments: &[&str]) {
        let output = self.git(name, &[&["push", "--porcelain"], arguments].concat());
        let table = text(&output.stdout);
        // The address differs, and so does the line that names it.
        let lines: Vec<&str> = table.lines().filter(|line| !line.starts_with("To ")).collect();
        // How it fails differs with the transport's own programs.
        self.note(&format!("push {arguments:?}: {}\n{}", output.status.success(), lines.join("\n")));
    }

    /// Adds a line to what was seen.
    pub fn note(&mut self, line: &str) {
        self.seen.push_str(line.trim_end());
        self.seen.push('\n');
    }

    /// Checks a repository of this cell, and adds all of it to what was seen.
    pub fn look(&mut self, name: &str) {
        self.check(name);
        let format = "--format=%(refname) %(objectname) %(symref)";
        let refs = self.local(name, &["for-each-ref", format]);
        let mut objects: Vec<String> = self
            .local(name, &["rev-list", "--objects", "--all", "--missing=print", "--no-object-names"])
            .lines()
            .map(str::to_owned)
            .collect();
        objects.sort_unstable();
        let git_dir = self.dir.join(name).join(self.local(name, &["rev-parse", "--git-dir"]));
        let head = text(&fs::read(git_dir.join("HEAD")).unwrap());
        let shallow = sorted_lines(&git_dir.join("shallow"));
        left_over(&git_dir.join("objects"));
        self.note(&format!("{name}: HEAD {head}{refs}\nshallow {shallow:?}\nobjects {}", objects.join(" ")));
    }

    /// The version that was spoken has to be the one that was asked for, and one of ours has to have spoken it.
    /// A push has no version 2.
    pub fn check_trace(&self, pushes: bool) {
        let trace = text(&fs::read(self.trace()).unwrap_or_default());
        let expected = if pushes && self.version == 2 { 0 } else { self.version };
        if let Some((version, ours)) = spoken(self.transport, &trace) {
            assert_eq!(version, expected, "another version was spoken");
            // Behind the helper nobody else could, and a client that wants nothing does not tell its name.
            assert!(
                ours != (self.transport == Transport::Reference) || self.transport == Transport::Helper,
                "someone else has spoken"
            );
        }
    }
}

fn sorted_lines(path: &Path) -> Vec<String> {
    let mut lines: Vec<String> =
        text(&fs::read(path).unwrap_or_default()).lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// Nothing stays behind from receiving.
fn left_over(objects: &Path) {
    for folder in [objects.to_owned(), objects.join("pack")] {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let entry = entry.unwrap().file_name().into_string().unwrap();
            assert!(!entry.starts_with("tmp_") && !entry.ends_with(".keep"), "left over: {entry}");
        }
    }
}
