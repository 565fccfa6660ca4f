//! Progress on standard error: a bar that redraws itself on a terminal, the last line of each otherwise.

use std::io::{self, IsTerminal, Write};

use portline::Printable;
use portline::git::{Progress, ProgressLine, ProgressLines};

/// Cells of a bar.
const WIDTH: usize = 24;

/// Both sides' progress.
#[derive(Debug)]
pub struct Bars {
    local: ProgressLines,
    remote: ProgressLines,
    terminal: bool,
}

impl Bars {
    /// Nothing shown yet.
    pub fn new() -> Self {
        Self {
            local: ProgressLines::new(),
            remote: ProgressLines::new(),
            terminal: io::stderr().is_terminal(),
        }
    }

    /// What a program of ours says.
    pub fn local(&mut self, bytes: &[u8]) {
        let lines = self.local.handle_bytes(bytes);
        self.show("left", &lines);
    }

    /// What the other side says.
    pub fn remote(&mut self, bytes: &[u8]) {
        let lines = self.remote.handle_bytes(bytes);
        self.show("right", &lines);
    }

    fn show(&self, side: &str, lines: &[ProgressLine]) {
        for line in lines.iter().filter(|line| self.terminal || !line.transient) {
            let end = if line.transient { "\r" } else { "\n" };
            // A terminal that is gone is no reason to stop.
            let _ = io::stderr().write_all(format!("  {side:<5} {}{end}", render(line)).as_bytes());
        }
    }
}

fn render(line: &ProgressLine) -> String {
    let plain = || Printable(&line.text).to_string();
    let Some(progress) = Progress::parse(&line.text) else { return plain() };
    let Some(percent) = progress.percent else { return plain() };
    let full = WIDTH.saturating_mul(usize::from(percent)) / 100;
    let bar = "█".repeat(full) + &"·".repeat(WIDTH.saturating_sub(full));
    let counts = match (progress.count, progress.total) {
        (Some(count), Some(total)) => format!("{count}/{total}"),
        (Some(count), None) => count.to_string(),
        (None, _) => String::new(),
    };
    format!("{bar} {percent:>3}%  {} {counts}", Printable(progress.title))
}
