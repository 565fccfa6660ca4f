//! How a pack leaves: in a sideband, or as it is.

use bytes::Bytes;

use super::Error;
use crate::git::wire::Wire;
use crate::pkt::{self, Band, MAX_BAND_DATA};

/// What band 3 says when the driver gives no reason: an empty packet there would say nothing.
const NO_REASON: &[u8] = b"upload-pack: the pack could not be built";

/// How the pack leaves.
#[derive(Debug)]
pub(super) enum Packing {
    /// In packets of at most so many bytes of data.
    Banded { most: usize, begun: Begun },
    /// As it is. The last chunk waits until the pack is complete, so that one that fails is never whole.
    Raw { held: Option<Bytes> },
}

/// How far a pack in a sideband is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// Nothing has gone, and URIs may come before the pack.
    Nothing,
    /// URIs have gone.
    Uris,
    /// The head of the pack's section has gone, or none is due.
    Head,
    /// Bytes of the pack have gone.
    Pack,
}

impl Packing {
    /// The next bytes of the pack.
    pub(super) fn chunk(&mut self, bytes: Bytes, wire: &mut Wire) {
        match self {
            Self::Banded { most, begun } => {
                if *begun == Begun::Uris {
                    pkt::put_delim(wire.turn());
                }
                if matches!(begun, Begun::Nothing | Begun::Uris) {
                    wire.band(Band::Data, Bytes::from_static(b"packfile\n"), MAX_BAND_DATA);
                }
                *begun = Begun::Pack;
                wire.band(Band::Data, bytes, *most);
            }
            Self::Raw { held } => {
                if let Some(before) = held.replace(bytes) {
                    wire.raw(before);
                }
            }
        }
    }

    /// The next URI; `false` where none has its place.
    pub(super) fn uri(&mut self, line: Bytes, wire: &mut Wire) -> bool {
        let Self::Banded { begun: begun @ (Begun::Nothing | Begun::Uris), .. } = self else { return false };
        if *begun == Begun::Nothing {
            wire.band(Band::Data, Bytes::from_static(b"packfile-uris\n"), MAX_BAND_DATA);
        }
        *begun = Begun::Uris;
        wire.band(Band::Data, line, MAX_BAND_DATA);
        true
    }

    /// Progress, where it has a place.
    pub(super) fn progress(&self, bytes: Bytes, wire: &mut Wire) {
        if let Self::Banded { most, .. } = self {
            wire.band(Band::Progress, bytes, *most);
        }
    }

    /// Ends the pack; `false` when there was none.
    pub(super) fn finish(&mut self, wire: &mut Wire) -> bool {
        match self {
            Self::Banded { begun: Begun::Pack, .. } => wire.flush(),
            Self::Raw { held } => match held.take() {
                Some(last) => wire.raw(last),
                None => return false,
            },
            Self::Banded { .. } => return false,
        }
        true
    }

    /// Tells why there will be no more. A pack as it is has no room for words: it stays cut.
    pub(super) fn farewell(self, error: &Error, words: alloc::vec::Vec<u8>, wire: &mut Wire) {
        let Self::Banded { most, .. } = self else { return };
        let said = match error {
            Error::PackFailed { reason } if reason.is_empty() => Bytes::from_static(NO_REASON),
            Error::PackFailed { reason } => reason.clone(),
            _ => words.into(),
        };
        wire.band(Band::Fatal, said, most);
    }
}
