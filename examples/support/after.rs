//! What a push leaves to be done when its report is out: the hooks that are told, and Git's own upkeep.

use std::ffi::OsString;

use bytes::Bytes;
use portline::git::push::Command;
use portline::git::push::report::Updated;

use super::border::Border;
use super::drive::{Mailbox, Work};
use super::error::Error;
use super::hooks::{Call, Environment, Hooks};
use super::repository::Repository;

/// One command that was carried out, and what became of it.
#[derive(Clone, Debug)]
pub struct Done {
    /// The command.
    pub command: Command,
    /// What was done instead of it, if anything.
    pub updates: Vec<Updated>,
}

/// What is left to be done. Dropping it does it: a client that is gone does not keep hooks from being told.
#[derive(Debug)]
pub struct After {
    /// Where.
    pub repository: Repository,
    /// Where messages go.
    pub mailbox: Mailbox,
    /// What was done, in the order of the commands.
    pub done: Vec<Done>,
    /// What `post-receive` has in its environment.
    pub environment: Environment,
    /// What every hook has in its environment.
    pub common: Vec<(&'static str, OsString)>,
    /// The client's shallow border, which hooks still read.
    pub border: Option<Border>,
}

impl After {
    /// Does it. What the hooks answer changes nothing any more.
    pub fn run(self) {
        drop(self);
    }

    fn steps(&self) -> Result<(), Error> {
        let git = self.repository.git().with(self.common.iter().cloned());
        let hooks = Hooks::find(self.repository.git(), &self.mailbox)?;
        if !self.done.is_empty() {
            let (input, environment) = (self.lines(), &self.environment[..]);
            hooks.run(&git, "post-receive", Call { input, environment, ..Call::default() })?;
            let arguments = self.done.iter().map(|one| one.command.name.as_bytes()).collect();
            hooks.run(&git, "post-update", Call { arguments, ..Call::default() })?;
        }
        let config = self.repository.config();
        if config.truth("receive.autogc").unwrap_or(true) {
            hooks.run_to_end(git.command(&["maintenance", "run", "--auto", "--quiet"]), Vec::new())?;
        }
        if config.truth("receive.updateserverinfo").unwrap_or(false) {
            hooks.run_to_end(git.command(&["update-server-info"]), Vec::new())?;
        }
        Ok(())
    }

    /// `old SP new SP name LF` for each update that was made.
    fn lines(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for Done { command, updates } in &self.done {
            let as_asked = [Updated::default()];
            for update in if updates.is_empty() { &as_asked[..] } else { updates } {
                let (old, new) = (update.old.unwrap_or(command.old), update.new.unwrap_or(command.new));
                text.extend_from_slice(format!("{old} {new} ").as_bytes());
                text.extend_from_slice(update.name.as_ref().unwrap_or(&command.name).as_bytes());
                text.push(b'\n');
            }
        }
        text
    }
}

impl Drop for After {
    fn drop(&mut self) {
        if let Err(error) = self.steps() {
            self.mailbox.post(Work::Message(Bytes::from(format!("error: {error}\n"))));
        }
    }
}
