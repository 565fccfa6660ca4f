//! What a stream tells its application.

use bytes::Bytes;

use super::error::Error;

/// What happened to a stream.
///
/// They come in this order: `Opened`, `Data` and `PeerDone`, one of `Finished` and `Failed`; `Writable` anywhere
/// before the last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The channel is attached.
    Opened,
    /// Data of the peer's. Answer `consume`, once for each, when it was dealt with: only that grants new credit.
    Data(Bytes),
    /// The peer's direction is done; nothing more will come from it.
    PeerDone,
    /// There is room again after `write` was refused as [`WriteError::Full`](super::WriteError::Full).
    Writable,
    /// The stream is over, and all went well. Terminal.
    Finished,
    /// The stream failed. Terminal.
    Failed(Error),
}

/// Something to be told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Notice {
    /// Not yet.
    None,
    /// It waits to be polled.
    Due,
    /// It was, and will not be again.
    Given,
}

impl Notice {
    /// Due, unless it was before.
    pub(super) const fn raise(&mut self) {
        match self {
            Self::None => *self = Self::Due,
            Self::Due | Self::Given => {}
        }
    }

    #[inline]
    pub(super) const fn take(&mut self) -> bool {
        match self {
            Self::Due => {
                *self = Self::Given;
                true
            }
            Self::None | Self::Given => false,
        }
    }

    #[inline]
    pub(super) const fn is_due(self) -> bool {
        matches!(self, Self::Due)
    }
}

/// What the application knows about the room for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Room {
    /// It was not refused.
    Open,
    /// It was refused and waits to be told.
    Refused,
    /// It is to be told.
    Due,
}
