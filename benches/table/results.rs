//! What the benches left: criterion's medians, and the figures that others counted.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

/// Who did the work, in each group.
pub(crate) const OURS: &str = "portline";
/// Files further apart than this are not of one run.
const RUN: Duration = Duration::from_secs(30 * 60);

/// A figure for each work and each who did it.
#[derive(Default)]
pub(crate) struct Results {
    figures: HashMap<(String, String), f64>,
    /// When the first and the last were written.
    written: Option<[SystemTime; 2]>,
}

impl Results {
    /// Reads all there is below criterion's folder.
    pub(crate) fn read(folder: &Path) -> Self {
        let mut results = Self::default();
        for group in entries(folder) {
            for function in entries(&group) {
                if let Some((key, figure)) = criterion(&function.join("new")) {
                    results.add(key, figure, &function.join("new/estimates.json"));
                }
            }
        }
        for file in entries(&folder.join("figures")) {
            for line in fs::read_to_string(&file).unwrap_or_default().lines() {
                let Some((key, figure)) = counted(line) else { continue };
                results.add(key, figure, &file);
            }
        }
        results
    }

    /// Of several figures for the same, the largest counts.
    fn add(&mut self, key: (String, String), figure: f64, file: &Path) {
        let known = self.figures.entry(key).or_insert(figure);
        *known = known.max(figure);
        if let Ok(time) = fs::metadata(file).and_then(|data| data.modified()) {
            let [first, last] = self.written.unwrap_or([time; 2]);
            self.written = Some([first.min(time), last.max(time)]);
        }
    }

    pub(crate) fn figure(&self, work: &str, who: &str) -> Option<f64> {
        self.figures.get(&(work.to_owned(), who.to_owned())).copied()
    }

    /// Adds how many times one of our figures is another.
    pub(crate) fn divide(&mut self, work: &str, [over, under]: [&str; 2]) {
        if let (Some(over), Some(under)) = (self.figure(over, OURS), self.figure(under, OURS)) {
            self.figures.insert((work.to_owned(), OURS.to_owned()), over / under);
        }
    }

    /// Whether one run can have left all of it.
    pub(crate) fn are_of_one_run(&self) -> bool {
        self.written.is_none_or(|[first, last]| last.duration_since(first).is_ok_and(|between| between < RUN))
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Group, function, and nanoseconds of one element in the median.
fn criterion(folder: &Path) -> Option<((String, String), f64)> {
    let json =
        |name: &str| -> Option<Value> { serde_json::from_slice(&fs::read(folder.join(name)).ok()?).ok() };
    let (about, estimates) = (json("benchmark.json")?, json("estimates.json")?);
    let name = |field: &str| Some(about.get(field)?.as_str()?.to_owned());
    let elements = about.pointer("/throughput/Elements").and_then(Value::as_f64).unwrap_or(1.0);
    let median = estimates.pointer("/median/point_estimate")?.as_f64()?;
    Some(((name("group_id")?, name("function_id")?), median / elements))
}

/// A line that a bench saved: work, who, figure.
fn counted(line: &str) -> Option<((String, String), f64)> {
    let mut fields = line.split('|');
    let key = (fields.next()?.to_owned(), fields.next()?.to_owned());
    Some((key, fields.next()?.parse().ok()?))
}
