//! What the push tests share: packets by hand, the recorded conversations, throw-away repositories.
#![allow(clippy::panic, dead_code, unreachable_pub, unused_imports)]

#[path = "../real_git/mod.rs"]
mod real_git;
#[path = "../recorded/mod.rs"]
mod recorded_conversations;
pub mod server;

use std::path::Path;

use bytes::Bytes;
use portline::git::{ObjectId, RefName};
pub use real_git::{git, run_git, try_git};
pub use recorded_conversations::{Recorded, recorded};

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

/// Every way of cutting `bytes` in two, then one byte at a time.
pub fn splits(bytes: &[u8]) -> Vec<Vec<Bytes>> {
    let mut all: Vec<Vec<Bytes>> = (0..=bytes.len())
        .map(|at| vec![Bytes::copy_from_slice(&bytes[..at]), Bytes::copy_from_slice(&bytes[at..])])
        .collect();
    all.push(bytes.iter().map(|byte| Bytes::copy_from_slice(&[*byte])).collect());
    all
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
