//! Which refs of a repository a session shows, and what the session is called.

use std::env;
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use portline::git::RefView;

use super::error::Error;
use super::repository::Repository;

/// The variable that names a namespace, for servers and for their hooks.
pub const NAMESPACE: &str = "GIT_NAMESPACE";

impl Repository {
    /// The refs that `section` (`uploadpack` or `receive`) shows: those of the namespace that `GIT_NAMESPACE` names,
    /// without what `transfer.hideRefs` and its own setting hide.
    ///
    /// # Errors
    /// [`Error::Unusable`] for a namespace that no ref could be in, in Git's words.
    pub fn view(&self, section: &str) -> Result<RefView, Error> {
        let view = RefView::new(self.config().hidden(section));
        let Some(name) = env::var_os(NAMESPACE) else { return Ok(view) };
        let bad = |_| Error::Unusable {
            message: format!("bad git namespace path \"{}\"", name.to_string_lossy()).into_bytes(),
        };
        view.with_namespace(name.as_encoded_bytes()).map_err(bad)
    }

    /// A word that no other session has, where `transfer.advertiseSID` asks for one.
    pub fn session_id(&self) -> Option<Bytes> {
        if !self.config().truth("transfer.advertisesid").unwrap_or(false) {
            return None;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(Bytes::from(format!("{}.{:06}-P{:08x}", now.as_secs(), now.subsec_micros(), process::id())))
    }
}

/// The time in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
