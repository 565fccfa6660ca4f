//! What a push needs, and what of it the server has.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{Config, Error, Offer};
use crate::git::advertisement::excerpt;
use crate::git::push::certificate::is_nonce;
use crate::git::push::{Change, Command};
use crate::git::resume::CAPABILITY;
use crate::git::{Capabilities, ObjectFormat, ObjectId, RefName};
use crate::{limits, pkt};

/// The capabilities to request, in Git's order (PUSH-2, PUSH-4).
pub(super) fn agree(config: &Config, offer: &Offer, commands: &[Command]) -> Result<Capabilities, Error> {
    let offered = &offer.capabilities;
    let need = |capability: &'static str, needed: bool| match needed && !offered.has(capability) {
        true => Err(Error::NotSupported { capability }),
        false => Ok(needed),
    };
    let mut list = Capabilities::new();
    if offered.has("report-status-v2") {
        list.push("report-status-v2");
    } else if need("report-status", true)? {
        list.push("report-status");
    }
    need("delete-refs", commands.iter().any(|command| command.change() == Change::Delete))?;
    for (wanted, capability) in [(config.sideband, "side-band-64k"), (config.quiet, "quiet")] {
        if wanted && offered.has(capability) {
            list.push(capability);
        }
    }
    if need("atomic", config.atomic)? {
        list.push("atomic");
    }
    if need("push-options", !config.push_options.is_empty())? {
        list.push("push-options");
    }
    // A request that stands for itself has no place for the server's answer.
    if config.resume && !config.stateless && offered.has(CAPABILITY) {
        list.push(CAPABILITY);
    }
    if offered.has("object-format") {
        list.push_value("object-format", offer.format.name().as_bytes())?;
    }
    for (capability, value) in [("agent", &config.agent), ("session-id", &config.session_id)] {
        if let Some(value) = value.as_ref().filter(|_| offered.has(capability)) {
            list.push_value(capability, value)?;
        }
    }
    match config.push_options.iter().enumerate().find(|(at, text)| !is_push_option(*at, text)) {
        Some((index, _)) => Err(Error::PushOption { index }),
        None => Ok(list),
    }
}

/// The nonce to sign; `None`: the push is not signed.
pub(super) fn nonce(config: &Config, offer: &Offer) -> Result<Option<Bytes>, Error> {
    let Some(signing) = &config.signing else { return Ok(None) };
    if !offer.capabilities.has("push-cert") {
        let missing = Error::NotSupported { capability: "push-cert" };
        return if signing.required { Err(missing) } else { Ok(None) };
    }
    let nonce = offer.capabilities.value("push-cert").cloned().unwrap_or_default();
    if !is_nonce(&nonce) {
        return Err(Error::Nonce { nonce: excerpt(&nonce, 80) });
    }
    let limit = limits::CAPABILITY_VALUE;
    for (what, text) in [("pusher", Some(&signing.pusher)), ("pushee", signing.pushee.as_ref())] {
        let Some(text) = text else { continue };
        if text.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
            return Err(Error::Signer);
        }
        if text.len() > limit {
            return Err(Error::TooLong { what, limit });
        }
    }
    let limit = PUSH_OPTION_SIGNED;
    if config.push_options.iter().any(|option| option.len() > limit) {
        return Err(Error::TooLong { what: "push option that is signed", limit });
    }
    Ok(Some(nonce))
}

/// The longest push option of a certificate: with the word in front and its LF it is one packet there.
const PUSH_OPTION_SIGNED: usize = pkt::MAX_DATA - b"push-option \n".len();

/// What no server could make sense of (PUSH-3).
pub(super) fn check(
    commands: &[Command],
    shallow: &[ObjectId],
    format: ObjectFormat,
) -> Result<(), &'static str> {
    let mut names: Vec<&RefName> = commands.iter().map(|command| &command.name).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err("two commands for the same ref");
    }
    for command in commands {
        if command.name.is_head() {
            return Err("HEAD cannot be pushed to, only the ref it stands for");
        }
        if !command.fits(format) {
            return Err("an object id is not of the server's object format");
        }
        if command.old == command.new {
            return Err("a command changes nothing: its ids are equal");
        }
    }
    match shallow.iter().all(|id| id.format() == format) {
        true => Ok(()),
        false => Err("a shallow commit is not of the server's object format"),
    }
}

fn is_push_option(index: usize, text: &[u8]) -> bool {
    index < limits::PUSH_OPTIONS
        && text.len() < pkt::MAX_DATA
        && !text.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
}

/// Whether a signature can stand behind what it signs: it is found again, and ends nothing but itself.
pub(super) fn is_signature(signature: &[u8]) -> bool {
    let begins = signature.starts_with(b"-----BEGIN ");
    let fits = |line: &[u8]| line.len() < pkt::MAX_DATA && line != b"push-cert-end";
    begins && !signature.contains(&0) && signature.split(|byte| *byte == b'\n').all(fits)
}
