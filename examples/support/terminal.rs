//! Showing progress on a terminal: whole lines, and nothing in them that acts on it (T18).

use std::io::{self, Write};

use portline::Printable;
use portline::git::{ProgressLine, ProgressLines};

/// Prints progress as it arrives: whole lines with a prefix in front, in any split. CR and LF both end a
/// line, so a counter redraws itself on a terminal as it does under Git.
#[derive(Debug)]
pub struct Progress {
    prefix: &'static str,
    lines: ProgressLines,
}

impl Progress {
    /// Lines of the peer: `remote: `, as Git marks them.
    pub const fn remote() -> Self {
        Self { prefix: "remote: ", lines: ProgressLines::new() }
    }

    /// Lines of a program that we started ourselves.
    pub const fn local() -> Self {
        Self { prefix: "", lines: ProgressLines::new() }
    }

    /// Prints what `bytes` completes.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn show(&mut self, to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
        let lines = self.lines.handle_bytes(bytes);
        lines.iter().try_for_each(|line| self.print(to, line))
    }

    /// Prints what is left.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn finish(&mut self, to: &mut impl Write) -> io::Result<()> {
        self.lines.finish().map_or(Ok(()), |line| self.print(to, &line))
    }

    fn print(&self, to: &mut impl Write, line: &ProgressLine) -> io::Result<()> {
        let end = if line.transient { '\r' } else { '\n' };
        write!(to, "{}{}{end}", self.prefix, Printable(&line.text))
    }
}
