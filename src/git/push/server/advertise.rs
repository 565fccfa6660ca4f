//! What a receive-pack server advertises.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::{self, Vec};

use super::Config;
use crate::git::advertisement::{put_no_refs, put_ref};
use crate::git::resume::CAPABILITY;
use crate::git::wire::{Step, Wire};
use crate::git::{Capabilities, CapabilityError, ObjectId, Ref, RefName, RefView, SessionError};

/// The advertisement that is being written, a line at a time while the wire has room: nothing of it is made before.
#[derive(Debug)]
pub(super) struct Showing {
    refs: vec::IntoIter<Ref>,
    haves: vec::IntoIter<ObjectId>,
    shallow: vec::IntoIter<ObjectId>,
    /// The ids that have a line, where that decides about others.
    seen: Option<BTreeSet<ObjectId>>,
    /// Until the first line has carried them.
    capabilities: Option<Capabilities>,
}

impl Showing {
    /// At the first line.
    pub(super) fn new(
        config: &Config,
        refs: Vec<Ref>,
        haves: Vec<ObjectId>,
    ) -> Result<Box<Self>, CapabilityError> {
        let mut shallow = config.shallow.clone();
        shallow.sort_unstable();
        shallow.dedup();
        // Only objects without a ref of this view are compared with others.
        let outside = || refs.iter().any(|entry| !config.view.holds(&entry.name));
        let seen = (!haves.is_empty() || outside()).then(BTreeSet::new);
        Ok(Box::new(Self {
            refs: refs.into_iter(),
            haves: haves.into_iter(),
            shallow: shallow.into_iter(),
            seen,
            capabilities: Some(capabilities(config)?),
        }))
    }

    /// Writes the next line; `None` when all of it is written.
    pub(super) fn step(&mut self, config: &Config, wire: &mut Wire) -> Result<Option<Step>, SessionError> {
        if !wire.has_room() {
            return Ok(Some(Step::Wait));
        }
        if let Some(entry) = self.refs.next() {
            self.show(config, wire, &entry)?;
        } else if let Some(id) = self.haves.next() {
            self.have(wire, id)?;
        } else if let Some(list) = self.capabilities.take() {
            put_no_refs(wire.turn(), config.format, &list)?;
        } else if let Some(id) = self.shallow.next() {
            wire.line(&[b"shallow ", id.to_hex().as_bytes()])?;
        } else {
            wire.flush();
            return Ok(None);
        }
        Ok(Some(Step::Again))
    }

    /// A ref of the view under its name there; one of another namespace as an object that is here; a hidden one not
    /// at all.
    fn show(&mut self, config: &Config, wire: &mut Wire, entry: &Ref) -> Result<(), SessionError> {
        let view = &config.view;
        if is_repositorys_head(&entry.name) {
            return Ok(());
        }
        if let Some(name) = view.shown(&entry.name) {
            if let Some(seen) = &mut self.seen {
                seen.insert(entry.id);
            }
            // Receive-pack shows no peeled tags: a client that pushes has no use for them.
            let shown = Ref::new(name, entry.id);
            return Ok(put_ref(wire.turn(), &shown, self.capabilities.take().as_ref())?);
        }
        if is_of_another(view, &entry.name) {
            return self.have(wire, entry.id);
        }
        Ok(())
    }

    /// An object without a ref of this view, once.
    fn have(&mut self, wire: &mut Wire, id: ObjectId) -> Result<(), SessionError> {
        if self.seen.as_mut().is_some_and(|seen| !seen.insert(id)) {
            return Ok(());
        }
        let hex = id.to_hex();
        match self.capabilities.take() {
            Some(list) => wire.line(&[hex.as_bytes(), b" .have\0", &list.to_line()]),
            None => wire.line(&[hex.as_bytes(), b" .have"]),
        }
    }
}

/// The repository's own `HEAD` is no ref that could be pushed to. That of a namespace is listed, as Git has it.
fn is_repositorys_head(stored: &RefName) -> bool {
    stored.is_head()
}

/// Whether the ref is of another namespace than the view's, and not hidden by its stored name.
fn is_of_another(view: &RefView, stored: &RefName) -> bool {
    !view.holds(stored) && !view.hidden().hides_stored(None, stored)
}

/// In Git's order (PUSH-8).
fn capabilities(config: &Config) -> Result<Capabilities, CapabilityError> {
    let mut list = Capabilities::new();
    let offers = [
        (true, "report-status"),
        (true, "report-status-v2"),
        (config.delete_refs, "delete-refs"),
        (true, "side-band-64k"),
        (true, "quiet"),
        (config.atomic, "atomic"),
        (config.ofs_delta, "ofs-delta"),
    ];
    for (_, capability) in offers.into_iter().filter(|(offered, _)| *offered) {
        list.push(capability);
    }
    if let Some(nonce) = &config.nonce {
        list.push_value("push-cert", nonce)?;
    }
    if config.push_options {
        list.push("push-options");
    }
    if config.resumes() {
        list.push(CAPABILITY);
    }
    if let Some(id) = &config.session_id {
        list.push_value("session-id", id)?;
    }
    list.push_value("object-format", config.format.name().as_bytes())?;
    if let Some(agent) = &config.agent {
        list.push_value("agent", agent)?;
    }
    Ok(list)
}
