//! The refs on which two repositories agreed at their last sync, kept in a file of the left one.
//!
//! `GITDIR/portline/base/NAME`, a line `ID SP REF` for each ref; NAME is made from the right one's path.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use portline::git::{ObjectId, RefName};

use crate::support::Error;

/// One ref and its value at the last sync.
pub type Entry = (RefName, ObjectId);

/// The base of `left` towards `right`; `None` before the first sync.
pub fn load(left: &Path, right: &Path) -> Result<Option<Vec<Entry>>, Error> {
    let text = match fs::read(file(left, right)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("the base of the last sync cannot be read")(error)),
    };
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| parse(line).ok_or_else(|| damaged(left, right))).collect::<Result<_, _>>().map(Some)
}

fn parse(line: &[u8]) -> Option<Entry> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    let (id, name) = line.split_at_checked(space)?;
    Some((RefName::new(name.get(1..)?).ok()?, ObjectId::from_hex(id).ok()?))
}

fn damaged(left: &Path, right: &Path) -> Error {
    let file = file(left, right);
    Error::Usage(format!("{} is damaged; remove it, and deletions count as creations once", file.display()))
}

/// The text of a base.
pub fn text(entries: &[Entry]) -> Vec<u8> {
    let mut text = Vec::new();
    for (name, id) in entries {
        text.extend_from_slice(id.to_hex().as_bytes());
        text.push(b' ');
        text.extend_from_slice(name.as_bytes());
        text.push(b'\n');
    }
    text
}

/// Replaces the base in one step: a crash leaves the old one or the new one.
pub fn save(left: &Path, right: &Path, text: &[u8]) -> Result<(), Error> {
    let file = file(left, right);
    let folder = file.parent().unwrap_or(left);
    let write = || {
        fs::create_dir_all(folder)?;
        let mut next = tempfile::NamedTempFile::new_in(folder)?;
        next.write_all(text)?;
        next.as_file().sync_all()?;
        next.persist(&file).map_err(|error| error.error)?;
        io::Result::Ok(())
    };
    write().map_err(Error::io("the base of this sync cannot be kept"))
}

/// Where the base is: a name that people recognise, and a hash (FNV-1a) of the whole path that tells namesakes apart.
fn file(left: &Path, right: &Path) -> PathBuf {
    let right = right.canonicalize().unwrap_or_else(|_| right.to_owned());
    let hash = right.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let name = right.file_name().unwrap_or_default().as_encoded_bytes();
    let name: String = name.iter().filter(|byte| plain(byte)).take(64).copied().map(char::from).collect();
    left.join("portline/base").join(format!("{name}-{hash:016x}"))
}
