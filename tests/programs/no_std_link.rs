//! The crate links and runs without `std`: a freestanding program (`tests/no_std`) is built, shown to hold nothing
//! but itself, and run.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::process::Command;

use crate::freestanding::Package;

const NO_STD: Package = Package { folder: "tests/no_std", name: "portline-no-std" };

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
    let program = NO_STD.build(&["--release"]);
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
    let tree = NO_STD.cargo(&["tree", "--edges", "normal,features,no-proc-macro", "--prefix", "none"]);
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("portline v"), "{tree}");
    for line in tree.lines() {
        assert!(!line.contains("feature \"std\""), "{line}\nin\n{tree}");
        assert!(!line.starts_with("portline feature \"default\""), "{line}");
    }
}

#[test]
fn its_lock_file_agrees_with_the_crates() {
    NO_STD.check_lock_file();
}
