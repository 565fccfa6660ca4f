//! A two-way sync over connections that break: the whole of it, attempt after attempt, as one machine.
//!
//! ```text
//!   Connect ──► connected ──► the sync runs ──► Finished
//!      ▲           │               │ the connection breaks, the peer falls silent
//!      │           ▼               ▼
//!      └── Wait ◄── Disconnect ◄───┘ ──────────► Failed: no attempt left, or none that would help
//! ```
//!
//! [`Operation`] decides when to connect, when to give up and why; a new
//! [`TwoWaySync`] does the work of each attempt. Repeating a sync is safe: it plans from what both sides have by then,
//! and refs move only from the values that its plan saw (SYNC-51).
//!
//! | input | output |
//! |---|---|
//! | – | [`Action::Connect`] |
//! | `connected` | [`Action::Sync`]: the questions of a new sync; answer them to [`session`](ResilientSync::session) |
//! | messages, `handle_closed`, `handle_timeout` | as [`TwoWaySync`] |
//! | the end of an attempt | [`Action::Disconnect`], then [`Action::Wait`] and [`Action::Connect`], or the end |
//!
//! Limits: those of the sync; attempts are bounded by [`recovery::BackoffConfig`]. Rules: `spec/08-peer.md`, PEER-14 to
//! PEER-19.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::sync::{self, TwoWaySync};
use crate::error::Blame;
use crate::git::{SessionError, fetch, push};
use crate::recovery::{self, Attempt, Cause, Direction, GaveUp, Misuse, Operation, Phase, Retry, Transfer};
use crate::time::{Instant, earliest};
use crate::{Transmit, port};

/// What to sync, and how often to try.
#[derive(Clone, Debug)]
pub struct Config {
    /// The sync. Where its fetch and its push have no idle timeout, they get that of `recovery`, which counts the
    /// peer's silence alone and not the time that the driver takes.
    pub sync: sync::Config,
    /// Times and attempts. There are no heartbeats on a port: `monitor.heartbeat` is passed over.
    pub recovery: recovery::Config<Error>,
}

impl Default for Config {
    fn default() -> Self {
        let retry = |cause: &Cause<Error>| if is_transient(cause) { Retry::Yes } else { Retry::No };
        let recovery = recovery::Config { retry, ..recovery::Config::default() };
        Self { sync: sync::Config::default(), recovery }
    }
}

/// Whether another attempt may help: as [`Cause::is_transient`], and also where the connection is to blame for the
/// error of the sync (PEER-16).
#[must_use]
pub fn is_transient(cause: &Cause<Error>) -> bool {
    match cause {
        Cause::Session { error } => error.blame() == Blame::Transport,
        other => other.is_transient(),
    }
}

/// What ended an attempt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The sync failed.
    #[error(transparent)]
    Sync(#[from] sync::Error),
    /// The driver could not connect.
    #[error("{}", .reason.escape_ascii())]
    Connect {
        /// Its words.
        reason: Bytes,
    },
    /// Refs were refused, and what an attempt that broke had sent may be why: it came late, and moved them (PEER-18).
    #[error("refs were refused after a connection had broken; what was sent on it may have moved them")]
    Overtaken,
    /// The config does not allow a port.
    #[error(transparent)]
    Config(#[from] port::ConfigError),
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Sync(error) => error.blame(),
            Self::Connect { .. } | Self::Overtaken => Blame::Transport,
            Self::Config(_) => Blame::Caller,
        }
    }
}

/// A configuration that cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Of the port.
    #[error(transparent)]
    Port(#[from] port::ConfigError),
    /// Of the delays.
    #[error(transparent)]
    Backoff(#[from] recovery::ConfigError),
}

/// What the driver must do, or what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect to the peer. Answer: [`ResilientSync::connected`] or [`ResilientSync::connect_failed`].
    Connect {
        /// Which attempt this is, from 1.
        attempt: u32,
    },
    /// The attempt is over: drop the connection, if there still is one, and all work for it. What
    /// [`ResilientSync::poll_transmit`] still has may be sent before: it tells the peer why.
    Disconnect,
    /// May it be tried again? Answer: [`ResilientSync::may_retry`]. Only where the config asks for it.
    AskRetry,
    /// The next attempt begins then; until then there is only `handle_timeout` to call.
    Wait {
        /// When.
        until: Instant,
    },
    /// The sync of the present attempt asks. Never its `Finished` or `Failed`.
    Sync(sync::Action),
    /// Both sides were synced. Terminal.
    Finished(Outcome),
    /// Given up. Terminal.
    Failed(Failure),
}

/// A good end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the last attempt did.
    pub sync: sync::Outcome,
    /// The attempts before it.
    pub failed: Vec<Attempt<Error>>,
    /// Bytes of packs, both ways, in all attempts.
    pub moved: u64,
    /// Time spent connected.
    pub elapsed: Duration,
}

/// A bad end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why there is no further attempt.
    pub why: GaveUp,
    /// Every attempt with its reason.
    pub attempts: Vec<Attempt<Error>>,
    /// What the last attempt that came so far had done, whatever ended it; empty where none had made a plan.
    pub done: sync::Outcome,
}

/// See the [module](self).
#[derive(Debug)]
pub struct ResilientSync {
    config: sync::Config,
    operation: Operation<Error>,
    session: Option<TwoWaySync>,
    /// What of its payload the operation knows.
    counted: u64,
    done: sync::Outcome,
    retry: fn(&Cause<Error>) -> Retry,
    actions: VecDeque<Action>,
    now: Instant,
}

impl ResilientSync {
    /// Begins with [`Action::Connect`].
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        let Config { mut sync, mut recovery } = config;
        // Checked once here: the same config makes every session.
        TwoWaySync::new(sync.clone(), now)?;
        let idle = recovery.idle_timeout.take();
        sync.fetch.idle_timeout = sync.fetch.idle_timeout.or(idle);
        sync.push.idle_timeout = sync.push.idle_timeout.or(idle);
        recovery.monitor.heartbeat = None;
        let transfer = Transfer::unplanned(0, Direction::Fetch);
        let retry = recovery.retry;
        let operation = Operation::new(recovery, transfer, now)?;
        let (done, actions) = (sync::Outcome::default(), VecDeque::new());
        Ok(Self { config: sync, operation, session: None, counted: 0, done, retry, actions, now })
    }

    /// Answers [`Action::Connect`].
    ///
    /// # Errors
    /// [`Misuse`]: nothing is being connected.
    pub fn connected(&mut self, now: Instant) -> Result<(), Misuse> {
        self.at(now);
        self.operation.connected(now)?;
        match TwoWaySync::new(self.config.clone(), now) {
            Ok(session) => (self.session, self.counted) = (Some(session), 0),
            // `new` refused such a config already.
            Err(error) => self.operation.failed(now, Error::Config(error))?,
        }
        Ok(())
    }

    /// Answers [`Action::Connect`]: why there is no connection, in the driver's words.
    ///
    /// # Errors
    /// [`Misuse`]: nothing is being connected.
    pub fn connect_failed(&mut self, now: Instant, reason: Bytes) -> Result<(), Misuse> {
        self.at(now);
        self.operation.connect_failed(now, Error::Connect { reason })
    }

    /// Answers [`Action::AskRetry`].
    ///
    /// # Errors
    /// [`Misuse`]: it is not open.
    pub fn may_retry(&mut self, now: Instant, may: bool) -> Result<(), Misuse> {
        self.at(now);
        self.operation.may_retry(now, may)
    }

    /// The sync of the present attempt, to answer its questions; `None` while there is none.
    pub fn session(&mut self) -> Option<&mut TwoWaySync> {
        self.session.as_mut().filter(|session| !session.has_ended())
    }

    /// Takes one whole port message of the present connection.
    pub fn handle_message(&mut self, now: Instant, message: Bytes) {
        self.at(now);
        if let Some(session) = &mut self.session {
            self.operation.activity(now);
            // Its error comes as its terminal action.
            let _ = session.handle_message(now, message);
        }
        self.count();
    }

    /// The present connection has ended.
    pub fn handle_closed(&mut self, now: Instant) {
        self.at(now);
        if let Some(session) = &mut self.session {
            let _ = session.handle_closed(now);
        }
    }

    /// The time of [`Self::poll_timeout`] has come. Too early is a no-op.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.at(now);
        self.operation.handle_timeout(now);
        if let Some(session) = &mut self.session {
            session.handle_timeout(now);
        }
    }

    /// The user gives up. After the end it is a no-op.
    pub fn cancel(&mut self, now: Instant) {
        self.at(now);
        self.operation.cancel(now);
    }

    /// The next port message to send on the present connection.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.count();
        self.session.as_mut()?.poll_transmit()
    }

    /// What happened, or what the driver must do now.
    pub fn poll_action(&mut self) -> Option<Action> {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return Some(action);
            }
            if let Some(action) = self.operation.poll_action() {
                self.on_operation(action);
            } else {
                self.count();
                let action = self.session.as_mut()?.poll_action()?;
                self.count();
                self.on_sync(action);
            }
        }
    }

    /// When to call [`Self::handle_timeout`]; `None` is never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let session = self.session.as_ref().and_then(TwoWaySync::poll_timeout);
        earliest(self.operation.poll_timeout(), session)
    }

    /// Whether to read on.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.session.as_ref().is_some_and(TwoWaySync::wants_input)
    }

    /// Whether the terminal action has been made.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.operation.has_ended()
    }

    /// The attempts that have failed so far; none after the end, which hands them over.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt<Error>] {
        self.operation.attempts()
    }

    /// How much has moved, and how fast.
    #[must_use]
    pub const fn transfer(&self) -> &Transfer {
        self.operation.transfer()
    }

    fn at(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Tells the operation what has moved of packs. Everything else only shows that the peer lives (PEER-19).
    fn count(&mut self) {
        let payload = self.session.as_ref().map_or(0, TwoWaySync::payload);
        let more = payload.saturating_sub(self.counted);
        if more > 0 {
            self.counted = payload;
            self.operation.moved(self.now, more);
        }
    }

    fn on_operation(&mut self, action: recovery::Action<Error>) {
        use recovery::Action as Recovery;
        let told = match action {
            Recovery::Connect { attempt } => {
                self.session = None;
                Action::Connect { attempt }
            }
            Recovery::Disconnect => {
                self.settle();
                Action::Disconnect
            }
            Recovery::AskRetry => Action::AskRetry,
            Recovery::Wait { until } => Action::Wait { until },
            Recovery::Finished(outcome) => Action::Finished(Outcome {
                sync: core::mem::take(&mut self.done),
                failed: outcome.failed,
                moved: outcome.moved,
                elapsed: outcome.elapsed,
            }),
            Recovery::Failed(failure) => Action::Failed(Failure {
                why: failure.why,
                attempts: failure.attempts,
                done: core::mem::take(&mut self.done),
            }),
            // None is configured.
            Recovery::Heartbeat => return,
        };
        self.actions.push_back(told);
    }

    fn on_sync(&mut self, action: sync::Action) {
        let now = self.now;
        // A verb is refused only where the operation has ended at this moment; then its own end is told.
        let _ = match action {
            sync::Action::Finished(outcome) if self.is_overtaken(&outcome) => {
                self.keep(outcome);
                self.operation.failed(now, Error::Overtaken)
            }
            sync::Action::Finished(outcome) => {
                self.done = outcome;
                self.operation.succeeded(now)
            }
            sync::Action::Failed(failure) => {
                self.keep(failure.outcome);
                self.broke(now, failure.error)
            }
            other => {
                self.actions.push_back(Action::Sync(other));
                Ok(())
            }
        };
    }

    /// The attempt is over: what its sync has done is known now or never. One that had ended by itself may have
    /// something left to tell its peer.
    fn settle(&mut self) {
        let Some(session) = &mut self.session else { return };
        if !session.has_ended() {
            let cut = session.cut();
            self.session = None;
            return self.keep(cut);
        }
        while let Some(action) = self.session.as_mut().and_then(TwoWaySync::poll_action) {
            match action {
                sync::Action::Finished(outcome) | sync::Action::Failed(sync::Failure { outcome, .. }) => {
                    self.keep(outcome);
                }
                // Nothing of that attempt is asked any more.
                _ => {}
            }
        }
    }

    /// Whether refs were refused that a push of an attempt before may have moved meanwhile. Each of those that broke can
    /// have left one push behind, so each allows for one repetition.
    fn is_overtaken(&self, outcome: &sync::Outcome) -> bool {
        use sync::{RefFailure, RefResult};
        let attempts = self.operation.attempts();
        let is_repetition =
            |attempt: &&Attempt<Error>| matches!(attempt.cause, Cause::Session { error: Error::Overtaken });
        let was_connected = |attempt: &&Attempt<Error>| {
            let never = matches!(
                attempt.cause,
                Cause::Connect { .. } | Cause::TimedOut { phase: Phase::Connect, .. }
            );
            !never && !is_repetition(attempt)
        };
        let is_refused = |entry: &sync::RefOutcome| match &entry.result {
            RefResult::Failed(
                RefFailure::Refused { .. } | RefFailure::Moved { .. } | RefFailure::Backup { .. },
            ) => true,
            RefResult::Failed(RefFailure::NoDeletes)
            | RefResult::Unchanged
            | RefResult::Excluded
            | RefResult::Conflict
            | RefResult::Pending
            | RefResult::Done { .. } => false,
        };
        outcome.refs.iter().any(is_refused)
            && attempts.iter().filter(was_connected).count() > attempts.iter().filter(is_repetition).count()
            && self.operation.may_try_again(self.now)
            && (self.retry)(&Cause::Session { error: Error::Overtaken }) == Retry::Yes
    }

    /// What was agreed on so far is the base of the next attempt (SYNC-50).
    fn keep(&mut self, outcome: sync::Outcome) {
        if !outcome.refs.is_empty() {
            self.config.base = Some(outcome.base.clone());
            self.done = outcome;
        }
    }

    fn broke(&mut self, now: Instant, error: sync::Error) -> Result<(), Misuse> {
        match error {
            sync::Error::Port(port::Error::Closed) => {
                self.actions.push_back(Action::Disconnect);
                self.operation.disconnected(now);
                Ok(())
            }
            sync::Error::Store { .. } => self.operation.aborted(now, error.into()),
            other => match self.silence(&other) {
                Some(after) => self.operation.timed_out(now, Phase::Idle, after),
                None => self.operation.failed(now, other.into()),
            },
        }
    }

    /// How long the peer was silent, where that is what ended the sync.
    fn silence(&self, error: &sync::Error) -> Option<Duration> {
        match error {
            sync::Error::Port(port::Error::AckTimeout { .. } | port::Error::EndTimeout) => {
                Some(self.config.peer.port.ack_timeout)
            }
            sync::Error::Fetch(fetch::client::Error::Session(SessionError::TimedOut { after }))
            | sync::Error::Push(push::client::Error::Session(SessionError::TimedOut { after })) => {
                Some(*after)
            }
            _ => None,
        }
    }
}
