//! Writes a file with its edits, and remembers where each mutant stands in it, so that the compiler's complaints can be
//! traced back.

use std::cmp::Reverse;
use std::ops::Range;

use crate::locate::{Edit, switch};

/// A file with all its mutants in it.
#[derive(Debug)]
pub struct Rendered {
    pub text: String,
    pub regions: Vec<Region>,
}

/// Where a mutant stands, in bytes of the rendered text.
#[derive(Debug)]
pub struct Region {
    pub number: u32,
    /// What is the mutant's alone.
    pub own: Range<usize>,
    /// The whole choice: its variants and the original.
    pub whole: Range<usize>,
}

/// Applies `edits` to `source`. Choices nest; everything that is copied into a variant is the plain original, because
/// one mutant at a time is switched on.
pub fn render(source: &str, mut edits: Vec<Edit>) -> Rendered {
    // From outside to inside; what is put in before an expression stands before its choice.
    edits.sort_by_key(|edit| match edit {
        Edit::Insert { at, .. } => (*at, 0, Reverse(usize::MAX)),
        Edit::Delete { range } | Edit::Choice { range, .. } => (range.start, 1, Reverse(range.end)),
    });
    let mut writer = Writer { source, edits: &edits, at: 0, text: String::new(), regions: Vec::new() };
    writer.until(source.len());
    Rendered { text: writer.text, regions: writer.regions }
}

struct Writer<'a> {
    source: &'a str,
    /// Those still to come.
    edits: &'a [Edit],
    /// How much of the source is written.
    at: usize,
    text: String,
    regions: Vec<Region>,
}

impl<'a> Writer<'a> {
    fn until(&mut self, end: usize) {
        while let Some((edit, rest)) = self.edits.split_first().filter(|(edit, _)| edit.start() < end) {
            self.edits = rest;
            self.copy(edit.start());
            match edit {
                Edit::Delete { range } => self.at = range.end,
                Edit::Insert { variant, .. } => {
                    let own = self.put(&variant.text);
                    self.regions.push(Region { number: variant.number, whole: own.clone(), own });
                }
                Edit::Choice { range, variants } => {
                    let (start, first) = (self.text.len(), self.regions.len());
                    self.put("(");
                    for variant in variants {
                        self.put(&format!("if {} {{ ", switch(variant.number)));
                        let own = self.put(&variant.text);
                        self.regions.push(Region { number: variant.number, whole: 0..0, own });
                        self.put(" } else ");
                    }
                    self.put("{ ");
                    let behind = self.regions.len();
                    self.until(range.end);
                    self.put(" })");
                    let whole = start..self.text.len();
                    self.regions[first..behind].iter_mut().for_each(|region| region.whole = whole.clone());
                }
            }
        }
        self.copy(end);
    }

    fn copy(&mut self, to: usize) {
        self.text.push_str(&self.source[self.at..to]);
        self.at = to;
    }

    fn put(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }
}
