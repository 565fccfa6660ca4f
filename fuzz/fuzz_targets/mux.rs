//! Any operations on two muxes with a pipe that splits anywhere between them: what is sent on a channel arrives on it,
//! once and in order, what waits stays under the caps, an error stays, and each mux has one terminal action. Then raw bytes.
#![no_main]

#[path = "common/oracle.rs"]
mod oracle;

use std::collections::{BTreeMap, VecDeque};

use arbitrary::Arbitrary;
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use oracle::Sticky;
use portline::Instant;
use portline::rpc::Role;
use portline::rpc::mux::{Action, CONTROL, Config, Error, Mux, SendError};

#[derive(Arbitrary, Debug)]
enum Operation {
    Open(bool),
    Send { from: bool, channel: u8, length: u8 },
    Close { from: bool, channel: u8 },
    Transmit { from: bool, count: u8 },
    Deliver { from: bool, length: u8 },
    Actions(bool),
    Garbage { from: bool, bytes: Vec<u8> },
    Closed(bool),
}

const QUANTUM: usize = 100;
const WAITING: usize = 600;
/// What a message that waits costs besides its bytes.
const OVERHEAD: usize = 64;
const CHANNELS: usize = 5;
const NOW: Instant = Instant::ZERO;

struct End {
    mux: Mux,
    /// Sent on a channel and not yet arrived on the other side.
    sent: BTreeMap<u32, VecDeque<Bytes>>,
    /// Bytes that wait in the mux, overhead included, by channel; what was polled is not.
    pipe: BytesMut,
    polled: BTreeMap<u32, usize>,
    closed: Vec<u32>,
    terminal: u32,
    sticky: Sticky<Error>,
}

impl End {
    fn new(role: Role) -> Self {
        let config = Config {
            max_message: 200,
            quantum: QUANTUM,
            channel_bytes: WAITING,
            control_bytes: 300,
            max_channels: CHANNELS,
            ..Config::new(role)
        };
        let mux = Mux::new(config, NOW).unwrap();
        let (sent, polled) = (BTreeMap::new(), BTreeMap::new());
        Self {
            mux,
            sent,
            pipe: BytesMut::new(),
            polled,
            closed: Vec::new(),
            terminal: 0,
            sticky: Sticky::default(),
        }
    }

    fn send(&mut self, channel: u32, length: u8, serial: u8) {
        let message = Bytes::from(vec![serial; usize::from(length)]);
        let can = self.mux.can_send(channel);
        match self.mux.send(channel, message.clone()) {
            Ok(()) => {
                assert!(can && (channel == CONTROL || message.len() <= QUANTUM));
                self.sent.entry(channel).or_default().push_back(message);
                *self.polled.entry(channel).or_default() += usize::from(length) + OVERHEAD;
                // One message may pass the mark; the next is refused.
                assert!(channel == CONTROL || self.polled[&channel] < WAITING + QUANTUM + OVERHEAD);
            }
            Err(SendError::Full { .. } | SendError::NotOpen { .. } | SendError::Over) => assert!(!can),
            Err(SendError::TooLong { .. }) => assert!(message.len() > QUANTUM),
            Err(error) => panic!("{error}"),
        }
    }

    fn transmit(&mut self, count: u8) {
        for _ in 0..count {
            let Some(message) = self.mux.poll_transmit() else { return };
            let bytes = message.into_bytes();
            let channel = u32::from_be_bytes(bytes[4..8].try_into().unwrap());
            assert_eq!(bytes[..4], (u32::try_from(bytes.len()).unwrap() - 4).to_be_bytes());
            *self.polled.get_mut(&channel).unwrap() -= bytes.len() - 8 + OVERHEAD;
            self.pipe.extend_from_slice(&bytes);
        }
    }
}

/// Takes the actions of `to`; `honest` while only its peer's bytes came.
fn actions(from: &mut End, to: &mut End, honest: bool) {
    while let Some(action) = to.mux.poll_action() {
        assert_eq!(to.terminal, 0, "nothing follows the terminal action");
        match action {
            Action::Message { channel, message } if honest => {
                // A closed end ignores what comes, so what it skips is at the front.
                let queue = from.sent.get_mut(&channel).unwrap();
                assert_eq!(queue.pop_front(), Some(message), "channel {channel}");
                assert!(!to.closed.contains(&channel));
            }
            Action::Failed(error) if honest => panic!("{error}"),
            Action::Finished => to.terminal += 1,
            Action::Failed(error) => {
                to.sticky.told(&error);
                to.terminal += 1;
            }
            Action::Message { .. }
            | Action::Opened { .. }
            | Action::Writable { .. }
            | Action::Closed { .. } => {}
        }
    }
}

fuzz_target!(|operations: Vec<Operation>| {
    let mut ends = [End::new(Role::Initiator), End::new(Role::Acceptor)];
    let (mut honest, mut serial, mut opened) = (true, 0_u8, 0);
    for operation in operations {
        match operation {
            Operation::Open(end) => {
                opened += usize::from(ends[usize::from(end)].mux.open().is_ok());
                // The two sides together opened more than one of them allows: that ends its mux.
                honest &= opened <= CHANNELS;
            }
            Operation::Send { from, channel, length } => {
                serial = serial.wrapping_add(1);
                ends[usize::from(from)].send(u32::from(channel % 12), length, serial);
            }
            Operation::Close { from, channel } => {
                let end = &mut ends[usize::from(from)];
                end.mux.close(u32::from(channel % 12));
                if channel % 12 != 0 {
                    end.closed.push(u32::from(channel % 12));
                }
                // The other side opens one channel more than this one still counts: that ends a mux.
                honest = false;
            }
            Operation::Transmit { from, count } => ends[usize::from(from)].transmit(count),
            Operation::Deliver { from, length } => {
                let [a, b] = &mut ends;
                let (from, to) = if from { (b, a) } else { (a, b) };
                let piece = from.pipe.split_to(from.pipe.len().min(usize::from(length)));
                to.sticky.heard(to.mux.handle_bytes(NOW, piece.freeze()));
            }
            Operation::Actions(end) => {
                let [a, b] = &mut ends;
                let (from, to) = if end { (b, a) } else { (a, b) };
                actions(from, to, honest);
            }
            Operation::Garbage { from, bytes } => {
                honest = false;
                let end = &mut ends[usize::from(from)];
                end.sticky.heard(end.mux.handle_bytes(NOW, bytes.into()));
            }
            Operation::Closed(end) => {
                // It may cut a message in two.
                honest = false;
                let end = &mut ends[usize::from(end)];
                end.sticky.heard(end.mux.handle_closed(NOW));
            }
        }
        assert!(ends.iter().all(|end| end.mux.open_channels() <= 10));
    }
    let [a, b] = &mut ends;
    if honest {
        for _ in 0..2 {
            a.transmit(u8::MAX);
            b.transmit(u8::MAX);
            drop(b.mux.handle_bytes(NOW, a.pipe.split().freeze()));
            drop(a.mux.handle_bytes(NOW, b.pipe.split().freeze()));
            actions(a, b, true);
            actions(b, a, true);
        }
        while let Some(message) = a.mux.poll_transmit() {
            drop(b.mux.handle_bytes(NOW, message.into_bytes()));
        }
    }
    for end in [&mut *a, &mut *b] {
        drop(end.mux.handle_closed(NOW));
    }
    actions(a, b, false);
    actions(b, a, false);
    assert_eq!((a.terminal, b.terminal), (1, 1));
    assert!(a.mux.has_ended() && !a.mux.wants_input() && a.mux.poll_transmit().is_none());
});
