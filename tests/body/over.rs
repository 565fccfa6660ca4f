//! What the ends of a body say of the streams that they are on, and what a configuration cannot change about these.

use std::time::Duration;

use bytes::Bytes;
use portline::body::over::{Error, port, stream};
use portline::body::queue::Pushed;
use portline::body::{download, upload};
use portline::{Instant, Transmit};

const NOW: Instant = Instant::ZERO;

fn after(duration: Duration) -> Option<Instant> {
    NOW.checked_add(duration)
}

fn sent(transmit: Option<Transmit>) -> Option<Vec<u8>> {
    transmit.map(|transmit| transmit.into_bytes().to_vec())
}

fn streams() -> (stream::Upload, stream::Download) {
    let mut up = stream::Upload::new(stream::Config::default(), NOW).unwrap();
    let mut down = stream::Download::new(stream::Config::default(), NOW).unwrap();
    up.open(NOW);
    down.open(NOW);
    (up, down)
}

fn ports() -> (port::Upload, port::Download) {
    let config = port::Config::default;
    (port::Upload::new(config(), NOW).unwrap(), port::Download::new(config(), NOW).unwrap())
}

/// TRANSFER-7, TRANSFER-10: both ends of a stream whose channel never comes fail when its time is over, and not before.
#[test]
fn transfer_7_the_time_of_the_stream_is_the_time_of_the_body() {
    let (mut up, mut down) = streams();
    let due = after(Duration::from_secs(30));
    assert_eq!((up.poll_timeout(), down.poll_timeout()), (due, due));
    for (now, over) in [(Duration::from_secs(29), false), (Duration::from_secs(30), true)] {
        up.handle_timeout(after(now).unwrap());
        down.handle_timeout(after(now).unwrap());
        assert_eq!(matches!(up.poll_action(), Some(upload::Action::Failed(Error::Stream(_)))), over);
        assert_eq!(matches!(down.poll_action(), Some(download::Action::Failed(Error::Stream(_)))), over);
        assert_eq!((up.has_ended(), down.has_ended()), (over, over));
    }
}

/// TRANSFER-7: on a port it is that of an acknowledgement, from when the block could be sent.
#[test]
fn transfer_7_a_port_without_acknowledgements_fails_the_upload_in_time() {
    let (mut up, _) = ports();
    let pushed = after(Duration::from_secs(5)).unwrap();
    assert_eq!(up.push(pushed, Bytes::from_static(b"x")), Ok(Pushed::All));
    assert_eq!(up.poll_timeout(), None, "nothing was sent");
    assert_eq!(sent(up.poll_transmit()), Some(b"\0\0\0\0\0x".to_vec()));
    let due = after(Duration::from_secs(35)).unwrap();
    assert_eq!(up.poll_timeout(), Some(due));
    up.handle_timeout(due);
    let error = Error::Port(portline::port::Error::AckTimeout { block: 0 });
    assert_eq!(up.poll_action(), Some(upload::Action::Failed(error)));
}

/// TRANSFER-4, TRANSFER-10: neither end is over while the body moves, and neither wants input after its stream.
#[test]
fn transfer_4_both_ends_say_when_they_are_over() {
    let (mut up, mut down) = streams();
    up.attach(NOW);
    down.attach(NOW);
    assert!(up.wants_input() && down.wants_input());
    assert_eq!(up.push(NOW, Bytes::from_static(b"body")), Ok(Pushed::All));
    up.close(NOW);
    down.pull(NOW).unwrap();
    assert!(!up.has_ended() && !down.has_ended());
    while let Some(message) = up.poll_transmit() {
        down.handle_message(NOW, message.into_bytes()).unwrap();
    }
    assert_eq!((up.poll_action(), up.has_ended()), (Some(upload::Action::Finished), true));
    assert!(!up.wants_input());
    let chunk = download::Action::Chunk(Bytes::from_static(b"body"));
    assert_eq!((down.has_ended(), down.poll_action()), (false, Some(chunk)));
    assert_eq!((down.poll_action(), down.has_ended()), (Some(download::Action::Done), true));
    assert!(!down.wants_input());

    let (mut up, _) = ports();
    assert!(up.wants_input() && !up.has_ended());
    up.handle_closed(NOW).unwrap_err();
    assert_eq!(up.poll_action(), Some(upload::Action::Failed(portline::port::Error::Closed.into())));
    assert!(up.has_ended() && !up.wants_input());
}

/// TRANSFER-11: and the producer is told, in the words of the stream.
#[test]
fn transfer_11_a_consumer_that_cancels_cancels_the_stream() {
    let (_, mut down) = streams();
    down.attach(NOW);
    down.cancel(NOW, Some("enough"));
    assert_eq!(sent(down.poll_transmit()), Some(b"\x05\0\0\0\0\"enough\"".to_vec()));
    let (_, mut down) = streams();
    down.attach(NOW);
    down.cancel(NOW, None);
    assert_eq!(sent(down.poll_transmit()), Some(b"\x05\0\0\0\0".to_vec()));

    let (_, mut down) = ports();
    down.handle_message(NOW, Bytes::from_static(b"\0\0\0\0\0x")).unwrap();
    down.cancel(NOW, Some("enough"));
    assert_eq!(sent(down.poll_transmit()), Some(b"\x01\0\0\0\0\0".to_vec()));
    assert!(matches!(down.poll_action(), Some(download::Action::Cancelled(Error::Cancelled { .. }))));
}

/// TRANSFER-10, PORT-21: the port carries one body, whatever its own configuration says; what follows is refused.
#[test]
fn transfer_10_no_second_body_follows_on_a_port() {
    let sequence = portline::port::Config { sequence: true, ..port::Config::default().port };
    let config = port::Config { port: sequence, ..port::Config::default() };
    let mut down = port::Download::new(config, NOW).unwrap();
    down.handle_message(NOW, Bytes::from_static(b"\x02\0\0\0\0")).unwrap();
    assert_eq!(down.poll_action(), Some(download::Action::Done));
    down.handle_message(NOW, Bytes::from_static(b"\0\0\0\0\0x")).unwrap();
    assert_eq!(sent(down.poll_transmit()), Some(b"\x01\0\0\0\0\0".to_vec()));
}

/// TRANSFER-1: what the stream's own configuration says of sizes is of no account.
#[test]
fn transfer_1_a_piece_crosses_whole() {
    let limits = portline::stream::Limits { chunk_size: 2, ..portline::stream::Limits::default() };
    let config = stream::Config { piece: 5, limits, ..stream::Config::default() };
    let mut up = stream::Upload::new(config, NOW).unwrap();
    up.open(NOW);
    up.attach(NOW);
    assert_eq!(up.push(NOW, Bytes::from_static(b"a body")), Ok(Pushed::All));
    let pieces = [sent(up.poll_transmit()), sent(up.poll_transmit())];
    assert_eq!(pieces, [Some(b"\0\0\0\0\0a bod".to_vec()), Some(b"\0\0\0\0\x01y".to_vec())]);

    let port = portline::port::Config { chunk_size: Some(2), window: 4, ..portline::port::Config::default() };
    let config = port::Config { block: 5, port, ..port::Config::default() };
    let mut up = port::Upload::new(config, NOW).unwrap();
    assert_eq!(up.push(NOW, Bytes::from_static(b"a body")), Ok(Pushed::All));
    let pieces = [sent(up.poll_transmit()), sent(up.poll_transmit())];
    assert_eq!(pieces, [Some(b"\0\0\0\0\0a bod".to_vec()), Some(b"\0\0\0\0\x01y".to_vec())]);
}
