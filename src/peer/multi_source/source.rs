//! One source: its connection, what it is at, and what it has.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::face::{Error, Report};
use crate::Transmit;
use crate::git::fetch::client::Client;
use crate::git::{ObjectId, Request};
use crate::recovery::{Backoff, Deadline, PeerId, Phase};
use crate::time::{Instant, earliest};

/// What a connection is for.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// To see what the source has.
    List,
    /// To fetch a share.
    Share(Vec<ObjectId>),
}

#[derive(Debug)]
pub(super) enum State {
    /// [`Action::Connect`](super::Action::Connect) is open.
    Connecting(Task),
    /// The session has not shown yet what the source has.
    Opening(Task, Box<Client>),
    /// It has, and waits for a share.
    Listed(Box<Client>),
    /// A share is being fetched. The source turned out not to have the second part of it.
    Fetching { units: Vec<ObjectId>, without: Vec<ObjectId>, client: Box<Client> },
    /// The driver stores a share's pack.
    Storing { units: Vec<ObjectId>, without: Vec<ObjectId> },
    /// Nothing to do, and no connection.
    Idle,
    /// An attempt failed; the next one begins then.
    Resting(Instant),
    /// Given up.
    Gone,
}

#[derive(Debug)]
pub(super) struct Source {
    pub(super) state: State,
    pub(super) request: Option<Request>,
    /// What its refs point to, sorted; `None` before it was seen. Only what is wanted, once that is known.
    pub(super) advertised: Option<Vec<ObjectId>>,
    /// Its number among those that share the job; `None` while it takes no part in it.
    pub(super) peer: Option<PeerId>,
    pub(super) backoff: Backoff,
    /// For the present phase of the present attempt.
    pub(super) deadline: Deadline,
    pub(super) phase: Phase,
    /// Of the present attempt: when it began, and the bytes that came and went.
    pub(super) began: Instant,
    pub(super) moved: u64,
    /// What a session that is over still has to say.
    pub(super) farewell: VecDeque<Transmit>,
    pub(super) report: Report,
}

/// What can be done with a source, in answer to the driver.
impl Source {
    pub(super) fn client(&self) -> Option<&Client> {
        match &self.state {
            State::Opening(_, client) | State::Listed(client) | State::Fetching { client, .. } => {
                Some(client)
            }
            State::Connecting(_) | State::Storing { .. } | State::Idle | State::Resting(_) | State::Gone => {
                None
            }
        }
    }

    pub(super) fn client_mut(&mut self) -> Option<&mut Client> {
        match &mut self.state {
            State::Opening(_, client) | State::Listed(client) | State::Fetching { client, .. } => {
                Some(client)
            }
            State::Connecting(_) | State::Storing { .. } | State::Idle | State::Resting(_) | State::Gone => {
                None
            }
        }
    }

    /// Whether the driver has a connection, or makes one.
    pub(super) const fn is_open(&self) -> bool {
        match self.state {
            State::Connecting(_) | State::Opening(..) | State::Listed(_) | State::Fetching { .. } => true,
            State::Storing { .. } | State::Idle | State::Resting(_) | State::Gone => false,
        }
    }

    /// Whether it can do nothing by itself any more, and has nothing to do.
    pub(super) const fn is_at_rest(&self) -> bool {
        match self.state {
            State::Listed(_) | State::Idle | State::Gone => true,
            State::Connecting(_)
            | State::Opening(..)
            | State::Fetching { .. }
            | State::Storing { .. }
            | State::Resting(_) => false,
        }
    }

    /// Whether its server has left while nothing was asked of it.
    pub(super) fn is_deserted(&self) -> bool {
        match &self.state {
            // Nothing that could wait for the driver has come since.
            State::Listed(client) => !client.wants_input(),
            State::Connecting(_)
            | State::Opening(..)
            | State::Fetching { .. }
            | State::Storing { .. }
            | State::Idle
            | State::Resting(_)
            | State::Gone => false,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let client = self.client().and_then(Client::poll_timeout);
        match &self.state {
            // It is all there, and is told when actions are polled.
            State::Fetching { client, .. } if client.has_ended() => None,
            State::Connecting(_) | State::Opening(..) | State::Fetching { .. } => {
                earliest(self.deadline.poll_timeout(), client)
            }
            State::Resting(until) => Some(*until),
            State::Listed(_) | State::Storing { .. } | State::Idle | State::Gone => client,
        }
    }

    /// Ends a session in good order: the source is told that nothing more is wanted. Without effect on one that is
    /// past that.
    pub(super) fn take_leave(&mut self, now: Instant, mut client: Box<Client>) {
        // One that does not wait for wants has none to be told.
        let _ = client.want(now, Vec::new(), Vec::new());
        self.keep_farewell(client);
    }

    /// Keeps what a session that has ended still has to say.
    pub(super) fn keep_farewell(&mut self, mut client: Box<Client>) {
        self.farewell.extend(core::iter::from_fn(|| client.poll_transmit()));
    }

    /// Whether one more failure may be kept.
    pub(super) fn has_room(&self) -> bool {
        self.report.attempts.len() < crate::limits::SOURCE_ATTEMPTS
    }

    /// Tells what of these a ref of the source points to, and what not.
    pub(super) fn divide(&self, units: Vec<ObjectId>) -> (Vec<ObjectId>, Vec<ObjectId>) {
        let known = self.advertised.as_deref().unwrap_or_default();
        units.into_iter().partition(|unit| known.binary_search(unit).is_ok())
    }
}

/// The session's own error as the reason of an attempt's end.
pub(super) fn cause(now: Instant, error: crate::git::fetch::client::Error) -> crate::recovery::Cause<Error> {
    use crate::git::SessionError;
    use crate::git::fetch::client::Error as Fetch;
    use crate::pkt;
    use crate::recovery::{Cause, Disconnect};
    match error {
        Fetch::Session(SessionError::Ended { .. } | SessionError::Pkt(pkt::Error::Truncated { .. })) => {
            Cause::Disconnected { at: now, why: Disconnect::Closed }
        }
        Fetch::Session(SessionError::TimedOut { after }) => Cause::TimedOut { phase: Phase::Idle, after },
        other => Cause::Session { error: other.into() },
    }
}
