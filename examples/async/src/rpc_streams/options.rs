//! The command line.

use std::collections::VecDeque;

use crate::client::{Method, Source};

pub(crate) const USAGE: &str =
    "usage: rpc_streams [--trace]                                a demo on loopback
       rpc_streams serve [--listen ADDR] [--trace]
       rpc_streams call ADDR numbers N [--window N] [--fail-after N] [--cancel-after N] [--trace]
       rpc_streams call ADDR upload FILE [--trace]
       rpc_streams call ADDR echo WORDS… [--trace]
ADDR is a host and a port, as in 127.0.0.1:7070.";

/// Where a server listens unless told otherwise.
const LISTEN: &str = "127.0.0.1:7070";

pub(crate) struct Options {
    pub(crate) command: Command,
    pub(crate) trace: bool,
}

pub(crate) enum Command {
    Demo,
    Serve { listen: String },
    Call { address: String, method: Wanted },
}

/// A method as the command line names it.
pub(crate) enum Wanted {
    Numbers { arguments: String, cancel_after: Option<u64> },
    Upload { file: String },
    Echo { words: VecDeque<String> },
}

impl Wanted {
    /// Opens the file, if there is one.
    pub(crate) async fn open(self) -> Result<Method, String> {
        match self {
            Self::Numbers { arguments, cancel_after } => Ok(Method::Numbers { arguments, cancel_after }),
            Self::Echo { words } => Ok(Method::Echo(words)),
            Self::Upload { file } => {
                let problem = |error| format!("cannot read {file}: {error}");
                let reader = tokio::fs::File::open(&file).await.map_err(problem)?;
                let size = reader.metadata().await.map_err(problem)?.len();
                Ok(Method::Upload(Source { reader: Box::new(reader), size }))
            }
        }
    }
}

pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut args: VecDeque<String> = args.collect();
    let before = args.len();
    args.retain(|arg| arg != "--trace");
    let trace = args.len() < before;
    let command = match args.pop_front().as_deref() {
        None => Command::Demo,
        Some("serve") => parse_serve(&mut args)?,
        Some("call") => {
            let address = args.pop_front().ok_or("call whom? Name an address, as in 127.0.0.1:7070")?;
            let method = match args.pop_front().as_deref() {
                Some("numbers") => parse_numbers(&mut args)?,
                Some("upload") => Wanted::Upload { file: args.pop_front().ok_or("upload which file?")? },
                Some("echo") if args.is_empty() => return Err("echo which words?".into()),
                Some("echo") => Wanted::Echo { words: std::mem::take(&mut args) },
                Some(other) => return Err(format!("{other:?} is none of numbers, upload and echo")),
                None => return Err("call what? There are numbers, upload and echo".into()),
            };
            Command::Call { address, method }
        }
        Some(other) => return Err(format!("{other:?} is neither serve nor call")),
    };
    match args.pop_front() {
        Some(extra) => Err(format!("{extra:?} is too much")),
        None => Ok(Options { command, trace }),
    }
}

fn parse_serve(args: &mut VecDeque<String>) -> Result<Command, String> {
    let mut listen = LISTEN.to_owned();
    while let Some(arg) = args.pop_front() {
        match arg.as_str() {
            "--listen" => listen = args.pop_front().ok_or("--listen needs an address")?,
            _ => return Err(format!("serve knows no {arg:?}")),
        }
    }
    Ok(Command::Serve { listen })
}

fn parse_numbers(args: &mut VecDeque<String>) -> Result<Wanted, String> {
    let number = |after: &str, args: &mut VecDeque<String>| -> Result<u64, String> {
        let word = args.pop_front().ok_or_else(|| format!("{after} needs a number"))?;
        word.parse().map_err(|_| format!("{after} needs a number, not {word:?}"))
    };
    let mut arguments = number("numbers", args)?.to_string();
    let mut cancel_after = None;
    while let Some(arg) = args.pop_front() {
        let value = number(&arg, args)?;
        match arg.as_str() {
            "--window" => arguments += &format!(" window={value}"),
            "--fail-after" => arguments += &format!(" fail-after={value}"),
            "--cancel-after" => cancel_after = Some(value),
            _ => return Err(format!("numbers knows no {arg:?}")),
        }
    }
    Ok(Wanted::Numbers { arguments, cancel_after })
}
