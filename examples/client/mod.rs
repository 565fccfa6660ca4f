//! The three commands of `git_client`: a session each, and what becomes of its result.

#![allow(unreachable_pub)]

mod extent;
pub mod options;
pub mod push;
mod several;
mod table;

use std::collections::HashMap;
use std::io::{self, Write};

use portline::git::fetch::client::{Action, Client, Config, Listing, Outcome};
use portline::git::push::{Change, Command};
use portline::git::{Advertisement, ObjectId, RefName, Service};
use portline::{Instant, Printable};

use self::options::{FetchTask, Options, open};
use self::table::{Line, Table};
use crate::support::drive::{self, Drive, Driver, GitSession, Work};
use crate::support::fetch::{FetchDriver, Fetched, configured};
use crate::support::history;
use crate::support::refs::{Updates, by_name};
use crate::support::refspec::Refspec;
use crate::support::{Error, Repository};

/// Shows the server's refs, as `git ls-remote` does.
///
/// # Errors
/// Whatever kept us from asking.
pub fn list(options: &Options) -> Result<bool, Error> {
    let (connection, request) = options.connect(Service::UploadPack)?;
    let (idle_timeout, server_options) = (options.timeout, options.server_options.clone());
    let config = Config { request, idle_timeout, server_options, ..Config::default() };
    let drive = Drive::new(connection);
    let machine = Client::new(config, drive.now());
    let mut driver = Lister::default();
    let ran = drive.run(&mut GitSession { machine, driver: &mut driver });
    drive::ended(driver.result, ran)?;
    let failed = || Error::io("standard output");
    let mut output = io::stdout().lock();
    for entry in driver.seen.into_iter().flat_map(|seen| seen.refs) {
        let name = Printable(entry.name.as_bytes());
        writeln!(output, "{}\t{name}", entry.id).map_err(failed())?;
        if let Some(peeled) = entry.peeled {
            writeln!(output, "{peeled}\t{name}^{{}}").map_err(failed())?;
        }
    }
    Ok(true)
}

/// Wants nothing and keeps what it is shown.
#[derive(Default)]
struct Lister {
    seen: Option<Advertisement>,
    result: Option<Result<Outcome, Error>>,
}

impl Driver<Client> for Lister {
    fn act(&mut self, now: Instant, machine: &mut Client, action: Action) -> Result<(), Error> {
        match action {
            Action::Advertised(seen) => {
                self.seen = Some(seen);
                machine.want(now, Vec::new(), Vec::new())?;
            }
            Action::Finished(outcome) => self.result = Some(Ok(outcome)),
            Action::Failed(error) => self.result = Some(Err(Error::session(&error))),
            Action::FindHeld(_)
            | Action::LoadCommits(_)
            | Action::Shallow(_)
            | Action::RemoteShallow(_)
            | Action::WantedRefs(_)
            | Action::PackUris(_)
            | Action::ObjectInfo(_)
            | Action::Bundles(_)
            | Action::Progress(_)
            | Action::Resumed { .. }
            | Action::Pack(_) => {}
        }
        Ok(())
    }

    fn handle_work(&mut self, _: Instant, _: &mut Client, _: Work) -> Result<(), Error> {
        Ok(())
    }

    fn is_busy(&self) -> bool {
        false
    }
}

/// A ref that a refspec asks for.
struct Wish {
    source: RefName,
    target: RefName,
    id: ObjectId,
    force: bool,
}

fn wishes(task: &FetchTask, seen: &Advertisement) -> Vec<Wish> {
    let mut wishes: HashMap<RefName, Wish> = HashMap::new();
    for spec in &task.refspecs {
        for entry in &seen.refs {
            if let Some(target) = spec.map(&entry.name) {
                let (source, id) = (entry.name.clone(), entry.id);
                wishes.entry(target.clone()).or_insert(Wish { source, target, id, force: spec.force });
            }
        }
    }
    let mut wishes: Vec<Wish> = wishes.into_values().collect();
    wishes.sort_unstable_by(|a, b| a.target.cmp(&b.target));
    wishes
}

/// Fetches objects first and moves refs afterwards, each from the value it was seen at.
///
/// # Errors
/// Whatever kept the objects from coming; a ref that cannot be moved is a line of the table.
pub fn fetch(options: &Options, task: &FetchTask) -> Result<bool, Error> {
    if !options.also.is_empty() {
        return several::fetch(options, task);
    }
    let repository = open(&task.directory)?;
    let mut config = Config {
        server_options: options.server_options.clone(),
        listing: listing(&task.refspecs),
        idle_timeout: options.timeout,
        no_progress: !options.progress,
        ..configured(&repository)?
    };
    task.extent.deepen(&repository, &mut config)?;
    let promise = task.extent.promise(&repository, options.remote.url())?;
    if let Some(promise) = &promise {
        (config.filter, config.thin_pack) = (Some(promise.filter.clone()), false);
    }
    let (connection, request) = options.connect(Service::UploadPack)?;
    config.request = request;
    let choose = |seen: &Advertisement| Ok(wishes(task, seen).into_iter().map(|wish| wish.id).collect());
    let drive = Drive::new(connection);
    let driver = FetchDriver::new(&repository, drive.mailbox(), Box::new(choose), options.progress)?;
    let mut driver = driver.with_promise(promise);
    let machine = Client::new(config, drive.now());
    let ran = drive.run(&mut GitSession { machine, driver: &mut driver });
    let mut fetched = driver.into_result(ran)?;
    if options.stats {
        let Outcome { rounds, haves, wants, .. } = fetched.outcome;
        let shown = writeln!(io::stdout(), "rounds={rounds} haves={haves} wants={wants}");
        shown.map_err(Error::io("standard output"))?;
    }
    let mut wishes = wishes(task, &fetched.advertisement);
    let mut table = Table::default();
    if task.extent.update_shallow {
        let tips: Vec<ObjectId> = wishes.iter().map(|wish| wish.id).collect();
        fetched.take_border(&repository, &tips)?;
    } else if !repository.refs_without_head()?.is_empty() {
        refuse_cut_off(&repository, &fetched, &mut wishes, &mut table)?;
    }
    let tips: Vec<ObjectId> = wishes.iter().map(|wish| wish.id).collect();
    let _kept = fetched.accept(&repository, &tips)?;
    move_refs(&repository, &wishes, &mut table)?;
    table.print()
}

/// What the server has to list for these refspecs.
fn listing(refspecs: &[Refspec]) -> Listing {
    let mut prefixes: Vec<bytes::Bytes> =
        refspecs.iter().map(|spec| bytes::Bytes::copy_from_slice(spec.prefix())).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    Listing::Prefixes(prefixes)
}

/// Leaves out what the server has only in part, as Git does unless it clones (`--update-shallow` takes it).
fn refuse_cut_off(
    repository: &Repository,
    fetched: &Fetched,
    wishes: &mut Vec<Wish>,
    table: &mut Table,
) -> Result<(), Error> {
    let null = ObjectId::null(repository.format());
    let mut taken = Vec::new();
    for wish in wishes.drain(..) {
        if fetched.is_cut_off(repository, &wish.id)? {
            let command = Command { name: wish.target, old: null, new: wish.id };
            let reason = Some("shallow update not allowed".into());
            table.push(Line { source: Some(wish.source.as_bytes().to_vec()), command, reason });
        } else {
            taken.push(wish);
        }
    }
    *wishes = taken;
    Ok(())
}

fn move_refs(repository: &Repository, wishes: &[Wish], table: &mut Table) -> Result<(), Error> {
    let present = by_name(&repository.refs()?);
    let checked_out = if repository.is_bare() { None } else { repository.head_branch()? };
    let mut updates = Updates::new(repository.git(), "fetch");
    for wish in wishes {
        let old = present.get(&wish.target).copied();
        if old == Some(wish.id) {
            continue;
        }
        let command = Command {
            name: wish.target.clone(),
            old: old.unwrap_or(ObjectId::null(repository.format())),
            new: wish.id,
        };
        let reason = if checked_out.as_ref() == Some(&wish.target) {
            Some("refusing to fetch into the branch that is checked out".into())
        } else if wish.force {
            None
        } else {
            refused_move(repository, &command)?.map(Into::into)
        };
        let reason = match reason {
            Some(reason) => Some(reason),
            None => updates.apply(&command)?.err(),
        };
        table.push(Line { source: Some(wish.source.as_bytes().to_vec()), command, reason });
    }
    Ok(())
}

/// Why a ref may not move without force: branches only move forwards, everything else stays.
fn refused_move(repository: &Repository, command: &Command) -> Result<Option<&'static str>, Error> {
    if command.change() != Change::Update {
        return Ok(None);
    }
    let name = command.name.as_bytes();
    if !name.starts_with(b"refs/heads/") && !name.starts_with(b"refs/remotes/") {
        return Ok(Some("already exists"));
    }
    let known = repository.object_reader()?.existing(&[command.old])?;
    if known.is_empty() {
        return Ok(Some("fetch first"));
    }
    let forward = history::is_ancestor(repository.git(), &command.old, &command.new)?;
    Ok((!forward).then_some("non-fast-forward"))
}
