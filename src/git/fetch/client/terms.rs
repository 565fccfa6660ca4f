//! What both sides have agreed on: the capabilities of one fetch.

use super::request::Offer;
use super::{Config, Error};
use crate::git::resume::CAPABILITY;
use crate::git::{Capabilities, Depth, ObjectFormat, ObjectId};

/// How the server acknowledges haves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acks {
    /// One `ACK` for the first common have, and nothing after it.
    Single,
    /// `multi_ack`: `continue` for each.
    Multi,
    /// `multi_ack_detailed`: `common` for each, `ready` when it has heard enough.
    Detailed,
    /// Version 2: a section of them.
    Section,
}

/// The agreed capabilities that steer the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) format: ObjectFormat,
    pub(super) acks: Acks,
    /// The server sends the pack as soon as it is ready, without waiting for `done`.
    pub(super) no_done: bool,
    /// The pack comes in a sideband.
    pub(super) sideband: bool,
    /// Everything comes in a sideband.
    pub(super) sideband_all: bool,
    /// Every request stands for itself: a connection carries one and its response.
    pub(super) stateless: bool,
    /// The server is asked to move the shallow border.
    pub(super) deepens: bool,
    /// The server leaves out what the filter says.
    pub(super) filtered: bool,
    /// The server goes on with a pack that broke off.
    pub(super) resumes: bool,
}

impl Terms {
    /// Whether the protocol of this session has commands.
    pub(super) fn is_v2(&self) -> bool {
        self.acks == Acks::Section
    }

    /// Whether each request repeats what was said before.
    pub(super) fn repeats(&self) -> bool {
        self.stateless || self.is_v2()
    }
}

/// The terms, and in versions 0 and 1 the capabilities that are requested.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) terms: Terms,
    pub(super) requested: Option<Capabilities>,
}

/// Chooses what to request of what is offered.
pub(super) fn agree(config: &Config, offer: &Offer) -> Result<Agreed, Error> {
    if offer.is_v2() {
        return Ok(Agreed { terms: agree_v2(config, offer)?, requested: None });
    }
    let (terms, list) = agree_lines(config, offer)?;
    Ok(Agreed { terms, requested: Some(list) })
}

/// What goes with every command is looked at before the first: an agent that cannot be sent to a server that tells its
/// own, and server options for one that takes none (V2C-7).
pub(super) fn introduce(config: &Config, offer: &Offer) -> Result<(), Error> {
    if let Some(agent) = config.agent.as_ref().filter(|_| offer.capabilities.has("agent")) {
        Capabilities::new().push_value("agent", agent).map_err(Error::Agent)?;
    }
    let is_offered = offer.is_v2() && offer.capabilities.has("server-option");
    if config.server_options.is_empty() || is_offered {
        return Ok(());
    }
    Err(Error::Unsupported { what: "server-option" })
}

/// Versions 0 and 1 (FETCH-7).
fn agree_lines(config: &Config, seen: &Offer) -> Result<(Terms, Capabilities), Error> {
    let offered = &seen.capabilities;
    require(config, seen, |what| offered.has(what))?;
    let mut list = Capabilities::new();
    let mut request = |wanted: bool, name: &'static str| {
        let is_agreed = wanted && offered.has(name);
        if is_agreed {
            list.push(name);
        }
        is_agreed
    };
    let acks = if request(config.multi_ack, "multi_ack_detailed") {
        Acks::Detailed
    } else if request(config.multi_ack && !config.stateless, "multi_ack") {
        Acks::Multi
    } else {
        Acks::Single
    };
    let no_done = request(config.no_done && acks == Acks::Detailed, "no-done");
    let sideband = request(config.sideband, "side-band-64k") || request(config.sideband, "side-band");
    request(matches!(config.deepen.to, Depth::Further(_)), "deepen-relative");
    request(config.thin_pack, "thin-pack");
    request(config.no_progress, "no-progress");
    request(config.include_tag, "include-tag");
    request(config.ofs_delta, "ofs-delta");
    request(matches!(config.deepen.to, Depth::Since(_)), "deepen-since");
    request(!config.deepen.not.is_empty(), "deepen-not");
    let filtered = request(config.filter.is_some(), "filter");
    let resumes = request(config.resume, CAPABILITY);
    if offered.has("object-format") {
        let what = "object format";
        list.push_value("object-format", seen.format.name().as_bytes())
            .map_err(|_| Error::Unsendable { what })?;
    }
    if let Some(agent) = config.agent.as_ref().filter(|_| offered.has("agent")) {
        list.push_value("agent", agent).map_err(Error::Agent)?;
    }
    if let Some(session) = config.session_id.as_ref().filter(|_| offered.has("session-id")) {
        let what = "session id";
        list.push_value("session-id", session).map_err(|_| Error::Unsendable { what })?;
    }
    let (stateless, deepens) = (config.stateless, !config.deepen.is_full());
    let format = seen.format;
    let sideband_all = false;
    let terms =
        Terms { format, acks, no_done, sideband, sideband_all, stateless, deepens, filtered, resumes };
    Ok((terms, list))
}

/// The terms of version 2, where `fetch` has a list of what it can do (V2C-6).
fn agree_v2(config: &Config, seen: &Offer) -> Result<Terms, Error> {
    let offered = &seen.capabilities;
    let feature = |name: &str| offered.has_feature("fetch", name);
    require(config, seen, |_| feature("shallow"))?;
    if config.wait_for_done && !feature("wait-for-done") {
        return Err(Error::Unsupported { what: "wait-for-done" });
    }
    Ok(Terms {
        format: seen.format,
        acks: Acks::Section,
        no_done: false,
        sideband: true,
        sideband_all: config.sideband_all && feature("sideband-all"),
        stateless: config.stateless,
        deepens: !config.deepen.is_full(),
        filtered: config.filter.is_some() && feature("filter"),
        resumes: config.resume && feature(CAPABILITY),
    })
}

/// A shallow border, told or asked for, needs a server that knows of it: what came otherwise would be of no use.
fn require(config: &Config, seen: &Offer, has: impl Fn(&str) -> bool) -> Result<(), Error> {
    if config.shallow.iter().any(|id: &ObjectId| id.format() != seen.format) {
        return Err(Error::Unsendable { what: "shallow border" });
    }
    let deepen = &config.deepen;
    for (wanted, what) in [
        (!config.shallow.is_empty() || !deepen.is_full(), "shallow"),
        (matches!(deepen.to, Depth::Further(_)), "deepen-relative"),
        (matches!(deepen.to, Depth::Since(_)), "deepen-since"),
        (!deepen.not.is_empty(), "deepen-not"),
    ] {
        if wanted && !has(what) {
            return Err(Error::Unsupported { what });
        }
    }
    Ok(())
}
