//! Printing what a peer sent (T18).
//!
//! Progress, error messages, ref names and paths are the peer's bytes. Printed as they are they could move
//! the cursor, change the title or answer the terminal's questions in the user's name. Here every control
//! character and every character that reorders text is shown as `\u{…}`, and bytes that are no UTF-8 as
//! `\x..`.

use std::fmt;
use std::io::{self, Write};

/// Shows bytes without letting them act on a terminal. Line feeds and tabs stay.
pub fn safe<B: AsRef<[u8]> + ?Sized>(bytes: &B) -> Safe<'_> {
    Safe(bytes.as_ref())
}

/// See [`safe`].
#[derive(Clone, Copy, Debug)]
pub struct Safe<'a>(&'a [u8]);

impl fmt::Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if acts(character) {
                    write!(f, "{}", character.escape_unicode())?;
                } else {
                    write!(f, "{character}")?;
                }
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

/// Whether a character does more than stand there: controls, and what turns the direction of text.
fn acts(character: char) -> bool {
    let turns = matches!(character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    turns || (character.is_control() && !matches!(character, '\n' | '\t'))
}

/// Prints progress as it arrives: whole lines with a prefix in front, in any split. CR and LF both end a
/// line, so a counter redraws itself on a terminal as it does under Git.
#[derive(Debug)]
pub struct Progress {
    prefix: &'static str,
    line: Vec<u8>,
}

/// The longest line that is put together before it is printed anyway.
const LINE: usize = 1000;

impl Progress {
    /// Lines of the peer: `remote: `, as Git marks them.
    pub const fn remote() -> Self {
        Self { prefix: "remote: ", line: Vec::new() }
    }

    /// Lines of a program that we started ourselves.
    pub const fn local() -> Self {
        Self { prefix: "", line: Vec::new() }
    }

    /// Prints what `bytes` completes.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn show(&mut self, to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => self.end(to, *byte)?,
                other => self.line.push(*other),
            }
            if self.line.len() >= LINE {
                self.end(to, b'\n')?;
            }
        }
        Ok(())
    }

    /// Prints what is left.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn finish(&mut self, to: &mut impl Write) -> io::Result<()> {
        if self.line.is_empty() { Ok(()) } else { self.end(to, b'\n') }
    }

    fn end(&mut self, to: &mut impl Write, end: u8) -> io::Result<()> {
        write!(to, "{}{}", self.prefix, safe(&self.line))?;
        self.line.clear();
        to.write_all(&[end])
    }
}
