//! Push certificates: the nonce that is given out, and what the hooks of a signed push are told.
//!
//! Whether a signature is good is for the program to say that Git would ask (`gpg.*`): it is given exactly the bytes
//! before the signature.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::process::Command;
use std::str;

use bytes::Bytes;
use portline::git::push::{Certificate, NonceStatus};
use tempfile::NamedTempFile;

use super::error::Error;
use super::hooks::Environment;
use super::namespace;
use super::process::{capture, clean};
use super::repository::{Repository, os};
use super::sign::{self, Format};

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
    let check = verify(repository, certificate)?;
    let mut set: Environment = vec![
        ("GIT_PUSH_CERT".to_owned(), os(stored.trim_ascii())),
        ("GIT_PUSH_CERT_SIGNER".to_owned(), check.signer),
        ("GIT_PUSH_CERT_KEY".to_owned(), check.key),
        ("GIT_PUSH_CERT_STATUS".to_owned(), check.result.unwrap_or('N').to_string().into()),
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
#[derive(Default)]
struct Check {
    /// Git's letter for it, as `%G?` shows it.
    result: Option<char>,
    signer: OsString,
    key: OsString,
}

/// Asks the program that Git would ask.
fn verify(repository: &Repository, certificate: &Certificate) -> Result<Check, Error> {
    let signature = certificate.signature();
    if signature.is_empty() {
        return Ok(Check::default());
    }
    let failed = || Error::io("the signature cannot be written for its verifier");
    let mut file = NamedTempFile::new().map_err(failed())?;
    file.write_all(signature).map_err(failed())?;
    let payload = certificate.payload().to_vec();
    let config = repository.config();
    if !signature.starts_with(b"-----BEGIN SSH") {
        let is_pgp = signature.starts_with(b"-----BEGIN PGP");
        let mut command =
            Command::new(sign::program(config, if is_pgp { Format::OpenPgp } else { Format::X509 }));
        clean(&mut command).args(is_pgp.then_some("--keyid-format=long")).args(["--status-fd=1", "--verify"]);
        command.arg(file.path()).arg("-");
        let said = capture(command, payload)?.stdout;
        return Ok(said.split(|byte| *byte == b'\n').filter_map(status).fold(Check::default(), Check::with));
    }
    let Some(allowed) = repository.path_setting("gpg.ssh.allowedsignersfile")? else {
        return Ok(Check::default());
    };
    let ask = |verb: &str, more: &[&OsStr], input: Vec<u8>| {
        let mut command = Command::new(sign::program(config, Format::Ssh));
        clean(&mut command).arg("-Y").arg(verb).arg("-s").arg(file.path()).args(more);
        capture(command, input)
    };
    let found = ask("find-principals", &["-f".as_ref(), &allowed], Vec::new())?.stdout;
    let mut check = Check { result: Some('B'), ..Check::default() };
    for principal in found.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let principal = os(principal);
        let more: [&OsStr; 6] =
            ["-n".as_ref(), "git".as_ref(), "-f".as_ref(), &allowed, "-I".as_ref(), &principal];
        let output = ask("verify", &more, payload.clone())?;
        let good = output.stdout.split(|byte| *byte == b'\n').filter_map(words);
        check = good.filter(|_| output.status.success()).fold(check, Check::with);
    }
    if found.is_empty() {
        let output = ask("check-novalidate", &["-n".as_ref(), "git".as_ref()], payload)?;
        check = output.stdout.split(|byte| *byte == b'\n').filter_map(words).fold(check, Check::with);
    }
    Ok(check)
}

impl Check {
    /// A later line adds to an earlier one.
    fn with(self, next: Self) -> Self {
        let or = |new: OsString, old: OsString| if new.is_empty() { old } else { new };
        Self {
            result: next.result.or(self.result),
            signer: or(next.signer, self.signer),
            key: or(next.key, self.key),
        }
    }

    fn new(result: char, key: &[u8], signer: &[u8]) -> Self {
        Self { result: Some(result), signer: os(signer), key: os(key) }
    }
}

/// A status line of GnuPG.
fn status(line: &[u8]) -> Option<Check> {
    let status = line.strip_prefix(b"[GNUPG:] ")?;
    let kinds = [
        ("GOODSIG ", 'G'),
        ("BADSIG ", 'B'),
        ("ERRSIG ", 'E'),
        ("EXPSIG ", 'X'),
        ("EXPKEYSIG ", 'Y'),
        ("REVKEYSIG ", 'R'),
    ];
    let (rest, result) = kinds
        .into_iter()
        .find_map(|(prefix, result)| Some((status.strip_prefix(prefix.as_bytes())?, result)))?;
    let mut words = rest.splitn(2, |byte| *byte == b' ');
    let (key, signer) = (words.next()?, words.next().unwrap_or_default());
    Some(Check::new(result, key, if result == 'E' { b"" } else { signer }))
}

/// A line of `ssh-keygen`: whose key it is, where that is known, and which.
fn words(line: &[u8]) -> Option<Check> {
    let rest = line.strip_prefix(b"Good \"git\" signature ")?;
    let key_at = rest.windows(5).rposition(|window| window == b" key ")?;
    let key = rest.get(key_at.saturating_add(5)..)?;
    let signer = rest.strip_prefix(b"for ").and_then(|rest| {
        let end = rest.windows(6).rposition(|window| window == b" with ")?;
        rest.get(..end)
    });
    Some(Check::new('G', key, signer.unwrap_or_default()))
}
