//! All operations through all transports in all versions, and the table of what came out.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once};
use std::thread;

use crate::cell::{Cell, Fixture};
use crate::transport::{Transport, World};

/// The threads that run cells: a panic there is the cell's result and not printed.
const WORKER: &str = "cell";

/// Something that Git does with a remote.
pub struct Operation {
    pub name: &'static str,
    pub pushes: bool,
    run: fn(&mut Cell),
}

impl Operation {
    pub const fn fetch(name: &'static str, run: fn(&mut Cell)) -> Self {
        Self { name, pushes: false, run }
    }

    pub const fn push(name: &'static str, run: fn(&mut Cell)) -> Self {
        Self { name, pushes: true, run }
    }

    /// What is seen when it is done so.
    fn seen(
        &self,
        world: &World,
        fixture: &Fixture,
        transport: Transport,
        version: u8,
    ) -> Result<String, String> {
        let mut cell = Cell::new(world, fixture, transport, version, self.name);
        caught(|| {
            (self.run)(&mut cell);
            cell.check_trace(self.pushes);
            cell.clear();
        })
        .map(|()| cell.seen)
    }
}

/// One cell, as it is planned.
struct Plan<'a> {
    operation: &'a Operation,
    fixture: &'a Fixture,
    transport: Transport,
    version: u8,
}

/// What became of the cells: why those that failed did.
#[derive(Default)]
pub struct Results(BTreeMap<(&'static str, Transport, &'static str, u8), Result<(), String>>);

/// Runs `operations` through `transports`, as many at a time as there are cores.
pub fn run(
    world: &World,
    fixtures: &[Fixture],
    operations: &[&Operation],
    transports: &[Transport],
    versions: &[u8],
) -> Results {
    let mut references = Vec::new();
    let mut plans = Vec::new();
    for operation in operations {
        for fixture in fixtures {
            references.push(Plan { operation, fixture, transport: Transport::Reference, version: 2 });
            for transport in transports.iter().copied() {
                for version in versions.iter().copied() {
                    plans.push(Plan { operation, fixture, transport, version });
                }
            }
        }
    }
    let expected: BTreeMap<_, _> = in_parallel(&references, |plan| {
        let Plan { operation, fixture, transport, version } = plan;
        let seen = operation.seen(world, fixture, *transport, *version);
        ((operation.name, fixture.format), seen.unwrap_or_else(|words| panic!("{}: {words}", operation.name)))
    })
    .into_iter()
    .collect();
    let results = in_parallel(&plans, |plan| {
        let Plan { operation, fixture, transport, version } = plan;
        let seen = operation.seen(world, fixture, *transport, *version);
        let result = seen.and_then(|seen| same(&expected[&(operation.name, fixture.format)], &seen));
        ((operation.name, *transport, fixture.format, *version), result)
    });
    Results(results.into_iter().collect())
}

/// What `work` panics with, if it does.
pub fn caught(work: impl FnOnce()) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        words.or_else(|| panic.downcast_ref::<&str>().map(|&words| words.to_owned())).unwrap_or_default()
    })
}

/// Whether Git alone saw the same.
fn same(expected: &str, seen: &str) -> Result<(), String> {
    let mut lines = expected.lines().zip(seen.lines());
    match lines.find(|(expected, seen)| expected != seen) {
        Some((expected, seen)) => Err(format!("git alone: {expected}\n     here: {seen}")),
        None if expected.len() != seen.len() => Err(format!("git alone:\n{expected}\nhere:\n{seen}")),
        None => Ok(()),
    }
}

/// `work` on every item, on all cores.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if thread::current().name() != Some(WORKER) {
                usual(panic);
            }
        }));
    });
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            let worker = thread::Builder::new().name(WORKER.to_owned());
            let spawned = worker.spawn_scoped(scope, || {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = work(item);
                    done.lock().unwrap().push(result);
                }
            });
            spawned.unwrap();
        }
    });
    done.into_inner().unwrap()
}

impl Results {
    /// The failures, each with where and why.
    pub fn failures(&self) -> Vec<String> {
        let failed = self.0.iter().filter_map(|((operation, transport, format, version), result)| {
            let why = result.as_ref().err()?;
            Some(format!("{operation}, {}, {format}, version {version}: {why}", transport.name()))
        });
        failed.collect()
    }

    /// The versions in which `operation` was done through `transport`, and whether well.
    pub fn of(&self, operation: &str, transport: Transport, format: &str) -> Vec<(u8, bool)> {
        let cells = self
            .0
            .iter()
            .filter(|((name, by, hash, _), _)| *name == operation && *by == transport && *hash == format);
        cells.map(|((.., version), result)| (*version, result.is_ok())).collect()
    }
}
