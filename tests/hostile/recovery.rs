//! Retries: a server that is gone makes nobody hammer it, and times beyond the clock never come.

use std::time::Duration;

use portline::Instant;
use portline::recovery::{Backoff, BackoffConfig, Budget, BudgetConfig, Exhausted, Jitter};

use crate::NOW;

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// T20: attempts, deadline, budget and seeded jitter together, when a hundred clients lose one server at one moment.
#[test]
fn t20_a_hundred_clients_come_back_apart_and_give_up() {
    let deadline = Duration::from_secs(20);
    let mut firsts = Vec::new();
    let mut most = 0;
    for seed in 0..100 {
        let config = BackoffConfig { seed, retries: 4, deadline: Some(deadline), ..BackoffConfig::default() };
        let mut one = Backoff::new(config, NOW).unwrap();
        let mut same = Backoff::new(config, NOW).unwrap();
        let (mut now, mut retries) = (NOW, 0);
        let end = loop {
            match one.retry(now) {
                Ok(later) => {
                    assert_eq!(same.retry(now), Ok(later), "a seed is a sequence");
                    assert!(later >= now && later <= NOW.checked_add(deadline).unwrap());
                    if retries == 0 {
                        firsts.push(later.as_micros());
                    }
                    (now, retries) = (later, retries + 1);
                }
                Err(end) => break end,
            }
        };
        assert!(retries <= 4, "attempts are bounded");
        assert!(matches!(end, Exhausted::Attempts { made: 5 } | Exhausted::Deadline { .. }), "{end:?}");
        most = most.max(retries);
    }
    assert_eq!(most, 4);
    // Jitter: of the first retries, all within a second, no tenth of it sees more than a quarter.
    assert!(firsts.iter().all(|first| *first <= 1_000_000));
    for tenth in 0..10 {
        let count = firsts.iter().filter(|first| **first / 100_001 == tenth).count();
        assert!(count <= 25, "{count} of 100 in one tenth of a second");
    }
    // The budget: what all of a program's operations try again together.
    let mut budget =
        Budget::new(BudgetConfig { reserve: 10, earned_percent: 20, every: Duration::ZERO }, NOW);
    (0..100).for_each(|_| budget.first_attempt(NOW));
    assert_eq!((0..1000).filter(|_| budget.retry(at(1))).count(), 10, "the reserve, and no more");
    (0..100).for_each(|_| budget.first_attempt(at(1)));
    assert_eq!((0..1000).filter(|_| budget.retry(at(2))).count(), 10);
}

/// T20, T11: delays at the end of the clock's range never wrap to now.
#[test]
fn t11_a_retry_beyond_the_clock_is_too_late_and_not_at_once() {
    let config = BackoffConfig { jitter: Jitter::None, ..BackoffConfig::default() };
    let late = Instant::from_micros(u64::MAX - 5);
    let mut backoff = Backoff::new(config, late).unwrap();
    assert_eq!(backoff.retry(late), Err(Exhausted::Deadline { after: Duration::MAX }));
    assert_eq!(backoff.attempts(), 1);
}
