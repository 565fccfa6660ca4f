//! Which refs a sync leaves alone.

use alloc::vec::Vec;
use core::{fmt, str};

use crate::git::{RefName, RefNameError};

/// What is left alone whatever the config says, as patterns are written (SYNC-10).
///
/// `HEAD` is a pointer of its own on each side and not a value to agree on. Below `refs/portline/` stands what belongs to
/// one repository: its record of the last sync and its backup refs.
pub const BUILT_IN_EXCLUSIONS: [&str; 2] = ["HEAD", "refs/portline/*"];

/// Whether `name` is covered by [`BUILT_IN_EXCLUSIONS`].
#[must_use]
pub fn always_excluded(name: &RefName) -> bool {
    name.is_head() || name.as_bytes().starts_with(b"refs/portline/")
}

/// One exclusion: a full ref name, or the beginning of names followed by `*` (SYNC-9).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: Vec<u8>,
    prefix: bool,
}

/// Why text is not a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Nothing at all. `*` alone is the pattern that covers everything.
    #[error("an exclusion pattern is empty")]
    Empty,
    /// A `*` before the end.
    #[error("a * at byte {position} of an exclusion pattern: only the last byte can be one")]
    Star {
        /// Its place, counted from 0.
        position: usize,
    },
    /// No ref has such a name, so the pattern would silently cover nothing: `main` for `refs/heads/main`.
    #[error("an exclusion pattern covers no ref: {0}")]
    Name(#[from] RefNameError),
}

impl Pattern {
    /// A pattern from its text: `refs/heads/main` covers that ref, `refs/tmp/*` and `refs/heads/wip-*` every name that
    /// begins so, `*` every name.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn new(text: impl AsRef<[u8]>) -> Result<Self, PatternError> {
        let text = text.as_ref();
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let (text, prefix) = match text.strip_suffix(b"*") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        if let Some(position) = memchr::memchr(b'*', text) {
            return Err(PatternError::Star { position });
        }
        if !prefix {
            RefName::new(text)?;
        } else if !b"refs/".starts_with(text) && !b"HEAD".starts_with(text) {
            // The shortest name that such a prefix could cover.
            RefName::new([text, b"x"].concat())?;
        }
        Ok(Self { text: text.to_vec(), prefix })
    }

    /// Whether the pattern covers `name`.
    #[must_use]
    pub fn covers(&self, name: &RefName) -> bool {
        if self.prefix { name.as_bytes().starts_with(&self.text) } else { name.as_bytes() == self.text }
    }
}

impl str::FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::new(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.prefix { "*" } else { "" };
        write!(f, "{}{star}", self.text.escape_ascii())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({self})")
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn name(name: &str) -> RefName {
        RefName::new(name).unwrap()
    }

    #[test]
    fn sync_9_a_pattern_is_a_name_or_a_beginning() {
        for (pattern, covered, not) in [
            ("refs/heads/main", "refs/heads/main", "refs/heads/main2"),
            ("refs/heads/main*", "refs/heads/main", "refs/heads/mai"),
            ("refs/heads/main*", "refs/heads/main2/x", "refs/tags/main"),
            ("refs/tags/*", "refs/tags/v1/rc", "refs/tagsx"),
            ("refs*", "refs/x", "HEAD"),
            ("HE*", "HEAD", "refs/heads/HEAD"),
        ] {
            let parsed: Pattern = pattern.parse().unwrap();
            assert!(parsed.covers(&name(covered)), "{pattern} {covered}");
            assert!(!parsed.covers(&name(not)), "{pattern} {not}");
            assert_eq!(parsed.to_string(), pattern);
        }
        let all = Pattern::new("*").unwrap();
        assert!(all.covers(&RefName::head()) && all.covers(&name("refs/x")));
    }

    #[test]
    fn sync_9_what_could_cover_nothing_is_refused() {
        assert_eq!(Pattern::new(""), Err(PatternError::Empty));
        assert_eq!(Pattern::new("refs/*/main"), Err(PatternError::Star { position: 5 }));
        assert_eq!(Pattern::new("refs/heads/**"), Err(PatternError::Star { position: 11 }));
        assert_eq!(Pattern::new("main"), Err(PatternError::Name(RefNameError::NotFull)));
        assert_eq!(Pattern::new("main*"), Err(PatternError::Name(RefNameError::NotFull)));
        assert_eq!(Pattern::new("HEADS*"), Err(PatternError::Name(RefNameError::NotFull)));
        assert_eq!(Pattern::new("refs/heads/"), Err(PatternError::Name(RefNameError::EmptyComponent)));
        assert_eq!(Pattern::new("refs/a b*"), Err(PatternError::Name(RefNameError::Byte { byte: b' ' })));
    }

    #[test]
    fn sync_10_head_and_what_is_our_own_are_always_excluded() {
        for own in ["HEAD", "refs/portline/backup/1/refs/heads/main", "refs/portline/base"] {
            assert!(always_excluded(&name(own)), "{own}");
            let listed = BUILT_IN_EXCLUSIONS.map(|text| Pattern::new(text).unwrap());
            assert!(listed.iter().any(|pattern| pattern.covers(&name(own))));
        }
        for other in ["refs/portlines/x", "refs/heads/HEAD", "refs/heads/portline"] {
            assert!(!always_excluded(&name(other)), "{other}");
        }
    }
}
