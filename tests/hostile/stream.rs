//! Peers that break a stream's rules, stall, or flood it: this stream ends with an error that names what they did, the
//! peer is told in the same words, and nothing grows past its cap.

use std::iter::from_fn;
use std::time::Duration;

use bytes::Bytes;
use portline::frame::{self, FrameType, Reason};
use portline::stream::window::WindowError;
use portline::stream::{Action, Config, Direction, Endpoint, Error, Limits, Role, Shape, State};
use portline::{Blame, Instant};

const NOW: Instant = Instant::ZERO;

const CREDIT: u8 = 4;

fn endpoint(shape: Shape, limits: Limits) -> Endpoint {
    let mut end = Endpoint::new(Config { shape, limits }, NOW).unwrap();
    end.open(NOW);
    end.attach(NOW);
    assert_eq!(end.poll_action(), Some(Action::Opened));
    end
}

fn small(direction: Direction) -> Endpoint {
    let limits = Limits { max_block: 8, max_idle_frames: 5, ..Limits::default() };
    endpoint(Shape { window: 4, ..Shape::items(direction) }, limits)
}

fn frame(kind: u8, id: u32, payload: &[u8]) -> Bytes {
    [&[kind][..], &id.to_be_bytes(), payload].concat().into()
}

fn grant(consumed: u32, grant: u32) -> Bytes {
    frame(CREDIT, consumed, &grant.to_be_bytes())
}

fn sent(end: &mut Endpoint) -> Vec<Bytes> {
    from_fn(|| end.poll_transmit()).map(portline::Transmit::into_bytes).collect()
}

fn actions(end: &mut Endpoint) -> Vec<Action> {
    from_fn(|| end.poll_action()).collect()
}

/// What a broken rule leads to: the call's error, ERROR with the same words, END, one terminal action, and the same
/// error for what follows.
fn breaks(mut end: Endpoint, last: Bytes, error: &Error) {
    assert_eq!(end.handle_message(NOW, last), Err(error.clone()));
    let frames = sent(&mut end);
    assert_eq!(frames.len(), 2, "{error}");
    assert_eq!((frames[0][0], &frames[0][5..]), (3, &Reason::encode(&error.to_string())[..]));
    assert_eq!((frames[1][0], frames[1].len()), (2, 5));
    let failed = Action::Failed(error.clone());
    assert_eq!((actions(&mut end), end.state()), (vec![failed], State::Closed));
    assert!(error.is_violation());
    assert_eq!(error.blame(), Blame::Peer);
    assert_eq!(end.handle_message(NOW, frame(0, 0, b"x")), Err(error.clone()));
    assert_eq!((sent(&mut end), actions(&mut end)), (vec![], vec![]));
}

/// STREAM-17, STREAM-3, STREAM-4, STREAM-5, STREAM-24: what a sender of data can do wrong (T2).
#[test]
fn t2_a_receiver_names_what_the_sender_of_data_does_wrong() {
    let receiver = |frames: &[Bytes]| {
        let mut end = small(Direction::Receive);
        for message in frames {
            end.handle_message(NOW, message.clone()).unwrap();
        }
        end
    };
    let block = |id| frame(0, id, b"x");
    let full = [block(0), block(1), block(2), block(3)];
    breaks(receiver(&full), block(4), &Error::Exceeded { block: 4, size: 1, granted: 0 });
    breaks(receiver(&[]), block(1), &Error::OutOfOrder { expected: 0, found: 1 });
    breaks(receiver(&full[..2]), block(1), &Error::OutOfOrder { expected: 2, found: 1 });
    breaks(receiver(&[frame(6, 0, b"x")]), block(1), &Error::AfterLast { block: 1 });
    breaks(receiver(&[frame(6, 0, b"")]), frame(6, 0, b""), &Error::AfterLast { block: 0 });
    breaks(receiver(&[]), frame(6, 7, b""), &Error::OutOfOrder { expected: 0, found: 7 });
    breaks(receiver(&full[..1]), frame(2, 0, b""), &Error::Miscounted { announced: 0, received: 1 });
    breaks(receiver(&[]), frame(0, 0, b"123456789"), &Error::TooLarge { length: 9, limit: 8 });
    breaks(receiver(&[]), grant(0, 1), &Error::WrongDirection { kind: FrameType::Credit });
    breaks(receiver(&[]), frame(1, 0, b"\x01"), &Error::UnknownType { kind: FrameType::Ack });
    breaks(receiver(&[]), frame(9, 0, b""), &Error::UnknownType { kind: FrameType::Reserved(9) });
    breaks(receiver(&[]), Bytes::from_static(b"\0\0"), &Error::Frame(frame::Error::Short { length: 2 }));
    breaks(receiver(&[]), frame(5, 1, b""), &Error::Miscredited { consumed: 1, before: 0, sent: 0 });

    let bytes = endpoint(Shape::bytes(Direction::Receive, 100), Limits::default());
    breaks(bytes, frame(0, 0, &[7; 101]), &Error::Exceeded { block: 0, size: 101, granted: 100 });
}

/// STREAM-8, STREAM-17: what a receiver of data can do wrong (T1).
#[test]
fn t1_a_sender_names_what_the_giver_of_credit_does_wrong() {
    let sender = |blocks: usize| {
        let mut end = small(Direction::Send);
        for _ in 0..blocks {
            end.write(NOW, Bytes::from_static(b"x")).unwrap();
        }
        assert_eq!(sent(&mut end).len(), blocks);
        end
    };
    let overflow = |credit, grant| Error::Grant(WindowError::Overflow { credit, grant, window: 4 });
    breaks(sender(0), grant(0, 1), &overflow(4, 1));
    breaks(sender(2), grant(2, 3), &overflow(2, 3));
    breaks(sender(4), grant(0, u32::MAX), &overflow(0, u32::MAX));
    breaks(sender(1), grant(1, 0), &Error::Grant(WindowError::Zero));
    breaks(sender(1), grant(2, 1), &Error::Miscredited { consumed: 2, before: 0, sent: 1 });
    breaks(sender(1), frame(CREDIT, 1, b"\0\0\x01"), &Error::MalformedCredit { length: 3 });
    breaks(sender(1), frame(CREDIT, 1, b"\0\0\0\x01\0"), &Error::MalformedCredit { length: 5 });
    breaks(sender(0), frame(0, 0, b"x"), &Error::WrongDirection { kind: FrameType::Data });
    breaks(sender(0), frame(2, 0, b""), &Error::WrongDirection { kind: FrameType::End });
    let mut end = sender(3);
    end.handle_message(NOW, grant(2, 1)).unwrap();
    breaks(end, grant(1, 1), &Error::Miscredited { consumed: 1, before: 2, sent: 3 });
}

/// STREAM-14, STREAM-17: END from the wrong side, and too early.
#[test]
fn stream_14_end_comes_from_the_responder_when_both_are_done() {
    let wrong = Error::WrongDirection { kind: FrameType::End };
    breaks(small(Direction::Both(Role::Responder)), frame(2, 0, b""), &wrong);
    breaks(small(Direction::Both(Role::Caller)), frame(2, 0, b""), &Error::EarlyEnd);
}

/// STREAM-1, STREAM-17: a frame before the stream is open.
#[test]
fn stream_1_a_frame_before_the_channel_is_refused() {
    let error = Error::NotOpen { kind: FrameType::Data };
    let mut end = Endpoint::new(Config::new(Shape::items(Direction::Receive)), NOW).unwrap();
    assert_eq!(end.handle_message(NOW, frame(0, 0, b"x")), Err(error.clone()));
    assert_eq!((actions(&mut end), end.has_ended()), (vec![Action::Failed(error.clone())], true));
    let mut end = Endpoint::new(Config::new(Shape::items(Direction::Receive)), NOW).unwrap();
    end.open(NOW);
    assert_eq!(end.handle_message(NOW, frame(0, 0, b"x")), Err(error.clone()));
    assert_eq!((sent(&mut end), actions(&mut end)), (vec![], vec![]));
    end.attach(NOW);
    assert_eq!(sent(&mut end).len(), 2);
    assert_eq!(actions(&mut end), [Action::Failed(error)]);
}

/// STREAM-18: after the peer's END every frame is an error and changes nothing.
#[test]
fn stream_18_nothing_follows_the_end() {
    let mut end = small(Direction::Receive);
    end.handle_message(NOW, frame(0, 0, b"x")).unwrap();
    end.handle_message(NOW, frame(2, 1, b"")).unwrap();
    let after = |kind| Err(Error::AfterEnd { kind });
    assert_eq!(end.handle_message(NOW, frame(0, 1, b"y")), after(FrameType::Data));
    assert_eq!(end.handle_message(NOW, frame(2, 1, b"")), after(FrameType::End));
    let data = Action::Data(Bytes::from_static(b"x"));
    assert_eq!(actions(&mut end), [data, Action::PeerDone, Action::Finished]);
    assert_eq!(end.handle_message(NOW, frame(3, 1, b"")), after(FrameType::Error));
    assert_eq!((sent(&mut end), actions(&mut end)), (vec![], vec![]));
}

/// STREAM-18, STREAM-23: what was under way when we ended is dropped, up to a number (T5).
#[test]
fn t5_frames_after_our_end_are_bounded() {
    let mut end = small(Direction::Receive);
    end.cancel(NOW, None);
    sent(&mut end);
    for id in 0..5 {
        assert_eq!(end.handle_message(NOW, frame(0, id, b"x")), Ok(()));
    }
    assert_eq!(end.handle_message(NOW, frame(0, 5, b"x")), Err(Error::TooManyIdle { limit: 5 }));
    assert_eq!(actions(&mut end), [Action::Failed(Error::Cancelled)]);
}

/// STREAM-18: however many frames follow, the error is that of the peer's own fault (T5).
#[test]
fn t5_an_error_stays_whatever_comes_after_it() {
    let mut end = small(Direction::Receive);
    let fault = end.handle_message(NOW, frame(0, 7, b"x"));
    assert!(fault.is_err());
    for id in 0..9 {
        assert_eq!(end.handle_message(NOW, frame(0, id, b"x")), fault);
    }
    assert_eq!(end.handle_message(NOW, frame(4, 9, b"\0\0\0\x01")), fault);
}

/// STREAM-23: empty blocks in a row; one that carries something begins anew (T5).
#[test]
fn t5_empty_blocks_in_a_row_are_bounded() {
    let mut end = small(Direction::Receive);
    let mut id = 0;
    let mut give = |end: &mut Endpoint, payload: &[u8]| {
        end.handle_message(NOW, frame(0, id, payload))?;
        id += 1;
        assert!(matches!(end.poll_action(), Some(Action::Data(_))));
        end.consume(NOW);
        sent(end);
        Ok(())
    };
    for payload in [&b""[..], b"", b"", b"", b"x", b"", b"", b"", b"", b""] {
        give(&mut end, payload).unwrap();
    }
    assert_eq!(give(&mut end, b""), Err(Error::TooManyIdle { limit: 5 }));
    assert_eq!(actions(&mut end), [], "the peer is told first");
    assert_eq!(sent(&mut end).len(), 2);
    assert_eq!(actions(&mut end), [Action::Failed(Error::TooManyIdle { limit: 5 })]);
}

/// STREAM-24: tiny blocks of a byte stream are joined, and what waits is charged with its overhead (T6).
#[test]
fn t6_tiny_chunks_of_a_stream_are_joined_and_charged() {
    let mut end = endpoint(Shape::bytes(Direction::Receive, 1 << 20), Limits::default());
    for id in 0..100_000_u32 {
        end.handle_message(NOW, frame(0, id, &[id as u8])).unwrap();
    }
    let mut got = Vec::new();
    let mut pieces = 0;
    while let Some(Action::Data(piece)) = end.poll_action() {
        pieces += 1;
        got.extend_from_slice(&piece);
        end.consume(NOW);
    }
    assert!(got.iter().enumerate().all(|(at, byte)| *byte == at as u8) && got.len() == 100_000);
    assert!(pieces <= 100_000 / 8192 + 1, "{pieces}");
    assert_eq!(end.core().window().held(), 0, "joined pieces are consumed as what they were");

    let limits = Limits { receive_bytes: 300, ..Limits::default() };
    let mut end = endpoint(Shape { window: 100, ..Shape::items(Direction::Receive) }, limits);
    let mut id = 0;
    while end.wants_input() {
        end.handle_message(NOW, frame(0, id, b"x")).unwrap();
        id += 1;
    }
    assert_eq!(id, 5, "65 bytes each");
    end.poll_action().unwrap();
    assert!(end.wants_input());
}

/// STREAM-21.
#[test]
fn t11_the_channel_has_to_come_in_time_and_beyond_the_clock_is_never() {
    let mut end = Endpoint::new(Config::new(Shape::items(Direction::Send)), NOW).unwrap();
    assert_eq!(end.poll_timeout(), None);
    end.open(Instant::from_millis(5));
    assert_eq!(end.poll_timeout(), Some(Instant::from_millis(30_005)));
    end.handle_timeout(Instant::from_micros(30_004_999));
    assert_eq!(end.state(), State::Opening);
    end.handle_timeout(Instant::from_millis(30_005));
    assert_eq!((actions(&mut end), end.has_ended()), (vec![Action::Failed(Error::OpenTimeout)], true));
    // T11: a time that leaves the clock's range is never.
    let limits = Limits { open_timeout: Duration::MAX, stall_timeout: Duration::MAX, ..Limits::default() };
    let mut end = Endpoint::new(Config { shape: Shape::items(Direction::Send), limits }, NOW).unwrap();
    end.open(Instant::from_micros(u64::MAX));
    assert_eq!(end.poll_timeout(), None);
}

fn waiting(blocks: usize) -> Endpoint {
    let mut end = small(Direction::Send);
    for _ in 0..blocks {
        end.write(NOW, Bytes::from_static(b"x")).unwrap();
    }
    sent(&mut end);
    end
}

const fn secs(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

/// STREAM-22: a peer that never grants (T4).
#[test]
fn t4_a_peer_that_never_grants_stalls() {
    let mut end = waiting(4);
    assert_eq!(end.poll_timeout(), None, "nothing waits");
    end.write(secs(10), Bytes::from_static(b"x")).unwrap();
    assert_eq!(end.poll_timeout(), Some(secs(70)));
    end.handle_timeout(Instant::from_micros(69_999_999));
    assert_eq!(end.state(), State::Active);
    end.handle_timeout(secs(70));
    let frames = sent(&mut end);
    assert_eq!(frames[0], frame(3, 4, b"\"the peer stalled at block 4\""));
    assert_eq!(actions(&mut end), [Action::Failed(Error::Stalled { block: 4 })]);
}

/// STREAM-22: a peer that grants a unit now and then stalls as well; one that grants half the mark does not (T4).
#[test]
fn t4_a_peer_that_trickles_stalls() {
    let mut end = waiting(20);
    assert_eq!(end.poll_timeout(), Some(secs(60)));
    end.handle_message(secs(40), grant(1, 1)).unwrap();
    assert_eq!(end.poll_timeout(), None, "there is credit: the transport's turn");
    assert_eq!(sent(&mut end).len(), 1);
    assert_eq!(end.poll_timeout(), Some(secs(60)), "one unit is no pace");
    end.handle_message(secs(59), grant(2, 1)).unwrap();
    assert_eq!(sent(&mut end).len(), 1);
    assert_eq!(end.poll_timeout(), Some(secs(119)), "half the mark was granted");
    end.handle_message(secs(118), grant(3, 1)).unwrap();
    assert_eq!(sent(&mut end).len(), 1);
    end.handle_timeout(secs(119));
    sent(&mut end);
    assert_eq!(actions(&mut end), [Action::Failed(Error::Stalled { block: 7 })]);
}

/// STREAM-22: a transport without room is not the peer's stall.
#[test]
fn stream_22_time_with_credit_does_not_count() {
    let mut end = waiting(20);
    end.handle_message(secs(40), grant(1, 1)).unwrap();
    end.handle_timeout(secs(1000)); // too early: it only tells the time
    assert_eq!(sent(&mut end).len(), 1);
    assert_eq!(end.poll_timeout(), Some(secs(1020)), "20 of 60 seconds are left");
}

/// STREAM-22: an END that is due and does not come, after LAST and after ERROR.
#[test]
fn t4_an_end_that_does_not_come_stalls() {
    let mut end = small(Direction::Receive);
    end.handle_message(secs(5), frame(6, 0, b"x")).unwrap();
    assert_eq!(end.poll_timeout(), Some(secs(65)));
    end.handle_timeout(secs(65));
    assert_eq!(sent(&mut end).len(), 2);
    assert_eq!(actions(&mut end), [Action::Failed(Error::Stalled { block: 0 })]);

    let mut end = small(Direction::Receive);
    end.handle_message(secs(5), frame(3, 0, b"\"no\"")).unwrap();
    assert_eq!((end.poll_timeout(), end.has_ended()), (Some(secs(65)), false));
    end.handle_timeout(secs(65));
    let error = Error::Remote { block: 0, reason: Reason::Text("no".to_owned()) };
    assert_eq!((actions(&mut end), sent(&mut end)), (vec![Action::Failed(error)], vec![]));
}

/// STREAM-15: an ERROR or CANCEL with anything but a JSON string keeps the bytes.
#[test]
fn stream_15_an_error_without_words_is_an_error() {
    for payload in [&b""[..], b"null", b"{\"a\":1}", b"\xff"] {
        let mut end = small(Direction::Both(Role::Caller));
        end.handle_message(NOW, frame(3, 9, payload)).unwrap();
        end.handle_message(NOW, frame(2, 0, b"")).unwrap();
        let error = Error::Remote { block: 9, reason: Reason::Raw(Bytes::copy_from_slice(payload)) };
        assert_eq!(actions(&mut end), [Action::Failed(error)]);
    }
}

/// STREAM-9, T3: in every window, for every way of consuming, credit that is free comes back in time: who has consumed
/// everything leaves the sender room for whatever may be sent at all.
#[test]
fn t3_credit_and_data_imply_progress() {
    for window in 1..=40_u32 {
        for portion in 1..=window {
            let shape = Shape { window, ..Shape::items(Direction::Send) };
            let (mut up, mut down) =
                (endpoint(shape, Limits::default()), endpoint(shape.reversed(), Limits::default()));
            let (mut written, mut consumed, mut in_hand) = (0, 0, 0);
            while consumed < 5 * window {
                while up.can_write() {
                    up.write(NOW, Bytes::from_static(b"x")).unwrap();
                    written += 1;
                }
                for message in sent(&mut up) {
                    down.handle_message(NOW, message).unwrap();
                }
                in_hand += actions(&mut down).len() as u32;
                let before = consumed;
                // Not before a whole portion is there: the sender has to be let so far.
                while in_hand >= portion || (in_hand > 0 && consumed % portion != 0) {
                    down.consume(NOW);
                    (in_hand, consumed) = (in_hand - 1, consumed + 1);
                    if consumed % portion == 0 {
                        break;
                    }
                }
                assert!(
                    consumed > before,
                    "stranded at {consumed} of {written}: window {window}, {portion} at a time"
                );
                for message in sent(&mut down) {
                    up.handle_message(NOW, message).unwrap();
                }
                let (credit, receiver) = (up.core().credit().available(), down.core().window());
                assert!(receiver.held() + receiver.freed() + credit <= window, "no credit out of nothing");
            }
        }
    }
}

/// STREAM-19, T13: whenever the channel closes, an end has one terminal action.
#[test]
fn t13_a_stream_that_is_closed_after_any_message_has_one_end() {
    for after in 0..20 {
        let both = Shape { window: 4, ..Shape::items(Direction::Both(Role::Caller)) };
        let mut ends = [endpoint(both, Limits::default()), endpoint(both.reversed(), Limits::default())];
        let (mut left, mut over) = (after, [0, 0]);
        for end in &mut ends {
            (0..3).for_each(|_| end.write(NOW, Bytes::from_static(b"x")).unwrap());
            end.finish(NOW);
        }
        for _ in 0..20 {
            for at in [0, 1] {
                for message in sent(&mut ends[at]) {
                    if left > 0 {
                        left -= 1;
                        ends[1 - at].handle_message(NOW, message).unwrap();
                    }
                }
                for action in actions(&mut ends[1 - at]) {
                    match action {
                        Action::Data(_) => ends[1 - at].consume(NOW),
                        Action::Finished | Action::Failed(_) => over[1 - at] += 1,
                        _ => {}
                    }
                }
            }
        }
        for at in [0, 1] {
            ends[at].handle_closed(NOW).ok();
            ends[at].handle_closed(NOW).ok();
            let terminal = |action: &Action| matches!(action, Action::Finished | Action::Failed(_));
            over[at] += actions(&mut ends[at]).iter().filter(|action| terminal(action)).count();
        }
        assert_eq!(over, [1, 1], "closed after {after} messages");
    }
}
