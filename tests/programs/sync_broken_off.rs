//! The example `sync` broken off on real repositories, at many bytes and by `kill -9`: nothing is lost, every
//! repository is whole, and the next run finishes.
#![cfg(unix)]

use crate::common::Rng;
use crate::sync_pair::{Pair, Refs, Said};

/// After a broken run: nothing is lost, both are whole, and the next run comes to the refs of an unbroken one.
fn recovers(start: &Pair, pair: &Pair, end: &[Refs; 2], what: &str) {
    for side in [0, 1] {
        let (before, after) = (start.reachable(side), pair.reachable(side));
        assert!(after.is_superset(&before), "{what}: side {side} lost {:?}", before.difference(&after));
    }
    pair.check();
    pair.agrees(&[]);
    assert_eq!([pair.refs(0), pair.refs(1)], *end, "{what}");
}

/// A pair, the diverged state it starts from, and the refs after an unbroken sync.
fn prepared() -> (Pair, Pair, [Refs; 2], Said) {
    let pair = Pair::equal(20);
    pair.diverge(false);
    let start = pair.copy();
    let said = pair.agrees(&[]);
    let end = [pair.refs(0), pair.refs(1)];
    (pair, start, end, said)
}

/// SYNC-51, SYNC-52: places all over the conversation; every single one is tried where no process is started for it, in
/// `tests/model`, `tests/sim` and `tests/sync`.
#[test]
fn sync_51_a_connection_broken_at_any_byte_loses_nothing_and_the_next_run_finishes() {
    const PARTS: usize = 25;
    let (pair, start, end, said) = prepared();
    let line = said.err.lines().find(|line| line.contains("bytes came from the right")).unwrap();
    let total: usize = line.split_whitespace().next().unwrap().parse().unwrap();
    let mut rng = Rng::new(51);
    let mut moved = 0;
    for part in 0..PARTS {
        // The last parts are the reports: a run is a few bytes shorter or longer than another, by Git's progress.
        let at = 1 + part * total / (PARTS + 1) + rng.below(total / (PARTS + 1));
        let what = format!("--break-after {at} of {total}");
        pair.restore(&start);
        let said = pair.ends(2, &["--break-after", &at.to_string()]);
        assert!(
            said.err.contains("the connection was broken, as --break-after asked"),
            "{what}: {}",
            said.err
        );
        assert!(said.err.contains("nothing is lost, and running sync again goes on from here"), "{what}");
        moved += usize::from((pair.refs(0), pair.refs(1)) != (start.refs(0), start.refs(1)));
        recovers(&start, &pair, &end, &what);
    }
    assert!(moved > 3, "{moved} runs were broken after the first ref had moved");
}

/// The whole program is killed by a hook, at moments that no clock chooses.
#[test]
fn sync_51_a_program_that_is_killed_loses_nothing_and_the_next_run_finishes() {
    let (pair, start, end, _) = prepared();
    let kill = r#"
p=$PPID
while [ "$p" -gt 1 ] && [ "$(cat /proc/$p/comm)" != sync ]; do p=$(cut -d' ' -f4 /proc/$p/stat); done
kill -9 "$p""#;
    for (side, hook, when) in [
        ("right.git", "pre-receive", ":"),
        ("right.git", "update", r#"test "$1" = refs/heads/new-left"#),
        ("right.git", "update", r#"case "$1" in refs/portline/*) ;; *) false ;; esac"#),
        ("right.git", "post-receive", ":"),
        ("left.git", "pre-receive", ":"),
        ("left.git", "update", r#"test "$1" = refs/heads/new-right"#),
        ("left.git", "post-receive", ":"),
        ("right.git", "reference-transaction", r#"test "$1" = committed"#),
        ("left.git", "reference-transaction", r#"test "$1" = committed"#),
    ] {
        let what = format!("{side} {hook} {when}");
        pair.restore(&start);
        pair.sandbox.hook(side, hook, &format!("{when} || exit 0{kill}"));
        let said = pair.sync(&[]);
        assert_eq!(said.code, None, "{what}: not killed: {}{}", said.out, said.err);
        std::fs::remove_file(pair.sandbox.path(side).join("hooks").join(hook)).unwrap();
        recovers(&start, &pair, &end, &what);
    }
}
