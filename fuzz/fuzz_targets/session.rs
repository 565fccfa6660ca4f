//! Any operations on two sessions with a pipe between them that splits anywhere: every call and every stream has exactly
//! one end and each session one terminal action; while only the two speak, none fails, what is written arrives in order,
//! and once everything has passed each open channel is that of an open stream. Deadlines move on, and an error stays. Then
//! raw bytes, and cut pipes.
#![no_main]

#[path = "common/oracle.rs"]
mod oracle;

use std::collections::{BTreeMap, VecDeque};

use arbitrary::Arbitrary;
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use oracle::Sticky;
use portline::Instant;
use portline::rpc::session::{Action, Config, Error, Session};
use portline::rpc::{Fallback, Role};
use portline::stream::{Direction, Role as StreamRole, Shape};

#[derive(Arbitrary, Debug)]
struct Step {
    end: bool,
    operation: Operation,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Call {
        batch: bool,
    },
    Abort(u8),
    Open {
        call: u8,
        direction: u8,
        window: u8,
    },
    Respond {
        call: u8,
        good: bool,
    },
    Write {
        stream: u8,
        length: u8,
    },
    Finish(u8),
    Fail(u8),
    Cancel(u8),
    Consume(u8),
    /// So many messages leave for the pipe.
    Transmit(u8),
    /// So many bytes arrive.
    Deliver(u16),
    Actions,
    Garbage(Vec<u8>),
    Timeout,
    Closed,
}

struct End {
    session: Session,
    pipe: BytesMut,
    /// Calls of ours, the peer's calls and streams that have not had their end.
    calls: Vec<u32>,
    asked: Vec<u32>,
    streams: Vec<u32>,
    /// What was written to each stream and has not arrived.
    written: BTreeMap<u32, VecDeque<Bytes>>,
    terminal: u32,
    sticky: Sticky<Error>,
}

fn remove(list: &mut Vec<u32>, number: u32) {
    let at = list.iter().position(|listed| *listed == number);
    list.swap_remove(at.unwrap_or_else(|| panic!("{number} has ended before, or never was")));
}

fn pick(list: &[u32], number: u8) -> u32 {
    list.get(usize::from(number) % list.len().max(1)).copied().unwrap_or(u32::from(number))
}

impl End {
    fn new(role: Role) -> Self {
        let mut config = Config::new(role);
        let link = &mut config.link;
        (link.max_calls, link.max_streams, link.max_call_streams, link.control_bytes) = (6, 10, 4, 600);
        (config.mux.max_channels, config.mux.control_bytes) = (20, 200);
        let (calls, asked, streams) = (Vec::new(), Vec::new(), Vec::new());
        let session = Session::new(config, Instant::ZERO).unwrap();
        let (pipe, written) = (BytesMut::new(), BTreeMap::new());
        Self { session, pipe, calls, asked, streams, written, terminal: 0, sticky: Sticky::default() }
    }

    fn transmit(&mut self, count: u8) -> bool {
        let before = self.pipe.len();
        for _ in 0..count {
            let Some(message) = self.session.poll_transmit() else { break };
            self.pipe.extend_from_slice(&message.into_bytes());
        }
        self.pipe.len() > before
    }

    fn actions(&mut self, peer: &mut Self, honest: bool) -> bool {
        let mut any = false;
        while let Some(action) = self.session.poll_action() {
            any = true;
            assert_eq!(self.terminal, 0, "nothing follows the terminal action");
            match action {
                Action::Called { call, .. } => self.asked.push(call),
                Action::Aborted { call } => remove(&mut self.asked, call),
                Action::Returned { call, .. } => remove(&mut self.calls, call),
                Action::Retried { call, again } => {
                    remove(&mut self.calls, call);
                    self.calls.push(again);
                }
                Action::StreamOpened { stream, .. } => {
                    if !self.streams.contains(&stream) {
                        self.streams.push(stream);
                    }
                }
                Action::StreamFinished { stream } => remove(&mut self.streams, stream),
                // One of the peer's may fail before it is open here.
                Action::StreamFailed { stream, .. } => self.streams.retain(|open| *open != stream),
                Action::Data { stream, data } => {
                    if let Some(written) = peer.written.get_mut(&stream).filter(|_| honest) {
                        assert_eq!(written.pop_front(), Some(data), "stream {stream}");
                    }
                }
                Action::Failed(error) if honest => panic!("{error}"),
                Action::Finished => self.terminal += 1,
                Action::Failed(error) => {
                    self.sticky.told(&error);
                    self.terminal += 1;
                }
                Action::Ready { .. } | Action::PeerDone { .. } | Action::Writable { .. } => {}
            }
        }
        any
    }
}

fn apply(operation: Operation, this: &mut End, peer: &mut End, now: &mut Instant, honest: &mut bool) {
    match operation {
        Operation::Call { batch } => {
            let items = vec![Bytes::from_static(b"item")];
            let fallback = if batch { Fallback::Batch(items) } else { Fallback::None };
            if let Ok(call) = this.session.call(*now, Bytes::from_static(b"m"), Bytes::new(), fallback) {
                this.calls.push(call);
            }
        }
        Operation::Abort(call) => drop(this.session.abort(*now, pick(&this.calls, call))),
        Operation::Open { call, direction, window } => {
            let direction = match direction % 3 {
                0 => Direction::Send,
                1 => Direction::Receive,
                _ => Direction::Both(StreamRole::Responder),
            };
            let shape = Shape { window: u32::from(window), ..Shape::items(direction) };
            if let Ok(stream) = this.session.open_stream(*now, pick(&this.asked, call), shape) {
                this.streams.push(stream);
            }
        }
        Operation::Respond { call, good } => {
            let call = pick(&this.asked, call);
            let result = if good { Ok(Bytes::from_static(b"value")) } else { Err("no") };
            if this.session.respond(*now, call, result).is_ok() {
                remove(&mut this.asked, call);
            }
        }
        Operation::Write { stream, length } => {
            let stream = pick(&this.streams, stream);
            let data = Bytes::from(vec![length; usize::from(length)]);
            if this.session.write(*now, stream, data.clone()).is_ok() {
                this.written.entry(stream).or_default().push_back(data);
            }
        }
        Operation::Finish(stream) => this.session.finish(*now, pick(&this.streams, stream)),
        Operation::Fail(stream) => this.session.fail_stream(*now, pick(&this.streams, stream), "failed"),
        Operation::Cancel(stream) => this.session.cancel_stream(*now, pick(&this.streams, stream), None),
        Operation::Consume(stream) => this.session.consume(*now, pick(&this.streams, stream)),
        Operation::Transmit(count) => drop(this.transmit(count)),
        Operation::Deliver(length) => {
            let piece = this.pipe.split_to(this.pipe.len().min(usize::from(length)));
            peer.sticky.heard(peer.session.handle_bytes(*now, piece.freeze()));
        }
        Operation::Actions => drop(this.actions(peer, *honest)),
        Operation::Garbage(bytes) => {
            *honest = false;
            this.sticky.heard(this.session.handle_bytes(*now, bytes.into()));
        }
        Operation::Timeout => {
            *honest = false;
            *now = this.session.poll_timeout().map_or(*now, |at| at.max(*now));
            this.session.handle_timeout(*now);
            oracle::moved_on(this.session.poll_timeout(), *now);
        }
        Operation::Closed => {
            *honest = false;
            this.sticky.heard(this.session.handle_closed(*now));
        }
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let (mut now, mut honest) = (Instant::ZERO, true);
    let mut ends = [End::new(Role::Initiator), End::new(Role::Acceptor)];
    for Step { end, operation } in steps {
        let [a, b] = &mut ends;
        let (this, peer) = if end { (b, a) } else { (a, b) };
        apply(operation, this, peer, &mut now, &mut honest);
        assert!(ends.iter().all(|end| end.session.open_streams() <= 10 && end.session.open_channels() <= 20));
    }
    let [a, b] = &mut ends;
    if honest {
        loop {
            let mut moved = a.transmit(u8::MAX) | b.transmit(u8::MAX);
            drop(b.session.handle_bytes(now, a.pipe.split().freeze()));
            drop(a.session.handle_bytes(now, b.pipe.split().freeze()));
            moved |= a.actions(b, true);
            moved |= b.actions(a, true);
            if !moved {
                break;
            }
        }
        for end in [&*a, &*b] {
            assert!(end.session.open_channels() <= end.session.open_streams(), "{:?}", end.session);
        }
    }
    for end in [&mut *a, &mut *b] {
        drop(end.session.handle_closed(now));
    }
    a.actions(b, false);
    b.actions(a, false);
    for end in &ends {
        assert_eq!(end.terminal, 1);
        assert!(end.calls.is_empty() && end.asked.is_empty(), "{:?} {:?}", end.calls, end.asked);
        assert!(end.streams.is_empty() && end.session.open_streams() == 0, "{:?}", end.streams);
        assert!(
            end.session.has_ended() && !end.session.wants_input() && end.session.poll_timeout().is_none()
        );
    }
});
