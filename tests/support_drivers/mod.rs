//! Programs of packages that are not the crate's own, built once by whoever needs one first: in the target folder of the
//! test itself, where the crate and all that it depends on lie ready.
#![allow(dead_code, unreachable_pub)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Builds the programs of a package; the folder that they are in. The versions are those of its lock file.
fn build(folder: &str, package: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--package", package, "--target-dir"]);
    cargo.arg(profile.parent().unwrap());
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{package}:\n{}", String::from_utf8_lossy(&output.stderr));
    profile.to_owned()
}

fn program(directory: &Path, name: &str) -> PathBuf {
    directory.join(name).with_extension(std::env::consts::EXE_EXTENSION)
}

/// `drive_tokio`, `drive_smol` or `rpc_streams`.
pub fn on_a_runtime(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    program(BUILT.get_or_init(|| build("", "portline-drivers")), name)
}

/// `drive_embedded`, which is a workspace of its own.
pub fn embedded() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    program(BUILT.get_or_init(|| build("examples/drive_embedded", "drive_embedded")), "drive_embedded")
}
