//! The driver of [`fetch::server`]: a repository that is fetched from.

use std::time::Duration;

use bytes::Bytes;
use portline::Instant;
use portline::git::Version;
use portline::git::fetch::server::{Action, Config, Outcome, Server, WantPolicy};

use super::drive::{self, Driver, Mailbox, Work};
use super::error::Error;
use super::history::{self, Coverage};
use super::objects::ObjectReader;
use super::pack::PackBuilder;
use super::repository::Repository;

/// What Git's servers say when a pack cannot be built: the reason itself is for the server's own log.
const ABORTED: &[u8] = b"aborting due to possible repository corruption on the remote side.";

/// The machine's configuration as the repository's settings have it.
pub fn config(repository: &Repository, version: Version, idle_timeout: Option<Duration>) -> Config {
    let settings = repository.config();
    let allows = |name: &str| settings.truth(name).unwrap_or(false);
    let wants = if allows("uploadpack.allowanysha1inwant") {
        WantPolicy::Any
    } else if allows("uploadpack.allowreachablesha1inwant") {
        WantPolicy::Reachable
    } else if allows("uploadpack.allowtipsha1inwant") {
        WantPolicy::Tips
    } else {
        WantPolicy::Advertised
    };
    let hidden = settings.hidden("uploadpack");
    let keep_alive = settings.keep_alive("uploadpack");
    Config {
        version,
        format: repository.format(),
        hidden,
        wants,
        keep_alive,
        idle_timeout,
        ..Config::default()
    }
}

/// Answers the machine from a repository.
#[derive(Debug)]
pub struct UploadDriver<'a> {
    repository: &'a Repository,
    mailbox: Mailbox,
    objects: ObjectReader,
    coverage: Option<Coverage>,
    builder: Option<PackBuilder>,
    result: Option<Result<Outcome, Error>>,
}

impl<'a> UploadDriver<'a> {
    /// A driver that has not been asked yet.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Unusable`] for a shallow repository, whose history nobody could complete.
    pub fn new(repository: &'a Repository, mailbox: Mailbox) -> Result<Self, Error> {
        if !repository.shallow()?.is_empty() {
            let message = b"a shallow repository cannot be fetched from here".to_vec();
            return Err(Error::Unusable { message });
        }
        let objects = repository.object_reader()?;
        Ok(Self { repository, mailbox, objects, coverage: None, builder: None, result: None })
    }

    /// How the session ended.
    ///
    /// # Errors
    /// [`Error::Session`] when it failed.
    pub fn into_result(self, ran: Result<(), Error>) -> Result<Outcome, Error> {
        drive::ended(self.result, ran)
    }
}

impl Driver<Server> for UploadDriver<'_> {
    fn act(&mut self, now: Instant, machine: &mut Server, action: Action) -> Result<(), Error> {
        match action {
            Action::ListRefs => machine.refs_listed(now, self.repository.refs()?)?,
            Action::FindObjects(ids) => machine.objects_found(now, self.objects.existing(&ids)?)?,
            Action::CheckReachable { ids, tips } => {
                let all = history::reachable(self.repository.git(), &mut self.objects, &ids, &tips)?;
                machine.reachable(now, all)?;
            }
            Action::CheckCovered { wants, common } => {
                let coverage = match &mut self.coverage {
                    Some(coverage) => coverage,
                    // The wants of a session do not change.
                    none => none.insert(Coverage::new(self.repository, &mut self.objects, &wants)?),
                };
                machine.covered(now, coverage.covers(&mut self.objects, &common)?)?;
            }
            Action::BuildPack(request) => {
                let builder = PackBuilder::start(self.repository, &mut self.objects, &request, &self.mailbox);
                self.builder = Some(builder?);
            }
            Action::Finished(outcome) => self.end(Ok(outcome)),
            Action::Failed(error) => self.end(Err(Error::session(&error))),
        }
        Ok(())
    }

    fn handle_work(&mut self, now: Instant, machine: &mut Server, work: Work) -> Result<(), Error> {
        // What a builder posts that was dropped is late.
        let Some(mut builder) = self.builder.take_if(|builder| !builder.disowns(&work)) else {
            return Ok(());
        };
        match work {
            Work::PackChunk { bytes, .. } => {
                builder.came();
                machine.pack_chunk(now, bytes)?;
            }
            Work::Message(bytes) => machine.progress(now, bytes)?,
            Work::PackEnded { .. } => {
                let whole = builder.finish()?;
                let told = if whole {
                    machine.pack_finished(now)
                } else {
                    machine.pack_failed(now, Bytes::from_static(ABORTED))
                };
                return told.map_err(Error::from);
            }
            Work::PieceTaken
            | Work::PackRead
            | Work::StoreEnded
            | Work::RefsUpdated(..)
            | Work::AfterDone => {}
        }
        self.builder = Some(builder);
        Ok(())
    }

    fn pump(&mut self, machine: &Server) {
        if let Some(builder) = &mut self.builder {
            if machine.wants_pack() {
                builder.allow();
            }
        }
    }

    fn lives_by_output(&self) -> bool {
        true
    }

    fn is_busy(&self) -> bool {
        self.builder.is_some()
    }
}

impl UploadDriver<'_> {
    fn end(&mut self, result: Result<Outcome, Error>) {
        self.builder = None;
        self.result = Some(result);
    }
}
