//! The acknowledged port stream: blocks over a message port, each answered before the window moves on.
//!
//! One side sends DATA blocks numbered from 0, the other answers each with ACK once its consumer has taken it; END
//! with the number of blocks closes the stream, ERROR fails it. At most a *window* of blocks is unanswered: that is
//! the backpressure. Acknowledgements travel against the data, so one port carries a stream in each direction.
//!
//! ```text
//! Sender    Writing ──finish──► Finishing ──all acknowledged──► END, Finished
//!              └────────┬───────────┘ refused, timed out, fail, peer's fault ─► ERROR, Failed
//!           after the end: begin ─► Draining (late ACKs of the failed stream) ─► Writing
//!
//! Receiver  Open ──END──► blocks delivered, End ──► Complete (sequence: Open again)
//!             │ ──ERROR──► blocks delivered, Failed ──► Complete (sequence: Open again)
//!             └─ cancel, gap, repeat, block too large ─► Refusing: every DATA is answered ACK 00
//! ```
//!
//! | input | [`Sender`] | [`Receiver`] |
//! |---|---|---|
//! | DATA | not for it | queued, or ACK 00 when the stream is over |
//! | ACK 01 / anything else | window moves / `Failed(Refused)` | not for it |
//! | END, ERROR | not for it | end of the stream, after what is queued |
//! | closed | `Failed(Closed)` unless complete | the same, after what is queued |
//! | timeout | `Failed(AckTimeout)` | – |
//!
//! [`Duplex`] is one of each on one port. A byte pipe needs [`crate::frame::carrier`] in front.
//!
//! Limits: [`Config`] names them all. Each input costs constant work, except that `cancel` answers at once what is
//! queued. Rules: `spec/02-port.md`.

mod chunker;
mod config;
pub mod duplex;
mod error;
pub mod receiver;
pub mod sender;

pub use config::{Config, ConfigError, EMPTY_BLOCKS, Unknown};
pub use duplex::Duplex;
pub use error::{Error, WriteError};
pub use receiver::Receiver;
pub use sender::Sender;
