//! Mutation testing with mutant schemata: every change that cargo-mutants would make to `src/` goes into one build, each
//! behind a switch that is asked when the program runs; then the tests that come by a switch are run with it on.
//!
//! ```text
//! cargo mutants --list ─▶ locate ─▶ render ─▶ build ─▶ reach ─▶ run ─▶ results ─▶ report
//!                        the syntax  the text   once    once    a few tests a mutant
//! ```
//!
//! `tests/mutants.sh` is its front. Everything it makes is in `target/mutants`.

mod build;
mod locate;
mod mutant;
mod options;
mod parallel;
mod reach;
mod render;
mod report;
mod results;
mod run;
mod tree;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use build::{Folders, Schemata};
use mutant::{Mutant, Source};
use options::Options;
use reach::{Reach, Step};
use results::{Outcome, Results};

/// Whatever goes wrong here is told and ends the run.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| test(&options)) {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Runs what was asked for; whether a mutant survived.
fn test(options: &Options) -> Result<bool> {
    let project = std::env::current_dir()?;
    let state = project.join("target/mutants");
    let folders = Folders { copy: state.join("tree"), project, state };
    fs::create_dir_all(&folders.state)?;
    let mutants = mutant::list(&folders.project)?;
    let lines = lines(&folders, &mutants)?;
    let included = mutant::included(&folders.project)?;
    let mut chosen = options.choose(&mutants);
    chosen.retain(|mutant| included.contains(&mutant.name));
    let mut schemata = Schemata::open(&folders);
    let results = Mutex::new(Results::open(&folders.state.join("results.jsonl"))?);
    let known = |mutant: &Mutant| results.lock().ok()?.outcome(&mutant.name, lines.get(&mutant.number)?);
    if options.report {
        schemata.write(&folders, &mutants)?;
    } else {
        let mut programs = schemata.build(&folders, &mutants)?;
        programs.retain(|program| !options.skip.contains(&program.name));
        let reach = Reach::record(&folders, &programs, options.jobs)?;
        let (tests, time) = reach.sum();
        eprintln!("{} mutants, {tests} tests of {} s in all", mutants.len(), time.as_secs());
        let asked = |became: Option<Outcome>| match became {
            None => !options.retry,
            Some(became) => options.retry && !became.is_caught(),
        };
        let here = |mutant: &Mutant| {
            !schemata.unviable.contains(&mutant.name) && !schemata.left.contains_key(&mutant.number)
        };
        let open = chosen.iter().copied().filter(|mutant| here(mutant) && asked(known(mutant)));
        let open = spread(&open.collect::<Vec<_>>());
        let (done, began) = (AtomicUsize::new(0), Instant::now());
        parallel::each(options.jobs, &open, |worker, mutant| {
            let time = Instant::now();
            let (outcome, by) =
                try_one(&folders, worker, &reach.steps(mutant.number, options.longest), mutant.number)?;
            let mut results = results.lock().map_err(|_| "another worker panicked")?;
            results.add(&mutant.name, &lines[&mutant.number], outcome, by, time.elapsed().as_millis())?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done % 100 == 0 {
                eprintln!("{done} of {} after {} s", open.len(), began.elapsed().as_secs());
            }
            Ok(())
        })?;
    }
    Ok(report::print(&chosen, &schemata, known))
}

/// Every sixteenth, then the next of each sixteen, and so on: what was run when it is stopped is an even sample.
fn spread<'a>(list: &[&'a Mutant]) -> Vec<&'a Mutant> {
    const STEP: usize = 16;
    (0..STEP).flat_map(|first| list.iter().copied().skip(first).step_by(STEP)).collect()
}

/// Runs the tests that come by a mutant until one of them notices: what became of it, and the program that noticed.
fn try_one<'a>(
    folders: &Folders,
    worker: usize,
    steps: &[Step<'a>],
    number: u32,
) -> Result<(Outcome, &'a str)> {
    let scratch = folders.state.join(format!("tmp/{worker}"));
    for step in steps {
        let ended = run::run(folders, &scratch, step.program, &step.tests, &number.to_string(), step.time)?;
        match ended {
            run::Ended::Passed => {}
            run::Ended::Failed => return Ok((Outcome::Caught, &step.program.name)),
            run::Ended::Stopped => return Ok((Outcome::Stopped, &step.program.name)),
        }
    }
    Ok((if steps.is_empty() { Outcome::Unreached } else { Outcome::Survived }, ""))
}

/// The line of each mutant, by number.
fn lines(folders: &Folders, mutants: &[Mutant]) -> Result<BTreeMap<u32, String>> {
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    for mutant in mutants {
        if !texts.contains_key(mutant.file.as_str()) {
            texts.insert(&mutant.file, fs::read_to_string(folders.project.join(&mutant.file))?);
        }
    }
    let mut sources: BTreeMap<&str, Source> = BTreeMap::new();
    for (file, text) in &texts {
        sources.insert(file, Source::new(text));
    }
    let line = |mutant: &Mutant| sources[mutant.file.as_str()].line(mutant.start).to_owned();
    Ok(mutants.iter().map(|mutant| (mutant.number, line(mutant))).collect())
}
