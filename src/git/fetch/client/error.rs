//! What can end a fetch.

use crate::error::Blame;
use crate::git::{AdvertisementError, CapabilityError, ObjectId, RefName, RequestError, SessionError};
use crate::pkt;

/// What ended a fetch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// As in every Git session.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The advertisement cannot be taken.
    #[error(transparent)]
    Advertisement(#[from] AdvertisementError),
    /// [`Config::request`](super::Config::request) cannot be sent.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// [`Config::agent`](super::Config::agent) cannot be sent (T17).
    #[error("the agent cannot be sent: {0}")]
    Agent(CapabilityError),
    /// Something else of the config cannot be sent (T17).
    #[error("a {what} of the config cannot be sent")]
    Unsendable {
        /// Which.
        what: &'static str,
    },
    /// The config asks for something that the server does not offer.
    #[error("the server does not support {what}")]
    Unsupported {
        /// The capability's name.
        what: &'static str,
    },
    /// The server acknowledged a commit that was never sent.
    #[error("the server acknowledged {id}, which was never sent to it")]
    UnknownAck {
        /// The commit.
        id: ObjectId,
    },
    /// The server said that it is ready although it has found nothing in common.
    #[error("the server is ready before it has anything in common")]
    ReadyWithoutCommon,
    /// The server gives parents to a commit that is not on the client's shallow border.
    #[error("the server unshallows {id}, which is not at the shallow border")]
    UnknownUnshallow {
        /// The commit.
        id: ObjectId,
    },
    /// The server moved the border again, or otherwise than before, in the answer to a repeated request.
    #[error("the server moves the shallow border otherwise than it did before")]
    BorderChanged,
    /// The server tells where a ref points that was not asked for, or tells it twice.
    #[error("the server tells of the ref {name}, which was not asked for")]
    UnwantedRef {
        /// The ref.
        name: RefName,
    },
    /// The server left out a ref that was wanted by its name.
    #[error("the server does not tell where every ref points that was wanted by its name")]
    MissingRef,
    /// The server goes on with the pack from a place that was not named.
    #[error("the server goes on from byte {offset} of the pack, which was not asked for")]
    UnknownPart {
        /// The place.
        offset: u64,
    },
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Session(error) => error.blame(),
            Self::Advertisement(_)
            | Self::Unsupported { .. }
            | Self::UnknownAck { .. }
            | Self::ReadyWithoutCommon
            | Self::UnknownUnshallow { .. }
            | Self::BorderChanged
            | Self::UnwantedRef { .. }
            | Self::MissingRef
            | Self::UnknownPart { .. } => Blame::Peer,
            Self::Request(_) | Self::Agent(_) | Self::Unsendable { .. } => Blame::Caller,
        }
    }
}

impl From<pkt::Error> for Error {
    fn from(error: pkt::Error) -> Self {
        SessionError::from(error).into()
    }
}
