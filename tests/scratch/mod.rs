//! Folders for what a test writes; each goes with its test.
//!
//! They are in memory where the machine has room there. Repositories are thousands of small files, and a file system may
//! take its time with new files while many were deleted a moment ago: ext4 passes over the place of each of them.
#![allow(dead_code, unreachable_pub)]

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// KiB that have to be free in memory; a whole `cargo test` was never seen to hold 3 % of it at once.
const ROOM: u64 = 1 << 20;
const SHARED_MEMORY: &str = "/dev/shm";

/// A new folder.
pub fn scratch() -> TempDir {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    let place = PLACE.get_or_init(|| match std::env::var_os("TMPDIR") {
        // Somebody has chosen.
        Some(_) => std::env::temp_dir(),
        None => in_memory().unwrap_or_else(std::env::temp_dir),
    });
    tempfile::Builder::new().prefix("portline").tempdir_in(place).unwrap()
}

/// The file system in memory that a Linux system has, if hooks may run there and enough is free.
fn in_memory() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/mounts").ok()?;
    let mount = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .rfind(|mount| mount.get(1) == Some(&SHARED_MEMORY))?;
    let runs = *mount.get(2)? == "tmpfs"
        && mount.get(3)?.split(',').all(|option| option != "noexec" && option != "ro");
    let told = Command::new("df").args(["-Pk", SHARED_MEMORY]).output().ok()?;
    let told = String::from_utf8(told.stdout).ok()?;
    let free: u64 = told.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    (runs && free >= ROOM).then(|| PathBuf::from(SHARED_MEMORY))
}
