//! What a server advertises; and the ref advertisement of versions 0 and 1: read by clients, written by servers.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::{Capabilities, CapabilityError, ObjectFormat, ObjectId, RefName, Version};
use crate::error::Blame;
use crate::limits;
use crate::pkt::{self, Packet};

/// A ref: what a server lists and a client is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref {
    /// Its full name.
    pub name: RefName,
    /// What it points to.
    pub id: ObjectId,
    /// For an annotated tag, the object that the chain of tags ends at.
    pub peeled: Option<ObjectId>,
    /// For a symbolic ref, the ref it stands for.
    pub target: Option<RefName>,
}

impl Ref {
    /// A plain ref.
    #[must_use]
    pub const fn new(name: RefName, id: ObjectId) -> Self {
        Self { name, id, peeled: None, target: None }
    }
}

/// What a server advertised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// 0; 1 or 2 when the server announced it.
    pub version: Version,
    /// The hash function of every id.
    pub format: ObjectFormat,
    /// The refs in the server's order; `HEAD` first if it is there.
    pub refs: Vec<Ref>,
    /// What the server can do.
    pub capabilities: Capabilities,
    /// Objects of alternates (`.have` lines of receive-pack): the server has them, no ref of its own names them.
    pub haves: Vec<ObjectId>,
    /// The commits whose parents the server does not have.
    pub shallow: Vec<ObjectId>,
    /// Refs that were left out because their names are not valid (T16) or their id is the null id.
    pub skipped: usize,
    /// The branch that `HEAD` stands for where it has no commit yet; only version 2 tells.
    pub unborn: Option<RefName>,
}

impl Advertisement {
    /// The ref of that name.
    #[must_use]
    pub fn find(&self, name: &RefName) -> Option<&Ref> {
        self.refs.iter().find(|known| known.name == *name)
    }
}

/// Why an advertisement cannot be taken. All of these are the peer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdvertisementError {
    /// An `ERR` packet: the server's own words, raw (T18).
    #[error("the server says: {}", .message.escape_ascii())]
    Remote {
        /// The message.
        message: Bytes,
    },
    /// A line that is neither a ref, nor a shallow line, nor a version.
    #[error("a line of the ref advertisement is malformed: \"{}\"", .line.escape_ascii())]
    Malformed {
        /// Its first bytes.
        line: Bytes,
    },
    /// A special packet other than flush.
    #[error("a delimiter or response-end packet stands in the ref advertisement")]
    UnexpectedPacket,
    /// A version that was not asked for.
    #[error("the server answers in a protocol version that is not spoken here")]
    UnsupportedVersion,
    /// An unknown `object-format`, or ids of another length than it says.
    #[error("the object format of the advertisement is unknown or does not fit its ids")]
    Format,
    /// The capability list is not acceptable.
    #[error(transparent)]
    Capabilities(#[from] CapabilityError),
    /// More lines or bytes than the limit (T10).
    #[error("the ref advertisement exceeds the limit of {limit} {what}")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

impl AdvertisementError {
    /// Whose fault this is: the peer's.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        Blame::Peer
    }
}

/// Reads an advertisement, one packet at a time.
#[derive(Debug)]
pub struct AdvertisementParser {
    seen: Option<Advertisement>,
    version: Version,
    tally: Tally,
}

/// How long an advertisement has become (T10).
#[derive(Debug, Default)]
pub(crate) struct Tally {
    lines: usize,
    bytes: usize,
}

impl Tally {
    const NONE: Self = Self { lines: 0, bytes: 0 };

    /// Counts a line.
    pub(crate) fn count(&mut self, line: &[u8]) -> Result<(), AdvertisementError> {
        self.lines = self.lines.saturating_add(1);
        self.bytes = self.bytes.saturating_add(line.len());
        if self.lines > limits::REFS {
            return Err(AdvertisementError::TooLarge { what: "lines", limit: limits::REFS });
        }
        if self.bytes > limits::ADVERTISEMENT {
            return Err(AdvertisementError::TooLarge { what: "bytes", limit: limits::ADVERTISEMENT });
        }
        Ok(())
    }
}

impl Default for AdvertisementParser {
    fn default() -> Self {
        Self::new()
    }
}

impl AdvertisementParser {
    /// A parser at the first packet.
    #[must_use]
    pub const fn new() -> Self {
        Self { seen: None, version: Version::V0, tally: Tally::NONE }
    }

    /// Takes the next packet; `Some` when it was the flush that ends the advertisement.
    ///
    /// # Errors
    /// [`AdvertisementError`].
    pub fn handle_packet(
        &mut self,
        packet: Packet<Bytes>,
    ) -> Result<Option<Advertisement>, AdvertisementError> {
        let line = match packet {
            Packet::Flush => {
                let seen = self.finish();
                let fits = seen.shallow.iter().all(|id| id.format() == seen.format);
                return if fits { Ok(Some(seen)) } else { Err(AdvertisementError::Format) };
            }
            Packet::Delim | Packet::ResponseEnd => return Err(AdvertisementError::UnexpectedPacket),
            Packet::Data(line) => line,
        };
        self.tally.count(&line)?;
        let text = pkt::trim_lf(&line);
        if let Some(message) = text.strip_prefix(b"ERR ") {
            return Err(AdvertisementError::Remote { message: excerpt(message, limits::ERROR_MESSAGE) });
        }
        if let Some(version) = text.strip_prefix(b"version ") {
            if self.tally.lines > 1 || version != b"1" {
                return Err(AdvertisementError::UnsupportedVersion);
            }
            self.version = Version::V1;
            return Ok(None);
        }
        if let Some(id) = text.strip_prefix(b"shallow ") {
            let id = ObjectId::from_hex(id.trim_ascii()).map_err(|_| malformed(&line))?;
            let seen = self.seen_mut();
            if seen.shallow.len() >= limits::SHALLOW {
                return Err(AdvertisementError::TooLarge { what: "shallow lines", limit: limits::SHALLOW });
            }
            seen.shallow.push(id);
            return Ok(None);
        }
        self.take_ref(text)?;
        Ok(None)
    }

    fn take_ref(&mut self, text: &[u8]) -> Result<(), AdvertisementError> {
        let (entry, list) = match memchr::memchr(0, text).and_then(|nul| text.split_at_checked(nul)) {
            Some((entry, list)) => (entry, list.get(1..)),
            None => (text, None),
        };
        let space = memchr::memchr(b' ', entry).ok_or_else(|| malformed(text))?;
        let (hex, name) = entry.split_at_checked(space).ok_or_else(|| malformed(text))?;
        let id = ObjectId::from_hex(hex).map_err(|_| malformed(text))?;
        let name = name.get(1..).unwrap_or(&[]);
        if let Some(list) = list {
            let capabilities = Capabilities::parse(list)?;
            let seen = self.seen_mut();
            // The first line's count, as in Git: a later list would turn the format under the ids before it.
            let is_first = seen.refs.is_empty() && seen.haves.is_empty() && seen.skipped == 0;
            if is_first && seen.capabilities.is_empty() {
                seen.format = match capabilities.value("object-format") {
                    Some(named) => ObjectFormat::from_name(named).ok_or(AdvertisementError::Format)?,
                    None => ObjectFormat::Sha1,
                };
                seen.capabilities = capabilities;
            }
        }
        let seen = self.seen_mut();
        if id.format() != seen.format {
            return Err(AdvertisementError::Format);
        }
        if name == b"capabilities^{}" && id.is_null() {
            return Ok(());
        }
        if name == b".have" {
            seen.haves.push(id);
            return Ok(());
        }
        if let Some(tag) = name.strip_suffix(b"^{}") {
            let last = seen.refs.last_mut().filter(|last| last.name.as_bytes() == tag);
            match last {
                Some(last) => last.peeled = Some(id),
                None => seen.skipped = seen.skipped.saturating_add(1),
            }
            return Ok(());
        }
        match RefName::new(name) {
            // The null id names no object: a ref cannot be there.
            Ok(name) if !id.is_null() => seen.refs.push(Ref::new(name, id)),
            Ok(_) | Err(_) => seen.skipped = seen.skipped.saturating_add(1),
        }
        Ok(())
    }

    fn seen_mut(&mut self) -> &mut Advertisement {
        self.seen.get_or_insert_with(|| Advertisement {
            version: self.version,
            format: ObjectFormat::Sha1,
            refs: Vec::new(),
            capabilities: Capabilities::new(),
            haves: Vec::new(),
            shallow: Vec::new(),
            skipped: 0,
            unborn: None,
        })
    }

    /// Attaches the targets that `symref=NAME:TARGET` capabilities name.
    fn finish(&mut self) -> Advertisement {
        self.seen_mut();
        let mut seen = self.seen.take().unwrap_or_else(|| Self::new().finish());
        let pairs = seen.capabilities.values("symref").filter_map(|pair| {
            let colon = memchr::memchr(b':', pair)?;
            let (name, target) = pair.split_at_checked(colon)?;
            Some((RefName::new(name).ok()?, RefName::new(target.get(1..)?).ok()?))
        });
        let mut targets: BTreeMap<RefName, RefName> = pairs.collect();
        if !targets.is_empty() {
            for entry in &mut seen.refs {
                entry.target = targets.remove(&entry.name);
            }
        }
        seen
    }
}

/// Appends the lines of one ref: the ref itself, with the capabilities behind a NUL if it is the first, and the
/// peeled form of a tag (GIT-5).
///
/// # Errors
/// [`pkt::Error::TooLong`], and nothing is appended.
pub(crate) fn put_ref(
    to: &mut BytesMut,
    entry: &Ref,
    capabilities: Option<&Capabilities>,
) -> Result<(), pkt::Error> {
    let (hex, name) = (entry.id.to_hex(), entry.name.as_bytes());
    match capabilities {
        Some(list) => pkt::put_line(to, &[hex.as_bytes(), b" ", name, b"\0", &list.to_line()])?,
        None => pkt::put_line(to, &[hex.as_bytes(), b" ", name])?,
    }
    match entry.peeled {
        Some(peeled) => pkt::put_line(to, &[peeled.to_hex().as_bytes(), b" ", name, b"^{}"]),
        None => Ok(()),
    }
}

/// Appends the line that carries the capabilities when there is no ref to carry them (GIT-5).
///
/// # Errors
/// As [`put_ref`].
pub(crate) fn put_no_refs(
    to: &mut BytesMut,
    format: ObjectFormat,
    capabilities: &Capabilities,
) -> Result<(), pkt::Error> {
    let null = ObjectId::null(format).to_hex();
    pkt::put_line(to, &[null.as_bytes(), b" capabilities^{}\0", &capabilities.to_line()])
}

pub(crate) fn malformed(line: &[u8]) -> AdvertisementError {
    AdvertisementError::Malformed { line: excerpt(line, 80) }
}

/// The first `most` bytes, copied.
pub(crate) fn excerpt(bytes: &[u8], most: usize) -> Bytes {
    Bytes::copy_from_slice(bytes.get(..most).unwrap_or(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "59718b6e26b96150c7dd3435f053958592fc24f1";
    const TAG: &str = "1111111111111111111111111111111111111111";

    fn parse(lines: &[&str]) -> Result<Advertisement, AdvertisementError> {
        let mut parser = AdvertisementParser::new();
        for line in lines {
            let line = line.replace("ID", ID).replace("TAG", TAG);
            assert_eq!(parser.handle_packet(Packet::Data(Bytes::from(line)))?, None);
        }
        Ok(parser.handle_packet(Packet::Flush)?.unwrap())
    }

    #[test]
    fn git_5_refs_peeled_tags_symrefs_and_shallow_lines() {
        let seen = parse(&[
            "version 1",
            "ID HEAD\0multi_ack symref=HEAD:refs/heads/main symref=X agent=a \n",
            "ID refs/heads/main\n",
            "TAG refs/tags/v1",
            "ID refs/tags/v1^{}",
            "ID .have\n",
            "ID refs/heads/../../x\n",
            "shallow ID",
        ])
        .unwrap();
        assert_eq!(seen.version, Version::V1);
        assert_eq!(seen.refs.len(), 3);
        assert_eq!(seen.refs[0].target, Some(RefName::new("refs/heads/main").unwrap()));
        assert_eq!((seen.refs[2].id, seen.refs[2].peeled), (TAG.parse().unwrap(), Some(ID.parse().unwrap())));
        assert_eq!((seen.haves.len(), seen.shallow.len(), seen.skipped), (1, 1, 1));
        assert!(seen.capabilities.has("multi_ack"));
    }

    #[test]
    fn git_5_an_empty_repository_carries_its_capabilities() {
        let null = ObjectId::null(ObjectFormat::Sha256);
        let line = alloc::format!("{null} capabilities^{{}}\0 object-format=sha256 \n");
        let seen = parse(&[&line]).unwrap();
        assert_eq!((seen.refs.len(), seen.format), (0, ObjectFormat::Sha256));
        assert_eq!(parse(&[]).unwrap().refs, []);
    }

    /// T10: the last line and the last byte that are taken, and one more.
    #[test]
    fn git_5_lines_and_bytes_are_counted_up_to_their_limits() {
        let count = |lines, bytes, line: &[u8]| {
            let mut tally = Tally { lines, bytes };
            tally.count(line).map(|()| (tally.lines, tally.bytes))
        };
        let too_large = |what, limit| Err(AdvertisementError::TooLarge { what, limit });
        assert_eq!(count(limits::REFS - 1, 5, b"abc"), Ok((limits::REFS, 8)));
        assert_eq!(count(limits::REFS, 5, b"abc"), too_large("lines", limits::REFS));
        assert_eq!(count(0, limits::ADVERTISEMENT - 3, b"abc"), Ok((1, limits::ADVERTISEMENT)));
        assert_eq!(count(0, limits::ADVERTISEMENT - 2, b"abc"), too_large("bytes", limits::ADVERTISEMENT));
    }

    #[test]
    fn git_5_errors_are_named() {
        assert_eq!(
            parse(&["ERR access denied\n"]),
            Err(AdvertisementError::Remote { message: Bytes::from_static(b"access denied") })
        );
        assert!(matches!(parse(&["what"]), Err(AdvertisementError::Malformed { .. })));
        assert!(matches!(parse(&["shallow x"]), Err(AdvertisementError::Malformed { .. })));
        assert_eq!(parse(&["version 2"]), Err(AdvertisementError::UnsupportedVersion));
        assert_eq!(parse(&["ID HEAD\0object-format=sha256"]), Err(AdvertisementError::Format));
        assert_eq!(parse(&["ID HEAD\0object-format=md5"]), Err(AdvertisementError::Format));
        let mut parser = AdvertisementParser::new();
        assert_eq!(parser.handle_packet(Packet::Delim), Err(AdvertisementError::UnexpectedPacket));
    }

    #[test]
    fn git_5_what_is_written_is_read_back() {
        let mut list = Capabilities::new();
        list.push("multi_ack");
        let mut tag = Ref::new(RefName::new("refs/tags/v1").unwrap(), TAG.parse().unwrap());
        tag.peeled = Some(ID.parse().unwrap());
        let mut out = BytesMut::new();
        put_ref(&mut out, &tag, Some(&list)).unwrap();
        pkt::put_flush(&mut out);
        let mut reader = pkt::Reader::new();
        reader.handle_bytes(out.freeze());
        let mut parser = AdvertisementParser::new();
        let seen = loop {
            let packet = reader.next_packet().unwrap().unwrap();
            if let Some(seen) = parser.handle_packet(packet).unwrap() {
                break seen;
            }
        };
        assert_eq!((seen.refs, seen.capabilities), (alloc::vec![tag], list));
    }
}
