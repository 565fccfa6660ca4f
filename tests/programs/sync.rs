//! The example `sync` as a program on real repositories: decisions, strategies, refusals, exit codes, and that every
//! repository is whole afterwards.
#![cfg(unix)]

use std::path::Path;

use crate::support_repo::{Sandbox, history};
use crate::sync_pair::{Pair, Said, noise, sync_in};

/// The table's cell for a ref.
fn row<'a>(said: &'a Said, name: &str) -> Vec<&'a str> {
    said.out.lines().filter(|line| line.split_whitespace().next() == Some(name)).collect()
}

fn assert_row(said: &Said, name: &str, words: &str) {
    let rows = row(said, name);
    assert!(rows.iter().any(|row| row.contains(words)), "{name} {words}: {rows:?}");
}

#[test]
fn the_demo_shows_a_row_for_every_decision_and_then_the_way_out_of_conflicts() {
    let sandbox = Sandbox::new();
    let said = sync_in(&sandbox.path(""), &[]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    for (name, words) in [
        ("refs/heads/same", "=  up to date"),
        ("refs/heads/ahead-on-the-left", "→  right is behind: fast-forward"),
        ("refs/heads/ahead-on-the-right", "←  left is behind: fast-forward"),
        ("refs/heads/new-on-the-left", "→  create on the right"),
        ("refs/heads/new-on-the-right", "←  create on the left"),
        ("refs/heads/deleted-on-the-left", "→  deleted on the left: delete there, keep a backup"),
        ("refs/heads/deleted-on-the-right", "←  deleted on the right: delete here, keep a backup"),
        ("refs/heads/changed-on-both", "!  conflict: both sides changed"),
        ("refs/heads/deleted-and-changed", "!  conflict: changed on the left, deleted on the right"),
        ("refs/heads/changed-on-both", "→  overwrite the right, keep a backup"),
        ("refs/tags/v2-right", "✓  created on the left"),
    ] {
        assert_row(&said, name, words);
    }
    assert!(said.out.contains("8 refs synced. 2 conflicts remain"), "{}", said.out);
    assert!(said.out.ends_with("2 refs synced. Both sides agree.\n"), "{}", said.out);
    let report = sync_in(&sandbox.path(""), &["--on-conflict", "report"]);
    assert_eq!(report.code, Some(1));
    assert!(report.out.contains("2 conflicts remain: merge by hand"));
    assert!(!report.out.contains("Once more"));
    assert_eq!(sync_in(&sandbox.path(""), &["--on-conflict=prefer-right"]).code, Some(0));
    assert_eq!(sync_in(&sandbox.path(""), &["--dry-run"]).code, Some(1), "conflicts are there to be seen");
}

#[test]
fn histories_with_merges_and_nested_tags_meet_and_deletions_travel() {
    let pair = Pair::equal(3);
    pair.diverge(false);
    let said = pair.agrees(&[]);
    assert_row(
        &said,
        "refs/heads/gone-left",
        "deleted on the right; what was there: refs/portline/backup/heads/gone-left/",
    );
    assert_row(&said, "refs/heads/gone-right", "deleted on the left");
    for side in [0, 1] {
        assert_eq!(pair.at(side, "refs/heads/gone-left"), None);
        assert_eq!(pair.git(side, &["cat-file", "-t", "nested-left"]), "tag");
        assert_eq!(
            pair.git(side, &["rev-parse", "nested-right^{commit}"]),
            pair.git(1, &["rev-parse", "new-right"])
        );
    }
    // Merged by hand on the left: the right follows.
    pair.commit(0, "main", "left");
    pair.commit(1, "main", "right");
    pair.ends(1, &[]);
    let (ours, theirs) = (pair.git(0, &["rev-parse", "main"]), pair.git(1, &["rev-parse", "main"]));
    pair.git(0, &["fetch", "-q", "../right.git", "main"]);
    let merge = pair.git(0, &["commit-tree", "-m", "merge", "-p", &ours, "-p", &theirs, "main^{tree}"]);
    pair.git(0, &["update-ref", "refs/heads/main", &merge]);
    assert_row(&pair.agrees(&[]), "refs/heads/main", "→  right is behind: fast-forward");
}

#[test]
fn an_empty_side_is_filled_from_the_other() {
    for full in [0, 1] {
        let pair = Pair::empty();
        pair.sandbox.feed(crate::sync_pair::SIDES[full], &["fast-import", "--quiet"], &history(30, 7));
        pair.agrees(&[]);
        assert_eq!(pair.refs(0).len(), 3);
    }
    let pair = Pair::empty();
    let said = pair.ends(0, &[]);
    assert!(said.out.contains("Neither side has any refs."), "{}", said.out);
}

#[test]
fn two_thousand_refs_and_small_blocks() {
    let pair = Pair::equal(2_000);
    let id = pair.commit(0, "main", "further");
    let moved: String = (0..2_000).map(|n| format!("update refs/heads/many/{n:05} {id}\n")).collect();
    pair.sandbox.feed("left.git", &["update-ref", "--stdin"], moved.as_bytes());
    let said = pair.agrees(&["--window", "1000", "--chunk", "200"]);
    assert!(said.out.contains("2001 refs synced."), "{}", said.out.lines().last().unwrap());
}

#[test]
fn blocks_of_one_byte_and_windows_of_any_size_arrive_whole() {
    for (window, chunk) in [("1", "1"), ("5000", "1"), ("1", "65536"), ("3", "100")] {
        let pair = Pair::equal(1);
        pair.commit(0, "main", "left");
        pair.commit(1, "new", "right");
        pair.agrees(&["--window", window, "--chunk", chunk]);
    }
}

#[test]
fn sha_256_repositories_sync_and_mixed_formats_are_refused() {
    let pair = Pair { sandbox: Sandbox::new() };
    for side in crate::sync_pair::SIDES {
        pair.sandbox.ok("", &["init", "-q", "--bare", "-b", "main", "--object-format=sha256", side]);
    }
    pair.sandbox.feed("left.git", &["fast-import", "--quiet"], &history(12, 1));
    pair.agrees(&[]);
    pair.commit(1, "main", "right");
    pair.commit(0, "other", "left");
    pair.agrees(&[]);
    assert_eq!(pair.at(0, "refs/heads/main").unwrap().len(), 64);
    pair.sandbox.init("old.git", true);
    let said = sync_in(&pair.sandbox.path(""), &["left.git", "old.git"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("left.git and old.git do not use the same object format"), "{}", said.err);
}

#[test]
fn preferences_overwrite_one_side_and_keep_what_was_there() {
    for (option, wins, loses) in [("prefer-left", 0, 1), ("prefer-right", 1, 0)] {
        let pair = Pair::equal(1);
        let ids = [pair.commit(0, "main", "left"), pair.commit(1, "main", "right")];
        let report = pair.ends(1, &[]);
        assert_row(&report, "refs/heads/main", "conflict: left as it is on both sides");
        pair.check();
        pair.is_settled(1, &[]);
        pair.agrees(&["--on-conflict", option]);
        assert_eq!(pair.at(loses, "refs/heads/main").as_ref(), Some(&ids[wins]));
        let backup = format!("refs/portline/backup/heads/main/{}", ids[loses]);
        assert_eq!(pair.at(loses, &backup).as_ref(), Some(&ids[loses]));
        assert_eq!(pair.at(wins, &backup), None);
    }
}

#[test]
fn an_excluded_ref_stays_and_refs_of_one_clone_stay_unless_asked_for() {
    let pair = Pair::equal(1);
    pair.commit(0, "wip/one", "left");
    pair.commit(0, "kept", "left");
    pair.git(0, &["update-ref", "refs/remotes/origin/main", "main"]);
    let said = pair.ends(0, &["--exclude", "refs/heads/wip/*", "--exclude=refs/heads/kept"]);
    assert_row(&said, "refs/heads/wip/one", "·  excluded");
    for name in ["refs/heads/wip/one", "refs/heads/kept", "refs/remotes/origin/main"] {
        assert!(pair.at(0, name).is_some() && pair.at(1, name).is_none(), "{name}");
    }
    pair.check();
    pair.agrees(&["--all-refs"]);
    assert!(pair.at(1, "refs/remotes/origin/main").is_some());
}

/// Every file below a directory with its content's size and change time.
fn files(directory: &Path) -> Vec<(String, u64, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let meta = path.metadata().unwrap();
            found.push((path.display().to_string(), meta.len(), meta.modified().unwrap()));
        }
    }
    found.sort();
    found
}

/// SYNC-48 as the program does it: not a file of either repository changes.
#[test]
fn a_dry_run_changes_no_file() {
    let pair = Pair::equal(1);
    pair.diverge(false);
    let root = pair.sandbox.path("");
    let before = files(&root);
    let said = pair.ends(0, &["--dry-run"]);
    assert!(said.out.contains("refs would be synced, 0 conflicts. Nothing was changed."), "{}", said.out);
    assert_row(&said, "refs/heads/ahead-right", "←  left is behind: fast-forward");
    assert_eq!(files(&root), before);
    pair.agrees(&[]);
}

#[test]
fn a_checked_out_branch_is_refused_on_either_side_and_the_rest_is_done() {
    for behind in [0, 1] {
        let pair = Pair { sandbox: Sandbox::new() };
        let ahead = 1 - behind;
        pair.sandbox.rich(crate::sync_pair::SIDES[ahead], 1);
        pair.sandbox
            .ok("", &["clone", "-q", crate::sync_pair::SIDES[ahead], crate::sync_pair::SIDES[behind]]);
        let id = pair.commit(ahead, "main", "more");
        let said = pair.ends(1, &[]);
        assert_row(&said, "refs/heads/main", "✗  refused: ");
        assert!(said.out.contains("1 refs were refused"), "{}", said.out);
        assert_ne!(pair.at(behind, "refs/heads/main").unwrap(), id);
        assert_eq!(pair.git(behind, &["status", "--porcelain"]), "");
        assert!(pair.at(behind, "refs/heads/side").is_some());
        pair.check();
        pair.is_settled(1, &[]);
        // The way out.
        pair.git(behind, &["checkout", "-q", "--detach"]);
        pair.agrees(&[]);
    }
}

#[test]
fn a_hook_that_refuses_one_ref_is_reported_and_blocks_no_other() {
    let pair = Pair::equal(1);
    pair.diverge(false);
    pair.sandbox.hook(
        "right.git",
        "update",
        r#"test "$1" != refs/heads/ahead-left || { echo "not this one"; exit 1; }"#,
    );
    let said = pair.ends(1, &[]);
    assert_row(&said, "refs/heads/ahead-left", "✗  refused: hook declined");
    assert!(said.err.contains("not this one"), "{}", said.err);
    assert_row(&said, "refs/heads/new-left", "✓  created on the right");
    assert_ne!(pair.at(0, "refs/heads/ahead-left"), pair.at(1, "refs/heads/ahead-left"));
    pair.check();
    pair.is_settled(1, &[]);
    std::fs::remove_file(pair.sandbox.path("right.git/hooks/update")).unwrap();
    pair.agrees(&[]);
}

#[test]
fn what_cannot_be_done_ends_with_2_and_says_why() {
    let pair = Pair::empty();
    let root = pair.sandbox.path("");
    for (arguments, words) in [
        (&["left.git", "nothing"][..], "'nothing' does not appear to be a git repository"),
        (&["nothing", "right.git"], "'nothing' does not appear to be a git repository"),
        (&["left.git"], "give two repositories, or none"),
        (&["left.git", "right.git", "--fast"], "there is no option --fast"),
        (&["left.git", "right.git", "--fast=1"], "there is no option --fast"),
        (&["left.git", "right.git", "-n"], "there is no option -n"),
        (&["left.git", "right.git", "--window", "0"], "--window takes a whole number above 0, not '0'"),
        (&["left.git", "right.git", "--window"], "--window needs a value"),
        (
            &["left.git", "right.git", "--on-conflict", "x"],
            "--on-conflict takes report, prefer-left or prefer-right, not 'x'",
        ),
        (&["left.git", "right.git", "--exclude", "a*b"], "--exclude 'a*b'"),
    ] {
        let said = sync_in(&root, arguments);
        assert_eq!(said.code, Some(2), "{arguments:?}");
        assert!(said.err.contains(words), "{arguments:?}: {}", said.err);
        assert_eq!(said.out, "");
    }
    let help = sync_in(&root, &["--help"]);
    assert_eq!((help.code, help.err.as_str()), (Some(0), ""));
    assert!(help.out.contains("--break-after"));
}

/// The right side stops reading, and answers, in the middle of the pack; nobody waits for its rest.
#[test]
fn a_right_side_that_refuses_a_large_pack_early_is_heard() {
    let pair = Pair::equal(1);
    let large: String = (0..2_000).map(noise).collect();
    pair.commit(0, "main", &large);
    pair.sandbox.set("right.git", "receive.maxInputSize", "10000");
    for (window, chunk) in [("1", "1000"), ("16", "65536")] {
        let said = pair.ends(1, &["--window", window, "--chunk", chunk]);
        assert_row(&said, "refs/heads/main", "refused: ");
        assert!(said.err.contains("pack exceeds maximum allowed size"), "{}", said.err);
        pair.check();
    }
}
