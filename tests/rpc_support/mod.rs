//! Two links that talk, with everything that passes written down.
#![allow(dead_code, unreachable_pub)]

use bytes::Bytes;
use portline::frame::{FrameType, decode};
use portline::rpc::{Action, Config, Error, Fallback, Link, Role};
use portline::stream::{Direction, Shape};
use portline::{Instant, Transmit};

pub const NOW: Instant = Instant::ZERO;
pub const CLIENT: usize = 0;
pub const SERVER: usize = 1;

pub fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub fn link(role: Role) -> Link {
    Link::new(Config::new(role), NOW).unwrap()
}

pub fn linked(role: Role, change: impl FnOnce(&mut Config)) -> Link {
    let mut config = Config::new(role);
    change(&mut config);
    Link::new(config, NOW).unwrap()
}

/// The control messages that wait.
pub fn control(link: &mut Link) -> Vec<Bytes> {
    std::iter::from_fn(|| link.poll_transmit()).map(Transmit::into_bytes).collect()
}

pub fn actions(link: &mut Link) -> Vec<Action> {
    std::iter::from_fn(|| link.poll_action()).collect()
}

/// A frame in words: its type, its id, its payload.
pub fn describe(message: &[u8]) -> String {
    let frame = decode(message).unwrap();
    let kind = match frame.kind {
        FrameType::Data => "DATA",
        FrameType::Last => "LAST",
        FrameType::End => "END",
        FrameType::Error => "ERROR",
        FrameType::Credit => "CREDIT",
        FrameType::Cancel => "CANCEL",
        FrameType::Ready => "READY",
        FrameType::Call => "CALL",
        FrameType::Result => "RESULT",
        FrameType::Abort => "ABORT",
        FrameType::Open => "OPEN",
        _ => "?",
    };
    let payload = if frame.kind == FrameType::Credit {
        u32::from_be_bytes(frame.payload.try_into().unwrap()).to_string()
    } else {
        frame.payload.escape_ascii().to_string()
    };
    format!("{kind} {} {payload}", frame.id).trim_end().to_owned()
}

/// Two links on transports that deliver at once.
pub struct Pair {
    pub ends: [Link; 2],
    /// `C CALL …` and `S 2 DATA …`: who sent it, the channel unless it is the control channel, the frame.
    pub trace: Vec<String>,
    /// What happened on each side, besides channels.
    pub seen: [Vec<Action>; 2],
    pub open: [Vec<u32>; 2],
}

impl Pair {
    pub fn new() -> Self {
        Self::of([link(Role::Initiator), link(Role::Acceptor)])
    }

    pub fn of(ends: [Link; 2]) -> Self {
        Self { ends, trace: Vec::new(), seen: [Vec::new(), Vec::new()], open: [Vec::new(), Vec::new()] }
    }

    /// A pair that is ready, with nothing written down yet.
    pub fn ready() -> Self {
        let mut pair = Self::new();
        pair.start();
        pair
    }

    pub fn start(&mut self) {
        self.run();
        self.trace.clear();
        self.seen = [Vec::new(), Vec::new()];
    }

    /// Lets everything pass that waits, one message at a time, the server's first.
    pub fn run(&mut self) {
        while self.step(SERVER) || self.step(CLIENT) {}
    }

    /// One side acts, or sends one message, which arrives.
    pub fn step(&mut self, from: usize) -> bool {
        while let Some(action) = self.ends[from].poll_action() {
            match action {
                Action::OpenChannel { channel, .. } => {
                    self.open[from].push(channel);
                    self.ends[from].channel_attached(NOW, channel);
                }
                Action::CloseChannel { channel, .. } => self.open[from].retain(|open| *open != channel),
                other => self.seen[from].push(other),
            }
        }
        let who = ["C", "S"][from];
        if let Some(message) = self.ends[from].poll_transmit().map(Transmit::into_bytes) {
            self.trace.push(format!("{who} {}", describe(&message)));
            let _: Result<(), Error> = self.ends[1 - from].handle_message(NOW, message);
            return true;
        }
        for channel in self.open[from].clone() {
            let sent = self.ends[from].poll_channel_transmit(channel);
            if let Some(message) = sent.map(Transmit::into_bytes) {
                self.trace.push(format!("{who} {channel} {}", describe(&message)));
                let _: Result<(), Error> = self.ends[1 - from].handle_channel_message(NOW, channel, message);
                return true;
            }
        }
        false
    }

    pub fn call(&mut self, method: &str) -> u32 {
        self.ends[CLIENT].call(NOW, bytes(method), bytes(""), Fallback::None).unwrap()
    }

    pub fn seen(&mut self, end: usize) -> Vec<Action> {
        std::mem::take(&mut self.seen[end])
    }

    pub fn traced(&mut self) -> Vec<String> {
        std::mem::take(&mut self.trace)
    }
}

pub fn sends() -> Shape {
    Shape::items(Direction::Send)
}
