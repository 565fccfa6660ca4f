//! Git sessions over a port, and the two-way sync between two peers.
//!
//! ```text
//!   ResilientSync   connect ─► TwoWaySync ─► why it broke ─► wait ─► connect
//!       │
//!   TwoWaySync   list ─► fetch ─► plan ─► update local refs ─► push      (the side that drives)
//!       │
//!   Client ══ port messages ══ Server                                    (the side that serves)
//!       │                         │
//!   fetch/push client        upload-pack, receive-pack
//! ```
//!
//! - [`Client`] and [`Server`] carry the Git machines over a [`port::Duplex`], one operation
//!   after another on one port. Their actions are the Git machines' own; their verbs are the Git machines' own
//!   too, reached through [`Client::fetch`], [`Client::push`], [`Server::fetch`], [`Server::push`].
//! - [`TwoWaySync`] makes two repositories agree: objects before refs, refs only from the value the plan saw, and
//!   what a preference overwrites stays reachable under a backup ref.
//! - [`ResilientSync`] does that over connections that break: attempt after attempt, until both sides agree or there is
//!   a reason to give up.
//! - [`MultiSourceFetch`] fetches from several Git servers at once, over whatever carries their bytes: the wants are
//!   divided among them, and what one does not bring the others do.
//!
//! Limits: those of the port and of the Git machines; nothing more is held than one block each way.
//! Rules: `spec/08-peer.md`; for the executor `spec/07-sync.md` from SYNC-40; for several sources `spec/18-recovery.md`.

pub mod client;
mod link;
pub mod multi_source;
pub mod resilient;
pub mod server;
mod session;
pub mod sync;

pub use client::Client;
pub use multi_source::MultiSourceFetch;
pub use resilient::ResilientSync;
pub use server::Server;
pub use sync::TwoWaySync;

use crate::port;

/// How a Git session uses its port.
#[derive(Clone, Debug)]
pub struct Config {
    /// The port. `sequence` and `chunk_size` are set by the session: operations follow each other, and
    /// `chunk` below bounds the blocks.
    pub port: port::Config,
    /// The largest block, in bytes: at least 1, at most `port.max_block`. Default 64 KiB (PEER-2).
    pub chunk: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { port: port::Config::default(), chunk: 64 << 10 }
    }
}

impl Config {
    /// The port this config describes.
    fn open(&self, now: crate::Instant) -> Result<link::Link, port::ConfigError> {
        let (chunk, max_block) = (self.chunk, self.port.max_block);
        if chunk == 0 {
            return Err(port::ConfigError::Zero { field: "chunk" });
        }
        if chunk > max_block {
            return Err(port::ConfigError::ChunkTooLarge { chunk_size: chunk, max_block });
        }
        let config = port::Config { sequence: true, chunk_size: None, ..self.port.clone() };
        Ok(link::Link::new(port::Duplex::new(config, now)?, chunk, self.port.ack_timeout, now))
    }
}
