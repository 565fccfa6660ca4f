//! The rows of the table: what is measured, beside whom, and what it should come to.

use Target::{Above, AtMost};

/// What a figure is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Nanoseconds for one.
    Time,
    /// Nanoseconds for so many bytes, shown as gigabytes in a second.
    Rate(u32),
    Bytes,
    Count,
    /// How many times one of our figures is another.
    Times,
}

/// The most that ours should come to, in the row's unit.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    None,
    AtMost(f64),
    /// So much more than the floor, which is one of the peers.
    Above(&'static str, f64),
}

/// Someone who does the same work.
#[derive(Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// What the target is as a ratio: how many times ours the peer's figure should be at least. It is what the peer took
    /// where the target was set, divided by the target: nanoseconds do not travel from machine to machine, ratios do.
    pub(crate) asked: Option<f64>,
}

/// A line for each peer.
pub(crate) struct Row {
    pub(crate) work: &'static str,
    pub(crate) unit: Unit,
    pub(crate) target: Target,
    pub(crate) peers: &'static [Peer],
}

/// Quotients of two figures of ours.
pub(crate) const QUOTIENTS: [(&str, [&str; 2]); 3] = [
    (
        "mux, one of 1000 streams beside a single one",
        ["mux, 1000 streams, each 64 KiB", "mux, one stream, each 64 KiB"],
    ),
    (
        "mux, the same beside a million idle ones and a thousand",
        ["mux, the same beside 1000000 idle ones", "mux, the same beside 1000 idle ones"],
    ),
    (
        "multipart, a byte of a header of 64 KiB and of 16 KiB",
        [
            "multipart, a byte of a 64 KiB header in 1-byte chunks",
            "multipart, a byte of a 16 KiB header in 1-byte chunks",
        ],
    ),
];

const fn peer(name: &'static str, asked: f64) -> Peer {
    Peer { name, asked: Some(asked) }
}

const fn floor(name: &'static str) -> Peer {
    Peer { name, asked: None }
}

const fn row(work: &'static str, target: Target, peers: &'static [Peer]) -> Row {
    Row { work, unit: Unit::Time, target, peers }
}

const fn counted(work: &'static str, unit: Unit, most: f64, peers: &'static [Peer]) -> Row {
    Row { work, unit, target: AtMost(most), peers }
}

/// A file of 64 MiB in pieces of 64 KiB, the time being that of a piece: at least 18 GB/s, at most 1.8 times as long as
/// copying the piece, where multer came to 13.5 and 1.8 GB/s.
const fn file(work: &'static str) -> Row {
    const PEERS: [Peer; 3] =
        [peer("multer, yielding", 18.0 / 13.5), peer("multer, ready", 18.0 / 1.8), peer("memcpy", 1.0 / 1.8)];
    Row { work, unit: Unit::Rate(65536), target: AtMost(65536.0 / 18.0), peers: &PEERS }
}

const CODEC: &str = "tokio-util";
const GIX: &str = "gix-packetline";
const USER: &str = "one more and one less user of the buffer";
const PIPE: &str = "the pipe alone";

/// All of them, in the order of the figures that were asked for; behind those of a kind, more of the same kind.
pub(crate) const ROWS: &[Row] = &[
    row("frame decode, 16 bytes", AtMost(5.0), &[peer(CODEC, 37.0 / 5.0)]),
    row("frame decode, 64 KiB", AtMost(5.0), &[floor(CODEC)]),
    row("frame decode, 16 bytes, owned", Above(USER, 5.0), &[peer(CODEC, 1.0), floor(USER)]),
    row("frame decode, 64 KiB, owned", Above(USER, 5.0), &[peer(CODEC, 1.0), floor(USER)]),
    row("frame decode, a message, owned", Above(USER, 5.0), &[floor(USER)]),
    row("carrier decode, a message of 64 bytes", Target::None, &[floor(CODEC)]),
    row("carrier decode, a message of 1024 bytes", Target::None, &[floor(CODEC)]),
    row("carrier decode, a message of 40000 bytes", Target::None, &[floor(CODEC)]),
    row("frame encode, 16 bytes", Above("memcpy", 6.0), &[peer(CODEC, 16.0 / 7.0), floor("memcpy")]),
    row("frame encode, 64 KiB", Above("memcpy", 6.0), &[peer(CODEC, 1.0), floor("memcpy")]),
    row("frame encode, payload handed on", AtMost(5.0), &[]),
    row("pkt decode, slice: a 50-byte have", AtMost(9.0), &[peer(GIX, 18.0 / 9.0)]),
    row("pkt decode, reader: a 50-byte have", AtMost(9.0), &[peer(GIX, 49.0 / 9.0)]),
    row("sideband, a packet of 65,515 bytes", AtMost(150.0), &[peer(GIX, 3200.0 / 150.0)]),
    row("pkt encode, a 50-byte have", AtMost(6.0), &[peer(GIX, 12.0 / 6.0)]),
    row(
        "mux, one stream, each 64 KiB",
        AtMost(5500.0),
        &[peer("yamux", 7.5 / 5.5), peer("h2", 5.9 / 5.5), floor(PIPE)],
    ),
    row(
        "mux, 1000 streams, each 64 KiB",
        AtMost(6000.0),
        &[peer("yamux", 22.4 / 6.0), peer("h2", 9.8 / 6.0), floor(PIPE)],
    ),
    counted("mux, one of 1000 streams beside a single one", Unit::Times, 1.3, &[]),
    row(
        "mux, opened, 64 bytes, closed",
        AtMost(500.0),
        &[peer("yamux", 8200.0 / 500.0), peer("h2", 3900.0 / 500.0)],
    ),
    row("mux, the same beside 1000 idle ones", AtMost(500.0), &[]),
    row("mux, the same beside 10000 idle ones", AtMost(500.0), &[]),
    row("mux, the same beside 100000 idle ones", AtMost(500.0), &[]),
    row("mux, the same beside 1000000 idle ones", AtMost(500.0), &[]),
    counted("mux, the same beside a million idle ones and a thousand", Unit::Times, 1.3, &[]),
    counted(
        "idle stream, heap on an end, 1000 of them",
        Unit::Bytes,
        128.0,
        &[peer("yamux", 742.0 / 128.0), peer("h2", 740.0 / 128.0)],
    ),
    counted(
        "idle stream, heap on an end, 10000 of them",
        Unit::Bytes,
        128.0,
        &[peer("yamux", 742.0 / 128.0), peer("h2", 740.0 / 128.0)],
    ),
    counted("idle stream, heap on an end, 100000 of them", Unit::Bytes, 128.0, &[]),
    counted("idle stream, heap on an end, 1000000 of them", Unit::Bytes, 128.0, &[]),
    file("multipart, 64 KiB of a file: plain"),
    file("multipart, 64 KiB of a file: random"),
    file("multipart, 64 KiB of a file: line ends"),
    file("multipart, 64 KiB of a file: near-boundaries"),
    Row { target: Target::None, ..file("multipart, 64 KiB of a file: wrong in the middle") },
    row(
        "multipart, a small field",
        AtMost(200.0),
        &[peer("multer, yielding", 715.0 / 200.0), peer("multer, ready", 715.0 / 200.0)],
    ),
    row(
        "multipart, a byte of data in 1-byte chunks",
        AtMost(20.0),
        &[peer("multer, yielding", 127.0 / 20.0), floor("the pieces alone")],
    ),
    row("multipart, a byte of a 64 KiB header in 1-byte chunks", AtMost(20.0), &[floor("multer, yielding")]),
    row("multipart, a byte of a 16 KiB header in 1-byte chunks", AtMost(20.0), &[floor("multer, yielding")]),
    counted("multipart, a byte of a header of 64 KiB and of 16 KiB", Unit::Times, 1.3, &[]),
    counted(
        "fetch, 500 behind and 300 ahead: rounds",
        Unit::Count,
        1.0,
        &[peer("git, version 0, consecutive", 13.0), peer("git, version 2, skipping", 1.0)],
    ),
    counted(
        "fetch, 500 behind and 300 ahead: haves",
        Unit::Count,
        16.0,
        &[peer("git, version 0, consecutive", 24.0), peer("git, version 2, skipping", 1.0)],
    ),
    Row {
        target: Target::None,
        ..counted(
            "fetch, 500 behind and 300 ahead: objects",
            Unit::Count,
            0.0,
            &[peer("git, version 0, consecutive", 1.0), peer("git, version 2, skipping", 1.0)],
        )
    },
    row(
        "ancestry of 1000 refs over 20,000 commits",
        AtMost(1e6),
        &[peer("git merge-base --is-ancestor", 26.6e9 / 1e6), peer("one indexed walk", 85e3 / 1e6)],
    ),
    counted("ancestry, a commit is asked for so often at most", Unit::Count, 1.0, &[]),
    row("ancestry of 1000 refs, 60 apart at most", AtMost(1e6), &[floor("one walk a ref")]),
    row("ancestry of 1000 refs, anywhere", AtMost(1e6), &[floor("one walk a ref")]),
    row("ancestry of 1000 refs, against one tip", AtMost(1e6), &[floor("one walk a ref")]),
];
