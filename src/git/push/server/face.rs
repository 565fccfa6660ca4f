//! What a server is set up with, what it asks, and what it comes to.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::error::Blame;
use crate::git::push::{Certificate, Command};
use crate::git::wire::AGENT;
use crate::git::{CapabilityError, ObjectFormat, ObjectId, RefView, Serving, SessionError, Version};
use crate::limits;

/// What to offer and what to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Which part of a session is served. Default all of it.
    pub serving: Serving,
    /// The version that the request asked for: 1 is announced by a line, 2 counts as 0. Default 0.
    pub version: Version,
    /// The repository's object format. Default SHA-1.
    pub format: ObjectFormat,
    /// The `agent` capability. Default `portline/<version>`.
    pub agent: Option<Bytes>,
    /// The `session-id` capability, a word without spaces. Default none.
    pub session_id: Option<Bytes>,
    /// The refs that the client sees and may touch: those of a namespace, without the hidden ones. Default all.
    pub view: RefView,
    /// The commits at which the repository's own history ends, when it is shallow. Default none.
    pub shallow: Vec<ObjectId>,
    /// The nonce of the `push-cert` capability: a word that the driver makes for this session only. Default none, and
    /// no signed push is asked for.
    pub nonce: Option<Bytes>,
    /// Offer `atomic`. Default on.
    pub atomic: bool,
    /// Offer `push-options`. Default off.
    pub push_options: bool,
    /// Offer `delete-refs`; without it every deletion is refused. Default on.
    pub delete_refs: bool,
    /// Offer `ofs-delta`. Default on.
    pub ofs_delta: bool,
    /// Whether the driver has work to do when the client has its report, such as Git's `post-receive` hook:
    /// [`Action::Reported`] asks for it then, and the session ends with the answer. Default off.
    pub after_report: bool,
    /// Whether a client may go on with a pack that broke off (`portline-resume`): [`Action::FindPart`] asks for what was
    /// kept of it. Whole sessions only. Default `false`: Git knows nothing of it.
    pub resume: bool,
    /// Commands in one push. Default [`limits::COMMANDS`].
    pub max_commands: usize,
    /// Push options in one push. Default [`limits::PUSH_OPTIONS`].
    pub max_push_options: usize,
    /// How long the peer may be silent while it is its turn. Default `None`: for ever. Time that the driver takes
    /// does not count, from [`pack_complete`](super::Server::pack_complete) on; taking output gives the peer the same time again (GIT-13).
    pub idle_timeout: Option<Duration>,
    /// How long the driver may be silent, once the pack has come, before an empty packet tells a client with a
    /// sideband that work goes on (Git's `receive.keepAlive`). `None`: never. Default 5 seconds.
    pub keep_alive: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            serving: Serving::Session,
            version: Version::V0,
            format: ObjectFormat::Sha1,
            agent: Some(Bytes::from_static(AGENT)),
            session_id: None,
            view: RefView::default(),
            shallow: Vec::new(),
            nonce: None,
            atomic: true,
            push_options: false,
            delete_refs: true,
            ofs_delta: true,
            after_report: false,
            resume: false,
            max_commands: limits::COMMANDS,
            max_push_options: limits::PUSH_OPTIONS,
            idle_timeout: None,
            keep_alive: Some(limits::KEEP_ALIVE),
        }
    }
}

impl Config {
    /// A request that stands for itself has no place for the question.
    pub(in crate::git::push) fn resumes(&self) -> bool {
        self.resume && self.serving == Serving::Session
    }
}

/// What a push wants done: the commands that the machine has not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Each ref moves only if it still has the old value (T22); a null old value means that it must not exist.
    /// Names are those that the client sees: [`RefView::stored`] tells the repository's own. No name occurs twice. Empty when every command was refused: the pack that follows is of no use then.
    pub commands: Vec<Command>,
    /// All commands or none.
    pub atomic: bool,
    /// The client wants less progress.
    pub quiet: bool,
    /// For hooks: opaque bytes without NUL, CR, LF. Never part of a shell line (T17).
    pub push_options: Vec<Bytes>,
    /// Commits whose parents the client does not have (it pushes from a shallow clone). Where the history of a ref
    /// would end at one of them, the ref is refused (`shallow update not allowed`) or the repository becomes shallow
    /// there.
    pub shallow: Vec<ObjectId>,
    /// The certificate that the commands were taken from, if the push is signed. It is not verified.
    pub certificate: Option<Certificate>,
    /// What the client calls this session, for logs.
    pub session_id: Option<Bytes>,
    /// What program the client says it is, for logs.
    pub agent: Option<Bytes>,
}

impl Update {
    /// These commands one by one, and nothing else.
    #[must_use]
    pub const fn new(commands: Vec<Command>) -> Self {
        Self {
            commands,
            atomic: false,
            quiet: false,
            push_options: Vec::new(),
            shallow: Vec::new(),
            certificate: None,
            session_id: None,
            agent: None,
        }
    }
}

/// What happened, or what the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// List the refs and the tips of alternates. Answer: [`refs_listed`](super::Server::refs_listed).
    ListRefs,
    /// What was kept of a pack from an earlier push of this kind that broke? Answer:
    /// [`part_found`](super::Server::part_found). With [`Config::resume`], where the client knows of it.
    FindPart(Update),
    /// The pack goes on from this byte: behind the part that was named, or from 0, and then that part is of no more use.
    /// Between [`Action::ReceivePack`] and the pack, and only where a part was named.
    Resumed {
        /// Where the next byte of the pack belongs.
        offset: u64,
    },
    /// A pack follows: get ready to store it. Answer, as soon as its end is seen or it is refused:
    /// [`pack_stored`](super::Server::pack_stored).
    ReceivePack(Update),
    /// Bytes of the pack, as they came.
    Pack(Bytes),
    /// The peer has closed its direction: no more of the pack will come. Not every client does that.
    PackEnd,
    /// The pack is stored (if there was one): move the refs. Answer: [`refs_updated`](super::Server::refs_updated) or
    /// [`refs_rewritten`](super::Server::refs_rewritten).
    UpdateRefs(Update),
    /// The report is on its way (with [`Config::after_report`], unless nothing was updated): do what is left to be
    /// done. Answer: [`done`](super::Server::done).
    Reported,
    /// The session ended as the protocol wants it. Terminal.
    Finished(Outcome),
    /// The session has failed. Terminal.
    Failed(Error),
}

/// What a session came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Commands that the client sent.
    pub commands: usize,
    /// Commands that were carried out.
    pub updated: usize,
    /// Whether a pack came and was stored.
    pub pack: bool,
    /// Whether the client was told (it had asked for a report).
    pub reported: bool,
}

/// What ends a session before its report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The session itself: a malformed packet, an early end, a limit.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The client's capability list, or the configured agent.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// Not a command.
    #[error("protocol error: expected old/new/ref, got '{}'", .line.escape_ascii())]
    Command {
        /// Its first bytes.
        line: Bytes,
    },
    /// A push certificate without an empty line behind its header, or with a NUL.
    #[error("malformed push certificate {}", .found.escape_ascii())]
    Certificate {
        /// Its first bytes.
        found: Bytes,
    },
    /// Commands beside a certificate: nobody has signed them.
    #[error("protocol error: got both push certificate and unsigned commands")]
    MixedCommands,
    /// The client names objects by another hash function.
    #[error("unsupported object format '{}'", .named.escape_ascii())]
    Format {
        /// The format's name.
        named: Bytes,
    },
    /// The client goes on with the pack from a place that was not named.
    #[error("the pack goes on from byte {offset}, which was not asked for")]
    UnknownPart {
        /// The place.
        offset: u64,
    },
    /// A push option with a byte that would break it out of its line (T17).
    #[error("push option '{}' holds NUL, CR or LF", .option.escape_ascii())]
    PushOption {
        /// Its first bytes.
        option: Bytes,
    },
}

impl Error {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Session(error) => error.blame(),
            Self::Capability(CapabilityError::Byte | CapabilityError::TooLong { .. }) => Blame::Caller,
            Self::Capability(_)
            | Self::Command { .. }
            | Self::Certificate { .. }
            | Self::MixedCommands
            | Self::Format { .. }
            | Self::UnknownPart { .. }
            | Self::PushOption { .. } => Blame::Peer,
        }
    }
}
