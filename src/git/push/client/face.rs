//! What a client is set up with, what it asks, and what it comes to.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::error::Blame;
use crate::git::push::report::{Report, ReportError};
use crate::git::wire::AGENT;
use crate::git::{
    Advertisement, AdvertisementError, CapabilityError, ObjectId, PackRequest, Request, RequestError,
    SessionError,
};

/// How to push. Only what the server advertises is ever requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Sent first, on `git://` and on a port; `None` when the transport has named service and repository. The
    /// service is always receive-pack here, and version 2 is asked for as version 0: it has no push.
    pub request: Option<Request>,
    /// A transport of requests and responses, such as smart HTTP. The first response is the advertisement
    /// (`info/refs?service=git-receive-pack`, with its `# service=` line), and [`Client::handle_closed`] ends it; then
    /// comes one request, whole when [`Client::has_sent_all`], and its response. Default off.
    ///
    /// [`Client::handle_closed`]: super::Client::handle_closed
    /// [`Client::has_sent_all`]: super::Client::has_sent_all
    pub stateless: bool,
    /// The `agent` capability. Default `portline/<version>`.
    pub agent: Option<Bytes>,
    /// The `session-id` capability, a word without spaces. Default none.
    pub session_id: Option<Bytes>,
    /// All refs or none. A server that cannot is an error. Default off.
    pub atomic: bool,
    /// Asks the server for less progress. Default off.
    pub quiet: bool,
    /// Use `side-band-64k`. Default on.
    pub sideband: bool,
    /// Let the pack leave out bases that the server has. Default on.
    pub thin_pack: bool,
    /// Let the pack name bases by offset. Default on.
    pub ofs_delta: bool,
    /// Options for the server's hooks: opaque bytes without NUL, CR, LF (T17). A server that takes none is an
    /// error. Default none.
    pub push_options: Vec<Bytes>,
    /// The commits whose parents this repository does not have (it is shallow). Default none.
    pub shallow: Vec<ObjectId>,
    /// Sign the push. Default `None`: it is not signed.
    pub signing: Option<Signing>,
    /// Give up when nothing happens for so long. Default never.
    pub idle_timeout: Option<Duration>,
    /// Let a server that knows of it tell what it holds of the pack from a push that broke: one more turn, with such
    /// servers only. Default `true`.
    pub resume: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            request: None,
            stateless: false,
            agent: Some(Bytes::from_static(AGENT)),
            session_id: None,
            atomic: false,
            quiet: false,
            sideband: true,
            thin_pack: true,
            ofs_delta: true,
            push_options: Vec::new(),
            shallow: Vec::new(),
            signing: None,
            idle_timeout: None,
            resume: true,
        }
    }
}

/// Who signs a push, and whether it must be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signing {
    /// The signer, the time in seconds since 1970, and the time zone: `A U Thor <author@example.org> 1700000000 +0000`.
    /// At most [`CAPABILITY_VALUE`](crate::limits::CAPABILITY_VALUE) bytes.
    pub pusher: Bytes,
    /// The URL of the repository that is pushed to, without a password. At most
    /// [`CAPABILITY_VALUE`](crate::limits::CAPABILITY_VALUE) bytes.
    pub pushee: Option<Bytes>,
    /// Whether a server that takes no certificates is an error (`--signed`); otherwise the push is not signed then
    /// (`--signed=if-asked`).
    pub required: bool,
}

/// What happened, or what the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The server's refs. Answer: [`push`](super::Client::push).
    Advertised(Advertisement),
    /// Sign these bytes. Answer: [`signed`](super::Client::signed) or [`sign_failed`](super::Client::sign_failed).
    Sign(Bytes),
    /// Build this pack. Answer: [`pack_chunk`](super::Client::pack_chunk) as often as needed, then
    /// [`pack_finished`](super::Client::pack_finished) or [`pack_failed`](super::Client::pack_failed).
    BuildPack(PackRequest),
    /// Progress of the server, raw bytes that may hold terminal escapes (T18).
    Progress(Bytes),
    /// The push was done and reported: see [`Report::is_success`] for whether it went well. Terminal.
    Finished(Report),
    /// The push has failed. Terminal.
    Failed(Error),
}

/// What ends a push without a trustworthy report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The session itself: a malformed packet, an early end, the server's `ERR`.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The advertisement cannot be taken.
    #[error(transparent)]
    Advertisement(#[from] AdvertisementError),
    /// The configured request cannot be sent.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The configured agent cannot be sent.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// What was asked for needs a capability that the server does not have. No command was sent.
    #[error("the server does not advertise {capability}, which this push needs")]
    NotSupported {
        /// Its name.
        capability: &'static str,
    },
    /// A push option cannot be sent, or there are more than [`PUSH_OPTIONS`](crate::limits::PUSH_OPTIONS). No command was
    /// sent.
    #[error("push option {index} holds NUL, CR or LF, or there are too many or too long ones")]
    PushOption {
        /// Which one, counted from 0.
        index: usize,
    },
    /// The configured signer or URL holds NUL, CR or LF. No command was sent.
    #[error("the pusher or the pushee of a certificate holds NUL, CR or LF")]
    Signer,
    /// The configured signer, URL or a push option does not fit its line of a certificate. No command was sent.
    #[error("a {what} has more than {limit} bytes")]
    TooLong {
        /// Which.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// What the server wants to be signed is no nonce. No command was sent.
    #[error("the receiving end asked to sign an invalid nonce \"{}\"", .nonce.escape_ascii())]
    Nonce {
        /// Its first bytes.
        nonce: Bytes,
    },
    /// The driver could not sign. No command was sent.
    #[error("the push could not be signed: {}", .reason.escape_ascii())]
    Sign {
        /// The driver's reason.
        reason: Bytes,
    },
    /// The driver could not build the pack.
    #[error("the pack could not be built: {}", .reason.escape_ascii())]
    Pack {
        /// The driver's reason.
        reason: Bytes,
    },
    /// The report is not a complete one. Some refs may have moved all the same.
    #[error("{error}")]
    Report {
        /// What is wrong with it.
        error: ReportError,
        /// What had been understood of it.
        report: Box<Report>,
    },
    /// The server confirmed a push of which it had not got everything yet.
    #[error("the server confirmed the push before all of it was sent")]
    EarlyReport,
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Session(error) => error.blame(),
            Self::Advertisement(_)
            | Self::NotSupported { .. }
            | Self::Nonce { .. }
            | Self::Report { .. }
            | Self::EarlyReport => Blame::Peer,
            Self::Request(_)
            | Self::Capability(_)
            | Self::PushOption { .. }
            | Self::Signer
            | Self::TooLong { .. }
            | Self::Sign { .. }
            | Self::Pack { .. } => Blame::Caller,
        }
    }
}
