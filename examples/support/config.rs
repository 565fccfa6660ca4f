//! A repository's settings, read once.

use std::str;
use std::time::Duration;

use portline::git::HiddenRefs;
use portline::limits;

use super::error::Error;
use super::process::Git;

/// Every setting that applies to a repository, in Git's order: the last one of a name counts.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Name (section and key in lower case, as Git prints it) and value; no value means "true".
    entries: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Config {
    /// Reads the settings of all levels.
    ///
    /// # Errors
    /// [`Error::Git`] when a file cannot be parsed.
    pub fn load(git: &Git) -> Result<Self, Error> {
        let listed = git.ask(&["config", "--list", "-z", "--includes"], Vec::new())?;
        let entries = listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).map(|entry| {
            let mut halves = entry.splitn(2, |byte| *byte == b'\n');
            let name = halves.next().unwrap_or_default().to_vec();
            (name, halves.next().map(<[u8]>::to_vec))
        });
        Ok(Self { entries: entries.collect() })
    }

    /// The last value of `name`, which is given in lower case; no value reads as empty.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        let mut found = self.entries.iter().rev().filter(|(known, _)| known == name.as_bytes());
        found.next().map(|(_, value)| value.as_deref().unwrap_or_default())
    }

    /// All values of `name`, which is given in lower case, in their order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let found = self.entries.iter().filter(move |(known, _)| known == name.as_bytes());
        found.map(|(_, value)| value.as_deref().unwrap_or_default())
    }

    /// The truth of `name`, if it is set to one.
    pub fn truth(&self, name: &str) -> Option<bool> {
        let (_, value) = self.entries.iter().rev().find(|(known, _)| known == name.as_bytes())?;
        value.as_deref().map_or(Some(true), truth)
    }

    /// The number of the first of `names` that is set to one; `k`, `m` and `g` multiply by 1024.
    pub fn number(&self, names: &[&str]) -> Option<i64> {
        names.iter().find_map(|name| number(self.value(name)?))
    }

    /// How often a server of `section` (`uploadpack` or `receive`) tells a waiting client that it lives: `keepAlive`
    /// in seconds, `None` (any number below 1) for never.
    pub fn keep_alive(&self, section: &str) -> Option<Duration> {
        let Some(seconds) = self.number(&[&format!("{section}.keepalive")]) else {
            return Some(limits::KEEP_ALIVE);
        };
        u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
    }

    /// The truth of the first of `names` that is set to one.
    pub fn first_truth(&self, names: &[&str]) -> Option<bool> {
        names.iter().find_map(|name| self.truth(name))
    }

    /// The values of all settings below `prefix`: what follows it, and the value.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.entries.iter().filter_map(move |(name, value)| {
            Some((name.strip_prefix(prefix.as_bytes())?, value.as_deref().unwrap_or_default()))
        })
    }

    /// The refs that `section` (`uploadpack` or `receive`) hides: `transfer.hideRefs` and its own, in one
    /// order.
    pub fn hidden(&self, section: &str) -> HiddenRefs {
        let own = format!("{section}.hiderefs");
        let applies = |name: &[u8]| name.eq_ignore_ascii_case(b"transfer.hiderefs") || name == own.as_bytes();
        let patterns = self.entries.iter().filter(|(name, _)| applies(name));
        patterns.map(|(_, value)| value.as_deref().unwrap_or_default()).collect()
    }
}

/// What Git reads as true and false.
pub fn truth(value: &[u8]) -> Option<bool> {
    let is = |word: &str| value.eq_ignore_ascii_case(word.as_bytes());
    if is("true") || is("yes") || is("on") {
        return Some(true);
    }
    if value.is_empty() || is("false") || is("no") || is("off") {
        return Some(false);
    }
    number(value).map(|number| number != 0)
}

fn number(value: &[u8]) -> Option<i64> {
    let (digits, factor) = match value.split_last()? {
        (b'k' | b'K', digits) => (digits, 1 << 10),
        (b'm' | b'M', digits) => (digits, 1 << 20),
        (b'g' | b'G', digits) => (digits, 1 << 30),
        (_, _) => (value, 1),
    };
    str::from_utf8(digits).ok()?.parse::<i64>().ok()?.checked_mul(factor)
}
