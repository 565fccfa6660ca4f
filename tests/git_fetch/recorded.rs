//! Fetches of the real Git in versions 0, 1 and 2, recorded by `spec/vectors/record-git.py`: our client, given the same
//! answers, says the same and takes the same; and our server, given the same questions, answers the same.

use bytes::Bytes;
use portline::git::fetch::client::{Action, Client, Config, Listing};
use portline::git::fetch::negotiator::Algorithm;
use portline::git::fetch::server::{self as serving, FilterPolicy, Server};
use portline::git::{Commit, Deepen, Depth, Filter, ObjectId, Ref, RefName, ShallowUpdate, Version};
use portline::pkt::{Packet, Reader};

use crate::harness::ZERO;
use crate::harness::recorded::{Recorded, fetches};

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
    history.extend((1..=5).filter(|_| was_cut_short).map(crate::harness::id));
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

/// The other way round: our server, asked with the recorded words and answered for by what the real one said.
struct Host {
    refs: Vec<Ref>,
    /// What the real server acknowledged or named: objects that it has.
    known: Vec<ObjectId>,
    history: Vec<ObjectId>,
    update: ShallowUpdate,
    is_covered: bool,
    pack: Vec<u8>,
}

impl Host {
    fn of(one: &Recorded) -> Self {
        let (said, heard) = (lines(&one.client), words(&one.server));
        let refs = heard.iter().filter_map(|line| reference(line)).collect();
        let id = |line: &str| line.get(..40).and_then(|hex| hex.parse::<ObjectId>().ok());
        let ids = |list: &[String], word| after(list, word).into_iter().filter_map(id).collect::<Vec<_>>();
        let update = ShallowUpdate { shallow: ids(&heard, "shallow "), unshallow: ids(&heard, "unshallow ") };
        let known = [ids(&heard, "ACK "), ids(&said, "want "), ids(&said, "shallow ")].concat();
        let mut history = ids(&said, "have ");
        history.dedup();
        let is_covered = heard.iter().any(|line| line == "ready" || line.ends_with(" ready"));
        Self { refs, known, history, update, is_covered, pack: pack(&one.server) }
    }

    fn act(&self, server: &mut Server, action: serving::Action) {
        use serving::Action;
        match action {
            Action::ListRefs | Action::ListRefsBelow(_) => {
                server.refs_listed(ZERO, self.refs.clone()).unwrap();
            }
            Action::FindObjects(mut ids) => {
                // Whoever has a commit has its parents.
                let first = self.history.iter().position(|id| self.known.contains(id)).unwrap_or(usize::MAX);
                let behind = self.history.get(first..).unwrap_or(&[]);
                ids.retain(|id| self.known.contains(id) || behind.contains(id));
                server.objects_found(ZERO, ids).unwrap();
            }
            Action::LoadCommits(ids) => {
                let parents = |id: &ObjectId| {
                    let at = self.history.iter().position(|one| one == id).unwrap_or(usize::MAX - 1);
                    self.history.get(at + 1).copied().into_iter().collect()
                };
                let commits = ids.iter().map(|id| Commit { id: *id, parents: parents(id), time: 0 });
                server.commits(ZERO, commits.collect()).unwrap();
            }
            Action::CheckReachable { .. } => server.reachable(ZERO, true).unwrap(),
            Action::CheckCovered { .. } => server.covered(ZERO, self.is_covered).unwrap(),
            Action::Deepen(_) => server.deepened(ZERO, self.update.clone()).unwrap(),
            Action::BuildPack(_) => {
                server.pack_chunk(ZERO, Bytes::copy_from_slice(&self.pack)).unwrap();
                server.pack_finished(ZERO).unwrap();
            }
            Action::Failed(error) => panic!("{error}"),
            Action::ServerOptions(_) | Action::ObjectSizes(_) | Action::Finished(_) => {}
        }
    }
}

/// A line of an advertisement or of `ls-refs`, as the ref it tells of.
fn reference(line: &str) -> Option<Ref> {
    let (id, rest) = line.split_once(' ')?;
    let name = rest.split(['\0', ' ']).next()?;
    let target = (name == "HEAD").then(|| RefName::new("refs/heads/main").unwrap());
    Some(Ref { target, ..Ref::new(RefName::new(name).ok()?, id.parse().ok()?) })
}

/// The pack's bytes in what a server sent: band 1.
fn pack(bytes: &[u8]) -> Vec<u8> {
    packets(bytes).iter().filter_map(|line| line.strip_prefix(b"\x01")).flatten().copied().collect()
}

/// The lines that a server sent, the sideband left out.
fn words(bytes: &[u8]) -> Vec<String> {
    let said =
        packets(bytes).into_iter().filter(|line| !line.starts_with(b"\x01") && !line.starts_with(b"\x02"));
    said.map(|line| String::from_utf8(line).unwrap().trim_end().to_owned()).collect()
}

fn packets(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = Reader::new();
    reader.handle_bytes(Bytes::copy_from_slice(bytes));
    let mut all = Vec::new();
    while let Some(packet) = reader.next_packet().unwrap() {
        all.push(match packet {
            Packet::Data(line) => line.to_vec(),
            Packet::Flush => b"0000".to_vec(),
            Packet::Delim => b"0001".to_vec(),
            Packet::ResponseEnd => b"0002".to_vec(),
        });
    }
    all
}

/// FETCH-31, FETCH-43: what the real server answered to the real client, ours answers, and its pack is the same.
#[test]
fn the_answers_of_the_real_server_in_every_version() {
    for one in fetches("v") {
        let host = Host::of(&one);
        let version = [Version::V0, Version::V1, Version::V2][usize::from(one.title.as_bytes()[1] - b'0')];
        // The repository without a commit takes no filters.
        let filters = (!one.title.ends_with("empty")).then(FilterPolicy::default);
        let agent = Some("git/2.47.3".into());
        let config = serving::Config { version, agent, filters, ..serving::Config::default() };
        for size in [one.client.len(), 1, 7] {
            let (mut server, mut sent) = (Server::new(config.clone(), ZERO), Vec::new());
            let mut turn = |server: &mut Server| loop {
                let action = server.poll_action();
                while let Some(transmit) = server.poll_transmit() {
                    sent.extend_from_slice(&transmit.into_bytes());
                }
                match action {
                    Some(action) => host.act(server, action),
                    None => break,
                }
            };
            turn(&mut server);
            for piece in one.client.chunks(size) {
                let _ = server.handle_bytes(ZERO, Bytes::copy_from_slice(piece));
                turn(&mut server);
            }
            let _ = server.handle_closed(ZERO);
            turn(&mut server);
            assert_eq!(words(&sent), words(&one.server), "{} in pieces of {size}", one.title);
            assert_eq!(pack(&sent), host.pack, "{}", one.title);
        }
    }
}
