//! The event loop: one thread owns the machine, everything that blocks is a thread that posts events to it.
//!
//! ```text
//!   reader thread ── Input ──►┐                      ┌─ advance: actions are answered, workers get their permits
//!   writer thread ── Written ►├─ one bounded channel ┤─ one write a turn: all that poll_transmit yields
//!   child threads ── Work ───►┘   (recv_timeout)     └─ one read, if the machine wants input
//! ```
//!
//! Nothing is ever read ahead of the machine: the reader reads once for each permit, and the loop gives a
//! permit only while `wants_input`. Nothing is ever written ahead of the peer: the loop asks the machine for
//! output only when the last write is done. The loop itself blocks nowhere but in `recv`, so no circle of
//! full pipes can close.

use std::io::ErrorKind::TimedOut;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time;

use bytes::Bytes;
use portline::git::ObjectId;
use portline::{Instant, Transmit};

use super::after::After;
use super::connection::{Connection, Streams};
use super::error::Error;
use super::incoming::Found;
use super::update::Results;

#[allow(unused_imports, reason = "each example uses its own part")]
pub use super::session::{Driver, GitSession, Machine, ended};

/// Events that may wait. Every producer has a permit for what it posts, except messages for the user.
const EVENTS: usize = 64;
/// Bytes gathered into one write.
const WRITE: usize = 256 << 10;
/// How long to wait for our last bytes to be taken, and then for the peer's close.
const LINGER: time::Duration = time::Duration::from_secs(5);
/// What a peer may still send in that time.
const LINGER_BYTES: usize = 16 << 20;

/// What the loop is woken by.
#[derive(Debug)]
pub enum Event {
    /// Bytes from the peer.
    Input(Bytes),
    /// The peer's direction has ended: well, or because the connection broke.
    InputEnded,
    /// The last write is done.
    Written,
    /// The last write failed; no other will succeed.
    WriteFailed(std::io::Error),
    /// One of the session's own workers.
    Work(Work),
}

/// What a session's workers have to say.
#[derive(Debug)]
pub enum Work {
    /// The next bytes of a pack being built.
    PackChunk {
        /// Which builder posts it.
        builder: u64,
        /// The piece.
        bytes: Bytes,
    },
    /// A pack that the peer fetches elsewhere; before any piece of the one being built.
    PackUri {
        /// Which builder posts it.
        builder: u64,
        /// The pack's hash.
        pack: ObjectId,
        /// Where it is.
        uri: Bytes,
    },
    /// All of the pack has been read from its builder.
    PackEnded {
        /// Which builder posts it.
        builder: u64,
    },
    /// The pack begins with what the peer holds: the pieces go on behind that.
    PackResumes {
        /// Which builder posts it.
        builder: u64,
    },
    /// It does not, and this builder has nothing more to say.
    PackDiffers {
        /// Which builder posts it.
        builder: u64,
    },
    /// A message for the user: a child's progress or complaint, a hook's output.
    Message(Bytes),
    /// What was kept of the pack that is going to come.
    PartFound(Box<Found>),
    /// The store has written one piece of the pack to its program.
    PieceTaken,
    /// The program that stores the pack has read all of it and works on.
    PackRead,
    /// The program that stores the pack has ended.
    StoreEnded,
    /// The refs have been dealt with: one result for each command, and what is left to be done.
    RefsUpdated(Results, Option<Box<After>>),
    /// What was left to be done is done.
    AfterDone,
}

/// Where workers post.
#[derive(Clone, Debug)]
pub struct Mailbox(SyncSender<Event>);

impl Mailbox {
    /// A mailbox, and where its events come out.
    pub(super) fn channel() -> (Self, Receiver<Event>) {
        let (sender, events) = sync_channel(EVENTS);
        (Self(sender), events)
    }

    /// Posts; waits while the loop is behind. `false`: the loop is gone, and so is the use of going on.
    pub fn post(&self, work: Work) -> bool {
        self.event(Event::Work(work))
    }

    pub(super) fn event(&self, event: Event) -> bool {
        self.0.send(event).is_ok()
    }
}

/// What the loop drives: a machine and whoever answers its actions.
pub trait Session {
    /// Bytes from the peer.
    fn handle_bytes(&mut self, now: Instant, bytes: Bytes);
    /// The peer's direction has ended.
    fn handle_closed(&mut self, now: Instant);
    /// A deadline may have come.
    fn handle_timeout(&mut self, now: Instant);
    /// A worker has something.
    ///
    /// # Errors
    /// What makes going on impossible; the loop ends with it.
    fn handle_work(&mut self, now: Instant, work: Work) -> Result<(), Error>;
    /// Answers the actions that are there and gives workers their permits.
    ///
    /// # Errors
    /// As [`Session::handle_work`].
    fn advance(&mut self, now: Instant) -> Result<(), Error>;
    /// All output that there was has been written.
    fn drained(&mut self) {}
    /// The next bytes to send.
    fn poll_transmit(&mut self) -> Option<Transmit>;
    /// When [`Session::handle_timeout`] is due.
    fn poll_timeout(&self) -> Option<Instant>;
    /// Whether to read on.
    fn wants_input(&self) -> bool;
    /// Whether a worker is going to post.
    fn is_busy(&self) -> bool;
    /// Whether all is over but for what `poll_transmit` still holds.
    fn is_done(&self) -> bool;
    /// Whether there is no point in going on when the peer takes nothing any more: so it is with a server. A
    /// client whose words are not taken may have its answer all the same.
    fn lives_by_output(&self) -> bool {
        false
    }
}

/// The caller's clock for the machines: microseconds since it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock(time::Instant);

impl Clock {
    /// A clock at zero.
    pub fn start() -> Self {
        Self(time::Instant::now())
    }

    /// The time.
    pub fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}

/// How the loop stands with its connection.
#[derive(Debug, Default)]
struct Traffic {
    reading: bool,
    writing: bool,
    input_ended: bool,
    broken: Option<std::io::Error>,
}

/// A connection with its threads, ready to run a session.
#[derive(Debug)]
pub struct Drive {
    streams: Streams,
    events: Receiver<Event>,
    mailbox: Mailbox,
    clock: Clock,
    traffic: Traffic,
}

impl Drive {
    /// Starts the threads of `connection`.
    pub fn new(connection: Connection) -> Self {
        Self::with_clock(connection, Clock::start())
    }

    /// The same for a session that outlives its connection, and so goes by a clock of its own.
    pub fn with_clock(connection: Connection, clock: Clock) -> Self {
        let (mailbox, events) = Mailbox::channel();
        let streams = connection.start(&mailbox);
        Self { streams, events, mailbox, clock, traffic: Traffic::default() }
    }

    /// Where the session's workers post.
    pub fn mailbox(&self) -> Mailbox {
        self.mailbox.clone()
    }

    /// The time by the session's clock.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Runs `session` to its end, then closes the connection.
    ///
    /// # Errors
    /// What the session's driver failed with, [`Error::Io`] when a server's peer went away before the end,
    /// [`Error::Stalled`]. How the machine itself ended is for the session to tell.
    pub fn run(mut self, session: &mut impl Session) -> Result<(), Error> {
        loop {
            session.advance(self.clock.now())?;
            self.write(session);
            if session.is_done() && !self.traffic.writing {
                break;
            }
            if self.traffic.broken.is_some() && session.lives_by_output() {
                break;
            }
            if !self.traffic.writing {
                session.drained();
            }
            self.read(session);
            let event = self.next_event(session)?;
            self.handle(session, event)?;
        }
        let broken = self.traffic.broken.take();
        self.close();
        match broken.filter(|_| session.lives_by_output()) {
            Some(source) => Err(Error::Io { what: "the peer went away", source }),
            None => Ok(()),
        }
    }

    /// One write with all that there is, when the last one is done.
    fn write(&mut self, session: &mut impl Session) {
        if self.traffic.writing {
            return;
        }
        let (mut turn, mut bytes) = (Vec::new(), 0_usize);
        while bytes < WRITE {
            let Some(transmit) = session.poll_transmit() else { break };
            bytes = bytes.saturating_add(transmit.len());
            turn.push(transmit);
        }
        // To a peer that is gone, output is made and dropped: its last words may still be on their way to us.
        if !turn.is_empty() && self.traffic.broken.is_none() {
            self.traffic.writing = self.streams.write(turn);
        }
    }

    fn read(&mut self, session: &impl Session) {
        if !self.traffic.reading && !self.traffic.input_ended && session.wants_input() {
            self.traffic.reading = self.streams.read();
        }
    }

    fn next_event(&self, session: &impl Session) -> Result<Option<Event>, Error> {
        let waiting = self.traffic.reading || self.traffic.writing || session.is_busy();
        if session.is_done() {
            // Only the last write is left, and the machine's clock has stopped.
            let event = self.events.recv_timeout(LINGER).map(Some);
            return event.map_err(|_| Error::io("the peer does not take the last bytes")(TimedOut.into()));
        }
        match session.poll_timeout() {
            Some(deadline) => {
                let wait = deadline.saturating_duration_since(self.clock.now());
                match self.events.recv_timeout(wait) {
                    Ok(event) => Ok(Some(event)),
                    Err(RecvTimeoutError::Timeout) => Ok(None),
                    Err(RecvTimeoutError::Disconnected) => Err(Error::Stalled),
                }
            }
            None if waiting => self.events.recv().map(Some).map_err(|_| Error::Stalled),
            None => self.events.try_recv().map(Some).map_err(|_| Error::Stalled),
        }
    }

    fn handle(&mut self, session: &mut impl Session, event: Option<Event>) -> Result<(), Error> {
        let now = self.clock.now();
        match event {
            None => session.handle_timeout(now),
            Some(Event::Input(bytes)) => {
                self.traffic.reading = false;
                session.handle_bytes(now, bytes);
            }
            Some(Event::InputEnded) => {
                self.traffic.reading = false;
                self.traffic.input_ended = true;
                session.handle_closed(now);
            }
            Some(Event::Written) => self.traffic.writing = false,
            Some(Event::WriteFailed(error)) => {
                self.traffic.writing = false;
                self.traffic.broken = Some(error);
            }
            Some(Event::Work(work)) => session.handle_work(now, work)?,
        }
        Ok(())
    }

    /// Ends our direction and waits for the peer to end its own, within bounds: closing a socket with unread
    /// input would reset the connection and could take our last bytes from the peer.
    fn close(mut self) {
        self.streams.end_output();
        let (start, mut taken) = (time::Instant::now(), 0_usize);
        while !self.traffic.input_ended && taken < LINGER_BYTES && self.streams.lingers() {
            if !self.traffic.reading {
                self.traffic.reading = self.streams.read();
            }
            let left = LINGER.saturating_sub(start.elapsed());
            match self.events.recv_timeout(left) {
                Ok(Event::Input(bytes)) => {
                    self.traffic.reading = false;
                    taken = taken.saturating_add(bytes.len());
                }
                Ok(Event::InputEnded) => self.traffic.input_ended = true,
                Ok(Event::Written | Event::WriteFailed(_) | Event::Work(_)) => {}
                Err(_) => break,
            }
        }
        if self.traffic.input_ended {
            self.streams.wait();
        }
    }
}
