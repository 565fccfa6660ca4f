//! The readable stream and its tee, each rule of the standard that applies.

use bytes::Bytes;
use portline::body::readable::{
    Action, CancelError, CloseError, Config, EnqueueError, LockError, Outcome, Read, ReadError, Readable,
    Reader, Strategy,
};

type R = Readable<&'static str>;
type A = Action<&'static str>;

fn started(config: Config) -> R {
    let mut stream = R::new(config);
    stream.started();
    stream
}

/// A stream whose source was asked, and its reader.
fn asked(config: Config) -> (R, Reader) {
    let mut stream = started(config);
    let reader = stream.lock().unwrap();
    assert_eq!(stream.poll_action(), Some(A::Pull));
    (stream, reader)
}

fn enqueue(stream: &mut R, chunk: &'static str) {
    stream.enqueue(Bytes::from_static(chunk.as_bytes())).unwrap();
}

fn waiting(read: Result<Read<&str>, ReadError>) -> u64 {
    match read {
        Ok(Read::Waiting(read)) => read,
        other => panic!("{other:?}"),
    }
}

fn chunk(text: &'static str) -> Read<&'static str> {
    Read::Chunk(Bytes::from_static(text.as_bytes()))
}

fn answer(read: u64, text: &'static str) -> Option<A> {
    Some(A::Read { read, outcome: Outcome::Chunk(Bytes::from_static(text.as_bytes())) })
}

fn actions(stream: &mut R) -> Vec<A> {
    std::iter::from_fn(|| stream.poll_action()).collect()
}

#[test]
fn readable_1_2_the_strategy_measures_and_the_rest_of_the_mark_is_desired() {
    for (config, sizes) in [(Config::count(2), [2, 1, 0, -1]), (Config::bytes(5), [5, 2, 2, -4])] {
        let mut stream = started(config);
        let mut seen = vec![stream.desired_size().unwrap()];
        for text in ["abc", "", "defghi"] {
            enqueue(&mut stream, text);
            seen.push(stream.desired_size().unwrap());
        }
        assert_eq!(seen, sizes, "{config:?}");
        let reader = stream.lock().unwrap();
        stream.close().unwrap();
        for _ in 0..3 {
            assert!(matches!(stream.read(reader), Ok(Read::Chunk(_))));
        }
        assert_eq!(stream.desired_size(), Some(0), "closed");
    }
    let mut failed = started(Config::count(2));
    failed.error("no");
    assert_eq!(failed.desired_size(), None);
    assert_eq!(
        (Strategy::Count.size(9), Strategy::Bytes.size(9), Config::default()),
        (1, 9, Config::count(1))
    );
}

#[test]
fn readable_3_a_source_is_not_asked_before_it_has_started() {
    let mut stream = R::new(Config::count(1));
    let reader = stream.lock().unwrap();
    waiting(stream.read(reader));
    assert_eq!(stream.poll_action(), None);
    stream.pulled(); // it was not asked
    stream.started();
    stream.started();
    assert_eq!(actions(&mut stream), [A::Pull]);
    let mut broken = R::new(Config::count(1));
    broken.error("no start");
    broken.started();
    assert_eq!(actions(&mut broken), [A::Errored("no start")]);
}

#[test]
fn readable_4_the_source_is_asked_for_a_read_or_for_the_mark() {
    let mut lazy = started(Config::count(0));
    assert_eq!(lazy.poll_action(), None, "nobody reads, and nothing is desired");
    let reader = lazy.lock().unwrap();
    assert_eq!(lazy.poll_action(), None, "a reader is not a read");
    waiting(lazy.read(reader));
    assert_eq!(actions(&mut lazy), [A::Pull]);

    let mut eager = started(Config::bytes(4));
    for text in ["ab", "cd"] {
        assert_eq!(actions(&mut eager), [A::Pull]);
        enqueue(&mut eager, text);
        eager.pulled();
    }
    assert_eq!(actions(&mut eager), [], "the mark is reached");

    // Never after the end.
    let ends: [fn(&mut R); 3] = [
        |stream| stream.close().unwrap(),
        |stream| stream.error("no"),
        |stream| stream.cancel("no").unwrap(),
    ];
    for end in ends {
        let mut stream = started(Config::count(5));
        end(&mut stream);
        assert!(!actions(&mut stream).contains(&A::Pull));
    }
}

#[test]
fn readable_5_6_the_source_is_asked_once_at_a_time_and_again_where_more_is_wanted() {
    let (mut stream, reader) = asked(Config::count(2));
    enqueue(&mut stream, "one");
    assert_eq!(stream.poll_action(), None, "it has not answered");
    stream.pulled();
    assert_eq!(actions(&mut stream), [A::Pull], "one is missing still");
    enqueue(&mut stream, "two");
    stream.pulled();
    assert_eq!(actions(&mut stream), [], "the mark is reached");
    assert_eq!(stream.read(reader), Ok(chunk("one")));
    assert_eq!(actions(&mut stream), [A::Pull], "a read makes room");
    // Wanted meanwhile, and not any more when it answers.
    assert_eq!(stream.read(reader), Ok(chunk("two")));
    enqueue(&mut stream, "three");
    enqueue(&mut stream, "four");
    stream.pulled();
    assert_eq!(actions(&mut stream), []);
    // An answer without a chunk, and nothing wanted meanwhile: it is not asked again by itself.
    let (mut idle, _) = asked(Config::count(1));
    idle.pulled();
    assert_eq!(actions(&mut idle), []);
}

#[test]
fn readable_7_8_chunks_go_to_the_oldest_read_and_in_order() {
    let (mut stream, reader) = asked(Config::bytes(1));
    let (first, second) = (waiting(stream.read(reader)), waiting(stream.read(reader)));
    let big = Bytes::from(vec![7; 3]);
    stream.enqueue(big.clone()).unwrap();
    assert_eq!((stream.desired_size(), stream.bytes()), (Some(1), 0), "not measured");
    enqueue(&mut stream, "two");
    enqueue(&mut stream, "three");
    let Some(A::Read { read, outcome: Outcome::Chunk(got) }) = stream.poll_action() else { panic!() };
    assert_eq!((read, got.as_ptr()), (first, big.as_ptr()), "not a copy");
    assert_eq!(stream.poll_action(), answer(second, "two"));
    enqueue(&mut stream, "four");
    assert_eq!((stream.bytes(), stream.chunks()), ("threefour".len(), 2));
    assert_eq!(stream.read(reader), Ok(chunk("three")));
    assert_eq!(stream.read(reader), Ok(chunk("four")));
    assert_eq!(waiting(stream.read(reader)), 3);
}

/// A driver that reads on before it polls gets nothing out of order.
#[test]
fn readable_8_no_read_overtakes_another() {
    let (mut stream, reader) = asked(Config::count(3));
    let first = waiting(stream.read(reader));
    enqueue(&mut stream, "one");
    enqueue(&mut stream, "two");
    stream.close().unwrap();
    // "two" is there, and so is the end; the answer to the first read was not polled.
    let (second, third) = (waiting(stream.read(reader)), waiting(stream.read(reader)));
    let done = A::Read { read: third, outcome: Outcome::Done };
    let [one, two] = [answer(first, "one").unwrap(), answer(second, "two").unwrap()];
    assert_eq!(actions(&mut stream), [one, two, done, A::Closed]);
    assert_eq!(stream.read(reader), Ok(Read::Done));
}

#[test]
fn readable_9_a_source_may_enqueue_without_being_asked() {
    let mut stream = R::new(Config::count(0));
    let reader = stream.lock().unwrap();
    enqueue(&mut stream, "early");
    stream.started();
    enqueue(&mut stream, "more");
    assert_eq!((stream.desired_size(), stream.poll_action()), (Some(-2), None));
    assert_eq!(stream.read(reader), Ok(chunk("early")));
    assert_eq!(stream.read(reader), Ok(chunk("more")));
}

#[test]
fn readable_10_12_nothing_is_enqueued_or_closed_after_the_end() {
    let mut closing = started(Config::count(1));
    enqueue(&mut closing, "last");
    closing.close().unwrap();
    let mut closed = started(Config::count(1));
    closed.close().unwrap();
    let mut cancelled = started(Config::count(1));
    cancelled.cancel("enough").unwrap();
    let mut failed = started(Config::count(1));
    failed.error("no");
    for (mut stream, error, close) in [
        (closing, EnqueueError::Closing, CloseError::Closed),
        (closed, EnqueueError::Closed, CloseError::Closed),
        (cancelled, EnqueueError::Closed, CloseError::Closed),
        (failed, EnqueueError::Errored, CloseError::Errored),
    ] {
        assert_eq!(stream.enqueue(Bytes::new()), Err(error));
        assert_eq!(stream.close(), Err(close));
    }
}

#[test]
fn readable_11_a_stream_closes_once_everything_was_read() {
    let (mut stream, reader) = asked(Config::count(3));
    enqueue(&mut stream, "one");
    enqueue(&mut stream, "two");
    stream.close().unwrap();
    stream.pulled();
    assert_eq!(stream.read(reader), Ok(chunk("one")));
    assert_eq!((stream.poll_action(), stream.has_ended()), (None, false));
    assert_eq!(stream.read(reader), Ok(chunk("two")));
    assert!(stream.has_ended());
    assert_eq!(stream.read(reader), Ok(Read::Done));
    assert_eq!(actions(&mut stream), [A::Closed]);
    // With reads that wait.
    let (mut stream, reader) = asked(Config::count(1));
    let reads = [waiting(stream.read(reader)), waiting(stream.read(reader))];
    stream.close().unwrap();
    let done = |read| A::Read { read, outcome: Outcome::Done };
    assert_eq!(actions(&mut stream), [done(reads[0]), done(reads[1]), A::Closed]);
    assert_eq!(stream.read(reader), Ok(Read::Done));
}

#[test]
fn readable_13_a_stream_that_fails_drops_what_is_queued() {
    let (mut stream, reader) = asked(Config::count(3));
    enqueue(&mut stream, "lost");
    stream.close().unwrap(); // closing does not protect it
    stream.error("broken");
    stream.error("again");
    assert_eq!((stream.bytes(), stream.chunks()), (0, 0));
    assert_eq!(stream.read(reader), Ok(Read::Failed("broken")));
    assert_eq!(actions(&mut stream), [A::Errored("broken")]);
    let (mut stream, reader) = asked(Config::count(1));
    let read = waiting(stream.read(reader));
    stream.error("broken");
    let failed = A::Read { read, outcome: Outcome::Failed("broken") };
    assert_eq!(actions(&mut stream), [failed, A::Errored("broken")]);
    let mut closed = started(Config::count(1));
    closed.close().unwrap();
    closed.error("late");
    assert_eq!(actions(&mut closed), [A::Closed]);
}

#[test]
fn readable_14_20_cancelling_ends_reads_and_waits_for_the_source() {
    for result in [Ok(()), Err("would not stop")] {
        let (mut stream, reader) = asked(Config::count(1));
        let read = waiting(stream.read(reader));
        stream.reader_cancel(reader, "enough").unwrap();
        stream.pulled();
        let done = A::Read { read, outcome: Outcome::Done };
        assert_eq!(actions(&mut stream), [done, A::Cancel("enough")]);
        assert_eq!((stream.read(reader), stream.has_ended()), (Ok(Read::Done), false));
        stream.error("ignored");
        stream.cancelled(result);
        stream.cancelled(Ok(()));
        assert_eq!(actions(&mut stream), [A::Cancelled(result)]);
        assert!(stream.has_ended());
    }
    let mut queued = started(Config::count(3));
    enqueue(&mut queued, "dropped");
    queued.close().unwrap();
    queued.cancel("enough").unwrap();
    assert_eq!((queued.bytes(), actions(&mut queued)), (0, vec![A::Cancel("enough")]));
}

#[test]
fn readable_15_there_is_nothing_to_cancel_after_the_end() {
    let mut closed = started(Config::count(1));
    closed.close().unwrap();
    assert_eq!(closed.cancel("late"), Ok(()));
    assert_eq!(actions(&mut closed), [A::Closed]);
    let mut twice = started(Config::count(1));
    twice.cancel("first").unwrap();
    twice.cancel("second").unwrap();
    assert_eq!(actions(&mut twice), [A::Cancel("first")]);
    let mut failed = started(Config::count(1));
    failed.error("no");
    assert_eq!(failed.cancel("late"), Err(CancelError::Errored("no")));
}

#[test]
fn readable_16_one_reader_holds_a_stream() {
    let mut stream = started(Config::count(1));
    let reader = stream.lock().unwrap();
    assert_eq!((stream.lock(), stream.is_locked()), (Err(LockError::Locked), true));
    assert_eq!(stream.cancel("from outside"), Err(CancelError::Locked));
    stream.release(reader).unwrap();
    assert!(!stream.is_locked());
    let next = stream.lock().unwrap();
    assert_ne!(next, reader);
    stream.reader_cancel(next, "by its reader").unwrap();
}

#[test]
fn readable_17_18_a_reader_that_let_go_has_no_more_say() {
    let (mut stream, old) = asked(Config::count(1));
    let reads = [waiting(stream.read(old)), waiting(stream.read(old))];
    stream.release(old).unwrap();
    let released = |read| A::Read { read, outcome: Outcome::Released };
    assert_eq!(actions(&mut stream), [released(reads[0]), released(reads[1])]);
    enqueue(&mut stream, "kept");
    assert_eq!(stream.read(old), Err(ReadError::Released));
    assert_eq!(stream.release(old), Err(ReadError::Released));
    assert_eq!(stream.reader_cancel(old, "no"), Err(CancelError::Released));
    let new = stream.lock().unwrap();
    assert_eq!(stream.read(old), Err(ReadError::Released));
    assert_eq!(stream.read(new), Ok(chunk("kept")));
}

/// T6, T10.
#[test]
fn readable_19_a_source_that_pushes_on_is_refused_and_so_are_endless_reads() {
    let config = Config { max_bytes: 10, max_chunks: 3, max_reads: 2, ..Config::count(1) };
    let (full, mut stream) = (EnqueueError::Full { bytes: 10, chunks: 3 }, started(config));
    enqueue(&mut stream, "0123456789");
    assert_eq!(stream.enqueue("x".into()), Err(full));
    enqueue(&mut stream, "");
    enqueue(&mut stream, "");
    assert_eq!(stream.enqueue("".into()), Err(full));
    let (mut stream, reader) = asked(config);
    waiting(stream.read(reader));
    waiting(stream.read(reader));
    assert_eq!(stream.read(reader), Err(ReadError::TooMany { limit: 2 }));
    // What a read waits for is never too much; but then it still counts as a read until it is polled, and what comes
    // behind it is queued.
    stream.enqueue(Bytes::from(vec![7; 100])).unwrap();
    stream.enqueue(Bytes::from(vec![7; 100])).unwrap();
    assert_eq!(stream.read(reader), Err(ReadError::TooMany { limit: 2 }));
    assert_eq!(stream.enqueue(Bytes::from(vec![7; 11])), Err(full));
}
