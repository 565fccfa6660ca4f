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
//!                  peer            a Git session over a port; the two-way sync of two repositories
//!          ┌────────┴────────┐
//!          │                sync   the decision table, ancestry, the plan
//!        port               git    object ids, refs, advertisement; fetch and push, client and server
//!        frame              pkt    5-byte header and carrier │ pkt-line and sideband
//!          └────────┬────────┘
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
//! | `handle_timeout(now)` | the time that `poll_timeout` named has come; too early does nothing |
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
//!     hand over what came         with handle_bytes / handle_closed / handle_timeout, and the time
//! }
//! ```
//!
//! Not draining `poll_transmit` *is* the backpressure: a machine whose output waits stops asking for input. Exactly
//! one action of every run is terminal (`Finished` or `Failed`). An error ends its machine, stays, and says through
//! [`Blame`] whose fault it was; a verb used at the wrong moment is an error of that verb and ends nothing. No input
//! makes a machine panic, and no peer makes it hold more than its [`limits`].
//!
//! # A first example
//!
//! The lowest layer of the Git wing: lines are written as packets, cut anywhere on the way, and read again.
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use portline::pkt::{self, Packet, Reader};
//!
//! # fn main() -> Result<(), pkt::Error> {
//! let mut turn = BytesMut::new();
//! pkt::put_line(&mut turn, &[b"want ", b"0123456789abcdef0123456789abcdef01234567"])?;
//! pkt::put_flush(&mut turn);
//! assert!(turn.starts_with(b"0032want "));
//!
//! let mut reader = Reader::new();
//! let mut wire: Bytes = turn.freeze();
//! reader.handle_bytes(wire.split_to(10)); // one read ended here
//! assert_eq!(reader.next_packet()?, None); // not yet a packet
//! reader.handle_bytes(wire); // and the rest came with the next
//! let Some(Packet::Data(line)) = reader.next_packet()? else { panic!("a line") };
//! assert!(pkt::trim_lf(&line).starts_with(b"want 01234567"));
//! assert_eq!(reader.next_packet()?, Some(Packet::Flush));
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

mod error;
pub mod frame;
pub mod git;
pub mod limits;
pub mod peer;
pub mod pkt;
pub mod port;
pub mod sync;
mod text;
pub mod time;
mod transmit;

pub use error::Blame;
pub use text::Printable;
pub use time::Instant;
pub use transmit::Transmit;
