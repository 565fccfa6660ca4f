//! The fetch client against the real `git upload-pack`, over its pipes. Without `git` on the path nothing is tested.

use std::path::Path;

use crate::real_fetch::{By, branch, count, has_git, id, pair, run_git, session};
use crate::scratch::scratch;
use portline::git::Version;
use portline::git::fetch::client::{Config, Outcome};
use portline::git::fetch::negotiator::Algorithm;

/// Fetches a branch over pipes in version 0.
fn fetch(server: &Path, dir: &Path, name: &str, config: Config) -> (Vec<u8>, Outcome) {
    let fetched = session(server, dir, &branch(name), config, Version::V0, By::Pipe);
    let outcome = fetched.outcome().clone();
    (fetched.pack, outcome)
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
        let root = scratch();
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
    let root = scratch();
    pair(root.path(), "sha1", 30, 1, 1);
    run_git(root.path(), &["init", "-q", "--bare", "empty"], b"");
    let (server, empty) = (root.path().join("server"), root.path().join("empty"));
    let (pack, outcome) = fetch(&server, &empty, "main", Config::default());
    assert_eq!((outcome.rounds, outcome.haves), (0, 0));
    run_git(&empty, &["index-pack", "--stdin"], &pack);
    run_git(&empty, &["update-ref", "refs/heads/main", &id(&server, "main").to_string()], b"");
    run_git(&empty, &["fsck", "--strict"], b"");
}
