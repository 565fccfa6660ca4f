//! What the mux can be told, and how it can fail.

use crate::error::Blame;
use crate::frame::carrier;
use crate::limits;
use crate::rpc::{Budget, Role};

/// Messages for channels that are no longer open: some cross on the way with a close.
const LATE_MESSAGES: Budget = Budget::new(1024, 10);

/// The configuration of a [`super::Mux`]. Both sides choose their own, but for the role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Which side this is: it decides whose channels are odd.
    pub role: Role,
    /// The longest message on any channel, in both directions, the 5 bytes of its frame header included.
    pub max_message: usize,
    /// Outgoing: the bytes of one turn, and so the longest message on a channel that takes turns.
    pub quantum: usize,
    /// Outgoing: bytes that wait on one channel, overhead included, from which on `send` refuses more.
    pub channel_bytes: usize,
    /// Outgoing: bytes that wait on the control channel, overhead included, from which on `send` refuses more.
    pub control_bytes: usize,
    /// Incoming: bytes held from which on no more input is wanted.
    pub receive_bytes: usize,
    /// Channels open at once, the control channel not counted.
    pub max_channels: usize,
    /// Messages for channels that are no longer open, before the mux ends.
    pub late: Budget,
}

impl Config {
    /// The defaults, for one side.
    #[must_use]
    pub const fn new(role: Role) -> Self {
        Self {
            role,
            max_message: limits::MUX_MESSAGE,
            quantum: limits::MUX_QUANTUM,
            channel_bytes: limits::MUX_QUANTUM,
            control_bytes: limits::MUX_CONTROL,
            receive_bytes: limits::RECEIVE_BYTES,
            max_channels: limits::CHANNELS,
            late: LATE_MESSAGES,
        }
    }

    /// Refuses values with which nothing could move (MUX-2).
    pub(super) const fn check(&self) -> Result<(), ConfigError> {
        let field = match self {
            Self { max_message: 0, .. } => "max_message",
            Self { quantum: 0, .. } => "quantum",
            Self { channel_bytes: 0, .. } => "channel_bytes",
            Self { control_bytes: 0, .. } => "control_bytes",
            Self { receive_bytes: 0, .. } => "receive_bytes",
            Self { max_message, .. } if *max_message > (u32::MAX as usize).saturating_sub(4) => {
                return Err(ConfigError::TooLarge { max_message: *max_message });
            }
            Self { .. } => return Ok(()),
        };
        Err(ConfigError::Zero { field })
    }
}

/// A configuration that was refused. The caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A field is zero that must not be.
    #[error("{field} is zero")]
    Zero {
        /// The field of [`Config`].
        field: &'static str,
    },
    /// A message would be longer than its length field can tell.
    #[error("a max_message of {max_message} bytes does not fit into the length of a message")]
    TooLarge {
        /// [`Config::max_message`].
        max_message: usize,
    },
}

/// What ended the mux.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A message above the limit, or the pipe ended inside one.
    #[error(transparent)]
    Carrier(#[from] carrier::Error),
    /// A message too short to name its channel.
    #[error("a message of {length} bytes does not name its channel")]
    Short {
        /// Its bytes: 0 to 3.
        length: usize,
    },
    /// A message on a channel that only this side could have opened, and has not.
    #[error("channel {channel} is ours to open, and was not opened")]
    NotOpened {
        /// The channel.
        channel: u32,
    },
    /// The peer opened one channel too many.
    #[error("more than {limit} channels are open")]
    TooManyChannels {
        /// [`Config::max_channels`].
        limit: usize,
    },
    /// Too many messages for channels that are no longer open.
    #[error("more than {limit} messages at once for channels that are not open")]
    TooManyLate {
        /// [`Config::late`].
        limit: u32,
    },
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Carrier(carrier::Error::Truncated { .. }) => Blame::Transport,
            Self::Carrier(_)
            | Self::Short { .. }
            | Self::NotOpened { .. }
            | Self::TooManyChannels { .. }
            | Self::TooManyLate { .. } => Blame::Peer,
        }
    }
}

/// Why a channel was not opened. It ends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// As many channels are open as may be.
    #[error("{limit} channels are open already")]
    TooManyChannels {
        /// [`Config::max_channels`].
        limit: usize,
    },
    /// The number was used before, or is the control channel's. Numbers rise and are never used again.
    #[error("channel {channel} cannot be opened: its number has been passed")]
    Passed {
        /// The channel.
        channel: u32,
    },
    /// All 2³¹ numbers of this side have been used.
    #[error("no channel number is left")]
    Exhausted,
    /// The mux is over.
    #[error("the mux is over")]
    Over,
}

/// Why a message was not taken. It ends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Enough waits on this channel; [`super::Action::Writable`] tells when to go on.
    #[error("{limit} bytes are waiting on the channel already")]
    Full {
        /// [`Config::channel_bytes`] or [`Config::control_bytes`].
        limit: usize,
    },
    /// The message is longer than one turn, or than any message may be.
    #[error("a message of {length} bytes is longer than the limit of {limit}")]
    TooLong {
        /// Its bytes.
        length: usize,
        /// The smaller of [`Config::quantum`] and [`Config::max_message`]; on the control channel the latter.
        limit: usize,
    },
    /// The channel is not open.
    #[error("channel {channel} is not open")]
    NotOpen {
        /// The channel.
        channel: u32,
    },
    /// The mux is over.
    #[error("the mux is over")]
    Over,
}
