//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use portline::sync::{Pattern, Strategy};

/// What to type.
pub const USAGE: &str = "\
sync: makes two Git repositories exchange what each lacks, over acknowledged port messages on a loopback TCP connection

usage: sync [LEFT RIGHT] [options]

  LEFT RIGHT               two repositories; without them, two small diverged ones are built and shown
  --on-conflict HOW        report (default), prefer-left or prefer-right
  --exclude PATTERN        leave these refs alone: a full name, or a prefix and `*`; may be repeated
  --all-refs               take refs/remotes/*, refs/stash and the like along, which belong to one clone
  --window N               port blocks that may be under way before an acknowledgement (default 16)
  --chunk BYTES            the largest port block (default 65536)
  --dry-run                show the plan, move no ref
  --retry N                when the connection breaks, try so many more times (default 0; 20 with --chaos)
  --timeout MS             give up after so many milliseconds, all attempts and waits together
  --break-after BYTES      break the connection after so many bytes from the right, to see that the next run goes on
  --chaos SEED             break the connection at random, again and again, to see that the sync gets there all the same

exit: 0 both sides agree, 1 conflicts or refused refs remain, 2 an error";

/// Refs that belong to one clone rather than to the project.
const OF_ONE_CLONE: [&str; 6] = [
    "refs/remotes/*",
    "refs/stash",
    "refs/bisect/*",
    "refs/worktree/*",
    "refs/rewritten/*",
    "refs/prefetch/*",
];

/// Options that are followed by a value, or joined to it by `=`.
const WITH_VALUE: [&str; 8] =
    ["--on-conflict", "--exclude", "--window", "--chunk", "--retry", "--timeout", "--break-after", "--chaos"];

/// What was asked for.
#[derive(Debug)]
pub struct Args {
    pub repositories: Option<(PathBuf, PathBuf)>,
    pub strategy: Strategy,
    /// Whether the user chose the strategy.
    pub chosen: bool,
    pub exclude: Vec<Pattern>,
    pub window: u32,
    pub chunk: usize,
    pub dry_run: bool,
    pub retries: Option<u32>,
    pub timeout: Option<Duration>,
    pub break_after: Option<u64>,
    pub chaos: Option<u64>,
}

impl Args {
    /// Reads the arguments; the error is for the user. `Ok(None)`: help was asked for.
    pub fn parse(arguments: impl Iterator<Item = std::ffi::OsString>) -> Result<Option<Self>, String> {
        let mut args = Self {
            repositories: None,
            strategy: Strategy::Report,
            chosen: false,
            exclude: Vec::new(),
            window: 16,
            chunk: 64 << 10,
            dry_run: false,
            retries: None,
            timeout: None,
            break_after: None,
            chaos: None,
        };
        let (mut paths, mut all_refs) = (Vec::new(), false);
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let Some(text) = argument.to_str().filter(|text| text.starts_with('-')) else {
                paths.push(PathBuf::from(argument));
                continue;
            };
            let (option, inline) = match text.split_once('=') {
                Some((option, value)) => (option, Some(value.to_owned())),
                None => (text, None),
            };
            match option {
                "--help" => return Ok(None),
                "--dry-run" => args.dry_run = true,
                "--all-refs" => all_refs = true,
                _ if !WITH_VALUE.contains(&option) => return Err(format!("there is no option {option}")),
                _ => {
                    let next = || arguments.next().and_then(|value| value.into_string().ok());
                    let value = inline.or_else(next).ok_or(format!("{option} needs a value"))?;
                    args.set(option, &value)?;
                }
            }
        }
        if !all_refs {
            args.exclude.extend(OF_ONE_CLONE.into_iter().filter_map(|one| Pattern::new(one).ok()));
        }
        args.repositories = match <[PathBuf; 2]>::try_from(paths) {
            Ok([left, right]) => Some((left, right)),
            Err(paths) if paths.is_empty() => None,
            Err(_) => return Err("give two repositories, or none".into()),
        };
        Ok(Some(args))
    }

    fn set(&mut self, option: &str, value: &str) -> Result<(), String> {
        let number = || value.parse::<u32>().ok().filter(|number| *number > 0);
        let positive = format!("{option} takes a whole number above 0, not '{value}'");
        let whole = || format!("{option} takes a whole number, not '{value}'");
        match option {
            "--on-conflict" => {
                self.chosen = true;
                self.strategy = match value {
                    "report" => Strategy::Report,
                    "prefer-left" => Strategy::PreferLocal,
                    "prefer-right" => Strategy::PreferRemote,
                    _ => {
                        return Err(format!(
                            "--on-conflict takes report, prefer-left or prefer-right, not '{value}'"
                        ));
                    }
                }
            }
            "--exclude" => {
                let pattern = Pattern::new(value).map_err(|error| format!("--exclude '{value}': {error}"))?;
                self.exclude.push(pattern);
            }
            "--break-after" => self.break_after = Some(u64::from(number().ok_or(positive)?)),
            "--retry" => self.retries = Some(value.parse().map_err(|_| whole())?),
            "--chaos" => self.chaos = Some(value.parse().map_err(|_| whole())?),
            "--timeout" => self.timeout = Some(Duration::from_millis(number().ok_or(positive)?.into())),
            "--window" => self.window = number().ok_or(positive)?,
            "--chunk" => {
                self.chunk = number().and_then(|number| usize::try_from(number).ok()).ok_or(positive)?;
            }
            _ => return Err(format!("there is no option {option}")),
        }
        Ok(())
    }
}
