//! A sync over a byte stream: messages behind their lengths, split anywhere, the stream cut at any byte; and with the
//! smallest windows, blocks and queues.

use std::collections::VecDeque;

use crate::common::Rng;
use crate::toy::{Killed, Left, Right, config, diverged, survive, visible};
use bytes::{Buf, Bytes};
use portline::frame::carrier::{Decoder, wrap};
use portline::peer::sync::Config;
use portline::sync::Strategy;
use portline::{Instant, peer, port};

const NOW: Instant = Instant::ZERO;
const STRATEGIES: [Strategy; 3] = [Strategy::Report, Strategy::PreferLocal, Strategy::PreferRemote];

/// One direction: bytes on the way, and what has arrived of the next message.
#[derive(Default)]
struct Lane {
    way: VecDeque<u8>,
    decoder: Decoder,
}

/// Runs both sides in an order that the seed chooses, every direction in pieces of its own. After `cut` bytes in all
/// nothing arrives any more. How many bytes arrived.
pub(crate) fn run(left: &mut Left, right: &mut Right, rng: &mut Rng, cut: Option<(usize, Killed)>) -> usize {
    let mut lanes = [Lane::default(), Lane::default()];
    let mut carried = 0;
    let (mut start, mut idle) = (0, 0);
    while idle < 8 {
        if idle == 0 {
            start = rng.below(8);
        }
        // A part with nothing to do passes the turn on; when all eight in a row have, the run is over.
        let turn = (start + idle) % 8;
        let lane = turn % 2;
        let moved = match turn {
            0 => left.act(NOW),
            1 => right.act(NOW),
            2 | 3 => load(&mut lanes[lane], || match lane {
                0 => left.machine.poll_transmit(),
                _ => right.machine.poll_transmit(),
            }),
            4 | 5 => {
                let most = cut.map_or(usize::MAX, |(at, _)| at - carried);
                let arrived = arrive(&mut lanes[lane], rng, most);
                carried += arrived;
                arrived > 0
            }
            6 => {
                right.machine.wants_input() && {
                    let message = lanes[0].decoder.next_message().unwrap();
                    message.map(|message| right.machine.handle_message(NOW, message)).is_some()
                }
            }
            _ => {
                left.machine.wants_input() && {
                    let message = lanes[1].decoder.next_message().unwrap();
                    message.map(|message| left.machine.handle_message(NOW, message)).is_some()
                }
            }
        };
        idle = if moved { 0 } else { idle + 1 };
        if let Some((_, killed)) = cut.filter(|(at, _)| carried == *at) {
            survive(left, right, killed);
            return carried;
        }
    }
    survive(left, right, Killed::Neither);
    carried
}

fn load(lane: &mut Lane, poll: impl FnOnce() -> Option<portline::Transmit>) -> bool {
    let Some(message) = poll() else { return false };
    let mut message = wrap(message).unwrap();
    while message.has_remaining() {
        lane.way.push_back(message.get_u8());
    }
    true
}

fn arrive(lane: &mut Lane, rng: &mut Rng, most: usize) -> usize {
    let count = (1 + rng.below(90)).min(lane.way.len()).min(most);
    let piece: Bytes = lane.way.drain(..count).collect();
    lane.decoder.handle_bytes(piece);
    count
}

pub(crate) fn sides(config: &Config, server: &peer::Config) -> (Left, Right) {
    let (left, right, _) = diverged();
    (Left::new(left, config.clone()), Right::new(right, server))
}

/// SYNC-51, FRAME-11: 600 seeds, each with splits, an order, a byte to be cut at and a side to be killed of its own.
#[test]
fn sync_51_a_stream_cut_at_any_byte_loses_nothing_and_the_next_run_finishes() {
    let server = peer::Config::default();
    let mut failures = 0;
    for strategy in STRATEGIES {
        let config = config(strategy, diverged().2);
        let (mut left, mut right) = sides(&config, &server);
        let total = run(&mut left, &mut right, &mut Rng::new(0), None);
        assert!(left.end.unwrap().is_ok());
        let end = (visible(&left.repo), visible(&right.repo));
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let killed = [Killed::Left, Killed::Right, Killed::Neither][rng.below(3)];
            let at = 1 + rng.below(total);
            let what = format!("{strategy:?}, seed {seed}, cut at {at} of {total}, killed {killed:?}");
            let (mut left, mut right) = sides(&config, &server);
            let before = (left.repo.check(), right.repo.check());
            run(&mut left, &mut right, &mut rng, Some((at, killed)));
            assert!(left.repo.check().is_superset(&before.0), "{what}");
            assert!(right.repo.check().is_superset(&before.1), "{what}");
            failures += usize::from(matches!(left.end, Some(Err(_))));
            let (mut left, mut right) =
                (Left::new(left.repo, config.clone()), Right::new(right.repo, &server));
            run(&mut left, &mut right, &mut rng, None);
            assert!(left.end.unwrap().is_ok(), "{what}");
            assert_eq!((visible(&left.repo), visible(&right.repo)), end, "{what}");
        }
    }
    assert!(failures > 300, "{failures} runs failed");
}

/// PORT-26, PEER-6, T12: no window, block or queue is so small that the two wait for each other, whichever side has it.
#[test]
fn peer_6_the_smallest_windows_blocks_and_queues_do_not_deadlock() {
    let base = diverged().2;
    let (mut left, mut right) = sides(&config(Strategy::PreferLocal, base.clone()), &peer::Config::default());
    run(&mut left, &mut right, &mut Rng::new(0), None);
    let end = (visible(&left.repo), visible(&right.repo));
    for seed in 0..150 {
        let mut rng = Rng::new(1_000 + seed);
        let narrow = |rng: &mut Rng| peer::Config {
            port: port::Config {
                window: 1 + rng.below(3) as u32,
                receive_blocks: 1 + rng.below(2),
                receive_bytes: 1 + rng.below(200),
                send_bytes: 1 + rng.below(200),
                ..port::Config::default()
            },
            chunk: 1 + rng.below(100),
        };
        let (here, there) = (narrow(&mut rng), narrow(&mut rng));
        let what = format!("seed {seed}: {here:?}, {there:?}");
        let config = Config { peer: here, ..config(Strategy::PreferLocal, base.clone()) };
        let (mut left, mut right) = sides(&config, &there);
        run(&mut left, &mut right, &mut rng, None);
        assert!(matches!(left.end, Some(Ok(_))), "{what}: {:?}", left.end);
        assert_eq!((visible(&left.repo), visible(&right.repo)), end, "{what}");
    }
}
