//! One channel of the mux, found once for all that is done with it.

use super::turns::{Channel, Phase, Turns};
use super::{Config, Life, SendError};
use crate::Transmit;

/// An open channel of a [`Mux`](super::Mux), and what the driver keeps for it.
#[derive(Debug)]
pub struct OpenChannel<'a, T> {
    pub(super) number: u32,
    pub(super) place: u32,
    pub(super) channel: &'a mut Channel<T>,
    pub(super) turns: &'a mut Turns,
    pub(super) life: &'a Life,
    pub(super) config: &'a Config,
}

impl<T> OpenChannel<'_, T> {
    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// What the driver keeps for it.
    #[inline]
    #[must_use]
    pub const fn value(&mut self) -> &mut T {
        &mut self.channel.value
    }

    /// As [`Mux::send`](super::Mux::send).
    ///
    /// # Errors
    /// [`SendError`]; nothing was taken and nothing ends.
    pub fn send(&mut self, message: impl Into<Transmit>) -> Result<(), SendError> {
        self.life.check_open()?;
        let message = message.into();
        check_length(message.len(), longest(self.config))?;
        let limit = self.config.channel_bytes;
        match self.channel.phase {
            Phase::Open => {}
            Phase::Full => return Err(SendError::Full { limit }),
            Phase::Closing => return Err(SendError::NotOpen { channel: self.number }),
        }
        self.turns.push((self.number, self.place), self.channel, message, limit);
        Ok(())
    }

    /// As [`Mux::send_from`](super::Mux::send_from); the source is given what the driver keeps for the channel.
    ///
    /// # Errors
    /// [`SendError`], of which [`SendError::TooLong`] has taken a message from the source.
    #[inline]
    pub fn send_from(
        &mut self,
        mut source: impl FnMut(&mut T) -> Option<Transmit>,
    ) -> Result<bool, SendError> {
        self.life.check_open()?;
        let (longest, limit) = (longest(self.config), self.config.channel_bytes);
        let mut any = false;
        while self.channel.phase == Phase::Open {
            let Some(message) = source(&mut self.channel.value) else { break };
            check_length(message.len(), longest)?;
            self.turns.push((self.number, self.place), self.channel, message, limit);
            any = true;
        }
        Ok(any)
    }
}

pub(super) const fn check_length(length: usize, limit: usize) -> Result<(), SendError> {
    if length > limit { Err(SendError::TooLong { length, limit }) } else { Ok(()) }
}

/// The longest message on a channel that takes turns.
fn longest(config: &Config) -> usize {
    config.max_message.min(config.quantum)
}
