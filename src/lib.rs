//! Protocols as pure state machines: acknowledged message ports, Git's fetch and push for client and server, and
//! the two-way synchronisation of Git repositories over any transport.
//!
//! Nothing in this crate opens a socket, reads a clock, starts a thread or touches a file. A *driver* (your program,
//! or one of those in `examples/`) moves bytes, answers the machines' questions and keeps the time; the machines
//! hold every protocol decision. That is why the same code runs over TCP, a message port, a WebSocket, a serial line
//! or inside a simulation, and why it needs only `core` and `alloc`.
//!
//! # The map
//!
//! ```text
//!                  peer            a Git session over a port; the two-way sync of two repositories; a fetch from several
//!          ┌────────┴────────┐
//!      rpc, body            sync   calls and their streams, mux; bodies and forms │ the decision table, the plan
//!    port, stream           git    object ids, refs, advertisement; fetch and push, client and server
//!        frame              pkt    5-byte header and carrier │ pkt-line and sideband
//!          └────────┬────────┘        recovery: backoff, timers, monitor, transfer, operation
//!     time  limits  Transmit  Blame
//! ```
//!
//! A module imports only what stands below it, and the two wings meet only in [`peer`]; a test holds both.
//!
//! # The drive loop
//!
//! Every machine has the same face and leaves out what it has no use for:
//!
//! | call | when |
//! |---|---|
//! | `new(config, now)` | once |
//! | `handle_message(now, bytes)` or `handle_bytes(now, bytes)` | the transport delivered a message, or some bytes in any split |
//! | `handle_closed(now)` | the transport ended |
//! | `handle_timeout(now)` | after every wait that brought no input, whatever ended it; before the time that `poll_timeout` named it only tells the time |
//! | the machine's own verbs | the application has something to say, or the answer to an action |
//! | `poll_transmit()` | until `None`, while the transport has room: what to write |
//! | `poll_action()` | until `None`: what happened, or what the driver has to do now |
//! | `poll_timeout()` | before sleeping: the next deadline, `None` for never |
//! | `wants_input()` | before reading: `false` means that a buffer is full, so leave the bytes with the transport |
//!
//! ```text
//! loop {
//!     while transport.has_room()  { write each machine.poll_transmit() }
//!     while let Some(action)      = machine.poll_action() { do it, answer with a verb }
//!     if machine.has_ended()      { break }
//!     wait for: readable, if machine.wants_input() · writable, if something waits · machine.poll_timeout()
//!     hand over what came         with handle_bytes / handle_closed, or else handle_timeout, and the time
//! }
//! ```
//!
//! The time is told by inputs and verbs and never by polls: what begins with a message that `poll_transmit` gives begins
//! at the last time told. So after a wait it is told before anything is polled, and a write that may block is a wait.
//!
//! Not draining `poll_transmit` *is* the backpressure: a machine whose output waits stops asking for input. Exactly
//! one action of every run is terminal (`Finished` or `Failed`). An error ends its machine, stays, and says through
//! [`Blame`] whose fault it was; a verb used at the wrong moment is an error of that verb and ends nothing. No input
//! makes a machine panic, and no peer makes it hold more than its [`limits`].
//!
//! # A first example
//!
//! Two machines with nothing between them but a loop: a stream of blocks crosses a port, each acknowledged when its
//! consumer is done with it. A driver for a socket is the same loop with reads and writes in it.
//!
//! ```
//! use bytes::Bytes;
//! use portline::Instant;
//! use portline::port::{Config, Receiver, Sender, receiver, sender};
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! let now = Instant::ZERO; // the driver's clock; nothing here reads another one
//! let config = Config { chunk_size: Some(4), ..Config::default() };
//! let mut sender = Sender::new(config.clone(), now)?;
//! let mut receiver = Receiver::new(config, now)?;
//!
//! sender.write(now, Bytes::from_static(b"hello, port"))?;
//! sender.finish(now);
//!
//! let (mut blocks, mut finished) = (Vec::new(), false);
//! while !finished {
//!     while let Some(message) = sender.poll_transmit() {
//!         receiver.handle_message(now, message.into_bytes())?;
//!     }
//!     while let Some(action) = receiver.poll_action() {
//!         if let receiver::Action::Block(block) = action {
//!             blocks.push(block);
//!             receiver.accept(now); // only now does the sender go on
//!         }
//!     }
//!     while let Some(acknowledgement) = receiver.poll_transmit() {
//!         sender.handle_message(now, acknowledgement.into_bytes())?;
//!     }
//!     while let Some(action) = sender.poll_action() {
//!         finished = action == sender::Action::Finished;
//!     }
//! }
//! assert_eq!(blocks, ["hell", "o, p", "ort"]);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! `std` (default) adds conveniences only: vectored writes of a [`Transmit`] through [`bytes::Buf`]. Without it the
//! crate needs an allocator and nothing else.
//!
//! The rules that the machines follow are numbered in `spec/`; each is cited by a test.
#![no_std]
#![forbid(unsafe_code)]
// In-file tests may panic: that is how they fail.
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod body;
mod error;
pub mod frame;
pub mod git;
pub mod limits;
pub mod peer;
pub mod pkt;
pub mod port;
mod random;
pub mod recovery;
pub mod rpc;
pub mod stream;
pub mod sync;
mod text;
pub mod time;
mod transmit;

pub use error::Blame;
pub use text::Printable;
pub use time::Instant;
pub use transmit::Transmit;
