//! The commands of a push as a server receives and judges them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::Command;
use super::command::split;
use super::server::{Config, Error, Update};
use crate::git::advertisement::excerpt;
use crate::git::{Capabilities, ObjectFormat, ObjectId, RefName, SessionError};
use crate::{limits, pkt};

/// What the client requested of what was advertised.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Agreed {
    pub(super) status: bool,
    pub(super) sideband: bool,
    pub(super) atomic: bool,
    pub(super) quiet: bool,
    pub(super) options: bool,
}

/// One command and what has become of it.
#[derive(Debug)]
pub(super) struct Received {
    target: Target,
    old: ObjectId,
    new: ObjectId,
    /// Why it was refused; `None`: it was not, or not yet.
    pub(super) refused: Option<Bytes>,
}

/// A ref name as it came.
#[derive(Debug)]
enum Target {
    Ref(RefName),
    /// Not a ref name. Kept only to be named in the report (T16).
    Funny(Bytes),
}

impl Received {
    pub(super) fn name(&self) -> &[u8] {
        match &self.target {
            Target::Ref(name) => name.as_bytes(),
            Target::Funny(name) => name,
        }
    }

    /// The command, if it is still to be carried out.
    fn command(&self) -> Option<Command> {
        match (&self.target, &self.refused) {
            (Target::Ref(name), None) => Some(Command { name: name.clone(), old: self.old, new: self.new }),
            (Target::Ref(_) | Target::Funny(_), _) => None,
        }
    }
}

/// Everything a client asks for in one push.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) received: Vec<Received>,
    /// The valid names, to find a ref that is named twice.
    names: BTreeMap<RefName, usize>,
    pub(super) agreed: Agreed,
    push_options: Vec<Bytes>,
    shallow: Vec<ObjectId>,
    /// Bytes of all lines so far.
    bytes: usize,
    /// Why the pack was not stored.
    pub(super) unpack_error: Option<Bytes>,
}

impl Batch {
    /// Whether no line has come.
    pub(super) fn is_fresh(&self) -> bool {
        self.received.is_empty() && self.shallow.is_empty()
    }

    /// Takes a command line, or a shallow line (PUSH-9, PUSH-10).
    pub(super) fn take(&mut self, line: &[u8], config: &Config) -> Result<(), Error> {
        self.count(line)?;
        let line = pkt::trim_lf(line);
        if let Some(said) = line.strip_prefix(b"ERR ") {
            return Err(SessionError::remote(said).into());
        }
        let (text, list) = match memchr::memchr(0, line).and_then(|nul| line.split_at_checked(nul)) {
            Some((text, list)) => (text, list.get(1..)),
            None => (line, None),
        };
        let malformed = || Error::Command { line: excerpt(text, 256) };
        if let Some(id) = text.strip_prefix(b"shallow ") {
            let id = ObjectId::from_hex(id).ok().filter(|id| id.format() == config.format);
            return self.take_shallow(id.ok_or_else(malformed)?);
        }
        if let Some(list) = list {
            self.agree(&Capabilities::parse(list)?, config)?;
        }
        let (old, new, name) = split(text, config.format).ok_or_else(malformed)?;
        if self.received.len() >= config.max_commands {
            let limit = config.max_commands;
            return Err(SessionError::TooMany { what: "commands in one push", limit }.into());
        }
        self.judge(old, new, name, config);
        Ok(())
    }

    pub(super) fn take_option(&mut self, line: &[u8], config: &Config) -> Result<(), Error> {
        self.count(line)?;
        if self.push_options.len() >= config.max_push_options {
            let limit = config.max_push_options;
            return Err(SessionError::TooMany { what: "push options", limit }.into());
        }
        let line = pkt::trim_lf(line);
        if line.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
            return Err(Error::PushOption { option: excerpt(line, 80) });
        }
        self.push_options.push(Bytes::copy_from_slice(line));
        Ok(())
    }

    fn take_shallow(&mut self, id: ObjectId) -> Result<(), Error> {
        if self.shallow.len() >= limits::SHALLOW {
            return Err(SessionError::TooMany { what: "shallow lines", limit: limits::SHALLOW }.into());
        }
        self.shallow.push(id);
        Ok(())
    }

    /// The report repeats every name, so the limit of a report bounds the lines as well.
    fn count(&mut self, line: &[u8]) -> Result<(), Error> {
        self.bytes = self.bytes.saturating_add(line.len());
        if self.bytes > limits::REPORT {
            return Err(SessionError::TooMany { what: "bytes of commands", limit: limits::REPORT }.into());
        }
        Ok(())
    }

    /// Only what was advertised counts; any line may bring capabilities, and they add up.
    fn agree(&mut self, list: &Capabilities, config: &Config) -> Result<(), Error> {
        if let Some(named) = list.value("object-format") {
            if ObjectFormat::from_name(named) != Some(config.format) {
                return Err(Error::Format { named: excerpt(named, 80) });
            }
        }
        let agreed = &mut self.agreed;
        agreed.status |= list.has("report-status") || list.has("report-status-v2");
        agreed.sideband |= list.has("side-band-64k");
        agreed.atomic |= config.atomic && list.has("atomic");
        agreed.quiet |= list.has("quiet");
        agreed.options |= config.push_options && list.has("push-options");
        Ok(())
    }

    /// Refuses what needs no repository to be refused (PUSH-11).
    fn judge(&mut self, old: ObjectId, new: ObjectId, name: &[u8], config: &Config) {
        let Some(name) = acceptable(name, new.is_null()) else {
            let target = Target::Funny(Bytes::copy_from_slice(name));
            let refused = Some(Bytes::from_static(b"funny refname"));
            self.received.push(Received { target, old, new, refused });
            return;
        };
        let reason = refusal(&name, old.is_null(), new.is_null(), config);
        let mut refused = reason.map(|reason| Bytes::from_static(reason.as_bytes()));
        let at = self.received.len();
        if let Some(first) = self.names.insert(name.clone(), at) {
            let reason = twice(&name);
            if let Some(first) = self.received.get_mut(first) {
                first.refused.get_or_insert_with(|| reason.clone());
            }
            refused.get_or_insert(reason);
        }
        self.received.push(Received { target: Target::Ref(name), old, new, refused });
    }

    /// All commands are there. An atomic push fails as a whole if one of them is refused (PUSH-13).
    pub(super) fn seal(&mut self) {
        self.names.clear();
        if self.agreed.atomic && self.received.iter().any(|one| one.refused.is_some()) {
            self.refuse_rest("atomic push failure");
        }
    }

    /// Whether a pack follows: something is created or updated, refused or not.
    pub(super) fn has_pack(&self) -> bool {
        self.received.iter().any(|one| !one.new.is_null())
    }

    /// The pack was not stored: nothing of the push is done, whatever was said before (PUSH-14).
    pub(super) fn unpack_failed(&mut self, reason: &[u8]) {
        for one in &mut self.received {
            one.refused = Some(Bytes::from_static(b"unpacker error"));
        }
        self.unpack_error = Some(one_line(reason));
    }

    /// What the driver is to do, and how many commands that is.
    pub(super) fn update(&self) -> Update {
        Update {
            commands: self.received.iter().filter_map(Received::command).collect(),
            atomic: self.agreed.atomic,
            quiet: self.agreed.quiet,
            push_options: self.push_options.clone(),
            shallow: self.shallow.clone(),
        }
    }

    /// Takes the driver's results for the commands of [`Self::update`].
    pub(super) fn settle(&mut self, results: Vec<Result<(), Bytes>>) {
        let failed = results.iter().any(Result::is_err);
        let open = self.received.iter_mut().filter(|one| one.refused.is_none());
        for (one, result) in open.zip(results) {
            one.refused = result.err().map(|reason| one_line(&reason));
        }
        if self.agreed.atomic && failed {
            self.refuse_rest("atomic push failure");
        }
    }

    fn refuse_rest(&mut self, reason: &'static str) {
        for one in &mut self.received {
            one.refused.get_or_insert(Bytes::from_static(reason.as_bytes()));
        }
    }
}

/// Why a command on a valid name is refused, if it is.
fn refusal(name: &RefName, creates: bool, deletes: bool, config: &Config) -> Option<&'static str> {
    if config.hidden.hides(name) {
        return Some(if deletes { "deny deleting a hidden ref" } else { "deny updating a hidden ref" });
    }
    if deletes && !config.delete_refs {
        return Some("deletion prohibited");
    }
    // Git takes this for a deletion whatever the value: nothing is ever deleted unseen here (T22).
    (deletes && creates).then_some("both ids are null")
}

/// A name that Git's receive-pack accepts: below `refs/`, and at least two levels deep unless it is deleted.
fn acceptable(name: &[u8], deletes: bool) -> Option<RefName> {
    let levels = memchr::memchr_iter(b'/', name).count();
    RefName::new(name).ok().filter(|name| !name.is_head() && (deletes || levels > 1))
}

fn twice(name: &RefName) -> Bytes {
    let mut reason = BytesMut::new();
    for part in [&b"multiple updates for ref '"[..], name.as_bytes(), b"' not allowed"] {
        reason.extend_from_slice(part);
    }
    reason.freeze()
}

/// A reason that keeps to its line of the report.
fn one_line(reason: &[u8]) -> Bytes {
    let kept = reason.get(..limits::ERROR_MESSAGE).unwrap_or(reason);
    let clean = |byte: &u8| if matches!(byte, 0 | b'\r' | b'\n') { b' ' } else { *byte };
    pkt::trim_lf(kept).iter().map(clean).collect()
}
