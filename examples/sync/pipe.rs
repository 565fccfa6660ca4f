//! Port messages on a byte stream: the carrier, both ways.

use bytes::Bytes;
use portline::frame::carrier::{self, Decoder};
use portline::{Transmit, limits};

use crate::support::Error;

/// The carrier's state for one connection, and what passed through it.
#[derive(Debug)]
pub struct Pipe {
    decoder: Decoder,
    fault: Option<carrier::Error>,
    /// How many bytes may still pass before the connection breaks, for those who want to see what happens then.
    left: Option<u64>,
    closing: Closing,
    /// Bytes read and bytes to be written.
    pub traffic: (u64, u64),
}

/// The end of the input stands behind the messages that are still to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    Open,
    Ended,
    Told,
}

/// What the stream brings.
#[derive(Debug)]
pub enum Input {
    Message(Bytes),
    /// The stream has ended, and every whole message was taken. Told once.
    Closed,
}

impl Pipe {
    /// Nothing read yet. Breaks after `bytes` bytes of input, in the middle of a message if need be.
    pub fn new(bytes: Option<u64>) -> Self {
        Self {
            decoder: Decoder::new(limits::MESSAGE, limits::MESSAGE),
            fault: None,
            left: bytes,
            closing: Closing::Open,
            traffic: (0, 0),
        }
    }

    /// Takes bytes as they arrive.
    pub fn handle_bytes(&mut self, mut bytes: Bytes) {
        if let Some(left) = &mut self.left {
            let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
            bytes.truncate(taken);
            *left = left.saturating_sub(count(taken));
        }
        self.traffic.0 = self.traffic.0.saturating_add(count(bytes.len()));
        self.decoder.handle_bytes(bytes);
        if self.is_broken() {
            self.handle_closed();
        }
    }

    /// No more bytes will arrive.
    pub fn handle_closed(&mut self) {
        if self.closing == Closing::Open {
            self.closing = Closing::Ended;
        }
    }

    /// What to hand on next. Ask only while the machine wants input: one read may bring more messages than it takes.
    pub fn next_input(&mut self) -> Option<Input> {
        match self.decoder.next_message() {
            Ok(Some(message)) => return Some(Input::Message(message)),
            Ok(None) => {}
            Err(error) => {
                self.fault = Some(error);
                return None;
            }
        }
        if self.closing != Closing::Ended {
            return None;
        }
        self.closing = Closing::Told;
        Some(Input::Closed)
    }

    /// A message with its length in front, ready for the stream.
    pub fn wrap(&mut self, message: Transmit) -> Option<Transmit> {
        let wrapped = carrier::wrap(message).map_err(|error| self.fault = Some(error)).ok()?;
        self.traffic.1 = self.traffic.1.saturating_add(count(wrapped.len()));
        Some(wrapped)
    }

    /// Whether to read on.
    pub fn wants_input(&self) -> bool {
        self.fault.is_none() && self.closing == Closing::Open && self.decoder.wants_input()
    }

    /// Whether the connection was broken on request.
    pub fn is_broken(&self) -> bool {
        self.left == Some(0)
    }

    /// What was wrong with the stream, if anything was.
    pub fn check(&self) -> Result<(), Error> {
        self.fault.as_ref().map_or(Ok(()), |fault| Err(Error::session(fault)))
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
