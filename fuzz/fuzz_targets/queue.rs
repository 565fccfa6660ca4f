//! Any operations on a byte queue of any shape: no panic, the caps hold with all bookkeeping, the bytes come in order,
//! and there is one terminal action, after which nothing follows.
#![no_main]

use std::collections::VecDeque;

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portline::body::queue::{Action, Config, Full, PushError, Pushed, Queue};

#[derive(Arbitrary, Debug)]
struct Input {
    bytes: u16,
    chunks: u8,
    small: Option<u8>,
    join: bool,
    refuse: bool,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Push(u16),
    Small(u8),
    Pull,
    Close,
    Error,
    Cancel,
    Action,
}

fuzz_target!(|input: Input| {
    let config = Config {
        bytes: usize::from(input.bytes),
        chunks: usize::from(input.chunks),
        small: input.small.map_or(usize::MAX, usize::from),
        join: input.join,
        full: if input.refuse { Full::Refuse } else { Full::Split },
    };
    let Ok(mut queue) = Queue::<u8>::new(config) else { return };
    let (mut expected, mut next, mut terminal, mut refused) = (VecDeque::new(), 0_u8, 0, false);
    let mut closed = false;
    for operation in input.operations {
        let push = match operation {
            Operation::Push(length) => Some(usize::from(length)),
            Operation::Small(length) => Some(usize::from(length % 16)),
            _ => None,
        };
        match operation {
            Operation::Push(_) | Operation::Small(_) => {
                let length = push.unwrap_or(0);
                let chunk: Bytes = (0..length).map(|at| next.wrapping_add(at as u8)).collect();
                let took = match queue.push(chunk.clone()) {
                    Ok(Pushed::All) => length,
                    Ok(Pushed::Part { rest }) => {
                        assert!(!rest.is_empty() && rest.len() < length && !input.refuse);
                        length - rest.len()
                    }
                    Err(PushError::Full { .. }) => 0,
                    Err(PushError::TooLarge { .. }) => {
                        assert!(length > config.bytes && input.refuse);
                        continue;
                    }
                    Err(_) => {
                        assert!(closed);
                        continue;
                    }
                };
                assert!(!closed);
                refused |= took < length || (length == 0 && queue.chunks() == config.chunks);
                expected.extend(&chunk[..took]);
                next = next.wrapping_add(took as u8);
            }
            Operation::Pull => drop(queue.pull()),
            Operation::Close => {
                queue.close();
                closed = true;
            }
            Operation::Error => {
                queue.error(1);
                closed = true;
            }
            Operation::Cancel => {
                let over = queue.has_ended();
                queue.cancel(2);
                closed = true;
                if !over {
                    expected.clear();
                }
            }
            Operation::Action => {
                let has = queue.has_action();
                let action = queue.poll_action();
                assert_eq!(action.is_some(), has);
                if action.is_some() {
                    assert_eq!(terminal, 0, "nothing follows the terminal action");
                }
                match action {
                    Some(Action::Chunk(chunk)) => {
                        assert!(chunk.len() <= config.bytes);
                        assert!(chunk.iter().eq(expected.drain(..chunk.len()).collect::<Vec<u8>>().iter()));
                    }
                    Some(Action::Writable) => {
                        assert!(queue.can_push() && refused);
                        refused = false;
                    }
                    Some(Action::Done | Action::Failed(_) | Action::Cancelled(_)) => {
                        assert!(expected.is_empty() && closed);
                        terminal += 1;
                    }
                    None => {}
                }
            }
        }
        assert_eq!(queue.bytes(), expected.len());
        assert!(queue.bytes() <= config.bytes && queue.chunks() <= config.chunks);
        assert!(queue.memory() <= config.memory());
    }
    queue.cancel(3);
    let mut last = false;
    while let Some(action) = queue.poll_action() {
        assert!(!last);
        last = matches!(action, Action::Done | Action::Failed(_) | Action::Cancelled(_));
        terminal += u32::from(last);
    }
    assert!(terminal == 1 && queue.has_ended());
});
