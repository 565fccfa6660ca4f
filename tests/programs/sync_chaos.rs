//! The example `sync` on real repositories while its connections break at random: it prints each attempt with its
//! reason and gets there all the same.
#![cfg(unix)]

use crate::sync_pair::Pair;

fn prepared() -> (Pair, Pair) {
    let pair = Pair::equal(20);
    pair.diverge(false);
    let start = pair.copy();
    (pair, start)
}

/// PEER-14, SYNC-51.
#[test]
fn peer_14_broken_again_and_again_it_tells_each_attempt_and_finishes() {
    let (pair, start) = prepared();
    pair.agrees(&[]);
    let end = [pair.refs(0), pair.refs(1)];
    let mut broken = 0;
    for seed in ["1", "2", "3", "4"] {
        pair.restore(&start);
        let said = pair.ends(0, &["--chaos", seed]);
        assert!(said.out.contains("Both sides agree."), "{}", said.out);
        for (number, line) in said.err.lines().filter(|line| line.contains("broke after")).enumerate() {
            let attempt = number.saturating_add(1);
            assert!(line.trim_start().starts_with(&format!("attempt {attempt} broke after ")), "{line}");
            assert!(line.contains(": the connection was broken on purpose; again in "), "{line}");
            broken += 1;
        }
        assert_eq!([pair.refs(0), pair.refs(1)], end, "seed {seed}");
        for side in [0, 1] {
            assert!(pair.reachable(side).is_superset(&start.reachable(side)), "seed {seed}: side {side}");
        }
        pair.check();
    }
    assert!(broken > 4, "{broken} broken attempts");
}

/// PEER-14: attempts and time have an end, and what was done until then is whole.
#[test]
fn peer_14_it_gives_up_with_a_reason_and_the_next_run_finishes() {
    let (pair, start) = prepared();
    for (options, words) in [
        (&["--retry", "2", "--break-after", "40"][..], "all 3 attempts have failed. Nothing is lost"),
        (&["--retry", "9", "--timeout", "50", "--break-after", "40"], "later than 50ms after the first"),
    ] {
        let said = pair.ends(2, options);
        assert!(said.err.contains(words), "{options:?}: {}", said.err);
        pair.check();
        assert!(pair.reachable(0).is_superset(&start.reachable(0)));
    }
    pair.agrees(&[]);
}
