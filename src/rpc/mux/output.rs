//! What goes out.

use alloc::collections::BTreeSet;

use super::channel::check_length;
use super::turns::{Phase, frame};
use super::{CONTROL, Life, Mux, SendError};
use crate::Transmit;

/// Channels with room that wait to be told before they are tidied.
const ROOMY: usize = 16;

impl<T: Default> Mux<T> {
    /// Queues a message on a channel.
    ///
    /// # Errors
    /// [`SendError`]; nothing was taken and nothing ends.
    pub fn send(&mut self, channel: u32, message: impl Into<Transmit>) -> Result<(), SendError> {
        self.life.check_open()?;
        if channel != CONTROL {
            let mut found = self.channel(channel).ok_or(SendError::NotOpen { channel })?;
            return found.send(message);
        }
        let message = message.into();
        check_length(message.len(), self.config.max_message)?;
        let limit = self.config.control_bytes;
        if self.turns.control_held() >= limit {
            return Err(SendError::Full { limit });
        }
        self.turns.push_control(message);
        Ok(())
    }

    /// Queues the messages that `source` gives, until it has none or the channel has no room. Whether there were any.
    ///
    /// What a machine has to say is asked for only while the channel takes it: with one look at the channel for all of
    /// its messages, this is the quickest way from a machine to the pipe.
    ///
    /// # Errors
    /// [`SendError`], of which [`SendError::TooLong`] has taken a message from the source. A channel without room is no
    /// error: [`Action::Writable`](super::Action::Writable) tells when to come again.
    #[inline]
    pub fn send_from(
        &mut self,
        channel: u32,
        mut source: impl FnMut() -> Option<Transmit>,
    ) -> Result<bool, SendError> {
        self.life.check_open()?;
        if channel != CONTROL {
            let mut found = self.channel(channel).ok_or(SendError::NotOpen { channel })?;
            return found.send_from(|_| source());
        }
        let mut any = false;
        while self.turns.control_held() < self.config.control_bytes {
            let Some(message) = source() else { break };
            check_length(message.len(), self.config.max_message)?;
            self.turns.push_control(message);
            any = true;
        }
        Ok(any)
    }

    /// Whether [`Self::send`] takes a message on this channel now.
    #[must_use]
    pub fn can_send(&self, channel: u32) -> bool {
        match (&self.life, channel) {
            (Life::Open, CONTROL) => self.turns.control_held() < self.config.control_bytes,
            (Life::Open, _) => self.channels.find(channel).is_some_and(|found| found.phase == Phase::Open),
            (Life::Draining | Life::Closing { .. } | Life::Over(_), _) => false,
        }
    }

    /// The next bytes for the pipe. Call it only while the pipe has room: that is the backpressure.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        if self.turns.control_held() > 0 {
            return self.poll_control();
        }
        let (message, sent) = self.turns.pop(&mut self.channels)?;
        match sent.phase {
            Phase::Open => {}
            Phase::Full if (sent.queued as usize) < self.config.channel_bytes => {
                if let Some(channel) = self.channels.find_mut(sent.channel) {
                    channel.phase = Phase::Open;
                }
                self.note_room(sent.channel);
            }
            Phase::Full => {}
            Phase::Closing if sent.idle => self.channels.discard(sent.channel),
            Phase::Closing => {}
        }
        Some(message)
    }

    fn poll_control(&mut self) -> Option<Transmit> {
        let was_full = self.turns.control_held() >= self.config.control_bytes;
        let mut message = self.turns.pop_control()?;
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        frame(CONTROL, &mut message, length);
        if was_full && self.turns.control_held() < self.config.control_bytes {
            self.note_room(CONTROL);
        }
        Some(message)
    }

    /// Remembers to tell of room. Channels that are filled and emptied, or closed, while nobody polls are tidied out
    /// before there are two entries for each that is open.
    fn note_room(&mut self, channel: u32) {
        if self.roomy.len() > self.channels.len().saturating_mul(2).saturating_add(ROOMY) {
            let mut roomy = core::mem::take(&mut self.roomy);
            let mut kept = BTreeSet::new();
            roomy.retain(|channel| self.can_send(*channel) && kept.insert(*channel));
            self.roomy = roomy;
        }
        self.roomy.push_back(channel);
    }

    /// The next [`Action::Writable`](super::Action::Writable) alone, for a machine that sends as long as there is room.
    pub(in crate::rpc) fn poll_room(&mut self) -> Option<u32> {
        while let Some(channel) = self.roomy.pop_front() {
            // Closed, or filled again meanwhile: there is nothing to tell then.
            if self.can_send(channel) {
                return Some(channel);
            }
        }
        None
    }
}
