//! The Git wing: object ids, ref names, and the smart protocol for fetch and push, client and server.
//!
//! ```text
//!   id, refname, commit        the values
//!   capabilities, advertisement, request    what the lines say
//!   hidden, view               which refs a server shows: hidden ones, namespaces
//!   serving                    which part of a session a server serves: all, or one request
//!   filter, shallow            what a partial or shallow clone leaves out
//!   progress                   what progress lines say
//!   wire                       what the four machines share: input, one write a turn, deadline
//!   fetch/{client,server,negotiator}        upload-pack's two ends
//!   push/{client,server,report}             receive-pack's two ends
//! ```
//!
//! The machines hold the protocol. Objects and refs stay with the driver: an action asks, a verb answers.
//! Rules: `spec/04-git.md`.

mod advertisement;
mod capabilities;
mod commit;
pub mod fetch;
mod filter;
mod hidden;
mod id;
mod pack;
mod progress;
pub mod push;
mod refname;
mod request;
mod resume;
mod serving;
mod shallow;
mod view;
pub(crate) mod wire;

pub use advertisement::{Advertisement, AdvertisementError, AdvertisementParser, Ref};
pub use capabilities::{Capabilities, Capability, CapabilityError};
pub use commit::Commit;
pub use filter::{Filter, FilterError, ObjectType};
pub use hidden::HiddenRefs;
pub use id::{IdError, ObjectFormat, ObjectId};
pub use pack::PackRequest;
pub use progress::{Progress, ProgressLine, ProgressLines};
pub use refname::{RefName, RefNameError};
pub use request::{Request, RequestError, Service, Version};
pub use resume::{Resume, ResumeError};
pub use serving::Serving;
pub use shallow::{Deepen, Depth, ShallowUpdate};
pub use view::RefView;
pub use wire::{Misuse, SessionError};
