//! A file over a credit stream on a mux, on a serial line at 115200 baud, without an operating system.
//!
//! Sender and receiver are in one program here, as there is no second board: each is a [`Node`] with a session, and
//! two [`Line`]s join them. The loop is that of firmware: a tick of a millisecond, in which each node takes what the
//! line brought, does what its session asks for and fills its transmit ring. Nothing blocks and nothing waits.
//!
//! Memory is a static heap of 64 KiB for everything: both sessions, what they buffer, and the program around it. The
//! file is never in memory: the sender makes it as it goes, and the receiver checks it as it comes.
#![no_std]

extern crate alloc;

mod heap;
mod uart;

// A serial line has no end, and flash is taken to last: nothing closes or fails here.
#[allow(dead_code)]
#[path = "../../drive/session.rs"]
mod session;

use bytes::{Buf, Bytes, BytesMut};
use portline::{Instant, Transmit};
use session::{Action, Config, Session};
use uart::Line;

pub use heap::SIZE as HEAP_SIZE;
pub use session::Error;
pub use uart::BAUD;

#[global_allocator]
static HEAP: heap::Heap = heap::Heap::new();

/// A window of 2 KiB is the line's bytes of 180 ms: much more than the answer takes, so the line never idles.
const CONFIG: Config = Config { window: 2048, chunk: 256 };

/// How it went.
#[derive(Debug)]
pub struct Report {
    /// Bytes of the file that came and were right.
    pub bytes: u64,
    /// Ticks of a millisecond.
    pub ticks: u64,
    /// Bytes on the line, from the sender and from the receiver.
    pub carried: [u64; 2],
    /// The most bytes of the heap in use at once.
    pub heap_peak: usize,
    /// Bytes of the heap in use before and after.
    pub heap_used: [usize; 2],
}

/// Why it did not go well.
#[derive(Debug)]
pub enum Failure {
    /// A session failed.
    Session(Error),
    /// The byte at this place of the file is another one, or the file ended there.
    Content(u64),
    /// It took more ticks than this, many more than the line needs.
    Late(u64),
}

/// The byte at a place of the file: firmware would ask its flash.
fn content(place: u64) -> u8 {
    let mixed = place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8
}

/// One side: its session and what it is writing.
struct Node {
    session: Session,
    out: Transmit,
    /// Bytes of the file that were read or stored.
    done: u64,
    finished: bool,
}

impl Node {
    fn new(session: Session) -> Self {
        Self { session, out: Transmit::new(Bytes::new()), done: 0, finished: false }
    }

    /// One turn: what came in, what the session asks for, what fits into the transmit ring.
    fn turn(&mut self, now: Instant, input: &[u8], line: &mut Line, size: u64) -> Result<(), Failure> {
        if !input.is_empty() {
            self.session.handle_bytes(now, Bytes::copy_from_slice(input));
        }
        // In every turn: before its time it only tells the time, and what leaves now begins to wait now.
        self.session.handle_timeout(now);
        loop {
            // First what the session has to say, as far as the ring has room: that is the backpressure.
            self.transmit(line);
            match self.session.poll_action() {
                Some(Action::Read(at_most)) => {
                    let end = size.min(self.done + at_most as u64);
                    let chunk: BytesMut = (self.done..end).map(content).collect();
                    self.done = end;
                    self.session.chunk(now, chunk.freeze());
                }
                Some(Action::Store(data)) => {
                    for byte in data {
                        if byte != content(self.done) || self.done >= size {
                            return Err(Failure::Content(self.done));
                        }
                        self.done += 1;
                    }
                    self.session.stored(now);
                }
                Some(Action::Complete) if self.done != size => return Err(Failure::Content(self.done)),
                Some(Action::Complete) => self.session.accept(now),
                Some(Action::Finished) => self.finished = true,
                Some(Action::Failed(error)) => return Err(Failure::Session(error)),
                None => return Ok(()),
            }
        }
    }

    /// Fills the transmit ring.
    fn transmit(&mut self, line: &mut Line) {
        loop {
            if !self.out.has_remaining() {
                let Some(message) = self.session.poll_transmit() else { return };
                self.out = message;
            }
            match line.write(self.out.chunk()) {
                0 => return,
                count => self.out.advance(count),
            }
        }
    }
}

/// Sends a file of so many bytes from one node to the other.
///
/// # Errors
/// [`Failure`].
pub fn run(size: u64) -> Result<Report, Failure> {
    let before = HEAP.used();
    let mut report = transfer(size)?;
    report.heap_used = [before, HEAP.used()];
    report.heap_peak = HEAP.peak();
    Ok(report)
}

fn transfer(size: u64) -> Result<Report, Failure> {
    let start = Instant::ZERO;
    let mut sender = Node::new(Session::sender(CONFIG, start).map_err(Failure::Session)?);
    let mut receiver = Node::new(Session::receiver(CONFIG, start).map_err(Failure::Session)?);
    let (mut there, mut back) = (Line::new(), Line::new());
    let (mut to_receiver, mut to_sender) = ([0; 16], [0; 16]);
    // Ten times what the line takes for the bytes alone, and a second.
    let limit = size.saturating_add(1000);
    for tick in 1..=limit {
        let now = Instant::from_millis(tick);
        let came = back.tick(&mut to_sender);
        sender.turn(now, came, &mut there, size)?;
        let came = there.tick(&mut to_receiver);
        receiver.turn(now, came, &mut back, size)?;
        if sender.finished && receiver.finished {
            return Ok(Report {
                bytes: receiver.done,
                ticks: tick,
                carried: [there.carried, back.carried],
                heap_peak: 0,
                heap_used: [0; 2],
            });
        }
    }
    Err(Failure::Late(limit))
}
