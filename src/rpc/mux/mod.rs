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
//! - *A value for each channel* is kept for the driver if it wants one: [`Mux::channel`] finds both at once.
//! - *Payloads* are never copied; one that came in two reads is put together once.
//!
//! Limits: [`Config`]. Rules: `spec/11-mux.md`.

mod action;
mod channel;
mod config;
mod input;
mod output;
mod turns;

use alloc::collections::VecDeque;

use bytes::Bytes;

pub use action::Action;
pub use channel::OpenChannel;
pub use config::{Config, ConfigError, Error, OpenError, SendError};
use turns::{Channel, Phase, Turns};

use super::bucket::Bucket;
use super::slab::Slab;
use crate::frame::carrier;
use crate::time::Instant;

/// The number of the control channel. It is always open, and takes no turns.
pub const CONTROL: u32 = 0;
/// Bytes of a channel's number.
pub const CHANNEL_LEN: usize = 4;

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

impl Life {
    /// Whether what is sent goes out.
    const fn check_open(&self) -> Result<(), SendError> {
        match self {
            Self::Open => Ok(()),
            Self::Draining | Self::Closing { .. } | Self::Over(_) => Err(SendError::Over),
        }
    }
}

/// A carrier of many channels on one byte pipe.
///
/// A driver may keep a value for each channel: it lies beside what the mux keeps, neighbours together, and is found with
/// the channel ([`Self::channel`]), beside a million idle ones as fast as beside a thousand. A channel that opens has the
/// default one.
///
/// ```
/// use bytes::Bytes;
/// use portline::Instant;
/// use portline::rpc::Role;
/// use portline::rpc::mux::{Config, Mux};
///
/// let mut mux = Mux::<u32>::with_values(Config::new(Role::Initiator), Instant::ZERO)?;
/// let number = mux.open()?;
/// let mut channel = mux.channel(number).expect("it is open");
/// *channel.value() += 1;
/// channel.send(Bytes::from_static(b"first"))?;
/// assert_eq!(mux.value(number), Some(&1));
/// mux.close(number);
/// assert_eq!(mux.value(number), None);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mux<T = ()> {
    config: Config,
    life: Life,
    decoder: carrier::Decoder,
    channels: Slab<Channel<T>>,
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
    /// A mux on a new pipe, whose driver keeps what it has for the channels elsewhere.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which nothing could ever move.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        Self::with_values(config, now)
    }
}

impl<T: Default> Mux<T> {
    /// A mux on a new pipe, with a value for each channel.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration with which nothing could ever move.
    pub fn with_values(config: Config, now: Instant) -> Result<Self, ConfigError> {
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
        self.channels.insert_with(channel, || Channel::new(T::default()));
        Ok(())
    }

    /// So many messages may still be under way for channels that are closed, and are no fault of the peer's: what a
    /// link says with [`CloseChannel`](super::Action::CloseChannel). They are not counted (MUX-9).
    pub const fn expect_late(&mut self, messages: u32) {
        self.expected = self.expected.saturating_add(messages as u64);
    }

    /// An open channel, with all that can be done with it. `None` for the control channel, and for one that was closed.
    #[inline]
    pub fn channel(&mut self, channel: u32) -> Option<OpenChannel<'_, T>> {
        let place = self.channels.seek(channel)?;
        let (number, found) = self.channels.at_mut(place)?;
        let Self { turns, life, config, .. } = self;
        let is_open = !matches!(found.phase, Phase::Closing);
        is_open.then_some(OpenChannel { number, place, channel: found, turns, life, config })
    }

    /// The value of an open channel, or of one that was [closed with the mux](Action::Closed), up to the mux's own end.
    #[must_use]
    pub fn value(&self, channel: u32) -> Option<&T> {
        self.channels.find(channel).filter(|found| found.phase != Phase::Closing).map(|found| &found.value)
    }

    /// Closes this end of a channel once what waits is sent; its value is dropped now. Messages that still come for it
    /// are ignored (MUX-9). A channel that is not open stays so.
    #[inline]
    pub fn close(&mut self, channel: u32) {
        match self.channels.find_mut(channel) {
            Some(found) if found.is_idle() => self.channels.discard(channel),
            Some(found) => {
                found.phase = Phase::Closing;
                found.value = T::default();
            }
            None => {}
        }
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
        assert!(size_of::<Channel<()>>() <= 16);
    }

    /// MUX-7: messages that go one after another take each other's places.
    #[test]
    fn mux_7_what_was_sent_leaves_its_place_to_the_next() {
        let mut mux = Mux::new(Config::new(Role::Initiator), Instant::ZERO).unwrap();
        let channel = mux.open().unwrap();
        let mut once = || {
            (0..8).for_each(|_| mux.send(channel, Bytes::from_static(b"x")).unwrap());
            while mux.poll_transmit().is_some() {}
            mux.turns.heap()
        };
        let first = once();
        assert!((0..100).all(|_| once() == first));
    }

    /// MUX-7: what waited on many channels at once leaves nothing behind, even while one of them always has something.
    #[test]
    fn mux_7_a_mux_that_was_busy_gives_its_memory_back() {
        let config = Config { channel_bytes: 6400, ..Config::new(Role::Initiator) };
        let mut mux = Mux::new(config, Instant::ZERO).unwrap();
        let busy = mux.open().unwrap();
        let (mut sent, mut came) = (0_u32, 0_u32);
        for _ in 0..2 {
            for _ in 0..4000 {
                let channel = mux.open().unwrap();
                mux.send(channel, Bytes::from_static(b"x")).unwrap();
                mux.close(channel);
            }
            let peak = mux.turns.heap();
            assert!(peak > 4000 * 40, "{peak}");
            assert!(mux.poll_transmit().is_some());
            assert_eq!(mux.turns.heap(), peak, "nothing moves while many wait");
            for _ in 0..8000 {
                if mux.send(busy, Bytes::copy_from_slice(&sent.to_be_bytes())).is_ok() {
                    sent += 1;
                }
                let wire = mux.poll_transmit().unwrap().into_bytes();
                if let Some(number) = wire.strip_prefix(&[0, 0, 0, 8, 0, 0, 0, 1]) {
                    assert_eq!(number, came.to_be_bytes(), "in order");
                    came += 1;
                }
            }
            assert!(mux.turns.heap() < peak / 8, "{} of {peak}", mux.turns.heap());
            while mux.poll_transmit().is_some() {}
            came = sent;
            assert_eq!(mux.open_channels(), 1);
        }
        assert!(mux.turns.heap() <= 512 * 80, "{}", mux.turns.heap());
    }
}
