//! What a fetch asks for.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::Error;
use crate::git::fetch::negotiator::Algorithm;
use crate::git::wire::AGENT;
use crate::git::{Deepen, Depth, Filter, ObjectId, Request, Version};
use crate::limits;

/// Which refs a server of version 2 is asked to list. Versions 0 and 1 list all of them unasked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Listing {
    /// All of them.
    #[default]
    All,
    /// Those whose names begin with one of these; a server may list more.
    Prefixes(Vec<Bytes>),
    /// None: what is wanted is known by id. Spares a turn.
    None,
}

/// What a fetch asks for. Of the capabilities only those that the server offers are requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The request line, sent first on `git://` and on a port; `None` where the transport names the service. Its
    /// version is what the server is asked for.
    pub request: Option<Request>,
    /// The highest version in which the server may answer. Default 2.
    pub version: Version,
    /// Whether the transport carries one request and its whole response at a time, as smart HTTP does: see the
    /// [module](super). Default `false`.
    pub stateless: bool,
    /// The `agent` that is told to a server which tells its own. Default `portline/` and the version.
    pub agent: Option<Bytes>,
    /// The `session-id` that is told to a server which tells its own. Default `None`.
    pub session_id: Option<Bytes>,
    /// `server-option` lines; version 2 only. Default none.
    pub server_options: Vec<Bytes>,
    /// Which refs are listed.
    pub listing: Listing,
    /// Ask for `side-band-64k`, or else `side-band`. Version 2 always has it. Default `true`.
    pub sideband: bool,
    /// Ask for `sideband-all` in version 2: the whole answer in the sideband. Default `true`.
    pub sideband_all: bool,
    /// Ask for a thin pack, whose deltas may need objects of the repository. Default `true`.
    pub thin_pack: bool,
    /// Take deltas whose base is named by its offset. Default `true`.
    pub ofs_delta: bool,
    /// Ask for the annotated tags of what is sent. Default `true`.
    pub include_tag: bool,
    /// Ask for `multi_ack_detailed`, or else `multi_ack`. Version 2 always has it. Default `true`.
    pub multi_ack: bool,
    /// Let the server send the pack as soon as it is ready. Default `true`.
    pub no_done: bool,
    /// In version 2, negotiate to the end: the server waits for `done` however ready it is. Default `false`.
    pub wait_for_done: bool,
    /// Ask for no progress. Default `false`.
    pub no_progress: bool,
    /// The repository's own shallow border: commits that it has without their parents. Default none.
    pub shallow: Vec<ObjectId>,
    /// Where history is to end. Default: nowhere.
    pub deepen: Deepen,
    /// What is to be left out, from a server that offers it; another one sends everything, as with Git, and
    /// [`Outcome::filtered`](super::Outcome::filtered) tells.
    pub filter: Option<Filter>,
    /// Protocols (`https`) by which packs may be fetched from elsewhere, version 2 only. Default none: all comes
    /// from the server.
    pub packfile_uris: Vec<Bytes>,
    /// Tell a server that knows of it that the rest of the pack may be asked for another time, should this session
    /// break; and name the part of [`Client::resume`](super::Client::resume). Default `true`.
    pub resume: bool,
    /// How the negotiation chooses haves.
    pub algorithm: Algorithm,
    /// Haves sent at the most; then the server makes do. Default [`limits::HAVES`].
    pub max_haves: usize,
    /// Rounds at the most; then the server makes do. Default [`limits::ROUNDS`].
    pub max_rounds: usize,
    /// How long the server may be silent, as GIT-13 counts it: not while the driver owes an answer or has actions to
    /// poll, and anew with each input and verb. Default `None`: for ever.
    pub idle_timeout: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            request: None,
            version: Version::V2,
            stateless: false,
            agent: Some(Bytes::from_static(AGENT)),
            session_id: None,
            server_options: Vec::new(),
            listing: Listing::All,
            sideband: true,
            sideband_all: true,
            thin_pack: true,
            ofs_delta: true,
            include_tag: true,
            multi_ack: true,
            no_done: true,
            wait_for_done: false,
            no_progress: false,
            shallow: Vec::new(),
            deepen: Deepen::default(),
            filter: None,
            packfile_uris: Vec::new(),
            resume: true,
            algorithm: Algorithm::default(),
            max_haves: limits::HAVES,
            max_rounds: limits::ROUNDS,
            idle_timeout: None,
        }
    }
}

impl Config {
    /// Whether everything in it can be sent (T17).
    pub(super) fn check(&self) -> Result<(), Error> {
        let text = |what: &'static str, list: &[Bytes], also: &[u8]| {
            let is_bad = |text: &Bytes| {
                let bad = |byte: &u8| matches!(byte, 0 | b'\r' | b'\n') || also.contains(byte);
                text.is_empty() || text.len() > limits::CAPABILITY_VALUE || text.iter().any(bad)
            };
            if list.iter().any(is_bad) { Err(Error::Unsendable { what }) } else { Ok(()) }
        };
        text("server option", &self.server_options, b"")?;
        text("session id", self.session_id.as_slice(), b" ")?;
        text("protocol of packfile URIs", &self.packfile_uris, b" ,")?;
        text("ref to exclude", &self.deepen.not, b"")?;
        if let Listing::Prefixes(prefixes) = &self.listing {
            text("ref prefix", prefixes, b" ")?;
        }
        if self.filter.as_ref().is_some_and(|filter| filter.encode().len() > limits::FILTER) {
            return Err(Error::Unsendable { what: "filter" });
        }
        let fits = match self.deepen.to {
            Depth::Full | Depth::Since(_) => true,
            Depth::Commits(depth) | Depth::Further(depth) => {
                depth > 0 && depth <= Depth::INFINITE && self.deepen.not.is_empty()
            }
        };
        if !fits || self.shallow.len() > limits::SHALLOW || self.shallow.iter().any(ObjectId::is_null) {
            return Err(Error::Unsendable { what: "depth or shallow border" });
        }
        Ok(())
    }
}
