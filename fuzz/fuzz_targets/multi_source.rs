//! A fetch from several of our own servers, over connections that the fuzzer makes, delays, cuts and corrupts: each
//! connection that was asked for is dropped once, deadlines move on, there is one end, and then everything that was wanted
//! is here with all that it reaches, or is told to be missing.
#![no_main]

#[path = "common/sources.rs"]
mod sources;
#[path = "../../tests/toy/mod.rs"]
#[allow(dead_code, missing_docs)]
mod toy;

use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use portline::Instant;
use portline::peer::multi_source::{Config, Holds, MultiSourceFetch};
use portline::recovery::Jitter;
use sources::{Link, SITES, Setup, World, repo};

#[derive(Arbitrary, Debug)]
struct Input {
    /// How the wants are divided, and how often a source is asked again.
    first: u8,
    span: u8,
    retries: u8,
    anything: bool,
    deadline: Option<u16>,
    /// What each source has, and how it speaks.
    sites: Vec<Setup>,
    events: Vec<Event>,
}

#[derive(Arbitrary, Debug)]
enum Event {
    Add,
    NoMore,
    Want(u8),
    /// Everything moves for some turns.
    Run(u8),
    Connect(u8, bool),
    Send(u8),
    /// So many bytes arrive at the server, or from it.
    Deliver(u8, bool, u8),
    Serve(u8),
    Act,
    Cut(u8),
    Garbage(u8, Vec<u8>),
    Store(u8),
    Wait(u32),
    Timeout,
    Cancel,
    /// A verb that nobody asked for.
    Verb(u8, u8),
}

fn step(world: &mut World, event: Event) {
    match event {
        Event::Add => world.add(),
        Event::NoMore => world.machine.no_more_sources(),
        Event::Want(mask) => world.want(mask),
        Event::Run(turns) => (0..turns).for_each(|_| _ = world.turn()),
        Event::Connect(at, good) => {
            world.source(at).into_iter().for_each(|(at, source)| _ = world.connect(at, source, good));
        }
        Event::Send(at) => world.source(at).into_iter().for_each(|(at, source)| _ = world.send(at, source)),
        Event::Deliver(at, up, most) => world
            .source(at)
            .into_iter()
            .for_each(|(at, source)| _ = world.deliver(at, source, up, most.into())),
        Event::Serve(at) => world.source(at).into_iter().for_each(|(at, _)| _ = world.serve(at)),
        Event::Act => drop(world.act()),
        Event::Cut(at) => world.source(at).into_iter().for_each(|(at, source)| world.cut(at, source)),
        Event::Garbage(at, bytes) => {
            if let Some((at, source)) = world.source(at) {
                if world.sites[at].link == Link::Open {
                    world.honest = false;
                    world.machine.handle_bytes(world.now, source, bytes.into());
                }
            }
        }
        Event::Store(at) => {
            world.source(at).into_iter().for_each(|(at, source)| _ = world.store(at, source));
        }
        Event::Wait(micros) => {
            world.now = Instant::from_micros(world.now.as_micros() + u64::from(micros));
            world.machine.handle_timeout(world.now);
        }
        Event::Timeout => drop(world.timeout()),
        Event::Cancel => world.machine.cancel(world.now),
        Event::Verb(at, which) => world.verb(at, which),
    }
}

fuzz_target!(|input: Input| {
    let mut config = Config::default();
    config.holds = if input.anything { Holds::Anything } else { Holds::Advertised };
    config.shares.first_share = usize::from(input.first % 4) + 1;
    config.shares.lead = Duration::from_millis(u64::from(input.first / 4));
    config.shares.span = Duration::from_millis(u64::from(input.span) + 1);
    config.recovery.backoff.jitter = Jitter::Equal;
    config.recovery.backoff.retries = u32::from(input.retries % 4);
    config.recovery.backoff.deadline = input.deadline.map(|seconds| Duration::from_secs(seconds.into()));
    let mut world = World {
        machine: MultiSourceFetch::new(config, Instant::ZERO).unwrap(),
        now: Instant::ZERO,
        setups: input.sites.into_iter().take(SITES).collect(),
        sites: Vec::new(),
        local: repo(0),
        wants: None,
        honest: true,
        end: None,
    };
    world.local.commits.clear();
    input.events.into_iter().for_each(|event| step(&mut world, event));
    world.finish();
    let end = world.end.clone().expect("one end");
    assert!(world.machine.has_ended() && world.machine.poll_timeout().is_none() && !world.act());
    let missing = end.as_ref().err().map_or(&[][..], Vec::as_slice);
    for want in world.wants.iter().flatten() {
        // A want may have come with another one, and its own share have failed.
        let is_here = world.local.commits.contains_key(want);
        assert!(is_here || missing.contains(want) || !world.honest, "{want} is missing, and nobody was told");
    }
    for commit in world.local.commits.values() {
        assert!(commit.parents.iter().all(|parent| world.local.commits.contains_key(parent)));
    }
});
