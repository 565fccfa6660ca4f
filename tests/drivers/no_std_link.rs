//! The crate links and runs without `std`: a freestanding program (`tests/no_std`) is built, shown to hold nothing
//! but itself, and run.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/no_std")
}

/// Runs cargo on the freestanding crate. Its own target folder: the one of this test may be locked. The versions
/// are those of the crate's own lock file, so nothing is fetched that is not here already.
fn cargo(args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO"))
        .args(args)
        .arg("--locked")
        .current_dir(folder())
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("no_std"))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo {args:?}:\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The types of an ELF file's program headers.
fn segments(elf: &[u8]) -> Vec<u32> {
    assert_eq!(&elf[..6], b"\x7fELF\x02\x01", "a 64-bit little-endian ELF file");
    let number = |at: usize, length: usize| {
        elf[at..at + length].iter().rev().fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte))
    };
    let (start, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count).map(|at| u32::try_from(number(start + at * size, 4)).unwrap()).collect()
}

#[test]
fn a_program_without_an_operating_systems_library_links_and_runs() {
    cargo(&["build", "--release", "--quiet"]);
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no_std/release/portline-no-std");
    let elf = std::fs::read(&program).unwrap();
    let segments = segments(&elf);
    assert!(segments.contains(&1), "something is loaded");
    assert!(!segments.contains(&2), "it has a dynamic section: it links a library");
    assert!(!segments.contains(&3), "it asks for a dynamic loader");
    let status = Command::new(&program).status().unwrap();
    assert_eq!(status.code(), Some(0), "the exchange failed at this step (100: a panic, none: a signal)");
}

#[test]
fn no_dependency_of_it_has_its_std_feature_on() {
    let tree = cargo(&["tree", "--edges", "normal,features,no-proc-macro", "--prefix", "none"]);
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("portline v"), "{tree}");
    for line in tree.lines() {
        assert!(!line.contains("feature \"std\""), "{line}\nin\n{tree}");
        assert!(!line.starts_with("portline feature \"default\""), "{line}");
    }
}

/// One set of versions: the freestanding program is built of what the crate is tested with.
#[test]
fn its_lock_file_agrees_with_the_crates() {
    let packages = |path: PathBuf| -> Vec<(String, String)> {
        let text = std::fs::read_to_string(path).unwrap();
        let value = |block: &str, key: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("");
            line.trim_matches([' ', '=', '"']).to_owned()
        };
        text.split("[[package]]")
            .skip(1)
            .map(|block| (value(block, "name"), value(block, "version")))
            .filter(|(name, _)| name != "portline-no-std")
            .collect()
    };
    let ours = packages(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"));
    for package in packages(folder().join("Cargo.lock")) {
        assert!(ours.contains(&package), "{package:?} is not in Cargo.lock");
    }
}
