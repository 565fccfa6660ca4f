//! The fetch client: the asking end of `git-upload-pack`, protocol versions 0, 1 and 2.
//!
//! ```text
//! Opening ─► Told ─► Wanting ─► Holding ─► Talking ─► Hearing ─► Finishing ─► Closing ─► Pack ─► Finished
//!    │v2      ▲  Advertised │want    │held   ▲ commits  │ NAK        done     ▲ ACK/NAK  │
//!    ▼        │             ├─ FindHeld      │LoadCommits│ ready              │          └ no sideband: Raw
//! Asking ─► Listing         │                └───────────┤                    │
//!                           │                            ├─ last haves, done ─┘
//!                           └ nothing to fetch:          └─ ready, no-done: Granted ─► Pack
//!                             flush, Finished
//! v2:  Talking ─► Heading ─► Acking ─► Talking; ready, or after done: Sections ─► Pack
//! ```
//!
//! | state | input | what comes out, next state |
//! |---|---|---|
//! | Opening | versions 0 and 1: the refs up to the flush; version 2: the capabilities | Told; Asking |
//! | Asking, Listing | version 2: the answer to `ls-refs` | Told |
//! | Told | | `Advertised`; Wanting |
//! | Wanting | [`Client::want`] | `FindHeld`; Holding. Nothing: a flush, `Finished` |
//! | Wanting | [`Client::object_info`], [`Client::bundle_uri`] | Querying, and back with `ObjectInfo`, `Bundles` |
//! | Holding | [`Client::held`] | Talking. Everything held: a flush, `Finished` |
//! | Talking | [`Client::commits`] | one write: wants, haves, flush or `done`; the next state hears its answer |
//! | Bordering | versions 0 and 1, where the border is to move: its lines | `Shallow`; Hearing or Closing |
//! | Hearing | `ACK` lines, `NAK` | Talking; once the server is ready Finishing, or Granted |
//! | Granted | `ACK` | the pack |
//! | Finishing | | one write: the last haves and `done`; Closing |
//! | Closing | `ACK` lines, the last `ACK` or `NAK` | the pack |
//! | Heading, Acking | version 2: `acknowledgments` | Talking; once the server is ready Sections |
//! | Sections | version 2: what precedes the pack | `Shallow`, `RemoteShallow`, `WantedRefs`, `PackUris`; the pack |
//! | Pack, Raw | sideband packets; bytes | `Pack`, `Progress`; at its end `Finished` |
//! | Ending | stateless: the end of a response | the state that comes next |
//!
//! One round is in flight at a time. Git keeps a second one ahead; here a round is as large as those two together
//! (64 haves at the most), so as much is in flight, the pipes are as safe, every have is chosen knowing all
//! answers, and there are half as many rounds. When nothing is left to ask, `done` goes out with the last haves.
//! Where the shallow border is to move the haves go out with the request for it, which spares Git's extra turn.
//!
//! **Stateless** ([`Config::stateless`]): the transport carries one request and its response at a time, as smart HTTP
//! does. Each [`poll_transmit`](Client::poll_transmit) is then one whole request, which repeats what the server has to
//! know; the driver sends it (`POST git-upload-pack`), hands on the body of the response and says
//! [`handle_closed`](Client::handle_closed) at its end. Nothing more is sent before, and more input is taken after. The
//! first response is the one to `GET info/refs?service=git-upload-pack`, for which nothing is sent. Where responses come
//! on one connection with a response-end packet (`0002`) behind each, that packet says the same.
//!
//! ```
//! use bytes::Bytes;
//! use portline::Instant;
//! use portline::git::fetch::client::{Action, Client, Config};
//!
//! // What the server says, in any split. A real driver has a socket and a clock.
//! let mut incoming = [&b"004b59718b6e26b96150c7dd3435f053958592fc24f1 refs/heads/ma"[..], b"in\0side-band-64k\n0000"].into_iter();
//! let (now, mut sent) = (Instant::ZERO, Vec::new());
//! let mut client = Client::new(Config::default(), now);
//! let outcome = loop {
//!     while let Some(transmit) = client.poll_transmit() {
//!         sent.extend_from_slice(&transmit.into_bytes()); // as long as the transport has room
//!     }
//!     match client.poll_action() {
//!         Some(Action::Advertised(seen)) => {
//!             let wants = seen.refs.iter().map(|one| one.id).collect();
//!             client.want(now, wants, Vec::new())?;
//!         }
//!         Some(Action::FindHeld(ids)) => client.held(now, ids)?, // here, all of them are there already
//!         Some(Action::LoadCommits(_)) => client.commits(now, Vec::new())?, // out of the object database
//!         Some(Action::Progress(text)) => print!("{}", portline::Printable(&text)),
//!         Some(Action::Pack(_)) => {} // into `git index-pack --stdin --fix-thin`
//!         // Of shallow servers, and answers to what is not asked here.
//!         Some(Action::Shallow(_) | Action::RemoteShallow(_) | Action::WantedRefs(_) | Action::PackUris(_)) => {}
//!         Some(Action::ObjectInfo(_) | Action::Bundles(_) | Action::Resumed { .. }) => {}
//!         Some(Action::Finished(outcome)) => break outcome,
//!         Some(Action::Failed(error)) => return Err(error.into()),
//!         // Nothing to do: read if `wants_input`, wait until `poll_timeout` at the latest.
//!         None => match incoming.next() {
//!             Some(bytes) => client.handle_bytes(now, Bytes::from_static(bytes))?,
//!             None => client.handle_closed(now)?,
//!         },
//!     }
//! };
//! assert!(!outcome.pack && sent == b"0000");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Limits: [`Config::max_haves`], [`Config::max_rounds`], those of the advertisement, one answer line for each
//! have. Rules: `spec/05-fetch.md`, `spec/16-git-shallow.md`, `spec/17-git-v2-client.md`.

mod answer;
mod border;
mod config;
mod error;
mod hear;
mod listing;
mod opening;
mod pack;
mod query;
mod request;
mod sections;
mod talk;
mod terms;
mod verbs;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

pub use self::config::{Config, Listing};
pub use self::error::Error;
use self::listing::Refs;
use self::opening::Opening;
use self::pack::Pack;
use self::query::Query;
pub use self::query::{BundleLine, ObjectInfo};
use self::request::Offer;
use self::sections::Sections;
use self::talk::Talk;
use self::terms::Agreed;
use crate::git::wire::{Core, Drive, Step, machine_face};
use crate::git::{Advertisement, ObjectId, RefName, Resume, SessionError, ShallowUpdate};
use crate::pkt::Packet;
use crate::time::Instant;

/// What happened, or what the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// What the server has. Answer: [`Client::want`].
    Advertised(Advertisement),
    /// Which of these objects does the repository hold, with everything they reach? Answer: [`Client::held`].
    FindHeld(Vec<ObjectId>),
    /// Read these commits. Answer: [`Client::commits`]. No id is asked for twice.
    LoadCommits(Vec<ObjectId>),
    /// The client's shallow border moves as [`Config::deepen`] asked, once the pack is stored. Comes before the pack,
    /// and not at all where the border stays.
    Shallow(ShallowUpdate),
    /// The server's own history ends at these commits, and so may what it sends. A repository that takes refs which
    /// reach one of them has to take it into its border; Git does so for a clone only, unless told otherwise. Comes
    /// before the pack, and only where the border was not asked to move.
    RemoteShallow(Vec<ObjectId>),
    /// Where the refs point that were wanted by name ([`Client::want_refs`]). Comes before the pack.
    WantedRefs(Vec<(RefName, ObjectId)>),
    /// Packs to fetch from elsewhere, besides the one that comes ([`Config::packfile_uris`]).
    PackUris(Vec<PackUri>),
    /// The answer to [`Client::object_info`]; the session waits for [`Client::want`] again.
    ObjectInfo(Vec<ObjectInfo>),
    /// The answer to [`Client::bundle_uri`]; the session waits for [`Client::want`] again.
    Bundles(Vec<BundleLine>),
    /// The server's progress: raw bytes, any part of a line, perhaps with terminal escapes (T18).
    Progress(Bytes),
    /// The server goes on from this byte of the pack: behind the part that [`Client::resume`] named, or from 0, and then
    /// that part is of no more use. Comes before the pack, and only where a part was named.
    Resumed {
        /// Where the next byte of the pack belongs.
        offset: u64,
    },
    /// The next bytes of the pack, a slice of the input. The driver checks the pack's trailer.
    Pack(Bytes),
    /// The fetch is done. Terminal.
    Finished(Outcome),
    /// The fetch has failed. Terminal.
    Failed(Error),
}

/// A pack that is to be fetched from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackUri {
    /// The hash of the pack, which is its trailer: the driver compares.
    pub hash: ObjectId,
    /// Where it is, raw bytes (T18). Its protocol is one of [`Config::packfile_uris`] if the server keeps its word.
    pub uri: Bytes,
}

/// What a fetch has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether a pack came. `false`: everything was held already.
    pub pack: bool,
    /// Rounds of negotiation: writes that held new haves.
    pub rounds: usize,
    /// `have` lines sent, repeated ones included.
    pub haves: usize,
    /// Wants sent.
    pub wants: usize,
    /// Commits sent as haves that the server said it has too. Without `multi_ack_detailed` it says so of one
    /// only, because `continue` may also mean that it has heard enough.
    pub common: Vec<ObjectId>,
    /// Bytes of the pack that did not have to come again.
    pub resumed: u64,
    /// Whether the server has left out what [`Config::filter`] says; otherwise everything came.
    pub filtered: bool,
}

/// A question to the driver: which of `asked` are held?
#[derive(Debug)]
struct Inquiry {
    /// As it was when it was checked.
    config: Config,
    offer: Offer,
    agreed: Agreed,
    wants: Vec<ObjectId>,
    names: BTreeSet<RefName>,
    tips: Vec<ObjectId>,
    /// Sorted.
    asked: Vec<ObjectId>,
    /// What is held of the pack.
    part: Option<Resume>,
}

#[derive(Debug)]
enum State {
    Opening(Box<Opening>),
    Asking(Box<(Offer, Advertisement)>),
    Listing(Box<Refs>),
    Told(Box<(Offer, Advertisement)>),
    Wanting(Box<Offer>),
    Querying(Box<Query>),
    Holding(Box<Inquiry>),
    Talking(Box<Talk>),
    Bordering(Box<(Talk, ShallowUpdate)>),
    Hearing(Box<Talk>),
    Granted(Box<Talk>),
    Finishing(Box<Talk>),
    Closing(Box<Talk>),
    Heading(Box<Talk>),
    Acking(Box<Talk>),
    Sections(Box<Sections>),
    Pack(Box<Pack>),
    Raw(Box<Pack>),
    Ending(Box<Self>),
    Ended,
}

/// The fetch client. See the module.
#[derive(Debug)]
pub struct Client {
    core: Core<Action, Error>,
    config: Config,
    state: State,
    /// Packets in a row that carried nothing, where every line comes in the sideband.
    empty: u32,
}

machine_face!(Client, Action, Error);

impl Client {
    /// A client at the start of a connection. A config that cannot be sent fails it at once.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let core = Core::new(config.idle_timeout, now);
        let mut this = Self { core, config, state: State::Opening(Box::new(Opening::Start)), empty: 0 };
        if let Err(error) = this.begin() {
            this.fail(error);
        }
        this
    }

    fn begin(&mut self) -> Result<(), Error> {
        self.config.check()?;
        match &self.config.request {
            Some(request) => Ok(request.encode(self.core.wire.turn())?),
            None => Ok(()),
        }
    }

    /// What is asked for, while it may still change: until [`Client::want`] answers the advertisement. A driver may
    /// learn only then what its user wants, as a remote helper does. What was sent by then, the request and in
    /// version 2 the question for the refs, stays as it was; so does what the transport is like
    /// ([`Config::stateless`]). Later changes do nothing.
    pub const fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Ending: the response is over, with its body or by a packet (V2C-15).
    fn end_response(&mut self, next: Box<State>) -> Result<(State, Step), Error> {
        const END: &str = "the end of the response";
        let wire = &mut self.core.wire;
        if wire.is_closed() && wire.input.is_empty() {
            wire.reopen();
            return Ok((*next, Step::Again));
        }
        match wire.packet(END)? {
            None => Ok((State::Ending(next), Step::Wait)),
            Some(Packet::ResponseEnd) => Ok((*next, Step::Again)),
            Some(packet) => Err(SessionError::unexpected(END, &packet).into()),
        }
    }
}

impl Drive for Client {
    type Action = Action;
    type Error = Error;

    fn core(&mut self) -> &mut Core<Action, Error> {
        &mut self.core
    }

    fn step(&mut self) -> Result<Step, Error> {
        let (state, step) = match mem::replace(&mut self.state, State::Ended) {
            State::Opening(opening) => self.open(opening)?,
            State::Asking(both) => self.ask_refs(*both)?,
            State::Listing(refs) => self.list(refs)?,
            State::Told(both) => self.tell(*both),
            state @ (State::Wanting(_) | State::Holding(_) | State::Ended) => (state, Step::Wait),
            State::Querying(query) => self.query(query)?,
            State::Talking(talk) => self.talk(talk)?,
            State::Bordering(both) => self.hear_border(both)?,
            State::Hearing(talk) => self.hear(talk)?,
            State::Granted(talk) => self.hear_grant(talk)?,
            State::Finishing(talk) => self.finish_talk(talk)?,
            State::Closing(talk) => self.hear_last(talk)?,
            State::Heading(talk) => self.hear_heading(talk)?,
            State::Acking(talk) => self.hear_acks(talk)?,
            State::Sections(sections) => self.hear_sections(sections)?,
            State::Pack(pack) => self.read_pack(pack)?,
            State::Raw(pack) => self.read_raw(pack)?,
            State::Ending(next) => self.end_response(next)?,
        };
        self.state = state;
        Ok(step)
    }

    /// The client's side of the protocol has no words for an error: closing the connection says it.
    fn farewell(&mut self, _error: &Error) {}

    fn failed(error: Error) -> Action {
        Action::Failed(error)
    }

    fn waits_for_driver(&self) -> bool {
        match self.state {
            State::Wanting(_) | State::Holding(_) | State::Talking(_) => true,
            State::Opening(_)
            | State::Asking(_)
            | State::Listing(_)
            | State::Told(_)
            | State::Querying(_)
            | State::Bordering(_)
            | State::Hearing(_)
            | State::Granted(_)
            | State::Finishing(_)
            | State::Closing(_)
            | State::Heading(_)
            | State::Acking(_)
            | State::Sections(_)
            | State::Pack(_)
            | State::Raw(_)
            | State::Ending(_)
            | State::Ended => false,
        }
    }
}
