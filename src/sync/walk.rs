//! The ancestry of many pairs over a history that is loaded as it is walked.

use alloc::vec::Vec;

use super::Ancestry;
use super::history::{History, Node};
use super::paint::{Group, PAIRS};
use super::planner::Error;
use crate::git::{Commit, ObjectId};

/// All pairs, in groups of as many as a word has bits. The groups share the history and each question.
#[derive(Debug)]
pub(super) struct Walk {
    history: History,
    groups: Vec<Group>,
}

impl Walk {
    /// A walk from the two ids of each pair, which must differ.
    pub(super) fn new(pairs: &[(ObjectId, ObjectId)], limit: usize) -> Result<Self, Error> {
        let mut history = History::new(limit);
        let mut groups = Vec::new();
        for chunk in pairs.chunks(PAIRS) {
            let mut tips: Vec<(Node, Node)> = Vec::new();
            for (local, remote) in chunk {
                tips.push((history.number(*local)?, history.number(*remote)?));
            }
            groups.push(Group::new(&tips));
        }
        Ok(Self { history, groups })
    }

    /// Walks as far as the history goes. What to load before it can go on; nothing once every pair is answered.
    pub(super) fn advance(&mut self) -> Result<Vec<ObjectId>, Error> {
        let mut wanted = Vec::new();
        for group in &mut self.groups {
            group.advance(&self.history, &mut wanted);
        }
        self.history.ask(wanted)
    }

    /// The driver's answer to [`Walk::advance`].
    pub(super) fn tell(&mut self, commits: Vec<Commit>) -> Result<(), Error> {
        self.history.tell(commits)
    }

    /// The answers, in the order of the pairs.
    pub(super) fn answers(&self) -> impl Iterator<Item = Ancestry> {
        self.groups.iter().flat_map(Group::answers)
    }
}
