//! Recovery: what a program needs to live with peers that vanish, stall and come back.
//!
//! ```text
//!   timer       Idle: silence that lasts too long; Deadline: an end that does not move
//!   backoff     when the next attempt may begin: delays that grow, jitter from a seed, an overall deadline
//!   budget      how many retries a whole program allows itself
//!   monitor     connecting → connected → disconnected | failed, told once; heartbeats
//!   transfer    what was to move, what has moved, what is complete; percent, rate, time left; to be stored
//!   operation   all of it around one session: connect, run, tell why it broke, wait, connect again
//!   shares      one job among several peers: who fails or is slow gives its share back
//! ```
//!
//! Each is a machine of its own with the crate's face, as far as it has use for it: time comes in with every call, a
//! deadline comes out of `poll_timeout`. They know nothing of Git or of ports; any session can be put inside an
//! [`Operation`].
//!
//! ```
//! use portline::Instant;
//! use portline::recovery::{Action, Config, Direction, Operation, Transfer};
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! // The session's error is `&str` here. The clock is the driver's, and so is the waiting.
//! let transfer = Transfer::new(1, Direction::Fetch, Vec::new())?;
//! let mut now = Instant::ZERO;
//! let mut operation = Operation::new(Config::<&str>::default(), transfer, now)?;
//! let outcome = loop {
//!     match operation.poll_action() {
//!         Some(Action::Connect { attempt: 1 }) => operation.connect_failed(now, "refused")?,
//!         Some(Action::Connect { .. }) => {
//!             operation.connected(now)?;
//!             operation.moved(now, 4096); // the session runs, and tells what moves
//!             operation.succeeded(now)?;
//!         }
//!         Some(Action::Wait { until }) => {
//!             now = until; // sleep
//!             operation.handle_timeout(now);
//!         }
//!         Some(Action::Finished(outcome)) => break outcome,
//!         Some(Action::Failed(failure)) => return Err(failure.why.into()),
//!         Some(Action::Disconnect | Action::Heartbeat | Action::AskRetry) | None => {}
//!     }
//! };
//! assert_eq!((outcome.failed.len(), outcome.moved), (1, 4096));
//! # Ok(())
//! # }
//! ```
//!
//! Rules: `spec/18-recovery.md`.

mod backoff;
mod budget;
mod monitor;
mod operation;
mod shares;
mod timer;
mod transfer;

pub use backoff::{Backoff, Config as BackoffConfig, ConfigError, Exhausted, Jitter};
pub use budget::{Budget, Config as BudgetConfig};
pub use monitor::{Action as MonitorAction, Config as MonitorConfig, Disconnect, Monitor, Status};
pub use operation::{
    Action, Attempt, Cause, Config, Failure, GaveUp, Misuse, Operation, Outcome, Phase, Retry,
};
pub use shares::{
    Action as SharesAction, Config as SharesConfig, Misuse as SharesMisuse, Outcome as SharesOutcome, PeerId,
    Shares, Work,
};
pub use timer::{Deadline, Idle};
pub use transfer::{DecodeError, Direction, Item, TooMany, Transfer};
