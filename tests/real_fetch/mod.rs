//! A repository's answers for the fetch client, and sessions with the real `git upload-pack`: over its pipes, and one
//! process for each request. Wants `real_git` beside it.
#![allow(dead_code, unreachable_pub)]

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};

pub use crate::real_git::{git, has_git, run_git};
use bytes::Bytes;
use portline::git::fetch::client::{Action, Client, Config, Outcome};
use portline::git::{Advertisement, Commit, ObjectId, ShallowUpdate, Version};
use portline::{Instant, Transmit};

/// `count` commits on `branch` for fast-import, each with its own file, at rising times.
pub fn commits(branch: &str, from: Option<&str>, start: usize, count: usize) -> String {
    let mut stream = String::new();
    for n in start..start + count {
        let text = format!("{branch} {n}\n");
        let time = 1_700_000_000 + n * 10;
        writeln!(stream, "commit refs/heads/{branch}\ncommitter a <a@b> {time} +0000").unwrap();
        writeln!(stream, "data {}\n{text}", text.len()).unwrap();
        if let Some(from) = from.filter(|_| n == start) {
            writeln!(stream, "from {from}").unwrap();
        }
        writeln!(stream, "M 100644 inline d{}/f{n}\ndata {}\n{text}", n % 9, text.len()).unwrap();
    }
    stream
}

pub fn id(dir: &Path, name: &str) -> ObjectId {
    run_git(dir, &["rev-parse", name], b"").parse().unwrap()
}

pub fn tips(dir: &Path) -> Vec<ObjectId> {
    run_git(dir, &["for-each-ref", "--format=%(objectname)"], b"")
        .lines()
        .map(|id| id.parse().unwrap())
        .collect()
}

pub fn list(ids: &[ObjectId]) -> Vec<u8> {
    ids.iter().fold(String::new(), |text, id| text + &format!("{id}\n")).into_bytes()
}

/// The repository's answer to `FindHeld`.
pub fn held(dir: &Path, ids: &[ObjectId]) -> Vec<ObjectId> {
    let known = run_git(dir, &["cat-file", "--batch-check=%(objectname) %(objecttype)"], &list(ids));
    let present = known.lines().filter(|line| !line.ends_with("missing"));
    present.map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
}

/// The whole history at once: all but the first ids are volunteered.
pub fn history(dir: &Path) -> Vec<Commit> {
    let read = |line: &str| {
        let mut words = line.split(' ');
        let time = words.next().unwrap().parse().unwrap();
        let mut ids = words.map(|id| id.parse().unwrap());
        Commit { id: ids.next().unwrap(), parents: ids.collect(), time }
    };
    let all = run_git(dir, &["log", "--all", "--format=%ct %H %P"], b"");
    all.lines().map(|line| read(line.trim_end())).collect()
}

/// A server and a client: `base` commits in common, then `behind` on the server and `ahead` on the client.
pub fn pair(root: &Path, format: &str, base: usize, behind: usize, ahead: usize) {
    for name in ["server", "client"] {
        let format = format!("--object-format={format}");
        run_git(root, &["init", "-q", "--bare", "-b", "main", &format, name], b"");
        let stream = commits("main", None, 0, base);
        run_git(&root.join(name), &["fast-import", "--quiet"], stream.as_bytes());
    }
    let server = commits("main", Some("refs/heads/main^0"), base, behind);
    run_git(&root.join("server"), &["fast-import", "--quiet"], server.as_bytes());
    let client = commits("topic", Some("refs/heads/main^0"), base, ahead);
    run_git(&root.join("client"), &["fast-import", "--quiet"], client.as_bytes());
}

pub fn count(dir: &Path, range: &str) -> usize {
    run_git(dir, &["rev-list", "--objects", "--count", range], b"").parse().unwrap()
}

/// The commits at which the history of `dir` is cut off.
pub fn border(dir: &Path) -> Vec<ObjectId> {
    let text = fs::read_to_string(dir.join("shallow")).unwrap_or_default();
    text.lines().map(|id| id.parse().unwrap()).collect()
}

/// Moves that border.
pub fn move_border(dir: &Path, update: &ShallowUpdate) {
    let mut all = border(dir);
    all.retain(|id| !update.unshallow.contains(id));
    all.extend(&update.shallow);
    all.sort_unstable();
    all.dedup();
    fs::write(dir.join("shallow"), list(&all)).unwrap();
    if all.is_empty() {
        fs::remove_file(dir.join("shallow")).unwrap();
    }
}

/// How the server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Pipe,
    /// One process for each request, as smart HTTP does.
    Requests,
}

/// One session.
#[derive(Debug, Default)]
pub struct Fetched {
    pub seen: Option<Advertisement>,
    pub pack: Vec<u8>,
    pub told: Vec<Action>,
    pub writes: Vec<Bytes>,
    pub end: Option<Result<Outcome, portline::git::fetch::client::Error>>,
}

impl Fetched {
    pub fn outcome(&self) -> &Outcome {
        self.end.as_ref().unwrap().as_ref().unwrap()
    }

    pub fn objects(&self) -> usize {
        if self.pack.is_empty() {
            0
        } else {
            u32::from_be_bytes(self.pack[8..12].try_into().unwrap()) as usize
        }
    }
}

/// What the driver wants.
pub type Choose<'a> = &'a dyn Fn(&Advertisement) -> Vec<ObjectId>;

/// Fetches what `choose` says from `server` into `dir`, with `dir`'s own border.
pub fn session(
    server: &Path,
    dir: &Path,
    choose: Choose<'_>,
    config: Config,
    version: Version,
    by: By,
) -> Fetched {
    let config = Config { shallow: border(dir), stateless: by == By::Requests, ..config };
    let mut client = Client::new(config, ZERO);
    let mut fetched = Fetched::default();
    match by {
        By::Pipe => pipe(server, dir, choose, &mut client, &mut fetched, version),
        By::Requests => requests(server, dir, choose, &mut client, &mut fetched, version),
    }
    fetched
}

const ZERO: Instant = Instant::ZERO;

fn start(server: &Path, version: Version, arguments: &[&str]) -> Child {
    let mut command = git(server);
    let number = match version {
        Version::V0 => "version=0",
        Version::V1 => "version=1",
        Version::V2 => "version=2",
    };
    command.arg("upload-pack").args(arguments).arg(".").env("GIT_PROTOCOL", number);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

fn pipe(
    server: &Path,
    dir: &Path,
    choose: Choose<'_>,
    client: &mut Client,
    fetched: &mut Fetched,
    version: Version,
) {
    let mut child = start(server, version, &[]);
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut buffer = [0; 8192];
    while turn(dir, choose, client, fetched, &mut stdin) {
        match stdout.read(&mut buffer).unwrap() {
            0 => drop(client.handle_closed(ZERO)),
            count => drop(client.handle_bytes(ZERO, Bytes::copy_from_slice(&buffer[..count]))),
        }
    }
    drop(stdin);
    let ended_well = child.wait().unwrap().success();
    assert_eq!(ended_well, fetched.end.as_ref().unwrap().is_ok(), "{:?}", fetched.end);
}

/// A session of version 2 over pipes whose actions a test answers itself.
pub fn talk(server: &Path, config: Config, mut act: impl FnMut(&mut Client, Action)) {
    let mut child = start(server, Version::V2, &[]);
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut client, mut buffer) = (Client::new(config, ZERO), [0; 8192]);
    loop {
        while let Some(action) = client.poll_action() {
            act(&mut client, action);
        }
        while let Some(transmit) = client.poll_transmit() {
            stdin.write_all(&transmit.into_bytes()).unwrap();
        }
        if client.has_ended() {
            break;
        }
        match stdout.read(&mut buffer).unwrap() {
            0 => drop(client.handle_closed(ZERO)),
            count => drop(client.handle_bytes(ZERO, Bytes::copy_from_slice(&buffer[..count]))),
        }
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

fn requests(
    server: &Path,
    dir: &Path,
    choose: Choose<'_>,
    client: &mut Client,
    fetched: &mut Fetched,
    version: Version,
) {
    let mut child = start(server, version, &["--stateless-rpc", "--http-backend-info-refs"]);
    drop(child.stdin.take());
    if version != Version::V2 {
        client.handle_bytes(ZERO, Bytes::from_static(b"001e# service=git-upload-pack\n0000")).unwrap();
    }
    loop {
        let mut response = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut response).unwrap();
        child.wait().unwrap();
        for piece in response.chunks(1000) {
            let _ = client.handle_bytes(ZERO, Bytes::copy_from_slice(piece));
            turn(dir, choose, client, fetched, &mut std::io::sink());
        }
        let before = fetched.writes.len();
        if client.has_ended() {
            return;
        }
        let _ = client.handle_closed(ZERO);
        let mut request = Vec::new();
        if !turn(dir, choose, client, fetched, &mut request) {
            return;
        }
        assert_eq!(fetched.writes.len(), before + 1, "one write is one whole request");
        child = start(server, version, &["--stateless-rpc"]);
        child.stdin.take().unwrap().write_all(&request).unwrap();
    }
}

/// Answers and sends all that there is. Whether the session goes on.
fn turn(
    dir: &Path,
    choose: Choose<'_>,
    client: &mut Client,
    fetched: &mut Fetched,
    to: &mut dyn Write,
) -> bool {
    while let Some(action) = client.poll_action() {
        match action {
            Action::Advertised(seen) => {
                client.want(ZERO, choose(&seen), tips(dir)).unwrap();
                fetched.seen = Some(seen);
            }
            Action::FindHeld(ids) => client.held(ZERO, held(dir, &ids)).unwrap(),
            Action::LoadCommits(_) => client.commits(ZERO, history(dir)).unwrap(),
            Action::Pack(bytes) => fetched.pack.extend_from_slice(&bytes),
            Action::Progress(_) => {}
            Action::Finished(outcome) => fetched.end = Some(Ok(outcome)),
            Action::Failed(error) => fetched.end = Some(Err(error)),
            told => fetched.told.push(told),
        }
    }
    while let Some(bytes) = client.poll_transmit().map(Transmit::into_bytes) {
        to.write_all(&bytes).unwrap();
        fetched.writes.push(bytes);
    }
    fetched.end.is_none()
}

/// Stores a pack and points `name` to `tip`.
pub fn store(dir: &Path, pack: &[u8], name: &str, tip: &ObjectId) {
    if !pack.is_empty() {
        run_git(dir, &["index-pack", "--fix-thin", "--stdin"], pack);
    }
    run_git(dir, &["update-ref", name, &tip.to_string()], b"");
}

/// The branch of that name.
pub fn branch(name: &str) -> impl Fn(&Advertisement) -> Vec<ObjectId> {
    let name = format!("refs/heads/{name}");
    move |seen| {
        let found = seen.refs.iter().find(|entry| entry.name.as_bytes() == name.as_bytes());
        vec![found.unwrap().id]
    }
}
