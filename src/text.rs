//! Showing what a peer sent without letting it act on a terminal (T18).
//!
//! Progress, error messages, ref names and paths are the peer's bytes. Errors and actions keep them raw; printed as
//! they are they could move the cursor, change the window's title, or answer the terminal's questions in the
//! user's name. [`Printable`] is the view to print.

use core::fmt;

/// Displays bytes as text: control characters and characters that turn the direction of text as `\u{…}`, bytes that
/// are no UTF-8 as `\x..`. Line feeds and tabs stay.
///
/// ```
/// use portline::Printable;
/// assert_eq!(Printable(b"100%\x1b[2J \xff ok").to_string(), "100%\\u{1b}[2J \\xff ok");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Printable<'a>(pub &'a [u8]);

impl fmt::Display for Printable<'_> {
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

/// Whether a character does more than stand there.
pub(crate) fn acts(character: char) -> bool {
    let turns = matches!(character,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    turns || (character.is_control() && !matches!(character, '\n' | '\t'))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    /// T18.
    #[test]
    fn git_15_nothing_a_peer_sends_acts_on_the_terminal() {
        for (raw, shown) in [
            (&b"plain\tline\n"[..], "plain\tline\n"),
            (b"\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}"),
            (b"a\rb", "a\\u{d}b"),
            (b"\x7f\xc2\x9b2J", "\\u{7f}\\u{9b}2J"),
            ("\u{202e}txt.exe\u{2066}".as_bytes(), "\\u{202e}txt.exe\\u{2066}"),
            (b"\xf0\x9f\x98", "\\xf0\\x9f\\x98"),
            ("größer".as_bytes(), "größer"),
        ] {
            assert_eq!(Printable(raw).to_string(), shown);
        }
    }
}
