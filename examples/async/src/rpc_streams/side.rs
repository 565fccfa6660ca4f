//! One side of a connection: a link whose channels are those of a mux. No socket and no runtime in here.

use bytes::{Buf, Bytes};
use portline::rpc::mux::{self, CONTROL, Mux};
use portline::rpc::{Action, Config, Link, Role};
use portline::{Instant, Transmit};

use crate::trace::Trace;

/// What a program does with its link.
pub(crate) trait App {
    /// Something happened.
    fn handle_action(&mut self, link: &mut Link, now: Instant, action: Action);

    /// Everything that could move has moved: the place to produce more. Whether something was done.
    fn produce(&mut self, link: &mut Link, now: Instant) -> bool;

    /// Waits for what the program needs from elsewhere, a file for example. Dropped and called again at any time.
    fn more(&mut self) -> impl Future<Output = ()> + Send;

    /// Whether nothing is left to do: the connection may be closed.
    fn is_done(&self) -> bool;
}

/// A link over a mux, and the program on it.
pub(crate) struct Side<A> {
    link: Link,
    mux: Mux,
    pub(crate) app: A,
    trace: Trace,
    role: Role,
    /// How the mux ended, if it failed: the link only knows that its channels are closed.
    failed: Option<mux::Error>,
}

impl<A: App> Side<A> {
    pub(crate) fn new(role: Role, app: A, trace: Trace) -> Result<Self, Box<dyn std::error::Error>> {
        let link = Link::new(Config::new(role), Instant::ZERO)?;
        let mux = Mux::new(mux::Config::new(role), Instant::ZERO)?;
        Ok(Self { link, mux, app, trace, role, failed: None })
    }

    pub(crate) fn handle_bytes(&mut self, now: Instant, bytes: Bytes) {
        // How it ended is told by an action.
        self.mux.handle_bytes(now, bytes).unwrap_or_default();
    }

    pub(crate) fn handle_closed(&mut self, now: Instant) {
        self.mux.handle_closed(now).unwrap_or_default();
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.link.handle_timeout(now);
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.mux.poll_transmit()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.link.poll_timeout()
    }

    pub(crate) fn wants_input(&self) -> bool {
        self.mux.wants_input() && self.link.wants_input()
    }

    pub(crate) const fn has_ended(&self) -> bool {
        self.link.has_ended()
    }

    pub(crate) const fn failed(&self) -> Option<&mux::Error> {
        self.failed.as_ref()
    }

    /// Moves all that can move without the socket. Whether anything did.
    pub(crate) fn work(&mut self, now: Instant) -> bool {
        let mut worked = false;
        loop {
            let mut moved = self.pump(CONTROL);
            while let Some(action) = self.link.poll_action() {
                self.link_action(now, action);
                moved = true;
            }
            moved |= self.pump(CONTROL);
            while let Some(channel) = self.link.poll_channel() {
                moved |= self.pump(channel);
            }
            if !moved {
                moved = self.app.produce(&mut self.link, now);
            }
            if !moved {
                if let Some(action) = self.mux.poll_action() {
                    self.mux_action(now, action);
                    moved = true;
                }
            }
            if !moved {
                return worked;
            }
            worked = true;
        }
    }

    /// What waits in the link for this channel goes to the mux, as far as that has room.
    fn pump(&mut self, channel: u32) -> bool {
        let mut moved = false;
        while self.mux.can_send(channel) {
            let next = if channel == CONTROL {
                self.link.poll_transmit()
            } else {
                self.link.poll_channel_transmit(channel)
            };
            let Some(message) = next else { break };
            self.trace.frame(self.role, channel, &message);
            // There is room, and the link's messages are no longer than the mux's.
            moved |= self.mux.send(channel, message).is_ok();
        }
        moved
    }

    fn link_action(&mut self, now: Instant, action: Action) {
        match action {
            Action::OpenChannel { channel, .. } => match self.mux.open_as(channel) {
                Ok(()) => self.link.channel_attached(now, channel),
                Err(_) => self.link.channel_failed(now, channel),
            },
            Action::CloseChannel { channel, late } => {
                self.mux.expect_late(late);
                self.mux.close(channel);
            }
            action => self.app.handle_action(&mut self.link, now, action),
        }
    }

    fn mux_action(&mut self, now: Instant, action: mux::Action) {
        match action {
            mux::Action::Message { channel, message } => {
                let peer = match self.role {
                    Role::Initiator => Role::Acceptor,
                    Role::Acceptor => Role::Initiator,
                };
                self.trace.frame(peer, channel, &message);
                // What is wrong with it ends the link, or a stream, and that is an action.
                if channel == CONTROL {
                    self.link.handle_message(now, message).unwrap_or_default();
                } else {
                    self.link.handle_channel_message(now, channel, message).unwrap_or_default();
                }
            }
            mux::Action::Writable { channel } => {
                self.pump(channel);
            }
            mux::Action::Closed { channel } => self.link.channel_closed(now, channel),
            // The link opens its channels; one that only the peer opened has no stream and gets no answer.
            mux::Action::Opened { .. } => {}
            mux::Action::Finished => self.link.handle_closed(now).unwrap_or_default(),
            mux::Action::Failed(error) => {
                self.failed = Some(error);
                self.link.handle_closed(now).unwrap_or_default();
            }
        }
    }
}

/// What waits for the socket: one vectored write takes many messages.
#[derive(Default)]
pub(crate) struct Outbox {
    waiting: std::collections::VecDeque<Transmit>,
    bytes: usize,
}

impl Outbox {
    /// Enough for one write.
    const ENOUGH: usize = 256 << 10;

    pub(crate) const fn has_room(&self) -> bool {
        self.bytes < Self::ENOUGH
    }

    pub(crate) fn push(&mut self, message: Transmit) {
        self.bytes = self.bytes.saturating_add(message.len());
        self.waiting.push_back(message);
    }
}

impl Buf for Outbox {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.waiting.front().map(Buf::chunk).unwrap_or_default()
    }

    fn advance(&mut self, count: usize) {
        let mut left = count;
        while let Some(first) = self.waiting.front_mut() {
            let step = left.min(first.len());
            first.advance(step);
            left = left.saturating_sub(step);
            self.bytes = self.bytes.saturating_sub(step);
            if !first.is_empty() {
                return;
            }
            self.waiting.pop_front();
        }
    }

    fn chunks_vectored<'a>(&'a self, out: &mut [std::io::IoSlice<'a>]) -> usize {
        let mut used = 0;
        for message in &self.waiting {
            match out.get_mut(used..) {
                Some(rest) if !rest.is_empty() => used = used.saturating_add(message.chunks_vectored(rest)),
                Some(_) | None => break,
            }
        }
        used
    }
}
