//! The seed's sequence diagrams, frame for frame, and streams of calls in the three shapes.

use crate::rpc_support::{CLIENT, NOW, Pair, SERVER, bytes, linked, sends};
use bytes::Bytes;
use portline::Instant;
use portline::frame::Reason;
use portline::rpc::{Action, Answer, CallError, Fallback, Misuse, Role};
use portline::stream::{self, Direction, Shape, Sizing};

pub(super) fn items(direction: Direction) -> Shape {
    Shape::items(direction)
}

pub(super) fn both() -> Shape {
    items(Direction::Both(stream::Role::Responder))
}

pub(super) fn value(text: &str) -> Result<Answer, CallError> {
    Ok(Answer { value: bytes(text), items: Vec::new() })
}

pub(super) fn remote(text: &str) -> Result<Answer, CallError> {
    Err(CallError::Remote(Reason::Text(text.to_owned())))
}

pub(super) fn data(stream: u32, text: &str) -> Action {
    Action::Data { stream, data: bytes(text) }
}

/// The diagram "Unidirectional Streaming (Server → Client)". RPC-16, RPC-18.
#[test]
fn rpc_18_a_stream_from_the_server_to_the_client() {
    let mut pair = Pair::ready();
    let call = pair.call("streamData");
    pair.run();
    assert_eq!(
        pair.seen(SERVER),
        [Action::Called { call, method: bytes("streamData"), arguments: bytes("") }]
    );
    // With sizes of its own a stream gets back at once what was consumed, as in the diagram.
    let shape = Shape { sizing: Sizing::Custom, ..sends() };
    let stream = pair.ends[SERVER].open_stream(NOW, call, shape).unwrap();
    pair.ends[SERVER].write(NOW, stream, bytes("value1")).unwrap();
    pair.run();
    pair.ends[CLIENT].consume(NOW, stream);
    pair.run();
    for item in ["value2", "value3"] {
        pair.ends[SERVER].write(NOW, stream, bytes(item)).unwrap();
    }
    pair.run();
    pair.ends[CLIENT].consume(NOW, stream);
    pair.ends[CLIENT].consume(NOW, stream);
    pair.run();
    pair.ends[SERVER].write(NOW, stream, bytes("finalValue")).unwrap();
    pair.ends[SERVER].finish(NOW, stream);
    // Answered while the stream still runs: the result waits for it.
    pair.ends[SERVER].respond(NOW, call, Ok(bytes("success"))).unwrap();
    pair.run();
    assert_eq!(
        pair.traced(),
        [
            "C CALL 1 \\x00\\nstreamData",
            "S OPEN 1 \\x00\\x00\\x00\\x02\\x00\\x00\\x00\\x00\\x10\\x02",
            "S 2 DATA 0 value1",
            "C 2 CREDIT 1 1",
            "S 2 DATA 1 value2",
            "S 2 DATA 2 value3",
            "C 2 CREDIT 3 2",
            "S 2 LAST 3 finalValue",
            "S 2 END 4",
            "S RESULT 1 \\x00success",
        ]
    );
    assert_eq!(
        pair.seen(CLIENT),
        [
            Action::StreamOpened { stream, call, shape: shape.reversed() },
            data(stream, "value1"),
            data(stream, "value2"),
            data(stream, "value3"),
            data(stream, "finalValue"),
            Action::PeerDone { stream },
            Action::StreamFinished { stream },
            Action::Returned { call, result: value("success") },
        ]
    );
    assert_eq!(
        pair.seen(SERVER),
        [Action::StreamOpened { stream, call, shape }, Action::StreamFinished { stream }]
    );
    assert!(pair.open.iter().all(Vec::is_empty), "the channels were given back");
}

/// The diagram "Bidirectional Streaming".
#[test]
fn rpc_18_a_stream_both_ways() {
    let mut pair = Pair::ready();
    let call = pair.call("echo");
    pair.run();
    let stream = pair.ends[SERVER].open_stream(NOW, call, Shape { window: 2, ..both() }).unwrap();
    pair.run();
    for word in ["Hello", "World"] {
        pair.ends[CLIENT].write(NOW, stream, bytes(word)).unwrap();
        pair.run();
        pair.ends[SERVER].write(NOW, stream, bytes(&format!("Echo: {word}"))).unwrap();
        pair.run();
    }
    for _ in 0..2 {
        pair.ends[CLIENT].consume(NOW, stream);
        pair.ends[SERVER].consume(NOW, stream);
    }
    pair.step(CLIENT);
    pair.run();
    pair.ends[CLIENT].finish(NOW, stream);
    pair.run();
    pair.ends[SERVER].finish(NOW, stream);
    pair.ends[SERVER].respond(NOW, call, Ok(bytes("success"))).unwrap();
    pair.run();
    assert_eq!(
        pair.traced(),
        [
            "C CALL 1 \\x00\\x04echo",
            "S OPEN 1 \\x00\\x00\\x00\\x02\\x02\\x00\\x00\\x00\\x02\\x00",
            "C 2 DATA 0 Hello",
            "S 2 DATA 0 Echo: Hello",
            "C 2 DATA 1 World",
            "S 2 DATA 1 Echo: World",
            "C 2 CREDIT 2 2",
            "S 2 CREDIT 2 2",
            "C 2 LAST 2",
            "S 2 LAST 2",
            "S 2 END 2",
            "S RESULT 1 \\x00success",
        ]
    );
    assert_eq!(pair.seen(CLIENT).last(), Some(&Action::Returned { call, result: value("success") }));
}

/// The diagram "Error Handling in Streams". RPC-19.
#[test]
fn rpc_19_a_stream_that_fails() {
    let mut pair = Pair::ready();
    let call = pair.call("processStream");
    pair.run();
    let stream = pair.ends[SERVER].open_stream(NOW, call, sends()).unwrap();
    pair.ends[SERVER].write(NOW, stream, bytes("data1")).unwrap();
    pair.ends[SERVER].write(NOW, stream, bytes("data2")).unwrap();
    pair.run();
    pair.ends[SERVER].fail_stream(NOW, stream, "Processing failed");
    pair.ends[SERVER].respond(NOW, call, Err("Stream processing failed")).unwrap();
    pair.run();
    assert_eq!(
        pair.traced(),
        [
            "C CALL 1 \\x00\\rprocessStream",
            "S OPEN 1 \\x00\\x00\\x00\\x02\\x00\\x00\\x00\\x00\\x10\\x00",
            "S 2 DATA 0 data1",
            "S 2 DATA 1 data2",
            "S 2 ERROR 2 \\\"Processing failed\\\"",
            "S 2 END 2",
            "S RESULT 1 \\x01\\\"Stream processing failed\\\"",
        ]
    );
    let reason = Reason::Text("Processing failed".to_owned());
    assert_eq!(
        pair.seen(CLIENT),
        [
            Action::StreamOpened { stream, call, shape: sends().reversed() },
            data(stream, "data1"),
            data(stream, "data2"),
            Action::StreamFailed { stream, error: stream::Error::Remote { block: 2, reason } },
            Action::Returned { call, result: remote("Stream processing failed") },
        ]
    );
}

/// The diagram "Cancellation Flow". RPC-13, RPC-17.
#[test]
fn rpc_17_a_call_that_is_cancelled() {
    let mut pair = Pair::ready();
    let call = pair.call("longStream");
    pair.run();
    let stream = pair.ends[SERVER].open_stream(NOW, call, sends()).unwrap();
    pair.ends[SERVER].write(NOW, stream, bytes("data1")).unwrap();
    pair.ends[SERVER].write(NOW, stream, bytes("data2")).unwrap();
    pair.run();
    pair.seen = [Vec::new(), Vec::new()];
    pair.ends[CLIENT].abort(NOW, call).unwrap();
    // Here it is over at once, its streams first.
    let cancelled = Action::StreamFailed { stream, error: stream::Error::Cancelled };
    pair.step(CLIENT);
    assert_eq!(
        pair.seen(CLIENT),
        [cancelled.clone(), Action::Returned { call, result: Err(CallError::Aborted) }]
    );
    pair.run();
    assert_eq!(
        pair.traced(),
        [
            "C CALL 1 \\x00\\nlongStream",
            "S OPEN 1 \\x00\\x00\\x00\\x02\\x00\\x00\\x00\\x00\\x10\\x00",
            "S 2 DATA 0 data1",
            "S 2 DATA 1 data2",
            "C ABORT 1",
            "S 2 CANCEL 0",
            "S 2 END 2",
            "S RESULT 1 \\x01\\\"aborted\\\"",
        ]
    );
    assert_eq!(pair.seen(SERVER)[..], [Action::Aborted { call }, cancelled]);
    assert_eq!(pair.seen(CLIENT), []);
    assert_eq!(pair.ends[SERVER].respond(NOW, call, Ok(bytes(""))), Err(Misuse::NoCall { call }));
    assert_eq!(pair.ends[CLIENT].abort(NOW, call), Err(Misuse::NoCall { call }));
    assert!(pair.open.iter().all(Vec::is_empty) && pair.ends.iter().all(|end| end.open_streams() == 0));
}

#[test]
fn rpc_18_a_stream_from_the_client_to_the_server() {
    let mut pair = Pair::ready();
    let call = pair.call("upload");
    pair.run();
    let stream = pair.ends[SERVER].open_stream(NOW, call, items(Direction::Receive)).unwrap();
    pair.run();
    pair.ends[CLIENT].write(NOW, stream, bytes("one")).unwrap();
    pair.ends[CLIENT].finish(NOW, stream);
    pair.run();
    pair.ends[SERVER].consume(NOW, stream);
    pair.ends[SERVER].respond(NOW, call, Ok(bytes("digest"))).unwrap();
    pair.run();
    assert_eq!(
        pair.traced(),
        [
            "C CALL 1 \\x00\\x06upload",
            "S OPEN 1 \\x00\\x00\\x00\\x02\\x01\\x00\\x00\\x00\\x10\\x00",
            "C 2 LAST 0 one",
            "C 2 END 1",
            "S RESULT 1 \\x00digest",
        ]
    );
}

/// Several streams a call, both sides calling, each side's numbers its own.
#[test]
fn rpc_18_several_streams_a_call_and_calls_in_both_directions() {
    let mut pair = Pair::ready();
    let call = pair.call("many");
    let back = pair.ends[SERVER].call(NOW, bytes("back"), bytes(""), Fallback::None).unwrap();
    pair.run();
    assert_eq!((call, back), (1, 1));
    let streams: Vec<u32> =
        (0..3).map(|_| pair.ends[SERVER].open_stream(NOW, call, sends()).unwrap()).collect();
    let ours: Vec<u32> = (0..2).map(|_| pair.ends[CLIENT].open_stream(NOW, back, sends()).unwrap()).collect();
    assert_eq!((&streams[..], &ours[..]), (&[2, 4, 6][..], &[1, 3][..]));
    pair.run();
    // RPC-19: one fails, the others go on.
    pair.ends[SERVER].fail_stream(NOW, 4, "one of three");
    for stream in [2, 6] {
        pair.ends[SERVER].write(NOW, stream, bytes("still")).unwrap();
        pair.ends[SERVER].finish(NOW, stream);
    }
    ours.iter().for_each(|stream| pair.ends[CLIENT].finish(NOW, *stream));
    pair.ends[SERVER].respond(NOW, call, Ok(bytes("two of three"))).unwrap();
    pair.ends[CLIENT].respond(NOW, back, Ok(bytes("fine"))).unwrap();
    pair.run();
    let seen = pair.seen(CLIENT);
    assert!(seen.contains(&data(2, "still")) && seen.contains(&data(6, "still")));
    assert!(seen.contains(&Action::StreamFinished { stream: 2 }));
    assert!(seen.contains(&Action::Returned { call, result: value("two of three") }));
    assert!(pair.seen(SERVER).contains(&Action::Returned { call: back, result: value("fine") }));
}

/// RPC-18: streams may be opened on a call that is running, on a link that is open, and on no other.
#[test]
fn rpc_18_no_stream_is_opened_on_a_call_that_was_answered_or_a_link_that_is_over() {
    let mut pair = Pair::ready();
    let [answered, running] = ["a", "b"].map(|method| pair.call(method));
    pair.run();
    let server = &mut pair.ends[SERVER];
    server.open_stream(NOW, answered, sends()).unwrap();
    server.respond(NOW, answered, Ok(bytes("waits for the stream"))).unwrap();
    assert_eq!(server.open_stream(NOW, answered, sends()), Err(Misuse::NoCall { call: answered }));
    server.handle_closed(NOW).unwrap_err();
    assert_eq!(server.open_stream(NOW, running, sends()), Err(Misuse::NoCall { call: running }));
}

/// RPC-18: who was called is the responder of a stream both ways, whatever its program says.
#[test]
fn rpc_18_the_side_that_opens_is_the_responder() {
    let mut pair = Pair::ready();
    let call = pair.call("m");
    pair.run();
    let caller = items(Direction::Both(stream::Role::Caller));
    let stream = pair.ends[SERVER].open_stream(NOW, call, caller).unwrap();
    pair.run();
    let opened = [CLIENT, SERVER].map(|end| pair.seen(end).pop());
    let expected = [caller, both()].map(|shape| Some(Action::StreamOpened { stream, call, shape }));
    assert_eq!(opened, expected);
    for end in [CLIENT, SERVER] {
        pair.ends[end].finish(NOW, stream);
    }
    pair.run();
    let finished = [CLIENT, SERVER].map(|end| pair.seen(end).pop());
    assert_eq!(finished, [(); 2].map(|()| Some(Action::StreamFinished { stream })));
}

/// RPC-22: an OPEN on a call of ours that runs no more, or never could have streams, is without effect and counted.
#[test]
fn rpc_22_a_stream_on_a_call_that_has_returned_or_is_a_batch_is_ignored() {
    let calls: [(&str, &[&str]); 2] = [
        // Its result waits for a stream that is still open.
        ("streaming\nbatch\n", &["\x14\0\0\0\x01\0\0\0\x02\0\0\0\0\x10\0", "\x12\0\0\0\x01\0"]),
        ("batch\n", &[]),
    ];
    for (capabilities, before) in calls {
        let mut client =
            linked(Role::Initiator, |config| config.ignored = portline::rpc::Budget::new(1, 1000));
        client.handle_message(NOW, bytes(&format!("\x10\0\0\0\x01{capabilities}"))).unwrap();
        client.call(NOW, bytes("m"), bytes(""), Fallback::Batch(Vec::new())).unwrap();
        while client.poll_transmit().is_some() {}
        for message in before {
            client.handle_message(NOW, bytes(message)).unwrap();
        }
        while client.poll_action().is_some() {}
        let open = |stream: char| bytes(&format!("\x14\0\0\0\x01\0\0\0{stream}\0\0\0\0\x10\0"));
        client.handle_message(NOW, open('\x04')).unwrap();
        assert_eq!(client.poll_action(), None);
        let second = client.handle_message(NOW, open('\x06'));
        assert_eq!(second, Err(portline::rpc::Error::TooManyIgnored { limit: 1 }));
    }
}

/// RPC-22: what still comes on a stream that its peer has ended is without effect, and no failure.
#[test]
fn rpc_22_messages_after_the_peers_end_are_ignored_and_counted() {
    let mut client = linked(Role::Initiator, |config| {
        config.ignored = portline::rpc::Budget::new(1, 1000);
        config.failures = portline::rpc::Budget::new(0, 1000);
    });
    client.handle_message(NOW, bytes("\x10\0\0\0\x01streaming\n")).unwrap();
    client.call(NOW, bytes("m"), bytes(""), Fallback::None).unwrap();
    while client.poll_transmit().is_some() {}
    client.handle_message(NOW, bytes("\x14\0\0\0\x01\0\0\0\x02\0\0\0\0\x10\0")).unwrap();
    client.handle_channel_message(NOW, 2, bytes("\x02\0\0\0\0")).unwrap();
    let after =
        |client: &mut portline::rpc::Link| client.handle_channel_message(NOW, 2, bytes("\0\0\0\0\0x"));
    assert_eq!(after(&mut client), Ok(()));
    assert_eq!(after(&mut client), Err(portline::rpc::Error::TooManyIgnored { limit: 1 }));
}

/// RPC-13, RPC-17: an abort reaches every stream of its call that is left, whichever have ended before.
#[test]
fn rpc_17_an_abort_ends_all_streams_of_its_call_that_are_left() {
    for ended in 0..4 {
        let mut pair = Pair::ready();
        let call = pair.call("many");
        pair.run();
        let mut streams =
            [(); 4].map(|()| pair.ends[SERVER].open_stream(NOW, call, sends()).unwrap()).to_vec();
        let gone = streams.remove(ended);
        pair.ends[SERVER].finish(NOW, gone);
        pair.run();
        (pair.trace, pair.seen) = (Vec::new(), [Vec::new(), Vec::new()]);
        pair.ends[CLIENT].abort(NOW, call).unwrap();
        pair.run();
        for end in [CLIENT, SERVER] {
            let mut failed: Vec<u32> = Vec::new();
            for action in pair.seen(end) {
                if let Action::StreamFailed { stream, error: stream::Error::Cancelled } = action {
                    failed.push(stream);
                }
            }
            failed.sort_unstable();
            assert_eq!((failed, pair.ends[end].open_streams()), (streams.clone(), 0));
        }
        assert_eq!(pair.traced().last().unwrap(), "S RESULT 1 \\x01\\\"aborted\\\"");
    }
}

/// RPC-16: a result that overtakes its stream waits for it.
#[test]
fn rpc_16_a_result_that_comes_early_is_delivered_after_the_streams() {
    let mut pair = Pair::ready();
    let call = pair.call("numbers");
    pair.run();
    let stream = pair.ends[SERVER].open_stream(NOW, call, sends()).unwrap();
    pair.run();
    pair.ends[SERVER].write(NOW, stream, bytes("1")).unwrap();
    pair.ends[SERVER].finish(NOW, stream);
    let on_the_way: Vec<_> = std::iter::from_fn(|| pair.ends[SERVER].poll_channel_transmit(stream)).collect();
    pair.ends[SERVER].respond(NOW, call, Ok(bytes("ok"))).unwrap();
    pair.seen = [Vec::new(), Vec::new()];
    pair.run();
    assert_eq!(pair.traced().last().unwrap(), "S RESULT 1 \\x00ok");
    assert_eq!(pair.seen(CLIENT), []);
    for message in on_the_way {
        pair.ends[CLIENT].handle_channel_message(NOW, stream, message.into_bytes()).unwrap();
    }
    pair.run();
    assert_eq!(
        pair.seen(CLIENT),
        [
            data(stream, "1"),
            Action::PeerDone { stream },
            Action::StreamFinished { stream },
            Action::Returned { call, result: value("ok") },
        ]
    );
}

/// RPC-16: a stream whose end does not come though the result is there fails, and the result is delivered.
#[test]
fn rpc_16_a_stream_that_does_not_end_with_its_call_fails_in_time() {
    for consumes in [true, false] {
        let mut pair = Pair::ready();
        let call = pair.call("numbers");
        pair.run();
        let stream = pair.ends[SERVER].open_stream(NOW, call, sends()).unwrap();
        pair.ends[SERVER].write(NOW, stream, bytes("1")).unwrap();
        while pair.step(SERVER) {}
        if consumes {
            while pair.step(CLIENT) {}
        }
        // The server's channel could not be attached after all, so it has no way to tell.
        pair.ends[SERVER].channel_failed(NOW, stream);
        pair.ends[SERVER].respond(NOW, call, Err("no channel")).unwrap();
        while pair.step(SERVER) {}
        let deadline = Instant::from_millis(60_000);
        // What waits to be polled may keep a driver from reading on.
        assert_eq!(pair.ends[CLIENT].poll_timeout(), consumes.then_some(deadline));
        while pair.step(CLIENT) {}
        assert!(!pair.seen(CLIENT).iter().any(|action| matches!(action, Action::Returned { .. })));
        assert_eq!(pair.ends[CLIENT].poll_timeout(), Some(deadline), "once everything is delivered");
        pair.ends[CLIENT].handle_timeout(deadline);
        while pair.step(CLIENT) {}
        let error = stream::Error::Stalled { block: 0 };
        let ends =
            [Action::StreamFailed { stream, error }, Action::Returned { call, result: remote("no channel") }];
        assert_eq!(pair.seen(CLIENT), ends);
    }
}

/// RPC-16, T7: the streams of an aborted call do not keep their slots for ever.
#[test]
fn rpc_16_streams_of_an_aborted_call_are_given_up_in_time() {
    let mut pair = Pair::ready();
    let call = pair.call("longStream");
    pair.run();
    let stream = pair.ends[SERVER].open_stream(NOW, call, sends()).unwrap();
    pair.run();
    pair.ends[CLIENT].abort(NOW, call).unwrap();
    let deadline = Instant::from_millis(60_000);
    assert_eq!((pair.ends[CLIENT].open_streams(), pair.ends[CLIENT].poll_timeout()), (1, Some(deadline)));
    // T4: what the peer goes on sending until just before does not put it off, delivered (to nobody) or not.
    for (second, id) in [(30, 0), (59, 1)] {
        let data = [0, 0, 0, 0, id, b'x'];
        let message = Bytes::copy_from_slice(&data);
        let client = &mut pair.ends[CLIENT];
        client.handle_channel_message(Instant::from_millis(second * 1000), stream, message).unwrap();
        if id == 0 {
            while pair.step(CLIENT) {}
        }
    }
    assert_eq!((pair.ends[CLIENT].open_streams(), pair.ends[CLIENT].poll_timeout()), (1, Some(deadline)));
    pair.ends[CLIENT].handle_timeout(deadline);
    while pair.step(CLIENT) {}
    assert_eq!((pair.ends[CLIENT].open_streams(), pair.ends[CLIENT].poll_timeout()), (0, None));
}

/// STREAM-21 in a link: the channel that nobody attaches, and the one that cannot be, fail their stream alone.
#[test]
fn rpc_19_a_channel_that_does_not_come_fails_its_stream_alone() {
    let mut pair = Pair::ready();
    let call = pair.call("many");
    pair.run();
    let server = &mut pair.ends[SERVER];
    let streams = [(); 3].map(|()| server.open_stream(NOW, call, sends()).unwrap());
    let opened = std::iter::from_fn(|| server.poll_transmit()).count();
    assert_eq!(opened, 3);
    server.channel_failed(NOW, streams[0]);
    server.channel_attached(NOW, streams[1]);
    let deadline = Instant::from_millis(30_000);
    assert_eq!(server.poll_timeout(), Some(deadline));
    // A driver that comes late comes as well.
    server.handle_timeout(Instant::from_millis(30_001));
    let failed: Vec<Action> = std::iter::from_fn(|| server.poll_action())
        .filter(|action| matches!(action, Action::StreamFailed { .. } | Action::StreamOpened { .. }))
        .collect();
    let error = |at: usize, error| Action::StreamFailed { stream: streams[at], error };
    assert!(
        failed.contains(&error(0, stream::Error::Closed))
            && failed.contains(&error(2, stream::Error::OpenTimeout))
    );
    let opens =
        |action: &Action| matches!(action, Action::StreamOpened { stream, .. } if *stream == streams[1]);
    assert!(failed.iter().any(opens));
    assert_eq!((failed.len(), server.open_streams(), server.has_ended()), (3, 1, false));
}

/// RPC-18: a stream that is over before its OPEN has left was never there.
#[test]
fn rpc_18_a_stream_that_is_gone_is_not_opened() {
    let mut pair = Pair::ready();
    let call = pair.call("m");
    pair.run();
    let stream = pair.ends[SERVER].open_stream(NOW, call, sends()).unwrap();
    pair.ends[SERVER].channel_closed(NOW, stream);
    pair.ends[SERVER].respond(NOW, call, Err("no channel")).unwrap();
    pair.seen = [Vec::new(), Vec::new()];
    while pair.step(SERVER) {}
    assert_eq!(pair.traced(), ["C CALL 1 \\x00\\x01m", "S RESULT 1 \\x01\\\"no channel\\\""]);
    assert_eq!(pair.seen(SERVER), [Action::StreamFailed { stream, error: stream::Error::Closed }]);
    pair.run();
    assert_eq!(pair.seen(CLIENT), [Action::Returned { call, result: remote("no channel") }]);
}

/// RPC-18: the same when the driver asks for messages before it hears that the stream has failed; and of a channel that
/// nobody was told of there is nothing to close, nor is anything of the peer's under way on it (RPC-21).
#[test]
fn rpc_18_a_stream_that_is_gone_is_not_opened_though_its_failure_was_not_polled() {
    for polls_first in [true, false] {
        let mut server =
            linked(Role::Acceptor, |config| config.ignored = portline::rpc::Budget::new(0, 1000));
        server.handle_message(NOW, bytes("\x10\0\0\0\x01streaming\n")).unwrap();
        while server.poll_transmit().is_some() {}
        server.handle_message(NOW, bytes("\x11\0\0\0\x01\0\x01m")).unwrap();
        while server.poll_action().is_some() {}
        let stream = server.open_stream(NOW, 1, sends()).unwrap();
        let deadline = server.poll_timeout().unwrap();
        server.handle_timeout(deadline);
        if polls_first {
            assert_eq!(server.poll_transmit(), None);
        }
        let error = stream::Error::OpenTimeout;
        assert_eq!(server.poll_action(), Some(Action::StreamFailed { stream, error }));
        assert_eq!((server.poll_action(), server.poll_transmit()), (None, None));
        let late = server.handle_channel_message(NOW, stream, bytes("\x02\0\0\0\0"));
        assert_eq!(late, Err(portline::rpc::Error::TooManyIgnored { limit: 0 }));
    }
}

/// STREAM-6, STREAM-11: sizes by the callers' function, in a link; and when to read on, where each channel has a
/// transport of its own.
#[test]
fn rpc_18_sizes_by_a_function_and_input_by_channel() {
    let sized = |role| {
        linked(role, |config| {
            config.stream.size_of = |block| u32::try_from(block.len()).unwrap();
            config.stream.receive_bytes = 138;
        })
    };
    let mut pair = Pair::of([sized(Role::Initiator), sized(Role::Acceptor)]);
    pair.start();
    let call = pair.call("m");
    pair.run();
    let shape = Shape { window: 10, sizing: Sizing::Custom, ..sends() };
    let stream = pair.ends[SERVER].open_stream(NOW, call, shape).unwrap();
    let large = stream::WriteError::LargerThanWindow { size: 11, window: 10 };
    assert_eq!(pair.ends[SERVER].write(NOW, stream, bytes("eleven byte")), Err(Misuse::Write(large)));
    for item in ["seven b", "five5", "12345"] {
        pair.ends[SERVER].write(NOW, stream, bytes(item)).unwrap();
    }
    pair.run();
    assert_eq!(pair.traced().pop().unwrap(), "S 2 DATA 0 seven b", "3 of 10 are left");
    pair.ends[CLIENT].consume(NOW, stream);
    while pair.step(CLIENT) {}
    let sent: Vec<_> = std::iter::from_fn(|| pair.ends[SERVER].poll_channel_transmit(stream)).collect();
    assert_eq!(sent.len(), 2);
    for (message, wants) in sent.into_iter().zip([true, false]) {
        pair.ends[CLIENT].handle_channel_message(NOW, stream, message.into_bytes()).unwrap();
        assert_eq!(pair.ends[CLIENT].wants_channel_input(stream), wants, "69 bytes each with their overhead");
    }
    while pair.step(CLIENT) {}
    assert!(pair.ends[CLIENT].wants_channel_input(stream) && !pair.ends[CLIENT].wants_channel_input(99));
}
