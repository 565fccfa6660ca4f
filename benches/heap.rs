//! Heap of an idle stream on each end, counted by the allocator, and what an event on one of them costs beside the others.
//!
//! `cargo bench --bench heap` prints the table. A channel of the mux and a stream of the link each stand open and still:
//! all that was sent has arrived and was consumed.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    missing_docs
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use portline::Instant;
use portline::rpc::mux::{self, Mux};
use portline::rpc::{Action, Config, Fallback, Link, Role};
use portline::stream::{Direction, Shape};

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

fn main() {
    println!("heap of an idle stream, bytes on each end\n");
    println!("| streams | mux, opener / other | link, opener / caller | link, once used |");
    println!("|---:|---:|---:|---:|");
    for count in [1000, 10_000, 100_000, 1_000_000] {
        let each =
            |[first, second]: [usize; 2]| format!("{} / {}", first.div_ceil(count), second.div_ceil(count));
        let mut still = links(count, false);
        let mut used = links(count, true);
        still.reverse();
        used.reverse();
        println!("| {count} | {} | {} | {} |", each(muxes(count)), each(still), each(used));
    }
    println!("\ntargets: mux at most 128, link at most 256");
}
