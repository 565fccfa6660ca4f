//! What hostile and broken peers do, and what Portline does then: one test or more for each class of failure, named
//! after its number in the list of threats (T1 to T22).
//!
//! Three classes have no code yet and come with theirs: T3 (credit left stranded) and the rest of T1 and T2 with credit
//! streams, T7 and T8 (opening, cancelling and failing streams in a loop) with links of many streams, T19 with
//! multipart bodies, T20 with retries. T1 and T2 are tested here as far as a port with its ACKs knows them.
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
mod ends;
mod git;
mod port;
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
