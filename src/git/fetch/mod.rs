//! Fetching: the two ends of `git-upload-pack`, in protocol versions 0, 1 and 2.

pub mod client;
pub mod negotiator;
pub mod server;
