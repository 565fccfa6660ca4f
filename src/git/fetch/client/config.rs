//! What a fetch asks for.

use core::time::Duration;

use bytes::Bytes;

use crate::git::Request;
use crate::git::fetch::negotiator::Algorithm;
use crate::git::wire::AGENT;
use crate::limits;

/// What a fetch asks for. Of the capabilities only those that the server offers are requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The request line, sent first on `git://` and on a port; `None` where the transport names the service.
    pub request: Option<Request>,
    /// The `agent` that is told to a server which tells its own. Default `portline/` and the version.
    pub agent: Option<Bytes>,
    /// Ask for `side-band-64k`, or else `side-band`. Default `true`.
    pub sideband: bool,
    /// Ask for a thin pack, whose deltas may need objects of the repository. Default `true`.
    pub thin_pack: bool,
    /// Take deltas whose base is named by its offset. Default `true`.
    pub ofs_delta: bool,
    /// Ask for the annotated tags of what is sent. Default `true`.
    pub include_tag: bool,
    /// Ask for `multi_ack_detailed`, or else `multi_ack`. Default `true`.
    pub multi_ack: bool,
    /// Let the server send the pack as soon as it is ready. Default `true`.
    pub no_done: bool,
    /// Ask for no progress. Default `false`.
    pub no_progress: bool,
    /// How the negotiation chooses haves.
    pub algorithm: Algorithm,
    /// Haves sent at the most; then the server makes do. Default [`limits::HAVES`].
    pub max_haves: usize,
    /// Rounds at the most; then the server makes do. Default [`limits::ROUNDS`].
    pub max_rounds: usize,
    /// How long nothing may arrive and no verb be called. Default `None`: for ever.
    pub idle_timeout: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            request: None,
            agent: Some(Bytes::from_static(AGENT)),
            sideband: true,
            thin_pack: true,
            ofs_delta: true,
            include_tag: true,
            multi_ack: true,
            no_done: true,
            no_progress: false,
            algorithm: Algorithm::default(),
            max_haves: limits::HAVES,
            max_rounds: limits::ROUNDS,
            idle_timeout: None,
        }
    }
}
