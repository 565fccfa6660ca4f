//! The table that `git_client` prints: a line for each ref.

use std::io::{self, Write};

use bytes::Bytes;
use portline::Printable;
use portline::git::push::{Change, Command};

use crate::support::Error;

/// What became of one ref.
#[derive(Debug)]
pub struct Line {
    /// The other side's name for it, if it has another one.
    pub source: Option<Vec<u8>>,
    /// What was asked.
    pub command: Command,
    /// Why it was refused.
    pub reason: Option<Bytes>,
}

/// The lines so far.
#[derive(Debug, Default)]
pub struct Table(Vec<Line>);

impl Table {
    /// Adds a line.
    pub fn push(&mut self, line: Line) {
        self.0.push(line);
    }

    /// Whether nothing was refused.
    pub fn is_clean(&self) -> bool {
        self.0.iter().all(|line| line.reason.is_none())
    }

    /// Prints all lines and tells whether nothing was refused.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn print(&self) -> Result<bool, Error> {
        let mut output = io::stdout().lock();
        for line in &self.0 {
            line.print(&mut output).map_err(Error::io("standard output"))?;
        }
        Ok(self.is_clean())
    }
}

impl Line {
    fn print(&self, output: &mut impl Write) -> io::Result<()> {
        let Command { name, old, new } = &self.command;
        let what = match self.command.change() {
            Change::Create => "[new]".to_owned(),
            Change::Delete => "[deleted]".to_owned(),
            Change::Update => format!("{old:.7}..{new:.7}"),
        };
        let (mark, what) = if self.reason.is_some() { ('!', "[rejected]".to_owned()) } else { ('*', what) };
        write!(output, " {mark} {what:<16} ")?;
        if let Some(source) = &self.source {
            write!(output, "{} -> ", Printable(source))?;
        }
        write!(output, "{}", Printable(name.as_bytes()))?;
        match &self.reason {
            Some(reason) => writeln!(output, " ({})", Printable(reason).to_string().replace('\n', " ")),
            None => writeln!(output),
        }
    }
}
