//! A session by its rules: its bytes, its configuration, the channels of its streams, its one end.

use bytes::Bytes;
use portline::frame::{Reason, carrier};
use portline::rpc::session::{Action, Config, ConfigError, Error, Session};
use portline::rpc::{self, CallError, Fallback, Role, mux};
use portline::stream::{self, Direction, Shape};
use portline::{Blame, Instant};

const NOW: Instant = Instant::ZERO;
const CLIENT: usize = 0;
const SERVER: usize = 1;

fn configs() -> [Config; 2] {
    [Role::Initiator, Role::Acceptor].map(Config::new)
}

fn sessions(configs: [Config; 2]) -> [Session; 2] {
    configs.map(|config| Session::new(config, NOW).unwrap())
}

/// What an end has to say, in one piece.
fn drain(session: &mut Session) -> Bytes {
    let mut bytes = Vec::new();
    while let Some(transmit) = session.poll_transmit() {
        bytes.extend_from_slice(&transmit.into_bytes());
    }
    bytes.into()
}

fn actions(session: &mut Session) -> Vec<Action> {
    std::iter::from_fn(|| session.poll_action()).collect()
}

/// Everything passes both ways; what happened on each side.
fn settle(ends: &mut [Session; 2]) -> [Vec<Action>; 2] {
    let mut seen = [Vec::new(), Vec::new()];
    loop {
        let mut moved = false;
        for from in [CLIENT, SERVER] {
            let happened = actions(&mut ends[from]);
            let bytes = drain(&mut ends[from]);
            moved |= !happened.is_empty() || !bytes.is_empty();
            seen[from].extend(happened);
            ends[1 - from].handle_bytes(NOW, bytes).unwrap();
        }
        if !moved {
            return seen;
        }
    }
}

fn call(ends: &mut [Session; 2]) -> u32 {
    let call = ends[CLIENT].call(NOW, "method".into(), Bytes::new(), Fallback::None).unwrap();
    settle(ends);
    call
}

fn channels(ends: &[Session; 2]) -> [usize; 2] {
    [CLIENT, SERVER].map(|end| ends[end].open_channels())
}

/// MUX-13: control on channel 0, a stream on the channel of its number; each message as the link made it.
#[test]
fn mux_13_the_bytes_are_those_of_a_link_whose_channels_are_a_muxs() {
    let mut ends = sessions(configs());
    let ready = drain(&mut ends[CLIENT]);
    let mut expected = vec![0, 0, 0, 25, 0, 0, 0, 0, 16, 0, 0, 0, 1];
    expected.extend_from_slice(b"batch\nstreaming\n");
    assert_eq!(ready, expected);
    ends[SERVER].handle_bytes(NOW, ready).unwrap();
    settle(&mut ends);
    let call = call(&mut ends);
    let stream = ends[SERVER].open_stream(NOW, call, Shape::items(Direction::Send)).unwrap();
    ends[SERVER].write(NOW, stream, "item".into()).unwrap();
    let open = drain(&mut ends[SERVER]);
    assert_eq!(open[..9], [0, 0, 0, 19, 0, 0, 0, 0, 20], "OPEN, on the control channel");
    assert_eq!(actions(&mut ends[SERVER]).len(), 1, "it has left: the stream is open");
    assert_eq!(drain(&mut ends[SERVER]), b"\0\0\0\x0d\0\0\0\x02\0\0\0\0\0item"[..], "on channel 2");
}

#[test]
fn mux_14_a_link_and_a_mux_that_do_not_go_together_are_refused() {
    let refused = |change: fn(&mut Config)| {
        let mut config = Config::new(Role::Initiator);
        change(&mut config);
        Session::new(config, NOW).map(drop).unwrap_err()
    };
    assert_eq!(refused(|config| config.mux.role = Role::Acceptor), ConfigError::Roles);
    let small = |field, value, least| ConfigError::TooSmall { field, value, least };
    assert_eq!(refused(|c| c.mux.quantum = 65_540), small("quantum", 65_540, 65_541));
    assert_eq!(refused(|c| c.link.max_message = 2 << 20), small("max_message", (1 << 20) + 5, 2 << 20));
    assert_eq!(refused(|c| c.mux.max_channels = 8191), small("max_channels", 8191, 8192));
    let frames = |c: &mut Config| (c.link.max_message, c.mux.max_message) = (100, 1000);
    assert_eq!(refused(frames), small("max_message", 1000, 65_541));
    let mut just_enough = Config::new(Role::Initiator);
    (just_enough.link.max_message, just_enough.mux.max_message) = (100, 65_541);
    assert!(Session::new(just_enough, NOW).is_ok());
    assert_eq!(
        refused(|c| c.mux.receive_bytes = 0),
        ConfigError::Mux(mux::ConfigError::Zero { field: "receive_bytes" })
    );
    assert_eq!(
        refused(|c| c.link.max_calls = 0),
        ConfigError::Link(rpc::ConfigError::Zero { field: "max_calls" })
    );
}

/// RPC-2, RPC-15, RPC-23: what a session says of its link.
#[test]
fn rpc_15_the_questions_and_verbs_of_a_session_are_those_of_its_link() {
    let mut both = configs();
    both[SERVER].link.stream.send_bytes = 100;
    let mut ends = sessions(both);
    assert_eq!(ends[CLIENT].capabilities(), None);
    settle(&mut ends);
    let streaming = rpc::Capabilities::parse(b"batch\nstreaming\n").unwrap();
    assert_eq!(ends[CLIENT].capabilities(), Some(&streaming));
    let call = call(&mut ends);
    let server = &mut ends[SERVER];
    let stream = server.open_stream(NOW, call, Shape::items(Direction::Send)).unwrap();
    assert!(server.can_write(stream) && !server.can_write(99));
    server.write(NOW, stream, vec![7; 36].into()).unwrap();
    assert!(!server.can_write(stream), "100 bytes wait");
    server.cancel_stream(NOW, stream, None);
    server.respond_no_method(NOW, call).unwrap();
    let [client, _] = settle(&mut ends);
    let no_method = CallError::Remote(Reason::Text("no such method".into()));
    assert_eq!(client.last(), Some(&Action::Returned { call, result: Err(no_method) }));
}

/// MUX-15: the channel of a stream is there from its OPEN to its end, and no longer.
#[test]
fn mux_15_channels_come_and_go_with_their_streams() {
    let mut ends = sessions(configs());
    settle(&mut ends);
    for round in 1..=3 {
        let call = call(&mut ends);
        let shape = Shape::items(Direction::Send);
        let streams = [0, 1].map(|_| ends[SERVER].open_stream(NOW, call, shape).unwrap());
        let [client, server] = settle(&mut ends);
        let opened = |shape| streams.map(|stream| Action::StreamOpened { stream, call, shape });
        assert_eq!((client, server), (opened(shape.reversed()).into(), opened(shape).into()));
        assert_eq!((call, channels(&ends)), (round, [2, 2]));
        ends[SERVER].write(NOW, streams[0], "last".into()).unwrap();
        ends[SERVER].finish(NOW, streams[0]);
        ends[SERVER].fail_stream(NOW, streams[1], "no");
        ends[SERVER].respond(NOW, call, Ok(Bytes::new())).unwrap();
        settle(&mut ends);
        assert_eq!(channels(&ends), [0, 0]);
    }
}

/// MUX-15: what comes of a stream whose call was aborted here before its OPEN came opens no channel that would stay.
#[test]
fn mux_15_streams_that_cross_with_the_abort_of_their_call_leave_no_channel() {
    // MUX-9: nor is any of it held against the peer.
    let mut both = configs();
    both[CLIENT].mux.late = rpc::Budget::new(0, 1000);
    both[CLIENT].link.ignored = rpc::Budget::new(0, 1000);
    let mut ends = sessions(both);
    settle(&mut ends);
    for _ in 0..20 {
        let call = call(&mut ends);
        let stream = ends[SERVER].open_stream(NOW, call, Shape::items(Direction::Send)).unwrap();
        for _ in 0..3 {
            ends[SERVER].write(NOW, stream, "crosses".into()).unwrap();
        }
        ends[CLIENT].abort(NOW, call).unwrap();
        settle(&mut ends);
        assert_eq!(channels(&ends), [0, 0]);
        assert_eq!(ends[CLIENT].open_streams() + ends[SERVER].open_streams(), 0);
    }
    assert!(!ends[CLIENT].has_ended() && !ends[SERVER].has_ended());
}

/// MUX-9, RPC-21: what may come late on a channel that was closed is forgiven once, by the mux alone.
#[test]
fn mux_9_what_may_come_late_is_counted_once() {
    let mut both = configs();
    both[CLIENT].mux.late = rpc::Budget::new(0, 1000);
    both[CLIENT].link.ignored = rpc::Budget::new(1, 1000);
    let mut ends = sessions(both);
    settle(&mut ends);
    call(&mut ends);
    let stream = ends[SERVER].open_stream(NOW, 1, Shape::items(Direction::Send)).unwrap();
    settle(&mut ends);
    let client = &mut ends[CLIENT];
    client.cancel_stream(NOW, stream, None);
    drain(client);
    assert!(matches!(actions(client)[..], [Action::StreamFailed { .. }]));
    // A channel without a stream: its first message is the link's affair, and in its budget. Of the others as many are
    // free as were under way: 16 blocks, their mark, an ERROR or CANCEL, and END.
    let mut count = 0;
    while !client.has_ended() {
        client.handle_bytes(NOW, Bytes::from_static(b"\0\0\0\x09\0\0\0\x64\0\0\0\0\0")).unwrap();
        actions(client);
        count += 1;
    }
    assert_eq!(count, 1 + 19 + 1);
}

/// MUX-16: the terminal action names what was wrong with the pipe, after the ends of all streams and calls.
#[test]
fn mux_16_an_error_of_the_pipe_ends_streams_calls_and_session_once_each() {
    let mut ends = sessions(configs());
    settle(&mut ends);
    let call = call(&mut ends);
    let stream = ends[SERVER].open_stream(NOW, call, Shape::items(Direction::Send)).unwrap();
    settle(&mut ends);
    ends[CLIENT].handle_bytes(NOW, Bytes::from_static(&[0xff; 4])).unwrap();
    let too_long = carrier::Error::TooLong { length: 0xffff_ffff, limit: (1 << 20) + 9 };
    let error = Error::Mux(mux::Error::Carrier(too_long));
    let closed = stream::Error::Closed;
    assert_eq!(
        actions(&mut ends[CLIENT]),
        [
            Action::StreamFailed { stream, error: closed.clone() },
            Action::Returned { call, result: Err(CallError::Closed) },
            Action::Failed(error.clone()),
        ]
    );
    assert_eq!(error.blame(), Blame::Peer);
    let client = &mut ends[CLIENT];
    assert_eq!(client.handle_bytes(NOW, Bytes::from_static(b"more")), Err(error.clone()));
    assert_eq!(client.handle_closed(NOW), Err(error));
    assert!(client.has_ended() && !client.wants_input() && client.poll_transmit().is_none());
    assert_eq!((client.poll_action(), client.poll_timeout()), (None, None));

    ends[SERVER].handle_closed(NOW).unwrap();
    let ended = actions(&mut ends[SERVER]);
    let failed = Error::Link(rpc::Error::Closed);
    assert_eq!(
        ended,
        [
            Action::StreamFailed { stream, error: closed },
            Action::Aborted { call },
            Action::Failed(failed.clone()),
        ]
    );
    assert_eq!(failed.blame(), Blame::Transport);
}

/// MUX-16: an error on the control channel ends the session too, and one that is closed while idle is no error.
#[test]
fn mux_16_an_error_of_the_control_channel_and_a_quiet_close() {
    let mut ends = sessions(configs());
    settle(&mut ends);
    ends[CLIENT].handle_bytes(NOW, Bytes::from_static(b"\0\0\0\x09\0\0\0\0\x07\0\0\0\0")).unwrap();
    assert!(matches!(actions(&mut ends[CLIENT])[..], [Action::Failed(Error::Link(rpc::Error::Control(_)))]));
    ends[SERVER].handle_closed(NOW).unwrap();
    assert_eq!(actions(&mut ends[SERVER]), [Action::Finished]);
    assert_eq!(ends[SERVER].handle_bytes(NOW, Bytes::from_static(b"more")), Ok(()));
}

/// STREAM-22: input tells the time though it is read later, so a message that leaves before that leaves now.
#[test]
fn stream_22_what_leaves_after_a_wait_begins_to_wait_then() {
    let mut ends = sessions(configs());
    settle(&mut ends);
    call(&mut ends);
    let shape = Shape { window: 1, ..Shape::items(Direction::Send) };
    let stream = ends[SERVER].open_stream(NOW, 1, shape).unwrap();
    settle(&mut ends);
    for _ in 0..2 {
        ends[SERVER].write(NOW, stream, "item".into()).unwrap();
    }
    assert_eq!(ends[SERVER].poll_timeout(), None, "there is credit, and only the transport has no room");
    let (later, deadline) = (Instant::from_millis(1_000_000), Instant::from_millis(1_060_000));
    let tells: [fn(&mut Session, Instant); 2] = [
        |session, now| session.handle_bytes(now, Bytes::from_static(b"\0")).unwrap(),
        |session, now| session.handle_timeout(now),
    ];
    for tell in tells {
        let mut server = ends[SERVER].clone();
        tell(&mut server, later);
        assert_eq!(drain(&mut server).len(), 17, "one item");
        assert_eq!(server.poll_timeout(), Some(deadline));
    }
}

/// MUX-17, RPC-23: a peer that calls and never reads is not read from either.
#[test]
fn mux_17_nothing_more_is_read_while_our_own_control_messages_wait_up_to_the_cap() {
    let mut both = configs();
    both[SERVER].link.control_bytes = 1000;
    both[SERVER].mux.control_bytes = 1000;
    let mut ends = sessions(both);
    settle(&mut ends);
    for _ in 0..200 {
        ends[CLIENT].call(NOW, "method".into(), Bytes::new(), Fallback::None).unwrap();
    }
    let bytes = drain(&mut ends[CLIENT]);
    ends[SERVER].handle_bytes(NOW, bytes).unwrap();
    let mut answered = 0;
    while let Some(action) = ends[SERVER].poll_action() {
        let Action::Called { call, .. } = action else { panic!("{action:?}") };
        ends[SERVER].respond(NOW, call, Ok(vec![7; 100].into())).unwrap();
        answered += 1;
    }
    assert!(answered < 20 && !ends[SERVER].wants_input(), "{answered} answers wait");
    // A pipe that is closed takes none of them, and the end comes all the same.
    let mut cut = ends[SERVER].clone();
    cut.handle_closed(NOW).unwrap();
    assert_eq!(actions(&mut cut).pop(), Some(Action::Failed(Error::Link(rpc::Error::Closed))));
    // Reading goes on as they leave.
    while answered < 200 {
        let results = drain(&mut ends[SERVER]);
        ends[CLIENT].handle_bytes(NOW, results).unwrap();
        for action in actions(&mut ends[SERVER]) {
            let Action::Called { call, .. } = action else { panic!("{action:?}") };
            ends[SERVER].respond(NOW, call, Ok(vec![7; 100].into())).unwrap();
            answered += 1;
        }
    }
    let [client, _] = settle(&mut ends);
    assert!(client.iter().all(|action| matches!(action, Action::Returned { result: Ok(_), .. })));
    assert!(ends[SERVER].wants_input());
}

/// RPC-23: two sides that both owe answers up to their caps, on a pipe that is full both ways, do not wait for each other
/// for ever.
#[test]
fn rpc_23_two_sides_that_both_read_nothing_end_in_time() {
    let mut both = configs();
    for config in &mut both {
        (config.link.control_bytes, config.mux.control_bytes) = (1000, 1000);
    }
    let mut ends = sessions(both);
    settle(&mut ends);
    let calls = [CLIENT, SERVER].map(|end| {
        while ends[end].call(NOW, "method".into(), Bytes::new(), Fallback::None).is_ok() {}
        drain(&mut ends[end])
    });
    let again = [CLIENT, SERVER].map(|end| {
        while ends[end].call(NOW, "method".into(), Bytes::new(), Fallback::None).is_ok() {}
        drain(&mut ends[end])
    });
    for (end, bytes) in [CLIENT, SERVER].into_iter().zip(calls.into_iter().zip(again).rev()) {
        ends[end].handle_bytes(NOW, [bytes.0, bytes.1].concat().into()).unwrap();
        while let Some(action) = ends[end].poll_action() {
            let Action::Called { call, .. } = action else { panic!("{action:?}") };
            ends[end].respond(NOW, call, Ok(vec![7; 100].into())).unwrap();
        }
        assert!(!ends[end].wants_input(), "and what it has to say finds no room");
    }
    let deadline = Instant::from_millis(60_000);
    for end in &mut ends {
        assert_eq!(end.poll_timeout(), Some(deadline));
        end.handle_timeout(deadline);
        let error = Error::Link(rpc::Error::Stalled);
        assert_eq!((actions(end).pop(), error.blame()), (Some(Action::Failed(error)), Blame::Peer));
    }
}
