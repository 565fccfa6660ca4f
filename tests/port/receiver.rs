//! The receiver and its rules: one block in hand, ends in their place, refusals, caps, sequences.

use bytes::Bytes;
use portline::frame::Reason;
use portline::port::receiver::Action;
use portline::port::{Config, Error, Receiver};
use portline::{Blame, Instant, Transmit};

const NOW: Instant = Instant::ZERO;

fn receiver(config: Config) -> Receiver {
    Receiver::new(config, NOW).unwrap()
}

fn sequence() -> Receiver {
    receiver(Config { sequence: true, ..Config::default() })
}

fn message(kind: u8, id: u8, payload: &[u8]) -> Bytes {
    Bytes::from([&[kind, 0, 0, 0, id], payload].concat())
}

fn data(id: u8) -> Bytes {
    message(0, id, &[id])
}

fn block(id: u8) -> Option<Action> {
    Some(Action::Block(Bytes::from(vec![id])))
}

fn failed(error: Error) -> Option<Action> {
    Some(Action::Failed(error))
}

/// The answers waiting: id and payload byte.
fn said(receiver: &mut Receiver) -> Vec<(u8, u8)> {
    let answers = std::iter::from_fn(|| receiver.poll_transmit()).map(Transmit::into_bytes);
    answers
        .map(|ack| {
            assert_eq!((ack.len(), ack[0]), (6, 1));
            (ack[4], ack[5])
        })
        .collect()
}

#[test]
fn port_15_one_block_is_in_hand_at_a_time_and_answers_come_in_order() {
    let mut receiver = receiver(Config::default());
    receiver.accept(NOW);
    for id in 0..3 {
        receiver.handle_message(NOW, data(id)).unwrap();
    }
    for id in 0..3 {
        assert_eq!((receiver.poll_action(), receiver.poll_action()), (block(id), None));
        assert_eq!(said(&mut receiver), []);
        receiver.accept(NOW);
        receiver.accept(NOW);
        assert_eq!(said(&mut receiver), [(id, 1)]);
    }
}

#[test]
fn port_16_what_is_not_known_ends_the_port_and_is_named() {
    for (bytes, words) in [
        (&[0, 0, 0, 0][..], "a message of 4 bytes is shorter than a frame header"),
        (&[9, 0, 0, 0, 0], "messages of type 9 are unknown on a port"),
        (&[200, 0, 0, 0, 0], "messages of type 200 are unknown on a port"),
        (&[1, 0, 0, 0, 0, 1], "a message of type 1 is not for this side"),
    ] {
        let mut receiver = receiver(Config::default());
        receiver.handle_message(NOW, data(0)).unwrap();
        let error = receiver.handle_message(NOW, Bytes::from_static(bytes)).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.blame()), (words, Blame::Peer));
        assert_eq!(receiver.handle_message(NOW, data(1)), Err(error.clone()));
        assert_eq!((receiver.poll_action(), receiver.wants_input()), (block(0), false));
        receiver.accept(NOW);
        assert_eq!((receiver.poll_action(), receiver.poll_action()), (failed(error), None));
    }
}

#[test]
fn port_17_ignored_messages_are_bounded() {
    let unknown = portline::port::Unknown::Ignore;
    let mut receiver = receiver(Config { unknown, max_ignored: 3, ..Config::default() });
    for _ in 0..3 {
        receiver.handle_message(NOW, Bytes::new()).unwrap();
    }
    let error = Error::TooManyIgnored { limit: 3 };
    assert_eq!(receiver.handle_message(NOW, message(77, 0, &[])), Err(error.clone()));
    assert_eq!((receiver.poll_action(), receiver.poll_action()), (failed(error), None));
    // Nor are they ignored any more once the port is over.
    let mut closed = self::receiver(Config { unknown, ..Config::default() });
    closed.handle_closed(NOW).unwrap_err();
    assert_eq!(closed.handle_message(NOW, message(77, 0, &[])), Err(Error::Closed));
}

#[test]
fn port_18_an_end_takes_effect_after_what_came_before_it() {
    let remote = Error::Remote { block: 2, reason: Reason::Text("boom".into()) };
    for (last, action) in
        [(message(2, 2, b"ignored"), Some(Action::End)), (message(3, 2, b"\"boom\""), failed(remote))]
    {
        let mut receiver = receiver(Config::default());
        assert!(!receiver.has_ended(), "its stream is still to come");
        for id in 0..2 {
            receiver.handle_message(NOW, data(id)).unwrap();
        }
        receiver.handle_message(NOW, last).unwrap();
        for id in 0..2 {
            assert_eq!((receiver.poll_action(), receiver.has_ended()), (block(id), false));
            receiver.accept(NOW);
        }
        assert_eq!((receiver.poll_action(), receiver.poll_action()), (action, None));
        assert_eq!((said(&mut receiver), receiver.has_ended()), (vec![(0, 1), (1, 1)], true));
    }
}

#[test]
fn port_19_gaps_repeats_large_blocks_and_wrong_counts_are_refused() {
    let large = message(0, 1, &[0; 9]);
    for (bytes, error) in [
        (data(2), Error::OutOfOrder { expected: 1, found: 2 }),
        (data(0), Error::OutOfOrder { expected: 1, found: 0 }),
        (message(2, 0, &[]), Error::Miscounted { announced: 0, received: 1 }),
        (message(2, 2, &[]), Error::Miscounted { announced: 2, received: 1 }),
        (large, Error::TooLarge { length: 9, limit: 8 }),
    ] {
        let mut receiver = receiver(Config { max_block: 8, ..Config::default() });
        receiver.handle_message(NOW, data(0)).unwrap();
        assert_eq!(receiver.handle_message(NOW, bytes.clone()), Err(error.clone()));
        assert_eq!(said(&mut receiver), [(bytes[4], 0)], "the peer is told");
        // Blocks that follow are refused as well; what had come in order is still delivered.
        receiver.handle_message(NOW, data(3)).ok();
        assert_eq!(said(&mut receiver), [(3, 0)]);
        assert_eq!(receiver.poll_action(), block(0));
        receiver.accept(NOW);
        assert_eq!((receiver.poll_action(), receiver.poll_action()), (failed(error.clone()), None));
        assert!(receiver.has_ended() && error.blame() == Blame::Peer);
    }
}

#[test]
fn port_20_a_consumer_that_stops_refuses_everything_at_once() {
    let mut receiver = receiver(Config::default());
    for id in 0..3 {
        receiver.handle_message(NOW, data(id)).unwrap();
    }
    assert_eq!(receiver.poll_action(), block(0));
    receiver.cancel(NOW);
    receiver.cancel(NOW);
    assert_eq!(said(&mut receiver), [(0, 0), (1, 0), (2, 0)]);
    assert_eq!((receiver.poll_action(), receiver.poll_action()), (failed(Error::Cancelled), None));
    receiver.cancel(NOW);
    receiver.handle_message(NOW, data(3)).unwrap();
    assert_eq!((said(&mut receiver), receiver.poll_action()), (vec![(3, 0)], None));
    receiver.handle_message(NOW, message(3, 4, b"\"Receiver closed the stream\"")).unwrap();
    assert_eq!((receiver.handle_closed(NOW), receiver.poll_action()), (Ok(()), None));
}

#[test]
fn port_20_there_is_nothing_to_stop_when_only_the_end_is_left() {
    let mut receiver = sequence();
    receiver.handle_message(NOW, message(2, 0, &[])).unwrap();
    receiver.handle_message(NOW, data(0)).unwrap();
    receiver.cancel(NOW);
    assert_eq!((receiver.poll_action(), receiver.poll_action()), (Some(Action::End), block(0)));
}

/// T5: refusing is bounded too.
#[test]
fn port_21_blocks_after_the_end_are_refused_and_bounded() {
    let mut receiver = receiver(Config { max_ignored: 2, ..Config::default() });
    receiver.handle_message(NOW, message(2, 0, &[])).unwrap();
    assert_eq!((receiver.poll_action(), receiver.has_ended()), (Some(Action::End), true));
    receiver.handle_message(NOW, data(0)).unwrap();
    receiver.handle_message(NOW, data(1)).unwrap();
    assert_eq!(said(&mut receiver), [(0, 0), (1, 0)]);
    let error = Err(Error::TooManyIgnored { limit: 2 });
    assert_eq!(receiver.handle_message(NOW, data(2)), error);
    assert_eq!(receiver.handle_message(NOW, data(3)), error);
    assert_eq!((receiver.poll_action(), receiver.wants_input()), (None, false));
}

#[test]
fn port_22_streams_follow_each_other_without_a_verb() {
    let mut receiver = sequence();
    let remote = Error::Remote { block: 1, reason: Reason::Text("x".into()) };
    // Three streams and the beginning of a fourth, before the consumer takes anything.
    for bytes in [data(0), message(2, 1, &[]), data(0), message(3, 1, b"\"x\""), message(2, 0, &[]), data(0)]
    {
        receiver.handle_message(NOW, bytes).unwrap();
    }
    for action in [block(0), Some(Action::End), block(0), failed(remote), Some(Action::End), block(0)] {
        assert_eq!(receiver.poll_action(), action);
        receiver.accept(NOW);
    }
    assert_eq!((receiver.poll_action(), said(&mut receiver)), (None, vec![(0, 1); 3]));
}

#[test]
fn port_22_cancelling_one_stream_spares_the_next() {
    let mut receiver = sequence();
    for bytes in [data(0), data(1), message(2, 2, &[]), data(0)] {
        receiver.handle_message(NOW, bytes).unwrap();
    }
    assert_eq!(receiver.poll_action(), block(0));
    receiver.cancel(NOW);
    assert_eq!(said(&mut receiver), [(0, 0), (1, 0)]);
    assert_eq!((receiver.poll_action(), receiver.poll_action()), (failed(Error::Cancelled), block(0)));
    // This one is open on the wire: its blocks are refused until it ends.
    receiver.cancel(NOW);
    receiver.handle_message(NOW, data(1)).unwrap();
    receiver.handle_message(NOW, message(3, 2, b"\"y\"")).unwrap();
    receiver.handle_message(NOW, data(0)).unwrap();
    assert_eq!(said(&mut receiver), [(0, 0), (1, 0)]);
    assert_eq!((receiver.poll_action(), receiver.poll_action()), (failed(Error::Cancelled), block(0)));
    // So does a stream that broke the protocol.
    receiver.accept(NOW);
    receiver.handle_message(NOW, data(7)).unwrap_err();
    receiver.handle_message(NOW, message(2, 9, &[])).unwrap();
    receiver.handle_message(NOW, data(0)).unwrap();
    let error = Error::OutOfOrder { expected: 1, found: 7 };
    assert_eq!((receiver.poll_action(), receiver.poll_action()), (failed(error), block(0)));
}

#[test]
fn port_25_closing_fails_what_is_not_complete_after_what_had_arrived() {
    let mut open = receiver(Config::default());
    open.handle_message(NOW, data(0)).unwrap();
    assert_eq!(open.handle_closed(NOW), Err(Error::Closed));
    assert_eq!((open.poll_action(), open.wants_input()), (block(0), false));
    open.accept(NOW);
    assert_eq!((open.poll_action(), open.poll_action()), (failed(Error::Closed), None));

    let mut complete = receiver(Config::default());
    complete.handle_message(NOW, data(0)).unwrap();
    complete.handle_message(NOW, message(2, 1, &[])).unwrap();
    assert_eq!((complete.handle_closed(NOW), complete.poll_action()), (Ok(()), block(0)));
    complete.accept(NOW);
    assert_eq!((complete.poll_action(), complete.poll_action()), (Some(Action::End), None));
    assert!(complete.has_ended() && !complete.wants_input());

    // Between two streams of a sequence nothing is lost; before the first one it is.
    let mut between = sequence();
    between.handle_message(NOW, message(2, 0, &[])).unwrap();
    assert_eq!((between.handle_closed(NOW), between.poll_action()), (Ok(()), Some(Action::End)));
    assert_eq!((between.poll_action(), between.has_ended()), (None, true));
    let mut before = sequence();
    assert_eq!(
        (before.handle_closed(NOW), before.poll_action()),
        (Err(Error::Closed), failed(Error::Closed))
    );
}

#[test]
fn port_26_at_a_cap_input_stops_and_what_is_given_nevertheless_ends_the_port() {
    let by_count = Config { receive_blocks: 2, ..Config::default() };
    let by_bytes = Config { receive_bytes: 2, ..Config::default() };
    for config in [by_count, by_bytes] {
        let mut receiver = receiver(config.clone());
        receiver.handle_message(NOW, data(0)).unwrap();
        assert!(receiver.wants_input());
        receiver.handle_message(NOW, data(1)).unwrap();
        assert!(!receiver.wants_input());
        // The block in hand does not count: a window of 1 never stops the input.
        assert_eq!((receiver.poll_action(), receiver.wants_input()), (block(0), true));
        receiver.handle_message(NOW, data(2)).unwrap();
        let mut ended = receiver.clone();
        assert_eq!(ended.handle_message(NOW, message(2, 3, &[])), Ok(()), "an end finds room");
        let error = Error::Overrun { limit: config.receive_blocks };
        assert_eq!(receiver.handle_message(NOW, data(3)), Err(error.clone()));
        assert_eq!(error.blame(), Blame::Caller);
    }
}

/// T5, T12: refusals wait for the transport, and stop the input when it takes none.
#[test]
fn port_26_answers_that_the_transport_does_not_take_stop_the_input() {
    let mut receiver = receiver(Config { receive_blocks: 2, ..Config::default() });
    receiver.cancel(NOW);
    for id in 0..16 {
        assert!(receiver.wants_input());
        receiver.handle_message(NOW, data(id)).unwrap();
    }
    assert!(!receiver.wants_input());
    assert_eq!((said(&mut receiver).len(), receiver.wants_input()), (16, true));
}

/// T5: blocks and streams that carry nothing.
#[test]
fn port_27_empty_blocks_and_streams_are_bounded() {
    let config = Config { sequence: true, max_empty: 4, ..Config::default() };
    let mut receiver = receiver(config);
    let empty = message(0, 0, &[]);
    let once = [empty.clone(), message(2, 1, &[]), message(2, 0, &[]), message(3, 0, b"")];
    for bytes in &once {
        receiver.handle_message(NOW, bytes.clone()).unwrap();
    }
    // A byte starts the count anew.
    for bytes in [data(0), message(2, 1, &[])].iter().chain(&once) {
        receiver.handle_message(NOW, bytes.clone()).unwrap();
    }
    receiver.handle_message(NOW, empty.clone()).unwrap();
    assert_eq!(receiver.handle_message(NOW, message(0, 1, &[])), Err(Error::TooManyEmpty { limit: 4 }));
}
