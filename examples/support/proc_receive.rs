//! The `proc-receive` hook: some refs of a push are its matter, and it may do something else instead.
//!
//! ```text
//! we   version=1 NUL atomic push-options, flush         it  version=1 NUL push-options, flush
//! we   old SP new SP name …, flush                      it  ok NAME | ng NAME REASON
//! we   [push option …, flush]                               option refname|old-oid|new-oid|forced-update|fall-through …
//!                                                           flush
//! ```
//!
//! Words for what goes wrong are Git's.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::thread;

use bytes::{Bytes, BytesMut};
use portline::git::push::report::Updated;
use portline::git::push::{Change, Command};
use portline::git::{ObjectId, RefName};
use portline::pkt::{self, Packet, Reader};

use super::config::Config;
use super::error::Error;
use super::hooks::Hooks;
use super::process::{Git, Process};

/// Which commands are the hook's: `receive.procReceiveRefs`.
#[derive(Debug)]
pub struct Patterns(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    changes: Vec<Change>,
    /// All but what it names.
    negative: bool,
    prefix: Vec<u8>,
}

impl Patterns {
    /// As the settings have them: `[adm!]:PREFIX`, or a prefix for every change.
    pub fn read(config: &Config) -> Self {
        Self(config.all("receive.procreceiverefs").map(Pattern::read).collect())
    }

    /// Whether a command goes to the hook.
    pub fn take(&self, command: &Command) -> bool {
        self.0.iter().any(|pattern| pattern.takes(command))
    }
}

impl Pattern {
    fn read(value: &[u8]) -> Self {
        let colon = value.iter().position(|byte| *byte == b':');
        let (flags, mut prefix) = match colon.and_then(|at| value.split_at_checked(at)) {
            Some((flags, rest)) => (flags, rest.get(1..).unwrap_or_default()),
            None => (&b"adm"[..], value),
        };
        while let Some(shorter) = prefix.strip_suffix(b"/") {
            prefix = shorter;
        }
        let known = [(b'a', Change::Create), (b'd', Change::Delete), (b'm', Change::Update)];
        let changes = known.into_iter().filter(|(flag, _)| flags.contains(flag)).map(|(_, change)| change);
        Self { changes: changes.collect(), negative: flags.contains(&b'!'), prefix: prefix.to_vec() }
    }

    fn takes(&self, command: &Command) -> bool {
        let rest = command.name.as_bytes().strip_prefix(&self.prefix[..]);
        let named = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
        self.changes.contains(&command.change()) && named != self.negative
    }
}

/// What the hook said of one command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Said {
    /// Nothing.
    #[default]
    Nothing,
    /// It is done, or these are.
    Done(Vec<Updated>),
    /// It is ours to do after all.
    FallThrough(Vec<Updated>),
    /// It is refused.
    Refused(Bytes),
}

/// What a run of the hook came to: one answer for each command, and whether all went well.
#[derive(Debug)]
pub struct Outcome {
    /// In the order of the commands.
    pub said: Vec<Said>,
    /// What to tell the user.
    pub complaint: Option<String>,
    /// Whether nothing was refused and the hook kept to its protocol.
    pub well: bool,
}

/// What the hook is told.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// Its commands.
    pub commands: &'a [Command],
    /// All or none.
    pub atomic: bool,
    /// The push options, if client and server agreed on them.
    pub options: Option<&'a [Bytes]>,
}

/// Runs the hook.
///
/// # Errors
/// [`Error::Io`] when it cannot be started.
pub fn run(hooks: &Hooks, git: &Git, task: Task<'_>) -> Result<Outcome, Error> {
    let nothing = || vec![Said::Nothing; task.commands.len()];
    let Some(program) = hooks.program("proc-receive") else {
        let complaint = Some("cannot find hook 'proc-receive'".to_owned());
        return Ok(Outcome { said: nothing(), complaint, well: false });
    };
    let mut command = git.hook(&program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = Process::spawn(&mut command)?;
    let streams = process.stdin().zip(process.stdout());
    let missing = Error::io("the hook's streams are missing");
    let (stdin, stdout) = streams.ok_or_else(|| missing(io::ErrorKind::NotFound.into()))?;
    let stderr = process.stderr();
    let mut answers = Answers::new(task.commands);
    let told = thread::scope(|scope| {
        scope.spawn(|| stderr.map(|stderr| hooks.relay(stderr)));
        converse(stdin, stdout, task, &mut answers)
    });
    let well = process.wait()?.success();
    if let Err(words) = told {
        answers.complain(&words);
    }
    Ok(answers.into_outcome(well))
}

/// The conversation. The error is what to tell the user.
fn converse(
    mut stdin: ChildStdin,
    stdout: ChildStdout,
    task: Task<'_>,
    answers: &mut Answers,
) -> Result<(), String> {
    let failed = |_| "fail to negotiate version with proc-receive hook".to_owned();
    let mut packets = Packets { stdout, reader: Reader::new() };
    stdin.write_all(&greeting(task)).and_then(|()| stdin.flush()).map_err(failed)?;
    let (mut version, mut wants_options) = (0, false);
    loop {
        match packets.next().map_err(failed)? {
            None => return Err("fail to negotiate version with proc-receive hook".to_owned()),
            Some(Packet::Data(line)) => {
                let mut parts = pkt::trim_lf(&line).splitn(2, |byte| *byte == 0);
                if let Some(number) = parts.next().and_then(|text| text.strip_prefix(b"version=")) {
                    version =
                        std::str::from_utf8(number).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
                    let mut features = parts.next().unwrap_or_default().split(|byte| *byte == b' ');
                    wants_options |= features.any(|feature| feature == b"push-options");
                }
            }
            Some(_) => break,
        }
    }
    if version > 1 {
        return Err(format!("proc-receive version '{version}' is not supported"));
    }
    let text = commands(task, wants_options);
    thread::scope(|scope| {
        // A hook that reads nothing says why by how it ends.
        scope.spawn(move || stdin.write_all(&text));
        read_report(&mut packets, answers)
    })
}

fn greeting(task: Task<'_>) -> BytesMut {
    let features = [("atomic", task.atomic), ("push-options", task.options.is_some())];
    let features = features.into_iter().filter(|(_, has)| *has).map(|(name, _)| name);
    let features = features.collect::<Vec<_>>().join(" ");
    let mut text = BytesMut::new();
    let nul: &[u8] = if features.is_empty() { b"" } else { b"\0" };
    // A few words always fit.
    let _ = pkt::put_line(&mut text, &[b"version=1", nul, features.as_bytes()]);
    pkt::put_flush(&mut text);
    text
}

fn commands(task: Task<'_>, wants_options: bool) -> BytesMut {
    let mut text = BytesMut::new();
    for command in task.commands {
        let (old, new) = (command.old.to_hex(), command.new.to_hex());
        let parts: [&[u8]; 5] = [old.as_bytes(), b" ", new.as_bytes(), b" ", command.name.as_bytes()];
        // They came in packets, and go into packets again.
        let _ = pkt::put_packet(&mut text, &parts);
    }
    pkt::put_flush(&mut text);
    if wants_options {
        for option in task.options.unwrap_or_default() {
            let _ = pkt::put_packet(&mut text, &[option]);
        }
        pkt::put_flush(&mut text);
    }
    text
}

/// The hook's packets.
struct Packets {
    stdout: ChildStdout,
    reader: Reader,
}

impl Packets {
    /// `None`: its output has ended.
    fn next(&mut self) -> io::Result<Option<Packet<Bytes>>> {
        let mut buffer = [0; 4096];
        loop {
            let packet = self.reader.next_packet();
            if let Some(packet) = packet.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
                return Ok(Some(packet));
            }
            match self.stdout.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(count) => {
                    self.reader.handle_bytes(Bytes::copy_from_slice(buffer.get(..count).unwrap_or_default()));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The report as it is understood so far.
struct Answers {
    places: HashMap<Vec<u8>, usize>,
    said: Vec<Said>,
    /// Whose option lines come next, and whether they are those of a new update.
    open: Option<(usize, bool)>,
    complaints: Vec<u8>,
    unmatched: bool,
    well: bool,
}

impl Answers {
    fn new(commands: &[Command]) -> Self {
        let places = commands.iter().enumerate().map(|(at, one)| (one.name.as_bytes().to_vec(), at));
        Self {
            places: places.collect(),
            said: vec![Said::Nothing; commands.len()],
            open: None,
            complaints: Vec::new(),
            unmatched: false,
            well: true,
        }
    }

    fn complain(&mut self, words: &str) {
        self.well = false;
        self.complaints.extend_from_slice(words.as_bytes());
    }

    fn take(&mut self, line: &[u8]) {
        let mut words = line.splitn(2, |byte| *byte == b' ');
        let head = words.next().unwrap_or_default();
        let show = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        let Some(rest) = words.next() else {
            return self
                .complain(&format!("proc-receive reported incomplete status line: '{}'\n", show(head)));
        };
        if head == b"option" {
            return self.take_option(rest);
        }
        self.open = None;
        let mut words = rest.splitn(2, |byte| *byte == b' ');
        let name = words.next().unwrap_or_default();
        if head != b"ok" && head != b"ng" {
            let (head, name) = (show(head), show(name));
            return self.complain(&format!("proc-receive reported bad status '{head}' on ref '{name}'\n"));
        }
        let Some(at) = self.places.get(name).copied() else {
            return self.complain(&format!("proc-receive reported status on unknown ref: {}\n", show(name)));
        };
        let Some(said) = self.said.get_mut(at) else { return };
        if matches!(said, Said::FallThrough(_)) {
            return self
                .complain(&format!("proc-receive reported status on unexpected ref: {}\n", show(name)));
        }
        if head == b"ng" {
            let reason = words.next().unwrap_or(b"failed");
            *said = Said::Refused(Bytes::copy_from_slice(reason));
            self.well = false;
            return;
        }
        if matches!(said, Said::Nothing) {
            *said = Said::Done(Vec::new());
        }
        self.open = Some((at, true));
    }

    fn take_option(&mut self, option: &[u8]) {
        let Some((at, is_new)) = self.open else {
            if !self.unmatched {
                self.complain("proc-receive reported 'option' without a matching 'ok/ng' directive\n");
            }
            (self.unmatched, self.well) = (true, false);
            return;
        };
        let Some(said) = self.said.get_mut(at) else { return };
        let (Said::Done(updates) | Said::FallThrough(updates)) = said else { return };
        if is_new {
            updates.push(Updated::default());
            self.open = Some((at, false));
        }
        let Some(update) = updates.last_mut() else { return };
        let mut words = option.splitn(2, |byte| *byte == b' ');
        let (key, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let id = || ObjectId::from_hex(value).ok();
        match key {
            b"refname" => update.name = RefName::new(value).ok(),
            b"old-oid" => update.old = id().or(update.old),
            b"new-oid" => update.new = id().or(update.new),
            b"forced-update" => update.forced = true,
            b"fall-through" => {
                let updates = std::mem::take(updates);
                *said = Said::FallThrough(updates);
            }
            _ => {}
        }
    }

    fn into_outcome(mut self, ended_well: bool) -> Outcome {
        self.well &= ended_well;
        let words = self.complaints.strip_suffix(b"\n").unwrap_or(&self.complaints);
        let complaint = (!words.is_empty()).then(|| String::from_utf8_lossy(words).into_owned());
        Outcome { said: self.said, complaint, well: self.well }
    }
}

/// Reads the report to its flush. The error is what to tell the user.
fn read_report(packets: &mut Packets, answers: &mut Answers) -> Result<(), String> {
    let mut any = false;
    loop {
        match packets.next() {
            Ok(Some(Packet::Data(line))) => answers.take(pkt::trim_lf(&line)),
            Ok(None) | Err(_) if !any => return Err("proc-receive exited abnormally".to_owned()),
            Ok(_) | Err(_) => break,
        }
        any = true;
    }
    for said in &mut answers.said {
        if *said == Said::Nothing {
            *said = Said::Refused(Bytes::from_static(b"proc-receive failed to report status"));
            answers.well = false;
        }
    }
    Ok(())
}
