//! Progress on standard error: a bar that redraws itself on a terminal, the last line of each otherwise.

use std::io::{self, IsTerminal, Write};

use portline::Printable;
use portline::git::{Progress, ProgressLine, ProgressLines};

/// Cells of a bar.
const WIDTH: usize = 24;

/// Bytes of a pack between two looks at how many there are.
const STEP: u64 = 256 << 10;

/// Both sides' progress.
#[derive(Debug)]
pub struct Bars {
    local: ProgressLines,
    remote: ProgressLines,
    terminal: bool,
    /// The pack under way: where it goes, its bytes so far, and how many were shown.
    pack: Option<(&'static str, u64, u64)>,
}

impl Bars {
    /// Nothing shown yet.
    pub fn new() -> Self {
        Self {
            local: ProgressLines::new(),
            remote: ProgressLines::new(),
            terminal: io::stderr().is_terminal(),
            pack: None,
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

    /// Bytes of a pack came from the right.
    pub fn fetched(&mut self, bytes: usize) {
        self.count("left  ← pack", bytes);
    }

    /// Bytes of a pack go to the right.
    pub fn pushed(&mut self, bytes: usize) {
        self.count("right ← pack", bytes);
    }

    fn count(&mut self, whither: &'static str, bytes: usize) {
        let (_, all, shown) = self.pack.get_or_insert((whither, 0, 0));
        *all = all.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.terminal && all.saturating_sub(*shown) >= STEP {
            *shown = *all;
            write(&format!("  {whither} {}\x1b[K\r", size(*all)));
        }
    }

    /// The pack is complete.
    pub fn moved(&mut self) {
        if let Some((whither, all, _)) = self.pack.take() {
            write(&format!("  {whither} {}{}\n", size(all), self.rest_of_line()));
        }
    }

    /// What passed in all: bytes read and written.
    pub fn traffic(&self, (read, written): (u64, u64)) {
        write(&format!("  {read} bytes came from the right, {written} went to it.{}\n", self.rest_of_line()));
    }

    /// Something for the user that is no progress.
    pub fn note(&mut self, text: &str) {
        self.pack = None;
        write(&format!("  {text}{}\n", self.rest_of_line()));
    }

    /// Clears what a longer line before this one left on a terminal.
    const fn rest_of_line(&self) -> &'static str {
        if self.terminal { "\x1b[K" } else { "" }
    }

    fn show(&self, side: &str, lines: &[ProgressLine]) {
        for line in lines.iter().filter(|line| self.terminal || !line.transient) {
            let end = if line.transient { "\r" } else { "\n" };
            write(&format!("  {side:<5} {}{}{end}", render(line), self.rest_of_line()));
        }
    }
}

/// A terminal that is gone is no reason to stop.
fn write(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Bytes as people read them.
pub fn size(bytes: u64) -> String {
    let tenths = |unit: u64| {
        let tenths = bytes.saturating_mul(10).checked_div(unit).unwrap_or(0);
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", tenths(1 << 10)),
        1_048_576..1_073_741_824 => format!("{} MiB", tenths(1 << 20)),
        _ => format!("{} GiB", tenths(1 << 30)),
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
