//! Whose turn it is to send.
//!
//! ```text
//! control:  message, message …                      always first
//! channels: A ─► C ─► F ─► (end)                    only those with something to send, each once
//!           │    each: message, message …           a list through one block of nodes
//!           └ sends until the next message would pass the quantum, then goes behind F
//! ```
//!
//! Both lists run through the places of the channels and the nodes themselves, so sending costs the same whether ten
//! channels are idle or a million.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::Transmit;
use crate::limits::CHUNK_OVERHEAD;
use crate::rpc::slab::{NIL, Slab};

/// Nodes that are kept when nothing waits any more.
const KEPT_NODES: usize = 256;

/// What the driver was told, or is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// As much waits as may; the driver is told when there is room.
    Full,
    /// No more messages; the channel goes when those that wait are sent.
    Closing,
}

/// One channel: 24 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    pub(super) phase: Phase,
    /// Bytes that wait, overhead included.
    pub(super) queued: u32,
    /// The first and last node of the messages that wait; [`NIL`] for none.
    head: u32,
    tail: u32,
    /// The channel that has its turn after this one.
    next: u32,
}

impl Channel {
    pub(super) const NEW: Self = Self { phase: Phase::Open, queued: 0, head: NIL, tail: NIL, next: NIL };

    pub(super) const fn is_idle(&self) -> bool {
        self.head == NIL
    }
}

/// A message as it goes on the pipe, or a free node.
#[derive(Clone, Debug)]
struct Node {
    message: Option<Transmit>,
    /// Bytes of the message, without what the pipe puts in front of it.
    length: u32,
    next: u32,
}

/// What a sent message leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) channel: u32,
    pub(super) phase: Phase,
    pub(super) queued: u32,
    pub(super) idle: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Turns {
    control: VecDeque<Transmit>,
    /// Bytes in `control`, overhead included.
    control_held: usize,
    nodes: Vec<Node>,
    free: u32,
    head: u32,
    tail: u32,
    quantum: usize,
    /// Bytes that the channel at the head has sent in this turn.
    spent: usize,
}

impl Turns {
    pub(super) const fn new(quantum: usize) -> Self {
        Self {
            control: VecDeque::new(),
            control_held: 0,
            nodes: Vec::new(),
            free: NIL,
            head: NIL,
            tail: NIL,
            quantum,
            spent: 0,
        }
    }

    pub(super) const fn control_held(&self) -> usize {
        self.control_held
    }

    pub(super) fn push_control(&mut self, message: Transmit) {
        self.control_held = self.control_held.saturating_add(message.len()).saturating_add(CHUNK_OVERHEAD);
        self.control.push_back(message);
    }

    #[inline]
    pub(super) fn pop_control(&mut self) -> Option<Transmit> {
        let message = self.control.pop_front()?;
        self.control_held = self.control_held.saturating_sub(message.len()).saturating_sub(CHUNK_OVERHEAD);
        Some(message)
    }

    /// Adds a message to an open channel, which gets a turn if it had none, and is full from `limit` bytes on. How it
    /// stands then.
    #[inline]
    pub(super) fn push(
        &mut self,
        channels: &mut Slab<Channel>,
        place: u32,
        message: Option<Transmit>,
        length: usize,
        limit: usize,
    ) -> Phase {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let Some((id, channel)) = channels.at_mut(place) else { return Phase::Closing };
        let index = self.enqueue(id, message, length);
        channel.queued = channel.queued.saturating_add(cost(length));
        if channel.queued as usize >= limit {
            channel.phase = Phase::Full;
        }
        let phase = channel.phase;
        let last = core::mem::replace(&mut channel.tail, index);
        match self.nodes.get_mut(last as usize) {
            Some(last) => last.next = index,
            None => {
                channel.head = index;
                self.line_up(channels, place);
            }
        }
        phase
    }

    /// Puts a message into a node; its index.
    #[inline]
    fn enqueue(&mut self, channel: u32, message: Option<Transmit>, length: u32) -> u32 {
        let index = if (self.free as usize) < self.nodes.len() { self.free } else { self.add_node() };
        let Some(node) = self.nodes.get_mut(index as usize) else { return NIL };
        self.free = core::mem::replace(&mut node.next, NIL);
        node.length = length;
        // It moves once, and is framed where it then lies.
        node.message = message;
        if let Some(message) = &mut node.message {
            frame(channel, message, length);
        }
        index
    }

    #[cold]
    fn add_node(&mut self) -> u32 {
        self.nodes.push(Node { message: None, length: 0, next: NIL });
        u32::try_from(self.nodes.len().saturating_sub(1)).unwrap_or(NIL)
    }

    /// The next message of a channel, and how the channel stands after it.
    #[inline]
    pub(super) fn pop(&mut self, channels: &mut Slab<Channel>) -> Option<(Transmit, Sent)> {
        loop {
            let (id, channel) = channels.at_mut(self.head)?;
            let node = self.nodes.get_mut(channel.head as usize)?;
            // An empty message takes its part of a turn as well.
            let spent = self.spent.saturating_add(node.length.max(1) as usize);
            if self.spent != 0 && spent > self.quantum {
                self.pass_on(channels);
                continue;
            }
            let message = node.message.take()?;
            let following = core::mem::replace(&mut node.next, self.free);
            self.free = core::mem::replace(&mut channel.head, following);
            channel.queued = channel.queued.saturating_sub(cost(node.length));
            let idle = following == NIL;
            let sent = Sent { channel: id, phase: channel.phase, queued: channel.queued, idle };
            if idle {
                // It leaves the list.
                channel.tail = NIL;
                self.head = core::mem::replace(&mut channel.next, NIL);
                if self.head == NIL {
                    self.tail = NIL;
                    self.give_back();
                }
                self.spent = 0;
            } else {
                self.spent = spent;
            }
            return Some((message, sent));
        }
    }

    /// Nothing waits on any channel: a mux that was once busy does not keep the memory of its busiest moment then.
    fn give_back(&mut self) {
        if self.nodes.len() > KEPT_NODES {
            (self.nodes, self.free) = (Vec::new(), NIL);
        }
    }

    /// Forgets everything that waits.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.quantum);
    }

    /// The turn of the channel at the head is over: it goes to the end of the list.
    fn pass_on(&mut self, channels: &mut Slab<Channel>) {
        self.spent = 0;
        let place = self.head;
        let Some((_, channel)) = channels.at_mut(place) else { return };
        self.head = core::mem::replace(&mut channel.next, NIL);
        if self.head == NIL {
            self.tail = NIL;
        }
        self.line_up(channels, place);
    }

    /// A channel goes to the end of the list.
    #[inline]
    fn line_up(&mut self, channels: &mut Slab<Channel>, place: u32) {
        match channels.at_mut(self.tail) {
            Some((_, last)) => last.next = place,
            None => self.head = place,
        }
        self.tail = place;
    }

    /// Bytes of the nodes.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
    }
}

/// Makes a message of `length` bytes what goes on the pipe: length, channel, message.
#[inline]
pub(super) fn frame(channel: u32, message: &mut Transmit, length: u32) {
    // With the four bytes of the channel, for which the mux leaves room.
    let [a, b, c, d] = length.saturating_add(4).to_be_bytes();
    let [e, f, g, h] = channel.to_be_bytes();
    message.prefix([a, b, c, d, e, f, g, h]);
}

/// What a message costs while it waits on a channel.
fn cost(length: u32) -> u32 {
    length.saturating_add(u32::try_from(CHUNK_OVERHEAD).unwrap_or(u32::MAX))
}
