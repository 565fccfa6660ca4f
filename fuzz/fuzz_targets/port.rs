//! Any operations on a duplex port, with any messages from the peer: no panic, the caps hold, deadlines move on, an
//! error stays, and each direction has one terminal action for each stream.
#![no_main]

#[path = "common/heap.rs"]
mod heap;
#[path = "common/oracle.rs"]
mod oracle;

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use oracle::Sticky;
use portline::Instant;
use portline::port::duplex::Action;
use portline::port::{Config, Duplex, Error, Unknown};

#[derive(Arbitrary, Debug)]
struct Input {
    chunk: Option<u8>,
    window: u8,
    ignore: bool,
    sequence: bool,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Raw(Vec<u8>),
    Frame { kind: u8, id: u8, payload: Vec<u8> },
    Wait(u32),
    Timeout,
    Write(Vec<u8>),
    Flush,
    Finish,
    Fail,
    Begin,
    Accept,
    Cancel,
    Transmit,
    Action,
    Closed,
}

/// An answer that breaks the protocol ends the direction that sends, and is what every later answer is told. (What breaks
/// it in the other direction ends a stream, and the port may end later for another reason: that is asked of it alone.)
fn hand(port: &mut Duplex, now: Instant, message: Vec<u8>, sending: &mut Sticky<Error>) {
    let is_answer = message.len() >= 5 && message[0] == 1;
    let result = port.handle_message(now, message.into());
    if is_answer {
        sending.heard(result);
    }
}

/// What may be held at once, however many operations there are: the caps below, and a window of 255 blocks.
const HELD: usize = 32 << 10;

fuzz_target!(|input: Input| heap::bounded(HELD, || run(input)));

fn run(input: Input) {
    let config = Config {
        chunk_size: input.chunk.map(usize::from),
        window: u32::from(input.window),
        unknown: if input.ignore { Unknown::Ignore } else { Unknown::Refuse },
        sequence: input.sequence,
        max_block: 300,
        send_bytes: 1000,
        receive_blocks: 4,
        receive_bytes: 500,
        max_ignored: 20,
        max_empty: 10,
        ..Config::default()
    };
    let mut now = Instant::ZERO;
    let Ok(mut port) = Duplex::new(config, now) else { return };
    let (mut begun, mut sent, mut received) = (1, 0, 0);
    let mut sending = Sticky::default();
    let mut act = |port: &mut Duplex| match port.poll_action() {
        Some(Action::Sent | Action::SendFailed(_)) => {
            sent += 1;
            (true, sent, received)
        }
        Some(Action::End | Action::ReceiveFailed(_)) => {
            received += 1;
            (true, sent, received)
        }
        Some(Action::Block(_)) => (true, sent, received),
        None => (false, sent, received),
    };
    for operation in input.operations {
        match operation {
            Operation::Raw(message) => hand(&mut port, now, message, &mut sending),
            Operation::Frame { kind, id, payload } => {
                let message = [&[kind % 8, 0, 0, 0, id][..], &payload].concat();
                hand(&mut port, now, message, &mut sending);
            }
            Operation::Wait(micros) => now = Instant::from_micros(now.as_micros() + u64::from(micros)),
            Operation::Timeout => {
                now = port.poll_timeout().unwrap_or(now).max(now);
                port.handle_timeout(now);
                oracle::moved_on(port.poll_timeout(), now);
            }
            Operation::Write(bytes) => {
                let can = port.can_write();
                let large = input.chunk.is_none() && bytes.len() > 300;
                assert_eq!(port.write(now, Bytes::from(bytes)).is_ok(), can && !large);
            }
            Operation::Flush => port.flush(now),
            Operation::Finish => port.finish(now),
            Operation::Fail => port.fail(now, "failed"),
            Operation::Begin => {
                // Begins at most as many streams as have ended.
                if act(&mut port).1 == begun {
                    begun += 1;
                    port.begin(now);
                }
            }
            Operation::Accept => port.accept(now),
            Operation::Cancel => port.cancel(now),
            Operation::Transmit => drop(port.poll_transmit()),
            Operation::Action => drop(act(&mut port)),
            Operation::Closed => drop(port.handle_closed(now)),
        }
    }
    drop(port.handle_closed(now));
    let counts = loop {
        port.accept(now);
        let (more, sent, received) = act(&mut port);
        if !more {
            break (sent, received);
        }
    };
    assert!(port.has_ended() && !port.wants_input());
    assert!(counts.0 == begun || counts.0 + 1 == begun, "{counts:?} of {begun}");
    assert!(input.sequence || counts.1 == 1, "{counts:?}");
}
