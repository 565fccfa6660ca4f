//! The mux: channels of messages over one byte pipe (TCP, a pipe, a serial line).
//!
//! ```text
//! send(channel, message) ─► control queue ──────┐
//!                        ─► a queue a channel ──┴─► turns ─► poll_transmit: length, channel, message
//! handle_bytes ─► carrier ─► channel, message ─► poll_action: Opened, Message
//!
//! channel:  (none) ── open, or the first message of the peer ─► OPEN ── close ─► CLOSING ── queue empty ─► (none)
//! pipe:     OPEN ── handle_closed ─► DRAINING ── what had arrived is delivered ─► Closed for each channel, Finished
//!             └──── the peer's error ──────────────────────────────────────────► Closed for each channel, Failed
//! ```
//!
//! A channel carries whole messages for a machine of its own: the control channel's [`super::Link`] on channel 0, a
//! credit stream or a port on any other. The mux moves and schedules; flow control is theirs. So a slow reader
//! stops its own stream by its credit, and no one else.
//!
//! - *Sending.* Channel 0 first, always. The others take turns; one turn is at most [`Config::quantum`] bytes and no
//!   message is longer than that. With n channels waiting a channel waits at most n − 1 quanta, and a control
//!   message at most for the one message that is being written. Nothing scans idle channels.
//! - *Opening and closing* cost no message: the first message opens a channel on the other side; the machine on it
//!   knows when it is over, and each side closes its own end then.
//! - *Payloads* are never copied; one that came in two reads is put together once.
//!
//! Limits: [`Config`]. Rules: `spec/11-mux.md`.

mod channel_map;
mod config;
mod turns;

use alloc::collections::VecDeque;

use bytes::{Buf, Bytes};

pub use channel_map::ChannelMap;
pub use config::{Config, ConfigError, Error, OpenError, SendError};
use turns::{Channel, Phase, Turns, frame};

use super::bucket::Bucket;
use super::slab::Slab;
use crate::Transmit;
use crate::frame::carrier;
use crate::time::Instant;

/// The number of the control channel. It is always open, and takes no turns.
pub const CONTROL: u32 = 0;
/// Bytes of a channel's number.
pub const CHANNEL_LEN: usize = 4;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The peer opened a channel; its first message comes next. Its end is closed with [`Mux::close`].
    Opened {
        /// The channel.
        channel: u32,
    },
    /// A message came.
    Message {
        /// The channel: [`CONTROL`], or one that is open; the message that opened one comes though it was closed between.
        channel: u32,
        /// The message.
        message: Bytes,
    },
    /// A channel on which as much waited as may has room again.
    Writable {
        /// The channel.
        channel: u32,
    },
    /// The mux is over and took this open channel with it.
    Closed {
        /// The channel.
        channel: u32,
    },
    /// The pipe has ended between two messages.
    Finished,
    /// The mux has failed.
    Failed(Error),
}

/// Where the pipe stands.
#[derive(Clone, Debug)]
enum Life {
    Open,
    /// The pipe has ended; what had arrived is still delivered.
    Draining,
    /// Every open channel gets its end: those at this place and after still have to.
    Closing {
        from: u32,
        end: Result<(), Error>,
    },
    Over(Result<(), Error>),
}

/// A carrier of many channels on one byte pipe.
#[derive(Clone, Debug)]
pub struct Mux {
    config: Config,
    life: Life,
    decoder: carrier::Decoder,
    channels: Slab<Channel>,
    turns: Turns,
    /// The message that opened a channel, to be told after the opening.
    first: Option<(u32, Bytes)>,
    /// Channels that have room again.
    roomy: VecDeque<u32>,
    /// The highest numbers so far, of ours and of the peer's channels.
    ours: u32,
    theirs: u32,
    /// Messages that may still come for channels that were closed.
    expected: u64,
    late: Bucket,
    now: Instant,
}

impl Mux {
    /// A mux on a new pipe.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which nothing could ever move.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let limit = config.max_message.saturating_add(CHANNEL_LEN);
        Ok(Self {
            life: Life::Open,
            decoder: carrier::Decoder::new(limit, config.receive_bytes),
            channels: Slab::new(),
            turns: Turns::new(config.quantum),
            first: None,
            roomy: VecDeque::new(),
            ours: 0,
            theirs: 0,
            expected: 0,
            late: Bucket::new(config.late, now),
            now,
            config,
        })
    }

    /// Takes the next bytes of the pipe, in any split. They are read as [`Self::poll_action`] asks for them.
    ///
    /// # Errors
    /// The error that ended the mux, if one has.
    pub fn handle_bytes(&mut self, now: Instant, bytes: Bytes) -> Result<(), Error> {
        self.now = self.now.max(now);
        match &self.life {
            Life::Open => {
                self.decoder.handle_bytes(bytes);
                Ok(())
            }
            Life::Draining => Ok(()),
            Life::Closing { end, .. } | Life::Over(end) => end.clone(),
        }
    }

    /// The pipe has ended. What had arrived is delivered, then each open channel is closed.
    ///
    /// # Errors
    /// The error that ended the mux, if one has. A message cut short shows as [`Action::Failed`].
    pub fn handle_closed(&mut self, now: Instant) -> Result<(), Error> {
        self.now = self.now.max(now);
        match &self.life {
            Life::Open => {
                self.life = Life::Draining;
                self.turns.clear();
                Ok(())
            }
            Life::Draining => Ok(()),
            Life::Closing { end, .. } | Life::Over(end) => end.clone(),
        }
    }

    /// Opens a channel under the next number of this side. The peer learns of it with the first message.
    ///
    /// # Errors
    /// [`OpenError`]; nothing ends.
    pub fn open(&mut self) -> Result<u32, OpenError> {
        let channel = match self.ours {
            0 => self.config.role.first(),
            last => last.checked_add(2).ok_or(OpenError::Exhausted)?,
        };
        self.open_as(channel)?;
        Ok(channel)
    }

    /// Opens the channel of this number, of either side: a link names the channels of its streams. One that is open
    /// already stays as it is.
    ///
    /// # Errors
    /// [`OpenError`]; nothing ends.
    pub fn open_as(&mut self, channel: u32) -> Result<(), OpenError> {
        match self.life {
            Life::Open => {}
            Life::Draining | Life::Closing { .. } | Life::Over(_) => return Err(OpenError::Over),
        }
        let limit = self.config.max_channels;
        let highest = if self.config.role.owns(channel) { &mut self.ours } else { &mut self.theirs };
        // One above the highest was never there.
        if channel <= *highest {
            let is_open = self.channels.find(channel).is_some_and(|found| found.phase != Phase::Closing);
            return if is_open { Ok(()) } else { Err(OpenError::Passed { channel }) };
        }
        if self.channels.len() >= limit {
            return Err(OpenError::TooManyChannels { limit });
        }
        *highest = channel;
        self.channels.insert(channel, Channel::NEW);
        Ok(())
    }

    /// Queues a message on a channel.
    ///
    /// # Errors
    /// [`SendError`]; nothing was taken and nothing ends.
    pub fn send(&mut self, channel: u32, message: impl Into<Transmit>) -> Result<(), SendError> {
        self.check_open()?;
        let message = message.into();
        if channel == CONTROL {
            self.check_length(message.len(), self.config.max_message)?;
            let limit = self.config.control_bytes;
            if self.turns.control_held() >= limit {
                return Err(SendError::Full { limit });
            }
            self.turns.push_control(message);
            return Ok(());
        }
        let length = message.len();
        self.check_length(length, self.longest())?;
        let place = self.channels.place(channel).ok_or(SendError::NotOpen { channel })?;
        match self.channels.at(place).map(|(_, found)| found.phase) {
            Some(Phase::Open) => {}
            Some(Phase::Full) => return Err(SendError::Full { limit: self.config.channel_bytes }),
            Some(Phase::Closing) | None => return Err(SendError::NotOpen { channel }),
        }
        self.turns.push(&mut self.channels, place, Some(message), length, self.config.channel_bytes);
        Ok(())
    }

    /// Queues the messages that `source` gives, until it has none or the channel has no room. Whether there were any.
    ///
    /// What a machine has to say is asked for only while the channel takes it: with one look at the channel for all of
    /// its messages, this is the quickest way from a machine to the pipe.
    ///
    /// # Errors
    /// [`SendError`], of which [`SendError::TooLong`] has taken a message from the source. A channel without room is no
    /// error: [`Action::Writable`] tells when to come again.
    #[inline]
    pub fn send_from(
        &mut self,
        channel: u32,
        mut source: impl FnMut() -> Option<Transmit>,
    ) -> Result<bool, SendError> {
        self.check_open()?;
        let mut any = false;
        if channel == CONTROL {
            while self.turns.control_held() < self.config.control_bytes {
                let Some(message) = source() else { break };
                self.check_length(message.len(), self.config.max_message)?;
                self.turns.push_control(message);
                any = true;
            }
            return Ok(any);
        }
        let longest = self.longest();
        let place = self.channels.place(channel).ok_or(SendError::NotOpen { channel })?;
        let mut phase = self.channels.at(place).map_or(Phase::Closing, |(_, found)| found.phase);
        if phase == Phase::Closing {
            return Err(SendError::NotOpen { channel });
        }
        while phase == Phase::Open {
            let message = source();
            let Some(length) = message.as_ref().map(Transmit::len) else { break };
            self.check_length(length, longest)?;
            let limit = self.config.channel_bytes;
            phase = self.turns.push(&mut self.channels, place, message, length, limit);
            any = true;
        }
        Ok(any)
    }

    const fn check_open(&self) -> Result<(), SendError> {
        match self.life {
            Life::Open => Ok(()),
            Life::Draining | Life::Closing { .. } | Life::Over(_) => Err(SendError::Over),
        }
    }

    const fn check_length(&self, length: usize, limit: usize) -> Result<(), SendError> {
        if length > limit { Err(SendError::TooLong { length, limit }) } else { Ok(()) }
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

    /// So many messages may still be under way for channels that are closed, and are no fault of the peer's: what a
    /// link says with [`CloseChannel`](super::Action::CloseChannel). They are not counted (MUX-9).
    pub const fn expect_late(&mut self, messages: u32) {
        self.expected = self.expected.saturating_add(messages as u64);
    }

    /// Closes this end of a channel once what waits is sent. Messages that still come for it are ignored (MUX-9). A
    /// channel that is not open stays so.
    #[inline]
    pub fn close(&mut self, channel: u32) {
        match self.channels.find_mut(channel) {
            Some(found) if found.is_idle() => self.channels.discard(channel),
            Some(found) => found.phase = Phase::Closing,
            None => {}
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
                self.roomy.push_back(sent.channel);
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
            self.roomy.push_back(CONTROL);
        }
        Some(message)
    }

    /// What happened. Reads on in the input where it has to.
    pub fn poll_action(&mut self) -> Option<Action> {
        if let Some((channel, message)) = self.first.take() {
            return Some(Action::Message { channel, message });
        }
        if let Some(channel) = self.poll_room() {
            return Some(Action::Writable { channel });
        }
        loop {
            match &mut self.life {
                Life::Open | Life::Draining => match self.decoder.next_message() {
                    Ok(Some(message)) => {
                        let action = self.receive(message);
                        if action.is_some() {
                            return action;
                        }
                    }
                    Ok(None) => {
                        if matches!(self.life, Life::Open) {
                            return None;
                        }
                        let end = self.decoder.finish().map_err(Error::from);
                        self.life = Life::Closing { from: 0, end };
                    }
                    Err(error) => self.fail(error.into()),
                },
                Life::Closing { .. } => return Some(self.next_end()),
                Life::Over(_) => return None,
            }
        }
    }

    /// The next [`Action::Writable`] alone, for a machine that sends as long as there is room.
    pub(super) fn poll_room(&mut self) -> Option<u32> {
        self.roomy.pop_front()
    }

    /// Whether to read on. `false`: messages wait up to the cap, or the mux is over.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        matches!(self.life, Life::Open) && self.decoder.wants_input()
    }

    /// Whether the mux is over.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.life, Life::Closing { .. } | Life::Over(_))
    }

    /// Whether the pipe is open: what is sent goes out.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.life, Life::Open)
    }

    /// How many channels are open, those that close included and the control channel not.
    #[must_use]
    pub const fn open_channels(&self) -> usize {
        self.channels.len()
    }

    /// The longest message on a channel that takes turns.
    const fn longest(&self) -> usize {
        let Config { max_message, quantum, .. } = self.config;
        if max_message < quantum { max_message } else { quantum }
    }

    /// One message of the pipe. `None`: nothing of it is told.
    #[inline]
    fn receive(&mut self, mut message: Bytes) -> Option<Action> {
        let Some(channel) = message.first_chunk::<CHANNEL_LEN>().map(|bytes| u32::from_be_bytes(*bytes))
        else {
            self.fail(Error::Short { length: message.len() });
            return None;
        };
        message.advance(CHANNEL_LEN);
        let ours = self.config.role.owns(channel);
        // One above the highest was never there.
        let passed = channel <= if ours { self.ours } else { self.theirs };
        let phase = if passed { self.channels.find(channel).map(|found| found.phase) } else { None };
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
            self.channels.insert(channel, Channel::NEW);
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

    fn fail(&mut self, error: Error) {
        self.turns.clear();
        self.life = Life::Closing { from: 0, end: Err(error) };
    }

    /// The end of the next channel, and after the last one of the mux.
    fn next_end(&mut self) -> Action {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::Role;

    /// MUX-7: what an idle channel costs on the heap of each side, at any number of them.
    #[test]
    fn mux_7_an_idle_channel_costs_at_most_128_bytes() {
        for count in [1000, 10_000, 100_000] {
            let mut config = Config::new(Role::Initiator);
            config.max_channels = count;
            let mut mux = Mux::new(config, Instant::ZERO).unwrap();
            while mux.open().is_ok() {}
            assert_eq!(mux.open_channels(), count);
            let each = mux.channels.heap() / count;
            assert!(each <= 64, "{each} bytes at {count}");
        }
        assert!(size_of::<Channel>() <= 24);
    }

    /// MUX-7: what waited on many channels at once leaves nothing behind.
    #[test]
    fn mux_7_a_mux_that_was_busy_gives_its_memory_back() {
        let mut mux = Mux::new(Config::new(Role::Initiator), Instant::ZERO).unwrap();
        for _ in 0..2 {
            for _ in 0..4000 {
                let channel = mux.open().unwrap();
                mux.send(channel, Bytes::from_static(b"x")).unwrap();
                mux.close(channel);
            }
            assert!(mux.turns.heap() > 4000 * 40, "{}", mux.turns.heap());
            let mut sent = 0;
            while mux.poll_transmit().is_some() {
                sent += 1;
            }
            assert_eq!((sent, mux.turns.heap(), mux.open_channels()), (4000, 0, 0));
        }
    }
}
