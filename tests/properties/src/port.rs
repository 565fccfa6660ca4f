//! A port's sender beside the plain set of its unanswered blocks.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use portline::Instant;
use portline::frame::{FrameType, Reason, decode};
use portline::port::sender::Action;
use portline::port::{Config, Error, Sender, WriteError};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A frame to the peer: the first byte of a block, or the words of an ERROR.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sent {
    Data(u32, u8),
    End(u32),
    Error(u32, String),
}

#[derive(Clone, Debug)]
struct Stream {
    window: u32,
    /// Microseconds.
    now: u64,
    /// When something was last answered.
    progress: u64,
    written: u32,
    /// Blocks that were sent: numbers 0 to this one.
    started: u32,
    unanswered: BTreeSet<u32>,
    sent_at: Vec<u64>,
    finishing: bool,
    over: bool,
    /// What the port is broken by.
    broken: Option<Error>,
    /// END or ERROR that was not polled yet, and the terminal action.
    last_words: Option<Sent>,
    terminal: Option<Action>,
    /// What the last step should have been told: by the verb, and as the message of a poll.
    told: Told,
}

#[derive(Clone, Debug, PartialEq)]
enum Told {
    Nothing,
    Wrote(Result<(), WriteError>),
    Heard(Result<(), Error>),
    Sent(Option<Sent>),
}

impl Stream {
    fn new(window: u32) -> Self {
        Self {
            window,
            now: 0,
            progress: 0,
            written: 0,
            started: 0,
            unanswered: BTreeSet::new(),
            sent_at: Vec::new(),
            finishing: false,
            over: false,
            broken: None,
            last_words: None,
            terminal: None,
            told: Told::Nothing,
        }
    }

    fn oldest(&self) -> Option<u32> {
        self.unanswered.first().copied()
    }

    /// From the oldest block without an answer on, answered or not.
    fn span(&self) -> u32 {
        self.oldest().map_or(0, |oldest| self.started - oldest)
    }

    fn deadline(&self) -> Option<u64> {
        let oldest = self.oldest().filter(|_| !self.over)?;
        Some(self.sent_at[oldest as usize].max(self.progress) + TIMEOUT.as_micros() as u64)
    }

    fn fail(&mut self, error: Error, words: &str) {
        if !self.over {
            self.over = true;
            self.last_words = Some(Sent::Error(self.started, words.to_owned()));
            self.terminal = Some(Action::Failed(error));
        }
    }

    fn finish_if_done(&mut self) {
        if self.finishing && !self.over && self.started == self.written && self.unanswered.is_empty() {
            self.over = true;
            self.last_words = Some(Sent::End(self.started));
            self.terminal = Some(Action::Finished);
        }
    }

    fn poll(&mut self) -> Option<Sent> {
        let sends = !self.over && self.started < self.written && self.span() < self.window;
        if !sends {
            return self.last_words.take();
        }
        let block = self.started;
        self.started += 1;
        self.unanswered.insert(block);
        self.sent_at.push(self.now);
        Some(Sent::Data(block, block as u8))
    }

    fn answer(&mut self, block: u32, taken: bool) -> Result<(), Error> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        if block >= self.started && !self.over {
            let error = Error::NeverSent { block, sent: self.started.into() };
            self.fail(error.clone(), &error.to_string());
            self.broken = Some(error.clone());
            return Err(error);
        }
        if self.unanswered.remove(&block) {
            self.progress = self.now;
            if taken {
                self.finish_if_done();
            } else {
                self.fail(Error::Refused { block }, "Receiver closed the stream");
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        self.broken = Some(Error::Closed);
        if self.over {
            return Ok(());
        }
        self.over = true;
        self.terminal = Some(Action::Failed(Error::Closed));
        Err(Error::Closed)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write,
    Finish,
    Fail,
    Poll,
    /// An answer to the block that is so many before the next one; 0 was never sent.
    Answer {
        back: u32,
        taken: bool,
    },
    /// Time passes, and the machine is told.
    Wait(u64),
    /// The deadline comes, or all but a microsecond of it.
    Deadline {
        early: bool,
    },
    Close,
}

struct Model;

impl ReferenceStateMachine for Model {
    type State = Stream;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Stream> {
        prop_oneof![1..6_u32, Just(u32::MAX)].prop_map(Stream::new).boxed()
    }

    fn transitions(state: &Stream) -> BoxedStrategy<Step> {
        let back = prop_oneof![1 => 0..1_u32, 60 => 1..=state.window.min(8)];
        // Mostly taken.
        let taken = prop_oneof![1 => Just(false), 40 => Just(true)];
        prop_oneof![
            60 => Just(Step::Write),
            80 => Just(Step::Poll),
            60 => (back, taken).prop_map(|(back, taken)| Step::Answer { back, taken }),
            20 => (1..20_000_000_u64).prop_map(Step::Wait),
            2 => any::<bool>().prop_map(|early| Step::Deadline { early }),
            3 => Just(Step::Finish),
            1 => Just(Step::Fail),
            1 => Just(Step::Close),
        ]
        .boxed()
    }

    fn apply(mut state: Stream, step: &Step) -> Stream {
        state.told = Told::Nothing;
        match *step {
            Step::Write if state.over || state.finishing => state.told = Told::Wrote(Err(WriteError::Over)),
            Step::Write => {
                state.written += 1;
                state.told = Told::Wrote(Ok(()));
            }
            Step::Finish => {
                state.finishing = true;
                state.finish_if_done();
            }
            Step::Fail => state.fail(Error::Aborted, "of its own"),
            Step::Poll => state.told = Told::Sent(state.poll()),
            Step::Answer { back, taken } => {
                let block = state.started.saturating_sub(back);
                state.told = Told::Heard(state.answer(block, taken));
            }
            Step::Wait(by) => {
                let to = state.now + by;
                // The machine is told the deadline itself when it passes.
                state.now = state.deadline().map_or(to, |deadline| to.min(deadline - 1));
            }
            Step::Deadline { early } => {
                if let Some(deadline) = state.deadline() {
                    state.now = deadline - u64::from(early);
                    if !early {
                        let block = state.oldest().unwrap();
                        state.fail(Error::AckTimeout { block }, &format!("ACK timeout for block {block}"));
                    }
                }
            }
            Step::Close => state.told = Told::Heard(state.close()),
        }
        state
    }
}

struct Machine {
    sender: Sender,
    actions: VecDeque<Action>,
}

struct Beside;

fn answer(block: u32, taken: bool) -> Bytes {
    let mut message = vec![1];
    message.extend(block.to_be_bytes());
    message.push(u8::from(taken));
    message.into()
}

fn read(message: &Bytes) -> Sent {
    let frame = decode(message).unwrap();
    match frame.kind {
        FrameType::Data => Sent::Data(frame.id, frame.payload[0]),
        FrameType::End => Sent::End(frame.id),
        FrameType::Error => {
            let reason = Reason::decode(&Bytes::copy_from_slice(frame.payload));
            Sent::Error(frame.id, reason.text().into_owned())
        }
        kind => panic!("{kind:?}"),
    }
}

impl StateMachineTest for Beside {
    type SystemUnderTest = Machine;
    type Reference = Model;

    fn init_test(state: &Stream) -> Machine {
        let config = Config { window: state.window, ack_timeout: TIMEOUT, ..Config::default() };
        Machine { sender: Sender::new(config, Instant::ZERO).unwrap(), actions: VecDeque::new() }
    }

    fn apply(mut machine: Machine, state: &Stream, step: Step) -> Machine {
        let now = Instant::from_micros(state.now);
        let sender = &mut machine.sender;
        let told = match step {
            Step::Write => {
                let number = state.written.wrapping_sub(u32::from(state.told == Told::Wrote(Ok(()))));
                Told::Wrote(sender.write(now, Bytes::copy_from_slice(&[number as u8])))
            }
            Step::Finish => {
                sender.finish(now);
                Told::Nothing
            }
            Step::Fail => {
                sender.fail(now, "of its own");
                Told::Nothing
            }
            Step::Poll => Told::Sent(sender.poll_transmit().map(|message| read(&message.into_bytes()))),
            Step::Answer { back, taken } => {
                let block = state.started.saturating_sub(back);
                Told::Heard(sender.handle_message(now, answer(block, taken)))
            }
            Step::Wait(_) | Step::Deadline { .. } => {
                sender.handle_timeout(now);
                Told::Nothing
            }
            Step::Close => Told::Heard(sender.handle_closed(now)),
        };
        assert_eq!(told, state.told);
        machine.actions.extend(std::iter::from_fn(|| machine.sender.poll_action()));
        machine
    }

    fn check_invariants(machine: &Machine, state: &Stream) {
        assert!(state.span() <= state.window && state.unanswered.len() <= state.window as usize);
        assert_eq!(machine.actions, VecDeque::from_iter(state.terminal.clone()), "one terminal action");
        assert_eq!(machine.sender.has_ended(), state.over);
        assert_eq!(machine.sender.wants_input(), state.broken.is_none());
        assert_eq!(machine.sender.poll_timeout(), state.deadline().map(Instant::from_micros));
        assert_eq!(machine.sender.can_write(), !state.over && !state.finishing);
    }
}

prop_state_machine! {
    #![proptest_config(crate::config())]

    /// PORT-1, PORT-2, PORT-3, PORT-7 to PORT-11, PORT-25, PORT-28: any answers in any order, and time.
    #[test]
    fn port_2_the_window_is_from_the_oldest_unanswered_block_on(sequential 1..150 => Beside);
}
