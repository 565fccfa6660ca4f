//! application/x-www-form-urlencoded: forms of strings (WHATWG URL Standard, section 5).
//!
//! ```text
//! bytes, any split ──► Parser ──► Pair (name, value), …, Finished
//! pair … finish ──► Writer ──► bytes
//! ```
//!
//! Names and values are bytes, unescaped; what browsers send is UTF-8. Every body is well-formed: a percent sign
//! without two digits means itself, a pair without `=` has an empty value, empty pairs are none.
//!
//! Limits: those of [`Config`]. Rules: URLENC-1 and after, in `spec/14-multipart.md`.

mod parser;
mod writer;

use alloc::vec::Vec;

pub use parser::{Action, Config, Error, Parser};
pub use writer::{WriteError, Writer};

/// The content type.
pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

/// Appends bytes as they stand in a name or a value: `A–Z a–z 0–9 * - . _` as they are, a space as `+`, all others as
/// `%XX` (URLENC-5).
pub fn put_encoded(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |of: u8| DIGITS.get(usize::from(of & 15)).copied().unwrap_or(b'0');
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => out.push(*byte),
            b' ' => out.push(b'+'),
            _ => out.extend_from_slice(&[b'%', digit(byte >> 4), digit(*byte)]),
        }
    }
}

/// The byte that two hex digits of either case name.
pub(crate) const fn hex_pair(digits: [u8; 2]) -> Option<u8> {
    match (hex(digits[0]), hex(digits[1])) {
        (Some(high), Some(low)) => Some((high << 4) | low),
        (Some(_) | None, Some(_) | None) => None,
    }
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(digit.wrapping_sub(b'a').wrapping_add(10)),
        b'A'..=b'F' => Some(digit.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    }
}
