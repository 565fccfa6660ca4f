//! Every state that the queue, a transfer, the readable stream and its tee can reach in small configurations.
//!
//! Producer, consumer, stream, source and readers take every step they could, in every order. Each state is checked, nobody
//! waits for ever, and the number of states is exact, so that a change of behaviour does not pass unseen.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod queue;
mod readable;
mod transfer;

use std::collections::{HashSet, VecDeque};
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What is explored.
trait World: Clone + Debug {
    type Event: Copy + 'static;
    const EVENTS: &'static [Self::Event];

    /// The world after an event, `None` where it cannot happen.
    fn after(&self, event: Self::Event) -> Option<Self>;

    /// Whether the event only could happen: nobody may rely on it.
    fn is_whim(event: Self::Event) -> bool;

    /// What holds in every state.
    fn check(&self);

    /// What holds where nothing happens any more but whims.
    fn check_end(&self);
}

fn digest(world: &impl Debug) -> (u64, u64) {
    let text = format!("{world:?}");
    let mut first = DefaultHasher::new();
    text.hash(&mut first);
    let mut second = DefaultHasher::new();
    (1_u8, &text).hash(&mut second);
    (first.finish(), second.finish())
}

/// Explores everything; the number of states, and of those in which nothing more can happen but whims.
fn explore<W: World>(start: W) -> (usize, usize) {
    let mut seen = HashSet::from([digest(&start)]);
    let mut border = VecDeque::from([start]);
    let mut ends = 0;
    while let Some(world) = border.pop_front() {
        world.check();
        let mut moves = 0;
        for event in W::EVENTS {
            let Some(next) = world.after(*event) else { continue };
            moves += usize::from(!W::is_whim(*event));
            if seen.insert(digest(&next)) {
                border.push_back(next);
            }
        }
        if moves == 0 {
            ends += 1;
            world.check_end();
        }
    }
    (seen.len(), ends)
}
