//! The border of common history: where the local commits leave it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem;

use super::graph::{At, Standing, grow};
use super::{BORDER, Border, Negotiator};
use crate::git::ObjectId;

impl Negotiator {
    /// Samples the local commits from common history up, once all of them are known.
    pub(super) fn find_border(&mut self) {
        if mem::replace(&mut self.border, Border::Known) == Border::Known {
            return;
        }
        let heights = self.heights();
        if let Some(queue) = self.queues.get_mut(BORDER) {
            queue.extend(heights.into_iter().filter(|(height, _)| is_sampled(*height)).map(|(_, at)| at));
        }
    }

    /// The local commits that may still be common, each with its height above what is known to be, lowest first.
    ///
    /// What was sent and not acknowledged is not common, nor is anything that reaches it. An acknowledged local
    /// tip is taken for the very point where histories part, so nothing is looked for above it.
    fn heights(&self) -> Vec<(u32, At)> {
        let mut heights = BTreeMap::new();
        let mut open = Vec::new();
        for at in self.region.iter().rev().copied() {
            if self.graph.standing(at) == Standing::Common {
                continue;
            }
            let parents = self.graph.parents(at);
            let is_refused = |parent: &At| matches!(heights.get(parent), Some(None));
            if self.graph.is_sent(at) || parents.iter().any(is_refused) {
                heights.insert(at, None);
                continue;
            }
            let below = parents.into_iter().filter_map(|parent| match self.graph.standing(parent) {
                Standing::Common if self.graph.is_sent(parent) && self.graph.is_tip(parent) => None,
                Standing::Common | Standing::Advertised => Some(0_u32),
                Standing::Local => heights.get(&parent).copied().flatten(),
            });
            if let Some(height) = below.min() {
                heights.insert(at, Some(height.saturating_add(1)));
                open.push((height, at));
            }
        }
        open.sort_by_key(|(height, _)| *height);
        open
    }

    /// Narrows the gap between what is known to be common and what is known not to be: at most `room` commits
    /// of it, evenly spread.
    pub(super) fn gap(&mut self, room: usize) -> Vec<ObjectId> {
        let open = self.heights();
        let step = open.len().div_ceil(room.max(1)).max(1);
        let last = step.saturating_sub(1);
        let places: Vec<At> =
            open.into_iter().skip(last).step_by(step).map(|(_, at)| at).take(room).collect();
        for at in &places {
            self.graph.set_sent(*at);
        }
        places.into_iter().filter_map(|at| self.graph.id(at)).collect()
    }
}

/// Whether a height above common history is one of 0, 1, 2, 4, 7, 11, 17, …
fn is_sampled(height: u32) -> bool {
    let mut place = 0;
    while place < height {
        place = grow(place);
    }
    place == height
}
