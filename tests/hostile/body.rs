//! Bodies: what a peer can do to an upload or a download. Multipart bodies (T19) have tests of their own.

use bytes::Bytes;
use portline::body::over::{Error, port, stream};
use portline::body::queue::Pushed;
use portline::body::{download, upload};
use portline::stream::Error as StreamError;
use portline::{Blame, Transmit};

use crate::NOW;

const MARK: usize = 65536;

fn frame(kind: u8, id: u32, payload: &[u8]) -> Bytes {
    [&[kind][..], &id.to_be_bytes(), payload].concat().into()
}

fn downloads() -> stream::Download {
    let mut download = stream::Download::new(stream::Config::default(), NOW).unwrap();
    download.open(NOW);
    download.attach(NOW);
    download
}

/// The whole window in blocks of a byte: they are joined, and the first byte past it is the peer's fault.
#[test]
fn t6_a_window_of_tiny_blocks_costs_no_more_than_the_mark() {
    let mut download = downloads();
    for id in 0..MARK as u32 {
        download.handle_message(NOW, frame(0, id, b"x")).unwrap();
        if id % 1000 == 0 {
            assert_eq!(download.poll_action(), None); // it carries what it can to the consumer's side
            assert!(download.held() <= MARK);
        }
    }
    assert_eq!(download.held(), MARK);
    let past = download.handle_message(NOW, frame(0, MARK as u32, b"x"));
    let error = StreamError::Exceeded { block: MARK as u32, size: 1, granted: 0 };
    assert_eq!(past, Err(Error::Stream(error.clone())));
    assert_eq!(error.blame(), Blame::Peer);
    // The fault drops what had not been carried over; the rest is delivered, and then the one end, once it was told.
    while download.poll_transmit().is_some() {}
    let (mut got, mut chunks) = (0, 0);
    loop {
        download.pull(NOW).unwrap();
        match download.poll_action().unwrap() {
            download::Action::Chunk(chunk) => (got, chunks) = (got + chunk.len(), chunks + 1),
            download::Action::Failed(Error::Stream(failed)) => break assert_eq!(failed, error),
            other => panic!("{other:?}"),
        }
    }
    assert!(got > 0 && chunks <= 16, "{chunks} chunks for {got} bytes");
}

/// A peer that sends as if everything was acknowledged: reading stops, and what it had sent is all there is.
#[test]
fn t6_a_port_peer_that_waits_for_no_answer_is_not_read() {
    for length in [1, 100, 16384] {
        let mut download = port::Download::new(port::Config::default(), NOW).unwrap();
        let (mut blocks, block) = (0, vec![7; length]);
        while download.wants_input() {
            download.handle_message(NOW, frame(0, blocks, &block)).unwrap();
            blocks += 1;
        }
        let held = blocks as usize * length;
        assert!(held <= MARK && blocks <= 1000, "{blocks} blocks of {length}");
        download.pull(NOW).unwrap();
        assert!(matches!(download.poll_action(), Some(download::Action::Chunk(_))));
        assert_eq!(download.poll_transmit().unwrap().into_bytes(), frame(1, 0, &[1]));
        assert!(download.wants_input(), "a pull makes room");
    }
}

#[test]
fn t2_a_block_above_the_mark_is_refused_before_it_is_kept() {
    let mut download = downloads();
    assert!(download.handle_message(NOW, frame(0, 0, &vec![7; MARK + 1])).is_err());
    assert_eq!(download.held(), 0);
    let mut download = port::Download::new(port::Config::default(), NOW).unwrap();
    assert!(download.handle_message(NOW, frame(0, 0, &vec![7; 16385])).is_err());
    assert!(matches!(download.poll_action(), Some(download::Action::Failed(_))));
}

/// Empty blocks never reach the consumer without bound: the stream counts them.
#[test]
fn t5_a_flood_of_empty_blocks_ends_the_body() {
    let mut download = downloads();
    let ends = (0..10_000).position(|id| download.handle_message(NOW, frame(0, id, b"")).is_err());
    assert!(ends.is_some_and(|at| at <= 4097), "{ends:?}");
    assert!(download.held() <= MARK);
}

type Ends = (Vec<Result<(), Error>>, Vec<Result<(), Error>>, usize);

/// A body of 100 000 bytes between two ends whose link is cut after so many messages; whether it was.
macro_rules! cut {
    ($up:expr, $down:expr, $after:expr) => {{
        let (mut up, mut down, mut left) = ($up, $down, $after);
        let mut ends: Ends = (Vec::new(), Vec::new(), 0);
        let mut chunk = Some(Bytes::from(vec![7; 100_000]));
        let mut pass = |message: Option<Transmit>| {
            let message = message.filter(|_| left > 0)?;
            left -= 1;
            Some(message.into_bytes())
        };
        for _ in 0..1000 {
            if let Some(some) = chunk.take_if(|_| up.can_push()) {
                match up.push(NOW, some).unwrap() {
                    Pushed::All => up.close(NOW),
                    Pushed::Part { rest } => chunk = Some(rest),
                }
            }
            while let Some(message) = pass(up.poll_transmit()) {
                down.handle_message(NOW, message).unwrap();
            }
            down.pull(NOW).ok();
            while let Some(message) = pass(down.poll_transmit()) {
                up.handle_message(NOW, message).unwrap();
            }
            collect(&mut ends, || up.poll_action(), || down.poll_action());
        }
        let cut = left == 0;
        up.handle_closed(NOW).ok();
        down.handle_closed(NOW).ok();
        for _ in 0..1000 {
            down.pull(NOW).ok();
            collect(&mut ends, || up.poll_action(), || down.poll_action());
        }
        assert!(up.has_ended() && down.has_ended());
        (ends, cut)
    }};
}

fn collect(
    ends: &mut Ends,
    mut up: impl FnMut() -> Option<upload::Action<Error>>,
    mut down: impl FnMut() -> Option<download::Action<Error>>,
) {
    while let Some(action) = up() {
        match action {
            upload::Action::Writable => {}
            upload::Action::Finished => ends.0.push(Ok(())),
            upload::Action::Failed(error) => ends.0.push(Err(error)),
        }
    }
    while let Some(action) = down() {
        match action {
            download::Action::Chunk(chunk) => ends.2 += chunk.len(),
            download::Action::Done => ends.1.push(Ok(())),
            download::Action::Failed(error) | download::Action::Cancelled(error) => ends.1.push(Err(error)),
        }
    }
}

#[test]
fn t13_a_body_that_is_cut_at_any_message_has_one_end_on_each_side() {
    for after in 0.. {
        let mut up = stream::Upload::new(stream::Config::default(), NOW).unwrap();
        up.open(NOW);
        up.attach(NOW);
        let (ends, cut) = cut!(up, downloads(), after);
        check(&ends, after);
        if !cut {
            assert_eq!((&ends.0[0], &ends.1[0], ends.2), (&Ok(()), &Ok(()), 100_000));
            break;
        }
    }
    for after in 0.. {
        let up = port::Upload::new(port::Config::default(), NOW).unwrap();
        let down = port::Download::new(port::Config::default(), NOW).unwrap();
        let (ends, cut) = cut!(up, down, after);
        check(&ends, after);
        if !cut {
            assert_eq!((&ends.0[0], &ends.1[0], ends.2), (&Ok(()), &Ok(()), 100_000));
            break;
        }
    }
}

fn check((up, down, got): &Ends, after: usize) {
    assert_eq!((up.len(), down.len()), (1, 1), "cut after {after}");
    if down[0].is_ok() {
        assert_eq!(*got, 100_000, "done means everything");
    }
}
