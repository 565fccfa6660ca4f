//! Any operations on one end of a stream, with any messages from the peer: no panic, the caps hold, credit stays in
//! the window, deadlines move on, an error stays, and there is one terminal action, after which nothing follows.
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
use portline::stream::{Action, Config, Direction, Endpoint, Error, Limits, Role, Shape, Sizing};

#[derive(Arbitrary, Debug)]
struct Input {
    direction: u8,
    sizing: u8,
    window: u8,
    parts: u8,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Open,
    Attach,
    Raw(Vec<u8>),
    Frame { kind: u8, id: u8, payload: Vec<u8> },
    Block { last: bool, payload: Vec<u8> },
    Credit { grant: u8 },
    Wait(u32),
    Timeout,
    Write(Vec<u8>),
    Finish,
    Fail,
    Cancel(bool),
    ExpectEnd,
    Consume,
    Shrink,
    Transmit,
    Action,
    Closed,
}

/// What may be held at once, however many operations there are: the caps below, and a window of 255 blocks.
const HELD: usize = 32 << 10;

fuzz_target!(|input: Input| heap::bounded(HELD, || run(input)));

/// An error of a message is that of every later one, but for those that come behind the peer's own end.
fn heard(sticky: &mut Sticky<Error>, result: Result<(), Error>) -> bool {
    match result {
        Err(Error::AfterEnd { .. }) => false,
        other => sticky.heard(other),
    }
}

fn run(input: Input) {
    let direction = match input.direction % 4 {
        0 => Direction::Send,
        1 => Direction::Receive,
        2 => Direction::Both(Role::Caller),
        _ => Direction::Both(Role::Responder),
    };
    let sizing = [Sizing::Items, Sizing::Bytes, Sizing::Custom][usize::from(input.sizing % 3)];
    let window = u32::from(input.window);
    let limits = Limits {
        size_of: |block| block.first().copied().map_or(0, u32::from),
        chunk_size: 7,
        credit_parts: u32::from(input.parts),
        max_block: 50,
        send_bytes: 500,
        receive_bytes: 500,
        max_idle_frames: 10,
        ..Limits::default()
    };
    let mut now = Instant::ZERO;
    let config = Config { shape: Shape { direction, window, sizing }, limits };
    let Ok(mut end) = Endpoint::new(config, now) else { return };
    let (mut terminal, mut received, mut sticky) = (0, 0_u32, Sticky::default());
    let mut act = |end: &mut Endpoint| {
        let action = end.poll_action();
        if action.is_some() {
            assert_eq!(terminal, 0, "nothing follows the terminal action");
        }
        terminal += u32::from(matches!(action, Some(Action::Finished | Action::Failed(_))));
        (action.is_some(), terminal)
    };
    for operation in input.operations {
        match operation {
            Operation::Open => end.open(now),
            Operation::Attach => end.attach(now),
            Operation::Raw(message) => drop(heard(&mut sticky, end.handle_message(now, message.into()))),
            Operation::Frame { kind, id, payload } => {
                let message = [&[kind % 8, 0, 0, 0, id][..], &payload].concat();
                heard(&mut sticky, end.handle_message(now, message.into()));
            }
            Operation::Block { last, payload } => {
                let message = [&[if last { 6 } else { 0 }][..], &received.to_be_bytes(), &payload].concat();
                if heard(&mut sticky, end.handle_message(now, message.into())) {
                    received += 1;
                }
            }
            Operation::Credit { grant } => {
                let message = [4, 0, 0, 0, 0, 0, 0, 0, grant];
                heard(&mut sticky, end.handle_message(now, Bytes::copy_from_slice(&message)));
            }
            Operation::Wait(micros) => now = Instant::from_micros(now.as_micros() + u64::from(micros)),
            Operation::Timeout => {
                now = end.poll_timeout().unwrap_or(now).max(now);
                end.handle_timeout(now);
                oracle::moved_on(end.poll_timeout(), now);
            }
            Operation::Write(bytes) => {
                let can = end.can_write();
                let taken = end.write(now, Bytes::from(bytes)).is_ok();
                assert!(can || !taken || sizing == Sizing::Bytes);
            }
            Operation::Finish => end.finish(now),
            Operation::Fail => end.fail(now, "failed"),
            Operation::Cancel(why) => end.cancel(now, why.then_some("why")),
            Operation::ExpectEnd => end.expect_end(now),
            Operation::Consume => end.consume(now),
            Operation::Shrink => end.shrink(),
            Operation::Transmit => {
                let has = end.core().has_transmit(end.limits());
                assert_eq!(end.poll_transmit().is_some(), has);
            }
            Operation::Action => {
                let has = end.core().has_action();
                assert_eq!(act(&mut end).0, has);
            }
            Operation::Closed => drop(end.handle_closed(now)),
        }
        assert!(end.core().credit().available() <= window);
        assert_eq!(end.core().window().window(), window);
    }
    drop(end.handle_closed(now));
    let terminal = loop {
        let (more, terminal) = act(&mut end);
        if !more {
            break terminal;
        }
    };
    assert_eq!(terminal, 1);
    assert!(
        end.has_ended()
            && !end.wants_input()
            && end.poll_timeout().is_none()
            && end.poll_transmit().is_none()
    );
}
