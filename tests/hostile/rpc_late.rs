//! What was under way when a stream or a call ended: free as far as an honest peer could have sent it, and no further.

use portline::frame::FrameType;
use portline::rpc::{Action, Budget, Error, Link};
use portline::stream::{self, Direction, Shape};

use super::rpc::{call, client, frame, open, sent_on, server};
use crate::rpc_support::{NOW, actions, bytes, control, sends};

/// Frames that were on their way when this side ended a stream are nobody's fault: as many as its window.
#[test]
fn rpc_21_what_crosses_with_the_end_of_a_stream_is_not_held_against_the_peer() {
    // A window as large as may be is not too large.
    let mut link = client(1, |config| (config.ignored, config.max_items) = (Budget::new(1, 1000), 16));
    link.handle_message(NOW, open(1, 2, sends())).unwrap();
    link.channel_attached(NOW, 2);
    link.cancel_stream(NOW, 2, None);
    assert_eq!(sent_on(&mut link, 2), ["CANCEL 0", "END 0"]);
    actions(&mut link);
    for block in 0..16 {
        link.handle_channel_message(NOW, 2, frame(FrameType::Data, block, b"x")).unwrap();
    }
    for kind in [FrameType::Last, FrameType::Error, FrameType::End] {
        link.handle_channel_message(NOW, 2, frame(kind, 16, b"")).unwrap();
    }
    link.handle_channel_message(NOW, 2, frame(FrameType::Data, 0, b"")).unwrap();
    let more = link.handle_channel_message(NOW, 2, frame(FrameType::Data, 0, b""));
    assert_eq!(more, Err(Error::TooManyIgnored { limit: 1 }));
}

/// RPC-21: the sender of END cannot know which grants are still on their way; they are nobody's fault either.
#[test]
fn rpc_21_grants_for_a_stream_that_went_well_may_come_late() {
    let mut link = server(|config| config.ignored = Budget::new(0, 1000));
    call(&mut link, 1);
    let stream = link.open_stream(NOW, 1, sends()).unwrap();
    control(&mut link);
    link.channel_attached(NOW, stream);
    for _ in 0..16 {
        link.write(NOW, stream, bytes("x")).unwrap();
    }
    link.finish(NOW, stream);
    assert_eq!(sent_on(&mut link, stream).len(), 17);
    assert!(actions(&mut link).contains(&Action::StreamFinished { stream }));
    for consumed in 1..=16 {
        link.handle_channel_message(NOW, stream, frame(FrameType::Credit, consumed, &[0, 0, 0, 1])).unwrap();
    }
    // It may also have cancelled meanwhile.
    link.handle_channel_message(NOW, stream, frame(FrameType::Cancel, 16, b"")).unwrap();
    link.handle_channel_message(NOW, stream, frame(FrameType::End, 0, b"")).unwrap();
    let more = link.handle_channel_message(NOW, stream, frame(FrameType::Credit, 16, &[0, 0, 0, 1]));
    assert_eq!(more, Err(Error::TooManyIgnored { limit: 0 }));
}

/// RPC-21: both ways, blocks and grants; and nothing once the peer has ended the stream itself.
#[test]
fn rpc_21_both_ways_blocks_and_grants_may_come_late() {
    for ended in [false, true] {
        let mut link = server(|config| config.ignored = Budget::new(0, 1000));
        call(&mut link, 1);
        let both = Shape { window: 4, ..Shape::items(Direction::Both(stream::Role::Responder)) };
        let stream = link.open_stream(NOW, 1, both).unwrap();
        control(&mut link);
        link.channel_attached(NOW, stream);
        for _ in 0..3 {
            link.write(NOW, stream, bytes("x")).unwrap();
        }
        sent_on(&mut link, stream);
        if ended {
            link.handle_channel_message(NOW, stream, frame(FrameType::Cancel, 0, b"")).unwrap();
            link.handle_channel_message(NOW, stream, frame(FrameType::End, 0, b"")).unwrap();
        } else {
            link.cancel_stream(NOW, stream, None);
            assert_eq!(sent_on(&mut link, stream).len(), 2);
        }
        actions(&mut link);
        let mut late = 0;
        while link.handle_channel_message(NOW, stream, frame(FrameType::Data, late, b"x")).is_ok() {
            late += 1;
        }
        // Four blocks and their mark, three grants, an ERROR and END.
        assert_eq!(late, if ended { 0 } else { 4 + 1 + 3 + 2 });
    }
}

/// How many messages for channels that are not open cost nothing.
fn free(link: &mut Link) -> u32 {
    let mut free = 0;
    while link.handle_channel_message(NOW, 2, frame(FrameType::Data, 0, b"x")).is_ok() {
        free += 1;
    }
    free
}

/// RPC-22, T5: what crosses with an ABORT is as much as an honest peer could have sent, and no more.
#[test]
fn rpc_21_opens_that_cross_with_an_abort_are_free_up_to_the_streams_of_a_call() {
    let aborted = || {
        let mut link = client(1, |config| {
            (config.max_call_streams, config.ignored) = (3, Budget::new(1, 1000));
        });
        link.abort(NOW, 1).unwrap();
        link
    };
    let mut link = aborted();
    for stream in [2, 4, 6, 8] {
        link.handle_message(NOW, open(1, stream, sends())).unwrap();
    }
    let fifth = link.handle_message(NOW, open(1, 10, sends()));
    assert_eq!(fifth, Err(Error::TooManyIgnored { limit: 1 }), "the fourth was counted already");
    // A block for each unit and their mark, an ERROR or CANCEL, and END: of three streams. One is in the budget.
    let mut link = aborted();
    for stream in [2, 4, 6] {
        link.handle_message(NOW, open(1, stream, sends())).unwrap();
    }
    assert_eq!(free(&mut link), 3 * (16 + 3) + 1);
    // A window that nobody would have accepted gives nothing, and is counted.
    let mut link = aborted();
    link.handle_message(NOW, open(1, 2, Shape { window: u32::MAX, ..sends() })).unwrap();
    assert_eq!(free(&mut link), 0);
}

/// RPC-20: what the peer sent on a stream before it heard that it was one too many is nobody's fault.
#[test]
fn rpc_21_frames_of_a_stream_that_was_one_too_many_are_not_held_against_the_peer() {
    for (window, late) in [(16, 16 + 3), (1025, 0)] {
        let mut link = client(1, |config| {
            (config.max_call_streams, config.ignored) = (0, Budget::new(0, 1000));
        });
        link.handle_message(NOW, open(1, 2, Shape { window, ..sends() })).unwrap();
        assert_eq!(control(&mut link).len(), 1, "the ABORT");
        assert_eq!(free(&mut link), late);
    }
}
