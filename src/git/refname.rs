//! Validated ref names.

use core::fmt;

use bytes::Bytes;

use crate::limits;

/// A full ref name that `git check-ref-format` accepts: `HEAD`, or `refs/…` (GIT-2).
///
/// The type is the proof: names from a peer and from the driver both pass through [`RefName::new`], so a name
/// such as `refs/heads/../../config` never reaches a file system (T16).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(Bytes);

/// Why a name is not a ref name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefNameError {
    /// Neither `HEAD` nor below `refs/`.
    #[error("a ref name is HEAD or begins with refs/")]
    NotFull,
    /// Longer than [`limits::REF_NAME`].
    #[error("a ref name of {length} bytes is longer than the limit of {limit}")]
    TooLong {
        /// Its length.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// A byte that no ref name holds: a control character, a space, or one of `~^:?*[\`.
    #[error("byte {byte:#04x} cannot stand in a ref name")]
    Byte {
        /// The byte.
        byte: u8,
    },
    /// An empty component: `//`, or a `/` at the end.
    #[error("a ref name has an empty component")]
    EmptyComponent,
    /// A component that begins with a dot.
    #[error("a component of a ref name begins with a dot")]
    LeadingDot,
    /// A component that ends with `.lock`.
    #[error("a component of a ref name ends with .lock")]
    Lock,
    /// `..`, `@{`, or a dot at the end.
    #[error("a ref name holds .. or @{{, or ends with a dot")]
    Sequence,
}

impl RefName {
    /// Validates `name`, copying it out of whatever buffer it stands in.
    ///
    /// # Errors
    /// [`RefNameError`] names the rule that is broken.
    pub fn new(name: impl AsRef<[u8]>) -> Result<Self, RefNameError> {
        let name = name.as_ref();
        validate(name)?;
        Ok(Self(Bytes::copy_from_slice(name)))
    }

    /// `HEAD`.
    #[must_use]
    pub const fn head() -> Self {
        Self(Bytes::from_static(b"HEAD"))
    }

    /// The name as bytes: Git does not require UTF-8.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is `HEAD`.
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.as_bytes() == b"HEAD"
    }

    /// The name without the prefix that people leave out: `refs/heads/`, `refs/tags/`, else `refs/`.
    #[must_use]
    pub fn short(&self) -> &[u8] {
        let name = self.as_bytes();
        [&b"refs/heads/"[..], b"refs/tags/", b"refs/"]
            .into_iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .unwrap_or(name)
    }

    /// Whether no component is a device name of Windows (`con`, `nul`, `com1` …), with or without an extension,
    /// nor ends with a dot. Git itself has no such rule; a driver on such a system asks (T16).
    #[must_use]
    pub fn is_portable(&self) -> bool {
        self.as_bytes().split(|byte| *byte == b'/').all(|component| {
            let stem = component.split(|byte| *byte == b'.').next().unwrap_or(component);
            !is_device(stem) && !component.ends_with(b".")
        })
    }
}

fn is_device(stem: &[u8]) -> bool {
    const PLAIN: [&[u8]; 4] = [b"con", b"prn", b"aux", b"nul"];
    if PLAIN.iter().any(|device| stem.eq_ignore_ascii_case(device)) {
        return true;
    }
    match stem.split_last() {
        Some((b'1'..=b'9', name)) => name.eq_ignore_ascii_case(b"com") || name.eq_ignore_ascii_case(b"lpt"),
        _ => false,
    }
}

fn validate(name: &[u8]) -> Result<(), RefNameError> {
    if name == b"HEAD" {
        return Ok(());
    }
    if name.len() > limits::REF_NAME {
        return Err(RefNameError::TooLong { length: name.len(), limit: limits::REF_NAME });
    }
    if !name.starts_with(b"refs/") {
        return Err(RefNameError::NotFull);
    }
    for component in name.split(|byte| *byte == b'/') {
        validate_component(component)?;
    }
    if name.ends_with(b".") {
        return Err(RefNameError::Sequence);
    }
    Ok(())
}

fn validate_component(component: &[u8]) -> Result<(), RefNameError> {
    if component.is_empty() {
        return Err(RefNameError::EmptyComponent);
    }
    if component.starts_with(b".") {
        return Err(RefNameError::LeadingDot);
    }
    if component.ends_with(b".lock") {
        return Err(RefNameError::Lock);
    }
    let mut before = 0;
    for &byte in component {
        match byte {
            0..=0x20 | 0x7f | b'~' | b'^' | b':' | b'?' | b'*' | b'[' | b'\\' => {
                return Err(RefNameError::Byte { byte });
            }
            b'.' if before == b'.' => return Err(RefNameError::Sequence),
            b'{' if before == b'@' => return Err(RefNameError::Sequence),
            _ => before = byte,
        }
    }
    Ok(())
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&alloc::string::String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefName({})", self.0.escape_ascii())
    }
}

impl AsRef<[u8]> for RefName {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_2_good_names() {
        for name in
            ["HEAD", "refs/heads/main", "refs/heads/a/b.c", "refs/tags/v1.0", "refs/heads/@", "refs/x/ü"]
        {
            assert_eq!(RefName::new(name).unwrap().as_bytes(), name.as_bytes());
        }
    }

    /// T16.
    #[test]
    fn git_2_bad_names() {
        use RefNameError as E;
        let cases: [(&[u8], RefNameError); 16] = [
            (b"", E::NotFull),
            (b"main", E::NotFull),
            (b"refsx/y", E::NotFull),
            (b"refs/", E::EmptyComponent),
            (b"refs/heads//x", E::EmptyComponent),
            (b"refs/heads/x/", E::EmptyComponent),
            (b"refs/heads/../../config", E::LeadingDot),
            (b"refs/heads/.x", E::LeadingDot),
            (b"refs/heads/x.lock/y", E::Lock),
            (b"refs/heads/a..b", E::Sequence),
            (b"refs/heads/a@{b", E::Sequence),
            (b"refs/heads/a.", E::Sequence),
            (b"refs/heads/x y", E::Byte { byte: b' ' }),
            (b"refs/heads/x\x7f", E::Byte { byte: 0x7f }),
            (b"refs/heads/x\n", E::Byte { byte: b'\n' }),
            (b"refs/heads/a\\b", E::Byte { byte: b'\\' }),
        ];
        for (name, error) in cases {
            assert_eq!(RefName::new(name), Err(error), "{}", name.escape_ascii());
        }
        let long = [&b"refs/heads/"[..], &[b'a'; limits::REF_NAME]].concat();
        assert!(matches!(RefName::new(long), Err(E::TooLong { limit: limits::REF_NAME, .. })));
    }

    #[test]
    fn device_names_are_told_apart() {
        assert!(RefName::new("refs/heads/console").unwrap().is_portable());
        for name in ["refs/heads/CON", "refs/heads/nul.txt", "refs/com1/x", "refs/heads/lpt9"] {
            assert!(!RefName::new(name).unwrap().is_portable(), "{name}");
        }
    }

    #[test]
    fn short_names() {
        for (name, short) in
            [("refs/heads/a/b", "a/b"), ("refs/tags/v1", "v1"), ("refs/x/y", "x/y"), ("HEAD", "HEAD")]
        {
            assert_eq!(RefName::new(name).unwrap().short(), short.as_bytes());
        }
    }
}
