//! Port messages on a byte stream: the carrier, both ways.

use bytes::Bytes;
use portline::frame::carrier::{self, Decoder};
use portline::{Transmit, limits};

use crate::support::Error;

/// The carrier's state for one connection.
#[derive(Debug)]
pub struct Pipe {
    decoder: Decoder,
    fault: Option<carrier::Error>,
    /// How many bytes may still pass before the connection breaks, for those who want to see what happens then.
    left: Option<u64>,
}

impl Pipe {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self { decoder: Decoder::new(limits::MESSAGE, limits::MESSAGE), fault: None, left: None }
    }

    /// Breaks after `bytes` bytes of input, in the middle of a message if need be.
    pub fn breaking_after(bytes: Option<u64>) -> Self {
        Self { left: bytes, ..Self::new() }
    }

    /// Takes bytes as they arrive.
    pub fn handle_bytes(&mut self, mut bytes: Bytes) {
        if let Some(left) = &mut self.left {
            let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
            bytes.truncate(taken);
            *left = left.saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX));
        }
        self.decoder.handle_bytes(bytes);
    }

    /// The next whole message.
    pub fn next_message(&mut self) -> Option<Bytes> {
        match self.decoder.next_message() {
            Ok(message) => message,
            Err(error) => {
                self.fault = Some(error);
                None
            }
        }
    }

    /// A message with its length in front, ready for the stream.
    pub fn wrap(&mut self, message: Transmit) -> Option<Transmit> {
        carrier::wrap(message).map_err(|error| self.fault = Some(error)).ok()
    }

    /// Whether to read on.
    pub fn wants_input(&self) -> bool {
        self.fault.is_none() && self.decoder.wants_input()
    }

    /// Whether the connection is to break now.
    pub fn is_broken(&self) -> bool {
        self.left == Some(0)
    }

    /// What was wrong with the stream, if anything was.
    pub fn check(&self) -> Result<(), Error> {
        self.fault.as_ref().map_or(Ok(()), |fault| Err(Error::session(fault)))
    }
}
