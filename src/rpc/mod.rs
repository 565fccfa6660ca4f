//! The control channel, its calls and their streams; and a mux for those who have one byte pipe only.

mod batch;
mod bucket;
mod capabilities;
mod config;
pub mod control;
mod error;
mod link;
pub mod mux;
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
