//! Data and boundaries in any split.

use core::mem;

use bytes::{Buf, Bytes};

use super::boundary::{Boundary, LINE_END};

/// The bytes of the delimiter that the input stopped in: the part of it that is known to have come. At the start of a
/// line its first two are there already, as the end of the line before, which is not data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    from: usize,
    to: usize,
}

impl Begun {
    const NOTHING: Self = Self { from: 0, to: 0 };
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

/// Takes what is certain to lie in front of a boundary from `input`; `true`: the boundary follows, and is taken too.
/// The bytes may be none.
#[inline]
pub(super) fn seek(boundary: &Boundary, input: &mut Bytes, begun: &mut Begun) -> (Bytes, bool) {
    let delimiter = boundary.delimiter();
    if begun.to > 0 {
        let wanted = delimiter.get(begun.to..).unwrap_or(&[]);
        let same = common(wanted, input);
        if same == wanted.len() {
            input.advance(same);
            *begun = Begun::NOTHING;
            return (Bytes::new(), true);
        }
        if same == input.len() {
            begun.to = begun.to.saturating_add(same);
            input.clear();
            return (Bytes::new(), false);
        }
        // It was none. What had come of it before is data; `same` more bytes are too, and have no CR in them.
        let held = mem::replace(begun, Begun::NOTHING);
        if held.from < held.to {
            return (delimiter.slice(held.from..held.to), false);
        }
    }
    if let Some(at) = boundary.find(input) {
        let bytes = input.split_to(at);
        input.advance(delimiter.len().min(input.len()));
        return (bytes, true);
    }
    match boundary.begun(input) {
        0 => (mem::take(input), false),
        to => {
            *begun = Begun { from: 0, to };
            let bytes = input.split_to(input.len().saturating_sub(to));
            input.clear();
            (bytes, false)
        }
    }
}
