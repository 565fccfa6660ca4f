//! Any operations on both ends of a body, on a credit stream and on a port, with a peer that may send anything: no panic,
//! the mark holds, the bytes come in order, deadlines move on, and each end has one terminal action, after
//! which nothing follows.
#![no_main]

#[path = "common/heap.rs"]
mod heap;
#[path = "common/oracle.rs"]
mod oracle;

use std::collections::VecDeque;

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portline::Instant;
use portline::body::over::{port, stream};
use portline::body::queue::{self, Pushed};
use portline::body::{download, upload};

#[derive(Arbitrary, Debug)]
struct Input {
    over_port: bool,
    bytes: u8,
    piece: u8,
    window: u8,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Push(u8),
    Close,
    Error,
    Abort,
    Pull,
    Cancel(bool),
    /// So many messages are put on the way, or arrive: up or down.
    Send(bool, u8),
    Arrive(bool, u8),
    /// Anything arrives.
    Raw(bool, Vec<u8>),
    Frame {
        up: bool,
        kind: u8,
        id: u8,
        payload: Vec<u8>,
    },
    Act(bool),
    Timeout(bool),
    Closed(bool),
}

const MARK: usize = 256;
/// What may be held at once, with what is on the way.
const HELD: usize = 128 << 10;

macro_rules! run {
    ($up:expr, $down:expr, $timeout:expr, $input:expr, $mark:expr) => {{
        let (mut up, mut down, mark) = ($up, $down, $mark);
        let mut now = Instant::ZERO;
        let mut way: [VecDeque<Bytes>; 2] = Default::default();
        let (mut sent, mut got, mut honest) = (0_usize, 0_usize, true);
        let mut terminals = [0, 0];
        macro_rules! act_up {
            () => {
                match up.poll_action() {
                    None => false,
                    Some(action) => {
                        assert_eq!(terminals[0], 0, "nothing follows the terminal action");
                        terminals[0] += u32::from(!matches!(action, upload::Action::Writable));
                        true
                    }
                }
            };
        }
        macro_rules! act_down {
            () => {
                match down.poll_action() {
                    None => false,
                    Some(action) => {
                        assert_eq!(terminals[1], 0, "nothing follows the terminal action");
                        match action {
                            download::Action::Chunk(chunk) => {
                                for byte in &chunk {
                                    assert!(!honest || *byte == got as u8, "in order");
                                    got += 1;
                                }
                            }
                            download::Action::Done => {
                                assert!(!honest || got == sent, "done means everything");
                                terminals[1] += 1;
                            }
                            download::Action::Failed(_) | download::Action::Cancelled(_) => terminals[1] += 1,
                        }
                        true
                    }
                }
            };
        }
        for operation in $input.operations {
            match operation {
                Operation::Push(length) => {
                    let length = usize::from(length);
                    let chunk: Bytes = (sent..sent + length).map(|at| at as u8).collect();
                    match up.push(now, chunk) {
                        Ok(Pushed::All) => sent += length,
                        Ok(Pushed::Part { rest }) => sent += length - rest.len(),
                        Err(_) => {}
                    }
                }
                Operation::Close => up.close(now),
                Operation::Error => up.error(now, "broken"),
                Operation::Abort => up.abort(now, "given up"),
                Operation::Pull => down.pull(now).unwrap_or_default(),
                Operation::Cancel(why) => down.cancel(now, why.then_some("why")),
                Operation::Send(true, count) => {
                    for _ in 0..=count % 8 {
                        way[0].extend(up.poll_transmit().map(|message| message.into_bytes()));
                    }
                }
                Operation::Send(false, count) => {
                    for _ in 0..=count % 8 {
                        way[1].extend(down.poll_transmit().map(|message| message.into_bytes()));
                    }
                }
                Operation::Arrive(to_down, count) => {
                    for _ in 0..=count % 8 {
                        if to_down && down.wants_input() {
                            let Some(message) = way[0].pop_front() else { break };
                            assert!(down.handle_message(now, message).is_ok() || !honest);
                        } else if !to_down && up.wants_input() {
                            let Some(message) = way[1].pop_front() else { break };
                            assert!(up.handle_message(now, message).is_ok() || !honest);
                        }
                    }
                }
                Operation::Raw(at_up, message) => {
                    honest = false;
                    if at_up {
                        drop(up.handle_message(now, message.into()));
                    } else {
                        drop(down.handle_message(now, message.into()));
                    }
                }
                Operation::Frame { up: at_up, kind, id, payload } => {
                    honest = false;
                    let message = Bytes::from([&[kind % 8, 0, 0, 0, id][..], &payload].concat());
                    if at_up {
                        drop(up.handle_message(now, message));
                    } else {
                        drop(down.handle_message(now, message));
                    }
                }
                Operation::Act(true) => drop(act_up!()),
                Operation::Act(false) => drop(act_down!()),
                Operation::Timeout(at_up) => {
                    honest = false; // an answer that comes after the deadline is one too many
                    if at_up {
                        now = up.poll_timeout().unwrap_or(now).max(now);
                        up.handle_timeout(now);
                        oracle::moved_on(up.poll_timeout(), now);
                    } else {
                        now = $timeout(&mut down, now);
                    }
                }
                Operation::Closed(at_up) => {
                    honest = false;
                    if at_up {
                        drop(up.handle_closed(now));
                    } else {
                        drop(down.handle_closed(now));
                    }
                }
            }
            assert!(up.held() <= mark);
        }
        drop(up.handle_closed(now));
        drop(down.handle_closed(now));
        while act_up!() {}
        for _ in 0..10_000 {
            let _ = down.pull(now);
            if !act_down!() {
                break;
            }
        }
        assert_eq!(terminals, [1, 1]);
        assert!(up.has_ended() && down.has_ended());
    }};
}

fuzz_target!(|input: Input| heap::bounded(HELD, || run(input)));

fn run(input: Input) {
    let mark = usize::from(input.bytes).min(MARK);
    let queue = queue::Config { bytes: mark, small: 16, ..queue::Config::default() };
    let piece = usize::from(input.piece);
    let now = Instant::ZERO;
    if input.over_port {
        let port =
            portline::port::Config { window: u32::from(input.window), ..portline::port::Config::default() };
        let config = port::Config { queue, block: piece, port };
        let (Ok(up), Ok(down)) = (port::Upload::new(config.clone(), now), port::Download::new(config, now))
        else {
            return;
        };
        run!(up, down, |_: &mut port::Download, now: Instant| now, input, mark);
    } else {
        let config = stream::Config { queue, piece, ..stream::Config::default() };
        let (Ok(mut up), Ok(mut down)) =
            (stream::Upload::new(config.clone(), now), stream::Download::new(config, now))
        else {
            return;
        };
        up.open(now);
        up.attach(now);
        down.open(now);
        down.attach(now);
        let timeout = |down: &mut stream::Download, now: Instant| {
            let at = down.poll_timeout().unwrap_or(now).max(now);
            down.handle_timeout(at);
            oracle::moved_on(down.poll_timeout(), at);
            at
        };
        run!(up, down, timeout, input, mark);
    }
}
