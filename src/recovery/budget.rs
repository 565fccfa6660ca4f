//! How many retries a whole program allows itself, however many operations it runs (T20).
//!
//! Attempts and delays bound one operation. When a server is gone, a thousand operations fail at once, and what
//! counts is their sum: each first attempt earns a part of a retry, each retry costs a whole one, and a small reserve
//! lets a program that does little try again at all.

use core::time::Duration;

use crate::time::Instant;

/// What is earned, and how much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Hundredths of a retry that each first attempt earns. Default 20: at most a fifth more load.
    pub earned_percent: u32,
    /// Retries in reserve at the start, and at the most. Default 10.
    pub reserve: u32,
    /// One more retry each time this has passed; zero: none. Default 10 seconds.
    pub every: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { earned_percent: 20, reserve: 10, every: Duration::from_secs(10) }
    }
}

/// A budget for retries, shared by the operations of a program (RECOVERY-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    config: Config,
    /// In hundredths of a retry.
    left: u64,
    /// The time up to which `every` is counted.
    since: Instant,
}

/// What one retry costs.
const COST: u64 = 100;

impl Budget {
    /// With its reserve full.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        Self { config, left: u64::from(config.reserve).saturating_mul(COST), since: now }
    }

    /// An operation makes its first attempt.
    pub fn first_attempt(&mut self, now: Instant) {
        self.refill(now);
        self.earn(self.config.earned_percent.into());
    }

    /// Takes what a retry costs; `false`: there is not enough, and the operation gives up.
    pub fn retry(&mut self, now: Instant) -> bool {
        self.refill(now);
        let Some(left) = self.left.checked_sub(COST) else { return false };
        self.left = left;
        true
    }

    fn earn(&mut self, hundredths: u64) {
        let most = u64::from(self.config.reserve).saturating_mul(COST);
        self.left = self.left.saturating_add(hundredths).min(most);
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since).as_micros();
        let Some(whole) = passed.checked_div(self.config.every.as_micros()) else { return };
        let whole = u32::try_from(whole).unwrap_or(u32::MAX);
        let counted = self.config.every.saturating_mul(whole);
        self.since = self.since.checked_add(counted).unwrap_or(now);
        self.earn(u64::from(whole).saturating_mul(COST));
    }
}
