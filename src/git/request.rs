//! The request line that opens a Git session on `git://` and on a port.

use core::fmt;

use bytes::{Bytes, BytesMut};

use crate::{limits, pkt};

/// What is asked of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// `git-upload-pack`: the peer fetches.
    UploadPack,
    /// `git-receive-pack`: the peer pushes.
    ReceivePack,
}

impl Service {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The version of Git's wire protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// 0, the original: nothing is announced.
    #[default]
    V0,
    /// 1: version 0 with an announcement line.
    V1,
    /// 2: commands.
    V2,
}

/// `service SP path NUL host=H NUL [NUL version=N NUL]` (GIT-8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The service.
    pub service: Service,
    /// The repository, opaque bytes without NUL, CR, LF (T17). Default `/repo.git`.
    pub path: Bytes,
    /// The `host=` parameter. Default `peer`.
    pub host: Option<Bytes>,
    /// The highest version the client speaks.
    pub version: Version,
}

/// Why a request line is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A special packet instead of a line.
    #[error("a flush packet came where a request line was expected")]
    Flush,
    /// No space between service and path.
    #[error("the request line has no space between service and path")]
    NoSpace,
    /// Neither `git-upload-pack` nor `git-receive-pack`.
    #[error("the requested service is neither git-upload-pack nor git-receive-pack")]
    UnknownService,
    /// An empty path, or one with CR or LF; the same for the host.
    #[error("the requested path or host is empty or holds NUL, CR or LF")]
    Path,
    /// Path or host longer than [`limits::REQUEST_PATH`].
    #[error("the requested path or host is longer than the limit of {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
}

impl Request {
    /// A request with the defaults: path `/repo.git`, host `peer`, version 0.
    #[must_use]
    pub const fn new(service: Service) -> Self {
        Self {
            service,
            path: Bytes::from_static(b"/repo.git"),
            host: Some(Bytes::from_static(b"peer")),
            version: Version::V0,
        }
    }

    /// The same request for another repository.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<Bytes>) -> Self {
        self.path = path.into();
        self
    }

    /// Reads the data of the request packet. Parameters that are not known are passed over, and a version above
    /// 2 counts as 0, as Git does.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn parse(line: &[u8]) -> Result<Self, RequestError> {
        let space = memchr::memchr(b' ', line).ok_or(RequestError::NoSpace)?;
        let (service, rest) = line.split_at_checked(space).ok_or(RequestError::NoSpace)?;
        let service = [Service::UploadPack, Service::ReceivePack]
            .into_iter()
            .find(|known| known.name().as_bytes() == service)
            .ok_or(RequestError::UnknownService)?;
        let mut fields = rest.get(1..).unwrap_or(&[]).split(|byte| *byte == 0);
        let path = pkt::trim_lf(fields.next().unwrap_or(&[]));
        check_text(path)?;
        let mut request = Self { host: None, ..Self::new(service).with_path(Bytes::copy_from_slice(path)) };
        for field in fields {
            if let Some(host) = field.strip_prefix(b"host=") {
                if request.host.is_none() {
                    check_text(host)?;
                    request.host = Some(Bytes::copy_from_slice(host));
                }
            } else if let Some(version) = field.strip_prefix(b"version=") {
                request.version = match version {
                    b"1" => Version::V1,
                    b"2" => Version::V2,
                    _ => Version::V0,
                };
            }
        }
        Ok(request)
    }

    /// Appends the request packet.
    ///
    /// # Errors
    /// [`RequestError::Path`] and [`RequestError::TooLong`], and nothing is appended.
    pub fn encode(&self, to: &mut BytesMut) -> Result<(), RequestError> {
        check_text(&self.path)?;
        let mut line = BytesMut::new();
        for part in [self.service.name().as_bytes(), b" ", &self.path, b"\0"] {
            line.extend_from_slice(part);
        }
        if let Some(host) = &self.host {
            check_text(host)?;
            for part in [&b"host="[..], host, b"\0"] {
                line.extend_from_slice(part);
            }
        }
        match self.version {
            Version::V0 => {}
            Version::V1 => line.extend_from_slice(b"\0version=1\0"),
            Version::V2 => line.extend_from_slice(b"\0version=2\0"),
        }
        pkt::put_packet(to, &[&line]).map_err(|_| RequestError::TooLong { limit: limits::REQUEST_PATH })
    }
}

fn check_text(text: &[u8]) -> Result<(), RequestError> {
    if text.len() > limits::REQUEST_PATH {
        return Err(RequestError::TooLong { limit: limits::REQUEST_PATH });
    }
    if text.is_empty() || text.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
        return Err(RequestError::Path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(request: &Request) -> BytesMut {
        let mut out = BytesMut::new();
        request.encode(&mut out).unwrap();
        out
    }

    #[test]
    fn git_8_exact_bytes_of_the_three_versions() {
        let mut request = Request::new(Service::UploadPack);
        assert_eq!(&encoded(&request)[..], b"0028git-upload-pack /repo.git\0host=peer\0");
        request.version = Version::V1;
        assert_eq!(&encoded(&request)[..], b"0033git-upload-pack /repo.git\0host=peer\0\0version=1\0");
        request.version = Version::V2;
        request.host = None;
        request.service = Service::ReceivePack;
        assert_eq!(&encoded(&request)[..], b"002agit-receive-pack /repo.git\0\0version=2\0");
    }

    #[test]
    fn git_8_what_is_written_is_read_back() {
        for version in [Version::V0, Version::V1, Version::V2] {
            for host in [None, Some(Bytes::from_static(b"h:9418"))] {
                let path = Bytes::from_static(b"/a b/c");
                let request = Request { service: Service::ReceivePack, path, host, version };
                assert_eq!(Request::parse(&encoded(&request)[4..]), Ok(request));
            }
        }
        let old = Request::parse(b"git-upload-pack /x\n").unwrap();
        assert_eq!((old.path, old.host, old.version), (Bytes::from_static(b"/x"), None, Version::V0));
        assert_eq!(
            Request::parse(b"git-upload-pack /x\0host=a\0\0version=9\0").unwrap().version,
            Version::V0
        );
    }

    /// T17.
    #[test]
    fn git_8_bad_lines_are_named() {
        assert_eq!(Request::parse(b"git-upload-pack"), Err(RequestError::NoSpace));
        assert_eq!(Request::parse(b"git-upload-archive /x"), Err(RequestError::UnknownService));
        assert_eq!(Request::parse(b"git-upload-pack \0host=x\0"), Err(RequestError::Path));
        assert_eq!(Request::parse(b"git-upload-pack /a\nb\0"), Err(RequestError::Path));
        assert_eq!(Request::parse(b"git-upload-pack /a\0host=\r\0"), Err(RequestError::Path));
        let long = [b"git-upload-pack /", &[b'a'; limits::REQUEST_PATH][..]].concat();
        assert!(matches!(Request::parse(&long), Err(RequestError::TooLong { .. })));
        let bad = Request::new(Service::UploadPack).with_path("/a\0b");
        assert_eq!(bad.encode(&mut BytesMut::new()), Err(RequestError::Path));
    }
}
