//! Every state that a sender and a receiver can reach together in small configurations.
//!
//! The application and the link take every step they could, in every order: write, finish, fail, accept, cancel,
//! deliver, time out, close. Each state is checked, and the number of states is exact, so that a change of behaviour
//! does not pass unseen.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    missing_docs
)]

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use portline::Instant;
use portline::port::{Config, Receiver, Sender, receiver, sender};

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
    fn new(window: u32) -> Self {
        let config = Config { window, ..Config::default() };
        Self {
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

    /// The world after `event`, `None` where it cannot happen.
    fn after(&self, event: Event, blocks: u8) -> Option<Self> {
        let mut next = self.clone();
        let now = next.now;
        let may_fail = !next.sender.has_ended();
        match event {
            Event::Write if next.written < blocks && next.sender.can_write() => {
                next.sender.write(now, Bytes::copy_from_slice(&[next.written])).unwrap();
                next.written += 1;
            }
            Event::Finish if next.written == blocks && !next.finished && may_fail => {
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

    fn check(&self, window: u32, blocks: u8) {
        assert!(self.sent.len() <= 1 && self.received.len() <= 1, "one terminal action each");
        assert_eq!(self.sender.has_ended(), self.sent.len() == 1);
        assert!(self.data - self.answers <= window as usize, "the window holds");
        if self.sent.first() == Some(&sender::Action::Finished) {
            assert!(self.got == blocks && !self.in_hand, "finished means taken");
        }
        if self.received.first() == Some(&receiver::Action::End) {
            assert!(self.got == blocks && !self.in_hand && self.finished);
        }
    }

    /// The machines, the link and the application: what the future depends on.
    fn digest(&self) -> (u64, u64) {
        let text = format!("{self:?}");
        let mut first = DefaultHasher::new();
        text.hash(&mut first);
        let mut second = DefaultHasher::new();
        (1_u8, &text).hash(&mut second);
        (first.finish(), second.finish())
    }
}

/// Explores everything; the number of states, and of those in which nothing more can happen but closing.
fn explore(window: u32, blocks: u8) -> (usize, usize) {
    let start = World::new(window);
    let mut seen = HashSet::from([start.digest()]);
    let mut border = VecDeque::from([start]);
    let mut final_states = 0;
    while let Some(world) = border.pop_front() {
        world.check(window, blocks);
        let mut moves = 0;
        for event in EVENTS {
            let Some(next) = world.after(event, blocks) else { continue };
            moves += usize::from(!matches!(event, Event::Close | Event::Cancel));
            if seen.insert(next.digest()) {
                border.push_back(next);
            }
        }
        if moves == 0 {
            final_states += 1;
            assert!(world.sent.len() == 1 && world.received.len() == 1, "nobody waits for ever: {world:?}");
        }
    }
    (seen.len(), final_states)
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
        assert_eq!(explore(window, blocks), (states, ends), "window {window}, {blocks} blocks");
    }
}
