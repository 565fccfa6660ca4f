//! What `cargo mutants --list --json` says of each change, and where it stands in a file.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::Result;

/// The kind of a change: where it is put in, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Genre {
    /// The function returns at once.
    FnValue,
    /// Another operator, its token being the place.
    BinaryOperator,
    /// The operator goes, its token being the place.
    UnaryOperator,
    /// An arm of a match that has a wildcard goes.
    MatchArm,
    /// The guard of an arm is decided beforehand.
    MatchArmGuard,
    /// A field of a struct expression is left to the base behind `..`.
    StructField,
}

impl Genre {
    fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "FnValue" => Self::FnValue,
            "BinaryOperator" => Self::BinaryOperator,
            "UnaryOperator" => Self::UnaryOperator,
            "MatchArm" => Self::MatchArm,
            "MatchArmGuard" => Self::MatchArmGuard,
            "StructField" => Self::StructField,
            other => return Err(format!("cargo-mutants has a genre that is not known here: {other}").into()),
        })
    }
}

/// A place as editors count it: both from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// One change to one file.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// What its switch is called in the build: its index in the list.
    pub number: u32,
    /// File, line, column and the change, in cargo-mutants' words.
    pub name: String,
    pub file: String,
    pub genre: Genre,
    pub replacement: String,
    pub start: Place,
    pub end: Place,
}

/// All mutants of the package at `root`, in the order of its files. Those that `.cargo/mutants.toml` excludes are in the
/// build as well, so that another word in that file does not build everything anew.
pub fn list(root: &Path) -> Result<Vec<Mutant>> {
    rows(root, &["--no-config"])?.iter().zip(0..).map(|(row, number)| read(row, number)).collect()
}

/// The names of those that are not excluded.
pub fn included(root: &Path) -> Result<BTreeSet<String>> {
    Ok(rows(root, &[])?.iter().filter_map(|row| row["name"].as_str()).map(str::to_owned).collect())
}

fn rows(root: &Path, more: &[&str]) -> Result<Vec<Value>> {
    let told = Command::new("cargo")
        .args(["mutants", "--list", "--json", "--package", "portline", "--dir"])
        .arg(root)
        .args(more)
        .output()?;
    if !told.status.success() {
        return Err(format!("cargo mutants --list: {}", String::from_utf8_lossy(&told.stderr)).into());
    }
    Ok(serde_json::from_slice(&told.stdout)?)
}

fn read(row: &Value, number: u32) -> Result<Mutant> {
    let text =
        |field: &str| row[field].as_str().map(str::to_owned).ok_or_else(|| format!("no {field} in {row}"));
    let count = |of: &Value| {
        of.as_u64().and_then(|n| usize::try_from(n).ok()).ok_or_else(|| format!("no place in {row}"))
    };
    let place = |of: &Value| -> Result<Place> {
        Ok(Place { line: count(&of["line"])?, column: count(&of["column"])? })
    };
    Ok(Mutant {
        number,
        name: text("name")?,
        file: text("file")?,
        genre: Genre::named(&text("genre")?)?,
        replacement: text("replacement")?,
        start: place(&row["span"]["start"])?,
        end: place(&row["span"]["end"])?,
    })
}

/// A file's text, and how its places are found in it.
pub struct Source<'a> {
    pub text: &'a str,
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    pub fn new(text: &'a str) -> Self {
        let ends = text.bytes().zip(1..).filter(|(byte, _)| *byte == b'\n').map(|(_, next)| next);
        Self { text, lines: std::iter::once(0).chain(ends).collect() }
    }

    /// The offset of a place in bytes.
    pub fn offset(&self, place: Place) -> usize {
        let start = self.lines[place.line - 1];
        let line = &self.text[start..];
        start + line.char_indices().nth(place.column - 1).map_or(line.len(), |(at, _)| at)
    }

    /// The bytes of a piece of syntax.
    pub fn range(&self, span: proc_macro2::Span) -> Range<usize> {
        let place = |at: proc_macro2::LineColumn| Place { line: at.line, column: at.column + 1 };
        self.offset(place(span.start()))..self.offset(place(span.end()))
    }

    /// The line that a place is on.
    pub fn line(&self, place: Place) -> &'a str {
        let start = self.lines[place.line - 1];
        self.text[start..].lines().next().unwrap_or_default().trim()
    }
}
