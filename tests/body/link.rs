//! Bodies over a seeded link, on credit streams and on ports: 10 MB and more through 64 KiB, and every way to end at
//! every moment.

use std::sync::OnceLock;
use std::time::Duration;

use crate::common::{Endpoint, Link, Rng, Weather};
use bytes::Bytes;
use portline::body::over::{Error, port, stream};
use portline::body::queue::Pushed;
use portline::body::{download, upload};
use portline::frame::{FrameType, decode};
use portline::{Blame, Instant, Transmit};

/// What a body must never hold at one end.
const MARK: usize = 65536;

/// The body repeats itself after so many bytes.
const BODY: usize = 1 << 18;

static WHOLE_BODY: OnceLock<Bytes> = OnceLock::new();

/// The byte at a place of the body.
const fn byte(at: usize) -> u8 {
    let at = at % BODY;
    (at ^ (at >> 8) ^ (at >> 16)) as u8
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// Close, or pull to the end.
    Whole,
    /// Fail after so many bytes.
    Error(usize),
    /// Give up after so many bytes.
    Abort(usize),
    /// Cancel after so many bytes.
    Cancel(usize),
}

struct Producer<M> {
    machine: M,
    plan: Plan,
    total: usize,
    pushed: usize,
    rest: Option<Bytes>,
    /// The body, and the longest chunk more.
    body: Bytes,
    said: bool,
    rng: Rng,
    ends: Vec<Result<(), Error>>,
    most: usize,
}

struct Consumer<M> {
    machine: M,
    plan: Plan,
    got: usize,
    /// Bytes of DATA that came.
    came: usize,
    /// Between one pull and the next.
    pace: Duration,
    next: Instant,
    waiting: bool,
    said: bool,
    ends: Vec<Result<(), Error>>,
    most: usize,
}

impl<M> Producer<M> {
    fn new(machine: M, plan: Plan, total: usize, seed: u64) -> Self {
        let rng = Rng::new(seed);
        let body = WHOLE_BODY.get_or_init(|| (0..BODY + 100_000).map(byte).collect()).clone();
        Self {
            machine,
            plan,
            total,
            pushed: 0,
            rest: None,
            body,
            said: false,
            rng,
            ends: Vec::new(),
            most: 0,
        }
    }

    /// Where the body ends, for now.
    fn stop(&self) -> usize {
        match self.plan {
            Plan::Whole | Plan::Cancel(_) => self.total,
            Plan::Error(at) | Plan::Abort(at) => at.min(self.total),
        }
    }

    /// The next chunk, of any length.
    fn chunk(&mut self) -> Option<Bytes> {
        if let Some(rest) = self.rest.take() {
            return Some(rest);
        }
        let left = self.stop() - self.pushed;
        let most = [10, 5000, 100_000][self.rng.below(3)];
        let length = self.rng.below(most).min(left);
        let at = self.pushed % BODY;
        (left > 0).then(|| self.body.slice(at..at + length))
    }
}

impl<M> Consumer<M> {
    fn new(machine: M, plan: Plan, pace: Duration) -> Self {
        let next = Instant::ZERO;
        let ends = Vec::new();
        Self { machine, plan, got: 0, came: 0, pace, next, waiting: false, said: false, ends, most: 0 }
    }

    fn take(&mut self, chunk: &[u8]) {
        // Some of them: the length is counted, and the chunks are whole slices.
        for at in (0..chunk.len()).step_by(61).chain(chunk.len().checked_sub(1)) {
            assert_eq!(chunk[at], byte(self.got + at));
        }
        self.got += chunk.len();
        self.waiting = false;
    }
}

/// The same for both kinds of stream: they have the same verbs.
macro_rules! ends {
    ($up:ty, $down:ty, $deadline:expr) => {
        impl Endpoint for Producer<$up> {
            fn input(&mut self, now: Instant, bytes: Bytes) {
                self.machine.handle_message(now, bytes).unwrap();
            }

            fn closed(&mut self, now: Instant) {
                self.machine.handle_closed(now).ok();
            }

            fn timeout(&mut self, now: Instant) {
                self.machine.handle_timeout(now);
            }

            fn transmit(&mut self) -> Option<Transmit> {
                self.machine.poll_transmit()
            }

            fn deadline(&self) -> Option<Instant> {
                self.machine.poll_timeout()
            }

            fn wants_input(&self) -> bool {
                self.machine.wants_input()
            }

            fn work(&mut self, now: Instant) -> bool {
                let mut worked = false;
                while let Some(action) = self.machine.poll_action() {
                    worked = true;
                    match action {
                        upload::Action::Writable => assert!(self.machine.can_push()),
                        upload::Action::Finished => self.ends.push(Ok(())),
                        upload::Action::Failed(error) => self.ends.push(Err(error)),
                    }
                }
                while self.machine.can_push() {
                    let Some(chunk) = self.chunk() else { break };
                    worked = true;
                    let length = chunk.len();
                    match self.machine.push(now, chunk).unwrap() {
                        Pushed::All => self.pushed += length,
                        Pushed::Part { rest } => {
                            self.pushed += length - rest.len();
                            self.rest = Some(rest);
                        }
                    }
                }
                if self.pushed == self.stop() && !self.said {
                    (self.said, worked) = (true, true);
                    match self.plan {
                        Plan::Whole | Plan::Cancel(_) => self.machine.close(now),
                        Plan::Error(_) => self.machine.error(now, "broken"),
                        Plan::Abort(_) => self.machine.abort(now, "given up"),
                    }
                }
                self.most = self.most.max(self.machine.held());
                worked
            }
        }

        impl Endpoint for Consumer<$down> {
            fn input(&mut self, now: Instant, bytes: Bytes) {
                let frame = decode(&bytes).unwrap();
                if matches!(frame.kind, FrameType::Data | FrameType::Last) {
                    self.came += frame.payload.len();
                }
                if self.ends.is_empty() {
                    self.most = self.most.max(self.came - self.got);
                }
                self.machine.handle_message(now, bytes).unwrap();
            }

            fn closed(&mut self, now: Instant) {
                self.machine.handle_closed(now).ok();
            }

            fn timeout(&mut self, _now: Instant) {}

            fn transmit(&mut self) -> Option<Transmit> {
                self.machine.poll_transmit()
            }

            fn deadline(&self) -> Option<Instant> {
                let wake = (!self.waiting && self.ends.is_empty()).then_some(self.next);
                [wake, $deadline(&self.machine)].into_iter().flatten().min()
            }

            fn wants_input(&self) -> bool {
                self.machine.wants_input()
            }

            fn work(&mut self, now: Instant) -> bool {
                let mut worked = false;
                if !self.waiting && self.ends.is_empty() && now >= self.next {
                    (self.waiting, worked) = (true, true);
                    self.next = now.checked_add(self.pace).unwrap();
                    self.machine.pull(now).unwrap();
                }
                if matches!(self.plan, Plan::Cancel(at) if self.got >= at) && !self.said {
                    (self.said, worked) = (true, true);
                    self.machine.cancel(now, Some("enough"));
                }
                while let Some(action) = self.machine.poll_action() {
                    worked = true;
                    match action {
                        download::Action::Chunk(chunk) => self.take(&chunk),
                        download::Action::Done => self.ends.push(Ok(())),
                        download::Action::Failed(error) | download::Action::Cancelled(error) => {
                            self.ends.push(Err(error));
                        }
                    }
                }
                worked
            }
        }
    };
}

ends!(stream::Upload, stream::Download, stream::Download::poll_timeout);
ends!(port::Upload, port::Download, |_: &port::Download| None);

fn over_stream(
    plan: [Plan; 2],
    total: usize,
    pace: Duration,
    seed: u64,
) -> (Producer<stream::Upload>, Consumer<stream::Download>) {
    let mut up = stream::Upload::new(stream::Config::default(), Instant::ZERO).unwrap();
    let mut down = stream::Download::new(stream::Config::default(), Instant::ZERO).unwrap();
    up.open(Instant::ZERO);
    up.attach(Instant::ZERO);
    down.open(Instant::ZERO);
    down.attach(Instant::ZERO);
    (Producer::new(up, plan[0], total, seed), Consumer::new(down, plan[1], pace))
}

fn over_port(
    plan: [Plan; 2],
    total: usize,
    pace: Duration,
    seed: u64,
) -> (Producer<port::Upload>, Consumer<port::Download>) {
    let up = port::Upload::new(port::Config::default(), Instant::ZERO).unwrap();
    let down = port::Download::new(port::Config::default(), Instant::ZERO).unwrap();
    (Producer::new(up, plan[0], total, seed), Consumer::new(down, plan[1], pace))
}

const WHOLE: [Plan; 2] = [Plan::Whole, Plan::Whole];

fn link(delay: Duration, cut_after: Option<usize>, seed: u64) -> Link {
    Link::new(Weather { delay, cut_after, room: 100_000, ..Weather::default() }, seed)
}

/// TRANSFER-2, TRANSFER-9, TRANSFER-13: the high-water mark holds, whatever the paces, and everything arrives.
#[test]
fn transfer_9_10_megabytes_never_hold_more_than_the_mark() {
    for (seed, total, pace) in [
        (1, 10_000_000, Duration::ZERO),
        (2, 10_000_000, Duration::from_millis(3)),
        (3, 3_000_000, Duration::from_millis(200)),
        (4, 32 << 20, Duration::ZERO),
    ] {
        let (mut up, mut down) = over_stream(WHOLE, total, pace, seed);
        link(Duration::from_millis(2), None, seed).run(&mut up, &mut down);
        assert_eq!((up.ends, down.ends, down.got), (vec![Ok(())], vec![Ok(())], total));
        assert!(up.most <= MARK && down.most <= MARK, "{} {}", up.most, down.most);
        assert!(up.most > MARK / 2 && down.most > MARK / 2, "and it is used");
        let (mut up, mut down) = over_port(WHOLE, total, pace, seed);
        link(Duration::from_millis(2), None, seed).run(&mut up, &mut down);
        assert_eq!((up.ends, down.ends, down.got), (vec![Ok(())], vec![Ok(())], total));
        assert!(up.most <= MARK && down.most <= MARK, "{} {}", up.most, down.most);
    }
}

/// TRANSFER-15: without a pull, the producer gets rid of what both ends and the way hold, and no more.
#[test]
fn transfer_15_a_consumer_that_does_not_pull_stops_the_producer() {
    let never = Plan::Cancel(0);
    for seed in 0..5 {
        // It cancels at once, but only after everything has come to rest: by a pull that never comes.
        let (mut up, mut down) = over_stream([Plan::Whole, Plan::Whole], 10_000_000, Duration::ZERO, seed);
        (down.waiting, down.plan, down.said) = (true, never, true);
        let mut quiet = link(Duration::ZERO, None, seed);
        quiet.run(&mut up, &mut down);
        assert_eq!((down.got, down.came), (0, MARK));
        assert!(up.pushed <= 2 * MARK, "{}", up.pushed);
        let (mut up, mut down) = over_port([Plan::Whole, Plan::Whole], 10_000_000, Duration::ZERO, seed);
        (down.waiting, down.plan, down.said) = (true, never, true);
        link(Duration::ZERO, None, seed).run(&mut up, &mut down);
        assert!(down.got == 0 && down.came <= MARK && up.pushed <= 3 * MARK, "{} {}", down.came, up.pushed);
    }
}

/// What has to hold at the end, however it came.
fn check(
    up: (&[Result<(), Error>], Plan, usize),
    down: (&[Result<(), Error>], Plan, usize),
    calm: bool,
    why: &str,
) {
    let (Ok([up_end]), Ok([down_end])) =
        (<&[Result<(), Error>; 1]>::try_from(up.0), <&[Result<(), Error>; 1]>::try_from(down.0))
    else {
        panic!("{why}: one terminal action each, not {up:?} {down:?}");
    };
    assert!(down.2 <= up.2, "{why}");
    if down_end.is_ok() {
        assert!(up.1 == Plan::Whole && down.2 == up.2, "{why}: done means everything");
    }
    if let Err(error) = up_end {
        assert!(error.blame() != Blame::Caller || matches!(error, Error::Aborted { .. }), "{why}: {error:?}");
    }
    if !calm {
        return;
    }
    match (up.1, down.1) {
        (Plan::Whole, Plan::Whole) => assert!(up_end.is_ok() && down_end.is_ok(), "{why}"),
        (Plan::Error(_), Plan::Whole) => {
            assert_eq!(down.2, up.2, "{why}: nothing is lost before the terminal");
            assert!(matches!(up_end, Err(Error::Aborted { .. })), "{why}: {up_end:?}");
            let told = down_end.as_ref().unwrap_err().to_string();
            assert!(told.contains("broken"), "{why}: {told}");
        }
        (Plan::Abort(_), Plan::Whole) => {
            let told = down_end.as_ref().unwrap_err().to_string();
            assert!(told.contains("given up"), "{why}: {told}");
        }
        (_, Plan::Cancel(at)) if down.2 >= at => {
            let cancelled = matches!(down_end, Err(Error::Cancelled { .. }));
            assert!(cancelled || down.2 == up.2, "{why}: {down_end:?}");
        }
        _ => {}
    }
}

/// TRANSFER-5, TRANSFER-10, TRANSFER-11: every way to end, at any moment, on any link, cut anywhere.
#[test]
fn transfer_12_each_end_has_one_terminal_action_whatever_happens() {
    for seed in 0..600 {
        let mut rng = Rng::new(seed);
        let total = rng.below(400_000);
        let mut at = |plan: fn(usize) -> Plan| plan(rng.below(400_000));
        let ours = [Plan::Whole, at(Plan::Error), at(Plan::Abort)][seed as usize % 3];
        let theirs = [Plan::Whole, at(Plan::Cancel)][seed as usize / 3 % 2];
        let cut = (seed % 4 == 3).then(|| rng.below(400_000));
        let pace = Duration::from_millis([0, 1, 50][rng.below(3)]);
        let delay = Duration::from_micros([0, 500, 20_000][rng.below(3)]);
        let why = format!("seed {seed}, {ours:?} {theirs:?}, cut {cut:?}");
        let (mut up, mut down) = over_stream([ours, theirs], total, pace, seed);
        link(delay, cut, seed).run(&mut up, &mut down);
        assert!(up.most <= MARK && down.most <= MARK);
        let calm = cut.is_none();
        check((&up.ends, ours, up.pushed), (&down.ends, theirs, down.got), calm, &why);
        let (mut up, mut down) = over_port([ours, theirs], total, pace, seed);
        link(delay, cut, seed).run(&mut up, &mut down);
        assert!(up.most <= MARK && down.most <= MARK);
        check((&up.ends, ours, up.pushed), (&down.ends, theirs, down.got), calm, &why);
    }
}
