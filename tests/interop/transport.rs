//! The ways between a Git and a repository, each with one of our machines on it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::http::HttpServer;
use crate::support_repo::{Daemon, Sandbox, example, program, server};

/// How a Git reaches a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// Git on both sides: what everything else is compared with.
    Reference,
    /// `git_server` as `--upload-pack=` and `--receive-pack=` of a path.
    Path,
    /// `git_server daemon`.
    Daemon,
    /// Git's `http-backend`, which calls `git_server` in Git's place.
    Http,
    /// `git_remote_helper`, and Git's own programs behind it.
    Helper,
    /// `git_remote_helper`, and `git_server daemon` behind it.
    HelperDaemon,
}

/// Those that are tested, in the order of the table.
pub const TRANSPORTS: [Transport; 5] =
    [Transport::Path, Transport::Daemon, Transport::Http, Transport::Helper, Transport::HelperDaemon];

impl Transport {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reference => "git alone",
            Self::Path => "path",
            Self::Daemon => "git://",
            Self::Http => "http-backend",
            Self::Helper => "helper, path",
            Self::HelperDaemon => "helper, git://",
        }
    }
}

/// What all cells share: the directory that holds everything, and the servers that serve it.
pub struct World {
    pub sandbox: Sandbox,
    pub daemon: Daemon,
    pub http: HttpServer,
    /// In front of the path: `git-remote-portline`.
    helpers: PathBuf,
}

fn script(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

impl World {
    pub fn new() -> Self {
        let sandbox = Sandbox::new();
        let (helpers, cgi) = (sandbox.path("bin"), sandbox.path("cgi"));
        for folder in [&helpers, &cgi] {
            fs::create_dir_all(folder).unwrap();
        }
        symlink(example("git_remote_helper"), helpers.join("git-remote-portline")).unwrap();
        // http-backend asks `git` for the two services. Everything below our server finds the real one again.
        let path = std::env::var("PATH").unwrap();
        let ours = example("git_server");
        script(
            &cgi.join("git"),
            &format!(
                "#!/bin/sh\nunset GIT_EXEC_PATH\nPATH='{path}'\nexport PATH\ncase $1 in\nupload-pack|receive-pack) exec '{}' \"$@\" ;;\n*) exec git \"$@\" ;;\nesac\n",
                ours.display()
            ),
        );
        let daemon = sandbox.daemon(&["--enable-push", "--max-connections=64"]);
        let http = HttpServer::start(&sandbox.path(""), &cgi);
        Self { sandbox, daemon, http, helpers }
    }

    /// A URL of the repository at `path`, which is below the sandbox.
    pub fn url(&self, transport: Transport, path: &Path) -> String {
        let root = self.sandbox.path("");
        let below = path.strip_prefix(&root).unwrap().to_str().unwrap();
        match transport {
            Transport::Reference | Transport::Path => format!("file://{}", path.display()),
            Transport::Daemon => self.daemon.url(below),
            Transport::Http => self.http.url(below),
            Transport::Helper => format!("portline::{}", path.display()),
            Transport::HelperDaemon => format!("portline::{}", self.daemon.url(below)),
        }
    }

    /// A Git that speaks `version` through `transport`. What is said in packets goes to the file `trace`.
    pub fn git(&self, transport: Transport, version: u8, trace: &Path) -> Command {
        let mut command = program("git");
        let mut settings = vec![
            ("protocol.version".to_owned(), version.to_string()),
            ("gc.auto".to_owned(), "0".to_owned()),
            ("maintenance.auto".to_owned(), "false".to_owned()),
            // Nothing here outlives the test.
            ("core.fsync".to_owned(), "none".to_owned()),
            ("advice.setUpstreamFailure".to_owned(), "false".to_owned()),
        ];
        match transport {
            Transport::Reference | Transport::Daemon | Transport::Http => {
                command.env("GIT_TRACE_PACKET", trace);
            }
            Transport::Path => {
                command.env("GIT_TRACE_PACKET", trace);
                for (key, verb) in [("uploadpack", "upload-pack"), ("receivepack", "receive-pack")] {
                    settings.push((format!("remote.origin.{key}"), server(verb)));
                }
            }
            Transport::Helper => {
                // There the packets are seen by the server alone.
                for key in ["upload-pack", "receive-pack"] {
                    let program = format!("env GIT_TRACE_PACKET='{}' git-{key}", trace.display());
                    settings.push((format!("remote.origin.{}", key.replace('-', "")), program));
                }
            }
            Transport::HelperDaemon => {}
        }
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.helpers.display()));
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (at, (key, value)) in settings.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{at}"), key).env(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        command
    }
}

/// The version that was really spoken, and whether the other side was one of ours; `None` where there is no trace to
/// tell.
pub fn spoken(transport: Transport, trace: &str) -> Option<(u8, bool)> {
    // Git tells what it heard; behind the helper it is the server, which heard our client.
    let announces = match transport {
        Transport::Reference | Transport::Path | Transport::Daemon | Transport::Http => "< version ",
        Transport::Helper => "> version ",
        Transport::HelperDaemon => return None,
    };
    let versions = trace.lines().filter_map(|line| line.split_once(announces)?.1.trim().parse().ok());
    let ours = trace.lines().any(|line| line.contains("< ") && line.contains("agent=portline/"));
    Some((versions.max().unwrap_or(0), ours))
}
