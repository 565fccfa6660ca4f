//! What a server of version 2 says first: what it can do.

use alloc::vec::Vec;

use super::advertise::printable;
use super::{Config, Error, Unborn};
use crate::git::resume::CAPABILITY;
use crate::git::wire::Wire;

/// Writes the capabilities in Git's order (V2S-1).
pub(super) fn put(config: &Config, wire: &mut Wire) -> Result<(), Error> {
    wire.line(&[b"version 2"])?;
    if let Some(agent) = &config.agent {
        wire.line(&[b"agent=", &printable(agent)])?;
    }
    wire.line(&[if config.unborn == Unborn::Advertise { b"ls-refs=unborn" } else { b"ls-refs".as_slice() }])?;
    let mut features: Vec<&[u8]> = [b"fetch=shallow".as_slice(), b" wait-for-done"].into();
    features.extend(config.filters.is_some().then_some(b" filter".as_slice()));
    features.extend(config.ref_in_want.then_some(b" ref-in-want".as_slice()));
    features.extend(config.sideband_all.then_some(b" sideband-all".as_slice()));
    features.extend(config.packfile_uris.then_some(b" packfile-uris".as_slice()));
    features.extend(config.resume.then_some([b" ".as_slice(), CAPABILITY.as_bytes()]).into_iter().flatten());
    wire.line(&features)?;
    wire.line(&[b"server-option"])?;
    wire.line(&[b"object-format=", config.format.name().as_bytes()])?;
    if let Some(session_id) = &config.session_id {
        wire.line(&[b"session-id=", &printable(session_id)])?;
    }
    if config.object_info {
        wire.line(&[b"object-info"])?;
    }
    if config.bundle_uris.is_some() {
        wire.line(&[b"bundle-uri"])?;
    }
    wire.flush();
    Ok(())
}
