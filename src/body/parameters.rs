//! The parameters behind a header's value: `; name=token; name="quoted string"`.
//!
//! One reader for both headers; they differ in what a backslash in a quoted string means, see [`Value`].

use alloc::borrow::Cow;
use alloc::vec::Vec;

/// What was wrong with the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something else than a semicolon stands behind a value.
    #[error("a semicolon was expected at byte {at}")]
    Separator {
        /// Where, in the header's value.
        at: usize,
    },
    /// A parameter has no name, or a byte in it that no name has.
    #[error("a parameter's name was expected at byte {at}")]
    Name {
        /// Where, in the header's value.
        at: usize,
    },
    /// A parameter has no value.
    #[error("a parameter's value was expected at byte {at}")]
    Value {
        /// Where, in the header's value.
        at: usize,
    },
    /// A quoted string does not end.
    #[error("the quoted string at byte {at} does not end")]
    Unterminated {
        /// Where it begins, in the header's value.
        at: usize,
    },
}

/// A parameter's value as it stands there, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Token(&'a [u8]),
    Quoted(&'a [u8]),
}

impl<'a> Value<'a> {
    /// By RFC 9110, 5.6.4: a backslash takes the next byte as it is.
    pub(crate) fn unescaped(self) -> Cow<'a, [u8]> {
        match self {
            Self::Quoted(raw) if raw.contains(&b'\\') => Cow::Owned(replaced(raw, |rest| match rest {
                [b'\\', byte, ..] => Some((*byte, 2)),
                _ => None,
            })),
            Self::Token(raw) | Self::Quoted(raw) => Cow::Borrowed(raw),
        }
    }

    /// As forms are sent: browsers escape a quote as `%22`, CR as `%0D` and LF as `%0A`, and nothing else; others
    /// put a backslash in front of a quote or a backslash. Any other backslash and percent sign means itself.
    pub(crate) fn unescaped_form(self) -> Cow<'a, [u8]> {
        match self {
            Self::Quoted(raw) if raw.iter().any(|byte| matches!(byte, b'\\' | b'%')) => {
                Cow::Owned(replaced(raw, |rest| match rest {
                    [b'\\', byte @ (b'"' | b'\\'), ..] => Some((*byte, 2)),
                    [b'%', b'2', b'2', ..] => Some((b'"', 3)),
                    [b'%', b'0', b'D' | b'd', ..] => Some((b'\r', 3)),
                    [b'%', b'0', b'A' | b'a', ..] => Some((b'\n', 3)),
                    _ => None,
                }))
            }
            Self::Token(raw) | Self::Quoted(raw) => Cow::Borrowed(raw),
        }
    }
}

/// `raw` with what `escape` finds at a place replaced: by that byte, for so many bytes.
fn replaced(mut raw: &[u8], escape: impl Fn(&[u8]) -> Option<(u8, usize)>) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    while let Some((first, rest)) = raw.split_first() {
        match escape(raw) {
            Some((byte, length)) => {
                out.push(byte);
                raw = raw.get(length..).unwrap_or(&[]);
            }
            None => {
                out.push(*first);
                raw = rest;
            }
        }
    }
    out
}

/// The parameters in their order. Empty ones (`;;`, `;` at the end) are passed over; after an error comes nothing.
#[derive(Clone, Debug)]
pub(crate) struct Parameters<'a> {
    header: &'a [u8],
    /// What is still to be read: the end of `header`. It begins with a semicolon, or is blank.
    rest: &'a [u8],
}

impl<'a> Parameters<'a> {
    /// The parameters in `rest`, the end of `header`.
    pub(crate) const fn new(header: &'a [u8], rest: &'a [u8]) -> Self {
        Self { header, rest }
    }

    /// Where `rest` begins.
    const fn at(&self, rest: &[u8]) -> usize {
        self.header.len().saturating_sub(rest.len())
    }

    fn read(&mut self) -> Result<Option<(&'a [u8], Value<'a>)>, Error> {
        let mut rest = trim_start(self.rest);
        let Some((b';', _)) = rest.split_first() else {
            return if rest.is_empty() { Ok(None) } else { Err(Error::Separator { at: self.at(rest) }) };
        };
        while let Some((b';', behind)) = rest.split_first() {
            rest = trim_start(behind);
        }
        if rest.is_empty() {
            return Ok(None);
        }
        let (name, behind) = split_token(rest);
        if name.is_empty() {
            return Err(Error::Name { at: self.at(rest) });
        }
        let Some((b'=', value)) = behind.split_first() else {
            return Err(Error::Value { at: self.at(behind) });
        };
        let (value, behind) = match value.split_first() {
            Some((b'"', inside)) => {
                let end = closing_quote(inside).ok_or(Error::Unterminated { at: self.at(value) })?;
                let (raw, behind) = inside.split_at_checked(end).unwrap_or((inside, &[]));
                (Value::Quoted(raw), behind.get(1..).unwrap_or(&[]))
            }
            _ => {
                let end = value.iter().position(|byte| matches!(byte, b';' | b' ' | b'\t' | b'"'));
                let (raw, behind) =
                    value.split_at_checked(end.unwrap_or(value.len())).unwrap_or((value, &[]));
                if raw.is_empty() {
                    return Err(Error::Value { at: self.at(value) });
                }
                (Value::Token(raw), behind)
            }
        };
        self.rest = behind;
        Ok(Some((name, value)))
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Result<(&'a [u8], Value<'a>), Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read().transpose();
        if !matches!(read, Some(Ok(_))) {
            self.rest = &[];
        }
        read
    }
}

/// Where the quote is that ends a quoted string. A backslash hides the byte behind it, but not the last quote of all:
/// browsers send a backslash at the end of a name as it is.
fn closing_quote(inside: &[u8]) -> Option<usize> {
    // Nearly always nothing is hidden.
    let at = inside.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    if inside.get(at) == Some(&b'"') {
        return Some(at);
    }
    let mut hidden = None;
    let mut after_backslash = false;
    for (at, byte) in inside.iter().enumerate() {
        match byte {
            _ if after_backslash => {
                after_backslash = false;
                if *byte == b'"' {
                    hidden = Some(at);
                }
            }
            b'\\' => after_backslash = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    hidden.filter(|at| inside.get(at.saturating_add(1)..).is_some_and(|behind| trim_start(behind).is_empty()))
}

/// The token at the start, and what follows it (RFC 9110, 5.6.2).
pub(crate) fn split_token(input: &[u8]) -> (&[u8], &[u8]) {
    // Four at a time as long as all of them are.
    let mut rest = input;
    while let Some(([a, b, c, d], behind)) = rest.split_first_chunk() {
        if !(is_token(*a) & is_token(*b) & is_token(*c) & is_token(*d)) {
            break;
        }
        rest = behind;
    }
    let more = rest.iter().position(|byte| !is_token(*byte)).unwrap_or(rest.len());
    let end = input.len().saturating_sub(rest.len()).saturating_add(more);
    input.split_at_checked(end).unwrap_or((input, &[]))
}

/// Which bytes may stand in a token. A table, because each byte of a part's headers is asked about.
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    loop {
        let is_mark = matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        );
        #[expect(clippy::indexing_slicing, reason = "a u8 is always inside a table of 256")]
        {
            table[byte as usize] = is_mark || byte.is_ascii_alphanumeric();
        }
        match byte.checked_add(1) {
            Some(next) => byte = next,
            None => break table,
        }
    }
};

/// Whether a byte may stand in a token.
#[inline]
pub(crate) fn is_token(byte: u8) -> bool {
    #[expect(clippy::indexing_slicing, reason = "a u8 is always inside a table of 256")]
    TOKEN[usize::from(byte)]
}

/// Whether a word is this one, in any case. Nearly all write it as it is known, which is quicker to see.
#[inline]
pub(crate) fn is_word(word: &[u8], known: &[u8]) -> bool {
    word == known || word.eq_ignore_ascii_case(known)
}

/// Without spaces and tabs in front.
pub(crate) fn trim_start(input: &[u8]) -> &[u8] {
    let start = input.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(input.len());
    input.get(start..).unwrap_or(&[])
}

/// Without spaces and tabs around.
pub(crate) fn trim(input: &[u8]) -> &[u8] {
    let end =
        input.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |last| last.saturating_add(1));
    trim_start(input.get(..end).unwrap_or(&[]))
}

/// A value as a token where it is one, quoted by RFC 9110 otherwise.
pub(crate) fn put_value(out: &mut Vec<u8>, value: &[u8]) {
    if !value.is_empty() && value.iter().all(|byte| is_token(*byte)) {
        out.extend_from_slice(value);
        return;
    }
    out.push(b'"');
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}
