//! The session: a link whose channels are those of a mux, as one machine on one byte pipe.
//!
//! ```text
//!  application   call, respond, open_stream, write, consume …  ◄─► actions
//!              ┌──────────────────── Session ────────────────────┐
//!              │ Link: calls, streams │ channel by channel │ Mux │
//!              └─────────────────────────────────────────────────┘
//!  transport     handle_bytes ─►                        ◄─ poll_transmit      TCP, a pipe, a serial line
//!
//! session:  OPEN ── handle_closed, an error of the pipe or of the control channel ─► every stream and every call has its
//!           end ─► Finished or Failed
//! ```
//!
//! | input | what happens |
//! |---|---|
//! | `handle_bytes` | messages for the link, one at a time and only as `poll_action` asks for them |
//! | `poll_transmit` | control messages first, then the streams in fair turns |
//! | a stream's OPEN leaves or comes | its channel of the mux is opened and attached; `StreamOpened` |
//! | a stream is over | its channel is closed once what waits has left |
//!
//! This is the way to have calls with streams over one pipe. Programs whose transport has channels of its own (data
//! channels, QUIC streams) use a [`Link`] alone and attach those.
//!
//! Limits: [`Config`], which is that of the link and that of the mux. Rules: `spec/11-mux.md`, MUX-13 and after.
//!
//! ```
//! use bytes::Bytes;
//! use portline::Instant;
//! use portline::rpc::session::{Action, Config, Session};
//! use portline::rpc::{Fallback, Role};
//!
//! let now = Instant::ZERO;
//! let mut client = Session::new(Config::new(Role::Initiator), now)?;
//! let mut server = Session::new(Config::new(Role::Acceptor), now)?;
//! client.call(now, Bytes::from_static(b"double"), Bytes::from_static(b"21"), Fallback::None)?;
//! let mut value = Bytes::new();
//! while value.is_empty() {
//!     // The transport: bytes in any split.
//!     while let Some(bytes) = client.poll_transmit() {
//!         server.handle_bytes(now, bytes.into_bytes())?;
//!     }
//!     while let Some(bytes) = server.poll_transmit() {
//!         client.handle_bytes(now, bytes.into_bytes())?;
//!     }
//!     while let Some(action) = server.poll_action() {
//!         if let Action::Called { call, .. } = action {
//!             server.respond(now, call, Ok(Bytes::from_static(b"42")))?;
//!         }
//!     }
//!     while let Some(action) = client.poll_action() {
//!         if let Action::Returned { result, .. } = action {
//!             value = result?.value;
//!         }
//!     }
//! }
//! assert_eq!(value, "42");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod config;
mod verbs;

use bytes::Bytes;

pub use config::{Config, ConfigError, Error};

use super::mux::{self, CONTROL, Mux};
use super::{Answer, CallError, Capabilities, Link, link};
use crate::Transmit;
use crate::stream::{self, Shape};
use crate::time::Instant;

/// What happened. As [`link::Action`](super::Action), without what concerns channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The peer is ready. Calls made before go out now.
    Ready {
        /// The version that both speak.
        version: u32,
        /// What the peer can do.
        capabilities: Capabilities,
    },
    /// The peer calls a method. Answer with `open_stream` and `respond`.
    Called {
        /// The call, among the peer's.
        call: u32,
        /// The method.
        method: Bytes,
        /// Its arguments.
        arguments: Bytes,
    },
    /// The peer no longer wants its call, or is gone. It needs no answer any more. Terminal for the call.
    Aborted {
        /// The call, among the peer's.
        call: u32,
    },
    /// A call of ours is over. Terminal for the call.
    Returned {
        /// The call.
        call: u32,
        /// What it gave.
        result: Result<Answer, CallError>,
    },
    /// A call of ours, whose stream failed, is made again as a batch. Terminal for the call.
    Retried {
        /// The call.
        call: u32,
        /// The number of the batch.
        again: u32,
    },
    /// A stream is open. One that fails before has only its `StreamFailed`.
    StreamOpened {
        /// The stream.
        stream: u32,
        /// Its call: the peer's if this side opened the stream, otherwise ours.
        call: u32,
        /// What both sides agree on, seen from here.
        shape: Shape,
    },
    /// Data of the peer's. Answer with `consume`: only that grants new credit.
    Data {
        /// The stream.
        stream: u32,
        /// The data.
        data: Bytes,
    },
    /// The peer's direction of the stream is done.
    PeerDone {
        /// The stream.
        stream: u32,
    },
    /// There is room again after `write` was refused.
    Writable {
        /// The stream.
        stream: u32,
    },
    /// The stream is over and all went well. Terminal for the stream.
    StreamFinished {
        /// The stream.
        stream: u32,
    },
    /// The stream failed. Terminal for the stream.
    StreamFailed {
        /// The stream.
        stream: u32,
        /// Why.
        error: stream::Error,
    },
    /// The pipe closed and nothing was pending. Terminal.
    Finished,
    /// The session failed. Terminal.
    Failed(Error),
}

/// How the session stands.
#[derive(Clone, Debug)]
enum Life {
    Open,
    /// The mux has failed: the link only hears that its channels are closed.
    Broken(mux::Error),
    Over(Result<(), Error>),
}

/// One side of calls and streams over one byte pipe.
#[derive(Clone, Debug)]
pub struct Session {
    link: Link,
    mux: Mux,
    life: Life,
    now: Instant,
}

impl Session {
    /// A session on a new pipe. READY is waiting to be sent.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which something could not move.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let link = Link::new(config.link, now).map_err(ConfigError::Link)?;
        let mux = Mux::new(config.mux, now).map_err(ConfigError::Mux)?;
        Ok(Self { link, mux, life: Life::Open, now })
    }

    /// Takes the next bytes of the pipe, in any split. They are read as [`Self::poll_action`] asks for them.
    ///
    /// # Errors
    /// The error that ended the session, if one has.
    pub fn handle_bytes(&mut self, now: Instant, bytes: Bytes) -> Result<(), Error> {
        self.tell(now);
        if let Life::Over(end) = &self.life {
            return end.clone();
        }
        // What ended the mux is told by the last action.
        self.mux.handle_bytes(self.now, bytes).unwrap_or_default();
        Ok(())
    }

    /// The pipe has ended. What had arrived is delivered, then every stream and every call gets its end.
    ///
    /// # Errors
    /// The error that ended the session, if one has. Calls that were pending show as [`Action::Failed`].
    pub fn handle_closed(&mut self, now: Instant) -> Result<(), Error> {
        self.tell(now);
        if let Life::Over(end) = &self.life {
            return end.clone();
        }
        self.mux.handle_closed(self.now).unwrap_or_default();
        Ok(())
    }

    /// The time of [`Self::poll_timeout`] has come. Too early tells the session the time and nothing else.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tell(now);
        self.link.handle_timeout(self.now);
    }

    /// The next bytes for the pipe. Call it only while the pipe has room: that is the backpressure.
    ///
    /// A stream's OPEN that leaves is followed by an action, and the stream's own messages after that: a driver goes
    /// on until both have nothing.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.pump(CONTROL);
        while let Some(channel) = self.mux.poll_room().or_else(|| self.link.poll_channel()) {
            self.pump(channel);
        }
        self.mux.poll_transmit()
    }

    /// What happened. Reads on in the input where it has to.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.poll_action_traced(|_, _| {})
    }

    /// As [`Self::poll_action`], and shows the channel and each message of the peer's just before it takes effect. The
    /// messages of this side are what [`Self::poll_transmit`] gives, behind their length and channel.
    pub fn poll_action_traced(&mut self, mut seen: impl FnMut(u32, &Bytes)) -> Option<Action> {
        loop {
            match self.link.poll_action() {
                Some(action) => {
                    let told = self.on_link(action);
                    if told.is_some() {
                        return told;
                    }
                }
                None => {
                    if self.is_congested() {
                        return None;
                    }
                    let action = self.mux.poll_action()?;
                    if let mux::Action::Message { channel, message } = &action {
                        seen(*channel, message);
                    }
                    self.on_mux(action);
                }
            }
        }
    }

    /// When to call [`Self::handle_timeout`]; `None` is never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.link.poll_timeout()
    }

    /// Whether to read on. `false`: input or our own control messages wait up to their cap, or the session is over.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.mux.wants_input() && self.link.wants_input()
    }

    /// Whether the session is over. What is left in `poll_action` is still to be taken.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.link.has_ended()
    }

    fn tell(&mut self, now: Instant) {
        self.now = self.now.max(now);
        // Input is read later, but what leaves before that leaves now.
        self.link.tell(self.now);
    }

    /// Whether our own control messages have to leave before more is read (RPC-23). A pipe that is closed takes none.
    fn is_congested(&self) -> bool {
        !self.link.has_ended() && !self.link.wants_input() && self.mux.is_open()
    }

    /// What waits in the link for a channel goes to the mux, as far as that has room.
    fn pump(&mut self, channel: u32) {
        let link = &mut self.link;
        let sent = if channel == CONTROL {
            self.mux.send_from(channel, || link.poll_transmit())
        } else {
            self.mux.send_from(channel, || link.poll_channel_transmit(channel))
        };
        // Refused is only what no longer matters: the mux is over, or the channel closed. `Config` sees to the lengths.
        sent.unwrap_or_default();
    }

    fn on_mux(&mut self, action: mux::Action) {
        let now = self.now;
        // What is wrong with a message ends the link, or a stream, and that is an action.
        match action {
            mux::Action::Message { channel: CONTROL, message } => {
                self.link.handle_message(now, message).unwrap_or_default();
            }
            mux::Action::Message { channel, message } => {
                self.link.handle_channel_message(now, channel, message).unwrap_or_default();
            }
            // OPEN comes before its stream's first message and opens the channel: this is the rest of a stream that was
            // aborted here meanwhile, or nothing at all. What comes on it is counted and ignored.
            mux::Action::Opened { channel } => {
                self.mux.expect_late(self.link.take_late());
                self.mux.close(channel);
            }
            mux::Action::Writable { channel } => self.pump(channel),
            mux::Action::Closed { channel } => self.link.channel_closed(now, channel),
            mux::Action::Finished => self.link.handle_closed(now).unwrap_or_default(),
            mux::Action::Failed(error) => {
                match self.life {
                    Life::Open => self.life = Life::Broken(error),
                    Life::Broken(_) | Life::Over(_) => {}
                }
                self.link.handle_closed(now).unwrap_or_default();
            }
        }
    }

    /// An action of the link; `None` for one that is the session's own affair.
    fn on_link(&mut self, action: link::Action) -> Option<Action> {
        Some(match action {
            link::Action::OpenChannel { channel, .. } => {
                match self.mux.open_as(channel) {
                    Ok(()) => self.link.channel_attached(self.now, channel),
                    Err(_) => self.link.channel_failed(self.now, channel),
                }
                return None;
            }
            link::Action::CloseChannel { channel, late } => {
                self.link.hand_over(late);
                self.mux.expect_late(late);
                self.mux.close(channel);
                return None;
            }
            link::Action::Ready { version, capabilities } => Action::Ready { version, capabilities },
            link::Action::Called { call, method, arguments } => Action::Called { call, method, arguments },
            link::Action::Aborted { call } => Action::Aborted { call },
            link::Action::Returned { call, result } => Action::Returned { call, result },
            link::Action::Retried { call, again } => Action::Retried { call, again },
            link::Action::StreamOpened { stream, call, shape } => {
                Action::StreamOpened { stream, call, shape }
            }
            link::Action::Data { stream, data } => Action::Data { stream, data },
            link::Action::PeerDone { stream } => Action::PeerDone { stream },
            link::Action::Writable { stream } => Action::Writable { stream },
            link::Action::StreamFinished { stream } => Action::StreamFinished { stream },
            link::Action::StreamFailed { stream, error } => Action::StreamFailed { stream, error },
            link::Action::Finished => self.end(Ok(())),
            link::Action::Failed(error) => self.end(Err(error.into())),
        })
    }

    /// The terminal action: the mux's error where it was what closed the link.
    fn end(&mut self, end: Result<(), Error>) -> Action {
        let end = match &self.life {
            Life::Broken(error) => Err(error.clone().into()),
            Life::Open | Life::Over(_) => end,
        };
        self.life = Life::Over(end.clone());
        end.map_or_else(Action::Failed, |()| Action::Finished)
    }
}
