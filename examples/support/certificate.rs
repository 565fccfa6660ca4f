//! Push certificates: the nonce that is given out, and what the hooks of a signed push are told.
//!
//! Whether a signature is good is for Git to say: the certificate is handed to `verify-tag`, which checks exactly the
//! bytes before the signature, by the repository's own settings (`gpg.*`).

use std::ffi::OsString;
use std::str;

use bytes::Bytes;
use portline::git::push::{Certificate, NonceStatus};

use super::error::Error;
use super::hooks::Environment;
use super::namespace;
use super::process::{Git, capture};
use super::repository::{Repository, os};

/// What `receive.certNonceSeed` makes of this moment, or of another: a time, and a hash that only its owner can make.
/// `None`: signed pushes are not asked for.
///
/// # Errors
/// [`Error::Git`], [`Error::Io`].
pub fn nonce(repository: &Repository, stamp: u64) -> Result<Option<Bytes>, Error> {
    let Some(seed) = repository.config().value("receive.certnonceseed") else { return Ok(None) };
    let git = repository.git();
    let mut text = format!("nonce {} {stamp}\0", git.dir().display()).into_bytes();
    text.extend_from_slice(seed);
    let hash = git.ask(&["hash-object", "-t", "blob", "--stdin"], text)?;
    Ok(Some(Bytes::from([stamp.to_string().as_bytes(), b"-", hash.trim_ascii()].concat())))
}

/// The nonce of this session.
///
/// # Errors
/// As [`nonce`].
pub fn fresh_nonce(repository: &Repository) -> Result<Option<Bytes>, Error> {
    nonce(repository, namespace::now())
}

/// The variables by which hooks learn of a certificate. It is kept as an object of the repository.
///
/// # Errors
/// [`Error::Git`], [`Error::Io`].
pub fn environment(
    repository: &Repository,
    certificate: &Certificate,
    given: Option<&Bytes>,
) -> Result<Environment, Error> {
    let git = repository.git();
    let stored = git.ask(&["hash-object", "-w", "--stdin"], certificate.text().to_vec())?;
    let check = verify(git, certificate)?;
    let mut set: Environment = vec![
        ("GIT_PUSH_CERT".to_owned(), os(stored.trim_ascii())),
        ("GIT_PUSH_CERT_SIGNER".to_owned(), check.signer),
        ("GIT_PUSH_CERT_KEY".to_owned(), check.key),
        ("GIT_PUSH_CERT_STATUS".to_owned(), check.result.to_string().into()),
    ];
    if let Some(given) = given {
        let (nonce, status, slop) = nonce_status(repository, certificate, given)?;
        set.push(("GIT_PUSH_CERT_NONCE".to_owned(), os(&nonce)));
        set.push(("GIT_PUSH_CERT_NONCE_STATUS".to_owned(), status.into()));
        if let Some(slop) = slop {
            set.push(("GIT_PUSH_CERT_NONCE_SLOP".to_owned(), slop.to_string().into()));
        }
    }
    Ok(set)
}

/// The nonce that counts, Git's word for it, and how old it is. Another process of this server may have given out the
/// one that was signed, where each request has its own.
fn nonce_status(
    repository: &Repository,
    certificate: &Certificate,
    given: &Bytes,
) -> Result<(Bytes, &'static str, Option<i64>), Error> {
    let plain = (given.clone(), certificate.nonce.name(), None);
    let found = certificate.header("nonce").next().map(Bytes::copy_from_slice);
    let (NonceStatus::Bad, Some(found)) = (certificate.nonce, found) else { return Ok(plain) };
    let (Some(stamp), Some(today)) = (stamp(&found), stamp(given)) else { return Ok(plain) };
    if nonce(repository, stamp)?.as_ref() != Some(&found) {
        return Ok(plain);
    }
    let age = i64::try_from(today).unwrap_or(i64::MAX).saturating_sub_unsigned(stamp);
    let limit = repository.config().number(&["receive.certnonceslop"]).unwrap_or(0);
    Ok(match limit > 0 && age.saturating_abs() <= limit {
        true => (found, NonceStatus::Ok.name(), None),
        false => (given.clone(), "SLOP", Some(age)),
    })
}

fn stamp(nonce: &[u8]) -> Option<u64> {
    let digits = nonce.split(|byte| *byte == b'-').next()?;
    str::from_utf8(digits).ok()?.parse().ok()
}

/// What is known of a signature.
struct Check {
    /// Git's letter for it, as `%G?` shows it.
    result: char,
    signer: OsString,
    key: OsString,
}

fn verify(git: &Git, certificate: &Certificate) -> Result<Check, Error> {
    let unknown = Check { result: 'N', signer: OsString::new(), key: OsString::new() };
    if certificate.signature().is_empty() {
        return Ok(unknown);
    }
    // Only for the eyes of the verifier: it lives in a directory of its own.
    let place = tempfile::tempdir().map_err(Error::io("a temporary directory cannot be made"))?;
    let aside = git.with([
        ("GIT_OBJECT_DIRECTORY", place.path().into()),
        ("GIT_ALTERNATE_OBJECT_DIRECTORIES", OsString::new()),
    ]);
    let id = aside
        .ask(&["hash-object", "-t", "tag", "--literally", "-w", "--stdin"], certificate.text().to_vec())?;
    let mut command = aside.command(&["verify-tag", "--raw"]);
    command.arg(os(id.trim_ascii()));
    let said = capture(command, Vec::new())?.stderr;
    Ok(said.split(|byte| *byte == b'\n').filter_map(judge).fold(unknown, |known, next| next.after(known)))
}

impl Check {
    /// A later line adds to an earlier one.
    fn after(self, known: Self) -> Self {
        let or = |new: OsString, old: OsString| if new.is_empty() { old } else { new };
        Self { result: self.result, signer: or(self.signer, known.signer), key: or(self.key, known.key) }
    }
}

/// What one line of the verifier says: status lines of GnuPG, or the words of `ssh-keygen`.
fn judge(line: &[u8]) -> Option<Check> {
    let check = |result, key: &[u8], signer: &[u8]| Some(Check { result, signer: os(signer), key: os(key) });
    let word = |text: &[u8]| text.split(|byte| *byte == b' ').next().unwrap_or_default().to_vec();
    if let Some(status) = line.strip_prefix(b"[GNUPG:] ") {
        let kinds =
            [("GOODSIG ", 'G'), ("BADSIG ", 'B'), ("EXPSIG ", 'X'), ("EXPKEYSIG ", 'Y'), ("REVKEYSIG ", 'R')];
        for (prefix, result) in kinds {
            if let Some(rest) = status.strip_prefix(prefix.as_bytes()) {
                let key = word(rest);
                return check(result, &key, rest.get(key.len().saturating_add(1)..).unwrap_or_default());
            }
        }
        let rest = status.strip_prefix(b"ERRSIG ")?;
        return check('E', &word(rest), b"");
    }
    let key = |text: &[u8]| {
        let at = text.windows(5).rposition(|window| window == b" key ")?;
        text.get(at.saturating_add(5)..).map(<[u8]>::to_vec)
    };
    if let Some(rest) = line.strip_prefix(b"Good \"git\" signature for ") {
        let end = rest.windows(6).rposition(|window| window == b" with ")?;
        return check('G', &key(rest)?, rest.get(..end)?);
    }
    if let Some(rest) = line.strip_prefix(b"Good \"git\" signature with ") {
        return check('G', &key(rest)?, b"");
    }
    (line.starts_with(b"Could not verify signature") || line.starts_with(b"Signature verification failed"))
        .then(|| Check { result: 'B', signer: OsString::new(), key: OsString::new() })
}
