//! What both sides have agreed on: the capabilities of one fetch.

use super::{Config, Error};
use crate::git::{Advertisement, Capabilities, ObjectFormat};

/// How the server acknowledges haves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acks {
    /// One `ACK` for the first common have, and nothing after it.
    Single,
    /// `multi_ack`: `continue` for each.
    Multi,
    /// `multi_ack_detailed`: `common` for each, `ready` when it has heard enough.
    Detailed,
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
}

/// Chooses what to request among what is offered (FETCH-7).
pub(super) fn agree(config: &Config, seen: &Advertisement) -> Result<(Terms, Capabilities), Error> {
    let offered = &seen.capabilities;
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
    } else if request(config.multi_ack, "multi_ack") {
        Acks::Multi
    } else {
        Acks::Single
    };
    let no_done = request(config.no_done && acks == Acks::Detailed, "no-done");
    let sideband = request(config.sideband, "side-band-64k") || request(config.sideband, "side-band");
    request(config.thin_pack, "thin-pack");
    request(config.no_progress, "no-progress");
    request(config.include_tag, "include-tag");
    request(config.ofs_delta, "ofs-delta");
    if offered.has("object-format") {
        list.push_value("object-format", seen.format.name().as_bytes()).map_err(Error::Agent)?;
    }
    if let Some(agent) = config.agent.as_ref().filter(|_| offered.has("agent")) {
        list.push_value("agent", agent).map_err(Error::Agent)?;
    }
    Ok((Terms { format: seen.format, acks, no_done, sideband }, list))
}
