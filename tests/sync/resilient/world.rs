//! Two repositories, the connections between them and what the network does to these.

use super::*;
use crate::toy;

/// What the network does to one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// Connecting fails.
    Refused,
    /// It is never answered.
    Unanswered,
    /// After so many messages it closes, for both sides at times of their own.
    Cut(u64),
    /// After so many messages nothing arrives any more, and nobody is told.
    Stall(u64),
    /// It is answered so many microseconds later: perhaps when it was given up, and another one made.
    Late(u64),
    /// This one message vanishes, and those behind it arrive.
    Lost(u64),
    /// After so many messages the serving side sees an end; what it sends still arrives.
    HalfClosed(u64),
    /// After so many messages the driving side sees an end; what it has sent still arrives.
    HalfClosedBack(u64),
}

impl Fault {
    pub(super) fn of(rng: &mut Rng, rate: usize) -> Self {
        if rng.below(100) >= rate {
            return Self::None;
        }
        let messages = 1 + rng.below(60) as u64;
        match rng.below(20) {
            0 | 1 => Self::Refused,
            2 => Self::Unanswered,
            3 => Self::Late(1_000_000 * rng.below(60) as u64),
            4..=9 => Self::Cut(messages),
            10..=14 => Self::Stall(messages),
            15 => Self::Lost(messages),
            16 | 17 => Self::HalfClosed(messages),
            _ => Self::HalfClosedBack(messages),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Connected,
    Refused,
    ToLeft(Bytes),
    ToRight(Bytes),
    LeftClosed,
    RightClosed,
}

/// One connection and who serves it.
pub(super) struct Line {
    pub(super) server: Right,
    pub(super) fault: Fault,
    pub(super) carried: u64,
    /// Messages arrive in the order in which they were sent.
    pub(super) arrival: [u64; 2],
}

pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) rate: usize,
    /// What happens to the first connections; to those after them what `rate` says.
    pub(super) script: VecDeque<Fault>,
    /// The hook of the serving side.
    pub(super) refuses: Option<fn(&RefName) -> bool>,
    pub(super) retries: u32,
    pub(super) now: u64,
    pub(super) sequence: u64,
    pub(super) events: BTreeMap<(u64, u64), (usize, Event)>,
    pub(super) left: ResilientSync,
    pub(super) left_repo: Repo,
    pub(super) right_repo: Repo,
    pub(super) pack: BytesMut,
    pub(super) moves: Moves,
    pub(super) lines: Vec<Line>,
    /// The one that the left side uses.
    pub(super) present: Option<usize>,
    pub(super) end: Option<Result<Outcome, Box<Failure>>>,
    /// When that was.
    pub(super) ended: u64,
    pub(super) trace: Vec<String>,
    /// Bytes of packs that came, or were built.
    pub(super) packs: usize,
}

pub(super) fn micros(instant: Instant) -> u64 {
    instant.as_micros()
}

impl World {
    pub(super) fn new(seed: u64, rate: usize, retries: u32) -> Self {
        let (left_repo, right_repo, base) = diverged();
        let mut config = Config { sync: config(Strategy::PreferLocal, base), ..Config::default() };
        config.recovery.backoff.seed = seed;
        config.recovery.backoff.retries = retries;
        config.recovery.backoff.deadline = Some(DEADLINE);
        Self {
            rng: Rng::new(seed),
            rate,
            script: VecDeque::new(),
            refuses: None,
            retries,
            now: 0,
            sequence: 0,
            events: BTreeMap::new(),
            left: ResilientSync::new(config, Instant::ZERO).unwrap(),
            left_repo,
            right_repo,
            pack: BytesMut::new(),
            moves: Moves::default(),
            lines: Vec::new(),
            present: None,
            end: None,
            ended: 0,
            trace: Vec::new(),
            packs: 0,
        }
    }

    pub(super) fn at(&self) -> Instant {
        Instant::from_micros(self.now)
    }

    pub(super) fn after(&mut self, delay: u64, line: usize, event: Event) {
        self.sequence += 1;
        self.events.insert((self.now + delay, self.sequence), (line, event));
    }

    pub(super) fn delay(&mut self) -> u64 {
        200 + self.rng.below(40_000) as u64
    }

    /// Sends a message over `line`, if what is wrong with it lets it pass.
    pub(super) fn send(&mut self, line: usize, to_left: bool, message: Bytes) {
        let delay = self.delay();
        let one = &mut self.lines[line];
        one.carried += 1;
        match one.fault {
            Fault::Cut(at) | Fault::Stall(at) if one.carried > at => return,
            Fault::HalfClosed(at) if one.carried > at && !to_left => return,
            Fault::HalfClosedBack(at) if one.carried > at && to_left => return,
            Fault::Lost(at) if one.carried == at => return,
            _ => {}
        }
        let arrival = &mut one.arrival[usize::from(to_left)];
        *arrival = (self.now + delay).max(*arrival);
        let delay = *arrival - self.now;
        let (right_ends, left_ends) = match one.fault {
            Fault::Cut(at) => (one.carried == at, one.carried == at),
            Fault::HalfClosed(at) => (one.carried == at, false),
            Fault::HalfClosedBack(at) => (false, one.carried == at),
            _ => (false, false),
        };
        self.after(delay, line, if to_left { Event::ToLeft(message) } else { Event::ToRight(message) });
        // Each side hears of it at its own time: before what is on its way to it, perhaps.
        for (ends, event) in [(right_ends, Event::RightClosed), (left_ends, Event::LeftClosed)] {
            if ends {
                let delay = self.delay();
                self.after(delay, line, event);
            }
        }
    }

    pub(super) fn note(&mut self, what: impl std::fmt::Debug) {
        self.trace.push(format!("{} {what:?}", self.now));
    }

    pub(super) fn act(&mut self) {
        let now = self.at();
        while let Some(action) = self.left.poll_action() {
            match action {
                Action::Connect { attempt } => {
                    self.note(("connect", attempt));
                    self.connect();
                }
                Action::Disconnect => {
                    self.note("disconnect");
                    // Whole at every break, and not only at the end.
                    commits(&self.left_repo);
                    commits(&self.right_repo);
                    self.pack.clear();
                    if let Some(line) = self.present.take() {
                        // The other side hears of it at some time: perhaps after the next connection was made.
                        let delay = 1_000 * self.rng.below(20_000) as u64;
                        self.after(delay, line, Event::RightClosed);
                    }
                }
                Action::Wait { until } => self.note(("wait", until)),
                Action::AskRetry => self.left.may_retry(now, true).unwrap(),
                Action::Sync(action) => {
                    self.packs += match &action {
                        sync::Action::Pack(bytes) => bytes.len(),
                        sync::Action::BuildPack(request) => self.left_repo.pack(request).len(),
                        _ => 0,
                    };
                    let Some(machine) = self.left.session() else { continue };
                    toy::answer(machine, &mut self.left_repo, &mut self.pack, &self.moves, now, action);
                }
                Action::Finished(outcome) => {
                    self.ended = self.now;
                    assert!(self.end.replace(Ok(outcome)).is_none(), "one end");
                }
                Action::Failed(failure) => {
                    self.ended = self.now;
                    assert!(self.end.replace(Err(Box::new(failure))).is_none(), "one end");
                }
            }
        }
    }

    pub(super) fn connect(&mut self) {
        let fault = self.script.pop_front().unwrap_or_else(|| Fault::of(&mut self.rng, self.rate));
        self.note(fault);
        let mut server = Right::new(Repo::default(), &peer::Config::default());
        server.refuses = self.refuses;
        self.lines.push(Line { server, fault, carried: 0, arrival: [0; 2] });
        let line = self.lines.len() - 1;
        self.present = Some(line);
        let delay = self.delay();
        match fault {
            Fault::Refused => self.after(delay, line, Event::Refused),
            Fault::Unanswered => {}
            Fault::Late(late) => self.after(delay + late, line, Event::Connected),
            _ => self.after(delay, line, Event::Connected),
        }
    }

    /// Lets one serving side work on the shared repository.
    pub(super) fn serve(&mut self, line: usize) {
        let now = self.at();
        mem::swap(&mut self.lines[line].server.repo, &mut self.right_repo);
        while self.lines[line].server.act(now) {}
        mem::swap(&mut self.lines[line].server.repo, &mut self.right_repo);
        while let Some(message) = self.lines[line].server.machine.poll_transmit() {
            self.send(line, true, message.into_bytes());
        }
    }

    pub(super) fn handle(&mut self, line: usize, event: Event) {
        let now = self.at();
        let is_present = self.present == Some(line);
        let server = &mut self.lines[line].server;
        match event {
            Event::Connected if is_present => self.left.connected(now).unwrap(),
            Event::Refused if is_present => {
                self.left.connect_failed(now, Bytes::from_static(b"refused")).unwrap();
            }
            Event::ToLeft(message) if is_present => self.left.handle_message(now, message),
            Event::LeftClosed if is_present => self.left.handle_closed(now),
            Event::ToRight(message) => drop(server.machine.handle_message(now, message)),
            Event::RightClosed => drop(server.machine.handle_closed(now)),
            // Of a connection that was given up.
            Event::Connected | Event::Refused | Event::ToLeft(_) | Event::LeftClosed => {}
        }
    }

    /// Runs to the end, and then until nothing is on its way any more.
    pub(super) fn run(mut self) -> Self {
        self.act();
        loop {
            let timer = self.left.poll_timeout().map(|at| micros(at).max(self.now));
            let first = self.events.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = timer.into_iter().chain(first).min() else { break };
            assert!(
                next < 4 * DEADLINE.as_micros() as u64,
                "a deadline that does not move forward stops the clock"
            );
            self.now = next;
            if first == Some(next) {
                if let Some((_, (line, event))) = self.events.pop_first() {
                    self.handle(line, event);
                    self.serve(line);
                }
            } else {
                self.left.handle_timeout(self.at());
            }
            self.act();
            while let Some(message) = self.left.poll_transmit() {
                if let Some(line) = self.present {
                    self.send(line, false, message.into_bytes());
                }
            }
            self.act();
        }
        self
    }
}
