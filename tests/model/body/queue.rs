//! A producer and a consumer on a queue.

use bytes::Bytes;
use portline::body::queue::{Action, Config, Full, PullError, PushError, Pushed, Queue};

use crate::explore::{Property, Table, explore};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Push,
    Close,
    Error,
    Cancel,
    Pull,
    Poll,
}

#[derive(Clone, Debug)]
struct Pair {
    config: Config,
    queue: Queue<u8>,
    /// Lengths still to be pushed, and how much of the first one is.
    plan: &'static [usize],
    begun: usize,
    /// Bytes pushed and pulled, and empty chunks.
    pushed: u8,
    pulled: u8,
    /// The producer was refused or cut, and not told of room since.
    refused: bool,
    closed: bool,
    cancelled: bool,
    terminal: Option<Action<u8>>,
}

impl Pair {
    fn new(config: Config, plan: &'static [usize]) -> Self {
        Self {
            queue: Queue::new(config).unwrap(),
            config,
            plan,
            begun: 0,
            pushed: 0,
            pulled: 0,
            refused: false,
            closed: false,
            cancelled: false,
            terminal: None,
        }
    }

    fn push(&mut self) -> Option<()> {
        let (first, rest) = self.plan.split_first()?;
        if self.refused || self.closed {
            return None;
        }
        let left = first - self.begun;
        let chunk: Bytes = (0..left).map(|at| self.pushed + at as u8).collect();
        let took = match self.queue.push(chunk) {
            Ok(Pushed::All) => {
                (self.plan, self.begun) = (rest, 0);
                left
            }
            Ok(Pushed::Part { rest }) => {
                self.begun += left - rest.len();
                self.refused = true;
                left - rest.len()
            }
            Err(PushError::Full { .. }) => {
                self.refused = true;
                0
            }
            Err(PushError::Cancelled) => {
                assert!(self.cancelled);
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        self.pushed += took as u8;
        Some(())
    }

    fn poll(&mut self) -> Option<()> {
        let has = self.queue.has_action();
        let action = self.queue.poll_action();
        assert_eq!(action.is_some(), has);
        match action? {
            Action::Chunk(chunk) => {
                for byte in chunk {
                    assert_eq!(byte, self.pulled, "in order, nothing lost");
                    self.pulled += 1;
                }
            }
            Action::Writable => {
                assert!(self.refused && self.queue.can_push());
                self.refused = false;
            }
            end => assert_eq!(self.terminal.replace(end), None, "one terminal action"),
        }
        Some(())
    }
}

impl Table for Pair {
    type Event = Event;
    const EVENTS: &'static [Event] =
        &[Event::Push, Event::Close, Event::Error, Event::Cancel, Event::Pull, Event::Poll];

    fn after(&self, event: Event) -> Option<Self> {
        let mut next = self.clone();
        match event {
            Event::Push => next.push()?,
            Event::Close if next.plan.is_empty() && !next.closed => {
                next.closed = true;
                next.queue.close();
            }
            Event::Error if !next.closed => {
                next.closed = true;
                next.queue.error(1);
            }
            Event::Cancel if !next.cancelled => {
                next.cancelled = true;
                next.queue.cancel(2);
            }
            Event::Pull => match next.queue.pull() {
                Ok(()) => {}
                Err(PullError::Waiting) => return None,
                Err(error) => {
                    assert!(error == PullError::Over && next.terminal.is_some());
                    return None;
                }
            },
            Event::Poll => next.poll()?,
            Event::Close | Event::Error | Event::Cancel => return None,
        }
        Some(next)
    }

    fn is_whim(event: Event) -> bool {
        matches!(event, Event::Error | Event::Cancel)
    }

    fn always() -> Vec<Property<Self>> {
        vec![
            ("the queue holds no more than it may", |world| {
                let (queue, config) = (&world.queue, &world.config);
                queue.bytes() <= config.bytes
                    && queue.chunks() <= config.chunks
                    && queue.memory() <= config.memory()
            }),
            ("done means closed, pushed and pulled", |world| {
                world.terminal != Some(Action::Done)
                    || (world.closed && world.plan.is_empty() && world.pulled == world.pushed)
            }),
            ("what was pushed is drained before a failure", |world| {
                world.terminal != Some(Action::Failed(1)) || world.pulled == world.pushed
            }),
            ("the terminal is the producer's or the consumer's own", |world| match world.terminal {
                None | Some(Action::Done | Action::Failed(1)) => true,
                Some(Action::Cancelled(2)) => world.cancelled,
                Some(_) => false,
            }),
            ("nothing is lost while nobody cancels", |world| {
                world.cancelled || usize::from(world.pushed - world.pulled) == world.queue.bytes()
            }),
        ]
    }

    fn at_rest() -> Vec<Property<Self>> {
        vec![("nobody waits for ever", |world| world.terminal.is_some())]
    }
}

/// QUEUE-2, QUEUE-5, QUEUE-6, QUEUE-7, QUEUE-11, QUEUE-12, QUEUE-13, QUEUE-15.
#[test]
fn queue_13_every_interleaving_of_producer_and_consumer_ends_once() {
    let small = Config { bytes: 4, chunks: 2, small: 2, join: true, full: Full::Split };
    let cases: [(Config, &'static [usize], usize, usize); 6] = [
        (small, &[], 20, 5),
        (small, &[1, 1, 1, 1, 1, 1], 426, 83),
        (small, &[9, 0, 3], 237, 55),
        (Config { join: false, ..small }, &[1, 0, 1, 6, 1], 469, 102),
        (Config { small: 0, full: Full::Refuse, ..small }, &[3, 2, 0, 4, 1], 253, 59),
        (Config { small: usize::MAX, ..small }, &[3, 5, 0, 1, 1], 376, 79),
    ];
    let found = cases.map(|(config, plan, _, _)| explore(Pair::new(config, plan)));
    assert_eq!(found, cases.map(|(_, _, states, ends)| (states, ends)));
}
