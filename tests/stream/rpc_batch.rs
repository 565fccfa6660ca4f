//! Batches: for a peer without streams, and in place of a stream that failed.

use bytes::Bytes;
use portline::rpc::{Action, Answer, CallError, Capabilities, Fallback, Misuse, Role};
use portline::stream;

use super::rpc_streams::{both, remote};
use crate::rpc_support::{CLIENT, NOW, Pair, SERVER, bytes, linked, sends};

/// The program of a server that sends what it got and says how much.
fn serve(pair: &mut Pair, call: u32) -> u32 {
    let stream = pair.ends[SERVER].open_stream(NOW, call, both()).unwrap();
    pair.run();
    for action in pair.seen(SERVER) {
        if let Action::Data { data, .. } = action {
            let echo = [b"echo ", &data[..]].concat();
            pair.ends[SERVER].write(NOW, stream, echo.into()).unwrap();
            pair.ends[SERVER].consume(NOW, stream);
        }
    }
    pair.ends[SERVER].finish(NOW, stream);
    stream
}

/// RPC-24, RPC-25: the same server, for a client that cannot stream.
#[test]
fn rpc_25_a_peer_without_streams_gets_everything_in_one_result() {
    let mut only_batch = Capabilities::default();
    only_batch.insert(b"batch").unwrap();
    let client = linked(Role::Initiator, |config| config.capabilities = only_batch);
    let mut pair = Pair::of([client, crate::rpc_support::link(Role::Acceptor)]);
    pair.start();
    let plain = pair.call("plain");
    let fallback = Fallback::Batch(vec![bytes("a"), bytes("bc")]);
    let call = pair.ends[CLIENT].call(NOW, bytes("echo"), bytes("args"), fallback).unwrap();
    pair.run();
    assert_eq!(pair.ends[SERVER].open_stream(NOW, plain, sends()), Err(Misuse::NoStreaming));
    let called = Action::Called { call, method: bytes("echo"), arguments: bytes("args") };
    assert_eq!(pair.seen[SERVER][1], called);
    serve(&mut pair, call);
    pair.ends[SERVER].respond(NOW, call, Ok(bytes("2"))).unwrap();
    pair.run();
    assert_eq!(
        pair.traced(),
        [
            "C CALL 1 \\x00\\x05plain",
            "C CALL 2 \\x80\\x04echo\\x00\\x00\\x00\\x04args\\x00\\x00\\x00\\x01a\\x00\\x00\\x00\\x02bc",
            "S RESULT 2 \\x00\\x00\\x00\\x00\\x012\\x00\\x00\\x00\\x06echo a\\x00\\x00\\x00\\x07echo bc",
        ]
    );
    let answer = Answer { value: bytes("2"), items: vec![bytes("echo a"), bytes("echo bc")] };
    assert_eq!(pair.seen(CLIENT), [Action::Returned { call, result: Ok(answer) }]);
}

/// RPC-25: a stream that failed is recovered once, by a batch, and not twice.
#[test]
fn rpc_25_a_failed_stream_is_recovered_once() {
    let mut pair = Pair::ready();
    let fallback = Fallback::Batch(vec![bytes("x")]);
    let call = pair.ends[CLIENT].call(NOW, bytes("echo"), bytes(""), fallback).unwrap();
    pair.run();
    let stream = pair.ends[SERVER].open_stream(NOW, call, both()).unwrap();
    pair.run();
    pair.ends[CLIENT].channel_closed(NOW, stream);
    pair.ends[SERVER].channel_closed(NOW, stream);
    pair.ends[SERVER].respond(NOW, call, Err("the stream broke")).unwrap();
    pair.run();
    let again = call + 1;
    let seen = pair.seen(CLIENT);
    assert!(seen.contains(&Action::StreamFailed { stream, error: stream::Error::Closed }));
    assert_eq!(seen.last(), Some(&Action::Retried { call, again }));
    pair.seen[SERVER].clear();
    serve(&mut pair, again);
    pair.ends[SERVER].respond(NOW, again, Err("failed again")).unwrap();
    pair.run();
    assert_eq!(pair.seen(CLIENT), [Action::Returned { call: again, result: remote("failed again") }]);
}

/// RPC-25: who cancels or fails its own stream wants no more of it, and least of all everything once more. A window that
/// this side refuses by itself is a failure like any other.
#[test]
fn rpc_25_a_stream_that_the_caller_has_ended_is_not_recovered() {
    let ends: [fn(&mut Pair, u32); 2] = [
        |pair, stream| pair.ends[CLIENT].cancel_stream(NOW, stream, None),
        |pair, stream| pair.ends[CLIENT].fail_stream(NOW, stream, "no"),
    ];
    for end in ends {
        let mut pair = Pair::ready();
        let call = pair.ends[CLIENT].call(NOW, bytes("m"), bytes(""), Fallback::Batch(Vec::new())).unwrap();
        pair.run();
        let stream = pair.ends[SERVER].open_stream(NOW, call, both()).unwrap();
        pair.run();
        end(&mut pair, stream);
        pair.ends[SERVER].respond(NOW, call, Err("it was cancelled")).unwrap();
        pair.run();
        let returned = Action::Returned { call, result: remote("it was cancelled") };
        assert_eq!(pair.seen(CLIENT).last(), Some(&returned));
    }
    let client = linked(Role::Initiator, |config| config.max_items = 1);
    let mut pair = Pair::of([client, crate::rpc_support::link(Role::Acceptor)]);
    pair.start();
    let call = pair.ends[CLIENT].call(NOW, bytes("m"), bytes(""), Fallback::Batch(Vec::new())).unwrap();
    pair.run();
    pair.ends[SERVER].open_stream(NOW, call, both()).unwrap();
    pair.ends[SERVER].respond(NOW, call, Err("no window")).unwrap();
    pair.run();
    assert_eq!(pair.seen(CLIENT).last(), Some(&Action::Retried { call, again: call + 1 }));
}

/// RPC-12, RPC-25: a call that is made again is not sent yet when that is told, and may be aborted like any other.
#[test]
fn rpc_12_aborting_a_call_that_is_made_again_before_it_is_sent_sends_nothing_but_the_abort() {
    let mut pair = Pair::ready();
    let call = pair.ends[CLIENT].call(NOW, bytes("m"), bytes(""), Fallback::Batch(Vec::new())).unwrap();
    pair.run();
    let stream = pair.ends[SERVER].open_stream(NOW, call, both()).unwrap();
    pair.run();
    for end in [CLIENT, SERVER] {
        pair.ends[end].channel_closed(NOW, stream);
    }
    pair.ends[SERVER].respond(NOW, call, Err("the stream broke")).unwrap();
    while pair.step(SERVER) {}
    (pair.trace, pair.seen) = (Vec::new(), [Vec::new(), Vec::new()]);
    let client = &mut pair.ends[CLIENT];
    let again = loop {
        if let Some(Action::Retried { again, .. }) = client.poll_action() {
            break again;
        }
    };
    client.abort(NOW, again).unwrap();
    pair.run();
    assert_eq!(pair.traced(), ["C ABORT 2"]);
    assert_eq!(pair.seen(CLIENT), [Action::Returned { call: again, result: Err(CallError::Aborted) }]);
}

#[test]
fn rpc_26_a_batch_is_bounded() {
    let client = linked(Role::Initiator, |config| config.capabilities = batch_only());
    let server = linked(Role::Acceptor, |config| config.batch_bytes = 188);
    let mut pair = Pair::of([client, server]);
    pair.start();
    let call = pair.ends[CLIENT].call(NOW, bytes("much"), bytes(""), Fallback::Batch(Vec::new())).unwrap();
    pair.run();
    let stream = pair.ends[SERVER].open_stream(NOW, call, sends()).unwrap();
    let block = Bytes::from(vec![0; 30]);
    for _ in 0..2 {
        pair.ends[SERVER].write(NOW, stream, block.clone()).unwrap();
    }
    assert!(pair.ends[SERVER].can_write(stream));
    // 2 × (30 + 64) bytes.
    assert_eq!(pair.ends[SERVER].write(NOW, stream, block), Err(Misuse::BatchFull { limit: 188 }));
    // One that would have fitted is not taken either, nor lost in silence.
    assert!(!pair.ends[SERVER].can_write(stream));
    assert_eq!(pair.ends[SERVER].write(NOW, stream, bytes("")), Err(Misuse::BatchFull { limit: 188 }));
    pair.ends[SERVER].finish(NOW, stream);
    pair.ends[SERVER].respond(NOW, call, Ok(bytes("done"))).unwrap();
    pair.run();
    assert_eq!(pair.seen(CLIENT), [Action::Returned { call, result: remote("the batch is too large") }]);
}

/// A client that knows only batches, a server whose messages have at most 100 bytes; the call and its stream.
fn small_batch() -> (Pair, u32, u32) {
    let client = linked(Role::Initiator, |config| config.capabilities = batch_only());
    let server = linked(Role::Acceptor, |config| config.max_message = 100);
    let mut pair = Pair::of([client, server]);
    pair.start();
    let call = pair.ends[CLIENT].call(NOW, bytes("m"), bytes(""), Fallback::Batch(Vec::new())).unwrap();
    pair.run();
    let stream = pair.ends[SERVER].open_stream(NOW, call, sends()).unwrap();
    (pair, call, stream)
}

/// RPC-6: no RESULT is longer than a message may be.
#[test]
fn rpc_26_a_batch_that_grows_after_its_answer_is_an_error() {
    // Header, kind, the length of the value and of the item, four bytes of value: 18 besides the item.
    for (length, fits) in [(82, true), (83, false)] {
        let (mut pair, call, stream) = small_batch();
        pair.ends[SERVER].respond(NOW, call, Ok(bytes("done"))).unwrap();
        let item = Bytes::from(vec![b'x'; length]);
        pair.ends[SERVER].write(NOW, stream, item.clone()).unwrap();
        pair.ends[SERVER].finish(NOW, stream);
        pair.run();
        let whole = Ok(Answer { value: bytes("done"), items: vec![item] });
        let result = if fits { whole } else { remote("the batch is too large") };
        assert_eq!(pair.seen(CLIENT), [Action::Returned { call, result }]);
    }
}

/// RPC-26: an error carries no items and is not charged with them.
#[test]
fn rpc_26_an_error_is_not_charged_with_the_batch() {
    let (mut pair, call, stream) = small_batch();
    pair.ends[SERVER].write(NOW, stream, Bytes::from(vec![b'x'; 90])).unwrap();
    let value = pair.ends[SERVER].respond(NOW, call, Ok(bytes("")));
    assert_eq!(value, Err(Misuse::TooLong { length: 104, limit: 100 }));
    assert_eq!(pair.ends[SERVER].respond(NOW, call, Err("no")), Ok(()));
    pair.ends[SERVER].finish(NOW, stream);
    pair.run();
    assert_eq!(pair.seen(CLIENT), [Action::Returned { call, result: remote("no") }]);
}

fn batch_only() -> Capabilities {
    Capabilities::parse(b"batch\n").unwrap()
}

/// RPC-25: without batches on the other side a failed stream is not recovered.
#[test]
fn rpc_25_a_peer_without_batches_cannot_recover_a_stream() {
    let streaming = Capabilities::parse(b"streaming\n").unwrap();
    let server = linked(Role::Acceptor, |config| config.capabilities = streaming);
    let mut pair = Pair::of([crate::rpc_support::link(Role::Initiator), server]);
    pair.start();
    let call = pair.ends[CLIENT].call(NOW, bytes("m"), bytes(""), Fallback::Batch(Vec::new())).unwrap();
    pair.run();
    let stream = pair.ends[SERVER].open_stream(NOW, call, sends()).unwrap();
    pair.run();
    pair.ends[SERVER].fail_stream(NOW, stream, "no");
    pair.ends[SERVER].respond(NOW, call, Err("it broke")).unwrap();
    pair.run();
    assert_eq!(pair.seen(CLIENT).last(), Some(&Action::Returned { call, result: remote("it broke") }));
}
