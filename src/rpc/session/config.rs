//! What a session can be told, and how it can fail.

use crate::error::Blame;
use crate::frame::HEADER_LEN;
use crate::limits;
use crate::rpc::{self, Role, mux};

/// The configuration of a [`super::Session`]: that of its link and that of its mux.
#[derive(Clone, Debug)]
pub struct Config {
    /// Calls and streams.
    pub link: rpc::Config,
    /// The pipe.
    pub mux: mux::Config,
}

impl Config {
    /// The defaults, for one side. The mux has twice as many channels as the link has streams: one that closes still
    /// counts while what waits on it leaves.
    #[must_use]
    pub fn new(role: Role) -> Self {
        let link = rpc::Config::new(role);
        let mut mux = mux::Config::new(role);
        mux.max_channels = link.max_streams.saturating_mul(2);
        Self { link, mux }
    }

    /// Refuses two configurations that do not go together (MUX-14). Each by itself is checked by its machine.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let Self { link, mux } = self;
        // A frame of a stream is a block, or words of an error.
        let frame = link.stream.max_block.max(limits::ERROR_PAYLOAD).saturating_add(HEADER_LEN);
        let too_small = |field, value, least| Err(ConfigError::TooSmall { field, value, least });
        if link.role != mux.role {
            return Err(ConfigError::Roles);
        }
        if mux.max_message < link.max_message {
            return too_small("max_message", mux.max_message, link.max_message);
        }
        if mux.max_message < frame {
            return too_small("max_message", mux.max_message, frame);
        }
        if mux.quantum < frame {
            return too_small("quantum", mux.quantum, frame);
        }
        // OPEN has left when its channel is opened: there has to be room beside those that close, of which
        // there are seldom more than streams; where there are, only the one that finds no channel fails.
        let channels = link.max_streams.saturating_mul(2);
        if mux.max_channels < channels {
            return too_small("max_channels", mux.max_channels, channels);
        }
        Ok(())
    }
}

/// A configuration that was refused. The caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The link's.
    #[error(transparent)]
    Link(rpc::ConfigError),
    /// The mux's.
    #[error(transparent)]
    Mux(mux::ConfigError),
    /// Link and mux are told different roles.
    #[error("the link and the mux have different roles")]
    Roles,
    /// The mux could not carry what the link may say.
    #[error("the mux's {field} is {value}: its link needs at least {least}")]
    TooSmall {
        /// The field of [`mux::Config`].
        field: &'static str,
        /// Its value.
        value: usize,
        /// What the link's configuration asks for: `max_message`, twice `max_streams`, or `stream.max_block` with its
        /// header.
        least: usize,
    },
}

/// What ended the session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// On the control channel.
    #[error(transparent)]
    Link(#[from] rpc::Error),
    /// On the pipe.
    #[error(transparent)]
    Mux(#[from] mux::Error),
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Link(error) => error.blame(),
            Self::Mux(error) => error.blame(),
        }
    }
}
