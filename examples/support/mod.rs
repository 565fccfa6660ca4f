//! What the Git examples share: the repository behind a machine, and the loop in front of it.
//!
//! ```text
//!   connection   stdin/stdout, a TCP stream or a child process, as a reader and a writer thread
//!   drive        the event loop: one thread owns the machine, everything else posts events to it
//!   session      a Git machine with its driver, for that loop
//!   upload, receive, fetch, push      the four drivers: a machine's actions, answered from a repository
//!   update, policy, after             what happens to the refs of a push: settings, hooks, transactions
//!   proc_receive, certificate, border the hook that does it otherwise, signed pushes, shallow ones
//!   sign         signatures of pushes
//!   namespace    which refs a session shows
//!   repository, config, refs          a repository as Git resolves it, its settings, its refs
//!   objects, history, deepen          which objects are there, commits, reachability, where a shallow history ends
//!   pack, quarantine, hooks           packs built and stored by Git's own programs, and what guards them
//!   incoming, partial     packs on their way in, and those that broke off, kept for the next attempt
//!   outgoing              a pack on its way out
//!   shallow, promise     shallow and partial repositories: where history ends, what is left out
//!   refspec      which refs become which
//!   remote       where a client finds its server
//!   several      the loop for a fetch from several servers at once
//!   process, terminal, error          child processes, safe printing, typed errors
//! ```
//!
//! All of it is blocking `std`: threads, `std::process`, `std::net`. Object and ref work is done by Git's
//! plumbing in child processes, never through a shell. Of what a peer sends, only validated ids and ref names
//! become arguments of one; its push options reach the hooks in their environment, as Git defines it.

// Each example uses its own part of this tree.
#![allow(dead_code, unreachable_pub)]

pub mod after;
pub mod border;
pub mod certificate;
pub mod config;
pub mod connection;
pub mod deepen;
pub mod drive;
pub mod error;
pub mod fetch;
pub mod history;
pub mod hooks;
pub mod incoming;
pub mod namespace;
pub mod objects;
pub mod outgoing;
pub mod pack;
pub mod partial;
pub mod policy;
pub mod proc_receive;
pub mod process;
pub mod promise;
pub mod push;
pub mod quarantine;
pub mod receive;
pub mod refs;
pub mod refspec;
pub mod remote;
pub mod repository;
pub mod session;
pub mod several;
pub mod shallow;
pub mod sign;
pub mod terminal;
pub mod update;
pub mod upload;

pub use error::Error;
pub use repository::{Lookup, Repository};
