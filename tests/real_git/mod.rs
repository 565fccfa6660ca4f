//! Running the real git in a folder, with nothing of this machine's configuration and with fixed names and dates.
#![allow(dead_code, unreachable_pub)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The configuration of all Gits of the tests.
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gitconfig");

/// The command `git`.
pub fn git(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", dir).env("GIT_CONFIG_GLOBAL", CONFIG).env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "A").env(format!("GIT_{who}_EMAIL"), "a@example.org");
        command.env(format!("GIT_{who}_DATE"), "1000000000 +0000");
    }
    command
}

/// Runs git; whether it succeeded, and what it wrote.
pub fn try_git(dir: &Path, args: &[&str], input: &[u8]) -> (bool, Vec<u8>) {
    git_with(dir, &[], args, input)
}

/// The same with more in its environment.
pub fn git_with(dir: &Path, environment: &[(&str, &str)], args: &[&str], input: &[u8]) -> (bool, Vec<u8>) {
    let mut child = git(dir)
        .args(args)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    // Written beside reading, so that neither pipe can fill up; a git that has left does not mind.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (output.status.success(), output.stdout)
}

/// Runs git, which must succeed; what it wrote.
pub fn git_output(dir: &Path, args: &[&str], input: &[u8]) -> Vec<u8> {
    let (fine, output) = try_git(dir, args, input);
    assert!(fine, "git {args:?}");
    output
}

/// Runs git, which must succeed; what it wrote without the last LF.
pub fn run_git(dir: &Path, args: &[&str], input: &[u8]) -> String {
    String::from_utf8(git_output(dir, args, input)).unwrap().trim_end().to_owned()
}

/// Whether there is a git on the path.
pub fn has_git() -> bool {
    Command::new("git").arg("--version").output().is_ok_and(|output| output.status.success())
}
