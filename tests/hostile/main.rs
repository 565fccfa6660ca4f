//! What hostile and broken peers do, and what Portline does then: one test or more for each class of failure, named
//! after its number in the list of threats (T1 to T22).
//!
//! A file for each wing: `port` (carrier, port, pkt-line), `stream` and `rpc`, `git` with its `ends`, `sync`, `body` and
//! `multipart`, `recovery`. A test that belongs to a class is named after it; the others here are of the same kind, and
//! named after the rule that they hold.
//!
//! Memory is asserted through the machines' own accounting (`buffered`, `wants_input`, what waits to be sent): that is
//! what a driver can act on, and the package forbids the unsafe code that a counting allocator needs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    dead_code,
    missing_docs,
    unreachable_pub
)]

mod body;
#[path = "../common/mod.rs"]
mod common;
mod ends;
mod git;
mod multipart;
mod port;
mod recovery;
mod rpc;
#[path = "../rpc_support/mod.rs"]
mod rpc_support;
mod stream;
mod sync;
#[path = "../toy/mod.rs"]
mod toy;

use bytes::Bytes;
use portline::git::{ObjectId, RefName};
use portline::{Instant, Transmit};

const NOW: Instant = Instant::ZERO;
const ID: &str = "59718b6e26b96150c7dd3435f053958592fc24f1";

fn id(hex: &str) -> ObjectId {
    hex.parse().unwrap()
}

fn name(name: &str) -> RefName {
    RefName::new(name).unwrap()
}

/// One packet.
fn pkt(data: impl AsRef<[u8]>) -> Vec<u8> {
    let data = data.as_ref();
    [format!("{:04x}", data.len() + 4).as_bytes(), data].concat()
}

/// Packets of lines, in which `ID` is the id; an empty line is a flush.
fn pkts(lines: &[&str]) -> Bytes {
    let line = |line: &&str| if line.is_empty() { b"0000".to_vec() } else { pkt(line.replace("ID", ID)) };
    lines.iter().flat_map(line).collect::<Vec<u8>>().into()
}

/// Everything that is to be sent.
fn sent(mut poll: impl FnMut() -> Option<Transmit>) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(one) = poll() {
        all.extend_from_slice(&one.into_bytes());
    }
    all
}

/// The classes: what the peer does, and the wings that it can do it to.
const THREATS: [(&str, &str, &[&str]); 22] = [
    ("t1", "grants credit until the counter overflows", &["port", "stream", "rpc"]),
    ("t2", "sends its first frame larger than the window", &["port", "stream", "rpc", "body"]),
    ("t3", "leaves credit stranded", &["stream"]),
    ("t4", "never grants, or one unit at a time", &["port", "stream", "rpc", "sync"]),
    ("t5", "floods frames that carry nothing", &["port", "stream", "rpc", "git", "body"]),
    ("t6", "sends millions of tiny chunks", &["port", "stream", "rpc", "git", "body"]),
    ("t7", "opens and cancels streams in a loop", &["rpc"]),
    ("t8", "makes us fail its streams", &["rpc"]),
    ("t9", "announces a length and sends nothing", &["port", "rpc", "git"]),
    ("t10", "sends endless lists", &["rpc", "git"]),
    ("t11", "chooses times that overflow", &["port", "stream", "git", "recovery"]),
    ("t12", "keeps us busy without progress", &["port", "git"]),
    ("t13", "closes at the worst moment", &["stream", "rpc", "ends", "sync", "body"]),
    ("t14", "sends malformed lengths", &["port", "git"]),
    ("t15", "asks for objects that it may not see", &["git"]),
    ("t16", "sends names that are none", &["git"]),
    ("t17", "injects through paths, options, hosts, agents", &["git"]),
    ("t18", "writes terminal escapes", &["port", "git"]),
    ("t19", "sends malformed or endless forms", &["multipart"]),
    ("t20", "makes every client retry at once", &["recovery"]),
    ("t21", "reports what did not happen", &["git", "ends", "sync"]),
    ("t22", "moves a ref between plan and update", &["git", "ends"]),
];

const WINGS: [(&str, &str); 10] = [
    ("port", include_str!("port.rs")),
    ("stream", include_str!("stream.rs")),
    ("rpc", include_str!("rpc.rs")),
    ("git", include_str!("git.rs")),
    ("ends", include_str!("ends.rs")),
    ("sync", include_str!("sync.rs")),
    ("body", include_str!("body.rs")),
    ("multipart", include_str!("multipart.rs")),
    ("recovery", include_str!("recovery.rs")),
    ("main", include_str!("main.rs")),
];

/// No class is without its test in a wing that it touches, and no test is named after a class that is none.
#[test]
fn every_threat_has_a_test_in_every_wing_that_it_touches() {
    let mut missing = Vec::new();
    for (id, what, wings) in THREATS {
        for wing in wings {
            let (_, text) = WINGS.iter().find(|(name, _)| name == wing).unwrap();
            let is_there = |text: &str| text.contains(&format!("#[test]\nfn {id}_"));
            // One test may hold two classes: its comment names the other.
            let is_named = text.lines().filter(|line| line.starts_with("///")).any(|line| {
                let mut words = line.split(|c: char| !c.is_alphanumeric());
                words.any(|word| word.eq_ignore_ascii_case(id))
            });
            if !is_there(text) && !is_named {
                missing.push(format!("{id} ({what}) in {wing}"));
            }
        }
        let anywhere = WINGS.iter().any(|(_, text)| text.contains(&format!("#[test]\nfn {id}_")));
        assert!(anywhere, "{id} ({what}) has no test of its name");
    }
    assert_eq!(missing, Vec::<String>::new());
    for (wing, text) in WINGS {
        for name in text.lines().filter_map(|line| line.strip_prefix("fn t")) {
            let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
            if !digits.is_empty() && name[digits.len()..].starts_with('_') {
                let id = format!("t{digits}");
                assert!(THREATS.iter().any(|(threat, ..)| *threat == id), "{wing}: {id} is no threat");
            }
        }
    }
}
