//! The stream with credit: data flows while the receiver has room, in one direction or in both.
//!
//! A stream has a channel of its own. Its window (the high-water mark, 16 items by default) is the credit that the
//! sender starts with; a block costs its size, and the receiver grants back what its application has consumed: first
//! when the sender has less than half of the window left, then by 32nds, so that a window fills any link whose
//! bandwidth-delay product it covers.
//!
//! ```text
//! IDLE ──open──► OPENING ──attach──► ACTIVE ──END, ERROR, CANCEL──► CLOSING ──told, delivered──► CLOSED
//!                                     │  ▲
//!                                     └──┘ DATA, LAST, CREDIT
//! ```
//!
//! | input | what happens |
//! |---|---|
//! | DATA, LAST | `Data`, and `PeerDone` after the last; `consume` frees its size, CREDIT grants it back |
//! | CREDIT | blocks that wait are sent |
//! | END | `Finished`, after what is queued |
//! | ERROR, CANCEL, and the END behind it | `Failed`, after what is queued |
//! | `fail`, `cancel`, the peer's fault | ERROR or CANCEL, and END; `Failed` |
//! | closed | `Failed(Closed)`, after what is queued |
//! | timeout | `Failed(OpenTimeout)` or `Failed(Stalled)` |
//!
//! [`Endpoint`] is the machine; [`Core`] is the same without limits and clock, small enough to have a million.
//! [`lifecycle`] is the table that both follow, [`window`] the arithmetic of credit.
//!
//! Limits: [`Limits`] names them all. Each call costs constant work. Rules: `spec/09-stream.md`.

mod action;
mod config;
mod core;
mod endpoint;
mod error;
pub mod lifecycle;
mod receive;
mod send;
mod size;
mod stopwatch;
mod store;
pub mod window;

pub use self::core::Core;
pub use action::Action;
pub use config::{
    CHUNK, CREDIT_PARTS, Config, ConfigError, Direction, IDLE_FRAMES, Limits, Role, Shape, WINDOW,
};
pub use endpoint::Endpoint;
pub use error::{Error, WriteError};
pub use lifecycle::State;
pub use size::{SizeOf, Sizing};
