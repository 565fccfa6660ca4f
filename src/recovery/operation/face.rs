//! What an operation is set up with, what it asks, and what it comes to.

use alloc::vec::Vec;
use core::time::Duration;

use crate::recovery::backoff::{self, Exhausted};
use crate::recovery::monitor::{self, Disconnect};
use crate::time::Instant;

/// Whether a failure is worth another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It may go away by itself.
    Yes,
    /// It will not.
    No,
}

/// How long things may take, and what is done when they fail.
#[derive(Clone, Debug)]
pub struct Config<E> {
    /// Attempts, delays, and the deadline for all of it.
    pub backoff: backoff::Config,
    /// Connecting and heartbeats.
    pub monitor: monitor::Config,
    /// From the connection to its end, or until payload moves. Default 60 seconds.
    pub operation_timeout: Option<Duration>,
    /// From the first payload of an attempt to its end. Default 300 seconds.
    pub transfer_timeout: Option<Duration>,
    /// Silence while connected, in both directions. Default 30 seconds.
    pub idle_timeout: Option<Duration>,
    /// Which failures are worth another attempt. Default [`Cause::is_transient`].
    pub retry: fn(&Cause<E>) -> Retry,
    /// Ask before each retry ([`Action::AskRetry`]), for a [`Budget`](crate::recovery::Budget) that several operations
    /// share. Default `false`.
    pub ask_retry: bool,
}

impl<E> Default for Config<E> {
    fn default() -> Self {
        Self {
            backoff: backoff::Config::default(),
            monitor: monitor::Config::default(),
            operation_timeout: Some(Duration::from_secs(60)),
            transfer_timeout: Some(Duration::from_secs(300)),
            idle_timeout: Some(Duration::from_secs(30)),
            retry: |cause| if cause.is_transient() { Retry::Yes } else { Retry::No },
            ask_retry: false,
        }
    }
}

impl<E> Config<E> {
    /// How long a phase may take.
    pub(super) const fn timeout(&self, phase: Phase) -> Option<Duration> {
        match phase {
            Phase::Connect => self.monitor.connect_timeout,
            Phase::Operation => self.operation_timeout,
            Phase::Transfer => self.transfer_timeout,
            Phase::Idle => self.idle_timeout,
            Phase::Overall => self.backoff.deadline,
        }
    }
}

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Connecting.
    Connect,
    /// The attempt, before any payload moved.
    Operation,
    /// The attempt, since payload moved.
    Transfer,
    /// The peer's silence.
    Idle,
    /// All attempts and delays together.
    Overall,
}

impl core::fmt::Display for Phase {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Operation => "the operation",
            Self::Transfer => "the transfer",
            Self::Idle => "the peer's silence",
            Self::Overall => "the whole operation with its retries",
        })
    }
}

/// Why an attempt ended. `E` is the session's error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause<E> {
    /// The peer is gone.
    #[error("{why}")]
    Disconnected {
        /// When that was noticed.
        at: Instant,
        /// How.
        why: Disconnect,
    },
    /// There was no connection.
    #[error("could not connect: {error}")]
    Connect {
        /// Why.
        error: E,
    },
    /// Something took too long.
    #[error("{phase} took longer than {after:?}")]
    TimedOut {
        /// What.
        phase: Phase,
        /// How long it was given.
        after: Duration,
    },
    /// The transfer cannot be completed.
    #[error("the transfer was aborted after {moved} bytes: {error}")]
    Aborted {
        /// Bytes that had moved.
        moved: u64,
        /// Bytes that were expected, where that was known.
        expected: Option<u64>,
        /// Why.
        error: E,
    },
    /// The session has failed.
    #[error("{error}")]
    Session {
        /// Its error.
        error: E,
    },
    /// The user gave up.
    #[error("cancelled")]
    Cancelled,
}

impl<E> Cause<E> {
    /// Whether it may go away by itself: a disconnect, a refused connection, a timeout. Not what was aborted, nor what
    /// the session calls an error: the same request would meet the same answer (RECOVERY-17).
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Disconnected { .. } | Self::Connect { .. } | Self::TimedOut { .. } => true,
            Self::Aborted { .. } | Self::Session { .. } | Self::Cancelled => false,
        }
    }
}

/// One attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt<E> {
    /// When it began to connect.
    pub began: Instant,
    /// When it was over.
    pub ended: Instant,
    /// Bytes that moved in it.
    pub moved: u64,
    /// Why it ended.
    pub cause: Cause<E>,
}

/// What the driver must do, or what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<E> {
    /// Make a new connection and a new session. Answer: `connected` or `connect_failed`.
    Connect {
        /// Which attempt this is, from 1.
        attempt: u32,
    },
    /// Drop the connection, or stop connecting, and drop the session.
    Disconnect,
    /// Send something that the peer answers.
    Heartbeat,
    /// May it be tried again? Answer: `may_retry`.
    AskRetry,
    /// Nothing to do until then but to call `handle_timeout`: for the user to see.
    Wait {
        /// When the next attempt begins.
        until: Instant,
    },
    /// Done. Terminal.
    Finished(Outcome<E>),
    /// Given up. Terminal.
    Failed(Failure<E>),
}

/// A good end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<E> {
    /// The attempts that failed before the one that did not.
    pub failed: Vec<Attempt<E>>,
    /// Bytes that moved, as the transfer counts them.
    pub moved: u64,
    /// Time spent connected, in all attempts, each to its end.
    pub elapsed: Duration,
}

/// A bad end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure<E> {
    /// Why there is no further attempt.
    pub why: GaveUp,
    /// Every attempt with its reason; empty when it was given up before one had failed.
    pub attempts: Vec<Attempt<E>>,
    /// Bytes that moved, as the transfer counts them.
    pub moved: u64,
}

/// Why an operation is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GaveUp {
    /// The failure will not go away by itself.
    #[error("the failure will not go away by itself")]
    NotTransient,
    /// A repetition could do the thing twice.
    #[error("what was begun may have been done, and is not repeated")]
    NotRepeatable,
    /// No attempt or no time is left.
    #[error(transparent)]
    Exhausted(Exhausted),
    /// The driver said no: its budget for retries is spent.
    #[error("the budget for retries is spent")]
    Budget,
    /// The user gave up.
    #[error("cancelled")]
    Cancelled,
}

/// A verb that came at the wrong time; it changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// Nothing was asked that it answers.
    #[error("`{verb}` has no meaning now")]
    NotNow {
        /// The verb.
        verb: &'static str,
    },
    /// The operation is over.
    #[error("`{verb}` after the end of the operation")]
    Ended {
        /// The verb.
        verb: &'static str,
    },
}
