//! Runs some tests of a program, with a mutant switched on or with what they come by written down, and for no longer
//! than they may take.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::Result;
use crate::build::{Folders, Program};

/// Memory that a test program may map, in KiB: a mutant that collects without end is stopped before the machine is.
const MEMORY: u64 = 6 << 20;
/// How much longer than by itself a test may take.
const PATIENCE: u32 = 5;

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Passed,
    Failed,
    /// It was stopped: a mutant in it goes round in circles, or waits for what never comes.
    Stopped,
}

/// Runs `tests` of a program, which take `usual` when nothing is wrong. `switch` is what is said to the mutants.
pub fn run(
    folders: &Folders,
    scratch: &Path,
    program: &Program,
    tests: &[&str],
    switch: &str,
    usual: Duration,
) -> Result<Ended> {
    // Time on a processor is what circles use up, however busy the machine is; the clock is for what waits.
    let processor = 5 + (usual * PATIENCE).as_secs();
    let clock = Duration::from_secs(60) + usual * PATIENCE * 4;
    fs::create_dir_all(scratch)?;
    let mut command = Command::new("sh");
    folders.settings(&mut command);
    command
        .arg("-c")
        .arg(format!("ulimit -c 0; ulimit -v {MEMORY}; ulimit -t {processor}; exec \"$@\""))
        .arg("sh")
        .arg(&program.path)
        .args(["--quiet", "--exact"])
        .args(tests)
        .env("PORTLINE_MUTANT", switch)
        .env("RUST_BACKTRACE", "0")
        .env("TMPDIR", scratch)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    let mut child = command.spawn()?;
    let group = format!("-{}", child.id());
    let (tell, told) = mpsc::channel();
    let waiter = std::thread::spawn(move || tell.send(child.wait()));
    let status = told.recv_timeout(clock).ok().transpose()?;
    let ended = match status {
        Some(status) if status.success() => Ended::Passed,
        // A test that fails says so with 101; whatever else ends a program is a limit, or an abort.
        Some(status) if status.code() == Some(101) => Ended::Failed,
        Some(_) | None => Ended::Stopped,
    };
    if ended != Ended::Passed {
        // And whatever it left running.
        drop(Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status());
    }
    drop(waiter.join());
    fs::remove_dir_all(scratch)?;
    Ok(ended)
}

/// The names of a program's tests.
pub fn tests(folders: &Folders, program: &Program) -> Result<Vec<String>> {
    let mut command = Command::new(&program.path);
    folders.settings(&mut command);
    let told = command.args(["--list", "--format", "terse"]).output()?;
    let text = String::from_utf8(told.stdout)?;
    Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}
