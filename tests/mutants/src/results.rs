//! What became of each mutant: appended to a file as it is found out, so that a later invocation goes on from there.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::Result;

/// What became of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A test failed.
    Caught,
    /// A test went on for too long, took too much memory or aborted.
    Stopped,
    /// Every test that comes by it passed.
    Survived,
    /// No test comes by it.
    Unreached,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Caught, Self::Stopped, Self::Survived, Self::Unreached];

    pub const fn is_caught(self) -> bool {
        matches!(self, Self::Caught | Self::Stopped)
    }
}

/// The file of results.
#[derive(Debug)]
pub struct Results {
    file: File,
    /// By the mutant's name: the line it changes, and what became of it.
    known: BTreeMap<String, (String, Outcome)>,
}

impl Results {
    pub fn open(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut known = BTreeMap::new();
        for row in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let text = |of: &str| row[of].as_str().unwrap_or_default().to_owned();
            let word = text("outcome");
            if let Some(outcome) = Outcome::ALL.into_iter().find(|outcome| format!("{outcome:?}") == word) {
                known.insert(text("name"), (text("line"), outcome));
            }
        }
        Ok(Self { file: OpenOptions::new().create(true).append(true).open(path)?, known })
    }

    /// What became of the mutant of that name, as long as the line it is on is the same.
    pub fn outcome(&self, name: &str, line: &str) -> Option<Outcome> {
        self.known.get(name).filter(|(there, _)| there == line).map(|(_, outcome)| *outcome)
    }

    pub fn add(&mut self, name: &str, line: &str, outcome: Outcome, by: &str, ms: u128) -> Result<()> {
        let outcome_word = format!("{outcome:?}");
        let row = json!({ "name": name, "line": line, "outcome": outcome_word, "by": by, "ms": u64::try_from(ms)? });
        writeln!(self.file, "{row}")?;
        self.known.insert(name.to_owned(), (line.to_owned(), outcome));
        Ok(())
    }
}
