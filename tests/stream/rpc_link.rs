//! The control channel: exact bytes of its messages, getting ready in any order, calls and their ends.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::rpc_support::{CLIENT, NOW, Pair, SERVER, actions, bytes, control, describe, link, linked};
use bytes::Bytes;
use portline::frame::{self, FrameType, Reason};
use portline::rpc::control::{self, Message, decode, decode_bytes};
use portline::rpc::{
    Action, Answer, Budget, CallError, Capabilities, CapabilitiesError, ConfigError, Error, Fallback, Link,
    Misuse, Role,
};
use portline::stream::{Direction, Role as StreamRole, Shape, Sizing};
use portline::{Blame, Instant};

const READY: &[u8] = b"\x10\0\0\0\x01batch\nstreaming\n";

fn samples() -> Vec<(Message<Bytes>, Vec<u8>)> {
    let shape = |direction, window, sizing| Shape { direction, window, sizing };
    let both = shape(Direction::Both(StreamRole::Responder), u32::MAX, Sizing::Custom);
    vec![
        (Message::Ready { version: 1, capabilities: bytes("a\nb\n") }, b"\x10\0\0\0\x01a\nb\n".to_vec()),
        (
            Message::Call { call: 7, batch: false, method: bytes("sum"), arguments: bytes("1,2") },
            b"\x11\0\0\0\x07\0\x03sum1,2".to_vec(),
        ),
        (
            Message::Call { call: 8, batch: true, method: bytes(""), arguments: bytes("") },
            b"\x11\0\0\0\x08\x80\0".to_vec(),
        ),
        (Message::Result { call: 7, result: Ok(bytes("3")) }, b"\x12\0\0\0\x07\x003".to_vec()),
        (Message::Result { call: 7, result: Err(bytes("\"no\"")) }, b"\x12\0\0\0\x07\x01\"no\"".to_vec()),
        (Message::Abort { call: u32::MAX }, b"\x13\xff\xff\xff\xff".to_vec()),
        (
            Message::Open { call: 7, stream: 2, shape: shape(Direction::Send, 16, Sizing::Items) },
            b"\x14\0\0\0\x07\0\0\0\x02\0\0\0\0\x10\0".to_vec(),
        ),
        (
            Message::Open { call: 7, stream: 4, shape: shape(Direction::Receive, 256, Sizing::Bytes) },
            b"\x14\0\0\0\x07\0\0\0\x04\x01\0\0\x01\0\x01".to_vec(),
        ),
        (
            Message::Open { call: 7, stream: 6, shape: both },
            b"\x14\0\0\0\x07\0\0\0\x06\x02\xff\xff\xff\xff\x02".to_vec(),
        ),
    ]
}

/// RPC-3, RPC-4, RPC-5.
#[test]
fn rpc_1_every_message_has_exactly_these_bytes() {
    for (message, wire) in samples() {
        assert_eq!(message.clone().encode().into_bytes(), wire);
        assert_eq!(decode_bytes(&Bytes::from(wire.clone())), Ok(message));
    }
    // A payload on ABORT, and what a later version adds to OPEN, are ignored.
    assert_eq!(decode(b"\x13\0\0\0\x01why"), Ok(Message::Abort { call: 1 }));
    let longer = [&samples()[6].1[..], b"more"].concat();
    assert_eq!(decode_bytes(&longer.into()), Ok(samples()[6].0.clone()));
    // Results are not copied on either way.
    let value = bytes("a value");
    let sent = Message::Result { call: 1, result: Ok(value.clone()) }.encode();
    assert_eq!(sent.payload().as_ptr(), value.as_ptr());
    let wire = sent.into_bytes();
    let Ok(Message::Result { result: Ok(read), .. }) = decode_bytes(&wire) else { panic!("a result") };
    assert_eq!(read.as_ptr(), wire[6..].as_ptr());
}

#[test]
fn rpc_6_what_does_not_belong_on_a_control_channel_is_an_error_that_names_it() {
    for (_, wire) in samples() {
        for cut in 0..wire.len() {
            // Cut anywhere: an error, or a message that means something shorter; never a panic.
            let _: Result<_, control::Error> = decode(&wire[..cut]);
        }
    }
    let short = |kind, length| Err(control::Error::Short { kind, length });
    let value = |kind, value| Err(control::Error::Value { kind, value });
    assert_eq!(decode(b""), Err(control::Error::Frame(frame::Error::Short { length: 0 })));
    assert_eq!(decode(b"\x11\0\0\0\x07\0"), short(FrameType::Call, 1));
    assert_eq!(decode(b"\x11\0\0\0\x07\0\x03su"), short(FrameType::Call, 4));
    assert_eq!(decode(b"\x12\0\0\0\x07"), short(FrameType::Result, 0));
    assert_eq!(decode(b"\x12\0\0\0\x07\x02"), value(FrameType::Result, 2));
    assert_eq!(decode(b"\x14\0\0\0\x07\0\0\0\x02\0\0\0\0\x10"), short(FrameType::Open, 9));
    assert_eq!(decode(b"\x14\0\0\0\x07\0\0\0\x02\x03\0\0\0\x10\0"), value(FrameType::Open, 3));
    assert_eq!(decode(b"\x14\0\0\0\x07\0\0\0\x02\0\0\0\0\x10\x03"), value(FrameType::Open, 3));
    assert_eq!(decode(b"\x14\0\0\0\x07\0\0\0\x02\0\0\0\0\0\0"), value(FrameType::Open, 0));
    for kind in (0..=255_u8).filter(|kind| !(16..=20).contains(kind)) {
        let kind_of = FrameType::from(kind);
        let unknown = control::Error::Unknown { kind: kind_of };
        assert_eq!(decode(&[kind, 0, 0, 0, 0]), Err(unknown));
        let mut link = link(Role::Initiator);
        let message = Bytes::copy_from_slice(&[kind, 0, 0, 0, 0]);
        assert_eq!(link.handle_message(NOW, message), Err(Error::Control(unknown)));
        assert_eq!(actions(&mut link), [Action::Failed(Error::Control(unknown))]);
    }
}

#[test]
fn rpc_2_capabilities_are_tokens_one_a_line() {
    let parse = |text: &[u8]| Capabilities::parse(text);
    let read = parse(b"\nb\na\n\nb\nx-1").unwrap();
    assert_eq!(read.iter().collect::<Vec<_>>(), [&b"a"[..], b"b", b"x-1"]);
    assert_eq!(read.encode(), "a\nb\nx-1\n");
    assert!(read.contains(b"b") && !read.contains(b"c") && !read.contains(b""));
    assert_eq!(parse(b"").unwrap(), Capabilities::default());
    assert_eq!(parse(b"a b"), Err(CapabilitiesError::Byte { byte: b' ' }));
    assert_eq!(parse(b"a\r\n"), Err(CapabilitiesError::Byte { byte: b'\r' }));
    assert_eq!(parse(&[b'a'; 65]), Err(CapabilitiesError::TooLong { length: 65 }));
    assert!(parse(&[b'a'; 64]).is_ok());
    // Repeats are counted: they cost as much to read.
    assert!(parse(&b"a\n".repeat(64)).is_ok());
    assert_eq!(parse(&b"a\n".repeat(65)), Err(CapabilitiesError::TooMany));
}

#[test]
fn rpc_7_a_link_that_could_not_move_is_refused() {
    let refused = |change: fn(&mut portline::rpc::Config)| {
        let mut config = portline::rpc::Config::new(Role::Initiator);
        change(&mut config);
        Link::new(config, NOW).err()
    };
    let zero = |field| Some(ConfigError::Zero { field });
    assert_eq!(refused(|c| c.ready_timeout = Duration::ZERO), zero("ready_timeout"));
    assert_eq!(refused(|c| c.max_calls = 0), zero("max_calls"));
    assert_eq!(refused(|c| c.max_message = 0), zero("max_message"));
    assert_eq!(refused(|c| c.control_bytes = 0), zero("control_bytes"));
    assert!(matches!(refused(|c| c.stream.chunk_size = 0), Some(ConfigError::Stream(_))));
}

fn ready_action() -> Action {
    let capabilities = Capabilities::parse(b"streaming\nbatch").unwrap();
    Action::Ready { version: 1, capabilities }
}

#[test]
fn rpc_8_both_sides_may_start_first() {
    for first in [CLIENT, SERVER] {
        let mut pair = Pair::new();
        while pair.step(first) {}
        pair.run();
        assert_eq!(pair.seen[CLIENT], [ready_action()]);
        assert_eq!(pair.seen[SERVER], [ready_action()]);
        // The second side heard READY before its own had left, so nothing had to be repeated by it.
        assert_eq!(pair.trace.len(), 3, "{:?}", pair.trace);
    }
}

/// RPC-9: the reference loses a READY that is sent before the other side listens.
#[test]
fn rpc_9_a_ready_that_was_lost_is_repeated() {
    let mut early = link(Role::Initiator);
    assert_eq!(control(&mut early), [READY]);
    // Nobody listened. Later the other side starts.
    let mut late = link(Role::Acceptor);
    let hello = control(&mut late).remove(0);
    early.handle_message(NOW, hello.clone()).unwrap();
    let again = control(&mut early);
    assert_eq!(again, [READY]);
    late.handle_message(NOW, again[0].clone()).unwrap();
    assert_eq!(actions(&mut early), [ready_action()]);
    assert_eq!(actions(&mut late), [ready_action()]);
    // Its answer to the answer is its second and last READY, which changes nothing.
    let last = control(&mut late);
    assert_eq!(last, [READY]);
    early.handle_message(NOW, last[0].clone()).unwrap();
    assert_eq!((control(&mut early), actions(&mut early)), (vec![], vec![]));
}

#[test]
fn rpc_8_a_peer_that_is_not_ready_in_time_ends_the_link() {
    let mut link = link(Role::Initiator);
    let call = link.call(NOW, bytes("never"), bytes(""), Fallback::None).unwrap();
    let deadline = Instant::from_millis(5000);
    assert_eq!(link.poll_timeout(), Some(deadline));
    link.handle_timeout(Instant::from_micros(4_999_999));
    assert_eq!(actions(&mut link), []);
    link.handle_timeout(deadline);
    let ended = Action::Returned { call, result: Err(CallError::Closed) };
    assert_eq!(actions(&mut link), [ended, Action::Failed(Error::ReadyTimeout)]);
    assert_eq!((link.poll_timeout(), Error::ReadyTimeout.blame()), (None, Blame::Transport));
    assert_eq!(link.handle_message(deadline, READY.into()), Err(Error::ReadyTimeout));
    // T11: a timeout that leaves the clock is never.
    let endless = linked(Role::Initiator, |config| config.ready_timeout = Duration::MAX);
    assert_eq!(endless.poll_timeout(), None);
}

#[test]
fn rpc_10_the_lower_version_is_spoken_and_nothing_before_ready() {
    let mut newer = link(Role::Initiator);
    newer.handle_message(NOW, bytes("\x10\0\0\0\x09")).unwrap();
    let Action::Ready { version, capabilities } = actions(&mut newer).remove(0) else { panic!("ready") };
    assert_eq!((version, capabilities), (1, Capabilities::default()));
    let error = |message: &[u8]| {
        link(Role::Initiator).handle_message(NOW, Bytes::copy_from_slice(message)).unwrap_err()
    };
    assert_eq!(error(b"\x10\0\0\0\0"), Error::Version { version: 0 });
    assert_eq!(error(b"\x13\0\0\0\x01"), Error::BeforeReady { kind: FrameType::Abort });
    assert_eq!(error(b"\x10\0\0\0\x01a b"), Error::Capabilities(CapabilitiesError::Byte { byte: b' ' }));
}

#[test]
fn rpc_11_calls_made_before_ready_go_out_in_order() {
    let mut pair = Pair::new();
    let calls: Vec<u32> = ["a", "b", "c"].map(|method| pair.call(method)).to_vec();
    assert_eq!(calls, [1, 2, 3]);
    // RPC-12: one that is aborted before it was sent is only aborted.
    pair.ends[CLIENT].abort(NOW, 2).unwrap();
    pair.run();
    let traced: Vec<String> =
        pair.traced().into_iter().filter(|line| line.starts_with('C') && !line.contains("READY")).collect();
    assert_eq!(traced, ["C ABORT 2", "C CALL 1 \\x00\\x01a", "C CALL 3 \\x00\\x01c"]);
    assert!(pair.seen[CLIENT].contains(&Action::Returned { call: 2, result: Err(CallError::Aborted) }));
    let called: Vec<&Action> =
        pair.seen[SERVER].iter().filter(|action| matches!(action, Action::Called { .. })).collect();
    assert_eq!(called.len(), 2);
}

/// RPC-9, RPC-10: what is aborted before the peer is ready waits for its READY, behind our own in answer to it. A peer
/// that did not hear the first would take an ABORT in front of the second for a fault.
#[test]
fn rpc_12_an_abort_waits_for_the_peers_ready_like_a_call() {
    let mut early = link(Role::Initiator);
    assert_eq!(control(&mut early), [READY], "and it is lost");
    let call = early.call(NOW, bytes("m"), bytes(""), Fallback::None).unwrap();
    early.abort(NOW, call).unwrap();
    assert_eq!(early.poll_transmit(), None);
    let mut late = link(Role::Acceptor);
    early.handle_message(NOW, control(&mut late).remove(0)).unwrap();
    let sent = control(&mut early);
    assert_eq!(sent.iter().map(|message| describe(message)).collect::<Vec<_>>()[1..], ["ABORT 1"]);
    assert_eq!(sent[0], READY);
    for message in sent {
        late.handle_message(NOW, message).unwrap();
    }
    assert_eq!(actions(&mut late), [ready_action()]);
}

/// RPC-23: what waits for the peer's READY does not keep that from being read.
#[test]
fn rpc_23_a_full_queue_before_ready_does_not_stop_the_input() {
    let mut link = linked(Role::Initiator, |config| config.control_bytes = 300);
    while link.call(NOW, bytes("m"), bytes("arguments"), Fallback::None).is_ok() {}
    assert!(link.wants_input());
    link.handle_message(NOW, READY.into()).unwrap();
    assert!(!link.wants_input());
    assert!(!control(&mut link).is_empty() && link.wants_input());
}

/// RPC-23: full is what the cap says, each message with its overhead; and something has to leave in time, not only come.
#[test]
fn rpc_23_the_time_at_the_cap_begins_when_it_is_reached_and_anew_when_something_leaves() {
    // Two results without a value, of 6 bytes and 64.
    let mut server = linked(Role::Acceptor, |config| config.control_bytes = 2 * 70);
    server.handle_message(NOW, READY.into()).unwrap();
    control(&mut server);
    for id in 1..=4 {
        server.handle_message(NOW, Bytes::copy_from_slice(&[17, 0, 0, 0, id, 0, 1, b'm'])).unwrap();
    }
    let respond = |server: &mut Link, second: u64, call| {
        let now = Instant::from_millis(second * 1000);
        server.respond(now, call, Ok(bytes(""))).unwrap();
    };
    respond(&mut server, 1, 1);
    assert_eq!((server.wants_input(), server.poll_timeout()), (true, None));
    let deadline = |second: u64| Some(Instant::from_millis((second + 60) * 1000));
    respond(&mut server, 2, 2);
    assert_eq!((server.wants_input(), server.poll_timeout()), (false, deadline(2)));
    let full = server.call(NOW, bytes("m"), bytes(""), Fallback::None);
    assert_eq!(full, Err(Misuse::Full { limit: 140 }));
    respond(&mut server, 32, 3);
    assert_eq!(server.poll_timeout(), deadline(2));
    respond(&mut server, 33, 4);
    assert_eq!(server.poll_timeout(), deadline(2));
    assert!(server.poll_transmit().is_some());
    assert_eq!((server.wants_input(), server.poll_timeout()), (false, deadline(33)));
    control(&mut server);
    assert_eq!((server.wants_input(), server.poll_timeout()), (true, None));
}

/// RPC-3, RPC-6: the longest name and the longest message go, and nothing longer.
#[test]
fn rpc_3_a_call_may_be_as_long_as_its_limits_and_no_longer() {
    let mut client = linked(Role::Initiator, |config| config.max_message = 100);
    let mut call = |arguments: usize| {
        let called = client.call(NOW, bytes("m"), Bytes::from(vec![7; arguments]), Fallback::None);
        called.map(|_| ())
    };
    assert_eq!((call(92), call(93)), (Ok(()), Err(Misuse::TooLong { length: 101, limit: 100 })));
    client.handle_message(NOW, READY.into()).unwrap();
    assert_eq!(control(&mut client)[1].len(), 100);
    let mut server = linked(Role::Acceptor, |config| config.max_message = 1 << 20);
    let mut call = |length: usize| server.call(NOW, vec![b'm'; length].into(), bytes(""), Fallback::None);
    assert_eq!((call(0x7fff), call(0x8000)), (Ok(1), Err(Misuse::MethodTooLong { length: 0x8000 })));
}

/// A program that explores states tells links apart by what they still have to say.
#[test]
fn the_hash_of_a_link_is_that_of_what_waits_in_it() {
    let hash = |answer: &str| {
        let mut server = link(Role::Acceptor);
        server.handle_message(NOW, READY.into()).unwrap();
        server.handle_message(NOW, bytes("\x11\0\0\0\x01\0\x01m")).unwrap();
        server.respond(NOW, 1, Ok(bytes(answer))).unwrap();
        let mut hasher = DefaultHasher::new();
        server.hash(&mut hasher);
        hasher.finish()
    };
    assert_eq!(hash("a"), hash("a"));
    assert_ne!(hash("a"), hash("b"));
}

#[test]
fn rpc_12_aborting_before_the_call_is_sent_sends_nothing_but_the_abort() {
    let mut pair = Pair::ready();
    let call = pair.call("slow");
    pair.ends[CLIENT].abort(NOW, call).unwrap();
    pair.run();
    assert_eq!(pair.traced(), ["C ABORT 1"]);
    assert_eq!(pair.seen(CLIENT), [Action::Returned { call, result: Err(CallError::Aborted) }]);
    assert_eq!(pair.seen(SERVER), []);
}

#[test]
fn rpc_13_a_late_result_is_ignored_and_one_of_an_unknown_call_too() {
    let mut pair = Pair::ready();
    let call = pair.call("slow");
    pair.run();
    pair.ends[SERVER].respond(NOW, call, Ok(bytes("too late"))).unwrap();
    pair.ends[CLIENT].abort(NOW, call).unwrap();
    pair.run();
    assert_eq!(pair.seen(CLIENT), [Action::Returned { call, result: Err(CallError::Aborted) }]);
    for message in ["\x12\0\0\0\x01\0again", "\x12\0\0\0\x63\0never called"] {
        pair.ends[CLIENT].handle_message(NOW, bytes(message)).unwrap();
    }
    assert_eq!(pair.seen(CLIENT), []);
    let next = pair.call("next");
    pair.run();
    pair.ends[SERVER].respond(NOW, next, Ok(bytes("fine"))).unwrap();
    pair.run();
    let result = Ok(Answer { value: bytes("fine"), items: Vec::new() });
    assert_eq!(pair.seen(CLIENT), [Action::Returned { call: next, result }]);
}

/// RPC-13: a peer that never answers an ABORT does not keep the call's slot for ever (T4).
#[test]
fn rpc_13_an_aborted_call_that_is_not_answered_in_time_is_forgotten() {
    let mut client = linked(Role::Initiator, |config| {
        (config.max_calls, config.ignored) = (1, Budget::new(0, 1000));
    });
    client.handle_message(NOW, READY.into()).unwrap();
    let call = |client: &mut Link| client.call(NOW, bytes("m"), bytes(""), Fallback::None);
    let result = |id: u8| Bytes::copy_from_slice(&[18, 0, 0, 0, id, 0]);
    assert_eq!(call(&mut client), Ok(1));
    control(&mut client);
    client.handle_timeout(Instant::from_millis(1000));
    client.abort(NOW, 1).unwrap();
    let deadline = Instant::from_millis(61_000);
    assert_eq!(
        (call(&mut client), client.poll_timeout()),
        (Err(Misuse::TooManyCalls { limit: 1 }), Some(deadline))
    );
    // Answered in time it is nothing to be counted.
    let mut answered = client.clone();
    answered.handle_message(deadline, result(1)).unwrap();
    assert_eq!((answered.poll_timeout(), call(&mut answered)), (None, Ok(2)));
    client.handle_timeout(Instant::from_micros(60_999_999));
    assert!(call(&mut client).is_err());
    client.handle_timeout(deadline);
    assert_eq!((client.poll_timeout(), call(&mut client)), (None, Ok(2)));
    assert_eq!(client.handle_message(deadline, result(1)), Err(Error::TooManyIgnored { limit: 0 }));
}

#[test]
fn rpc_14_a_duplicate_call_ends_the_link_and_too_many_are_refused() {
    let mut server = linked(Role::Acceptor, |config| config.max_calls = 2);
    server.handle_message(NOW, READY.into()).unwrap();
    let call = |id: u8| Bytes::copy_from_slice(&[17, 0, 0, 0, id, 0, 1, b'm']);
    for id in 1..=3 {
        server.handle_message(NOW, call(id)).unwrap();
    }
    let sent: Vec<String> = control(&mut server).iter().map(|message| describe(message)).collect();
    assert_eq!(sent[1..], ["RESULT 3 \\x01\\\"too many calls\\\""]);
    assert_eq!(server.handle_message(NOW, call(2)), Err(Error::DuplicateCall { call: 2 }));
    assert_eq!(
        actions(&mut server)[3..],
        [
            Action::Aborted { call: 1 },
            Action::Aborted { call: 2 },
            Action::Failed(Error::DuplicateCall { call: 2 }),
        ]
    );
    let mut client = linked(Role::Initiator, |config| config.max_calls = 1);
    client.call(NOW, bytes("a"), bytes(""), Fallback::None).unwrap();
    let second = client.call(NOW, bytes("b"), bytes(""), Fallback::None);
    assert_eq!(second, Err(Misuse::TooManyCalls { limit: 1 }));
}

#[test]
fn rpc_15_a_missing_method_is_an_error_result() {
    let mut pair = Pair::ready();
    let call = pair.call("nothing");
    pair.run();
    pair.ends[SERVER].respond_no_method(NOW, call).unwrap();
    assert_eq!(pair.ends[SERVER].respond(NOW, call, Ok(bytes(""))), Err(Misuse::NoCall { call }));
    pair.run();
    let result = Err(CallError::Remote(Reason::Text("no such method".to_owned())));
    assert_eq!(pair.seen(CLIENT), [Action::Returned { call, result }]);
}

/// T13, RPC-27.
#[test]
fn rpc_27_closing_gives_every_call_and_stream_one_end() {
    let mut pair = Pair::ready();
    let calls = ["a", "b"].map(|method| pair.call(method));
    pair.run();
    let stream = pair.ends[SERVER].open_stream(NOW, calls[0], crate::rpc_support::sends()).unwrap();
    pair.ends[SERVER].write(NOW, stream, bytes("x")).unwrap();
    pair.run();
    pair.seen = [Vec::new(), Vec::new()];
    let closed = portline::stream::Error::Closed;
    for end in [CLIENT, SERVER] {
        assert_eq!(pair.ends[end].handle_closed(NOW), Err(Error::Closed));
        assert_eq!(pair.ends[end].handle_closed(NOW), Err(Error::Closed));
        pair.step(end);
        let seen = pair.seen(end);
        let ends = calls.map(|call| match end {
            CLIENT => Action::Returned { call, result: Err(CallError::Closed) },
            _ => Action::Aborted { call },
        });
        let failed = Action::StreamFailed { stream, error: closed.clone() };
        assert_eq!(seen, [&[failed][..], &ends, &[Action::Failed(Error::Closed)]].concat());
        assert!(pair.ends[end].has_ended() && !pair.ends[end].wants_input());
        assert_eq!(pair.ends[end].call(NOW, bytes(""), bytes(""), Fallback::None), Err(Misuse::Over));
        assert!(pair.open[end].is_empty());
    }
    // With nothing pending it is no error.
    let mut idle = Pair::ready();
    assert_eq!(idle.ends[CLIENT].handle_closed(NOW), Ok(()));
    assert_eq!(actions(&mut idle.ends[CLIENT]), [Action::Finished]);
}

/// RPC-27: a call that was aborted has had its end, here and there, whether or not the peer has answered yet.
#[test]
fn rpc_27_a_call_that_was_aborted_is_not_pending() {
    let mut pair = Pair::ready();
    let call = pair.call("m");
    pair.run();
    let stream = pair.ends[SERVER].open_stream(NOW, call, crate::rpc_support::sends()).unwrap();
    pair.run();
    pair.ends[CLIENT].abort(NOW, call).unwrap();
    let abort = pair.ends[CLIENT].poll_transmit().unwrap();
    pair.ends[SERVER].handle_message(NOW, abort.into_bytes()).unwrap();
    pair.seen = [Vec::new(), Vec::new()];
    for end in [CLIENT, SERVER] {
        assert_eq!(pair.ends[end].handle_closed(NOW), Ok(()));
        pair.step(end);
        let failed = Action::StreamFailed { stream, error: portline::stream::Error::Cancelled };
        let ended = match end {
            CLIENT => Action::Returned { call, result: Err(CallError::Aborted) },
            _ => Action::Aborted { call },
        };
        let mut seen = pair.seen(end);
        assert_eq!(seen.pop(), Some(Action::Finished));
        seen.sort_by_key(|action| matches!(action, Action::StreamFailed { .. }));
        assert_eq!(seen, [ended, failed]);
    }
}
