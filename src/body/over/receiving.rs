//! The consumer's end of a body, on the end of any stream of this crate.

use bytes::Bytes;

use super::Error;
use super::end::{Incoming, Received};
use crate::Transmit;
use crate::body::download;
use crate::body::queue::PullError;
use crate::frame::Reason;
use crate::time::Instant;

/// The consumer's end: [`super::stream::Download`] and [`super::port::Download`].
#[derive(Clone, Debug)]
pub struct Download<R> {
    pub(super) end: R,
    pub(super) download: download::Download<Error>,
    /// The latest time told.
    now: Instant,
}

impl<R: Incoming> Download<R> {
    pub(super) const fn on(end: R, download: download::Download<Error>, now: Instant) -> Self {
        Self { end, download, now }
    }

    /// Takes one whole message of the stream.
    ///
    /// # Errors
    /// As the stream's own end: [`crate::stream::Endpoint::handle_message`], [`crate::port::Receiver::handle_message`].
    pub fn handle_message(&mut self, now: Instant, message: Bytes) -> Result<(), Error> {
        self.tell(now);
        let handled = self.end.handle_message(now, message);
        if R::AT_ONCE {
            self.settle();
        }
        handled
    }

    /// The transport has closed. What had arrived is still delivered.
    ///
    /// # Errors
    /// As the stream's own end: [`crate::stream::Endpoint::handle_closed`], [`crate::port::Receiver::handle_closed`].
    pub fn handle_closed(&mut self, now: Instant) -> Result<(), Error> {
        self.tell(now);
        self.end.handle_closed(now)
    }

    /// The consumer wants the next chunk.
    ///
    /// # Errors
    /// As [`download::Download::pull`].
    pub fn pull(&mut self, now: Instant) -> Result<(), PullError> {
        self.tell(now);
        self.download.pull()
    }

    /// The consumer wants no more: what waits is dropped. On a credit stream the producer is told `reason`, if there is
    /// one; a port carries no words against the data, and the reason is for the terminal action only.
    pub fn cancel(&mut self, now: Instant, reason: Option<&str>) {
        self.tell(now);
        // What has arrived is looked at first: the end may be among it, and then there is nothing to cancel.
        self.settle();
        let reason = reason.map(|reason| Reason::Text(reason.into()));
        self.download.cancel(Error::Cancelled { reason });
    }

    /// The next message to send. Call it only while the transport has room: that is the backpressure.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.settle();
        self.end.poll_transmit()
    }

    /// What happened.
    pub fn poll_action(&mut self) -> Option<download::Action<Error>> {
        self.settle();
        self.download.poll_action()
    }

    /// Whether to read on.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.end.wants_input()
    }

    /// Whether the download is over. What is left in `poll_action` and `poll_transmit` is still to be taken.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.download.has_ended()
    }

    /// Carries between the stream and the queue, until both wait.
    fn settle(&mut self) {
        loop {
            while let Some(step) = self.download.poll_step() {
                match step {
                    download::Step::Consume => self.end.consume(self.now),
                    download::Step::Cancel(Error::Cancelled { reason: None }) => {
                        self.end.cancel(self.now, None);
                    }
                    download::Step::Cancel(error) => self.end.cancel(self.now, Some(&error.words())),
                }
            }
            if !self.download.wants_data(1) {
                return;
            }
            match self.end.poll_received() {
                None => return,
                Some(Received::Block(block)) => {
                    if let Err(error) = self.download.receive(block) {
                        self.end.refuse(self.now, error);
                    }
                }
                Some(Received::Finished) => self.download.stream_finished(),
                Some(Received::Failed(error)) => self.download.stream_failed(error),
            }
        }
    }

    pub(super) fn tell(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }
}
