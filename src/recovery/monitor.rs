//! Whether the peer is there: told once when it is gone.
//!
//! ```text
//!             handle_connected          handle_closed, heartbeats unanswered
//! CONNECTING ──────────────────► CONNECTED ─────────────────────────────────► DISCONNECTED
//!      │ handle_closed, too long     │ handle_error
//!      └─────────────► FAILED ◄──────┘
//! ```
//!
//! | input | state | output |
//! |---|---|---|
//! | `handle_activity` | CONNECTED | the silence begins anew, no heartbeat is owed |
//! | silence of [`Config::heartbeat`] | CONNECTED | [`Action::Heartbeat`] |
//! | the same, [`Config::missed`] heartbeats later | CONNECTED | [`Action::Disconnected`] |
//! | `handle_closed` | CONNECTED | [`Action::Disconnected`] |
//! | `handle_closed`, [`Config::connect_timeout`] | CONNECTING | [`Action::Failed`] |
//! | anything | DISCONNECTED, FAILED | nothing |
//!
//! Rules: `spec/18-recovery.md`, RECOVERY-6 to RECOVERY-8.

use core::time::Duration;

use super::timer::Deadline;
use crate::time::Instant;

/// How long to wait for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long connecting may take. Default 30 seconds.
    pub connect_timeout: Option<Duration>,
    /// After so much silence of the peer a heartbeat is sent. Default `None`: none are.
    pub heartbeat: Option<Duration>,
    /// Heartbeats in a row that may stay without an answer; one interval after the last the peer counts as gone.
    /// Default 3; 0 counts as 1.
    pub missed: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { connect_timeout: Some(Duration::from_secs(30)), heartbeat: None, missed: 3 }
    }
}

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Not connected yet.
    Connecting,
    /// Connected.
    Connected,
    /// It was connected, and the peer is gone.
    Disconnected,
    /// It never came to be, or the transport broke.
    Failed,
}

/// Why a peer counts as gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Disconnect {
    /// The transport was closed.
    #[error("the peer has disconnected")]
    Closed,
    /// It left heartbeats unanswered.
    #[error("the peer left {missed} heartbeats unanswered")]
    Silent {
        /// How many.
        missed: u32,
    },
    /// Connecting took too long.
    #[error("connecting took longer than {after:?}")]
    ConnectTimeout {
        /// [`Config::connect_timeout`].
        after: Duration,
    },
    /// The transport reported an error; the driver knows which.
    #[error("the transport has failed")]
    Transport,
}

/// What the driver must do, or what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send something that the peer answers. Its answer, as anything else from it, is `handle_activity`.
    Heartbeat,
    /// The peer is gone. Told once.
    Disconnected {
        /// When that was noticed.
        at: Instant,
        /// How.
        why: Disconnect,
    },
    /// There is no connection, and there was none or the transport broke. Told once.
    Failed {
        /// When that was noticed.
        at: Instant,
        /// How.
        why: Disconnect,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting(Deadline),
    /// When the next heartbeat, or the verdict, is due; and how many are unanswered.
    Connected {
        beat: Deadline,
        unanswered: u32,
    },
    Over(Status),
}

/// Watches one connection. See the [module](super).
#[derive(Clone, Debug)]
pub struct Monitor {
    config: Config,
    state: State,
    action: Option<Action>,
}

impl Monitor {
    /// Connecting begins now.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        Self { config, state: State::Connecting(Deadline::new(config.connect_timeout, now)), action: None }
    }

    /// The connection is there.
    pub fn handle_connected(&mut self, now: Instant) {
        match self.state {
            State::Connecting(_) => self.listen(now),
            State::Connected { .. } | State::Over(_) => {}
        }
    }

    /// Something came from the peer.
    pub fn handle_activity(&mut self, now: Instant) {
        match self.state {
            State::Connected { .. } => self.listen(now),
            State::Connecting(_) | State::Over(_) => {}
        }
    }

    /// The transport is closed.
    pub fn handle_closed(&mut self, now: Instant) {
        match self.state {
            State::Connecting(_) => self.end(Status::Failed, now, Disconnect::Closed),
            State::Connected { .. } => self.end(Status::Disconnected, now, Disconnect::Closed),
            State::Over(_) => {}
        }
    }

    /// The transport reports an error.
    pub fn handle_error(&mut self, now: Instant) {
        match self.state {
            State::Connecting(_) | State::Connected { .. } => {
                self.end(Status::Failed, now, Disconnect::Transport);
            }
            State::Over(_) => {}
        }
    }

    /// The time of [`Self::poll_timeout`] has come. Too early is a no-op.
    pub fn handle_timeout(&mut self, now: Instant) {
        let heartbeat = self.heartbeat();
        match &mut self.state {
            State::Connecting(deadline) => {
                if let (true, Some(after)) = (deadline.handle_timeout(now), self.config.connect_timeout) {
                    self.end(Status::Failed, now, Disconnect::ConnectTimeout { after });
                }
            }
            State::Connected { beat, unanswered } => {
                if !beat.handle_timeout(now) {
                    return;
                }
                if *unanswered >= self.config.missed.max(1) {
                    let missed = *unanswered;
                    self.end(Status::Disconnected, now, Disconnect::Silent { missed });
                } else {
                    *unanswered = unanswered.saturating_add(1);
                    *beat = Deadline::new(heartbeat, now);
                    self.action = Some(Action::Heartbeat);
                }
            }
            State::Over(_) => {}
        }
    }

    /// What happened, or what the driver must do. A heartbeat that was not polled before the peer spoke or vanished
    /// is not sent any more.
    pub const fn poll_action(&mut self) -> Option<Action> {
        self.action.take()
    }

    /// When to call [`Self::handle_timeout`]; `None` is never.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Connecting(deadline) => deadline.poll_timeout(),
            State::Connected { beat, .. } => beat.poll_timeout(),
            State::Over(_) => None,
        }
    }

    /// Where the connection stands.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self.state {
            State::Connecting(_) => Status::Connecting,
            State::Connected { .. } => Status::Connected,
            State::Over(status) => status,
        }
    }

    /// Whether the connection is over: the one report has been made.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.state, State::Over(_))
    }

    fn heartbeat(&self) -> Option<Duration> {
        self.config.heartbeat.filter(|every| !every.is_zero())
    }

    fn listen(&mut self, now: Instant) {
        self.state = State::Connected { beat: Deadline::new(self.heartbeat(), now), unanswered: 0 };
        self.action = None;
    }

    fn end(&mut self, status: Status, at: Instant, why: Disconnect) {
        self.state = State::Over(status);
        self.action = Some(match status {
            Status::Failed => Action::Failed { at, why },
            Status::Connecting | Status::Connected | Status::Disconnected => Action::Disconnected { at, why },
        });
    }
}
