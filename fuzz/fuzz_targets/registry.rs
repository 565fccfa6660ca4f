//! Any operations on a registry: no panic, numbers are never given twice, the bytes of all streams add up and stay
//! under the cap, nobody who was refused for want of room is forgotten, and each stream has one terminal event.
#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portline::body::queue::{self, Full, Pushed, Queue};
use portline::body::registry::{Config, Event, Misuse, Registry};

#[derive(Arbitrary, Debug)]
struct Input {
    bytes: u8,
    total: u8,
    streams: u8,
    refuse: bool,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Create,
    Push(u8, u8),
    Pull(u8),
    Close(u8),
    Error(u8),
    Cancel(u8),
    Delete(u8),
    Clear,
    Action,
}

/// Streams that live in the eyes of their user; `true` once they had their terminal event.
type Known = BTreeMap<u64, bool>;

fn act(registry: &mut Registry<u8>, known: &mut Known, starved: &mut Vec<u64>) -> bool {
    let Some(action) = registry.poll_action() else { return false };
    let over = known.get_mut(&action.stream).expect("only streams that were made have events");
    assert!(!*over, "nothing follows the terminal event");
    starved.retain(|stream| *stream != action.stream);
    match action.event {
        Event::Chunk(_) | Event::Writable => {}
        Event::Done | Event::Failed(_) | Event::Cancelled(_) | Event::Deleted => *over = true,
    }
    true
}

fuzz_target!(|input: Input| {
    let queue = queue::Config {
        bytes: usize::from(input.bytes),
        chunks: 4,
        small: 8,
        full: if input.refuse { Full::Refuse } else { Full::Split },
        ..queue::Config::default()
    };
    let (max_streams, max_bytes) = (usize::from(input.streams % 8), usize::from(input.total));
    let Ok(mut registry) = Registry::<u8>::new(Config { queue, max_streams, max_bytes }) else { return };
    let (mut known, mut last, mut starved) = (Known::new(), 0, Vec::new());
    for operation in input.operations {
        let misuse = match operation {
            Operation::Create => {
                if let Ok(stream) = registry.create() {
                    assert_eq!(stream, last + 1);
                    last = stream;
                    known.insert(stream, false);
                }
                Ok(())
            }
            Operation::Push(stream, length) => {
                let stream = u64::from(stream % 16);
                let pushed = registry.push(stream, Bytes::from(vec![7; usize::from(length)]));
                match pushed {
                    Err(Misuse::TotalFull { .. }) => starved.push(stream),
                    Ok(Pushed::Part { ref rest }) => assert!(!rest.is_empty() && !input.refuse),
                    _ => {}
                }
                pushed.map(drop)
            }
            Operation::Pull(stream) => registry.pull(u64::from(stream % 16)),
            Operation::Close(stream) => registry.close(u64::from(stream % 16)),
            Operation::Error(stream) => registry.error(u64::from(stream % 16), 1),
            Operation::Cancel(stream) => registry.cancel(u64::from(stream % 16), 2),
            Operation::Delete(stream) => registry.delete(u64::from(stream % 16)),
            Operation::Clear => {
                registry.clear();
                Ok(())
            }
            Operation::Action => {
                act(&mut registry, &mut known, &mut starved);
                Ok(())
            }
        };
        if let Err(Misuse::Missing { stream }) = misuse {
            assert!(registry.queue(stream).is_none());
        }
        let sum: usize = (1..=last).filter_map(|stream| registry.queue(stream)).map(Queue::bytes).sum();
        assert_eq!(registry.bytes(), sum);
        assert!(sum <= max_bytes && registry.streams() <= max_streams);
    }
    // Empty everything by pulling: whoever was refused for the bytes of all hears of it, or has ended.
    for _ in 0..10_000 {
        for stream in 1..=last {
            registry.pull(stream).unwrap_or_default();
        }
        if !act(&mut registry, &mut known, &mut starved) {
            break;
        }
    }
    starved.retain(|stream| !known[stream] && registry.queue(*stream).is_some());
    assert!(starved.is_empty(), "nobody was told: {starved:?}");
    registry.clear();
    while act(&mut registry, &mut known, &mut starved) {}
    assert!(known.values().all(|over| *over) && registry.streams() == 0);
});
