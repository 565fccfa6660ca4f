//! Every state that the two ends of a stream can reach together in small configurations.
//!
//! The applications and the channel take every step they could, in every order: write, finish, fail, cancel, send,
//! deliver, take, consume, time out, close. The channel holds two messages each way, so backpressure is part of it.
//! In each state credit is conserved; nobody waits for ever while credit and data exist; each end reaches CLOSED with
//! exactly one terminal action. The number of states is exact, so that a change of behaviour does not pass unseen.
//!
//! Steps that nothing else depends on, and that take nothing from anybody, are taken at once; the order of such steps
//! would only multiply the states. They are: what comes to an end that is over is dropped, but for the END that it may
//! wait for; and the actions of an end that only delivers are taken.

use std::collections::VecDeque;
use std::hash::Hash;

use bytes::Bytes;
use portline::Instant;
use portline::frame::{FrameType, decode};
use portline::stream::lifecycle::Closing;
use portline::stream::{Action, Config, Direction, Endpoint, Limits, Role, Shape, Sizing, State};

use crate::explore::{self, Digest, Property, explore};

const NOW: Instant = Instant::ZERO;
/// Messages that the channel holds in each direction.
const CHANNEL: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// The opening was sent or received.
    Open,
    /// The channel is attached.
    Attach,
    Write,
    Finish,
    Fail,
    Cancel,
    /// The deadline passes.
    Timeout,
    /// One message goes onto the channel.
    Send,
    /// One message comes from it.
    Deliver,
    /// The application polls one action.
    Take,
    /// It consumes one block.
    Consume,
}

const EVENTS: [Event; 11] = [
    Event::Open,
    Event::Attach,
    Event::Write,
    Event::Finish,
    Event::Fail,
    Event::Cancel,
    Event::Timeout,
    Event::Send,
    Event::Deliver,
    Event::Take,
    Event::Consume,
];

/// When an application consumes what it takes.
#[derive(Clone, Copy, Debug)]
enum Appetite {
    /// At once.
    Eager,
    /// At any later time, but with so much in hand at the least, unless nothing more will come.
    From(u32),
}

/// What is explored.
#[derive(Clone, Copy, Debug)]
struct Setup {
    direction: Direction,
    window: u32,
    sizing: Sizing,
    /// Sizes of the items that each end writes.
    items: [&'static [u8]; 2],
    appetite: Appetite,
    /// Whether the channels are attached from the start.
    attached: bool,
    /// Whether there is failing, cancelling, timing out and closing.
    ends: bool,
}

#[derive(Clone, Debug)]
struct End {
    machine: Endpoint,
    /// Messages on the way to this end.
    inbox: VecDeque<Bytes>,
    attached: bool,
    written: usize,
    finished: bool,
    /// Bytes taken.
    got: usize,
    /// The sizes of blocks taken and not consumed.
    in_hand: VecDeque<u32>,
    peer_done: bool,
    /// `Finished` is true.
    terminal: Option<bool>,
}

/// What a block costs; the bare mark costs nothing.
fn size(block: &[u8], sizing: Sizing) -> u32 {
    match sizing {
        Sizing::Items => u32::from(!block.is_empty()),
        Sizing::Bytes => block.len() as u32,
        Sizing::Custom => block.first().copied().map_or(0, u32::from),
    }
}

/// The units of data and of credit that a message carries.
fn units(message: &Bytes, sizing: Sizing) -> (u32, u32) {
    let frame = decode(message).unwrap();
    match frame.kind {
        FrameType::Credit => (0, u32::from_be_bytes(frame.payload.try_into().unwrap())),
        FrameType::Data | FrameType::Last => (size(frame.payload, sizing), 0),
        _ => (0, 0),
    }
}

fn is_end(message: &Bytes) -> bool {
    decode(message).unwrap().kind == FrameType::End
}

/// The bytes of an end's items, one after the other. The first of each is its size.
fn content(items: &[u8]) -> Vec<u8> {
    items.iter().flat_map(|size| (0..*size).map(move |at| if at == 0 { *size } else { at })).collect()
}

impl End {
    fn new(shape: Shape, attached: bool) -> Self {
        let limits = Limits { size_of: |block| u32::from(block[0]), ..Limits::default() };
        let mut machine = Endpoint::new(Config { shape, limits }, NOW).unwrap();
        if attached {
            machine.open(NOW);
            machine.attach(NOW);
            assert_eq!(machine.poll_action(), Some(Action::Opened));
        }
        Self {
            machine,
            inbox: VecDeque::new(),
            attached,
            written: 0,
            finished: false,
            got: 0,
            in_hand: VecDeque::new(),
            peer_done: false,
            terminal: None,
        }
    }

    fn sends(&self) -> bool {
        self.machine.core().direction().sends()
    }

    /// Whether it could still fail or cancel.
    const fn lives(&self) -> bool {
        match self.machine.state() {
            State::Idle | State::Opening | State::Active | State::Closing(Closing::Ending) => true,
            State::Closing(_) | State::Closed => false,
        }
    }

    /// One action.
    fn take(&mut self, setup: &Setup, theirs: &[u8]) {
        let action = self.machine.poll_action().unwrap();
        assert_eq!(self.terminal, None, "nothing follows the terminal action: {action:?}");
        match action {
            Action::Opened => {}
            Action::Data(block) => {
                assert!(!self.peer_done);
                assert_eq!(block[..], content(theirs)[self.got..][..block.len()]);
                self.got += block.len();
                match setup.appetite {
                    Appetite::Eager => self.machine.consume(NOW),
                    Appetite::From(_) => self.in_hand.push_back(size(&block, setup.sizing)),
                }
            }
            Action::PeerDone => {
                assert!(!self.peer_done);
                self.peer_done = true;
            }
            Action::Writable => panic!("nothing was refused"),
            Action::Finished => self.terminal = Some(true),
            Action::Failed(error) => {
                assert!(!error.is_violation(), "{error}");
                self.terminal = Some(false);
            }
        }
    }
}

#[derive(Clone, Debug)]
struct World {
    setup: Setup,
    ends: [End; 2],
    closed: bool,
    /// Units of each end's data, and of the credit for it, in messages that came to an end that was over.
    lost: [u32; 2],
}

impl World {
    fn new(setup: Setup) -> Self {
        let shape = Shape { direction: setup.direction, window: setup.window, sizing: setup.sizing };
        let ends = [End::new(shape, setup.attached), End::new(shape.reversed(), setup.attached)];
        Self { setup, ends, closed: false, lost: [0, 0] }
    }

    fn can(&self, at: usize, event: Event) -> bool {
        let (end, other) = (&self.ends[at], &self.ends[1 - at]);
        let (machine, items) = (&end.machine, self.setup.items[at]);
        match event {
            // The right end hears of the stream from the left one.
            Event::Open => {
                machine.state() == State::Idle && (at == 0 || other.machine.state() != State::Idle)
            }
            Event::Attach => {
                !end.attached && !self.closed && !matches!(machine.state(), State::Idle | State::Closed)
            }
            Event::Write => end.written < items.len() && !end.finished && machine.can_write(),
            Event::Finish => end.sends() && end.written == items.len() && !end.finished && end.lives(),
            Event::Fail | Event::Cancel => self.setup.ends && end.lives(),
            Event::Timeout => self.setup.ends && machine.poll_timeout().is_some(),
            Event::Send => {
                !self.closed && other.inbox.len() < CHANNEL && machine.core().has_transmit(machine.limits())
            }
            Event::Deliver => end.attached && !end.inbox.is_empty(),
            Event::Take => machine.core().has_action(),
            Event::Consume => match self.setup.appetite {
                Appetite::Eager => false,
                Appetite::From(least) => {
                    let enough = end.peer_done || end.in_hand.iter().sum::<u32>() >= least;
                    // Behind the end it would change nothing, and the digest knows no difference.
                    !end.in_hand.is_empty() && enough && end.terminal.is_none()
                }
            },
        }
    }

    /// The world after an event that can be.
    fn after(&self, at: usize, event: Event) -> Self {
        let mut next = self.clone();
        let [left, right] = &mut next.ends;
        let (end, other) = if at == 0 { (left, right) } else { (right, left) };
        match event {
            Event::Open => end.machine.open(NOW),
            Event::Attach => {
                end.attached = true;
                end.machine.attach(NOW);
            }
            Event::Write => {
                let before: usize =
                    self.setup.items[at][..end.written].iter().map(|size| *size as usize).sum();
                let size = usize::from(self.setup.items[at][end.written]);
                let block = Bytes::from(content(self.setup.items[at])).slice(before..before + size);
                end.machine.write(NOW, block).unwrap();
                end.written += 1;
            }
            Event::Finish => {
                end.finished = true;
                end.machine.finish(NOW);
            }
            Event::Fail => end.machine.fail(NOW, "no"),
            Event::Cancel => end.machine.cancel(NOW, None),
            Event::Timeout => {
                let deadline = end.machine.poll_timeout().unwrap();
                end.machine.handle_timeout(deadline);
                assert!(!end.lives(), "a deadline that passes ends the stream");
            }
            Event::Send => other.inbox.push_back(end.machine.poll_transmit().unwrap().into_bytes()),
            Event::Deliver => next.deliver(at),
            Event::Take => end.take(&self.setup, self.setup.items[1 - at]),
            Event::Consume => {
                end.machine.consume(NOW);
                end.in_hand.pop_front();
            }
        }
        next.settle();
        next
    }

    fn deliver(&mut self, at: usize) {
        let end = &mut self.ends[at];
        let message = end.inbox.pop_front().unwrap();
        let (data, grant) = units(&message, self.setup.sizing);
        let counts =
            |end: &End| (end.machine.core().window().granted(), end.machine.core().credit().available());
        let before = counts(end);
        end.machine.handle_message(NOW, message).unwrap();
        assert_eq!((before.0 - data, before.1 + grant), counts(end), "each unit is counted when it comes");
    }

    /// Takes the steps that nothing else depends on.
    fn settle(&mut self) {
        // An end that is over before it had its channel has no words for it: its driver gives the channel up.
        if !self.closed && self.ends.iter().any(|end| end.machine.has_ended() && !end.attached) {
            self.disconnect();
        }
        for at in [0, 1] {
            let (keeps_end, delivers) = match self.ends[at].machine.state() {
                State::Idle | State::Opening | State::Active | State::Closing(Closing::Ending) => continue,
                State::Closing(Closing::Waiting | Closing::Telling) => (true, false),
                State::Closing(Closing::Hearing) => (true, true),
                State::Closing(Closing::Draining) | State::Closed => (false, true),
            };
            let (setup, lost) = (self.setup, &mut self.lost);
            let end = &mut self.ends[at];
            end.inbox.retain(|message| {
                let keeps = keeps_end && is_end(message);
                let (data, grant) = units(message, setup.sizing);
                if !keeps {
                    lost[1 - at] += data;
                    lost[at] += grant;
                }
                keeps
            });
            while delivers && end.machine.core().has_action() {
                end.take(&setup, setup.items[1 - at]);
            }
        }
        // Empty queues are as good as none.
        self.ends.iter_mut().for_each(|end| end.machine.shrink());
    }

    fn disconnect(&mut self) {
        self.closed = true;
        for at in [0, 1] {
            for message in std::mem::take(&mut self.ends[at].inbox) {
                let (data, grant) = units(&message, self.setup.sizing);
                self.lost[1 - at] += data;
                self.lost[at] += grant;
            }
            self.ends[at].machine.handle_closed(NOW).ok();
        }
    }

    fn close(&self) -> Self {
        let mut next = self.clone();
        next.disconnect();
        next.settle();
        assert!(next.ends.iter().all(|end| end.terminal.is_some()), "closing ends both: {next:#?}");
        next
    }

    /// STREAM-7: where the units of a window are, for the data that goes from one end to the other.
    fn is_conserved(&self, from: usize) -> bool {
        let (sender, receiver) = (&self.ends[from], &self.ends[1 - from]);
        let sizing = self.setup.sizing;
        let data: u32 = receiver.inbox.iter().map(|message| units(message, sizing).0).sum();
        let grants: u32 = sender.inbox.iter().map(|message| units(message, sizing).1).sum();
        let (credit, window) = (sender.machine.core().credit().available(), receiver.machine.core().window());
        let sum = credit + data + window.held() + window.freed() + grants + self.lost[from];
        sum == self.setup.window && window.window() == self.setup.window
    }

    fn is_whole(&self, at: usize) -> bool {
        let end = &self.ends[at];
        let all = self.setup.items[1 - at].iter().map(|size| *size as usize).sum::<usize>();
        !end.machine.core().direction().receives() || (end.got == all && end.peer_done)
    }
}

impl explore::World for World {
    fn digest(&self) -> u128 {
        let mut digest = Digest::default();
        for end in &self.ends {
            // Nothing follows, and what there was has been checked.
            if end.terminal.is_some() {
                end.terminal.hash(&mut digest);
                continue;
            }
            let End { machine, inbox, attached, written, finished, got, in_hand, peer_done, terminal: _ } =
                end;
            (inbox, attached).hash(&mut digest);
            if end.lives() {
                machine.core().hash(&mut digest);
                (written, finished, got, in_hand, peer_done).hash(&mut digest);
                continue;
            }
            // All that is left to it are the frames that it still has to send, and to wait for END.
            let mut rest = machine.clone();
            rest.state().hash(&mut digest);
            rest.attach(NOW);
            while let Some(message) = rest.poll_transmit() {
                message.into_bytes().hash(&mut digest);
            }
        }
        self.closed.hash(&mut digest);
        digest.value()
    }

    fn steps(&self, next: &mut Vec<Self>) -> bool {
        let mut moves = false;
        for (at, event) in [0, 1].into_iter().flat_map(|at| EVENTS.map(|event| (at, event))) {
            if self.can(at, event) {
                moves |= !matches!(event, Event::Fail | Event::Cancel | Event::Timeout);
                next.push(self.after(at, event));
            }
        }
        if self.setup.ends && !self.closed {
            next.push(self.close());
        }
        moves
    }

    fn always() -> Vec<Property<Self>> {
        vec![
            ("credit is conserved", |world| {
                [0, 1].into_iter().all(|at| !world.ends[at].sends() || world.is_conserved(at))
            }),
            ("an end that has said so has ended", |world| {
                world.ends.iter().all(|end| end.terminal.is_none() || end.machine.has_ended())
            }),
            ("finished means finished here and delivered from there", |world| {
                let is_true =
                    |at: usize| (world.ends[at].finished || !world.ends[at].sends()) && world.is_whole(at);
                [0, 1].into_iter().all(|at| world.ends[at].terminal != Some(true) || is_true(at))
            }),
        ]
    }

    fn at_rest() -> Vec<Property<Self>> {
        vec![
            ("nobody waits for ever", |world| world.ends.iter().all(|end| end.terminal.is_some())),
            ("only giving up fails a stream", |world| {
                world.setup.ends || world.ends.iter().all(|end| end.terminal == Some(true))
            }),
        ]
    }

    fn shown(&self) -> String {
        format!("{self:#?}")
    }
}

const ONE_WAY: Setup = Setup {
    direction: Direction::Send,
    window: 1,
    sizing: Sizing::Items,
    items: [&[1, 1, 1, 1], &[]],
    appetite: Appetite::Eager,
    attached: true,
    ends: true,
};

const TWO_WAYS: Setup = Setup { direction: Direction::Both(Role::Caller), items: [&[1, 1], &[1]], ..ONE_WAY };

fn assert_states(cases: &[(Setup, usize, usize)]) {
    let found: Vec<_> = cases.iter().map(|(setup, _, _)| explore(World::new(*setup))).collect();
    let expected: Vec<_> = cases.iter().map(|(_, states, ends)| (*states, *ends)).collect();
    assert_eq!(found, expected);
}

/// STREAM-1, STREAM-21: from before the opening on.
#[test]
fn stream_1_before_the_channel_every_interleaving_ends_once() {
    let unopened = Setup { attached: false, ..ONE_WAY };
    assert_states(&[
        (Setup { items: [&[1, 1], &[]], ..unopened }, 929, 6),
        (Setup { items: [&[], &[1]], direction: Direction::Both(Role::Responder), ..unopened }, 1627, 6),
    ]);
}

/// STREAM-7, STREAM-19, STREAM-20: four items, with failing, cancelling, timing out and closing at any moment.
#[test]
fn stream_19_one_way_every_interleaving_ends_once() {
    assert_states(&[
        (ONE_WAY, 912, 6),
        (Setup { window: 2, ..ONE_WAY }, 1680, 6),
        (Setup { window: 3, ..ONE_WAY }, 2373, 6),
        (Setup { window: 1, appetite: Appetite::From(1), ..ONE_WAY }, 999, 6),
        (Setup { window: 2, appetite: Appetite::From(1), ..ONE_WAY }, 2034, 6),
        (Setup { window: 3, appetite: Appetite::From(1), ..ONE_WAY }, 3171, 6),
    ]);
}

/// STREAM-7, STREAM-14, STREAM-19: the same both ways.
#[test]
fn stream_14_two_ways_every_interleaving_ends_once() {
    assert_states(&[
        (TWO_WAYS, 5829, 6),
        (Setup { window: 2, ..TWO_WAYS }, 5375, 6),
        (Setup { window: 3, items: [&[1, 1], &[1, 1]], ..TWO_WAYS }, 18365, 6),
    ]);
}

/// STREAM-7, STREAM-9, STREAM-12: through each window, and everything arrives.
#[test]
fn stream_12_every_interleaving_delivers_everything() {
    let calm = Setup { ends: false, ..ONE_WAY };
    assert_states(&[
        (calm, 118, 1),
        (Setup { window: 2, ..calm }, 290, 1),
        (Setup { window: 3, ..calm }, 499, 1),
        (Setup { window: 3, items: [&[1, 1], &[1, 1]], ends: false, ..TWO_WAYS }, 6669, 1),
    ]);
}

/// STREAM-9, T3: sizes by a function, items as large as the window, and bytes: credit is never stranded.
#[test]
fn stream_9_no_item_waits_for_credit_for_ever() {
    let custom = Setup { sizing: Sizing::Custom, ends: false, ..ONE_WAY };
    let bytes = Setup { sizing: Sizing::Bytes, ..custom };
    assert_states(&[
        (Setup { window: 2, items: [&[1, 2, 1, 2], &[]], ..custom }, 118, 1),
        (Setup { window: 3, items: [&[1, 3, 2, 3], &[]], ..custom }, 133, 1),
        (Setup { window: 3, items: [&[2, 2, 1, 3], &[]], ends: true, ..custom }, 1169, 6),
        (Setup { window: 3, items: [&[2, 1, 3, 2], &[]], ..bytes }, 1934, 1),
        (Setup { window: 9, items: [&[7, 4, 5], &[]], ..bytes }, 2266, 1),
    ]);
}

/// STREAM-9, T3: an application that consumes nothing before it has as much in hand as the window holds.
#[test]
fn stream_9_an_application_that_waits_for_a_whole_window_gets_it() {
    let hoard = Setup { appetite: Appetite::From(3), window: 3, ends: false, ..ONE_WAY };
    let some = Setup { appetite: Appetite::From(2), ..hoard };
    let bytes = Setup { sizing: Sizing::Bytes, ..hoard };
    // From 16 units on a portion is two, so a single one waits.
    let large = Setup { appetite: Appetite::From(16), window: 16, items: [&[1; 20], &[]], ..hoard };
    let pieces = Setup { window: 20, items: [&[5, 5, 5, 1, 5, 5, 5, 5, 5], &[]], ..large };
    assert_states(&[
        (Setup { window: 2, ..some }, 145, 1),
        (hoard, 156, 1),
        (Setup { sizing: Sizing::Custom, items: [&[1, 1, 2, 1], &[]], ..some }, 273, 1),
        (Setup { items: [&[1, 1, 2, 1], &[]], ..bytes }, 410, 1),
        (large, 4950, 1),
        (Setup { sizing: Sizing::Bytes, ..pieces }, 2258, 1),
    ]);
}
