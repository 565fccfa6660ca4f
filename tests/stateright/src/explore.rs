//! What a world is, from `tests/model`, and any world as a model of stateright's.

#[allow(dead_code)]
#[path = "../../model/explore.rs"]
mod ours;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

pub use ours::{Digest, Property, Table, World};
use stateright::{Checker, Model};

/// A state that was reached, and what can follow until the checker has asked for it.
struct Reached<W> {
    world: W,
    digest: u128,
    next: Mutex<Option<Next<W>>>,
}

/// What can follow a state, and whether any of it happens by itself.
struct Next<W> {
    states: Vec<State<W>>,
    moves: bool,
}

/// A state, told from others by its world's digest.
struct State<W>(Arc<Reached<W>>);

impl<W: World> State<W> {
    fn new(world: W) -> Self {
        let digest = world.digest();
        Self(Arc::new(Reached { world, digest, next: Mutex::new(None) }))
    }

    fn follow(&self) -> Next<W> {
        let mut worlds = Vec::new();
        let moves = self.0.world.steps(&mut worlds);
        Next { states: worlds.into_iter().map(Self::new).collect(), moves }
    }

    fn moves(&self) -> bool {
        self.0.next.lock().unwrap().get_or_insert_with(|| self.follow()).moves
    }

    /// Takes what follows, so that no state keeps the later ones.
    fn take(&self) -> Next<W> {
        self.0.next.lock().unwrap().take().unwrap_or_else(|| self.follow())
    }
}

impl<W> Clone for State<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W> PartialEq for State<W> {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl<W> Hash for State<W> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u128(self.0.digest);
    }
}

impl<W: World> fmt::Debug for State<W> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.world.shown())
    }
}

struct Explored<W: World> {
    start: State<W>,
    always: Vec<Property<W>>,
    at_rest: Vec<Property<W>>,
    /// States where nothing happens by itself.
    resting: AtomicUsize,
}

type Condition<W> = fn(&Explored<W>, &State<W>) -> bool;

/// Stateright takes bare functions, so the number of a property is part of its type.
fn always<W: World, const AT: usize>(model: &Explored<W>, state: &State<W>) -> bool {
    (model.always[AT].1)(&state.0.world)
}

fn at_rest<W: World, const AT: usize>(model: &Explored<W>, state: &State<W>) -> bool {
    state.moves() || (model.at_rest[AT].1)(&state.0.world)
}

/// Names each property, and pairs it with its function.
fn numbered<W: World, const COUNT: usize>(
    properties: &[Property<W>],
    conditions: [Condition<W>; COUNT],
) -> impl Iterator<Item = stateright::Property<Explored<W>>> {
    assert!(properties.len() <= COUNT, "more properties than have a function");
    properties.iter().zip(conditions).map(|((name, _), holds)| stateright::Property::always(name, holds))
}

impl<W: World> Model for Explored<W> {
    type State = State<W>;
    /// A step is what it leads to: worlds do not name theirs.
    type Action = State<W>;

    fn init_states(&self) -> Vec<State<W>> {
        vec![self.start.clone()]
    }

    fn actions(&self, state: &State<W>, actions: &mut Vec<State<W>>) {
        let next = state.take();
        self.resting.fetch_add(usize::from(!next.moves), Relaxed);
        actions.extend(next.states);
    }

    fn next_state(&self, _: &State<W>, action: State<W>) -> Option<State<W>> {
        Some(action)
    }

    fn properties(&self) -> Vec<stateright::Property<Self>> {
        let everywhere: [Condition<W>; 8] = [
            always::<W, 0>,
            always::<W, 1>,
            always::<W, 2>,
            always::<W, 3>,
            always::<W, 4>,
            always::<W, 5>,
            always::<W, 6>,
            always::<W, 7>,
        ];
        let resting: [Condition<W>; 8] = [
            at_rest::<W, 0>,
            at_rest::<W, 1>,
            at_rest::<W, 2>,
            at_rest::<W, 3>,
            at_rest::<W, 4>,
            at_rest::<W, 5>,
            at_rest::<W, 6>,
            at_rest::<W, 7>,
        ];
        numbered(&self.always, everywhere).chain(numbered(&self.at_rest, resting)).collect()
    }
}

/// The number of states, and of those at rest, as stateright finds them; fails on a state that breaks a property.
pub fn explore<W: World + Send + Sync + 'static>(start: W) -> (usize, usize) {
    let (always, at_rest) = (W::always(), W::at_rest());
    let model = Explored { start: State::new(start), always, at_rest, resting: AtomicUsize::new(0) };
    let checker = model.checker().spawn_bfs().join();
    // Looking for the way to a discovery would count again.
    let resting = checker.model().resting.load(Relaxed);
    if let Some((name, path)) = checker.discoveries().into_iter().next() {
        panic!("not so: {name}\n{:?}", path.last_state());
    }
    assert!(checker.is_done());
    (checker.unique_state_count(), resting)
}
