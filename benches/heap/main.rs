//! Heap of an idle stream on each end, counted by the allocator, and what an event on one of them costs beside the others.
//!
//! `cargo bench -p portline-benches --bench heap` prints the table. A channel of the mux, a credit stream on such a
//! channel, and a stream of the link each stand open and still: all that was sent has arrived and was consumed. Beside
//! them yamux and h2 with streams that did the same.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod peers;
#[path = "../support/mod.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use portline::Instant;
use portline::rpc::mux::{self, Mux};
use portline::rpc::{Action, Config, Fallback, Link, Role};
use portline::stream::{self, Core, Direction, Limits, Shape};

/// Bytes that are allocated now.
static LIVE: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is handed on to the system's allocator as it came; the counter is all that is added.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's promise is the same as ours.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_add(size, Relaxed);
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NOW: Instant = Instant::ZERO;
/// Streams at which the peers are counted as well: a million of theirs takes minutes.
const BESIDE: usize = 10_000;

fn live() -> isize {
    LIVE.load(Relaxed) as isize
}

/// What goes when this is dropped.
fn freed<T>(value: T) -> usize {
    let before = LIVE.load(Relaxed);
    drop(value);
    before - LIVE.load(Relaxed)
}

/// Two muxes with so many channels, each opened by its first message.
fn muxes(count: usize) -> [usize; 2] {
    let new = |role| Mux::new(mux::Config { max_channels: count, ..mux::Config::new(role) }, NOW).unwrap();
    let (mut ours, mut theirs) = (new(Role::Initiator), new(Role::Acceptor));
    for _ in 0..count {
        let channel = ours.open().unwrap();
        ours.send(channel, Bytes::from_static(b"first")).unwrap();
        while let Some(message) = ours.poll_transmit() {
            theirs.handle_bytes(NOW, message.into_bytes()).unwrap();
        }
        while theirs.poll_action().is_some() {}
    }
    assert_eq!((ours.open_channels(), theirs.open_channels()), (count, count));
    [freed(ours), freed(theirs)]
}

/// Lets everything arrive; the streams of OPENs that pass.
fn settle(links: &mut [Link; 2]) {
    loop {
        let mut moved = false;
        for from in 0..2 {
            let [first, second] = links;
            let (here, there) = if from == 0 { (first, second) } else { (second, first) };
            while let Some(message) = here.poll_transmit() {
                there.handle_message(NOW, message.into_bytes()).unwrap();
                moved = true;
            }
            while let Some(action) = here.poll_action() {
                moved = true;
                match action {
                    Action::OpenChannel { channel, .. } => here.channel_attached(NOW, channel),
                    Action::Data { stream, .. } => here.consume(NOW, stream),
                    _ => {}
                }
            }
            while let Some(channel) = here.poll_channel() {
                while let Some(message) = here.poll_channel_transmit(channel) {
                    there.handle_channel_message(NOW, channel, message.into_bytes()).unwrap();
                    moved = true;
                }
            }
        }
        if !moved {
            return;
        }
    }
}

/// Two links with so many streams of one call; `used`: on each something was sent, and consumed.
fn links(count: usize, used: bool) -> [usize; 2] {
    let mut links = [Role::Initiator, Role::Acceptor].map(|role| {
        let config = Config { max_streams: count, max_call_streams: count, ..Config::new(role) };
        Link::new(config, NOW).unwrap()
    });
    settle(&mut links);
    let call = links[0].call(NOW, Bytes::from_static(b"many"), Bytes::new(), Fallback::None).unwrap();
    settle(&mut links);
    for _ in 0..count {
        let stream = links[1].open_stream(NOW, call, Shape::items(Direction::Send)).unwrap();
        settle(&mut links);
        if used {
            links[1].write(NOW, stream, Bytes::from_static(b"first")).unwrap();
            settle(&mut links);
        }
    }
    assert_eq!(links.each_ref().map(Link::open_streams), [count, count]);
    let [caller, called] = links;
    [freed(caller), freed(called)]
}

/// An end of a mux with a credit stream on each channel: what yamux and h2 call a stream.
struct End {
    mux: Mux,
    /// By channel; the numbers of channels rise.
    streams: Vec<(u32, Core)>,
}

impl End {
    fn new(role: Role, count: usize) -> Self {
        let config = mux::Config { max_channels: count, ..mux::Config::new(role) };
        Self { mux: Mux::new(config, NOW).unwrap(), streams: Vec::with_capacity(count) }
    }

    fn add(&mut self, channel: u32, direction: Direction) {
        let mut core = Core::new(Shape::bytes(direction, 256 << 10)).unwrap();
        core.open(NOW);
        core.attach(&Limits::default(), NOW);
        while core.poll_action(NOW).is_some() {}
        self.streams.push((channel, core));
    }

    fn stream(&mut self, channel: u32) -> &mut Core {
        let at = self.streams.binary_search_by_key(&channel, |(channel, _)| *channel).unwrap();
        &mut self.streams[at].1
    }

    /// Lets a stream say what it has to say, and give back what it does not need when it is still.
    fn speak(&mut self, channel: u32) {
        while let Some(message) = self.stream(channel).poll_transmit(&Limits::default(), NOW) {
            self.mux.send(channel, message).unwrap();
        }
        if self.stream(channel).is_idle() {
            self.stream(channel).shrink();
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.mux.poll_action() {
            match action {
                mux::Action::Opened { channel } => self.add(channel, Direction::Receive),
                mux::Action::Message { channel, message } => {
                    let core = self.stream(channel);
                    core.handle_message(&Limits::default(), NOW, message).unwrap();
                    while let Some(action) = core.poll_action(NOW) {
                        if matches!(action, stream::Action::Data(_)) {
                            core.consume();
                        }
                    }
                    self.speak(channel);
                }
                _ => {}
            }
        }
    }
}

/// Two muxes with so many credit streams, on each of which a byte was sent and consumed.
fn streams(count: usize) -> [usize; 2] {
    let mut ends = [Role::Initiator, Role::Acceptor].map(|role| End::new(role, count));
    for _ in 0..count {
        let channel = ends[0].mux.open().unwrap();
        ends[0].add(channel, Direction::Send);
        ends[0].stream(channel).write(&Limits::default(), NOW, Bytes::from_static(b"1")).unwrap();
        ends[0].speak(channel);
        for from in [0, 1] {
            while let Some(message) = ends[from].mux.poll_transmit() {
                ends[1 - from].mux.handle_bytes(NOW, message.into_bytes()).unwrap();
            }
            ends[1 - from].act();
        }
    }
    assert_eq!(ends.each_ref().map(|end| end.mux.open_channels()), [count, count]);
    ends.map(freed)
}

fn main() {
    if !support::begin() {
        return;
    }
    let mut figures = support::Figures::default();
    println!("heap of an idle stream, bytes on each end: opener / other\n");
    println!("| streams | mux | mux and credit stream | link | link, once used | yamux | h2 |");
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    for count in [1000, BESIDE, 100_000, 1_000_000] {
        // In a link of two, the one that is called opens the streams here.
        let turned = |[caller, called]: [usize; 2]| [called, caller];
        let ours = [muxes(count), streams(count), turned(links(count, false)), turned(links(count, true))];
        let theirs = if count <= BESIDE { vec![peers::yamux(count), peers::h2(count)] } else { Vec::new() };
        let each = |ends: &[usize; 2]| format!("{} / {}", ends[0].div_ceil(count), ends[1].div_ceil(count));
        let cells: Vec<String> = ours.iter().chain(&theirs).map(each).collect();
        println!("| {count} | {}{} |", cells.join(" | "), " | –".repeat(2 - theirs.len()));
        let mut add = |work: &str, who: &str, ends: &[usize; 2]| {
            figures.add(&format!("{work}, {count} of them"), who, ends[0].max(ends[1]) as f64 / count as f64);
        };
        add("idle stream, heap on an end", "portline", &ours[1]);
        for (who, ends) in ["yamux", "h2"].into_iter().zip(&theirs) {
            add("idle stream, heap on an end", who, ends);
        }
        add("idle channel of the mux alone", "portline", &ours[0]);
        add("idle stream of the link, without a mux", "portline", &ours[3]);
    }
    println!("\ntargets: mux at most 128, link at most 256");
    figures.save("heap");
}
