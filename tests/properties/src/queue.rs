//! A body's byte queue beside a plain list of chunks.

use bytes::Bytes;
use portline::body::queue::{Action, Config, Full, PullError, PushError, Pushed, Queue};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

/// A chunk that waits. What is pushed behind one of the queue's own copies may be joined with it.
#[derive(Clone, Debug)]
struct Chunk {
    bytes: Vec<u8>,
    own: bool,
}

/// Whether the producer waits to be told of room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    No,
    Yes,
    /// Yes, and something was pulled since, so that there was room.
    Relieved,
}

#[derive(Clone, Debug)]
struct List {
    config: Config,
    chunks: Vec<Chunk>,
    /// The next byte to be pushed: each is one more than that before it.
    next: u8,
    refused: Refused,
    waiting: bool,
    end: Option<Action<u8>>,
    over: bool,
    told: Told,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    /// How much was taken.
    Pushed(Result<usize, PushError>),
    Pulled(Result<(), PullError>),
    Polled(Option<Action<u8>>),
}

impl List {
    fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.bytes.len()).sum()
    }

    fn joins(&self, length: usize) -> bool {
        let small = (1..self.config.small).contains(&length);
        let last = self.chunks.last().filter(|last| last.own);
        self.config.join
            && small
            && last.is_some_and(|last| last.bytes.len() + length <= self.config.small.saturating_mul(2))
    }

    fn can_push(&self) -> bool {
        let room = self.bytes() < self.config.bytes && self.chunks.len() < self.config.chunks;
        self.end.is_none() && room
    }

    fn push(&mut self, length: usize) -> Result<usize, PushError> {
        match self.end {
            Some(Action::Done) => return Err(PushError::Closed),
            Some(Action::Failed(_)) => return Err(PushError::Failed),
            Some(_) => return Err(PushError::Cancelled),
            None => {}
        }
        let (limit, splits) = (self.config.bytes, self.config.full == Full::Split);
        if !splits && length > limit {
            return Err(PushError::TooLarge { length, limit });
        }
        let taken = length.min(limit - self.bytes());
        let place = self.chunks.len() < self.config.chunks || self.joins(taken);
        if !place || (taken < length && (taken == 0 || !splits)) {
            self.refused = Refused::Yes;
            return Err(PushError::Full { bytes: limit, chunks: self.config.chunks });
        }
        if taken < length {
            self.refused = Refused::Yes;
        }
        let bytes: Vec<u8> = (0..taken).map(|at| self.next.wrapping_add(at as u8)).collect();
        self.next = self.next.wrapping_add(taken as u8);
        // A pull that waits gets the producer's own bytes.
        let direct = self.waiting && self.chunks.is_empty();
        if !direct && self.joins(taken) {
            self.chunks.last_mut().unwrap().bytes.extend(bytes);
        } else {
            let own = !direct && taken > 0 && taken < self.config.small;
            self.chunks.push(Chunk { bytes, own });
        }
        Ok(taken)
    }

    fn pull(&mut self) -> Result<(), PullError> {
        if self.over {
            return Err(PullError::Over);
        }
        if std::mem::replace(&mut self.waiting, true) { Err(PullError::Waiting) } else { Ok(()) }
    }

    fn poll(&mut self) -> Option<Action<u8>> {
        if self.waiting && !self.chunks.is_empty() {
            self.waiting = false;
            let chunk = self.chunks.remove(0);
            if self.refused == Refused::Yes && self.can_push() {
                self.refused = Refused::Relieved;
            }
            return Some(Action::Chunk(chunk.bytes.into()));
        }
        if self.ends() {
            (self.over, self.waiting) = (true, false);
            return self.end.clone();
        }
        if self.refused == Refused::Relieved && self.can_push() {
            self.refused = Refused::No;
            return Some(Action::Writable);
        }
        None
    }

    /// Whether the terminal action is all that is left.
    fn ends(&self) -> bool {
        self.end.is_some() && self.chunks.is_empty() && !self.over
    }

    fn cancel(&mut self) {
        let reached = matches!(self.end, Some(Action::Done | Action::Failed(_))) && self.chunks.is_empty();
        if !self.over && !reached && !matches!(self.end, Some(Action::Cancelled(_))) {
            self.chunks.clear();
            self.end = Some(Action::Cancelled(2));
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Pull,
    Poll,
    Close,
    Fail,
    Cancel,
}

struct Model;

impl ReferenceStateMachine for Model {
    type State = List;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<List> {
        let small = prop_oneof![Just(0_usize), Just(1), Just(16), Just(64), Just(usize::MAX)];
        let full = prop_oneof![Just(Full::Split), Just(Full::Refuse)];
        (1..300_usize, 1..20_usize, small, any::<bool>(), full)
            .prop_map(|(bytes, chunks, small, join, full)| List {
                config: Config { bytes, chunks, small, join, full },
                chunks: Vec::new(),
                next: 0,
                refused: Refused::No,
                waiting: false,
                end: None,
                over: false,
                told: Told::Nothing,
            })
            .boxed()
    }

    fn transitions(_: &List) -> BoxedStrategy<Step> {
        prop_oneof![
            60 => (0..20_usize).prop_map(Step::Push),
            20 => (0..400_usize).prop_map(Step::Push),
            50 => Just(Step::Pull),
            80 => Just(Step::Poll),
            1 => Just(Step::Close),
            1 => Just(Step::Fail),
            1 => Just(Step::Cancel),
        ]
        .boxed()
    }

    fn apply(mut state: List, step: &Step) -> List {
        state.told = match *step {
            Step::Push(length) => Told::Pushed(state.push(length)),
            Step::Pull => Told::Pulled(state.pull()),
            Step::Poll => Told::Polled(state.poll()),
            Step::Close => {
                state.end.get_or_insert(Action::Done);
                Told::Nothing
            }
            Step::Fail => {
                state.end.get_or_insert(Action::Failed(1));
                Told::Nothing
            }
            Step::Cancel => {
                state.cancel();
                Told::Nothing
            }
        };
        state
    }
}

/// The queue, and the next byte to be pushed.
struct Producer {
    queue: Queue<u8>,
    next: u8,
}

impl Producer {
    fn push(&mut self, length: usize) -> Result<usize, PushError> {
        let whole: Bytes = (0..length).map(|at| self.next.wrapping_add(at as u8)).collect();
        let taken = match self.queue.push(whole.clone())? {
            Pushed::All => length,
            Pushed::Part { rest } => {
                assert!(!rest.is_empty() && whole.ends_with(&rest));
                length - rest.len()
            }
        };
        self.next = self.next.wrapping_add(taken as u8);
        Ok(taken)
    }
}

struct Beside;

impl StateMachineTest for Beside {
    type SystemUnderTest = Producer;
    type Reference = Model;

    fn init_test(state: &List) -> Producer {
        Producer { queue: Queue::new(state.config).unwrap(), next: 0 }
    }

    fn apply(mut producer: Producer, state: &List, step: Step) -> Producer {
        let told = match step {
            Step::Push(length) => Told::Pushed(producer.push(length)),
            Step::Pull => Told::Pulled(producer.queue.pull()),
            Step::Poll => {
                let has = producer.queue.has_action();
                let action = producer.queue.poll_action();
                assert_eq!(has, action.is_some());
                Told::Polled(action)
            }
            Step::Close => {
                producer.queue.close();
                Told::Nothing
            }
            Step::Fail => {
                producer.queue.error(1);
                Told::Nothing
            }
            Step::Cancel => {
                producer.queue.cancel(2);
                Told::Nothing
            }
        };
        assert_eq!(told, state.told);
        producer
    }

    fn check_invariants(producer: &Producer, state: &List) {
        let (queue, config) = (&producer.queue, &state.config);
        assert_eq!((queue.bytes(), queue.chunks()), (state.bytes(), state.chunks.len()));
        assert_eq!(queue.free_bytes(), config.bytes - state.bytes());
        assert!(queue.bytes() <= config.bytes && queue.chunks() <= config.chunks);
        assert!(queue.memory() <= config.memory(), "{} of {}", queue.memory(), config.memory());
        assert_eq!(queue.can_push(), state.can_push());
        assert_eq!(queue.is_waiting(), state.waiting);
        assert_eq!(queue.has_ended(), state.over || state.ends());
    }

    /// What is left comes out, and then one end.
    fn teardown(mut producer: Producer, mut state: List) {
        producer.queue.close();
        state.end.get_or_insert(Action::Done);
        while !state.over {
            assert_eq!(producer.queue.pull(), state.pull());
            assert_eq!(producer.queue.poll_action(), state.poll());
        }
        assert_eq!((producer.queue.poll_action(), producer.queue.pull()), (None, Err(PullError::Over)));
    }
}

prop_state_machine! {
    #![proptest_config(crate::config())]

    /// QUEUE-2 to QUEUE-7, QUEUE-10 to QUEUE-15, T6: any operations in any configuration.
    #[test]
    fn queue_6_it_is_a_list_of_chunks_that_never_passes_its_cap(sequential 1..200 => Beside);
}
