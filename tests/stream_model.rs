//! Every state that the two ends of a stream can reach together in small configurations.
//!
//! The applications and the channel take every step they could, in every order: write, finish, fail, cancel, send,
//! deliver, take, close. The channel holds two messages each way, so backpressure is part of it. Each state is
//! checked: credit is conserved, nobody waits for ever while credit and data exist, each end reaches CLOSED with
//! exactly one terminal action. The number of states is exact, so that a change of behaviour does not pass unseen.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::panic)]
#![allow(clippy::cast_possible_truncation, missing_docs)]

use std::collections::{HashSet, VecDeque};
use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hasher};

use bytes::Bytes;
use portline::Instant;
use portline::frame::{FrameType, decode};
use portline::stream::{Action, Config, Direction, Endpoint, Limits, Role, Shape, Sizing, State};

const NOW: Instant = Instant::ZERO;
/// Messages that the channel holds in each direction.
const CHANNEL: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// The channel is attached.
    Attach,
    Write,
    Finish,
    Fail,
    Cancel,
    /// One message goes onto the channel.
    Send,
    /// One message comes from it.
    Deliver,
    /// The application polls one action and consumes it.
    Take,
}

const EVENTS: [Event; 8] = [
    Event::Attach,
    Event::Write,
    Event::Finish,
    Event::Fail,
    Event::Cancel,
    Event::Send,
    Event::Deliver,
    Event::Take,
];

/// What is explored.
#[derive(Clone, Copy, Debug)]
struct Setup {
    direction: Direction,
    window: u32,
    sizing: Sizing,
    /// Sizes of the items that each end writes.
    items: [&'static [u8]; 2],
    /// Whether the channels are attached from the start.
    attached: bool,
    /// Whether there is failing and cancelling, and closing.
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
    got: usize,
    peer_done: bool,
    /// `Finished` is true.
    terminal: Option<bool>,
}

impl End {
    fn new(shape: Shape, attached: bool) -> Self {
        let limits = Limits { size_of: |block| u32::from(block[0]), ..Limits::default() };
        let mut machine = Endpoint::new(Config { shape, limits }, NOW).unwrap();
        machine.open(NOW);
        if attached {
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
            peer_done: false,
            terminal: None,
        }
    }

    /// One action; whether there was one.
    fn take(&mut self, theirs: &[u8]) -> bool {
        let Some(action) = self.machine.poll_action() else { return false };
        assert_eq!(self.terminal, None, "nothing follows the terminal action: {action:?}");
        match action {
            Action::Opened => {}
            Action::Data(block) => {
                assert_eq!(block[..], [theirs[self.got], self.got as u8]);
                assert!(!self.peer_done);
                self.got += 1;
                self.machine.consume(NOW);
            }
            Action::PeerDone => self.peer_done = true,
            Action::Writable => panic!("nothing was refused"),
            Action::Finished => self.terminal = Some(true),
            Action::Failed(error) => {
                assert!(!error.is_violation(), "{error}");
                self.terminal = Some(false);
            }
        }
        true
    }
}

#[derive(Clone, Debug)]
struct World {
    ends: [End; 2],
    closed: bool,
}

impl World {
    fn new(setup: &Setup) -> Self {
        let shape = Shape { direction: setup.direction, window: setup.window, sizing: setup.sizing };
        let ends = [End::new(shape, setup.attached), End::new(shape.reversed(), setup.attached)];
        Self { ends, closed: false }
    }

    /// The world after `event` at one end, `None` where it cannot happen.
    fn after(&self, at: usize, event: Event, setup: &Setup) -> Option<Self> {
        let mut next = self.clone();
        let [left, right] = &mut next.ends;
        let (end, other) = if at == 0 { (left, right) } else { (right, left) };
        let items = setup.items[at];
        let over = matches!(end.machine.state(), State::Closed | State::Closing(_));
        match event {
            Event::Attach if !end.attached && !self.closed => {
                end.attached = true;
                end.machine.attach(NOW);
            }
            Event::Write if end.written < items.len() && !end.finished && end.machine.can_write() => {
                let block = Bytes::copy_from_slice(&[items[end.written], end.written as u8]);
                end.machine.write(NOW, block).unwrap();
                end.written += 1;
            }
            Event::Finish if end.written == items.len() && !end.finished && !over => {
                end.finished = true;
                end.machine.finish(NOW);
            }
            Event::Fail if setup.ends && !over => end.machine.fail(NOW, "no"),
            Event::Cancel if setup.ends && !over => end.machine.cancel(NOW, None),
            Event::Send if !self.closed && other.inbox.len() < CHANNEL => {
                other.inbox.push_back(end.machine.poll_transmit()?.into_bytes());
            }
            Event::Deliver if end.attached => {
                let message = end.inbox.pop_front()?;
                end.machine.handle_message(NOW, message).unwrap();
            }
            Event::Take => {
                if !end.take(setup.items[1 - at]) {
                    return None;
                }
            }
            Event::Attach
            | Event::Write
            | Event::Finish
            | Event::Fail
            | Event::Cancel
            | Event::Send
            | Event::Deliver => return None,
        }
        next.forget();
        Some(next)
    }

    /// What comes to an end that is over is dropped, which other tests try; here it would only add states.
    fn forget(&mut self) {
        for end in &mut self.ends {
            if end.machine.has_ended() {
                end.inbox.clear();
            }
        }
    }

    fn close(&self) -> Option<Self> {
        let mut next = self.clone();
        if self.closed {
            return None;
        }
        next.closed = true;
        for end in &mut next.ends {
            end.inbox.clear();
            end.machine.handle_closed(NOW).ok();
        }
        Some(next)
    }

    /// STREAM-7, for the data that goes from `from` to `to`.
    fn conserved(&self, from: usize, to: usize, setup: &Setup) {
        let (sender, receiver) = (&self.ends[from], &self.ends[to]);
        // A last block is delivered and consumed as well, so this holds from the first frame to the last.
        let lives = |end: &End| matches!(end.machine.state(), State::Opening | State::Active);
        if !lives(sender) || !lives(receiver) {
            return;
        }
        let data = receiver.inbox.iter().filter(|message| matches!(message[0], 0 | 6));
        let data: u32 = data.filter_map(|message| message.get(5)).map(|size| u32::from(*size)).sum();
        let grants = sender.inbox.iter().map(|message| decode(message).unwrap());
        let grants: u32 = grants
            .filter(|frame| frame.kind == FrameType::Credit)
            .map(|frame| u32::from_be_bytes(frame.payload.try_into().unwrap()))
            .sum();
        let (credit, window) = (sender.machine.core().credit().available(), receiver.machine.core().window());
        assert_eq!(credit + data + window.held() + window.freed() + grants, setup.window, "{self:?}");
    }

    fn check(&self, setup: &Setup) {
        if setup.direction.sends() {
            self.conserved(0, 1, setup);
        }
        if setup.direction.receives() {
            self.conserved(1, 0, setup);
        }
        for (at, end) in self.ends.iter().enumerate() {
            assert!(end.terminal.is_none() || end.machine.has_ended());
            if end.terminal == Some(true) {
                assert!(end.finished || !end.machine.core().direction().sends());
                let complete = end.got == setup.items[1 - at].len() && end.peer_done;
                assert!(complete || !end.machine.core().direction().receives(), "finished means delivered");
            }
        }
    }

    /// Everything that the future depends on.
    fn digest(&self) -> (u64, u64) {
        let mut text = Digest([DefaultHasher::new(), DefaultHasher::new()]);
        text.0[1].write_u8(1);
        for end in &self.ends {
            let End { machine, inbox, attached, written, finished, got, peer_done, terminal } = end;
            write!(
                text,
                "{:?}{inbox:?}{attached}{written}{finished}{got}{peer_done}{terminal:?}",
                machine.core()
            )
            .unwrap();
        }
        write!(text, "{}", self.closed).unwrap();
        (text.0[0].finish(), text.0[1].finish())
    }
}

struct Digest([DefaultHasher; 2]);

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for hasher in &mut self.0 {
            hasher.write(text.as_bytes());
        }
        Ok(())
    }
}

/// Explores everything; the number of states, and of those in which nothing more can happen.
fn explore(setup: &Setup) -> (usize, usize) {
    let start = World::new(setup);
    let mut seen = HashSet::from([start.digest()]);
    let mut border = VecDeque::from([start]);
    let mut ends = 0;
    while let Some(world) = border.pop_front() {
        world.check(setup);
        let mut moves = 0;
        let mut visit = |next: World, border: &mut VecDeque<World>| {
            if seen.insert(next.digest()) {
                border.push_back(next);
            }
        };
        for (at, event) in [0, 1].into_iter().flat_map(|at| EVENTS.map(|event| (at, event))) {
            let Some(next) = world.after(at, event, setup) else { continue };
            moves += usize::from(!matches!(event, Event::Fail | Event::Cancel));
            visit(next, &mut border);
        }
        if setup.ends {
            if let Some(next) = world.close() {
                visit(next, &mut border);
            }
        }
        if moves == 0 {
            ends += 1;
            for end in &world.ends {
                assert!(end.terminal.is_some(), "nobody waits for ever: {world:#?}");
            }
            assert!(setup.ends || world.ends.iter().all(|end| end.terminal == Some(true)));
        }
    }
    (seen.len(), ends)
}

const ONE_WAY: Setup = Setup {
    direction: Direction::Send,
    window: 1,
    sizing: Sizing::Items,
    items: [&[1, 1, 1, 1], &[]],
    attached: true,
    ends: true,
};

const TWO_WAYS: Setup = Setup { direction: Direction::Both(Role::Caller), items: [&[1, 1], &[1]], ..ONE_WAY };

fn assert_states(cases: &[(Setup, usize, usize)]) {
    let found: Vec<_> = cases.iter().map(|(setup, _, _)| explore(setup)).collect();
    let expected: Vec<_> = cases.iter().map(|(_, states, ends)| (*states, *ends)).collect();
    assert_eq!(found, expected);
}

/// STREAM-7, STREAM-19, STREAM-20: with failing, cancelling and closing at any moment.
#[test]
fn stream_19_one_way_every_interleaving_ends_once() {
    assert_states(&[
        (Setup { items: [&[], &[]], attached: false, ..ONE_WAY }, 20378, 2248),
        (Setup { items: [&[1, 1], &[]], ..ONE_WAY }, 51222, 9616),
        (Setup { items: [&[1, 1], &[]], window: 2, ..ONE_WAY }, 66222, 12358),
    ]);
}

/// STREAM-7, STREAM-9, STREAM-12: four items through each window, and everything arrives.
#[test]
fn stream_12_every_interleaving_delivers_everything() {
    let calm = Setup { ends: false, ..ONE_WAY };
    assert_states(&[
        (calm, 394, 16),
        (Setup { window: 2, ..calm }, 872, 36),
        (Setup { window: 3, ..calm }, 1716, 70),
        (Setup { window: 3, items: [&[1, 1], &[1, 1]], ends: false, ..TWO_WAYS }, 7222, 76),
    ]);
}

/// STREAM-9, T3: sizes by a function, items as large as the window: credit is never stranded.
#[test]
fn stream_9_no_item_waits_for_credit_for_ever() {
    let custom = Setup { sizing: Sizing::Custom, ends: false, ..ONE_WAY };
    assert_states(&[
        (Setup { window: 2, items: [&[1, 2, 1, 2], &[]], ..custom }, 394, 16),
        (Setup { window: 3, items: [&[1, 3, 2, 3], &[]], ..custom }, 424, 16),
        (Setup { window: 3, items: [&[2, 2, 1, 3], &[]], ..custom }, 540, 20),
    ]);
}

/// STREAM-7, STREAM-14, STREAM-19.
#[test]
fn stream_14_two_ways_every_interleaving_ends_once() {
    assert_states(&[(Setup { items: [&[1], &[]], ..TWO_WAYS }, 78276, 13391)]);
}
