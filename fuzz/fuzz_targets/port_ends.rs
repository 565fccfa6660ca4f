//! Any operations on a sender or a receiver alone, with any messages from the peer: at most a window of blocks is
//! unanswered, what leaves is what was written and what is delivered what came, in order; the caps hold, an error stays,
//! deadlines move on, and each stream has one terminal action.
#![no_main]

#[path = "common/heap.rs"]
mod heap;
#[path = "common/oracle.rs"]
mod oracle;

use std::collections::VecDeque;

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use oracle::Sticky;
use portline::Instant;
use portline::frame::{FrameType, decode_bytes};
use portline::port::{Config, Error, Receiver, Sender, Unknown, receiver, sender};

#[derive(Arbitrary, Debug)]
struct Input {
    receives: bool,
    chunk: Option<u8>,
    window: u8,
    ignore: bool,
    sequence: bool,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Raw(Vec<u8>),
    Frame {
        kind: u8,
        id: u8,
        payload: Vec<u8>,
    },
    /// The next block for a receiver.
    Block(Vec<u8>),
    /// Its end, after so many blocks as came.
    End,
    /// A sender's oldest unanswered block is answered, well or not.
    Answer(bool),
    Wait(u32),
    Timeout,
    Write(Vec<u8>),
    Flush,
    Finish,
    Fail,
    /// What comes next: a sender's stream, or the block for the consumer.
    Next,
    Cancel,
    Transmit,
    Action,
    Closed,
}

const BLOCK: usize = 300;
/// What may be held at once, however many operations there are: the caps below, and a window of 255 blocks.
const HELD: usize = 32 << 10;

struct Sending {
    machine: Sender,
    now: Instant,
    sticky: Sticky<Error>,
    /// Written to the present stream, and not yet seen to leave.
    written: VecDeque<u8>,
    /// Blocks without an answer.
    unanswered: VecDeque<u32>,
    begun: u32,
    ended: u32,
    /// Whether only right answers came, and nothing failed.
    honest: bool,
    /// Whether the port is there: without it no further stream begins.
    open: bool,
}

impl Sending {
    fn hand(&mut self, message: Vec<u8>) {
        let taken = self.machine.handle_message(self.now, message.into());
        // Its errors are those of the port.
        self.sticky.heard(taken);
    }

    fn transmit(&mut self, window: u32) {
        let Some(sent) = self.machine.poll_transmit() else { return };
        let frame = decode_bytes(sent.into_bytes()).unwrap();
        match frame.kind {
            FrameType::Data => {
                self.unanswered.push_back(frame.id);
                assert!(!self.honest || self.unanswered.len() <= window as usize);
                assert!(frame.payload.len() <= BLOCK);
                let expected: Vec<u8> = self.written.drain(..frame.payload.len()).collect();
                assert_eq!(frame.payload, expected, "what was written, in order");
            }
            FrameType::End => {
                assert!(self.written.is_empty() && (!self.honest || self.unanswered.is_empty()))
            }
            FrameType::Error => self.written.clear(),
            other => panic!("{other:?}"),
        }
    }

    fn action(&mut self) -> bool {
        let Some(action) = self.machine.poll_action() else { return false };
        self.ended += 1;
        assert!(self.ended <= self.begun, "one end for each stream");
        self.honest &= action == sender::Action::Finished;
        true
    }

    fn step(&mut self, operation: Operation, input: &Config) {
        let now = self.now;
        match operation {
            Operation::Raw(message) => {
                self.honest = false;
                self.hand(message);
            }
            Operation::Frame { kind, id, payload } => {
                self.honest = false;
                self.hand([&[kind % 8, 0, 0, 0, id][..], &payload].concat());
            }
            Operation::Answer(well) => {
                let Some(id) = self.unanswered.pop_front() else { return };
                self.honest &= well;
                self.hand([&[1][..], &id.to_be_bytes(), &[u8::from(well)]].concat());
            }
            Operation::Write(bytes) => {
                let can = self.machine.can_write();
                let large = input.chunk_size.is_none() && bytes.len() > BLOCK;
                let taken = self.machine.write(now, Bytes::from(bytes.clone())).is_ok();
                assert_eq!(taken, can && !large);
                if taken {
                    self.written.extend(bytes);
                }
            }
            Operation::Flush => self.machine.flush(now),
            Operation::Finish => self.machine.finish(now),
            Operation::Fail => {
                self.honest = false;
                self.machine.fail(now, "failed");
            }
            Operation::Next => {
                while self.action() {}
                // What was left of a stream that failed leaves first: then the next one's bytes can be told apart.
                while self.ended == self.begun && self.machine.poll_transmit().is_some() {}
                if self.ended == self.begun && self.open && !self.sticky.has_failed() {
                    self.written.clear();
                    self.begun += 1;
                    self.machine.begin(now);
                }
            }
            Operation::Wait(micros) => self.now = Instant::from_micros(now.as_micros() + u64::from(micros)),
            Operation::Timeout => {
                self.now = self.machine.poll_timeout().unwrap_or(now);
                self.machine.handle_timeout(self.now);
                oracle::moved_on(self.machine.poll_timeout(), self.now);
            }
            Operation::Transmit => self.transmit(input.window),
            Operation::Action => drop(self.action()),
            Operation::Closed => {
                (self.honest, self.open) = (false, false);
                let closed = self.machine.handle_closed(now);
                self.sticky.heard(closed);
            }
            Operation::Block(_) | Operation::End | Operation::Cancel => {}
        }
    }
}

fn sending(config: &Config, operations: Vec<Operation>) {
    let Ok(machine) = Sender::new(config.clone(), Instant::ZERO) else { return };
    let (written, unanswered) = (VecDeque::new(), VecDeque::new());
    let (now, sticky) = (Instant::ZERO, Sticky::default());
    let mut run =
        Sending { machine, now, sticky, written, unanswered, begun: 1, ended: 0, honest: true, open: true };
    operations.into_iter().for_each(|operation| run.step(operation, config));
    drop(run.machine.handle_closed(run.now));
    while run.action() {}
    assert_eq!(run.begun, run.ended);
    assert!(run.machine.has_ended() && !run.machine.wants_input() && run.machine.poll_timeout().is_none());
}

fn receiving(config: &Config, operations: Vec<Operation>) {
    let now = Instant::ZERO;
    let Ok(mut machine) = Receiver::new(config.clone(), now) else { return };
    let (mut sticky, mut came, mut ended, mut honest) = (Sticky::default(), VecDeque::new(), 0, true);
    let (mut id, mut waiting, mut answered) = (0_u32, 0_i64, 0_i64);
    for operation in operations {
        let message = match operation {
            Operation::Raw(message) => {
                honest = false;
                message
            }
            Operation::Frame { kind, id, payload } => {
                honest = false;
                [&[kind % 8, 0, 0, 0, id][..], &payload].concat()
            }
            Operation::Block(payload) if honest && machine.wants_input() && ended == 0 => {
                honest &= payload.len() <= BLOCK;
                came.push_back(payload.clone());
                id += 1;
                waiting += 1;
                [&[0][..], &(id - 1).to_be_bytes(), &payload].concat()
            }
            Operation::End => {
                honest &= ended == 0;
                [&[2][..], &id.to_be_bytes()].concat()
            }
            Operation::Cancel => {
                honest = false;
                machine.cancel(now);
                continue;
            }
            Operation::Next => {
                machine.accept(now);
                continue;
            }
            Operation::Closed => {
                honest = false;
                drop(machine.handle_closed(now));
                continue;
            }
            Operation::Transmit => {
                if let Some(sent) = machine.poll_transmit() {
                    answered += 1;
                    assert_eq!(decode_bytes(sent.into_bytes()).unwrap().kind, FrameType::Ack);
                    assert!(!honest || answered <= waiting, "an answer for each block");
                }
                continue;
            }
            Operation::Action => {
                match machine.poll_action() {
                    Some(receiver::Action::Block(block)) if honest => {
                        assert_eq!(Some(block.to_vec()), came.pop_front(), "what came, in order");
                    }
                    Some(receiver::Action::End | receiver::Action::Failed(_)) => ended += 1,
                    Some(receiver::Action::Block(_)) | None => {}
                }
                assert!(ended <= 1 || config.sequence, "one end");
                continue;
            }
            _ => continue,
        };
        let is_of_stream = message.len() >= 5 && matches!(message[0], 0 | 2 | 3);
        let taken = machine.handle_message(now, message.into());
        // What breaks a stream ends that one, and the port may end later for another reason, which stays.
        let is_of_port = sticky.has_failed() || (taken.is_err() && !is_of_stream);
        honest &= if is_of_port { sticky.heard(taken) } else { taken.is_ok() };
    }
    drop(machine.handle_closed(now));
    loop {
        machine.accept(now);
        match machine.poll_action() {
            Some(receiver::Action::End | receiver::Action::Failed(_)) => ended += 1,
            Some(receiver::Action::Block(_)) => {}
            None => break,
        }
    }
    assert!(if config.sequence { ended >= 1 } else { ended == 1 }, "{ended}");
    assert!(machine.has_ended() && !machine.wants_input());
}

fuzz_target!(|input: Input| {
    let config = Config {
        chunk_size: input.chunk.map(usize::from),
        window: u32::from(input.window),
        unknown: if input.ignore { Unknown::Ignore } else { Unknown::Refuse },
        sequence: input.sequence,
        max_block: BLOCK,
        send_bytes: 1000,
        receive_blocks: 4,
        receive_bytes: 500,
        max_ignored: 20,
        max_empty: 10,
        ..Config::default()
    };
    heap::bounded(HELD, || match input.receives {
        false => sending(&config, input.operations),
        true => receiving(&config, input.operations),
    });
});
