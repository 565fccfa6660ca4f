//! The command line.

use std::time::Duration;

use crate::Result;
use crate::mutant::Mutant;

pub const USAGE: &str = "usage: tests/mutants.sh [OPTION...] [FILE|FOLDER|GLOB...]
  --sample K/N    every Nth mutant, beginning with the Kth (from 0)
  --retry         run the survivors again, and nothing else: tests were added
  --report        say what is known, and run nothing
  --longest S     leave out tests that take longer than so many seconds by themselves
  --jobs N        mutants at a time (1)
  --skip A,B      test programs that are not run";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// Which of how many.
    pub sample: (usize, usize),
    pub retry: bool,
    pub report: bool,
    pub longest: Duration,
    pub jobs: usize,
    pub skip: Vec<String>,
    pub files: Vec<String>,
}

impl Options {
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            sample: (0, 1),
            retry: false,
            report: false,
            longest: Duration::MAX,
            jobs: 1,
            skip: Vec::new(),
            files: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value\n{USAGE}"));
            match argument.as_str() {
                "--sample" => {
                    let value = value()?;
                    let (which, of) = value.split_once('/').ok_or(USAGE)?;
                    options.sample = (which.parse()?, of.parse()?);
                }
                "--retry" => options.retry = true,
                "--report" => options.report = true,
                "--longest" => options.longest = Duration::from_secs(value()?.parse()?),
                "--jobs" => options.jobs = value()?.parse()?,
                "--skip" => options.skip.extend(value()?.split(',').map(str::to_owned)),
                _ if argument.starts_with('-') => return Err(USAGE.into()),
                _ => options.files.push(argument.trim_end_matches('/').to_owned()),
            }
        }
        if options.sample.0 >= options.sample.1 || options.jobs == 0 {
            return Err(USAGE.into());
        }
        Ok(options)
    }

    /// The mutants that were asked for.
    pub fn choose<'a>(&self, mutants: &'a [Mutant]) -> Vec<&'a Mutant> {
        let (which, of) = self.sample;
        let asked =
            |file: &str| self.files.is_empty() || self.files.iter().any(|pattern| fits(pattern, file));
        mutants.iter().filter(|mutant| asked(&mutant.file)).skip(which).step_by(of).collect()
    }
}

/// Whether a file is the one named, or below it; `*` stands for any characters.
fn fits(pattern: &str, file: &str) -> bool {
    match pattern.split_once('*') {
        None => file.strip_prefix(pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        Some((before, behind)) => file.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).filter_map(|at| rest.get(at..)).any(|rest| fits(behind, rest))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_path_folder_or_pattern() {
        assert!(fits("src/pkt/codec.rs", "src/pkt/codec.rs"));
        assert!(fits("src/git", "src/git/push/report.rs"));
        assert!(!fits("src/git", "src/github.rs"));
        assert!(fits("src/*/codec.rs", "src/pkt/codec.rs"));
        assert!(!fits("src/*/codec.rs", "src/pkt/codec2.rs"));
        assert!(fits("src/git/*.rs", "src/git/id.rs"));
    }

    #[test]
    fn options_are_read_and_what_is_not_one_is_refused() {
        let parse = |line: &str| Options::parse(line.split_whitespace().map(str::to_owned));
        let options = parse("--sample 1/4 --retry src/pkt/ --jobs 2").unwrap();
        assert_eq!((options.sample, options.retry, options.jobs), ((1, 4), true, 2));
        assert_eq!(options.files, ["src/pkt"]);
        assert!(parse("--sample 4/4").is_err());
        assert!(parse("--unknown").is_err());
    }
}
