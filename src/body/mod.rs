//! Bodies that are never held whole: queues, streams of chunks, what carries them, and forms.
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
//! - [`multipart`] reads and writes multipart/form-data, [`urlencoded`] forms of strings, [`form`] chooses between the
//!   two as browsers do; [`content_type`] and [`content_disposition`] are the headers that they need.
//!
//! A body crosses a port; one loop stands for the transport:
//!
//! ```
//! use bytes::Bytes;
//! use portline::Instant;
//! use portline::body::over::port::{Config, Download, Upload};
//! use portline::body::queue::Pushed;
//! use portline::body::{download, upload};
//!
//! let now = Instant::ZERO;
//! let mut upload = Upload::new(Config::default(), now)?;
//! let mut download = Download::new(Config::default(), now)?;
//! let (mut body, mut file) = (Some(Bytes::from(vec![7; 300_000])), Vec::new());
//! while !upload.has_ended() || !download.has_ended() {
//!     if let Some(chunk) = body.take_if(|_| upload.can_push()) {
//!         match upload.push(now, chunk)? {
//!             Pushed::All => upload.close(now),
//!             Pushed::Part { rest } => body = Some(rest), // 64 KiB wait: the rest later
//!         }
//!     }
//!     while let Some(block) = upload.poll_transmit() {
//!         download.handle_message(now, block.into_bytes())?;
//!     }
//!     download.pull(now).ok(); // a pull that waits still waits
//!     while let Some(action) = download.poll_action() {
//!         match action {
//!             download::Action::Chunk(chunk) => file.extend_from_slice(&chunk),
//!             download::Action::Done => {}
//!             download::Action::Failed(error) | download::Action::Cancelled(error) => return Err(error.into()),
//!         }
//!     }
//!     while let Some(answer) = download.poll_transmit() {
//!         upload.handle_message(now, answer.into_bytes())?;
//!     }
//!     while let Some(action) = upload.poll_action() {
//!         match action {
//!             upload::Action::Writable | upload::Action::Finished => {}
//!             upload::Action::Failed(error) => return Err(error.into()),
//!         }
//!     }
//! }
//! assert_eq!(file.len(), 300_000);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! None of these has a clock: time is the affair of the streams in [`over`]. Rules: `spec/12-body.md`,
//! `spec/13-readable.md`, `spec/14-multipart.md`.

pub mod content_disposition;
pub mod content_type;
pub mod download;
pub mod form;
mod input;
pub mod multipart;
pub mod over;
mod parameters;
pub mod queue;
pub mod readable;
pub mod registry;
pub mod upload;
pub mod urlencoded;
