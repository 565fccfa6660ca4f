//! Any operations on an operation that fails, waits and is tried again, on a monitor, on delays and on a budget: one
//! terminal action, deadlines that move on, attempts and retries within their limits. And stored transfers: what is
//! read is written the same again.
#![no_main]

#[path = "common/heap.rs"]
mod heap;
#[path = "common/operation.rs"]
mod operation;
#[path = "common/oracle.rs"]
mod oracle;

use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use operation::{Delays, Do, Run, Setup, after, delays, micros};
use portline::Instant;
use portline::recovery::{
    Backoff, Budget, BudgetConfig, Config, Direction, Exhausted, Item, Monitor, MonitorAction, MonitorConfig,
    Operation, Retry, Status, Transfer,
};

#[derive(Arbitrary, Debug)]
enum Input {
    Operation(Setup, Vec<Do>),
    Monitor(Option<u16>, Option<u16>, u8, Vec<Watch>),
    Delays(Delays, Vec<u32>),
    Budget(u8, u8, u16, Vec<(bool, u32)>),
    Stored(Vec<u8>),
    Transfer { items: Vec<(bool, Vec<u8>, Vec<u8>)>, push: bool, moves: Vec<Move> },
}

#[derive(Arbitrary, Debug)]
enum Watch {
    Connected,
    Activity,
    Closed,
    Error,
    Wait(u16),
    Timeout,
    Action,
}

#[derive(Arbitrary, Debug)]
enum Move {
    Begin,
    Pause,
    Expect(Option<u64>),
    Moved(u64),
    Rewind(u64),
    Arrived(u64),
    Complete(u8),
    Wait(u64),
}

fn attempts(setup: Setup, steps: &[Do]) {
    let config = Config {
        backoff: delays(setup.delays),
        monitor: MonitorConfig {
            connect_timeout: setup.connect.map(micros),
            heartbeat: setup.heartbeat.map(micros),
            missed: setup.missed.into(),
        },
        operation_timeout: setup.operation.map(micros),
        transfer_timeout: setup.transfer.map(micros),
        idle_timeout: setup.idle.map(micros),
        retry: |cause| match cause {
            portline::recovery::Cause::Session { error: false } => Retry::No,
            cause if cause.is_transient() => Retry::Yes,
            _ => Retry::No,
        },
        ask_retry: setup.asks,
    };
    // Near the end of the clock's range there is no later (T11).
    let now = if setup.late { Instant::from_micros(u64::MAX - 50_000) } else { Instant::ZERO };
    let transfer = Transfer::unplanned(1, Direction::Fetch);
    let Ok(machine) = Operation::new(config, transfer, now) else { return };
    let mut run = Run { machine, now, connects: 0, open: false, ended: false, setup };
    for step in steps {
        run.step(step);
        let ended = run.machine.has_ended();
        assert!(!ended || (run.machine.poll_timeout().is_none() && run.machine.attempts().is_empty()));
    }
    run.machine.cancel(run.now);
    while run.action() {}
    assert!(run.ended && run.machine.has_ended(), "one end");
}

fn monitor(connect: Option<u16>, heartbeat: Option<u16>, missed: u8, steps: &[Watch]) {
    let config = MonitorConfig {
        connect_timeout: connect.map(micros),
        heartbeat: heartbeat.map(micros),
        missed: missed.into(),
    };
    let (mut now, mut told, mut beats) = (Instant::ZERO, 0, 0);
    let mut machine = Monitor::new(config, now);
    for step in steps {
        match step {
            Watch::Connected => machine.handle_connected(now),
            Watch::Activity => {
                machine.handle_activity(now);
                beats = 0;
            }
            Watch::Closed => machine.handle_closed(now),
            Watch::Error => machine.handle_error(now),
            Watch::Wait(micros) => now = after(now, u64::from(*micros)),
            Watch::Timeout => {
                now = machine.poll_timeout().map_or(now, |at| at.max(now));
                let was = machine.status();
                machine.handle_timeout(now);
                oracle::moved_on(machine.poll_timeout(), now);
                if was == Status::Connected && heartbeat.is_some() {
                    beats += 1;
                    let gone = beats > u32::from(missed.max(1));
                    assert_eq!(machine.status() == Status::Disconnected, gone, "{beats} of {missed}");
                }
            }
            Watch::Action => match machine.poll_action() {
                Some(MonitorAction::Heartbeat) => assert!(told == 0 && heartbeat.is_some()),
                Some(MonitorAction::Disconnected { at, .. } | MonitorAction::Failed { at, .. }) => {
                    told += 1;
                    assert!(at <= now);
                }
                None => {}
            },
        }
        let over = matches!(machine.status(), Status::Disconnected | Status::Failed);
        assert!(!over || machine.poll_timeout().is_none());
        if machine.status() != Status::Connected {
            beats = 0;
        }
    }
    machine.handle_closed(now);
    while let Some(action) = machine.poll_action() {
        told += u32::from(action != MonitorAction::Heartbeat);
    }
    assert_eq!(told, 1, "told once");
}

fn backoff(of: Delays, waits: &[u32]) {
    let config = delays(of);
    let Ok(mut machine) = Backoff::new(config, Instant::ZERO) else {
        assert!(config.factor_percent < 100 || config.first_delay > config.max_delay);
        return;
    };
    let (mut now, mut made) = (Instant::ZERO, 1);
    for wait in waits {
        let before = machine;
        match machine.retry(now) {
            Ok(at) => {
                made += 1;
                assert!(at >= now && at.saturating_duration_since(now) <= config.max_delay);
                assert!(config.deadline.is_none_or(|end| at <= after(Instant::ZERO, end.as_micros() as u64)));
                now = after(at, u64::from(*wait));
            }
            Err(Exhausted::Attempts { made: told }) => {
                assert!(told == made && made == config.retries + 1 && machine == before);
            }
            Err(_) => assert!(config.deadline.is_some() && machine == before),
        }
        assert_eq!(machine.attempts(), made);
        if *wait == 7 {
            machine.reset();
            made = 1;
        }
    }
}

fn budget(earned: u8, reserve: u8, every: u16, steps: &[(bool, u32)]) {
    let every = Duration::from_micros(every.into());
    let config = BudgetConfig { earned_percent: earned.into(), reserve: reserve.into(), every };
    let mut budget = Budget::new(config, Instant::ZERO);
    let (mut now, mut first, mut retries) = (Instant::ZERO, 0_u64, 0_u64);
    for (is_retry, wait) in steps {
        now = after(now, u64::from(*wait));
        if *is_retry {
            retries += u64::from(budget.retry(now));
        } else {
            budget.first_attempt(now);
            first += 1;
        }
    }
    // Never more than what was there, was earned, and came with time.
    let by_time = now.as_micros().checked_div(every.as_micros() as u64).unwrap_or(0);
    let most = u64::from(reserve) * 100 + first * u64::from(earned) + by_time * 100;
    assert!(retries * 100 <= most, "{retries} retries, {most} hundredths");
}

fn stored(bytes: &[u8]) {
    let whole = [&b"PLTX\x01"[..], bytes].concat();
    for bytes in [bytes, &whole] {
        let read = heap::bounded(64 * bytes.len() + 1024, || Transfer::decode(bytes));
        if let Ok(transfer) = read {
            assert_eq!(transfer.encode(Instant::ZERO), bytes);
        }
    }
}

fn transfer(items: Vec<(bool, Vec<u8>, Vec<u8>)>, push: bool, moves: &[Move]) {
    let of = |(complete, name, target): (bool, Vec<u8>, Vec<u8>)| Item {
        name: name.into(),
        target: target.into(),
        complete,
    };
    let items: Vec<Item> = items.into_iter().map(of).collect();
    let names: Vec<Bytes> = items.iter().map(|item| item.name.clone()).collect();
    let direction = if push { Direction::Push } else { Direction::Fetch };
    let mut transfer = Transfer::new(9, direction, items).unwrap();
    let mut now = Instant::ZERO;
    for one in moves {
        match one {
            Move::Begin => transfer.begin(now),
            Move::Pause => transfer.pause(now),
            Move::Expect(bytes) => transfer.expect(*bytes),
            Move::Moved(bytes) => transfer.moved(now, *bytes),
            Move::Rewind(bytes) => {
                transfer.rewind(*bytes);
                assert!(transfer.bytes() <= *bytes);
            }
            Move::Arrived(count) => transfer.objects_arrived(*count),
            Move::Complete(of) => {
                let name = names.get(usize::from(*of));
                assert_eq!(
                    transfer.complete(name.unwrap_or(&Bytes::new())),
                    name.is_some() || names.iter().any(Bytes::is_empty)
                );
            }
            Move::Wait(micros) => now = after(now, *micros),
        }
        assert!(transfer.percent() <= 100);
        let _ = (transfer.rate(now), transfer.remaining(now));
        assert!(transfer.elapsed(now) <= Duration::from_micros(now.as_micros()));
    }
    let stored = transfer.encode(now);
    let read = Transfer::decode(&stored).unwrap();
    assert_eq!(read.items(), transfer.items());
    assert_eq!(
        (read.bytes(), read.expected(), read.objects()),
        (transfer.bytes(), transfer.expected(), transfer.objects())
    );
    assert_eq!((read.is_resumable(), read.is_complete()), (transfer.is_resumable(), transfer.is_complete()));
    assert_eq!(read.encode(now), stored);
}

fuzz_target!(|input: Input| {
    match input {
        Input::Operation(setup, steps) => attempts(setup, &steps),
        Input::Monitor(connect, heartbeat, missed, steps) => monitor(connect, heartbeat, missed, &steps),
        Input::Delays(of, waits) => backoff(of, &waits),
        Input::Budget(earned, reserve, every, steps) => budget(earned, reserve, every, &steps),
        Input::Stored(bytes) => stored(&bytes),
        Input::Transfer { items, push, moves } => transfer(items, push, &moves),
    }
});
