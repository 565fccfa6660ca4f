//! Git's quoting of one value on a line: as it is, or in double quotes with C's escapes.

#![allow(unreachable_pub)]

/// The value that stands for; `None` when the quotes do not fit.
pub fn unquote(text: &[u8]) -> Option<Vec<u8>> {
    let Some(quoted) = text.strip_prefix(b"\"") else { return Some(text.to_vec()) };
    let mut rest = quoted.strip_suffix(b"\"")?.iter().copied();
    let mut value = Vec::with_capacity(quoted.len());
    while let Some(byte) = rest.next() {
        value.push(match byte {
            b'\\' => match rest.next()? {
                b'a' => 7,
                b'b' => 8,
                b't' => b'\t',
                b'n' => b'\n',
                b'v' => 11,
                b'f' => 12,
                b'r' => b'\r',
                digit @ b'0'..=b'3' => {
                    let mut number = u32::from(digit & 7);
                    for _ in 0..2 {
                        let digit = rest.next().filter(u8::is_ascii_digit)?;
                        number = (number << 3) | u32::from(digit & 7);
                    }
                    u8::try_from(number).ok()?
                }
                other @ (b'"' | b'\\') => other,
                _ => return None,
            },
            other => other,
        });
    }
    Some(value)
}

/// The value as it can stand at the end of a line. A peer wrote it, so nothing in it may end the line (T18).
pub fn quote(value: &[u8]) -> String {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if value.iter().all(plain) {
        return String::from_utf8_lossy(value).into_owned();
    }
    let mut text = String::from("\"");
    for byte in value {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => text.push(char::from(*byte)),
            other => text.push_str(&format!("\\{other:03o}")),
        }
    }
    text.push('"');
    text
}
