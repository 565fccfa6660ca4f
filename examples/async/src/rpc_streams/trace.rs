//! `--trace`: every frame on a line, seen from the side that prints.

use portline::Transmit;
use portline::frame::{self, FrameType, carrier};
use portline::rpc::Role;
use portline::rpc::control::{self, Message};
use portline::rpc::mux::{CHANNEL_LEN, CONTROL};
use portline::stream::{Direction, Sizing};

/// Where the lines go.
#[derive(Clone, Copy)]
pub(crate) enum Trace {
    Off,
    /// To standard output: nothing else that matters goes there.
    Output,
    /// To standard error: standard output has the results.
    Error,
}

/// Bytes of a payload that are shown.
const SHOWN: usize = 40;

impl Trace {
    #[expect(clippy::print_stdout, reason = "a program that shows what passes")]
    fn print(self, line: &str) {
        match self {
            Self::Off => {}
            Self::Output => println!("{line}"),
            Self::Error => eprintln!("{line}"),
        }
    }
}

/// Shows the messages of both sides of a session.
pub(crate) struct Tap {
    trace: Trace,
    role: Role,
}

impl Tap {
    pub(crate) const fn new(trace: Trace, role: Role) -> Self {
        Self { trace, role }
    }

    /// A message of the peer's.
    pub(crate) fn received(&self, channel: u32, message: &[u8]) {
        let peer = match self.role {
            Role::Initiator => Role::Acceptor,
            Role::Acceptor => Role::Initiator,
        };
        self.show(peer, channel, message);
    }

    /// A message of ours: its length and its channel stand in front.
    pub(crate) fn sent(&self, message: &Transmit) {
        if matches!(self.trace, Trace::Off) {
            return;
        }
        let whole = message.clone().into_bytes();
        let rest = whole.get(carrier::LENGTH_LEN..).unwrap_or_default();
        if let Some((channel, message)) = rest.split_first_chunk::<CHANNEL_LEN>() {
            self.show(self.role, u32::from_be_bytes(*channel), message);
        }
    }

    fn show(&self, sender: Role, channel: u32, message: &[u8]) {
        if !matches!(self.trace, Trace::Off) {
            self.trace.print(&line(sender, channel, message));
        }
    }
}

fn line(sender: Role, channel: u32, message: &[u8]) -> String {
    let sender = match sender {
        Role::Initiator => "client -> server",
        Role::Acceptor => "server -> client",
    };
    let line = if channel == CONTROL {
        format!("{sender}  control    {}", told(message))
    } else {
        format!("{sender}  stream {channel:<3} {}", moved(message))
    };
    line.trim_end().to_owned()
}

/// A message of the control channel.
fn told(message: &[u8]) -> String {
    match control::decode(message) {
        Ok(Message::Ready { version, capabilities }) => {
            format!("READY {version} {}", shown(capabilities.trim_ascii_end()))
        }
        Ok(Message::Call { call, batch, method, arguments }) => {
            let batch = if batch { " as a batch" } else { "" };
            format!("CALL {call}{batch} {} {}", shown(method), shown(arguments))
        }
        Ok(Message::Result { call, result: Ok(value) }) => format!("RESULT {call} {}", shown(value)),
        Ok(Message::Result { call, result: Err(reason) }) => format!("RESULT {call} error {}", shown(reason)),
        Ok(Message::Abort { call }) => format!("ABORT {call}"),
        Ok(Message::Open { call, stream, shape }) => {
            let direction = match shape.direction {
                Direction::Send => "from here",
                Direction::Receive => "to here",
                Direction::Both(_) => "both ways",
            };
            let unit = match shape.sizing {
                Sizing::Items => "items",
                Sizing::Bytes => "bytes",
                Sizing::Custom => "units",
            };
            format!("OPEN {call} stream {stream} {direction}, {} {unit}", shape.window)
        }
        Err(error) => format!("? {error}"),
    }
}

/// A frame of a stream.
fn moved(message: &[u8]) -> String {
    let Ok(frame) = frame::decode(message) else { return "?".into() };
    let (id, payload) = (frame.id, frame.payload);
    match frame.kind {
        FrameType::Data => format!("DATA {id} {}", shown(payload)),
        FrameType::Last => format!("LAST {id} {}", shown(payload)),
        FrameType::End => format!("END {id}"),
        FrameType::Error => format!("ERROR {id} {}", shown(payload)),
        FrameType::Cancel => format!("CANCEL {id} {}", shown(payload)),
        FrameType::Credit => match payload.first_chunk() {
            Some(more) => format!("CREDIT {id} +{}", u32::from_be_bytes(*more)),
            None => format!("CREDIT {id} ?"),
        },
        kind => format!("type {} {id}", kind.as_u8()),
    }
}

/// A payload as text: short, and without control characters.
fn shown(payload: &[u8]) -> String {
    match payload.get(..SHOWN) {
        Some(start) if payload.len() > SHOWN => {
            format!("{}… ({} bytes)", start.escape_ascii(), payload.len())
        }
        Some(_) | None => payload.escape_ascii().to_string(),
    }
}
