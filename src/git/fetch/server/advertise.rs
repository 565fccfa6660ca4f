//! What a server of versions 0 and 1 says first: version, refs, capabilities, its shallow border.

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{Config, Error, WantPolicy};
use crate::git::advertisement::{put_no_refs, put_ref};
use crate::git::resume::CAPABILITY;
use crate::git::wire::Wire;
use crate::git::{Capabilities, ObjectId, Ref, Serving, Version};
use crate::limits;

/// The refs that a peer sees, under the names that it sees; `HEAD` in front. A target that is hidden is no target.
pub(super) fn shown(config: &Config, refs: Vec<Ref>) -> Vec<Ref> {
    let view = &config.view;
    let show = |stored: Ref| {
        let name = view.shown(&stored.name)?;
        let target = stored.target.as_ref().and_then(|target| view.shown(target));
        Some(Ref { name, target, ..stored })
    };
    let mut shown: Vec<Ref> = refs.into_iter().filter_map(show).collect();
    let head = shown.iter().position(|one| one.name.is_head());
    if let Some(front) = head.and_then(|head| shown.get_mut(..=head)) {
        front.rotate_right(1);
    }
    shown
}

/// The ids that may be wanted without a question: those of shown refs, and of hidden ones where the policy says so.
pub(super) fn tips(config: &Config, refs: &[Ref]) -> Vec<ObjectId> {
    let counts = |one: &&Ref| match config.wants.takes_hidden() {
        true => config.view.holds(&one.name),
        false => config.view.shown(&one.name).is_some(),
    };
    refs.iter().filter(counts).map(|one| one.id).filter(|id| !id.is_null()).collect()
}

/// The advertisement on its way out: written while the wire has room, each ref let go of once it is written.
#[derive(Debug)]
pub(super) struct Advertising {
    refs: vec::IntoIter<Ref>,
    /// The repository's own border, told behind the refs.
    shallow: vec::IntoIter<ObjectId>,
    /// The version line, until it is written.
    version: Option<&'static [u8]>,
    /// The capabilities, until the first ref carries them.
    capabilities: Option<Capabilities>,
}

impl Advertising {
    /// Takes the refs that are shown.
    pub(super) fn new(config: &Config, mut refs: Vec<Ref>) -> Self {
        // An unborn `HEAD` has no line here.
        refs.retain(|one| !one.id.is_null());
        let version = (config.spoken() == Version::V1).then_some(&b"version 1"[..]);
        let capabilities = Some(capabilities(config, refs.first()));
        Self { refs: refs.into_iter(), shallow: config.shallow.clone().into_iter(), version, capabilities }
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
                (None, None) => match self.shallow.next() {
                    Some(id) => wire.line(&[b"shallow ", id.to_hex().as_bytes()])?,
                    None => {
                        wire.flush();
                        return Ok(true);
                    }
                },
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
        "shallow",
        "deepen-since",
        "deepen-not",
        "deepen-relative",
        "no-progress",
        "include-tag",
        "multi_ack_detailed",
    ] {
        list.push(name);
    }
    if matches!(config.wants, WantPolicy::Tips | WantPolicy::TipsAndReachable | WantPolicy::Any) {
        list.push("allow-tip-sha1-in-want");
    }
    if matches!(config.wants, WantPolicy::Reachable | WantPolicy::TipsAndReachable | WantPolicy::Any) {
        list.push("allow-reachable-sha1-in-want");
    }
    if config.stateless_no_done || config.serving != Serving::Session {
        list.push("no-done");
    }
    let target = first.filter(|one| one.name.is_head()).and_then(|head| head.target.as_ref());
    if let Some(target) = target {
        let pair = [b"HEAD:", target.as_bytes()].concat();
        // A ref name holds no byte that a capability could not.
        let _ = list.push_value("symref", &pair);
    }
    if config.filters.is_some() {
        list.push("filter");
    }
    if config.resume {
        list.push(CAPABILITY);
    }
    if let Some(session_id) = &config.session_id {
        let _ = list.push_value("session-id", &printable(session_id));
    }
    let _ = list.push_value("object-format", config.format.name().as_bytes());
    if let Some(agent) = &config.agent {
        let _ = list.push_value("agent", &printable(agent));
    }
    list
}

/// A word of ours as it is sent: with the longest ref name the first line still fits into one packet.
pub(super) fn printable(word: &Bytes) -> Vec<u8> {
    let printable = |byte: &u8| if byte.is_ascii_graphic() { *byte } else { b'.' };
    word.iter().take(limits::SESSION_ID).map(printable).collect()
}
