//! The producer's end of a body, on the end of any stream of this crate.

use bytes::Bytes;

use super::Error;
use super::end::Outgoing;
use crate::Transmit;
use crate::body::queue::{PushError, Pushed};
use crate::body::upload;
use crate::time::Instant;

/// The producer's end: [`super::stream::Upload`] and [`super::port::Upload`].
#[derive(Clone, Debug)]
pub struct Upload<S> {
    pub(super) end: S,
    upload: upload::Upload<Error>,
    /// The latest time told.
    now: Instant,
}

impl<S: Outgoing> Upload<S> {
    pub(super) const fn on(end: S, upload: upload::Upload<Error>, now: Instant) -> Self {
        Self { end, upload, now }
    }

    /// Takes one whole message of the stream.
    ///
    /// # Errors
    /// As the stream's own end: [`crate::stream::Endpoint::handle_message`], [`crate::port::Sender::handle_message`].
    pub fn handle_message(&mut self, now: Instant, message: Bytes) -> Result<(), Error> {
        self.tell(now);
        self.end.handle_message(now, message)
    }

    /// The transport has closed.
    ///
    /// # Errors
    /// As the stream's own end: [`crate::stream::Endpoint::handle_closed`], [`crate::port::Sender::handle_closed`].
    pub fn handle_closed(&mut self, now: Instant) -> Result<(), Error> {
        self.tell(now);
        self.end.handle_closed(now)
    }

    /// The time of [`Self::poll_timeout`] has come. Too early tells the machine the time and nothing else.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tell(now);
        self.end.handle_timeout(now);
    }

    /// The producer has a chunk.
    ///
    /// # Errors
    /// As [`upload::Upload::push`].
    pub fn push(&mut self, now: Instant, chunk: Bytes) -> Result<Pushed, PushError> {
        self.tell(now);
        self.upload.push(chunk)
    }

    /// As [`upload::Upload::can_push`].
    #[must_use]
    pub fn can_push(&self) -> bool {
        self.upload.can_push()
    }

    /// The producer has no more.
    pub fn close(&mut self, now: Instant) {
        self.tell(now);
        self.upload.close();
    }

    /// The producer has failed: the consumer gets what was pushed before, and `reason`.
    pub fn error(&mut self, now: Instant, reason: &str) {
        self.tell(now);
        self.upload.error(Error::aborted(reason));
    }

    /// The producer gives up: what waits is dropped, and the consumer gets `reason`.
    pub fn abort(&mut self, now: Instant, reason: &str) {
        self.tell(now);
        self.upload.abort(Error::aborted(reason));
    }

    /// The next message to send. Call it only while the transport has room: that is the backpressure.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.settle();
        self.end.poll_transmit()
    }

    /// What happened.
    pub fn poll_action(&mut self) -> Option<upload::Action<Error>> {
        self.settle();
        self.upload.poll_action()
    }

    /// When to call [`Self::handle_timeout`]; `None` is never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.end.poll_timeout()
    }

    /// Whether to read on.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.end.wants_input()
    }

    /// Whether the upload is over. What is left in `poll_action` and `poll_transmit` is still to be taken.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.upload.has_ended()
    }

    /// Bytes that were pushed and have not been sent.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.upload.held()
    }

    /// Carries between the queue and the stream, until both wait.
    fn settle(&mut self) {
        loop {
            while let Some(end) = self.end.poll_end() {
                match end {
                    Ok(()) => self.upload.stream_finished(),
                    Err(error) => self.upload.stream_failed(error),
                }
            }
            if self.upload.is_writing() && self.end.can_write() {
                self.upload.written();
            }
            match self.upload.poll_step() {
                Some(upload::Step::Write(piece)) => self.end.write(self.now, piece),
                Some(upload::Step::Finish) => self.end.finish(self.now),
                Some(upload::Step::Fail(error)) => self.end.fail(self.now, &error.words()),
                None => return,
            }
        }
    }

    pub(super) fn tell(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }
}
