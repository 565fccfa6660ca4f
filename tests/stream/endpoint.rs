//! Endpoints of a stream, frame by frame: the sequences of the seed, credit, and every way to end.

use std::iter::from_fn;
use std::time::Duration;

use bytes::Bytes;
use portline::frame::{FrameType, Reason, decode};
use portline::stream::{
    Action, Config, ConfigError, Core, Direction, Endpoint, Error, Limits, Role, Shape, Sizing, State,
    WriteError,
};
use portline::{Blame, Instant};

pub(super) const NOW: Instant = Instant::ZERO;

pub(super) fn endpoint(shape: Shape) -> Endpoint {
    let mut end = Endpoint::new(Config::new(shape), NOW).unwrap();
    end.open(NOW);
    end.attach(NOW);
    assert_eq!(end.poll_action(), Some(Action::Opened));
    end
}

fn limited(shape: Shape, limits: Limits) -> Endpoint {
    let mut end = Endpoint::new(Config { shape, limits }, NOW).unwrap();
    end.open(NOW);
    end.attach(NOW);
    assert_eq!(end.poll_action(), Some(Action::Opened));
    end
}

fn pair(shape: Shape) -> (Endpoint, Endpoint) {
    (endpoint(shape), endpoint(shape.reversed()))
}

pub(super) fn items(direction: Direction, window: u32) -> Shape {
    Shape { window, ..Shape::items(direction) }
}

/// A message as text: `DATA 0 "a"`.
fn show(message: &[u8]) -> String {
    let frame = decode(message).unwrap();
    let name = match frame.kind {
        FrameType::Data => "DATA",
        FrameType::Last => "LAST",
        FrameType::End => "END",
        FrameType::Error => "ERROR",
        FrameType::Cancel => "CANCEL",
        FrameType::Credit => {
            return format!("CREDIT {} +{}", frame.id, u32::from_be_bytes(frame.payload.try_into().unwrap()));
        }
        other => panic!("{other:?}"),
    };
    format!("{name} {} {}", frame.id, String::from_utf8_lossy(frame.payload)).trim_end().to_owned()
}

pub(super) fn sent(end: &mut Endpoint) -> Vec<String> {
    from_fn(|| end.poll_transmit()).map(|message| show(&message.into_bytes())).collect()
}

/// Hands everything that `from` sends to `to`.
fn pass(from: &mut Endpoint, to: &mut Endpoint) -> Vec<String> {
    from_fn(|| from.poll_transmit())
        .map(|message| {
            let message = message.into_bytes();
            to.handle_message(NOW, message.clone()).unwrap();
            show(&message)
        })
        .collect()
}

pub(super) fn actions(end: &mut Endpoint) -> Vec<Action> {
    from_fn(|| end.poll_action()).collect()
}

pub(super) fn data(bytes: &'static [u8]) -> Action {
    Action::Data(Bytes::from_static(bytes))
}

pub(super) fn frame(kind: u8, id: u32, payload: &[u8]) -> Bytes {
    [&[kind][..], &id.to_be_bytes(), payload].concat().into()
}

pub(super) fn write(end: &mut Endpoint, block: &'static [u8]) {
    end.write(NOW, Bytes::from_static(block)).unwrap();
}

pub(super) const fn both(role: Role) -> Direction {
    Direction::Both(role)
}

/// STREAM-3, STREAM-4, STREAM-5, STREAM-13: the seed's first sequence.
#[test]
fn stream_13_one_way_server_to_client() {
    let (mut server, mut client) = pair(items(Direction::Send, 2));
    write(&mut server, b"v1");
    assert_eq!(pass(&mut server, &mut client), ["DATA 0 v1"]);
    assert_eq!(actions(&mut client), [data(b"v1")]);
    assert_eq!(sent(&mut client), [""; 0], "the sender has half of the mark left");
    client.consume(NOW);
    write(&mut server, b"v2");
    assert_eq!(pass(&mut server, &mut client), ["DATA 1 v2"]);
    assert_eq!(pass(&mut client, &mut server), ["CREDIT 1 +1"]);
    write(&mut server, b"final");
    server.finish(NOW);
    assert_eq!(pass(&mut server, &mut client), ["LAST 2 final", "END 3"]);
    assert_eq!(actions(&mut server), [Action::Finished]);
    assert!(server.has_ended() && !client.has_ended());
    assert_eq!(actions(&mut client), [data(b"v2"), data(b"final"), Action::PeerDone, Action::Finished]);
    assert!(client.has_ended());
    assert_eq!((sent(&mut client), client.state()), (vec![], State::Closed));
}

/// STREAM-14: the seed's two-way sequence; the caller is done first and the responder ends.
#[test]
fn stream_14_two_ways() {
    let (mut client, mut server) = pair(items(both(Role::Caller), 4));
    for (hello, echo) in [(&b"Hello"[..], &b"Echo: Hello"[..]), (b"World", b"Echo: World")] {
        write(&mut client, hello);
        pass(&mut client, &mut server);
        assert_eq!(actions(&mut server), [data(hello)]);
        server.consume(NOW);
        write(&mut server, echo);
        pass(&mut server, &mut client);
        assert_eq!(actions(&mut client), [data(echo)]);
        client.consume(NOW);
    }
    write(&mut client, b"!");
    write(&mut server, b"?");
    assert_eq!(pass(&mut client, &mut server), ["DATA 2 !"]);
    assert_eq!(pass(&mut server, &mut client), ["CREDIT 2 +2", "DATA 2 ?"]);
    assert_eq!(pass(&mut client, &mut server), ["CREDIT 2 +2"]);
    client.finish(NOW);
    assert_eq!(pass(&mut client, &mut server), ["LAST 3"]);
    assert_eq!(actions(&mut server), [data(b"!"), Action::PeerDone]);
    server.finish(NOW);
    assert_eq!(pass(&mut server, &mut client), ["LAST 3", "END 3"]);
    assert_eq!(actions(&mut server), [Action::Finished]);
    assert_eq!(actions(&mut client), [data(b"?"), Action::PeerDone, Action::Finished]);
}

/// STREAM-14: the responder may be done first; its END waits for the caller's LAST.
#[test]
fn stream_14_the_end_waits_for_both_directions() {
    let (mut client, mut server) = pair(Shape::items(both(Role::Caller)));
    server.finish(NOW);
    assert_eq!(pass(&mut server, &mut client), ["LAST 0"]);
    write(&mut client, b"x");
    client.finish(NOW);
    assert_eq!(pass(&mut client, &mut server), ["LAST 0 x"]);
    assert_eq!(client.state(), State::Active);
    assert_eq!(pass(&mut server, &mut client), ["END 0"]);
    assert_eq!(actions(&mut client), [Action::PeerDone, Action::Finished]);
    assert!(!server.has_ended(), "a block is still to be delivered");
    assert_eq!(actions(&mut server), [data(b"x"), Action::PeerDone, Action::Finished]);
}

/// STREAM-5, STREAM-14: only on a one-way stream does END stand for a LAST that did not come.
#[test]
fn stream_14_an_end_without_the_responders_last_is_its_fault() {
    let (mut client, mut server) = pair(Shape::items(both(Role::Caller)));
    client.finish(NOW);
    assert_eq!(pass(&mut client, &mut server), ["LAST 0"]);
    assert_eq!(client.handle_message(NOW, frame(2, 0, b"")), Err(Error::EarlyEnd));
    assert_eq!(sent(&mut client), ["ERROR 0 \"the end came before both directions were done\"", "END 0"]);
    assert_eq!(actions(&mut client), [Action::Failed(Error::EarlyEnd)]);
}

/// STREAM-15: the seed's error sequence.
#[test]
fn stream_15_error_then_end() {
    let (mut server, mut client) = pair(Shape::items(Direction::Send));
    write(&mut server, b"data1");
    write(&mut server, b"data2");
    assert_eq!(pass(&mut server, &mut client), ["DATA 0 data1", "DATA 1 data2"]);
    write(&mut server, b"never");
    server.fail(NOW, "Processing failed");
    assert_eq!(pass(&mut server, &mut client), ["ERROR 2 \"Processing failed\"", "END 2"]);
    assert_eq!(actions(&mut server), [Action::Failed(Error::Aborted)]);
    let error = Error::Remote { block: 2, reason: Reason::Text("Processing failed".to_owned()) };
    assert_eq!(actions(&mut client), [data(b"data1"), data(b"data2"), Action::Failed(error)]);
    assert_eq!(sent(&mut client), [""; 0]);
}

/// STREAM-16: the seed's cancellation, from the sender; and from the receiver, with words.
#[test]
fn stream_16_cancel_then_end() {
    let (mut server, mut client) = pair(Shape::items(Direction::Send));
    write(&mut server, b"data1");
    write(&mut server, b"data2");
    pass(&mut server, &mut client);
    server.cancel(NOW, None);
    assert_eq!(pass(&mut server, &mut client), ["CANCEL 0", "END 2"]);
    assert_eq!(actions(&mut server), [Action::Failed(Error::Cancelled)]);
    let error = Error::PeerCancelled { consumed: 0, reason: None };
    assert_eq!(actions(&mut client), [data(b"data1"), data(b"data2"), Action::Failed(error)]);

    let (mut server, mut client) = pair(Shape::items(Direction::Send));
    write(&mut server, b"data1");
    write(&mut server, b"data2");
    pass(&mut server, &mut client);
    client.poll_action().unwrap();
    client.consume(NOW);
    client.cancel(NOW, Some("enough"));
    write(&mut server, b"data3");
    let under_way = server.poll_transmit().unwrap().into_bytes();
    assert_eq!(pass(&mut client, &mut server), ["CANCEL 1 \"enough\"", "END 0"]);
    assert_eq!(actions(&mut client), [Action::Failed(Error::Cancelled)], "what waited is dropped");
    let reason = Some(Reason::Text("enough".to_owned()));
    assert_eq!(actions(&mut server), [Action::Failed(Error::PeerCancelled { consumed: 1, reason })]);
    assert_eq!(client.handle_message(NOW, under_way), Ok(()), "STREAM-18");
    assert_eq!((sent(&mut server), sent(&mut client), actions(&mut client)), (vec![], vec![], vec![]));
}

/// STREAM-15, STREAM-16, STREAM-19: whoever ends, and whatever crosses it, each side gets one terminal action.
#[test]
fn stream_19_ends_that_cross() {
    let ends: [fn(&mut Endpoint); 4] = [
        |end| end.fail(NOW, "no"),
        |end| end.cancel(NOW, None),
        |end| end.finish(NOW),
        |end| {
            end.handle_message(NOW, Bytes::new()).unwrap_err();
        },
    ];
    for shape in [Direction::Send, both(Role::Caller), both(Role::Responder)].map(Shape::items) {
        for (one, other) in (0..4).flat_map(|one| (0..4).map(move |other| (one, other))) {
            let (mut left, mut right) = pair(shape);
            write(&mut left, b"x");
            pass(&mut left, &mut right);
            ends[one](&mut left);
            ends[other](&mut right);
            let from_left: Vec<_> = from_fn(|| left.poll_transmit()).collect();
            let from_right: Vec<_> = from_fn(|| right.poll_transmit()).collect();
            for message in from_right {
                left.handle_message(NOW, message.into_bytes()).ok();
            }
            for message in from_left {
                right.handle_message(NOW, message.into_bytes()).ok();
            }
            pass(&mut left, &mut right);
            pass(&mut right, &mut left);
            for end in [&mut left, &mut right] {
                let terminal = |action: &Action| matches!(action, Action::Finished | Action::Failed(_));
                let actions = actions(end);
                assert_eq!(actions.iter().filter(|a| terminal(a)).count(), 1, "{one} {other} {actions:?}");
                assert!(actions.last().is_some_and(terminal));
                assert!(end.has_ended() && !end.wants_input() && end.poll_timeout().is_none());
            }
        }
    }
}

/// STREAM-4: an empty item that is the last does not vanish in the mark.
#[test]
fn stream_4_an_empty_last_item_is_an_item() {
    let (mut server, mut client) = pair(Shape::items(Direction::Send));
    write(&mut server, b"");
    server.finish(NOW);
    assert_eq!(pass(&mut server, &mut client), ["DATA 0", "LAST 1", "END 1"]);
    assert_eq!(actions(&mut client), [data(b""), Action::PeerDone, Action::Finished]);
    let (mut server, mut client) = pair(Shape::items(Direction::Send));
    server.finish(NOW);
    assert_eq!(pass(&mut server, &mut client), ["LAST 0", "END 0"]);
    assert_eq!(actions(&mut client), [Action::PeerDone, Action::Finished]);
}

/// STREAM-5: END of a one-way stream needs no LAST before it.
#[test]
fn stream_5_an_end_without_last_ends_the_direction() {
    let mut client = endpoint(Shape::items(Direction::Receive));
    client.handle_message(NOW, frame(0, 0, b"x")).unwrap();
    client.handle_message(NOW, frame(2, 1, b"")).unwrap();
    assert_eq!(actions(&mut client), [data(b"x"), Action::PeerDone, Action::Finished]);
}

/// Takes and consumes so many blocks.
fn consume(end: &mut Endpoint, blocks: usize) {
    for _ in 0..blocks {
        assert!(matches!(end.poll_action(), Some(Action::Data(_))));
        end.consume(NOW);
    }
}

/// STREAM-6, STREAM-9, STREAM-10: 16 items; the first grant below half the mark, then two items each.
#[test]
fn stream_9_credit_comes_back_below_half_the_mark_and_then_by_portions() {
    let (mut server, mut client) = pair(Shape::items(Direction::Send));
    for _ in 0..50 {
        write(&mut server, b"x");
    }
    let give = |server: &mut Endpoint, client: &mut Endpoint, blocks| {
        for _ in 0..blocks {
            client.handle_message(NOW, server.poll_transmit().unwrap().into_bytes()).unwrap();
            consume(client, 1);
        }
    };
    give(&mut server, &mut client, 8);
    assert_eq!(sent(&mut client), [""; 0], "half of the mark is left, and the stream may be short");
    give(&mut server, &mut client, 1);
    assert_eq!(pass(&mut client, &mut server), ["CREDIT 9 +9"], "one CREDIT for all that was consumed");
    give(&mut server, &mut client, 1);
    assert_eq!(sent(&mut client), [""; 0]);
    give(&mut server, &mut client, 1);
    assert_eq!(pass(&mut client, &mut server), ["CREDIT 11 +2"]);

    // Sixteen wait for an application that takes its time: it has enough to do, and is not asked for each.
    assert_eq!(pass(&mut server, &mut client).len(), 16);
    assert_eq!(server.poll_transmit(), None);
    consume(&mut client, 1);
    assert_eq!(pass(&mut client, &mut server), ["CREDIT 12 +1"], "the sender cannot go on");
    consume(&mut client, 1);
    assert_eq!(sent(&mut client), [""; 0], "now it can");
    consume(&mut client, 1);
    assert_eq!(pass(&mut client, &mut server), ["CREDIT 14 +2"]);
    for _ in 0..3 {
        client.poll_action().unwrap();
    }
    assert_eq!(sent(&mut client), [""; 0], "what is handed out is not consumed");
}

/// STREAM-9: what stays within half of its window costs no CREDIT.
#[test]
fn stream_9_a_short_stream_needs_no_credit() {
    let (mut server, mut client) = pair(Shape::items(Direction::Send));
    for _ in 0..8 {
        write(&mut server, b"x");
        assert_eq!(pass(&mut server, &mut client).len(), 1);
        consume(&mut client, 1);
        assert_eq!(sent(&mut client), [""; 0]);
    }
}

/// STREAM-9: how often credit comes is the receiver's choice; in two parts it is the seed's half mark.
#[test]
fn stream_9_the_parts_of_a_window_are_the_receivers_choice() {
    for (parts, grants) in [(2, [8, 8, 8]), (4, [4, 4, 4]), (1, [16, 16, 16])] {
        let shape = Shape::items(Direction::Send);
        let mut server = endpoint(shape);
        let mut client = limited(shape.reversed(), Limits { credit_parts: parts, ..Limits::default() });
        for _ in 0..80 {
            write(&mut server, b"x");
        }
        let mut seen = Vec::new();
        while let Some(message) = server.poll_transmit() {
            client.handle_message(NOW, message.into_bytes()).unwrap();
            consume(&mut client, 1);
            seen.extend(pass(&mut client, &mut server));
        }
        let more = |credit: &String| credit.split_once('+').unwrap().1.parse::<u32>().unwrap();
        assert_eq!(more(&seen[0]), 9, "the first");
        assert!(seen[1..].iter().map(more).zip(grants).all(|(found, due)| found == due), "{seen:?}");
    }
}

/// STREAM-9: after LAST nothing is granted.
#[test]
fn stream_9_nothing_is_granted_after_last() {
    let (mut server, mut client) = pair(items(Direction::Send, 1));
    write(&mut server, b"x");
    server.finish(NOW);
    pass(&mut server, &mut client);
    client.poll_action().unwrap();
    client.consume(NOW);
    assert_eq!(sent(&mut client), [""; 0]);
}

/// STREAM-6, STREAM-10: a byte stream is cut into quarters of its window at the most, and never into crumbs.
#[test]
fn stream_10_a_byte_stream_splits() {
    let (mut server, mut client) = pair(Shape::bytes(Direction::Send, 20));
    let block = Bytes::from_static(b"abcdefghijklmnopqrstuvwxyz");
    server.write(NOW, block.clone()).unwrap();
    server.write(NOW, Bytes::new()).unwrap();
    let first = server.poll_transmit().unwrap();
    assert_eq!(first.payload().as_ptr(), block.as_ptr(), "split by slicing");
    client.handle_message(NOW, first.into_bytes()).unwrap();
    assert_eq!(actions(&mut client), [data(b"abcde")]);
    assert_eq!(sent(&mut server), ["DATA 1 fghij", "DATA 2 klmno", "DATA 3 pqrst"]);
    server.handle_message(NOW, frame(4, 0, &4_u32.to_be_bytes())).unwrap();
    assert_eq!(sent(&mut server), [""; 0], "4 is less than the next piece");
    server.finish(NOW);
    server.handle_message(NOW, frame(4, 0, &2_u32.to_be_bytes())).unwrap();
    assert_eq!(sent(&mut server), ["DATA 4 uvwxy", "LAST 5 z", "END 6"], "the rest is smaller");
    let limits = Limits { chunk_size: 3, ..Limits::default() };
    let mut server = limited(Shape::bytes(Direction::Send, 20), limits);
    server.write(NOW, block).unwrap();
    let first = ["DATA 0 abc", "DATA 1 def", "DATA 2 ghi", "DATA 3 jkl", "DATA 4 mno", "DATA 5 pqr"];
    assert_eq!(sent(&mut server), first, "2 is left");
}

/// STREAM-9, STREAM-10, T3: a byte stream in windows of any size, in pieces of any size, gets everything across.
#[test]
fn stream_10_a_byte_stream_never_waits_for_credit_that_is_there() {
    for (window, chunk_size) in (1..=40).flat_map(|window| [1, 3, 64].map(|chunk| (window, chunk))) {
        let limits = Limits { chunk_size, ..Limits::default() };
        let shape = Shape::bytes(Direction::Send, window);
        let (mut server, mut client) = (limited(shape, limits.clone()), limited(shape.reversed(), limits));
        let text: Vec<u8> = (0..200).collect();
        server.write(NOW, text.clone().into()).unwrap();
        server.finish(NOW);
        let mut got = Vec::new();
        while !server.has_ended() {
            assert_ne!(pass(&mut server, &mut client), [""; 0], "{window} {chunk_size}");
            while let Some(action) = client.poll_action() {
                let Action::Data(piece) = action else { continue };
                got.extend_from_slice(&piece);
                client.consume(NOW);
            }
            pass(&mut client, &mut server);
        }
        assert_eq!((got, actions(&mut server)), (text, vec![Action::Finished]));
    }
}

/// STREAM-6, STREAM-9: sizes by a function; an item as large as the window gets through above the half mark (T3).
#[test]
fn stream_9_credit_is_never_stranded() {
    let limits = Limits { size_of: |block| u32::from(block[0]), ..Limits::default() };
    let shape = Shape { direction: Direction::Send, window: 10, sizing: Sizing::Custom };
    let (mut server, mut client) = (limited(shape, limits.clone()), limited(shape.reversed(), limits));
    write(&mut server, &[4, 0]);
    write(&mut server, &[10, 1]);
    assert_eq!(pass(&mut server, &mut client).len(), 1);
    assert_eq!(actions(&mut client), [data(&[4, 0])]);
    client.consume(NOW);
    assert_eq!(
        pass(&mut client, &mut server),
        ["CREDIT 1 +4"],
        "6 of 10 are left, and the next item may need more"
    );
    assert_eq!(pass(&mut server, &mut client).len(), 1);
    assert_eq!(actions(&mut client), [data(&[10, 1])]);
    assert_eq!(server.write(NOW, Bytes::from_static(&[0])), Err(WriteError::ZeroSize));
    let too_large = WriteError::LargerThanWindow { size: 11, window: 10 };
    assert_eq!(server.write(NOW, Bytes::from_static(&[11])), Err(too_large));
    client.consume(NOW);
    let zero = client.handle_message(NOW, frame(0, 2, &[0]));
    assert_eq!(zero, Err(Error::ZeroSize { block: 2 }));
}

/// STREAM-11: what a verb refuses ends nothing.
#[test]
fn stream_11_write_refuses_what_could_never_be_sent() {
    // Two blocks of 3 bytes, with their overhead.
    let limits = Limits { max_block: 3, send_bytes: 134, ..Limits::default() };
    let mut server = limited(items(Direction::Send, 1), limits);
    let large = server.write(NOW, Bytes::from_static(b"abcd"));
    assert_eq!(large, Err(WriteError::TooLarge { length: 4, limit: 3 }));
    write(&mut server, b"abc");
    assert!(server.can_write());
    write(&mut server, b"def");
    assert!(!server.can_write());
    assert_eq!(server.write(NOW, Bytes::from_static(b"x")), Err(WriteError::Full { limit: 134 }));
    assert_eq!(actions(&mut server), []);
    assert_eq!(sent(&mut server), ["DATA 0 abc"]);
    assert_eq!(actions(&mut server), [Action::Writable]);
    server.finish(NOW);
    assert_eq!(server.write(NOW, Bytes::from_static(b"x")), Err(WriteError::Over));
    let mut client = endpoint(Shape::items(Direction::Receive));
    assert_eq!(client.write(NOW, Bytes::from_static(b"x")), Err(WriteError::ReceiveOnly));
    client.finish(NOW);
    assert_eq!((client.state(), sent(&mut client)), (State::Active, vec![]));
}

/// STREAM-12, STREAM-1: what is written before the channel is there waits for it, and END for what waits.
#[test]
fn stream_12_the_end_waits_for_queued_data() {
    let mut server = Endpoint::new(Config::new(items(Direction::Send, 1)), NOW).unwrap();
    write(&mut server, b"a");
    server.open(NOW);
    write(&mut server, b"b");
    server.finish(NOW);
    assert_eq!((server.state(), sent(&mut server)), (State::Opening, vec![]));
    server.attach(NOW);
    assert_eq!(sent(&mut server), ["DATA 0 a"]);
    server.handle_message(NOW, frame(4, 1, &[0, 0, 0, 1])).unwrap();
    assert_eq!(sent(&mut server), ["LAST 1 b", "END 2"]);
    assert_eq!(actions(&mut server), [Action::Opened, Action::Finished]);
}

/// STREAM-2.
#[test]
fn stream_2_what_could_never_move_is_refused() {
    let zero = |field| Err(ConfigError::Zero { field });
    assert_eq!(Core::new(items(Direction::Send, 0)).map(drop), zero("window"));
    let of = Limits::default;
    for (field, limits) in [
        ("open_timeout", Limits { open_timeout: Duration::ZERO, ..of() }),
        ("stall_timeout", Limits { stall_timeout: Duration::ZERO, ..of() }),
        ("chunk_size", Limits { chunk_size: 0, ..of() }),
        ("credit_parts", Limits { credit_parts: 0, ..of() }),
        ("max_block", Limits { max_block: 0, ..of() }),
        ("send_bytes", Limits { send_bytes: 0, ..of() }),
        ("receive_bytes", Limits { receive_bytes: 0, ..of() }),
    ] {
        let config = Config { shape: Shape::items(Direction::Send), limits };
        assert_eq!(Endpoint::new(config, NOW).map(drop), zero(field));
    }
}

/// STREAM-20: closing at any moment.
#[test]
fn stream_20_a_closed_channel_fails_what_is_not_over() {
    let mut client = endpoint(Shape::items(Direction::Receive));
    client.handle_message(NOW, frame(0, 0, b"x")).unwrap();
    assert_eq!(client.handle_closed(NOW), Err(Error::Closed));
    assert_eq!(actions(&mut client), [data(b"x"), Action::Failed(Error::Closed)]);
    assert_eq!(client.handle_closed(NOW), Ok(()));
    assert_eq!(Error::Closed.blame(), Blame::Transport);

    for opened in [false, true] {
        let mut server = Endpoint::new(Config::new(Shape::items(Direction::Send)), NOW).unwrap();
        if opened {
            server.open(NOW);
        }
        assert_eq!(server.handle_closed(NOW), Err(Error::Closed));
        assert_eq!((actions(&mut server), server.has_ended()), (vec![Action::Failed(Error::Closed)], true));
    }

    // END is not handed over yet, so the peer cannot know.
    let mut server = endpoint(Shape::items(Direction::Send));
    server.finish(NOW);
    assert_eq!(show(&server.poll_transmit().unwrap().into_bytes()), "LAST 0");
    assert_eq!(server.handle_closed(NOW), Err(Error::Closed));
    assert_eq!(actions(&mut server), [Action::Failed(Error::Closed)]);

    // The error that was to be told stays the error.
    let mut server = endpoint(Shape::items(Direction::Send));
    server.fail(NOW, "no");
    assert_eq!(server.handle_closed(NOW), Ok(()));
    assert_eq!((actions(&mut server), sent(&mut server)), (vec![Action::Failed(Error::Aborted)], vec![]));
}

/// STREAM-15, STREAM-16, STREAM-21: ended before the channel was there.
#[test]
fn stream_15_16_an_end_before_the_channel_is_told_when_it_comes() {
    let mut end = Endpoint::new(Config::new(Shape::items(Direction::Send)), NOW).unwrap();
    end.cancel(NOW, None);
    assert_eq!((actions(&mut end), end.state()), (vec![Action::Failed(Error::Cancelled)], State::Closed));

    let mut end = Endpoint::new(Config::new(Shape::items(Direction::Send)), NOW).unwrap();
    end.open(NOW);
    end.fail(NOW, "no");
    end.cancel(NOW, None);
    assert_eq!((sent(&mut end), actions(&mut end)), (vec![], vec![]));
    end.attach(NOW);
    assert_eq!(sent(&mut end), ["ERROR 0 \"no\"", "END 0"]);
    assert_eq!(actions(&mut end), [Action::Failed(Error::Aborted)]);

    let mut end = Endpoint::new(Config::new(Shape::items(Direction::Send)), NOW).unwrap();
    end.open(NOW);
    end.fail(NOW, "no");
    let deadline = end.poll_timeout().unwrap();
    assert_eq!(deadline, Instant::from_millis(30_000));
    end.handle_timeout(deadline);
    assert_eq!(actions(&mut end), [Action::Failed(Error::Aborted)]);
}

/// STREAM-26.
#[test]
fn stream_26_an_idle_stream_is_small() {
    assert!(size_of::<Core>() <= 128, "{}", size_of::<Core>());
}

/// STREAM-1: a channel that is there from the start needs no opening.
#[test]
fn stream_1_a_stream_on_a_channel_that_is_there_begins_in_active() {
    for direction in [Direction::Send, Direction::Receive, Direction::Both(Role::Responder)] {
        let config = Config::new(Shape::items(direction));
        let mut opened = Endpoint::new(config.clone(), NOW).unwrap();
        opened.open(NOW);
        opened.attach(NOW);
        assert_eq!(actions(&mut opened), [Action::Opened]);
        let mut attached = Endpoint::attached(config, NOW).unwrap();
        assert_eq!((actions(&mut attached), attached.state()), (vec![], State::Active));
        assert_eq!(format!("{attached:?}"), format!("{opened:?}"));
    }
    assert!(Core::attached(Shape::bytes(Direction::Send, 0)).is_err());
}
