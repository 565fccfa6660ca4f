//! The driver of [`fetch::server`]: a repository that is fetched from.

use std::time::Duration;

use bytes::Bytes;
use portline::Instant;
use portline::git::fetch::server::{
    Action, Config, FilterKind, FilterPolicy, Outcome, Server, Unborn, WantPolicy,
};
use portline::git::{ObjectId, Serving, Version};

use super::config::Config as Settings;
use super::deepen;
use super::drive::{self, Driver, Mailbox, Work};
use super::error::Error;
use super::history::{self, Coverage};
use super::objects::ObjectReader;
use super::outgoing::{Outgoing, Told};
use super::repository::Repository;

/// What Git's servers say when a pack cannot be built: the reason itself is for the server's own log.
const ABORTED: &[u8] = b"aborting due to possible repository corruption on the remote side.";

/// The machine's configuration as the repository's settings have it.
///
/// # Errors
/// [`Error::Unusable`] for a namespace that cannot be one; [`Error::Io`].
pub fn config(
    repository: &Repository,
    serving: Serving,
    version: Version,
    idle_timeout: Option<Duration>,
) -> Result<Config, Error> {
    let settings = repository.config();
    let allows = |name: &str| settings.truth(name).unwrap_or(false);
    let tips = allows("uploadpack.allowtipsha1inwant");
    let wants = match allows("uploadpack.allowreachablesha1inwant") {
        _ if allows("uploadpack.allowanysha1inwant") => WantPolicy::Any,
        true if tips => WantPolicy::TipsAndReachable,
        true => WantPolicy::Reachable,
        false if tips => WantPolicy::Tips,
        false => WantPolicy::Advertised,
    };
    let unborn = match settings.value("lsrefs.unborn") {
        Some(word) if word.eq_ignore_ascii_case(b"allow") => Unborn::Allow,
        Some(word) if word.eq_ignore_ascii_case(b"ignore") => Unborn::Ignore,
        Some(_) | None => Unborn::Advertise,
    };
    Ok(Config {
        version,
        serving,
        format: repository.format(),
        session_id: repository.session_id(),
        view: repository.view("uploadpack")?,
        wants,
        shallow: repository.shallow()?,
        filters: allows("uploadpack.allowfilter").then(|| filters(settings)),
        ref_in_want: allows("uploadpack.allowrefinwant"),
        sideband_all: allows("uploadpack.allowsidebandall"),
        packfile_uris: settings.value("uploadpack.blobpackfileuri").is_some(),
        object_info: allows("transfer.advertiseobjectinfo"),
        bundle_uris: allows("uploadpack.advertisebundleuris").then(|| bundle_uris(settings)),
        unborn,
        resume: settings.truth("portline.resume").unwrap_or(true),
        keep_alive: settings.keep_alive("uploadpack"),
        idle_timeout,
        ..Config::default()
    })
}

/// `uploadpackfilter.*`: all filters are allowed but those that are refused one by one or all together.
fn filters(settings: &Settings) -> FilterPolicy {
    let others = settings.truth("uploadpackfilter.allow").unwrap_or(true);
    let max_tree = settings.number(&["uploadpackfilter.tree.maxdepth"]);
    let is_refused = |kind: &FilterKind| {
        let allowed = settings.truth(&format!("uploadpackfilter.{}.allow", kind.name()));
        let by_depth = *kind == FilterKind::Tree && max_tree.is_some();
        !allowed.unwrap_or(others || by_depth)
    };
    FilterPolicy {
        refused: FilterKind::ALL.into_iter().filter(is_refused).collect(),
        max_tree: max_tree.and_then(|limit| u64::try_from(limit).ok()),
    }
}

/// `bundle.*`, as it stands.
fn bundle_uris(settings: &Settings) -> Vec<Bytes> {
    let line = |(name, value): (&[u8], &[u8])| [b"bundle.", name, b"=", value].concat().into();
    settings.below("bundle.").map(line).collect()
}

/// Answers the machine from a repository.
#[derive(Debug)]
pub struct UploadDriver<'a> {
    repository: &'a Repository,
    mailbox: Mailbox,
    objects: ObjectReader,
    /// The latest walk, and what it is from: in version 2 each request has wants of its own.
    coverage: Option<(Vec<ObjectId>, Coverage)>,
    outgoing: Outgoing<'a>,
    result: Option<Result<Outcome, Error>>,
}

impl<'a> UploadDriver<'a> {
    /// A driver that has not been asked yet.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn new(repository: &'a Repository, mailbox: Mailbox) -> Result<Self, Error> {
        let objects = repository.object_reader()?;
        Ok(Self {
            repository,
            mailbox,
            objects,
            coverage: None,
            outgoing: Outgoing::new(repository),
            result: None,
        })
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
            Action::ListRefs => machine.refs_listed(now, self.repository.refs_below(None)?)?,
            Action::ListRefsBelow(prefixes) => {
                machine.refs_listed(now, self.repository.refs_below(Some(&prefixes))?)?;
            }
            // Git's own server takes them and does nothing with them either.
            Action::ServerOptions(_) => {}
            Action::FindObjects(ids) => machine.objects_found(now, self.objects.existing(&ids)?)?,
            Action::LoadCommits(ids) => machine.commits(now, self.objects.commits(&ids)?)?,
            Action::CheckReachable { ids, tips } => {
                let all = history::reachable(self.repository.git(), &mut self.objects, &ids, &tips)?;
                machine.reachable(now, all)?;
            }
            Action::CheckCovered { wants, common } => {
                let coverage = match self.coverage.take() {
                    Some((known, coverage)) if known == wants => coverage,
                    Some(_) | None => Coverage::new(self.repository, &mut self.objects, &wants)?,
                };
                let (_, coverage) = self.coverage.insert((wants, coverage));
                machine.covered(now, coverage.covers(&mut self.objects, &common)?)?;
            }
            Action::Deepen(request) => match deepen::deepen(self.repository, &mut self.objects, &request)? {
                Ok(update) => machine.deepened(now, update)?,
                Err(reason) => machine.deepen_failed(now, reason.into())?,
            },
            Action::ObjectSizes(ids) => {
                let infos = self.objects.infos(&ids)?.into_iter().flatten();
                machine.sizes(now, infos.map(|info| (info.id, info.size)).collect())?;
            }
            Action::BuildPack(request) => {
                self.outgoing.start(&mut self.objects, &request, &self.mailbox)?;
            }
            Action::Finished(outcome) => self.end(Ok(outcome)),
            Action::Failed(error) => self.end(Err(Error::session(&error))),
        }
        Ok(())
    }

    fn handle_work(&mut self, now: Instant, machine: &mut Server, work: Work) -> Result<(), Error> {
        match self.outgoing.heed(work, &mut self.objects, &self.mailbox)? {
            Some(Told::Resumes) => machine.pack_resumes(now)?,
            Some(Told::Chunk(bytes)) => machine.pack_chunk(now, bytes)?,
            Some(Told::Uri { pack, uri }) => machine.packfile_uri(now, pack, uri)?,
            Some(Told::Message(bytes)) => machine.progress(now, bytes)?,
            Some(Told::Finished) => machine.pack_finished(now)?,
            Some(Told::Failed) => machine.pack_failed(now, Bytes::from_static(ABORTED))?,
            None => {}
        }
        Ok(())
    }

    fn pump(&mut self, machine: &Server) {
        if machine.wants_pack() {
            self.outgoing.allow();
        }
    }

    fn lives_by_output(&self) -> bool {
        true
    }

    fn is_busy(&self) -> bool {
        self.outgoing.is_busy()
    }
}

impl UploadDriver<'_> {
    fn end(&mut self, result: Result<Outcome, Error>) {
        self.outgoing.drop();
        self.result = Some(result);
    }
}
