//! Fetches of the real Git in versions 0, 1 and 2, recorded by `spec/vectors/record-git.py`: our client, given the same
//! answers, says the same and takes the same.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::panic)]
#![allow(missing_docs)]

#[path = "git_fetch_client/harness.rs"]
mod harness;

use bytes::Bytes;
use portline::git::fetch::client::{Action, Client, Config, Listing};
use portline::git::fetch::negotiator::Algorithm;
use portline::git::{Commit, Deepen, Depth, Filter, ObjectId};
use portline::pkt::{Packet, Reader};

use harness::ZERO;
use harness::recorded::{Recorded, fetches};

/// The lines that a client said, without their LF; special packets by their digits.
fn lines(bytes: &[u8]) -> Vec<String> {
    let mut reader = Reader::new();
    reader.handle_bytes(Bytes::copy_from_slice(bytes));
    let mut lines = Vec::new();
    while let Some(packet) = reader.next_packet().unwrap() {
        lines.push(match packet {
            Packet::Data(line) => String::from_utf8(line.to_vec()).unwrap().trim_end().to_owned(),
            Packet::Flush => "0000".to_owned(),
            Packet::Delim => "0001".to_owned(),
            Packet::ResponseEnd => "0002".to_owned(),
        });
    }
    lines
}

/// What follows `word` in each line that begins with it.
fn after<'a>(said: &'a [String], word: &str) -> Vec<&'a str> {
    said.iter().filter_map(|line| line.strip_prefix(word)).collect()
}

/// What the recorded client was asked to do, read off its words.
fn config(said: &[String]) -> Config {
    let number = |word| after(said, word).first().map(|digits| digits.parse().unwrap());
    let to = match number("deepen ") {
        None => Depth::Full,
        Some(depth) if said.iter().any(|line| line.contains("deepen-relative")) => Depth::Further(depth),
        Some(depth) => Depth::Commits(depth),
    };
    let haves = after(said, "have ").len();
    Config {
        agent: Some("git/2.47.3".into()),
        // In version 2 Git waits for an answer before it says `done`; ours says it with the last haves, if they are.
        max_haves: if haves > 0 { haves } else { usize::MAX },
        listing: Listing::Prefixes(
            after(said, "ref-prefix ").into_iter().map(|one| one.to_owned().into()).collect(),
        ),
        include_tag: false,
        no_progress: true,
        shallow: after(said, "shallow ").into_iter().map(|id| id.parse().unwrap()).collect(),
        deepen: Deepen { to, not: vec![] },
        filter: after(said, "filter ").first().map(|spec| Filter::parse(spec.as_bytes()).unwrap()),
        algorithm: Algorithm::Consecutive,
        ..Config::default()
    }
}

/// The same words: in versions 0 and 1 Git announces two capabilities that it does not use, and we the object format.
fn same(said: Vec<String>) -> Vec<String> {
    let of = |line: String| {
        if !line.starts_with("want ") {
            return line;
        }
        let words = line.split(' ').filter(|word| !matches!(*word, "deepen-since" | "deepen-not"));
        let mut words: Vec<&str> = words.filter(|word| !word.starts_with("object-format=")).collect();
        words[2..].sort_unstable();
        words.join(" ")
    };
    // The deprecated habit of wanting a ref twice is not ours.
    let mut said: Vec<String> = said.into_iter().map(of).collect();
    said.dedup_by(|next, one| next == one && one.starts_with("want "));
    said
}

/// Plays the server's words in pieces of `size` bytes; what ours said, what it told its driver, and the pack.
fn replay(one: &Recorded, size: usize) -> (Vec<String>, Vec<Action>, Vec<u8>) {
    let said = lines(&one.client);
    let ids = |word| after(&said, word).into_iter().map(|line| line[..40].parse().unwrap()).collect();
    let (wants, haves): (Vec<ObjectId>, Vec<ObjectId>) = (ids("want "), ids("have "));
    // The history is a line: what was said of it, and more behind it where the recorded client was not at its end.
    let mut history = haves.clone();
    let was_cut_short = !said.iter().any(|line| line == "done");
    history.extend((1..=5).filter(|_| was_cut_short).map(harness::id));
    let commit = |at: usize| Commit {
        id: history[at],
        parents: history.get(at + 1).copied().into_iter().collect(),
        time: 1000 - i64::try_from(at).unwrap(),
    };
    let (mut client, mut sent, mut told, mut pack) =
        (Client::new(config(&said), ZERO), Vec::new(), vec![], vec![]);
    let mut turn = |client: &mut Client| {
        while let Some(action) = client.poll_action() {
            match action {
                Action::Advertised(seen) => {
                    let tips = haves.first().into_iter().chain(&history[haves.len()..]).copied().collect();
                    let main = seen.refs.iter().map(|entry| entry.id).filter(|id| wants.contains(id)).take(1);
                    let wants = if wants.is_empty() {
                        seen.refs.iter().map(|entry| entry.id).collect()
                    } else {
                        main.collect()
                    };
                    client.want(ZERO, wants, tips).unwrap();
                }
                Action::FindHeld(ids) => {
                    client.held(ZERO, if wants.is_empty() { ids } else { vec![] }).unwrap();
                }
                Action::LoadCommits(_) => {
                    client.commits(ZERO, (0..history.len()).map(commit).collect()).unwrap();
                }
                Action::Pack(bytes) => pack.extend_from_slice(&bytes),
                Action::Progress(_) => {}
                Action::Failed(error) => panic!("{}: {error}", one.title),
                other => told.push(other),
            }
        }
        while let Some(transmit) = client.poll_transmit() {
            sent.extend_from_slice(&transmit.into_bytes());
        }
    };
    for piece in one.server.chunks(size) {
        let _ = client.handle_bytes(ZERO, Bytes::copy_from_slice(piece));
        turn(&mut client);
    }
    assert!(client.has_ended(), "{}", one.title);
    (lines(&sent), told, pack)
}

/// FETCH-8, V2C-3, V2C-8, V2C-14, SHALLOWC-2: what the real Git says, we say, whatever its server's bytes come in.
#[test]
fn v2c_8_the_words_of_the_real_git_in_every_version() {
    let all = fetches("v");
    assert_eq!(all.len(), 22);
    for one in all {
        let (said, told, pack) = replay(&one, one.server.len());
        assert_eq!(same(said.clone()), same(lines(&one.client)), "{}", one.title);
        for size in [1, 7, 1000] {
            assert_eq!(replay(&one, size), (said.clone(), told.clone(), pack.clone()), "{}", one.title);
        }
        let has_pack = !(one.title.ends_with("nothing new") || one.title.ends_with("empty"));
        assert_eq!(pack.starts_with(b"PACK\0\0\0\x02"), has_pack, "{}", one.title);
        let moves = told.iter().filter(|action| matches!(action, Action::Shallow(_))).count();
        let shallow = ["depth", "deepen", "unshallow"].iter().any(|kind| one.title.ends_with(kind));
        assert_eq!(moves, usize::from(shallow), "{}", one.title);
    }
}
