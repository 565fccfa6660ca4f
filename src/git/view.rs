//! What a server shows of a repository's refs: the one policy that every reply passes through.

use alloc::vec::Vec;

use super::{HiddenRefs, RefName, RefNameError};

/// The part of a repository's refs that peers see: one namespace of it (`gitnamespaces`), without the hidden refs
/// (GIT-21).
///
/// A name that a peer sees is *shown*; the repository's own name for it is *stored*. Without a namespace they are the
/// same. `HEAD` of a namespace is stored as `refs/namespaces/NAME/HEAD`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefView {
    /// `refs/namespaces/a/refs/namespaces/b/`, or nothing.
    prefix: Vec<u8>,
    hidden: HiddenRefs,
}

impl RefView {
    /// All refs but the hidden ones.
    #[must_use]
    pub const fn new(hidden: HiddenRefs) -> Self {
        Self { prefix: Vec::new(), hidden }
    }

    /// Only the refs of a namespace; `a/b` is `b` inside of `a`. The empty name is the whole repository.
    ///
    /// # Errors
    /// [`RefNameError`]: no ref of that namespace could have a name.
    pub fn with_namespace(mut self, name: &[u8]) -> Result<Self, RefNameError> {
        self.prefix.clear();
        for component in name.split(|byte| *byte == b'/').filter(|component| !component.is_empty()) {
            self.prefix.extend_from_slice(b"refs/namespaces/");
            self.prefix.extend_from_slice(component);
            self.prefix.push(b'/');
        }
        RefName::new([&self.prefix[..], b"HEAD"].concat())?;
        Ok(self)
    }

    /// The name that peers see of a stored ref; `None` where they do not see it.
    #[must_use]
    pub fn shown(&self, stored: &RefName) -> Option<RefName> {
        let name = stored.as_bytes().strip_prefix(&self.prefix[..]);
        let shown = if self.prefix.is_empty() { Some(stored.clone()) } else { RefName::new(name?).ok() };
        let hides = self.hidden.hides_stored(shown.as_ref().map(RefName::as_bytes), stored);
        shown.filter(|_| !hides)
    }

    /// The stored name of what a peer calls `shown`; `None` where that is hidden, or the name would be too long.
    #[must_use]
    pub fn stored(&self, shown: &RefName) -> Option<RefName> {
        let stored = match self.prefix.is_empty() {
            true => shown.clone(),
            false => RefName::new([&self.prefix[..], shown.as_bytes()].concat()).ok()?,
        };
        (!self.hidden.hides_stored(Some(shown.as_bytes()), &stored)).then_some(stored)
    }

    /// What the stored names begin with of refs that peers see as beginning with `shown`.
    #[must_use]
    pub fn stored_prefix(&self, shown: &[u8]) -> Vec<u8> {
        [&self.prefix[..], shown].concat()
    }

    /// Whether a ref of the repository, by its stored name, is of this view's namespace, hidden or not.
    #[must_use]
    pub fn holds(&self, stored: &RefName) -> bool {
        stored.as_bytes().starts_with(&self.prefix)
    }

    /// The hidden refs.
    #[must_use]
    pub const fn hidden(&self) -> &HiddenRefs {
        &self.hidden
    }
}

impl From<HiddenRefs> for RefView {
    fn from(hidden: HiddenRefs) -> Self {
        Self::new(hidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RefName {
        RefName::new(text).unwrap()
    }

    #[test]
    fn git_21_a_namespace_shows_its_own_refs_under_their_short_names() {
        let view = RefView::default().with_namespace(b"a/b").unwrap();
        let inner = "refs/namespaces/a/refs/namespaces/b/";
        for (stored, shown) in [
            ("refs/heads/main".into(), None),
            ("HEAD".into(), None),
            ("refs/namespaces/a/refs/heads/main".into(), None),
            (alloc::format!("{inner}HEAD"), Some("HEAD")),
            (alloc::format!("{inner}refs/heads/main"), Some("refs/heads/main")),
            (alloc::format!("{inner}elsewhere"), None),
        ] {
            let stored = name(&stored);
            assert_eq!(view.shown(&stored), shown.map(name), "{stored:?}");
            if let Some(shown) = shown {
                assert_eq!(view.stored(&name(shown)), Some(stored));
            }
        }
        assert!(RefView::default().with_namespace(b"a/..").is_err());
        assert_eq!(RefView::default().with_namespace(b"").unwrap(), RefView::default());
    }

    #[test]
    fn git_6_a_caret_matches_the_stored_name_and_no_caret_the_shown_one() {
        let hidden = ["refs/heads/x", "^refs/namespaces/n/refs/heads/y", "refs/namespaces/n/refs/heads/z"];
        let view = RefView::new(hidden.into_iter().collect()).with_namespace(b"n").unwrap();
        for (shown, is_shown) in [("refs/heads/x", false), ("refs/heads/y", false), ("refs/heads/z", true)] {
            let stored = name(&alloc::format!("refs/namespaces/n/{shown}"));
            assert_eq!(view.shown(&stored).is_some(), is_shown, "{shown}");
            assert_eq!(view.stored(&name(shown)).is_some(), is_shown, "{shown}");
        }
    }
}
