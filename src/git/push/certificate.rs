//! Push certificates: a push that its author has signed.
//!
//! ```text
//! certificate version 0.1
//! pusher IDENTITY SECONDS ZONE
//! pushee URL
//! nonce NONCE                       the server's, so that nobody can play it again
//! push-option OPTION                each one
//!                                   an empty line
//! OLD NEW NAME                      each command
//! -----BEGIN … SIGNATURE-----       over all that stands before
//! ```
//!
//! A certificate stands in place of the commands: they are taken out of it, and no others are. The machines neither
//! sign nor verify: that is the driver's. Rules: `spec/06-push.md`.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::Command;
use crate::limits;

/// How a line begins with which a signature begins, in each of its formats.
const SIGNATURES: [&[u8]; 4] = [
    b"-----BEGIN PGP SIGNATURE-----",
    b"-----BEGIN PGP MESSAGE-----",
    b"-----BEGIN SIGNED MESSAGE-----",
    b"-----BEGIN SSH SIGNATURE-----",
];

/// A push certificate as it came. Nothing of it is verified but what [`Certificate::nonce`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    text: Bytes,
    /// Where the signature begins.
    signed: usize,
    /// Where the commands begin.
    commands: usize,
    /// What its nonce is worth.
    pub nonce: NonceStatus,
}

/// Whether a certificate was made for this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NonceStatus {
    /// It carries the nonce that was advertised.
    Ok,
    /// It carries another one. A server of one request (`Serving::Request`) cannot know the nonce that another one
    /// has given out: its driver can tell if it made that.
    Bad,
    /// It carries none.
    Missing,
    /// It carries one although none was advertised.
    Unsolicited,
}

impl NonceStatus {
    /// Git's word for it, as hooks see it in `GIT_PUSH_CERT_NONCE_STATUS`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Bad => "BAD",
            Self::Missing => "MISSING",
            Self::Unsolicited => "UNSOLICITED",
        }
    }
}

impl Certificate {
    /// Takes a certificate apart; `None`: no empty line ends its header.
    pub(super) fn new(text: Bytes, advertised: Option<&Bytes>) -> Option<Self> {
        let commands = memchr::memmem::find(&text, b"\n\n")?.checked_add(2)?;
        let signed = signature(&text);
        let mut this = Self { text, signed, commands, nonce: NonceStatus::Missing };
        let nonce = match (this.header("nonce").next(), advertised) {
            (None, _) => NonceStatus::Missing,
            (Some(_), None) => NonceStatus::Unsolicited,
            (Some(found), Some(given)) if found == given => NonceStatus::Ok,
            (Some(_), Some(_)) => NonceStatus::Bad,
        };
        this.nonce = nonce;
        Some(this)
    }

    /// All of it, the signature included.
    #[must_use]
    pub const fn text(&self) -> &Bytes {
        &self.text
    }

    /// What is signed.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.text.get(..self.signed).unwrap_or(&self.text)
    }

    /// The signature; empty if there is none.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        self.text.get(self.signed..).unwrap_or(&[])
    }

    /// The values of all header lines `name VALUE`: `pusher`, `pushee`, `nonce`, `push-option`.
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let header = self.payload().get(..self.commands).unwrap_or_else(|| self.payload());
        let lines = header.split(|byte| *byte == b'\n').take_while(|line| !line.is_empty());
        lines.filter_map(move |line| line.strip_prefix(name.as_bytes())?.strip_prefix(b" "))
    }

    /// The lines of the commands, without their LF.
    pub(super) fn commands(&self) -> impl Iterator<Item = &[u8]> {
        let text = self.text.get(self.commands..self.signed).unwrap_or(&[]);
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        text.split(|byte| *byte == b'\n').filter(|_| !text.is_empty())
    }
}

/// Where the signature begins: the last line that could be its first one, as Git reads it.
fn signature(text: &[u8]) -> usize {
    let mut starts =
        core::iter::once(0).chain(memchr::memchr_iter(b'\n', text).map(|at| at.saturating_add(1)));
    let begins = |at: &usize| {
        text.get(*at..).is_some_and(|rest| SIGNATURES.iter().any(|signature| rest.starts_with(signature)))
    };
    starts.rfind(begins).unwrap_or(text.len())
}

/// Whether a server's nonce can be signed: Git signs none that could be read as anything else (PUSH-24).
pub(super) fn is_nonce(nonce: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-./+=_".contains(byte);
    nonce.len() < limits::NONCE && nonce.iter().all(fits)
}

/// The text that is to be signed.
pub(super) fn text(
    pusher: &[u8],
    pushee: Option<&[u8]>,
    nonce: &[u8],
    push_options: &[Bytes],
    commands: &[Command],
) -> Bytes {
    let mut text = BytesMut::from(&b"certificate version 0.1\n"[..]);
    let mut header = |name: &[u8], value: &[u8]| {
        for part in [name, b" ", value, b"\n"] {
            text.put_slice(part);
        }
    };
    header(b"pusher", pusher);
    if let Some(pushee) = pushee.filter(|pushee| !pushee.is_empty()) {
        header(b"pushee", pushee);
    }
    if !nonce.is_empty() {
        header(b"nonce", nonce);
    }
    for option in push_options {
        header(b"push-option", option);
    }
    text.put_u8(b'\n');
    for command in commands {
        let (old, new) = (command.old.to_hex(), command.new.to_hex());
        for part in [old.as_bytes(), b" ", new.as_bytes(), b" ", command.name.as_bytes(), b"\n"] {
            text.put_slice(part);
        }
    }
    text.freeze()
}

/// The lines of a certificate, each with its LF: one packet each.
pub(super) fn lines(text: &Bytes) -> Vec<Bytes> {
    text.split_inclusive(|byte| *byte == b'\n').map(|line| text.slice_ref(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "certificate version 0.1\npusher A <a@b> 1 +0000\nnonce n\npush-option x y\npush-option z\n\n\
        OLD NEW refs/heads/a\nOLD NEW refs/heads/b\n-----BEGIN SSH SIGNATURE-----\nU1\n-----END SSH SIGNATURE-----\n";

    #[test]
    fn push_24_a_certificate_is_header_commands_and_signature() {
        let given = Bytes::from_static(b"n");
        let found = Certificate::new(Bytes::from(TEXT), Some(&given)).unwrap();
        assert_eq!(found.nonce, NonceStatus::Ok);
        assert_eq!(found.header("pusher").collect::<Vec<_>>(), [&b"A <a@b> 1 +0000"[..]]);
        assert_eq!(found.header("push-option").collect::<Vec<_>>(), [&b"x y"[..], b"z"]);
        assert_eq!(
            found.commands().collect::<Vec<_>>(),
            [&b"OLD NEW refs/heads/a"[..], b"OLD NEW refs/heads/b"]
        );
        assert!(found.payload().ends_with(b"refs/heads/b\n"));
        assert!(found.signature().starts_with(b"-----BEGIN SSH") && found.signature().ends_with(b"-----\n"));
        assert_eq!([found.payload(), found.signature()].concat(), TEXT.as_bytes());
    }

    #[test]
    fn push_24_the_nonce_is_the_advertised_one_or_is_told_apart() {
        let status = |text: &str, given: Option<&str>| {
            let given = given.map(|given| Bytes::from(alloc::string::String::from(given)));
            Certificate::new(Bytes::from(alloc::string::String::from(text)), given.as_ref()).unwrap().nonce
        };
        assert_eq!(status(TEXT, Some("m")), NonceStatus::Bad);
        assert_eq!(status(TEXT, None), NonceStatus::Unsolicited);
        // One among the commands is none.
        assert_eq!(status("certificate version 0.1\n\nnonce n\n", Some("n")), NonceStatus::Missing);
        assert_eq!(Certificate::new(Bytes::from_static(b"certificate version 0.1\n"), None), None);
        assert_eq!(Certificate::new(Bytes::from_static(b"a\n\n"), None).unwrap().commands().count(), 0);
    }

    /// T17.
    #[test]
    fn push_24_a_nonce_is_a_short_word() {
        assert!(is_nonce(b"1433954361-bde756572d665bba81d8-./+=_"));
        for bad in [&b"a b"[..], b"a\nb", b"\x1b", &[b'a'; limits::NONCE]] {
            assert!(!is_nonce(bad), "{bad:?}");
        }
    }
}
