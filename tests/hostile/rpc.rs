//! What a hostile or broken peer gets from a link: budgets, caps, and failures that stay where they belong.

use bytes::Bytes;
use portline::frame::{FrameType, encode_header};
use portline::rpc::control::Message;
use portline::rpc::{Action, Budget, CallError, Capabilities, Config, Error, Fallback, Link, Misuse, Role};
use portline::stream::{self, Direction, Shape, Sizing};
use portline::{Blame, Instant};

use crate::rpc_support::{CLIENT, NOW, Pair, SERVER, actions, bytes, control, describe, linked, sends};

pub(super) fn frame(kind: FrameType, id: u32, payload: &[u8]) -> Bytes {
    [&encode_header(kind, id), payload].concat().into()
}

pub(super) fn open(call: u32, stream: u32, shape: Shape) -> Bytes {
    Message::Open { call, stream, shape }.encode().into_bytes()
}

fn ready() -> Bytes {
    bytes("\x10\0\0\0\x01streaming\nbatch\n")
}

/// A client whose peer is ready, with so many calls sent.
pub(super) fn client(calls: u32, change: impl FnOnce(&mut Config)) -> Link {
    let mut link = linked(Role::Initiator, change);
    link.handle_message(NOW, ready()).unwrap();
    for call in 1..=calls {
        assert_eq!(link.call(NOW, bytes("m"), bytes(""), Fallback::None), Ok(call));
    }
    control(&mut link);
    actions(&mut link);
    link
}

pub(super) fn server(change: impl FnOnce(&mut Config)) -> Link {
    let mut link = linked(Role::Acceptor, change);
    link.handle_message(NOW, ready()).unwrap();
    control(&mut link);
    actions(&mut link);
    link
}

pub(super) fn call(link: &mut Link, call: u32) {
    let call = Message::Call { call, batch: false, method: bytes("m"), arguments: bytes("") };
    link.handle_message(NOW, call.encode().into_bytes()).unwrap();
}

pub(super) fn sent_on(link: &mut Link, channel: u32) -> Vec<String> {
    std::iter::from_fn(|| link.poll_channel_transmit(channel)).map(|m| describe(&m.into_bytes())).collect()
}

/// RPC-19, T1, T2, and everything else that a stream refuses: the stream fails, nothing else does.
#[test]
fn t1_a_malformed_frame_ends_its_stream_and_nothing_else() {
    let bad: [&[u8]; 9] = [
        b"\0\0",
        b"\x04\0\0\0\0\xff\xff\xff\xff", // a grant that overflows (T1)
        b"\x04\0\0\0\0\0\0\0\0",         // a grant of nothing
        b"\0\0\0\0\x05x",                // a gap
        b"\x02\0\0\0\x09",               // a wrong count
        b"\x01\0\0\0\0\x01",             // an ACK
        b"\x11\0\0\0\x01\0\x01m",        // a CALL
        b"\x80\0\0\0\0",                 // the application's
        b"\x05\0\0\0\x09",               // more consumed than was sent
    ];
    for message in bad {
        let mut pair = Pair::ready();
        let calls = [pair.call("one"), pair.call("two")];
        pair.run();
        let streams = calls.map(|call| {
            let both = Shape::items(Direction::Both(stream::Role::Responder));
            pair.ends[SERVER].open_stream(NOW, call, both).unwrap()
        });
        pair.run();
        pair.seen = [Vec::new(), Vec::new()];
        let message = Bytes::copy_from_slice(message);
        pair.ends[CLIENT].handle_channel_message(NOW, streams[0], message.clone()).unwrap();
        pair.step(CLIENT);
        let failed = |action: &Action| {
            matches!(action, Action::StreamFailed { stream, error } if *stream == streams[0]
                && error.blame() == Blame::Peer)
        };
        let trace = pair.trace.clone();
        pair.run();
        assert!(pair.seen[CLIENT].iter().any(failed), "{message:?} {:?} {trace:?}", pair.seen[CLIENT]);
        assert!(pair.seen[SERVER].iter().any(failed), "{message:?}");
        pair.ends[SERVER].write(NOW, streams[1], bytes("alive")).unwrap();
        pair.ends[SERVER].respond(NOW, calls[0], Ok(bytes("alive"))).unwrap();
        pair.run();
        assert!(pair.seen[CLIENT].contains(&Action::Data { stream: streams[1], data: bytes("alive") }));
        assert!(pair.seen[CLIENT].iter().any(|a| matches!(a, Action::Returned { result: Ok(_), .. })));
    }
}

/// RPC-19, T2: data beyond the window.
#[test]
fn t2_a_first_frame_larger_than_the_window_fails_its_stream() {
    let mut link = client(1, |_| {});
    let shape = Shape::bytes(Direction::Send, 10);
    link.handle_message(NOW, open(1, 2, shape)).unwrap();
    link.handle_channel_message(NOW, 2, frame(FrameType::Data, 0, b"eleven byte")).unwrap();
    let error = stream::Error::Exceeded { block: 0, size: 11, granted: 10 };
    assert_eq!(sent_on(&mut link, 2).len(), 2);
    assert!(actions(&mut link).contains(&Action::StreamFailed { stream: 2, error }));
}

/// RPC-20.
#[test]
fn t2_a_window_that_is_too_large_cancels_the_stream() {
    for sizing in [Sizing::Items, Sizing::Bytes, Sizing::Custom] {
        let mut link = client(1, |config| (config.max_items, config.max_bytes) = (100, 100));
        let shape = Shape { direction: Direction::Send, window: 101, sizing };
        link.handle_message(NOW, open(1, 2, shape)).unwrap();
        link.channel_attached(NOW, 2);
        let words = "CANCEL 0 \\\"the window is too large\\\"";
        assert_eq!(sent_on(&mut link, 2), [words, "END 0"]);
        let error = stream::Error::Cancelled;
        let ended = actions(&mut link);
        assert!(ended.contains(&Action::StreamFailed { stream: 2, error }));
        assert!(ended.contains(&Action::CloseChannel { channel: 2, late: 0 }), "nothing came in good faith");
        link.handle_message(NOW, open(1, 4, Shape { window: 100, ..shape })).unwrap();
        link.channel_attached(NOW, 4);
        assert_eq!((sent_on(&mut link, 4), link.open_streams()), (vec![], 1));
    }
}

/// RPC-20.
#[test]
fn t7_a_stream_too_many_aborts_its_call_and_a_wrong_number_ends_the_link() {
    let mut link = client(2, |config| (config.max_call_streams, config.max_streams) = (2, 3));
    for stream in [2, 4] {
        link.handle_message(NOW, open(1, stream, sends())).unwrap();
    }
    link.handle_message(NOW, open(2, 6, sends())).unwrap();
    actions(&mut link);
    link.handle_message(NOW, open(1, 8, sends())).unwrap();
    let cancelled = |stream| Action::StreamFailed { stream, error: stream::Error::Cancelled };
    let result = Err(CallError::TooManyStreams { limit: 3 });
    assert_eq!(actions(&mut link), [cancelled(4), cancelled(2), Action::Returned { call: 1, result }]);
    let sent: Vec<String> = control(&mut link).iter().map(|m| describe(m)).collect();
    assert_eq!(sent, ["ABORT 1"]);
    // T7: what was given up keeps its slot until its end.
    assert_eq!(link.open_streams(), 3);
    for (number, shape) in [(8, sends()), (9, sends()), (0, sends())] {
        let mut link = link.clone();
        let error = Error::StreamNumber { stream: number };
        assert_eq!(link.handle_message(NOW, open(2, number, shape)), Err(error));
    }
    // This side's own limits are misuse of the verb.
    let mut server = server(|config| config.max_call_streams = 1);
    call(&mut server, 1);
    server.open_stream(NOW, 1, sends()).unwrap();
    assert_eq!(server.open_stream(NOW, 1, sends()), Err(Misuse::TooManyStreams { limit: 1 }));
}

/// Something that a peer does.
type Act = dyn Fn(&mut Link) -> Result<(), Error>;

/// RPC-22, T5: control frames and channel messages that change nothing.
#[test]
fn t5_messages_without_effect_are_counted_and_time_refills() {
    let useless: [&Act; 6] = [
        &|link| link.handle_message(NOW, ready()),
        &|link| link.handle_message(NOW, bytes("\x12\0\0\0\x63\0")),
        &|link| link.handle_message(NOW, bytes("\x13\0\0\0\x63")),
        &|link| link.handle_channel_message(NOW, 99, frame(FrameType::End, 0, b"")),
        &|link| link.handle_channel_message(NOW, 98, Bytes::new()),
        &|link| link.handle_channel_message(NOW, 2, frame(FrameType::Data, 0, b"x")),
    ];
    for act in useless {
        let mut link = client(0, |config| config.ignored = Budget::new(3, 10));
        for _ in 0..3 {
            act(&mut link).unwrap();
        }
        let mut later = link.clone();
        later.handle_timeout(Instant::from_millis(10));
        assert_eq!(act(&mut later), Ok(()));
        assert_eq!(act(&mut link), Err(Error::TooManyIgnored { limit: 3 }));
        assert_eq!(actions(&mut link), [Action::Failed(Error::TooManyIgnored { limit: 3 })]);
    }
}

/// RPC-22, T7: calls opened and aborted in a loop, and streams opened and cancelled.
#[test]
fn t7_giving_up_in_a_loop_ends_the_link() {
    let mut link = server(|config| config.resets = Budget::new(5, 10));
    for id in 1..=6_u32 {
        call(&mut link, id);
        let ended = link.handle_message(NOW, frame(FrameType::Abort, id, b""));
        assert_eq!(ended, if id <= 5 { Ok(()) } else { Err(Error::TooManyResets { limit: 5 }) });
    }
    // RPC-27: the call whose abort was one too many has its end as well.
    let seen = actions(&mut link);
    let count = |wanted: fn(&Action) -> bool| seen.iter().filter(|action| wanted(action)).count();
    assert_eq!(count(|action| matches!(action, Action::Called { .. })), 6);
    assert_eq!(count(|action| matches!(action, Action::Aborted { .. })), 6);
    assert_eq!(seen.last(), Some(&Action::Failed(Error::TooManyResets { limit: 5 })));
    for kind in [FrameType::Cancel, FrameType::Error] {
        let mut link = server(|config| config.resets = Budget::new(5, 10));
        call(&mut link, 1);
        for round in 0..6 {
            let stream = link.open_stream(NOW, 1, sends()).unwrap();
            control(&mut link);
            link.channel_attached(NOW, stream);
            let ended = link.handle_channel_message(NOW, stream, frame(kind, 0, b""));
            assert_eq!(ended, if round < 5 { Ok(()) } else { Err(Error::TooManyResets { limit: 5 }) });
        }
    }
}

/// RPC-22: what answers our own ABORT, and what crosses with our own CANCEL, is not the peer's giving up.
#[test]
fn t7_what_answers_our_own_giving_up_is_not_counted() {
    let mut link = client(2, |config| config.resets = Budget::new(0, 1000));
    for stream in [2, 4, 6] {
        link.handle_message(NOW, open(1, stream, sends())).unwrap();
    }
    link.handle_message(NOW, open(2, 8, sends())).unwrap();
    link.cancel_stream(NOW, 8, None);
    link.abort(NOW, 1).unwrap();
    for stream in [2, 4, 6, 8] {
        link.handle_channel_message(NOW, stream, frame(FrameType::Cancel, 0, b"")).unwrap();
        link.handle_channel_message(NOW, stream, frame(FrameType::End, 0, b"")).unwrap();
    }
    link.handle_message(NOW, open(2, 10, sends())).unwrap();
    let unasked = link.handle_channel_message(NOW, 10, frame(FrameType::Error, 0, b""));
    assert_eq!(unasked, Err(Error::TooManyResets { limit: 0 }));
}

/// RPC-22, T7: an aborted call keeps its streams' slots until they have ended.
#[test]
fn t7_an_aborted_call_keeps_its_slots_until_its_streams_have_ended() {
    let mut link = server(|config| config.max_streams = 1);
    call(&mut link, 1);
    let stream = link.open_stream(NOW, 1, sends()).unwrap();
    control(&mut link);
    link.channel_attached(NOW, stream);
    link.handle_message(NOW, frame(FrameType::Abort, 1, b"")).unwrap();
    actions(&mut link);
    assert_eq!((link.open_streams(), control(&mut link).len()), (1, 0));
    call(&mut link, 2);
    assert_eq!(link.open_stream(NOW, 2, sends()), Err(Misuse::TooManyStreams { limit: 1 }));
    assert_eq!(sent_on(&mut link, stream), ["CANCEL 0", "END 0"]);
    actions(&mut link);
    assert_eq!(link.open_streams(), 0);
    let sent: Vec<String> = control(&mut link).iter().map(|m| describe(m)).collect();
    assert_eq!(sent, ["RESULT 1 \\x01\\\"aborted\\\""]);
}

/// RPC-22, T8: streams that we fail because of what the peer sends.
#[test]
fn t8_failing_our_streams_in_a_loop_ends_the_link() {
    let mut link = client(1, |config| config.failures = Budget::new(5, 10));
    for round in 1..=6_u32 {
        let stream = 2 * round;
        link.handle_message(NOW, open(1, stream, sends())).unwrap();
        let broken = link.handle_channel_message(NOW, stream, frame(FrameType::Data, 7, b"gap"));
        assert_eq!(broken, if round <= 5 { Ok(()) } else { Err(Error::TooManyFailures { limit: 5 }) });
        sent_on(&mut link, stream);
        actions(&mut link);
    }
    let mut link = server(|config| (config.failures, config.max_calls) = (Budget::new(5, 10), 1));
    call(&mut link, 1);
    for id in 2..=7_u32 {
        let message = Message::Call { call: id, batch: false, method: bytes("m"), arguments: bytes("") };
        let refused = link.handle_message(NOW, message.encode().into_bytes());
        assert_eq!(refused, if id <= 6 { Ok(()) } else { Err(Error::TooManyFailures { limit: 5 }) });
    }
}

/// RPC-23, T5: the peer makes us answer and does not read.
#[test]
fn t5_answers_that_wait_stop_the_input_of_a_link() {
    let mut link = server(|config| config.control_bytes = 300);
    let mut id = 0;
    while link.wants_input() {
        id += 1;
        assert!(id < 100, "the input is never stopped");
        call(&mut link, id);
        link.respond(NOW, id, Ok(bytes("answer"))).unwrap();
    }
    assert_eq!(id, 4, "76 bytes an answer");
    assert_eq!(link.call(NOW, bytes("m"), bytes(""), Fallback::None), Err(Misuse::Full { limit: 300 }));
    control(&mut link);
    assert!(link.wants_input());
}

/// RPC-23, RPC-13: a link on which nothing happened for long is not late at once with what is said on it then.
#[test]
fn t11_what_begins_after_a_long_silence_has_all_of_its_time() {
    let late = Instant::from_millis(90_000);
    let mut link = server(|config| config.control_bytes = 300);
    (1..=3).for_each(|id| call(&mut link, id));
    (1..=3).for_each(|id| link.respond(late, id, Ok(bytes(&"x".repeat(100)))).unwrap());
    assert!(!link.wants_input());
    link.handle_timeout(late);
    assert_eq!(link.poll_timeout(), Some(Instant::from_millis(150_000)));
    actions(&mut link);
    assert!(!link.has_ended());
    let mut link = client(1, |config| config.max_calls = 1);
    link.abort(late, 1).unwrap();
    link.handle_timeout(late);
    assert_eq!(link.poll_timeout(), Some(Instant::from_millis(150_000)));
    let again = link.call(late, bytes("m"), bytes(""), Fallback::None);
    assert_eq!(again, Err(Misuse::TooManyCalls { limit: 1 }));
}

/// T4: at the cap nothing is read, so a peer that reads nothing either would hold everything for ever.
#[test]
fn rpc_23_a_peer_that_takes_nothing_at_the_cap_ends_the_link_in_time() {
    let full = || {
        let mut link = server(|config| config.control_bytes = 300);
        (1..=10).for_each(|id| call(&mut link, id));
        (1..=10).for_each(|id| link.respond(NOW, id, Ok(bytes("answer"))).unwrap());
        assert!(!link.wants_input());
        actions(&mut link);
        link
    };
    let mut link = full();
    let deadline = Instant::from_millis(60_000);
    assert_eq!(link.poll_timeout(), Some(deadline));
    link.handle_timeout(Instant::from_micros(59_999_999));
    assert_eq!(actions(&mut link), []);
    link.handle_timeout(deadline);
    assert_eq!(actions(&mut link), [Action::Failed(Error::Stalled)]);
    assert_eq!((Error::Stalled.blame(), link.poll_timeout()), (Blame::Peer, None));
    // As long as something leaves in time it may be slow.
    let mut link = full();
    for round in 1..=7 {
        let now = Instant::from_millis(59_000 * round);
        link.handle_timeout(now);
        assert!(link.poll_transmit().is_some());
        let deadline = now.checked_add(std::time::Duration::from_secs(60));
        // 76 bytes an answer: with three of them there is room again.
        assert_eq!(link.poll_timeout(), deadline.filter(|_| round < 7));
    }
    assert!(link.wants_input());
}

/// RPC-6, T9: the length of a message is checked before it is read.
#[test]
fn t9_a_message_above_the_limit_ends_the_link() {
    let mut link = client(0, |config| config.max_message = 50);
    assert_eq!(
        link.call(NOW, bytes("m"), Bytes::from(vec![0; 50]), Fallback::None),
        Err(Misuse::TooLong { length: 58, limit: 50 })
    );
    let longest = frame(FrameType::Result, 1, &[0; 45]);
    assert_ne!(link.clone().handle_message(NOW, longest), Err(Error::TooLong { length: 50, limit: 50 }));
    let long = frame(FrameType::Result, 1, &[0; 46]);
    assert_eq!(link.handle_message(NOW, long), Err(Error::TooLong { length: 51, limit: 50 }));
    let mut link = server(|config| config.max_message = 50);
    call(&mut link, 1);
    assert_eq!(
        link.respond(NOW, 1, Ok(Bytes::from(vec![0; 45]))),
        Err(Misuse::TooLong { length: 51, limit: 50 })
    );
    assert_eq!(link.respond(NOW, 1, Ok(Bytes::from(vec![0; 44]))), Ok(()));
}

/// RPC-24, T6: what does not read as a batch, is made of crumbs, or comes where nobody knows batches is refused, and the
/// link goes on.
#[test]
fn t6_a_call_that_is_no_batch_is_refused() {
    let crumbs = [0; 4 * 40];
    let cases: [(&[u8], bool); 5] = [
        (b"", true),
        (b"\0\0\0\x05ab", true),
        (b"\0\0\0\x01a\0", true),
        (&crumbs, true),
        (b"\0\0\0\x01a", false),
    ];
    for (arguments, batches) in cases {
        let mut link = server(|config| {
            config.max_message = 200;
            if !batches {
                config.capabilities = Capabilities::parse(b"streaming").unwrap();
            }
        });
        let arguments = Bytes::copy_from_slice(arguments);
        let call = Message::Call { call: 1, batch: true, method: bytes("m"), arguments };
        link.handle_message(NOW, call.encode().into_bytes()).unwrap();
        let sent: Vec<String> = control(&mut link).iter().map(|message| describe(message)).collect();
        assert_eq!(sent, ["RESULT 1 \\x01\\\"not a batch\\\""]);
        assert_eq!((actions(&mut link), link.has_ended()), (vec![], false));
    }
    // The same of a result.
    let mut link =
        linked(Role::Initiator, |config| config.capabilities = Capabilities::parse(b"batch").unwrap());
    let call = link.call(NOW, bytes("m"), bytes(""), Fallback::Batch(Vec::new())).unwrap();
    link.handle_message(NOW, ready()).unwrap();
    control(&mut link);
    link.handle_message(NOW, Message::Result { call, result: Ok(bytes("?")) }.encode().into_bytes()).unwrap();
    let returned = Action::Returned { call, result: Err(CallError::MalformedBatch) };
    assert_eq!((actions(&mut link).pop(), link.has_ended()), (Some(returned), false));
}

/// What a verb refuses ends nothing.
#[test]
fn rpc_18_misused_verbs_change_nothing() {
    let mut link = client(1, |config| config.max_message = 100);
    let items = Fallback::Batch(vec![Bytes::from(vec![0; 90])]);
    assert_eq!(
        link.call(NOW, bytes("m"), bytes(""), items),
        Err(Misuse::TooLong { length: 106, limit: 100 })
    );
    let name = Bytes::from(vec![b'm'; 0x8000]);
    assert_eq!(
        link.call(NOW, name, bytes(""), Fallback::None),
        Err(Misuse::MethodTooLong { length: 0x8000 })
    );
    assert_eq!(link.respond(NOW, 1, Ok(bytes(""))), Err(Misuse::NoCall { call: 1 }), "ours, not the peer's");
    assert_eq!(link.open_stream(NOW, 1, sends()), Err(Misuse::NoCall { call: 1 }));
    assert_eq!(link.write(NOW, 2, bytes("x")), Err(Misuse::NoStream { stream: 2 }));
    assert!(!link.can_write(2));
    link.finish(NOW, 2);
    link.consume(NOW, 2);
    link.fail_stream(NOW, 2, "no");
    link.cancel_stream(NOW, 2, None);
    link.channel_attached(NOW, 2);
    link.channel_closed(NOW, 2);
    assert_eq!((actions(&mut link), control(&mut link), link.poll_channel()), (vec![], vec![], None));

    let mut server = server(|_| {});
    call(&mut server, 1);
    let refused = server.open_stream(NOW, 1, Shape { window: 0, ..sends() });
    assert_eq!(refused, Err(Misuse::Shape(stream::ConfigError::Zero { field: "window" })));
    let stream = server.open_stream(NOW, 1, Shape::items(Direction::Receive)).unwrap();
    let refused = server.write(NOW, stream, bytes("x"));
    assert_eq!(refused, Err(Misuse::Write(stream::WriteError::ReceiveOnly)));
}

/// RPC-19, T4: a stall deadline that the link keeps for its streams.
#[test]
fn t4_a_peer_that_never_grants_loses_the_stream_and_only_that() {
    let mut link = server(|_| {});
    call(&mut link, 1);
    let stream = link.open_stream(NOW, 1, Shape { window: 1, ..sends() }).unwrap();
    control(&mut link);
    link.channel_attached(NOW, stream);
    for item in ["sent", "waits"] {
        link.write(NOW, stream, bytes(item)).unwrap();
    }
    assert_eq!(sent_on(&mut link, stream), ["DATA 0 sent"]);
    let deadline = link.poll_timeout().unwrap();
    assert_eq!(deadline, Instant::from_millis(60_000));
    actions(&mut link);
    link.handle_timeout(Instant::from_micros(59_999_999));
    assert_eq!(actions(&mut link), []);
    link.handle_timeout(deadline);
    assert_eq!(sent_on(&mut link, stream).len(), 2);
    let error = stream::Error::Stalled { block: 1 };
    // A grant for the block that was sent, an end and its reason.
    let ends = [Action::StreamFailed { stream, error }, Action::CloseChannel { channel: stream, late: 3 }];
    assert_eq!(actions(&mut link), ends);
    assert_eq!((link.poll_timeout(), link.has_ended()), (None, false));
}

/// T10: calls and their streams are counted, whoever opens them; what is refused costs the peer its budget.
#[test]
fn t10_calls_without_end_are_refused_one_by_one() {
    let mut link = server(|config| config.max_calls = 3);
    (1..=3).for_each(|id| call(&mut link, id));
    assert_eq!(actions(&mut link).len(), 3);
    call(&mut link, 4);
    let refused: Vec<String> = control(&mut link).iter().map(|message| describe(message)).collect();
    assert_eq!((refused.len(), actions(&mut link).len(), link.has_ended()), (1, 0, false));
    assert!(refused[0].starts_with("RESULT 4 \\x01"), "{refused:?}");
    link.respond(NOW, 1, Ok(bytes("done"))).unwrap();
    control(&mut link);
    call(&mut link, 5);
    assert_eq!(actions(&mut link).len(), 1, "an answered call gives its place back");
}

/// RPC-27, T13: whenever the control channel closes, every call and every stream has one end, and so has the link.
#[test]
fn t13_a_link_that_closes_after_any_message_ends_every_call_and_stream_once() {
    for steps in 0..40 {
        let mut pair = Pair::ready();
        let calls = [pair.call("one"), pair.call("two")];
        pair.run();
        for call in calls {
            let both = Shape::items(Direction::Both(stream::Role::Responder));
            let stream = pair.ends[SERVER].open_stream(NOW, call, both).unwrap();
            pair.ends[SERVER].write(NOW, stream, bytes("x")).unwrap();
        }
        pair.ends[SERVER].respond(NOW, calls[0], Ok(bytes("early"))).unwrap();
        for at in 0..steps {
            pair.step([SERVER, CLIENT][at % 2]);
        }
        for end in [CLIENT, SERVER] {
            let _: Result<(), Error> = pair.ends[end].handle_closed(NOW);
            let left = actions(&mut pair.ends[end]);
            pair.seen[end].extend(left);
            let seen = &pair.seen[end];
            let count = |what: &dyn Fn(&Action) -> bool| seen.iter().filter(|action| what(action)).count();
            assert_eq!(
                count(&|one| matches!(one, Action::Finished | Action::Failed(_))),
                1,
                "{steps}: {seen:?}"
            );
            for call in calls {
                let ends = count(&|one| match one {
                    Action::Returned { call: ended, .. } | Action::Aborted { call: ended } => *ended == call,
                    _ => false,
                });
                let answered = end == SERVER && call == calls[0];
                assert_eq!(ends, usize::from(!answered), "{steps}: {seen:?}");
            }
            for stream in [2, 4] {
                let of = |one: &Action| match one {
                    Action::StreamFinished { stream: ended } | Action::StreamFailed { stream: ended, .. } => {
                        *ended == stream
                    }
                    _ => false,
                };
                let opened = end == SERVER
                    || count(
                        &|one| matches!(one, Action::StreamOpened { stream: opened, .. } if *opened == stream),
                    ) > 0;
                assert!(count(&of) <= 1 && (!opened || count(&of) == 1), "{steps}: {stream} {seen:?}");
            }
            assert!(pair.ends[end].has_ended() && !pair.ends[end].wants_input());
        }
    }
}
