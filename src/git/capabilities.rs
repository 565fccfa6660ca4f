//! Capability lists: `name` or `name=value`, separated by spaces.

use alloc::vec::Vec;
use core::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::limits;

/// One capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Its name.
    pub name: Bytes,
    /// What follows the first `=`, if there is one.
    pub value: Option<Bytes>,
}

/// Why a capability list cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CapabilityError {
    /// More than [`limits::CAPABILITIES`] (T10).
    #[error("more than {limit} capabilities")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// A name or value that would break the line it is written to (T17).
    #[error("a capability cannot hold NUL, LF, CR or a space")]
    Byte,
    /// A value that is too long to be written.
    #[error("a capability's value is longer than the limit of {limit} bytes")]
    TooLong {
        /// [`limits::CAPABILITY_VALUE`].
        limit: usize,
    },
}

/// A list of capabilities, in the order in which they were given; a name may occur several times (`symref`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(Vec<Capability>);

impl Capabilities {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Reads a list. Extra spaces anywhere and a trailing LF are taken (GIT-4).
    ///
    /// # Errors
    /// [`CapabilityError::TooMany`].
    pub fn parse(line: &[u8]) -> Result<Self, CapabilityError> {
        let mut list = Vec::new();
        for word in line.split(|byte| matches!(byte, b' ' | b'\n')).filter(|word| !word.is_empty()) {
            if list.len() >= limits::CAPABILITIES {
                return Err(CapabilityError::TooMany { limit: limits::CAPABILITIES });
            }
            let (name, value) = match memchr::memchr(b'=', word).and_then(|at| word.split_at_checked(at)) {
                Some((name, value)) => (name, value.get(1..).map(Bytes::copy_from_slice)),
                None => (word, None),
            };
            list.push(Capability { name: Bytes::copy_from_slice(name), value });
        }
        Ok(Self(list))
    }

    /// Appends one capability of version 2: a line of its own, whose value may hold spaces.
    ///
    /// # Errors
    /// [`CapabilityError::TooMany`].
    pub fn push_line(&mut self, line: &[u8]) -> Result<(), CapabilityError> {
        if self.0.len() >= limits::CAPABILITIES {
            return Err(CapabilityError::TooMany { limit: limits::CAPABILITIES });
        }
        let (name, value) = match memchr::memchr(b'=', line).and_then(|at| line.split_at_checked(at)) {
            Some((name, value)) => (name, value.get(1..).map(Bytes::copy_from_slice)),
            None => (line, None),
        };
        self.0.push(Capability { name: Bytes::copy_from_slice(name), value });
        Ok(())
    }

    /// Whether the value of `name` is a list that holds `feature`: `fetch=shallow filter` in version 2.
    #[must_use]
    pub fn has_feature(&self, name: &str, feature: &str) -> bool {
        self.values(name).any(|list| list.split(|byte| *byte == b' ').any(|word| word == feature.as_bytes()))
    }

    /// Whether `name` is there, with or without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|capability| capability.name == name.as_bytes())
    }

    /// The value of the first `name=value`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().filter(|one| one.name == name.as_bytes()).find_map(|one| one.value.as_ref())
    }

    /// The values of every `name=value`, in order.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Bytes> {
        self.0
            .iter()
            .filter(move |capability| capability.name == name.as_bytes())
            .filter_map(|capability| capability.value.as_ref())
    }

    /// Appends `name`.
    pub fn push(&mut self, name: &'static str) {
        self.0.push(Capability { name: Bytes::from_static(name.as_bytes()), value: None });
    }

    /// Appends `name=value`.
    ///
    /// # Errors
    /// [`CapabilityError::Byte`] when the value would break the line, [`CapabilityError::TooLong`] when it might not
    /// fit into one.
    pub fn push_value(&mut self, name: &'static str, value: &[u8]) -> Result<(), CapabilityError> {
        if value.iter().any(|byte| matches!(byte, 0 | b'\n' | b'\r' | b' ')) {
            return Err(CapabilityError::Byte);
        }
        if value.len() > limits::CAPABILITY_VALUE {
            return Err(CapabilityError::TooLong { limit: limits::CAPABILITY_VALUE });
        }
        let value = Some(Bytes::copy_from_slice(value));
        self.0.push(Capability { name: Bytes::from_static(name.as_bytes()), value });
        Ok(())
    }

    /// The list in its order.
    pub fn iter(&self) -> impl Iterator<Item = &Capability> {
        self.0.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The line: capabilities separated by single spaces.
    #[must_use]
    pub fn to_line(&self) -> Bytes {
        let mut line = BytesMut::new();
        for capability in &self.0 {
            if !line.is_empty() {
                line.put_u8(b' ');
            }
            line.put_slice(&capability.name);
            if let Some(value) = &capability.value {
                line.put_u8(b'=');
                line.put_slice(value);
            }
        }
        line.freeze()
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_line().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_4_spaces_repeats_and_values() {
        let caps =
            Capabilities::parse(b" multi_ack symref=HEAD:refs/heads/a  agent=x=y symref=B:c  \n").unwrap();
        assert!(caps.has("multi_ack") && caps.has("agent") && !caps.has("multi"));
        assert_eq!(caps.value("agent").unwrap(), "x=y");
        assert_eq!(caps.value("multi_ack"), None);
        assert_eq!(caps.values("symref").count(), 2);
        assert_eq!(caps.to_line(), "multi_ack symref=HEAD:refs/heads/a agent=x=y symref=B:c");
        assert!(Capabilities::parse(b"  ").unwrap().is_empty());
    }

    /// T10, T17.
    #[test]
    fn git_4_too_many_and_unsafe_values_are_refused() {
        let many = b"a ".repeat(limits::CAPABILITIES + 1);
        let limit = limits::CAPABILITIES;
        assert_eq!(Capabilities::parse(&many), Err(CapabilityError::TooMany { limit }));
        for bad in [&b"a b"[..], b"a\0", b"a\n", b"\r"] {
            assert_eq!(Capabilities::new().push_value("agent", bad), Err(CapabilityError::Byte));
        }
        let limit = limits::CAPABILITY_VALUE;
        let long = alloc::vec![b'a'; limit + 1];
        assert_eq!(Capabilities::new().push_value("agent", &long), Err(CapabilityError::TooLong { limit }));
        assert_eq!(Capabilities::new().push_value("agent", &long[1..]), Ok(()));
    }
}
