//! Endpoints of a stream that only wait: for END, for their consumer, and what they say of it.

use std::time::Duration;

use bytes::Bytes;
use portline::frame::{Frame, FrameType};
use portline::stream::{Action, Config, Core, Direction, Endpoint, Error, Limits, Role, Shape};
use portline::{Blame, Instant};

use super::endpoint::{NOW, actions, both, data, endpoint, frame, items, sent, write};

const fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

/// STREAM-22: END is due within its time from when it alone is missing, which is not put off by verbs, nor shortened by
/// what was waited for credit before.
#[test]
fn stream_22_the_end_is_due_from_when_both_directions_are_done() {
    let mut caller = endpoint(items(both(Role::Caller), 1));
    caller.handle_message(NOW, frame(6, 0, b"")).unwrap();
    for item in [&b"1"[..], b"2"] {
        write(&mut caller, item);
    }
    caller.finish(NOW);
    assert_eq!(sent(&mut caller), ["DATA 0 1"]);
    assert_eq!(caller.poll_timeout(), Some(at(60)), "for credit");
    caller.handle_message(at(10), frame(4, 1, &[0, 0, 0, 1])).unwrap();
    assert_eq!((caller.poll_timeout(), sent(&mut caller)), (None, vec!["LAST 1 2".to_owned()]));
    assert_eq!(
        (actions(&mut caller), caller.poll_timeout()),
        (vec![Action::PeerDone], Some(at(70))),
        "for END"
    );
    caller.finish(at(40));
    caller.expect_end(at(50));
    assert_eq!(caller.poll_timeout(), Some(at(70)));
    caller.handle_timeout(at(70));
    assert_eq!(sent(&mut caller).last().unwrap(), "END 2");
    assert_eq!(actions(&mut caller), [Action::Failed(Error::Stalled { block: 2 })]);
}

/// STREAM-22: the peer's word on another channel makes END due, once everything is delivered.
#[test]
fn stream_22_an_end_that_was_told_of_is_due_in_time() {
    let mut client = endpoint(Shape::items(Direction::Receive));
    client.handle_message(NOW, frame(0, 0, b"x")).unwrap();
    client.expect_end(at(1));
    assert_eq!(client.poll_timeout(), None, "it is not delivered");
    client.handle_timeout(at(5));
    assert_eq!((actions(&mut client), client.poll_timeout()), (vec![data(b"x")], Some(at(65))));
    client.handle_timeout(at(65));
    assert_eq!(sent(&mut client).last().unwrap(), "END 0");
    assert_eq!(actions(&mut client), [Action::Failed(Error::Stalled { block: 0 })]);
}

/// STREAM-22: then it is no more the time without credit that counts.
#[test]
fn stream_22_a_wait_for_credit_does_not_shorten_that_for_an_end_that_was_told_of() {
    let mut caller = endpoint(items(both(Role::Caller), 1));
    write(&mut caller, b"1");
    write(&mut caller, b"2");
    assert_eq!(sent(&mut caller), ["DATA 0 1"]);
    assert_eq!(caller.poll_timeout(), Some(at(60)));
    caller.expect_end(at(20));
    assert_eq!(caller.poll_timeout(), Some(at(80)));
    caller.expect_end(at(30));
    assert_eq!(caller.poll_timeout(), Some(at(80)));
}

/// STREAM-26: a stream is idle when nothing waits in either direction and what was handed out is consumed.
#[test]
fn stream_26_a_stream_is_idle_when_nothing_waits_or_is_in_hand() {
    let mut end = endpoint(Shape::items(both(Role::Caller)));
    assert!(end.core().is_idle());
    write(&mut end, b"x");
    assert!(!end.core().is_idle(), "it waits for the transport");
    sent(&mut end);
    assert!(end.core().is_idle());
    end.handle_message(NOW, frame(0, 0, b"y")).unwrap();
    assert!(!end.core().is_idle(), "it waits to be polled");
    assert_eq!((actions(&mut end), end.core().is_idle()), (vec![data(b"y")], false));
    end.consume(NOW);
    assert!(end.core().is_idle());
}

/// A frame that was taken apart already is the same as its message.
#[test]
fn stream_3_a_frame_does_what_its_message_does() {
    let limits = Limits::default();
    let shape = Shape::items(Direction::Receive);
    let (mut by_frame, mut by_message) = (Core::attached(shape).unwrap(), Core::attached(shape).unwrap());
    for (kind, number, id, payload) in [
        (FrameType::Data, 0, 0, &b"x"[..]),
        (FrameType::Last, 6, 1, b"y"),
        (FrameType::Data, 0, 2, b"too late"),
    ] {
        let taken = by_frame.handle_frame(&limits, NOW, Frame::new(kind, id, Bytes::from_static(payload)));
        assert_eq!(taken, by_message.handle_message(&limits, NOW, frame(number, id, payload)));
        let action = by_frame.poll_action(NOW);
        assert!(action.is_some() || taken.is_err());
        assert_eq!(action, by_message.poll_action(NOW));
    }
}

/// T13: what the application or the transport ended is not the peer's fault.
#[test]
fn stream_17_each_error_says_whose_fault_it_is() {
    for (error, blame) in [
        (Error::IdsExhausted, Blame::Caller),
        (Error::Cancelled, Blame::Caller),
        (Error::Aborted, Blame::Caller),
        (Error::OpenTimeout, Blame::Transport),
        (Error::Closed, Blame::Transport),
        (Error::Stalled { block: 0 }, Blame::Peer),
        (Error::EarlyEnd, Blame::Peer),
    ] {
        assert_eq!(error.blame(), blame, "{error}");
    }
}

/// STREAM-24: input is wanted while less than the cap waits, each block with its overhead.
#[test]
fn stream_24_no_input_is_wanted_once_the_cap_waits() {
    let limits = Limits { receive_bytes: 130, stall_timeout: Duration::MAX, ..Limits::default() };
    let config = Config { shape: Shape::items(Direction::Receive), limits };
    let mut end = Endpoint::attached(config, NOW).unwrap();
    end.handle_message(NOW, frame(0, 0, b"x")).unwrap();
    assert!(end.wants_input());
    end.handle_message(NOW, frame(0, 1, b"y")).unwrap();
    assert!(!end.wants_input());
    assert_eq!((end.poll_action(), end.wants_input()), (Some(data(b"x")), true));
}
