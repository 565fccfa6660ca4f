//! The commands of a push as a server receives and judges them.

use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::Command;
use super::certificate::Certificate;
use super::command::split;
use super::report::Updated;
use super::server::{Config, Error, Update};
use crate::git::advertisement::excerpt;
use crate::git::resume::CAPABILITY;
use crate::git::{Capabilities, ObjectFormat, ObjectId, RefName, SessionError};
use crate::{limits, pkt};

/// What the client requested of what was advertised.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Agreed {
    pub(super) status: Status,
    pub(super) sideband: bool,
    pub(super) atomic: bool,
    pub(super) quiet: bool,
    pub(super) options: bool,
    pub(super) resumes: bool,
}

/// Which report the client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    #[default]
    None,
    V1,
    /// With option lines.
    V2,
}

/// One command and what has become of it.
#[derive(Debug)]
pub(super) struct Received {
    target: Target,
    old: ObjectId,
    new: ObjectId,
    pub(super) fate: Fate,
}

/// What has become of a command.
#[derive(Debug)]
pub(super) enum Fate {
    /// Nothing speaks against it.
    Open,
    /// Why it is refused.
    Refused(Bytes),
    /// It was done, or these instead of it.
    Done(Vec<Updated>),
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
        match (&self.target, &self.fate) {
            (Target::Ref(name), Fate::Open) => {
                Some(Command { name: name.clone(), old: self.old, new: self.new })
            }
            (Target::Ref(_) | Target::Funny(_), _) => None,
        }
    }

    /// Refuses it, unless that is done or it is.
    fn refuse(&mut self, reason: Bytes) {
        if matches!(self.fate, Fate::Open) {
            self.fate = Fate::Refused(reason);
        }
    }

    pub(super) const fn is_refused(&self) -> bool {
        matches!(self.fate, Fate::Refused(_))
    }
}

/// How far a certificate has come.
#[derive(Debug, Default)]
enum Signed {
    #[default]
    No,
    /// Its lines so far.
    Open(BytesMut),
    /// All of it, not taken apart yet.
    Closed(Bytes),
    Yes(Certificate),
}

/// Everything a client asks for in one push.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) received: Vec<Received>,
    pub(super) agreed: Agreed,
    signed: Signed,
    push_options: Vec<Bytes>,
    shallow: Vec<ObjectId>,
    session_id: Option<Bytes>,
    agent: Option<Bytes>,
    /// Bytes of all lines so far.
    bytes: usize,
    /// Why the pack was not stored.
    pub(super) unpack_error: Option<Bytes>,
}

impl Batch {
    /// Whether no line has come.
    pub(super) fn is_fresh(&self) -> bool {
        self.received.is_empty() && self.shallow.is_empty() && matches!(self.signed, Signed::No)
    }

    /// Takes a command line, a shallow line, or one of a certificate (PUSH-9, PUSH-10, PUSH-24).
    pub(super) fn take(&mut self, line: &[u8], config: &Config) -> Result<(), Error> {
        self.count(line)?;
        if let Signed::Open(text) = &mut self.signed {
            if pkt::trim_lf(line) == b"push-cert-end" {
                self.signed = Signed::Closed(text.split().freeze());
            } else if memchr::memchr(0, line).is_some() {
                return Err(Error::Certificate { found: excerpt(line, 80) });
            } else {
                text.extend_from_slice(line);
            }
            return Ok(());
        }
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
        if text == b"push-cert" && matches!(self.signed, Signed::No) && self.received.is_empty() {
            self.signed = Signed::Open(BytesMut::new());
            return Ok(());
        }
        let (old, new, name) = split(text, config.format).ok_or_else(malformed)?;
        if !matches!(self.signed, Signed::No) {
            return Err(Error::MixedCommands);
        }
        self.judge(old, new, name, config)
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
        for (capability, status) in [("report-status", Status::V1), ("report-status-v2", Status::V2)] {
            if list.has(capability) {
                agreed.status = agreed.status.max(status);
            }
        }
        agreed.sideband |= list.has("side-band-64k");
        agreed.atomic |= config.atomic && list.has("atomic");
        agreed.quiet |= list.has("quiet");
        agreed.resumes |= config.resumes() && list.has(CAPABILITY);
        agreed.options |= config.push_options && list.has("push-options");
        for (capability, told) in [("session-id", &mut self.session_id), ("agent", &mut self.agent)] {
            if let Some(value) = list.value(capability) {
                told.get_or_insert_with(|| excerpt(value, limits::CAPABILITY_VALUE));
            }
        }
        Ok(())
    }

    /// Refuses what needs no repository to be refused (PUSH-11).
    fn judge(&mut self, old: ObjectId, new: ObjectId, name: &[u8], config: &Config) -> Result<(), Error> {
        if self.received.len() >= config.max_commands {
            let limit = config.max_commands;
            return Err(SessionError::TooMany { what: "commands in one push", limit }.into());
        }
        let (target, reason) = match acceptable(name, new.is_null()) {
            None => (Target::Funny(Bytes::copy_from_slice(name)), Some("funny refname")),
            Some(name) => {
                let reason = refusal(&name, old.is_null(), new.is_null(), config);
                (Target::Ref(name), reason)
            }
        };
        let fate = reason.map_or(Fate::Open, |reason| Fate::Refused(Bytes::from_static(reason.as_bytes())));
        self.received.push(Received { target, old, new, fate });
        Ok(())
    }

    /// All lines are there: the commands of a certificate are taken, and a ref that is named twice is refused.
    pub(super) fn seal(&mut self, config: &Config) -> Result<(), Error> {
        let text = match &mut self.signed {
            Signed::No | Signed::Yes(_) => None,
            // A flush ends a certificate as well, as Git has it.
            Signed::Open(text) => Some(text.split().freeze()),
            Signed::Closed(text) => Some(text.clone()),
        };
        if let Some(text) = text {
            let found = excerpt(&text, 80);
            let certificate = Certificate::new(text, config.nonce.as_ref());
            let certificate = certificate.ok_or(Error::Certificate { found })?;
            for line in certificate.commands() {
                let malformed = || Error::Command { line: excerpt(line, 256) };
                let (old, new, name) = split(line, config.format).ok_or_else(malformed)?;
                self.judge(old, new, name, config)?;
            }
            self.signed = Signed::Yes(certificate);
        }
        self.refuse_repeated();
        Ok(())
    }

    /// Each of the commands for one ref is refused when there are several.
    fn refuse_repeated(&mut self) {
        let name_at = |at: usize| match self.received.get(at).map(|one| &one.target) {
            Some(Target::Ref(name)) => Some(name),
            Some(Target::Funny(_)) | None => None,
        };
        let mut order: Vec<usize> = (0..self.received.len()).filter(|at| name_at(*at).is_some()).collect();
        order.sort_unstable_by_key(|at| name_at(*at));
        let mut repeated: Vec<usize> = Vec::new();
        for pair in order.chunk_by(|one, next| name_at(*one) == name_at(*next)).filter(|same| same.len() > 1)
        {
            repeated.extend_from_slice(pair);
        }
        for at in repeated {
            if let Some(one) = self.received.get_mut(at) {
                let reason = twice(one.name());
                one.refuse(reason);
            }
        }
    }

    /// The push options are there as well: those of a certificate must be the same, and an atomic push fails as a whole
    /// if one of its commands is refused (PUSH-13, PUSH-24).
    pub(super) fn close(&mut self) {
        if let Signed::Yes(certificate) = &self.signed {
            if !certificate.header("push-option").eq(self.push_options.iter().map(|option| &option[..])) {
                self.refuse_rest("inconsistent push options");
            }
        }
        if self.agreed.atomic && self.received.iter().any(Received::is_refused) {
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
            one.fate = Fate::Refused(Bytes::from_static(b"unpacker error"));
        }
        self.unpack_error = Some(one_line(reason));
    }

    /// What the driver is to do.
    pub(super) fn update(&self) -> Update {
        Update {
            commands: self.received.iter().filter_map(Received::command).collect(),
            atomic: self.agreed.atomic,
            quiet: self.agreed.quiet,
            push_options: self.push_options.clone(),
            shallow: self.shallow.clone(),
            certificate: match &self.signed {
                Signed::Yes(certificate) => Some(certificate.clone()),
                Signed::No | Signed::Open(_) | Signed::Closed(_) => None,
            },
            session_id: self.session_id.clone(),
            agent: self.agent.clone(),
        }
    }

    /// Takes the driver's results for the commands of [`Self::update`].
    pub(super) fn settle(&mut self, results: Vec<Result<Vec<Updated>, Bytes>>) {
        let open = self.received.iter_mut().filter(|one| matches!(one.fate, Fate::Open));
        for (one, result) in open.zip(results) {
            one.fate = match result {
                Ok(updates) => Fate::Done(updates),
                Err(reason) => Fate::Refused(one_line(&reason)),
            };
        }
    }

    /// Commands that were carried out.
    pub(super) fn updated(&self) -> usize {
        self.received.iter().filter(|one| matches!(one.fate, Fate::Done(_))).count()
    }

    fn refuse_rest(&mut self, reason: &'static str) {
        for one in &mut self.received {
            one.refuse(Bytes::from_static(reason.as_bytes()));
        }
    }
}

/// Why a command on a valid name is refused, if it is.
fn refusal(name: &RefName, creates: bool, deletes: bool, config: &Config) -> Option<&'static str> {
    if config.view.stored(name).is_none() {
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

fn twice(name: &[u8]) -> Bytes {
    let mut reason = BytesMut::new();
    for part in [&b"multiple updates for ref '"[..], name, b"' not allowed"] {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// T10, PUSH-9: to the byte, from just below the limit on.
    #[test]
    fn push_9_the_lines_of_a_push_are_as_long_as_a_report() {
        let limit = limits::REPORT;
        let too_many = SessionError::TooMany { what: "bytes of commands", limit };
        for (before, fits) in [(5, true), (4, false)] {
            let mut batch = Batch { bytes: limit - before, ..Batch::default() };
            let taken = batch.take_option(b"a=bc\n", &Config::default());
            assert_eq!(taken, if fits { Ok(()) } else { Err(too_many.clone().into()) });
        }
        let mut batch = Batch { bytes: limit, ..Batch::default() };
        assert_eq!(batch.take(b"push-cert\n", &Config::default()), Err(too_many.into()));
    }
}
