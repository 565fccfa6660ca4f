//! Signatures over push certificates, made by the program that Git would ask, with the user's own key.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::config::Config;
use super::error::Error;
use super::process::{capture, clean, complaint};
use super::repository::{Repository, os};

/// Who signs here, and when: `NAME <MAIL> SECONDS ZONE`.
///
/// # Errors
/// [`Error::Git`] when the user has no name.
pub fn identity(repository: &Repository) -> Result<Vec<u8>, Error> {
    Ok(repository.git().ask(&["var", "GIT_COMMITTER_IDENT"], Vec::new())?.trim_ascii().to_vec())
}

/// The formats of signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// GnuPG.
    OpenPgp,
    /// X.509.
    X509,
    /// SSH.
    Ssh,
}

/// The program that makes and verifies signatures of a format.
pub fn program(config: &Config, format: Format) -> OsString {
    let (keys, default): (&[&str], &str) = match format {
        Format::OpenPgp => (&["gpg.openpgp.program", "gpg.program"], "gpg"),
        Format::X509 => (&["gpg.x509.program"], "gpgsm"),
        Format::Ssh => (&["gpg.ssh.program"], "ssh-keygen"),
    };
    let named = keys.iter().find_map(|key| config.value(key)).filter(|value| !value.is_empty());
    os(named.unwrap_or(default.as_bytes()))
}

/// Signs `text` as `gpg.format` and `user.signingKey` have it.
///
/// # Errors
/// [`Error::Io`] when the program cannot be started, [`Error::Usage`] with its words when it does not sign.
pub fn sign(repository: &Repository, text: &[u8]) -> Result<Vec<u8>, Error> {
    let config = repository.config();
    let key = config.value("user.signingkey").filter(|key| !key.is_empty());
    let format = match config.value("gpg.format").unwrap_or(b"openpgp") {
        b"ssh" => Format::Ssh,
        b"x509" => Format::X509,
        _ => Format::OpenPgp,
    };
    let program = program(config, format);
    if format == Format::Ssh {
        let missing = || Error::Usage("user.signingKey is needed to sign a push".to_owned());
        let key = repository.path_setting("user.signingkey")?.ok_or_else(missing)?;
        return sign_file(&program, Path::new(&key), text);
    }
    let identity = identity(repository)?;
    // The key of that name, which stands before the time.
    let name = identity.split_inclusive(|byte| *byte == b'>').next().unwrap_or_default();
    let mut command = Command::new(program);
    clean(&mut command).args(["--status-fd=2", "-bsa", "-u"]).arg(os(key.unwrap_or(name)));
    signed(&capture(command, text.to_vec())?).map(|output| output.stdout.clone())
}

/// `ssh-keygen` signs files.
fn sign_file(program: &OsStr, key: &Path, text: &[u8]) -> Result<Vec<u8>, Error> {
    let failed = || Error::io("the certificate cannot be written for its signer");
    let place = tempfile::tempdir().map_err(failed())?;
    let file = place.path().join("certificate");
    fs::write(&file, text).map_err(failed())?;
    let mut asked = Command::new(program);
    clean(&mut asked).args(["-Y", "sign", "-n", "git", "-f"]).arg(key).arg(&file);
    signed(&capture(asked, Vec::new())?)?;
    fs::read(file.with_extension("sig")).map_err(failed())
}

fn signed(output: &Output) -> Result<&Output, Error> {
    if output.status.success() {
        return Ok(output);
    }
    let words = String::from_utf8_lossy(complaint(&output.stderr)).into_owned();
    Err(Error::Usage(format!("the push cannot be signed: {words}")))
}
