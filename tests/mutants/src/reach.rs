//! Which mutants each test comes by, and how long it takes: found out once for each build of a test program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::Result;
use crate::build::{Folders, Program};
use crate::parallel;
use crate::run::{self, Ended};

/// The longest that a test may take when nothing is wrong.
const LONGEST: Duration = Duration::from_secs(120);

/// What is known of the tests of all programs.
#[derive(Debug, Default)]
pub struct Reach {
    tests: Vec<Test>,
}

#[derive(Debug)]
struct Test {
    program: Program,
    name: String,
    time: Duration,
    seen: BTreeSet<u32>,
}

/// Tests of one program that are run in one go.
#[derive(Debug)]
pub struct Step<'a> {
    pub program: &'a Program,
    pub tests: Vec<&'a str>,
    pub time: Duration,
}

impl Reach {
    /// Runs every test by itself and has it tell what it comes by; what an earlier invocation saw of the same program
    /// is taken over. A test that fails without any mutant is named and left out.
    pub fn record(folders: &Folders, programs: &[Program], jobs: usize) -> Result<Self> {
        let path = folders.state.join("reach.jsonl");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let mut known: BTreeMap<String, Value> = BTreeMap::new();
        for row in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            known.insert(row["stamp"].as_str().unwrap_or_default().to_owned(), row);
        }
        let (mut jobs_left, mut kept) = (Vec::new(), Vec::new());
        for program in programs {
            let stamp = stamp(program)?;
            match known.remove(&stamp) {
                Some(row) => kept.push(row),
                None => {
                    let tests = run::tests(folders, program)?;
                    jobs_left.extend(tests.into_iter().map(|test| (program, stamp.clone(), test)));
                }
            }
        }
        eprintln!(
            "{} of {} programs are known; {} tests to watch",
            kept.len(),
            programs.len(),
            jobs_left.len()
        );
        let rows: Mutex<BTreeMap<String, Value>> = Mutex::default();
        parallel::each(jobs, &jobs_left, |worker, (program, stamp, test)| {
            let row = watch(folders, worker, program, test)?;
            let mut rows = rows.lock().map_err(|_| "another worker panicked")?;
            let of = rows.entry(stamp.clone()).or_insert_with(
                || json!({ "stamp": stamp, "name": program.name, "path": program.path, "tests": [] }),
            );
            of["tests"].as_array_mut().ok_or("an array")?.push(row);
            Ok(())
        })?;
        kept.extend(rows.into_inner()?.into_values());
        let lines: Vec<_> = kept.iter().map(Value::to_string).collect();
        fs::write(path, lines.join("\n"))?;
        Ok(Self { tests: kept.iter().flat_map(read).collect() })
    }

    /// The tests that come by a mutant, those that take least first: a few by themselves, then more and more at a time.
    /// Tests that take longer than `longest` are left out.
    pub fn steps(&self, number: u32, longest: Duration) -> Vec<Step<'_>> {
        let mut programs: BTreeMap<&str, Vec<&Test>> = BTreeMap::new();
        for test in self.tests.iter().filter(|test| test.time <= longest && test.seen.contains(&number)) {
            programs.entry(&test.program.name).or_default().push(test);
        }
        let mut steps: Vec<Step> = Vec::new();
        for mut tests in programs.into_values() {
            tests.sort_by_key(|test| test.time);
            let (mut room, mut open) = (Duration::from_millis(30), false);
            for test in tests {
                while test.time > room && !open {
                    room *= 3;
                }
                if !open || test.time > room {
                    steps.push(Step { program: &test.program, tests: Vec::new(), time: Duration::ZERO });
                    (room, open) = (room.max(test.time) * 3, true);
                }
                if let Some(step) = steps.last_mut() {
                    step.tests.push(&test.name);
                    step.time += test.time;
                    room = room.saturating_sub(test.time);
                }
            }
        }
        steps.sort_by_key(|step| step.time);
        steps
    }

    /// How many tests there are, and how long they take together.
    pub fn sum(&self) -> (usize, Duration) {
        (self.tests.len(), self.tests.iter().map(|test| test.time).sum())
    }
}

/// Tells one build of a program from the next.
fn stamp(program: &Program) -> Result<String> {
    let about = fs::metadata(&program.path)?;
    let time = about.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
    Ok(format!("{} {} {time}", program.path.display(), about.len()))
}

/// Runs one test and notes what it comes by; `null` when it fails.
fn watch(folders: &Folders, worker: usize, program: &Program, test: &str) -> Result<Value> {
    let file = folders.state.join(format!("seen-{worker}"));
    drop(fs::remove_file(&file));
    let scratch = folders.state.join(format!("tmp/{worker}"));
    let began = Instant::now();
    let switch = format!("seen:{}", file.display());
    let ended = run::run(folders, &scratch, program, &[test], &switch, LONGEST)?;
    let time = began.elapsed();
    if ended != Ended::Passed {
        eprintln!("{ended:?} without any mutant, and left out: {} {test}", program.name);
        return Ok(Value::Null);
    }
    let text = fs::read_to_string(&file).unwrap_or_default();
    let seen: BTreeSet<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    Ok(json!({ "name": test, "us": u64::try_from(time.as_micros())?, "seen": seen }))
}

fn read(row: &Value) -> Vec<Test> {
    let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
    let program = Program { name: text(&row["name"]), path: PathBuf::from(text(&row["path"])) };
    let tests = row["tests"].as_array().map(Vec::as_slice).unwrap_or_default();
    let seen = |test: &Value| {
        let numbers = test["seen"].as_array().map(Vec::as_slice).unwrap_or_default();
        numbers.iter().filter_map(Value::as_u64).filter_map(|n| u32::try_from(n).ok()).collect()
    };
    let test = |test: &Value| Test {
        program: program.clone(),
        name: text(&test["name"]),
        time: Duration::from_micros(test["us"].as_u64().unwrap_or_default()),
        seen: seen(test),
    };
    tests.iter().filter(|test| !test.is_null()).map(test).collect()
}
