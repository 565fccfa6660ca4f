//! The registry of queues, rule by rule, and with seeded operations.

use std::collections::BTreeSet;

use crate::common::Rng;
use bytes::Bytes;
use portline::body::queue::{self, Full, PullError, PushError, Pushed, Queue};
use portline::body::registry::{Action, Config, CreateError, Event, Misuse, Registry};

type R = Registry<&'static str>;

fn chunk(length: usize) -> Bytes {
    Bytes::from(vec![7; length])
}

fn registry(config: Config) -> R {
    Registry::new(config).unwrap()
}

fn small(max_streams: usize, max_bytes: usize) -> Config {
    Config { max_streams, max_bytes, ..Config::default() }
}

fn event(stream: u64, event: Event<&'static str>) -> Option<Action<&'static str>> {
    Some(Action { stream, event })
}

#[test]
fn registry_1_numbers_rise_from_1_and_are_never_given_again() {
    let mut registry = registry(small(2, 100));
    for number in 1..=100 {
        let stream = registry.create().unwrap();
        assert_eq!(stream, number);
        registry.delete(stream).unwrap();
        assert_eq!(registry.poll_action(), event(stream, Event::Deleted));
        for stale in 0..=number {
            assert_eq!(registry.push(stale, Bytes::new()), Err(Misuse::Missing { stream: stale }));
        }
    }
}

#[test]
fn registry_2_10_streams_are_queues_apart_and_take_turns() {
    let mut registry = registry(Config::default());
    let [a, b] = [registry.create().unwrap(), registry.create().unwrap()];
    for (stream, text) in [(a, "for a"), (b, "for b")] {
        assert_eq!(registry.push(stream, text.into()), Ok(Pushed::All));
        registry.pull(stream).unwrap();
    }
    assert_eq!(registry.pull(a), Err(Misuse::Pull(PullError::Waiting)));
    registry.close(a).unwrap();
    registry.error(b, "broken").unwrap();
    assert_eq!(registry.poll_action(), event(a, Event::Chunk("for a".into())));
    assert_eq!(registry.poll_action(), event(b, Event::Chunk("for b".into())));
    assert_eq!(registry.poll_action(), event(a, Event::Done));
    assert_eq!(registry.poll_action(), event(b, Event::Failed("broken")));
    assert_eq!((registry.poll_action(), registry.bytes()), (None, 0));
}

#[test]
fn registry_3_every_verb_refuses_a_stream_that_is_not_there() {
    let mut registry = registry(Config::default());
    let gone = registry.create().unwrap();
    registry.delete(gone).unwrap();
    for stream in [0, gone, 2, u64::MAX] {
        let missing = Err(Misuse::Missing { stream });
        assert_eq!(registry.push(stream, Bytes::new()).map(drop), missing);
        assert_eq!(registry.pull(stream), missing);
        assert_eq!(registry.close(stream), missing);
        assert_eq!(registry.error(stream, ""), missing);
        assert_eq!(registry.cancel(stream, ""), missing);
        assert_eq!(registry.delete(stream), missing);
        assert!(!registry.can_push(stream) && registry.queue(stream).is_none());
    }
}

#[test]
fn registry_4_9_a_stream_that_ended_stays_and_says_why_it_takes_nothing() {
    let mut registry = registry(Config::default());
    let streams: Vec<u64> = (0..3).map(|_| registry.create().unwrap()).collect();
    registry.close(streams[0]).unwrap();
    registry.error(streams[1], "broken").unwrap();
    registry.cancel(streams[2], "enough").unwrap();
    while registry.poll_action().is_some() {}
    for (stream, error) in
        streams.into_iter().zip([PushError::Closed, PushError::Failed, PushError::Cancelled])
    {
        assert_eq!(registry.push(stream, Bytes::new()), Err(Misuse::Push(error)));
        assert_eq!(registry.pull(stream), Err(Misuse::Pull(PullError::Over)));
        registry.delete(stream).unwrap();
    }
    assert_eq!((registry.poll_action(), registry.streams()), (None, 0), "each had its terminal event");
}

#[test]
fn registry_5_a_deleted_stream_keeps_its_place_until_its_event_is_taken() {
    let mut registry = registry(small(2, 100));
    let too_many = Err(CreateError::TooMany { limit: 2 });
    for _ in 0..2 {
        registry.create().unwrap();
    }
    assert_eq!((registry.create(), registry.streams()), (too_many, 2));
    registry.delete(1).unwrap();
    assert_eq!((registry.create(), registry.streams()), (too_many, 2));
    registry.poll_action().unwrap();
    assert_eq!(registry.streams(), 1);
    assert_eq!(registry.create(), Ok(3));
    for (max_streams, max_bytes) in [(0, 1), (1, 0)] {
        assert!(R::new(small(max_streams, max_bytes)).is_err());
    }
}

#[test]
fn registry_6_all_streams_together_are_bounded_and_nobody_starves() {
    let mut registry = registry(small(10, 10));
    let [a, b, c] = [(); 3].map(|()| registry.create().unwrap());
    assert_eq!(registry.push(a, chunk(8)), Ok(Pushed::All));
    assert_eq!(registry.push(c, chunk(4)), Ok(Pushed::Part { rest: chunk(2) }));
    assert_eq!(registry.push(b, chunk(1)), Err(Misuse::TotalFull { limit: 10 }));
    assert_eq!((registry.bytes(), registry.can_push(b)), (10, false));
    registry.pull(a).unwrap();
    assert_eq!(registry.poll_action(), event(a, Event::Chunk(chunk(8))));
    assert_eq!(registry.poll_action(), event(c, Event::Writable), "refused first");
    assert_eq!(registry.poll_action(), event(b, Event::Writable));
    assert_eq!(registry.push(b, chunk(8)), Ok(Pushed::All));
    assert_eq!(registry.push(a, chunk(9)), Err(Misuse::TotalFull { limit: 10 }));
    registry.delete(b).unwrap();
    assert_eq!(registry.poll_action(), event(b, Event::Deleted));
    assert_eq!(registry.poll_action(), event(a, Event::Writable));
    // What could never fit is refused for ever, and says so.
    let queue = queue::Config { full: Full::Refuse, ..queue::Config::default() };
    let mut whole = self::registry(Config { queue, ..small(1, 10) });
    let stream = whole.create().unwrap();
    let error = PushError::TooLarge { length: 11, limit: 10 };
    assert_eq!(whole.push(stream, chunk(11)), Err(Misuse::Push(error)));
    // A chunk that its queue has just enough room for waits for the others.
    let queue = queue::Config { bytes: 4, full: Full::Refuse, ..queue::Config::default() };
    let mut whole = self::registry(Config { queue, ..small(2, 6) });
    let [a, b] = [(); 2].map(|()| whole.create().unwrap());
    assert_eq!(whole.push(a, chunk(4)), Ok(Pushed::All));
    assert_eq!(whole.push(b, chunk(4)), Err(Misuse::TotalFull { limit: 6 }));
    assert_eq!(whole.push(b, chunk(2)), Ok(Pushed::All));
}

/// REGISTRY-6: only what the bytes of all kept from a stream is put down to them.
#[test]
fn registry_6_a_stream_that_is_full_itself_is_told_so_and_does_not_wait_for_others() {
    let queue = |full| queue::Config { bytes: 4, full, ..queue::Config::default() };
    let own = Err(Misuse::Push(PushError::Full { bytes: 4, chunks: 16 }));
    for full in [Full::Split, Full::Refuse] {
        let mut registry = registry(Config { queue: queue(full), ..small(3, 8) });
        let [a, b, c] = [(); 3].map(|()| registry.create().unwrap());
        assert_eq!(registry.push(a, chunk(4)), Ok(Pushed::All));
        assert_eq!(registry.push(a, chunk(1)), own, "with room for others");
        assert_eq!((registry.can_push(a), registry.can_push(b)), (false, true));
        assert_eq!(registry.push(b, chunk(4)), Ok(Pushed::All));
        assert_eq!(registry.push(a, chunk(1)), own, "and without");
        assert_eq!(registry.push(c, chunk(1)), Err(Misuse::TotalFull { limit: 8 }));
        registry.delete(b).unwrap();
        let told: Vec<_> = std::iter::from_fn(|| registry.poll_action()).collect();
        let expected = [event(b, Event::Deleted), event(c, Event::Writable)].map(Option::unwrap);
        assert_eq!(told, expected);
    }
    // One byte is left in all, three in the queue.
    let [mut split, mut whole] = [Full::Split, Full::Refuse].map(|full| {
        let mut registry = registry(Config { queue: queue(full), ..small(2, 6) });
        let [a, b] = [(); 2].map(|()| registry.create().unwrap());
        assert_eq!(registry.push(a, chunk(4)), Ok(Pushed::All));
        assert_eq!(registry.push(b, chunk(1)), Ok(Pushed::All));
        registry
    });
    assert_eq!(whole.push(2, chunk(4)), own, "its queue would not take that whole either");
    assert_eq!(whole.push(2, chunk(2)), Err(Misuse::TotalFull { limit: 6 }));
    assert_eq!(split.push(2, chunk(4)), Ok(Pushed::Part { rest: chunk(3) }));
    split.delete(1).unwrap();
    assert_eq!(split.poll_action(), event(1, Event::Deleted));
    assert_eq!(split.poll_action(), event(2, Event::Writable));
}

#[test]
fn registry_7_8_clearing_ends_every_waiter_once() {
    let mut registry = registry(Config::default());
    let streams: Vec<u64> = (0..6).map(|_| registry.create().unwrap()).collect();
    registry.pull(streams[0]).unwrap();
    assert_eq!(registry.push(streams[1], chunk(100)), Ok(Pushed::All));
    registry.close(streams[2]).unwrap(); // and its event not taken
    registry.pull(streams[3]).unwrap();
    registry.cancel(streams[3], "enough").unwrap();
    registry.delete(streams[4]).unwrap();
    registry.clear();
    registry.clear();
    assert_eq!(registry.bytes(), 0);
    let ended: Vec<_> = std::iter::from_fn(|| registry.poll_action()).collect();
    assert!(ended.iter().all(|action| action.event == Event::Deleted));
    let numbers: BTreeSet<u64> = ended.iter().map(|action| action.stream).collect();
    assert_eq!((ended.len(), numbers.len(), registry.streams()), (6, 6, 0));
}

/// REGISTRY-5, REGISTRY-6, REGISTRY-7: any operations; the bytes add up, and each stream ends once.
#[test]
fn registry_7_every_stream_has_one_terminal_event_whatever_happens() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let mut registry = registry(Config {
            queue: queue::Config { bytes: 40, chunks: 4, small: 8, ..queue::Config::default() },
            ..small(5, 60)
        });
        let (mut made, mut ended) = (0_u64, BTreeSet::new());
        let take = |registry: &mut R, ended: &mut BTreeSet<u64>| {
            let Some(action) = registry.poll_action() else { return false };
            assert!(!ended.contains(&action.stream), "nothing follows the terminal event");
            match action.event {
                Event::Chunk(_) | Event::Writable => {}
                Event::Done | Event::Failed(_) | Event::Cancelled(_) | Event::Deleted => {
                    ended.insert(action.stream);
                }
            }
            true
        };
        for _ in 0..300 {
            let stream = rng.below(made as usize + 2) as u64;
            match rng.below(9) {
                0 => made += u64::from(registry.create().is_ok()),
                1 | 2 => drop(registry.push(stream, chunk(rng.below(50)))),
                3 => drop(registry.pull(stream)),
                4 => drop(registry.close(stream)),
                5 => drop(registry.error(stream, "broken")),
                6 => drop(registry.cancel(stream, "enough")),
                7 => drop(registry.delete(stream)),
                _ => drop(take(&mut registry, &mut ended)),
            }
            let sum: usize = (1..=made).filter_map(|stream| registry.queue(stream)).map(Queue::bytes).sum();
            assert_eq!(registry.bytes(), sum);
            assert!(sum <= 60 && registry.streams() <= 5);
        }
        registry.clear();
        while take(&mut registry, &mut ended) {}
        assert_eq!((ended.len() as u64, registry.streams()), (made, 0));
    }
}
