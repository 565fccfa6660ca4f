//! The port wing: carrier, port, and pkt-line below Git.

use std::time::Duration;

use bytes::Bytes;
use portline::frame::Reason;
use portline::frame::carrier::{self, Decoder};
use portline::pkt::{self, Reader};

use portline::port::{Config, Duplex, Error, Receiver, Sender, WriteError, duplex, receiver, sender};
use portline::{Blame, Instant, limits};

use super::NOW;

fn frame(kind: u8, id: u32, payload: &[u8]) -> Bytes {
    [&[kind][..], &id.to_be_bytes(), payload].concat().into()
}

/// T1, as far as a port knows it: an answer to what was never sent is no credit.
#[test]
fn t1_acknowledging_blocks_that_were_never_sent_ends_the_stream() {
    for block in [1, 2, u32::MAX] {
        let mut sender = Sender::new(Config::default(), NOW).unwrap();
        sender.write(NOW, Bytes::from_static(b"x")).unwrap();
        assert!(sender.poll_transmit().is_some());
        let error = sender.handle_message(NOW, frame(1, block, &[1])).unwrap_err();
        assert_eq!(error, Error::NeverSent { block, sent: 1 });
        assert_eq!(sender.poll_action(), Some(sender::Action::Failed(error)));
        assert_eq!(sender.poll_action(), None);
    }
}

/// T2: the length is checked before anything is kept.
#[test]
fn t2_a_first_block_above_the_limit_is_refused_before_it_is_kept() {
    let mut receiver = Receiver::new(Config { max_block: 100, ..Config::default() }, NOW).unwrap();
    let error = receiver.handle_message(NOW, frame(0, 0, &[0; 101])).unwrap_err();
    assert_eq!(error, Error::TooLarge { length: 101, limit: 100 });
    assert_eq!(receiver.poll_action(), Some(receiver::Action::Failed(error)));
    assert_eq!(receiver.poll_action(), None);
    // What follows is not kept either, and a flood of it has a budget.
    let error = (1..=limits::IGNORED_MESSAGES + 1).find_map(|at| {
        let result = receiver.handle_message(NOW, frame(0, at, b"x"));
        assert_eq!(receiver.poll_action(), None);
        while receiver.poll_transmit().is_some() {}
        result.err()
    });
    assert!(error.is_some());
}

/// T4: a peer that never answers meets a deadline, and until then the producer is stopped at the cap.
#[test]
fn t4_a_peer_that_never_answers_stops_the_producer_and_then_the_stream() {
    let mut sender = Sender::new(Config { send_bytes: 10_000, ..Config::default() }, NOW).unwrap();
    let mut written = 0;
    while sender.can_write() {
        sender.write(NOW, Bytes::from_static(b"x")).unwrap();
        written += 1;
    }
    // One byte costs its overhead too.
    assert!((10_000 / 100..=10_000 / limits::CHUNK_OVERHEAD + 2).contains(&written), "{written}");
    assert!(matches!(sender.write(NOW, Bytes::from_static(b"x")), Err(WriteError::Full { .. })));
    assert!(sender.poll_transmit().is_some());
    assert_eq!(sender.poll_transmit(), None);
    let due = sender.poll_timeout().unwrap();
    assert_eq!(due, Instant::from_millis(30_000));
    sender.handle_timeout(due);
    let error = Error::AckTimeout { block: 0 };
    assert_eq!(error.blame(), Blame::Transport);
    assert_eq!(sender.poll_action(), Some(sender::Action::Failed(error)));
    assert_eq!(sender.poll_timeout(), None);
}

/// T5: blocks, streams and answers that carry nothing have a budget.
#[test]
fn t5_floods_of_frames_that_carry_nothing_end_the_port() {
    let config = || Config { max_empty: 20, max_ignored: 20, sequence: true, ..Config::default() };
    let flood = |message: &dyn Fn(u32) -> Bytes| {
        let mut port = Duplex::new(config(), NOW).unwrap();
        for at in 0..10_000 {
            if let Err(error) = port.handle_message(NOW, message(at)) {
                return (at, error);
            }
            while let Some(action) = port.poll_action() {
                assert!(matches!(action, duplex::Action::Block(_) | duplex::Action::End));
                port.accept(NOW);
            }
            while port.poll_transmit().is_some() {}
        }
        panic!("a flood without an end");
    };
    assert_eq!(flood(&|at| frame(0, at, b"")), (20, Error::TooManyEmpty { limit: 20 }));
    assert_eq!(flood(&|_| frame(2, 0, b"")), (20, Error::TooManyEmpty { limit: 20 }));
    assert!(matches!(flood(&|_| frame(1, 0, &[1])).1, Error::NeverSent { .. }));
    assert!(matches!(flood(&|_| frame(99, 0, b"")).1, Error::UnknownType { .. }));
}

/// T5: what we owe a peer that does not read is bounded, and input stops there.
#[test]
fn t5_answers_that_nobody_reads_stop_the_input() {
    let mut receiver = Receiver::new(Config { receive_blocks: 8, ..Config::default() }, NOW).unwrap();
    let mut taken = 0;
    while receiver.wants_input() && taken < 10_000 {
        receiver.handle_message(NOW, frame(0, taken, b"x")).unwrap();
        while receiver.poll_action().is_some() {
            receiver.accept(NOW);
        }
        taken += 1;
    }
    assert!(taken <= 64, "{taken} answers wait");
    let error = (0..100).find_map(|at| receiver.handle_message(NOW, frame(0, taken + at, b"x")).err());
    assert!(matches!(error, Some(Error::Overrun { .. })), "{error:?}");
}

/// T6: chunks of one byte are charged for what they cost, and joined where they have to wait.
#[test]
fn t6_tiny_chunks_are_charged_and_joined() {
    let mut decoder = Decoder::new(1 << 20, 1 << 20);
    decoder.handle_bytes(Bytes::from_static(&[0, 16, 0, 0]));
    for _ in 0..100_000 {
        decoder.handle_bytes(Bytes::from_static(b"x"));
    }
    assert_eq!(decoder.next_message(), Ok(None));
    assert!(decoder.buffered() < 101_500 + 100_000 / 8192 * limits::CHUNK_OVERHEAD, "{}", decoder.buffered());
    let mut reader = Reader::new();
    for _ in 0..1000 {
        reader.handle_bytes(Bytes::from_static(b"x"));
    }
    assert!(reader.buffered() >= 999 * (1 + limits::CHUNK_OVERHEAD));
    let mut port = Receiver::new(Config { receive_bytes: 10_000, ..Config::default() }, NOW).unwrap();
    let mut blocks = 0;
    while port.wants_input() {
        port.handle_message(NOW, frame(0, blocks, b"x")).unwrap();
        blocks += 1;
    }
    assert!(blocks as usize <= limits::RECEIVE_BLOCKS + 1, "{blocks} blocks of one byte wait");
}

/// T9: an announced length is refused or waited for; it never allocates.
#[test]
fn t9_an_announced_length_keeps_nothing_but_what_arrived() {
    let mut decoder = Decoder::default();
    decoder.handle_bytes(Bytes::from_static(&[0xff; 4]));
    let error = carrier::Error::TooLong { length: u32::MAX as usize, limit: limits::MESSAGE };
    assert_eq!(decoder.next_message(), Err(error));
    assert_eq!((decoder.buffered(), decoder.wants_input(), decoder.finish()), (0, false, Err(error)));
    let mut decoder = Decoder::default();
    decoder.handle_bytes(Bytes::copy_from_slice(&(limits::MESSAGE as u32).to_be_bytes()));
    assert_eq!(decoder.next_message(), Ok(None));
    assert!(decoder.buffered() <= limits::CHUNK_OVERHEAD);
    assert_eq!((decoder.missing(), decoder.wants_input()), (limits::MESSAGE, true));
    let mut reader = Reader::new();
    reader.handle_bytes(Bytes::from_static(b"fff0"));
    assert_eq!(reader.next_packet(), Ok(None));
    assert_eq!((reader.buffered(), reader.missing()), (4, Ok(pkt::MAX_DATA)));
}

/// T11: a deadline that leaves the clock's range is never, and nothing wraps.
#[test]
fn t11_times_at_the_end_of_the_range_never_wrap() {
    let late = Instant::from_micros(u64::MAX - 1);
    let mut sender = Sender::new(Config { ack_timeout: Duration::MAX, ..Config::default() }, late).unwrap();
    sender.write(late, Bytes::from_static(b"x")).unwrap();
    assert!(sender.poll_transmit().is_some());
    assert_eq!(sender.poll_timeout(), None);
    sender.handle_timeout(Instant::from_micros(u64::MAX));
    assert_eq!(sender.poll_action(), None);
    // A clock that jumps back is "no time has passed".
    sender.handle_message(Instant::ZERO, frame(1, 0, &[1])).unwrap();
    assert!(sender.can_write());
}

/// T12: a peer that keeps sending does not keep us from sending.
#[test]
fn t12_receiving_does_not_starve_sending() {
    let mut port = Duplex::new(Config::default(), NOW).unwrap();
    port.write(NOW, Bytes::from_static(b"ours")).unwrap();
    for at in 0..50 {
        port.handle_message(NOW, frame(0, at, b"theirs")).unwrap();
    }
    while port.poll_action().is_some() {
        port.accept(NOW);
    }
    let kinds: Vec<u8> = std::iter::from_fn(|| port.poll_transmit()).map(|one| one.into_bytes()[0]).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == 0).count(), 1);
    assert!(kinds.iter().position(|kind| *kind == 0).unwrap() <= 1, "our block waits behind {kinds:?}");
}

/// T14: exactly the lengths that are not lengths, in any split; never a loop, never a byte past the end.
#[test]
fn t14_malformed_packet_lengths_are_named_in_any_split() {
    let invalid = |header: &[u8; 4]| pkt::Error::InvalidLength { header: *header };
    let too_long = |length| pkt::Error::TooLong { length, limit: 65520 };
    for (header, error) in [
        (b"0003", invalid(b"0003")),
        (b"00zz", invalid(b"00zz")),
        (b"-001", invalid(b"-001")),
        (b"+004", invalid(b"+004")),
        (b"0x10", invalid(b"0x10")),
        (b"\0\0\0\0", invalid(b"\0\0\0\0")),
        (b"fff1", too_long(0xfff1)),
        (b"FFFF", too_long(0xffff)),
    ] {
        for size in 1..=4 {
            let (mut lines, mut bands) = (Reader::new(), Reader::new());
            for piece in header.chunks(size) {
                assert_eq!((lines.next_packet(), bands.next_fragment()), (Ok(None), Ok(None)));
                lines.handle_bytes(Bytes::copy_from_slice(piece));
                bands.handle_bytes(Bytes::copy_from_slice(piece));
            }
            assert_eq!(lines.next_packet(), Err(error.clone()));
            assert_eq!(bands.next_fragment(), Err(error.clone()));
        }
    }
}

/// T18: the words of an ERROR are kept raw, and no error's text acts on a terminal.
#[test]
fn t18_the_words_of_an_error_frame_are_kept_and_shown_harmless() {
    for payload in [&b"\"\\u001b[2J\\u0007\\u202e oops\""[..], b"\x1b[2J\x07"] {
        let mut receiver = Receiver::new(Config::default(), NOW).unwrap();
        let _ = receiver.handle_message(NOW, frame(3, 0, payload));
        let Some(receiver::Action::Failed(error)) = receiver.poll_action() else { panic!("it goes on") };
        let Error::Remote { block: 0, ref reason } = error else { panic!("{error:?}") };
        match reason {
            Reason::Text(text) => assert_eq!(text, "\x1b[2J\x07\u{202e} oops"),
            Reason::Raw(bytes) => assert_eq!(bytes, payload),
        }
        assert!(!error.to_string().contains(|c: char| c.is_control() || c == '\u{202e}'), "{error}");
    }
}
