//! The payload of an ERROR frame.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use bytes::Bytes;

use crate::limits;
use crate::text::acts;

/// Why the peer's stream failed, in the peer's own words.
///
/// It should be a JSON string. Anything else (invalid JSON, an object, `null`, nothing at all) is kept as the raw
/// bytes that came, because they are all there is to tell a user (FRAME-6). `Display` writes text without control
/// characters and without those that turn its direction, so that a terminal cannot be driven by the peer (T18).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The payload was a JSON string; this is its value.
    Text(String),
    /// The payload was something else; these are its bytes, at most [`limits::ERROR_PAYLOAD`] of them.
    Raw(Bytes),
}

impl Reason {
    /// Reads the payload of an ERROR frame. A payload above [`limits::ERROR_PAYLOAD`] is cut there and kept raw.
    #[must_use]
    pub fn decode(payload: &Bytes) -> Self {
        let kept = payload.len().min(limits::ERROR_PAYLOAD);
        if kept == payload.len() {
            if let Ok(text) = serde_json::from_slice::<String>(payload) {
                return Self::Text(text);
            }
        }
        // A copy: a slice would keep the whole message alive for a few bytes of it.
        Self::Raw(payload.get(..kept).map(Bytes::copy_from_slice).unwrap_or_default())
    }

    /// `text` as the payload of an ERROR frame: a JSON string of at most [`limits::ERROR_PAYLOAD`] bytes. Text
    /// that would be longer is cut between two characters (FRAME-7).
    #[must_use]
    pub fn encode(text: &str) -> Bytes {
        let mut room = limits::ERROR_PAYLOAD.saturating_sub(2);
        let fits = |&(_, c): &(usize, char)| {
            let length = encoded_length(c);
            let fits = length <= room;
            room = room.saturating_sub(length);
            fits
        };
        let end = text.char_indices().take_while(fits).last();
        let end = end.map_or(0, |(at, c)| at.saturating_add(c.len_utf8()));
        let text = text.get(..end).unwrap_or_default();
        // A string always serialises; the fallback is an empty JSON string.
        serde_json::to_vec(text).map_or(Bytes::from_static(b"\"\""), Bytes::from)
    }

    /// The words as text: what is not UTF-8 is replaced. May hold control characters.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Raw(raw) => String::from_utf8_lossy(raw),
        }
    }
}

/// Bytes that JSON needs for one character.
const fn encoded_length(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        c => c.len_utf8(),
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.text().chars() {
            if c.is_control() || acts(c) { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}
