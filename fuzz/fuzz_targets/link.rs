//! Any operations on two links whose channels deliver in order: every call and every stream has exactly one end, and
//! each link one terminal action, whatever is called, written, aborted, lost or made up; deadlines move on, and an error
//! stays.
#![no_main]

#[path = "common/oracle.rs"]
mod oracle;

use std::collections::{BTreeMap, VecDeque};

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use oracle::Sticky;
use portline::Instant;
use portline::rpc::{Action, Budget, Config, Error, Fallback, Link, Role};
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
        data: Vec<u8>,
    },
    Finish(u8),
    Fail(u8),
    Cancel(u8),
    Consume(u8),
    /// One control message passes from this end.
    Control,
    /// What one channel has to send passes from this end.
    Channel,
    Actions,
    Raw(Vec<u8>),
    RawChannel(u8, Vec<u8>),
    Lose(u8),
    Timeout,
    Closed,
}

struct End {
    link: Link,
    /// Calls of ours, the peer's calls and streams that have not had their end.
    calls: Vec<u32>,
    asked: Vec<u32>,
    /// Calls of the peer's that were answered before anyone had heard of them.
    early: Vec<u32>,
    streams: Vec<u32>,
    channels: BTreeMap<u32, VecDeque<Bytes>>,
    terminal: u32,
    sticky: Sticky<Error>,
}

fn remove(list: &mut Vec<u32>, number: u32) {
    let at = list.iter().position(|listed| *listed == number);
    list.swap_remove(at.unwrap_or_else(|| panic!("{number} has ended before, or never was")));
}

fn actions(end: &mut End, now: Instant) {
    while let Some(action) = end.link.poll_action() {
        assert_eq!(end.terminal, 0, "nothing follows the terminal action");
        match action {
            Action::Called { call, .. } => match end.early.iter().position(|early| *early == call) {
                Some(at) => drop(end.early.swap_remove(at)),
                None => end.asked.push(call),
            },
            Action::Aborted { call } => remove(&mut end.asked, call),
            Action::Returned { call, .. } => remove(&mut end.calls, call),
            Action::Retried { call, again } => {
                remove(&mut end.calls, call);
                end.calls.push(again);
            }
            Action::OpenChannel { channel, .. } => {
                if !end.streams.contains(&channel) {
                    end.streams.push(channel);
                }
                end.channels.insert(channel, VecDeque::new());
                end.link.channel_attached(now, channel);
            }
            Action::StreamFinished { stream } | Action::StreamFailed { stream, .. } => {
                remove(&mut end.streams, stream);
            }
            Action::CloseChannel { .. }
            | Action::Ready { .. }
            | Action::StreamOpened { .. }
            | Action::Data { .. }
            | Action::PeerDone { .. }
            | Action::Writable { .. } => {}
            Action::Finished => end.terminal += 1,
            Action::Failed(error) => {
                end.sticky.told(&error);
                end.terminal += 1;
            }
        }
    }
}

fn pick(list: &[u32], number: u8) -> u32 {
    list.get(usize::from(number) % list.len().max(1)).copied().unwrap_or(u32::from(number))
}

fuzz_target!(|input: (bool, Vec<Step>)| {
    let (is_patient, steps) = input;
    let mut now = Instant::ZERO;
    let mut ends = [Role::Initiator, Role::Acceptor].map(|role| {
        let mut config = Config::new(role);
        (config.max_calls, config.max_streams, config.max_call_streams) = (6, 10, 4);
        if !is_patient {
            // So small that they are used up.
            let budget = Budget::new(4, 1000);
            (config.ignored, config.resets, config.failures) = (budget, budget, budget);
        }
        let link = Link::new(config, now).unwrap();
        let (calls, asked, early, streams) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        End {
            link,
            calls,
            asked,
            early,
            streams,
            channels: BTreeMap::new(),
            terminal: 0,
            sticky: Sticky::default(),
        }
    });
    for Step { end, operation } in steps {
        let [a, b] = &mut ends;
        let (this, peer) = if end { (b, a) } else { (a, b) };
        match operation {
            Operation::Call { batch } => {
                let items = vec![Bytes::from_static(b"item")];
                let fallback = if batch { Fallback::Batch(items) } else { Fallback::None };
                if let Ok(call) = this.link.call(now, Bytes::from_static(b"m"), Bytes::new(), fallback) {
                    this.calls.push(call);
                }
            }
            Operation::Abort(call) => {
                let _ = this.link.abort(now, pick(&this.calls, call));
            }
            Operation::Open { call, direction, window } => {
                let direction = match direction % 3 {
                    0 => Direction::Send,
                    1 => Direction::Receive,
                    _ => Direction::Both(StreamRole::Responder),
                };
                let shape = Shape { window: u32::from(window), ..Shape::items(direction) };
                if let Ok(stream) = this.link.open_stream(now, pick(&this.asked, call), shape) {
                    this.streams.push(stream);
                }
            }
            Operation::Respond { call, good } => {
                let call = pick(&this.asked, call);
                let result = if good { Ok(Bytes::from_static(b"value")) } else { Err("no") };
                if this.link.respond(now, call, result).is_ok() {
                    match this.asked.contains(&call) {
                        true => remove(&mut this.asked, call),
                        false => this.early.push(call),
                    }
                }
            }
            Operation::Write { stream, data } => {
                let _ = this.link.write(now, pick(&this.streams, stream), data.into());
            }
            Operation::Finish(stream) => this.link.finish(now, pick(&this.streams, stream)),
            Operation::Fail(stream) => this.link.fail_stream(now, pick(&this.streams, stream), "failed"),
            Operation::Cancel(stream) => this.link.cancel_stream(now, pick(&this.streams, stream), None),
            Operation::Consume(stream) => this.link.consume(now, pick(&this.streams, stream)),
            Operation::Control => {
                if let Some(message) = this.link.poll_transmit() {
                    peer.sticky.heard(peer.link.handle_message(now, message.into_bytes()));
                }
            }
            Operation::Channel => {
                if let Some(channel) = this.link.poll_channel() {
                    while let Some(message) = this.link.poll_channel_transmit(channel) {
                        drop(peer.link.handle_channel_message(now, channel, message.into_bytes()));
                    }
                }
            }
            Operation::Actions => actions(this, now),
            Operation::Raw(message) => {
                this.sticky.heard(this.link.handle_message(now, message.into()));
            }
            Operation::RawChannel(channel, message) => {
                drop(this.link.handle_channel_message(now, u32::from(channel), message.into()));
            }
            Operation::Lose(stream) => this.link.channel_closed(now, pick(&this.streams, stream)),
            Operation::Timeout => {
                now = this.link.poll_timeout().map_or(now, |at| at.max(now));
                this.link.handle_timeout(now);
                oracle::moved_on(this.link.poll_timeout(), now);
            }
            Operation::Closed => drop(this.sticky.heard(this.link.handle_closed(now))),
        }
        assert!(this.link.open_streams() <= 10);
    }
    for end in &mut ends {
        drop(end.link.handle_closed(now));
        actions(end, now);
        assert_eq!(end.terminal, 1);
        assert!(end.calls.is_empty() && end.asked.is_empty(), "{:?} {:?}", end.calls, end.asked);
        assert!(end.streams.is_empty() && end.link.open_streams() == 0, "{:?}", end.streams);
        assert!(end.link.has_ended() && !end.link.wants_input() && end.link.poll_timeout().is_none());
    }
});
