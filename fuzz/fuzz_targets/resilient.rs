//! A two-way sync over connections that break anywhere, with any verbs between: one end, attempts within their number,
//! deadlines that move on, nothing lost on either side, and a good end means that both sides agree.
#![no_main]

#[path = "../../tests/toy/mod.rs"]
#[allow(dead_code, missing_docs)]
mod toy;

use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use portline::peer::resilient::{Action, Config, ResilientSync};
use portline::recovery::Jitter;
use portline::sync::Strategy;
use portline::{Instant, peer};
use toy::{Moves, Repo, Right, config, diverged, visible};

#[derive(Arbitrary, Debug)]
struct Input {
    retries: u8,
    deadline: Option<u16>,
    asks: bool,
    chunk: u8,
    events: Vec<Event>,
}

#[derive(Arbitrary, Debug)]
enum Event {
    Run(u8),
    Act,
    Serve,
    ToRight,
    ToLeft,
    /// The connection is made, or not.
    Connect(bool),
    /// One side, or both, hear that it is closed.
    Cut(bool, bool),
    Lose(bool),
    Forge(bool, u8, Vec<u8>),
    Wait(u32),
    Timeout,
    MayRetry(bool),
    Cancel,
}

struct World {
    now: Instant,
    left: ResilientSync,
    left_repo: Repo,
    right_repo: Repo,
    right: Option<Right>,
    pack: BytesMut,
    moves: Moves,
    connecting: bool,
    attempts: u32,
    most: u32,
    chunk: usize,
    end: Option<bool>,
}

impl World {
    /// The serving side goes, and leaves its repository.
    fn drop_right(&mut self) {
        if let Some(mut right) = self.right.take() {
            let _ = right.machine.handle_closed(self.now);
            while right.act(self.now) {}
            assert!(right.closed);
            self.right_repo = right.repo;
        }
    }

    fn connect(&mut self, good: bool) -> bool {
        // It may have been given up meanwhile: then a `Disconnect` waits.
        while self.act() {}
        if !self.connecting {
            assert!(self.left.connected(self.now).is_err(), "nothing is being connected");
            return false;
        }
        self.connecting = false;
        if !good {
            self.left.connect_failed(self.now, Bytes::from_static(b"refused")).unwrap();
            return true;
        }
        self.drop_right();
        let mut config = peer::Config::default();
        config.chunk = self.chunk;
        self.right = Some(Right::new(std::mem::take(&mut self.right_repo), &config));
        self.left.connected(self.now).unwrap();
        true
    }

    fn act(&mut self) -> bool {
        let now = self.now;
        let Some(action) = self.left.poll_action() else { return false };
        assert!(self.end.is_none(), "{action:?} after the end");
        match action {
            Action::Connect { attempt } => {
                self.attempts += 1;
                assert!(attempt == self.attempts && attempt <= self.most);
                self.connecting = true;
                self.pack.clear();
            }
            Action::Disconnect => {
                self.connecting = false;
                self.pack.clear();
                self.drop_right();
            }
            Action::Wait { until } => assert!(until >= now || self.end.is_none()),
            Action::AskRetry => {}
            Action::Sync(action) => {
                if let Some(machine) = self.left.session() {
                    let (repo, pack) = (&mut self.left_repo, &mut self.pack);
                    toy::answer(machine, repo, pack, &self.moves, now, action);
                }
            }
            Action::Finished(outcome) => {
                assert!(outcome.sync.agrees());
                self.end = Some(true);
            }
            Action::Failed(failure) => {
                assert!(failure.attempts.len() <= self.most as usize);
                self.end = Some(false);
            }
        }
        true
    }

    fn serve(&mut self) -> bool {
        let now = self.now;
        self.right.as_mut().is_some_and(|right| right.act(now))
    }

    fn to_right(&mut self, lost: bool) -> bool {
        let Some(message) = self.left.poll_transmit() else { return false };
        if let Some(right) = self.right.as_mut().filter(|_| !lost) {
            let _ = right.machine.handle_message(self.now, message.into_bytes());
        }
        true
    }

    fn to_left(&mut self, lost: bool) -> bool {
        let Some(message) = self.right.as_mut().and_then(|right| right.machine.poll_transmit()) else {
            return false;
        };
        if !lost {
            self.left.handle_message(self.now, message.into_bytes());
        }
        true
    }

    fn timeout(&mut self) {
        let Some(at) = self.left.poll_timeout() else { return };
        self.now = self.now.max(at);
        for turn in 0.. {
            assert!(turn < 32, "a deadline that has come was left standing");
            self.left.handle_timeout(self.now);
            while self.act() {}
            if self.left.poll_timeout().is_none_or(|next| next > self.now) {
                return;
            }
        }
    }

    fn turn(&mut self) -> bool {
        self.act() | self.serve() | self.to_right(false) | self.to_left(false)
    }

    fn step(&mut self, event: &Event) {
        let now = self.now;
        match event {
            Event::Run(turns) => (0..*turns).for_each(|_| _ = self.turn()),
            Event::Act => drop(self.act()),
            Event::Serve => drop(self.serve()),
            Event::ToRight => drop(self.to_right(false)),
            Event::ToLeft => drop(self.to_left(false)),
            Event::Connect(good) => drop(self.connect(*good)),
            Event::Cut(left, right) => {
                if *right {
                    self.drop_right();
                }
                if *left {
                    self.left.handle_closed(now);
                }
            }
            Event::Lose(right) => drop(if *right { self.to_right(true) } else { self.to_left(true) }),
            Event::Forge(to_left, kind, payload) => {
                let message = Bytes::from([&[kind % 5, 0, 0, 0, 0][..], payload].concat());
                if *to_left {
                    self.left.handle_message(now, message);
                } else if let Some(right) = &mut self.right {
                    let _ = right.machine.handle_message(now, message);
                }
            }
            Event::Wait(micros) => self.now = Instant::from_micros(now.as_micros() + u64::from(*micros)),
            Event::Timeout => self.timeout(),
            Event::MayRetry(may) => drop(self.left.may_retry(now, *may)),
            Event::Cancel => self.left.cancel(now),
        }
    }
}

fuzz_target!(|input: Input| {
    let (left_repo, right_repo, base) = diverged();
    let (before_left, before_right) = (left_repo.check(), right_repo.check());
    let mut config = Config { sync: config(Strategy::PreferLocal, base), ..Config::default() };
    config.sync.peer.chunk = usize::from(input.chunk) + 1;
    config.recovery.backoff.retries = u32::from(input.retries % 5);
    config.recovery.backoff.jitter = Jitter::Equal;
    config.recovery.backoff.deadline = input.deadline.map(|seconds| Duration::from_secs(seconds.into()));
    config.recovery.ask_retry = input.asks;
    let mut world = World {
        now: Instant::ZERO,
        left: ResilientSync::new(config, Instant::ZERO).unwrap(),
        left_repo,
        right_repo,
        right: None,
        pack: BytesMut::new(),
        moves: Moves::default(),
        connecting: false,
        attempts: 0,
        most: u32::from(input.retries % 5) + 1,
        chunk: usize::from(input.chunk) + 1,
        end: None,
    };
    // A forged message may carry any pack and any report: then only the machine's own promises hold.
    let honest = !input.events.iter().any(|event| matches!(event, Event::Forge(..)));
    for event in &input.events {
        world.step(event);
    }
    // From here on connections are made and hold: it comes to its end by itself.
    for turn in 0.. {
        assert!(turn < 100_000, "busy without end");
        if world.turn() || world.connect(true) {
            continue;
        }
        if world.end.is_some() {
            break;
        }
        let _ = world.left.may_retry(world.now, true);
        world.timeout();
    }
    assert!(world.left.has_ended() && world.left.poll_timeout().is_none() && world.left.session().is_none());
    world.drop_right();
    if honest {
        assert!(world.left_repo.check().is_superset(&before_left), "left lost a commit");
        assert!(world.right_repo.check().is_superset(&before_right), "right lost a commit");
        assert!(world.end == Some(false) || visible(&world.left_repo) == visible(&world.right_repo));
    }
});
