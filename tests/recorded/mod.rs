//! The conversations that were recorded between the reference's programs and the real git.
#![allow(dead_code, unreachable_pub)]

/// One conversation.
pub struct Recorded {
    pub title: String,
    pub client: Vec<u8>,
    pub server: Vec<u8>,
}

/// The conversations of `spec/vectors/git-conversations.txt` whose title begins with `prefix`; at least one.
pub fn recorded(prefix: &str) -> Vec<Recorded> {
    read(include_str!("../../spec/vectors/git-conversations.txt"), prefix)
}

/// The same of `spec/vectors/git-2.47-fetch.txt`, where nothing is cut: what `record-git.py` recorded.
pub fn fetches(prefix: &str) -> Vec<Recorded> {
    read(include_str!("../../spec/vectors/git-2.47-fetch.txt"), prefix)
}

fn read(text: &str, prefix: &str) -> Vec<Recorded> {
    let mut all: Vec<Recorded> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            all.push(Recorded { title: title.to_owned(), client: vec![], server: vec![] });
        }
        let Some(one) = all.last_mut() else { continue };
        if let Some(packet) = line.strip_prefix("   C>S ") {
            one.client.extend(wire(packet));
        } else if let Some(packet) = line.strip_prefix("   S>C ") {
            one.server.extend(wire(packet));
        }
    }
    all.retain(|one| one.title.starts_with(prefix));
    assert!(!all.is_empty(), "{prefix}");
    all
}

/// `0009 done\n`, `0000`, or `RAW[n] hex`, as bytes on the wire.
fn wire(text: &str) -> Vec<u8> {
    if let Some((length, hex)) = text.strip_prefix("RAW[").and_then(|raw| raw.split_once("] ")) {
        let byte = |at: usize| hex.get(at..at + 2).map(|byte| u8::from_str_radix(byte, 16).unwrap());
        return complete((0..hex.len()).step_by(2).filter_map(byte).collect(), length.parse().unwrap());
    }
    let (digits, data) = text.split_once(' ').unwrap_or((text, ""));
    let length = usize::from_str_radix(digits, 16).unwrap();
    [digits.as_bytes(), &complete(unescape(data), length.saturating_sub(4))].concat()
}

/// The recorder cut long lines; their length is known. The capabilities are completed as they were, a pack and
/// progress with dots.
fn complete(mut line: Vec<u8>, length: usize) -> Vec<u8> {
    if line.ends_with(b" object-f") {
        line.extend_from_slice(b"ormat=sha1 agent=git/2.47.3\n");
        assert_eq!(line.len(), length);
    }
    assert!(line.len() <= length);
    line.resize(length, b'.');
    line
}

/// The escapes of the recorder: `\n`, `\r`, `\t`, `\\`, `\'`, `\xNN`.
fn unescape(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        // A line that was cut may end inside an escape.
        match rest.next().unwrap_or(b'.') {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'x' => {
                let (Some(high), Some(low)) = (rest.next(), rest.next()) else { break };
                let digits = [high, low];
                out.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            plain => out.push(plain),
        }
    }
    out
}
