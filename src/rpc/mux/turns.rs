//! Whose turn it is to send.
//!
//! ```text
//! control:  message, message …                      always first
//! channels: A ─► C ─► F ─► (end)                    only those with something to send, each once
//!           │    each: message, message …           a list through one block of nodes
//!           └ sends until the next message would pass the quantum, then goes behind F
//! ```
//!
//! Only channels that wait are in the queue, so sending costs the same whether ten channels are idle or a million.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::Transmit;
use crate::limits::CHUNK_OVERHEAD;
use crate::rpc::slab::{NIL, Slab};

/// Nodes, and places in the queue, that are kept however few are in use.
const KEPT: usize = 256;

/// What the driver was told, or is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// As much waits as may; the driver is told when there is room.
    Full,
    /// No more messages; the channel goes when those that wait are sent.
    Closing,
}

/// One channel: 16 bytes, and what the driver keeps for it.
#[derive(Clone, Debug)]
pub(super) struct Channel<T> {
    pub(super) phase: Phase,
    /// Bytes that wait, overhead included.
    pub(super) queued: u32,
    /// The first and last node of the messages that wait; [`NIL`] for none.
    head: u32,
    tail: u32,
    pub(super) value: T,
}

impl<T> Channel<T> {
    #[inline]
    pub(super) const fn new(value: T) -> Self {
        Self { phase: Phase::Open, queued: 0, head: NIL, tail: NIL, value }
    }

    #[inline]
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

impl Node {
    const fn new(message: Option<Transmit>, length: u32) -> Self {
        Self { message, length, next: NIL }
    }
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
    /// Nodes with a message.
    used: usize,
    /// The places of the channels that wait.
    queue: VecDeque<u32>,
    quantum: usize,
    /// Bytes that the channel in front has sent in this turn.
    spent: usize,
}

impl Turns {
    pub(super) const fn new(quantum: usize) -> Self {
        Self {
            control: VecDeque::new(),
            control_held: 0,
            nodes: Vec::new(),
            free: NIL,
            used: 0,
            queue: VecDeque::new(),
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

    /// Adds a message to an open channel, which gets a turn if it had none, and is full from `limit` bytes on.
    #[inline(always)]
    pub(super) fn push<T>(
        &mut self,
        (id, place): (u32, u32),
        channel: &mut Channel<T>,
        message: Transmit,
        limit: usize,
    ) {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let index = self.enqueue(id, message, length);
        channel.queued = channel.queued.saturating_add(cost(length));
        if channel.queued as usize >= limit {
            channel.phase = Phase::Full;
        }
        let last = core::mem::replace(&mut channel.tail, index);
        match self.nodes.get_mut(last as usize) {
            Some(last) => last.next = index,
            None => {
                channel.head = index;
                self.queue.push_back(place);
            }
        }
    }

    /// Puts a message into a node; its index.
    #[inline(always)]
    fn enqueue(&mut self, channel: u32, message: Transmit, length: u32) -> u32 {
        self.used = self.used.saturating_add(1);
        let index = if (self.free as usize) < self.nodes.len() { self.free } else { self.add_node() };
        let Some(node) = self.nodes.get_mut(index as usize) else { return NIL };
        self.free = core::mem::replace(&mut node.next, NIL);
        node.length = length;
        // It moves once, and is framed where it then lies.
        frame(channel, node.message.insert(message), length);
        index
    }

    #[cold]
    fn add_node(&mut self) -> u32 {
        self.nodes.push(Node::new(None, 0));
        u32::try_from(self.nodes.len().saturating_sub(1)).unwrap_or(NIL)
    }

    /// The next message of a channel, and how the channel stands after it.
    #[inline]
    pub(super) fn pop<T>(&mut self, channels: &mut Slab<Channel<T>>) -> Option<(Transmit, Sent)> {
        loop {
            let place = *self.queue.front()?;
            let (id, channel) = channels.at_mut(place)?;
            let node = self.nodes.get_mut(channel.head as usize)?;
            // An empty message takes its part of a turn as well.
            let spent = self.spent.saturating_add(node.length.max(1) as usize);
            if self.spent != 0 && spent > self.quantum {
                // The turn is over.
                self.spent = 0;
                self.queue.pop_front();
                self.queue.push_back(place);
                continue;
            }
            let message = node.message.take()?;
            let following = core::mem::replace(&mut node.next, self.free);
            self.free = core::mem::replace(&mut channel.head, following);
            channel.queued = channel.queued.saturating_sub(cost(node.length));
            let idle = following == NIL;
            let sent = Sent { channel: id, phase: channel.phase, queued: channel.queued, idle };
            if idle {
                channel.tail = NIL;
                self.queue.pop_front();
                self.spent = 0;
            } else {
                self.spent = spent;
            }
            self.used = self.used.saturating_sub(1);
            if self.is_sparse() {
                self.give_back(channels);
            }
            return Some((message, sent));
        }
    }

    /// Whether few wait where many did.
    #[inline]
    fn is_sparse(&self) -> bool {
        self.nodes.len() > KEPT && self.used < self.nodes.len() / 4
    }

    /// What waits where few do: it moves together, and the memory of the busiest moment goes.
    #[cold]
    fn give_back<T>(&mut self, channels: &mut Slab<Channel<T>>) {
        let mut nodes = Vec::with_capacity(self.used.saturating_mul(2));
        for place in &self.queue {
            let Some((_, channel)) = channels.at_mut(*place) else { continue };
            let mut from = core::mem::replace(&mut channel.head, NIL);
            while let Some(node) = self.nodes.get_mut(from as usize) {
                from = node.next;
                let index = u32::try_from(nodes.len()).unwrap_or(NIL);
                nodes.push(Node::new(node.message.take(), node.length));
                match nodes.get_mut(channel.tail as usize).filter(|_| channel.head != NIL) {
                    Some(last) => last.next = index,
                    None => channel.head = index,
                }
                channel.tail = index;
            }
        }
        (self.nodes, self.free) = (nodes, NIL);
        self.queue.shrink_to(self.queue.len().saturating_mul(2));
    }

    /// Forgets everything that waits.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.quantum);
    }

    /// Bytes of the nodes and of the queue.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>() + self.queue.capacity() * size_of::<u32>()
    }
}

/// Makes a message of `length` bytes what goes on the pipe: length, channel, message.
#[inline]
pub(super) fn frame(channel: u32, message: &mut Transmit, length: u32) {
    // With the four bytes of the channel, for which the mux leaves room. One number is one swap and one store.
    let whole = u64::from(length.saturating_add(4)) << 32 | u64::from(channel);
    message.prefix(whole.to_be_bytes());
}

/// What a message costs while it waits on a channel.
const fn cost(length: u32) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "it is 64")]
    length.saturating_add(CHUNK_OVERHEAD as u32)
}
