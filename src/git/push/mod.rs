//! Pushing: the two ends of `git-receive-pack`.

pub mod client;
pub mod report;
pub mod server;
