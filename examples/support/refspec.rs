//! Refspecs: which of the other side's refs become which of ours.

use portline::git::RefName;

use super::error::Error;

/// `[+]SRC:DST`, full names, with one `*` on each side or on neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refspec {
    /// Whether the ref may go anywhere, not only forwards.
    pub force: bool,
    source: Pattern,
    target: Pattern,
}

/// A name, or what stands before and behind a `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    before: Vec<u8>,
    behind: Option<Vec<u8>>,
}

impl Refspec {
    /// Reads a refspec.
    ///
    /// # Errors
    /// [`Error::Usage`] that says what one looks like.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let usage = || {
            Error::Usage(format!(
                "'{text}' is no refspec: [+]refs/…:refs/…, with a * on both sides or on none"
            ))
        };
        let (force, rest) = text.strip_prefix('+').map_or((false, text), |rest| (true, rest));
        let (source, target) = rest.split_once(':').ok_or_else(usage)?;
        let (source, target) = (Pattern::parse(source), Pattern::parse(target));
        let full = |pattern: &Pattern| pattern.before.starts_with(b"refs/");
        let fits = source.behind.is_some() == target.behind.is_some() && full(&target);
        if !fits || !(full(&source) || source.before == b"HEAD") {
            return Err(usage());
        }
        Ok(Self { force, source, target })
    }

    /// What the names begin with that it is about.
    pub fn prefix(&self) -> &[u8] {
        &self.source.before
    }

    /// What `name` becomes; `None` when the refspec is not about it, or the result is no valid name.
    pub fn map(&self, name: &RefName) -> Option<RefName> {
        let middle = self.source.middle(name.as_bytes())?;
        RefName::new(self.target.fill(middle)).ok()
    }
}

impl Pattern {
    fn parse(text: &str) -> Self {
        match text.split_once('*') {
            Some((before, behind)) => Self { before: before.into(), behind: Some(behind.into()) },
            None => Self { before: text.into(), behind: None },
        }
    }

    fn middle<'a>(&self, name: &'a [u8]) -> Option<&'a [u8]> {
        let rest = name.strip_prefix(self.before.as_slice())?;
        match &self.behind {
            Some(behind) => rest.strip_suffix(behind.as_slice()).filter(|middle| !middle.is_empty()),
            None => rest.is_empty().then_some(rest),
        }
    }

    fn fill(&self, middle: &[u8]) -> Vec<u8> {
        let behind = self.behind.as_deref().unwrap_or_default();
        [&self.before, middle, behind].concat()
    }
}
