//! The link: what two programs say to each other on the control channel, and the streams that they open with it.
//!
//! ```text
//! link:      WAITING ── the peer's READY ─► READY ── handle_closed, an error ─► CLOSING ── every call and stream has
//!                                                                                its end ─► OVER
//! our call:  QUEUED ── polled ─► SENT ── RESULT ─► RETURNED (its streams are over) ─► (none)
//!               └─ abort: only ABORT goes out       └─ abort ─► ABORTED ── RESULT, or its time is over ─► (none)
//! the peer's call:  RUNNING ── respond ─► ANSWERED ── its streams are over: RESULT ─► (none)
//!                       └── ABORT: its streams are cancelled ─► ABORTED ── they are over: RESULT "aborted" ─► (none)
//! ```
//!
//! | input | what happens |
//! |---|---|
//! | READY | `Ready`; READY again in answer, if ours had left before |
//! | CALL | `Called`; answer with `open_stream`, as often as needed, and `respond` |
//! | RESULT | `Returned`, after the call's streams |
//! | ABORT | `Aborted`; the call's streams end, and it answers "aborted" |
//! | OPEN | `OpenChannel`: attach the channel of a stream of a call of ours |
//! | a channel's message | `Data`, `PeerDone`, `Writable`, and one of `StreamFinished` and `StreamFailed` |
//!
//! A stream has a channel of its own, whose number is the stream's. The driver attaches it to whatever carries
//! messages (a `MessagePort`, a data channel, a QUIC stream, a channel of a [`super::mux`]) and moves its messages with
//! [`Link::handle_channel_message`] and [`Link::poll_channel_transmit`]; over one byte pipe a [`super::session`] does
//! all that. A stream that fails concerns no other and never the control channel.
//!
//! Limits: [`Config`]. Rules: `spec/10-control.md`.

mod action;
mod answers;
mod call;
mod calls;
mod closing;
mod streams;
mod upkeep;

use alloc::collections::{BTreeSet, VecDeque};
use core::hash::{Hash, Hasher};

use bytes::Bytes;

use super::bucket::Bucket;
use super::control::{self, Message};
use super::slab::Slab;
use super::{Capabilities, Config, ConfigError, Error, VERSION};
use crate::Transmit;
use crate::frame::FrameType;
use crate::limits::CHUNK_OVERHEAD;
use crate::stream::Shape;
use crate::time::{Instant, earliest};
pub use action::{Action, Answer, Fallback};
use call::{Incoming, Outgoing};
use upkeep::Stream;

/// Where the link is.
#[derive(Clone, Debug, Hash)]
enum Life {
    /// READY has not come.
    Waiting {
        deadline: Option<Instant>,
    },
    Ready {
        capabilities: Capabilities,
    },
    /// Every stream and every call gets its end.
    Closing {
        end: Result<(), Error>,
    },
    Over {
        end: Result<(), Error>,
    },
}

/// A control message that waits.
#[derive(Clone, Debug)]
enum Queued {
    Ready(Transmit),
    Message(Transmit),
    /// A call of ours, unless it was aborted meanwhile.
    Call(u32),
    /// The OPEN of a stream, whose channel may be attached once this is sent.
    Open(u32, Shape, Transmit),
}

impl Queued {
    /// Its cost while it waits.
    fn cost(&self) -> usize {
        match self {
            Self::Ready(message) | Self::Message(message) | Self::Open(_, _, message) => {
                message.len().saturating_add(CHUNK_OVERHEAD)
            }
            // Counted with the call.
            Self::Call(_) => CHUNK_OVERHEAD,
        }
    }
}

impl Hash for Queued {
    fn hash<H: Hasher>(&self, state: &mut H) {
        core::mem::discriminant(self).hash(state);
        match self {
            Self::Ready(message) | Self::Message(message) | Self::Open(_, _, message) => {
                (message.head(), message.payload()).hash(state);
            }
            Self::Call(call) => call.hash(state),
        }
    }
}

/// One side of a control channel, its calls and its streams.
///
/// Its `Hash` covers all that its future depends on but the configuration: a program that explores states tells them
/// apart by it.
#[derive(Clone, Debug)]
pub struct Link {
    config: Config,
    life: Life,
    now: Instant,
    queue: VecDeque<Queued>,
    /// The cost of `queue`.
    queued: usize,
    actions: VecDeque<Action>,
    outgoing: Slab<Outgoing>,
    incoming: Slab<Incoming>,
    streams: Slab<Stream>,
    /// Streams whose cores have actions, and channels with something to send: each at most once.
    busy: VecDeque<u32>,
    sending: VecDeque<u32>,
    /// The deadlines of streams that have one.
    timers: BTreeSet<(Instant, u32)>,
    /// When the answers to our ABORTs are due.
    answers: BTreeSet<(Instant, u32)>,
    /// Until when something has to leave, while as much waits as may.
    stuck: Option<Instant>,
    /// Calls made, and the highest numbers of streams of each side.
    calls: u32,
    our_streams: u32,
    their_streams: u32,
    /// Messages that may still come for streams that are over here (RPC-21).
    late: u64,
    ignored: Bucket,
    resets: Bucket,
    failures: Bucket,
}

impl Hash for Link {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { config: _, life, now, queue, queued, actions, outgoing, incoming, streams, .. } = self;
        (life, now, queue, queued, actions).hash(state);
        (outgoing, incoming, streams).hash(state);
        (&self.busy, &self.sending, &self.timers).hash(state);
        (&self.answers, self.stuck).hash(state);
        (self.calls, self.our_streams, self.their_streams).hash(state);
        (self.late, self.ignored, self.resets, self.failures).hash(state);
    }
}

impl Link {
    /// A link on a new control channel. READY is waiting to be sent.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which nothing could ever move.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let mut this = Self {
            life: Life::Waiting { deadline: now.checked_add(config.ready_timeout) },
            now,
            queue: VecDeque::new(),
            queued: 0,
            actions: VecDeque::new(),
            outgoing: Slab::new(),
            incoming: Slab::new(),
            streams: Slab::new(),
            busy: VecDeque::new(),
            sending: VecDeque::new(),
            timers: BTreeSet::new(),
            answers: BTreeSet::new(),
            stuck: None,
            calls: 0,
            our_streams: 0,
            their_streams: 0,
            late: 0,
            ignored: Bucket::new(config.ignored, now),
            resets: Bucket::new(config.resets, now),
            failures: Bucket::new(config.failures, now),
            config,
        };
        this.enqueue_ready();
        Ok(this)
    }

    /// One whole message of the control channel.
    ///
    /// # Errors
    /// What ended the link, now or before. An error of a call or a stream is an action and no error of this verb.
    pub fn handle_message(&mut self, now: Instant, message: Bytes) -> Result<(), Error> {
        self.tell(now);
        match &self.life {
            Life::Waiting { .. } | Life::Ready { .. } => {}
            Life::Closing { end } | Life::Over { end } => return end.clone(),
        }
        self.dispatch(&message).map_err(|error| self.fail(error))
    }

    /// The control channel has closed: every stream and call gets its end, then the link.
    ///
    /// # Errors
    /// [`Error::Closed`] when calls were pending or the peer was never ready, and what ended the link before.
    pub fn handle_closed(&mut self, now: Instant) -> Result<(), Error> {
        self.tell(now);
        let end = match &self.life {
            Life::Waiting { .. } => Err(Error::Closed),
            Life::Ready { .. } if self.is_pending() => Err(Error::Closed),
            Life::Ready { .. } => Ok(()),
            Life::Closing { end } | Life::Over { end } => return end.clone(),
        };
        self.begin_closing(end.clone());
        end
    }

    /// The time of [`Self::poll_timeout`] has come. Too early tells the link the time and nothing else. At most 64
    /// streams and 64 aborted calls are looked at; the deadline stays in the past while there are more.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tell(now);
        match self.life {
            Life::Waiting { deadline: Some(deadline) } if deadline <= self.now => {
                self.fail(Error::ReadyTimeout);
            }
            Life::Waiting { .. } | Life::Ready { .. } | Life::Closing { .. } | Life::Over { .. } => {}
        }
        self.check_owed();
        self.fire_timers();
    }

    /// The next message for the control channel. Call it only while the channel has room.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let message = self.next_message();
        self.watch_queue(message.is_some());
        message
    }

    fn next_message(&mut self) -> Option<Transmit> {
        let is_waiting = matches!(self.life, Life::Waiting { .. });
        loop {
            // A peer that has not said READY may not have heard ours, and takes nothing else before it (RPC-10).
            if is_waiting && !self.is_ready_queued() {
                return None;
            }
            let next = self.queue.pop_front()?;
            self.queued = self.queued.saturating_sub(next.cost());
            match next {
                Queued::Ready(message) | Queued::Message(message) => return Some(message),
                Queued::Call(call) => {
                    if let Some(message) = self.send_call(call) {
                        return Some(message);
                    }
                }
                Queued::Open(stream, shape, message) => {
                    if self.opening_sent(stream, shape) {
                        return Some(message);
                    }
                }
            }
        }
    }

    /// What happened, or what the driver must do.
    pub fn poll_action(&mut self) -> Option<Action> {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return Some(action);
            }
            if let Some(action) = self.poll_streams() {
                return Some(action);
            }
            if self.actions.is_empty() && !self.close_next() {
                return None;
            }
        }
    }

    /// When to call [`Self::handle_timeout`]; `None` is never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let ready = match self.life {
            Life::Waiting { deadline } => deadline,
            Life::Ready { .. } | Life::Closing { .. } | Life::Over { .. } => None,
        };
        let first = earliest(ready, self.timers.first().map(|(deadline, _)| *deadline));
        earliest(first, self.owed())
    }

    /// Whether to read on in the control channel. `false`: our own messages wait up to the cap, or the link is over.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        match self.life {
            // What waits goes out when the peer's READY has come.
            Life::Waiting { .. } => true,
            Life::Ready { .. } => self.queued < self.config.control_bytes,
            Life::Closing { .. } | Life::Over { .. } => false,
        }
    }

    /// Whether the link is over. What is left in `poll_action` is still to be taken.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.life, Life::Closing { .. } | Life::Over { .. })
    }

    /// What the peer can do, once it is ready.
    #[must_use]
    pub const fn capabilities(&self) -> Option<&Capabilities> {
        match &self.life {
            Life::Ready { capabilities } => Some(capabilities),
            Life::Waiting { .. } | Life::Closing { .. } | Life::Over { .. } => None,
        }
    }

    const fn is_open(&self) -> bool {
        matches!(self.life, Life::Waiting { .. } | Life::Ready { .. })
    }

    pub(in crate::rpc) fn tell(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn enqueue(&mut self, item: Queued) {
        self.queued = self.queued.saturating_add(item.cost());
        self.queue.push_back(item);
        self.watch_queue(false);
    }

    /// READY goes before all that may wait.
    fn enqueue_ready(&mut self) {
        let capabilities = self.config.capabilities.encode();
        let ready = Queued::Ready(Message::Ready { version: VERSION, capabilities }.encode());
        self.queued = self.queued.saturating_add(ready.cost());
        self.queue.push_front(ready);
    }

    fn is_ready_queued(&self) -> bool {
        matches!(self.queue.front(), Some(Queued::Ready(_)))
    }

    /// Whether both sides have said this capability.
    fn both(&self, token: &[u8]) -> bool {
        self.config.capabilities.contains(token)
            && self.capabilities().is_some_and(|peer| peer.contains(token))
    }

    fn dispatch(&mut self, message: &Bytes) -> Result<(), Error> {
        let limit = self.config.max_message;
        if message.len() > limit {
            return Err(Error::TooLong { length: message.len(), limit });
        }
        let message = control::decode_bytes(message)?;
        let kind = match &message {
            Message::Ready { .. } => FrameType::Ready,
            Message::Call { .. } => FrameType::Call,
            Message::Result { .. } => FrameType::Result,
            Message::Abort { .. } => FrameType::Abort,
            Message::Open { .. } => FrameType::Open,
        };
        match (&self.life, message) {
            (_, Message::Ready { version, capabilities }) => self.on_ready(version, &capabilities),
            (Life::Ready { .. }, Message::Call { call, batch, method, arguments }) => {
                self.on_call(call, batch, method, arguments)
            }
            (Life::Ready { .. }, Message::Result { call, result }) => self.on_result(call, result),
            (Life::Ready { .. }, Message::Abort { call }) => self.on_abort(call),
            (Life::Ready { .. }, Message::Open { call, stream, shape }) => self.on_open(call, stream, shape),
            (Life::Waiting { .. } | Life::Closing { .. } | Life::Over { .. }, _) => {
                Err(Error::BeforeReady { kind })
            }
        }
    }

    /// READY: the first makes the link ready; the others change nothing and are counted (RPC-9).
    fn on_ready(&mut self, version: u32, payload: &Bytes) -> Result<(), Error> {
        match self.life {
            Life::Waiting { .. } => {}
            Life::Ready { .. } | Life::Closing { .. } | Life::Over { .. } => return self.ignore(),
        }
        if version == 0 {
            return Err(Error::Version { version });
        }
        let capabilities = Capabilities::parse(payload)?;
        self.actions
            .push_back(Action::Ready { version: version.min(VERSION), capabilities: capabilities.clone() });
        // Ours may have been lost if it left before the peer listened. One that is still here will be heard.
        self.life = Life::Ready { capabilities };
        if !self.is_ready_queued() {
            self.enqueue_ready();
        }
        self.queue_waiting_calls();
        self.watch_queue(false);
        Ok(())
    }

    /// Something without effect (T5).
    fn ignore(&mut self) -> Result<(), Error> {
        let limit = self.config.ignored.burst;
        if self.ignored.take(self.now) { Ok(()) } else { Err(Error::TooManyIgnored { limit }) }
    }

    /// The peer gave something up (T7).
    fn count_reset(&mut self) -> Result<(), Error> {
        let limit = self.config.resets.burst;
        if self.resets.take(self.now) { Ok(()) } else { Err(Error::TooManyResets { limit }) }
    }

    /// The peer made something fail (T8).
    fn count_failure(&mut self) -> Result<(), Error> {
        let limit = self.config.failures.burst;
        if self.failures.take(self.now) { Ok(()) } else { Err(Error::TooManyFailures { limit }) }
    }

    fn fail(&mut self, error: Error) -> Error {
        self.begin_closing(Err(error.clone()));
        error
    }
}
