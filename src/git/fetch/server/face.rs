//! What a server is set up with, what it asks, and what it comes to.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::error::Error;
use super::filters::FilterPolicy;
use crate::git::wire::AGENT;
use crate::git::{Depth, ObjectFormat, ObjectId, PackRequest, RefView, Serving, Version};
use crate::limits;

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
    /// Also the tips of hidden refs and whatever they reach: both of the settings above.
    TipsAndReachable,
    /// Whatever exists (`uploadpack.allowAnySHA1InWant`).
    Any,
}

impl WantPolicy {
    /// Whether hidden refs count like shown ones.
    pub(super) const fn takes_hidden(self) -> bool {
        matches!(self, Self::Tips | Self::TipsAndReachable)
    }
}

/// What a server of version 2 makes of `unborn` (`lsrefs.unborn`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unborn {
    /// Says that it can tell where `HEAD` points before its branch is born, and does.
    #[default]
    Advertise,
    /// Does so when asked.
    Allow,
    /// Never.
    Ignore,
}

/// How a server is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The protocol version that the client asked for. 1 announces itself.
    pub version: Version,
    /// The newest version spoken here: a client that asks for more is answered in version 0, as a server that
    /// never heard of more does.
    pub newest: Version,
    /// How much of a session this machine is fed (GIT-22). In a [`Serving::Request`] what the client was shown by another
    /// process may be out of date: what the present refs reach may be wanted whatever the policy, as with Git.
    pub serving: Serving,
    /// The repository's hash function.
    pub format: ObjectFormat,
    /// The `agent` capability; `None` says nothing. Bytes that are not printable are sent as dots.
    pub agent: Option<Bytes>,
    /// The `session-id` capability (`transfer.advertiseSessionID`): an opaque word that logs on both sides can tell
    /// the session by. As `agent`.
    pub session_id: Option<Bytes>,
    /// Which refs are shown, and under which names.
    pub view: RefView,
    /// What may be wanted.
    pub wants: WantPolicy,
    /// The commits of the repository whose parents it does not have.
    pub shallow: Vec<ObjectId>,
    /// The filters that may be used (`uploadpack.allowFilter`); `None`: filters are not offered.
    pub filters: Option<FilterPolicy>,
    /// Version 2: wants by the names of refs (`uploadpack.allowRefInWant`).
    pub ref_in_want: bool,
    /// Version 2: every line in the sideband (`uploadpack.allowSidebandAll`).
    pub sideband_all: bool,
    /// Version 2: packs by URI (`uploadpack.blobPackfileUri`), where the driver knows any.
    pub packfile_uris: bool,
    /// Whether a client may come back for the rest of a pack that broke off (`portline-resume`). Default `false`: Git
    /// knows nothing of it.
    pub resume: bool,
    /// Version 2: sizes of objects (`transfer.advertiseObjectInfo`).
    pub object_info: bool,
    /// Version 2: the lines that answer `bundle-uri`, each a `key=value` (`uploadpack.advertiseBundleURIs`,
    /// `bundle.*`); `None`: not offered.
    pub bundle_uris: Option<Vec<Bytes>>,
    /// Version 2: whether an unborn `HEAD` is told of.
    pub unborn: Unborn,
    /// Versions 0 and 1: whether to advertise `no-done` in a [`Serving::Session`] too, as Git does over stateless
    /// transports: one round trip fewer, for drivers whose transport cannot deadlock on it. A client that sends it is
    /// served either way, as Git does.
    pub stateless_no_done: bool,
    /// `want` lines, repeated ones included.
    pub max_wants: usize,
    /// `have` lines, repeated ones included.
    pub max_haves: usize,
    /// Lines of one request, of whatever kind: those before the haves in versions 0 and 1, all arguments in version 2.
    pub max_arguments: usize,
    /// Rounds of negotiation.
    pub max_rounds: usize,
    /// How long the peer may be silent while it is its turn. Default `None`: for ever. Time that the driver takes
    /// does not count; taking output gives the peer the same time again (GIT-13).
    pub idle_timeout: Option<Duration>,
    /// How long the pack may be silent before an empty packet tells a client with a sideband that work goes on
    /// (Git's `uploadpack.keepAlive`). `None`: never. Default 5 seconds.
    pub keep_alive: Option<Duration>,
}

impl Config {
    /// The version that is spoken.
    pub(super) fn spoken(&self) -> Version {
        if self.version > self.newest { Version::V0 } else { self.version }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: Version::V0,
            newest: Version::V2,
            serving: Serving::Session,
            format: ObjectFormat::Sha1,
            agent: Some(Bytes::from_static(AGENT)),
            session_id: None,
            view: RefView::default(),
            wants: WantPolicy::Advertised,
            shallow: Vec::new(),
            filters: None,
            ref_in_want: false,
            sideband_all: false,
            packfile_uris: false,
            resume: false,
            object_info: false,
            bundle_uris: None,
            unborn: Unborn::Advertise,
            stateless_no_done: false,
            max_wants: limits::WANTS,
            max_haves: limits::HAVES,
            max_arguments: limits::ARGUMENTS,
            max_rounds: limits::ROUNDS,
            idle_timeout: None,
            keep_alive: Some(limits::KEEP_ALIVE),
        }
    }
}

/// Where a client's history is to end, for the driver to work out (SHALLOW-5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeepenRequest {
    /// What is fetched: the tips that depth is counted from.
    pub wants: Vec<ObjectId>,
    /// The client's present border, as far as it is here.
    pub shallow: Vec<ObjectId>,
    /// What the client may see. Only commits of its border that these reach are deepened from by
    /// [`Depth::Further`] and given their parents by [`Depth::INFINITE`]: the others are none of its business (T15).
    /// Empty for other depths, and where the policy is [`WantPolicy::Any`]: then all of the border may be.
    pub tips: Vec<ObjectId>,
    /// How deep. [`Depth::Full`] with nothing in `not` is no wish of the client's: its border stays, and the
    /// repository's own is told as far as the wants reach it without crossing the client's.
    pub to: Depth,
    /// Commits and tags of commits that are left out, with all they reach.
    pub not: Vec<ObjectId>,
}

/// What the driver must do, or what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// List the repository's refs; answer with [`refs_listed`](super::Server::refs_listed).
    ListRefs,
    /// Version 2: list `HEAD` and the refs whose stored names begin with one of these, none of which begins with another;
    /// answer with [`refs_listed`](super::Server::refs_listed). More of them do no harm: the machine picks.
    ListRefsBelow(Vec<Bytes>),
    /// Version 2: the client's server options, opaque words for the driver (`git fetch -o`). They belong to the
    /// request whose questions follow. No answer.
    ServerOptions(Vec<Bytes>),
    /// Tell which of these objects exist; answer with [`objects_found`](super::Server::objects_found).
    FindObjects(Vec<ObjectId>),
    /// Version 2: load those of these that are commits; answer with [`commits`](super::Server::commits). Git leaves
    /// out the acknowledgement of a parent of what was acknowledged before; an empty answer acknowledges all.
    LoadCommits(Vec<ObjectId>),
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
    /// Find where the client's history is to end; answer with [`deepened`](super::Server::deepened), or with
    /// [`deepen_failed`](super::Server::deepen_failed) where nothing is left.
    Deepen(DeepenRequest),
    /// Version 2: tell the sizes of these; answer with [`sizes`](super::Server::sizes).
    ObjectSizes(Vec<ObjectId>),
    /// Build this pack; answer with [`packfile_uri`](super::Server::packfile_uri) for each pack that the client
    /// fetches elsewhere, first of all, then with [`pack_chunk`](super::Server::pack_chunk) while
    /// [`wants_pack`](super::Server::wants_pack), [`progress`](super::Server::progress) at any time, at last
    /// [`pack_finished`](super::Server::pack_finished) or [`pack_failed`](super::Server::pack_failed).
    BuildPack(PackRequest),
    /// The end: all was done as the protocol wants it.
    Finished(Outcome),
    /// The end: what went wrong.
    Failed(Error),
}

/// What a session came to; in version 2 the sums over its requests.
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
    /// Requests of version 2 that were answered.
    pub requests: usize,
}
