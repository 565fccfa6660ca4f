//! The tee of a readable stream: rules READABLE-21 and after, with readers of every pace.

use crate::common::Rng;
use bytes::Bytes;
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

/// READABLE-5: an answer to a pull that was not told yet is none.
#[test]
fn readable_22_the_source_is_asked_once_at_a_time() {
    let (mut tee, left, right) = tee();
    tee.pulled();
    tee.pulled();
    assert_eq!(actions(&mut tee), [A::Pull]);
    tee.enqueue("one".into()).unwrap();
    tee.pulled();
    assert_eq!(tee.read(LEFT, left), Ok(chunk("one")));
    assert_eq!(tee.read(RIGHT, right), Ok(chunk("one")));
    tee.pulled();
    tee.pulled();
    assert_eq!(actions(&mut tee), [A::Pull]);
}

/// READABLE-2, READABLE-3: what the source is told of itself is told through the tee.
#[test]
fn readable_21_a_source_that_is_not_ready_is_asked_when_it_is() {
    let mut tee = T::new(Readable::new(Config::count(5))).unwrap();
    assert_eq!(tee.poll_action(), None, "it has not started");
    tee.started();
    assert_eq!((tee.poll_action(), tee.desired_size()), (Some(A::Pull), Some(5)));
    for text in ["at the branches", "one", "two"] {
        tee.enqueue(Bytes::from_static(text.as_bytes())).unwrap();
    }
    assert_eq!(tee.desired_size(), Some(3), "two wait at the source");
    tee.error("broken");
    assert_eq!(tee.desired_size(), None);
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
fn readable_25_a_branch_that_is_cancelled_after_the_source_ended_has_its_answer() {
    let (mut tee, left, right) = tee();
    give(&mut tee, "one");
    tee.close().unwrap();
    tee.reader_cancel(LEFT, left, "enough").unwrap();
    assert_eq!(actions(&mut tee), [branch(LEFT, Action::Cancelled(Ok(())))]);
    assert_eq!(tee.read(RIGHT, right), Ok(chunk("one")));
    assert_eq!(actions(&mut tee), [branch(RIGHT, Action::Closed)]);
    assert!(tee.has_ended());
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
    assert!(!tee.has_ended());
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

/// A tee, its source, and what the readers have seen.
struct Paces {
    tee: T,
    sent: u8,
    count: u8,
    asked: bool,
    got: [Vec<u8>; 2],
    waiting: [usize; 2],
    closed: [bool; 2],
}

impl Paces {
    fn act(&mut self) {
        while let Some(action) = self.tee.poll_action() {
            match action {
                A::Pull => assert!(!std::mem::replace(&mut self.asked, true)),
                A::Branch { side, action } => {
                    let at = usize::from(side == RIGHT);
                    match action {
                        Action::Read { outcome: Outcome::Chunk(chunk), .. } => {
                            self.got[at].extend_from_slice(&chunk);
                            self.waiting[at] -= 1;
                        }
                        Action::Read { outcome: Outcome::Done, .. } => self.waiting[at] -= 1,
                        Action::Closed => assert!(!std::mem::replace(&mut self.closed[at], true)),
                        other => panic!("{other:?}"),
                    }
                }
                A::Cancel { .. } => panic!("nobody cancelled"),
            }
        }
    }

    fn give(&mut self) {
        if self.sent == self.count {
            self.tee.close().unwrap();
        } else {
            self.tee.enqueue(Bytes::copy_from_slice(&[self.sent])).unwrap();
            self.sent += 1;
        }
        self.asked = false;
        self.tee.pulled();
    }

    fn read(&mut self, at: usize, reader: Reader) {
        match self.tee.read(Side::ALL[at], reader).unwrap() {
            Read::Chunk(chunk) => self.got[at].extend_from_slice(&chunk),
            Read::Waiting(_) => self.waiting[at] += 1,
            Read::Done => {}
            Read::Failed(error) => panic!("{error}"),
        }
    }
}

/// READABLE-20, READABLE-21, READABLE-22: readers of every pace, for many seeds.
#[test]
fn readable_22_both_get_everything_and_neither_piles_up() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let (tee, left, right) = tee();
        let (count, pace) = (rng.below(40) as u8, [1 + rng.below(5), 1 + rng.below(5)]);
        let (got, waiting, closed) = Default::default();
        let mut run = Paces { tee, sent: 0, count, asked: false, got, waiting, closed };
        while run.closed != [true, true] {
            run.act();
            if run.asked && rng.below(3) == 0 {
                run.give();
            }
            for (at, reader) in [left, right].into_iter().enumerate() {
                if rng.below(pace[at]) == 0 && run.waiting[at] < 3 {
                    run.read(at, reader);
                }
            }
            assert!(Side::ALL.iter().all(|side| run.tee.branch(*side).chunks() <= 1), "seed {seed}");
        }
        let all: Vec<u8> = (0..count).collect();
        assert_eq!(
            (run.got, run.waiting, run.tee.poll_action()),
            ([all.clone(), all], [0, 0], None),
            "seed {seed}"
        );
    }
}
