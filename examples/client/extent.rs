//! How much of a history a fetch asks for: its depth, and what is left out.

use portline::git::fetch::client::Config;
use portline::git::{Deepen, Depth, Filter};

use super::options::complaint;
use crate::support::history::seconds;
use crate::support::promise::Promise;
use crate::support::{Error, Repository};

/// What the command line says of it.
#[derive(Debug, Default)]
pub struct Extent {
    to: Reach,
    /// Refs whose history is left out.
    not: Vec<String>,
    filters: Vec<Filter>,
    /// Take the border of a shallow server over.
    pub update_shallow: bool,
    /// The remote that promises what is left out.
    remote: Option<String>,
}

/// How deep.
#[derive(Debug, Default, PartialEq, Eq)]
enum Reach {
    #[default]
    Full,
    Depth(u32),
    Deepen(u32),
    Unshallow,
    Since(String),
}

impl Extent {
    /// Takes an option that has a value. `false`: it is none of these.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn option(
        &mut self,
        name: &str,
        value: impl FnOnce() -> Result<String, Error>,
    ) -> Result<bool, Error> {
        match name {
            "--depth" => self.reach(Reach::Depth(number(name, &value()?)?))?,
            "--deepen" => self.reach(Reach::Deepen(number(name, &value()?)?))?,
            "--unshallow" => self.reach(Reach::Unshallow)?,
            "--shallow-since" => self.reach(Reach::Since(value()?))?,
            "--shallow-exclude" => self.not.push(value()?),
            "--update-shallow" => self.update_shallow = true,
            "--remote" => self.remote = Some(value()?),
            "--filter" => {
                let spec = value()?;
                let wrong = |error| complaint(&format!("--filter={spec}: {error}"));
                self.filters.push(Filter::parse(spec.as_bytes()).map_err(wrong)?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn reach(&mut self, to: Reach) -> Result<(), Error> {
        if self.to != Reach::Full {
            return Err(complaint("--depth, --deepen, --unshallow and --shallow-since exclude each other"));
        }
        self.to = to;
        Ok(())
    }

    /// Whether anything was said.
    pub fn is_default(&self) -> bool {
        self.to == Reach::Full && self.not.is_empty() && self.filters.is_empty() && self.remote.is_none()
    }

    /// Writes the depth into the machine's config.
    ///
    /// # Errors
    /// [`Error::Usage`], [`Error::Io`].
    pub fn deepen(&self, repository: &Repository, config: &mut Config) -> Result<(), Error> {
        let to = match &self.to {
            Reach::Full => Depth::Full,
            Reach::Depth(depth) => Depth::Commits(*depth),
            Reach::Deepen(depth) => Depth::Further(*depth),
            Reach::Unshallow if config.shallow.is_empty() => {
                return Err(Error::Usage(
                    "--unshallow on a complete repository does not make sense".to_owned(),
                ));
            }
            Reach::Unshallow => Depth::Commits(Depth::INFINITE),
            Reach::Since(date) => Depth::Since(seconds(repository, date)?),
        };
        if !self.not.is_empty() && matches!(to, Depth::Commits(_) | Depth::Further(_)) {
            return Err(complaint("--shallow-exclude goes with --shallow-since or alone"));
        }
        config.deepen = Deepen { to, not: self.not.iter().map(|name| name.clone().into()).collect() };
        Ok(())
    }

    /// What the server is to leave out: what was said, or what it has promised before.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn promise(&self, repository: &Repository, url: Option<String>) -> Result<Option<Promise>, Error> {
        let remote = self.remote.clone().unwrap_or_else(|| "origin".to_owned());
        let wrong = |error| complaint(&format!("--filter: {error}"));
        let Some(filter) = Filter::all(self.filters.iter().cloned()).map_err(wrong)? else {
            return Ok(Promise::configured(repository, &remote));
        };
        Ok(Some(Promise { remote, url, filter, record: true }))
    }
}

fn number(name: &str, text: &str) -> Result<u32, Error> {
    let number = text.parse().ok().filter(|number| (1..=Depth::INFINITE).contains(number));
    number.ok_or_else(|| complaint(&format!("{name} takes a positive number, not '{text}'")))
}
