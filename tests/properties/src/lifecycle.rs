//! The table of a stream's life beside what is known of the stream; and an endpoint that lives by the table.

use bytes::Bytes;
use portline::Instant;
use portline::stream::lifecycle::{Closing, Effect, Input, State, next};
use portline::stream::{Action, Config, Direction, Endpoint, Error, Role, Shape};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

/// What this side still has to send before the stream may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owes {
    Nothing,
    /// END, as both directions are done.
    End,
    /// Why it gave the stream up.
    Words,
}

/// What is known of a stream; where it is follows from that.
#[derive(Clone, Debug)]
struct Known {
    opened: bool,
    attached: bool,
    over: bool,
    closed: bool,
    owes: Owes,
    /// Whether the peer has given up, and its END is to come.
    hears: bool,
    effect: Effect,
}

impl Known {
    const fn new() -> Self {
        Self {
            opened: false,
            attached: false,
            over: false,
            closed: false,
            owes: Owes::Nothing,
            hears: false,
            effect: Effect::Nothing,
        }
    }

    const fn state(&self) -> State {
        match self {
            Self { closed: true, .. } => State::Closed,
            Self { over: true, attached: false, .. } => State::Closing(Closing::Waiting),
            Self { over: true, hears: true, .. } => State::Closing(Closing::Hearing),
            Self { over: true, owes: Owes::End, .. } => State::Closing(Closing::Ending),
            Self { over: true, owes: Owes::Words, .. } => State::Closing(Closing::Telling),
            Self { over: true, owes: Owes::Nothing, .. } => State::Closing(Closing::Draining),
            Self { attached: true, .. } => State::Active,
            Self { opened: true, .. } => State::Opening,
            Self { .. } => State::Idle,
        }
    }

    /// Until it is over, or only END is left to say.
    fn listens(&self) -> bool {
        self.attached && !self.closed && (!self.over || self.owes == Owes::End)
    }

    fn drains(&self) -> bool {
        self.state() == State::Closing(Closing::Draining)
    }

    fn close(&mut self) -> Effect {
        self.closed = true;
        Effect::Close
    }

    /// Nothing more comes or goes; what has come is delivered.
    fn drain(&mut self) -> Effect {
        (self.over, self.hears, self.owes) = (true, false, Owes::Nothing);
        Effect::Drain
    }

    fn give_up(&mut self) -> Effect {
        if self.closed || (self.over && self.owes != Owes::End) {
            return Effect::Nothing;
        }
        if !self.opened {
            return self.close();
        }
        (self.over, self.owes) = (true, Owes::Words);
        Effect::Tell
    }

    fn frame(&mut self, input: Input) -> Effect {
        if !self.attached && !self.over && !self.closed {
            return Effect::Refuse;
        }
        let speaks = self.attached && self.over && self.owes == Owes::Words && !self.closed;
        match input {
            Input::Flow if self.listens() => Effect::Move,
            Input::PeerError | Input::PeerCancel if self.listens() => {
                (self.over, self.hears, self.owes) = (true, true, Owes::Nothing);
                Effect::Hear
            }
            Input::PeerEnd if self.listens() || (self.hears && !self.closed) => self.drain(),
            // There is nobody left to tell.
            Input::PeerEnd if speaks => self.close(),
            _ => Effect::Late,
        }
    }

    fn timeout(&mut self) -> Effect {
        match self.state() {
            State::Opening | State::Closing(Closing::Waiting) => self.close(),
            State::Active => self.give_up(),
            State::Closing(Closing::Hearing) => self.drain(),
            _ => Effect::Nothing,
        }
    }

    fn disconnect(&mut self) -> Effect {
        if self.closed || self.drains() {
            return Effect::Nothing;
        }
        // Nothing can have come, or nothing of it counts any more.
        if !self.attached || self.owes == Owes::Words { self.close() } else { self.drain() }
    }

    fn told(&mut self) -> Effect {
        match self.owes {
            Owes::End if !self.closed => self.drain(),
            Owes::Words if self.attached && !self.closed => self.close(),
            _ => Effect::Nothing,
        }
    }

    fn step(&mut self, input: Input) -> Effect {
        match input {
            Input::Open if !self.opened && !self.closed => {
                self.opened = true;
                Effect::Await
            }
            Input::Attach if self.opened && !self.attached && !self.closed => {
                self.attached = true;
                if self.over { Effect::Nothing } else { Effect::Opened }
            }
            Input::Complete if self.state() == State::Active => {
                (self.over, self.owes) = (true, Owes::End);
                Effect::End
            }
            Input::Delivered if self.drains() => self.close(),
            Input::Flow | Input::PeerEnd | Input::PeerError | Input::PeerCancel => self.frame(input),
            Input::Fault | Input::Fail | Input::Cancel => self.give_up(),
            Input::Timeout => self.timeout(),
            Input::Disconnect => self.disconnect(),
            Input::Told => self.told(),
            Input::Open | Input::Attach | Input::Complete | Input::Delivered => Effect::Nothing,
        }
    }
}

struct Model;

impl ReferenceStateMachine for Model {
    type State = Known;
    type Transition = Input;

    fn init_state() -> BoxedStrategy<Known> {
        Just(Known::new()).boxed()
    }

    fn transitions(state: &Known) -> BoxedStrategy<Input> {
        // A stream that lives for a while first.
        let lives = if state.opened { Input::Attach } else { Input::Open };
        prop_oneof![
            8 => Just(lives),
            16 => prop_oneof![Just(Input::Flow), Just(Input::Complete), Just(Input::Told)],
            8 => prop::sample::select(Input::ALL.to_vec()),
        ]
        .boxed()
    }

    fn apply(mut state: Known, input: &Input) -> Known {
        state.effect = state.step(*input);
        state
    }
}

/// Where the table is, and how often it has said that the stream ends.
struct Walk {
    state: State,
    ends: usize,
}

struct Table;

impl StateMachineTest for Table {
    type SystemUnderTest = Walk;
    type Reference = Model;

    fn init_test(_: &Known) -> Walk {
        Walk { state: State::Idle, ends: 0 }
    }

    fn apply(walk: Walk, known: &Known, input: Input) -> Walk {
        let (state, effect) = next(walk.state, input);
        assert_eq!((state, effect), (known.state(), known.effect), "{:?} {input:?}", walk.state);
        Walk { state, ends: walk.ends + usize::from(effect == Effect::Close) }
    }

    fn check_invariants(walk: &Walk, _: &Known) {
        assert_eq!(walk.ends, usize::from(walk.state == State::Closed), "STREAM-19");
    }
}

prop_state_machine! {
    #![proptest_config(crate::config())]

    /// STREAM-1, STREAM-15 to STREAM-21.
    #[test]
    fn stream_1_the_table_says_what_is_known_of_the_stream(sequential 1..40 => Table);
}

/// What happens to an endpoint.
#[derive(Clone, Copy, Debug)]
enum Event {
    Open,
    Attach,
    Write,
    Finish,
    Fail,
    Cancel,
    Timeout,
    Disconnect,
    Send,
    Take,
    Consume,
    /// DATA or LAST with the next number, or the mark alone.
    PeerData,
    PeerLast,
    PeerMark,
    /// So many blocks consumed, and so much granted.
    PeerCredit(u8),
    PeerEnd,
    PeerError,
    PeerCancel,
    /// A frame of no known type.
    Garbage,
}

fn event() -> impl Strategy<Value = Event> {
    let own = prop_oneof![
        6 => Just(Event::Write), 4 => Just(Event::Finish), 12 => Just(Event::Send), 12 => Just(Event::Take),
        6 => Just(Event::Consume), 1 => Just(Event::Fail), 1 => Just(Event::Cancel), 1 => Just(Event::Timeout),
    ];
    let theirs = prop_oneof![
        8 => Just(Event::PeerData), 2 => Just(Event::PeerLast), 2 => Just(Event::PeerMark),
        5 => (0..3_u8).prop_map(Event::PeerCredit), 3 => Just(Event::PeerEnd), 1 => Just(Event::PeerError),
        1 => Just(Event::PeerCancel), 1 => Just(Event::Garbage),
    ];
    let channel = prop_oneof![6 => Just(Event::Open), 6 => Just(Event::Attach), 1 => Just(Event::Disconnect)];
    prop_oneof![4 => own, 3 => theirs, 1 => channel]
}

const NOW: Instant = Instant::ZERO;

struct Living {
    machine: Endpoint,
    now: Instant,
    /// Blocks that each side has sent.
    ours: u32,
    theirs: u32,
    terminal: Option<Action>,
}

fn frame(kind: u8, id: u32, payload: &[u8]) -> Bytes {
    [&[kind][..], &id.to_be_bytes(), payload].concat().into()
}

impl Living {
    fn new(direction: Direction, window: u32) -> Self {
        let shape = Shape { window, ..Shape::items(direction) };
        let machine = Endpoint::new(Config::new(shape), NOW).unwrap();
        Self { machine, now: NOW, ours: 0, theirs: 0, terminal: None }
    }

    /// The input that a message is, if the endpoint took it for one.
    fn hear(&mut self, message: Bytes, input: Input) -> Option<Input> {
        match self.machine.handle_message(self.now, message) {
            Ok(()) => Some(input),
            // The stream is over, and the error is the old one or none of this stream's.
            Err(_) if self.machine.has_ended() && self.terminal.is_some() => None,
            Err(Error::AfterEnd { .. }) => None,
            Err(_) => Some(Input::Fault),
        }
    }

    fn take(&mut self) {
        let Some(action) = self.machine.poll_action() else { return };
        assert_eq!(self.terminal, None, "nothing follows the terminal action: {action:?}");
        if matches!(action, Action::Finished | Action::Failed(_)) {
            assert!(self.machine.has_ended());
            self.terminal = Some(action);
        }
    }

    fn send(&mut self) {
        let Some(message) = self.machine.poll_transmit() else { return };
        let message = message.into_bytes();
        self.ours += u32::from(message[0] == 0 || (message[0] == 6 && message.len() > 5));
    }

    /// Does it; the input that it was.
    fn step(&mut self, event: Event) -> Option<Input> {
        let now = self.now;
        let machine = &mut self.machine;
        match event {
            Event::Open => machine.open(now),
            Event::Attach => machine.attach(now),
            Event::Write => drop(machine.write(now, Bytes::from_static(b"ours"))),
            Event::Finish => machine.finish(now),
            Event::Fail => machine.fail(now, "no"),
            Event::Cancel => machine.cancel(now, None),
            Event::Timeout => {
                self.now = machine.poll_timeout()?;
                machine.handle_timeout(self.now);
            }
            Event::Disconnect => drop(machine.handle_closed(now)),
            Event::Send => self.send(),
            Event::Take => self.take(),
            Event::Consume => machine.consume(now),
            Event::PeerData | Event::PeerLast => {
                let kind = if matches!(event, Event::PeerData) { 0 } else { 6 };
                let message = frame(kind, self.theirs, b"t");
                self.theirs += 1;
                return self.hear(message, Input::Flow);
            }
            Event::PeerMark => return self.hear(frame(6, self.theirs, b""), Input::Flow),
            Event::PeerCredit(grant) => {
                let payload = u32::from(grant).to_be_bytes();
                return self.hear(frame(4, self.ours, &payload), Input::Flow);
            }
            Event::PeerEnd => return self.hear(frame(2, self.theirs, b""), Input::PeerEnd),
            Event::PeerError => return self.hear(frame(3, self.theirs, b"\"no\""), Input::PeerError),
            Event::PeerCancel => return self.hear(frame(5, self.ours, b""), Input::PeerCancel),
            Event::Garbage => return self.hear(frame(99, 0, b""), Input::Fault),
        }
        match event {
            Event::Open => Some(Input::Open),
            Event::Attach => Some(Input::Attach),
            Event::Fail => Some(Input::Fail),
            Event::Cancel => Some(Input::Cancel),
            Event::Timeout => Some(Input::Timeout),
            Event::Disconnect => Some(Input::Disconnect),
            _ => None,
        }
    }
}

/// Where the table may be after `input`: itself, and what follows of itself where there is no more to send or to deliver.
fn allowed(from: State, input: Option<Input>) -> Vec<State> {
    let mut states = vec![input.map_or(from, |input| next(from, input).0)];
    for follows in [Input::Complete, Input::Told, Input::Delivered] {
        let more: Vec<State> = states.iter().map(|state| next(*state, follows).0).collect();
        states.extend(more);
    }
    states
}

proptest! {
    #![proptest_config(crate::config())]

    /// STREAM-1, STREAM-19, STREAM-20: whatever comes, in whatever order.
    #[test]
    fn stream_19_an_endpoint_goes_where_the_table_says_and_ends_once(
        direction in prop_oneof![
            Just(Direction::Send),
            Just(Direction::Receive),
            Just(Direction::Both(Role::Caller)),
            Just(Direction::Both(Role::Responder)),
        ],
        window in 1..5_u32,
        begun in prop::bool::weighted(0.8),
        events in prop::collection::vec(event(), 1..80),
    ) {
        let mut living = Living::new(direction, window);
        let begin: &[Event] = if begun { &[Event::Open, Event::Attach] } else { &[] };
        for event in begin.iter().copied().chain(events).chain([Event::Disconnect]) {
            let before = living.machine.state();
            let input = living.step(event);
            let after = living.machine.state();
            prop_assert!(allowed(before, input).contains(&after), "{:?}: {:?} to {:?}", event, before, after);
            // An action that says so, and only that, ends the stream; it may wait to be taken.
            prop_assert!(living.terminal.is_none() || living.machine.has_ended());
        }
        for _ in 0..200 {
            living.take();
        }
        prop_assert_eq!(living.machine.state(), State::Closed);
        prop_assert!(living.terminal.is_some(), "STREAM-20");
        prop_assert_eq!(living.machine.poll_timeout(), None);
    }
}
