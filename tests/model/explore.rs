//! Walks through every state that a world can reach, and counts them.
//!
//! Written by hand rather than with stateright: it is these few lines, needs nothing to be built before every
//! `cargo test`, and asks of a world only a digest and its steps. So a world may leave out of its digest what has no
//! future, which is what makes failing at any moment small enough to be run each time.
//!
//! It is not the only witness: `tests/stateright` is a package of its own that has these worlds, tests and counts explored
//! by stateright, in another order and with its own bookkeeping; `.ci/run` runs it. Where a digest leaves
//! out what has a future, the counts depend on which of two worlds comes first, and another order shows it.

use std::collections::HashSet;
use std::fmt::{self, Debug, Write as _};
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// 128 bits of what was hashed: with a million states, two of them meet by chance once in 10^26 runs.
#[derive(Clone, Copy)]
pub struct Digest {
    low: u64,
    high: u64,
}

impl Default for Digest {
    fn default() -> Self {
        Self { low: 0x9e37_79b9_7f4a_7c15, high: 0xd1b5_4a32_d192_ed03 }
    }
}

impl Digest {
    pub fn of(value: &impl Hash) -> u128 {
        let mut digest = Self::default();
        value.hash(&mut digest);
        digest.value()
    }

    pub fn value(self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

    fn mix(&mut self, word: u64) {
        // Both halves of a product depend on all of both factors.
        let fold = |state: u64, by: u64| {
            let product = u128::from(state ^ word) * u128::from(by);
            (product as u64) ^ ((product >> 64) as u64)
        };
        self.low = fold(self.low, 0xa076_1d64_78bd_642f).wrapping_add(word);
        self.high = fold(self.high, 0xe703_7ed1_a0b4_28db).rotate_left(23);
    }
}

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.mix(u64::from_le_bytes(word.try_into().unwrap()));
        }
        let mut last = [0xff; 8];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        self.mix(u64::from_le_bytes(last));
    }

    fn write_u8(&mut self, word: u8) {
        self.mix(word.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }

    /// What tells the variants of an enum apart.
    fn write_isize(&mut self, word: isize) {
        self.mix(word.unsigned_abs() as u64);
    }

    fn finish(&self) -> u64 {
        self.low
    }
}

/// For what cannot be hashed but shown.
impl fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

/// A digest is random already.
#[derive(Default)]
struct Half(u64);

impl Hasher for Half {
    fn write(&mut self, _: &[u8]) {}

    fn write_u128(&mut self, digest: u128) {
        self.0 = digest as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A claim about a world, by its name.
pub type Property<W> = (&'static str, fn(&W) -> bool);

/// What is explored.
pub trait World: Sized {
    /// A digest of all that its future depends on.
    fn digest(&self) -> u128;

    /// Puts what can follow into `next`; whether anything does that nobody has to decide on (giving up and closing are
    /// such decisions).
    fn steps(&self, next: &mut Vec<Self>) -> bool;

    /// What holds in every state.
    fn always() -> Vec<Property<Self>>;

    /// What holds as well where nothing happens by itself any more.
    fn at_rest() -> Vec<Property<Self>>;

    /// The state in words, for whoever has to find out why a property does not hold.
    fn shown(&self) -> String;
}

fn hold<W: World>(world: &W, properties: &[Property<W>]) {
    for (name, holds) in properties {
        assert!(holds(world), "not so: {name}\n{}", world.shown());
    }
}

/// The number of states, and of those at rest.
pub fn explore<W: World>(start: W) -> (usize, usize) {
    let (always, at_rest) = (W::always(), W::at_rest());
    let mut seen = HashSet::with_hasher(BuildHasherDefault::<Half>::default());
    seen.insert(start.digest());
    let (mut open, mut next, mut resting) = (vec![start], Vec::new(), 0);
    while let Some(world) = open.pop() {
        hold(&world, &always);
        assert!(seen.len() < 30_000, "more states than anybody waits for");
        if !world.steps(&mut next) {
            resting += 1;
            hold(&world, &at_rest);
        }
        open.extend(next.drain(..).filter(|world| seen.insert(world.digest())));
    }
    (seen.len(), resting)
}

/// A world whose steps are a list of events, and which is told from others by what it shows.
pub trait Table: Clone + Debug {
    type Event: Copy + 'static;
    const EVENTS: &'static [Self::Event];

    /// The world after an event, `None` where it cannot happen.
    fn after(&self, event: Self::Event) -> Option<Self>;

    /// Whether the event only could happen: nobody may rely on it.
    fn is_whim(event: Self::Event) -> bool;

    /// As [`World::always`].
    fn always() -> Vec<Property<Self>>;

    /// As [`World::at_rest`].
    fn at_rest() -> Vec<Property<Self>>;
}

impl<T: Table> World for T {
    fn digest(&self) -> u128 {
        let mut digest = Digest::default();
        write!(digest, "{self:?}").unwrap();
        digest.value()
    }

    fn steps(&self, next: &mut Vec<Self>) -> bool {
        let mut moves = false;
        for event in T::EVENTS {
            if let Some(world) = self.after(*event) {
                moves |= !T::is_whim(*event);
                next.push(world);
            }
        }
        moves
    }

    fn always() -> Vec<Property<Self>> {
        T::always()
    }

    fn at_rest() -> Vec<Property<Self>> {
        T::at_rest()
    }

    fn shown(&self) -> String {
        format!("{self:#?}")
    }
}
