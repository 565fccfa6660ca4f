//! Calls of both directions, and how their results wait for their streams.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::call::{Collected, Incoming, Ours, Outgoing, RESULT_LEN, Request, Returned, Theirs, result_len};
use super::upkeep::Streams;
use super::{Action, Answer, Fallback, Life, Link, Queued};
use crate::Transmit;
use crate::frame::Reason;
use crate::limits::CHUNK_OVERHEAD;
use crate::rpc::control::{METHOD_LEN, Message};
use crate::rpc::{BATCH, CallError, Error, Misuse, STREAMING, batch};
use crate::time::Instant;

impl Link {
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
        if !self.is_open() {
            return Err(Misuse::Over);
        }
        if method.len() > METHOD_LEN {
            return Err(Misuse::MethodTooLong { length: method.len() });
        }
        let limit = self.config.max_calls;
        if self.outgoing.len() >= limit {
            return Err(Misuse::TooManyCalls { limit });
        }
        if self.queued >= self.config.control_bytes {
            return Err(Misuse::Full { limit: self.config.control_bytes });
        }
        let request = Request { method, arguments, fallback, again: false };
        let (length, limit) = (request.cost(), self.config.max_message);
        if length > limit {
            return Err(Misuse::TooLong { length, limit });
        }
        self.make_call(Box::new(request)).ok_or(Misuse::CallsExhausted)
    }

    fn make_call(&mut self, request: Box<Request>) -> Option<u32> {
        let call = self.calls.checked_add(1)?;
        self.calls = call;
        self.queued = self.queued.saturating_add(request.cost());
        let state = Ours::Queued(request);
        self.outgoing.insert(call, Outgoing { state, broken: false, streams: Streams::default() });
        match self.life {
            Life::Ready { .. } => self.enqueue(Queued::Call(call)),
            Life::Waiting { .. } | Life::Closing { .. } | Life::Over { .. } => {}
        }
        Some(call)
    }

    /// Gives a call of ours up. One that was not sent yet never will be: only ABORT goes out. Its streams end here at
    /// once, and its result is [`CallError::Aborted`]; what the peer still says of it is ignored.
    ///
    /// # Errors
    /// [`Misuse::NoCall`] when it is over already.
    pub fn abort(&mut self, now: Instant, call: u32) -> Result<(), Misuse> {
        self.tell(now);
        self.give_up(call, CallError::Aborted)
    }

    pub(super) fn give_up(&mut self, call: u32, error: CallError) -> Result<(), Misuse> {
        let misuse = Misuse::NoCall { call };
        let open = self.is_open();
        let deadline = self.now.checked_add(self.config.stream.stall_timeout);
        let outgoing = self.outgoing.find_mut(call).filter(|_| open).ok_or(misuse)?;
        let was_sent = match &outgoing.state {
            Ours::Queued(_) => false,
            Ours::Sent(_) | Ours::Batched | Ours::Returned(_) => true,
            Ours::Aborted { .. } | Ours::Forgotten => return Err(misuse),
        };
        let is_over = match core::mem::replace(&mut outgoing.state, Ours::Aborted { crossed: 0, deadline }) {
            Ours::Queued(request) => {
                self.queued = self.queued.saturating_sub(request.cost());
                self.outgoing.remove(call);
                false
            }
            // The peer is done with it and would only count an ABORT.
            Ours::Returned(_) => {
                outgoing.state = Ours::Forgotten;
                true
            }
            Ours::Sent(_) | Ours::Batched | Ours::Aborted { .. } | Ours::Forgotten => {
                self.answers.extend(deadline.map(|deadline| (deadline, call)));
                false
            }
        };
        if was_sent {
            self.mute_streams(call);
        }
        self.actions.push_back(Action::Returned { call, result: Err(error) });
        if !is_over {
            self.enqueue(Queued::Message(Message::Abort { call }.encode()));
        }
        Ok(())
    }

    /// The result of a call of the peer's. It goes out once the call's streams are over (RPC-16).
    ///
    /// # Errors
    /// [`Misuse`] when the call is not running or the result too long; it still has to be answered then.
    pub fn respond(&mut self, now: Instant, call: u32, result: Result<Bytes, &str>) -> Result<(), Misuse> {
        self.tell(now);
        let limit = self.config.max_message;
        let incoming = self.incoming.find_mut(call).filter(|incoming| incoming.is_running());
        let incoming = incoming.ok_or(Misuse::NoCall { call })?;
        // An error goes alone, whatever the batch has collected.
        let length = result.as_ref().map_or(RESULT_LEN, |value| result_len(value, incoming.batch.as_deref()));
        if length > limit {
            return Err(Misuse::TooLong { length, limit });
        }
        incoming.state = Theirs::Answered(Box::new(result.map_err(Reason::encode)));
        self.finish_incoming(call);
        Ok(())
    }

    /// Answers a call of a method that this side does not have: an error result that says so.
    ///
    /// # Errors
    /// [`Misuse::NoCall`] when the call is not running.
    pub fn respond_no_method(&mut self, now: Instant, call: u32) -> Result<(), Misuse> {
        self.respond(now, call, Err("no such method"))
    }

    /// The peer has become ready: what was called before goes out, in order.
    pub(super) fn queue_waiting_calls(&mut self) {
        for call in 1..=self.calls {
            if self.outgoing.contains(call) {
                self.enqueue(Queued::Call(call));
            }
        }
    }

    /// The message of a call whose turn to be sent has come; `None` if it was aborted.
    pub(super) fn send_call(&mut self, call: u32) -> Option<Transmit> {
        let streams = self.both(STREAMING);
        let batches = self.both(BATCH);
        let outgoing = self.outgoing.find_mut(call)?;
        if !matches!(outgoing.state, Ours::Queued(_)) {
            return None;
        }
        let Ours::Queued(request) = core::mem::replace(&mut outgoing.state, Ours::Batched) else {
            return None;
        };
        self.queued = self.queued.saturating_sub(request.cost());
        let method = request.method.clone();
        match &request.fallback {
            Fallback::Batch(items) if batches && (request.again || !streams) => {
                let mut parts = BytesMut::new();
                items.iter().for_each(|item| batch::put(&mut parts, item));
                let arguments = batch::encode(&request.arguments, &parts);
                Some(Message::Call { call, batch: true, method, arguments }.encode())
            }
            fallback => {
                let kept = matches!(fallback, Fallback::Batch(_)) && batches;
                let arguments = request.arguments.clone();
                outgoing.state = Ours::Sent(kept.then_some(request));
                Some(Message::Call { call, batch: false, method, arguments }.encode())
            }
        }
    }

    pub(super) fn on_call(
        &mut self,
        call: u32,
        is_batch: bool,
        method: Bytes,
        arguments: Bytes,
    ) -> Result<(), Error> {
        if self.incoming.contains(call) {
            return Err(Error::DuplicateCall { call });
        }
        if self.incoming.len() >= self.config.max_calls {
            return self.refuse_call(call, "too many calls");
        }
        let (arguments, batch) = if is_batch {
            match batch::decode(&arguments, self.config.max_message.saturating_mul(2)) {
                Some((first, items)) if self.config.capabilities.contains(BATCH) => {
                    (first, Some(Box::new(Collected { items, ..Collected::default() })))
                }
                Some(_) | None => return self.refuse_call(call, "not a batch"),
            }
        } else {
            (arguments, None)
        };
        self.incoming.insert(call, Incoming { state: Theirs::Running, batch, streams: Streams::default() });
        self.actions.push_back(Action::Called { call, method, arguments });
        Ok(())
    }

    /// An error result without the application. Counted: the peer makes us do it (T8).
    fn refuse_call(&mut self, call: u32, reason: &str) -> Result<(), Error> {
        self.count_failure()?;
        let result = Err(Reason::encode(reason));
        self.enqueue(Queued::Message(Message::Result { call, result }.encode()));
        Ok(())
    }

    pub(super) fn on_result(&mut self, call: u32, result: Result<Bytes, Bytes>) -> Result<(), Error> {
        let limit = self.config.max_message.saturating_mul(2);
        let Some(outgoing) = self.outgoing.find_mut(call) else { return self.ignore() };
        let kept = match &mut outgoing.state {
            Ours::Sent(request) => request.take(),
            Ours::Batched => None,
            // The late result of an aborted call: expected, and ignored.
            Ours::Aborted { deadline, .. } => {
                if let Some(deadline) = deadline.take() {
                    self.answers.remove(&(deadline, call));
                }
                outgoing.state = Ours::Forgotten;
                self.finish_outgoing(call);
                return Ok(());
            }
            Ours::Queued(_) | Ours::Returned(_) | Ours::Forgotten => return self.ignore(),
        };
        let is_batch = matches!(outgoing.state, Ours::Batched);
        let result = result.map_err(|reason| CallError::Remote(Reason::decode(&reason)));
        if is_batch {
            // It has no streams: its result is the end.
            let result = result.and_then(|payload| {
                let (value, items) = batch::decode(&payload, limit).ok_or(CallError::MalformedBatch)?;
                Ok(Answer { value, items })
            });
            self.outgoing.remove(call);
            self.actions.push_back(Action::Returned { call, result });
            return Ok(());
        }
        outgoing.state = Ours::Returned(Box::new(Returned { result, request: kept }));
        let streams = outgoing.streams;
        self.expect_ends(streams);
        self.finish_outgoing(call);
        Ok(())
    }

    pub(super) fn on_abort(&mut self, call: u32) -> Result<(), Error> {
        let was_running = match self.incoming.find(call).map(|incoming| &incoming.state) {
            Some(Theirs::Running) => true,
            // It waits for its streams: the application has had its end, and hears of the streams'.
            Some(Theirs::Answered(_)) => false,
            Some(Theirs::Aborted) | None => return self.ignore(),
        };
        // Before anything changes: a link that ends here still owes the call its end (RPC-27).
        self.count_reset()?;
        if let Some(incoming) = self.incoming.find_mut(call) {
            incoming.state = Theirs::Aborted;
        }
        self.cancel_streams(call);
        if was_running {
            self.actions.push_back(Action::Aborted { call });
        }
        self.finish_incoming(call);
        Ok(())
    }

    /// The result of a call of ours, once it is there and its streams are over.
    pub(super) fn finish_outgoing(&mut self, call: u32) {
        let Some(outgoing) = self.outgoing.find(call).filter(|outgoing| outgoing.streams.is_empty()) else {
            return;
        };
        match outgoing.state {
            Ours::Returned(_) | Ours::Forgotten => {}
            Ours::Queued(_) | Ours::Sent(_) | Ours::Batched | Ours::Aborted { .. } => return,
        }
        let Some(Outgoing { state: Ours::Returned(returned), broken, .. }) = self.outgoing.remove(call)
        else {
            return;
        };
        let Returned { result, request } = *returned;
        match (result, request) {
            (Err(error), Some(request)) if broken && self.is_open() => self.retry(call, request, error),
            (result, _) => {
                let result = result.map(|value| Answer { value, items: Vec::new() });
                self.actions.push_back(Action::Returned { call, result });
            }
        }
    }

    /// A call whose stream has failed is made once more, as a batch (RPC-25). Without a number for it the error stays.
    fn retry(&mut self, call: u32, mut request: Box<Request>, error: CallError) {
        request.again = true;
        let ended = match self.make_call(request) {
            Some(again) => Action::Retried { call, again },
            None => Action::Returned { call, result: Err(error) },
        };
        self.actions.push_back(ended);
    }

    /// The result of a call of the peer's, once it is there and its streams are over.
    pub(super) fn finish_incoming(&mut self, call: u32) {
        let Some(incoming) = self.incoming.find(call) else { return };
        if incoming.is_running() || !incoming.streams.is_empty() {
            return;
        }
        let Some(Incoming { state, batch, .. }) = self.incoming.remove(call) else { return };
        let limit = self.config.max_message;
        let result = match (state, batch) {
            (Theirs::Aborted | Theirs::Running, _) => Err(Reason::encode("aborted")),
            // What was collected after the answer has not been held to the limit yet.
            (Theirs::Answered(result), Some(batch)) => result.and_then(|value| {
                if batch.overflowed || result_len(&value, Some(&batch)) > limit {
                    return Err(Reason::encode("the batch is too large"));
                }
                Ok(batch::encode(&value, &batch.out))
            }),
            (Theirs::Answered(result), None) => *result,
        };
        if self.is_open() {
            self.enqueue(Queued::Message(Message::Result { call, result }.encode()));
        }
    }

    /// The link is over: the end of a call that has none yet.
    pub(super) fn end_outgoing(&mut self, call: u32) {
        let result = match self.outgoing.remove(call).map(|outgoing| outgoing.state) {
            Some(Ours::Returned(returned)) => {
                returned.result.map(|value| Answer { value, items: Vec::new() })
            }
            Some(Ours::Queued(_) | Ours::Sent(_) | Ours::Batched) => Err(CallError::Closed),
            Some(Ours::Aborted { .. } | Ours::Forgotten) | None => return,
        };
        self.actions.push_back(Action::Returned { call, result });
    }

    /// As [`Self::end_outgoing`], for a call of the peer's.
    pub(super) fn end_incoming(&mut self, call: u32) {
        match self.incoming.remove(call).map(|incoming| incoming.state) {
            Some(Theirs::Running) => self.actions.push_back(Action::Aborted { call }),
            Some(Theirs::Answered(_) | Theirs::Aborted) | None => {}
        }
    }

    /// Adds an item to the batch of a call.
    pub(super) fn collect(&mut self, call: u32, item: &Bytes) -> Result<(), Misuse> {
        let limit = self.config.batch_bytes;
        let batch = self.incoming.find_mut(call).and_then(|incoming| incoming.batch.as_mut());
        let batch = batch.ok_or(Misuse::NoCall { call })?;
        let cost = batch.cost.saturating_add(item.len()).saturating_add(CHUNK_OVERHEAD);
        // After one item too many a smaller one would be missing its neighbour.
        if batch.overflowed || cost > limit {
            batch.overflowed = true;
            batch.out = BytesMut::new();
            return Err(Misuse::BatchFull { limit });
        }
        batch.cost = cost;
        batch::put(&mut batch.out, item);
        Ok(())
    }
}
