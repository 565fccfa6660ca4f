//! One operation against a peer that comes and goes: connect, run, tell why it broke, wait, connect again.
//!
//! ```text
//!                connected             succeeded
//! Connecting ───────────────► Running ───────────► Ended (Finished)
//!   ▲   │ too long, failed        │ disconnected, too long, failed, aborted
//!   │   └───────────┬─────────────┘
//!   │               ▼            refused: not transient, no attempt left, too late, not repeatable, no budget
//!   │       another attempt? ──────────────────────────────────────────────────────► Ended (Failed)
//!   │               │ yes        may_retry
//!   └─ Waiting ◄────┴─► Asking ──────────► Waiting
//! ```
//!
//! | input | state | output |
//! |---|---|---|
//! | – | start, the end of Waiting | [`Action::Connect`] |
//! | `connected`, `activity`, `moved` | Connecting, Running | the timers move; `activity` answers heartbeats |
//! | a timer | Connecting, Running | [`Action::Disconnect`], then as below |
//! | `disconnected`, `connect_failed`, `failed`, `aborted` | Connecting, Running | [`Action::Wait`] or [`Action::AskRetry`], or [`Action::Failed`] |
//! | `may_retry` | Asking | [`Action::Wait`], or [`Action::Failed`] |
//! | `succeeded` | Running | [`Action::Finished`] |
//! | `cancel` | any | [`Action::Disconnect`] where there is a connection, [`Action::Failed`] |
//!
//! The session machine stands beside it, in the driver's hands: what it sends and receives does not pass through
//! here. `E` is its error. A driver that gets [`Action::Disconnect`] drops the connection and the session with it; the
//! next [`Action::Connect`] is answered with new ones.
//!
//! Limits: attempts ([`limits::RETRIES`]). Rules: `spec/18-recovery.md`, RECOVERY-13 to RECOVERY-20.

mod face;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

pub use self::face::{Action, Attempt, Cause, Config, Failure, GaveUp, Misuse, Outcome, Phase, Retry};
use super::backoff::{Backoff, ConfigError, Exhausted};
use super::monitor::{self, Disconnect, Monitor};
use super::timer::{Deadline, Idle};
use super::transfer::Transfer;
use crate::limits;
use crate::time::{Instant, earliest};

/// An attempt under way.
#[derive(Debug)]
struct Run {
    monitor: Monitor,
    idle: Idle,
    /// For the operation until payload moves, for the transfer from then on.
    time: Deadline,
    phase: Phase,
    began: Instant,
    /// What had moved before.
    moved: u64,
    /// Repeating it could do the thing twice.
    committed: bool,
}

#[derive(Debug)]
enum State {
    Running(Run),
    /// [`Action::AskRetry`] is open; the attempt may begin then.
    Asking(Instant),
    Waiting(Instant),
    Ended,
}

/// See the [module](super).
#[derive(Debug)]
pub struct Operation<E> {
    config: Config<E>,
    backoff: Backoff,
    overall: Deadline,
    transfer: Transfer,
    attempts: Vec<Attempt<E>>,
    state: State,
    actions: VecDeque<Action<E>>,
}

impl<E: Clone> Operation<E> {
    /// Begins now, with [`Action::Connect`].
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn new(config: Config<E>, transfer: Transfer, now: Instant) -> Result<Self, ConfigError> {
        let mut delays = config.backoff;
        delays.retries = delays.retries.min(limits::RETRIES);
        let backoff = Backoff::new(delays, now)?;
        let overall = Deadline::new(delays.deadline, now);
        let (attempts, actions) = (Vec::new(), VecDeque::new());
        let mut this = Self { config, backoff, overall, transfer, attempts, state: State::Ended, actions };
        this.connect(now);
        Ok(this)
    }

    /// Answers [`Action::Connect`]: the connection is there.
    ///
    /// # Errors
    /// [`Misuse`]: nothing is being connected.
    pub fn connected(&mut self, now: Instant) -> Result<(), Misuse> {
        let (operation, idle) = (self.config.operation_timeout, self.config.idle_timeout);
        let run = self.run("connected")?;
        if run.phase != Phase::Connect {
            return Err(Misuse::NotNow { verb: "connected" });
        }
        run.monitor.handle_connected(now);
        run.phase = Phase::Operation;
        run.time = Deadline::new(operation, now);
        run.idle = Idle::new(idle, now);
        self.transfer.begin(now);
        Ok(())
    }

    /// Answers [`Action::Connect`]: there is no connection, and why.
    ///
    /// # Errors
    /// [`Misuse`]: nothing is being connected.
    pub fn connect_failed(&mut self, now: Instant, error: E) -> Result<(), Misuse> {
        if self.run("connect_failed")?.phase != Phase::Connect {
            return Err(Misuse::NotNow { verb: "connect_failed" });
        }
        self.broke(now, Cause::Connect { error }, false);
        Ok(())
    }

    /// Something came from the peer: it lives.
    pub fn activity(&mut self, now: Instant) {
        if let State::Running(run) = &mut self.state {
            run.monitor.handle_activity(now);
            run.idle.touch(now);
        }
    }

    /// So many more bytes of payload have moved, in whichever direction: progress. What came from the peer is told as
    /// [`Self::activity`], too: what only went to it answers no heartbeat.
    pub fn moved(&mut self, now: Instant, bytes: u64) {
        if let State::Running(run) = &mut self.state {
            run.idle.touch(now);
            self.transfer.moved(now, bytes);
            if run.phase == Phase::Operation && bytes > 0 {
                run.phase = Phase::Transfer;
                run.time = Deadline::new(self.config.transfer_timeout, now);
            }
        }
    }

    /// From here on a repetition could do the thing twice (a command without its answer): a failure of this attempt
    /// is final (RECOVERY-18).
    pub const fn committed(&mut self) {
        if let State::Running(run) = &mut self.state {
            run.committed = true;
        }
    }

    /// The transport was closed before the session came to its end.
    pub fn disconnected(&mut self, now: Instant) {
        if let State::Running(run) = &mut self.state {
            run.monitor.handle_closed(now);
            self.heed_monitor(now, false);
        }
    }

    /// The session has failed; the connection is of no more use.
    ///
    /// # Errors
    /// [`Misuse`]: no attempt is under way.
    pub fn failed(&mut self, now: Instant, error: E) -> Result<(), Misuse> {
        self.run("failed")?;
        self.broke(now, Cause::Session { error }, true);
        Ok(())
    }

    /// The session saw by itself that something took too long; the connection is of no more use.
    ///
    /// # Errors
    /// [`Misuse`]: no attempt is under way.
    pub fn timed_out(&mut self, now: Instant, phase: Phase, after: Duration) -> Result<(), Misuse> {
        self.run("timed_out")?;
        self.broke(now, Cause::TimedOut { phase, after }, true);
        Ok(())
    }

    /// The transfer cannot be completed: its data is damaged, or one side gave it up. Never repeated by itself.
    ///
    /// # Errors
    /// [`Misuse`]: no attempt is under way.
    pub fn aborted(&mut self, now: Instant, error: E) -> Result<(), Misuse> {
        self.run("aborted")?;
        let (moved, expected) = (self.transfer.bytes(), self.transfer.expected());
        self.broke(now, Cause::Aborted { moved, expected, error }, true);
        Ok(())
    }

    /// The session has come to a good end.
    ///
    /// # Errors
    /// [`Misuse`]: no attempt is under way, or it is not connected.
    pub fn succeeded(&mut self, now: Instant) -> Result<(), Misuse> {
        let run = self.run("succeeded")?;
        if run.phase == Phase::Connect {
            return Err(Misuse::NotNow { verb: "succeeded" });
        }
        self.state = State::Ended;
        let elapsed = self.transfer.elapsed(now);
        let failed = mem::take(&mut self.attempts);
        let moved = self.transfer.bytes();
        self.actions.push_back(Action::Finished(Outcome { failed, moved, elapsed }));
        Ok(())
    }

    /// Answers [`Action::AskRetry`].
    ///
    /// # Errors
    /// [`Misuse`]: it is not open.
    pub fn may_retry(&mut self, now: Instant, may: bool) -> Result<(), Misuse> {
        match self.state {
            State::Asking(at) if may => self.wait(at.max(now)),
            State::Asking(_) => self.give_up(GaveUp::Budget),
            State::Ended => return Err(Misuse::Ended { verb: "may_retry" }),
            State::Running(_) | State::Waiting(_) => return Err(Misuse::NotNow { verb: "may_retry" }),
        }
        Ok(())
    }

    /// The user gives up. After the end it is a no-op.
    pub fn cancel(&mut self, now: Instant) {
        match &self.state {
            State::Running(_) => self.broke(now, Cause::Cancelled, true),
            State::Asking(_) | State::Waiting(_) => self.give_up(GaveUp::Cancelled),
            State::Ended => {}
        }
    }

    /// The time of [`Self::poll_timeout`] has come. Too early is a no-op.
    pub fn handle_timeout(&mut self, now: Instant) {
        if !matches!(self.state, State::Ended) && self.overall.handle_timeout(now) {
            self.out_of_time(now);
            return;
        }
        match &mut self.state {
            State::Running(run) => {
                let timed_out = if run.time.handle_timeout(now) {
                    self.config.timeout(run.phase).map(|after| (run.phase, after))
                } else if run.idle.handle_timeout(now) {
                    self.config.idle_timeout.map(|after| (Phase::Idle, after))
                } else {
                    run.monitor.handle_timeout(now);
                    None
                };
                match timed_out {
                    Some((phase, after)) => self.broke(now, Cause::TimedOut { phase, after }, true),
                    None => self.heed_monitor(now, true),
                }
            }
            State::Waiting(at) if now >= *at => self.connect(now),
            State::Waiting(_) | State::Asking(_) | State::Ended => {}
        }
    }

    /// What happened, or what the driver must do.
    pub fn poll_action(&mut self) -> Option<Action<E>> {
        self.actions.pop_front()
    }

    /// When to call [`Self::handle_timeout`]; `None` is never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = match &self.state {
            State::Running(run) => earliest(
                earliest(run.time.poll_timeout(), run.idle.poll_timeout()),
                run.monitor.poll_timeout(),
            ),
            State::Waiting(at) => Some(*at),
            State::Asking(_) => None,
            State::Ended => return None,
        };
        earliest(own, self.overall.poll_timeout())
    }

    /// Whether an attempt that failed now, of a transient cause, would be followed by another one (when
    /// [`Action::AskRetry`] is answered with yes, where that is asked).
    #[must_use]
    pub fn may_try_again(&self, now: Instant) -> bool {
        let is_repeatable = matches!(&self.state, State::Running(run) if !run.committed);
        // A copy: asking changes nothing.
        let mut backoff = self.backoff;
        is_repeatable && backoff.retry(now).is_ok()
    }

    /// Whether the terminal action has been made.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// The attempts that have failed so far; none after the end, which hands them over.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt<E>] {
        &self.attempts
    }

    /// What moves and how far it is.
    #[must_use]
    pub const fn transfer(&self) -> &Transfer {
        &self.transfer
    }

    /// The same, to tell what is expected and what is complete. Bytes are told by [`Self::moved`].
    pub const fn transfer_mut(&mut self) -> &mut Transfer {
        &mut self.transfer
    }

    fn run(&mut self, verb: &'static str) -> Result<&mut Run, Misuse> {
        match &mut self.state {
            State::Running(run) => Ok(run),
            State::Ended => Err(Misuse::Ended { verb }),
            State::Asking(_) | State::Waiting(_) => Err(Misuse::NotNow { verb }),
        }
    }

    fn connect(&mut self, now: Instant) {
        self.state = State::Running(Run {
            monitor: Monitor::new(self.config.monitor, now),
            idle: Idle::new(None, now),
            time: Deadline::new(None, now),
            phase: Phase::Connect,
            began: now,
            moved: self.transfer.bytes(),
            committed: false,
        });
        self.actions.push_back(Action::Connect { attempt: self.backoff.attempts() });
    }

    fn heed_monitor(&mut self, now: Instant, is_open: bool) {
        let State::Running(run) = &mut self.state else { return };
        match run.monitor.poll_action() {
            // One that was not polled yet is enough.
            Some(monitor::Action::Heartbeat) => match self.actions.back() {
                Some(Action::Heartbeat) => {}
                Some(_) | None => self.actions.push_back(Action::Heartbeat),
            },
            Some(monitor::Action::Disconnected { at, why } | monitor::Action::Failed { at, why }) => {
                let cause = match why {
                    Disconnect::ConnectTimeout { after } => Cause::TimedOut { phase: Phase::Connect, after },
                    Disconnect::Closed | Disconnect::Silent { .. } | Disconnect::Transport => {
                        Cause::Disconnected { at, why }
                    }
                };
                self.broke(now, cause, is_open);
            }
            None => {}
        }
    }

    /// The attempt is over. `is_open`: the driver has a connection to drop.
    fn broke(&mut self, now: Instant, cause: Cause<E>, is_open: bool) {
        let State::Running(run) = mem::replace(&mut self.state, State::Ended) else { return };
        self.transfer.pause(now);
        if is_open {
            self.actions.push_back(Action::Disconnect);
        }
        let is_transient = (self.config.retry)(&cause) == Retry::Yes;
        let refused = match &cause {
            Cause::Cancelled => Some(GaveUp::Cancelled),
            _ if run.committed => Some(GaveUp::NotRepeatable),
            _ if !is_transient => Some(GaveUp::NotTransient),
            _ => None,
        };
        let moved = self.transfer.bytes().saturating_sub(run.moved);
        self.attempts.push(Attempt { began: run.began, ended: now, moved, cause });
        match refused.map_or_else(|| self.backoff.retry(now).map_err(GaveUp::Exhausted), Err) {
            Err(why) => self.give_up(why),
            Ok(at) if self.config.ask_retry => {
                self.state = State::Asking(at);
                self.actions.push_back(Action::AskRetry);
            }
            Ok(at) => self.wait(at),
        }
    }

    /// The overall deadline has come, in whatever state.
    fn out_of_time(&mut self, now: Instant) {
        let after = self.config.backoff.deadline.unwrap_or_default();
        if let State::Running(run) = &self.state {
            let moved = self.transfer.bytes().saturating_sub(run.moved);
            let cause = Cause::TimedOut { phase: Phase::Overall, after };
            self.attempts.push(Attempt { began: run.began, ended: now, moved, cause });
            self.transfer.pause(now);
            self.actions.push_back(Action::Disconnect);
        }
        self.give_up(GaveUp::Exhausted(Exhausted::Deadline { after }));
    }

    fn wait(&mut self, until: Instant) {
        self.state = State::Waiting(until);
        self.actions.push_back(Action::Wait { until });
    }

    fn give_up(&mut self, why: GaveUp) {
        self.state = State::Ended;
        let attempts = mem::take(&mut self.attempts);
        self.actions.push_back(Action::Failed(Failure { why, attempts, moved: self.transfer.bytes() }));
    }
}
