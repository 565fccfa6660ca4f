//! `git_client fetch --also URL`: one fetch from several servers that have the same.

use std::io::{self, Write};
use std::time::Duration;

use portline::Printable;
use portline::git::ObjectId;
use portline::git::fetch::client;
use portline::peer::multi_source::{Config, Report};

use super::options::{FetchTask, Options, complaint, open};
use super::table::Table;
use super::{listing, move_refs, wishes};
use crate::support::several::{Several, name};
use crate::support::{Error, history};

/// Fetches what the first server of the list that has not failed has, from all of them; prints what each did, and the refs.
///
/// # Errors
/// What kept the objects from coming; a ref that cannot be moved is a line of the table.
pub fn fetch(options: &Options, task: &FetchTask) -> Result<bool, Error> {
    if !task.extent.is_default() {
        return Err(complaint("a fetch with --also has all of the history, and is no partial clone"));
    }
    let repository = open(&task.directory)?;
    if !repository.shallow()?.is_empty() {
        return Err(Error::Usage("a fetch with --also is not for a shallow repository".to_owned()));
    }
    let mut config = Config {
        fetch: client::Config {
            server_options: options.server_options.clone(),
            listing: listing(&task.refspecs),
            no_progress: true,
            // No part of a share is kept: it may be another one's the next time.
            resume: false,
            ..client::Config::default()
        },
        ..Config::default()
    };
    if options.timeout.is_some() {
        config.recovery.idle_timeout = options.timeout;
    }
    // The others go on meanwhile, so a source may soon show that it is back, or that it is not.
    config.recovery.backoff.first_delay = Duration::from_millis(200);
    // A large share on a slow line takes what it takes; who is slower than the others loses it.
    config.recovery.transfer_timeout = None;
    let remotes: Vec<_> = std::iter::once(&options.remote).chain(&options.also).cloned().collect();
    let names: Vec<String> = remotes.iter().map(name).collect();
    let choose = |seen: &_| wishes(task, seen).into_iter().map(|wish| wish.id).collect();
    let several = Several::new(&repository, remotes, options.version, config, Box::new(choose))?;
    let fetched = several.run()?;
    let sources = match &fetched.end {
        Ok(outcome) => &outcome.sources,
        Err(failure) => &failure.sources,
    };
    show(&names, sources).map_err(Error::io("standard output"))?;
    if let Err(failure) = fetched.end {
        let missing: Vec<String> = failure.missing.iter().take(3).map(ToString::to_string).collect();
        let more = if failure.missing.len() > 3 { " and more" } else { "" };
        let message =
            format!("{}: {} missing: {}{more}", failure.why, failure.missing.len(), missing.join(", "));
        return Err(Error::Session { message });
    }
    let wishes = fetched.advertisement.map(|seen| wishes(task, &seen)).unwrap_or_default();
    let tips: Vec<ObjectId> = wishes.iter().map(|wish| wish.id).collect();
    if history::connected(repository.git(), &tips)?.is_err() {
        return Err(Error::Session { message: "not all objects are there".to_owned() });
    }
    let mut table = Table::default();
    move_refs(&repository, &wishes, &mut table)?;
    drop(fetched.kept);
    table.print()
}

/// A line for each source, and one for each attempt that failed.
fn show(names: &[String], sources: &[Report]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, " {:>6} {:>12} {:>9}  from", "wants", "bytes", "seconds")?;
    for (name, source) in names.iter().zip(sources) {
        let (work, name) = (source.work, Printable(name.as_bytes()));
        let fate = match (source.gave_up, work.given_back) {
            (true, _) => ", given up",
            (false, 0) => "",
            (false, _) => ", gave a share back",
        };
        let seconds = work.busy.as_secs_f64();
        writeln!(output, " {:>6} {:>12} {seconds:>9.2}  {name}{fate}", work.units, work.bytes)?;
        for attempt in &source.attempts {
            let words = attempt.cause.to_string();
            writeln!(output, "{:>31}  {}", "", Printable(words.as_bytes()))?;
        }
    }
    Ok(())
}
