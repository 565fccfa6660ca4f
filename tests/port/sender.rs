//! The sender and its rules: window, answers, timeouts, verbs, the next stream.

use std::time::Duration;

use crate::common::gather;
use bytes::Bytes;
use portline::port::sender::Action;
use portline::port::{Config, ConfigError, Duplex, Error, Receiver, Sender, WriteError};
use portline::{Blame, Instant, Transmit};

const NOW: Instant = Instant::ZERO;

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn sender(window: u32) -> Sender {
    Sender::new(Config { window, ..Config::default() }, NOW).unwrap()
}

fn ack(id: u8, payload: &[u8]) -> Bytes {
    Bytes::from([&[1, 0, 0, 0, id], payload].concat())
}

fn said(sender: &mut Sender) -> Vec<Bytes> {
    std::iter::from_fn(|| sender.poll_transmit()).map(Transmit::into_bytes).collect()
}

fn data(ids: std::ops::Range<u8>) -> Vec<Bytes> {
    ids.map(|id| Bytes::from(vec![0, 0, 0, 0, id, id])).collect()
}

fn write(sender: &mut Sender, ids: std::ops::Range<u8>) {
    for id in ids {
        sender.write(NOW, Bytes::from(vec![id])).unwrap();
    }
}

fn error_frame(id: u8, text: &str) -> Bytes {
    Bytes::from([&[3, 0, 0, 0, id], format!("\"{text}\"").as_bytes()].concat())
}

#[test]
fn port_2_the_window_moves_past_the_oldest_unanswered_block() {
    let mut sender = sender(3);
    write(&mut sender, 0..6);
    assert_eq!(said(&mut sender), data(0..3));
    // Answers in any order: 1 and 2 free nothing while 0 has none.
    sender.handle_message(NOW, ack(2, &[1])).unwrap();
    sender.handle_message(NOW, ack(1, &[1])).unwrap();
    assert_eq!(said(&mut sender), data(0..0));
    sender.handle_message(NOW, ack(0, &[1])).unwrap();
    assert_eq!(said(&mut sender), data(3..6));
}

#[test]
fn port_3_the_end_waits_for_the_last_answer() {
    let mut sender = sender(2);
    write(&mut sender, 0..2);
    sender.finish(NOW);
    assert_eq!(said(&mut sender), data(0..2));
    sender.handle_message(NOW, ack(0, &[1])).unwrap();
    assert_eq!((said(&mut sender).len(), sender.poll_action(), sender.has_ended()), (0, None, false));
    sender.handle_message(NOW, ack(1, &[1])).unwrap();
    assert_eq!(said(&mut sender), [&b"\x02\0\0\0\x02"[..]]);
    assert_eq!((sender.poll_action(), sender.poll_action()), (Some(Action::Finished), None));
}

#[test]
fn port_6_a_configuration_that_cannot_move_is_refused() {
    let good = Config::default;
    for (config, field) in [
        (Config { chunk_size: Some(0), ..good() }, "chunk_size"),
        (Config { window: 0, ..good() }, "window"),
        (Config { max_block: 0, ..good() }, "max_block"),
        (Config { send_bytes: 0, ..good() }, "send_bytes"),
        (Config { receive_blocks: 0, ..good() }, "receive_blocks"),
        (Config { receive_bytes: 0, ..good() }, "receive_bytes"),
        (Config { ack_timeout: Duration::ZERO, ..good() }, "ack_timeout"),
    ] {
        let error = ConfigError::Zero { field };
        assert_eq!(Sender::new(config.clone(), NOW).err(), Some(error));
        assert_eq!(Receiver::new(config.clone(), NOW).err(), Some(error));
        assert_eq!(Duplex::new(config, NOW).err(), Some(error));
    }
    let config = Config { chunk_size: Some(9), max_block: 8, ..good() };
    assert_eq!(
        Sender::new(config, NOW).err(),
        Some(ConfigError::ChunkTooLarge { chunk_size: 9, max_block: 8 })
    );
    assert!(Sender::new(Config { chunk_size: Some(8), max_block: 8, ..good() }, NOW).is_ok());
}

#[test]
fn port_7_only_01_takes_a_block_and_what_follows_it_is_ignored() {
    for (payload, taken) in [
        (&[1][..], true),
        (&[1, 0, 7], true),
        (&[0], false),
        (&[2], false),
        (&[0, 1], false),
        (&[], false),
        (b"\x31", false),
    ] {
        let mut sender = sender(1);
        write(&mut sender, 0..1);
        sender.finish(NOW);
        said(&mut sender);
        sender.handle_message(NOW, ack(0, payload)).unwrap();
        let (message, action) = if taken {
            (Bytes::from_static(b"\x02\0\0\0\x01"), Action::Finished)
        } else {
            (error_frame(1, "Receiver closed the stream"), Action::Failed(Error::Refused { block: 0 }))
        };
        assert_eq!((said(&mut sender), sender.poll_action()), (vec![message], Some(action)), "{payload:?}");
    }
}

/// T5: a flood of ACKs ends the port.
#[test]
fn port_8_repeated_answers_are_counted() {
    let mut sender = Sender::new(Config { max_ignored: 5, ..Config::default() }, NOW).unwrap();
    write(&mut sender, 0..2);
    said(&mut sender);
    sender.handle_message(NOW, ack(0, &[1])).unwrap();
    said(&mut sender);
    for _ in 0..5 {
        // Not even a refusal counts when it is stale.
        sender.handle_message(NOW, ack(0, &[0])).unwrap();
    }
    let error = Error::TooManyIgnored { limit: 5 };
    for _ in 0..2 {
        assert_eq!(sender.handle_message(NOW, ack(0, &[1])), Err(error.clone()));
    }
    assert_eq!(error.blame(), Blame::Peer);
    assert_eq!((sender.poll_action(), sender.poll_action()), (Some(Action::Failed(error)), None));
    assert!(!sender.wants_input());
}

#[test]
fn port_9_the_deadline_is_exact_and_begins_anew_with_each_answer() {
    let mut sender = sender(2);
    assert_eq!(sender.poll_timeout(), None);
    sender.write(at(5), Bytes::from_static(&[0])).unwrap();
    sender.write(at(5), Bytes::from_static(&[1])).unwrap();
    // Nothing is on its way, so nothing is late.
    assert_eq!(sender.poll_timeout(), None);
    assert_eq!(said(&mut sender), data(0..2));
    assert_eq!(sender.poll_timeout(), Some(at(30_005)));
    sender.handle_message(at(20_000), ack(0, &[1])).unwrap();
    assert_eq!(sender.poll_timeout(), Some(at(50_000)));
    sender.handle_timeout(Instant::from_micros(49_999_999));
    assert_eq!((sender.poll_action(), said(&mut sender).len()), (None, 0));
    sender.handle_timeout(at(50_000));
    let error = Error::AckTimeout { block: 1 };
    assert_eq!(error.blame(), Blame::Transport);
    assert_eq!(sender.poll_action(), Some(Action::Failed(error)));
    assert_eq!(said(&mut sender), [error_frame(2, "ACK timeout for block 1")]);
    // A late answer changes nothing.
    assert_eq!(sender.handle_message(at(50_001), ack(1, &[1])), Ok(()));
    assert_eq!((sender.poll_action(), sender.poll_timeout(), said(&mut sender).len()), (None, None, 0));
}

/// T11: a timeout beyond the clock is no timeout.
#[test]
fn port_9_a_timeout_that_leaves_the_clock_is_for_ever() {
    let config = Config { ack_timeout: Duration::MAX, ..Config::default() };
    let mut sender = Sender::new(config, NOW).unwrap();
    write(&mut sender, 0..1);
    said(&mut sender);
    assert_eq!(sender.poll_timeout(), None);
    sender.handle_timeout(Instant::from_micros(u64::MAX));
    assert_eq!(sender.poll_action(), None);
}

#[test]
fn port_9_a_block_waits_from_when_it_was_polled() {
    let mut sender = sender(1);
    write(&mut sender, 0..1);
    // The transport was stuck; telling the time is what keeps the block from being late at once.
    sender.handle_timeout(at(40_000));
    assert_eq!(said(&mut sender), data(0..1));
    assert_eq!(sender.poll_timeout(), Some(at(70_000)));
}

#[test]
fn port_10_the_producer_fails_the_stream_in_its_own_words() {
    let mut sender = sender(2);
    write(&mut sender, 0..5);
    assert_eq!(said(&mut sender), data(0..2));
    sender.fail(NOW, "disk \"gone\"");
    sender.fail(NOW, "again");
    assert_eq!(said(&mut sender), [error_frame(2, "disk \\\"gone\\\"")]);
    assert_eq!((sender.poll_action(), sender.poll_action()), (Some(Action::Failed(Error::Aborted)), None));
    // What waited is not what the next stream begins with.
    sender.begin(NOW);
    for id in 0..2 {
        sender.handle_message(NOW, ack(id, &[1])).unwrap();
    }
    sender.finish(NOW);
    assert_eq!(said(&mut sender), [&b"\x02\0\0\0\0"[..]]);
}

/// PORT-11: a chunk that is larger than `send_bytes` has to fill all the same, or nobody could ever write again.
#[test]
fn port_11_a_chunk_that_is_not_full_stops_nobody() {
    let config = Config { chunk_size: Some(100), send_bytes: 10, ..Config::default() };
    let mut sender = Sender::new(config, NOW).unwrap();
    for _ in 0..9 {
        sender.write(NOW, Bytes::from_static(b"eleven byte")).unwrap();
        assert!(sender.can_write() && said(&mut sender).is_empty());
    }
    sender.write(NOW, Bytes::from_static(b"eleven byte")).unwrap();
    assert!(!sender.can_write(), "now a block waits");
    assert_eq!(sender.write(NOW, Bytes::from_static(b"x")), Err(WriteError::Full { limit: 10 }));
    assert_eq!(said(&mut sender)[0].len(), 105);
    assert!(sender.can_write(), "it is on its way, and ten bytes are no block");
}

#[test]
fn port_11_write_refuses_what_it_cannot_take() {
    let config = Config { send_bytes: 114, max_block: 50, ..Config::default() };
    let mut sender = Sender::new(config.clone(), NOW).unwrap();
    let block = Bytes::from(vec![0; 50]);
    let large = sender.write(NOW, Bytes::from(vec![0; 51]));
    assert_eq!(large, Err(WriteError::TooLarge { length: 51, limit: 50 }));
    sender.write(NOW, block.clone()).unwrap();
    assert!(!sender.can_write(), "50 bytes and their overhead are 114");
    assert_eq!(sender.write(NOW, block.clone()), Err(WriteError::Full { limit: 114 }));
    assert!(sender.poll_transmit().is_some() && sender.can_write());
    sender.finish(NOW);
    assert_eq!((sender.write(NOW, block.clone()), sender.can_write()), (Err(WriteError::Over), false));
    // With a chunk size a large write is split instead.
    let mut splitting = Sender::new(Config { chunk_size: Some(20), ..config }, NOW).unwrap();
    splitting.write(NOW, Bytes::from(vec![0; 90])).unwrap();
    assert_eq!(splitting.poll_transmit().unwrap().payload().len(), 20);
}

#[test]
fn port_12_the_next_stream_starts_at_0_again() {
    let mut sender = sender(1);
    sender.begin(NOW);
    sender.finish(NOW);
    assert_eq!(sender.write(NOW, Bytes::new()), Err(WriteError::Over));
    sender.begin(NOW);
    write(&mut sender, 0..1);
    assert_eq!(gather(|| sender.poll_transmit()), &b"\x02\0\0\0\0\0\0\0\0\0\0"[..]);
    assert_eq!((sender.poll_action(), sender.poll_action()), (Some(Action::Finished), None));
}

#[test]
fn port_12_late_answers_to_a_failed_stream_do_not_count_for_the_next() {
    let refused = || {
        let mut sender = sender(3);
        write(&mut sender, 0..3);
        said(&mut sender);
        sender.handle_message(NOW, ack(0, &[0])).unwrap();
        assert_eq!(said(&mut sender), [error_frame(3, "Receiver closed the stream")]);
        sender.begin(at(10));
        write(&mut sender, 0..1);
        sender.finish(NOW);
        assert_eq!((said(&mut sender).len(), sender.poll_timeout()), (0, Some(at(30_010))));
        sender
    };
    let mut answered = refused();
    answered.handle_message(at(11), ack(1, &[0])).unwrap();
    assert_eq!(said(&mut answered).len(), 0);
    answered.handle_message(at(11), ack(2, &[0])).unwrap();
    assert_eq!(said(&mut answered), data(0..1));
    answered.handle_message(at(12), ack(0, &[1])).unwrap();
    assert_eq!(said(&mut answered), [&b"\x02\0\0\0\x01"[..]]);
    // A peer that never answers them does not hold the next stream for ever.
    let mut silent = refused();
    silent.handle_timeout(at(30_009));
    assert_eq!(said(&mut silent).len(), 0);
    silent.handle_timeout(at(30_010));
    assert_eq!(said(&mut silent), data(0..1));
}

#[test]
fn port_14_a_flush_ends_a_turn_and_not_the_stream() {
    let mut sender =
        Sender::new(Config { chunk_size: Some(4), window: 9, ..Config::default() }, NOW).unwrap();
    let block = Bytes::from(vec![1, 2, 3]);
    sender.write(NOW, block.clone()).unwrap();
    assert_eq!(said(&mut sender).len(), 0);
    sender.flush(NOW);
    sender.flush(NOW);
    let turn = sender.poll_transmit().unwrap();
    assert_eq!((turn.payload().as_ptr(), turn.payload().len()), (block.as_ptr(), 3));
    sender.write(NOW, Bytes::from(vec![4; 9])).unwrap();
    sender.finish(NOW);
    let lengths: Vec<_> = said(&mut sender).iter().map(|m| m.len() - 5).collect();
    assert_eq!(lengths, [4, 4, 1]);
}

#[test]
fn port_25_closing_fails_a_stream_that_is_not_complete() {
    let mut open = sender(1);
    write(&mut open, 0..1);
    assert_eq!(open.handle_closed(NOW), Err(Error::Closed));
    assert_eq!(open.handle_closed(NOW), Err(Error::Closed));
    assert_eq!((open.poll_action(), open.poll_action()), (Some(Action::Failed(Error::Closed)), None));
    assert_eq!((said(&mut open).len(), open.poll_timeout(), open.wants_input()), (0, None, false));
    // There is no next stream on a port that is gone.
    open.begin(NOW);
    assert_eq!(open.write(NOW, Bytes::new()), Err(WriteError::Over));
    let mut done = sender(1);
    done.finish(NOW);
    assert_eq!(done.handle_closed(NOW), Ok(()));
    assert_eq!((done.poll_action(), done.poll_action()), (Some(Action::Finished), None));
}
