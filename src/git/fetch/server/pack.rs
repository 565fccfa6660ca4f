//! How a pack leaves: in a sideband, or as it is.

use bytes::Bytes;

use super::Error;
use crate::git::Resume;
use crate::git::resume::put_head;
use crate::git::wire::Wire;
use crate::pkt::{self, Band, MAX_BAND_DATA};

/// What band 3 says when the driver gives no reason: an empty packet there would say nothing.
const NO_REASON: &[u8] = b"upload-pack: the pack could not be built";

/// A pack on its way.
#[derive(Debug)]
pub(super) struct Packing {
    way: Way,
    start: Start,
}

/// How the pack leaves.
#[derive(Debug)]
enum Way {
    /// In packets of at most so many bytes of data.
    Banded { most: usize, begun: Begun },
    /// As it is. The last chunk waits until the pack is complete, so that one that fails is never whole.
    Raw { held: Option<Bytes> },
}

/// Where the pack begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// At its beginning, and nobody is told.
    Plain,
    /// The client is to be told; the part that it holds has so many bytes.
    Untold { held: u64 },
    /// The client was told that all of it comes.
    Whole,
    /// The client was told that what follows its part comes.
    Resumed,
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
    /// A pack in a sideband, or as it is. `part`: the client is told where it begins.
    pub(super) fn new(banded: Option<(usize, Begun)>, part: Option<&Option<Resume>>) -> Self {
        let way = match banded {
            Some((most, begun)) => Way::Banded { most, begun },
            None => Way::Raw { held: None },
        };
        let start = match part {
            None => Start::Plain,
            Some(part) => Start::Untold { held: part.as_ref().map_or(0, Resume::offset) },
        };
        Self { way, start }
    }

    /// Whether an empty packet has a place: in a sideband, once the pack's section has begun. Before that a client reads
    /// lines.
    pub(super) const fn keeps_alive(&self) -> bool {
        matches!(self.way, Way::Banded { begun: Begun::Head | Begun::Pack, .. })
    }

    /// The pack begins with what the client holds: only the rest comes. `false` where that has no meaning.
    pub(super) fn resume(&mut self, wire: &mut Wire) -> bool {
        let Start::Untold { held: held @ 1.. } = self.start else { return false };
        self.announce(held, wire);
        self.start = Start::Resumed;
        true
    }

    /// Tells from where the pack goes on, in front of it (RESUME-4).
    fn announce(&mut self, offset: u64, wire: &mut Wire) {
        match &mut self.way {
            Way::Banded { .. } => self.band(put_head(offset), wire),
            Way::Raw { .. } => wire.raw(put_head(offset)),
        }
    }

    /// The next bytes of the pack.
    pub(super) fn chunk(&mut self, bytes: Bytes, wire: &mut Wire) {
        if let Start::Untold { .. } = self.start {
            self.announce(0, wire);
            self.start = Start::Whole;
        }
        match &mut self.way {
            Way::Banded { .. } => self.band(bytes, wire),
            Way::Raw { held } => {
                if let Some(before) = held.replace(bytes) {
                    wire.raw(before);
                }
            }
        }
    }

    /// The next bytes of the pack's section.
    fn band(&mut self, bytes: Bytes, wire: &mut Wire) {
        let Way::Banded { most, begun } = &mut self.way else { return };
        if *begun == Begun::Uris {
            pkt::put_delim(wire.turn());
        }
        if matches!(begun, Begun::Nothing | Begun::Uris) {
            wire.band(Band::Data, Bytes::from_static(b"packfile\n"), MAX_BAND_DATA);
        }
        *begun = Begun::Pack;
        wire.band(Band::Data, bytes, *most);
    }

    /// The next URI; `false` where none has its place.
    pub(super) fn uri(&mut self, line: Bytes, wire: &mut Wire) -> bool {
        let Way::Banded { begun: begun @ (Begun::Nothing | Begun::Uris), .. } = &mut self.way else {
            return false;
        };
        if *begun == Begun::Nothing {
            wire.band(Band::Data, Bytes::from_static(b"packfile-uris\n"), MAX_BAND_DATA);
        }
        *begun = Begun::Uris;
        wire.band(Band::Data, line, MAX_BAND_DATA);
        true
    }

    /// Progress, where it has a place.
    pub(super) fn progress(&self, bytes: Bytes, wire: &mut Wire) {
        if let Way::Banded { most, .. } = &self.way {
            wire.band(Band::Progress, bytes, *most);
        }
    }

    /// Ends the pack; `false` when there was none.
    pub(super) fn finish(&mut self, wire: &mut Wire) -> bool {
        match &mut self.way {
            Way::Banded { begun: Begun::Pack, .. } => wire.flush(),
            Way::Raw { held } => match held.take() {
                Some(last) => wire.raw(last),
                // The client may hold all of it.
                None => return self.start == Start::Resumed,
            },
            Way::Banded { .. } => return false,
        }
        true
    }

    /// Tells why there will be no more. A pack as it is has no room for words: it stays cut.
    pub(super) fn farewell(self, error: &Error, words: alloc::vec::Vec<u8>, wire: &mut Wire) {
        let Way::Banded { most, .. } = self.way else { return };
        let said = match error {
            Error::PackFailed { reason } if reason.is_empty() => Bytes::from_static(NO_REASON),
            Error::PackFailed { reason } => reason.clone(),
            _ => words.into(),
        };
        wire.band(Band::Fatal, said, most);
    }
}
