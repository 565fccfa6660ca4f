//! Bodies that are never held whole: queues, streams of chunks, and what carries them.
//!
//! ```text
//!  producer ─► Queue ─► consumer                                      one body in one program
//!  producer ─► Upload ═══ credit stream or port stream ═══► Download ─► consumer        across a transport
//!  source ─► Readable ─► reader, or ─► Tee ─► two readers             the WHATWG rules
//! ```
//!
//! - [`queue`] bounds what waits between a producer and a consumer, in bytes and in chunks; [`registry`] holds many of
//!   them by number, for hosts that hand numbers to a guest.
//! - [`readable`] is a readable stream as the WHATWG standard describes it, with its tee.
//! - [`upload`] and [`download`] stand between a queue and a stream of any kind; [`over`] has them ready on a credit
//!   stream and on a port, with backpressure from one end to the other.
//!
//! None of these has a clock: time is the affair of the streams in [`over`]. Rules: `spec/12-body.md`,
//! `spec/13-readable.md`.

pub mod download;
pub mod over;
pub mod queue;
pub mod readable;
pub mod registry;
pub mod upload;
