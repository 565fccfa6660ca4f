//! What Git's progress lines say.
//!
//! Progress arrives on sideband 2 as text for a terminal: `Counting objects:  33% (1/3)`, CR, the same line again with
//! other numbers, at last `, done.` and LF. Several lines may stand in one packet and one line in several
//! (BEHAVIOURS C9). [`ProgressLines`] puts lines together in any split, [`Progress::parse`] reads one.
//!
//! Limit: a line longer than [`limits::PROGRESS_LINE`] is given in pieces. Rules: GIT-16, GIT-17.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::limits;

/// One line, raw bytes (T18).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgressLine {
    /// The text without its end.
    pub text: Bytes,
    /// Whether it ended in CR: the next line is to be written over it.
    pub transient: bool,
}

/// Puts progress lines together.
#[derive(Clone, Debug, Default)]
pub struct ProgressLines {
    line: Vec<u8>,
}

impl ProgressLines {
    /// No line begun.
    #[must_use]
    pub const fn new() -> Self {
        Self { line: Vec::new() }
    }

    /// Takes bytes in any split and gives the lines that they complete. Empty lines are left out.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Vec<ProgressLine> {
        let mut lines = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' => lines.extend(self.end(false)),
                b'\r' => lines.extend(self.end(true)),
                other => self.line.push(*other),
            }
            if self.line.len() >= limits::PROGRESS_LINE {
                lines.extend(self.end(false));
            }
        }
        lines
    }

    /// The line that was begun, when nothing more comes.
    pub fn finish(&mut self) -> Option<ProgressLine> {
        self.end(false)
    }

    fn end(&mut self, transient: bool) -> Option<ProgressLine> {
        let text = Bytes::from(core::mem::take(&mut self.line));
        (!text.is_empty()).then_some(ProgressLine { text, transient })
    }
}

/// What a progress line says, as far as it says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is being done: `Counting objects`. Raw bytes.
    pub title: &'a [u8],
    /// How much of it, 0 to 100.
    pub percent: Option<u8>,
    /// How many are done.
    pub count: Option<u64>,
    /// Of how many.
    pub total: Option<u64>,
    /// Whether the line says that it is finished.
    pub done: bool,
}

impl<'a> Progress<'a> {
    /// Reads `TITLE: [PERCENT% ](COUNT/TOTAL)…`, `TITLE: COUNT…`, each with or without `, done.`; `None` for any
    /// other text.
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let colon = memchr::memmem::find(line, b": ")?;
        let (title, rest) = line.split_at_checked(colon)?;
        let rest = rest.get(2..)?.trim_ascii();
        let done = memchr::memmem::find(rest, b"done").is_some();
        let (first, behind) = number(rest)?;
        let Some(behind) = behind.strip_prefix(b"%") else {
            let total = behind.strip_prefix(b"/").and_then(number).map(|(total, _)| total);
            return Some(Self { title, percent: None, count: Some(first), total, done });
        };
        let percent = u8::try_from(first).ok().filter(|percent| *percent <= 100)?;
        let pair = behind.trim_ascii_start().strip_prefix(b"(").and_then(number);
        let count = pair.map(|(count, _)| count);
        let total = pair.and_then(|(_, behind)| number(behind.strip_prefix(b"/")?)).map(|(total, _)| total);
        Some(Self { title, percent: Some(percent), count, total, done })
    }
}

/// The decimal number at the start, and what follows it.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(digits)?;
    Some((core::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_16_lines_are_put_together_in_any_split() {
        let text = b"Counting objects:  33% (1/3)\rCounting objects: 100% (3/3), done.\n\nTotal 3";
        for size in 1..=text.len() {
            let mut lines = ProgressLines::new();
            let mut seen: Vec<ProgressLine> =
                text.chunks(size).flat_map(|piece| lines.handle_bytes(piece)).collect();
            seen.extend(lines.finish());
            let seen: Vec<_> = seen.iter().map(|line| (&line.text[..], line.transient)).collect();
            let whole: [(&[u8], bool); 3] = [
                (b"Counting objects:  33% (1/3)", true),
                (b"Counting objects: 100% (3/3), done.", false),
                (b"Total 3", false),
            ];
            assert_eq!(seen, whole, "pieces of {size}");
        }
    }

    #[test]
    fn git_16_a_line_without_end_is_given_in_pieces() {
        let mut lines = ProgressLines::new();
        let seen = lines.handle_bytes(&alloc::vec![b'x'; limits::PROGRESS_LINE * 3 + 1]);
        assert_eq!(seen.len(), 3);
        assert!(seen.iter().all(|line| line.text.len() == limits::PROGRESS_LINE));
    }

    #[test]
    fn git_17_percentage_counts_and_done_are_read() {
        let read = |line: &'static str| {
            Progress::parse(line.as_bytes())
                .map(|one| (one.title, one.percent, one.count, one.total, one.done))
        };
        let counting = &b"Counting objects"[..];
        assert_eq!(read("Counting objects:  33% (1/3)"), Some((counting, Some(33), Some(1), Some(3), false)));
        assert_eq!(
            read("Counting objects: 100% (3/3), done."),
            Some((counting, Some(100), Some(3), Some(3), true))
        );
        assert_eq!(
            read("Enumerating objects: 3, done."),
            Some((&b"Enumerating objects"[..], None, Some(3), None, true))
        );
        assert_eq!(
            read("Receiving objects:  45% (450/1000), 2.00 MiB | 1.00 MiB/s"),
            Some((&b"Receiving objects"[..], Some(45), Some(450), Some(1000), false))
        );
        for other in
            ["Total 3 (delta 0), reused 0", "hello", "a: b", "x: 101% (1/1)", "x: 99999999999999999999", ""]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
