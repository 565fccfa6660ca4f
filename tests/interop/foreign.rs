//! Other people's Gits: as clients of `git_server`, and as servers of `git_client` and `git_remote_helper`.
//!
//! `install.sh` puts them into a folder; those that it could not put there are skipped, and the table says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cell::{Fixture, Task};
use crate::support_repo::{Daemon, example, program, run_within, text};
use crate::transport::{Transport, World};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop");
/// A foreign program may take its time to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is done with every one of them, in the order of the table.
pub const ACTIONS: [&str; 5] = ["clone", "fetch", "shallow clone", "partial clone", "push, delete"];

/// Somebody else's Git, in one role.
pub struct Peer {
    pub name: &'static str,
    /// How it is reached, in words of the table.
    pub by: &'static str,
    /// What `install.sh` calls it.
    package: Option<&'static str>,
    pub versions: &'static [u8],
    /// Which of [`ACTIONS`] it can do at all, in which version.
    can: fn(action: &str, version: u8) -> bool,
    role: Role,
}

enum Role {
    /// It is started with a version, a verb and its arguments.
    Client { transport: Transport, start: fn(&Path) -> Command },
    /// It serves the world on an address.
    Server { start: fn(&World, &Path) -> Server },
}

/// A running server.
pub struct Server {
    address: Address,
    /// What its paths begin with.
    below: String,
}

enum Address {
    /// A thread of ours that starts a program for each connection: its URL.
    Inetd(String),
    /// A process.
    Process(Daemon),
}

impl Server {
    fn url(&self, path: &str) -> String {
        let path = format!("{}/{path}", self.below);
        let path = path.trim_start_matches('/');
        match &self.address {
            Address::Inetd(address) => format!("{address}/{path}"),
            Address::Process(daemon) => daemon.url(path),
        }
    }
}

/// In the order of the table.
pub const PEERS: &[Peer] = &[
    Peer {
        name: "dulwich",
        by: "git://",
        package: Some("dulwich"),
        versions: &[0, 1, 2],
        // It filters in version 2 only.
        can: |action, version| action != "partial clone" || version == 2,
        role: Role::Client { transport: Transport::Daemon, start: dulwich },
    },
    Peer {
        name: "dulwich",
        by: "http-backend",
        package: Some("dulwich"),
        versions: &[0, 1, 2],
        can: |action, version| action != "partial clone" || version == 2,
        role: Role::Client { transport: Transport::Http, start: dulwich },
    },
    Peer {
        name: "isomorphic-git",
        by: "http-backend",
        package: Some("isomorphic-git"),
        versions: &[0],
        can: |action, _| action != "partial clone",
        role: Role::Client { transport: Transport::Http, start: isomorphic },
    },
    Peer {
        name: "gitoxide (gix)",
        by: "git://",
        package: Some("foreign"),
        versions: &[0, 1, 2],
        // A depth it tells in version 2 only; it does not push.
        can: |action, version| match action {
            "clone" | "fetch" => true,
            "shallow clone" => version == 2,
            _ => false,
        },
        role: Role::Client { transport: Transport::Daemon, start: |folder| foreign(folder, "gix") },
    },
    Peer {
        name: "libgit2 (git2)",
        by: "git://",
        package: Some("foreign"),
        versions: &[0],
        can: |action, _| action != "partial clone",
        role: Role::Client { transport: Transport::Daemon, start: |folder| foreign(folder, "git2") },
    },
    Peer {
        name: "libgit2 (git2)",
        by: "http-backend",
        package: Some("foreign"),
        versions: &[0],
        can: |action, _| action != "partial clone",
        role: Role::Client { transport: Transport::Http, start: |folder| foreign(folder, "git2") },
    },
    Peer {
        name: "git daemon",
        by: "serves git_client",
        package: None,
        versions: &[0, 1, 2],
        can: |_, _| true,
        role: Role::Server { start: |world, _| git_daemon(world) },
    },
    Peer {
        name: "dulwich",
        by: "serves git_client",
        package: Some("dulwich"),
        versions: &[0],
        can: |action, _| action != "partial clone",
        role: Role::Server { start: dulwich_server },
    },
];

fn dulwich(folder: &Path) -> Command {
    let mut command = program(folder.join("venv/bin/python"));
    command.arg(format!("{HERE}/dulwich_peer.py"));
    command
}

fn isomorphic(folder: &Path) -> Command {
    let mut command = program("node");
    command.arg(format!("{HERE}/isomorphic_peer.mjs")).env("NODE_MODULES", folder.join("node"));
    command
}

fn foreign(folder: &Path, which: &str) -> Command {
    let mut command = program(folder.join("rust/debug/portline-foreign"));
    command.arg(which);
    command
}

fn git_daemon(world: &World) -> Server {
    Server { address: Address::Inetd(world.sandbox.real_daemon()), below: String::new() }
}

fn dulwich_server(world: &World, folder: &Path) -> Server {
    let mut command = dulwich(folder);
    // Its paths are the machine's own.
    command.args(["0", "serve", "/"]);
    Server {
        address: Address::Process(Daemon::start(command)),
        below: world.sandbox.path("").display().to_string(),
    }
}

/// The folder that `install.sh` has filled.
pub fn folder() -> PathBuf {
    std::env::var_os("PORTLINE_INTEROP_FOLDER")
        .map_or_else(|| PathBuf::from(HERE).join("../../target/interop"), PathBuf::from)
}

/// A peer in its role, ready to be used.
pub struct Ready {
    folder: PathBuf,
    server: Option<Server>,
}

impl Peer {
    /// `None`: it is not installed.
    pub fn ready(&self, world: &World) -> Option<Ready> {
        let folder = folder();
        if self.package.is_some_and(|package| !folder.join(package).is_file()) {
            return None;
        }
        let server = match &self.role {
            Role::Client { .. } => None,
            Role::Server { start } => Some(start(world, &folder)),
        };
        Some(Ready { folder, server })
    }

    pub fn can(&self, action: &str, version: u8) -> bool {
        (self.can)(action, version)
    }

    /// Does one of [`ACTIONS`] and checks what has come of it.
    pub fn act(&self, world: &World, fixture: &Fixture, ready: &Ready, action: &str, version: u8) {
        let place = format!("{} {} {action} {version}", self.name, self.by);
        let place = place.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let task = Task::new(fixture, &place);
        // What only a Git of today can pack is left out: the others learn of it first.
        let below = format!("{}/{place}/origin.git", fixture.format);
        let session = match (&self.role, &ready.server) {
            (Role::Client { transport, start }, _) => Session {
                url: world.url(*transport, &task.dir.join("origin.git")),
                dir: task.dir.clone(),
                version,
                start: Box::new(|| start(&ready.folder)),
                words: Words::Peer,
            },
            (Role::Server { .. }, Some(server)) => Session {
                url: server.url(&below),
                dir: task.dir.clone(),
                version,
                start: Box::new(|| program(example("git_client"))),
                words: Words::Ours,
            },
            (Role::Server { .. }, None) => panic!("the server is not running"),
        };
        match action {
            "clone" => {
                session.clone(&[]);
                task.same("copy.git");
            }
            "fetch" => {
                session.clone(&[]);
                task.local("origin.git", &["branch", "new", "main~2"]);
                task.commit("origin.git", "main", "news");
                session.fetch();
                task.same("copy.git");
            }
            "shallow clone" => {
                session.clone(&["1"]);
                assert_eq!(task.local("copy.git", &["rev-list", "--count", "main"]), "1");
                task.check("copy.git");
            }
            "partial clone" => {
                session.clone(&["", "blob:none"]);
                let listed = task.local("copy.git", &["rev-list", "--objects", "--missing=print", "main"]);
                assert!(listed.lines().any(|line| line.starts_with('?')), "nothing is missing");
                task.check("copy.git");
            }
            "push, delete" => {
                session.clone(&[]);
                let id = task.commit("copy.git", "main", "of ours");
                session.push(&["refs/heads/main:refs/heads/main", "refs/heads/main:refs/heads/new"]);
                assert_eq!(task.local("origin.git", &["rev-parse", "main", "new"]), format!("{id}\n{id}"));
                session.push(&[":refs/heads/new"]);
                let left = task.local("origin.git", &["for-each-ref", "refs/heads/new"]);
                assert_eq!(left, "", "not deleted");
                task.same("copy.git");
            }
            other => panic!("there is no action {other}"),
        }
        task.clear();
    }
}

/// A client with all that it has to be told.
struct Session<'a> {
    url: String,
    dir: PathBuf,
    version: u8,
    start: Box<dyn Fn() -> Command + 'a>,
    words: Words,
}

/// How a client is told what to do.
enum Words {
    /// `VERSION VERB …`: the programs in this folder.
    Peer,
    /// `git_client`.
    Ours,
}

impl Session<'_> {
    fn copy(&self) -> String {
        self.dir.join("copy.git").display().to_string()
    }

    fn run(&self, words: &[&str]) {
        let mut command = (self.start)();
        let version = self.version.to_string();
        match self.words {
            Words::Peer => command.arg(&version).args(words),
            Words::Ours => command.args(words).arg(format!("--protocol={version}")),
        };
        let output = run_within(PATIENCE, command, b"");
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{words:?}: {said}");
    }

    /// `with`: the depth, and what to leave out; empty for nothing.
    fn clone(&self, with: &[&str]) {
        match self.words {
            Words::Peer => self.run(&[&["clone", &self.url, &self.copy()], with].concat()),
            Words::Ours => {
                let mut init = program("git");
                init.args(["init", "-q", "--bare", "-b", "main", &self.copy()]);
                assert!(run_within(PATIENCE, init, b"").status.success());
                let mut words = vec!["fetch".to_owned(), self.copy(), self.url.clone()];
                words.extend(["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"].map(str::to_owned));
                for (option, value) in
                    ["--depth", "--filter"].iter().zip(with).filter(|(_, value)| !value.is_empty())
                {
                    words.push((*option).to_owned());
                    words.push((*value).to_owned());
                }
                self.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
    }

    fn fetch(&self) {
        match self.words {
            Words::Peer => self.run(&["fetch", &self.copy(), &self.url]),
            Words::Ours => {
                let specs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
                self.run(&[&["fetch", &self.copy(), &self.url], &specs[..]].concat());
            }
        }
    }

    fn push(&self, specs: &[&str]) {
        self.run(&[&["push", &self.copy(), &self.url], specs].concat());
    }
}

/// A directory of its own for one action, with an `origin.git` in it.
impl Task {
    fn new(fixture: &Fixture, name: &str) -> Self {
        let dir = fixture.dir(name);
        fs::create_dir_all(&dir).unwrap();
        let status = Command::new("cp")
            .arg("-r")
            .arg(fixture.dir("origin.git"))
            .arg(dir.join("origin.git"))
            .status()
            .unwrap();
        assert!(status.success());
        Self { dir }
    }

    /// All branches and tags, and every object that they reach.
    fn everything(&self, name: &str) -> String {
        let refs = self
            .local(name, &["for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags"]);
        let listed =
            self.local(name, &["rev-list", "--objects", "--no-object-names", "--branches", "--tags"]);
        let mut objects: Vec<&str> = listed.lines().collect();
        objects.sort_unstable();
        format!("{refs}\n{}", objects.join(" "))
    }

    fn same(&self, name: &str) {
        self.check(name);
        self.check("origin.git");
        assert_eq!(self.everything(name), self.everything("origin.git"));
    }
}
