//! The life of a stream as one table: (state, input) → (state, effect).
//!
//! [`next`] has no arm for "anything else": a new state or input does not compile until each pair is decided. The
//! diagram in `spec/09-stream.md` is drawn from it by a test.

/// Where a stream is (STREAM-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing has been said about it.
    Idle,
    /// Its opening was sent or received; its channel is not there yet.
    Opening,
    /// The channel is attached: data and credit move.
    Active,
    /// It is over, and something is left to do.
    Closing(Closing),
    /// Nothing is left. No frame is valid any more.
    Closed,
}

/// What a stream that is over still has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closing {
    /// Tell the peer why it ended, once the channel is attached.
    Waiting,
    /// Hand END to the transport: both directions are done.
    Ending,
    /// Hand ERROR or CANCEL, and then END, to the transport.
    Telling,
    /// Hear the END that follows the peer's ERROR or CANCEL.
    Hearing,
    /// Deliver what has arrived.
    Draining,
}

/// What can happen to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// The opening was sent or received.
    Open,
    /// The channel is there.
    Attach,
    /// Data or credit came, in order and within the window.
    Flow,
    /// The peer's END came, with the right count and from the right side.
    PeerEnd,
    /// The peer's ERROR came.
    PeerError,
    /// The peer's CANCEL came.
    PeerCancel,
    /// The peer broke the protocol.
    Fault,
    /// Both directions are done, and END is ours to send.
    Complete,
    /// The application failed the stream.
    Fail,
    /// The application cancelled the stream.
    Cancel,
    /// A deadline has passed.
    Timeout,
    /// The channel closed.
    Disconnect,
    /// The last frame was handed to the transport.
    Told,
    /// Everything that had arrived was delivered.
    Delivered,
}

/// What the stream does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Nothing.
    Nothing,
    /// The wait for the channel begins.
    Await,
    /// The application is told that the stream is open.
    Opened,
    /// The block is queued for the application, or the credit counted.
    Move,
    /// What waits to be sent is dropped; the wait for the peer's END begins.
    Hear,
    /// END goes out.
    End,
    /// What waits and what is queued is dropped; ERROR or CANCEL goes out, and then END.
    Tell,
    /// What is queued goes to the application first.
    Drain,
    /// The one terminal action.
    Close,
    /// The frame was under way when the stream ended: it is counted and dropped.
    Late,
    /// The frame came before the stream was open: the peer's fault.
    Refuse,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Idle,
        Self::Opening,
        Self::Active,
        Self::Closing(Closing::Waiting),
        Self::Closing(Closing::Ending),
        Self::Closing(Closing::Telling),
        Self::Closing(Closing::Hearing),
        Self::Closing(Closing::Draining),
        Self::Closed,
    ];

    /// Its name in the diagram of the seed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "IDLE",
            Self::Opening => "OPENING",
            Self::Active => "ACTIVE",
            Self::Closing(_) => "CLOSING",
            Self::Closed => "CLOSED",
        }
    }
}

impl Input {
    /// Every input.
    pub const ALL: [Self; 14] = [
        Self::Open,
        Self::Attach,
        Self::Flow,
        Self::PeerEnd,
        Self::PeerError,
        Self::PeerCancel,
        Self::Fault,
        Self::Complete,
        Self::Fail,
        Self::Cancel,
        Self::Timeout,
        Self::Disconnect,
        Self::Told,
        Self::Delivered,
    ];
}

/// The table: the state after `input` in `state`, and what to do.
#[must_use]
#[inline]
pub const fn next(state: State, input: Input) -> (State, Effect) {
    match state {
        State::Idle => idle(input),
        State::Opening => opening(input),
        State::Active => active(input),
        State::Closing(Closing::Waiting) => waiting(input),
        State::Closing(Closing::Ending) => ending(input),
        State::Closing(Closing::Telling) => telling(input),
        State::Closing(Closing::Hearing) => hearing(input),
        State::Closing(Closing::Draining) => draining(input),
        State::Closed => closed(input),
    }
}

#[inline]
const fn idle(input: Input) -> (State, Effect) {
    match input {
        Input::Open => (State::Opening, Effect::Await),
        Input::Flow | Input::PeerEnd | Input::PeerError | Input::PeerCancel => (State::Idle, Effect::Refuse),
        Input::Fault | Input::Fail | Input::Cancel | Input::Disconnect => (State::Closed, Effect::Close),
        Input::Attach | Input::Complete | Input::Timeout | Input::Told | Input::Delivered => {
            (State::Idle, Effect::Nothing)
        }
    }
}

#[inline]
const fn opening(input: Input) -> (State, Effect) {
    match input {
        Input::Attach => (State::Active, Effect::Opened),
        Input::Flow | Input::PeerEnd | Input::PeerError | Input::PeerCancel => {
            (State::Opening, Effect::Refuse)
        }
        Input::Fault | Input::Fail | Input::Cancel => (State::Closing(Closing::Waiting), Effect::Tell),
        Input::Timeout | Input::Disconnect => (State::Closed, Effect::Close),
        Input::Open | Input::Complete | Input::Told | Input::Delivered => (State::Opening, Effect::Nothing),
    }
}

#[inline]
const fn active(input: Input) -> (State, Effect) {
    match input {
        Input::Flow => (State::Active, Effect::Move),
        Input::PeerEnd | Input::Disconnect => (State::Closing(Closing::Draining), Effect::Drain),
        Input::PeerError | Input::PeerCancel => (State::Closing(Closing::Hearing), Effect::Hear),
        Input::Complete => (State::Closing(Closing::Ending), Effect::End),
        Input::Fault | Input::Fail | Input::Cancel | Input::Timeout => {
            (State::Closing(Closing::Telling), Effect::Tell)
        }
        Input::Open | Input::Attach | Input::Told | Input::Delivered => (State::Active, Effect::Nothing),
    }
}

#[inline]
const fn waiting(input: Input) -> (State, Effect) {
    match input {
        Input::Attach => (State::Closing(Closing::Telling), Effect::Nothing),
        Input::Timeout | Input::Disconnect => (State::Closed, Effect::Close),
        Input::Flow | Input::PeerEnd | Input::PeerError | Input::PeerCancel => {
            (State::Closing(Closing::Waiting), Effect::Late)
        }
        Input::Open
        | Input::Fault
        | Input::Complete
        | Input::Fail
        | Input::Cancel
        | Input::Told
        | Input::Delivered => (State::Closing(Closing::Waiting), Effect::Nothing),
    }
}

#[inline]
const fn ending(input: Input) -> (State, Effect) {
    match input {
        Input::Flow => (State::Closing(Closing::Ending), Effect::Move),
        Input::Told | Input::PeerEnd | Input::Disconnect => {
            (State::Closing(Closing::Draining), Effect::Drain)
        }
        Input::PeerError | Input::PeerCancel => (State::Closing(Closing::Hearing), Effect::Hear),
        Input::Fault | Input::Fail | Input::Cancel => (State::Closing(Closing::Telling), Effect::Tell),
        Input::Open | Input::Attach | Input::Complete | Input::Timeout | Input::Delivered => {
            (State::Closing(Closing::Ending), Effect::Nothing)
        }
    }
}

#[inline]
const fn telling(input: Input) -> (State, Effect) {
    match input {
        // The peer has ended too and would only drop what we have to tell.
        Input::Told | Input::PeerEnd | Input::Disconnect => (State::Closed, Effect::Close),
        Input::Flow | Input::PeerError | Input::PeerCancel => {
            (State::Closing(Closing::Telling), Effect::Late)
        }
        Input::Open
        | Input::Attach
        | Input::Fault
        | Input::Complete
        | Input::Fail
        | Input::Cancel
        | Input::Timeout
        | Input::Delivered => (State::Closing(Closing::Telling), Effect::Nothing),
    }
}

#[inline]
const fn hearing(input: Input) -> (State, Effect) {
    match input {
        Input::PeerEnd | Input::Timeout | Input::Disconnect => {
            (State::Closing(Closing::Draining), Effect::Drain)
        }
        Input::Flow | Input::PeerError | Input::PeerCancel => {
            (State::Closing(Closing::Hearing), Effect::Late)
        }
        Input::Open
        | Input::Attach
        | Input::Fault
        | Input::Complete
        | Input::Fail
        | Input::Cancel
        | Input::Told
        | Input::Delivered => (State::Closing(Closing::Hearing), Effect::Nothing),
    }
}

#[inline]
const fn draining(input: Input) -> (State, Effect) {
    match input {
        Input::Delivered => (State::Closed, Effect::Close),
        Input::Flow | Input::PeerEnd | Input::PeerError | Input::PeerCancel => {
            (State::Closing(Closing::Draining), Effect::Late)
        }
        Input::Open
        | Input::Attach
        | Input::Fault
        | Input::Complete
        | Input::Fail
        | Input::Cancel
        | Input::Timeout
        | Input::Disconnect
        | Input::Told => (State::Closing(Closing::Draining), Effect::Nothing),
    }
}

#[inline]
const fn closed(input: Input) -> (State, Effect) {
    match input {
        Input::Flow | Input::PeerEnd | Input::PeerError | Input::PeerCancel => (State::Closed, Effect::Late),
        Input::Open
        | Input::Attach
        | Input::Fault
        | Input::Complete
        | Input::Fail
        | Input::Cancel
        | Input::Timeout
        | Input::Disconnect
        | Input::Told
        | Input::Delivered => (State::Closed, Effect::Nothing),
    }
}
