//! The tee of a readable stream: rules READABLE-21 and after, with readers of every pace.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    missing_docs
)]

mod common;

use bytes::Bytes;
use common::Rng;
use portline::body::readable::{
    Action, CancelError, Config, LockError, Outcome, Read, Readable, Reader, Side, Tee, TeeAction,
};

type T = Tee<&'static str>;
type A = TeeAction<&'static str>;

const LEFT: Side = Side::Left;
const RIGHT: Side = Side::Right;

/// A tee of a source that has nothing queued, and the branches' readers.
fn tee() -> (T, Reader, Reader) {
    let mut source = Readable::new(Config::count(0));
    source.started();
    let mut tee = T::new(source).unwrap();
    let readers = (tee.lock(LEFT).unwrap(), tee.lock(RIGHT).unwrap());
    (tee, readers.0, readers.1)
}

fn chunk(text: &'static str) -> Read<&'static str> {
    Read::Chunk(Bytes::from_static(text.as_bytes()))
}

fn actions(tee: &mut T) -> Vec<A> {
    std::iter::from_fn(|| tee.poll_action()).collect()
}

fn branch(side: Side, action: Action<&'static str>) -> A {
    A::Branch { side, action }
}

/// The source is asked, and gives `text`.
fn give(tee: &mut T, text: &'static str) {
    assert_eq!(tee.poll_action(), Some(A::Pull));
    tee.enqueue(Bytes::from_static(text.as_bytes())).unwrap();
    tee.pulled();
}

#[test]
fn readable_21_each_branch_gets_every_chunk() {
    let (mut tee, left, right) = tee();
    let whole = Bytes::from(vec![7; 100]);
    assert_eq!(tee.poll_action(), Some(A::Pull));
    tee.enqueue(whole.clone()).unwrap();
    tee.pulled();
    for (side, reader) in [(LEFT, left), (RIGHT, right)] {
        let Ok(Read::Chunk(got)) = tee.read(side, reader) else { panic!() };
        assert_eq!((got.as_ptr(), got.len()), (whole.as_ptr(), 100), "not a copy");
    }
    // A stream that somebody reads has no tee.
    let mut held: Readable<&str> = Readable::new(Config::count(1));
    held.lock().unwrap();
    assert_eq!(T::new(held).map(drop), Err(LockError::Locked));
    // What was queued before goes to both, however long.
    let mut source = Readable::new(Config::bytes(0));
    let long = Bytes::from(vec![7; 1 << 20]);
    source.enqueue(long.clone()).unwrap();
    source.close().unwrap();
    let mut tee = T::new(source).unwrap();
    for side in Side::ALL {
        let reader = tee.lock(side).unwrap();
        assert_eq!(tee.read(side, reader), Ok(Read::Chunk(long.clone())));
        assert_eq!(tee.read(side, reader), Ok(Read::Done));
    }
}

#[test]
fn readable_22_the_slower_branch_holds_back_the_faster() {
    let (mut tee, left, right) = tee();
    give(&mut tee, "one");
    assert_eq!(tee.poll_action(), None, "each has what it would like to have");
    assert_eq!(tee.read(LEFT, left), Ok(chunk("one")));
    assert_eq!(tee.poll_action(), None, "the right has not");
    let Ok(Read::Waiting(read)) = tee.read(LEFT, left) else { panic!() };
    assert_eq!(tee.poll_action(), None, "and waiting does not change that");
    assert_eq!(tee.read(RIGHT, right), Ok(chunk("one")));
    give(&mut tee, "two");
    let outcome = Outcome::Chunk(Bytes::from_static(b"two"));
    assert_eq!(tee.poll_action(), Some(branch(LEFT, Action::Read { read, outcome })));
    assert_eq!(tee.branch(RIGHT).chunks(), 1);
}

#[test]
fn readable_23_a_cancelled_branch_holds_nothing_back() {
    let (mut tee, left, right) = tee();
    give(&mut tee, "one");
    assert_eq!(tee.read(LEFT, left), Ok(chunk("one")));
    tee.reader_cancel(RIGHT, right, "enough").unwrap();
    give(&mut tee, "two");
    assert_eq!(tee.read(LEFT, left), Ok(chunk("two")));
    assert_eq!((tee.read(RIGHT, right), tee.branch(RIGHT).chunks()), (Ok(Read::Done), 0));
}

#[test]
fn readable_24_the_source_is_cancelled_when_both_are() {
    for result in [Ok(()), Err("would not stop")] {
        let (mut tee, left, right) = tee();
        let Ok(Read::Waiting(read)) = tee.read(LEFT, left) else { panic!() };
        assert_eq!(actions(&mut tee), [A::Pull]);
        tee.reader_cancel(LEFT, left, "bored").unwrap();
        let done = branch(LEFT, Action::Read { read, outcome: Outcome::Done });
        assert_eq!(actions(&mut tee), [done], "the right lives");
        assert_eq!(tee.cancel(RIGHT, "from outside"), Err(CancelError::Locked));
        tee.release(RIGHT, right).unwrap();
        tee.cancel(RIGHT, "tired").unwrap();
        assert_eq!(actions(&mut tee), [A::Cancel { left: "bored", right: "tired" }]);
        assert!(!tee.has_ended());
        tee.cancelled(result);
        let ended = Side::ALL.map(|side| branch(side, Action::Cancelled(result)));
        assert_eq!(actions(&mut tee), ended);
        assert!(tee.has_ended());
    }
}

#[test]
fn readable_25_a_source_that_ends_answers_a_cancelled_branch() {
    type End = fn(&mut T);
    let ends: [(End, Action<&str>); 2] = [
        (|tee| tee.close().unwrap(), Action::Closed),
        (|tee| tee.error("broken"), Action::Errored("broken")),
    ];
    for (end, other) in ends {
        let (mut tee, left, _) = tee();
        tee.reader_cancel(LEFT, left, "enough").unwrap();
        assert_eq!(actions(&mut tee), [A::Pull]);
        end(&mut tee);
        assert_eq!(actions(&mut tee), [branch(LEFT, Action::Cancelled(Ok(()))), branch(RIGHT, other)]);
    }
}

#[test]
fn readable_26_a_source_that_fails_fails_both_at_once() {
    let (mut tee, left, right) = tee();
    give(&mut tee, "lost");
    assert_eq!(tee.read(LEFT, left), Ok(chunk("lost")));
    let Ok(Read::Waiting(read)) = tee.read(LEFT, left) else { panic!() };
    tee.error("broken");
    let failed = branch(LEFT, Action::Read { read, outcome: Outcome::Failed("broken") });
    let ended = Side::ALL.map(|side| branch(side, Action::Errored("broken")));
    assert_eq!(actions(&mut tee), [failed, ended[0].clone(), ended[1].clone()]);
    assert_eq!(tee.read(RIGHT, right), Ok(Read::Failed("broken")));
}

#[test]
fn readable_27_a_branch_closes_when_it_was_read_to_the_end() {
    let (mut tee, left, right) = tee();
    give(&mut tee, "one");
    assert_eq!(tee.read(LEFT, left), Ok(chunk("one")));
    let Ok(Read::Waiting(read)) = tee.read(LEFT, left) else { panic!() };
    tee.close().unwrap();
    let done = branch(LEFT, Action::Read { read, outcome: Outcome::Done });
    assert_eq!(actions(&mut tee), [done, branch(LEFT, Action::Closed)], "though the right is behind");
    assert_eq!(tee.read(RIGHT, right), Ok(chunk("one")));
    assert_eq!(actions(&mut tee), [branch(RIGHT, Action::Closed)]);
    // A stream that had ended before it was teed.
    let mut over: Readable<&str> = Readable::new(Config::count(1));
    over.error("before");
    let mut tee = T::new(over).unwrap();
    assert_eq!(actions(&mut tee), Side::ALL.map(|side| branch(side, Action::Errored("before"))));
    let mut over: Readable<&str> = Readable::new(Config::count(1));
    over.cancel("before").unwrap();
    let mut tee = T::new(over).unwrap();
    let [left, right] = Side::ALL.map(|side| branch(side, Action::Closed));
    assert_eq!(actions(&mut tee), [left, right, A::Cancel { left: "before", right: "before" }]);
}

/// READABLE-20, READABLE-21, READABLE-22: readers of every pace, for many seeds.
#[test]
fn readable_22_both_get_everything_and_neither_piles_up() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let (mut tee, left, right) = tee();
        let (count, pace) = (rng.below(40) as u8, [1 + rng.below(5), 1 + rng.below(5)]);
        let (mut sent, mut closed, mut asked) = (0, false, false);
        let mut got: [Vec<u8>; 2] = Default::default();
        let mut terminals = [0, 0];
        let mut reads = [0, 0];
        while terminals != [1, 1] {
            while let Some(action) = tee.poll_action() {
                match action {
                    A::Pull => {
                        assert!(!asked && !closed);
                        asked = true;
                    }
                    A::Cancel { .. } => panic!("nobody cancelled"),
                    A::Branch { side, action } => {
                        let at = usize::from(side == RIGHT);
                        match action {
                            Action::Read { outcome: Outcome::Chunk(chunk), .. } => {
                                got[at].extend_from_slice(&chunk);
                                reads[at] -= 1;
                            }
                            Action::Read { outcome: Outcome::Done, .. } => reads[at] -= 1,
                            Action::Closed => terminals[at] += 1,
                            other => panic!("{other:?}"),
                        }
                    }
                }
            }
            match rng.below(3) {
                0 if asked => {
                    if sent == count {
                        tee.close().unwrap();
                        closed = true;
                    } else {
                        tee.enqueue(Bytes::copy_from_slice(&[sent])).unwrap();
                        sent += 1;
                    }
                    asked = false;
                    tee.pulled();
                }
                _ => {
                    for (at, (side, reader)) in [(LEFT, left), (RIGHT, right)].into_iter().enumerate() {
                        if rng.below(pace[at]) == 0 && reads[at] < 3 {
                            match tee.read(side, reader).unwrap() {
                                Read::Chunk(chunk) => got[at].extend_from_slice(&chunk),
                                Read::Waiting(_) => reads[at] += 1,
                                Read::Done => {}
                                Read::Failed(error) => panic!("{error}"),
                            }
                        }
                    }
                }
            }
            for side in Side::ALL {
                assert!(tee.branch(side).chunks() <= 1, "seed {seed}");
            }
        }
        let all: Vec<u8> = (0..count).collect();
        assert_eq!((got, reads, tee.poll_action()), ([all.clone(), all], [0, 0], None), "seed {seed}");
    }
}
