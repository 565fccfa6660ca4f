//! What comes in.

use bytes::{Buf, Bytes};

use super::turns::{Channel, Phase};
use super::{Action, CHANNEL_LEN, CONTROL, Error, Life, Mux};
use crate::rpc::slab::Slab;

impl<T: Default> Mux<T> {
    /// One message of the pipe. `None`: nothing of it is told.
    #[inline]
    pub(super) fn receive(&mut self, mut message: Bytes) -> Option<Action> {
        let Some(channel) = message.first_chunk::<CHANNEL_LEN>().map(|bytes| u32::from_be_bytes(*bytes))
        else {
            self.fail(Error::Short { length: message.len() });
            return None;
        };
        message.advance(CHANNEL_LEN);
        let ours = self.config.role.owns(channel);
        // One above the highest was never there.
        let passed = channel <= if ours { self.ours } else { self.theirs };
        let phase = if passed { self.channels.find_mut(channel).map(|found| found.phase) } else { None };
        match phase {
            Some(Phase::Open | Phase::Full) => return Some(Action::Message { channel, message }),
            // Our end is over; what waits is still sent, what comes is not for anyone.
            Some(Phase::Closing) => {
                self.late();
                return None;
            }
            None if channel == CONTROL => return Some(Action::Message { channel, message }),
            None => {}
        }
        let limit = self.config.max_channels;
        if passed {
            self.late();
        } else if ours {
            self.fail(Error::NotOpened { channel });
        } else if self.channels.len() >= limit {
            self.fail(Error::TooManyChannels { limit });
        } else {
            self.theirs = channel;
            self.channels.insert_with(channel, || Channel::new(T::default()));
            self.first = Some((channel, message));
            return Some(Action::Opened { channel });
        }
        None
    }

    /// A message for a channel that is no longer open changes nothing. Beyond those that were under way it is counted.
    fn late(&mut self) {
        if let Some(rest) = self.expected.checked_sub(1) {
            self.expected = rest;
            return;
        }
        if !self.late.take(self.now) {
            self.fail(Error::TooManyLate { limit: self.config.late.burst });
        }
    }

    pub(super) fn fail(&mut self, error: Error) {
        self.turns.clear();
        self.life = Life::Closing { from: 0, end: Err(error) };
    }

    /// The end of the next channel, and after the last one of the mux.
    pub(super) fn next_end(&mut self) -> Action {
        let Life::Closing { from, end } = &mut self.life else { return Action::Finished };
        while let Some((place, (channel, found))) =
            self.channels.next_used(*from).and_then(|place| Some((place, self.channels.at(place)?)))
        {
            *from = place.saturating_add(1);
            // The driver has closed it before, and only what waited on it kept it.
            if found.phase != Phase::Closing {
                return Action::Closed { channel };
            }
        }
        let end = end.clone();
        self.channels = Slab::new();
        self.life = Life::Over(end.clone());
        end.map_or_else(Action::Failed, |()| Action::Finished)
    }
}
