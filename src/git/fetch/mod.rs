//! Fetching: the two ends of `git-upload-pack`.

pub mod client;
pub mod negotiator;
pub mod server;
