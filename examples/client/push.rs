//! `git_client push`: what is pushed where, and what became of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Write};

use bytes::Bytes;
use portline::Printable;
use portline::git::push::Command;
use portline::git::push::client::{Client, Config, Signing};
use portline::git::push::report::Report;
use portline::git::{Advertisement, ObjectId, RefName, Service};

use super::options::{Options, PushTask, Sign, open};
use super::refused_move;
use super::table::{Line, Table};
use crate::support::drive::{Drive, GitSession};
use crate::support::push::PushDriver;
use crate::support::refspec::Refspec;
use crate::support::{Error, Repository, refs, sign};

/// Pushes what may be pushed and prints what became of each ref.
///
/// # Errors
/// Whatever kept the server from reporting.
pub fn push(options: &Options, task: &PushTask) -> Result<bool, Error> {
    let repository = open(&task.directory)?;
    let mut specs = Vec::with_capacity(task.specs.len());
    for spec in &task.specs {
        Spec::parse(&repository, spec, task.force, &mut specs)?;
    }
    let config = config(options, task, &repository)?;
    let (connection, request) = options.connect(Service::ReceivePack)?;
    let config = Config { request, ..config };
    let planned = RefCell::new((Vec::new(), Table::default()));
    let choose = |seen: &Advertisement| {
        let mut planned = planned.borrow_mut();
        let (commands, table) = &mut *planned;
        plan(&repository, &specs, seen, commands, table)?;
        if task.atomic && !table.is_clean() {
            for command in commands.drain(..) {
                table.push(Line { source: None, command, reason: Some("atomic push failed".into()) });
            }
        }
        Ok(commands.clone())
    };
    let drive = Drive::new(connection);
    let mut driver = PushDriver::new(&repository, drive.mailbox(), Box::new(choose), options.progress)?;
    let machine = Client::new(config, drive.now());
    let ran = drive.run(&mut GitSession { machine, driver: &mut driver });
    let report = driver.into_result(ran)?;
    let (commands, table) = planned.into_inner();
    show(commands, report, table)
}

fn config(options: &Options, task: &PushTask, repository: &Repository) -> Result<Config, Error> {
    let signing = match task.sign {
        Sign::Never => None,
        Sign::IfAsked | Sign::Always => Some(Signing {
            pusher: sign::identity(repository)?.into(),
            pushee: options.remote.url().map(Bytes::from),
            required: task.sign == Sign::Always,
        }),
    };
    Ok(Config {
        atomic: task.atomic,
        quiet: !options.progress,
        push_options: task.options.clone(),
        session_id: repository.session_id(),
        shallow: repository.shallow()?,
        signing,
        idle_timeout: options.timeout,
        ..Config::default()
    })
}

/// What the server did, under the names that it gave it.
fn show(commands: Vec<Command>, report: Report, mut table: Table) -> Result<bool, Error> {
    if let Err(reason) = &report.unpack {
        let shown = writeln!(io::stderr(), "error: remote unpack failed: {}", Printable(reason));
        shown.map_err(Error::io("standard error"))?;
    }
    for (command, told) in commands.into_iter().zip(report.refs) {
        let reason = told.result.err();
        if told.updates.is_empty() || reason.is_some() {
            table.push(Line { source: None, command, reason });
            continue;
        }
        for update in told.updates {
            let source = update.name.is_some().then(|| command.name.as_bytes().to_vec());
            let done = Command {
                name: update.name.unwrap_or_else(|| command.name.clone()),
                old: update.old.unwrap_or(command.old),
                new: update.new.unwrap_or(command.new),
            };
            table.push(Line { source, command: done, reason: None });
        }
    }
    Ok(table.print()? && report.unpack.is_ok())
}

/// One ref to push, resolved as far as that goes without the server.
struct Spec {
    source: Option<ObjectId>,
    target: RefName,
    force: bool,
}

impl Spec {
    /// `[+]SRC[:DST]`, or a pattern with a `*` on both sides, which stands for all our refs that fit.
    fn parse(repository: &Repository, text: &str, force: bool, into: &mut Vec<Self>) -> Result<(), Error> {
        if text.contains('*') {
            let pattern = Refspec::parse(text)?;
            let force = force || text.starts_with('+');
            let listed = refs::plain(repository.git())?;
            into.extend(listed.into_iter().filter_map(|entry| {
                let target = pattern.map(&entry.name)?;
                Some(Self { source: Some(entry.id), target, force })
            }));
            return Ok(());
        }
        let (force, text) = text.strip_prefix('+').map_or((force, text), |rest| (true, rest));
        let (source, target) = text.split_once(':').unwrap_or((text, ""));
        let target = if target.is_empty() {
            let asked = ["rev-parse", "--symbolic-full-name", "--verify", "-q", "--end-of-options", source];
            let full = repository.git().run(&asked, Vec::new())?.stdout;
            let full = full.trim_ascii();
            full.strip_prefix(b"--end-of-options").unwrap_or(full).trim_ascii().to_vec()
        } else if target.starts_with("refs/") {
            target.into()
        } else {
            format!("refs/heads/{target}").into()
        };
        let target = RefName::new(&target)
            .map_err(|error| Error::Usage(format!("'{text}' does not say which ref to push to: {error}")))?;
        let source = if source.is_empty() { None } else { Some(repository.resolve_revision(source)?) };
        into.push(Self { source, target, force });
        Ok(())
    }
}

/// What to ask the server for; what must not be asked without force goes straight into the table.
fn plan(
    repository: &Repository,
    specs: &[Spec],
    seen: &Advertisement,
    commands: &mut Vec<Command>,
    table: &mut Table,
) -> Result<(), Error> {
    let null = ObjectId::null(repository.format());
    let known: HashMap<&RefName, ObjectId> = seen.refs.iter().map(|entry| (&entry.name, entry.id)).collect();
    for spec in specs {
        let old = known.get(&spec.target).copied().unwrap_or(null);
        let command = Command { name: spec.target.clone(), old, new: spec.source.unwrap_or(null) };
        let reason = if command.old == command.new {
            if !command.new.is_null() {
                continue;
            }
            Some("remote ref does not exist")
        } else if spec.force {
            None
        } else {
            refused_move(repository, &command)?
        };
        match reason {
            Some(reason) => table.push(Line { source: None, command, reason: Some(reason.into()) }),
            None => commands.push(command),
        }
    }
    Ok(())
}
