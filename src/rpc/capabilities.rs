//! What a peer says in READY that it can do.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

/// Streams may be opened on calls.
pub const STREAMING: &[u8] = b"streaming";
/// Calls may ask for everything in one result.
pub const BATCH: &[u8] = b"batch";

/// Tokens of one READY.
pub const MAX_TOKENS: usize = 64;
/// Bytes of one token.
pub const MAX_TOKEN: usize = 64;

/// READY's capabilities do not read as tokens. The peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CapabilitiesError {
    /// More tokens than [`MAX_TOKENS`].
    #[error("more than {MAX_TOKENS} capabilities")]
    TooMany,
    /// A token longer than [`MAX_TOKEN`].
    #[error("a capability of {length} bytes is longer than {MAX_TOKEN}")]
    TooLong {
        /// Its bytes.
        length: usize,
    },
    /// A byte that no token has: a space, a control character, anything above ASCII.
    #[error("byte {byte:#04x} in a capability")]
    Byte {
        /// The byte.
        byte: u8,
    },
}

/// A set of capability tokens: visible ASCII, at most 64 tokens of at most 64 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// Sorted, without repeats.
    tokens: Vec<Bytes>,
}

impl Capabilities {
    /// Reads one token a line. Empty lines and repeats count for nothing; an LF at the end may be missing (RPC-2).
    ///
    /// # Errors
    /// [`CapabilitiesError`]; the payload's length is bounded by the limit on messages.
    pub fn parse(payload: &[u8]) -> Result<Self, CapabilitiesError> {
        let mut this = Self::default();
        let tokens = payload.split(|byte| *byte == b'\n').filter(|token| !token.is_empty());
        // Counted with repeats: they cost as much to read.
        for (count, token) in tokens.enumerate() {
            if count >= MAX_TOKENS {
                return Err(CapabilitiesError::TooMany);
            }
            this.insert(token)?;
        }
        Ok(this)
    }

    /// Adds a token; one that is there stays once.
    ///
    /// # Errors
    /// [`CapabilitiesError`] for what is no token, and for one too many.
    pub fn insert(&mut self, token: &[u8]) -> Result<(), CapabilitiesError> {
        if token.len() > MAX_TOKEN {
            return Err(CapabilitiesError::TooLong { length: token.len() });
        }
        if let Some(byte) = token.iter().find(|byte| !byte.is_ascii_graphic()) {
            return Err(CapabilitiesError::Byte { byte: *byte });
        }
        let Err(place) = self.tokens.binary_search_by(|held| held.as_ref().cmp(token)) else {
            return Ok(());
        };
        if self.tokens.len() >= MAX_TOKENS {
            return Err(CapabilitiesError::TooMany);
        }
        if !token.is_empty() {
            self.tokens.insert(place, Bytes::copy_from_slice(token));
        }
        Ok(())
    }

    /// Whether the token is there.
    #[must_use]
    pub fn contains(&self, token: &[u8]) -> bool {
        self.tokens.binary_search_by(|held| held.as_ref().cmp(token)).is_ok()
    }

    /// The tokens, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.tokens.iter().map(AsRef::as_ref)
    }

    /// The payload of READY: the tokens sorted, each followed by LF.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut payload = BytesMut::new();
        for token in &self.tokens {
            payload.put_slice(token);
            payload.put_u8(b'\n');
        }
        payload.freeze()
    }
}
