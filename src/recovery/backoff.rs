//! When the next attempt may begin: delays that grow, spread by seeded jitter, to an end.
//!
//! ```text
//! retry(now) ─► attempts left? ─► delay = first × factor^n, at most max ─► jitter ─► before the deadline? ─► instant
//!                   │ no: Exhausted::Attempts                                             └ no: Exhausted::Deadline
//! ```
//!
//! Input: failures, each with its time. Output: the instant of the next attempt, the same for the same seed.

use core::time::Duration;

use crate::random::SplitMix64;
use crate::time::Instant;

/// How much of a delay is left to chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jitter {
    /// None: every client that failed at one moment comes back at one moment (T20).
    None,
    /// From half of the delay to all of it.
    Equal,
    /// From nothing to all of it: spreads the most.
    #[default]
    Full,
}

/// The sequence of delays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Attempts after the first. Default 3.
    pub retries: u32,
    /// The delay before the first retry. Default 1 second.
    pub first_delay: Duration,
    /// Each delay is so many percent of the one before, 100 or more. Default 200: doubled.
    pub factor_percent: u32,
    /// No delay is longer. Default 30 seconds.
    pub max_delay: Duration,
    /// Default [`Jitter::Full`].
    pub jitter: Jitter,
    /// Where the jitter begins. Give every client another one. Default 0.
    pub seed: u64,
    /// No attempt begins later than this after the first one. Default `None`: no such end.
    pub deadline: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            retries: 3,
            first_delay: Duration::from_secs(1),
            factor_percent: 200,
            max_delay: Duration::from_secs(30),
            jitter: Jitter::Full,
            seed: 0,
            deadline: None,
        }
    }
}

/// A configuration that cannot be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Delays that shrink.
    #[error("a factor of {percent} percent makes delays shrink: it is 100 or more")]
    Factor {
        /// What was configured.
        percent: u32,
    },
    /// A first delay that is longer than every delay may be.
    #[error("the first delay is longer than the longest delay")]
    FirstDelay,
}

/// Why there is no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Exhausted {
    /// All attempts were made.
    #[error("all {made} attempts have failed")]
    Attempts {
        /// How many.
        made: u32,
    },
    /// The next attempt would begin too late.
    #[error("the next attempt would begin later than {after:?} after the first")]
    Deadline {
        /// [`Config::deadline`].
        after: Duration,
    },
}

/// The delays of one operation. See the [module](super).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    config: Config,
    random: SplitMix64,
    /// The next delay before jitter.
    delay: Duration,
    retries: u32,
    since: Instant,
}

impl Backoff {
    /// The first attempt begins now.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        if config.factor_percent < 100 {
            return Err(ConfigError::Factor { percent: config.factor_percent });
        }
        if config.first_delay > config.max_delay {
            return Err(ConfigError::FirstDelay);
        }
        let random = SplitMix64::new(config.seed);
        Ok(Self { config, random, delay: config.first_delay, retries: 0, since: now })
    }

    /// An attempt has failed: when may the next one begin (RECOVERY-3)? A refusal changes nothing.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn retry(&mut self, now: Instant) -> Result<Instant, Exhausted> {
        if self.retries >= self.config.retries {
            return Err(Exhausted::Attempts { made: self.attempts() });
        }
        let mut random = self.random;
        let delay = jittered(self.config.jitter, self.delay, &mut random);
        // What the clock cannot express is never, and so too late even without a deadline.
        let after = self.config.deadline.unwrap_or(Duration::MAX);
        let at = now.checked_add(delay).ok_or(Exhausted::Deadline { after })?;
        // An attempt that begins with the deadline would end with it, too.
        if at.saturating_duration_since(self.since) >= after {
            return Err(Exhausted::Deadline { after });
        }
        self.random = random;
        self.retries = self.retries.saturating_add(1);
        self.delay = grown(self.delay, &self.config);
        Ok(at)
    }

    /// Things went well for a while: the delays begin anew, and so do the attempts. The deadline stands.
    pub const fn reset(&mut self) {
        self.delay = self.config.first_delay;
        self.retries = 0;
    }

    /// Attempts so far since the start or the last [`reset`](Self::reset), the first one included.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.retries.saturating_add(1)
    }
}

fn grown(delay: Duration, config: &Config) -> Duration {
    let percent = u128::from(config.factor_percent);
    let micros = delay.as_micros().saturating_mul(percent).checked_div(100).unwrap_or(u128::MAX);
    let micros = u64::try_from(micros).unwrap_or(u64::MAX);
    Duration::from_micros(micros).min(config.max_delay)
}

fn jittered(jitter: Jitter, delay: Duration, random: &mut SplitMix64) -> Duration {
    let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
    let sure = match jitter {
        Jitter::None => return delay,
        Jitter::Equal => micros / 2,
        Jitter::Full => 0,
    };
    Duration::from_micros(sure.saturating_add(random.up_to(micros.saturating_sub(sure))))
}
