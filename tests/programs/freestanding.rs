//! A package that is a workspace of its own, because the crate has no `std` in it. Each has its own target folder as
//! well: none waits for the other's build, nor for the one that the tests themselves may still be in.
#![allow(unreachable_pub)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where it is in the project, and its name.
pub struct Package {
    pub folder: &'static str,
    pub name: &'static str,
}

impl Package {
    /// Runs cargo there. The versions are those of its lock file, so nothing is fetched that is not here already.
    pub fn cargo(&self, args: &[&str]) -> Output {
        let output = Command::new(env!("CARGO"))
            .args(args)
            .arg("--locked")
            .current_dir(root().join(self.folder))
            .env("CARGO_TARGET_DIR", self.target())
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .output()
            .unwrap();
        assert!(output.status.success(), "cargo {args:?}:\n{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// The program, built.
    pub fn build(&self, profile: &[&str]) -> PathBuf {
        self.cargo(&[&["build", "--quiet"], profile].concat());
        let folder = if profile.is_empty() { "debug" } else { "release" };
        self.target().join(folder).join(self.name)
    }

    fn target(&self) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.name)
    }

    /// One set of versions: the package is built of what the crate is tested with.
    pub fn check_lock_file(&self) {
        let ours = locked(&root().join("Cargo.lock"));
        for package in locked(&root().join(self.folder).join("Cargo.lock")) {
            assert!(package.0 == self.name || ours.contains(&package), "{package:?} is not in Cargo.lock");
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names and versions in a lock file.
fn locked(path: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(path).unwrap();
    let value = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim_matches([' ', '=', '"']).to_owned()
    };
    text.split("[[package]]").skip(1).map(|block| (value(block, "name"), value(block, "version"))).collect()
}
