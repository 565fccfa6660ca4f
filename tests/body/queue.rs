//! The byte queue, rule by rule, with hostile slices and seeded operations.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::common::Rng;
use bytes::Bytes;
use portline::body::queue::{Action, Config, ConfigError, Full, PullError, PushError, Pushed, Queue};
use portline::limits;

type Q = Queue<&'static str>;

fn queue(config: Config) -> Q {
    Queue::new(config).unwrap()
}

fn refusing() -> Config {
    Config { full: Full::Refuse, ..Config::default() }
}

fn chunk(length: usize) -> Bytes {
    Bytes::from(vec![7; length])
}

fn push(queue: &mut Q, chunk: impl Into<Bytes>) {
    assert_eq!(queue.push(chunk.into()), Ok(Pushed::All));
}

fn pull(queue: &mut Q) -> Option<Bytes> {
    queue.pull().unwrap();
    match queue.poll_action() {
        Some(Action::Chunk(chunk)) => Some(chunk),
        None => None,
        other => panic!("{other:?}"),
    }
}

/// QUEUE-7: the room that a joined chunk has is used up before it takes more.
#[test]
fn queue_7_a_joined_chunk_takes_no_more_memory_than_what_it_has_to() {
    let mut queue = queue(Config { small: 16, ..Config::default() });
    push(&mut queue, "12345");
    push(&mut queue, "6");
    let memory = queue.memory();
    push(&mut queue, "7890");
    assert_eq!((queue.chunks(), queue.memory()), (1, memory), "as twice five bytes were there");
}

const FULL: PushError = PushError::Full { bytes: 65536, chunks: 16 };

#[test]
fn queue_1_a_queue_of_nothing_is_refused() {
    for (field, config) in
        [("bytes", Config { bytes: 0, ..refusing() }), ("chunks", Config { chunks: 0, ..refusing() })]
    {
        assert_eq!(Queue::<()>::new(config).map(drop), Err(ConfigError::Zero { field }));
    }
}

#[test]
fn queue_2_chunks_come_in_order_and_an_empty_one_counts() {
    let mut queue = queue(Config { join: false, ..Config::default() });
    for text in ["one", "", "two"] {
        push(&mut queue, text);
    }
    assert_eq!((queue.chunks(), queue.bytes()), (3, 6));
    for text in ["one", "", "two"] {
        assert_eq!(pull(&mut queue).unwrap(), text);
    }
    assert_eq!(pull(&mut queue), None);
    for _ in 0..16 {
        push(&mut queue, "");
    }
    // The pull that waited took one of the sixteen.
    assert_eq!(queue.poll_action(), Some(Action::Chunk(Bytes::new())));
    push(&mut queue, "");
    assert_eq!(queue.push(Bytes::new()), Err(FULL));
}

#[test]
fn queue_3_a_pull_that_waits_gets_the_chunk_itself() {
    let mut queue = queue(Config::default());
    assert_eq!(pull(&mut queue), None);
    let small = Bytes::from(vec![1, 2, 3]);
    push(&mut queue, small.clone());
    push(&mut queue, "next");
    let Some(Action::Chunk(got)) = queue.poll_action() else { panic!() };
    assert_eq!((got.as_ptr(), got.len()), (small.as_ptr(), 3), "not a copy, and not joined with the next");
    assert_eq!(queue.poll_action(), None, "one answer to one pull");
    assert_eq!(queue.bytes(), 4);
}

#[test]
fn queue_4_a_full_queue_refuses_whole_chunks() {
    let mut queue = queue(refusing());
    push(&mut queue, chunk(60000));
    assert_eq!(queue.push(chunk(5537)), Err(FULL));
    push(&mut queue, chunk(5536));
    assert_eq!(queue.push(chunk(1)), Err(FULL));
    assert_eq!((queue.bytes(), queue.can_push()), (65536, false));
    assert_eq!(queue.push(chunk(65537)), Err(PushError::TooLarge { length: 65537, limit: 65536 }));
    // Sixteen chunks, of half the bytes.
    let mut chunks = self::queue(refusing());
    for _ in 0..8 {
        push(&mut chunks, "");
        push(&mut chunks, chunk(4096));
    }
    assert_eq!((chunks.bytes(), chunks.chunks(), chunks.can_push()), (32768, 16, false));
    assert_eq!(chunks.push(chunk(4096)), Err(FULL));
    assert_eq!(chunks.push(Bytes::new()), Err(FULL));
}

#[test]
fn queue_5_a_large_chunk_is_split() {
    let mut queue = queue(Config::default());
    let whole = Bytes::from((0..200_000_u32).map(|n| n as u8).collect::<Vec<_>>());
    let (mut left, mut got, mut largest) = (Some(whole.clone()), Vec::new(), 0);
    while got.len() < whole.len() {
        if let Some(chunk) = left.take() {
            match queue.push(chunk).unwrap() {
                Pushed::All => {}
                Pushed::Part { rest } => {
                    assert_eq!(rest.as_ptr(), whole[whole.len() - rest.len()..].as_ptr(), "not copied");
                    assert_eq!(queue.push(rest.clone()), Err(FULL));
                    left = Some(rest);
                }
            }
        }
        let piece = pull(&mut queue).unwrap();
        largest = largest.max(piece.len());
        got.extend_from_slice(&piece);
    }
    assert_eq!((got, largest), (whole.to_vec(), 65536));
}

/// A buffer that is counted while it lives.
struct Counted(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(self.0.len(), Relaxed);
    }
}

/// `length` bytes in the middle of a buffer of a megabyte.
fn hostile(length: usize, alive: &Arc<AtomicUsize>) -> Bytes {
    let buffer = Counted(vec![7; 1 << 20], Arc::clone(alive));
    alive.fetch_add(buffer.0.len(), Relaxed);
    Bytes::from_owner(buffer).slice(1000..1000 + length)
}

#[test]
fn queue_8_a_small_slice_does_not_keep_a_large_buffer_alive() {
    let alive = Arc::new(AtomicUsize::new(0));
    for (config, most) in [
        (Config::default(), 0),
        (Config { join: false, ..Config::default() }, 0),
        (Config { small: usize::MAX, ..Config::default() }, 0),
        (Config { small: usize::MAX, join: false, ..Config::default() }, 0),
        // Only this one shares them, because it was told to.
        (Config { small: 0, ..Config::default() }, 16),
    ] {
        let mut queue = queue(config);
        for length in [1, 4095, 0, 0, 100, 1, 2000, 0, 4095].repeat(4) {
            queue.push(hostile(length, &alive)).map(drop).unwrap_or_default();
        }
        assert!(queue.chunks() > 0 && queue.memory() <= config.memory());
        assert!(alive.load(Relaxed) <= most << 20, "{config:?}");
        drop(queue);
        assert_eq!(alive.load(Relaxed), 0);
    }
}

#[test]
fn queue_9_a_longer_chunk_is_not_copied_and_a_queue_that_copies_all_keeps_nothing() {
    let alive = Arc::new(AtomicUsize::new(0));
    let mut shared = queue(Config::default());
    let slice = hostile(4096, &alive);
    push(&mut shared, slice.clone());
    assert_eq!(pull(&mut shared).unwrap().as_ptr(), slice.as_ptr());
    drop(slice);
    for _ in 0..16 {
        push(&mut shared, hostile(4096, &alive));
    }
    assert_eq!(alive.load(Relaxed), 16 << 20, "the producer's buffers, as many as there are chunks");
    drop(shared);
    let mut copied = queue(Config { small: usize::MAX, ..Config::default() });
    for _ in 0..16 {
        push(&mut copied, hostile(4096, &alive));
    }
    assert_eq!((alive.load(Relaxed), copied.bytes(), copied.chunks()), (0, 65536, 1));
    assert_eq!(pull(&mut copied).unwrap().len(), 65536);
}

/// T6: a million chunks of a byte fill the bytes, not the chunks.
#[test]
fn queue_7_small_chunks_are_joined() {
    for length in [1, 2, 511, 4095] {
        let mut queue = queue(refusing());
        let mut pushed = 0;
        while queue.push(chunk(length)).is_ok() {
            pushed += length;
            assert!(queue.memory() <= refusing().memory());
        }
        assert!(pushed + length > 65536, "{length}: the bytes ran out first");
        assert!(queue.chunks() <= 16);
        queue.close();
        while queue.bytes() > 0 {
            let joined = pull(&mut queue).unwrap();
            assert!(joined.len() <= 8192 && (joined.len() > 4096 || queue.bytes() == 0));
        }
    }
    let mut bordered = queue(Config { join: false, ..Config::default() });
    for text in ["a", "b"] {
        push(&mut bordered, text);
    }
    assert_eq!((pull(&mut bordered).unwrap(), bordered.chunks()), (Bytes::from_static(b"a"), 1));
}

#[test]
fn queue_10_a_second_pull_is_misuse_and_orphans_nothing() {
    let mut queue = queue(Config::default());
    queue.pull().unwrap();
    assert_eq!(queue.pull(), Err(PullError::Waiting));
    push(&mut queue, "one");
    assert_eq!(queue.pull(), Err(PullError::Waiting), "still: the answer was not taken");
    assert_eq!(queue.poll_action(), Some(Action::Chunk("one".into())));
    queue.pull().unwrap();
    queue.close();
    assert!(queue.is_waiting() && queue.has_ended());
    assert_eq!(queue.poll_action(), Some(Action::Done));
    assert_eq!((queue.pull(), queue.is_waiting()), (Err(PullError::Over), false));
}

#[test]
fn queue_11_13_what_waits_comes_before_the_first_end() {
    type End = fn(&mut Q);
    let ends: [(End, Action<&str>); 2] =
        [(Q::close, Action::Done), (|queue| queue.error("first"), Action::Failed("first"))];
    for (end, terminal) in ends {
        let mut queue = queue(Config::default());
        push(&mut queue, "one");
        end(&mut queue);
        queue.close();
        queue.error("second");
        assert_eq!((queue.poll_action(), queue.has_ended()), (None, false));
        assert_eq!(pull(&mut queue).unwrap(), "one");
        assert!(queue.has_ended());
        assert_eq!(queue.poll_action(), Some(terminal), "without a pull");
        queue.cancel("late");
        assert_eq!(queue.poll_action(), None, "once");
    }
}

#[test]
fn queue_12_cancel_drops_what_waits_unless_the_end_was_reached() {
    for close in [false, true] {
        let mut queue = queue(Config::default());
        push(&mut queue, chunk(5000));
        queue.pull().unwrap();
        if close {
            queue.close();
        }
        queue.cancel("enough");
        queue.cancel("again");
        assert_eq!((queue.bytes(), queue.memory()), (0, 0));
        assert_eq!(queue.poll_action(), Some(Action::Cancelled("enough")), "the answer to the pull");
        assert_eq!(queue.poll_action(), None);
    }
    let mut reached = queue(Config::default());
    reached.error("broken");
    reached.cancel("enough");
    assert_eq!(reached.poll_action(), Some(Action::Failed("broken")));
}

#[test]
fn queue_14_pushing_after_the_end_is_refused_by_name() {
    type End = fn(&mut Q);
    let ends: [(End, PushError); 3] = [
        (Q::close, PushError::Closed),
        (|queue| queue.error("no"), PushError::Failed),
        (|queue| queue.cancel("no"), PushError::Cancelled),
    ];
    for (end, error) in ends {
        let mut queue = queue(Config::default());
        end(&mut queue);
        assert_eq!(queue.push(Bytes::new()), Err(error));
        queue.poll_action().unwrap();
        assert_eq!((queue.push(Bytes::new()), queue.can_push()), (Err(error), false));
    }
}

#[test]
fn queue_15_writable_comes_once_after_a_refusal() {
    let mut queue = queue(Config::default());
    push(&mut queue, chunk(40000));
    pull(&mut queue).unwrap();
    assert_eq!(queue.poll_action(), None, "nothing was refused");
    let Pushed::Part { rest } = queue.push(chunk(70000)).unwrap() else { panic!() };
    assert_eq!((rest.len(), queue.poll_action()), (70000 - 65536, None));
    pull(&mut queue).unwrap();
    assert_eq!((queue.poll_action(), queue.poll_action()), (Some(Action::Writable), None));
    push(&mut queue, chunk(65536));
    assert_eq!(queue.push(rest), Err(FULL));
    queue.close();
    pull(&mut queue).unwrap();
    assert_eq!(queue.poll_action(), Some(Action::Done), "nobody writes after the end");
}

/// QUEUE-15: room that was taken again before anybody was told of it is none.
#[test]
fn queue_15_writable_is_true_when_it_comes() {
    let mut queue = queue(Config::default());
    push(&mut queue, chunk(65536));
    assert_eq!(queue.push(chunk(1)), Err(FULL));
    assert_eq!(queue.pull(), Ok(()));
    assert_eq!(queue.poll_action().map(|_| ()), Some(()));
    push(&mut queue, chunk(65536));
    assert_eq!((queue.has_action(), queue.poll_action()), (false, None));
    queue.pull().unwrap();
    queue.poll_action().unwrap();
    assert_eq!(queue.poll_action(), Some(Action::Writable));
}

/// A queue beside a plain list of the bytes that it should hold.
struct Beside {
    config: Config,
    queue: Q,
    expected: VecDeque<u8>,
    next: u8,
    refused: bool,
}

impl Beside {
    fn push(&mut self, length: usize) {
        let bytes: Vec<u8> = (0..length).map(|at| self.next.wrapping_add(at as u8)).collect();
        let took = match self.queue.push(Bytes::from(bytes.clone())) {
            Ok(Pushed::All) => length,
            Ok(Pushed::Part { rest }) => {
                assert!(!rest.is_empty() && rest.len() < length && self.config.full == Full::Split);
                self.refused = true;
                length - rest.len()
            }
            Err(PushError::Full { .. }) => {
                self.refused = true;
                0
            }
            Err(PushError::TooLarge { .. }) => {
                assert!(length > self.config.bytes && self.config.full == Full::Refuse);
                0
            }
            Err(error) => panic!("{error}"),
        };
        self.expected.extend(&bytes[..took]);
        self.next = self.next.wrapping_add(took as u8);
    }

    fn take(&mut self, chunk: &[u8]) {
        assert!(chunk.len() <= self.config.bytes);
        assert!(chunk.iter().eq(self.expected.drain(..chunk.len()).collect::<Vec<u8>>().iter()));
    }

    fn act(&mut self) {
        while let Some(action) = self.queue.poll_action() {
            match action {
                Action::Chunk(chunk) => self.take(&chunk),
                Action::Writable => assert!(std::mem::take(&mut self.refused) && self.queue.can_push()),
                other => panic!("{other:?}"),
            }
        }
    }

    fn check(&self) {
        let (queue, config) = (&self.queue, &self.config);
        assert!(!(self.refused && queue.can_push() && queue.chunks() == 0), "QUEUE-15: not told of the room");
        assert_eq!(queue.bytes(), self.expected.len());
        assert!(queue.bytes() <= config.bytes && queue.chunks() <= config.chunks);
        assert!(queue.memory() <= config.memory(), "{} of {}: {config:?}", queue.memory(), config.memory());
    }
}

/// QUEUE-2, QUEUE-5, QUEUE-6, QUEUE-13: any operations in any configuration. The property is `tests/properties`;
/// these are enough of it to be told at once.
#[test]
fn queue_6_memory_never_passes_the_cap() {
    for seed in 0..100 {
        let mut rng = Rng::new(seed);
        let config = Config {
            bytes: 1 + rng.below(300),
            chunks: 1 + rng.below(20),
            small: [0, 1, 16, 64, usize::MAX][rng.below(5)],
            join: rng.below(2) == 0,
            full: [Full::Split, Full::Refuse][rng.below(2)],
        };
        let (expected, next, refused) = (VecDeque::new(), 0, false);
        let mut beside = Beside { config, queue: queue(config), expected, next, refused };
        for _ in 0..300 {
            if rng.below(3) == 0 {
                beside.queue.pull().unwrap_or_default();
            } else {
                let most = if rng.below(3) == 0 { 400 } else { 20 };
                beside.push(rng.below(most));
            }
            beside.act();
            beside.check();
        }
        beside.queue.close();
        while !beside.queue.has_ended() {
            beside.queue.pull().unwrap_or_default();
            let Some(Action::Chunk(chunk)) = beside.queue.poll_action() else { panic!("seed {seed}") };
            beside.take(&chunk);
        }
        assert!(beside.expected.is_empty());
        assert_eq!((beside.queue.poll_action(), beside.queue.poll_action()), (Some(Action::Done), None));
    }
    assert_eq!(Config::default().memory(), 65536 + 16 * limits::CHUNK_OVERHEAD);
}
