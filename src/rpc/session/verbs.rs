//! The verbs of calls and streams: those of the link.

use bytes::Bytes;

use super::Session;
use crate::rpc::{Capabilities, Fallback, Misuse};
use crate::stream::Shape;
use crate::time::Instant;

impl Session {
    /// Calls a method of the peer's; the number of the call. It goes out once the peer is ready.
    ///
    /// # Errors
    /// [`Misuse`]; nothing was called.
    pub fn call(
        &mut self,
        now: Instant,
        method: Bytes,
        arguments: Bytes,
        fallback: Fallback,
    ) -> Result<u32, Misuse> {
        self.tell(now);
        self.link.call(now, method, arguments, fallback)
    }

    /// Gives a call of ours up, with its streams. Its result is [`crate::rpc::CallError::Aborted`].
    ///
    /// # Errors
    /// [`Misuse::NoCall`] when it is over already.
    pub fn abort(&mut self, now: Instant, call: u32) -> Result<(), Misuse> {
        self.tell(now);
        self.link.abort(now, call)
    }

    /// The result of a call of the peer's. It goes out once the call's streams are over (RPC-16).
    ///
    /// # Errors
    /// [`Misuse`] when the call is not running or the result too long; it still has to be answered then.
    pub fn respond(&mut self, now: Instant, call: u32, result: Result<Bytes, &str>) -> Result<(), Misuse> {
        self.tell(now);
        self.link.respond(now, call, result)
    }

    /// Answers a call of a method that this side does not have: an error result that says so.
    ///
    /// # Errors
    /// [`Misuse::NoCall`] when the call is not running.
    pub fn respond_no_method(&mut self, now: Instant, call: u32) -> Result<(), Misuse> {
        self.tell(now);
        self.link.respond_no_method(now, call)
    }

    /// Opens a stream on a call of the peer's; `direction` is seen from here. It can be written to at once; what is
    /// written goes out when the stream is open.
    ///
    /// # Errors
    /// [`Misuse`]; nothing was opened.
    pub fn open_stream(&mut self, now: Instant, call: u32, shape: Shape) -> Result<u32, Misuse> {
        self.tell(now);
        self.link.open_stream(self.now, call, shape)
    }

    /// Writes an item, or some bytes, to a stream.
    ///
    /// # Errors
    /// [`Misuse`]; nothing was taken and nothing ends.
    pub fn write(&mut self, now: Instant, stream: u32, data: Bytes) -> Result<(), Misuse> {
        self.tell(now);
        self.link.write(self.now, stream, data)
    }

    /// Whether [`Self::write`] takes something.
    #[must_use]
    pub fn can_write(&self, stream: u32) -> bool {
        self.link.can_write(stream)
    }

    /// Nothing more will be written to a stream.
    pub fn finish(&mut self, now: Instant, stream: u32) {
        self.tell(now);
        self.link.finish(self.now, stream);
    }

    /// This side fails a stream: the peer gets ERROR with `reason`, and END.
    pub fn fail_stream(&mut self, now: Instant, stream: u32, reason: &str) {
        self.tell(now);
        self.link.fail_stream(self.now, stream, reason);
    }

    /// This side wants no more of a stream: the peer gets CANCEL and END.
    pub fn cancel_stream(&mut self, now: Instant, stream: u32, reason: Option<&str>) {
        self.tell(now);
        self.link.cancel_stream(self.now, stream, reason);
    }

    /// The oldest data of a stream that was not consumed is.
    pub fn consume(&mut self, now: Instant, stream: u32) {
        self.tell(now);
        self.link.consume(self.now, stream);
    }

    /// How many streams are open.
    #[must_use]
    pub const fn open_streams(&self) -> usize {
        self.link.open_streams()
    }

    /// How many channels of the pipe are open: those of streams, and those that still close.
    #[must_use]
    pub const fn open_channels(&self) -> usize {
        self.mux.open_channels()
    }

    /// What the peer can do, once it is ready.
    #[must_use]
    pub const fn capabilities(&self) -> Option<&Capabilities> {
        self.link.capabilities()
    }
}
