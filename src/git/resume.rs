//! Going on with a pack that broke off: what its receiver holds of it, and from where its sender goes on.
//!
//! ```text
//! receiver                                          sender
//!   resume OFFSET DIGEST ────────────────────────►   builds the pack that the request asks for
//!                                                    its first OFFSET bytes have that digest?
//!   part held + rest = the sender's pack   ◄──────   yes: resume OFFSET, and the rest
//!   drops its part                         ◄──────   no:  resume 0, and all of it
//! ```
//!
//! Agreed by the capability `portline-resume`; a peer without it is served as ever. Rules: `spec/19-resume.md`.

use alloc::format;
use alloc::vec::Vec;

use bytes::{Buf, Bytes};
use smallvec::SmallVec;

use super::SessionError;
use crate::limits;
use crate::pkt::{self, Decoded, Packet};

/// The capability, and in version 2 the feature of `fetch`.
pub(crate) const CAPABILITY: &str = "portline-resume";

/// What every line begins with.
const WORD: &[u8] = b"resume ";

/// The longest head of a pack's stream: four digits, the word, twenty digits.
const HEAD: usize = 31;

/// The part of a pack that a receiver holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    offset: u64,
    digest: Bytes,
}

/// A part that cannot be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// Nothing is held.
    #[error("a part of no bytes is none")]
    Empty,
    /// No digest, or one that is longer than [`limits::RESUME_DIGEST`].
    #[error("the digest of the part is empty or longer than {limit} bytes")]
    Digest {
        /// The limit.
        limit: usize,
    },
}

impl Resume {
    /// The first `offset` bytes of a pack, whose digest this is: SHA-256 between the drivers of the examples. Machines
    /// pass it on.
    ///
    /// # Errors
    /// [`ResumeError`].
    pub fn new(offset: u64, digest: Bytes) -> Result<Self, ResumeError> {
        if offset == 0 {
            return Err(ResumeError::Empty);
        }
        if digest.is_empty() || digest.len() > limits::RESUME_DIGEST {
            return Err(ResumeError::Digest { limit: limits::RESUME_DIGEST });
        }
        Ok(Self { offset, digest })
    }

    /// How many bytes are held.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Their digest.
    #[must_use]
    pub const fn digest(&self) -> &Bytes {
        &self.digest
    }

    /// The line that names a part, or that nothing is held but might be another time (RESUME-2).
    pub(crate) fn line(part: Option<&Self>) -> Vec<u8> {
        let Some(part) = part else { return b"resume 0".to_vec() };
        let mut line = format!("resume {} ", part.offset).into_bytes();
        for byte in &part.digest {
            line.extend_from_slice(format!("{byte:02x}").as_bytes());
        }
        line
    }

    /// Reads that line. Outer `None`: it is another one; the error: it is malformed.
    pub(crate) fn parse(line: &[u8]) -> Option<Result<Option<Self>, ()>> {
        let text = line.strip_prefix(WORD)?;
        if text == b"0" {
            return Some(Ok(None));
        }
        let part = || {
            let space = memchr::memchr(b' ', text)?;
            let (offset, digest) = text.split_at_checked(space)?;
            let hex = digest.get(1..)?;
            let pairs = hex.chunks(2).map(|pair| match pair {
                [high, low] => pkt::hex_byte(*high, *low),
                _ => None,
            });
            let digest: Option<Vec<u8>> = pairs.collect();
            Self::new(number(offset)?, digest?.into()).ok()
        };
        Some(part().map(Some).ok_or(()))
    }
}

/// Decimal digits, without a sign, spaces, or leading zeros.
fn number(digits: &[u8]) -> Option<u64> {
    let is_plain = digits.iter().all(u8::is_ascii_digit) && (digits == b"0" || !digits.starts_with(b"0"));
    let text = core::str::from_utf8(digits).ok().filter(|_| is_plain)?;
    text.parse().ok()
}

/// The packet in front of a pack's stream that tells from where it goes on (RESUME-4).
pub(crate) fn put_head(offset: u64) -> Bytes {
    let line = format!("resume {offset}");
    let size = line.len().saturating_add(4);
    format!("{size:04x}{line}").into()
}

/// Reads that packet, however the stream is split.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head(SmallVec<[u8; HEAD]>);

impl Head {
    /// Takes what belongs to it off `bytes`; the offset once it is whole.
    pub(crate) fn take(&mut self, bytes: &mut Bytes) -> Result<Option<u64>, SessionError> {
        const EXPECTED: &str = "from where the pack goes on";
        loop {
            let found = match pkt::decode(&self.0)? {
                Decoded::Complete { packet: Packet::Data(line), .. } => {
                    if let Some(offset) = line.strip_prefix(WORD).and_then(number) {
                        return Ok(Some(offset));
                    }
                    Packet::Data(Bytes::copy_from_slice(line))
                }
                Decoded::Complete { packet: Packet::Flush, .. } => Packet::Flush,
                Decoded::Complete { packet: Packet::Delim, .. } => Packet::Delim,
                Decoded::Complete { packet: Packet::ResponseEnd, .. } => Packet::ResponseEnd,
                Decoded::Incomplete { needed } if self.0.len().saturating_add(needed) <= HEAD => {
                    let piece = bytes.split_to(needed.min(bytes.remaining()));
                    if piece.is_empty() {
                        return Ok(None);
                    }
                    self.0.extend_from_slice(&piece);
                    continue;
                }
                Decoded::Incomplete { .. } => Packet::Data(Bytes::copy_from_slice(&self.0)),
            };
            return Err(SessionError::unexpected(EXPECTED, &found));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(offset: u64) -> Resume {
        Resume::new(offset, Bytes::from_static(b"\x01\xfe")).unwrap()
    }

    #[test]
    fn resume_2_a_part_is_named_by_its_length_and_its_digest() {
        assert_eq!(Resume::line(None), b"resume 0");
        assert_eq!(Resume::line(Some(&part(300))), b"resume 300 01fe");
        assert_eq!(Resume::parse(b"resume 0"), Some(Ok(None)));
        assert_eq!(Resume::parse(b"resume 300 01FE"), Some(Ok(Some(part(300)))));
        let most = format!("resume {} 01fe", u64::MAX);
        assert_eq!(Resume::parse(most.as_bytes()), Some(Ok(Some(part(u64::MAX)))));
        assert_eq!(Resume::parse(b"resumed 0"), None);
        assert_eq!(Resume::new(0, Bytes::from_static(b"x")), Err(ResumeError::Empty));
        let limit = limits::RESUME_DIGEST;
        for digest in [Bytes::new(), alloc::vec![0; limit + 1].into()] {
            assert_eq!(Resume::new(1, digest), Err(ResumeError::Digest { limit }));
        }
    }

    /// T10, T14.
    #[test]
    fn resume_2_other_lines_are_malformed() {
        let long = format!("resume 1 {}", "00".repeat(limits::RESUME_DIGEST + 1));
        for bad in [
            "resume ",
            "resume 1",
            "resume 1 ",
            "resume 0 00",
            "resume +1 00",
            "resume 01 00",
            "resume -1 00",
            "resume 1 0",
            "resume 1 0g",
            "resume 1  00",
            "resume 18446744073709551616 00",
            &long,
        ] {
            assert_eq!(Resume::parse(bad.as_bytes()), Some(Err(())), "{bad}");
        }
    }

    #[test]
    fn resume_4_the_head_of_the_stream_is_read_in_any_split() {
        for offset in [0, 7, 4096, u64::MAX] {
            let whole = [&put_head(offset)[..], b"PACK"].concat();
            assert!(whole.len() <= HEAD + 4);
            for cut in 0..whole.len() {
                let mut head = Head::default();
                let mut first = Bytes::copy_from_slice(&whole[..cut]);
                let mut rest = Bytes::copy_from_slice(&whole[cut..]);
                let told = head.take(&mut first).unwrap();
                let told = if told.is_some() { told } else { head.take(&mut rest).unwrap() };
                assert_eq!(
                    (told, [first, rest].concat()),
                    (Some(offset), b"PACK".to_vec()),
                    "{offset}, {cut}"
                );
            }
        }
    }

    /// T14.
    #[test]
    fn resume_4_another_head_is_refused_before_it_is_gathered() {
        for bad in ["PACK", "0000", "0001", "0002", "0020", "000dresume 0x", "000dresume 07", "000cresumed 0"]
        {
            let mut bytes = Bytes::copy_from_slice(bad.as_bytes());
            assert!(Head::default().take(&mut bytes).is_err(), "{bad}");
        }
    }
}
