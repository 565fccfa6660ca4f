//! What a server is set up with, what it asks, and what it comes to.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::git::wire::AGENT;
use crate::git::{CapabilityError, HiddenRefs, ObjectFormat, ObjectId, PackRequest, SessionError, Version};
use crate::{Blame, limits, pkt};

/// Which objects a client may want (FETCH-35). What is refused is refused in the same words whether it is
/// hidden, unreachable or not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WantPolicy {
    /// What was advertised.
    #[default]
    Advertised,
    /// Also the tips of hidden refs (Git's `uploadpack.allowTipSHA1InWant`).
    Tips,
    /// Also what is reachable from what was advertised (`uploadpack.allowReachableSHA1InWant`). Git counts from
    /// hidden refs too; here hidden stays hidden.
    Reachable,
    /// Whatever exists (`uploadpack.allowAnySHA1InWant`).
    Any,
}

/// How a server is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The protocol version that the client asked for. 1 announces itself; 2 is answered in version 0 so far.
    pub version: Version,
    /// The repository's hash function.
    pub format: ObjectFormat,
    /// The `agent` capability; `None` says nothing. Bytes that are not printable are sent as dots.
    pub agent: Option<Bytes>,
    /// The refs that are not shown.
    pub hidden: HiddenRefs,
    /// What may be wanted.
    pub wants: WantPolicy,
    /// Whether to advertise `no-done`, as Git does over stateless transports: one round trip fewer, for drivers
    /// whose transport cannot deadlock on it. A client that sends it is served either way, as Git does.
    pub stateless_no_done: bool,
    /// `want` lines, repeated ones included.
    pub max_wants: usize,
    /// `have` lines, repeated ones included.
    pub max_haves: usize,
    /// Rounds of negotiation.
    pub max_rounds: usize,
    /// How long the peer may be silent while it is its turn. Default `None`: for ever. Time that the driver takes
    /// does not count; taking output gives the peer the same time again (GIT-13).
    pub idle_timeout: Option<Duration>,
    /// How long the pack may be silent before an empty packet tells a client with a sideband that work goes on
    /// (Git's `uploadpack.keepAlive`). `None`: never. Default 5 seconds.
    pub keep_alive: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: Version::V0,
            format: ObjectFormat::Sha1,
            agent: Some(Bytes::from_static(AGENT)),
            hidden: HiddenRefs::none(),
            wants: WantPolicy::Advertised,
            stateless_no_done: false,
            max_wants: limits::WANTS,
            max_haves: limits::HAVES,
            max_rounds: limits::ROUNDS,
            idle_timeout: None,
            keep_alive: Some(limits::KEEP_ALIVE),
        }
    }
}

/// What the driver must do, or what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// List the repository's refs; answer with [`refs_listed`](super::Server::refs_listed).
    ListRefs,
    /// Tell which of these objects exist; answer with [`objects_found`](super::Server::objects_found).
    FindObjects(Vec<ObjectId>),
    /// Tell whether all of `ids` exist and are reachable from `tips`; answer with
    /// [`reachable`](super::Server::reachable).
    CheckReachable {
        /// What the client wants, tips left out.
        ids: Vec<ObjectId>,
        /// What was advertised.
        tips: Vec<ObjectId>,
    },
    /// Tell whether every one of `wants` reaches something that the client has: then negotiation may stop.
    /// Answer with [`covered`](super::Server::covered).
    ///
    /// Git's answer: a want that is no commit, tags followed, is covered; what the client has are the commits in
    /// `common` and their parents; its walk stops at what is older than the oldest of them. `false` is always
    /// safe and costs rounds.
    CheckCovered {
        /// The wants.
        wants: Vec<ObjectId>,
        /// Objects that both sides have.
        common: Vec<ObjectId>,
    },
    /// Build this pack; answer with [`pack_chunk`](super::Server::pack_chunk) while
    /// [`wants_pack`](super::Server::wants_pack), [`progress`](super::Server::progress) at any time, at last
    /// [`pack_finished`](super::Server::pack_finished) or [`pack_failed`](super::Server::pack_failed).
    BuildPack(PackRequest),
    /// The end: all was done as the protocol wants it.
    Finished(Outcome),
    /// The end: what went wrong.
    Failed(Error),
}

/// What a session came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether a pack was sent; `false`: nothing was wanted.
    pub pack: bool,
    /// Distinct objects wanted.
    pub wants: usize,
    /// `have` lines, repeated ones included.
    pub haves: usize,
    /// Rounds of negotiation: flushes, and a `done` that ends a round of its own.
    pub rounds: usize,
    /// Objects found on both sides.
    pub common: usize,
}

/// What ended a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What can end any Git session.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The client wants what it may not have, or what is not there (T15).
    #[error("the client wants {id}, which it may not have or which does not exist")]
    NotOurRef {
        /// The object.
        id: ObjectId,
    },
    /// A line that belongs to a capability which was not advertised.
    #[error("the client sent a {line} line, which was not offered")]
    NotOffered {
        /// Its first word.
        line: &'static str,
    },
    /// The capabilities cannot be taken.
    #[error(transparent)]
    Capabilities(#[from] CapabilityError),
    /// The driver could not build the pack.
    #[error("the pack could not be built: {}", .reason.escape_ascii())]
    PackFailed {
        /// The driver's words, as the client was told them.
        reason: Bytes,
    },
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Session(error) => error.blame(),
            Self::NotOurRef { .. } | Self::NotOffered { .. } | Self::Capabilities(_) => Blame::Peer,
            Self::PackFailed { .. } => Blame::Caller,
        }
    }

    pub(super) fn pkt(error: pkt::Error) -> Self {
        SessionError::from(error).into()
    }

    /// What the peer is told; `None` when there is nobody left to tell, or it told us.
    pub(super) fn words(&self) -> Option<String> {
        match self {
            Self::NotOurRef { id } => Some(format!("upload-pack: not our ref {id}")),
            Self::Session(SessionError::Ended { .. } | SessionError::Remote { .. }) => None,
            Self::Session(SessionError::Pkt(pkt::Error::Truncated { .. })) => None,
            other => Some(format!("upload-pack: {other}")),
        }
    }
}
