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

use bytes::Bytes;

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

#[derive(Clone, Debug)]
struct Node {
    message: Transmit,
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

    pub(super) fn pop_control(&mut self) -> Option<Transmit> {
        let message = self.control.pop_front()?;
        self.control_held = self.control_held.saturating_sub(message.len()).saturating_sub(CHUNK_OVERHEAD);
        Some(message)
    }

    /// Adds a message to an open channel, which gets a turn if it had none, and is full from `limit` bytes on. How it
    /// stands then.
    pub(super) fn push(
        &mut self,
        channels: &mut Slab<Channel>,
        place: u32,
        message: Transmit,
        limit: usize,
    ) -> Phase {
        let cost = cost(message.len());
        let node = self.new_node(message);
        let Some((_, channel)) = channels.at_mut(place) else { return Phase::Closing };
        channel.queued = channel.queued.saturating_add(cost);
        if channel.queued as usize >= limit {
            channel.phase = Phase::Full;
        }
        let phase = channel.phase;
        let last = core::mem::replace(&mut channel.tail, node);
        match self.nodes.get_mut(last as usize) {
            Some(last) => last.next = node,
            None => {
                channel.head = node;
                self.line_up(channels, place);
            }
        }
        phase
    }

    /// The next message of a channel, and how the channel stands after it.
    pub(super) fn pop(&mut self, channels: &mut Slab<Channel>) -> Option<(Transmit, Sent)> {
        loop {
            let (id, channel) = channels.at_mut(self.head)?;
            let node = self.nodes.get_mut(channel.head as usize)?;
            let length = node.message.len();
            // An empty message takes its part of a turn as well.
            let spent = self.spent.saturating_add(length.max(1));
            if self.spent != 0 && spent > self.quantum {
                self.spent = 0;
                let place = self.head;
                self.step(channels);
                self.line_up(channels, place);
                continue;
            }
            let message = core::mem::replace(&mut node.message, Transmit::new(Bytes::new()));
            let following = core::mem::replace(&mut node.next, self.free);
            self.free = core::mem::replace(&mut channel.head, following);
            channel.queued = channel.queued.saturating_sub(cost(length));
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

    /// Nothing waits: a mux that was once busy does not keep the memory of its busiest moment.
    fn give_back(&mut self) {
        if self.nodes.len() > KEPT_NODES {
            (self.nodes, self.free) = (Vec::new(), NIL);
        }
    }

    /// Forgets everything that waits.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.quantum);
    }

    /// The channel at the head leaves the list.
    fn step(&mut self, channels: &mut Slab<Channel>) {
        let Some((_, channel)) = channels.at_mut(self.head) else { return };
        self.head = core::mem::replace(&mut channel.next, NIL);
        if self.head == NIL {
            self.tail = NIL;
        }
    }

    /// A channel goes to the end of the list.
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

    fn new_node(&mut self, message: Transmit) -> u32 {
        let node = Node { message, next: NIL };
        if let Some(free) = self.nodes.get_mut(self.free as usize) {
            let place = core::mem::replace(&mut self.free, free.next);
            *free = node;
            return place;
        }
        self.nodes.push(node);
        u32::try_from(self.nodes.len().saturating_sub(1)).unwrap_or(NIL)
    }
}

/// What a message costs while it waits on a channel.
fn cost(length: usize) -> u32 {
    u32::try_from(length.saturating_add(CHUNK_OVERHEAD)).unwrap_or(u32::MAX)
}
