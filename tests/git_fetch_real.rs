//! The fetch client against the real `git upload-pack`, over its pipes. Without `git` on the path nothing is tested.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::panic)]
#![allow(missing_docs)]

mod real_git;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use bytes::Bytes;
use portline::git::fetch::client::{Action, Client, Config, Outcome};
use portline::git::fetch::negotiator::Algorithm;
use portline::git::{Commit, ObjectId};
use portline::{Instant, Transmit};
use real_git::{git, has_git, run_git};

/// `count` commits on `branch` for fast-import, each with its own file, at rising times.
fn commits(branch: &str, from: Option<&str>, start: usize, count: usize) -> String {
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

fn id(dir: &Path, name: &str) -> ObjectId {
    run_git(dir, &["rev-parse", name], b"").parse().unwrap()
}

fn tips(dir: &Path) -> Vec<ObjectId> {
    run_git(dir, &["for-each-ref", "--format=%(objectname)"], b"")
        .lines()
        .map(|id| id.parse().unwrap())
        .collect()
}

fn list(ids: &[ObjectId]) -> Vec<u8> {
    ids.iter().fold(String::new(), |text, id| text + &format!("{id}\n")).into_bytes()
}

/// The repository's answer to `FindHeld`.
fn held(dir: &Path, ids: &[ObjectId]) -> Vec<ObjectId> {
    let known = run_git(dir, &["cat-file", "--batch-check=%(objectname) %(objecttype)"], &list(ids));
    let present = known.lines().filter(|line| !line.ends_with("missing"));
    present.map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
}

/// The whole history at once: all but the first ids are volunteered.
fn history(dir: &Path) -> Vec<Commit> {
    let read = |line: &str| {
        let mut words = line.split(' ');
        let time = words.next().unwrap().parse().unwrap();
        let mut ids = words.map(|id| id.parse().unwrap());
        Commit { id: ids.next().unwrap(), parents: ids.collect(), time }
    };
    let all = run_git(dir, &["log", "--all", "--format=%ct %H %P"], b"");
    all.lines().map(|line| read(line.trim_end())).collect()
}

/// Fetches `branch` of `server` into `dir` and returns the pack and what the session says of itself.
fn fetch(server: &Path, dir: &Path, branch: &str, config: Config) -> (Vec<u8>, Outcome) {
    let now = Instant::from_micros(0);
    let mut command = git(server);
    command.args(["upload-pack", "."]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut client, mut pack, mut end) = (Client::new(config, now), Vec::new(), None);
    let mut buffer = [0; 8192];
    let outcome = loop {
        while let Some(action) = client.poll_action() {
            match action {
                Action::Advertised(seen) => {
                    let name = format!("refs/heads/{branch}");
                    let find = |entry: &&portline::git::Ref| entry.name.as_bytes() == name.as_bytes();
                    let want = seen.refs.iter().find(find).unwrap().id;
                    client.want(now, vec![want], tips(dir)).unwrap();
                }
                Action::FindHeld(ids) => client.held(now, held(dir, &ids)).unwrap(),
                Action::LoadCommits(_) => client.commits(now, history(dir)).unwrap(),
                Action::Pack(bytes) => pack.extend_from_slice(&bytes),
                Action::Progress(_) => {}
                Action::Finished(outcome) => end = Some(outcome),
                other => panic!("{other:?}"),
            }
        }
        while let Some(bytes) = client.poll_transmit().map(Transmit::into_bytes) {
            stdin.write_all(&bytes).unwrap();
        }
        if let Some(outcome) = end.take() {
            break outcome;
        }
        match stdout.read(&mut buffer).unwrap() {
            0 => client.handle_closed(now).unwrap(),
            count => client.handle_bytes(now, Bytes::copy_from_slice(&buffer[..count])).unwrap(),
        }
    };
    drop(stdin);
    assert!(child.wait().unwrap().success());
    (pack, outcome)
}

/// A server and a client: `base` commits in common, then `behind` on the server and `ahead` on the client.
fn pair(root: &Path, format: &str, base: usize, behind: usize, ahead: usize) {
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

fn count(dir: &Path, range: &str) -> usize {
    run_git(dir, &["rev-list", "--objects", "--count", range], b"").parse().unwrap()
}

/// FETCH-7, FETCH-10, FETCH-14, FETCH-17, FETCH-19, FETCH-20: every way to agree, with real objects.
#[test]
fn fetch_17_the_real_upload_pack_sends_the_smallest_pack_after_one_round() {
    if !has_git() {
        return;
    }
    let all = Config::default;
    let configs = [
        (all(), "sha1"),
        (Config { multi_ack: false, ..all() }, "sha1"),
        (Config { sideband: false, ..all() }, "sha1"),
        (Config { algorithm: Algorithm::Consecutive, thin_pack: false, ..all() }, "sha1"),
        (all(), "sha256"),
    ];
    for (config, format) in configs {
        let root = tempfile::tempdir().unwrap();
        let (server, client) = (root.path().join("server"), root.path().join("client"));
        pair(root.path(), format, 200, 50, 30);
        let fork = id(&client, "main").to_string();
        let best = count(&server, &format!("{fork}..main"));
        let (pack, outcome) = fetch(&server, &client, "main", config.clone());
        assert!(outcome.pack && outcome.wants == 1, "{outcome:?}");
        let objects = u32::from_be_bytes(pack[8..12].try_into().unwrap());
        assert_eq!(usize::try_from(objects).unwrap(), best, "{config:?}");
        if config.algorithm == Algorithm::Skipping {
            assert!(outcome.rounds == 1 && outcome.haves <= 16, "{outcome:?}");
        }
        run_git(&client, &["index-pack", "--fix-thin", "--stdin"], &pack);
        let tip = id(&server, "main").to_string();
        run_git(&client, &["update-ref", "refs/heads/main", &tip, &fork], b"");
        run_git(&client, &["fsck", "--strict"], b"");
        let (pack, again) = fetch(&server, &client, "main", config);
        assert_eq!((pack, again), (vec![], Outcome::default()));
    }
}

#[test]
fn fetch_8_a_clone_from_the_real_upload_pack() {
    if !has_git() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    pair(root.path(), "sha1", 30, 1, 1);
    run_git(root.path(), &["init", "-q", "--bare", "empty"], b"");
    let (server, empty) = (root.path().join("server"), root.path().join("empty"));
    let (pack, outcome) = fetch(&server, &empty, "main", Config::default());
    assert_eq!((outcome.rounds, outcome.haves), (0, 0));
    run_git(&empty, &["index-pack", "--stdin"], &pack);
    run_git(&empty, &["update-ref", "refs/heads/main", &id(&server, "main").to_string()], b"");
    run_git(&empty, &["fsck", "--strict"], b"");
}
