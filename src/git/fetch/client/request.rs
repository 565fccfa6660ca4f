//! What a request says before its haves: the part that stateless and version 2 requests repeat.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;

use bytes::BytesMut;

use super::terms::{Agreed, Terms};
use super::{Config, Error, Listing};
use crate::git::{
    Advertisement, Capabilities, Deepen, Depth, Filter, ObjectFormat, ObjectId, RefName, Resume, Version,
};
use crate::pkt;

/// What the advertisement leaves behind for the rest of the session.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) version: Version,
    pub(super) format: ObjectFormat,
    /// What the server can do.
    pub(super) capabilities: Capabilities,
    /// Every object that the server has shown to have, sorted.
    pub(super) ids: Vec<ObjectId>,
    /// Those of them that a shown ref points to, sorted: not what a tag peels to.
    pub(super) tips: Vec<ObjectId>,
    /// The server's own shallow border as versions 0 and 1 show it.
    pub(super) shallow: Vec<ObjectId>,
}

impl Offer {
    pub(super) fn new(seen: &Advertisement) -> Self {
        Self {
            version: seen.version,
            format: seen.format,
            capabilities: seen.capabilities.clone(),
            ids: Vec::new(),
            tips: Vec::new(),
            shallow: seen.shallow.clone(),
        }
    }

    pub(super) fn is_v2(&self) -> bool {
        self.version == Version::V2
    }

    /// Everything up to the haves, as agreed.
    pub(super) fn head(
        &self,
        config: &Config,
        agreed: &Agreed,
        wants: &[ObjectId],
        names: &BTreeSet<RefName>,
        part: Option<&Resume>,
    ) -> Result<BytesMut, Error> {
        match &agreed.requested {
            Some(list) => lines(config, agreed.terms, list, wants, part),
            None => {
                let mut head = self.fetch(config, agreed.terms, wants, names)?;
                put_part(&mut head, agreed.terms, part)?;
                Ok(head)
            }
        }
    }

    /// Version 2: the command `fetch` with its arguments, in Git's order (V2C-8).
    fn fetch(
        &self,
        config: &Config,
        terms: Terms,
        wants: &[ObjectId],
        names: &BTreeSet<RefName>,
    ) -> Result<BytesMut, Error> {
        let mut head = self.command(config, "fetch")?;
        for (is_sent, argument) in [
            (config.wait_for_done, "wait-for-done"),
            (config.thin_pack, "thin-pack"),
            (config.no_progress, "no-progress"),
            (config.include_tag, "include-tag"),
            (config.ofs_delta, "ofs-delta"),
            (terms.sideband_all, "sideband-all"),
        ] {
            if is_sent {
                pkt::put_line(&mut head, &[argument.as_bytes()])?;
            }
        }
        put_border(&mut head, &config.shallow, &config.deepen)?;
        if matches!(config.deepen.to, Depth::Further(_)) {
            pkt::put_line(&mut head, &[b"deepen-relative"])?;
        }
        if terms.filtered {
            put_filter(&mut head, config.filter.as_ref())?;
        }
        if self.takes_uris(config) {
            pkt::put_line(&mut head, &[b"packfile-uris ", &config.packfile_uris.join(&b","[..])])?;
        }
        for name in names {
            pkt::put_line(&mut head, &[b"want-ref ", name.as_bytes()])?;
        }
        for want in wants {
            pkt::put_line(&mut head, &[b"want ", want.to_hex().as_bytes()])?;
        }
        Ok(head)
    }

    /// Whether refs may be wanted by their names.
    pub(super) fn takes_names(&self) -> bool {
        self.is_v2() && self.capabilities.has_feature("fetch", "ref-in-want")
    }

    /// Whether all of these may be wanted, as far as that was advertised; version 2 leaves it to the server.
    pub(super) fn lets_want(&self, wants: &[ObjectId]) -> bool {
        let takes_any = ["allow-tip-sha1-in-want", "allow-reachable-sha1-in-want"]
            .iter()
            .any(|allowed| self.capabilities.has(allowed));
        self.is_v2() || takes_any || wants.iter().all(|id| self.tips.binary_search(id).is_ok())
    }

    /// Whether packs may be told by their URIs.
    pub(super) fn takes_uris(&self, config: &Config) -> bool {
        !config.packfile_uris.is_empty() && self.capabilities.has_feature("fetch", "packfile-uris")
    }

    /// The command `ls-refs`, whole (V2C-4).
    pub(super) fn ls_refs(&self, config: &Config) -> Result<BytesMut, Error> {
        let mut request = self.command(config, "ls-refs")?;
        pkt::put_line(&mut request, &[b"peel"])?;
        pkt::put_line(&mut request, &[b"symrefs"])?;
        if self.capabilities.has_feature("ls-refs", "unborn") {
            pkt::put_line(&mut request, &[b"unborn"])?;
        }
        match &config.listing {
            Listing::Prefixes(prefixes) => {
                for prefix in prefixes {
                    pkt::put_line(&mut request, &[b"ref-prefix ", prefix])?;
                }
            }
            Listing::All | Listing::None => {}
        }
        pkt::put_flush(&mut request);
        Ok(request)
    }

    /// The command `object-info`, whole (V2C-17).
    pub(super) fn object_info(&self, config: &Config, ids: &[ObjectId]) -> Result<BytesMut, Error> {
        let mut request = self.command(config, "object-info")?;
        pkt::put_line(&mut request, &[b"size"])?;
        for id in ids {
            pkt::put_line(&mut request, &[b"oid ", id.to_hex().as_bytes()])?;
        }
        pkt::put_flush(&mut request);
        Ok(request)
    }

    /// The command `bundle-uri`, whole (V2C-18).
    pub(super) fn bundle_uri(&self, config: &Config) -> Result<BytesMut, Error> {
        let mut request = self.command(config, "bundle-uri")?;
        pkt::put_flush(&mut request);
        Ok(request)
    }

    /// A command of version 2 with the capabilities that were offered, up to the delimiter (V2C-3).
    fn command(&self, config: &Config, name: &str) -> Result<BytesMut, Error> {
        let offered = &self.capabilities;
        let mut request = BytesMut::new();
        pkt::put_line(&mut request, &[b"command=", name.as_bytes()])?;
        if let Some(agent) = config.agent.as_ref().filter(|_| offered.has("agent")) {
            Capabilities::new().push_value("agent", agent).map_err(Error::Agent)?;
            pkt::put_line(&mut request, &[b"agent=", agent])?;
        }
        if let Some(session) = config.session_id.as_ref().filter(|_| offered.has("session-id")) {
            pkt::put_line(&mut request, &[b"session-id=", session])?;
        }
        // Where the server does not take them, the terms have refused.
        for option in &config.server_options {
            pkt::put_line(&mut request, &[b"server-option=", option])?;
        }
        if offered.has("object-format") {
            pkt::put_line(&mut request, &[b"object-format=", self.format.name().as_bytes()])?;
        }
        pkt::put_delim(&mut request);
        Ok(request)
    }
}

/// Versions 0 and 1: wants with the capabilities on the first, the border, the filter, a flush (FETCH-8).
fn lines(
    config: &Config,
    terms: Terms,
    list: &Capabilities,
    wants: &[ObjectId],
    part: Option<&Resume>,
) -> Result<BytesMut, Error> {
    let mut head = BytesMut::new();
    let mut list = Some(list.to_line()).filter(|line| !line.is_empty());
    for want in wants {
        match list.take() {
            Some(line) => {
                pkt::put_line(&mut head, &[b"want ", want.to_hex().as_bytes(), b" ", &line])?;
            }
            None => pkt::put_line(&mut head, &[b"want ", want.to_hex().as_bytes()])?,
        }
    }
    put_border(&mut head, &config.shallow, &config.deepen)?;
    if terms.filtered {
        put_filter(&mut head, config.filter.as_ref())?;
    }
    put_part(&mut head, terms, part)?;
    pkt::put_flush(&mut head);
    Ok(head)
}

/// The client's border and where history is to end (SHALLOWC-1, SHALLOWC-2).
fn put_border(to: &mut BytesMut, shallow: &[ObjectId], deepen: &Deepen) -> Result<(), Error> {
    for id in shallow {
        pkt::put_line(to, &[b"shallow ", id.to_hex().as_bytes()])?;
    }
    match deepen.to {
        Depth::Full => {}
        Depth::Commits(depth) | Depth::Further(depth) => {
            pkt::put_line(to, &[format!("deepen {depth}").as_bytes()])?;
        }
        Depth::Since(time) => pkt::put_line(to, &[format!("deepen-since {time}").as_bytes()])?,
    }
    for name in &deepen.not {
        pkt::put_line(to, &[b"deepen-not ", name])?;
    }
    Ok(())
}

/// What is held of the pack already (RESUME-2).
fn put_part(to: &mut BytesMut, terms: Terms, part: Option<&Resume>) -> Result<(), Error> {
    if terms.resumes {
        pkt::put_line(to, &[&Resume::line(part)])?;
    }
    Ok(())
}

fn put_filter(to: &mut BytesMut, filter: Option<&Filter>) -> Result<(), Error> {
    match filter {
        Some(filter) => Ok(pkt::put_line(to, &[b"filter ", &filter.encode()])?),
        None => Ok(()),
    }
}
