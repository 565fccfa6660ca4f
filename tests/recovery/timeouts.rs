//! Recovery: timers that fire once, delays that are exact for a seed, reports that come once, transfers that survive a
//! restart. Operations: `operation`.

use std::time::Duration;

use bytes::Bytes;
use portline::Instant;
use portline::recovery::{
    Backoff, BackoffConfig, Budget, BudgetConfig, ConfigError, DecodeError, Direction, Disconnect, Exhausted,
    Item, Jitter, Monitor, MonitorAction, MonitorConfig, Status, TooMany, Transfer,
};

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The delays that `config` gives to attempts which fail at once.
fn delays(config: BackoffConfig) -> (Vec<u64>, Exhausted) {
    let mut now = at(0);
    let mut backoff = Backoff::new(config, now).unwrap();
    let mut delays = Vec::new();
    loop {
        match backoff.retry(now) {
            Ok(next) => {
                delays.push(next.saturating_duration_since(now).as_micros() as u64);
                now = next;
            }
            Err(end) => return (delays, end),
        }
    }
}

#[test]
fn recovery_3_the_defaults_double_from_one_second_to_thirty() {
    let plain = BackoffConfig { jitter: Jitter::None, ..BackoffConfig::default() };
    assert_eq!(delays(plain), (vec![1_000_000, 2_000_000, 4_000_000], Exhausted::Attempts { made: 4 }));
    let (more, _) = delays(BackoffConfig { retries: 7, ..plain });
    assert_eq!(more[4..], [16_000_000, 30_000_000, 30_000_000]);
    let slow = BackoffConfig { factor_percent: 150, first_delay: Duration::from_micros(3), ..plain };
    assert_eq!(delays(slow).0, [3, 4, 6], "rounded down to microseconds");
}

#[test]
fn recovery_3_jitter_is_exact_for_a_seed_and_stays_in_its_half() {
    let with =
        |jitter, seed| delays(BackoffConfig { jitter, seed, retries: 6, ..BackoffConfig::default() }).0;
    assert_eq!(with(Jitter::Full, 7), with(Jitter::Full, 7));
    assert_ne!(with(Jitter::Full, 7), with(Jitter::Full, 8));
    assert_eq!(
        with(Jitter::Full, 1_234_567)[..2],
        [350_079, 347_288],
        "fixed: a stored seed means the same for ever"
    );
    let whole = with(Jitter::None, 0);
    for seed in 0..200 {
        for ((full, equal), whole) in
            with(Jitter::Full, seed).iter().zip(with(Jitter::Equal, seed)).zip(&whole)
        {
            assert!(full <= whole && (whole / 2..=*whole).contains(&equal), "seed {seed}");
        }
    }
    let first: Vec<u64> = (0..1000).map(|seed| with(Jitter::Full, seed)[0] / 100_000).collect();
    let spread = (0..10).map(|tenth| first.iter().filter(|one| **one == tenth).count());
    assert!(spread.clone().all(|count| (60..140).contains(&count)), "{:?}", spread.collect::<Vec<_>>());
}

#[test]
fn recovery_4_no_attempt_begins_after_the_deadline_and_what_shrinks_is_refused() {
    let config = BackoffConfig { jitter: Jitter::None, deadline: Some(ms(2999)), ..BackoffConfig::default() };
    assert_eq!(delays(config), (vec![1_000_000], Exhausted::Deadline { after: ms(2999) }));
    assert_eq!(delays(BackoffConfig { deadline: Some(ms(3000)), ..config }).0.len(), 1);
    assert_eq!(delays(BackoffConfig { deadline: Some(ms(3001)), ..config }).0.len(), 2);
    let bad = BackoffConfig { factor_percent: 99, ..config };
    assert_eq!(Backoff::new(bad, at(0)), Err(ConfigError::Factor { percent: 99 }));
    let bad = BackoffConfig { first_delay: ms(30_001), ..config };
    assert_eq!(Backoff::new(bad, at(0)), Err(ConfigError::FirstDelay));
    // T11: a delay that leaves the clock's range comes too late, and nothing overflows on the way there.
    let huge = BackoffConfig {
        first_delay: Duration::MAX,
        max_delay: Duration::MAX,
        factor_percent: u32::MAX,
        deadline: None,
        ..config
    };
    assert_eq!(delays(huge), (vec![], Exhausted::Deadline { after: Duration::MAX }));
    let mut again = Backoff::new(BackoffConfig { deadline: None, ..config }, at(0)).unwrap();
    for _ in 0..3 {
        again.retry(at(0)).unwrap();
    }
    assert_eq!((again.retry(at(0)).is_err(), again.attempts()), (true, 4));
    again.reset();
    assert_eq!((again.attempts(), again.retry(at(0))), (1, Ok(at(1000))));
}

/// T20.
#[test]
fn recovery_5_a_budget_is_earned_by_first_attempts_and_by_time() {
    let config = BudgetConfig { earned_percent: 20, reserve: 2, every: ms(1000) };
    let mut budget = Budget::new(config, at(0));
    assert!(budget.retry(at(0)) && budget.retry(at(0)) && !budget.retry(at(0)));
    for _ in 0..4 {
        budget.first_attempt(at(10));
    }
    assert!(!budget.retry(at(10)), "four fifths are not enough");
    budget.first_attempt(at(10));
    assert!(budget.retry(at(10)) && !budget.retry(at(999)));
    assert!(budget.retry(at(1000)) && !budget.retry(at(1999)));
    assert!(
        budget.retry(at(90_000)) && budget.retry(at(90_000)) && !budget.retry(at(90_000)),
        "the reserve is a cap"
    );
    assert!(!budget.retry(at(0)), "a clock that runs backwards earns nothing");
    let mut none = Budget::new(BudgetConfig { every: Duration::ZERO, reserve: 0, ..config }, at(0));
    none.first_attempt(at(0));
    assert!(!none.retry(Instant::from_micros(u64::MAX)));
}

/// A thousand clients lose their server at one moment; it stays away. Attempts in the busiest tenth of a second after
/// that moment, and in all.
fn herd(jitter: Jitter, budget: bool) -> (usize, usize) {
    let mut attempts = Vec::new();
    // One budget for the ten operations of one program.
    for program in 0..100_u64 {
        let mut budget =
            budget.then(|| Budget::new(BudgetConfig { reserve: 5, ..BudgetConfig::default() }, at(0)));
        let mut queue = Vec::new();
        for operation in 0..10_u64 {
            let seed = program * 10 + operation;
            let config = BackoffConfig { jitter, seed, retries: 5, ..BackoffConfig::default() };
            let mut backoff = Backoff::new(config, at(0)).unwrap();
            if let Some(budget) = &mut budget {
                budget.first_attempt(at(0));
            }
            queue.push((backoff.retry(at(0)).unwrap(), operation, backoff));
        }
        while let Some(next) = (0..queue.len()).min_by_key(|index| (queue[*index].0, queue[*index].1)) {
            let (now, operation, mut backoff) = queue.swap_remove(next);
            if budget.as_mut().is_some_and(|budget| !budget.retry(now)) {
                continue;
            }
            attempts.push(now.as_micros());
            if let Ok(later) = backoff.retry(now) {
                queue.push((later, operation, backoff));
            }
        }
    }
    attempts.sort_unstable();
    let busiest = (0..attempts.len()).map(|first| {
        let end = attempts[first] + 100_000;
        attempts[first..].partition_point(|one| *one < end)
    });
    (busiest.max().unwrap_or(0), attempts.len())
}

/// T20.
#[test]
fn recovery_3_recovery_5_a_thousand_clients_come_back_spread_out() {
    let (plain, jittered) = (herd(Jitter::None, false), herd(Jitter::Full, false));
    let (equal, with_budget) = (herd(Jitter::Equal, false), herd(Jitter::Full, true));
    println!("1000 clients, 5 retries each      attempts in the busiest 100 ms   in all");
    for (name, (peak, all)) in [
        ("no jitter", plain),
        ("equal jitter", equal),
        ("full jitter", jittered),
        ("and a budget", with_budget),
    ] {
        println!("{name:<34}{peak:>30}{all:>9}");
    }
    assert_eq!(plain, (1000, 5000));
    assert!(equal.0 < 260 && jittered.0 < 180 && jittered.1 == 5000);
    assert!(with_budget.0 < 180 && with_budget.1 < 1000, "{with_budget:?}");
}

#[test]
fn recovery_6_the_end_is_reported_once() {
    let closed = MonitorAction::Disconnected { at: at(7), why: Disconnect::Closed };
    let mut monitor = Monitor::new(MonitorConfig::default(), at(0));
    assert_eq!(monitor.status(), Status::Connecting);
    monitor.handle_connected(at(1));
    assert_eq!(
        (monitor.status(), monitor.poll_action(), monitor.poll_timeout()),
        (Status::Connected, None, None)
    );
    assert!(!monitor.has_ended());
    monitor.handle_closed(at(7));
    monitor.handle_closed(at(8));
    monitor.handle_error(at(8));
    monitor.handle_connected(at(9));
    monitor.handle_activity(at(9));
    monitor.handle_timeout(at(100_000));
    assert_eq!((monitor.poll_action(), monitor.poll_action()), (Some(closed), None));
    assert_eq!((monitor.status(), monitor.has_ended()), (Status::Disconnected, true));

    for (input, why) in [
        (Monitor::handle_closed as fn(&mut Monitor, Instant), Disconnect::Closed),
        (Monitor::handle_error, Disconnect::Transport),
    ] {
        let mut monitor = Monitor::new(MonitorConfig::default(), at(0));
        input(&mut monitor, at(3));
        assert_eq!(monitor.poll_action(), Some(MonitorAction::Failed { at: at(3), why }));
        assert_eq!(monitor.status(), Status::Failed);
    }
    let mut broken = Monitor::new(MonitorConfig::default(), at(0));
    broken.handle_connected(at(0));
    broken.handle_error(at(2));
    assert_eq!(broken.poll_action(), Some(MonitorAction::Failed { at: at(2), why: Disconnect::Transport }));
}

#[test]
fn recovery_7_connecting_has_its_time() {
    let mut monitor = Monitor::new(MonitorConfig::default(), at(5));
    assert_eq!(monitor.poll_timeout(), Some(at(30_005)));
    monitor.handle_activity(at(6));
    monitor.handle_timeout(at(30_004));
    assert_eq!(monitor.poll_action(), None);
    monitor.handle_timeout(at(30_005));
    let why = Disconnect::ConnectTimeout { after: ms(30_000) };
    assert_eq!(monitor.poll_action(), Some(MonitorAction::Failed { at: at(30_005), why }));
    assert_eq!(monitor.poll_timeout(), None);
}

#[test]
fn recovery_8_heartbeats_are_sent_and_missed_ones_counted() {
    let config = MonitorConfig { heartbeat: Some(ms(100)), missed: 2, ..MonitorConfig::default() };
    let mut monitor = Monitor::new(config, at(0));
    monitor.handle_connected(at(0));
    let beat = |monitor: &mut Monitor, millis| {
        monitor.handle_timeout(at(millis));
        monitor.poll_action()
    };
    assert_eq!((beat(&mut monitor, 99), beat(&mut monitor, 100)), (None, Some(MonitorAction::Heartbeat)));
    assert_eq!(beat(&mut monitor, 200), Some(MonitorAction::Heartbeat));
    monitor.handle_activity(at(250));
    assert_eq!((beat(&mut monitor, 300), monitor.poll_timeout()), (None, Some(at(350))));
    assert_eq!(beat(&mut monitor, 350), Some(MonitorAction::Heartbeat));
    assert_eq!(beat(&mut monitor, 450), Some(MonitorAction::Heartbeat));
    let silent = MonitorAction::Disconnected { at: at(550), why: Disconnect::Silent { missed: 2 } };
    assert_eq!(
        (beat(&mut monitor, 549), beat(&mut monitor, 550), beat(&mut monitor, 650)),
        (None, Some(silent), None)
    );
    // One that was not sent before the peer spoke is not sent any more.
    let mut late = Monitor::new(config, at(0));
    late.handle_connected(at(0));
    late.handle_timeout(at(100));
    late.handle_activity(at(101));
    assert_eq!(late.poll_action(), None);
}

fn item(name: &'static str, target: &'static str) -> Item {
    Item {
        name: Bytes::from_static(name.as_bytes()),
        target: Bytes::from_static(target.as_bytes()),
        complete: false,
    }
}

#[test]
fn recovery_9_percent_rate_and_time_left_come_from_the_given_clock() {
    let mut transfer = Transfer::new(4, Direction::Fetch, vec![item("main", "1")]).unwrap();
    assert_eq!((transfer.id(), transfer.direction(), transfer.items().len()), (4, Direction::Fetch, 1));
    transfer.begin(at(0));
    transfer.moved(at(1000), 500);
    assert_eq!((transfer.percent(), transfer.rate(at(1000)), transfer.remaining(at(1000))), (0, None, None));
    transfer.expect(Some(1999));
    transfer.moved(at(2000), 500);
    assert_eq!((transfer.percent(), transfer.rate(at(2000))), (50, Some(1000)));
    assert_eq!(transfer.remaining(at(2000)), Some(ms(999)));
    // It stood still for half a second before it was given up. A time before the last byte's is none.
    let mut early = transfer.clone();
    early.pause(at(500));
    assert_eq!(early.elapsed(at(9000)), ms(2000));
    transfer.pause(at(2500));
    assert_eq!((transfer.elapsed(at(9000)), transfer.rate(at(9000))), (ms(2500), None));
    transfer.begin(at(9000));
    assert_eq!(transfer.elapsed(at(9500)), ms(3000));
    transfer.moved(at(9500), 5000);
    assert_eq!((transfer.percent(), transfer.remaining(at(9600))), (100, Some(ms(0))));
    transfer.rewind(100);
    transfer.objects_arrived(3);
    assert_eq!((transfer.bytes(), transfer.percent(), transfer.objects()), (100, 5, 3));
    transfer.expect(Some(0));
    assert_eq!(transfer.percent(), 0);
    transfer.moved(at(9500), u64::MAX);
    transfer.expect(Some(u64::MAX));
    assert_eq!((transfer.bytes(), transfer.percent()), (u64::MAX, 100));
}

#[test]
fn recovery_10_it_is_resumable_when_bytes_have_moved_and_something_is_left() {
    let mut transfer = Transfer::new(1, Direction::Push, vec![item("a", "1"), item("b", "2")]).unwrap();
    assert!(!transfer.is_resumable() && !transfer.is_complete());
    transfer.moved(at(0), 1);
    assert!(transfer.is_resumable());
    assert!(transfer.complete(b"a") && transfer.is_resumable() && !transfer.complete(b"c"));
    assert!(transfer.complete(b"b") && !transfer.is_resumable() && transfer.is_complete());
    let mut without = Transfer::new(1, Direction::Push, vec![]).unwrap();
    without.moved(at(0), 1);
    assert!(!without.is_resumable(), "it is not known for what the bytes are");
}

#[test]
fn recovery_11_a_stored_transfer_is_read_back_and_nothing_else_is() {
    let mut transfer =
        Transfer::new(258, Direction::Push, vec![item("refs/heads/a", "12"), item("", "")]).unwrap();
    transfer.begin(at(0));
    transfer.moved(at(3), 5);
    transfer.expect(Some(9));
    transfer.objects_arrived(2);
    transfer.complete(b"refs/heads/a");
    let stored = transfer.encode(at(4));
    let exact = [
        &b"PLTX\x01\0\0\0\0\0\0\x01\x02\x01\0\0\0\0\0\0\0\x05\x01\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x02"[..],
        b"\0\0\0\0\0\0\x0f\xa0\0\0\0\x02\x01\0\0\0\x0crefs/heads/a\0\0\0\x0212\0\0\0\0\0\0\0\0\0",
    ];
    assert_eq!(stored, exact.concat());
    let back = Transfer::decode(&stored).unwrap();
    assert_eq!(back.encode(at(100)), stored, "paused: no time has passed");
    assert_eq!((back.items(), back.expected(), back.objects()), (transfer.items(), Some(9), 2));
    for cut in 0..stored.len() {
        let error = Transfer::decode(&stored[..cut]).unwrap_err();
        assert_eq!(error, if cut < 4 { DecodeError::Version } else { DecodeError::Truncated }, "{cut}");
    }
    let with = |index: usize, byte| {
        let mut bytes = stored.to_vec();
        bytes[index] = byte;
        Transfer::decode(&bytes).unwrap_err()
    };
    assert_eq!((with(0, b'p'), with(4, 2)), (DecodeError::Version, DecodeError::Version));
    assert_eq!(
        (with(13, 2), with(22, 255)),
        (DecodeError::Flag { byte: 2 }, DecodeError::Flag { byte: 255 })
    );
    assert_eq!(Transfer::decode(&[&stored[..], b"x"].concat()).unwrap_err(), DecodeError::Trailing);
}

/// T9, T10.
#[test]
fn recovery_12_more_than_it_keeps_track_of_is_refused() {
    let one = Item { name: Bytes::new(), target: Bytes::new(), complete: false };
    let many = TooMany { what: "items", limit: 1_000_000 };
    let mut items = vec![one.clone(); 1_000_001];
    assert_eq!(Transfer::new(1, Direction::Fetch, items.clone()).unwrap_err(), many);
    items.pop();
    assert!(Transfer::new(1, Direction::Fetch, items).is_ok());
    let long = Bytes::from(vec![0; 1 << 20]);
    let mut big = vec![Item { name: long, ..one }; 256];
    assert!(Transfer::new(1, Direction::Fetch, big.clone()).is_ok());
    big[0].target = Bytes::from_static(b"1");
    let too_long = TooMany { what: "bytes of names and targets", limit: 256 << 20 };
    assert_eq!(Transfer::new(1, Direction::Fetch, big).unwrap_err(), too_long);
    let empty = Transfer::new(1, Direction::Fetch, vec![]).unwrap().encode(at(0));
    let mut claims = empty.to_vec();
    let count = claims.len() - 4;
    claims[count..].copy_from_slice(&1_000_001_u32.to_be_bytes());
    assert_eq!(Transfer::decode(&claims).unwrap_err(), DecodeError::TooMany(many));
    claims[count..].copy_from_slice(&1_000_000_u32.to_be_bytes());
    assert_eq!(Transfer::decode(&claims).unwrap_err(), DecodeError::Truncated, "nothing is allocated ahead");
}
