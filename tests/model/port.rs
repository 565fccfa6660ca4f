//! Every state that a sender and a receiver can reach together in small configurations.
//!
//! The application and the link take every step they could, in every order: write, finish, fail, accept, cancel,
//! deliver, time out, close. Each state is checked, and the number of states is exact, so that a change of behaviour
//! does not pass unseen.
use std::collections::VecDeque;

use bytes::Bytes;
use portline::Instant;
use portline::port::{Config, Receiver, Sender, receiver, sender};

use crate::explore::{Property, Table, explore};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Write,
    Finish,
    Fail,
    Send,
    DeliverData,
    Accept,
    Cancel,
    Answer,
    DeliverAck,
    Timeout,
    Close,
}

const EVENTS: [Event; 11] = [
    Event::Write,
    Event::Finish,
    Event::Fail,
    Event::Send,
    Event::DeliverData,
    Event::Accept,
    Event::Cancel,
    Event::Answer,
    Event::DeliverAck,
    Event::Timeout,
    Event::Close,
];

#[derive(Clone, Debug)]
struct World {
    window: u32,
    blocks: u8,
    now: Instant,
    sender: Sender,
    receiver: Receiver,
    there: VecDeque<Bytes>,
    back: VecDeque<Bytes>,
    written: u8,
    finished: bool,
    cancelled: bool,
    in_hand: bool,
    closed: bool,
    /// DATA put on the link, and answers that came back.
    data: usize,
    answers: usize,
    got: u8,
    sent: Vec<sender::Action>,
    received: Vec<receiver::Action>,
}

impl World {
    fn new(window: u32, blocks: u8) -> Self {
        let config = Config { window, ..Config::default() };
        Self {
            window,
            blocks,
            now: Instant::ZERO,
            sender: Sender::new(config.clone(), Instant::ZERO).unwrap(),
            receiver: Receiver::new(config, Instant::ZERO).unwrap(),
            there: VecDeque::new(),
            back: VecDeque::new(),
            written: 0,
            finished: false,
            cancelled: false,
            in_hand: false,
            closed: false,
            data: 0,
            answers: 0,
            got: 0,
            sent: Vec::new(),
            received: Vec::new(),
        }
    }

    fn close(&mut self) {
        self.closed = true;
        self.there.clear();
        self.back.clear();
        self.sender.handle_closed(self.now).ok();
        self.receiver.handle_closed(self.now).ok();
    }

    fn drain(&mut self) {
        self.sent.extend(std::iter::from_fn(|| self.sender.poll_action()));
        while let Some(action) = self.receiver.poll_action() {
            match action {
                receiver::Action::Block(block) => {
                    assert_eq!(block, [self.got][..]);
                    assert!(!self.in_hand && !self.cancelled);
                    self.got += 1;
                    self.in_hand = true;
                }
                end @ (receiver::Action::End | receiver::Action::Failed(_)) => self.received.push(end),
            }
        }
    }
}

impl Table for World {
    type Event = Event;
    const EVENTS: &'static [Event] = &EVENTS;

    fn after(&self, event: Event) -> Option<Self> {
        let mut next = self.clone();
        let now = next.now;
        let may_fail = !next.sender.has_ended();
        match event {
            Event::Write if next.written < next.blocks && next.sender.can_write() => {
                next.sender.write(now, Bytes::copy_from_slice(&[next.written])).unwrap();
                next.written += 1;
            }
            Event::Finish if next.written == next.blocks && !next.finished && may_fail => {
                next.finished = true;
                next.sender.finish(now);
            }
            Event::Fail if may_fail => next.sender.fail(now, "no"),
            Event::Send if !next.closed => {
                let message = next.sender.poll_transmit()?.into_bytes();
                next.data += usize::from(message[0] == 0);
                next.there.push_back(message);
            }
            Event::DeliverData => {
                let message = next.there.pop_front()?;
                next.receiver.handle_message(now, message).unwrap();
            }
            Event::Accept if next.in_hand => {
                next.in_hand = false;
                next.receiver.accept(now);
            }
            Event::Cancel if !next.cancelled => {
                next.cancelled = true;
                next.in_hand = false;
                next.receiver.cancel(now);
            }
            Event::Answer if !next.closed => {
                let answer = next.receiver.poll_transmit()?.into_bytes();
                next.back.push_back(answer);
            }
            Event::DeliverAck => {
                let answer = next.back.pop_front()?;
                next.answers += 1;
                next.sender.handle_message(now, answer).unwrap();
            }
            Event::Timeout => {
                next.now = next.sender.poll_timeout()?;
                next.sender.handle_timeout(next.now);
            }
            Event::Close if !next.closed => next.close(),
            Event::Write
            | Event::Finish
            | Event::Fail
            | Event::Send
            | Event::Accept
            | Event::Cancel
            | Event::Answer
            | Event::Close => return None,
        }
        next.drain();
        Some(next)
    }

    fn is_whim(event: Event) -> bool {
        matches!(event, Event::Close | Event::Cancel)
    }

    fn always() -> Vec<Property<Self>> {
        vec![
            ("each side has at most one terminal action", |world| {
                world.sent.len() <= 1 && world.received.len() <= 1
            }),
            ("a sender has ended when it has said so", |world| {
                world.sender.has_ended() == (world.sent.len() == 1)
            }),
            ("no more blocks are on the way than the window holds", |world| {
                world.data - world.answers <= world.window as usize
            }),
            ("finished means taken", |world| {
                world.sent.first() != Some(&sender::Action::Finished)
                    || (world.got == world.blocks && !world.in_hand)
            }),
            ("the end comes behind every block", |world| {
                world.received.first() != Some(&receiver::Action::End)
                    || (world.got == world.blocks && !world.in_hand && world.finished)
            }),
        ]
    }

    fn at_rest() -> Vec<Property<Self>> {
        vec![("nobody waits for ever", |world| world.sent.len() == 1 && world.received.len() == 1)]
    }
}

/// PORT-28, PORT-2, PORT-3, PORT-9, PORT-20, PORT-25.
#[test]
fn port_28_every_interleaving_ends_with_one_terminal_action_on_each_side() {
    for (window, blocks, states, ends) in [
        (1, 0, 37, 27),
        (1, 2, 1265, 709),
        (2, 2, 2751, 1437),
        (1, 4, 3413, 1891),
        (2, 3, 5937, 3056),
        (3, 3, 9809, 4874),
    ] {
        let found = explore(World::new(window, blocks));
        assert_eq!(found, (states, ends), "window {window}, {blocks} blocks");
    }
}
