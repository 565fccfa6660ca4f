//! Servers that say anything: whatever comes, in whatever split, there is one end, and it is the same.

use portline::git::fetch::client::{Config, Listing};
use portline::git::{Deepen, Depth, Filter, Version};

use super::plain;
use crate::harness::{Repo, feed, id, line, many_tips};

/// A generator whose sequence is its seed's.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

/// What servers of all versions say; `@` is an id that may be known, `#` one that is not.
const SAID: &[&str] = &[
    "acknowledgments",
    "NAK",
    "ACK @",
    "ACK @ common",
    "ACK @ ready",
    "ACK #",
    "ready",
    "shallow-info",
    "shallow @",
    "unshallow @",
    "unshallow #",
    "wanted-refs",
    "# refs/heads/main",
    "packfile-uris",
    "# https://x",
    "packfile",
    "\x01PACK",
    "\x02counting\r",
    "\x03no",
    "ERR no",
    "size",
    "version 2",
    "@ refs/heads/main",
    "\x01acknowledgments",
    "\x01ready",
    "\x01packfile",
    "\x01ACK @",
    "\x01shallow-info",
    "\x01",
    "\x02",
    "nonsense",
];

fn saying(random: &mut Random) -> String {
    match random.below(12) {
        0 | 1 => "0000".to_owned(),
        2 | 3 => "0001".to_owned(),
        4 if random.coin() => ["0002", "0004", "0003", "00zz", "fff1"][random.below(5)].to_owned(),
        _ => {
            let known = id(u8::try_from(random.below(21)).unwrap()).to_string();
            line(&SAID[random.below(SAID.len())].replace('@', &known).replace('#', &id(0x99).to_string()))
        }
    }
}

/// An opening that is mostly right, and then anything; at times a likely beginning of an answer first.
fn server(random: &mut Random) -> String {
    let features =
        ["", "shallow", "shallow filter ref-in-want", "shallow sideband-all packfile-uris wait-for-done"];
    let mut said = match random.below(8) {
        0 => super::caps("shallow"),
        1 | 2 => crate::harness::advertise(
            "multi_ack_detailed no-done side-band-64k shallow deepen-relative filter",
        ),
        3 => crate::harness::advertise("multi_ack side-band"),
        _ => super::greeting(features[random.below(features.len())]),
    };
    // Pieces of a right answer, most of them in their order, and at times anything between.
    let known = id(u8::try_from(1 + random.below(20)).unwrap());
    for piece in [
        line("acknowledgments") + &line(&format!("ACK {known}")) + &line("ready") + "0001",
        line("shallow-info") + &line(&format!("shallow {known}")) + "0001",
        line("NAK"),
        line("packfile") + super::PACK,
        super::PACK.to_owned(),
    ] {
        if random.coin() {
            said += &piece;
        }
        if random.below(6) == 0 {
            said += &saying(random);
        }
    }
    said
}

fn config(random: &mut Random) -> Config {
    let to = [Depth::Full, Depth::Commits(2), Depth::Further(1), Depth::Full][random.below(4)];
    Config {
        version: [Version::V0, Version::V2, Version::V2][random.below(3)],
        stateless: random.below(4) == 0,
        sideband_all: random.coin(),
        sideband: random.below(8) > 0,
        listing: if random.below(6) == 0 { Listing::None } else { Listing::All },
        shallow: if random.coin() { vec![id(1), id(2)] } else { vec![] },
        deepen: Deepen { to, not: vec![] },
        filter: random.coin().then_some(Filter::BlobNone),
        packfile_uris: if random.coin() { vec!["https".into()] } else { vec![] },
        max_rounds: 1 + random.below(4),
        ..plain()
    }
}

/// V2C-11, V2C-12, V2C-15, T12, T14: `feed` itself asserts that there is one terminal action, and that it is the last.
#[test]
fn v2c_12_whatever_a_server_says_there_is_one_end() {
    let mut finished = 0;
    for seed in 0..600 {
        let random = &mut Random(seed);
        let (config, said) = (config(random), server(random));
        let repo = Repo { tips: (1..=40).map(id).collect(), ..many_tips() };
        let whole = feed(config.clone(), &repo, said.as_bytes(), said.len());
        let bytewise = feed(config.clone(), &repo, said.as_bytes(), 1);
        let outcome = |seen: &crate::harness::Seen| {
            (seen.sent(), seen.pack.clone(), seen.told.clone(), seen.end.clone())
        };
        assert_eq!(outcome(&whole), outcome(&bytewise), "seed {seed}: {config:?} {said}");
        finished += usize::from(whole.end.unwrap().is_ok());
    }
    assert!(finished > 5, "some of it made sense: {finished}");
}
