//! Which refs a server shows.

use alloc::vec::Vec;

use super::RefName;

/// Patterns in the order of `transfer.hideRefs`: a prefix hides the ref of that name and everything below it,
/// `!prefix` shows it again, and the last pattern that matches decides (GIT-6). A `^` in front matches the name as the
/// repository stores it, before a namespace is taken off; without namespaces both mean the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HiddenRefs(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    prefix: Vec<u8>,
    shows: bool,
    /// Of the stored name.
    full: bool,
}

impl HiddenRefs {
    /// Hides nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Appends one pattern as it stands in Git's configuration.
    pub fn push(&mut self, pattern: &[u8]) {
        let (shows, prefix) = match pattern.strip_prefix(b"!") {
            Some(rest) => (true, rest),
            None => (false, pattern),
        };
        let (full, mut prefix) = match prefix.strip_prefix(b"^") {
            Some(rest) => (true, rest),
            None => (false, prefix),
        };
        while let Some(shorter) = prefix.strip_suffix(b"/") {
            prefix = shorter;
        }
        self.0.push(Pattern { prefix: prefix.to_vec(), shows, full });
    }

    /// Whether `name` is hidden, where no namespace is.
    #[must_use]
    pub fn hides(&self, name: &RefName) -> bool {
        self.hides_stored(Some(name.as_bytes()), name)
    }

    /// Whether the ref that peers would see as `shown` is hidden; `None`: it is of another namespace.
    pub(super) fn hides_stored(&self, shown: Option<&[u8]>, stored: &RefName) -> bool {
        let matches = |pattern: &&Pattern| match (pattern.full, shown) {
            (true, _) => pattern.matches(stored.as_bytes()),
            (false, Some(shown)) => pattern.matches(shown),
            (false, None) => false,
        };
        self.0.iter().rev().find(matches).is_some_and(|pattern| !pattern.shows)
    }
}

impl Pattern {
    fn matches(&self, name: &[u8]) -> bool {
        name.strip_prefix(&self.prefix[..]).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }
}

impl<P: AsRef<[u8]>> FromIterator<P> for HiddenRefs {
    fn from_iter<I: IntoIterator<Item = P>>(patterns: I) -> Self {
        let mut this = Self::none();
        for pattern in patterns {
            this.push(pattern.as_ref());
        }
        this
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_6_prefixes_end_at_components_and_the_last_match_decides() {
        let hidden: HiddenRefs = ["refs/pull", "!refs/pull/7", "^refs/secret/"].into_iter().collect();
        for (name, hides) in [
            ("refs/pull/1/head", true),
            ("refs/pull/7/head", false),
            ("refs/pulled/1", false),
            ("refs/secret/x", true),
            ("refs/heads/main", false),
            ("HEAD", false),
        ] {
            assert_eq!(hidden.hides(&RefName::new(name).unwrap()), hides, "{name}");
        }
    }
}
