//! What a server says first: version, refs, capabilities.

use alloc::vec;
use alloc::vec::Vec;

use super::{Config, Error, WantPolicy};
use crate::git::advertisement::{put_no_refs, put_ref};
use crate::git::wire::Wire;
use crate::git::{Capabilities, ObjectId, Ref, Version};

/// The advertisement on its way out: written while the wire has room, each ref let go of once it is written.
#[derive(Debug)]
pub(super) struct Advertising {
    refs: vec::IntoIter<Ref>,
    /// The version line, until it is written.
    version: Option<&'static [u8]>,
    /// The capabilities, until the first ref carries them.
    capabilities: Option<Capabilities>,
}

impl Advertising {
    /// Leaves out what is hidden and puts `HEAD` first. Answers also the ids that may be wanted without a
    /// question, sorted: the advertised ones, and the hidden ones where the policy says so.
    pub(super) fn new(config: &Config, mut refs: Vec<Ref>) -> (Self, Vec<ObjectId>) {
        let mut tips = Vec::with_capacity(refs.len());
        let hidden_too = config.wants == WantPolicy::Tips;
        refs.retain(|one| {
            let shown = !config.hidden.hides(&one.name);
            if shown || hidden_too {
                tips.push(one.id);
            }
            shown
        });
        tips.sort_unstable();
        tips.dedup();
        let head = refs.iter().position(|one| one.name.is_head());
        if let Some(front) = head.and_then(|head| refs.get_mut(..=head)) {
            front.rotate_right(1);
        }
        let version = match config.version {
            Version::V0 => None,
            Version::V1 => Some(&b"version 1"[..]),
            // A later place for version 2: until then its clients are answered in version 0, as Git allows.
            Version::V2 => None,
        };
        let capabilities = Some(capabilities(config, refs.first()));
        (Self { refs: refs.into_iter(), version, capabilities }, tips)
    }

    /// Writes on while there is room; `true` when the closing flush is written.
    pub(super) fn write(&mut self, config: &Config, wire: &mut Wire) -> Result<bool, Error> {
        if let Some(version) = self.version.take() {
            wire.line(&[version])?;
        }
        while wire.has_room() {
            let list = self.capabilities.take();
            match (self.refs.next(), list) {
                (Some(one), list) => put_ref(wire.turn(), &one, list.as_ref()).map_err(Error::pkt)?,
                (None, Some(list)) => put_no_refs(wire.turn(), config.format, &list).map_err(Error::pkt)?,
                (None, None) => {
                    wire.flush();
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// The capabilities in Git's order. `first` is the first ref shown: only `HEAD` has its target told, and only
/// when that ref is not hidden.
fn capabilities(config: &Config, first: Option<&Ref>) -> Capabilities {
    let mut list = Capabilities::new();
    for name in [
        "multi_ack",
        "thin-pack",
        "side-band",
        "side-band-64k",
        "ofs-delta",
        "no-progress",
        "include-tag",
        "multi_ack_detailed",
    ] {
        list.push(name);
    }
    match config.wants {
        WantPolicy::Advertised => {}
        WantPolicy::Tips => list.push("allow-tip-sha1-in-want"),
        WantPolicy::Reachable => list.push("allow-reachable-sha1-in-want"),
        WantPolicy::Any => {
            list.push("allow-tip-sha1-in-want");
            list.push("allow-reachable-sha1-in-want");
        }
    }
    if config.stateless_no_done {
        list.push("no-done");
    }
    let target = first.filter(|one| one.name.is_head()).and_then(|head| head.target.as_ref());
    if let Some(target) = target.filter(|target| !config.hidden.hides(target)) {
        let pair = [b"HEAD:", target.as_bytes()].concat();
        // A ref name holds no byte that a capability could not.
        let _ = list.push_value("symref", &pair);
    }
    let _ = list.push_value("object-format", config.format.name().as_bytes());
    if let Some(agent) = &config.agent {
        let printable = |byte: &u8| if byte.is_ascii_graphic() { *byte } else { b'.' };
        let agent: Vec<u8> = agent.iter().take(MAX_AGENT).map(printable).collect();
        let _ = list.push_value("agent", &agent);
    }
    list
}

/// Bytes of the agent that are sent: with the longest ref name the first line still fits into one packet.
const MAX_AGENT: usize = 1024;
