//! The control channel, its calls and their streams; and a mux for those who have one byte pipe only.
//!
//! ```text
//!  application      call, respond, open_stream, write, consume …     ◄─► actions
//!                ┌───────────────────────── Link ─────────────────────────┐
//!                │ READY  CALL  RESULT  ABORT  OPEN │ a stream::Core each │
//!                └──────────── channel 0 ───────────┴── channels 1, 2, … ─┘
//!  transport        a MessagePort, data channel or QUIC stream for each, or one pipe for all: session::Session
//! ```
//!
//! - [`session`] is both as one machine, and the way to have calls with streams over one byte pipe.
//! - [`Link`] is the machine of calls and streams: messages of the control channel and of the streams' channels in, and
//!   out. Use it by itself where the transport has channels of its own.
//! - [`control`] reads and writes the control channel's messages without any state.
//! - [`mux`] carries channels on one byte pipe; it knows nothing of what they say.
//!
//! Limits: [`Config`], [`mux::Config`] and [`session::Config`]. Rules: `spec/10-control.md`, `spec/11-mux.md`.
//!
//! ```
//! use bytes::Bytes;
//! use portline::Instant;
//! use portline::rpc::{Action, Config, Fallback, Link, Role};
//!
//! let now = Instant::ZERO;
//! let mut client = Link::new(Config::new(Role::Initiator), now)?;
//! let mut server = Link::new(Config::new(Role::Acceptor), now)?;
//! let call = client.call(now, Bytes::from_static(b"double"), Bytes::from_static(b"21"), Fallback::None)?;
//! let mut value = Bytes::new();
//! while value.is_empty() {
//!     // The transport: here, a message at a time in memory.
//!     while let Some(message) = client.poll_transmit() {
//!         server.handle_message(now, message.into_bytes())?;
//!     }
//!     while let Some(message) = server.poll_transmit() {
//!         client.handle_message(now, message.into_bytes())?;
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
//! assert_eq!((call, &value[..]), (1, &b"42"[..]));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod batch;
mod bucket;
mod capabilities;
mod config;
pub mod control;
mod error;
mod link;
pub mod mux;
pub mod session;
mod slab;

pub use bucket::Budget;
pub use capabilities::{BATCH, Capabilities, CapabilitiesError, MAX_TOKEN, MAX_TOKENS, STREAMING};
pub use config::{Config, ConfigError, VERSION};
pub use error::{CallError, Error, Misuse};
pub use link::{Action, Answer, Fallback, Link};

/// Which side this is. The two sides of a link or a mux must differ: it decides whose streams and channels have odd
/// numbers. Who connects is the initiator, as a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Names its streams and channels 1, 3, 5, …
    Initiator,
    /// Names its streams and channels 2, 4, 6, …
    Acceptor,
}

impl Role {
    /// The first number of this side.
    const fn first(self) -> u32 {
        match self {
            Self::Initiator => 1,
            Self::Acceptor => 2,
        }
    }

    /// Whether a number is this side's to give.
    const fn owns(self, number: u32) -> bool {
        number % 2 == self.first() % 2
    }
}
