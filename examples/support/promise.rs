//! Partial clones: what a server has promised to send later, and which server that is.
//!
//! Git finds both in its configuration: `remote.NAME.promisor` and `remote.NAME.partialCloneFilter`. Objects that are
//! missing are fetched by Git itself from that remote's URL; packs that lack objects carry a file `.promisor`.

use std::ffi::OsString;

use portline::Printable;
use portline::git::{Advertisement, Filter, Version};

use super::error::Error;
use super::repository::Repository;

/// What is promised, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// The remote, as Git knows it.
    pub remote: String,
    /// Its URL, where Git is to know it from now on.
    pub url: Option<String>,
    /// What is left out.
    pub filter: Filter,
    /// Whether it is to be written into the repository's configuration. A helper leaves that to Git.
    pub record: bool,
}

impl Promise {
    /// The promise that a repository already has of `remote`.
    pub fn configured(repository: &Repository, remote: &str) -> Option<Self> {
        let config = repository.config();
        let is_promisor = config.truth(&format!("remote.{remote}.promisor")).unwrap_or(false);
        let spec = config.value(&format!("remote.{remote}.partialclonefilter"))?;
        let filter = Filter::parse(spec).ok().filter(|_| is_promisor)?;
        Some(Self { remote: remote.to_owned(), url: None, filter, record: true })
    }

    /// Whether a server leaves out what it is asked to.
    pub fn is_kept_by(seen: &Advertisement) -> bool {
        match seen.version {
            Version::V0 | Version::V1 => seen.capabilities.has("filter"),
            Version::V2 => seen.capabilities.has_feature("fetch", "filter"),
        }
    }

    /// What Git's programs see it by before it is written down.
    pub fn environment(&self) -> [(&'static str, OsString); 3] {
        [
            ("GIT_CONFIG_COUNT", "1".into()),
            ("GIT_CONFIG_KEY_0", format!("remote.{}.promisor", self.remote).into()),
            ("GIT_CONFIG_VALUE_0", "true".into()),
        ]
    }

    /// Writes it into the repository's configuration, if it is to be there.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Git`].
    pub fn commit(&self, repository: &Repository) -> Result<(), Error> {
        if !self.record {
            return Ok(());
        }
        let spec = self.filter.encode();
        let spec = String::from_utf8(spec).map_err(|error| {
            Error::Usage(format!("the filter {} is not UTF-8", Printable(error.as_bytes())))
        })?;
        let set = |key: &str, value: &str| {
            let key = format!("remote.{}.{key}", self.remote);
            repository.git().ask(&["config", &key, value], Vec::new()).map(drop)
        };
        repository.git().ask(&["config", "core.repositoryFormatVersion", "1"], Vec::new())?;
        if let Some(url) = &self.url {
            set("url", url)?;
        }
        set("promisor", "true")?;
        set("partialCloneFilter", &spec)
    }
}
