//! Every exchange of `spec/vectors/port.json`, byte for byte; where the reference errs, what this crate does.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use portline::frame::Reason;
use portline::port::{Config, Error, Receiver, Sender, Unknown, receiver, sender};
use portline::{Instant, Transmit};

const NOW: Instant = Instant::ZERO;

#[derive(Debug)]
struct Exchange {
    from: String,
    message: Bytes,
}

fn unhex(text: &str) -> Bytes {
    (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap()).collect()
}

fn cases() -> Vec<(String, Vec<Exchange>)> {
    let file: serde_json::Value = serde_json::from_str(include_str!("../../spec/vectors/port.json")).unwrap();
    let cases = file["cases"].as_array().unwrap().iter();
    cases
        .map(|case| {
            let exchange = case["exchange"].as_array().unwrap().iter().map(|message| Exchange {
                from: message["from"].as_str().unwrap().into(),
                message: unhex(message["hex"].as_str().unwrap()),
            });
            (case["name"].as_str().unwrap().into(), exchange.collect())
        })
        .collect()
}

fn case(name: &str) -> Vec<Exchange> {
    cases().into_iter().find(|(n, _)| n == name).map(|(_, exchange)| exchange).expect(name)
}

/// What the application writes in a case that has a sender, how it ends, and the chunk size.
struct Source {
    writes: &'static [&'static [u8]],
    fails: Option<&'static str>,
    chunk_size: Option<usize>,
}

fn source(name: &str) -> Source {
    let (writes, fails, chunk_size): (&'static [&'static [u8]], _, _) = match name {
        "empty stream" => (&[], None, None),
        "one block" | "chunkSize 0 (means none)" | "ACK timeout 50 ms" => (&[&[1, 2, 3]], None, None),
        "10 bytes chunkSize 4" => (&[&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]], None, Some(4)),
        "empty block, no chunking" => (&[&[], &[7]], None, None),
        "sender source error after 1 block" => (&[&[1]], Some("Test sender error"), None),
        "receiver breaks after first block (ackTimeout 60)" => (&[&[1], &[2]], None, None),
        "rejected block: peer answers ACK 0" | "ACK with empty payload" => (&[&[0xaa]], None, None),
        "ACK for unknown id 99" | "duplicate ACK 0 while idle between blocks / for next block" => {
            (&[&[0xaa], &[0xbb]], None, None)
        }
        "short/unknown/other messages at the sender are ignored" => (&[&[0xaa]], None, None),
        other => panic!("no source for {other}"),
    };
    Source { writes, fails, chunk_size }
}

fn sender_for(name: &str, unknown: Unknown) -> Sender {
    let source = source(name);
    let ack_timeout = Duration::from_millis(50);
    let config = Config { chunk_size: source.chunk_size, ack_timeout, unknown, ..Config::default() };
    let mut sender = Sender::new(config, NOW).unwrap();
    for block in source.writes {
        sender.write(NOW, Bytes::from_static(block)).unwrap();
    }
    if source.fails.is_none() {
        sender.finish(NOW);
    }
    sender
}

/// Replays a case against our sender: what it must say is said, everything else is given to it.
fn replay_sender(name: &str, unknown: Unknown) -> (Sender, Result<(), Error>) {
    let mut sender = sender_for(name, unknown);
    let exchange = case(name);
    for (n, Exchange { from, message }) in exchange.iter().enumerate() {
        if from != "sender" {
            if let Err(error) = sender.handle_message(NOW, message.clone()) {
                return (sender, Err(error));
            }
            continue;
        }
        let mut said = sender.poll_transmit();
        if said.is_none() {
            // Only time or the source's failure can make it speak.
            match source(name).fails {
                Some(reason) => sender.fail(NOW, reason),
                None => sender.handle_timeout(sender.poll_timeout().expect("a deadline")),
            }
            said = sender.poll_transmit();
        }
        assert_eq!(said.map(Transmit::into_bytes), Some(message.clone()), "{name}, message {n}");
    }
    assert_eq!(sender.poll_transmit(), None, "{name}");
    (sender, Ok(()))
}

/// PORT-1, PORT-3, PORT-4, PORT-5, PORT-7, PORT-9, PORT-10: exact bytes of the sender.
#[test]
fn the_sender_says_what_the_reference_says() {
    let done = sender::Action::Finished;
    let failed = sender::Action::Failed;
    for (name, action) in [
        ("empty stream", done.clone()),
        ("one block", done.clone()),
        ("10 bytes chunkSize 4", done.clone()),
        ("empty block, no chunking", done.clone()),
        ("chunkSize 0 (means none)", done.clone()),
        ("sender source error after 1 block", failed(Error::Aborted)),
        ("rejected block: peer answers ACK 0", failed(Error::Refused { block: 0 })),
        ("ACK with empty payload", failed(Error::Refused { block: 0 })),
        ("ACK timeout 50 ms", failed(Error::AckTimeout { block: 0 })),
        // The recorded bytes are right for a receiver that goes silent; ours does not (see below).
        ("receiver breaks after first block (ackTimeout 60)", failed(Error::AckTimeout { block: 1 })),
    ] {
        let (mut sender, result) = replay_sender(name, Unknown::Refuse);
        assert_eq!((result, sender.poll_action()), (Ok(()), Some(action)), "{name}");
        assert_eq!((sender.poll_action(), sender.has_ended()), (None, true), "{name}");
    }
}

/// PORT-8: here the reference errs.
#[test]
fn port_8_the_sender_matches_the_ids_of_answers() {
    let (mut sender, result) = replay_sender("ACK for unknown id 99", Unknown::Refuse);
    let error = Error::NeverSent { block: 99, sent: 1 };
    assert_eq!(result, Err(error.clone()));
    assert_eq!(sender.poll_action(), Some(sender::Action::Failed(error.clone())));
    let told = sender.poll_transmit().unwrap().into_bytes();
    assert_eq!(told, [&[3, 0, 0, 0, 1], &Reason::encode(&error.to_string())[..]].concat());

    let name = "duplicate ACK 0 while idle between blocks / for next block";
    let mut sender = sender_for(name, Unknown::Refuse);
    let exchange = case(name);
    for n in [0, 2] {
        assert_eq!(sender.poll_transmit().unwrap().into_bytes(), exchange[n].message);
        sender.handle_message(NOW, exchange[n + 1].message.clone()).unwrap();
    }
    // The duplicate confirmed nothing: only the answer to block 1 does.
    assert_eq!((sender.poll_transmit(), sender.poll_action()), (None, None));
    sender.handle_message(NOW, unhex("010000000101")).unwrap();
    assert_eq!(sender.poll_transmit().unwrap().into_bytes(), exchange[4].message);
}

/// PORT-16, PORT-17.
#[test]
fn port_17_the_sender_ignores_what_is_not_for_it_only_when_told_to() {
    let name = "short/unknown/other messages at the sender are ignored";
    let (mut sender, result) = replay_sender(name, Unknown::Ignore);
    assert_eq!((result, sender.poll_action()), (Ok(()), Some(sender::Action::Finished)));
    for Exchange { message, .. } in case(name).into_iter().filter(|e| e.from == "peer").take(7) {
        let mut sender = sender_for(name, Unknown::Refuse);
        let error = sender.handle_message(NOW, message.clone()).unwrap_err();
        let named = match message.len() {
            0..=4 => matches!(error, Error::Frame(_)),
            _ if message[0] == 9 => matches!(error, Error::UnknownType { .. }),
            _ => matches!(error, Error::Misdirected { .. }),
        };
        assert!(named, "{message:?}: {error:?}");
    }
}

/// Takes every block as soon as it is offered, and says what became of the stream.
fn consume(receiver: &mut Receiver, got: &mut Vec<Bytes>) -> Option<receiver::Action> {
    loop {
        match receiver.poll_action()? {
            receiver::Action::Block(block) => {
                got.push(block);
                receiver.accept(NOW);
            }
            end @ (receiver::Action::End | receiver::Action::Failed(_)) => return Some(end),
        }
    }
}

fn replay_receiver(
    name: &str,
    unknown: Unknown,
) -> (Vec<Bytes>, Option<receiver::Action>, Result<(), Error>) {
    let mut receiver = Receiver::new(Config { unknown, ..Config::default() }, NOW).unwrap();
    let (mut got, mut end, mut result) = (Vec::new(), None, Ok(()));
    let mut said = VecDeque::new();
    for Exchange { from, message } in case(name) {
        if from == "receiver" {
            assert_eq!(said.pop_front(), Some(message), "{name}");
            continue;
        }
        result = result.and(receiver.handle_message(NOW, message));
        end = consume(&mut receiver, &mut got).or(end);
        said.extend(std::iter::from_fn(|| receiver.poll_transmit()).map(Transmit::into_bytes));
    }
    let expected = if name == "receiver: END then DATA later" {
        // The reference drops it silently; ours answers as it does in a burst.
        VecDeque::from([unhex("010000000000")])
    } else {
        VecDeque::new()
    };
    assert_eq!(said, expected, "{name}");
    (got, end, result)
}

/// PORT-15, PORT-18, PORT-21: exact bytes of the receiver.
#[test]
fn the_receiver_answers_what_the_reference_answers() {
    let end = receiver::Action::End;
    let remote = |reason| receiver::Action::Failed(Error::Remote { block: 0, reason });
    let both: &[&[u8]] = &[&[1], &[2]];
    let table: [(&str, &[&[u8]], receiver::Action); 12] = [
        ("empty stream", &[], end.clone()),
        ("one block", &[&[1, 2, 3]], end.clone()),
        ("10 bytes chunkSize 4", &[&[0, 1, 2, 3], &[4, 5, 6, 7], &[8, 9]], end.clone()),
        ("empty block, no chunking", &[&[], &[7]], end.clone()),
        ("chunkSize 0 (means none)", &[&[1, 2, 3]], end.clone()),
        ("receiver: DATA 0, DATA 1, END one at a time", both, end.clone()),
        ("receiver: burst DATA,DATA,END (END with pending data)", both, end.clone()),
        ("receiver: burst END,DATA (data after end)", &[], end.clone()),
        ("receiver: END then DATA later", &[], end.clone()),
        ("receiver: ERROR", &[], remote(Reason::Text("boom".into()))),
        ("receiver: ERROR invalid JSON", &[], remote(Reason::Raw(Bytes::from_static(b"boom")))),
        ("receiver: empty DATA yields empty block", &[&[]], end),
    ];
    for (name, blocks, action) in table {
        let (got, outcome, result) = replay_receiver(name, Unknown::Refuse);
        assert_eq!((result, outcome), (Ok(()), Some(action)), "{name}");
        assert_eq!(got, blocks, "{name}");
    }
    let (got, outcome, _) = replay_receiver("sender source error after 1 block", Unknown::Refuse);
    let reason = Reason::Text("Test sender error".into());
    let failed = receiver::Action::Failed(Error::Remote { block: 1, reason });
    assert_eq!((got, outcome), (vec![Bytes::from_static(&[1])], Some(failed)));
}

/// PORT-16, PORT-17.
#[test]
fn port_17_the_receiver_ignores_what_is_not_for_it_only_when_told_to() {
    for name in [
        "receiver: short messages ignored",
        "receiver: unknown type 4 and 255 ignored",
        "receiver: ACK type ignored",
    ] {
        let (_, end, result) = replay_receiver(name, Unknown::Ignore);
        assert_eq!((result, end), (Ok(()), Some(receiver::Action::End)), "{name}");
        let (_, end, result) = replay_receiver(name, Unknown::Refuse);
        let error = result.unwrap_err();
        assert_eq!(end, Some(receiver::Action::Failed(error)), "{name}");
    }
}

/// PORT-19: here the reference errs.
#[test]
fn port_19_the_receiver_refuses_what_is_out_of_order() {
    let mut receiver = Receiver::new(Config::default(), NOW).unwrap();
    let error = Error::OutOfOrder { expected: 0, found: 5 };
    for Exchange { from, message } in case("receiver: out-of-order / repeated ids accepted") {
        if from == "receiver" {
            let answer = receiver.poll_transmit().unwrap().into_bytes();
            assert_eq!((&answer[..5], &answer[5..]), (&message[..5], &[0][..]));
        } else if message[0] == 0 {
            assert_eq!(receiver.handle_message(NOW, message), Err(error.clone()));
        } else {
            assert_eq!(receiver.handle_message(NOW, message), Ok(()));
        }
    }
    assert_eq!(receiver.poll_action(), Some(receiver::Action::Failed(error)));
    assert_eq!((receiver.poll_action(), receiver.has_ended()), (None, true));
}

/// PORT-20: where the reference receiver goes silent, ours refuses at once.
#[test]
fn port_20_a_consumer_that_stops_is_told_to_the_sender_at_once() {
    let mut receiver = Receiver::new(Config::default(), NOW).unwrap();
    let exchange = case("receiver breaks after first block (ackTimeout 60)");
    receiver.handle_message(NOW, exchange[0].message.clone()).unwrap();
    receiver.poll_action().unwrap();
    receiver.accept(NOW);
    assert_eq!(receiver.poll_transmit().unwrap().into_bytes(), exchange[1].message);
    receiver.handle_message(NOW, exchange[2].message.clone()).unwrap();
    receiver.poll_action().unwrap();
    receiver.cancel(NOW);
    assert_eq!(receiver.poll_transmit().unwrap().into_bytes(), unhex("010000000100"));
}

#[test]
fn every_case_is_replayed() {
    let replayed = include_str!("vectors.rs");
    assert_eq!(cases().len(), 24);
    for (name, _) in cases() {
        assert!(replayed.contains(&format!("\"{name}\"")), "{name}");
    }
}
