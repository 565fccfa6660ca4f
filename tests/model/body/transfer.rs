//! A producer and a consumer, each with its end of a body, and a stream between them.
//!
//! The stream is the least that one can be: blocks need credit, which is granted again when they are consumed; ends and
//! failures arrive in their order, a cancelling at once; and it may break at any moment.

use std::collections::VecDeque;

use bytes::Bytes;
use portline::body::download::{self, Download};
use portline::body::queue::{self, PushError, Pushed};
use portline::body::upload::{self, Upload};

use crate::explore::{Property, Table, explore};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Push,
    Close,
    Error,
    Abort,
    /// The upload does its next step.
    Step,
    /// The stream lets go of the piece: it is on its way.
    Send,
    /// A message arrives at the download.
    Arrive,
    Pull,
    /// The consumer takes what there is.
    Take,
    Cancel,
    /// The download does its next step.
    Back,
    /// The stream breaks.
    Break,
}

const EVENTS: &[Event] = &[
    Event::Push,
    Event::Close,
    Event::Error,
    Event::Abort,
    Event::Step,
    Event::Send,
    Event::Arrive,
    Event::Pull,
    Event::Take,
    Event::Cancel,
    Event::Back,
    Event::Break,
];

#[derive(Clone, Debug)]
enum Message {
    Block(Bytes),
    End,
    Failure(u8),
}

#[derive(Clone, Debug)]
struct Body {
    up: Upload<u8>,
    down: Download<u8>,
    count: u8,
    pushed: u8,
    pulled: u8,
    /// The piece that the stream has, and its credit.
    piece: Option<Bytes>,
    credit: usize,
    way: VecDeque<Message>,
    said: bool,
    cancelled: bool,
    broken: bool,
    ends: (Option<upload::Action<u8>>, Option<download::Action<u8>>),
}

const QUEUE: queue::Config =
    queue::Config { bytes: 2, chunks: 2, small: 1, join: true, full: queue::Full::Split };

impl Body {
    fn new(count: u8) -> Self {
        Self {
            up: Upload::new(upload::Config { queue: QUEUE, piece: 1 }).unwrap(),
            down: Download::new(QUEUE).unwrap(),
            count,
            pushed: 0,
            pulled: 0,
            piece: None,
            credit: QUEUE.bytes,
            way: VecDeque::new(),
            said: false,
            cancelled: false,
            broken: false,
            ends: (None, None),
        }
    }

    fn step(&mut self) -> Option<()> {
        match self.up.poll_step()? {
            upload::Step::Write(piece) => assert_eq!(self.piece.replace(piece), None, "one at a time"),
            upload::Step::Finish => {
                self.way.push_back(Message::End);
                self.up.stream_finished();
            }
            upload::Step::Fail(error) => {
                self.piece = None;
                self.way.push_back(Message::Failure(error));
                self.up.stream_failed(100);
            }
        }
        Some(())
    }

    fn arrive(&mut self) -> Option<()> {
        match self.way.pop_front()? {
            Message::Block(block) => self.down.receive(block).unwrap(),
            Message::End => self.down.stream_finished(),
            Message::Failure(error) => self.down.stream_failed(error),
        }
        Some(())
    }

    fn back(&mut self) -> Option<()> {
        match self.down.poll_step()? {
            download::Step::Consume => self.credit += 1,
            download::Step::Cancel(reason) => {
                self.way.clear();
                self.piece = None;
                self.up.stream_failed(reason);
            }
        }
        Some(())
    }

    fn take(&mut self) -> Option<()> {
        match self.down.poll_action()? {
            download::Action::Chunk(chunk) => {
                assert_eq!(chunk[..], [self.pulled], "in order, nothing lost");
                self.pulled += 1;
            }
            end => assert_eq!(self.ends.1.replace(end), None, "one terminal action"),
        }
        Some(())
    }
}

impl Table for Body {
    type Event = Event;
    const EVENTS: &'static [Event] = EVENTS;

    fn after(&self, event: Event) -> Option<Self> {
        let mut next = self.clone();
        match event {
            Event::Push if next.pushed < next.count && !next.said => {
                match next.up.push(Bytes::copy_from_slice(&[next.pushed])) {
                    Ok(Pushed::All) => next.pushed += 1,
                    Err(PushError::Full { .. } | PushError::Cancelled) => return None,
                    other => panic!("{other:?}"),
                }
            }
            Event::Close if next.pushed == next.count && !next.said => {
                next.said = true;
                next.up.close();
            }
            Event::Error if !next.said => {
                next.said = true;
                next.up.error(1);
            }
            Event::Abort if next.ends.0.is_none() => next.up.abort(2),
            Event::Step => next.step()?,
            Event::Send if next.credit > 0 && !next.broken => {
                next.credit -= 1;
                let piece = next.piece.take()?;
                next.way.push_back(Message::Block(piece));
                next.up.written();
            }
            Event::Arrive => next.arrive()?,
            Event::Pull => next.down.pull().ok()?,
            Event::Take => next.take()?,
            Event::Cancel if !next.cancelled => {
                next.cancelled = true;
                next.down.cancel(3);
            }
            Event::Back => next.back()?,
            Event::Break if !next.broken => {
                next.broken = true;
                next.piece = None;
                next.way.clear();
                next.up.stream_failed(4);
                next.down.stream_failed(4);
            }
            Event::Close
            | Event::Error
            | Event::Abort
            | Event::Send
            | Event::Cancel
            | Event::Break
            | Event::Push => {
                return None;
            }
        }
        while let Some(action) = next.up.poll_action() {
            match action {
                upload::Action::Writable => {}
                end => assert_eq!(next.ends.0.replace(end), None, "one terminal action"),
            }
        }
        Some(next)
    }

    fn is_whim(event: Event) -> bool {
        matches!(event, Event::Error | Event::Abort | Event::Cancel | Event::Break)
    }

    fn always() -> Vec<Property<Self>> {
        vec![
            ("neither end holds more than its mark", |world| {
                world.up.held() <= QUEUE.bytes && world.down.held() <= QUEUE.bytes
            }),
            (
                "the producer's end is well only behind all of it, or fails for a reason that there was",
                |world| match world.ends.0 {
                    None | Some(upload::Action::Failed(1..=4)) => true,
                    Some(upload::Action::Finished) => world.said && world.pushed == world.count,
                    Some(_) => false,
                },
            ),
            ("the consumer is done only with all of it, and loses nothing before a failure", |world| {
                match world.ends.1 {
                    None | Some(download::Action::Failed(2 | 4)) => true,
                    Some(download::Action::Done) => {
                        (world.pulled, world.pushed) == (world.count, world.count)
                    }
                    Some(download::Action::Failed(1)) => world.pulled == world.pushed,
                    Some(download::Action::Cancelled(3)) => world.cancelled,
                    Some(_) => false,
                }
            }),
        ]
    }

    fn at_rest() -> Vec<Property<Self>> {
        vec![("nobody waits for ever", |world| world.ends.0.is_some() && world.ends.1.is_some())]
    }
}

/// TRANSFER-1, TRANSFER-2, TRANSFER-4 to TRANSFER-11.
#[test]
fn transfer_12_every_interleaving_of_both_ends_and_the_stream_ends_once() {
    let cases = [(0, 269, 55), (1, 1266, 231), (3, 6891, 1079)];
    let found = cases.map(|(count, _, _)| explore(Body::new(count)));
    assert_eq!(found, cases.map(|(_, states, ends)| (states, ends)));
}
