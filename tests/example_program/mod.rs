//! The examples' binaries, for tests that run them as a person would.
#![allow(unreachable_pub)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of an example's binary, built from the present sources.
pub fn example(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let directory = BUILT.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().and_then(Path::parent).unwrap().to_owned();
        // With the same packages selected as by a plain `cargo test`, which therefore has built them already.
        let workspace =
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|at| at.join("Cargo.lock").exists());
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--examples", "--target-dir"]).arg(profile.parent().unwrap());
        cargo.current_dir(workspace.unwrap());
        if profile.file_name() == Some(OsStr::new("release")) {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "the examples do not build");
        profile.join("examples")
    });
    directory.join(name).with_extension(std::env::consts::EXE_EXTENSION)
}
