//! Data and boundaries in any split.

use core::mem;

use bytes::{Buf, Bytes};

use super::boundary::{Boundary, LINE_END};

/// The bytes of the delimiter that the input stopped in: the part of it that is known to have come. At the start of a
/// line its first two are there already, as the end of the line before, which is not data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    from: usize,
    to: usize,
}

impl Begun {
    /// None of it.
    pub(super) const NOTHING: Self = Self { from: 0, to: 0 };
    /// The start of a line.
    pub(super) const LINE: Self = Self { from: LINE_END, to: LINE_END };

    /// The same after `data`, or `None` if a whole delimiter stands in it.
    pub(super) fn after(self, boundary: &Boundary, data: &[u8]) -> Option<Self> {
        if self.to > 0 {
            let wanted = boundary.delimiter().get(self.to..).unwrap_or(&[]);
            let same = common(wanted, data);
            if same == wanted.len() {
                return None;
            }
            if same == data.len() {
                return Some(Self { from: self.from, to: self.to.saturating_add(same) });
            }
        }
        match boundary.find(data) {
            Some(_) => None,
            None => Some(Self { from: 0, to: boundary.begun(data) }),
        }
    }
}

/// How many bytes at the start are the same.
fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// What a piece of input is, as far as that is certain.
pub(super) struct Sought {
    /// What lies in front of a boundary. It may be nothing.
    pub(super) data: Bytes,
    /// Whether the boundary follows it.
    pub(super) is_last: bool,
    /// What was not looked at. It may be nothing.
    pub(super) rest: Option<Bytes>,
}

impl Sought {
    const fn data(data: Bytes) -> Self {
        Self { data, is_last: false, rest: None }
    }

    const fn last(data: Bytes, rest: Bytes) -> Self {
        Self { data, is_last: true, rest: Some(rest) }
    }
}

/// Looks for the boundary in `piece`, behind what has `begun`. All of a piece that has neither goes on as it came.
pub(super) fn seek(boundary: &Boundary, mut piece: Bytes, begun: &mut Begun) -> Sought {
    let delimiter = boundary.delimiter();
    if begun.to > 0 {
        let wanted = delimiter.get(begun.to..).unwrap_or(&[]);
        let same = common(wanted, &piece);
        if same == wanted.len() {
            piece.advance(same);
            *begun = Begun::NOTHING;
            return Sought::last(Bytes::new(), piece);
        }
        if same == piece.len() {
            begun.to = begun.to.saturating_add(same);
            return Sought::data(Bytes::new());
        }
        // It was none. What had come of it before is data; `same` more bytes are too, and have no CR in them.
        let held = mem::replace(begun, Begun::NOTHING);
        if held.from < held.to {
            return Sought { data: delimiter.slice(held.from..held.to), is_last: false, rest: Some(piece) };
        }
    }
    if let Some(at) = boundary.find(&piece) {
        let data = piece.split_to(at);
        piece.advance(delimiter.len().min(piece.len()));
        return Sought::last(data, piece);
    }
    let to = boundary.begun(&piece);
    *begun = Begun { from: 0, to };
    piece.truncate(piece.len().saturating_sub(to));
    Sought::data(piece)
}
