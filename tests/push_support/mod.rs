//! What the push tests share: packets by hand, the recorded conversations, throw-away repositories.
#![allow(dead_code, unreachable_pub)]

pub mod server;

use std::io::Write;
use std::path::Path;
use std::process::{Command as Process, Stdio};

use bytes::Bytes;
use portline::git::{ObjectId, RefName};

/// The id that the recorded conversations use.
pub const ID: &str = "59718b6e26b96150c7dd3435f053958592fc24f1";
pub const OTHER: &str = "2222222222222222222222222222222222222222";
pub const NULL: &str = "0000000000000000000000000000000000000000";
/// A pack of no objects.
pub const EMPTY_PACK: &[u8] =
    b"PACK\0\0\0\x02\0\0\0\0\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e";

pub fn id(hex: &str) -> ObjectId {
    hex.parse().unwrap()
}

pub fn name(name: &str) -> RefName {
    RefName::new(name).unwrap()
}

/// One packet.
pub fn pkt(data: impl AsRef<[u8]>) -> Vec<u8> {
    let data = data.as_ref();
    [format!("{:04x}", data.len() + 4).as_bytes(), data].concat()
}

/// Packets of text lines; an empty line is a flush.
pub fn pkts(lines: &[&str]) -> Vec<u8> {
    lines.iter().flat_map(|line| if line.is_empty() { b"0000".to_vec() } else { pkt(line) }).collect()
}

/// What is left when the sideband is taken off: bands 1 and 2, and what stands behind the sideband's flush.
pub fn demultiplex(mut wire: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (mut data, mut progress) = (Vec::new(), Vec::new());
    while wire.len() >= 4 {
        let length = usize::from_str_radix(std::str::from_utf8(&wire[..4]).unwrap(), 16).unwrap();
        if length == 0 {
            return (data, progress, wire[4..].to_vec());
        }
        match wire[4] {
            1 => data.extend_from_slice(&wire[5..length]),
            2 => progress.extend_from_slice(&wire[5..length]),
            band => panic!("band {band}"),
        }
        wire = &wire[length..];
    }
    panic!("the sideband has no flush");
}

/// One recorded conversation with the real git.
pub struct Recorded {
    pub title: String,
    pub client: Vec<u8>,
    pub server: Vec<u8>,
}

/// The conversations of `spec/vectors/git-conversations.txt` whose title begins with `prefix`.
pub fn recorded(prefix: &str) -> Vec<Recorded> {
    let mut all: Vec<Recorded> = Vec::new();
    for line in include_str!("../../spec/vectors/git-conversations.txt").lines() {
        if let Some(title) = line.strip_prefix("## ") {
            all.push(Recorded { title: title.to_owned(), client: vec![], server: vec![] });
        } else if !all.last().is_some_and(|one| one.title.starts_with(prefix)) {
            continue;
        } else if let Some(rest) = line.strip_prefix("   C>S ") {
            all.last_mut().unwrap().client.extend(unescape(rest));
        } else if let Some(rest) = line.strip_prefix("   S>C ") {
            all.last_mut().unwrap().server.extend(unescape(rest));
        }
    }
    all.retain(|one| one.title.starts_with(prefix));
    assert!(!all.is_empty());
    all
}

/// `0009 done\n`, `0000`, or `RAW[n] hex`, as bytes on the wire.
fn unescape(text: &str) -> Vec<u8> {
    if let Some(raw) = text.strip_prefix("RAW[") {
        let hex = raw.split_once("] ").unwrap().1.as_bytes();
        return hex
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
    }
    let (length, data) = text.split_once(' ').unwrap_or((text, ""));
    let mut out = length.as_bytes().to_vec();
    let mut bytes = data.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next().unwrap() {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'x' => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                out.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            plain => out.push(plain),
        }
    }
    out
}

/// Every way of cutting `bytes` in two, then one byte at a time.
pub fn splits(bytes: &[u8]) -> Vec<Vec<Bytes>> {
    let mut all: Vec<Vec<Bytes>> = (0..=bytes.len())
        .map(|at| vec![Bytes::copy_from_slice(&bytes[..at]), Bytes::copy_from_slice(&bytes[at..])])
        .collect();
    all.push(bytes.iter().map(|byte| Bytes::copy_from_slice(&[*byte])).collect());
    all
}

/// The real git, without the user's configuration and with fixed names and dates.
pub fn git(dir: &Path) -> Process {
    let mut command = Process::new("git");
    command.current_dir(dir).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "A").env(format!("GIT_{who}_EMAIL"), "a@example.org");
        command.env(format!("GIT_{who}_DATE"), "1700000000 +0000");
    }
    for unset in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PROTOCOL"] {
        command.env_remove(unset);
    }
    command
}

/// Runs git; whether it succeeded, and what it wrote.
pub fn try_git(dir: &Path, args: &[&str], input: &[u8]) -> (bool, Vec<u8>) {
    let mut child = git(dir)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Git may refuse before it has read everything: then the pipe is closed, and its status tells.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    (output.status.success(), output.stdout)
}

/// Runs git, which must succeed; its output without the last LF.
pub fn run_git(dir: &Path, args: &[&str], input: &[u8]) -> String {
    let (success, out) = try_git(dir, args, input);
    assert!(success, "git {args:?}");
    String::from_utf8(out).unwrap().trim_end().to_owned()
}

/// A bare repository `name` in `dir` with two commits: `main` and `side` stand at the first, `next` at the second.
/// Returns the ids of the two.
pub fn repository(dir: &Path, name: &str) -> (String, String) {
    run_git(dir, &["init", "-q", "--bare", "-b", "main", name], b"");
    let at = dir.join(name);
    let tree = run_git(&at, &["mktree"], b"");
    let first = run_git(&at, &["commit-tree", &tree, "-m", "first"], b"");
    let second = run_git(&at, &["commit-tree", &tree, "-p", &first, "-m", "second"], b"");
    for (name, id) in [("main", &first), ("side", &first), ("next", &second)] {
        run_git(&at, &["update-ref", &format!("refs/heads/{name}"), id], b"");
    }
    (first, second)
}

/// The refs, one a line.
pub fn refs(dir: &Path) -> String {
    run_git(dir, &["for-each-ref", "--format=%(objectname) %(refname)"], b"")
}
