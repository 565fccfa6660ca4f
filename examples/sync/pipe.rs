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
}

impl Pipe {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self { decoder: Decoder::new(limits::MESSAGE, limits::MESSAGE), fault: None }
    }

    /// Takes bytes as they arrive.
    pub fn handle_bytes(&mut self, bytes: Bytes) {
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

    /// What was wrong with the stream, if anything was.
    pub fn check(&self) -> Result<(), Error> {
        self.fault.as_ref().map_or(Ok(()), |fault| Err(Error::session(fault)))
    }
}
