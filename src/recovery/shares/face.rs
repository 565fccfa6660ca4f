//! What a job is set up with, what it asks, and what it comes to.

use alloc::vec::Vec;
use core::time::Duration;

use crate::limits;

/// How a job is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Units in a peer's first share; 0 counts as 1. Default 1.
    pub first_share: usize,
    /// No share is larger. Default 64.
    pub max_share: usize,
    /// A peer is slow when another one, that has nothing to do and has what it is at, was more than so many times as
    /// fast. Default 3; below 1 counts as 1.
    pub slower: u32,
    /// No share is taken away sooner than this after it was given. Default 2 seconds.
    pub patience: Duration,
    /// What a share is to take: each is as large as the last one's pace says, from half to twice its size. So much of a
    /// peer's work is lost when it dies. Default half a second.
    pub span: Duration,
    /// As long as no share is finished, only one peer at a time has one, for so long at the most: where the units have
    /// much in common, it comes once and not from each of them. Default zero: all begin at once.
    pub lead: Duration,
    /// Units in all. Default [`limits::SHARE_UNITS`].
    pub max_units: usize,
    /// Peers in all, those that are gone included. Default [`limits::SHARE_PEERS`].
    pub max_peers: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            first_share: 1,
            max_share: 64,
            slower: 3,
            patience: Duration::from_secs(2),
            span: Duration::from_millis(500),
            lead: Duration::ZERO,
            max_units: limits::SHARE_UNITS,
            max_peers: limits::SHARE_PEERS,
        }
    }
}

/// A peer's number, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub(super) usize);

/// What the driver must do, or what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<K> {
    /// Have this peer bring these units. Answer: [`Shares::finished`](super::Shares::finished) or
    /// [`Shares::failed`](super::Shares::failed).
    Fetch {
        /// The peer.
        peer: PeerId,
        /// Its share.
        units: Vec<K>,
    },
    /// This peer's share went to another one: stop it. It may be given another share at once.
    Cancel {
        /// The peer.
        peer: PeerId,
    },
    /// It is over. Terminal.
    Finished(Outcome<K>),
}

/// What a job came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<K> {
    /// What nobody brought, in the order in which it was wanted; nothing when the job is complete.
    pub missing: Vec<K>,
    /// What each peer did, in the order in which they came.
    pub peers: Vec<Work>,
}

/// What one peer did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Units that it brought.
    pub units: usize,
    /// Bytes that it moved, those of shares that were taken from it included.
    pub bytes: u64,
    /// Time it was busy.
    pub busy: Duration,
    /// Shares that it gave back.
    pub given_back: usize,
}

/// A verb that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The job is over.
    #[error("`{verb}` after the end of the job")]
    Ended {
        /// The verb.
        verb: &'static str,
    },
    /// That peer has no share, or never was.
    #[error("`{verb}` for a peer that has no share")]
    NotBusy {
        /// The verb.
        verb: &'static str,
    },
    /// More units or peers than are kept track of.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}
