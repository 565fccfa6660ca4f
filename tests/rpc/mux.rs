//! Channels over one byte pipe: exact bytes, every split, turns, bounds, and what hostile peers get.

use std::time::Duration;

use crate::common::{Rng, gather, split};
use bytes::{Buf, Bytes};
use portline::frame::{Frame, FrameType, carrier};
use portline::rpc::mux::{Action, CONTROL, Config, ConfigError, Error, Mux, OpenError, SendError};
use portline::rpc::{Budget, Role};
use portline::{Blame, Instant, Transmit};

const NOW: Instant = Instant::ZERO;

fn mux(role: Role) -> Mux {
    Mux::new(Config::new(role), NOW).unwrap()
}

fn small(role: Role, change: impl FnOnce(&mut Config)) -> Mux {
    let mut config = Config::new(role);
    change(&mut config);
    Mux::new(config, NOW).unwrap()
}

fn message(channel: u32, message: &[u8]) -> Vec<u8> {
    let length = (message.len() + 4) as u32;
    [&length.to_be_bytes()[..], &channel.to_be_bytes(), message].concat()
}

fn actions<T: Default>(mux: &mut Mux<T>) -> Vec<Action> {
    std::iter::from_fn(|| mux.poll_action()).collect()
}

fn came(channel: u32, message: &'static [u8]) -> Action {
    Action::Message { channel, message: Bytes::from_static(message) }
}

fn bytes(text: &'static [u8]) -> Bytes {
    Bytes::from_static(text)
}

#[test]
fn mux_1_a_message_is_its_length_its_channel_and_itself() {
    let mut mux = mux(Role::Initiator);
    let channel = mux.open().unwrap();
    mux.send(channel, Frame::new(FrameType::Data, 0, bytes(b"hi")).encode()).unwrap();
    mux.send(CONTROL, Frame::new(FrameType::Ready, 1, bytes(b"")).encode()).unwrap();
    let wire = gather(|| mux.poll_transmit());
    // MUX-3: the control channel first, though it came second.
    assert_eq!(
        wire,
        &b"\0\0\0\x09\0\0\0\0\x10\0\0\0\x01\
           \0\0\0\x0b\0\0\0\x01\0\0\0\0\0hi"[..]
    );
}

#[test]
fn mux_1_how_the_input_is_split_changes_nothing() {
    let wire =
        [message(0, b"ready"), message(2, b"one"), message(4, b""), message(2, b"two"), message(0, b"x")]
            .concat();
    let expected = [
        came(0, b"ready"),
        Action::Opened { channel: 2 },
        came(2, b"one"),
        Action::Opened { channel: 4 },
        came(4, b""),
        came(2, b"two"),
        came(0, b"x"),
    ];
    for cut in 0..=wire.len() {
        for second in cut..=wire.len() {
            let mut mux = mux(Role::Initiator);
            let mut seen = Vec::new();
            for piece in [&wire[..cut], &wire[cut..second], &wire[second..]] {
                mux.handle_bytes(NOW, Bytes::copy_from_slice(piece)).unwrap();
                seen.extend(actions(&mut mux));
            }
            assert_eq!(seen, expected, "{cut} {second}");
        }
    }
    let mut mux = mux(Role::Initiator);
    let mut seen = Vec::new();
    for byte in &wire {
        mux.handle_bytes(NOW, Bytes::copy_from_slice(&[*byte])).unwrap();
        seen.extend(actions(&mut mux));
    }
    assert_eq!(seen, expected);
}

#[test]
fn mux_2_a_mux_that_could_not_move_is_refused() {
    let refused = |change: fn(&mut Config)| {
        let mut config = Config::new(Role::Initiator);
        change(&mut config);
        Mux::new(config, NOW).err()
    };
    let zero = |field| Some(ConfigError::Zero { field });
    assert_eq!(refused(|c| c.quantum = 0), zero("quantum"));
    assert_eq!(refused(|c| c.max_message = 0), zero("max_message"));
    assert_eq!(refused(|c| c.channel_bytes = 0), zero("channel_bytes"));
    assert_eq!(refused(|c| c.control_bytes = 0), zero("control_bytes"));
    assert_eq!(refused(|c| c.receive_bytes = 0), zero("receive_bytes"));
    // The length of a message has four bytes, and counts the four of its channel.
    let max_message = u32::MAX as usize - 3;
    assert_eq!(
        refused(|c| c.max_message = u32::MAX as usize - 3),
        Some(ConfigError::TooLarge { max_message })
    );
    assert_eq!(refused(|c| c.max_message = u32::MAX as usize - 4), None);
}

#[test]
fn mux_4_each_side_opens_its_own_numbers_in_rising_order() {
    let (mut odd, mut even) = (mux(Role::Initiator), mux(Role::Acceptor));
    assert_eq!((odd.open(), odd.open(), even.open(), even.open()), (Ok(1), Ok(3), Ok(2), Ok(4)));
    odd.close(1);
    assert_eq!(odd.open_as(1), Err(OpenError::Passed { channel: 1 }));
    assert_eq!(odd.open_as(0), Err(OpenError::Passed { channel: 0 }));
    assert_eq!((odd.open_as(3), odd.open_as(2), odd.open_as(2), odd.open()), (Ok(()), Ok(()), Ok(()), Ok(5)));
    assert_eq!(odd.open_as(u32::MAX), Ok(()));
    assert_eq!(odd.open(), Err(OpenError::Exhausted));
    let mut full = small(Role::Initiator, |c| c.max_channels = 1);
    assert_eq!((full.open(), full.open()), (Ok(1), Err(OpenError::TooManyChannels { limit: 1 })));
}

#[test]
fn mux_5_opening_and_closing_send_nothing() {
    let mut mux = mux(Role::Initiator);
    let channel = mux.open().unwrap();
    assert_eq!(mux.open_channels(), 1);
    mux.close(channel);
    assert_eq!((mux.open_channels(), mux.poll_transmit().is_none(), mux.poll_action()), (0, true, None));
    mux.close(channel);
    mux.close(99);
    assert_eq!(mux.send(channel, bytes(b"x")), Err(SendError::NotOpen { channel }));
    assert!(!mux.can_send(channel) && mux.can_send(CONTROL));
}

/// What goes out, message by message: the channel and the length of the message.
fn next(mux: &mut Mux) -> Option<(u32, usize)> {
    let mut transmit = mux.poll_transmit()?;
    let length = transmit.get_u32() as usize;
    assert_eq!(length, transmit.remaining());
    Some((transmit.get_u32(), length - 4))
}

#[test]
fn mux_6_a_thousand_saturated_channels_wait_for_one_quantum_of_each_other_and_control_for_one_message() {
    let quantum = 1000;
    let mut mux = small(Role::Initiator, |c| {
        (c.quantum, c.channel_bytes) = (quantum, 8 * quantum);
    });
    let payload = Bytes::from(vec![7; quantum]);
    let channels: Vec<u32> = (0..1000).map(|_| mux.open().unwrap()).collect();
    let mut rng = Rng::new(11);
    let refill = |mux: &mut Mux, rng: &mut Rng, channel: u32| {
        while mux.can_send(channel) {
            mux.send(channel, payload.slice(..1 + rng.below(quantum))).unwrap();
        }
    };
    for channel in &channels {
        refill(&mut mux, &mut rng, *channel);
    }
    let mut last_turn = vec![0_usize; 2001];
    let (mut sent, mut turn, mut in_turn) = (0, 0, 0);
    for step in 0..200_000 {
        if step % 97 == 0 {
            mux.send(CONTROL, bytes(b"call!")).unwrap();
            assert_eq!(next(&mut mux), Some((CONTROL, 5)), "the very next message");
        }
        let (channel, length) = next(&mut mux).unwrap();
        if channel != turn {
            // Everyone else had at most one turn since this channel's last one.
            assert!(sent - last_turn[channel as usize] <= 999 * quantum);
            (turn, in_turn) = (channel, 0);
        }
        in_turn += length;
        sent += length;
        last_turn[channel as usize] = sent;
        assert!(in_turn <= quantum, "a turn is at most one quantum");
        refill(&mut mux, &mut rng, channel);
        while mux.poll_action().is_some() {}
    }
    assert!(channels.iter().all(|channel| last_turn[*channel as usize] > 0));
}

#[test]
fn mux_6_turns_go_round_and_no_message_is_longer_than_one() {
    let mut mux = small(Role::Initiator, |c| (c.quantum, c.channel_bytes) = (10, 1000));
    let [a, b, c] = [(); 3].map(|()| mux.open().unwrap());
    for length in [4, 4, 4, 10, 3] {
        mux.send(a, bytes(&b"0123456789"[..length])).unwrap();
    }
    for length in [9, 2] {
        mux.send(b, bytes(&b"0123456789"[..length])).unwrap();
    }
    mux.send(c, bytes(b"")).unwrap();
    assert_eq!(mux.send(c, bytes(b"0123456789a")), Err(SendError::TooLong { length: 11, limit: 10 }));
    let order: Vec<(u32, usize)> = std::iter::from_fn(|| next(&mut mux)).collect();
    assert_eq!(order, [(a, 4), (a, 4), (b, 9), (c, 0), (a, 4), (b, 2), (a, 10), (a, 3)]);
    // Nor longer than any message may be, where that is less.
    let mut mux = small(Role::Initiator, |c| c.max_message = 20);
    let channel = mux.open().unwrap();
    let long = || Transmit::new(Bytes::from(vec![0; 21]));
    let refused = SendError::TooLong { length: 21, limit: 20 };
    assert_eq!(mux.send(channel, long()), Err(refused));
    assert_eq!(mux.send_from(channel, || Some(long())), Err(refused));
    assert_eq!(mux.send(channel, Bytes::from(vec![0; 20])), Ok(()));
}

#[test]
fn mux_8_a_channel_that_is_full_refuses_and_the_others_go_on() {
    let mut mux = small(Role::Initiator, |c| (c.channel_bytes, c.control_bytes) = (10 + 64, 100));
    let (slow, other) = (mux.open().unwrap(), mux.open().unwrap());
    mux.send(slow, bytes(b"0123456789")).unwrap();
    assert_eq!(mux.send(slow, bytes(b"x")), Err(SendError::Full { limit: 74 }));
    assert!(!mux.can_send(slow) && mux.can_send(other));
    mux.send(other, bytes(b"y")).unwrap();
    assert_eq!(next(&mut mux), Some((slow, 10)));
    assert_eq!(actions(&mut mux), [Action::Writable { channel: slow }]);
    assert_eq!(next(&mut mux), Some((other, 1)));
    assert_eq!(actions(&mut mux), []);
    // The control queue is bounded as well, its overhead included (T5).
    mux.send(CONTROL, bytes(b"")).unwrap();
    mux.send(CONTROL, bytes(b"")).unwrap();
    assert_eq!(mux.send(CONTROL, bytes(b"")), Err(SendError::Full { limit: 100 }));
    assert_eq!(
        (next(&mut mux), actions(&mut mux)),
        (Some((0, 0)), vec![Action::Writable { channel: CONTROL }])
    );
}

/// MUX-8: a channel, and the control channel, are full as long as the cap is reached, and their room is told once.
#[test]
fn mux_8_room_is_told_once_when_less_than_the_cap_waits() {
    let mut mux = small(Role::Initiator, |c| (c.channel_bytes, c.control_bytes) = (100, 100));
    let own = mux.open().unwrap();
    for channel in [own, CONTROL] {
        // Below the cap nothing is ever told.
        mux.send(channel, bytes(b"")).unwrap();
        assert_eq!((next(&mut mux), actions(&mut mux)), (Some((channel, 0)), vec![]));
        let fill = |mux: &mut Mux| {
            mux.send(channel, bytes(b"")).unwrap();
            assert!(mux.can_send(channel));
            mux.send(channel, Bytes::from(vec![7; 36])).unwrap();
        };
        // 64 and 100 bytes wait, and when the first has gone still 100.
        fill(&mut mux);
        assert_eq!((next(&mut mux), actions(&mut mux)), (Some((channel, 0)), vec![]));
        assert!(!mux.can_send(channel));
        assert_eq!(mux.send(channel, bytes(b"x")), Err(SendError::Full { limit: 100 }));
        assert_eq!(
            (next(&mut mux), actions(&mut mux)),
            (Some((channel, 36)), vec![Action::Writable { channel }])
        );
        // The same when nobody asks in between.
        fill(&mut mux);
        assert_eq!((next(&mut mux), next(&mut mux)), (Some((channel, 0)), Some((channel, 36))));
        assert_eq!(actions(&mut mux), [Action::Writable { channel }]);
    }
}

/// MUX-8: a machine is asked for its next message only while there is room for it.
#[test]
fn mux_8_a_source_is_asked_only_while_there_is_room() {
    let mut mux = small(Role::Initiator, |c| (c.channel_bytes, c.control_bytes) = (10 + 3 * 64, 2 * 64));
    let channel = mux.open().unwrap();
    let mut left = vec!["5", "4", "3", "seven", "one"];
    let mut from = |mux: &mut Mux, channel| {
        mux.send_from(channel, || left.pop().map(|message| Transmit::new(message.into())))
    };
    assert_eq!(from(&mut mux, channel), Ok(true), "one, seven and 3 are 9 bytes and 3 × 64; 4 is too much");
    assert_eq!(from(&mut mux, channel), Ok(false));
    assert_eq!(mux.send(channel, bytes(b"x")), Err(SendError::Full { limit: 202 }));
    let sent: Vec<_> = std::iter::from_fn(|| next(&mut mux)).collect();
    assert_eq!(sent, [(channel, 3), (channel, 5), (channel, 1), (channel, 1)]);
    assert_eq!(actions(&mut mux), [Action::Writable { channel }]);
    assert_eq!((from(&mut mux, channel), from(&mut mux, channel)), (Ok(true), Ok(false)));
    assert_eq!(from(&mut mux, 7), Err(SendError::NotOpen { channel: 7 }));
    // On the control channel as well, and a message that is too long has been taken.
    let mut count = 0;
    let empty = mux.send_from(CONTROL, || {
        count += 1;
        Some(Transmit::new(Bytes::new()))
    });
    assert_eq!((empty, count), (Ok(true), 2));
    let mut long = Some(Transmit::new(vec![0; 70_000].into()));
    let sent = mux.send_from(channel, || long.take());
    assert!(matches!(sent, Err(SendError::TooLong { length: 70_000, .. })), "{sent:?}");
}

/// MUX-6, MUX-8, T4, T6: messages of nothing cost what any message does, in the queue and in a turn.
#[test]
fn mux_8_empty_messages_are_not_free() {
    let mut mux = small(Role::Initiator, |c| (c.quantum, c.channel_bytes) = (10, 64 * 20));
    let [a, b] = [(); 2].map(|()| mux.open().unwrap());
    for channel in [a, b] {
        for _ in 0..20 {
            mux.send(channel, bytes(b"")).unwrap();
        }
        assert_eq!(mux.send(channel, bytes(b"")), Err(SendError::Full { limit: 64 * 20 }));
    }
    let order: Vec<u32> = std::iter::from_fn(|| next(&mut mux)).map(|(channel, _)| channel).collect();
    assert_eq!(order, [[a; 10], [b; 10], [a; 10], [b; 10]].concat());
}

#[test]
fn mux_9_closing_lets_what_waits_go_out_and_ignores_what_comes() {
    let mut mux = small(Role::Initiator, |c| c.late = Budget::new(3, 10));
    let channel = mux.open().unwrap();
    mux.send(channel, bytes(b"last words")).unwrap();
    mux.close(channel);
    assert_eq!(mux.send(channel, bytes(b"x")), Err(SendError::NotOpen { channel }));
    mux.handle_bytes(NOW, message(channel, b"late").into()).unwrap();
    assert_eq!((mux.poll_action(), mux.open_channels()), (None, 1));
    assert_eq!((next(&mut mux), mux.open_channels()), (Some((channel, 10)), 0));
    // A channel of the peer's, closed here, is not opened again by what crosses.
    mux.handle_bytes(NOW, message(2, b"hi").into()).unwrap();
    assert_eq!(actions(&mut mux), [Action::Opened { channel: 2 }, came(2, b"hi")]);
    mux.close(2);
    mux.handle_bytes(NOW, [message(2, b"late"), message(1, b"late")].concat().into()).unwrap();
    assert_eq!(actions(&mut mux), []);
    // T5: the budget refills with time and is no endless one.
    let later = Instant::from_millis(10);
    mux.handle_bytes(later, [message(2, b"late"), message(2, b"late")].concat().into()).unwrap();
    assert_eq!(actions(&mut mux), [Action::Failed(Error::TooManyLate { limit: 3 })]);
}

#[test]
fn mux_10_what_the_peer_may_not_send_ends_the_mux() {
    let long = carrier::Error::TooLong { length: 25, limit: 24 };
    for (wire, error) in [
        (b"\0\0\0\x03abc".to_vec(), Error::Short { length: 3 }),
        (b"\0\0\0\0".to_vec(), Error::Short { length: 0 }),
        (message(3, b"x"), Error::NotOpened { channel: 3 }),
        (
            [message(2, b"a"), message(4, b"b"), message(6, b"c")].concat(),
            Error::TooManyChannels { limit: 2 },
        ),
        // T2, T9: refused by its length, before any of it has come.
        (b"\0\0\0\x19".to_vec(), Error::Carrier(long)),
    ] {
        let mut mux = small(Role::Initiator, |c| (c.max_channels, c.max_message) = (2, 20));
        assert!(!mux.has_ended());
        mux.send(CONTROL, bytes(b"waits")).unwrap();
        mux.handle_bytes(NOW, wire.into()).unwrap();
        let last = actions(&mut mux).pop();
        assert_eq!(last, Some(Action::Failed(error.clone())));
        assert_eq!(error.blame(), Blame::Peer);
        assert_eq!(mux.handle_bytes(NOW, Bytes::new()), Err(error.clone()));
        assert_eq!(mux.handle_closed(NOW), Err(error));
        assert!(mux.has_ended() && !mux.wants_input() && mux.poll_action().is_none());
        assert!(mux.poll_transmit().is_none(), "what waits is not for anyone any more");
        assert_eq!((mux.open(), mux.send(0, bytes(b"x"))), (Err(OpenError::Over), Err(SendError::Over)));
    }
}

/// T13, MUX-11.
#[test]
fn mux_11_closing_at_any_byte_gives_every_channel_and_the_mux_one_end() {
    let wire = [message(2, b"a"), message(4, b"b"), message(0, b"c"), message(6, b"d")].concat();
    let borders = [0, 9, 18, 27, 36];
    for cut in 0..=wire.len() {
        let mut mux = mux(Role::Initiator);
        let own = mux.open().unwrap();
        mux.handle_bytes(NOW, Bytes::copy_from_slice(&wire[..cut])).unwrap();
        mux.handle_closed(NOW).unwrap();
        assert_eq!(mux.handle_closed(NOW), Ok(()));
        assert!(!mux.wants_input() && mux.poll_transmit().is_none());
        let seen = actions(&mut mux);
        let count = |wanted: &dyn Fn(&Action) -> bool| seen.iter().filter(|action| wanted(action)).count();
        let opened = count(&|a| matches!(a, Action::Opened { .. }));
        assert_eq!(count(&|a| matches!(a, Action::Closed { .. })), opened + 1);
        assert_eq!(count(&|a| *a == Action::Closed { channel: own }), 1);
        assert_eq!(count(&|a| matches!(a, Action::Message { .. })), cut / 9);
        let last = seen.last().unwrap();
        match last {
            Action::Finished => assert!(borders.contains(&cut)),
            Action::Failed(error) => {
                assert!(!borders.contains(&cut) && error.blame() == Blame::Transport);
            }
            other => panic!("{other:?} is no end"),
        }
    }
}

/// MUX-11: a channel that the driver has closed has its end already, though what waits keeps it.
#[test]
fn mux_11_a_channel_that_was_closed_before_is_not_closed_again() {
    let mut mux = mux(Role::Initiator);
    let [first, second, third] = [(); 3].map(|()| mux.open().unwrap());
    for channel in [first, third] {
        mux.send(channel, bytes(b"waits")).unwrap();
        mux.close(channel);
    }
    mux.handle_closed(NOW).unwrap();
    assert!(
        mux.poll_transmit().is_none() && !mux.has_ended(),
        "nobody takes it, and ends are still to be told"
    );
    assert_eq!(actions(&mut mux), [Action::Closed { channel: second }, Action::Finished]);
}

#[test]
fn mux_12_payloads_pass_without_a_copy() {
    let payload = Bytes::from(vec![5; 60_000]);
    let mut sender = mux(Role::Initiator);
    let channel = sender.open().unwrap();
    sender.send(channel, Frame::new(FrameType::Data, 0, payload.clone()).encode()).unwrap();
    let transmit = sender.poll_transmit().unwrap();
    assert_eq!(transmit.payload().as_ptr(), payload.as_ptr());
    assert_eq!(transmit.head().len(), 13);
    let wire = transmit.into_bytes();
    let mut receiver = mux(Role::Acceptor);
    receiver.handle_bytes(NOW, wire.clone()).unwrap();
    assert_eq!(receiver.poll_action(), Some(Action::Opened { channel }));
    let Some(Action::Message { message, .. }) = receiver.poll_action() else { panic!("a message") };
    assert_eq!(message.as_ptr(), wire[8..].as_ptr());
}

/// Two muxes, random messages on random channels, random splits: everything arrives once and in order.
#[test]
fn mux_1_random_traffic_arrives_in_order() {
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        let mut ends = [mux(Role::Initiator), mux(Role::Acceptor)];
        let mut sent: Vec<(u32, Bytes)> = Vec::new();
        let mut received: Vec<(u32, Bytes)> = Vec::new();
        for _ in 0..300 {
            let channel = match rng.below(4) {
                0 => ends[0].open().unwrap(),
                _ => [0, 1, 3, 5, 7][rng.below(5)],
            };
            let length = rng.below(200);
            let message = Bytes::from(rng.bytes(length));
            if ends[0].send(channel, message.clone()).is_ok() {
                sent.push((channel, message));
            }
            if rng.below(5) == 0 {
                let wire = gather(|| ends[0].poll_transmit());
                for piece in split(&mut rng, &wire, 64) {
                    ends[1].handle_bytes(NOW, piece).unwrap();
                    received.extend(actions(&mut ends[1]).into_iter().filter_map(|action| match action {
                        Action::Message { channel, message } => Some((channel, message)),
                        _ => None,
                    }));
                }
            }
        }
        let wire = gather(|| ends[0].poll_transmit());
        ends[1].handle_bytes(NOW, wire).unwrap();
        received.extend(actions(&mut ends[1]).into_iter().filter_map(|action| match action {
            Action::Message { channel, message } => Some((channel, message)),
            _ => None,
        }));
        // Order within a channel is what is promised.
        for list in [&mut sent, &mut received] {
            list.sort_by_key(|(channel, _)| *channel);
        }
        assert_eq!(sent, received, "seed {seed}");
    }
}

#[test]
fn mux_9_a_budget_of_no_time_is_no_limit() {
    let mut mux = small(Role::Initiator, |c| c.late = Budget { burst: 0, every: Duration::ZERO });
    mux.open().unwrap();
    mux.close(1);
    mux.handle_bytes(NOW, message(1, b"late").into()).unwrap();
    assert_eq!(mux.poll_action(), None);
}

/// A channel is told to have room only where it has: not when it was closed, or filled again, in between.
#[test]
fn mux_8_room_is_told_only_for_a_channel_that_still_takes_something() {
    let mut mux = small(Role::Initiator, |c| c.channel_bytes = 200);
    let channels = [(); 3].map(|()| mux.open().unwrap());
    let fill = |mux: &mut Mux, channel| while mux.send(channel, Bytes::from(vec![1; 50])).is_ok() {};
    for channel in channels {
        fill(&mut mux, channel);
    }
    while mux.poll_transmit().is_some() {}
    // All three have room now; the first is closed, the second filled again.
    mux.close(channels[0]);
    fill(&mut mux, channels[1]);
    assert!(!mux.can_send(channels[1]));
    assert_eq!(actions(&mut mux), [Action::Writable { channel: channels[2] }]);
    while mux.poll_transmit().is_some() {}
    assert_eq!(actions(&mut mux), [Action::Writable { channel: channels[1] }]);
}

/// What a driver keeps for a channel lies in the mux: it goes with the channel, and the end of the mux finds it still.
#[test]
fn mux_11_the_value_of_a_channel_lives_as_long_as_the_channel() {
    let mut mux = Mux::<Vec<u8>>::with_values(Config::new(Role::Initiator), NOW).unwrap();
    mux.handle_bytes(NOW, message(2, b"hi").into()).unwrap();
    assert_eq!(mux.poll_action(), Some(Action::Opened { channel: 2 }));
    let ours = mux.open().unwrap();
    for channel in [2, ours] {
        let mut found = mux.channel(channel).unwrap();
        assert_eq!((found.number(), found.value().len()), (channel, 0));
        found.value().push(channel as u8);
        found.send(bytes(b"x")).unwrap();
        assert_eq!(found.send_from(|value| value.pop().map(|last| Bytes::from(vec![last]).into())), Ok(true));
        found.value().push(7);
    }
    assert_eq!((mux.value(2), mux.value(ours), mux.value(CONTROL)), (Some(&vec![7]), Some(&vec![7]), None));
    mux.close(ours);
    assert!(mux.channel(ours).is_none() && mux.value(ours).is_none(), "though messages wait on it");
    let wire = gather(|| mux.poll_transmit());
    assert_eq!(wire, [message(2, b"x"), message(2, &[2]), message(1, b"x"), message(1, &[1])].concat());
    mux.handle_closed(NOW).unwrap();
    assert_eq!(mux.poll_action(), Some(came(2, b"hi")));
    assert_eq!(mux.poll_action(), Some(Action::Closed { channel: 2 }));
    assert_eq!(mux.value(2), Some(&vec![7]));
    assert_eq!(mux.channel(2).unwrap().send(bytes(b"late")), Err(SendError::Over));
    assert_eq!((actions(&mut mux), mux.value(2)), (vec![Action::Finished], None));
}
