//! An operation that fails, waits and is tried again, watched.

use std::time::Duration;

use arbitrary::Arbitrary;
use portline::Instant;
use portline::recovery::{Action, BackoffConfig, Exhausted, GaveUp, Jitter, Operation, Phase};

#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Delays {
    pub retries: u8,
    pub first: u16,
    pub percent: u8,
    pub most: u32,
    pub jitter: u8,
    pub seed: u64,
    pub deadline: Option<u32>,
}

#[derive(Arbitrary, Debug)]
pub struct Setup {
    pub delays: Delays,
    pub connect: Option<u16>,
    pub operation: Option<u16>,
    pub transfer: Option<u16>,
    pub idle: Option<u16>,
    pub heartbeat: Option<u16>,
    pub missed: u8,
    pub asks: bool,
    pub late: bool,
}

#[derive(Arbitrary, Debug)]
pub enum Do {
    Wait(u32),
    Timeout,
    Early,
    Action,
    Connected,
    ConnectFailed(bool),
    Activity,
    Moved(u32),
    Committed,
    Disconnected,
    Failed(bool),
    TimedOut,
    Aborted,
    Succeeded,
    MayRetry(bool),
    Cancel,
}

pub fn micros(many: u16) -> Duration {
    // Nothing that is to take no time: that would be due again at once.
    Duration::from_micros(u64::from(many) + 1)
}

pub fn after(now: Instant, micros: u64) -> Instant {
    Instant::from_micros(now.as_micros().saturating_add(micros))
}

pub fn delays(of: Delays) -> BackoffConfig {
    BackoffConfig {
        retries: u32::from(of.retries % 6),
        first_delay: Duration::from_micros(of.first.into()),
        factor_percent: 90 + u32::from(of.percent) * 2,
        max_delay: Duration::from_micros(of.most.into()),
        jitter: [Jitter::None, Jitter::Equal, Jitter::Full][usize::from(of.jitter) % 3],
        seed: of.seed,
        deadline: of.deadline.map(|micros| Duration::from_micros(u64::from(micros) + 1)),
    }
}

/// An operation, watched.
pub struct Run {
    pub machine: Operation<bool>,
    pub now: Instant,
    /// Connections that the driver was asked for, and is to have dropped.
    pub connects: u32,
    pub open: bool,
    pub ended: bool,
    pub setup: Setup,
}

impl Run {
    pub fn action(&mut self) -> bool {
        let Some(action) = self.machine.poll_action() else { return false };
        assert!(!self.ended, "{action:?} after the end");
        let most = delays(self.setup.delays).retries + 1;
        match action {
            Action::Connect { attempt } => {
                self.connects += 1;
                assert!(attempt == self.connects && attempt <= most && !self.open);
                self.open = true;
            }
            Action::Disconnect => {
                assert!(self.open, "nothing is there to be dropped");
                self.open = false;
            }
            Action::Wait { until } => {
                let longest = delays(self.setup.delays).max_delay;
                assert!(until.saturating_duration_since(self.now) <= longest);
                self.open = false;
            }
            Action::AskRetry => {
                assert!(self.setup.asks);
                self.open = false;
            }
            Action::Heartbeat => assert!(self.setup.heartbeat.is_some()),
            Action::Finished(outcome) => {
                self.ended = true;
                assert!(u32::try_from(outcome.failed.len()).unwrap() < most);
            }
            Action::Failed(failure) => {
                self.ended = true;
                assert!(u32::try_from(failure.attempts.len()).unwrap() <= most);
                assert!(failure.attempts.iter().all(|attempt| attempt.began <= attempt.ended));
                if let GaveUp::Exhausted(Exhausted::Attempts { made }) = failure.why {
                    assert_eq!(made, most);
                }
            }
        }
        true
    }

    pub fn timeout(&mut self) {
        let Some(at) = self.machine.poll_timeout() else { return };
        self.now = self.now.max(at);
        // A delay of nothing and each of several timers may be due at once; each ends something.
        for turn in 0.. {
            assert!(turn < 32, "a deadline that has come was left standing");
            self.machine.handle_timeout(self.now);
            if self.machine.poll_timeout().is_none_or(|next| next > self.now) {
                return;
            }
        }
    }

    pub fn step(&mut self, what: &Do) {
        let now = self.now;
        let machine = &mut self.machine;
        let before = machine.has_ended();
        let told = match what {
            Do::Wait(micros) => {
                self.now = after(now, u64::from(*micros));
                return;
            }
            Do::Timeout => return self.timeout(),
            Do::Early => {
                let due = machine.poll_timeout();
                if due.is_some_and(|at| at > now) {
                    machine.handle_timeout(now);
                    assert_eq!(machine.poll_timeout(), due, "too early is a no-op");
                }
                return;
            }
            Do::Action => {
                self.action();
                return;
            }
            Do::Connected => machine.connected(now),
            Do::ConnectFailed(error) => machine.connect_failed(now, *error),
            Do::Failed(error) => machine.failed(now, *error),
            Do::TimedOut => machine.timed_out(now, Phase::Operation, Duration::from_secs(1)),
            Do::Aborted => machine.aborted(now, true),
            Do::Succeeded => machine.succeeded(now),
            Do::MayRetry(may) => machine.may_retry(now, *may),
            Do::Activity => return machine.activity(now),
            Do::Moved(bytes) => return machine.moved(now, u64::from(*bytes)),
            Do::Committed => return machine.committed(),
            Do::Disconnected => return machine.disconnected(now),
            Do::Cancel => {
                machine.cancel(now);
                assert!(machine.has_ended());
                return;
            }
        };
        assert!(told.is_ok() || machine.has_ended() == before, "misuse ends nothing");
        assert!(!before || told.is_err(), "after the end every verb is refused");
    }
}
