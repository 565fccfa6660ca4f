//! Uploads and downloads: the steps that they want of any stream, and bodies on the streams of a link of calls.

use bytes::Bytes;
use portline::body::download::{self, Download};
use portline::body::over;
use portline::body::queue::{self, ConfigError, PullError, PushError, Pushed};
use portline::body::upload::{self, Upload};
use portline::rpc::{self, Fallback, Link, Role};
use portline::stream::{Direction, Shape};
use portline::{Instant, limits};

type Up = Upload<&'static str>;
type Down = Download<&'static str>;

fn upload() -> Up {
    let queue = queue::Config { bytes: 100, ..queue::Config::default() };
    Up::new(upload::Config { queue, piece: 10 }).unwrap()
}

fn download() -> Down {
    Down::new(queue::Config { bytes: 100, ..queue::Config::default() }).unwrap()
}

fn chunk(length: usize) -> Bytes {
    Bytes::from(vec![7; length])
}

fn write(length: usize) -> Option<upload::Step<&'static str>> {
    Some(upload::Step::Write(chunk(length)))
}

#[test]
fn transfer_1_2_the_stream_has_one_piece_at_a_time_and_the_queue_is_charged_for_it() {
    let mut upload = upload();
    assert_eq!(upload.push(chunk(120)), Ok(Pushed::Part { rest: chunk(20) }));
    assert!(!upload.is_writing());
    assert_eq!(upload.poll_step(), write(10));
    assert!(upload.is_writing());
    assert_eq!(upload.poll_step(), None, "the stream has not let go");
    assert_eq!((upload.held(), upload.can_push(), upload.poll_action()), (100, false, None));
    upload.written();
    upload.written(); // twice changes nothing
    assert!(!upload.is_writing());
    assert_eq!((upload.held(), upload.poll_action()), (90, Some(upload::Action::Writable)));
    assert_eq!(upload.push(chunk(20)), Ok(Pushed::Part { rest: chunk(10) }));
    assert_eq!(upload.poll_step(), write(10));
    assert_eq!(
        Up::new(upload::Config { piece: 0, ..upload::Config::default() }).map(drop),
        Err(zero("piece"))
    );
}

const fn zero(field: &'static str) -> ConfigError {
    ConfigError::Zero { field }
}

#[test]
fn transfer_3_empty_chunks_do_not_cross() {
    let mut upload = upload();
    for _ in 0..100 {
        for length in [0, 3, 0, 0] {
            assert_eq!(upload.push(chunk(length)), Ok(Pushed::All));
        }
        assert_eq!(upload.poll_step(), write(3));
        upload.written();
        assert_eq!(upload.poll_step(), None);
    }
}

#[test]
fn transfer_4_the_stream_finishes_after_everything() {
    let mut upload = upload();
    assert_eq!(upload.push(chunk(15)), Ok(Pushed::All));
    upload.close();
    assert_eq!(upload.push(chunk(1)), Err(PushError::Closed));
    upload.stream_finished(); // it was not told to
    for length in [10, 5] {
        assert_eq!(upload.poll_step(), write(length));
        assert_eq!(upload.poll_step(), None);
        upload.written();
    }
    assert_eq!(upload.poll_step(), Some(upload::Step::Finish));
    assert_eq!((upload.poll_step(), upload.poll_action(), upload.has_ended()), (None, None, false));
    upload.stream_finished();
    assert!(upload.has_ended());
    assert_eq!(upload.poll_action(), Some(upload::Action::Finished));
    upload.stream_failed("late");
    upload.abort("late");
    assert_eq!((upload.poll_action(), upload.poll_step()), (None, None));
}

#[test]
fn transfer_5_the_stream_fails_after_everything_that_was_pushed_before() {
    let mut upload = upload();
    assert_eq!(upload.push(chunk(5)), Ok(Pushed::All));
    upload.error("broken");
    assert_eq!(upload.poll_step(), write(5));
    assert_eq!(upload.poll_step(), None, "failing now would lose the piece");
    upload.written();
    assert_eq!(upload.poll_step(), Some(upload::Step::Fail("broken")));
    upload.stream_failed("aborted, says the stream");
    assert_eq!(upload.poll_action(), Some(upload::Action::Failed("broken")), "the producer's own words");
    assert_eq!(upload.poll_action(), None);
}

#[test]
fn transfer_6_aborting_fails_the_stream_at_once() {
    for close in [false, true] {
        for written in [false, true] {
            let mut upload = upload();
            assert_eq!(upload.push(chunk(if written { 50 } else { 5 })), Ok(Pushed::All));
            assert!(matches!(upload.poll_step(), Some(upload::Step::Write(_))));
            assert!(upload.memory() >= upload.held() && upload.memory() > 0);
            if close {
                upload.close();
            }
            upload.abort("enough");
            upload.abort("again");
            assert!(upload.held() == 0 && upload.memory() < 100);
            assert_eq!(upload.poll_step(), Some(upload::Step::Fail("enough")));
            assert!(upload.push(chunk(1)).is_err());
            upload.stream_failed("says the stream");
            assert_eq!(upload.poll_action(), Some(upload::Action::Failed("enough")));
        }
    }
}

#[test]
fn transfer_7_a_stream_that_fails_ends_the_upload() {
    let mut upload = upload();
    assert_eq!(upload.push(chunk(50)), Ok(Pushed::All));
    assert_eq!(upload.poll_step(), write(10));
    upload.stream_failed("gone");
    upload.stream_failed("gone again");
    assert_eq!((upload.held(), upload.poll_step()), (0, None));
    assert_eq!(upload.push(chunk(1)), Err(PushError::Cancelled));
    assert_eq!(upload.poll_action(), Some(upload::Action::Failed("gone")));
    assert_eq!((upload.poll_action(), upload.poll_step()), (None, None));
}

#[test]
fn transfer_8_a_block_is_consumed_when_the_consumer_has_it() {
    let mut download = download();
    for length in [5, 0, 7] {
        download.receive(chunk(length)).unwrap();
    }
    assert_eq!(download.poll_step(), None);
    for length in [5, 0, 7] {
        download.pull().unwrap();
        assert_eq!(download.pull(), Err(PullError::Waiting));
        assert_eq!(download.poll_action(), Some(download::Action::Chunk(chunk(length))), "borders are kept");
        assert_eq!(download.poll_step(), Some(download::Step::Consume));
        assert_eq!(download.poll_step(), None);
    }
}

#[test]
fn transfer_9_more_than_the_bound_is_refused() {
    let mut download = download();
    download.receive(chunk(60)).unwrap();
    let full = PushError::Full { bytes: 100, chunks: 16 };
    assert_eq!((download.wants_data(40), download.wants_data(41)), (true, false));
    assert_eq!(download.receive(chunk(41)), Err(full));
    assert_eq!(download.receive(chunk(101)), Err(PushError::TooLarge { length: 101, limit: 100 }));
    download.receive(chunk(40)).unwrap();
    assert_eq!((download.held(), download.wants_data(0)), (100, false));
    assert!((100..=100 + 16 * limits::CHUNK_OVERHEAD).contains(&download.memory()));
}

/// TRANSFER-9, TRANSFER-10: on a credit stream, whose window does not count any more once it has failed.
#[test]
fn transfer_9_what_a_stream_has_brought_is_counted_until_it_is_pulled_also_after_its_end() {
    let mut download = over::stream::Download::new(over::stream::Config::default(), NOW).unwrap();
    download.open(NOW);
    download.attach(NOW);
    for id in 0..3 {
        let block = [&[0, 0, 0, 0, id][..], &[7; 1000]].concat();
        download.handle_message(NOW, block.into()).unwrap();
    }
    assert_eq!((download.poll_action(), download.held()), (None, 3000));
    download.handle_closed(NOW).ok();
    for left in [2000, 1000, 0] {
        download.pull(NOW).unwrap();
        assert_eq!(download.poll_action(), Some(download::Action::Chunk(chunk(1000))));
        assert_eq!(download.held(), left);
    }
    assert!(matches!(download.poll_action(), Some(download::Action::Failed(_))));
}

#[test]
fn transfer_10_the_end_comes_after_everything() {
    for (end, terminal) in
        [(None, download::Action::Done), (Some("broken"), download::Action::Failed("broken"))]
    {
        let mut download = download();
        download.receive(chunk(5)).unwrap();
        match end {
            None => download.stream_finished(),
            Some(error) => download.stream_failed(error),
        }
        assert!(download.receive(chunk(5)).is_err());
        download.stream_finished();
        assert_eq!((download.poll_action(), download.has_ended()), (None, false));
        download.pull().unwrap();
        assert_eq!(download.poll_action(), Some(download::Action::Chunk(chunk(5))));
        download.cancel("late");
        assert_eq!(download.poll_action(), Some(terminal));
        assert_eq!(
            (download.poll_action(), download.poll_step(), download.pull()),
            (None, None, Err(PullError::Over))
        );
    }
}

#[test]
fn transfer_11_the_consumer_cancels() {
    let mut download = download();
    download.receive(chunk(5)).unwrap();
    download.pull().unwrap();
    download.cancel("enough");
    download.cancel("again");
    assert_eq!(download.held(), 0);
    download.receive(chunk(5)).unwrap(); // it was under way
    assert_eq!(download.poll_step(), Some(download::Step::Cancel("enough")));
    assert_eq!(download.poll_action(), Some(download::Action::Cancelled("enough")));
    download.stream_failed("cancelled, says the stream");
    assert_eq!((download.poll_action(), download.poll_step()), (None, None));
    // The stream had ended: nobody is told.
    let mut ended = self::download();
    ended.receive(chunk(5)).unwrap();
    ended.stream_finished();
    ended.cancel("enough");
    assert_eq!((ended.poll_step(), ended.poll_action()), (None, Some(download::Action::Cancelled("enough"))));
}

#[test]
fn transfer_14_two_blocks_have_to_fit() {
    let config = |block| over::port::Config { block, ..over::port::Config::default() };
    let error = over::ConfigError::BlockTooLarge { block: 32769, bytes: 65536 };
    assert_eq!(over::port::Upload::new(config(32769), Instant::ZERO).map(drop), Err(error));
    assert_eq!(over::port::Download::new(config(32769), Instant::ZERO).map(drop), Err(error));
    assert!(over::port::Download::new(config(32768), Instant::ZERO).is_ok());
    assert!(over::port::Upload::new(config(0), Instant::ZERO).is_err());
    assert!(
        over::stream::Upload::new(
            over::stream::Config { piece: 0, ..over::stream::Config::default() },
            Instant::ZERO
        )
        .is_err()
    );
}

const NOW: Instant = Instant::ZERO;

/// Everything that waits between two links, both ways; whether there was anything.
fn exchange(links: &mut [Link; 2]) -> bool {
    let mut moved = false;
    for from in 0..2 {
        let [first, second] = links;
        let (here, there) = if from == 0 { (first, second) } else { (second, first) };
        while let Some(message) = here.poll_transmit() {
            there.handle_message(NOW, message.into_bytes()).unwrap();
            moved = true;
        }
        while let Some(channel) = here.poll_channel() {
            while let Some(message) = here.poll_channel_transmit(channel) {
                there.handle_channel_message(NOW, channel, message.into_bytes()).unwrap();
                moved = true;
            }
        }
    }
    moved
}

/// A body from the server of a call to its client.
struct Call {
    links: [Link; 2],
    upload: Upload<rpc::CallError>,
    download: Download<rpc::CallError>,
    stream: Option<u32>,
    left: usize,
    got: usize,
    /// Bytes that came and were not pulled.
    held: usize,
    ends: [usize; 2],
}

impl Call {
    fn client(&mut self) -> bool {
        let mut moved = false;
        while let Some(action) = self.links[0].poll_action() {
            moved = true;
            match action {
                rpc::Action::OpenChannel { channel, .. } => self.links[0].channel_attached(NOW, channel),
                rpc::Action::Data { data, .. } => {
                    self.held += data.len();
                    self.download.receive(data).unwrap();
                }
                rpc::Action::StreamFinished { .. } => self.download.stream_finished(),
                _ => {}
            }
        }
        while let Some(action) = self.download.poll_action() {
            moved = true;
            match action {
                download::Action::Chunk(chunk) => {
                    self.got += chunk.len();
                    self.held -= chunk.len();
                    self.download.pull().unwrap();
                }
                download::Action::Done => self.ends[1] += 1,
                other => panic!("{other:?}"),
            }
        }
        while let Some(download::Step::Consume) = self.download.poll_step() {
            self.links[0].consume(NOW, self.stream.unwrap());
        }
        moved
    }

    fn server(&mut self) -> bool {
        let (mut moved, server) = (false, &mut self.links[1]);
        while let Some(action) = server.poll_action() {
            moved = true;
            match action {
                rpc::Action::Called { call, .. } => {
                    let shape = Shape::bytes(Direction::Send, 65536);
                    self.stream = Some(server.open_stream(NOW, call, shape).unwrap());
                    server.respond(NOW, call, Ok(Bytes::new())).unwrap();
                }
                rpc::Action::OpenChannel { channel, .. } => server.channel_attached(NOW, channel),
                rpc::Action::StreamFinished { .. } => self.upload.stream_finished(),
                _ => {}
            }
        }
        while let Some(action) = self.upload.poll_action() {
            self.ends[0] += usize::from(action == upload::Action::Finished);
        }
        while self.left > 0 && self.upload.can_push() {
            assert_eq!(self.upload.push(chunk(4096)), Ok(Pushed::All));
            self.left -= 4096;
        }
        if self.left == 0 {
            self.upload.close();
        }
        let Some(stream) = self.stream else { return moved };
        if self.upload.is_writing() && server.can_write(stream) {
            self.upload.written();
        }
        while let Some(step) = self.upload.poll_step() {
            moved = true;
            match step {
                upload::Step::Write(piece) => server.write(NOW, stream, piece).unwrap(),
                upload::Step::Finish => server.finish(NOW, stream),
                upload::Step::Fail(error) => panic!("{error}"),
            }
        }
        moved
    }
}

/// TRANSFER-2, TRANSFER-8, TRANSFER-9: the same machines on a stream of a call, by a driver's own hand.
#[test]
fn transfer_9_a_body_crosses_on_a_stream_of_a_call() {
    let mut config = rpc::Config::new(Role::Initiator);
    config.stream.send_bytes = 1; // one piece at a time
    let server = Link::new(rpc::Config { role: Role::Acceptor, ..config.clone() }, NOW).unwrap();
    let mut links = [Link::new(config, NOW).unwrap(), server];
    links[0].call(NOW, Bytes::from_static(b"read"), Bytes::new(), Fallback::None).unwrap();
    let mut download = Download::new(queue::Config::default()).unwrap();
    download.pull().unwrap();
    let upload = Upload::new(upload::Config::default()).unwrap();
    let (left, ends) = (1 << 20, [0, 0]);
    let mut call = Call { links, upload, download, stream: None, left, got: 0, held: 0, ends };
    while exchange(&mut call.links) | call.client() | call.server() {
        assert!(call.upload.held() <= 65536 && call.held <= 65536);
    }
    assert_eq!((call.got, call.left, call.ends), (1 << 20, 0, [1, 1]));
}
