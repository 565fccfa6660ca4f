//! Where a client finds its server: a `git://` URL, or a program that speaks the protocol on its standard streams.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use portline::git::{Request, Service, Version};

use super::connection::Connection;
use super::error::Error;
use super::process::clean;

/// How long to wait for a host to answer.
const CONNECT: Duration = Duration::from_secs(30);

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// `git://HOST[:PORT]/PATH`.
    Daemon {
        /// `HOST:PORT`.
        address: String,
        /// As it stands in the URL.
        host: String,
        /// The repository.
        path: String,
    },
    /// A program and its arguments.
    Program(Vec<OsString>),
}

impl Remote {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn parse(url: &str) -> Result<Self, Error> {
        let usage = || Error::Usage(format!("'{url}' is no URL of the form git://HOST[:PORT]/PATH"));
        let rest = url.strip_prefix("git://").ok_or_else(usage)?;
        let slash = rest.find('/').ok_or_else(usage)?;
        let (host, path) = rest.split_at_checked(slash).ok_or_else(usage)?;
        // A colon inside brackets belongs to an IPv6 address.
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let address = if has_port { host.to_owned() } else { format!("{host}:9418") };
        if host.is_empty() || path.len() < 2 {
            return Err(usage());
        }
        Ok(Self::Daemon { address, host: host.to_owned(), path: path.to_owned() })
    }

    /// The URL, where there is one.
    pub fn url(&self) -> Option<String> {
        match self {
            Self::Daemon { host, path, .. } => Some(format!("git://{host}{path}")),
            Self::Program(_) => None,
        }
    }

    /// The request that is to be sent first, where one is.
    pub fn request(&self, service: Service, version: Version) -> Option<Request> {
        let Self::Daemon { host, path, .. } = self else { return None };
        let mut request = Request::new(service).with_path(path.clone());
        request.host = Some(host.clone().into());
        request.version = version;
        Some(request)
    }

    /// Reaches the server and asks it for `version`. The request that is to be sent first comes with it, where one is.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn connect(
        &self,
        service: Service,
        version: Version,
    ) -> Result<(Connection, Option<Request>), Error> {
        match self {
            Self::Daemon { address, .. } => {
                let request = self.request(service, version);
                Ok((Connection::connect(address.as_str(), CONNECT)?, request))
            }
            Self::Program(words) => {
                let missing = || Error::Usage("a program is missing".to_owned());
                let (program, arguments) = words.split_first().ok_or_else(missing)?;
                let mut command = Command::new(program);
                clean(&mut command).args(arguments);
                match version {
                    Version::V0 => {}
                    Version::V1 => {
                        command.env("GIT_PROTOCOL", "version=1");
                    }
                    Version::V2 => {
                        command.env("GIT_PROTOCOL", "version=2");
                    }
                }
                Ok((Connection::child(command)?, None))
            }
        }
    }
}
