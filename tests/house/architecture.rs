//! The house rules that a compiler does not check: no IO, clock or runtime in `src/`, imports that only run
//! downwards, files short enough to read, nothing left open, no package registry named.
//!
//! Each failure names the file, the line and the rule.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The layering, and its only home: each module of `src/` and what it may import besides itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("limits", &[]),
    ("error", &[]),
    ("transmit", &[]),
    ("text", &[]),
    ("random", &[]),
    // Beside the wings: it knows of time only.
    ("recovery", &["time", "limits", "error", "random"]),
    // The port wing.
    ("frame", &["time", "limits", "error", "transmit", "text"]),
    ("port", &["time", "limits", "error", "transmit", "random", "frame"]),
    ("stream", &["time", "limits", "error", "transmit", "random", "frame"]),
    ("rpc", &["time", "limits", "error", "transmit", "frame", "stream"]),
    // Bodies: above the streams that `body::over` puts them on, beside everything else.
    ("body", &["time", "limits", "error", "transmit", "random", "frame", "port", "stream"]),
    // The Git wing.
    ("pkt", &["time", "limits", "error", "transmit"]),
    ("git", &["time", "limits", "error", "transmit", "pkt"]),
    ("sync", &["time", "limits", "error", "transmit", "git"]),
    // Where the wings meet.
    ("peer", &["time", "limits", "error", "transmit", "frame", "port", "pkt", "git", "sync", "recovery"]),
];

/// What `lib.rs` re-exports at the crate's root, and the module that it comes from.
const ROOT_NAMES: &[(&str, &str)] =
    &[("Instant", "time"), ("Blame", "error"), ("Transmit", "transmit"), ("Printable", "text")];

/// Clocks, sockets, threads, files, processes, randomness, runtimes.
const IO_NAMES: &[&str] = &[
    "std::net",
    "std::fs",
    "std::thread",
    "std::process",
    "std::io",
    "std::time",
    "std::env",
    "std::os",
    "std::{",
    "Instant::now",
    "SystemTime",
    "tokio",
    "smol",
    "async_std",
    "mio::",
    "async fn",
    ".await",
    "rand::",
    "getrandom",
];

/// The one exception: `bytes` asks for it under its feature `std`.
const IO_ALLOWED: &str = "std::io::IoSlice";

/// Split so that this file does not find itself.
const LEFT_OPEN: &[&str] = &[
    concat!("to", "do!"),
    concat!("un", "implemented!"),
    concat!("un", "reachable!"),
    concat!("#[ig", "nore"),
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
    concat!("thread", "::sleep"),
];

const REGISTRY_HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("npm", "js.org"),
    concat!("deb.", "debian.org"),
    concat!("security.", "debian.org"),
    concat!("proxy.", "golang.org"),
];

const LONGEST_FILE: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every `.rs` file under `folder`, sorted, as path from the crate's root and text. `target` folders are left out.
fn rust_files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    files.sort();
    files
}

fn report(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}:\n  {}", violations.join("\n  "));
}

fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// `source` with comments and the insides of string and character literals blanked, line by line in place.
fn code_only(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = skipped_to(bytes, at);
        for byte in &mut code[at..end.unwrap_or(at)] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.unwrap_or(at + 1).max(at + 1);
    }
    String::from_utf8(code).unwrap()
}

/// Where the comment or literal that starts at `at` ends; `None` when none starts there.
fn skipped_to(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let word_before = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if rest.starts_with(b"//") {
        return Some(at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()));
    }
    if rest.starts_with(b"/*") {
        return Some(block_comment_end(bytes, at));
    }
    if rest[0] == b'"' {
        return Some(quoted_end(bytes, at + 1, b'"'));
    }
    if !word_before {
        let raw = rest.strip_prefix(b"b").unwrap_or(rest);
        if let Some(raw) = raw.strip_prefix(b"r") {
            let hashes = raw.iter().take_while(|byte| **byte == b'#').count();
            if raw.get(hashes) == Some(&b'"') {
                let close: Vec<u8> = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
                let start = bytes.len() - raw.len() + hashes + 1;
                let length = bytes[start..].windows(close.len()).position(|window| window == close);
                return Some(length.map_or(bytes.len(), |length| start + length + close.len()));
            }
        }
    }
    // A character literal, not a lifetime: `'x'` or `'\…'`. Multi-byte characters end within five bytes.
    if rest[0] == b'\'' {
        if rest.get(1) == Some(&b'\\') {
            return Some(quoted_end(bytes, at + 1, b'\''));
        }
        let close = rest.iter().skip(2).take(4).position(|byte| *byte == b'\'').map(|length| length + 2);
        if let Some(close) = close {
            let inside = std::str::from_utf8(&rest[1..close]).unwrap_or("");
            if inside.chars().count() == 1 {
                return Some(at + close + 1);
            }
        }
    }
    None
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut depth, mut at) = (0, start);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if bytes[at..].starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn quoted_end(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// The module path of a file: `src/git/fetch/client.rs` is `[git, fetch, client]`, `src/git/mod.rs` is `[git]`.
fn module_path(file: &Path) -> Vec<String> {
    let inside = file.strip_prefix("src").unwrap().with_extension("");
    let mut parts: Vec<String> =
        inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod" || last == "lib") {
        parts.pop();
    }
    parts
}

/// The names directly behind `path::` at the start of `rest`: one, or each of a `{…}` group.
fn first_names(rest: &str) -> Vec<String> {
    let ident = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = rest.trim_start().strip_prefix('{') else { return vec![ident(rest)] };
    let (mut depth, mut start, mut names) = (0_usize, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(ident(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(ident(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    names
}

/// Every top-level name that `code` reaches, with the offset: through `crate::…` or enough `super::`.
fn reached(code: &str, depth: usize) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        names.extend(first_names(&code[at + "crate::".len()..]).into_iter().map(|name| (at, name)));
    }
    let mut from = 0;
    while let Some(at) = code[from..].find("super::").map(|at| at + from) {
        let mut end = at;
        let mut supers = 0;
        while code[end..].starts_with("super::") {
            (end, supers) = (end + "super::".len(), supers + 1);
        }
        if supers >= depth {
            names.extend(first_names(&code[end..]).into_iter().map(|name| (at, name)));
        }
        from = end;
    }
    names
}

#[test]
fn src_names_no_clock_socket_thread_file_or_runtime() {
    let mut violations = Vec::new();
    for (file, text) in rust_files("src") {
        let code = code_only(&text);
        for name in IO_NAMES {
            for (at, _) in code.match_indices(name) {
                let inside_word = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
                    || (!name.ends_with([':', '{'])
                        && code[at + name.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'));
                if !inside_word && !code[at..].starts_with(IO_ALLOWED) {
                    violations.push(format!("{}:{}: `{name}`", file.display(), line_of(&code, at)));
                }
            }
        }
    }
    report("src/ does no IO: the driver owns clocks, sockets, threads, files and runtimes", &violations);
}

#[test]
fn imports_only_run_downwards() {
    let mut violations = Vec::new();
    for (file, text) in rust_files("src") {
        let path = module_path(&file);
        let Some(module) = path.first() else { continue }; // lib.rs is the map of all
        let Some((_, below)) = LAYERS.iter().find(|(name, _)| name == module) else {
            violations.push(format!("{}:1: `{module}` has no place in LAYERS", file.display()));
            continue;
        };
        let code = code_only(&text);
        for (at, name) in reached(&code, path.len()) {
            let target = ROOT_NAMES.iter().find(|(root, _)| *root == name).map_or(&*name, |(_, home)| home);
            let known = LAYERS.iter().any(|(layer, _)| *layer == target);
            if known && target != module && !below.contains(&target) {
                let line = line_of(&code, at);
                violations.push(format!("{}:{line}: `{module}` imports `{target}`", file.display()));
            }
        }
    }
    report("a module imports only what stands below it (LAYERS)", &violations);
}

/// The table itself: what stands below is written above, and the two wings do not know each other.
#[test]
fn the_table_of_layers_is_a_ladder() {
    for (place, (module, below)) in LAYERS.iter().enumerate() {
        for lower in *below {
            assert!(
                LAYERS[..place].iter().any(|(name, _)| name == lower),
                "`{module}` may import `{lower}`, which does not stand above it in LAYERS"
            );
        }
    }
    let below = |module: &str| LAYERS.iter().find(|(name, _)| *name == module).unwrap().1;
    for port in ["frame", "port", "stream"] {
        for git in ["pkt", "git", "sync"] {
            assert!(!below(port).contains(&git) && !below(git).contains(&port));
        }
    }
}

/// Within `body` too: queues, readable streams and forms stand beside the streams, and only `over` stands on them.
#[test]
fn only_the_transfers_over_streams_know_streams() {
    let mut violations = Vec::new();
    for (file, text) in rust_files("src/body") {
        let path = module_path(&file);
        if path.get(1).is_some_and(|module| module == "over") {
            continue;
        }
        let code = code_only(&text);
        for (at, name) in reached(&code, path.len()) {
            if ["frame", "port", "stream"].contains(&&*name) {
                violations.push(format!("{}:{}: imports `{name}`", file.display(), line_of(&code, at)));
            }
        }
    }
    report("in body, only `over` imports the streams", &violations);
}

#[test]
fn files_are_short_enough_to_read() {
    let violations: Vec<String> = rust_files("src")
        .iter()
        .filter(|(_, text)| text.lines().count() > LONGEST_FILE)
        .map(|(file, text)| {
            format!("{}:{}: {} lines", file.display(), LONGEST_FILE + 1, text.lines().count())
        })
        .collect();
    report("no file in src/ over 600 lines: one machine or one idea a file", &violations);
}

#[test]
fn the_crate_is_no_std_and_forbids_unsafe_code() {
    let lib = code_only(&fs::read_to_string(root().join("src/lib.rs")).unwrap());
    for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
        assert!(lib.contains(attribute), "src/lib.rs:1: {attribute} is missing");
    }
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\""), "Cargo.toml:1: [lints.rust] forbids unsafe_code");
}

#[test]
fn nothing_is_left_open_skipped_or_slept_on() {
    let mut violations = Vec::new();
    for folder in ["src", "tests", "examples"] {
        for (file, text) in rust_files(folder) {
            for (number, line) in text.lines().enumerate() {
                for needle in LEFT_OPEN.iter().filter(|needle| line.contains(**needle)) {
                    violations.push(format!("{}:{}: `{needle}`", file.display(), number + 1));
                }
            }
        }
    }
    report("src, tests and examples hold no stubs, skipped tests or sleeps", &violations);
}

#[test]
fn no_file_names_a_package_registry() {
    let listed = Command::new("git").arg("ls-files").arg("-z").current_dir(root()).output();
    let files: Vec<PathBuf> = match listed {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).split_terminator('\0').map(PathBuf::from).collect()
        }
        // Not a work tree (an unpacked package): the sources at least.
        _ => ["src", "tests", "examples", "benches"]
            .iter()
            .flat_map(|folder| rust_files(folder))
            .map(|(path, _)| path)
            .collect(),
    };
    let mut violations = Vec::new();
    // A lock file names the registry by itself: that is cargo's, not ours.
    for file in files.iter().filter(|file| !file.ends_with("Cargo.lock")) {
        let Ok(bytes) = fs::read(root().join(file)) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        for host in REGISTRY_HOSTS {
            for (at, _) in text.match_indices(host) {
                violations.push(format!("{}:{}: `{host}`", file.display(), line_of(&text, at)));
            }
        }
    }
    report("no committed file names a package registry's host", &violations);
}

/// The scanner that the rules above stand on.
#[test]
fn the_scanner_sees_code_and_only_code() {
    let source = "use crate::{git::{self, Ref}, pkt}; // tokio\n/* a /* b */ c */ let s = \"std::fs\\\"\";\n\
                  let r = br#\"std::net\"#; let c = '\"'; let q = '\\''; fn f<'a>(x: &'a str) {} // std::io\nend";
    let code = code_only(source);
    assert_eq!(code.lines().count(), source.lines().count());
    for hidden in ["tokio", "std::", "a /*"] {
        assert!(!code.contains(hidden), "{hidden} in {code}");
    }
    assert!(code.contains("fn f<'a>(x: &'a str) {}") && code.ends_with("end"));
    let names: Vec<String> = reached(&code, 1).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["git", "pkt"]);
    let up: Vec<String> =
        reached("use super::x; use super::super::port::y;", 2).into_iter().map(|n| n.1).collect();
    assert_eq!(up, ["port"]);
}
