//! Pushing: the two ends of `git-receive-pack`, in versions 0 and 1 (version 2 has no push).
//!
//! ```text
//!   client                              server
//!   [request]              ──►
//!                          ◄──  [version 1], refs, .have, flush
//!   commands, flush        ──►
//!   [push options, flush]  ──►
//!   [pack, unframed]       ──►
//!                          ◄──  unpack, ok | ng for each ref, flush
//! ```
//!
//! - [`Command`] is one line of what is asked: create, update or delete a ref, from the value the client saw.
//! - [`client::Client`] asks the driver for commands and for a pack, and believes only a complete report.
//! - [`server::Server`] asks the driver to store the pack and to move the refs, and reports each of them.
//! - [`Certificate`] is a push that its author has signed.
//! - [`report::Report`] is the outcome of a push as the server tells it.
//!
//! Rules: `spec/06-push.md`.

mod certificate;
pub mod client;
mod command;
mod exchange;
mod received;
pub mod report;
pub mod server;
mod status;

pub use certificate::{Certificate, NonceStatus};
pub use command::{Change, Command};
