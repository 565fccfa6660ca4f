//! Two links: one side calls, the other streams items back; some calls are aborted, some streams fail.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use portline::Instant;
use portline::rpc::{Action, Config, Error, Fallback, Link, Role};
use portline::stream::{Direction, Shape};

use crate::common::Rng;
use crate::net::{Net, Peer, of};
use crate::toy::Repo;

/// A stream that the serving side writes.
struct Writing {
    call: u32,
    left: u32,
    fails: bool,
}

struct End {
    link: Link,
    /// Items asked for in each call that is still to be made; whether it is aborted when the first item has come.
    plan: VecDeque<(u32, bool, bool)>,
    /// By call: items asked for, whether it is aborted, items that came, results that came.
    calls: BTreeMap<u32, (u32, bool, u32, Vec<bool>)>,
    /// By stream: its call.
    streams: BTreeMap<u32, u32>,
    writing: BTreeMap<u32, Writing>,
    /// Channels that are open, and what came for others before they were.
    channels: Vec<u32>,
    gone: Vec<u32>,
    early: BTreeMap<u32, Vec<Bytes>>,
    window: u32,
    over: Vec<bool>,
}

impl End {
    fn new(role: Role, rng: &mut Rng) -> Self {
        let calls = if role == Role::Initiator { 1 + rng.below(4) } else { 0 };
        let one = |rng: &mut Rng| (rng.below(20) as u32, rng.below(6) == 0, rng.below(6) == 0);
        Self {
            link: Link::new(Config::new(role), Instant::ZERO).unwrap(),
            plan: (0..calls).map(|_| one(rng)).collect(),
            calls: BTreeMap::new(),
            streams: BTreeMap::new(),
            writing: BTreeMap::new(),
            channels: Vec::new(),
            gone: Vec::new(),
            early: BTreeMap::new(),
            window: 1 + rng.below(8) as u32,
            over: Vec::new(),
        }
    }

    fn act(&mut self, now: Instant, action: Action) {
        match action {
            Action::Called { call, arguments, .. } => {
                let (left, fails) = (u32::from(arguments[0]), arguments[1] == 1);
                let shape = Shape { window: self.window, ..Shape::items(Direction::Send) };
                let stream = self.link.open_stream(now, call, shape).unwrap();
                self.writing.insert(stream, Writing { call, left, fails });
            }
            Action::OpenChannel { channel, call, .. } => {
                self.channels.push(channel);
                self.streams.insert(channel, call);
                self.link.channel_attached(now, channel);
                for bytes in self.early.remove(&channel).unwrap_or_default() {
                    let _: Result<(), Error> = self.link.handle_channel_message(now, channel, bytes);
                }
            }
            Action::Data { stream, .. } => {
                self.link.consume(now, stream);
                let call = self.streams[&stream];
                let (_, aborts, items, _) = self.calls.get_mut(&call).unwrap();
                *items += 1;
                if std::mem::take(aborts) {
                    self.link.abort(now, call).unwrap();
                }
            }
            Action::StreamFinished { stream } | Action::StreamFailed { stream, .. } => {
                self.writing.remove(&stream);
            }
            Action::CloseChannel { channel, .. } => {
                self.channels.retain(|open| *open != channel);
                self.gone.push(channel);
            }
            Action::Returned { call, result } => self.calls.get_mut(&call).unwrap().3.push(result.is_ok()),
            Action::Aborted { .. }
            | Action::Ready { .. }
            | Action::StreamOpened { .. }
            | Action::PeerDone { .. }
            | Action::Writable { .. } => {}
            Action::Retried { .. } => panic!("no call may be made again"),
            Action::Finished => self.over.push(true),
            Action::Failed(_) => self.over.push(false),
        }
    }

    /// Writes what there is room for; `true` when something was done.
    fn write(&mut self, now: Instant) -> bool {
        let mut done = Vec::new();
        let mut worked = false;
        for (stream, writing) in &mut self.writing {
            while writing.left > 0 && self.link.can_write(*stream) {
                self.link.write(now, *stream, Bytes::from_static(b"item")).unwrap();
                (writing.left, worked) = (writing.left - 1, true);
            }
            if writing.left == 0 {
                done.push(*stream);
            }
        }
        for stream in done {
            let Some(Writing { call, fails, .. }) = self.writing.remove(&stream) else { continue };
            if fails {
                self.link.fail_stream(now, stream, "no");
                let _: Result<(), _> = self.link.respond(now, call, Err("no"));
            } else {
                self.link.finish(now, stream);
                let _: Result<(), _> = self.link.respond(now, call, Ok(Bytes::from_static(b"all")));
            }
            worked = true;
        }
        worked
    }
}

impl Peer for End {
    fn input(&mut self, now: Instant, channel: u32, bytes: Bytes) {
        // A channel that is not attached yet keeps what came; one that was given back does not.
        if channel == 0 {
            let _: Result<(), Error> = self.link.handle_message(now, bytes);
        } else if self.channels.contains(&channel) || self.gone.contains(&channel) {
            let _: Result<(), Error> = self.link.handle_channel_message(now, channel, bytes);
        } else {
            self.early.entry(channel).or_default().push(bytes);
        }
    }

    fn closed(&mut self, now: Instant) {
        let _: Result<(), Error> = self.link.handle_closed(now);
    }

    fn timeout(&mut self, now: Instant) {
        self.link.handle_timeout(now);
    }

    fn deadline(&self) -> Option<Instant> {
        self.link.poll_timeout()
    }

    fn transmit(&mut self) -> Option<(u32, Bytes)> {
        if let Some(message) = self.link.poll_transmit() {
            return Some((0, message.into_bytes()));
        }
        let link = &mut self.link;
        let sent = |channel: &u32| Some((*channel, link.poll_channel_transmit(*channel)?.into_bytes()));
        self.channels.iter().chain(&self.gone).find_map(sent)
    }

    fn wants_input(&self) -> bool {
        self.link.wants_input()
    }

    fn work(&mut self, now: Instant, _: &mut Repo) -> bool {
        let mut worked = self.write(now);
        while let Some((items, fails, aborts)) = self.plan.front().copied() {
            let arguments = Bytes::copy_from_slice(&[items as u8, u8::from(fails)]);
            let Ok(call) = self.link.call(now, Bytes::from_static(b"items"), arguments, Fallback::None)
            else {
                break;
            };
            self.plan.pop_front();
            let asked = if fails { u32::MAX } else { items };
            self.calls.insert(call, (asked, aborts, 0, Vec::new()));
            worked = true;
        }
        while let Some(action) = self.link.poll_action() {
            assert!(self.over.is_empty(), "nothing follows the end: {action:?}");
            self.act(now, action);
            worked = true;
        }
        worked
    }

    fn ends(&self) -> usize {
        self.over.len()
    }

    fn well(&self) -> bool {
        self.over == [true] && self.calls.values().all(|(_, _, _, results)| results == &[true])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

pub fn join(net: &mut Net) {
    let ends =
        [Role::Initiator, Role::Acceptor].map(|role| Box::new(End::new(role, &mut net.rng)) as Box<dyn Peer>);
    net.join("link", false, ends, |left, _, faulty| {
        let left: &End = of(left);
        for (call, (asked, aborts, items, results)) in &left.calls {
            let dead = faulty && left.over.is_empty();
            assert!(
                results.len() == 1 || (dead && results.len() <= 1),
                "call {call} has ended once: {results:?}"
            );
            if results == &[true] {
                assert!(items == asked, "call {call} went well: {items} of {asked} items");
            }
            let aborted = !*aborts && results == &[false];
            assert!(
                faulty || aborted || *asked == u32::MAX || results == &[true],
                "nothing was wrong with {call}"
            );
        }
    });
}
