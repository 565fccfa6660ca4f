//! Writing a form of strings.

use alloc::vec::Vec;

use bytes::Bytes;

use super::put_encoded;
use crate::limits;
use crate::time::Instant;
use crate::transmit::Transmit;

/// Why a pair was not taken. The caller's fault; it ends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Enough is waiting; go on when `can_write` is true.
    #[error("{limit} bytes are waiting already")]
    Full {
        /// [`limits::FORM_OUTPUT`].
        limit: usize,
    },
    /// The form was finished.
    #[error("the form is over")]
    Over,
}

/// Writes a form of strings, pair by pair.
///
/// ```
/// use portline::Instant;
/// use portline::body::urlencoded::Writer;
/// let mut writer = Writer::new(Instant::ZERO);
/// writer.pair(Instant::ZERO, b"name", b"J\xc3\xb8rn & S\xc3\xb8n")?;
/// writer.pair(Instant::ZERO, b"age", b"7")?;
/// writer.finish(Instant::ZERO);
/// let body = writer.poll_transmit().map(|transmit| transmit.into_bytes());
/// assert_eq!(body.as_deref(), Some(&b"name=J%C3%B8rn+%26+S%C3%B8n&age=7"[..]));
/// # Ok::<(), portline::body::urlencoded::WriteError>(())
/// ```
#[derive(Debug)]
pub struct Writer {
    output: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    First,
    Later,
    Finished,
}

impl Writer {
    /// A writer at the start of a form.
    #[must_use]
    pub const fn new(_now: Instant) -> Self {
        Self { output: Vec::new(), state: State::First }
    }

    /// Appends a pair.
    ///
    /// # Errors
    /// As [`WriteError`] says; then nothing has changed.
    pub fn pair(&mut self, _now: Instant, name: &[u8], value: &[u8]) -> Result<(), WriteError> {
        match self.state {
            State::Finished => return Err(WriteError::Over),
            State::First | State::Later if !self.can_write() => {
                return Err(WriteError::Full { limit: limits::FORM_OUTPUT });
            }
            State::First => {}
            State::Later => self.output.push(b'&'),
        }
        put_encoded(&mut self.output, name);
        self.output.push(b'=');
        put_encoded(&mut self.output, value);
        self.state = State::Later;
        Ok(())
    }

    /// Ends the form.
    pub const fn finish(&mut self, _now: Instant) {
        self.state = State::Finished;
    }

    /// Whether there is room for a pair.
    #[must_use]
    pub fn can_write(&self) -> bool {
        !matches!(self.state, State::Finished) && self.output.len() < limits::FORM_OUTPUT
    }

    /// The next bytes to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let output = core::mem::take(&mut self.output);
        (!output.is_empty()).then(|| Transmit::new(Bytes::from(output)))
    }

    /// Whether the form is finished and handed out.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.state, State::Finished) && self.output.is_empty()
    }
}
